/* SPDX-License-Identifier: GPL-2.0 */
/* A message with memory of its own, shared by the queues it waits in. */
#ifndef KMQTT_MSG_H
#define KMQTT_MSG_H

#include <linux/refcount.h>
#include <linux/types.h>

struct kmqtt_net;
struct page;

/**
 * struct kmqtt_pages - pages a large frame was gathered in
 * @pages: pages of compound ones, each of these whole, in a kvmalloc()ed array
 * @n: their number
 * @map: where they are mapped one after the other
 * @charged: bytes charged to the namespace for them
 */
struct kmqtt_pages {
	struct page **pages;
	u32 n;
	void *map;
	size_t charged;
};

/* Unmap, free and uncharge; process context that may sleep. */
void kmqtt_pages_free(struct kmqtt_net *kn, struct kmqtt_pages *p);

/**
 * struct kmqtt_msg - a PUBLISH
 *
 * Reference counted: one of its maker, one per queue entry.  The last put
 * frees it, in process context that may sleep (large ones are mapped pages).
 *
 * @ref: references
 * @kn: charged for it
 * @charged: bytes charged, @pages apart
 * @expires: CLOCK_BOOTTIME ns, with @has_expiry
 * @has_expiry: it has a Message Expiry Interval
 * @retain: for Retain As Published
 * @topic_len: length of @topic
 * @props_len: length of @props
 * @payload_len: length of @payload
 * @topic: with mount point
 * @props: properties that travel on
 * @payload: Application Message
 * @pages: memory of the payload, if it was gathered
 * @data: topic, properties and small payloads
 */
struct kmqtt_msg {
	refcount_t ref;
	struct kmqtt_net *kn;
	size_t charged;
	u64 expires;
	bool has_expiry;
	bool retain;
	u16 topic_len;
	u32 props_len;
	u32 payload_len;
	const u8 *topic;
	const u8 *props;
	const u8 *payload;
	struct kmqtt_pages pages;
	u8 data[];
};

/**
 * struct kmqtt_msg_src - what a message is made of
 * @topic: with mount point
 * @topic_len: its length
 * @props: properties; only those that travel on are copied
 * @props_len: their length
 * @payload: linear payload
 * @payload_len: its length
 * @pages: if it lies in gathered pages: the message takes them over
 * @has_expiry: @expiry counts from now
 * @expiry: nanoseconds
 * @retain: for Retain As Published
 */
struct kmqtt_msg_src {
	const u8 *topic;
	u16 topic_len;
	const u8 *props;
	u32 props_len;
	const u8 *payload;
	u32 payload_len;
	struct kmqtt_pages *pages;
	bool has_expiry;
	u64 expiry;
	bool retain;
};

/* Make a message; %NULL without memory or above the memory limit. */
struct kmqtt_msg *kmqtt_msg_new(struct kmqtt_net *kn,
				const struct kmqtt_msg_src *src, gfp_t gfp);

/* The caller has a reference.  Any context. */
static inline struct kmqtt_msg *kmqtt_msg_get(struct kmqtt_msg *msg)
{
	refcount_inc(&msg->ref);
	return msg;
}

/* %NULL is allowed.  Process context that may sleep. */
void kmqtt_msg_put(struct kmqtt_msg *msg);

/* Seconds of Message Expiry left; false if it has expired. */
bool kmqtt_msg_left(const struct kmqtt_msg *msg, u32 *left);

#endif /* KMQTT_MSG_H */
