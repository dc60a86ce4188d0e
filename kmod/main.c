// SPDX-License-Identifier: GPL-2.0
/* Module init and exit. */

#include <linux/module.h>
#include "acl.h"
#include "conn.h"
#include "fib.h"
#include "netlink.h"
#include "netns.h"
#include "worker.h"

/* Connection ids are indices of an XArray and never used again: 64 bits. */
#if BITS_PER_LONG != 64
#error "kmqtt needs a 64-bit kernel"
#endif

#ifdef DEBUG
/* On demand: on a debug kernel they take seconds. */
static bool selftest;
module_param(selftest, bool, 0444);
MODULE_PARM_DESC(selftest, "Test FIB and ACL first; do not load if that fails");

static bool __init kmqtt_selftest(void)
{
	return !selftest || (kmqtt_acl_selftest() && kmqtt_fib_selftest());
}
#else
static bool __init kmqtt_selftest(void)
{
	return true;
}
#endif

static int __init kmqtt_init(void)
{
	int err;

	err = kmqtt_fib_init();
	if (err)
		return err;
	err = -ENOTRECOVERABLE;
	if (!kmqtt_selftest())
		goto err_fib;
	err = kmqtt_conn_init();
	if (err)
		goto err_fib;
	err = kmqtt_workers_init();
	if (err)
		goto err_conn;
	err = kmqtt_netns_init();
	if (err)
		goto err_workers;
	err = kmqtt_netlink_init();
	if (err)
		goto err_netns;
	return 0;

err_netns:
	kmqtt_netns_exit();
err_workers:
	kmqtt_workers_exit();
err_conn:
	kmqtt_conn_exit();
err_fib:
	kmqtt_fib_exit();
	return err;
}

/*
 * No new commands; then every namespace closes its connections and waits for
 * them; then nothing kicks a worker any more; then what RCU still frees.
 */
static void __exit kmqtt_exit(void)
{
	kmqtt_netlink_exit();
	kmqtt_netns_exit();
	kmqtt_workers_exit();
	kmqtt_conn_exit();
	kmqtt_fib_exit();
}

module_init(kmqtt_init);
module_exit(kmqtt_exit);

MODULE_DESCRIPTION("MQTT broker data plane");
MODULE_LICENSE("GPL");
MODULE_ALIAS_GENL_FAMILY(KMQTT_GENL_NAME);
