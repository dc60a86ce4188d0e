// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * MQTT frames: parsing, judging and writing packets in buffers, see frame.h.
 */
#include "frame.h"
#include "topic.h"

#define ONES	0x0101010101010101ULL
#define HIGHS	0x8080808080808080ULL

/* Flags that 2.1.3 reserves; PUBLISH has its own rule. */
static bool flags_valid(__u8 type, __u8 flags)
{
	switch (type) {
	case 0:
		return false;
	case KMQTT_PUBLISH:
		return (flags & 0x6) != 0x6;
	case KMQTT_PUBREL:
	case KMQTT_SUBSCRIBE:
	case KMQTT_UNSUBSCRIBE:
		return flags == 0x2;
	default:
		return !flags;
	}
}

/* 3.1 repeats these three with DUP set (3.1 section 2.1). */
static bool flags_valid31(__u8 type, __u8 flags)
{
	if (type == KMQTT_PUBREL || type == KMQTT_SUBSCRIBE || type == KMQTT_UNSUBSCRIBE)
		flags &= ~0x8;
	return flags_valid(type, flags);
}

static int fixed_length(const __u8 *buf, size_t len, struct kmqtt_fixed *fix)
{
	int used;

	/* Most packets are short. */
	if (len > 1 && buf[1] < 0x80) {
		fix->hdr_len = 2;
		fix->minimal = true;
		fix->remaining = buf[1];
		return 0;
	}
	used = kmqtt_varint_get(buf + 1, len - 1, &fix->remaining, &fix->minimal);
	if (used <= 0)
		return used ? used : -EAGAIN;
	fix->hdr_len = (__u8)(1 + used);
	return 0;
}

int kmqtt_fixed_parse(const __u8 *buf, size_t len, struct kmqtt_fixed *fix)
{
	if (!len)
		return -EAGAIN;
	fix->type = buf[0] >> 4;
	fix->flags = buf[0] & 0xf;
	if (!flags_valid(fix->type, fix->flags))
		return -EBADMSG;
	return fixed_length(buf, len, fix);
}

int kmqtt_fixed_parse31(const __u8 *buf, size_t len, struct kmqtt_fixed *fix)
{
	if (!len)
		return -EAGAIN;
	fix->type = buf[0] >> 4;
	fix->flags = buf[0] & 0xf;
	if (!flags_valid31(fix->type, fix->flags))
		return -EBADMSG;
	return fixed_length(buf, len, fix);
}

unsigned int kmqtt_varint_len(__u32 value)
{
	if (value < 1U << 7)
		return 1;
	if (value < 1U << 14)
		return 2;
	if (value < 1U << 21)
		return 3;
	return 4;
}

unsigned int kmqtt_varint_put(__u8 *buf, __u32 value)
{
	unsigned int n = 0;

	if (value > KMQTT_VARINT_MAX)
		return 0;
	while (value >= 0x80) {
		buf[n++] = (__u8)(value | 0x80);
		value >>= 7;
	}
	buf[n++] = (__u8)value;
	return n;
}

int kmqtt_varint_get(const __u8 *buf, size_t len, __u32 *value, bool *minimal)
{
	__u32 v = 0;
	bool min;
	int i;

	for (i = 0; i < 4; i++) {
		if ((size_t)i >= len)
			return 0;
		v |= (__u32)(buf[i] & 0x7f) << (7 * i);
		if (buf[i] & 0x80)
			continue;
		min = !i || buf[i];
		if (minimal)
			*minimal = min;
		else if (!min)
			return -EBADMSG;
		*value = v;
		return i + 1;
	}
	return -EBADMSG;
}

/*
 * Length of the well-formed sequence at @s, which begins with a byte >= 0x80;
 * 0 if it is not one (Unicode 15, table 3-7: no overlong forms, no surrogates,
 * nothing above U+10FFFF).
 */
