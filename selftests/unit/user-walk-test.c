// SPDX-License-Identifier: GPL-2.0
/*
 * Retained messages to new subscriptions: in slices, in step with what the
 * kernel and the window let out.  Deliveries end here instead of in the kernel.
 */
#include "unit.h"

#include <event2/event.h>

#include "client.h"
#include "clock.h"
#include "conf.h"
#include "deliver.h"
#include "event.h"
#include "frame.h"
#include "inflight.h"
#include "kmqtt.h"
#include "mem.h"
#include "message.h"
#include "retain.h"
#include "rib.h"
#include "session.h"
#include "walk.h"

#define SENT_MAX	70000
/* Nobody sends more than that before the loop or the kernel had a say. */
#define SLICE		128

static struct {
	struct outgoing *out;
	struct session *session;
	uint32_t round;
} sent[SENT_MAX];
static size_t n_sent;
static struct event_base *base;

/* deliver.h and event.h, as far as sessions need them. */
void deliver_outgoing(struct outgoing *out)
{
	assert_true(n_sent < SENT_MAX);
	out->pending = true;
	sent[n_sent].session = out->session;
	sent[n_sent].round = out->round;
	sent[n_sent++].out = outgoing_get(out);
}

void deliver_answer(const struct answer *a)
{
}

void deliver_volatile(uint64_t conn)
{
}

void deliver_reopen(uint64_t conn)
{
}

void deliver_publish(const struct message *m, const struct delivery *v, size_t n,
		     const struct answer *a)
{
}

void deliver_inject(struct message *m, const struct answer *a, inject_refused_t refused)
{
}

void deliver_retained_first(const char *filter)
{
}

void deliver_order(const char *topic, size_t len)
{
}

void event_settle(void)
{
}

/* The kernel says @all of every delivery from @from on. */
static void results(size_t from, uint8_t all)
{
	size_t i;

	for (i = from; i < n_sent; i++)
		outgoing_result(sent[i].out, sent[i].round, all);
}

static void forget_sent(void)
{
	size_t i;

	for (i = 0; i < n_sent; i++)
		outgoing_put(sent[i].out);
	n_sent = 0;
}

static const char *payload(size_t i)
{
	static char text[16];

	snprintf(text, sizeof(text), "%.*s", (int)sent[i].out->msg->payload_len,
		 (const char *)sent[i].out->msg->payload);
	return text;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

static struct session *online(const char *id, uint16_t window)
{
	static uint64_t conn;
	struct session *s = session_find(id);
	struct client *c = client_new(++conn, 0, "peer");

	if (!s)
		s = session_new(id);
	c->state = CLIENT_OPEN;
	c->protocol = KMQTT_V5;
	c->is_volatile = true;
	c->gate_shut = true;
	s->window = window;
	s->expiry = SESSION_NEVER;
	c->session = s;
	session_online(s, c);
	return s;
}

static void offline(struct session *s)
{
	struct client *c = s->client;

	c->session = NULL;
	c->gate_shut = false;
	session_offline(s, NULL);
	client_free(c);
}

static void gone(struct session *s)
{
	offline(s);
	session_free(s);
}

static void put(const char *topic, const char *value, uint8_t qos, const char *by)
{
	struct message_parts parts = {
		.topic = (const uint8_t *)topic,
		.topic_len = strlen(topic),
		.payload = (const uint8_t *)value,
		.payload_len = (uint32_t)strlen(value),
		.source_id = by,
		.qos = qos,
		.retain = true,
	};
	struct message *m = message_new(&parts);

	retain_set(m);
	message_put(m);
}

static void put_many(unsigned int n, uint8_t qos)
{
	char topic[16];

	while (n--) {
		snprintf(topic, sizeof(topic), "m/%u", n);
		put(topic, "v", qos, NULL);
	}
}

static struct subscription *subscribe(struct session *s, const char *filter, uint8_t qos)
{
	struct rib_options opts = { .qos = qos };
	struct subscription *sub;
	bool existed;

	sub = rib_add(s, NULL, filter, &opts, &existed);
	walk_add(sub, retain_clock());
	return sub;
}

static size_t charged;

static int setup(void **state)
{
	charged = mem_charged();
	retain_init(NULL);
	return 0;
}

static int teardown(void **state)
{
	forget_sent();
	retain_free();
	return mem_charged() == charged ? 0 : -1;
}

/* All of many, once each, never much at a time, in little memory. */
static void test_slices(void **state)
{
	struct session *s = online("slices", 10);
	size_t before, from;

	put_many(5000, 0);
	before = mem_charged();
	subscribe(s, "m/#", 0);
	inflight_pump(s);
	inflight_pump(s);
	assert_in_range(n_sent, 1, SLICE);
	assert_true(mem_charged() - before < 40000);
	for (from = 0; n_sent < 5000;) {
		size_t now = n_sent;

		assert_true(inflight_owes(s));
		/* Without results there is no end of it, but no progress either. */
		turn();
		turn();
		assert_in_range(n_sent - now, now == from ? 1 : 0, SLICE);
		assert_in_range(n_sent - from, 1, SLICE);
		results(from, KMQTT_DEST_ACCEPTED);
		from = n_sent;
	}
	turn();
	turn();
	assert_int_equal(n_sent, 5000);
	assert_false(inflight_owes(s));
	assert_true(inflight_settled(s));
	gone(s);
}

/* Walks of many sessions go on in turn, a few in each turn of the loop. */
static void test_turns(void **state)
{
	struct session *s[20];
	unsigned int got[20] = { 0 };
	size_t i, j;
	char id[8];

	put_many(2000, 0);
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		snprintf(id, sizeof(id), "t%zu", i);
		s[i] = online(id, 10);
		subscribe(s[i], "#", 0);
		inflight_pump(s[i]);
	}
	for (i = 0; i < 5; i++) {
		results(0, KMQTT_DEST_ACCEPTED);
		forget_sent();
		turn();
		assert_in_range(n_sent, 3 * SLICE, 4 * SLICE);
		for (j = 0; j < n_sent; j++)
			got[atoi(sent[j].session->id + 1)]++;
	}
	/* Everybody has had one. */
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		assert_in_range(got[i], SLICE - 4, SLICE);
		gone(s[i]);
	}
}

