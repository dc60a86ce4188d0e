// SPDX-License-Identifier: GPL-2.0
/*
 * Authentication Methods for tests, in place of user/auth_methods.c.  The
 * daemon that has them is a program of its own, mqttd-test, which is not
 * installed; mqttd does not hold this code, so nothing can enable it there.
 *
 * TEST-ROUNDS: the client says its name, and then, twice, what it was asked to:
 *	its name followed by the number of the round.
 * TEST-ONCE: the client says "sesame", and is nobody in particular.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "mem.h"

#define ROUNDS		2
#define ROUND_NAME_MAX	64

/* Of TEST-ROUNDS: name, and what is to be said next. */
struct rounds {
	char name[ROUND_NAME_MAX];
	char want[ROUND_NAME_MAX + 16];
	unsigned int round;
};

static bool says(const struct packet_str *data, const char *want)
{
	return data->p && data->len == strlen(want) && !memcmp(data->p, want, data->len);
}

static enum auth_result rounds_next(struct auth *x)
{
	struct rounds *r = x->state;
	char text[16];

	snprintf(text, sizeof(text), "%u", ++r->round);
	snprintf(r->want, sizeof(r->want), "%s%u", r->name, r->round);
	auth_reply(x, text, strlen(text));
	return AUTH_MORE;
}

static enum auth_result rounds_start(struct auth *x, const struct packet_str *data)
{
	struct rounds *r = mem_zalloc(sizeof(*r));

	x->state = r;
	if (!data->p || !data->len || data->len >= sizeof(r->name))
		return AUTH_FAILED;
	memcpy(r->name, data->p, data->len);
	return rounds_next(x);
}

static enum auth_result rounds_proceed(struct auth *x, const struct packet_str *data)
{
	struct rounds *r = x->state;

	if (!says(data, r->want))
		return AUTH_FAILED;
	if (r->round < ROUNDS)
		return rounds_next(x);
	auth_reply(x, "welcome", strlen("welcome"));
	auth_prove(x, r->name, strlen(r->name));
	return AUTH_DONE;
}

static void rounds_end(struct auth *x)
{
	free(x->state);
}

static enum auth_result once_start(struct auth *x, const struct packet_str *data)
{
	return says(data, "sesame") ? AUTH_DONE : AUTH_FAILED;
}

/* It never asks for more. */
static enum auth_result once_proceed(struct auth *x, const struct packet_str *data)
{
	return AUTH_FAILED;
}

static const struct auth_method test_rounds = {
	.name = "TEST-ROUNDS",
	.start = rounds_start,
	.proceed = rounds_proceed,
	.end = rounds_end,
};

static const struct auth_method test_once = {
	.name = "TEST-ONCE",
	.start = once_start,
	.proceed = once_proceed,
};

const struct auth_method *const auth_methods[] = {
	&test_rounds,
	&test_once,
	NULL,
};
