// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving.  Bytes go into the worker's arena; whole frames are handled
 * there, the rest is kept in rx.part.  A frame that is large gathers in pages
 * that are allocated as its bytes arrive, never by the length it announced.
 */

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>
#include <net/sock.h>
#include <net/tcp_states.h>
#include "conn.h"
#include "frame.h"
#include "publish.h"
#include "rx.h"
#include "tx.h"
#include "worker.h"

#define RX_BUDGET	(128 << 10)	/* bytes of one turn */
#define RX_MIN_ROOM	2048
#define GATHER_MIN	8192		/* larger incomplete frames gather */
#define GATHER_AHEAD	16		/* most pages offered to one recvmsg */
#define LOOK_AHEAD	(64U << 10)	/* read for PINGREQs while paused */
#define LOOK_AHEAD_MIN	2048U
#define LOOK_AHEAD_AFTER	HZ	/* until then answers keep their order */

bool kmqtt_rx_may_read(struct kmqtt_conn *conn)
{
	return READ_ONCE(conn->state) < KMQTT_STATE_CLOSED && kmqtt_events_room(conn) &&
	       READ_ONCE(conn->tx.answers) < kmqtt_answers_max(conn);
}

void kmqtt_rx_fault(struct kmqtt_conn *conn, u8 cause, u8 reason)
{
	conn->rx.over = true;
	kmqtt_conn_close(conn, cause, reason, NULL, 0);
}

static void part_free(struct kmqtt_conn *conn)
{
	struct kmqtt_rx *rx = &conn->rx;

	kvfree(rx->part);
	kmqtt_mem_uncharge(conn->kn, rx->part_size);
	rx->part = NULL;
	rx->part_len = 0;
	rx->part_size = 0;
	rx->ahead = 0;
}

/* Room for @size bytes in part, with those it holds; false without memory. */
static bool part_grow(struct kmqtt_conn *conn, u32 size)
{
	struct kmqtt_rx *rx = &conn->rx;
	u8 *part;

	if (size <= rx->part_size)
		return true;
	if (!kmqtt_mem_charge(conn->kn, size))
		return false;
	part = kvmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!part) {
		kmqtt_mem_uncharge(conn->kn, size);
		return false;
	}
	if (rx->part_len)
		memcpy(part, rx->part, rx->part_len);
	kvfree(rx->part);
	kmqtt_mem_uncharge(conn->kn, rx->part_size);
	rx->part = part;
	rx->part_size = size;
	return true;
}

/* Keep @len bytes at @data for later; false without memory. */
static bool part_keep(struct kmqtt_conn *conn, const u8 *data, u32 len)
{
	struct kmqtt_rx *rx = &conn->rx;

	if (!part_grow(conn, len))
		return false;
	memmove(rx->part, data, len);
	rx->part_len = len;
	return true;
}

int kmqtt_rx_preload(struct kmqtt_conn *conn, const u8 *data, u32 len)
{
	return part_keep(conn, data, len) ? 0 : -ENOMEM;
}

static void gather_free(struct kmqtt_conn *conn)
{
	struct kmqtt_rx *rx = &conn->rx;
	struct kmqtt_pages p = {
		.pages = rx->pages,
		.n = rx->n_pages,
		.charged = rx->n_pages * PAGE_SIZE,
	};

	if (rx->pages)
		kmqtt_pages_free(conn->kn, &p);
	rx->pages = NULL;
	rx->n_pages = 0;
	rx->max_pages = 0;
	rx->have = 0;
	rx->want = 0;
}

void kmqtt_rx_free(struct kmqtt_conn *conn)
{
	part_free(conn);
	gather_free(conn);
	kmqtt_alias_free(conn);
}

