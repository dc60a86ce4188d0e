/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tree of topic levels: what subscriptions and retained messages hang on.
 */
#ifndef MQTTD_TTREE_H
#define MQTTD_TTREE_H

#include "list.h"
#include "map.h"

/**
 * struct tnode - one level below its parent
 *
 * Lives while it has data or children; ttree_trim() frees it.
 *
 * @entry: by parent and level
 * @parent: NULL at the root
 * @children: nodes below it
 * @sibling: in @children of its parent
 * @data: what hangs on it, or NULL
 * @len: length of @level
 * @level: name of the level, not terminated
 */
struct tnode {
	struct map_entry entry;
	struct tnode *parent;
	struct list children;
	struct list sibling;
	void *data;
	uint16_t len;
	char level[];
};

/* A tree; its owner empties it before it goes. */
struct ttree {
	struct map map;
	struct tnode root;
};

void ttree_init(struct ttree *t);
/* Bytes that the nodes of a topic or filter take at most. */
size_t ttree_cost(const void *topic, size_t len);
/* The child of @parent for a level, or NULL. */
struct tnode *ttree_child(const struct ttree *t, const struct tnode *parent,
			  const void *level, size_t len);
/* The node of a topic or filter, made if need be. */
struct tnode *ttree_make(struct ttree *t, const char *topic, size_t len);
/* The node of a topic or filter, or NULL. */
struct tnode *ttree_find(const struct ttree *t, const char *topic, size_t len);
/* Free @node if it holds nothing, but none of its ancestors. */
void ttree_drop(struct ttree *t, struct tnode *node);
/* Free @node and its ancestors as far as they hold nothing. */
void ttree_trim(struct ttree *t, struct tnode *node);

#endif /* MQTTD_TTREE_H */
