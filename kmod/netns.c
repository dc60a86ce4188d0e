// SPDX-License-Identifier: GPL-2.0
/* Per-namespace state, its parameters, and the daemon's coming and going. */

#include <linux/netlink.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/netlink.h>
#include "conn.h"
#include "fib.h"
#include "netlink.h"
#include "netns.h"
#include "worker.h"

static unsigned int kmqtt_net_id;
struct workqueue_struct *kmqtt_wq;

const struct kmqtt_param_desc kmqtt_params[KMQTT_PARAM_N] = {
	[KMQTT_PARAM_FORWARDING] = { "forwarding", 1, 0, 1 },
	[KMQTT_PARAM_DAEMON_GRACE] = { "daemon_grace", 600, -1, 2147483 },
	[KMQTT_PARAM_CLOSE_TIMEOUT] = { "close_timeout", 2000, 1, 60000 },
	[KMQTT_PARAM_MAX_CONNECTIONS] = { "max_connections", 100000, 1, 1000000 },
	[KMQTT_PARAM_MEMORY_LIMIT] = { "memory_limit", 256 << 20, 1 << 20, S64_MAX },
};

struct kmqtt_net *kmqtt_net_get(const struct net *net)
{
	return net_generic(net, kmqtt_net_id);
}

static bool mem_charge(struct kmqtt_net *kn, size_t bytes, s64 limit)
{
	if (atomic64_add_return(bytes, &kn->mem) <= limit)
		return true;
	atomic64_sub(bytes, &kn->mem);
	return false;
}

bool kmqtt_mem_charge(struct kmqtt_net *kn, size_t bytes)
{
	return mem_charge(kn, bytes, kmqtt_param(kn, KMQTT_PARAM_MEMORY_LIMIT));
}

bool kmqtt_mem_charge_queue(struct kmqtt_net *kn, size_t bytes)
{
	s64 limit = kmqtt_param(kn, KMQTT_PARAM_MEMORY_LIMIT);

	return mem_charge(kn, bytes, limit - limit / 4);
}

void kmqtt_mem_uncharge(struct kmqtt_net *kn, size_t bytes)
{
	atomic64_sub(bytes, &kn->mem);
}

/* Whoever waits in kmqtt_net_exit() also waits for this read-side section. */
void kmqtt_net_drop(struct kmqtt_net *kn, atomic_t *count)
{
	rcu_read_lock();
	if (atomic_dec_and_test(count))
		wake_up_all(&kn->idle);
	rcu_read_unlock();
}

static void net_grace_over(struct work_struct *work)
{
	struct kmqtt_net *kn = container_of(to_delayed_work(work),
					    struct kmqtt_net, grace);

	mutex_lock(&kn->lock);
	if (!kn->owner)
		kmqtt_conn_close_all(kn, KMQTT_CLOSE_DAEMON_GONE,
				     KMQTT_RC_SERVER_SHUTTING_DOWN);
	mutex_unlock(&kn->lock);
}

void kmqtt_net_owner_bound(struct kmqtt_net *kn)
{
	lockdep_assert_held(&kn->lock);
	cancel_delayed_work(&kn->grace);
}

/*
 * The daemon died: forwarding goes on for daemon_grace, then all connections
 * close.  What only it wanted (completions, unfinished pieces) goes at once.
 */
static void net_release_work(struct work_struct *work)
{
	struct kmqtt_net *kn = container_of(work, struct kmqtt_net, release);
	s64 grace = kmqtt_param(kn, KMQTT_PARAM_DAEMON_GRACE);
	bool gone;

	mutex_lock(&kn->lock);
	spin_lock(&kn->ev_lock);
	gone = kn->owner && kn->owner == READ_ONCE(kn->released);
	if (gone) {
		kn->owner = 0;
		kn->uncopied = false;
	}
	spin_unlock(&kn->ev_lock);
	if (gone) {
		kmqtt_stage_free(kn);
		kmqtt_events_drop_done(kn);
		if (grace >= 0)
			mod_delayed_work(kmqtt_wq, &kn->grace, grace * HZ);
	}
	mutex_unlock(&kn->lock);
	if (gone)
		kmqtt_conn_close_relayed(kn);
}

