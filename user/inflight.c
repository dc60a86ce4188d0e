// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages to one session: packet ids, Receive Maximum, queue.
 */
#include <stdlib.h>
#include <string.h>

#include "cause.h"
#include "client.h"
#include "clock.h"
#include "conf.h"
#include "deliver.h"
#include "event.h"
#include "inflight.h"
#include "kmqtt.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "nl.h"
#include "packet.h"
#include "retain.h"
#include "rib.h"
#include "session.h"
#include "store.h"
#include "walk.h"

/* A table of packet ids that is larger is freed when it is empty. */
#define ID_BUCKETS	64
/* Steps of a session's walks over the retained store in a turn of the loop. */
#define TURN_STEPS	128
/* Sessions whose walks go on in one turn. */
#define TURN_SESSIONS	4
/* Messages a walk may be ahead of what the kernel is known to have taken. */
#define WALK_AHEAD	128

/* Sessions whose walks can go on. */
static struct list turns = { &turns, &turns };
static struct event *turn_timer;

static uint64_t dropped;

uint64_t inflight_dropped(void)
{
	return dropped;
}

static void outgoing_drop(struct session *s)
{
	s->dropped++;
	dropped++;
}

void inflight_init(struct session *s)
{
	list_init(&s->inflight);
	list_init(&s->queue);
	list_init(&s->walks);
	list_init(&s->turn);
	list_init(&s->ready);
	list_init(&s->ready_live);
	list_init(&s->awaited[0]);
	list_init(&s->awaited[1]);
	s->window = UINT16_MAX;
}

static size_t outgoing_cost(const struct outgoing *out)
{
	return sizeof(*out) + out->n_subids * sizeof(out->subids[0]);
}

struct outgoing *outgoing_get(struct outgoing *out)
{
	out->refs++;
	return out;
}

void outgoing_put(struct outgoing *out)
{
	if (--out->refs)
		return;
	mem_uncharge(outgoing_cost(out));
	message_put(out->msg);
	free(out);
}

static struct outgoing *outgoing_new(struct session *s, struct message *m, uint8_t qos,
				     const uint32_t *subids, unsigned int n_subids)
{
	struct outgoing *out = mem_zalloc(sizeof(*out) + n_subids * sizeof(*subids));

	list_init(&out->ready);
	out->refs = 1;
	out->session = s;
	out->msg = message_get(m);
	out->qos = qos;
	out->n_subids = n_subids;
	if (n_subids)
		memcpy(out->subids, subids, n_subids * sizeof(*subids));
	mem_charge(outgoing_cost(out));
	return out;
}

/* Bring the store up to date with it. */
static void outgoing_store(struct outgoing *out)
{
	struct session *s = out->session;
	struct store_outgoing row = {
		.pos = out->pos,
		.number = out->number,
		.msg = out->msg,
		.state = out->state,
		.qos = out->qos,
		.packet_id = out->packet_id,
		.retain = out->retain,
		.n_subids = out->n_subids,
		.subids = out->subids,
	};

	if (!s->stored || !out->qos)
		return;
	if (out->pos) {
		store_outgoing_state(s->id, &row);
		return;
	}
	out->pos = ++s->pos;
	row.pos = out->pos;
	store_outgoing_put(s->id, &row);
}

/* Live ones are odd: the kernel may refuse them and take others, or the reverse. */
static void outgoing_number(struct outgoing *out)
{
	if (out->session->stored && out->qos)
		out->number = ++out->session->number << 1 | out->live;
}

static bool window_open(const struct session *s)
{
	const struct conf *conf = conf_get();

	return s->n_inflight < s->window &&
	       (!conf->max_inflight_bytes || s->inflight_bytes < conf->max_inflight_bytes);
}

/* The kernel has it, or it needs it no more. */
static void outgoing_settle(struct outgoing *out)
{
	list_del(&out->ready);
	if (!out->sent && !out->live)
		out->session->n_owed--;
	out->sent = true;
}

