/* SPDX-License-Identifier: GPL-2.0 */
/* The reading commands of the netlink family. */
#ifndef KMQTT_DUMP_H
#define KMQTT_DUMP_H

#include <linux/types.h>

struct genl_info;
struct netlink_callback;
struct sk_buff;

/* What one route takes at most in a message. */
static inline u32 kmqtt_route_dump_size(u32 filter_len, u32 share_len)
{
	return 512 + filter_len + share_len;
}

/*
 * Handlers of the commands of their names, as struct genl_ops wants them.
 * Process context; they take the locks they need.
 */
int kmqtt_nl_conn_get(struct sk_buff *skb, struct genl_info *info);
int kmqtt_nl_conn_dump_start(struct netlink_callback *cb);
int kmqtt_nl_conn_dump(struct sk_buff *skb, struct netlink_callback *cb);
int kmqtt_nl_route_dump_start(struct netlink_callback *cb);
int kmqtt_nl_route_dump(struct sk_buff *skb, struct netlink_callback *cb);
int kmqtt_nl_events_dump(struct sk_buff *skb, struct netlink_callback *cb);
int kmqtt_nl_stats_get(struct sk_buff *skb, struct genl_info *info);
int kmqtt_nl_param_get(struct sk_buff *skb, struct genl_info *info);

#endif /* KMQTT_DUMP_H */
