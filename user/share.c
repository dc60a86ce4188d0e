// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a member of a share group leaves behind goes to the others.
 */
#include "clock.h"
#include "inflight.h"
#include "message.h"
#include "publish.h"
#include "rib.h"
#include "session.h"
#include "share.h"

/* With the last member what waited for the group is gone. */
static void pass_on(const struct outgoing *out, const struct session *s)
{
	struct rib_dests dests = { 0 };

	if (!message_expired(out->msg, clock_ms()) &&
	    share_group_match(out->group, s, &dests))
		publish_send(out->msg, &dests, NULL);
}

void share_leave(struct session *s, bool ended)
{
	struct outgoing *out, *tmp;
	struct list taken;

	list_init(&taken);
	inflight_take_shared(s, ended, &taken);
	list_for_each_safe(out, tmp, &taken, node) {
		list_del(&out->node);
		pass_on(out, s);
		share_group_put(out->group);
		out->group = NULL;
		outgoing_put(out);
	}
}
