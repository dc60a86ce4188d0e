/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A connection: a TCP socket taken over from the daemon, from ATTACH until
 * its close event is acknowledged.
 */
#ifndef KMQTT_CONN_H
#define KMQTT_CONN_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/net.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <net/sock.h>
#include "frame.h"
#include "netns.h"
#include "punt.h"

struct genl_info;
struct kmqtt_aliases;
struct kmqtt_worker;

#define KMQTT_ANSWERS_MAX	8192U

/* A string of a connection, immutable once published; freed with it. */
struct kmqtt_str {
	u32 len;
	u8 *data;
};

/* Bits of kmqtt_conn.bits */
enum {
	KMQTT_CB_QUEUED,	/* is on its worker's ready list */
	KMQTT_CB_RX,		/* something may be readable */
	KMQTT_CB_TX,		/* something may be sendable */
	KMQTT_CB_TIMER,		/* the timer fired */
	KMQTT_CB_CLOSE,		/* @close_req is to be looked at */
	KMQTT_CB_BLOCKED,	/* the socket took no more; write_space clears it */
	KMQTT_CB_VOLATILE,	/* owes QoS 1/2 that no store holds */
	KMQTT_CB_CONNACK,	/* the CONNACK is on the transmit list */
	KMQTT_CB_DROP_SLOW,	/* disconnect it when its queue overflows */
	KMQTT_CB_NO_SESSION,	/* Session Expiry Interval was 0 in CONNECT */
	KMQTT_CB_RELAY,		/* ends with the daemon */
	KMQTT_CB_FORGET,	/* nobody will acknowledge its close event */
	KMQTT_CB_AUTH,		/* an AUTH exchange goes on; for the next daemon */
};

/**
 * struct kmqtt_rx - receive state; belongs to the worker
 * @part: bytes read but not handled: a partial frame, or frames behind a
 *	barrier
 * @part_len: their number
 * @part_size: allocated, as charged
 * @ahead: where the look-ahead goes on in @part; a frame begins there
 * @pages: gathering a large frame; %NULL if not
 * @n_pages: pages there are
 * @max_pages: room in @pages
 * @have: bytes gathered
 * @want: length of the frame
 * @aliases: alias (from 1) to struct kmqtt_alias
 * @alias_bytes: charged for them
 * @paused: jiffies since when events keep us from reading, 0 if they do not
 * @over: no further byte counts
 * @connect_seen: the CONNECT has been punted
 */
struct kmqtt_rx {
	u8 *part;
	u32 part_len;
	u32 part_size;
	u32 ahead;
	struct page **pages;
	u32 n_pages;
	u32 max_pages;
	u32 have;
	u32 want;
	struct xarray aliases;
	u32 alias_bytes;
	unsigned long paused;
	bool over;
	bool connect_seen;
};

/**
 * struct kmqtt_tx - transmit state
 * @lock: guards @queue, the byte and entry counts and the last numbers.  Process
 *	context; innermost.
 * @queue: entries (struct kmqtt_entry) from all producers, in order
 * @out: entries the worker has taken and may send; worker only
 * @held: entries that wait for the gate; worker only
 * @shut: the gate; changed by the worker only
 * @routed_bytes: bytes of routed entries not yet sent
 * @routed_count: their number in messages
 * @live_bytes: bytes of delivered LIVE entries not yet sent
 * @deliver_bytes: bytes of the other delivered entries not yet sent
 * @full: classes of which a delivery was refused (BIT(KMQTT_TX_*)): the daemon
 *	waits for EV_WRITABLE
 * @answers: answers not yet sent
 * @last_deliver: highest number accepted by DELIVER without LIVE
 * @last_live: highest number accepted by DELIVER with LIVE: one of them may be
 *	refused while the other is accepted
 * @pack: page the backlog of a blocked connection is packed into; worker only
 * @pack_off: used bytes of @pack
 * @aliases: Topic Aliases of the client, %NULL until one is needed; worker only
 * @progress: jiffies of the last bytes the socket took
 * @dead: the socket takes nothing any more; what is queued is dropped
 */
