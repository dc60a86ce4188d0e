/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * MQTT frames: pure functions over buffers.  Builds in the kernel and in
 * userspace (module, daemon, fuzzers, unit tests use the same file).
 *
 * Section numbers are those of MQTT 5.0 unless a version is named.  Functions
 * that judge input return 0 or the MQTT 5.0 reason code (2.4) that describes
 * the fault; the caller maps it to what its protocol version can say.
 * Nothing here allocates, sleeps or keeps a pointer.
 */
#ifndef KMQTT_FRAME_H
#define KMQTT_FRAME_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#endif

/* Control packet types (2.1.2). */
enum kmqtt_type {
	KMQTT_CONNECT = 1,
	KMQTT_CONNACK,
	KMQTT_PUBLISH,
	KMQTT_PUBACK,
	KMQTT_PUBREC,
	KMQTT_PUBREL,
	KMQTT_PUBCOMP,
	KMQTT_SUBSCRIBE,
	KMQTT_SUBACK,
	KMQTT_UNSUBSCRIBE,
	KMQTT_UNSUBACK,
	KMQTT_PINGREQ,
	KMQTT_PINGRESP,
	KMQTT_DISCONNECT,
	KMQTT_AUTH,
};

/* Protocol levels as sent in CONNECT. */
#define KMQTT_V31	3
#define KMQTT_V311	4
#define KMQTT_V5	5

/* Reason codes (2.4), the ones this product sends or compares. */
#define KMQTT_RC_SUCCESS			0x00
#define KMQTT_RC_DISCONNECT_WITH_WILL		0x04
#define KMQTT_RC_NO_MATCHING_SUBSCRIBERS	0x10
#define KMQTT_RC_NO_SUBSCRIPTION_EXISTED	0x11
#define KMQTT_RC_CONTINUE_AUTHENTICATION	0x18
#define KMQTT_RC_REAUTHENTICATE			0x19
#define KMQTT_RC_UNSPECIFIED			0x80
#define KMQTT_RC_MALFORMED			0x81
#define KMQTT_RC_PROTOCOL_ERROR			0x82
#define KMQTT_RC_IMPLEMENTATION			0x83
#define KMQTT_RC_UNSUPPORTED_VERSION		0x84
#define KMQTT_RC_CLIENT_ID			0x85
#define KMQTT_RC_BAD_CREDENTIALS		0x86
#define KMQTT_RC_NOT_AUTHORIZED			0x87
#define KMQTT_RC_SERVER_UNAVAILABLE		0x88
#define KMQTT_RC_SERVER_BUSY			0x89
#define KMQTT_RC_BANNED				0x8A
#define KMQTT_RC_SERVER_SHUTTING_DOWN		0x8B
#define KMQTT_RC_BAD_AUTH_METHOD		0x8C
#define KMQTT_RC_KEEP_ALIVE_TIMEOUT		0x8D
#define KMQTT_RC_SESSION_TAKEN_OVER		0x8E
#define KMQTT_RC_TOPIC_FILTER_INVALID		0x8F
#define KMQTT_RC_TOPIC_NAME_INVALID		0x90
#define KMQTT_RC_PACKET_ID_IN_USE		0x91
#define KMQTT_RC_PACKET_ID_NOT_FOUND		0x92
#define KMQTT_RC_RECEIVE_MAX_EXCEEDED		0x93
#define KMQTT_RC_TOPIC_ALIAS_INVALID		0x94
#define KMQTT_RC_PACKET_TOO_LARGE		0x95
#define KMQTT_RC_MESSAGE_RATE			0x96
#define KMQTT_RC_QUOTA				0x97
#define KMQTT_RC_ADMINISTRATIVE			0x98
#define KMQTT_RC_PAYLOAD_FORMAT			0x99
#define KMQTT_RC_RETAIN_NOT_SUPPORTED		0x9A
#define KMQTT_RC_QOS_NOT_SUPPORTED		0x9B
#define KMQTT_RC_SHARED_NOT_SUPPORTED		0x9E
#define KMQTT_RC_SUBID_NOT_SUPPORTED		0xA1
#define KMQTT_RC_WILDCARD_NOT_SUPPORTED		0xA2

