// SPDX-License-Identifier: GPL-2.0-or-later
/* Publishers, subscribers, and the window between them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "clock.h"
#include "conn.h"
#include "flow.h"
#include "frame.h"
#include "macros.h"
#include "stamp.h"

#define BURST_BYTES	(16 * 1024)
#define TOPIC_MAX	256

struct publisher {
	struct conn conn;
	struct flow *flow;
	struct buf batch;		/* ready frames, all of one length */
	struct publish_layout layout;
	unsigned int number;		/* of all publishers */
	unsigned int inflight;
	unsigned int inflight_max;
	__u16 packet_id;
	bool finished;
	__u64 sent;
	__u64 left;
	__u64 owed;			/* paced: messages that are due */
};

struct subscriber {
	struct conn conn;
	struct flow *flow;
	unsigned int index;		/* in the flow */
	char filter[TOPIC_MAX];
};

struct flow {
	struct flows *all;
	struct publisher *pubs;
	struct subscriber *subs;
	__u64 *got;			/* messages of each subscriber */
	__u64 sent;
	__u64 goal;			/* the next batch leaves when all have so many */
	unsigned int behind;		/* subscribers below the goal */
	unsigned int turn;		/* publisher to ask first */
	bool marked;			/* on the list of flows to be pumped */
};

struct flows {
	struct bench *bench;
	struct flow_shape shape;
	struct flow *flow;
	struct publisher *pubs;		/* of all flows, in order */
	struct subscriber *subs;
	unsigned int npubs;
	unsigned int batch;
	__u64 window;			/* of a flow, 0: none */
	unsigned int unfinished;	/* publishers */
	struct flow **marked;		/* to be pumped at the next turn */
	struct flow **pumping;
	unsigned int nmarked;
	__u64 unacked;
	__u64 stop;			/* end of --duration */
	__u64 slot;			/* paced: next batch to come due, of all */
	double interval;		/* paced: between two batches of all, in ns */
	__u64 seen;			/* deliveries at the last turn */
	__u64 last;			/* the time of the last delivery */
	__u64 progress;			/* of that, of an answer, or a new wait */
	bool broken;			/* a connection was lost */
};

unsigned int flow_batch(const struct options *o, unsigned int frame_len)
{
	unsigned int n = o->per_write ? o->per_write : BURST_BYTES / frame_len;

	if (o->qos && n > o->inflight)
		n = o->inflight;
	if (o->window && n > o->window)
		n = o->window;
	return n ? n : 1;
}

unsigned int flow_window(const struct options *o, unsigned int batch)
{
	if (o->window)
		return o->window;
	if (o->mode == MODE_SINGLE)
		return batch;
	return o->mode == MODE_BURST ? 2 * batch : 0;
}

/* Whether something is on its way. */
static bool flow_waits(const struct flows *fs)
{
	return fs->bench->delivered < fs->bench->expected || fs->unacked;
}

static void flow_mark(struct flow *f)
{
	if (f->marked)
		return;
	f->marked = true;
	f->all->marked[f->all->nmarked++] = f;
}

/* Sets what all subscribers must have before another batch may leave. */
static void flow_set_goal(struct flow *f)
{
	struct flows *fs = f->all;
	__u64 ahead = f->sent + fs->batch;
	unsigned int i, behind = 0;

	if (!fs->window || ahead <= fs->window)
		return;
	f->goal = ahead - fs->window;
	for (i = 0; i < fs->shape.subs; i++)
		behind += f->got[i] < f->goal;
	f->behind = behind;
}

static void publisher_check_finished(struct publisher *p)
{
	if (p->finished || p->left || p->inflight || conn_busy(&p->conn))
		return;
	p->finished = true;
	p->flow->all->unfinished--;
}

/* How many messages may leave now. */
static unsigned int publisher_room(const struct publisher *p)
{
	const struct flows *fs = p->flow->all;
	__u64 n = fs->batch;

	if (p->conn.state != CONN_READY || conn_busy(&p->conn))
		return 0;
	if (p->left < n)
		n = p->left;
	if (fs->bench->opt->mode == MODE_PACED && p->owed < n)
		n = p->owed;
	if (fs->bench->opt->qos && p->inflight_max - p->inflight < n)
		n = p->inflight_max - p->inflight;
	return n;
}

