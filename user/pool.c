// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A few threads for what would take the event loop too long.
 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX	4

/*
 * @lock covers @todo, @finished and @stopping; the rest is the event loop's.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list todo;
	struct list finished;
	bool stopping;
	pthread_t threads[THREADS_MAX];
	unsigned int n_threads;
	int fd;
	struct event *event;
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.todo = { &pool.todo, &pool.todo },
	.finished = { &pool.finished, &pool.finished },
	.fd = -1,
};

static struct pool_job *take(struct list *head)
{
	struct pool_job *job = NULL;

	if (!list_empty(head)) {
		job = list_first(head, struct pool_job, node);
		list_del(&job->node);
	}
	return job;
}

static void finish(struct pool_job *job)
{
	uint64_t one = 1;

	pthread_mutex_lock(&pool.lock);
	list_add_tail(&job->node, &pool.finished);
	pthread_mutex_unlock(&pool.lock);
	/* It cannot block: the counter has room for more than there are jobs. */
	while (write(pool.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *thread(void *arg)
{
	struct pool_job *job;

	pthread_mutex_lock(&pool.lock);
	while (!pool.stopping) {
		job = take(&pool.todo);
		if (!job) {
			pthread_cond_wait(&pool.wake, &pool.lock);
			continue;
		}
		job->begun = true;
		pthread_mutex_unlock(&pool.lock);
		job->work(job);
		finish(job);
		pthread_mutex_lock(&pool.lock);
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* Signals are the event loop's. */
static void threads_start(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int want = cpus < 1 ? 1 : cpus > THREADS_MAX ? THREADS_MAX : cpus;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pool.n_threads < want &&
	       !pthread_create(&pool.threads[pool.n_threads], NULL, thread, NULL))
		pool.n_threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	struct pool_job *job;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return;
	for (;;) {
		pthread_mutex_lock(&pool.lock);
		job = take(&pool.finished);
		pthread_mutex_unlock(&pool.lock);
		if (!job)
			return;
		job->done(job, true);
	}
}

int pool_start(struct event_base *base)
{
	pool.stopping = false;
	pool.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool.fd < 0)
		return -errno;
	pool.event = event_new(base, pool.fd, EV_READ | EV_PERSIST, readable, NULL);
	if (pool.event && !event_add(pool.event, NULL))
		return 0;
	pool_stop();
	return -ENOMEM;
}

void pool_run(struct pool_job *job)
{
	if (!pool.n_threads)
		threads_start();
	if (!pool.n_threads) {
		/* Better late than never. */
		job->begun = true;
		job->work(job);
		finish(job);
		return;
	}
	pthread_mutex_lock(&pool.lock);
	list_add_tail(&job->node, &pool.todo);
	pthread_cond_signal(&pool.wake);
	pthread_mutex_unlock(&pool.lock);
}

void pool_cancel(struct pool_job *job)
{
	bool begun;

	pthread_mutex_lock(&pool.lock);
	begun = job->begun;
	if (!begun)
		list_del(&job->node);
	pthread_mutex_unlock(&pool.lock);
	if (!begun)
		job->done(job, false);
}

void pool_stop(void)
{
	struct pool_job *job;

	pthread_mutex_lock(&pool.lock);
	pool.stopping = true;
	pthread_cond_broadcast(&pool.wake);
	pthread_mutex_unlock(&pool.lock);
	while (pool.n_threads)
		pthread_join(pool.threads[--pool.n_threads], NULL);
	while ((job = take(&pool.finished)) || (job = take(&pool.todo)))
		job->done(job, false);
	if (pool.event)
		event_free(pool.event);
	pool.event = NULL;
	if (pool.fd >= 0)
		close(pool.fd);
	pool.fd = -1;
}
