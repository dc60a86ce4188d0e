// SPDX-License-Identifier: GPL-2.0
/* The reading commands: connections, routes, events, counters, parameters. */

#include <linux/mm.h>
#include <net/genetlink.h>
#include "acl.h"
#include "conn.h"
#include "dump.h"
#include "fib.h"
#include "netlink.h"
#include "netns.h"
#include "punt.h"
#include "tx.h"

/* A whole reply: statistics and parameters are a bounded number of nests. */
#define REPLY_SIZE	(8 * 1024)
/* Small, so that the memory of a dump is, too. */
#define WILL_PART	2048

/* What is too long for one attribute goes out in parts. */
static int put_parts(struct sk_buff *skb, int type, const u8 *data, u32 len)
{
	u32 n;

	for (; len; data += n, len -= n) {
		n = min_t(u32, len, U16_MAX - NLA_HDRLEN);
		if (nla_put(skb, type, n, data))
			return -EMSGSIZE;
	}
	return 0;
}

static int put_str(struct sk_buff *skb, int type, const struct kmqtt_str *str)
{
	return put_parts(skb, type, str->data, str->len);
}

static int put_text(struct sk_buff *skb, int type, const struct kmqtt_str *str)
{
	return str->len ? nla_put_string(skb, type, (char *)str->data) : 0;
}

