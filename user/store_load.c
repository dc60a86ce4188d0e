// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading of the whole store.
 *
 * Each table is read once, in the order of its tree.  Sessions are merged with
 * the tables that belong to them, which are all sorted by session.
 *
 * A sound file may still hold what no mqttd wrote; such rows are left out,
 * counted and told, and stay in the file.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "frame.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "store_priv.h"

/* Tables that belong to sessions, in the order of struct store_loader. */
enum part {
	PART_SUBSCRIPTION,
	PART_INBOUND,
	PART_OUTGOING,
	PART_WILL,
	N_PARTS,
};

static const char *const part_sql[N_PARTS] = {
	[PART_SUBSCRIPTION] = "SELECT session, share, filter, qos, flags, subid\n"
		"FROM subscription ORDER BY session",
	[PART_INBOUND] = "SELECT session, packet_id FROM inbound ORDER BY session",
	[PART_OUTGOING] = "SELECT session, pos, number, message, state, qos, packet_id,\n"
		"retain, subids FROM outgoing ORDER BY session, pos",
	[PART_WILL] = "SELECT session, publish_at, has_expiry, expiry, "
		STORE_MESSAGE_COLUMNS " FROM will ORDER BY session",
};

struct body {
	sqlite3_int64 id;
	struct message *msg;
};

/**
 * struct load - a load under way
 * @db: what is read
 * @loader: who gets it
 * @parts: each at the first row that was not handled
 * @row: there is one
 * @bodies: messages by id, ascending
 * @n_bad: rows left out
 * @bad_table: of the first of them
 */
struct load {
	struct store_db *db;
	const struct store_loader *loader;
	struct sqlite3_stmt *parts[N_PARTS];
	bool row[N_PARTS];
	struct body *bodies;
	size_t n_bodies, room;
	size_t n_bad;
	const char *bad_table;
};

static void bad_row(struct load *l, const char *table)
{
	if (!l->n_bad++)
		l->bad_table = table;
}

/* ---- values ------------------------------------------------------------- */

/* Text of at least @min bytes without a NUL, else NULL. */
static const char *get_text(sqlite3_stmt *st, int col, size_t min, size_t *len)
{
	const unsigned char *s = sqlite3_column_text(st, col);

	*len = (size_t)sqlite3_column_bytes(st, col);
	if (!s || *len < min || *len > UINT16_MAX || !kmqtt_utf8_valid(s, *len))
		return NULL;
	return (const char *)s;
}

static bool get_number(sqlite3_stmt *st, int col, uint64_t max, uint64_t *n)
{
	*n = (uint64_t)sqlite3_column_int64(st, col);
	return *n <= max;
}

/* STORE_MESSAGE_COLUMNS from @col on; NULL if they make no sense. */
static struct message *get_message(const struct load *l, sqlite3_stmt *st, int col)
{
	struct message_parts parts = { 0 };
	size_t source_len;
	uint64_t qos;

	parts.topic = (const uint8_t *)get_text(st, col, 1, &parts.topic_len);
	parts.props = sqlite3_column_blob(st, col + 1);
	parts.props_len = (uint32_t)sqlite3_column_bytes(st, col + 1);
	parts.payload = sqlite3_column_blob(st, col + 2);
	parts.payload_len = (uint32_t)sqlite3_column_bytes(st, col + 2);
	parts.retain = sqlite3_column_int(st, col + 4);
	parts.expires = store_clock_load(&l->db->clock, sqlite3_column_int64(st, col + 5));
	/* The memory limit does not count: these are acknowledged. */
	if (!parts.topic || parts.topic_len > KMQTT_TOPIC_MAX ||
	    parts.props_len > KMQTT_PROPERTIES_MAX || !get_number(st, col + 3, 2, &qos))
		return NULL;
	parts.qos = (uint8_t)qos;
	if (sqlite3_column_type(st, col + 6) != SQLITE_NULL) {
		parts.source_id = get_text(st, col + 6, 0, &source_len);
		if (!parts.source_id)
			return NULL;
	}
	return message_new(&parts);
}

/* ---- what belongs to no session ------------------------------------------ */

static void keep_body(struct load *l, sqlite3_stmt *st)
{
	struct message *m = get_message(l, st, 1);

	if (!m) {
		bad_row(l, "message");
		return;
	}
	if (l->n_bodies == l->room) {
		l->room = l->room ? 2 * l->room : 256;
		l->bodies = mem_realloc(l->bodies, l->room * sizeof(*l->bodies));
	}
	m->store_id = (uint64_t)sqlite3_column_int64(st, 0);
	l->bodies[l->n_bodies].id = sqlite3_column_int64(st, 0);
	l->bodies[l->n_bodies++].msg = m;
}

static void give_retained(struct load *l, sqlite3_stmt *st)
{
	struct message *m = get_message(l, st, 0);

	if (!m) {
		bad_row(l, "retained");
		return;
	}
	if (l->loader->retained)
		l->loader->retained(m, l->loader->arg);
	message_put(m);
}

