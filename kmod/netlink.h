/* SPDX-License-Identifier: GPL-2.0 */
/* The generic netlink family: the only file that knows the daemon. */
#ifndef KMQTT_NETLINK_H
#define KMQTT_NETLINK_H

#include <linux/types.h>
#include <net/genetlink.h>
#include "uapi/kmqtt.h"

struct kmqtt_conn;
struct kmqtt_net;

extern struct genl_family kmqtt_genl_family;

/* Send READY to the owner; may sleep.  false: no memory, and it cannot know. */
bool kmqtt_netlink_ready(struct kmqtt_net *kn, u32 portid);
/* Tell the monitor group of a connection; may sleep. */
void kmqtt_netlink_monitor(struct kmqtt_conn *conn, u8 type, u8 cause);
/*
 * Drop the pieces of an unfinished DELIVER or INJECT.  Under kn->lock, or at the
 * end of the namespace, when no command can come any more.
 */
void kmqtt_stage_free(struct kmqtt_net *kn);

/*
 * Binary attributes too long for one come in parts, one after the other: their
 * length together, 0 without any, and their bytes.
 */
u32 kmqtt_nl_parts_len(struct genl_info *info, int type);
void kmqtt_nl_parts_copy(struct genl_info *info, int type, u8 *dst);

/* Module init, last: commands come from now on.  0 or -errno. */
int kmqtt_netlink_init(void);
void kmqtt_netlink_exit(void);

#endif /* KMQTT_NETLINK_H */
