// SPDX-License-Identifier: GPL-2.0
/*
 * The durable store after kill -9, and what becomes of files that are damaged,
 * of another program or in use.
 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "user-store.h"

#define CRASH_ROUNDS	60
#define FLIP_ROUNDS	80
#define POWER_ROUNDS	12

/* ---- damage ------------------------------------------------------------- */

/* Set aside, told, replaced by an empty one, byte for byte as it was. */
static void expect_set_aside(const char *why)
{
	char *text = NULL;
	int err;

	run("cp %s %s/kept", path, folder);
	assert_int_equal(count_files("store.bad-"), 0);
	err = store_open(&settings);
	if (!err)
		err = load(&text);
	if (err == -EUCLEAN)
		err = store_open(&settings);
	free(text);
	assert_int_equal(err, 0);
	store_close();
	assert_true(count_files("store.bad-") >= 1);
	assert_int_equal(run("cmp %s/kept %s.bad-*Z", folder, path), 0);
	assert_true(logged("DAMAGED"));
	assert_true(logged("set aside as"));
	if (!logged(why))
		run("sed 's/^/# /' %s", log_path);
	assert_true(logged(why));
	expect("");
	run("rm %s/kept", folder);
}

/* Refused with this text, and nothing under its name or next to it changes. */
static void expect_refused(int err, const char *why)
{
	char *text = NULL;
	int is;

	run("cp -a %s %s/kept", path, folder);
	is = store_open(&settings);
	if (!is)
		is = load(&text);
	free(text);
	assert_int_equal(is, err);
	if (!logged(why))
		run("sed 's/^/# /' %s", log_path);
	assert_true(logged(why));
	assert_int_equal(run("diff -r %s %s/kept", path, folder), 0);
	assert_int_equal(count_files("store.bad-"), 0);
	run("rm -r %s/kept", folder);
}

static void test_garbage(void **state)
{
	run("head -c 5000 /dev/urandom >%s", path);
	expect_set_aside("not an SQLite database");
}

static void test_garbage_refused(void **state)
{
	run("head -c 5000 /dev/urandom >%s", path);
	settings.refuse_damaged = true;
	expect_refused(-EUCLEAN, "damaged (not an SQLite database); left as it is");
}

static void test_short(void **state)
{
	run("printf 'SQLite format 3' >%s", path);
	expect_set_aside("not an SQLite database");
}

static void test_empty_file(void **state)
{
	run(": >%s", path);
	expect("");
	assert_int_equal(count_files("store.bad-"), 0);
}

static void test_newer(void **state)
{
	make_store(3);
	sql("PRAGMA user_version = 2");
	expect_refused(-EPROTONOSUPPORT, "version 2, of a newer mqttd");
	sql("PRAGMA user_version = 1");
	sql("PRAGMA application_id = 1");
	expect_refused(-EINVAL, "a database of another program");
}

/* The newer version is only in the log that SQLite would carry over. */
static void test_newer_in_wal(void **state)
{
	sqlite3 *db;

	make_store(3);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	run("cp %s-wal %s/kept-wal", path, folder);
	expect_refused(-EIO, "of another mqttd, version 2; left as it is");
	assert_int_equal(run("cmp %s-wal %s/kept-wal", path, folder), 0);
}

static void test_other_tables(void **state)
{
	make_store(3);
	sql("CREATE TRIGGER x AFTER INSERT ON session BEGIN DELETE FROM session; END");
	expect_set_aside("its tables are not those of version 1");
}

static void test_truncated(void **state)
{
	static const char *const sizes[] = { "-1", "-4096", "-5000", "60000", "8192", "200" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		setup(state);
		make_store(200);
		run("truncate -s %s %s", sizes[i], path);
		/* Pages that are missing must be noticed even after a proper end. */
		expect_set_aside("DAMAGED");
	}
}

/* The file was lost, its log was not. */
static void test_only_wal(void **state)
{
	make_store(3);
	run("mv %s %s-wal", path, path);
	assert_int_equal(store_open(&settings), 0);
	store_close();
	assert_true(logged("only its -wal has contents"));
	assert_int_equal(count_files("store.bad-"), 2);
	assert_int_equal(run("test -s %s.bad-*-wal", path), 0);
}

/*
 * Whichever bytes change, opening and loading never crash, and the damaged
 * file is either usable or set aside.
 */
