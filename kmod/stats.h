/* SPDX-License-Identifier: GPL-2.0 */
/* Counters of a namespace, per CPU. */
#ifndef KMQTT_STATS_H
#define KMQTT_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>
#include "uapi/kmqtt.h"

/* Counter, and its name as `mqttctl stats` shows it. */
#define KMQTT_STATS(X)							\
	X(BYTES_RX, "bytes_received")					\
	X(BYTES_TX, "bytes_sent")					\
	X(PACKETS_RX, "packets_received")				\
	X(PUBLISH_RX, "publish_received")				\
	X(PUBLISH_ROUTED, "publish_routed_kernel")			\
	X(PUBLISH_PUNTED, "publish_punted")				\
	X(PUBLISH_INJECTED, "publish_injected")				\
	X(PUBLISH_SENT, "publish_queued")				\
	X(PUBLISH_DELIVERED, "publish_delivered")			\
	X(DROPPED_FULL, "publish_dropped_queue_full")			\
	X(DROPPED_LARGE, "publish_dropped_too_large")			\
	X(DROPPED_EXPIRED, "publish_dropped_expired")			\
	X(DROPPED_MEMORY, "publish_dropped_no_memory")			\
	X(DENIED_WRITE, "publish_denied_write")				\
	X(PINGREQ, "pingreq_received")					\
	X(EVENTS, "events")						\
	X(CONN_ATTACHED, "connections_attached")			\
	X(CONN_ACCEPTED, "connections_accepted")

enum kmqtt_stat {
#define KMQTT_STAT_ENUM(id, name) KMQTT_STAT_##id,
	KMQTT_STATS(KMQTT_STAT_ENUM)
#undef KMQTT_STAT_ENUM
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
