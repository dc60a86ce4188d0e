// SPDX-License-Identifier: GPL-2.0
/*
 * An mqttd that dies like by kill -9 at the n-th of its points: before and after
 * each batch of commands that it sends to the kernel, and each transaction that
 * its store commits.  n is MQTTD_CRASH_AT in the environment.
 *
 * And one whose disk stalls: as long as there is a file of the name that
 * MQTTD_STALL has, no transaction is committed.
 *
 * Linked with --wrap for the two functions, so that the daemon is the one that
 * ships.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "crash-points.h"

#define STALL_POLL_US	20000

static atomic_long points;

static void point(void)
{
	const char *at = getenv("MQTTD_CRASH_AT");

	if (at && atomic_fetch_add(&points, 1) + 1 == strtol(at, NULL, 10))
		kill(getpid(), SIGKILL);
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *addr, socklen_t addr_len)
{
	ssize_t n;

	point();
	n = __real_sendto(fd, buf, len, flags, addr, addr_len);
	point();
	return n;
}

int __wrap_store_db_commit(struct store_db *db, const struct store_batch *b, char *text)
{
	const char *stall = getenv("MQTTD_STALL");
	int rc;

	while (stall && !access(stall, F_OK))
		usleep(STALL_POLL_US);
	point();
	rc = __real_store_db_commit(db, b, text);
	point();
	return rc;
}
