/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The transmit list of a connection: what waits to be sent, in order, and the
 * gate in it (see punt.h for its rules).
 */
#ifndef KMQTT_TX_H
#define KMQTT_TX_H

#include <linux/types.h>

struct kmqtt_conn;
struct kmqtt_entry;
struct kmqtt_msg;
struct page;

/* What an entry is, for the gate and the limits. */
enum kmqtt_tx_class {
	KMQTT_TX_ROUTED,	/* routed or injected: waits at the gate */
	KMQTT_TX_LIVE,		/* delivered, QoS 1/2 published now: waits */
	KMQTT_TX_DELIVER,	/* delivered, retained or queued: passes */
	KMQTT_TX_ANSWER,	/* answer or PINGRESP: passes, never refused */
};

/**
 * struct kmqtt_tx_opts - how one destination gets a message
 * @class: enum kmqtt_tx_class
 * @qos: 0-2
 * @dup: DUP flag
 * @retain: RETAIN flag
 * @spare: routed, and somebody else may take it: a refusal is not counted
 * @packet_id: for QoS > 0
 * @n_subids: number of @subids
 * @subids: Subscription Identifiers, copied
 * @number: DELIVER's number, 0 = none
 */
struct kmqtt_tx_opts {
	u8 class;
	u8 qos;
	bool dup;
	bool retain;
	bool spare;
	u16 packet_id;
	u16 n_subids;
	const u32 *subids;
	u64 number;
};

/**
 * struct kmqtt_run - whole frames that lie side by side in an arena page
 * @page: compound page
 * @addr: the first frame
 * @len: bytes of all
 * @payload: bytes of their payloads
 * @count: how many
 */
struct kmqtt_run {
	struct page *page;
	u8 *addr;
	u32 len;
	u32 payload;
	u32 count;
};

/* Start with an empty list and the gate shut; nothing can fail. */
void kmqtt_tx_init(struct kmqtt_conn *conn);

/**
 * kmqtt_tx_run() - queue whole frames that lie in an arena page
 * @conn: destination
 * @run: the frames; the entry takes a reference to the page
 * @spare: somebody else may take them
 *
 * Routed frames.  They extend the last entry if they follow it in the page.
 * Task context, also under rcu_read_lock().  A full queue drops and counts
 * one; of several it takes none, and the caller comes with each by itself.
 * Return: true; false, with nothing counted, if nothing was queued and the run
 * is @spare or has several frames.
 */
bool kmqtt_tx_run(struct kmqtt_conn *conn, const struct kmqtt_run *run, bool spare);

/**
 * kmqtt_tx_msg() - queue a message that is encoded when it is sent
 * @conn: destination
 * @msg: the message
 * @opts: how this destination gets it
 * @gfp: GFP_KERNEL, or GFP_NOWAIT under RCU
 *
 * Takes a reference to @msg.  Task context, also under rcu_read_lock().
 * Return: enum kmqtt_dest_result; routed ones count their own drops.
 */
int kmqtt_tx_msg(struct kmqtt_conn *conn, struct kmqtt_msg *msg,
		 const struct kmqtt_tx_opts *opts, gfp_t gfp);

/**
 * kmqtt_tx_packet() - queue ready-made bytes as an answer
 * @conn: destination
 * @data: whole packets, copied
 * @len: their length
 *
 * Process context.
 * Return: 0 or -ENOMEM.
 */
int kmqtt_tx_packet(struct kmqtt_conn *conn, const u8 *data, u32 len);

/**
 * kmqtt_tx_prepare() - make an answer's entry without queueing it
 * @conn: destination
 * @data: whole packets, copied
 * @len: their length
 *
 * For commands whose parts take effect together: everything that can fail
 * comes first.  kmqtt_tx_commit() queues it, kmqtt_tx_cancel() frees it.
 * Process context.
 * Return: the entry or %NULL.
 */
struct kmqtt_entry *kmqtt_tx_prepare(struct kmqtt_conn *conn, const u8 *data, u32 len);
void kmqtt_tx_commit(struct kmqtt_conn *conn, struct kmqtt_entry *e);
void kmqtt_tx_cancel(struct kmqtt_conn *conn, struct kmqtt_entry *e);

/**
 * kmqtt_tx_refuse() - a delivery came to nothing for lack of memory
 * @conn: the connection
 * @class: of the delivery
 *
 * None behind it is accepted before kmqtt_tx_reopen().
 */
void kmqtt_tx_refuse(struct kmqtt_conn *conn, u8 class);

/**
 * kmqtt_tx_reopen() - the daemon knows of room for deliveries
 * @conn: the connection
 *
 * Only now are they accepted again: those that the daemon made before it knew
 * of the refusal, however late they come, must not overtake the refused one,
 * which is to come next.
 */
void kmqtt_tx_reopen(struct kmqtt_conn *conn);

/* Enter HOLD (@shut) or RELEASE.  Process context.  0 or -ENOMEM. */
int kmqtt_tx_gate(struct kmqtt_conn *conn, bool shut);

/**
 * kmqtt_tx_quick() - send what waits, if that needs no sleep
 * @conn: the connection
 * @max: no further send when so many were counted
 * @sends: counts them
 *
 * Routed frames to a plain TCP socket that nobody uses at the moment.  Worker
 * only, with bottom halves disabled: who does this for several connections in
 * a row is not interrupted by each receiver that wakes up.  What the device
 * gets meanwhile waits in its backlog, which is bounded: hence @max.
 * Return: false if the connection needs kmqtt_tx_flush().
 */
bool kmqtt_tx_quick(struct kmqtt_conn *conn, unsigned int max, unsigned int *sends);

/**
 * kmqtt_tx_direct() - send a short frame past the transmit list
 * @conn: the connection
 * @run: the frame
 *
 * Softirq, with another socket locked, by who has the connection's worker.
 * Return: false, with nothing sent or counted, unless the list is empty, the
 * gate open, and the peer quick to acknowledge what it is sent.
 */
bool kmqtt_tx_direct(struct kmqtt_conn *conn, const struct kmqtt_run *run);

/* Send what can be sent; worker only.  false: the socket is dead. */
bool kmqtt_tx_flush(struct kmqtt_conn *conn);
/* Nothing left that the gate lets pass; worker only. */
bool kmqtt_tx_empty(struct kmqtt_conn *conn);
/* Drop everything; worker only, after which nothing is queued any more. */
void kmqtt_tx_purge(struct kmqtt_conn *conn);

#endif /* KMQTT_TX_H */
