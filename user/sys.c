// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The $SYS topics.  What the kernel counts is asked of the kernel, so that
 * what it forwards by itself counts, too; the rest is counted here.  They are
 * retained and go out at QoS 0 by the kernel, like any message of ours.
 */
#include "sys.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "clock.h"
#include "conf.h"
#include "event.h"
#include "inflight.h"
#include "log.h"
#include "message.h"
#include "nl.h"
#include "publish.h"
#include "retain.h"
#include "rib.h"
#include "session.h"
#include "stop.h"
#include "topic.h"
#include "will.h"

#define PREFIX		"$SYS/broker/"
#define BRIDGE_STATE	"$SYS/broker/connection/+/state"
#define TEXT_MAX	64

/* What is told; those before FIGURE_TOTALS only ever grow and have a load. */
enum figure {
	FIGURE_PACKETS_RX,
	FIGURE_PACKETS_TX,
	FIGURE_DROPPED,
	FIGURE_PUBLISH_RX,
	FIGURE_PUBLISH_TX,
	FIGURE_BYTES_RX,
	FIGURE_BYTES_TX,
	FIGURE_SOCKETS,
	FIGURE_CONNECTS,
	FIGURE_TOTALS,
	FIGURE_PAYLOAD_RX = FIGURE_TOTALS,
	FIGURE_PAYLOAD_TX,
	FIGURE_CLIENTS,
	FIGURE_CLIENTS_MAX,
	FIGURE_CLIENTS_AWAY,
	FIGURE_CLIENTS_HERE,
	FIGURE_EXPIRED,
	FIGURE_STORED,
	FIGURE_STORED_BYTES,
	FIGURE_SUBSCRIPTIONS,
	FIGURE_SHARED,
	FIGURE_RETAINED,
	FIGURE_HEAP,
	FIGURE_HEAP_MAX,
	FIGURE_N,
};

/* Topics and what they tell; some have two names. */
static const struct {
	const char *name;
	enum figure figure;
} topics[] = {
	{ "clients/total", FIGURE_CLIENTS },
	{ "clients/maximum", FIGURE_CLIENTS_MAX },
	{ "clients/inactive", FIGURE_CLIENTS_AWAY },
	{ "clients/disconnected", FIGURE_CLIENTS_AWAY },
	{ "clients/active", FIGURE_CLIENTS_HERE },
	{ "clients/connected", FIGURE_CLIENTS_HERE },
	{ "clients/expired", FIGURE_EXPIRED },
	{ "messages/stored", FIGURE_STORED },
	{ "store/messages/count", FIGURE_STORED },
	{ "store/messages/bytes", FIGURE_STORED_BYTES },
	{ "subscriptions/count", FIGURE_SUBSCRIPTIONS },
	{ "shared_subscriptions/count", FIGURE_SHARED },
	{ "retained messages/count", FIGURE_RETAINED },
	{ "heap/current", FIGURE_HEAP },
	{ "heap/maximum", FIGURE_HEAP_MAX },
	{ "messages/received", FIGURE_PACKETS_RX },
	{ "messages/sent", FIGURE_PACKETS_TX },
	{ "publish/messages/dropped", FIGURE_DROPPED },
	{ "publish/messages/received", FIGURE_PUBLISH_RX },
	{ "publish/messages/sent", FIGURE_PUBLISH_TX },
	{ "bytes/received", FIGURE_BYTES_RX },
	{ "bytes/sent", FIGURE_BYTES_TX },
	{ "publish/bytes/received", FIGURE_PAYLOAD_RX },
	{ "publish/bytes/sent", FIGURE_PAYLOAD_TX },
};

static const char *const load_names[FIGURE_TOTALS] = {
	[FIGURE_PACKETS_RX] = "messages/received",
	[FIGURE_PACKETS_TX] = "messages/sent",
	[FIGURE_DROPPED] = "publish/dropped",
	[FIGURE_PUBLISH_RX] = "publish/received",
	[FIGURE_PUBLISH_TX] = "publish/sent",
	[FIGURE_BYTES_RX] = "bytes/received",
	[FIGURE_BYTES_TX] = "bytes/sent",
	[FIGURE_SOCKETS] = "sockets",
	[FIGURE_CONNECTS] = "connections",
};

static const unsigned int load_minutes[] = { 1, 5, 15 };

#define LOADS	ARRAY_SIZE(load_minutes)

/* What the kernel counts, by its names; of two of one figure the sum counts. */
static const struct {
	const char *name;
	enum figure figure;
} kernel_stats[] = {
	{ "packets_received", FIGURE_PACKETS_RX },
	{ "packets_sent", FIGURE_PACKETS_TX },
	{ "publish_dropped_queue_full", FIGURE_DROPPED },
	{ "publish_dropped_no_memory", FIGURE_DROPPED },
	{ "publish_received", FIGURE_PUBLISH_RX },
	{ "publish_sent", FIGURE_PUBLISH_TX },
	{ "bytes_received", FIGURE_BYTES_RX },
	{ "bytes_sent", FIGURE_BYTES_TX },
	{ "connections_attached", FIGURE_SOCKETS },
	{ "payload_bytes_received", FIGURE_PAYLOAD_RX },
	{ "payload_bytes_sent", FIGURE_PAYLOAD_TX },
};

