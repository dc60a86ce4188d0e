/* SPDX-License-Identifier: GPL-2.0 */
/*
 * State of one network namespace: connections, routes, rule sets, parameters,
 * counters, and who its daemon is.
 */
#ifndef KMQTT_NETNS_H
#define KMQTT_NETNS_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "acl.h"
#include "stats.h"

struct kmqtt_fib;
struct net;

/* Parameters (PARAM_SET); order of kmqtt_params[] in netns.c. */
enum kmqtt_param {
	KMQTT_PARAM_FORWARDING,
	KMQTT_PARAM_DAEMON_GRACE,
	KMQTT_PARAM_CLOSE_TIMEOUT,
	KMQTT_PARAM_MAX_CONNECTIONS,
	KMQTT_PARAM_MEMORY_LIMIT,
	KMQTT_PARAM_N,
};

/**
 * struct kmqtt_param_desc - name and range of a parameter
 * @name: as in KMQTT_AN_NAME
 * @def: default
 * @min: smallest value
 * @max: largest value
 */
struct kmqtt_param_desc {
	const char *name;
	s64 def;
	s64 min;
	s64 max;
};

extern const struct kmqtt_param_desc kmqtt_params[KMQTT_PARAM_N];

/**
 * struct kmqtt_net - per-namespace state
 *
 * Lives from pernet init to pernet exit.  Held sockets keep their namespace
 * alive, so at namespace exit no connection is left; at module unload exit
 * closes those there are and waits for @conns to become empty.
 *
 * @net: the namespace
 * @instance: random; see KMQTT_A_INSTANCE
 * @lock: serialises everything that changes ownership, membership of @conns
 *	and rule sets.  Process context.  Outside @ev_lock and the FIB's mutex.
 * @conns: connection id to connection; RCU for readers
 * @route_size: bytes the longest route so far takes in a dump; under @lock
 * @conn_count: entries of @conns
 * @sockets: sockets held; that of a connection which is not listed any more
 *	may still linger
 * @idle: woken when @conn_count or @sockets becomes 0
 * @dying: no new connections; set under @lock
 * @fib: routes
 * @acls: rule sets, written under @lock
 * @params: values of the parameters; READ_ONCE/WRITE_ONCE
 * @stats: counters
 * @mem: bytes held for peers
 * @ev_lock: guards all event lists of all connections of this namespace,
 *	@pending, @done, @uncopied, @owner.  Innermost, process context only.
 * @owner: portid of the daemon's socket, 0 = none
 * @pending: connections with uncopied events or a WRITABLE flag
 * @done: completed commands (struct kmqtt_done)
 * @uncopied: READY was sent and the daemon has not seen the end since
 * @stage: pieces of a DELIVER or INJECT of the owner; under @lock
 * @grace: closes all connections when no daemon came back in time
 * @release: handles the death of the daemon in process context
 * @released: portid that died, for @release
 */
struct kmqtt_net {
	struct net *net;
	u64 instance;
	/* outermost; process context */
	struct mutex lock;
	struct xarray conns;
	u32 route_size;
	atomic_t conn_count;
	atomic_t sockets;
	wait_queue_head_t idle;
	bool dying;
	struct kmqtt_fib *fib;
	struct kmqtt_acls acls;
	s64 params[KMQTT_PARAM_N];
	struct kmqtt_stats __percpu *stats;
	atomic64_t mem;

	/* innermost; process context */
	spinlock_t ev_lock;
	u32 owner;
	struct list_head pending;
	struct list_head done;
	bool uncopied;

	struct kmqtt_stage *stage;
	struct delayed_work grace;
	struct work_struct release;
	u32 released;
};

/* Completions, the daemon's death, the grace time. */
extern struct workqueue_struct *kmqtt_wq;

/* State of a namespace that the caller keeps alive; takes no reference. */
struct kmqtt_net *kmqtt_net_get(const struct net *net);

/* Value of a parameter, without a lock: it may change at any time. */
static inline s64 kmqtt_param(const struct kmqtt_net *kn, enum kmqtt_param p)
{
	return READ_ONCE(kn->params[p]);
}

/*
 * Charge @bytes held for a peer to the namespace; false, with nothing charged,
 * if the memory limit would be exceeded.  Any context.
 */
bool kmqtt_mem_charge(struct kmqtt_net *kn, size_t bytes);
/*
 * The same for what may be dropped: it leaves a quarter of the limit, so that
 * queues of those who do not read take nothing from those who do.
 */
bool kmqtt_mem_charge_queue(struct kmqtt_net *kn, size_t bytes);
void kmqtt_mem_uncharge(struct kmqtt_net *kn, size_t bytes);

/* One less of @count, which is conn_count or sockets: perhaps the last. */
void kmqtt_net_drop(struct kmqtt_net *kn, atomic_t *count);

/* The daemon's socket is gone; called from the netlink notifier. */
void kmqtt_net_owner_released(struct kmqtt_net *kn, u32 portid);
/* A daemon has bound: stop the grace time.  Under kn->lock. */
void kmqtt_net_owner_bound(struct kmqtt_net *kn);

/* Module init: existing namespaces too.  0 or -errno. */
int kmqtt_netns_init(void);
/* Module exit: closes all connections and waits for their end. */
void kmqtt_netns_exit(void);

#endif /* KMQTT_NETNS_H */
