// SPDX-License-Identifier: GPL-2.0
/* Self-test of the rule sets; included by acl.c. */

/**
 * struct acl_case - one question
 * @topic: Topic Name
 * @access: KMQTT_ACL_*
 * @allowed: the answer
 */
struct acl_case {
	const char *topic;
	u8 access;
	bool allowed;
};

#define ACL_RW	(KMQTT_ACL_READ | KMQTT_ACL_WRITE)
#define ACL_RULE(_filter, _access, _deny, _pattern) {			\
	.filter = (const u8 *)(_filter),				\
	.filter_len = sizeof(_filter) - 1,				\
	.access = (_access),						\
	.deny = (_deny),						\
	.pattern = (_pattern),						\
}

static const struct kmqtt_acl_rule acl_test_rules[] __initconst = {
	ACL_RULE("open/secret", ACL_RW, true, false),
	ACL_RULE("open/#", ACL_RW, false, false),
	ACL_RULE("in/+", KMQTT_ACL_WRITE, false, false),
	ACL_RULE("out/+", KMQTT_ACL_READ, false, false),
	ACL_RULE("u/%u/#", ACL_RW, false, true),
	ACL_RULE("c/x%c-%uy/+", ACL_RW, false, true),
	ACL_RULE("plain/%u", ACL_RW, false, false),
	ACL_RULE("+/any/%c", ACL_RW, false, true),
	ACL_RULE("odd/%d%/%u", ACL_RW, false, true),
};

static const struct acl_case acl_cases[] __initconst = {
	{ "open", KMQTT_ACL_READ, true },
	{ "open/a/b", KMQTT_ACL_WRITE, true },
	{ "open/secret", KMQTT_ACL_READ, false },
	{ "open/secret/x", KMQTT_ACL_READ, true },
	{ "opened", KMQTT_ACL_READ, false },
	{ "in/a", KMQTT_ACL_WRITE, true },
	{ "in/a", KMQTT_ACL_READ, false },
	{ "out/a", KMQTT_ACL_READ, true },
	{ "out/a", KMQTT_ACL_WRITE, false },
	{ "out/a/b", KMQTT_ACL_READ, false },
	{ "u/bob", KMQTT_ACL_READ, true },
	{ "u/bob/x/y", KMQTT_ACL_READ, true },
	{ "u/bobby", KMQTT_ACL_READ, false },
	{ "u/bo", KMQTT_ACL_READ, false },
	{ "u/%u", KMQTT_ACL_READ, false },
	{ "u/eve/x", KMQTT_ACL_READ, false },
	{ "c/xdev1-boby/z", KMQTT_ACL_READ, true },
	{ "c/xdev1-boby", KMQTT_ACL_READ, false },
	{ "c/xdev1-boby/z/z", KMQTT_ACL_READ, false },
	{ "c/xdev1-bob/z", KMQTT_ACL_READ, false },
	{ "plain/%u", KMQTT_ACL_READ, true },
	{ "plain/bob", KMQTT_ACL_READ, false },
	{ "a/any/dev1", KMQTT_ACL_READ, true },
	{ "$a/any/dev1", KMQTT_ACL_READ, false },
	{ "odd/%d%/bob", KMQTT_ACL_READ, true },
};

/* Strings of clients that must not widen a pattern, nor match anything. */
static const char *const acl_evil[] __initconst = {
	"", "+", "#", "bob/#", "a/b", "x+", "/",
};

static bool __init acl_ask(struct kmqtt_conn *conn, u8 access,
			   const char *topic)
{
	bool allowed;

	rcu_read_lock();
	allowed = kmqtt_acl_allows(conn, access, (const u8 *)topic,
				   strlen(topic));
	rcu_read_unlock();
	return allowed;
}

static void __init acl_name(struct kmqtt_conn *conn, const char *user,
			    const char *client)
{
	conn->username = (struct kmqtt_str) { strlen(user), (u8 *)user };
	conn->client_id = (struct kmqtt_str) { strlen(client), (u8 *)client };
}

