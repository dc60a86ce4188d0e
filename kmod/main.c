// SPDX-License-Identifier: GPL-2.0
/* Module init and exit. */

#include <linux/module.h>
#include "acl.h"
#include "conn.h"
#include "fib.h"
#include "netlink.h"
#include "netns.h"
#include "worker.h"

static int __init kmqtt_init(void)
{
	int err;

	err = kmqtt_fib_init();
	if (err)
		return err;
#ifdef DEBUG
	err = -ENOTRECOVERABLE;
	if (!kmqtt_acl_selftest() || !kmqtt_fib_selftest())
		goto err_fib;
#endif
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
