// SPDX-License-Identifier: GPL-2.0
/*
 * From a client's packets to what it is answered: AUTH exchanges, and answers
 * within its Maximum Packet Size.  Commands end here instead of in the kernel.
 */
#include "unit.h"

#include "client.h"
#include "conf.h"
#include "event.h"
#include "frame.h"
#include "handle.h"
#include "kmqtt.h"
#include "nl.h"
#include "rib.h"
#include "session.h"
#include "../mqttd/auth_methods.c"

#define BYTES(s)	(s), sizeof(s) - 1
#define CONN		7

/**
 * struct command - the last command of its kind
 * @n: how many there were
 * @conn: of which connection
 * @event: what it acknowledges
 * @flags: KMQTT_ACK_F_*
 * @cause: of a close
 * @answer: packet for the client
 * @len: its length
 * @user: user name
 */
struct command {
	unsigned int n;
	uint64_t conn;
	uint64_t event;
	uint32_t flags;
	uint8_t cause;
	uint8_t answer[512];
	size_t len;
	char user[64];
};

static struct command commands[64], *now;
static uint64_t last_event;

/* Whom to tell that a command was done, later as in life. */
static struct {
	nl_done_t done;
	void *arg;
} waiting[64];
static size_t n_waiting;

void nl_begin(uint8_t cmd)
{
	unsigned int n = commands[cmd].n;

	now = &commands[cmd];
	memset(now, 0, sizeof(*now));
	now->n = n + 1;
}

void nl_put(uint16_t type, const void *data, size_t len)
{
	if (type == KMQTT_A_ANSWER) {
		assert_true(len <= sizeof(now->answer));
		memcpy(now->answer, data, len);
		now->len = len;
	} else if (type == KMQTT_A_USERNAME) {
		memcpy(now->user, data, len);
	}
}

void nl_put_u8(uint16_t type, uint8_t value)
{
	if (type == KMQTT_A_CAUSE)
		now->cause = value;
}

void nl_put_u16(uint16_t type, uint16_t value)
{
}

void nl_put_u32(uint16_t type, uint32_t value)
{
	if (type == KMQTT_A_ACK_FLAGS)
		now->flags = value;
}

void nl_put_u64(uint16_t type, uint64_t value)
{
	if (type == KMQTT_A_CONN)
		now->conn = value;
	else if (type == KMQTT_A_ACK_EVENT)
		now->event = value;
}

void nl_put_str(uint16_t type, const char *s)
{
}

void nl_nest_begin(uint16_t type)
{
}

void nl_nest_end(void)
{
}

void nl_end(nl_done_t done, void *arg)
{
	assert_true(n_waiting < ARRAY_SIZE(waiting));
	waiting[n_waiting].done = done;
	waiting[n_waiting++].arg = arg;
}

static void all_done(void)
{
	size_t i;

	for (i = 0; i < n_waiting; i++)
		if (waiting[i].done)
			waiting[i].done(waiting[i].arg, 0, NULL, "");
	n_waiting = 0;
}

void nl_flush(void)
{
}

bool nl_held(void)
{
	return false;
}

size_t nl_held_bytes(void)
{
	return 0;
}

bool nl_names(uint64_t conn)
{
	return false;
}

bool nl_backlog(void)
{
	return false;
}

bool nl_dumping(void)
{
	return false;
}

void nl_committed(uint64_t seq)
{
}

void nl_fence(void)
{
}

void nl_urgent(bool on)
{
}

void nl_together(bool on)
{
}

int nl_open(void)
{
	return 0;
}

void nl_close(void)
{
}

int nl_fd(void)
{
	return -1;
}

int nl_dump(uint8_t cmd, nl_dump_t each, void *arg)
{
	return 0;
}

void nl_dump_start(uint8_t cmd)
{
}

enum nl_received nl_receive(nl_dump_t each, void *arg)
{
	return NL_NOTHING;
}

void nl_attrs(const struct nlmsghdr *msg, const struct nlattr **tb, uint16_t max)
{
}

