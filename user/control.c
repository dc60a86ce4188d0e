// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket.  Answers leave as fast as they are read; one who does
 * not read costs a few seconds of memory and never a wait.
 */
#include "control.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "array.h"
#include "broker.h"
#include "daemon.h"
#include "list.h"
#include "log.h"
#include "mem.h"

#define ASKERS_MAX	32
#define GROUP		"mqttd"
#define PIECE		65536	/* of an answer, per datagram */
#define TIMEOUT_S	10	/* for a question to come, or an answer to go */
#define GROUPS_MAX	65536	/* NGROUPS_MAX of the kernel */

/**
 * struct asker - a process that asks, until its answer has left
 * @link: in askers
 * @fd: its socket
 * @event: readable until the question, writable after it
 * @answer: the answer, @len bytes, the first @sent of which have left
 */
struct asker {
	struct list link;
	int fd;
	struct event *event;
	char *answer;
	size_t len;
	size_t sent;
};

static struct list askers = { &askers, &askers };
static unsigned int n_askers;
static int listen_fd = -1;
static struct event *listen_event;
static char *listen_path;

/* ---- answers ------------------------------------------------------------ */

static cJSON *refusal(const char *code, const char *error)
{
	cJSON *answer = cJSON_CreateObject();

	cJSON_AddBoolToObject(answer, "ok", false);
	cJSON_AddStringToObject(answer, "code", code);
	cJSON_AddStringToObject(answer, "error", error);
	return answer;
}

/* Takes @result, which may be NULL: there was no memory for it. */
static cJSON *success(cJSON *result)
{
	cJSON *answer;

	if (!result)
		return refusal("internal", "mqttd is out of memory");
	answer = cJSON_CreateObject();
	cJSON_AddBoolToObject(answer, "ok", true);
	cJSON_AddItemToObject(answer, "result", result);
	return answer;
}

static cJSON *do_client_list(const cJSON *q)
{
	return success(broker_client_list());
}

static const char *string_of(const cJSON *q, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(q, name));
}

static cJSON *do_client_show(const cJSON *q)
{
	const char *id = string_of(q, "id");
	cJSON *result;

	if (!id)
		return refusal("usage", "client show needs \"id\"");
	result = broker_client_show(id);
	return result ? success(result) :
			refusal("not-found", "there is no such client");
}

static cJSON *do_client_kick(const cJSON *q)
{
	const char *id = string_of(q, "id");
	bool clean = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(q, "clean_session"));

	if (!id)
		return refusal("usage", "client kick needs \"id\"");
	if (broker_client_kick(id, clean))
		return refusal("not-found", "there is no such client");
	return success(cJSON_CreateObject());
}

static cJSON *do_stats(const cJSON *q)
{
	return success(broker_stats());
}

static cJSON *do_reload(const cJSON *q)
{
	if (daemon_reload())
		return refusal("internal",
			       "the configuration has errors, see the log; the former one stays");
	return success(cJSON_CreateObject());
}

static cJSON *do_version(const cJSON *q)
{
	cJSON *result = cJSON_CreateObject();

	cJSON_AddStringToObject(result, "version", KMQTT_VERSION);
	cJSON_AddNumberToObject(result, "pid", getpid());
	return success(result);
}

static const struct {
	const char *name;
	cJSON *(*run)(const cJSON *q);
} commands[] = {
	{ "client list", do_client_list },
	{ "client show", do_client_show },
	{ "client kick", do_client_kick },
	{ "stats", do_stats },
	{ "reload", do_reload },
	{ "version", do_version },
};

static cJSON *answer_question(const char *text, size_t len)
{
	cJSON *q = cJSON_ParseWithLength(text, len), *answer = NULL;
	const char *cmd = string_of(q, "cmd");
	size_t i;

	if (!cmd)
		answer = refusal("usage", "the question is not a JSON object with \"cmd\"");
	for (i = 0; !answer && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(cmd, commands[i].name))
			answer = commands[i].run(q);
	if (!answer)
		answer = refusal("usage", "unknown command");
	cJSON_Delete(q);
	return answer;
}

/* ---- who may ask -------------------------------------------------------- */

static bool in_group(int fd, gid_t primary, gid_t group)
{
	socklen_t len = GROUPS_MAX * sizeof(gid_t);
	gid_t *groups;
	bool found = primary == group;
	size_t i;

	if (found)
		return true;
	groups = mem_zalloc(len);
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		for (i = 0; i < len / sizeof(gid_t); i++)
			found |= groups[i] == group;
	free(groups);
	return found;
}

