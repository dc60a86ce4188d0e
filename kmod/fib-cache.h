/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The topic cache of the FIB: Topic Names resolved to flat lists of
 * destinations, valid until a generation they depend on changes.
 */
#ifndef KMQTT_FIB_CACHE_H
#define KMQTT_FIB_CACHE_H

#include <linux/list.h>
#include <linux/rhashtable-types.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct kmqtt_conn;
struct kmqtt_node;

/* Limits of one namespace. */
#define KMQTT_CACHE_COUNT_MAX	32768U
#define KMQTT_CACHE_BYTES_MAX	(16U << 20)
/* Longer topics are resolved anew each time. */
#define KMQTT_CACHE_TOPIC_MAX	1024U

/* Generations by first level, and one that everything depends on. */
#define KMQTT_CACHE_GENS	256
#define KMQTT_CACHE_GEN_ALL	KMQTT_CACHE_GENS

/**
 * enum kmqtt_cache_kind - when a cached destination applies
 * @KMQTT_CACHE_ANY: always
 * @KMQTT_CACHE_OTHERS: unless it is the source (No Local)
 * @KMQTT_CACHE_SELF: only if it is the source: its routes without No Local
 * @KMQTT_CACHE_GROUP: a share group that chooses a member for each message
 */
enum kmqtt_cache_kind {
	KMQTT_CACHE_ANY,
	KMQTT_CACHE_OTHERS,
	KMQTT_CACHE_SELF,
	KMQTT_CACHE_GROUP,
};

/**
 * struct kmqtt_cache_dest - a destination
 * @conn: target, %NULL = daemon (all kinds but GROUP)
 * @group: the group (GROUP)
 * @subids: Subscription Identifiers, in a chunk of the same entry
 * @n_subids: their number
 * @flags: KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED or 0
 * @kind: enum kmqtt_cache_kind
 */
struct kmqtt_cache_dest {
	union {
		struct kmqtt_conn *conn;
		struct kmqtt_node *group;
	};
	const u32 *subids;
	u16 n_subids;
	u8 flags;
	u8 kind;
};

/**
 * struct kmqtt_cache_chunk - at most a page of destinations
 * @next: next chunk
 * @size: allocated bytes
 * @tail: where the subscription identifiers begin, growing downwards
 * @n: destinations
 * @dest: the destinations
 */
struct kmqtt_cache_chunk {
	struct kmqtt_cache_chunk *next;
	u32 size;
	u32 tail;
	u32 n;
	struct kmqtt_cache_dest dest[];
};

/**
 * struct kmqtt_cache_entry - a resolved topic
 *
 * Holds bare pointers to connections and groups.  Who removes a route unlinks
 * it, moves the generation on, and only then starts the grace period after
 * which the connection or group may be freed.  A reader that finds the
 * entry's generation current has therefore begun before that grace period,
 * and what the entry points to outlives its read-side section.  Nothing else
 * follows these pointers: eviction and shrinker do not.
 *
 * Lifetime: made by the caller of kmqtt_cache_alloc(), then owned by the
 * cache; freed after a grace period.
 *
 * @link: link in the hash table
 * @rcu: for the deferred free
 * @clock: link in the cache's list
 * @chunks: the destinations
 * @last: last chunk
 * @bytes: memory it takes
 * @gen: sum of its two generations when it was resolved
 * @hash: of the topic
 * @bucket: index of its first generation
 * @used: looked at since the clock's hand passed
 * @plain: its destinations are connections, and each message goes to all
 * @len: length of @topic
 * @topic: Topic Name
 */
struct kmqtt_cache_entry {
	struct rhash_head link;
	struct rcu_head rcu;
	struct list_head clock;
	struct kmqtt_cache_chunk *chunks;
	struct kmqtt_cache_chunk *last;
	size_t bytes;
	unsigned long gen;
	u32 hash;
	u16 bucket;
	bool used;
	bool plain;
	u16 len;
	u8 topic[];
};

