// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CONNECT: who may connect, under which client id, with which session.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <time.h>
#include <sys/random.h>

#include "auth.h"
#include "cause.h"
#include "client.h"
#include "conf.h"
#include "cookie.h"
#include "copies.h"
#include "deliver.h"
#include "event.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "nl.h"
#include "overdue.h"
#include "packet.h"
#include "password.h"
#include "persist.h"
#include "rib.h"
#include "route.h"
#include "session.h"
#include "stop.h"
#include "store.h"
#include "will.h"

#define ID_MAX_31	23	/* client id in 3.1 */
#define KEEPALIVE_MAX	65535	/* of max_keepalive: as good as none */
/* No reason codes: the judgement comes later, or when the client has said more. */
#define LATER		(-1)
#define MORE		(-2)
#define CONNACK_MIN	5	/* bytes, in 5.0 */

/**
 * struct attempt - a CONNECT that is being judged
 * @c: connection
 * @event: number of its event
 * @p: the packet
 * @listener: where it came in
 * @id: client id it will have
 * @assigned: we made it
 * @keepalive: the one in force
 * @will: its will
 */
struct attempt {
	struct client *c;
	uint64_t event;
	struct packet_connect p;
	const struct conf_listener *listener;
	char *id;
	bool assigned;
	uint16_t keepalive;
	struct will *will;
};

/* CONNACK return code of 3.x, 0 if there is none for it (3.1.1: 3.2.2.3). */
static uint8_t return_code(uint8_t reason)
{
	switch (reason) {
	case KMQTT_RC_UNSUPPORTED_VERSION:
		return 1;
	case KMQTT_RC_CLIENT_ID:
		return 2;
	case KMQTT_RC_SERVER_UNAVAILABLE:
	case KMQTT_RC_SERVER_BUSY:
	case KMQTT_RC_SERVER_SHUTTING_DOWN:
	case KMQTT_RC_QUOTA:
		return 3;
	case KMQTT_RC_BAD_CREDENTIALS:
		return 4;
	case KMQTT_RC_NOT_AUTHORIZED:
	case KMQTT_RC_BANNED:
		return 5;
	default:
		return 0;
	}
}

static uint8_t refusal_cause(uint8_t reason)
{
	switch (reason) {
	case KMQTT_RC_MALFORMED:
		return KMQTT_CLOSE_MALFORMED;
	case KMQTT_RC_PROTOCOL_ERROR:
		return KMQTT_CLOSE_PROTOCOL;
	case KMQTT_RC_QUOTA:
		return KMQTT_CLOSE_QUOTA;
	default:
		return KMQTT_CLOSE_DAEMON;
	}
}

/* What the reason code of a CONNACK does not say by itself. */
static const char *refusal_text(uint8_t reason)
{
	switch (reason) {
	case KMQTT_RC_PACKET_TOO_LARGE:
		return "the answer would exceed the client's Maximum Packet Size";
	case KMQTT_RC_QUOTA:
		return "a limit of the broker is reached";
	case KMQTT_RC_RETAIN_NOT_SUPPORTED:
		return "the will has RETAIN";
	case KMQTT_RC_QOS_NOT_SUPPORTED:
		return "the QoS of the will";
	default:
		return NULL;
	}
}

void connect_refuse(struct client *c, uint8_t level, uint64_t event, uint8_t reason)
{
	struct packet_buf b = { 0 }, props = { 0 };
	const uint8_t *connack;
	size_t len;

	packet_put8(&b, 0);
	packet_put8(&b, level == KMQTT_V5 ? reason : return_code(reason));
	if (level == KMQTT_V5) {
		packet_put_reason(&props, c, CONNACK_MIN, refusal_text(reason), true);
		packet_put_props(&b, &props);
	}
	connack = packet_finish(&b, KMQTT_CONNACK, &len);
	log_info("connection from %s refused: reason code 0x%02x", c->peer, reason);
	nl_begin(KMQTT_CMD_CONN_CLOSE);
	nl_put_u64(KMQTT_A_CONN, c->conn);
	if (event)
		nl_put_u64(KMQTT_A_ACK_EVENT, event);
	if (connack[3] && client_takes(c, len))
		nl_put(KMQTT_A_ANSWER, connack, len);
	nl_put_u8(KMQTT_A_CAUSE, refusal_cause(reason));
	nl_end(NULL, NULL);
	c->state = CLIENT_CLOSING;
	packet_buf_free(&b);
}

