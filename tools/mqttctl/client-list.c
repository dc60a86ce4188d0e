// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl client list */
#include "conn.h"
#include "ctl.h"

static int collect(struct nlattr **attrs, void *arg)
{
	cJSON_AddItemToArray(arg, conn_json(attrs));
	return CTL_OK;
}

static int print(const cJSON *list)
{
	static const char * const heads[] = {
		"CONN", "CLIENT", "USER", "VERSION", "STATE", "PEER", "KEEPALIVE",
		"IDLE", "ROUTED", "PUNTED", "SENT", "DROPPED", "QUEUE",
	};
	struct ctl_table t = { .n_cols = 13, .right = 0x1fc1 };
	const cJSON *conn;

	ctl_heads(&t, heads);
	cJSON_ArrayForEach(conn, list) {
		const cJSON *stats = cJSON_GetObjectItemCaseSensitive(conn, "stats");

		ctl_cell(&t, "%.0f", ctl_number(conn, "conn"));
		ctl_cell(&t, "%s", ctl_string(conn, "client_id"));
		ctl_cell(&t, "%s", ctl_string(conn, "username"));
		ctl_cell(&t, "%s", ctl_string(conn, "protocol"));
		ctl_cell(&t, "%s", ctl_string(conn, "state"));
		ctl_cell(&t, "%s", ctl_string(conn, "peer"));
		ctl_cell(&t, "%.0f", ctl_number(conn, "keepalive"));
		ctl_cell(&t, "%.1f", ctl_number(stats, "idle_ms") / 1000);
		ctl_cell(&t, "%.0f", ctl_number(stats, "publish_routed"));
		ctl_cell(&t, "%.0f", ctl_number(stats, "publish_punted"));
		ctl_cell(&t, "%.0f", ctl_number(stats, "publish_sent"));
		ctl_cell(&t, "%.0f", ctl_number(stats, "dropped"));
		ctl_cell(&t, "%.0f", ctl_number(stats, "queue_bytes"));
	}
	return ctl_print_table(&t);
}

int cmd_client_list(char **args)
{
	cJSON *list = cJSON_CreateArray();
	int status;
	struct nl *nl = nl_open(&status);

	if (nl) {
		nl_request(nl, KMQTT_CMD_CONN_GET, true);
		status = nl_run(nl, collect, list);
	}
	nl_close(nl);
	return ctl_finish(status, list, print);
}
