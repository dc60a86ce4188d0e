/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Re-adoption: a new daemon takes over the connections of the one before.
 */
#ifndef MQTTD_READOPT_H
#define MQTTD_READOPT_H

/*
 * After DAEMON_BIND and before anything else: rebuild clients, sessions and
 * RIB from what the kernel holds, and handle the events that the daemon before
 * did not acknowledge.  0 or -errno.
 */
int readopt(void);

#endif /* MQTTD_READOPT_H */
