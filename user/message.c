// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Application Messages in the daemon.
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "mem.h"
#include "message.h"

struct message *message_new(const struct message_parts *parts)
{
	size_t mount_len = parts->mount ? strlen(parts->mount) : 0;
	size_t topic_len = mount_len + parts->topic_len;
	uint32_t props_len = kmqtt_props_travel_copy(NULL, parts->props, parts->props_len);
	struct message *m;
	uint8_t *p;

	if (topic_len > MESSAGE_ATTR_MAX || props_len > MESSAGE_ATTR_MAX)
		return NULL;
	m = mem_zalloc(sizeof(*m) + topic_len + 1 + props_len + parts->payload_len);
	m->refs = 1;
	m->expires = parts->expires;
	m->qos = parts->qos;
	m->retain = parts->retain;
	m->topic_len = (uint16_t)topic_len;
	m->props_len = props_len;
	m->payload_len = parts->payload_len;
	p = m->data;
	m->topic = (const char *)p;
	if (mount_len)
		memcpy(p, parts->mount, mount_len);
	if (parts->topic_len)
		memcpy(p + mount_len, parts->topic, parts->topic_len);
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
