// SPDX-License-Identifier: GPL-2.0
/*
 * Rule sets and their verdicts.  Rules with %u and %c are stored once and
 * compared with the strings of the connection that asks.
 */

#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "acl.h"
#include "conn.h"
#include "topic.h"
#include "uapi/kmqtt.h"

/*
 * So many rules, bytes of their filters, and bytes that %u and %c stand for are
 * compared where nothing else can run meanwhile.
 */
#define ACL_SHORT		64
#define ACL_SHORT_BYTES		4096
#define ACL_SHORT_NAMES		256

/* acl_rule.flags */
#define ACL_DENY	BIT(0)
#define ACL_PATTERN	BIT(1)

/**
 * struct acl_rule - a rule as stored
 * @filter: offset of its filter in the strings behind the rules
 * @len: length of the filter
 * @access: KMQTT_ACL_* it speaks of
 * @flags: ACL_*
 */
struct acl_rule {
	u32 filter;
	u16 len;
	u8 access;
	u8 flags;
};

/**
 * struct acl_rules - the content of a rule set, immutable
 *
 * Lifetime: until kmqtt_acl_set() replaces it, or that of its set; freed
 * after a grace period.
 *
 * @rcu: for the deferred free
 * @allowed: KMQTT_ACL_* allowed if no rule decides
 * @bytes: of all filters
 * @n: number of rules
 * @rule: the rules, then their filters
 */
struct acl_rules {
	struct rcu_head rcu;
	u32 allowed;
	size_t bytes;
	u32 n;
	struct acl_rule rule[];
};

/**
 * struct kmqtt_acl - a rule set
 *
 * Lifetime: one reference of the namespace, from the first kmqtt_acl_set()
 * to kmqtt_acl_del() or kmqtt_acls_destroy(), and one of each connection that
 * uses it.  The last one frees after a grace period, for checks that found it
 * by conn->acl.
 *
 * @id: the daemon's
 * @ref: references
 * @rules: what it says; replaced under the lock of the set's owner
 * @rcu: for the deferred free
 */
struct kmqtt_acl {
	u32 id;
	refcount_t ref;
	struct acl_rules __rcu *rules;
	struct rcu_head rcu;
};

void kmqtt_acls_init(struct kmqtt_acls *acls)
{
	xa_init_flags(&acls->sets, XA_FLAGS_ACCOUNT);
}

void kmqtt_acls_destroy(struct kmqtt_acls *acls)
{
	struct kmqtt_acl *acl;
	unsigned long id;

	xa_for_each(&acls->sets, id, acl) {
		xa_erase(&acls->sets, id);
		kmqtt_acl_put(acl);
	}
	xa_destroy(&acls->sets);
}

static int acl_check(const struct kmqtt_acl_rule *rule,
		     struct netlink_ext_ack *extack)
{
	if (kmqtt_topic_filter_check(rule->filter, rule->filter_len)) {
		NL_SET_ERR_MSG(extack, "a rule's filter is not a topic filter");
		return -EINVAL;
	}
	if (!rule->access ||
	    rule->access & ~(KMQTT_ACL_READ | KMQTT_ACL_WRITE)) {
		NL_SET_ERR_MSG(extack, "a rule speaks of neither read nor write");
		return -EINVAL;
	}
	return 0;
}

static struct acl_rules *acl_rules_make(u32 allowed,
					const struct kmqtt_acl_rule *from,
					unsigned int n)
{
	size_t size = struct_size_t(struct acl_rules, rule, n);
	struct acl_rules *rules;
	size_t strings = 0;
	unsigned int i;
	u8 *p;

	for (i = 0; i < n; i++)
		strings += from[i].filter_len;
	rules = kvmalloc(size + strings, GFP_KERNEL_ACCOUNT);
	if (!rules)
		return NULL;
	rules->allowed = allowed;
	rules->bytes = strings;
	rules->n = n;
	p = (u8 *)rules + size;
	for (i = 0; i < n; i++) {
		struct acl_rule *rule = &rules->rule[i];

		rule->filter = p - (u8 *)rules;
		rule->len = from[i].filter_len;
		rule->access = from[i].access;
		rule->flags = (from[i].deny ? ACL_DENY : 0) |
			      (from[i].pattern ? ACL_PATTERN : 0);
		memcpy(p, from[i].filter, rule->len);
		p += rule->len;
	}
	return rules;
}

static struct kmqtt_acl *acl_make(struct kmqtt_acls *acls, u32 id)
{
	struct kmqtt_acl *acl = kzalloc(sizeof(*acl), GFP_KERNEL_ACCOUNT);

	if (!acl)
		return NULL;
	acl->id = id;
	refcount_set(&acl->ref, 1);
	if (xa_insert(&acls->sets, id, acl, GFP_KERNEL)) {
		kfree(acl);
		return NULL;
	}
	return acl;
}

int kmqtt_acl_set(struct kmqtt_acls *acls, u32 id, u32 allowed,
		  const struct kmqtt_acl_rule *rules, unsigned int n,
		  struct netlink_ext_ack *extack)
{
	struct acl_rules *new, *old;
	struct kmqtt_acl *acl;
	unsigned int i;

	if (n > KMQTT_ACL_RULES_MAX) {
		NL_SET_ERR_MSG(extack, "too many rules");
		return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		int err = acl_check(&rules[i], extack);

		if (err)
			return err;
	}
	new = acl_rules_make(allowed, rules, n);
	if (!new)
		goto err_memory;
	acl = xa_load(&acls->sets, id);
	if (!acl)
		acl = acl_make(acls, id);
	if (!acl)
		goto err_free;
	/* Writers are serialised by the caller. */
	old = rcu_replace_pointer(acl->rules, new, true);
	if (old)
		kvfree_rcu(old, rcu);
	return 0;

err_free:
	kvfree(new);
err_memory:
	NL_SET_ERR_MSG(extack, "no memory for the rule set");
	return -ENOMEM;
}

