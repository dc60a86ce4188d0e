// SPDX-License-Identifier: GPL-2.0
/*
 * The durable store: what goes in comes out, whatever the disk does meanwhile.
 * With the argument "bench" it measures instead.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "user-store.h"
#include "array.h"

/* ---- what goes in comes out ---------------------------------------------- */

static void test_empty(void **state)
{
	struct stat st;

	expect("");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	expect("");
	/* Nothing may be asked of a store that is not open, but nothing happens. */
	put_session("a");
	store_flush();
	assert_int_equal(store_seq(), 0);
	assert_int_equal(store_backlog(), 0);
	store_close();
}

static void test_roundtrip(void **state)
{
	static const uint32_t subids[] = { 1, 268435455 };
	struct store_session b = {
		.client_id = "b \xc3\xa4",
		.protocol = 4,
		.expiry = UINT32_MAX,
		.expires_at = clock_ms() + 1000,
		.number = 1ULL << 62,
	};
	struct store_outgoing row = {
		.pos = 12,
		.number = 99,
		.state = OUT_RELEASED,
		.qos = 2,
		.packet_id = 65535,
		.retain = true,
		.n_subids = 2,
		.subids = subids,
	};
	struct message *m = msg_by("top/ic", "body", "publisher");
	struct message *w = msg("will", "gone");

	start();
	m->retain = true;
	put_session("a");
	store_session_put(&b);
	put_subscription("a", NULL, "x/#", 2);
	put_subscription("a", "g", "x/#", 0);
	row.msg = m;
	store_outgoing_put(b.client_id, &row);
	put_outgoing(b.client_id, 2, m);
	put_outgoing("a", 1, m);
	store_inbound_add("a", 65535);
	store_inbound_add("a", 1);
	put_will("a", w, 10);
	store_retained_put(m);
	put_retained("", "");	/* left out below: no mqttd can write that */
	put_retained("other", "");
	put_mark(UINT64_MAX, 3, 4);
	settle();
	message_put(m);
	message_put(w);
	expect("retained other=/q1/p4\n"
	       "retained top/ic=body/q1r/p4/by publisher\n"
	       "session a v5 expiry 60 number 7 id 9\n"
	       "  sub - x/# q2 f2a i3\n"
	       "  sub g x/# q0 f0 i0\n"
	       "  in 1\n"
	       "  in 65535\n"
	       "  out 1 n0 s0 q1 i0 top/ic=body/q1r/p4/by publisher\n"
	       "  will due expiry 10 will=gone/q1/p4\n"
	       "session b \xc3\xa4 v4 expiry 4294967295 expires number 4611686018427387904 id 0\n"
	       "  out 2 n0 s0 q1 i0 top/ic=body/q1r/p4/by publisher\n"
	       "  out 12 n99 s2 q2 i65535 retain #1 #268435455 top/ic=body/q1r/p4/by publisher\n"
	       "mark ffffffffffffffff/3/4\n");
	assert_true(logged("1 rows that no mqttd can have written were left out"));
	assert_int_equal(sql("SELECT count(*) FROM message"), 1);
}

