// SPDX-License-Identifier: GPL-2.0
/*
 * Self-test of the FIB; included by fib.c.  Random changes and look-ups are
 * compared with a list of routes and kmqtt_topic_matches(), and each rule that
 * chance may miss has a case of its own.
 */

#include <linux/prandom.h>
#include <linux/random.h>
#include "topic.h"

/* Connections below T_PLAIN have plain routes only, the others shared only. */
#define T_CONNS		12
#define T_PLAIN		8
#define T_ROUTES	256
#define T_ROUNDS	1500
#define T_ACL		1

/* A route as the oracle knows it. */
struct t_route {
	bool there;
	struct kmqtt_conn *conn;
	char filter[16];
	char share[4];
	struct kmqtt_route_opts opts;
};

/*
 * What look-ups gave, by connection, the last being the daemon: how often it
 * came, and the flags and identifiers of the last time.
 */
struct t_got {
	struct t_state *t;
	u32 times[T_CONNS + 1];
	u8 flags[T_CONNS + 1];
	u16 n_subids[T_CONNS + 1];
	u32 subids[T_CONNS + 1][KMQTT_SUBIDS_MAX];
};

/* The test; @refuses takes nothing that another may take. */
struct t_state {
	struct kmqtt_fib *fib;
	struct kmqtt_acls acls;
	struct rnd_state rnd;
	struct kmqtt_conn *conns[T_CONNS];
	struct t_route routes[T_ROUTES];
	struct kmqtt_conn *refuses;
	struct t_got got;
};

