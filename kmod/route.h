/* SPDX-License-Identifier: GPL-2.0 */
/* From a parsed PUBLISH to the transmit lists of its destinations. */
#ifndef KMQTT_ROUTE_H
#define KMQTT_ROUTE_H

#include <linux/types.h>
#include "frame.h"
#include "worker.h"

struct kmqtt_conn;
struct kmqtt_msg;
struct kmqtt_net;
struct kmqtt_pages;
struct page;

/* Larger frames become messages of their own instead of pinning arenas. */
#define KMQTT_RUN_MAX		(KMQTT_ARENA_SIZE / 4)

/**
 * struct kmqtt_inbound - QoS 0 PUBLISHes on their way through the kernel
 *
 * One, or several that differ in their payload only and have no properties.
 *
 * @src: who sent them
 * @pub: the first one, as parsed
 * @topic: with mount point
 * @topic_len: its length
 * @n: how many; several lie side by side in @page and are @verbatim
 * @frame: the whole frames, linear
 * @frame_len: length of all
 * @largest: length of the longest
 * @payload: bytes of all payloads
 * @page: arena page they lie in, or %NULL
 * @pages: gathered pages they lie in, or %NULL
 * @verbatim: they may go out byte for byte to their own protocol version
 */
struct kmqtt_inbound {
	struct kmqtt_conn *src;
	const struct kmqtt_publish *pub;
	const u8 *topic;
	u16 topic_len;
	u16 n;
	u8 *frame;
	u32 frame_len;
	u32 largest;
	u32 payload;
	struct page *page;
	struct kmqtt_pages *pages;
	bool verbatim;
};

/* Length of the variable header, which several have in common. */
static inline u32 kmqtt_inbound_vhdr(const struct kmqtt_inbound *in)
{
	return in->pub->payload - in->pub->topic + sizeof(__be16);
}

/*
 * Route @in; worker context.  Returns 0; -E2BIG if the topic's routes are too
 * many to walk here: the daemon has to route it; -EAGAIN if several can only be
 * routed one by one.
 */
int kmqtt_route_inbound(const struct kmqtt_inbound *in);

/*
 * The one connection that @in goes to as it is; %NULL if it is not that simple.
 * Worker context or softirq, under rcu_read_lock(); neither locks nor allocates.
 */
struct kmqtt_conn *kmqtt_route_one(const struct kmqtt_inbound *in);

/*
 * Route a message of the daemon; @src is whose it is, for No Local, or %NULL.
 * Process context.  Returns 0, -E2BIG, -ENOMEM.
 */
int kmqtt_route_msg(struct kmqtt_net *kn, struct kmqtt_msg *msg,
		    const struct kmqtt_conn *src);

#endif /* KMQTT_ROUTE_H */
