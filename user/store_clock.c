// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store's time.
 *
 * Deadlines must outlive a reboot, so they cannot be in clock_ms(); nor simply
 * in time of day, which a gateway without a battery-backed clock does not know
 * until the network tells: what was stored in 1970 would all be expired when
 * 2026 arrives.  So the store has a time of its own, in ms.  It starts as time
 * of day and then advances with clock_ms(); no setting of the clock touches it.
 * What passed while no mqttd ran is found from the last record in the store:
 * in the same boot from clock_ms(); over a reboot from time of day if it was
 * credible both then and now, and at least what this boot took so far.  In
 * doubt too little is counted: messages and sessions may live longer, by the
 * time the machine was off, but never shorter than they should.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "store_priv.h"

#define CREDIBLE_MS	1735689600000LL	/* 2025-01-01: no clock that is right shows less */
#define TIME_MAX_MS	(1LL << 52)	/* what no sum of a few of can wrap */
#define JUMP_MS		1000
#define BOOT_ID_MAX	64

static int64_t time_of_day(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void get_boot_id(char id[BOOT_ID_MAX])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, id, BOOT_ID_MAX - 1);

	if (fd >= 0)
		close(fd);
	id[n > 0 ? n : 0] = '\0';
	id[strcspn(id, "\n")] = '\0';
}

static int64_t clamp_ms(int64_t ms)
{
	if (ms < 0)
		return 0;
	return ms < TIME_MAX_MS ? ms : TIME_MAX_MS;
}

/* What passed since the record at columns 1-3 of @st. */
static int64_t elapsed(sqlite3_stmt *st, int64_t now)
{
	const char *then_id = (const char *)sqlite3_column_text(st, 3);
	int64_t then = clamp_ms(sqlite3_column_int64(st, 2));
	int64_t wall_then = clamp_ms(sqlite3_column_int64(st, 1));
	int64_t wall_now = clamp_ms(time_of_day());
	char id[BOOT_ID_MAX];

	get_boot_id(id);
	/* Without /proc every boot looks alike; then time of day must do. */
	if (*id && then_id && !strcmp(id, then_id) && now >= then)
		return now - then;
	if (wall_then >= CREDIBLE_MS && wall_now - wall_then > now)
		return wall_now - wall_then;
	return now;
}

int store_clock_open(struct store_clock *c, sqlite3 *db)
{
	int64_t now = (int64_t)clock_ms(), start = clamp_ms(time_of_day());
	sqlite3_stmt *st;
	int rc;

	rc = sqlite3_prepare_v2(db, "SELECT time, wall, boot, boot_id FROM clock", -1, &st,
				NULL);
	if (rc)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		start = clamp_ms(sqlite3_column_int64(st, 0)) + elapsed(st, now);
		rc = SQLITE_DONE;
	}
	sqlite3_finalize(st);
	c->offset = start - now;
	c->recorded_at = 0;
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool store_clock_due(const struct store_clock *c, unsigned int seconds)
{
	int64_t jump = time_of_day() - (int64_t)clock_ms() - c->recorded_offset;

	return !c->recorded_at || clock_ms() - c->recorded_at >= seconds * 1000ULL ||
	       jump > JUMP_MS || jump < -JUMP_MS;
}

void store_clock_bind(const struct store_clock *c, sqlite3_stmt *st)
{
	int64_t now = (int64_t)clock_ms();
	char id[BOOT_ID_MAX];

	get_boot_id(id);
	sqlite3_bind_int64(st, 1, now + c->offset);
	sqlite3_bind_int64(st, 2, time_of_day());
	sqlite3_bind_int64(st, 3, now);
	sqlite3_bind_text(st, 4, id, -1, SQLITE_TRANSIENT);
}

void store_clock_recorded(struct store_clock *c)
{
	c->recorded_at = clock_ms();
	c->recorded_offset = time_of_day() - (int64_t)c->recorded_at;
}

int64_t store_clock_save(const struct store_clock *c, uint64_t at)
{
	if (!at)
		return 0;
	if (at > TIME_MAX_MS)
		at = TIME_MAX_MS;
	/* A store whose time began before its machine's: 0 means never. */
	return (int64_t)at + c->offset > 0 ? (int64_t)at + c->offset : 1;
}

uint64_t store_clock_load(const struct store_clock *c, int64_t at)
{
	if (!at)
		return 0;
	at = clamp_ms(at) - c->offset;
	/* Before this boot: it has passed. */
	return at > 0 ? (uint64_t)at : 1;
}
