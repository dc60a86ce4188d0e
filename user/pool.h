/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few threads for what would take the event loop too long.
 */
#ifndef MQTTD_POOL_H
#define MQTTD_POOL_H

#include <stdbool.h>
#include <event2/event.h>

#include "list.h"

/**
 * struct pool_job - something to do, part of what its owner allocates
 * @node: the pool's
 * @begun: a thread has it; under the pool's lock
 * @work: called in a thread; touches nothing but the job
 * @done: called in the event loop, once, to free the job; @worked tells
 *	whether it was worked on, or it was cancelled
 */
struct pool_job {
	struct list node;
	bool begun;
	void (*work)(struct pool_job *job);
	void (*done)(struct pool_job *job, bool worked);
};

/* Before the first job, after the last fork.  0 or -errno. */
int pool_start(struct event_base *base);
/* Jobs begin in the order in which they come here. */
void pool_run(struct pool_job *job);
/* Nobody wants it any more: not begun yet it is done with, else it goes on. */
void pool_cancel(struct pool_job *job);
/* Ends what is worked on and cancels the rest. */
void pool_stop(void);

#endif /* MQTTD_POOL_H */