/**
 * struct sys_state - what was told and when
 * @timer: runs every @interval
 * @interval: seconds, 0 = nothing is told
 * @started: clock_ms() of the daemon's start
 * @last: clock_ms() of the last update, 0 = there was none
 * @asked: the kernel has not told its figures yet; that may wait for the store
 * @uptime: seconds that were told
 * @told: the figures as they were told
 * @known: which of them were told at all
 * @counted: the figures of the last update, for the rates
 * @load: moving averages
 * @most_clients: the highest number of sessions that was told
 * @most_heap: the same of the heap's bytes
 * @connects: CONNECTs of this daemon's time
 */
static struct sys_state {
	struct event *timer;
	unsigned int interval;
	bool asked;
	uint64_t started;
	uint64_t last;
	uint64_t uptime;
	uint64_t told[ARRAY_SIZE(topics)];
	bool known[ARRAY_SIZE(topics)];
	uint64_t counted[FIGURE_TOTALS];
	struct sys_load load[FIGURE_TOTALS][LOADS];
	uint64_t most_clients;
	uint64_t most_heap;
	uint64_t connects;
} sys;

void sys_connect_seen(void)
{
	sys.connects++;
}

bool sys_topic(const char *topic, size_t len)
{
	return len >= 4 && !memcmp(topic, "$SYS", 4);
}

/* By their beginning, whether a level ends there or not, as Mosquitto. */
bool sys_forbids(const char *topic, size_t len)
{
	if (len >= 6 && !memcmp(topic, "$share", 6))
		return true;
	return sys_topic(topic, len) &&
	       !kmqtt_topic_matches((const __u8 *)BRIDGE_STATE, strlen(BRIDGE_STATE),
				    (const __u8 *)topic, len);
}

/* NULL without memory for it. */
static struct message *sys_message(const char *name, const char *text)
{
	char topic[sizeof(PREFIX) + TEXT_MAX];
	struct message_parts parts = {
		.topic = (const uint8_t *)topic,
		.payload = (const uint8_t *)text,
		.payload_len = (uint32_t)strlen(text),
		.retain = true,
	};

	parts.topic_len = (size_t)snprintf(topic, sizeof(topic), PREFIX "%s", name);
	return message_refusal(&parts) ? NULL : message_new(&parts);
}

/* Was there memory for it? */
static bool tell(const char *name, const char *text)
{
	struct message *m = sys_message(name, text);

	if (!m)
		return false;
	publish(m, NULL, NULL);
	message_put(m);
	return true;
}

/* An old figure would stand there for ever. */
static void forget(const char *name)
{
	struct message *m = sys_message(name, "");

	if (!m)
		return;
	retain_set(m);
	message_put(m);
}

/* ---- load --------------------------------------------------------------- */

bool sys_load_update(struct sys_load *load, double rate, double elapsed)
{
	double former = load->value;

	load->value = rate + exp(-elapsed / load->seconds) * (former - rate);
	return fabs(load->value - former) >= 0.01;
}

static void load_name(char *name, enum figure f, size_t i)
{
	snprintf(name, TEXT_MAX, "load/%s/%umin", load_names[f], load_minutes[i]);
}

static void load_tell(enum figure f, size_t i)
{
	char name[TEXT_MAX], text[TEXT_MAX];

	load_name(name, f, i);
	snprintf(text, sizeof(text), "%.2f", sys.load[f][i].value);
	tell(name, text);
}

/* The first time there is nothing to compare with: all begin with nothing. */
static void loads_begin(void)
{
	enum figure f;
	size_t i;

	for (f = 0; f < FIGURE_TOTALS; f++) {
		for (i = 0; i < LOADS; i++) {
			sys.load[f][i].value = 0;
			sys.load[f][i].seconds = 60 * load_minutes[i];
			load_tell(f, i);
		}
	}
}

static void loads_update(const uint64_t *figures, double elapsed)
{
	enum figure f;
	size_t i;

	for (f = 0; f < FIGURE_TOTALS; f++) {
		/* It counts from 0 again if the module was loaded anew. */
		uint64_t grown = figures[f] > sys.counted[f] ?
				 figures[f] - sys.counted[f] : 0;
		double rate = (double)grown * 60 / elapsed;

		for (i = 0; i < LOADS; i++)
			if (sys_load_update(&sys.load[f][i], rate, elapsed))
				load_tell(f, i);
	}
}

/* ---- figures ------------------------------------------------------------ */

