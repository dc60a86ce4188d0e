// SPDX-License-Identifier: GPL-2.0-or-later
/* Log-linear histogram of durations. */
#include "hist.h"
#include "macros.h"

static unsigned int slot_of(__u64 ns)
{
	unsigned int shift;

	if (ns < HIST_STEPS)
		return ns;
	shift = 63 - __builtin_clzll(ns) - HIST_STEP_BITS;
	return (shift + 1) * HIST_STEPS + ((ns >> shift) - HIST_STEPS);
}

/* The largest value that falls into a slot. */
static __u64 slot_border(unsigned int slot)
{
	unsigned int shift;

	if (slot < HIST_STEPS)
		return slot;
	shift = slot / HIST_STEPS - 1;
	return ((HIST_STEPS + slot % HIST_STEPS + 1ULL) << shift) - 1;
}

void hist_add(struct hist *h, __u64 ns)
{
	h->count++;
	if (ns > h->max)
		h->max = ns;
	h->slot[slot_of(ns)]++;
}

__u64 hist_percentile(const struct hist *h, double percent)
{
	__u64 want = h->count * (percent / 100), seen = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(h->slot); i++) {
		seen += h->slot[i];
		if (seen && seen >= want)
			return slot_border(i) < h->max ? slot_border(i) : h->max;
	}
	return h->max;
}
