// SPDX-License-Identifier: GPL-2.0
/*
 * The topic cache: insertion on second sight, eviction by a clock, a shrinker,
 * validity by generations.
 */

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rhashtable.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include "fib-cache.h"

#define CACHE_GFP	(GFP_NOWAIT | __GFP_NOWARN)
/* Chunks double from the first to a page. */
#define CACHE_CHUNK_MIN	64
#define CACHE_CHUNK_MAX	PAGE_SIZE
/* Entries looked at to make room for one. */
#define CACHE_HAND_MAX	64
/* Slots of @seen. */
#define CACHE_SEEN_N	KMQTT_CACHE_COUNT_MAX

/*
 * All caches, for the one shrinker.  cache_lock is taken outside of the
 * caches' own locks, and never under them.
 */
static LIST_HEAD(cache_list);
static DEFINE_SPINLOCK(cache_lock);
static struct shrinker *cache_shrinker;

/* What an entry is found by; lives for one look-up. */
struct cache_key {
	const u8 *topic;
	u32 hash;
	u16 len;
};

/* The hash was made with a secret; @seed adds nothing to it. */
static u32 cache_key_hash(const void *data, u32 len, u32 seed)
{
	const struct cache_key *key = data;

	return key->hash;
}

static u32 cache_entry_hash(const void *data, u32 len, u32 seed)
{
	const struct kmqtt_cache_entry *entry = data;

	return entry->hash;
}

static int cache_cmp(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct cache_key *key = arg->key;
	const struct kmqtt_cache_entry *entry = obj;

	return entry->hash != key->hash || entry->len != key->len ||
	       memcmp(entry->topic, key->topic, key->len);
}

static const struct rhashtable_params cache_params = {
	.head_offset = offsetof(struct kmqtt_cache_entry, link),
	.hashfn = cache_key_hash,
	.obj_hashfn = cache_entry_hash,
	.obj_cmpfn = cache_cmp,
	.max_size = KMQTT_CACHE_COUNT_MAX,
	.automatic_shrinking = true,
};

struct kmqtt_cache_entry *kmqtt_cache_find(struct kmqtt_cache *cache,
					   const u8 *topic, u16 len, u64 hash)
{
	const struct cache_key key = {
		.topic = topic,
		.hash = (u32)hash,
		.len = len,
	};
	struct kmqtt_cache_entry *entry;

	entry = rhashtable_lookup(&cache->entries, &key, cache_params);
	if (entry && !READ_ONCE(entry->used))
		WRITE_ONCE(entry->used, true);
	return entry;
}

bool kmqtt_cache_seen(struct kmqtt_cache *cache, u64 hash)
{
	/* Acquire: the table was cleared before it was published. */
	u16 *seen = smp_load_acquire(&cache->seen);
	u16 print = hash >> 32;

	if (!seen)
		return false;
	seen += (hash >> 48) % CACHE_SEEN_N;
	if (READ_ONCE(*seen) == print)
		return true;
	WRITE_ONCE(*seen, print);
	return false;
}

void kmqtt_cache_bump(struct kmqtt_cache *cache, u16 gen)
{
	/*
	 * Release: who sees the new generation sees the change.  Who removed
	 * something starts the grace period after this.
	 */
	smp_store_release(&cache->gens[gen], cache->gens[gen] + 1);
}

struct kmqtt_cache_entry *kmqtt_cache_alloc(const u8 *topic, u16 len, u64 hash,
					    u16 bucket, unsigned long gen)
{
	struct kmqtt_cache_entry *entry;
	size_t size = struct_size(entry, topic, len);

	entry = kmalloc(size, CACHE_GFP);
	if (!entry)
		return NULL;
	entry->chunks = NULL;
	entry->last = NULL;
	entry->bytes = size;
	entry->gen = gen;
	entry->hash = (u32)hash;
	entry->bucket = bucket;
	entry->used = false;
	entry->plain = true;
	entry->len = len;
	memcpy(entry->topic, topic, len);
	return entry;
}

