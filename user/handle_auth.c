// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * AUTH: the next step of what a CONNECT began, and authentication anew.
 */
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "client.h"
#include "deliver.h"
#include "handle.h"
#include "kmqtt.h"
#include "log.h"
#include "packet.h"

static void auth_refuse(struct client *c, uint64_t event, uint8_t reason)
{
	if (c->state == CLIENT_AUTH)
		connect_refuse(c, KMQTT_V5, event, reason);
	else
		client_fault(c, event, reason);
}

void auth_send(struct client *c, uint64_t event, uint8_t reason)
{
	struct answer a = { .conn = c->conn, .event = event };
	struct packet_buf b = { 0 };

	/* The next daemon must know that it cannot go on. */
	a.flags = reason == KMQTT_RC_CONTINUE_AUTHENTICATION ? KMQTT_ACK_F_AUTH :
							       KMQTT_ACK_F_AUTH_END;
	auth_packet(&b, c->auth, reason);
	a.packet = packet_finish(&b, KMQTT_AUTH, &a.len);
	if (client_takes(c, a.len))
		deliver_answer(&a);
	else
		auth_refuse(c, event, KMQTT_RC_PACKET_TOO_LARGE);
	packet_buf_free(&b);
}

/* Does @a belong where the client stands (4.12)?  0 or a reason code. */
static int auth_judge(const struct client *c, const struct packet_auth *a)
{
	const struct auth_method *method = c->auth ? c->auth->method : c->auth_method;
	bool begins = a->reason == KMQTT_RC_REAUTHENTICATE;

	if (!method || method != auth_method_find(&a->method))
		return KMQTT_RC_PROTOCOL_ERROR;
	/* It begins where nothing goes on, and the other way round. */
	return begins == !c->auth ? 0 : KMQTT_RC_PROTOCOL_ERROR;
}

static int auth_parse(const struct packet *p, struct packet_auth *a)
{
	int reason;

	if (p->fix.type != KMQTT_AUTH || p->c->protocol != KMQTT_V5)
		return KMQTT_RC_PROTOCOL_ERROR;
	reason = packet_auth_parse(p->body, p->fix.remaining, a);
	return reason ? reason : auth_judge(p->c, a);
}

void handle_auth_connecting(const struct packet *p)
{
	struct client *c = p->c;
	struct packet_auth a;
	uint8_t *connect;
	size_t len;
	int reason;

	reason = auth_parse(p, &a);
	if (reason) {
		auth_refuse(c, p->ev->number, (uint8_t)reason);
		return;
	}
	auth_proceed(c->auth, &a.data);
	connect = auth_take_connect(c->auth, &len);
	c->state = CLIENT_ATTACHED;
	handle_connect(c, connect, len, p->ev->number);
	free(connect);
}

/* Whoever it was before, it must be again. */
static bool same_user(const struct client *c)
{
	const char *now = c->auth->user ? c->auth->user : "";

	return !strcmp(now, c->username ? c->username : "");
}

/* The connection goes on meanwhile as it was authenticated before (4.12.1). */
void handle_auth(const struct packet *p)
{
	struct client *c = p->c;
	struct packet_auth a;
	int reason;

	reason = auth_parse(p, &a);
	if (reason) {
		client_fault(c, p->ev->number, (uint8_t)reason);
		return;
	}
	if (c->auth)
		auth_proceed(c->auth, &a.data);
	else
		c->auth = auth_begin(c->auth_method, &a.data);
	if (c->auth->result == AUTH_MORE) {
		auth_send(c, p->ev->number, KMQTT_RC_CONTINUE_AUTHENTICATION);
		return;
	}
	if (c->auth->result == AUTH_DONE && same_user(c)) {
		auth_send(c, p->ev->number, KMQTT_RC_SUCCESS);
	} else {
		log_notice("Client %s could not authenticate again.", c->id);
		client_fault(c, p->ev->number, KMQTT_RC_NOT_AUTHORIZED);
	}
	auth_end(c->auth);
	c->auth = NULL;
}
