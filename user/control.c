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
#include "listing.h"
#include "log.h"
#include "mem.h"
#include "message.h"
#include "store.h"

#define ASKERS_MAX	32
#define GROUP		"mqttd"
#define PIECE		65536	/* of an answer, per datagram */
#define TIMEOUT_S	10	/* for a question to come, or an answer to go */
#define GROUPS_MAX	65536	/* NGROUPS_MAX of the kernel */
#define PACKET_MAX	268435460	/* largest packet that MQTT knows */

/**
 * struct asker - a process that asks, until its answer has left
 * @link: in askers
 * @fd: its socket
 * @event: readable until the question, writable after it
 * @answer: the answer, @len bytes
 * @payload: the message whose payload follows it, or NULL
 * @sent: bytes of both that have left
 * @packet: the packet to be published, of which @packet_have bytes have come
 * @packet_room: bytes allocated
 * @packet_len: its length, 0 if there is none
 * @passed: descriptor that came with the question, or -1
 * @stores: what it asks for changes the store
 * @job: the store is being checked or copied for it
 * @waits: the answer waits for the store
 */
struct asker {
	struct list link;
	int fd;
	struct event *event;
	char *answer;
	size_t len;
	struct message *payload;
	size_t sent;
	uint8_t *packet;
	size_t packet_have;
	size_t packet_room;
	size_t packet_len;
	int passed;
	bool stores;
	bool job;
	bool waits;
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

static cJSON *do_client_list(struct asker *a, const cJSON *q)
{
	return success(broker_client_list());
}

static const char *string_of(const cJSON *q, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(q, name));
}

static cJSON *do_client_show(struct asker *a, const cJSON *q)
{
	const char *id = string_of(q, "id");
	cJSON *result;

	if (!id)
		return refusal("usage", "client show needs \"id\"");
	result = broker_client_show(id);
	return result ? success(result) :
			refusal("not-found", "there is no such client");
}

static cJSON *do_client_kick(struct asker *a, const cJSON *q)
{
	const char *id = string_of(q, "id");
	bool clean = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(q, "clean_session"));

	if (!id)
		return refusal("usage", "client kick needs \"id\"");
	a->stores = true;
	if (broker_client_kick(id, clean))
		return refusal("not-found", "there is no such client");
	return success(cJSON_CreateObject());
}

static cJSON *do_stats(struct asker *a, const cJSON *q)
{
	return success(broker_stats());
}

static cJSON *do_reload(struct asker *a, const cJSON *q)
{
	if (daemon_reload())
		return refusal("internal",
			       "the configuration has errors, see the log; the former one stays");
	return success(cJSON_CreateObject());
}

static cJSON *do_version(struct asker *a, const cJSON *q)
{
	cJSON *result = cJSON_CreateObject();

	cJSON_AddStringToObject(result, "version", KMQTT_VERSION);
	cJSON_AddNumberToObject(result, "pid", getpid());
	return success(result);
}

static cJSON *do_session_show(struct asker *a, const cJSON *q)
{
	const char *id = string_of(q, "id");
	cJSON *result;

	if (!id)
		return refusal("usage", "session show needs \"id\"");
	result = listing_session(id);
	return result ? success(result) :
			refusal("not-found", "there is no such session");
}

static cJSON *do_session_delete(struct asker *a, const cJSON *q)
{
	const char *id = string_of(q, "id");

	if (!id)
		return refusal("usage", "session delete needs \"id\"");
	a->stores = true;
	if (broker_client_kick(id, true))
		return refusal("not-found", "there is no such session");
	return success(cJSON_CreateObject());
}

static cJSON *do_page(struct asker *a, const cJSON *q)
{
	struct listing_refusal why;
	cJSON *next, *answer;
	cJSON *rows = listing_page(string_of(q, "cmd"), q, &next, &why);

	if (!rows)
		return refusal(why.code, why.text);
	a->stores = !strcmp(string_of(q, "cmd"), "retained clear");
	answer = success(rows);
	if (next)
		cJSON_AddItemToObject(answer, "next", next);
	return answer;
}

static cJSON *do_retained_show(struct asker *a, const cJSON *q)
{
	const char *topic = string_of(q, "topic");
	cJSON *result;

	if (!topic)
		return refusal("usage", "retained show needs \"topic\"");
	result = listing_retained(topic, &a->payload);
	return result ? success(result) :
			refusal("not-found", "there is no retained message on this topic");
}

