// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Control packets other than PUBLISH: taken apart and put together.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "deliver.h"
#include "mem.h"
#include "packet.h"
#include "topic.h"

#define PUBREL_DUP		0x08	/* 3.1 only */

#define CONNECT_F_RESERVED	0x01
#define CONNECT_F_CLEAN		0x02
#define CONNECT_F_WILL		0x04
#define CONNECT_F_WILL_RETAIN	0x20
#define CONNECT_F_PASSWORD	0x40
#define CONNECT_F_USERNAME	0x80

struct cursor {
	const uint8_t *p, *end;
};

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static bool take8(struct cursor *c, uint8_t *v)
{
	if (left(c) < 1)
		return false;
	*v = *c->p++;
	return true;
}

static bool take16(struct cursor *c, uint16_t *v)
{
	if (left(c) < 2)
		return false;
	*v = kmqtt_get16(c->p);
	c->p += 2;
	return true;
}

static bool take_str(struct cursor *c, struct packet_str *s)
{
	uint16_t len;

	if (!take16(c, &len) || left(c) < len)
		return false;
	s->p = c->p;
	s->len = len;
	c->p += len;
	return true;
}

static bool take_utf8(struct cursor *c, struct packet_str *s)
{
	return take_str(c, s) && kmqtt_utf8_valid(s->p, s->len);
}

static int take_props(struct cursor *c, uint32_t packet, struct packet_str *props)
{
	uint32_t len;
	int reason;

	reason = kmqtt_props_check(c->p, left(c), packet, &props->p, &len);
	if (reason)
		return reason;
	props->len = len;
	c->p = props->p + len;
	return 0;
}

static struct packet_str prop_str(const struct kmqtt_prop *prop)
{
	return (struct packet_str){ .p = prop->str, .len = prop->str_len };
}

/* Protocol name and level: what decides about everything that follows. */
static int connect_protocol(struct cursor *cur, struct packet_connect *c)
{
	struct packet_str name;
	uint8_t level;

	if (!take_str(cur, &name) || !take8(cur, &level))
		return KMQTT_RC_MALFORMED;
	if (name.len == 4 && !memcmp(name.p, "MQTT", 4)) {
		if (level != KMQTT_V311 && level != KMQTT_V5)
			return KMQTT_RC_UNSUPPORTED_VERSION;
	} else if (name.len == 6 && !memcmp(name.p, "MQIsdp", 6)) {
		if (level != KMQTT_V31)
			return KMQTT_RC_UNSUPPORTED_VERSION;
	} else {
		return KMQTT_RC_PROTOCOL_ERROR;
	}
	c->level = level;
	return 0;
}

static int connect_props(struct cursor *cur, struct packet_connect *c)
{
	struct packet_str props;
	struct kmqtt_prop prop;
	const uint8_t *p;
	int reason;

	reason = take_props(cur, KMQTT_PROPS_OF(KMQTT_CONNECT), &props);
	if (reason)
		return reason;
	for (p = props.p; kmqtt_prop_next(&p, props.p + props.len, &prop) == 1;) {
		switch (prop.id) {
		case KMQTT_P_SESSION_EXPIRY:
			c->session_expiry = prop.value;
			break;
		case KMQTT_P_RECEIVE_MAX:
			c->receive_max = (uint16_t)prop.value;
			break;
		case KMQTT_P_MAX_PACKET_SIZE:
			c->max_packet = prop.value;
			break;
		case KMQTT_P_TOPIC_ALIAS_MAX:
			c->alias_max = (uint16_t)prop.value;
			break;
		case KMQTT_P_REQUEST_PROBLEM_INFO:
			c->problem_info = prop.value;
			break;
		case KMQTT_P_AUTH_METHOD:
			c->auth_method = prop_str(&prop);
			break;
		case KMQTT_P_AUTH_DATA:
			c->auth_data = prop_str(&prop);
			break;
		}
	}
	return 0;
}

