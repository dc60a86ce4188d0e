// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes out to clients: DELIVER and INJECT.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "clock.h"
#include "deliver.h"
#include "inflight.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "nl.h"
#include "session.h"

#define DESTS_PER_COMMAND	8192U

/* The entries whose fate the result of a DELIVER tells. */
struct results {
	size_t n;
	struct outgoing *out[];
};

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
		nl_put_u32(KMQTT_A_MSG_FLAGS, KMQTT_MSG_F_MORE);
		for (; done < end; done += KMQTT_PIECE_MAX)
			nl_put(KMQTT_A_PAYLOAD, m->payload + done, KMQTT_PIECE_MAX);
		nl_end(NULL, NULL);
	}
	nl_begin(cmd);
	for (; done < m->payload_len; done += len) {
		len = m->payload_len - done;
		if (len > KMQTT_PIECE_MAX)
			len = KMQTT_PIECE_MAX;
		nl_put(KMQTT_A_PAYLOAD, m->payload + done, len);
	}
}

static void put_message(const struct message *m)
{
	uint64_t now;

	nl_put(KMQTT_A_TOPIC, m->topic, m->topic_len);
	if (m->props_len)
		nl_put(KMQTT_A_PROPERTIES, m->props, m->props_len);
	if (!m->expires)
		return;
	now = clock_ms();
	nl_put_u32(KMQTT_A_EXPIRY,
		   m->expires > now ? (uint32_t)((m->expires - now + 999) / 1000) : 0);
}

static void put_dest(const struct delivery *d)
{
	const uint32_t *subids = d->out ? d->out->subids : d->subids;
	unsigned int n = d->out ? d->out->n_subids : d->n_subids, i;

	nl_nest_begin(KMQTT_A_DEST);
	nl_put_u64(KMQTT_AD_CONN, d->conn);
	nl_put_u8(KMQTT_AD_QOS, d->out ? d->out->qos : 0);
	if (d->out && d->out->packet_id)
		nl_put_u16(KMQTT_AD_PACKET_ID, d->out->packet_id);
	if (d->flags)
		nl_put_u32(KMQTT_AD_FLAGS, d->flags);
	for (i = 0; i < n; i++)
		nl_put_u32(KMQTT_AD_SUBID, subids[i]);
	nl_nest_end();
}

static void results_read(struct results *r, const struct nlmsghdr *reply)
{
	const struct nlattr *tb[KMQTT_AD_MAX + 1], *a;
	uint32_t i;

	mnl_attr_for_each(a, reply, MNL_ALIGN(4)) {
		if (mnl_attr_get_type(a) != KMQTT_A_DEST_RESULT)
			continue;
		nl_nested(a, tb, KMQTT_AD_MAX);
		i = nl_u32(tb[KMQTT_AD_INDEX]);
		if (!tb[KMQTT_AD_INDEX] || i >= r->n || !r->out[i])
			continue;
		outgoing_result(r->out[i], nl_u8(tb[KMQTT_AD_RESULT]));
		outgoing_put(r->out[i]);
		r->out[i] = NULL;
	}
}

static void deliver_done(void *arg, int error, const struct nlmsghdr *reply,
			 const char *text)
{
	struct results *r = arg;
	uint8_t rest = KMQTT_DEST_ACCEPTED;
	size_t i;

	if (error && error != -ENOBUFS) {
		log_warning("kernel refused a delivery: %s%s%s", strerror(-error),
			    *text ? ": " : "", text);
		rest = KMQTT_DEST_DENIED;
	}
	if (reply)
		results_read(r, reply);
	for (i = 0; i < r->n; i++) {
		if (!r->out[i])
			continue;
		outgoing_result(r->out[i], rest);
		outgoing_put(r->out[i]);
	}
	free(r);
}

void deliver_answer(const struct answer *a)
{
	nl_begin(KMQTT_CMD_DELIVER);
	put_answer(a);
	nl_end(NULL, NULL);
}

static struct results *put_dests(const struct delivery *v, size_t n)
{
	struct results *r = mem_zalloc(sizeof(*r) + n * sizeof(r->out[0]));
	size_t i;

	r->n = n;
	for (i = 0; i < n; i++) {
		put_dest(&v[i]);
		if (!v[i].out)
			continue;
		r->out[i] = outgoing_get(v[i].out);
		v[i].out->pending = true;
	}
	return r;
}

void deliver_publish(const struct message *m, const struct delivery *v, size_t n,
		     const struct answer *a)
{
	struct results *r;
	size_t part;

	if (!n && a)
		deliver_answer(a);
	while (n) {
		part = n > DESTS_PER_COMMAND ? DESTS_PER_COMMAND : n;
		begin_with_payload(KMQTT_CMD_DELIVER, m);
		put_message(m);
		r = put_dests(v, part);
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

	if (out->dup)
		d.flags |= KMQTT_DEST_F_DUP;
	if (out->retain)
		d.flags |= KMQTT_DEST_F_RETAIN;
	if (out->live)
		d.flags |= KMQTT_DEST_F_LIVE;
	if (out->qos)
		d.flags |= KMQTT_DEST_F_VOLATILE;
	deliver_publish(out->msg, &d, 1, NULL);
}

void deliver_inject(const struct message *m, const struct answer *a)
{
	begin_with_payload(KMQTT_CMD_INJECT, m);
	put_message(m);
	if (m->retain)
		nl_put_u32(KMQTT_A_MSG_FLAGS, KMQTT_MSG_F_RETAIN);
	if (m->source)
		nl_put_u64(KMQTT_A_SOURCE_CONN, m->source);
	put_answer(a);
	nl_end(NULL, NULL);
}
