/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's configuration: mosquitto.conf's format and option names.
 * conf-table.c lists the options, conf.c reads files.
 */
#ifndef MQTTD_CONF_H
#define MQTTD_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "log.h"
#include "store.h"

#define CONF_LISTENERS_MAX	64
#define CONF_BUFFER_MIN		4096
#define CONF_BUFFER_MAX		(512 << 20)

/**
 * struct conf_security - who may connect
 *
 * Global, or of each listener with per_listener_settings.
 *
 * @allow_anonymous: a client without user name may connect
 * @allow_anonymous_set: the configuration says so; else it follows from
 *	whether we listen on loopback only
 * @password_file: path, or NULL
 * @allow_zero_length_clientid: the broker makes an id for who brings none
 * @auto_id_prefix: what such an id starts with
 */
struct conf_security {
	bool allow_anonymous;
	bool allow_anonymous_set;
	char *password_file;
	bool allow_zero_length_clientid;
	char *auto_id_prefix;
};

/**
 * struct conf_listener - one listener
 *
 * @port: TCP port
 * @bind_address: name or address to bind to, NULL for all
 * @bind_interface: network interface to bind to, or NULL
 * @socket_domain: AF_INET, AF_INET6 or AF_UNSPEC for both
 * @local_only: made by default: bound to loopback
 * @mount_point: put before the topics of its clients, or NULL
 * @max_connections: -1 is no limit
 * @max_qos: 0-2
 * @max_topic_alias: our Topic Alias Maximum, 0 for none
 * @receive_buffer: bytes the kernel may hold of what a client sent
 * @send_buffer: bytes it may hold of what a client is sent, apart from queues
 * @disconnect_slow: who does not read is disconnected instead of messages
 *	being dropped
 * @use_username_as_clientid: the user name replaces the client id
 * @security: in force here, whether it was set here or globally
 * @line: where it was defined, 0 for the default listener
 */
struct conf_listener {
	uint16_t port;
	char *bind_address;
	char *bind_interface;
	int socket_domain;
	bool local_only;
	char *mount_point;
	int max_connections;
	uint8_t max_qos;
	uint16_t max_topic_alias;
	uint32_t receive_buffer;
	uint32_t send_buffer;
	bool disconnect_slow;
	bool use_username_as_clientid;
	struct conf_security security;
	unsigned int line;
};

/**
 * struct conf - the whole configuration
 *
 * Names are those of the options; those that mosquitto.conf(5) does not know
 * are described in mqttd.conf(5).  0 means no limit where an option says so.
 */
struct conf {
	char *path;

	struct conf_security security;
	bool per_listener_settings;

	bool allow_long_clientid_31;
	bool connection_messages;
	bool queue_qos0_messages;
	bool retain_available;
	bool set_tcp_nodelay;
	bool upgrade_outgoing_qos;

	uint32_t max_inflight_messages;		/* 0: no limit */
	uint32_t max_inflight_bytes;		/* 0: no limit */
	uint32_t max_queued_messages;		/* 0: no limit */
	uint32_t max_queued_bytes;		/* 0: no limit */
	uint32_t max_pubrel_wait;		/* seconds; 0: no limit */
	uint32_t retry_interval;		/* seconds; 0: never */
	uint16_t max_keepalive;
	uint32_t max_packet_size;		/* 0: no limit */
	uint64_t memory_limit;			/* 0: no limit */
	uint32_t persistent_client_expiration;	/* seconds; 0: never */
	uint16_t sys_interval;			/* seconds; 0: no $SYS topics */

	struct log_settings log;
	char *pid_file;
	char *control_socket;
	bool persistence;
	char *persistence_file;
	char *persistence_location;
	enum store_sync persistence_sync;
	uint32_t persistence_sync_interval;	/* seconds */

	unsigned int n_listeners;
	struct conf_listener listeners[CONF_LISTENERS_MAX];
};

/**
 * conf_load - read a configuration
 * @path: the file, or NULL for the defaults alone
 * @port: port of the default listener instead of 1883, or 0
 * @report: each problem is written there as a line "FILE:LINE: TEXT"
 *
 * Reads on after a problem, so that all are reported at once.  Returns the
 * configuration, for conf_free(), or NULL if there was any problem.
 */
struct conf *conf_load(const char *path, uint16_t port, FILE *report);

void conf_free(struct conf *conf);

/**
 * conf_keep_fixed - give @next what cannot change while the daemon runs
 *
 * Takes it from the configuration in force and logs each option that differs.
 */
void conf_keep_fixed(struct conf *next);

/**
 * conf_use - make @conf, or none, the one that conf_get() returns
 *
 * Frees the former one: pointers from conf_get() and conf_listener_get() are
 * stale after this.
 */
void conf_use(struct conf *conf);

/* The configuration in force; never NULL after conf_use(). */
const struct conf *conf_get(void);

/* Listener number @index, or NULL if there is none. */
const struct conf_listener *conf_listener_get(unsigned int index);

#endif /* MQTTD_CONF_H */
