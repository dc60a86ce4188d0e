/* SPDX-License-Identifier: GPL-2.0 */
/* Before 6.6 the attributes of a dump come from another structure; before 6.2
 * what pre_doit is given had no name of its own.
 */
#ifndef KMQTT_COMPAT_NET_GENETLINK_H
#define KMQTT_COMPAT_NET_GENETLINK_H

#include_next <net/genetlink.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define genl_info_dump(cb) genl_dumpit_info(cb)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define genl_split_ops genl_ops
#endif

#endif /* KMQTT_COMPAT_NET_GENETLINK_H */
