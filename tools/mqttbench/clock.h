/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one clock of the program: nanoseconds of CLOCK_MONOTONIC. */
#ifndef MQTTBENCH_CLOCK_H
#define MQTTBENCH_CLOCK_H

#include <linux/types.h>
#include <time.h>

#define NSEC_PER_SEC	1000000000ULL
#define NSEC_PER_MSEC	1000000ULL
#define NEVER		(~0ULL)

static inline __u64 clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

#endif
