/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc says a run cost: CPU time of whom, and memory. */
#ifndef MQTTBENCH_PROC_H
#define MQTTBENCH_PROC_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>

/* Absolute figures, or the difference of two of them. */
struct proc_sample {
	double self_s;		/* this process, user and system */
	double broker_s;	/* the processes given, all their threads */
	double system_s;	/* all CPUs, all that is not idle */
	long long broker_bytes;	/* resident */
	long long slab_bytes;	/* of the whole kernel */
	bool broker;		/* the broker_ figures mean something */
};

void proc_sample(struct proc_sample *s, const pid_t *pids, unsigned int npids);
void proc_difference(struct proc_sample *d, const struct proc_sample *from,
		     const struct proc_sample *to);
/* Prints an error and returns false if one of them is no process. */
bool proc_check(const pid_t *pids, unsigned int npids);

#endif
