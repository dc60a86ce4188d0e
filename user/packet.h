/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control packets other than PUBLISH: taken apart and put together.
 */
#ifndef MQTTD_PACKET_H
#define MQTTD_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct client;

/**
 * struct packet_str - a string or binary data inside a packet
 * @p: NULL if it is absent
 * @len: its length
 */
struct packet_str {
	const uint8_t *p;
	size_t len;
};

/**
 * struct packet_connect - a CONNECT (3.1); pointers into the packet
 *
 * In 3.x the fields that only 5.0 has hold what 3.x means: @receive_max 65535,
 * @problem_info true, and 0 elsewhere.
 */
struct packet_connect {
	uint8_t level;
	bool clean;
	bool will_retain;
	bool has_will;
	bool has_will_expiry;
	bool problem_info;
	uint8_t will_qos;
	uint16_t keepalive;
	uint16_t receive_max;
	uint16_t alias_max;
	uint32_t max_packet;
	uint32_t session_expiry;
	uint32_t will_delay;
	uint32_t will_expiry;
	struct packet_str id;
	struct packet_str username;
	struct packet_str password;
	struct packet_str will_topic;
	struct packet_str will_payload;
	struct packet_str will_props;
	struct packet_str auth_method;
	struct packet_str auth_data;
};

/*
 * Return 0 or a reason code; KMQTT_RC_UNSUPPORTED_VERSION for a known protocol
 * name with a level we do not speak.  @c->level is set as far as it is known,
 * else 0.
 */
int packet_connect_parse(const uint8_t *body, size_t len, struct packet_connect *c);

/**
 * struct packet_filters - cursor over the payload of SUBSCRIBE or UNSUBSCRIBE
 * @p: next topic filter
 * @end: end of the packet
 * @subscribe: each filter is followed by its options
 * @packet_id: Packet Identifier
 * @subid: Subscription Identifier, 0 = none
 */
struct packet_filters {
	const uint8_t *p, *end;
	bool subscribe;
	uint8_t level;
	uint16_t packet_id;
	uint32_t subid;
};

/* The answer to more of them would not fit into A_ANSWER. */
#define PACKET_FILTERS_MAX	50000

/* One filter; @options as on the wire. */
struct packet_filter {
	struct packet_str filter;
	uint8_t options;
};

/* Judge the whole packet, count its filters.  0 or a reason code. */
int packet_filters_parse(const struct kmqtt_fixed *fix, const uint8_t *body,
			 uint8_t level, struct packet_filters *f, unsigned int *n);
/* The next filter of a packet that packet_filters_parse() passed. */
bool packet_filters_next(struct packet_filters *f, struct packet_filter *filter);

/* Length of the SUBACK or UNSUBACK to @n filters, without properties. */
size_t packet_suback_len(const struct packet_filters *f, unsigned int n);

/* PUBACK, PUBREC, PUBREL, PUBCOMP.  0 or a reason code of the fault. */
int packet_ack_parse(const struct kmqtt_fixed *fix, const uint8_t *body, uint8_t level,
		     uint16_t *packet_id, uint8_t *reason);

/**
 * struct packet_auth - an AUTH from a client (3.15); pointers into the packet
 * @reason: KMQTT_RC_CONTINUE_AUTHENTICATION or KMQTT_RC_REAUTHENTICATE
 * @method: Authentication Method
 * @data: Authentication Data, absent or not
 */
struct packet_auth {
	uint8_t reason;
	struct packet_str method;
	struct packet_str data;
};

/* 0 or a reason code. */
int packet_auth_parse(const uint8_t *body, size_t len, struct packet_auth *a);

#define PACKET_ACK_MAX	5
/* Write an acknowledgement of type @type; returns its length. */
size_t packet_ack_put(uint8_t buf[PACKET_ACK_MAX], uint8_t type, uint8_t level,
		      uint16_t packet_id, uint8_t reason);
/* A PUBREL on its own account; @again: of which one was sent before. */
void packet_send_pubrel(const struct client *c, uint16_t packet_id, bool again);

/**
 * struct packet_buf - a packet that is being put together
 *
 * Zero it to begin; packet_finish() puts the fixed header before what was
 * written; packet_buf_free() frees it.
 */
struct packet_buf {
	uint8_t *buf;
	size_t len, room;
};

/* Append to the body: bytes, integers, and a string after its length. */
void packet_put(struct packet_buf *b, const void *data, size_t len);
void packet_put8(struct packet_buf *b, uint8_t v);
void packet_put16(struct packet_buf *b, uint16_t v);
void packet_put32(struct packet_buf *b, uint32_t v);
void packet_put_varint(struct packet_buf *b, uint32_t v);
void packet_put_str(struct packet_buf *b, const char *s);
/*
 * A Reason String (NULL: none) as a property of a packet to @c, if the client
 * wants it (needed: not asked, 3.1.2.11.7) and the packet, otherwise of @len
 * bytes, still is no larger than it takes.
 */
void packet_put_reason(struct packet_buf *props, const struct client *c, size_t len,
		       const char *text, bool needed);
/* Append @props, which it frees, behind their length. */
void packet_put_props(struct packet_buf *b, struct packet_buf *props);
/* Returns the whole packet and its length. */
const uint8_t *packet_finish(struct packet_buf *b, uint8_t type, size_t *len);
void packet_buf_free(struct packet_buf *b);

#endif /* MQTTD_PACKET_H */
