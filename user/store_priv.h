/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the store share.
 *
 * store.c belongs to the event loop, store_thread.c and store_apply.c to the
 * store's thread, store_job.c to the thread of a check or backup; the others
 * work before the threads start.
 */
#ifndef MQTTD_STORE_PRIV_H
#define MQTTD_STORE_PRIV_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "map.h"
#include "store.h"

#define STORE_APPLICATION_ID	0x6b6d7174	/* "kmqt" */
#define STORE_VERSION		1
#define STORE_TEXT_MAX		512
#define STORE_REPORT_MAX	4096
#define STORE_COUNTS_MAX	8

/* ---- operations --------------------------------------------------------- */

enum store_op_type {
	OP_SESSION_PUT,
	OP_SESSION_DELETE,
	OP_SESSION_NUMBERS,
	OP_SUBSCRIPTION_PUT,
	OP_SUBSCRIPTION_DELETE,
	OP_OUTGOING_PUT,
	OP_OUTGOING_STATE,
	OP_OUTGOING_DELETE,
	OP_INBOUND_ADD,
	OP_INBOUND_DELETE,
	OP_WILL_PUT,
	OP_WILL_DELETE,
	OP_RETAINED_PUT,
	OP_RETAINED_DELETE,
	OP_MARK_PUT,
	OP_MARK_DELETE,
	OP_MARKS_CLEAN,
	N_OPS,
};

/**
 * struct store_op - an operation
 *
 * Made and freed by the loop, because messages are counted there; between that
 * the thread only reads it.
 *
 * @next: in its batch
 * @type: which
 * @bytes: what it counts for in store_backlog()
 * @client_id: the session, or NULL; in @data like all else that is pointed to
 * @topic: of a retained message to delete
 * @deleting: of a session to delete, by @client_id
 * @seq: of its batch, likewise
 * @msg: a reference that the operation holds, or NULL
 */
struct store_op {
	struct store_op *next;
	enum store_op_type type;
	size_t bytes;
	const char *client_id;
	const char *topic;
	struct message *msg;
	struct map_entry deleting;
	uint64_t seq;
	union {
		struct store_session session;
		struct store_subscription sub;
		struct store_outgoing out;
		struct store_will will;
		struct store_mark mark;
		uint16_t packet_id;
	};
	char data[];
};

/* Operations in their order; @seq is the number of the newest batch in it. */
struct store_batch {
	struct store_op *first, **end;
	uint64_t seq;
};

void store_batch_init(struct store_batch *b);
/* Append @from, which is empty afterwards. */
void store_batch_move(struct store_batch *to, struct store_batch *from);

/* ---- the database ------------------------------------------------------- */

/**
 * struct store_clock - the store's time, see store_clock.c
 * @offset: store time minus clock_ms(), the same as long as the store is open
 * @recorded_at: clock_ms() of the last record
 * @recorded_offset: time of day minus clock_ms() then
 */
struct store_clock {
	int64_t offset;
	uint64_t recorded_at;
	int64_t recorded_offset;
};

enum store_stmt {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_CLOCK,
	ST_SESSION_FIND,
	ST_SESSION_PUT,
	ST_SESSION_DELETE,
	ST_SESSION_NUMBERS,
	ST_SESSION_MESSAGES_DELETE,
	ST_SESSION_OUTGOING_DELETE,
	ST_SESSION_SUBSCRIPTIONS_DELETE,
	ST_SESSION_INBOUND_DELETE,
	ST_SUBSCRIPTION_PUT,
	ST_SUBSCRIPTION_DELETE,
	ST_MESSAGE_PUT,
	ST_MESSAGE_DELETE,
	ST_OUTGOING_PUT,
	ST_OUTGOING_STATE,
	ST_OUTGOING_DELETE,
	ST_INBOUND_ADD,
	ST_INBOUND_DELETE,
	ST_WILL_PUT,
	ST_WILL_DELETE,
	ST_RETAINED_PUT,
	ST_RETAINED_DELETE,
	ST_MARK_PUT,
	ST_MARK_DELETE,
	ST_MARKS_CLEAN,
	N_STMTS,
};

/**
 * struct store_db - the connection to the database
 *
 * Belongs to whoever opened it until the thread starts, then to the thread,
 * then to store_close().
 *
 * @db: the connection
 * @stmts: prepared when they are first needed
 * @clock: its time
 * @lock_fd: holds the lock file's lock
 * @path: file
 * @last_id: client id of the last session that was looked up, and
 * @last_session: its row; 0 = none
 * @next_message: number for the next message that has none; belongs to the loop
 * @complaint: an operation made no sense: what, for the log
 */
struct store_db {
	sqlite3 *db;
	struct sqlite3_stmt *stmts[N_STMTS];
	struct store_clock clock;
	int lock_fd;
	char *path;
	char *last_id;
	sqlite3_int64 last_session;
	uint64_t next_message;
	char complaint[STORE_TEXT_MAX];
};

