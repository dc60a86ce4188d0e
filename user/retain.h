/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The retained store.
 */
#ifndef MQTTD_RETAIN_H
#define MQTTD_RETAIN_H

#include <stddef.h>
#include <stdint.h>

struct map_walk;
struct message;

/* An empty store. */
void retain_init(void);
/* Store @m, or with an empty payload forget what its topic has. */
void retain_set(struct message *m);
/* One that was stored. */
void retain_load(struct message *m);
/* Grows with each message stored: those up to now have @retained <= it. */
uint64_t retain_clock(void);
/* Messages in it, expired ones that nobody met included. */
size_t retain_count(void);

typedef void (*retain_each_t)(struct message *m, void *arg);

/* Every unexpired message whose topic @filter matches; forgets expired ones. */
void retain_match(const char *filter, retain_each_t each, void *arg);
/* The message of a topic, an expired one included, or NULL. */
struct message *retain_find(const char *topic, size_t len);
/*
 * The next message of a walk, see map_walk_next(), those of $SYS and expired
 * ones included; valid until the store changes.
 */
struct message *retain_walk_next(struct map_walk *w, unsigned int *steps);
/* Forget all. */
void retain_free(void);

#endif /* MQTTD_RETAIN_H */
