// SPDX-License-Identifier: GPL-2.0-or-later
/* Each message of few publishers goes to many subscribers. */
#include "bench.h"
#include "flow.h"

static unsigned int fanout_connections(const struct options *o)
{
	return o->clients + o->peers;
}

static void fanout_init(struct bench *b)
{
	const struct flow_shape shape = {
		.flows = 1,
		.pubs = b->opt->peers,
		.subs = b->opt->clients,
		.shared_topic = true,
	};

	flow_init(b, &shape);
}

const struct scenario scenario_fanout = {
	.name = "fanout",
	.help = "each message of few publishers goes to many subscribers",
	.connect_first = true,
	.publishes = true,
	.connections = fanout_connections,
	.init = fanout_init,
	.start = flow_start,
	.turn = flow_turn,
	.done = flow_done,
	.finish = flow_finish,
	.free = flow_free,
};
