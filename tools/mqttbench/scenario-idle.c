// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that do nothing but keep alive: what do they cost? */
#include <stdlib.h>

#include "bench.h"
#include "buf.h"
#include "clock.h"
#include "conn.h"

struct idle {
	struct conn *conns;
	__u64 stop;
};

static const struct conn_ops idle_ops;

static unsigned int idle_connections(const struct options *o)
{
	return o->clients;
}

static void idle_init(struct bench *b)
{
	struct idle *s = xalloc(1, sizeof(*s));
	unsigned int i;

	b->priv = s;
	s->conns = xalloc(b->opt->clients, sizeof(*s->conns));
	bench_conns(b, b->opt->clients);
	for (i = 0; i < b->opt->clients; i++)
		bench_conn(b, i, &s->conns[i], 'c', i, &idle_ops);
}

static void idle_start(struct bench *b)
{
	struct idle *s = b->priv;

	s->stop = b->started + b->opt->duration * NSEC_PER_SEC;
}

static __u64 idle_turn(struct bench *b)
{
	struct idle *s = b->priv;

	return s->stop;
}

static bool idle_done(struct bench *b)
{
	struct idle *s = b->priv;

	if (!b->loop.ready)
		b->result.end = "all connections were lost";
	return b->result.end || b->loop.now >= s->stop;
}

static void idle_free(struct bench *b)
{
	struct idle *s = b->priv;

	free(s->conns);
	free(s);
}

const struct scenario scenario_idle = {
	.name = "idle",
	.help = "connections that only keep alive; memory and CPU of each",
	.connect_first = true,
	.connections = idle_connections,
	.init = idle_init,
	.start = idle_start,
	.turn = idle_turn,
	.done = idle_done,
	.free = idle_free,
};
