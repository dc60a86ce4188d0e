// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events to their handlers.
 */
#include "cause.h"
#include "client.h"
#include "copies.h"
#include "deliver.h"
#include "handle.h"
#include "kmqtt.h"
#include "log.h"
#include "nl.h"
#include "session.h"
#include "sys.h"

static void handle_open(const struct packet *p)
{
	switch (p->fix.type) {
	case KMQTT_PUBLISH:
		handle_publish(p);
		break;
	case KMQTT_PUBACK:
	case KMQTT_PUBREC:
	case KMQTT_PUBREL:
	case KMQTT_PUBCOMP:
		handle_ack(p);
		break;
	case KMQTT_SUBSCRIBE:
		handle_subscribe(p);
		break;
	case KMQTT_UNSUBSCRIBE:
		handle_unsubscribe(p);
		break;
	case KMQTT_AUTH:
		handle_auth(p);
		break;
	default:
		/* A second CONNECT, a server's packet. */
		client_fault(p->c, p->ev->number, KMQTT_RC_PROTOCOL_ERROR);
	}
}

/* The connection is on its way out or unknown: only the close event counts. */
static void acknowledge(uint64_t conn, uint64_t event)
{
	struct answer a = { .conn = conn, .event = event };

	deliver_answer(&a);
}

static int fixed_parse(const struct client *c, const struct kevent *e,
		       struct kmqtt_fixed *fix)
{
	if (c->protocol == KMQTT_V31)
		return kmqtt_fixed_parse31(e->data, e->len, fix);
	return kmqtt_fixed_parse(e->data, e->len, fix);
}

static void handle_packet(const struct kevent *e)
{
	struct packet p = { .c = client_find(e->conn), .ev = e };

	if (!p.c) {
		log_warning("packet of connection %llu, which nobody knows",
			    (unsigned long long)e->conn);
		nl_begin(KMQTT_CMD_CONN_CLOSE);
		nl_put_u64(KMQTT_A_CONN, e->conn);
		nl_put_u64(KMQTT_A_ACK_EVENT, e->number);
		nl_end(NULL, NULL);
		return;
	}
	if (fixed_parse(p.c, e, &p.fix) ||
	    p.fix.hdr_len + (size_t)p.fix.remaining != e->len) {
		client_fault(p.c, e->number, KMQTT_RC_MALFORMED);
		return;
	}
	p.body = e->data + p.fix.hdr_len;
	if (p.fix.type == KMQTT_CONNECT)
		sys_connect_seen();
	/*
	 * What had arrived when we asked for the close is still handled, as
	 * far as there is a session.
	 */
	if (p.c->session)
		handle_open(&p);
	else if (p.c->state == CLIENT_ATTACHED && p.fix.type == KMQTT_CONNECT)
		handle_connect(p.c, e->data, e->len, e->number);
	else if (p.c->state == CLIENT_AUTH)
		handle_auth_connecting(&p);
	else if (p.c->state == CLIENT_ATTACHED)
		client_fault(p.c, e->number, KMQTT_RC_PROTOCOL_ERROR);
	else
		acknowledge(e->conn, e->number);
}

static void handle_writable(const struct kevent *e)
{
	struct client *c = client_find(e->conn);

	if (c)
		client_reopen(c);
}

void handle_event(const struct kevent *e)
{
	struct cause outer;

	cause_begin(&outer);
	switch (e->type) {
	case KMQTT_EV_PACKET:
		handle_packet(e);
		break;
	case KMQTT_EV_COPY:
		handle_copy(e);
		acknowledge(e->conn, e->number);
		break;
	case KMQTT_EV_CLOSE:
		handle_close(e);
		break;
	case KMQTT_EV_WRITABLE:
		handle_writable(e);
		break;
	case KMQTT_EV_DONE:
		if (!copies_done(e->token))
			handle_unsubscribe_done(e->token);
		break;
	}
	cause_end(&outer);
}
