// SPDX-License-Identifier: GPL-2.0
/*
 * The level trie: nodes are found by (parent, kind, name) in one hash table,
 * so that a node costs the same however many children its parent has; the
 * wildcard children hang on their parent directly.
 */

#include <linux/random.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include "fib.h"
#include "fib-cache.h"
#include "fib-trie.h"
#include "topic.h"

/**
 * struct kmqtt_node_key - what a node is found by
 * @parent: its parent
 * @name: its name
 * @hash: hash of all of it
 * @len: length of @name
 * @kind: LEVEL or SHARE
 */
struct kmqtt_node_key {
	const struct kmqtt_node *parent;
	const u8 *name;
	u32 hash;
	u16 len;
	u8 kind;
};

/* The hashes are made once, with a secret; @seed adds nothing to them. */
static u32 trie_key_hash(const void *data, u32 len, u32 seed)
{
	const struct kmqtt_node_key *key = data;

	return key->hash;
}

static u32 trie_node_hash(const void *data, u32 len, u32 seed)
{
	const struct kmqtt_node *node = data;

	return node->hash;
}

static int trie_cmp(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct kmqtt_node_key *key = arg->key;
	const struct kmqtt_node *node = obj;

	return node->hash != key->hash || node->parent != key->parent ||
	       node->kind != key->kind || node->len != key->len ||
	       memcmp(node->name, key->name, key->len);
}

static const struct rhashtable_params trie_params = {
	.head_offset = offsetof(struct kmqtt_node, hash_link),
	.hashfn = trie_key_hash,
	.obj_hashfn = trie_node_hash,
	.obj_cmpfn = trie_cmp,
	.automatic_shrinking = true,
};

static void trie_key_init(const struct kmqtt_trie *trie,
			  struct kmqtt_node_key *key,
			  const struct kmqtt_node *parent, u8 kind,
			  const u8 *name, u16 len)
{
	key->parent = parent;
	key->kind = kind;
	key->name = name;
	key->len = len;
	key->hash = siphash_3u64((unsigned long)parent, kind,
				 siphash(name, len, &trie->key), &trie->key);
}

static u8 trie_level_kind(const u8 *level, size_t len)
{
	if (len == 1 && *level == '+')
		return KMQTT_NODE_PLUS;
	if (len == 1 && *level == '#')
		return KMQTT_NODE_HASH;
	return KMQTT_NODE_LEVEL;
}

u16 kmqtt_trie_gen(const struct kmqtt_trie *trie, const u8 *topic, u16 len)
{
	const u8 *p = topic, *level;
	size_t level_len;

	if (!kmqtt_level_next(&p, topic + len, &level, &level_len))
		return 0;
	return siphash(level, level_len, &trie->key) % KMQTT_CACHE_GENS;
}

static struct kmqtt_node *trie_child(struct kmqtt_trie *trie,
				     struct kmqtt_node *parent, u8 kind,
				     const u8 *name, u16 len)
{
	struct kmqtt_node_key key;

	lockdep_assert_held(trie->mutex);
	if (kind == KMQTT_NODE_PLUS)
		return rcu_dereference_protected(parent->plus,
						 lockdep_is_held(trie->mutex));
	if (kind == KMQTT_NODE_HASH)
		return rcu_dereference_protected(parent->multi,
						 lockdep_is_held(trie->mutex));
	trie_key_init(trie, &key, parent, kind, name, len);
	return rhashtable_lookup_fast(&trie->nodes, &key, trie_params);
}

static u16 trie_child_gen(const struct kmqtt_trie *trie,
			  const struct kmqtt_node *parent, u8 kind,
			  const u8 *name, u16 len)
{
	if (parent->parent)
		return parent->gen;
	if (kind == KMQTT_NODE_LEVEL)
		return siphash(name, len, &trie->key) % KMQTT_CACHE_GENS;
	return KMQTT_CACHE_GEN_ALL;
}

static size_t trie_node_size(u16 len)
{
	return struct_size_t(struct kmqtt_node, name, len);
}

static int trie_link(struct kmqtt_trie *trie, struct kmqtt_node *node)
{
	struct kmqtt_node *parent = node->parent;

	if (node->kind == KMQTT_NODE_PLUS)
		rcu_assign_pointer(parent->plus, node);
	else if (node->kind == KMQTT_NODE_HASH)
		rcu_assign_pointer(parent->multi, node);
	else if (rhashtable_insert_fast(&trie->nodes, &node->hash_link,
					trie_params))
		return -ENOMEM;
	if (node->kind == KMQTT_NODE_SHARE)
		hlist_add_head_rcu(&node->link, &parent->groups);
	WRITE_ONCE(parent->children, parent->children + 1);
	trie->bytes += trie_node_size(node->len);
	return 0;
}