/* NULL: the packet is to come. */
static cJSON *do_publish(struct asker *a, const cJSON *q)
{
	double bytes = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(q, "bytes"));

	if (!(bytes >= 1 && bytes <= PACKET_MAX))
		return refusal("usage", "publish needs \"bytes\"");
	a->packet_len = (size_t)bytes;
	a->stores = true;
	return NULL;
}

/* NULL: there is more to come. */
static cJSON *packet_piece(struct asker *a, const char *data, size_t len)
{
	size_t end = a->packet_have + len;
	const char *error;

	if (end > a->packet_len)
		return refusal("usage", "more bytes came than were announced");
	/* Memory is for what has come, not for what was announced. */
	if (end > a->packet_room) {
		a->packet_room = 2 * end;
		a->packet = mem_realloc(a->packet, a->packet_room);
	}
	memcpy(a->packet + a->packet_have, data, len);
	a->packet_have = end;
	if (end < a->packet_len)
		return NULL;
	error = broker_publish(a->packet, a->packet_len);
	free(a->packet);
	a->packet = NULL;
	return error ? refusal("internal", error) : success(cJSON_CreateObject());
}

static cJSON *check_result(const struct store_report *r)
{
	cJSON *result = cJSON_CreateObject();
	size_t i;

	cJSON_AddBoolToObject(result, "sound", !r->damaged);
	if (r->damaged)
		cJSON_AddStringToObject(result, "damage", r->text);
	for (i = 0; i < r->n_counts; i++)
		cJSON_AddNumberToObject(result, r->counts[i].name, (double)r->counts[i].n);
	return result;
}

static cJSON *backup_result(const struct store_report *r)
{
	cJSON *result = cJSON_CreateObject();

	cJSON_AddNumberToObject(result, "bytes", (double)r->bytes);
	return result;
}

static void answer_send(struct asker *a, cJSON *answer);
static void asker_free(struct asker *a);

static void job_end(struct asker *a, const struct store_report *r, cJSON *result)
{
	a->job = false;
	a->waits = false;
	if (a->fd < 0) {
		cJSON_Delete(result);
		asker_free(a);
	} else if (result) {
		answer_send(a, success(result));
	} else {
		answer_send(a, refusal("internal", r->text));
	}
}

static void checked(const struct store_report *r, void *arg)
{
	job_end(arg, r, r->ok || r->damaged ? check_result(r) : NULL);
}

static void copied(const struct store_report *r, void *arg)
{
	job_end(arg, r, r->ok ? backup_result(r) : NULL);
}

/* What store_check() and store_backup() said; NULL: there will be an answer. */
static cJSON *job_begun(struct asker *a, int rc)
{
	switch (rc) {
	case 0:
		/* It may take long; if the asker goes it is given up. */
		event_del(a->event);
		event_add(a->event, NULL);
		a->job = true;
		a->waits = true;
		return NULL;
	case -ENOENT:
		return refusal("not-found", "mqttd has no store: persistence is false");
	case -EBUSY:
		return refusal("internal", "a check or backup of the store is under way");
	case -EINVAL:
		return refusal("usage",
			       "store backup needs a descriptor of an empty file, open for reading and writing");
	default:
		return refusal("internal", strerror(-rc));
	}
}

static cJSON *do_store_check(struct asker *a, const cJSON *q)
{
	return job_begun(a, store_check(checked, a));
}

static cJSON *do_store_backup(struct asker *a, const cJSON *q)
{
	int rc = store_backup(a->passed, copied, a);

	if (!rc)
		a->passed = -1;
	return job_begun(a, rc);
}

static const struct {
	const char *name;
	cJSON *(*run)(struct asker *a, const cJSON *q);
} commands[] = {
	{ "client list", do_client_list },
	{ "client show", do_client_show },
	{ "client kick", do_client_kick },
	{ "session list", do_page },
	{ "session show", do_session_show },
	{ "session delete", do_session_delete },
	{ "subscription list", do_page },
	{ "retained list", do_page },
	{ "retained show", do_retained_show },
	{ "retained clear", do_page },
	{ "publish", do_publish },
	{ "store check", do_store_check },
	{ "store backup", do_store_backup },
	{ "stats", do_stats },
	{ "reload", do_reload },
	{ "version", do_version },
};