/* When the message that is number @n of this publisher should have left. */
static __u64 publisher_due(const struct publisher *p, __u64 n)
{
	const struct flows *fs = p->flow->all;
	__u64 slot = n / fs->batch * fs->npubs + p->number;

	return fs->bench->started + slot * fs->interval;
}

static void publisher_stamp(struct publisher *p, unsigned int n)
{
	bool paced = p->flow->all->bench->opt->mode == MODE_PACED;
	__u8 *frame = p->batch.data;
	__u64 now = paced ? 0 : clock_now();
	unsigned int i;

	for (i = 0; i < n; i++, frame += p->layout.len)
		stamp_write(frame + p->layout.payload,
			    paced ? publisher_due(p, p->sent + i) : now);
}

static void publisher_number(struct publisher *p, unsigned int n)
{
	__u8 *id = p->batch.data + p->layout.packet_id;

	p->inflight += n;
	p->flow->all->unacked += n;
	for (; n; n--, id += p->layout.len) {
		if (!++p->packet_id)
			p->packet_id = 1;
		id[0] = p->packet_id >> 8;
		id[1] = p->packet_id;
	}
}

/* To each subscriber's other end, by one write each. */
static void publisher_write_ends(struct publisher *p, size_t len)
{
	const struct flows *fs = p->flow->all;
	unsigned int i;

	for (i = 0; i < fs->shape.subs; i++) {
		if (write(fs->shape.ends[i], p->batch.data, len) == (ssize_t)len)
			continue;
		conn_fail(&p->flow->subs[i].conn, "write: the socket does not take %zu bytes",
			  len);
	}
}

static bool publisher_send(struct publisher *p)
{
	struct flows *fs = p->flow->all;
	struct bench *b = fs->bench;
	unsigned int n = publisher_room(p);

	if (!n)
		return false;
	if (!flow_waits(fs))
		fs->progress = b->loop.now;
	if (b->opt->latency)
		publisher_stamp(p, n);
	if (b->opt->qos)
		publisher_number(p, n);
	p->sent += n;
	p->left -= n;
	if (b->opt->mode == MODE_PACED)
		p->owed -= n;
	p->flow->sent += n;
	b->sent += n;
	b->expected += (__u64)n * fs->shape.subs;
	flow_set_goal(p->flow);
	if (fs->shape.ends)
		publisher_write_ends(p, n * p->layout.len);
	else
		conn_send(&p->conn, p->batch.data, n * p->layout.len);
	publisher_check_finished(p);
	return true;
}

/* Something has changed that may let this publisher go on. */
static void publisher_kick(struct publisher *p)
{
	publisher_check_finished(p);
	if (p->flow->all->bench->opt->mode == MODE_PACED)
		publisher_send(p);
	else if (!p->flow->behind)
		flow_mark(p->flow);
}

/* Each publisher gets a turn, as long as the window is open. */
static void flow_pump(struct flow *f)
{
	unsigned int i, npubs = f->all->shape.pubs;
	bool sent = false;

	for (i = 0; i < npubs && !f->behind; i++) {
		sent |= publisher_send(&f->pubs[f->turn]);
		f->turn = f->turn + 1 < npubs ? f->turn + 1 : 0;
	}
	if (sent && !f->behind)
		flow_mark(f);
}

static void on_pub_acked(struct conn *c, unsigned int n)
{
	struct publisher *p = container_of(c, struct publisher, conn);
	struct flows *fs = p->flow->all;

	if (n > p->inflight) {
		conn_fail(c, "more acknowledgements than messages");
		return;
	}
	p->inflight -= n;
	fs->unacked -= n;
	fs->progress = c->loop->now;
	publisher_kick(p);
}

static void on_pub_writable(struct conn *c)
{
	publisher_kick(container_of(c, struct publisher, conn));
}

static void on_pub_ready(struct conn *c)
{
	struct publisher *p = container_of(c, struct publisher, conn);
	const struct options *o = c->loop->opt;

	p->inflight_max = o->inflight < c->receive_max ? o->inflight : c->receive_max;
	if (o->qos > c->max_qos)
		conn_fail(c, "broker allows QoS %u only (--qos %u)", c->max_qos, o->qos);
	else if (c->max_packet && p->layout.len > c->max_packet)
		conn_fail(c, "broker allows packets of %u bytes only (--size %u)",
			  c->max_packet, o->size);
}

