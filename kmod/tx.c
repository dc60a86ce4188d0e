// SPDX-License-Identifier: GPL-2.0
/* The transmit list: enqueue from anywhere, gate and socket by the worker. */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <net/sock.h>
#include <net/tcp.h>
#include "alias.h"
#include "conn.h"
#include "frame.h"
#include "msg.h"
#include "tx.h"
#include "worker.h"

#define TX_VECS		32
#define TX_ROUNDS	64	/* sendmsg calls of one turn, for fairness */
#define QUICK_COPY	1024	/* shorter ones are copied into pages of their own */
#define QUICK_SPLICE	8192	/* longer ones go out of the arena they came in */

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
 * @page: of a run
 * @addr: first byte of a run; bytes of a packet; header of an encoded message
 * @hdr_len: length of that header
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

void kmqtt_tx_init(struct kmqtt_conn *conn)
{
	struct kmqtt_tx *tx = &conn->tx;

	spin_lock_init(&tx->lock);
	INIT_LIST_HEAD(&tx->queue);
	INIT_LIST_HEAD(&tx->out);
	INIT_LIST_HEAD(&tx->held);
	tx->shut = true;
}

/* Of routed messages only the first of a queue may have the last quarter. */
static bool entry_charge(struct kmqtt_conn *conn, u8 class, size_t size)
{
	if (class == KMQTT_TX_ROUTED && READ_ONCE(conn->tx.routed_bytes))
		return kmqtt_mem_charge_queue(conn->kn, size);
	return kmqtt_mem_charge(conn->kn, size);
}

static struct kmqtt_entry *entry_alloc(struct kmqtt_conn *conn, u8 kind,
				       u8 class, u32 extra, gfp_t gfp)
{
	size_t size = sizeof(struct kmqtt_entry) + extra;
	struct kmqtt_entry *e;

	if (class != KMQTT_TX_ANSWER && !entry_charge(conn, class, size))
		return NULL;
	e = kmalloc(size, gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!e) {
		if (class != KMQTT_TX_ANSWER)
			kmqtt_mem_uncharge(conn->kn, size);
		return NULL;
	}
	/* Answers are bounded by their events and never refused. */
	if (class == KMQTT_TX_ANSWER)
		atomic64_add(size, &conn->kn->mem);
	*e = (struct kmqtt_entry) {
		.kind = kind,
		.class = class,
		.count = 1,
		.charged = size,
	};
	return e;
}

static void entry_free(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	if (e->kind == ENTRY_RUN)
		put_page(e->page);
	if (e->kind == ENTRY_MSG) {
		kvfree(e->addr);
		kmqtt_msg_put(e->msg);
	}
	kmqtt_mem_uncharge(conn->kn, e->charged);
	kfree(e);
}

/* Count @e in or, with @sign -1, out; under tx->lock. */
static void tx_account(struct kmqtt_tx *tx, const struct kmqtt_entry *e, int sign)
{
	lockdep_assert_held(&tx->lock);
	switch (e->class) {
	case KMQTT_TX_ROUTED:
		tx->routed_bytes += sign * (int)e->cost;
		tx->routed_count += sign * (int)e->count;
		break;
	case KMQTT_TX_LIVE:
		tx->live_bytes += sign * (int)e->cost;
		break;
	case KMQTT_TX_DELIVER:
		tx->deliver_bytes += sign * (int)e->cost;
		break;
	case KMQTT_TX_ANSWER:
		tx->answers += sign;
		break;
	}
}

/* Add @e; under tx->lock. */
static void tx_add(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	list_add_tail(&e->node, &conn->tx.queue);
	tx_account(&conn->tx, e, 1);
	conn->cs[KMQTT_CS_PACKETS_TX] += e->count;
	if (e->kind == ENTRY_RUN || e->kind == ENTRY_MSG)
		conn->cs[KMQTT_CS_PUBLISH_SENT] += e->count;
}

/*
 * Put @e on the list.  CLOSED is set under the lock before the last purge, so
 * nothing is left behind on a list that nobody looks at any more.  Returns
 * whether it is on the list.
 */
static bool tx_queue(struct kmqtt_conn *conn, struct kmqtt_entry *e, bool packet)
{
	bool open;

	spin_lock(&conn->tx.lock);
	open = READ_ONCE(conn->state) != KMQTT_STATE_CLOSED;
	if (open && packet) {
		tx_add(conn, e);
	} else if (open) {
		list_add_tail(&e->node, &conn->tx.queue);
		tx_account(&conn->tx, e, 1);
	}
	spin_unlock(&conn->tx.lock);
	if (open)
		kmqtt_conn_kick(conn, KMQTT_CB_TX);
	else
		entry_free(conn, e);
	return open;
}

