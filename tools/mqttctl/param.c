// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl param get, param set */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "named.h"

/* Leave nothing but @name in @all; an exit status. */
static int pick(cJSON *all, const char *name)
{
	cJSON *item, *next;

	if (!cJSON_HasObjectItem(all, name))
		return ctl_fail(CTL_NOT_FOUND, "no parameter \"%s\"; see mqttctl param get",
				name);
	for (item = all->child; item; item = next) {
		next = item->next;
		if (strcmp(item->string, name))
			cJSON_Delete(cJSON_DetachItemViaPointer(all, item));
	}
	return CTL_OK;
}

int cmd_param_get(char **args)
{
	cJSON *all = cJSON_CreateObject();
	int status = named_get(all, KMQTT_CMD_PARAM_GET, KMQTT_A_PARAM);

	if (!status && args[0])
		status = pick(all, args[0]);
	if (!status)
		return named_print(all);
	cJSON_Delete(all);
	return status;
}

/* A number, or a word for 0 or 1. */
static bool parse_value(const char *s, int64_t *value)
{
	static const char * const words[] = { "off", "on", "false", "true" };
	char *end;
	int i;

	for (i = 0; i < 4; i++) {
		if (!strcmp(s, words[i])) {
			*value = i % 2;
			return true;
		}
	}
	errno = 0;
	*value = strtoll(s, &end, 10);
	return *s && !*end && !errno;
}

int cmd_param_set(char **args)
{
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	int64_t value;
	int status;
	struct nl *nl;

	if (!parse_value(args[1], &value))
		return ctl_fail(CTL_USAGE, "the value of %s is a number, on or off, not \"%s\"",
				args[0], args[1]);
	if (strlen(args[0]) > 255)
		return ctl_fail(CTL_NOT_FOUND, "there is no such parameter; see mqttctl param get");
	nl = nl_open(&status);
	if (!nl)
		return status;
	nlh = nl_request(nl, KMQTT_CMD_PARAM_SET, false);
	nest = mnl_attr_nest_start(nlh, KMQTT_A_PARAM);
	mnl_attr_put_strz(nlh, KMQTT_AN_NAME, args[0]);
	mnl_attr_put_u64(nlh, KMQTT_AN_VALUE, value);
	mnl_attr_nest_end(nlh, nest);
	status = nl_run(nl, NULL, NULL);
	nl_close(nl);
	return status;
}
