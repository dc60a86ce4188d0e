// SPDX-License-Identifier: GPL-2.0
/* kmqtt: load and unload of the module. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int __init kmqtt_init(void)
{
	pr_info("loaded\n");
	return 0;
}

static void __exit kmqtt_exit(void)
{
	pr_info("unloaded\n");
}

module_init(kmqtt_init);
module_exit(kmqtt_exit);
MODULE_DESCRIPTION("MQTT data path");
MODULE_LICENSE("GPL");
