/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Publishers and subscribers in motion. A flow is a set of publishers each of
 * whose messages goes to every subscriber of the set; the scenarios fan-out,
 * fan-in and pair differ only in how many flows there are and who is in them.
 *
 * A publisher writes prebuilt frames, a batch at a time, when its mode lets
 * it: the flow's window is open, a paced batch is due, or always; and when
 * fewer than --inflight of its QoS 1 and 2 messages wait for an answer.
 */
#ifndef MQTTBENCH_FLOW_H
#define MQTTBENCH_FLOW_H

#include <linux/types.h>
#include <stdbool.h>

struct bench;
struct options;

struct flow_shape {
	unsigned int flows;
	unsigned int pubs;		/* of each flow */
	unsigned int subs;		/* of each flow */
	bool shared_topic;		/* else one topic per publisher, filter with + */
	const int *ends;		/* no broker: the subscribers' other ends */
};

void flow_init(struct bench *b, const struct flow_shape *shape);

/* Operations of struct scenario. */
void flow_start(struct bench *b);
__u64 flow_turn(struct bench *b);
bool flow_done(struct bench *b);
void flow_finish(struct bench *b);
void flow_free(struct bench *b);

/* The sizes that --mode, --per-write and --window come to, for the report. */
unsigned int flow_batch(const struct options *o, unsigned int frame_len);
unsigned int flow_window(const struct options *o, unsigned int batch);

#endif