/* A random one, in the form of a UUID as Mosquitto's. */
static char *id_assign(const char *prefix)
{
	uint8_t r[16];
	char buf[64], *id;
	size_t n;

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r)) {
		log_err("no random numbers from the kernel");
		exit(EXIT_FAILURE);
	}
	r[6] = (r[6] & 0x0f) | 0x40;
	r[8] = (r[8] & 0x3f) | 0x80;
	snprintf(buf, sizeof(buf),
		 "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X",
		 r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10],
		 r[11], r[12], r[13], r[14], r[15]);
	n = prefix ? strlen(prefix) : 0;
	id = mem_zalloc(n + strlen(buf) + 1);
	if (n)
		memcpy(id, prefix, n);
	memcpy(id + n, buf, strlen(buf));
	return id;
}

/* Sets @a->id.  Returns 0 or a reason code. */
static int choose_id(struct attempt *a)
{
	const struct conf_security *sec = &a->listener->security;
	const struct packet_connect *p = &a->p;

	if (a->listener->use_username_as_clientid) {
		if (!p->username.p || !p->username.len)
			return KMQTT_RC_NOT_AUTHORIZED;
		a->id = mem_strndup(p->username.p, p->username.len);
		return 0;
	}
	if (p->level == KMQTT_V31 && (!p->id.len || (p->id.len > ID_MAX_31 &&
						     !conf_get()->allow_long_clientid_31)))
		return KMQTT_RC_CLIENT_ID;
	if (!p->id.len) {
		if (!sec->allow_zero_length_clientid)
			return KMQTT_RC_CLIENT_ID;
		if (p->level == KMQTT_V311 && !p->clean)
			return KMQTT_RC_CLIENT_ID;
		a->id = id_assign(sec->auto_id_prefix);
		a->assigned = true;
		return 0;
	}
	a->id = mem_strndup(p->id.p, p->id.len);
	return 0;
}

/* The password has been hashed. */
static void hashed(struct password_ticket *ticket, bool right)
{
	struct client *c = container_of(ticket, struct client, ticket);
	struct cause outer;

	c->verdict = right ? VERDICT_GOOD : VERDICT_BAD;
	if (c->state != CLIENT_WAITING)
		return;
	cause_begin(&outer);
	client_wake(c->wait_id);
	cause_end(&outer);
	event_settle();
}

/* As Mosquitto, a wrong password is "not authorized", not "bad user name". */
static int check_credentials(const struct attempt *a)
{
	const struct credentials who = {
		.user = a->p.username.p,
		.user_len = a->p.username.len,
		.password = a->p.password.p,
		.password_len = a->p.password.len,
	};

	if (!who.user)
		return a->listener->security.allow_anonymous ? 0 : KMQTT_RC_NOT_AUTHORIZED;
	if (a->c->verdict == VERDICT_NONE) {
		a->c->ticket.done = hashed;
		switch (password_ask(a->c->listener, &who, &a->c->ticket)) {
		case PASSWORD_LATER:
			a->c->verdict = VERDICT_PENDING;
			break;
		case PASSWORD_RIGHT:
			a->c->verdict = VERDICT_GOOD;
			break;
		case PASSWORD_WRONG:
			a->c->verdict = VERDICT_BAD;
			break;
		}
	}
	if (a->c->verdict == VERDICT_PENDING)
		return LATER;
	return a->c->verdict == VERDICT_GOOD ? 0 : KMQTT_RC_NOT_AUTHORIZED;
}

