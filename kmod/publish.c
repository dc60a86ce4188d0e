// SPDX-License-Identifier: GPL-2.0
/* Each packet of a client: routed, answered, or punted to the daemon. */

#include <linux/jhash.h>
#include <linux/slab.h>
#include "acl.h"
#include "conn.h"
#include "publish.h"
#include "route.h"
#include "rx.h"
#include "tx.h"

/**
 * struct kmqtt_alias - the Topic Name an alias of a client stands for
 *
 * Lifetime: until the client sets the alias anew, or its connection is
 * detached.  Worker only.
 *
 * @len: length of @topic
 * @topic: as the client sent it
 */
struct kmqtt_alias {
	u16 len;
	u8 topic[];
};

/* A close cause for each reason code that a packet can earn. */
static u8 cause_of(int reason)
{
	switch (reason) {
	case KMQTT_RC_MALFORMED:
		return KMQTT_CLOSE_MALFORMED;
	case KMQTT_RC_TOPIC_NAME_INVALID:
		return KMQTT_CLOSE_TOPIC_INVALID;
	case KMQTT_RC_TOPIC_ALIAS_INVALID:
		return KMQTT_CLOSE_ALIAS_INVALID;
	case KMQTT_RC_QOS_NOT_SUPPORTED:
		return KMQTT_CLOSE_QOS;
	case KMQTT_RC_RETAIN_NOT_SUPPORTED:
		return KMQTT_CLOSE_RETAIN;
	case KMQTT_RC_PACKET_TOO_LARGE:
		return KMQTT_CLOSE_TOO_LARGE;
	case KMQTT_RC_QUOTA:
		return KMQTT_CLOSE_QUOTA;
	default:
		return KMQTT_CLOSE_PROTOCOL;
	}
}

void kmqtt_packet_fault(struct kmqtt_conn *conn, int reason)
{
	kmqtt_rx_fault(conn, cause_of(reason), reason);
}

/* Give a packet to the daemon as it is. */
static void packet_punt(struct kmqtt_conn *conn, const u8 *frame, u32 len, bool barrier)
{
	struct kmqtt_event *e;

	e = kmqtt_event_alloc(conn, KMQTT_EV_PACKET, NULL, 0, frame, len, GFP_KERNEL);
	if (!e) {
		kmqtt_packet_fault(conn, KMQTT_RC_QUOTA);
		return;
	}
	e->barrier = barrier;
	kmqtt_event_add(conn, e, true);
}

void kmqtt_alias_free(struct kmqtt_conn *conn)
{
	struct kmqtt_alias *a;
	unsigned long i;

	xa_for_each(&conn->rx.aliases, i, a)
		kfree(a);
	xa_destroy(&conn->rx.aliases);
	kmqtt_mem_uncharge(conn->kn, conn->rx.alias_bytes);
	conn->rx.alias_bytes = 0;
}

static int alias_set(struct kmqtt_conn *conn, const struct kmqtt_publish *pub)
{
	size_t size = struct_size((struct kmqtt_alias *)NULL, topic, pub->topic_len);
	struct kmqtt_alias *a, *old;

	old = xa_load(&conn->rx.aliases, pub->alias);
	if (old && old->len == pub->topic_len &&
	    !memcmp(old->topic, pub->topic, old->len))
		return 0;
	if (!kmqtt_mem_charge(conn->kn, size))
		return KMQTT_RC_QUOTA;
	a = kmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!a || xa_err(xa_store(&conn->rx.aliases, pub->alias, a, GFP_KERNEL_ACCOUNT))) {
		kfree(a);
		kmqtt_mem_uncharge(conn->kn, size);
		return KMQTT_RC_QUOTA;
	}
	a->len = pub->topic_len;
	memcpy(a->topic, pub->topic, a->len);
	conn->rx.alias_bytes += size;
	if (old) {
		size = struct_size(old, topic, old->len);
		conn->rx.alias_bytes -= size;
		kmqtt_mem_uncharge(conn->kn, size);
		kfree(old);
	}
	return 0;
}

/* Resolve or set the Topic Alias (3.3.2.3.4); 0 or a reason code. */
static int alias_resolve(struct kmqtt_conn *conn, struct kmqtt_publish *pub)
{
	struct kmqtt_alias *a;

	if (!pub->alias)
		return 0;
	if (pub->alias > conn->alias_max_in)
		return KMQTT_RC_TOPIC_ALIAS_INVALID;
	if (pub->topic_len)
		return alias_set(conn, pub);
	a = xa_load(&conn->rx.aliases, pub->alias);
	if (!a)
		return KMQTT_RC_PROTOCOL_ERROR;
	pub->topic = a->topic;
	pub->topic_len = a->len;
	return 0;
}

