/* SPDX-License-Identifier: GPL-2.0 */
/* From a parsed PUBLISH to the transmit lists of its destinations. */
#ifndef KMQTT_ROUTE_H
#define KMQTT_ROUTE_H

#include <linux/types.h>
#include "frame.h"

struct kmqtt_conn;
struct kmqtt_msg;
struct kmqtt_net;
struct kmqtt_pages;
struct page;

/**
 * struct kmqtt_inbound - a QoS 0 PUBLISH on its way through the kernel
 * @src: who sent it
 * @pub: as parsed
 * @topic: with mount point
 * @topic_len: its length
 * @frame: the whole frame, linear
 * @frame_len: its length
 * @page: arena page it lies in, or %NULL
 * @pages: gathered pages it lies in, or %NULL
 * @verbatim: it may go out byte for byte to its own protocol version
 */
struct kmqtt_inbound {
	struct kmqtt_conn *src;
	const struct kmqtt_publish *pub;
	const u8 *topic;
	u16 topic_len;
	u8 *frame;
	u32 frame_len;
	struct page *page;
	struct kmqtt_pages *pages;
	bool verbatim;
};

/*
 * Route @in; worker context.  Returns 0, or -E2BIG if the topic's routes are
 * too many to walk here: the daemon has to route it.
 */
int kmqtt_route_inbound(const struct kmqtt_inbound *in);

/*
 * Route a message of the daemon; @src is whose it is, for No Local, or %NULL.
 * Process context.  Returns 0, -E2BIG, -ENOMEM.
 */
int kmqtt_route_msg(struct kmqtt_net *kn, struct kmqtt_msg *msg,
		    const struct kmqtt_conn *src);

#endif /* KMQTT_ROUTE_H */
