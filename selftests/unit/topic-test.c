// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of kmod/topic.c: names, filters, shares, matching.
 */
#include "unit.h"
#include "topic.h"

#define MALFORMED	KMQTT_RC_MALFORMED
#define BAD_NAME	KMQTT_RC_TOPIC_NAME_INVALID
#define BAD_FILTER	KMQTT_RC_TOPIC_FILTER_INVALID

static int name_check(const void *s, size_t len)
{
	return kmqtt_topic_name_check(exact(s, len), len);
}

static int filter_check(const void *s, size_t len)
{
	return kmqtt_topic_filter_check(exact(s, len), len);
}

#define NAME(s)		name_check(s, sizeof(s) - 1)
#define FILTER(s)	filter_check(s, sizeof(s) - 1)

static void names(void **state)
{
	assert_int_equal(NAME("a"), 0);
	assert_int_equal(NAME("/"), 0);
	assert_int_equal(NAME("//"), 0);
	assert_int_equal(NAME("a/b c/"), 0);
	assert_int_equal(NAME("$SYS/broker"), 0);
	assert_int_equal(NAME("$share/g/t"), 0);
	assert_int_equal(NAME("\xc3\xa4/\xf4\x8f\xbf\xbf"), 0);
	assert_int_equal(NAME(""), BAD_NAME);
	assert_int_equal(NAME("a\0b"), MALFORMED);
	assert_int_equal(NAME("a\xff"), MALFORMED);
	assert_int_equal(NAME("\xed\xa0\x80"), MALFORMED);
}

/* Each byte at each place of names that are shorter and longer than a word. */
static void names_every_byte(void **state)
{
	__u8 s[27];
	size_t len, at;
	int byte, want;

	for (len = 1; len <= sizeof(s); len++) {
		for (at = 0; at < len; at++) {
			for (byte = 0; byte < 256; byte++) {
				memset(s, 'a', len);
				s[at] = (__u8)byte;
				want = !byte || byte >= 0x80 ? MALFORMED :
				       byte == '+' || byte == '#' ? BAD_NAME : 0;
				if (name_check(s, len) != want)
					fail_msg("0x%02x at %zu of %zu", byte, at, len);
			}
		}
	}
}

/* @levels levels of @each bytes. */
static size_t levels_make(__u8 *s, size_t levels, size_t each)
{
	size_t i, n = 0;

	for (i = 0; i < levels; i++) {
		if (i)
			s[n++] = '/';
		memset(s + n, 'x', each);
		n += each;
	}
	return n;
}

static void levels_limit(void **state)
{
	static __u8 s[65535];
	size_t each, n;

	for (each = 0; each <= 9; each++) {
		n = levels_make(s, 201, each);
		assert_int_equal(name_check(s, n), 0);
		assert_int_equal(filter_check(s, n), 0);
		n = levels_make(s, 202, each);
		assert_int_equal(name_check(s, n), BAD_NAME);
		assert_int_equal(filter_check(s, n), BAD_FILTER);
	}
	memset(s, '/', sizeof(s));
	assert_int_equal(name_check(s, sizeof(s)), BAD_NAME);
	assert_int_equal(filter_check(s, sizeof(s)), BAD_FILTER);
}

static void longest(void **state)
{
	static __u8 s[65536];

	memset(s, 'x', sizeof(s));
	assert_int_equal(name_check(s, 65535), 0);
	assert_int_equal(filter_check(s, 65535), 0);
	assert_int_equal(name_check(s, 65536), BAD_NAME);
	assert_int_equal(filter_check(s, 65536), BAD_FILTER);
	s[65534] = '#';
	assert_int_equal(name_check(s, 65535), BAD_NAME);
	assert_int_equal(filter_check(s, 65535), BAD_FILTER);
	s[65533] = '/';
	assert_int_equal(filter_check(s, 65535), 0);
	s[65534] = 0xc3;
	assert_int_equal(name_check(s, 65535), MALFORMED);
	assert_int_equal(filter_check(s, 65535), MALFORMED);
}