static void test_change(void **state)
{
	struct store_session a = { .client_id = "a", .protocol = 4 };
	struct store_outgoing row = {
		.pos = 1,
		.number = 70,
		.state = OUT_PUBLISH,
		.packet_id = 71,
	};
	struct message *m = msg("t", "1"), *n = msg("t", "2");

	start();
	put_session("a");
	put_subscription("a", NULL, "f", 0);
	put_subscription("a", NULL, "g", 0);
	put_outgoing("a", 1, m);
	put_outgoing("a", 2, n);
	store_inbound_add("a", 5);
	store_inbound_add("a", 6);
	put_will("a", m, 0);
	put_retained("r", "1");
	put_retained("s", "1");
	put_mark(1, 3, 4);
	put_mark(1, 4, 4);
	put_mark(2, 4, 5);
	settle();

	store_session_put(&a);
	store_session_numbers("a", 70, 71);
	put_subscription("a", NULL, "f", 1);
	store_subscription_delete("a", NULL, "g");
	store_subscription_delete("a", "share", "f");
	store_outgoing_state("a", &row);
	store_outgoing_delete("a", 2);
	store_inbound_delete("a", 6);
	store_inbound_add("a", 5);
	put_will("a", n, 0);
	put_retained("r", "2");
	store_retained_delete("s");
	put_mark(1, 3, 8);
	store_mark_delete(1, 4);
	settle();
	store_marks_clean(1);
	settle();
	message_put(m);
	message_put(n);
	expect("retained r=2/q1/p4\n"
	       "session a v4 expiry 0 number 70 id 71\n"
	       "  sub - f q1 f2a i3\n"
	       "  in 5\n"
	       "  out 1 n70 s1 q1 i71 t=1/q1/p4\n"
	       "  will due 0 t=2/q1/p4\n"
	       "mark 1/3/8\n");
	assert_int_equal(sql("SELECT count(*) FROM message"), 1);
}

/* A body stays as long as one session has it, whoever goes first. */
static void test_bodies(void **state)
{
	struct message *m = msg("t", "shared"), *own = msg("t", "own");

	start();
	put_session("a");
	put_session("b");
	put_outgoing("a", 1, m);
	put_outgoing("a", 2, own);
	put_outgoing("a", 3, m);
	put_outgoing("b", 1, m);
	settle();
	store_session_delete("a");
	expect("session b v5 expiry 60 number 7 id 9\n"
	       "  out 1 n0 s0 q1 i0 t=shared/q1/p4\n");
	assert_int_equal(sql("SELECT count(*) FROM message"), 1);
	start();
	/* From b to a and back, and once after the body had gone. */
	put_session("a");
	put_outgoing("a", 1, m);
	store_outgoing_delete("b", 1);
	settle();
	store_outgoing_delete("a", 1);
	put_outgoing("b", 2, m);
	settle();
	message_put(m);
	message_put(own);
	expect("session b v5 expiry 60 number 7 id 9\n"
	       "  out 2 n0 s0 q1 i0 t=shared/q1/p4\n"
	       "session a v5 expiry 60 number 7 id 9\n");
	assert_int_equal(sql("SELECT count(*) FROM message"), 1);
	start();
	store_session_delete("b");
	settle();
	store_close();
	assert_int_equal(sql("SELECT count(*) FROM message"), 0);
}

static void test_session_delete(void **state)
{
	struct message *m = msg("t", "x");

	start();
	put_session("a");
	put_session("b");
	put_subscription("a", NULL, "f", 0);
	put_outgoing("a", 1, m);
	store_inbound_add("a", 6);
	put_will("a", m, 0);
	store_session_delete("a");
	put_session("a");
	settle();
	message_put(m);
	expect("session b v5 expiry 60 number 7 id 9\n"
	       "session a v5 expiry 60 number 7 id 9\n");
}

static void test_no_session(void **state)
{
	start();
	store_inbound_add("ghost", 6);
	put_session("a");
	settle();
	assert_true(logged("a session that is not there: ghost"));
	expect("session a v5 expiry 60 number 7 id 9\n");
}

/* ---- batches ------------------------------------------------------------ */

static void test_seq(void **state)
{
	uint64_t seq;

	start();
	assert_int_equal(store_seq(), 0);
	put_session("a");
	seq = store_seq();
	assert_true(seq > 0);
	put_session("b");
	assert_int_equal(store_seq(), seq);
	store_flush();
	assert_int_equal(store_seq(), seq);
	put_session("c");
	assert_int_equal(store_seq(), seq + 1);
	assert_true(store_backlog() > 0);
	/* committed() is only called from the loop. */
	usleep(50000);
	assert_int_equal(committed, 0);
	settle();
	assert_int_equal(committed, seq + 1);
	assert_int_equal(store_backlog(), 0);
	store_flush();
	assert_int_equal(store_seq(), 0);
}

