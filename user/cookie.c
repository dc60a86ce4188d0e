// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cookie of a connection.
 */
#include <string.h>

#include "cookie.h"
#include "frame.h"

#define COOKIE_VERSION	1

size_t cookie_encode(const struct cookie *c, uint8_t buf[COOKIE_MAX])
{
	size_t len = strlen(c->auth_method);
	uint8_t *p = buf;

	memset(buf, 0, COOKIE_BYTES);
	*p++ = COOKIE_VERSION;
	*p++ = c->flags;
	p = kmqtt_put16(p, c->window);
	p = kmqtt_put32(p, c->session_expiry);
	p = kmqtt_put32(p, c->connect_expiry);
	p = kmqtt_put32(p, (uint32_t)(c->connected_at >> 32));
	kmqtt_put32(p, (uint32_t)c->connected_at);
	memcpy(buf + COOKIE_BYTES, c->auth_method, len);
	return COOKIE_BYTES + len;
}

bool cookie_decode(struct cookie *c, const uint8_t *data, size_t len)
{
	if (len < COOKIE_BYTES || len >= COOKIE_MAX || data[0] != COOKIE_VERSION)
		return false;
	c->flags = data[1];
	c->window = kmqtt_get16(data + 2);
	c->session_expiry = kmqtt_get32(data + 4);
	c->connect_expiry = kmqtt_get32(data + 8);
	c->connected_at = (uint64_t)kmqtt_get32(data + 12) << 32 | kmqtt_get32(data + 16);
	memcpy(c->auth_method, data + COOKIE_BYTES, len - COOKIE_BYTES);
	c->auth_method[len - COOKIE_BYTES] = '\0';
	return true;
}
