// SPDX-License-Identifier: GPL-2.0
/*
 * The FIB: routes, share groups, and the look-up through topic cache and trie.
 *
 * Writers hold fib->mutex (process context).  Look-ups hold rcu_read_lock().
 */

#include <linux/list_sort.h>
#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/rculist.h>
#include <linux/rhashtable.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "acl.h"
#include "conn.h"
#include "fib.h"
#include "fib-cache.h"
#include "fib-trie.h"
#include "uapi/kmqtt.h"

/* Limits of one namespace. */
#define FIB_ROUTES_MAX	(4U << 20)
#define FIB_BYTES_MAX	((size_t)1 << 30)

/* Members of a share group looked at for one message; the next begins behind. */
#define GROUP_LOOK_MAX	1024U

/* kmqtt_fib_route.live: what look-ups need, in one word to change at once. */
#define LIVE_SUBID		GENMASK(27, 0)
#define LIVE_NO_LOCAL		BIT(28)
#define LIVE_RETAIN		BIT(29)

/**
 * struct kmqtt_route_ident - what a route is found by
 * @conn: target, %NULL = daemon
 * @node: where its filter, or its group, ends
 */
struct kmqtt_route_ident {
	struct kmqtt_conn *conn;
	struct kmqtt_node *node;
};

/**
 * struct kmqtt_fib_route - a route
 *
 * Lifetime: made by add, unlinked by del, retarget or flush under the FIB's
 * mutex, freed after a grace period.  It holds a reference to its connection
 * until it is unlinked; look-ups that still see it are covered by the grace
 * period in which a connection is freed.
 *
 * @id: fixed
 * @id_link: link in fib->by_id
 * @link: link in @id.node->routes (not in a group)
 * @slot: index in @id.node->members (in a group)
 * @owned: link in conn->routes or fib->daemon_routes
 * @rcu: for the deferred free, once unlinked
 * @seq: index in fib->by_seq; ascending along conn->routes
 * @live: LIVE_*
 * @flags: KMQTT_ROUTE_F_* kept for the daemon; under the mutex
 * @qos: kept for the daemon; under the mutex
 */
struct kmqtt_fib_route {
	struct kmqtt_route_ident id;
	struct rhash_head id_link;
	union {
		struct hlist_node link;
		u32 slot;
	};
	union {
		struct list_head owned;
		struct rcu_head rcu;
	};
	unsigned long seq;
	u32 live;
	u8 flags;
	u8 qos;
};

/**
 * struct kmqtt_members - the routes of a share group
 *
 * Lifetime: that of the group's node, or until a larger one takes its place.
 * Grows by copying; a member that leaves is replaced by the last.  A reader
 * with an old @n finds behind the new one what was there before, which is
 * freed no sooner than after a grace period that began later than the reader.
 *
 * @rcu: for the deferred free
 * @n: members
 * @size: room
 * @route: the members
 */
struct kmqtt_members {
	struct rcu_head rcu;
	u32 n;
	u32 size;
	struct kmqtt_fib_route __rcu *route[];
};

/**
 * struct kmqtt_fib - the FIB of one namespace
 *
 * Lifetime: that of the namespace's struct kmqtt_net.
 *
 * @mutex: guards everything that is not the cache's.  Inside of kn->lock,
 *	outside of nothing; conn->routes and routes_closed are under it too.
 * @trie: topic filters
 * @by_id: routes by target and node
 * @by_seq: routes in the order of their addition, for dumps
 * @daemon_routes: routes whose target is the daemon
 * @next_seq: of the next route, from 1
 * @n_routes: routes
 * @routes_max: limit of @n_routes
 * @n_filters: nodes with routes: distinct filters, shares apart
 * @cache: resolved topics
 */
struct kmqtt_fib {
	struct mutex mutex;	/* all but the cache, see above */
	struct kmqtt_trie trie;
	struct rhashtable by_id;
	struct xarray by_seq;
	struct list_head daemon_routes;
	unsigned long next_seq;
	u32 n_routes;
	u32 routes_max;
	u32 n_filters;
	struct kmqtt_cache cache;
};

static struct kmem_cache *route_slab;

static const struct rhashtable_params route_params = {
	.head_offset = offsetof(struct kmqtt_fib_route, id_link),
	.key_offset = offsetof(struct kmqtt_fib_route, id),
	.key_len = sizeof(struct kmqtt_route_ident),
	.automatic_shrinking = true,
};

/* ---- share groups ---- */

static struct kmqtt_members *group_members(struct kmqtt_fib *fib,
					   const struct kmqtt_node *group)
{
	return rcu_dereference_protected(group->members,
					 lockdep_is_held(&fib->mutex));
}

