// SPDX-License-Identifier: GPL-2.0
/*
 * The retained store: what a filter finds in it.
 */
#include "unit.h"

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

static void add(struct message *m, void *arg)
{
	strcat(found, m->topic);
	strcat(found, "=");
	strncat(found, (const char *)m->payload, m->payload_len);
	strcat(found, " ");
}

static const char *match(const char *filter)
{
	found[0] = '\0';
	retain_match(filter, add, NULL);
	return found;
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

static int setup(void **state)
{
	retain_init();
	return 0;
}

static int teardown(void **state)
{
	retain_free();
	return retain_count() ? -1 : 0;
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
			assert_string_equal(match(filter), want);
			put(name, "", 0);
		}
	}
	assert_true(matches > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_match, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_against_codec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusal, setup, teardown),
	};

	return RUN(tests);
}
