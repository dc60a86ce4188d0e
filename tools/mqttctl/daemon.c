// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions to mqttd over its control socket: one datagram there, as many
 * back as the answer needs, until the daemon closes.
 */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"

#define TIMEOUT_S	10
#define PIECE		65536

int daemon_away(void)
{
	return ctl_fail(CTL_MISSING, "mqttd is not running: systemctl start mqttd");
}

/* Returns CTL_OK and the socket, a status, or DAEMON_AWAY. */
static int connect_daemon(int *out)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = TIMEOUT_S };
	const char *path = ctl_options.socket;
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return ctl_fail(CTL_USAGE, "-s: the path is longer than %zu bytes",
				sizeof(sun.sun_path) - 1);
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ctl_fail(CTL_ERROR, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		int error = errno;

		close(fd);
		if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
			return DAEMON_AWAY;
		if (error == EACCES || error == EPERM)
			return ctl_fail(CTL_MISSING,
					"%s: no permission: run as root or a member of group mqttd",
					path);
		return ctl_fail(CTL_ERROR, "%s: %s", path, strerror(error));
	}
	*out = fd;
	return CTL_OK;
}

/* The whole answer as text, or NULL, then reported. */
static char *receive(int fd)
{
	size_t len = 0, room = 0;
	char *text = NULL;
	ssize_t n;

	do {
		if (room - len < PIECE + 1) {
			char *more = realloc(text, room += 2 * PIECE + room);

			if (!more) {
				n = -1;
				break;
			}
			text = more;
		}
		n = recv(fd, text + len, PIECE, 0);
		if (n > 0)
			len += n;
	} while (n > 0);
	if (n < 0 && errno != ECONNRESET) {
		ctl_fail(CTL_ERROR, "no answer from mqttd: %s",
			 errno == EAGAIN ? "timed out" : strerror(errno));
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/* Take the result out of the answer, or report the error in it. */
static int judge(const char *text, cJSON **result)
{
	cJSON *answer = cJSON_Parse(text);
	const char *code, *error;
	int status = CTL_OK;

	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"))) {
		if (result)
			*result = cJSON_DetachItemFromObjectCaseSensitive(answer,
									  "result");
		cJSON_Delete(answer);
		return CTL_OK;
	}
	code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "code"));
	error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error"));
	if (!code || !error)
		status = ctl_fail(CTL_ERROR, "mqttd's answer is no answer; is its version ours?");
	else if (!strcmp(code, "not-found"))
		status = ctl_fail(CTL_NOT_FOUND, "%s", error);
	else if (!strcmp(code, "denied"))
		status = ctl_fail(CTL_MISSING, "%s", error);
	else
		status = ctl_fail(CTL_ERROR, "mqttd: %s", error);
	cJSON_Delete(answer);
	return status;
}

int daemon_ask(cJSON *question, cJSON **result)
{
	char *text = cJSON_PrintUnformatted(question);
	int fd = -1, status;

	cJSON_Delete(question);
	status = connect_daemon(&fd);
	if (status) {
		free(text);
		return status;
	}
	if (!text || send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
		status = ctl_fail(CTL_ERROR, "cannot ask mqttd: %s",
				  strerror(errno));
		free(text);
	} else {
		free(text);
		text = receive(fd);
		status = text ? judge(text, result) : CTL_ERROR;
		free(text);
	}
	close(fd);
	return status;
}
