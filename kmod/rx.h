/* SPDX-License-Identifier: GPL-2.0 */
/* Receiving: bytes to frames, frames to routes, answers and punts. */
#ifndef KMQTT_RX_H
#define KMQTT_RX_H

#include <linux/types.h>

struct kmqtt_conn;

/* May the connection be read now (barrier, events, answers, state). */
bool kmqtt_rx_may_read(struct kmqtt_conn *conn);

/*
 * Read and handle what there is, up to a budget; worker only.  Ends early at
 * a barrier.  Faults and the peer's end become kmqtt_conn_close().
 */
void kmqtt_rx(struct kmqtt_conn *conn);
/*
 * The connection is to end because of what was received, and no later byte
 * counts, not even if the daemon asked for its end first.  Worker only.
 */
void kmqtt_rx_fault(struct kmqtt_conn *conn, u8 cause, u8 reason);
/* Read and throw away; true at the peer's end or an error.  Worker only. */
bool kmqtt_rx_discard(struct kmqtt_conn *conn);
/* Take @len bytes the daemon had read before ATTACH.  0, -ENOMEM. */
int kmqtt_rx_preload(struct kmqtt_conn *conn, const u8 *data, u32 len);
/* Give back all memory; worker, or before the connection is published. */
void kmqtt_rx_free(struct kmqtt_conn *conn);

#endif /* KMQTT_RX_H */
