// SPDX-License-Identifier: GPL-2.0-or-later
/* A growable byte buffer, and allocation that cannot fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

static void out_of_memory(void)
{
	fputs("mqttbench: out of memory\n", stderr);
	exit(1);
}

void *xalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		out_of_memory();
	return p;
}

void buf_put(struct buf *b, const void *p, size_t len)
{
	if (!len)
		return;
	if (b->cap - b->len < len) {
		b->cap = 2 * b->cap + len;
		b->data = xrealloc(b->data, b->cap);
	}
	memcpy(b->data + b->len, p, len);
	b->len += len;
}

void buf_u8(struct buf *b, __u8 v)
{
	buf_put(b, &v, 1);
}

void buf_u16(struct buf *b, __u16 v)
{
	__u8 be[2] = { v >> 8, v };

	buf_put(b, be, 2);
}

void buf_str(struct buf *b, const char *s)
{
	size_t len = strlen(s);

	buf_u16(b, len);
	buf_put(b, s, len);
}

void buf_shift(struct buf *b, size_t len)
{
	b->len -= len;
	if (b->len)
		memmove(b->data, b->data + len, b->len);
}

void buf_free(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}
