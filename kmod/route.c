// SPDX-License-Identifier: GPL-2.0
/* Routing: one look-up, one encoding per protocol version, many queues. */

#include <linux/mm.h>
#include <linux/slab.h>
#include "alias.h"
#include "conn.h"
#include "fib.h"
#include "msg.h"
#include "route.h"
#include "tx.h"
#include "worker.h"

/**
 * struct route_run - frames in one encoding
 * @run: the frames; a reference to the page is held for one look-up
 * @largest: length of the longest
 */
struct route_run {
	struct kmqtt_run run;
	u32 largest;
};

/**
 * struct route_ctx - one look-up
 * @in: the frames
 * @run: encodings made so far: [0] for 3.x, [1] for 5.0
 * @msgs: one for each frame, made when the first destination needs them
 * @copy: of the copy for the daemon
 * @wants_copy: a route leads to the daemon
 * @copies: the daemon got a copy
 */
struct route_ctx {
	const struct kmqtt_inbound *in;
	struct route_run run[2];
	struct kmqtt_msg **msgs;
	struct kmqtt_copy *copy;
	bool wants_copy;
	bool copies;
};

/*
 * The frame behind @one, or the first if that is empty; false at the end.  All
 * have been parsed, or written, before.  @vhdr: length of the variable header.
 */
static bool run_next(const struct kmqtt_run *all, u32 vhdr, struct kmqtt_run *one)
{
	u8 *addr = one->addr ? one->addr + one->len : all->addr;
	struct kmqtt_fixed fix;

	if (addr == all->addr + all->len ||
	    kmqtt_fixed_parse(addr, all->addr + all->len - addr, &fix))
		return false;
	*one = (struct kmqtt_run) {
		.page = all->page,
		.addr = addr,
		.len = fix.hdr_len + fix.remaining,
		.payload = fix.remaining - vhdr,
		.count = 1,
	};
	return true;
}

static bool inbound_next(const struct kmqtt_inbound *in, struct kmqtt_run *one)
{
	const struct kmqtt_run all = {
		.page = in->page,
		.addr = in->frame,
		.len = in->frame_len,
		.payload = in->payload,
		.count = in->n,
	};

	if (in->n > 1)
		return run_next(&all, kmqtt_inbound_vhdr(in), one);
	if (one->addr)
		return false;
	*one = all;
	return true;
}

static void inbound_out(const struct kmqtt_inbound *in, u8 level, u16 strip,
			struct kmqtt_publish_out *out)
{
	*out = (struct kmqtt_publish_out) {
		.level = level,
		.topic = in->topic + strip,
		.topic_len = in->topic_len - strip,
		.props = in->pub->props,
		.props_len = in->pub->props_len,
		.payload_len = in->pub->payload_len,
	};
}

/* Bytes of @in in the encoding of @out; 0 if there is none. */
static u32 inbound_out_len(const struct kmqtt_inbound *in, struct kmqtt_publish_out *out)
{
	struct kmqtt_run one = { 0 };
	u32 hdr, len = 0;

	while (inbound_next(in, &one)) {
		out->payload_len = one.payload;
		hdr = kmqtt_publish_hdr_len(out);
		if (!hdr)
			return 0;
		len += hdr + one.payload;
	}
	return len;
}

/* Write whole frames into the worker's arena. */
static bool route_encode(const struct kmqtt_inbound *in, u8 level, u16 strip,
			 struct route_run *to)
{
	struct kmqtt_arena *arena = &in->src->worker->enc;
	struct kmqtt_publish_out out;
	struct kmqtt_run one = { 0 };
	u32 hdr, len;
	u8 *p;

	inbound_out(in, level, strip, &out);
	len = inbound_out_len(in, &out);
	if (!len || !kmqtt_arena_room(arena, len, KMQTT_ARENA_ORDER, GFP_NOWAIT))
		return false;
	p = kmqtt_arena_at(arena);
	arena->off += len;
	*to = (struct route_run) {
		.run = {
			.page = arena->page,
			.addr = p,
			.len = len,
			.payload = in->payload,
			.count = in->n,
		},
	};
	while (inbound_next(in, &one)) {
		out.payload_len = one.payload;
		hdr = kmqtt_publish_hdr_len(&out);
		kmqtt_publish_put(p, &out);
		memcpy(p + hdr, one.addr + one.len - one.payload, one.payload);
		p += hdr + one.payload;
		to->largest = max(to->largest, hdr + one.payload);
	}
	return true;
}

/* The shared encoding for @level. */
static const struct route_run *route_run(struct route_ctx *ctx, u8 level)
{
	struct route_run *run = &ctx->run[level == KMQTT_V5];
	const struct kmqtt_inbound *in = ctx->in;

	if (run->run.page)
		return run;
	if (in->verbatim && run == &ctx->run[in->src->level == KMQTT_V5])
		*run = (struct route_run) {
			.run = {
				.page = in->page,
				.addr = in->frame,
				.len = in->frame_len,
				.payload = in->payload,
				.count = in->n,
			},
			.largest = in->largest,
		};
	else if (!route_encode(in, level, 0, run))
		return NULL;
	/* It must outlive a change of the worker's arena page. */
	get_page(run->run.page);
	return run;
}

