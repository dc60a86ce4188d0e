/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes out to clients: DELIVER and INJECT.
 */
#ifndef MQTTD_DELIVER_H
#define MQTTD_DELIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message;
struct outgoing;

/**
 * struct answer - what acknowledges an event
 * @conn: whose event
 * @event: its number, 0 = none
 * @marked: what follows from it is in the store: an earlier daemon saw to it
 * @flags: KMQTT_ACK_F_*
 * @packet: packets for @conn, or NULL
 * @len: their length
 */
struct answer {
	uint64_t conn;
	uint64_t event;
	bool marked;
	uint32_t flags;
	const uint8_t *packet;
	size_t len;
};

/**
 * struct delivery - one destination of a message
 * @conn: connection
 * @out: its entry for QoS > 0 and retained messages, else NULL
 * @flags: KMQTT_DEST_F_*
 * @subids: used when there is no @out
 */
struct delivery {
	uint64_t conn;
	struct outgoing *out;
	uint32_t flags;
	const uint32_t *subids;
	unsigned int n_subids;
};

/* What becomes of an INJECT that the kernel leaves to us: DELIVERs. */
typedef void (*inject_refused_t)(struct message *m, const struct answer *a);

/*
 * An acknowledgement with its answer packet, or a packet alone.  A connection
 * that the kernel has no memory for is closed.
 */
void deliver_answer(const struct answer *a);
/* Tell the kernel that @conn owes what would be lost with us. */
void deliver_volatile(uint64_t conn);
/* What @conn was refused comes next. */
void deliver_reopen(uint64_t conn);
/*
 * A message for @n destinations, and the answer @a (may be NULL) with it.
 * Without destinations the answer goes alone.
 */
void deliver_publish(const struct message *m, const struct delivery *v, size_t n,
		     const struct answer *a);
/* An entry of a session on its own. */
void deliver_outgoing(struct outgoing *out);
/*
 * To be called before a route of @filter is added: who has subscribed is owed
 * the retained values of now, and must not get those again that are on their way
 * through the FIB.
 */
void deliver_retained_first(const char *filter);
/* QoS 0, through the FIB.  @refused is called if too many filters match. */
void deliver_inject(struct message *m, const struct answer *a, inject_refused_t refused);
/*
 * To be called before a message on @topic, or with NULL on any, goes to
 * somebody: an INJECT whose result is not known yet may become DELIVERs, which
 * must not be late.
 */
void deliver_order(const char *topic, size_t len);

#endif /* MQTTD_DELIVER_H */
