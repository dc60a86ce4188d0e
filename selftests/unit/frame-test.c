// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of kmod/frame.c: every boundary of lengths, strings, properties
 * and packets.  Expectations are written down from the specification, not
 * computed with the code under test.
 */
#include "unit.h"
#include "frame.h"

/* Each length of a Variable Byte Integer begins and ends here (table 1-1). */
static const struct {
	__u32 value;
	size_t len;
	__u8 bytes[4];
} varints[] = {
	{ 0,		1, { 0x00 } },
	{ 1,		1, { 0x01 } },
	{ 127,		1, { 0x7f } },
	{ 128,		2, { 0x80, 0x01 } },
	{ 16383,	2, { 0xff, 0x7f } },
	{ 16384,	3, { 0x80, 0x80, 0x01 } },
	{ 2097151,	3, { 0xff, 0xff, 0x7f } },
	{ 2097152,	4, { 0x80, 0x80, 0x80, 0x01 } },
	{ 268435455,	4, { 0xff, 0xff, 0xff, 0x7f } },
};

static void varint_boundaries(void **state)
{
	__u8 buf[5];
	__u32 value;
	bool minimal;
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(varints); i++) {
		n = varints[i].len;
		memset(buf, 0xee, sizeof(buf));
		assert_int_equal(kmqtt_varint_len(varints[i].value), n);
		assert_int_equal(kmqtt_varint_put(buf, varints[i].value), n);
		assert_memory_equal(buf, varints[i].bytes, n);
		assert_int_equal(buf[n], 0xee);

		minimal = false;
		assert_int_equal(kmqtt_varint_get(exact(buf, n), n, &value, &minimal), n);
		assert_int_equal(value, varints[i].value);
		assert_true(minimal);
		assert_int_equal(kmqtt_varint_get(exact(buf, n), n, &value, NULL), n);
		while (n--)
			assert_int_equal(kmqtt_varint_get(exact(buf, n), n, &value, NULL), 0);
	}
}

static void varint_too_large(void **state)
{
	__u8 buf[5] = { 0 };

	assert_int_equal(kmqtt_varint_put(buf, 268435456), 0);
	assert_int_equal(kmqtt_varint_put(buf, UINT32_MAX), 0);
}

static void varint_fifth_byte(void **state)
{
	__u32 value;
	bool minimal;

	assert_int_equal(kmqtt_varint_get(exact("\xff\xff\xff\xff", 4), 4, &value, &minimal),
			 -EBADMSG);
	assert_int_equal(kmqtt_varint_get(exact("\x80\x80\x80\x80\x01", 5), 5, &value, &minimal),
			 -EBADMSG);
}

static void varint_not_minimal(void **state)
{
	static const struct {
		const char *bytes;
		int len;
		__u32 value;
	} t[] = {
		{ "\x80\x00", 2, 0 },
		{ "\xff\x00", 2, 127 },
		{ "\xff\x80\x00", 3, 127 },
		{ "\xff\xff\x00", 3, 16383 },
		{ "\x80\x80\x80\x00", 4, 0 },
		{ "\xff\xff\xff\x00", 4, 2097151 },
	};
	__u32 value;
	bool minimal;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		minimal = true;
		assert_int_equal(kmqtt_varint_get(exact(t[i].bytes, t[i].len), t[i].len,
						  &value, &minimal), t[i].len);
		assert_int_equal(value, t[i].value);
		assert_false(minimal);
		assert_int_equal(kmqtt_varint_get(exact(t[i].bytes, t[i].len), t[i].len,
						  &value, NULL), -EBADMSG);
	}
}

static void fixed_remaining_length(void **state)
{
	struct kmqtt_fixed fix;
	__u8 buf[5];
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(varints); i++) {
		n = varints[i].len + 1;
		buf[0] = 0x3d;		/* PUBLISH, DUP, QoS 2, RETAIN */
		memcpy(buf + 1, varints[i].bytes, 4);
		memset(&fix, 0xee, sizeof(fix.type));
		assert_int_equal(kmqtt_fixed_parse(exact(buf, n), n, &fix), 0);
		assert_int_equal(fix.type, KMQTT_PUBLISH);
		assert_int_equal(fix.flags, 0xd);
		assert_int_equal(fix.hdr_len, n);
		assert_int_equal(fix.remaining, varints[i].value);
		assert_true(fix.minimal);
		while (n--)
			assert_int_equal(kmqtt_fixed_parse(exact(buf, n), n, &fix), -EAGAIN);
	}
}

static void fixed_malformed_length(void **state)
{
	struct kmqtt_fixed fix;

	/* The fourth byte says that there is a fifth: enough to tell. */
	assert_int_equal(kmqtt_fixed_parse(exact("\x30\xff\xff\xff", 4), 4, &fix), -EAGAIN);
	assert_int_equal(kmqtt_fixed_parse(exact("\x30\xff\xff\xff\xff", 5), 5, &fix), -EBADMSG);
	assert_int_equal(kmqtt_fixed_parse(exact("\x30\x80\x80\x80\x80\x01", 6), 6, &fix),
			 -EBADMSG);
	assert_int_equal(kmqtt_fixed_parse31(exact("\x30\xff\xff\xff\xff\x7f", 6), 6, &fix),
			 -EBADMSG);
	/* Not minimal is not malformed here: the caller sees it. */
	assert_int_equal(kmqtt_fixed_parse(exact("\xc0\x80\x80\x00", 4), 4, &fix), 0);
	assert_int_equal(fix.remaining, 0);
	assert_int_equal(fix.hdr_len, 4);
	assert_false(fix.minimal);
}