/* An AUTH exchange instead: the method says who the client is. */
static int check_auth(const struct attempt *a)
{
	const struct packet_str *user = &a->p.username;
	struct client *c = a->c;

	if (!c->auth)
		c->auth = auth_begin(auth_method_find(&a->p.auth_method), &a->p.auth_data);
	if (c->auth->result == AUTH_MORE)
		return MORE;
	if (c->auth->result == AUTH_FAILED)
		return KMQTT_RC_NOT_AUTHORIZED;
	/* A User Name besides must not be somebody else's. */
	if (user->p && (!c->auth->user || strlen(c->auth->user) != user->len ||
			memcmp(c->auth->user, user->p, user->len)))
		return KMQTT_RC_NOT_AUTHORIZED;
	return 0;
}

/* The client is asked for more, and its CONNECT kept until it has said it. */
static void ask_for_more(const struct attempt *a, const uint8_t *data, size_t len)
{
	struct client *c = a->c;

	if (!mem_room(len)) {
		mem_complain("a CONNECT", a->id);
		connect_refuse(c, KMQTT_V5, a->event, KMQTT_RC_QUOTA);
		return;
	}
	auth_keep_connect(c->auth, data, len);
	c->state = CLIENT_AUTH;
	auth_send(c, a->event, KMQTT_RC_CONTINUE_AUTHENTICATION);
}

static int choose_keepalive(struct attempt *a)
{
	uint16_t max = conf_get()->max_keepalive;

	a->keepalive = a->p.keepalive;
	if (!max || max == KEEPALIVE_MAX || (a->keepalive && a->keepalive <= max))
		return 0;
	if (a->p.level != KMQTT_V5)
		return KMQTT_RC_CLIENT_ID;
	a->keepalive = max;
	return 0;
}

/* The will's properties without its delay, which subscribers do not get. */
static uint32_t will_props_copy(uint8_t *dst, const struct packet_str *props)
{
	const uint8_t *p = props->p;
	struct kmqtt_prop prop;
	uint32_t n = 0;

	while (p && kmqtt_prop_next(&p, props->p + props->len, &prop) == 1) {
		if (prop.id == KMQTT_P_WILL_DELAY)
			continue;
		memcpy(dst + n, prop.raw, prop.raw_len);
		n += (uint32_t)prop.raw_len;
	}
	return n;
}

static int make_will(struct attempt *a)
{
	const struct packet_connect *p = &a->p;
	struct message_parts parts = {
		.mount = client_mount(a->c),
		.topic = p->will_topic.p,
		.topic_len = p->will_topic.len,
		.payload = p->will_payload.p,
		.payload_len = (uint32_t)p->will_payload.len,
		.qos = p->will_qos,
		.retain = p->will_retain,
	};
	struct will_terms terms = {
		.parts = &parts,
		.client_id = a->id,
		.delay = p->will_delay,
		.expiry = p->will_expiry,
		.has_expiry = p->has_will_expiry,
	};
	uint8_t *props;
	int reason;

	if (!p->has_will)
		return 0;
	if (p->will_qos > a->listener->max_qos)
		return KMQTT_RC_QOS_NOT_SUPPORTED;
	if (p->will_retain && !conf_get()->retain_available)
		return KMQTT_RC_RETAIN_NOT_SUPPORTED;
	props = mem_zalloc(p->will_props.len);
	parts.props = props;
	parts.props_len = will_props_copy(props, &p->will_props);
	reason = message_refusal(&parts);
	if (!reason)
		a->will = will_new(&terms);
	free(props);
	return reason;
}

/* Session Expiry Interval in force. */
static uint32_t choose_expiry(const struct packet_connect *p)
{
	if (p->level == KMQTT_V5)
		return session_expiry_limit(p->session_expiry);
	return p->clean ? 0 : session_expiry_limit(SESSION_NEVER);
}

static uint16_t our_receive_max(void)
{
	uint32_t n = conf_get()->max_inflight_messages;

	return n && n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}

static uint16_t choose_window(const struct packet_connect *p)
{
	uint16_t ours = our_receive_max();

	return p->receive_max < ours ? p->receive_max : ours;
}