void nl_nested(const struct nlattr *nest, const struct nlattr **tb, uint16_t max)
{
}

char *nl_parts(const struct nlmsghdr *msg, uint16_t type, size_t *len)
{
	return NULL;
}

uint64_t nl_u64(const struct nlattr *a)
{
	return 0;
}

uint32_t nl_u32(const struct nlattr *a)
{
	return 0;
}

uint16_t nl_u16(const struct nlattr *a)
{
	return 0;
}

uint8_t nl_u8(const struct nlattr *a)
{
	return 0;
}

/* The client sends a packet. */
static void sends(const char *bytes, size_t len)
{
	const struct kevent e = {
		.type = KMQTT_EV_PACKET,
		.conn = CONN,
		.number = ++last_event,
		.data = (uint8_t *)exact(bytes, len),
		.len = len,
	};

	memset(commands, 0, sizeof(commands));
	handle_event(&e);
	all_done();
}

/* It is answered this, by that command, which acknowledges what it sent. */
static void answered(uint8_t cmd, uint32_t flags, const char *bytes, size_t len)
{
	const struct command *c = &commands[cmd];

	assert_int_equal(c->n, 1);
	assert_int_equal(c->conn, CONN);
	assert_int_equal(c->event, last_event);
	assert_int_equal(c->flags & (KMQTT_ACK_F_AUTH | KMQTT_ACK_F_AUTH_END), flags);
	assert_int_equal(c->len, len);
	assert_memory_equal(c->answer, bytes, len);
}

/* It is refused: CONNACK or DISCONNECT with @reason as byte @at, and the end. */
static void refused(unsigned int at, uint8_t type, uint8_t reason)
{
	const struct command *c = &commands[KMQTT_CMD_CONN_CLOSE];

	assert_int_equal(c->n, 1);
	assert_int_equal(c->event, last_event);
	assert_int_equal(c->answer[0] >> 4, type);
	assert_int_equal(c->answer[at], reason);
	assert_int_equal(commands[KMQTT_CMD_CONN_ACCEPT].n, 0);
	assert_int_equal(commands[KMQTT_CMD_DELIVER].n, 0);
}

static void gone(void)
{
	const struct kevent e = {
		.type = KMQTT_EV_CLOSE,
		.conn = CONN,
		.number = ++last_event,
		.cause = KMQTT_CLOSE_EOF,
	};

	handle_event(&e);
	all_done();
	assert_null(client_find(CONN));
}

static void come(void)
{
	client_new(CONN, 0, "peer");
}

/* TEST-ROUNDS and some data. */
#define PROPS(data_len, data) \
	"\x15\0\x0bTEST-ROUNDS\x16\0" data_len data

static void begins(void)
{
	come();
	sends(BYTES("\x10\x25\0\4MQTT\5\2\0\0\x16" PROPS("\5", "alice") "\0\2id"));
	answered(KMQTT_CMD_DELIVER, KMQTT_ACK_F_AUTH,
		 BYTES("\xf0\x14\x18\x12" PROPS("\1", "1")));
	assert_int_equal(client_find(CONN)->state, CLIENT_AUTH);
	assert_null(session_find("id"));
}

static void joins(void)
{
	begins();
	sends(BYTES("\xf0\x19\x18\x17" PROPS("\6", "alice1")));
	answered(KMQTT_CMD_DELIVER, KMQTT_ACK_F_AUTH,
		 BYTES("\xf0\x14\x18\x12" PROPS("\1", "2")));
	sends(BYTES("\xf0\x19\x18\x17" PROPS("\6", "alice2")));
	assert_int_equal(client_find(CONN)->state, CLIENT_OPEN);
	assert_null(client_find(CONN)->auth);
}

