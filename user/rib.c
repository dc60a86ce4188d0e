// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The RIB: all subscriptions.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "copies.h"
#include "inflight.h"
#include "kmqtt.h"
#include "mem.h"
#include "rib.h"
#include "session.h"
#include "store.h"
#include "topic.h"
#include "ttree.h"
#include "walk.h"

/* Members looked at for one message; those chosen go to the end. */
#define GROUP_LOOK_MAX	1024

/**
 * struct share_group - "$share/NAME/FILTER"
 *
 * Lives while it has members or messages that came to one.
 *
 * @node: in the groups of @at
 * @at: level its filter ends at
 * @refs: members and messages
 * @here: members whose client is connected, the next to be chosen first
 * @away: the others
 * @name: NAME
 */
struct share_group {
	struct list node;
	struct tnode *at;
	unsigned int refs;
	struct list here;
	struct list away;
	char name[];
};

/* What hangs on a node of the tree. */
struct subscribers {
	struct list plain;
	struct list groups;
	unsigned int n_copied;	/* of those in plain */
};

/* A walk over the tree for one topic. */
struct match {
	struct rib_dests *dests;
	const struct session *source;
	uint64_t mark;
	bool copied;		/* those with copies alone */
};

static struct ttree rib;
/* Subscriptions by session and node: a filter may have many, a session too. */
static struct map rib_both;
static size_t rib_subscriptions;
static size_t rib_shared;
static uint64_t rib_mark;
static uint64_t rib_number;

void rib_init(void)
{
	ttree_init(&rib);
}

void rib_free(void)
{
	map_free(&rib_both);
	map_free(&rib.map);
}

size_t rib_count(void)
{
	return rib_subscriptions;
}

size_t rib_count_shared(void)
{
	return rib_shared;
}

