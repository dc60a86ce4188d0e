// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl client list */
#include "conn.h"
#include "ctl.h"

static int collect(struct nlattr **attrs, void *arg)
{
	cJSON_AddItemToArray(arg, conn_json(attrs));
	return CTL_OK;
}

static double number(const cJSON *obj, const char *name)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(obj, name);

	return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

static const char *string(const cJSON *obj, const char *name)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));

	return s && *s ? s : "-";
}

static int print(const cJSON *list)
{
	static const char * const heads[] = {
		"CONN", "CLIENT", "USER", "VERSION", "STATE", "PEER", "KEEPALIVE",
		"IDLE", "ROUTED", "PUNTED", "SENT", "DROPPED", "QUEUE",
	};
	struct ctl_table t = { .n_cols = 13, .right = 0x1fc1 };
	const cJSON *conn;
	unsigned int i;

	for (i = 0; i < t.n_cols; i++)
		ctl_cell(&t, "%s", heads[i]);
	cJSON_ArrayForEach(conn, list) {
		const cJSON *stats = cJSON_GetObjectItemCaseSensitive(conn, "stats");

		ctl_cell(&t, "%.0f", number(conn, "conn"));
		ctl_cell(&t, "%s", string(conn, "client_id"));
		ctl_cell(&t, "%s", string(conn, "username"));
		ctl_cell(&t, "%s", string(conn, "protocol"));
		ctl_cell(&t, "%s", string(conn, "state"));
		ctl_cell(&t, "%s", string(conn, "peer"));
		ctl_cell(&t, "%.0f", number(conn, "keepalive"));
		ctl_cell(&t, "%.1f", number(stats, "idle_ms") / 1000);
		ctl_cell(&t, "%.0f", number(stats, "publish_routed"));
		ctl_cell(&t, "%.0f", number(stats, "publish_punted"));
		ctl_cell(&t, "%.0f", number(stats, "publish_sent"));
		ctl_cell(&t, "%.0f", number(stats, "dropped"));
		ctl_cell(&t, "%.0f", number(stats, "queue_bytes"));
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
	if (!status && ctl_options.json)
		return ctl_print_json(list);
	if (!status)
		status = print(list);
	cJSON_Delete(list);
	return status;
}
