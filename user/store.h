/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The durable store: what of sessions, queues, retained messages and wills
 * must outlive the daemon and the power.
 *
 * Operations only append to a batch in memory.  What one run through the event
 * loop appends goes to the store's thread together, and whatever waits there
 * becomes one transaction: an operation is never in another transaction than
 * its neighbours of the same callback.  Nothing that follows from an operation
 * may be shown to anybody before committed() was called with its number or a
 * higher one.
 *
 * All functions belong to the thread of the event loop.  Times are clock_ms()
 * here; the store itself keeps time of day, see store_clock.c.
 */
#ifndef MQTTD_STORE_H
#define MQTTD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inflight.h"

struct event_base;
struct message;

/**
 * enum store_sync - what a commit waits for (persistence_sync)
 * @STORE_SYNC_ALWAYS: the disk: survives a power cut
 * @STORE_SYNC_INTERVAL: the kernel: survives the daemon's death; a power cut
 *	takes back at most the last interval
 * @STORE_SYNC_OFF: the kernel; the disk whenever the kernel likes
 */
enum store_sync {
	STORE_SYNC_ALWAYS,
	STORE_SYNC_INTERVAL,
	STORE_SYNC_OFF,
};

/**
 * struct store_settings - how to open the store
 * @path: its file; next to it SQLite's -wal and -shm, and a .lock
 * @sync: what a commit waits for
 * @interval: seconds, for STORE_SYNC_INTERVAL
 * @refuse_damaged: fail on a damaged store instead of setting it aside
 * @committed: everything up to and with batch @seq is committed
 * @failed: nothing can be committed for the reason @text; it is tried again
 *	until it succeeds, which the next @committed tells.  May be NULL; the
 *	log has it anyway
 * @arg: for both
 */
struct store_settings {
	const char *path;
	enum store_sync sync;
	unsigned int interval;
	bool refuse_damaged;
	void (*committed)(uint64_t seq, void *arg);
	void (*failed)(const char *text, void *arg);
	void *arg;
};

/**
 * struct store_session - a session
 * @client_id: client id
 * @protocol: protocol level of its last connection
 * @expiry: Session Expiry Interval
 * @expires_at: when it expires, 0 = not while its client is connected, or never
 * @number: last DELIVER number
 * @packet_id: last packet id given
 */
struct store_session {
	const char *client_id;
	uint8_t protocol;
	uint32_t expiry;
	uint64_t expires_at;
	uint64_t number;
	uint16_t packet_id;
};

/**
 * struct store_subscription - a subscription of a session
 * @share: share name or NULL
 * @filter: Topic Filter without share
 * @qos: maximum QoS
 * @flags: as in struct subscription
 * @subid: Subscription Identifier, 0 = none
 */
struct store_subscription {
	const char *share;
	const char *filter;
	uint8_t qos;
	uint32_t flags;
	uint32_t subid;
};

/**
 * struct store_outgoing - a message on its way to a session
 * @pos: its place in the session's order, chosen by the caller, never reused
 * @number: DELIVER number, 0 = none yet
 * @msg: the message
 * @state: where it stands
 * @qos: the QoS it is sent at
 * @packet_id: 0 = none yet
 * @retain: RETAIN flag
 * @n_subids: how many
 * @subids: Subscription Identifiers
 */
struct store_outgoing {
	uint64_t pos;
	uint64_t number;
	struct message *msg;
	enum outgoing_state state;
	uint8_t qos;
	uint16_t packet_id;
	bool retain;
	unsigned int n_subids;
	const uint32_t *subids;
};

/**
 * struct store_will - a will
 * @publish_at: when it is due
 * @msg: the message, without the expiry that begins when it is published
 * @expiry: Message Expiry Interval
 * @has_expiry: there is one
 */
struct store_will {
	uint64_t publish_at;
	struct message *msg;
	uint32_t expiry;
	bool has_expiry;
};

/**
 * struct store_mark - how far the events of a connection are handled
 * @instance: of the module
 * @conn: the connection
 * @event: number of the last event handled
 */
struct store_mark {
	uint64_t instance;
	uint64_t conn;
	uint64_t event;
};

/**
 * struct store_loader - who gets what is in the store
 * @retained: a retained message
 * @session: a session; what it returns goes to the five that follow
 * @subscription: a subscription of that session
 * @inbound: a QoS 2 packet id received and not released
 * @outgoing: a message to it, in the order of @pos
 * @will: its will
 * @mark: a mark
 * @arg: for all
 *
 * In this order; after a session comes all that belongs to it.  Any may be
 * NULL.  Nothing of what they are given lasts longer than the call, messages
 * excepted if message_get() is called on them.  Times that have passed come as
 * times that have passed, never as 0.  They may append operations.
 */
struct store_loader {
	void (*retained)(struct message *m, void *arg);
	void *(*session)(const struct store_session *s, void *arg);
	void (*subscription)(void *session, const struct store_subscription *sub, void *arg);
	void (*inbound)(void *session, uint16_t packet_id, void *arg);
	void (*outgoing)(void *session, const struct store_outgoing *out, void *arg);
	void (*will)(void *session, const struct store_will *w, void *arg);
	void (*mark)(const struct store_mark *mark, void *arg);
	void *arg;
};

