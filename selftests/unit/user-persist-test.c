// SPDX-License-Identifier: GPL-2.0
/*
 * The marks: of which connections the store tells how far their events are.
 */
#include "unit.h"
#include "user-store.h"

#include "client.h"
#include "conf.h"
#include "deliver.h"
#include "nl.h"
#include "persist.h"
#include "session.h"

#define INSTANCE	5

static int marks(void)
{
	return sql("SELECT count(*) FROM mark");
}

static void mark(uint64_t conn, uint64_t event)
{
	const struct answer a = { .conn = conn, .event = event };

	persist_mark(&a);
	settle();
}

static void begin_daemon(void)
{
	assert_int_equal(persist_open(INSTANCE, false), 0);
	assert_int_equal(persist_start(base), 0);
}

/* What was marked stays so until the end of the connection is acknowledged. */
static void test_forget(void **state)
{
	begin_daemon();
	mark(1, 10);
	mark(2, 20);
	assert_true(persist_marked(1, 10));
	assert_false(persist_marked(1, 11));
	persist_forget(1);
	mark(2, 21);
	assert_int_equal(marks(), 2);
	persist_settled();
	mark(2, 22);
	assert_int_equal(marks(), 1);
	assert_false(persist_marked(1, 10));
	persist_close();
}

/* Connections that ended with the last daemon leave nothing behind. */
static void test_restart(void **state)
{
	begin_daemon();
	mark(1, 10);
	mark(2, 20);
	persist_close();

	begin_daemon();
	client_new(2, 0, "peer");
	persist_adopted();
	persist_settled();
	assert_true(persist_marked(2, 20));
	mark(2, 21);
	assert_int_equal(marks(), 1);
	assert_int_equal(sql("SELECT conn FROM mark"), 2);
	persist_close();
	clients_free();
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_forget),
		STORE_TEST(test_restart),
	};
	char conf_path[128];
	FILE *f;

	snprintf(conf_path, sizeof(conf_path), "%s.conf", folder);
	f = fopen(conf_path, "w");
	if (!f)
		return 1;
	fprintf(f, "persistence_location %s\npersistence_file store\n", folder);
	fclose(f);
	conf_use(conf_load(conf_path, 0, stderr));
	unlink(conf_path);
	/* Its queues are empty, whether there is a module or not. */
	nl_open();
	sessions_init(base);
	return RUN(tests);
}

int main(void)
{
	return in_folder(run_all);
}