/* The client was sent it and is to answer. */
static void outgoing_await(struct outgoing *out)
{
	list_del(&out->ready);
	out->since = clock_ms();
	out->sent_at = out->since;
	list_add_tail(&out->ready, &out->session->awaited[out->qos - 1]);
}

/* To be given to the kernel as soon as that takes it. */
static void outgoing_ready(struct outgoing *out)
{
	struct session *s = out->session;

	list_del(&out->ready);
	list_add_tail(&out->ready, out->live ? &s->ready_live : &s->ready);
}

/* Packet ids are ours: no need to hash them. */
static void id_add(struct outgoing *out)
{
	map_add(&out->session->by_id, &out->by_id, out->packet_id);
	out->session->n_inflight++;
	out->session->inflight_bytes += out->msg->payload_len;
}

static void id_del(struct outgoing *out)
{
	struct session *s = out->session;

	map_del(&s->by_id, &out->by_id);
	s->inflight_bytes -= out->msg->payload_len;
	if (!--s->n_inflight && s->by_id.n_buckets > ID_BUCKETS)
		map_free(&s->by_id);
}

/* Take it out of its list and give back what it counts for. */
static void outgoing_unlink(struct outgoing *out)
{
	struct session *s = out->session;

	list_del(&out->node);
	if (out->pos && s->stored)
		store_outgoing_delete(s->id, out->pos);
	if (out->state == OUT_QUEUED) {
		s->n_queue--;
		s->queue_bytes -= out->msg->payload_len;
	} else {
		if (out->qos)
			id_del(out);
		outgoing_settle(out);
	}
	share_group_put(out->group);
	out->group = NULL;
	out->session = NULL;
	outgoing_put(out);
}

static void list_drop(struct list *head)
{
	struct outgoing *out, *tmp;

	list_for_each_safe(out, tmp, head, node)
		outgoing_unlink(out);
}

void inflight_drop(struct session *s)
{
	list_drop(&s->inflight);
	list_drop(&s->queue);
	list_del(&s->turn);
	map_free(&s->by_id);
}

static void outgoing_queue(struct outgoing *out, struct list *list)
{
	struct session *s = out->session;

	out->state = OUT_QUEUED;
	s->n_queue++;
	s->queue_bytes += out->msg->payload_len;
	list_add_tail(&out->node, list);
	outgoing_store(out);
}

/* Refused by the kernel: it waits in the queue again, in its place. */
static void outgoing_requeue(struct outgoing *out, struct list *list)
{
	outgoing_settle(out);
	list_del(&out->node);
	out->sent = false;
	outgoing_queue(out, list);
}

void inflight_offline(struct session *s)
{
	struct outgoing *out, *tmp;
	struct list again;

	walks_offline(s);
	list_init(&again);
	list_for_each_safe(out, tmp, &s->inflight, node) {
		if (out->kept && !out->pending) {
			outgoing_requeue(out, &again);
			continue;
		}
		if (!out->qos) {
			outgoing_unlink(out);
			continue;
		}
		if (out->sent || out->pending)
			out->dup = out->state == OUT_PUBLISH;
		outgoing_settle(out);
		/* A result that is still to come is that of the old connection. */
		out->round++;
		out->pending = false;
		out->refused = false;
		out->live = false;
		out->sent = false;
		s->n_owed++;
		outgoing_ready(out);
	}
	while (!list_empty(&again)) {
		struct list *last = again.prev;

		list_del(last);
		list_add(last, &s->queue);
	}
	list_for_each(out, &s->queue, node)
		out->live = false;
}

/*
 * On a new connection they are put in flight anew: the kernel has accepted
 * nothing there.
 */
void inflight_resume(struct session *s)
{
	struct outgoing *out;

	list_for_each(out, &s->inflight, node) {
		outgoing_number(out);
		outgoing_store(out);
	}
}