static void test_flipped(void **state)
{
	unsigned int round, i, n_aside = 0;
	char *text = NULL;
	struct stat st;

	make_store(100);
	run("cp %s %s/orig", path, folder);
	assert_int_equal(stat(path, &st), 0);
	for (round = 0; round < FLIP_ROUNDS; round++) {
		int fd, err;

		run("rm -f %s*; cp %s/orig %s", path, folder, path);
		fd = open(path, O_RDWR);
		for (i = 0; i < 1 + round % 8; i++) {
			uint8_t byte = (uint8_t)rand();
			/* The first pages decide most. */
			off_t at = rand() % (round % 3 ? st.st_size : 4096);

			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
		close(fd);
		/* As after an unclean end, every other time. */
		if (round % 2)
			run(": >%s.suspect", path);
		err = store_open(&settings);
		if (!err)
			err = load(&text);
		free(text);
		text = NULL;
		if (err == -EUCLEAN)
			err = store_open(&settings);
		if (err && err != -EPROTONOSUPPORT && err != -EINVAL && err != -EIO)
			fail_msg("round %u: %d", round, err);
		n_aside += count_files("store.bad-") > 0;
		if (!err) {
			committed = 0;
			assert_int_equal(store_start(base), 0);
			put_retained("new", "value");
			turn();
		}
		store_close();
	}
	assert_true(n_aside > FLIP_ROUNDS / 10);
}

/* Damage that only comes to light when something is written. */
static void test_damage_in_use(void **state)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	make_store(300);
	damage("inbound");
	start();
	store_inbound_add("client/1", 1);
	while (!n_failed && clock_ms() < end)
		turn();
	assert_non_null(strstr(failure, "set aside when mqttd starts again"));
	assert_int_equal(committed, 0);
	store_close();
	assert_int_equal(count_files("store.suspect"), 1);
	expect_set_aside("DAMAGED");
	assert_int_equal(count_files("store.suspect"), 0);
}

/* Loading does not read it, but after an unclean end everything is read. */
static void test_damaged_index(void **state)
{
	make_store(300);
	damage("outgoing_message");
	open_store();
	store_close();
	assert_int_equal(count_files("store.bad-"), 0);
	run(": >%s.suspect", path);
	expect_set_aside("DAMAGED");
}

/* Once is enough. */
static void test_suspicion(void **state)
{
	make_store(3);
	run(": >%s.suspect", path);
	open_store();
	store_close();
	assert_true(logged("being checked"));
	assert_int_equal(count_files("store.suspect"), 0);
	assert_int_equal(count_files("store.bad-"), 0);
}

static void test_directory(void **state)
{
	run("mkdir %s", path);
	assert_int_equal(store_open(&settings), -EISDIR);
	assert_true(logged("Is a directory"));
	run("rmdir %s; mkfifo %s", path, path);
	assert_int_equal(store_open(&settings), -EINVAL);
	assert_true(logged("not a regular file"));
	settings.path = "/nonexistent/store";
	assert_int_equal(store_open(&settings), -ENOENT);
	assert_true(logged("No such file or directory"));
}

