// SPDX-License-Identifier: GPL-2.0-or-later
/* MQTT packets, as far as a load generator needs them. */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "macros.h"

static unsigned int put_varint(__u8 *p, __u32 v)
{
	unsigned int n = 0;

	do {
		p[n] = v & 0x7f;
		v >>= 7;
		if (v)
			p[n] |= 0x80;
		n++;
	} while (v);
	return n;
}

static void put_frame(struct buf *b, __u8 first, const struct buf *body)
{
	__u8 head[FRAME_HEADER_MAX] = { first };
	unsigned int n = 1 + put_varint(head + 1, body->len);

	buf_put(b, head, n);
	buf_put(b, body->data, body->len);
}

void frame_connect(struct buf *b, const struct connect *c)
{
	struct buf body = { 0 };
	__u8 flags = 0x02;	/* Clean Session or Clean Start */

	if (c->username)
		flags |= 0x80;
	if (c->password)
		flags |= 0x40;
	buf_str(&body, c->level == MQTT_31 ? "MQIsdp" : "MQTT");
	buf_u8(&body, c->level);
	buf_u8(&body, flags);
	buf_u16(&body, c->keepalive);
	if (c->level == MQTT_5)
		buf_u8(&body, 0);
	buf_str(&body, c->id);
	if (c->username)
		buf_str(&body, c->username);
	if (c->password)
		buf_str(&body, c->password);
	put_frame(b, CONNECT << 4, &body);
	buf_free(&body);
}

void frame_subscribe(struct buf *b, __u8 level, __u16 packet_id,
		     const char *filter, __u8 qos)
{
	struct buf body = { 0 };

	buf_u16(&body, packet_id);
	if (level == MQTT_5)
		buf_u8(&body, 0);
	buf_str(&body, filter);
	buf_u8(&body, qos);
	put_frame(b, SUBSCRIBE << 4 | 2, &body);
	buf_free(&body);
}

void frame_publish(struct buf *b, __u8 level, const char *topic, __u8 qos,
		   size_t size, struct publish_layout *layout)
{
	size_t start = b->len, end, packet_id = 0;
	struct buf body = { 0 };
	__u8 *payload = xalloc(1, size);

	buf_str(&body, topic);
	if (qos) {
		packet_id = body.len;
		buf_u16(&body, 0);
	}
	if (level == MQTT_5)
		buf_u8(&body, 0);
	end = body.len;
	memset(payload, 'x', size);
	buf_put(&body, payload, size);
	put_frame(b, PUBLISH << 4 | qos << 1, &body);

	layout->len = b->len - start;
	layout->payload = layout->len - body.len + end;
	layout->packet_id = qos ? layout->len - body.len + packet_id : 0;
	free(payload);
	buf_free(&body);
}

void frame_ack(struct buf *b, enum packet_type type, __u16 packet_id)
{
	__u8 p[4] = { type << 4 | (type == PUBREL ? 2 : 0), 2,
		      packet_id >> 8, packet_id };

	buf_put(b, p, sizeof(p));
}

void frame_bare(struct buf *b, enum packet_type type)
{
	__u8 p[2] = { type << 4, 0 };

	buf_put(b, p, sizeof(p));
}

/* The length of a property's value, 0 if it is unknown or does not fit. */
static size_t property_len(__u8 id, const __u8 *p, size_t len)
{
	size_t n = 0;
	__u32 v;

	switch (id) {
	case 0x01: case 0x17: case 0x19: case 0x24: case 0x25: case 0x28:
	case 0x29: case 0x2a:
		n = 1;
		break;
	case 0x13: case 0x21: case 0x22: case 0x23:
		n = 2;
		break;
	case 0x02: case 0x11: case 0x18: case 0x27:
		n = 4;
		break;
	case 0x0b:
		n = frame_varint(p, len, &v) > 0 ? frame_varint(p, len, &v) : 0;
		break;
	case 0x26:
		if (len < 2 || len < 4U + get_u16(p))
			return 0;
		n = 2 + get_u16(p);
		n += 2 + get_u16(p + n);
		break;
	default:
		if (len >= 2)
			n = 2 + get_u16(p);
	}
	return n <= len ? n : 0;
}

