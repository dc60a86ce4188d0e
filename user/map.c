// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hash table with the entries inside the objects.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"
#include "map.h"
#include "mem.h"

static uint64_t map_key[2];

static void map_key_init(void)
{
	static bool done;

	if (done)
		return;
	if (getrandom(map_key, sizeof(map_key), 0) != (ssize_t)sizeof(map_key)) {
		log_msg(MQTTD_LOG_ERR, "no random numbers from the kernel");
		exit(EXIT_FAILURE);
	}
	done = true;
}

static inline uint64_t rotl(uint64_t x, unsigned int b)
{
	return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

uint64_t map_hash(uint64_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4], m;
	size_t n = len;

	map_key_init();
	v[0] = 0x736f6d6570736575ULL ^ map_key[0];
	v[1] = 0x646f72616e646f6dULL ^ map_key[1];
	v[2] = 0x6c7967656e657261ULL ^ map_key[0];
	v[3] = 0x7465646279746573ULL ^ map_key[1];
	sip_word(v, seed);
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&m, p, 8);
		sip_word(v, m);
	}
	m = (uint64_t)len << 56;
	while (n--)
		m |= (uint64_t)p[n] << (8 * n);
	sip_word(v, m);
	v[2] ^= 0xff;
	for (n = 0; n < 4; n++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void map_resize(struct map *map, size_t n_buckets)
{
	struct map_entry **buckets = mem_zalloc(n_buckets * sizeof(*buckets));
	struct map_entry *e, *tmp;
	size_t i;

	map_for_each(e, tmp, i, map) {
		struct map_entry **b = &buckets[e->hash & (n_buckets - 1)];

		e->next = *b;
		*b = e;
	}
	free(map->buckets);
	map->buckets = buckets;
	map->n_buckets = n_buckets;
}

void map_add(struct map *map, struct map_entry *e, uint64_t hash)
{
	struct map_entry **b;

	if (map->count >= map->n_buckets)
		map_resize(map, map->n_buckets ? map->n_buckets * 2 : 64);
	b = &map->buckets[hash & (map->n_buckets - 1)];
	e->hash = hash;
	e->next = *b;
	*b = e;
	map->count++;
}

void map_del(struct map *map, struct map_entry *e)
{
	struct map_entry **b = &map->buckets[e->hash & (map->n_buckets - 1)];

	while (*b != e)
		b = &(*b)->next;
	*b = e->next;
	map->count--;
}

struct map_entry *map_first(const struct map *map, uint64_t hash)
{
	struct map_entry *e;

	if (!map->n_buckets)
		return NULL;
	e = map->buckets[hash & (map->n_buckets - 1)];
	while (e && e->hash != hash)
		e = e->next;
	return e;
}

struct map_entry *map_next(const struct map_entry *e)
{
	uint64_t hash = e->hash;
	struct map_entry *next = e->next;

	while (next && next->hash != hash)
		next = next->next;
	return next;
}

static uint64_t bits_reversed(uint64_t x)
{
	x = (x & 0x5555555555555555ULL) << 1 | (x >> 1 & 0x5555555555555555ULL);
	x = (x & 0x3333333333333333ULL) << 2 | (x >> 2 & 0x3333333333333333ULL);
	x = (x & 0x0f0f0f0f0f0f0f0fULL) << 4 | (x >> 4 & 0x0f0f0f0f0f0f0f0fULL);
	return __builtin_bswap64(x);
}

/* The first of a bucket that the walk has not met, or NULL. */
static struct map_entry *bucket_next(const struct map *map, struct map_walk *w)
{
	size_t bucket = bits_reversed(w->next) & (map->n_buckets - 1);
	struct map_entry *e, *found = NULL;
	uint64_t place, best = 0;

	for (e = map->buckets[bucket]; e; e = e->next) {
		place = bits_reversed(e->hash);
		if (place < w->next || (found && place >= best))
			continue;
		found = e;
		best = place;
	}
	if (!found)
		return NULL;
	w->next = best + 1;
	w->done = !w->next;
	return found;
}

struct map_entry *map_walk_next(const struct map *map, struct map_walk *w,
				unsigned int *steps)
{
	struct map_entry *e;
	uint64_t span;

	if (!map->n_buckets)
		w->done = true;
	while (!w->done && *steps) {
		--*steps;
		e = bucket_next(map, w);
		if (e)
			return e;
		/* A bucket holds the places with the same highest bits. */
		span = UINT64_MAX / map->n_buckets + 1;
		w->next = (w->next / span + 1) * span;
		w->done = !w->next;
	}
	return NULL;
}

void map_free(struct map *map)
{
	free(map->buckets);
	memset(map, 0, sizeof(*map));
}
