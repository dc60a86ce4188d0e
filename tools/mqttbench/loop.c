// SPDX-License-Identifier: GPL-2.0-or-later
/* The event loop, the pace of new connections, and keep alive. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "conn.h"
#include "loop.h"
#include "options.h"
#include "scenario.h"

#define EVENTS_MAX	1024
#define ERRORS_MAX	5

bool loop_init(struct loop *l, const struct options *o)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int err = getaddrinfo(o->host, o->port, &hints, &l->addrs);

	if (err) {
		fprintf(stderr, "mqttbench: option --host: %s: %s\n", o->host,
			gai_strerror(err));
		return false;
	}
	l->opt = o;
	l->addr = l->addrs;
	l->rx = xalloc(1, RX_HEADROOM + RX_SIZE);
	l->latency = o->latency;
	if (o->rate && !o->scenario->publishes)
		l->start_interval = NSEC_PER_SEC / o->rate;
	l->keepalive = o->keepalive;
	l->now = clock_now();
	l->next_start = l->now;
	l->next_ping = l->now + l->keepalive * NSEC_PER_SEC / 2;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0)
		perror("mqttbench: epoll_create1");
	return l->epfd >= 0;
}

void loop_free(struct loop *l)
{
	unsigned int i;

	for (i = 0; i < l->nconns; i++)
		conn_free(l->conns[i]);
	free(l->conns);
	free(l->rx);
	if (l->addrs)
		freeaddrinfo(l->addrs);
	if (l->epfd >= 0)
		close(l->epfd);
}

void loop_start(struct loop *l, struct conn *c)
{
	c->next = NULL;
	if (l->wait_head)
		l->wait_tail->next = c;
	else
		l->wait_head = c;
	l->wait_tail = c;
}

void loop_keepalive(struct loop *l, unsigned int seconds)
{
	if (seconds && (!l->keepalive || seconds < l->keepalive))
		l->keepalive = seconds;
}

void loop_error(struct loop *l, const char *fmt, ...)
{
	va_list ap;

	if (l->errors > ERRORS_MAX)
		return;
	if (l->errors++ == ERRORS_MAX) {
		fputs("mqttbench: further errors are only counted\n", stderr);
		return;
	}
	fputs("mqttbench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void loop_begin_waiting(struct loop *l)
{
	struct conn *c;

	while (l->wait_head && l->starting < l->opt->parallel && l->now >= l->next_start) {
		c = l->wait_head;
		l->wait_head = c->next;
		l->next_start += l->start_interval;
		conn_begin(c);
	}
}

/* Each connection gets its PINGREQ twice in a keep alive, all evenly spread. */
static void loop_ping(struct loop *l)
{
	__u64 interval = l->keepalive * NSEC_PER_SEC / 2 / (l->nconns ? l->nconns : 1);
	unsigned int budget = l->nconns;
	struct conn *c;

	if (!l->keepalive)
		return;
	for (; l->next_ping <= l->now && budget; budget--) {
		c = l->conns[l->ping_turn++ % l->nconns];
		if (c->state == CONN_READY)
			conn_ping(c);
		l->next_ping += interval;
	}
}

static __u64 loop_deadline(const struct loop *l, __u64 until)
{
	if (l->keepalive && l->next_ping < until)
		until = l->next_ping;
	if (l->wait_head && l->starting < l->opt->parallel && l->next_start < until)
		until = l->next_start;
	return until > l->now ? until - l->now : 0;
}

void loop_turn(struct loop *l, __u64 until)
{
	static struct epoll_event ev[EVENTS_MAX];
	__u64 wait = loop_deadline(l, until);
	struct timespec ts = { wait / NSEC_PER_SEC, wait % NSEC_PER_SEC };
	int i, n;

	n = epoll_pwait2(l->epfd, ev, EVENTS_MAX, &ts, NULL);
	l->now = clock_now();
	for (i = 0; i < n; i++)
		conn_event(ev[i].data.ptr, ev[i].events);
	loop_begin_waiting(l);
	loop_ping(l);
}