/* A message for each frame; those for which there was no memory are %NULL. */
static struct kmqtt_msg **route_msgs(struct route_ctx *ctx)
{
	const struct kmqtt_inbound *in = ctx->in;
	struct kmqtt_msg_src src = {
		.topic = in->topic,
		.topic_len = in->topic_len,
		.props = in->pub->props,
		.props_len = in->pub->props_len,
		.pages = in->pages,
		.has_expiry = in->pub->has_expiry,
		.expiry = (u64)in->pub->expiry * NSEC_PER_SEC,
	};
	struct kmqtt_run one = { 0 };
	unsigned int i;

	if (ctx->msgs)
		return ctx->msgs;
	ctx->msgs = in->src->worker->msgs;
	for (i = 0; inbound_next(in, &one); i++) {
		src.payload = one.addr + one.len - one.payload;
		src.payload_len = one.payload;
		ctx->msgs[i] = kmqtt_msg_new(in->src->kn, &src, GFP_NOWAIT);
	}
	return ctx->msgs;
}

/*
 * While a session comes back the daemon gets copies for it, until every look-up
 * finds the routes of its new connection, the gate of which is shut till then.
 * The copy tells which of those connections have the message already.
 */
static void route_note_shut(struct route_ctx *ctx, const struct kmqtt_conn *to)
{
	struct kmqtt_copy *copy = ctx->copy;

	/* Shut from the beginning: whoever sees the route sees that, too. */
	if (!READ_ONCE(to->tx.shut))
		return;
	if (copy->n_shut < ARRAY_SIZE(copy->shut))
		copy->shut[copy->n_shut++] = to->id;
	else
		copy->shut_more = true;
}

/* A copy for the daemon as route target: dropped when its events are full. */
static void route_copy(struct route_ctx *ctx)
{
	const struct kmqtt_inbound *in = ctx->in;
	struct kmqtt_msg *msg = route_msgs(ctx)[0];
	struct kmqtt_publish_out out;
	struct kmqtt_event *e = NULL;
	u8 *head = NULL;
	u32 len;

	inbound_out(in, KMQTT_V5, 0, &out);
	out.props = msg ? msg->props : NULL;
	out.props_len = msg ? msg->props_len : 0;
	out.has_expiry = in->pub->has_expiry;
	out.expiry = in->pub->expiry;
	len = kmqtt_publish_hdr_len(&out);
	/* With its mount point or properties it may be too long to encode. */
	if (msg && len && kmqtt_events_copy_room(in->src, len + out.payload_len))
		head = kmalloc(len, GFP_NOWAIT | __GFP_NOWARN);
	if (head) {
		kmqtt_publish_put(head, &out);
		e = kmqtt_event_alloc_copy(in->src, ctx->copy, head, len,
					   in->pub->payload, in->pub->payload_len);
	}
	kfree(head);
	if (!e) {
		kmqtt_stat_inc(in->src->kn, DROPPED_FULL);
		return;
	}
	kmqtt_event_add(in->src, e, false);
	ctx->copies = true;
}

/* Needs a header of its own that is fixed when it is sent. */
static bool route_needs_msg(const struct kmqtt_inbound *in,
			    const struct kmqtt_fib_dest *dest)
{
	if (in->largest > KMQTT_RUN_MAX || in->pub->has_expiry)
		return true;
	/* props_extra: an alias is the publisher's and must not travel on. */
	return dest->conn->level == KMQTT_V5 &&
	       (dest->n_subids || in->pub->props_extra ||
		kmqtt_alias_worth(dest->conn, in->topic_len - dest->conn->mount.len));
}

/* Returns as kmqtt_fib_emit_t. */
static bool route_to_msgs(struct route_ctx *ctx, const struct kmqtt_fib_dest *dest)
{
	const struct kmqtt_tx_opts opts = {
		.class = KMQTT_TX_ROUTED,
		.spare = dest->spare,
		.n_subids = dest->n_subids,
		.subids = dest->subids,
	};
	struct kmqtt_msg **msgs = route_msgs(ctx);
	bool taken = true;
	unsigned int i;

	for (i = 0; i < ctx->in->n; i++) {
		if (msgs[i])
			taken = kmqtt_tx_msg(dest->conn, msgs[i], &opts, GFP_NOWAIT) ==
				KMQTT_DEST_ACCEPTED || !dest->spare;
		else
			kmqtt_stat_inc(dest->conn->kn, DROPPED_MEMORY);
	}
	return taken;
}

/* Each frame by itself, as far as the connection takes them. */
static void route_each(struct kmqtt_conn *to, const struct route_run *all, u32 vhdr)
{
	struct kmqtt_run one = { 0 };

	while (run_next(&all->run, vhdr, &one)) {
		if (to->max_packet_out && one.len > to->max_packet_out)
			kmqtt_stat_inc(to->kn, DROPPED_LARGE);
		else
			kmqtt_tx_run(to, &one, false);
	}
}

