// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family.  Commands of the owner run under kn->lock; their
 * effects on a connection go through its transmit list, its events and
 * kmqtt_conn_close(), never to its socket.
 */

#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>
#include "acl.h"
#include "conn.h"
#include "dump.h"
#include "fib.h"
#include "msg.h"
#include "netlink.h"
#include "netns.h"
#include "route.h"
#include "topic.h"
#include "tx.h"

/**
 * struct kmqtt_stage - pieces of a payload that is not complete yet
 *
 * One per namespace, of the owner's socket, under kn->lock; dies with it.
 * An error pointer instead: one of the pieces was refused, the last one will
 * be, too.
 *
 * @len: bytes in @pieces
 * @pieces: struct stage_piece, in order
 */
struct kmqtt_stage {
	size_t len;
	struct list_head pieces;
};

/* A piece; lives as long as the struct kmqtt_stage it is linked in. */
struct stage_piece {
	struct list_head node;
	u32 len;
	u8 data[];
};

/*
 * A completion that waits for an RCU grace period; from its command until the
 * work has run, which the end of the namespace waits for.  For @owner only: to
 * the next daemon its token may mean another command.
 */
struct done_work {
	struct rcu_work work;
	struct kmqtt_net *kn;
	u32 owner;
	struct kmqtt_done *done;
	int error;
};

static struct kmqtt_net *info_net(struct genl_info *info)
{
	return kmqtt_net_get(genl_info_net(info));
}

/* Enter a command of the owner: the namespace with its lock held. */
static struct kmqtt_net *owner_enter(struct genl_info *info)
{
	struct kmqtt_net *kn = info_net(info);

	mutex_lock(&kn->lock);
	if (kn->owner == info->snd_portid)
		return kn;
	mutex_unlock(&kn->lock);
	GENL_SET_ERR_MSG(info, "only the socket that did DAEMON_BIND may do this");
	return ERR_PTR(-EPERM);
}

static int need_attr(struct genl_info *info, unsigned int attr, const char *text)
{
	if (info->attrs[attr])
		return 0;
	if (info->extack)
		info->extack->_msg = text;
	return -EINVAL;
}

#define NEED(info, attr) need_attr(info, KMQTT_##attr, #attr " is missing")

u32 kmqtt_nl_parts_len(struct genl_info *info, int type)
{
	struct nlattr *attr;
	u32 len = 0;
	int rem;

	if (!info->attrs[type])
		return 0;
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem)
		if (nla_type(attr) == type)
			len += nla_len(attr);
	return len;
}

void kmqtt_nl_parts_copy(struct genl_info *info, int type, u8 *dst)
{
	struct nlattr *attr;
	int rem;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem)
		if (nla_type(attr) == type)
			dst = (u8 *)memcpy(dst, nla_data(attr), nla_len(attr)) +
			      nla_len(attr);
}

/*
 * struct parts - an attribute that may come in parts, as one
 */
struct parts {
	const u8 *data;
	u32 len;
	u8 *buf;
};

static int parts_get(struct genl_info *info, int type, u32 max, struct parts *parts)
{
	const struct nlattr *attr = info->attrs[type];

	*parts = (struct parts) { .len = kmqtt_nl_parts_len(info, type) };
	if (parts->len > max) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "the parts are too long together");
		return -EMSGSIZE;
	}
	if (attr && parts->len == nla_len(attr))
		parts->data = nla_data(attr);
	if (!attr || parts->data)
		return 0;
	parts->buf = kvmalloc(parts->len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!parts->buf)
		return -ENOMEM;
	kmqtt_nl_parts_copy(info, type, parts->buf);
	parts->data = parts->buf;
	return 0;
}

static void parts_put(struct parts *parts)
{
	kvfree(parts->buf);
}

static struct kmqtt_conn *info_conn(struct kmqtt_net *kn, struct genl_info *info,
				    unsigned int attr)
{
	struct kmqtt_conn *conn = NULL;

	if (info->attrs[attr])
		conn = kmqtt_conn_find(kn, nla_get_u64(info->attrs[attr]));
	if (!conn)
		GENL_SET_ERR_MSG(info, "no such connection");
	return conn;
}

/* Acknowledge, and let the connection go with its close event. */
static void conn_ack(struct kmqtt_conn *conn, struct genl_info *info)
{
	u32 flags = 0;

	if (info->attrs[KMQTT_A_ACK_FLAGS])
		flags = nla_get_u32(info->attrs[KMQTT_A_ACK_FLAGS]);
	if (flags & KMQTT_ACK_F_SETTLED)
		clear_bit(KMQTT_CB_VOLATILE, &conn->bits);
	if (flags & KMQTT_ACK_F_VOLATILE)
		set_bit(KMQTT_CB_VOLATILE, &conn->bits);
	if (flags & KMQTT_ACK_F_AUTH_END)
		clear_bit(KMQTT_CB_AUTH, &conn->bits);
	if (flags & KMQTT_ACK_F_AUTH)
		set_bit(KMQTT_CB_AUTH, &conn->bits);
	if (flags & KMQTT_ACK_F_REOPEN)
		kmqtt_tx_reopen(conn);
	if (info->attrs[KMQTT_A_ACK_EVENT] &&
	    kmqtt_event_ack(conn, nla_get_u64(info->attrs[KMQTT_A_ACK_EVENT])))
		kmqtt_conn_forget(conn);
}

/* Queue A_ANSWER to @conn; an answer to a closed connection is dropped. */
static int conn_answer(struct kmqtt_conn *conn, struct genl_info *info)
{
	const struct nlattr *answer = info->attrs[KMQTT_A_ANSWER];

	if (!answer || READ_ONCE(conn->state) == KMQTT_STATE_CLOSED)
		return 0;
	return kmqtt_tx_packet(conn, nla_data(answer), nla_len(answer));
}

/*
 * All connections' events come again; a new daemon has taken over, and hears
 * of those too that were closing because there was none.
 */
static void bind_replay(struct kmqtt_net *kn)
{
	struct kmqtt_conn *conn;
	unsigned long id;

	xa_for_each(&kn->conns, id, conn) {
		conn = kmqtt_conn_find(kn, id);
		if (!conn)
			continue;
		clear_bit(KMQTT_CB_FORGET, &conn->bits);
		kmqtt_events_replay(conn);
		kmqtt_conn_put(conn);
	}
}

static int bind_reply(struct kmqtt_net *kn, struct genl_info *info)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *hdr;

	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put_reply(skb, info, &kmqtt_genl_family, 0,
				KMQTT_CMD_DAEMON_BIND);
	if (!hdr ||
	    nla_put_u32(skb, KMQTT_A_VERSION, KMQTT_GENL_VERSION) ||
	    nla_put_u32(skb, KMQTT_A_FEATURES, 0) ||
	    nla_put_u64_64bit(skb, KMQTT_A_INSTANCE, kn->instance, KMQTT_A_PAD) ||
	    nla_put_u32(skb, KMQTT_A_CONN_COUNT, atomic_read(&kn->conn_count))) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

