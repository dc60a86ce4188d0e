/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scenario says which connections there are and what happens on them.
 * The bench calls these operations from its one loop; a new scenario is one
 * file and one line in scenario.c.
 */
#ifndef MQTTBENCH_SCENARIO_H
#define MQTTBENCH_SCENARIO_H

#include <linux/types.h>
#include <stdbool.h>

struct bench;
struct options;

struct scenario {
	const char *name;
	const char *help;
	/* The measurement begins when all are connected, not at once. */
	bool connect_first;
	/* Messages are published: size, QoS, mode and the like have a meaning. */
	bool publishes;
	/* Connections open at a time, to check against the descriptor limit. */
	unsigned int (*connections)(const struct options *o);
	void (*init)(struct bench *b);
	void (*start)(struct bench *b);
	/* After each batch of events; returns when it wants to run again. */
	__u64 (*turn)(struct bench *b);
	bool (*done)(struct bench *b);
	/* Fills in the bench's result; NULL: the loop has counted all. */
	void (*finish)(struct bench *b);
	/* Undoes init, when the connections are closed. */
	void (*free)(struct bench *b);
	/* Instead of all of these: a server; returns if it cannot be one. */
	int (*serve)(const struct options *o);
};

extern const struct scenario scenario_connect;
extern const struct scenario scenario_idle;
extern const struct scenario scenario_fanout;
extern const struct scenario scenario_fanin;
extern const struct scenario scenario_pair;
extern const struct scenario scenario_relay;
extern const struct scenario scenario_write;

/* NULL-terminated, in the order of the help text. */
extern const struct scenario * const scenarios[];

const struct scenario *scenario_find(const char *name);

#endif