static void on_received(struct conn *c, unsigned int n)
{
	struct subscriber *s = container_of(c, struct subscriber, conn);
	struct flow *f = s->flow;
	__u64 old = f->got[s->index];

	f->got[s->index] = old + n;
	f->all->bench->delivered += n;
	if (f->behind && old < f->goal && old + n >= f->goal && !--f->behind)
		flow_mark(f);
}

static void on_pub_closed(struct conn *c, bool expected)
{
	(void)expected;
	container_of(c, struct publisher, conn)->flow->all->broken = true;
}

static void on_sub_closed(struct conn *c, bool expected)
{
	(void)expected;
	container_of(c, struct subscriber, conn)->flow->all->broken = true;
}

static const struct conn_ops pub_ops = {
	.ready = on_pub_ready,
	.acked = on_pub_acked,
	.writable = on_pub_writable,
	.closed = on_pub_closed,
};

static const struct conn_ops sub_ops = {
	.received = on_received,
	.closed = on_sub_closed,
};

/* PREFIX/FLOW, and one level more where each publisher has its own topic. */
static void make_topic(const struct flows *fs, char *topic, unsigned int flow, int pub)
{
	int n = snprintf(topic, TOPIC_MAX, "%s/%u", fs->bench->opt->prefix, flow);

	if (fs->shape.shared_topic)
		return;
	if (pub < 0)
		snprintf(topic + n, TOPIC_MAX - n, "/+");
	else
		snprintf(topic + n, TOPIC_MAX - n, "/%d", pub);
}

static void make_publisher(struct flows *fs, struct flow *f, unsigned int i)
{
	const struct options *o = fs->bench->opt;
	struct publisher *p = &f->pubs[i];
	char topic[TOPIC_MAX];
	unsigned int n;

	p->flow = f;
	p->number = p - fs->pubs;
	p->left = o->count ? o->count : NEVER;
	bench_conn(fs->bench, p->number, &p->conn, 'p', p->number, &pub_ops);
	make_topic(fs, topic, f - fs->flow, i);
	frame_publish(&p->batch, p->conn.level, topic, o->qos, o->size, &p->layout);
	if (!fs->batch)
		fs->batch = flow_batch(o, p->layout.len);
	for (n = 1; n < fs->batch; n++)
		frame_publish(&p->batch, p->conn.level, topic, o->qos, o->size, &p->layout);
}

static void make_subscriber(struct flows *fs, struct flow *f, unsigned int i)
{
	struct subscriber *s = &f->subs[i];
	unsigned int number = s - fs->subs;

	s->flow = f;
	s->index = i;
	bench_conn(fs->bench, fs->npubs + number, &s->conn, 's', number, &sub_ops);
	make_topic(fs, s->filter, f - fs->flow, -1);
	s->conn.filter = s->filter;
	s->conn.sub_qos = fs->bench->opt->sub_qos;
}

void flow_init(struct bench *b, const struct flow_shape *shape)
{
	struct flows *fs = xalloc(1, sizeof(*fs));
	unsigned int i, j, nsubs = shape->flows * shape->subs;

	b->priv = fs;
	fs->bench = b;
	fs->shape = *shape;
	fs->npubs = shape->flows * shape->pubs;
	fs->unfinished = fs->npubs;
	fs->flow = xalloc(shape->flows, sizeof(*fs->flow));
	fs->marked = xalloc(shape->flows, sizeof(*fs->marked));
	fs->pumping = xalloc(shape->flows, sizeof(*fs->pumping));
	fs->pubs = xalloc(fs->npubs, sizeof(*fs->pubs));
	fs->subs = xalloc(nsubs, sizeof(*fs->subs));
	bench_conns(b, fs->npubs + nsubs);
	for (i = 0; i < shape->flows; i++) {
		struct flow *f = &fs->flow[i];

		f->all = fs;
		f->pubs = fs->pubs + (size_t)i * shape->pubs;
		f->subs = fs->subs + (size_t)i * shape->subs;
		f->got = xalloc(shape->subs, sizeof(*f->got));
		for (j = 0; j < shape->pubs; j++)
			make_publisher(fs, f, j);
		for (j = 0; j < shape->subs; j++)
			make_subscriber(fs, f, j);
	}
	fs->window = (__u64)flow_window(b->opt, fs->batch) * shape->pubs;
	if (b->opt->mode == MODE_PACED)
		fs->interval = fs->batch * (double)NSEC_PER_SEC / b->opt->rate;
}

