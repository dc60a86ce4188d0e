/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzzers share: an assertion that stays in every build and tells
 * what it wanted, and the entry that libFuzzer calls.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#define WANT(condition)							\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "%s:%d: not true: %s\n",	\
				__FILE__, __LINE__, #condition);	\
			abort();					\
		}							\
	} while (0)

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

/* The code point at @s, its bytes in @n; -1 if it is not well-formed. */
static inline long naive_code_point(const __u8 *s, size_t len, size_t *n)
{
	static const long first[] = { 0, 0, 0x80, 0x800, 0x10000 };
	long c;
	size_t i;

	*n = s[0] < 0x80 ? 1 : s[0] >> 5 == 0x6 ? 2 : s[0] >> 4 == 0xe ? 3 :
	     s[0] >> 3 == 0x1e ? 4 : 0;
	if (!*n || *n > len)
		return -1;
	c = *n == 1 ? s[0] : s[0] & (0x7f >> *n);
	for (i = 1; i < *n; i++) {
		if (s[i] >> 6 != 2)
			return -1;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < first[*n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -1;
	return c;
}

static inline bool naive_utf8(const __u8 *s, size_t len)
{
	size_t n;

	for (; len; s += n, len -= n)
		if (naive_code_point(s, len, &n) <= 0)
			return false;
	return true;
}

#endif /* FUZZ_H */
