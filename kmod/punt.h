/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: what the kernel tells the daemon.  Numbered per connection, kept
 * until acknowledged, pulled by EVENTS_GET.  The rules of this file and tx.h,
 * and what goes wrong without them: selftests/model/README.md.
 */
#ifndef KMQTT_PUNT_H
#define KMQTT_PUNT_H

#include <linux/list.h>
#include <linux/types.h>
#include "kmqtt.h"

struct kmqtt_conn;
struct kmqtt_net;
struct netlink_callback;
struct sk_buff;

#define KMQTT_EVENTS_BYTES	(1024U * 1024)	/* then reading pauses */
#define KMQTT_EVENTS_COUNT	4096U
#define KMQTT_TOPIC_SLOTS	64

/**
 * struct kmqtt_event - an event of a connection
 *
 * Belongs to its connection's list from being added until acknowledged (or
 * until the connection is forgotten), then freed by who took it off.  The
 * close event is allocated with the connection.
 *
 * @node: in kmqtt_conn_events.list
 * @number: from 1
 * @time: arrival, CLOCK_BOOTTIME
 * @type: enum kmqtt_event_type
 * @replay: was copied for an earlier daemon
 * @barrier: reading waits for its acknowledgement
 * @cause: of a close
 * @reason: of a close
 * @n_shut: of a copy: connection ids before the packet in @data
 * @shut_more: there are more
 * @slot: topic slot + 1 it occupies, 0 = none
 * @len: length of the packet in @data
 * @charged: bytes charged
 * @data: the packet
 */
struct kmqtt_event {
	struct list_head node;
	u64 number;
	u64 time;
	u8 type;
	bool replay;
	bool barrier;
	u8 cause;
	u8 reason;
	u8 slot;
	u8 n_shut;
	bool shut_more;
	u32 len;
	u32 charged;
	u8 data[] __aligned(8);
};

/**
 * struct kmqtt_conn_events - the events of a connection; under kn->ev_lock
 * @list: unacknowledged ones, in order
 * @next: first uncopied one, or %NULL
 * @next_off: bytes of it already copied
 * @pending: link in kn->pending
 * @last: last number given
 * @acked: last number acknowledged
 * @bytes: charged bytes of @list, copies apart
 * @count: entries of @list, copies apart
 * @copy_bytes: charged bytes of the copies in @list
 * @copy_count: their number
 * @barrier: number of the event reading waits for, 0 = none
 * @writable: EV_WRITABLE is to be copied
 * @slots: unacknowledged PUBLISHes by hash of their topic
 */
struct kmqtt_conn_events {
	struct list_head list;
	struct kmqtt_event *next;
	u32 next_off;
	struct list_head pending;
	u64 last;
	u64 acked;
	u32 bytes;
	u32 count;
	u32 copy_bytes;
	u32 copy_count;
	u64 barrier;
	bool writable;
	u16 slots[KMQTT_TOPIC_SLOTS];
};

/**
 * struct kmqtt_done - completion of a command; from its command until copied
 * @node: in kn->done
 * @token: the daemon's
 * @error: 0 or -errno
 */
struct kmqtt_done {
	struct list_head node;
	u64 token;
	int error;
};

/* Start without events; nothing can fail. */
void kmqtt_events_init(struct kmqtt_conn_events *ev);

/**
 * kmqtt_event_alloc() - make an event, charged to the namespace
 * @conn: whose
 * @type: enum kmqtt_event_type
 * @head: first part of the packet, copied, or %NULL
 * @head_len: its length
 * @data: rest of the packet, copied
 * @len: its length
 * @gfp: GFP_KERNEL, or GFP_NOWAIT under RCU
 *
 * Return: the event or %NULL when out of memory or above the memory limit.
 */
struct kmqtt_event *kmqtt_event_alloc(struct kmqtt_conn *conn, u8 type,
				      const u8 *head, u32 head_len,
				      const u8 *data, u32 len, gfp_t gfp);
/**
 * struct kmqtt_copy - a copy for the daemon as route target
 * @shut: connections with a shut gate that get the message themselves
 * @n_shut: how many
 * @shut_more: there are more
 */
struct kmqtt_copy {
	u64 shut[KMQTT_SHUT_MAX];
	u8 n_shut;
	bool shut_more;
};

/*
 * The same for a copy: the packet is @head and the payload @data.  Does not
 * sleep.
 */
struct kmqtt_event *kmqtt_event_alloc_copy(struct kmqtt_conn *conn,
					   const struct kmqtt_copy *copy,
					   const u8 *head, u32 head_len,
					   const u8 *data, u32 len);
/* Free and uncharge an event that is on no list; %NULL is allowed. */
void kmqtt_event_free(struct kmqtt_net *kn, struct kmqtt_event *e);

/*
 * Number an event and show it to the daemon.  Every earlier frame of the
 * connection has been routed and queued by now.  Worker context (GFP_KERNEL),
 * or @wake false under RCU: then call kmqtt_events_ready() afterwards.
 */
void kmqtt_event_add(struct kmqtt_conn *conn, struct kmqtt_event *e, bool wake);
/* Send READY if one is due. */
void kmqtt_events_ready(struct kmqtt_net *kn);
/* Tell the daemon that a full destination takes messages again. */
void kmqtt_event_writable(struct kmqtt_conn *conn);
/* A command of @owner completed; @done is taken.  Nobody else is told. */
void kmqtt_event_done(struct kmqtt_net *kn, u32 owner, struct kmqtt_done *done,
		      int error);

/*
 * Acknowledge all events up to @number.  Returns true if that was the close
 * event: the caller forgets the connection.  Kicks reading if it may go on.
 */
bool kmqtt_event_ack(struct kmqtt_conn *conn, u64 number);

/* May reading go on: no barrier, and room for events. */
bool kmqtt_events_room(struct kmqtt_conn *conn);
/*
 * Room for one more copy.  Copies have a room of their own: nobody may need
 * them, and they must not pause what needs no daemon.
 */
bool kmqtt_events_copy_room(struct kmqtt_conn *conn, u32 len);
/* Is an unacknowledged PUBLISH with a topic of this hash with the daemon? */
bool kmqtt_events_topic_busy(struct kmqtt_conn *conn, u32 hash);
/* Topic slot of a hash, for kmqtt_event.slot. */
static inline u8 kmqtt_topic_slot(u32 hash)
{
	return hash % KMQTT_TOPIC_SLOTS + 1;
}

/*
 * All events of @conn are uncopied again; those that were copied are replays.
 * Under kn->lock.
 */
void kmqtt_events_replay(struct kmqtt_conn *conn);
/* Drop all events of a connection that is being forgotten. */
void kmqtt_events_purge(struct kmqtt_conn *conn);
/* Drop what only the dead daemon wanted. */
void kmqtt_events_drop_done(struct kmqtt_net *kn);

/* EVENTS_GET: fill @skb; returns skb->len, 0 at the end, or -errno. */
int kmqtt_events_dump(struct kmqtt_net *kn, struct sk_buff *skb,
		      struct netlink_callback *cb);

#endif /* KMQTT_PUNT_H */
