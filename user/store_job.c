// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Check and backup of a store in use.
 *
 * They have a thread and a connection to the database of their own, and read
 * what was committed when they began: SQLite's log keeps that apart from what
 * is committed meanwhile, so commits never wait for them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "store_fd.h"
#include "store_priv.h"

#define BUSY_MS		5000
#define STEP_PAGES	256
#define PROGRESS_STEPS	10000

/**
 * struct count - what is counted
 * @sql: by this
 * @name: for people and programs
 * @bad: what a sound store has none of
 */
struct count {
	const char *sql;
	const char *name;
	bool bad;
};

static const struct count counts[] = {
	{ "SELECT count(*) FROM session", "sessions", false },
	{ "SELECT count(*) FROM subscription", "subscriptions", false },
	{ "SELECT count(*) FROM outgoing", "queued", false },
	{ "SELECT count(*) FROM message", "messages", false },
	{ "SELECT count(*) FROM retained", "retained", false },
	{ "SELECT count(*) FROM outgoing WHERE NOT EXISTS\n"
	  "(SELECT 1 FROM message WHERE id = outgoing.message)",
	  "queued without a message", true },
	{ "SELECT count(*) FROM message WHERE NOT EXISTS\n"
	  "(SELECT 1 FROM outgoing WHERE message = message.id)",
	  "messages that nobody gets", true },
	{ "SELECT count(*) FROM (SELECT session FROM subscription UNION ALL SELECT session\n"
	  "FROM outgoing UNION ALL SELECT session FROM inbound UNION ALL SELECT session\n"
	  "FROM will) WHERE session NOT IN (SELECT id FROM session)",
	  "rows without a session", true },
};

static int on_progress(void *arg)
{
	struct store_job *job = arg;

	return job->stop;
}

/* ---- check -------------------------------------------------------------- */

/* One more line of what is wrong. */
static void complain(struct store_job *job, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct store_job *job, const char *fmt, ...)
{
	size_t len = strlen(job->text), room = sizeof(job->text) - len;
	va_list args;

	if (len && room > 1)
		snprintf(job->text + len++, room--, "\n");
	va_start(args, fmt);
	vsnprintf(job->text + len, room, fmt, args);
	va_end(args);
}

/* What SQLite finds wrong: not all of it, one fault has many consequences. */
static int check_pages(struct store_job *job, sqlite3 *db)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(10)", -1, &st, NULL);

	if (rc)
		return rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *line = (const char *)sqlite3_column_text(st, 0);

		if (line && strcmp(line, "ok"))
			complain(job, "%s", line);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int count_rows(sqlite3 *db, const char *sql, uint64_t *n)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*n = (uint64_t)sqlite3_column_int64(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

static int check_counts(struct store_job *job, sqlite3 *db)
{
	uint64_t n = 0;
	size_t i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		rc = count_rows(db, counts[i].sql, &n);
		if (rc)
			return rc;
		if (!counts[i].bad)
			job->counts[job->n_counts++] = (struct store_count){ counts[i].name, n };
		else if (n)
			complain(job, "%llu %s", (unsigned long long)n, counts[i].name);
	}
	return SQLITE_OK;
}

static int check(struct store_job *job, sqlite3 *db)
{
	int rc = check_pages(job, db);

	if (!rc && !*job->text)
		rc = check_counts(job, db);
	if (rc && !store_damaged(rc))
		return rc;
	if (rc)
		complain(job, "%s", sqlite3_errmsg(db));
	job->damaged = *job->text;
	job->ok = !job->damaged;
	return SQLITE_OK;
}

/* ---- backup ------------------------------------------------------------- */

/*
 * What is copied goes to the disk as it comes: at the end it would be one large
 * flush, and commits would wait for it.
 */
static int copy_pages(struct store_job *job, sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
	int rc = copy ? SQLITE_OK : sqlite3_errcode(to);

	while (!rc && !job->stop) {
		rc = sqlite3_backup_step(copy, STEP_PAGES);
		if (fdatasync(job->fd))
			rc = SQLITE_IOERR_FSYNC;
	}
	if (!rc)
		rc = SQLITE_INTERRUPT;
	sqlite3_backup_finish(copy);
	return rc;
}

static void backup(struct store_job *job, sqlite3 *from)
{
	sqlite3 *to;
	int rc = store_fd_open(job->fd, &to);
	struct stat st;

	if (!rc)
		rc = copy_pages(job, from, to);
	if (rc != SQLITE_DONE)
		store_describe(to, rc, job->text);
	store_fd_close(to);
	if (rc != SQLITE_DONE)
		return;
	job->ok = !fsync(job->fd) && !fstat(job->fd, &st);
	if (job->ok)
		job->bytes = (uint64_t)st.st_size;
	else
		complain(job, "%s", strerror(errno));
}

/* ---- the thread --------------------------------------------------------- */

/* Hold what is committed now until @db is closed. */
static int hold(struct store_job *job, sqlite3 *db)
{
	sqlite3_busy_timeout(db, BUSY_MS);
	sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, job);
	return sqlite3_exec(db, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
}

static void *job_run(void *arg)
{
	struct store_job *job = arg;
	sqlite3 *db = NULL;
	int rc;

	rc = sqlite3_open_v2(job->store, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc)
		rc = hold(job, db);
	if (!rc && job->fd >= 0)
		backup(job, db);
	else if (!rc)
		rc = check(job, db);
	if (rc)
		store_describe(db, rc, job->text);
	sqlite3_close(db);
	job->finished = true;
	store_wake(job->wake_fd);
	return NULL;
}

/* ---- from the loop ------------------------------------------------------ */

int store_job_start(struct store_job *job)
{
	int err;

	job->stop = false;
	job->finished = false;
	job->ok = false;
	job->damaged = false;
	job->bytes = 0;
	job->n_counts = 0;
	job->text[0] = '\0';
	err = store_thread_create(&job->thread, job_run, job);
	job->running = !err;
	return err;
}

/* Its thread has ended. */
static struct store_report job_report(const struct store_job *job)
{
	return (struct store_report){
		.ok = job->ok,
		.damaged = job->damaged,
		.text = job->text,
		.n_counts = job->n_counts,
		.counts = job->counts,
		.bytes = job->bytes,
	};
}

static void job_end(struct store_job *job)
{
	struct store_report r;

	pthread_join(job->thread, NULL);
	r = job_report(job);
	job->running = false;
	if (job->fd >= 0)
		close(job->fd);
	/* It may start the next one. */
	job->done(&r, job->arg);
}

void store_job_reap(struct store_job *job)
{
	if (job->running && job->finished)
		job_end(job);
}

void store_job_stop(struct store_job *job)
{
	if (!job->running)
		return;
	job->stop = true;
	job_end(job);
}