void kmqtt_cache_free(struct kmqtt_cache_entry *entry)
{
	struct kmqtt_cache_chunk *chunk, *next;

	for (chunk = entry->chunks; chunk; chunk = next) {
		next = chunk->next;
		kfree(chunk);
	}
	kfree(entry);
}

static void cache_free_rcu(struct rcu_head *rcu)
{
	kmqtt_cache_free(container_of(rcu, struct kmqtt_cache_entry, rcu));
}

static struct kmqtt_cache_chunk *cache_chunk(struct kmqtt_cache_entry *entry,
					     size_t need)
{
	struct kmqtt_cache_chunk *chunk = entry->last;
	size_t size = chunk ? chunk->size * 2 : CACHE_CHUNK_MIN;

	if (chunk && chunk->tail - struct_size(chunk, dest, chunk->n) >= need)
		return chunk;
	size = clamp_t(size_t, size, roundup_pow_of_two(sizeof(*chunk) + need),
		       CACHE_CHUNK_MAX);
	chunk = kmalloc(size, CACHE_GFP);
	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->size = size;
	chunk->tail = size;
	chunk->n = 0;
	if (entry->last)
		entry->last->next = chunk;
	else
		entry->chunks = chunk;
	entry->last = chunk;
	entry->bytes += size;
	return chunk;
}

int kmqtt_cache_add_dest(struct kmqtt_cache_entry *entry,
			 const struct kmqtt_cache_dest *dest)
{
	size_t bytes = dest->n_subids * sizeof(u32);
	struct kmqtt_cache_chunk *chunk = cache_chunk(entry, sizeof(*dest) + bytes);
	struct kmqtt_cache_dest *to;

	if (!chunk)
		return -ENOMEM;
	to = &chunk->dest[chunk->n++];
	*to = *dest;
	if (dest->kind == KMQTT_CACHE_GROUP || !dest->conn)
		entry->plain = false;
	if (dest->n_subids) {
		chunk->tail -= bytes;
		to->subids = (void *)chunk + chunk->tail;
		memcpy((void *)chunk + chunk->tail, dest->subids, bytes);
	}
	return 0;
}

static void cache_remove(struct kmqtt_cache *cache,
			 struct kmqtt_cache_entry *entry)
{
	lockdep_assert_held(&cache->lock);
	rhashtable_remove_fast(&cache->entries, &entry->link, cache_params);
	list_del(&entry->clock);
	WRITE_ONCE(cache->count, cache->count - 1);
	cache->bytes -= entry->bytes;
	call_rcu(&entry->rcu, cache_free_rcu);
}

/* Look at one entry: remove it unless it is current and has been used. */
static bool cache_hand(struct kmqtt_cache *cache)
{
	struct kmqtt_cache_entry *entry;

	lockdep_assert_held(&cache->lock);
	entry = list_first_entry(&cache->clock, struct kmqtt_cache_entry, clock);
	if (READ_ONCE(entry->used) && kmqtt_cache_valid(cache, entry)) {
		WRITE_ONCE(entry->used, false);
		list_move_tail(&entry->clock, &cache->clock);
		return false;
	}
	cache_remove(cache, entry);
	return true;
}

static bool cache_has_room(const struct kmqtt_cache *cache, size_t bytes)
{
	return cache->count < cache->count_max &&
	       cache->bytes + bytes <= cache->bytes_max;
}

static bool cache_make_room(struct kmqtt_cache *cache, size_t bytes)
{
	unsigned int n = CACHE_HAND_MAX;

	while (!cache_has_room(cache, bytes)) {
		if (!n-- || list_empty(&cache->clock))
			return false;
		cache_hand(cache);
	}
	return true;
}

/* Returns false if @entry cannot be kept. */
static bool cache_insert(struct kmqtt_cache *cache,
			 struct kmqtt_cache_entry *entry)
{
	const struct cache_key key = {
		.topic = entry->topic,
		.hash = entry->hash,
		.len = entry->len,
	};
	struct kmqtt_cache_entry *old;

