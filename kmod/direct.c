// SPDX-License-Identifier: GPL-2.0
/* The shortest way of a message: from socket to socket in one softirq. */

#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/skbuff.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tcp_states.h>
#include "conn.h"
#include "direct.h"
#include "frame.h"
#include "publish.h"
#include "rx.h"
#include "tx.h"
#include "worker.h"

#define DIRECT_MAX	1024	/* bytes of a packet */
/* Packets that go to the worker unseen after one that had to go there. */
#define DIRECT_PAUSE	16

/* Nothing was kept, nothing is on its way to the worker, nothing is to end. */
static bool direct_may_read(struct kmqtt_conn *conn)
{
	const struct kmqtt_rx *rx = &conn->rx;

	return !test_bit(KMQTT_CB_QUEUED, &conn->bits) &&
	       READ_ONCE(conn->state) == KMQTT_STATE_OPEN &&
	       !READ_ONCE(conn->close_req.cause) && kmqtt_rx_may_read(conn) &&
	       !rx->over && !rx->part_len && !rx->want && kmqtt_conn_is_plain(conn);
}

/* Copy what was received into a page of the worker; 0 unless it is one small piece. */
static u32 direct_copy(const struct sock *sk, struct kmqtt_arena *arena)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	struct sk_buff *skb = skb_peek(&sk->sk_receive_queue);
	u32 off, len;

	if (!skb || !skb_queue_is_last(&sk->sk_receive_queue, skb) || tp->urg_data ||
	    TCP_SKB_CB(skb)->tcp_flags & (TCPHDR_SYN | TCPHDR_FIN))
		return 0;
	off = tp->copied_seq - TCP_SKB_CB(skb)->seq;
	if (off >= skb->len || skb->len - off > DIRECT_MAX)
		return 0;
	len = skb->len - off;
	if (!kmqtt_arena_room(arena, len, 0, GFP_ATOMIC) ||
	    skb_copy_bits(skb, off, kmqtt_arena_at(arena), len))
		return 0;
	return len;
}

static int direct_actor(read_descriptor_t *desc, struct sk_buff *skb,
			unsigned int offset, size_t len)
{
	desc->count = 0;
	return len;
}

/* What was copied has been read. */
static void direct_read(struct kmqtt_conn *conn, struct sock *sk, u32 len)
{
	read_descriptor_t desc = { .count = 1 };

	tcp_read_sock(sk, &desc, direct_actor);
	WRITE_ONCE(conn->last_rx, jiffies);
	conn->cs[KMQTT_CS_BYTES_RX] += len;
	kmqtt_stat_add(conn->kn, BYTES_RX, len);
}

/* Send past the list of @to, in the place of its worker, too. */
static bool direct_send(const struct kmqtt_conn *conn, struct kmqtt_conn *to,
			const struct kmqtt_run *run)
{
	bool sent;

	if (to == conn)
		return false;
	if (to->worker == conn->worker)
		return kmqtt_tx_direct(to, run);
	if (!kmqtt_worker_trylock(to->worker))
		return false;
	sent = kmqtt_tx_direct(to, run);
	kmqtt_worker_unlock(to->worker);
	return sent;
}

/* The packet of @len bytes that was copied into a page of the worker. */
static bool direct_forward(struct kmqtt_conn *conn, struct sock *sk, u32 len)
{
	struct kmqtt_arena *arena = &conn->worker->out;
	u8 *frame = kmqtt_arena_at(arena);
	struct kmqtt_batch batch = {};
	struct kmqtt_conn *to;
	struct kmqtt_fixed fix;
	bool sent;

	if (kmqtt_fixed_parse(frame, len, &fix) || fix.hdr_len + fix.remaining != len ||
	    len > conn->max_packet_in ||
	    !kmqtt_batch_add(&batch, conn, &fix, frame, arena->page))
		return false;
	arena->off += len;
	rcu_read_lock();
	to = kmqtt_batch_direct(&batch, conn);
	sent = to && direct_send(conn, to, &(struct kmqtt_run) {
		.page = arena->page,
		.addr = frame,
		.len = len,
		.payload = batch.in.payload,
		.count = 1,
	});
	rcu_read_unlock();
	if (!sent) {
		arena->off -= len;
		return false;
	}
	kmqtt_batch_routed(&batch, conn);
	kmqtt_stat_inc(conn->kn, PUBLISH_DIRECT);
	direct_read(conn, sk, len);
	return true;
}

/* In the place of the connection's worker. */
static bool direct_turn(struct kmqtt_conn *conn, struct sock *sk)
{
	u32 len;

	if (!direct_may_read(conn))
		return false;
	len = direct_copy(sk, &conn->worker->out);
	if (len && direct_forward(conn, sk, len))
		return true;
	conn->pause = DIRECT_PAUSE;
	return false;
}

bool kmqtt_direct(struct kmqtt_conn *conn, struct sock *sk)
{
	struct kmqtt_worker *w = conn->worker;
	bool done;

	/* With PREEMPT_RT the worker could run here and wait for us for ever. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || !in_serving_softirq() ||
	    sk->sk_state != TCP_ESTABLISHED || sock_owned_by_user(sk))
		return false;
	if (conn->pause) {
		conn->pause--;
		return false;
	}
	if (!kmqtt_worker_trylock(w))
		return false;
	done = direct_turn(conn, sk);
	kmqtt_worker_unlock(w);
	return done;
}
