// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions.
 */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "client.h"
#include "clock.h"
#include "conf.h"
#include "copies.h"
#include "event.h"
#include "inflight.h"
#include "log.h"
#include "mem.h"
#include "rib.h"
#include "session.h"
#include "share.h"
#include "store.h"
#include "walk.h"
#include "will.h"

#define INBOUND_BYTES	(65536 / 8)

static struct map sessions;
static struct event_base *session_base;
static size_t sessions_online;
static uint64_t sessions_expired;
static bool sessions_ending;

void sessions_init(struct event_base *base)
{
	session_base = base;
}

size_t session_count(void)
{
	return sessions.count;
}

size_t session_count_online(void)
{
	return sessions_online;
}

uint64_t session_count_expired(void)
{
	return sessions_expired;
}

struct session *session_find(const char *id)
{
	struct map_entry *e;

	for (e = map_first(&sessions, map_hash(0, id, strlen(id))); e; e = map_next(e)) {
		struct session *s = container_of(e, struct session, entry);

		if (!strcmp(s->id, id))
			return s;
	}
	return NULL;
}

size_t session_cost(const char *id)
{
	return sizeof(struct session) + strlen(id);
}

struct session *session_new(const char *id)
{
	struct session *s = mem_zalloc(sizeof(*s));

	s->id = mem_strndup(id, strlen(id));
	mem_charge(session_cost(id));
	list_init(&s->subs);
	list_init(&s->switched);
	inflight_init(s);
	map_add(&sessions, &s->entry, map_hash(0, id, strlen(id)));
	return s;
}

void session_store(struct session *s)
{
	const struct store_session row = {
		.client_id = s->id,
		.protocol = s->protocol,
		.expiry = s->expiry,
		.expires_at = s->expires_at,
		.number = s->number,
		.packet_id = s->packet_id,
	};

	if (!store_is_open() || (!s->stored && !s->expiry))
		return;
	s->stored = true;
	store_session_put(&row);
}

static void session_drop_state(struct session *s)
{
	struct subscription *sub, *tmp;

	list_for_each_safe(sub, tmp, &s->subs, by_session)
		rib_del(sub);
	if (!sessions_ending)
		share_leave(s, true);
	copies_break(s);
	inflight_drop(s);
	free(s->inbound);
	s->inbound = NULL;
	s->n_inbound = 0;
}

static void session_timer_stop(struct session *s)
{
	if (!s->timer)
		return;
	event_free(s->timer);
	s->timer = NULL;
}

void session_free(struct session *s)
{
	struct will *will = s->will;

	s->will = NULL;
	session_timer_stop(s);
	if (s->stored)
		store_session_delete(s->id);
	s->stored = false;
	session_drop_state(s);
	map_del(&sessions, &s->entry);
	if (will)
		will_publish(will, NULL);
	mem_uncharge(session_cost(s->id));
	free(s->id);
	free(s);
}

void session_for_each(session_each_t each, void *arg)
{
	struct map_entry *e, *tmp;
	size_t i;

	map_for_each(e, tmp, i, &sessions)
		each(container_of(e, struct session, entry), arg);
}

static struct session *session_of(struct map_entry *e)
{
	return e ? container_of(e, struct session, entry) : NULL;
}

struct session *session_walk_next(struct map_walk *w, unsigned int *steps)
{
	return session_of(map_walk_next(&sessions, w, steps));
}

struct session *session_walk_same(const struct session *s)
{
	return session_of(map_next(&s->entry));
}

static void session_forget(struct session *s, void *arg)
{
	will_free(s->will);
	s->will = NULL;
	/* It stays in the store. */
	s->stored = false;
	session_free(s);
}

void sessions_free(void)
{
	sessions_ending = true;
	session_for_each(session_forget, NULL);
	sessions_ending = false;
	map_free(&sessions);
}

/* It is not to be published, or has been. */
static void session_will_drop(struct session *s)
{
	if (!s->will)
		return;
	if (s->stored)
		store_will_delete(s->id);
	will_free(s->will);
	s->will = NULL;
}

void session_will_publish(struct session *s)
{
	struct will *will = s->will;

	s->will = NULL;
	if (!will)
		return;
	if (s->stored)
		store_will_delete(s->id);
	will_publish(will, NULL);
}

