/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions, subscriptions and retained messages page by page, for those who
 * ask by the control socket: there may be millions, and the loop must go on.
 */
#ifndef MQTTD_LISTING_H
#define MQTTD_LISTING_H

#include <cjson/cJSON.h>

struct message;

/**
 * struct listing_refusal - why there is no page
 * @code: as in control.h
 * @text: for people
 */
struct listing_refusal {
	const char *code;
	const char *text;
};

/**
 * listing_page - one page of a list
 * @what: "session list", "subscription list", "retained list" or "retained
 *	clear", which forgets what it meets
 * @question: as in control.h
 * @next: what to give as "from" for the next page, NULL after the last
 * @refusal: why NULL is returned
 *
 * What is there all the time is listed once; what comes and goes between the
 * pages may be listed or not.  A page may be empty and not the last.
 */
cJSON *listing_page(const char *what, const cJSON *question, cJSON **next,
		    struct listing_refusal *refusal);

/* The session of a client id, or NULL. */
cJSON *listing_session(const char *id);

/*
 * The retained message of a topic: what belongs to it, and the message, to be
 * put, for its payload; or NULL.
 */
cJSON *listing_retained(const char *topic, struct message **m);

#endif /* MQTTD_LISTING_H */
