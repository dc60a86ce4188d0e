// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The durable store, as the event loop sees it: batches of operations on their
 * way to the thread, and what comes back.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "store_file.h"

#define REMIND_MS	60000

/**
 * struct store - the store
 * @is_open: between store_open() and store_close()
 * @started: the thread runs
 * @settings: as given, but for the path
 * @db: belongs to the thread while it runs
 * @job: check or backup
 * @done: who wants to know how that went
 * @batch: gathers, its number is one above @handed
 * @handed: number of the last batch handed over
 * @committed: number of the last batch committed
 * @ops: operations so far
 * @deleting: session deletions that are not committed
 * @backlog: see store_backlog()
 * @last_message: the last one charged to the backlog: many operations in a row
 *	hold the same
 * @flush: activated by the first operation of a batch
 * @wake: the thread has something to tell
 * @n_failures: how many of the thread's were seen
 * @failing: the last one was not followed by a commit
 * @told: clock_ms() when the log was told last
 */
static struct store {
	bool is_open;
	bool started;
	struct store_settings settings;
	struct store_db db;
	struct store_thread thread;
	struct store_job job;
	store_done_t done;
	struct store_batch batch;
	uint64_t handed;
	uint64_t committed;
	uint64_t ops;
	struct map deleting;
	size_t backlog;
	const struct message *last_message;
	int wake_fd;
	struct event *flush;
	struct event *wake;
	unsigned int n_failures;
	bool failing;
	uint64_t told;
} store;

/* ---- what comes back ---------------------------------------------------- */

static void free_ops(struct store_batch *b)
{
	struct store_op *op = b->first;

	while (op) {
		struct store_op *next = op->next;

		store.backlog -= op->bytes;
		if (op->type == OP_SESSION_DELETE)
			map_del(&store.deleting, &op->deleting);
		message_put(op->msg);
		free(op);
		op = next;
	}
	store_batch_init(b);
	/* What it was compared with may be gone. */
	store.last_message = NULL;
}

/* Not every attempt goes to the log, but the first one, and now and then. */
static void tell_failure(const char *text)
{
	uint64_t now = clock_ms();

	if (!store.failing || now - store.told >= REMIND_MS) {
		log_err("store %s: cannot write: %s; nothing more is acknowledged until it can",
			store.db.path, text);
		store.told = now;
	}
	store.failing = true;
	if (store.settings.failed)
		store.settings.failed(text, store.settings.arg);
}

static void collect(void)
{
	struct store_thread *t = &store.thread;
	char failure[STORE_TEXT_MAX], complaint[STORE_TEXT_MAX];
	struct store_batch done;
	unsigned int n_failures;
	uint64_t committed;
	bool failing;

	store_batch_init(&done);
	pthread_mutex_lock(&t->lock);
	store_batch_move(&done, &t->done);
	committed = t->committed;
	failing = t->failing;
	n_failures = t->n_failures;
	memcpy(failure, t->failure, sizeof(failure));
	memcpy(complaint, t->complaint, sizeof(complaint));
	t->complaint[0] = '\0';
	pthread_mutex_unlock(&t->lock);

	free_ops(&done);
	if (*complaint)
		log_err("store %s: %s", store.db.path, complaint);
	/* Even if it is over already. */
	if (n_failures != store.n_failures)
		tell_failure(failure);
	store.n_failures = n_failures;
	if (store.failing && !failing) {
		log_notice("store %s: can be written again", store.db.path);
		store.failing = false;
	}
	if (committed > store.committed) {
		store.committed = committed;
		store.settings.committed(committed, store.settings.arg);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	collect();
	store_job_reap(&store.job);
}

/* ---- batches ------------------------------------------------------------ */

void store_flush(void)
{
	struct store_thread *t = &store.thread;

	if (!store.started || !store.batch.first)
		return;
	store.batch.seq = ++store.handed;
	pthread_mutex_lock(&t->lock);
	store_batch_move(&t->queue, &store.batch);
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->lock);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	store_flush();
}

