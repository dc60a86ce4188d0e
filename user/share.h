/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a member of a share group leaves behind goes to the others.
 */
#ifndef MQTTD_SHARE_H
#define MQTTD_SHARE_H

#include <stdbool.h>

struct session;

/*
 * The connection of @s is gone, or with @ended the session, which has no
 * subscriptions any more: what came to it as a member of a share group goes to
 * another member.  While the session lives only to one that is connected; the
 * session keeps what it may have received at QoS 2 (4.8.2), and what nobody
 * else would get sooner.
 */
void share_leave(struct session *s, bool ended);

#endif /* MQTTD_SHARE_H */