/* Properties (2.2.2.2). */
#define KMQTT_P_PAYLOAD_FORMAT			0x01
#define KMQTT_P_MESSAGE_EXPIRY			0x02
#define KMQTT_P_CONTENT_TYPE			0x03
#define KMQTT_P_RESPONSE_TOPIC			0x08
#define KMQTT_P_CORRELATION_DATA		0x09
#define KMQTT_P_SUBSCRIPTION_ID			0x0B
#define KMQTT_P_SESSION_EXPIRY			0x11
#define KMQTT_P_ASSIGNED_CLIENT_ID		0x12
#define KMQTT_P_SERVER_KEEP_ALIVE		0x13
#define KMQTT_P_AUTH_METHOD			0x15
#define KMQTT_P_AUTH_DATA			0x16
#define KMQTT_P_REQUEST_PROBLEM_INFO		0x17
#define KMQTT_P_WILL_DELAY			0x18
#define KMQTT_P_REQUEST_RESPONSE_INFO		0x19
#define KMQTT_P_RESPONSE_INFO			0x1A
#define KMQTT_P_SERVER_REFERENCE		0x1C
#define KMQTT_P_REASON_STRING			0x1F
#define KMQTT_P_RECEIVE_MAX			0x21
#define KMQTT_P_TOPIC_ALIAS_MAX			0x22
#define KMQTT_P_TOPIC_ALIAS			0x23
#define KMQTT_P_MAX_QOS				0x24
#define KMQTT_P_RETAIN_AVAILABLE		0x25
#define KMQTT_P_USER_PROPERTY			0x26
#define KMQTT_P_MAX_PACKET_SIZE			0x27
#define KMQTT_P_WILDCARD_AVAILABLE		0x28
#define KMQTT_P_SUBID_AVAILABLE			0x29
#define KMQTT_P_SHARED_AVAILABLE		0x2A

#define KMQTT_VARINT_MAX	268435455U	/* 1.5.5 */
#define KMQTT_FIXED_HDR_MAX	5
#define KMQTT_TOPIC_MAX		65535U
#define KMQTT_TOPIC_LEVELS_MAX	201		/* 200 separators, as Mosquitto */

/* Bits of the "packet" argument of kmqtt_props_check(): 1 << type, and wills. */
#define KMQTT_PROPS_OF(type)	(1U << (type))
#define KMQTT_PROPS_OF_WILL	KMQTT_PROPS_OF(16)

/**
 * struct kmqtt_fixed - a fixed header (2.1)
 * @type: enum kmqtt_type
 * @flags: low four bits of the first byte
 * @hdr_len: bytes of the fixed header, 2-5
 * @minimal: the Remaining Length used as few bytes as possible
 * @remaining: Remaining Length
 */
struct kmqtt_fixed {
	__u8 type;
	__u8 flags;
	__u8 hdr_len;
	bool minimal;
	__u32 remaining;
};

/**
 * kmqtt_fixed_parse() - parse a fixed header
 * @buf: first byte of the packet
 * @len: bytes there are
 * @fix: result
 *
 * Checks the type (0 is malformed) and its flags (2.1.3), with PUBLISH QoS 3
 * malformed, and refuses a fifth length byte.
 * Return: 0; -EAGAIN if @len is too short to tell; else -EBADMSG.
 */
int kmqtt_fixed_parse(const __u8 *buf, size_t len, struct kmqtt_fixed *fix);
/*
 * The same for connections of level KMQTT_V31, where a repeated PUBREL,
 * SUBSCRIBE or UNSUBSCRIBE may have DUP set.
 */
int kmqtt_fixed_parse31(const __u8 *buf, size_t len, struct kmqtt_fixed *fix);

