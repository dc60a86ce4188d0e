// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations as SQL, and the transaction around them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "mem.h"
#include "message.h"
#include "store_file.h"

/* A record costs little where something is written anyway. */
#define CLOCK_BUSY_SECONDS	60
#define CLOCK_IDLE_SECONDS	3600

static const char *const statements[N_STMTS] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_CLOCK] = "INSERT OR REPLACE INTO clock (id, time, wall, boot, boot_id)\n"
		"VALUES (0, ?1, ?2, ?3, ?4)",
	[ST_SESSION_FIND] = "SELECT id FROM session WHERE client_id = ?1",
	[ST_SESSION_PUT] = "INSERT INTO session\n"
		"(client_id, protocol, expiry, expires_at, number, packet_id)\n"
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (client_id) DO UPDATE SET\n"
		"protocol = ?2, expiry = ?3, expires_at = ?4, number = ?5, packet_id = ?6",
	[ST_SESSION_DELETE] = "DELETE FROM session WHERE id = ?1",
	[ST_SESSION_NUMBERS] = "UPDATE session SET number = ?2, packet_id = ?3 WHERE id = ?1",
	/* Before its outgoing rows: messages that go to nobody else. */
	[ST_SESSION_MESSAGES_DELETE] = "DELETE FROM message WHERE\n"
		"id IN (SELECT message FROM outgoing WHERE session = ?1) AND NOT EXISTS\n"
		"(SELECT 1 FROM outgoing WHERE message = message.id AND session <> ?1)",
	[ST_SESSION_OUTGOING_DELETE] = "DELETE FROM outgoing WHERE session = ?1",
	[ST_SESSION_SUBSCRIPTIONS_DELETE] = "DELETE FROM subscription WHERE session = ?1",
	[ST_SESSION_INBOUND_DELETE] = "DELETE FROM inbound WHERE session = ?1",
	[ST_SUBSCRIPTION_PUT] = "INSERT OR REPLACE INTO subscription\n"
		"(session, share, filter, qos, flags, subid) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[ST_SUBSCRIPTION_DELETE] = "DELETE FROM subscription\n"
		"WHERE session = ?1 AND share = ?2 AND filter = ?3",
	/* It may have been put for another session before. */
	[ST_MESSAGE_PUT] = "INSERT OR IGNORE INTO message (id, " STORE_MESSAGE_COLUMNS ")\n"
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[ST_MESSAGE_DELETE] = "DELETE FROM message WHERE id = ?1 AND NOT EXISTS\n"
		"(SELECT 1 FROM outgoing WHERE message = ?1)",
	[ST_OUTGOING_PUT] = "INSERT OR REPLACE INTO outgoing\n"
		"(session, pos, number, message, state, qos, packet_id, retain, subids)\n"
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[ST_OUTGOING_STATE] = "UPDATE outgoing SET state = ?3, number = ?4, packet_id = ?5\n"
		"WHERE session = ?1 AND pos = ?2",
	[ST_OUTGOING_DELETE] = "DELETE FROM outgoing WHERE session = ?1 AND pos = ?2\n"
		"RETURNING message",
	[ST_INBOUND_ADD] = "INSERT OR IGNORE INTO inbound (session, packet_id) VALUES (?1, ?2)",
	[ST_INBOUND_DELETE] = "DELETE FROM inbound WHERE session = ?1 AND packet_id = ?2",
	[ST_WILL_PUT] = "INSERT OR REPLACE INTO will\n"
		"(session, publish_at, has_expiry, expiry, " STORE_MESSAGE_COLUMNS ")\n"
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[ST_WILL_DELETE] = "DELETE FROM will WHERE session = ?1",
	[ST_RETAINED_PUT] = "INSERT OR REPLACE INTO retained (" STORE_MESSAGE_COLUMNS ")\n"
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[ST_RETAINED_DELETE] = "DELETE FROM retained WHERE topic = ?1",
	[ST_MARK_PUT] = "INSERT OR REPLACE INTO mark (instance, conn, event)\n"
		"VALUES (?1, ?2, ?3)",
	[ST_MARK_DELETE] = "DELETE FROM mark WHERE instance = ?1 AND conn = ?2",
	[ST_MARKS_CLEAN] = "DELETE FROM mark WHERE instance <> ?1",
};

