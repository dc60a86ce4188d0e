// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of the daemon: with a hand-over everything stays as it is, else all
 * clients are disconnected and their close events waited for.
 */
#include "client.h"
#include "clock.h"
#include "event.h"
#include "kmqtt.h"
#include "log.h"
#include "nl.h"
#include "packet.h"
#include "stop.h"

#define STOP_CHECK_MS	20
#define STOP_LIMIT_MS	5000	/* more than the kernel's close_timeout */

static struct {
	struct event_base *base;
	struct event *timer;
	uint64_t deadline;
	bool begun;
} stop;

void stop_init(struct event_base *base)
{
	stop.base = base;
	stop.begun = false;
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

static void stop_check(evutil_socket_t fd, short what, void *arg)
{
	if (client_count() && clock_ms() < stop.deadline)
		return;
	if (client_count())
		log_warning("%zu connections did not close in time", client_count());
	stop_end();
}

static void stop_client(struct client *c, void *arg)
{
	if (c->state != CLIENT_CLOSING)
		client_close(c, 0, KMQTT_CLOSE_DAEMON, KMQTT_RC_SERVER_SHUTTING_DOWN);
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
	stop.deadline = clock_ms() + STOP_LIMIT_MS;
	client_for_each(stop_client, NULL);
	event_settle();
	stop.timer = event_new(stop.base, -1, EV_PERSIST, stop_check, NULL);
	if (!stop.timer || event_add(stop.timer, &tv))
		stop_end();
}