void flow_start(struct bench *b)
{
	struct flows *fs = b->priv;
	unsigned int i;

	fs->stop = b->opt->duration ? b->started + b->opt->duration * NSEC_PER_SEC : NEVER;
	fs->last = b->started;
	fs->progress = b->started;
	if (b->opt->mode != MODE_PACED)
		for (i = 0; i < fs->shape.flows; i++)
			flow_mark(&fs->flow[i]);
}

/* Sends the batches that are due; returns when the next one is. */
static __u64 flow_pace(struct flows *fs, __u64 now)
{
	struct publisher *p;
	__u64 due;

	for (;;) {
		p = &fs->pubs[fs->slot % fs->npubs];
		due = fs->bench->started + fs->slot * fs->interval;
		if (due > now || !fs->unfinished)
			return due;
		fs->slot++;
		if (p->left) {
			p->owed += fs->batch;
			publisher_send(p);
		}
	}
}

static void flow_stop(struct flows *fs)
{
	unsigned int i;

	fs->stop = NEVER;
	for (i = 0; i < fs->npubs; i++) {
		fs->pubs[i].left = 0;
		publisher_check_finished(&fs->pubs[i]);
	}
}

/* Pumping marks flows again: for the next turn, so that reading goes on. */
static void flow_pump_marked(struct flows *fs)
{
	struct flow **list = fs->marked;
	unsigned int i, n = fs->nmarked;

	fs->marked = fs->pumping;
	fs->pumping = list;
	fs->nmarked = 0;
	for (i = 0; i < n; i++) {
		list[i]->marked = false;
		flow_pump(list[i]);
	}
}

__u64 flow_turn(struct bench *b)
{
	struct flows *fs = b->priv;
	__u64 next = NEVER;

	if (b->delivered != fs->seen) {
		fs->seen = b->delivered;
		fs->last = b->loop.now;
		fs->progress = b->loop.now;
	}
	if (b->loop.now >= fs->stop)
		flow_stop(fs);
	if (b->opt->mode == MODE_PACED)
		next = flow_pace(fs, b->loop.now);
	else
		flow_pump_marked(fs);
	if (fs->nmarked)
		return 0;
	return next < fs->stop ? next : fs->stop;
}

/* The sums can agree while one subscriber has too many and one too few. */
static bool flow_complete(const struct flows *fs)
{
	unsigned int i, j;

	for (i = 0; i < fs->shape.flows; i++)
		for (j = 0; j < fs->shape.subs; j++)
			if (fs->flow[i].got[j] < fs->flow[i].sent)
				return false;
	return true;
}

bool flow_done(struct bench *b)
{
	struct flows *fs = b->priv;
	bool silent = b->loop.now - fs->progress > b->opt->drain * NSEC_PER_SEC;

	if (!fs->unfinished && b->delivered >= b->expected && flow_complete(fs)) {
		b->stopped = clock_now();
		return true;
	}
	if (fs->broken)
		b->result.end = "a connection was lost";
	else if (silent && fs->unfinished && flow_waits(fs))
		b->result.end = "no progress (--drain)";
	else if (!silent || fs->unfinished)
		return false;
	b->stopped = fs->last;
	return true;
}

static void flow_count(struct flows *fs, struct result *r)
{
	unsigned int i, j;

	for (i = 0; i < fs->shape.flows; i++) {
		struct flow *f = &fs->flow[i];

		for (j = 0; j < fs->shape.subs; j++) {
			r->delivered += f->got[j] < f->sent ? f->got[j] : f->sent;
			r->extra += f->got[j] > f->sent ? f->got[j] - f->sent : 0;
		}
	}
	r->unacked = fs->unacked;
	r->sent = fs->bench->sent;
	r->expected = fs->bench->expected;
	r->lost = r->expected - r->delivered;
}

void flow_finish(struct bench *b)
{
	flow_count(b->priv, &b->result);
}

void flow_free(struct bench *b)
{
	struct flows *fs = b->priv;
	unsigned int i;

	for (i = 0; i < fs->npubs; i++)
		buf_free(&fs->pubs[i].batch);
	for (i = 0; i < fs->shape.flows; i++)
		free(fs->flow[i].got);
	free(fs->flow);
	free(fs->marked);
	free(fs->pumping);
	free(fs->pubs);
	free(fs->subs);
	free(fs);
}
