// SPDX-License-Identifier: GPL-2.0
/*
 * Lists page by page, and the walk of a table they stand on: what is there all
 * the time comes once, whatever comes and goes between two pages.
 */
#include "unit.h"

#include <stdio.h>

#include "clock.h"
#include "list.h"
#include "listing.h"
#include "map.h"
#include "mem.h"
#include "message.h"
#include "retain.h"
#include "rib.h"
#include "session.h"

#define MANY	3000

/* ---- the walk ----------------------------------------------------------- */

struct item {
	struct map_entry entry;
	unsigned int met;
};

static void test_walk(void **state)
{
	static struct item items[8 * MANY];
	unsigned int i, n = 0, steps, more = MANY;
	struct map_walk w = { 0 };
	struct map map = { 0 };
	struct map_entry *e;

	for (i = 0; i < MANY; i++)
		map_add(&map, &items[i].entry, map_hash(9, &i, sizeof(i)));
	do {
		steps = 7;
		while ((e = map_walk_next(&map, &w, &steps))) {
			container_of(e, struct item, entry)->met++;
			n++;
		}
		/* The table grows three times; every third item goes. */
		for (i = 0; i < 20 && more < 8 * MANY; i++, more++)
			map_add(&map, &items[more].entry, map_hash(9, &more, sizeof(more)));
		if (n % 3 == 0 && n < MANY && !items[n].met && items[n].met != 99) {
			map_del(&map, &items[n].entry);
			items[n].met = 99;
		}
	} while (!w.done);
	assert_true(n >= MANY - MANY / 3);
	for (i = 0; i < 8 * MANY; i++) {
		if (items[i].met == 99)
			continue;
		assert_true(items[i].met <= 1);
		if (i < MANY)
			assert_int_equal(items[i].met, 1);
	}
	map_free(&map);
}

static void test_walk_empty(void **state)
{
	struct map map = { 0 };
	struct map_walk w = { 0 };
	unsigned int steps = 10;

	assert_null(map_walk_next(&map, &w, &steps));
	assert_true(w.done);
}

/* Hashes at both ends of the order, and two that are the same. */
static void test_walk_ends(void **state)
{
	static const uint64_t hashes[] = { 0, UINT64_MAX, 1, 1, 1ULL << 63 };
	struct item items[ARRAY_SIZE(hashes)] = { 0 };
	unsigned int i, steps = 1000, n = 0;
	struct map_walk w = { 0 };
	struct map map = { 0 };
	struct map_entry *e;

	for (i = 0; i < ARRAY_SIZE(hashes); i++)
		map_add(&map, &items[i].entry, hashes[i]);
	while ((e = map_walk_next(&map, &w, &steps)))
		for (; e; e = map_next(e), n++)
			assert_int_equal(container_of(e, struct item, entry)->met++, 0);
	assert_true(w.done);
	assert_int_equal(n, ARRAY_SIZE(hashes));
	map_free(&map);
}

/* ---- pages -------------------------------------------------------------- */

static cJSON *question(const char *name, const char *value)
{
	cJSON *q = cJSON_CreateObject();

	if (name)
		cJSON_AddStringToObject(q, name, value);
	return q;
}

/* The next page of @what; *@next as in listing_page(). */
static cJSON *page(const char *what, cJSON *q, cJSON **next)
{
	struct listing_refusal why;
	cJSON *rows;

	cJSON_DeleteItemFromObjectCaseSensitive(q, "from");
	if (*next)
		cJSON_AddItemToObject(q, "from", *next);
	rows = listing_page(what, q, next, &why);
	assert_non_null(rows);
	assert_true(cJSON_GetArraySize(rows) <= 300);
	return rows;
}

static unsigned int met[4 * MANY];

/* Count the rows by the number that ends their member @name. */
static void count(const cJSON *rows, const char *name)
{
	const cJSON *row;

	cJSON_ArrayForEach(row, rows) {
		const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, name));

		assert_non_null(s);
		met[atoi(s + strcspn(s, "0123456789"))]++;
	}
}

static const char *numbered(const char *prefix, unsigned int i)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s%u", prefix, i);
	return text;
}

static void test_sessions(void **state)
{
	cJSON *q = question(NULL, NULL), *next = NULL, *rows;
	unsigned int i, pages = 0, more = MANY;

	memset(met, 0, sizeof(met));
	for (i = 0; i < MANY; i++)
		session_new(numbered("s", i));
	do {
		rows = page("session list", q, &next);
		count(rows, "id");
		cJSON_Delete(rows);
		for (i = 0; i < 100 && more < 4 * MANY; i++)
			session_new(numbered("s", more++));
		pages++;
	} while (next);
	assert_true(pages >= MANY / 256);
	for (i = 0; i < MANY; i++)
		assert_int_equal(met[i], 1);
	for (; i < 4 * MANY; i++)
		assert_true(met[i] <= 1);
	cJSON_Delete(q);
	sessions_free();
}