static int connect_will(struct cursor *cur, struct packet_connect *c)
{
	struct kmqtt_prop prop;
	const uint8_t *p;
	int reason;

	if (c->level == KMQTT_V5) {
		reason = take_props(cur, KMQTT_PROPS_OF_WILL, &c->will_props);
		if (reason)
			return reason;
	}
	for (p = c->will_props.p;
	     p && kmqtt_prop_next(&p, c->will_props.p + c->will_props.len, &prop) == 1;) {
		if (prop.id == KMQTT_P_WILL_DELAY)
			c->will_delay = prop.value;
		if (prop.id == KMQTT_P_MESSAGE_EXPIRY) {
			c->will_expiry = prop.value;
			c->has_will_expiry = true;
		}
	}
	if (!take_utf8(cur, &c->will_topic) || !take_str(cur, &c->will_payload))
		return KMQTT_RC_MALFORMED;
	return kmqtt_topic_name_check(c->will_topic.p, c->will_topic.len);
}

static int connect_flags(uint8_t flags, struct packet_connect *c)
{
	c->clean = flags & CONNECT_F_CLEAN;
	c->has_will = flags & CONNECT_F_WILL;
	c->will_qos = flags >> 3 & 3;
	c->will_retain = flags & CONNECT_F_WILL_RETAIN;
	/* 3.1 says of bit 0 that it is unused, not that it is 0. */
	if (flags & CONNECT_F_RESERVED && c->level != KMQTT_V31)
		return KMQTT_RC_MALFORMED;
	if (c->will_qos == 3 || (!c->has_will && (c->will_qos || c->will_retain)))
		return KMQTT_RC_MALFORMED;
	if (c->level != KMQTT_V5 && flags & CONNECT_F_PASSWORD &&
	    !(flags & CONNECT_F_USERNAME))
		return KMQTT_RC_MALFORMED;
	return 0;
}

int packet_connect_parse(const uint8_t *body, size_t len, struct packet_connect *c)
{
	struct cursor cur = { body, body + len };
	uint8_t flags;
	int reason;

	memset(c, 0, sizeof(*c));
	c->receive_max = UINT16_MAX;
	c->problem_info = true;
	reason = connect_protocol(&cur, c);
	if (reason)
		return reason;
	if (!take8(&cur, &flags) || !take16(&cur, &c->keepalive))
		return KMQTT_RC_MALFORMED;
	reason = connect_flags(flags, c);
	if (!reason && c->level == KMQTT_V5)
		reason = connect_props(&cur, c);
	if (reason)
		return reason;
	if (!take_utf8(&cur, &c->id))
		return KMQTT_RC_MALFORMED;
	if (c->has_will)
		reason = connect_will(&cur, c);
	if (reason)
		return reason;
	if (flags & CONNECT_F_USERNAME && !take_utf8(&cur, &c->username))
		return KMQTT_RC_MALFORMED;
	if (flags & CONNECT_F_PASSWORD && !take_str(&cur, &c->password))
		return KMQTT_RC_MALFORMED;
	return left(&cur) ? KMQTT_RC_MALFORMED : 0;
}

static int options_check(uint8_t options, uint8_t level, const struct packet_str *filter)
{
	if ((options & 3) == 3)
		return level == KMQTT_V5 ? KMQTT_RC_PROTOCOL_ERROR : KMQTT_RC_MALFORMED;
	if (level != KMQTT_V5)
		return options & ~3 ? KMQTT_RC_MALFORMED : 0;
	if (options & 0xc0)
		return KMQTT_RC_MALFORMED;
	if ((options >> 4 & 3) == 3)
		return KMQTT_RC_PROTOCOL_ERROR;
	/* No Local on a shared subscription (3.8.3.1). */
	if (options & 4 && filter->len >= 7 && !memcmp(filter->p, "$share/", 7))
		return KMQTT_RC_PROTOCOL_ERROR;
	return 0;
}

bool packet_filters_next(struct packet_filters *f, struct packet_filter *filter)
{
	struct cursor cur = { f->p, f->end };

	filter->options = 0;
	if (!left(&cur) || !take_utf8(&cur, &filter->filter))
		return false;
	if (f->subscribe && !take8(&cur, &filter->options))
		return false;
	f->p = cur.p;
	return true;
}

static int filters_props(struct cursor *cur, uint32_t packet, uint32_t *subid)
{
	struct packet_str props;
	struct kmqtt_prop prop;
	const uint8_t *p;
	int reason;

	reason = take_props(cur, packet, &props);
	if (reason)
		return reason;
	for (p = props.p; kmqtt_prop_next(&p, props.p + props.len, &prop) == 1;)
		if (prop.id == KMQTT_P_SUBSCRIPTION_ID)
			*subid = prop.value;
	return 0;
}

