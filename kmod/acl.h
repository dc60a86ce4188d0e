/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access control: rule sets installed by the daemon, checked on every QoS 0
 * PUBLISH from and to a connection.
 */
#ifndef KMQTT_ACL_H
#define KMQTT_ACL_H

#include <linux/types.h>
#include <linux/xarray.h>

struct kmqtt_conn;
struct kmqtt_acl;
struct netlink_ext_ack;

/**
 * struct kmqtt_acl_rule - one rule as the netlink side passes it
 * @filter: topic filter, with %u and %c if @pattern
 * @filter_len: its length
 * @access: KMQTT_ACL_* it speaks of
 * @deny: forbids instead of allowing
 * @pattern: replace %u and %c by the connection's user name and client id
 */
struct kmqtt_acl_rule {
	const u8 *filter;
	u16 filter_len;
	u8 access;
	bool deny;
	bool pattern;
};

/*
 * Rule sets of one namespace by id; lives in its struct kmqtt_net.  Writers
 * hold kn->lock.
 */
struct kmqtt_acls {
	struct xarray sets;
};

/* Start without sets; nothing can fail. */
void kmqtt_acls_init(struct kmqtt_acls *acls);
/* No connection may use any set any more. */
void kmqtt_acls_destroy(struct kmqtt_acls *acls);

/**
 * kmqtt_acl_set() - install or replace a rule set
 * @acls: of the namespace
 * @id: the daemon's number of the set
 * @allowed: KMQTT_ACL_* that are allowed if no rule decides
 * @rules: the rules; the first that matches decides
 * @n: their number
 * @extack: text of a refusal
 *
 * Copies the rules.  Connections that use the set see the new rules at once;
 * a check that began before may still use the old ones until an RCU grace
 * period has passed.  Process context, serialised by the caller.
 * Return: 0, -ENOMEM, -EINVAL with @extack text.
 */
int kmqtt_acl_set(struct kmqtt_acls *acls, u32 id, u32 allowed,
		  const struct kmqtt_acl_rule *rules, unsigned int n,
		  struct netlink_ext_ack *extack);
/* -ENOENT, or -EBUSY while a connection uses it. */
int kmqtt_acl_del(struct kmqtt_acls *acls, u32 id);

/* Take a reference to set @id for a connection; NULL if there is none. */
struct kmqtt_acl *kmqtt_acl_get(struct kmqtt_acls *acls, u32 id);
/* Give a reference back; %NULL is allowed.  Any context. */
void kmqtt_acl_put(struct kmqtt_acl *acl);
/* The daemon's number of the set. */
u32 kmqtt_acl_id(const struct kmqtt_acl *acl);

/**
 * kmqtt_acl_allows() - may @conn read or write @topic
 * @conn: its acl, client id and user name are used; no acl allows everything
 * @access: KMQTT_ACL_READ or KMQTT_ACL_WRITE
 * @topic: Topic Name with mount point
 * @len: its length
 *
 * The first rule that speaks of @access and matches decides; else the
 * default.  A pattern whose %u or %c stands for a string that is empty or
 * holds '/', '+' or '#' matches nothing.  Context: under rcu_read_lock(),
 * does not sleep, no allocation.
 * Return: true if it may.
 */
bool kmqtt_acl_allows(const struct kmqtt_conn *conn, u32 access,
		      const u8 *topic, u16 len);

/* Is kmqtt_acl_allows() a matter of moments?  In the same context. */
bool kmqtt_acl_is_short(const struct kmqtt_conn *conn);

#ifdef DEBUG
/* At module init; false, with the reason in the log, if it fails. */
bool kmqtt_acl_selftest(void);
#endif

#endif /* KMQTT_ACL_H */