static bool same_share(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static uint64_t both_hash(const struct session *s, const struct tnode *node)
{
	const void *both[] = { s, node };

	return map_hash(4, both, sizeof(both));
}

struct subscription *rib_find(const struct session *s, const char *share,
			      const char *filter)
{
	struct tnode *node = ttree_find(&rib, filter, strlen(filter));
	struct map_entry *e = node ? map_first(&rib_both, both_hash(s, node)) : NULL;

	for (; e; e = map_next(e)) {
		struct subscription *sub = container_of(e, struct subscription, by_both);

		if (sub->session == s && sub->node == node && same_share(sub->share, share))
			return sub;
	}
	return NULL;
}

static struct share_group *group_make(struct tnode *at, const char *name)
{
	struct subscribers *subs = at->data;
	struct share_group *g;

	list_for_each(g, &subs->groups, node)
		if (!strcmp(g->name, name))
			return g;
	g = mem_zalloc(sizeof(*g) + strlen(name) + 1);
	memcpy(g->name, name, strlen(name) + 1);
	list_init(&g->here);
	list_init(&g->away);
	g->at = at;
	list_add_tail(&g->node, &subs->groups);
	return g;
}

/* Nothing may hang there any more. */
static void subscribers_trim(struct tnode *node)
{
	struct subscribers *subs = node->data;

	if (!list_empty(&subs->plain) || !list_empty(&subs->groups))
		return;
	free(subs);
	node->data = NULL;
	ttree_trim(&rib, node);
}

struct share_group *share_group_get(struct share_group *g)
{
	if (g)
		g->refs++;
	return g;
}

void share_group_put(struct share_group *g)
{
	struct tnode *at;

	if (!g || --g->refs)
		return;
	at = g->at;
	list_del(&g->node);
	free(g);
	subscribers_trim(at);
}

/* Among the members who are like it, the last to be chosen. */
static void member_enter(struct subscription *sub)
{
	struct share_group *g = sub->share_group;

	list_add_tail(&sub->by_node, sub->session->client ? &g->here : &g->away);
}

void rib_session_moved(struct session *s)
{
	struct subscription *sub;

	list_for_each(sub, &s->subs, by_session) {
		if (!sub->share_group)
			continue;
		list_del(&sub->by_node);
		member_enter(sub);
	}
}

/* Bytes it takes besides its nodes. */
static size_t sub_size(const char *share, const char *filter)
{
	return sizeof(struct subscription) + sizeof(struct subscribers) +
	       (share ? strlen(share) + sizeof(struct share_group) : 0) + strlen(filter);
}

/* Of its session's share it takes nodes, too, as if no other had made them. */
static size_t sub_cost(const char *share, const char *filter)
{
	return sub_size(share, filter) + ttree_cost(filter, strlen(filter));
}

bool rib_full(const struct session *s, const char *share, const char *filter)
{
	size_t cost = sub_cost(share, filter);

	if (rib_find(s, share, filter))
		return false;
	return s->subs_bytes + cost > RIB_SESSION_BYTES || !mem_room(cost);
}

static struct subscription *sub_new(struct session *s, const char *share,
				    const char *filter)
{
	struct tnode *node = ttree_make(&rib, filter, strlen(filter));
	struct subscription *sub = mem_zalloc(sizeof(*sub));
	struct subscribers *subs = node->data;

	if (!subs) {
		subs = mem_zalloc(sizeof(*subs));
		list_init(&subs->plain);
		list_init(&subs->groups);
		node->data = subs;
	}
	sub->session = s;
	sub->number = ++rib_number;
	sub->node = node;
	sub->filter = mem_strndup(filter, strlen(filter));
	if (share) {
		rib_shared++;
		sub->share = mem_strndup(share, strlen(share));
		sub->share_group = share_group_get(group_make(node, share));
		member_enter(sub);
	} else {
		list_add_tail(&sub->by_node, &subs->plain);
	}
	list_add_tail(&sub->by_session, &s->subs);
	map_add(&rib_both, &sub->by_both, both_hash(s, node));
	sub->charged = sub_cost(share, filter);
	s->subs_bytes += sub->charged;
	s->n_subs++;
	mem_charge(sub_size(share, filter));
	rib_subscriptions++;
	return sub;
}

struct subscription *rib_add(struct session *s, const char *share, const char *filter,
			     const struct rib_options *opts, bool *existed)
{
	struct subscription *sub = rib_find(s, share, filter);

	*existed = sub;
	if (!sub)
		sub = sub_new(s, share, filter);
	sub->subid = opts->subid;
	sub->flags = opts->flags;
	sub->qos = opts->qos;
	return sub;
}

void rib_store(const struct subscription *sub)
{
	const struct store_subscription row = {
		.share = sub->share,
		.filter = sub->filter,
		.qos = sub->qos,
		.flags = sub->flags,
		.subid = sub->subid,
	};

	if (sub->session->stored)
		store_subscription_put(sub->session->id, &row);
}

void rib_del(struct subscription *sub)
{
	if (sub->session->stored)
		store_subscription_delete(sub->session->id, sub->share, sub->filter);
	walk_drop(sub->walk);
	copies_forget(sub);
	list_del(&sub->by_session);
	list_del(&sub->by_node);
	map_del(&rib_both, &sub->by_both);
	if (sub->share_group)
		share_group_put(sub->share_group);
	else
		subscribers_trim(sub->node);
	sub->session->subs_bytes -= sub->charged;
	sub->session->n_subs--;
	mem_uncharge(sub_size(sub->share, sub->filter));
	if (sub->share)
		rib_shared--;
	free(sub->share);
	free(sub->filter);
	free(sub);
	rib_subscriptions--;
}

static struct rib_dest *dest_new(struct rib_dests *dests, struct session *s)
{
	struct rib_dest *d;

	if (dests->n == dests->room) {
		dests->room = dests->room ? dests->room * 2 : 16;
		dests->v = mem_realloc(dests->v, dests->room * sizeof(*d));
	}
	d = &dests->v[dests->n++];
	memset(d, 0, sizeof(*d));
	d->session = s;
	return d;
}

/* In the order they come; dest_finish() puts them right. */
static void dest_subid(struct rib_dest *d, uint32_t subid)
{
	unsigned int n = d->n_subids;

	if (!subid)
		return;
	/* The room is the next power of two. */
	if (!(n & (n - 1)))
		d->memory = mem_realloc(d->memory, (n ? 2 * n : 1) * sizeof(*d->memory));
	d->memory[d->n_subids++] = subid;
}

static int subid_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Subscription Identifiers ascend and come once, as from the kernel. */
static void dest_finish(struct rib_dest *d)
{
	unsigned int i, n = 0;

	if (d->n_subids)
		qsort(d->memory, d->n_subids, sizeof(*d->memory), subid_cmp);
	for (i = 0; i < d->n_subids; i++)
		if (!n || d->memory[n - 1] != d->memory[i])
			d->memory[n++] = d->memory[i];
	d->subids = d->memory;
	d->n_subids = n;
}

static void dest_merge(struct rib_dest *d, const struct subscription *sub)
{
	if (sub->qos > d->qos)
		d->qos = sub->qos;
	if (sub->flags & KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED)
		d->rap = true;
	dest_subid(d, sub->subid);
}

static void match_plain(struct match *m, const struct subscription *sub)
{
	struct session *s = sub->session;

	if (s == m->source && sub->flags & KMQTT_ROUTE_F_NO_LOCAL) {
		m->dests->no_local = true;
		return;
	}
	if (s->match_mark != m->mark) {
		s->match_mark = m->mark;
		s->match_index = m->dests->n;
		dest_new(m->dests, s);
	}
	dest_merge(&m->dests->v[s->match_index], sub);
}

/* At QoS 0 nothing waits for a member that is away. */
static enum inflight_rank member_rank(const struct subscription *sub)
{
	return sub->qos || sub->session->client ? inflight_rank(sub->session) :
						  INFLIGHT_FULL;
}

/* The first of @members but @except that is better than @best. */
static struct subscription *members_find(const struct list *members,
					 const struct session *except,
					 enum inflight_rank *best)
{
	struct subscription *sub, *chosen = NULL;
	unsigned int n = 0;

	list_for_each(sub, members, by_node) {
		enum inflight_rank rank = member_rank(sub);

		if (sub->session != except && rank < *best) {
			chosen = sub;
			*best = rank;
		}
		if (*best == INFLIGHT_NOW || ++n == GROUP_LOOK_MAX)
			break;
	}
	return chosen;
}

/* The member, in turn, that gets a message soonest; @except has had it. */
static struct subscription *group_choose(struct share_group *g,
					 const struct session *except)
{
	enum inflight_rank best = INFLIGHT_FULL + 1;
	struct subscription *sub = members_find(&g->here, except, &best), *other;

	other = best > INFLIGHT_SOON ? members_find(&g->away, except, &best) : NULL;
	if (other)
		sub = other;
	if (!sub)
		return NULL;
	list_del(&sub->by_node);
	member_enter(sub);
	return sub;
}

static void match_group(struct match *m, struct share_group *g)
{
	struct subscription *chosen = group_choose(g, NULL);
	struct rib_dest *d;

	if (!chosen)
		return;
	d = dest_new(m->dests, chosen->session);
	d->group = g;
	dest_merge(d, chosen);
}

struct share_group *share_group_find(const struct session *s, const char *topic,
				     size_t len)
{
	const struct subscription *sub;
	struct share_group *g = NULL;

	list_for_each(sub, &s->subs, by_session) {
		if (!kmqtt_topic_matches((const __u8 *)sub->filter, strlen(sub->filter),
					 (const __u8 *)topic, len))
			continue;
		if (!sub->share_group)
			return NULL;
		g = sub->share_group;
	}
	return g;
}

bool share_group_others(const struct share_group *g, const struct session *s)
{
	const struct subscription *sub;

	list_for_each(sub, &g->here, by_node)
		if (sub->session != s && sub->session->client->state == CLIENT_OPEN)
			return true;
	return false;
}

bool share_group_match(struct share_group *g, const struct session *s,
		       struct rib_dests *dests)
{
	struct subscription *chosen = group_choose(g, s);
	struct rib_dest *d;

	if (!chosen)
		return false;
	d = dest_new(dests, chosen->session);
	d->group = g;
	d->moved = true;
	dest_merge(d, chosen);
	dest_finish(d);
	return true;
}

static void match_node(struct match *m, const struct tnode *node)
{
	struct subscribers *subs = node->data;
	struct subscription *sub;
	struct share_group *g;

	if (!subs || (m->copied && !subs->n_copied))
		return;
	list_for_each(sub, &subs->plain, by_node)
		if (!m->copied || sub->copied)
			match_plain(m, sub);
	if (m->copied)
		return;
	list_for_each(g, &subs->groups, node)
		match_group(m, g);
}

/* Depth is bounded by KMQTT_TOPIC_LEVELS_MAX. */
static void match_walk(struct match *m, const struct tnode *node,
		       const __u8 *p, const __u8 *end, bool wildcards)
{
	const struct tnode *child;
	const __u8 *level;
	size_t len;

	if (wildcards) {
		child = ttree_child(&rib, node, "#", 1);
		if (child)
			match_node(m, child);
	}
	if (!kmqtt_level_next(&p, end, &level, &len)) {
		match_node(m, node);
		return;
	}
	child = ttree_child(&rib, node, level, len);
	if (child)
		match_walk(m, child, p, end, true);
	child = wildcards ? ttree_child(&rib, node, "+", 1) : NULL;
	if (child)
		match_walk(m, child, p, end, true);
}

/* A PUBLISH holds so many identifiers; the others go in further copies. */
static void dest_split(struct rib_dests *dests, size_t i)
{
	struct rib_dest *d, rest;

	while (dests->v[i].n_subids > KMQTT_SUBIDS_MAX) {
		d = &dests->v[i];
		rest = *d;
		rest.memory = NULL;
		rest.subids += KMQTT_SUBIDS_MAX;
		rest.n_subids -= KMQTT_SUBIDS_MAX;
		d->n_subids = KMQTT_SUBIDS_MAX;
		dest_new(dests, rest.session);
		i = dests->n - 1;
		dests->v[i] = rest;
	}
}

static void match_all(struct match *m, const char *topic, size_t len)
{
	const __u8 *p = (const __u8 *)topic;
	struct rib_dests *dests = m->dests;
	size_t i, n;

	m->mark = ++rib_mark;
	match_walk(m, &rib.root, p, p + len, len == 0 || topic[0] != '$');
	for (i = 0, n = dests->n; i < n; i++) {
		dest_finish(&dests->v[i]);
		dest_split(dests, i);
	}
}

void rib_match(const char *topic, size_t len, const struct session *source,
	       struct rib_dests *dests)
{
	struct match m = { .dests = dests, .source = source };

	match_all(&m, topic, len);
}

void rib_match_copied(const char *topic, size_t len, const struct session *source,
		      struct rib_dests *dests)
{
	struct match m = { .dests = dests, .source = source, .copied = true };

	match_all(&m, topic, len);
}

bool rib_copy_begin(struct subscription *sub)
{
	struct subscribers *subs = sub->node->data;

	sub->copied = true;
	return !subs->n_copied++;
}

bool rib_copy_end(struct subscription *sub)
{
	struct subscribers *subs = sub->node->data;

	sub->copied = false;
	return !--subs->n_copied;
}

bool rib_copied(const char *filter)
{
	const struct tnode *node = ttree_find(&rib, filter, strlen(filter));
	const struct subscribers *subs = node ? node->data : NULL;

	return subs && subs->n_copied;
}

void rib_dests_free(struct rib_dests *dests)
{
	size_t i;

	for (i = 0; i < dests->n; i++)
		free(dests->v[i].memory);
	free(dests->v);
	memset(dests, 0, sizeof(*dests));
}
