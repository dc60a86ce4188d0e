/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cookie: what the next daemon must know of a live connection and cannot
 * read from anything else that the kernel keeps.
 */
#ifndef MQTTD_COOKIE_H
#define MQTTD_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"

#define COOKIE_BYTES		24
#define COOKIE_MAX		(COOKIE_BYTES + AUTH_NAME_MAX)

#define COOKIE_F_NEW		0x01	/* the session began with this connection */
#define COOKIE_F_TERSE		0x02	/* Request Problem Information was 0 */

/**
 * struct cookie - a cookie
 * @flags: COOKIE_F_*
 * @session_expiry: Session Expiry Interval in force
 * @connect_expiry: the one asked for in CONNECT
 * @window: Receive Maximum towards the client
 * @connected_at: wall clock, seconds
 * @auth_method: Authentication Method of CONNECT, or ""
 */
struct cookie {
	uint8_t flags;
	uint32_t session_expiry;
	uint32_t connect_expiry;
	uint16_t window;
	uint64_t connected_at;
	char auth_method[AUTH_NAME_MAX];
};

/* Returns its length. */
size_t cookie_encode(const struct cookie *c, uint8_t buf[COOKIE_MAX]);
/* False if it is not one of ours. */
bool cookie_decode(struct cookie *c, const uint8_t *data, size_t len);

#endif /* MQTTD_COOKIE_H */