/* Write @value as a Variable Byte Integer; returns 1-4, or 0 if too large. */
unsigned int kmqtt_varint_put(__u8 *buf, __u32 value);
/* Bytes kmqtt_varint_put() would write. */
unsigned int kmqtt_varint_len(__u32 value);
/*
 * Read a Variable Byte Integer.  With %NULL for @minimal, as in properties,
 * non-minimal forms are malformed (1.5.5).  Returns bytes used, 0 if @len is
 * too short, -EBADMSG.
 */
int kmqtt_varint_get(const __u8 *buf, size_t len, __u32 *value, bool *minimal);

/* Well-formed UTF-8 Encoded String without U+0000 (1.5.4). */
bool kmqtt_utf8_valid(const __u8 *s, size_t len);

static inline __u16 kmqtt_get16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

static inline __u32 kmqtt_get32(const __u8 *p)
{
	return (__u32)p[0] << 24 | (__u32)p[1] << 16 | (__u32)p[2] << 8 | p[3];
}

static inline __u8 *kmqtt_put16(__u8 *p, __u16 v)
{
	p[0] = (__u8)(v >> 8);
	p[1] = (__u8)v;
	return p + 2;
}

static inline __u8 *kmqtt_put32(__u8 *p, __u32 v)
{
	p[0] = (__u8)(v >> 24);
	p[1] = (__u8)(v >> 16);
	p[2] = (__u8)(v >> 8);
	p[3] = (__u8)v;
	return p + 4;
}

/**
 * struct kmqtt_prop - one property
 * @id: KMQTT_P_*
 * @value: number, for the types byte, two byte, four byte, variable byte
 * @str: string, binary data, or key of a User Property
 * @str_len: its length
 * @val: value of a User Property
 * @val_len: its length
 * @raw: the whole property, identifier included
 * @raw_len: its length
 */
struct kmqtt_prop {
	__u8 id;
	__u32 value;
	const __u8 *str;
	__u16 str_len;
	const __u8 *val;
	__u16 val_len;
	const __u8 *raw;
	size_t raw_len;
};

/**
 * kmqtt_prop_next() - take the next property off a property list
 * @p: cursor into properties that kmqtt_props_check() passed, or any bytes
 * @end: their end
 * @prop: result
 *
 * Checks identifier, length and UTF-8.
 * Return: 1; 0 at the end; -EBADMSG if malformed.
 */
int kmqtt_prop_next(const __u8 **p, const __u8 *end, struct kmqtt_prop *prop);

/**
 * kmqtt_props_check() - find and judge the properties at @buf (2.2.2)
 * @buf: begins with the Property Length
 * @len: bytes left in the packet
 * @packet: KMQTT_PROPS_OF(type) or KMQTT_PROPS_OF_WILL
 * @props: result: first byte after the Property Length
 * @props_len: result: Property Length
 *
 * A property of another packet is malformed.  Duplicates (User Property and,
 * in PUBLISH, Subscription Identifier excepted), values outside their range
 * and Authentication Data without Method are Protocol Errors; Topic Alias 0 is
 * KMQTT_RC_TOPIC_ALIAS_INVALID.  Whether client or server sent it is not seen.
 * Return: 0 or a reason code.
 */
int kmqtt_props_check(const __u8 *buf, size_t len, __u32 packet,
		      const __u8 **props, __u32 *props_len);

/**
 * struct kmqtt_publish - a parsed PUBLISH (3.3); pointers into the frame
 * @topic: Topic Name, may be empty in 5.0 with an alias
 * @topic_len: its length
 * @packet_id: for QoS > 0
 * @qos: 0-2
 * @dup: DUP flag
 * @retain: RETAIN flag
 * @has_expiry: @expiry is present
 * @props_travel: some properties of @props travel on to subscribers
 * @props_extra: @props holds some that do not (alias, expiry): they must be
 *	copied with kmqtt_props_travel_copy() instead of passed as they are
 * @alias: Topic Alias, 0 = none
 * @expiry: Message Expiry Interval, seconds
 * @props: properties without their length; %NULL in 3.x
 * @props_len: their length
 * @payload: Application Message
 * @payload_len: its length
 */
