// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line. One table holds each option's letter, argument and help
 * text, so that --help, getopt and the man page cannot drift apart unseen.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "macros.h"
#include "options.h"
#include "scenario.h"

/* Options without a letter. */
enum {
	OPT_HELP = 256, OPT_SUB_QOS, OPT_PUB_PROTOCOL, OPT_SUB_PROTOCOL,
	OPT_PARALLEL, OPT_INFLIGHT, OPT_PER_WRITE, OPT_WINDOW, OPT_TIMEOUT,
	OPT_DRAIN, OPT_PID, OPT_LATENCY, OPT_JSON, OPT_PROGRESS
};

static const struct opt {
	const char *name;
	int key;
	const char *arg;	/* NULL: takes none */
	const char *help;
	bool publish_only;	/* has no meaning in connect and idle */
} table[] = {
	{ "host", 'h', "HOST", "broker's name or address (localhost)", false },
	{ "port", 'p', "PORT", "broker's TCP port (1883)", false },
	{ "protocol", 'V', "LIST", "3.1, 3.1.1 or 5.0, or several separated by commas that\n"
	  "the clients take in turn (3.1.1)", false },
	{ "pub-protocol", OPT_PUB_PROTOCOL, "LIST", "the same for publishers only", true },
	{ "sub-protocol", OPT_SUB_PROTOCOL, "LIST", "the same for subscribers only", true },
	{ "username", 'u', "NAME", "user name of all clients", false },
	{ "password", 'P', "TEXT", "password of all clients", false },
	{ "id", 'i', "PREFIX", "first part of the client identifiers (mbPID)", false },
	{ "keepalive", 'k', "SECONDS", "keep alive, 0 for none (60)", false },
	{ "clients", 'n', "N", "connections of connect and idle, subscribers of fanout,\n"
	  "publishers of fanin, pairs of pair (100)", false },
	{ "peers", 'm', "N", "publishers of fanout, subscribers of fanin (1)", true },
	{ "parallel", OPT_PARALLEL, "N", "connections being made at a time (64)", false },
	{ "topic-prefix", 't', "TOPIC", "first levels of all topics (mqttbench)", true },
	{ "size", 's', "BYTES", "payload size (256)", true },
	{ "qos", 'q', "0|1|2", "QoS of publishers, and of subscribers without --sub-qos (0)",
	  true },
	{ "sub-qos", OPT_SUB_QOS, "0|1|2", "QoS asked for by subscribers", true },
	{ "inflight", OPT_INFLIGHT, "N", "unacknowledged QoS 1 and 2 messages of a publisher (20)",
	  true },
	{ "mode", 'M', "MODE", "burst: 16 KB writes, closed window (default)\n"
	  "single: a message is sent after all have received the last\n"
	  "flood: 16 KB writes as fast as the socket takes them\n"
	  "paced: at the times that --rate gives", true },
	{ "per-write", OPT_PER_WRITE, "N", "messages of one write, at most", true },
	{ "window", OPT_WINDOW, "N", "messages of a publisher that not all have received yet,\n"
	  "at most (single: one write, burst: two writes)", true },
	{ "rate", 'r', "N", "messages a second of all publishers together, implies\n"
	  "--mode paced; connect, idle: new connections a second", false },
	{ "count", 'c', "N", "messages of each publisher; connect: connections in all", false },
	{ "duration", 'd', "SECONDS", "publish, connect or stay idle so long (5 if no --count)",
	  false },
	{ "drain", OPT_DRAIN, "SECONDS", "what has not come after so long without progress is\n"
	  "lost (5)", false },
	{ "timeout", OPT_TIMEOUT, "SECONDS", "end the whole run after so long (duration + 60)",
	  false },
	{ "latency", OPT_LATENCY, NULL, "measure latency by a time stamp in the payload, which\n"
	  "must have 16 bytes or more", true },
	{ "pid", OPT_PID, "PID", "report this process's CPU time and memory as the broker's;\n"
	  "may be given several times", false },
	{ "json", 'j', NULL, "print the result as a JSON object", false },
	{ "progress", OPT_PROGRESS, NULL, "print progress each second although stderr is no tty",
	  false },
	{ "help", OPT_HELP, NULL, "print this text", false },
};

#define TABLE_LEN	ARRAY_SIZE(table)

static const char * const mode_names[] = {
	[MODE_BURST] = "burst",
	[MODE_SINGLE] = "single",
	[MODE_FLOOD] = "flood",
	[MODE_PACED] = "paced",
};

const char *options_mode_name(enum mode mode)
{
	return mode_names[mode];
}

