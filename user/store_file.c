// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store's file: who may open it, whether it is one of ours and sound, and
 * what becomes of it if not.  Its tables are in store_schema.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "log.h"
#include "mem.h"
#include "store_file.h"

#define BUSY_MS		2000
#define SUFFIX_MAX	64
#define PATH_ROOM	4096
#define SUSPECT		".suspect"

/* Where the file format of SQLite keeps what is judged before SQLite opens it. */
#define MAGIC		"SQLite format 3"	/* with the NUL at its end */
#define HEADER_BYTES	100
#define PAGE_SIZE_AT	16
#define PAGES_AT	28
#define VERSION_AT	60
#define APPLICATION_AT	68

/* ---- texts -------------------------------------------------------------- */

bool store_damaged(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
}

int store_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

void store_describe(sqlite3 *db, int rc, char *text)
{
	int err = db ? sqlite3_system_errno(db) : 0;
	const char *what = db && sqlite3_errcode(db) != SQLITE_OK ? sqlite3_errmsg(db) :
								    sqlite3_errstr(rc);

	if (err && rc != SQLITE_NOMEM)
		snprintf(text, STORE_TEXT_MAX, "%s (%s)", what, strerror(err));
	else
		snprintf(text, STORE_TEXT_MAX, "%s", what);
}

/* ---- the lock ----------------------------------------------------------- */

static const char *with_suffix(char buf[PATH_ROOM], const char *path, const char *suffix)
{
	snprintf(buf, PATH_ROOM, "%s%s", path, suffix);
	return buf;
}

/* Name the process @pid in @text. */
static void name_process(pid_t pid, char *text)
{
	char path[64], comm[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = '\0';
	if (f)
		fclose(f);
	snprintf(text, STORE_TEXT_MAX, "in use by process %d%s%s%s", (int)pid,
		 *comm ? " (" : "", comm, *comm ? ")" : "");
}

/* Who else holds a lock on @path?  Not to be called while SQLite has it open. */
static bool lock_holder(const char *path, char *text)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool found;

	if (fd < 0)
		return false;
	found = !fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK;
	close(fd);
	if (found)
		name_process(lock.l_pid, text);
	return found;
}

/*
 * The lock is on a file of its own, because setting aside renames the store's:
 * two that start at the same time must not do that to each other.
 */
static int lock_store(struct store_db *db)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_ROOM], text[STORE_TEXT_MAX] = "locked";
	int fd, err;

	with_suffix(path, db->path, ".lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = errno;
		log_err("store %s: cannot open its lock file: %s", path, strerror(err));
		return -err;
	}
	if (fcntl(fd, F_SETLK, &lock)) {
		close(fd);
		lock_holder(path, text);
		log_err("store %s: %s", db->path, text);
		return -EBUSY;
	}
	db->lock_fd = fd;
	return 0;
}

/* ---- before SQLite opens it --------------------------------------------- */

static off_t size_of(const char *path, const char *suffix)
{
	char buf[PATH_ROOM];
	struct stat st;

	return stat(with_suffix(buf, path, suffix), &st) ? -1 : st.st_size;
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/*
 * Opened for writing, because SQLite makes do with less and says nothing.
 * Only the owner may read it: messages are in it.
 */
static int open_file(const char *path)
{
	struct stat st;
	int fd, err;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0) {
		err = errno;
		log_err("store %s: cannot open: %s", path, strerror(err));
		return -err;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		log_err("store %s: not a regular file", path);
		return -EINVAL;
	}
	return fd;
}

/*
 * SQLite takes what is missing of the last page for zeros.  Where there is a
 * log, the file may rightly be shorter.
 */
static bool cut_short(const char *path, const unsigned char *header)
{
	uint32_t page = (uint32_t)header[PAGE_SIZE_AT] << 8 | header[PAGE_SIZE_AT + 1];

	if (page == 1)		/* that is how 65536 is written */
		page = 65536;
	return size_of(path, "-wal") <= 0 &&
	       size_of(path, "") < (off_t)page * get32(header + PAGES_AT);
}

