/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Topic names and topic filters (MQTT 5.0 section 4.7): pure functions over
 * buffers, for kernel and userspace.
 */
#ifndef KMQTT_TOPIC_H
#define KMQTT_TOPIC_H

#include "frame.h"

/**
 * kmqtt_topic_name_check() - judge a Topic Name
 * @s: not necessarily UTF-8
 * @len: its length
 * Return: 0; KMQTT_RC_MALFORMED for bad UTF-8; KMQTT_RC_TOPIC_NAME_INVALID
 * for an empty one, wildcards, or more than KMQTT_TOPIC_LEVELS_MAX levels.
 */
int kmqtt_topic_name_check(const __u8 *s, size_t len);

/**
 * kmqtt_topic_filter_check() - judge a Topic Filter, without $share prefix
 * @s: not necessarily UTF-8
 * @len: its length
 * Return: 0; KMQTT_RC_MALFORMED for bad UTF-8; KMQTT_RC_TOPIC_FILTER_INVALID
 * for an empty one, misplaced wildcards, or too many levels.
 */
int kmqtt_topic_filter_check(const __u8 *s, size_t len);

/**
 * kmqtt_share_split() - take "$share/NAME/" off a Topic Filter (4.8.2)
 * @s: the filter; advanced past the prefix
 * @len: its length; reduced
 * @name: result: share name, %NULL if the filter is not shared
 * @name_len: its length
 * Return: 0, or KMQTT_RC_TOPIC_FILTER_INVALID for an empty name, one with
 * '/', '+' or '#' in it, or a missing filter.
 */
int kmqtt_share_split(const __u8 **s, size_t *len, const __u8 **name, size_t *name_len);

/**
 * kmqtt_topic_matches() - does a valid filter match a valid name (4.7)
 * @filter: Topic Filter, without $share prefix
 * @filter_len: its length
 * @name: Topic Name
 * @name_len: its length
 *
 * A leading wildcard does not match a name that begins with '$'; "a/#"
 * matches "a".
 * Return: true if it does.
 */
bool kmqtt_topic_matches(const __u8 *filter, size_t filter_len,
			 const __u8 *name, size_t name_len);

/**
 * kmqtt_level_next() - take the next level off a name or filter
 * @p: cursor, %NULL after the last level was taken
 * @end: end of the string
 * @level: result: first byte of the level (may be empty)
 * @level_len: its length
 * Return: false when there is none left.
 */
static inline bool kmqtt_level_next(const __u8 **p, const __u8 *end,
				    const __u8 **level, size_t *level_len)
{
	const __u8 *s = *p, *q = s;

	if (!s)
		return false;
	while (q < end && *q != '/')
		q++;
	*level = s;
	*level_len = (size_t)(q - s);
	*p = q < end ? q + 1 : NULL;
	return true;
}

#endif /* KMQTT_TOPIC_H */