static int kmqtt_nl_bind(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = info_net(info);
	int err = 0;

	mutex_lock(&kn->lock);
	if (kn->dying) {
		GENL_SET_ERR_MSG(info, "the network namespace is going away");
		err = -ESHUTDOWN;
	} else if (kn->owner && kn->owner != info->snd_portid &&
		   kn->owner != READ_ONCE(kn->released)) {
		GENL_SET_ERR_MSG(info, "another daemon owns this network namespace");
		err = -EBUSY;
	} else {
		kmqtt_stage_free(kn);
		kmqtt_events_drop_done(kn);
		WRITE_ONCE(kn->released, 0);
		spin_lock(&kn->ev_lock);
		WRITE_ONCE(kn->owner, info->snd_portid);
		kn->uncopied = false;
		spin_unlock(&kn->ev_lock);
		kmqtt_net_owner_bound(kn);
		bind_replay(kn);
		err = bind_reply(kn, info);
	}
	mutex_unlock(&kn->lock);
	if (!err)
		kmqtt_events_ready(kn);
	return err;
}

static int attach_reply(struct genl_info *info, u64 id)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *hdr;

	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put_reply(skb, info, &kmqtt_genl_family, 0,
				KMQTT_CMD_CONN_ATTACH);
	if (!hdr || nla_put_u64_64bit(skb, KMQTT_A_CONN, id, KMQTT_A_PAD)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

static int kmqtt_nl_attach(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_conn *conn;
	struct kmqtt_net *kn;
	int err;

	err = NEED(info, A_FD);
	if (err)
		return err;
	kn = owner_enter(info);
	if (IS_ERR(kn))
		return PTR_ERR(kn);
	conn = kmqtt_conn_attach(kn, info);
	mutex_unlock(&kn->lock);
	if (IS_ERR(conn))
		return PTR_ERR(conn);
	kmqtt_netlink_monitor(conn, KMQTT_EV_MON_ATTACH, 0);
	err = attach_reply(info, conn->id);
	if (err)
		kmqtt_conn_close(conn, KMQTT_CLOSE_DAEMON, 0, NULL, 0);
	kmqtt_conn_put(conn);
	return err;
}

static int accept_conn(struct kmqtt_conn *conn, struct genl_info *info)
{
	u32 flags = 0;
	int err;

	err = kmqtt_conn_accept(conn, info);
	if (err)
		return err;
	if (info->attrs[KMQTT_A_CONN_FLAGS])
		flags = nla_get_u32(info->attrs[KMQTT_A_CONN_FLAGS]);
	/* Once the client has its CONNACK, its end may be told at any time. */
	kmqtt_netlink_monitor(conn, KMQTT_EV_MON_ACCEPT, 0);
	err = conn_answer(conn, info);
	/* Pairs with rx_ahead(): no PINGRESP before the CONNACK. */
	smp_mb__before_atomic();
	set_bit(KMQTT_CB_CONNACK, &conn->bits);
	if (!err && flags & KMQTT_CONN_F_RELEASE)
		err = kmqtt_tx_gate(conn, false);
	/* Settings cannot be taken back, so the connection goes. */
	if (err)
		kmqtt_conn_close(conn, KMQTT_CLOSE_QUOTA, KMQTT_RC_QUOTA, NULL, 0);
	conn_ack(conn, info);
	return err;
}

static int kmqtt_nl_accept(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_conn *conn;
	struct kmqtt_net *kn;
	int err;

	err = NEED(info, A_PROTOCOL) ?: NEED(info, A_CLIENT_ID) ?:
	      NEED(info, A_ANSWER) ?: NEED(info, A_ACK_EVENT);
	if (err)
		return err;
	kn = owner_enter(info);
	if (IS_ERR(kn))
		return PTR_ERR(kn);
	conn = info_conn(kn, info, KMQTT_A_CONN);
	err = conn ? accept_conn(conn, info) : -ENOENT;
	mutex_unlock(&kn->lock);
	if (conn)
		kmqtt_conn_put(conn);
	return err;
}

static void close_conn(struct kmqtt_conn *conn, struct genl_info *info)
{
	const struct nlattr *answer = info->attrs[KMQTT_A_ANSWER];
	u8 cause = KMQTT_CLOSE_DAEMON, reason = 0;

	if (info->attrs[KMQTT_A_CAUSE])
		cause = nla_get_u8(info->attrs[KMQTT_A_CAUSE]);
	if (info->attrs[KMQTT_A_REASON])
		reason = nla_get_u8(info->attrs[KMQTT_A_REASON]);
	if (READ_ONCE(conn->state) != KMQTT_STATE_CLOSED)
		kmqtt_conn_close(conn, cause, reason,
				 answer ? nla_data(answer) : NULL,
				 answer ? nla_len(answer) : 0);
	conn_ack(conn, info);
}

static int kmqtt_nl_close(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = info_net(info);
	struct kmqtt_conn *conn;
	int err = 0;

	mutex_lock(&kn->lock);
	if (kn->owner && kn->owner != info->snd_portid) {
		GENL_SET_ERR_MSG(info, "a daemon owns this network namespace: ask it");
		err = -EPERM;
		goto unlock;
	}
	conn = info_conn(kn, info, KMQTT_A_CONN);
	if (!conn) {
		err = -ENOENT;
		goto unlock;
	}
	close_conn(conn, info);
	kmqtt_conn_put(conn);
unlock:
	mutex_unlock(&kn->lock);
	return err;
}

static int kmqtt_nl_release(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = owner_enter(info);
	struct kmqtt_conn *conn;
	int err = -ENOENT;

	if (IS_ERR(kn))
		return PTR_ERR(kn);
	conn = info_conn(kn, info, KMQTT_A_CONN);
	if (conn) {
		err = kmqtt_tx_gate(conn, false);
		if (!err)
			kmqtt_fib_release(kn->fib, conn);
		kmqtt_conn_put(conn);
	}
	mutex_unlock(&kn->lock);
	return err;
}

static void done_work_fn(struct work_struct *work)
{
	struct done_work *dw = container_of(to_rcu_work(work), struct done_work, work);

	kmqtt_event_done(dw->kn, dw->owner, dw->done, dw->error);
	kfree(dw);
}

/* A completion for A_TOKEN; NULL without one, or an error pointer. */
static struct done_work *done_alloc(struct kmqtt_net *kn, struct genl_info *info)
{
	struct done_work *dw;

	if (!info->attrs[KMQTT_A_TOKEN])
		return NULL;
	dw = kzalloc(sizeof(*dw), GFP_KERNEL_ACCOUNT);
	if (!dw)
		return ERR_PTR(-ENOMEM);
	dw->done = kzalloc(sizeof(*dw->done), GFP_KERNEL_ACCOUNT);
	if (!dw->done) {
		kfree(dw);
		return ERR_PTR(-ENOMEM);
	}
	dw->kn = kn;
	dw->owner = info->snd_portid;
	dw->done->token = nla_get_u64(info->attrs[KMQTT_A_TOKEN]);
	INIT_RCU_WORK(&dw->work, done_work_fn);
	return dw;
}

/* Complete after a grace period: no look-up uses what was changed then. */
static void done_queue(struct done_work *dw, int error)
{
	if (!dw)
		return;
	dw->error = error;
	queue_rcu_work(kmqtt_wq, &dw->work);
}

static void done_free(struct done_work *dw)
{
	if (!dw)
		return;
	kfree(dw->done);
	kfree(dw);
}

/*
 * struct route_arg - the route that a command names
 */
struct route_arg {
	struct kmqtt_route_key key;
	struct parts filter;
	struct parts share;
};

static int route_names(struct genl_info *info, struct route_arg *arg)
{
	struct kmqtt_route_key *key = &arg->key;
	int err;

	err = parts_get(info, KMQTT_A_FILTER, KMQTT_TOPIC_MAX, &arg->filter) ?:
	      parts_get(info, KMQTT_A_SHARE, KMQTT_TOPIC_MAX, &arg->share);
	if (err)
		return err;
	key->filter = arg->filter.data;
	key->filter_len = arg->filter.len;
	key->share = arg->share.data;
	key->share_len = arg->share.len;
	if (info->attrs[KMQTT_A_SHARE] && !key->share_len) {
		GENL_SET_ERR_MSG(info, "A_SHARE is empty");
		return -EINVAL;
	}
	if (!kmqtt_topic_filter_check(key->filter, key->filter_len))
		return 0;
	GENL_SET_ERR_MSG(info, "A_FILTER is no valid topic filter");
	return -EINVAL;
}

static int route_arg(struct kmqtt_net *kn, struct genl_info *info,
		     unsigned int conn_attr, struct route_arg *arg)
{
	int err = NEED(info, A_FILTER);

	*arg = (struct route_arg) {};
	if (!err && !info->attrs[conn_attr]) {
		GENL_SET_ERR_MSG(info, "the target connection is missing");
		err = -EINVAL;
	}
	if (!err)
		err = route_names(info, arg);
	if (err || !nla_get_u64(info->attrs[conn_attr]))
		return err;
	arg->key.conn = info_conn(kn, info, conn_attr);
	return arg->key.conn ? 0 : -ENOENT;
}

static void route_arg_put(struct route_arg *arg)
{
	if (arg->key.conn)
		kmqtt_conn_put(arg->key.conn);
	parts_put(&arg->filter);
	parts_put(&arg->share);
}

static void route_opts(struct genl_info *info, struct kmqtt_route_opts *opts)
{
	struct nlattr **a = info->attrs;

	*opts = (struct kmqtt_route_opts) {
		.flags = a[KMQTT_A_ROUTE_FLAGS] ? nla_get_u32(a[KMQTT_A_ROUTE_FLAGS]) : 0,
		.subid = a[KMQTT_A_SUBID] ? nla_get_u32(a[KMQTT_A_SUBID]) : 0,
		.qos = a[KMQTT_A_MAX_QOS] ? nla_get_u8(a[KMQTT_A_MAX_QOS]) : 0,
	};
	if (opts->flags & KMQTT_ROUTE_F_HOLD)
		opts->flags |= KMQTT_ROUTE_F_HELD;
	opts->flags &= ~KMQTT_ROUTE_F_HOLD;
}

/* HOLD enters the transmit list before the route can be seen. */
static int route_hold(struct kmqtt_conn *conn, const struct kmqtt_route_opts *opts)
{
	if (!conn || !(opts->flags & KMQTT_ROUTE_F_HELD))
		return 0;
	return kmqtt_tx_gate(conn, true);
}

static int route_retarget(struct kmqtt_net *kn, struct genl_info *info,
			  struct kmqtt_route_key *key, const struct kmqtt_route_opts *opts)
{
	struct done_work *dw;
	struct route_arg old;
	int err;

	dw = done_alloc(kn, info);
	if (IS_ERR(dw))
		return PTR_ERR(dw);
	err = route_arg(kn, info, KMQTT_A_OLD_CONN, &old);
	if (!err)
		err = kmqtt_fib_retarget(kn->fib, &old.key, key->conn, opts, info->extack);
	route_arg_put(&old);
	if (err)
		done_free(dw);
	else
		done_queue(dw, 0);
	return err;
}

static int kmqtt_nl_route_add(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = owner_enter(info);
	struct kmqtt_route_opts opts;
	struct route_arg arg;
	int err;

	if (IS_ERR(kn))
		return PTR_ERR(kn);
	err = route_arg(kn, info, KMQTT_A_CONN, &arg);
	if (!err && arg.key.conn && !kmqtt_conn_accepted(arg.key.conn)) {
		/* What comes for it is judged by what ACCEPT says. */
		GENL_SET_ERR_MSG(info, "the connection is not accepted yet");
		err = -EINVAL;
	}
	if (!err) {
		route_opts(info, &opts);
		err = route_hold(arg.key.conn, &opts);
	}
	if (!err && info->attrs[KMQTT_A_OLD_CONN])
		err = route_retarget(kn, info, &arg.key, &opts);
	else if (!err)
		err = kmqtt_fib_add(kn->fib, &arg.key, &opts, info->extack);
	kn->route_size = max(kn->route_size, kmqtt_route_dump_size(arg.filter.len,
								   arg.share.len));
	route_arg_put(&arg);
	mutex_unlock(&kn->lock);
	return err;
}

static int kmqtt_nl_route_del(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = owner_enter(info);
	struct route_arg arg;
	struct done_work *dw;
	int err;

	if (IS_ERR(kn))
		return PTR_ERR(kn);
	dw = done_alloc(kn, info);
	if (IS_ERR(dw)) {
		mutex_unlock(&kn->lock);
		return PTR_ERR(dw);
	}
	err = route_arg(kn, info, KMQTT_A_CONN, &arg);
	if (err && err != -ENOENT) {
		done_free(dw);
	} else {
		/* Also for what is not there: earlier look-ups may still use it. */
		if (!err)
			err = kmqtt_fib_del(kn->fib, &arg.key);
		done_queue(dw, err);
		if (dw)
			err = 0;
		else if (err)
			GENL_SET_ERR_MSG(info, "no such route");
	}
	route_arg_put(&arg);
	mutex_unlock(&kn->lock);
	return err;
}

/* At most @max bytes. */
#define BIN(max) { .type = NLA_BINARY, .len = (max) }

/* Not const: 6.1 would discard it. */
static struct netlink_range_validation subid_range = {
	.min = 1,
	.max = KMQTT_VARINT_MAX,
};

/* An empty packet would never be sent, nor anything behind it. */
static struct netlink_range_validation answer_range = {
	.min = 1,
	.max = KMQTT_PIECE_MAX,
};

/* U32_MAX seconds, which a Message Expiry Interval can say, in milliseconds. */
static struct netlink_range_validation expiry_range = {
	.max = 4294967295000ULL,
};

static const struct nla_policy acl_rule_policy[KMQTT_AR_MAX + 1] = {
	[KMQTT_AR_FILTER] = BIN(KMQTT_TOPIC_MAX - 16),
	[KMQTT_AR_ACCESS] = NLA_POLICY_MASK(NLA_U32, KMQTT_ACL_READ | KMQTT_ACL_WRITE),
	[KMQTT_AR_DENY] = { .type = NLA_FLAG },
	[KMQTT_AR_PATTERN] = { .type = NLA_FLAG },
};

static int acl_rule(const struct nlattr *attr, struct kmqtt_acl_rule *rule,
		    struct netlink_ext_ack *extack)
{
	struct nlattr *tb[KMQTT_AR_MAX + 1];
	int err;

	err = nla_parse_nested(tb, KMQTT_AR_MAX, attr, acl_rule_policy, extack);
	if (err)
		return err;
	if (!tb[KMQTT_AR_FILTER] || !tb[KMQTT_AR_ACCESS]) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "a rule needs AR_FILTER and AR_ACCESS");
		return -EINVAL;
	}
	*rule = (struct kmqtt_acl_rule) {
		.filter = nla_data(tb[KMQTT_AR_FILTER]),
		.filter_len = nla_len(tb[KMQTT_AR_FILTER]),
		.access = nla_get_u32(tb[KMQTT_AR_ACCESS]),
		.deny = nla_get_flag(tb[KMQTT_AR_DENY]),
		.pattern = nla_get_flag(tb[KMQTT_AR_PATTERN]),
	};
	return 0;
}

