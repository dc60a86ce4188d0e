// SPDX-License-Identifier: GPL-2.0
/*
 * Commands on their way to the kernel: what waits for the store, what may pass
 * it, and what may not.  The kernel and the store are doubles.
 */
#include "unit.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <sys/socket.h>

#include "cause.h"
#include "kmqtt.h"
#include "nl.h"
#include "store.h"

#define FAMILY	77

/* ---- the kernel ---------------------------------------------------------- */

static char sent[16384];
/* Datagrams to be received: the reply to GETFAMILY, and an acknowledgement. */
static uint8_t replies[2][256] __attribute__((aligned(4)));
static size_t n_replies, reply_len[2];

static void reply_put(uint16_t type, uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(replies[n_replies]);

	h->nlmsg_type = type;
	h->nlmsg_seq = seq;
	if (type == NLMSG_ERROR) {
		struct nlmsgerr *e = mnl_nlmsg_put_extra_header(h, sizeof(*e));

		e->error = 0;
	} else {
		mnl_nlmsg_put_extra_header(h, sizeof(struct genlmsghdr));
		mnl_attr_put_u16(h, CTRL_ATTR_FAMILY_ID, FAMILY);
	}
	reply_len[n_replies++] = h->nlmsg_len;
}

/* The connections a command names, in letters: A is 1. */
static void record(const struct nlmsghdr *h)
{
	const struct nlattr *a, *d;
	size_t len = strlen(sent);

	mnl_attr_for_each(a, h, GENL_HDRLEN) {
		if (mnl_attr_get_type(a) == KMQTT_A_CONN)
			sent[len++] = (char)('A' - 1 + nl_u64(a));
		if (mnl_attr_get_type(a) == KMQTT_A_TOPIC)
			sent[len++] = *(char *)mnl_attr_get_payload(a);
		if (mnl_attr_get_type(a) != KMQTT_A_DEST)
			continue;
		mnl_attr_for_each_nested(d, a)
			if (mnl_attr_get_type(d) == KMQTT_AD_CONN)
				sent[len++] = (char)('a' - 1 + nl_u64(d));
	}
	sent[len++] = ' ';
	sent[len] = '\0';
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
	       socklen_t addr_len)
{
	const struct nlmsghdr *h = buf;
	int left = (int)len;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_type == GENL_ID_CTRL)
			reply_put(GENL_ID_CTRL, h->nlmsg_seq);
		else if (!(h->nlmsg_flags & NLM_F_DUMP))
			record(h);
		if (h->nlmsg_flags & NLM_F_ACK)
			reply_put(NLMSG_ERROR, h->nlmsg_seq);
	}
	return (ssize_t)len;
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	size_t n = reply_len[0];

	if (!n_replies) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(buf, replies[0], n);
	memmove(replies[0], replies[1], sizeof(replies[1]));
	reply_len[0] = reply_len[1];
	n_replies--;
	return (ssize_t)n;
}

/* ---- the store ----------------------------------------------------------- */

static uint64_t ops, seq, committed;

bool store_is_open(void)
{
	return true;
}

uint64_t store_ops(void)
{
	return ops;
}

uint64_t store_seq(void)
{
	return seq > committed ? seq : 0;
}

/* An operation, in a batch of its own. */
static void store_something(void)
{
	ops++;
	seq++;
}

static void commit(void)
{
	committed = seq;
	nl_committed(seq);
	nl_flush();
}

/* ---- tests --------------------------------------------------------------- */

static struct cause outer;