static void trie_unlink(struct kmqtt_trie *trie, struct kmqtt_node *node)
{
	struct kmqtt_node *parent = node->parent;

	if (node->kind == KMQTT_NODE_PLUS)
		RCU_INIT_POINTER(parent->plus, NULL);
	else if (node->kind == KMQTT_NODE_HASH)
		RCU_INIT_POINTER(parent->multi, NULL);
	else
		rhashtable_remove_fast(&trie->nodes, &node->hash_link,
				       trie_params);
	if (node->kind == KMQTT_NODE_SHARE)
		hlist_del_rcu(&node->link);
	WRITE_ONCE(parent->children, parent->children - 1);
	trie->bytes -= trie_node_size(node->len);
}

static struct kmqtt_node *trie_child_make(struct kmqtt_trie *trie,
					  struct kmqtt_node *parent, u8 kind,
					  const u8 *name, u16 len)
{
	struct kmqtt_node *node = trie_child(trie, parent, kind, name, len);
	struct kmqtt_node_key key;

	if (node)
		return node;
	node = kzalloc(trie_node_size(len), GFP_KERNEL_ACCOUNT);
	if (!node)
		return NULL;
	trie_key_init(trie, &key, parent, kind, name, len);
	node->parent = parent;
	node->kind = kind;
	node->hash = key.hash;
	node->gen = trie_child_gen(trie, parent, kind, name, len);
	node->len = len;
	memcpy(node->name, name, len);
	if (trie_link(trie, node)) {
		kfree(node);
		return NULL;
	}
	return node;
}

struct kmqtt_node *kmqtt_trie_find(struct kmqtt_trie *trie,
				   const struct kmqtt_route_key *key)
{
	const u8 *p = key->filter, *end = p + key->filter_len, *level;
	struct kmqtt_node *node = trie->root;
	size_t len;

	while (node && kmqtt_level_next(&p, end, &level, &len))
		node = trie_child(trie, node, trie_level_kind(level, len),
				  level, len);
	if (node && key->share)
		node = trie_child(trie, node, KMQTT_NODE_SHARE, key->share,
				  key->share_len);
	return node;
}

struct kmqtt_node *kmqtt_trie_make(struct kmqtt_trie *trie,
				   const struct kmqtt_route_key *key)
{
	const u8 *p = key->filter, *end = p + key->filter_len, *level;
	struct kmqtt_node *node = trie->root, *next;
	size_t len;

	while (kmqtt_level_next(&p, end, &level, &len)) {
		next = trie_child_make(trie, node, trie_level_kind(level, len),
				       level, len);
		if (!next)
			goto err;
		node = next;
	}
	if (key->share) {
		next = trie_child_make(trie, node, KMQTT_NODE_SHARE, key->share,
				       key->share_len);
		if (!next)
			goto err;
		node = next;
	}
	return node;

err:
	kmqtt_trie_prune(trie, node);
	return ERR_PTR(-ENOMEM);
}

void kmqtt_trie_prune(struct kmqtt_trie *trie, struct kmqtt_node *node)
{
	lockdep_assert_held(trie->mutex);
	while (node->parent && !node->children && !node->n_routes) {
		struct kmqtt_node *parent = node->parent;

		trie_unlink(trie, node);
		kfree_rcu(node, rcu);
		node = parent;
	}
}

/* The node at which the filter of a group ends. */
static const struct kmqtt_node *trie_filter_end(const struct kmqtt_node *node)
{
	return node->kind == KMQTT_NODE_SHARE ? node->parent : node;
}

u32 kmqtt_trie_filter_len(const struct kmqtt_node *node)
{
	u32 len = 0;

	for (node = trie_filter_end(node); node->parent; node = node->parent)
		len += node->len + (node->parent->parent ? 1 : 0);
	return len;
}

void kmqtt_trie_filter_put(const struct kmqtt_node *node, u8 *buf, u32 len)
{
	u8 *p = buf + len;

	for (node = trie_filter_end(node); node->parent; node = node->parent) {
		p -= node->len;
		memcpy(p, node->name, node->len);
		if (node->parent->parent)
			*--p = '/';
	}
}

