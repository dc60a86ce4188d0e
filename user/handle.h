/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clients send, one file per packet type, and how connections end.
 */
#ifndef MQTTD_HANDLE_H
#define MQTTD_HANDLE_H

#include "event.h"
#include "frame.h"

struct client;
struct client_sub;

/**
 * struct packet - a control packet from a client
 * @c: who sent it
 * @ev: its event
 * @fix: its fixed header
 * @body: what follows it, @fix.remaining bytes
 */
struct packet {
	struct client *c;
	const struct kevent *ev;
	struct kmqtt_fixed fix;
	const uint8_t *body;
};

/* One event; commands that follow from it are made before it returns. */
void handle_event(const struct kevent *e);

/*
 * CONNECT, also when its turn comes again after it had to wait.  The packet
 * must stay where it is during the call only.
 */
void handle_connect(struct client *c, const uint8_t *data, size_t len, uint64_t event);
/*
 * Refuse it: CONNACK with @reason, in 3.x with what stands for it, and the end.
 * @event: to acknowledge, or 0
 */
void connect_refuse(struct client *c, uint8_t level, uint64_t event, uint8_t reason);
/* AUTH of an accepted client, and whatever comes while a CONNECT waits for AUTH. */
void handle_auth(const struct packet *p);
void handle_auth_connecting(const struct packet *p);
/* Send the AUTH that answers @event; there is an exchange. */
void auth_send(struct client *c, uint64_t event, uint8_t reason);
void handle_publish(const struct packet *p);
void handle_ack(const struct packet *p);
void handle_subscribe(const struct packet *p);
/* Finish the SUBSCRIBEs in progress that need not wait for the store. */
void subscribe_settle(void);
/* Give up the client's reference to a SUBSCRIBE in progress; may be NULL. */
void client_sub_put(struct client_sub *u);
void handle_unsubscribe(const struct packet *p);
/* A completed ROUTE_DEL of an UNSUBSCRIBE; its token is the connection id. */
void handle_unsubscribe_done(uint64_t token);
void handle_close(const struct kevent *e);
/* A copy of a QoS 0 message; its caller acknowledges it. */
void handle_copy(const struct kevent *e);

#endif /* MQTTD_HANDLE_H */
