// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzer of user/packet.c, which takes apart what the kernel hands to the
 * daemon.  The first byte of the input chooses the protocol level, the second
 * is a packet's first, the rest its body.
 */
#include "fuzz.h"
#include "deliver.h"
#include "mem.h"
#include "packet.h"

/* What packet.c calls of the daemon. */
void *mem_realloc(void *p, size_t size)
{
	p = realloc(p, size);
	WANT(p);
	return p;
}

void deliver_answer(const struct answer *a)
{
	WANT(a->len == 4 || a->len == 5);
}

static bool inside(const struct packet_str *s, const __u8 *body, size_t len)
{
	return !s->p || (s->p >= body && s->len <= len &&
			 (size_t)(s->p - body) <= len - s->len);
}

/* A CONNECT ends where it says: nothing shorter or longer is one as well. */
static void check_connect(const __u8 *body, size_t len)
{
	struct packet_connect c, part;
	__u8 *copy;
	size_t n;
	int ret;

	ret = packet_connect_parse(body, len, &c);
	WANT(!c.level || (c.level >= KMQTT_V31 && c.level <= KMQTT_V5));
	if (ret)
		return;
	WANT(c.level && c.will_qos <= 2 && (c.receive_max || c.level < KMQTT_V5));
	WANT(inside(&c.id, body, len) && inside(&c.username, body, len));
	WANT(inside(&c.password, body, len) && inside(&c.will_topic, body, len));
	WANT(inside(&c.will_payload, body, len) && inside(&c.will_props, body, len));
	WANT(naive_utf8(c.id.p, c.id.len));
	WANT(c.has_will == !!c.will_topic.len);
	for (n = 0; n < len; n++)
		WANT(packet_connect_parse(body, n, &part));
	copy = malloc(len + 1);
	WANT(copy);
	memcpy(copy, body, len);
	copy[len] = 0;
	WANT(packet_connect_parse(copy, len + 1, &part) == KMQTT_RC_MALFORMED);
	free(copy);
}

static void check_filters(const struct kmqtt_fixed *fix, const __u8 *body, __u8 level)
{
	struct packet_filters f;
	struct packet_filter one;
	unsigned int n, counted = 0;
	const __u8 *p;

	if (packet_filters_parse(fix, body, level, &f, &n))
		return;
	WANT(n && f.packet_id && f.end == body + fix->remaining);
	WANT(f.subid <= KMQTT_VARINT_MAX && (!f.subid || level == KMQTT_V5));
	for (p = f.p; packet_filters_next(&f, &one); counted++) {
		WANT(one.filter.p == p + 2 && naive_utf8(one.filter.p, one.filter.len));
		WANT((one.options & 3) != 3 && (f.subscribe || !one.options));
		p += 2 + one.filter.len + f.subscribe;
		WANT(p == f.p);
	}
	WANT(p == f.end && counted == n);
}

/* What is understood can be written, and is then understood the same. */
static void check_ack(const struct kmqtt_fixed *fix, const __u8 *body, __u8 level)
{
	__u8 buf[PACKET_ACK_MAX], reason, again;
	__u16 id, id_again;
	struct kmqtt_fixed out;
	size_t len;

	if (packet_ack_parse(fix, body, level, &id, &reason))
		return;
	WANT(id && (!reason || level == KMQTT_V5));
	len = packet_ack_put(buf, fix->type, level, id, reason);
	WANT(!kmqtt_fixed_parse(buf, len, &out));
	WANT(out.type == fix->type && out.hdr_len + out.remaining == len);
	WANT(!packet_ack_parse(&out, buf + out.hdr_len, level, &id_again, &again));
	WANT(id == id_again && reason == again);
}

static void check_put(const __u8 *body, size_t len)
{
	struct packet_buf b = { 0 };
	struct kmqtt_fixed fix;
	const __u8 *p;
	size_t total;

	packet_put(&b, body, len / 2);
	packet_put(&b, body + len / 2, len - len / 2);
	p = packet_finish(&b, KMQTT_SUBACK, &total);
	WANT(!kmqtt_fixed_parse(p, total, &fix) && fix.type == KMQTT_SUBACK && fix.minimal);
	WANT(fix.remaining == len && fix.hdr_len + len == total);
	WANT(!memcmp(p + fix.hdr_len, body, len));
	packet_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	struct kmqtt_fixed fix = { 0 };
	__u8 level;

	if (size < 2)
		return 0;
	level = KMQTT_V31 + data[0] % 3;
	fix.type = data[1] >> 4;
	fix.flags = data[1] & 0xf;
	data += 2;
	size -= 2;
	fix.remaining = (__u32)size;
	fix.minimal = true;
	fix.hdr_len = (__u8)(1 + kmqtt_varint_len(fix.remaining));
	switch (fix.type) {
	case KMQTT_CONNECT:
		check_connect(data, size);
		break;
	case KMQTT_SUBSCRIBE:
	case KMQTT_UNSUBSCRIBE:
		check_filters(&fix, data, level);
		break;
	case KMQTT_PUBACK:
	case KMQTT_PUBREC:
	case KMQTT_PUBREL:
	case KMQTT_PUBCOMP:
		check_ack(&fix, data, level);
		break;
	default:
		check_put(data, size);
	}
	return 0;
}
