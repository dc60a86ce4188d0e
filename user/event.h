/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events from the kernel: pulled, put together, handed to their handlers in
 * order.
 */
#ifndef MQTTD_EVENT_H
#define MQTTD_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>

#include "kmqtt.h"

/**
 * struct kevent - a whole event
 * @type: enum kmqtt_event_type
 * @conn: connection
 * @number: to acknowledge
 * @replay: may have been handled by an earlier daemon
 * @marked: was, and is in the store
 * @cause: enum kmqtt_close_cause
 * @reason: reason code of a close
 * @data: packet
 * @len: its length
 * @token: of a completed command
 * @error: of a completed command
 * @time_ms: arrival, clock_ms()
 * @shut: of a copy: connections with a shut gate that have the message
 * @n_shut: how many
 * @shut_more: there are more
 */
struct kevent {
	uint8_t type;
	uint64_t conn;
	uint64_t number;
	bool replay;
	bool marked;
	uint8_t cause;
	uint8_t reason;
	uint8_t *data;
	size_t len;
	uint64_t token;
	int error;
	uint64_t time_ms;
	uint64_t shut[KMQTT_SHUT_MAX];
	size_t n_shut;
	bool shut_more;
};

/* Watch the socket of nl_open().  0 or -errno. */
int event_start(struct event_base *base);
void event_stop(void);
/* Handle at once all that the kernel has now.  0 or -errno. */
int event_replay(void);
/* Pull and handle what the kernel has, until there is nothing more. */
void event_pull(void);
/*
 * To be called at the end of every turn that may have made commands: sends
 * them, and what follows from their results.
 */
void event_settle(void);

#endif /* MQTTD_EVENT_H */