/**
 * struct kmqtt_cache - the cache of one FIB
 * @entries: by topic; written under @lock
 * @lock: guards everything but @gens and @seen.  Process context, and the
 *	shrinker: nothing under it may reclaim memory.
 * @clock: entries, the next to be considered for eviction first
 * @count: entries
 * @bytes: their memory
 * @count_max: limit of @count
 * @bytes_max: limit of @bytes
 * @seen: fingerprints of topics seen once, by hash; advisory, unlocked.
 *	%NULL until the FIB has its first route.
 * @gens: generations; written under the FIB's mutex
 * @caches: link in the list the shrinker goes through
 */
struct kmqtt_cache {
	struct rhashtable entries;
	spinlock_t lock;	/* all but @gens and @seen */
	struct list_head clock;
	u32 count;
	size_t bytes;
	u32 count_max;
	size_t bytes_max;
	u16 *seen;
	unsigned long gens[KMQTT_CACHE_GENS + 1];
	struct list_head caches;
};

/* An empty cache that remembers nothing yet; 0 or -errno of rhashtable_init(). */
int kmqtt_cache_init(struct kmqtt_cache *cache);
/* There must be no readers. */
void kmqtt_cache_destroy(struct kmqtt_cache *cache);

/* Start remembering topics; process context, under the FIB's mutex. */
int kmqtt_cache_enable(struct kmqtt_cache *cache);

/*
 * Make what depends on generation @gen stale.  Called after the change, under
 * the FIB's mutex.
 */
void kmqtt_cache_bump(struct kmqtt_cache *cache, u16 gen);

/*
 * The generation to give to kmqtt_cache_alloc(), read before the trie: if a
 * change is missed by the walk, the generation is older than the change.
 */
static inline unsigned long kmqtt_cache_gen(const struct kmqtt_cache *cache,
					    u16 bucket)
{
	unsigned long level, all;

	/* Acquire pairs with the release of kmqtt_cache_bump(). */
	level = smp_load_acquire(&cache->gens[bucket]);
	/* Likewise. */
	all = smp_load_acquire(&cache->gens[KMQTT_CACHE_GEN_ALL]);
	return level + all;
}

/* Both only ever grow, so that their sum is the same only if both are. */
static inline bool kmqtt_cache_valid(const struct kmqtt_cache *cache,
				     const struct kmqtt_cache_entry *entry)
{
	return entry->gen == kmqtt_cache_gen(cache, entry->bucket);
}

/* Find the entry of a topic, stale or not.  Under rcu_read_lock(). */
struct kmqtt_cache_entry *kmqtt_cache_find(struct kmqtt_cache *cache,
					   const u8 *topic, u16 len, u64 hash);

/* Has this topic been seen before?  From now on it has. */
bool kmqtt_cache_seen(struct kmqtt_cache *cache, u64 hash);

/**
 * kmqtt_cache_alloc() - make an entry without destinations
 * @topic: Topic Name, at most KMQTT_CACHE_TOPIC_MAX bytes
 * @len: its length
 * @hash: its hash
 * @bucket: index of its generation
 * @gen: kmqtt_cache_gen() from before it was resolved
 * Return: the entry, or %NULL.  Does not sleep.
 */
struct kmqtt_cache_entry *kmqtt_cache_alloc(const u8 *topic, u16 len, u64 hash,
					    u16 bucket, unsigned long gen);

/*
 * Add a destination to an entry not yet inserted; its subids, at most
 * KMQTT_SUBIDS_MAX, are copied.  Does not sleep.  Return: 0 or -ENOMEM.
 */
int kmqtt_cache_add_dest(struct kmqtt_cache_entry *entry,
			 const struct kmqtt_cache_dest *dest);

/* Insert in place of a stale entry, or free if it cannot be kept. */
void kmqtt_cache_insert(struct kmqtt_cache *cache,
			struct kmqtt_cache_entry *entry);
/* Free an entry that was not inserted. */
void kmqtt_cache_free(struct kmqtt_cache_entry *entry);

/* Module init: the shrinker; 0 or -ENOMEM. */
int kmqtt_cache_module_init(void);
void kmqtt_cache_module_exit(void);

#endif /* KMQTT_FIB_CACHE_H */
