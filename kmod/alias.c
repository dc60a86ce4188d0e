// SPDX-License-Identifier: GPL-2.0
/* Topic Aliases towards a client: a small table, by the hash of the topic. */

#include <linux/jhash.h>
#include <linux/overflow.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "alias.h"

/**
 * struct alias_topic - what an alias stands for at the client
 * @used: it was sent since the hand passed
 * @len: length of @name
 * @name: Topic Name without mount point
 */
struct alias_topic {
	bool used;
	u8 len;
	u8 name[];
};

/**
 * struct kmqtt_aliases - the aliases of a connection
 *
 * Lifetime: made when the first message is sent that may have one, freed when
 * the connection's transmit list is purged.  Worker only.
 *
 * @n: aliases in use, at most the client's Topic Alias Maximum
 * @hand: where the search for one that was not used goes on
 * @seed: of the hashes
 * @charged: bytes charged to the namespace
 * @hash: of the topic of each alias; the first is alias 1
 * @seen: fingerprints of topics that were sent without, by hash
 * @topic: the topics; %NULL: the alias is free
 */
struct kmqtt_aliases {
	u32 n;
	u32 hand;
	u32 seed;
	u32 charged;
	u32 hash[KMQTT_ALIASES_MAX];
	u16 seen[KMQTT_ALIASES_MAX];
	struct alias_topic *topic[KMQTT_ALIASES_MAX];
};

/* The table, made at its first use; %NULL without memory. */
static struct kmqtt_aliases *aliases_get(struct kmqtt_conn *conn)
{
	struct kmqtt_aliases *a = conn->tx.aliases;

	if (a)
		return a;
	if (!kmqtt_mem_charge(conn->kn, sizeof(*a)))
		return NULL;
	a = kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!a) {
		kmqtt_mem_uncharge(conn->kn, sizeof(*a));
		return NULL;
	}
	a->n = min_t(u32, conn->alias_max_out, KMQTT_ALIASES_MAX);
	a->seed = get_random_u32();
	a->charged = sizeof(*a);
	conn->tx.aliases = a;
	return a;
}

static size_t topic_size(u32 len)
{
	return struct_size((struct alias_topic *)NULL, name, len);
}

static void topic_free(struct kmqtt_conn *conn, struct kmqtt_aliases *a, u32 i)
{
	size_t size;

	if (!a->topic[i])
		return;
	size = topic_size(a->topic[i]->len);
	kfree(a->topic[i]);
	a->topic[i] = NULL;
	a->charged -= size;
	kmqtt_mem_uncharge(conn->kn, size);
}

/* Let alias @i stand for @topic; false without memory. */
static bool topic_set(struct kmqtt_conn *conn, struct kmqtt_aliases *a, u32 i,
		      const u8 *topic, u32 len)
{
	size_t size = topic_size(len);
	struct alias_topic *t;

	if (!kmqtt_mem_charge(conn->kn, size))
		return false;
	t = kmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!t) {
		kmqtt_mem_uncharge(conn->kn, size);
		return false;
	}
	t->used = false;
	t->len = len;
	memcpy(t->name, topic, len);
	topic_free(conn, a, i);
	a->topic[i] = t;
	a->charged += size;
	return true;
}

/* Index of the alias of @topic, else of a free one, else @a->n. */
static u32 aliases_find(const struct kmqtt_aliases *a, u32 hash, const u8 *topic,
			u32 len)
{
	u32 i, found = a->n;

	for (i = 0; i < a->n; i++) {
		if (!a->topic[i])
			found = min(found, i);
		else if (a->hash[i] == hash && a->topic[i]->len == len &&
			 !memcmp(a->topic[i]->name, topic, len))
			return i;
	}
	return found;
}

/* None is free: one whose topic was not sent since the hand passed it last. */
static u32 aliases_victim(struct kmqtt_aliases *a)
{
	u32 i;

	for (;;) {
		i = a->hand;
		a->hand = (i + 1) % a->n;
		if (!a->topic[i]->used)
			return i;
		a->topic[i]->used = false;
	}
}

/* Was a topic with this hash sent before, and not forgotten since? */
static bool aliases_seen(struct kmqtt_aliases *a, u32 hash)
{
	u16 *seen = &a->seen[hash % KMQTT_ALIASES_MAX], print = hash >> 16;

	if (*seen == print)
		return true;
	*seen = print;
	return false;
}

u16 kmqtt_alias_pick(struct kmqtt_conn *conn, const u8 *topic, u32 len, bool *known)
{
	struct kmqtt_aliases *a = aliases_get(conn);
	u32 hash, i;

	*known = false;
	if (!a)
		return 0;
	hash = jhash(topic, len, a->seed);
	i = aliases_find(a, hash, topic, len);
	if (i < a->n && a->topic[i]) {
		a->topic[i]->used = true;
		*known = true;
		return i + 1;
	}
	if (i == a->n) {
		if (!aliases_seen(a, hash))
			return 0;
		i = aliases_victim(a);
	}
	if (!topic_set(conn, a, i, topic, len))
		return 0;
	a->hash[i] = hash;
	return i + 1;
}

void kmqtt_alias_forget(struct kmqtt_conn *conn, u16 alias)
{
	topic_free(conn, conn->tx.aliases, alias - 1);
}

void kmqtt_aliases_free(struct kmqtt_conn *conn)
{
	struct kmqtt_aliases *a = conn->tx.aliases;
	u32 i;

	if (!a)
		return;
	for (i = 0; i < a->n; i++)
		topic_free(conn, a, i);
	kmqtt_mem_uncharge(conn->kn, a->charged);
	conn->tx.aliases = NULL;
	kfree(a);
}