static size_t utf8_sequence(const __u8 *s, size_t len)
{
	__u8 low = 0x80, high = 0xbf;
	size_t n, i;

	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		n = 2;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		n = 3;
		if (s[0] == 0xe0)
			low = 0xa0;
		else if (s[0] == 0xed)
			high = 0x9f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		n = 4;
		if (s[0] == 0xf0)
			low = 0x90;
		else if (s[0] == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}
	if (len < n || s[1] < low || s[1] > high)
		return 0;
	for (i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool kmqtt_utf8_valid(const __u8 *s, size_t len)
{
	const __u8 *end = s + len;
	size_t n;
	__u64 w;

	while (s < end) {
		/*
		 * Eight bytes of ASCII without a zero at a time: the
		 * subtraction borrows into a high bit only at a zero byte.
		 */
		if (end - s >= 8) {
			memcpy(&w, s, sizeof(w));
			if (!((w | (w - ONES)) & HIGHS)) {
				s += 8;
				continue;
			}
		}
		if (*s < 0x80) {
			if (!*s)
				return false;
			s++;
			continue;
		}
		n = utf8_sequence(s, (size_t)(end - s));
		if (!n)
			return false;
		s += n;
	}
	return true;
}

/* Data types of properties (MQTT 5.0 section 1.5). */
enum prop_form {
	FORM_NONE,
	FORM_BYTE,
	FORM_TWO,
	FORM_FOUR,
	FORM_VARINT,
	FORM_STRING,
	FORM_BINARY,
	FORM_PAIR,
};

#define OF(type)	KMQTT_PROPS_OF(KMQTT_##type)
#define WILL		KMQTT_PROPS_OF_WILL
#define OF_ACKS		(OF(PUBACK) | OF(PUBREC) | OF(PUBREL) | OF(PUBCOMP) | \
			 OF(SUBACK) | OF(UNSUBACK))

/* Table 2-4: form of each property and the packets that may carry it. */
static const struct {
	__u8 form;
	__u32 packets;
} prop_table[] = {
	[KMQTT_P_PAYLOAD_FORMAT]	= { FORM_BYTE, OF(PUBLISH) | WILL },
	[KMQTT_P_MESSAGE_EXPIRY]	= { FORM_FOUR, OF(PUBLISH) | WILL },
	[KMQTT_P_CONTENT_TYPE]		= { FORM_STRING, OF(PUBLISH) | WILL },
	[KMQTT_P_RESPONSE_TOPIC]	= { FORM_STRING, OF(PUBLISH) | WILL },
	[KMQTT_P_CORRELATION_DATA]	= { FORM_BINARY, OF(PUBLISH) | WILL },
	[KMQTT_P_SUBSCRIPTION_ID]	= { FORM_VARINT, OF(PUBLISH) | OF(SUBSCRIBE) },
	[KMQTT_P_SESSION_EXPIRY]	= { FORM_FOUR, OF(CONNECT) | OF(CONNACK) | OF(DISCONNECT) },
	[KMQTT_P_ASSIGNED_CLIENT_ID]	= { FORM_STRING, OF(CONNACK) },
	[KMQTT_P_SERVER_KEEP_ALIVE]	= { FORM_TWO, OF(CONNACK) },
	[KMQTT_P_AUTH_METHOD]		= { FORM_STRING, OF(CONNECT) | OF(CONNACK) | OF(AUTH) },
	[KMQTT_P_AUTH_DATA]		= { FORM_BINARY, OF(CONNECT) | OF(CONNACK) | OF(AUTH) },
	[KMQTT_P_REQUEST_PROBLEM_INFO]	= { FORM_BYTE, OF(CONNECT) },
	[KMQTT_P_WILL_DELAY]		= { FORM_FOUR, WILL },
	[KMQTT_P_REQUEST_RESPONSE_INFO]	= { FORM_BYTE, OF(CONNECT) },
	[KMQTT_P_RESPONSE_INFO]		= { FORM_STRING, OF(CONNACK) },
	[KMQTT_P_SERVER_REFERENCE]	= { FORM_STRING, OF(CONNACK) | OF(DISCONNECT) },
	[KMQTT_P_REASON_STRING]		= { FORM_STRING, OF(CONNACK) | OF_ACKS |
							 OF(DISCONNECT) | OF(AUTH) },
	[KMQTT_P_RECEIVE_MAX]		= { FORM_TWO, OF(CONNECT) | OF(CONNACK) },
	[KMQTT_P_TOPIC_ALIAS_MAX]	= { FORM_TWO, OF(CONNECT) | OF(CONNACK) },
	[KMQTT_P_TOPIC_ALIAS]		= { FORM_TWO, OF(PUBLISH) },
	[KMQTT_P_MAX_QOS]		= { FORM_BYTE, OF(CONNACK) },
	[KMQTT_P_RETAIN_AVAILABLE]	= { FORM_BYTE, OF(CONNACK) },
	[KMQTT_P_USER_PROPERTY]		= { FORM_PAIR, OF(CONNECT) | OF(CONNACK) | OF(PUBLISH) |
						       WILL | OF_ACKS | OF(SUBSCRIBE) |
						       OF(UNSUBSCRIBE) | OF(DISCONNECT) |
						       OF(AUTH) },
	[KMQTT_P_MAX_PACKET_SIZE]	= { FORM_FOUR, OF(CONNECT) | OF(CONNACK) },
	[KMQTT_P_WILDCARD_AVAILABLE]	= { FORM_BYTE, OF(CONNACK) },
	[KMQTT_P_SUBID_AVAILABLE]	= { FORM_BYTE, OF(CONNACK) },
	[KMQTT_P_SHARED_AVAILABLE]	= { FORM_BYTE, OF(CONNACK) },
};

#define PROP_LAST	KMQTT_P_SHARED_AVAILABLE

/* Take a string or binary data with its length off the list. */
static bool take_bytes(const __u8 **p, const __u8 *end, const __u8 **str, __u16 *len)
{
	if (end - *p < 2)
		return false;
	*len = kmqtt_get16(*p);
	*p += 2;
	if (end - *p < *len)
		return false;
	*str = *p;
	*p += *len;
	return true;
}

static bool take_number(const __u8 **p, const __u8 *end, __u8 form, __u32 *value)
{
	int n;

	switch (form) {
	case FORM_BYTE:
		if (end - *p < 1)
			return false;
		*value = **p;
		*p += 1;
		return true;
	case FORM_TWO:
		if (end - *p < 2)
			return false;
		*value = kmqtt_get16(*p);
		*p += 2;
		return true;
	case FORM_FOUR:
		if (end - *p < 4)
			return false;
		*value = kmqtt_get32(*p);
		*p += 4;
		return true;
	default:
		n = kmqtt_varint_get(*p, (size_t)(end - *p), value, NULL);
		if (n <= 0)
			return false;
		*p += n;
		return true;
	}
}

/* kmqtt_prop_next() without the look at UTF-8, for lists that had it. */
static int prop_take(const __u8 **p, const __u8 *end, struct kmqtt_prop *prop)
{
	const __u8 *q = *p;
	bool ok;
	__u8 form;

	if (q >= end)
		return 0;
	memset(prop, 0, sizeof(*prop));
	prop->raw = q;
	prop->id = *q++;
	form = prop->id <= PROP_LAST ? prop_table[prop->id].form : FORM_NONE;
	switch (form) {
	case FORM_NONE:
		return -EBADMSG;
	case FORM_STRING:
	case FORM_BINARY:
		ok = take_bytes(&q, end, &prop->str, &prop->str_len);
		break;
	case FORM_PAIR:
		ok = take_bytes(&q, end, &prop->str, &prop->str_len) &&
		     take_bytes(&q, end, &prop->val, &prop->val_len);
		break;
	default:
		ok = take_number(&q, end, form, &prop->value);
	}
	if (!ok)
		return -EBADMSG;
	prop->raw_len = (size_t)(q - prop->raw);
	*p = q;
	return 1;
}

int kmqtt_prop_next(const __u8 **p, const __u8 *end, struct kmqtt_prop *prop)
{
	const __u8 *start = *p;
	__u8 form;
	int ret;

	ret = prop_take(p, end, prop);
	if (ret <= 0)
		return ret;
	form = prop_table[prop->id].form;
	if (form != FORM_STRING && form != FORM_PAIR)
		return 1;
	if (kmqtt_utf8_valid(prop->str, prop->str_len) &&
	    (form != FORM_PAIR || kmqtt_utf8_valid(prop->val, prop->val_len)))
		return 1;
	*p = start;
	return -EBADMSG;
}

static int prop_range(const struct kmqtt_prop *prop)
{
	bool ok = true;

	switch (prop->id) {
	case KMQTT_P_PAYLOAD_FORMAT:
	case KMQTT_P_REQUEST_PROBLEM_INFO:
	case KMQTT_P_REQUEST_RESPONSE_INFO:
	case KMQTT_P_MAX_QOS:
	case KMQTT_P_RETAIN_AVAILABLE:
	case KMQTT_P_WILDCARD_AVAILABLE:
	case KMQTT_P_SUBID_AVAILABLE:
	case KMQTT_P_SHARED_AVAILABLE:
		ok = prop->value <= 1;
		break;
	case KMQTT_P_SUBSCRIPTION_ID:
	case KMQTT_P_RECEIVE_MAX:
	case KMQTT_P_MAX_PACKET_SIZE:
		ok = prop->value;
		break;
	case KMQTT_P_TOPIC_ALIAS:
		return prop->value ? 0 : KMQTT_RC_TOPIC_ALIAS_INVALID;
	case KMQTT_P_RESPONSE_TOPIC:
		ok = !memchr(prop->str, '+', prop->str_len) &&
		     !memchr(prop->str, '#', prop->str_len);
		break;
	}
	return ok ? 0 : KMQTT_RC_PROTOCOL_ERROR;
}

/* Judge one property; @seen has a bit for each identifier there was. */
static int prop_judge(const struct kmqtt_prop *prop, __u32 packet, __u64 *seen)
{
	__u64 bit = 1ULL << prop->id;

	/* "Not valid for its packet type" is malformed (2.2.2.2). */
	if (!(prop_table[prop->id].packets & packet))
		return KMQTT_RC_MALFORMED;
	if (*seen & bit && prop->id != KMQTT_P_USER_PROPERTY &&
	    !(prop->id == KMQTT_P_SUBSCRIPTION_ID && packet == OF(PUBLISH)))
		return KMQTT_RC_PROTOCOL_ERROR;
	*seen |= bit;
	return prop_range(prop);
}

/* Find the list behind its Property Length. */
static int props_find(const __u8 *buf, size_t len, const __u8 **props, __u32 *props_len)
{
	int n;

	n = kmqtt_varint_get(buf, len, props_len, NULL);
	if (n <= 0 || *props_len > len - (size_t)n)
		return KMQTT_RC_MALFORMED;
	*props = buf + n;
	return 0;
}

int kmqtt_props_check(const __u8 *buf, size_t len, __u32 packet,
		      const __u8 **props, __u32 *props_len)
{
	struct kmqtt_prop prop;
	const __u8 *p, *end;
	__u64 seen = 0;
	int ret;

	ret = props_find(buf, len, props, props_len);
	if (ret)
		return ret;
	p = *props;
	end = p + *props_len;
	while ((ret = kmqtt_prop_next(&p, end, &prop)) > 0) {
		ret = prop_judge(&prop, packet, &seen);
		if (ret)
			return ret;
	}
	if (ret)
		return KMQTT_RC_MALFORMED;
	if (seen & 1ULL << KMQTT_P_AUTH_DATA && !(seen & 1ULL << KMQTT_P_AUTH_METHOD))
		return KMQTT_RC_PROTOCOL_ERROR;
	return 0;
}

static bool prop_travels(__u8 id)
{
	return id != KMQTT_P_TOPIC_ALIAS && id != KMQTT_P_MESSAGE_EXPIRY &&
	       id != KMQTT_P_SUBSCRIPTION_ID;
}

static int publish_props(const __u8 *buf, size_t len, struct kmqtt_publish *pub)
{
	struct kmqtt_prop prop;
	const __u8 *p, *end;
	__u64 seen = 0;
	int ret;

	ret = props_find(buf, len, &pub->props, &pub->props_len);
	if (ret)
		return ret;
	p = pub->props;
	end = p + pub->props_len;
	while ((ret = kmqtt_prop_next(&p, end, &prop)) > 0) {
		ret = prop_judge(&prop, OF(PUBLISH), &seen);
		if (ret)
			return ret;
		if (prop_travels(prop.id))
			pub->props_travel = true;
		else
			pub->props_extra = true;
		if (prop.id == KMQTT_P_TOPIC_ALIAS) {
			pub->alias = (__u16)prop.value;
		} else if (prop.id == KMQTT_P_MESSAGE_EXPIRY) {
			pub->has_expiry = true;
			pub->expiry = prop.value;
		}
	}
	if (ret)
		return KMQTT_RC_MALFORMED;
	if (seen & 1ULL << KMQTT_P_SUBSCRIPTION_ID)	/* MQTT-3.3.4-6 */
		return KMQTT_RC_PROTOCOL_ERROR;
	return 0;
}

int kmqtt_publish_parse(const struct kmqtt_fixed *fix, const __u8 *body,
			__u8 level, struct kmqtt_publish *pub)
{
	const __u8 *p = body, *end = body + fix->remaining;
	int ret;

	memset(pub, 0, sizeof(*pub));
	pub->qos = fix->flags >> 1 & 3;
	pub->dup = fix->flags & 8;
	pub->retain = fix->flags & 1;
	if (pub->qos > 2 || (pub->dup && !pub->qos))
		return KMQTT_RC_MALFORMED;
	if (!take_bytes(&p, end, &pub->topic, &pub->topic_len))
		return KMQTT_RC_MALFORMED;
	if (pub->qos) {
		if (end - p < 2)
			return KMQTT_RC_MALFORMED;
		pub->packet_id = kmqtt_get16(p);
		p += 2;
		if (!pub->packet_id)
			return KMQTT_RC_PROTOCOL_ERROR;
	}
	if (level >= KMQTT_V5) {
		if (p < end && !*p) {		/* most have none */
			pub->props = p + 1;
		} else {
			ret = publish_props(p, (size_t)(end - p), pub);
			if (ret)
				return ret;
		}
		p = pub->props + pub->props_len;
	}
	if (pub->topic_len) {
		ret = kmqtt_topic_name_check(pub->topic, pub->topic_len);
		if (ret)
			return ret;
	} else if (!pub->alias) {
		return level >= KMQTT_V5 ? KMQTT_RC_PROTOCOL_ERROR :
					   KMQTT_RC_TOPIC_NAME_INVALID;
	}
	pub->payload = p;
	pub->payload_len = (__u32)(end - p);
	return 0;
}

__u32 kmqtt_props_travel_copy(__u8 *dst, const __u8 *props, __u32 len)
{
	const __u8 *p = props, *end;
	struct kmqtt_prop prop;
	__u32 n = 0;

	if (!len)		/* 3.x has not even a pointer */
		return 0;
	end = props + len;
	while (prop_take(&p, end, &prop) > 0) {
		if (!prop_travels(prop.id))
			continue;
		if (dst)
			memcpy(dst + n, prop.raw, prop.raw_len);
		n += (__u32)prop.raw_len;
	}
	return n;
}

/* Length of the properties of @out; 64 bits so that no sum can wrap. */
static __u64 out_props_len(const struct kmqtt_publish_out *out)
{
	__u64 len = out->props_len;
	unsigned int i;

	if (out->alias)
		len += 3;
	if (out->has_expiry)
		len += 5;
	for (i = 0; i < out->n_subids; i++)
		len += 1 + kmqtt_varint_len(out->subids[i]);
	return len;
}

/* Remaining Length of @out without its payload; ~0 if it has too much. */
static __u64 out_header_len(const struct kmqtt_publish_out *out, __u64 *props_len)
{
	__u64 len = 2 + (__u64)out->topic_len + (out->qos ? 2 : 0);

	*props_len = 0;
	if (out->level >= KMQTT_V5) {
		*props_len = out_props_len(out);
		if (*props_len > KMQTT_VARINT_MAX)
			return ~0ULL;
		len += kmqtt_varint_len((__u32)*props_len) + *props_len;
	}
	return len + out->payload_len > KMQTT_VARINT_MAX ? ~0ULL : len;
}

__u32 kmqtt_publish_hdr_len(const struct kmqtt_publish_out *out)
{
	__u64 props_len, len = out_header_len(out, &props_len);

	if (len > KMQTT_VARINT_MAX)
		return 0;
	return (__u32)(1 + kmqtt_varint_len((__u32)len + out->payload_len) + len);
}

static __u8 *put_props(__u8 *p, const struct kmqtt_publish_out *out, __u32 len)
{
	unsigned int i;

	p += kmqtt_varint_put(p, len);
	if (out->alias) {
		*p++ = KMQTT_P_TOPIC_ALIAS;
		p = kmqtt_put16(p, out->alias);
	}
	if (out->has_expiry) {
		*p++ = KMQTT_P_MESSAGE_EXPIRY;
		p = kmqtt_put32(p, out->expiry);
	}
	for (i = 0; i < out->n_subids; i++) {
		*p++ = KMQTT_P_SUBSCRIPTION_ID;
		p += kmqtt_varint_put(p, out->subids[i]);
	}
	if (out->props_len)
		memcpy(p, out->props, out->props_len);
	return p + out->props_len;
}

__u32 kmqtt_publish_put(__u8 *buf, const struct kmqtt_publish_out *out)
{
	__u64 props_len, len = out_header_len(out, &props_len);
	__u8 *p = buf;

	if (len > KMQTT_VARINT_MAX)
		return 0;
	*p++ = (__u8)(KMQTT_PUBLISH << 4 | out->dup << 3 | out->qos << 1 | out->retain);
	p += kmqtt_varint_put(p, (__u32)len + out->payload_len);
	p = kmqtt_put16(p, out->topic_len);
	if (out->topic_len)
		memcpy(p, out->topic, out->topic_len);
	p += out->topic_len;
	if (out->qos)
		p = kmqtt_put16(p, out->packet_id);
	if (out->level >= KMQTT_V5)
		p = put_props(p, out, (__u32)props_len);
	return (__u32)(p - buf);
}

/* Table 3-10, column "Sent by": what a client may send. */
static bool disconnect_reason_valid(__u8 reason)
{
	switch (reason) {
	case KMQTT_RC_SUCCESS:
	case KMQTT_RC_DISCONNECT_WITH_WILL:
	case KMQTT_RC_UNSPECIFIED:
	case KMQTT_RC_MALFORMED:
	case KMQTT_RC_PROTOCOL_ERROR:
	case KMQTT_RC_IMPLEMENTATION:
	case KMQTT_RC_TOPIC_NAME_INVALID:
	case KMQTT_RC_RECEIVE_MAX_EXCEEDED:
	case KMQTT_RC_TOPIC_ALIAS_INVALID:
	case KMQTT_RC_PACKET_TOO_LARGE:
	case KMQTT_RC_MESSAGE_RATE:
	case KMQTT_RC_QUOTA:
	case KMQTT_RC_ADMINISTRATIVE:
	case KMQTT_RC_PAYLOAD_FORMAT:
		return true;
	default:
		return false;
	}
}

int kmqtt_disconnect_parse(const __u8 *body, __u32 len, __u8 level, __u8 *reason,
			   __u32 *expiry)
{
	struct kmqtt_prop prop;
	const __u8 *props;
	__u32 props_len;
	int ret;

	*reason = KMQTT_RC_SUCCESS;
	*expiry = 0;
	if (!len)
		return 0;
	if (level < KMQTT_V5)
		return KMQTT_RC_MALFORMED;
	if (!disconnect_reason_valid(body[0]))
		return KMQTT_RC_PROTOCOL_ERROR;
	*reason = body[0];
	if (len == 1)
		return 0;
	ret = kmqtt_props_check(body + 1, len - 1, OF(DISCONNECT), &props, &props_len);
	if (ret)
		return ret;
	if (props + props_len != body + len)
		return KMQTT_RC_MALFORMED;
	while (prop_take(&props, body + len, &prop) > 0) {
		if (prop.id == KMQTT_P_SERVER_REFERENCE)	/* servers' only */
			return KMQTT_RC_PROTOCOL_ERROR;
		if (prop.id == KMQTT_P_SESSION_EXPIRY)
			*expiry = prop.value;
	}
	return 0;
}
