/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a message goes: retained store, subscribers, queues.
 */
#ifndef MQTTD_PUBLISH_H
#define MQTTD_PUBLISH_H

#include "rib.h"

struct answer;
struct message;
struct session;

/*
 * Send a message to all it concerns.  @source: session of the publisher, for
 * No Local, or NULL; @a (may be NULL) goes out with it.
 */
void publish(struct message *m, const struct session *source, const struct answer *a);

/*
 * The same in two steps, for QoS > 0 and an answer that depends on whether
 * anybody gets it.  publish_send() frees @dests.
 */
void publish_match(struct message *m, const struct session *source,
		   struct rib_dests *dests);
void publish_send(struct message *m, struct rib_dests *dests, const struct answer *a);

#endif /* MQTTD_PUBLISH_H */
