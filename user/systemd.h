/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What mqttd tells systemd and asks it.  Without libsystemd, or not started
 * by it, nothing is told and the answer is no.
 */
#ifndef MQTTD_SYSTEMD_H
#define MQTTD_SYSTEMD_H

#include <stdbool.h>
#include <stdint.h>

void systemd_ready(void);
void systemd_reloading(void);
void systemd_stopping(void);
void systemd_alive(void);

/* How often systemd_alive() has to be called, in microseconds; 0: never. */
uint64_t systemd_watchdog_usec(void);

/* Are we stopped by a job that will start us again? */
bool systemd_restarting(void);

#endif /* MQTTD_SYSTEMD_H */
