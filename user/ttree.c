// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tree of topic levels.
 */
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "mem.h"
#include "topic.h"
#include "ttree.h"

void ttree_init(struct ttree *t)
{
	memset(t, 0, sizeof(*t));
}

size_t ttree_cost(const void *topic, size_t len)
{
	const __u8 *p = topic, *end = p + len, *level;
	size_t cost = len, level_len;

	while (kmqtt_level_next(&p, end, &level, &level_len))
		cost += sizeof(struct tnode);
	return cost;
}

/* The name begins in the padding of the structure. */
static size_t node_size(size_t len)
{
	size_t size = offsetof(struct tnode, level) + len;

	return size < sizeof(struct tnode) ? sizeof(struct tnode) : size;
}

static uint64_t child_hash(const struct tnode *parent, const void *level, size_t len)
{
	return map_hash((uint64_t)(uintptr_t)parent, level, len);
}

struct tnode *ttree_child(const struct ttree *t, const struct tnode *parent,
			  const void *level, size_t len)
{
	struct map_entry *e;
	struct tnode *n;

	for (e = map_first(&t->map, child_hash(parent, level, len)); e; e = map_next(e)) {
		n = container_of(e, struct tnode, entry);
		if (n->parent == parent && n->len == len && !memcmp(n->level, level, len))
			return n;
	}
	return NULL;
}

static void child_link(struct tnode *n)
{
	struct tnode *first = n->parent->children;

	n->next = first ? first : n;
	n->prev = first ? first->prev : n;
	n->next->prev = n;
	n->prev->next = n;
	n->parent->children = n;
}

static void child_unlink(struct tnode *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	if (n->parent->children == n)
		n->parent->children = n->next == n ? NULL : n->next;
}

static struct tnode *child_make(struct ttree *t, struct tnode *parent,
				const void *level, size_t len)
{
	struct tnode *n = mem_zalloc(node_size(len));

	mem_charge(node_size(len));
	n->parent = parent;
	n->len = (uint16_t)len;
	memcpy(n->level, level, len);
	child_link(n);
	map_add(&t->map, &n->entry, child_hash(parent, level, len));
	return n;
}

struct tnode *ttree_make(struct ttree *t, const char *topic, size_t len)
{
	const __u8 *p = (const __u8 *)topic, *end = p + len, *level;
	struct tnode *node = &t->root, *child;
	size_t level_len;

	while (kmqtt_level_next(&p, end, &level, &level_len)) {
		child = ttree_child(t, node, level, level_len);
		node = child ? child : child_make(t, node, level, level_len);
	}
	return node;
}

struct tnode *ttree_find(const struct ttree *t, const char *topic, size_t len)
{
	const __u8 *p = (const __u8 *)topic, *end = p + len, *level;
	struct tnode *node = (struct tnode *)&t->root;
	size_t level_len;

	while (node && kmqtt_level_next(&p, end, &level, &level_len))
		node = ttree_child(t, node, level, level_len);
	return node;
}

static bool removable(const struct ttree *t, const struct tnode *node)
{
	return node != &t->root && !node->data && !node->children && !node->pins;
}

void ttree_trim(struct ttree *t, struct tnode *node)
{
	while (removable(t, node)) {
		struct tnode *parent = node->parent;

		child_unlink(node);
		map_del(&t->map, &node->entry);
		mem_uncharge(node_size(node->len));
		free(node);
		node = parent;
	}
}

struct tnode *ttree_first(const struct tnode *parent)
{
	return parent->children;
}

struct tnode *ttree_next(const struct tnode *node)
{
	return node->next == node->parent->children ? NULL : node->next;
}

void ttree_pin(struct tnode *node)
{
	node->pins++;
}

void ttree_unpin(struct ttree *t, struct tnode *node)
{
	node->pins--;
	ttree_trim(t, node);
}
