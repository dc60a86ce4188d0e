// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The retained store: a tree of topics.
 */
#include <string.h>

#include "clock.h"
#include "message.h"
#include "retain.h"
#include "store.h"
#include "sys.h"
#include "topic.h"
#include "ttree.h"

/* A walk over the tree for one filter. */
struct walk {
	retain_each_t each;
	void *arg;
	uint64_t now;
};

static struct ttree retained;
static size_t retained_count;
static uint64_t retained_clock;

void retain_init(void)
{
	ttree_init(&retained);
}

uint64_t retain_clock(void)
{
	return retained_clock;
}

size_t retain_count(void)
{
	return retained_count;
}

/* Leaves the node in the tree, for the caller to trim. */
static void node_clear(struct tnode *node)
{
	if (!node->data)
		return;
	message_put(node->data);
	node->data = NULL;
	retained_count--;
}

/* $SYS tells of this run only. */
static bool is_stored(const struct message *m)
{
	return !sys_topic(m->topic, m->topic_len);
}

void retain_set(struct message *m)
{
	struct tnode *node;

	if (!m->payload_len) {
		node = ttree_find(&retained, m->topic, m->topic_len);
		if (!node)
			return;
		if (is_stored(m))
			store_retained_delete(m->topic);
		node_clear(node);
		ttree_trim(&retained, node);
		return;
	}
	if (is_stored(m))
		store_retained_put(m);
	retain_load(m);
}

void retain_load(struct message *m)
{
	struct tnode *node = ttree_make(&retained, m->topic, m->topic_len);

	node_clear(node);
	m->retained = ++retained_clock;
	node->data = message_get(m);
	retained_count++;
}

static void walk_node(const struct walk *w, struct tnode *node)
{
	struct message *m = node->data;

	if (!m)
		return;
	if (message_expired(m, w->now)) {
		store_retained_delete(m->topic);
		node_clear(node);
	} else {
		w->each(m, w->arg);
	}
}

/* A level the topics of which a leading wildcard does not match. */
static bool hidden(const struct tnode *node)
{
	return node->parent == &retained.root && node->len && node->level[0] == '$';
}

static void walk_all(const struct walk *w, struct tnode *node)
{
	struct tnode *child, *tmp;

	walk_node(w, node);
	list_for_each_safe(child, tmp, &node->children, sibling) {
		if (hidden(child))
			continue;
		walk_all(w, child);
		ttree_drop(&retained, child);
	}
}

static void walk_filter(const struct walk *w, struct tnode *node,
			const __u8 *p, const __u8 *end)
{
	struct tnode *child, *tmp;
	const __u8 *level;
	size_t len;

	if (!kmqtt_level_next(&p, end, &level, &len)) {
		walk_node(w, node);
	} else if (len == 1 && *level == '#') {
		walk_all(w, node);
	} else if (len == 1 && *level == '+') {
		list_for_each_safe(child, tmp, &node->children, sibling) {
			if (hidden(child))
				continue;
			walk_filter(w, child, p, end);
			ttree_drop(&retained, child);
		}
	} else {
		child = ttree_child(&retained, node, level, len);
		if (!child)
			return;
		walk_filter(w, child, p, end);
		ttree_drop(&retained, child);
	}
}

void retain_match(const char *filter, retain_each_t each, void *arg)
{
	struct walk w = { .each = each, .arg = arg, .now = clock_ms() };
	const __u8 *p = (const __u8 *)filter;

	walk_filter(&w, &retained.root, p, p + strlen(filter));
}

struct message *retain_find(const char *topic, size_t len)
{
	struct tnode *node = ttree_find(&retained, topic, len);

	return node ? node->data : NULL;
}

struct message *retain_walk_next(struct map_walk *w, unsigned int *steps)
{
	struct map_entry *e;

	while ((e = map_walk_next(&retained.map, w, steps))) {
		struct tnode *node = container_of(e, struct tnode, entry);

		if (node->data)
			return node->data;
	}
	return NULL;
}

static void free_below(struct tnode *node)
{
	struct tnode *child, *tmp;

	list_for_each_safe(child, tmp, &node->children, sibling) {
		free_below(child);
		ttree_drop(&retained, child);
	}
	node_clear(node);
}

void retain_free(void)
{
	free_below(&retained.root);
	map_free(&retained.map);
}
