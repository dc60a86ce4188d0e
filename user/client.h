/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that the kernel holds for us.
 */
#ifndef MQTTD_CLIENT_H
#define MQTTD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "list.h"
#include "map.h"
#include "password.h"

struct auth;
struct auth_method;
struct client_sub;
struct pubrels;
struct session;
struct will;

/**
 * enum client_state - states of a client
 * @CLIENT_ATTACHED: no CONNECT yet
 * @CLIENT_WAITING: its CONNECT waits: for its password's hash, for another
 *	CONNECT of its client id, or for the end of an older connection
 * @CLIENT_AUTH: its CONNECT began an AUTH exchange: it has to go on
 * @CLIENT_OPEN: accepted
 * @CLIENT_CLOSING: we close it, or refused it; its close event is to come
 */
enum client_state {
	CLIENT_ATTACHED,
	CLIENT_WAITING,
	CLIENT_AUTH,
	CLIENT_OPEN,
	CLIENT_CLOSING,
};

/**
 * enum client_verdict - what is known of a client's credentials
 * @VERDICT_NONE: nothing
 * @VERDICT_PENDING: the password is being hashed
 * @VERDICT_GOOD: they are right
 * @VERDICT_BAD: they are wrong
 */
enum client_verdict {
	VERDICT_NONE,
	VERDICT_PENDING,
	VERDICT_GOOD,
	VERDICT_BAD,
};

/**
 * struct client_unsub - an UNSUBSCRIBE that waits for its routes' end
 * @remaining: completions to come
 * @event: number of its event
 * @packet_id: its packet id
 * @n: topic filters
 * @reasons: one of each
 */
struct client_unsub {
	unsigned int remaining;
	uint64_t event;
	uint16_t packet_id;
	unsigned int n;
	uint8_t reasons[];
};

/**
 * struct client - a connection
 *
 * From CONN_ATTACH, or re-adoption, until its close event is acknowledged.
 *
 * @entry: by @conn
 * @id_entry: by @id, once it has one
 * @conn: connection id
 * @listener: its index in the configuration
 * @peer: printable address
 * @state: how far it is
 * @protocol: protocol level, 0 before CONNECT
 * @id: client id, NULL before CONNECT
 * @username: user name or NULL
 * @session: its session once accepted
 * @will: its will
 * @connect: the CONNECT packet while it waits
 * @connect_len: its length
 * @connect_event: number of its event
 * @wait_id: client id it will have
 * @sub: SUBSCRIBE in progress
 * @unsub: UNSUBSCRIBE in progress
 * @keepalive: Keep Alive in seconds, 0 = none
 * @receive_max: Receive Maximum it was told
 * @max_packet: its Maximum Packet Size, 0 = none
 * @unreleased: QoS 2 messages of this connection that wait for PUBREL
 * @connected_at: wall clock, seconds
 * @session_expiry: as asked for in CONNECT
 * @problem_info: it wants Reason Strings wherever they may be
 * @adopted: accepted by an earlier daemon
 * @from_store: likewise, and its session was in the store
 * @full: the kernel refused a delivery; EV_WRITABLE will come
 * @live_full: likewise one that was LIVE; retained and queued ones may go on
 * @retry: it will not: try again after a while
 * @is_volatile: the kernel knows that it owes what would be lost with us
 * @auth: AUTH exchange that goes on, or NULL
 * @auth_method: Authentication Method of its CONNECT, or NULL
 * @verdict: what became of its credentials
 * @ticket: of its password while that is hashed
 * @pubrels: the PUBRELs it owes, for max_pubrel_wait, or NULL
 * @v31: in the list of clients of version 3.1
 * @gate_shut: to be released when nothing is owed
 * @gates: in the list of those
 * @waiting: in the list of those that wait, by connection id
 */
struct client {
	struct map_entry entry;
	struct map_entry id_entry;
	uint64_t conn;
	unsigned int listener;
	char *peer;
	enum client_state state;
	uint8_t protocol;
	char *id;
	char *username;
	struct session *session;
	struct will *will;
	uint8_t *connect;
	size_t connect_len;
	uint64_t connect_event;
	char *wait_id;
	struct client_sub *sub;
	struct client_unsub *unsub;
	uint64_t connected_at;
	uint32_t session_expiry;
	uint32_t max_packet;
	uint16_t keepalive;
	uint16_t receive_max;
	uint16_t unreleased;
	bool problem_info;
	bool adopted;
	bool from_store;
	bool full;
	bool live_full;
	bool retry;
	bool is_volatile;
	struct auth *auth;
	const struct auth_method *auth_method;
	enum client_verdict verdict;
	struct password_ticket ticket;
	struct pubrels *pubrels;
	struct list v31;
	bool gate_shut;
	struct list gates;
	struct list waiting;
};

/* A connection that has not sent its CONNECT; @peer is copied. */
struct client *client_new(uint64_t conn, unsigned int listener, const char *peer);
/* By connection id, or NULL. */
struct client *client_find(uint64_t conn);
/* The accepted client with this client id, also while it closes, or NULL. */
struct client *client_find_id(const char *id);
/* For cause_key(): an end and a beginning of the same client id stay in order. */
uint64_t client_key(const char *id);
/* From now on client_find_id() finds it. */
void client_name(struct client *c, const char *id);
/* Forget it and all that belongs to it; the session stays. */
void client_free(struct client *c);
/* Connections in all, and those of one listener. */
size_t client_count(void);
size_t client_count_listener(unsigned int listener);
typedef void (*client_each_t)(struct client *c, void *arg);
/* @each may free the client it is given. */
void client_for_each(client_each_t each, void *arg);
/* At the beginning and at the end of the daemon. */
void clients_init(struct event_base *base);
void clients_free(void);

/* The prefix of its topics, "" if it has none. */
const char *client_mount(const struct client *c);

/*
 * Its CONNECT waits until client_wake() of @id; those of one client id have
 * their turns in the order of their connections.
 */
void client_wait(struct client *c, const char *id, const uint8_t *packet, size_t len,
		 uint64_t event);
/* Does an older one than @c wait for this client id? */
bool client_must_wait(const struct client *c, const char *id);
/* Handle the CONNECTs again that wait for @id. */
void client_wake(const char *id);

/* The kernel has room for what it refused. */
void client_reopen(struct client *c);
/* The kernel had no memory for a delivery and will not say when it has. */
void client_retry(struct client *c);

/* Its gate is shut: release it when nothing is owed any more. */
void client_gate_shut(struct client *c);
/* Release what can be; true if commands were made. */
bool client_gates_release(void);

/*
 * Close with CONN_CLOSE.  @ack: event to acknowledge or 0; @cause: enum
 * kmqtt_close_cause; @reason: of the DISCONNECT that 5.0 clients get.
 */
void client_close(struct client *c, uint64_t ack, uint8_t cause, uint8_t reason);
/* What it sent is wrong: KMQTT_RC_MALFORMED or another reason code. */
void client_fault(struct client *c, uint64_t ack, uint8_t reason);
/* Does it take packets of @len bytes? */
bool client_takes(const struct client *c, size_t len);

#endif /* MQTTD_CLIENT_H */
