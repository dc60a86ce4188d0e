// SPDX-License-Identifier: GPL-2.0-or-later
/* One client's socket, from connect to close. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "loop.h"
#include "options.h"
#include "rx.h"

/* More answers than this wait for the broker: it has to read them first. */
#define OUT_MAX		(64 * 1024)
/* Reads of one connection before the others get their turn. */
#define READ_BUDGET	16
/* Rounds of keep alive, each half of it, that an answer may take. */
#define PINGS_OUT_MAX	3

void conn_init(struct conn *c, struct loop *l, const struct conn_ops *ops)
{
	c->loop = l;
	c->ops = ops;
	c->fd = -1;
}

/* Tells the owner what the last read brought. */
static void conn_report(struct conn *c)
{
	unsigned int received = c->nreceived, acked = c->nacked;

	c->nreceived = 0;
	c->nacked = 0;
	if (received && c->ops->received)
		c->ops->received(c, received);
	if (acked && c->ops->acked)
		c->ops->acked(c, acked);
}

static void conn_close(struct conn *c)
{
	if (c->state == CONN_READY)
		c->loop->ready--;
	else if (c->state != CONN_IDLE && c->state != CONN_CLOSING)
		c->loop->starting--;
	c->state = CONN_IDLE;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->out.len = 0;
	c->bulk_len = 0;
	c->bulk_begun = false;
	c->part_len = 0;
	c->skip = 0;
	c->stamp = 0;
	c->pings_out = 0;
}

void conn_fail(struct conn *c, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	loop_error(c->loop, "%s: %s", c->id, why);
	c->loop->failed++;
	conn_report(c);
	conn_close(c);
	if (c->ops->closed)
		c->ops->closed(c, false);
}

/* Lets epoll watch for what can go on. */
static void conn_watch(struct conn *c)
{
	struct epoll_event ev = { .data.ptr = c };

	if (c->out.len < OUT_MAX)
		ev.events |= EPOLLIN;
	if (c->state == CONN_TCP || c->out.len || c->bulk_len)
		ev.events |= EPOLLOUT;
	if (ev.events == c->events)
		return;
	c->events = ev.events;
	if (epoll_ctl(c->loop->epfd, EPOLL_CTL_MOD, c->fd, &ev))
		conn_fail(c, "epoll_ctl: %s", strerror(errno));
}

/* Order on the wire: bulk that has begun, answers, bulk that has not. */
static ssize_t conn_write_once(struct conn *c)
{
	struct iovec iov[2] = { { c->out.data, c->out.len },
				{ (void *)c->bulk, c->bulk_len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct iovec swap;

	if (!c->out.len)
		return send(c->fd, c->bulk, c->bulk_len, MSG_NOSIGNAL);
	if (c->bulk_begun) {
		swap = iov[0];
		iov[0] = iov[1];
		iov[1] = swap;
	}
	return sendmsg(c->fd, &msg, MSG_NOSIGNAL);
}

static void conn_written(struct conn *c, size_t n)
{
	size_t bulk;

	if (!c->bulk_begun && c->out.len) {
		bulk = n > c->out.len ? n - c->out.len : 0;
		buf_shift(&c->out, n - bulk);
	} else {
		bulk = n < c->bulk_len ? n : c->bulk_len;
		buf_shift(&c->out, n - bulk);
	}
	c->bulk += bulk;
	c->bulk_len -= bulk;
	c->bulk_begun = c->bulk_len && (c->bulk_begun || bulk);
}

static void conn_write(struct conn *c)
{
	ssize_t n;

	if (c->out.len || c->bulk_len) {
		n = conn_write_once(c);
		if (n > 0)
			conn_written(c, n);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			conn_fail(c, "write: %s", strerror(errno));
			return;
		}
	}
	conn_watch(c);
}

static void conn_flush(struct conn *c)
{
	bool busy = conn_busy(c);

	conn_write(c);
	if (busy && c->fd >= 0 && !conn_busy(c) && c->ops->writable)
		c->ops->writable(c);
}

void conn_send(struct conn *c, const __u8 *frames, size_t len)
{
	c->bulk = frames;
	c->bulk_len = len;
	conn_write(c);
}

/* Returns 0 or an errno. */
static int conn_socket(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
	const struct addrinfo *a = c->addr;
	int one = 1;

	c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return errno;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS)
		return errno;
	c->events = ev.events;
	return epoll_ctl(c->loop->epfd, EPOLL_CTL_ADD, c->fd, &ev) ? errno : 0;
}

