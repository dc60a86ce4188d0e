// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events from the kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "copies.h"
#include "event.h"
#include "handle.h"
#include "log.h"
#include "mem.h"
#include "nl.h"
#include "persist.h"
#include "stop.h"

/* Datagrams in one turn of the loop, so that listeners get theirs. */
#define EVENT_TURN	256
/* A dump that the kernel refused, being out of memory, is asked for again. */
#define EVENT_RETRY_MS	100

static struct {
	struct event *read;
	struct event *retry;
	bool again;		/* pull once more after the present dump */
	struct kevent part;	/* event that misses pieces */
	size_t have;
	size_t room;
	bool open;
} ev;

static void part_free(void)
{
	free(ev.part.data);
	memset(&ev.part, 0, sizeof(ev.part));
	ev.have = 0;
	ev.room = 0;
	ev.open = false;
}

static void event_shut(struct kevent *e, const struct nlattr *a)
{
	e->n_shut = mnl_attr_get_payload_len(a) / sizeof(e->shut[0]);
	if (e->n_shut > KMQTT_SHUT_MAX)
		e->n_shut = KMQTT_SHUT_MAX;
	memcpy(e->shut, mnl_attr_get_payload(a), e->n_shut * sizeof(e->shut[0]));
}

static void event_head(struct kevent *e, const struct nlattr *const *tb)
{
	e->type = nl_u8(tb[KMQTT_AE_TYPE]);
	e->conn = nl_u64(tb[KMQTT_AE_CONN]);
	e->number = nl_u64(tb[KMQTT_AE_NUMBER]);
	e->replay = nl_u32(tb[KMQTT_AE_FLAGS]) & KMQTT_EV_F_REPLAY;
	e->marked = e->replay && persist_marked(e->conn, e->number);
	e->cause = nl_u8(tb[KMQTT_AE_CAUSE]);
	e->reason = nl_u8(tb[KMQTT_AE_REASON]);
	e->token = nl_u64(tb[KMQTT_AE_TOKEN]);
	e->error = (int)nl_u32(tb[KMQTT_AE_ERROR]);
	e->time_ms = nl_u64(tb[KMQTT_AE_TIME]) / 1000000;
	e->shut_more = nl_u32(tb[KMQTT_AE_FLAGS]) & KMQTT_EV_F_SHUT_MORE;
	if (tb[KMQTT_AE_SHUT])
		event_shut(e, tb[KMQTT_AE_SHUT]);
	e->len = nl_u32(tb[KMQTT_AE_LENGTH]);
	if (!tb[KMQTT_AE_LENGTH] && tb[KMQTT_AE_DATA])
		e->len = mnl_attr_get_payload_len(tb[KMQTT_AE_DATA]);
}

static void part_begin(const struct nlattr *const *tb)
{
	part_free();
	event_head(&ev.part, tb);
	ev.open = true;
}

/* The buffer grows with the bytes that come, not with the length announced. */
static bool part_append(const struct nlattr *data)
{
	size_t len = data ? mnl_attr_get_payload_len(data) : 0;

	if (ev.have + len > ev.part.len)
		return false;
	if (ev.have + len > ev.room) {
		ev.room = ev.room * 2 > ev.have + len ? ev.room * 2 : ev.have + len;
		ev.part.data = mem_realloc(ev.part.data, ev.room);
	}
	if (len)
		memcpy(ev.part.data + ev.have, mnl_attr_get_payload(data), len);
	ev.have += len;
	return true;
}

static void event_attr(const struct nlattr *nest)
{
	const struct nlattr *tb[KMQTT_AE_MAX + 1];
	uint32_t offset;

	nl_nested(nest, tb, KMQTT_AE_MAX);
	if (!tb[KMQTT_AE_NUMBER]) {
		/* No event of a connection: it may come between pieces of one. */
		struct kevent e = { 0 };

		event_head(&e, tb);
		handle_event(&e);
		return;
	}
	offset = nl_u32(tb[KMQTT_AE_OFFSET]);
	if (!offset)
		part_begin(tb);
	if (!ev.open || offset != ev.have || !part_append(tb[KMQTT_AE_DATA])) {
		log_err("pieces of an event do not fit together (connection %llu)",
			(unsigned long long)nl_u64(tb[KMQTT_AE_CONN]));
		part_free();
		return;
	}
	if (ev.have < ev.part.len)
		return;
	handle_event(&ev.part);
	part_free();
}

static void event_message(const struct nlmsghdr *msg, void *arg)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, msg, MNL_ALIGN(4)) {
		if (mnl_attr_get_type(a) == KMQTT_A_EVENT)
			event_attr(a);
	}
}

void event_pull(void)
{
	if (nl_dumping())
		ev.again = true;
	else
		nl_dump_start(KMQTT_CMD_EVENTS_GET);
}

void event_settle(void)
{
	do {
		nl_flush();
	} while (client_gates_release());
	if (!nl_held())
		persist_settled();
	if (nl_backlog() && ev.read)
		event_active(ev.read, EV_READ, 0);
}

static void event_retry(evutil_socket_t fd, short what, void *arg)
{
	event_pull();
	event_settle();
}

static void event_refused(void)
{
	struct timeval tv = { .tv_usec = EVENT_RETRY_MS * 1000 };

	ev.again = false;
	if (event_add(ev.retry, &tv))
		log_err("cannot start the timer for events");
}

static void event_read(evutil_socket_t fd, short what, void *arg)
{
	int n = EVENT_TURN;

	while (n--) {
		switch (nl_receive(event_message, NULL)) {
		case NL_NOTHING:
			n = 0;
			break;
		case NL_MESSAGES:
			break;
		case NL_READY:
			event_pull();
			break;
		case NL_DUMP_END:
			copies_drained();
			if (!ev.again)
				break;
			ev.again = false;
			event_pull();
			break;
		case NL_LOST:
			/* Perhaps READY was lost. */
			ev.again = false;
			event_pull();
			break;
		case NL_REFUSED:
			event_refused();
			break;
		case NL_GONE:
			log_err("the kernel module kmqtt was removed: all connections are closed");
			stop_failed();
			return;
		}
	}
	event_settle();
}

int event_replay(void)
{
	return nl_dump(KMQTT_CMD_EVENTS_GET, event_message, NULL);
}

int event_start(struct event_base *base)
{
	ev.read = event_new(base, nl_fd(), EV_READ | EV_PERSIST, event_read, NULL);
	ev.retry = evtimer_new(base, event_retry, NULL);
	if (!ev.read || !ev.retry || event_add(ev.read, NULL)) {
		event_stop();
		return -ENOMEM;
	}
	return 0;
}

void event_stop(void)
{
	if (ev.read)
		event_free(ev.read);
	ev.read = NULL;
	if (ev.retry)
		event_free(ev.retry);
	ev.retry = NULL;
	part_free();
}