/* Parse all A_ACL_RULE into *@rules (kvfree by the caller); count or error. */
static int acl_rules(struct genl_info *info, struct kmqtt_acl_rule **rules)
{
	unsigned int n = 0, i = 0;
	struct nlattr *attr;
	int rem, err;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem)
		n += nla_type(attr) == KMQTT_A_ACL_RULE;
	if (n > KMQTT_ACL_RULES_MAX) {
		GENL_SET_ERR_MSG(info, "too many rules in one rule set");
		return -E2BIG;
	}
	*rules = kvcalloc(n ?: 1, sizeof(**rules), GFP_KERNEL);
	if (!*rules)
		return -ENOMEM;
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != KMQTT_A_ACL_RULE)
			continue;
		err = acl_rule(attr, &(*rules)[i++], info->extack);
		if (err)
			return err;
	}
	return n;
}

static int acl_install(struct kmqtt_net *kn, struct genl_info *info,
		       const struct kmqtt_acl_rule *rules, unsigned int n)
{
	struct done_work *dw = done_alloc(kn, info);
	u32 allowed = 0;
	int err;

	if (IS_ERR(dw))
		return PTR_ERR(dw);
	if (info->attrs[KMQTT_A_ACL_DEFAULT])
		allowed = nla_get_u32(info->attrs[KMQTT_A_ACL_DEFAULT]);
	err = kmqtt_acl_set(&kn->acls, nla_get_u32(info->attrs[KMQTT_A_ACL]),
			    allowed, rules, n, info->extack);
	if (err) {
		done_free(dw);
		return err;
	}
	kmqtt_fib_invalidate(kn->fib);
	done_queue(dw, 0);
	return 0;
}