void inflight_load(struct session *s, const struct store_outgoing *row)
{
	struct outgoing *out = outgoing_new(s, row->msg, row->qos, row->subids,
					    row->n_subids);

	out->pos = row->pos;
	out->number = row->number;
	out->retain = row->retain;
	out->state = row->state;
	out->group = share_group_get(share_group_find(s, out->msg->topic,
						      out->msg->topic_len));
	if (s->pos < row->pos)
		s->pos = row->pos;
	if (s->number < row->number >> 1)
		s->number = row->number >> 1;
	if (row->state == OUT_QUEUED) {
		s->n_queue++;
		s->queue_bytes += out->msg->payload_len;
		list_add_tail(&out->node, &s->queue);
		return;
	}
	out->packet_id = row->packet_id;
	id_add(out);
	out->dup = row->state == OUT_PUBLISH;
	s->n_owed++;
	list_add_tail(&out->node, &s->inflight);
	outgoing_ready(out);
}

void inflight_adopt(struct session *s, uint64_t last, uint64_t last_live, bool gate_shut)
{
	struct outgoing *out;

	if (s->number < last >> 1)
		s->number = last >> 1;
	if (s->number < last_live >> 1)
		s->number = last_live >> 1;
	list_for_each(out, &s->inflight, node) {
		if (out->number & 1) {
			s->n_owed--;
			out->live = true;
			outgoing_ready(out);
		}
		if (out->number > (out->live ? last_live : last))
			continue;
		outgoing_settle(out);
		outgoing_await(out);
	}
	/* Those that were queued before the connection pass its gate. */
	list_for_each(out, &s->queue, node)
		out->live = !gate_shut;
}

static bool may_move(const struct outgoing *out, bool ended)
{
	if (!out->group || out->state == OUT_RELEASED)
		return false;
	/* What it may have at QoS 2 already goes to nobody else (4.8.2). */
	if (out->qos == 2 && (out->sent || out->pending || out->dup))
		return false;
	return ended || share_group_others(out->group, out->session);
}

static void take_shared(struct list *from, bool ended, struct list *taken)
{
	struct outgoing *out, *tmp;
	struct share_group *g;

	list_for_each_safe(out, tmp, from, node) {
		if (!may_move(out, ended))
			continue;
		g = share_group_get(out->group);
		outgoing_unlink(outgoing_get(out));
		out->group = g;
		list_add_tail(&out->node, taken);
	}
}

void inflight_take_shared(struct session *s, bool ended, struct list *taken)
{
	take_shared(&s->inflight, ended, taken);
	take_shared(&s->queue, ended, taken);
}

static struct outgoing *find_id(const struct session *s, uint16_t packet_id)
{
	struct map_entry *e = map_first(&s->by_id, packet_id);

	return e ? container_of(e, struct outgoing, by_id) : NULL;
}

/* n_inflight < 65535 guarantees that one is free. */
static uint16_t next_id(struct session *s)
{
	do {
		if (!++s->packet_id)
			s->packet_id = 1;
	} while (s->n_inflight && find_id(s, s->packet_id));
	return s->packet_id;
}

/* Into flight, not yet sent. */
static void outgoing_start(struct outgoing *out)
{
	struct session *s = out->session;

	out->state = OUT_PUBLISH;
	/* From now on: results that come before it is sent send others only. */
	out->pending = true;
	if (out->qos) {
		out->packet_id = next_id(s);
		id_add(out);
	}
	if (!out->live)
		s->n_owed++;
	list_add_tail(&out->node, &s->inflight);
	outgoing_number(out);
	outgoing_store(out);
}

static bool queue_has_room(const struct session *s)
{
	const struct conf *conf = conf_get();

	/* What is left is for those that read what they are sent. */
	if (mem_scarce())
		return false;
	if (conf->max_queued_messages && s->n_queue >= conf->max_queued_messages)
		return false;
	/* As Mosquitto: the message that exceeds it is the last to be queued. */
	return !conf->max_queued_bytes || s->queue_bytes < conf->max_queued_bytes;
}

static void outgoing_expire(struct outgoing *out)
{
	out->session->expired++;
	outgoing_unlink(out);
}

