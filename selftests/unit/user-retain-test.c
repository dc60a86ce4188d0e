// SPDX-License-Identifier: GPL-2.0
/*
 * The retained store: what a filter finds in it, also while it changes.
 */
#include "unit.h"

#include <event2/event.h>

#include "clock.h"
#include "frame.h"
#include "kmqtt.h"
#include "mem.h"
#include "message.h"
#include "retain.h"
#include "topic.h"

static void put(const char *topic, const char *payload, uint64_t expires)
{
	struct message_parts parts = {
		.topic = (const uint8_t *)topic,
		.topic_len = strlen(topic),
		.payload = (const uint8_t *)payload,
		.payload_len = (uint32_t)strlen(payload),
		.expires = expires,
		.retain = true,
	};
	struct message *m = message_new(&parts);

	assert_non_null(m);
	retain_set(m);
	message_put(m);
}

static char found[128];

/* All that @filter finds, @each steps at a time. */
static const char *match_by(const char *filter, unsigned int each)
{
	struct retain_cursor *c = retain_cursor_new(filter);
	unsigned int steps = 0, turns = 0;
	struct message *m;

	found[0] = '\0';
	while (!retain_cursor_done(c)) {
		if (!steps)
			steps = each;
		m = retain_cursor_next(c, &steps);
		assert_true(++turns < 10000);
		if (!m)
			continue;
		assert_ptr_equal(retain_cursor_here(c), m);
		strcat(found, m->topic);
		strcat(found, "=");
		strncat(found, (const char *)m->payload, m->payload_len);
		strcat(found, " ");
	}
	assert_null(retain_cursor_here(c));
	retain_cursor_free(c);
	return found;
}

static const char *match(const char *filter)
{
	return match_by(filter, 1000);
}

/* What is refused, and that memory comes back. */
static void test_refusal(void **state)
{
	static uint8_t bytes[65536];
	struct message_parts parts = {
		.topic = bytes,
		.topic_len = 65535,
		.payload = bytes,
		.payload_len = 100,
		.props = bytes,
	};
	size_t before = mem_charged();

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(message_refusal(&parts), 0);
	parts.mount = "m";
	assert_int_equal(message_refusal(&parts), KMQTT_RC_TOPIC_NAME_INVALID);
	parts.mount = NULL;
	parts.props_len = KMQTT_PROPERTIES_MAX + 1;
	assert_int_equal(message_refusal(&parts), KMQTT_RC_QUOTA);
	parts.props_len = 0;
	mem_limit(before + 70000);
	assert_int_equal(message_refusal(&parts), 0);
	parts.topic_len = 3;
	put("a/b", "1", 0);
	parts.payload_len = 70000;
	assert_int_equal(message_refusal(&parts), KMQTT_RC_QUOTA);
	mem_limit(0);
	assert_int_equal(message_refusal(&parts), 0);
	put("a/b", "", 0);
	assert_int_equal(mem_charged(), before);
}

static size_t charged;

static int setup(void **state)
{
	charged = mem_charged();
	retain_init(NULL);
	return 0;
}

static int teardown(void **state)
{
	retain_free();
	return retain_count() || mem_charged() != charged ? -1 : 0;
}

static void test_match(void **state)
{
	put("a/b", "1", 0);
	put("a", "2", 0);
	put("$SYS/b", "3", 0);
	assert_string_equal(match("a/b"), "a/b=1 ");
	assert_string_equal(match("a/#"), "a=2 a/b=1 ");
	assert_string_equal(match("#"), "a=2 a/b=1 ");
	assert_string_equal(match("+/b"), "a/b=1 ");
	assert_string_equal(match("+"), "a=2 ");
	assert_string_equal(match("$SYS/#"), "$SYS/b=3 ");
	assert_string_equal(match("$SYS/+"), "$SYS/b=3 ");
	assert_string_equal(match("a/b/c"), "");
	assert_string_equal(match("a/b/#"), "a/b=1 ");
	assert_string_equal(match_by("#", 1), "a=2 a/b=1 ");
	assert_string_equal(match_by("+/b/#", 1), "a/b=1 ");
}

static void test_replace(void **state)
{
	put("a/b/c", "1", 0);
	put("a/b/c", "2", 0);
	assert_int_equal(retain_count(), 1);
	assert_string_equal(match("a/b/c"), "a/b/c=2 ");
	put("a/b/c", "", 0);
	put("never/there", "", 0);
	assert_int_equal(retain_count(), 0);
	assert_string_equal(match("#"), "");
}

static void test_expiry(void **state)
{
	put("e/1", "old", clock_ms() - 1);
	put("e/2", "new", clock_ms() + 60000);
	assert_int_equal(retain_count(), 2);
	assert_string_equal(match("e/+"), "e/2=new ");
	assert_int_equal(retain_count(), 1);
	put("e/2", "old", clock_ms() - 1);
	assert_string_equal(match("e/2"), "");
	assert_int_equal(retain_count(), 0);
}