static int kmqtt_nl_acl_set(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_acl_rule *rules = NULL;
	struct kmqtt_net *kn;
	int n, err;

	err = NEED(info, A_ACL);
	if (err)
		return err;
	kn = owner_enter(info);
	if (IS_ERR(kn))
		return PTR_ERR(kn);
	n = acl_rules(info, &rules);
	err = n < 0 ? n : acl_install(kn, info, rules, n);
	kvfree(rules);
	mutex_unlock(&kn->lock);
	return err;
}

static int kmqtt_nl_acl_del(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn;
	int err;

	err = NEED(info, A_ACL);
	if (err)
		return err;
	kn = owner_enter(info);
	if (IS_ERR(kn))
		return PTR_ERR(kn);
	err = kmqtt_acl_del(&kn->acls, nla_get_u32(info->attrs[KMQTT_A_ACL]));
	if (err == -EBUSY)
		GENL_SET_ERR_MSG(info, "connections use this rule set");
	if (err == -ENOENT)
		GENL_SET_ERR_MSG(info, "no rule set with the id in A_ACL");
	mutex_unlock(&kn->lock);
	return err;
}

void kmqtt_stage_free(struct kmqtt_net *kn)
{
	struct stage_piece *p, *tmp;

	if (IS_ERR_OR_NULL(kn->stage)) {
		kn->stage = NULL;
		return;
	}
	list_for_each_entry_safe(p, tmp, &kn->stage->pieces, node) {
		kmqtt_mem_uncharge(kn, p->len);
		kvfree(p);
	}
	kfree(kn->stage);
	kn->stage = NULL;
}

static int stage_add(struct kmqtt_net *kn, const void *data, u32 len)
{
	struct stage_piece *p;

	if (IS_ERR(kn->stage))
		return PTR_ERR(kn->stage);
	if (!kn->stage) {
		kn->stage = kzalloc(sizeof(*kn->stage), GFP_KERNEL_ACCOUNT);
		if (!kn->stage)
			return -ENOMEM;
		INIT_LIST_HEAD(&kn->stage->pieces);
	}
	if (kn->stage->len + len > KMQTT_VARINT_MAX)
		return -E2BIG;
	if (!kmqtt_mem_charge(kn, len))
		return -ENOMEM;
	p = kvmalloc(struct_size(p, data, len), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!p) {
		kmqtt_mem_uncharge(kn, len);
		return -ENOMEM;
	}
	p->len = len;
	memcpy(p->data, data, len);
	kn->stage->len += len;
	list_add_tail(&p->node, &kn->stage->pieces);
	return 0;
}

static u32 info_msg_flags(struct genl_info *info)
{
	struct nlattr *attr = info->attrs[KMQTT_A_MSG_FLAGS];

	return attr ? nla_get_u32(attr) : 0;
}

/* Keep the payload parts of this message for the last piece. */
static int stage_message(struct kmqtt_net *kn, struct genl_info *info)
{
	struct nlattr *attr;
	int rem, err = 0;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem)
		if (!err && nla_type(attr) == KMQTT_A_PAYLOAD)
			err = stage_add(kn, nla_data(attr), nla_len(attr));
	if (err) {
		kmqtt_stage_free(kn);
		/* Nor must those that follow be taken for a whole message. */
		kn->stage = ERR_PTR(err);
		GENL_SET_ERR_MSG(info, "no memory for the pieces; all were dropped");
	}
	return err;
}