void session_online(struct session *s, struct client *c)
{
	s->client = c;
	sessions_online++;
	rib_session_moved(s);
	walks_online(s);
	session_timer_stop(s);
	s->expires_at = 0;
	/* The client is back before the delay was over: no will (3.1.3.2.2). */
	session_will_drop(s);
	session_store(s);
}

static void session_timer(evutil_socket_t fd, short what, void *arg);

static void session_timer_start(struct session *s)
{
	uint64_t now = clock_ms(), at = 0, left;
	struct timeval tv;

	if (s->will)
		at = s->will_at;
	if (s->expires_at && (!at || s->expires_at < at))
		at = s->expires_at;
	if (!at)
		return;
	left = at > now ? at - now : 0;
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	if (!s->timer)
		s->timer = evtimer_new(session_base, session_timer, s);
	if (!s->timer || evtimer_add(s->timer, &tv))
		log_err("cannot start the timer of session %s", s->id);
}

static void session_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	uint64_t now = clock_ms();

	if (s->expires_at && now >= s->expires_at) {
		log_debug("session %s expired", s->id);
		sessions_expired++;
		session_free(s);
	} else {
		if (s->will && now >= s->will_at)
			session_will_publish(s);
		session_timer_start(s);
	}
	event_settle();
}

void session_offline(struct session *s, struct will *will)
{
	uint64_t now = clock_ms();

	s->client = NULL;
	sessions_online--;
	rib_session_moved(s);
	s->will = will;
	if (!s->expiry) {
		session_free(s);
		return;
	}
	copies_break(s);
	copies_begin(s);
	inflight_offline(s);
	share_leave(s, false);
	s->expires_at = s->expiry == SESSION_NEVER ? 0 : now + s->expiry * 1000ULL;
	session_store(s);
	if (will) {
		s->will_at = now + will_delay(will) * 1000ULL;
		if (s->stored)
			will_store(will, s->id, s->will_at);
	}
	session_timer_start(s);
}

struct session *session_load(const struct store_session *row)
{
	struct session *s = session_new(row->client_id);

	s->stored = true;
	s->protocol = row->protocol;
	s->expiry = row->expiry;
	s->expires_at = row->expires_at;
	s->number = row->number;
	s->packet_id = row->packet_id;
	return s;
}

void session_load_will(struct session *s, struct will *will, uint64_t at)
{
	s->will = will;
	s->will_at = at;
}

/* Its connection, if it had one, is gone. */
static void session_loaded(struct session *s, void *arg)
{
	if (s->client)
		return;
	if (!s->expires_at && s->expiry != SESSION_NEVER) {
		s->expires_at = clock_ms() + s->expiry * 1000ULL;
		session_store(s);
	}
	copies_begin(s);
	session_timer_start(s);
}

void sessions_loaded(void)
{
	session_for_each(session_loaded, NULL);
}

uint32_t session_expiry_limit(uint32_t wanted)
{
	uint32_t limit = conf_get()->persistent_client_expiration;

	return limit && limit < wanted ? limit : wanted;
}

bool session_inbound_has(const struct session *s, uint16_t packet_id)
{
	return s->inbound && s->inbound[packet_id / 8] & 1U << packet_id % 8;
}

void session_load_inbound(struct session *s, uint16_t packet_id)
{
	if (!s->inbound)
		s->inbound = mem_zalloc(INBOUND_BYTES);
	s->inbound[packet_id / 8] |= (uint8_t)(1U << packet_id % 8);
	s->n_inbound++;
}

void session_inbound_add(struct session *s, uint16_t packet_id)
{
	session_load_inbound(s, packet_id);
	if (s->stored)
		store_inbound_add(s->id, packet_id);
}

bool session_inbound_del(struct session *s, uint16_t packet_id)
{
	if (!session_inbound_has(s, packet_id))
		return false;
	if (s->stored)
		store_inbound_delete(s->id, packet_id);
	s->inbound[packet_id / 8] &= (uint8_t)~(1U << packet_id % 8);
	if (!--s->n_inbound) {
		free(s->inbound);
		s->inbound = NULL;
	}
	return true;
}