/* Make room for @n more page pointers. */
static bool gather_grow(struct kmqtt_rx *rx, u32 n)
{
	u32 max = max(rx->max_pages ? rx->max_pages * 2 : GATHER_AHEAD * 2, rx->n_pages + n);
	struct page **pages;

	if (rx->n_pages + n <= rx->max_pages)
		return true;
	pages = kvmalloc_array(max, sizeof(*pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pages)
		return false;
	memcpy(pages, rx->pages, rx->n_pages * sizeof(*pages));
	kvfree(rx->pages);
	rx->pages = pages;
	rx->max_pages = max;
	return true;
}

/* Up to @most pages side by side, since they are sent in fewer pieces. */
static bool gather_block(struct kmqtt_conn *conn, u32 most)
{
	unsigned int order = min(ilog2(most), KMQTT_ARENA_ORDER);
	struct kmqtt_rx *rx = &conn->rx;
	struct page *page = NULL;
	u32 i;

	if (order)
		page = alloc_pages((GFP_KERNEL_ACCOUNT & ~__GFP_DIRECT_RECLAIM) |
				   __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, order);
	if (!page) {
		order = 0;
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	}
	if (!page)
		return false;
	if (!gather_grow(rx, 1 << order) ||
	    !kmqtt_mem_charge(conn->kn, PAGE_SIZE << order)) {
		put_page(page);
		return false;
	}
	for (i = 0; i < 1 << order; i++)
		rx->pages[rx->n_pages++] = page + i;
	return true;
}

/*
 * Pages for the next bytes: as many again as have arrived, up to a bound.  A
 * header alone is worth no more than a page.
 */
static bool gather_room(struct kmqtt_conn *conn)
{
	struct kmqtt_rx *rx = &conn->rx;
	u32 full = rx->have / PAGE_SIZE;
	u32 need = DIV_ROUND_UP(rx->want, PAGE_SIZE);

	need = min_t(u32, need, full + clamp(full, 1U, (u32)GATHER_AHEAD));
	while (rx->n_pages < need)
		if (!gather_block(conn, need - rx->n_pages))
			return false;
	return true;
}

/* Vectors for the free bytes of the gathered pages. */
static unsigned int gather_vecs(const struct kmqtt_rx *rx, struct kvec *vec, size_t *len)
{
	u32 pos = rx->have, n = 0, part;
	u8 *base, *end = NULL;

	*len = 0;
	while (n < GATHER_AHEAD && pos < rx->want && pos / PAGE_SIZE < rx->n_pages) {
		part = min_t(u32, PAGE_SIZE - pos % PAGE_SIZE, rx->want - pos);
		base = (u8 *)page_address(rx->pages[pos / PAGE_SIZE]) + pos % PAGE_SIZE;
		if (base == end)
			vec[n - 1].iov_len += part;
		else
			vec[n++] = (struct kvec) { base, part };
		end = base + part;
		*len += part;
		pos += part;
	}
	return n;
}

/* Begin to gather a frame of which @len bytes are at @data. */
static bool gather_start(struct kmqtt_conn *conn, u32 want, const u8 *data, u32 len)
{
	struct kmqtt_rx *rx = &conn->rx;
	u32 part;

	rx->want = want;
	while (rx->have < len) {
		if (!gather_room(conn))
			return false;
		part = min_t(u32, PAGE_SIZE - rx->have % PAGE_SIZE, len - rx->have);
		memcpy((u8 *)page_address(rx->pages[rx->have / PAGE_SIZE]) +
		       rx->have % PAGE_SIZE, data + rx->have, part);
		rx->have += part;
	}
	return true;
}

/* Receive; returns bytes, 0 at the peer's end, or -errno. */
static int rx_recv(struct kmqtt_conn *conn, struct kvec *vec, unsigned int n, size_t len)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	int ret;

	ret = kernel_recvmsg(conn->sock, &msg, vec, n, len, MSG_DONTWAIT);
	if (ret > 0) {
		WRITE_ONCE(conn->last_rx, jiffies);
		conn->cs[KMQTT_CS_BYTES_RX] += ret;
		kmqtt_stat_add(conn->kn, BYTES_RX, ret);
	}
	return ret;
}

/*
 * No further frame counts: a close was asked for that does not drain.  The
 * daemon may ask at any time, also while the worker handles what it has read.
 */
