// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nothing but the writes: this process writes ready frames to one end of each
 * TCP connection and reads the other.  No broker can cost less and still make a
 * system call for each write.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "conn.h"
#include "flow.h"

/* The write ends; there is one run in a process. */
static int *ends;
static unsigned int nends;

static unsigned int write_connections(const struct options *o)
{
	return 2 * o->clients + 1;
}

static int listen_any(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, sizeof(*addr)) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)addr, &len)) {
		perror("mqttbench: listening socket");
		exit(1);
	}
	return fd;
}

static void make_pair(struct conn *c, int listener, const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, end;

	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr))) {
		perror("mqttbench: connect");
		exit(1);
	}
	end = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (end < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) ||
	    setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) || !conn_adopt(c, fd)) {
		perror("mqttbench: accept");
		exit(1);
	}
	ends[nends++] = end;
}

static void write_init(struct bench *b)
{
	struct flow_shape shape = {
		.flows = 1,
		.pubs = 1,
		.subs = b->opt->clients,
		.shared_topic = true,
	};
	struct sockaddr_in addr;
	unsigned int i;
	int listener;

	ends = xalloc(shape.subs, sizeof(*ends));
	shape.ends = ends;
	flow_init(b, &shape);
	/* Nobody would answer. */
	b->loop.keepalive = 0;
	conn_adopt(b->loop.conns[0], -1);
	listener = listen_any(&addr);
	for (i = 0; i < shape.subs; i++)
		make_pair(b->loop.conns[1 + i], listener, &addr);
	close(listener);
}

static void write_finish(struct bench *b)
{
	flow_finish(b);
	/* The publisher has no socket to take leave on. */
	b->loop.conns[0]->state = CONN_IDLE;
}

static void write_free(struct bench *b)
{
	while (nends)
		close(ends[--nends]);
	free(ends);
	flow_free(b);
}

const struct scenario scenario_write = {
	.name = "write",
	.help = "no broker: ready frames are written to each connection",
	.publishes = true,
	.connections = write_connections,
	.init = write_init,
	.start = flow_start,
	.turn = flow_turn,
	.done = flow_done,
	.finish = write_finish,
	.free = write_free,
};
