// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All options of mqttd.conf, and the reading of those values that are more
 * than a number, a truth value or a string.
 */
#include "conf-table.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "array.h"
#include "frame.h"
#include "kmqtt.h"
#include "mem.h"
#include "topic.h"

#define PACKET_MAX	268435460LL	/* largest packet that MQTT knows */
#define SECONDS_MAX	86400

/* A fixed word and the bit it stands for. */
struct word {
	const char *name;
	unsigned int bits;
};

static const struct word *word_find(const struct word *words, size_t n,
				    const char *s)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(words[i].name, s))
			return &words[i];
	return NULL;
}

/* Cut the first word off @s; returns what follows it, "" if nothing does. */
static char *split_word(char *s)
{
	s += strcspn(s, " \t");
	if (!*s)
		return s;
	*s++ = '\0';
	return s + strspn(s, " \t");
}

/* ---- listeners ---------------------------------------------------------- */

static bool parse_port(struct conf_parser *p, const char *s, uint16_t *port)
{
	long long n;

	if (!conf_number(s, 1, 65535, &n)) {
		conf_problem(p, "\"%s\" is not a port; give a number from 1 to 65535",
			     s);
		return false;
	}
	*port = n;
	return true;
}

static void parse_listener(struct conf_parser *p, const struct conf_option *opt,
			   char *value)
{
	struct conf *conf = p->conf;
	struct conf_listener *lst;
	char *address = split_word(value);
	uint16_t port;

	if (!strcmp(value, "0") && *address == '/') {
		conf_problem(p, "a listener on a unix socket is not supported; give a port");
		return;
	}
	if (!parse_port(p, value, &port))
		return;
	if (conf->n_listeners == CONF_LISTENERS_MAX) {
		conf_problem(p, "more than %d listeners; remove some",
			     CONF_LISTENERS_MAX);
		return;
	}
	lst = &conf->listeners[conf->n_listeners++];
	conf_listener_init(lst, port);
	lst->line = p->line;
	if (*address)
		lst->bind_address = mem_strndup(address, strlen(address));
	p->cur = lst;
}

static void parse_fallback_port(struct conf_parser *p,
				const struct conf_option *opt, char *value)
{
	if (parse_port(p, value, &p->fallback.port))
		p->fallback_wanted = true;
	p->fallback.line = p->line;
}

static void parse_bind_address(struct conf_parser *p,
			       const struct conf_option *opt, char *value)
{
	free(p->fallback.bind_address);
	p->fallback.bind_address = mem_strndup(value, strlen(value));
	p->fallback_wanted = true;
	p->fallback.line = p->line;
}

static void parse_socket_domain(struct conf_parser *p,
				const struct conf_option *opt, char *value)
{
	static const struct word domains[] = {
		{ "ipv4", AF_INET },
		{ "ipv6", AF_INET6 },
	};
	const struct word *w = word_find(domains, ARRAY_SIZE(domains), value);

	if (w)
		p->cur->socket_domain = w->bits;
	else
		conf_problem(p, "socket_domain is \"ipv4\" or \"ipv6\", not \"%s\"",
			     value);
}

static void parse_slow_consumer(struct conf_parser *p,
				const struct conf_option *opt, char *value)
{
	static const struct word words[] = {
		{ "drop", false },
		{ "disconnect", true },
	};
	const struct word *w = word_find(words, ARRAY_SIZE(words), value);

	if (w)
		p->cur->disconnect_slow = w->bits;
	else
		conf_problem(p, "slow_consumer is \"drop\" or \"disconnect\", not \"%s\"",
			     value);
}

static void parse_mount_point(struct conf_parser *p,
			      const struct conf_option *opt, char *value)
{
	size_t len = strlen(value);

	if (len > KMQTT_MOUNT_POINT_MAX) {
		conf_problem(p, "mount_point is longer than %d bytes",
			     KMQTT_MOUNT_POINT_MAX);
		return;
	}
	if (kmqtt_topic_name_check((const __u8 *)value, len)) {
		conf_problem(p,
			     "mount_point \"%s\" cannot begin a topic; use UTF-8 without + and #",
			     value);
		return;
	}
	free(p->cur->mount_point);
	p->cur->mount_point = mem_strndup(value, len);
}

/* ---- security ----------------------------------------------------------- */

static void parse_allow_anonymous(struct conf_parser *p,
				  const struct conf_option *opt, char *value)
{
	struct conf_security *sec = conf_security_current(p);

	conf_bool(p, opt, value, &sec->allow_anonymous);
	sec->allow_anonymous_set = true;
}

static void parse_per_listener(struct conf_parser *p,
			       const struct conf_option *opt, char *value)
{
	if (p->security_seen)
		conf_problem(p,
			     "per_listener_settings must stand before allow_anonymous, password_file, auto_id_prefix and allow_zero_length_clientid; move it up");
	conf_bool(p, opt, value, &p->conf->per_listener_settings);
}