static bool rx_over(const struct kmqtt_conn *conn)
{
	return READ_ONCE(conn->close_req.cause) && !kmqtt_conn_drains(conn);
}

/* Handle one whole frame; false: stop here (closed, or a barrier follows). */
static bool rx_frame(struct kmqtt_conn *conn, const struct kmqtt_fixed *fix,
		     u8 *frame, struct page *page, struct kmqtt_pages *pages)
{
	conn->cs[KMQTT_CS_PACKETS_RX]++;
	kmqtt_stat_inc(conn->kn, PACKETS_RX);
	kmqtt_packet(conn, fix, frame, page, pages);
	return !rx_over(conn);
}

/* A 3.1 client may repeat PUBREL, SUBSCRIBE and UNSUBSCRIBE with DUP set. */
static int rx_fixed(const struct kmqtt_conn *conn, const u8 *data, size_t len,
		    struct kmqtt_fixed *fix)
{
	if (conn->level == KMQTT_V31)
		return kmqtt_fixed_parse31(data, len, fix);
	return kmqtt_fixed_parse(data, len, fix);
}

/* The gathered frame is whole. */
static void gather_done(struct kmqtt_conn *conn)
{
	struct kmqtt_rx *rx = &conn->rx;
	struct kmqtt_pages p = {
		.pages = rx->pages,
		.n = rx->n_pages,
		.charged = rx->n_pages * PAGE_SIZE,
	};
	struct kmqtt_fixed fix;

	rx->pages = NULL;
	gather_free(conn);
	rx->n_pages = 0;
	p.map = p.n > 1 ? vmap(p.pages, p.n, VM_MAP, PAGE_KERNEL) :
			  page_address(p.pages[0]);
	if (!p.map)
		kmqtt_rx_fault(conn, KMQTT_CLOSE_QUOTA, KMQTT_RC_QUOTA);
	else if (!rx_fixed(conn, p.map, KMQTT_FIXED_HDR_MAX, &fix))
		rx_frame(conn, &fix, p.map, NULL, &p);
	if (p.pages)
		kmqtt_pages_free(conn->kn, &p);
}

/*
 * Judge the fixed header at @data.  Returns 1 if the frame is whole, 0 if
 * bytes are missing, or minus the reason code to close with.
 */
static int rx_header(const struct kmqtt_conn *conn, const u8 *data, u32 len,
		     struct kmqtt_fixed *fix)
{
	int err = rx_fixed(conn, data, len, fix);

	if (err == -EAGAIN)
		return 0;
	if (err)
		return -KMQTT_RC_MALFORMED;
	/* Before any memory is spent on what is no CONNECT. */
	if (!conn->rx.connect_seen && fix->type != KMQTT_CONNECT)
		return -KMQTT_RC_PROTOCOL_ERROR;
	if (fix->hdr_len + fix->remaining > conn->max_packet_in)
		return -KMQTT_RC_PACKET_TOO_LARGE;
	return fix->hdr_len + fix->remaining <= len;
}

/**
 * struct rx_span - bytes that were received
 * @data: the first one not handled, or behind those in @batch
 * @end: behind the last one
 * @alone: frames before this go one by one
 * @batch: PUBLISHes not handled yet
 */
struct rx_span {
	u8 *data;
	u8 *end;
	u8 *alone;
	struct kmqtt_batch batch;
};

/* Handle the batch.  false: its frames are to be looked at again. */
static bool span_settle(struct kmqtt_conn *conn, struct rx_span *span)
{
	u8 *first = span->batch.in.frame;

	if (kmqtt_batch_handle(&span->batch, conn)) {
		/* A batch may go to very many, and there may be many batches. */
		cond_resched();
		return true;
	}
	span->alone = span->data;
	span->data = first;
	return false;
}

/*
 * Handle the next frame, or put it into the batch.  Returns 1, 0 if there is
 * none that may be handled, or -1 if the connection is closed.
 */
