/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The FIB: which connections get a PUBLISH.  A level trie of topic filters
 * with a cache of resolved topics in front of it.
 */
#ifndef KMQTT_FIB_H
#define KMQTT_FIB_H

#include <linux/types.h>

struct kmqtt_conn;
struct kmqtt_fib;
struct netlink_ext_ack;

/**
 * struct kmqtt_route_key - what identifies a route
 * @conn: target; %NULL is the daemon
 * @filter: topic filter, checked with kmqtt_topic_filter_check()
 * @filter_len: its length
 * @share: share name or %NULL
 * @share_len: its length
 */
struct kmqtt_route_key {
	struct kmqtt_conn *conn;
	const u8 *filter;
	u16 filter_len;
	const u8 *share;
	u16 share_len;
};

/**
 * struct kmqtt_route_opts - options of a route
 * @flags: KMQTT_ROUTE_F_*; HOLD or HELD makes the route HELD
 * @qos: the subscription's QoS, kept for the daemon
 * @subid: Subscription Identifier, 0 = none
 */
struct kmqtt_route_opts {
	u32 flags;
	u32 subid;
	u8 qos;
};

/**
 * struct kmqtt_fib_dest - one destination of a look-up
 * @conn: target, valid in the caller's RCU read-side section; %NULL = daemon
 * @flags: KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED if any matching route has it
 * @spare: a member of a share group, and another may take the message instead
 * @n_subids: number of Subscription Identifiers, at most KMQTT_SUBIDS_MAX
 * @subids: those of all matching routes of this connection, ascending
 */
struct kmqtt_fib_dest {
	struct kmqtt_conn *conn;
	const u32 *subids;
	u16 n_subids;
	u8 flags;
	bool spare;
};

/* False, with nothing counted, if @dest is spare and cannot take the message. */
typedef bool (*kmqtt_fib_emit_t)(void *ctx, const struct kmqtt_fib_dest *dest);

/* An empty FIB, or %NULL without memory.  Process context, may sleep. */
struct kmqtt_fib *kmqtt_fib_create(void);
/* All routes must be gone.  Process context, may sleep. */
void kmqtt_fib_destroy(struct kmqtt_fib *fib);

/**
 * kmqtt_fib_add() - add a route or replace its options in place
 * @fib: of the connection's namespace
 * @key: conn must be referenced by the caller; the route takes its own
 * @opts: options
 * @extack: text of a refusal
 *
 * Process context, takes the FIB's mutex.
 * Return: 0, -ENOMEM, -ENOSPC, -EINVAL for a Subscription Identifier above
 * 268435455, -ESHUTDOWN once kmqtt_fib_flush() has run for the connection.
 */
int kmqtt_fib_add(struct kmqtt_fib *fib, const struct kmqtt_route_key *key,
		  const struct kmqtt_route_opts *opts,
		  struct netlink_ext_ack *extack);
/* -ENOENT if there is none.  A look-up that began before may still use it. */
int kmqtt_fib_del(struct kmqtt_fib *fib, const struct kmqtt_route_key *key);
/*
 * Change the target of route @key to @conn (NULL = daemon) with @opts in one
 * step: no look-up finds neither or both.  -ENOENT if there is none.
 */
int kmqtt_fib_retarget(struct kmqtt_fib *fib, const struct kmqtt_route_key *key,
		       struct kmqtt_conn *conn,
		       const struct kmqtt_route_opts *opts,
		       struct netlink_ext_ack *extack);
/* Remove all routes of @conn and refuse new ones from now on. */
void kmqtt_fib_flush(struct kmqtt_fib *fib, struct kmqtt_conn *conn);
/* Remove the routes whose target is the daemon. */
void kmqtt_fib_flush_daemon(struct kmqtt_fib *fib);
/* Clear HELD of all routes of @conn. */
void kmqtt_fib_release(struct kmqtt_fib *fib, struct kmqtt_conn *conn);
/* Forget resolved topics: a read ACL changed. */
void kmqtt_fib_invalidate(struct kmqtt_fib *fib);

