// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store's thread: takes what waits, commits it, tells the loop.
 *
 * While one commit is on its way to the disk the next transaction gathers, so
 * the slower the disk, the more share one flush.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "store_priv.h"

#define TICK_MS		30000
#define RETRY_MIN_MS	100
#define RETRY_MAX_MS	5000

void store_batch_init(struct store_batch *b)
{
	b->first = NULL;
	b->end = &b->first;
	b->seq = 0;
}

void store_batch_move(struct store_batch *to, struct store_batch *from)
{
	if (from->first) {
		*to->end = from->first;
		to->end = from->end;
		to->seq = from->seq;
	}
	store_batch_init(from);
}

void store_wake(int fd)
{
	uint64_t one = 1;

	/* It fails when it rings already, by more than can be counted. */
	(void)!write(fd, &one, sizeof(one));
}

/* ---- the thread --------------------------------------------------------- */

/* With the lock held: until there is work, or @ms have passed. */
static void wait_work(struct store_thread *t, uint64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&t->work, &t->lock, &until);
}

static void report_failure(struct store_thread *t, int rc, const char *text)
{
	pthread_mutex_lock(&t->lock);
	snprintf(t->failure, sizeof(t->failure), "%.*s%s", STORE_TEXT_MAX - 64, text,
		 store_damaged(rc) ? "; it is set aside when mqttd starts again" : "");
	t->failing = true;
	t->n_failures++;
	pthread_mutex_unlock(&t->lock);
	store_wake(t->wake_fd);
}

/* Between attempts; returns false if it was the last one. */
static bool wait_retry(struct store_thread *t, uint64_t ms)
{
	uint64_t until = clock_ms() + ms, now;
	bool stop;

	pthread_mutex_lock(&t->lock);
	/* More work is no reason to try earlier, but the end is. */
	while (!t->stop && (now = clock_ms()) < until)
		wait_work(t, until - now);
	stop = t->stop;
	pthread_mutex_unlock(&t->lock);
	return !stop;
}

static bool commit(struct store_thread *t, const struct store_batch *b)
{
	uint64_t delay = RETRY_MIN_MS;
	char text[STORE_TEXT_MAX];
	bool again = true;
	int rc;

	while ((rc = store_db_commit(t->db, b, text))) {
		report_failure(t, rc, text);
		if (!again)
			return false;
		again = wait_retry(t, delay);
		delay = 2 * delay < RETRY_MAX_MS ? 2 * delay : RETRY_MAX_MS;
	}
	return true;
}

/*
 * With the lock held, which is dropped meanwhile.  After a batch that was given
 * up no other may be tried: it would be there without what came before it.
 */
static void take(struct store_thread *t)
{
	struct store_batch batch;
	bool ok;

	store_batch_init(&batch);
	store_batch_move(&batch, &t->queue);
	ok = !t->gave_up;
	pthread_mutex_unlock(&t->lock);

	ok = ok && commit(t, &batch);

	pthread_mutex_lock(&t->lock);
	if (ok) {
		t->committed = batch.seq;
		t->failing = false;
		if (!t->dirty_since)
			t->dirty_since = clock_ms();
	} else {
		t->gave_up = true;
	}
	if (t->db->complaint[0])
		memcpy(t->complaint, t->db->complaint, sizeof(t->complaint));
	t->db->complaint[0] = '\0';
	store_batch_move(&t->done, &batch);
	store_wake(t->wake_fd);
}

/* When is the next flush to the disk due, from now?  With the lock held. */
static uint64_t sync_in(const struct store_thread *t)
{
	uint64_t at = t->dirty_since + t->interval_ms, now = clock_ms();

	if (t->sync != STORE_SYNC_INTERVAL || !t->dirty_since)
		return TICK_MS;
	if (at <= now)
		return 0;
	return at - now < TICK_MS ? at - now : TICK_MS;
}

/* With the lock held, which is dropped meanwhile. */
static void flush(struct store_thread *t)
{
	char text[STORE_TEXT_MAX];
	int rc;

	/* What fails is due again after another interval. */
	t->dirty_since = 0;
	pthread_mutex_unlock(&t->lock);
	rc = store_db_sync(t->db, text);
	if (rc)
		report_failure(t, rc, text);
	pthread_mutex_lock(&t->lock);
	t->failing = rc;
	if (rc)
		t->dirty_since = clock_ms();
	else
		store_wake(t->wake_fd);
}

/* As flush(): what is due from time to time when there is nothing to do. */
static void tick(struct store_thread *t)
{
	char text[STORE_TEXT_MAX];
	int rc;

	pthread_mutex_unlock(&t->lock);
	rc = store_db_tick(t->db, text);
	if (rc && rc != SQLITE_DONE)
		report_failure(t, rc, text);
	pthread_mutex_lock(&t->lock);
	if (rc)
		return;
	t->failing = false;
	store_wake(t->wake_fd);
}

static void *thread_run(void *arg)
{
	struct store_thread *t = arg;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		if (!sync_in(t))
			flush(t);
		if (t->queue.first) {
			take(t);
			continue;
		}
		if (t->stop)
			break;
		tick(t);
		if (!t->queue.first && !t->stop)
			wait_work(t, sync_in(t));
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* ---- its life, from the loop --------------------------------------------- */

int store_thread_create(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int store_thread_start(struct store_thread *t)
{
	pthread_condattr_t attr;
	int err;

	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->work, &attr);
	pthread_condattr_destroy(&attr);
	store_batch_init(&t->queue);
	store_batch_init(&t->done);
	err = store_thread_create(&t->thread, thread_run, t);
	if (err)
		log_err("store: cannot start its thread: %s", strerror(-err));
	return err;
}

void store_thread_stop(struct store_thread *t)
{
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
}

void store_thread_destroy(struct store_thread *t)
{
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
}
