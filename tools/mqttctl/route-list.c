// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl route list */
#include <string.h>

#include "conn.h"
#include "ctl.h"

static void flags_cell(struct ctl_table *t, const cJSON *flags)
{
	char text[128] = "";
	const cJSON *flag;

	cJSON_ArrayForEach(flag, flags) {
		if (*text)
			strncat(text, ",", sizeof(text) - strlen(text) - 1);
		strncat(text, flag->valuestring, sizeof(text) - strlen(text) - 1);
	}
	ctl_cell(t, "%s", *text ? text : "-");
}

static int print(const cJSON *list)
{
	static const char * const heads[] = {
		"TARGET", "FILTER", "SHARE", "QOS", "SUBID", "RH", "FLAGS",
	};
	struct ctl_table t = { .n_cols = 7, .right = 0x39 };
	const cJSON *route;

	ctl_heads(&t, heads);
	cJSON_ArrayForEach(route, list) {
		if (conn_number(route))
			ctl_cell(&t, "%.0f", ctl_number(route, "conn"));
		else
			ctl_cell(&t, "daemon");
		ctl_cell(&t, "%s", ctl_string(route, "filter"));
		ctl_cell(&t, "%s", ctl_string(route, "share"));
		ctl_cell(&t, "%.0f", ctl_number(route, "qos"));
		ctl_cell(&t, "%.0f", ctl_number(route, "subscription_id"));
		ctl_cell(&t, "%.0f", ctl_number(route, "retain_handling"));
		flags_cell(&t, cJSON_GetObjectItemCaseSensitive(route, "flags"));
	}
	return ctl_print_table(&t);
}

int cmd_route_list(char **args)
{
	cJSON *list = cJSON_CreateArray();
	int status;
	struct nl *nl = nl_open(&status);

	if (nl)
		status = route_list(nl, 0, list);
	nl_close(nl);
	return ctl_finish(status, list, print);
}
