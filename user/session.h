/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions: what belongs to a client id, whether its client is connected or
 * not.  All changes go through these functions and those of inflight.h.
 */
#ifndef MQTTD_SESSION_H
#define MQTTD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>

#include "list.h"
#include "map.h"

#define SESSION_NEVER	UINT32_MAX	/* Session Expiry Interval: does not expire */

struct client;
struct store_session;
struct will;

/**
 * struct session - a session
 *
 * Made by an accepted CONNECT, lives until its connection has closed and its
 * Session Expiry Interval is over.
 *
 * @entry: by @id
 * @id: client id
 * @client: the connection it has at present, or NULL
 * @stored: it is in the store
 * @protocol: protocol level of its last connection
 * @expiry: Session Expiry Interval, seconds
 * @subs: subscriptions
 * @n_subs: how many
 * @subs_bytes: what they are charged with
 * @will: waits for its delay while the client is away
 * @timer: runs to @will_at or @expires_at, whichever is first
 * @will_at: clock_ms()
 * @expires_at: clock_ms(), 0 = never
 * @inflight: outgoing messages with a packet id, and QoS 0 not yet accepted
 * @queue: outgoing QoS 1/2 messages that wait for @window
 * @walks: retained messages that new subscriptions are owed
 * @turn: in the list of those that go on in a later turn of the loop
 * @by_id: those of @inflight with a packet id, by it
 * @ready: those of @inflight that are to be given to the kernel, in order
 * @ready_live: likewise those that wait at the gate
 * @awaited: those of @inflight that the client is to answer, by QoS 1 and 2, in the
 *	order in which it was sent them last
 * @n_inflight: how many of @inflight have a packet id
 * @n_owed: how many of @inflight pass the gate and the kernel has not taken
 * @inflight_bytes: payload of those in @inflight with a packet id
 * @n_queue: how many there are in @queue
 * @n_walks: how many of @walks are owed QoS 1/2
 * @queue_bytes: payload of those in @queue
 * @window: Receive Maximum towards the client
 * @packet_id: last one given
 * @pos: last place in the store given
 * @number: last number of a DELIVER given, without the bit that tells LIVE
 * @switching: its client is back, and copies still come for it
 * @switched: in the list of those that wait for a whole dump of events
 * @inbound: bit map of QoS 2 packet ids received and not released, or NULL
 * @n_inbound: how many
 * @dropped: messages not queued because of the limits
 * @expired: messages that expired before they could be sent
 * @match_mark: walk of the RIB that met it last
 * @match_index: where it is among the destinations of that walk
 */
struct session {
	struct map_entry entry;
	char *id;
	struct client *client;
	bool stored;
	uint8_t protocol;
	uint32_t expiry;
	struct list subs;
	size_t n_subs;
	size_t subs_bytes;
	struct will *will;
	struct event *timer;
	uint64_t will_at;
	uint64_t expires_at;
	struct list inflight;
	struct list queue;
	struct list walks;
	struct list turn;
	struct map by_id;
	struct list ready;
	struct list ready_live;
	struct list awaited[2];
	unsigned int n_inflight;
	unsigned int n_owed;
	unsigned int n_queue;
	unsigned int n_walks;
	size_t inflight_bytes;
	size_t queue_bytes;
	uint16_t window;
	uint16_t packet_id;
	uint64_t pos;
	uint64_t number;
	bool switching;
	struct list switched;
	uint8_t *inbound;
	unsigned int n_inbound;
	uint64_t dropped;
	uint64_t expired;
	uint64_t match_mark;
	size_t match_index;
};

/* @base: for the timers of wills and expiries. */
void sessions_init(struct event_base *base);
/* At the end of the daemon; no will is published. */
void sessions_free(void);
/* By client id, or NULL. */
struct session *session_find(const char *id);
/* An empty one; @id has none yet and is copied. */
struct session *session_new(const char *id);
/*
 * Bring the store up to date with @s itself, once its @expiry is known: one that
 * ends with its connection is not stored, unless it was.
 */
void session_store(struct session *s);
/* One that was stored, with all that belongs to it to follow. */
struct session *session_load(const struct store_session *row);
/* Its will, that waits for @at. */
void session_load_will(struct session *s, struct will *will, uint64_t at);
/* A QoS 2 packet id of its client. */
void session_load_inbound(struct session *s, uint16_t packet_id);
/* All are loaded, and have their connections: those without one may expire. */
void sessions_loaded(void);
/* Bytes a new one is charged with. */
size_t session_cost(const char *id);
/* Forgets subscriptions and messages; a will that waits is published. */
void session_free(struct session *s);
/* Give the session its connection; stops what ran while it had none. */
void session_online(struct session *s, struct client *c);
/*
 * Its connection has closed.  @will may be NULL; it waits for its delay or the
 * end of the session.  The session may be gone afterwards.
 */
void session_offline(struct session *s, struct will *will);
/* Publish the will that waits, if there is one. */
void session_will_publish(struct session *s);
/* Those without a connection included. */
size_t session_count(void);
/* Those with one. */
size_t session_count_online(void);
/* Those that have expired in this daemon's time. */
uint64_t session_count_expired(void);
typedef void (*session_each_t)(struct session *s, void *arg);
/* @each may free the session it is given. */
void session_for_each(session_each_t each, void *arg);
/* The next of a walk, see map_walk_next(), and others of its hash. */
struct session *session_walk_next(struct map_walk *w, unsigned int *steps);
struct session *session_walk_same(const struct session *s);

/* The Session Expiry Interval in force if @wanted is asked for. */
uint32_t session_expiry_limit(uint32_t wanted);

/* QoS 2 packet ids of the client. */
bool session_inbound_has(const struct session *s, uint16_t packet_id);
void session_inbound_add(struct session *s, uint16_t packet_id);
/* Was it there? */
bool session_inbound_del(struct session *s, uint16_t packet_id);

#endif /* MQTTD_SESSION_H */
