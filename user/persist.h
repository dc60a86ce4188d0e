/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the store has, brought to life; and how far the events of connections
 * are in it.
 *
 * A transaction that must not be repeated carries a mark: the connection and
 * the number of the event it follows from.  After a crash the kernel shows that
 * event again; if the mark covers it, what the transaction recorded is there,
 * and only what nobody stores is done again.
 */
#ifndef MQTTD_PERSIST_H
#define MQTTD_PERSIST_H

#include <stdbool.h>
#include <stdint.h>
#include <event2/event.h>

struct answer;

/*
 * Open the store if the configuration wants one, and load it.  @instance: of
 * the module, whose events the marks count; @look_only: one that is damaged stays
 * as it is.  Returns 0, or -errno after the log has told why.
 */
int persist_open(uint64_t instance, bool look_only);
/* Begin to commit; commands that wait for it go out from @base.  0 or -errno. */
int persist_start(struct event_base *base);
/* Commit what waits, send what waits for it, close. */
void persist_close(void);

/* The transaction that is being made follows from the event @a acknowledges. */
void persist_mark(const struct answer *a);
/* Was that event's transaction committed by an earlier daemon? */
bool persist_marked(uint64_t conn, uint64_t event);
/* All connections that there are were adopted: the marks of others may go. */
void persist_adopted(void);
/* The last event of that connection is handled. */
void persist_forget(uint64_t conn);
/* The kernel has been told all that was to be told. */
void persist_settled(void);

#endif /* MQTTD_PERSIST_H */