	lockdep_assert_held(&cache->lock);
	old = rhashtable_lookup_fast(&cache->entries, &key, cache_params);
	if (old && kmqtt_cache_valid(cache, old))
		return false;
	if (old)
		cache_remove(cache, old);
	if (!cache_make_room(cache, entry->bytes))
		return false;
	if (rhashtable_insert_fast(&cache->entries, &entry->link, cache_params))
		return false;
	list_add_tail(&entry->clock, &cache->clock);
	WRITE_ONCE(cache->count, cache->count + 1);
	cache->bytes += entry->bytes;
	return true;
}

void kmqtt_cache_insert(struct kmqtt_cache *cache,
			struct kmqtt_cache_entry *entry)
{
	bool kept;

	spin_lock(&cache->lock);
	kept = cache_insert(cache, entry);
	spin_unlock(&cache->lock);
	if (!kept)
		kmqtt_cache_free(entry);
}

static unsigned long cache_shrink_count(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	struct kmqtt_cache *cache;
	unsigned long n = 0;

	spin_lock(&cache_lock);
	list_for_each_entry(cache, &cache_list, caches)
		n += READ_ONCE(cache->count);
	spin_unlock(&cache_lock);
	return n ?: SHRINK_EMPTY;
}

static unsigned long cache_shrink_scan(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	struct kmqtt_cache *cache;
	unsigned long n = sc->nr_to_scan, freed = 0;

	spin_lock(&cache_lock);
	list_for_each_entry(cache, &cache_list, caches) {
		spin_lock(&cache->lock);
		for (; n && !list_empty(&cache->clock); n--)
			freed += cache_hand(cache);
		spin_unlock(&cache->lock);
	}
	spin_unlock(&cache_lock);
	return freed;
}

int kmqtt_cache_init(struct kmqtt_cache *cache)
{
	int err = rhashtable_init(&cache->entries, &cache_params);

	if (err)
		return err;
	spin_lock_init(&cache->lock);
	INIT_LIST_HEAD(&cache->clock);
	cache->count_max = KMQTT_CACHE_COUNT_MAX;
	cache->bytes_max = KMQTT_CACHE_BYTES_MAX;
	spin_lock(&cache_lock);
	list_add_tail(&cache->caches, &cache_list);
	spin_unlock(&cache_lock);
	return 0;
}

int kmqtt_cache_enable(struct kmqtt_cache *cache)
{
	u16 *seen;

	if (cache->seen)
		return 0;
	seen = kvcalloc(CACHE_SEEN_N, sizeof(*seen), GFP_KERNEL_ACCOUNT);
	if (!seen)
		return -ENOMEM;
	/* Release pairs with kmqtt_cache_seen(). */
	smp_store_release(&cache->seen, seen);
	return 0;
}

void kmqtt_cache_destroy(struct kmqtt_cache *cache)
{
	struct kmqtt_cache_entry *entry, *next;

	spin_lock(&cache_lock);
	list_del(&cache->caches);
	spin_unlock(&cache_lock);
	spin_lock(&cache->lock);
	list_for_each_entry_safe(entry, next, &cache->clock, clock)
		cache_remove(cache, entry);
	spin_unlock(&cache->lock);
	rhashtable_destroy(&cache->entries);
	kvfree(cache->seen);
}

int kmqtt_cache_module_init(void)
{
	cache_shrinker = shrinker_alloc(0, "kmqtt-topics");
	if (!cache_shrinker)
		return -ENOMEM;
	cache_shrinker->count_objects = cache_shrink_count;
	cache_shrinker->scan_objects = cache_shrink_scan;
	cache_shrinker->seeks = DEFAULT_SEEKS;
	shrinker_register(cache_shrinker);
	return 0;
}

void kmqtt_cache_module_exit(void)
{
	shrinker_free(cache_shrinker);
	/* Entries are freed by a function of this module. */
	rcu_barrier();
}
