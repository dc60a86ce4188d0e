// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mqttctl: look into kmqtt and steer it.  The table of subcommands, and the
 * command line.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

#ifndef MQTTD_CONTROL
#define MQTTD_CONTROL	"/run/mqttd/control.sock"
#endif

struct ctl_options ctl_options = { .socket = MQTTD_CONTROL };

static const struct ctl_command commands[] = {
	{ "client list", "", 0, 0, "list the connections",
	  "Times are in seconds, queues in bytes. ROUTED and PUNTED count what the\n"
	  "client published: routed by the kernel, or given to mqttd.\n",
	  cmd_client_list, NULL },
	{ "client show", "ID", 1, 1, "show all of a client",
	  "ID is a client id or the number of a connection.\n",
	  cmd_client_show, NULL },
	{ "client kick", "ID", 1, 1, "disconnect a client",
	  "ID is a client id or the number of a connection. mqttd does it; only if\n"
	  "mqttd is away does the kernel close the connection.\n",
	  cmd_client_kick, NULL },
	{ "route list", "", 0, 0, "list what the kernel forwards by",
	  "TARGET is the number of a connection, or the daemon.\n",
	  cmd_route_list, NULL },
	{ "session list", "", 0, 0, "list the sessions",
	  "Those whose client is away included. Times are in seconds, BYTES is what\n"
	  "waits in the queue.\n",
	  cmd_session_list, NULL },
	{ "session show", "ID", 1, 1, "show a session",
	  "ID is a client id.\n",
	  cmd_session_show, NULL },
	{ "session delete", "ID", 1, 1, "forget a session",
	  "ID is a client id. A client that is connected is disconnected. Its will, if\n"
	  "there is one, is published.\n",
	  cmd_session_delete, NULL },
	{ "subscription list", "[ID]", 0, 1, "list the subscriptions",
	  "Of all, or of the client id ID. RH is Retain Handling.\n",
	  cmd_subscription_list, NULL },
	{ "retained list", "[FILTER]", 0, 1, "list the retained messages",
	  "Those whose topics FILTER matches; without it all but those of topics that\n"
	  "begin with $. Times are in seconds; FROM is the client id of the publisher.\n",
	  cmd_retained_list, NULL },
	{ "retained show", "TOPIC", 1, 1, "show a retained message",
	  "\n"
	  "      --payload  write nothing but the payload, as it is\n",
	  cmd_retained_show, retained_option },
	{ "retained clear", "FILTER", 1, 1, "forget retained messages",
	  "All whose topics FILTER matches. Who has subscribed gets an empty message,\n"
	  "as if a client had cleared them.\n",
	  cmd_retained_clear, NULL },
	{ "publish", "", 0, 0, "publish a message",
	  "The options are those of mosquitto_pub:\n"
	  "\n"
	  "  -t, --topic TOPIC      topic\n"
	  "  -m, --message MESSAGE  payload\n"
	  "  -f, --file FILE        take the payload from a file, - for stdin\n"
	  "  -n, --null-message     empty payload\n"
	  "  -q, --qos QOS          0, 1 or 2 (0)\n"
	  "  -r, --retain           retained message\n"
	  "  -D, --property publish NAME VALUE\n"
	  "                         property; NAME is content-type, correlation-data,\n"
	  "                         message-expiry-interval, payload-format-indicator,\n"
	  "                         response-topic or user-property (two values)\n",
	  cmd_publish, publish_option },
	{ "store check", "", 0, 0, "read all of mqttd's store and judge it",
	  "Clients are served meanwhile. Prints what is in the store; one that is\n"
	  "damaged is exit status 1.\n",
	  cmd_store_check, NULL },
	{ "store backup", "FILE", 1, 1, "copy mqttd's store",
	  "Clients are served meanwhile. FILE appears when the copy is complete and on\n"
	  "the disk; it can take the place of the store while mqttd is stopped.\n"
	  "\n"
	  "      --force  replace FILE if it exists\n",
	  cmd_store_backup, store_option },
	{ "stats", "", 0, 0, "print the counters of the module", NULL,
	  cmd_stats, NULL },
	{ "monitor", "", 0, 0, "print connections as they come and go",
	  "One line for each, with -j a JSON object. Ends with Ctrl-C.\n",
	  cmd_monitor, NULL },
	{ "param get", "[NAME]", 0, 1, "print parameters of the module", NULL,
	  cmd_param_get, NULL },
	{ "param set", "NAME VALUE", 2, 2, "change a parameter of the module",
	  "VALUE is a number, on or off.\n",
	  cmd_param_set, NULL },
};

static void print_help(void)
{
	size_t i;

	printf("Usage: mqttctl [-j] [-s PATH] COMMAND [ARGUMENTS]\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-17s %-10s %s\n", commands[i].name, commands[i].args,
		       commands[i].help);
	printf("\n"
	       "  -j, --json         print JSON\n"
	       "  -s, --socket PATH  control socket of mqttd (%s)\n"
	       "      --version      print the version and exit\n"
	       "  -h, --help         print this, or the help of a command, and exit\n"
	       "\n"
	       "Exit status: 0 done, 1 error, 2 command line, 3 module, daemon or\n"
	       "permission missing, 4 no such client, session, message, parameter or store.\n",
	       MQTTD_CONTROL);
}

