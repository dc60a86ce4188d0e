// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a message goes.
 */
#include <stdlib.h>

#include "cause.h"
#include "client.h"
#include "conf.h"
#include "copies.h"
#include "deliver.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "mem.h"
#include "message.h"
#include "persist.h"
#include "publish.h"
#include "retain.h"
#include "session.h"

/*
 * A subscription that waits for its routes is owed the value before this one,
 * if that need not wait for the store.
 */
static void retain(struct message *m)
{
	subscribe_settle();
	retain_set(m);
}

void publish_match(struct message *m, const struct session *source,
		   struct rib_dests *dests)
{
	deliver_order(m->topic, m->topic_len);
	if (m->retain)
		retain(m);
	rib_match(m->topic, m->topic_len, source, dests);
}

/* Has an earlier daemon put it into the store for this session? */
static bool dest_has(const struct rib_dest *d, const struct answer *a)
{
	return d->session->stored && a && a->marked;
}

/* Fill in @v; false if this destination gets nothing from here and now. */
static bool dest_delivery(const struct rib_dest *d, struct message *m, struct delivery *v)
{
	bool retain = m->retain && d->rap;
	uint8_t qos = d->qos < m->qos || conf_get()->upgrade_outgoing_qos ? d->qos : m->qos;
	struct client *c = d->session->client;

	*v = (struct delivery){ .flags = KMQTT_DEST_F_LIVE };
	if (retain)
		v->flags |= KMQTT_DEST_F_RETAIN;
	if (qos) {
		v->out = inflight_add(d, m, qos, retain);
		if (!v->out)
			return false;
		if (!d->session->stored) {
			v->flags |= KMQTT_DEST_F_VOLATILE;
			c->is_volatile = true;
		}
	} else if (!c || c->state != CLIENT_OPEN) {
		/* What was published at QoS 0 comes as a copy. */
		if (m->qos && d->session->expiry && conf_get()->queue_qos0_messages)
			inflight_keep(d, m, retain);
		return false;
	}
	v->conn = c->conn;
	v->subids = d->subids;
	v->n_subids = d->n_subids;
	return true;
}

void publish_send(struct message *m, struct rib_dests *dests, const struct answer *a)
{
	struct delivery *v = mem_zalloc(dests->n * sizeof(*v));
	bool stored = false;
	size_t i, n = 0;

	for (i = 0; i < dests->n; i++) {
		if (!dest_has(&dests->v[i], a) && dest_delivery(&dests->v[i], m, &v[n]))
			n++;
		stored |= dests->v[i].session->stored;
	}
	if (stored && m->qos)
		persist_mark(a);
	/* Also for those that get it later. */
	if (cause_wait() > m->wait)
		m->wait = cause_wait();
	deliver_publish(m, v, n, a);
	free(v);
	rib_dests_free(dests);
}

/* The kernel will not walk so many filters: what it routes, we match. */
static void publish_matched(struct message *m, const struct answer *a)
{
	struct client *c = client_find(m->source);
	struct rib_dests dests = { 0 };

	rib_match(m->topic, m->topic_len, c ? c->session : NULL, &dests);
	publish_send(m, &dests, a);
}

void publish(struct message *m, const struct session *source, const struct answer *a)
{
	struct rib_dests dests = { 0 };

	if (!m->qos) {
		deliver_order(m->topic, m->topic_len);
		if (m->retain)
			retain(m);
		deliver_inject(m, a, publish_matched);
		copies_publish(m, source);
		return;
	}
	publish_match(m, source, &dests);
	publish_send(m, &dests, a);
}
