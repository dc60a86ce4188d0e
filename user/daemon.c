// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What makes a process a daemon.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "broker.h"
#include "control.h"
#include "listener.h"
#include "log.h"
#include "password.h"
#include "systemd.h"

static const struct daemon_options *options;
static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR2 };

static struct event *signal_events[ARRAY_SIZE(signals)];
static struct event *watchdog;
static int ready_fd = -1;
static bool pid_file_written;

/* ---- configuration ------------------------------------------------------ */

struct conf *daemon_load(const struct daemon_options *opts, FILE *report)
{
	struct conf *conf = conf_load(opts->conf_path, opts->port, report);

	if (!conf)
		return NULL;
	if (opts->port && !conf->listeners[0].local_only) {
		fprintf(report,
			"%s: has listeners of its own; remove -p %u from the command line\n",
			opts->conf_path, opts->port);
		conf_free(conf);
		return NULL;
	}
	if (opts->verbose)
		conf->log.types = MQTTD_LOG_ALL;
	if (opts->detach && !conf->log.dest_set)
		conf->log.dest = MQTTD_LOG_TO_SYSLOG;
	/* For what fails before daemon_ready(), which leads it to nowhere. */
	if (opts->detach)
		conf->log.dest |= MQTTD_LOG_TO_STDERR;
	return conf;
}

static void log_report(char *report)
{
	char *line, *rest = report;

	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_err("%s", line);
}

/* Read and take everything that can change, or nothing; 0 or -1. */
static int load_anew(FILE *report)
{
	struct conf *next = daemon_load(options, report);
	int rc;

	if (!next)
		return -1;
	conf_keep_fixed(next);
	if (password_setup(next, report)) {
		conf_free(next);
		return -1;
	}
	rc = log_setup(&next->log);
	if (rc)
		log_err("%s: %s; the log goes on as before", next->log.file,
			strerror(-rc));
	conf_use(next);
	return 0;
}

int daemon_reload(void)
{
	char *text = NULL;
	size_t size;
	FILE *report = open_memstream(&text, &size);
	int rc;

	if (!report)
		return -1;
	systemd_reloading();
	rc = load_anew(report);
	fclose(report);
	log_report(text);
	free(text);
	if (rc) {
		log_err("the configuration has errors; the former one stays in force");
	} else {
		broker_reload();
		log_notice("configuration reloaded");
	}
	systemd_ready();
	return rc;
}

/* ---- signals ------------------------------------------------------------ */

static void stop(bool handover)
{
	log_notice(handover ? "stopping; the kernel keeps the connections for the next mqttd" :
			      "stopping");
	systemd_stopping();
	listener_close();
	control_stop();
	broker_stop(handover);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	switch (sig) {
	case SIGHUP:
		daemon_reload();
		break;
	case SIGUSR2:
		stop(true);
		break;
	case SIGTERM:
		stop(systemd_restarting());
		break;
	default:
		stop(false);
		break;
	}
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	systemd_alive();
}

static int start_watchdog(struct event_base *base)
{
	uint64_t usec = systemd_watchdog_usec() / 2;
	struct timeval tv = {
		.tv_sec = usec / 1000000,
		.tv_usec = usec % 1000000,
	};

	if (!usec)
		return 0;
	watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	if (!watchdog || event_add(watchdog, &tv))
		return -ENOMEM;
	return 0;
}

int daemon_start(struct event_base *base, const struct daemon_options *opts)
{
	size_t i;

	options = opts;
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		signal_events[i] = evsignal_new(base, signals[i], on_signal,
						NULL);
		if (!signal_events[i] || event_add(signal_events[i], NULL))
			return -ENOMEM;
	}
	return start_watchdog(base);
}

void daemon_stop(void)
{
	const struct conf *conf = conf_get();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		if (signal_events[i])
			event_free(signal_events[i]);
		signal_events[i] = NULL;
	}
	if (watchdog)
		event_free(watchdog);
	watchdog = NULL;
	/* Of a daemon that did not get this far it is another one's. */
	if (conf && conf->pid_file && pid_file_written)
		unlink(conf->pid_file);
	pid_file_written = false;
}

/* ---- away from the terminal --------------------------------------------- */

/* Wait until the child is ready or gone, and say so by the exit status. */
static void wait_for_child(pid_t pid, int fd)
{
	int status;
	char c = 0;

	while (read(fd, &c, 1) < 0 && errno == EINTR)
		;
	if (c)
		_exit(EXIT_SUCCESS);
	/* The pipe closed without a word: the child has ended. */
	if (waitpid(pid, &status, 0) != pid)
		_exit(EXIT_FAILURE);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

int daemon_detach(void)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid) {
		close(fds[1]);
		wait_for_child(pid, fds[0]);
	}
	close(fds[0]);
	ready_fd = fds[1];
	setsid();
	return 0;
}

void daemon_ready(void)
{
	int null;

	systemd_ready();
	if (ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	if (write(ready_fd, "r", 1) != 1)
		log_warning("the process that started mqttd is gone");
	close(ready_fd);
	ready_fd = -1;
}

int daemon_pid_file(const char *path)
{
	FILE *f = fopen(path, "we");
	int error = 0;

	if (!f || fprintf(f, "%d\n", getpid()) < 0)
		error = errno;
	if (f && fclose(f) && !error)
		error = errno;
	if (error)
		log_err("pid_file %s: %s", path, strerror(error));
	else
		pid_file_written = true;
	return -error;
}