struct kmqtt_publish {
	const __u8 *topic;
	__u16 topic_len;
	__u16 packet_id;
	__u8 qos;
	bool dup;
	bool retain;
	bool has_expiry;
	bool props_travel;
	bool props_extra;
	__u16 alias;
	__u32 expiry;
	const __u8 *props;
	__u32 props_len;
	const __u8 *payload;
	__u32 payload_len;
};

/**
 * kmqtt_publish_parse() - parse the variable header of a PUBLISH from a client
 * @fix: its fixed header
 * @body: first byte after the fixed header; @fix->remaining bytes
 * @level: protocol level
 * @pub: result
 *
 * Checks everything that depends on the packet alone: DUP at QoS 0, packet
 * identifier 0, topic (UTF-8, wildcards, empty without alias, more than
 * KMQTT_TOPIC_LEVELS_MAX levels), properties, Subscription Identifier from a
 * client, alias 0, Response Topic with wildcards.
 * Return: 0 or a reason code.
 */
int kmqtt_publish_parse(const struct kmqtt_fixed *fix, const __u8 *body,
			__u8 level, struct kmqtt_publish *pub);

/**
 * kmqtt_props_travel_copy() - copy the PUBLISH properties that travel on
 * @dst: room for @len bytes, or %NULL to count
 * @props: properties that kmqtt_publish_parse() passed
 * @len: their length
 *
 * All but Topic Alias, Message Expiry Interval and Subscription Identifier,
 * in their order (3.3.2.3).
 * Return: bytes copied or counted.
 */
__u32 kmqtt_props_travel_copy(__u8 *dst, const __u8 *props, __u32 len);

/**
 * struct kmqtt_publish_out - what a PUBLISH header is made of
 * @level: protocol level of the receiver
 * @qos: 0-2
 * @dup: DUP flag
 * @retain: RETAIN flag
 * @has_expiry: send @expiry
 * @topic: Topic Name; with @alias an empty one is allowed
 * @topic_len: its length
 * @packet_id: for QoS > 0
 * @alias: Topic Alias, 0 = none
 * @expiry: Message Expiry Interval
 * @subids: Subscription Identifiers
 * @n_subids: how many
 * @props: properties that travel on, encoded
 * @props_len: their length
 * @payload_len: length of the payload that will follow
 *
 * Everything that 3.x cannot carry is left out at @level 3 and 4.
 */
struct kmqtt_publish_out {
	__u8 level;
	__u8 qos;
	bool dup;
	bool retain;
	bool has_expiry;
	const __u8 *topic;
	__u16 topic_len;
	__u16 packet_id;
	__u16 alias;
	__u32 expiry;
	const __u32 *subids;
	unsigned int n_subids;
	const __u8 *props;
	__u32 props_len;
	__u32 payload_len;
};

/*
 * Length of the header (fixed and variable) that kmqtt_publish_put() writes,
 * or 0 if the packet would exceed the largest Remaining Length.
 */
__u32 kmqtt_publish_hdr_len(const struct kmqtt_publish_out *out);
/* Write the header; @buf has kmqtt_publish_hdr_len() bytes.  Returns its length. */
__u32 kmqtt_publish_put(__u8 *buf, const struct kmqtt_publish_out *out);

/**
 * kmqtt_disconnect_parse() - judge a DISCONNECT from a client (3.14)
 * @body: after the fixed header
 * @len: Remaining Length
 * @level: protocol level
 * @reason: result: its reason code, 0 if absent
 * @expiry: result: its Session Expiry Interval, 0 if absent
 * Return: 0 or a reason code.
 */
int kmqtt_disconnect_parse(const __u8 *body, __u32 len, __u8 level, __u8 *reason,
			   __u32 *expiry);

#endif /* KMQTT_FRAME_H */
