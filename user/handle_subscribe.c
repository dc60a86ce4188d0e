// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SUBSCRIBE: routes under HOLD, SUBACK, retained messages, then the gate
 * opens.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "conf.h"
#include "deliver.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "nl.h"
#include "packet.h"
#include "retain.h"
#include "rib.h"
#include "route.h"
#include "session.h"
#include "topic.h"

/* SUBSCRIBE options on the wire (3.8.3.1). */
#define OPT_NO_LOCAL	0x04
#define OPT_RAP		0x08

/**
 * struct wanted - one filter of a SUBSCRIBE
 * @sub: its subscription, NULL if it was refused
 * @existed: it replaces one
 * @reason: for SUBACK
 */
struct wanted {
	struct subscription *sub;
	bool existed;
	uint8_t reason;
};

struct retained_for {
	struct session *session;
	const struct subscription *sub;
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

/* The reply to ROUTE_ADD: a closing connection keeps what it subscribed to. */
static void route_added(void *arg, int error, const struct nlmsghdr *reply,
			const char *text)
{
	struct wanted *w = arg;

	if (!error || error == -ESHUTDOWN || error == -ENOENT)
		return;
	log_warning("kernel refused a route: %s%s%s", strerror(-error),
		    *text ? ": " : "", text);
	w->reason = error == -ENOSPC ? KMQTT_RC_QUOTA : KMQTT_RC_UNSPECIFIED;
}

/* Into the RIB; the filter carries the mount point there. */
static void subscribe_one(const struct packet *p, const struct packet_filters *f,
			  const struct packet_filter *one, struct wanted *w)
{
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
	w->reason = opts.qos;
	w->sub = rib_add(p->c->session, name.share, name.filter, &opts, &w->existed);
	/* Asked of an earlier daemon, it was not answered: it counts as new. */
	if (p->ev->replay)
		w->existed = false;
	route_add(p->c->conn, w->sub, KMQTT_ROUTE_F_HOLD, route_added, w);
	log_msg(MQTTD_LOG_SUBSCRIBE, "%s %u %s", p->c->id, opts.qos, name.filter);
	route_name_free(&name);
}

static void send_suback(const struct packet *p, const struct packet_filters *f,
			const struct wanted *w, unsigned int n)
{
	struct answer a = { .conn = p->c->conn, .event = p->ev->number };
	struct packet_buf b = { 0 };
	unsigned int i;

	packet_put16(&b, f->packet_id);
	if (f->level == KMQTT_V5)
		packet_put8(&b, 0);
	for (i = 0; i < n; i++)
		packet_put8(&b, w[i].reason >= 0x80 && f->level != KMQTT_V5 ?
			    KMQTT_RC_UNSPECIFIED : w[i].reason);
	a.packet = packet_finish(&b, KMQTT_SUBACK, &a.len);
	deliver_answer(&a);
	packet_buf_free(&b);
}

static void retained_one(struct message *m, void *arg)
{
	const struct retained_for *r = arg;
	uint8_t qos = r->sub->qos < m->qos || conf_get()->upgrade_outgoing_qos ?
		      r->sub->qos : m->qos;

	if (r->sub->flags & KMQTT_ROUTE_F_NO_LOCAL && m->source_id &&
	    !strcmp(m->source_id, r->session->id))
		return;
	inflight_add_retained(r->session, m, qos, r->sub->subid);
}

static void send_retained(struct session *s, const struct wanted *w)
{
	struct retained_for r = { .session = s, .sub = w->sub };
	uint32_t rh;

	if (!w->sub || w->sub->share)
		return;
	rh = (w->sub->flags & KMQTT_ROUTE_F_RH_MASK) >> KMQTT_ROUTE_F_RH_SHIFT;
	if (rh == 2 || (rh == 1 && w->existed))
		return;
	retain_match(w->sub->filter, retained_one, &r);
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

void handle_subscribe(const struct packet *p)
{
	struct packet_filters f;
	struct packet_filter one;
	unsigned int n, i = 0;
	struct wanted *w;
	int reason;

	reason = packet_filters_parse(&p->fix, p->body, p->c->protocol, &f, &n);
	if (!reason && n > PACKET_FILTERS_MAX)
		reason = KMQTT_RC_QUOTA;
	if (reason) {
		client_fault(p->c, p->ev->number, (uint8_t)reason);
		return;
	}
	/* Whoever subscribes now gets a retained message once. */
	deliver_order(NULL, 0);
	w = mem_zalloc(n * sizeof(*w));
	for (struct packet_filters walk = f; packet_filters_next(&walk, &one); i++)
		subscribe_one(p, &f, &one, &w[i]);
	/* SUBACK tells what the kernel said to the routes. */
	nl_flush();
	drop_refused(p->c->conn, w, n);
	send_suback(p, &f, w, n);
	for (i = 0; i < n; i++)
		send_retained(p->c->session, &w[i]);
	free(w);
	client_gate_shut(p->c);
	inflight_pump(p->c->session);
}