/* An empty queue takes one message of any size, or large ones never came. */
static bool tx_routed_room(const struct kmqtt_conn *conn, u32 cost, u32 count)
{
	const struct kmqtt_tx *tx = &conn->tx;

	return ((!tx->routed_bytes && count == 1) ||
		(u64)tx->routed_bytes + cost <= conn->queue_bytes) &&
	       (!conn->queue_count ||
		(u64)tx->routed_count + count <= conn->queue_count);
}

/* A routed message found no room; not under tx->lock. */
static void tx_dropped(struct kmqtt_conn *conn)
{
	kmqtt_stat_inc(conn->kn, DROPPED_FULL);
	if (test_bit(KMQTT_CB_DROP_SLOW, &conn->bits))
		kmqtt_conn_close(conn, KMQTT_CLOSE_SLOW, KMQTT_RC_QUOTA, NULL, 0);
}

/* Try to extend the last entry; under tx->lock. */
static bool tx_merge(struct kmqtt_conn *conn, const struct kmqtt_run *run)
{
	struct kmqtt_tx *tx = &conn->tx;
	struct kmqtt_entry *e;

	lockdep_assert_held(&tx->lock);
	if (list_empty(&tx->queue))
		return false;
	e = list_last_entry(&tx->queue, struct kmqtt_entry, node);
	if (e->kind != ENTRY_RUN || e->page != run->page || e->addr + e->len != run->addr)
		return false;
	if (!kmqtt_mem_charge_queue(conn->kn, run->len))
		return false;
	e->len += run->len;
	e->charged += run->len;
	e->cost += run->len;
	e->payload += run->payload;
	e->count += run->count;
	tx->routed_bytes += run->len;
	tx->routed_count += run->count;
	conn->cs[KMQTT_CS_PACKETS_TX] += run->count;
	conn->cs[KMQTT_CS_PUBLISH_SENT] += run->count;
	return true;
}

/* Under tx->lock: 1 merged, 0 needs an entry, -ENOSPC. */
static int tx_run_locked(struct kmqtt_conn *conn, const struct kmqtt_run *run,
			 bool spare)
{
	if (!tx_routed_room(conn, run->len, run->count)) {
		conn->cs[KMQTT_CS_DROPPED] += !spare;
		return -ENOSPC;
	}
	return tx_merge(conn, run);
}

static struct kmqtt_entry *run_alloc(struct kmqtt_conn *conn, const struct kmqtt_run *run)
{
	struct kmqtt_entry *e;

	/* The bytes lie in the arena, or in a copy of our own. */
	if (!entry_charge(conn, KMQTT_TX_ROUTED, run->len))
		return NULL;
	e = entry_alloc(conn, ENTRY_RUN, KMQTT_TX_ROUTED, 0, GFP_NOWAIT);
	if (!e) {
		kmqtt_mem_uncharge(conn->kn, run->len);
		return NULL;
	}
	e->charged += run->len;
	get_page(run->page);
	e->page = run->page;
	e->addr = run->addr;
	e->len = run->len;
	e->cost = run->len + sizeof(*e);
	e->payload = run->payload;
	e->count = run->count;
	return e;
}

bool kmqtt_tx_run(struct kmqtt_conn *conn, const struct kmqtt_run *run, bool spare)
{
	/* Not even counted: it is tried elsewhere, or frame by frame. */
	bool again = spare || run->count > 1;
	struct kmqtt_tx *tx = &conn->tx;
	struct kmqtt_entry *e;
	int ret;

	spin_lock(&tx->lock);
	ret = tx_run_locked(conn, run, again);
	spin_unlock(&tx->lock);
	if (ret < 0) {
		if (!again)
			tx_dropped(conn);
		return !again;
	}
	if (!ret) {
		e = run_alloc(conn, run);
		if (!e) {
			if (!again)
				kmqtt_stat_inc(conn->kn, DROPPED_MEMORY);
			return !again;
		}
		if (!tx_queue(conn, e, true))
			return !again;
	}
	kmqtt_stat_add(conn->kn, PUBLISH_SENT, run->count);
	if (ret)
		kmqtt_conn_kick(conn, KMQTT_CB_TX);
	return true;
}

static u32 msg_cost(const struct kmqtt_msg *msg)
{
	return sizeof(struct kmqtt_entry) + msg->topic_len + msg->props_len +
	       msg->payload_len;
}