static int span_next(struct kmqtt_conn *conn, struct rx_span *span, struct page *page)
{
	struct kmqtt_fixed fix;
	int ret = 0;

	if (span->data < span->end && kmqtt_rx_may_read(conn))
		ret = rx_header(conn, span->data, span->end - span->data, &fix);
	if (ret > 0 && span->data >= span->alone &&
	    kmqtt_batch_add(&span->batch, conn, &fix, span->data, page)) {
		span->data += fix.hdr_len + fix.remaining;
		return 1;
	}
	/* What is in the batch comes first, and may change the answer. */
	if (span->batch.in.n) {
		if (span_settle(conn, span) && rx_over(conn))
			return -1;
		return 1;
	}
	if (ret < 0)
		kmqtt_packet_fault(conn, -ret);
	if (ret <= 0)
		return ret;
	if (!rx_frame(conn, &fix, span->data, page, NULL))
		return -1;
	span->data += fix.hdr_len + fix.remaining;
	return 1;
}

/* Handle the frames at @data; keep what is left.  false: closed. */
static bool rx_frames(struct kmqtt_conn *conn, u8 *data, u32 len, struct page *page)
{
	struct rx_span span = { .data = data, .end = data + len };
	struct kmqtt_rx *rx = &conn->rx;
	struct kmqtt_fixed fix;
	int ret;

	do {
		ret = span_next(conn, &span, page);
	} while (ret > 0);
	if (ret < 0)
		return false;
	/* @data begins with what was kept, and looked at, before. */
	rx->ahead -= min_t(u32, rx->ahead, span.data - data);
	data = span.data;
	len = span.end - data;
	if (!len) {
		part_free(conn);
		return true;
	}
	/* Behind a barrier nothing is judged yet, so nothing gathers yet. */
	if (kmqtt_rx_may_read(conn) && !rx_fixed(conn, data, len, &fix) &&
	    fix.hdr_len + fix.remaining > max_t(u32, len, GATHER_MIN)) {
		part_free(conn);
		if (gather_start(conn, fix.hdr_len + fix.remaining, data, len))
			return true;
	} else if (part_keep(conn, data, len)) {
		return true;
	}
	kmqtt_rx_fault(conn, KMQTT_CLOSE_QUOTA, KMQTT_RC_QUOTA);
	return false;
}

/* What recvmsg said besides bytes: the end, an error, or nothing to read. */
static void rx_end(struct kmqtt_conn *conn, int ret)
{
	if (!ret) {
		kmqtt_rx_fault(conn, KMQTT_CLOSE_EOF, 0);
	} else if (ret != -EAGAIN ||
		   (conn->tx.dead &&
		    skb_queue_empty_lockless(&conn->sock->sk->sk_receive_queue))) {
		/* One direction alone is of no use: it could not even ping. */
		kmqtt_rx_fault(conn, KMQTT_CLOSE_ERROR, 0);
	}
}

/* One recvmsg into gathered pages; bytes, or what recvmsg said. */
static int rx_gather(struct kmqtt_conn *conn)
{
	struct kvec vec[GATHER_AHEAD];
	unsigned int n;
	size_t len;
	int ret;

	if (!gather_room(conn)) {
		kmqtt_rx_fault(conn, KMQTT_CLOSE_QUOTA, KMQTT_RC_QUOTA);
		return -EAGAIN;
	}
	n = gather_vecs(&conn->rx, vec, &len);
	ret = rx_recv(conn, vec, n, len);
	if (ret <= 0)
		return ret;
	conn->rx.have += ret;
	if (conn->rx.have == conn->rx.want)
		gather_done(conn);
	return ret;
}