/*
 * Judge the header, without SQLite: to open what an unclean end left, SQLite
 * would change it, and a store of a newer mqttd must stay as it is.  Returns 0,
 * -EUCLEAN with a @text, or -errno after the log told why.
 */
static int judge_header(const char *path, char *text)
{
	unsigned char h[HEADER_BYTES];
	int fd = open_file(path);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, h, sizeof(h), 0);
	close(fd);
	/* SQLite would delete the -wal of an empty file, with all that is in it. */
	if (!n && size_of(path, "-wal") > 0) {
		snprintf(text, STORE_TEXT_MAX, "only its -wal has contents");
		return -EUCLEAN;
	}
	/* Power was cut while it was made; SQLite takes that back. */
	if (!n || size_of(path, "-journal") > 0)
		return 0;
	if (n < (ssize_t)sizeof(h) || memcmp(h, MAGIC, sizeof(MAGIC))) {
		snprintf(text, STORE_TEXT_MAX, "not an SQLite database");
		return -EUCLEAN;
	}
	if (get32(h + APPLICATION_AT) != STORE_APPLICATION_ID) {
		log_err("store %s: a database of another program; left as it is", path);
		return -EINVAL;
	}
	if (get32(h + VERSION_AT) > STORE_VERSION) {
		log_err("store %s: version %u, of a newer mqttd; this one reads up to %u; left as it is",
			path, get32(h + VERSION_AT), STORE_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (cut_short(path, h)) {
		snprintf(text, STORE_TEXT_MAX, "shorter than its header says");
		return -EUCLEAN;
	}
	return 0;
}

void store_db_suspect(const struct store_db *db)
{
	char path[PATH_ROOM];
	int fd = open(with_suffix(path, db->path, SUSPECT), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

static void clear_suspicion(const char *path)
{
	char buf[PATH_ROOM];

	unlink(with_suffix(buf, path, SUSPECT));
}

/* ---- setting aside ------------------------------------------------------ */

static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? mem_strndup(path, slash == path ? 1 : slash - path) :
			       mem_strndup(".", 1);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		/* Best effort: a rename that is undone by a power cut is redone. */
		(void)!fsync(fd);
		close(fd);
	}
	free(folder);
}

/* Never onto a file that exists. */
static int move(const char *path, const char *what, const char *suffix)
{
	char from[PATH_ROOM], to[PATH_ROOM], base[PATH_ROOM];

	with_suffix(from, path, what);
	with_suffix(base, path, suffix);
	with_suffix(to, base, what);
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) || errno == ENOENT)
		return 0;
	return -errno;
}

/*
 * The file itself first: whatever is left of the others by an end in the middle
 * is then recognized by judge_header().
 */
static int move_all(const char *path, const char *suffix)
{
	static const char *const parts[] = { "", "-wal", "-shm", "-journal" };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(parts) && !err; i++)
		err = move(path, parts[i], suffix);
	return err;
}

int store_db_set_aside(struct store_db *db, const char *why)
{
	char suffix[SUFFIX_MAX], stamp[32];
	time_t now = time(NULL);
	unsigned int try;
	struct tm tm;
	int err = -EEXIST;

	store_db_disconnect(db, true);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	for (try = 0; err == -EEXIST && try < 1000; try++) {
		snprintf(suffix, sizeof(suffix), try ? ".bad-%s-%u" : ".bad-%s", stamp, try);
		err = move_all(db->path, suffix);
	}
	if (err) {
		log_err("store %s: damaged (%s), and cannot be set aside: %s", db->path, why,
			strerror(-err));
		return err;
	}
	clear_suspicion(db->path);
	sync_folder(db->path);
	log_err("store %s: DAMAGED (%s); set aside as %s%s: sessions, queued and retained messages in it are not available",
		db->path, why, db->path, suffix);
	return 0;
}

