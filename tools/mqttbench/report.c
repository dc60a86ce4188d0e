// SPDX-License-Identifier: GPL-2.0-or-later
/* Progress and results. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "clock.h"
#include "conn.h"
#include "flow.h"
#include "report.h"

static __u64 next_progress;
static __u64 last_progress;
static __u64 last_count;

static double per_second(double n, double seconds)
{
	return seconds > 0 ? n / seconds : 0;
}

static double to_us(__u64 ns)
{
	return ns / 1e3;
}

static void print_progress(const struct bench *b)
{
	bool publishes = b->opt->scenario->publishes;
	bool running = b->started;
	__u64 count = publishes && running ? b->delivered : b->loop.connected;
	double rate = per_second(count - last_count,
				 (double)(b->loop.now - last_progress) / NSEC_PER_SEC);

	fprintf(stderr, "%s%6.1f s  ", isatty(STDERR_FILENO) ? "\r\033[K" : "",
		(double)(b->loop.now - b->begun) / NSEC_PER_SEC);
	if (publishes && running)
		fprintf(stderr, "%llu of %llu delivered, %.0f/s", b->delivered, b->expected, rate);
	else
		fprintf(stderr, "%llu connected, %.0f/s, %u open", b->loop.connected, rate,
			b->loop.ready);
	if (b->loop.failed)
		fprintf(stderr, ", %llu failed", b->loop.failed);
	if (!isatty(STDERR_FILENO))
		fputc('\n', stderr);
	last_count = count;
}

__u64 report_progress(const struct bench *b)
{
	if (!b->opt->progress)
		return NEVER;
	if (!next_progress) {
		last_progress = b->loop.now;
		next_progress = b->loop.now + NSEC_PER_SEC;
	}
	if (b->loop.now >= next_progress) {
		print_progress(b);
		last_progress = b->loop.now;
		next_progress = b->loop.now + NSEC_PER_SEC;
	}
	return next_progress;
}

void report_progress_end(const struct bench *b)
{
	if (b->opt->progress && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static void text_hist(const char *name, const struct hist *h)
{
	printf("  %-10s p50 %.1f us, p99 %.1f us, max %.1f us\n", name,
	       to_us(hist_percentile(h, 50)), to_us(hist_percentile(h, 99)), to_us(h->max));
}

static void text_connections(const struct bench *b)
{
	const struct loop *l = &b->loop;
	bool first = b->opt->scenario->connect_first;
	double seconds = first ? b->setup_s : b->result.seconds;

	printf("  connected  %llu in %.3f s (%.0f/s)", l->connected, seconds,
	       per_second(l->connected, seconds));
	if (l->failed)
		printf(", %llu failed", l->failed);
	putchar('\n');
	if (l->connects.count)
		text_hist("connack", &l->connects);
}

static void text_messages(const struct bench *b)
{
	const struct options *o = b->opt;
	const struct result *r = &b->result;

	printf("  sent       %llu in %.3f s (%.0f msg/s)\n", r->sent, r->seconds,
	       per_second(r->sent, r->seconds));
	printf("  delivered  %llu (%.0f msg/s, %.1f MB/s of payload)\n", r->delivered,
	       per_second(r->delivered, r->seconds),
	       per_second((double)r->delivered * o->size, r->seconds) / 1e6);
	printf("  lost       %llu (%.4f %%)", r->lost,
	       r->expected ? 100.0 * r->lost / r->expected : 0);
	if (r->extra)
		printf(", %llu more than sent", r->extra);
	if (r->unacked)
		printf(", %llu not acknowledged", r->unacked);
	if (b->loop.refused)
		printf(", %llu refused", b->loop.refused);
	putchar('\n');
	if (o->latency)
		text_hist("latency", &b->loop.latencies);
}

static void text_cost(const struct bench *b)
{
	const struct result *r = &b->result;
	const struct proc_sample *c = &r->cost;

	printf("  cpu        system %.1f %%, mqttbench %.1f %%",
	       per_second(100 * c->system_s, r->seconds), per_second(100 * c->self_s, r->seconds));
	if (c->broker)
		printf(", broker %.1f %%", per_second(100 * c->broker_s, r->seconds));
	printf(" of one CPU");
	if (r->delivered)
		printf("; system %.3f us a message", c->system_s * 1e6 / r->delivered);
	putchar('\n');
	if (b->opt->scenario->publishes || !b->loop.connected)
		return;
	printf("  memory     kernel slab %+.1f KB", c->slab_bytes / 1e3);
	if (c->broker)
		printf(", broker %+.1f KB resident", c->broker_bytes / 1e3);
	if (b->loop.ready)
		printf("; a connection: slab %.2f KB", c->slab_bytes / 1e3 / b->loop.ready);
	if (b->loop.ready && c->broker)
		printf(", broker %.2f KB", c->broker_bytes / 1e3 / b->loop.ready);
	putchar('\n');
}

void report_text(const struct bench *b)
{
	const struct options *o = b->opt;

	printf("%s: %u clients", o->scenario->name, o->clients);
	if (o->scenario->publishes)
		printf(", %u peers, %u bytes, QoS %u, %s", o->peers, o->size, o->qos,
		       options_mode_name(o->mode));
	putchar('\n');
	text_connections(b);
	if (b->started) {
		if (o->scenario->publishes)
			text_messages(b);
		text_cost(b);
	}
	if (b->result.end)
		printf("  ended      %s\n", b->result.end);
}

static void json_hist(cJSON *parent, const char *name, const struct hist *h)
{
	cJSON *o = cJSON_AddObjectToObject(parent, name);

	cJSON_AddNumberToObject(o, "count", h->count);
	cJSON_AddNumberToObject(o, "p50", to_us(hist_percentile(h, 50)));
	cJSON_AddNumberToObject(o, "p99", to_us(hist_percentile(h, 99)));
	cJSON_AddNumberToObject(o, "max", to_us(h->max));
}

static void json_messages(cJSON *j, const struct bench *b)
{
	const struct options *o = b->opt;
	const struct result *r = &b->result;

	cJSON_AddNumberToObject(j, "peers", o->peers);
	cJSON_AddNumberToObject(j, "size", o->size);
	cJSON_AddNumberToObject(j, "qos", o->qos);
	cJSON_AddNumberToObject(j, "sub_qos", o->sub_qos);
	cJSON_AddStringToObject(j, "mode", options_mode_name(o->mode));
	cJSON_AddNumberToObject(j, "sent", r->sent);
	cJSON_AddNumberToObject(j, "expected", r->expected);
	cJSON_AddNumberToObject(j, "delivered", r->delivered);
	cJSON_AddNumberToObject(j, "delivered_per_s", per_second(r->delivered, r->seconds));
	cJSON_AddNumberToObject(j, "lost", r->lost);
	cJSON_AddNumberToObject(j, "extra", r->extra);
	cJSON_AddNumberToObject(j, "unacked", r->unacked);
	cJSON_AddNumberToObject(j, "refused", b->loop.refused);
	if (o->latency)
		json_hist(j, "latency_us", &b->loop.latencies);
}

static void json_cost(cJSON *j, const struct bench *b)
{
	const struct proc_sample *c = &b->result.cost;
	cJSON *cpu = cJSON_AddObjectToObject(j, "cpu_s");
	cJSON *memory = cJSON_AddObjectToObject(j, "memory_bytes");

	cJSON_AddNumberToObject(cpu, "system", c->system_s);
	cJSON_AddNumberToObject(cpu, "mqttbench", c->self_s);
	cJSON_AddNumberToObject(memory, "slab", c->slab_bytes);
	if (!c->broker)
		return;
	cJSON_AddNumberToObject(cpu, "broker", c->broker_s);
	cJSON_AddNumberToObject(memory, "broker", c->broker_bytes);
}

void report_json(const struct bench *b)
{
	const struct loop *l = &b->loop;
	cJSON *j = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(j, "scenario", b->opt->scenario->name);
	cJSON_AddNumberToObject(j, "clients", b->opt->clients);
	cJSON_AddNumberToObject(j, "connected", l->connected);
	cJSON_AddNumberToObject(j, "failed", l->failed);
	cJSON_AddNumberToObject(j, "open", l->ready);
	cJSON_AddNumberToObject(j, "pings", l->pings);
	cJSON_AddNumberToObject(j, "setup_s", b->setup_s);
	cJSON_AddNumberToObject(j, "seconds", b->result.seconds);
	json_hist(j, "connack_us", &l->connects);
	if (b->opt->scenario->publishes)
		json_messages(j, b);
	json_cost(j, b);
	if (b->result.end)
		cJSON_AddStringToObject(j, "ended", b->result.end);
	else
		cJSON_AddNullToObject(j, "ended");
	text = cJSON_Print(j);
	puts(text);
	free(text);
	cJSON_Delete(j);
}
