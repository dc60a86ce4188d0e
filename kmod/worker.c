// SPDX-License-Identifier: GPL-2.0
/* Workers: one kernel thread per CPU drains the connections made ready. */

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "conn.h"
#include "worker.h"

/* So many connections and sends until receivers may run. */
#define QUICK_MAX	32

static struct kmqtt_worker *workers;
static unsigned int n_workers;

static void arena_drop(struct kmqtt_arena *arena)
{
	if (arena->page)
		put_page(arena->page);
	arena->page = NULL;
}

bool kmqtt_arena_room(struct kmqtt_arena *arena, u32 want, unsigned int order, gfp_t gfp)
{
	struct page *page;

	if (arena->page && arena->size - arena->off >= want)
		return true;
	order = max_t(unsigned int, order, get_order(want));
	page = alloc_pages(gfp | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, order);
	if (!page) {
		order = get_order(want);
		page = alloc_pages(gfp | __GFP_COMP | __GFP_NOWARN, order);
	}
	if (!page)
		return false;
	arena_drop(arena);
	arena->page = page;
	arena->size = PAGE_SIZE << order;
	arena->off = 0;
	return true;
}

struct kmqtt_worker *kmqtt_worker_assign(void)
{
	struct kmqtt_worker *best = &workers[0];
	unsigned int i;

	for (i = 1; i < n_workers; i++)
		if (atomic_read(&workers[i].conns) < atomic_read(&best->conns))
			best = &workers[i];
	atomic_inc(&best->conns);
	return best;
}

void kmqtt_worker_unassign(struct kmqtt_worker *w)
{
	atomic_dec(&w->conns);
}

void kmqtt_worker_queue(struct kmqtt_conn *conn)
{
	struct kmqtt_worker *w = conn->worker;

	kmqtt_conn_get(conn);
	if (llist_add(&conn->ready, &w->ready))
		wake_up_process(w->task);
}

bool kmqtt_worker_trylock(struct kmqtt_worker *w)
{
	return llist_empty(&w->ready) && !test_and_set_bit_lock(0, &w->busy);
}

void kmqtt_worker_unlock(struct kmqtt_worker *w)
{
	clear_bit_unlock(0, &w->busy);
}

/* A softirq has it for a moment at most, and on another CPU: it would end first here. */
static void worker_lock(struct kmqtt_worker *w)
{
	while (test_and_set_bit_lock(0, &w->busy))
		cpu_relax();
}

/* The memory cgroup of the socket, if it has one; the socket holds it. */
static struct mem_cgroup *conn_memcg(const struct kmqtt_conn *conn)
{
#ifdef CONFIG_MEMCG
	return conn->sock ? conn->sock->sk->sk_memcg : NULL;
#else
	return NULL;
#endif
}

/*
 * A turn; what it allocates is charged to the owner of the socket, not to
 * this thread.  The turn in which the socket goes allocates nothing after.
 */
static void worker_conn(struct kmqtt_conn *conn)
{
	struct mem_cgroup *old = set_active_memcg(conn_memcg(conn));

	kmqtt_conn_turn(conn);
	set_active_memcg(old);
}

/*
 * Connections that have only to send something quick are done with bottom
 * halves disabled, some in a row: @quick counts them.  Returns whether it was.
 */
static bool worker_quick(struct kmqtt_conn *conn, unsigned int *quick)
{
	bool done = false;

	if (kmqtt_conn_is_quick(conn)) {
		if (!(*quick)++)
			local_bh_disable();
		done = kmqtt_conn_quick(conn, QUICK_MAX, quick);
	}
	if (*quick && (!done || *quick >= QUICK_MAX)) {
		local_bh_enable();
		*quick = 0;
	}
	return done;
}

static void worker_turn(struct kmqtt_worker *w)
{
	struct kmqtt_conn *conn, *tmp;
	struct llist_node *batch;
	unsigned int quick = 0;

	mutex_lock(&w->turn);
	worker_lock(w);
	batch = llist_reverse_order(llist_del_all(&w->ready));
	llist_for_each_entry_safe(conn, tmp, batch, ready) {
		/*
		 * From here on a kick queues it again; what was kicked before
		 * is seen by this turn.
		 */
		clear_bit(KMQTT_CB_QUEUED, &conn->bits);
		smp_mb__after_atomic(); /* with kmqtt_conn_kick() */
		if (!worker_quick(conn, &quick))
			worker_conn(conn);
		kmqtt_conn_put(conn);
		if (!quick)
			cond_resched();
	}
	if (quick)
		local_bh_enable();
	kmqtt_worker_unlock(w);
	smp_store_release(&w->turns, w->turns + 1); /* worker_flush() */
	mutex_unlock(&w->turn);
}

static void worker_flush(struct kmqtt_worker *w)
{
	unsigned long turns;
	bool empty;

	/* No turn goes on meanwhile, so the next one takes all there is now. */
	mutex_lock(&w->turn);
	turns = w->turns;
	empty = llist_empty(&w->ready);
	mutex_unlock(&w->turn);
	/* Pairs with worker_turn(): what the turn did is over for us too. */
	while (!empty && smp_load_acquire(&w->turns) == turns)
		msleep(20);
}

void kmqtt_workers_flush(void)
{
	unsigned int i;

	for (i = 0; i < n_workers; i++)
		worker_flush(&workers[i]);
}

static int worker_main(void *arg)
{
	struct kmqtt_worker *w = arg;

	for (;;) {
		set_current_state(TASK_IDLE);
		if (llist_empty(&w->ready)) {
			if (kthread_should_stop())
				break;
			schedule();
		}
		__set_current_state(TASK_RUNNING);
		worker_turn(w);
		cond_resched();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int worker_start(struct kmqtt_worker *w, int cpu)
{
	w->cpu = cpu;
	mutex_init(&w->turn);
	init_llist_head(&w->ready);
	w->task = kthread_create_on_node(worker_main, w, cpu_to_node(cpu),
					 "kmqtt/%d", cpu);
	if (IS_ERR(w->task))
		return PTR_ERR(w->task);
	kthread_bind(w->task, cpu);
	wake_up_process(w->task);
	return 0;
}

int kmqtt_workers_init(void)
{
	int cpu, err;

	cpus_read_lock();
	workers = kcalloc(num_online_cpus(), sizeof(*workers), GFP_KERNEL);
	err = workers ? 0 : -ENOMEM;
	if (workers) {
		for_each_online_cpu(cpu) {
			err = worker_start(&workers[n_workers], cpu);
			if (err)
				break;
			n_workers++;
		}
	}
	cpus_read_unlock();
	if (err)
		kmqtt_workers_exit();
	return err;
}

/* All connections are gone, so every ready list is or becomes empty. */
void kmqtt_workers_exit(void)
{
	unsigned int i;

	for (i = 0; i < n_workers; i++) {
		kthread_stop(workers[i].task);
		arena_drop(&workers[i].rx);
		arena_drop(&workers[i].enc);
		arena_drop(&workers[i].out);
	}
	n_workers = 0;
	kfree(workers);
	workers = NULL;
}
