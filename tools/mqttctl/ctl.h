/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the subcommands of mqttctl share: the command line, exit status,
 * tables.
 */
#ifndef MQTTCTL_CTL_H
#define MQTTCTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Exit status; mqttctl(8) knows the numbers. */
enum {
	CTL_OK = 0,
	CTL_ERROR = 1,		/* it could not be done */
	CTL_USAGE = 2,		/* the command line is wrong */
	CTL_MISSING = 3,	/* module, daemon or permission is missing */
	CTL_NOT_FOUND = 4,	/* there is no such client, session ... */
};

/**
 * struct ctl_options - options before and after the subcommand
 * @json: -j: JSON instead of tables
 * @socket: -s: the daemon's control socket
 */
struct ctl_options {
	bool json;
	const char *socket;
};

extern struct ctl_options ctl_options;

/**
 * struct ctl_command - a subcommand
 * @name: one or two words
 * @args: its arguments, for help; "" if it takes none
 * @min_args: how many they are at least
 * @max_args: and at most
 * @help: one line
 * @more: more lines for its --help, or NULL
 * @run: returns the exit status
 * @option: takes an option of its own and what follows it; returns how many
 *	words that is, 0 if it knows it not, -1 if it is wrong, as printed
 */
struct ctl_command {
	const char *name;
	const char *args;
	int min_args;
	int max_args;
	const char *help;
	const char *more;
	int (*run)(char **args);	/* NULL after the last argument */
	int (*option)(char **argv);
};

/* Each in the file of its name, or of its first word. */
int cmd_client_list(char **args);
int cmd_client_show(char **args);
int cmd_client_kick(char **args);
int cmd_route_list(char **args);
int cmd_stats(char **args);
int cmd_monitor(char **args);
int cmd_param_get(char **args);
int cmd_param_set(char **args);
int cmd_session_list(char **args);
int cmd_session_show(char **args);
int cmd_session_delete(char **args);
int cmd_subscription_list(char **args);
int cmd_retained_list(char **args);
int cmd_retained_show(char **args);
int cmd_retained_clear(char **args);
int cmd_publish(char **args);
int cmd_store_check(char **args);
int cmd_store_backup(char **args);

/* Options of their own. */
int retained_option(char **argv);
int publish_option(char **argv);
int store_option(char **argv);

/* Print "mqttctl: TEXT" to stderr and return @status. */
int ctl_fail(int status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Memory, or the end of the program. */
void *ctl_alloc(size_t size);

/* Write out what was printed; CTL_OK or CTL_ERROR. */
int ctl_flush(void);

/* Print a JSON value without a newline; CTL_OK or CTL_ERROR. */
int ctl_put_json(const cJSON *json);

/* Print an object, NAME: VALUE in each line or as JSON, and free it. */
int ctl_print_object(cJSON *object);

/**
 * ctl_print_json - print a JSON value and free it
 *
 * Returns CTL_OK, or CTL_ERROR if it could not be written.
 */
int ctl_print_json(cJSON *json);

/**
 * struct ctl_table - rows of text, aligned when printed
 * @n_cols: number of columns
 * @right: bit per column: numbers, aligned to the right
 * @n_cells: cells so far, headings included
 * @cells: all cells, row by row
 * @widths: of the columns, once rows were printed
 */
struct ctl_table {
	unsigned int n_cols;
	uint32_t right;
	size_t n_cells;
	size_t room;
	char **cells;
	int *widths;
};

/* Add one cell; it is copied and made fit for a terminal. */
void ctl_cell(struct ctl_table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Add a row of headings, one for each column. */
void ctl_heads(struct ctl_table *t, const char * const *heads);

/*
 * Print the rows so far; columns do not become narrower afterwards.  CTL_OK or
 * CTL_ERROR.
 */
int ctl_flush_table(struct ctl_table *t);

void ctl_free_table(struct ctl_table *t);

/* Print the table and free it; CTL_OK or CTL_ERROR. */
int ctl_print_table(struct ctl_table *t);

/**
 * ctl_finish - end a subcommand that collected a list
 * @status: of the collecting
 * @list: the list; freed
 * @print: prints it as a table; returns an exit status
 *
 * Return: @status if that is an error, else that of printing.
 */
int ctl_finish(int status, cJSON *list, int (*print)(const cJSON *list));

/* A JSON string of bytes that need not be text: what is no UTF-8 is replaced. */
cJSON *ctl_json_bytes(const void *s, size_t len);

/* Members of an object: 0 and "-" for what is absent. */
double ctl_number(const cJSON *obj, const char *name);
const char *ctl_string(const cJSON *obj, const char *name);

#endif /* MQTTCTL_CTL_H */
