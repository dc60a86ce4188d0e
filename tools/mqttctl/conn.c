// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections as the kernel shows them.
 */
#include "conn.h"

#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* ---- names -------------------------------------------------------------- */

static const char *name_of(const char * const *names, size_t n, size_t i)
{
	return i < n && names[i] ? names[i] : "unknown";
}

const char *conn_state_name(uint8_t state)
{
	static const char * const names[] = {
		[KMQTT_STATE_CONNECTING] = "connecting",
		[KMQTT_STATE_OPEN] = "open",
		[KMQTT_STATE_CLOSING] = "closing",
		[KMQTT_STATE_CLOSED] = "closed",
	};

	return name_of(names, ARRAY_SIZE(names), state);
}

const char *conn_cause_name(uint8_t cause)
{
	static const char * const names[] = {
		[KMQTT_CLOSE_NONE] = "none",
		[KMQTT_CLOSE_DISCONNECT] = "disconnect",
		[KMQTT_CLOSE_EOF] = "eof",
		[KMQTT_CLOSE_ERROR] = "socket-error",
		[KMQTT_CLOSE_KEEPALIVE] = "keepalive",
		[KMQTT_CLOSE_CONNECT_TIMEOUT] = "connect-timeout",
		[KMQTT_CLOSE_MALFORMED] = "malformed",
		[KMQTT_CLOSE_PROTOCOL] = "protocol",
		[KMQTT_CLOSE_TOO_LARGE] = "too-large",
		[KMQTT_CLOSE_TOPIC_INVALID] = "topic-invalid",
		[KMQTT_CLOSE_ALIAS_INVALID] = "alias-invalid",
		[KMQTT_CLOSE_QOS] = "qos",
		[KMQTT_CLOSE_RETAIN] = "retain",
		[KMQTT_CLOSE_RECEIVE_MAX] = "receive-max",
		[KMQTT_CLOSE_QUOTA] = "quota",
		[KMQTT_CLOSE_SLOW] = "slow",
		[KMQTT_CLOSE_DAEMON] = "daemon",
		[KMQTT_CLOSE_TAKEOVER] = "takeover",
		[KMQTT_CLOSE_DAEMON_GONE] = "daemon-gone",
		[KMQTT_CLOSE_SHUTDOWN] = "shutdown",
	};

	return name_of(names, ARRAY_SIZE(names), cause);
}

const char *conn_protocol_name(uint8_t level)
{
	static const char * const names[] = {
		[0] = "-", [3] = "3.1", [4] = "3.1.1", [5] = "5.0",
	};

	return name_of(names, ARRAY_SIZE(names), level);
}

/* ---- connections -------------------------------------------------------- */

/* What is empty says nothing, like what is absent. */
static void add_bytes(cJSON *obj, const char *name, const struct nlattr *attr)
{
	size_t len;

	if (!attr || !mnl_attr_get_payload_len(attr))
		return;
	len = mnl_attr_get_payload_len(attr);
	cJSON_AddItemToObject(obj, name,
			      ctl_json_bytes(mnl_attr_get_payload(attr), len));
}

/* A string of the kernel: its final NUL is none of our business. */
static void add_string(cJSON *obj, const char *name, const struct nlattr *attr)
{
	const char *s;

	if (!attr)
		return;
	s = mnl_attr_get_payload(attr);
	cJSON_AddItemToObject(obj, name,
			      ctl_json_bytes(s, strnlen(s, mnl_attr_get_payload_len(attr))));
}

static void add_number(cJSON *obj, const char *name, const struct nlattr *attr)
{
	double n = 0;

	if (!attr)
		return;
	switch (mnl_attr_get_payload_len(attr)) {
	case 1:
		n = nl_u8(attr);
		break;
	case 2:
		n = nl_u16(attr);
		break;
	case 4:
		n = nl_u32(attr);
		break;
	case 8:
		n = nl_u64(attr);
		break;
	}
	cJSON_AddNumberToObject(obj, name, n);
}

/* The names of the bits that are set, as an array. */
static void add_flags(cJSON *obj, const char *name, uint32_t flags,
		      const char *const *names, size_t n)
{
	cJSON *array = cJSON_AddArrayToObject(obj, name);
	size_t i;

	for (i = 0; i < n; i++)
		if (names[i] && (flags & (1U << i)))
			cJSON_AddItemToArray(array, cJSON_CreateString(names[i]));
}