static void msg_out(const struct kmqtt_conn *conn, const struct kmqtt_msg *msg,
		    const struct kmqtt_tx_opts *o, struct kmqtt_publish_out *out)
{
	*out = (struct kmqtt_publish_out) {
		.level = conn->level,
		.qos = o->qos,
		.dup = o->dup,
		.retain = o->retain,
		.has_expiry = msg->has_expiry,
		.topic = msg->topic + conn->mount.len,
		.topic_len = msg->topic_len - conn->mount.len,
		.packet_id = o->packet_id,
		.subids = o->subids,
		.n_subids = o->n_subids,
		.props = msg->props,
		.props_len = msg->props_len,
		.payload_len = msg->payload_len,
	};
}

/* Is the packet one that the client takes, and that there can be? */
static bool out_fits(const struct kmqtt_conn *conn, const struct kmqtt_publish_out *out)
{
	u32 hdr = kmqtt_publish_hdr_len(out);

	return hdr && (!conn->max_packet_out ||
		       (u64)hdr + out->payload_len <= conn->max_packet_out);
}

/* Does it fit the client's Maximum Packet Size and its mount point. */
static bool msg_fits(const struct kmqtt_conn *conn, const struct kmqtt_msg *msg,
		     const struct kmqtt_tx_opts *opts)
{
	struct kmqtt_publish_out out;

	if (msg->topic_len <= conn->mount.len ||
	    memcmp(msg->topic, conn->mount.data, conn->mount.len))
		return false;
	msg_out(conn, msg, opts, &out);
	return out_fits(conn, &out);
}

/* Note that a delivery of @class was refused; under tx->lock. */
static void tx_refuse(struct kmqtt_conn *conn, u8 class)
{
	lockdep_assert_held(&conn->tx.lock);
	WRITE_ONCE(conn->tx.full, conn->tx.full | BIT(class));
}

void kmqtt_tx_refuse(struct kmqtt_conn *conn, u8 class)
{
	spin_lock(&conn->tx.lock);
	tx_refuse(conn, class);
	spin_unlock(&conn->tx.lock);
}

/*
 * Room for a delivered message of @cost.  Once one was refused, the smaller
 * ones behind it are too until the daemon sends it again: none overtakes.
 * LIVE ones that wait at the gate take no room of those that pass
 * it, without which the gate would not open.  Under tx->lock.
 */
static bool tx_deliver_room(struct kmqtt_conn *conn, u8 class, u32 cost)
{
	struct kmqtt_tx *tx = &conn->tx;
	u32 bytes = class == KMQTT_TX_LIVE ? tx->live_bytes : tx->deliver_bytes;

	if (!(tx->full & BIT(class)) &&
	    (!bytes || (u64)bytes + cost <= conn->deliver_bytes))
		return true;
	tx_refuse(conn, class);
	return false;
}

/* Classes of which one was refused and that have room again. */
static u8 tx_room_again(const struct kmqtt_conn *conn)
{
	const struct kmqtt_tx *tx = &conn->tx;
	u32 enough = conn->deliver_bytes / 2;
	u8 room = 0;

	lockdep_assert_held(&tx->lock);
	if (tx->live_bytes <= enough)
		room |= BIT(KMQTT_TX_LIVE);
	if (tx->deliver_bytes <= enough)
		room |= BIT(KMQTT_TX_DELIVER);
	return room & tx->full;
}

/* A delivery was refused; tell the daemon when there is room. */
static void tx_writable(struct kmqtt_conn *conn)
{
	struct kmqtt_tx *tx = &conn->tx;
	u8 room;

	/* The close event was the last; nobody may be left to take another. */
	if (!READ_ONCE(tx->full) || READ_ONCE(conn->state) == KMQTT_STATE_CLOSED)
		return;
	spin_lock(&tx->lock);
	room = tx_room_again(conn);
	spin_unlock(&tx->lock);
	if (room)
		kmqtt_event_writable(conn);
}

void kmqtt_tx_reopen(struct kmqtt_conn *conn)
{
	struct kmqtt_tx *tx = &conn->tx;

	spin_lock(&tx->lock);
	WRITE_ONCE(tx->full, tx->full & ~tx_room_again(conn));
	spin_unlock(&tx->lock);
}