int kmqtt_acl_del(struct kmqtt_acls *acls, u32 id)
{
	struct kmqtt_acl *acl = xa_load(&acls->sets, id);

	if (!acl)
		return -ENOENT;
	/* References are taken under the caller's lock, so 1 stays 1. */
	if (refcount_read(&acl->ref) > 1)
		return -EBUSY;
	xa_erase(&acls->sets, id);
	kmqtt_acl_put(acl);
	return 0;
}

struct kmqtt_acl *kmqtt_acl_get(struct kmqtt_acls *acls, u32 id)
{
	struct kmqtt_acl *acl = xa_load(&acls->sets, id);

	if (acl)
		refcount_inc(&acl->ref);
	return acl;
}

void kmqtt_acl_put(struct kmqtt_acl *acl)
{
	struct acl_rules *rules;

	if (!acl || !refcount_dec_and_test(&acl->ref))
		return;
	/* Nobody else has it any more but checks under RCU. */
	rules = rcu_dereference_protected(acl->rules, true);
	if (rules)
		kvfree_rcu(rules, rcu);
	kfree_rcu(acl, rcu);
}

u32 kmqtt_acl_id(const struct kmqtt_acl *acl)
{
	return acl->id;
}

/* The string %u or %c stands for; NULL if @s is not one of them. */
static const struct kmqtt_str *acl_stands_for(const struct kmqtt_conn *conn,
					      const u8 *s, size_t len)
{
	if (len < 2 || s[0] != '%')
		return NULL;
	if (s[1] == 'u')
		return &conn->username;
	if (s[1] == 'c')
		return &conn->client_id;
	return NULL;
}

/* A string that would change the levels of a filter fits nowhere. */
static bool acl_str_usable(const struct kmqtt_str *str)
{
	u16 i;

	for (i = 0; i < str->len; i++)
		if (str->data[i] == '/' || str->data[i] == '+' ||
		    str->data[i] == '#')
			return false;
	return str->len;
}

/* Does @level of a topic equal @pattern with %u and %c replaced? */
static bool acl_level_equals(const struct kmqtt_conn *conn,
			     const u8 *pattern, size_t pattern_len,
			     const u8 *level, size_t level_len)
{
	while (pattern_len) {
		const struct kmqtt_str *str;
		const u8 *piece = pattern;
		size_t len = 1, used = 1;

		str = acl_stands_for(conn, pattern, pattern_len);
		if (str) {
			piece = str->data;
			len = str->len;
			used = 2;
		}
		if (level_len < len || memcmp(level, piece, len))
			return false;
		level += len;
		level_len -= len;
		pattern += used;
		pattern_len -= used;
	}
	return !level_len;
}

/* Can the strings of @conn stand in @filter at all? */
static bool acl_pattern_usable(const struct kmqtt_conn *conn,
			       const u8 *filter, size_t len)
{
	const struct kmqtt_str *str;

	for (; len; filter++, len--) {
		str = acl_stands_for(conn, filter, len);
		if (str && !acl_str_usable(str))
			return false;
	}
	return true;
}

static bool acl_pattern_matches(const struct kmqtt_conn *conn,
				const u8 *filter, size_t filter_len,
				const u8 *topic, size_t topic_len)
{
	const u8 *f = filter, *t = topic, *pattern, *level;
	size_t pattern_len, level_len;
	bool more;

	if (!acl_pattern_usable(conn, filter, filter_len))
		return false;
	if (*topic == '$' && (*filter == '+' || *filter == '#'))
		return false;
	while (kmqtt_level_next(&f, filter + filter_len, &pattern,
				&pattern_len)) {
		if (pattern_len == 1 && *pattern == '#')
			return true;
		more = kmqtt_level_next(&t, topic + topic_len, &level,
					&level_len);
		if (!more)
			return false;
		if (pattern_len == 1 && *pattern == '+')
			continue;
		if (!acl_level_equals(conn, pattern, pattern_len, level,
				      level_len))
			return false;
	}
	return !t;
}

static bool acl_rule_matches(const struct acl_rules *rules,
			     const struct acl_rule *rule,
			     const struct kmqtt_conn *conn,
			     const u8 *topic, u16 len)
{
	const u8 *filter = (const u8 *)rules + rule->filter;

	if (rule->flags & ACL_PATTERN)
		return acl_pattern_matches(conn, filter, rule->len, topic, len);
	return kmqtt_topic_matches(filter, rule->len, topic, len);
}

bool kmqtt_acl_allows(const struct kmqtt_conn *conn, u32 access,
		      const u8 *topic, u16 len)
{
	const struct kmqtt_acl *acl = rcu_dereference(conn->acl);
	const struct acl_rules *rules;
	const struct acl_rule *rule;

	if (!acl)
		return true;
	rules = rcu_dereference(acl->rules);
	for (rule = rules->rule; rule < rules->rule + rules->n; rule++)
		if (rule->access & access &&
		    acl_rule_matches(rules, rule, conn, topic, len))
			return !(rule->flags & ACL_DENY);
	return rules->allowed & access;
}

bool kmqtt_acl_is_short(const struct kmqtt_conn *conn)
{
	const struct kmqtt_acl *acl = rcu_dereference(conn->acl);
	const struct acl_rules *rules;

	if (!acl)
		return true;
	rules = rcu_dereference(acl->rules);
	return rules->n <= ACL_SHORT && rules->bytes <= ACL_SHORT_BYTES &&
	       conn->username.len + conn->client_id.len <= ACL_SHORT_NAMES;
}

#ifdef DEBUG
#include "selftest/acl.c"
#endif
