/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections as the kernel shows them.
 */
#ifndef MQTTCTL_CONN_H
#define MQTTCTL_CONN_H

#include <stdint.h>

#include <cjson/cJSON.h>

#include "nl.h"

/* Names of enum kmqtt_conn_state and enum kmqtt_close_cause. */
const char *conn_state_name(uint8_t state);
const char *conn_cause_name(uint8_t cause);

/* Name of a protocol level: "3.1", "3.1.1", "5.0", or "-". */
const char *conn_protocol_name(uint8_t level);

/* All that CONN_GET says of a connection. */
cJSON *conn_json(struct nlattr **attrs);

/**
 * conn_find - find a connection by client id, or by its number
 * @nl: the family
 * @id: what the user wrote
 * @found: its JSON, NULL if there is none; for cJSON_Delete()
 *
 * A client id that looks like a number goes before the connection of that
 * number.  Returns an exit status.
 */
int conn_find(struct nl *nl, const char *id, cJSON **found);

/* Members of conn_json(). */
uint64_t conn_number(const cJSON *conn);
const char *conn_client_id(const cJSON *conn);

/* One route as JSON, and the list of all, or of one connection's if not 0. */
cJSON *route_json(struct nlattr **attrs);
int route_list(struct nl *nl, uint64_t conn, cJSON *array);

#endif /* MQTTCTL_CONN_H */
