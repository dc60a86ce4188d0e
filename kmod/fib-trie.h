/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The level trie of the FIB: one node per distinct prefix of levels of the
 * topic filters.  It knows names, not routes.
 */
#ifndef KMQTT_FIB_TRIE_H
#define KMQTT_FIB_TRIE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rhashtable-types.h>
#include <linux/siphash.h>
#include <linux/types.h>

struct kmqtt_members;

/* Most nodes one walk may visit; '+' fans out exponentially with depth. */
#define KMQTT_TRIE_VISITS_MAX	4096

/**
 * enum kmqtt_node_kind - what the name of a node is
 * @KMQTT_NODE_LEVEL: a literal level
 * @KMQTT_NODE_PLUS: "+"
 * @KMQTT_NODE_HASH: "#"
 * @KMQTT_NODE_SHARE: a share name; the node is a group of its parent's filter
 */
enum kmqtt_node_kind {
	KMQTT_NODE_LEVEL,
	KMQTT_NODE_PLUS,
	KMQTT_NODE_HASH,
	KMQTT_NODE_SHARE,
};

/**
 * struct kmqtt_node - a node of the trie
 *
 * Lifetime: exists while it has a child or a route; made and unlinked under
 * the FIB's mutex, freed after a grace period.  A reader that found a node
 * may follow @parent: a parent is unlinked after its children, so its grace
 * period ends no earlier than that of the node found.
 *
 * @hash_link: link in the trie's hash table (LEVEL and SHARE)
 * @parent: %NULL at the root
 * @plus: child "+"
 * @multi: child "#"
 * @link: in @groups of the parent (SHARE)
 * @routes: routes of the filter that ends here (all but SHARE)
 * @members: the same of a group (SHARE)
 * @groups: share groups of the filter that ends here (all but SHARE)
 * @turn: whose turn it is (SHARE)
 * @children: nodes whose parent this is; written under the mutex
 * @n_routes: routes here; under the mutex
 * @hash: hash of parent, kind and name
 * @gen: generation that changes here belong to (see kmqtt_cache_bump())
 * @len: length of @name
 * @kind: enum kmqtt_node_kind
 * @rcu: for the deferred free
 * @name: level or share name
 */
struct kmqtt_node {
	struct rhash_head hash_link;
	struct kmqtt_node *parent;
	union {
		struct {
			struct kmqtt_node __rcu *plus;
			struct kmqtt_node __rcu *multi;
		};
		struct hlist_node link;
	};
	union {
		struct hlist_head routes;
		struct kmqtt_members __rcu *members;
	};
	union {
		struct hlist_head groups;
		atomic_t turn;
	};
	u32 children;
	u32 n_routes;
	u32 hash;
	u16 gen;
	u16 len;
	u8 kind;
	struct rcu_head rcu;
	u8 name[];
};

/**
 * struct kmqtt_trie - the trie of one FIB
 * @nodes: LEVEL and SHARE nodes by parent, kind and name
 * @root: stands for no level at all
 * @bytes: allocated for nodes; under @mutex
 * @key: secret of the hashes
 * @mutex: the FIB's, guards all changes
 */
struct kmqtt_trie {
	struct rhashtable nodes;
	struct kmqtt_node *root;
	size_t bytes;
	siphash_key_t key;
	struct mutex *mutex;	/* all changes */
};

struct kmqtt_route_key;

/* An empty trie whose changes @mutex guards; 0 or -errno. */
int kmqtt_trie_init(struct kmqtt_trie *trie, struct mutex *mutex);
/* The trie must be empty and without readers. */
void kmqtt_trie_destroy(struct kmqtt_trie *trie);

/* The node of a route, or %NULL.  Under the mutex. */
struct kmqtt_node *kmqtt_trie_find(struct kmqtt_trie *trie,
				   const struct kmqtt_route_key *key);
/*
 * The same, making what is missing.  The caller adds a route to it, or calls
 * kmqtt_trie_prune().  Under the mutex.  ERR_PTR: -ENOMEM.
 */
struct kmqtt_node *kmqtt_trie_make(struct kmqtt_trie *trie,
				   const struct kmqtt_route_key *key);
/* Unlink @node and its ancestors as far as nothing needs them. */
void kmqtt_trie_prune(struct kmqtt_trie *trie, struct kmqtt_node *node);

/* Bytes of the topic filter of @node, share name not included. */
u32 kmqtt_trie_filter_len(const struct kmqtt_node *node);
/* Write that filter; @buf has kmqtt_trie_filter_len() bytes. */
void kmqtt_trie_filter_put(const struct kmqtt_node *node, u8 *buf, u32 len);

/* Generation of the names and filters that share the first level of @topic. */
u16 kmqtt_trie_gen(const struct kmqtt_trie *trie, const u8 *topic, u16 len);

/**
 * kmqtt_trie_walk() - visit the nodes whose filters match a Topic Name
 * @trie: the trie
 * @topic: checked Topic Name
 * @len: its length
 * @visit: called for each; groups of the node belong to the visit; returns 0
 *	or an error that ends the walk
 * @ctx: its first argument
 *
 * Context: under rcu_read_lock().
 * Return: 0, -E2BIG after KMQTT_TRIE_VISITS_MAX nodes, or what @visit returned.
 */
int kmqtt_trie_walk(struct kmqtt_trie *trie, const u8 *topic, u16 len,
		    int (*visit)(void *ctx, struct kmqtt_node *node), void *ctx);

#endif /* KMQTT_FIB_TRIE_H */
