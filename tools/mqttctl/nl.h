/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thin layer over libmnl for the family kmqtt.  Whatever goes wrong has
 * been printed when a function returns.
 */
#ifndef MQTTCTL_NL_H
#define MQTTCTL_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#include "kmqtt.h"

struct nl;

/**
 * nl_open - open a socket and find the family
 * @status: the exit status if it fails
 *
 * Returns NULL after saying which of module and permission is missing.
 */
struct nl *nl_open(int *status);

void nl_close(struct nl *nl);

/* Begin a request; attributes are put to it with mnl_attr_put_*(). */
struct nlmsghdr *nl_request(struct nl *nl, uint8_t cmd, bool dump);

/* One answer, its attributes by number, absent ones NULL. */
typedef int (*nl_answer_fn)(struct nlattr **attrs, void *arg);

/**
 * nl_run - send the request and hear the answers
 * @fn: called for each; another return value than CTL_OK ends it
 * @arg: for @fn
 *
 * Returns an exit status.
 */
int nl_run(struct nl *nl, nl_answer_fn fn, void *arg);

/**
 * nl_monitor - hear the group "monitor" until fn says otherwise or a signal
 */
int nl_monitor(struct nl *nl, nl_answer_fn fn, void *arg);

/* The attributes of a nest, @max + 1 of them. */
void nl_nest(const struct nlattr *nest, struct nlattr **attrs, unsigned int max);

/* Numbers; 0 for an absent or too short attribute. */
uint8_t nl_u8(const struct nlattr *attr);
uint16_t nl_u16(const struct nlattr *attr);
uint32_t nl_u32(const struct nlattr *attr);
uint64_t nl_u64(const struct nlattr *attr);

/*
 * For attributes that repeat: calls @fn for each of the last answer's of
 * @type; what @fn returns other than CTL_OK ends it.
 */
int nl_each(struct nl *nl, uint16_t type,
	    int (*fn)(const struct nlattr *attr, void *arg), void *arg);

#endif /* MQTTCTL_NL_H */