static void print_help_text(const char *text)
{
	const char *end;

	for (; (end = strchr(text, '\n')); text = end + 1)
		printf("%.*s\n%26s", (int)(end - text), text, "");
	puts(text);
}

static void print_help(void)
{
	char left[64];
	size_t i;

	puts("Usage: mqttbench [OPTION]... SCENARIO\n"
	     "Load an MQTT broker and report what it delivered, lost and cost.\n\n"
	     "Scenarios:");
	for (i = 0; scenarios[i]; i++)
		printf("  %-9s %s\n", scenarios[i]->name, scenarios[i]->help);
	puts("\nOptions (default in parentheses):");
	for (i = 0; i < TABLE_LEN; i++) {
		const struct opt *t = &table[i];

		snprintf(left, sizeof(left), "%c%c%c --%s%s%s",
			 t->key < 256 ? '-' : ' ', t->key < 256 ? t->key : ' ',
			 t->key < 256 ? ',' : ' ', t->name, t->arg ? " " : "",
			 t->arg ? t->arg : "");
		printf("  %-23s ", left);
		print_help_text(t->help);
	}
	puts("\nExit status: 0 all delivered, 1 loss or failure, 2 wrong usage.");
}

__printf(2, 3)
static int usage(const char *option, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "mqttbench: option --%s: ", option);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 2;
}

static int get_uint(const char *name, const char *arg, __u64 min, __u64 max, __u64 *v)
{
	char *end;

	errno = 0;
	*v = strtoull(arg, &end, 10);
	if (errno || end == arg || *end || strchr(arg, '-') || *v < min || *v > max)
		return usage(name, "'%s' is not a number from %llu to %llu", arg, min, max);
	return 0;
}

static int get_unsigned(const char *name, const char *arg, __u64 min, __u64 max,
			unsigned int *v)
{
	__u64 wide;
	int err = get_uint(name, arg, min, max, &wide);

	if (!err)
		*v = wide;
	return err;
}

static int get_positive(const char *name, const char *arg, double max, double *v)
{
	char *end;

	*v = strtod(arg, &end);
	if (end == arg || *end || !(*v > 0 && *v <= max))
		return usage(name, "'%s' is not a number above 0 and up to %.0f", arg, max);
	return 0;
}

/* The spellings of mosquitto_pub and of the specifications. */
static __u8 level_of(const char *s, size_t len)
{
	static const struct {
		const char *name;
		__u8 level;
	} names[] = {
		{ "31", MQTT_31 }, { "3.1", MQTT_31 }, { "mqttv31", MQTT_31 },
		{ "311", MQTT_311 }, { "3.1.1", MQTT_311 }, { "mqttv311", MQTT_311 },
		{ "5", MQTT_5 }, { "5.0", MQTT_5 }, { "mqttv5", MQTT_5 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i].name) == len && !strncmp(names[i].name, s, len))
			return names[i].level;
	return 0;
}

static int get_levels(const char *name, const char *arg, struct levels *l)
{
	const char *s = arg;
	size_t len;
	__u8 level;

	for (l->n = 0; ; s += len + 1) {
		len = strcspn(s, ",");
		level = level_of(s, len);
		if (!level)
			return usage(name, "'%.*s' is not 3.1, 3.1.1 or 5.0", (int)len, s);
		if (l->n == LIST_MAX)
			return usage(name, "more than %d versions", LIST_MAX);
		l->level[l->n++] = level;
		if (!s[len])
			return 0;
	}
}

static int get_mode(const char *name, const char *arg, enum mode *mode)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (!strcmp(mode_names[i], arg)) {
			*mode = i;
			return 0;
		}
	}
	return usage(name, "'%s' is not burst, single, flood or paced", arg);
}

static int get_prefix(const char *name, const char *arg, const char **prefix)
{
	*prefix = arg;
	if (!*arg || strlen(arg) > 200 || strpbrk(arg, "+#") || *arg == '$')
		return usage(name, "'%s' is not 1 to 200 bytes without + and # and a leading $",
			     arg);
	return 0;
}

static int get_text(const char *name, const char *arg, size_t max, const char **text)
{
	*text = arg;
	if (strlen(arg) > max)
		return usage(name, "longer than %zu bytes", max);
	return 0;
}

static int get_pid(const char *name, const char *arg, struct options *o)
{
	unsigned int pid;

	if (get_unsigned(name, arg, 1, 1U << 22, &pid))
		return 2;
	if (o->npids == LIST_MAX)
		return usage(name, "given more than %d times", LIST_MAX);
	o->pids[o->npids++] = pid;
	return 0;
}