/* Behind the last one that is there. */
static int number_messages(struct store_db *db)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->db, "SELECT max(id) FROM message", -1, &st, NULL);

	if (rc)
		return rc;
	rc = sqlite3_step(st);
	db->next_message = (uint64_t)sqlite3_column_int64(st, 0) + 1;
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int store_db_prepare(struct store_db *db)
{
	unsigned int i;
	int rc = SQLITE_OK;

	for (i = 0; i < N_STMTS && !rc; i++)
		rc = sqlite3_prepare_v3(db->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
					&db->stmts[i], NULL);
	if (!rc)
		rc = number_messages(db);
	return rc;
}

/* SQLite's result of running @st once, as SQLITE_OK or an error. */
static int run(sqlite3_stmt *st)
{
	sqlite3_step(st);
	return sqlite3_reset(st);
}

/* ---- binding ------------------------------------------------------------ */

/* Operations outlive their statements' use: nothing is copied. */
static void bind_text(sqlite3_stmt *st, int i, const char *s, size_t len)
{
	sqlite3_bind_text64(st, i, s, len, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_blob(sqlite3_stmt *st, int i, const void *p, size_t len)
{
	/* A NULL pointer would be NULL, not empty. */
	sqlite3_bind_blob64(st, i, len ? p : "", len, SQLITE_STATIC);
}

/* STORE_MESSAGE_COLUMNS, from parameter @i on. */
static void bind_message(const struct store_db *db, sqlite3_stmt *st, int i,
			 const struct message *m)
{
	bind_text(st, i++, m->topic, m->topic_len);
	bind_blob(st, i++, m->props, m->props_len);
	bind_blob(st, i++, m->payload, m->payload_len);
	sqlite3_bind_int(st, i++, m->qos);
	sqlite3_bind_int(st, i++, m->retain);
	sqlite3_bind_int64(st, i++, store_clock_save(&db->clock, m->expires));
	if (m->source_id)
		bind_text(st, i, m->source_id, strlen(m->source_id));
	else
		sqlite3_bind_null(st, i);
}

/* ---- sessions ----------------------------------------------------------- */

/* The row of @op's session; 0 if there is none. */
static int find_session(struct store_db *db, const struct store_op *op, sqlite3_int64 *row)
{
	sqlite3_stmt *st = db->stmts[ST_SESSION_FIND];

	*row = db->last_session;
	if (*row && !strcmp(db->last_id, op->client_id))
		return SQLITE_OK;
	bind_text(st, 1, op->client_id, strlen(op->client_id));
	*row = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	if (*row) {
		free(db->last_id);
		db->last_id = mem_strndup(op->client_id, strlen(op->client_id));
		db->last_session = *row;
	}
	return sqlite3_reset(st);
}

static int put_session(struct store_db *db, const struct store_op *op)
{
	sqlite3_stmt *st = db->stmts[ST_SESSION_PUT];
	const struct store_session *s = &op->session;

	bind_text(st, 1, op->client_id, strlen(op->client_id));
	sqlite3_bind_int(st, 2, s->protocol);
	sqlite3_bind_int64(st, 3, s->expiry);
	sqlite3_bind_int64(st, 4, store_clock_save(&db->clock, s->expires_at));
	sqlite3_bind_int64(st, 5, (sqlite3_int64)s->number);
	sqlite3_bind_int(st, 6, s->packet_id);
	return run(st);
}

static int delete_session(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	static const enum store_stmt steps[] = {
		ST_SESSION_MESSAGES_DELETE,
		ST_SESSION_OUTGOING_DELETE,
		ST_SESSION_SUBSCRIPTIONS_DELETE,
		ST_SESSION_INBOUND_DELETE,
		ST_WILL_DELETE,
		ST_SESSION_DELETE,
	};
	int rc = SQLITE_OK;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps) && !rc; i++) {
		sqlite3_bind_int64(db->stmts[steps[i]], 1, row);
		rc = run(db->stmts[steps[i]]);
	}
	db->last_session = 0;
	return rc;
}

static int number_session(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_stmt *st = db->stmts[ST_SESSION_NUMBERS];

	sqlite3_bind_int64(st, 1, row);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)op->session.number);
	sqlite3_bind_int(st, 3, op->session.packet_id);
	return run(st);
}

