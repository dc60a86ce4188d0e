// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a connection, the client's DISCONNECT included.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cause.h"
#include "client.h"
#include "conf.h"
#include "deliver.h"
#include "handle.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "nl.h"
#include "persist.h"
#include "session.h"
#include "will.h"

static const char *cause_text(uint8_t cause)
{
	static const char *const texts[] = {
		[KMQTT_CLOSE_DISCONNECT] = "disconnected",
		[KMQTT_CLOSE_EOF] = "closed its connection",
		[KMQTT_CLOSE_ERROR] = "lost its connection",
		[KMQTT_CLOSE_KEEPALIVE] = "has exceeded timeout, disconnecting",
		[KMQTT_CLOSE_CONNECT_TIMEOUT] = "sent no CONNECT in time",
		[KMQTT_CLOSE_MALFORMED] = "disconnected due to malformed packet",
		[KMQTT_CLOSE_PROTOCOL] = "disconnected due to protocol error",
		[KMQTT_CLOSE_TOO_LARGE] = "disconnected due to oversize packet",
		[KMQTT_CLOSE_TOPIC_INVALID] = "disconnected due to invalid topic",
		[KMQTT_CLOSE_ALIAS_INVALID] = "disconnected due to invalid topic alias",
		[KMQTT_CLOSE_QOS] = "disconnected, QoS not supported",
		[KMQTT_CLOSE_RETAIN] = "disconnected, retain not supported",
		[KMQTT_CLOSE_RECEIVE_MAX] = "disconnected, receive maximum exceeded",
		[KMQTT_CLOSE_QUOTA] = "disconnected, memory limit reached",
		[KMQTT_CLOSE_SLOW] = "disconnected, too slow",
		[KMQTT_CLOSE_DAEMON] = "disconnected by the broker",
		[KMQTT_CLOSE_TAKEOVER] = "already connected, closing old connection",
		[KMQTT_CLOSE_DAEMON_GONE] = "disconnected while the daemon was away",
		[KMQTT_CLOSE_SHUTDOWN] = "disconnected, shutting down",
	};

	if (cause < ARRAY_SIZE(texts) && texts[cause])
		return texts[cause];
	return "disconnected";
}

/*
 * The properties of its DISCONNECT.  False if it makes the packet invalid: a
 * session that was to end with the connection cannot be prolonged (3.14.2.2.2).
 */
static bool disconnect_expiry(struct client *c, const struct kevent *e)
{
	const uint8_t *props, *p;
	struct kmqtt_fixed fix;
	struct kmqtt_prop prop;
	uint32_t len;

	if (c->protocol != KMQTT_V5 || kmqtt_fixed_parse(e->data, e->len, &fix) ||
	    fix.remaining < 2 || e->len != fix.hdr_len + (size_t)fix.remaining)
		return true;
	p = e->data + fix.hdr_len + 1;
	if (kmqtt_props_check(p, fix.remaining - 1, KMQTT_PROPS_OF(KMQTT_DISCONNECT),
			      &props, &len))
		return true;
	for (p = props; kmqtt_prop_next(&p, props + len, &prop) == 1;) {
		if (prop.id != KMQTT_P_SESSION_EXPIRY)
			continue;
		if (prop.value && !c->session_expiry)
			return false;
		c->session->expiry = session_expiry_limit(prop.value);
	}
	return true;
}

/* The will to be published, NULL if there is none or it was withdrawn. */
static struct will *take_will(struct client *c, const struct kevent *e)
{
	struct will *will = c->will;
	bool valid = e->cause == KMQTT_CLOSE_DISCONNECT && disconnect_expiry(c, e);

	c->will = NULL;
	if (valid && !e->reason) {
		will_free(will);
		return NULL;
	}
	return will;
}

static void acknowledge(const struct kevent *e)
{
	nl_begin(KMQTT_CMD_CONN_CLOSE);
	nl_put_u64(KMQTT_A_CONN, e->conn);
	nl_put_u64(KMQTT_A_ACK_EVENT, e->number);
	nl_end(NULL, NULL);
}

/* The session goes on without it; the will now or later. */
static void close_session(struct client *c, const struct kevent *e)
{
	struct answer a = { .conn = e->conn, .event = e->number, .marked = e->marked };
	struct session *s = c->session;
	struct will *will = take_will(c, e), *later = NULL;

	if (will && will_delay(will) && s->expiry) {
		later = will;
		will = NULL;
	}
	/* The answer to its SUBSCRIBE may come meanwhile: it is nobody's any more. */
	client_sub_put(c->sub);
	c->sub = NULL;
	c->session = NULL;
	session_offline(s, later);
	if (will)
		will_publish(will, &a);
	else
		acknowledge(e);
}

void handle_close(const struct kevent *e)
{
	struct client *c = client_find(e->conn);
	char *id;

	if (!c) {
		acknowledge(e);
		return;
	}
	if (conf_get()->connection_messages)
		log_notice("Client %s %s.", c->id ? c->id : c->peer, cause_text(e->cause));
	/* Others may wait behind it, accepted or not. */
	id = c->id ? c->id : c->wait_id;
	id = id ? mem_strndup(id, strlen(id)) : NULL;
	if (id)
		cause_key(client_key(id));
	if (c->session)
		close_session(c, e);
	else
		acknowledge(e);
	persist_forget(c->conn);
	client_free(c);
	if (id)
		client_wake(id);
	free(id);
}