static void give_mark(struct load *l, sqlite3_stmt *st)
{
	struct store_mark mark = {
		.instance = (uint64_t)sqlite3_column_int64(st, 0),
		.conn = (uint64_t)sqlite3_column_int64(st, 1),
		.event = (uint64_t)sqlite3_column_int64(st, 2),
	};

	if (l->loader->mark)
		l->loader->mark(&mark, l->loader->arg);
}

/* Call @each on every row of @sql; SQLite's result. */
static int for_each(struct load *l, const char *sql,
		    void (*each)(struct load *l, sqlite3_stmt *st))
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(l->db->db, sql, -1, &st, NULL);

	if (rc)
		return rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		each(l, st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- what belongs to a session ------------------------------------------- */

static void give_subscription(struct load *l, void *session, sqlite3_stmt *st)
{
	struct store_subscription sub = { 0 };
	uint64_t qos, flags, subid;
	size_t len, share_len;

	sub.share = get_text(st, 1, 0, &share_len);
	sub.filter = get_text(st, 2, 1, &len);
	if (!sub.share || !sub.filter || !get_number(st, 3, 2, &qos) ||
	    !get_number(st, 4, UINT32_MAX, &flags) || !get_number(st, 5, UINT32_MAX, &subid)) {
		bad_row(l, "subscription");
		return;
	}
	if (!share_len)
		sub.share = NULL;
	sub.qos = (uint8_t)qos;
	sub.flags = (uint32_t)flags;
	sub.subid = (uint32_t)subid;
	if (l->loader->subscription)
		l->loader->subscription(session, &sub, l->loader->arg);
}

static void give_inbound(struct load *l, void *session, sqlite3_stmt *st)
{
	uint64_t packet_id;

	if (!get_number(st, 1, UINT16_MAX, &packet_id) || !packet_id)
		bad_row(l, "inbound");
	else if (l->loader->inbound)
		l->loader->inbound(session, (uint16_t)packet_id, l->loader->arg);
}

static int compare_bodies(const void *a, const void *b)
{
	const struct body *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static struct message *find_body(const struct load *l, sqlite3_int64 id)
{
	struct body key = { .id = id }, *found;

	if (!l->n_bodies)
		return NULL;
	found = bsearch(&key, l->bodies, l->n_bodies, sizeof(key), compare_bodies);
	return found ? found->msg : NULL;
}

/* The Subscription Identifiers of column @col, to be freed. */
static uint32_t *get_subids(sqlite3_stmt *st, int col, unsigned int *n)
{
	const void *blob = sqlite3_column_blob(st, col);
	int bytes = sqlite3_column_bytes(st, col);
	uint32_t *subids;
	unsigned int i;

	*n = (unsigned int)bytes / sizeof(*subids);
	if (!*n)
		return NULL;
	subids = mem_dup(blob, *n * sizeof(*subids));
	for (i = 0; i < *n; i++)
		subids[i] = le32toh(subids[i]);
	return subids;
}

/* Which states and packet ids messages at @qos have. */
static bool outgoing_fits(uint64_t state, uint64_t qos, uint64_t packet_id)
{
	if (!qos || (state == OUT_RELEASED && qos != 2))
		return false;
	return state == OUT_QUEUED || packet_id;
}

static void give_outgoing(struct load *l, void *session, sqlite3_stmt *st)
{
	struct store_outgoing out = { 0 };
	uint64_t state, qos, packet_id;
	uint32_t *subids;

	out.pos = (uint64_t)sqlite3_column_int64(st, 1);
	out.number = (uint64_t)sqlite3_column_int64(st, 2);
	out.msg = find_body(l, sqlite3_column_int64(st, 3));
	if (!out.msg || !get_number(st, 4, OUT_RELEASED, &state) ||
	    !get_number(st, 5, 2, &qos) || !get_number(st, 6, UINT16_MAX, &packet_id) ||
	    !outgoing_fits(state, qos, packet_id)) {
		bad_row(l, "outgoing");
		return;
	}
	if (!l->loader->outgoing)
		return;
	out.state = (enum outgoing_state)state;
	out.qos = (uint8_t)qos;
	out.packet_id = (uint16_t)packet_id;
	out.retain = sqlite3_column_int(st, 7);
	subids = get_subids(st, 8, &out.n_subids);
	out.subids = subids;
	l->loader->outgoing(session, &out, l->loader->arg);
	free(subids);
}

static void give_will(struct load *l, void *session, sqlite3_stmt *st)
{
	struct store_will w = { 0 };
	uint64_t expiry;

	w.publish_at = store_clock_load(&l->db->clock, sqlite3_column_int64(st, 1));
	w.has_expiry = sqlite3_column_int(st, 2);
	w.msg = get_message(l, st, 4);
	if (!w.msg || !get_number(st, 3, UINT32_MAX, &expiry)) {
		message_put(w.msg);
		bad_row(l, "will");
		return;
	}
	w.expiry = (uint32_t)expiry;
	if (l->loader->will)
		l->loader->will(session, &w, l->loader->arg);
	message_put(w.msg);
}

static int advance(struct load *l, enum part which)
{
	int rc = sqlite3_step(l->parts[which]);

	l->row[which] = rc == SQLITE_ROW;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/*
 * Give what of @which belongs to the session in @row, or, if @give is false,
 * leave it out; and leave out what belongs to sessions before it: there are
 * none with those numbers.
 */
static int give_part(struct load *l, enum part which, sqlite3_int64 row, bool give,
		     void *session)
{
	static void (*const gives[N_PARTS])(struct load *l, void *session, sqlite3_stmt *st) = {
		[PART_SUBSCRIPTION] = give_subscription,
		[PART_INBOUND] = give_inbound,
		[PART_OUTGOING] = give_outgoing,
		[PART_WILL] = give_will,
	};
	static const char *const names[N_PARTS] = {
		[PART_SUBSCRIPTION] = "subscription",
		[PART_INBOUND] = "inbound",
		[PART_OUTGOING] = "outgoing",
		[PART_WILL] = "will",
	};
	int rc = SQLITE_OK;

	while (!rc && l->row[which]) {
		sqlite3_int64 owner = sqlite3_column_int64(l->parts[which], 0);

		if (owner > row)
			break;
		if (owner == row && give)
			gives[which](l, session, l->parts[which]);
		else
			bad_row(l, names[which]);
		rc = advance(l, which);
	}
	return rc;
}

/* Read the session at @st; false if it makes no sense. */
static bool get_session(const struct load *l, struct store_session *s, sqlite3_stmt *st)
{
	uint64_t protocol, expiry, packet_id;
	size_t len;

	s->client_id = get_text(st, 1, 0, &len);
	if (!s->client_id || !get_number(st, 2, UINT8_MAX, &protocol) ||
	    !get_number(st, 3, UINT32_MAX, &expiry) ||
	    !get_number(st, 6, UINT16_MAX, &packet_id))
		return false;
	s->protocol = (uint8_t)protocol;
	s->expiry = (uint32_t)expiry;
	s->expires_at = store_clock_load(&l->db->clock, sqlite3_column_int64(st, 4));
	s->number = (uint64_t)sqlite3_column_int64(st, 5);
	s->packet_id = (uint16_t)packet_id;
	return true;
}

static int give_session(struct load *l, sqlite3_stmt *st)
{
	sqlite3_int64 row = sqlite3_column_int64(st, 0);
	struct store_session s;
	bool give = get_session(l, &s, st);
	void *session = NULL;
	unsigned int part;
	int rc = SQLITE_OK;

	if (!give)
		bad_row(l, "session");
	else if (l->loader->session)
		session = l->loader->session(&s, l->loader->arg);
	for (part = 0; part < N_PARTS && !rc; part++)
		rc = give_part(l, part, row, give, session);
	return rc;
}

static int load_sessions(struct load *l)
{
	static const char sql[] = "SELECT id, client_id, protocol, expiry, expires_at, number,\n"
		"packet_id FROM session ORDER BY id";
	sqlite3_stmt *st = NULL;
	unsigned int part;
	int rc = sqlite3_prepare_v2(l->db->db, sql, -1, &st, NULL);

	for (part = 0; part < N_PARTS && !rc; part++) {
		rc = sqlite3_prepare_v2(l->db->db, part_sql[part], -1, &l->parts[part], NULL);
		if (!rc)
			rc = advance(l, part);
	}
	while (!rc) {
		rc = sqlite3_step(st);
		if (rc != SQLITE_ROW)
			break;
		rc = give_session(l, st);
	}
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	for (part = 0; part < N_PARTS && !rc; part++)
		rc = give_part(l, part, INT64_MAX, false, NULL);
	for (part = 0; part < N_PARTS; part++)
		sqlite3_finalize(l->parts[part]);
	sqlite3_finalize(st);
	return rc;
}

int store_db_load(struct store_db *db, const struct store_loader *loader, char *text)
{
	struct load l = { .db = db, .loader = loader };
	size_t i;
	int rc;

	rc = for_each(&l, "SELECT " STORE_MESSAGE_COLUMNS " FROM retained", give_retained);
	if (!rc)
		rc = for_each(&l, "SELECT id, " STORE_MESSAGE_COLUMNS " FROM message ORDER BY id",
			      keep_body);
	if (!rc)
		rc = load_sessions(&l);
	if (!rc)
		rc = for_each(&l, "SELECT instance, conn, event FROM mark", give_mark);
	if (rc)
		store_describe(db->db, rc, text);
	if (!rc && l.n_bad)
		log_err("store %s: %zu rows that no mqttd can have written were left out, the first in table %s",
			db->path, l.n_bad, l.bad_table);
	for (i = 0; i < l.n_bodies; i++)
		message_put(l.bodies[i].msg);
	free(l.bodies);
	return rc;
}