/* Make room for one more member. */
static int group_reserve(struct kmqtt_fib *fib, struct kmqtt_node *group)
{
	struct kmqtt_members *old = group_members(fib, group), *new;
	u32 n = old ? old->n : 0, size = max(4U, n * 2);

	if (old && old->n < old->size)
		return 0;
	new = kvzalloc(struct_size(new, route, size), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->n = n;
	new->size = size;
	if (n)
		memcpy(new->route, old->route, flex_array_size(new, route, n));
	rcu_assign_pointer(group->members, new);
	if (old)
		kvfree_rcu(old, rcu);
	return 0;
}

static void group_add(struct kmqtt_fib *fib, struct kmqtt_fib_route *route)
{
	struct kmqtt_members *members = group_members(fib, route->id.node);

	route->slot = members->n;
	rcu_assign_pointer(members->route[route->slot], route);
	/* Release pairs with group_emit(): the member before the number. */
	smp_store_release(&members->n, members->n + 1);
}

static void group_del(struct kmqtt_fib *fib, struct kmqtt_fib_route *route)
{
	struct kmqtt_members *members = group_members(fib, route->id.node);
	struct kmqtt_fib_route *last;

	last = rcu_dereference_protected(members->route[members->n - 1],
					 lockdep_is_held(&fib->mutex));
	last->slot = route->slot;
	rcu_assign_pointer(members->route[last->slot], last);
	WRITE_ONCE(members->n, members->n - 1);
}

/* No route is left, or none came: nobody needs the members any more. */
static void group_clear(struct kmqtt_fib *fib, struct kmqtt_node *group)
{
	struct kmqtt_members *members = group_members(fib, group);

	RCU_INIT_POINTER(group->members, NULL);
	if (members)
		kvfree_rcu(members, rcu);
}

/**
 * struct kmqtt_fib_query - what a look-up asks for
 * @topic: Topic Name
 * @len: its length
 * @source: publishing connection or %NULL
 * @emit: gets the destinations
 * @ctx: its first argument
 * @n: destinations emitted
 */
struct kmqtt_fib_query {
	const u8 *topic;
	u16 len;
	const struct kmqtt_conn *source;
	kmqtt_fib_emit_t emit;
	void *ctx;
	int n;
};

static bool query_allows(const struct kmqtt_fib_query *query,
			 const struct kmqtt_conn *conn)
{
	return !conn || kmqtt_acl_allows(conn, KMQTT_ACL_READ, query->topic,
					 query->len);
}

static void query_emit(struct kmqtt_fib_query *query, struct kmqtt_conn *conn,
		       const u32 *subids, u16 n_subids, u8 flags)
{
	const struct kmqtt_fib_dest dest = {
		.conn = conn,
		.subids = subids,
		.n_subids = n_subids,
		.flags = flags,
	};

	query->emit(query->ctx, &dest);
	query->n++;
}

static u8 live_flags(u32 live)
{
	return live & LIVE_RETAIN ? KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED : 0;
}

/**
 * enum group_rank - how well a member of a group suits, best first
 * @GROUP_READY: what it is sent leaves
 * @GROUP_BUSY: its queue has room, but its peer does not read at present
 * @GROUP_DAEMON: the daemon, for those who are away
 * @GROUP_FULL: it would lose the message, as would all others
 */
enum group_rank {
	GROUP_READY,
	GROUP_BUSY,
	GROUP_DAEMON,
	GROUP_FULL,
};

static enum group_rank group_rank(const struct kmqtt_conn *conn)
{
	if (!conn)
		return GROUP_DAEMON;
	if (!kmqtt_conn_takes(conn))
		return GROUP_FULL;
	return test_bit(KMQTT_CB_BLOCKED, &conn->bits) ? GROUP_BUSY : GROUP_READY;
}

static bool group_offer(struct kmqtt_fib_query *query,
			const struct kmqtt_fib_route *route, bool spare)
{
	u32 live = READ_ONCE(route->live), subid = live & LIVE_SUBID;
	const struct kmqtt_fib_dest dest = {
		.conn = route->id.conn,
		.subids = &subid,
		.n_subids = subid ? 1 : 0,
		.flags = live_flags(live),
		.spare = spare,
	};

	if (live & LIVE_NO_LOCAL && query->source && dest.conn == query->source)
		return false;
	if (!query_allows(query, dest.conn) || !query->emit(query->ctx, &dest))
		return false;
	query->n++;
	return true;
}

/*
 * Give the message to the member whose turn it is, or to the next that can
 * take it.  If none can, it is lost where it should have gone.
 */
static void group_emit(struct kmqtt_fib_query *query, struct kmqtt_node *group)
{
	struct kmqtt_members *members = rcu_dereference(group->members);
	struct kmqtt_fib_route *route;
	enum group_rank rank;
	u32 i, n, turn;

	/* Acquire pairs with group_add(). */
	n = members ? smp_load_acquire(&members->n) : 0;
	if (!n)
		return;
	turn = (u32)atomic_fetch_inc(&group->turn) % n;
	for (rank = GROUP_READY; rank <= GROUP_FULL; rank++) {
		for (i = 0; i < min(n, GROUP_LOOK_MAX); i++) {
			route = rcu_dereference(members->route[(turn + i) % n]);
			/* Ranks change meanwhile: a better one than sought does. */
			if (group_rank(route->id.conn) <= rank &&
			    group_offer(query, route, rank < GROUP_FULL))
				return;
		}
	}
}

/* ---- look-up ---- */

/**
 * struct kmqtt_match - a route or a group that matches
 * @list: link in the list of matches
 * @conn: target of the route
 * @group: the group
 * @live: of the route
 */
struct kmqtt_match {
	struct list_head list;
	union {
		struct kmqtt_conn *conn;
		struct kmqtt_node *group;
	};
	u32 live;
};

/* Matches beyond the first few; lives for one look-up. */
struct kmqtt_match_chunk {
	struct kmqtt_match_chunk *next;
	struct kmqtt_match match[];
};

#define MATCHES_PER_CHUNK						\
	((PAGE_SIZE - sizeof(struct kmqtt_match_chunk)) /		\
	 sizeof(struct kmqtt_match))

/**
 * struct kmqtt_matches - everything that matches a topic
 * @routes: the routes, those of one connection side by side
 * @groups: the groups
 * @filters: filters that gave routes; with one there are no duplicates
 * @next: unused matches
 * @left: their number
 * @chunks: allocated ones
 * @few: enough for most topics
 */
struct kmqtt_matches {
	struct list_head routes;
	struct list_head groups;
	u32 filters;
	struct kmqtt_match *next;
	u32 left;
	struct kmqtt_match_chunk *chunks;
	struct kmqtt_match few[8];
};

static void matches_init(struct kmqtt_matches *matches)
{
	INIT_LIST_HEAD(&matches->routes);
	INIT_LIST_HEAD(&matches->groups);
	matches->filters = 0;
	matches->next = matches->few;
	matches->left = ARRAY_SIZE(matches->few);
	matches->chunks = NULL;
}

static void matches_free(struct kmqtt_matches *matches)
{
	struct kmqtt_match_chunk *chunk, *next;

	for (chunk = matches->chunks; chunk; chunk = next) {
		next = chunk->next;
		kfree(chunk);
	}
}

static struct kmqtt_match *matches_take(struct kmqtt_matches *matches)
{
	struct kmqtt_match_chunk *chunk;

	if (!matches->left) {
		chunk = kmalloc(PAGE_SIZE, GFP_NOWAIT | __GFP_NOWARN);
		if (!chunk)
			return NULL;
		chunk->next = matches->chunks;
		matches->chunks = chunk;
		matches->next = chunk->match;
		matches->left = MATCHES_PER_CHUNK;
	}
	matches->left--;
	return matches->next++;
}

static int matches_visit(void *ctx, struct kmqtt_node *node)
{
	struct kmqtt_matches *matches = ctx;
	struct kmqtt_fib_route *route;
	struct kmqtt_node *group;
	struct kmqtt_match *match;
	bool any = false;

	hlist_for_each_entry_rcu(route, &node->routes, link) {
		match = matches_take(matches);
		if (!match)
			return -ENOMEM;
		match->conn = route->id.conn;
		match->live = READ_ONCE(route->live);
		list_add_tail(&match->list, &matches->routes);
		any = true;
	}
	matches->filters += any;
	hlist_for_each_entry_rcu(group, &node->groups, link) {
		match = matches_take(matches);
		if (!match)
			return -ENOMEM;
		match->group = group;
		list_add_tail(&match->list, &matches->groups);
	}
	return 0;
}

/* By connection, then by Subscription Identifier. */
static int match_cmp(void *priv, const struct list_head *a,
		     const struct list_head *b)
{
	const struct kmqtt_match *x = list_entry(a, struct kmqtt_match, list);
	const struct kmqtt_match *y = list_entry(b, struct kmqtt_match, list);

	if (x->conn != y->conn)
		return x->conn > y->conn ? 1 : -1;
	return (x->live & LIVE_SUBID) > (y->live & LIVE_SUBID);
}

/**
 * struct kmqtt_merged - all matches of one connection
 * @conn: the connection, %NULL = daemon
 * @routes: matches merged
 * @no_local: matches with No Local, merged or left out
 * @flags: KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED or 0
 * @n_subids: Subscription Identifiers; the rest of them does not fit if this
 *	exceeds KMQTT_SUBIDS_MAX
 * @subids: the first of them, ascending
 */
struct kmqtt_merged {
	struct kmqtt_conn *conn;
	u32 routes;
	u32 no_local;
	u8 flags;
	u32 n_subids;
	u32 subids[KMQTT_SUBIDS_MAX];
};

/*
 * Merge the matches of the connection that comes first from @pos on, without
 * those with No Local if it is @source.  Returns where the next one begins.
 */
static struct list_head *matches_merge(const struct kmqtt_matches *matches,
				       struct list_head *pos,
				       const struct kmqtt_conn *source,
				       struct kmqtt_merged *merged)
{
	struct kmqtt_match *match = list_entry(pos, struct kmqtt_match, list);

	merged->conn = match->conn;
	merged->routes = 0;
	merged->no_local = 0;
	merged->flags = 0;
	merged->n_subids = 0;
	for (; pos != &matches->routes; pos = pos->next) {
		match = list_entry(pos, struct kmqtt_match, list);
		if (match->conn != merged->conn)
			break;
		if (match->live & LIVE_NO_LOCAL) {
			merged->no_local++;
			if (source && match->conn == source)
				continue;
		}
		merged->routes++;
		merged->flags |= live_flags(match->live);
		if (!(match->live & LIVE_SUBID))
			continue;
		if (merged->n_subids < KMQTT_SUBIDS_MAX)
			merged->subids[merged->n_subids] =
				match->live & LIVE_SUBID;
		merged->n_subids++;
	}
	return pos;
}

/* Walk the trie and bring the matches of each connection together. */
static int matches_collect(struct kmqtt_matches *matches, struct kmqtt_fib *fib,
			   const struct kmqtt_fib_query *query)
{
	struct kmqtt_merged merged;
	struct list_head *pos;
	int err;

	err = kmqtt_trie_walk(&fib->trie, query->topic, query->len,
			      matches_visit, matches);
	if (err || matches->filters < 2)
		return err;
	list_sort(NULL, &matches->routes, match_cmp);
	for (pos = matches->routes.next; pos != &matches->routes;) {
		pos = matches_merge(matches, pos, NULL, &merged);
		if (merged.n_subids > KMQTT_SUBIDS_MAX)
			return -E2BIG;
	}
	return 0;
}

static void matches_emit(const struct kmqtt_matches *matches,
			 struct kmqtt_fib_query *query)
{
	struct kmqtt_merged merged;
	struct kmqtt_match *match;
	struct list_head *pos;

	for (pos = matches->routes.next; pos != &matches->routes;) {
		pos = matches_merge(matches, pos, query->source, &merged);
		if (merged.routes && query_allows(query, merged.conn))
			query_emit(query, merged.conn, merged.subids,
				   merged.n_subids, merged.flags);
	}
	list_for_each_entry(match, &matches->groups, list)
		group_emit(query, match->group);
}

static int entry_add(struct kmqtt_cache_entry *entry,
		     const struct kmqtt_merged *merged, u8 kind)
{
	const struct kmqtt_cache_dest dest = {
		.conn = merged->conn,
		.subids = merged->subids,
		.n_subids = merged->n_subids,
		.flags = merged->flags,
		.kind = kind,
	};

	return kmqtt_cache_add_dest(entry, &dest);
}

/* A connection with No Local routes gets one destination for each source. */
static int entry_add_no_local(struct kmqtt_cache_entry *entry,
			      const struct kmqtt_matches *matches,
			      struct list_head *pos,
			      struct kmqtt_merged *merged)
{
	int err = entry_add(entry, merged, KMQTT_CACHE_OTHERS);

	if (err)
		return err;
	matches_merge(matches, pos, merged->conn, merged);
	return merged->routes ? entry_add(entry, merged, KMQTT_CACHE_SELF) : 0;
}

static int entry_fill(struct kmqtt_cache_entry *entry,
		      const struct kmqtt_matches *matches,
		      const struct kmqtt_fib_query *query)
{
	struct kmqtt_cache_dest dest = { .kind = KMQTT_CACHE_GROUP };
	struct list_head *pos, *next;
	struct kmqtt_merged merged;
	struct kmqtt_match *match;
	int err = 0;

	for (pos = matches->routes.next; pos != &matches->routes && !err;
	     pos = next) {
		next = matches_merge(matches, pos, NULL, &merged);
		if (!query_allows(query, merged.conn))
			continue;
		if (merged.no_local && merged.conn)
			err = entry_add_no_local(entry, matches, pos, &merged);
		else
			err = entry_add(entry, &merged, KMQTT_CACHE_ANY);
	}
	list_for_each_entry(match, &matches->groups, list) {
		if (err)
			break;
		dest.group = match->group;
		err = kmqtt_cache_add_dest(entry, &dest);
	}
	return err;
}

static bool dest_applies(const struct kmqtt_cache_dest *dest,
			 const struct kmqtt_conn *source)
{
	if (dest->kind == KMQTT_CACHE_OTHERS)
		return dest->conn != source;
	if (dest->kind == KMQTT_CACHE_SELF)
		return dest->conn == source;
	return true;
}

static void entry_emit(const struct kmqtt_cache_entry *entry,
		       struct kmqtt_fib_query *query)
{
	const struct kmqtt_cache_chunk *chunk;
	const struct kmqtt_cache_dest *dest;

	for (chunk = entry->chunks; chunk; chunk = chunk->next) {
		for (dest = chunk->dest; dest < chunk->dest + chunk->n; dest++) {
			if (dest->kind == KMQTT_CACHE_GROUP)
				group_emit(query, dest->group);
			else if (dest_applies(dest, query->source))
				query_emit(query, dest->conn, dest->subids,
					   dest->n_subids, dest->flags);
		}
	}
}

/* Look up in the trie; @keep: the topic is worth a place in the cache. */
static int query_resolve(struct kmqtt_fib_query *query, struct kmqtt_fib *fib,
			 u64 hash, bool keep)
{
	u16 bucket = kmqtt_trie_gen(&fib->trie, query->topic, query->len);
	unsigned long gen = kmqtt_cache_gen(&fib->cache, bucket);
	struct kmqtt_cache_entry *entry = NULL;
	struct kmqtt_matches matches;
	int err;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "FIB look-up without RCU");
	matches_init(&matches);
	err = matches_collect(&matches, fib, query);
	if (err)
		goto out;
	if (keep)
		entry = kmqtt_cache_alloc(query->topic, query->len, hash,
					  bucket, gen);
	if (entry) {
		if (entry_fill(entry, &matches, query))
			kmqtt_cache_free(entry);
		else
			kmqtt_cache_insert(&fib->cache, entry);
	}
	matches_emit(&matches, query);
	err = query->n;
out:
	matches_free(&matches);
	return err;
}

