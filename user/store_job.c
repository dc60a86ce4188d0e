// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Check and backup of a store in use.
 *
 * They have a thread and a connection to the database of their own, and read
 * what was committed when they began: SQLite's log keeps that apart from what
 * is committed meanwhile, so commits never wait for them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "mem.h"
#include "store_priv.h"

#define BUSY_MS		5000
#define STEP_PAGES	256
#define PROGRESS_STEPS	10000

/* Counts that a sound store has, or at 0. */
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

static int read_text(sqlite3 *db, const char *sql, char *text)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const char *value = (const char *)sqlite3_column_text(st, 0);

		snprintf(text, STORE_TEXT_MAX, "%s", value ? value : "");
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

/* ---- check -------------------------------------------------------------- */

static int check_counts(struct store_job *job, sqlite3 *db)
{
	char text[STORE_TEXT_MAX];
	size_t i, len = 0;
	int rc;

	job->ok = true;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		bool none;

		rc = read_text(db, counts[i].sql, text);
		if (rc)
			return rc;
		none = !strcmp(text, "0");
		if (counts[i].bad && none)
			continue;
		if (counts[i].bad)
			job->ok = false;
		len += (size_t)snprintf(job->text + len, sizeof(job->text) - len, "%s%.20s %s",
					len ? ", " : "", text, counts[i].name);
	}
	return SQLITE_OK;
}

static int check(struct store_job *job, sqlite3 *db)
{
	char text[STORE_TEXT_MAX];
	int rc = read_text(db, "PRAGMA integrity_check(1)", text);

	if (rc)
		return rc;
	if (strcmp(text, "ok")) {
		snprintf(job->text, sizeof(job->text), "damaged: %.400s", text);
		return SQLITE_OK;
	}
	return check_counts(job, db);
}

/* ---- backup ------------------------------------------------------------- */

/* 0 or -errno, with a text in the job. */
static int failed(struct store_job *job, const char *what, int err)
{
	snprintf(job->text, sizeof(job->text), "%.256s: %s: %s", job->path, what,
		 strerror(err));
	return -err;
}

/*
 * What is copied goes to the disk as it comes: at the end it would be one large
 * flush, and commits would wait for it.
 */
static int copy_pages(struct store_job *job, sqlite3 *from, sqlite3 *to, int fd)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	int rc = backup ? SQLITE_OK : sqlite3_errcode(to);

	while (!rc && !job->stop) {
		rc = sqlite3_backup_step(backup, STEP_PAGES);
		if (fdatasync(fd))
			rc = SQLITE_IOERR_FSYNC;
	}
	if (rc == SQLITE_DONE)
		snprintf(job->text, sizeof(job->text), "%d pages copied",
			 sqlite3_backup_pagecount(backup));
	else if (rc)
		store_describe(to, rc, job->text);
	else
		snprintf(job->text, sizeof(job->text), "ended before it was complete");
	sqlite3_backup_finish(backup);
	return rc == SQLITE_DONE ? 0 : -EIO;
}

static int copy_into(struct store_job *job, sqlite3 *from, const char *path, int fd)
{
	sqlite3 *to = NULL;
	int err, rc;

	rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc)
		rc = sqlite3_exec(to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF",
				  NULL, NULL, NULL);
	if (rc) {
		store_describe(to, rc, job->text);
		err = store_errno(rc);
	} else {
		err = copy_pages(job, from, to, fd);
	}
	sqlite3_close(to);
	return err;
}

/* Under its own name only when it is complete and on the disk. */
static int publish_copy(struct store_job *job, const char *path, int fd)
{
	char *slash, *folder;

	if (fsync(fd))
		return failed(job, "fsync", errno);
	if (renameat2(AT_FDCWD, path, AT_FDCWD, job->path, RENAME_NOREPLACE))
		return failed(job, "rename", errno);
	folder = mem_strndup(job->path, strlen(job->path));
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0 || fsync(fd)) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return failed(job, "fsync of its folder", err);
	}
	close(fd);
	return 0;
}

static void backup(struct store_job *job, sqlite3 *from)
{
	size_t size = strlen(job->path) + sizeof(".partial");
	char *path = mem_zalloc(size);
	int fd;

	snprintf(path, size, "%s.partial", job->path);
	/* Of an earlier attempt that was cut off; there is only one at a time. */
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		failed(job, "cannot make it", errno);
	} else {
		job->ok = !copy_into(job, from, path, fd) && !publish_copy(job, path, fd);
		if (!job->ok)
			unlink(path);
		/* Not earlier: that would take SQLite's locks away. */
		close(fd);
	}
	free(path);
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
	if (!rc && job->path)
		backup(job, db);
	else if (!rc)
		rc = check(job, db);
	if (rc) {
		job->ok = false;
		store_describe(db, rc, job->text);
	}
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
	job->text[0] = '\0';
	err = store_thread_create(&job->thread, job_run, job);
	job->running = !err;
	if (err)
		free(job->path);
	return err;
}

void store_job_reap(struct store_job *job)
{
	if (!job->running || !job->finished)
		return;
	pthread_join(job->thread, NULL);
	job->running = false;
	free(job->path);
	job->path = NULL;
	/* It may start the next one. */
	job->done(job->ok, job->text, job->arg);
}

void store_job_stop(struct store_job *job)
{
	if (!job->running)
		return;
	job->stop = true;
	pthread_join(job->thread, NULL);
	job->running = false;
	free(job->path);
	job->path = NULL;
	job->done(job->ok, job->text, job->arg);
}
