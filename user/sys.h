/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The $SYS topics: what the broker tells of itself, under the names that
 * Mosquitto gave them and with the sense they have there.
 */
#ifndef MQTTD_SYS_H
#define MQTTD_SYS_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

/*
 * Publish them now and every sys_interval, if there is one.  To be called when
 * the kernel serves us.
 */
void sys_start(struct event_base *base);
/* The configuration was read anew. */
void sys_reload(void);
void sys_stop(void);

/* A client sent CONNECT. */
void sys_connect_seen(void);

/* Is this a topic of $SYS?  The store does not keep it. */
bool sys_topic(const char *topic, size_t len);
/*
 * May clients not publish to it?  The server's own topics are closed to them,
 * but for those where bridges say whether they are connected.
 */
bool sys_forbids(const char *topic, size_t len);

/**
 * struct sys_load - a moving average of a rate per minute
 * @value: the average now
 * @seconds: the time it looks back, as an exponent
 */
struct sys_load {
	double value;
	double seconds;
};

/*
 * Take in @rate of the last @elapsed seconds; returns whether the average has
 * changed by as much as it is printed with.
 */
bool sys_load_update(struct sys_load *load, double rate, double elapsed);

#endif /* MQTTD_SYS_H */