static void add_stats(cJSON *obj, const struct nlattr *nest)
{
	static const char * const names[] = {
		[KMQTT_CS_BYTES_RX] = "bytes_rx",
		[KMQTT_CS_BYTES_TX] = "bytes_tx",
		[KMQTT_CS_PACKETS_RX] = "packets_rx",
		[KMQTT_CS_PACKETS_TX] = "packets_tx",
		[KMQTT_CS_PUBLISH_ROUTED] = "publish_routed",
		[KMQTT_CS_PUBLISH_PUNTED] = "publish_punted",
		[KMQTT_CS_PUBLISH_SENT] = "publish_sent",
		[KMQTT_CS_DROPPED] = "dropped",
		[KMQTT_CS_DENIED] = "denied",
		[KMQTT_CS_QUEUE_BYTES] = "queue_bytes",
		[KMQTT_CS_EVENTS] = "events",
		[KMQTT_CS_IDLE_MS] = "idle_ms",
	};
	struct nlattr *attrs[KMQTT_CS_MAX + 1];
	cJSON *stats = cJSON_AddObjectToObject(obj, "stats");
	unsigned int i;

	nl_nest(nest, attrs, KMQTT_CS_MAX);
	for (i = 0; i <= KMQTT_CS_MAX; i++)
		if (names[i])
			add_number(stats, names[i], attrs[i]);
}

cJSON *conn_json(struct nlattr **attrs)
{
	static const char * const flags[] = {
		"relay", "volatile", "gate-shut", "release", "drop-slow",
		"paused", "barrier",
	};
	cJSON *obj = cJSON_CreateObject();

	add_number(obj, "conn", attrs[KMQTT_A_CONN]);
	add_bytes(obj, "client_id", attrs[KMQTT_A_CLIENT_ID]);
	add_bytes(obj, "username", attrs[KMQTT_A_USERNAME]);
	cJSON_AddStringToObject(obj, "protocol",
				conn_protocol_name(nl_u8(attrs[KMQTT_A_PROTOCOL])));
	cJSON_AddStringToObject(obj, "state",
				conn_state_name(nl_u8(attrs[KMQTT_A_STATE])));
	add_string(obj, "peer", attrs[KMQTT_A_PEER]);
	add_number(obj, "listener", attrs[KMQTT_A_LISTENER]);
	add_string(obj, "tls", attrs[KMQTT_A_TLS_INFO]);
	add_bytes(obj, "tls_identity", attrs[KMQTT_A_TLS_IDENTITY]);
	add_bytes(obj, "mount_point", attrs[KMQTT_A_MOUNT_POINT]);
	add_number(obj, "keepalive", attrs[KMQTT_A_KEEPALIVE]);
	add_number(obj, "max_qos", attrs[KMQTT_A_MAX_QOS]);
	add_number(obj, "retain_available", attrs[KMQTT_A_RETAIN_AVAILABLE]);
	add_number(obj, "max_packet_in", attrs[KMQTT_A_MAX_PACKET_IN]);
	add_number(obj, "max_packet_out", attrs[KMQTT_A_MAX_PACKET_OUT]);
	add_number(obj, "alias_max_in", attrs[KMQTT_A_ALIAS_MAX_IN]);
	add_number(obj, "alias_max_out", attrs[KMQTT_A_ALIAS_MAX_OUT]);
	add_number(obj, "receive_max", attrs[KMQTT_A_RECEIVE_MAX]);
	add_number(obj, "queue_limit_bytes", attrs[KMQTT_A_QUEUE_BYTES]);
	add_number(obj, "queue_limit_count", attrs[KMQTT_A_QUEUE_COUNT]);
	add_number(obj, "deliver_limit_bytes", attrs[KMQTT_A_DELIVER_BYTES]);
	add_number(obj, "acl", attrs[KMQTT_A_ACL]);
	add_number(obj, "last_event", attrs[KMQTT_A_LAST_EVENT]);
	add_number(obj, "last_deliver", attrs[KMQTT_A_LAST_DELIVER]);
	add_number(obj, "last_live", attrs[KMQTT_A_LAST_LIVE]);
	add_flags(obj, "flags", nl_u32(attrs[KMQTT_A_CONN_FLAGS]), flags,
		  ARRAY_SIZE(flags));
	add_stats(obj, attrs[KMQTT_A_CONN_STATS]);
	return obj;
}

