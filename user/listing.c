// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists page by page.  Nothing is kept from one page to the next: where the
 * list goes on is a place in the order of a hash table, which holds whatever
 * comes and goes, and inside a session the number of a subscription.
 */
#include "listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "client.h"
#include "clock.h"
#include "event.h"
#include "frame.h"
#include "kmqtt.h"
#include "map.h"
#include "mem.h"
#include "message.h"
#include "publish.h"
#include "retain.h"
#include "rib.h"
#include "session.h"
#include "topic.h"

/* Of a page. */
#define ROWS_MAX	256U
#define BYTES_MAX	(256U << 10)
#define STEPS_MAX	4096U

#define HEX_MAX		17

/**
 * struct listing - a page that is being made
 * @walk: where it stands
 * @id: the session it stands in, or NULL
 * @number: the last subscription of @id that was listed
 * @one: only @id is listed
 * @filter: only what it matches, or NULL
 * @rows: the page
 * @n_rows: how many
 * @bytes: of the strings in them
 * @steps: how many more it may take
 */
struct listing {
	struct map_walk walk;
	const char *id;
	uint64_t number;
	bool one;
	const char *filter;
	cJSON *rows;
	unsigned int n_rows;
	size_t bytes;
	unsigned int steps;
};

static bool room(const struct listing *l)
{
	return l->n_rows < ROWS_MAX && l->bytes < BYTES_MAX;
}

static void add(struct listing *l, cJSON *row, size_t bytes)
{
	cJSON_AddItemToArray(l->rows, row);
	l->n_rows++;
	l->bytes += bytes;
}

static void add_expires(cJSON *o, uint64_t at)
{
	uint64_t now = clock_ms();

	if (at)
		cJSON_AddNumberToObject(o, "expires_in",
					at > now ? (double)((at - now) / 1000) : 0);
}

/* ---- sessions ----------------------------------------------------------- */

static cJSON *session_row(const struct session *s)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "id", s->id);
	cJSON_AddStringToObject(o, "state", s->client ? "connected" : "offline");
	if (s->expiry != SESSION_NEVER)
		cJSON_AddNumberToObject(o, "session_expiry", s->expiry);
	add_expires(o, s->expires_at);
	cJSON_AddNumberToObject(o, "subscriptions", (double)s->n_subs);
	cJSON_AddNumberToObject(o, "inflight", s->n_inflight);
	cJSON_AddNumberToObject(o, "queued", s->n_queue);
	cJSON_AddNumberToObject(o, "queued_bytes", (double)s->queue_bytes);
	cJSON_AddNumberToObject(o, "dropped", (double)s->dropped);
	cJSON_AddBoolToObject(o, "will", s->will || (s->client && s->client->will));
	return o;
}

cJSON *listing_session(const char *id)
{
	const struct session *s = session_find(id);

	return s ? session_row(s) : NULL;
}

static void page_sessions(struct listing *l)
{
	struct session *s;

	while (room(l) && (s = session_walk_next(&l->walk, &l->steps)))
		for (; s; s = session_walk_same(s))
			add(l, session_row(s), strlen(s->id));
}

/* ---- subscriptions ------------------------------------------------------ */

static cJSON *subscription_row(const struct subscription *sub)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "id", sub->session->id);
	cJSON_AddStringToObject(o, "filter", sub->filter);
	if (sub->share)
		cJSON_AddStringToObject(o, "share", sub->share);
	cJSON_AddNumberToObject(o, "qos", sub->qos);
	if (sub->subid)
		cJSON_AddNumberToObject(o, "subscription_id", sub->subid);
	cJSON_AddNumberToObject(o, "retain_handling",
				(sub->flags & KMQTT_ROUTE_F_RH_MASK) >>
				KMQTT_ROUTE_F_RH_SHIFT);
	cJSON_AddBoolToObject(o, "no_local",
			      (sub->flags & KMQTT_ROUTE_F_NO_LOCAL) != 0);
	cJSON_AddBoolToObject(o, "retain_as_published",
			      (sub->flags & KMQTT_ROUTE_F_RETAIN_AS_PUBLISHED) != 0);
	return o;
}