/* In the order of Mosquitto, whose own tests compare bytes. */
static void connack_props(const struct attempt *a, struct packet_buf *b)
{
	const struct conf *conf = conf_get();
	uint32_t expiry = choose_expiry(&a->p);

	if (expiry != a->p.session_expiry) {
		packet_put8(b, KMQTT_P_SESSION_EXPIRY);
		packet_put32(b, expiry);
	}
	if (a->listener->max_topic_alias) {
		packet_put8(b, KMQTT_P_TOPIC_ALIAS_MAX);
		packet_put16(b, a->listener->max_topic_alias);
	}
	if (a->assigned) {
		packet_put8(b, KMQTT_P_ASSIGNED_CLIENT_ID);
		packet_put_str(b, a->id);
	}
	if (a->keepalive != a->p.keepalive) {
		packet_put8(b, KMQTT_P_SERVER_KEEP_ALIVE);
		packet_put16(b, a->keepalive);
	}
	if (!conf->retain_available) {
		packet_put8(b, KMQTT_P_RETAIN_AVAILABLE);
		packet_put8(b, 0);
	}
	if (conf->max_packet_size) {
		packet_put8(b, KMQTT_P_MAX_PACKET_SIZE);
		packet_put32(b, conf->max_packet_size);
	}
	if (our_receive_max() != UINT16_MAX) {
		packet_put8(b, KMQTT_P_RECEIVE_MAX);
		packet_put16(b, our_receive_max());
	}
	if (a->listener->max_qos < 2) {
		packet_put8(b, KMQTT_P_MAX_QOS);
		packet_put8(b, a->listener->max_qos);
	}
	if (a->c->auth)
		auth_props(b, a->c->auth);
}

static void connack_make(const struct attempt *a, bool present, struct packet_buf *b)
{
	struct packet_buf props = { 0 };

	/* 3.1 has no Session Present: reserved. */
	packet_put8(b, present && a->p.level != KMQTT_V31);
	packet_put8(b, 0);
	if (a->p.level == KMQTT_V5) {
		connack_props(a, &props);
		packet_put_props(b, &props);
	}
}

/* Session Present does not change how long it is. */
static bool connack_fits(const struct attempt *a)
{
	struct packet_buf b = { 0 };
	size_t len;

	if (!a->p.max_packet)
		return true;
	connack_make(a, false, &b);
	packet_finish(&b, KMQTT_CONNACK, &len);
	packet_buf_free(&b);
	return len <= a->p.max_packet;
}

/*
 * A session that is or was stored waits for the store with all that it is sent:
 * while the disk stalls, that counts as well.
 */
static bool has_room(const struct attempt *a)
{
	const struct session *s = session_find(a->id);
	size_t cost = session_cost(a->id);

	if (store_is_open() && (choose_expiry(&a->p) || (s && s->stored)))
		cost += nl_held_bytes() + store_backlog();
	return mem_room(cost);
}

/* Returns 0, a reason code, LATER or MORE. */
static int judge(struct attempt *a, const uint8_t *data, size_t len)
{
	struct kmqtt_fixed fix;
	int reason;

	if (kmqtt_fixed_parse(data, len, &fix))
		return KMQTT_RC_MALFORMED;
	reason = packet_connect_parse(data + fix.hdr_len, fix.remaining, &a->p);
	if (reason)
		return reason;
	a->c->protocol = a->p.level;
	a->c->max_packet = a->p.max_packet;
	a->c->problem_info = a->p.problem_info;
	a->listener = conf_listener_get(a->c->listener);
	if (!a->listener)
		return KMQTT_RC_SERVER_UNAVAILABLE;
	if (stop_begun())
		return KMQTT_RC_SERVER_SHUTTING_DOWN;
	if (a->p.auth_method.p && !auth_method_find(&a->p.auth_method))
		return KMQTT_RC_BAD_AUTH_METHOD;
	reason = choose_id(a);
	if (!reason)
		reason = a->p.auth_method.p ? check_auth(a) : check_credentials(a);
	if (!reason)
		reason = choose_keepalive(a);
	if (!reason && !has_room(a))
		reason = KMQTT_RC_QUOTA;
	if (!reason)
		reason = make_will(a);
	if (!reason && !connack_fits(a))
		reason = KMQTT_RC_PACKET_TOO_LARGE;
	return reason;
}

