// SPDX-License-Identifier: GPL-2.0
/* Counters of a namespace: names and the sum over all CPUs. */

#include <linux/mm.h>
#include <net/netlink.h>
#include "fib.h"
#include "netns.h"
#include "stats.h"

const char *const kmqtt_stat_names[KMQTT_STAT_N] = {
	[KMQTT_STAT_BYTES_RX] = "bytes_received",
	[KMQTT_STAT_BYTES_TX] = "bytes_sent",
	[KMQTT_STAT_PACKETS_RX] = "packets_received",
	[KMQTT_STAT_PACKETS_TX] = "packets_sent",
	[KMQTT_STAT_PUBLISH_RX] = "publish_received",
	[KMQTT_STAT_PUBLISH_TX] = "publish_sent",
	[KMQTT_STAT_PAYLOAD_RX] = "payload_bytes_received",
	[KMQTT_STAT_PAYLOAD_TX] = "payload_bytes_sent",
	[KMQTT_STAT_PUBLISH_ROUTED] = "publish_routed_kernel",
	[KMQTT_STAT_PUBLISH_DIRECT] = "publish_routed_directly",
	[KMQTT_STAT_PUBLISH_PUNTED] = "publish_punted",
	[KMQTT_STAT_PUBLISH_INJECTED] = "publish_injected",
	[KMQTT_STAT_PUBLISH_SENT] = "publish_queued",
	[KMQTT_STAT_PUBLISH_DELIVERED] = "publish_delivered",
	[KMQTT_STAT_DROPPED_FULL] = "publish_dropped_queue_full",
	[KMQTT_STAT_DROPPED_LARGE] = "publish_dropped_too_large",
	[KMQTT_STAT_DROPPED_EXPIRED] = "publish_dropped_expired",
	[KMQTT_STAT_DROPPED_MEMORY] = "publish_dropped_no_memory",
	[KMQTT_STAT_DENIED_WRITE] = "publish_denied_write",
	[KMQTT_STAT_PINGREQ] = "pingreq_received",
	[KMQTT_STAT_EVENTS] = "events",
	[KMQTT_STAT_CONN_ATTACHED] = "connections_attached",
	[KMQTT_STAT_CONN_ACCEPTED] = "connections_accepted",
};

const char *const kmqtt_close_names[KMQTT_CLOSE_MAX + 1] = {
	[KMQTT_CLOSE_DISCONNECT] = "closed_disconnect",
	[KMQTT_CLOSE_EOF] = "closed_eof",
	[KMQTT_CLOSE_ERROR] = "closed_error",
	[KMQTT_CLOSE_KEEPALIVE] = "closed_keepalive",
	[KMQTT_CLOSE_CONNECT_TIMEOUT] = "closed_connect_timeout",
	[KMQTT_CLOSE_MALFORMED] = "closed_malformed",
	[KMQTT_CLOSE_PROTOCOL] = "closed_protocol_error",
	[KMQTT_CLOSE_TOO_LARGE] = "closed_packet_too_large",
	[KMQTT_CLOSE_TOPIC_INVALID] = "closed_topic_name_invalid",
	[KMQTT_CLOSE_ALIAS_INVALID] = "closed_topic_alias_invalid",
	[KMQTT_CLOSE_QOS] = "closed_qos_not_supported",
	[KMQTT_CLOSE_RETAIN] = "closed_retain_not_supported",
	[KMQTT_CLOSE_RECEIVE_MAX] = "closed_receive_maximum",
	[KMQTT_CLOSE_QUOTA] = "closed_quota",
	[KMQTT_CLOSE_SLOW] = "closed_slow",
	[KMQTT_CLOSE_DAEMON] = "closed_by_daemon",
	[KMQTT_CLOSE_TAKEOVER] = "closed_session_taken_over",
	[KMQTT_CLOSE_DAEMON_GONE] = "closed_daemon_gone",
	[KMQTT_CLOSE_SHUTDOWN] = "closed_shutdown",
};

static int stat_put(struct sk_buff *skb, const char *name, u64 value)
{
	struct nlattr *nest = nla_nest_start(skb, KMQTT_A_STAT);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_string(skb, KMQTT_AN_NAME, name) ||
	    nla_put_u64_64bit(skb, KMQTT_AN_VALUE, value, KMQTT_AN_PAD)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static u64 stat_sum(const struct kmqtt_net *kn, unsigned int i)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(kn->stats, cpu)->n[i]);
	return sum;
}

static u64 stat_sum_close(const struct kmqtt_net *kn, unsigned int i)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(kn->stats, cpu)->close[i]);
	return sum;
}

int kmqtt_stats_put(struct kmqtt_net *kn, struct sk_buff *skb)
{
	u64 routes, filters, cached;
	unsigned int i;

	kmqtt_fib_counts(kn->fib, &routes, &filters, &cached);
	if (stat_put(skb, "connections", atomic_read(&kn->conn_count)) ||
	    stat_put(skb, "routes", routes) ||
	    stat_put(skb, "filters", filters) ||
	    stat_put(skb, "cached_topics", cached) ||
	    stat_put(skb, "memory", atomic64_read(&kn->mem)))
		return -EMSGSIZE;
	for (i = 0; i < KMQTT_STAT_N; i++)
		if (stat_put(skb, kmqtt_stat_names[i], stat_sum(kn, i)))
			return -EMSGSIZE;
	for (i = 1; i <= KMQTT_CLOSE_MAX; i++)
		if (stat_put(skb, kmqtt_close_names[i], stat_sum_close(kn, i)))
			return -EMSGSIZE;
	return 0;
}
