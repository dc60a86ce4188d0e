/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RIB: all subscriptions.  The kernel forwards QoS 0 by the part of it
 * that was given out as routes; everything else is matched here.
 */
#ifndef MQTTD_RIB_H
#define MQTTD_RIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"
#include "map.h"

struct session;
struct share_group;
struct tnode;

/**
 * struct subscription - one filter of one session
 * @session: whose
 * @node: level its filter ends at
 * @by_session: in session->subs
 * @by_node: in the subscribers of its node or share group
 * @by_both: by @session and @node
 * @share_group: its group, or NULL
 * @share: share name or NULL
 * @filter: with mount point, without share
 * @number: grows with each new one, so that @by_session ascends by it
 * @charged: bytes of its session's share it takes
 * @walk: the retained messages it is owed, or NULL
 * @refusal: reason code with which the kernel refused its route, or 0
 * @subid: Subscription Identifier, 0 = none
 * @flags: KMQTT_ROUTE_F_NO_LOCAL, _RETAIN_AS_PUBLISHED, _RH_MASK
 * @qos: maximum QoS
 * @copied: its session gets copies of QoS 0 messages by a route to the daemon
 */
struct subscription {
	struct list by_session;
	struct list by_node;
	struct map_entry by_both;
	struct session *session;
	struct tnode *node;
	struct share_group *share_group;
	char *share;
	char *filter;
	uint64_t number;
	size_t charged;
	struct retain_walk *walk;
	uint8_t refusal;
	uint32_t subid;
	uint32_t flags;
	uint8_t qos;
	bool copied;
};

/**
 * struct rib_dest - a session that gets a message
 * @session: the session
 * @qos: highest of the matching subscriptions
 * @rap: one of them has Retain As Published
 * @n_subids: how many
 * @subids: their Subscription Identifiers, ascending, each once
 * @memory: where @subids are, if they are this one's to free
 * @group: the share group that chose it, or NULL
 * @moved: it waited for another member, within the limits of that one's queue
 */
struct rib_dest {
	struct session *session;
	struct share_group *group;
	uint8_t qos;
	bool rap;
	bool moved;
	unsigned int n_subids;
	uint32_t *subids;
	uint32_t *memory;
};

/**
 * struct rib_dests - who gets a message
 *
 * All zero is empty; reusable, freed by rib_dests_free().
 *
 * @v: they
 * @n: how many
 * @room: for how many there is room
 * @no_local: a subscription matched that does not want what its own client publishes
 */
struct rib_dests {
	struct rib_dest *v;
	size_t n, room;
	bool no_local;
};

void rib_init(void);
/* All subscriptions must be gone. */
void rib_free(void);

/* What a SUBSCRIBE asks for. */
struct rib_options {
	uint32_t subid;
	uint32_t flags;
	uint8_t qos;
};

/* Bytes of subscriptions one session may have. */
#define RIB_SESSION_BYTES	(16U << 20)

/*
 * Is there no room for this subscription, of the session's own and of all that
 * clients make us keep?  One that replaces another needs none.
 */
bool rib_full(const struct session *s, const char *share, const char *filter);
/* Add or replace a subscription.  @existed tells which. */
struct subscription *rib_add(struct session *s, const char *share, const char *filter,
			     const struct rib_options *opts, bool *existed);
/* Bring the store up to date with it. */
void rib_store(const struct subscription *sub);
/* Or NULL; @share is NULL for those that are not shared. */
struct subscription *rib_find(const struct session *s, const char *share,
			      const char *filter);
/* Remove and free it. */
void rib_del(struct subscription *sub);
/* Subscriptions in all, and how many of them are shared. */
size_t rib_count(void);
size_t rib_count_shared(void);

/*
 * Who gets a message on @topic: each session once, plus once per share group
 * that chose it, and once more for every KMQTT_SUBIDS_MAX Subscription
 * Identifiers.  @source is the publishing session or NULL.
 */
void rib_match(const char *topic, size_t len, const struct session *source,
	       struct rib_dests *dests);
/* The same for the subscriptions with copies alone. */
void rib_match_copied(const char *topic, size_t len, const struct session *source,
		      struct rib_dests *dests);
/* Set @sub->copied: is it the first of its filter? */
bool rib_copy_begin(struct subscription *sub);
/* Clear it: was it the last of its filter? */
bool rib_copy_end(struct subscription *sub);
/* Is there a subscription with copies to this filter? */
bool rib_copied(const char *filter);
void rib_dests_free(struct rib_dests *dests);

/* Its client has come or gone: share groups prefer members that have one. */
void rib_session_moved(struct session *s);

/*
 * A message that came to a member of a group holds a reference to the group,
 * so that it can go to another when the member leaves.
 */
struct share_group *share_group_get(struct share_group *g);
void share_group_put(struct share_group *g);
/*
 * The group through which @s gets messages on @topic; NULL if it has others of
 * its own, so that nobody can tell which is which.
 */
struct share_group *share_group_find(const struct session *s, const char *topic,
				     size_t len);
/* Has the group a member that is connected, besides @s? */
bool share_group_others(const struct share_group *g, const struct session *s);
/* Add the member that gets a message which @s had to @dests; false if none is left. */
bool share_group_match(struct share_group *g, const struct session *s,
		       struct rib_dests *dests);

#endif /* MQTTD_RIB_H */
