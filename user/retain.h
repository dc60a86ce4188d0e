/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The retained store.
 */
#ifndef MQTTD_RETAIN_H
#define MQTTD_RETAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct map_walk;
struct message;
struct retain_cursor;

/*
 * An empty store.  @base: for the sweep that forgets expired messages which
 * nobody meets; NULL: there is none.
 */
void retain_init(struct event_base *base);
/*
 * Store @m, or with an empty payload forget what its topic has.  New
 * subscriptions get it from now on: it goes out to the others at the same time.
 */
void retain_set(struct message *m);
/* One that was stored. */
void retain_load(struct message *m);
/* Grows with each message stored: those up to now have @retained <= it. */
uint64_t retain_clock(void);
/* Messages in it, expired ones that nobody met included. */
size_t retain_count(void);
/* The message of a topic, an expired one included, or NULL. */
struct message *retain_find(const char *topic, size_t len);
/*
 * The next message of a walk, see map_walk_next(), those of $SYS and expired
 * ones included; valid until the store changes.
 */
struct message *retain_walk_next(struct map_walk *w, unsigned int *steps);
/* Forget all; there are no cursors any more. */
void retain_free(void);

/*
 * A walk over all messages whose topic @filter, which is copied, matches.  The
 * store may change at any time meanwhile: what is there all the time is met
 * once, what comes or goes may be met or not, and the walk ends however much
 * comes.  It takes little memory, and is freed by retain_cursor_free().
 */
struct retain_cursor *retain_cursor_new(const char *filter);
void retain_cursor_free(struct retain_cursor *c);
/* Begin again. */
void retain_cursor_rewind(struct retain_cursor *c);
/*
 * The next message, valid until the store changes, after a look at *@steps
 * nodes at most; they are taken off.  NULL: the steps were not enough, or,
 * as retain_cursor_done() tells, there is none any more.
 */
struct message *retain_cursor_next(struct retain_cursor *c, unsigned int *steps);
bool retain_cursor_done(const struct retain_cursor *c);
/* The message where it stands now, or NULL. */
struct message *retain_cursor_here(const struct retain_cursor *c);

#endif /* MQTTD_RETAIN_H */