bool store_is_open(void)
{
	return store.is_open;
}

uint64_t store_seq(void)
{
	if (store.batch.first)
		return store.handed + 1;
	return store.handed > store.committed ? store.handed : 0;
}

uint64_t store_ops(void)
{
	return store.ops;
}

static uint64_t id_hash(const char *client_id)
{
	return map_hash(5, client_id, strlen(client_id));
}

uint64_t store_deleting(const char *client_id)
{
	struct map_entry *e;
	uint64_t seq = 0;

	for (e = map_first(&store.deleting, id_hash(client_id)); e; e = map_next(e)) {
		const struct store_op *op = container_of(e, struct store_op, deleting);

		if (op->seq > seq && !strcmp(op->client_id, client_id))
			seq = op->seq;
	}
	return seq > store.committed ? seq : 0;
}

size_t store_backlog(void)
{
	return store.backlog;
}

static void append(struct store_op *op, size_t bytes, struct message *m)
{
	op->bytes = bytes;
	if (m) {
		op->msg = message_get(m);
		if (m != store.last_message)
			op->bytes += message_size(m);
		store.last_message = m;
		/* Who shows it shows what is to be stored. */
		m->wait = store.handed + 1;
	}
	store.ops++;
	store.backlog += op->bytes;
	if (!store.batch.first && store.started)
		event_active(store.flush, 0, 0);
	*store.batch.end = op;
	store.batch.end = &op->next;
}

/* ---- life --------------------------------------------------------------- */

int store_open(const struct store_settings *settings)
{
	int err;

	if (store.is_open)
		return -EALREADY;
	memset(&store, 0, sizeof(store));
	err = store_db_open(&store.db, settings);
	if (err)
		return err;
	store.settings = *settings;
	store.settings.path = NULL;	/* db.path lasts as long as the store */
	store_batch_init(&store.batch);
	store.is_open = true;
	return 0;
}

/* Of reading or of what led to it. */
static int load_failed(int rc, const char *text)
{
	int err = store_errno(rc);

	if (!store_damaged(rc))
		log_err("store %s: cannot be read: %s", store.db.path, text);
	else if (store.settings.refuse_damaged)
		log_err("store %s: damaged (%s); left as it is", store.db.path, text);
	else
		err = store_db_set_aside(&store.db, text) ? -EIO : -EUCLEAN;
	if (store_damaged(rc) && store.settings.refuse_damaged)
		err = -EIO;
	store_close();
	return err;
}

int store_load(const struct store_loader *loader)
{
	char text[STORE_TEXT_MAX] = "";
	int rc;

	if (!store.is_open || store.started)
		return -EINVAL;
	rc = store_db_load(&store.db, loader, text);
	return rc ? load_failed(rc, text) : 0;
}

int store_start(struct event_base *base)
{
	struct store_thread *t = &store.thread;
	int err;

	store.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store.wake_fd < 0) {
		err = -errno;
		log_err("store %s: eventfd: %s", store.db.path, strerror(-err));
		return err;
	}
	t->wake_fd = store.wake_fd;
	t->db = &store.db;
	t->sync = store.settings.sync;
	t->interval_ms = store.settings.interval * 1000;
	err = store_thread_start(t);
	if (err) {
		close(store.wake_fd);
		return err;
	}
	store.flush = event_new(base, -1, 0, on_flush, NULL);
	store.wake = event_new(base, store.wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
	event_add(store.wake, NULL);
	store.started = true;
	/* What was appended while the store was loaded. */
	store_flush();
	return 0;
}

static void stop(void)
{
	store_job_stop(&store.job);
	store_flush();
	store_thread_stop(&store.thread);
	store.started = false;
	event_free(store.flush);
	event_free(store.wake);
	close(store.wake_fd);
	collect();
	store_thread_destroy(&store.thread);
	if (store.thread.gave_up)
		log_err("store %s: closed without its last changes; they were not acknowledged",
			store.db.path);
}

