// SPDX-License-Identifier: GPL-2.0
/* From the transmit list to the socket: encoding and sending, by the worker. */

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
#include "tx-entry.h"
#include "worker.h"

#define TX_VECS		32
#define TX_ROUNDS	64	/* sendmsg calls of one turn, for fairness */
#define WHOLE_MAX	PAGE_SIZE	/* longer messages are sent from where they are */
#define SPLICE_MIN	4096U	/* shorter runs are copied rather than pin an arena */
#define SPAN_MAX	(64U << 10)
#define DIRECT_UNACKED	1	/* segments that a peer may owe and still be quick */
#define DIRECT_OVERHEAD	4096	/* more than a segment takes besides its bytes */

/*
 * Room for what is encoded of a message on its way to the socket.  What is not
 * to be dropped gets it also above the limit: sending is what frees memory.
 */
static bool entry_place(struct kmqtt_conn *conn, struct kmqtt_entry *e, u32 len, gfp_t gfp)
{
	struct kmqtt_arena *arena = &conn->worker->out;

	if (e->class != KMQTT_TX_ROUTED)
		atomic64_add(len, &conn->kn->mem);
	else if (!kmqtt_mem_charge(conn->kn, len))
		return false;
	if (len <= WHOLE_MAX && kmqtt_arena_room(arena, len, 0, gfp)) {
		e->page = arena->page;
		get_page(e->page);
		e->addr = kmqtt_arena_at(arena);
		arena->off += len;
	} else if (gfpflags_allow_blocking(gfp)) {
		e->addr = kvmalloc(len, gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	}
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
	if (e->alias && !kmqtt_entry_fits(conn, out)) {
		entry_unalias(conn, e);
		out->alias = 0;
	}
}

/*
 * Encode the header of a message, and the whole of a small one: 0, -ETIME if it
 * has expired, -ENOMEM.  A packet identifier that is in use stays so until the
 * client has answered, so those with one go out with nothing left of their time.
 */
static noinline_for_stack int entry_encode(struct kmqtt_conn *conn,
					   struct kmqtt_entry *e, gfp_t gfp)
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
	u32 hdr, whole;

	kmqtt_entry_out(conn, e->msg, &o, &out);
	if (e->msg->has_expiry && !kmqtt_msg_left(e->msg, &out.expiry) && !e->qos)
		return -ETIME;
	if (kmqtt_alias_worth(conn, out.topic_len))
		entry_alias(conn, e, &out);
	hdr = kmqtt_publish_hdr_len(&out);
	whole = hdr + out.payload_len;
	if (!(whole <= WHOLE_MAX && entry_place(conn, e, whole, gfp)) &&
	    !entry_place(conn, e, hdr, gfp)) {
		entry_unalias(conn, e);
		return -ENOMEM;
	}
	kmqtt_publish_put(e->addr, &out);
	if (e->hdr_len > hdr)
		memcpy(e->addr + hdr, e->msg->payload, out.payload_len);
	e->len = whole;
	return 0;
}

static void entry_decode(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	entry_unalias(conn, e);
	kmqtt_entry_unplace(e);
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
	err = entry_encode(conn, e, GFP_KERNEL);
	if (err == -ETIME)
		kmqtt_stat_inc(conn->kn, DROPPED_EXPIRED);
	else if (err && e->class == KMQTT_TX_ROUTED)
		kmqtt_stat_inc(conn->kn, DROPPED_MEMORY);
	else
		return err;	/* what was delivered is not dropped */
	kmqtt_entry_done(conn, e);
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
		kmqtt_entry_done(conn, e);
	}
}

/*
 * The socket takes no more for now.  What is encoded but has not begun to
 * leave is encoded anew when it does: it pins no page, its Message Expiry goes
 * on counting down, and it may be dropped.  The aliases it relies on are those
 * of the order in which all leave.
 */
