// SPDX-License-Identifier: GPL-2.0-or-later
/* Many publishers, each on its own topic, and few subscribers of all. */
#include "bench.h"
#include "flow.h"

static unsigned int fanin_connections(const struct options *o)
{
	return o->clients + o->peers;
}

static void fanin_init(struct bench *b)
{
	const struct flow_shape shape = {
		.flows = 1,
		.pubs = b->opt->clients,
		.subs = b->opt->peers,
	};

	flow_init(b, &shape);
}

const struct scenario scenario_fanin = {
	.name = "fanin",
	.help = "many publishers, each on its own topic, and few subscribers of all",
	.connect_first = true,
	.publishes = true,
	.connections = fanin_connections,
	.init = fanin_init,
	.start = flow_start,
	.turn = flow_turn,
	.done = flow_done,
	.finish = flow_finish,
	.free = flow_free,
};