/* Returns as kmqtt_fib_emit_t. */
static bool route_to(struct route_ctx *ctx, struct kmqtt_conn *to, bool spare)
{
	const struct kmqtt_inbound *in = ctx->in;
	const struct route_run *run;
	struct route_run own;
	bool fits;

	if (!to->mount.len) {
		run = route_run(ctx, to->level);
	} else {
		if (in->topic_len <= to->mount.len ||
		    memcmp(in->topic, to->mount.data, to->mount.len))
			return !spare;
		run = route_encode(in, to->level, to->mount.len, &own) ? &own : NULL;
	}
	fits = run && (!to->max_packet_out || run->largest <= to->max_packet_out);
	if (fits && kmqtt_tx_run(to, &run->run, spare))
		return true;
	if (spare)
		return false;
	if (!run)
		kmqtt_stat_add(to->kn, DROPPED_MEMORY, in->n);
	else if (in->n > 1)
		route_each(to, run, 2 + in->topic_len - to->mount.len +
			   (to->level == KMQTT_V5));
	else
		kmqtt_stat_inc(to->kn, DROPPED_LARGE);
	return true;
}

static bool route_emit(void *arg, const struct kmqtt_fib_dest *dest)
{
	struct route_ctx *ctx = arg;

	if (!dest->conn) {
		ctx->wants_copy = true;
		return true;
	}
	if (READ_ONCE(dest->conn->state) == KMQTT_STATE_CLOSED)
		return !dest->spare;
	route_note_shut(ctx, dest->conn);
	if (route_needs_msg(ctx->in, dest))
		return route_to_msgs(ctx, dest);
	return route_to(ctx, dest->conn, dest->spare);
}

static void route_free(struct route_ctx *ctx)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ctx->run); i++)
		if (ctx->run[i].run.page)
			put_page(ctx->run[i].run.page);
	for (i = 0; ctx->msgs && i < ctx->in->n; i++)
		kmqtt_msg_put(ctx->msgs[i]);
}

int kmqtt_route_inbound(const struct kmqtt_inbound *in)
{
	struct kmqtt_copy copy;		/* too large to clear for each message */
	struct route_ctx ctx = { .in = in, .copy = &copy };
	struct kmqtt_net *kn = in->src->kn;
	int ret;

	copy.n_shut = 0;
	copy.shut_more = false;
	rcu_read_lock();
	if (in->n > 1)
		ret = kmqtt_fib_lookup_plain(kn->fib, in->topic, in->topic_len,
					     in->src, route_emit, &ctx);
	else
		ret = kmqtt_fib_lookup(kn->fib, in->topic, in->topic_len, in->src,
				       route_emit, &ctx);
	/* In the section of the look-up: the completion of a change waits for it. */
	if (ctx.wants_copy)
		route_copy(&ctx);
	rcu_read_unlock();
	route_free(&ctx);
	if (ctx.copies)
		kmqtt_events_ready(kn);
	if (ret == -E2BIG || ret == -EAGAIN)
		return ret;
	if (ret == -ENOMEM)
		kmqtt_stat_inc(kn, DROPPED_MEMORY);
	return 0;
}

struct kmqtt_conn *kmqtt_route_one(const struct kmqtt_inbound *in)
{
	const struct kmqtt_conn *src = in->src;
	struct kmqtt_fib_dest dest;
	struct kmqtt_conn *to;

	if (!kmqtt_fib_lookup_one(src->kn->fib, in->topic, in->topic_len, src, &dest))
		return NULL;
	to = dest.conn;
	if (!in->verbatim || to->mount.len || kmqtt_conn_is_v5(to) != kmqtt_conn_is_v5(src) ||
	    (to->max_packet_out && in->largest > to->max_packet_out) ||
	    route_needs_msg(in, &dest))
		return NULL;
	return to;
}

/* A look-up for a message of the daemon. */
struct inject_ctx {
	struct kmqtt_msg *msg;
};

static bool inject_emit(void *arg, const struct kmqtt_fib_dest *dest)
{
	struct inject_ctx *ctx = arg;
	const struct kmqtt_tx_opts opts = {
		.class = KMQTT_TX_ROUTED,
		.retain = ctx->msg->retain &&
			  (dest->flags & KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED),
		.spare = dest->spare,
		.n_subids = dest->n_subids,
		.subids = dest->subids,
	};

	/* The daemon has its own messages already. */
	if (!dest->conn)
		return true;
	return kmqtt_tx_msg(dest->conn, ctx->msg, &opts, GFP_NOWAIT) ==
	       KMQTT_DEST_ACCEPTED || !dest->spare;
}

int kmqtt_route_msg(struct kmqtt_net *kn, struct kmqtt_msg *msg,
		    const struct kmqtt_conn *src)
{
	struct inject_ctx ctx = { .msg = msg };
	int ret;

	rcu_read_lock();
	ret = kmqtt_fib_lookup(kn->fib, msg->topic, msg->topic_len, src,
			       inject_emit, &ctx);
	rcu_read_unlock();
	return ret < 0 ? ret : 0;
}
