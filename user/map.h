/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hash table with the entries inside the objects.  The hash is keyed: peers
 * choose client ids and topics.
 */
#ifndef MQTTD_MAP_H
#define MQTTD_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
};

/* All zero is an empty map. */
struct map {
	struct map_entry **buckets;
	size_t n_buckets;
	size_t count;
};

/* SipHash-2-4 under a random key of this process; @seed is mixed in. */
uint64_t map_hash(uint64_t seed, const void *data, size_t len);

void map_add(struct map *map, struct map_entry *e, uint64_t hash);
void map_del(struct map *map, struct map_entry *e);
/* First entry of the chain with @hash; then map_next(). */
struct map_entry *map_first(const struct map *map, uint64_t hash);
struct map_entry *map_next(const struct map_entry *e);
void map_free(struct map *map);

/**
 * struct map_walk - where a walk stands that goes on later
 * @next: the place of the first entry it has not met
 * @done: it has met all
 *
 * All zero is the beginning.  The order is that of the bit-reversed hashes: it
 * does not change when the table grows, so that what is there all the time is
 * met exactly once, whatever comes and goes between two steps.
 */
struct map_walk {
	uint64_t next;
	bool done;
};

/*
 * The next entry of a walk; others of the same hash follow with map_next().
 * NULL at its end, or when *@steps, of which each bucket looked at takes one,
 * is used up.
 */
struct map_entry *map_walk_next(const struct map *map, struct map_walk *w,
				unsigned int *steps);

/* Walk all: the entry may be deleted in the body, none may be added. */
#define map_for_each(e, tmp, i, map)						\
	for ((i) = 0; (i) < (map)->n_buckets; (i)++)				\
		for ((e) = (map)->buckets[i];					\
		     (e) && ((tmp) = (e)->next, 1); (e) = (tmp))

#endif /* MQTTD_MAP_H */