/* Run @body in a process; returns its exit status. */
static int in_child(int (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_as_nobody(void)
{
	if (setresuid(65534, 65534, 65534))
		return 1;
	return store_open(&settings) == -EACCES ? 0 : 2;
}

static void test_no_permission(void **state)
{
	make_store(1);
	run("chmod 755 %s; touch %s.lock; chmod 666 %s.lock %s", folder, path, path, log_path);
	if (geteuid()) {
		run("chmod 000 %s", path);
		assert_int_equal(store_open(&settings), -EACCES);
	} else {
		assert_int_equal(in_child(open_as_nobody), 0);
	}
	assert_true(logged("Permission denied"));
	assert_int_equal(count_files("store.bad-"), 0);
}

static int open_locked(void)
{
	return store_open(&settings) == -EBUSY ? 0 : 1;
}

static void test_locked(void **state)
{
	char text[96];

	start();
	assert_int_equal(store_open(&settings), -EALREADY);
	store_close();
	/* Fork without threads; the child has no store of its own yet. */
	open_store();
	if (!fork()) {
		/* What it inherited is not its own. */
		execl("/proc/self/exe", "again", "open", path, NULL);
		_exit(99);
	} else {
		int status;

		wait(&status);
		assert_int_equal(WEXITSTATUS(status), 16);
	}
	store_close();
	snprintf(text, sizeof(text), "in use by process %d (%.15s)", getpid(),
		 program_invocation_short_name);
	assert_int_equal(run("grep -qF '%s' %s/child", text, folder), 0);
	assert_int_equal(in_child(open_locked), 1);
}

/* Somebody looks into it with sqlite3 and holds a lock. */
static void test_locked_by_other(void **state)
{
	sqlite3 *db;
	pid_t pid;
	int fds[2];
	char c;

	make_store(1);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		sqlite3_open(path, &db);
		sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL,
			     NULL);
		(void)!write(fds[1], "x", 1);
		pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(store_open(&settings), -EBUSY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	assert_true(logged("in use by process"));
	open_store();
}

/* To the second session, with what its message has: @state, @qos and @packet_id. */
static void craft_outgoing(int pos, const char *values)
{
	char text[256];

	snprintf(text, sizeof(text), "INSERT INTO outgoing SELECT 2, %d, 3, message, %s,\n"
		 "0, NULL FROM outgoing WHERE session = 2 AND pos = 1", pos, values);
	sql(text);
}

/* Sound as a database, but with rows that no mqttd writes. */
static void test_crafted(void **state)
{
	make_store(2);
	sql("UPDATE subscription SET qos = 77 WHERE session = 1");
	sql("UPDATE outgoing SET message = 4711 WHERE session = 1");
	craft_outgoing(50, "1, 0, 5");
	craft_outgoing(51, "0, 0, 0");
	craft_outgoing(52, "1, 1, 0");
	craft_outgoing(53, "2, 1, 5");
	sql("INSERT INTO inbound VALUES (1, 0)");
	sql("INSERT INTO inbound VALUES (1, 65536)");
	sql("INSERT INTO inbound VALUES (-5, 1)");
	sql("INSERT INTO inbound VALUES (99, 1)");
	sql("UPDATE retained SET topic = CAST(x'41ff' AS TEXT) WHERE topic = 'client/1'");
	expect("retained client/0=some payload/q1/p4\n"
	       "session client/0 v5 expiry 60 number 7 id 9\n"
	       "session client/1 v5 expiry 60 number 7 id 9\n"
	       "  sub - client/1 q0 f0 i0\n"
	       "  out 1 n0 s0 q1 i0 client/1=some payload/q1/p4\n");
	assert_true(logged("11 rows that no mqttd can have written"));
	assert_int_equal(sql("SELECT count(*) FROM inbound"), 4);
}

/* ---- kill -9 ------------------------------------------------------------ */

#define WINDOW	50	/* messages that are queued, topics that are retained */

static uint64_t counter, counter_of[4096];
static int report_fd;

static void crash_committed(uint64_t seq, void *arg)
{
	(void)!write(report_fd, &counter_of[seq % ARRAY_SIZE(counter_of)], sizeof(uint64_t));
}

/* One transaction: everything in it has the number of the counter. */
static void crash_step(void)
{
	char text[32], topic[16];
	struct message *m;

	counter++;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)counter);
	snprintf(topic, sizeof(topic), "t/%llu", (unsigned long long)counter % WINDOW);
	m = msg(topic, text);
	put_outgoing("a", counter, m);
	store_retained_put(m);
	message_put(m);
	if (counter > WINDOW)
		store_outgoing_delete("a", counter - WINDOW);
	put_mark(1, 1, counter);
	counter_of[store_seq() % ARRAY_SIZE(counter_of)] = counter;
}

static void crash_child(int fd, unsigned int round)
{
	report_fd = fd;
	settings.committed = crash_committed;
	settings.sync = round % 3;
	settings.interval = 1;
	if (store_open(&settings) || store_start(base))
		_exit(1);
	if (!counter)
		put_session("a");
	for (;;) {
		crash_step();
		/* Now and then several turns go together. */
		if (rand() % 4)
			event_base_loop(base, EVLOOP_NONBLOCK);
		else
			turn();
		if (store_backlog() > 100000)
			turn();
	}
}

static uint64_t crash_mark, crash_first, crash_last, crash_rows, crash_retained;

static void crash_on_mark(const struct store_mark *mark, void *arg)
{
	crash_mark = mark->event;
}

static void crash_on_outgoing(void *session, const struct store_outgoing *o, void *arg)
{
	char want[32];

	if (!crash_rows++)
		crash_first = o->pos;
	crash_last = o->pos;
	snprintf(want, sizeof(want), "%llu", (unsigned long long)o->pos);
	assert_int_equal(o->msg->payload_len, strlen(want));
	assert_memory_equal(o->msg->payload, want, strlen(want));
}

static void crash_on_retained(struct message *m, void *arg)
{
	char *text = strndup((const char *)m->payload, m->payload_len);
	unsigned long long n = strtoull(text, NULL, 10);

	/* The retained messages are the last WINDOW, each under its topic. */
	free(text);
	if (!strcmp(m->topic, "big"))
		return;
	assert_int_equal(strtoull(m->topic + 2, NULL, 10), n % WINDOW);
	crash_retained += n;
}

