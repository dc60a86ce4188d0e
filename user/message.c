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

/* A retained one has nodes of the topic tree, too. */
static size_t message_cost(const struct message_parts *parts)
{
	size_t cost = sizeof(struct message) + mount_len(parts) + parts->topic_len + 1 +
		      parts->props_len + parts->payload_len;

	if (parts->retain)
		cost += ttree_cost(parts->topic, parts->topic_len);
	return cost;
}

uint8_t message_refusal(const struct message_parts *parts)
{
	if (mount_len(parts) + parts->topic_len > KMQTT_TOPIC_MAX)
		return KMQTT_RC_TOPIC_NAME_INVALID;
	if (parts->props_len > KMQTT_PROPERTIES_MAX || !mem_room(message_cost(parts)))
		return KMQTT_RC_QUOTA;
	return 0;
}

struct message *message_new(const struct message_parts *parts)
{
	size_t topic_len = mount_len(parts) + parts->topic_len;
	uint32_t props_len = kmqtt_props_travel_copy(NULL, parts->props, parts->props_len);
	struct message *m;
	uint8_t *p;

	m = mem_zalloc(sizeof(*m) + topic_len + 1 + props_len + parts->payload_len);
	m->refs = 1;
	m->charged = message_cost(parts);
	mem_charge(m->charged);
	messages++;
	messages_payload += parts->payload_len;
	m->expires = parts->expires;
	m->qos = parts->qos;
	m->retain = parts->retain;
	m->topic_len = (uint16_t)topic_len;
	m->props_len = props_len;
	m->payload_len = parts->payload_len;
	p = m->data;
	m->topic = (const char *)p;
	if (parts->mount)
		p = mempcpy(p, parts->mount, mount_len(parts));
	if (parts->topic_len)
		memcpy(p, parts->topic, parts->topic_len);
	p = m->data;
	p += topic_len + 1;
	m->props = p;
	kmqtt_props_travel_copy(p, parts->props, parts->props_len);
	p += props_len;
	m->payload = p;
	if (parts->payload_len)
		memcpy(p, parts->payload, parts->payload_len);
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
	mem_uncharge(m->charged);
	messages--;
	messages_payload -= m->payload_len;
	free(m->source_id);
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