static bool may_ask(int fd)
{
	const struct group *gr = getgrnam(GROUP);
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	return !cred.uid || (gr && in_group(fd, cred.gid, gr->gr_gid));
}

/* ---- connections -------------------------------------------------------- */

static void asker_free(struct asker *a)
{
	list_del(&a->link);
	n_askers--;
	event_free(a->event);
	close(a->fd);
	free(a->answer);
	free(a);
}

static void writable(evutil_socket_t fd, short what, void *arg)
{
	struct asker *a = arg;

	while (a->sent < a->len && !(what & EV_TIMEOUT)) {
		size_t n = a->len - a->sent;
		ssize_t rc = send(fd, a->answer + a->sent, n < PIECE ? n : PIECE,
				  MSG_NOSIGNAL);

		if (rc < 0 && errno == EAGAIN)
			return;
		if (rc < 0)
			break;
		a->sent += rc;
	}
	asker_free(a);
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	static char question[CONTROL_QUESTION_MAX];
	struct timeval tv = { .tv_sec = TIMEOUT_S };
	struct asker *a = arg;
	struct event_base *base = event_get_base(a->event);
	cJSON *answer;
	ssize_t len;

	len = recv(fd, question, sizeof(question), MSG_TRUNC);
	if (len < 0 && errno == EAGAIN && !(what & EV_TIMEOUT))
		return;
	if (len <= 0) {
		asker_free(a);
		return;
	}
	if (!may_ask(fd))
		answer = refusal("denied", "only root and group " GROUP " may ask mqttd");
	else if (len > (ssize_t)sizeof(question))
		answer = refusal("usage", "the question is too long");
	else
		answer = answer_question(question, len);
	a->answer = cJSON_PrintUnformatted(answer);
	cJSON_Delete(answer);
	if (!a->answer) {
		asker_free(a);
		return;
	}
	a->len = strlen(a->answer);
	event_del(a->event);
	event_assign(a->event, base, fd, EV_WRITE | EV_PERSIST, writable, a);
	event_add(a->event, &tv);
}

static void acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { .tv_sec = TIMEOUT_S };
	struct event_base *base = arg;
	struct asker *a;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (conn < 0)
		return;
	if (n_askers == ASKERS_MAX) {
		log_warning("control socket: %d processes ask at once; one is refused",
			    ASKERS_MAX);
		close(conn);
		return;
	}
	a = mem_zalloc(sizeof(*a));
	a->fd = conn;
	a->event = event_new(base, conn, EV_READ | EV_PERSIST, readable, a);
	list_add(&a->link, &askers);
	n_askers++;
	if (!a->event || event_add(a->event, &tv))
		asker_free(a);
}

/* ---- the socket --------------------------------------------------------- */

/* Make the folder of @path, one level. */
static int make_folder(const char *path)
{
	char *copy = mem_strndup(path, strlen(path));
	int rc = 0;

	if (mkdir(dirname(copy), 0755) && errno != EEXIST)
		rc = -errno;
	free(copy);
	return rc;
}

static int bind_path(int fd, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const struct group *gr = getgrnam(GROUP);
	mode_t mask;
	int rc;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	rc = make_folder(path);
	if (rc)
		return rc;
	if (unlink(path) && errno != ENOENT)
		return -errno;
	mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun)) ? -errno : 0;
	umask(mask);
	if (rc)
		return rc;
	if (gr && chown(path, -1, gr->gr_gid))
		log_debug("%s: chown: %s", path, strerror(errno));
	return listen(fd, ASKERS_MAX) ? -errno : 0;
}

int control_start(struct event_base *base, const char *path)
{
	int fd, rc;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -errno : bind_path(fd, path);
	if (rc) {
		log_err("control socket %s: %s", path, strerror(-rc));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	listen_fd = fd;
	listen_path = mem_strndup(path, strlen(path));
	listen_event = event_new(base, fd, EV_READ | EV_PERSIST, acceptable,
				 base);
	if (!listen_event || event_add(listen_event, NULL)) {
		control_stop();
		return -ENOMEM;
	}
	return 0;
}

void control_stop(void)
{
	struct asker *a, *next;

	if (listen_fd < 0)
		return;
	for (a = list_first(&askers, struct asker, link); &a->link != &askers;
	     a = next) {
		next = list_first(&a->link, struct asker, link);
		asker_free(a);
	}
	if (listen_event)
		event_free(listen_event);
	listen_event = NULL;
	close(listen_fd);
	listen_fd = -1;
	unlink(listen_path);
	free(listen_path);
	listen_path = NULL;
}