/* ---- opening ------------------------------------------------------------ */

static int configure(sqlite3 *db, const struct store_settings *s)
{
	char *sql;
	int rc;

	/* A crafted file must not bring code of its own. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_busy_timeout(db, BUSY_MS);
	sqlite3_extended_result_codes(db, 1);
	/* The pages of the log are written where the log is worth moving: 16 MB. */
	sql = sqlite3_mprintf("PRAGMA cell_size_check = ON; PRAGMA secure_delete = OFF;"
			      "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;"
			      "PRAGMA wal_autocheckpoint = 4096;"
			      "PRAGMA journal_size_limit = 16777216;"
			      "PRAGMA synchronous = %s",
			      s->sync == STORE_SYNC_ALWAYS ? "FULL" :
			      s->sync == STORE_SYNC_INTERVAL ? "NORMAL" : "OFF");
	if (!sql)
		return SQLITE_NOMEM;
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	return rc;
}

/* -EUCLEAN with a @text if it is damaged, -errno after the log told why. */
static int judge(struct store_db *db, int rc, char *text)
{
	char path[PATH_ROOM];

	if (!rc)
		return 0;
	if (!*text)
		store_describe(db->db, rc, text);
	if (store_damaged(rc))
		return -EUCLEAN;
	store_db_disconnect(db, true);
	if ((rc & 0xff) == SQLITE_BUSY && !lock_holder(db->path, text))
		lock_holder(with_suffix(path, db->path, "-shm"), text);
	log_err("store %s: %s", db->path, text);
	return store_errno(rc);
}

/*
 * One attempt.  Until it is known that the file is ours and sound, closing it
 * must not change it.
 */
static int connect_to(struct store_db *db, const struct store_settings *s, char *text)
{
	bool unclean;
	int rc, err;

	err = judge_header(db->path, text);
	if (err)
		return err;
	unclean = size_of(db->path, "-wal") > 0 || size_of(db->path, SUSPECT) >= 0;
	rc = sqlite3_open_v2(db->path, &db->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc) {
		sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		rc = configure(db->db, s);
	}
	if (!rc && unclean)
		log_notice("store %s: was not closed properly; being checked", db->path);
	if (!rc)
		rc = store_schema_open(db->db, unclean, text);
	if (!rc)
		rc = store_clock_open(&db->clock, db->db);
	if (!rc)
		rc = store_db_prepare(db);
	if (!rc) {
		sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
		clear_suspicion(db->path);
	}
	return judge(db, rc, text);
}

int store_db_open(struct store_db *db, const struct store_settings *s)
{
	char text[STORE_TEXT_MAX] = "";
	int err;

	memset(db, 0, sizeof(*db));
	db->lock_fd = -1;
	db->path = mem_strndup(s->path, strlen(s->path));
	err = lock_store(db);
	if (!err)
		err = connect_to(db, s, text);
	if (err == -EUCLEAN && s->refuse_damaged) {
		log_err("store %s: damaged (%s); left as it is", db->path, text);
	} else if (err == -EUCLEAN) {
		err = store_db_set_aside(db, text);
		*text = '\0';
		if (!err)
			err = connect_to(db, s, text);
	}
	if (err) {
		store_db_disconnect(db, true);
		store_db_close(db);
	}
	return err;
}

void store_db_disconnect(struct store_db *db, bool untouched)
{
	unsigned int i;

	for (i = 0; i < N_STMTS; i++) {
		sqlite3_finalize(db->stmts[i]);
		db->stmts[i] = NULL;
	}
	if (db->db && untouched)
		sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(db->db);
	db->db = NULL;
}

void store_db_close(struct store_db *db)
{
	store_db_disconnect(db, false);
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	db->lock_fd = -1;
	free(db->path);
	db->path = NULL;
	free(db->last_id);
	db->last_id = NULL;
}