#define T_CHECK(cond)							\
	((cond) ? true :						\
	 (pr_err("fib self-test: %s:%d: %s: FAIL\n", __func__, __LINE__, \
		 #cond), false))

static u32 __init t_random(struct t_state *t, u32 n)
{
	return prandom_u32_state(&t->rnd) % n;
}

/* Not __init: called through a pointer. */
static bool t_emit(void *ctx, const struct kmqtt_fib_dest *dest)
{
	struct t_got *got = ctx;
	u32 i;

	if (dest->spare && dest->conn == got->t->refuses)
		return false;
	for (i = 0; i < T_CONNS; i++)
		if (got->t->conns[i] == dest->conn)
			break;
	got->times[i]++;
	got->flags[i] = dest->flags;
	got->n_subids[i] = dest->n_subids;
	memcpy(got->subids[i], dest->subids, dest->n_subids * sizeof(u32));
	return true;
}

static int __init t_lookup(struct t_state *t, const char *topic,
			   const struct kmqtt_conn *source)
{
	int ret;

	memset(&t->got, 0, sizeof(t->got));
	t->got.t = t;
	rcu_read_lock();
	ret = kmqtt_fib_lookup(t->fib, (const u8 *)topic, strlen(topic), source,
			       t_emit, &t->got);
	rcu_read_unlock();
	return ret;
}

static void __init t_key(struct kmqtt_route_key *key, struct kmqtt_conn *conn,
			 const char *filter, const char *share)
{
	*key = (struct kmqtt_route_key) {
		.conn = conn,
		.filter = (const u8 *)filter,
		.filter_len = strlen(filter),
		.share = share && *share ? (const u8 *)share : NULL,
		.share_len = share ? strlen(share) : 0,
	};
}

static int __init t_add(struct t_state *t, struct kmqtt_conn *conn,
			const char *filter, const char *share, u32 flags,
			u32 subid)
{
	const struct kmqtt_route_opts opts = { .flags = flags, .subid = subid };
	struct kmqtt_route_key key;

	t_key(&key, conn, filter, share);
	return kmqtt_fib_add(t->fib, &key, &opts, NULL);
}

static int __init t_del(struct t_state *t, struct kmqtt_conn *conn,
			const char *filter, const char *share)
{
	struct kmqtt_route_key key;

	t_key(&key, conn, filter, share);
	return kmqtt_fib_del(t->fib, &key);
}

static int __init t_retarget(struct t_state *t, struct kmqtt_conn *from,
			     const char *filter, const char *share,
			     struct kmqtt_conn *to, u32 flags, u32 subid)
{
	const struct kmqtt_route_opts opts = { .flags = flags, .subid = subid };
	struct kmqtt_route_key key;

	t_key(&key, from, filter, share);
	return kmqtt_fib_retarget(t->fib, &key, to, &opts, NULL);
}

/* Flush a connection and let it have routes again. */
static void __init t_flush(struct t_state *t, struct kmqtt_conn *conn)
{
	kmqtt_fib_flush(t->fib, conn);
	conn->routes_closed = false;
}

static void __init t_flush_all(struct t_state *t)
{
	u32 i;

	for (i = 0; i < T_CONNS; i++)
		t_flush(t, t->conns[i]);
	kmqtt_fib_flush_daemon(t->fib);
	memset(t->routes, 0, sizeof(t->routes));
}

/* ---- random changes against the oracle ---- */

static bool __init t_matches(const struct t_route *r, const char *topic,
			     const struct kmqtt_conn *source)
{
	if (!r->there || (r->conn && r->conn == source &&
			  r->opts.flags & KMQTT_ROUTE_F_NO_LOCAL))
		return false;
	return kmqtt_topic_matches((const u8 *)r->filter, strlen(r->filter),
				   (const u8 *)topic, strlen(topic));
}

static bool __init t_allowed(const struct kmqtt_conn *conn, const char *topic)
{
	bool allowed;

	if (!conn)
		return true;
	rcu_read_lock();
	allowed = kmqtt_acl_allows(conn, KMQTT_ACL_READ, (const u8 *)topic,
				   strlen(topic));
	rcu_read_unlock();
	return allowed;
}

/* Is what connection @i got what its plain routes say? */
static bool __init t_plain_right(const struct t_state *t, u32 i,
				 const char *topic,
				 const struct kmqtt_conn *source)
{
	struct kmqtt_conn *conn = i < T_CONNS ? t->conns[i] : NULL;
	const struct t_got *got = &t->got;
	u32 n = 0, subids = 0, found = 0, k, j;
	u8 flags = 0;

	for (k = 0; k < T_ROUTES; k++) {
		const struct t_route *r = &t->routes[k];

		if (r->conn != conn || !t_matches(r, topic, source))
			continue;
		n++;
		flags |= r->opts.flags & KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED;
		if (!r->opts.subid)
			continue;
		subids++;
		for (j = 0; j < got->n_subids[i]; j++)
			if (got->subids[i][j] == r->opts.subid) {
				found++;
				break;
			}
	}
	if (!n || !t_allowed(conn, topic))
		return T_CHECK(!got->times[i]);
	for (j = 1; j < got->n_subids[i]; j++)
		if (!T_CHECK(got->subids[i][j - 1] <= got->subids[i][j]))
			return false;
	return T_CHECK(got->times[i] == 1) && T_CHECK(got->flags[i] == flags) &&
	       T_CHECK(got->n_subids[i] == subids) && T_CHECK(found == subids);
}

static bool __init t_same_group(const struct t_route *a,
				const struct t_route *b)
{
	return !strcmp(a->share, b->share) && !strcmp(a->filter, b->filter);
}

/* Did as many shared connections get it as there are groups that match? */
static bool __init t_shared_right(const struct t_state *t, const char *topic,
				  const struct kmqtt_conn *source)
{
	u32 groups = 0, got = 0, i, k, j;

	for (k = 0; k < T_ROUTES; k++) {
		const struct t_route *r = &t->routes[k];
		bool again = false;

		if (!*r->share || !t_matches(r, topic, source))
			continue;
		for (j = 0; j < k; j++)
			again |= t_matches(&t->routes[j], topic, source) &&
				 t_same_group(&t->routes[j], r);
		groups += !again;
	}
	for (i = T_PLAIN; i < T_CONNS; i++)
		got += t->got.times[i];
	return T_CHECK(got == groups);
}

static bool __init t_compare(struct t_state *t, const char *topic,
			     const struct kmqtt_conn *source)
{
	u32 total = 0, i;
	int ret = t_lookup(t, topic, source);
	bool ok;

	ok = T_CHECK(ret >= 0) && t_shared_right(t, topic, source) &&
	     t_plain_right(t, T_CONNS, topic, source);
	for (i = 0; ok && i < T_PLAIN; i++)
		ok = t_plain_right(t, i, topic, source);
	for (i = 0; i <= T_CONNS; i++)
		total += t->got.times[i];
	ok = ok && T_CHECK(ret == total);
	if (!ok)
		pr_err("fib self-test: topic '%s'\n", topic);
	return ok;
}

static void __init t_name(struct t_state *t, char *name, bool filter)
{
	static const char *const level[] __initconst = {
		"a", "b", "", "$x", "cd",
	};
	u32 levels = 1 + t_random(t, 4), i;

	do {
		char *p = name;

		for (i = 0; i < levels; i++) {
			u32 kind = filter ? t_random(t, 10) : 9;

			if (i)
				*p++ = '/';
			if (kind < 2 || (kind == 2 && i == levels - 1))
				*p++ = kind == 2 ? '#' : '+';
			else
				p += strlen(strcpy(p, level[t_random(t, 5)]));
		}
		*p = '\0';
	} while (!*name);
}

static struct t_route *__init t_same_route(struct t_state *t,
					   const struct kmqtt_conn *conn,
					   const struct t_route *like)
{
	u32 i;

	for (i = 0; i < T_ROUTES; i++)
		if (t->routes[i].there && t->routes[i].conn == conn &&
		    t_same_group(&t->routes[i], like))
			return &t->routes[i];
	return NULL;
}

static void __init t_random_opts(struct t_state *t,
				 struct kmqtt_route_opts *opts)
{
	opts->flags = t_random(t, 4);
	opts->subid = t_random(t, 2) ? 0 : 1 + t_random(t, 9);
}

static struct kmqtt_conn *__init t_random_conn(struct t_state *t, bool shared)
{
	u32 i;

	if (shared)
		return t->conns[T_PLAIN + t_random(t, T_CONNS - T_PLAIN)];
	i = t_random(t, T_PLAIN + 1);
	return i < T_PLAIN ? t->conns[i] : NULL;
}

static bool __init t_random_add(struct t_state *t)
{
	struct t_route *slot = &t->routes[t_random(t, T_ROUTES)], *same;
	struct t_route r = { .there = true };
	bool shared = !t_random(t, 4);

	t_name(t, r.filter, true);
	if (shared)
		snprintf(r.share, sizeof(r.share), "g%u", t_random(t, 2));
	r.conn = t_random_conn(t, shared);
	t_random_opts(t, &r.opts);
	same = t_same_route(t, r.conn, &r);
	if (!same && slot->there)
		return true;
	*(same ?: slot) = r;
	return T_CHECK(!t_add(t, r.conn, r.filter, r.share, r.opts.flags,
			      r.opts.subid));
}

static bool __init t_random_del(struct t_state *t)
{
	struct t_route *r = &t->routes[t_random(t, T_ROUTES)];

	if (!*r->filter)
		return true;
	if (!r->there)
		return t_same_route(t, r->conn, r) ||
		       T_CHECK(t_del(t, r->conn, r->filter, r->share) == -ENOENT);
	r->there = false;
	return T_CHECK(!t_del(t, r->conn, r->filter, r->share));
}

static bool __init t_random_retarget(struct t_state *t)
{
	struct t_route *r = &t->routes[t_random(t, T_ROUTES)], *same;
	struct kmqtt_conn *from = r->conn, *to;

	if (!r->there)
		return true;
	to = t_random_conn(t, *r->share);
	same = t_same_route(t, to, r);
	if (same && same != r)
		same->there = false;
	r->conn = to;
	t_random_opts(t, &r->opts);
	return T_CHECK(!t_retarget(t, from, r->filter, r->share, to,
				   r->opts.flags, r->opts.subid));
}

static void __init t_random_flush(struct t_state *t)
{
	struct kmqtt_conn *conn = t_random_conn(t, t_random(t, 2));
	u32 i;

	if (conn)
		t_flush(t, conn);
	else
		kmqtt_fib_flush_daemon(t->fib);
	for (i = 0; i < T_ROUTES; i++)
		if (t->routes[i].conn == conn)
			t->routes[i].there = false;
}

static bool __init t_random_change(struct t_state *t)
{
	u32 what = t_random(t, 100);

	if (what < 55)
		return t_random_add(t);
	if (what < 85)
		return t_random_del(t);
	if (what < 98)
		return t_random_retarget(t);
	t_random_flush(t);
	return true;
}

static bool __init t_counts_right(struct t_state *t)
{
	u64 routes, filters, cached;
	u32 n = 0, i;

	for (i = 0; i < T_ROUTES; i++)
		n += t->routes[i].there;
	kmqtt_fib_counts(t->fib, &routes, &filters, &cached);
	return T_CHECK(routes == n) && T_CHECK(filters <= n) &&
	       T_CHECK(!n == !filters);
}

static bool __init t_random_all(struct t_state *t)
{
	u32 round, i;
	char topic[16];

	for (round = 0; round < T_ROUNDS; round++) {
		if (!t_random_change(t) || !t_counts_right(t))
			return false;
		for (i = 0; i < 3; i++) {
			t_name(t, topic, false);
			if (!t_compare(t, topic, t_random_conn(t, false)))
				return false;
		}
	}
	if (!T_CHECK(t->fib->cache.count))
		return false;
	t_flush_all(t);
	return t_counts_right(t) && T_CHECK(!t->fib->trie.bytes) &&
	       T_CHECK(!t->fib->trie.root->children);
}

/* ---- cases ---- */

static bool __init t_case_no_local(struct t_state *t)
{
	struct kmqtt_conn *a = t->conns[0];
	u32 i;
	bool ok;

	ok = T_CHECK(!t_add(t, a, "n/+", NULL, KMQTT_ROUTE_F_NO_LOCAL, 9)) &&
	     T_CHECK(!t_add(t, a, "n/#", NULL, 0, 5));
	for (i = 0; ok && i < 4; i++) {
		ok = T_CHECK(t_lookup(t, "n/x", a) == 1) &&
		     T_CHECK(t->got.n_subids[0] == 1) &&
		     T_CHECK(t->got.subids[0][0] == 5) &&
		     T_CHECK(t_lookup(t, "n/x", NULL) == 1) &&
		     T_CHECK(t->got.n_subids[0] == 2) &&
		     T_CHECK(t->got.subids[0][0] == 5) &&
		     T_CHECK(t->got.subids[0][1] == 9);
	}
	ok = ok && T_CHECK(!t_del(t, a, "n/#", NULL));
	for (i = 0; ok && i < 4; i++)
		ok = T_CHECK(t_lookup(t, "n/x", a) == 0) &&
		     T_CHECK(t_lookup(t, "n/x", t->conns[1]) == 1);
	t_flush_all(t);
	return ok;
}

static bool __init t_case_share(struct t_state *t)
{
	u32 sum[T_CONNS] = { 0 }, i, k;
	bool ok = true;

	for (i = 0; i < 4; i++)
		ok = ok && T_CHECK(!t_add(t, t->conns[i], "s/+", "g", 0, i));
	for (k = 0; ok && k < 400; k++) {
		ok = T_CHECK(t_lookup(t, "s/x", NULL) == 1);
		for (i = 0; i < 4; i++)
			sum[i] += t->got.times[i];
	}
	for (i = 0; ok && i < 4; i++)
		ok = T_CHECK(sum[i] == 100);

	/* who takes nothing is passed over, as long as anybody takes */
	t->conns[1]->tx.routed_bytes = 1;
	for (k = 0; ok && k < 8; k++)
		ok = T_CHECK(t_lookup(t, "s/x", NULL) == 1) &&
		     T_CHECK(!t->got.times[1]);
	for (i = 0; i < 4; i++)
		t->conns[i]->tx.routed_bytes = 1;
	ok = ok && T_CHECK(t_lookup(t, "s/x", NULL) == 1);
	for (i = 0; i < 4; i++)
		t->conns[i]->tx.routed_bytes = 0;

	/* members that leave take none with them; with the last goes all */
	ok = ok && T_CHECK(!t_del(t, t->conns[0], "s/+", "g")) &&
	     T_CHECK(!t_del(t, t->conns[3], "s/+", "g")) &&
	     T_CHECK(t_del(t, t->conns[1], "s/+", NULL) == -ENOENT);
	memset(sum, 0, sizeof(sum));
	for (k = 0; ok && k < 8; k++) {
		ok = T_CHECK(t_lookup(t, "s/x", NULL) == 1);
		sum[1] += t->got.times[1];
		sum[2] += t->got.times[2];
	}
	ok = ok && T_CHECK(sum[1] == 4 && sum[2] == 4);
	t_flush_all(t);
	return ok && T_CHECK(t_lookup(t, "s/x", NULL) == 0) &&
	       T_CHECK(!t->fib->trie.bytes);
}

/* How many of 8 messages to the group of "o/+" connection @i got. */
static u32 __init t_offered(struct t_state *t, u32 i)
{
	u32 k, j, all = 0, got = 0;

	for (k = 0; k < 8; k++) {
		if (t_lookup(t, "o/x", NULL) != 1)
			return U32_MAX;
		for (j = 0; j <= T_CONNS; j++)
			all += t->got.times[j];
		got += t->got.times[i];
	}
	return all == 8 ? got : U32_MAX;
}

/* Each message goes to one: who takes it best, and who is left at the end. */
static bool __init t_case_share_ranks(struct t_state *t)
{
	bool ok = true;
	u32 i;

	for (i = 2; i < 5; i++)
		ok = ok && T_CHECK(!t_add(t, t->conns[i], "o/+", "g", 0, 0));
	ok = ok && T_CHECK(!t_add(t, NULL, "o/+", "g", 0, 0)) &&
	     T_CHECK(t_offered(t, T_CONNS) == 0);
	set_bit(KMQTT_CB_BLOCKED, &t->conns[2]->bits);
	ok = ok && T_CHECK(t_offered(t, 2) == 0);
	t->conns[3]->close_req.cause = KMQTT_CLOSE_DAEMON;
	t->refuses = t->conns[4];
	ok = ok && T_CHECK(t_offered(t, 2) == 8);
	t->conns[2]->state = KMQTT_STATE_CLOSING;
	ok = ok && T_CHECK(t_offered(t, T_CONNS) == 8) &&
	     T_CHECK(!t_del(t, NULL, "o/+", "g")) &&
	     T_CHECK(t_offered(t, 4) - 1 < 8);
	t->conns[2]->state = KMQTT_STATE_OPEN;
	clear_bit(KMQTT_CB_BLOCKED, &t->conns[2]->bits);
	t->conns[3]->close_req.cause = 0;
	t->refuses = NULL;
	t_flush_all(t);
	return ok;
}

/* Who may not have a message is passed over even if all others are full. */
static bool __init t_case_share_refused(struct t_state *t)
{
	struct kmqtt_conn *local = t->conns[0], *denied = t->conns[T_ACL];
	struct kmqtt_conn *full = t->conns[2];
	bool ok;
	u32 k;

	full->tx.routed_bytes = 1;
	ok = T_CHECK(!t_add(t, local, "b/+", "g", KMQTT_ROUTE_F_NO_LOCAL, 0)) &&
	     T_CHECK(!t_add(t, denied, "b/+", "g", 0, 0)) &&
	     T_CHECK(!t_add(t, full, "b/+", "g", 0, 0));
	for (k = 0; ok && k < 8; k++)
		ok = T_CHECK(t_lookup(t, "b/x", local) == 1) &&
		     T_CHECK(t->got.times[2] == 1) &&
		     T_CHECK(t_lookup(t, "b/x", full) == 1) &&
		     T_CHECK(t->got.times[0] == 1);
	full->tx.routed_bytes = 0;
	t_flush(t, full);
	ok = ok && T_CHECK(t_lookup(t, "b/x", local) == 0);
	t_flush_all(t);
	return ok;
}

/* The daemon and the connection change places, never both, never none. */
static bool __init t_case_retarget(struct t_state *t)
{
	struct kmqtt_conn *a = t->conns[0];
	bool ok;

	ok = T_CHECK(t_retarget(t, NULL, "r", NULL, a, 0, 0) == -ENOENT) &&
	     T_CHECK(!t_add(t, NULL, "r", NULL, 0, 0)) &&
	     T_CHECK(t_lookup(t, "r", NULL) == 1) &&
	     T_CHECK(t->got.times[T_CONNS] == 1) &&
	     T_CHECK(!t_retarget(t, NULL, "r", NULL, a, 0, 3)) &&
	     T_CHECK(t_lookup(t, "r", NULL) == 1) &&
	     T_CHECK(t->got.times[0] == 1 && t->got.subids[0][0] == 3);
	a->routes_closed = true;
	ok = ok && T_CHECK(t_add(t, a, "q", NULL, 0, 0) == -ESHUTDOWN) &&
	     T_CHECK(t_add(t, a, "r", NULL, 0, 0) == -ESHUTDOWN) &&
	     T_CHECK(!t_add(t, NULL, "q", NULL, 0, 0)) &&
	     T_CHECK(t_retarget(t, NULL, "q", NULL, a, 0, 0) == -ESHUTDOWN) &&
	     T_CHECK(t_lookup(t, "q", NULL) == 1);
	a->routes_closed = false;
	t_flush_all(t);
	return ok;
}

/* Enter every filter of @levels levels made of "a" and "+". */
static bool __init t_add_fan(struct t_state *t, u32 levels)
{
	char filter[64];
	u32 bits, i;

	for (bits = 0; bits < 1U << levels; bits++) {
		for (i = 0; i < levels; i++) {
			filter[2 * i] = bits >> i & 1 ? '+' : 'a';
			filter[2 * i + 1] = '/';
		}
		filter[2 * levels - 1] = '\0';
		if (!T_CHECK(!t_add(t, t->conns[0], filter, NULL, 0,
				    levels < 8 ? bits + 1 : 0)))
			return false;
	}
	return true;
}

static bool __init t_case_limits(struct t_state *t)
{
	static const char topic[] __initconst = "a/a/a/a/a/a/a/a/a/a/a/a";
	char name[sizeof(topic)];
	bool ok;

	strscpy(name, topic, sizeof(name));
	ok = t_add_fan(t, 12) && T_CHECK(t_lookup(t, name, NULL) == -E2BIG);
	t_flush_all(t);
	name[2 * 6 - 1] = '\0';
	ok = ok && t_add_fan(t, 6) && T_CHECK(t_lookup(t, name, NULL) == 1) &&
	     T_CHECK(t->got.n_subids[0] == KMQTT_SUBIDS_MAX) &&
	     T_CHECK(t->got.subids[0][63] == 64) &&
	     T_CHECK(t_lookup(t, name, NULL) == 1) &&
	     T_CHECK(t_lookup(t, name, NULL) == 1) &&
	     T_CHECK(t->got.n_subids[0] == KMQTT_SUBIDS_MAX) &&
	     T_CHECK(!t_add(t, t->conns[0], "#", NULL, 0, 65)) &&
	     T_CHECK(t_lookup(t, name, NULL) == -E2BIG) &&
	     T_CHECK(t_lookup(t, "other", NULL) == 1);
	t_flush_all(t);
	return ok;
}

/* A full FIB takes no new route, but changes those it has. */
static bool __init t_case_full(struct t_state *t)
{
	bool ok;

	t->fib->routes_max = 2;
	ok = T_CHECK(!t_add(t, t->conns[0], "f/1", NULL, 0, 0)) &&
	     T_CHECK(!t_add(t, t->conns[0], "f/2", NULL, 0, 0)) &&
	     T_CHECK(t_add(t, t->conns[0], "f/3", NULL, 0, 0) == -ENOSPC) &&
	     T_CHECK(t_add(t, t->conns[0], "f/2", NULL, 0, BIT(28)) == -EINVAL) &&
	     T_CHECK(!t_add(t, t->conns[0], "f/2", NULL, 0, 5)) &&
	     T_CHECK(!t_retarget(t, t->conns[0], "f/2", NULL, t->conns[1], 0, 6)) &&
	     T_CHECK(t_lookup(t, "f/2", NULL) == 1) &&
	     T_CHECK(t->got.subids[1][0] == 6) &&
	     T_CHECK(!t_del(t, t->conns[0], "f/1", NULL)) &&
	     T_CHECK(!t_add(t, t->conns[0], "f/3", NULL, 0, 0));
	t->fib->routes_max = FIB_ROUTES_MAX;
	t_flush_all(t);
	return ok;
}

static struct kmqtt_cache_entry *__init t_cached(struct t_state *t,
						 const char *topic)
{
	struct kmqtt_cache_entry *entry;
	u16 len = strlen(topic);

	rcu_read_lock();
	entry = kmqtt_cache_find(&t->fib->cache, (const u8 *)topic, len,
				 siphash(topic, len, &t->fib->trie.key));
	if (entry && !kmqtt_cache_valid(&t->fib->cache, entry))
		entry = NULL;
	rcu_read_unlock();
	return entry;
}

/* Entries come on second sight, and go with what they depend on. */
static bool __init t_case_cache(struct t_state *t)
{
	char other[8];
	u32 i = 0;
	bool ok;

	do {
		snprintf(other, sizeof(other), "o%u", i++);
	} while (kmqtt_trie_gen(&t->fib->trie, other, strlen(other)) ==
		 kmqtt_trie_gen(&t->fib->trie, "k", 1));

	ok = T_CHECK(!t_add(t, t->conns[0], "k/x", NULL, 0, 0)) &&
	     T_CHECK(t_lookup(t, "k/x", NULL) == 1) &&
	     T_CHECK(!t_cached(t, "k/x")) &&
	     T_CHECK(t_lookup(t, "k/x", NULL) == 1) &&
	     T_CHECK(t_cached(t, "k/x")) &&
	     T_CHECK(!t_add(t, t->conns[1], other, NULL, 0, 0)) &&
	     T_CHECK(t_cached(t, "k/x")) &&
	     T_CHECK(!t_add(t, t->conns[2], "k/+", NULL, 0, 0)) &&
	     T_CHECK(!t_cached(t, "k/x")) &&
	     T_CHECK(t_lookup(t, "k/x", NULL) == 2) &&
	     T_CHECK(t_cached(t, "k/x")) &&
	     T_CHECK(!t_add(t, t->conns[3], "+/x", NULL, 0, 0)) &&
	     T_CHECK(!t_cached(t, "k/x")) &&
	     T_CHECK(t_lookup(t, "k/x", NULL) == 3) &&
	     T_CHECK(!t_del(t, t->conns[3], "+/x", NULL)) &&
	     T_CHECK(!t_cached(t, "k/x")) &&
	     T_CHECK(t_lookup(t, "k/x", NULL) == 2) &&
	     T_CHECK(t_cached(t, "k/x"));
	kmqtt_fib_invalidate(t->fib);
	ok = ok && T_CHECK(!t_cached(t, "k/x"));
	t_flush_all(t);
	return ok;
}

/* Many topics do not take more room than there is, nor throw out a hot one. */
static bool __init t_case_evict(struct t_state *t)
{
	struct kmqtt_cache *cache = &t->fib->cache;
	struct kmqtt_cache_entry *hot = NULL;
	char topic[24];
	bool ok = true;
	u32 i;

	cache->count_max = 40;
	cache->bytes_max = 40 * 256;
	ok = T_CHECK(!t_add(t, t->conns[0], "e/#", NULL, 0, 0));
	for (i = 0; ok && i < 300; i++) {
		snprintf(topic, sizeof(topic), "e/%u", i);
		ok = T_CHECK(t_lookup(t, topic, NULL) == 1) &&
		     T_CHECK(t_lookup(t, topic, NULL) == 1) &&
		     T_CHECK(t_lookup(t, "e/hot", NULL) == 1) &&
		     T_CHECK(cache->count <= 40) &&
		     T_CHECK(cache->bytes <= 40 * 256) &&
		     T_CHECK(!hot || t_cached(t, "e/hot") == hot);
		hot = t_cached(t, "e/hot");
	}
	ok = ok && T_CHECK(hot) && T_CHECK(cache->count > 10);
	cache->count_max = KMQTT_CACHE_COUNT_MAX;
	cache->bytes_max = KMQTT_CACHE_BYTES_MAX;
	t_flush_all(t);
	return ok;
}

/**
 * struct t_dump - what a dump gave
 * @n: routes
 * @held: of them HELD
 * @stop: refuse the route after this many
 * @filter: of the last route
 * @share: of the last route
 */
struct t_dump {
	u32 n;
	u32 held;
	u32 stop;
	char filter[16];
	char share[4];
};

static int t_dump_cb(void *ctx, const struct kmqtt_route_info *info)
{
	struct t_dump *dump = ctx;

	if (dump->n == dump->stop)
		return -EMSGSIZE;
	dump->n++;
	dump->held += !!(info->opts.flags & KMQTT_ROUTE_F_HELD);
	memcpy(dump->filter, info->filter, info->filter_len);
	dump->filter[info->filter_len] = '\0';
	memcpy(dump->share, info->share, info->share_len);
	dump->share[info->share_len] = '\0';
	return 0;
}

static bool __init t_case_dump(struct t_state *t)
{
	struct t_dump dump = { .stop = 2 };
	u64 pos = 0;
	bool ok;

	ok = T_CHECK(!t_add(t, t->conns[0], "/a//+", NULL, KMQTT_ROUTE_F_HOLD, 1)) &&
	     T_CHECK(!t_add(t, NULL, "b", NULL, 0, 0)) &&
	     T_CHECK(!t_add(t, t->conns[1], "c/#", "s", 0, 0)) &&
	     T_CHECK(!t_add(t, t->conns[0], "$d/#", NULL, KMQTT_ROUTE_F_HELD, 7)) &&
	     T_CHECK(!t_add(t, t->conns[0], "/a//+", NULL, 0, 2)) &&
	     T_CHECK(kmqtt_fib_dump(t->fib, NULL, &pos, t_dump_cb, &dump) ==
		     -EMSGSIZE) &&
	     T_CHECK(dump.n == 2 && dump.held == 1) &&
	     T_CHECK(!strcmp(dump.filter, "b"));
	dump.stop = 3;
	ok = ok && T_CHECK(kmqtt_fib_dump(t->fib, NULL, &pos, t_dump_cb, &dump) ==
			   -EMSGSIZE) &&
	     T_CHECK(!strcmp(dump.filter, "c/#") && !strcmp(dump.share, "s"));
	dump.stop = 99;
	ok = ok && T_CHECK(!kmqtt_fib_dump(t->fib, NULL, &pos, t_dump_cb, &dump)) &&
	     T_CHECK(dump.n == 4 && dump.held == 2) &&
	     T_CHECK(!strcmp(dump.filter, "$d/#"));
	kmqtt_fib_release(t->fib, t->conns[0]);
	dump = (struct t_dump) { .stop = 1 };
	pos = 0;
	ok = ok && T_CHECK(kmqtt_fib_dump(t->fib, t->conns[0], &pos, t_dump_cb,
					  &dump) == -EMSGSIZE) &&
	     T_CHECK(!strcmp(dump.filter, "/a//+"));
	dump.stop = 99;
	ok = ok && T_CHECK(!kmqtt_fib_dump(t->fib, t->conns[0], &pos, t_dump_cb,
					   &dump)) &&
	     T_CHECK(dump.n == 2 && !dump.held);
	t_flush_all(t);
	return ok;
}

/* ---- set-up ---- */

static struct kmqtt_conn *__init t_conn_make(u64 id)
{
	struct kmqtt_conn *conn = kzalloc(sizeof(*conn), GFP_KERNEL);

	if (!conn)
		return NULL;
	conn->id = id;
	kref_init(&conn->ref);
	INIT_LIST_HEAD(&conn->routes);
	conn->state = KMQTT_STATE_OPEN;
	conn->queue_bytes = 1;
	return conn;
}

/* Connection T_ACL may not read below "b". */
static bool __init t_acl_make(struct t_state *t)
{
	const struct kmqtt_acl_rule deny = {
		.filter = "b/#",
		.filter_len = 3,
		.access = KMQTT_ACL_READ,
		.deny = true,
	};

	if (kmqtt_acl_set(&t->acls, 1, KMQTT_ACL_READ, &deny, 1, NULL))
		return false;
	RCU_INIT_POINTER(t->conns[T_ACL]->acl, kmqtt_acl_get(&t->acls, 1));
	return true;
}

static bool __init t_make(struct t_state *t)
{
	u32 i;

	prandom_seed_state(&t->rnd, get_random_u64());
	kmqtt_acls_init(&t->acls);
	for (i = 0; i < T_CONNS; i++) {
		t->conns[i] = t_conn_make(i + 1);
		if (!t->conns[i])
			return false;
	}
	t->fib = kmqtt_fib_create();
	return t->fib && t_acl_make(t);
}

static bool __init t_free(struct t_state *t)
{
	bool ok = true;
	u32 i;

	if (t->fib) {
		t_flush_all(t);
		kmqtt_fib_destroy(t->fib);
	}
	for (i = 0; i < T_CONNS && t->conns[i]; i++) {
		ok &= T_CHECK(kref_read(&t->conns[i]->ref) == 1);
		kmqtt_acl_put(rcu_dereference_protected(t->conns[i]->acl, true));
		kfree(t->conns[i]);
	}
	kmqtt_acls_destroy(&t->acls);
	return ok;
}

bool __init kmqtt_fib_selftest(void)
{
	struct t_state *t = kvzalloc(sizeof(*t), GFP_KERNEL);
	bool ok = t && t_make(t);

	ok = ok && t_case_no_local(t) && t_case_share(t) &&
	     t_case_share_ranks(t) && t_case_share_refused(t) &&
	     t_case_retarget(t) &&
	     t_case_limits(t) && t_case_full(t) && t_case_cache(t) &&
	     t_case_evict(t) && t_case_dump(t) && t_random_all(t);
	if (t)
		ok &= t_free(t);
	kvfree(t);
	pr_info("fib self-test: %s\n", ok ? "pass" : "FAIL");
	return ok;
}