/* Under tx->lock. */
static int tx_msg_admit(struct kmqtt_conn *conn, struct kmqtt_entry *e,
			const struct kmqtt_tx_opts *opts)
{
	struct kmqtt_tx *tx = &conn->tx;
	u64 *last;

	lockdep_assert_held(&tx->lock);
	if (READ_ONCE(conn->state) == KMQTT_STATE_CLOSED)
		return KMQTT_DEST_GONE;
	last = opts->class == KMQTT_TX_LIVE ? &tx->last_live : &tx->last_deliver;
	if (opts->number && opts->number <= *last)
		return KMQTT_DEST_ACCEPTED;
	if (opts->class == KMQTT_TX_ROUTED) {
		if (!tx_routed_room(conn, e->cost, 1)) {
			conn->cs[KMQTT_CS_DROPPED] += !opts->spare;
			return KMQTT_DEST_FULL;
		}
	} else if (!tx_deliver_room(conn, opts->class, e->cost)) {
		return KMQTT_DEST_FULL;
	}
	if (opts->number)
		*last = opts->number;
	tx_add(conn, e);
	return -1;
}

/* No memory for an entry: to the daemon that is a full list. */
static int tx_no_memory(struct kmqtt_conn *conn, const struct kmqtt_tx_opts *opts)
{
	if (opts->class == KMQTT_TX_ROUTED) {
		if (!opts->spare)
			kmqtt_stat_inc(conn->kn, DROPPED_MEMORY);
		return KMQTT_DEST_FULL;
	}
	spin_lock(&conn->tx.lock);
	tx_refuse(conn, opts->class);
	spin_unlock(&conn->tx.lock);
	kmqtt_conn_kick(conn, KMQTT_CB_TX);
	return KMQTT_DEST_FULL;
}

int kmqtt_tx_msg(struct kmqtt_conn *conn, struct kmqtt_msg *msg,
		 const struct kmqtt_tx_opts *opts, gfp_t gfp)
{
	u32 extra = opts->n_subids * sizeof(u32);
	struct kmqtt_entry *e;
	int ret;

	if (!msg_fits(conn, msg, opts)) {
		if (!opts->spare)
			kmqtt_stat_inc(conn->kn, DROPPED_LARGE);
		return KMQTT_DEST_TOO_LARGE;
	}
	e = entry_alloc(conn, ENTRY_MSG, opts->class, extra, gfp);
	if (!e)
		return tx_no_memory(conn, opts);
	e->msg = kmqtt_msg_get(msg);
	e->qos = opts->qos;
	e->dup = opts->dup;
	e->retain = opts->retain;
	e->packet_id = opts->packet_id;
	e->n_subids = opts->n_subids;
	e->cost = msg_cost(msg);
	e->payload = msg->payload_len;
	if (extra)
		memcpy(e->data, opts->subids, extra);
	spin_lock(&conn->tx.lock);
	ret = tx_msg_admit(conn, e, opts);
	spin_unlock(&conn->tx.lock);
	if (ret >= 0) {
		entry_free(conn, e);
		if (ret == KMQTT_DEST_FULL && opts->class != KMQTT_TX_ROUTED)
			kmqtt_conn_kick(conn, KMQTT_CB_TX);
		else if (ret == KMQTT_DEST_FULL && !opts->spare)
			tx_dropped(conn);
		return ret;
	}
	kmqtt_stat_inc(conn->kn, PUBLISH_SENT);
	kmqtt_conn_kick(conn, KMQTT_CB_TX);
	return KMQTT_DEST_ACCEPTED;
}

struct kmqtt_entry *kmqtt_tx_prepare(struct kmqtt_conn *conn, const u8 *data, u32 len)
{
	struct kmqtt_entry *e;

	e = entry_alloc(conn, ENTRY_PACKET, KMQTT_TX_ANSWER, len, GFP_KERNEL);
	if (!e)
		return NULL;
	memcpy(e->data, data, len);
	e->addr = e->data;
	e->len = len;
	return e;
}

void kmqtt_tx_cancel(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	if (e)
		entry_free(conn, e);
}

void kmqtt_tx_commit(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	tx_queue(conn, e, true);
}

int kmqtt_tx_packet(struct kmqtt_conn *conn, const u8 *data, u32 len)
{
	struct kmqtt_entry *e = kmqtt_tx_prepare(conn, data, len);

	if (!e)
		return -ENOMEM;
	kmqtt_tx_commit(conn, e);
	return 0;
}