/* One linear payload: of the attribute if there is only one, else *@buf. */
static int message_payload(struct kmqtt_net *kn, struct genl_info *info,
			   struct kmqtt_msg_src *src, u8 **buf)
{
	struct stage_piece *p;
	struct nlattr *attr;
	unsigned int n = 0;
	int rem, err;
	u8 *pos;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem)
		n += nla_type(attr) == KMQTT_A_PAYLOAD;
	attr = info->attrs[KMQTT_A_PAYLOAD];
	if (!kn->stage && n <= 1) {
		src->payload = attr ? nla_data(attr) : NULL;
		src->payload_len = attr ? nla_len(attr) : 0;
		return 0;
	}
	err = stage_message(kn, info);
	if (err)
		return err;
	*buf = kvmalloc(kn->stage->len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!*buf)
		return -ENOMEM;
	pos = *buf;
	list_for_each_entry(p, &kn->stage->pieces, node)
		pos = (u8 *)memcpy(pos, p->data, p->len) + p->len;
	src->payload = *buf;
	src->payload_len = kn->stage->len;
	kmqtt_stage_free(kn);
	return 0;
}

/* Put the payload to what is known of the message, and make it. */
static struct kmqtt_msg *message_make(struct kmqtt_net *kn, struct genl_info *info,
				      struct kmqtt_msg_src *src)
{
	struct kmqtt_msg *msg;
	u8 *buf = NULL;
	int err;

	if (kmqtt_topic_name_check(src->topic, src->topic_len)) {
		GENL_SET_ERR_MSG(info, "A_TOPIC is no valid topic name");
		return ERR_PTR(-EINVAL);
	}
	err = message_payload(kn, info, src, &buf);
	if (err)
		return ERR_PTR(err);
	msg = kmqtt_msg_new(kn, src, GFP_KERNEL_ACCOUNT);
	kvfree(buf);
	if (!msg)
		GENL_SET_ERR_MSG(info, "no memory for the message");
	return msg ?: ERR_PTR(-ENOMEM);
}

/* The message of a DELIVER or INJECT; NULL if it has none. */
static struct kmqtt_msg *message_build(struct kmqtt_net *kn, struct genl_info *info)
{
	struct kmqtt_msg_src src = {};
	struct parts topic, props;
	struct kmqtt_msg *msg;
	int err;

	if (!info->attrs[KMQTT_A_TOPIC])
		return NULL;
	err = parts_get(info, KMQTT_A_TOPIC, KMQTT_TOPIC_MAX, &topic);
	if (err)
		return ERR_PTR(err);
	err = parts_get(info, KMQTT_A_PROPERTIES, KMQTT_PROPERTIES_MAX, &props);
	if (err) {
		parts_put(&topic);
		return ERR_PTR(err);
	}
	src.topic = topic.data;
	src.topic_len = topic.len;
	src.props = props.data;
	src.props_len = props.len;
	if (info->attrs[KMQTT_A_EXPIRY]) {
		src.has_expiry = true;
		src.expiry = nla_get_u64(info->attrs[KMQTT_A_EXPIRY]) * NSEC_PER_MSEC;
	}
	src.retain = info_msg_flags(info) & KMQTT_MSG_F_RETAIN;
	msg = message_make(kn, info, &src);
	parts_put(&topic);
	parts_put(&props);
	return msg;
}

static const struct nla_policy dest_policy[KMQTT_AD_MAX + 1] = {
	[KMQTT_AD_CONN] = { .type = NLA_U64 },
	[KMQTT_AD_NUMBER] = { .type = NLA_U64 },
	[KMQTT_AD_QOS] = NLA_POLICY_MAX(NLA_U8, 2),
	[KMQTT_AD_PACKET_ID] = { .type = NLA_U16 },
	[KMQTT_AD_FLAGS] = NLA_POLICY_MASK(NLA_U32, KMQTT_DEST_F_DUP |
					   KMQTT_DEST_F_RETAIN | KMQTT_DEST_F_LIVE |
					   KMQTT_DEST_F_VOLATILE),
	[KMQTT_AD_SUBID] = NLA_POLICY_FULL_RANGE(NLA_U32, &subid_range),
};

/* A destination as parsed; one per command, used for each in turn. */
struct dest {
	u64 conn;
	u32 flags;
	struct kmqtt_tx_opts opts;
	u32 subids[KMQTT_SUBIDS_MAX];
};

static int dest_parse(const struct nlattr *nest, struct dest *d,
		      struct netlink_ext_ack *extack)
{
	struct nlattr *tb[KMQTT_AD_MAX + 1], *attr;
	int err, rem;

	err = nla_parse_nested(tb, KMQTT_AD_MAX, nest, dest_policy, extack);
	if (err)
		return err;
	if (!tb[KMQTT_AD_CONN]) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "AD_CONN is missing");
		return -EINVAL;
	}
	d->conn = nla_get_u64(tb[KMQTT_AD_CONN]);
	d->flags = tb[KMQTT_AD_FLAGS] ? nla_get_u32(tb[KMQTT_AD_FLAGS]) : 0;
	d->opts = (struct kmqtt_tx_opts) {
		.class = d->flags & KMQTT_DEST_F_LIVE ? KMQTT_TX_LIVE : KMQTT_TX_DELIVER,
		.qos = tb[KMQTT_AD_QOS] ? nla_get_u8(tb[KMQTT_AD_QOS]) : 0,
		.dup = d->flags & KMQTT_DEST_F_DUP,
		.retain = d->flags & KMQTT_DEST_F_RETAIN,
		.packet_id = tb[KMQTT_AD_PACKET_ID] ?
			     nla_get_u16(tb[KMQTT_AD_PACKET_ID]) : 0,
		.number = tb[KMQTT_AD_NUMBER] ? nla_get_u64(tb[KMQTT_AD_NUMBER]) : 0,
		.subids = d->subids,
	};
	nla_for_each_nested(attr, nest, rem) {
		if (nla_type(attr) != KMQTT_AD_SUBID)
			continue;
		if (d->opts.n_subids == KMQTT_SUBIDS_MAX) {
			NL_SET_ERR_MSG_ATTR(extack, attr, "too many subscription identifiers");
			return -E2BIG;
		}
		d->subids[d->opts.n_subids++] = nla_get_u32(attr);
	}
	if (d->opts.qos && !d->opts.packet_id) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "QoS 1 and 2 need AD_PACKET_ID");
		return -EINVAL;
	}
	return 0;
}

static int dest_deliver(struct kmqtt_net *kn, struct kmqtt_msg *msg, const struct dest *d)
{
	struct kmqtt_conn *conn = kmqtt_conn_find(kn, d->conn);
	bool allowed;
	int ret;

	if (!conn)
		return KMQTT_DEST_GONE;
	/* Whatever becomes of it: the daemon's state says it is outstanding. */
	if (d->flags & KMQTT_DEST_F_VOLATILE)
		set_bit(KMQTT_CB_VOLATILE, &conn->bits);
	rcu_read_lock();
	allowed = kmqtt_acl_allows(conn, KMQTT_ACL_READ, msg->topic, msg->topic_len);
	rcu_read_unlock();
	if (READ_ONCE(conn->state) == KMQTT_STATE_CLOSED || !conn->level)
		ret = KMQTT_DEST_GONE;
	else if (!allowed)
		ret = KMQTT_DEST_DENIED;
	else
		ret = kmqtt_tx_msg(conn, msg, &d->opts, GFP_KERNEL);
	if (ret == KMQTT_DEST_ACCEPTED)
		kmqtt_stat_inc(kn, PUBLISH_DELIVERED);
	kmqtt_conn_put(conn);
	return ret;
}

