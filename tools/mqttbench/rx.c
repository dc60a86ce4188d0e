// SPDX-License-Identifier: GPL-2.0-or-later
/* Frame boundaries, answers, and the few packets of a client's set-up. */
#include <string.h>

#include "clock.h"
#include "conn.h"
#include "frame.h"
#include "loop.h"
#include "rx.h"
#include "stamp.h"

/* What a step took: bytes used, 0 for "need more", or -1 after conn_fail(). */
#define RX_MORE		0
#define RX_DEAD		(-1)

static void rx_connack(struct conn *c, const __u8 *p, size_t len)
{
	struct connack ack;

	if (c->state != CONN_CONNACK || !frame_get_connack(p, len, c->level, &ack)) {
		conn_fail(c, "malformed or unexpected CONNACK");
		return;
	}
	if (ack.code) {
		conn_fail(c, "CONNACK 0x%02x (%s)", ack.code,
			  frame_reason(c->level, CONNACK, ack.code));
		return;
	}
	c->max_qos = ack.max_qos;
	c->receive_max = ack.receive_max;
	c->max_packet = ack.max_packet;
	if (ack.keepalive != 0xffff)
		loop_keepalive(c->loop, ack.keepalive);
	hist_add(&c->loop->connects, clock_now() - c->started);
	c->loop->connected++;
	if (c->filter) {
		c->state = CONN_SUBACK;
		frame_subscribe(&c->out, c->level, 1, c->filter, c->sub_qos);
		return;
	}
	conn_ready(c);
}

static void rx_suback(struct conn *c, const __u8 *p, size_t len)
{
	__u8 code;

	if (c->state != CONN_SUBACK || !frame_get_suback(p, len, c->level, &code))
		conn_fail(c, "malformed or unexpected SUBACK");
	else if (code >= 0x80)
		conn_fail(c, "SUBACK 0x%02x (%s) for %s", code,
			  frame_reason(c->level, SUBACK, code), c->filter);
	else if (code != c->sub_qos)
		conn_fail(c, "SUBACK grants QoS %u instead of %u", code, c->sub_qos);
	else
		conn_ready(c);
}

/* PUBACK, PUBREC, PUBREL, PUBCOMP: both directions of QoS 1 and 2. */
static void rx_ack(struct conn *c, enum packet_type type, const __u8 *p, size_t len)
{
	__u8 code = len > 2 && c->level == MQTT_5 ? p[2] : 0;

	if (len < 2 || (c->level != MQTT_5 && len != 2)) {
		conn_fail(c, "malformed PUBACK, PUBREC, PUBREL or PUBCOMP");
		return;
	}
	if (code >= 0x80 && type != PUBREL) {
		c->loop->refused++;
		loop_error(c->loop, "%s: PUBLISH answered with 0x%02x (%s)", c->id, code,
			   frame_reason(c->level, type, code));
	}
	if (type == PUBREL)
		frame_ack(&c->out, PUBCOMP, get_u16(p));
	else if (type == PUBREC && code < 0x80)
		frame_ack(&c->out, PUBREL, get_u16(p));
	else
		c->nacked++;
}

static void rx_control(struct conn *c, enum packet_type type, const __u8 *p, size_t len)
{
	switch (type) {
	case CONNACK:
		rx_connack(c, p, len);
		break;
	case SUBACK:
		rx_suback(c, p, len);
		break;
	case PUBACK:
	case PUBREC:
	case PUBREL:
	case PUBCOMP:
		rx_ack(c, type, p, len);
		break;
	case PINGRESP:
		c->pings_out = 0;
		break;
	case DISCONNECT:
		conn_fail(c, "broker sent DISCONNECT 0x%02x (%s)", len ? p[0] : 0,
			  frame_reason(c->level, DISCONNECT, len ? p[0] : 0));
		break;
	default:
		conn_fail(c, "unexpected packet type %u", type);
	}
}

