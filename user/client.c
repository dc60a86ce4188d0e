// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that the kernel holds for us.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "auth.h"
#include "cause.h"
#include "client.h"
#include "conf.h"
#include "deliver.h"
#include "event.h"
#include "handle.h"
#include "inflight.h"
#include "mem.h"
#include "nl.h"
#include "overdue.h"
#include "packet.h"
#include "session.h"
#include "will.h"

static struct map clients;
static struct map clients_by_id;
static struct list gates = { &gates, &gates };
static struct list waiting = { &waiting, &waiting };
static struct event_base *base;
static bool retry_armed;

#define RETRY_MS	100

void clients_init(struct event_base *event_base)
{
	base = event_base;
}

static uint64_t conn_hash(uint64_t conn)
{
	return map_hash(1, &conn, sizeof(conn));
}

static uint64_t id_hash(const char *id)
{
	return map_hash(2, id, strlen(id));
}

uint64_t client_key(const char *id)
{
	return id_hash(id);
}

struct client *client_new(uint64_t conn, unsigned int listener, const char *peer)
{
	struct client *c = mem_zalloc(sizeof(*c));

	c->conn = conn;
	c->listener = listener;
	c->peer = mem_strndup(peer, strlen(peer));
	list_init(&c->gates);
	list_init(&c->waiting);
	list_init(&c->v31);
	map_add(&clients, &c->entry, conn_hash(conn));
	return c;
}

struct client *client_find(uint64_t conn)
{
	struct map_entry *e;

	for (e = map_first(&clients, conn_hash(conn)); e; e = map_next(e)) {
		struct client *c = container_of(e, struct client, entry);

		if (c->conn == conn)
			return c;
	}
	return NULL;
}

struct client *client_find_id(const char *id)
{
	struct map_entry *e;

	for (e = map_first(&clients_by_id, id_hash(id)); e; e = map_next(e)) {
		struct client *c = container_of(e, struct client, id_entry);

		if (!strcmp(c->id, id))
			return c;
	}
	return NULL;
}

void client_name(struct client *c, const char *id)
{
	c->id = mem_strndup(id, strlen(id));
	map_add(&clients_by_id, &c->id_entry, id_hash(id));
}

void client_free(struct client *c)
{
	map_del(&clients, &c->entry);
	if (c->id)
		map_del(&clients_by_id, &c->id_entry);
	list_del(&c->gates);
	list_del(&c->waiting);
	overdue_forget(c);
	password_cancel(&c->ticket);
	auth_end(c->auth);
	will_free(c->will);
	client_sub_put(c->sub);
	free(c->unsub);
	free(c->connect);
	free(c->wait_id);
	free(c->username);
	free(c->id);
	free(c->peer);
	free(c);
}

size_t client_count(void)
{
	return clients.count;
}

size_t client_count_listener(unsigned int listener)
{
	struct map_entry *e, *tmp;
	size_t i, n = 0;

	map_for_each(e, tmp, i, &clients)
		if (container_of(e, struct client, entry)->listener == listener)
			n++;
	return n;
}

void client_for_each(client_each_t each, void *arg)
{
	struct map_entry *e, *tmp;
	size_t i;

	map_for_each(e, tmp, i, &clients)
		each(container_of(e, struct client, entry), arg);
}

static void client_forget(struct client *c, void *arg)
{
	if (c->session)
		c->session->client = NULL;
	client_free(c);
}

void clients_free(void)
{
	client_for_each(client_forget, NULL);
	map_free(&clients);
	map_free(&clients_by_id);
}

const char *client_mount(const struct client *c)
{
	const struct conf_listener *l = conf_listener_get(c->listener);

	return l && l->mount_point ? l->mount_point : "";
}

void client_wait(struct client *c, const char *id, const uint8_t *packet, size_t len,
		 uint64_t event)
{
	struct client *other;

	c->state = CLIENT_WAITING;
	/* Assigned ids differ each time, and nobody else waits for them. */
	if (c->connect)
		return;
	c->wait_id = mem_strndup(id, strlen(id));
	c->connect = mem_dup(packet, len);
	c->connect_len = len;
	c->connect_event = event;
	list_for_each(other, &waiting, waiting)
		if (other->conn > c->conn)
			break;
	list_add_tail(&c->waiting, &other->waiting);
}

bool client_must_wait(const struct client *c, const char *id)
{
	const struct client *other;

	list_for_each(other, &waiting, waiting) {
		if (other->conn >= c->conn)
			break;
		if (!strcmp(other->wait_id, id))
			return true;
	}
	return false;
}

/* It has its turn; true if it goes on waiting. */
static bool wake_one(struct client *c)
{
	if (c->verdict == VERDICT_PENDING)
		return true;
	c->state = CLIENT_ATTACHED;
	handle_connect(c, c->connect, c->connect_len, c->connect_event);
	if (c->state == CLIENT_WAITING)
		return true;
	list_del(&c->waiting);
	free(c->connect);
	c->connect = NULL;
	free(c->wait_id);
	c->wait_id = NULL;
	return false;
}

