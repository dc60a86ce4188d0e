// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Topic names and topic filters: judging and matching, see topic.h.
 */
#include "topic.h"

#define ONES	0x0101010101010101ULL
#define HIGHS	0x8080808080808080ULL

/*
 * Length of the leading whole words of ASCII without zero, '+' and '#': all
 * there is to know of most names.  Without high bits the subtraction of ONES
 * borrows into one only at a zero byte; '+' and '#' differ in one bit.
 */
static size_t plain_words(const __u8 *s, size_t len)
{
	size_t n;
	__u64 w, wild;

	for (n = 0; len - n >= sizeof(w); n += sizeof(w)) {
		memcpy(&w, s + n, sizeof(w));
		wild = (w & ~(ONES * ('+' ^ '#'))) ^ ONES * ('+' & '#');
		if ((w | (w - ONES) | (wild - ONES)) & HIGHS)
			break;
	}
	return n;
}

static bool has_wildcard(const __u8 *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (s[i] == '+' || s[i] == '#')
			return true;
	return false;
}

static bool too_many_levels(const __u8 *s, size_t len)
{
	unsigned int levels = 1;
	size_t i;

	if (len < KMQTT_TOPIC_LEVELS_MAX)	/* each costs a byte */
		return false;
	for (i = 0; i < len; i++)
		if (s[i] == '/' && ++levels > KMQTT_TOPIC_LEVELS_MAX)
			return true;
	return false;
}

int kmqtt_topic_name_check(const __u8 *s, size_t len)
{
	size_t n;

	if (!len || len > KMQTT_TOPIC_MAX)
		return KMQTT_RC_TOPIC_NAME_INVALID;
	n = plain_words(s, len);
	if (!kmqtt_utf8_valid(s + n, len - n))
		return KMQTT_RC_MALFORMED;
	if (has_wildcard(s + n, len - n) || too_many_levels(s, len))
		return KMQTT_RC_TOPIC_NAME_INVALID;
	return 0;
}

int kmqtt_topic_filter_check(const __u8 *s, size_t len)
{
	const __u8 *p = s, *end = s + len, *level;
	size_t level_len;

	if (!len || len > KMQTT_TOPIC_MAX)
		return KMQTT_RC_TOPIC_FILTER_INVALID;
	if (!kmqtt_utf8_valid(s, len))
		return KMQTT_RC_MALFORMED;
	if (too_many_levels(s, len))
		return KMQTT_RC_TOPIC_FILTER_INVALID;
	while (kmqtt_level_next(&p, end, &level, &level_len)) {
		if (!has_wildcard(level, level_len))
			continue;
		/* A wildcard is a whole level, '#' the last one. */
		if (level_len > 1 || (*level == '#' && p))
			return KMQTT_RC_TOPIC_FILTER_INVALID;
	}
	return 0;
}

int kmqtt_share_split(const __u8 **s, size_t *len, const __u8 **name, size_t *name_len)
{
	static const __u8 prefix[] = { '$', 's', 'h', 'a', 'r', 'e', '/' };
	const __u8 *start, *slash;
	size_t left;

	*name = NULL;
	*name_len = 0;
	if (*len < sizeof(prefix) || memcmp(*s, prefix, sizeof(prefix)))
		return 0;
	start = *s + sizeof(prefix);
	left = *len - sizeof(prefix);
	slash = memchr(start, '/', left);
	if (!slash || slash == start || slash + 1 == start + left)
		return KMQTT_RC_TOPIC_FILTER_INVALID;
	if (has_wildcard(start, (size_t)(slash - start)))
		return KMQTT_RC_TOPIC_FILTER_INVALID;
	*name = start;
	*name_len = (size_t)(slash - start);
	*s = slash + 1;
	*len = left - *name_len - 1;
	return 0;
}

bool kmqtt_topic_matches(const __u8 *filter, size_t filter_len,
			 const __u8 *name, size_t name_len)
{
	const __u8 *f = filter, *fend = filter + filter_len;
	const __u8 *n = name, *nend = name + name_len;

	if (f < fend && (*f == '+' || *f == '#') && n < nend && *n == '$')
		return false;
	for (;;) {
		if (f < fend && *f == '#')
			return true;
		if (f < fend && *f == '+') {
			f++;
			while (n < nend && *n != '/')
				n++;
		} else {
			while (f < fend && n < nend && *f == *n && *f != '/') {
				f++;
				n++;
			}
		}
		/* Both must be at the end of their level. */
		if ((f < fend && *f != '/') || (n < nend && *n != '/'))
			return false;
		if (f == fend)
			return n == nend;
		if (n == nend)		/* "a/#" matches "a" */
			return fend - f == 2 && f[1] == '#';
		f++;
		n++;
	}
}
