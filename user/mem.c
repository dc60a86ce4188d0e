// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocation that does not fail.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"

static void *checked(void *p)
{
	if (!p) {
		log_msg(MQTTD_LOG_ERR, "out of memory; the next mqttd takes over");
		_exit(EXIT_FAILURE);
	}
	return p;
}

void *mem_zalloc(size_t size)
{
	return checked(calloc(1, size ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
	return checked(realloc(p, size ? size : 1));
}

void *mem_dup(const void *p, size_t len)
{
	void *q = checked(malloc(len ? len : 1));

	if (len)
		memcpy(q, p, len);
	return q;
}

char *mem_strndup(const void *p, size_t len)
{
	char *s = checked(malloc(len + 1));

	if (len)
		memcpy(s, p, len);
	s[len] = '\0';
	return s;
}
