/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every unit test needs: cmocka with TAP output, and input that ends
 * where its memory ends, so that AddressSanitizer sees each byte read too far.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include <linux/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* A copy of @len bytes in memory of exactly that size; valid until the next. */
static inline const __u8 *exact(const void *bytes, size_t len)
{
	static void *last;

	free(last);
	last = malloc(len);
	if (len)
		memcpy(last, bytes, len);
	return last;
}

#define RUN(tests)						\
	(cmocka_set_message_output(CM_OUTPUT_TAP),		\
	 cmocka_run_group_tests(tests, NULL, NULL))

#endif /* UNIT_H */