static void filters(void **state)
{
	assert_int_equal(FILTER("a"), 0);
	assert_int_equal(FILTER("#"), 0);
	assert_int_equal(FILTER("+"), 0);
	assert_int_equal(FILTER("/#"), 0);
	assert_int_equal(FILTER("+/+/#"), 0);
	assert_int_equal(FILTER("/+"), 0);
	assert_int_equal(FILTER("+/"), 0);
	assert_int_equal(FILTER("a/+/b"), 0);
	assert_int_equal(FILTER("a//#"), 0);
	assert_int_equal(FILTER("$SYS/#"), 0);
	assert_int_equal(FILTER(""), BAD_FILTER);
	assert_int_equal(FILTER("a#"), BAD_FILTER);
	assert_int_equal(FILTER("#a"), BAD_FILTER);
	assert_int_equal(FILTER("a/#/b"), BAD_FILTER);
	assert_int_equal(FILTER("#/"), BAD_FILTER);
	assert_int_equal(FILTER("##"), BAD_FILTER);
	assert_int_equal(FILTER("a+"), BAD_FILTER);
	assert_int_equal(FILTER("+a/b"), BAD_FILTER);
	assert_int_equal(FILTER("a/b+/c"), BAD_FILTER);
	assert_int_equal(FILTER("++"), BAD_FILTER);
	assert_int_equal(FILTER("+#"), BAD_FILTER);
	assert_int_equal(FILTER("a/\xc3"), MALFORMED);
	assert_int_equal(FILTER("a/\0/#"), MALFORMED);
}

static int share(const char *filter, const char *want_name, const char *want_rest)
{
	size_t len = strlen(filter), name_len;
	const __u8 *s = exact(filter, len), *name;
	int ret;

	ret = kmqtt_share_split(&s, &len, &name, &name_len);
	if (ret)
		return ret;
	assert_int_equal(len, strlen(want_rest));
	assert_memory_equal(s, want_rest, len);
	if (!want_name) {
		assert_null(name);
		return 0;
	}
	assert_non_null(name);
	assert_int_equal(name_len, strlen(want_name));
	assert_memory_equal(name, want_name, name_len);
	return 0;
}

static void shares(void **state)
{
	assert_int_equal(share("$share/g/t", "g", "t"), 0);
	assert_int_equal(share("$share/group/a/+/#", "group", "a/+/#"), 0);
	assert_int_equal(share("$share/g//", "g", "/"), 0);
	assert_int_equal(share("$share/g/$SYS/x", "g", "$SYS/x"), 0);
	assert_int_equal(share("a/b", NULL, "a/b"), 0);
	assert_int_equal(share("", NULL, ""), 0);
	assert_int_equal(share("$share", NULL, "$share"), 0);
	assert_int_equal(share("$shared/g/t", NULL, "$shared/g/t"), 0);
	assert_int_equal(share("$SHARE/g/t", NULL, "$SHARE/g/t"), 0);
	assert_int_equal(share("$share/", NULL, NULL), BAD_FILTER);
	assert_int_equal(share("$share//t", NULL, NULL), BAD_FILTER);
	assert_int_equal(share("$share/g", NULL, NULL), BAD_FILTER);
	assert_int_equal(share("$share/g/", NULL, NULL), BAD_FILTER);
	assert_int_equal(share("$share/+/t", NULL, NULL), BAD_FILTER);
	assert_int_equal(share("$share/g#/t", NULL, NULL), BAD_FILTER);
	assert_int_equal(share("$share/g+h/t", NULL, NULL), BAD_FILTER);
}

static void match_expect(const char *filter, const char *name, bool want)
{
	size_t flen = strlen(filter), nlen = strlen(name);
	__u8 *f = malloc(flen);
	bool got;

	assert_non_null(f);
	memcpy(f, filter, flen);
	got = kmqtt_topic_matches(f, flen, exact(name, nlen), nlen);
	free(f);
	if (got != want)
		fail_msg("'%s' %s '%s'", filter, got ? "matches" : "does not match", name);
}

