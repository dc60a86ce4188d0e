// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The retained store: a tree of topics.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "clock.h"
#include "list.h"
#include "log.h"
#include "map.h"
#include "mem.h"
#include "message.h"
#include "retain.h"
#include "store.h"
#include "sys.h"
#include "topic.h"
#include "ttree.h"

/* The sweep looks at so many nodes each time: a million takes some minutes. */
#define SWEEP_MS	1000
#define SWEEP_STEPS	2000

/* A level of a filter: where in it. */
struct level {
	uint16_t at;
	uint16_t len;
};

/**
 * struct retain_cursor - a walk over the tree for one filter
 *
 * Stands on a node, which it pins: what is there stays where it is until the
 * walk goes on from it, be the node emptied or its neighbours freed.
 *
 * @node: where it stands, NULL before the first node and after the last
 * @depth: levels above and with @node
 * @done: it is after the last
 * @all: also the topics that a leading wildcard does not match
 * @rest: the filter ends in "#", which is not among @levels
 * @size: bytes it takes
 * @filter: the filter
 * @n: how many
 * @levels: of the filter
 */
struct retain_cursor {
	struct tnode *node;
	unsigned int depth;
	bool done;
	bool all;
	bool rest;
	size_t size;
	const char *filter;
	unsigned int n;
	struct level levels[];
};

static struct {
	struct ttree tree;
	size_t count;
	size_t expiring;	/* those that will expire */
	uint64_t clock;
	struct event *sweep;
	struct retain_cursor *sweeper;
} retained;

uint64_t retain_clock(void)
{
	return retained.clock;
}

size_t retain_count(void)
{
	return retained.count;
}

/* ---- walks -------------------------------------------------------------- */

struct retain_cursor *retain_cursor_new(const char *filter)
{
	size_t len = strlen(filter), level_len, size;
	const __u8 *p = (const __u8 *)filter, *end = p + len, *level;
	struct retain_cursor *c;
	unsigned int n = 0;

	while (kmqtt_level_next(&p, end, &level, &level_len))
		n++;
	size = sizeof(*c) + n * sizeof(c->levels[0]) + len + 1;
	c = mem_zalloc(size);
	mem_charge(size);
	c->size = size;
	c->filter = memcpy(&c->levels[n], filter, len);
	p = (const __u8 *)c->filter;
	end = p + len;
	while (kmqtt_level_next(&p, end, &level, &level_len)) {
		c->levels[c->n].at = (uint16_t)(level - (const __u8 *)c->filter);
		c->levels[c->n++].len = (uint16_t)level_len;
	}
	/* "#" stands alone on the last level. */
	c->rest = n && c->levels[n - 1].len == 1 && c->filter[len - 1] == '#';
	if (c->rest)
		c->n--;
	return c;
}

void retain_cursor_rewind(struct retain_cursor *c)
{
	if (c->node)
		ttree_unpin(&retained.tree, c->node);
	c->node = NULL;
	c->depth = 0;
	c->done = false;
}

void retain_cursor_free(struct retain_cursor *c)
{
	if (!c)
		return;
	retain_cursor_rewind(c);
	mem_uncharge(c->size);
	free(c);
}

bool retain_cursor_done(const struct retain_cursor *c)
{
	return c->done;
}

/* Is the level at @depth, counted from 0, a wildcard? */
static bool is_wild(const struct retain_cursor *c, unsigned int depth)
{
	if (depth >= c->n)
		return true;
	return c->levels[depth].len == 1 && c->filter[c->levels[depth].at] == '+';
}

/* A topic that begins with '$', to which a leading wildcard has led. */
static bool is_hidden(const struct retain_cursor *c, const struct tnode *node)
{
	return c->depth == 1 && !c->all && node->len && node->level[0] == '$' &&
	       is_wild(c, 0);
}

/* The first node below @node that the filter leads to, or NULL. */
static struct tnode *go_down(const struct retain_cursor *c, const struct tnode *node)
{
	const struct level *level;

	if ((c->depth >= c->n && !c->rest) || is_hidden(c, node))
		return NULL;
	if (is_wild(c, c->depth))
		return ttree_first(node);
	level = &c->levels[c->depth];
	return ttree_child(&retained.tree, node, c->filter + level->at, level->len);
}

/* The node after that where @c stands, or NULL. */
static struct tnode *successor(struct retain_cursor *c)
{
	struct tnode *node = c->node ? c->node : &retained.tree.root;
	struct tnode *next = go_down(c, node);

	if (next) {
		c->depth++;
		return next;
	}
	for (; node != &retained.tree.root; node = node->parent) {
		next = is_wild(c, c->depth - 1) ? ttree_next(node) : NULL;
		if (next)
			return next;
		c->depth--;
	}
	return NULL;
}