/**
 * struct kmqtt_trie_cursor - a walk
 * @trie: the trie
 * @node: where it is
 * @topic: Topic Name
 * @len: its length
 * @levels: number of levels
 * @depth: levels that lead to @node
 * @start: offset of each level
 */
struct kmqtt_trie_cursor {
	struct kmqtt_trie *trie;
	struct kmqtt_node *node;
	const u8 *topic;
	u16 len;
	u16 levels;
	u16 depth;
	u16 start[KMQTT_TOPIC_LEVELS_MAX];
};

static int trie_cursor_init(struct kmqtt_trie_cursor *cur,
			    struct kmqtt_trie *trie, const u8 *topic, u16 len)
{
	const u8 *p = topic, *level;
	size_t level_len;

	cur->trie = trie;
	cur->node = trie->root;
	cur->topic = topic;
	cur->len = len;
	cur->levels = 0;
	cur->depth = 0;
	while (kmqtt_level_next(&p, topic + len, &level, &level_len)) {
		if (cur->levels == KMQTT_TOPIC_LEVELS_MAX)
			return -E2BIG;
		cur->start[cur->levels++] = level - topic;
	}
	return 0;
}

/* A leading wildcard does not match a topic that begins with '$'. */
static bool trie_cursor_wild(const struct kmqtt_trie_cursor *cur)
{
	return cur->depth || *cur->topic != '$';
}

/* The child for the level that follows, literal before "+". */
static struct kmqtt_node *trie_cursor_down(const struct kmqtt_trie_cursor *cur)
{
	struct kmqtt_node *next;
	struct kmqtt_node_key key;
	u16 start, end = cur->len;

	if (cur->depth == cur->levels || !READ_ONCE(cur->node->children))
		return NULL;
	start = cur->start[cur->depth];
	if (cur->depth + 1 < cur->levels)
		end = cur->start[cur->depth + 1] - 1;
	trie_key_init(cur->trie, &key, cur->node, KMQTT_NODE_LEVEL,
		      cur->topic + start, end - start);
	next = rhashtable_lookup(&cur->trie->nodes, &key, trie_params);
	if (!next && trie_cursor_wild(cur))
		next = rcu_dereference(cur->node->plus);
	return next;
}

/* Go up to the nearest node whose "+" was not tried, and take that. */
static struct kmqtt_node *trie_cursor_back(struct kmqtt_trie_cursor *cur)
{
	struct kmqtt_node *next = NULL;

	while (!next && cur->depth) {
		bool literal = cur->node->kind == KMQTT_NODE_LEVEL;

		cur->node = cur->node->parent;
		cur->depth--;
		if (literal && trie_cursor_wild(cur))
			next = rcu_dereference(cur->node->plus);
	}
	return next;
}

int kmqtt_trie_walk(struct kmqtt_trie *trie, const u8 *topic, u16 len,
		    int (*visit)(void *ctx, struct kmqtt_node *node), void *ctx)
{
	struct kmqtt_trie_cursor cur;
	struct kmqtt_node *next;
	u32 visits = 0;
	int err;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "trie walk without RCU");
	err = trie_cursor_init(&cur, trie, topic, len);
	if (err)
		return err;
	for (;;) {
		if (++visits > KMQTT_TRIE_VISITS_MAX)
			return -E2BIG;
		/* "a/#" matches "a" too */
		next = rcu_dereference(cur.node->multi);
		if (next && trie_cursor_wild(&cur))
			err = visit(ctx, next);
		if (!err && cur.depth == cur.levels)
			err = visit(ctx, cur.node);
		if (err)
			return err;
		next = trie_cursor_down(&cur);
		if (!next)
			next = trie_cursor_back(&cur);
		if (!next)
			return 0;
		cur.node = next;
		cur.depth++;
	}
}

int kmqtt_trie_init(struct kmqtt_trie *trie, struct mutex *mutex)
{
	int err;

	trie->root = kzalloc(trie_node_size(0), GFP_KERNEL_ACCOUNT);
	if (!trie->root)
		return -ENOMEM;
	err = rhashtable_init(&trie->nodes, &trie_params);
	if (err) {
		kfree(trie->root);
		return err;
	}
	get_random_bytes(&trie->key, sizeof(trie->key));
	trie->bytes = 0;
	trie->mutex = mutex;
	return 0;
}

void kmqtt_trie_destroy(struct kmqtt_trie *trie)
{
	WARN_ON(trie->root->children);
	rhashtable_destroy(&trie->nodes);
	kfree(trie->root);
}
