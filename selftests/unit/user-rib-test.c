// SPDX-License-Identifier: GPL-2.0
/*
 * The RIB: who gets a message, once, with which options.
 */
#include "unit.h"

#include <time.h>

#include "broker.h"
#include "conf.h"
#include "kmqtt.h"
#include "mem.h"
#include "rib.h"
#include "session.h"
#include "topic.h"

static struct session *a, *b, *c;

static struct subscription *sub(struct session *s, const char *share, const char *filter,
				uint8_t qos, uint32_t flags, uint32_t subid)
{
	struct rib_options opts = { .qos = qos, .flags = flags, .subid = subid };
	bool existed;

	return rib_add(s, share, filter, &opts, &existed);
}

/* Names of the sessions that get @topic, in the order of a, b, c. */
static const char *match(const char *topic, const struct session *source)
{
	struct rib_dests d = { 0 };
	static char names[32];
	size_t i, n = 0;
	char id;

	rib_match(topic, strlen(topic), source, &d);
	for (id = 'a'; id <= 'c'; id++)
		for (i = 0; i < d.n; i++)
			if (d.v[i].session->id[0] == id)
				names[n++] = id;
	names[n] = '\0';
	rib_dests_free(&d);
	return names;
}

static int setup(void **state)
{
	rib_init();
	a = session_new("a");
	b = session_new("b");
	c = session_new("c");
	return 0;
}

static int teardown(void **state)
{
	sessions_free();
	rib_free();
	return rib_count() ? -1 : 0;
}

static void test_wildcards(void **state)
{
	sub(a, NULL, "x/+/z", 0, 0, 0);
	sub(b, NULL, "x/#", 0, 0, 0);
	sub(c, NULL, "#", 0, 0, 0);
	assert_string_equal(match("x/y/z", NULL), "abc");
	assert_string_equal(match("x//z", NULL), "abc");
	assert_string_equal(match("x", NULL), "bc");
	assert_string_equal(match("x/", NULL), "bc");
	assert_string_equal(match("/", NULL), "c");
	assert_string_equal(match("$x", NULL), "");
}

static void test_dollar(void **state)
{
	sub(a, NULL, "+/x", 0, 0, 0);
	sub(b, NULL, "$SYS/#", 0, 0, 0);
	sub(c, NULL, "$SYS/+", 0, 0, 0);
	assert_string_equal(match("$SYS/x", NULL), "bc");
	assert_string_equal(match("$SYS", NULL), "b");
	assert_string_equal(match("S/x", NULL), "a");
}

/* Every filter of every name over few levels, against the codec's judgement. */
static void test_against_codec(void **state)
{
	static const char *const levels[] = { "", "p", "q", "+", "#", "$p" };
	char filter[16], name[16];
	unsigned int i, j, matches = 0;

	for (i = 0; i < 6 * 6 * 6; i++) {
		struct subscription *s;

		snprintf(filter, sizeof(filter), "%s/%s/%s", levels[i / 36],
			 levels[i / 6 % 6], levels[i % 6]);
		if (kmqtt_topic_filter_check((const __u8 *)filter, strlen(filter)))
			continue;
		s = sub(a, NULL, filter, 0, 0, 0);
		for (j = 0; j < 6 * 6; j++) {
			bool want;

			snprintf(name, sizeof(name), "%s/%s", levels[j / 6], levels[j % 6]);
			if (kmqtt_topic_name_check((const __u8 *)name, strlen(name)))
				continue;
			want = kmqtt_topic_matches((const __u8 *)filter, strlen(filter),
						   (const __u8 *)name, strlen(name));
			matches += want;
			assert_string_equal(match(name, NULL), want ? "a" : "");
		}
		rib_del(s);
	}
	assert_true(matches > 20);
}

static void test_merge(void **state)
{
	static const uint32_t subids[] = { 3, 7, 9 };
	struct rib_dests d = { 0 };

	sub(a, NULL, "m/x", 1, 0, 9);
	sub(a, NULL, "m/+", 2, KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED, 3);
	sub(a, NULL, "m/#", 0, 0, 7);
	sub(a, NULL, "+/x", 0, 0, 7);
	rib_match("m/x", 3, NULL, &d);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.v[0].qos, 2);
	assert_true(d.v[0].rap);
	assert_int_equal(d.v[0].n_subids, ARRAY_SIZE(subids));
	assert_memory_equal(d.v[0].subids, subids, sizeof(subids));
	rib_dests_free(&d);
}

static void test_no_local(void **state)
{
	struct rib_dests d = { 0 };

	sub(a, NULL, "n", 1, KMQTT_ROUTE_F_NO_LOCAL, 0);
	rib_match("n", 1, a, &d);
	assert_int_equal(d.n, 0);
	assert_true(d.no_local);
	rib_dests_free(&d);
	rib_match("m", 1, a, &d);
	assert_false(d.no_local);
	sub(b, NULL, "n", 1, KMQTT_ROUTE_F_NO_LOCAL, 0);
	assert_string_equal(match("n", a), "b");
	assert_string_equal(match("n", NULL), "ab");
	/* One without the option is enough. */
	sub(a, NULL, "+", 0, 0, 0);
	assert_string_equal(match("n", a), "ab");
}

