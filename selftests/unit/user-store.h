/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the store share: a store in a folder of its own, short
 * forms of the operations, and all that is in it as text.
 */
#ifndef USER_STORE_H
#define USER_STORE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "unit.h"
#include "faulty-vfs.h"

#include "clock.h"
#include "log.h"
#include "message.h"
#include "store.h"

#define PATIENCE_MS	20000

/* mkdtemp() fills the X in. */
static char *folder;
static char path[64], log_path[64];
static struct event_base *base;
static struct store_settings settings;
static uint64_t committed;
static unsigned int n_committed, n_failed;
static char failure[512];

/* ---- tools -------------------------------------------------------------- */

static inline void on_committed(uint64_t seq, void *arg)
{
	assert_ptr_equal(arg, &settings);
	assert_true(seq > committed);
	committed = seq;
	n_committed++;
}

static inline void on_failed(const char *text, void *arg)
{
	n_failed++;
	snprintf(failure, sizeof(failure), "%s", text);
}

static inline int run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static inline void log_to(char *file)
{
	struct log_settings log = {
		.dest = MQTTD_LOG_TO_FILE,
		.file = file,
		.types = MQTTD_LOG_DEFAULT,
	};

	log_setup(&log);
}

/* A fresh folder, log and settings for each test. */
static inline int setup(void **state)
{
	if (run("rm -rf %s/*", folder))
		return -1;
	faulty.fault = FAULT_NONE;
	memset(&settings, 0, sizeof(settings));
	settings.path = path;
	settings.committed = on_committed;
	settings.failed = on_failed;
	settings.arg = &settings;
	n_committed = 0;
	n_failed = 0;
	committed = 0;
	log_to(log_path);
	return 0;
}

static inline int teardown(void **state)
{
	faulty.fault = FAULT_NONE;
	store_close();
	return 0;
}

static inline bool logged(const char *text)
{
	return !run("grep -qF '%s' %s", text, log_path);
}

/* One turn of the loop, at most 20 ms long. */
static inline void turn(void)
{
	struct timeval tick = { .tv_usec = 20000 };

	event_base_loopexit(base, &tick);
	event_base_loop(base, EVLOOP_ONCE);
}

/* Until everything is committed. */
static inline void settle(void)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	while (store_seq()) {
		turn();
		assert_true(clock_ms() < end);
	}
}

static inline void open_store(void)
{
	committed = 0;
	assert_int_equal(store_open(&settings), 0);
}

static inline void start(void)
{
	open_store();
	assert_int_equal(store_start(base), 0);
}

static inline struct message *msg_by(const char *topic, const char *payload,
				     const char *source_id)
{
	static const uint8_t props[] = { 0x03, 0x00, 0x01, 'c' };	/* Content Type */
	struct message_parts parts = {
		.topic = (const uint8_t *)topic,
		.topic_len = strlen(topic),
		.props = props,
		.props_len = sizeof(props),
		.payload = (const uint8_t *)payload,
		.payload_len = (uint32_t)strlen(payload),
		.source_id = source_id,
		.qos = 1,
	};

	return message_new(&parts);
}

static inline struct message *msg(const char *topic, const char *payload)
{
	return msg_by(topic, payload, NULL);
}

static inline void put_session(const char *id)
{
	struct store_session session = {
		.client_id = id,
		.protocol = 5,
		.expiry = 60,
		.number = 7,
		.packet_id = 9,
	};

	store_session_put(&session);
}

static inline void put_subscription(const char *id, const char *share, const char *filter,
				    uint8_t qos)
{
	struct store_subscription sub = {
		.share = share,
		.filter = filter,
		.qos = qos,
		.flags = qos ? 0x2a : 0,
		.subid = qos ? 3 : 0,
	};

	store_subscription_put(id, &sub);
}

static inline void put_outgoing(const char *id, uint64_t pos, struct message *m)
{
	struct store_outgoing row = { .pos = pos, .msg = m, .qos = 1 };

	store_outgoing_put(id, &row);
}

static inline void put_will(const char *id, struct message *m, uint32_t expiry)
{
	struct store_will w = {
		.publish_at = clock_ms() + 5000,
		.msg = m,
		.expiry = expiry,
		.has_expiry = expiry,
	};

	store_will_put(id, &w);
}

static inline void put_mark(uint64_t instance, uint64_t conn, uint64_t event)
{
	struct store_mark mark = { .instance = instance, .conn = conn, .event = event };

	store_mark_put(&mark);
}

static inline void put_retained(const char *topic, const char *payload)
{
	struct message *m = msg(topic, payload);

	store_retained_put(m);
	message_put(m);
}

/* The only value of an SQL query on the closed store, or what it changes. */
static inline long long sql(const char *query)
{
	sqlite3_stmt *st;
	long long value = -1;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, query, -1, &st, NULL))
		fail_msg("%s: %s", query, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	sqlite3_close(db);
	return value;
}

