// SPDX-License-Identifier: GPL-2.0
/* Connections: take-over of the socket, the turn of the worker, the end. */

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>
#include <net/tcp.h>
#include "acl.h"
#include "conn.h"
#include "direct.h"
#include "fib.h"
#include "netlink.h"
#include "rx.h"
#include "tx.h"
#include "worker.h"

#define CONNECT_TIMEOUT_MS	30000
#define MAX_PACKET_CONNECT	(512 << 10)	/* until ACCEPT sets another */
#define MAX_PACKET_MQTT		(KMQTT_VARINT_MAX + KMQTT_FIXED_HDR_MAX)
#define QUEUE_BYTES		(1024 * 1024)
#define DELIVER_BYTES		(4 * 1024 * 1024)
/* For the last packet when the namespace or the module goes. */
#define LINGER_GOING		(HZ / 2)

static struct kmem_cache *conn_cache;
static atomic64_t conn_last_id = ATOMIC64_INIT(0);

void kmqtt_conn_kick(struct kmqtt_conn *conn, unsigned int bit)
{
	set_bit(bit, &conn->bits);
	/* Pairs with worker_turn(): it sees the bit, or we see QUEUED clear. */
	if (!test_and_set_bit(KMQTT_CB_QUEUED, &conn->bits))
		kmqtt_worker_queue(conn);
}

/*
 * Socket callbacks.  Under sk_callback_lock sk_user_data is the connection or,
 * once detached, NULL; the socket's reference keeps it alive in between.  It
 * is not for copying: others may hold the socket's file too, and could make a
 * listener of it, whose children get the callbacks but no reference.
 */
static struct kmqtt_conn *conn_of(const struct sock *sk)
{
	return (void *)((uintptr_t)sk->sk_user_data & SK_USER_DATA_PTRMASK);
}

