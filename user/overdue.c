// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers that clients owe for too long.  3.1 clients are sent again what they
 * have not acknowledged within retry_interval; later versions forbid that.
 * Who leaves a QoS 2 exchange unfinished for max_pubrel_wait is disconnected.
 */
#include <stdlib.h>

#include "client.h"
#include "clock.h"
#include "conf.h"
#include "event.h"
#include "frame.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "map.h"
#include "mem.h"
#include "overdue.h"
#include "session.h"

#define TICK_S	1

/* A PUBREL that is owed. */
struct pubrel {
	struct map_entry entry;
	struct list node;
	uint64_t since;
	uint16_t packet_id;
};

/**
 * struct pubrels - those of one client
 * @by_id: by packet id
 * @oldest: the longest owed first
 */
struct pubrels {
	struct map by_id;
	struct list oldest;
};

static struct {
	struct event_base *base;
	struct event *timer;
	struct list v31;	/* clients of that version */
} overdue = { .v31 = { &overdue.v31, &overdue.v31 } };

void overdue_init(struct event_base *base)
{
	overdue.base = base;
}

void overdue_free(void)
{
	if (overdue.timer)
		event_free(overdue.timer);
	overdue.timer = NULL;
}

/* Is @since longer ago than @seconds, if there is such a limit? */
static bool is_over(uint64_t since, uint32_t seconds, uint64_t now)
{
	return seconds && since && now >= since + seconds * 1000ULL;
}

static bool owes_too_long(const struct client *c, uint32_t limit, uint64_t now)
{
	const struct pubrels *p = c->pubrels;

	if (p && !list_empty(&p->oldest) &&
	    is_over(list_first(&p->oldest, struct pubrel, node)->since, limit, now))
		return true;
	return is_over(inflight_waits_since(c->session), limit, now);
}

static void check_wait(struct client *c, void *arg)
{
	uint32_t limit = conf_get()->max_pubrel_wait;
	const uint64_t *now = arg;

	if (c->state != CLIENT_OPEN || !owes_too_long(c, limit, *now))
		return;
	log_notice("Client %s left a QoS 2 exchange unfinished for %u seconds.", c->id,
		   limit);
	client_close(c, 0, KMQTT_CLOSE_DAEMON, KMQTT_RC_IMPLEMENTATION);
}

static void check_retry(struct client *c, uint64_t now)
{
	uint64_t interval = conf_get()->retry_interval * 1000ULL;

	/* What waits in the kernel for this client has not been sent once. */
	if (c->state != CLIENT_OPEN || c->full || c->live_full || c->gate_shut)
		return;
	if (now > interval)
		inflight_repeat(c->session, now - interval);
}

static void tick(evutil_socket_t fd, short what, void *arg);

/* The timer runs only while somebody may be late. */
static void rearm(void)
{
	const struct conf *conf = conf_get();
	struct timeval tv = { .tv_sec = TICK_S };

	if (!conf->max_pubrel_wait &&
	    (!conf->retry_interval || list_empty(&overdue.v31)))
		return;
	if (!overdue.timer && overdue.base)
		overdue.timer = evtimer_new(overdue.base, tick, NULL);
	if (!overdue.timer)
		return;
	if (!evtimer_pending(overdue.timer, NULL) && evtimer_add(overdue.timer, &tv))
		log_err("cannot start the timer of late answers");
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = clock_ms();
	struct client *c;

	if (conf_get()->retry_interval)
		list_for_each(c, &overdue.v31, v31)
			check_retry(c, now);
	if (conf_get()->max_pubrel_wait)
		client_for_each(check_wait, &now);
	rearm();
	event_settle();
}

void overdue_reload(void)
{
	rearm();
}

void overdue_open(struct client *c)
{
	unsigned int id;

	if (c->protocol == KMQTT_V31)
		list_add_tail(&c->v31, &overdue.v31);
	/* What it owes from an earlier connection it owes from now on. */
	if (conf_get()->max_pubrel_wait && c->session->n_inbound)
		for (id = 1; id <= UINT16_MAX; id++)
			if (session_inbound_has(c->session, (uint16_t)id))
				overdue_owes(c, (uint16_t)id);
	rearm();
}

static struct pubrel *find(const struct client *c, uint16_t packet_id)
{
	struct map_entry *e = c->pubrels ? map_first(&c->pubrels->by_id, packet_id) : NULL;

	return e ? container_of(e, struct pubrel, entry) : NULL;
}

void overdue_owes(struct client *c, uint16_t packet_id)
{
	struct pubrel *p;

	if (!conf_get()->max_pubrel_wait || find(c, packet_id))
		return;
	if (!c->pubrels) {
		c->pubrels = mem_zalloc(sizeof(*c->pubrels));
		list_init(&c->pubrels->oldest);
	}
	p = mem_zalloc(sizeof(*p));
	mem_charge(sizeof(*p));
	p->packet_id = packet_id;
	p->since = clock_ms();
	map_add(&c->pubrels->by_id, &p->entry, packet_id);
	list_add_tail(&p->node, &c->pubrels->oldest);
}

static void drop(struct client *c, struct pubrel *p)
{
	map_del(&c->pubrels->by_id, &p->entry);
	list_del(&p->node);
	mem_uncharge(sizeof(*p));
	free(p);
}

void overdue_paid(struct client *c, uint16_t packet_id)
{
	struct pubrel *p = find(c, packet_id);

	if (p)
		drop(c, p);
}

void overdue_forget(struct client *c)
{
	struct pubrel *p, *tmp;

	list_del(&c->v31);
	if (!c->pubrels)
		return;
	list_for_each_safe(p, tmp, &c->pubrels->oldest, node)
		drop(c, p);
	map_free(&c->pubrels->by_id);
	free(c->pubrels);
	c->pubrels = NULL;
}
