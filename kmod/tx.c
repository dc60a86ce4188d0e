// SPDX-License-Identifier: GPL-2.0
/* The transmit list: enqueue from anywhere, taken through the gate by the worker. */

#include <linux/mm.h>
#include <linux/slab.h>
#include "alias.h"
#include "conn.h"
#include "frame.h"
#include "msg.h"
#include "tx.h"
#include "tx-entry.h"

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

void kmqtt_entry_unplace(struct kmqtt_entry *e)
{
	if (e->page)
		put_page(e->page);
	else
		kvfree(e->addr);
	e->page = NULL;
	e->addr = NULL;
}

static void entry_free(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	if (e->kind == ENTRY_RUN)
		put_page(e->page);
	if (e->kind == ENTRY_MSG) {
		kmqtt_entry_unplace(e);
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

void kmqtt_entry_out(const struct kmqtt_conn *conn, const struct kmqtt_msg *msg,
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

bool kmqtt_entry_fits(const struct kmqtt_conn *conn, const struct kmqtt_publish_out *out)
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
	kmqtt_entry_out(conn, msg, opts, &out);
	return kmqtt_entry_fits(conn, &out);
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

void kmqtt_tx_writable(struct kmqtt_conn *conn)
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

void kmqtt_entry_done(struct kmqtt_conn *conn, struct kmqtt_entry *e)
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

void kmqtt_tx_take(struct kmqtt_conn *conn)
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
			kmqtt_entry_done(conn, e);
		} else if (e->kind == ENTRY_RELEASE) {
			WRITE_ONCE(tx->shut, false);
			list_splice_tail_init(&tx->held, &tx->out);
			kmqtt_entry_done(conn, e);
		} else if (tx->shut && e->class <= KMQTT_TX_LIVE) {
			list_move_tail(&e->node, &tx->held);
		} else {
			list_move_tail(&e->node, &tx->out);
		}
	}
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
		kmqtt_entry_done(conn, e);
	if (tx->pack)
		put_page(tx->pack);
	tx->pack = NULL;
	kmqtt_aliases_free(conn);
}