static inline unsigned int count_files(const char *begin)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	unsigned int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += !strncmp(e->d_name, begin, strlen(begin));
	closedir(d);
	return n;
}

/* ---- the store as text --------------------------------------------------- */

static FILE *out;

static inline void write_message(const struct message *m)
{
	fprintf(out, " %s=%.*s/q%u%s/p%u%s%s", m->topic, (int)m->payload_len, m->payload,
		m->qos, m->retain ? "r" : "", m->props_len, m->source_id ? "/by " : "",
		m->source_id ? m->source_id : "");
}

static inline void on_retained(struct message *m, void *arg)
{
	fprintf(out, "retained");
	write_message(m);
	fprintf(out, "\n");
}

static inline void *on_session(const struct store_session *s, void *arg)
{
	fprintf(out, "session %s v%u expiry %u%s number %llu id %u\n", s->client_id,
		s->protocol, s->expiry, s->expires_at ? " expires" : "",
		(unsigned long long)s->number, s->packet_id);
	return arg;
}

static inline void on_subscription(void *session, const struct store_subscription *sub, void *arg)
{
	assert_ptr_equal(session, arg);
	fprintf(out, "  sub %s %s q%u f%x i%u\n", sub->share ? sub->share : "-", sub->filter,
		sub->qos, sub->flags, sub->subid);
}

static inline void on_inbound(void *session, uint16_t packet_id, void *arg)
{
	assert_ptr_equal(session, arg);
	fprintf(out, "  in %u\n", packet_id);
}

static inline void on_outgoing(void *session, const struct store_outgoing *o, void *arg)
{
	unsigned int i;

	assert_ptr_equal(session, arg);
	fprintf(out, "  out %llu n%llu s%d q%u i%u%s", (unsigned long long)o->pos,
		(unsigned long long)o->number, o->state, o->qos, o->packet_id,
		o->retain ? " retain" : "");
	for (i = 0; i < o->n_subids; i++)
		fprintf(out, " #%u", o->subids[i]);
	write_message(o->msg);
	fprintf(out, "\n");
}

static inline void on_will(void *session, const struct store_will *w, void *arg)
{
	assert_ptr_equal(session, arg);
	fprintf(out, "  will%s%s %u", w->publish_at ? " due" : "",
		w->has_expiry ? " expiry" : "", w->expiry);
	write_message(w->msg);
	fprintf(out, "\n");
}

static inline void on_mark(const struct store_mark *mark, void *arg)
{
	fprintf(out, "mark %llx/%llu/%llu\n", (unsigned long long)mark->instance,
		(unsigned long long)mark->conn, (unsigned long long)mark->event);
}

static const struct store_loader printer = {
	.retained = on_retained,
	.session = on_session,
	.subscription = on_subscription,
	.inbound = on_inbound,
	.outgoing = on_outgoing,
	.will = on_will,
	.mark = on_mark,
	.arg = &settings,
};

/* Load the open store; returns what store_load() does. */
static inline int load(char **text)
{
	size_t size;
	int err;

	out = open_memstream(text, &size);
	err = store_load(&printer);
	fclose(out);
	return err;
}

/* Close, open and compare all there is. */
static inline void expect(const char *want)
{
	char *is = NULL;

	store_close();
	open_store();
	assert_int_equal(load(&is), 0);
	store_close();
	assert_string_equal(is, want);
	free(is);
}

/* ---- a store to work on ------------------------------------------------ */

/* A closed store with a bit of everything, several levels deep. */
static inline void make_store(unsigned int n)
{
	char topic[32];
	unsigned int i;

	start();
	for (i = 0; i < n; i++) {
		struct message *m;

		snprintf(topic, sizeof(topic), "client/%u", i);
		m = msg(topic, "some payload");
		put_session(topic);
		put_subscription(topic, NULL, topic, 0);
		put_outgoing(topic, i, m);
		store_retained_put(m);
		message_put(m);
	}
	settle();
	store_close();
}

/* Make nonsense of the first page of a table or index. */
static inline void damage(const char *name)
{
	char query[96];
	long long page;
	int fd;

	snprintf(query, sizeof(query), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'",
		 name);
	page = sql(query);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, (page - 1) * 4096), 8);
	close(fd);
}

/* ---- the program --------------------------------------------------------- */

/* Run what @body runs in a folder of its own. */
static inline int in_folder(int (*body)(void))
{
	int status;

	folder = strdup("/tmp/kmqtt-store-XXXXXX");
	if (!folder || !mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/store", folder);
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	base = event_base_new();
	faulty_install();
	status = body();
	event_base_free(base);
	log_close();
	run("rm -rf %s", folder);
	free(folder);
	return status;
}

#define STORE_TEST(test)	cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif /* USER_STORE_H */