static int dest_result_put(struct sk_buff *skb, const struct dest *d, u32 index, u8 result)
{
	struct nlattr *nest = nla_nest_start(skb, KMQTT_A_DEST_RESULT);

	if (!nest ||
	    nla_put_u64_64bit(skb, KMQTT_AD_CONN, d->conn, KMQTT_AD_UNSPEC) ||
	    nla_put_u32(skb, KMQTT_AD_INDEX, index) ||
	    nla_put_u8(skb, KMQTT_AD_RESULT, result))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

#define DEST_RESULT_SIZE	(nla_total_size(0) + nla_total_size_64bit(8) + \
				 nla_total_size(4) + nla_total_size(1))

/*
 * Check every A_DEST before any takes effect; room for the answer about all
 * of them is made here too.
 */
static int deliver_check(struct genl_info *info, struct sk_buff **reply)
{
	struct nlattr *attr;
	unsigned int n = 0;
	struct dest *d;
	int rem, err = 0;

	*reply = NULL;
	d = kmalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return -ENOMEM;
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (err || nla_type(attr) != KMQTT_A_DEST)
			continue;
		err = dest_parse(attr, d, info->extack);
		n++;
	}
	kfree(d);
	if (err || !n)
		return err;
	*reply = genlmsg_new(n * DEST_RESULT_SIZE, GFP_KERNEL);
	return *reply ? 0 : -ENOMEM;
}

/* Queue to all destinations; returns how many did not accept. */
static unsigned int deliver_all(struct kmqtt_net *kn, struct genl_info *info,
				struct kmqtt_msg *msg, struct sk_buff *reply)
{
	unsigned int index = 0, refused = 0;
	struct nlattr *attr;
	struct dest *d;
	int rem, ret;

	d = kmalloc(sizeof(*d), GFP_KERNEL | __GFP_NOFAIL);
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != KMQTT_A_DEST)
			continue;
		dest_parse(attr, d, NULL);
		ret = dest_deliver(kn, msg, d);
		if (ret != KMQTT_DEST_ACCEPTED) {
			dest_result_put(reply, d, index, ret);
			refused++;
		}
		index++;
	}
	kfree(d);
	return refused;
}

/*
 * There was no memory for the message or for what goes with it: to each
 * destination that is as if its list had been full.
 */
static void deliver_refuse(struct kmqtt_net *kn, struct genl_info *info)
{
	struct kmqtt_conn *conn;
	struct nlattr *attr;
	struct dest *d;
	int rem;

	d = kmalloc(sizeof(*d), GFP_KERNEL | __GFP_NOFAIL);
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != KMQTT_A_DEST || dest_parse(attr, d, NULL))
			continue;
		conn = kmqtt_conn_find(kn, d->conn);
		if (!conn)
			continue;
		kmqtt_tx_refuse(conn, d->opts.class);
		kmqtt_conn_put(conn);
	}
	kfree(d);
}

/*
 * The acknowledgement and answer that travel with a message: made before it
 * takes effect, since they must not fail after it.
 */
struct reply_part {
	struct kmqtt_conn *conn;
	struct kmqtt_entry *answer;
};

static int reply_prepare(struct kmqtt_net *kn, struct genl_info *info,
			 struct reply_part *part)
{
	const struct nlattr *answer = info->attrs[KMQTT_A_ANSWER];

	*part = (struct reply_part) {};
	if (info->attrs[KMQTT_A_CONN])
		part->conn = kmqtt_conn_find(kn, nla_get_u64(info->attrs[KMQTT_A_CONN]));
	if (!part->conn || !answer ||
	    READ_ONCE(part->conn->state) == KMQTT_STATE_CLOSED)
		return 0;
	part->answer = kmqtt_tx_prepare(part->conn, nla_data(answer), nla_len(answer));
	if (part->answer)
		return 0;
	kmqtt_conn_put(part->conn);
	return -ENOMEM;
}

static void reply_finish(struct genl_info *info, struct reply_part *part, int err)
{
	if (!part->conn)
		return;
	if (err) {
		kmqtt_tx_cancel(part->conn, part->answer);
	} else {
		if (part->answer)
			kmqtt_tx_commit(part->conn, part->answer);
		conn_ack(part->conn, info);
	}
	kmqtt_conn_put(part->conn);
}

static int deliver_run(struct kmqtt_net *kn, struct genl_info *info,
		       struct kmqtt_msg *msg)
{
	struct reply_part part;
	struct sk_buff *reply;
	void *hdr = NULL;
	int err;

	err = deliver_check(info, &reply);
	if (err)
		return err;
	if (reply && !msg) {
		GENL_SET_ERR_MSG(info, "A_DEST without A_TOPIC");
		nlmsg_free(reply);
		return -EINVAL;
	}
	err = reply_prepare(kn, info, &part);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	if (reply) {
		hdr = genlmsg_put_reply(reply, info, &kmqtt_genl_family, 0,
					KMQTT_CMD_DELIVER);
		err = hdr ? 0 : -EMSGSIZE;
	}
	/*
	 * Destinations first: an answer that reopens the barrier must not let
	 * a later frame overtake this message.
	 */
	if (!err && reply && !deliver_all(kn, info, msg, reply)) {
		nlmsg_free(reply);
		reply = NULL;
	}
	reply_finish(info, &part, err);
	if (err || !reply) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static int inject_run(struct kmqtt_net *kn, struct genl_info *info, struct kmqtt_msg *msg)
{
	struct kmqtt_conn *src = NULL;
	struct reply_part part;
	int err = NEED(info, A_TOPIC);

	if (!err)
		err = reply_prepare(kn, info, &part);
	if (err)
		return err;
	if (info->attrs[KMQTT_A_SOURCE_CONN])
		src = kmqtt_conn_find(kn, nla_get_u64(info->attrs[KMQTT_A_SOURCE_CONN]));
	err = kmqtt_route_msg(kn, msg, src);
	if (src)
		kmqtt_conn_put(src);
	if (err == -E2BIG)
		GENL_SET_ERR_MSG(info, "too many filters match: DELIVER it");
	if (!err)
		kmqtt_stat_inc(kn, PUBLISH_INJECTED);
	reply_finish(info, &part, err);
	return err;
}

/* DELIVER and INJECT: keep a piece, or run the whole message. */
static int message_command(struct genl_info *info,
			   int (*run)(struct kmqtt_net *kn, struct genl_info *info,
				      struct kmqtt_msg *msg))
{
	struct kmqtt_net *kn = owner_enter(info);
	struct kmqtt_msg *msg;
	int err;