static void matching(void **state)
{
	/* The examples of 4.7.1 and 4.7.2. */
	static const char *const yes[][2] = {
		{ "sport/tennis/player1/#", "sport/tennis/player1" },
		{ "sport/tennis/player1/#", "sport/tennis/player1/ranking" },
		{ "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon" },
		{ "sport/#", "sport" },
		{ "#", "sport" },
		{ "sport/tennis/+", "sport/tennis/player1" },
		{ "sport/+", "sport/" },
		{ "+/+", "/finance" },
		{ "/+", "/finance" },
		{ "$SYS/#", "$SYS/a" },
		{ "$SYS/#", "$SYS" },
		{ "$SYS/monitor/+", "$SYS/monitor/Clients" },
		{ "a/b", "a/b" },
		{ "/", "/" },
		{ "+/#", "a" },
		{ "+/+/#", "a/b" },
		{ "#", "/" },
		{ "/#", "/" },
		{ "+/", "a/" },
		{ "+/+", "/" },
		{ "a/+/c", "a//c" },
		{ "a//#", "a/" },
		{ "a/$x", "a/$x" },
		{ "a/+", "a/$x" },
		{ "a/#", "a/$x/y" },
	};
	static const char *const no[][2] = {
		{ "sport/tennis/+", "sport/tennis/player1/ranking" },
		{ "sport/+", "sport" },
		{ "+", "/finance" },
		{ "#", "$SYS/a" },
		{ "+/monitor/Clients", "$SYS/monitor/Clients" },
		{ "+", "$SYS" },
		{ "a/b", "a/bc" },
		{ "a/bc", "a/b" },
		{ "a/b", "a/b/" },
		{ "a/b/", "a/b" },
		{ "a", "A" },
		{ "a/#", "ab" },
		{ "a/#", "b/a" },
		{ "a/+/#", "a" },
		{ "/+", "a" },
		{ "a/b/#", "a" },
		{ "a//#", "a" },
		{ "+/+", "a" },
		{ "/", "//" },
	};
	size_t i;

	/* Empty ones are not valid, yet nothing is read of them. */
	match_expect("", "a", false);
	match_expect("+", "", true);
	match_expect("#", "", true);
	for (i = 0; i < ARRAY_SIZE(yes); i++)
		match_expect(yes[i][0], yes[i][1], true);
	for (i = 0; i < ARRAY_SIZE(no); i++)
		match_expect(no[i][0], no[i][1], false);
}

/* As 4.7 says it: level by level, without a thought for speed. */
static bool naive(const char *f, const char *n, bool first)
{
	size_t fl, nl;

	if (!n)		/* "#" includes the parent level */
		return f && !strcmp(f, "#");
	if (!f)
		return false;
	if (first && *n == '$' && (*f == '#' || *f == '+'))
		return false;
	if (!strcmp(f, "#"))
		return true;
	fl = strcspn(f, "/");
	nl = strcspn(n, "/");
	if (!(fl == 1 && *f == '+') && (fl != nl || memcmp(f, n, fl)))
		return false;
	if (!f[fl] && !n[nl])
		return true;
	return naive(f[fl] ? f + fl + 1 : NULL, n[nl] ? n + nl + 1 : NULL, false);
}

/* Every string of up to @max characters of @alphabet, one after the other. */
static bool next_string(char *s, const char *alphabet, size_t max)
{
	size_t i, len = strlen(s), count = strlen(alphabet);
	const char *at;

	for (i = 0; i < len; i++) {
		at = strchr(alphabet, s[i]);
		if (at != alphabet + count - 1) {
			s[i] = at[1];
			return true;
		}
		s[i] = alphabet[0];
	}
	if (len == max)
		return false;
	s[len] = alphabet[0];
	s[len + 1] = 0;
	return true;
}

static void matching_every_short_string(void **state)
{
	unsigned int matches = 0, pairs = 0;
	char f[8] = "", n[8];
	bool want;

	while (next_string(f, "ab/+#$", 5)) {
		if (kmqtt_topic_filter_check((__u8 *)f, strlen(f)))
			continue;
		n[0] = 0;
		while (next_string(n, "ab/$", 4)) {
			want = naive(f, n, true);
			pairs++;
			matches += want;
			if (kmqtt_topic_matches((__u8 *)f, strlen(f),
						(__u8 *)n, strlen(n)) != want)
				fail_msg("'%s' and '%s'", f, n);
		}
	}
	assert_true(pairs > 100000 && matches > 1000);
}

static void levels_iterate(void **state)
{
	static const char *const want[] = { "", "a", "", "bc", "" };
	const __u8 *p = exact("/a//bc/", 7), *end = p + 7, *level;
	size_t len, i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(kmqtt_level_next(&p, end, &level, &len));
		assert_int_equal(len, strlen(want[i]));
		assert_memory_equal(level, want[i], len);
	}
	assert_false(kmqtt_level_next(&p, end, &level, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(names_every_byte),
		cmocka_unit_test(levels_limit),
		cmocka_unit_test(longest),
		cmocka_unit_test(filters),
		cmocka_unit_test(shares),
		cmocka_unit_test(matching),
		cmocka_unit_test(matching_every_short_string),
		cmocka_unit_test(levels_iterate),
	};

	return RUN(tests);
}
