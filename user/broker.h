/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker: everything between an accepted socket and the MQTT semantics.
 * This is all that listeners, the control socket and the daemon's frame see.
 */
#ifndef MQTTD_BROKER_H
#define MQTTD_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cjson/cJSON.h>
#include <event2/event.h>

/*
 * Become the daemon of this network namespace: open the netlink family, bind
 * to it, take over the connections the kernel still holds.  Returns 0 or
 * -errno; what is missing (module, permission, another daemon in the way) has
 * then been logged with what to do.
 */
int broker_start(struct event_base *base);

/*
 * Load the store, tell the log what is in it and how long that took, and forget
 * it; the kernel is not asked.  0 or -errno.
 */
int broker_load_only(void);

/*
 * Hand a connected TCP socket of listener number @listener to the kernel.
 * @peer may be NULL.  The caller must have taken @fd out of its event loop
 * before and closes it afterwards, whatever is returned.  Returns 0 or -errno
 * (logged); then closing the descriptor ends the connection.
 */
int broker_attach(int fd, unsigned int listener, const struct sockaddr *peer,
		  socklen_t peer_len);

/*
 * Begin to stop; the event loop is ended (event_base_loopexit) when it is
 * done, after at most a few seconds.  With @handover everything is left for
 * the next daemon; without, clients are disconnected with 0x8B and wills are
 * published as specified.  A second call ends the loop at once.
 */
void broker_stop(bool handover);
/* Did the event loop end because the module is gone? */
bool broker_failed(void);
/* Free all that is left after the event loop has ended. */
void broker_free(void);

/* The configuration was read anew: conf_get() already gives the new one. */
void broker_reload(void);

/*
 * For the control socket.  The JSON belongs to the caller; NULL means no
 * memory, or for _show that there is no such client.
 */
cJSON *broker_client_list(void);
cJSON *broker_client_show(const char *client_id);
cJSON *broker_stats(void);
/*
 * Call @done once what follows from the calls so far is in the store, or at
 * once if nothing has to be.
 */
void broker_when_stored(void (*done)(void *arg), void *arg);
/*
 * Publish what a PUBLISH packet of 5.0 holds.  NULL, or why it cannot be
 * published.
 */
const char *broker_publish(const uint8_t *packet, size_t len);
/*
 * Disconnect a client (5.0: 0x98).  @clean_session forgets its session too,
 * also one that is offline.  Returns 0 or -ENOENT.
 */
int broker_client_kick(const char *client_id, bool clean_session);

#endif /* MQTTD_BROKER_H */