int kmqtt_tx_gate(struct kmqtt_conn *conn, bool shut)
{
	struct kmqtt_entry *e;

	e = entry_alloc(conn, shut ? ENTRY_HOLD : ENTRY_RELEASE,
			KMQTT_TX_ANSWER, 0, GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	tx_queue(conn, e, false);
	return 0;
}

/* An entry is done with: count it out and free it. */
static void tx_done(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	struct kmqtt_tx *tx = &conn->tx;
	bool read_on;

	list_del(&e->node);
	spin_lock(&tx->lock);
	tx_account(tx, e, -1);
	read_on = e->class == KMQTT_TX_ANSWER &&
		  tx->answers == kmqtt_answers_max(conn) - 1;
	spin_unlock(&tx->lock);
	if (read_on)
		kmqtt_conn_kick(conn, KMQTT_CB_RX);
	entry_free(conn, e);
}

/*
 * Take the entries off the shared list and let them through the gate: the
 * only place that looks at it, in the order they were entered.
 */
static void tx_take(struct kmqtt_conn *conn)
{
	struct kmqtt_tx *tx = &conn->tx;
	struct kmqtt_entry *e, *tmp;
	LIST_HEAD(list);

	spin_lock(&tx->lock);
	list_splice_init(&tx->queue, &list);
	spin_unlock(&tx->lock);
	list_for_each_entry_safe(e, tmp, &list, node) {
		if (e->kind == ENTRY_HOLD) {
			WRITE_ONCE(tx->shut, true);
			tx_done(conn, e);
		} else if (e->kind == ENTRY_RELEASE) {
			WRITE_ONCE(tx->shut, false);
			list_splice_tail_init(&tx->held, &tx->out);
			tx_done(conn, e);
		} else if (tx->shut && e->class <= KMQTT_TX_LIVE) {
			list_move_tail(&e->node, &tx->held);
		} else {
			list_move_tail(&e->node, &tx->out);
		}
	}
}

/*
 * Room for the header of a message on its way to the socket.  What is not to
 * be dropped gets it also above the limit: sending is what frees memory.
 */
static bool entry_header(struct kmqtt_conn *conn, struct kmqtt_entry *e, u32 len)
{
	if (e->class != KMQTT_TX_ROUTED)
		atomic64_add(len, &conn->kn->mem);
	else if (!kmqtt_mem_charge(conn->kn, len))
		return false;
	e->addr = kvmalloc(len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!e->addr) {
		kmqtt_mem_uncharge(conn->kn, len);
		return false;
	}
	e->hdr_len = len;
	e->charged += len;
	return true;
}

/* What @e was to tell the client does not leave, or not now. */
static void entry_unalias(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	if (e->alias)
		kmqtt_alias_forget(conn, e->alias);
	e->alias = 0;
}

/*
 * Name the topic by an alias, or tell the client one.  Only now: what was
 * encoded before leaves before, and none of it is dropped any more.
 */
static void entry_alias(struct kmqtt_conn *conn, struct kmqtt_entry *e,
			struct kmqtt_publish_out *out)
{
	bool known;

	out->alias = kmqtt_alias_pick(conn, out->topic, out->topic_len, &known);
	e->alias = known ? 0 : out->alias;
	if (known)
		out->topic_len = 0;
	if (e->alias && !out_fits(conn, out)) {
		entry_unalias(conn, e);
		out->alias = 0;
	}
}

/*
 * Encode the header of a message: 0, -ETIME if it has expired, -ENOMEM.  A
 * packet identifier that is in use stays so until the client has answered, so
 * those with one go out with nothing left of their time.
 */
static noinline_for_stack int entry_encode(struct kmqtt_conn *conn,
					   struct kmqtt_entry *e)
{
	const struct kmqtt_tx_opts o = {
		.qos = e->qos,
		.dup = e->dup,
		.retain = e->retain,
		.packet_id = e->packet_id,
		.n_subids = e->n_subids,
		.subids = (const u32 *)e->data,
	};
	struct kmqtt_publish_out out;

	msg_out(conn, e->msg, &o, &out);
	if (e->msg->has_expiry && !kmqtt_msg_left(e->msg, &out.expiry) && !e->qos)
		return -ETIME;
	if (kmqtt_alias_worth(conn, out.topic_len))
		entry_alias(conn, e, &out);
	if (!entry_header(conn, e, kmqtt_publish_hdr_len(&out))) {
		entry_unalias(conn, e);
		return -ENOMEM;
	}
	kmqtt_publish_put(e->addr, &out);
	e->len = e->hdr_len + e->msg->payload_len;
	return 0;
}

static void entry_decode(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	entry_unalias(conn, e);
	kvfree(e->addr);
	e->addr = NULL;
	kmqtt_mem_uncharge(conn->kn, e->hdr_len);
	e->charged -= e->hdr_len;
	e->hdr_len = 0;
	e->len = 0;
}

/* May @e be sent now?  One that never will be is dropped; -ENOMEM: not yet. */
static int entry_ready(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	int err;

	if (e->kind != ENTRY_MSG || e->addr)
		return 0;
	err = entry_encode(conn, e);
	if (err == -ETIME)
		kmqtt_stat_inc(conn->kn, DROPPED_EXPIRED);
	else if (err && e->class == KMQTT_TX_ROUTED)
		kmqtt_stat_inc(conn->kn, DROPPED_MEMORY);
	else
		return err;	/* what was delivered is not dropped */
	tx_done(conn, e);
	return -ENOENT;
}

/* The unsent bytes of @e as one or two vectors; returns how many. */
static unsigned int entry_vecs(const struct kmqtt_entry *e, struct kvec *vec)
{
	u32 off = e->sent;
	unsigned int n = 0;

	if (e->kind != ENTRY_MSG) {
		vec[0].iov_base = e->addr + off;
		vec[0].iov_len = e->len - off;
		return 1;
	}
	if (off < e->hdr_len) {
		vec[n].iov_base = e->addr + off;
		vec[n++].iov_len = e->hdr_len - off;
		off = e->hdr_len;
	}
	if (off < e->len) {
		vec[n].iov_base = (u8 *)e->msg->payload + (off - e->hdr_len);
		vec[n++].iov_len = e->len - off;
	}
	return n;
}

/* Gather vectors from the entries that may be sent. */
static unsigned int tx_gather(struct kmqtt_conn *conn, struct kvec *vec, size_t *len)
{
	struct kmqtt_entry *e, *tmp;
	unsigned int n = 0, i, more;
	int err;

	*len = 0;
	list_for_each_entry_safe(e, tmp, &conn->tx.out, node) {
		if (n + 2 > TX_VECS)
			break;
		err = entry_ready(conn, e);
		if (err == -ENOENT)
			continue;
		if (err)
			break;
		more = entry_vecs(e, vec + n);
		for (i = 0; i < more; i++)
			*len += vec[n++].iov_len;
	}
	return n;
}

/* The socket took all of @e. */
static void tx_count(const struct kmqtt_conn *conn, const struct kmqtt_entry *e)
{
	kmqtt_stat_add(conn->kn, PACKETS_TX, e->count);
	if (e->kind != ENTRY_RUN && e->kind != ENTRY_MSG)
		return;
	kmqtt_stat_add(conn->kn, PUBLISH_TX, e->count);
	kmqtt_stat_add(conn->kn, PAYLOAD_TX, e->payload);
}

/* The socket took @bytes. */
static void tx_consume(struct kmqtt_conn *conn, size_t bytes)
{
	struct kmqtt_entry *e, *tmp;
	u32 part;

	conn->tx.progress = jiffies;
	conn->cs[KMQTT_CS_BYTES_TX] += bytes;
	kmqtt_stat_add(conn->kn, BYTES_TX, bytes);
	list_for_each_entry_safe(e, tmp, &conn->tx.out, node) {
		/* What follows may not be encoded yet and has no length. */
		if (!bytes)
			break;
		part = min_t(size_t, e->len - e->sent, bytes);
		e->sent += part;
		bytes -= part;
		if (e->sent < e->len)
			break;
		tx_count(conn, e);
		tx_done(conn, e);
	}
}

/*
 * The socket takes no more for now.  What is encoded but has not begun to
 * leave is encoded anew when it does: its Message Expiry goes on counting
 * down, and it may be dropped.  All behind it goes with it: the aliases they
 * rely on are those of the order in which they leave.
 */
static void tx_unready(struct kmqtt_conn *conn)
{
	struct kmqtt_entry *e;
	unsigned int n = 0;
	bool stale = false;

	list_for_each_entry(e, &conn->tx.out, node) {
		/* So many were gathered at most. */
		if (n++ == TX_VECS || (e->kind == ENTRY_MSG && !e->addr))
			break;
		if (e->kind != ENTRY_MSG || e->sent)
			continue;
		stale |= e->msg->has_expiry;
		if (stale)
			entry_decode(conn, e);
	}
}

/* Room for @len bytes in the connection's own page. */
static bool pack_room(struct kmqtt_tx *tx, u32 len)
{
	struct page *page;

	if (tx->pack && tx->pack_off + len <= page_size(tx->pack))
		return true;
	page = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_COMP | __GFP_NOWARN,
			   get_order(len));
	if (!page)
		return false;
	if (tx->pack)
		put_page(tx->pack);
	tx->pack = page;
	tx->pack_off = 0;
	return true;
}

