/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes a process a daemon: signals, systemd's notifications, reload,
 * pid file, leaving the terminal.
 */
#ifndef MQTTD_DAEMON_H
#define MQTTD_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <event2/event.h>

#include "conf.h"

/**
 * struct daemon_options - the command line
 * @conf_path: -c, or NULL
 * @port: -p, or 0
 * @detach: -d
 * @verbose: -v
 * @load_only: --load-only
 */
struct daemon_options {
	const char *conf_path;
	uint16_t port;
	bool detach;
	bool verbose;
	bool load_only;
};

/**
 * daemon_load - read the configuration that the command line asks for
 *
 * Returns it, or NULL; then what is wrong was written to @report.
 */
struct conf *daemon_load(const struct daemon_options *opts, FILE *report);

/**
 * daemon_detach - go on in a child, away from the terminal
 *
 * The parent waits until daemon_ready() or the child's end and exits with 0
 * or the child's exit status.  Returns in the child; 0 or -errno.
 */
int daemon_detach(void);

/**
 * daemon_start - handle signals and feed systemd's watchdog
 * @base: the event loop
 * @opts: stays valid as long as the loop runs
 *
 * Returns 0 or -errno.
 */
int daemon_start(struct event_base *base, const struct daemon_options *opts);

/* Clients can connect: tell systemd, or the parent. */
void daemon_ready(void);

/**
 * daemon_reload - read the configuration anew
 *
 * Returns 0, or -1 if it has errors: they are logged, the former one stays.
 */
int daemon_reload(void);

/* Write the pid file; 0 or -errno, then logged. */
int daemon_pid_file(const char *path);

/* Free what daemon_start() made. */
void daemon_stop(void);

#endif /* MQTTD_DAEMON_H */