int packet_filters_parse(const struct kmqtt_fixed *fix, const uint8_t *body,
			 uint8_t level, struct packet_filters *f, unsigned int *n)
{
	struct cursor cur = { body, body + fix->remaining };
	struct packet_filters walk;
	struct packet_filter one;
	int reason = 0;

	memset(f, 0, sizeof(*f));
	f->subscribe = fix->type == KMQTT_SUBSCRIBE;
	f->level = level;
	if (!take16(&cur, &f->packet_id))
		return KMQTT_RC_MALFORMED;
	if (!f->packet_id)
		return level == KMQTT_V5 ? KMQTT_RC_PROTOCOL_ERROR : KMQTT_RC_MALFORMED;
	if (level == KMQTT_V5)
		reason = filters_props(&cur, KMQTT_PROPS_OF(fix->type), &f->subid);
	if (reason)
		return reason;
	f->p = cur.p;
	f->end = cur.end;
	walk = *f;
	for (*n = 0; packet_filters_next(&walk, &one); (*n)++) {
		if (f->subscribe)
			reason = options_check(one.options, level, &one.filter);
		if (reason)
			return reason;
	}
	if (walk.p != walk.end)
		return KMQTT_RC_MALFORMED;
	return *n ? 0 : KMQTT_RC_PROTOCOL_ERROR;
}

size_t packet_suback_len(const struct packet_filters *f, unsigned int n)
{
	size_t remaining = 2;

	if (f->level == KMQTT_V5)
		remaining++;
	if (f->level == KMQTT_V5 || f->subscribe)
		remaining += n;
	return 1 + kmqtt_varint_len((uint32_t)remaining) + remaining;
}

/* What a client may say in an acknowledgement (3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1). */
static bool ack_reason_valid(uint8_t type, uint8_t reason)
{
	switch (reason) {
	case KMQTT_RC_SUCCESS:
		return true;
	case KMQTT_RC_PACKET_ID_NOT_FOUND:
		return type == KMQTT_PUBREL || type == KMQTT_PUBCOMP;
	case KMQTT_RC_NO_MATCHING_SUBSCRIBERS:
	case KMQTT_RC_UNSPECIFIED:
	case KMQTT_RC_IMPLEMENTATION:
	case KMQTT_RC_NOT_AUTHORIZED:
	case KMQTT_RC_TOPIC_NAME_INVALID:
	case KMQTT_RC_PACKET_ID_IN_USE:
	case KMQTT_RC_QUOTA:
	case KMQTT_RC_PAYLOAD_FORMAT:
		return type == KMQTT_PUBACK || type == KMQTT_PUBREC;
	default:
		return false;
	}
}

int packet_ack_parse(const struct kmqtt_fixed *fix, const uint8_t *body, uint8_t level,
		     uint16_t *packet_id, uint8_t *reason)
{
	struct cursor cur = { body, body + fix->remaining };
	struct packet_str props;
	int fault;

	*reason = 0;
	if (!take16(&cur, packet_id) || !*packet_id)
		return KMQTT_RC_MALFORMED;
	if (!left(&cur))
		return 0;
	if (level != KMQTT_V5)
		return KMQTT_RC_MALFORMED;
	take8(&cur, reason);
	if (!ack_reason_valid(fix->type, *reason))
		return KMQTT_RC_PROTOCOL_ERROR;
	if (!left(&cur))
		return 0;
	fault = take_props(&cur, KMQTT_PROPS_OF(fix->type), &props);
	if (fault)
		return fault;
	return left(&cur) ? KMQTT_RC_MALFORMED : 0;
}

int packet_auth_parse(const uint8_t *body, size_t len, struct packet_auth *a)
{
	struct cursor cur = { body, body + len };
	struct packet_str props;
	struct kmqtt_prop prop;
	const uint8_t *p;
	int reason;

	memset(a, 0, sizeof(*a));
	/* Success, which a packet without a body says, is the server's. */
	if (!take8(&cur, &a->reason) || (a->reason != KMQTT_RC_CONTINUE_AUTHENTICATION &&
					 a->reason != KMQTT_RC_REAUTHENTICATE))
		return KMQTT_RC_PROTOCOL_ERROR;
	/* Without properties there is no method (3.15.2.2.2). */
	if (!left(&cur))
		return KMQTT_RC_PROTOCOL_ERROR;
	reason = take_props(&cur, KMQTT_PROPS_OF(KMQTT_AUTH), &props);
	if (reason)
		return reason;
	if (left(&cur))
		return KMQTT_RC_MALFORMED;
	for (p = props.p; kmqtt_prop_next(&p, props.p + props.len, &prop) == 1;) {
		if (prop.id == KMQTT_P_AUTH_METHOD)
			a->method = prop_str(&prop);
		if (prop.id == KMQTT_P_AUTH_DATA)
			a->data = prop_str(&prop);
	}
	return a->method.p ? 0 : KMQTT_RC_PROTOCOL_ERROR;
}

