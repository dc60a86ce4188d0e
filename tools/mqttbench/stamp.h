/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time stamp in a payload: eight bytes that tell our messages from
 * others', then the time it was due. Host byte order: both ends are here.
 */
#ifndef MQTTBENCH_STAMP_H
#define MQTTBENCH_STAMP_H

#include <linux/types.h>
#include <string.h>

#define STAMP_MAGIC	"mqbstamp"
#define STAMP_LEN	16

static inline void stamp_write(__u8 *payload, __u64 ns)
{
	memcpy(payload, STAMP_MAGIC, 8);
	memcpy(payload + 8, &ns, 8);
}

/* Returns 0 if the message is not ours. */
static inline __u64 stamp_read(const __u8 *payload)
{
	__u64 ns;

	if (memcmp(payload, STAMP_MAGIC, 8))
		return 0;
	memcpy(&ns, payload + 8, 8);
	return ns;
}

#endif