static void fixed_first_byte(void **state)
{
	/* Table 2-2; every other first byte is malformed. */
	static const __u8 valid[] = {
		0x10, 0x20, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x38, 0x39, 0x3a, 0x3b,
		0x3c, 0x3d, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xa2, 0xb0, 0xc0, 0xd0,
		0xe0, 0xf0,
	};
	bool ok, ok31;
	struct kmqtt_fixed fix;
	__u8 buf[2] = { 0 };
	int byte;

	for (byte = 0; byte < 256; byte++) {
		buf[0] = (__u8)byte;
		ok = memchr(valid, byte, sizeof(valid));
		ok31 = ok || byte == 0x6a || byte == 0x8a || byte == 0xaa;
		assert_int_equal(kmqtt_fixed_parse(buf, 2, &fix), ok ? 0 : -EBADMSG);
		if (ok) {
			assert_int_equal(fix.type, byte >> 4);
			assert_int_equal(fix.flags, byte & 0xf);
		}
		assert_int_equal(kmqtt_fixed_parse(buf, 1, &fix), ok ? -EAGAIN : -EBADMSG);
		assert_int_equal(kmqtt_fixed_parse31(buf, 2, &fix), ok31 ? 0 : -EBADMSG);
		assert_int_equal(kmqtt_fixed_parse31(buf, 1, &fix), ok31 ? -EAGAIN : -EBADMSG);
	}
	assert_int_equal(kmqtt_fixed_parse(exact(buf, 0), 0, &fix), -EAGAIN);
	assert_int_equal(kmqtt_fixed_parse31(exact(buf, 0), 0, &fix), -EAGAIN);
}

/* @s at each offset from a word's begin, between ASCII and alone. */
static void utf8_expect(const __u8 *s, size_t len, bool valid)
{
	__u8 buf[64];
	size_t before, after;

	for (before = 0; before <= 17; before++) {
		for (after = 0; after <= 9; after++) {
			memset(buf, 'a', sizeof(buf));
			memcpy(buf + before, s, len);
			if (kmqtt_utf8_valid(exact(buf, before + len + after),
					     before + len + after) != valid)
				fail_msg("%02x.. (%zu bytes) at %zu is %svalid",
					 s[0], len, before, valid ? "not " : "");
		}
	}
}

#define VALID(s)	utf8_expect((const __u8 *)(s), sizeof(s) - 1, true)
#define INVALID(s)	utf8_expect((const __u8 *)(s), sizeof(s) - 1, false)

static void utf8_valid(void **state)
{
	assert_true(kmqtt_utf8_valid(exact("", 0), 0));
	VALID("a");
	VALID("\x01");
	VALID("\x7f");
	VALID("\xc2\x80");		/* U+0080, first of two bytes */
	VALID("\xdf\xbf");		/* U+07FF, last of two */
	VALID("\xe0\xa0\x80");		/* U+0800, first of three */
	VALID("\xed\x9f\xbf");		/* U+D7FF, before surrogates */
	VALID("\xee\x80\x80");		/* U+E000, after them */
	VALID("\xef\xbb\xbf");		/* U+FEFF is no mark here */
	VALID("\xef\xbf\xbf");		/* U+FFFF, a noncharacter */
	VALID("\xf0\x90\x80\x80");	/* U+10000, first of four */
	VALID("\xf4\x8f\xbf\xbf");	/* U+10FFFF, the last */
}

static void utf8_invalid(void **state)
{
	INVALID("\0");			/* U+0000 */
	INVALID("\xc0\x80");		/* overlong U+0000 */
	INVALID("\xc1\xbf");		/* overlong U+007F */
	INVALID("\xe0\x80\x80");
	INVALID("\xe0\x9f\xbf");	/* overlong U+07FF */
	INVALID("\xf0\x80\x80\x80");
	INVALID("\xf0\x8f\xbf\xbf");	/* overlong U+FFFF */
	INVALID("\xed\xa0\x80");	/* U+D800 */
	INVALID("\xed\xaf\xbf");
	INVALID("\xed\xb0\x80");
	INVALID("\xed\xbf\xbf");	/* U+DFFF */
	INVALID("\xed\xa0\x80\xed\xb0\x80");	/* a pair of them */
	INVALID("\xf4\x90\x80\x80");	/* U+110000 */
	INVALID("\xf5\x80\x80\x80");
	INVALID("\xf7\xbf\xbf\xbf");
	INVALID("\xf8\x88\x80\x80\x80");	/* five bytes */
	INVALID("\xfc\x84\x80\x80\x80\x80");
	INVALID("\xfe");
	INVALID("\xff");
	INVALID("\x80");		/* continuation alone */
	INVALID("\xbf");
	INVALID("\xc3\xa4\xa4");	/* one too many */
	INVALID("\xc2");		/* truncated */
	INVALID("\xe2\x82");
	INVALID("\xe2");
	INVALID("\xf0\x9f\x98");
	INVALID("\xf0\x9f");
	INVALID("\xf0");
	INVALID("\xc2\xc2\x80");	/* broken by another */
	INVALID("\xe2\x82\xe2\x82\xac");
}

static size_t encode(__u32 c, __u8 *s)
{
	if (c < 0x80) {
		s[0] = (__u8)c;
		return 1;
	}
	if (c < 0x800) {
		s[0] = (__u8)(0xc0 | c >> 6);
		s[1] = 0x80 | (c & 0x3f);
		return 2;
	}
	if (c < 0x10000) {
		s[0] = (__u8)(0xe0 | c >> 12);
		s[1] = 0x80 | (c >> 6 & 0x3f);
		s[2] = 0x80 | (c & 0x3f);
		return 3;
	}
	s[0] = (__u8)(0xf0 | c >> 18);
	s[1] = 0x80 | (c >> 12 & 0x3f);
	s[2] = 0x80 | (c >> 6 & 0x3f);
	s[3] = 0x80 | (c & 0x3f);
	return 4;
}

