/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of MQTT a load generator needs: encoders for what clients send,
 * frame boundaries and answers for what they get. Written apart from the
 * broker's codec on purpose, so that the two check each other.
 */
#ifndef MQTTBENCH_FRAME_H
#define MQTTBENCH_FRAME_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

enum packet_type {
	CONNECT = 1, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP,
	SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP,
	DISCONNECT, AUTH
};

/* Protocol levels as CONNECT carries them. */
#define MQTT_31		3
#define MQTT_311	4
#define MQTT_5		5

#define FRAME_HEADER_MAX	5

struct connect {
	const char *id;
	const char *username;
	const char *password;
	__u16 keepalive;
	__u8 level;
};

/* What of a CONNACK a client has to obey. */
struct connack {
	__u8 code;
	__u8 max_qos;
	__u16 receive_max;
	__u16 keepalive;	/* 0xffff: the server did not override */
	__u32 max_packet;	/* 0: no limit */
};

/* Where in a PUBLISH the fields lie that change from message to message. */
struct publish_layout {
	size_t len;
	size_t packet_id;	/* 0: QoS 0, there is none */
	size_t payload;
};

void frame_connect(struct buf *b, const struct connect *c);
void frame_subscribe(struct buf *b, __u8 level, __u16 packet_id,
		     const char *filter, __u8 qos);
void frame_publish(struct buf *b, __u8 level, const char *topic, __u8 qos,
		   size_t size, struct publish_layout *layout);
/* PUBACK, PUBREC, PUBREL or PUBCOMP with success. */
void frame_ack(struct buf *b, enum packet_type type, __u16 packet_id);
/* PINGREQ or DISCONNECT. */
void frame_bare(struct buf *b, enum packet_type type);

/* Both return false if the bytes are not such a packet's body. */
bool frame_get_connack(const __u8 *p, size_t len, __u8 level, struct connack *c);
bool frame_get_suback(const __u8 *p, size_t len, __u8 level, __u8 *code);

/* What a CONNACK, SUBACK, PUBACK, PUBREC or DISCONNECT code says in words. */
const char *frame_reason(__u8 level, enum packet_type type, __u8 code);

static inline __u16 get_u16(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

/*
 * A variable byte integer: returns its length, 0 if it goes on behind @len,
 * -1 if it has more than four bytes.
 */
static inline int frame_varint(const __u8 *p, size_t len, __u32 *v)
{
	unsigned int i;

	*v = 0;
	for (i = 0; i < 4; i++) {
		if (i == len)
			return 0;
		*v |= (__u32)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80))
			return i + 1;
	}
	return -1;
}

/* The fixed header: returns its length as frame_varint() does. */
static inline int frame_header(const __u8 *p, size_t len, __u32 *remaining)
{
	int n;

	if (len < 2)
		return 0;
	if (p[1] < 0x80) {
		*remaining = p[1];
		return 2;
	}
	n = frame_varint(p + 1, len - 1, remaining);
	return n > 0 ? n + 1 : n;
}

#endif