/* As the codec sees it, for every pair over few levels. */
static void test_against_codec(void **state)
{
	static const char *const levels[] = { "", "p", "+", "#", "$p" };
	char filter[16], name[16], want[32];
	unsigned int i, j, matches = 0;

	for (i = 0; i < 5 * 5 * 5; i++) {
		snprintf(filter, sizeof(filter), "%s/%s/%s", levels[i / 25],
			 levels[i / 5 % 5], levels[i % 5]);
		if (kmqtt_topic_filter_check((const __u8 *)filter, strlen(filter)))
			continue;
		for (j = 0; j < 5 * 5; j++) {
			snprintf(name, sizeof(name), "%s/%s", levels[j / 5], levels[j % 5]);
			if (kmqtt_topic_name_check((const __u8 *)name, strlen(name)))
				continue;
			want[0] = '\0';
			if (kmqtt_topic_matches((const __u8 *)filter, strlen(filter),
						(const __u8 *)name, strlen(name)))
				snprintf(want, sizeof(want), "%s=v ", name);
			matches += want[0] != '\0';
			put(name, "v", 0);
			assert_string_equal(match_by(filter, 1 + j % 3), want);
			put(name, "", 0);
		}
	}
	assert_true(matches > 20);
}

/* Steps that a walk for @filter takes, and how many it found. */
static unsigned int steps_of(const char *filter, unsigned int *n)
{
	struct retain_cursor *c = retain_cursor_new(filter);
	unsigned int steps = 1 << 30;

	*n = 0;
	while (retain_cursor_next(c, &steps))
		++*n;
	assert_true(retain_cursor_done(c));
	retain_cursor_free(c);
	return (1U << 30) - steps;
}

/* A walk looks at what its filter leads to, not at all there is. */
static void test_steps(void **state)
{
	char topic[32];
	unsigned int i, n;

	for (i = 0; i < 1000; i++) {
		snprintf(topic, sizeof(topic), "a/b/%u/c", i);
		put(topic, "v", 0);
	}
	put("a/b/7/x/y", "v", 0);
	assert_true(steps_of("a/b/7/c", &n) <= 5);
	assert_int_equal(n, 1);
	assert_true(steps_of("+/b/7/#", &n) <= 7);
	assert_int_equal(n, 2);
	assert_true(steps_of("+/+/7/x/y", &n) <= 6);
	assert_int_equal(n, 1);
	assert_true(steps_of("+/x/#", &n) <= 3);
	assert_int_equal(n, 0);
	/* One level of a thousand, but not what is below the others. */
	assert_true(steps_of("a/b/+/x/#", &n) <= 1010);
	assert_int_equal(n, 1);
	assert_true(steps_of("#", &n) <= 2010);
	assert_int_equal(n, 1001);
}

/* A tree as deep as can be, walked and freed without recursion. */
static void test_deep(void **state)
{
	char topic[2 * KMQTT_TOPIC_LEVELS_MAX];
	unsigned int i, n;

	for (i = 0; i < KMQTT_TOPIC_LEVELS_MAX - 1; i++)
		memcpy(&topic[2 * i], "d/", 2);
	topic[2 * i] = 'd';
	topic[2 * i + 1] = '\0';
	put(topic, "v", 0);
	assert_int_equal(steps_of("#", &n), KMQTT_TOPIC_LEVELS_MAX + 1);
	assert_int_equal(n, 1);
}

#define POOL	600

static struct {
	char topic[24];
	bool there;		/* now */
	bool always;		/* since the walk began */
	unsigned int met;
} pool[POOL];

static void pool_set(unsigned int i, bool there)
{
	put(pool[i].topic, there ? "v" : "", 0);
	pool[i].there = there;
	if (!there)
		pool[i].always = false;
}

static void pool_meet(const struct message *m)
{
	unsigned int i;

	for (i = 0; i < POOL; i++)
		if (!strcmp(pool[i].topic, m->topic))
			break;
	assert_true(i < POOL && pool[i].there);
	pool[i].met++;
}

static void walk_while_changing(const char *filter, unsigned int seed)
{
	struct retain_cursor *c = retain_cursor_new(filter);
	unsigned int steps, i;
	struct message *m;

	for (i = 0; i < POOL; i++) {
		pool[i].always = pool[i].there;
		pool[i].met = 0;
	}
	while (!retain_cursor_done(c)) {
		steps = (unsigned int)rand_r(&seed) % 12;
		while ((m = retain_cursor_next(c, &steps)))
			pool_meet(m);
		for (i = (unsigned int)rand_r(&seed) % 60; i; i--)
			pool_set((unsigned int)rand_r(&seed) % POOL, rand_r(&seed) % 2);
	}
	for (i = 0; i < POOL; i++) {
		bool matches = kmqtt_topic_matches((const __u8 *)filter, strlen(filter),
						   (const __u8 *)pool[i].topic,
						   strlen(pool[i].topic));

		assert_true(pool[i].met <= (matches ? 1 : 0));
		assert_true(pool[i].met || !matches || !pool[i].always);
	}
	retain_cursor_free(c);
}

