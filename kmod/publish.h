/* SPDX-License-Identifier: GPL-2.0 */
/* What is done with each packet of a client. */
#ifndef KMQTT_PUBLISH_H
#define KMQTT_PUBLISH_H

#include "frame.h"
#include "msg.h"
#include "route.h"

struct kmqtt_conn;
struct page;

/**
 * kmqtt_packet() - handle one whole packet
 * @conn: from whom
 * @fix: its fixed header
 * @frame: the packet, linear
 * @page: arena page it lies in, or %NULL
 * @pages: gathered pages it lies in, or %NULL; may be taken over
 *
 * Worker only.  Routes, answers, punts, or asks for the connection's end.
 */
void kmqtt_packet(struct kmqtt_conn *conn, const struct kmqtt_fixed *fix,
		  u8 *frame, struct page *page, struct kmqtt_pages *pages);

/* Close the connection for a packet that earns this reason code; worker only. */
void kmqtt_packet_fault(struct kmqtt_conn *conn, int reason);

/**
 * struct kmqtt_batch - PUBLISHes that can be routed in one look-up
 * @in: the frames; in.n is 0 if there are none
 * @pub: the first one
 */
struct kmqtt_batch {
	struct kmqtt_inbound in;
	struct kmqtt_publish pub;
};

/**
 * kmqtt_batch_add() - put a whole packet into a batch
 * @batch: the batch
 * @conn: from whom
 * @fix: its fixed header
 * @frame: the packet, behind those in the batch
 * @page: arena page it lies in
 *
 * Worker only.  QoS 0 without RETAIN and properties, small, with the topic of
 * those in the batch.
 * Return: false if it is not like that, or the batch is full.
 */
bool kmqtt_batch_add(struct kmqtt_batch *batch, struct kmqtt_conn *conn,
		     const struct kmqtt_fixed *fix, u8 *frame, struct page *page);

/*
 * The connection to which the one packet of a batch may go past all lists, if
 * that can take it; %NULL: it has to be handled as any other.  Under
 * rcu_read_lock(), by who has the worker of @conn, also in a softirq; neither
 * locks nor allocates.  The connection is valid in that RCU section.
 */
struct kmqtt_conn *kmqtt_batch_direct(const struct kmqtt_batch *batch,
				      struct kmqtt_conn *conn);
/* It has gone there: count it.  The batch is empty then. */
void kmqtt_batch_routed(struct kmqtt_batch *batch, struct kmqtt_conn *conn);

/*
 * Handle the packets of a batch, which is empty after that.  Worker only.
 * Returns false if they have to go through kmqtt_packet() one by one.
 */
bool kmqtt_batch_handle(struct kmqtt_batch *batch, struct kmqtt_conn *conn);

/* Forget the topic aliases of a connection; worker only. */
void kmqtt_alias_free(struct kmqtt_conn *conn);

#endif /* KMQTT_PUBLISH_H */
