// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the store has, brought to life; and the marks.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "conf.h"
#include "deliver.h"
#include "event.h"
#include "inflight.h"
#include "list.h"
#include "log.h"
#include "map.h"
#include "mem.h"
#include "nl.h"
#include "persist.h"
#include "retain.h"
#include "rib.h"
#include "session.h"
#include "store.h"
#include "will.h"

/**
 * struct mark - a connection with a mark in the store
 * @entry: by @conn
 * @gone: in a list of those to be deleted
 * @conn: connection
 * @event: the last one that is covered
 */
struct mark {
	struct map_entry entry;
	struct list gone;
	uint64_t conn;
	uint64_t event;
};

/*
 * @marks: by connection
 * @gone: those of connections whose end the kernel may not know to be handled
 * @done: those whose it knows
 * @instance: of the module
 */
static struct {
	struct map marks;
	struct list gone;
	struct list done;
	uint64_t instance;
} persist = {
	.gone = { &persist.gone, &persist.gone },
	.done = { &persist.done, &persist.done },
};

/* ---- loading ------------------------------------------------------------ */

static void load_retained(struct message *m, void *arg)
{
	retain_load(m);
}

static void *load_session(const struct store_session *row, void *arg)
{
	return session_load(row);
}

static void load_subscription(void *session, const struct store_subscription *row,
			      void *arg)
{
	const struct rib_options opts = {
		.subid = row->subid,
		.flags = row->flags,
		.qos = row->qos,
	};
	bool existed;

	rib_add(session, row->share, row->filter, &opts, &existed);
}

static void load_inbound(void *session, uint16_t packet_id, void *arg)
{
	session_load_inbound(session, packet_id);
}

static void load_outgoing(void *session, const struct store_outgoing *row, void *arg)
{
	inflight_load(session, row);
}

static void load_will(void *session, const struct store_will *row, void *arg)
{
	struct session *s = session;

	session_load_will(s, will_load(row), row->publish_at);
}

static struct mark *mark_find(uint64_t conn)
{
	struct map_entry *e = map_first(&persist.marks, conn);

	return e ? container_of(e, struct mark, entry) : NULL;
}

static struct mark *mark_new(uint64_t conn)
{
	struct mark *m = mem_zalloc(sizeof(*m));

	m->conn = conn;
	list_init(&m->gone);
	map_add(&persist.marks, &m->entry, conn);
	return m;
}

/* Those of another instance are deleted when ours is known. */
static void load_mark(const struct store_mark *row, void *arg)
{
	uint64_t *instance = arg;

	if (row->instance == *instance)
		mark_new(row->conn)->event = row->event;
}

/* ---- life --------------------------------------------------------------- */

static void committed(uint64_t seq, void *arg)
{
	nl_committed(seq);
	event_settle();
}

/* The folder of the store, one level. */
static int folder_make(const char *path)
{
	if (!mkdir(path, 0700) || errno == EEXIST)
		return 0;
	log_err("persistence_location %s: %s", path, strerror(errno));
	return -errno;
}

int persist_open(uint64_t instance, bool look_only)
{
	const struct conf *conf = conf_get();
	const struct store_loader loader = {
		.retained = load_retained,
		.session = load_session,
		.subscription = load_subscription,
		.inbound = load_inbound,
		.outgoing = load_outgoing,
		.will = load_will,
		.mark = load_mark,
		.arg = &instance,
	};
	struct store_settings settings = {
		.sync = conf->persistence_sync,
		.interval = conf->persistence_sync_interval,
		.refuse_damaged = look_only,
		.committed = committed,
	};
	char path[PATH_MAX];
	int rc;

	persist.instance = instance;
	if (!conf->persistence)
		return 0;
	rc = folder_make(conf->persistence_location);
	if (rc)
		return rc;
	if (snprintf(path, sizeof(path), "%s/%s", conf->persistence_location,
		     conf->persistence_file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	settings.path = path;
	rc = store_open(&settings);
	if (!rc)
		rc = store_load(&loader);
	return rc;
}

int persist_start(struct event_base *base)
{
	int rc;

	if (!store_is_open())
		return 0;
	rc = store_start(base);
	if (!rc)
		store_marks_clean(persist.instance);
	return rc;
}

void persist_close(void)
{
	struct map_entry *e, *tmp;
	size_t i;

	store_close();
	map_for_each(e, tmp, i, &persist.marks)
		free(container_of(e, struct mark, entry));
	map_free(&persist.marks);
	list_init(&persist.gone);
	list_init(&persist.done);
}

/* ---- marks -------------------------------------------------------------- */

/* With the next transaction: nobody is to wait for this. */
static void marks_delete(void)
{
	struct mark *m, *tmp;

	list_for_each_safe(m, tmp, &persist.done, gone) {
		store_mark_delete(persist.instance, m->conn);
		list_del(&m->gone);
		map_del(&persist.marks, &m->entry);
		free(m);
	}
}

void persist_mark(const struct answer *a)
{
	struct store_mark row = { .instance = persist.instance };
	struct mark *m;

	if (!a || !a->event || !store_is_open())
		return;
	marks_delete();
	m = mark_find(a->conn);
	if (!m)
		m = mark_new(a->conn);
	m->event = a->event;
	row.conn = a->conn;
	row.event = a->event;
	store_mark_put(&row);
}

bool persist_marked(uint64_t conn, uint64_t event)
{
	const struct mark *m = mark_find(conn);

	return m && event <= m->event;
}

void persist_forget(uint64_t conn)
{
	struct mark *m = mark_find(conn);

	if (m && list_empty(&m->gone))
		list_add_tail(&m->gone, &persist.gone);
}

void persist_adopted(void)
{
	struct map_entry *e, *tmp;
	struct mark *m;
	size_t i;

	map_for_each(e, tmp, i, &persist.marks) {
		m = container_of(e, struct mark, entry);
		if (!client_find(m->conn))
			persist_forget(m->conn);
	}
}

void persist_settled(void)
{
	struct mark *m, *tmp;

	list_for_each_safe(m, tmp, &persist.gone, gone) {
		list_del(&m->gone);
		list_add_tail(&m->gone, &persist.done);
	}
}