static void print_command_help(const struct ctl_command *cmd)
{
	printf("Usage: mqttctl [-j] [-s PATH] %s%s%s\n\n%s\n", cmd->name,
	       *cmd->args ? " " : "", cmd->args, cmd->help);
	if (cmd->more)
		fputs(cmd->more, stdout);
}

static int usage(const char *what, const char *arg)
{
	ctl_fail(CTL_USAGE, "%s%s%s%s", what, arg ? " \"" : "", arg ? arg : "",
		 arg ? "\"" : "");
	fputs("Try 'mqttctl --help'.\n", stderr);
	return CTL_USAGE;
}

/* Does @cmd begin the words?  How many of them is its name, 0 if not. */
static int match(const struct ctl_command *cmd, char **words, int n)
{
	size_t len = strcspn(cmd->name, " ");

	if (n < 1 || strlen(words[0]) != len ||
	    strncmp(cmd->name, words[0], len))
		return 0;
	if (!cmd->name[len])
		return 1;
	return n > 1 && !strcmp(cmd->name + len + 1, words[1]) ? 2 : 0;
}

/* The group of commands that @word begins, for the error and the help. */
static int print_group(const char *word, FILE *out)
{
	size_t len = strlen(word), i;
	int n = 0;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strncmp(commands[i].name, word, len) ||
		    commands[i].name[len] != ' ')
			continue;
		fprintf(out, "  mqttctl %s%s%s\n", commands[i].name,
			*commands[i].args ? " " : "", commands[i].args);
		n++;
	}
	return n;
}

static int no_command(char **words, int n, bool help)
{
	if (n == 1 && help && print_group(words[0], stdout))
		return CTL_OK;
	if (!print_group(words[0], stderr))
		return usage("unknown command", words[0]);
	return n == 1 ? usage("one of the above is wanted after", words[0]) :
			usage("one of the above is wanted, not", words[1]);
}

/* The command that the words so far begin with, or NULL. */
static const struct ctl_command *find(char **words, int n, int *used)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		*used = match(&commands[i], words, n);
		if (*used)
			return &commands[i];
	}
	return NULL;
}

static int dispatch(char **words, int n, bool help)
{
	int used;
	const struct ctl_command *cmd = find(words, n, &used);

	if (!cmd)
		return no_command(words, n, help);
	if (help) {
		print_command_help(cmd);
		return CTL_OK;
	}
	if (n - used < cmd->min_args || n - used > cmd->max_args) {
		fprintf(stderr, "Usage: mqttctl %s%s%s\n", cmd->name,
			*cmd->args ? " " : "", cmd->args);
		return usage(n - used < cmd->min_args ? "an argument is missing" :
			     "too many arguments:", n - used < cmd->min_args ?
			     NULL : words[used + cmd->max_args]);
	}
	return cmd->run(words + used);
}

/*
 * Take one option, @cmd's own included; how many words of @argv it is, 0 if
 * none, -1 if wrong.
 */
static int take_option(const struct ctl_command *cmd, char **argv, bool *help,
		       bool *version)
{
	const char *a = argv[0];
	int used = cmd && cmd->option && a[0] == '-' ? cmd->option(argv) : 0;

	if (used)
		return used;

	if (!strcmp(a, "-j") || !strcmp(a, "--json")) {
		ctl_options.json = true;
	} else if (!strcmp(a, "-h") || !strcmp(a, "--help")) {
		*help = true;
	} else if (!strcmp(a, "--version")) {
		*version = true;
	} else if (!strcmp(a, "-s") || !strcmp(a, "--socket")) {
		ctl_options.socket = argv[1];
		if (!argv[1])
			usage("a path is missing after", a);
		return argv[1] ? 2 : -1;
	} else if (a[0] == '-' && a[1] && !isdigit((unsigned char)a[1])) {
		usage("unknown option", a);
		return -1;
	} else {
		return 0;
	}
	return 1;
}

/*
 * Options may stand anywhere before "--"; what is left moves to the front.
 * Returns the number of words, or -1 after an error.
 */
static int take_options(int argc, char **argv, bool *help, bool *version)
{
	bool words_only = false;
	int i = 1, n = 0, used, named;

	while (i < argc) {
		if (!words_only && !strcmp(argv[i], "--")) {
			words_only = true;
			i++;
			continue;
		}
		used = words_only ? 0 : take_option(find(argv, n, &named), argv + i,
						    help, version);
		if (used < 0)
			return -1;
		if (!used)
			argv[n++] = argv[i];
		i += used ? used : 1;
	}
	argv[n] = NULL;
	return n;
}

int main(int argc, char **argv)
{
	bool help = false, version = false;
	int n = take_options(argc, argv, &help, &version);

	if (n < 0)
		return CTL_USAGE;
	signal(SIGPIPE, SIG_DFL);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (version) {
		printf("mqttctl %s\n", KMQTT_VERSION);
		return CTL_OK;
	}
	if (!n && help) {
		print_help();
		return CTL_OK;
	}
	if (!n)
		return usage("a command is missing", NULL);
	return dispatch(argv, n, help);
}
