// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mqttctl client show: the connection and its routes from the kernel, the
 * session from the daemon.  One of them may be missing: a session without a
 * connection, or a daemon that is away.
 */
#include "conn.h"
#include "ctl.h"
#include "daemon.h"

static int from_kernel(const char *id, cJSON *out)
{
	cJSON *conn = NULL;
	int status;
	struct nl *nl = nl_open(&status);

	if (!nl)
		return status;
	status = conn_find(nl, id, &conn);
	if (!status && conn) {
		cJSON_AddItemToObject(out, "connection", conn);
		status = route_list(nl, conn_number(conn),
				    cJSON_AddArrayToObject(out, "routes"));
	}
	nl_close(nl);
	return status;
}

static int from_daemon(const char *id, cJSON *out)
{
	cJSON *question = cJSON_CreateObject(), *session = NULL;
	int status;

	cJSON_AddStringToObject(question, "cmd", "client show");
	cJSON_AddStringToObject(question, "id", id);
	status = daemon_ask(question, &session);
	if (session)
		cJSON_AddItemToObject(out, "session", session);
	return status;
}

int cmd_client_show(char **args)
{
	cJSON *out = cJSON_CreateObject();
	const cJSON *conn;
	int status = from_kernel(args[0], out);

	conn = cJSON_GetObjectItemCaseSensitive(out, "connection");
	/* One that has not sent its CONNECT has no session to ask for. */
	if (!status && (!conn || conn_client_id(conn)))
		status = from_daemon(conn ? conn_client_id(conn) : args[0], out);
	if (status == DAEMON_AWAY)
		status = conn ? CTL_OK : daemon_away();
	if (!status)
		return ctl_print_object(out);
	cJSON_Delete(out);
	return status;
}