/* Those at the head of the queue that have expired make room. */
static bool queue_makes_room(struct session *s)
{
	uint64_t now = clock_ms();
	struct outgoing *out;

	while (!queue_has_room(s)) {
		if (list_empty(&s->queue))
			return false;
		out = list_first(&s->queue, struct outgoing, node);
		if (!message_expired(out->msg, now))
			return false;
		outgoing_expire(out);
	}
	return true;
}

/*
 * What waits here would be lost with us, and the kernel must know before anybody
 * is told that we have it.
 */
static void owe(struct client *c)
{
	if (!c || c->session->stored)
		return;
	/* That it is to know may wait for the store, with what it comes with. */
	if (nl_names(c->conn))
		cause_stay();
	if (c->is_volatile)
		return;
	c->is_volatile = true;
	deliver_volatile(c->conn);
}

static bool is_online(const struct session *s)
{
	return s->client && s->client->state == CLIENT_OPEN;
}

/*
 * May it go now?  It may pass what the gate lets out first: it waits at the
 * gate itself.  Nor does it wait for the results of those before it, or QoS 0
 * messages behind it would overtake it: behind one refused the kernel takes
 * none.
 */
static bool goes_now(const struct session *s)
{
	return is_online(s) && !s->client->live_full && list_empty(&s->queue) &&
	       window_open(s);
}

enum inflight_rank inflight_rank(const struct session *s)
{
	if (goes_now(s))
		return INFLIGHT_NOW;
	if (!queue_has_room(s))
		return INFLIGHT_FULL;
	return is_online(s) ? INFLIGHT_SOON : INFLIGHT_LATER;
}

struct outgoing *inflight_add(const struct rib_dest *d, struct message *m, uint8_t qos,
			      bool retain)
{
	struct session *s = d->session;
	bool now = goes_now(s);
	struct outgoing *out;

	if (!now && !d->moved && !queue_makes_room(s)) {
		outgoing_drop(s);
		return NULL;
	}
	out = outgoing_new(s, m, qos, d->subids, d->n_subids);
	out->group = share_group_get(d->group);
	out->retain = retain;
	out->live = is_online(s);
	if (!now) {
		outgoing_queue(out, &s->queue);
		owe(s->client);
		return NULL;
	}
	outgoing_start(out);
	return out;
}

void inflight_keep(const struct rib_dest *d, struct message *m, bool retain)
{
	struct session *s = d->session;
	struct outgoing *out;

	if (!queue_makes_room(s)) {
		outgoing_drop(s);
		return;
	}
	out = outgoing_new(s, m, 0, d->subids, d->n_subids);
	out->retain = retain;
	out->kept = true;
	outgoing_queue(out, &s->queue);
	inflight_pump(s);
}

static bool refused(const struct session *s, const struct outgoing *out)
{
	return out->live ? s->client->live_full : s->client->full;
}

/*
 * A retained message that the kernel did not take, and a newer value came or
 * comes live.
 */
static bool is_superseded(const struct outgoing *out)
{
	const struct message *m = out->msg;

	return out->walked && !out->dup && out->state == OUT_PUBLISH &&
	       retain_find(m->topic, m->topic_len) != m;
}

/* The results of a batch that went out meanwhile may have changed the list. */
static struct outgoing *next_unsent(struct session *s)
{
	struct outgoing *out;

	while (!s->client->full && !list_empty(&s->ready)) {
		out = list_first(&s->ready, struct outgoing, ready);
		if (!is_superseded(out))
			return out;
		outgoing_unlink(out);
	}
	if (!s->client->live_full && !list_empty(&s->ready_live))
		return list_first(&s->ready_live, struct outgoing, ready);
	return NULL;
}

/* The first of the queue, if it is @live or not and the window lets it out. */
static struct outgoing *first_queued(const struct session *s, bool live)
{
	struct outgoing *out;

	if (list_empty(&s->queue))
		return NULL;
	out = list_first(&s->queue, struct outgoing, node);
	if (out->qos && !window_open(s))
		return NULL;
	return out->live == live ? out : NULL;
}