/* The cached entry of a topic that may have one, stale or not, and its hash. */
static struct kmqtt_cache_entry *query_cached(const struct kmqtt_fib_query *query,
					      struct kmqtt_fib *fib, u64 *hash)
{
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "FIB look-up without RCU");
	*hash = siphash(query->topic, query->len, &fib->trie.key);
	return kmqtt_cache_find(&fib->cache, query->topic, query->len, *hash);
}

int kmqtt_fib_lookup(struct kmqtt_fib *fib, const u8 *topic, u16 len,
		     const struct kmqtt_conn *source, kmqtt_fib_emit_t emit,
		     void *ctx)
{
	struct kmqtt_fib_query query = {
		.topic = topic,
		.len = len,
		.source = source,
		.emit = emit,
		.ctx = ctx,
	};
	struct kmqtt_cache_entry *entry;
	u64 hash;

	if (len > KMQTT_CACHE_TOPIC_MAX)
		return query_resolve(&query, fib, 0, false);
	entry = query_cached(&query, fib, &hash);
	if (entry && kmqtt_cache_valid(&fib->cache, entry)) {
		entry_emit(entry, &query);
		return query.n;
	}
	return query_resolve(&query, fib, hash,
			     entry || kmqtt_cache_seen(&fib->cache, hash));
}

