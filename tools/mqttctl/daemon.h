/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to mqttd over its control socket.
 */
#ifndef MQTTCTL_DAEMON_H
#define MQTTCTL_DAEMON_H

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

/* In place of an exit status: there is no daemon to ask. */
#define DAEMON_AWAY	(-1)

/**
 * daemon_ask - ask mqttd
 * @question: {"cmd": ...}; freed
 * @result: the result, for cJSON_Delete(); may be NULL
 *
 * Returns an exit status, then what is wrong has been printed, or
 * DAEMON_AWAY without a word: see daemon_away().
 */
int daemon_ask(cJSON *question, cJSON **result);

/* The same of a list: @next says what the next page begins with, if there is one. */
int daemon_ask_page(cJSON *question, cJSON **result, cJSON **next);

/* The same with a payload that follows; free it. */
int daemon_ask_payload(cJSON *question, cJSON **result, uint8_t **payload, size_t *len);

/* As daemon_ask(), however long it takes; @fd goes along if it is not -1. */
int daemon_ask_patiently(cJSON *question, int fd, cJSON **result);

/* Give it a PUBLISH packet of 5.0 to publish. */
int daemon_publish(const uint8_t *packet, size_t len);

/* Say that the daemon is not running; returns CTL_MISSING. */
int daemon_away(void);

#endif /* MQTTCTL_DAEMON_H */