static int put_subscription(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_stmt *st = db->stmts[ST_SUBSCRIPTION_PUT];
	const struct store_subscription *sub = &op->sub;

	sqlite3_bind_int64(st, 1, row);
	bind_text(st, 2, sub->share, strlen(sub->share));
	bind_text(st, 3, sub->filter, strlen(sub->filter));
	sqlite3_bind_int(st, 4, sub->qos);
	sqlite3_bind_int64(st, 5, sub->flags);
	sqlite3_bind_int64(st, 6, sub->subid);
	return run(st);
}

static int delete_subscription(struct store_db *db, const struct store_op *op,
			       sqlite3_int64 row)
{
	sqlite3_stmt *st = db->stmts[ST_SUBSCRIPTION_DELETE];

	sqlite3_bind_int64(st, 1, row);
	bind_text(st, 2, op->sub.share, strlen(op->sub.share));
	bind_text(st, 3, op->sub.filter, strlen(op->sub.filter));
	return run(st);
}

/* ---- messages to sessions ----------------------------------------------- */

static int put_outgoing(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_stmt *st = db->stmts[ST_MESSAGE_PUT];
	const struct store_outgoing *out = &op->out;
	int rc;

	sqlite3_bind_int64(st, 1, (sqlite3_int64)op->msg->store_id);
	bind_message(db, st, 2, op->msg);
	rc = run(st);
	if (rc)
		return rc;
	st = db->stmts[ST_OUTGOING_PUT];
	sqlite3_bind_int64(st, 1, row);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)out->pos);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)out->number);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)op->msg->store_id);
	sqlite3_bind_int(st, 5, out->state);
	sqlite3_bind_int(st, 6, out->qos);
	sqlite3_bind_int(st, 7, out->packet_id);
	sqlite3_bind_int(st, 8, out->retain);
	if (out->n_subids)
		bind_blob(st, 9, out->subids, out->n_subids * sizeof(*out->subids));
	else
		sqlite3_bind_null(st, 9);
	return run(st);
}

static int change_outgoing(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_stmt *st = db->stmts[ST_OUTGOING_STATE];

	sqlite3_bind_int64(st, 1, row);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)op->out.pos);
	sqlite3_bind_int(st, 3, op->out.state);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)op->out.number);
	sqlite3_bind_int(st, 5, op->out.packet_id);
	return run(st);
}

static int delete_outgoing(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_stmt *st = db->stmts[ST_OUTGOING_DELETE];
	sqlite3_int64 message = 0;
	int rc;

	sqlite3_bind_int64(st, 1, row);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)op->out.pos);
	if (sqlite3_step(st) == SQLITE_ROW)
		message = sqlite3_column_int64(st, 0);
	rc = sqlite3_reset(st);
	if (rc || !message)
		return rc;
	sqlite3_bind_int64(db->stmts[ST_MESSAGE_DELETE], 1, message);
	return run(db->stmts[ST_MESSAGE_DELETE]);
}

/* ---- packet ids and wills ----------------------------------------------- */

static int change_inbound(struct store_db *db, enum store_stmt which,
			  const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_bind_int64(db->stmts[which], 1, row);
	sqlite3_bind_int(db->stmts[which], 2, op->packet_id);
	return run(db->stmts[which]);
}

static int put_will(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_stmt *st = db->stmts[ST_WILL_PUT];

	sqlite3_bind_int64(st, 1, row);
	sqlite3_bind_int64(st, 2, store_clock_save(&db->clock, op->will.publish_at));
	sqlite3_bind_int(st, 3, op->will.has_expiry);
	sqlite3_bind_int64(st, 4, op->will.expiry);
	bind_message(db, st, 5, op->msg);
	return run(st);
}

static int delete_will(struct store_db *db, const struct store_op *op, sqlite3_int64 row)
{
	sqlite3_bind_int64(db->stmts[ST_WILL_DELETE], 1, row);
	return run(db->stmts[ST_WILL_DELETE]);
}

/* ---- what belongs to no session ------------------------------------------ */

static int change_retained(struct store_db *db, const struct store_op *op)
{
	sqlite3_stmt *st;

	if (op->type == OP_RETAINED_PUT) {
		st = db->stmts[ST_RETAINED_PUT];
		bind_message(db, st, 1, op->msg);
	} else {
		st = db->stmts[ST_RETAINED_DELETE];
		bind_text(st, 1, op->topic, strlen(op->topic));
	}
	return run(st);
}

