/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of named numbers: statistics and parameters.
 */
#ifndef MQTTCTL_NAMED_H
#define MQTTCTL_NAMED_H

#include <cjson/cJSON.h>

#include "nl.h"

/**
 * named_get - ask for a list of named numbers
 * @object: the numbers are added to it by their names
 * @cmd: STATS_GET or PARAM_GET
 * @attr: the attribute that repeats
 *
 * Returns an exit status.
 */
int named_get(struct cJSON *object, uint8_t cmd, uint16_t attr);

/* Print as a table, or JSON, and free; returns an exit status. */
int named_print(cJSON *object);

#endif /* MQTTCTL_NAMED_H */
