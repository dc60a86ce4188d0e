/* SPDX-License-Identifier: GPL-2.0 */
/* Topic Aliases towards a client (5.0: 3.3.2.3.4): which topics have one. */
#ifndef KMQTT_ALIAS_H
#define KMQTT_ALIAS_H

#include <linux/types.h>
#include "conn.h"

/* So many of a client's aliases are used, whatever it allows. */
#define KMQTT_ALIASES_MAX	64U
/* The alias takes three bytes itself; longer topics are rare. */
#define KMQTT_ALIAS_TOPIC_MIN	4U
#define KMQTT_ALIAS_TOPIC_MAX	255U

/*
 * May a topic of @len bytes, without mount point, have an alias on this
 * connection?  If not, its messages may be sent byte for byte.
 */
static inline bool kmqtt_alias_worth(const struct kmqtt_conn *conn, u32 len)
{
	return conn->alias_max_out && len >= KMQTT_ALIAS_TOPIC_MIN &&
	       len <= KMQTT_ALIAS_TOPIC_MAX;
}

/**
 * kmqtt_alias_pick() - the alias of a topic that is about to be sent
 * @conn: to whom
 * @topic: Topic Name without mount point, of which kmqtt_alias_worth() is true
 * @len: its length
 * @known: result: the client knows the alias, the topic need not be sent
 *
 * The first topics get the aliases there are.  Later ones take that of a topic
 * which was not sent for a while, but not before they come a second time.
 * Worker only; what is picked must be sent in the order of the calls.
 * Return: the alias, to be sent with the topic unless it is @known; 0: none.
 */
u16 kmqtt_alias_pick(struct kmqtt_conn *conn, const u8 *topic, u32 len, bool *known);

/* The client was not told @alias after all, or not yet.  Worker only. */
void kmqtt_alias_forget(struct kmqtt_conn *conn, u16 alias);

/* Nothing is sent any more.  Worker only. */
void kmqtt_aliases_free(struct kmqtt_conn *conn);

#endif /* KMQTT_ALIAS_H */
