// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mqttctl store check, store backup.
 *
 * The copy is written by mqttd into a file that is opened here: where it is and
 * who may write there is a matter of the caller's rights, folder and mounts, not
 * of the daemon's.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "daemon.h"

static bool force;

/* ---- check -------------------------------------------------------------- */

int cmd_store_check(char **args)
{
	cJSON *question = cJSON_CreateObject(), *result = NULL;
	int status;
	bool sound;

	cJSON_AddStringToObject(question, "cmd", "store check");
	status = daemon_ask_patiently(question, -1, &result);
	if (status)
		return status == DAEMON_AWAY ? daemon_away() : status;
	sound = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "sound"));
	if (ctl_options.json || sound) {
		status = ctl_print_object(result);
		return sound ? status : CTL_ERROR;
	}
	status = ctl_fail(CTL_ERROR, "the store is damaged:\n%s", ctl_string(result, "damage"));
	cJSON_Delete(result);
	return status;
}

/* ---- backup ------------------------------------------------------------- */

int store_option(char **argv)
{
	if (strcmp(argv[0], "--force"))
		return 0;
	force = true;
	return 1;
}

/* @path with @suffix; free it. */
static char *with_suffix(const char *path, const char *suffix)
{
	size_t size = strlen(path) + strlen(suffix) + 1;
	char *p = ctl_alloc(size);

	snprintf(p, size, "%s%s", path, suffix);
	return p;
}

/* May a copy appear there? */
static int target_check(const char *path)
{
	/* SQLite would take them for the copy's. */
	static const char *const parts[] = { "-wal", "-journal" };
	struct stat st;
	size_t i;

	if (!lstat(path, &st)) {
		if (!S_ISREG(st.st_mode))
			return ctl_fail(CTL_ERROR, "%s: not a regular file", path);
		if (!force)
			return ctl_fail(CTL_ERROR, "%s: %s; --force replaces it", path,
					strerror(EEXIST));
	}
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		char *part = with_suffix(path, parts[i]);
		bool found = !lstat(part, &st);

		free(part);
		if (found)
			return ctl_fail(CTL_ERROR,
					"%s: there is a %s%s: a database in use, or what is left of one",
					path, path, parts[i]);
	}
	return CTL_OK;
}

static char *temporary;

static void remove_temporary(int sig)
{
	unlink(temporary);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* An empty file next to @path that goes if we are interrupted; -1 with errno. */
static int make_temporary(const char *path)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction sa = { .sa_handler = remove_temporary };
	size_t i;
	int fd;

	temporary = with_suffix(path, ".XXXXXX");
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
	return fd;
}

/* To its name; without --force never over a file that has come meanwhile. */
static int move_to(const char *path)
{
	if (force)
		return rename(temporary, path);
	if (!renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	/* Not every file system can. */
	if (errno != EINVAL || link(temporary, path))
		return -1;
	unlink(temporary);
	return 0;
}

static int sync_folder(const char *path)
{
	char *copy = with_suffix(path, "");
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);
	int error = errno;

	free(copy);
	if (fd >= 0)
		close(fd);
	errno = error;
	return rc;
}

static int backup_to(const char *path, int fd, cJSON **result)
{
	cJSON *question = cJSON_CreateObject();
	int status;

	cJSON_AddStringToObject(question, "cmd", "store backup");
	status = daemon_ask_patiently(question, fd, result);
	if (status)
		return status == DAEMON_AWAY ? daemon_away() : status;
	if (fsync(fd) || move_to(path)) {
		status = ctl_fail(CTL_ERROR, "%s: %s", path, strerror(errno));
		cJSON_Delete(*result);
		return status;
	}
	if (sync_folder(path))
		status = ctl_fail(CTL_ERROR, "%s: its folder: %s", path, strerror(errno));
	return status;
}

int cmd_store_backup(char **args)
{
	cJSON *result = NULL;
	int status = target_check(args[0]);
	int fd;

	if (status)
		return status;
	fd = make_temporary(args[0]);
	if (fd < 0) {
		status = ctl_fail(CTL_ERROR, "%s: %s", args[0], strerror(errno));
		free(temporary);
		return status;
	}
	status = backup_to(args[0], fd, &result);
	close(fd);
	if (status)
		unlink(temporary);
	free(temporary);
	if (status)
		return status;
	cJSON_AddStringToObject(result, "file", args[0]);
	return ctl_print_object(result);
}
