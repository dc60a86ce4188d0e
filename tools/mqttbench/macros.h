/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's small macros that a C library does not have. */
#ifndef MQTTBENCH_MACROS_H
#define MQTTBENCH_MACROS_H

#include <stddef.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define __printf(fmt, args)	__attribute__((format(printf, fmt, args)))

#endif