static void put_will(const struct client *c)
{
	uint8_t *data;
	size_t len;

	if (!c->will)
		return;
	data = will_encode(c->will, &len);
	nl_put(KMQTT_A_WILL, data, len);
	free(data);
}

/* What accept_done() must know. */
struct accepted {
	uint64_t conn;
	uint64_t event;
};

static void accept_done(void *arg, int error, const struct nlmsghdr *reply,
			const char *text)
{
	const struct accepted *who = arg;
	struct client *c = client_find(who->conn);

	/* A connection that is gone has its close event on the way. */
	if (error && error != -ENOBUFS && error != -ENOENT && error != -ESHUTDOWN && c) {
		log_err("kernel refused to accept client %s: %s%s%s", c->id,
			strerror(-error), *text ? ": " : "", text);
		/* It never was connected. */
		will_free(c->will);
		c->will = NULL;
		connect_refuse(c, c->protocol, who->event, KMQTT_RC_QUOTA);
	}
	free(arg);
}

static void put_limits(const struct attempt *a)
{
	const struct conf *conf = conf_get();

	nl_put_u8(KMQTT_A_PROTOCOL, a->p.level);
	nl_put_u16(KMQTT_A_KEEPALIVE, a->keepalive);
	nl_put_u8(KMQTT_A_MAX_QOS, a->listener->max_qos);
	nl_put_u8(KMQTT_A_RETAIN_AVAILABLE, conf->retain_available);
	if (conf->max_packet_size)
		nl_put_u32(KMQTT_A_MAX_PACKET_IN, conf->max_packet_size);
	if (a->p.max_packet)
		nl_put_u32(KMQTT_A_MAX_PACKET_OUT, a->p.max_packet);
	if (a->p.level != KMQTT_V5)
		return;
	nl_put_u16(KMQTT_A_ALIAS_MAX_IN, a->listener->max_topic_alias);
	nl_put_u16(KMQTT_A_ALIAS_MAX_OUT, a->p.alias_max);
	nl_put_u16(KMQTT_A_RECEIVE_MAX, our_receive_max());
}

static void send_accept(const struct attempt *a, bool present)
{
	struct client *c = a->c;
	struct cookie cookie = {
		.flags = (present ? 0 : COOKIE_F_NEW) |
			 (c->problem_info ? 0 : COOKIE_F_TERSE),
		.session_expiry = c->session->expiry,
		.connect_expiry = c->session_expiry,
		.window = c->session->window,
		.connected_at = c->connected_at,
	};
	uint8_t buf[COOKIE_MAX];
	uint32_t flags = c->auth ? KMQTT_ACK_F_AUTH_END : 0;
	const struct accepted who = { c->conn, a->event };
	struct packet_buf b = { 0 };
	const uint8_t *connack;
	size_t len;

	connack_make(a, present, &b);
	connack = packet_finish(&b, KMQTT_CONNACK, &len);
	nl_begin(KMQTT_CMD_CONN_ACCEPT);
	nl_put_u64(KMQTT_A_CONN, c->conn);
	nl_put_u64(KMQTT_A_ACK_EVENT, a->event);
	nl_put(KMQTT_A_ANSWER, connack, len);
	nl_put(KMQTT_A_CLIENT_ID, c->id, strlen(c->id));
	if (c->username)
		nl_put(KMQTT_A_USERNAME, c->username, strlen(c->username));
	if (*client_mount(c))
		nl_put(KMQTT_A_MOUNT_POINT, client_mount(c), strlen(client_mount(c)));
	put_limits(a);
	put_will(c);
	/* It goes on with what would be lost with us. */
	if (!c->session->stored && !inflight_settled(c->session)) {
		flags |= KMQTT_ACK_F_VOLATILE;
		c->is_volatile = true;
	}
	if (flags)
		nl_put_u32(KMQTT_A_ACK_FLAGS, flags);
	if (c->auth_method)
		strcpy(cookie.auth_method, c->auth_method->name);
	len = cookie_encode(&cookie, buf);
	nl_put(KMQTT_A_COOKIE, buf, len);
	/* Without a session nothing comes between CONNACK and live messages. */
	nl_put_u32(KMQTT_A_CONN_FLAGS,
		   (present ? 0 : KMQTT_CONN_F_RELEASE) |
		   (c->session_expiry ? 0 : KMQTT_CONN_F_NO_SESSION) |
		   (a->listener->disconnect_slow ? KMQTT_CONN_F_DROP_SLOW : 0));
	nl_end(accept_done, mem_dup(&who, sizeof(who)));
	packet_buf_free(&b);
}