/*
 * The head of a PUBLISH that has something to answer or to measure.
 * Returns the bytes of the frame that it had to see, or RX_MORE or RX_DEAD.
 */
static int rx_publish_head(struct conn *c, const __u8 *p, size_t len, size_t off, size_t total)
{
	__u8 qos = p[0] >> 1 & 3;
	__u16 packet_id = 0;
	__u32 props = 0;
	int n;

	if (len < off + 2)
		return RX_MORE;
	off += 2 + get_u16(p + off);
	if (qos) {
		if (len < off + 2)
			return RX_MORE;
		packet_id = get_u16(p + off);
		off += 2;
	}
	if (c->loop->latency) {
		if (c->level == MQTT_5) {
			n = len > off ? frame_varint(p + off, len - off, &props) : 0;
			if (n <= 0)
				return n ? RX_DEAD : RX_MORE;
			off += n + (size_t)props;
		}
		if (off + STAMP_LEN <= total) {
			if (len < off + STAMP_LEN)
				return RX_MORE;
			c->stamp = stamp_read(p + off);
			off += STAMP_LEN;
		}
	}
	if (off > total)
		return RX_DEAD;
	if (qos)
		frame_ack(&c->out, qos == 1 ? PUBACK : PUBREC, packet_id);
	return off;
}

static void rx_publish_whole(struct conn *c)
{
	c->nreceived++;
	if (c->stamp) {
		hist_add(&c->loop->latencies, clock_now() - c->stamp);
		c->stamp = 0;
	}
}

size_t rx_skip(struct conn *c, size_t len)
{
	if (len < c->skip) {
		c->skip -= len;
		return len;
	}
	len = c->skip;
	c->skip = 0;
	rx_publish_whole(c);
	return len;
}

/* One PUBLISH whose fixed header ends at @off; its payload may be cut off. */
static long rx_publish(struct conn *c, const __u8 *p, size_t len, size_t off, size_t total)
{
	int seen;

	if (p[0] & 6 || c->loop->latency) {
		/* Fields of a whole frame can be missing only if it is malformed. */
		seen = rx_publish_head(c, p, len, off, total);
		if (seen < 0 || (seen == RX_MORE && len >= total)) {
			conn_fail(c, "malformed PUBLISH");
			return RX_DEAD;
		}
		if (seen == RX_MORE)
			return RX_MORE;
	}
	c->big = total >= RX_BIG;
	if (total > len) {
		c->skip = total - len;
		return len;
	}
	rx_publish_whole(c);
	return total;
}

/* One packet, or what there is of it. Returns bytes used, RX_MORE or RX_DEAD. */
static long rx_frame(struct conn *c, const __u8 *p, size_t len)
{
	__u32 remaining;
	size_t total;
	int off;

	off = frame_header(p, len, &remaining);
	if (off < 0) {
		conn_fail(c, "malformed Remaining Length");
		return RX_DEAD;
	}
	if (!off)
		return RX_MORE;
	total = off + (size_t)remaining;
	if (p[0] >> 4 == PUBLISH)
		return rx_publish(c, p, len, off, total);
	if (total > len)
		return RX_MORE;
	rx_control(c, p[0] >> 4, p + off, remaining);
	return c->fd < 0 ? RX_DEAD : (long)total;
}

void rx_bytes(struct conn *c, const __u8 *p, size_t len)
{
	long used;

	if (c->skip) {
		used = rx_skip(c, len);
		p += used;
		len -= used;
	}
	while (len) {
		used = rx_frame(c, p, len);
		if (used == RX_DEAD)
			return;
		if (used == RX_MORE)
			break;
		p += used;
		len -= used;
	}
	if (len > RX_HEADROOM) {
		conn_fail(c, "packet head longer than %d bytes", RX_HEADROOM);
		return;
	}
	c->part_len = len;
	if (len) {
		c->part = xrealloc(c->part, len);
		memcpy(c->part, p, len);
	}
}