struct kmqtt_tx {
	/* process context; softirqs may only try it; innermost but for a socket's */
	spinlock_t lock;
	struct list_head queue;
	struct list_head out;
	struct list_head held;
	bool shut;
	u32 routed_bytes;
	u32 routed_count;
	u32 live_bytes;
	u32 deliver_bytes;
	u8 full;
	u32 answers;
	u64 last_deliver;
	u64 last_live;
	struct page *pack;
	u32 pack_off;
	struct kmqtt_aliases *aliases;
	unsigned long progress;
	bool dead;
};

/**
 * struct kmqtt_close - how a connection is to end; guarded by conn->lock
 * @cause: enum kmqtt_close_cause, first request wins
 * @reason: MQTT 5.0 reason code
 * @packet: last packet to send, or %NULL
 * @packet_len: its length
 */
struct kmqtt_close {
	u8 cause;
	u8 reason;
	u8 *packet;
	u32 packet_len;
};

/**
 * struct kmqtt_conn - a connection
 *
 * Lifetime: created by ATTACH with three references: one of the id table
 * (kn->conns), dropped when the close event is acknowledged or nobody can
 * acknowledge it any more; one of the socket, dropped by the worker when it
 * has detached it; one of the caller.  Others: each membership of a worker's
 * ready list, each route, each netlink command while it runs.  The last put
 * frees by RCU (call_rcu): topic cache entries and look-ups may hold a bare
 * pointer in an RCU read-side section.  The file is held from ATTACH until
 * the worker detaches.
 *
 * @id: never reused
 * @ref: references
 * @rcu: for the deferred free
 * @kn: its namespace; outlives it
 * @file: the socket's file
 * @sock: the socket; %NULL once detached (worker only)
 * @plain: sk_prot of a socket without ULP, else %NULL; kmqtt_conn_is_plain()
 * @saved_data_ready: callbacks to restore
 * @saved_write_space: likewise
 * @saved_state_change: likewise
 * @pause: so many times more what arrives is for the worker, unseen; under
 *	the socket's spinlock
 * @worker: its worker
 * @ready: link in the worker's ready list
 * @bits: KMQTT_CB_*
 * @lock: guards @state changes and @close_req; process context
 * @state: enum kmqtt_conn_state; written by the worker under @lock, except
 *	CONNECTING to OPEN, which ACCEPT does under @lock
 * @close_req: how it is to end
 * @close_event: the last event, allocated with the connection; worker only
 * @close_deadline: jiffies when lingering ends
 * @timer: keep alive, CONNECT timeout, close timeout; only kicks the worker
 * @last_rx: jiffies of the last packet
 * @attached: jiffies of ATTACH
 * @connect_timeout: jiffies
 * @keepalive: jiffies (1.5 times the Keep Alive), 0 = off
 * @level: protocol level, 0 before ACCEPT
 * @max_qos: highest QoS it may publish
 * @retain_available: it may publish with RETAIN
 * @alias_max_in: our Topic Alias Maximum
 * @alias_max_out: its Topic Alias Maximum, 0 in 3.x
 * @receive_max: Receive Maximum we announced, 0 in 3.x
 * @max_packet_in: largest packet taken from it
 * @max_packet_out: its Maximum Packet Size, 0 = none
 * @queue_bytes: limit of routed bytes
 * @queue_count: limit of routed messages, 0 = none
 * @deliver_bytes: limit of delivered bytes, for LIVE ones and for the others
 * @keepalive_s: Keep Alive in seconds, for CONN_GET
 * @listener: the daemon's number of the listener
 * @client_id: as accepted
 * @username: as accepted
 * @mount: mount point
 * @peer: printable address
 * @tls_info: for people
 * @tls_identity: verified name
 * @cookie: the daemon's
 * @will: the daemon's
 * @charged: bytes of its strings, charged while it is listed; under @lock
 * @acl: rule set or %NULL
 * @routes: its routes; under the FIB's mutex
 * @routes_closed: no more routes; under the FIB's mutex
 * @ev: its events
 * @rx: receive state
 * @tx: transmit state
 * @cs: counters (enum kmqtt_conn_stat); each written by the worker only,
 *	but KMQTT_CS_PUBLISH_SENT, KMQTT_CS_PACKETS_TX and KMQTT_CS_DROPPED,
 *	which are under @tx.lock
 */
