/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One MQTT client: its socket, its way to ready (TCP, CONNECT, SUBSCRIBE),
 * and its two transmit paths, small answers and prebuilt bulk.
 */
#ifndef MQTTBENCH_CONN_H
#define MQTTBENCH_CONN_H

#include <linux/types.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "frame.h"
#include "macros.h"

struct conn;
struct loop;

enum conn_state {
	CONN_IDLE,		/* no socket */
	CONN_TCP,		/* connect() under way */
	CONN_CONNACK,		/* waits for it */
	CONN_SUBACK,		/* waits for it */
	CONN_READY,
	CONN_CLOSING,		/* DISCONNECT sent, waits for the end */
};

/* What a connection tells its owner. Any of them may be NULL. */
struct conn_ops {
	void (*ready)(struct conn *c);
	/* @n PUBLISH packets have arrived whole */
	void (*received)(struct conn *c, unsigned int n);
	/* @n of ours are through: PUBACK, PUBCOMP, or PUBREC with an error */
	void (*acked)(struct conn *c, unsigned int n);
	/* bulk given to conn_send() is all written, after it was not at once */
	void (*writable)(struct conn *c);
	/* @expected: after conn_disconnect() */
	void (*closed)(struct conn *c, bool expected);
};

/*
 * Lives as long as its owner, which embeds it; the socket and the buffers
 * live from start to close.
 */
struct conn {
	struct loop *loop;
	const struct conn_ops *ops;
	const char *filter;		/* to subscribe to, or NULL */
	struct conn *next;		/* on the loop's list of those to start */
	struct addrinfo *addr;
	int fd;
	enum conn_state state;
	__u32 events;			/* what epoll watches for */
	char id[24];
	__u8 level;
	__u8 sub_qos;
	__u8 max_qos;			/* as the server allows */
	__u8 pings_out;			/* unanswered */
	__u16 receive_max;
	__u32 max_packet;
	__u64 started;

	/* A frame's cut-off head; or the rest of a PUBLISH, to skip. */
	__u8 *part;
	size_t part_len;
	size_t skip;
	__u64 stamp;			/* the time stamp of that PUBLISH, or 0 */
	bool big;			/* frames so large that reads end at heads */
	/* What one read has brought, reported after it. */
	unsigned int nreceived;
	unsigned int nacked;

	struct buf out;
	const __u8 *bulk;		/* belongs to the caller of conn_send() */
	size_t bulk_len;
	bool bulk_begun;
};

void conn_init(struct conn *c, struct loop *l, const struct conn_ops *ops);
/* Called by the loop, which limits how many are on their way. */
void conn_begin(struct conn *c);
/* Ready at once with a connected socket that has no broker behind it, or -1. */
bool conn_adopt(struct conn *c, int fd);
void conn_event(struct conn *c, __u32 events);
/* Ends a connection on error; prints why. */
__printf(2, 3)
void conn_fail(struct conn *c, const char *fmt, ...);
/* Sends DISCONNECT; the broker is to close. */
void conn_disconnect(struct conn *c);
void conn_ping(struct conn *c);
/* The last answer of the set-up has come. */
void conn_ready(struct conn *c);
void conn_free(struct conn *c);

/*
 * Writes prebuilt frames. They must stay unchanged until the connection is
 * not busy any more. Only when it is ready and not busy.
 */
void conn_send(struct conn *c, const __u8 *frames, size_t len);
static inline bool conn_busy(const struct conn *c)
{
	return c->bulk_len;
}

#endif
