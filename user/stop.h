/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of the daemon.
 */
#ifndef MQTTD_STOP_H
#define MQTTD_STOP_H

#include <stdbool.h>
#include <event2/event.h>

void stop_init(struct event_base *base);
/* See broker_stop(). */
void stop_begin(bool handover);
/* No new connections any more. */
bool stop_begun(void);
/* There is nothing left to do it with: end the loop at once. */
void stop_failed(void);
/* Did the daemon end by stop_failed()? */
bool stop_has_failed(void);

#endif /* MQTTD_STOP_H */