static void test_share(void **state)
{
	sub(a, "g", "s", 1, 0, 0);
	sub(b, "g", "s", 1, 0, 0);
	assert_string_equal(match("s", NULL), "a");
	assert_string_equal(match("s", NULL), "b");
	assert_string_equal(match("s", NULL), "a");
	/* The shared and the plain subscription of one session are two. */
	sub(a, "h", "s", 1, 0, 0);
	sub(a, NULL, "s", 1, 0, 0);
	assert_string_equal(match("s", NULL), "aab");
	rib_del(rib_find(a, "h", "s"));
	rib_del(rib_find(a, NULL, "s"));
	assert_null(rib_find(a, "h", "s"));
	assert_string_equal(match("s", NULL), "a");
	assert_string_equal(match("s", NULL), "b");
}

static void test_replace(void **state)
{
	struct rib_options opts = { .qos = 2, .subid = 4 };
	struct subscription *first = sub(a, NULL, "r", 0, 0, 1);
	bool existed = false;

	assert_ptr_equal(rib_add(a, NULL, "r", &opts, &existed), first);
	assert_true(existed);
	assert_int_equal(first->qos, 2);
	assert_int_equal(rib_count(), 1);
	assert_null(rib_find(b, NULL, "r"));
	assert_null(rib_find(a, "g", "r"));
	rib_del(first);
	assert_null(rib_find(a, NULL, "r"));
	assert_int_equal(rib_count(), 0);
}

/* All of them, ascending, each once, at most KMQTT_SUBIDS_MAX in one copy. */
static void test_many_subids(void **state)
{
	struct rib_dests d = { 0 };
	char filter[64];
	uint32_t seen = 0;
	unsigned int i, j;
	size_t n;

	/* Eight levels, each as it is or "+": 256 filters of one topic. */
	for (i = 0; i < 256; i++) {
		for (j = 0, n = 0; j < 8; j++) {
			filter[n++] = i >> j & 1 ? '+' : 'x';
			filter[n++] = '/';
		}
		filter[n - 1] = '\0';
		sub(a, NULL, filter, i == 9 ? 2 : 0, 0, i == 255 ? 1 : 1000 - i);
	}
	sub(b, NULL, "#", 1, 0, 7);
	rib_match("x/x/x/x/x/x/x/x", 15, NULL, &d);
	assert_int_equal(d.n, 256 / KMQTT_SUBIDS_MAX + 1);
	for (n = 0; n < d.n; n++) {
		if (d.v[n].session == b) {
			assert_int_equal(d.v[n].n_subids, 1);
			continue;
		}
		assert_int_equal(d.v[n].qos, 2);
		assert_true(d.v[n].n_subids <= KMQTT_SUBIDS_MAX);
		for (i = 0; i < d.v[n].n_subids; i++) {
			assert_true(d.v[n].subids[i] > seen);
			seen = d.v[n].subids[i];
			assert_true(seen == 1 || seen > 1000 - 255);
		}
	}
	assert_int_equal(seen, 1000);
	rib_dests_free(&d);
}

/* One session has so much room; who leaves gives it back. */
static void test_full(void **state)
{
	size_t before = mem_charged();
	unsigned int n = 0;
	char filter[4096];

	memset(filter, 'x', sizeof(filter));
	filter[sizeof(filter) - 1] = '\0';
	do {
		filter[0] = (char)('a' + n % 26);
		filter[1] = (char)('a' + n / 26 % 26);
		filter[2] = (char)('a' + n / 676);
		if (rib_full(a, NULL, filter))
			break;
		sub(a, NULL, filter, 0, 0, 0);
	} while (++n < 17000);
	assert_in_range(n, 100, RIB_SESSION_BYTES / sizeof(filter));
	/* The same one again, and somebody else. */
	memcpy(filter, "aaa", 3);
	assert_false(rib_full(a, NULL, filter));
	assert_false(rib_full(b, NULL, filter));
	mem_limit(mem_charged() + 4096);
	assert_true(rib_full(b, NULL, filter));
	session_free(a);
	assert_false(rib_full(b, NULL, filter));
	mem_limit(0);
	a = session_new("a");
	assert_int_equal(mem_charged(), before);
}

/*
 * A filter that many share, of sessions of which one has many: what one more
 * subscription costs must not grow with either.  The limit is ten times what it
 * takes, and a hundredth of what looking at each would.
 */
#define CROWD		60000
#define CROWD_SECONDS	10

static void test_crowd(void **state)
{
	clock_t end = clock() + CROWD_SECONDS * CLOCKS_PER_SEC;
	struct session *s = NULL;
	char name[32];
	int i;

	for (i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "crowd-%d", i);
		s = session_new(name);
		sub(s, NULL, "all", 1, 0, 0);
		sub(s, "g", "all", 1, 0, 0);
		sub(a, NULL, name, 1, 0, 0);
		assert_true(clock() < end);
	}
	assert_int_equal(rib_count(), 3 * CROWD);
	for (i = 0; i < CROWD; i++) {
		assert_non_null(rib_find(s, NULL, "all"));
		assert_null(rib_find(a, NULL, "all"));
		assert_null(rib_find(s, "h", "all"));
		assert_true(clock() < end);
	}
	assert_string_equal(rib_find(s, "g", "all")->share, "g");
	assert_ptr_not_equal(rib_find(s, "g", "all"), rib_find(s, NULL, "all"));
}

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
		cmocka_unit_test_setup_teardown(test_wildcards, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dollar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_against_codec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_local, setup, teardown),
		cmocka_unit_test_setup_teardown(test_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_subids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, use_defaults, NULL);
}
