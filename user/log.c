// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing of the daemon's log.  Each line leaves in one write(2), so that
 * lines of several processes in one file or pipe do not mix.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES	1024
#define STAMP_MAX_BYTES	128

/* Nothing is set up yet, or no more. */
#define LOG_INITIAL { \
	.dest = MQTTD_LOG_TO_STDERR, \
	.types = MQTTD_LOG_DEFAULT, \
	.facility = -1, \
}

static struct log_settings log_now = LOG_INITIAL;
static int log_fd = -1;

static int log_facility(int local)
{
	static const int facilities[] = {
		LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2, LOG_LOCAL3,
		LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7,
	};

	return local < 0 ? LOG_DAEMON : facilities[local];
}

static void log_release(void)
{
	if (log_fd >= 0)
		close(log_fd);
	log_fd = -1;
	if (log_now.dest & MQTTD_LOG_TO_SYSLOG)
		closelog();
	free(log_now.file);
	free(log_now.timestamp_format);
}

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

int log_setup(const struct log_settings *s)
{
	struct log_settings next = *s;
	int fd = -1;

	if (s->dest & MQTTD_LOG_TO_FILE) {
		fd = open(s->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			  0640);
		if (fd < 0)
			return -errno;
	}
	next.file = copy(s->file);
	next.timestamp_format = copy(s->timestamp_format);

	log_release();
	log_now = next;
	log_fd = fd;
	if (log_now.dest & MQTTD_LOG_TO_SYSLOG)
		openlog("mqttd", LOG_PID, log_facility(log_now.facility));
	return 0;
}

void log_close(void)
{
	log_release();
	log_now = (struct log_settings)LOG_INITIAL;
}

bool log_wanted(unsigned int type)
{
	return log_now.dest && (log_now.types & type);
}

static int log_priority(unsigned int type)
{
	switch (type) {
	case MQTTD_LOG_ERR:
		return LOG_ERR;
	case MQTTD_LOG_WARNING:
		return LOG_WARNING;
	case MQTTD_LOG_INFO:
		return LOG_INFO;
	case MQTTD_LOG_DEBUG:
	case MQTTD_LOG_INTERNAL:
		return LOG_DEBUG;
	default:
		return LOG_NOTICE;
	}
}

/* "TIME: ", or nothing if time stamps are off or the format gives nothing. */
static size_t log_stamp(char *buf, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;
	size_t len;

	if (!log_now.timestamp)
		return 0;
	if (!log_now.timestamp_format)
		return snprintf(buf, size, "%lld: ", (long long)now);
	if (!localtime_r(&now, &tm))
		return 0;
	len = strftime(buf, size - 2, log_now.timestamp_format, &tm);
	if (!len)
		return 0;
	memcpy(buf + len, ": ", 2);
	return len + 2;
}

static void log_line(int fd, const char *stamp, size_t stamp_len,
		     const char *text, size_t len)
{
	struct iovec iov[] = {
		{ .iov_base = (char *)stamp, .iov_len = stamp_len },
		{ .iov_base = (char *)text, .iov_len = len },
		{ .iov_base = "\n", .iov_len = 1 },
	};

	/* A log that cannot be written has nowhere to be complained of. */
	if (writev(fd, iov, 3) < 0)
		return;
}

/* Format into @buf and take the sting out; returns the length. */
static size_t log_format(char *buf, size_t size, const char *fmt, va_list ap)
{
	int len = vsnprintf(buf, size, fmt, ap);
	char *p;

	if (len < 0)
		return 0;
	if ((size_t)len >= size) {
		len = size - 1;
		memcpy(buf + len - 3, "...", 3);
	}
	for (p = buf; p < buf + len; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return len;
}

void log_msg(unsigned int type, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES], stamp[STAMP_MAX_BYTES];
	size_t len, stamp_len;
	int saved = errno;
	va_list ap;

	if (!log_wanted(type))
		return;

	va_start(ap, fmt);
	len = log_format(text, sizeof(text), fmt, ap);
	va_end(ap);
	stamp_len = log_stamp(stamp, sizeof(stamp));

	if (log_now.dest & MQTTD_LOG_TO_STDERR)
		log_line(STDERR_FILENO, stamp, stamp_len, text, len);
	if (log_now.dest & MQTTD_LOG_TO_STDOUT)
		log_line(STDOUT_FILENO, stamp, stamp_len, text, len);
	if (log_now.dest & MQTTD_LOG_TO_FILE)
		log_line(log_fd, stamp, stamp_len, text, len);
	if (log_now.dest & MQTTD_LOG_TO_SYSLOG)
		syslog(log_priority(type), "%.*s", (int)len, text);
	errno = saved;
}
