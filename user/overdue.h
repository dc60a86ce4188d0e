/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers that clients owe for too long: retry_interval and max_pubrel_wait.
 */
#ifndef MQTTD_OVERDUE_H
#define MQTTD_OVERDUE_H

#include <stdint.h>

struct client;
struct event_base;
struct pubrels;

void overdue_init(struct event_base *base);
void overdue_free(void);
/* The options may have changed. */
void overdue_reload(void);

/* @c was accepted, with its session. */
void overdue_open(struct client *c);
/* It is being freed. */
void overdue_forget(struct client *c);
/* It owes a PUBREL from now on; no longer. */
void overdue_owes(struct client *c, uint16_t packet_id);
void overdue_paid(struct client *c, uint16_t packet_id);

#endif /* MQTTD_OVERDUE_H */