int kmqtt_fib_lookup_plain(struct kmqtt_fib *fib, const u8 *topic, u16 len,
			   const struct kmqtt_conn *source, kmqtt_fib_emit_t emit,
			   void *ctx)
{
	struct kmqtt_fib_query query = {
		.topic = topic,
		.len = len,
		.source = source,
		.emit = emit,
		.ctx = ctx,
	};
	struct kmqtt_cache_entry *entry;
	u64 hash;

	if (len > KMQTT_CACHE_TOPIC_MAX)
		return -EAGAIN;
	entry = query_cached(&query, fib, &hash);
	if (!entry || !entry->plain || !kmqtt_cache_valid(&fib->cache, entry))
		return -EAGAIN;
	entry_emit(entry, &query);
	return query.n;
}

bool kmqtt_fib_lookup_one(struct kmqtt_fib *fib, const u8 *topic, u16 len,
			  const struct kmqtt_conn *source,
			  struct kmqtt_fib_dest *dest)
{
	const struct kmqtt_fib_query query = { .topic = topic, .len = len };
	const struct kmqtt_cache_chunk *chunk;
	const struct kmqtt_cache_entry *entry;
	u64 hash;

	if (len > KMQTT_CACHE_TOPIC_MAX)
		return false;
	entry = query_cached(&query, fib, &hash);
	if (!entry || !entry->plain || !kmqtt_cache_valid(&fib->cache, entry))
		return false;
	chunk = entry->chunks;
	if (!chunk || chunk->next || chunk->n != 1 || !dest_applies(chunk->dest, source))
		return false;
	*dest = (struct kmqtt_fib_dest) {
		.conn = chunk->dest->conn,
		.subids = chunk->dest->subids,
		.n_subids = chunk->dest->n_subids,
		.flags = chunk->dest->flags,
	};
	return true;
}

