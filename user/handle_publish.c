// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PUBLISH at QoS 1 and 2, with RETAIN, or while forwarding is off.
 */
#include "client.h"
#include "deliver.h"
#include "handle.h"
#include "kmqtt.h"
#include "mem.h"
#include "message.h"
#include "overdue.h"
#include "packet.h"
#include "persist.h"
#include "publish.h"
#include "session.h"
#include "sys.h"

/* Returns 0 and the message, or the reason code that refuses it. */
static uint8_t publish_message(const struct packet *p, const struct kmqtt_publish *pub,
			       struct message **m)
{
	struct message_parts parts = {
		.mount = client_mount(p->c),
		.topic = pub->topic,
		.topic_len = pub->topic_len,
		.props = pub->props,
		.props_len = pub->props_len,
		.payload = pub->payload,
		.payload_len = pub->payload_len,
		.source_id = p->c->id,
		.qos = pub->qos,
		.retain = pub->retain,
	};
	uint8_t reason = message_refusal(&parts);

	if (reason)
		return reason;
	if (pub->has_expiry)
		parts.expires = p->ev->time_ms + pub->expiry * 1000ULL;
	*m = message_new(&parts);
	if (sys_forbids((*m)->topic, (*m)->topic_len)) {
		message_put(*m);
		return KMQTT_RC_NOT_AUTHORIZED;
	}
	(*m)->source = p->c->conn;
	return 0;
}

/* PUBACK or PUBREC with a reason code of 0x80 or more, which 3.x does not see. */
static const uint8_t *negative_ack(const struct packet *p, const struct kmqtt_publish *pub,
				   uint8_t reason, struct packet_buf *b, size_t *len)
{
	const char *text = reason == KMQTT_RC_QUOTA ? "a limit of the broker is reached" : NULL;
	struct packet_buf props = { 0 };

	packet_put16(b, pub->packet_id);
	if (p->c->protocol == KMQTT_V5) {
		packet_put8(b, reason);
		packet_put_reason(&props, p->c, PACKET_ACK_MAX, text, false);
		if (props.len)
			packet_put_props(b, &props);
	}
	return packet_finish(b, pub->qos == 1 ? KMQTT_PUBACK : KMQTT_PUBREC, len);
}

/*
 * Without memory QoS 0 is dropped; 3.x has no words for a refusal.  What is
 * not for clients to say looks to them as if nobody had subscribed to it.
 */
static void publish_refuse(const struct packet *p, const struct kmqtt_publish *pub,
			   uint8_t reason)
{
	struct answer a = { .conn = p->c->conn, .event = p->ev->number };
	struct packet_buf b = { 0 };

	if (reason != KMQTT_RC_NOT_AUTHORIZED &&
	    (reason != KMQTT_RC_QUOTA || (pub->qos && p->c->protocol != KMQTT_V5))) {
		client_fault(p->c, p->ev->number, reason);
		return;
	}
	if (reason == KMQTT_RC_QUOTA)
		mem_complain("a message", p->c->id);
	if (pub->qos)
		a.packet = negative_ack(p, pub, reason, &b, &a.len);
	deliver_answer(&a);
	packet_buf_free(&b);
}

/*
 * A QoS 1 message with the packet id of a QoS 2 one that is not released: in
 * 5.0 there is a word for that (3.4.2.1).
 */
static bool id_in_use(const struct packet *p, const struct kmqtt_publish *pub)
{
	return pub->qos == 1 && p->c->protocol == KMQTT_V5 && !p->ev->marked &&
	       session_inbound_has(p->c->session, pub->packet_id);
}

static void publish_acked(const struct packet *p, const struct kmqtt_publish *pub,
			  struct message *m)
{
	struct session *s = p->c->session;
	uint8_t buf[PACKET_ACK_MAX], reason = 0;
	struct answer a = {
		.conn = p->c->conn,
		.event = p->ev->number,
		.marked = p->ev->marked,
		.packet = buf,
	};
	struct rib_dests dests = { 0 };

	if (pub->qos == 2 && !a.marked && session_inbound_has(s, pub->packet_id)) {
		a.len = packet_ack_put(buf, KMQTT_PUBREC, p->c->protocol,
				       pub->packet_id, 0);
		deliver_answer(&a);
		return;
	}
	if (id_in_use(p, pub)) {
		a.len = packet_ack_put(buf, KMQTT_PUBACK, p->c->protocol,
				       pub->packet_id, KMQTT_RC_PACKET_ID_IN_USE);
		deliver_answer(&a);
		return;
	}
	/* Only 5.0 was told (3.3.4).  QoS 1 is answered as soon as it is read. */
	if (pub->qos == 2 && !a.marked && p->c->protocol == KMQTT_V5) {
		if (p->c->unreleased >= p->c->receive_max) {
			client_fault(p->c, p->ev->number, KMQTT_RC_RECEIVE_MAX_EXCEEDED);
			return;
		}
		p->c->unreleased++;
	}
	publish_match(m, s, &dests);
	/*
	 * PUBREC may say so too (3.5.2.1); as Mosquitto's, ours does not.  Who has
	 * subscribed with No Local has subscribed.
	 */
	if (pub->qos == 1 && !dests.n && !dests.no_local)
		reason = KMQTT_RC_NO_MATCHING_SUBSCRIBERS;
	if (pub->qos == 2 && !a.marked) {
		session_inbound_add(s, pub->packet_id);
		overdue_owes(p->c, pub->packet_id);
		if (s->stored)
			persist_mark(&a);
	}
	a.len = packet_ack_put(buf, pub->qos == 1 ? KMQTT_PUBACK : KMQTT_PUBREC,
			       p->c->protocol, pub->packet_id, reason);
	publish_send(m, &dests, &a);
}

void handle_publish(const struct packet *p)
{
	struct answer a = { .conn = p->c->conn, .event = p->ev->number };
	struct kmqtt_publish pub;
	struct message *m;
	int reason;

	reason = kmqtt_publish_parse(&p->fix, p->body, p->c->protocol, &pub);
	/* The kernel has put the Topic Name in where there was an alias. */
	if (!reason && !pub.topic_len)
		reason = KMQTT_RC_TOPIC_ALIAS_INVALID;
	if (reason) {
		client_fault(p->c, p->ev->number, (uint8_t)reason);
		return;
	}
	reason = publish_message(p, &pub, &m);
	if (reason) {
		publish_refuse(p, &pub, (uint8_t)reason);
		return;
	}
	if (pub.qos)
		publish_acked(p, &pub, m);
	else
		publish(m, p->c->session, &a);
	message_put(m);
}
