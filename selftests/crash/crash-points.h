/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What --wrap makes of the functions that crash-points.c stands before.
 */
#ifndef CRASH_POINTS_H
#define CRASH_POINTS_H

#include <sys/socket.h>

#include "store_priv.h"

ssize_t __real_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *addr, socklen_t addr_len);
ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *addr, socklen_t addr_len);
int __real_store_db_commit(struct store_db *db, const struct store_batch *b, char *text);
int __wrap_store_db_commit(struct store_db *db, const struct store_batch *b, char *text);

#endif /* CRASH_POINTS_H */
