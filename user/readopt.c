// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Re-adoption: a new daemon takes the connections over that the kernel holds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "client.h"
#include "cookie.h"
#include "copies.h"
#include "event.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "nl.h"
#include "overdue.h"
#include "packet.h"
#include "readopt.h"
#include "retain.h"
#include "rib.h"
#include "route.h"
#include "session.h"
#include "walk.h"
#include "will.h"

/*
 * A connection to be closed: its state is not known well enough to go on.
 * @lost: that of its session, not only that of an AUTH exchange
 */
struct doomed {
	struct list node;
	uint64_t conn;
	bool lost;
};

/* A route whose gate is shut: its retained messages may not have been sent. */
struct held {
	struct list node;
	uint64_t conn;
	char *filter;
};

/**
 * struct takeover - what is being taken over
 * @adopted: connections
 * @routes: their routes
 * @held: those of them that are HELD and get retained messages
 * @doomed: those to be closed
 * @will_of: whose will has begun to come, or NULL
 * @will: what has come of it
 */
struct takeover {
	size_t adopted;
	size_t routes;
	struct list held;
	struct list doomed;
	struct client *will_of;
	struct packet_buf will;
};

/* NULL if there is none. */
static char *attr_strdup(const struct nlmsghdr *msg, uint16_t type)
{
	size_t len;
	char *s = nl_parts(msg, type, &len);

	if (len)
		return s;
	free(s);
	return NULL;
}

static void doom(struct takeover *t, uint64_t conn, bool lost)
{
	struct doomed *d = mem_zalloc(sizeof(*d));

	d->conn = conn;
	d->lost = lost;
	list_add_tail(&d->node, &t->doomed);
}

