/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netlink socket that owns the namespace.  Commands are gathered, wait for
 * the store, and are sent in batches, in order; the kernel executes them inside
 * the send, so that their replies are there when it returns.
 */
#ifndef MQTTD_NL_H
#define MQTTD_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

#include "kmqtt.h"

/* Payload bytes in one message; larger payloads go in pieces. */
#define NL_PIECE_BYTES	(8U * KMQTT_PIECE_MAX)

/*
 * Called exactly once per command, from nl_flush(): @error is 0 or -errno
 * (-ENOBUFS: the reply was lost, so nothing is known); @reply is the reply
 * message, if the command has one; @text the kernel's reason of a refusal.
 * It may begin commands, they go out with the next flush.
 */
typedef void (*nl_done_t)(void *arg, int error, const struct nlmsghdr *reply,
			  const char *text);

/* Called for every message of a dump. */
typedef void (*nl_dump_t)(const struct nlmsghdr *msg, void *arg);

/* Open the socket and find the family.  0 or -errno. */
int nl_open(void);
/* What was gathered and not flushed is lost. */
void nl_close(void);
/* To wait on for reading. */
int nl_fd(void);

/* Begin a command; the attributes are put into it until nl_end(). */
void nl_begin(uint8_t cmd);
/*
 * Attributes of the command or nest begun last; the string with its NUL, and
 * what does not fit one attribute in parts.
 */
void nl_put(uint16_t type, const void *data, size_t len);
void nl_put_u8(uint16_t type, uint8_t value);
void nl_put_u16(uint16_t type, uint16_t value);
void nl_put_u32(uint16_t type, uint32_t value);
void nl_put_u64(uint16_t type, uint64_t value);
void nl_put_str(uint16_t type, const char *s);
/* Nests do not nest in each other. */
void nl_nest_begin(uint16_t type);
void nl_nest_end(void);
/* @done may be NULL: refusals are then logged. */
void nl_end(nl_done_t done, void *arg);

/*
 * Send what was gathered and need not wait for the store, and hand out the
 * results; likewise the commands that they bring.
 */
void nl_flush(void);
/* Is there anything that nl_flush() left? */
bool nl_held(void);
/* How much memory what waits for the store takes. */
size_t nl_held_bytes(void);

/* ---- order --------------------------------------------------------------- */

/*
 * Nothing may be seen before what it follows from is in the store: a command
 * waits for what cause_wait() says when it is begun, and so do those behind it.
 * Those that follow from one cause (cause.h) may pass, unless one of the same
 * cause before them did not.
 */
/* The store has committed all up to @seq; call nl_flush() then. */
void nl_committed(uint64_t seq);
/* Might one that waits have to do with @conn? */
bool nl_names(uint64_t conn);
/* The results of all commands so far come before those that follow are sent. */
void nl_fence(void);
/*
 * While on, commands overtake all others and do not wait for the store: those
 * that nobody sees the effect of, and those that take the place of one that the
 * kernel refused.
 */
void nl_urgent(bool on);
/* Between the commands that are begun while on no urgent one comes. */
void nl_together(bool on);

/* Run a whole dump at once: for the start, when no other dump is open. */
int nl_dump(uint8_t cmd, nl_dump_t each, void *arg);

/* Ask for a dump whose messages nl_receive() will hand out. */
void nl_dump_start(uint8_t cmd);

/**
 * enum nl_received - what nl_receive() found
 * @NL_NOTHING: nothing there at present
 * @NL_MESSAGES: messages were handed out
 * @NL_DUMP_END: the dump of nl_dump_start() ended
 * @NL_READY: the kernel has events
 * @NL_LOST: messages were lost, the dump perhaps among them
 * @NL_REFUSED: the kernel refused the dump of nl_dump_start(), as logged
 * @NL_GONE: the module was removed
 */
enum nl_received {
	NL_NOTHING,
	NL_MESSAGES,
	NL_DUMP_END,
	NL_READY,
	NL_LOST,
	NL_REFUSED,
	NL_GONE,
};

/* Take one datagram off the socket. */
enum nl_received nl_receive(nl_dump_t each, void *arg);

/* Are datagrams waiting that were read while looking for replies? */
bool nl_backlog(void);
/* Is the dump of nl_dump_start() still going on? */
bool nl_dumping(void);

/* Attributes of a message into a table of @max + 1 pointers. */
void nl_attrs(const struct nlmsghdr *msg, const struct nlattr **tb, uint16_t max);
/* The same of a nest. */
void nl_nested(const struct nlattr *nest, const struct nlattr **tb, uint16_t max);
/* All parts of a binary attribute, a NUL behind them; free it. */
char *nl_parts(const struct nlmsghdr *msg, uint16_t type, size_t *len);
/* Value of an attribute; 0 if @a is NULL. */
uint64_t nl_u64(const struct nlattr *a);
uint32_t nl_u32(const struct nlattr *a);
uint16_t nl_u16(const struct nlattr *a);
uint8_t nl_u8(const struct nlattr *a);

#endif /* MQTTD_NL_H */
