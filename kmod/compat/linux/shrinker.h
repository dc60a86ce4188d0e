/* SPDX-License-Identifier: GPL-2.0 */
/* shrinker_alloc() and friends of 6.7 for older kernels. */
#ifndef KMQTT_COMPAT_LINUX_SHRINKER_H
#define KMQTT_COMPAT_LINUX_SHRINKER_H

#include_next <linux/shrinker.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)

#include <linux/slab.h>

static inline struct shrinker *shrinker_alloc(unsigned int flags,
					      const char *fmt, ...)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (shrinker)
		shrinker->flags = flags;
	return shrinker;
}

/* A failure leaves it unregistered, which unregister_shrinker() knows. */
static inline void shrinker_register(struct shrinker *shrinker)
{
	if (register_shrinker(shrinker, KBUILD_MODNAME))
		pr_warn("no memory to register the shrinker\n");
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}

#endif

#endif /* KMQTT_COMPAT_LINUX_SHRINKER_H */
