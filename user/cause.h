/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What commands to the kernel follow from.
 *
 * Nothing may be seen before what it follows from is in the store.  A command
 * that has no cause of its own waits for all operations that were appended
 * before it was begun.
 *
 * That is more than needed, and a disk that stalls or is full would stop those
 * who store nothing.  So the commands of one cause, such as an event, wait for
 * the operations that were appended since it began and for what cause_after()
 * names, and pass those before them that wait, unless one of these has to do
 * with the same connection or key: the order that a client may see, and that of
 * acknowledgements, is that of one connection.  Nor does one pass those of its
 * own cause: an acknowledgement may rest on what another connection was given.
 */
#ifndef MQTTD_CAUSE_H
#define MQTTD_CAUSE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct cause - a cause
 * @known: there is one; else commands follow from all before them
 * @stay: its commands may not pass others
 * @ops: store_ops() when it began
 * @after: what else they wait for
 * @key: whom they have to do with besides connections, 0 = nobody
 */
struct cause {
	bool known;
	bool stay;
	uint64_t ops;
	uint64_t after;
	uint64_t key;
};

/* Causes nest; @outer keeps the one outside. */
void cause_begin(struct cause *outer);
void cause_end(const struct cause *outer);
/* The commands that follow from the present one wait for @seq of the store, too. */
void cause_after(uint64_t seq);
/* They may not pass any other. */
void cause_stay(void);
/* They may not pass others with this key. */
void cause_key(uint64_t key);
/* What a command begun now waits for. */
uint64_t cause_wait(void);
/* The present one; not @known if there is none. */
const struct cause *cause_now(void);

#endif /* MQTTD_CAUSE_H */
