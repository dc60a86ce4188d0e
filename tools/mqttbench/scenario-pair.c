// SPDX-License-Identifier: GPL-2.0-or-later
/* Pairs of one publisher and one subscriber with a topic of their own. */
#include "bench.h"
#include "flow.h"

static unsigned int pair_connections(const struct options *o)
{
	return 2 * o->clients;
}

static void pair_init(struct bench *b)
{
	const struct flow_shape shape = {
		.flows = b->opt->clients,
		.pubs = 1,
		.subs = 1,
		.shared_topic = true,
	};

	flow_init(b, &shape);
}

const struct scenario scenario_pair = {
	.name = "pair",
	.help = "pairs of one publisher and one subscriber with a topic of their own",
	.connect_first = true,
	.publishes = true,
	.connections = pair_connections,
	.init = pair_init,
	.start = flow_start,
	.turn = flow_turn,
	.done = flow_done,
	.finish = flow_finish,
	.free = flow_free,
};