void store_close(void)
{
	if (!store.is_open)
		return;
	if (store.started)
		stop();
	/* Never handed over: the store was only loaded, or committed() went on. */
	free_ops(&store.batch);
	map_free(&store.deleting);
	store_db_close(&store.db);
	memset(&store, 0, sizeof(store));
}

/* ---- making operations -------------------------------------------------- */

/* An operation with room for @room bytes of data; NULL if no store is open. */
static struct store_op *new_op(enum store_op_type type, size_t room)
{
	struct store_op *op;

	if (!store.is_open)
		return NULL;
	op = mem_zalloc(sizeof(*op) + room);
	op->type = type;
	return op;
}

static const char *copy(char **p, const char *s)
{
	size_t len = strlen(s) + 1;
	char *at = *p;

	memcpy(at, s, len);
	*p += len;
	return at;
}

/* An operation on a session, appended; what is fixed in size is to be filled in. */
static struct store_op *session_op(enum store_op_type type, const char *client_id,
				   struct message *m)
{
	size_t len = strlen(client_id) + 1;
	struct store_op *op = new_op(type, len);

	if (!op)
		return NULL;
	memcpy(op->data, client_id, len);
	op->client_id = op->data;
	append(op, sizeof(*op) + len, m);
	return op;
}

/* ---- operations --------------------------------------------------------- */

void store_session_put(const struct store_session *s)
{
	struct store_op *op = session_op(OP_SESSION_PUT, s->client_id, NULL);

	if (!op)
		return;
	op->session = *s;
	op->session.client_id = op->client_id;
}

void store_session_delete(const char *client_id)
{
	struct store_op *op = session_op(OP_SESSION_DELETE, client_id, NULL);

	if (!op)
		return;
	op->seq = store.handed + 1;
	map_add(&store.deleting, &op->deleting, id_hash(client_id));
}

void store_session_numbers(const char *client_id, uint64_t number, uint16_t packet_id)
{
	struct store_op *op = session_op(OP_SESSION_NUMBERS, client_id, NULL);

	if (!op)
		return;
	op->session.number = number;
	op->session.packet_id = packet_id;
}

static void subscription_op(enum store_op_type type, const char *client_id,
			    const struct store_subscription *sub)
{
	const char *share = sub->share ? sub->share : "";
	size_t room = strlen(client_id) + strlen(share) + strlen(sub->filter) + 3;
	struct store_op *op = new_op(type, room);
	char *p;

	if (!op)
		return;
	p = op->data;
	op->sub = *sub;
	op->client_id = copy(&p, client_id);
	op->sub.share = copy(&p, share);
	op->sub.filter = copy(&p, sub->filter);
	append(op, sizeof(*op) + room, NULL);
}

void store_subscription_put(const char *client_id, const struct store_subscription *sub)
{
	subscription_op(OP_SUBSCRIPTION_PUT, client_id, sub);
}

void store_subscription_delete(const char *client_id, const char *share, const char *filter)
{
	struct store_subscription sub = { .share = share, .filter = filter };

	subscription_op(OP_SUBSCRIPTION_DELETE, client_id, &sub);
}

void store_outgoing_put(const char *client_id, const struct store_outgoing *out)
{
	size_t subids = out->n_subids * sizeof(*out->subids);
	size_t room = subids + strlen(client_id) + 1;
	struct store_op *op = new_op(OP_OUTGOING_PUT, room);
	char *p;
	unsigned int i;

	if (!op)
		return;
	if (!out->msg->store_id)
		out->msg->store_id = store.db.next_message++;
	p = op->data;
	op->out = *out;
	op->out.subids = (const uint32_t *)p;
	/* The file may be read on a machine of another byte order. */
	for (i = 0; i < out->n_subids; i++, p += sizeof(uint32_t)) {
		uint32_t id = htole32(out->subids[i]);

		memcpy(p, &id, sizeof(id));
	}
	op->client_id = copy(&p, client_id);
	append(op, sizeof(*op) + room, out->msg);
}

