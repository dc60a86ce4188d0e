/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tree of topic levels: what subscriptions and retained messages hang on.
 */
#ifndef MQTTD_TTREE_H
#define MQTTD_TTREE_H

#include <stddef.h>
#include <stdint.h>

#include "map.h"

/**
 * struct tnode - one level below its parent
 *
 * Lives while it has data, children or pins; ttree_trim() frees it.
 *
 * @entry: by parent and level
 * @parent: NULL at the root
 * @children: the newest node below it, or NULL
 * @next: node beside it, made before it; that of the oldest is the newest
 * @prev: node beside it, made after it; that of the newest is the oldest
 * @data: what hangs on it, or NULL
 * @pins: walks that stand on it
 * @len: length of @level
 * @level: name of the level, not terminated
 */
struct tnode {
	struct map_entry entry;
	struct tnode *parent;
	struct tnode *children;
	struct tnode *next, *prev;
	void *data;
	uint32_t pins;
	uint16_t len;
	char level[];
};

/* A tree; its owner empties it before it goes.  Its nodes are charged. */
struct ttree {
	struct map map;
	struct tnode root;
};

void ttree_init(struct ttree *t);
/* Bytes that the nodes of a topic or filter are charged with at most. */
size_t ttree_cost(const void *topic, size_t len);
/* The child of @parent for a level, or NULL. */
struct tnode *ttree_child(const struct ttree *t, const struct tnode *parent,
			  const void *level, size_t len);
/* The node of a topic or filter, made if need be. */
struct tnode *ttree_make(struct ttree *t, const char *topic, size_t len);
/* The node of a topic or filter, or NULL. */
struct tnode *ttree_find(const struct ttree *t, const char *topic, size_t len);
/* Free @node and its ancestors as far as they hold nothing. */
void ttree_trim(struct ttree *t, struct tnode *node);

/*
 * To walk the children of a node.  What is made meanwhile comes before those
 * that are there, so that no walk meets it in a list that it has entered.
 */
struct tnode *ttree_first(const struct tnode *parent);
/* NULL after the last. */
struct tnode *ttree_next(const struct tnode *node);
/* Keep @node in its place although it may come to hold nothing. */
void ttree_pin(struct tnode *node);
/* May free it and its ancestors. */
void ttree_unpin(struct ttree *t, struct tnode *node);

#endif /* MQTTD_TTREE_H */