/* ---- routes ---- */

static struct kmqtt_fib_route *route_find(struct kmqtt_fib *fib,
					  struct kmqtt_conn *conn,
					  struct kmqtt_node *node)
{
	const struct kmqtt_route_ident id = { .conn = conn, .node = node };

	return rhashtable_lookup_fast(&fib->by_id, &id, route_params);
}

static u32 route_live(const struct kmqtt_route_opts *opts)
{
	u32 live = opts->subid & LIVE_SUBID;

	if (opts->flags & KMQTT_ROUTE_F_NO_LOCAL)
		live |= LIVE_NO_LOCAL;
	if (opts->flags & KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED)
		live |= LIVE_RETAIN;
	return live;
}

/* HELD stays until it is released, whatever else is changed. */
static void route_set_opts(struct kmqtt_fib_route *route,
			   const struct kmqtt_route_opts *opts)
{
	u8 held = route->flags & KMQTT_ROUTE_F_HELD;

	if (opts->flags & (KMQTT_ROUTE_F_HOLD | KMQTT_ROUTE_F_HELD))
		held = KMQTT_ROUTE_F_HELD;
	route->flags = (opts->flags & (KMQTT_ROUTE_F_NO_LOCAL |
				       KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED |
				       KMQTT_ROUTE_F_RH_MASK)) | held;
	route->qos = opts->qos;
	WRITE_ONCE(route->live, route_live(opts));
}

