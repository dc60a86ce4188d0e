// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SUBSCRIBE: routes under HOLD, SUBACK, retained messages, then the gate
 * opens.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "deliver.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "nl.h"
#include "packet.h"
#include "retain.h"
#include "rib.h"
#include "route.h"
#include "session.h"
#include "topic.h"
#include "walk.h"

/* SUBSCRIBE options on the wire (3.8.3.1). */
#define OPT_NO_LOCAL	0x04
#define OPT_RAP		0x08

/**
 * struct wanted - one filter of a SUBSCRIBE
 * @of: the SUBSCRIBE
 * @sub: its subscription, NULL if it was refused
 * @existed: it replaces one
 * @reason: for SUBACK
 */
struct wanted {
	struct client_sub *of;
	struct subscription *sub;
	bool existed;
	uint8_t reason;
};

/**
 * struct client_sub - a SUBSCRIBE that waits for what the kernel says to its routes
 * @refs: the client, and each route that was not answered
 * @remaining: routes that were not answered
 * @conn: whose
 * @event: number of its event
 * @packet_id: its packet id
 * @suback_len: length of its SUBACK without properties
 * @retained: no retained message stored after this goes to it: they come live
 * @n: topic filters
 * @w: one of each
 *
 * The results may come when the client is gone.
 */
struct client_sub {
	unsigned int refs;
	unsigned int remaining;
	uint64_t conn;
	uint64_t event;
	uint16_t packet_id;
	size_t suback_len;
	uint64_t retained;
	unsigned int n;
	struct wanted w[];
};

static void options_read(const struct packet_filters *f, uint8_t options,
			 struct rib_options *opts)
{
	*opts = (struct rib_options){ .subid = f->subid, .qos = options & 3 };
	if (options & OPT_NO_LOCAL)
		opts->flags |= KMQTT_ROUTE_F_NO_LOCAL;
	if (options & OPT_RAP)
		opts->flags |= KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED;
	opts->flags |= (uint32_t)(options >> 4 & 3) << KMQTT_ROUTE_F_RH_SHIFT;
}

/* SUBSCRIBEs whose routes are not all answered. */
static unsigned int waiting;

void subscribe_settle(void)
{
	if (waiting)
		nl_flush();
}

void client_sub_put(struct client_sub *u)
{
	if (u && !--u->refs)
		free(u);
}

/* Why a filter with which nothing is wrong was refused, or NULL. */
static const char *refusal_text(const struct client_sub *u)
{
	unsigned int i;

	for (i = 0; i < u->n; i++) {
		if (u->w[i].reason == KMQTT_RC_QUOTA)
			return "a limit of the broker is reached";
		if (u->w[i].reason == KMQTT_RC_UNSPECIFIED)
			return "the kernel refused a route";
	}
	return NULL;
}

static void send_suback(const struct client *c, const struct client_sub *u)
{
	struct packet_buf b = { 0 }, props = { 0 };
	struct answer a = { .conn = c->conn, .event = u->event };
	unsigned int i;

	packet_put16(&b, u->packet_id);
	if (c->protocol == KMQTT_V5) {
		packet_put_reason(&props, c, u->suback_len, refusal_text(u), false);
		packet_put_props(&b, &props);
	}
	for (i = 0; i < u->n; i++)
		packet_put8(&b, u->w[i].reason >= 0x80 && c->protocol != KMQTT_V5 ?
			    KMQTT_RC_UNSPECIFIED : u->w[i].reason);
	a.packet = packet_finish(&b, KMQTT_SUBACK, &a.len);
	deliver_answer(&a);
	packet_buf_free(&b);
}

static void send_retained(const struct client_sub *u, const struct wanted *w)
{
	uint32_t rh;

	if (!w->sub || w->sub->share)
		return;
	rh = (w->sub->flags & KMQTT_ROUTE_F_RH_MASK) >> KMQTT_ROUTE_F_RH_SHIFT;
	if (rh == 2 || (rh == 1 && w->existed))
		return;
	walk_add(w->sub, u->retained);
}

/*
 * Subscriptions whose routes the kernel refused do not exist.  The same filter
 * may stand in the packet twice.
 */
static void drop_refused(uint64_t conn, struct wanted *w, unsigned int n)
{
	struct subscription *sub, *tmp;
	struct list refused;
	unsigned int i;

	list_init(&refused);
	for (i = 0; i < n; i++) {
		if (!w[i].sub || w[i].reason < 0x80)
			continue;
		w[i].sub->refusal = w[i].reason;
		list_del(&w[i].sub->by_session);
		list_add_tail(&w[i].sub->by_session, &refused);
	}
	for (i = 0; i < n; i++) {
		if (!w[i].sub || !w[i].sub->refusal)
			continue;
		w[i].reason = w[i].sub->refusal;
		w[i].sub = NULL;
	}
	list_for_each_safe(sub, tmp, &refused, by_session) {
		const struct route_name name = { sub->share, sub->filter };

		/* One that was there before the refused one took its place. */
		route_del(conn, &name, 0, NULL, NULL);
		rib_del(sub);
	}
}