static void outgoing_dequeue(struct outgoing *out)
{
	struct session *s = out->session;

	list_del(&out->node);
	s->n_queue--;
	s->queue_bytes -= out->msg->payload_len;
	outgoing_start(out);
}

static struct outgoing *next_queued(struct session *s, bool live)
{
	struct outgoing *out;
	uint64_t now = clock_ms();

	for (;;) {
		out = first_queued(s, live);
		if (!out || refused(s, out))
			return NULL;
		if (!message_expired(out->msg, now))
			break;
		outgoing_expire(out);
	}
	outgoing_dequeue(out);
	return out;
}

/* Could a walk go on, had it the steps?  Not before the SUBACK. */
static bool walk_free(const struct session *s)
{
	return !list_empty(&s->walks) && is_online(s) && !s->client->full &&
	       !s->client->sub && s->n_owed < WALK_AHEAD;
}

static void turn_arm(void)
{
	static const struct timeval now;

	/* Not event_active(): what the sockets have for us comes first. */
	if (turn_timer && evtimer_add(turn_timer, &now))
		log_err("cannot start the timer for retained messages");
}

static void turn_later(struct session *s)
{
	if (!list_empty(&s->turn))
		return;
	if (list_empty(&turns))
		turn_arm();
	list_add_tail(&s->turn, &turns);
}

/* The next retained message that a walk comes to. */
static struct outgoing *next_retained(struct session *s, unsigned int *steps)
{
	struct walk_message next;
	struct outgoing *out;

	if (!walk_free(s))
		return NULL;
	if (!*steps || !walk_next(s, steps, &next)) {
		if (!list_empty(&s->walks))
			turn_later(s);
		return NULL;
	}
	if (next.qos && !window_open(s))
		return NULL;
	out = outgoing_new(s, next.msg, next.qos, &next.subid, next.subid ? 1 : 0);
	out->retain = true;
	out->walked = true;
	walk_taken(s);
	outgoing_start(out);
	return out;
}

/* What comes into flight next: first what opens the gate. */
static struct outgoing *next_new(struct session *s, unsigned int *steps)
{
	struct outgoing *out = next_queued(s, false);

	if (!out)
		out = next_retained(s, steps);
	if (!out && list_empty(&s->walks))
		out = next_queued(s, true);
	return out;
}

/* @steps: of walks over the retained store. */
static void pump(struct session *s, unsigned int steps)
{
	struct outgoing *out;

	while (is_online(s)) {
		out = next_unsent(s);
		if (!out)
			out = next_new(s, &steps);
		if (!out)
			return;
		if (out->state == OUT_RELEASED) {
			outgoing_settle(out);
			outgoing_await(out);
			packet_send_pubrel(s->client, out->packet_id, true);
		} else {
			list_del(&out->ready);
			deliver_outgoing(out);
		}
	}
}

void inflight_repeat(struct session *s, uint64_t before)
{
	struct outgoing *out;
	size_t i;

	for (i = 0; i < 2; i++) {
		while (is_online(s) && !list_empty(&s->awaited[i])) {
			out = list_first(&s->awaited[i], struct outgoing, ready);
			if (out->sent_at > before)
				break;
			out->sent_at = clock_ms();
			list_del(&out->ready);
			list_add_tail(&out->ready, &s->awaited[i]);
			if (out->state == OUT_RELEASED) {
				packet_send_pubrel(s->client, out->packet_id, true);
				continue;
			}
			out->dup = true;
			/* Of a number it has accepted the kernel sends nothing. */
			out->number = 0;
			deliver_outgoing(out);
		}
	}
}

uint64_t inflight_waits_since(const struct session *s)
{
	const struct outgoing *out;
	uint64_t since = 0;

	list_for_each(out, &s->awaited[1], ready) {
		if (!since || out->since < since)
			since = out->since;
		/* The order is that of sending, which is another with repetitions. */
		if (s->client->protocol != KMQTT_V31)
			break;
	}
	return since;
}