/* Copy a run into the connection's own page; it then pins no arena. */
static void entry_pack(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	struct kmqtt_tx *tx = &conn->tx;
	u32 len = e->len - e->sent;

	/* There is nothing to gain, now or later. */
	if (e->kind != ENTRY_RUN || len > KMQTT_ARENA_SIZE / 2) {
		e->packed = true;
		return;
	}
	if (!pack_room(tx, len))
		return;
	memcpy((u8 *)page_address(tx->pack) + tx->pack_off, e->addr + e->sent, len);
	get_page(tx->pack);
	put_page(e->page);
	e->page = tx->pack;
	e->addr = (u8 *)page_address(tx->pack) + tx->pack_off;
	e->len = len;
	e->sent = 0;
	e->packed = true;
	tx->pack_off += len;
}

/*
 * What stays queued must not pin an arena page for a few bytes of it: copy
 * small runs.  Large ones pin little more than their own length.
 */
static void tx_pack(struct kmqtt_conn *conn)
{
	struct kmqtt_entry *e;

	list_for_each_entry_reverse(e, &conn->tx.out, node) {
		if (e->packed)
			break;
		entry_pack(conn, e);
	}
	list_for_each_entry_reverse(e, &conn->tx.held, node) {
		if (e->packed)
			break;
		entry_pack(conn, e);
	}
}