static void route_free_rcu(struct rcu_head *rcu)
{
	kmem_cache_free(route_slab,
			container_of(rcu, struct kmqtt_fib_route, rcu));
}

static bool route_in_group(const struct kmqtt_fib_route *route)
{
	return route->id.node->kind == KMQTT_NODE_SHARE;
}

/*
 * Make a route and enter it where writers find it; look-ups do not see it
 * before route_publish().  The caller gives @node, which may be new.
 */
static struct kmqtt_fib_route *route_make(struct kmqtt_fib *fib,
					  struct kmqtt_conn *conn,
					  struct kmqtt_node *node,
					  const struct kmqtt_route_opts *opts)
{
	struct kmqtt_fib_route *route;

	route = kmem_cache_zalloc(route_slab, GFP_KERNEL);
	if (!route)
		return NULL;
	route->id.conn = conn;
	route->id.node = node;
	route->seq = fib->next_seq;
	route_set_opts(route, opts);
	if (route_in_group(route) && group_reserve(fib, node))
		goto err_free;
	if (xa_insert(&fib->by_seq, route->seq, route, GFP_KERNEL))
		goto err_group;
	if (rhashtable_insert_fast(&fib->by_id, &route->id_link, route_params))
		goto err_seq;
	fib->next_seq++;
	if (conn)
		kmqtt_conn_get(conn);
	list_add_tail(&route->owned, conn ? &conn->routes : &fib->daemon_routes);
	WRITE_ONCE(fib->n_routes, fib->n_routes + 1);
	if (!node->n_routes++)
		WRITE_ONCE(fib->n_filters, fib->n_filters + 1);
	return route;

err_seq:
	xa_erase(&fib->by_seq, route->seq);
err_group:
	if (route_in_group(route) && !node->n_routes)
		group_clear(fib, node);
err_free:
	kmem_cache_free(route_slab, route);
	return NULL;
}

static void route_publish(struct kmqtt_fib *fib, struct kmqtt_fib_route *route)
{
	if (route_in_group(route))
		group_add(fib, route);
	else
		hlist_add_head_rcu(&route->link, &route->id.node->routes);
	kmqtt_cache_bump(&fib->cache, route->id.node->gen);
}

static void route_hide(struct kmqtt_fib *fib, struct kmqtt_fib_route *route)
{
	if (route_in_group(route))
		group_del(fib, route);
	else
		hlist_del_rcu(&route->link);
}

/* Undo route_make(), once look-ups cannot find @route in the trie any more. */
static void route_drop(struct kmqtt_fib *fib, struct kmqtt_fib_route *route)
{
	struct kmqtt_node *node = route->id.node;

	rhashtable_remove_fast(&fib->by_id, &route->id_link, route_params);
	xa_erase(&fib->by_seq, route->seq);
	list_del(&route->owned);
	WRITE_ONCE(fib->n_routes, fib->n_routes - 1);
	kmqtt_cache_bump(&fib->cache, node->gen);
	/*
	 * From here on no look-up that begins can come to the route, its
	 * group or its connection: not by the trie, for it is unlinked, and not
	 * by the cache, for its generation has passed.  Those that began before
	 * are waited for by the grace periods that begin below.
	 */
	if (!--node->n_routes) {
		WRITE_ONCE(fib->n_filters, fib->n_filters - 1);
		if (route_in_group(route))
			group_clear(fib, node);
		kmqtt_trie_prune(&fib->trie, node);
	}
	if (route->id.conn)
		kmqtt_conn_put(route->id.conn);
	call_rcu(&route->rcu, route_free_rcu);
}

static void route_remove(struct kmqtt_fib *fib, struct kmqtt_fib_route *route)
{
	lockdep_assert_held(&fib->mutex);
	route_hide(fib, route);
	route_drop(fib, route);
}

/* Put @new where @old is, so that each look-up finds one of them. */
static void route_replace(struct kmqtt_fib *fib, struct kmqtt_fib_route *old,
			  struct kmqtt_fib_route *new)
{
	if (route_in_group(new)) {
		new->slot = old->slot;
		rcu_assign_pointer(group_members(fib, new->id.node)->route[new->slot],
				   new);
	} else {
		hlist_replace_rcu(&old->link, &new->link);
	}
	route_drop(fib, old);
}

static struct kmqtt_fib_route *fib_find(struct kmqtt_fib *fib,
					const struct kmqtt_route_key *key)
{
	struct kmqtt_node *node = kmqtt_trie_find(&fib->trie, key);

	return node ? route_find(fib, key->conn, node) : NULL;
}

/* May @conn have a route with @opts at all? */
static int fib_check(const struct kmqtt_conn *conn,
		     const struct kmqtt_route_opts *opts,
		     struct netlink_ext_ack *extack)
{
	if (opts->subid > LIVE_SUBID) {
		NL_SET_ERR_MSG(extack, "the Subscription Identifier exceeds 268435455");
		return -EINVAL;
	}
	if (conn && conn->routes_closed) {
		NL_SET_ERR_MSG(extack, "the connection is closing");
		return -ESHUTDOWN;
	}
	return 0;
}

