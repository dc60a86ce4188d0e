/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets that listen, and the accepting of connections from them.
 */
#ifndef MQTTD_LISTENER_H
#define MQTTD_LISTENER_H

#include <stdio.h>

#include <event2/event.h>

#include "conf.h"

/**
 * listener_open - bind all listeners of a configuration
 * @report: each problem is written there as a line
 *
 * Connections queue up, but none is accepted yet.  Returns 0, or -1 if one
 * of them could not be bound; then none is.
 */
int listener_open(const struct conf *conf, FILE *report);

/**
 * listener_start - begin to accept
 * @base: the event loop
 *
 * Returns 0 or -errno.
 */
int listener_start(struct event_base *base);

/* Stop accepting and close the sockets. */
void listener_close(void);

#endif /* MQTTD_LISTENER_H */