/* As store_open(); logs. */
int store_db_open(struct store_db *db, const struct store_settings *s);
void store_db_close(struct store_db *db);
/* Close, set aside and leave nothing under the store's name; logs. */
int store_db_set_aside(struct store_db *db, const char *why);
/* Is this result of SQLite's a sign of damage, not of trouble on the way? */
bool store_damaged(int rc);
/* The columns of a message, the same in each table that has one. */
#define STORE_MESSAGE_COLUMNS	"topic, props, payload, qos, retain, expires_at, source"
#define STORE_MESSAGE_N		7
/* -errno of SQLite's result. */
int store_errno(int rc);
/* Say in @text (STORE_TEXT_MAX) what SQLite's result @rc is about. */
void store_describe(sqlite3 *db, int rc, char *text);

/* One transaction.  Returns SQLite's result; @text says what failed. */
int store_db_commit(struct store_db *db, const struct store_batch *b, char *text);
/* When nothing is to be committed: record the clock; SQLITE_DONE if it need not be. */
int store_db_tick(struct store_db *db, char *text);
/* Make what is committed survive a power cut. */
int store_db_sync(struct store_db *db, char *text);
/* As store_load(), but leaves setting aside to it: SQLite's result. */
int store_db_load(struct store_db *db, const struct store_loader *loader, char *text);

/* ---- time --------------------------------------------------------------- */

int store_clock_open(struct store_clock *c, sqlite3 *db);
/* Was time of day set since the last record, or is that older than @seconds? */
bool store_clock_due(const struct store_clock *c, unsigned int seconds);
/* Bind the record to write; remembered by store_clock_recorded(). */
void store_clock_bind(const struct store_clock *c, sqlite3_stmt *st);
void store_clock_recorded(struct store_clock *c);
/* 0 stays 0. */
int64_t store_clock_save(const struct store_clock *c, uint64_t at);
uint64_t store_clock_load(const struct store_clock *c, int64_t at);

/* ---- threads ------------------------------------------------------------ */

/**
 * struct store_thread - what the loop and the thread share
 * @lock: for all that follows up to @db
 * @work: there is something in @queue, or @stop
 * @queue: handed over, not begun
 * @stop: finish and end
 * @done: committed (or given up), to be freed by the loop
 * @committed: number of the last batch committed
 * @failing: the last attempt at writing failed
 * @failure: why the last attempt that failed did
 * @n_failures: counts what was written to @failure
 * @gave_up: a batch could not be committed before the end
 * @dirty_since: clock_ms() of the first commit after the last flush to the
 *	disk, 0 = none
 * @complaint: see struct store_db
 * @wake_fd: eventfd of the loop
 * @db: the thread's own from here on
 * @sync: see struct store_settings
 * @interval_ms: see struct store_settings
 */
struct store_thread {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct store_batch queue;
	bool stop;
	struct store_batch done;
	uint64_t committed;
	bool failing;
	char failure[STORE_TEXT_MAX];
	unsigned int n_failures;
	bool gave_up;
	uint64_t dirty_since;
	char complaint[STORE_TEXT_MAX];
	int wake_fd;
	struct store_db *db;
	enum store_sync sync;
	unsigned int interval_ms;
	pthread_t thread;
};

/* 0, or -errno after the log told why. */
int store_thread_start(struct store_thread *t);
/* Waits until it has committed, or given up, what is in @queue. */
void store_thread_stop(struct store_thread *t);
void store_thread_destroy(struct store_thread *t);
/* pthread_create() with all signals blocked: they are the loop's. */
int store_thread_create(pthread_t *thread, void *(*run)(void *), void *arg);
/* Ring @fd, an eventfd. */
void store_wake(int fd);

/**
 * struct store_job - a check or a backup in its thread
 *
 * Set up by the loop before the thread starts; @stop and @finished are what
 * both touch while it runs.
 *
 * @running: there is one
 * @stop: end soon
 * @finished: the thread will do nothing more than end
 * @store: path of the store
 * @fd: file of the copy; -1: a check
 * @wake_fd: eventfd of the loop
 * @ok: how it went, likewise those that follow: see struct store_report
 */
struct store_job {
	bool running;
	atomic_bool stop;
	atomic_bool finished;
	const char *store;
	int fd;
	int wake_fd;
	store_done_t done;
	void *arg;
	bool ok;
	bool damaged;
	char text[STORE_REPORT_MAX];
	uint64_t bytes;
	size_t n_counts;
	struct store_count counts[STORE_COUNTS_MAX];
	pthread_t thread;
};

int store_job_start(struct store_job *job);
/* Join it and tell its result, if it has finished. */
void store_job_reap(struct store_job *job);
/* End it now; its done() is called. */
void store_job_stop(struct store_job *job);

#endif /* MQTTD_STORE_PRIV_H */
