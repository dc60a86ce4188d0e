// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Application Messages in the daemon.
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "kmqtt.h"
#include "mem.h"
#include "message.h"
#include "ttree.h"

static size_t messages;
static size_t messages_payload;

size_t message_count(void)
{
	return messages;
}

size_t message_payload_bytes(void)
{
	return messages_payload;
}

static size_t mount_len(const struct message_parts *parts)
{
	return parts->mount ? strlen(parts->mount) : 0;
}

static size_t source_id_size(const char *source_id)
{
	return source_id ? strlen(source_id) + 1 : 0;
}

/* What a message with so much in it takes. */
static size_t message_cost(size_t topic_len, size_t props_len, size_t payload_len,
			   const char *source_id)
{
	return sizeof(struct message) + topic_len + 1 + props_len + payload_len +
	       source_id_size(source_id);
}

uint8_t message_refusal(const struct message_parts *parts)
{
	size_t topic_len = mount_len(parts) + parts->topic_len;
	size_t cost = message_cost(topic_len, parts->props_len, parts->payload_len,
				   parts->source_id);

	/* A retained one may make nodes of the topic tree, too. */
	if (parts->retain)
		cost += ttree_cost(parts->topic, parts->topic_len) + mount_len(parts);
	if (topic_len > KMQTT_TOPIC_MAX)
		return KMQTT_RC_TOPIC_NAME_INVALID;
	if (parts->props_len > KMQTT_PROPERTIES_MAX || !mem_room(cost))
		return KMQTT_RC_QUOTA;
	return 0;
}

static uint8_t *put(uint8_t *p, const void *data, size_t len)
{
	return len ? mempcpy(p, data, len) : p;
}

struct message *message_new(const struct message_parts *parts)
{
	size_t topic_len = mount_len(parts) + parts->topic_len;
	uint32_t props_len = kmqtt_props_travel_copy(NULL, parts->props, parts->props_len);
	size_t cost = message_cost(topic_len, props_len, parts->payload_len,
				   parts->source_id);
	struct message *m = mem_zalloc(cost);
	uint8_t *p = (uint8_t *)m->topic;

	mem_charge(cost);
	m->refs = 1;
	messages++;
	messages_payload += parts->payload_len;
	m->expires = parts->expires;
	m->qos = parts->qos;
	m->retain = parts->retain;
	m->topic_len = (uint16_t)topic_len;
	m->props_len = props_len;
	m->payload_len = parts->payload_len;
	p = put(p, parts->mount, mount_len(parts));
	p = put(p, parts->topic, parts->topic_len) + 1;
	m->props = p;
	kmqtt_props_travel_copy(p, parts->props, parts->props_len);
	p += props_len;
	m->payload = p;
	p = put(p, parts->payload, parts->payload_len);
	if (parts->source_id)
		m->source_id = memcpy(p, parts->source_id, source_id_size(parts->source_id));
	return m;
}

struct message *message_get(struct message *m)
{
	m->refs++;
	return m;
}

void message_put(struct message *m)
{
	if (!m || --m->refs)
		return;
	mem_uncharge(message_cost(m->topic_len, m->props_len, m->payload_len, m->source_id));
	messages--;
	messages_payload -= m->payload_len;
	free(m);
}

size_t message_size(const struct message *m)
{
	return sizeof(*m) + m->topic_len + m->props_len + m->payload_len;
}

bool message_expired(const struct message *m, uint64_t now)
{
	return m->expires && now >= m->expires;
}
