/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wills.
 */
#ifndef MQTTD_WILL_H
#define MQTTD_WILL_H

#include <stddef.h>
#include <stdint.h>

struct answer;
struct message_parts;
struct store_will;
struct will;

/* What a will is made of; @parts as in message_new(). */
struct will_terms {
	const struct message_parts *parts;
	const char *client_id;
	uint32_t delay;
	uint32_t expiry;
	uint8_t has_expiry;
};

/* Of parts that message_refusal() does not refuse. */
struct will *will_new(const struct will_terms *t);
void will_free(struct will *w);
/* Wills there are, and the bytes of their payloads. */
size_t will_count(void);
size_t will_payload_bytes(void);
/* Will Delay Interval, seconds. */
uint32_t will_delay(const struct will *w);
/*
 * Publish and free it; @a (may be NULL) goes out with it.  One on a topic that
 * clients may not publish to is dropped.
 */
void will_publish(struct will *w, const struct answer *a);

/* Put it into the store, to be published @at. */
void will_store(const struct will *w, const char *client_id, uint64_t at);
/* The one that was put there. */
struct will *will_load(const struct store_will *row);

/* The form in which the kernel keeps it for the next daemon. */
uint8_t *will_encode(const struct will *w, size_t *len);
/* NULL if @data makes no sense. */
struct will *will_decode(const uint8_t *data, size_t len, const char *client_id);

#endif /* MQTTD_WILL_H */
