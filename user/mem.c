// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocation that does not fail.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "mem.h"

#define LIMIT_DEFAULT	(256ULL << 20)

static uint64_t limit = LIMIT_DEFAULT;
static size_t charged;

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

bool mem_room(size_t bytes)
{
	return charged < limit && bytes <= limit - charged;
}

void mem_charge(size_t bytes)
{
	charged += bytes;
}

void mem_uncharge(size_t bytes)
{
	charged -= bytes;
}

size_t mem_charged(void)
{
	return charged;
}

bool mem_scarce(void)
{
	return charged > limit / 4 * 3;
}

void mem_limit(uint64_t bytes)
{
	limit = bytes ? bytes : LIMIT_DEFAULT;
}

void mem_complain(const char *what, const char *id)
{
	static uint64_t last;

	if (last && clock_ms() - last < 1000)
		return;
	last = clock_ms();
	log_warning("no room for %s of client %s; see memory_limit in mqttd.conf(5)",
		    what, id);
}
