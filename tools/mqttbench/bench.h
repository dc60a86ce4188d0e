/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run: its loop, its scenario's state, and what came out of it. */
#ifndef MQTTBENCH_BENCH_H
#define MQTTBENCH_BENCH_H

#include <linux/types.h>
#include <stdbool.h>

#include "loop.h"
#include "options.h"
#include "proc.h"
#include "scenario.h"

struct conn;
struct conn_ops;

struct result {
	__u64 sent;
	__u64 expected;
	__u64 delivered;
	__u64 lost;
	__u64 extra;		/* more than was sent: duplicates, or others' */
	__u64 unacked;
	double seconds;		/* from the first to the last message */
	const char *end;	/* why the run ended early, or NULL */
	struct proc_sample cost;
};

struct bench {
	const struct options *opt;
	struct loop loop;
	void *priv;		/* the scenario's */
	__u64 begun;		/* the set-up */
	__u64 started;		/* the measurement */
	__u64 stopped;		/* the last event that counts, 0: still running */
	__u64 deadline;		/* of the whole run */
	double setup_s;
	/* Kept by the scenario while it runs, for the progress line. */
	__u64 sent;
	__u64 expected;
	__u64 delivered;
	struct proc_sample before;	/* the set-up */
	struct result result;
};

/* Returns the exit status; b->result is filled in for 0 and 1. */
int bench_run(struct bench *b, const struct options *o);
void bench_free(struct bench *b);
/* Makes the array of connections; the scenario fills it in. */
void bench_conns(struct bench *b, unsigned int n);
/* Registers the @i-th connection: 'p'ublisher, 's'ubscriber or plain 'c'lient. */
void bench_conn(struct bench *b, unsigned int i, struct conn *c, char kind,
		unsigned int number, const struct conn_ops *ops);

#endif
