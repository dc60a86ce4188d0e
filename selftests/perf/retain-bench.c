// SPDX-License-Identifier: GPL-2.0
/*
 * The retained store with a million topics: what they cost in time and memory,
 * and what walks over them cost.
 *
 * usage: retain-bench [TOPICS]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem.h"
#include "message.h"
#include "retain.h"

#define SLICE	128	/* steps in a turn, as in inflight.c */

static double now_ms(void)
{
	struct timespec ts;

	/* Of this process: what else runs does not count. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1000 + (double)ts.tv_nsec / 1e6;
}

static void put(unsigned int i)
{
	struct message_parts parts = {
		.payload = (const uint8_t *)"21.5",
		.payload_len = 4,
		.source_id = "gateway-17",
		.retain = true,
	};
	struct message *m;
	char topic[64];

	/* One device in a thousand has an alarm. */
	parts.topic_len = (size_t)snprintf(topic, sizeof(topic), "site%u/%s/dev%u/value",
					   i % 100, i % 1000 ? "temp" : "alarm", i);
	parts.topic = (const uint8_t *)topic;
	m = message_new(&parts);
	retain_set(m);
	message_put(m);
}

static void insert(unsigned int n)
{
	size_t charged = mem_charged(), used = mallinfo2().uordblks;
	double begin = now_ms(), last = begin, worst = 0, now;
	unsigned int i;

	for (i = 0; i < n; i++) {
		put(i);
		now = now_ms();
		if (now - last > worst)
			worst = now - last;
		last = now;
	}
	printf("%u topics in %.0f ms, at worst %.1f ms for one\n", n, last - begin, worst);
	printf("%zu bytes each, %zu charged\n", (mallinfo2().uordblks +
	       mallinfo2().hblkhd - used) / n, (mem_charged() - charged) / n);
}

static void walk(const char *filter)
{
	struct retain_cursor *c = retain_cursor_new(filter);
	double begin = now_ms(), last = begin, worst = 0, now;
	unsigned int found = 0, slices = 0, steps;

	for (; !retain_cursor_done(c); slices++) {
		steps = SLICE;
		while (retain_cursor_next(c, &steps))
			found++;
		now = now_ms();
		if (now - last > worst)
			worst = now - last;
		last = now;
	}
	printf("%-20s %8u found in %8.2f ms, %6u slices, at worst %.3f ms for one\n", filter,
	       found, last - begin, slices, worst);
	retain_cursor_free(c);
}

int main(int argc, char *argv[])
{
	unsigned int n = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : 1000000;

	if (!n) {
		fprintf(stderr, "usage: retain-bench [TOPICS]\n");
		return 1;
	}
	retain_init(NULL);
	insert(n);
	walk("#");
	walk("+/alarm/#");
	walk("+/alarm/+/value");
	walk("site7/temp/+/value");
	walk("+/+/dev500000/#");
	walk("+/+/+/none");
	walk("site1/none/#");
	retain_free();
	return 0;
}