static void subscribe(struct session *s, unsigned int i)
{
	const struct rib_options opts = { .qos = 1 };
	bool existed;

	rib_add(s, NULL, numbered("f/", i), &opts, &existed);
}

/* One session with more than fit a page, of which some go between the pages. */
static void test_subscriptions(void **state)
{
	cJSON *q = question(NULL, NULL), *next = NULL, *rows;
	struct session *s = session_new("all"), *t;
	unsigned int i, pages = 0;

	memset(met, 0, sizeof(met));
	for (i = 0; i < MANY; i++) {
		subscribe(s, i);
		t = session_new(numbered("one", i));
		subscribe(t, MANY + i);
	}
	do {
		rows = page("subscription list", q, &next);
		count(rows, "filter");
		cJSON_Delete(rows);
		/* Also the one where the page ended. */
		for (i = 0; i < MANY; i += 2)
			if (met[i] && rib_find(s, NULL, numbered("f/", i)))
				rib_del(rib_find(s, NULL, numbered("f/", i)));
		pages++;
	} while (next);
	assert_true(pages >= 2 * MANY / 256);
	for (i = 0; i < 2 * MANY; i++)
		assert_int_equal(met[i], 1);
	cJSON_Delete(q);

	/* Of one session, which goes in the middle. */
	memset(met, 0, sizeof(met));
	q = question("id", "all");
	rows = page("subscription list", q, &next);
	assert_non_null(next);
	count(rows, "filter");
	cJSON_Delete(rows);
	rows = page("subscription list", q, &next);
	count(rows, "filter");
	cJSON_Delete(rows);
	for (i = 0; i < MANY; i++)
		assert_true(met[i] <= i % 2);
	assert_int_equal(met[1] + met[3] + met[511], 3);
	cJSON_Delete(next);
	cJSON_Delete(q);
	sessions_free();
}

static void retain(const char *topic, uint64_t expires)
{
	struct message_parts parts = {
		.topic = (const uint8_t *)topic,
		.topic_len = strlen(topic),
		.payload = (const uint8_t *)"x",
		.payload_len = 1,
		.expires = expires,
		.retain = true,
	};
	struct message *m = message_new(&parts);

	retain_set(m);
	message_put(m);
}

static unsigned int listed(const char *filter)
{
	cJSON *q = question(filter ? "filter" : NULL, filter), *next = NULL, *rows;
	unsigned int n = 0;

	do {
		rows = page("retained list", q, &next);
		n += (unsigned int)cJSON_GetArraySize(rows);
		cJSON_Delete(rows);
	} while (next);
	cJSON_Delete(q);
	return n;
}

static void test_retained(void **state)
{
	struct message *m;
	unsigned int i;
	cJSON *o;

	for (i = 0; i < MANY; i++)
		retain(numbered("r/t/", i), 0);
	retain("$SYS/x", 0);
	retain("r", clock_ms() + 10000);
	retain("old", 1);
	assert_int_equal(listed(NULL), MANY + 1);
	assert_int_equal(listed("r/+/17"), 1);
	assert_int_equal(listed("$SYS/#"), 1);
	assert_int_equal(listed("none/#"), 0);
	o = listing_retained("r", &m);
	assert_non_null(o);
	assert_true(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(o, "expires_in")) > 8);
	assert_memory_equal(m->payload, "x", 1);
	message_put(m);
	cJSON_Delete(o);
	assert_null(listing_retained("old", &m));
	assert_null(listing_retained("r/t", &m));
	retain_free();
}

static void refused(const char *what, cJSON *q, const char *code)
{
	struct listing_refusal why = { NULL, NULL };
	cJSON *next;

	assert_null(listing_page(what, q, &next, &why));
	assert_string_equal(why.code, code);
	assert_null(next);
	cJSON_Delete(q);
}

static cJSON *from(const char *instance, const char *place)
{
	cJSON *q = question(NULL, NULL), *f = cJSON_AddObjectToObject(q, "from");

	cJSON_AddStringToObject(f, "instance", instance);
	cJSON_AddStringToObject(f, "place", place);
	cJSON_AddStringToObject(f, "number", "0");
	return q;
}

static void test_refusals(void **state)
{
	cJSON *q = question(NULL, NULL);

	refused("retained list", question("filter", "a/#/b"), "usage");
	refused("retained clear", question("filter", ""), "usage");
	refused("subscription list", question("id", "nobody"), "not-found");
	refused("session list", from("0", "x"), "usage");
	refused("session list", from("0", "1"), "internal");
	cJSON_AddStringToObject(q, "from", "text");
	refused("session list", q, "usage");
}

static int init(void **state)
{
	rib_init();
	retain_init(NULL);
	sessions_init(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_empty),
		cmocka_unit_test(test_walk_ends),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_retained),
		cmocka_unit_test(test_refusals),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, init, NULL);
}
