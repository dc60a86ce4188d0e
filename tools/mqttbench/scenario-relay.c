// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A bare relay in place of a broker: epoll_wait, one read, one write to each
 * subscriber, bytes as they come.  It looks at topics once, at the first PUBLISH
 * of a connection, and at nothing of a message after that: what any broker in
 * userspace costs more than this it spends on being a broker.
 *
 * For mqttbench's own clients only: QoS 0, one filter and whole packets at a read
 * in the set-up, one topic a publisher, and no more than a read takes whole where
 * several publish to one subscriber.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <netdb.h>
#include <unistd.h>

#include "buf.h"
#include "frame.h"
#include "options.h"
#include "scenario.h"
#include "topic.h"

#define READ_MAX	(64 * 1024)
#define EVENTS_MAX	1024
/* A subscriber that takes nothing for so long is closed. */
#define WRITE_SECONDS	5

/* A client; from accept to close, on the list of all. */
struct peer {
	struct peer *next;
	int fd;
	__u8 level;
	char *filter;		/* what it subscribed to, or NULL */
	struct peer **to;	/* who gets what it publishes; NULL: not yet known */
	unsigned int nto;
};

static struct peer *peers;
static unsigned int npeers;
static int epfd;

/* Each publisher looks again who its subscribers are. */
static void forget_destinations(void)
{
	struct peer *p;

	for (p = peers; p; p = p->next) {
		free(p->to);
		p->to = NULL;
		p->nto = 0;
	}
}

static void peer_close(struct peer *p)
{
	struct peer **at = &peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	npeers--;
	if (p->filter)
		forget_destinations();
	close(p->fd);
	free(p->filter);
	free(p->to);
	free(p);
}

static void peer_accept(int listener)
{
	struct timeval limit = { .tv_sec = WRITE_SECONDS };
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
	struct peer *p;

	if (fd < 0)
		return;
	p = xalloc(1, sizeof(*p));
	p->fd = fd;
	p->next = peers;
	peers = p;
	npeers++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	ev.data.ptr = p;
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev))
		peer_close(p);
}

static bool peer_send(const struct peer *p, const void *data, size_t len)
{
	return send(p->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* The string at *@at of a packet of @len bytes, without a copy; NULL: none. */
static const __u8 *get_str(const __u8 *p, size_t len, size_t *at, size_t *n)
{
	if (*at + 2 > len)
		return NULL;
	*n = get_u16(p + *at);
	*at += 2 + *n;
	return *at <= len ? p + *at - *n : NULL;
}

static bool on_connect(struct peer *p, const __u8 *body, size_t len)
{
	/* Behind the protocol's name. */
	size_t at = 0, n;

	if (!get_str(body, len, &at, &n) || at == len)
		return false;
	p->level = body[at];
	if (p->level == MQTT_5)
		return peer_send(p, "\x20\x03\x00\x00\x00", 5);
	return peer_send(p, "\x20\x02\x00\x00", 4);
}

static bool on_subscribe(struct peer *p, const __u8 *body, size_t len)
{
	/* Behind the packet identifier and the empty properties. */
	size_t at = p->level == MQTT_5 ? 3 : 2, n;
	__u8 suback[6] = { SUBACK << 4, at + 1 };
	const __u8 *filter = get_str(body, len, &at, &n);

	if (!filter || p->filter)
		return false;
	p->filter = xalloc(n + 1, 1);
	memcpy(p->filter, filter, n);
	memcpy(suback + 2, body, 2);
	forget_destinations();
	return peer_send(p, suback, 2 + suback[1]);
}

/* Who is to get the PUBLISH @body. */
static bool find_destinations(struct peer *p, const __u8 *body, size_t len)
{
	size_t at = 0, n;
	const __u8 *topic = get_str(body, len, &at, &n);
	struct peer *s;

	if (!topic)
		return false;
	p->to = xalloc(npeers, sizeof(*p->to));
	for (s = peers; s; s = s->next)
		if (s->filter && kmqtt_topic_matches((const __u8 *)s->filter,
						     strlen(s->filter), topic, n))
			p->to[p->nto++] = s;
	return true;
}

/* The packets of the set-up, and the first PUBLISH. */
static bool on_control(struct peer *p, const __u8 *data, size_t len)
{
	__u32 remaining;
	int head = frame_header(data, len, &remaining);

	if (head <= 0)
		return false;
	if (data[0] >> 4 == PUBLISH)
		return find_destinations(p, data + head, len - head);
	if (head + (size_t)remaining != len)
		return false;
	switch (data[0] >> 4) {
	case CONNECT:
		return on_connect(p, data + head, remaining);
	case SUBSCRIBE:
		return on_subscribe(p, data + head, remaining);
	case PINGREQ:
		return peer_send(p, "\xd0\x00", 2);
	}
	return false;
}

/* A publisher says these by themselves. */
static bool is_bare(const __u8 *data, size_t len)
{
	return len == 2 && !data[1] && (data[0] == PINGREQ << 4 || data[0] == DISCONNECT << 4);
}

static void peer_read(struct peer *p)
{
	static __u8 data[READ_MAX];
	ssize_t n = recv(p->fd, data, sizeof(data), 0);
	unsigned int i;

	if (n <= 0 || ((!p->to || is_bare(data, n)) && !on_control(p, data, n))) {
		peer_close(p);
		return;
	}
	/* A subscriber that is gone will say so itself. */
	for (i = 0; i < p->nto; i++)
		if (!peer_send(p->to[i], data, n))
			shutdown(p->to[i]->fd, SHUT_RDWR);
}

static int relay_listen(const struct options *o)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *a;
	int err = getaddrinfo(o->host, o->port, &hints, &a), fd, one = 1;

	if (err) {
		fprintf(stderr, "mqttbench: option --host: %s: %s\n", o->host, gai_strerror(err));
		return -1;
	}
	fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, SOMAXCONN)) {
		fprintf(stderr, "mqttbench: option --port: %s: %s\n", o->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(a);
	return fd;
}

__attribute__((noreturn))
static void relay_loop(int listener)
{
	static struct epoll_event ev[EVENTS_MAX];
	int i, n;

	for (;;) {
		n = epoll_wait(epfd, ev, EVENTS_MAX, -1);
		for (i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				peer_read(ev[i].data.ptr);
			else
				peer_accept(listener);
		}
	}
}

static int relay_serve(const struct options *o)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int listener = relay_listen(o);
	struct rlimit files;

	if (listener < 0)
		return 1;
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev)) {
		perror("mqttbench: epoll");
		return 1;
	}
	relay_loop(listener);
}

const struct scenario scenario_relay = {
	.name = "relay",
	.help = "a server, the barest broker there can be, until a signal",
	.serve = relay_serve,
};
