/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * queue_qos0_messages: while the client of a session is away, routes to the
 * daemon bring copies of the QoS 0 messages it would get.
 */
#ifndef MQTTD_COPIES_H
#define MQTTD_COPIES_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct message;
struct session;
struct subscription;

/* The client of @s is away from now on. */
void copies_begin(struct session *s);
/* Its client is back, and the routes of the new connection were added. */
void copies_switch(struct client *c);
/* Its client left while copies_switch() was under way. */
void copies_break(struct session *s);
/* @sub, which has a share in a route to the daemon, is being deleted. */
void copies_forget(struct subscription *sub);
/* The daemon ends: routes stay as they are. */
void copies_free(void);

/* Completion of a command: is its token ours? */
bool copies_done(uint64_t token);
/* All events there were when the dump that is over ended have been handled. */
void copies_drained(void);

/* @m, QoS 0, was INJECTed: sessions whose client is away get it from here. */
void copies_publish(struct message *m, const struct session *source);
/* A former daemon left a route to the daemon with this filter. */
void copies_adopt(const char *filter);

#endif /* MQTTD_COPIES_H */
