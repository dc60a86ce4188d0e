// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * queue_qos0_messages: copies of QoS 0 messages for sessions whose client is
 * away.  All such sessions that subscribe to a filter share one route of it to
 * the daemon.
 *
 * A client that comes back gets routes of its own, behind its shut gate, while
 * copies go on to come.  A copy names the connections with a shut gate that
 * have the message already, so that each message comes once, by either way.
 * After a grace period every look-up finds the new routes, and after one whole
 * dump of events no earlier copy is outstanding: then the session needs no
 * more copies and the gate may open.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "conf.h"
#include "copies.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "nl.h"
#include "rib.h"
#include "route.h"
#include "session.h"

/* Connection ids are below this. */
#define TOKEN_COPIES	(1ULL << 63)

/*
 * @n: subscriptions that have copies
 * @completed: sessions whose switch wants no more than a whole dump
 */
static struct {
	size_t n;
	struct list completed;
	bool over;
} copies = { .completed = { &copies.completed, &copies.completed } };

/* The daemon matches for the sessions itself: the route has no options. */
static void daemon_route(uint8_t cmd, const char *filter)
{
	nl_begin(cmd);
	nl_put_u64(KMQTT_A_CONN, 0);
	nl_put(KMQTT_A_FILTER, filter, strlen(filter));
	nl_end(NULL, NULL);
}

/* Shared subscriptions have other members, or lose the message. */
void copies_begin(struct session *s)
{
	struct subscription *sub;

	if (!conf_get()->queue_qos0_messages)
		return;
	list_for_each(sub, &s->subs, by_session) {
		if (sub->share || sub->copied)
			continue;
		copies.n++;
		if (rib_copy_begin(sub))
			daemon_route(KMQTT_CMD_ROUTE_ADD, sub->filter);
	}
}

static void end_one(struct subscription *sub)
{
	copies.n--;
	if (rib_copy_end(sub) && !copies.over)
		daemon_route(KMQTT_CMD_ROUTE_DEL, sub->filter);
}

void copies_forget(struct subscription *sub)
{
	if (sub->copied)
		end_one(sub);
}

void copies_free(void)
{
	copies.over = true;
}

void copies_break(struct session *s)
{
	s->switching = false;
	list_del(&s->switched);
}

static void end_all(struct session *s)
{
	struct subscription *sub;

	copies_break(s);
	list_for_each(sub, &s->subs, by_session)
		copies_forget(sub);
}

/* The connection is closing, or has no routes for lack of memory. */
static void switch_refused(void *arg, int error, const struct nlmsghdr *reply,
			   const char *text)
{
	uint64_t *conn = arg;
	struct client *c = error ? client_find(*conn) : NULL;

	if (c && c->session && c->session->switching)
		end_all(c->session);
	free(conn);
}

void copies_switch(struct client *c)
{
	struct subscription *sub;

	list_for_each(sub, &c->session->subs, by_session) {
		if (!sub->copied)
			continue;
		c->session->switching = true;
		/* Changes nothing, and completes when all that was added is seen. */
		route_confirm(c->conn, sub, c->conn | TOKEN_COPIES, switch_refused,
			      mem_dup(&c->conn, sizeof(c->conn)));
		return;
	}
}

bool copies_done(uint64_t token)
{
	struct client *c;

	if (!(token & TOKEN_COPIES))
		return false;
	c = client_find(token & ~TOKEN_COPIES);
	if (c && c->session && c->session->switching) {
		list_del(&c->session->switched);
		list_add_tail(&c->session->switched, &copies.completed);
	}
	return true;
}

void copies_drained(void)
{
	struct session *s, *tmp;

	list_for_each_safe(s, tmp, &copies.completed, switched)
		end_all(s);
}

/* Does its new connection have the message of this copy? */
static bool has_it(const struct session *s, const struct kevent *e)
{
	size_t i;

	if (!s->client)
		return false;
	for (i = 0; i < e->n_shut; i++)
		if (e->shut[i] == s->client->conn)
			return true;
	/* It may be among those that are not named: rather lost than twice. */
	return e->shut_more;
}

static void copy_queue(const struct kevent *e, const struct kmqtt_publish *pub,
		       const struct rib_dests *dests)
{
	const struct message_parts parts = {
		.topic = pub->topic,
		.topic_len = pub->topic_len,
		.props = pub->props,
		.props_len = pub->props_len,
		.payload = pub->payload,
		.payload_len = pub->payload_len,
		.expires = pub->has_expiry ? e->time_ms + pub->expiry * 1000ULL : 0,
	};
	struct message *m;
	size_t i;

	if (message_refusal(&parts)) {
		mem_complain("a message", "away");
		return;
	}
	m = message_new(&parts);
	for (i = 0; i < dests->n; i++)
		if (!has_it(dests->v[i].session, e))
			inflight_keep(&dests->v[i], m, false);
	message_put(m);
}

void handle_copy(const struct kevent *e)
{
	const struct client *c = client_find(e->conn);
	struct rib_dests dests = { 0 };
	struct kmqtt_publish pub;
	struct kmqtt_fixed fix;

	if (kmqtt_fixed_parse(e->data, e->len, &fix) ||
	    fix.hdr_len + (size_t)fix.remaining != e->len ||
	    kmqtt_publish_parse(&fix, e->data + fix.hdr_len, KMQTT_V5, &pub)) {
		log_err("the kernel's copy of a message makes no sense");
		return;
	}
	rib_match_copied((const char *)pub.topic, pub.topic_len, c ? c->session : NULL,
			 &dests);
	if (dests.n)
		copy_queue(e, &pub, &dests);
	rib_dests_free(&dests);
}

void copies_publish(struct message *m, const struct session *source)
{
	struct rib_dests dests = { 0 };
	size_t i;

	if (!copies.n)
		return;
	rib_match_copied(m->topic, m->topic_len, source, &dests);
	/* Who is coming back has its routes, by which the kernel sent it. */
	for (i = 0; i < dests.n; i++)
		if (!dests.v[i].session->client)
			inflight_keep(&dests.v[i], m, m->retain && dests.v[i].rap);
	rib_dests_free(&dests);
}

void copies_adopt(const char *filter)
{
	if (!rib_copied(filter))
		daemon_route(KMQTT_CMD_ROUTE_DEL, filter);
}