static void test_connect(void **state)
{
	const struct command *c = &commands[KMQTT_CMD_CONN_ACCEPT];
	static const char tail[] = PROPS("\7", "welcome");

	joins();
	assert_int_equal(c->n, 1);
	assert_int_equal(c->event, last_event);
	assert_true(c->flags & KMQTT_ACK_F_AUTH_END);
	assert_string_equal(c->user, "alice");
	assert_int_equal(c->answer[0], 0x20);
	assert_int_equal(c->answer[3], 0);
	assert_memory_equal(c->answer + c->len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	gone();
}

static void test_connect_wrong(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		uint8_t reason;
	} cases[] = {
		/* wrong data, none; another method, none; not 0x18 */
		{ BYTES("\xf0\x17\x18\x15" PROPS("\4", "bob1")), KMQTT_RC_NOT_AUTHORIZED },
		{ BYTES("\xf0\x10\x18\x0e\x15\0\x0bTEST-ROUNDS"), KMQTT_RC_NOT_AUTHORIZED },
		{ BYTES("\xf0\x0e\x18\x0c\x15\0\x09TEST-ONCE"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\xf0\2\x18\0"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\xf0\x19\x19\x17" PROPS("\6", "alice1")), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\xf0\0"), KMQTT_RC_PROTOCOL_ERROR },
		/* anything else */
		{ BYTES("\xc0\0"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\x30\4\0\1t\0"), KMQTT_RC_PROTOCOL_ERROR },
		{ BYTES("\x10\x0f\0\4MQTT\5\2\0\0\0\0\2id"), KMQTT_RC_PROTOCOL_ERROR },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begins();
		sends(cases[i].bytes, cases[i].len);
		refused(3, KMQTT_CONNACK, cases[i].reason);
		gone();
	}
	come();
	sends(BYTES("\x10\x13\0\4MQTT\5\2\0\0\4\x15\0\1x\0\2id"));
	refused(3, KMQTT_CONNACK, KMQTT_RC_BAD_AUTH_METHOD);
	gone();
	assert_null(session_find("id"));
}

static void test_at_once(void **state)
{
	come();
	sends(BYTES("\x10\x24\0\4MQTT\5\2\0\0\x15\x15\0\x09TEST-ONCE\x16\0\6sesame\0\2id"));
	assert_int_equal(commands[KMQTT_CMD_CONN_ACCEPT].n, 1);
	gone();
	come();
	sends(BYTES("\x10\x24\0\4MQTT\5\2\0\0\x15\x15\0\x09TEST-ONCE\x16\0\6please\0\2id"));
	refused(3, KMQTT_CONNACK, KMQTT_RC_NOT_AUTHORIZED);
	gone();
}

static void test_anew(void **state)
{
	unsigned int i;

	joins();
	for (i = 0; i < 2; i++) {
		sends(BYTES("\xf0\x18\x19\x16" PROPS("\5", "alice")));
		answered(KMQTT_CMD_DELIVER, KMQTT_ACK_F_AUTH,
			 BYTES("\xf0\x14\x18\x12" PROPS("\1", "1")));
		/* Other packets go on, and say nothing of it. */
		sends(BYTES("\x62\2\0\5"));
		answered(KMQTT_CMD_DELIVER, 0, BYTES("\x70\3\0\5\x92"));
		sends(BYTES("\xf0\x19\x18\x17" PROPS("\6", "alice1")));
		sends(BYTES("\xf0\x19\x18\x17" PROPS("\6", "alice2")));
		answered(KMQTT_CMD_DELIVER, KMQTT_ACK_F_AUTH_END,
			 BYTES("\xf0\x1a\0\x18" PROPS("\7", "welcome")));
	}
	gone();
}

static void test_anew_wrong(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{ BYTES("\xf0\x16\x19\x14\x15\0\x09TEST-ONCE\x16\0\5sesam") },
		{ BYTES("\xf0\x19\x18\x17" PROPS("\6", "alice1")) },
		{ BYTES("\xf0\0") },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		joins();
		sends(cases[i].bytes, cases[i].len);
		refused(2, KMQTT_DISCONNECT, KMQTT_RC_PROTOCOL_ERROR);
		gone();
	}
	/* As somebody else. */
	joins();
	sends(BYTES("\xf0\x16\x19\x14" PROPS("\3", "bob")));
	sends(BYTES("\xf0\x17\x18\x15" PROPS("\4", "bob1")));
	sends(BYTES("\xf0\x17\x18\x15" PROPS("\4", "bob2")));
	refused(2, KMQTT_DISCONNECT, KMQTT_RC_NOT_AUTHORIZED);
	gone();
	/* Twice at once. */
	joins();
	sends(BYTES("\xf0\x18\x19\x16" PROPS("\5", "alice")));
	sends(BYTES("\xf0\x18\x19\x16" PROPS("\5", "alice")));
	refused(2, KMQTT_DISCONNECT, KMQTT_RC_PROTOCOL_ERROR);
	gone();
}

/* A client without a method has none to authenticate with again. */
static void test_without_method(void **state)
{
	come();
	sends(BYTES("\x10\x0f\0\4MQTT\5\2\0\0\0\0\2id"));
	assert_int_equal(commands[KMQTT_CMD_CONN_ACCEPT].n, 1);
	sends(BYTES("\xf0\x18\x19\x16" PROPS("\5", "alice")));
	refused(2, KMQTT_DISCONNECT, KMQTT_RC_PROTOCOL_ERROR);
	gone();
}

/* CONNECT with a Maximum Packet Size of @max. */
static void connects_within(uint8_t max)
{
	char packet[] = "\x10\x14\0\4MQTT\5\2\0\0\5\x27\0\0\0?\0\2id";

	packet[17] = (char)max;
	come();
	sends(packet, sizeof(packet) - 1);
}

static void test_packet_size(void **state)
{
	size_t fits;

	connects_within(255);
	fits = commands[KMQTT_CMD_CONN_ACCEPT].len;
	assert_true(fits > 5);
	gone();
	connects_within((uint8_t)fits);
	assert_int_equal(commands[KMQTT_CMD_CONN_ACCEPT].n, 1);
	/* A SUBACK of 11 bytes, one more than it takes; the last that it does. */
	client_find(CONN)->max_packet = 10;
	sends(BYTES("\x82\x17\0\1\0\0\1a\0\0\1b\0\0\1c\0\0\1d\0\0\1e\0"));
	assert_int_equal(commands[KMQTT_CMD_DELIVER].len, 10);
	sends(BYTES("\x82\x1b\0\1\0\0\1a\0\0\1b\0\0\1c\0\0\1d\0\0\1e\0\0\1f\0"));
	refused(2, KMQTT_DISCONNECT, KMQTT_RC_PACKET_TOO_LARGE);
	assert_int_equal(commands[KMQTT_CMD_CONN_CLOSE].len, 3);
	gone();
	connects_within((uint8_t)(fits - 1));
	refused(3, KMQTT_CONNACK, KMQTT_RC_PACKET_TOO_LARGE);
	assert_int_equal(commands[KMQTT_CMD_CONN_CLOSE].len, 5);
	gone();
	connects_within(4);
	assert_int_equal(commands[KMQTT_CMD_CONN_CLOSE].n, 1);
	assert_int_equal(commands[KMQTT_CMD_CONN_CLOSE].len, 0);
	gone();
}

/* Nobody is subscribed: PUBACK tells. */
static void test_no_subscribers(void **state)
{
	come();
	sends(BYTES("\x10\x0f\0\4MQTT\5\2\0\0\0\0\2id"));
	sends(BYTES("\x32\6\0\1t\0\1\0"));
	answered(KMQTT_CMD_DELIVER, 0, BYTES("\x40\3\0\1\x10"));
	sends(BYTES("\x34\6\0\1t\0\2\0"));
	answered(KMQTT_CMD_DELIVER, 0, BYTES("\x50\2\0\2"));
	gone();
}

static int setup(void **state)
{
	struct conf *conf = conf_load(NULL, 0, stderr);

	assert_non_null(conf);
	conf_use(conf);
	rib_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_wrong),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_anew),
		cmocka_unit_test(test_anew_wrong),
		cmocka_unit_test(test_without_method),
		cmocka_unit_test(test_packet_size),
		cmocka_unit_test(test_no_subscribers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