	if (IS_ERR(kn))
		return PTR_ERR(kn);
	if (info_msg_flags(info) & KMQTT_MSG_F_MORE) {
		err = stage_message(kn, info);
	} else {
		msg = message_build(kn, info);
		err = IS_ERR(msg) ? PTR_ERR(msg) : run(kn, info, msg);
		if (err == -ENOMEM && run == deliver_run)
			deliver_refuse(kn, info);
		if (!IS_ERR(msg))
			kmqtt_msg_put(msg);
		/* The pieces of a message that was refused are not the next one's. */
		if (info->attrs[KMQTT_A_TOPIC])
			kmqtt_stage_free(kn);
	}
	mutex_unlock(&kn->lock);
	return err;
}

static int kmqtt_nl_deliver(struct sk_buff *skb, struct genl_info *info)
{
	return message_command(info, deliver_run);
}

static int kmqtt_nl_inject(struct sk_buff *skb, struct genl_info *info)
{
	return message_command(info, inject_run);
}

static const struct nla_policy named_policy[KMQTT_AN_MAX + 1] = {
	[KMQTT_AN_NAME] = { .type = NLA_NUL_STRING, .len = 64 },
	[KMQTT_AN_VALUE] = { .type = NLA_U64 },
};

static int param_set(struct kmqtt_net *kn, const struct nlattr *nest,
		     struct netlink_ext_ack *extack)
{
	struct nlattr *tb[KMQTT_AN_MAX + 1];
	unsigned int i;
	s64 value;
	int err;

	err = nla_parse_nested(tb, KMQTT_AN_MAX, nest, named_policy, extack);
	if (err)
		return err;
	if (!tb[KMQTT_AN_NAME] || !tb[KMQTT_AN_VALUE]) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "a parameter needs a name and a value");
		return -EINVAL;
	}
	value = (s64)nla_get_u64(tb[KMQTT_AN_VALUE]);
	for (i = 0; i < KMQTT_PARAM_N; i++)
		if (!strcmp(nla_data(tb[KMQTT_AN_NAME]), kmqtt_params[i].name))
			break;
	if (i == KMQTT_PARAM_N) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "no parameter of that name");
		return -ENOENT;
	}
	if (value < kmqtt_params[i].min || value > kmqtt_params[i].max) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "the value is out of the parameter's range");
		return -ERANGE;
	}
	if (i == KMQTT_PARAM_DAEMON_GRACE && value < 0 && kn->net != &init_net) {
		NL_SET_ERR_MSG_ATTR(extack, nest,
				    "-1 is for the initial network namespace only");
		return -EINVAL;
	}
	WRITE_ONCE(kn->params[i], value);
	return 0;
}

static int kmqtt_nl_param_set(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = info_net(info);
	struct nlattr *attr;
	int rem, err;

	err = NEED(info, A_PARAM);
	if (err)
		return err;
	mutex_lock(&kn->lock);
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem)
		if (!err && nla_type(attr) == KMQTT_A_PARAM)
			err = param_set(kn, attr, info->extack);
	mutex_unlock(&kn->lock);
	return err;
}

bool kmqtt_netlink_ready(struct kmqtt_net *kn, u32 portid)
{
	struct sk_buff *skb = genlmsg_new(0, GFP_KERNEL);

	if (!skb)
		return false;
	if (!genlmsg_put(skb, 0, 0, &kmqtt_genl_family, 0, KMQTT_CMD_READY)) {
		nlmsg_free(skb);
		return false;
	}
	/* A lost one is made up for by ENOBUFS at the daemon, which then pulls. */
	genlmsg_unicast(kn->net, skb, portid);
	return true;
}

