// SPDX-License-Identifier: GPL-2.0-or-later
/* The course of a run: set-up, measurement, end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "bench.h"
#include "buf.h"
#include "clock.h"
#include "conn.h"
#include "report.h"

/* Descriptors besides the connections. */
#define FILES_EXTRA	32
/* Signals and the deadline are looked at this often. */
#define TICK		(100 * NSEC_PER_MSEC)
/* After the last message expected: what comes now is more than was sent. */
#define SETTLE		(100 * NSEC_PER_MSEC)

static sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	__atomic_store_n(&interrupted, 1, __ATOMIC_RELAXED);
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	/* Paced messages are to leave on time, not within 50 us of it. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

/* Root may go above the hard limit. */
static bool raise_file_limit(const struct options *o)
{
	rlim_t need = o->scenario->connections(o) + (rlim_t)FILES_EXTRA;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return false;
	if (r.rlim_cur >= need)
		return true;
	r.rlim_cur = need;
	if (r.rlim_max < need)
		r.rlim_max = need;
	if (!setrlimit(RLIMIT_NOFILE, &r))
		return true;
	fprintf(stderr, "mqttbench: option --clients: %llu open files are needed: %s\n",
		(unsigned long long)need, strerror(errno));
	return false;
}

void bench_conns(struct bench *b, unsigned int n)
{
	b->loop.conns = xalloc(n, sizeof(*b->loop.conns));
	b->loop.nconns = n;
}

void bench_conn(struct bench *b, unsigned int i, struct conn *c, char kind,
		unsigned int number, const struct conn_ops *ops)
{
	const struct levels *l = kind == 's' ? &b->opt->sub_levels : &b->opt->pub_levels;

	conn_init(c, &b->loop, ops);
	snprintf(c->id, sizeof(c->id), "%s%c%u", b->opt->id, kind, number);
	c->level = l->level[number % l->n];
	b->loop.conns[i] = c;
	if (b->opt->scenario->connect_first)
		loop_start(&b->loop, c);
}

/* Whether the run is to end before it is done; says why. */
static bool bench_over(struct bench *b)
{
	if (__atomic_load_n(&interrupted, __ATOMIC_RELAXED))
		b->result.end = "interrupted";
	else if (b->loop.now >= b->deadline)
		b->result.end = "timed out (--timeout)";
	return b->result.end;
}

static __u64 min_u64(__u64 x, __u64 y)
{
	return x < y ? x : y;
}

/* One turn that comes back for progress, signals and the deadline. */
static void bench_turn(struct bench *b, __u64 until)
{
	until = min_u64(until, b->loop.now + TICK);
	until = min_u64(until, min_u64(b->deadline, report_progress(b)));
	loop_turn(&b->loop, until);
}

static void bench_setup(struct bench *b)
{
	struct loop *l = &b->loop;

	while (l->ready < l->nconns && !bench_over(b)) {
		bench_turn(b, NEVER);
		if (l->failed)
			b->result.end = "not all clients could connect";
	}
	b->setup_s = (double)(clock_now() - b->begun) / NSEC_PER_SEC;
}

static void bench_measure(struct bench *b)
{
	const struct scenario *s = b->opt->scenario;
	struct proc_sample start, after;
	__u64 next = 0;

	proc_sample(&start, b->opt->pids, b->opt->npids);
	b->started = clock_now();
	b->loop.now = b->started;
	s->start(b);
	while (!s->done(b) && !bench_over(b)) {
		bench_turn(b, next);
		next = s->turn(b);
	}
	if (!b->stopped)
		b->stopped = clock_now();
	proc_sample(&after, b->opt->pids, b->opt->npids);
	proc_difference(&b->result.cost, &start, &after);
	/* Memory is what the connections have taken, so from before them. */
	b->result.cost.broker_bytes = after.broker_bytes - b->before.broker_bytes;
	b->result.cost.slab_bytes = after.slab_bytes - b->before.slab_bytes;
	b->result.seconds = (double)(b->stopped - b->started) / NSEC_PER_SEC;
}

static void bench_settle(struct bench *b)
{
	__u64 until = clock_now() + SETTLE;

	while (b->loop.now < until)
		loop_turn(&b->loop, until);
}

int bench_run(struct bench *b, const struct options *o)
{
	const struct scenario *s = o->scenario;
	struct result *r = &b->result;

	b->opt = o;
	if (!proc_check(o->pids, o->npids) || !raise_file_limit(o) || !loop_init(&b->loop, o))
		return 1;
	catch_signals();
	b->begun = b->loop.now;
	b->deadline = b->begun + o->timeout * NSEC_PER_SEC;
	proc_sample(&b->before, o->pids, o->npids);
	s->init(b);
	if (s->connect_first)
		bench_setup(b);
	if (!r->end)
		bench_measure(b);
	if (!r->end && s->publishes)
		bench_settle(b);
	report_progress_end(b);
	if (s->finish)
		s->finish(b);
	return r->end || r->lost || r->extra || r->unacked || b->loop.failed ||
	       b->loop.refused;
}

void bench_free(struct bench *b)
{
	loop_free(&b->loop);
	if (b->priv)
		b->opt->scenario->free(b);
}
