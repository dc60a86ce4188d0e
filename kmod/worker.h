/* SPDX-License-Identifier: GPL-2.0 */
/* Workers: one kernel thread per CPU; each connection belongs to one. */
#ifndef KMQTT_WORKER_H
#define KMQTT_WORKER_H

#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct kmqtt_conn;
struct kmqtt_msg;
struct page;

#define KMQTT_ARENA_ORDER	3
#define KMQTT_ARENA_SIZE	(PAGE_SIZE << KMQTT_ARENA_ORDER)
/* Messages with one topic that are routed in one look-up. */
#define KMQTT_BATCH_MAX		64

/**
 * struct kmqtt_arena - pages of a worker that bytes are put into one after
 * the other; users of the bytes hold references to the page
 * @page: compound page, or %NULL
 * @size: its size
 * @off: first free byte
 */
struct kmqtt_arena {
	struct page *page;
	u32 size;
	u32 off;
};

/**
 * struct kmqtt_worker - a worker
 *
 * Lives from module init to module exit.  Everything but @ready, @busy, @conns,
 * @turn and @turns, and what the connections say is the worker's, belongs to
 * whoever has @busy: its thread for a turn, or for a moment a softirq that found
 * it idle, on any CPU.
 *
 * @task: the thread
 * @cpu: it is bound to this CPU
 * @ready: connections to look at; each holds a reference to its connection
 * @busy: bit 0 is a lock; who may sleep takes it first and has nothing else
 * @conns: connections that belong to it
 * @turn: held while it drains what was on @ready; outside every other lock
 * @turns: how often it has; written under @turn
 * @rx: bytes are received here
 * @enc: frames are encoded here
 * @out: small messages are encoded and small frames copied here to be sent;
 *	pages of the smallest size, since each connection that does not
 *	acknowledge them may pin one
 * @msgs: messages of the look-up that goes on
 */
struct kmqtt_worker {
	struct task_struct *task;
	int cpu;
	struct llist_head ready;
	unsigned long busy;
	atomic_t conns;
	/* outside every other lock */
	struct mutex turn;
	unsigned long turns;
	struct kmqtt_arena rx;
	struct kmqtt_arena enc;
	struct kmqtt_arena out;
	struct kmqtt_msg *msgs[KMQTT_BATCH_MAX];
};

/*
 * Make at least @want contiguous bytes free in @arena, a new page of @order or
 * more if need be; returns false without memory.  Worker context.
 */
bool kmqtt_arena_room(struct kmqtt_arena *arena, u32 want, unsigned int order, gfp_t gfp);

/* First free byte; after kmqtt_arena_room(). */
static inline u8 *kmqtt_arena_at(const struct kmqtt_arena *arena)
{
	return (u8 *)page_address(arena->page) + arena->off;
}

/* The worker with the fewest connections; counts one more for it. */
struct kmqtt_worker *kmqtt_worker_assign(void);
/* The same backwards, when the connection has been detached. */
void kmqtt_worker_unassign(struct kmqtt_worker *w);
/*
 * Take the place of an idle worker for a moment, in a softirq.  False if it has
 * something to do.  What it owns is the caller's until kmqtt_worker_unlock().
 */
bool kmqtt_worker_trylock(struct kmqtt_worker *w);
void kmqtt_worker_unlock(struct kmqtt_worker *w);
/* Put @conn, with a reference, on the ready list of its worker.  Any context. */
void kmqtt_worker_queue(struct kmqtt_conn *conn);

/**
 * kmqtt_workers_flush() - wait until what is on the ready lists was looked at
 *
 * For the end of a namespace, whose last connection may be on one although it
 * has left the table.  Sleeps for at most a turn of each worker.
 */
void kmqtt_workers_flush(void);

/* Module init: one worker for each CPU that is online.  0 or -errno. */
int kmqtt_workers_init(void);
/* Module exit: there are no connections any more. */
void kmqtt_workers_exit(void);

#endif /* KMQTT_WORKER_H */