/* Routes of a session that was there, then what waited for its client. */
static void resume(struct client *c)
{
	struct subscription *sub;

	list_for_each(sub, &c->session->subs, by_session)
		route_add(c->conn, sub, 0, NULL, NULL);
	copies_switch(c);
	client_gate_shut(c);
	inflight_resume(c->session);
	inflight_pump(c->session);
}

static void accept_client(struct attempt *a)
{
	struct client *c = a->c;
	struct session *s = session_find(a->id);
	bool present;

	/* Behind the end of who had the client id, and of its former session. */
	cause_key(client_key(a->id));
	cause_after(store_deleting(a->id));
	if (s && a->p.clean) {
		session_free(s);
		s = NULL;
	}
	/* An earlier daemon made it, but nobody was told. */
	present = s && !persist_marked(c->conn, a->event);
	if (!s)
		s = session_new(a->id);
	client_name(c, a->id);
	if (c->auth && c->auth->user)
		c->username = mem_strndup(c->auth->user, strlen(c->auth->user));
	else if (a->p.username.p)
		c->username = mem_strndup(a->p.username.p, a->p.username.len);
	c->auth_method = c->auth ? c->auth->method : NULL;
	c->session = s;
	c->state = CLIENT_OPEN;
	c->will = a->will;
	a->will = NULL;
	c->keepalive = a->keepalive;
	c->receive_max = our_receive_max();
	c->session_expiry = a->p.session_expiry;
	c->connected_at = (uint64_t)time(NULL);
	s->protocol = a->p.level;
	s->expiry = choose_expiry(&a->p);
	s->window = choose_window(&a->p);
	session_online(s, c);
	if (!present && s->stored)
		persist_mark(&(struct answer){ .conn = c->conn, .event = a->event });
	overdue_open(c);
	send_accept(a, present);
	auth_end(c->auth);
	c->auth = NULL;
	if (present)
		resume(c);
	if (conf_get()->connection_messages)
		log_notice("New client connected from %s as %s (p%d, c%d, k%u%s%s%s).",
			   c->peer, c->id, c->protocol == KMQTT_V5 ? 5 : c->protocol - 2,
			   a->p.clean, c->keepalive, c->username ? ", u'" : "",
			   c->username ? c->username : "", c->username ? "'" : "");
}

/* Is the client id in use?  The close event of who has it wakes us. */
static bool take_over(const struct client *c, const char *id)
{
	struct client *old = client_find_id(id);

	if (!old)
		return false;
	if (old->state != CLIENT_CLOSING) {
		log_info("client %s at %s is taken over by %s", old->id, old->peer,
			 c->peer);
		client_close(old, 0, KMQTT_CLOSE_TAKEOVER, KMQTT_RC_SESSION_TAKEN_OVER);
	}
	return true;
}

void handle_connect(struct client *c, const uint8_t *data, size_t len, uint64_t event)
{
	struct attempt a = { .c = c, .event = event };
	int reason;

	reason = judge(&a, data, len);
	if (reason == LATER || (!reason && client_must_wait(c, a.id)))
		client_wait(c, a.id, data, len, event);
	else if (reason == MORE)
		ask_for_more(&a, data, len);
	else if (reason)
		connect_refuse(c, a.p.level, event, (uint8_t)reason);
	else if (take_over(c, a.id))
		client_wait(c, a.id, data, len, event);
	else
		accept_client(&a);
	will_free(a.will);
	free(a.id);
}
