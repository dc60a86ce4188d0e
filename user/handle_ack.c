// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PUBACK, PUBREC, PUBREL and PUBCOMP.
 */
#include "client.h"
#include "deliver.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "packet.h"
#include "session.h"

/* The packet that answers, 0 if none does. */
static uint8_t ack_step(const struct packet *p, uint16_t packet_id, uint8_t reason,
			uint8_t *answer_reason)
{
	struct session *s = p->c->session;
	bool known;

	*answer_reason = 0;
	switch (p->fix.type) {
	case KMQTT_PUBACK:
		inflight_puback(s, packet_id);
		return 0;
	case KMQTT_PUBREC:
		known = inflight_pubrec(s, packet_id, reason >= 0x80);
		if (reason >= 0x80)
			return 0;
		if (!known)
			*answer_reason = KMQTT_RC_PACKET_ID_NOT_FOUND;
		return KMQTT_PUBREL;
	case KMQTT_PUBREL:
		if (p->c->unreleased)
			p->c->unreleased--;
		/* An earlier daemon may have known the packet id. */
		if (!session_inbound_del(s, packet_id) && !p->c->adopted)
			*answer_reason = KMQTT_RC_PACKET_ID_NOT_FOUND;
		return KMQTT_PUBCOMP;
	default:
		inflight_pubcomp(s, packet_id);
		return 0;
	}
}

void handle_ack(const struct packet *p)
{
	uint8_t buf[PACKET_ACK_MAX], type, reason, answer_reason;
	struct answer a = { .conn = p->c->conn, .event = p->ev->number, .packet = buf };
	uint16_t packet_id;
	int fault;

	fault = packet_ack_parse(&p->fix, p->body, p->c->protocol, &packet_id, &reason);
	if (fault) {
		client_fault(p->c, p->ev->number, (uint8_t)fault);
		return;
	}
	type = ack_step(p, packet_id, reason, &answer_reason);
	if (type)
		a.len = packet_ack_put(buf, type, p->c->protocol, packet_id,
				       answer_reason);
	if (inflight_settled(p->c->session)) {
		a.flags |= KMQTT_ACK_F_SETTLED;
		p->c->is_volatile = false;
	}
	deliver_answer(&a);
	inflight_pump(p->c->session);
}
