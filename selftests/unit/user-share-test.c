// SPDX-License-Identifier: GPL-2.0
/*
 * Share groups at QoS 1 and 2: who gets a message, and who gets it when that
 * member goes.  Deliveries end here instead of in the kernel.
 */
#include "unit.h"

#include "client.h"
#include "clock.h"
#include "conf.h"
#include "deliver.h"
#include "frame.h"
#include "inflight.h"
#include "kmqtt.h"
#include "mem.h"
#include "message.h"
#include "../../user/publish.h"
#include "rib.h"
#include "session.h"

#define MEMBERS	3

/* Sessions a, b and c, and what the kernel was given for each. */
static struct session *member[MEMBERS];
static struct {
	struct outgoing *out[64];
	unsigned int n;
	unsigned int qos0;
} sent[MEMBERS];

static unsigned int index_of(uint64_t conn)
{
	assert_in_range(conn, 1, MEMBERS);
	return (unsigned int)conn - 1;
}

static void took(unsigned int i, struct outgoing *out)
{
	out->pending = true;
	sent[i].out[sent[i].n++] = outgoing_get(out);
}

/* deliver.h, as far as sessions need it. */
void deliver_outgoing(struct outgoing *out)
{
	took(index_of(out->session->client->conn), out);
}

void deliver_publish(const struct message *m, const struct delivery *v, size_t n,
		     const struct answer *a)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].out)
			took(index_of(v[i].conn), v[i].out);
		else
			sent[index_of(v[i].conn)].qos0++;
	}
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

void deliver_inject(struct message *m, const struct answer *a, inject_refused_t refused)
{
}

void deliver_retained_first(const char *filter)
{
}

void deliver_order(const char *topic, size_t len)
{
}

/* Forget what member @i was sent; the kernel has accepted it. */
static void accepted(unsigned int i)
{
	unsigned int k;

	for (k = 0; k < sent[i].n; k++) {
		outgoing_result(sent[i].out[k], sent[i].out[k]->round, KMQTT_DEST_ACCEPTED);
		outgoing_put(sent[i].out[k]);
	}
	sent[i].n = 0;
	sent[i].qos0 = 0;
}

/* The client of member @i acknowledges all it has, at either QoS. */
static void acknowledge(unsigned int i)
{
	struct outgoing *out, *tmp;
	uint16_t id;

	accepted(i);
	list_for_each_safe(out, tmp, &member[i]->inflight, node) {
		id = out->packet_id;
		if (out->qos == 1) {
			inflight_puback(member[i], id);
		} else {
			inflight_pubrec(member[i], id, false);
			inflight_pubcomp(member[i], id);
		}
	}
	inflight_pump(member[i]);
}

static void come(unsigned int i, uint16_t window)
{
	struct client *c = client_new(i + 1, 0, "peer");

	c->state = CLIENT_OPEN;
	c->protocol = KMQTT_V5;
	c->is_volatile = true;
	member[i]->window = window;
	member[i]->expiry = SESSION_NEVER;
	c->session = member[i];
	session_online(member[i], c);
	inflight_pump(member[i]);
}

static void go(unsigned int i)
{
	struct client *c = member[i]->client;

	/* What the kernel says afterwards concerns nobody. */
	c->session = NULL;
	session_offline(member[i], NULL);
	accepted(i);
	client_free(c);
}

static void end(unsigned int i)
{
	if (member[i]->client) {
		struct client *c = member[i]->client;

		c->session = NULL;
		member[i]->expiry = 0;
		session_offline(member[i], NULL);
		client_free(c);
	} else {
		session_free(member[i]);
	}
	member[i] = NULL;
	accepted(i);
}

static void subscribe(unsigned int i, const char *share, uint8_t qos)
{
	struct rib_options opts = { .qos = qos };
	bool existed;

	rib_add(member[i], share, "t", &opts, &existed);
}

/* Returns how many get it. */
static size_t publish_until(uint8_t qos, uint64_t expires)
{
	struct message_parts parts = {
		.topic = (const uint8_t *)"t",
		.topic_len = 1,
		.expires = expires,
		.qos = qos,
	};
	struct message *m = message_new(&parts);
	struct rib_dests dests = { 0 };
	size_t n;

	publish_match(m, NULL, &dests);
	n = dests.n;
	publish_send(m, &dests, NULL);
	message_put(m);
	return n;
}

static void publish_some(uint8_t qos, unsigned int n)
{
	while (n--)
		assert_int_equal(publish_until(qos, 0), 1);
}

/* All that member @i has, sent or not. */
static unsigned int has(unsigned int i)
{
	return member[i]->n_inflight + member[i]->n_queue;
}

static int setup(void **state)
{
	unsigned int i;
	char id[2] = "a";

	rib_init();
	for (i = 0; i < MEMBERS; i++, id[0]++) {
		member[i] = session_new(id);
		subscribe(i, "g", 2);
	}
	return 0;
}

static int teardown(void **state)
{
	unsigned int i;

	for (i = 0; i < MEMBERS; i++)
		accepted(i);
	clients_free();
	sessions_free();
	rib_free();
	return rib_count() || mem_charged() ? -1 : 0;
}

/* In turn, those who are connected only. */
static void test_balance(void **state)
{
	come(0, 100);
	come(2, 100);
	publish_some(1, 10);
	assert_int_equal(has(0), 5);
	assert_int_equal(has(1), 0);
	assert_int_equal(has(2), 5);
	come(1, 100);
	publish_some(2, 9);
	assert_int_equal(has(0), 8);
	assert_int_equal(has(1), 3);
	assert_int_equal(has(2), 8);
}

