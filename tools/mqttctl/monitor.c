// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl monitor: a line for each connection that comes, is accepted, goes */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conn.h"
#include "ctl.h"

static const char *event_name(uint8_t type)
{
	switch (type) {
	case KMQTT_EV_MON_ATTACH:
		return "attach";
	case KMQTT_EV_MON_ACCEPT:
		return "accept";
	case KMQTT_EV_MON_CLOSE:
		return "close";
	}
	return "unknown";
}

static cJSON *event_json(struct nlattr **attrs)
{
	struct nlattr *ev[KMQTT_AE_MAX + 1];
	cJSON *obj = cJSON_CreateObject();
	const struct nlattr *a;
	uint8_t type;
	size_t len;

	nl_nest(attrs[KMQTT_A_EVENT], ev, KMQTT_AE_MAX);
	type = nl_u8(ev[KMQTT_AE_TYPE]);
	cJSON_AddNumberToObject(obj, "time", time(NULL));
	cJSON_AddStringToObject(obj, "event", event_name(type));
	cJSON_AddNumberToObject(obj, "conn", nl_u64(attrs[KMQTT_A_CONN]));
	a = attrs[KMQTT_A_PEER];
	if (a) {
		const char *peer = mnl_attr_get_payload(a);

		len = strnlen(peer, mnl_attr_get_payload_len(a));
		cJSON_AddItemToObject(obj, "peer", ctl_json_bytes(peer, len));
	}
	a = attrs[KMQTT_A_CLIENT_ID];
	len = a ? mnl_attr_get_payload_len(a) : 0;
	if (len)
		cJSON_AddItemToObject(obj, "client_id",
				      ctl_json_bytes(mnl_attr_get_payload(a), len));
	if (type == KMQTT_EV_MON_CLOSE) {
		cJSON_AddStringToObject(obj, "cause",
					conn_cause_name(nl_u8(ev[KMQTT_AE_CAUSE])));
		cJSON_AddNumberToObject(obj, "reason", nl_u8(ev[KMQTT_AE_REASON]));
	}
	return obj;
}

/* "15:04:05 close  conn 7  peer 192.0.2.1:1024  client_id x  cause eof" */
static int print_line(const cJSON *event)
{
	struct ctl_table t = { .n_cols = 0 };
	time_t now = time(NULL);
	const cJSON *item;
	char stamp[16];
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%H:%M:%S", localtime_r(&now, &tm));
	ctl_cell(&t, "%s", stamp);
	cJSON_ArrayForEach(item, event) {
		if (!strcmp(item->string, "time"))
			continue;
		if (!strcmp(item->string, "event"))
			ctl_cell(&t, "%-6s", item->valuestring);
		else if (cJSON_IsString(item))
			ctl_cell(&t, "%s %s", item->string, item->valuestring);
		else
			ctl_cell(&t, "%s %.0f", item->string, item->valuedouble);
	}
	t.n_cols = t.n_cells;
	return ctl_print_table(&t);
}

static int event(struct nlattr **attrs, void *arg)
{
	cJSON *obj;
	int status;

	if (!attrs[KMQTT_A_EVENT])
		return CTL_OK;
	obj = event_json(attrs);
	if (ctl_options.json)
		return ctl_print_json(obj);
	status = print_line(obj);
	cJSON_Delete(obj);
	return status;
}

int cmd_monitor(char **args)
{
	int status;
	struct nl *nl = nl_open(&status);

	if (!nl)
		return status;
	status = nl_monitor(nl, event, NULL);
	nl_close(nl);
	return status;
}
