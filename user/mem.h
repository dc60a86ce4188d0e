/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocation that does not fail.  Without memory the daemon ends; the kernel
 * keeps the connections and their QoS 0 traffic, and the next daemon takes
 * over from there.  That is a path which is tested anyway, unlike an unwind
 * from every small allocation.
 */
#ifndef MQTTD_MEM_H
#define MQTTD_MEM_H

#include <stddef.h>

/* Zeroed memory. */
void *mem_zalloc(size_t size);
void *mem_realloc(void *p, size_t size);
void *mem_dup(const void *p, size_t len);
/* Copy @len bytes and end them with a NUL. */
char *mem_strndup(const void *p, size_t len);

#endif /* MQTTD_MEM_H */