size_t packet_ack_put(uint8_t buf[PACKET_ACK_MAX], uint8_t type, uint8_t level,
		      uint16_t packet_id, uint8_t reason)
{
	bool with_reason = reason && level == KMQTT_V5;

	buf[0] = (uint8_t)(type << 4 | (type == KMQTT_PUBREL ? 2 : 0));
	buf[1] = with_reason ? 3 : 2;
	kmqtt_put16(buf + 2, packet_id);
	buf[4] = reason;
	return with_reason ? 5 : 4;
}

void packet_send_pubrel(const struct client *c, uint16_t packet_id, bool again)
{
	uint8_t buf[PACKET_ACK_MAX];
	struct answer a = { .conn = c->conn, .packet = buf };

	a.len = packet_ack_put(buf, KMQTT_PUBREL, c->protocol, packet_id, 0);
	if (again && c->protocol == KMQTT_V31)
		buf[0] |= PUBREL_DUP;
	deliver_answer(&a);
}

void packet_put(struct packet_buf *b, const void *data, size_t len)
{
	/* Room for the fixed header comes first. */
	if (!b->buf)
		b->len = KMQTT_FIXED_HDR_MAX;
	if (b->len + len > b->room) {
		b->room = 2 * (b->len + len);
		b->buf = mem_realloc(b->buf, b->room);
	}
	if (len)
		memcpy(b->buf + b->len, data, len);
	b->len += len;
}

void packet_put8(struct packet_buf *b, uint8_t v)
{
	packet_put(b, &v, 1);
}

void packet_put16(struct packet_buf *b, uint16_t v)
{
	uint8_t buf[2];

	kmqtt_put16(buf, v);
	packet_put(b, buf, sizeof(buf));
}

void packet_put32(struct packet_buf *b, uint32_t v)
{
	uint8_t buf[4];

	kmqtt_put32(buf, v);
	packet_put(b, buf, sizeof(buf));
}

void packet_put_varint(struct packet_buf *b, uint32_t v)
{
	uint8_t buf[4];

	packet_put(b, buf, kmqtt_varint_put(buf, v));
}

void packet_put_str(struct packet_buf *b, const char *s)
{
	size_t len = strlen(s);

	packet_put16(b, (uint16_t)len);
	packet_put(b, s, len);
}

void packet_put_reason(struct packet_buf *props, const struct client *c, size_t len,
		       const char *text, bool needed)
{
	if (!text || !(needed || c->problem_info))
		return;
	/* Identifier and length, and what both lengths of the packet may grow by. */
	len += 3 + strlen(text) + 2 * 3;
	if (c->max_packet && len > c->max_packet)
		return;
	packet_put8(props, KMQTT_P_REASON_STRING);
	packet_put_str(props, text);
}

void packet_put_props(struct packet_buf *b, struct packet_buf *props)
{
	packet_put(props, NULL, 0);
	packet_put_varint(b, (uint32_t)(props->len - KMQTT_FIXED_HDR_MAX));
	packet_put(b, props->buf + KMQTT_FIXED_HDR_MAX, props->len - KMQTT_FIXED_HDR_MAX);
	packet_buf_free(props);
}

const uint8_t *packet_finish(struct packet_buf *b, uint8_t type, size_t *len)
{
	uint32_t remaining;
	uint8_t *p;

	packet_put(b, NULL, 0);
	remaining = (uint32_t)(b->len - KMQTT_FIXED_HDR_MAX);
	p = b->buf + KMQTT_FIXED_HDR_MAX - 1 - kmqtt_varint_len(remaining);
	p[0] = (uint8_t)(type << 4);
	kmqtt_varint_put(p + 1, remaining);
	*len = b->len - (size_t)(p - b->buf);
	return p;
}

void packet_buf_free(struct packet_buf *b)
{
	free(b->buf);
	memset(b, 0, sizeof(*b));
}