/*
 * Those of one session behind l->number; false if the page ends there.  What a
 * session may have is bounded, so that it may be passed over in one go.
 */
static bool page_session(struct listing *l, const struct session *s)
{
	const struct subscription *sub;

	l->id = s->id;
	list_for_each(sub, &s->subs, by_session) {
		if (sub->number <= l->number)
			continue;
		if (!room(l))
			return false;
		l->number = sub->number;
		add(l, subscription_row(sub), strlen(s->id) + strlen(sub->filter));
	}
	l->number = 0;
	l->id = NULL;
	return true;
}

static bool page_same(struct listing *l, const struct session *s)
{
	for (; s; s = session_walk_same(s))
		if (!page_session(l, s))
			return false;
	return true;
}

static void page_subscriptions(struct listing *l)
{
	struct session *s = l->id ? session_find(l->id) : NULL;

	if (l->one) {
		l->walk.done = !s || page_session(l, s);
		return;
	}
	if (s && !page_same(l, s))
		return;
	/* The session it stood in may be gone. */
	l->id = NULL;
	l->number = 0;
	while (room(l) && (s = session_walk_next(&l->walk, &l->steps)))
		if (!page_same(l, s))
			return;
}

/* ---- retained messages -------------------------------------------------- */

static cJSON *retained_row(const struct message *m)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "topic", m->topic);
	cJSON_AddNumberToObject(o, "qos", m->qos);
	cJSON_AddNumberToObject(o, "bytes", m->payload_len);
	add_expires(o, m->expires);
	if (m->source_id)
		cJSON_AddStringToObject(o, "from", m->source_id);
	return o;
}

static bool matches(const struct listing *l, const struct message *m)
{
	return kmqtt_topic_matches((const __u8 *)l->filter, strlen(l->filter),
				   (const __u8 *)m->topic, m->topic_len);
}

static void page_retained(struct listing *l)
{
	uint64_t now = clock_ms();
	struct message *m;

	while (room(l) && (m = retain_walk_next(&l->walk, &l->steps)))
		if (!message_expired(m, now) && matches(l, m))
			add(l, retained_row(m), m->topic_len);
}

/*
 * As if a client had published an empty message there: who has subscribed is
 * told.  It works without memory left, too, because it makes room.
 */
static void clear_one(const struct message *m)
{
	const struct message_parts parts = {
		.topic = (const uint8_t *)m->topic,
		.topic_len = m->topic_len,
		.retain = true,
	};
	struct message *empty = message_new(&parts);

	publish(empty, NULL, NULL);
	message_put(empty);
}

static void page_clear(struct listing *l)
{
	struct message *m;

	while (room(l) && (m = retain_walk_next(&l->walk, &l->steps))) {
		if (!matches(l, m))
			continue;
		add(l, cJSON_CreateString(m->topic), m->topic_len);
		clear_one(m);
	}
	event_settle();
}

static void properties_add(cJSON *o, const struct message *m)
{
	static const struct {
		uint8_t id;
		const char *name;
	} strings[] = {
		{ KMQTT_P_CONTENT_TYPE, "content_type" },
		{ KMQTT_P_RESPONSE_TOPIC, "response_topic" },
	};
	const uint8_t *p = m->props;
	cJSON *user = NULL, *pair;
	struct kmqtt_prop prop;
	char *text;
	size_t i;

	while (kmqtt_prop_next(&p, m->props + m->props_len, &prop) == 1) {
		for (i = 0; i < ARRAY_SIZE(strings); i++) {
			if (strings[i].id != prop.id)
				continue;
			text = mem_strndup(prop.str, prop.str_len);
			cJSON_AddStringToObject(o, strings[i].name, text);
			free(text);
		}
		if (prop.id == KMQTT_P_PAYLOAD_FORMAT)
			cJSON_AddNumberToObject(o, "payload_format", prop.value);
		if (prop.id == KMQTT_P_CORRELATION_DATA)
			cJSON_AddNumberToObject(o, "correlation_data_bytes", prop.str_len);
		if (prop.id != KMQTT_P_USER_PROPERTY)
			continue;
		if (!user)
			user = cJSON_AddArrayToObject(o, "user_properties");
		pair = cJSON_CreateArray();
		text = mem_strndup(prop.str, prop.str_len);
		cJSON_AddItemToArray(pair, cJSON_CreateString(text));
		free(text);
		text = mem_strndup(prop.val, prop.val_len);
		cJSON_AddItemToArray(pair, cJSON_CreateString(text));
		free(text);
		cJSON_AddItemToArray(user, pair);
	}
}

