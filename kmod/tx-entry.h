/* SPDX-License-Identifier: GPL-2.0 */
/* Entries of a transmit list: for those who queue them and those who send them. */
#ifndef KMQTT_TX_ENTRY_H
#define KMQTT_TX_ENTRY_H

#include <linux/list.h>
#include <linux/types.h>

struct kmqtt_conn;
struct kmqtt_msg;
struct kmqtt_publish_out;
struct kmqtt_tx_opts;
struct page;

/* What an entry is made of. */
enum entry_kind {
	ENTRY_RUN,
	ENTRY_MSG,
	ENTRY_PACKET,
	ENTRY_HOLD,
	ENTRY_RELEASE,
};

/**
 * struct kmqtt_entry - an entry of a transmit list
 *
 * Owned by the list it is on: tx.queue under tx.lock, tx.out and tx.held by
 * the worker.  Freed by the worker when sent or purged.
 *
 * @node: link
 * @kind: enum entry_kind
 * @class: enum kmqtt_tx_class
 * @qos: of a message
 * @dup: of a message
 * @retain: of a message
 * @packed: pins no arena page, or little more than its own length
 * @packet_id: of a message
 * @n_subids: of a message
 * @alias: Topic Alias that an encoded message tells the client, 0 = none
 * @count: frames in a run, else 1
 * @len: bytes of a run or packet; of an encoded message all bytes
 * @sent: bytes the socket took
 * @cost: bytes counted against the limit of its class
 * @payload: bytes of its messages' payloads
 * @charged: bytes charged to the namespace, an encoded header included
 * @page: of a run, and of what is encoded of a message unless that is long
 * @addr: first byte of a run; bytes of a packet; what is encoded of a message
 * @hdr_len: length of that: the header, or all
 * @msg: the message
 * @data: Subscription Identifiers, or the bytes of a packet
 */
struct kmqtt_entry {
	struct list_head node;
	u8 kind;
	u8 class;
	u8 qos;
	bool dup;
	bool retain;
	bool packed;
	u16 packet_id;
	u16 n_subids;
	u16 alias;
	u32 count;
	u32 len;
	u32 sent;
	u32 cost;
	u32 payload;
	u32 charged;
	struct page *page;
	u8 *addr;
	u32 hdr_len;
	struct kmqtt_msg *msg;
	u8 data[] __aligned(4);
};

/* What is to be encoded for @conn, with @o. */
void kmqtt_entry_out(const struct kmqtt_conn *conn, const struct kmqtt_msg *msg,
		     const struct kmqtt_tx_opts *o, struct kmqtt_publish_out *out);
/* Is the packet one that the client takes, and that there can be? */
bool kmqtt_entry_fits(const struct kmqtt_conn *conn, const struct kmqtt_publish_out *out);
/* Free what is encoded of a message. */
void kmqtt_entry_unplace(struct kmqtt_entry *e);
/* An entry is done with: count it out and free it.  Worker only. */
void kmqtt_entry_done(struct kmqtt_conn *conn, struct kmqtt_entry *e);
/*
 * Take the entries off the shared list and let them through the gate: the
 * only place that looks at it, in the order they were entered.  Worker only.
 */
void kmqtt_tx_take(struct kmqtt_conn *conn);
/* If a delivery was refused: tell the daemon when there is room.  Worker only. */
void kmqtt_tx_writable(struct kmqtt_conn *conn);

#endif /* KMQTT_TX_ENTRY_H */
