// SPDX-License-Identifier: GPL-2.0-or-later
/* Clients that connect, disconnect and connect again. */
#include <stdlib.h>

#include "bench.h"
#include "buf.h"
#include "clock.h"
#include "conn.h"
#include "macros.h"

struct client {
	struct conn conn;
	struct churn *churn;
};

struct churn {
	struct bench *bench;
	struct client *clients;
	__u64 left;			/* connections still to be begun */
	unsigned int open;		/* begun or waiting to be, not closed */
	__u64 stop;
	__u64 progress;
};

static void client_start(struct client *c)
{
	struct churn *s = c->churn;

	if (!s->left)
		return;
	s->left--;
	s->open++;
	loop_start(&s->bench->loop, &c->conn);
}

static void on_ready(struct conn *c)
{
	conn_disconnect(c);
}

/* A client that failed is not used again, so a refusing broker is not flooded. */
static void on_closed(struct conn *conn, bool expected)
{
	struct client *c = container_of(conn, struct client, conn);
	struct churn *s = c->churn;

	s->open--;
	s->progress = s->bench->loop.now;
	if (expected)
		client_start(c);
}

static const struct conn_ops churn_ops = {
	.ready = on_ready,
	.closed = on_closed,
};

static unsigned int churn_connections(const struct options *o)
{
	return o->clients;
}

static void churn_init(struct bench *b)
{
	struct churn *s = xalloc(1, sizeof(*s));
	unsigned int i;

	b->priv = s;
	s->bench = b;
	s->left = b->opt->count ? b->opt->count : NEVER;
	s->clients = xalloc(b->opt->clients, sizeof(*s->clients));
	bench_conns(b, b->opt->clients);
	for (i = 0; i < b->opt->clients; i++) {
		s->clients[i].churn = s;
		bench_conn(b, i, &s->clients[i].conn, 'c', i, &churn_ops);
	}
}

static void churn_start(struct bench *b)
{
	struct churn *s = b->priv;
	unsigned int i;

	s->stop = b->opt->duration ? b->started + b->opt->duration * NSEC_PER_SEC : NEVER;
	s->progress = b->started;
	for (i = 0; i < b->opt->clients; i++)
		client_start(&s->clients[i]);
}

static __u64 churn_turn(struct bench *b)
{
	struct churn *s = b->priv;
	struct loop *l = &b->loop;

	if (l->now < s->stop)
		return s->stop;
	s->stop = NEVER;
	s->left = 0;
	for (; l->wait_head; l->wait_head = l->wait_head->next)
		s->open--;
	return NEVER;
}

static bool churn_done(struct bench *b)
{
	struct churn *s = b->priv;

	if (!s->open)
		return true;
	if (b->loop.starting + b->loop.ready &&
	    b->loop.now - s->progress > b->opt->drain * NSEC_PER_SEC)
		b->result.end = "no progress (--drain)";
	return b->result.end;
}

static void churn_free(struct bench *b)
{
	struct churn *s = b->priv;

	free(s->clients);
	free(s);
}

const struct scenario scenario_connect = {
	.name = "connect",
	.help = "clients that connect, disconnect and connect again",
	.connections = churn_connections,
	.init = churn_init,
	.start = churn_start,
	.turn = churn_turn,
	.done = churn_done,
	.free = churn_free,
};
