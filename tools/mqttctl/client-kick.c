// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mqttctl client kick: the daemon's business, for a session hangs on it; only
 * if the daemon is away does the kernel close the connection.
 */
#include "conn.h"
#include "ctl.h"
#include "daemon.h"
#include "frame.h"

static int kick_in_kernel(struct nl *nl, const cJSON *conn)
{
	struct nlmsghdr *nlh = nl_request(nl, KMQTT_CMD_CONN_CLOSE, false);

	mnl_attr_put_u64(nlh, KMQTT_A_CONN, conn_number(conn));
	mnl_attr_put_u8(nlh, KMQTT_A_REASON, KMQTT_RC_ADMINISTRATIVE);
	return nl_run(nl, NULL, NULL);
}

static int kick_by_daemon(const char *id)
{
	cJSON *question = cJSON_CreateObject();

	cJSON_AddStringToObject(question, "cmd", "client kick");
	cJSON_AddStringToObject(question, "id", id);
	return daemon_ask(question, NULL);
}

int cmd_client_kick(char **args)
{
	cJSON *conn = NULL;
	int status;
	struct nl *nl = nl_open(&status);

	if (!nl)
		return status;
	status = conn_find(nl, args[0], &conn);
	/* One that has not sent its CONNECT is unknown to the daemon. */
	if (!status && conn && !conn_client_id(conn))
		status = kick_in_kernel(nl, conn);
	else if (!status)
		status = kick_by_daemon(conn ? conn_client_id(conn) : args[0]);
	if (status == DAEMON_AWAY)
		status = conn ? kick_in_kernel(nl, conn) : daemon_away();
	cJSON_Delete(conn);
	nl_close(nl);
	return status;
}
