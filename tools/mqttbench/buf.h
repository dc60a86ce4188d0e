/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growable byte buffer for what is built before the measurement and for
 * the few bytes of answers sent during it.
 */
#ifndef MQTTBENCH_BUF_H
#define MQTTBENCH_BUF_H

#include <linux/types.h>
#include <stddef.h>

struct buf {
	__u8 *data;
	size_t len;
	size_t cap;
};

/* Memory or exit: a load generator short of memory has nothing to report. */
void *xalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);

void buf_put(struct buf *b, const void *p, size_t len);
void buf_u8(struct buf *b, __u8 v);
void buf_u16(struct buf *b, __u16 v);
/* Two bytes of length, then the bytes: a string or binary data of MQTT. */
void buf_str(struct buf *b, const char *s);
/* Drops the first @len bytes. */
void buf_shift(struct buf *b, size_t len);
void buf_free(struct buf *b);

#endif