/* Options of the connections. Returns -1 if @key is none of them. */
static int set_connection(struct options *o, int key, const char *name, const char *arg)
{
	unsigned int port;

	switch (key) {
	case 'h':
		return get_text(name, arg, 255, &o->host);
	case 'p':
		o->port = arg;
		return get_unsigned(name, arg, 1, 65535, &port);
	case 'V':
		if (get_levels(name, arg, &o->pub_levels))
			return 2;
		o->sub_levels = o->pub_levels;
		return 0;
	case OPT_PUB_PROTOCOL:
		return get_levels(name, arg, &o->pub_levels);
	case OPT_SUB_PROTOCOL:
		return get_levels(name, arg, &o->sub_levels);
	case 'u':
		return get_text(name, arg, 65535, &o->username);
	case 'P':
		return get_text(name, arg, 65535, &o->password);
	case 'i':
		/* 3.1 ends at 23 bytes; letter and number take up to 8. */
		return get_text(name, arg, 15, &o->id);
	case 'k':
		return get_unsigned(name, arg, 0, 65535, &o->keepalive);
	case 'n':
		return get_unsigned(name, arg, 1, 1000000, &o->clients);
	case 'm':
		return get_unsigned(name, arg, 1, 1000000, &o->peers);
	case OPT_PARALLEL:
		return get_unsigned(name, arg, 1, 1000000, &o->parallel);
	}
	return -1;
}

/* Options of the messages. Returns -1 if @key is none of them. */
static int set_messages(struct options *o, int key, const char *name, const char *arg)
{
	switch (key) {
	case 't':
		return get_prefix(name, arg, &o->prefix);
	case 's':
		return get_unsigned(name, arg, 0, 256 << 20, &o->size);
	case 'q':
		return get_unsigned(name, arg, 0, 2, &o->qos);
	case OPT_SUB_QOS:
		return get_unsigned(name, arg, 0, 2, &o->sub_qos);
	case OPT_INFLIGHT:
		return get_unsigned(name, arg, 1, 65535, &o->inflight);
	case 'M':
		return get_mode(name, arg, &o->mode);
	case OPT_PER_WRITE:
		return get_unsigned(name, arg, 1, 65536, &o->per_write);
	case OPT_WINDOW:
		return get_unsigned(name, arg, 1, 1U << 30, &o->window);
	case OPT_LATENCY:
		o->latency = true;
		return 0;
	}
	return -1;
}

/* Options of the run and its report. */
static int set_run(struct options *o, int key, const char *name, const char *arg)
{
	switch (key) {
	case 'r':
		return get_positive(name, arg, 1e9, &o->rate);
	case 'c':
		return get_uint(name, arg, 1, 1ULL << 40, &o->count);
	case 'd':
		return get_positive(name, arg, 1e6, &o->duration);
	case OPT_DRAIN:
		return get_positive(name, arg, 1e6, &o->drain);
	case OPT_TIMEOUT:
		return get_positive(name, arg, 1e7, &o->timeout);
	case OPT_PID:
		return get_pid(name, arg, o);
	case 'j':
		o->json = true;
		return 0;
	case OPT_PROGRESS:
		o->progress = true;
		return 0;
	}
	return -1;
}

static int set_option(struct options *o, const struct opt *t, const char *arg)
{
	int err = set_connection(o, t->key, t->name, arg);

	if (err < 0)
		err = set_messages(o, t->key, t->name, arg);
	if (err < 0)
		err = set_run(o, t->key, t->name, arg);
	return err;
}

static int check_modes(struct options *o, bool mode_given)
{
	if (o->rate && !mode_given)
		o->mode = MODE_PACED;
	if (o->mode == MODE_PACED && !o->rate)
		return usage("mode", "paced needs --rate");
	if (o->mode != MODE_PACED && o->rate)
		return usage("rate", "only with --mode paced, not %s", mode_names[o->mode]);
	if (o->window && (o->mode == MODE_PACED || o->mode == MODE_FLOOD))
		return usage("window", "not with --mode %s, which has none", mode_names[o->mode]);
	if (o->window && o->per_write > o->window)
		return usage("window", "smaller than --per-write %u", o->per_write);
	if (!o->per_write && (o->mode == MODE_SINGLE || o->mode == MODE_PACED))
		o->per_write = 1;
	if ((__u64)o->per_write * (o->size + 512ULL) > 1U << 30)
		return usage("per-write", "%u messages of %u bytes are more than 1 GiB",
			     o->per_write, o->size);
	return 0;
}

static bool has_level_3(const struct levels *l)
{
	unsigned int i;

	for (i = 0; i < l->n; i++)
		if (l->level[i] != MQTT_5)
			return true;
	return false;
}

