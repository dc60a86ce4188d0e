// SPDX-License-Identifier: GPL-2.0
/*
 * CONNECT, SUBSCRIBE, UNSUBSCRIBE and acknowledgements: taken apart, every
 * truncation refused, and put together.
 */
#include "unit.h"

#include "client.h"
#include "cookie.h"
#include "frame.h"
#include "message.h"
#include "packet.h"
#include "will.h"

#define BYTES(s)	(s), sizeof(s) - 1

/* Will, user name and password, each with something to tell it by. */
#define CONNECT5 \
	"\0\4MQTT\5\xee\0\x0a" \
	"\x12\x11\0\0\0\x0a\x21\0\5\x27\0\0\4\0\x22\0\7\x17\0" \
	"\0\2id" \
	"\x0c\x18\0\0\0\3\2\0\0\0\4\1\1" \
	"\0\2wt\0\2wp" \
	"\0\1u\0\2pw"

static int parse(const char *bytes, size_t len, struct packet_connect *c)
{
	return packet_connect_parse(exact(bytes, len), len, c);
}

static void assert_str(const struct packet_str *s, const char *want)
{
	assert_int_equal(s->len, strlen(want));
	assert_memory_equal(s->p, want, s->len);
}

static void test_connect5(void **state)
{
	struct packet_connect c;
	size_t len;

	assert_int_equal(parse(BYTES(CONNECT5), &c), 0);
	assert_int_equal(c.level, 5);
	assert_true(c.clean && c.has_will && c.will_retain && !c.problem_info);
	assert_int_equal(c.will_qos, 1);
	assert_int_equal(c.keepalive, 10);
	assert_int_equal(c.session_expiry, 10);
	assert_int_equal(c.receive_max, 5);
	assert_int_equal(c.max_packet, 1024);
	assert_int_equal(c.alias_max, 7);
	assert_int_equal(c.will_delay, 3);
	assert_int_equal(c.will_expiry, 4);
	assert_str(&c.id, "id");
	assert_str(&c.will_topic, "wt");
	assert_str(&c.will_payload, "wp");
	assert_str(&c.username, "u");
	assert_str(&c.password, "pw");
	for (len = 0; len < sizeof(CONNECT5) - 1; len++)
		assert_int_not_equal(parse(CONNECT5, len, &c), 0);
	assert_int_equal(parse(CONNECT5 "x", sizeof(CONNECT5), &c), KMQTT_RC_MALFORMED);
}

struct connect_case {
	const char *bytes;
	size_t len;
	int reason;
	int level;
};

static void test_connect_cases(void **state)
{
	static const struct connect_case cases[] = {
		{ BYTES("\0\4MQTT\4\2\0\0\0\1a"), 0, 4 },
		{ BYTES("\0\6MQIsdp\3\2\0\0\0\1a"), 0, 3 },
		{ BYTES("\0\6MQIsdp\4\2\0\0\0\1a"), KMQTT_RC_UNSUPPORTED_VERSION, 0 },
		{ BYTES("\0\4MQTT\3\2\0\0\0\1a"), KMQTT_RC_UNSUPPORTED_VERSION, 0 },
		{ BYTES("\0\4MQTT\6\2\0\0\0\0\1a"), KMQTT_RC_UNSUPPORTED_VERSION, 0 },
		{ BYTES("\0\4MQTx\4\2\0\0\0\1a"), KMQTT_RC_PROTOCOL_ERROR, 0 },
		/* reserved flag: an error from 3.1.1 on */
		{ BYTES("\0\4MQTT\4\3\0\0\0\1a"), KMQTT_RC_MALFORMED, 4 },
		{ BYTES("\0\6MQIsdp\3\3\0\0\0\1a"), 0, 3 },
		/* will QoS 3; will QoS and RETAIN without a will */
		{ BYTES("\0\4MQTT\4\x1e\0\0\0\1a\0\1t\0\0"), KMQTT_RC_MALFORMED, 4 },
		{ BYTES("\0\4MQTT\4\x0a\0\0\0\1a"), KMQTT_RC_MALFORMED, 4 },
		{ BYTES("\0\4MQTT\4\x22\0\0\0\1a"), KMQTT_RC_MALFORMED, 4 },
		/* password without user name */
		{ BYTES("\0\4MQTT\4\x42\0\0\0\1a\0\1p"), KMQTT_RC_MALFORMED, 4 },
		{ BYTES("\0\4MQTT\5\x42\0\0\0\0\1a\0\1p"), 0, 5 },
		/* client id that is no UTF-8; will topic with a wildcard */
		{ BYTES("\0\4MQTT\4\2\0\0\0\1\xff"), KMQTT_RC_MALFORMED, 4 },
		{ BYTES("\0\4MQTT\4\6\0\0\0\1a\0\1#\0\0"), KMQTT_RC_TOPIC_NAME_INVALID, 4 },
		/* Receive Maximum 0 */
		{ BYTES("\0\4MQTT\5\2\0\0\3\x21\0\0\0\1a"), KMQTT_RC_PROTOCOL_ERROR, 5 },
	};
	struct packet_connect c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].bytes, cases[i].len, &c), cases[i].reason);
		assert_int_equal(c.level, cases[i].level);
	}
}