/* ---- log ---------------------------------------------------------------- */

static void parse_log_dest(struct conf_parser *p, const struct conf_option *opt,
			   char *value)
{
	static const struct word dests[] = {
		{ "stderr", MQTTD_LOG_TO_STDERR },
		{ "stdout", MQTTD_LOG_TO_STDOUT },
		{ "syslog", MQTTD_LOG_TO_SYSLOG },
		{ "file", MQTTD_LOG_TO_FILE },
		{ "none", 0 },
	};
	struct log_settings *log = &p->conf->log;
	char *file = split_word(value);
	const struct word *w = word_find(dests, ARRAY_SIZE(dests), value);

	if (!strcmp(value, "topic") || !strcmp(value, "dlt")) {
		conf_problem(p, "log_dest %s is not supported; use syslog", value);
		return;
	}
	if (!w) {
		conf_problem(p,
			     "unknown log_dest \"%s\"; use stderr, stdout, syslog, file PATH or none",
			     value);
		return;
	}
	if (w->bits == MQTTD_LOG_TO_FILE) {
		if (!*file) {
			conf_problem(p,
				     "log_dest file needs a path: log_dest file /var/log/mqttd.log");
			return;
		}
		free(log->file);
		log->file = mem_strndup(file, strlen(file));
	}
	/* As Mosquitto: what follows "none" counts, what stood before does not. */
	log->dest = w->bits ? log->dest | w->bits : 0;
	log->dest_set = true;
}

static void parse_log_type(struct conf_parser *p, const struct conf_option *opt,
			   char *value)
{
	static const struct word types[] = {
		{ "error", MQTTD_LOG_ERR },
		{ "warning", MQTTD_LOG_WARNING },
		{ "notice", MQTTD_LOG_NOTICE },
		{ "information", MQTTD_LOG_INFO },
		{ "debug", MQTTD_LOG_DEBUG },
		{ "subscribe", MQTTD_LOG_SUBSCRIBE },
		{ "unsubscribe", MQTTD_LOG_UNSUBSCRIBE },
		{ "websockets", MQTTD_LOG_WEBSOCKETS },
		{ "internal", MQTTD_LOG_INTERNAL },
		{ "all", MQTTD_LOG_ALL },
		{ "none", 0 },
	};
	struct log_settings *log = &p->conf->log;
	const struct word *w = word_find(types, ARRAY_SIZE(types), value);

	if (!w) {
		conf_problem(p,
			     "unknown log_type \"%s\"; use error, warning, notice, information, debug, subscribe, unsubscribe, websockets, internal, all or none",
			     value);
		return;
	}
	log->types = w->bits ? log->types | w->bits : 0;
	log->types_set = true;
}

/* ---- others ------------------------------------------------------------- */

static void parse_include_dir(struct conf_parser *p,
			      const struct conf_option *opt, char *value)
{
	if (p->included)
		conf_problem(p, "include_dir works in the main file only; move it there");
	else
		conf_include_dir(p, value);
}

static void parse_sync(struct conf_parser *p, const struct conf_option *opt, char *value)
{
	static const struct word words[] = {
		{ "always", STORE_SYNC_ALWAYS },
		{ "interval", STORE_SYNC_INTERVAL },
		{ "off", STORE_SYNC_OFF },
	};
	const struct word *w = word_find(words, ARRAY_SIZE(words), value);

	if (w)
		p->conf->persistence_sync = w->bits;
	else
		conf_problem(p,
			     "persistence_sync is \"always\", \"interval\" or \"off\", not \"%s\"",
			     value);
}

/* A number and a unit: 14d. */
static void parse_expiration(struct conf_parser *p,
			     const struct conf_option *opt, char *value)
{
	static const struct word units[] = {
		{ "h", 3600 },
		{ "d", 86400 },
		{ "w", 7 * 86400 },
		{ "m", 30 * 86400 },
		{ "y", 365 * 86400 },
	};
	size_t digits = strspn(value, "0123456789");
	const struct word *w = word_find(units, ARRAY_SIZE(units), value + digits);
	long long n;

	value[digits] = '\0';
	if (!w || !conf_number(value, 1, UINT32_MAX / w->bits, &n)) {
		conf_problem(p,
			     "%s is a number from 1 followed by h, d, w, m or y, for example 14d; at most 136 years",
			     opt->name);
		return;
	}
	p->conf->persistent_client_expiration = n * w->bits;
}

/* ---- the table ---------------------------------------------------------- */

#define GLOBAL(n, t, ...) \
	{ .name = #n, .type = t, .scope = CONF_GLOBAL, \
	  .offset = offsetof(struct conf, n), __VA_ARGS__ }