static void step(struct retain_cursor *c)
{
	struct tnode *old = c->node;

	c->node = successor(c);
	if (c->node)
		ttree_pin(c->node);
	else
		c->done = true;
	if (old)
		ttree_unpin(&retained.tree, old);
}

/* The message where @c stands, if the filter matches it. */
static struct message *found(const struct retain_cursor *c)
{
	if (c->depth < c->n || is_hidden(c, c->node))
		return NULL;
	return c->node->data;
}

struct message *retain_cursor_here(const struct retain_cursor *c)
{
	struct message *m = c->node ? found(c) : NULL;

	return m && !message_expired(m, clock_ms()) ? m : NULL;
}

static void unstore(const struct message *m);
static void node_clear(struct tnode *node);

struct message *retain_cursor_next(struct retain_cursor *c, unsigned int *steps)
{
	uint64_t now = clock_ms();
	struct message *m;

	while (!c->done && *steps) {
		--*steps;
		step(c);
		m = c->node ? found(c) : NULL;
		if (m && !message_expired(m, now))
			return m;
		if (m) {
			unstore(m);
			node_clear(c->node);
		}
	}
	return NULL;
}

/* ---- the sweep ---------------------------------------------------------- */

/* Expired ones are forgotten on the way. */
static void sweep(evutil_socket_t fd, short what, void *arg)
{
	unsigned int steps = SWEEP_STEPS;

	if (!retained.sweeper) {
		retained.sweeper = retain_cursor_new("#");
		retained.sweeper->all = true;
	}
	while (retain_cursor_next(retained.sweeper, &steps))
		;
	if (retain_cursor_done(retained.sweeper))
		retain_cursor_rewind(retained.sweeper);
}

static void sweep_start(void)
{
	const struct timeval tv = {
		.tv_sec = SWEEP_MS / 1000,
		.tv_usec = SWEEP_MS % 1000 * 1000,
	};

	if (retained.sweep && event_add(retained.sweep, &tv))
		log_err("cannot start the timer for expired messages");
}

static void sweep_stop(void)
{
	if (retained.sweep)
		event_del(retained.sweep);
}

/* ---- changes ------------------------------------------------------------ */

static void node_set(struct tnode *node, struct message *m)
{
	m->retained = ++retained.clock;
	node->data = message_get(m);
	retained.count++;
	if (m->expires && !retained.expiring++)
		sweep_start();
}

/* Leaves the node in the tree, for the caller to trim. */
static void node_clear(struct tnode *node)
{
	struct message *m = node->data;

	if (!m)
		return;
	if (m->expires && !--retained.expiring)
		sweep_stop();
	message_put(m);
	node->data = NULL;
	retained.count--;
}

/* $SYS tells of this run only: it is not stored. */
static void unstore(const struct message *m)
{
	if (!sys_topic(m->topic, m->topic_len))
		store_retained_delete(m->topic);
}

void retain_set(struct message *m)
{
	struct tnode *node;

	if (!m->payload_len) {
		node = ttree_find(&retained.tree, m->topic, m->topic_len);
		if (!node)
			return;
		unstore(m);
		node_clear(node);
		ttree_trim(&retained.tree, node);
		return;
	}
	if (!sys_topic(m->topic, m->topic_len))
		store_retained_put(m);
	retain_load(m);
}

void retain_load(struct message *m)
{
	struct tnode *node = ttree_make(&retained.tree, m->topic, m->topic_len);

	node_clear(node);
	node_set(node, m);
}

struct message *retain_find(const char *topic, size_t len)
{
	const struct tnode *node = ttree_find(&retained.tree, topic, len);

	return node ? node->data : NULL;
}

struct message *retain_walk_next(struct map_walk *w, unsigned int *steps)
{
	struct map_entry *e;

	while ((e = map_walk_next(&retained.tree.map, w, steps))) {
		struct tnode *node = container_of(e, struct tnode, entry);

		if (node->data)
			return node->data;
	}
	return NULL;
}

void retain_init(struct event_base *base)
{
	memset(&retained, 0, sizeof(retained));
	ttree_init(&retained.tree);
	if (!base)
		return;
	retained.sweep = event_new(base, -1, EV_PERSIST, sweep, NULL);
	if (!retained.sweep)
		log_err("cannot make the timer for expired messages");
}

void retain_free(void)
{
	unsigned int steps = UINT32_MAX;
	struct retain_cursor *c = retain_cursor_new("#");

	c->all = true;
	while (!retain_cursor_done(c)) {
		retain_cursor_next(c, &steps);
		if (c->node)
			node_clear(c->node);
	}
	retain_cursor_free(c);
	retain_cursor_free(retained.sweeper);
	retained.sweeper = NULL;
	if (retained.sweep)
		event_free(retained.sweep);
	retained.sweep = NULL;
	map_free(&retained.tree.map);
}