static int filters(__u8 type, __u8 level, const char *bytes, size_t len,
		   struct packet_filters *f, unsigned int *n)
{
	struct kmqtt_fixed fix = { .type = type, .remaining = (__u32)len };

	return packet_filters_parse(&fix, exact(bytes, len), level, f, n);
}

struct auth_case {
	const char *bytes;
	size_t len;
	int reason;
};

static void test_auth(void **state)
{
	static const struct auth_case cases[] = {
		{ BYTES("\x18\7\x15\0\1m\x16\0\0"), 0 },
		{ BYTES("\x19\x09\x15\0\1m\x16\0\2ab"), 0 },
		{ BYTES("\x19\x0b\x15\0\1m\x26\0\1k\0\1v"), 0 },
		/* success is the server's; without a method; data without method */
		{ BYTES(""), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\0\4\x15\0\1m"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\x20\4\x15\0\1m"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\x18"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\x18\0"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\x18\4\x16\0\1m"), KMQTT_RC_PROTOCOL_ERROR },
		/* twice; of another packet; cut short; longer than its properties */
		{ BYTES("\x18\x08\x15\0\1m\x15\0\1m"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\x18\7\x15\0\1m\x21\0\1"), KMQTT_RC_MALFORMED },
		{ BYTES("\x18\4\x15\0\2m"), KMQTT_RC_MALFORMED },
		{ BYTES("\x18\4\x15\0\1mx"), KMQTT_RC_MALFORMED },
	};
	struct packet_auth a;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(packet_auth_parse(exact(cases[i].bytes, cases[i].len),
						   cases[i].len, &a), cases[i].reason);
	assert_int_equal(packet_auth_parse(exact(cases[1].bytes, cases[1].len),
					   cases[1].len, &a), 0);
	assert_int_equal(a.reason, KMQTT_RC_REAUTHENTICATE);
	assert_str(&a.method, "m");
	assert_str(&a.data, "ab");
}

/* Length of the whole packet with a Reason String, if it got one. */
static size_t reason_string(const struct client *c, size_t len, bool needed)
{
	struct packet_buf b = { 0 }, props = { 0 };
	uint8_t fixed[256] = { 0 };

	packet_put_reason(&props, c, len, "why", needed);
	if (!props.len)
		return 0;
	packet_put(&b, fixed, len - 2);
	packet_put_props(&b, &props);
	packet_finish(&b, KMQTT_PUBACK, &len);
	packet_buf_free(&b);
	return len;
}

static void test_reason_string(void **state)
{
	struct client c = { .problem_info = true };
	struct packet_buf b = { 0 };
	size_t len, got;

	assert_true(reason_string(&c, 5, false) > 5);
	packet_put_reason(&b, &c, 5, NULL, true);
	assert_int_equal(b.len, 0);
	/* Never more than the client takes, but as much as it says, or nearly. */
	for (len = 5; len < 250; len++) {
		for (c.max_packet = 1; c.max_packet < 300; c.max_packet++) {
			got = reason_string(&c, len, false);
			assert_true(got <= c.max_packet);
			if (c.max_packet >= len + 12)
				assert_true(got);
		}
	}
	c = (struct client){ .problem_info = false };
	assert_int_equal(reason_string(&c, 5, false), 0);
	assert_true(reason_string(&c, 5, true));
}

static void test_ack_reasons(void **state)
{
	static const struct {
		uint8_t type, reason;
		bool valid;
	} cases[] = {
		{ KMQTT_PUBACK, 0x00, true }, { KMQTT_PUBACK, 0x10, true },
		{ KMQTT_PUBACK, 0x99, true }, { KMQTT_PUBACK, 0x92, false },
		{ KMQTT_PUBACK, 0x01, false }, { KMQTT_PUBREC, 0x97, true },
		{ KMQTT_PUBREC, 0x92, false }, { KMQTT_PUBREL, 0x92, true },
		{ KMQTT_PUBREL, 0x10, false }, { KMQTT_PUBCOMP, 0x92, true },
		{ KMQTT_PUBCOMP, 0x80, false }, { KMQTT_PUBCOMP, 0xff, false },
	};
	uint8_t reason;
	uint16_t id;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct kmqtt_fixed fix = { .type = cases[i].type, .remaining = 3 };
		const uint8_t body[] = { 0, 7, cases[i].reason };

		assert_int_equal(!packet_ack_parse(&fix, body, 5, &id, &reason),
				 cases[i].valid);
	}
}

static void test_subscribe(void **state)
{
	static const char packet[] = "\0\5\3\x0b\x80\1\0\1a\2\0\3b/c\x2d";
	struct packet_filters f;
	struct packet_filter one;
	unsigned int n;
	size_t len;

	assert_int_equal(filters(KMQTT_SUBSCRIBE, 5, BYTES(packet), &f, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(f.packet_id, 5);
	assert_int_equal(f.subid, 128);
	assert_true(packet_filters_next(&f, &one));
	assert_str(&one.filter, "a");
	assert_int_equal(one.options, 2);
	assert_true(packet_filters_next(&f, &one));
	assert_str(&one.filter, "b/c");
	assert_int_equal(one.options, 0x2d);
	assert_false(packet_filters_next(&f, &one));
	for (len = 0; len < sizeof(packet) - 1; len++) {
		/* After a whole filter the shorter packet is a good one. */
		if (len == 10)
			continue;
		assert_int_not_equal(filters(KMQTT_SUBSCRIBE, 5, packet, len, &f, &n), 0);
	}
}

static void test_subscribe_faults(void **state)
{
	struct packet_filters f;
	unsigned int n;

	assert_int_equal(filters(KMQTT_SUBSCRIBE, 4, BYTES("\0\0\0\1a\0"), &f, &n),
			 KMQTT_RC_MALFORMED);
	assert_int_equal(filters(KMQTT_SUBSCRIBE, 4, BYTES("\0\1"), &f, &n),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(filters(KMQTT_SUBSCRIBE, 4, BYTES("\0\1\0\1a\3"), &f, &n),
			 KMQTT_RC_MALFORMED);
	assert_int_equal(filters(KMQTT_SUBSCRIBE, 4, BYTES("\0\1\0\1a\4"), &f, &n),
			 KMQTT_RC_MALFORMED);
	assert_int_equal(filters(KMQTT_SUBSCRIBE, 5, BYTES("\0\1\0\0\1a\x40"), &f, &n),
			 KMQTT_RC_MALFORMED);
	assert_int_equal(filters(KMQTT_SUBSCRIBE, 5, BYTES("\0\1\0\0\1a\x30"), &f, &n),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(filters(KMQTT_SUBSCRIBE, 5, BYTES("\0\1\0\0\x0a$share/g/t\4"),
				 &f, &n), KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(filters(KMQTT_UNSUBSCRIBE, 4, BYTES("\0\1\0\1a"), &f, &n), 0);
	assert_int_equal(filters(KMQTT_UNSUBSCRIBE, 4, BYTES("\0\1\0\2a"), &f, &n),
			 KMQTT_RC_MALFORMED);
}

static int ack(__u8 level, const char *bytes, size_t len, uint16_t *id, uint8_t *reason)
{
	struct kmqtt_fixed fix = { .type = KMQTT_PUBREC, .remaining = (__u32)len };

	return packet_ack_parse(&fix, exact(bytes, len), level, id, reason);
}

static void test_ack(void **state)
{
	uint8_t buf[PACKET_ACK_MAX], reason;
	uint16_t id;

	assert_int_equal(ack(4, BYTES("\1\2"), &id, &reason), 0);
	assert_int_equal(id, 0x102);
	assert_int_equal(ack(5, BYTES("\1\2\x80"), &id, &reason), 0);
	assert_int_equal(reason, 0x80);
	assert_int_equal(ack(5, BYTES("\1\2\x80\0"), &id, &reason), 0);
	assert_int_equal(ack(4, BYTES("\1\2\x80"), &id, &reason), KMQTT_RC_MALFORMED);
	assert_int_equal(ack(5, BYTES("\1\2\0\0x"), &id, &reason), KMQTT_RC_MALFORMED);
	assert_int_equal(ack(5, BYTES("\0\0"), &id, &reason), KMQTT_RC_MALFORMED);
	assert_int_equal(ack(5, BYTES("\1"), &id, &reason), KMQTT_RC_MALFORMED);
	assert_int_equal(packet_ack_put(buf, KMQTT_PUBREL, 5, 0x102, 0x92), 5);
	assert_memory_equal(buf, "\x62\3\1\2\x92", 5);
	assert_int_equal(packet_ack_put(buf, KMQTT_PUBACK, 4, 0x102, 0x10), 4);
	assert_memory_equal(buf, "\x40\2\1\2", 4);
}

static void test_finish(void **state)
{
	struct packet_buf b = { 0 };
	const uint8_t *p;
	size_t len;
	int i;

	p = packet_finish(&b, KMQTT_PINGRESP, &len);
	assert_int_equal(len, 2);
	assert_memory_equal(p, "\xd0\0", 2);
	packet_buf_free(&b);
	for (i = 0; i < 200; i++)
		packet_put8(&b, (uint8_t)i);
	p = packet_finish(&b, KMQTT_SUBACK, &len);
	assert_int_equal(len, 203);
	assert_memory_equal(p, "\x90\xc8\1\0\1\2", 6);
	packet_buf_free(&b);
}

static void test_will(void **state)
{
	struct message_parts parts = {
		.mount = "m/", .topic = (const uint8_t *)"t", .topic_len = 1,
		.props = (const uint8_t *)"\1\1", .props_len = 2,
		.payload = (const uint8_t *)"pay", .payload_len = 3, .qos = 2, .retain = true,
	};
	struct will_terms terms = {
		.parts = &parts, .client_id = "c", .delay = 5, .expiry = 6, .has_expiry = 1,
	};
	struct will *w = will_new(&terms), *again;
	size_t len, len2, i;
	uint8_t *data = will_encode(w, &len), *data2;

	again = will_decode(data, len, "c");
	assert_non_null(again);
	assert_int_equal(will_delay(again), 5);
	data2 = will_encode(again, &len2);
	assert_int_equal(len, len2);
	assert_memory_equal(data, data2, len);
	for (i = 0; i < len - 3; i++)
		assert_null(will_decode(exact(data, i), i, "c"));
	free(data);
	free(data2);
	will_free(w);
	will_free(again);
}

static void test_cookie(void **state)
{
	struct cookie c = {
		.flags = COOKIE_F_NEW, .session_expiry = UINT32_MAX, .connect_expiry = 7,
		.window = 20, .connected_at = 0x123456789aULL, .auth_method = "METHOD",
	}, d = { 0 };
	uint8_t buf[COOKIE_MAX];
	size_t len;

	len = cookie_encode(&c, buf);
	assert_int_equal(len, COOKIE_BYTES + 6);
	assert_true(cookie_decode(&d, buf, len));
	assert_int_equal(d.flags, c.flags);
	assert_int_equal(d.session_expiry, c.session_expiry);
	assert_int_equal(d.connect_expiry, c.connect_expiry);
	assert_int_equal(d.window, c.window);
	assert_int_equal(d.connected_at, c.connected_at);
	assert_string_equal(d.auth_method, c.auth_method);
	assert_true(cookie_decode(&d, buf, COOKIE_BYTES));
	assert_string_equal(d.auth_method, "");
	assert_false(cookie_decode(&d, buf, COOKIE_BYTES - 1));
	assert_false(cookie_decode(&d, buf, COOKIE_MAX));
	buf[0]++;
	assert_false(cookie_decode(&d, buf, len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect5),
		cmocka_unit_test(test_connect_cases),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_reason_string),
		cmocka_unit_test(test_ack_reasons),
		cmocka_unit_test(test_subscribe),
		cmocka_unit_test(test_subscribe_faults),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_will),
		cmocka_unit_test(test_cookie),
	};

	return RUN(tests);
}