static void tx_unready(struct kmqtt_conn *conn)
{
	struct kmqtt_entry *e;
	unsigned int n = 0;

	list_for_each_entry(e, &conn->tx.out, node) {
		/* So many were made ready at most. */
		if (n++ == TX_VECS || (e->kind == ENTRY_MSG && !e->addr))
			break;
		if (e->kind == ENTRY_MSG && !e->sent)
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

/* What is sent in one go: a part of a compound page. */
struct tx_part {
	struct page *page;
	u32 off;
	u32 len;
};

static u32 page_off(struct page *page, const u8 *addr)
{
	return addr - (u8 *)page_address(page);
}

/*
 * May pages be given to the socket?  By whoever has it locked.  The locked
 * functions would send plaintext on a socket with TLS, which may have come
 * later, and copy into a page that the socket then keeps where the device
 * cannot gather.
 */
static bool takes_pages(const struct kmqtt_conn *conn)
{
	return kmqtt_conn_is_plain(conn) && (conn->sock->sk->sk_route_caps & NETIF_F_SG);
}

/* The next unsent bytes of a message with gathered pages. */
static void entry_part(const struct kmqtt_entry *e, u32 sent, struct tx_part *part)
{
	const struct kmqtt_msg *msg = e->msg;
	struct page *page;
	u32 off;

	if (sent < e->hdr_len) {
		*part = (struct tx_part) {
			e->page, page_off(e->page, e->addr + sent), e->hdr_len - sent,
		};
		return;
	}
	/* The payload lies behind the header that it came with. */
	off = msg->payload - (u8 *)msg->pages.map + sent - e->hdr_len;
	page = msg->pages.pages[off / PAGE_SIZE];
	part->page = compound_head(page);
	part->off = page_off(part->page, page_address(page)) + off % PAGE_SIZE;
	part->len = min_t(u32, page_size(part->page) - part->off, e->len - sent);
}

/*
 * Give the pages of a message to the socket, not a copy: bytes it took, or an
 * error; -EOPNOTSUPP: it wants a copy.
 */
static int tx_splice(struct kmqtt_conn *conn, const struct kmqtt_entry *e)
{
	struct sock *sk = conn->sock->sk;
	int ret = -EOPNOTSUPP;
	struct tx_part part;
	u32 done = 0;

	lock_sock(sk);
	while (takes_pages(conn) && e->sent + done < e->len) {
		entry_part(e, e->sent + done, &part);
		ret = kmqtt_tcp_splice(sk, part.page, part.off, part.len,
				       e->sent + done + part.len < e->len);
		if (ret <= 0)
			break;
		done += ret;
	}
	release_sock(sk);
	return done ?: ret;
}

static int tx_send(struct kmqtt_conn *conn)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec[TX_VECS];
	struct kmqtt_entry *e;
	unsigned int n;
	size_t len;
	int ret;

	n = tx_gather(conn, vec, &len);
	if (!n)
		return list_empty(&conn->tx.out) ? 0 : -ENOMEM;
	ret = -EOPNOTSUPP;
	e = list_first_entry(&conn->tx.out, struct kmqtt_entry, node);
	if (e->kind == ENTRY_MSG && e->page && e->msg->pages.pages)
		ret = tx_splice(conn, e);
	if (ret == -EOPNOTSUPP)
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

/*
 * Is @e encoded in one place, or can it be without sleeping?  Not if it may
 * have to be dropped, which may sleep as well.
 */
static bool quick_ready(struct kmqtt_conn *conn, struct kmqtt_entry *e)
{
	const struct kmqtt_msg *msg = e->msg;

	if (e->kind != ENTRY_MSG)
		return true;
	/* To free its pages sleeps, too. */
	if (msg->pages.pages)
		return false;
	if (!e->addr &&
	    (msg->has_expiry ||
	     kmqtt_alias_worth(conn, msg->topic_len - conn->mount.len) ||
	     msg->topic_len + msg->props_len + msg->payload_len > WHOLE_MAX / 2 ||
	     entry_encode(conn, e, GFP_ATOMIC)))
		return false;
	return e->page && e->hdr_len == e->len;
}

/* As many as lie side by side, from the first on. */
static void quick_span(struct kmqtt_conn *conn, struct kmqtt_entry *e, struct tx_part *part)
{
	const u8 *end = e->addr + e->len;
	unsigned int n = 1;

	*part = (struct tx_part) {
		.page = e->page,
		.off = page_off(e->page, e->addr + e->sent),
		.len = e->len - e->sent,
	};
	list_for_each_entry_continue(e, &conn->tx.out, node) {
		if (n++ == TX_VECS || part->len >= SPAN_MAX || !quick_ready(conn, e) ||
		    e->page != part->page || e->addr != end)
			break;
		end += e->len;
		part->len += e->len;
	}
}

/* Copy what is at the head of the list into a page of the worker. */
static bool quick_copy(struct kmqtt_conn *conn, struct tx_part *part)
{
	struct kmqtt_arena *arena = &conn->worker->out;
	struct kmqtt_entry *e;
	unsigned int n = 0;
	u32 len = 0;
	u8 *p;

	list_for_each_entry(e, &conn->tx.out, node) {
		if (n == TX_VECS || !quick_ready(conn, e) ||
		    len + e->len - e->sent > SPLICE_MIN)
			break;
		len += e->len - e->sent;
		n++;
	}
	if (!len || !kmqtt_arena_room(arena, len, 0, GFP_ATOMIC))
		return false;
	p = kmqtt_arena_at(arena);
	*part = (struct tx_part) { arena->page, arena->off, len };
	arena->off += len;
	list_for_each_entry(e, &conn->tx.out, node) {
		if (!n--)
			break;
		memcpy(p, e->addr + e->sent, e->len - e->sent);
		p += e->len - e->sent;
	}
	return true;
}

/* Choose what to send: what lies in one place, or a copy of small ones. */
static bool quick_part(struct kmqtt_conn *conn, struct tx_part *part)
{
	struct kmqtt_entry *e;

	e = list_first_entry(&conn->tx.out, struct kmqtt_entry, node);
	if (!quick_ready(conn, e))
		return false;
	if (!e->page || (e->kind == ENTRY_RUN && e->len - e->sent < SPLICE_MIN))
		return quick_copy(conn, part);
	quick_span(conn, e, part);
	return true;
}

/*
 * Under the socket's spinlock: bytes that it took, or an error, by which
 * nothing is decided here.
 */
static int quick_splice(const struct kmqtt_conn *conn, const struct tx_part *part)
{
	struct sock *sk = conn->sock->sk;
	gfp_t gfp = sk->sk_allocation;
	int ret;

	if (sock_owned_by_user(sk) || !takes_pages(conn))
		return -EBUSY;
	sk->sk_allocation = GFP_ATOMIC;
	ret = kmqtt_tcp_splice(sk, part->page, part->off, part->len, false);
	sk->sk_allocation = gfp;
	return ret;
}

static int quick_send(const struct kmqtt_conn *conn, const struct tx_part *part)
{
	struct sock *sk = conn->sock->sk;
	int ret;

	bh_lock_sock(sk);
	ret = quick_splice(conn, part);
	bh_unlock_sock(sk);
	return ret;
}

bool kmqtt_tx_quick(struct kmqtt_conn *conn, unsigned int max, unsigned int *sends)
{
	struct kmqtt_tx *tx = &conn->tx;
	struct tx_part part;
	int ret;

	WARN_ON_ONCE(!in_softirq());
	if (tx->dead || test_bit(KMQTT_CB_BLOCKED, &conn->bits))
		return false;
	kmqtt_tx_take(conn);
	while (!list_empty(&tx->out) && *sends < max) {
		if (!quick_part(conn, &part))
			return false;
		ret = quick_send(conn, &part);
		if (ret <= 0)
			return false;
		tx_consume(conn, ret);
		++*sends;
	}
	/* What is left, held or was refused needs what a flush does besides. */
	return list_empty(&tx->out) && list_empty(&tx->held) && !READ_ONCE(tx->full);
}

/* Is there nothing that a message could overtake, and nothing in its way? */
static bool direct_idle(const struct kmqtt_conn *conn)
{
	const struct kmqtt_tx *tx = &conn->tx;

	lockdep_assert_held(&tx->lock);
	return READ_ONCE(conn->state) == KMQTT_STATE_OPEN &&
	       !READ_ONCE(conn->close_req.cause) && list_empty(&tx->queue) &&
	       list_empty(&tx->out) && list_empty(&tx->held) && !tx->shut &&
	       !tx->full && !tx->dead && !test_bit(KMQTT_CB_BLOCKED, &conn->bits);
}

/*
 * Has the peer read what it was sent?  Who reads one message after the other
 * acknowledges at least every second one.  Who is sent many at a time has not,
 * and would be sent a segment for each; let them come together on the list.
 */
static bool direct_wants_more(const struct sock *sk)
{
	return tcp_sk(sk)->packets_out <= DIRECT_UNACKED && tcp_write_queue_empty(sk) &&
	       sk->sk_state == TCP_ESTABLISHED && !sk->sk_err &&
	       !(sk->sk_shutdown & SEND_SHUTDOWN);
}

/*
 * Another socket's lock is held, so this one is only tried.  Short and with
 * nothing unsent before it, the part is one segment; with the memory for that
 * reserved the socket takes all of it, or nothing.  Returns bytes or an error.
 */
static int direct_send(const struct kmqtt_conn *conn, const struct tx_part *part)
{
	struct sock *sk = conn->sock->sk;
	int ret = -EBUSY;

	if (!spin_trylock(&sk->sk_lock.slock))
		return ret;
	if (!sock_owned_by_user(sk) && direct_wants_more(sk) &&
	    part->len <= tcp_sk(sk)->mss_cache / 2 &&
	    sk_wmem_schedule(sk, part->len + DIRECT_OVERHEAD))
		ret = quick_splice(conn, part);
	spin_unlock(&sk->sk_lock.slock);
	return ret;
}

bool kmqtt_tx_direct(struct kmqtt_conn *conn, const struct kmqtt_run *run)
{
	const struct tx_part part = {
		.page = run->page,
		.off = page_off(run->page, run->addr),
		.len = run->len,
	};
	struct kmqtt_tx *tx = &conn->tx;
	int ret = -EBUSY;

	WARN_ON_ONCE(!in_serving_softirq());
	/* Elsewhere it is taken with softirqs enabled. */
	if (!spin_trylock(&tx->lock))
		return false;
	if (direct_idle(conn))
		ret = direct_send(conn, &part);
	if (ret > 0) {
		conn->cs[KMQTT_CS_PACKETS_TX]++;
		conn->cs[KMQTT_CS_PUBLISH_SENT]++;
	}
	spin_unlock(&tx->lock);
	if (ret <= 0)
		return false;
	if (WARN_ON_ONCE(ret != run->len)) {
		/* Nothing may follow a part of a packet. */
		tx->dead = true;
		kmqtt_conn_kick(conn, KMQTT_CB_RX);
	}
	tx->progress = jiffies;
	conn->cs[KMQTT_CS_BYTES_TX] += run->len;
	kmqtt_stat_add(conn->kn, BYTES_TX, run->len);
	kmqtt_stat_inc(conn->kn, PUBLISH_SENT);
	kmqtt_stat_inc(conn->kn, PACKETS_TX);
	kmqtt_stat_inc(conn->kn, PUBLISH_TX);
	kmqtt_stat_add(conn->kn, PAYLOAD_TX, run->payload);
	return true;
}

bool kmqtt_tx_flush(struct kmqtt_conn *conn)
{
	int ret;

	if (conn->tx.dead) {
		kmqtt_tx_purge(conn);
		return true;
	}
	kmqtt_tx_take(conn);
	ret = tx_push(conn);
	kmqtt_tx_writable(conn);
	conn->tx.dead = ret < 0 && ret != -EAGAIN;
	return !conn->tx.dead;
}
