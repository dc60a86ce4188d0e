// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Retained messages that new subscriptions are owed.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "conf.h"
#include "kmqtt.h"
#include "mem.h"
#include "message.h"
#include "retain.h"
#include "rib.h"
#include "session.h"
#include "walk.h"

/* One that subscribes again and again is owed as many walks at once. */
#define WALKS_MAX	8

/**
 * struct retain_walk - what a subscription is owed
 *
 * Lives until the walk is over or the subscription goes.
 *
 * @node: in session->walks; the first one is under way
 * @sub: whose
 * @cursor: how far it is
 * @clock: what was stored later is not owed
 * @again: walks that follow this one
 * @counted: among session->n_walks
 * @taken: the message at @cursor is not owed any more
 */
struct retain_walk {
	struct list node;
	struct subscription *sub;
	struct retain_cursor *cursor;
	uint64_t clock;
	unsigned int again;
	bool counted;
	bool taken;
};

static struct retain_walk *walk_new(struct subscription *sub)
{
	struct retain_walk *w = mem_zalloc(sizeof(*w));

	mem_charge(sizeof(*w));
	w->sub = sub;
	w->cursor = retain_cursor_new(sub->filter);
	list_add_tail(&w->node, &sub->session->walks);
	sub->walk = w;
	return w;
}

/* Values newer than the walk's clock wait at the gate, if that is shut. */
static bool gate_shut(const struct session *s)
{
	return s->client && s->client->gate_shut;
}

void walk_add(struct subscription *sub, uint64_t clock)
{
	struct retain_walk *w = sub->walk;

	if (!w) {
		w = walk_new(sub);
		w->clock = clock;
	} else {
		if (w->again < WALKS_MAX - 1)
			w->again++;
		if (!gate_shut(sub->session))
			w->clock = clock;
	}
	if (sub->qos && !w->counted) {
		w->counted = true;
		sub->session->n_walks++;
	}
}

void walk_drop(struct retain_walk *w)
{
	if (!w)
		return;
	if (w->counted)
		w->sub->session->n_walks--;
	w->sub->walk = NULL;
	list_del(&w->node);
	retain_cursor_free(w->cursor);
	mem_uncharge(sizeof(*w));
	free(w);
}

void walks_offline(struct session *s)
{
	struct retain_walk *w, *tmp;

	list_for_each_safe(w, tmp, &s->walks, node)
		if (!w->sub->qos)
			walk_drop(w);
}

void walks_online(struct session *s)
{
	struct retain_walk *w;

	/* What was stored meanwhile at QoS 0 was not queued: it is owed. */
	list_for_each(w, &s->walks, node)
		w->clock = retain_clock();
}

static bool is_owed(const struct retain_walk *w, const struct message *m)
{
	if (m->retained > w->clock)
		return false;
	return !(w->sub->flags & KMQTT_ROUTE_F_NO_LOCAL) || !m->source_id ||
	       strcmp(m->source_id, w->sub->session->id);
}

/* The message where the walk stands, or after that; NULL if steps are missing. */
static struct message *walk_message(struct retain_walk *w, unsigned int *steps)
{
	struct message *m = w->taken ? NULL : retain_cursor_here(w->cursor);

	while (!m || !is_owed(w, m)) {
		/* With a step it leaves what was taken. */
		if (*steps)
			w->taken = false;
		m = retain_cursor_next(w->cursor, steps);
		if (!m)
			return NULL;
	}
	return m;
}

static void walk_end(struct retain_walk *w)
{
	if (!w->again) {
		walk_drop(w);
		return;
	}
	w->again--;
	w->taken = false;
	retain_cursor_rewind(w->cursor);
	list_del(&w->node);
	list_add_tail(&w->node, &w->sub->session->walks);
}

bool walk_next(struct session *s, unsigned int *steps, struct walk_message *next)
{
	struct retain_walk *w;
	struct message *m;

	while (!list_empty(&s->walks)) {
		w = list_first(&s->walks, struct retain_walk, node);
		m = walk_message(w, steps);
		if (m) {
			next->msg = m;
			next->qos = w->sub->qos < m->qos || conf_get()->upgrade_outgoing_qos ?
				    w->sub->qos : m->qos;
			next->subid = w->sub->subid;
			return true;
		}
		if (!retain_cursor_done(w->cursor))
			return false;
		walk_end(w);
	}
	return false;
}

void walk_taken(struct session *s)
{
	list_first(&s->walks, struct retain_walk, node)->taken = true;
}