uint64_t conn_number(const cJSON *conn)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(conn, "conn"));
}

const char *conn_client_id(const cJSON *conn)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(conn,
								     "client_id"));
}

/**
 * struct search - what conn_find() looks for
 * @id: as written
 * @number: the same as a number, 0 if it is none
 * @by_id: the connection with this client id; the youngest if several are
 *	listed, for the older ones are on their way out
 * @by_number: the connection with this number
 */
struct search {
	const char *id;
	uint64_t number;
	cJSON *by_id;
	cJSON *by_number;
};

static bool same_id(const struct nlattr *attr, const char *id)
{
	return attr && mnl_attr_get_payload_len(attr) == strlen(id) &&
	       !memcmp(mnl_attr_get_payload(attr), id, strlen(id));
}

static int search_conn(struct nlattr **attrs, void *arg)
{
	struct search *s = arg;
	uint64_t number = nl_u64(attrs[KMQTT_A_CONN]);

	if (same_id(attrs[KMQTT_A_CLIENT_ID], s->id) &&
	    (!s->by_id || number > conn_number(s->by_id))) {
		cJSON_Delete(s->by_id);
		s->by_id = conn_json(attrs);
	}
	if (s->number && number == s->number && !s->by_number)
		s->by_number = conn_json(attrs);
	return CTL_OK;
}

int conn_find(struct nl *nl, const char *id, cJSON **found)
{
	struct search s = { .id = id };
	char *end;
	int status;

	s.number = strtoull(id, &end, 10);
	if (*end || !*id || strspn(id, "0123456789") != strlen(id))
		s.number = 0;
	nl_request(nl, KMQTT_CMD_CONN_GET, true);
	status = nl_run(nl, search_conn, &s);
	*found = s.by_id ? s.by_id : s.by_number;
	if (s.by_id)
		cJSON_Delete(s.by_number);
	return status;
}

/* ---- routes ------------------------------------------------------------- */

cJSON *route_json(struct nlattr **attrs)
{
	static const char * const flags[] = {
		[0] = "no-local", [1] = "retain-as-published", [5] = "held",
	};
	uint32_t bits = nl_u32(attrs[KMQTT_A_ROUTE_FLAGS]);
	cJSON *obj = cJSON_CreateObject();

	add_number(obj, "conn", attrs[KMQTT_A_CONN]);
	add_bytes(obj, "filter", attrs[KMQTT_A_FILTER]);
	add_bytes(obj, "share", attrs[KMQTT_A_SHARE]);
	add_number(obj, "qos", attrs[KMQTT_A_MAX_QOS]);
	add_number(obj, "subscription_id", attrs[KMQTT_A_SUBID]);
	cJSON_AddNumberToObject(obj, "retain_handling",
				(bits & KMQTT_ROUTE_F_RH_MASK) >> KMQTT_ROUTE_F_RH_SHIFT);
	add_flags(obj, "flags", bits, flags, ARRAY_SIZE(flags));
	return obj;
}

/**
 * struct route_search - what route_list() collects
 * @conn: of this connection only, if not 0
 * @array: the routes found
 */
struct route_search {
	uint64_t conn;
	cJSON *array;
};

static int collect_route(struct nlattr **attrs, void *arg)
{
	struct route_search *s = arg;

	if (!s->conn || nl_u64(attrs[KMQTT_A_CONN]) == s->conn)
		cJSON_AddItemToArray(s->array, route_json(attrs));
	return CTL_OK;
}

int route_list(struct nl *nl, uint64_t conn, cJSON *array)
{
	struct route_search s = { .conn = conn, .array = array };
	struct nlmsghdr *nlh = nl_request(nl, KMQTT_CMD_ROUTE_GET, true);

	if (conn)
		mnl_attr_put_u64(nlh, KMQTT_A_CONN, conn);
	return nl_run(nl, collect_route, &s);
}
