// SPDX-License-Identifier: GPL-2.0
/*
 * The $SYS topics: moving averages, and what clients may not publish to.
 */
#include "unit.h"

#include <math.h>

#include "sys.h"

static bool near(double a, double b)
{
	return fabs(a - b) < 0.000001;
}

/* A steady rate is reached by 1 - 1/e of the way in the time it looks back. */
static void test_load(void **state)
{
	struct sys_load load = { .seconds = 60 };
	int i;

	for (i = 0; i < 6; i++)
		assert_true(sys_load_update(&load, 600, 10));
	assert_true(near(load.value, 600 * (1 - exp(-1))));
	for (; i < 200; i++)
		sys_load_update(&load, 600, 10);
	assert_false(sys_load_update(&load, 600, 10));
	assert_true(near(load.value, 600));
	/* It goes down as it came up, whatever the steps. */
	assert_true(sys_load_update(&load, 0, 60));
	assert_true(near(load.value, 600 * exp(-1)));
	assert_true(sys_load_update(&load, 0, 30));
	assert_true(sys_load_update(&load, 0, 30));
	assert_true(near(load.value, 600 * exp(-2)));
}

/* A change that two digits do not show is none. */
static void test_load_small(void **state)
{
	struct sys_load load = { .seconds = 900, .value = 1 };

	assert_false(sys_load_update(&load, 1.2, 10));
	assert_true(load.value > 1);
	assert_true(sys_load_update(&load, 100, 10));
}

static bool forbids(const char *topic)
{
	return sys_forbids((const char *)exact(topic, strlen(topic)), strlen(topic));
}

static void test_forbids(void **state)
{
	static const char *const no[] = {
		"$SYS", "$SYS/", "$SYS/broker/version", "$SYSTEM", "$share", "$share/g/t",
		"$SYS/broker/connection/state", "$SYS/broker/connection/a/b/state",
		"$SYS/broker/connection/a/state/b",
	};
	static const char *const yes[] = {
		"a", "$", "$SY", "$sys/x", "SYS", "x/$SYS", "$shar", "$other/x", "/$SYS",
		"$SYS/broker/connection/a/state", "$SYS/broker/connection//state",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(no); i++)
		assert_true(forbids(no[i]));
	for (i = 0; i < ARRAY_SIZE(yes); i++)
		assert_false(forbids(yes[i]));
}

static void test_topic(void **state)
{
	assert_true(sys_topic("$SYS/broker/uptime", 18));
	assert_true(sys_topic("$SYS/broker/connection/a/state", 30));
	assert_false(sys_topic("$SY", 3));
	assert_false(sys_topic("$share/g/t", 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_small),
		cmocka_unit_test(test_forbids),
		cmocka_unit_test(test_topic),
	};

	return RUN(tests);
}
