// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzer of kmod/frame.c.  The first byte of the input chooses the protocol
 * level, the rest is a packet; what is accepted must survive being written
 * and parsed again, and each judgement must agree with a simpler one.
 */
#include "fuzz.h"
#include "frame.h"

/* More bytes never change a judgement that fewer allowed. */
static void check_fixed(const __u8 *buf, size_t len)
{
	struct kmqtt_fixed fix, again;
	int ret, part, ret31;
	size_t n;

	ret = kmqtt_fixed_parse(buf, len, &fix);
	ret31 = kmqtt_fixed_parse31(buf, len, &again);
	WANT(ret == ret31 || (ret == -EBADMSG && (buf[0] & 0xf) == 0xa));
	for (n = 0; n < len && n < KMQTT_FIXED_HDR_MAX; n++) {
		part = kmqtt_fixed_parse(buf, n, &again);
		if (part == -EAGAIN)
			continue;
		WANT(part == ret);
		if (ret)
			continue;
		WANT(n >= fix.hdr_len);
		WANT(again.remaining == fix.remaining && again.hdr_len == fix.hdr_len);
	}
	if (ret)
		return;
	WANT(fix.hdr_len >= 2 && fix.hdr_len <= KMQTT_FIXED_HDR_MAX && fix.hdr_len <= len);
	WANT(fix.remaining <= KMQTT_VARINT_MAX);
	WANT(fix.minimal == (fix.hdr_len == 1 + kmqtt_varint_len(fix.remaining)));
}

static void check_varint(const __u8 *buf, size_t len)
{
	__u32 value, strict;
	__u8 out[4];
	bool minimal;
	int n, m;

	n = kmqtt_varint_get(buf, len, &value, &minimal);
	m = kmqtt_varint_get(buf, len, &strict, NULL);
	if (n <= 0) {
		WANT(n == m);
		return;
	}
	WANT((size_t)n <= len && n <= 4);
	WANT(minimal ? m == n && strict == value : m == -EBADMSG);
	WANT(minimal == (kmqtt_varint_put(out, value) == (unsigned int)n));
	if (minimal)
		WANT(!memcmp(out, buf, (size_t)n));
}

/* A list that passed can be walked to its very end. */
static void check_props(const __u8 *buf, size_t len, __u32 packet)
{
	const __u8 *props, *p, *end;
	struct kmqtt_prop prop;
	size_t total = 0;
	__u32 props_len;
	int ret;

	ret = kmqtt_props_check(buf, len, packet, &props, &props_len);
	if (ret) {
		WANT(ret == KMQTT_RC_MALFORMED || ret == KMQTT_RC_PROTOCOL_ERROR ||
		     ret == KMQTT_RC_TOPIC_ALIAS_INVALID);
		return;
	}
	WANT(props > buf && props_len <= len - (size_t)(props - buf));
	p = props;
	end = props + props_len;
	while ((ret = kmqtt_prop_next(&p, end, &prop)) > 0) {
		WANT(prop.raw == props + total && *prop.raw == prop.id);
		total += prop.raw_len;
		WANT(p == props + total);
	}
	WANT(!ret && total == props_len);
}

static void check_same(const struct kmqtt_publish *a, const struct kmqtt_publish *b)
{
	WANT(a->qos == b->qos && a->dup == b->dup && a->retain == b->retain);
	WANT(a->packet_id == b->packet_id && a->alias == b->alias);
	WANT(a->has_expiry == b->has_expiry && a->expiry == b->expiry);
	WANT(a->topic_len == b->topic_len && !memcmp(a->topic, b->topic, a->topic_len));
	WANT(a->payload_len == b->payload_len);
	WANT(!a->payload_len || !memcmp(a->payload, b->payload, a->payload_len));
	WANT(a->props_travel == b->props_travel && a->props_extra == b->props_extra);
}