void store_outgoing_state(const char *client_id, const struct store_outgoing *out)
{
	struct store_op *op = session_op(OP_OUTGOING_STATE, client_id, NULL);

	if (!op)
		return;
	op->out.pos = out->pos;
	op->out.state = out->state;
	op->out.number = out->number;
	op->out.packet_id = out->packet_id;
}

void store_outgoing_delete(const char *client_id, uint64_t pos)
{
	struct store_op *op = session_op(OP_OUTGOING_DELETE, client_id, NULL);

	if (op)
		op->out.pos = pos;
}

void store_inbound_add(const char *client_id, uint16_t packet_id)
{
	struct store_op *op = session_op(OP_INBOUND_ADD, client_id, NULL);

	if (op)
		op->packet_id = packet_id;
}

void store_inbound_delete(const char *client_id, uint16_t packet_id)
{
	struct store_op *op = session_op(OP_INBOUND_DELETE, client_id, NULL);

	if (op)
		op->packet_id = packet_id;
}

void store_will_put(const char *client_id, const struct store_will *w)
{
	struct store_op *op = session_op(OP_WILL_PUT, client_id, w->msg);

	if (op)
		op->will = *w;
}

void store_will_delete(const char *client_id)
{
	session_op(OP_WILL_DELETE, client_id, NULL);
}

void store_retained_put(struct message *m)
{
	struct store_op *op = new_op(OP_RETAINED_PUT, 0);

	if (op)
		append(op, sizeof(*op), m);
}

void store_retained_delete(const char *topic)
{
	size_t len = strlen(topic) + 1;
	struct store_op *op = new_op(OP_RETAINED_DELETE, len);

	if (!op)
		return;
	memcpy(op->data, topic, len);
	op->topic = op->data;
	append(op, sizeof(*op) + len, NULL);
}

static void mark_op(enum store_op_type type, const struct store_mark *mark)
{
	struct store_op *op = new_op(type, 0);

	if (!op)
		return;
	op->mark = *mark;
	append(op, sizeof(*op), NULL);
}

void store_mark_put(const struct store_mark *mark)
{
	mark_op(OP_MARK_PUT, mark);
}

void store_mark_delete(uint64_t instance, uint64_t conn)
{
	mark_op(OP_MARK_DELETE, &(struct store_mark){ .instance = instance, .conn = conn });
}

void store_marks_clean(uint64_t instance)
{
	mark_op(OP_MARKS_CLEAN, &(struct store_mark){ .instance = instance });
}

/* ---- care --------------------------------------------------------------- */

static void job_done(const struct store_report *r, void *arg)
{
	if (r->damaged) {
		log_err("store %s: DAMAGED (%.*s); read and judged anew when mqttd starts the next time",
			store.db.path, (int)strcspn(r->text, "\n"), r->text);
		store_db_suspect(&store.db);
	}
	store.done(r, arg);
}

static int start_job(int fd, store_done_t done, void *arg)
{
	struct store_job *job = &store.job;

	if (!store.started)
		return -ENOENT;
	if (job->running)
		return -EBUSY;
	job->store = store.db.path;
	job->fd = fd;
	job->wake_fd = store.wake_fd;
	job->done = job_done;
	job->arg = arg;
	store.done = done;
	return store_job_start(job);
}

int store_check(store_done_t done, void *arg)
{
	return start_job(-1, done, arg);
}

/* Where to append is for us to say. */
static bool can_copy_to(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && !(flags & O_APPEND) &&
	       !fstat(fd, &st) && S_ISREG(st.st_mode) && !st.st_size;
}

int store_backup(int fd, store_done_t done, void *arg)
{
	return can_copy_to(fd) ? start_job(fd, done, arg) : -EINVAL;
}

void store_cancel(void)
{
	store.job.stop = true;
}
