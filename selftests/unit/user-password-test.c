// SPDX-License-Identifier: GPL-2.0
/*
 * Password files: those that mosquitto_passwd wrote, those that it writes
 * now, and broken ones.
 */
#include <unistd.h>

#include "folder.h"

#include "conf.h"
#include "password.h"
#include "pool.h"

static char path[64];

/*
 * Written by mosquitto_passwd 2.0.11 for user "alice", password "secret"; with
 * -H sha512 and without.
 */
#define LINE6 \
	"alice:$6$HbvumTpg/o3THFG8$i8UWwB79oKEj8Q94tmYgMGDNUlsQ/9nV/nPYYd" \
	"HMt+VSLNxv5I5dRon1J7rgYL6x4MaZcqifpHvTiu4RWLj1+g=="
/* The hash of no password. */
#define EMPTY \
	"empty:$6$a21xdHQtZW1wdHku$iJPs3c8yn429erbiZGAJOUH2IH1xqZZRZTbr3A" \
	"OGWZcX6N2n/+Pn1C4dnv07/RT5hndk2QpVAkmjDJZZY95Rmg=="
#define LINE7 \
	"alice:$7$101$ssnLU8D1Xtf08IUW$iW3xoljon6+PmCc7n8EvHEvYCc1S3jSP2E" \
	"t7yBEiknvQ7+iGGhc35cfNdTvP1BxwnOz0Yo5ms96AjIXFnv8iKQ=="

static struct password_file *load(const char *name)
{
	struct password_file *file;
	FILE *f = report_begin();

	file = password_file_load(name, f);
	report_end(f);
	return file;
}

static struct password_file *good(const char *text)
{
	struct password_file *file;

	write_file(path, text);
	file = load(path);
	assert_string_equal(report, "");
	assert_non_null(file);
	return file;
}

static void bad(const char *text, unsigned int line, const char *what)
{
	write_file(path, text);
	if (load(path))
		fail_msg("accepted: %s", text);
	report_has(path, line, what, text);
}

static bool check(const struct password_file *file, const char *user,
		  const char *password)
{
	const struct credentials who = {
		.user = user,
		.user_len = strlen(user),
		.password = password,
		.password_len = password ? strlen(password) : 0,
	};

	return password_file_check(file, &who);
}

static void check_alice(const char *line)
{
	struct password_file *file = good(line);

	assert_true(check(file, "alice", "secret"));
	assert_false(check(file, "alice", "Secret"));
	assert_false(check(file, "alice", "secre"));
	assert_false(check(file, "alice", "secrett"));
	assert_false(check(file, "alice", ""));
	assert_false(check(file, "alice", NULL));
	assert_false(check(file, "alic", "secret"));
	assert_false(check(file, "Alice", "secret"));
	assert_false(check(file, "", "secret"));
	assert_false(password_file_check(file, &(struct credentials){ "alice\0", 6, "secret", 6 }));
	password_file_free(file);
}

static void test_sha512(void **state)
{
	struct password_file *file;

	check_alice(LINE6 "\n");
	/* Not so for PBKDF2: HMAC itself fills short keys up with zeros. */
	file = good(LINE6);
	assert_false(password_file_check(file, &(struct credentials){ "alice", 5, "secret\0", 7 }));
	password_file_free(file);
}

static void test_empty_password(void **state)
{
	struct password_file *file = good(EMPTY);

	assert_false(check(file, "empty", ""));
	assert_false(check(file, "empty", NULL));
	assert_false(check(file, "empty", "any"));
	password_file_free(file);
}

static void test_pbkdf2(void **state)
{
	check_alice(LINE7 "\n");
	check_alice("# comment\r\n\r\n" LINE7);
}

static void run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command))
		fail_msg("%s", command);
}

/* What the program itself writes today, salts and iterations of its choice. */
static void test_mosquitto_passwd(void **state)
{
	struct password_file *file;

	if (system("command -v mosquitto_passwd >/dev/null"))
		skip();
	unlink(path);
	run("touch %s", path);
	run("mosquitto_passwd -b %s bob one", path);
	run("mosquitto_passwd -H sha512 -b %s carol two", path);
	run("mosquitto_passwd -I 5000 -b %s dave 'p:w $7$ \xc3\xa4'", path);
	file = load(path);
	assert_string_equal(report, "");
	assert_true(check(file, "bob", "one"));
	assert_true(check(file, "carol", "two"));
	assert_true(check(file, "dave", "p:w $7$ \xc3\xa4"));
	assert_false(check(file, "bob", "two"));
	assert_false(check(file, "carol", "one"));
	assert_false(check(file, "dave", "one"));
	password_file_free(file);

	run("printf 'erin:plain\\n' >%s", path);
	assert_null(load(path));
	assert_non_null(strstr(report, "run mosquitto_passwd -U"));
	run("mosquitto_passwd -U %s", path);
	file = load(path);
	assert_true(check(file, "erin", "plain"));
	password_file_free(file);
}

static void test_user_without_password(void **state)
{
	struct password_file *file = good("guest\n");

	assert_true(check(file, "guest", NULL));
	assert_true(check(file, "guest", "any"));
	assert_false(check(file, "ghost", NULL));
	password_file_free(file);
}