static int conn_put_stats(struct sk_buff *skb, struct kmqtt_conn *conn)
{
	struct nlattr *nest = nla_nest_start(skb, KMQTT_A_CONN_STATS);
	const struct kmqtt_tx *tx = &conn->tx;
	unsigned int i;
	u64 value;

	if (!nest)
		return -EMSGSIZE;
	for (i = KMQTT_CS_BYTES_RX; i <= KMQTT_CS_MAX; i++) {
		value = READ_ONCE(conn->cs[i]);
		if (i == KMQTT_CS_QUEUE_BYTES)
			value = READ_ONCE(tx->routed_bytes) + READ_ONCE(tx->live_bytes) +
				READ_ONCE(tx->deliver_bytes);
		else if (i == KMQTT_CS_EVENTS)
			value = READ_ONCE(conn->ev.count) + READ_ONCE(conn->ev.copy_count);
		else if (i == KMQTT_CS_IDLE_MS)
			value = jiffies_to_msecs(jiffies - READ_ONCE(conn->last_rx));
		if (nla_put_u64_64bit(skb, i, value, KMQTT_CS_PAD))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static u32 conn_flags(struct kmqtt_conn *conn)
{
	u32 flags = 0;

	if (test_bit(KMQTT_CB_RELAY, &conn->bits))
		flags |= KMQTT_CONN_F_RELAY;
	if (test_bit(KMQTT_CB_VOLATILE, &conn->bits))
		flags |= KMQTT_CONN_F_VOLATILE;
	if (test_bit(KMQTT_CB_DROP_SLOW, &conn->bits))
		flags |= KMQTT_CONN_F_DROP_SLOW;
	if (test_bit(KMQTT_CB_NO_SESSION, &conn->bits))
		flags |= KMQTT_CONN_F_NO_SESSION;
	if (test_bit(KMQTT_CB_AUTH, &conn->bits))
		flags |= KMQTT_CONN_F_AUTH;
	if (READ_ONCE(conn->tx.shut))
		flags |= KMQTT_CONN_F_GATE_SHUT;
	if (!kmqtt_events_room(conn) || READ_ONCE(conn->tx.answers) >= kmqtt_answers_max(conn))
		flags |= KMQTT_CONN_F_PAUSED;
	if (READ_ONCE(conn->ev.barrier))
		flags |= KMQTT_CONN_F_BARRIER;
	return flags;
}

static int conn_put_settings(struct sk_buff *skb, const struct kmqtt_conn *conn)
{
	if (!kmqtt_conn_accepted(conn))
		return 0;
	if (nla_put_u8(skb, KMQTT_A_PROTOCOL, conn->level) ||
	    nla_put_u8(skb, KMQTT_A_MAX_QOS, conn->max_qos) ||
	    nla_put_u8(skb, KMQTT_A_RETAIN_AVAILABLE, conn->retain_available) ||
	    nla_put_u16(skb, KMQTT_A_KEEPALIVE, conn->keepalive_s) ||
	    nla_put_u32(skb, KMQTT_A_MAX_PACKET_IN, conn->max_packet_in) ||
	    nla_put_u32(skb, KMQTT_A_MAX_PACKET_OUT, conn->max_packet_out) ||
	    nla_put_u16(skb, KMQTT_A_ALIAS_MAX_IN, conn->alias_max_in) ||
	    nla_put_u16(skb, KMQTT_A_ALIAS_MAX_OUT, conn->alias_max_out) ||
	    nla_put_u16(skb, KMQTT_A_RECEIVE_MAX, conn->receive_max) ||
	    nla_put_u32(skb, KMQTT_A_QUEUE_BYTES, conn->queue_bytes) ||
	    nla_put_u32(skb, KMQTT_A_QUEUE_COUNT, conn->queue_count) ||
	    nla_put_u32(skb, KMQTT_A_DELIVER_BYTES, conn->deliver_bytes))
		return -EMSGSIZE;
	return put_str(skb, KMQTT_A_CLIENT_ID, &conn->client_id) ?:
	       put_str(skb, KMQTT_A_USERNAME, &conn->username) ?:
	       put_str(skb, KMQTT_A_MOUNT_POINT, &conn->mount) ?:
	       put_str(skb, KMQTT_A_COOKIE, &conn->cookie);
}

static int conn_put_state(struct sk_buff *skb, struct kmqtt_conn *conn)
{
	struct kmqtt_acl *acl;
	u32 acl_id;

	rcu_read_lock();
	acl = rcu_dereference(conn->acl);
	acl_id = acl ? kmqtt_acl_id(acl) : 0;
	rcu_read_unlock();
	if (nla_put_u64_64bit(skb, KMQTT_A_CONN, conn->id, KMQTT_A_PAD) ||
	    nla_put_u32(skb, KMQTT_A_LISTENER, conn->listener) ||
	    nla_put_u8(skb, KMQTT_A_STATE, READ_ONCE(conn->state)) ||
	    nla_put_u32(skb, KMQTT_A_CONN_FLAGS, conn_flags(conn)) ||
	    nla_put_u32(skb, KMQTT_A_ACL, acl_id) ||
	    nla_put_u64_64bit(skb, KMQTT_A_LAST_EVENT, READ_ONCE(conn->ev.acked),
			      KMQTT_A_PAD) ||
	    nla_put_u64_64bit(skb, KMQTT_A_LAST_DELIVER,
			      READ_ONCE(conn->tx.last_deliver), KMQTT_A_PAD) ||
	    nla_put_u64_64bit(skb, KMQTT_A_LAST_LIVE,
			      READ_ONCE(conn->tx.last_live), KMQTT_A_PAD))
		return -EMSGSIZE;
	return put_text(skb, KMQTT_A_PEER, &conn->peer) ?:
	       put_text(skb, KMQTT_A_TLS_INFO, &conn->tls_info) ?:
	       put_str(skb, KMQTT_A_TLS_IDENTITY, &conn->tls_identity);
}

static int conn_put(struct sk_buff *skb, struct kmqtt_conn *conn, u32 portid,
		    u32 seq, int flags)
{
	void *hdr;

	hdr = genlmsg_put(skb, portid, seq, &kmqtt_genl_family, flags,
			  KMQTT_CMD_CONN_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (conn_put_state(skb, conn) || conn_put_settings(skb, conn) ||
	    conn_put_stats(skb, conn)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* A part of the will, from *@off on, in a message of its own. */
static int conn_put_will(struct sk_buff *skb, struct kmqtt_conn *conn,
			 const struct netlink_callback *cb, unsigned long *off)
{
	u32 len = min_t(u32, conn->will.len - *off, WILL_PART);
	void *hdr;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &kmqtt_genl_family, NLM_F_MULTI, KMQTT_CMD_CONN_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, KMQTT_A_CONN, conn->id, KMQTT_A_PAD) ||
	    nla_put(skb, KMQTT_A_WILL, len, conn->will.data + *off)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	*off += len;
	return 0;
}

/*
 * All of one connection: @pos counts its messages' progress, 0 before the
 * first, from 1 on bytes of the will.
 */
static int conn_dump_one(struct sk_buff *skb, struct kmqtt_conn *conn,
			 struct netlink_callback *cb, unsigned long *pos)
{
	u32 portid = NETLINK_CB(cb->skb).portid;
	unsigned long off;
	int err = 0;

	if (!*pos) {
		err = conn_put(skb, conn, portid, cb->nlh->nlmsg_seq, NLM_F_MULTI);
		if (err)
			return err;
		*pos = 1;
	}
	if (portid != READ_ONCE(conn->kn->owner))
		return 0;
	for (off = *pos - 1; !err && off < conn->will.len; *pos = off + 1)
		err = conn_put_will(skb, conn, cb, &off);
	return err;
}

/* What one connection takes at most in a message. */
static size_t conn_size(const struct kmqtt_conn *conn)
{
	return 2048 + conn->client_id.len + conn->username.len + conn->mount.len +
	       conn->cookie.len + conn->tls_identity.len;
}

int kmqtt_nl_conn_get(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = kmqtt_net_get(genl_info_net(info));
	struct kmqtt_conn *conn = NULL;
	struct sk_buff *reply;
	int err = -ENOMEM;

	if (info->attrs[KMQTT_A_CONN])
		conn = kmqtt_conn_find(kn, nla_get_u64(info->attrs[KMQTT_A_CONN]));
	if (!conn) {
		GENL_SET_ERR_MSG(info, "no such connection");
		return -ENOENT;
	}
	reply = genlmsg_new(conn_size(conn), GFP_KERNEL);
	if (reply)
		err = conn_put(reply, conn, info->snd_portid, info->snd_seq, 0);
	kmqtt_conn_put(conn);
	if (!err)
		return genlmsg_reply(reply, info);
	nlmsg_free(reply);
	return err;
}

/* The next connection at or after *@id, referenced. */
static struct kmqtt_conn *conn_next(struct kmqtt_net *kn, unsigned long *id)
{
	struct kmqtt_conn *conn;

	rcu_read_lock();
	do {
		conn = xa_find(&kn->conns, id, ULONG_MAX, XA_PRESENT);
		if (!conn || kref_get_unless_zero(&conn->ref))
			break;
		++*id;
	} while (conn);
	rcu_read_unlock();
	return conn;
}

/*
 * Messages must hold the largest connection there is: a client with long
 * strings must not end the dump for the others.
 */
int kmqtt_nl_conn_dump_start(struct netlink_callback *cb)
{
	struct kmqtt_net *kn = kmqtt_net_get(sock_net(cb->skb->sk));
	struct kmqtt_conn *conn;
	unsigned long id;
	size_t size = 0;

	rcu_read_lock();
	xa_for_each(&kn->conns, id, conn)
		size = max(size, conn_size(conn));
	rcu_read_unlock();
	cb->min_dump_alloc = max_t(u32, cb->min_dump_alloc, size);
	return 0;
}

int kmqtt_nl_conn_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct kmqtt_net *kn = kmqtt_net_get(sock_net(skb->sk));
	unsigned long id = cb->args[0];
	struct kmqtt_conn *conn;
	int err = 0;

	while (!err && (conn = conn_next(kn, &id))) {
		/* The one before may have gone in the middle of its will. */
		if (id != cb->args[0])
			cb->args[1] = 0;
		cb->args[0] = id;
		err = conn_dump_one(skb, conn, cb, &cb->args[1]);
		/* One that fits no message is reported by its error, once. */
		if (!err || !skb->len)
			id++;
		kmqtt_conn_put(conn);
	}
	if (id != cb->args[0])
		cb->args[1] = 0;
	cb->args[0] = id;
	return skb->len ?: err;
}

/* What the walk of a route dump hands to its callback; lives for one call. */
struct route_dump {
	struct sk_buff *skb;
	struct netlink_callback *cb;
};

static int route_put_attrs(struct sk_buff *skb, const struct kmqtt_route_info *info)
{
	if (nla_put_u64_64bit(skb, KMQTT_A_CONN, info->conn_id, KMQTT_A_PAD) ||
	    put_parts(skb, KMQTT_A_FILTER, info->filter, info->filter_len) ||
	    nla_put_u32(skb, KMQTT_A_ROUTE_FLAGS, info->opts.flags) ||
	    nla_put_u8(skb, KMQTT_A_MAX_QOS, info->opts.qos) ||
	    (info->opts.subid && nla_put_u32(skb, KMQTT_A_SUBID, info->opts.subid)) ||
	    (info->share && put_parts(skb, KMQTT_A_SHARE, info->share, info->share_len)))
		return -EMSGSIZE;
	return 0;
}

static int route_put(void *ctx, const struct kmqtt_route_info *info)
{
	struct route_dump *d = ctx;
	void *hdr;

	hdr = genlmsg_put(d->skb, NETLINK_CB(d->cb->skb).portid,
			  d->cb->nlh->nlmsg_seq, &kmqtt_genl_family,
			  NLM_F_MULTI, KMQTT_CMD_ROUTE_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (route_put_attrs(d->skb, info)) {
		genlmsg_cancel(d->skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(d->skb, hdr);
	return 0;
}

int kmqtt_nl_route_dump_start(struct netlink_callback *cb)
{
	struct kmqtt_net *kn = kmqtt_net_get(sock_net(cb->skb->sk));

	cb->min_dump_alloc = max_t(u32, cb->min_dump_alloc, READ_ONCE(kn->route_size));
	return 0;
}

int kmqtt_nl_route_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlattr *attr = genl_info_dump(cb)->attrs[KMQTT_A_CONN];
	struct kmqtt_net *kn = kmqtt_net_get(sock_net(skb->sk));
	struct route_dump d = { .skb = skb, .cb = cb };
	struct kmqtt_conn *conn = NULL;
	u64 pos = cb->args[0];
	int err;

	if (attr) {
		conn = kmqtt_conn_find(kn, nla_get_u64(attr));
		if (!conn) {
			NL_SET_ERR_MSG(cb->extack, "no such connection");
			return -ENOENT;
		}
	}
	err = kmqtt_fib_dump(kn->fib, conn, &pos, route_put, &d);
	if (conn)
		kmqtt_conn_put(conn);
	cb->args[0] = pos;
	return skb->len ?: err;
}

int kmqtt_nl_events_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct kmqtt_net *kn = kmqtt_net_get(sock_net(skb->sk));

	if (NETLINK_CB(cb->skb).portid != READ_ONCE(kn->owner)) {
		NL_SET_ERR_MSG(cb->extack, "only the socket that did DAEMON_BIND may do this");
		return -EPERM;
	}
	return kmqtt_events_dump(kn, skb, cb);
}

int kmqtt_nl_stats_get(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = kmqtt_net_get(genl_info_net(info));
	struct sk_buff *reply = genlmsg_new(REPLY_SIZE, GFP_KERNEL);
	void *hdr;

	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &kmqtt_genl_family, 0,
				KMQTT_CMD_STATS_GET);
	if (!hdr || kmqtt_stats_put(kn, reply)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static int param_put(struct sk_buff *skb, const char *name, s64 value)
{
	struct nlattr *nest = nla_nest_start(skb, KMQTT_A_PARAM);

	if (!nest || nla_put_string(skb, KMQTT_AN_NAME, name) ||
	    nla_put_u64_64bit(skb, KMQTT_AN_VALUE, value, KMQTT_AN_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

int kmqtt_nl_param_get(struct sk_buff *skb, struct genl_info *info)
{
	struct kmqtt_net *kn = kmqtt_net_get(genl_info_net(info));
	struct sk_buff *reply = genlmsg_new(REPLY_SIZE, GFP_KERNEL);
	unsigned int i;
	int err = 0;
	void *hdr;

	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &kmqtt_genl_family, 0,
				KMQTT_CMD_PARAM_GET);
	if (!hdr)
		err = -EMSGSIZE;
	for (i = 0; !err && i < KMQTT_PARAM_N; i++)
		err = param_put(reply, kmqtt_params[i].name, kmqtt_param(kn, i));
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}