struct kmqtt_conn {
	u64 id;
	struct kref ref;
	struct rcu_head rcu;
	struct kmqtt_net *kn;
	struct file *file;
	struct socket *sock;
	const struct proto *plain;
	void (*saved_data_ready)(struct sock *sk);
	void (*saved_write_space)(struct sock *sk);
	void (*saved_state_change)(struct sock *sk);
	u8 pause;

	struct kmqtt_worker *worker;
	struct llist_node ready;
	unsigned long bits;

	/* outside tx.lock; process context */
	spinlock_t lock;
	u8 state;
	struct kmqtt_close close_req;
	struct kmqtt_event *close_event;
	unsigned long close_deadline;
	struct timer_list timer;
	unsigned long last_rx;
	unsigned long attached;
	unsigned long connect_timeout;
	unsigned long keepalive;

	u8 level;
	u8 max_qos;
	bool retain_available;
	u16 alias_max_in;
	u16 alias_max_out;
	u16 receive_max;
	u16 keepalive_s;
	u32 max_packet_in;
	u32 max_packet_out;
	u32 queue_bytes;
	u32 queue_count;
	u32 deliver_bytes;
	u32 listener;
	struct kmqtt_str client_id;
	struct kmqtt_str username;
	struct kmqtt_str mount;
	struct kmqtt_str peer;
	struct kmqtt_str tls_info;
	struct kmqtt_str tls_identity;
	struct kmqtt_str cookie;
	struct kmqtt_str will;
	size_t charged;

	struct kmqtt_acl __rcu *acl;
	struct list_head routes;
	bool routes_closed;

	struct kmqtt_conn_events ev;
	struct kmqtt_rx rx;
	struct kmqtt_tx tx;
	u64 cs[KMQTT_CS_MAX + 1];
};

/* For kref_put(): nobody but RCU readers has the connection any more. */
void kmqtt_conn_release(struct kref *ref);

/* The caller has a reference, or found @conn under a lock that holds one. */
static inline struct kmqtt_conn *kmqtt_conn_get(struct kmqtt_conn *conn)
{
	kref_get(&conn->ref);
	return conn;
}

/* Any context but hard interrupts. */
static inline void kmqtt_conn_put(struct kmqtt_conn *conn)
{
	kref_put(&conn->ref, kmqtt_conn_release);
}

/*
 * So many answers may wait to be sent before reading pauses: never fewer than
 * the client may have in flight, or it could not go on.  3.x has no number.
 */
static inline u32 kmqtt_answers_max(const struct kmqtt_conn *conn)
{
	return max_t(u32, KMQTT_ANSWERS_MAX, conn->receive_max);
}

/*
 * Are its settings complete?  For those who come by id; worker and routes come
 * after ACCEPT by themselves.
 */
static inline bool kmqtt_conn_accepted(const struct kmqtt_conn *conn)
{
	/* Pairs with kmqtt_conn_accept(). */
	return smp_load_acquire(&conn->level);
}

/* Does it encode PUBLISHes as 5.0 does?  Of an accepted one. */
static inline bool kmqtt_conn_is_v5(const struct kmqtt_conn *conn)
{
	return conn->level == KMQTT_V5;
}

/* Would its queue take a routed message now?  A guess, for $share. */
static inline bool kmqtt_conn_takes(const struct kmqtt_conn *conn)
{
	return READ_ONCE(conn->state) == KMQTT_STATE_OPEN &&
	       !READ_ONCE(conn->close_req.cause) &&
	       READ_ONCE(conn->tx.routed_bytes) < conn->queue_bytes &&
	       (!conn->queue_count ||
		READ_ONCE(conn->tx.routed_count) < conn->queue_count);
}