static void connack_property(__u8 id, const __u8 *p, struct connack *c)
{
	switch (id) {
	case 0x13:
		c->keepalive = get_u16(p);
		break;
	case 0x21:
		c->receive_max = get_u16(p);
		break;
	case 0x24:
		c->max_qos = p[0];
		break;
	case 0x27:
		c->max_packet = (__u32)get_u16(p) << 16 | get_u16(p + 2);
		break;
	}
}

bool frame_get_connack(const __u8 *p, size_t len, __u8 level, struct connack *c)
{
	__u32 props;
	size_t n;
	int skip;

	if (len < 2)
		return false;
	*c = (struct connack){ .code = p[1], .max_qos = 2,
			       .receive_max = 0xffff, .keepalive = 0xffff };
	/* A server may refuse a version it does not know in an older one's form. */
	if (level != MQTT_5 || len == 2)
		return len == 2;
	skip = frame_varint(p + 2, len - 2, &props);
	if (skip <= 0 || props != len - 2 - skip)
		return false;
	p += 2 + skip;
	while (props) {
		n = property_len(p[0], p + 1, props - 1);
		if (!n)
			return false;
		connack_property(p[0], p + 1, c);
		p += 1 + n;
		props -= 1 + n;
	}
	return true;
}

bool frame_get_suback(const __u8 *p, size_t len, __u8 level, __u8 *code)
{
	size_t off = 2;
	__u32 props;
	int skip;

	if (len < 3)
		return false;
	if (level == MQTT_5) {
		skip = frame_varint(p + 2, len - 2, &props);
		if (skip <= 0)
			return false;
		off += skip + (size_t)props;
	}
	if (off + 1 != len)
		return false;
	*code = p[off];
	return true;
}

static const struct {
	__u8 code;
	const char *text;
} reasons[] = {
	{ 0x00, "success" },
	{ 0x04, "disconnect with will message" },
	{ 0x10, "no matching subscribers" },
	{ 0x80, "unspecified error" },
	{ 0x81, "malformed packet" },
	{ 0x82, "protocol error" },
	{ 0x83, "implementation specific error" },
	{ 0x84, "unsupported protocol version" },
	{ 0x85, "client identifier not valid" },
	{ 0x86, "bad user name or password" },
	{ 0x87, "not authorized" },
	{ 0x88, "server unavailable" },
	{ 0x89, "server busy" },
	{ 0x8a, "banned" },
	{ 0x8b, "server shutting down" },
	{ 0x8c, "bad authentication method" },
	{ 0x8d, "keep alive timeout" },
	{ 0x8e, "session taken over" },
	{ 0x8f, "topic filter invalid" },
	{ 0x90, "topic name invalid" },
	{ 0x91, "packet identifier in use" },
	{ 0x92, "packet identifier not found" },
	{ 0x93, "receive maximum exceeded" },
	{ 0x94, "topic alias invalid" },
	{ 0x95, "packet too large" },
	{ 0x96, "message rate too high" },
	{ 0x97, "quota exceeded" },
	{ 0x98, "administrative action" },
	{ 0x99, "payload format invalid" },
	{ 0x9a, "retain not supported" },
	{ 0x9b, "QoS not supported" },
	{ 0x9c, "use another server" },
	{ 0x9d, "server moved" },
	{ 0x9e, "shared subscriptions not supported" },
	{ 0x9f, "connection rate exceeded" },
	{ 0xa0, "maximum connect time" },
	{ 0xa1, "subscription identifiers not supported" },
	{ 0xa2, "wildcard subscriptions not supported" },
};

const char *frame_reason(__u8 level, enum packet_type type, __u8 code)
{
	static const char * const v3_connack[] = {
		"accepted", "unacceptable protocol version",
		"identifier rejected", "server unavailable",
		"bad user name or password", "not authorized",
	};
	size_t i;

	if (type == CONNACK && code < ARRAY_SIZE(v3_connack))
		return v3_connack[code];
	if (level != MQTT_5)
		return type == SUBACK && code == 0x80 ? "failure" : "unknown code";
	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].text;
	return "unknown code";
}