/* What is there all the time is met once, whatever comes and goes. */
static void test_changes(void **state)
{
	static const char *const filters[] = {
		"#", "+/#", "+/1/#", "a/+/2", "+/+/3", "a/#", "+/+/+/+", "+/2/+/#",
	};
	unsigned int i, n = 0, round;

	for (i = 0; i < 120; i++) {
		snprintf(pool[n++].topic, sizeof(pool[0].topic), "%c", 'a' + i % 8);
		snprintf(pool[n++].topic, sizeof(pool[0].topic), "a/%u", i);
		snprintf(pool[n++].topic, sizeof(pool[0].topic), "%c/%u", 'a' + i % 10, i / 10);
		snprintf(pool[n++].topic, sizeof(pool[0].topic), "%c/%u/%u", 'a' + i % 3,
			 i / 3 % 10, i / 30);
		snprintf(pool[n++].topic, sizeof(pool[0].topic), "%c/%u/%u/x", 'a' + i % 3,
			 i / 3 % 10, i / 30);
	}
	/* Those that stand there twice are never set. */
	for (i = 0; i < POOL; i++)
		for (n = 0; n < i; n++)
			if (!strcmp(pool[i].topic, pool[n].topic))
				snprintf(pool[i].topic, sizeof(pool[0].topic), "own/%u", i);
	for (i = 0; i < POOL; i++)
		pool_set(i, i % 3);
	for (round = 0; round < 25; round++)
		for (i = 0; i < ARRAY_SIZE(filters); i++)
			walk_while_changing(filters[i], round * 100 + i);
	for (i = 0; i < POOL; i++)
		pool_set(i, false);
	assert_int_equal(mem_charged(), charged);
}

/* A walk ends although thrice as much comes as it looks at. */
static void test_flood(void **state)
{
	struct retain_cursor *c = retain_cursor_new("#");
	unsigned int i, n = 0, turns = 0, steps;
	char topic[32];

	for (i = 0; i < 100; i++) {
		snprintf(topic, sizeof(topic), "f/%u/x", i);
		put(topic, "v", 0);
	}
	while (!retain_cursor_done(c)) {
		steps = 1;
		retain_cursor_next(c, &steps);
		for (i = 0; i < 3; i++) {
			snprintf(topic, sizeof(topic), "f/%u/%u", n % 100, n);
			put(topic, "v", 0);
			snprintf(topic, sizeof(topic), "g/%u", n++);
			put(topic, "v", 0);
		}
		assert_true(++turns < 20000);
	}
	retain_cursor_free(c);
}

/* What it stands on may go, and be there again. */
static void test_stand(void **state)
{
	struct retain_cursor *c = retain_cursor_new("s/+/#");
	unsigned int steps = 100;
	size_t before;

	put("s/1/x", "v", 0);
	put("s/2", "v", 0);
	before = mem_charged();
	assert_string_equal(retain_cursor_next(c, &steps)->topic, "s/2");
	put("s/2", "", 0);
	assert_null(retain_cursor_here(c));
	put("s/1/x", "", 0);
	assert_int_equal(retain_count(), 0);
	assert_true(mem_charged() < before);
	put("s/2", "new", 0);
	assert_non_null(retain_cursor_here(c));
	put("s/3", "v", 0);
	put("s/2/below", "v", 0);
	assert_string_equal(retain_cursor_next(c, &steps)->topic, "s/2/below");
	assert_null(retain_cursor_next(c, &steps));
	assert_true(retain_cursor_done(c));
	retain_cursor_rewind(c);
	assert_string_equal(retain_cursor_next(c, &steps)->topic, "s/3");
	retain_cursor_free(c);
}

/* Expired ones go although nobody asks for them, and no others. */
static void test_sweep(void **state)
{
	struct event_base *base = event_base_new();
	unsigned int i, turns = 0;
	char topic[32];

	retain_free();
	retain_init(base);
	for (i = 0; i < 2500; i++) {
		snprintf(topic, sizeof(topic), i % 2 ? "$s/%u" : "s/%u", i);
		put(topic, "v", i < 5 ? clock_ms() + 60000 : clock_ms() + 10);
	}
	while (retain_count() > 5) {
		assert_true(turns++ < 4);
		event_base_loop(base, EVLOOP_ONCE);
	}
	assert_true(turns > 1);
	/* Nothing to wait for when nothing can expire. */
	for (i = 0; i < 5; i++) {
		snprintf(topic, sizeof(topic), i % 2 ? "$s/%u" : "s/%u", i);
		put(topic, i < 4 ? "" : "lasts", 0);
	}
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 1);
	assert_int_equal(retain_count(), 1);
	retain_free();
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_match, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_against_codec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
	};

	return RUN(tests);
}