/* Who has taken all it may is passed over; if all have, they queue. */
static void test_window(void **state)
{
	come(0, 1);
	come(1, 4);
	publish_some(1, 5);
	assert_int_equal(member[0]->n_inflight, 1);
	assert_int_equal(member[1]->n_inflight, 4);
	publish_some(1, 3);
	assert_int_equal(member[0]->n_queue + member[1]->n_queue, 3);
	assert_int_equal(has(2), 0);
	acknowledge(0);
	assert_int_equal(member[0]->n_inflight, 1);
}

/* Nobody is there: it waits for one who will be, at QoS 0 for none. */
static void test_away(void **state)
{
	subscribe(0, "g", 0);
	publish_some(1, 4);
	assert_int_equal(has(0), 0);
	assert_int_equal(has(1), 2);
	assert_int_equal(has(2), 2);
	come(0, 100);
	publish_some(1, 1);
	assert_int_equal(sent[0].qos0, 1);
	assert_int_equal(has(1) + has(2), 4);
}

/* QoS 1: what was not acknowledged goes to one who is there. */
static void test_goes_qos1(void **state)
{
	come(0, 3);
	come(1, 100);
	publish_some(1, 4);
	accepted(0);
	acknowledge(1);
	assert_int_equal(has(0), 2);
	go(0);
	assert_int_equal(has(0), 0);
	assert_int_equal(sent[1].n, 2);
	assert_false(sent[1].out[0]->dup);
	acknowledge(1);
	assert_int_equal(has(1), 0);
}

/* If nobody is there it waits for who had it. */
static void test_goes_last(void **state)
{
	come(0, 3);
	publish_some(1, 5);
	accepted(0);
	go(0);
	assert_int_equal(has(0), 5);
	assert_int_equal(has(1) + has(2), 0);
	come(0, 3);
	assert_int_equal(sent[0].n, 3);
	assert_true(sent[0].out[0]->dup);
}

/* QoS 2: what it may have stays its own, what it cannot have goes (4.8.2). */
static void test_goes_qos2(void **state)
{
	come(0, 2);
	publish_some(2, 4);
	accepted(0);
	inflight_pubrec(member[0], 1, false);
	come(1, 100);
	go(0);
	assert_int_equal(member[0]->n_inflight, 2);
	assert_int_equal(member[0]->n_queue, 0);
	assert_int_equal(has(1), 2);
	come(0, 2);
	assert_int_equal(sent[0].n, 1);
	assert_int_equal(sent[0].out[0]->packet_id, 2);
	/* Its session ends: nobody else may have those. */
	end(0);
	assert_int_equal(has(1), 2);
}

/* The session ends: QoS 1 and what waits go even to those who are away. */
static void test_ends(void **state)
{
	come(0, 2);
	publish_some(1, 2);
	publish_some(2, 3);
	accepted(0);
	end(0);
	assert_int_equal(has(1) + has(2), 5);
	assert_in_range(has(1), 2, 3);
	/* One after the other, to the last. */
	end(1);
	assert_int_equal(has(2), 5);
	end(2);
	assert_int_equal(rib_count(), 0);
}

/* No limit of a queue takes what another queue was allowed. */
static void test_no_loss(void **state)
{
	unsigned int max = conf_get()->max_queued_messages;

	assert_true(max > 0);
	rib_del(rib_find(member[2], "g", "t"));
	publish_some(1, 2 * max);
	assert_int_equal(has(0) + has(1), 2 * max);
	publish_some(1, 1);
	assert_int_equal(has(0) + has(1), 2 * max);
	end(0);
	assert_int_equal(has(1), 2 * max);
}

/* Copies of its own subscriptions are nobody else's. */
static void test_plain(void **state)
{
	subscribe(0, NULL, 1);
	subscribe(0, "h", 1);
	come(0, 100);
	assert_int_equal(publish_until(1, 0), 3);
	assert_int_equal(has(0), 3);
	come(1, 100);
	go(0);
	/* That of "g" goes, "h" has no other member. */
	assert_int_equal(has(0), 2);
	assert_int_equal(has(1), 1);
}

/* A member that unsubscribes keeps what it has, and leaves it to the group. */
static void test_unsubscribe(void **state)
{
	come(0, 2);
	publish_some(1, 3);
	accepted(0);
	rib_del(rib_find(member[0], "g", "t"));
	assert_int_equal(has(0), 3);
	come(1, 100);
	publish_some(1, 1);
	assert_int_equal(has(1), 1);
	end(0);
	assert_int_equal(has(1), 4);
	/* The group may be gone before its messages are. */
	rib_del(rib_find(member[1], "g", "t"));
	rib_del(rib_find(member[2], "g", "t"));
	end(1);
	assert_int_equal(has(2), 0);
}

/* What has expired goes to nobody. */
static void test_expired(void **state)
{
	come(0, 1);
	assert_int_equal(publish_until(1, clock_ms()), 1);
	assert_int_equal(publish_until(1, clock_ms() + 100000), 1);
	come(1, 100);
	end(0);
	assert_int_equal(has(1), 1);
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

static int use_defaults(void **state)
{
	struct conf *conf = conf_load(NULL, 0, stderr);

	if (!conf)
		return -1;
	conf_use(conf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_balance),
		CASE(test_window),
		CASE(test_away),
		CASE(test_goes_qos1),
		CASE(test_goes_last),
		CASE(test_goes_qos2),
		CASE(test_ends),
		CASE(test_no_loss),
		CASE(test_plain),
		CASE(test_unsubscribe),
		CASE(test_expired),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, use_defaults, NULL);
}