static int monitor_put(struct sk_buff *skb, const struct kmqtt_conn *conn, u8 type, u8 cause)
{
	struct nlattr *nest;
	u16 id_len = 0;

	if (kmqtt_conn_accepted(conn))
		id_len = min_t(u16, conn->client_id.len, 1024);
	if (nla_put_u64_64bit(skb, KMQTT_A_CONN, conn->id, KMQTT_A_PAD) ||
	    nla_put_string(skb, KMQTT_A_PEER, conn->peer.len ?
			   (char *)conn->peer.data : "") ||
	    nla_put(skb, KMQTT_A_CLIENT_ID, id_len, conn->client_id.data))
		return -EMSGSIZE;
	nest = nla_nest_start(skb, KMQTT_A_EVENT);
	if (!nest || nla_put_u8(skb, KMQTT_AE_TYPE, type) ||
	    nla_put_u8(skb, KMQTT_AE_CAUSE, cause) ||
	    nla_put_u8(skb, KMQTT_AE_REASON, conn->close_req.reason))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

void kmqtt_netlink_monitor(struct kmqtt_conn *conn, u8 type, u8 cause)
{
	struct kmqtt_net *kn = conn->kn;
	struct sk_buff *skb;
	void *hdr;

	/*
	 * The group asks for the capability in the owner of the namespace only;
	 * reading is for the initial user namespace.
	 */
	if (kn->dying || kn->net->user_ns != &init_user_ns ||
	    !genl_has_listeners(&kmqtt_genl_family, kn->net, 0))
		return;
	skb = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &kmqtt_genl_family, 0, KMQTT_CMD_MONITOR);
	if (!hdr || monitor_put(skb, conn, type, cause)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	genlmsg_multicast_netns(&kmqtt_genl_family, kn->net, skb, 0, 0, GFP_KERNEL);
}

static const struct nla_policy kmqtt_policy[KMQTT_A_MAX + 1] = {
	[KMQTT_A_CONN] = { .type = NLA_U64 },
	[KMQTT_A_OLD_CONN] = { .type = NLA_U64 },
	[KMQTT_A_SOURCE_CONN] = { .type = NLA_U64 },
	[KMQTT_A_FD] = { .type = NLA_U32 },
	[KMQTT_A_LISTENER] = { .type = NLA_U32 },
	[KMQTT_A_PEER] = BIN(KMQTT_PEER_MAX),
	[KMQTT_A_TLS_INFO] = BIN(KMQTT_TLS_INFO_MAX),
	[KMQTT_A_TLS_IDENTITY] = BIN(KMQTT_NAME_MAX - 4),
	[KMQTT_A_PREREAD] = BIN(KMQTT_PIECE_MAX),
	[KMQTT_A_CONNECT_TIMEOUT] = NLA_POLICY_MIN(NLA_U32, 1),
	[KMQTT_A_PROTOCOL] = NLA_POLICY_RANGE(NLA_U8, KMQTT_V31, KMQTT_V5),
	[KMQTT_A_CLIENT_ID] = BIN(KMQTT_CLIENT_ID_MAX - 4),
	[KMQTT_A_USERNAME] = BIN(KMQTT_NAME_MAX - 4),
	[KMQTT_A_MOUNT_POINT] = BIN(KMQTT_MOUNT_POINT_MAX),
	[KMQTT_A_MAX_QOS] = NLA_POLICY_MAX(NLA_U8, 2),
	[KMQTT_A_RETAIN_AVAILABLE] = NLA_POLICY_MAX(NLA_U8, 1),
	[KMQTT_A_KEEPALIVE] = { .type = NLA_U16 },
	[KMQTT_A_MAX_PACKET_IN] = NLA_POLICY_MIN(NLA_U32, 20),
	[KMQTT_A_MAX_PACKET_OUT] = { .type = NLA_U32 },
	[KMQTT_A_ALIAS_MAX_IN] = { .type = NLA_U16 },
	[KMQTT_A_ALIAS_MAX_OUT] = { .type = NLA_U16 },
	[KMQTT_A_RECEIVE_MAX] = NLA_POLICY_MIN(NLA_U16, 1),
	[KMQTT_A_QUEUE_BYTES] = { .type = NLA_U32 },
	[KMQTT_A_QUEUE_COUNT] = { .type = NLA_U32 },
	[KMQTT_A_DELIVER_BYTES] = { .type = NLA_U32 },
	[KMQTT_A_ACL] = { .type = NLA_U32 },
	[KMQTT_A_COOKIE] = BIN(KMQTT_COOKIE_MAX),
	[KMQTT_A_WILL] = BIN(KMQTT_TOPIC_MAX - 4),
	[KMQTT_A_CONN_FLAGS] = NLA_POLICY_MASK(NLA_U32, KMQTT_CONN_F_RELAY |
					       KMQTT_CONN_F_RELEASE |
					       KMQTT_CONN_F_DROP_SLOW |
					       KMQTT_CONN_F_NO_SESSION),
	[KMQTT_A_ACK_EVENT] = { .type = NLA_U64 },
	[KMQTT_A_ACK_FLAGS] = NLA_POLICY_MASK(NLA_U32, KMQTT_ACK_F_SETTLED |
					      KMQTT_ACK_F_VOLATILE |
					      KMQTT_ACK_F_AUTH |
					      KMQTT_ACK_F_AUTH_END |
					      KMQTT_ACK_F_REOPEN),
	[KMQTT_A_ANSWER] = NLA_POLICY_FULL_RANGE(NLA_BINARY, &answer_range),
	[KMQTT_A_FILTER] = BIN(KMQTT_TOPIC_MAX - 4),
	[KMQTT_A_ROUTE_FLAGS] = NLA_POLICY_MASK(NLA_U32, KMQTT_ROUTE_F_NO_LOCAL |
						KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED |
						KMQTT_ROUTE_F_RH_MASK |
						KMQTT_ROUTE_F_HOLD),
	[KMQTT_A_SUBID] = { .type = NLA_U32 },
	[KMQTT_A_SHARE] = BIN(KMQTT_TOPIC_MAX - 4),
	[KMQTT_A_TOKEN] = { .type = NLA_U64 },
	[KMQTT_A_ACL_DEFAULT] = NLA_POLICY_MASK(NLA_U32, KMQTT_ACL_READ | KMQTT_ACL_WRITE),
	[KMQTT_A_ACL_RULE] = { .type = NLA_NESTED },
	[KMQTT_A_TOPIC] = BIN(KMQTT_TOPIC_MAX - 4),
	[KMQTT_A_PROPERTIES] = BIN(KMQTT_TOPIC_MAX - 4),
	[KMQTT_A_PAYLOAD] = BIN(KMQTT_PIECE_MAX),
	[KMQTT_A_MSG_FLAGS] = NLA_POLICY_MASK(NLA_U32, KMQTT_MSG_F_MORE | KMQTT_MSG_F_RETAIN),
	[KMQTT_A_EXPIRY] = NLA_POLICY_FULL_RANGE(NLA_U64, &expiry_range),
	[KMQTT_A_DEST] = { .type = NLA_NESTED },
	[KMQTT_A_PARAM] = { .type = NLA_NESTED },
	[KMQTT_A_CAUSE] = NLA_POLICY_RANGE(NLA_U8, 1, KMQTT_CLOSE_MAX),
	[KMQTT_A_REASON] = { .type = NLA_U8 },
};

#define OP(_cmd, _doit) { .cmd = KMQTT_CMD_##_cmd, .doit = (_doit),	\
			  .flags = GENL_ADMIN_PERM }

static const struct genl_ops kmqtt_ops[] = {
	OP(DAEMON_BIND, kmqtt_nl_bind),
	OP(CONN_ATTACH, kmqtt_nl_attach),
	OP(CONN_ACCEPT, kmqtt_nl_accept),
	OP(CONN_CLOSE, kmqtt_nl_close),
	OP(CONN_RELEASE, kmqtt_nl_release),
	OP(ROUTE_ADD, kmqtt_nl_route_add),
	OP(ROUTE_DEL, kmqtt_nl_route_del),
	OP(ACL_SET, kmqtt_nl_acl_set),
	OP(ACL_DEL, kmqtt_nl_acl_del),
	OP(DELIVER, kmqtt_nl_deliver),
	OP(INJECT, kmqtt_nl_inject),
	OP(STATS_GET, kmqtt_nl_stats_get),
	OP(PARAM_SET, kmqtt_nl_param_set),
	OP(PARAM_GET, kmqtt_nl_param_get),
	{
		.cmd = KMQTT_CMD_CONN_GET,
		.doit = kmqtt_nl_conn_get,
		.start = kmqtt_nl_conn_dump_start,
		.dumpit = kmqtt_nl_conn_dump,
		.flags = GENL_ADMIN_PERM,
	},
	{
		.cmd = KMQTT_CMD_ROUTE_GET,
		.start = kmqtt_nl_route_dump_start,
		.dumpit = kmqtt_nl_route_dump,
		.flags = GENL_ADMIN_PERM,
	},
	{
		.cmd = KMQTT_CMD_EVENTS_GET,
		.dumpit = kmqtt_nl_events_dump,
		.flags = GENL_ADMIN_PERM,
	},
};

static const struct genl_multicast_group kmqtt_mcgrps[] = {
	{ .name = KMQTT_MCGRP_MONITOR_NAME, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

/*
 * The daemon sends thousands of commands in one datagram: the workers must not
 * wait until the last is done.
 */
static int kmqtt_nl_pre_doit(const struct genl_split_ops *ops, struct sk_buff *skb,
			     struct genl_info *info)
{
	cond_resched();
	return 0;
}

struct genl_family kmqtt_genl_family __ro_after_init = {
	.name = KMQTT_GENL_NAME,
	.version = KMQTT_GENL_VERSION,
	.maxattr = KMQTT_A_MAX,
	.policy = kmqtt_policy,
	.netnsok = true,
	.parallel_ops = true,
	.pre_doit = kmqtt_nl_pre_doit,
	.module = THIS_MODULE,
	.ops = kmqtt_ops,
	.n_ops = ARRAY_SIZE(kmqtt_ops),
	.mcgrps = kmqtt_mcgrps,
	.n_mcgrps = ARRAY_SIZE(kmqtt_mcgrps),
};

int __init kmqtt_netlink_init(void)
{
	return genl_register_family(&kmqtt_genl_family);
}

void kmqtt_netlink_exit(void)
{
	genl_unregister_family(&kmqtt_genl_family);
}