static void kernel_stat(const struct nlattr *nest, uint64_t *figures)
{
	const struct nlattr *tb[KMQTT_AN_MAX + 1];
	size_t i;

	nl_nested(nest, tb, KMQTT_AN_MAX);
	if (!tb[KMQTT_AN_NAME])
		return;
	for (i = 0; i < ARRAY_SIZE(kernel_stats); i++)
		if (!strcmp(kernel_stats[i].name, mnl_attr_get_str(tb[KMQTT_AN_NAME])))
			figures[kernel_stats[i].figure] += nl_u64(tb[KMQTT_AN_VALUE]);
}

static uint64_t most(uint64_t *highest, uint64_t now)
{
	if (now > *highest)
		*highest = now;
	return *highest;
}

static void daemon_figures(uint64_t *figures)
{
	figures[FIGURE_DROPPED] += inflight_dropped();
	figures[FIGURE_CONNECTS] = sys.connects;
	figures[FIGURE_CLIENTS] = session_count();
	figures[FIGURE_CLIENTS_MAX] = most(&sys.most_clients, session_count());
	figures[FIGURE_CLIENTS_HERE] = session_count_online();
	figures[FIGURE_CLIENTS_AWAY] = session_count() - session_count_online();
	figures[FIGURE_EXPIRED] = session_count_expired();
	/* A will is a message, but nobody has published it. */
	figures[FIGURE_STORED] = message_count() - will_count();
	figures[FIGURE_STORED_BYTES] = message_payload_bytes() - will_payload_bytes();
	figures[FIGURE_SUBSCRIPTIONS] = rib_count() - rib_count_shared();
	figures[FIGURE_SHARED] = rib_count_shared();
	figures[FIGURE_RETAINED] = retain_count();
	figures[FIGURE_HEAP] = mallinfo2().uordblks + mallinfo2().hblkhd;
	figures[FIGURE_HEAP_MAX] = most(&sys.most_heap, figures[FIGURE_HEAP]);
}

static void figures_tell(const uint64_t *figures)
{
	char text[TEXT_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(topics); i++) {
		uint64_t value = figures[topics[i].figure];

		if (sys.known[i] && sys.told[i] == value)
			continue;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
		sys.known[i] = tell(topics[i].name, text);
		sys.told[i] = value;
	}
}

static void uptime_tell(uint64_t now)
{
	uint64_t seconds = (now - sys.started) / 1000;
	char text[TEXT_MAX];

	/* The timer may come a little early. */
	if (sys.last && seconds == sys.uptime)
		return;
	snprintf(text, sizeof(text), "%llu seconds", (unsigned long long)seconds);
	if (tell("uptime", text))
		sys.uptime = seconds;
}

/* The reply to STATS_GET: all there is to tell is known. */
static void stats_got(void *arg, int error, const struct nlmsghdr *reply,
		      const char *text)
{
	uint64_t figures[FIGURE_N] = { 0 }, now = clock_ms();
	const struct nlattr *a;

	sys.asked = false;
	if (error || !reply || !sys.interval)
		return;
	mnl_attr_for_each(a, reply, MNL_ALIGN(4))
		if (mnl_attr_get_type(a) == KMQTT_A_STAT)
			kernel_stat(a, figures);
	daemon_figures(figures);
	uptime_tell(now);
	if (!sys.last)
		loads_begin();
	else if (now > sys.last)
		loads_update(figures, (double)(now - sys.last) / 1000);
	figures_tell(figures);
	memcpy(sys.counted, figures, sizeof(sys.counted));
	sys.last = now;
}

/* ---- from time to time -------------------------------------------------- */

static void update(void)
{
	if (sys.asked)
		return;
	sys.asked = true;
	nl_begin(KMQTT_CMD_STATS_GET);
	nl_end(stats_got, NULL);
	event_settle();
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	if (!stop_begun())
		update();
}

static void forget_all(void)
{
	char name[TEXT_MAX];
	enum figure f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(topics); i++)
		forget(topics[i].name);
	for (f = 0; f < FIGURE_TOTALS; f++) {
		for (i = 0; i < LOADS; i++) {
			load_name(name, f, i);
			forget(name);
		}
	}
	forget("uptime");
	forget("version");
	memset(sys.known, 0, sizeof(sys.known));
	sys.last = 0;
}

static void apply(void)
{
	unsigned int interval = conf_get()->sys_interval;
	struct timeval tv = { .tv_sec = interval };

	if (interval == sys.interval)
		return;
	if (!interval) {
		event_del(sys.timer);
		forget_all();
	} else if (event_add(sys.timer, &tv)) {
		log_err("cannot start the timer of $SYS");
		return;
	}
	if (interval && !sys.interval)
		tell("version", "kmqtt version " KMQTT_VERSION);
	sys.interval = interval;
	if (interval)
		update();
}

void sys_start(struct event_base *base)
{
	sys.started = clock_ms();
	sys.timer = event_new(base, -1, EV_PERSIST, on_timer, NULL);
	if (!sys.timer)
		log_err("cannot start the timer of $SYS");
	else
		apply();
}

void sys_reload(void)
{
	if (sys.timer)
		apply();
}

void sys_stop(void)
{
	if (sys.timer)
		event_free(sys.timer);
	memset(&sys, 0, sizeof(sys));
}
