/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages to one session: packet ids, Receive Maximum, queue.
 */
#ifndef MQTTD_INFLIGHT_H
#define MQTTD_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "map.h"

struct event_base;
struct message;
struct rib_dest;
struct session;
struct share_group;

/**
 * enum outgoing_state - where a message to a client stands
 * @OUT_QUEUED: waits for room in the window
 * @OUT_PUBLISH: PUBLISH is to be sent or acknowledged
 * @OUT_RELEASED: QoS 2: PUBREL was sent, PUBCOMP is to come
 */
enum outgoing_state {
	OUT_QUEUED,
	OUT_PUBLISH,
	OUT_RELEASED,
};

/**
 * struct outgoing - a message on its way to one session
 *
 * Counted, because a delivery whose result is to come may outlive its place
 * in the session; @session is NULL once it has none.
 *
 * @node: in a list of @session
 * @by_id: in its table, if @packet_id is not 0
 * @ready: in its list of those that are to be given to the kernel, or to be
 *	answered by the client
 * @pos: its place in the store, 0 = it is not there
 * @number: of its DELIVER if it is stored: ascending among those with @live and
 *	among those without
 * @refs: references
 * @session: whose, or NULL
 * @group: the share group that chose @session, or NULL
 * @msg: the message
 * @state: how far it is
 * @sent: the kernel took it
 * @pending: in a delivery whose result is to come, or about to be
 * @refused: the kernel had no room for it, and takes none before it
 * @since: since when its next acknowledgement is awaited, clock_ms()
 * @sent_at: when it, or its PUBREL, was sent last
 * @round: grows with each connection it is to be sent on
 * @dup: was sent on an earlier connection
 * @retain: RETAIN flag
 * @kept: QoS 0, for a client that was away: waits in the queue
 * @live: published while the client was online: waits at the gate
 * @walked: a walk met it in the retained store
 * @qos: QoS it is delivered at
 * @packet_id: 0 for QoS 0
 * @n_subids: number of @subids
 * @subids: Subscription Identifiers
 */
struct outgoing {
	struct list node;
	struct map_entry by_id;
	struct list ready;
	uint64_t pos;
	uint64_t number;
	unsigned int refs;
	struct session *session;
	struct share_group *group;
	struct message *msg;
	enum outgoing_state state;
	bool sent;
	bool pending;
	bool refused;
	uint32_t round;
	uint64_t since;
	uint64_t sent_at;
	bool dup;
	bool retain;
	bool kept;
	bool live;
	bool walked;
	uint8_t qos;
	uint16_t packet_id;
	unsigned int n_subids;
	uint32_t subids[];
};

struct client;
struct store_outgoing;
/* At the beginning and at the end of the daemon. */
void inflight_start(struct event_base *base);
void inflight_stop(void);

/* Empty lists. */
void inflight_init(struct session *s);
/* One that was stored; they come in their order. */
void inflight_load(struct session *s, const struct store_outgoing *row);
/*
 * The connection goes on under a new daemon: it has what is numbered up to
 * @last, those that were live up to @last_live.
 */
void inflight_adopt(struct session *s, uint64_t last, uint64_t last_live, bool gate_shut);
/* There is a new connection, to which inflight_pump() will send what is unfinished. */
void inflight_resume(struct session *s);
/* Forget all messages on their way to @s. */
void inflight_drop(struct session *s);
/* The connection is gone: what was sent is to be sent again. */
void inflight_offline(struct session *s);
/*
 * The connection, or with @ended the session, is gone: take what came to it as
 * a member of a share group and may go to another.  The entries on @taken, in
 * their order, are no longer the session's; each is the caller's reference and
 * holds one to its group.
 */
void inflight_take_shared(struct session *s, bool ended, struct list *taken);

/**
 * enum inflight_rank - how soon a session would get a message of QoS > 0
 * @INFLIGHT_NOW: at once
 * @INFLIGHT_SOON: its client is connected, and others wait before it
 * @INFLIGHT_LATER: when its client is back
 * @INFLIGHT_FULL: never, there is no room
 */
enum inflight_rank {
	INFLIGHT_NOW,
	INFLIGHT_SOON,
	INFLIGHT_LATER,
	INFLIGHT_FULL,
};

enum inflight_rank inflight_rank(const struct session *s);
/*
 * A message of QoS > 0 for @d->session.  Returns the entry if it is to be
 * delivered at once, else it was queued, or dropped by the limits.
 */
struct outgoing *inflight_add(const struct rib_dest *d, struct message *m, uint8_t qos,
			      bool retain);
/* Messages that the limits dropped, of all sessions there were. */
uint64_t inflight_dropped(void);
/* A message at QoS 0 for a session whose client is, or was, away. */
void inflight_keep(const struct rib_dest *d, struct message *m, bool retain);
/*
 * Send what the window and the kernel let out; on a new connection unfinished
 * PUBLISHes and PUBRELs come first.  Of retained messages it sends a few, and
 * goes on in a later turn of the loop.
 */
void inflight_pump(struct session *s);
/* Is there anything that could be sent now and passes the gate? */
bool inflight_owes(struct session *s);
/* Is nothing outstanding that would be lost with the daemon? */
bool inflight_settled(const struct session *s);

/**
 * enum ack_match - does an acknowledgement of the client fit?
 * @ACK_FITS: yes
 * @ACK_UNKNOWN: its packet id is not in flight
 * @ACK_WRONG: a message of this id is, and waits for another packet
 */
enum ack_match {
	ACK_FITS,
	ACK_UNKNOWN,
	ACK_WRONG,
};

enum ack_match inflight_puback(struct session *s, uint16_t packet_id);
/* @refused: with a reason code of 0x80 or more, which ends the exchange. */
enum ack_match inflight_pubrec(struct session *s, uint16_t packet_id, bool refused);
enum ack_match inflight_pubcomp(struct session *s, uint16_t packet_id);

/*
 * Send again, with DUP, what the client was sent at @before, clock_ms(), or
 * earlier and has not acknowledged.
 */
void inflight_repeat(struct session *s, uint64_t before);
/* Since when a PUBREC or PUBCOMP is awaited, clock_ms(); 0: none is. */
uint64_t inflight_waits_since(const struct session *s);

/* The last reference frees it. */
struct outgoing *outgoing_get(struct outgoing *out);
void outgoing_put(struct outgoing *out);
/* What became of its delivery in @round: enum kmqtt_dest_result. */
void outgoing_result(struct outgoing *out, uint32_t round, uint8_t result);

#endif /* MQTTD_INFLIGHT_H */