static int setup(void **state)
{
	ops = 0;
	seq = 0;
	committed = 0;
	n_replies = 0;
	if (nl_open())
		return -1;
	sent[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	nl_close();
	return 0;
}

static void no_error(void *arg, int error, const struct nlmsghdr *reply, const char *text)
{
	assert_int_equal(error, 0);
}

static void command(char conn, const char *dests)
{
	nl_begin(KMQTT_CMD_DELIVER);
	if (conn)
		nl_put_u64(KMQTT_A_CONN, (uint64_t)(conn - 'A' + 1));
	for (; *dests; dests++) {
		nl_nest_begin(KMQTT_A_DEST);
		nl_put_u64(KMQTT_AD_CONN, (uint64_t)(*dests - 'a' + 1));
		nl_nest_end();
	}
	nl_end(no_error, NULL);
}

/* What follows from one event: @stores, and a command. */
static void event(bool stores, char conn, const char *dests)
{
	cause_begin(&outer);
	if (stores)
		store_something();
	command(conn, dests);
	cause_end(&outer);
}

static void expect(const char *want)
{
	nl_flush();
	assert_string_equal(sent, want);
	sent[0] = '\0';
}

static void test_wait(void **state)
{
	event(true, 'A', "");
	expect("");
	assert_true(nl_held());
	commit();
	expect("A ");
	assert_false(nl_held());
}

static void test_others_pass(void **state)
{
	event(true, 'A', "b");
	event(false, 'C', "");
	event(false, 'D', "ef");
	expect("C Def ");
	event(false, 'C', "");
	expect("C ");
	commit();
	expect("Ab ");
}

/* The same connection, in whatever part of the command, waits behind. */
static void test_connections(void **state)
{
	event(true, 'A', "bc");
	event(false, 'A', "");
	event(false, 'B', "");
	event(false, 'D', "c");
	/* And what has to do with those that wait for that reason. */
	event(false, 'D', "");
	event(false, 'E', "");
	expect("E ");
	commit();
	expect("Abc A B Dc D ");
	/* That is over. */
	store_something();
	event(true, 'F', "");
	event(false, 'A', "");
	expect("A ");
	commit();
	expect("F ");
}

/* One that was not sent when another began to wait keeps its place. */
static void test_before_wait(void **state)
{
	event(false, 'A', "");
	event(true, 'B', "");
	event(false, 'A', "");
	event(false, 'C', "");
	expect("C A ");
	expect("");
	commit();
	expect("B A ");
}

/* Events are asked for meanwhile: that has to do with nobody. */
static void test_dump(void **state)
{
	event(true, 'A', "");
	nl_dump_start(KMQTT_CMD_EVENTS_GET);
	event(false, 'B', "");
	nl_dump_start(KMQTT_CMD_EVENTS_GET);
	expect("B ");
	commit();
	expect("A ");
}

/* What has no cause of its own follows from all before it. */
static void test_no_cause(void **state)
{
	store_something();
	command('A', "");
	command('B', "");
	expect("");
	event(false, 'C', "");
	expect("C ");
	command('C', "");
	event(false, 'C', "");
	expect("");
	commit();
	expect("A B C C ");
}

static void test_after(void **state)
{
	event(true, 'A', "");
	/* Shows what waits for the store. */
	cause_begin(&outer);
	cause_after(store_seq());
	command('B', "");
	cause_end(&outer);
	/* Must not pass, for a reason that is not the store. */
	cause_begin(&outer);
	cause_stay();
	command('C', "");
	cause_end(&outer);
	expect("");
	commit();
	expect("A B C ");

	/* Also if there is no other command to wait behind. */
	store_something();
	cause_begin(&outer);
	cause_after(store_seq());
	command('D', "");
	cause_end(&outer);
	expect("");
	commit();
	expect("D ");
}

static void test_key(void **state)
{
	cause_begin(&outer);
	cause_key(1234);
	store_something();
	command('A', "");
	cause_end(&outer);

	cause_begin(&outer);
	cause_key(1234);
	command('B', "");
	cause_end(&outer);

	cause_begin(&outer);
	cause_key(4321);
	command('C', "");
	cause_end(&outer);
	/* Its key was its own. */
	event(false, 'D', "");
	expect("C D ");
	commit();
	expect("A B ");
}

/* Causes nest: what is inside is none of the outer one's. */
static void test_nested(void **state)
{
	struct cause outermost;

	event(true, 'A', "");
	cause_begin(&outermost);
	event(false, 'B', "");
	command('C', "");
	event(true, 'D', "");
	/* It may have been meant for the outer one as well. */
	command('E', "");
	cause_end(&outermost);
	expect("B C ");
	commit();
	expect("A D E ");
}

/* What is acknowledged to one may rest on what another was given before it. */
static void test_same_cause(void **state)
{
	event(true, 'A', "b");
	cause_begin(&outer);
	command('B', "");
	command('C', "");
	cause_end(&outer);
	cause_begin(&outer);
	command('D', "");
	command('E', "b");
	command('F', "");
	cause_end(&outer);
	/* Only of that cause. */
	event(false, 'D', "");
	event(false, 'G', "");
	expect("D D G ");
	commit();
	expect("Ab B C Eb F ");
}

static void test_names(void **state)
{
	assert_false(nl_names(1));
	event(true, 'A', "b");
	event(false, 'C', "");
	assert_true(nl_names(1));
	assert_true(nl_names(2));
	assert_false(nl_names(3));
	expect("C ");
	commit();
	assert_false(nl_names(1));
	expect("Ab ");
	/* What does not wait comes before all that follow. */
	event(false, 'A', "");
	assert_false(nl_names(1));
	expect("A ");
}

static void test_held_bytes(void **state)
{
	size_t before;
	int i;

	assert_int_equal(nl_held_bytes(), 0);
	event(true, 'A', "");
	before = nl_held_bytes();
	assert_true(before > 0);
	event(false, 'B', "");
	expect("B ");
	assert_int_equal(nl_held_bytes(), before);
	for (i = 0; i < 1000; i++)
		event(true, 'A', "");
	assert_true(nl_held_bytes() > before);
	/* Little in each of many batches takes little. */
	assert_true(nl_held_bytes() < 1000 * 16384);
	commit();
	memset(sent, 0, sizeof(sent));
	assert_int_equal(nl_held_bytes(), 0);
}

/* A message in pieces stays together. */
static void test_pieces(void **state)
{
	event(true, 'A', "");
	cause_begin(&outer);
	nl_begin(KMQTT_CMD_DELIVER);
	nl_together(true);
	nl_put_u32(KMQTT_A_MSG_FLAGS, KMQTT_MSG_F_MORE);
	nl_end(no_error, NULL);
	nl_begin(KMQTT_CMD_DELIVER);
	nl_together(false);
	nl_put_u64(KMQTT_A_CONN, 2);
	nl_end(no_error, NULL);
	cause_end(&outer);
	event(false, 'B', "");
	event(false, 'C', "");
	expect("C ");
	commit();
	expect("A  B B ");
}

static struct cause in_done;

/* The command's results come before what follows is sent; what it makes goes out. */
static void done(void *arg, int error, const struct nlmsghdr *reply, const char *text)
{
	assert_int_equal(error, 0);
	command('C', "");
}

static void test_results(void **state)
{
	event(true, 'A', "");
	cause_begin(&in_done);
	nl_begin(KMQTT_CMD_ROUTE_ADD);
	nl_put_u64(KMQTT_A_CONN, 2);
	nl_end(done, NULL);
	cause_end(&in_done);
	expect("B C ");
	commit();
	expect("A ");
}

/* What names no connection and is no message may matter to any. */
static void test_unknown(void **state)
{
	cause_begin(&outer);
	store_something();
	nl_begin(KMQTT_CMD_PARAM_SET);
	nl_end(no_error, NULL);
	cause_end(&outer);
	event(false, 'A', "");
	expect("");
	commit();
	expect(" A ");
	event(true, 'A', "");
	event(false, 'B', "");
	expect("B ");
	commit();
	expect("A ");
}

/* More connections than are listed: none keeps another later. */
static void test_many(void **state)
{
	uint64_t conn;

	event(true, 'A', "");
	for (conn = 100; conn < 5000; conn++) {
		cause_begin(&outer);
		store_something();
		nl_begin(KMQTT_CMD_DELIVER);
		nl_put_u64(KMQTT_A_SOURCE_CONN, conn);
		nl_end(no_error, NULL);
		cause_end(&outer);
	}
	for (conn = 4998; conn < 5002; conn++) {
		cause_begin(&outer);
		nl_begin(KMQTT_CMD_INJECT);
		nl_put_u64(KMQTT_A_SOURCE_CONN, conn);
		nl_put(KMQTT_A_TOPIC, conn < 5000 ? "h" : "p", 1);
		nl_end(no_error, NULL);
		cause_end(&outer);
	}
	expect("p p ");
	commit();
	memset(sent, 0, sizeof(sent));

	event(true, 'A', "");
	for (conn = 100; conn < 5000; conn += 700) {
		cause_begin(&outer);
		nl_begin(KMQTT_CMD_INJECT);
		nl_put_u64(KMQTT_A_SOURCE_CONN, conn);
		nl_put(KMQTT_A_TOPIC, "p", 1);
		nl_end(no_error, NULL);
		cause_end(&outer);
	}
	expect("p p p p p p p ");
	commit();
	expect("A ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_before_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_cause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nested, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_cause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_results, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return RUN(tests);
}