static void utf8_every_code_point(void **state)
{
	__u8 s[4];
	__u32 c;
	size_t n;

	for (c = 0; c <= 0x1fffff; c++) {
		n = encode(c, s);
		if (kmqtt_utf8_valid(s, n) !=
		    (c && !(c >= 0xd800 && c <= 0xdfff) && c <= 0x10ffff))
			fail_msg("U+%04X", c);
	}
}

/* No two or three bytes are valid but those that encode something. */
static void utf8_every_short_string(void **state)
{
	unsigned int valid[4] = { 0 };
	__u8 s[3];
	__u32 v;

	for (v = 0; v < 1 << 16; v++) {
		s[0] = (__u8)(v >> 8);
		s[1] = (__u8)v;
		valid[2] += kmqtt_utf8_valid(s, 2);
	}
	for (v = 0; v < 1 << 24; v++) {
		s[0] = (__u8)(v >> 16);
		s[1] = (__u8)(v >> 8);
		s[2] = (__u8)v;
		valid[3] += kmqtt_utf8_valid(s, 3);
	}
	/* 127 ASCII; 1920 of two bytes; 63488 less 2048 surrogates of three. */
	assert_int_equal(valid[2], 127 * 127 + 1920);
	assert_int_equal(valid[3], 127 * 127 * 127 + 2 * 127 * 1920 + 61440);
}

/* Packets, in bits as kmqtt_props_check() takes them. */
#define P(type)		(1U << (type))
#define WILL		P(16)
#define ANY		(P(1) | P(2) | P(3) | P(4) | P(5) | P(6) | P(7) | P(8) | P(9) | \
			 P(10) | P(11) | P(14) | P(15) | WILL)

enum form { NUMBER, STRING, BINARY, PAIR };

/* Table 2-4 and the sections it refers to, one valid example each. */
static const struct sample {
	__u8 id;
	__u32 packets;
	enum form form;
	__u32 value;
	size_t len;
	const char *bytes;
} samples[] = {
	{ 0x01, P(3) | WILL, NUMBER, 1, 2, "\x01\x01" },
	{ 0x02, P(3) | WILL, NUMBER, 0x01020304, 5, "\x02\x01\x02\x03\x04" },
	{ 0x03, P(3) | WILL, STRING, 0, 6, "\x03\x00\003a/b" },
	{ 0x08, P(3) | WILL, STRING, 0, 6, "\x08\x00\003r/t" },
	{ 0x09, P(3) | WILL, BINARY, 0, 5, "\x09\x00\x02\x00\xff" },
	{ 0x0b, P(3) | P(8), NUMBER, 268435455, 5, "\x0b\xff\xff\xff\x7f" },
	{ 0x11, P(1) | P(2) | P(14), NUMBER, UINT32_MAX, 5, "\x11\xff\xff\xff\xff" },
	{ 0x12, P(2), STRING, 0, 5, "\x12\x00\002id" },
	{ 0x13, P(2), NUMBER, 65535, 3, "\x13\xff\xff" },
	{ 0x15, P(1) | P(2) | P(15), STRING, 0, 4, "\x15\x00\001m" },
	{ 0x16, P(1) | P(2) | P(15), BINARY, 0, 4, "\x16\x00\x01\x80" },
	{ 0x17, P(1), NUMBER, 0, 2, "\x17\x00" },
	{ 0x18, WILL, NUMBER, 0, 5, "\x18\x00\x00\x00\x00" },
	{ 0x19, P(1), NUMBER, 1, 2, "\x19\x01" },
	{ 0x1a, P(2), STRING, 0, 3, "\x1a\x00\x00" },
	{ 0x1c, P(2) | P(14), STRING, 0, 4, "\x1c\x00\001s" },
	{ 0x1f, P(2) | P(4) | P(5) | P(6) | P(7) | P(9) | P(11) | P(14) | P(15),
	  STRING, 0, 5, "\x1f\x00\x02\xc3\xa4" },
	{ 0x21, P(1) | P(2), NUMBER, 1, 3, "\x21\x00\x01" },
	{ 0x22, P(1) | P(2), NUMBER, 0, 3, "\x22\x00\x00" },
	{ 0x23, P(3), NUMBER, 65535, 3, "\x23\xff\xff" },
	{ 0x24, P(2), NUMBER, 1, 2, "\x24\x01" },
	{ 0x25, P(2), NUMBER, 0, 2, "\x25\x00" },
	{ 0x26, ANY, PAIR, 0, 8, "\x26\x00\001k\x00\002vv" },
	{ 0x27, P(1) | P(2), NUMBER, 1, 5, "\x27\x00\x00\x00\x01" },
	{ 0x28, P(2), NUMBER, 1, 2, "\x28\x01" },
	{ 0x29, P(2), NUMBER, 1, 2, "\x29\x01" },
	{ 0x2a, P(2), NUMBER, 0, 2, "\x2a\x00" },
};

static int check(const void *bytes, size_t len, __u32 packet)
{
	const __u8 *props, *buf = exact(bytes, len);
	__u32 props_len;
	int ret;

	ret = kmqtt_props_check(buf, len, packet, &props, &props_len);
	if (!ret) {
		assert_true(props > buf && props - buf <= 4);
		assert_true(props_len <= len - (size_t)(props - buf));
	}
	return ret;
}

#define CHECK(s, packet)	check(s, sizeof(s) - 1, packet)

/* Authentication Data needs its Method before it. */
static size_t list_begin(__u8 *buf, __u8 id)
{
	if (id != 0x16)
		return 1;
	memcpy(buf + 1, "\x15\x00\001m", 4);
	return 5;
}

