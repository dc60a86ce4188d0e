/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enhanced authentication (MQTT 5.0, 4.12): exchanges of one client, and the
 * table of methods they follow.
 */
#ifndef MQTTD_AUTH_H
#define MQTTD_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "packet.h"

struct auth;

/**
 * enum auth_result - where an exchange stands
 * @AUTH_MORE: the client has to go on, with what auth_reply() said
 * @AUTH_DONE: it is who auth_prove() said
 * @AUTH_FAILED: it is not
 */
enum auth_result {
	AUTH_MORE,
	AUTH_DONE,
	AUTH_FAILED,
};

/**
 * struct auth_method - an Authentication Method
 * @name: as in the property
 * @start: Authentication Data of a CONNECT or of an AUTH that authenticates
 *	again; without any @data->p is NULL
 * @proceed: Authentication Data of the client's next AUTH
 * @end: free @auth.state; NULL if there is nothing to free
 */
struct auth_method {
	const char *name;
	enum auth_result (*start)(struct auth *x, const struct packet_str *data);
	enum auth_result (*proceed)(struct auth *x, const struct packet_str *data);
	void (*end)(struct auth *x);
};

#define AUTH_NAME_MAX	32	/* of a method, NUL included */
#define AUTH_REPLY_MAX	4096	/* Authentication Data towards the client */

/*
 * All methods; ends with NULL.  It stands in a file of its own, which is all
 * that another build has to replace: no configuration adds a method.
 */
extern const struct auth_method *const auth_methods[];

/**
 * struct auth - an exchange that goes on
 *
 * From the CONNECT or AUTH that begins it until its end, or that of its
 * client, to which it belongs.
 *
 * @method: its method
 * @state: the method's
 * @result: where it stands
 * @user: whom it has proved the client to be, or NULL
 * @reply: Authentication Data for the client
 * @reply_len: its length
 * @connect: the CONNECT that waits for its end, NULL if none does
 * @connect_len: its length
 */
struct auth {
	const struct auth_method *method;
	void *state;
	enum auth_result result;
	char *user;
	uint8_t *reply;
	size_t reply_len;
	uint8_t *connect;
	size_t connect_len;
};

/* By name, NULL if it is not known. */
const struct auth_method *auth_method_find(const struct packet_str *name);

/* Begin an exchange, take it on, end it (NULL is none). */
struct auth *auth_begin(const struct auth_method *method, const struct packet_str *data);
void auth_proceed(struct auth *x, const struct packet_str *data);
void auth_end(struct auth *x);

/* Keep a copy of the CONNECT; its memory is charged. */
void auth_keep_connect(struct auth *x, const uint8_t *packet, size_t len);
/* Give it back, to be freed. */
uint8_t *auth_take_connect(struct auth *x, size_t *len);

/* An AUTH with @reason and what the method replied. */
void auth_packet(struct packet_buf *b, const struct auth *x, uint8_t reason);
/* Authentication Method and Data as properties. */
void auth_props(struct packet_buf *b, const struct auth *x);

/* For methods: data for the client, at most AUTH_REPLY_MAX; and who it is. */
void auth_reply(struct auth *x, const void *data, size_t len);
void auth_prove(struct auth *x, const void *user, size_t len);

#endif /* MQTTD_AUTH_H */
