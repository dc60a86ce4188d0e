// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mqttctl publish: the options of mosquitto_pub; the message goes to mqttd as a
 * PUBLISH packet, the form in which all its parts have their place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "daemon.h"
#include "frame.h"
#include "topic.h"

#define PACKET_MAX	268435460U	/* largest packet that MQTT knows */
#define BLOCK		65536U

/**
 * struct bytes - bytes that grow in number
 * @p: they
 * @len: how many
 * @room: allocated
 */
struct bytes {
	uint8_t *p;
	size_t len;
	size_t room;
};

/* The command line. */
static struct {
	const char *topic;
	const char *message;
	const char *file;
	bool empty;
	uint8_t qos;
	bool retain;
	bool has_expiry;
	uint32_t expiry;
	uint64_t given;		/* bit per property */
	struct bytes props;
} pub;

/* Room for @len more. */
static uint8_t *reserve(struct bytes *b, size_t len)
{
	uint8_t *more;

	if (b->len + len > b->room) {
		more = ctl_alloc(2 * (b->len + len));
		if (b->len)
			memcpy(more, b->p, b->len);
		free(b->p);
		b->p = more;
		b->room = 2 * (b->len + len);
	}
	return b->p + b->len;
}

/* ---- properties --------------------------------------------------------- */

/**
 * struct property - one that a PUBLISH may have
 * @name: as mosquitto_pub calls it
 * @id: KMQTT_P_*
 * @values: words that follow the name
 */
struct property {
	const char *name;
	uint8_t id;
	int values;
};

static const struct property properties[] = {
	{ "payload-format-indicator", KMQTT_P_PAYLOAD_FORMAT, 1 },
	{ "message-expiry-interval", KMQTT_P_MESSAGE_EXPIRY, 1 },
	{ "content-type", KMQTT_P_CONTENT_TYPE, 1 },
	{ "response-topic", KMQTT_P_RESPONSE_TOPIC, 1 },
	{ "correlation-data", KMQTT_P_CORRELATION_DATA, 1 },
	{ "user-property", KMQTT_P_USER_PROPERTY, 2 },
};

static const struct property *property_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(properties); i++)
		if (!strcmp(properties[i].name, name))
			return &properties[i];
	return NULL;
}

static bool number(const char *s, uint32_t max, uint32_t *value)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || errno || n > max)
		return false;
	*value = (uint32_t)n;
	return true;
}

/* Two bytes of length and the string. */
static int put_string(const struct property *p, const char *s)
{
	size_t len = strlen(s);
	uint8_t *to;

	if (len > UINT16_MAX)
		return ctl_fail(CTL_USAGE, "-D: %s is longer than 65535 bytes", p->name);
	if (p->id != KMQTT_P_CORRELATION_DATA && !kmqtt_utf8_valid((const __u8 *)s, len))
		return ctl_fail(CTL_USAGE, "-D: %s is no UTF-8 text", p->name);
	to = kmqtt_put16(reserve(&pub.props, 2 + len), (__u16)len);
	memcpy(to, s, len);
	pub.props.len += 2 + len;
	return CTL_OK;
}

static int put_property(const struct property *p, char **values)
{
	uint32_t n;
	int status, i;

	if (p->id == KMQTT_P_MESSAGE_EXPIRY) {
		pub.has_expiry = number(values[0], UINT32_MAX, &pub.expiry);
		if (!pub.has_expiry)
			return ctl_fail(CTL_USAGE,
					"-D: %s is a number of seconds, not \"%s\"", p->name,
					values[0]);
		return CTL_OK;
	}
	*reserve(&pub.props, 1) = p->id;
	pub.props.len++;
	if (p->id == KMQTT_P_PAYLOAD_FORMAT) {
		if (!number(values[0], 1, &n))
			return ctl_fail(CTL_USAGE, "-D: %s is 0 or 1, not \"%s\"", p->name,
					values[0]);
		*reserve(&pub.props, 1) = (uint8_t)n;
		pub.props.len++;
		return CTL_OK;
	}
	if (p->id == KMQTT_P_RESPONSE_TOPIC &&
	    kmqtt_topic_name_check((const __u8 *)values[0], strlen(values[0])))
		return ctl_fail(CTL_USAGE,
				"-D: %s \"%s\" is no topic: it has no wildcards and is not empty",
				p->name, values[0]);
	for (i = 0, status = CTL_OK; i < p->values && !status; i++)
		status = put_string(p, values[i]);
	return status;
}

/* -D publish NAME VALUE..., as mosquitto_pub; words taken or -1. */
static int property_option(char **argv)
{
	const struct property *p;
	int i;

	if (!argv[1] || strcmp(argv[1], "publish")) {
		ctl_fail(CTL_USAGE, "%s is followed by \"publish\", a name and its value",
			 argv[0]);
		return -1;
	}
	p = argv[2] ? property_find(argv[2]) : NULL;
	if (!p) {
		ctl_fail(CTL_USAGE,
			 "%s: unknown property \"%s\"; see mqttctl publish --help", argv[0],
			 argv[2] ? argv[2] : "");
		return -1;
	}
	for (i = 0; i < p->values; i++) {
		if (argv[3 + i])
			continue;
		ctl_fail(CTL_USAGE, "%s: a value is missing after %s", argv[0], p->name);
		return -1;
	}
	if (pub.given & 1ULL << p->id && p->id != KMQTT_P_USER_PROPERTY) {
		ctl_fail(CTL_USAGE, "%s: %s may stand once", argv[0], p->name);
		return -1;
	}
	pub.given |= 1ULL << p->id;
	return put_property(p, argv + 3) ? -1 : 3 + p->values;
}