/* Checks what concerns more than one option, and fills in the rest. */
static int check_options(struct options *o, const bool *given, const struct opt **by_key)
{
	bool publishes = o->scenario->publishes;
	size_t i;

	for (i = 0; i < TABLE_LEN; i++)
		if (given[i] && table[i].publish_only && !publishes)
			return usage(table[i].name, "has no meaning in %s", o->scenario->name);
	for (i = 0; i < TABLE_LEN; i++)
		if (given[i] && o->scenario->serve && table[i].key != 'h' && table[i].key != 'p')
			return usage(table[i].name, "has no meaning in %s", o->scenario->name);
	if (o->qos && o->scenario == &scenario_write)
		return usage("qos", "nobody acknowledges in write");
	if (o->count && o->scenario == &scenario_idle)
		return usage("count", "has no meaning in idle");
	if (o->latency && o->size < 16)
		return usage("latency", "needs --size 16 or more, not %u", o->size);
	if (o->password && !o->username &&
	    (has_level_3(&o->pub_levels) || has_level_3(&o->sub_levels)))
		return usage("password", "needs --username in MQTT 3.1 and 3.1.1");
	if (o->sub_qos > 2)
		o->sub_qos = o->qos;
	if (!o->count && !o->duration)
		o->duration = 5;
	if (!o->timeout)
		o->timeout = o->duration + 60;
	if (o->duration > o->timeout)
		return usage("timeout", "%g s is less than --duration %g s", o->timeout,
			     o->duration);
	return publishes ? check_modes(o, given[by_key['M'] - table]) : 0;
}

static void set_defaults(struct options *o)
{
	static char id[16];

	snprintf(id, sizeof(id), "mb%d", getpid());
	*o = (struct options){
		.host = "localhost", .port = "1883", .id = id, .prefix = "mqttbench",
		.pub_levels = { { MQTT_311 }, 1 }, .sub_levels = { { MQTT_311 }, 1 },
		.clients = 100, .peers = 1, .parallel = 64, .keepalive = 60,
		.size = 256, .sub_qos = 3, .inflight = 20, .drain = 5,
		.progress = isatty(STDERR_FILENO),
	};
}

/* getopt's two forms of the table. */
static void make_getopt(struct option *longs, char *shorts, const struct opt **by_key)
{
	size_t i;

	*shorts++ = ':';
	for (i = 0; i < TABLE_LEN; i++) {
		const struct opt *t = &table[i];

		longs[i] = (struct option){ t->name, t->arg ? required_argument : no_argument,
					    NULL, t->key };
		by_key[t->key] = t;
		if (t->key >= 256)
			continue;
		*shorts++ = t->key;
		if (t->arg)
			*shorts++ = ':';
	}
}

static int bad_option(int c, char **argv, const struct opt **by_key)
{
	if (c == ':' && optopt < 512 && by_key[optopt])
		return usage(by_key[optopt]->name, "needs an argument");
	if (optopt && optopt < 256 && !by_key[optopt])
		fprintf(stderr, "mqttbench: unknown option -%c", optopt);
	else
		fprintf(stderr, "mqttbench: unknown, ambiguous or badly used option %s",
			argv[optind - 1]);
	fputs("; --help lists all\n", stderr);
	return 2;
}

static int get_scenario(struct options *o, int argc, char **argv)
{
	if (optind == argc) {
		fputs("mqttbench: no scenario given; --help lists all\n", stderr);
		return 2;
	}
	o->scenario = scenario_find(argv[optind]);
	if (!o->scenario) {
		fprintf(stderr, "mqttbench: unknown scenario '%s'; --help lists all\n",
			argv[optind]);
		return 2;
	}
	if (optind + 1 < argc) {
		fprintf(stderr, "mqttbench: unexpected argument '%s' after the scenario\n",
			argv[optind + 1]);
		return 2;
	}
	return 0;
}

int options_parse(struct options *o, int argc, char **argv)
{
	struct option longs[TABLE_LEN + 1] = { 0 };
	const struct opt *by_key[512] = { 0 };
	char shorts[2 * TABLE_LEN + 2] = "";
	bool given[TABLE_LEN] = { 0 };
	int c, err;

	make_getopt(longs, shorts, by_key);
	set_defaults(o);
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return bad_option(c, argv, by_key);
		if (c == OPT_HELP) {
			print_help();
			return 1;
		}
		given[by_key[c] - table] = true;
		err = set_option(o, by_key[c], optarg);
		if (err)
			return err;
	}
	err = get_scenario(o, argc, argv);
	return err ? err : check_options(o, given, by_key);
}
