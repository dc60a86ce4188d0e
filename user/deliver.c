// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes out to clients: DELIVER and INJECT.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cause.h"
#include "client.h"
#include "clock.h"
#include "deliver.h"
#include "inflight.h"
#include "list.h"
#include "log.h"
#include "map.h"
#include "mem.h"
#include "message.h"
#include "nl.h"
#include "packet.h"
#include "session.h"
#include "topic.h"

/* INJECTs compared with a filter; where there are more it may match one. */
#define RETAINED_LOOKS		1024U
#define DESTS_PER_COMMAND	4096U	/* the results of all fit one datagram */
#define EXPIRY_MAX_MS		(UINT32_MAX * 1000ULL)	/* of a Message Expiry Interval */

/**
 * struct pending - a command whose result is to come
 * @node: of an INJECT: in injected.all
 * @answer: what it acknowledges, with @packet
 * @m: message of an INJECT
 * @refused: its
 * @n: entries in @dest
 * @dest: destinations of a DELIVER
 * @out: entry whose fate the result tells, or NULL
 * @round: its round when it was sent
 */
struct pending {
	struct list node;
	struct answer answer;
	uint8_t packet[PACKET_ACK_MAX];
	struct message *m;
	inject_refused_t refused;
	size_t n;
	struct {
		struct outgoing *out;
		uint32_t round;
	} dest[];
};

/* INJECTs without result: all, how many, and a filter of their topics. */
static struct {
	struct list all;
	unsigned int n;
	uint64_t topics;
} injected = { .all = { &injected.all, &injected.all } };

static uint64_t topic_bit(const char *topic, size_t len)
{
	return 1ULL << (map_hash(3, topic, len) & 63);
}

static struct pending *pending_new(const struct answer *a, size_t n)
{
	struct pending *p = mem_zalloc(sizeof(*p) + n * sizeof(p->dest[0]));

	p->n = n;
	list_init(&p->node);
	if (!a)
		return p;
	p->answer = *a;
	/* A message is answered by an acknowledgement or by nothing. */
	if (a->len > sizeof(p->packet))
		p->answer.len = 0;
	if (p->answer.len)
		memcpy(p->packet, a->packet, a->len);
	p->answer.packet = p->packet;
	return p;
}

static void put_answer(const struct answer *a)
{
	if (!a || !a->conn)
		return;
	nl_put_u64(KMQTT_A_CONN, a->conn);
	if (a->event)
		nl_put_u64(KMQTT_A_ACK_EVENT, a->event);
	if (a->flags)
		nl_put_u32(KMQTT_A_ACK_FLAGS, a->flags);
	if (a->len)
		nl_put(KMQTT_A_ANSWER, a->packet, a->len);
}

/* The last piece of the payload; those before go in commands of their own. */
static void begin_with_payload(uint8_t cmd, const struct message *m)
{
	uint32_t done = 0, len;

	while (m->payload_len - done > NL_PIECE_BYTES) {
		uint32_t end = done + NL_PIECE_BYTES;

		nl_begin(cmd);
		nl_together(true);
		nl_put_u32(KMQTT_A_MSG_FLAGS, KMQTT_MSG_F_MORE);
		for (; done < end; done += KMQTT_PIECE_MAX)
			nl_put(KMQTT_A_PAYLOAD, m->payload + done, KMQTT_PIECE_MAX);
		nl_end(NULL, NULL);
	}
	nl_begin(cmd);
	nl_together(false);
	for (; done < m->payload_len; done += len) {
		len = m->payload_len - done;
		if (len > KMQTT_PIECE_MAX)
			len = KMQTT_PIECE_MAX;
		nl_put(KMQTT_A_PAYLOAD, m->payload + done, len);
	}
}

/* A stored one may have more left than there is: its time can only be too long. */
static uint64_t expiry_left(const struct message *m)
{
	uint64_t now = clock_ms(), left = m->expires > now ? m->expires - now : 0;

	return left < EXPIRY_MAX_MS ? left : EXPIRY_MAX_MS;
}

