// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzer of kmod/topic.c.  Byte 0 of the input says where the filter ends and
 * the name begins; its high bit maps all bytes to the characters that matter.
 * Each answer is compared with one that is found level by level.
 */
#include "fuzz.h"
#include "topic.h"

/* Copies in memory of exactly that size, so that reading too far is seen. */
static __u8 *copy(const __u8 *s, size_t len, bool map)
{
	static const __u8 alphabet[] = { 'a', 'b', '/', '/', '+', '#', '$', 0xc3 };
	__u8 *c = malloc(len);
	size_t i;

	WANT(c || !len);
	for (i = 0; i < len; i++)
		c[i] = map ? alphabet[s[i] % sizeof(alphabet)] : s[i];
	return c;
}

static size_t level_end(const __u8 *s, size_t len)
{
	const __u8 *slash = len ? memchr(s, '/', len) : NULL;

	return slash ? (size_t)(slash - s) : len;
}

static int naive_check(const __u8 *s, size_t len, bool filter)
{
	int bad = filter ? KMQTT_RC_TOPIC_FILTER_INVALID : KMQTT_RC_TOPIC_NAME_INVALID;
	size_t n, levels = 0;

	if (!len || len > 65535)
		return bad;
	if (!naive_utf8(s, len))
		return KMQTT_RC_MALFORMED;
	for (;;) {
		n = level_end(s, len);
		levels++;
		if (n && (memchr(s, '#', n) || memchr(s, '+', n)) &&
		    (!filter || n != 1 || (*s == '#' && n != len)))
			return bad;
		/* Mosquitto counts separators: 200 are the most */
		if (n == len)
			return levels - 1 > 200 ? bad : 0;
		s += n + 1;
		len -= n + 1;
	}
}

static bool naive_levels(const __u8 *f, size_t flen, const __u8 *n, size_t nlen)
{
	size_t fl = level_end(f, flen), nl = level_end(n, nlen);

	if (fl == 1 && *f == '#')
		return true;
	if (!(fl == 1 && *f == '+') && (fl != nl || (fl && memcmp(f, n, fl))))
		return false;
	if (fl == flen)
		return nl == nlen;
	if (nl == nlen)
		return flen - fl == 2 && f[fl + 1] == '#';
	return naive_levels(f + fl + 1, flen - fl - 1, n + nl + 1, nlen - nl - 1);
}

static bool naive_matches(const __u8 *f, size_t flen, const __u8 *n, size_t nlen)
{
	if ((*f == '#' || *f == '+') && *n == '$')
		return false;
	return naive_levels(f, flen, n, nlen);
}

static void check_share(const __u8 *filter, size_t len)
{
	const __u8 *s = filter, *name;
	size_t left = len, name_len;
	bool prefix = len >= 7 && !memcmp(filter, "$share/", 7);
	int ret;

	ret = kmqtt_share_split(&s, &left, &name, &name_len);
	if (!prefix) {
		WANT(!ret && !name && s == filter && left == len);
	} else if (!ret) {
		WANT(name == filter + 7 && name_len && left);
		WANT(!memchr(name, '/', name_len) && !memchr(name, '+', name_len) &&
		     !memchr(name, '#', name_len));
		WANT(s == name + name_len + 1 && s[-1] == '/' && s + left == filter + len);
	} else {
		WANT(ret == KMQTT_RC_TOPIC_FILTER_INVALID);
		WANT(s == filter && left == len);
	}
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	__u8 *filter, *name;
	size_t flen, nlen;
	bool map;

	if (!size)
		return 0;
	map = data[0] & 0x80;
	size--;
	flen = (data[0] & 0x7f) < size ? data[0] & 0x7f : size;
	nlen = size - flen;
	filter = copy(data + 1, flen, map);
	name = copy(data + 1 + flen, nlen, map);

	WANT(kmqtt_topic_filter_check(filter, flen) == naive_check(filter, flen, true));
	WANT(kmqtt_topic_filter_check(name, nlen) == naive_check(name, nlen, true));
	WANT(kmqtt_topic_name_check(filter, flen) == naive_check(filter, flen, false));
	WANT(kmqtt_topic_name_check(name, nlen) == naive_check(name, nlen, false));
	if (!naive_check(filter, flen, true) && !naive_check(name, nlen, false))
		WANT(kmqtt_topic_matches(filter, flen, name, nlen) ==
		     naive_matches(filter, flen, name, nlen));
	if (!naive_check(name, nlen, false))
		WANT(kmqtt_topic_matches(name, nlen, name, nlen));
	if (flen)
		check_share(filter, flen);
	free(filter);
	free(name);
	return 0;
}