/* Whatever waits while a commit is under way becomes one transaction. */
static void test_group_commit(void **state)
{
	unsigned int i, j;

	start();
	for (i = 0; i < 200; i++) {
		for (j = 0; j < 20; j++) {
			char topic[16];

			snprintf(topic, sizeof(topic), "%u", j);
			put_retained(topic, topic);
		}
		store_flush();
	}
	settle();
	assert_int_equal(committed, 200);
	assert_true(n_committed < 100);
}

static void test_backlog(void **state)
{
	struct message *m = msg("t", "0123456789");
	size_t one;

	start();
	put_session("a");
	settle();
	put_outgoing("a", 1, m);
	one = store_backlog();
	assert_true(one > message_size(m));
	/* The same message again counts once. */
	put_outgoing("a", 2, m);
	assert_true(store_backlog() < one + message_size(m) + one);
	settle();
	assert_int_equal(store_backlog(), 0);
	assert_int_equal(m->refs, 1);
	message_put(m);
}

/* What was appended between store_open() and store_start() is not lost. */
static void test_before_start(void **state)
{
	open_store();
	put_session("a");
	assert_true(store_seq() > 0);
	assert_int_equal(store_start(base), 0);
	settle();
	assert_true(committed > 0);
	put_session("b");
	/* store_close() commits, and tells. */
	committed = 0;
	store_close();
	assert_true(committed > 0);
	expect("session a v5 expiry 60 number 7 id 9\n"
	       "session b v5 expiry 60 number 7 id 9\n");
}

/* ---- the disk ----------------------------------------------------------- */

static void test_sync_always(void **state)
{
	unsigned int i, syncs;

	start();
	for (i = 0; i < 20; i++) {
		syncs = faulty.n_syncs;
		put_retained("t", "x");
		settle();
		assert_true(faulty.n_syncs > syncs);
		assert_false(faulty.wal_dirty);
	}
}

static void test_sync_off(void **state)
{
	unsigned int i, syncs;

	settings.sync = STORE_SYNC_OFF;
	start();
	put_retained("t", "x");
	settle();
	syncs = faulty.n_syncs;
	for (i = 0; i < 20; i++) {
		put_retained("t", "x");
		settle();
	}
	assert_int_equal(faulty.n_syncs, syncs);
}

static void test_sync_interval(void **state)
{
	uint64_t begin, end = clock_ms() + PATIENCE_MS;

	settings.sync = STORE_SYNC_INTERVAL;
	settings.interval = 1;
	start();
	/* The first write of a log flushes its header. */
	put_retained("t", "x");
	settle();
	while (faulty.wal_dirty && clock_ms() < end)
		turn();
	assert_false(faulty.wal_dirty);
	begin = clock_ms();
	put_retained("t", "y");
	settle();
	assert_true(faulty.wal_dirty || clock_ms() - begin >= 1000);
	while (faulty.wal_dirty && clock_ms() < end)
		turn();
	assert_false(faulty.wal_dirty);
	assert_true(clock_ms() - begin >= 900);

	/* A flush that fails is told and done again. */
	faulty.fault = FAULT_SYNC;
	put_retained("t", "z");
	settle();
	while (!n_failed && clock_ms() < end)
		turn();
	assert_true(n_failed > 0);
	assert_true(faulty.wal_dirty);
	faulty.fault = FAULT_NONE;
	while (faulty.wal_dirty && clock_ms() < end)
		turn();
	assert_false(faulty.wal_dirty);
}

