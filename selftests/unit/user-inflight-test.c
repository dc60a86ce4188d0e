// SPDX-License-Identifier: GPL-2.0
/*
 * Messages to a session: packet ids, Receive Maximum, order, what a new
 * connection gets again.  Deliveries end here instead of in the kernel.
 */
#include "unit.h"

#include <time.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "conf.h"
#include "deliver.h"
#include "frame.h"
#include "inflight.h"
#include "kmqtt.h"
#include "message.h"
#include "rib.h"
#include "session.h"

#define SENT_MAX	70000

static struct {
	struct outgoing *out;
	uint32_t round;
	uint16_t packet_id;
	bool dup;
} sent[SENT_MAX];
static size_t n_sent;

/* deliver.h, as far as sessions need it. */
void deliver_outgoing(struct outgoing *out)
{
	assert_true(n_sent < SENT_MAX);
	out->pending = true;
	sent[n_sent].out = outgoing_get(out);
	sent[n_sent].round = out->round;
	sent[n_sent].packet_id = out->packet_id;
	sent[n_sent++].dup = out->dup;
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

/* A configuration of these lines. */
static void use(const char *lines)
{
	char path[] = "/tmp/kmqtt-inflight-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	struct conf *conf;

	assert_non_null(f);
	fputs(lines, f);
	fclose(f);
	conf = conf_load(path, 0, stderr);
	unlink(path);
	assert_non_null(conf);
	conf_use(conf);
}

/* The kernel says @result of delivery @i. */
static void result(size_t i, uint8_t result)
{
	outgoing_result(sent[i].out, sent[i].round, result);
	outgoing_put(sent[i].out);
	sent[i].out = NULL;
}

static void results(size_t from, uint8_t all)
{
	size_t i;

	for (i = from; i < n_sent; i++)
		result(i, all);
}

static struct client *online(struct session *s, uint16_t window)
{
	struct client *c = client_new(1, 0, "peer");

	n_sent = 0;
	c->state = CLIENT_OPEN;
	c->protocol = KMQTT_V5;
	/* Nothing here tells the kernel. */
	c->is_volatile = true;
	s->window = window;
	s->expiry = SESSION_NEVER;
	c->session = s;
	session_online(s, c);
	return c;
}

static void offline(struct session *s)
{
	struct client *c = s->client;

	c->session = NULL;
	session_offline(s, NULL);
	client_free(c);
}

static void publish_until(struct session *s, uint8_t qos, const char *payload,
			  uint64_t expires)
{
	struct message_parts parts = {
		.topic = (const uint8_t *)"t",
		.topic_len = 1,
		.payload = (const uint8_t *)payload,
		.payload_len = (uint32_t)strlen(payload),
		.expires = expires,
		.qos = qos,
	};
	struct message *m = message_new(&parts);
	struct rib_dest d = { .session = s, .qos = qos };
	struct outgoing *out = inflight_add(&d, m, qos, false);

	if (out)
		deliver_outgoing(out);
	message_put(m);
}

static void publish(struct session *s, uint8_t qos, const char *payload)
{
	publish_until(s, qos, payload, 0);
}

/* As many in flight as packet ids: every step in constant time. */
static void test_many(void **state)
{
	struct session *s = session_new("many");
	clock_t begin = clock();
	unsigned int i;

	online(s, 65535);
	for (i = 0; i < 65535; i++)
		publish(s, 1, "x");
	assert_int_equal(n_sent, 65535);
	assert_int_equal(s->n_inflight, 65535);
	publish(s, 1, "waits");
	assert_int_equal(s->n_queue, 1);
	results(0, KMQTT_DEST_ACCEPTED);
	/* The last first: whoever walks the list walks all of it. */
	for (i = 65535; i; i--) {
		assert_int_equal(inflight_puback(s, (uint16_t)i), ACK_FITS);
		inflight_pump(s);
	}
	assert_int_equal(n_sent, 65536);
	assert_int_equal(sent[65535].packet_id, 65535);
	assert_int_equal(inflight_puback(s, 1), ACK_UNKNOWN);
	result(65535, KMQTT_DEST_ACCEPTED);
	assert_int_equal(inflight_puback(s, 65535), ACK_FITS);
	assert_true(inflight_settled(s));
	/* A walk for each would take minutes. */
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
	offline(s);
	session_free(s);
}

/* A packet id is used again only when it is free. */
static void test_ids(void **state)
{
	struct session *s = session_new("ids");
	unsigned int i;

	online(s, 2);
	publish(s, 1, "stays");
	for (i = 0; i < 65534; i++) {
		n_sent = 1;
		publish(s, 1, "goes");
		assert_int_not_equal(sent[1].packet_id, 0);
		assert_int_not_equal(sent[1].packet_id, sent[0].packet_id);
		result(1, KMQTT_DEST_ACCEPTED);
		assert_int_equal(inflight_puback(s, sent[1].packet_id), ACK_FITS);
	}
	n_sent = 1;
	publish(s, 1, "goes");
	assert_int_equal(sent[1].packet_id, sent[0].packet_id + 1);
	results(0, KMQTT_DEST_ACCEPTED);
	offline(s);
	session_free(s);
}

/* What comes late from the old connection's delivery is not of the new one. */
static void test_late_result(void **state)
{
	struct session *s = session_new("late");

	online(s, 10);
	publish(s, 1, "x");
	offline(s);
	assert_int_equal(s->n_owed, 1);
	{
		struct outgoing *old = sent[0].out;
		uint32_t round = sent[0].round;

		online(s, 10);
		inflight_pump(s);
		assert_int_equal(n_sent, 1);
		assert_true(sent[0].dup);
		outgoing_result(old, round, KMQTT_DEST_ACCEPTED);
		outgoing_put(old);
	}
	assert_true(inflight_owes(s));
	result(0, KMQTT_DEST_FULL);
	assert_true(inflight_owes(s));
	s->client->full = false;
	inflight_pump(s);
	assert_int_equal(n_sent, 2);
	result(1, KMQTT_DEST_ACCEPTED);
	assert_false(inflight_owes(s));
	offline(s);
	session_free(s);
}

/* Behind a refused delivery nothing passes; all go on in their order. */
static void test_full(void **state)
{
	struct session *s = session_new("full");
	size_t i;

	online(s, 10);
	for (i = 0; i < 3; i++)
		publish(s, 1, "x");
	results(0, KMQTT_DEST_FULL);
	publish(s, 1, "x");
	inflight_pump(s);
	assert_int_equal(n_sent, 3);
	assert_int_equal(s->n_queue, 1);
	s->client->live_full = false;
	inflight_pump(s);
	assert_int_equal(n_sent, 7);
	for (i = 0; i < 4; i++)
		assert_int_equal(sent[3 + i].packet_id, 1 + i);
	results(3, KMQTT_DEST_ACCEPTED);
	offline(s);
	session_free(s);
}

/* Which packet may answer which message. */
static void test_acks(void **state)
{
	struct session *s = session_new("acks");

	online(s, 10);
	publish(s, 1, "x");
	publish(s, 2, "y");
	results(0, KMQTT_DEST_ACCEPTED);
	assert_int_equal(inflight_pubrec(s, 1, false), ACK_WRONG);
	assert_int_equal(inflight_pubcomp(s, 1), ACK_WRONG);
	assert_int_equal(inflight_puback(s, 2), ACK_WRONG);
	assert_int_equal(inflight_pubcomp(s, 2), ACK_WRONG);
	assert_int_equal(inflight_pubrec(s, 3, false), ACK_UNKNOWN);
	assert_int_equal(inflight_puback(s, 1), ACK_FITS);
	assert_int_equal(inflight_pubrec(s, 2, false), ACK_FITS);
	assert_int_equal(inflight_pubrec(s, 2, false), ACK_FITS);
	assert_int_equal(inflight_pubcomp(s, 2), ACK_FITS);
	assert_int_equal(inflight_pubcomp(s, 2), ACK_UNKNOWN);
	publish(s, 2, "z");
	result(2, KMQTT_DEST_ACCEPTED);
	assert_int_equal(inflight_pubrec(s, 3, true), ACK_FITS);
	assert_true(inflight_settled(s));
	offline(s);
	session_free(s);
}

/* What has expired is not sent, is counted, and gives its room to others. */
static void test_expired(void **state)
{
	unsigned int max = conf_get()->max_queued_messages, i;
	struct session *s = session_new("expired");

	assert_in_range(max, 2, 100000);
	for (i = 0; i < max; i++)
		publish_until(s, 1, "x", i < max - 1 ? clock_ms() : 0);
	assert_int_equal(s->n_queue, max);
	assert_int_equal(s->expired, 0);
	/* One is enough. */
	publish(s, 1, "y");
	assert_int_equal(s->n_queue, max);
	assert_int_equal(s->expired, 1);
	assert_int_equal(s->dropped, 0);
	online(s, 10);
	inflight_pump(s);
	assert_int_equal(n_sent, 2);
	assert_int_equal(s->expired, max - 1);
	results(0, KMQTT_DEST_ACCEPTED);
	offline(s);
	/* Nobody gives room if the first goes on waiting. */
	for (i = 0; i <= max; i++)
		publish_until(s, 1, "x", i ? clock_ms() : 0);
	assert_int_equal(s->dropped, 1);
	session_free(s);
}

/* The limits in bytes: who exceeds them is the last. */
static void test_bytes(void **state)
{
	struct session *s = session_new("bytes");

	use("max_inflight_bytes 4\nmax_queued_bytes 3\nmax_queued_messages 0\n");
	online(s, 10);
	publish(s, 1, "123");
	publish(s, 1, "456");
	assert_int_equal(n_sent, 2);
	publish(s, 1, "78");
	publish(s, 1, "90");
	assert_int_equal(s->n_queue, 2);
	publish(s, 1, "no");
	assert_int_equal(s->n_queue, 2);
	assert_int_equal(s->dropped, 1);
	results(0, KMQTT_DEST_ACCEPTED);
	assert_int_equal(inflight_puback(s, 1), ACK_FITS);
	inflight_pump(s);
	/* 456 and 78. */
	assert_int_equal(n_sent, 3);
	result(2, KMQTT_DEST_ACCEPTED);
	offline(s);
	session_free(s);
	use("");
}

/* Sent again: in order, with DUP, and what is awaited is awaited since then. */
static void test_repeat(void **state)
{
	struct session *s = session_new("repeat");
	uint64_t since, now = clock_ms();

	online(s, 10)->protocol = KMQTT_V31;
	publish(s, 2, "a");
	publish(s, 2, "b");
	publish(s, 1, "c");
	assert_int_equal(inflight_waits_since(s), 0);
	results(0, KMQTT_DEST_ACCEPTED);
	since = inflight_waits_since(s);
	assert_true(since >= now);
	inflight_repeat(s, now - 1);
	assert_int_equal(n_sent, 3);
	while (clock_ms() == since)
		;
	inflight_repeat(s, clock_ms() - 1);
	assert_int_equal(n_sent, 6);
	assert_int_equal(sent[3].packet_id, 3);
	assert_int_equal(sent[4].packet_id, 1);
	assert_int_equal(sent[5].packet_id, 2);
	assert_true(sent[3].dup && sent[4].dup && sent[5].dup);
	results(3, KMQTT_DEST_ACCEPTED);
	assert_int_equal(inflight_waits_since(s), since);
	assert_int_equal(inflight_puback(s, 3), ACK_FITS);
	assert_int_equal(inflight_pubrec(s, 1, false), ACK_FITS);
	assert_int_equal(inflight_pubrec(s, 2, true), ACK_FITS);
	assert_true(inflight_waits_since(s) > since);
	assert_int_equal(inflight_pubcomp(s, 1), ACK_FITS);
	assert_int_equal(inflight_waits_since(s), 0);
	assert_true(inflight_settled(s));
	offline(s);
	session_free(s);
}

static int setup(void **state)
{
	use("");
	rib_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_late_result),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_acks),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_repeat),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