/* The pieces of a will follow the connection it belongs to. */
static void will_piece(struct takeover *t, struct client *c, const struct nlattr *a)
{
	if (!c || !c->session)
		return;
	t->will_of = c;
	packet_put(&t->will, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
}

static void will_complete(struct takeover *t)
{
	struct client *c = t->will_of;

	if (!c)
		return;
	c->will = will_decode(t->will.buf + KMQTT_FIXED_HDR_MAX,
			      t->will.len - KMQTT_FIXED_HDR_MAX, c->id);
	if (!c->will)
		log_warning("the will of client %s was lost with the former mqttd", c->id);
	packet_buf_free(&t->will);
	t->will_of = NULL;
}

/* An accepted connection gets its session back. */
static void adopt_session(struct takeover *t, struct client *c,
			  const struct nlmsghdr *msg, const struct nlattr *const *tb)
{
	const struct nlattr *a = tb[KMQTT_A_COOKIE];
	uint32_t flags = nl_u32(tb[KMQTT_A_CONN_FLAGS]);
	struct cookie cookie = { .window = 1 };
	struct packet_str method;
	struct session *s;
	char *id;

	id = attr_strdup(msg, KMQTT_A_CLIENT_ID);
	client_name(c, id);
	free(id);
	c->username = attr_strdup(msg, KMQTT_A_USERNAME);
	if (!a || !cookie_decode(&cookie, mnl_attr_get_payload(a),
				 mnl_attr_get_payload_len(a)))
		doom(t, c->conn, true);
	else if (flags & (KMQTT_CONN_F_VOLATILE | KMQTT_CONN_F_AUTH))
		doom(t, c->conn, flags & KMQTT_CONN_F_VOLATILE);
	s = session_find(c->id);
	if (s) {
		c->from_store = true;
		c->unreleased = (uint16_t)s->n_inbound;
		inflight_adopt(s, nl_u64(tb[KMQTT_A_LAST_DELIVER]),
			       nl_u64(tb[KMQTT_A_LAST_LIVE]),
			       flags & KMQTT_CONN_F_GATE_SHUT);
	} else {
		s = session_new(c->id);
		s->protocol = c->protocol;
		s->expiry = cookie.session_expiry;
	}
	s->window = cookie.window;
	c->session = s;
	c->session_expiry = cookie.connect_expiry;
	c->connected_at = cookie.connected_at;
	c->keepalive = nl_u16(tb[KMQTT_A_KEEPALIVE]);
	c->receive_max = nl_u16(tb[KMQTT_A_RECEIVE_MAX]);
	c->max_packet = nl_u32(tb[KMQTT_A_MAX_PACKET_OUT]);
	c->problem_info = !(cookie.flags & COOKIE_F_TERSE);
	method = (struct packet_str){ (const uint8_t *)cookie.auth_method,
				      strlen(cookie.auth_method) };
	c->auth_method = auth_method_find(&method);
	session_online(s, c);
	overdue_open(c);
}

static void adopt_conn(const struct nlmsghdr *msg, void *arg)
{
	const struct nlattr *tb[KMQTT_A_MAX + 1];
	struct takeover *t = arg;
	struct client *c;
	uint8_t state;
	char *peer;

	nl_attrs(msg, tb, KMQTT_A_MAX);
	if (!tb[KMQTT_A_CONN])
		return;
	if (tb[KMQTT_A_WILL]) {
		will_piece(t, client_find(nl_u64(tb[KMQTT_A_CONN])), tb[KMQTT_A_WILL]);
		return;
	}
	will_complete(t);
	peer = attr_strdup(msg, KMQTT_A_PEER);
	c = client_new(nl_u64(tb[KMQTT_A_CONN]), nl_u32(tb[KMQTT_A_LISTENER]),
		       peer ? peer : "");
	free(peer);
	c->adopted = true;
	c->protocol = nl_u8(tb[KMQTT_A_PROTOCOL]);
	state = nl_u8(tb[KMQTT_A_STATE]);
	if (state == KMQTT_STATE_OPEN)
		c->state = CLIENT_OPEN;
	else if (state == KMQTT_STATE_CONNECTING)
		c->state = CLIENT_ATTACHED;
	else
		c->state = CLIENT_CLOSING;
	if (state != KMQTT_STATE_CONNECTING && tb[KMQTT_A_CLIENT_ID])
		adopt_session(t, c, msg, tb);
	/* What its method knew died; that the CONNECT was taken is certain. */
	if (state == KMQTT_STATE_CONNECTING &&
	    nl_u32(tb[KMQTT_A_CONN_FLAGS]) & KMQTT_CONN_F_AUTH)
		doom(t, c->conn, false);
	if (c->session && nl_u32(tb[KMQTT_A_CONN_FLAGS]) & KMQTT_CONN_F_GATE_SHUT)
		client_gate_shut(c);
	t->adopted++;
}

static void adopt_held(struct takeover *t, const struct client *c,
		       const struct nlmsghdr *msg, uint32_t flags)
{
	struct held *h;

	if (!(flags & KMQTT_ROUTE_F_HELD) ||
	    (flags & KMQTT_ROUTE_F_RH_MASK) >> KMQTT_ROUTE_F_RH_SHIFT == 2)
		return;
	h = mem_zalloc(sizeof(*h));
	h->conn = c->conn;
	h->filter = attr_strdup(msg, KMQTT_A_FILTER);
	list_add_tail(&h->node, &t->held);
}

static void adopt_route(const struct nlmsghdr *msg, void *arg)
{
	const struct nlattr *tb[KMQTT_A_MAX + 1];
	struct takeover *t = arg;
	struct rib_options opts;
	char *filter, *share;
	struct client *c;
	bool existed;

	nl_attrs(msg, tb, KMQTT_A_MAX);
	c = client_find(nl_u64(tb[KMQTT_A_CONN]));
	if (!nl_u64(tb[KMQTT_A_CONN])) {
		filter = attr_strdup(msg, KMQTT_A_FILTER);
		copies_adopt(filter);
		free(filter);
		return;
	}
	if (!c || !c->session || !tb[KMQTT_A_FILTER])
		return;
	t->routes++;
	if (!tb[KMQTT_A_SHARE])
		adopt_held(t, c, msg, nl_u32(tb[KMQTT_A_ROUTE_FLAGS]));
	/* What the store has not, is being subscribed to or unsubscribed from. */
	if (c->from_store)
		return;
	opts.flags = nl_u32(tb[KMQTT_A_ROUTE_FLAGS]) &
		     (KMQTT_ROUTE_F_NO_LOCAL | KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED |
		      KMQTT_ROUTE_F_RH_MASK);
	opts.subid = nl_u32(tb[KMQTT_A_SUBID]);
	opts.qos = nl_u8(tb[KMQTT_A_MAX_QOS]);
	filter = attr_strdup(msg, KMQTT_A_FILTER);
	share = attr_strdup(msg, KMQTT_A_SHARE);
	rib_store(rib_add(c->session, share, filter, &opts, &existed));
	free(filter);
	free(share);
}

/* The kernel may not know all that the store has: the routes were to follow. */
static void adopt_stored(struct client *c, void *arg)
{
	struct subscription *sub;

	if (!c->from_store || c->state != CLIENT_OPEN)
		return;
	list_for_each(sub, &c->session->subs, by_session)
		route_add(c->conn, sub, 0, NULL, NULL);
}

static void pump_stored(struct client *c, void *arg)
{
	if (c->from_store)
		inflight_pump(c->session);
}

/*
 * Who was owed QoS 1/2 messages that died with the daemon loses the session,
 * so that nobody believes in one that has lost messages.  Before its CONNACK a
 * client can get no DISCONNECT (3.14), and 0x8B is none of CONNACK's.
 */
static void close_doomed(struct takeover *t)
{
	struct doomed *d, *tmp;

	list_for_each_safe(d, tmp, &t->doomed, node) {
		struct client *c = client_find(d->conn);

		if (d->lost)
			c->session->expiry = 0;
		if (c->state == CLIENT_ATTACHED)
			connect_refuse(c, KMQTT_V5, 0, KMQTT_RC_SERVER_UNAVAILABLE);
		else if (c->state == CLIENT_OPEN)
			client_close(c, 0, KMQTT_CLOSE_DAEMON,
				     KMQTT_RC_SERVER_SHUTTING_DOWN);
		list_del(&d->node);
		free(d);
	}
}

/*
 * The retained messages of HELD routes again: how far the former mqttd got,
 * nobody knows.  Replayed events come first: one of them may be the SUBSCRIBE.
 */
static void send_held(struct takeover *t)
{
	struct subscription *sub;
	struct held *h, *tmp;
	struct client *c;

	list_for_each_safe(h, tmp, &t->held, node) {
		c = client_find(h->conn);
		sub = c && c->session ? rib_find(c->session, NULL, h->filter) : NULL;
		if (sub && !sub->walk) {
			walk_add(sub, retain_clock());
			inflight_pump(c->session);
		}
		list_del(&h->node);
		free(h->filter);
		free(h);
	}
}

int readopt(void)
{
	struct takeover t = { 0 };
	int error;

	list_init(&t.doomed);
	list_init(&t.held);
	error = nl_dump(KMQTT_CMD_CONN_GET, adopt_conn, &t);
	will_complete(&t);
	if (!error)
		error = nl_dump(KMQTT_CMD_ROUTE_GET, adopt_route, &t);
	close_doomed(&t);
	if (error)
		goto out;
	client_for_each(adopt_stored, NULL);
	/* The gates of the adopted open after this, when the turn is settled. */
	error = event_replay();
	client_for_each(pump_stored, NULL);
	if (t.adopted)
		log_notice("adopted %zu connections with %zu routes", t.adopted, t.routes);
out:
	send_held(&t);
	return error;
}
