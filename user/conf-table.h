/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of all options, and what its parsing functions share with the
 * reader of files.
 */
#ifndef MQTTD_CONF_TABLE_H
#define MQTTD_CONF_TABLE_H

#include "conf.h"

/**
 * struct conf_parser - the state of reading a configuration
 * @conf: what has been read
 * @fallback: the listener that there is without the option `listener`
 * @cur: the listener that listener options speak of now
 * @fallback_wanted: `port` or `bind_address` asked for it by name
 * @fallback_line: line of the first listener option that went to it, or 0
 * @fallback_option: the name of that option
 * @fallback_path: the file of that option
 * @security_seen: an option of struct conf_security has been read
 * @path: file being read
 * @line: its current line
 * @included: @path was named by include_dir
 * @report: where problems go
 * @problems: how many there were
 */
struct conf_parser {
	struct conf *conf;
	struct conf_listener fallback;
	struct conf_listener *cur;
	bool fallback_wanted;
	unsigned int fallback_line;
	const char *fallback_option;
	char *fallback_path;
	bool security_seen;
	const char *path;
	unsigned int line;
	bool included;
	FILE *report;
	unsigned int problems;
};

/**
 * enum conf_scope - what an option belongs to
 * @CONF_GLOBAL: struct conf
 * @CONF_LISTENER: struct conf_listener
 * @CONF_SECURITY: struct conf_security, the global one or the listener's
 */
enum conf_scope {
	CONF_GLOBAL,
	CONF_LISTENER,
	CONF_SECURITY,
};

/**
 * enum conf_type - how the value is read
 * @CONF_BOOL: true or false, to a bool
 * @CONF_U8: number, to a uint8_t; and so on
 * @CONF_STRING: the rest of the line, to an allocated string
 * @CONF_PARSE: by a function of its own
 * @CONF_ONLY: mqttd knows one of its values
 * @CONF_UNSUPPORTED: Mosquitto knows it, mqttd does not
 */
enum conf_type {
	CONF_BOOL,
	CONF_U8,
	CONF_U16,
	CONF_U32,
	CONF_U64,
	CONF_INT,
	CONF_STRING,
	CONF_PARSE,
	CONF_ONLY,
	CONF_UNSUPPORTED,
};

/**
 * struct conf_option - one option
 * @name: as written in the file
 * @type: how to read its value
 * @scope: which structure it is in
 * @offset: of the field in that structure
 * @min: lowest value of a number
 * @max: highest value of a number
 * @parse: for CONF_PARSE; reports problems itself
 * @only: for CONF_ONLY: the value
 * @why: for CONF_ONLY: why no other, or what to use instead
 */
struct conf_option {
	const char *name;
	enum conf_type type;
	enum conf_scope scope;
	size_t offset;
	long long min;
	long long max;
	void (*parse)(struct conf_parser *p, const struct conf_option *opt,
		      char *value);
	const char *only;
	const char *why;
};

extern const struct conf_option conf_options[];
extern const size_t conf_n_options;

/* Find an option by its name, or NULL. */
const struct conf_option *conf_option_find(const char *name);

/* Report a problem of the current line. */
void conf_problem(struct conf_parser *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Start a listener with the defaults. */
void conf_listener_init(struct conf_listener *lst, uint16_t port);

/* Read the *.conf files of a directory: the option include_dir. */
void conf_include_dir(struct conf_parser *p, const char *dir);

/* Read a whole number between @min and @max; false if it is none. */
bool conf_number(const char *s, long long min, long long max, long long *out);

/* Read "true" or "false" into @out, or report that it is neither. */
void conf_bool(struct conf_parser *p, const struct conf_option *opt,
	       const char *value, bool *out);

/* Where options of security go now: to all or to the current listener. */
struct conf_security *conf_security_current(struct conf_parser *p);

#endif /* MQTTD_CONF_TABLE_H */
