/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: SEQPACKET, one question per connection.
 *
 * The question is one datagram, a JSON object {"cmd": NAME, ...}.  The answer
 * is one JSON object in as many datagrams as it needs, ended by the close:
 * {"ok": true, "result": ...} or {"ok": false, "code": NAME, "error": TEXT}
 * with the codes
 *   usage      the question is not understood
 *   not-found  there is no such client, session or retained message, or no store
 *   denied     the process that asks is neither root nor in group mqttd
 *   internal   the daemon could not do it
 *
 * Commands:
 *   "client list"   result: an array of clients
 *   "client show"   "id": client id; result: the client
 *   "client kick"   "id": client id, optional "clean_session": boolean
 *   "session show"    "id": client id; result: the session
 *   "session delete"  "id": client id; disconnects the client
 *   "publish"       "bytes": length of a PUBLISH packet of 5.0, which follows in
 *                   datagrams of at most 65,536 bytes; the answer comes when it
 *                   is stored
 *   "retained show" "topic"; result: what belongs to the message; the JSON text
 *                   is followed by a NUL and the payload
 *   "store check"   result: {"sound": BOOLEAN, "damage": lines of TEXT if it is
 *                   not, else what is in the store by kind: "sessions": NUMBER ...}
 *   "store backup"  comes with a descriptor (SCM_RIGHTS) of an empty file, open
 *                   for reading and writing; result: {"bytes": NUMBER}; the copy is
 *                   on the disk then
 *   "stats"         result: the daemon's own figures
 *   "reload"        read the configuration anew, as SIGHUP
 *   "version"       result: {"version": TEXT, "pid": NUMBER}
 *
 * A check or backup takes its time, and ends if the connection is closed.
 *
 * These answer with a page, an array of a few hundred at most; if the answer
 * has "next", the same question with that as "from" brings the next page:
 *   "session list"
 *   "subscription list"  optional "id": client id
 *   "retained list"      optional "filter": topic filter, "#" without
 *   "retained clear"     likewise; result: the topics cleared
 */
#ifndef MQTTD_CONTROL_H
#define MQTTD_CONTROL_H

#include <event2/event.h>

/* The longest question: a client id of 65,535 bytes, each written \u00XX. */
#define CONTROL_QUESTION_MAX	(65535 * 6 + 1024)

/**
 * control_start - listen on a control socket
 * @base: the event loop
 * @path: of the socket; its folder is made if it is missing
 *
 * Returns 0 or -errno, then logged.
 */
int control_start(struct event_base *base, const char *path);

/* Close it and remove the path. */
void control_stop(void);

#endif /* MQTTD_CONTROL_H */
