// SPDX-License-Identifier: GPL-2.0
/* Events: numbered, kept until acknowledged, pulled by the daemon. */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <net/genetlink.h>
#include "conn.h"
#include "netlink.h"
#include "netns.h"
#include "punt.h"

/* An event below this much tail room waits for the next skb. */
#define EVENT_MIN_PIECE		512
/* Attributes of an event apart from topic and data. */
#define EVENT_OVERHEAD		128

void kmqtt_events_init(struct kmqtt_conn_events *ev)
{
	INIT_LIST_HEAD(&ev->list);
	INIT_LIST_HEAD(&ev->pending);
}

struct kmqtt_event *kmqtt_event_alloc(struct kmqtt_conn *conn, u8 type,
				      const u8 *head, u32 head_len,
				      const u8 *data, u32 len, gfp_t gfp)
{
	size_t size = sizeof(struct kmqtt_event) + head_len + len;
	struct kmqtt_event *e;

	if (!kmqtt_mem_charge(conn->kn, size))
		return NULL;
	if (gfpflags_allow_blocking(gfp))
		e = kvmalloc(size, gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	else
		e = kmalloc(size, gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!e) {
		kmqtt_mem_uncharge(conn->kn, size);
		return NULL;
	}
	*e = (struct kmqtt_event) {
		.type = type,
		.len = head_len + len,
		.charged = size,
		.time = ktime_get_boottime_ns(),
	};
	INIT_LIST_HEAD(&e->node);
	if (head)
		memcpy(e->data, head, head_len);
	if (len)
		memcpy(e->data + head_len, data, len);
	return e;
}

struct kmqtt_event *kmqtt_event_alloc_copy(struct kmqtt_conn *conn,
					   const struct kmqtt_copy *copy,
					   const u8 *head, u32 head_len,
					   const u8 *data, u32 len)
{
	u32 shut_len = copy->n_shut * sizeof(copy->shut[0]);
	struct kmqtt_event *e;

	e = kmqtt_event_alloc(conn, KMQTT_EV_COPY, NULL, shut_len + head_len,
			      data, len, GFP_NOWAIT);
	if (!e)
		return NULL;
	memcpy(e->data, copy->shut, shut_len);
	memcpy(e->data + shut_len, head, head_len);
	e->len -= shut_len;
	e->n_shut = copy->n_shut;
	e->shut_more = copy->shut_more;
	return e;
}

void kmqtt_event_free(struct kmqtt_net *kn, struct kmqtt_event *e)
{
	if (!e)
		return;
	kmqtt_mem_uncharge(kn, e->charged);
	kvfree(e);
}

/* Under kn->ev_lock. */
static void event_mark_pending(struct kmqtt_conn *conn)
{
	lockdep_assert_held(&conn->kn->ev_lock);
	if (list_empty(&conn->ev.pending)) {
		/* kn->pending holds it until the dump has seen all events. */
		kmqtt_conn_get(conn);
		list_add_tail(&conn->ev.pending, &conn->kn->pending);
	}
}

/* Count @e in or, with @sign -1, out; under kn->ev_lock. */
static void event_account(struct kmqtt_conn_events *ev, const struct kmqtt_event *e,
			  int sign)
{
	if (e->type == KMQTT_EV_COPY) {
		ev->copy_bytes += sign * (int)e->charged;
		ev->copy_count += sign;
	} else {
		ev->bytes += sign * (int)e->charged;
		ev->count += sign;
	}
}

void kmqtt_event_add(struct kmqtt_conn *conn, struct kmqtt_event *e, bool wake)
{
	struct kmqtt_conn_events *ev = &conn->ev;
	struct kmqtt_net *kn = conn->kn;

	spin_lock(&kn->ev_lock);
	e->number = ++ev->last;
	list_add_tail(&e->node, &ev->list);
	event_account(ev, e, 1);
	if (e->slot)
		ev->slots[e->slot - 1]++;
	if (e->barrier)
		ev->barrier = e->number;
	if (!ev->next) {
		ev->next = e;
		ev->next_off = 0;
	}
	event_mark_pending(conn);
	spin_unlock(&kn->ev_lock);
	kmqtt_stat_inc(kn, EVENTS);
	if (wake)
		kmqtt_events_ready(kn);
}

void kmqtt_events_ready(struct kmqtt_net *kn)
{
	u32 owner = 0;

	spin_lock(&kn->ev_lock);
	if (!kn->uncopied && kn->owner &&
	    (!list_empty(&kn->pending) || !list_empty(&kn->done))) {
		kn->uncopied = true;
		owner = kn->owner;
	}
	spin_unlock(&kn->ev_lock);
	if (!owner || kmqtt_netlink_ready(kn, owner))
		return;
	/* The next event tries again. */
	spin_lock(&kn->ev_lock);
	kn->uncopied = false;
	spin_unlock(&kn->ev_lock);
}

void kmqtt_event_writable(struct kmqtt_conn *conn)
{
	struct kmqtt_net *kn = conn->kn;

	spin_lock(&kn->ev_lock);
	conn->ev.writable = true;
	event_mark_pending(conn);
	spin_unlock(&kn->ev_lock);
	kmqtt_events_ready(kn);
}

void kmqtt_event_done(struct kmqtt_net *kn, u32 owner, struct kmqtt_done *done,
		      int error)
{
	bool told;

	spin_lock(&kn->ev_lock);
	told = kn->owner == owner;
	if (told) {
		done->error = error;
		list_add_tail(&done->node, &kn->done);
	}
	spin_unlock(&kn->ev_lock);
	if (told)
		kmqtt_events_ready(kn);
	else
		kfree(done);
}

/* Take @e off its list; under kn->ev_lock. */
static void event_unlink(struct kmqtt_conn *conn, struct kmqtt_event *e)
{
	struct kmqtt_conn_events *ev = &conn->ev;

	lockdep_assert_held(&conn->kn->ev_lock);
	if (ev->next == e) {
		ev->next = list_is_last(&e->node, &ev->list) ?
			NULL : list_next_entry(e, node);
		ev->next_off = 0;
	}
	list_del_init(&e->node);
	event_account(ev, e, -1);
	if (e->slot)
		ev->slots[e->slot - 1]--;
}

bool kmqtt_event_ack(struct kmqtt_conn *conn, u64 number)
{
	struct kmqtt_conn_events *ev = &conn->ev;
	struct kmqtt_net *kn = conn->kn;
	struct kmqtt_event *e, *tmp;
	bool closed = false;
	LIST_HEAD(dead);

	/* Keep Alive stood still until now; it begins anew. */
	if (!kmqtt_events_room(conn))
		WRITE_ONCE(conn->last_rx, jiffies);
	spin_lock(&kn->ev_lock);
	number = min(number, ev->last);
	list_for_each_entry_safe(e, tmp, &ev->list, node) {
		if (e->number > number)
			break;
		closed |= e->type == KMQTT_EV_CLOSE;
		event_unlink(conn, e);
		list_add_tail(&e->node, &dead);
	}
	ev->acked = max(ev->acked, number);
	/* Pairs with kmqtt_events_room(): what the answer changed is seen. */
	if (ev->barrier && ev->barrier <= number)
		smp_store_release(&ev->barrier, 0); /* kmqtt_events_room() */
	spin_unlock(&kn->ev_lock);

	list_for_each_entry_safe(e, tmp, &dead, node)
		kmqtt_event_free(kn, e);
	kmqtt_conn_kick(conn, KMQTT_CB_RX);
	return closed;
}

bool kmqtt_events_room(struct kmqtt_conn *conn)
{
	struct kmqtt_conn_events *ev = &conn->ev;

	/* Pairs with kmqtt_event_ack(). */
	return !smp_load_acquire(&ev->barrier) &&
	       READ_ONCE(ev->bytes) < KMQTT_EVENTS_BYTES &&
	       READ_ONCE(ev->count) < KMQTT_EVENTS_COUNT;
}

bool kmqtt_events_copy_room(struct kmqtt_conn *conn, u32 len)
{
	const struct kmqtt_conn_events *ev = &conn->ev;
	u32 bytes = READ_ONCE(ev->copy_bytes);

	/* One of any size, or large ones never came. */
	return !bytes || (bytes < KMQTT_EVENTS_BYTES &&
			  len < KMQTT_EVENTS_BYTES - bytes);
}

bool kmqtt_events_topic_busy(struct kmqtt_conn *conn, u32 hash)
{
	return READ_ONCE(conn->ev.slots[kmqtt_topic_slot(hash) - 1]);
}

void kmqtt_events_replay(struct kmqtt_conn *conn)
{
	struct kmqtt_conn_events *ev = &conn->ev;
	struct kmqtt_event *e;

	lockdep_assert_held(&conn->kn->lock);
	spin_lock(&conn->kn->ev_lock);
	list_for_each_entry(e, &ev->list, node) {
		/* From here on no daemon has seen them, not as a whole. */
		if (e == ev->next)
			break;
		e->replay = true;
	}
	ev->next = list_first_entry_or_null(&ev->list, struct kmqtt_event, node);
	ev->next_off = 0;
	if (ev->next)
		event_mark_pending(conn);
	spin_unlock(&conn->kn->ev_lock);
}

void kmqtt_events_purge(struct kmqtt_conn *conn)
{
	struct kmqtt_net *kn = conn->kn;
	struct kmqtt_event *e, *tmp;
	bool was_pending;
	LIST_HEAD(dead);

	spin_lock(&kn->ev_lock);
	list_splice_init(&conn->ev.list, &dead);
	conn->ev.next = NULL;
	conn->ev.bytes = 0;
	conn->ev.count = 0;
	conn->ev.copy_bytes = 0;
	conn->ev.copy_count = 0;
	was_pending = !list_empty(&conn->ev.pending);
	list_del_init(&conn->ev.pending);
	spin_unlock(&kn->ev_lock);

	list_for_each_entry_safe(e, tmp, &dead, node)
		kmqtt_event_free(kn, e);
	if (was_pending)
		kmqtt_conn_put(conn);
}

void kmqtt_events_drop_done(struct kmqtt_net *kn)
{
	struct kmqtt_done *d, *tmp;
	LIST_HEAD(dead);

	spin_lock(&kn->ev_lock);
	list_splice_init(&kn->done, &dead);
	spin_unlock(&kn->ev_lock);
	list_for_each_entry_safe(d, tmp, &dead, node)
		kfree(d);
}

/* Bytes of @e->data before the packet. */
static u32 event_shut_len(const struct kmqtt_event *e)
{
	return e->n_shut * sizeof(u64);
}

static u32 event_flags(const struct kmqtt_event *e)
{
	return (e->replay ? KMQTT_EV_F_REPLAY : 0) |
	       (e->shut_more ? KMQTT_EV_F_SHUT_MORE : 0);
}

/* Head of an event: everything but the data. */
static int event_put_head(struct sk_buff *skb, const struct kmqtt_conn *conn,
			  const struct kmqtt_event *e)
{
	if (nla_put_u8(skb, KMQTT_AE_TYPE, e->type) ||
	    nla_put_u64_64bit(skb, KMQTT_AE_CONN, conn->id, KMQTT_AE_PAD) ||
	    nla_put_u64_64bit(skb, KMQTT_AE_NUMBER, e->number, KMQTT_AE_PAD) ||
	    nla_put_u64_64bit(skb, KMQTT_AE_TIME, e->time, KMQTT_AE_PAD) ||
	    nla_put_u32(skb, KMQTT_AE_FLAGS, event_flags(e)) ||
	    nla_put_u32(skb, KMQTT_AE_LENGTH, e->len))
		return -EMSGSIZE;
	if (e->n_shut && nla_put(skb, KMQTT_AE_SHUT, event_shut_len(e), e->data))
		return -EMSGSIZE;
	if (e->type == KMQTT_EV_CLOSE &&
	    (nla_put_u8(skb, KMQTT_AE_CAUSE, e->cause) ||
	     nla_put_u8(skb, KMQTT_AE_REASON, e->reason)))
		return -EMSGSIZE;
	return 0;
}

/* Head of a later piece. */
static int event_put_more(struct sk_buff *skb, const struct kmqtt_conn *conn,
			  const struct kmqtt_event *e, u32 off)
{
	if (nla_put_u8(skb, KMQTT_AE_TYPE, e->type) ||
	    nla_put_u64_64bit(skb, KMQTT_AE_CONN, conn->id, KMQTT_AE_PAD) ||
	    nla_put_u64_64bit(skb, KMQTT_AE_NUMBER, e->number, KMQTT_AE_PAD) ||
	    nla_put_u32(skb, KMQTT_AE_OFFSET, off))
		return -EMSGSIZE;
	return 0;
}

/* Put one event, or as much of it as fits, and advance *@off. */
static int event_put(struct sk_buff *skb, const struct kmqtt_conn *conn,
		     const struct kmqtt_event *e, u32 *off)
{
	struct nlattr *nest;
	u32 len, room;

	if (skb_tailroom(skb) < EVENT_OVERHEAD + event_shut_len(e) + EVENT_MIN_PIECE)
		return -EMSGSIZE;
	nest = nla_nest_start(skb, KMQTT_A_EVENT);
	if (!nest)
		return -EMSGSIZE;
	if (*off ? event_put_more(skb, conn, e, *off) : event_put_head(skb, conn, e))
		goto cancel;
	if (*off < e->len) {
		room = skb_tailroom(skb) - nla_total_size(NLA_ALIGNTO);
		len = min3(e->len - *off, room, (u32)KMQTT_PIECE_MAX);
		if (nla_put(skb, KMQTT_AE_DATA, len,
			    e->data + event_shut_len(e) + *off))
			goto cancel;
		*off += len;
	}
	nla_nest_end(skb, nest);
	return *off < e->len ? -EAGAIN : 0;
cancel:
	nla_nest_cancel(skb, nest);
	return -EMSGSIZE;
}

static int event_put_writable(struct sk_buff *skb, const struct kmqtt_conn *conn)
{
	struct nlattr *nest = nla_nest_start(skb, KMQTT_A_EVENT);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u8(skb, KMQTT_AE_TYPE, KMQTT_EV_WRITABLE) ||
	    nla_put_u64_64bit(skb, KMQTT_AE_CONN, conn->id, KMQTT_AE_PAD)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static int event_put_done(struct sk_buff *skb, const struct kmqtt_done *done)
{
	struct nlattr *nest = nla_nest_start(skb, KMQTT_A_EVENT);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u8(skb, KMQTT_AE_TYPE, KMQTT_EV_DONE) ||
	    nla_put_u64_64bit(skb, KMQTT_AE_TOKEN, done->token, KMQTT_AE_PAD) ||
	    nla_put_u32(skb, KMQTT_AE_ERROR, (u32)done->error)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* All uncopied events of one connection; under kn->ev_lock. */
static int events_put_conn(struct sk_buff *skb, struct kmqtt_conn *conn)
{
	struct kmqtt_conn_events *ev = &conn->ev;
	int err;

	lockdep_assert_held(&conn->kn->ev_lock);
	while (ev->next) {
		err = event_put(skb, conn, ev->next, &ev->next_off);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err;
		ev->next = list_is_last(&ev->next->node, &ev->list) ?
			NULL : list_next_entry(ev->next, node);
		ev->next_off = 0;
	}
	if (ev->writable) {
		err = event_put_writable(skb, conn);
		if (err)
			return err;
		ev->writable = false;
	}
	return 0;
}

/* Fill @skb with events; under kn->ev_lock. */
static int events_fill(struct kmqtt_net *kn, struct sk_buff *skb)
{
	struct kmqtt_done *done, *dtmp;
	struct kmqtt_conn *conn, *tmp;
	int err;

	lockdep_assert_held(&kn->ev_lock);
	list_for_each_entry_safe(done, dtmp, &kn->done, node) {
		err = event_put_done(skb, done);
		if (err)
			return err;
		list_del(&done->node);
		kfree(done);
	}
	list_for_each_entry_safe(conn, tmp, &kn->pending, ev.pending) {
		err = events_put_conn(skb, conn);
		if (err)
			return err;
		list_del_init(&conn->ev.pending);
		/* The release of a connection neither sleeps nor takes locks. */
		kmqtt_conn_put(conn);
	}
	/* One decision: nothing is uncopied, and the dump ends. */
	kn->uncopied = false;
	return 0;
}

int kmqtt_events_dump(struct kmqtt_net *kn, struct sk_buff *skb,
		      struct netlink_callback *cb)
{
	unsigned int start = skb->len;
	bool filled;
	void *hdr;
	int err;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &kmqtt_genl_family, NLM_F_MULTI, KMQTT_CMD_EVENTS_GET);
	if (!hdr)
		return -EMSGSIZE;
	spin_lock(&kn->ev_lock);
	err = events_fill(kn, skb);
	filled = skb->len > start + NLMSG_HDRLEN + GENL_HDRLEN;
	spin_unlock(&kn->ev_lock);
	if (!filled) {
		genlmsg_cancel(skb, hdr);
		return err;
	}
	genlmsg_end(skb, hdr);
	return skb->len;
}
