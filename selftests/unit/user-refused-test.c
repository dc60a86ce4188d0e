// SPDX-License-Identifier: GPL-2.0
/*
 * A delivery that the kernel refuses, while others that were made before anyone
 * knew wait for the store.  The kernel's side of it is in sendto() and recv().
 */
#include "unit.h"
#include "user-store.h"

#include <linux/genetlink.h>

#include "client.h"
#include "conf.h"
#include "deliver.h"
#include "frame.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "nl.h"
#include "rib.h"
#include "session.h"

#define CONN	1
#define FAMILY	99
#define REPLIES	64
#define EXPIRY_MAX	4294967295000ULL	/* of A_EXPIRY */

/* Replies to come, one in a datagram. */
static struct {
	uint8_t data[256];
	size_t len;
} replies[REPLIES];
static size_t n_replies, next_reply;

/*
 * The connection's transmit list: room for @room deliveries; after one was
 * refused, or there was no memory for one, none is taken before the daemon has
 * said that it sends it again.
 */
static struct {
	unsigned int room;
	unsigned int no_memory;
	bool closed;
	uint64_t last;
	char got[64];
	size_t n_got;
} kernel;

static struct nlmsghdr *reply_begin(const struct nlmsghdr *h, uint16_t type)
{
	struct nlmsghdr *r;

	assert_true(n_replies < REPLIES);
	memset(&replies[n_replies], 0, sizeof(replies[0]));
	r = mnl_nlmsg_put_header(replies[n_replies].data);
	r->nlmsg_type = type;
	r->nlmsg_seq = h->nlmsg_seq;
	return r;
}

static void reply_end(struct nlmsghdr *r)
{
	replies[n_replies++].len = r->nlmsg_len;
}

static void reply_error(const struct nlmsghdr *h, int error)
{
	struct nlmsghdr *r = reply_begin(h, NLMSG_ERROR);
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(r, sizeof(*e));

	e->error = error;
	reply_end(r);
}

static void reply_full(const struct nlmsghdr *h)
{
	struct nlmsghdr *r = reply_begin(h, FAMILY);
	struct nlattr *nest;

	mnl_nlmsg_put_extra_header(r, GENL_HDRLEN);
	nest = mnl_attr_nest_start(r, KMQTT_A_DEST_RESULT);
	mnl_attr_put_u32(r, KMQTT_AD_INDEX, 0);
	mnl_attr_put_u8(r, KMQTT_AD_RESULT, KMQTT_DEST_FULL);
	mnl_attr_nest_end(r, nest);
	reply_end(r);
}

/* DELIVER of @payload with @number; 0 or -errno. */
static int deliver(const struct nlmsghdr *h, uint64_t number, char payload)
{
	if (kernel.no_memory) {
		kernel.no_memory--;
		kernel.closed = true;
		return -ENOMEM;
	}
	if (kernel.closed || !kernel.room) {
		kernel.closed = true;
		reply_full(h);
		return 0;
	}
	if (number <= kernel.last)
		return 0;
	kernel.last = number;
	kernel.room--;
	kernel.got[kernel.n_got++] = payload;
	return 0;
}

static int command(const struct nlmsghdr *h)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[KMQTT_A_MAX + 1], *dest[KMQTT_AD_MAX + 1];

	if (genl->cmd != KMQTT_CMD_DELIVER)
		return 0;
	nl_attrs(h, tb, KMQTT_A_MAX);
	if (nl_u32(tb[KMQTT_A_ACK_FLAGS]) & KMQTT_ACK_F_REOPEN && kernel.room)
		kernel.closed = false;
	if (!tb[KMQTT_A_DEST])
		return 0;
	if (nl_u64(tb[KMQTT_A_EXPIRY]) > EXPIRY_MAX)
		return -ERANGE;
	nl_nested(tb[KMQTT_A_DEST], dest, KMQTT_AD_MAX);
	return deliver(h, nl_u64(dest[KMQTT_AD_NUMBER]),
		       *(const char *)mnl_attr_get_payload(tb[KMQTT_A_PAYLOAD]));
}