/* All of the transactions up to the mark are there, and nothing of others. */
static void crash_verify(uint64_t reported)
{
	const struct store_loader loader = {
		.mark = crash_on_mark,
		.outgoing = crash_on_outgoing,
		.retained = crash_on_retained,
	};
	uint64_t i, first, sum = 0;

	crash_mark = 0;
	crash_rows = 0;
	crash_retained = 0;
	settings.committed = on_committed;
	open_store();
	assert_int_equal(store_load(&loader), 0);
	store_close();
	assert_true(crash_mark >= reported);
	counter = crash_mark;
	if (!counter)
		return;
	first = counter > WINDOW ? counter - WINDOW + 1 : 1;
	assert_int_equal(crash_last, counter);
	assert_int_equal(crash_first, first);
	assert_int_equal(crash_rows, counter - first + 1);
	for (i = first; i <= counter; i++)
		sum += i;
	assert_int_equal(crash_retained, sum);
}

static void test_kill(void **state)
{
	uint64_t reported = 0, total = 0;
	unsigned int round;

	counter = 0;
	for (round = 0; round < CRASH_ROUNDS; round++) {
		unsigned int reports = (unsigned int)rand() % 20;
		struct pollfd pfd;
		int fds[2];
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		srand(round);
		pid = fork();
		if (!pid) {
			close(fds[0]);
			crash_child(fds[1], round);
		}
		close(fds[1]);
		pfd = (struct pollfd){ .fd = fds[0], .events = POLLIN };
		for (; reports && poll(&pfd, 1, PATIENCE_MS) > 0; reports--) {
			if (read(fds[0], &reported, sizeof(reported)) != sizeof(reported))
				break;
			total++;
		}
		usleep((useconds_t)rand() % 5000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		while (read(fds[0], &reported, sizeof(reported)) == sizeof(reported))
			total++;
		close(fds[0]);
		assert_int_equal(reports, 0);
		crash_verify(reported);
	}
	assert_true(total > CRASH_ROUNDS);
	assert_int_equal(count_files("store.bad-"), 0);
	assert_true(logged("was not closed properly; being checked"));
}

/* ---- power cut ---------------------------------------------------------- */

static uint64_t power_reported;

static void power_committed(uint64_t seq, void *arg)
{
	power_reported = counter_of[seq % ARRAY_SIZE(counter_of)];
}

static int new_file(const char *name)
{
	char file[96];
	int fd;

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	fd = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	return fd;
}

/* Enough of it makes SQLite move its log to the database. */
static void put_big(void)
{
	static char payload[65536];

	memset(payload, 'x', sizeof(payload) - 1);
	put_retained("big", payload);
}

/*
 * Of what was not flushed nothing is left; test_kill() has the other case, in
 * which all is.
 */
static void test_power_cut(void **state)
{
	unsigned int round, steps, i;
	struct stat st;

	for (round = 0; round < POWER_ROUNDS; round++) {
		setup(state);
		counter = 0;
		power_reported = 0;
		settings.committed = power_committed;
		faulty_record(new_file("flushed"), new_file("flushed-wal"));
		start();
		put_session("a");
		crash_step();
		settle();
		steps = round ? (unsigned int)rand() % 100 + 10 : 350;
		for (i = 0; i < steps; i++) {
			if (!round)
				put_big();
			crash_step();
			store_flush();
			if (!round)
				settle();
			else if (!(i % 8))
				turn();
		}
		/* Wherever it is now. */
		faulty.fault = FAULT_WRITE;
		turn();
		store_close();
		faulty_record_end();
		faulty.fault = FAULT_NONE;
		run("cd %s && mv flushed store && mv flushed-wal store-wal && rm -f store-shm",
		    folder);
		assert_true(power_reported > 0);
		/* SQLite did move its log, if there was enough of it. */
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size > 100000, !round);
		crash_verify(power_reported);
		assert_int_equal(count_files("store.bad-"), 0);
	}
}

/* ---- main --------------------------------------------------------------- */

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_garbage),
		STORE_TEST(test_garbage_refused),
		STORE_TEST(test_short),
		STORE_TEST(test_empty_file),
		STORE_TEST(test_newer),
		STORE_TEST(test_newer_in_wal),
		STORE_TEST(test_other_tables),
		STORE_TEST(test_truncated),
		STORE_TEST(test_only_wal),
		STORE_TEST(test_flipped),
		STORE_TEST(test_damage_in_use),
		STORE_TEST(test_damaged_index),
		STORE_TEST(test_suspicion),
		STORE_TEST(test_directory),
		STORE_TEST(test_no_permission),
		STORE_TEST(test_locked),
		STORE_TEST(test_locked_by_other),
		STORE_TEST(test_crafted),
		STORE_TEST(test_kill),
		STORE_TEST(test_power_cut),
	};

	return RUN(tests);
}

/* Another process that wants the same store. */
static int open_only(const char *store)
{
	char file[96];

	snprintf(file, sizeof(file), "%.*s/child", (int)(strrchr(store, '/') - store), store);
	log_to(file);
	settings.path = store;
	return -store_open(&settings);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "open"))
		return open_only(argv[2]);
	return in_folder(run_all);
}