static void put_message(const struct message *m)
{
	nl_put(KMQTT_A_TOPIC, m->topic, m->topic_len);
	if (m->props_len)
		nl_put(KMQTT_A_PROPERTIES, m->props, m->props_len);
	if (m->expires)
		nl_put_u64(KMQTT_A_EXPIRY, expiry_left(m));
}

static void put_dest(const struct delivery *d)
{
	const uint32_t *subids = d->out ? d->out->subids : d->subids;
	unsigned int n = d->out ? d->out->n_subids : d->n_subids, i;

	nl_nest_begin(KMQTT_A_DEST);
	nl_put_u64(KMQTT_AD_CONN, d->conn);
	nl_put_u8(KMQTT_AD_QOS, d->out ? d->out->qos : 0);
	if (d->out && d->out->number)
		nl_put_u64(KMQTT_AD_NUMBER, d->out->number);
	if (d->out && d->out->packet_id)
		nl_put_u16(KMQTT_AD_PACKET_ID, d->out->packet_id);
	if (d->flags)
		nl_put_u32(KMQTT_AD_FLAGS, d->flags);
	for (i = 0; i < n; i++)
		nl_put_u32(KMQTT_AD_SUBID, subids[i]);
	nl_nest_end();
}

static void dest_result(struct pending *r, size_t i, uint8_t result)
{
	struct outgoing *out = r->dest[i].out;

	r->dest[i].out = NULL;
	outgoing_result(out, r->dest[i].round, result);
	outgoing_put(out);
}

static void results_read(struct pending *r, const struct nlmsghdr *reply)
{
	const struct nlattr *tb[KMQTT_AD_MAX + 1], *a;
	uint32_t i;

	mnl_attr_for_each(a, reply, MNL_ALIGN(4)) {
		if (mnl_attr_get_type(a) != KMQTT_A_DEST_RESULT)
			continue;
		nl_nested(a, tb, KMQTT_AD_MAX);
		i = nl_u32(tb[KMQTT_AD_INDEX]);
		if (!tb[KMQTT_AD_INDEX] || i >= r->n || !r->dest[i].out)
			continue;
		dest_result(r, i, nl_u8(tb[KMQTT_AD_RESULT]));
	}
}

/* Did the kernel refuse it?  The text is for the log. */
static bool was_refused(int error, const char *what, const char *text)
{
	if (!error || error == -ENOBUFS)
		return false;
	log_warning("kernel refused %s: %s%s%s", what, strerror(-error),
		    *text ? ": " : "", text);
	return true;
}

static void deliver_done(void *arg, int error, const struct nlmsghdr *reply,
			 const char *text)
{
	uint8_t rest = KMQTT_DEST_ACCEPTED;
	struct pending *r = arg;
	size_t i;

	if (was_refused(error, "a delivery", text)) {
		/* Without memory they wait, as behind a full queue. */
		rest = error == -ENOMEM ? KMQTT_DEST_FULL : KMQTT_DEST_DENIED;
		if (r->answer.conn)
			deliver_answer(&r->answer);
	}
	if (reply)
		results_read(r, reply);
	for (i = 0; i < r->n; i++) {
		if (!r->dest[i].out)
			continue;
		if (rest == KMQTT_DEST_FULL && r->dest[i].out->session)
			client_retry(r->dest[i].out->session->client);
		dest_result(r, i, rest);
	}
	free(r);
}

static void answer_done(void *arg, int error, const struct nlmsghdr *reply,
			const char *text)
{
	struct pending *r = arg;
	struct client *c = client_find(r->answer.conn);

	if (error != -ENOENT && was_refused(error, "an answer", text) && c)
		client_close(c, r->answer.event, KMQTT_CLOSE_QUOTA, KMQTT_RC_QUOTA);
	free(r);
}

void deliver_answer(const struct answer *a)
{
	struct answer who = { .conn = a->conn, .event = a->event };

	nl_begin(KMQTT_CMD_DELIVER);
	put_answer(a);
	nl_end(answer_done, pending_new(&who, 0));
}

void deliver_volatile(uint64_t conn)
{
	struct answer a = { .conn = conn, .flags = KMQTT_ACK_F_VOLATILE };

	nl_begin(KMQTT_CMD_DELIVER);
	put_answer(&a);
	nl_end(NULL, NULL);
}