/*
 * The socket refused.  write_space clears BLOCKED and kicks; it may have run
 * just before the bit was set, and it never comes if memory ran out with
 * nothing in flight: then the timer tries again.
 */
static void tx_blocked(struct kmqtt_conn *conn)
{
	struct sock *sk = conn->sock->sk;

	set_bit(KMQTT_CB_BLOCKED, &conn->bits);
	smp_mb__after_atomic(); /* with the bit in conn_write_space() */
	if (!sk_stream_is_writeable(sk))
		return;
	if (tcp_rtx_and_write_queues_empty(sk)) {
		mod_timer(&conn->timer, jiffies + HZ / 50);
	} else {
		clear_bit(KMQTT_CB_BLOCKED, &conn->bits);
		kmqtt_conn_kick(conn, KMQTT_CB_TX);
	}
}

static int tx_send(struct kmqtt_conn *conn)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec[TX_VECS];
	unsigned int n;
	size_t len;
	int ret;

	n = tx_gather(conn, vec, &len);
	if (!n)
		return list_empty(&conn->tx.out) ? 0 : -ENOMEM;
	ret = kernel_sendmsg(conn->sock, &msg, vec, n, len);
	if (ret > 0)
		tx_consume(conn, ret);
	return ret;
}

/* Send what the gate let through; 0, -EAGAIN, or an error of the socket. */
static int tx_push(struct kmqtt_conn *conn)
{
	unsigned int round;
	int ret = 0;

	if (test_bit(KMQTT_CB_BLOCKED, &conn->bits)) {
		tx_pack(conn);
		return -EAGAIN;
	}
	for (round = 0; round < TX_ROUNDS && !list_empty(&conn->tx.out); round++) {
		ret = tx_send(conn);
		if (ret <= 0)
			break;
		cond_resched();
	}
	if (ret == -EAGAIN) {
		tx_unready(conn);
		tx_blocked(conn);
		tx_pack(conn);
	} else if (ret == -ENOMEM || ret == -ENOBUFS) {
		tx_unready(conn);
		/* There may be some when the timer tries again. */
		set_bit(KMQTT_CB_BLOCKED, &conn->bits);
		mod_timer(&conn->timer, jiffies + HZ / 50);
		ret = -EAGAIN;
	} else if (!list_empty(&conn->tx.out) && ret >= 0) {
		kmqtt_conn_kick(conn, KMQTT_CB_TX);
	}
	if (!list_empty(&conn->tx.held))
		tx_pack(conn);
	return min(ret, 0);
}

/* What is sent in one go: a part of a page. */
struct quick_part {
	struct page *page;
	u32 off;
	u32 len;
};

/* Copy the runs at the head of the list into the worker's page. */
static bool quick_copy(struct kmqtt_conn *conn, u32 len, struct quick_part *part)
{
	struct kmqtt_arena *arena = &conn->worker->quick;
	struct kmqtt_entry *e;
	u8 *p;

	if (!kmqtt_arena_room(arena, len, 0, GFP_ATOMIC))
		return false;
	p = kmqtt_arena_at(arena);
	*part = (struct quick_part) { arena->page, arena->off, len };
	arena->off += len;
	list_for_each_entry(e, &conn->tx.out, node) {
		u32 n = min(e->len - e->sent, len);

		memcpy(p, e->addr + e->sent, n);
		p += n;
		len -= n;
		if (!len)
			break;
	}
	return true;
}

