/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log: types, destinations and time stamps as the log_* options
 * of mosquitto.conf name them.
 */
#ifndef MQTTD_LOG_H
#define MQTTD_LOG_H

#include <stdbool.h>

/* Types of messages, a bit each; log_type selects among them. */
#define MQTTD_LOG_ERR		(1U << 0)
#define MQTTD_LOG_WARNING	(1U << 1)
#define MQTTD_LOG_NOTICE	(1U << 2)
#define MQTTD_LOG_INFO		(1U << 3)
#define MQTTD_LOG_DEBUG		(1U << 4)
#define MQTTD_LOG_SUBSCRIBE	(1U << 5)
#define MQTTD_LOG_UNSUBSCRIBE	(1U << 6)
#define MQTTD_LOG_WEBSOCKETS	(1U << 7)
#define MQTTD_LOG_INTERNAL	(1U << 8)
#define MQTTD_LOG_ALL		((1U << 9) - 1)
#define MQTTD_LOG_DEFAULT	(MQTTD_LOG_ERR | MQTTD_LOG_WARNING | \
				 MQTTD_LOG_NOTICE | MQTTD_LOG_INFO)

/* Destinations of messages, a bit each; log_dest adds them up. */
#define MQTTD_LOG_TO_STDERR	(1U << 0)
#define MQTTD_LOG_TO_STDOUT	(1U << 1)
#define MQTTD_LOG_TO_SYSLOG	(1U << 2)
#define MQTTD_LOG_TO_FILE	(1U << 3)

/**
 * struct log_settings - where the log goes and what is in it
 * @dest: MQTTD_LOG_TO_* bits, 0 for none
 * @dest_set: @dest was chosen, it is not the default
 * @types: MQTTD_LOG_* bits
 * @types_set: @types were chosen, they are not the default
 * @file: path for MQTTD_LOG_TO_FILE
 * @facility: 0-7, of syslog's LOG_LOCAL0 and following; -1 is LOG_DAEMON
 * @timestamp: put the time before each line (not for syslog)
 * @timestamp_format: for strftime; NULL gives seconds since the epoch
 */
struct log_settings {
	unsigned int dest;
	bool dest_set;
	unsigned int types;
	bool types_set;
	char *file;
	int facility;
	bool timestamp;
	char *timestamp_format;
};

/**
 * log_setup - use these settings from now on; also reopens the log file
 * @s: the settings, copied
 *
 * Until the first call the log goes to stderr.  Returns 0, or -errno if the
 * file cannot be opened; then the log goes on as before.
 */
int log_setup(const struct log_settings *s);

/* Release what log_setup() holds; the log goes to stderr again. */
void log_close(void);

/* Does anybody read messages of this type?  Saves the making of costly ones. */
bool log_wanted(unsigned int type);

/**
 * log_msg - write one message, without a newline at its end
 * @type: one of MQTTD_LOG_*
 *
 * Control characters that a peer may have put into a name come out as '?',
 * so that nobody forges a line of the log.
 */
void log_msg(unsigned int type, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_err(...)		log_msg(MQTTD_LOG_ERR, __VA_ARGS__)
#define log_warning(...)	log_msg(MQTTD_LOG_WARNING, __VA_ARGS__)
#define log_notice(...)		log_msg(MQTTD_LOG_NOTICE, __VA_ARGS__)
#define log_info(...)		log_msg(MQTTD_LOG_INFO, __VA_ARGS__)
#define log_debug(...)		log_msg(MQTTD_LOG_DEBUG, __VA_ARGS__)

#endif /* MQTTD_LOG_H */