static int fib_check_room(const struct kmqtt_fib *fib,
			  struct netlink_ext_ack *extack)
{
	if (fib->n_routes >= fib->routes_max ||
	    fib->trie.bytes >= FIB_BYTES_MAX) {
		NL_SET_ERR_MSG(extack, "too many routes in this namespace");
		return -ENOSPC;
	}
	return 0;
}

static int fib_add_new(struct kmqtt_fib *fib, const struct kmqtt_route_key *key,
		       const struct kmqtt_route_opts *opts)
{
	struct kmqtt_fib_route *route;
	struct kmqtt_node *node;
	int err;

	err = kmqtt_cache_enable(&fib->cache);
	if (err)
		return err;
	node = kmqtt_trie_make(&fib->trie, key);
	if (IS_ERR(node))
		return PTR_ERR(node);
	route = route_make(fib, key->conn, node, opts);
	if (!route) {
		/* A look-up may have cached the new, empty group. */
		kmqtt_cache_bump(&fib->cache, node->gen);
		kmqtt_trie_prune(&fib->trie, node);
		return -ENOMEM;
	}
	route_publish(fib, route);
	return 0;
}

int kmqtt_fib_add(struct kmqtt_fib *fib, const struct kmqtt_route_key *key,
		  const struct kmqtt_route_opts *opts,
		  struct netlink_ext_ack *extack)
{
	struct kmqtt_fib_route *route;
	int err;

	mutex_lock(&fib->mutex);
	err = fib_check(key->conn, opts, extack);
	if (err)
		goto out;
	route = fib_find(fib, key);
	if (route) {
		route_set_opts(route, opts);
		kmqtt_cache_bump(&fib->cache, route->id.node->gen);
		goto out;
	}
	err = fib_check_room(fib, extack);
	if (err)
		goto out;
	err = fib_add_new(fib, key, opts);
	if (err)
		NL_SET_ERR_MSG(extack, "no memory for the route");
out:
	mutex_unlock(&fib->mutex);
	return err;
}

int kmqtt_fib_del(struct kmqtt_fib *fib, const struct kmqtt_route_key *key)
{
	struct kmqtt_fib_route *route;

	mutex_lock(&fib->mutex);
	route = fib_find(fib, key);
	if (route)
		route_remove(fib, route);
	mutex_unlock(&fib->mutex);
	return route ? 0 : -ENOENT;
}

static int fib_retarget(struct kmqtt_fib *fib, struct kmqtt_fib_route *old,
			struct kmqtt_conn *conn,
			const struct kmqtt_route_opts *opts,
			struct netlink_ext_ack *extack)
{
	struct kmqtt_fib_route *new;
	int err = fib_check(conn, opts, extack);

	if (err)
		return err;
	new = route_find(fib, conn, old->id.node);
	if (new) {
		route_set_opts(new, opts);
		kmqtt_cache_bump(&fib->cache, new->id.node->gen);
		if (new != old)
			route_remove(fib, old);
		return 0;
	}
	new = route_make(fib, conn, old->id.node, opts);
	if (!new) {
		NL_SET_ERR_MSG(extack, "no memory for the route");
		return -ENOMEM;
	}
	route_replace(fib, old, new);
	return 0;
}

int kmqtt_fib_retarget(struct kmqtt_fib *fib, const struct kmqtt_route_key *key,
		       struct kmqtt_conn *conn,
		       const struct kmqtt_route_opts *opts,
		       struct netlink_ext_ack *extack)
{
	struct kmqtt_fib_route *route;
	int err = -ENOENT;

	mutex_lock(&fib->mutex);
	route = fib_find(fib, key);
	if (route)
		err = fib_retarget(fib, route, conn, opts, extack);
	else
		NL_SET_ERR_MSG(extack, "no such route");
	mutex_unlock(&fib->mutex);
	return err;
}

static void fib_flush_list(struct kmqtt_fib *fib, struct list_head *routes)
{
	struct kmqtt_fib_route *route, *next;

	list_for_each_entry_safe(route, next, routes, owned) {
		route_remove(fib, route);
		cond_resched();
	}
}

void kmqtt_fib_flush(struct kmqtt_fib *fib, struct kmqtt_conn *conn)
{
	mutex_lock(&fib->mutex);
	conn->routes_closed = true;
	fib_flush_list(fib, &conn->routes);
	mutex_unlock(&fib->mutex);
}

void kmqtt_fib_flush_daemon(struct kmqtt_fib *fib)
{
	mutex_lock(&fib->mutex);
	fib_flush_list(fib, &fib->daemon_routes);
	mutex_unlock(&fib->mutex);
}

void kmqtt_fib_release(struct kmqtt_fib *fib, struct kmqtt_conn *conn)
{
	struct kmqtt_fib_route *route;

	mutex_lock(&fib->mutex);
	list_for_each_entry(route, &conn->routes, owned)
		route->flags &= ~KMQTT_ROUTE_F_HELD;
	mutex_unlock(&fib->mutex);
}

void kmqtt_fib_invalidate(struct kmqtt_fib *fib)
{
	mutex_lock(&fib->mutex);
	kmqtt_cache_bump(&fib->cache, KMQTT_CACHE_GEN_ALL);
	mutex_unlock(&fib->mutex);
}

