// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of the daemon: with a hand-over everything stays as it is, else all
 * clients are disconnected and their close events waited for.  Those with a
 * will go first, so that the others see it; the sessions end with us, so that
 * no will waits for its delay any longer (3.1.3.2.2).
 */
#include "client.h"
#include "clock.h"
#include "event.h"
#include "kmqtt.h"
#include "log.h"
#include "nl.h"
#include "packet.h"
#include "session.h"
#include "stop.h"
#include "will.h"

#define STOP_CHECK_MS	20
#define STOP_LIMIT_MS	5000	/* more than the kernel's close_timeout, twice */
#define WILLS_LIMIT_MS	2500

/*
 * @wills_end: when those with a will must have closed, 0 = all were told to
 * @deadline: when nobody is waited for any more
 */
static struct {
	struct event_base *base;
	struct event *timer;
	uint64_t wills_end;
	uint64_t deadline;
	bool begun;
	bool failed;
} stop;

void stop_init(struct event_base *base)
{
	stop.base = base;
	stop.begun = false;
	stop.failed = false;
}

bool stop_begun(void)
{
	return stop.begun;
}

static void stop_end(void)
{
	if (stop.timer)
		event_free(stop.timer);
	stop.timer = NULL;
	event_base_loopexit(stop.base, NULL);
}

void stop_failed(void)
{
	stop.failed = true;
	stop_end();
}

bool stop_has_failed(void)
{
	return stop.failed;
}

static void stop_client(struct client *c, void *arg)
{
	if (c->state != CLIENT_CLOSING)
		client_close(c, 0, KMQTT_CLOSE_DAEMON, KMQTT_RC_SERVER_SHUTTING_DOWN);
}

static void stop_if_will(struct client *c, void *arg)
{
	if (c->will)
		stop_client(c, NULL);
}

static void count_will(struct client *c, void *arg)
{
	size_t *n = arg;

	if (c->will)
		++*n;
}

static void publish_delayed(struct session *s, void *arg)
{
	/* One that is stored outlives us, and waits. */
	if (!s->stored)
		session_will_publish(s);
}

/* Those with a will are gone, or take too long: now the others. */
static void stop_others(void)
{
	stop.wills_end = 0;
	session_for_each(publish_delayed, NULL);
	client_for_each(stop_client, NULL);
	event_settle();
}

static void stop_check(evutil_socket_t fd, short what, void *arg)
{
	size_t wills = 0;

	client_for_each(count_will, &wills);
	if (stop.wills_end && (!wills || clock_ms() >= stop.wills_end))
		stop_others();
	if (client_count() && clock_ms() < stop.deadline)
		return;
	if (client_count())
		log_warning("%zu connections did not close in time", client_count());
	stop_end();
}

void stop_begin(bool handover)
{
	struct timeval tv = { .tv_usec = STOP_CHECK_MS * 1000 };

	if (stop.begun || handover) {
		event_settle();
		stop_end();
		return;
	}
	stop.begun = true;
	stop.wills_end = clock_ms() + WILLS_LIMIT_MS;
	stop.deadline = clock_ms() + STOP_LIMIT_MS;
	client_for_each(stop_if_will, NULL);
	event_settle();
	stop.timer = event_new(stop.base, -1, EV_PERSIST, stop_check, NULL);
	if (!stop.timer || event_add(stop.timer, &tv))
		stop_end();
}
