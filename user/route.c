// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Routes: subscriptions as the kernel knows them.
 */
#include <stdlib.h>
#include <string.h>

#include "kmqtt.h"
#include "mem.h"
#include "rib.h"
#include "route.h"
#include "topic.h"

int route_name_make(struct route_name *name, const char *mount,
		    const struct packet_str *filter)
{
	const __u8 *s = filter->p, *share = NULL;
	size_t len = filter->len, share_len = 0, mount_len = strlen(mount);
	int reason;

	reason = kmqtt_share_split(&s, &len, &share, &share_len);
	if (!reason)
		reason = kmqtt_topic_filter_check(s, len);
	if (!reason && mount_len + len > KMQTT_TOPIC_MAX)
		reason = KMQTT_RC_TOPIC_FILTER_INVALID;
	if (reason)
		return reason;
	name->share = share ? mem_strndup(share, share_len) : NULL;
	name->filter = mem_zalloc(mount_len + len + 1);
	memcpy(name->filter, mount, mount_len);
	memcpy(name->filter + mount_len, s, len);
	return 0;
}

void route_name_free(struct route_name *name)
{
	free(name->share);
	free(name->filter);
}

static void begin_add(uint64_t conn, const struct subscription *sub, uint32_t flags)
{
	nl_begin(KMQTT_CMD_ROUTE_ADD);
	nl_put_u64(KMQTT_A_CONN, conn);
	nl_put(KMQTT_A_FILTER, sub->filter, strlen(sub->filter));
	if (sub->share)
		nl_put(KMQTT_A_SHARE, sub->share, strlen(sub->share));
	nl_put_u32(KMQTT_A_ROUTE_FLAGS, sub->flags | flags);
	nl_put_u8(KMQTT_A_MAX_QOS, sub->qos);
	if (sub->subid)
		nl_put_u32(KMQTT_A_SUBID, sub->subid);
}

void route_add(uint64_t conn, const struct subscription *sub, uint32_t flags,
	       nl_done_t done, void *arg)
{
	begin_add(conn, sub, flags);
	nl_end(done, arg);
}

void route_confirm(uint64_t conn, const struct subscription *sub, uint64_t token,
		   nl_done_t done, void *arg)
{
	/* A change of the target to itself: changes of targets have completions. */
	begin_add(conn, sub, 0);
	nl_put_u64(KMQTT_A_OLD_CONN, conn);
	nl_put_u64(KMQTT_A_TOKEN, token);
	nl_end(done, arg);
}

void route_del(uint64_t conn, const struct route_name *name, uint64_t token,
	       nl_done_t done, void *arg)
{
	nl_begin(KMQTT_CMD_ROUTE_DEL);
	nl_put_u64(KMQTT_A_CONN, conn);
	nl_put(KMQTT_A_FILTER, name->filter, strlen(name->filter));
	if (name->share)
		nl_put(KMQTT_A_SHARE, name->share, strlen(name->share));
	if (token)
		nl_put_u64(KMQTT_A_TOKEN, token);
	nl_end(done, arg);
}