/* ---- dump ---- */

/**
 * struct kmqtt_fib_dump - a dump in progress
 * @pos: where the next call goes on
 * @cb: gets the routes
 * @ctx: its first argument
 * @filter: room for a filter
 */
struct kmqtt_fib_dump {
	u64 *pos;
	int (*cb)(void *ctx, const struct kmqtt_route_info *info);
	void *ctx;
	u8 *filter;
};

static int dump_route(struct kmqtt_fib_dump *dump,
		      const struct kmqtt_fib_route *route)
{
	const struct kmqtt_node *node = route->id.node;
	struct kmqtt_route_info info = {
		.conn_id = route->id.conn ? route->id.conn->id : 0,
		.filter = dump->filter,
		.filter_len = kmqtt_trie_filter_len(node),
		.opts.flags = route->flags,
		.opts.qos = route->qos,
		.opts.subid = route->live & LIVE_SUBID,
	};
	int err;

	kmqtt_trie_filter_put(node, dump->filter, info.filter_len);
	if (route_in_group(route)) {
		info.share = node->name;
		info.share_len = node->len;
	}
	*dump->pos = route->seq;
	err = dump->cb(dump->ctx, &info);
	if (!err)
		++*dump->pos;
	return err;
}

static int dump_conn(struct kmqtt_fib_dump *dump, struct kmqtt_conn *conn)
{
	struct kmqtt_fib_route *route;
	int err;

	list_for_each_entry(route, &conn->routes, owned) {
		if (route->seq < *dump->pos)
			continue;
		err = dump_route(dump, route);
		if (err)
			return err;
	}
	return 0;
}

static int dump_all(struct kmqtt_fib_dump *dump, struct kmqtt_fib *fib)
{
	struct kmqtt_fib_route *route;
	unsigned long seq;
	int err;

	xa_for_each_start(&fib->by_seq, seq, route, *dump->pos) {
		err = dump_route(dump, route);
		if (err)
			return err;
	}
	return 0;
}

int kmqtt_fib_dump(struct kmqtt_fib *fib, struct kmqtt_conn *conn, u64 *pos,
		   int (*cb)(void *ctx, const struct kmqtt_route_info *info),
		   void *ctx)
{
	struct kmqtt_fib_dump dump = { .pos = pos, .cb = cb, .ctx = ctx };
	int err;

	dump.filter = kvmalloc(KMQTT_TOPIC_MAX, GFP_KERNEL_ACCOUNT);
	if (!dump.filter)
		return -ENOMEM;
	mutex_lock(&fib->mutex);
	err = conn ? dump_conn(&dump, conn) : dump_all(&dump, fib);
	mutex_unlock(&fib->mutex);
	kvfree(dump.filter);
	return err;
}

void kmqtt_fib_counts(struct kmqtt_fib *fib, u64 *routes, u64 *filters,
		      u64 *cached)
{
	*routes = READ_ONCE(fib->n_routes);
	*filters = READ_ONCE(fib->n_filters);
	*cached = READ_ONCE(fib->cache.count);
}

/* ---- life ---- */

struct kmqtt_fib *kmqtt_fib_create(void)
{
	struct kmqtt_fib *fib = kzalloc(sizeof(*fib), GFP_KERNEL_ACCOUNT);

	if (!fib)
		return NULL;
	mutex_init(&fib->mutex);
	xa_init_flags(&fib->by_seq, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&fib->daemon_routes);
	fib->next_seq = 1;
	fib->routes_max = FIB_ROUTES_MAX;
	if (kmqtt_trie_init(&fib->trie, &fib->mutex))
		goto err_free;
	if (rhashtable_init(&fib->by_id, &route_params))
		goto err_trie;
	if (kmqtt_cache_init(&fib->cache))
		goto err_ids;
	return fib;

err_ids:
	rhashtable_destroy(&fib->by_id);
err_trie:
	kmqtt_trie_destroy(&fib->trie);
err_free:
	kfree(fib);
	return NULL;
}

void kmqtt_fib_destroy(struct kmqtt_fib *fib)
{
	WARN_ON(fib->n_routes);
	kmqtt_cache_destroy(&fib->cache);
	rhashtable_destroy(&fib->by_id);
	kmqtt_trie_destroy(&fib->trie);
	xa_destroy(&fib->by_seq);
	mutex_destroy(&fib->mutex);
	kfree(fib);
}

int kmqtt_fib_init(void)
{
	int err;

	route_slab = KMEM_CACHE(kmqtt_fib_route, SLAB_ACCOUNT);
	if (!route_slab)
		return -ENOMEM;
	err = kmqtt_cache_module_init();
	if (err)
		kmem_cache_destroy(route_slab);
	return err;
}

void kmqtt_fib_exit(void)
{
	kmqtt_cache_module_exit();
	/* Routes are freed by a function of this module. */
	rcu_barrier();
	kmem_cache_destroy(route_slab);
}

#ifdef DEBUG
#include "selftest/fib.c"
#endif