static void fail_and_recover(enum fault fault, const char *text)
{
	uint64_t end = clock_ms() + PATIENCE_MS;
	unsigned int i;

	settings.sync = STORE_SYNC_ALWAYS;
	start();
	put_session("a");
	settle();
	committed = 0;
	n_failed = 0;
	faulty.n_failed = 0;
	faulty.fault = fault;
	for (i = 0; i < 3; i++) {
		store_inbound_add("a", (uint16_t)(i + 1));
		store_flush();
	}
	while (n_failed < 3 && clock_ms() < end)
		turn();
	assert_true(n_failed >= 3);
	assert_true(faulty.n_failed >= 3);
	if (!strstr(failure, text))
		fail_msg("told: %s", failure);
	assert_int_equal(committed, 0);
	assert_true(store_seq() > 0);
	assert_true(logged(text));
	assert_true(logged("nothing more is acknowledged"));

	faulty.fault = FAULT_NONE;
	settle();
	assert_true(committed > 0);
	assert_true(logged("can be written again"));
	expect("session a v5 expiry 60 number 7 id 9\n"
	       "  in 1\n  in 2\n  in 3\n");
}

static void test_disk_full(void **state)
{
	fail_and_recover(FAULT_FULL, "full");
}

static void test_write_error(void **state)
{
	fail_and_recover(FAULT_WRITE, "I/O error");
}

static void test_sync_error(void **state)
{
	fail_and_recover(FAULT_SYNC, "I/O error");
}

/* Faults come and go at random under load; the order of all must hold. */
static void test_flaky_disk(void **state)
{
	char want[96], payload[16];
	unsigned int i, seen;

	start();
	put_session("a");
	for (i = 1; i <= 120; i++) {
		snprintf(payload, sizeof(payload), "%u", i);
		put_retained("t", payload);
		store_session_numbers("a", i, (uint16_t)i);
		faulty.fault = rand() % 10 ? FAULT_NONE : 1 + rand() % 3;
		seen = faulty.n_failed;
		store_flush();
		while (faulty.fault && faulty.n_failed == seen)
			usleep(100);
		faulty.fault = FAULT_NONE;
		if (!(i % 7))
			turn();
		if (!(i % 10))
			settle();
	}
	assert_true(n_failed > 0);
	snprintf(want, sizeof(want),
		 "retained t=120/q1/p4\nsession a v5 expiry 60 number 120 id 120\n");
	expect(want);
}

/* The end comes while the disk is full: told as lost, not as committed. */
static void test_close_failing(void **state)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	start();
	put_session("a");
	settle();
	committed = 0;
	faulty.fault = FAULT_FULL;
	put_session("b");
	store_flush();
	/* The next attempt but for the end is seconds away. */
	while (n_failed < 6 && clock_ms() < end)
		turn();
	/* Room comes just too late: c must not be there without b. */
	faulty.last = true;
	put_session("c");
	store_close();
	assert_int_equal(faulty.fault, FAULT_NONE);
	assert_int_equal(committed, 0);
	assert_true(logged("closed without its last changes"));
	faulty.fault = FAULT_NONE;
	expect("session a v5 expiry 60 number 7 id 9\n");
}

/* ---- time --------------------------------------------------------------- */

static uint64_t loaded_at;

static void *time_session(const struct store_session *s, void *arg)
{
	loaded_at = s->expires_at;
	return NULL;
}

/* What remains of the only session's time, in ms. */
static int64_t remaining(void)
{
	const struct store_loader loader = { .session = time_session };
	uint64_t now;

	open_store();
	now = clock_ms();
	assert_int_equal(store_load(&loader), 0);
	store_close();
	assert_true(loaded_at > 0);
	return (int64_t)(loaded_at - now);
}

/* The machine was off for @off ms; its clock says @then_wall and now. */
static void power_cycle(long long off, long long then_wall)
{
	char query[160];

	snprintf(query, sizeof(query),
		 "UPDATE clock SET boot_id = 'another', boot = 5, wall = %lld - %lld",
		 then_wall, off);
	sql(query);
}