static int change_mark(struct store_db *db, enum store_stmt which, const struct store_op *op)
{
	sqlite3_stmt *st = db->stmts[which];

	/* Not all have three parameters; SQLite refuses the others, no harm done. */
	sqlite3_bind_int64(st, 1, (sqlite3_int64)op->mark.instance);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)op->mark.conn);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)op->mark.event);
	return run(st);
}

/* ---- transactions ------------------------------------------------------- */

static int apply_to_session(struct store_db *db, const struct store_op *op)
{
	sqlite3_int64 row;
	int rc = find_session(db, op, &row);

	if (rc)
		return rc;
	if (!row) {
		snprintf(db->complaint, sizeof(db->complaint),
			 "operation %d for a session that is not there: %s", op->type,
			 op->client_id);
		return SQLITE_OK;
	}
	switch (op->type) {
	case OP_SESSION_DELETE:
		return delete_session(db, op, row);
	case OP_SESSION_NUMBERS:
		return number_session(db, op, row);
	case OP_SUBSCRIPTION_PUT:
		return put_subscription(db, op, row);
	case OP_SUBSCRIPTION_DELETE:
		return delete_subscription(db, op, row);
	case OP_OUTGOING_PUT:
		return put_outgoing(db, op, row);
	case OP_OUTGOING_STATE:
		return change_outgoing(db, op, row);
	case OP_OUTGOING_DELETE:
		return delete_outgoing(db, op, row);
	case OP_INBOUND_ADD:
		return change_inbound(db, ST_INBOUND_ADD, op, row);
	case OP_INBOUND_DELETE:
		return change_inbound(db, ST_INBOUND_DELETE, op, row);
	case OP_WILL_PUT:
		return put_will(db, op, row);
	default:
		return delete_will(db, op, row);
	}
}

static int apply(struct store_db *db, const struct store_op *op)
{
	switch (op->type) {
	case OP_SESSION_PUT:
		return put_session(db, op);
	case OP_RETAINED_PUT:
	case OP_RETAINED_DELETE:
		return change_retained(db, op);
	case OP_MARK_PUT:
		return change_mark(db, ST_MARK_PUT, op);
	case OP_MARK_DELETE:
		return change_mark(db, ST_MARK_DELETE, op);
	case OP_MARKS_CLEAN:
		return change_mark(db, ST_MARKS_CLEAN, op);
	default:
		return apply_to_session(db, op);
	}
}

static int record_clock(struct store_db *db)
{
	store_clock_bind(&db->clock, db->stmts[ST_CLOCK]);
	return run(db->stmts[ST_CLOCK]);
}

int store_db_commit(struct store_db *db, const struct store_batch *b, char *text)
{
	bool clock = store_clock_due(&db->clock, CLOCK_BUSY_SECONDS);
	const struct store_op *op;
	int rc;

	/* Rows of a transaction that was taken back may have other numbers now. */
	db->last_session = 0;
	rc = run(db->stmts[ST_BEGIN]);
	for (op = b->first; op && !rc; op = op->next)
		rc = apply(db, op);
	if (!rc && clock)
		rc = record_clock(db);
	if (!rc)
		rc = run(db->stmts[ST_COMMIT]);
	if (!rc) {
		if (clock)
			store_clock_recorded(&db->clock);
		return SQLITE_OK;
	}
	store_describe(db->db, rc, text);
	if (store_damaged(rc))
		store_db_suspect(db);
	if (!sqlite3_get_autocommit(db->db))
		run(db->stmts[ST_ROLLBACK]);
	return rc;
}

int store_db_tick(struct store_db *db, char *text)
{
	struct store_batch none = { 0 };

	if (!store_clock_due(&db->clock, CLOCK_IDLE_SECONDS))
		return SQLITE_DONE;
	return store_db_commit(db, &none, text);
}

int store_db_sync(struct store_db *db, char *text)
{
	sqlite3_file *f = NULL;
	int rc = sqlite3_file_control(db->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f);

	if (!rc && f && f->pMethods)
		rc = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
	if (rc)
		store_describe(db->db, rc, text);
	return rc;
}