static int publish_allowed(const struct kmqtt_conn *conn, const struct kmqtt_publish *pub)
{
	if (pub->qos > conn->max_qos)
		return KMQTT_RC_QOS_NOT_SUPPORTED;
	if (pub->retain && !conn->retain_available)
		return KMQTT_RC_RETAIN_NOT_SUPPORTED;
	return 0;
}

/* Give a PUBLISH to the daemon, with its topic instead of an alias. */
static void publish_punt(struct kmqtt_conn *conn, const struct kmqtt_inbound *in,
			 u32 hash, bool barrier)
{
	const struct kmqtt_publish *pub = in->pub;
	struct kmqtt_publish_out out = {
		.level = conn->level,
		.qos = pub->qos,
		.dup = pub->dup,
		.retain = pub->retain,
		.has_expiry = pub->has_expiry,
		.topic = pub->topic,
		.topic_len = pub->topic_len,
		.packet_id = pub->packet_id,
		.expiry = pub->expiry,
		.props_len = kmqtt_props_travel_copy(NULL, pub->props, pub->props_len),
		.payload_len = pub->payload_len,
	};
	u32 len = kmqtt_publish_hdr_len(&out);
	struct kmqtt_event *e = NULL;
	u8 *head;

	/* The topic may not fit where its alias did. */
	if (!len) {
		kmqtt_packet_fault(conn, KMQTT_RC_PACKET_TOO_LARGE);
		return;
	}
	head = kvmalloc(len + out.props_len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (head) {
		/* Expiry and alias are written by themselves, not twice. */
		kmqtt_props_travel_copy(head + len, pub->props, pub->props_len);
		out.props = head + len;
		kmqtt_publish_put(head, &out);
		e = kmqtt_event_alloc(conn, KMQTT_EV_PACKET, head, len,
				      pub->payload, pub->payload_len, GFP_KERNEL);
	}
	kvfree(head);
	if (!e) {
		kmqtt_packet_fault(conn, KMQTT_RC_QUOTA);
		return;
	}
	e->slot = kmqtt_topic_slot(hash);
	e->barrier = barrier;
	conn->cs[KMQTT_CS_PUBLISH_PUNTED]++;
	kmqtt_stat_inc(conn->kn, PUBLISH_PUNTED);
	kmqtt_event_add(conn, e, true);
}

static bool publish_denied(struct kmqtt_conn *conn, const struct kmqtt_inbound *in)
{
	bool allowed;

	rcu_read_lock();
	allowed = kmqtt_acl_allows(conn, KMQTT_ACL_WRITE, in->topic, in->topic_len);
	rcu_read_unlock();
	if (allowed)
		return false;
	conn->cs[KMQTT_CS_DENIED] += in->n;
	kmqtt_stat_add(conn->kn, DENIED_WRITE, in->n);
	return true;
}

/* Is it for the daemon to route? */
static bool publish_punts(struct kmqtt_conn *conn, const struct kmqtt_inbound *in,
			  u32 hash)
{
	return in->pub->qos || in->pub->retain || in->topic[0] == '$' ||
	       !kmqtt_param(conn->kn, KMQTT_PARAM_FORWARDING) ||
	       kmqtt_events_topic_busy(conn, hash);
}

static void publish_routed(struct kmqtt_conn *conn, const struct kmqtt_inbound *in)
{
	conn->cs[KMQTT_CS_PUBLISH_ROUTED] += in->n;
	kmqtt_stat_add(conn->kn, PUBLISH_ROUTED, in->n);
}

/*
 * Route here what can be; the daemon gets the rest.  Topic Names that begin
 * with '$' are the server's (4.7.2): which of them clients may write to is not
 * for us to say.  A QoS 0 PUBLISH behind an unacknowledged one with the same
 * topic goes the same way, so that they stay in order.
 */
static void publish_dispatch(struct kmqtt_conn *conn, struct kmqtt_inbound *in)
{
	u32 hash = jhash(in->topic, in->topic_len, 0);

	if (publish_punts(conn, in, hash)) {
		publish_punt(conn, in, hash, false);
		return;
	}
	if (publish_denied(conn, in))
		return;
	if (kmqtt_route_inbound(in)) {
		publish_punt(conn, in, hash, true);
		return;
	}
	publish_routed(conn, in);
}

static bool batch_begin(struct kmqtt_batch *batch, struct kmqtt_conn *conn,
			const struct kmqtt_fixed *fix, u8 *frame, struct page *page)
{
	u32 len = fix->hdr_len + fix->remaining;
	struct kmqtt_publish *pub = &batch->pub;

	if (!conn->level || conn->mount.len || len > KMQTT_RUN_MAX ||
	    kmqtt_publish_parse(fix, frame + fix->hdr_len, conn->level, pub) ||
	    pub->props_len || !pub->topic_len)
		return false;
	batch->in = (struct kmqtt_inbound) {
		.src = conn,
		.pub = pub,
		.topic = pub->topic,
		.topic_len = pub->topic_len,
		.n = 1,
		.frame = frame,
		.frame_len = len,
		.largest = len,
		.payload = pub->payload_len,
		.page = page,
		.verbatim = true,
	};
	return true;
}

bool kmqtt_batch_add(struct kmqtt_batch *batch, struct kmqtt_conn *conn,
		     const struct kmqtt_fixed *fix, u8 *frame, struct page *page)
{
	u32 vhdr, len = fix->hdr_len + fix->remaining;
	struct kmqtt_inbound *in = &batch->in;

	if (fix->type != KMQTT_PUBLISH || fix->flags || !fix->minimal)
		return false;
	if (!in->n)
		return batch_begin(batch, conn, fix, frame, page);
	/* The same bytes up to the payload: what was checked needs no check. */
	vhdr = kmqtt_inbound_vhdr(in);
	if (in->n == KMQTT_BATCH_MAX || in->frame_len + len > KMQTT_ARENA_SIZE / 2 ||
	    len > KMQTT_RUN_MAX || fix->remaining < vhdr ||
	    memcmp(frame + fix->hdr_len, batch->pub.payload - vhdr, vhdr))
		return false;
	in->n++;
	in->frame_len += len;
	in->largest = max(in->largest, len);
	in->payload += fix->remaining - vhdr;
	return true;
}

/* Several at once; false if they have to go one by one. */
static bool batch_dispatch(struct kmqtt_conn *conn, const struct kmqtt_inbound *in)
{
	if (publish_punts(conn, in, jhash(in->topic, in->topic_len, 0)))
		return false;
	if (publish_denied(conn, in))
		return true;
	if (kmqtt_route_inbound(in))
		return false;
	publish_routed(conn, in);
	return true;
}

static void batch_count(struct kmqtt_conn *conn, const struct kmqtt_inbound *in)
{
	conn->cs[KMQTT_CS_PACKETS_RX] += in->n;
	kmqtt_stat_add(conn->kn, PACKETS_RX, in->n);
	kmqtt_stat_add(conn->kn, PUBLISH_RX, in->n);
	kmqtt_stat_add(conn->kn, PAYLOAD_RX, in->payload);
}

bool kmqtt_batch_handle(struct kmqtt_batch *batch, struct kmqtt_conn *conn)
{
	struct kmqtt_inbound *in = &batch->in;
	u32 n = in->n;

	if (n > 1 && !batch_dispatch(conn, in)) {
		in->n = 0;
		return false;
	}
	batch_count(conn, in);
	if (n == 1)
		publish_dispatch(conn, in);
	in->n = 0;
	return true;
}

struct kmqtt_conn *kmqtt_batch_direct(const struct kmqtt_batch *batch,
				      struct kmqtt_conn *conn)
{
	const struct kmqtt_inbound *in = &batch->in;

	if (publish_punts(conn, in, jhash(in->topic, in->topic_len, 0)) ||
	    !kmqtt_acl_is_short(conn) ||
	    !kmqtt_acl_allows(conn, KMQTT_ACL_WRITE, in->topic, in->topic_len))
		return NULL;
	return kmqtt_route_one(in);
}

void kmqtt_batch_routed(struct kmqtt_batch *batch, struct kmqtt_conn *conn)
{
	batch_count(conn, &batch->in);
	publish_routed(conn, &batch->in);
	batch->in.n = 0;
}

/* Put the mount point before the topic; @buf is to be freed. */
static int publish_mount(struct kmqtt_conn *conn, struct kmqtt_inbound *in, u8 **buf)
{
	u32 len = conn->mount.len + in->pub->topic_len;

	*buf = NULL;
	if (!conn->mount.len)
		return 0;
	if (len > KMQTT_TOPIC_MAX)
		return KMQTT_RC_TOPIC_NAME_INVALID;
	*buf = kmalloc(len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!*buf)
		return KMQTT_RC_QUOTA;
	memcpy(*buf, conn->mount.data, conn->mount.len);
	memcpy(*buf + conn->mount.len, in->pub->topic, in->pub->topic_len);
	in->topic = *buf;
	in->topic_len = len;
	in->verbatim = false;
	return 0;
}

static void packet_publish(struct kmqtt_conn *conn, const struct kmqtt_fixed *fix,
			   u8 *frame, struct page *page, struct kmqtt_pages *pages)
{
	struct kmqtt_publish pub;
	struct kmqtt_inbound in;
	u8 *mounted = NULL;
	int reason;

	kmqtt_stat_inc(conn->kn, PUBLISH_RX);
	reason = kmqtt_publish_parse(fix, frame + fix->hdr_len, conn->level, &pub);
	if (!reason)
		kmqtt_stat_add(conn->kn, PAYLOAD_RX, pub.payload_len);
	if (!reason)
		reason = publish_allowed(conn, &pub);
	if (!reason)
		reason = alias_resolve(conn, &pub);
	if (!reason) {
		in = (struct kmqtt_inbound) {
			.src = conn,
			.pub = &pub,
			.topic = pub.topic,
			.topic_len = pub.topic_len,
			.n = 1,
			.frame = frame,
			.frame_len = fix->hdr_len + fix->remaining,
			.largest = fix->hdr_len + fix->remaining,
			.payload = pub.payload_len,
			.page = page,
			.pages = pages,
			.verbatim = page && fix->minimal && !pub.alias &&
				    !pub.props_extra,
		};
		reason = publish_mount(conn, &in, &mounted);
	}
	if (reason)
		kmqtt_packet_fault(conn, reason);
	else
		publish_dispatch(conn, &in);
	kfree(mounted);
}

/* The client's DISCONNECT travels in the close event. */
static void packet_disconnect(struct kmqtt_conn *conn, const struct kmqtt_fixed *fix,
			      const u8 *frame)
{
	struct kmqtt_event *e = NULL;
	u32 expiry;
	u8 rc = 0;
	int reason;

	reason = kmqtt_disconnect_parse(frame + fix->hdr_len, fix->remaining,
					conn->level, &rc, &expiry);
	/* A session that ends with its connection cannot be prolonged (3.14.2.2.2). */
	if (!reason && expiry && test_bit(KMQTT_CB_NO_SESSION, &conn->bits))
		reason = KMQTT_RC_PROTOCOL_ERROR;
	if (!reason) {
		e = kmqtt_event_alloc(conn, KMQTT_EV_CLOSE, NULL, 0, frame,
				      fix->hdr_len + fix->remaining, GFP_KERNEL);
		reason = e ? 0 : KMQTT_RC_QUOTA;
	}
	if (reason)
		kmqtt_packet_fault(conn, reason);
	else
		kmqtt_conn_disconnected(conn, rc, e);
}

/*
 * Before the CONNECT is accepted.  What follows it comes from a client in an
 * AUTH exchange: AUTH, DISCONNECT, or what the daemon refuses by a CONNACK.
 */
static void packet_connecting(struct kmqtt_conn *conn, const struct kmqtt_fixed *fix,
			      const u8 *frame, u32 len)
{
	if (fix->type == KMQTT_DISCONNECT) {
		kmqtt_rx_fault(conn, KMQTT_CLOSE_DISCONNECT, 0);
		return;
	}
	conn->rx.connect_seen = true;
	packet_punt(conn, frame, len, true);
}

static void packet_pingreq(struct kmqtt_conn *conn, const struct kmqtt_fixed *fix)
{
	static const u8 pingresp[] = { KMQTT_PINGRESP << 4, 0 };

	kmqtt_stat_inc(conn->kn, PINGREQ);
	if (fix->remaining)
		kmqtt_packet_fault(conn, KMQTT_RC_MALFORMED);
	else if (kmqtt_tx_packet(conn, pingresp, sizeof(pingresp)))
		kmqtt_packet_fault(conn, KMQTT_RC_QUOTA);
}

void kmqtt_packet(struct kmqtt_conn *conn, const struct kmqtt_fixed *fix,
		  u8 *frame, struct page *page, struct kmqtt_pages *pages)
{
	u32 len = fix->hdr_len + fix->remaining;

	if (!conn->level) {
		packet_connecting(conn, fix, frame, len);
		return;
	}
	switch (fix->type) {
	case KMQTT_PUBLISH:
		packet_publish(conn, fix, frame, page, pages);
		break;
	case KMQTT_PINGREQ:
		packet_pingreq(conn, fix);
		break;
	case KMQTT_PUBACK:
	case KMQTT_PUBREC:
	case KMQTT_PUBREL:
	case KMQTT_PUBCOMP:
		packet_punt(conn, frame, len, false);
		break;
	case KMQTT_SUBSCRIBE:
	case KMQTT_UNSUBSCRIBE:
		packet_punt(conn, frame, len, true);
		break;
	case KMQTT_AUTH:
		if (conn->level == KMQTT_V5)
			packet_punt(conn, frame, len, true);
		else
			kmqtt_packet_fault(conn, KMQTT_RC_MALFORMED);
		break;
	case KMQTT_DISCONNECT:
		packet_disconnect(conn, fix, frame);
		break;
	default:
		kmqtt_packet_fault(conn, KMQTT_RC_PROTOCOL_ERROR);
	}
}
