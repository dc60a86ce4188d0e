// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mqttd: the control plane of kmqtt.  The command line, and the order in
 * which the parts start and stop.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "broker.h"
#include "conf-table.h"
#include "control.h"
#include "daemon.h"
#include "listener.h"
#include "log.h"
#include "password.h"

/* Exit status; mqttd(8) and the systemd unit know the numbers. */
enum {
	EXIT_USAGE = 2,
	EXIT_CONF = 3,
};

static const char help[] =
	"Usage: mqttd [-c FILE] [-d] [-v] [-p PORT]\n"
	"       mqttd --test-config FILE\n"
	"       mqttd [-c FILE] --load-only\n"
	"\n"
	"The control plane of kmqtt, the MQTT broker in the kernel.\n"
	"\n"
	"  -c, --config FILE       configuration, as mqttd.conf(5) says\n"
	"  -d, --daemon            run in the background, log to syslog\n"
	"  -v, --verbose           log everything, as log_type all\n"
	"  -p, --port PORT         port of the default listener (1883), which is\n"
	"                          open to this machine only\n"
	"      --test-config FILE  report what is wrong with FILE and exit\n"
	"      --load-only         load the store, tell what is in it and exit\n"
	"      --version           print the version and exit\n"
	"  -h, --help              print this and exit\n"
	"\n"
	"Exit status: 0 ended as asked, 1 error, 2 command line, 3 configuration.\n";

/* Report the problems of a configuration; the exit status. */
static int test_config(const char *path)
{
	struct daemon_options opts = { .conf_path = path };
	struct conf *conf = daemon_load(&opts, stderr);
	int status = EXIT_CONF;

	if (conf && !password_setup(conf, stderr)) {
		printf("%s: no problems\n", path);
		status = EXIT_SUCCESS;
	}
	password_cleanup();
	conf_free(conf);
	return status;
}

static int usage(const char *text)
{
	if (text)
		fprintf(stderr, "mqttd: %s\n", text);
	fprintf(stderr, "Try 'mqttd --help'.\n");
	return EXIT_USAGE;
}

/* Read the command line; -1 to go on, or the exit status. */
static int parse_args(int argc, char **argv, struct daemon_options *opts)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "daemon", no_argument, NULL, 'd' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "port", required_argument, NULL, 'p' },
		{ "test-config", required_argument, NULL, 't' },
		{ "load-only", no_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	long long port;
	int c;

	while ((c = getopt_long(argc, argv, "c:dvp:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			opts->conf_path = optarg;
			break;
		case 'd':
			opts->detach = true;
			break;
		case 'v':
			opts->verbose = true;
			break;
		case 'p':
			if (!conf_number(optarg, 1, 65535, &port))
				return usage("-p is a port from 1 to 65535");
			opts->port = port;
			break;
		case 't':
			return test_config(optarg);
		case 'l':
			opts->load_only = true;
			break;
		case 'V':
			printf("mqttd %s\n", KMQTT_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return usage(NULL);
		}
	}
	if (optind < argc)
		return usage("there are no arguments but options");
	return -1;
}

/* Every connection passes through us as a descriptor. */
static void raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl))
		log_debug("open files: %s", strerror(errno));
}

/* Configuration, passwords, log, sockets; -1 to go on, or the exit status. */
static int prepare(const struct daemon_options *opts)
{
	struct conf *conf = daemon_load(opts, stderr);
	int rc;

	if (!conf)
		return EXIT_CONF;
	conf_use(conf);
	if (password_setup(conf, stderr))
		return EXIT_CONF;
	if (listener_open(conf, stderr))
		return EXIT_FAILURE;
	rc = opts->detach ? daemon_detach() : 0;
	if (rc) {
		fprintf(stderr, "mqttd: fork: %s\n", strerror(-rc));
		return EXIT_FAILURE;
	}
	rc = log_setup(&conf->log);
	if (rc) {
		fprintf(stderr, "mqttd: log_dest file %s: %s\n", conf->log.file,
			strerror(-rc));
		return EXIT_CONF;
	}
	raise_limits();
	return -1;
}

/* Only the store: no sockets, no kernel. */
static int load_only(const struct daemon_options *opts)
{
	struct conf *conf = daemon_load(opts, stderr);

	if (!conf)
		return EXIT_CONF;
	conf->log.dest = MQTTD_LOG_TO_STDERR;
	conf_use(conf);
	if (log_setup(&conf->log) || broker_load_only())
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

/*
 * The broker comes first: it takes over the connections that the kernel
 * holds before new ones are let in.
 */
static int start(struct event_base *base, const struct daemon_options *opts)
{
	const struct conf *conf = conf_get();
	int rc;

	rc = daemon_start(base, opts);
	if (!rc)
		rc = broker_start(base);
	if (!rc)
		rc = control_start(base, conf->control_socket);
	if (!rc && conf->pid_file)
		rc = daemon_pid_file(conf->pid_file);
	if (!rc)
		rc = listener_start(base);
	return rc;
}

static int run(const struct daemon_options *opts)
{
	struct event_base *base = event_base_new();
	int status = EXIT_FAILURE;

	if (!base) {
		log_err("no event loop; is the limit of open files too low?");
		return status;
	}
	if (!start(base, opts)) {
		log_notice("mqttd %s ready", KMQTT_VERSION);
		daemon_ready();
		if (event_base_dispatch(base) >= 0 && !broker_failed())
			status = EXIT_SUCCESS;
	}
	control_stop();
	broker_free();
	daemon_stop();
	listener_close();
	event_base_free(base);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon_options opts = { };
	int status = parse_args(argc, argv, &opts);

	if (status >= 0)
		return status;
	if (opts.load_only) {
		status = load_only(&opts);
	} else {
		status = prepare(&opts);
		if (status < 0)
			status = run(&opts);
	}
	listener_close();
	password_cleanup();
	conf_use(NULL);
	log_close();
	return status;
}
