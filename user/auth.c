// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Enhanced authentication: exchanges and their packets.
 */
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "mem.h"

const struct auth_method *auth_method_find(const struct packet_str *name)
{
	const struct auth_method *const *m;

	for (m = auth_methods; *m; m++)
		if (strlen((*m)->name) == name->len &&
		    !memcmp((*m)->name, name->p, name->len))
			return *m;
	return NULL;
}

/* What was said in the round before is over. */
static void forget_reply(struct auth *x)
{
	free(x->reply);
	x->reply = NULL;
	x->reply_len = 0;
}

struct auth *auth_begin(const struct auth_method *method, const struct packet_str *data)
{
	struct auth *x = mem_zalloc(sizeof(*x));

	x->method = method;
	x->result = method->start(x, data);
	return x;
}

void auth_proceed(struct auth *x, const struct packet_str *data)
{
	forget_reply(x);
	x->result = x->method->proceed(x, data);
}

void auth_end(struct auth *x)
{
	size_t len;

	if (!x)
		return;
	if (x->method->end)
		x->method->end(x);
	forget_reply(x);
	free(auth_take_connect(x, &len));
	free(x->user);
	free(x);
}

void auth_keep_connect(struct auth *x, const uint8_t *packet, size_t len)
{
	x->connect = mem_dup(packet, len);
	x->connect_len = len;
	mem_charge(len);
}

uint8_t *auth_take_connect(struct auth *x, size_t *len)
{
	uint8_t *connect = x->connect;

	*len = x->connect_len;
	mem_uncharge(x->connect_len);
	x->connect = NULL;
	x->connect_len = 0;
	return connect;
}

void auth_props(struct packet_buf *b, const struct auth *x)
{
	packet_put8(b, KMQTT_P_AUTH_METHOD);
	packet_put_str(b, x->method->name);
	if (!x->reply)
		return;
	packet_put8(b, KMQTT_P_AUTH_DATA);
	packet_put16(b, (uint16_t)x->reply_len);
	packet_put(b, x->reply, x->reply_len);
}

void auth_packet(struct packet_buf *b, const struct auth *x, uint8_t reason)
{
	struct packet_buf props = { 0 };

	auth_props(&props, x);
	packet_put8(b, reason);
	packet_put_props(b, &props);
}

void auth_reply(struct auth *x, const void *data, size_t len)
{
	forget_reply(x);
	x->reply = mem_dup(data, len);
	x->reply_len = len;
}

void auth_prove(struct auth *x, const void *user, size_t len)
{
	free(x->user);
	x->user = mem_strndup(user, len);
}
