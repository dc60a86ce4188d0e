// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wills.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "deliver.h"
#include "frame.h"
#include "mem.h"
#include "message.h"
#include "publish.h"
#include "sys.h"
#include "store.h"
#include "topic.h"
#include "will.h"

/* Encoded: version, flags, delay, expiry, length of topic and properties. */
#define WILL_VERSION		1
#define WILL_HEAD		16
#define WILL_F_QOS		0x03
#define WILL_F_RETAIN		0x04
#define WILL_F_EXPIRY		0x08

/**
 * struct will - a will
 * @msg: the message, without its expiry, which begins when it is published
 * @delay: Will Delay Interval
 * @expiry: Message Expiry Interval
 * @has_expiry: there is one
 */
struct will {
	struct message *msg;
	uint32_t delay;
	uint32_t expiry;
	uint8_t has_expiry;
};

static size_t wills;
static size_t wills_payload;

size_t will_count(void)
{
	return wills;
}

size_t will_payload_bytes(void)
{
	return wills_payload;
}

struct will *will_new(const struct will_terms *t)
{
	struct message_parts parts = *t->parts;
	struct will *w = mem_zalloc(sizeof(*w));

	parts.source_id = t->client_id;
	w->msg = message_new(&parts);
	wills++;
	wills_payload += w->msg->payload_len;
	w->delay = t->delay;
	w->expiry = t->expiry;
	w->has_expiry = t->has_expiry;
	return w;
}

void will_free(struct will *w)
{
	if (!w)
		return;
	wills--;
	wills_payload -= w->msg->payload_len;
	message_put(w->msg);
	free(w);
}

uint32_t will_delay(const struct will *w)
{
	return w->delay;
}

/* The will's own message may be on its way into the store, whose thread reads it. */
static struct message *will_message(const struct will *w)
{
	const struct message_parts parts = {
		.topic = (const uint8_t *)w->msg->topic,
		.topic_len = w->msg->topic_len,
		.props = w->msg->props,
		.props_len = w->msg->props_len,
		.payload = w->msg->payload,
		.payload_len = w->msg->payload_len,
		.source_id = w->msg->source_id,
		.expires = clock_ms() + w->expiry * 1000ULL,
		.qos = w->msg->qos,
		.retain = w->msg->retain,
	};

	return w->has_expiry ? message_new(&parts) : message_get(w->msg);
}

void will_publish(struct will *w, const struct answer *a)
{
	struct message *m = will_message(w);

	will_free(w);
	if (!sys_forbids(m->topic, m->topic_len))
		publish(m, NULL, a);
	else if (a)
		deliver_answer(a);
	message_put(m);
}

void will_store(const struct will *w, const char *client_id, uint64_t at)
{
	const struct store_will row = {
		.publish_at = at,
		.msg = w->msg,
		.expiry = w->expiry,
		.has_expiry = w->has_expiry,
	};

	store_will_put(client_id, &row);
}

struct will *will_load(const struct store_will *row)
{
	struct will *w = mem_zalloc(sizeof(*w));

	w->msg = message_get(row->msg);
	wills++;
	wills_payload += w->msg->payload_len;
	w->expiry = row->expiry;
	w->has_expiry = row->has_expiry;
	return w;
}

uint8_t *will_encode(const struct will *w, size_t *len)
{
	const struct message *m = w->msg;
	uint8_t *buf, *p;

	*len = WILL_HEAD + m->topic_len + m->props_len + m->payload_len;
	buf = mem_zalloc(*len);
	buf[0] = WILL_VERSION;
	buf[1] = (uint8_t)(m->qos | (m->retain ? WILL_F_RETAIN : 0) |
			   (w->has_expiry ? WILL_F_EXPIRY : 0));
	p = kmqtt_put32(buf + 2, w->delay);
	p = kmqtt_put32(p, w->expiry);
	p = kmqtt_put16(p, m->topic_len);
	p = kmqtt_put32(p, m->props_len);
	memcpy(p, m->topic, m->topic_len);
	p += m->topic_len;
	memcpy(p, m->props, m->props_len);
	p += m->props_len;
	memcpy(p, m->payload, m->payload_len);
	return buf;
}

struct will *will_decode(const uint8_t *data, size_t len, const char *client_id)
{
	struct message_parts parts = { 0 };
	struct will_terms t = { .parts = &parts, .client_id = client_id };

	if (len < WILL_HEAD || data[0] != WILL_VERSION)
		return NULL;
	parts.qos = data[1] & WILL_F_QOS;
	parts.retain = data[1] & WILL_F_RETAIN;
	t.has_expiry = data[1] & WILL_F_EXPIRY;
	t.delay = kmqtt_get32(data + 2);
	t.expiry = kmqtt_get32(data + 6);
	parts.topic_len = kmqtt_get16(data + 10);
	parts.props_len = kmqtt_get32(data + 12);
	if (parts.topic_len + (size_t)parts.props_len > len - WILL_HEAD)
		return NULL;
	parts.topic = data + WILL_HEAD;
	parts.props = parts.topic + parts.topic_len;
	parts.payload = parts.props + parts.props_len;
	parts.payload_len = (uint32_t)(len - (size_t)(parts.payload - data));
	if (parts.qos > 2 || kmqtt_topic_name_check(parts.topic, parts.topic_len))
		return NULL;
	if (message_refusal(&parts))
		return NULL;
	return will_new(&t);
}
