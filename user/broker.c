// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The broker: start, new sockets, stop, and what the control socket asks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker.h"
#include "client.h"
#include "clock.h"
#include "conf.h"
#include "copies.h"
#include "event.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "nl.h"
#include "overdue.h"
#include "packet.h"
#include "persist.h"
#include "pool.h"
#include "publish.h"
#include "readopt.h"
#include "retain.h"
#include "rib.h"
#include "session.h"
#include "stop.h"
#include "sys.h"

#define PEER_LEN	(INET6_ADDRSTRLEN + 16)
#define CONNECT_MAX	(512U << 10)	/* the kernel's limit of a CONNECT */

static uint64_t broker_started_at;

struct bind_result {
	int error;
	uint32_t version;
	uint64_t instance;
};

static void bind_done(void *arg, int error, const struct nlmsghdr *reply,
		      const char *text)
{
	const struct nlattr *tb[KMQTT_A_MAX + 1];
	struct bind_result *r = arg;

	r->error = error;
	if (error == -EPERM)
		log_err("not permitted to use the kmqtt module: start mqttd as root, in the initial user namespace");
	else if (error == -EBUSY)
		log_err("another mqttd serves this network namespace: stop it first (%s%s%s)",
			strerror(-error), *text ? ": " : "", text);
	else if (error)
		log_err("cannot bind to the kmqtt module: %s%s%s", strerror(-error),
			*text ? ": " : "", text);
	if (error || !reply)
		return;
	nl_attrs(reply, tb, KMQTT_A_MAX);
	r->version = nl_u32(tb[KMQTT_A_VERSION]);
	r->instance = nl_u64(tb[KMQTT_A_INSTANCE]);
}

/* @instance: of the module. */
static int broker_bind(uint64_t *instance)
{
	struct bind_result r = { .error = -EIO };
	int error = nl_open();

	if (error == -ENOENT) {
		log_err("the kernel module kmqtt is not loaded: run 'modprobe kmqtt'");
		return error;
	}
	if (error) {
		log_err("cannot open a netlink socket: %s", strerror(-error));
		return error;
	}
	nl_begin(KMQTT_CMD_DAEMON_BIND);
	nl_end(bind_done, &r);
	nl_flush();
	if (!r.error && r.version != KMQTT_GENL_VERSION) {
		log_err("kmqtt module version %u, mqttd version %u: install both of one release",
			r.version, KMQTT_GENL_VERSION);
		r.error = -EPROTONOSUPPORT;
	}
	if (r.error)
		nl_close();
	*instance = r.instance;
	return r.error;
}

static void param_set(const char *name, uint64_t value)
{
	nl_begin(KMQTT_CMD_PARAM_SET);
	nl_nest_begin(KMQTT_A_PARAM);
	nl_put_str(KMQTT_AN_NAME, name);
	nl_put_u64(KMQTT_AN_VALUE, value);
	nl_nest_end();
	nl_end(NULL, NULL);
}

/* Settings the kernel holds for all connections. */
static void params_apply(void)
{
	if (conf_get()->memory_limit)
		param_set("memory_limit", conf_get()->memory_limit);
	mem_limit(conf_get()->memory_limit);
}

/* What the store has, and what the kernel has. */
static int broker_load(struct event_base *base, uint64_t instance)
{
	int error;

	error = persist_open(instance, false);
	if (!error)
		error = persist_start(base);
	if (error)
		return error;
	error = readopt();
	if (error) {
		log_err("cannot take over from the kernel: %s", strerror(-error));
		return error;
	}
	persist_adopted();
	sessions_loaded();
	return 0;
}

int broker_load_only(void)
{
	uint64_t begin = clock_ms();
	int error;

	rib_init();
	retain_init(NULL);
	error = persist_open(0, true);
	if (!error)
		log_notice("loaded %zu sessions, %zu subscriptions, %zu retained messages in %.3f s",
			   session_count(), rib_count(), retain_count(),
			   (double)(clock_ms() - begin) / 1000);
	broker_free();
	return error;
}

int broker_start(struct event_base *base)
{
	uint64_t instance;
	int error;

	rib_init();
	retain_init(base);
	sessions_init(base);
	clients_init(base);
	inflight_start(base);
	overdue_init(base);
	stop_init(base);
	broker_started_at = (uint64_t)time(NULL);
	error = broker_bind(&instance);
	if (error)
		return error;
	params_apply();
	error = pool_start(base);
	if (!error)
		error = broker_load(base, instance);
	if (!error)
		error = event_start(base);
	if (error)
		return error;
	event_pull();
	event_settle();
	sys_start(base);
	return 0;
}

void broker_reload(void)
{
	params_apply();
	sys_reload();
	overdue_reload();
	event_settle();
}

void broker_stop(bool handover)
{
	stop_begin(handover);
}

bool broker_failed(void)
{
	return stop_has_failed();
}

void broker_free(void)
{
	sys_stop();
	event_stop();
	copies_free();
	pool_stop();
	persist_close();
	overdue_free();
	clients_free();
	sessions_free();
	inflight_stop();
	rib_free();
	retain_free();
	nl_close();
}

