/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An Application Message in the daemon: immutable and counted, shared by the
 * retained store, queues and deliveries.
 */
#ifndef MQTTD_MESSAGE_H
#define MQTTD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct message - an Application Message
 * @refs: references
 * @props_len: length of @props
 * @payload_len: length of @payload
 * @topic_len: length of @topic
 * @qos: as published
 * @retain: as published, for Retain As Published
 * @source: connection of the publisher, 0 = none
 * @store_id: where the store keeps it, 0 = nowhere; belongs to the store
 * @wait: what the store must have committed before anybody is shown it
 * @expires: clock_ms() when it expires, 0 = never
 * @retained: retain_clock() when it was stored there
 * @source_id: client id of the publisher, for No Local of retained messages,
 *	or NULL
 * @props: properties that travel on
 * @payload: payload
 * @topic: Topic Name with mount point, NUL-terminated; the others follow it
 */
struct message {
	unsigned int refs;
	uint32_t props_len;
	uint32_t payload_len;
	uint16_t topic_len;
	uint8_t qos;
	bool retain;
	uint64_t source;
	uint64_t store_id;
	uint64_t wait;
	uint64_t expires;
	uint64_t retained;
	const char *source_id;
	const uint8_t *props;
	const uint8_t *payload;
	char topic[];
};

/**
 * struct message_parts - what a message is made of
 *
 * The topic is @mount followed by @topic; @props are copied without those
 * that do not travel.
 *
 * @mount: prefix of the topic, or NULL
 * @topic: the rest of it
 * @topic_len: its length
 * @props: properties
 * @props_len: their length
 * @payload: payload, copied
 * @payload_len: its length
 * @source_id: client id of the publisher, or NULL
 * @expires: clock_ms() when it expires, 0 = never
 * @qos: QoS
 * @retain: RETAIN
 */
struct message_parts {
	const char *mount;
	const uint8_t *topic;
	size_t topic_len;
	const uint8_t *props;
	uint32_t props_len;
	const uint8_t *payload;
	uint32_t payload_len;
	const char *source_id;
	uint64_t expires;
	uint8_t qos;
	bool retain;
};

/*
 * Why there can be no such message: 0x90 if the topic is too long with its
 * mount point, 0x97 if the properties are or the memory limit is reached; else
 * 0.
 */
uint8_t message_refusal(const struct message_parts *parts);
/* Of parts that message_refusal() does not refuse. */
struct message *message_new(const struct message_parts *parts);
/* The last reference frees it. */
struct message *message_get(struct message *m);
void message_put(struct message *m);
/* Messages there are, and the bytes of their payloads. */
size_t message_count(void);
size_t message_payload_bytes(void);
/* Bytes it is charged with in queues. */
size_t message_size(const struct message *m);
/* @now: clock_ms() */
bool message_expired(const struct message *m, uint64_t now);

#endif /* MQTTD_MESSAGE_H */