static void conn_data_ready(struct sock *sk)
{
	struct kmqtt_conn *conn;

	read_lock_bh(&sk->sk_callback_lock);
	conn = conn_of(sk);
	if (conn) {
		conn->saved_data_ready(sk);
		if (!kmqtt_direct(conn, sk))
			kmqtt_conn_kick(conn, KMQTT_CB_RX);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void conn_write_space(struct sock *sk)
{
	struct kmqtt_conn *conn;

	read_lock_bh(&sk->sk_callback_lock);
	conn = conn_of(sk);
	if (conn) {
		conn->saved_write_space(sk);
		if (sk_stream_is_writeable(sk) &&
		    test_and_clear_bit(KMQTT_CB_BLOCKED, &conn->bits))
			kmqtt_conn_kick(conn, KMQTT_CB_TX);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void conn_state_change(struct sock *sk)
{
	struct kmqtt_conn *conn;

	read_lock_bh(&sk->sk_callback_lock);
	conn = conn_of(sk);
	if (conn) {
		conn->saved_state_change(sk);
		/* The end shows when the receive queue has been read. */
		clear_bit(KMQTT_CB_BLOCKED, &conn->bits);
		kmqtt_conn_kick(conn, KMQTT_CB_RX);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void conn_timer(struct timer_list *t)
{
	struct kmqtt_conn *conn = from_timer(conn, t, timer);

	kmqtt_conn_kick(conn, KMQTT_CB_TIMER);
}

static int str_set(struct kmqtt_str *str, struct genl_info *info, int type)
{
	u32 len = kmqtt_nl_parts_len(info, type);

	/* Of a CONN_ACCEPT that failed half-way. */
	kvfree(str->data);
	*str = (struct kmqtt_str) {};
	if (!len)
		return 0;
	str->data = kvmalloc(len, GFP_KERNEL_ACCOUNT);
	if (!str->data)
		return -ENOMEM;
	kmqtt_nl_parts_copy(info, type, str->data);
	str->len = len;
	return 0;
}

/* A printable string, with a final NUL in memory. */
static int text_set(struct kmqtt_str *str, const struct nlattr *attr)
{
	if (!attr)
		return 0;
	str->data = (u8 *)nla_strdup(attr, GFP_KERNEL_ACCOUNT);
	if (!str->data)
		return -ENOMEM;
	str->len = strlen((char *)str->data);
	return 0;
}

static void conn_free_rcu(struct rcu_head *rcu)
{
	struct kmqtt_conn *conn = container_of(rcu, struct kmqtt_conn, rcu);

	kvfree(conn->client_id.data);
	kvfree(conn->username.data);
	kvfree(conn->mount.data);
	kfree(conn->peer.data);
	kfree(conn->tls_info.data);
	kvfree(conn->tls_identity.data);
	kvfree(conn->cookie.data);
	kvfree(conn->will.data);
	kfree(conn->close_req.packet);
	kmem_cache_free(conn_cache, conn);
}

/* The last reference is gone: no socket, no table, no list, no route. */
void kmqtt_conn_release(struct kref *ref)
{
	struct kmqtt_conn *conn = container_of(ref, struct kmqtt_conn, ref);

	kmqtt_acl_put(rcu_dereference_protected(conn->acl, true));
	call_rcu(&conn->rcu, conn_free_rcu);
}

struct kmqtt_conn *kmqtt_conn_find(struct kmqtt_net *kn, u64 id)
{
	struct kmqtt_conn *conn;

	rcu_read_lock();
	conn = xa_load(&kn->conns, id);
	if (conn && !kref_get_unless_zero(&conn->ref))
		conn = NULL;
	rcu_read_unlock();
	return conn;
}

/* Out of the id table; false if it was not there. */
static bool conn_unlist(struct kmqtt_conn *conn)
{
	lockdep_assert_held(&conn->kn->lock);
	return xa_cmpxchg(&conn->kn->conns, conn->id, conn, NULL, GFP_KERNEL) == conn;
}

/* What follows conn_unlist(). */
static void conn_unlisted(struct kmqtt_conn *conn)
{
	struct kmqtt_net *kn = conn->kn;

	spin_lock(&conn->lock);
	kmqtt_mem_uncharge(kn, conn->charged);
	conn->charged = 0;
	spin_unlock(&conn->lock);
	kmqtt_events_purge(conn);
	/* The table's reference; the namespace may go once the count is 0. */
	kmqtt_conn_put(conn);
	kmqtt_net_drop(kn, &kn->conn_count);
}

void kmqtt_conn_forget(struct kmqtt_conn *conn)
{
	if (conn_unlist(conn))
		conn_unlisted(conn);
}

/* Its end is of no interest to anybody, unless a daemon came meanwhile. */
static void conn_forget_unowned(struct kmqtt_conn *conn)
{
	struct kmqtt_net *kn = conn->kn;
	bool unlisted;

	mutex_lock(&kn->lock);
	unlisted = test_bit(KMQTT_CB_FORGET, &conn->bits) && conn_unlist(conn);
	mutex_unlock(&kn->lock);
	if (unlisted)
		conn_unlisted(conn);
}

/* A blank connection with the references of table, socket and caller. */
static struct kmqtt_conn *conn_alloc(struct kmqtt_net *kn)
{
	struct kmqtt_conn *conn;

	conn = kmem_cache_zalloc(conn_cache, GFP_KERNEL_ACCOUNT);
	if (!conn)
		return NULL;
	conn->kn = kn;
	kref_init(&conn->ref);
	kmqtt_conn_get(conn);
	kmqtt_conn_get(conn);
	/* Kicks only leave their mark until ATTACH is done with it. */
	conn->bits = BIT(KMQTT_CB_QUEUED);
	spin_lock_init(&conn->lock);
	conn->state = KMQTT_STATE_CONNECTING;
	conn->attached = jiffies;
	conn->last_rx = jiffies;
	conn->max_packet_in = MAX_PACKET_CONNECT;
	conn->connect_timeout = msecs_to_jiffies(CONNECT_TIMEOUT_MS);
	conn->queue_bytes = QUEUE_BYTES;
	conn->deliver_bytes = DELIVER_BYTES;
	INIT_LIST_HEAD(&conn->routes);
	timer_setup(&conn->timer, conn_timer, 0);
	xa_init(&conn->rx.aliases);
	kmqtt_events_init(&conn->ev);
	kmqtt_tx_init(conn);
	conn->close_event = kmqtt_event_alloc(conn, KMQTT_EV_CLOSE, NULL, 0,
					      NULL, 0, GFP_KERNEL);
	if (conn->close_event)
		return conn;
	kmem_cache_free(conn_cache, conn);
	return NULL;
}

static int conn_attach_attrs(struct kmqtt_conn *conn, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;

	if (attrs[KMQTT_A_LISTENER])
		conn->listener = nla_get_u32(attrs[KMQTT_A_LISTENER]);
	if (attrs[KMQTT_A_CONNECT_TIMEOUT])
		conn->connect_timeout =
			msecs_to_jiffies(nla_get_u32(attrs[KMQTT_A_CONNECT_TIMEOUT]));
	if (attrs[KMQTT_A_MAX_PACKET_IN])
		conn->max_packet_in = nla_get_u32(attrs[KMQTT_A_MAX_PACKET_IN]);
	if (attrs[KMQTT_A_CONN_FLAGS] &&
	    nla_get_u32(attrs[KMQTT_A_CONN_FLAGS]) & KMQTT_CONN_F_RELAY)
		set_bit(KMQTT_CB_RELAY, &conn->bits);
	if (attrs[KMQTT_A_PREREAD] &&
	    kmqtt_rx_preload(conn, nla_data(attrs[KMQTT_A_PREREAD]),
			     nla_len(attrs[KMQTT_A_PREREAD])))
		return -ENOMEM;
	return text_set(&conn->peer, attrs[KMQTT_A_PEER]) ?:
	       text_set(&conn->tls_info, attrs[KMQTT_A_TLS_INFO]) ?:
	       str_set(&conn->tls_identity, info, KMQTT_A_TLS_IDENTITY);
}

/* Put our callbacks on the socket, unless it is somebody else's. */
static int conn_take_socket(struct kmqtt_conn *conn, struct genl_info *info)
{
	struct sock *sk = conn->sock->sk;
	int err = 0;

	lock_sock(sk);
	write_lock_bh(&sk->sk_callback_lock);
	if (!((1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT))) {
		GENL_SET_ERR_MSG(info, "the socket is not connected");
		err = -EINVAL;
	} else if (sk->sk_user_data) {
		GENL_SET_ERR_MSG(info, "the socket is in use by the kernel already");
		err = -EBUSY;
	} else {
		conn->plain = inet_csk_has_ulp(sk) ? NULL : sk->sk_prot;
		conn->saved_data_ready = sk->sk_data_ready;
		conn->saved_write_space = sk->sk_write_space;
		conn->saved_state_change = sk->sk_state_change;
		sk->sk_user_data = (void *)((uintptr_t)conn | SK_USER_DATA_NOCOPY);
		WRITE_ONCE(sk->sk_data_ready, conn_data_ready);
		WRITE_ONCE(sk->sk_write_space, conn_write_space);
		WRITE_ONCE(sk->sk_state_change, conn_state_change);
	}
	write_unlock_bh(&sk->sk_callback_lock);
	release_sock(sk);
	return err;
}

/* Give the socket back: no callback of ours runs any more afterwards. */
static void conn_release_socket(struct kmqtt_conn *conn)
{
	struct sock *sk = conn->sock->sk;

	lock_sock(sk);
	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_data_ready == conn_data_ready)
		sk->sk_data_ready = conn->saved_data_ready;
	if (sk->sk_write_space == conn_write_space)
		sk->sk_write_space = conn->saved_write_space;
	if (sk->sk_state_change == conn_state_change)
		sk->sk_state_change = conn->saved_state_change;
	sk->sk_user_data = NULL;
	write_unlock_bh(&sk->sk_callback_lock);
	release_sock(sk);
}

/* The socket behind A_FD, with its file held. */
static int conn_get_socket(struct kmqtt_conn *conn, struct genl_info *info)
{
	struct socket *sock;
	int err;

	sock = sockfd_lookup(nla_get_u32(info->attrs[KMQTT_A_FD]), &err);
	if (!sock) {
		GENL_SET_ERR_MSG(info, "A_FD is not a socket");
		return err;
	}
	if (!sk_is_tcp(sock->sk) || !net_eq(sock_net(sock->sk), genl_info_net(info))) {
		GENL_SET_ERR_MSG(info, "A_FD is not a TCP socket of this network namespace");
		sockfd_put(sock);
		return -EINVAL;
	}
	conn->sock = sock;
	conn->file = sock->file;
	return 0;
}

/* Undo conn_alloc() for a connection nobody else has seen. */
static void conn_abandon(struct kmqtt_conn *conn)
{
	if (conn->file)
		fput(conn->file);
	kmqtt_rx_free(conn);
	kmqtt_event_free(conn->kn, conn->close_event);
	conn_free_rcu(&conn->rcu);
}

/*
 * Show a complete connection.  Its callbacks may have run before, but left
 * only their bits: the first turn comes last, since the worker may end the
 * connection at once.
 */
static void conn_publish(struct kmqtt_conn *conn)
{
	struct kmqtt_net *kn = conn->kn;

	tcp_sock_set_nodelay(conn->sock->sk);
	atomic_inc(&kn->conn_count);
	atomic_inc(&kn->sockets);
	kmqtt_stat_inc(kn, CONN_ATTACHED);
	/* Into the reserved entry, so it cannot fail. */
	xa_store(&kn->conns, conn->id, conn, GFP_KERNEL);
	mod_timer(&conn->timer, jiffies + conn->connect_timeout);
	/* Bytes may have come before the callbacks were ours. */
	set_bit(KMQTT_CB_RX, &conn->bits);
	kmqtt_worker_queue(conn);
}

struct kmqtt_conn *kmqtt_conn_attach(struct kmqtt_net *kn, struct genl_info *info)
{
	struct kmqtt_conn *conn;
	int err;

	lockdep_assert_held(&kn->lock);
	if (kn->dying) {
		GENL_SET_ERR_MSG(info, "the network namespace is going away");
		return ERR_PTR(-ESHUTDOWN);
	}
	if (atomic_read(&kn->conn_count) >= kmqtt_param(kn, KMQTT_PARAM_MAX_CONNECTIONS)) {
		GENL_SET_ERR_MSG(info, "parameter max_connections reached");
		return ERR_PTR(-ENOSPC);
	}
	conn = conn_alloc(kn);
	if (!conn)
		return ERR_PTR(-ENOMEM);
	err = conn_get_socket(conn, info) ?: conn_attach_attrs(conn, info);
	if (err)
		goto abandon;
	conn->id = atomic64_inc_return(&conn_last_id);
	conn->worker = kmqtt_worker_assign();
	err = xa_reserve(&kn->conns, conn->id, GFP_KERNEL_ACCOUNT);
	if (err)
		goto unassign;
	err = conn_take_socket(conn, info);
	if (err)
		goto release;
	conn_publish(conn);
	return conn;
release:
	xa_release(&kn->conns, conn->id);
unassign:
	kmqtt_worker_unassign(conn->worker);
abandon:
	conn_abandon(conn);
	return ERR_PTR(err);
}

static int conn_accept_strings(struct kmqtt_conn *conn, struct genl_info *info)
{
	return str_set(&conn->client_id, info, KMQTT_A_CLIENT_ID) ?:
	       str_set(&conn->username, info, KMQTT_A_USERNAME) ?:
	       str_set(&conn->mount, info, KMQTT_A_MOUNT_POINT) ?:
	       str_set(&conn->cookie, info, KMQTT_A_COOKIE) ?:
	       str_set(&conn->will, info, KMQTT_A_WILL);
}

/* The strings of CONN_ACCEPT: how long they are together, or an error. */
static int accept_strings_len(struct genl_info *info)
{
	static const struct {
		int type;
		u32 max;
	} strings[] = {
		{ KMQTT_A_CLIENT_ID, KMQTT_CLIENT_ID_MAX },
		{ KMQTT_A_USERNAME, KMQTT_NAME_MAX },
		{ KMQTT_A_MOUNT_POINT, KMQTT_MOUNT_POINT_MAX },
		{ KMQTT_A_COOKIE, KMQTT_COOKIE_MAX },
		{ KMQTT_A_WILL, KMQTT_WILL_MAX },
	};
	int i, sum = 0;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		len = kmqtt_nl_parts_len(info, strings[i].type);
		if (len > strings[i].max) {
			GENL_SET_ERR_MSG(info, "a string of the connection is too long");
			return -EMSGSIZE;
		}
		sum += len;
	}
	return sum;
}

static u32 attr_u32(struct nlattr *attr, u32 def)
{
	return attr ? nla_get_u32(attr) : def;
}

static u16 attr_u16(struct nlattr *attr, u16 def)
{
	return attr ? nla_get_u16(attr) : def;
}

static u8 attr_u8(struct nlattr *attr, u8 def)
{
	return attr ? nla_get_u8(attr) : def;
}

static void conn_accept_limits(struct kmqtt_conn *conn, struct nlattr **a)
{
	conn->max_qos = attr_u8(a[KMQTT_A_MAX_QOS], 2);
	conn->retain_available = attr_u8(a[KMQTT_A_RETAIN_AVAILABLE], 1);
	conn->keepalive_s = attr_u16(a[KMQTT_A_KEEPALIVE], 0);
	conn->keepalive = msecs_to_jiffies(conn->keepalive_s * 1500);
	conn->max_packet_in = attr_u32(a[KMQTT_A_MAX_PACKET_IN], MAX_PACKET_MQTT);
	conn->max_packet_out = attr_u32(a[KMQTT_A_MAX_PACKET_OUT], 0);
	conn->alias_max_in = attr_u16(a[KMQTT_A_ALIAS_MAX_IN], 0);
	if (nla_get_u8(a[KMQTT_A_PROTOCOL]) == KMQTT_V5) {
		conn->alias_max_out = attr_u16(a[KMQTT_A_ALIAS_MAX_OUT], 0);
		conn->receive_max = attr_u16(a[KMQTT_A_RECEIVE_MAX], U16_MAX);
	}
	conn->queue_bytes = attr_u32(a[KMQTT_A_QUEUE_BYTES], QUEUE_BYTES);
	conn->queue_count = attr_u32(a[KMQTT_A_QUEUE_COUNT], 0);
	conn->deliver_bytes = attr_u32(a[KMQTT_A_DELIVER_BYTES], DELIVER_BYTES);
	if (attr_u32(a[KMQTT_A_CONN_FLAGS], 0) & KMQTT_CONN_F_DROP_SLOW)
		set_bit(KMQTT_CB_DROP_SLOW, &conn->bits);
	if (attr_u32(a[KMQTT_A_CONN_FLAGS], 0) & KMQTT_CONN_F_NO_SESSION)
		set_bit(KMQTT_CB_NO_SESSION, &conn->bits);
}

/* Charge its strings; kmqtt_conn_forget() gives that back. */
static bool conn_charge(struct kmqtt_conn *conn, size_t bytes)
{
	bool listed;

	if (!kmqtt_mem_charge(conn->kn, bytes))
		return false;
	spin_lock(&conn->lock);
	listed = xa_load(&conn->kn->conns, conn->id) == conn;
	if (listed)
		conn->charged += bytes;
	spin_unlock(&conn->lock);
	if (!listed)
		kmqtt_mem_uncharge(conn->kn, bytes);
	return true;
}

/* The worker waits at the barrier of the CONNECT meanwhile. */
int kmqtt_conn_accept(struct kmqtt_conn *conn, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct kmqtt_acl *acl = NULL;
	u32 acl_id = attr_u32(attrs[KMQTT_A_ACL], 0);
	int len;

	lockdep_assert_held(&conn->kn->lock);
	if (conn->level) {
		GENL_SET_ERR_MSG(info, "the connection is accepted already");
		return -EALREADY;
	}
	len = accept_strings_len(info);
	if (len < 0)
		return len;
	if (acl_id) {
		acl = kmqtt_acl_get(&conn->kn->acls, acl_id);
		if (!acl) {
			GENL_SET_ERR_MSG(info, "no rule set with the id in A_ACL");
			return -ENOENT;
		}
	}
	if (!conn_charge(conn, len) || conn_accept_strings(conn, info)) {
		kmqtt_acl_put(acl);
		GENL_SET_ERR_MSG(info, "no memory for the strings of the connection");
		return -ENOMEM;
	}
	conn_accept_limits(conn, attrs);
	rcu_assign_pointer(conn->acl, acl);
	spin_lock(&conn->lock);
	/* Pairs with kmqtt_conn_accepted(): the settings before it. */
	smp_store_release(&conn->level, nla_get_u8(attrs[KMQTT_A_PROTOCOL]));
	if (conn->state == KMQTT_STATE_CONNECTING)
		WRITE_ONCE(conn->state, KMQTT_STATE_OPEN);
	WRITE_ONCE(conn->last_rx, jiffies);
	/* Under the lock: once the worker has set CLOSED nobody arms it. */
	if (conn->keepalive && conn->state == KMQTT_STATE_OPEN)
		mod_timer(&conn->timer, jiffies + conn->keepalive);
	spin_unlock(&conn->lock);
	kmqtt_stat_inc(conn->kn, CONN_ACCEPTED);
	return 0;
}

void kmqtt_conn_close(struct kmqtt_conn *conn, u8 cause, u8 reason,
		      const u8 *packet, u32 len)
{
	u8 *copy = NULL;

	if (len)
		copy = kmemdup(packet, len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	spin_lock(&conn->lock);
	if (!conn->close_req.cause) {
		swap(conn->close_req.packet, copy);
		conn->close_req.packet_len = conn->close_req.packet ? len : 0;
		conn->close_req.reason = reason;
		WRITE_ONCE(conn->close_req.cause, cause);
	}
	spin_unlock(&conn->lock);
	kfree(copy);
	kmqtt_conn_kick(conn, KMQTT_CB_CLOSE);
}

void kmqtt_conn_disconnected(struct kmqtt_conn *conn, u8 reason,
			     struct kmqtt_event *event)
{
	spin_lock(&conn->lock);
	/* A client's own end counts even while the daemon's close drains it. */
	if (!conn->close_req.cause || kmqtt_conn_drains(conn)) {
		swap(conn->close_event, event);
		conn->close_req.reason = reason;
		WRITE_ONCE(conn->close_req.cause, KMQTT_CLOSE_DISCONNECT);
	}
	spin_unlock(&conn->lock);
	kmqtt_event_free(conn->kn, event);
	kmqtt_conn_kick(conn, KMQTT_CB_CLOSE);
}

static bool conn_is_relayed(const struct kmqtt_conn *conn)
{
	return test_bit(KMQTT_CB_RELAY, &conn->bits);
}

static void conn_close_some(struct kmqtt_net *kn, u8 cause, u8 reason,
			    bool (*which)(const struct kmqtt_conn *conn))
{
	struct kmqtt_conn *conn;
	unsigned long id;

	xa_for_each(&kn->conns, id, conn) {
		conn = kmqtt_conn_find(kn, id);
		if (!conn)
			continue;
		if (!which || which(conn)) {
			kmqtt_conn_close(conn, cause, reason, NULL, 0);
			if (!which)
				kmqtt_conn_kick(conn, KMQTT_CB_FORGET);
		}
		kmqtt_conn_put(conn);
	}
}

void kmqtt_conn_close_all(struct kmqtt_net *kn, u8 cause, u8 reason)
{
	conn_close_some(kn, cause, reason, NULL);
}

void kmqtt_conn_close_relayed(struct kmqtt_net *kn)
{
	conn_close_some(kn, KMQTT_CLOSE_DAEMON_GONE,
			KMQTT_RC_SERVER_SHUTTING_DOWN, conn_is_relayed);
}

static unsigned long conn_close_timeout(const struct kmqtt_conn *conn)
{
	return msecs_to_jiffies(kmqtt_param(conn->kn, KMQTT_PARAM_CLOSE_TIMEOUT));
}

/* Nobody is left to wait longer for: no daemon, or no module. */
static bool close_is_going(u8 cause)
{
	return cause == KMQTT_CLOSE_DAEMON_GONE || cause == KMQTT_CLOSE_SHUTDOWN;
}

/* Causes after which the peer gets no further packet. */
static bool close_is_silent(u8 cause)
{
	return cause == KMQTT_CLOSE_DISCONNECT || cause == KMQTT_CLOSE_EOF ||
	       cause == KMQTT_CLOSE_ERROR || cause == KMQTT_CLOSE_CONNECT_TIMEOUT;
}

/* Queue the last packet: what the daemon gave, or a DISCONNECT without properties (3.14). */
static void conn_queue_last(struct kmqtt_conn *conn)
{
	const struct kmqtt_close *req = &conn->close_req;
	const u8 disconnect[] = { KMQTT_DISCONNECT << 4, 1, req->reason };

	if (close_is_silent(req->cause))
		return;
	if (req->packet)
		kmqtt_tx_packet(conn, req->packet, req->packet_len);
	else if (READ_ONCE(conn->level) == KMQTT_V5)
		kmqtt_tx_packet(conn, disconnect, sizeof(disconnect));
}

/*
 * No further frame is handled: queue the last packet and show the close event,
 * which is the last of this connection, then linger until it has left.
 */
static void conn_end(struct kmqtt_conn *conn)
{
	const struct kmqtt_close *req = &conn->close_req;
	struct kmqtt_event *e = conn->close_event;
	unsigned long timeout = conn_close_timeout(conn);

	if (close_is_going(req->cause))
		timeout = min_t(unsigned long, timeout, LINGER_GOING);
	conn_queue_last(conn);
	spin_lock(&conn->lock);
	spin_lock(&conn->tx.lock);
	WRITE_ONCE(conn->state, KMQTT_STATE_CLOSED);
	spin_unlock(&conn->tx.lock);
	spin_unlock(&conn->lock);
	kmqtt_rx_free(conn);
	conn->close_event = NULL;
	e->cause = req->cause;
	e->reason = req->reason;
	this_cpu_inc(conn->kn->stats->close[req->cause]);
	kmqtt_netlink_monitor(conn, KMQTT_EV_MON_CLOSE, req->cause);
	kmqtt_event_add(conn, e, true);
	conn->close_deadline = jiffies + (close_is_silent(req->cause) ? 0 : timeout);
	mod_timer(&conn->timer, conn->close_deadline);
}

/*
 * A peer that did not take all in time is reset: what waits for it would keep
 * the socket, and with it the namespace, for minutes.
 */
static void conn_reset_slow(struct kmqtt_conn *conn)
{
	if (!tcp_rtx_and_write_queues_empty(conn->sock->sk))
		sock_no_linger(conn->sock->sk);
}

/* The socket goes; drops the socket's reference. */
static void conn_detach(struct kmqtt_conn *conn)
{
	conn_release_socket(conn);
	/* No callback, so nobody but a command arms it, and state forbids. */
	del_timer_sync(&conn->timer);
	kmqtt_tx_purge(conn);
	kmqtt_rx_free(conn);
	kernel_sock_shutdown(conn->sock, SHUT_RDWR);
	fput(conn->file);
	conn->sock = NULL;
	conn->file = NULL;
	kmqtt_worker_unassign(conn->worker);
	/* From here on only a listed connection keeps its namespace waiting. */
	kmqtt_net_drop(conn->kn, &conn->kn->sockets);
	kmqtt_conn_put(conn);
}

/* A close was asked for: unlink the routes, then drain what was received. */
static void conn_begin_close(struct kmqtt_conn *conn)
{
	kmqtt_fib_flush(conn->kn->fib, conn);
	spin_lock(&conn->lock);
	WRITE_ONCE(conn->state, KMQTT_STATE_CLOSING);
	spin_unlock(&conn->lock);
	conn->close_deadline = jiffies + conn_close_timeout(conn);
	mod_timer(&conn->timer, conn->close_deadline);
}

bool kmqtt_conn_drains(const struct kmqtt_conn *conn)
{
	u8 cause = READ_ONCE(conn->close_req.cause);

	return kmqtt_conn_accepted(conn) && !conn->rx.over &&
	       (cause == KMQTT_CLOSE_DAEMON || cause == KMQTT_CLOSE_TAKEOVER);
}

static void conn_turn_closing(struct kmqtt_conn *conn)
{
	if (READ_ONCE(conn->state) < KMQTT_STATE_CLOSING)
		conn_begin_close(conn);
	if (kmqtt_conn_drains(conn) && time_before(jiffies, conn->close_deadline)) {
		kmqtt_rx(conn);
		/* A barrier or a full list: go on when it opens, or at the deadline. */
		if (kmqtt_conn_drains(conn) && !kmqtt_rx_may_read(conn))
			return;
		if (test_bit(KMQTT_CB_RX, &conn->bits))
			return;
	}
	conn_end(conn);
}

/* After the end: flush, send FIN, wait for the peer's, at most to the deadline. */
static void conn_turn_lingering(struct kmqtt_conn *conn)
{
	bool silent = close_is_silent(conn->close_req.cause);
	bool expired = silent || !time_before(jiffies, conn->close_deadline) ||
		       (test_bit(KMQTT_CB_FORGET, &conn->bits) &&
			!close_is_going(conn->close_req.cause));
	bool alive = kmqtt_tx_flush(conn);

	if (alive && !expired && !kmqtt_tx_empty(conn))
		return;
	if (alive && !expired) {
		kernel_sock_shutdown(conn->sock, SHUT_WR);
		if (!kmqtt_rx_discard(conn))
			return;
	}
	if (expired && !silent)
		conn_reset_slow(conn);
	conn_detach(conn);
}

/* Keep Alive and CONNECT timeout; arms the timer for the next look. */
static void conn_turn_timer(struct kmqtt_conn *conn)
{
	/* Once: it may be accepted meanwhile. */
	bool accepted = kmqtt_conn_accepted(conn);
	unsigned long limit = accepted ? conn->keepalive : conn->connect_timeout;
	unsigned long since = accepted ? READ_ONCE(conn->last_rx) : conn->attached;

	if (!limit)
		return;
	/* A CONNECT or AUTH that has arrived waits for the daemon, not for the client. */
	if (!accepted && conn->rx.connect_seen && !kmqtt_events_room(conn)) {
		mod_timer(&conn->timer, jiffies + limit);
		return;
	}
	if (accepted && !kmqtt_events_room(conn)) {
		/* It is we who do not read: the clock stands still. */
		WRITE_ONCE(conn->last_rx, jiffies);
		since = jiffies;
	} else if (accepted && !kmqtt_rx_may_read(conn) &&
		   time_after(conn->tx.progress, since)) {
		/* The peer is slow to take its answers, but it takes them. */
		since = conn->tx.progress;
	}
	if (!time_before(jiffies, since + limit))
		kmqtt_conn_close(conn, accepted ? KMQTT_CLOSE_KEEPALIVE :
				 KMQTT_CLOSE_CONNECT_TIMEOUT,
				 KMQTT_RC_KEEP_ALIVE_TIMEOUT, NULL, 0);
	else
		mod_timer(&conn->timer, since + limit);
}

bool kmqtt_conn_quick(struct kmqtt_conn *conn, unsigned int max, unsigned int *sends)
{
	clear_bit(KMQTT_CB_TX, &conn->bits);
	return kmqtt_tx_quick(conn, max, sends);
}

void kmqtt_conn_turn(struct kmqtt_conn *conn)
{
	bool timer = test_and_clear_bit(KMQTT_CB_TIMER, &conn->bits);

	clear_bit(KMQTT_CB_CLOSE, &conn->bits);
	if (timer) {
		/* It may have been armed to try again after memory ran out. */
		clear_bit(KMQTT_CB_BLOCKED, &conn->bits);
		set_bit(KMQTT_CB_RX, &conn->bits);
	}
	if (READ_ONCE(conn->state) < KMQTT_STATE_CLOSING && conn->sock) {
		/* What has arrived counts before the clock is looked at. */
		if (test_and_clear_bit(KMQTT_CB_RX, &conn->bits))
			kmqtt_rx(conn);
		if (timer)
			conn_turn_timer(conn);
	}
	if (conn->sock && READ_ONCE(conn->state) < KMQTT_STATE_CLOSED) {
		clear_bit(KMQTT_CB_TX, &conn->bits);
		if (!kmqtt_tx_flush(conn))
			kmqtt_conn_kick(conn, KMQTT_CB_RX);
		if (READ_ONCE(conn->close_req.cause)) {
			clear_bit(KMQTT_CB_RX, &conn->bits);
			conn_turn_closing(conn);
		}
	}
	if (conn->sock && READ_ONCE(conn->state) == KMQTT_STATE_CLOSED)
		conn_turn_lingering(conn);
	if (conn->sock && READ_ONCE(conn->state) >= KMQTT_STATE_CLOSING &&
	    !timer_pending(&conn->timer))
		mod_timer(&conn->timer, conn->close_deadline);
	if (!conn->sock && test_bit(KMQTT_CB_FORGET, &conn->bits))
		conn_forget_unowned(conn);
}

int kmqtt_conn_init(void)
{
	conn_cache = KMEM_CACHE(kmqtt_conn, 0);
	return conn_cache ? 0 : -ENOMEM;
}

/* Every connection was released; their frees may still wait for RCU. */
void kmqtt_conn_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(conn_cache);
}