void kmqtt_net_owner_released(struct kmqtt_net *kn, u32 portid)
{
	if (READ_ONCE(kn->owner) != portid)
		return;
	WRITE_ONCE(kn->released, portid);
	queue_work(kmqtt_wq, &kn->release);
}

static int kmqtt_netlink_notify(struct notifier_block *nb, unsigned long state,
				void *data)
{
	struct netlink_notify *n = data;

	if (state == NETLINK_URELEASE && n->protocol == NETLINK_GENERIC)
		kmqtt_net_owner_released(kmqtt_net_get(n->net), n->portid);
	return NOTIFY_DONE;
}

static struct notifier_block kmqtt_netlink_notifier = {
	.notifier_call = kmqtt_netlink_notify,
};

static int __net_init kmqtt_net_init(struct net *net)
{
	struct kmqtt_net *kn = kmqtt_net_get(net);
	unsigned int i;

	kn->net = net;
	kn->instance = get_random_u64();
	mutex_init(&kn->lock);
	xa_init(&kn->conns);
	init_waitqueue_head(&kn->idle);
	kmqtt_acls_init(&kn->acls);
	for (i = 0; i < KMQTT_PARAM_N; i++)
		kn->params[i] = kmqtt_params[i].def;
	spin_lock_init(&kn->ev_lock);
	INIT_LIST_HEAD(&kn->pending);
	INIT_LIST_HEAD(&kn->done);
	INIT_DELAYED_WORK(&kn->grace, net_grace_over);
	INIT_WORK(&kn->release, net_release_work);

	kn->stats = alloc_percpu(struct kmqtt_stats);
	if (!kn->stats)
		return -ENOMEM;
	kn->fib = kmqtt_fib_create();
	if (!kn->fib) {
		free_percpu(kn->stats);
		return -ENOMEM;
	}
	return 0;
}

/*
 * Held sockets keep their namespace alive, so connections are left here only
 * at module unload.  Workers detach them; completions of commands may still
 * be on their way through RCU, so a barrier comes before the lists go.
 */
static void __net_exit kmqtt_net_exit(struct net *net)
{
	struct kmqtt_net *kn = kmqtt_net_get(net);

	mutex_lock(&kn->lock);
	kn->dying = true;
	spin_lock(&kn->ev_lock);
	kn->owner = 0;
	spin_unlock(&kn->ev_lock);
	mutex_unlock(&kn->lock);
	cancel_work_sync(&kn->release);
	cancel_delayed_work_sync(&kn->grace);
	kmqtt_conn_close_all(kn, KMQTT_CLOSE_SHUTDOWN,
			     KMQTT_RC_SERVER_SHUTTING_DOWN);
	wait_event(kn->idle, !atomic_read(&kn->conn_count) && !atomic_read(&kn->sockets));
	synchronize_rcu(); /* kmqtt_net_drop() */
	kmqtt_workers_flush();
	rcu_barrier();
	flush_workqueue(kmqtt_wq);
	kmqtt_stage_free(kn);
	kmqtt_events_drop_done(kn);
	kmqtt_fib_flush_daemon(kn->fib);
	kmqtt_fib_destroy(kn->fib);
	kmqtt_acls_destroy(&kn->acls);
	xa_destroy(&kn->conns);
	free_percpu(kn->stats);
}

static struct pernet_operations kmqtt_net_ops = {
	.init = kmqtt_net_init,
	.exit = kmqtt_net_exit,
	.id = &kmqtt_net_id,
	.size = sizeof(struct kmqtt_net),
};

int kmqtt_netns_init(void)
{
	int err;

	kmqtt_wq = alloc_workqueue("kmqtt", 0, 0);
	if (!kmqtt_wq)
		return -ENOMEM;
	err = register_pernet_subsys(&kmqtt_net_ops);
	if (err)
		goto err_wq;
	err = netlink_register_notifier(&kmqtt_netlink_notifier);
	if (err)
		goto err_pernet;
	return 0;

err_pernet:
	unregister_pernet_subsys(&kmqtt_net_ops);
err_wq:
	destroy_workqueue(kmqtt_wq);
	return err;
}

void kmqtt_netns_exit(void)
{
	netlink_unregister_notifier(&kmqtt_netlink_notifier);
	unregister_pernet_subsys(&kmqtt_net_ops);
	destroy_workqueue(kmqtt_wq);
}
