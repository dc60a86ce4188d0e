// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttbench: loads an MQTT broker and reports what it delivered and cost. */
#include "bench.h"
#include "options.h"
#include "report.h"
#include "scenario.h"

int main(int argc, char **argv)
{
	static struct bench bench = { .loop.epfd = -1 };
	struct options o;
	int err = options_parse(&o, argc, argv);

	if (err)
		return err == 1 ? 0 : err;
	if (o.scenario->serve)
		return o.scenario->serve(&o);
	err = bench_run(&bench, &o);
	if (bench.begun) {
		if (o.json)
			report_json(&bench);
		else
			report_text(&bench);
	}
	bench_free(&bench);
	return err;
}