static cJSON *answer_question(struct asker *a, const char *text, size_t len)
{
	cJSON *q = cJSON_ParseWithLength(text, len), *answer = NULL;
	const char *cmd = string_of(q, "cmd");
	size_t i;

	for (i = 0; cmd && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(cmd, commands[i].name))
			break;
	if (!cmd)
		answer = refusal("usage", "the question is not a JSON object with \"cmd\"");
	else if (i == ARRAY_SIZE(commands))
		answer = refusal("usage", "unknown command");
	else
		answer = commands[i].run(a, q);
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
	if (a->fd >= 0) {
		list_del(&a->link);
		n_askers--;
		if (a->event)
			event_free(a->event);
		close(a->fd);
		a->fd = -1;
		if (a->passed >= 0)
			close(a->passed);
		a->passed = -1;
	}
	/* What it waits for has its address. */
	if (a->waits)
		return;
	message_put(a->payload);
	free(a->packet);
	free(a->answer);
	free(a);
}

/* The next piece of the answer and what follows it; its length. */
static size_t answer_piece(const struct asker *a, const void **data)
{
	size_t all = a->len, off = a->sent;
	const char *from = a->answer;

	if (off >= a->len && a->payload) {
		from = (const char *)a->payload->payload;
		all = a->payload->payload_len;
		off -= a->len;
	}
	*data = from + off;
	return all - off < PIECE ? all - off : PIECE;
}

static void writable(evutil_socket_t fd, short what, void *arg)
{
	struct asker *a = arg;
	const void *data;
	size_t n;

	while (!(what & EV_TIMEOUT) && (n = answer_piece(a, &data))) {
		ssize_t rc = send(fd, data, n, MSG_NOSIGNAL);

		if (rc < 0 && errno == EAGAIN)
			return;
		if (rc < 0)
			break;
		a->sent += rc;
	}
	asker_free(a);
}

/* Also when what it asked for is in the store. */
static void answer_go(void *arg)
{
	struct timeval tv = { .tv_sec = TIMEOUT_S };
	struct asker *a = arg;

	a->waits = false;
	if (a->fd < 0) {
		asker_free(a);
		return;
	}
	event_assign(a->event, event_get_base(a->event), a->fd, EV_WRITE | EV_PERSIST,
		     writable, a);
	event_add(a->event, &tv);
}

/* Takes @answer. */
static void answer_send(struct asker *a, cJSON *answer)
{
	a->answer = cJSON_PrintUnformatted(answer);
	cJSON_Delete(answer);
	if (!a->answer) {
		asker_free(a);
		return;
	}
	/* The NUL tells where the payload begins. */
	a->len = strlen(a->answer) + (a->payload ? 1 : 0);
	event_del(a->event);
	a->waits = a->stores;
	if (a->waits)
		broker_when_stored(answer_go, a);
	else
		answer_go(a);
}

/* As recv(); a descriptor that comes along is kept. */
static ssize_t question_read(struct asker *a, char *buf, size_t size)
{
	/* Room for one: the others are closed.  CMSG_SPACE() has padding for two. */
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t len = recvmsg(a->fd, &msg, MSG_TRUNC | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = len < 0 ? NULL : CMSG_FIRSTHDR(&msg);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return len;
	if (a->passed >= 0)
		close(a->passed);
	memcpy(&a->passed, CMSG_DATA(c), sizeof(int));
	return len;
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	static char question[CONTROL_QUESTION_MAX];
	struct asker *a = arg;
	cJSON *answer;
	ssize_t len;

	len = question_read(a, question, sizeof(question));
	if (len < 0 && errno == EAGAIN && !(what & EV_TIMEOUT))
		return;
	if (len <= 0 || a->job) {
		if (a->job)
			store_cancel();
		asker_free(a);
		return;
	}
	if (!may_ask(fd))
		answer = refusal("denied", "only root and group " GROUP " may ask mqttd");
	else if (len > (ssize_t)sizeof(question))
		answer = refusal("usage", "the question is too long");
	else if (a->packet_len)
		answer = packet_piece(a, question, len);
	else
		answer = answer_question(a, question, len);
	if (answer)
		answer_send(a, answer);
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
	a->passed = -1;
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
