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

/**
 * struct talk - what is said to mqttd
 * @question: {"cmd": ...}
 * @data: what follows it, @len bytes
 * @fd: descriptor that goes along, or -1
 * @patient: the answer may take any time
 */
struct talk {
	cJSON *question;
	const uint8_t *data;
	size_t len;
	int fd;
	bool patient;
};

/* Returns CTL_OK and the socket, a status, or DAEMON_AWAY. */
static int connect_daemon(const struct talk *t, int *out)
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
	if (!t->patient)
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

/* Send @len bytes in pieces; one who refuses them may have closed. */
static int send_pieces(int fd, const uint8_t *data, size_t len)
{
	size_t done = 0, n;

	for (; done < len; done += n) {
		n = len - done < PIECE ? len - done : PIECE;
		if (send(fd, data + done, n, MSG_NOSIGNAL) < 0)
			return errno == EPIPE || errno == ECONNRESET ? 0 : -1;
	}
	return 0;
}

/* The whole answer and a NUL, or NULL, then reported. */
static char *receive(int fd, size_t *size)
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
	if (!len) {
		ctl_fail(CTL_ERROR, "no answer from mqttd: it has closed the connection");
		free(text);
		return NULL;
	}
	text[len] = '\0';
	*size = len;
	return text;
}

/* The error in an answer as an exit status, reported. */
static int refused(const cJSON *answer)
{
	const char *code, *error;

	code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "code"));
	error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error"));
	if (!code || !error)
		return ctl_fail(CTL_ERROR, "mqttd's answer is no answer; is its version ours?");
	if (!strcmp(code, "not-found"))
		return ctl_fail(CTL_NOT_FOUND, "%s", error);
	if (!strcmp(code, "denied"))
		return ctl_fail(CTL_MISSING, "%s", error);
	return ctl_fail(CTL_ERROR, "mqttd: %s", error);
}

/* Take the result out of the answer, or report the error in it. */
static int judge(const char *text, cJSON **result, cJSON **next)
{
	cJSON *answer = cJSON_Parse(text);
	int status = CTL_OK;

	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
		status = refused(answer);
	if (!status && result)
		*result = cJSON_DetachItemFromObjectCaseSensitive(answer, "result");
	if (!status && next)
		*next = cJSON_DetachItemFromObjectCaseSensitive(answer, "next");
	cJSON_Delete(answer);
	return status;
}

static int send_question(int fd, const struct talk *t, const char *text)
{
	union {
		struct cmsghdr head;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { };
	struct iovec iov = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (t->fd >= 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &t->fd, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return -1;
	return send_pieces(fd, t->data, t->len);
}

/* Ask and hear the answer; frees the question. */
static int converse(const struct talk *t, char **answer, size_t *len)
{
	char *text = cJSON_PrintUnformatted(t->question);
	int fd = -1, status;

	cJSON_Delete(t->question);
	status = connect_daemon(t, &fd);
	if (status) {
		free(text);
		return status;
	}
	if (!text || send_question(fd, t, text)) {
		status = ctl_fail(CTL_ERROR, "cannot ask mqttd: %s", strerror(errno));
	} else {
		*answer = receive(fd, len);
		status = *answer ? CTL_OK : CTL_ERROR;
	}
	free(text);
	close(fd);
	return status;
}

static int ask(const struct talk *t, cJSON **result, cJSON **next)
{
	char *text = NULL;
	size_t len;
	int status = converse(t, &text, &len);

	if (!status)
		status = judge(text, result, next);
	free(text);
	return status;
}

int daemon_ask_page(cJSON *question, cJSON **result, cJSON **next)
{
	const struct talk t = { .question = question, .fd = -1 };

	return ask(&t, result, next);
}

int daemon_ask_patiently(cJSON *question, int fd, cJSON **result)
{
	const struct talk t = { .question = question, .fd = fd, .patient = true };

	return ask(&t, result, NULL);
}

int daemon_ask(cJSON *question, cJSON **result)
{
	return daemon_ask_page(question, result, NULL);
}

int daemon_ask_payload(cJSON *question, cJSON **result, uint8_t **payload, size_t *len)
{
	const struct talk t = { .question = question, .fd = -1 };
	char *text = NULL;
	size_t size, head;
	int status = converse(&t, &text, &size);

	if (!status)
		status = judge(text, result, NULL);
	if (!status) {
		/* Behind the NUL that ends the JSON text. */
		head = strlen(text) + 1;
		*len = size > head ? size - head : 0;
		*payload = ctl_alloc(*len + 1);
		memcpy(*payload, text + size - *len, *len);
	}
	free(text);
	return status;
}

int daemon_publish(const uint8_t *packet, size_t len)
{
	const struct talk t = {
		.question = cJSON_CreateObject(),
		.data = packet,
		.len = len,
		.fd = -1,
	};

	cJSON_AddStringToObject(t.question, "cmd", "publish");
	cJSON_AddNumberToObject(t.question, "bytes", (double)len);
	return ask(&t, NULL, NULL);
}