static bool __init acl_test_rules_decide(struct kmqtt_conn *conn)
{
	const struct acl_case *c;
	bool ok = true;

	acl_name(conn, "bob", "dev1");
	for (c = acl_cases; c < acl_cases + ARRAY_SIZE(acl_cases); c++) {
		if (acl_ask(conn, c->access, c->topic) == c->allowed)
			continue;
		pr_err("acl self-test: %s, access %u: FAIL\n", c->topic,
		       c->access);
		ok = false;
	}
	return ok;
}

static bool __init acl_test_evil(struct kmqtt_conn *conn)
{
	static const char *const topics[] __initconst = {
		"u", "u/", "u/bob", "u/x/y", "u/+", "u/#", "u/a/b", "u/x+",
		"u/bob/#",
	};
	bool ok = true;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(acl_evil); i++) {
		acl_name(conn, acl_evil[i], "dev1");
		for (j = 0; j < ARRAY_SIZE(topics); j++) {
			if (!acl_ask(conn, KMQTT_ACL_READ, topics[j]))
				continue;
			pr_err("acl self-test: user %s may read %s: FAIL\n",
			       acl_evil[i], topics[j]);
			ok = false;
		}
	}
	return ok;
}

/* What a set says, and whether it is there, as its life goes on. */
static bool __init acl_test_life(struct kmqtt_acls *acls,
				 struct kmqtt_conn *conn)
{
	static const struct kmqtt_acl_rule bad[] __initconst = {
		ACL_RULE("a/#/b", ACL_RW, false, false),
		ACL_RULE("a", 0, false, false),
		ACL_RULE("a", 1U << 2, false, false),
	};
	bool ok = true;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ok &= kmqtt_acl_set(acls, 7, 0, &bad[i], 1, NULL) == -EINVAL;
	ok &= acl_ask(conn, KMQTT_ACL_READ, "open");
	ok &= kmqtt_acl_del(acls, 7) == -EBUSY;
	ok &= kmqtt_acl_del(acls, 8) == -ENOENT;
	ok &= !kmqtt_acl_get(acls, 8);
	ok &= !kmqtt_acl_set(acls, 7, KMQTT_ACL_READ, NULL, 0, NULL);
	ok &= acl_ask(conn, KMQTT_ACL_READ, "x");
	ok &= !acl_ask(conn, KMQTT_ACL_WRITE, "x");
	if (!ok)
		pr_err("acl self-test: life of a set: FAIL\n");
	return ok;
}

bool __init kmqtt_acl_selftest(void)
{
	struct kmqtt_conn *conn = kzalloc(sizeof(*conn), GFP_KERNEL);
	struct kmqtt_acls acls;
	struct kmqtt_acl *acl;
	bool ok = false;

	if (!conn)
		return false;
	kmqtt_acls_init(&acls);
	if (!acl_ask(conn, KMQTT_ACL_WRITE, "x") ||
	    kmqtt_acl_set(&acls, 7, 0, acl_test_rules,
			  ARRAY_SIZE(acl_test_rules), NULL))
		goto out;
	acl = kmqtt_acl_get(&acls, 7);
	if (!acl || kmqtt_acl_id(acl) != 7)
		goto out;
	RCU_INIT_POINTER(conn->acl, acl);
	ok = acl_test_rules_decide(conn);
	ok &= acl_test_evil(conn);
	ok &= acl_test_life(&acls, conn);
	RCU_INIT_POINTER(conn->acl, NULL);
	kmqtt_acl_put(acl);
	ok &= !kmqtt_acl_del(&acls, 7);
out:
	kmqtt_acls_destroy(&acls);
	kfree(conn);
	pr_info("acl self-test: %s\n", ok ? "pass" : "FAIL");
	return ok;
}