void client_wake(const char *id)
{
	struct client *c, *tmp;
	/* It may be that of a client that waits no longer. */
	char *copy = mem_strndup(id, strlen(id));

	/* Those behind one that waits have to wait, too. */
	list_for_each_safe(c, tmp, &waiting, waiting)
		if (!strcmp(c->wait_id, copy) && wake_one(c))
			break;
	free(copy);
}

void client_reopen(struct client *c)
{
	c->full = false;
	c->live_full = false;
	if (!c->session)
		return;
	deliver_reopen(c->conn);
	inflight_pump(c->session);
}

static void retry_one(struct client *c, void *arg)
{
	struct cause outer;

	if (!c->retry)
		return;
	c->retry = false;
	cause_begin(&outer);
	client_reopen(c);
	cause_end(&outer);
}

static void retry_all(evutil_socket_t fd, short what, void *arg)
{
	retry_armed = false;
	client_for_each(retry_one, NULL);
	event_settle();
}

void client_retry(struct client *c)
{
	struct timeval tv = { .tv_usec = RETRY_MS * 1000 };

	if (!c)
		return;
	c->retry = true;
	if (!retry_armed && base)
		retry_armed = !event_base_once(base, -1, EV_TIMEOUT, retry_all, NULL, &tv);
}

void client_gate_shut(struct client *c)
{
	if (c->gate_shut)
		return;
	c->gate_shut = true;
	list_add_tail(&c->gates, &gates);
}

bool client_gates_release(void)
{
	struct client *c, *tmp;
	struct cause outer;
	bool any = false;

	list_for_each_safe(c, tmp, &gates, gates) {
		if (c->session && c->state == CLIENT_OPEN &&
		    (c->sub || inflight_owes(c->session)))
			continue;
		list_del(&c->gates);
		c->gate_shut = false;
		/* Behind all that goes to it; nothing else has to be stored. */
		cause_begin(&outer);
		nl_begin(KMQTT_CMD_CONN_RELEASE);
		nl_put_u64(KMQTT_A_CONN, c->conn);
		nl_end(NULL, NULL);
		cause_end(&outer);
		any = true;
	}
	return any;
}

/* What the reason code of a DISCONNECT does not say by itself. */
static const char *reason_text(uint8_t reason)
{
	switch (reason) {
	case KMQTT_RC_RECEIVE_MAX_EXCEEDED:
		return "more QoS 2 messages without PUBREL than Receive Maximum";
	case KMQTT_RC_PACKET_TOO_LARGE:
		return "the answer would exceed the client's Maximum Packet Size";
	case KMQTT_RC_QUOTA:
		return "a limit of the broker is reached";
	case KMQTT_RC_ADMINISTRATIVE:
		return "disconnected by mqttctl";
	default:
		return NULL;
	}
}

static void put_disconnect(const struct client *c, uint8_t reason)
{
	struct packet_buf b = { 0 }, props = { 0 };
	const uint8_t *packet;
	size_t len;

	packet_put8(&b, reason);
	packet_put_reason(&props, c, 3, reason_text(reason), true);
	/* Without properties not even their length (3.14.2.2.1). */
	if (props.len)
		packet_put_props(&b, &props);
	packet = packet_finish(&b, KMQTT_DISCONNECT, &len);
	nl_put(KMQTT_A_ANSWER, packet, len);
	packet_buf_free(&b);
}

void client_close(struct client *c, uint64_t ack, uint8_t cause, uint8_t reason)
{
	nl_begin(KMQTT_CMD_CONN_CLOSE);
	nl_put_u64(KMQTT_A_CONN, c->conn);
	if (ack)
		nl_put_u64(KMQTT_A_ACK_EVENT, ack);
	/* Before CONNACK there is no DISCONNECT (3.14). */
	if (c->state == CLIENT_OPEN && c->protocol == KMQTT_V5)
		put_disconnect(c, reason);
	nl_put_u8(KMQTT_A_CAUSE, cause);
	nl_end(NULL, NULL);
	c->state = CLIENT_CLOSING;
	list_del(&c->waiting);
}

void client_fault(struct client *c, uint64_t ack, uint8_t reason)
{
	static const struct {
		uint8_t reason, cause;
	} causes[] = {
		{ KMQTT_RC_MALFORMED, KMQTT_CLOSE_MALFORMED },
		{ KMQTT_RC_TOPIC_NAME_INVALID, KMQTT_CLOSE_TOPIC_INVALID },
		{ KMQTT_RC_TOPIC_ALIAS_INVALID, KMQTT_CLOSE_ALIAS_INVALID },
		{ KMQTT_RC_PACKET_TOO_LARGE, KMQTT_CLOSE_TOO_LARGE },
		{ KMQTT_RC_RECEIVE_MAX_EXCEEDED, KMQTT_CLOSE_RECEIVE_MAX },
		{ KMQTT_RC_QUOTA, KMQTT_CLOSE_QUOTA },
	};
	uint8_t cause = KMQTT_CLOSE_PROTOCOL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(causes); i++)
		if (causes[i].reason == reason)
			cause = causes[i].cause;
	client_close(c, ack, cause, reason);
}

bool client_takes(const struct client *c, size_t len)
{
	return !c->max_packet || len <= c->max_packet;
}
