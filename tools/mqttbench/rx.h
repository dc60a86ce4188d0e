/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client does with bytes that arrive: it finds frame boundaries and
 * looks into a PUBLISH only for what it has to answer or to measure.
 */
#ifndef MQTTBENCH_RX_H
#define MQTTBENCH_RX_H

#include <stddef.h>
#include <linux/types.h>

struct conn;

/*
 * Takes @len bytes; what is left of a cut-off head goes to c->part. The
 * connection may have been closed when this returns.
 */
void rx_bytes(struct conn *c, const __u8 *p, size_t len);

/* Takes up to @len bytes of the payload under way; returns how many. */
size_t rx_skip(struct conn *c, size_t len);

#endif
