/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: one thread, one epoll. It starts connections at the pace
 * and parallelism asked for and keeps them alive; what happens on them is
 * the scenario's.
 */
#ifndef MQTTBENCH_LOOP_H
#define MQTTBENCH_LOOP_H

#include <linux/types.h>
#include <netdb.h>
#include <stdbool.h>

#include "hist.h"
#include "macros.h"

struct conn;
struct options;

/* Room before the receive buffer for the cut-off head of a frame. */
#define RX_HEADROOM	8192
#define RX_SIZE		(256 * 1024)
/*
 * From this size on a payload is dropped in the kernel (MSG_TRUNC) instead
 * of copied, and reads stop short after a head.
 */
#define RX_BIG		(16 * 1024)
#define RX_HEAD		1024

struct loop {
	const struct options *opt;
	int epfd;
	struct addrinfo *addrs;
	struct addrinfo *addr;		/* the one that answered */
	__u64 now;
	__u8 *rx;			/* RX_HEADROOM + RX_SIZE bytes */

	struct conn **conns;		/* all there are */
	unsigned int nconns;
	struct conn *wait_head;		/* those to be started */
	struct conn *wait_tail;
	unsigned int starting;		/* those on the way to ready */
	unsigned int ready;
	__u64 start_interval;		/* between two starts, 0: at once */
	__u64 next_start;
	unsigned int keepalive;		/* the shortest of all, 0: none */
	__u64 next_ping;
	unsigned int ping_turn;

	bool latency;			/* look for time stamps in payloads */
	struct hist latencies;
	struct hist connects;		/* from start to CONNACK */
	__u64 connected;
	__u64 failed;			/* never became ready, or lost */
	__u64 refused;			/* publishes with an error code */
	__u64 pings;
	unsigned int errors;		/* printed */
};

/* Returns false after printing what went wrong. */
bool loop_init(struct loop *l, const struct options *o);
void loop_free(struct loop *l);

/* Puts a connection on the list of those to be started. */
void loop_start(struct loop *l, struct conn *c);
/* Waits for events until @until at most, and handles them. */
void loop_turn(struct loop *l, __u64 until);
/* A server's own keep alive: the shortest one rules. */
void loop_keepalive(struct loop *l, unsigned int seconds);
/* Prints a failure; only the first few of a run. */
__printf(2, 3)
void loop_error(struct loop *l, const char *fmt, ...);

#endif
