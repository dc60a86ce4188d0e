// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl session list, show, delete; subscription list */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "daemon.h"
#include "page.h"

static void expiry_cell(struct ctl_table *t, const cJSON *session, const char *name,
			const char *absent)
{
	if (cJSON_GetObjectItemCaseSensitive(session, name))
		ctl_cell(t, "%.0f", ctl_number(session, name));
	else
		ctl_cell(t, "%s", absent);
}

static void session_row(struct ctl_table *t, const cJSON *s)
{
	ctl_cell(t, "%s", ctl_string(s, "id"));
	ctl_cell(t, "%s", ctl_string(s, "state"));
	expiry_cell(t, s, "session_expiry", "never");
	expiry_cell(t, s, "expires_in", "-");
	ctl_cell(t, "%.0f", ctl_number(s, "subscriptions"));
	ctl_cell(t, "%.0f", ctl_number(s, "inflight"));
	ctl_cell(t, "%.0f", ctl_number(s, "queued"));
	ctl_cell(t, "%.0f", ctl_number(s, "queued_bytes"));
	ctl_cell(t, "%.0f", ctl_number(s, "dropped"));
}

int cmd_session_list(char **args)
{
	static const char * const heads[] = {
		"CLIENT", "STATE", "EXPIRY", "EXPIRES-IN", "SUBSCRIPTIONS", "INFLIGHT",
		"QUEUED", "BYTES", "DROPPED",
	};
	static const struct page_list list = {
		.cmd = "session list",
		.n_cols = ARRAY_SIZE(heads),
		.right = 0x1fc,
		.heads = heads,
		.row = session_row,
	};

	return page_print(&list);
}

/* Ask of one session; the result may be NULL. */
static int ask(const char *cmd, const char *id, cJSON **result)
{
	cJSON *question = cJSON_CreateObject();
	int status;

	cJSON_AddStringToObject(question, "cmd", cmd);
	cJSON_AddStringToObject(question, "id", id);
	status = daemon_ask(question, result);
	return status == DAEMON_AWAY ? daemon_away() : status;
}

int cmd_session_show(char **args)
{
	cJSON *session = NULL;
	int status = ask("session show", args[0], &session);

	if (!status)
		return ctl_print_object(session);
	cJSON_Delete(session);
	return status;
}

int cmd_session_delete(char **args)
{
	return ask("session delete", args[0], NULL);
}

static void flag_text(char *text, size_t size, const cJSON *sub, const char *name,
		      const char *word)
{
	size_t len = strlen(text);

	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(sub, name)))
		snprintf(text + len, size - len, "%s%s", len ? "," : "", word);
}

static void subscription_row(struct ctl_table *t, const cJSON *sub)
{
	char flags[64] = "";

	flag_text(flags, sizeof(flags), sub, "no_local", "no-local");
	flag_text(flags, sizeof(flags), sub, "retain_as_published", "retain-as-published");
	ctl_cell(t, "%s", ctl_string(sub, "id"));
	ctl_cell(t, "%s", ctl_string(sub, "filter"));
	ctl_cell(t, "%s", ctl_string(sub, "share"));
	ctl_cell(t, "%.0f", ctl_number(sub, "qos"));
	ctl_cell(t, "%.0f", ctl_number(sub, "subscription_id"));
	ctl_cell(t, "%.0f", ctl_number(sub, "retain_handling"));
	ctl_cell(t, "%s", *flags ? flags : "-");
}

int cmd_subscription_list(char **args)
{
	static const char * const heads[] = {
		"CLIENT", "FILTER", "SHARE", "QOS", "SUBID", "RH", "FLAGS",
	};
	const struct page_list list = {
		.cmd = "subscription list",
		.name = args[0] ? "id" : NULL,
		.value = args[0],
		.n_cols = ARRAY_SIZE(heads),
		.right = 0x38,
		.heads = heads,
		.row = subscription_row,
	};

	return page_print(&list);
}