/* One recvmsg into the arena, behind the bytes kept from before. */
static int rx_arena(struct kmqtt_conn *conn)
{
	struct kmqtt_arena *arena = &conn->worker->rx;
	struct kmqtt_rx *rx = &conn->rx;
	struct page *page;
	struct kvec vec;
	u8 *data;
	int ret;

	if (!kmqtt_arena_room(arena, rx->part_len + RX_MIN_ROOM, KMQTT_ARENA_ORDER, GFP_KERNEL)) {
		/* The machine is out of memory: try again when it may not be. */
		mod_timer(&conn->timer, jiffies + HZ / 50);
		return -EAGAIN;
	}
	data = kmqtt_arena_at(arena);
	vec.iov_base = data + rx->part_len;
	vec.iov_len = arena->size - arena->off - rx->part_len;
	ret = rx_recv(conn, &vec, 1, vec.iov_len);
	if (ret <= 0)
		return ret;
	memcpy(data, rx->part, rx->part_len);
	page = arena->page;
	arena->off += rx->part_len + ret;
	get_page(page);
	rx_frames(conn, data, rx->part_len + ret, page);
	put_page(page);
	return ret;
}

/* Frames that were kept behind a barrier; false: closed. */
static bool rx_kept(struct kmqtt_conn *conn)
{
	struct kmqtt_arena *arena = &conn->worker->rx;
	u32 len = conn->rx.part_len;
	struct kmqtt_fixed fix;
	struct page *page;
	bool ok;
	u8 *data;
	int err;

	err = len ? rx_fixed(conn, conn->rx.part, len, &fix) : -EAGAIN;
	if (err == -EAGAIN)
		return true;
	/* A small frame that is not whole waits for more where it is. */
	if (!err && fix.hdr_len + fix.remaining > len &&
	    fix.hdr_len + fix.remaining <= GATHER_MIN)
		return true;
	if (!kmqtt_arena_room(arena, len, KMQTT_ARENA_ORDER, GFP_KERNEL)) {
		mod_timer(&conn->timer, jiffies + HZ / 50);
		return true;
	}
	page = arena->page;
	data = memcpy(kmqtt_arena_at(arena), conn->rx.part, len);
	arena->off += len;
	get_page(page);
	ok = rx_frames(conn, data, len, page);
	put_page(page);
	return ok;
}

/*
 * The barrier may open between the keeping of what is behind it and the next
 * read, which then sees the end first: what arrived before it still counts.
 */
static bool rx_unhandled(const struct kmqtt_conn *conn)
{
	const struct kmqtt_rx *rx = &conn->rx;
	struct kmqtt_fixed fix;

	return rx->part_len && !rx_fixed(conn, rx->part, rx->part_len, &fix) &&
	       fix.hdr_len + fix.remaining <= rx->part_len;
}

/*
 * Answer the PINGREQs among the kept bytes, and take them out: in one pass,
 * since the peer chooses how many there are.
 */
static void ahead_pings(struct kmqtt_conn *conn)
{
	struct kmqtt_rx *rx = &conn->rx;
	u32 from = rx->ahead, to = from, size;
	struct kmqtt_fixed fix;

	while (from < rx->part_len &&
	       READ_ONCE(conn->tx.answers) < kmqtt_answers_max(conn) &&
	       !rx_fixed(conn, rx->part + from, rx->part_len - from, &fix)) {
		size = fix.hdr_len + fix.remaining;
		if (fix.type == KMQTT_PINGREQ && !fix.remaining) {
			kmqtt_packet(conn, &fix, rx->part + from, NULL, NULL);
			from += size;
			continue;
		}
		if (from != to)
			memmove(rx->part + to, rx->part + from,
				min(size, rx->part_len - from));
		from += size;
		to += size;
	}
	/* The end of the last frame may still be to come. */
	if (from != to && from < rx->part_len)
		memmove(rx->part + to, rx->part + from, rx->part_len - from);
	rx->part_len -= from - to;
	rx->ahead = to;
}