static void props_in_every_packet(void **state)
{
	__u8 buf[32];
	unsigned int bit;
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		n = list_begin(buf, samples[i].id);
		memcpy(buf + n, samples[i].bytes, samples[i].len);
		n += samples[i].len;
		buf[0] = (__u8)(n - 1);
		for (bit = 1; bit <= 16; bit++) {
			if (check(buf, n, 1U << bit) ==
			    (samples[i].packets & 1U << bit ? 0 : KMQTT_RC_MALFORMED))
				continue;
			fail_msg("property 0x%02x in packet %u", samples[i].id, bit);
		}
	}
}

static void props_unknown(void **state)
{
	__u8 buf[8] = { 7 };
	unsigned int id, bit;
	size_t i;

	for (id = 0; id < 256; id++) {
		for (i = 0; i < ARRAY_SIZE(samples) && samples[i].id != id; i++)
			;
		if (i < ARRAY_SIZE(samples))
			continue;
		buf[1] = (__u8)id;
		for (bit = 1; bit <= 16; bit++)
			assert_int_equal(check(buf, sizeof(buf), 1U << bit), KMQTT_RC_MALFORMED);
	}
}

static void props_twice(void **state)
{
	__u8 buf[32];
	unsigned int bit;
	size_t i, n, k;
	int want;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		n = list_begin(buf, samples[i].id);
		for (k = 0; k < 2; k++, n += samples[i].len)
			memcpy(buf + n, samples[i].bytes, samples[i].len);
		buf[0] = (__u8)(n - 1);
		for (bit = 1; bit <= 16; bit++) {
			if (!(samples[i].packets & 1U << bit))
				continue;
			want = KMQTT_RC_PROTOCOL_ERROR;
			if (samples[i].id == 0x26 || (samples[i].id == 0x0b && bit == 3))
				want = 0;
			assert_int_equal(check(buf, n, 1U << bit), want);
		}
	}
}

/* Cut anywhere, by the Property Length or by the end of the packet. */
static void props_cut(void **state)
{
	__u8 buf[32];
	__u32 packet;
	size_t i, n, cut;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		packet = samples[i].packets & -samples[i].packets;
		n = samples[i].len;
		memcpy(buf + 1, samples[i].bytes, n);
		for (cut = 1; cut < n; cut++) {
			buf[0] = (__u8)cut;
			assert_int_equal(check(buf, 1 + n, packet), KMQTT_RC_MALFORMED);
			assert_int_equal(check(buf, 1 + cut, packet), KMQTT_RC_MALFORMED);
			buf[0] = (__u8)n;
			assert_int_equal(check(buf, 1 + cut, packet), KMQTT_RC_MALFORMED);
		}
	}
}

static void props_length(void **state)
{
	const __u8 *props, *buf;
	__u32 len;

	assert_int_equal(CHECK("", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x01", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x03\x01\x01", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\xff\xff\xff\x7f\x01\x01", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x82\x00\x01\x01", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x80\x80\x80\x80\x00", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x80", P(3)), KMQTT_RC_MALFORMED);

	/* What follows the list is not looked at. */
	buf = exact("\x02\x01\x01\xff", 4);
	assert_int_equal(kmqtt_props_check(buf, 4, P(3), &props, &len), 0);
	assert_ptr_equal(props, buf + 1);
	assert_int_equal(len, 2);
	buf = exact("\x00", 1);
	assert_int_equal(kmqtt_props_check(buf, 1, P(8), &props, &len), 0);
	assert_ptr_equal(props, buf + 1);
	assert_int_equal(len, 0);
}