/* ---- life --------------------------------------------------------------- */

/**
 * store_open - open or make the store
 * @settings: copied
 *
 * A damaged store is renamed to PATH.bad-TIME, which the log tells as an
 * error, and a new one begun; nothing is ever overwritten.  What is of a newer
 * mqttd, of another program, locked or cannot be read is refused untouched.
 *
 * Returns 0, or -errno after the log has told why.
 */
int store_open(const struct store_settings *settings);

/* Between a store_open() that succeeded and store_close(). */
bool store_is_open(void);

/**
 * store_load - read everything
 *
 * After store_open() and before store_start().  Returns 0, or -errno after the
 * log has told why.  -EUCLEAN: it is damaged and was set aside as above.  After
 * any failure the store is closed, and what @loader was given is to be
 * forgotten.
 */
int store_load(const struct store_loader *loader);

/**
 * store_start - begin to commit
 * @base: where committed() is called from
 *
 * Returns 0, or -errno after the log has told why.
 */
int store_start(struct event_base *base);

/**
 * store_close - commit what waits, call committed() for it, and close
 *
 * What cannot be committed even now is lost, and the log says so; it was never
 * reported as committed.  Nor is what committed() itself appends meanwhile
 * written: nobody waits for it any more.  Does nothing if the store is not open.
 */
void store_close(void);

/* ---- batches ------------------------------------------------------------ */

/**
 * store_seq - what the operations so far wait for
 *
 * Returns the number of the batch that holds the last operation; 0 if it is
 * committed, or no store is open.  Numbers ascend from 1.
 */
uint64_t store_seq(void);

/* Operations so far: has one been appended since? */
uint64_t store_ops(void);

/*
 * What waits for the end of this session: store_seq() at its last
 * store_session_delete(); 0 if that is committed, or there was none.
 */
uint64_t store_deleting(const char *client_id);

/**
 * store_flush - hand over the batch now, not at the end of the turn of the loop
 */
void store_flush(void);

/* Bytes that operations hold in memory until they are committed. */
size_t store_backlog(void);

/* ---- operations: nothing happens if no store is open --------------------- */

/* All but store_session_put() need a session that was put before. */
void store_session_put(const struct store_session *s);
/* Deletes all that belongs to it. */
void store_session_delete(const char *client_id);
void store_session_numbers(const char *client_id, uint64_t number, uint16_t packet_id);

/* Adds, or replaces what has the same share and filter. */
void store_subscription_put(const char *client_id, const struct store_subscription *sub);
void store_subscription_delete(const char *client_id, const char *share,
			       const char *filter);

/*
 * The message is kept once, however many sessions it goes to, until the last
 * of them has deleted it.  The store holds a reference until the commit; the
 * message must not change any more.
 */
void store_outgoing_put(const char *client_id, const struct store_outgoing *out);
/* Only @pos, @state, @number and @packet_id of @out count. */
void store_outgoing_state(const char *client_id, const struct store_outgoing *out);
void store_outgoing_delete(const char *client_id, uint64_t pos);

void store_inbound_add(const char *client_id, uint16_t packet_id);
void store_inbound_delete(const char *client_id, uint16_t packet_id);

/* A session has one at most. */
void store_will_put(const char *client_id, const struct store_will *w);
void store_will_delete(const char *client_id);

void store_retained_put(struct message *m);
void store_retained_delete(const char *topic);

/* One for each connection, the last counts. */
void store_mark_put(const struct store_mark *mark);
void store_mark_delete(uint64_t instance, uint64_t conn);
/* Deletes the marks of all instances but this one. */
void store_marks_clean(uint64_t instance);

/* ---- care of a store in use --------------------------------------------- */

/* Rows of a kind. */
struct store_count {
	const char *name;
	uint64_t n;
};

/**
 * struct store_report - how a check or a backup went; only valid in the call
 * @ok: the store is sound, or the copy complete and on the disk
 * @damaged: the store is not sound
 * @text: if it is not @ok: what is wrong, several lines perhaps
 * @n_counts: how many
 * @counts: what a sound store holds
 * @bytes: of the copy
 */
struct store_report {
	bool ok;
	bool damaged;
	const char *text;
	size_t n_counts;
	const struct store_count *counts;
	uint64_t bytes;
};

typedef void (*store_done_t)(const struct store_report *r, void *arg);

/**
 * store_check - read all of the committed store and judge it
 *
 * Commits go on meanwhile.  One that is damaged is read and judged again when it
 * is opened the next time.  Returns 0 and calls @done later, from the loop;
 * -EBUSY if a check or backup is under way, -ENOENT if no store is open, or
 * another -errno.
 */
int store_check(store_done_t done, void *arg);

/**
 * store_backup - copy the store as it is now
 * @fd: an empty file, open for reading and writing; closed before @done is called
 *
 * As store_check(); -EINVAL if @fd is something else.  After an error @fd is
 * still the caller's.
 */
int store_backup(int fd, store_done_t done, void *arg);

/* End the check or backup that is under way, soon; its @done is called. */
void store_cancel(void);

#endif /* MQTTD_STORE_H */