/* All routes are answered: SUBACK tells what the kernel said to them. */
static void subscribe_finish(struct client *c)
{
	struct client_sub *u = c->sub;
	unsigned int i;

	drop_refused(c->conn, u->w, u->n);
	send_suback(c, u);
	for (i = 0; i < u->n; i++)
		send_retained(u, &u->w[i]);
	c->sub = NULL;
	client_sub_put(u);
	client_gate_shut(c);
	inflight_pump(c->session);
}

static void answered(struct client_sub *u)
{
	struct client *c = client_find(u->conn);

	if (--u->remaining)
		return;
	waiting--;
	if (c && c->sub == u)
		subscribe_finish(c);
}

/* The reply to ROUTE_ADD: a closing connection keeps what it subscribed to. */
static void route_added(void *arg, int error, const struct nlmsghdr *reply,
			const char *text)
{
	struct wanted *w = arg;
	struct client_sub *u = w->of;

	if (error && error != -ESHUTDOWN && error != -ENOENT) {
		log_warning("kernel refused a route: %s%s%s", strerror(-error),
			    *text ? ": " : "", text);
		w->reason = error == -ENOSPC ? KMQTT_RC_QUOTA : KMQTT_RC_UNSPECIFIED;
	}
	answered(u);
	client_sub_put(u);
}

/* Into the RIB; the filter carries the mount point there. */
static void subscribe_one(const struct packet *p, const struct packet_filters *f,
			  const struct packet_filter *one, struct wanted *w)
{
	const struct conf_listener *listener = conf_listener_get(p->c->listener);
	struct rib_options opts;
	struct route_name name;
	int reason;

	reason = route_name_make(&name, client_mount(p->c), &one->filter);
	if (reason) {
		w->reason = (uint8_t)reason;
		return;
	}
	if (rib_full(p->c->session, name.share, name.filter)) {
		mem_complain("a subscription", p->c->id);
		w->reason = KMQTT_RC_QUOTA;
		route_name_free(&name);
		return;
	}
	options_read(f, one->options, &opts);
	/* What may not be published is not granted either. */
	if (listener && opts.qos > listener->max_qos)
		opts.qos = listener->max_qos;
	w->reason = opts.qos;
	w->sub = rib_add(p->c->session, name.share, name.filter, &opts, &w->existed);
	/* Asked of an earlier daemon, it was not answered: it counts as new. */
	if (p->ev->replay)
		w->existed = false;
	rib_store(w->sub);
	w->of->refs++;
	w->of->remaining++;
	deliver_retained_first(name.filter);
	route_add(p->c->conn, w->sub, KMQTT_ROUTE_F_HOLD, route_added, w);
	log_msg(MQTTD_LOG_SUBSCRIBE, "%s %u %s", p->c->id, opts.qos, name.filter);
	route_name_free(&name);
}

void handle_subscribe(const struct packet *p)
{
	struct packet_filters f;
	struct packet_filter one;
	struct client_sub *u;
	unsigned int n, i = 0;
	int reason;

	reason = packet_filters_parse(&p->fix, p->body, p->c->protocol, &f, &n);
	if (!reason && n > PACKET_FILTERS_MAX)
		reason = KMQTT_RC_QUOTA;
	if (!reason && !client_takes(p->c, packet_suback_len(&f, n)))
		reason = KMQTT_RC_PACKET_TOO_LARGE;
	if (reason) {
		client_fault(p->c, p->ev->number, (uint8_t)reason);
		return;
	}
	/* Whoever subscribes now gets a retained message once. */
	deliver_order(NULL, 0);
	u = mem_zalloc(sizeof(*u) + n * sizeof(u->w[0]));
	u->refs = 1;
	u->conn = p->c->conn;
	u->event = p->ev->number;
	u->packet_id = f.packet_id;
	u->suback_len = packet_suback_len(&f, n);
	u->retained = retain_clock();
	u->n = n;
	/* Held until all are asked for, lest the first ends it. */
	u->remaining = 1;
	p->c->sub = u;
	waiting++;
	for (struct packet_filters walk = f; packet_filters_next(&walk, &one); i++) {
		u->w[i].of = u;
		subscribe_one(p, &f, &one, &u->w[i]);
	}
	answered(u);
}