void inflight_pump(struct session *s)
{
	/* One that waits for its turn has had its steps. */
	pump(s, list_empty(&s->turn) ? TURN_STEPS : 0);
}

static void turn(evutil_socket_t fd, short what, void *arg)
{
	unsigned int n = TURN_SESSIONS;
	struct cause outer;
	struct session *s;

	while (n-- && !list_empty(&turns)) {
		s = list_first(&turns, struct session, turn);
		list_del(&s->turn);
		cause_begin(&outer);
		pump(s, TURN_STEPS);
		cause_end(&outer);
	}
	if (!list_empty(&turns))
		turn_arm();
	event_settle();
}

void inflight_start(struct event_base *base)
{
	turn_timer = evtimer_new(base, turn, NULL);
	if (!turn_timer)
		log_err("cannot make the timer for retained messages");
}

void inflight_stop(void)
{
	if (turn_timer)
		event_free(turn_timer);
	turn_timer = NULL;
}

/* May a walk send now, or does nobody know yet? */
static bool walk_owes(struct session *s)
{
	struct walk_message next;
	unsigned int steps = 0;

	if (list_empty(&s->walks))
		return false;
	if (walk_next(s, &steps, &next))
		return !next.qos || window_open(s);
	/* The message that waited for the window may have been replaced. */
	if (walk_free(s))
		turn_later(s);
	return true;
}

bool inflight_owes(struct session *s)
{
	return s->switching || s->n_owed || first_queued(s, false) || walk_owes(s);
}

bool inflight_settled(const struct session *s)
{
	return list_empty(&s->inflight) && !s->n_queue && !s->n_walks &&
	       !s->n_inbound;
}

enum ack_match inflight_puback(struct session *s, uint16_t packet_id)
{
	struct outgoing *out = find_id(s, packet_id);

	if (!out)
		return ACK_UNKNOWN;
	if (out->qos != 1)
		return ACK_WRONG;
	outgoing_unlink(out);
	return ACK_FITS;
}

enum ack_match inflight_pubrec(struct session *s, uint16_t packet_id, bool refused)
{
	struct outgoing *out = find_id(s, packet_id);

	if (!out)
		return ACK_UNKNOWN;
	if (out->qos != 2)
		return ACK_WRONG;
	if (refused) {
		outgoing_unlink(out);
		return ACK_FITS;
	}
	/* The answer is its PUBREL, should that have been due again. */
	outgoing_settle(out);
	outgoing_await(out);
	out->state = OUT_RELEASED;
	outgoing_store(out);
	return ACK_FITS;
}

enum ack_match inflight_pubcomp(struct session *s, uint16_t packet_id)
{
	struct outgoing *out = find_id(s, packet_id);

	if (!out)
		return ACK_UNKNOWN;
	if (out->state != OUT_RELEASED)
		return ACK_WRONG;
	outgoing_unlink(out);
	return ACK_FITS;
}

void outgoing_result(struct outgoing *out, uint32_t round, uint8_t result)
{
	struct session *s = out->session;

	if (!s || !out->pending || out->round != round)
		return;
	out->pending = false;
	switch (result) {
	case KMQTT_DEST_ACCEPTED:
		/* Of one sent again the place and the time stay. */
		if (out->sent)
			break;
		outgoing_settle(out);
		if (out->qos)
			outgoing_await(out);
		else
			outgoing_unlink(out);
		/* It has just come within reach of the walk. */
		if (s->n_owed == WALK_AHEAD - 1 && walk_free(s))
			turn_later(s);
		break;
	case KMQTT_DEST_FULL:
		if (s->client && out->live)
			s->client->live_full = true;
		else if (s->client)
			s->client->full = true;
		if (out->sent)
			break;
		out->refused = true;
		outgoing_ready(out);
		break;
	case KMQTT_DEST_TOO_LARGE:
	case KMQTT_DEST_DENIED:
		/* It took room of the Receive Maximum. */
		outgoing_unlink(out);
		pump(s, 0);
		break;
	}
}
