/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes: subscriptions as the kernel knows them.
 */
#ifndef MQTTD_ROUTE_H
#define MQTTD_ROUTE_H

#include "nl.h"
#include "packet.h"

struct subscription;

/**
 * struct route_name - a topic filter taken apart
 * @share: share name or NULL
 * @filter: with mount point
 */
struct route_name {
	char *share;
	char *filter;
};

/* 0 or the reason code why the filter is refused. */
int route_name_make(struct route_name *name, const char *mount,
		    const struct packet_str *filter);
void route_name_free(struct route_name *name);

void route_add(uint64_t conn, const struct subscription *sub, uint32_t flags,
	       nl_done_t done, void *arg);
/* Adds nothing: EV_DONE with @token when all look-ups find what was added. */
void route_confirm(uint64_t conn, const struct subscription *sub, uint64_t token,
		   nl_done_t done, void *arg);
/* @token 0: nobody waits for its completion. */
void route_del(uint64_t conn, const struct route_name *name, uint64_t token,
	       nl_done_t done, void *arg);

#endif /* MQTTD_ROUTE_H */
