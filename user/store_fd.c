// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A database of SQLite's in a file that is known by its descriptor only.
 *
 * SQLite opens by path, and a path is not what another process means by it:
 * its folders, its namespace and its rights differ.  This VFS reads and writes
 * the descriptor that process opened.
 */
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fd.h"

#define NAME	"mqttd-fd"

/* SQLite's object first. */
struct fd_file {
	sqlite3_file base;
	int fd;
};

static int the_fd;
static sqlite3_vfs vfs;

static int fd_of(const sqlite3_file *f)
{
	return ((const struct fd_file *)f)->fd;
}

/* The descriptor is not ours. */
static int fd_close(sqlite3_file *f)
{
	return SQLITE_OK;
}

static int fd_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at)
{
	ssize_t have, got = 0;

	do {
		have = pread(fd_of(f), (char *)buf + got, n - got, at + got);
		if (have < 0 && errno != EINTR)
			return SQLITE_IOERR_READ;
		if (have > 0)
			got += have;
	} while (have && got < n);
	if (got == n)
		return SQLITE_OK;
	/* SQLite wants zeros for what is not there. */
	memset((char *)buf + got, 0, n - got);
	return SQLITE_IOERR_SHORT_READ;
}

static int fd_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at)
{
	ssize_t put, done = 0;

	while (done < n) {
		put = pwrite(fd_of(f), (const char *)buf + done, n - done, at + done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return errno == ENOSPC || errno == EDQUOT ? SQLITE_FULL :
								    SQLITE_IOERR_WRITE;
		done += put;
	}
	return SQLITE_OK;
}

static int fd_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return ftruncate(fd_of(f), size) ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

static int fd_sync(sqlite3_file *f, int flags)
{
	return fdatasync(fd_of(f)) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int fd_size(sqlite3_file *f, sqlite3_int64 *size)
{
	struct stat st;

	if (fstat(fd_of(f), &st))
		return SQLITE_IOERR_FSTAT;
	*size = st.st_size;
	return SQLITE_OK;
}

static int fd_lock(sqlite3_file *f, int level)
{
	return SQLITE_OK;
}

static int fd_reserved(sqlite3_file *f, int *taken)
{
	*taken = 0;
	return SQLITE_OK;
}

static int fd_control(sqlite3_file *f, int op, void *arg)
{
	return SQLITE_NOTFOUND;
}

static int fd_sector(sqlite3_file *f)
{
	return 0;
}

static int fd_device(sqlite3_file *f)
{
	return 0;
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = fd_close,
	.xRead = fd_read,
	.xWrite = fd_write,
	.xTruncate = fd_truncate,
	.xSync = fd_sync,
	.xFileSize = fd_size,
	.xLock = fd_lock,
	.xUnlock = fd_lock,
	.xCheckReservedLock = fd_reserved,
	.xFileControl = fd_control,
	.xSectorSize = fd_sector,
	.xDeviceCharacteristics = fd_device,
};

/* The database and nothing besides. */
static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct fd_file *file = (struct fd_file *)f;

	f->pMethods = NULL;
	if (!(flags & SQLITE_OPEN_MAIN_DB))
		return SQLITE_CANTOPEN;
	f->pMethods = &methods;
	file->fd = the_fd;
	if (out)
		*out = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync)
{
	return SQLITE_IOERR_DELETE_NOENT;
}

static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *there)
{
	*there = 0;
	return SQLITE_OK;
}

static int vfs_path(sqlite3_vfs *v, const char *name, int room, char *path)
{
	sqlite3_snprintf(room, path, "%s", name);
	return SQLITE_OK;
}

int store_fd_open(int fd, sqlite3 **db)
{
	int rc;

	*db = NULL;
	the_fd = fd;
	vfs = *sqlite3_vfs_find(NULL);
	vfs.pNext = NULL;
	vfs.zName = NAME;
	vfs.szOsFile = sizeof(struct fd_file);
	vfs.xOpen = vfs_open;
	vfs.xDelete = vfs_delete;
	vfs.xAccess = vfs_access;
	vfs.xFullPathname = vfs_path;
	rc = sqlite3_vfs_register(&vfs, 0);
	if (!rc)
		rc = sqlite3_open_v2("copy", db,
				     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NAME);
	if (!rc)
		rc = sqlite3_exec(*db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF",
				  NULL, NULL, NULL);
	return rc;
}

void store_fd_close(sqlite3 *db)
{
	sqlite3_close(db);
	sqlite3_vfs_unregister(&vfs);
}
