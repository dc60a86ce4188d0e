// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of the store.
 *
 * Nothing counts references to rows: whether a message is still needed is what
 * the index on outgoing tells, so that no crash can leave a count wrong.
 */
#include <stdio.h>
#include <string.h>

#include "store_file.h"

/* The columns that STORE_MESSAGE_COLUMNS names. */
#define MESSAGE_TYPES \
	"topic TEXT NOT NULL, props BLOB NOT NULL, payload BLOB NOT NULL, " \
	"qos INTEGER NOT NULL, retain INTEGER NOT NULL, expires_at INTEGER NOT NULL, " \
	"source TEXT"

/*
 * Times are ms of the store's time (store_clock.c), 0 = never.
 *
 * Files hold this text and are compared with it when they are opened: whatever
 * is changed here, be it a space, makes another STORE_VERSION.
 */
static const char schema[] =
	"CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 0),\n"
	"time INTEGER NOT NULL, wall INTEGER NOT NULL, boot INTEGER NOT NULL,\n"
	"boot_id TEXT NOT NULL) STRICT;"
	"CREATE TABLE session (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE,\n"
	"protocol INTEGER NOT NULL, expiry INTEGER NOT NULL, expires_at INTEGER NOT NULL,\n"
	"number INTEGER NOT NULL, packet_id INTEGER NOT NULL) STRICT;"
	"CREATE TABLE subscription (session INTEGER NOT NULL, share TEXT NOT NULL,\n"
	"filter TEXT NOT NULL, qos INTEGER NOT NULL, flags INTEGER NOT NULL,\n"
	"subid INTEGER NOT NULL, PRIMARY KEY (session, share, filter))\n"
	"STRICT, WITHOUT ROWID;"
	"CREATE TABLE message (id INTEGER PRIMARY KEY, " MESSAGE_TYPES ") STRICT;"
	"CREATE TABLE outgoing (session INTEGER NOT NULL, pos INTEGER NOT NULL,\n"
	"number INTEGER NOT NULL, message INTEGER NOT NULL, state INTEGER NOT NULL,\n"
	"qos INTEGER NOT NULL, packet_id INTEGER NOT NULL, retain INTEGER NOT NULL,\n"
	"subids BLOB, PRIMARY KEY (session, pos)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX outgoing_message ON outgoing (message);"
	"CREATE TABLE inbound (session INTEGER NOT NULL, packet_id INTEGER NOT NULL,\n"
	"PRIMARY KEY (session, packet_id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE will (session INTEGER PRIMARY KEY, publish_at INTEGER NOT NULL,\n"
	"has_expiry INTEGER NOT NULL, expiry INTEGER NOT NULL, " MESSAGE_TYPES ") STRICT;"
	"CREATE TABLE retained (" MESSAGE_TYPES ", PRIMARY KEY (topic)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE mark (instance INTEGER NOT NULL, conn INTEGER NOT NULL,\n"
	"event INTEGER NOT NULL, PRIMARY KEY (instance, conn)) STRICT, WITHOUT ROWID;";

/* The one value that @sql gives, as text in memory of SQLite. */
static int query(sqlite3 *db, const char *sql, char **value)
{
	sqlite3_stmt *st;
	int rc;

	*value = NULL;
	rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const unsigned char *v = sqlite3_column_text(st, 0);

		*value = sqlite3_mprintf("%s", v ? (const char *)v : "");
		rc = *value ? SQLITE_OK : SQLITE_NOMEM;
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_CORRUPT;
	}
	sqlite3_finalize(st);
	return rc;
}

/* All tables and indexes in one text; what ANALYZE adds does not count. */
static int describe_schema(sqlite3 *db, char **value)
{
	return query(db, "SELECT group_concat(sql, ';') FROM (SELECT type || ' ' || name ||\n"
			 "' ' || coalesce(sql, '') AS sql FROM sqlite_schema\n"
			 "WHERE name NOT GLOB 'sqlite_*' ORDER BY name)", value);
}

static int compare_schema(sqlite3 *db, char *text)
{
	char *is = NULL, *want = NULL;
	sqlite3 *model = NULL;
	int rc;

	rc = sqlite3_open(":memory:", &model);
	if (!rc)
		rc = sqlite3_exec(model, schema, NULL, NULL, NULL);
	if (!rc)
		rc = describe_schema(model, &want);
	if (!rc)
		rc = describe_schema(db, &is);
	if (!rc && strcmp(is, want)) {
		snprintf(text, STORE_TEXT_MAX, "its tables are not those of version %d",
			 STORE_VERSION);
		rc = SQLITE_CORRUPT;
	}
	sqlite3_free(is);
	sqlite3_free(want);
	sqlite3_close(model);
	return rc;
}

/* Does @pragma give @want?  If not, @text says what it is. */
static int check_number(sqlite3 *db, const char *pragma, int want, const char *is,
			char *text)
{
	char *value = NULL, number[16];
	int rc = query(db, pragma, &value);

	snprintf(number, sizeof(number), "%d", want);
	if (!rc && strcmp(value, number)) {
		snprintf(text, STORE_TEXT_MAX, "%s %s; left as it is", is, value);
		rc = SQLITE_MISUSE;
	}
	sqlite3_free(value);
	return rc;
}

/* Once more, through SQLite: the truth may be in the -wal. */
static int check_version(sqlite3 *db, char *text)
{
	int rc = check_number(db, "PRAGMA application_id", STORE_APPLICATION_ID,
			      "of another program, application id", text);

	return rc ? rc : check_number(db, "PRAGMA user_version", STORE_VERSION,
				      "of another mqttd, version", text);
}

static int read_all(sqlite3 *db, char *text)
{
	char *result = NULL;
	int rc = query(db, "PRAGMA quick_check(1)", &result);

	if (!rc && strcmp(result, "ok")) {
		/* What it says may be on several lines. */
		snprintf(text, STORE_TEXT_MAX, "%.*s", (int)strcspn(result, "\n"), result);
		rc = SQLITE_CORRUPT;
	}
	sqlite3_free(result);
	return rc;
}

/*
 * In one transaction of a rollback journal, before the WAL: the header that is
 * judged without SQLite is then complete in the file itself.
 */
static int create(sqlite3 *db)
{
	char *sql = sqlite3_mprintf("BEGIN IMMEDIATE; PRAGMA application_id = %d;"
				    "PRAGMA user_version = %d; %s COMMIT",
				    STORE_APPLICATION_ID, STORE_VERSION, schema);
	int rc;

	if (!sql)
		return SQLITE_NOMEM;
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	return rc;
}

int store_schema_open(struct sqlite3 *db, bool unclean, char *text)
{
	char *value = NULL;
	bool empty;
	int rc;

	rc = query(db, "SELECT count(*) FROM sqlite_schema", &value);
	if (rc)
		return rc;
	empty = !strcmp(value, "0");
	sqlite3_free(value);
	rc = empty ? create(db) : check_version(db, text);
	if (!rc && unclean)
		rc = read_all(db, text);
	if (!rc)
		rc = compare_schema(db, text);
	if (rc)
		return rc;
	rc = query(db, "PRAGMA journal_mode = WAL", &value);
	if (!rc && strcmp(value, "wal")) {
		snprintf(text, STORE_TEXT_MAX, "its file system cannot hold a WAL");
		rc = SQLITE_IOERR;
	}
	sqlite3_free(value);
	return rc;
}