/*
 * Choose what to send: small runs together, or a large one by itself.  What is
 * in between would pin much more than it is long.
 */
static bool quick_part(struct kmqtt_conn *conn, struct quick_part *part)
{
	struct kmqtt_entry *e;
	u32 len = 0;

	list_for_each_entry(e, &conn->tx.out, node) {
		if (e->kind != ENTRY_RUN || len + e->len - e->sent > QUICK_COPY)
			break;
		len += e->len - e->sent;
	}
	if (len)
		return quick_copy(conn, len, part);
	e = list_first_entry(&conn->tx.out, struct kmqtt_entry, node);
	if (e->kind != ENTRY_RUN || e->len - e->sent < QUICK_SPLICE)
		return false;
	*part = (struct quick_part) {
		.page = e->page,
		.off = e->addr + e->sent - (u8 *)page_address(e->page),
		.len = e->len - e->sent,
	};
	return true;
}

/*
 * May the socket be sent to under its spinlock?  The locked functions would
 * send plaintext on a socket with TLS, which may have come later, and copy into
 * a page that the socket then keeps where the device cannot gather.
 */
static bool sock_is_quick(struct sock *sk)
{
	return !sock_owned_by_user(sk) && (sk->sk_route_caps & NETIF_F_SG) &&
	       READ_ONCE(sk->sk_prot)->sendmsg == tcp_sendmsg;
}

/* Bytes that the socket took, or an error: nothing is decided by it here. */
static int quick_send(struct sock *sk, const struct quick_part *part)
{
	int ret = -EBUSY;
	gfp_t gfp;

	bh_lock_sock(sk);
	if (sock_is_quick(sk)) {
		gfp = sk->sk_allocation;
		sk->sk_allocation = GFP_ATOMIC;
		ret = kmqtt_tcp_splice(sk, part->page, part->off, part->len);
		sk->sk_allocation = gfp;
	}
	bh_unlock_sock(sk);
	return ret;
}

bool kmqtt_tx_quick(struct kmqtt_conn *conn, unsigned int max, unsigned int *sends)
{
	struct kmqtt_tx *tx = &conn->tx;
	struct quick_part part;
	int ret;

	WARN_ON_ONCE(!in_softirq());
	if (tx->dead || test_bit(KMQTT_CB_BLOCKED, &conn->bits))
		return false;
	tx_take(conn);
	while (!list_empty(&tx->out) && *sends < max) {
		if (!quick_part(conn, &part))
			return false;
		ret = quick_send(conn->sock->sk, &part);
		if (ret <= 0)
			return false;
		tx_consume(conn, ret);
		++*sends;
	}
	/* What is left, held or was refused needs what a flush does besides. */
	return list_empty(&tx->out) && list_empty(&tx->held) && !READ_ONCE(tx->full);
}

bool kmqtt_tx_flush(struct kmqtt_conn *conn)
{
	int ret;

	if (conn->tx.dead) {
		kmqtt_tx_purge(conn);
		return true;
	}
	tx_take(conn);
	ret = tx_push(conn);
	tx_writable(conn);
	conn->tx.dead = ret < 0 && ret != -EAGAIN;
	return !conn->tx.dead;
}

bool kmqtt_tx_empty(struct kmqtt_conn *conn)
{
	bool empty;

	spin_lock(&conn->tx.lock);
	empty = list_empty(&conn->tx.queue);
	spin_unlock(&conn->tx.lock);
	return empty && list_empty(&conn->tx.out);
}

void kmqtt_tx_purge(struct kmqtt_conn *conn)
{
	struct kmqtt_tx *tx = &conn->tx;
	struct kmqtt_entry *e, *tmp;

	spin_lock(&tx->lock);
	list_splice_tail_init(&tx->queue, &tx->out);
	WRITE_ONCE(tx->full, 0);
	spin_unlock(&tx->lock);
	list_splice_tail_init(&tx->held, &tx->out);
	list_for_each_entry_safe(e, tmp, &tx->out, node)
		tx_done(conn, e);
	if (tx->pack)
		put_page(tx->pack);
	tx->pack = NULL;
	kmqtt_aliases_free(conn);
}