/* Read a bounded piece ahead and answer the PINGREQs in it. */
static void rx_ahead(struct kmqtt_conn *conn)
{
	struct kmqtt_rx *rx = &conn->rx;
	struct kvec vec;
	int ret;

	ahead_pings(conn);
	while (rx->part_len < LOOK_AHEAD && conn->tx.answers < kmqtt_answers_max(conn) &&
	       !skb_queue_empty_lockless(&conn->sock->sk->sk_receive_queue)) {
		if (rx->part_len == rx->part_size &&
		    !part_grow(conn, clamp(2 * rx->part_len, LOOK_AHEAD_MIN, LOOK_AHEAD)))
			return;
		vec.iov_base = rx->part + rx->part_len;
		vec.iov_len = rx->part_size - rx->part_len;
		ret = rx_recv(conn, &vec, 1, vec.iov_len);
		if (ret <= 0)
			return;
		rx->part_len += ret;
		ahead_pings(conn);
	}
}

/*
 * We do not read because the daemon is slow or away.  A client that waits for
 * a PINGRESP cannot know, but it does not wait for a short time.
 */
static void rx_paused(struct kmqtt_conn *conn)
{
	struct kmqtt_rx *rx = &conn->rx;

	/* Pairs with accept_conn(). */
	if (!test_bit_acquire(KMQTT_CB_CONNACK, &conn->bits) || rx->want || rx_over(conn))
		return;
	if (!rx->paused)
		rx->paused = jiffies ?: 1;
	if (!rx->part_len && skb_queue_empty_lockless(&conn->sock->sk->sk_receive_queue))
		return;
	if (time_before(jiffies, rx->paused + LOOK_AHEAD_AFTER))
		timer_reduce(&conn->timer, rx->paused + LOOK_AHEAD_AFTER);
	else
		rx_ahead(conn);
}

/*
 * After a read that left room: nothing is left, so the next one would only say
 * so.  What comes from now on kicks the connection again; TLS has a queue of
 * its own.
 */
static bool rx_drained(const struct kmqtt_conn *conn)
{
	const struct sock *sk = conn->sock->sk;

	return skb_queue_empty_lockless(&sk->sk_receive_queue) &&
	       !(READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN) && !READ_ONCE(sk->sk_err) &&
	       READ_ONCE(sk->sk_state) == TCP_ESTABLISHED && !conn->tx.dead &&
	       kmqtt_conn_is_plain(conn);
}

/* Read and handle what there is, at most a budget. */
static void rx_read(struct kmqtt_conn *conn)
{
	int budget = RX_BUDGET;
	int ret = 0;

	/* Not even what was kept behind a barrier that a close opened. */
	if (rx_over(conn) || !kmqtt_rx_may_read(conn) || !rx_kept(conn))
		return;
	while (kmqtt_rx_may_read(conn)) {
		if (rx_over(conn))
			return;
		if (budget <= 0) {
			kmqtt_conn_kick(conn, KMQTT_CB_RX);
			return;
		}
		ret = conn->rx.want ? rx_gather(conn) : rx_arena(conn);
		if (ret <= 0) {
			if (ret != -EAGAIN && rx_unhandled(conn))
				kmqtt_conn_kick(conn, KMQTT_CB_RX);
			else
				rx_end(conn, ret);
			return;
		}
		budget -= ret;
		if (rx_drained(conn))
			return;
	}
}

void kmqtt_rx(struct kmqtt_conn *conn)
{
	rx_read(conn);
	if (READ_ONCE(conn->state) == KMQTT_STATE_OPEN && !kmqtt_events_room(conn))
		rx_paused(conn);
	else
		conn->rx.paused = 0;
}

bool kmqtt_rx_discard(struct kmqtt_conn *conn)
{
	struct kmqtt_arena *arena = &conn->worker->rx;
	struct kvec vec;
	int ret, rounds;

	for (rounds = 0; rounds < 16; rounds++) {
		if (!kmqtt_arena_room(arena, RX_MIN_ROOM, KMQTT_ARENA_ORDER, GFP_KERNEL))
			return true;
		vec.iov_base = kmqtt_arena_at(arena);
		vec.iov_len = arena->size - arena->off;
		ret = rx_recv(conn, &vec, 1, vec.iov_len);
		if (ret == -EAGAIN)
			return false;
		if (ret <= 0)
			return true;
	}
	kmqtt_conn_kick(conn, KMQTT_CB_RX);
	return false;
}