static void test_time(void **state)
{
	const int64_t hour = 3600000, up = (int64_t)clock_ms(), slack = 60000;
	struct store_session a = {
		.client_id = "a",
		.expires_at = (uint64_t)(up + 1000 * hour),
	};
	int64_t left;

	start();
	store_session_put(&a);
	settle();
	store_close();
	left = remaining();
	assert_in_range(left, 1000 * hour - slack, 1000 * hour);

	/* The same boot: time of day may say what it likes. */
	sql("UPDATE clock SET wall = 1");
	left = remaining();
	assert_in_range(left, 1000 * hour - slack, 1000 * hour);

	/* Off for 100 hours, with a clock that went on. */
	power_cycle(100 * hour, (long long)time(NULL) * 1000);
	left = remaining();
	assert_in_range(left, 900 * hour - slack, 900 * hour + slack);

	/* Stored in 1970, now is now: only this boot counts. */
	power_cycle(0, 1000);
	left = remaining();
	assert_in_range(left, 1000 * hour - up - 2 * slack, 1000 * hour - up);

	/* Stored in the future: so does only this boot. */
	power_cycle(0, (long long)time(NULL) * 1000 + 50 * hour);
	left = remaining();
	assert_in_range(left, 1000 * hour - up - 2 * slack, 1000 * hour - up);

	/* Long past: never 0, which would be never. */
	power_cycle(5000 * hour, (long long)time(NULL) * 1000);
	remaining();
	assert_true(loaded_at <= clock_ms());

	/* What is recorded may be nonsense, too. */
	sql("UPDATE clock SET time = -9223372036854775807, boot = 9223372036854775807");
	remaining();
	sql("UPDATE clock SET time = 9223372036854775807, wall = -9223372036854775807");
	remaining();
	sql("DELETE FROM clock");
	remaining();
}

/* ---- check and backup ---------------------------------------------------- */

static bool job_done, job_ok, job_damaged;
static uint64_t job_bytes;
static char job_text[4096], job_counts[512];

static void on_job(const struct store_report *r, void *arg)
{
	size_t i;

	assert_ptr_equal(arg, &job_done);
	job_done = true;
	job_ok = r->ok;
	job_damaged = r->damaged;
	job_bytes = r->bytes;
	snprintf(job_text, sizeof(job_text), "%s", r->text);
	job_counts[0] = '\0';
	for (i = 0; i < r->n_counts; i++)
		snprintf(job_counts + strlen(job_counts), sizeof(job_counts) - strlen(job_counts),
			 "%llu %s,", (unsigned long long)r->counts[i].n, r->counts[i].name);
}

/* Commits go on while it runs. */
static void wait_job(void)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	while (!job_done) {
		put_retained("during", "the job");
		turn();
		assert_true(clock_ms() < end);
	}
	job_done = false;
}

static void test_check(void **state)
{
	assert_int_equal(store_check(on_job, &job_done), -ENOENT);
	make_store(500);
	start();
	assert_int_equal(store_check(on_job, &job_done), 0);
	assert_int_equal(store_check(on_job, &job_done), -EBUSY);
	wait_job();
	assert_true(job_ok);
	assert_string_equal(job_counts,
			    "500 sessions,500 subscriptions,500 queued,500 messages,500 retained,");
	settle();
	store_close();

	sql("DELETE FROM message WHERE id = 7");
	sql("INSERT INTO inbound VALUES (12345, 1)");
	start();
	assert_int_equal(store_check(on_job, &job_done), 0);
	wait_job();
	assert_false(job_ok);
	assert_true(job_damaged);
	assert_string_equal(job_text, "1 queued without a message\n1 rows without a session");
	assert_true(logged("DAMAGED (1 queued without a message)"));
	assert_int_equal(count_files("store.suspect"), 1);
	store_close();

	/* Judged anew when it is opened: here it is to be found in use. */
	run("rm %s.suspect", path);
	damage("outgoing_message");
	start();
	assert_int_equal(store_check(on_job, &job_done), 0);
	wait_job();
	assert_true(job_damaged);
	assert_string_not_equal(job_text, "");
	/* One that is cut off by the end is told, too. */
	assert_int_equal(store_check(on_job, &job_done), 0);
	store_close();
	assert_true(job_done);
	assert_false(job_ok);
	job_done = false;
}

