/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk for SQLite that fails on demand: the default VFS with a switch in
 * front of its writes and flushes.  It also keeps the disk as it would be after
 * a power cut that took away all that was not flushed.
 */
#ifndef FAULTY_VFS_H
#define FAULTY_VFS_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum fault {
	FAULT_NONE,
	FAULT_FULL,		/* no space: half of it is written */
	FAULT_WRITE,		/* I/O error on write */
	FAULT_SYNC,		/* I/O error on fsync */
};

/**
 * struct faulty - the switch, and what is seen from there
 * @fault: what fails now
 * @n_failed: how often it did
 * @last: the next failure is the last one
 * @wal_dirty: the log was written and not flushed since
 * @n_syncs: flushes of any file
 * @flushed: files that get what was flushed of the database and its log; -1 = none
 * @pending: writes that were not
 * @real: the real methods of databases, and of their logs
 * @mine: the same with the switch
 */
static struct faulty {
	atomic_int fault;
	atomic_uint n_failed;
	atomic_bool last;
	atomic_bool wal_dirty;
	atomic_uint n_syncs;
	int flushed[2];
	struct faulty_write *pending[2];
	const struct sqlite3_io_methods *real[2];
	sqlite3_io_methods mine[2];
} faulty = { .flushed = { -1, -1 } };

/* The last one first. */
struct faulty_write {
	struct faulty_write *next;
	sqlite3_int64 at;
	size_t n;
	char data[];
};

/* Is it a log?  This is the index of struct faulty, too. */
static bool faulty_is_wal(const sqlite3_file *f)
{
	return f->pMethods == &faulty.mine[true];
}

static void faulty_failed(void)
{
	faulty.n_failed++;
	if (faulty.last)
		faulty.fault = FAULT_NONE;
	faulty.last = false;
}

static void faulty_remember(bool wal, const void *p, int n, sqlite3_int64 at)
{
	struct faulty_write *w;

	if (faulty.flushed[wal] < 0)
		return;
	w = malloc(sizeof(*w) + (size_t)n);
	w->next = faulty.pending[wal];
	w->at = at;
	w->n = (size_t)n;
	memcpy(w->data, p, (size_t)n);
	faulty.pending[wal] = w;
}

/* In their order, if @keep: they are on the disk. */
static void faulty_forget(bool wal, bool keep)
{
	struct faulty_write *w = faulty.pending[wal], *first = NULL, *next;

	for (; w; w = next) {
		next = w->next;
		w->next = first;
		first = w;
	}
	for (w = first; w; w = next) {
		next = w->next;
		if (keep)
			(void)!pwrite(faulty.flushed[wal], w->data, w->n, w->at);
		free(w);
	}
	faulty.pending[wal] = NULL;
}

static int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	const sqlite3_io_methods *real = faulty.real[faulty_is_wal(f)];
	int fault = faulty.fault;

	if (faulty_is_wal(f))
		faulty.wal_dirty = true;
	if (fault != FAULT_FULL && fault != FAULT_WRITE) {
		faulty_remember(faulty_is_wal(f), p, n, at);
		return real->xWrite(f, p, n, at);
	}
	faulty_failed();
	if (fault == FAULT_WRITE)
		return SQLITE_IOERR_WRITE;
	real->xWrite(f, p, n / 2, at);
	return SQLITE_FULL;
}

static int faulty_sync(sqlite3_file *f, int flags)
{
	if (faulty.fault == FAULT_SYNC) {
		faulty_failed();
		return SQLITE_IOERR_FSYNC;
	}
	faulty.n_syncs++;
	if (faulty_is_wal(f))
		faulty.wal_dirty = false;
	faulty_forget(faulty_is_wal(f), true);
	return faulty.real[faulty_is_wal(f)]->xSync(f, flags);
}

/* The file is the real one's; only its table of methods is exchanged. */
static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
		       int *out_flags)
{
	sqlite3_vfs *real = vfs->pAppData;
	bool wal = flags & SQLITE_OPEN_WAL;
	int rc = real->xOpen(real, name, f, flags, out_flags);

	if (rc || !(flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)))
		return rc;
	if (!faulty.real[wal]) {
		faulty.real[wal] = f->pMethods;
		faulty.mine[wal] = *f->pMethods;
		faulty.mine[wal].xWrite = faulty_write;
		faulty.mine[wal].xSync = faulty_sync;
	}
	f->pMethods = &faulty.mine[wal];
	return rc;
}

/* Keep what is flushed from now on in @db and @wal, which are new files. */
static inline void faulty_record(int db, int wal)
{
	faulty.flushed[false] = db;
	faulty.flushed[true] = wal;
}

/* The power is cut: what was not flushed is gone. */
static inline void faulty_record_end(void)
{
	faulty_forget(false, false);
	faulty_forget(true, false);
	close(faulty.flushed[false]);
	close(faulty.flushed[true]);
	faulty_record(-1, -1);
}

/* From now on SQLite works through it. */
static inline void faulty_install(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);

	/* All but opening is the real one's, which does not look at what it is. */
	vfs = *real;
	vfs.zName = "faulty";
	vfs.pAppData = real;
	vfs.xOpen = faulty_open;
	sqlite3_vfs_register(&vfs, 1);
}

#endif /* FAULTY_VFS_H */
