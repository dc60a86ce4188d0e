// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PUBACK, PUBREC, PUBREL and PUBCOMP.
 */
#include "client.h"
#include "deliver.h"
#include "handle.h"
#include "inflight.h"
#include "kmqtt.h"
#include "overdue.h"
#include "packet.h"
#include "session.h"

/*
 * The packet that answers, 0 if none does; @wrong: the message of this packet
 * id waits for another packet.
 */
static uint8_t ack_step(const struct packet *p, uint16_t packet_id, uint8_t reason,
			uint8_t *answer_reason, bool *wrong)
{
	struct session *s = p->c->session;
	enum ack_match match = ACK_FITS;
	uint8_t answer = 0;

	*answer_reason = 0;
	switch (p->fix.type) {
	case KMQTT_PUBACK:
		match = inflight_puback(s, packet_id);
		break;
	case KMQTT_PUBREC:
		match = inflight_pubrec(s, packet_id, reason >= 0x80);
		if (reason >= 0x80)
			break;
		if (match == ACK_UNKNOWN)
			*answer_reason = KMQTT_RC_PACKET_ID_NOT_FOUND;
		answer = KMQTT_PUBREL;
		break;
	case KMQTT_PUBREL:
		if (p->c->unreleased)
			p->c->unreleased--;
		overdue_paid(p->c, packet_id);
		/* An earlier daemon may have known the packet id. */
		if (!session_inbound_del(s, packet_id) && !p->c->adopted)
			*answer_reason = KMQTT_RC_PACKET_ID_NOT_FOUND;
		answer = KMQTT_PUBCOMP;
		break;
	default:
		match = inflight_pubcomp(s, packet_id);
		break;
	}
	*wrong = match == ACK_WRONG;
	return answer;
}

void handle_ack(const struct packet *p)
{
	uint8_t buf[PACKET_ACK_MAX], type, reason, answer_reason;
	struct answer a = { .conn = p->c->conn, .event = p->ev->number, .packet = buf };
	uint16_t packet_id;
	bool wrong;
	int fault;

	fault = packet_ack_parse(&p->fix, p->body, p->c->protocol, &packet_id, &reason);
	if (fault) {
		client_fault(p->c, p->ev->number, (uint8_t)fault);
		return;
	}
	type = ack_step(p, packet_id, reason, &answer_reason, &wrong);
	if (wrong) {
		client_fault(p->c, p->ev->number, KMQTT_RC_PROTOCOL_ERROR);
		return;
	}
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