/* Nothing is lost or sent twice when the kernel has no room. */
static void test_full(void **state)
{
	struct session *s = online("full", 10);
	size_t first;

	put_many(300, 0);
	subscribe(s, "+/+", 0);
	inflight_pump(s);
	first = n_sent;
	results(0, KMQTT_DEST_FULL);
	turn();
	inflight_pump(s);
	assert_int_equal(n_sent, first);
	assert_true(inflight_owes(s));
	forget_sent();
	s->client->full = false;
	inflight_pump(s);
	results(0, KMQTT_DEST_ACCEPTED);
	while (inflight_owes(s)) {
		size_t now = n_sent;

		turn();
		assert_true(n_sent > now || !inflight_owes(s));
		results(now, KMQTT_DEST_ACCEPTED);
	}
	assert_int_equal(n_sent, 300);
	gone(s);
}

/* What is stored after the subscription comes live, so the old value stays away. */
static void test_newer(void **state)
{
	struct session *s = online("newer", 10);

	put("n/1", "old", 0, NULL);
	put("n/2", "old", 0, NULL);
	put("n/3", "old", 0, NULL);
	subscribe(s, "n/+", 0);
	put("n/2", "new", 0, NULL);
	put("n/4", "new", 0, NULL);
	inflight_pump(s);
	assert_int_equal(n_sent, 2);
	assert_string_equal(payload(0), "old");
	assert_string_equal(payload(1), "old");
	/* Nor does one go out late that had to wait. */
	results(0, KMQTT_DEST_FULL);
	put("n/1", "new", 0, NULL);
	s->client->full = false;
	inflight_pump(s);
	assert_int_equal(n_sent, 3);
	assert_string_equal(sent[2].out->msg->topic, "n/3");
	results(2, KMQTT_DEST_ACCEPTED);
	gone(s);
}

/* Asked for again: what came meanwhile waits behind the gate, or has passed it. */
static void newer_again(bool shut)
{
	struct session *s = online("newer", 10);
	struct subscription *sub;
	unsigned int i, news = 0, turns = 0;
	size_t now = 0;

	put_many(400, 0);
	sub = subscribe(s, "m/+", 0);
	inflight_pump(s);
	put("m/399", "new", 0, NULL);
	put("m/0", "new", 0, NULL);
	s->client->gate_shut = shut;
	walk_add(sub, retain_clock());
	while (inflight_owes(s)) {
		assert_true(++turns < 100);
		results(now, KMQTT_DEST_ACCEPTED);
		now = n_sent;
		turn();
	}
	for (i = 0; i < n_sent; i++)
		news += !strcmp(payload(i), "new");
	/* m/0 was sent before it changed, m/399 was still to come. */
	assert_int_equal(news, shut ? 0 : 3);
	assert_int_equal(n_sent, shut ? 797 : 800);
	gone(s);
}

static void test_newer_again(void **state)
{
	newer_again(true);
	forget_sent();
	newer_again(false);
}

