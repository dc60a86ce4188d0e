/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocation that does not fail.  Without memory the daemon ends; the kernel
 * keeps the connections and their QoS 0 traffic, and the next daemon takes
 * over from there.  That is a path which is tested anyway, unlike an unwind
 * from every small allocation.
 */
#ifndef MQTTD_MEM_H
#define MQTTD_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory. */
void *mem_zalloc(size_t size);
void *mem_realloc(void *p, size_t size);
void *mem_dup(const void *p, size_t len);
/* Copy @len bytes and end them with a NUL. */
char *mem_strndup(const void *p, size_t len);

/*
 * What clients can make us keep for long (messages, subscriptions, sessions)
 * is charged.  Who takes it in looks first whether there is room.
 */
bool mem_room(size_t bytes);
void mem_charge(size_t bytes);
void mem_uncharge(size_t bytes);
size_t mem_charged(void);
/* Is more than three quarters of the limit charged? */
bool mem_scarce(void);
/* 0: the default of 256 MiB. */
void mem_limit(uint64_t bytes);
/* Log, once a second at most, that @what of client @id found no room. */
void mem_complain(const char *what, const char *id);

#endif /* MQTTD_MEM_H */
