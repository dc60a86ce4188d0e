/* SPDX-License-Identifier: GPL-2.0 */
/* Counters of a namespace, per CPU. */
#ifndef KMQTT_STATS_H
#define KMQTT_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>
#include "uapi/kmqtt.h"

/* Counters; their names are in stats.c, their meaning in mqttctl(8). */
enum kmqtt_stat {
	KMQTT_STAT_BYTES_RX,
	KMQTT_STAT_BYTES_TX,
	KMQTT_STAT_PACKETS_RX,
	KMQTT_STAT_PACKETS_TX,
	KMQTT_STAT_PUBLISH_RX,
	KMQTT_STAT_PUBLISH_TX,
	KMQTT_STAT_PAYLOAD_RX,
	KMQTT_STAT_PAYLOAD_TX,
	KMQTT_STAT_PUBLISH_ROUTED,
	KMQTT_STAT_PUBLISH_DIRECT,
	KMQTT_STAT_PUBLISH_PUNTED,
	KMQTT_STAT_PUBLISH_INJECTED,
	KMQTT_STAT_PUBLISH_SENT,
	KMQTT_STAT_PUBLISH_DELIVERED,
	KMQTT_STAT_DROPPED_FULL,
	KMQTT_STAT_DROPPED_LARGE,
	KMQTT_STAT_DROPPED_EXPIRED,
	KMQTT_STAT_DROPPED_MEMORY,
	KMQTT_STAT_DENIED_WRITE,
	KMQTT_STAT_PINGREQ,
	KMQTT_STAT_EVENTS,
	KMQTT_STAT_CONN_ATTACHED,
	KMQTT_STAT_CONN_ACCEPTED,
	KMQTT_STAT_N,
};

/**
 * struct kmqtt_stats - one CPU's counters
 * @n: by enum kmqtt_stat
 * @close: closes by enum kmqtt_close_cause
 */
struct kmqtt_stats {
	u64 n[KMQTT_STAT_N];
	u64 close[KMQTT_CLOSE_MAX + 1];
};

extern const char *const kmqtt_stat_names[KMQTT_STAT_N];
extern const char *const kmqtt_close_names[KMQTT_CLOSE_MAX + 1];

#define kmqtt_stat_add(kn, id, val) \
	this_cpu_add((kn)->stats->n[KMQTT_STAT_##id], val)
#define kmqtt_stat_inc(kn, id) kmqtt_stat_add(kn, id, 1)

struct kmqtt_net;
struct sk_buff;
/* Put all statistics as KMQTT_A_STAT nests; -EMSGSIZE. */
int kmqtt_stats_put(struct kmqtt_net *kn, struct sk_buff *skb);

#endif /* KMQTT_STATS_H */
