/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A histogram of durations in bounded memory: 64 linear steps per power of
 * two, so a percentile is at most 1.6 % too high; the maximum is exact.
 */
#ifndef MQTTBENCH_HIST_H
#define MQTTBENCH_HIST_H

#include <linux/types.h>

#define HIST_STEP_BITS	6
#define HIST_STEPS	64

struct hist {
	__u64 count;
	__u64 max;
	__u64 slot[(64 - HIST_STEP_BITS + 1) * HIST_STEPS];
};

void hist_add(struct hist *h, __u64 ns);
/* The smallest slot border that at least @percent of the values lie under. */
__u64 hist_percentile(const struct hist *h, double percent);

#endif
