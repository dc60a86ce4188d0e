/* SPDX-License-Identifier: GPL-2.0 */
/* What is done with each packet of a client. */
#ifndef KMQTT_PUBLISH_H
#define KMQTT_PUBLISH_H

#include "frame.h"
#include "msg.h"

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

/* Forget the topic aliases of a connection; worker only. */
void kmqtt_alias_free(struct kmqtt_conn *conn);

#endif /* KMQTT_PUBLISH_H */
