/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time since boot: what the kernel stamps events with, and what expiry is
 * counted in.
 */
#ifndef MQTTD_CLOCK_H
#define MQTTD_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#endif /* MQTTD_CLOCK_H */