static void family(const struct nlmsghdr *h)
{
	struct nlmsghdr *r = reply_begin(h, GENL_ID_CTRL);

	mnl_nlmsg_put_extra_header(r, GENL_HDRLEN);
	mnl_attr_put_u16(r, CTRL_ATTR_FAMILY_ID, FAMILY);
	reply_end(r);
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	const struct nlmsghdr *h = buf;
	int left = (int)len, error = 0;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_type == GENL_ID_CTRL)
			family(h);
		else
			error = command(h);
		if (error || h->nlmsg_flags & NLM_F_ACK)
			reply_error(h, error);
	}
	return (ssize_t)len;
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	size_t n;

	if (next_reply == n_replies) {
		next_reply = 0;
		n_replies = 0;
		errno = EAGAIN;
		return -1;
	}
	n = replies[next_reply].len;
	memcpy(buf, replies[next_reply++].data, n);
	return (ssize_t)n;
}

static struct session *session;

static void publish_until(const char *payload, uint64_t expires)
{
	struct message_parts parts = {
		.topic = (const uint8_t *)"t",
		.topic_len = 1,
		.payload = (const uint8_t *)payload,
		.payload_len = (uint32_t)strlen(payload),
		.expires = expires,
		.qos = 1,
	};
	struct message *m = message_new(&parts);
	struct rib_dest d = { .session = session, .qos = 1 };
	struct outgoing *ready = inflight_add(&d, m, 1, false);

	if (ready)
		deliver_outgoing(ready);
	message_put(m);
}

static void publish(const char *payload)
{
	publish_until(payload, 0);
}

/* There is room in the kernel for @n more, and the daemon hears of it. */
static void writable(unsigned int n)
{
	const struct kevent e = { .type = KMQTT_EV_WRITABLE, .conn = CONN };

	kernel.room = n;
	handle_event(&e);
	nl_flush();
}

static void got(const char *want)
{
	assert_int_equal(kernel.n_got, strlen(want));
	assert_memory_equal(kernel.got, want, strlen(want));
}

static int begin(void **state)
{
	struct client *c;

	if (setup(state))
		return -1;
	sessions_init(base);
	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(nl_open(), 0);
	start();
	c = client_new(CONN, 0, "peer");
	c->state = CLIENT_OPEN;
	c->protocol = KMQTT_V5;
	session = session_new("subscriber");
	session->window = 100;
	session->expiry = SESSION_NEVER;
	c->session = session;
	session_online(session, c);
	settle();
	nl_committed(committed);
	return 0;
}

static int end(void **state)
{
	struct client *c = session->client;

	c->session = NULL;
	session_offline(session, NULL);
	session_free(session);
	client_free(c);
	nl_close();
	return teardown(state);
}

/* What waits for the store does not overtake what was refused before. */
static void test_order(void **state)
{
	publish("a");
	settle();
	publish("b");
	publish("c");
	/* "a" is in the store: it goes out, alone, and is refused. */
	nl_committed(committed);
	nl_flush();
	got("");
	writable(10);
	got("a");
	settle();
	nl_committed(committed);
	nl_flush();
	got("abc");
}

/* Nor is it taken before, if the store is quicker than the news of the room. */
static void test_before_news(void **state)
{
	publish("a");
	settle();
	publish("b");
	nl_committed(committed);
	nl_flush();
	kernel.room = 10;
	settle();
	nl_committed(committed);
	nl_flush();
	got("");
	publish("c");
	settle();
	nl_committed(committed);
	nl_flush();
	got("");
	writable(10);
	settle();
	nl_committed(committed);
	nl_flush();
	got("abc");
}

/* There is room for one only: the second is refused again, and sent once more. */
static void test_again(void **state)
{
	publish("a");
	publish("b");
	settle();
	nl_committed(committed);
	nl_flush();
	writable(1);
	got("a");
	writable(1);
	got("ab");
	writable(1);
	got("ab");
}

/* Without memory for one, those behind it in the same batch wait, too. */
static void test_no_memory(void **state)
{
	publish("a");
	publish("b");
	kernel.room = 10;
	kernel.no_memory = 1;
	settle();
	nl_committed(committed);
	nl_flush();
	got("");
	writable(10);
	got("ab");
}

/*
 * The store's time may have stood still while the machine was off, so that more
 * is left of a message's than it can have had.
 */
static void test_expiry(void **state)
{
	kernel.room = 10;
	publish_until("a", clock_ms() + EXPIRY_MAX + 60000);
	settle();
	nl_committed(committed);
	nl_flush();
	got("a");
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, begin, end),
		cmocka_unit_test_setup_teardown(test_before_news, begin, end),
		cmocka_unit_test_setup_teardown(test_again, begin, end),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
		cmocka_unit_test_setup_teardown(test_expiry, begin, end),
	};

	return RUN(tests);
}

int main(void)
{
	conf_use(conf_load("/dev/null", 0, stderr));
	return in_folder(run_all);
}