/* ---- the command line --------------------------------------------------- */

static bool is(const char *arg, const char *brief, const char *full)
{
	return !strcmp(arg, brief) || !strcmp(arg, full);
}

/* The word behind an option; 2, or -1 if there is none. */
static int word(char **argv, const char **to)
{
	*to = argv[1];
	if (*to)
		return 2;
	ctl_fail(CTL_USAGE, "a value is missing after %s", argv[0]);
	return -1;
}

static int qos_option(char **argv)
{
	const char *s;
	uint32_t n;

	if (word(argv, &s) < 0)
		return -1;
	if (!number(s, 2, &n)) {
		ctl_fail(CTL_USAGE, "%s is 0, 1 or 2, not \"%s\"", argv[0], s);
		return -1;
	}
	pub.qos = (uint8_t)n;
	return 2;
}

int publish_option(char **argv)
{
	if (is(argv[0], "-t", "--topic"))
		return word(argv, &pub.topic);
	if (is(argv[0], "-m", "--message"))
		return word(argv, &pub.message);
	if (is(argv[0], "-f", "--file"))
		return word(argv, &pub.file);
	if (is(argv[0], "-q", "--qos"))
		return qos_option(argv);
	if (is(argv[0], "-D", "--property"))
		return property_option(argv);
	if (is(argv[0], "-n", "--null-message"))
		pub.empty = true;
	else if (is(argv[0], "-r", "--retain"))
		pub.retain = true;
	else
		return 0;
	return 1;
}

/* ---- the packet --------------------------------------------------------- */

static int read_file(struct bytes *b)
{
	bool is_stdin = !strcmp(pub.file, "-");
	FILE *f = is_stdin ? stdin : fopen(pub.file, "re");
	int status = CTL_OK;
	size_t n;

	if (!f)
		return ctl_fail(CTL_ERROR, "-f %s: %s", pub.file, strerror(errno));
	do {
		n = fread(reserve(b, BLOCK), 1, BLOCK, f);
		b->len += n;
	} while (n && b->len < PACKET_MAX);
	if (ferror(f))
		status = ctl_fail(CTL_ERROR, "-f %s: %s", pub.file, strerror(errno));
	if (!is_stdin)
		fclose(f);
	return status;
}

static int payload_get(struct bytes *b)
{
	size_t len;

	if (!!pub.message + !!pub.file + pub.empty != 1)
		return ctl_fail(CTL_USAGE,
				"publish wants one of -m MESSAGE, -f FILE and -n (an empty message)");
	if (pub.file)
		return read_file(b);
	len = pub.message ? strlen(pub.message) : 0;
	if (len)
		memcpy(reserve(b, len), pub.message, len);
	b->len = len;
	return CTL_OK;
}

static int topic_check(void)
{
	if (!pub.topic)
		return ctl_fail(CTL_USAGE, "publish wants a topic: -t TOPIC");
	if (strlen(pub.topic) > UINT16_MAX ||
	    kmqtt_topic_name_check((const __u8 *)pub.topic, strlen(pub.topic)))
		return ctl_fail(CTL_USAGE,
				"-t: \"%s\" is no topic: UTF-8 without + and #, not empty, of at most %d levels",
				pub.topic, KMQTT_TOPIC_LEVELS_MAX);
	return CTL_OK;
}

/* Header and payload in @packet. */
static int packet_make(struct bytes *packet, const struct bytes *payload)
{
	const struct kmqtt_publish_out out = {
		.level = KMQTT_V5,
		.qos = pub.qos,
		.retain = pub.retain,
		.has_expiry = pub.has_expiry,
		.expiry = pub.expiry,
		.topic = (const __u8 *)pub.topic,
		.topic_len = (__u16)strlen(pub.topic),
		.packet_id = pub.qos ? 1 : 0,
		.props = pub.props.p,
		.props_len = (__u32)pub.props.len,
		.payload_len = (__u32)payload->len,
	};
	__u32 len = payload->len < PACKET_MAX ? kmqtt_publish_hdr_len(&out) : 0;

	if (!len)
		return ctl_fail(CTL_ERROR, "the message is larger than MQTT allows (256 MiB)");
	kmqtt_publish_put(reserve(packet, len + payload->len), &out);
	if (payload->len)
		memcpy(packet->p + len, payload->p, payload->len);
	packet->len = len + payload->len;
	return CTL_OK;
}

int cmd_publish(char **args)
{
	struct bytes payload = { }, packet = { };
	int status = topic_check();

	if (!status)
		status = payload_get(&payload);
	if (!status)
		status = packet_make(&packet, &payload);
	free(payload.p);
	if (!status)
		status = daemon_publish(packet.p, packet.len);
	free(packet.p);
	free(pub.props.p);
	return status == DAEMON_AWAY ? daemon_away() : status;
}
