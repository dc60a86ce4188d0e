// SPDX-License-Identifier: GPL-2.0-or-later
/* CPU time and memory from /proc. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "proc.h"

/* Fields 3 to 24 of /proc/PID/stat, of which user and system time and pages. */
#define STAT_FORMAT \
	" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %lld"
#define PATH_LEN	320

/* The first @size - 1 bytes of a file of /proc; false if there is none. */
static bool read_file(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return false;
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = '\0';
	return n;
}

static double ticks_to_s(unsigned long long ticks)
{
	return (double)ticks / sysconf(_SC_CLK_TCK);
}

/*
 * The scheduler's own clock, in nanoseconds: ticks would be counted to whoever
 * runs when the tick comes, and what a message costs is less than one.
 */
static bool add_threads(struct proc_sample *s, pid_t pid)
{
	char path[PATH_LEN], text[128];
	bool any = false;
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	for (d = readdir(dir); d; d = readdir(dir)) {
		/* ".." has a file of that name too. */
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, d->d_name);
		if (!read_file(path, text, sizeof(text)))
			continue;
		s->broker_s += strtoull(text, NULL, 10) / 1e9;
		any = true;
	}
	closedir(dir);
	return any;
}

static bool add_process(struct proc_sample *s, pid_t pid)
{
	unsigned long long user, system;
	char path[PATH_LEN], text[1024], *p;
	long long pages;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_file(path, text, sizeof(text)))
		return false;
	/* The name may contain anything, so count from the last parenthesis. */
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, STAT_FORMAT, &user, &system, &pages) != 3)
		return false;
	if (!add_threads(s, pid))
		s->broker_s += ticks_to_s(user + system);
	s->broker_bytes += pages * sysconf(_SC_PAGESIZE);
	return true;
}

static double self_seconds(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
	       (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/*
 * What is not idle.  Idle time is measured, all else in /proc/stat is counted
 * in ticks, which misleads where work keeps time with the tick.
 */
static double system_seconds(void)
{
	unsigned long long idle, iowait;
	char text[256];

	if (!read_file("/proc/stat", text, sizeof(text)) ||
	    sscanf(text, "cpu %*u %*u %*u %llu %llu", &idle, &iowait) != 2)
		return 0;
	return (double)clock_now() / NSEC_PER_SEC * sysconf(_SC_NPROCESSORS_ONLN) -
	       ticks_to_s(idle + iowait);
}

static long long slab_bytes(void)
{
	char text[4096], *p;
	long long kb;

	if (!read_file("/proc/meminfo", text, sizeof(text)))
		return 0;
	p = strstr(text, "\nSlab:");
	return p && sscanf(p, "\nSlab: %lld", &kb) == 1 ? kb * 1024 : 0;
}

void proc_sample(struct proc_sample *s, const pid_t *pids, unsigned int npids)
{
	unsigned int i;

	*s = (struct proc_sample){
		.self_s = self_seconds(), .system_s = system_seconds(),
		.slab_bytes = slab_bytes(), .broker = npids,
	};
	for (i = 0; i < npids; i++)
		s->broker &= add_process(s, pids[i]);
}

void proc_difference(struct proc_sample *d, const struct proc_sample *from,
		     const struct proc_sample *to)
{
	*d = (struct proc_sample){
		.self_s = to->self_s - from->self_s,
		.broker_s = to->broker_s - from->broker_s,
		.system_s = to->system_s - from->system_s,
		.broker_bytes = to->broker_bytes - from->broker_bytes,
		.slab_bytes = to->slab_bytes - from->slab_bytes,
		.broker = from->broker && to->broker,
	};
}

bool proc_check(const pid_t *pids, unsigned int npids)
{
	struct proc_sample s = { 0 };
	unsigned int i;

	for (i = 0; i < npids; i++) {
		if (!add_process(&s, pids[i])) {
			fprintf(stderr, "mqttbench: option --pid: no process %d\n", pids[i]);
			return false;
		}
	}
	return true;
}