#define LISTENER(n, t, ...) \
	{ .name = #n, .type = t, .scope = CONF_LISTENER, \
	  .offset = offsetof(struct conf_listener, n), __VA_ARGS__ }
#define SECURITY(n, t, ...) \
	{ .name = #n, .type = t, .scope = CONF_SECURITY, \
	  .offset = offsetof(struct conf_security, n), __VA_ARGS__ }
#define LOG(n, field, t, ...) \
	{ .name = #n, .type = t, .scope = CONF_GLOBAL, \
	  .offset = offsetof(struct conf, log.field), __VA_ARGS__ }
#define ALIAS(n, field, t) \
	{ .name = #n, .type = t, .scope = CONF_GLOBAL, \
	  .offset = offsetof(struct conf, field) }
#define PARSE(n, s, f) \
	{ .name = #n, .type = CONF_PARSE, .scope = s, .parse = f }
#define ONLY(n, s, v, w) \
	{ .name = #n, .type = CONF_ONLY, .scope = s, .only = v, .why = w }
#define UNSUPPORTED(n) \
	{ .name = n, .type = CONF_UNSUPPORTED }

const struct conf_option conf_options[] = {
	/* Who may connect. */
	PARSE(per_listener_settings, CONF_GLOBAL, parse_per_listener),
	PARSE(allow_anonymous, CONF_SECURITY, parse_allow_anonymous),
	SECURITY(password_file, CONF_STRING),
	SECURITY(allow_zero_length_clientid, CONF_BOOL),
	SECURITY(auto_id_prefix, CONF_STRING),

	/* Listeners. */
	PARSE(listener, CONF_GLOBAL, parse_listener),
	PARSE(port, CONF_GLOBAL, parse_fallback_port),
	PARSE(bind_address, CONF_GLOBAL, parse_bind_address),
	LISTENER(bind_interface, CONF_STRING),
	PARSE(socket_domain, CONF_LISTENER, parse_socket_domain),
	ONLY(protocol, CONF_LISTENER, "mqtt", "there is none but MQTT over TCP"),
	PARSE(mount_point, CONF_LISTENER, parse_mount_point),
	LISTENER(max_connections, CONF_INT, .min = -1, .max = INT_MAX),
	LISTENER(max_qos, CONF_U8, .max = 2),
	/* Its former name. */
	{ .name = "maximum_qos", .type = CONF_U8, .scope = CONF_LISTENER,
	  .offset = offsetof(struct conf_listener, max_qos), .max = 2 },
	LISTENER(max_topic_alias, CONF_U16, .max = 65535),
	LISTENER(receive_buffer, CONF_U32, .min = CONF_BUFFER_MIN, .max = CONF_BUFFER_MAX),
	LISTENER(send_buffer, CONF_U32, .min = CONF_BUFFER_MIN, .max = CONF_BUFFER_MAX),
	PARSE(slow_consumer, CONF_LISTENER, parse_slow_consumer),
	LISTENER(use_username_as_clientid, CONF_BOOL),

	/* MQTT. */
	GLOBAL(allow_long_clientid_31, CONF_BOOL),
	ONLY(check_retain_source, CONF_GLOBAL, "false", "there is no acl_file to check by"),
	GLOBAL(max_inflight_bytes, CONF_U32, .max = UINT32_MAX),
	GLOBAL(max_inflight_messages, CONF_U32, .max = 65535),
	GLOBAL(max_keepalive, CONF_U16, .min = 10, .max = 65535),
	GLOBAL(max_packet_size, CONF_U32, .min = 20, .max = PACKET_MAX),
	GLOBAL(max_pubrel_wait, CONF_U32, .max = SECONDS_MAX),
	GLOBAL(max_queued_bytes, CONF_U32, .max = UINT32_MAX),
	GLOBAL(max_queued_messages, CONF_U32, .max = UINT32_MAX),
	GLOBAL(memory_limit, CONF_U64, .max = LLONG_MAX),
	ONLY(message_size_limit, CONF_GLOBAL, "0", "max_packet_size is"),
	PARSE(persistent_client_expiration, CONF_GLOBAL, parse_expiration),
	GLOBAL(queue_qos0_messages, CONF_BOOL),
	GLOBAL(retain_available, CONF_BOOL),
	GLOBAL(retry_interval, CONF_U32, .max = SECONDS_MAX),
	GLOBAL(set_tcp_nodelay, CONF_BOOL),
	GLOBAL(sys_interval, CONF_U16, .max = 65535),
	GLOBAL(upgrade_outgoing_qos, CONF_BOOL),

	/* Log. */
	GLOBAL(connection_messages, CONF_BOOL),
	PARSE(log_dest, CONF_GLOBAL, parse_log_dest),
	LOG(log_facility, facility, CONF_INT, .max = 7),
	LOG(log_timestamp, timestamp, CONF_BOOL),
	LOG(log_timestamp_format, timestamp_format, CONF_STRING),
	PARSE(log_type, CONF_GLOBAL, parse_log_type),

	/* The daemon. */
	GLOBAL(control_socket, CONF_STRING),
	PARSE(include_dir, CONF_GLOBAL, parse_include_dir),
	GLOBAL(persistence, CONF_BOOL),
	ALIAS(retained_persistence, persistence, CONF_BOOL),
	GLOBAL(persistence_file, CONF_STRING),
	GLOBAL(persistence_location, CONF_STRING),
	PARSE(persistence_sync, CONF_GLOBAL, parse_sync),
	GLOBAL(persistence_sync_interval, CONF_U32, .min = 1, .max = 3600),
	GLOBAL(pid_file, CONF_STRING),
	ONLY(user, CONF_GLOBAL, "root", "the module serves nobody else"),

	/* What Mosquitto has besides. */
	UNSUPPORTED("acl_file"),
	UNSUPPORTED("address"),
	UNSUPPORTED("addresses"),
	UNSUPPORTED("allow_duplicate_messages"),
	UNSUPPORTED("auth_plugin"),
	UNSUPPORTED("auth_plugin_deny_special_chars"),
	UNSUPPORTED("autosave_interval"),
	UNSUPPORTED("autosave_on_changes"),
	UNSUPPORTED("bridge_alpn"),
	UNSUPPORTED("bridge_attempt_unsubscribe"),
	UNSUPPORTED("bridge_bind_address"),
	UNSUPPORTED("bridge_cafile"),
	UNSUPPORTED("bridge_capath"),
	UNSUPPORTED("bridge_certfile"),
	UNSUPPORTED("bridge_identity"),
	UNSUPPORTED("bridge_insecure"),
	UNSUPPORTED("bridge_keyfile"),
	UNSUPPORTED("bridge_max_packet_size"),
	UNSUPPORTED("bridge_max_topic_alias"),
	UNSUPPORTED("bridge_outgoing_retain"),
	UNSUPPORTED("bridge_protocol_version"),
	UNSUPPORTED("bridge_psk"),
	UNSUPPORTED("bridge_require_ocsp"),
	UNSUPPORTED("bridge_tls_version"),
	UNSUPPORTED("cafile"),
	UNSUPPORTED("capath"),
	UNSUPPORTED("certfile"),
	UNSUPPORTED("ciphers"),
	UNSUPPORTED("ciphers_tls1.3"),
	UNSUPPORTED("cleansession"),
	UNSUPPORTED("clientid"),
	UNSUPPORTED("clientid_prefixes"),
	UNSUPPORTED("connection"),
	UNSUPPORTED("crlfile"),
	UNSUPPORTED("dhparamfile"),
	UNSUPPORTED("http_dir"),
	UNSUPPORTED("idle_timeout"),
	UNSUPPORTED("keepalive_interval"),
	UNSUPPORTED("keyfile"),
	UNSUPPORTED("local_cleansession"),
	UNSUPPORTED("local_clientid"),
	UNSUPPORTED("local_password"),
	UNSUPPORTED("local_username"),
	UNSUPPORTED("notification_topic"),
	UNSUPPORTED("notifications"),
	UNSUPPORTED("notifications_local_only"),
	UNSUPPORTED("password"),
	UNSUPPORTED("plugin"),
	UNSUPPORTED("psk_file"),
	UNSUPPORTED("psk_hint"),
	UNSUPPORTED("remote_clientid"),
	UNSUPPORTED("remote_password"),
	UNSUPPORTED("remote_username"),
	UNSUPPORTED("require_certificate"),
	UNSUPPORTED("restart_timeout"),
	UNSUPPORTED("round_robin"),
	UNSUPPORTED("start_type"),
	UNSUPPORTED("threshold"),
	UNSUPPORTED("tls_engine"),
	UNSUPPORTED("tls_engine_kpass_sha1"),
	UNSUPPORTED("tls_keyform"),
	UNSUPPORTED("tls_version"),
	UNSUPPORTED("topic"),
	UNSUPPORTED("try_private"),
	UNSUPPORTED("use_identity_as_username"),
	UNSUPPORTED("use_subject_as_username"),
	UNSUPPORTED("username"),
	UNSUPPORTED("websockets_headers_size"),
	UNSUPPORTED("websockets_log_level"),
};

const size_t conf_n_options = ARRAY_SIZE(conf_options);

const struct conf_option *conf_option_find(const char *name)
{
	size_t i;

	for (i = 0; i < conf_n_options; i++)
		if (!strcmp(conf_options[i].name, name))
			return &conf_options[i];
	return NULL;
}