/* A check that nobody wants any more ends. */
static void test_check_cancelled(void **state)
{
	make_store(5000);
	start();
	store_cancel();
	assert_int_equal(store_check(on_job, &job_done), 0);
	store_cancel();
	wait_job();
	assert_false(job_ok);
	assert_false(job_damaged);
	assert_non_null(strstr(job_text, "interrupted"));
	settle();
}

static int copy_fd(const char *copy, int flags)
{
	int fd = open(copy, flags | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void test_backup(void **state)
{
	static const int wrong[] = { O_RDONLY, O_WRONLY, O_RDWR | O_APPEND };
	char copy[96];
	struct stat st;
	size_t i;
	int fd;

	snprintf(copy, sizeof(copy), "%s/copy", folder);
	make_store(2000);
	start();
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		fd = copy_fd(copy, wrong[i]);
		assert_int_equal(store_backup(fd, on_job, &job_done), -EINVAL);
		close(fd);
	}
	assert_int_equal(store_backup(-1, on_job, &job_done), -EINVAL);
	fd = copy_fd(copy, O_RDWR);
	assert_int_equal(store_backup(fd, on_job, &job_done), 0);
	wait_job();
	assert_string_equal(job_text, "");
	assert_true(job_ok);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(job_bytes, st.st_size);
	/* It is not empty any more. */
	fd = copy_fd(copy, O_RDWR);
	assert_int_equal(store_backup(fd, on_job, &job_done), -EINVAL);
	close(fd);
	settle();
	store_close();

	/* A copy is a store. */
	run("rm %s*; mv %s %s", path, copy, path);
	assert_int_equal(sql("SELECT count(*) FROM outgoing"), 2000);
	start();
	assert_int_equal(store_check(on_job, &job_done), 0);
	wait_job();
	assert_true(job_ok);
}

/* There is no room for the copy: that is told, and the store goes on. */
static void test_backup_full(void **state)
{
	int fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	make_store(500);
	start();
	assert_int_equal(store_backup(fd, on_job, &job_done), 0);
	wait_job();
	assert_false(job_ok);
	assert_false(job_damaged);
	assert_non_null(strstr(job_text, "I/O error"));
	put_retained("still", "works");
	settle();
}

/* ---- measuring ---------------------------------------------------------- */

static size_t n_loaded;

static void count_retained(struct message *m, void *arg)
{
	n_loaded++;
}

static void *count_session(const struct store_session *s, void *arg)
{
	n_loaded++;
	return NULL;
}

static void count_subscription(void *session, const struct store_subscription *sub, void *arg)
{
	n_loaded++;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void bench_fill(unsigned int sessions, unsigned int retained)
{
	char payload[65], name[48];
	unsigned int i;

	memset(payload, 'x', sizeof(payload));
	payload[64] = '\0';
	for (i = 0; i < sessions; i++) {
		snprintf(name, sizeof(name), "client-%08u", i);
		put_session(name);
		put_subscription(name, NULL, name, 0);
		put_subscription(name, NULL, "a/+/c", 0);
		if (!(i % 1000))
			settle();
	}
	for (i = 0; i < retained; i++) {
		snprintf(name, sizeof(name), "site/%u/device/%u/value", i % 1000, i / 1000);
		put_retained(name, payload);
		if (!(i % 10000))
			settle();
	}
	settle();
}

static void bench_load(const char *what)
{
	const struct store_loader loader = {
		.retained = count_retained,
		.session = count_session,
		.subscription = count_subscription,
	};
	double t0 = seconds(), c0 = cpu(), t1, c1;

	n_loaded = 0;
	if (store_open(&settings))
		exit(1);
	t1 = seconds();
	c1 = cpu();
	if (store_load(&loader))
		exit(1);
	printf("# open %s: %.2f s (%.2f s of processor); load %zu rows: %.2f s (%.2f s)\n", what,
	       t1 - t0, c1 - c0, n_loaded, seconds() - t1, cpu() - c1);
	store_close();
}

/* @turns turns of the loop with @per QoS 1 messages each, put and deleted. */
static void bench_commits(const char *what, unsigned int turns, unsigned int per)
{
	double t0 = seconds(), c0 = cpu(), t;
	uint64_t pos = 0;
	unsigned int i, j;

	n_committed = 0;
	for (i = 0; i < turns; i++) {
		for (j = 0; j < per; j++) {
			struct message *m = msg("some/topic", "a payload of some 32 bytes");

			put_outgoing("client-00000000", ++pos, m);
			if (pos > 100)
				store_outgoing_delete("client-00000000", pos - 100);
			message_put(m);
		}
		event_base_loop(base, EVLOOP_NONBLOCK);
		while (store_backlog() > 1 << 20)
			event_base_loop(base, EVLOOP_ONCE);
	}
	settle();
	t = seconds() - t0;
	printf("# %s, %u per turn: %.0f messages/s, %.0f commits/s, %.1f us of processor each\n",
	       what, per, turns * (double)per / t, n_committed / t,
	       (cpu() - c0) * 1e6 / (turns * (double)per));
	store_session_delete("client-00000000");
	put_session("client-00000000");
	settle();
}

/* One after the other: what a single publisher sees. */
static void bench_latency(const char *what, unsigned int n)
{
	double t0 = seconds(), t;
	unsigned int i;

	for (i = 0; i < n; i++) {
		put_retained("site/0/device/0/value", "new");
		while (store_seq())
			event_base_loop(base, EVLOOP_ONCE);
	}
	t = seconds() - t0;
	printf("# %s, one at a time: %.0f commits/s\n", what, n / t);
}

static int bench(void)
{
	static const char *const names[] = { "always", "interval", "off" };
	unsigned int i;
	double t0;

	setup(NULL);
	settings.sync = STORE_SYNC_OFF;
	settings.interval = 1;
	start();
	t0 = seconds();
	bench_fill(100000, 1000000);
	printf("# fill: %.1f s\n", seconds() - t0);
	store_close();
	bench_load("after a proper end");
	bench_load("again");
	run(": >%s.suspect", path);
	bench_load("with a check");
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		settings.sync = i;
		start();
		bench_latency(names[i], 500);
		bench_commits(names[i], 50000, 1);
		bench_commits(names[i], 1000, 100);
		store_close();
	}
	return 0;
}

/* ---- main --------------------------------------------------------------- */

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_empty),
		STORE_TEST(test_roundtrip),
		STORE_TEST(test_change),
		STORE_TEST(test_bodies),
		STORE_TEST(test_session_delete),
		STORE_TEST(test_no_session),
		STORE_TEST(test_seq),
		STORE_TEST(test_group_commit),
		STORE_TEST(test_backlog),
		STORE_TEST(test_before_start),
		STORE_TEST(test_sync_always),
		STORE_TEST(test_sync_off),
		STORE_TEST(test_sync_interval),
		STORE_TEST(test_disk_full),
		STORE_TEST(test_write_error),
		STORE_TEST(test_sync_error),
		STORE_TEST(test_flaky_disk),
		STORE_TEST(test_close_failing),
		STORE_TEST(test_time),
		STORE_TEST(test_check),
		STORE_TEST(test_check_cancelled),
		STORE_TEST(test_backup),
		STORE_TEST(test_backup_full),
	};

	return RUN(tests);
}

int main(int argc, char **argv)
{
	return in_folder(argc == 2 && !strcmp(argv[1], "bench") ? bench : run_all);
}