/* Write what was parsed, for a receiver of @level, and parse that. */
static void check_rewrite(const struct kmqtt_publish *pub, __u8 *travel, __u32 travel_len,
			  __u8 level)
{
	struct kmqtt_publish_out out = {
		.level = level, .qos = pub->qos, .dup = pub->dup, .retain = pub->retain,
		.has_expiry = pub->has_expiry, .topic = pub->topic,
		.topic_len = pub->topic_len, .packet_id = pub->packet_id,
		.alias = pub->alias, .expiry = pub->expiry, .props = travel,
		.props_len = travel_len, .payload_len = pub->payload_len,
	};
	struct kmqtt_publish again;
	struct kmqtt_fixed fix;
	__u32 len;
	__u8 *buf;

	len = kmqtt_publish_hdr_len(&out);
	WANT(len);
	buf = malloc(len + pub->payload_len);
	WANT(buf);
	WANT(kmqtt_publish_put(buf, &out) == len);
	if (pub->payload_len)
		memcpy(buf + len, pub->payload, pub->payload_len);
	WANT(!kmqtt_fixed_parse(buf, len, &fix));
	WANT(fix.minimal && fix.hdr_len + fix.remaining == len + pub->payload_len);
	WANT(!kmqtt_publish_parse(&fix, buf + fix.hdr_len, level, &again));
	if (level >= KMQTT_V5) {
		check_same(pub, &again);
		WANT(kmqtt_props_travel_copy(NULL, again.props, again.props_len) == travel_len);
	} else {
		WANT(again.topic_len == pub->topic_len && again.qos == pub->qos);
		WANT(again.packet_id == pub->packet_id);
		WANT(again.payload_len == pub->payload_len);
	}
	free(buf);
}

static void check_publish(const __u8 *buf, size_t len, __u8 level)
{
	struct kmqtt_publish pub;
	struct kmqtt_fixed fix;
	__u8 *travel;
	__u32 n;

	if (kmqtt_fixed_parse(buf, len, &fix) || fix.type != KMQTT_PUBLISH ||
	    fix.remaining > len - fix.hdr_len)
		return;
	if (kmqtt_publish_parse(&fix, buf + fix.hdr_len, level, &pub))
		return;
	WANT(pub.payload + pub.payload_len == buf + fix.hdr_len + fix.remaining);
	WANT(pub.topic_len || (level >= KMQTT_V5 && pub.alias));
	WANT(naive_utf8(pub.topic, pub.topic_len));
	WANT(!pub.topic_len || !memchr(pub.topic, '#', pub.topic_len));
	WANT(!pub.topic_len || !memchr(pub.topic, '+', pub.topic_len));
	WANT(!pub.qos == !pub.packet_id);

	n = kmqtt_props_travel_copy(NULL, pub.props, pub.props_len);
	WANT(n <= pub.props_len && pub.props_travel == !!n);
	WANT(pub.props_extra == (n != pub.props_len));
	travel = malloc(n);
	WANT(kmqtt_props_travel_copy(travel, pub.props, pub.props_len) == n);
	check_rewrite(&pub, travel, n, level);
	if (pub.topic_len)
		check_rewrite(&pub, travel, n, level == KMQTT_V5 ? KMQTT_V311 : KMQTT_V5);
	free(travel);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	unsigned int bit;
	__u8 level, reason;
	__u32 expiry;

	if (size < 2)
		return 0;
	level = KMQTT_V31 + *data++ % 3;
	size--;
	check_fixed(data, size);
	check_varint(data, size);
	for (bit = 1; bit <= 16; bit++)
		check_props(data, size, 1U << bit);
	check_publish(data, size, level);
	if (!kmqtt_disconnect_parse(data, (__u32)size, level, &reason, &expiry))
		WANT(level == KMQTT_V5 && reason == data[0]);
	WANT(kmqtt_utf8_valid(data, size) == naive_utf8(data, size));
	return 0;
}
