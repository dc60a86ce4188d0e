/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Retained messages that new subscriptions are owed.  Nothing is copied: a
 * subscription has a walk over the retained store, which goes on as its client
 * takes what it is sent.
 */
#ifndef MQTTD_WALK_H
#define MQTTD_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct message;
struct retain_walk;
struct session;
struct subscription;

/*
 * @sub, asked for now, is owed what it matches of all that was stored up to
 * @clock, which is retain_clock() from before its route was there: what was
 * stored later comes live.
 */
void walk_add(struct subscription *sub, uint64_t clock);
/* Its subscription goes; @w may be NULL. */
void walk_drop(struct retain_walk *w);
/* The connection of @s is gone: QoS 0 is owed no longer. */
void walks_offline(struct session *s);
/* It has a connection again, whose routes are still to come. */
void walks_online(struct session *s);

/**
 * struct walk_message - a retained message that a session is owed
 * @msg: the message
 * @qos: QoS it is to be sent at
 * @subid: Subscription Identifier, 0 = none
 */
struct walk_message {
	struct message *msg;
	uint8_t qos;
	uint32_t subid;
};

/*
 * The next one of @s, valid until the store changes, after *@steps steps at
 * most, which are taken off.  It remains the next one until walk_taken().
 * False: the steps were not enough, or no walk is left in @s->walks.
 */
bool walk_next(struct session *s, unsigned int *steps, struct walk_message *next);
void walk_taken(struct session *s);

#endif /* MQTTD_WALK_H */