/* The window holds QoS 1 back; the gate does not wait for it. */
static void test_window(void **state)
{
	struct session *s = online("window", 2);
	unsigned int i;

	put_many(6, 1);
	subscribe(s, "m/+", 1);
	inflight_pump(s);
	assert_int_equal(n_sent, 2);
	assert_true(inflight_owes(s));
	results(0, KMQTT_DEST_ACCEPTED);
	assert_false(inflight_owes(s));
	assert_false(inflight_settled(s));
	/* The next in line, m/2, is replaced while it waits. */
	put("m/2", "new", 1, NULL);
	assert_true(inflight_owes(s));
	turn();
	assert_false(inflight_owes(s));
	for (i = 0; i < n_sent; i++) {
		assert_string_equal(payload(i), "v");
		assert_int_equal(inflight_puback(s, sent[i].out->packet_id), ACK_FITS);
		inflight_pump(s);
		outgoing_result(sent[n_sent - 1].out, sent[n_sent - 1].round,
				KMQTT_DEST_ACCEPTED);
	}
	assert_int_equal(n_sent, 5);
	assert_true(inflight_settled(s));
	gone(s);
}

/* First what waited for the client, then the retained, then the live ones. */
static void test_order(void **state)
{
	struct session *s = online("order", 10);
	struct rib_dest d = { .session = s, .qos = 1 };
	struct message_parts parts = {
		.topic = (const uint8_t *)"m/x",
		.topic_len = 3,
		.payload = (const uint8_t *)"q",
		.payload_len = 1,
		.qos = 1,
	};
	struct message *m = message_new(&parts);

	put_many(3, 1);
	offline(s);
	assert_null(inflight_add(&d, m, 1, false));
	s = online("order", 1);
	subscribe(s, "m/+", 1);
	inflight_pump(s);
	assert_int_equal(n_sent, 1);
	assert_string_equal(payload(0), "q");
	assert_null(inflight_add(&d, m, 1, false));
	while (n_sent < 5) {
		size_t last = n_sent - 1;

		assert_int_equal(sent[last].out->retain, last && last < 4);
		outgoing_result(sent[last].out, sent[last].round, KMQTT_DEST_ACCEPTED);
		assert_int_equal(inflight_puback(s, sent[last].out->packet_id), ACK_FITS);
		inflight_pump(s);
		assert_int_equal(n_sent, last + 2);
	}
	assert_true(sent[4].out->live);
	message_put(m);
	gone(s);
}

/* A walk ends with its subscription; QoS 1 outlives the connection. */
static void test_ends(void **state)
{
	struct session *s = online("ends", 1);
	struct subscription *sub;

	put_many(4, 1);
	subscribe(s, "m/1", 0);
	sub = subscribe(s, "m/+", 1);
	rib_del(sub);
	assert_true(inflight_settled(s));
	sub = subscribe(s, "+/+", 1);
	offline(s);
	s = online("ends", 1);
	inflight_pump(s);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].out->qos, 1);
	results(0, KMQTT_DEST_ACCEPTED);
	rib_del(sub);
	assert_int_equal(inflight_puback(s, sent[0].out->packet_id), ACK_FITS);
	inflight_pump(s);
	assert_int_equal(n_sent, 1);
	assert_true(inflight_settled(s));
	gone(s);
}

/* One that asks again and again gets it again and again, but not for ever. */
static void test_again(void **state)
{
	struct session *s = online("again", 10);
	struct subscription *sub;
	unsigned int i;

	put("m/1", "v", 0, NULL);
	sub = subscribe(s, "m/1", 0);
	walk_add(sub, retain_clock());
	walk_add(sub, retain_clock());
	inflight_pump(s);
	assert_int_equal(n_sent, 3);
	assert_null(sub->walk);
	results(0, KMQTT_DEST_ACCEPTED);
	forget_sent();
	for (i = 0; i < 100; i++)
		walk_add(sub, retain_clock());
	inflight_pump(s);
	assert_int_equal(n_sent, 8);
	gone(s);
}

/* QoS, Subscription Identifier, No Local. */
static void test_options(void **state)
{
	struct session *s = online("options", 10);
	struct rib_options opts = {
		.qos = 1, .subid = 7, .flags = KMQTT_ROUTE_F_NO_LOCAL,
	};
	bool existed;

	put("o/1", "other", 2, "other");
	put("o/2", "own", 2, "options");
	put("o/3", "nobody", 0, NULL);
	walk_add(rib_add(s, NULL, "o/+", &opts, &existed), retain_clock());
	inflight_pump(s);
	assert_int_equal(n_sent, 2);
	assert_string_equal(payload(0), "nobody");
	assert_int_equal(sent[0].out->qos, 0);
	assert_string_equal(payload(1), "other");
	assert_int_equal(sent[1].out->qos, 1);
	assert_int_equal(sent[1].out->n_subids, 1);
	assert_int_equal(sent[1].out->subids[0], 7);
	assert_true(sent[1].out->retain);
	gone(s);
}

static int group_setup(void **state)
{
	struct conf *conf = conf_load(NULL, 0, stderr);

	assert_non_null(conf);
	conf_use(conf);
	rib_init();
	base = event_base_new();
	inflight_start(base);
	return 0;
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_slices), CASE(test_turns), CASE(test_full), CASE(test_newer),
		CASE(test_newer_again),
		CASE(test_window), CASE(test_order), CASE(test_ends), CASE(test_again),
		CASE(test_options),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
