// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What commands to the kernel follow from.
 */
#include "cause.h"
#include "store.h"

static struct cause now;

void cause_begin(struct cause *outer)
{
	*outer = now;
	now = (struct cause){ .known = true, .ops = store_ops() };
}

void cause_end(const struct cause *outer)
{
	now = *outer;
}

void cause_after(uint64_t seq)
{
	if (now.known && seq > now.after)
		now.after = seq;
}

void cause_stay(void)
{
	now.stay = now.known;
}

void cause_key(uint64_t key)
{
	if (now.known)
		now.key = key | 1;
}

uint64_t cause_wait(void)
{
	uint64_t seq = 0;

	if (!now.known || now.ops != store_ops())
		seq = store_seq();
	return seq > now.after ? seq : now.after;
}

const struct cause *cause_now(void)
{
	return &now;
}
