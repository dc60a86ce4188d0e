// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of scenarios. */
#include <stddef.h>
#include <string.h>

#include "scenario.h"

const struct scenario * const scenarios[] = {
	&scenario_connect,
	&scenario_idle,
	&scenario_fanout,
	&scenario_fanin,
	&scenario_pair,
	&scenario_write,
	&scenario_relay,
	NULL
};

const struct scenario *scenario_find(const char *name)
{
	unsigned int i;

	for (i = 0; scenarios[i]; i++)
		if (!strcmp(scenarios[i]->name, name))
			return scenarios[i];
	return NULL;
}