static void peer_format(const struct sockaddr *peer, char *buf, size_t size)
{
	char addr[INET6_ADDRSTRLEN] = "?";

	if (peer && peer->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

		inet_ntop(AF_INET, &in->sin_addr, addr, sizeof(addr));
		snprintf(buf, size, "%s:%u", addr, ntohs(in->sin_port));
	} else if (peer && peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
		const uint8_t *v4 = in6->sin6_addr.s6_addr + 12;

		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			inet_ntop(AF_INET, v4, addr, sizeof(addr));
		else
			inet_ntop(AF_INET6, &in6->sin6_addr, addr, sizeof(addr));
		snprintf(buf, size, IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ?
			 "%s:%u" : "[%s]:%u", addr, ntohs(in6->sin6_port));
	} else {
		snprintf(buf, size, "?");
	}
}

struct attach_result {
	int error;
	uint64_t conn;
};

static void attach_done(void *arg, int error, const struct nlmsghdr *reply,
			const char *text)
{
	const struct nlattr *tb[KMQTT_A_MAX + 1];
	struct attach_result *r = arg;

	r->error = error ? error : -EIO;
	if (error)
		log_warning("kernel refused a connection: %s%s%s", strerror(-error),
			    *text ? ": " : "", text);
	if (error || !reply)
		return;
	nl_attrs(reply, tb, KMQTT_A_MAX);
	r->conn = nl_u64(tb[KMQTT_A_CONN]);
	r->error = r->conn ? 0 : -EIO;
}

int broker_attach(int fd, unsigned int listener, const struct sockaddr *peer,
		  socklen_t peer_len)
{
	struct attach_result r = { .error = -EIO };
	uint32_t max_packet = conf_get()->max_packet_size;
	char name[PEER_LEN];

	(void)peer_len;
	peer_format(peer, name, sizeof(name));
	if (stop_begun())
		return -ESHUTDOWN;
	nl_urgent(true);
	nl_begin(KMQTT_CMD_CONN_ATTACH);
	nl_put_u32(KMQTT_A_FD, (uint32_t)fd);
	nl_put_u32(KMQTT_A_LISTENER, listener);
	nl_put_str(KMQTT_A_PEER, name);
	/* Before it is accepted, nobody may make us hold more than a CONNECT. */
	if (max_packet && max_packet < CONNECT_MAX)
		nl_put_u32(KMQTT_A_MAX_PACKET_IN, max_packet);
	nl_end(attach_done, &r);
	nl_urgent(false);
	/* The kernel has taken the socket when this returns. */
	nl_flush();
	if (!r.error)
		client_new(r.conn, listener, name);
	event_settle();
	return r.error;
}

static const char *state_text(const struct client *c)
{
	switch (c->state) {
	case CLIENT_ATTACHED:
		return "connecting";
	case CLIENT_WAITING:
		return "waiting";
	case CLIENT_AUTH:
		return "authenticating";
	case CLIENT_OPEN:
		return "connected";
	default:
		return "closing";
	}
}

static const char *protocol_text(uint8_t level)
{
	switch (level) {
	case KMQTT_V31:
		return "3.1";
	case KMQTT_V311:
		return "3.1.1";
	case KMQTT_V5:
		return "5.0";
	default:
		return "";
	}
}

static void json_session(cJSON *o, const struct session *s)
{
	cJSON_AddNumberToObject(o, "subscriptions", (double)s->n_subs);
	cJSON_AddNumberToObject(o, "session_expiry", s->expiry);
	cJSON_AddNumberToObject(o, "inflight", s->n_inflight);
	cJSON_AddNumberToObject(o, "queued", s->n_queue);
	cJSON_AddNumberToObject(o, "queued_bytes", (double)s->queue_bytes);
	cJSON_AddNumberToObject(o, "dropped", (double)s->dropped);
	cJSON_AddNumberToObject(o, "expired", (double)s->expired);
}

static cJSON *json_client(const struct client *c)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "id", c->id ? c->id : "");
	cJSON_AddNumberToObject(o, "conn", (double)c->conn);
	cJSON_AddStringToObject(o, "peer", c->peer);
	cJSON_AddNumberToObject(o, "listener", c->listener);
	cJSON_AddStringToObject(o, "state", state_text(c));
	cJSON_AddStringToObject(o, "protocol", protocol_text(c->protocol));
	if (c->username)
		cJSON_AddStringToObject(o, "username", c->username);
	cJSON_AddNumberToObject(o, "keepalive", c->keepalive);
	cJSON_AddNumberToObject(o, "connected_at", (double)c->connected_at);
	cJSON_AddBoolToObject(o, "will", !!c->will);
	if (c->session)
		json_session(o, c->session);
	return o;
}

static cJSON *json_offline(const struct session *s)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "id", s->id);
	cJSON_AddStringToObject(o, "state", "offline");
	cJSON_AddBoolToObject(o, "will", !!s->will);
	json_session(o, s);
	return o;
}