/* Tries the broker's addresses in turn, as long as none has answered. */
static void conn_try(struct conn *c, int err)
{
	while (err && c->addr->ai_next && !c->loop->connected) {
		if (c->fd >= 0)
			close(c->fd);
		c->fd = -1;
		c->addr = c->addr->ai_next;
		err = conn_socket(c);
	}
	if (err)
		conn_fail(c, "connect to %s port %s: %s", c->loop->opt->host,
			  c->loop->opt->port, strerror(err));
}

void conn_begin(struct conn *c)
{
	c->state = CONN_TCP;
	c->loop->starting++;
	c->started = clock_now();
	c->addr = c->loop->addr;
	conn_try(c, conn_socket(c));
}

bool conn_adopt(struct conn *c, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (fd >= 0 && epoll_ctl(c->loop->epfd, EPOLL_CTL_ADD, fd, &ev))
		return false;
	c->fd = fd;
	c->events = ev.events;
	c->state = CONN_READY;
	c->loop->ready++;
	return true;
}

static void conn_established(struct conn *c)
{
	const struct options *o = c->loop->opt;
	struct connect packet = {
		.id = c->id, .username = o->username, .password = o->password,
		.keepalive = o->keepalive, .level = c->level,
	};
	socklen_t len = sizeof(int);
	int err = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		conn_try(c, err);
		return;
	}
	c->loop->addr = c->addr;
	c->state = CONN_CONNACK;
	frame_connect(&c->out, &packet);
	conn_write(c);
}

void conn_ready(struct conn *c)
{
	c->state = CONN_READY;
	c->loop->starting--;
	c->loop->ready++;
	if (c->ops->ready)
		c->ops->ready(c);
}

static void conn_ended(struct conn *c, ssize_t n)
{
	if (c->state != CONN_CLOSING) {
		conn_fail(c, "%s", n ? strerror(errno) : "broker closed the connection");
		return;
	}
	conn_report(c);
	conn_close(c);
	if (c->ops->closed)
		c->ops->closed(c, true);
}

/* One read. Returns whether there may be more to read. */
static bool conn_read_once(struct conn *c)
{
	struct loop *l = c->loop;
	__u8 *p = l->rx + RX_HEADROOM;
	bool drop = c->skip >= RX_BIG;
	size_t want = drop ? c->skip : c->big ? RX_HEAD : RX_SIZE;
	ssize_t n = recv(c->fd, drop ? NULL : p, want, drop ? MSG_TRUNC : 0);

	if (n <= 0) {
		if (!n || (errno != EAGAIN && errno != EINTR))
			conn_ended(c, n);
		return false;
	}
	if (drop) {
		rx_skip(c, n);
	} else {
		/* The cut-off head goes in front of what has just come. */
		if (c->part_len)
			memcpy(p - c->part_len, c->part, c->part_len);
		n += c->part_len;
		p -= c->part_len;
		want += c->part_len;
		c->part_len = 0;
		rx_bytes(c, p, n);
	}
	return c->fd >= 0 && (size_t)n == want;
}

static void conn_read(struct conn *c)
{
	unsigned int budget = READ_BUDGET;

	while (conn_read_once(c) && --budget)
		;
	conn_report(c);
}

void conn_event(struct conn *c, __u32 events)
{
	/* Closed by an earlier event of the same batch. */
	if (c->fd < 0)
		return;
	if (c->state == CONN_TCP) {
		conn_established(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		conn_read(c);
	if (c->fd >= 0 && (events & EPOLLOUT || (c->out.len && !(c->events & EPOLLOUT))))
		conn_flush(c);
}

void conn_disconnect(struct conn *c)
{
	c->state = CONN_CLOSING;
	c->loop->ready--;
	frame_bare(&c->out, DISCONNECT);
	conn_write(c);
}

void conn_ping(struct conn *c)
{
	if (c->pings_out == PINGS_OUT_MAX) {
		conn_fail(c, "no PINGRESP in 1.5 times the keep alive");
		return;
	}
	c->pings_out++;
	c->loop->pings++;
	frame_bare(&c->out, PINGREQ);
	conn_flush(c);
}

void conn_free(struct conn *c)
{
	if (c->state == CONN_READY)
		conn_disconnect(c);
	conn_close(c);
	free(c->part);
	buf_free(&c->out);
}