static void test_broken(void **state)
{
	bad("\nalice:secret\n", 2, "not hashed");
	bad("alice:\n", 1, "not hashed");
	bad(":$6$YWJj$YWJj\n", 1, "the user name is not");
	bad("alice:$6$\n", 1, "not complete");
	bad("alice:$6$YWJj\n", 1, "not complete");
	bad("alice:$6$$YWJj\n", 1, "the salt is not base64");
	bad("alice:$6$YW!j$YWJj\n", 1, "the salt is not base64");
	bad("alice:$6$YWJj$YWJj\n", 1, "the hash is not base64 of 64 bytes");
	bad("alice:$6$YWJj$\n", 1, "the hash is not base64 of 64 bytes");
	bad("alice:$7$YWJj$YWJj\n", 1, "iterations");
	bad("alice:$7$0$YWJj$YWJj\n", 1, "iterations");
	bad("alice:$7$-1$YWJj$YWJj\n", 1, "iterations");
	bad("alice:$7$10000001$YWJj$YWJj\n", 1, "iterations");
	bad("alice:$8$YWJj$YWJj\n", 1, "not hashed");
	bad("guest\n" LINE6 "\nguest\n", 3, "there already");
}

static void test_missing(void **state)
{
	assert_null(load("/nonexistent/x"));
	assert_non_null(strstr(report, "/nonexistent/x: cannot open the password_file"));
}

/* A configuration with one listener of @text. */
static void use(const char *text)
{
	char name[80];
	struct conf *conf;

	snprintf(name, sizeof(name), "%s/mqttd.conf", folder);
	write_file(name, text);
	conf = conf_load(name, 0, stderr);
	assert_non_null(conf);
	assert_int_equal(password_setup(conf, stderr), 0);
	conf_use(conf);
}

static struct event_base *base;
static bool answered, answer;

static void answer_comes(struct password_ticket *ticket, bool right)
{
	assert_null(ticket->job);
	answered = true;
	answer = right;
}

static enum password_answer begin(unsigned int listener, const char *user,
				  const char *password, struct password_ticket *ticket)
{
	const struct credentials who = { user, strlen(user), password, strlen(password) };

	answered = false;
	ticket->done = answer_comes;
	return password_ask(listener, &who, ticket);
}

static bool ask(unsigned int listener, const char *user, const char *password)
{
	struct password_ticket ticket = { };
	enum password_answer now = begin(listener, user, password, &ticket);

	if (now != PASSWORD_LATER)
		return now == PASSWORD_RIGHT;
	while (!answered)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	return answer;
}

static void test_listeners(void **state)
{
	char text[256];

	write_file(path, LINE7 "\n");
	snprintf(text, sizeof(text),
		 "per_listener_settings true\nlistener 1\npassword_file %s\n"
		 "listener 2\nallow_anonymous true\nlistener 3\npassword_file %s\n"
		 "listener 4\n", path, path);
	use(text);
	assert_true(ask(0, "alice", "secret"));
	assert_false(ask(0, "alice", "other"));
	assert_true(ask(1, "anybody", "anything"));
	assert_true(ask(2, "alice", "secret"));
	assert_false(ask(3, "alice", "secret"));
	assert_false(ask(4, "alice", "secret"));

	snprintf(text, sizeof(text), "listener 1\npassword_file %s\nlistener 2\n",
		 path);
	use(text);
	assert_true(ask(0, "alice", "secret"));
	assert_true(ask(1, "alice", "secret"));
	assert_false(ask(1, "alice", "other"));
	conf_use(NULL);
	password_cleanup();
	assert_false(ask(0, "alice", "secret"));
}

/* Neither a reload nor the end of the pool pulls the ground from under a hash. */
static void test_pending(void **state)
{
	struct password_ticket tickets[100] = { };
	char text[128];
	int i;

	write_file(path, LINE7 "\n");
	snprintf(text, sizeof(text), "listener 1\npassword_file %s\n", path);
	use(text);
	for (i = 0; i < 50; i++)
		assert_int_equal(begin(0, "alice", "secret", &tickets[i]), PASSWORD_LATER);
	use(text);
	assert_true(ask(0, "alice", "secret"));
	for (i = 0; i < 100; i++)
		password_cancel(&tickets[i]);
	for (i = 0; i < 100; i++)
		assert_int_equal(begin(0, i & 1 ? "alice" : "nobody", "secret", &tickets[i]),
				 PASSWORD_LATER);
	for (i = 0; i < 50; i++)
		password_cancel(&tickets[i]);
	pool_stop();
	assert_false(answered);
	assert_int_equal(pool_start(base), 0);
	assert_true(ask(0, "alice", "secret"));
	assert_false(ask(0, "nobody", "secret"));
	conf_use(NULL);
	password_cleanup();
}

/* A reload with a broken file leaves the former one in force. */
static void test_broken_reload(void **state)
{
	char text[128];
	FILE *null = fopen("/dev/null", "w");

	write_file(path, LINE6 "\n");
	snprintf(text, sizeof(text), "listener 1\npassword_file %s\n", path);
	use(text);
	write_file(path, "alice:nonsense\n");
	assert_int_equal(password_setup(conf_get(), null), -1);
	assert_true(ask(0, "alice", "secret"));
	fclose(null);
	conf_use(NULL);
	password_cleanup();
}

static int setup(void **state)
{
	base = event_base_new();
	if (!base || pool_start(base))
		return -1;
	return folder_setup(path, sizeof(path), "passwords");
}

static int teardown(void **state)
{
	pool_stop();
	event_base_free(base);
	return folder_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha512),
		cmocka_unit_test(test_empty_password),
		cmocka_unit_test(test_pbkdf2),
		cmocka_unit_test(test_mosquitto_passwd),
		cmocka_unit_test(test_user_without_password),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_broken_reload),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
