// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UNSUBSCRIBE: answered when the kernel forwards by its routes no more.
 */
#include <errno.h>
#include <stdlib.h>

#include "client.h"
#include "deliver.h"
#include "handle.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "packet.h"
#include "rib.h"
#include "route.h"
#include "session.h"

static void send_unsuback(struct client *c)
{
	struct client_unsub *u = c->unsub;
	struct answer a = { .conn = c->conn, .event = u->event };
	struct packet_buf b = { 0 };

	packet_put16(&b, u->packet_id);
	if (c->protocol == KMQTT_V5) {
		packet_put8(&b, 0);
		packet_put(&b, u->reasons, u->n);
	}
	a.packet = packet_finish(&b, KMQTT_UNSUBACK, &a.len);
	deliver_answer(&a);
	packet_buf_free(&b);
	free(u);
	c->unsub = NULL;
}

void handle_unsubscribe_done(uint64_t token)
{
	struct client *c = client_find(token);

	if (c && c->unsub && !--c->unsub->remaining)
		send_unsuback(c);
}

/* A refused ROUTE_DEL completes at once; if it was accepted, by EV_DONE. */
static void route_deleted(void *arg, int error, const struct nlmsghdr *reply,
			  const char *text)
{
	uint64_t *token = arg;

	if (error)
		handle_unsubscribe_done(*token);
	free(token);
}

static uint8_t unsubscribe_one(const struct packet *p, const struct packet_filter *one)
{
	struct subscription *sub;
	struct route_name name;
	int reason;

	reason = route_name_make(&name, client_mount(p->c), &one->filter);
	if (reason)
		return (uint8_t)reason;
	sub = rib_find(p->c->session, name.share, name.filter);
	if (sub)
		rib_del(sub);
	/* Also of an absent route: an earlier removal may not be in effect. */
	route_del(p->c->conn, &name, p->c->conn, route_deleted,
		  mem_dup(&p->c->conn, sizeof(p->c->conn)));
	p->c->unsub->remaining++;
	log_msg(MQTTD_LOG_UNSUBSCRIBE, "%s %s", p->c->id, name.filter);
	route_name_free(&name);
	return sub || p->ev->replay ? 0 : KMQTT_RC_NO_SUBSCRIPTION_EXISTED;
}

void handle_unsubscribe(const struct packet *p)
{
	struct packet_filters f;
	struct packet_filter one;
	struct client_unsub *u;
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
	u = mem_zalloc(sizeof(*u) + n);
	u->event = p->ev->number;
	u->packet_id = f.packet_id;
	u->n = n;
	/* Held until all are asked for, lest the first ends it. */
	u->remaining = 1;
	p->c->unsub = u;
	for (struct packet_filters walk = f; packet_filters_next(&walk, &one); i++)
		u->reasons[i] = unsubscribe_one(p, &one);
	handle_unsubscribe_done(p->c->conn);
}