static void props_range(void **state)
{
	static const __u8 bools[] = { 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a };
	static const __u32 packets[] = { P(3), P(1), P(1), P(2), P(2), P(2), P(2), P(2) };
	__u8 buf[3] = { 2 };
	unsigned int v;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bools); i++) {
		buf[1] = bools[i];
		for (v = 0; v < 256; v++) {
			buf[2] = (__u8)v;
			assert_int_equal(check(buf, 3, packets[i]),
					 v <= 1 ? 0 : KMQTT_RC_PROTOCOL_ERROR);
		}
	}
	assert_int_equal(CHECK("\x02\x0b\x00", P(3)), KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(CHECK("\x02\x0b\x00", P(8)), KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(CHECK("\x02\x0b\x01", P(8)), 0);
	assert_int_equal(CHECK("\x06\x0b\x80\x80\x80\x80\x01", P(8)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x03\x0b\x81\x00", P(8)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x03\x21\x00\x00", P(1)), KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(CHECK("\x05\x27\x00\x00\x00\x00", P(1)), KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(CHECK("\x03\x23\x00\x00", P(3)), KMQTT_RC_TOPIC_ALIAS_INVALID);
	assert_int_equal(CHECK("\x06\x08\x00\003a/#", P(3)), KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(CHECK("\x06\x08\x00\003a/+", WILL), KMQTT_RC_PROTOCOL_ERROR);
}

static void props_auth_data_alone(void **state)
{
	static const __u32 packets[] = { P(1), P(2), P(15) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(packets); i++) {
		assert_int_equal(CHECK("\x04\x16\x00\x01\x80", packets[i]),
				 KMQTT_RC_PROTOCOL_ERROR);
		assert_int_equal(CHECK("\x07\x16\x00\x00\x15\x00\x01m", packets[i]), 0);
	}
}

static void props_strings(void **state)
{
	assert_int_equal(CHECK("\x04\x03\x00\x01\xff", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x04\x03\x00\x01\x00", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x07\x26\x00\x01\x00\x00\x01v", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x07\x26\x00\x01k\x00\x01\xff", P(3)), KMQTT_RC_MALFORMED);
	assert_int_equal(CHECK("\x05\x26\x00\x00\x00\x00", P(3)), 0);
	assert_int_equal(CHECK("\x04\x09\x00\x01\xff", P(3)), 0);
}

static void props_next(void **state)
{
	struct kmqtt_prop prop;
	const __u8 *p, *buf;
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		n = samples[i].len;
		buf = exact(samples[i].bytes, n);
		p = buf;
		assert_int_equal(kmqtt_prop_next(&p, buf + n, &prop), 1);
		assert_ptr_equal(p, buf + n);
		assert_int_equal(prop.id, samples[i].id);
		assert_ptr_equal(prop.raw, buf);
		assert_int_equal(prop.raw_len, n);
		assert_int_equal(prop.value, samples[i].value);
		if (samples[i].form == STRING || samples[i].form == BINARY) {
			assert_ptr_equal(prop.str, buf + 3);
			assert_int_equal(prop.str_len, n - 3);
		} else if (samples[i].form == PAIR) {
			assert_int_equal(prop.str_len, 1);
			assert_memory_equal(prop.str, "k", 1);
			assert_int_equal(prop.val_len, 2);
			assert_memory_equal(prop.val, "vv", 2);
		}
		assert_int_equal(kmqtt_prop_next(&p, buf + n, &prop), 0);
	}
	/* A malformed one leaves the cursor where it is. */
	buf = exact("\x03\x00\x01\xff", 4);
	p = buf;
	assert_int_equal(kmqtt_prop_next(&p, buf + 4, &prop), -EBADMSG);
	assert_ptr_equal(p, buf);
}

/* A PUBLISH, fixed header included; the result points into exact memory. */
static int publish(const void *bytes, size_t len, __u8 level, struct kmqtt_publish *pub)
{
	const __u8 *buf = exact(bytes, len);
	struct kmqtt_fixed fix;

	assert_int_equal(kmqtt_fixed_parse(buf, len, &fix), 0);
	assert_int_equal(fix.type, KMQTT_PUBLISH);
	assert_int_equal(fix.hdr_len + fix.remaining, len);
	memset(pub, 0xee, sizeof(*pub));
	return kmqtt_publish_parse(&fix, buf + fix.hdr_len, level, pub);
}

#define PUBLISH(s, level)	publish(s, sizeof(s) - 1, level, &pub)

static void publish_plain(void **state)
{
	struct kmqtt_publish pub;
	__u8 level;

	for (level = KMQTT_V31; level <= KMQTT_V311; level++) {
		assert_int_equal(PUBLISH("\x30\x07\x00\003a/bhi", level), 0);
		assert_int_equal(pub.topic_len, 3);
		assert_memory_equal(pub.topic, "a/b", 3);
		assert_int_equal(pub.payload_len, 2);
		assert_memory_equal(pub.payload, "hi", 2);
		assert_null(pub.props);
		assert_int_equal(pub.props_len, 0);
		assert_int_equal(pub.packet_id, 0);
		assert_int_equal(pub.qos, 0);
		assert_false(pub.dup || pub.retain || pub.has_expiry);
		assert_false(pub.props_travel || pub.props_extra);
		assert_int_equal(pub.alias, 0);
	}
	assert_int_equal(PUBLISH("\x30\x08\x00\003a/b\x00hi", KMQTT_V5), 0);
	assert_int_equal(pub.payload_len, 2);
	assert_memory_equal(pub.payload, "hi", 2);
	assert_non_null(pub.props);
	assert_int_equal(pub.props_len, 0);
	assert_false(pub.props_travel || pub.props_extra);

	/* Empty payloads. */
	assert_int_equal(PUBLISH("\x31\x03\x00\x01t", KMQTT_V311), 0);
	assert_int_equal(pub.payload_len, 0);
	assert_true(pub.retain);
	assert_int_equal(PUBLISH("\x30\x04\x00\x01t\x00", KMQTT_V5), 0);
	assert_int_equal(pub.payload_len, 0);
}

static void publish_qos(void **state)
{
	struct kmqtt_fixed fix = { .type = KMQTT_PUBLISH, .flags = 6, .remaining = 5 };
	struct kmqtt_publish pub;

	assert_int_equal(PUBLISH("\x32\x06\x00\x01t\x01\x02p", KMQTT_V311), 0);
	assert_int_equal(pub.qos, 1);
	assert_int_equal(pub.packet_id, 0x0102);
	assert_int_equal(pub.payload_len, 1);
	assert_false(pub.dup);
	assert_int_equal(PUBLISH("\x3d\x06\x00\x01t\xff\xff\x00", KMQTT_V5), 0);
	assert_int_equal(pub.qos, 2);
	assert_int_equal(pub.packet_id, 0xffff);
	assert_true(pub.dup && pub.retain);

	assert_int_equal(PUBLISH("\x38\x03\x00\x01t", KMQTT_V311), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x32\x05\x00\x01t\x00\x00", KMQTT_V311),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(PUBLISH("\x34\x06\x00\x01t\x00\x00\x00", KMQTT_V5),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(PUBLISH("\x32\x04\x00\x01t\x01", KMQTT_V311), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x32\x03\x00\x01t", KMQTT_V311), KMQTT_RC_MALFORMED);
	/* A caller that did not let kmqtt_fixed_parse() refuse QoS 3. */
	assert_int_equal(kmqtt_publish_parse(&fix, exact("\x00\x01t\x00\x01", 5), KMQTT_V311,
					     &pub), KMQTT_RC_MALFORMED);
}

static void publish_topic(void **state)
{
	struct kmqtt_publish pub;

	assert_int_equal(PUBLISH("\x30\x00", KMQTT_V311), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x01\x00", KMQTT_V311), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x03\x00\x02t", KMQTT_V311), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x02\xff\xff", KMQTT_V5), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x03\x00\x01\xff", KMQTT_V31), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x03\x00\x01\x00", KMQTT_V31), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x03\x00\x01#", KMQTT_V311), KMQTT_RC_TOPIC_NAME_INVALID);
	assert_int_equal(PUBLISH("\x30\x06\x00\003a/+\x00", KMQTT_V5),
			 KMQTT_RC_TOPIC_NAME_INVALID);
	assert_int_equal(PUBLISH("\x30\x02\x00\x00", KMQTT_V31), KMQTT_RC_TOPIC_NAME_INVALID);
	assert_int_equal(PUBLISH("\x30\x02\x00\x00", KMQTT_V311), KMQTT_RC_TOPIC_NAME_INVALID);
	assert_int_equal(PUBLISH("\x30\x03\x00\x00\x00", KMQTT_V5), KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(PUBLISH("\x30\x03\x00\x01t", KMQTT_V5), KMQTT_RC_MALFORMED);
}

/* A frame of @body bytes whose Topic Name has @topic_len bytes @fill. */
static int publish_long(size_t topic_len, int fill, size_t body, struct kmqtt_publish *pub)
{
	__u8 *buf = malloc(5 + body);
	size_t n = 1;
	int ret;

	assert_non_null(buf);
	buf[0] = 0x30;
	n += kmqtt_varint_put(buf + 1, (__u32)body);
	memset(buf + n, fill, body);
	kmqtt_put16(buf + n, (__u16)topic_len);
	ret = publish(buf, n + body, KMQTT_V311, pub);
	free(buf);
	return ret;
}

static void publish_longest_topic(void **state)
{
	struct kmqtt_publish pub;

	assert_int_equal(publish_long(65535, 'x', 65537, &pub), 0);
	assert_int_equal(pub.topic_len, 65535);
	assert_int_equal(pub.payload_len, 0);
	assert_int_equal(publish_long(65535, 'x', 65547, &pub), 0);
	assert_int_equal(pub.payload_len, 10);
	assert_int_equal(publish_long(65535, 'x', 65536, &pub), KMQTT_RC_MALFORMED);
	/* 200 separators make 201 levels. */
	assert_int_equal(publish_long(200, '/', 202, &pub), 0);
	assert_int_equal(publish_long(201, '/', 203, &pub), KMQTT_RC_TOPIC_NAME_INVALID);
	assert_int_equal(publish_long(65535, '/', 65537, &pub), KMQTT_RC_TOPIC_NAME_INVALID);
}

static void publish_props(void **state)
{
	struct kmqtt_publish pub;

	assert_int_equal(PUBLISH("\x30\x06\x00\x01t\x02\x01\x01", KMQTT_V5), 0);
	assert_int_equal(pub.props_len, 2);
	assert_memory_equal(pub.props, "\x01\x01", 2);
	assert_true(pub.props_travel);
	assert_false(pub.props_extra);
	assert_int_equal(pub.payload_len, 0);

	assert_int_equal(PUBLISH("\x30\x0a\x00\x01t\x05\x02\x00\x00\x01\x00p", KMQTT_V5), 0);
	assert_true(pub.has_expiry);
	assert_int_equal(pub.expiry, 256);
	assert_false(pub.props_travel);
	assert_true(pub.props_extra);
	assert_int_equal(pub.payload_len, 1);

	/* An expiry of 0 is one. */
	assert_int_equal(PUBLISH("\x30\x09\x00\x01t\x05\x02\x00\x00\x00\x00", KMQTT_V5), 0);
	assert_true(pub.has_expiry);
	assert_int_equal(pub.expiry, 0);

	assert_int_equal(PUBLISH("\x30\x09\x00\x01t\x05\x23\x00\x07\x01\x00", KMQTT_V5), 0);
	assert_int_equal(pub.alias, 7);
	assert_true(pub.props_travel && pub.props_extra);

	/* In 3.x the same bytes are payload. */
	assert_int_equal(PUBLISH("\x30\x06\x00\x01t\x02\x01\x01", KMQTT_V311), 0);
	assert_int_equal(pub.payload_len, 3);
}

static void publish_bad_props(void **state)
{
	struct kmqtt_publish pub;

	/* Only servers send Subscription Identifiers (MQTT-3.3.4-6). */
	assert_int_equal(PUBLISH("\x30\x06\x00\x01t\x02\x0b\x01", KMQTT_V5),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(PUBLISH("\x30\x06\x00\x01t\x03\x01\x01", KMQTT_V5), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x06\x00\x01t\x01\x01\x01", KMQTT_V5), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x06\x00\x01t\x02\x17\x01", KMQTT_V5), KMQTT_RC_MALFORMED);
	assert_int_equal(PUBLISH("\x30\x06\x00\x01t\x02\x01\x02", KMQTT_V5),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(PUBLISH("\x30\x08\x00\x01t\x04\x01\x01\x01\x01", KMQTT_V5),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(PUBLISH("\x30\x08\x00\x01t\x04\x08\x00\x01#", KMQTT_V5),
			 KMQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(PUBLISH("\x30\x08\x00\x01t\x04\x08\x00\x01\xff", KMQTT_V5),
			 KMQTT_RC_MALFORMED);
}

static void publish_alias(void **state)
{
	struct kmqtt_publish pub;

	assert_int_equal(PUBLISH("\x30\x07\x00\x00\x03\x23\x00\x01p", KMQTT_V5), 0);
	assert_int_equal(pub.topic_len, 0);
	assert_int_equal(pub.alias, 1);
	assert_int_equal(PUBLISH("\x30\x07\x00\x00\x03\x23\xff\xffp", KMQTT_V5), 0);
	assert_int_equal(pub.alias, 65535);
	assert_int_equal(PUBLISH("\x30\x06\x00\x00\x03\x23\x00\x00", KMQTT_V5),
			 KMQTT_RC_TOPIC_ALIAS_INVALID);
	assert_int_equal(PUBLISH("\x30\x07\x00\x01t\x03\x23\x00\x00", KMQTT_V5),
			 KMQTT_RC_TOPIC_ALIAS_INVALID);
	assert_int_equal(PUBLISH("\x30\x0a\x00\x01t\x06\x23\x00\x01\x23\x00\x01", KMQTT_V5),
			 KMQTT_RC_PROTOCOL_ERROR);
	/* With an alias a name is judged all the same. */
	assert_int_equal(PUBLISH("\x30\x07\x00\x01+\x03\x23\x00\x01", KMQTT_V5),
			 KMQTT_RC_TOPIC_NAME_INVALID);
}

static void travel_copy(void **state)
{
	/* Format, alias, user, expiry, identifier, correlation, user, identifier. */
	static const char in[] =
		"\x01\x01\x23\x00\x07\x26\x00\x01k\x00\x01v\x02\x00\x00\x00\x09\x0b\x05"
		"\x09\x00\x01\xff\x26\x00\x01k\x00\x01w\x0b\x80\x01";
	static const char want[] =
		"\x01\x01\x26\x00\x01k\x00\x01v\x09\x00\x01\xff\x26\x00\x01k\x00\x01w";
	const size_t len = sizeof(want) - 1;
	__u8 *out = malloc(len);

	assert_non_null(out);
	assert_int_equal(kmqtt_props_travel_copy(NULL, exact(in, sizeof(in) - 1), sizeof(in) - 1),
			 len);
	assert_int_equal(kmqtt_props_travel_copy(out, exact(in, sizeof(in) - 1), sizeof(in) - 1),
			 len);
	assert_memory_equal(out, want, len);
	assert_int_equal(kmqtt_props_travel_copy(out, exact("\x23\x00\x01", 3), 3), 0);
	assert_int_equal(kmqtt_props_travel_copy(out, exact("", 0), 0), 0);
	free(out);
}

/* Write @out into memory of exactly its length and compare. */
static void put_expect(const struct kmqtt_publish_out *out, const char *want, size_t len)
{
	__u8 *buf = malloc(len);

	assert_non_null(buf);
	assert_int_equal(kmqtt_publish_hdr_len(out), len);
	assert_int_equal(kmqtt_publish_put(buf, out), len);
	assert_memory_equal(buf, want, len);
	free(buf);
}

#define PUT(out, s)	put_expect(out, s, sizeof(s) - 1)

static void put_publish(void **state)
{
	static const __u32 subids[] = { 1, 128, 268435455 };
	struct kmqtt_publish_out out = {
		.level = KMQTT_V311, .topic = (const __u8 *)"a/b", .topic_len = 3,
		.payload_len = 2,
	};

	PUT(&out, "\x30\x07\x00\003a/b");
	out.level = KMQTT_V5;
	PUT(&out, "\x30\x08\x00\003a/b\x00");
	out.qos = 2;
	out.dup = true;
	out.retain = true;
	out.packet_id = 0x1234;
	PUT(&out, "\x3d\x0a\x00\003a/b\x12\x34\x00");

	out.props = (const __u8 *)"\x01\x01";
	out.props_len = 2;
	out.subids = subids;
	out.n_subids = 3;
	out.has_expiry = true;
	out.expiry = 0x01020304;
	out.alias = 0x0506;
	PUT(&out, "\x3d\x1e\x00\003a/b\x12\x34\x14\x23\x05\x06\x02\x01\x02\x03\x04"
		  "\x0b\x01\x0b\x80\x01\x0b\xff\xff\xff\x7f\x01\x01");
	/* 3.x has no place for any of it. */
	out.level = KMQTT_V31;
	PUT(&out, "\x3d\x09\x00\003a/b\x12\x34");
}

static void put_without_topic(void **state)
{
	struct kmqtt_publish_out out = { .level = KMQTT_V5, .alias = 1 };

	PUT(&out, "\x30\x06\x00\x00\x03\x23\x00\x01");
}

/* The payload that makes the Remaining Length exactly that. */
static void put_remaining_length(void **state)
{
	struct kmqtt_publish_out out = {
		.level = KMQTT_V5, .topic = (const __u8 *)"t", .topic_len = 1,
	};
	__u8 buf[16];
	struct kmqtt_fixed fix;
	size_t i;

	for (i = 2; i < ARRAY_SIZE(varints); i++) {
		out.payload_len = varints[i].value - 4;
		assert_int_equal(kmqtt_publish_hdr_len(&out), 1 + varints[i].len + 4);
		assert_int_equal(kmqtt_publish_put(buf, &out), 1 + varints[i].len + 4);
		assert_memory_equal(buf + 1, varints[i].bytes, varints[i].len);
		assert_int_equal(kmqtt_fixed_parse(buf, 16, &fix), 0);
		assert_int_equal(fix.remaining, varints[i].value);
	}
	out.payload_len = 268435456 - 4;
	assert_int_equal(kmqtt_publish_hdr_len(&out), 0);
	assert_int_equal(kmqtt_publish_put(buf, &out), 0);
	out.payload_len = UINT32_MAX;
	assert_int_equal(kmqtt_publish_hdr_len(&out), 0);
	/* Properties alone can fill a packet: 2 + 1 + 4 bytes before them. */
	out.payload_len = 0;
	out.props_len = 268435455 - 7;
	assert_int_equal(kmqtt_publish_hdr_len(&out), 5 + 268435455);
	out.props_len++;
	assert_int_equal(kmqtt_publish_hdr_len(&out), 0);
	out.props_len = 268435456;
	assert_int_equal(kmqtt_publish_hdr_len(&out), 0);
	out.props_len = UINT32_MAX;
	assert_int_equal(kmqtt_publish_hdr_len(&out), 0);
	assert_int_equal(kmqtt_publish_put(buf, &out), 0);
}

/* The Property Length, too, changes its own length at 128. */
static void put_property_length(void **state)
{
	__u8 props[128], buf[160];
	struct kmqtt_publish_out out = {
		.level = KMQTT_V5, .topic = (const __u8 *)"t", .topic_len = 1, .props = props,
	};

	memset(props, 0, sizeof(props));
	out.props_len = 127;
	assert_int_equal(kmqtt_publish_put(buf, &out), 3 + 3 + 1 + 127);
	assert_memory_equal(buf, "\x30\x83\x01\x00\x01t\x7f", 7);
	out.props_len = 128;
	assert_int_equal(kmqtt_publish_put(buf, &out), 3 + 3 + 2 + 128);
	assert_memory_equal(buf, "\x30\x85\x01\x00\x01t\x80\x01", 8);
}

static int disconnect(const void *bytes, size_t len, __u8 level, __u8 *reason)
{
	__u32 expiry;

	*reason = 0xee;
	return kmqtt_disconnect_parse(exact(bytes, len), (__u32)len, level, reason, &expiry);
}

#define DISCONNECT(s, level)	disconnect(s, sizeof(s) - 1, level, &reason)

static void disconnect_short(void **state)
{
	__u8 reason, level;

	for (level = KMQTT_V31; level <= KMQTT_V5; level++) {
		assert_int_equal(DISCONNECT("", level), 0);
		assert_int_equal(reason, 0);
	}
	assert_int_equal(DISCONNECT("\x00", KMQTT_V31), KMQTT_RC_MALFORMED);
	assert_int_equal(DISCONNECT("\x00", KMQTT_V311), KMQTT_RC_MALFORMED);
	assert_int_equal(DISCONNECT("\x04", KMQTT_V5), 0);
	assert_int_equal(reason, 4);
	assert_int_equal(DISCONNECT("\x04\x00", KMQTT_V5), 0);
	assert_int_equal(reason, 4);
}

static void disconnect_reasons(void **state)
{
	/* Table 3-10, those a client may send. */
	static const __u8 valid[] = {
		0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
	};
	__u8 byte, reason;
	int v;

	for (v = 0; v < 256; v++) {
		byte = (__u8)v;
		assert_int_equal(disconnect(&byte, 1, KMQTT_V5, &reason),
				 memchr(valid, v, sizeof(valid)) ? 0 : KMQTT_RC_PROTOCOL_ERROR);
	}
}

static void disconnect_expiry(void **state)
{
	static const __u8 with[] = { 0x00, 0x05, 0x11, 0x12, 0x34, 0x56, 0x78 };
	__u32 expiry = 1;
	__u8 reason;

	assert_int_equal(kmqtt_disconnect_parse(with, 1, KMQTT_V5, &reason, &expiry), 0);
	assert_int_equal(expiry, 0);
	assert_int_equal(kmqtt_disconnect_parse(with, sizeof(with), KMQTT_V5, &reason,
						&expiry), 0);
	assert_int_equal(expiry, 0x12345678);
}

static void disconnect_props(void **state)
{
	__u8 reason;

	assert_int_equal(DISCONNECT("\x00\x05\x11\x00\x00\x00\x01", KMQTT_V5), 0);
	assert_int_equal(DISCONNECT("\x00\x04\x1f\x00\x01r", KMQTT_V5), 0);
	assert_int_equal(DISCONNECT("\x00\x00\x00", KMQTT_V5), KMQTT_RC_MALFORMED);
	assert_int_equal(DISCONNECT("\x00\x01", KMQTT_V5), KMQTT_RC_MALFORMED);
	assert_int_equal(DISCONNECT("\x00\x02\x01\x01", KMQTT_V5), KMQTT_RC_MALFORMED);
	assert_int_equal(DISCONNECT("\x00\x0a\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01", KMQTT_V5),
			 KMQTT_RC_PROTOCOL_ERROR);
	/* Only servers refer to servers. */
	assert_int_equal(DISCONNECT("\x00\x04\x1c\x00\x01s", KMQTT_V5), KMQTT_RC_PROTOCOL_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varint_boundaries),
		cmocka_unit_test(varint_too_large),
		cmocka_unit_test(varint_fifth_byte),
		cmocka_unit_test(varint_not_minimal),
		cmocka_unit_test(fixed_remaining_length),
		cmocka_unit_test(fixed_malformed_length),
		cmocka_unit_test(fixed_first_byte),
		cmocka_unit_test(utf8_valid),
		cmocka_unit_test(utf8_invalid),
		cmocka_unit_test(utf8_every_code_point),
		cmocka_unit_test(utf8_every_short_string),
		cmocka_unit_test(props_in_every_packet),
		cmocka_unit_test(props_unknown),
		cmocka_unit_test(props_twice),
		cmocka_unit_test(props_cut),
		cmocka_unit_test(props_length),
		cmocka_unit_test(props_range),
		cmocka_unit_test(props_auth_data_alone),
		cmocka_unit_test(props_strings),
		cmocka_unit_test(props_next),
		cmocka_unit_test(publish_plain),
		cmocka_unit_test(publish_qos),
		cmocka_unit_test(publish_topic),
		cmocka_unit_test(publish_longest_topic),
		cmocka_unit_test(publish_props),
		cmocka_unit_test(publish_bad_props),
		cmocka_unit_test(publish_alias),
		cmocka_unit_test(travel_copy),
		cmocka_unit_test(put_publish),
		cmocka_unit_test(put_without_topic),
		cmocka_unit_test(put_remaining_length),
		cmocka_unit_test(put_property_length),
		cmocka_unit_test(disconnect_short),
		cmocka_unit_test(disconnect_reasons),
		cmocka_unit_test(disconnect_expiry),
		cmocka_unit_test(disconnect_props),
	};

	return RUN(tests);
}
