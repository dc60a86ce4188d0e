/* SPDX-License-Identifier: GPL-2.0 */
/* The shortest way of a message: from socket to socket in one softirq. */
#ifndef KMQTT_DIRECT_H
#define KMQTT_DIRECT_H

#include <linux/types.h>

struct kmqtt_conn;
struct sock;

/**
 * kmqtt_direct() - forward what a connection received at once
 * @conn: the connection
 * @sk: its socket; in sk_data_ready
 *
 * For one small QoS 0 PUBLISH to one subscriber that takes what it is sent.
 * Everything else is for the worker: what comes in quick succession costs less
 * if it is sent together.
 *
 * Context: any in which TCP calls sk_data_ready, with the socket locked.
 * Return: false, with nothing changed, if the worker has to look at it.
 */
bool kmqtt_direct(struct kmqtt_conn *conn, struct sock *sk);

#endif /* KMQTT_DIRECT_H */