cJSON *listing_retained(const char *topic, struct message **m)
{
	struct message *found = retain_find(topic, strlen(topic));
	cJSON *o;

	if (!found || message_expired(found, clock_ms()))
		return NULL;
	o = retained_row(found);
	properties_add(o, found);
	*m = message_get(found);
	return o;
}

/* ---- pages -------------------------------------------------------------- */

static const struct {
	const char *what;
	void (*page)(struct listing *l);
} kinds[] = {
	{ "session list", page_sessions },
	{ "subscription list", page_subscriptions },
	{ "retained list", page_retained },
	{ "retained clear", page_clear },
};

static const char *string_of(const cJSON *o, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

/* Hashes are those of this process. */
static void instance(char *text)
{
	snprintf(text, HEX_MAX, "%" PRIx64, map_hash(0, "", 0));
}

static bool number_of(const cJSON *from, const char *name, uint64_t *value)
{
	const char *text = string_of(from, name);
	char *end;

	if (!text || !*text)
		return false;
	*value = strtoull(text, &end, 16);
	return !*end;
}

/* Where the page begins. */
static bool go_on(struct listing *l, const cJSON *from, struct listing_refusal *refusal)
{
	char here[HEX_MAX];
	const char *there = string_of(from, "instance");

	instance(here);
	if (!there || !number_of(from, "place", &l->walk.next) ||
	    !number_of(from, "number", &l->number)) {
		*refusal = (struct listing_refusal){ "usage", "\"from\" is none of ours" };
		return false;
	}
	if (strcmp(here, there)) {
		*refusal = (struct listing_refusal){
			"internal", "mqttd was restarted meanwhile; ask again from the beginning",
		};
		return false;
	}
	l->walk.done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(from, "done"));
	if (string_of(from, "id"))
		l->id = string_of(from, "id");
	return true;
}

static bool begin(struct listing *l, const cJSON *q, struct listing_refusal *refusal)
{
	const cJSON *from = cJSON_GetObjectItemCaseSensitive(q, "from");

	l->filter = string_of(q, "filter");
	if (!l->filter)
		l->filter = "#";
	if (kmqtt_topic_filter_check((const __u8 *)l->filter, strlen(l->filter))) {
		*refusal = (struct listing_refusal){ "usage", "\"filter\" is no topic filter" };
		return false;
	}
	l->id = string_of(q, "id");
	l->one = l->id;
	if (l->one && !session_find(l->id)) {
		*refusal = (struct listing_refusal){ "not-found", "there is no such session" };
		return false;
	}
	return !from || go_on(l, from, refusal);
}

static cJSON *where(const struct listing *l)
{
	cJSON *o = cJSON_CreateObject();
	char text[HEX_MAX];

	instance(text);
	cJSON_AddStringToObject(o, "instance", text);
	snprintf(text, sizeof(text), "%" PRIx64, l->walk.next);
	cJSON_AddStringToObject(o, "place", text);
	snprintf(text, sizeof(text), "%" PRIx64, l->number);
	cJSON_AddStringToObject(o, "number", text);
	cJSON_AddBoolToObject(o, "done", l->walk.done);
	if (l->id)
		cJSON_AddStringToObject(o, "id", l->id);
	return o;
}

cJSON *listing_page(const char *what, const cJSON *question, cJSON **next,
		    struct listing_refusal *refusal)
{
	struct listing l = { .steps = STEPS_MAX };
	size_t i;

	*next = NULL;
	if (!begin(&l, question, refusal))
		return NULL;
	l.rows = cJSON_CreateArray();
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].what, what))
			kinds[i].page(&l);
	/* It may have stopped inside the last session of the walk. */
	if (!l.walk.done || (l.id && !l.one))
		*next = where(&l);
	return l.rows;
}