/**
 * kmqtt_fib_lookup() - find the destinations of a topic
 * @fib: of the source's namespace
 * @topic: checked Topic Name with mount point
 * @len: its length
 * @source: publishing connection or %NULL: routes with No Local to it are
 *	left out
 * @emit: called once per destination, in the caller's RCU read-side section;
 *	for a spare one that refuses, another follows
 * @ctx: its first argument
 *
 * Each connection comes at most once, plus once per share group that chose
 * it; the read ACL has been applied.  Context: under rcu_read_lock(), task
 * context; does not sleep.
 * Return: number of destinations; -E2BIG, with none emitted, if the walk met
 * too many nodes or a connection's Subscription Identifiers are more than
 * KMQTT_SUBIDS_MAX; -ENOMEM, with none emitted.
 */
int kmqtt_fib_lookup(struct kmqtt_fib *fib, const u8 *topic, u16 len,
		     const struct kmqtt_conn *source, kmqtt_fib_emit_t emit,
		     void *ctx);

/**
 * kmqtt_fib_lookup_plain() - the destinations of several messages at once
 * @fib: of the source's namespace
 * @topic: checked Topic Name with mount point
 * @len: its length
 * @source: publishing connection
 * @emit: called once per connection, never with %NULL or a spare one
 * @ctx: its first argument
 *
 * As kmqtt_fib_lookup(), for a topic whose destinations are known and are the
 * same for each message: no share group chooses, and the daemon gets none.
 * Return: number of destinations; -EAGAIN, with none emitted, if it is not so.
 */
int kmqtt_fib_lookup_plain(struct kmqtt_fib *fib, const u8 *topic, u16 len,
			   const struct kmqtt_conn *source, kmqtt_fib_emit_t emit,
			   void *ctx);

/**
 * kmqtt_fib_lookup_one() - the destination of a topic that has just one
 * @fib: of the source's namespace
 * @topic: checked Topic Name with mount point
 * @len: its length
 * @source: publishing connection
 * @dest: the destination, a connection
 *
 * Context: under rcu_read_lock(), softirqs too; neither locks nor allocates.
 * Return: false unless that is known already and the same for each message.
 */
bool kmqtt_fib_lookup_one(struct kmqtt_fib *fib, const u8 *topic, u16 len,
			  const struct kmqtt_conn *source,
			  struct kmqtt_fib_dest *dest);

/**
 * struct kmqtt_route_info - a route as dumped; pointers valid in the callback
 * @conn_id: target, 0 = daemon
 * @filter: topic filter
 * @share: share name or %NULL
 * @filter_len: length of @filter
 * @share_len: length of @share
 * @opts: options
 */
struct kmqtt_route_info {
	u64 conn_id;
	const u8 *filter;
	const u8 *share;
	u16 filter_len;
	u16 share_len;
	struct kmqtt_route_opts opts;
};

/**
 * kmqtt_fib_dump() - walk the routes
 * @fib: the FIB
 * @conn: only those of this connection, or %NULL for all
 * @pos: 0 at first; updated so that the next call goes on where @cb refused
 * @cb: returns non-zero to stop; that route comes again at the next call
 * @ctx: its first argument
 *
 * Every route that exists during the whole walk is reported at least once.
 * Process context, takes the FIB's mutex.
 * Return: 0 at the end, -ENOMEM, else what @cb returned.
 */
int kmqtt_fib_dump(struct kmqtt_fib *fib, struct kmqtt_conn *conn, u64 *pos,
		   int (*cb)(void *ctx, const struct kmqtt_route_info *info),
		   void *ctx);

/* Routes, distinct filters, cached topics; for statistics. */
void kmqtt_fib_counts(struct kmqtt_fib *fib, u64 *routes, u64 *filters,
		      u64 *cached);

int kmqtt_fib_init(void);	/* module init: caches */
void kmqtt_fib_exit(void);

#ifdef DEBUG
/* At module init; false, with the reason in the log, if it fails. */
bool kmqtt_fib_selftest(void);
#endif

#endif /* KMQTT_FIB_H */