static void list_client(struct client *c, void *arg)
{
	cJSON_AddItemToArray(arg, json_client(c));
}

static void list_session(struct session *s, void *arg)
{
	if (!s->client)
		cJSON_AddItemToArray(arg, json_offline(s));
}

cJSON *broker_client_list(void)
{
	cJSON *a = cJSON_CreateArray();

	if (!a)
		return NULL;
	client_for_each(list_client, a);
	session_for_each(list_session, a);
	return a;
}

static void json_subscriptions(cJSON *o, const struct session *s)
{
	cJSON *a = cJSON_AddArrayToObject(o, "filters"), *f;
	const struct subscription *sub;

	list_for_each(sub, &s->subs, by_session) {
		f = cJSON_CreateObject();
		cJSON_AddStringToObject(f, "filter", sub->filter);
		if (sub->share)
			cJSON_AddStringToObject(f, "share", sub->share);
		cJSON_AddNumberToObject(f, "qos", sub->qos);
		cJSON_AddBoolToObject(f, "no_local",
				      (sub->flags & KMQTT_ROUTE_F_NO_LOCAL) != 0);
		cJSON_AddBoolToObject(f, "retain_as_published",
				      (sub->flags & KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED) != 0);
		if (sub->subid)
			cJSON_AddNumberToObject(f, "subscription_id", sub->subid);
		cJSON_AddItemToArray(a, f);
	}
}

cJSON *broker_client_show(const char *client_id)
{
	struct session *s = session_find(client_id);
	cJSON *o;

	if (!s)
		return NULL;
	o = s->client ? json_client(s->client) : json_offline(s);
	if (o)
		json_subscriptions(o, s);
	return o;
}

cJSON *broker_stats(void)
{
	cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	cJSON_AddNumberToObject(o, "started_at", (double)broker_started_at);
	cJSON_AddNumberToObject(o, "connections", (double)client_count());
	cJSON_AddNumberToObject(o, "sessions", (double)session_count());
	cJSON_AddNumberToObject(o, "subscriptions", (double)rib_count());
	cJSON_AddNumberToObject(o, "retained", (double)retain_count());
	cJSON_AddNumberToObject(o, "daemon_memory", (double)mem_charged());
	return o;
}

int broker_client_kick(const char *client_id, bool clean_session)
{
	struct session *s = session_find(client_id);
	int error = 0;

	if (!s)
		return -ENOENT;
	if (clean_session) {
		s->expiry = 0;
		session_store(s);
	}
	if (s->client) {
		if (s->client->state == CLIENT_OPEN)
			client_close(s->client, 0, KMQTT_CLOSE_DAEMON,
				     KMQTT_RC_ADMINISTRATIVE);
	} else if (clean_session) {
		session_free(s);
	} else {
		error = -ENOENT;
	}
	event_settle();
	return error;
}

/* Returns what is wrong with it, or NULL. */
static const char *publish_read(const uint8_t *packet, size_t len,
				struct message_parts *parts)
{
	struct kmqtt_publish pub;
	struct kmqtt_fixed fix;

	if (kmqtt_fixed_parse(packet, len, &fix) || fix.type != KMQTT_PUBLISH ||
	    fix.hdr_len + (size_t)fix.remaining != len)
		return "this is no PUBLISH packet";
	if (kmqtt_publish_parse(&fix, packet + fix.hdr_len, KMQTT_V5, &pub) ||
	    pub.alias || !pub.topic_len)
		return "topic or properties are not valid in MQTT 5.0";
	*parts = (struct message_parts){
		.topic = pub.topic,
		.topic_len = pub.topic_len,
		.props = pub.props,
		.props_len = pub.props_len,
		.payload = pub.payload,
		.payload_len = pub.payload_len,
		.qos = pub.qos,
		.retain = pub.retain,
	};
	if (pub.has_expiry)
		parts->expires = clock_ms() + pub.expiry * 1000ULL;
	return NULL;
}

const char *broker_publish(const uint8_t *packet, size_t len)
{
	struct message_parts parts;
	const char *wrong = publish_read(packet, len, &parts);
	struct message *m;

	if (wrong)
		return wrong;
	if (message_refusal(&parts))
		return "there is no room for it; see memory_limit in mqttd.conf(5)";
	m = message_new(&parts);
	publish(m, NULL, NULL);
	message_put(m);
	event_settle();
	return NULL;
}

struct stored_wait {
	void (*done)(void *arg);
	void *arg;
};

static void stored(void *arg, int error, const struct nlmsghdr *reply, const char *text)
{
	struct stored_wait *w = arg;

	w->done(w->arg);
	free(w);
}

/* Commands wait for the store, in order: one that does nothing tells when. */
void broker_when_stored(void (*done)(void *arg), void *arg)
{
	struct stored_wait *w = mem_zalloc(sizeof(*w));

	w->done = done;
	w->arg = arg;
	nl_begin(KMQTT_CMD_PARAM_GET);
	nl_end(stored, w);
	event_settle();
}