void deliver_reopen(uint64_t conn)
{
	struct answer a = { .conn = conn, .flags = KMQTT_ACK_F_REOPEN };

	nl_urgent(true);
	nl_begin(KMQTT_CMD_DELIVER);
	put_answer(&a);
	nl_end(NULL, NULL);
	nl_urgent(false);
}

static struct pending *put_dests(const struct delivery *v, size_t n,
				 const struct answer *a)
{
	struct pending *r = pending_new(a, n);
	size_t i;

	for (i = 0; i < n; i++) {
		put_dest(&v[i]);
		if (!v[i].out)
			continue;
		r->dest[i].out = outgoing_get(v[i].out);
		r->dest[i].round = v[i].out->round;
		v[i].out->pending = true;
	}
	return r;
}

void deliver_publish(const struct message *m, const struct delivery *v, size_t n,
		     const struct answer *a)
{
	struct pending *r;
	size_t part;

	cause_after(m->wait);
	if (!n && a)
		deliver_answer(a);
	while (n) {
		part = n > DESTS_PER_COMMAND ? DESTS_PER_COMMAND : n;
		begin_with_payload(KMQTT_CMD_DELIVER, m);
		put_message(m);
		r = put_dests(v, part, n == part ? a : NULL);
		v += part;
		n -= part;
		if (!n)
			put_answer(a);
		nl_end(deliver_done, r);
	}
}

void deliver_outgoing(struct outgoing *out)
{
	struct delivery d = { .conn = out->session->client->conn, .out = out };

	out->pending = true;
	if (out->dup)
		d.flags |= KMQTT_DEST_F_DUP;
	if (out->retain)
		d.flags |= KMQTT_DEST_F_RETAIN;
	if (out->live)
		d.flags |= KMQTT_DEST_F_LIVE;
	if (out->qos && !out->session->stored) {
		d.flags |= KMQTT_DEST_F_VOLATILE;
		out->session->client->is_volatile = true;
	}
	/* What was made meanwhile and waits for the store must not overtake it. */
	nl_urgent(out->refused);
	deliver_publish(out->msg, &d, 1, NULL);
	nl_urgent(false);
	out->refused = false;
}

static void inject_done(void *arg, int error, const struct nlmsghdr *reply,
			const char *text)
{
	struct pending *r = arg;

	list_del(&r->node);
	if (!--injected.n)
		injected.topics = 0;
	if (error == -E2BIG) {
		/* In its place: nothing that it may not be late for has gone out. */
		nl_urgent(true);
		r->refused(r->m, &r->answer);
		nl_urgent(false);
	} else if (was_refused(error, "a message", text) && r->answer.conn) {
		deliver_answer(&r->answer);
	}
	message_put(r->m);
	free(r);
}

void deliver_order(const char *topic, size_t len)
{
	if (!injected.n || (topic && !(injected.topics & topic_bit(topic, len))))
		return;
	nl_fence();
	nl_flush();
}

void deliver_retained_first(const char *filter)
{
	unsigned int n = RETAINED_LOOKS;
	const struct pending *r;

	list_for_each(r, &injected.all, node) {
		const struct message *m = r->m;

		if (!n-- || (m->retain &&
			     kmqtt_topic_matches((const __u8 *)filter, strlen(filter),
						 (const __u8 *)m->topic, m->topic_len))) {
			cause_stay();
			return;
		}
	}
}

void deliver_inject(struct message *m, const struct answer *a, inject_refused_t refused)
{
	struct pending *r = pending_new(a, 0);

	r->m = message_get(m);
	r->refused = refused;
	cause_after(m->wait);
	begin_with_payload(KMQTT_CMD_INJECT, m);
	put_message(m);
	if (m->retain)
		nl_put_u32(KMQTT_A_MSG_FLAGS, KMQTT_MSG_F_RETAIN);
	if (m->source)
		nl_put_u64(KMQTT_A_SOURCE_CONN, m->source);
	put_answer(a);
	list_add_tail(&r->node, &injected.all);
	injected.n++;
	injected.topics |= topic_bit(m->topic, m->topic_len);
	nl_end(inject_done, r);
}
