/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to mqttd over its control socket.
 */
#ifndef MQTTCTL_DAEMON_H
#define MQTTCTL_DAEMON_H

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

/* Say that the daemon is not running; returns CTL_MISSING. */
int daemon_away(void);

#endif /* MQTTCTL_DAEMON_H */
