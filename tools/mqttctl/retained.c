// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl retained list, show, clear */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "daemon.h"
#include "frame.h"
#include "page.h"

static bool payload_only;

static void row(struct ctl_table *t, const cJSON *m)
{
	ctl_cell(t, "%s", ctl_string(m, "topic"));
	ctl_cell(t, "%.0f", ctl_number(m, "qos"));
	ctl_cell(t, "%.0f", ctl_number(m, "bytes"));
	if (cJSON_GetObjectItemCaseSensitive(m, "expires_in"))
		ctl_cell(t, "%.0f", ctl_number(m, "expires_in"));
	else
		ctl_cell(t, "never");
	ctl_cell(t, "%s", ctl_string(m, "from"));
}

int cmd_retained_list(char **args)
{
	static const char * const heads[] = {
		"TOPIC", "QOS", "BYTES", "EXPIRES-IN", "FROM",
	};
	const struct page_list list = {
		.cmd = "retained list",
		.name = args[0] ? "filter" : NULL,
		.value = args[0],
		.n_cols = ARRAY_SIZE(heads),
		.right = 0x0e,
		.heads = heads,
		.row = row,
	};
	int status = args[0] ? page_filter_check(args[0]) : CTL_OK;

	return status ? status : page_print(&list);
}

static int count(const cJSON *page, void *arg)
{
	size_t *n = arg;

	*n += (size_t)cJSON_GetArraySize(page);
	return CTL_OK;
}

int cmd_retained_clear(char **args)
{
	const struct page_list list = {
		.cmd = "retained clear",
		.name = "filter",
		.value = args[0],
	};
	cJSON *result;
	size_t n = 0;
	int status = page_filter_check(args[0]);

	if (!status)
		status = page_each(&list, count, &n);
	if (status)
		return status;
	if (!ctl_options.json) {
		printf("%zu cleared\n", n);
		return ctl_flush();
	}
	result = cJSON_CreateObject();
	cJSON_AddNumberToObject(result, "cleared", (double)n);
	return ctl_print_json(result);
}

int retained_option(char **argv)
{
	if (strcmp(argv[0], "--payload"))
		return 0;
	payload_only = true;
	return 1;
}

/* Text as text, other bytes as hexadecimal digits. */
static void add_payload(cJSON *m, const uint8_t *payload, size_t len)
{
	char *text = ctl_alloc(2 * len + 1);
	size_t i;

	if (kmqtt_utf8_valid(payload, len) && !memchr(payload, 0, len)) {
		memcpy(text, payload, len);
		text[len] = '\0';
		cJSON_AddStringToObject(m, "payload", text);
	} else {
		for (i = 0; i < len; i++)
			sprintf(text + 2 * i, "%02x", payload[i]);
		cJSON_AddStringToObject(m, "payload_hex", text);
	}
	free(text);
}

int cmd_retained_show(char **args)
{
	cJSON *question = cJSON_CreateObject(), *m = NULL;
	uint8_t *payload = NULL;
	size_t len = 0;
	int status;

	cJSON_AddStringToObject(question, "cmd", "retained show");
	cJSON_AddStringToObject(question, "topic", args[0]);
	status = daemon_ask_payload(question, &m, &payload, &len);
	if (status == DAEMON_AWAY)
		status = daemon_away();
	if (!status && payload_only) {
		fwrite(payload, 1, len, stdout);
		status = ctl_flush();
	} else if (!status) {
		add_payload(m, payload, len);
		status = ctl_print_object(m);
		m = NULL;
	}
	cJSON_Delete(m);
	free(payload);
	return status;
}