/*
 * Is the socket still TCP and nothing else?  TLS, and a sockmap, replace its
 * functions, with the socket locked by a user.  By who has the worker, which
 * keeps @sock; the answer lasts as long as the caller has the socket locked in
 * either way.
 */
static inline bool kmqtt_conn_is_plain(const struct kmqtt_conn *conn)
{
	return READ_ONCE(conn->sock->sk->sk_prot) == conn->plain;
}

/* Find and reference a connection by id; NULL if there is none. */
struct kmqtt_conn *kmqtt_conn_find(struct kmqtt_net *kn, u64 id);

/*
 * Take over the socket of an ATTACH command.  Process context of the command,
 * under kn->lock.  Returns the connection with the caller's reference.
 */
struct kmqtt_conn *kmqtt_conn_attach(struct kmqtt_net *kn, struct genl_info *info);
/* The settings of an ACCEPT command; under kn->lock. */
int kmqtt_conn_accept(struct kmqtt_conn *conn, struct genl_info *info);

/**
 * kmqtt_conn_close() - ask for the end of a connection
 * @conn: the connection
 * @cause: enum kmqtt_close_cause
 * @reason: MQTT 5.0 reason code
 * @packet: last packet to send, or %NULL: in 5.0 a DISCONNECT with @reason is
 *	made where the specification wants one
 * @len: its length
 *
 * The first request wins.  The worker does the rest; the close event is the
 * completion.  Process context.
 */
void kmqtt_conn_close(struct kmqtt_conn *conn, u8 cause, u8 reason,
		      const u8 *packet, u32 len);
/* Is it to close once the bytes that it had received are handled? */
bool kmqtt_conn_drains(const struct kmqtt_conn *conn);
/**
 * kmqtt_conn_disconnected() - the client sent DISCONNECT
 * @conn: the connection
 * @reason: the client's reason code
 * @event: close event with the packet in it, instead of the bare one; taken
 *
 * Worker only.
 */
void kmqtt_conn_disconnected(struct kmqtt_conn *conn, u8 reason,
			     struct kmqtt_event *event);
/*
 * Remove it from the id table; its close event needs no more answer.  Under
 * kn->lock.
 */
void kmqtt_conn_forget(struct kmqtt_conn *conn);
/* Close all connections of a namespace; returns at once. */
void kmqtt_conn_close_all(struct kmqtt_net *kn, u8 cause, u8 reason);

/* Close those that end with the daemon. */
void kmqtt_conn_close_relayed(struct kmqtt_net *kn);

/* Mark @bit and make the worker look at the connection.  Any context. */
void kmqtt_conn_kick(struct kmqtt_conn *conn, unsigned int bit);

/* Is there nothing to do but to send?  By the worker that owns it. */
static inline bool kmqtt_conn_is_quick(const struct kmqtt_conn *conn)
{
	const unsigned long other = BIT(KMQTT_CB_RX) | BIT(KMQTT_CB_TIMER) |
				    BIT(KMQTT_CB_CLOSE) | BIT(KMQTT_CB_BLOCKED) |
				    BIT(KMQTT_CB_FORGET);

	return (READ_ONCE(conn->bits) & (other | BIT(KMQTT_CB_TX))) == BIT(KMQTT_CB_TX) &&
	       conn->sock && READ_ONCE(conn->state) == KMQTT_STATE_OPEN &&
	       !READ_ONCE(conn->close_req.cause);
}

/*
 * Send, with bottom halves disabled, until *@sends is @max.  By the worker that
 * owns the connection; false: it needs a turn.
 */
bool kmqtt_conn_quick(struct kmqtt_conn *conn, unsigned int max, unsigned int *sends);

/* One turn, by the worker that owns the connection. */
void kmqtt_conn_turn(struct kmqtt_conn *conn);

/* Module init: 0 or -ENOMEM. */
int kmqtt_conn_init(void);
/* Module exit; waits for what RCU still frees. */
void kmqtt_conn_exit(void);

#endif /* KMQTT_CONN_H */
