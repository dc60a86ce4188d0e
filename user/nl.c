// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The netlink socket that owns the namespace: batches and their replies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/genetlink.h>

#include "cause.h"
#include "list.h"
#include "log.h"
#include "mem.h"
#include "nl.h"
#include "store.h"

#define NL_BATCH_BYTES	(256U * 1024)	/* send when a batch is larger */
#define NL_BATCH_ROOM	4096U		/* to begin with: many may wait for the store */
#define NL_BATCH_COMMANDS 32U
#define NL_SOCKBUF	(8 * 1024 * 1024)
#define NL_RECV_BYTES	(256U * 1024)
#define NL_HDRLEN	(MNL_NLMSG_HDRLEN + GENL_HDRLEN)
#define NL_ATTR_MAX	(UINT16_MAX - MNL_ATTR_HDRLEN)
#define NL_KEYS		(1U << 20)
#define NL_KEYS_LISTED	1024U

struct nl_command {
	uint8_t cmd;
	bool called;
	nl_done_t done;
	void *arg;
};

/* A datagram that was met while looking for replies. */
struct nl_datagram {
	struct list node;
	enum nl_received kind;
	size_t len;
	uint8_t data[];
};

/**
 * struct nl_batch - what goes to the kernel in one sendmsg()
 * @node: in a queue
 * @wait: what the store must have committed before
 * @first: sequence number of its first message, when it is sent
 * @closed: takes no more commands
 * @more: its last command goes on in the next batch
 * @msg: offset of the last command
 * @before: offset of the one before it
 * @buf: messages
 * @len: bytes in @buf
 * @room: size of @buf
 * @commands: one for each message
 * @n_commands: how many
 * @commands_room: for how many there is room
 */
struct nl_batch {
	struct list node;
	uint64_t wait;
	uint32_t first;
	bool closed;
	bool more;
	size_t msg;
	size_t before;
	uint8_t *buf;
	size_t len, room;
	struct nl_command *commands;
	size_t n_commands, commands_room;
};

/**
 * struct nl - the socket and its queues
 * @fd: the socket
 * @family: id of the family
 * @seq: of the last message
 * @dump_seq: of the dump that goes on, or 0
 * @queue: batches, in order
 * @queue_wait: the most that a batch in @queue waits for
 * @passing: batches that pass those of @queue
 * @urgent: batches that overtake all
 * @filling: the one of the two that commands go to
 * @unfinished: the one whose last batch sent had @more, or NULL
 * @committed: what the store has committed
 * @together: no other command may come between those that follow
 * @may_pass: so may the open command, as far as was known when it was begun
 * @batch: the one with the open command
 * @nest: offset of the open nest
 * @spare: an empty batch, or NULL
 * @backlog: datagrams that were met while looking for replies
 * @recv_buf: for one datagram
 */
static struct {
	int fd;
	uint16_t family;
	uint32_t seq;
	uint32_t dump_seq;
	struct list queue;
	uint64_t queue_wait;
	struct list passing;
	struct list urgent;
	struct list *filling;
	struct list *unfinished;
	uint64_t committed;
	bool together;
	bool may_pass;
	struct nl_batch *batch;
	size_t nest;
	struct nl_batch *spare;
	struct list backlog;
	uint8_t recv_buf[NL_RECV_BYTES];
} nl = { .fd = -1 };

/*
 * Which connections and keys the commands in nl.queue have to do with, by the
 * low bits of their numbers: one that is named wrongly makes others wait, no
 * more.
 *
 * @bits: one for each
 * @listed: those that are set
 * @n: how many, above NL_KEYS_LISTED not listed
 * @all: one may have to do with any
 */
static struct {
	uint8_t bits[NL_KEYS / 8];
	uint32_t listed[NL_KEYS_LISTED];
	size_t n;
	bool all;
} queued;

static void nl_sockopts(void)
{
	int size = NL_SOCKBUF, one = 1;

	setsockopt(nl.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(nl.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(nl.fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl.fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
}

static void nl_family_done(void *arg, int error, const struct nlmsghdr *reply,
			   const char *text)
{
	const struct nlattr *tb[CTRL_ATTR_MAX + 1];
	int *result = arg;

	(void)text;
	*result = error ? error : -ENOENT;
	if (error || !reply)
		return;
	nl_attrs(reply, tb, CTRL_ATTR_MAX);
	if (!tb[CTRL_ATTR_FAMILY_ID])
		return;
	nl.family = nl_u16(tb[CTRL_ATTR_FAMILY_ID]);
	*result = 0;
}

int nl_open(void)
{
	/* The controller's group says when a family goes. */
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1U << (GENL_ID_CTRL - 1),
	};
	int error = -ENOENT;

	list_init(&nl.backlog);
	list_init(&nl.queue);
	list_init(&nl.passing);
	list_init(&nl.urgent);
	nl.filling = &nl.queue;
	nl.queue_wait = 0;
	nl.unfinished = NULL;
	nl.committed = 0;
	nl.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       NETLINK_GENERIC);
	if (nl.fd < 0)
		return -errno;
	nl_sockopts();
	if (bind(nl.fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		error = -errno;
		nl_close();
		return error;
	}
	nl.family = GENL_ID_CTRL;
	nl_begin(CTRL_CMD_GETFAMILY);
	nl_put_str(CTRL_ATTR_FAMILY_NAME, KMQTT_GENL_NAME);
	nl_end(nl_family_done, &error);
	nl_flush();
	if (error)
		nl_close();
	return error;
}

static void datagrams_free(struct list *head)
{
	struct nl_datagram *d, *tmp;

	list_for_each_safe(d, tmp, head, node) {
		list_del(&d->node);
		free(d);
	}
}

static void batch_free(struct nl_batch *b)
{
	if (!b)
		return;
	free(b->buf);
	free(b->commands);
	free(b);
}

/* Keep the buffers of one that is empty or was sent for the next. */
static void batch_recycle(struct nl_batch *b)
{
	struct nl_batch empty = { .buf = b->buf, .room = b->room, .commands = b->commands,
				  .commands_room = b->commands_room };

	if (nl.spare || b->room > 4 * NL_BATCH_BYTES) {
		batch_free(b);
		return;
	}
	*b = empty;
	nl.spare = b;
}

static void batches_free(struct list *queue)
{
	struct nl_batch *b, *tmp;

	list_for_each_safe(b, tmp, queue, node) {
		list_del(&b->node);
		batch_free(b);
	}
}

static void queued_clear(void)
{
	size_t i;

	if (queued.n > NL_KEYS_LISTED)
		memset(queued.bits, 0, sizeof(queued.bits));
	else
		for (i = 0; i < queued.n; i++)
			queued.bits[queued.listed[i] / 8] = 0;
	queued.n = 0;
	queued.all = false;
	nl.queue_wait = 0;
}

void nl_close(void)
{
	if (nl.fd < 0)
		return;
	close(nl.fd);
	nl.fd = -1;
	datagrams_free(&nl.backlog);
	batches_free(&nl.queue);
	batches_free(&nl.passing);
	batches_free(&nl.urgent);
	queued_clear();
	batch_free(nl.spare);
	nl.spare = NULL;
	nl.dump_seq = 0;
}

int nl_fd(void)
{
	return nl.fd;
}

/* Room for @len more bytes at the end of the batch. */
static void *batch_reserve(size_t len)
{
	struct nl_batch *b = nl.batch;

	if (b->len + len > b->room) {
		while (b->len + len > b->room)
			b->room = b->room ? b->room * 2 : NL_BATCH_ROOM;
		b->buf = mem_realloc(b->buf, b->room);
	}
	memset(b->buf + b->len, 0, len);
	b->len += len;
	return b->buf + b->len - len;
}

static struct nlmsghdr *nl_header(const struct nl_batch *b)
{
	return (struct nlmsghdr *)(b->buf + b->msg);
}

static struct nl_batch *batch_new(uint64_t wait, struct list *queue)
{
	struct nl_batch *b = nl.spare ? nl.spare : mem_zalloc(sizeof(*b));

	nl.spare = NULL;
	b->wait = wait;
	list_add_tail(&b->node, queue);
	return b;
}

/* The batch that takes the next command. */
static struct nl_batch *batch_get(void)
{
	uint64_t wait = nl.filling == &nl.urgent ? 0 : cause_wait();
	struct nl_batch *b;

	if (!list_empty(nl.filling)) {
		b = list_entry(nl.filling->prev, struct nl_batch, node);
		if (!b->closed && b->len <= NL_BATCH_BYTES && b->wait >= wait)
			return b;
		b->more = nl.together;
	}
	if (nl.filling == &nl.queue && wait > nl.queue_wait)
		nl.queue_wait = wait;
	return batch_new(wait, nl.filling);
}

static struct nl_command *command_new(struct nl_batch *b)
{
	if (b->n_commands == b->commands_room) {
		b->commands_room = b->commands_room ? b->commands_room * 2 :
				   NL_BATCH_COMMANDS;
		b->commands = mem_realloc(b->commands,
					  b->commands_room * sizeof(*b->commands));
	}
	return &b->commands[b->n_commands++];
}

/* A command at the end of nl.batch. */
static void batch_begin(uint8_t cmd)
{
	struct nl_batch *b = nl.batch;
	struct genlmsghdr *genl;
	struct nlmsghdr *h;

	*command_new(b) = (struct nl_command){ .cmd = cmd };
	b->before = b->msg;
	b->msg = b->len;
	h = batch_reserve(NL_HDRLEN);
	h->nlmsg_type = nl.family;
	h->nlmsg_flags = NLM_F_REQUEST;
	genl = mnl_nlmsg_get_payload(h);
	genl->cmd = cmd;
	genl->version = KMQTT_GENL_VERSION;
}

void nl_begin(uint8_t cmd)
{
	const struct cause *cause = cause_now();

	nl.may_pass = cause->known && !cause->stay && !nl.together &&
		      cause_wait() <= nl.committed;
	nl.batch = batch_get();
	batch_begin(cmd);
}

void nl_urgent(bool on)
{
	nl.filling = on ? &nl.urgent : &nl.queue;
}

void nl_together(bool on)
{
	nl.together = on;
}

static void queue_close(struct list *queue)
{
	if (!list_empty(queue))
		list_entry(queue->prev, struct nl_batch, node)->closed = true;
}

void nl_fence(void)
{
	queue_close(nl.filling);
	if (nl.filling == &nl.queue)
		queue_close(&nl.passing);
}

void nl_committed(uint64_t seq)
{
	if (seq > nl.committed)
		nl.committed = seq;
}

static void put_part(uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = batch_reserve(MNL_ALIGN(MNL_ATTR_HDRLEN + len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(MNL_ATTR_HDRLEN + len);
	if (len)
		memcpy(mnl_attr_get_payload(a), data, len);
}

void nl_put(uint16_t type, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len > NL_ATTR_MAX; p += NL_ATTR_MAX, len -= NL_ATTR_MAX)
		put_part(type, p, NL_ATTR_MAX);
	put_part(type, p, len);
}

void nl_put_u8(uint16_t type, uint8_t value)
{
	nl_put(type, &value, sizeof(value));
}

void nl_put_u16(uint16_t type, uint16_t value)
{
	nl_put(type, &value, sizeof(value));
}

void nl_put_u32(uint16_t type, uint32_t value)
{
	nl_put(type, &value, sizeof(value));
}

void nl_put_u64(uint16_t type, uint64_t value)
{
	nl_put(type, &value, sizeof(value));
}

void nl_put_str(uint16_t type, const char *s)
{
	nl_put(type, s, strlen(s) + 1);
}

void nl_nest_begin(uint16_t type)
{
	nl.nest = nl.batch->len;
	nl_put(type | NLA_F_NESTED, NULL, 0);
}

void nl_nest_end(void)
{
	struct nlattr *a = (struct nlattr *)(nl.batch->buf + nl.nest);

	a->nla_len = (uint16_t)(nl.batch->len - nl.nest);
}

/* ---- what may pass ------------------------------------------------------- */

/* Do something with a key; false ends it. */
typedef bool (*key_fn_t)(uint64_t key);

static bool key_is_free(uint64_t key)
{
	uint32_t at = key & (NL_KEYS - 1);

	return !(queued.bits[at / 8] & 1U << at % 8);
}

static bool key_note(uint64_t key)
{
	uint32_t at = key & (NL_KEYS - 1);

	if (!key_is_free(key))
		return true;
	queued.bits[at / 8] |= (uint8_t)(1U << at % 8);
	if (queued.n < NL_KEYS_LISTED)
		queued.listed[queued.n] = at;
	if (queued.n <= NL_KEYS_LISTED)
		queued.n++;
	return true;
}

static bool dest_key(const struct nlattr *dest, key_fn_t fn)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, dest)
		if (mnl_attr_get_type(a) == KMQTT_AD_CONN)
			return fn(nl_u64(a));
	return true;
}

/*
 * All keys of the open command, until @fn says no.  Returns how many, or -1 if
 * it did.
 */
static int command_keys(key_fn_t fn)
{
	const struct nlmsghdr *h = nl_header(nl.batch);
	const struct nlattr *a;
	uint64_t key = cause_now()->key;
	bool ok = !key || fn(key);
	int n = 0;

	mnl_attr_for_each(a, h, GENL_HDRLEN) {
		uint16_t type = mnl_attr_get_type(a);

		if (!ok)
			return -1;
		if (type != KMQTT_A_CONN && type != KMQTT_A_SOURCE_CONN &&
		    type != KMQTT_A_DEST)
			continue;
		ok = type == KMQTT_A_DEST ? dest_key(a, fn) : fn(nl_u64(a));
		n++;
	}
	return ok ? n : -1;
}

/* Is it of a kind that others never wait for, if it names no connection? */
static bool is_alone(uint8_t cmd)
{
	return cmd == KMQTT_CMD_DELIVER || cmd == KMQTT_CMD_INJECT ||
	       cmd == KMQTT_CMD_STATS_GET || cmd == KMQTT_CMD_PARAM_GET;
}

/* Move the open command to those that pass. */
static void command_pass(void)
{
	struct nl_batch *from = nl.batch, *to = NULL;
	size_t len = from->len - from->msg;

	if (!list_empty(&nl.passing))
		to = list_entry(nl.passing.prev, struct nl_batch, node);
	if (!to || to->closed || to->len > NL_BATCH_BYTES)
		to = batch_new(0, &nl.passing);
	*command_new(to) = from->commands[--from->n_commands];
	nl.batch = to;
	to->msg = to->len;
	memcpy(batch_reserve(len), from->buf + from->msg, len);
	from->len = from->msg;
	from->msg = from->before;
	if (from->n_commands)
		return;
	list_del(&from->node);
	batch_recycle(from);
}

static struct nl_command *command_end(nl_done_t done, void *arg)
{
	struct nl_batch *b = nl.batch;
	struct nl_command *c = &b->commands[b->n_commands - 1];

	nl_header(b)->nlmsg_len = (uint32_t)(b->len - b->msg);
	c->done = done;
	c->arg = arg;
	return c;
}

void nl_end(nl_done_t done, void *arg)
{
	const struct nl_command *c = command_end(done, arg);

	if (nl.filling != &nl.queue || !store_is_open())
		return;
	if (nl.may_pass && nl.queue_wait > nl.committed && !queued.all &&
	    command_keys(key_is_free) > 0) {
		command_pass();
		return;
	}
	if (!command_keys(key_note) && !is_alone(c->cmd))
		queued.all = true;
	/* An acknowledgement may rest on what comes before it, for whomever. */
	cause_stay();
}

bool nl_names(uint64_t conn)
{
	return nl.queue_wait > nl.committed && !key_is_free(conn);
}

size_t nl_held_bytes(void)
{
	const struct nl_batch *b;
	size_t bytes = 0;

	list_for_each(b, &nl.queue, node)
		bytes += sizeof(*b) + b->room + b->commands_room * sizeof(*b->commands);
	return bytes;
}

/* The kernel's words for a refusal, or "". */
static const char *extack_text(const struct nlmsghdr *h)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(h);
	size_t offset = sizeof(*err);
	const struct nlattr *a;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		offset += MNL_ALIGN(err->msg.nlmsg_len - MNL_NLMSG_HDRLEN);
	mnl_attr_for_each(a, h, offset) {
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG)
			return mnl_attr_get_str(a);
	}
	return "";
}

/* A notification of the controller: is it the end of our family? */
static bool family_deleted(const struct nlmsghdr *h)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[CTRL_ATTR_MAX + 1];

	if (h->nlmsg_type != GENL_ID_CTRL || genl->cmd != CTRL_CMD_DELFAMILY)
		return false;
	nl_attrs(h, tb, CTRL_ATTR_MAX);
	return nl_u16(tb[CTRL_ATTR_FAMILY_ID]) == nl.family;
}

static enum nl_received classify(const struct nlmsghdr *h)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type == nl.family && !h->nlmsg_seq &&
	    genl->cmd == KMQTT_CMD_READY)
		return NL_READY;
	if (family_deleted(h))
		return NL_GONE;
	if (nl.dump_seq && h->nlmsg_seq == nl.dump_seq)
		return NL_DUMP_END;	/* of the dump; whether its end, is seen later */
	return NL_MESSAGES;
}

/* Take one datagram off the socket; NULL if none is there. */
static struct nl_datagram *datagram_read(void)
{
	struct nl_datagram *d;
	ssize_t n;

	do {
		n = recv(nl.fd, nl.recv_buf, sizeof(nl.recv_buf), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ENOBUFS)
		return NULL;
	if (n < 0)
		n = 0;
	d = mem_zalloc(sizeof(*d) + (size_t)n);
	d->len = (size_t)n;
	if (n)
		memcpy(d->data, nl.recv_buf, (size_t)n);
	if (!mnl_nlmsg_ok((struct nlmsghdr *)d->data, (int)n))
		d->kind = NL_LOST;
	else
		d->kind = classify((struct nlmsghdr *)d->data);
	return d;
}

/* Read until the reply to @last is among the replies. */
static void replies_collect(uint32_t last, struct list *replies)
{
	struct nl_datagram *d;

	while ((d = datagram_read())) {
		const struct nlmsghdr *h = (struct nlmsghdr *)d->data;

		if (d->kind != NL_MESSAGES) {
			list_add_tail(&d->node, &nl.backlog);
			continue;
		}
		list_add_tail(&d->node, replies);
		if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == last)
			break;
	}
}

static void command_done(struct nl_command *c, int error,
			 const struct nlmsghdr *reply, const char *text)
{
	struct cause outer;

	if (c->called)
		return;
	c->called = true;
	/* What follows from a result follows from what the command waited for. */
	cause_begin(&outer);
	if (c->done)
		c->done(c->arg, error, reply, text);
	else if (error && error != -ENOENT && error != -ESHUTDOWN)
		log_warning("kernel refused command %u: %s%s%s", c->cmd,
			    strerror(-error), *text ? ": " : "", text);
	cause_end(&outer);
}

static void reply_handle(struct nl_batch *b, const struct nlmsghdr *h)
{
	struct nl_command *c;

	if (h->nlmsg_seq - b->first >= b->n_commands)
		return;
	c = &b->commands[h->nlmsg_seq - b->first];
	if (h->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *err = mnl_nlmsg_get_payload(h);

		command_done(c, err->error, NULL, err->error ? extack_text(h) : "");
	} else {
		command_done(c, 0, h, "");
	}
}

/* Consecutive sequence numbers; 0 is the kernel's: notifications. */
static void batch_number(struct nl_batch *b)
{
	struct nlmsghdr *h = (struct nlmsghdr *)b->buf;
	size_t i;

	if (nl.seq + b->n_commands < nl.seq)
		nl.seq = 0;
	b->first = nl.seq + 1;
	for (i = 0; i < b->n_commands; i++) {
		h->nlmsg_seq = ++nl.seq;
		h = (struct nlmsghdr *)((uint8_t *)h + MNL_ALIGN(h->nlmsg_len));
	}
}

static int batch_send(struct nl_batch *b)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	batch_number(b);
	do {
		n = sendto(nl.fd, b->buf, b->len, MSG_DONTWAIT,
			   (struct sockaddr *)&kernel, sizeof(kernel));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Send it and hand out the results. */
static void batch_run(struct nl_batch *b)
{
	struct nl_datagram *d, *tmp;
	struct list replies;
	int error;
	size_t i;

	list_init(&replies);
	/* The acknowledgement of the last tells that all replies are there. */
	nl_header(b)->nlmsg_flags |= NLM_F_ACK;
	error = batch_send(b);
	if (error)
		log_err("cannot send to the kernel: %s", strerror(-error));
	else
		replies_collect(nl.seq, &replies);
	list_for_each_safe(d, tmp, &replies, node) {
		reply_handle(b, (struct nlmsghdr *)d->data);
		list_del(&d->node);
		free(d);
	}
	/* Silence is success if the last acknowledgement came. */
	if (!error && !b->commands[b->n_commands - 1].called)
		error = -ENOBUFS;
	for (i = 0; i < b->n_commands; i++)
		command_done(&b->commands[i], error, NULL, "");
}

/* The next batch that may go out, taken off its queue, or NULL. */
static struct nl_batch *batch_next(void)
{
	struct list *queue = nl.unfinished;
	struct nl_batch *b;

	if (!queue && !list_empty(&nl.urgent))
		queue = &nl.urgent;
	else if (!queue)
		queue = list_empty(&nl.passing) ? &nl.queue : &nl.passing;
	if (list_empty(queue))
		return NULL;
	b = list_first(queue, struct nl_batch, node);
	if (b->wait > nl.committed)
		return NULL;
	nl.unfinished = b->more ? queue : NULL;
	list_del(&b->node);
	if (list_empty(&nl.queue))
		queued_clear();
	return b;
}

void nl_flush(void)
{
	struct nl_batch *b;

	while ((b = batch_next())) {
		batch_run(b);
		batch_recycle(b);
	}
}

bool nl_held(void)
{
	return !list_empty(&nl.queue) || !list_empty(&nl.passing) || !list_empty(&nl.urgent);
}

void nl_dump_start(uint8_t cmd)
{
	struct nl_batch b = { 0 };
	int error;

	nl_flush();
	nl.batch = &b;
	batch_begin(cmd);
	command_end(NULL, NULL);
	nl_header(&b)->nlmsg_flags |= NLM_F_DUMP;
	error = batch_send(&b);
	nl.dump_seq = nl.seq;
	if (error)
		log_err("cannot send to the kernel: %s", strerror(-error));
	free(b.buf);
	free(b.commands);
}

/* The messages of one datagram of the dump. */
static enum nl_received dump_part(const struct nl_datagram *d, nl_dump_t each, void *arg)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)d->data;
	int left = (int)d->len;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_type == NLMSG_DONE) {
			nl.dump_seq = 0;
			return NL_DUMP_END;
		}
		if (h->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(h);

			log_warning("kernel refused a dump: %s%s%s", strerror(-err->error),
				    *extack_text(h) ? ": " : "", extack_text(h));
			nl.dump_seq = 0;
			return NL_REFUSED;
		}
		each(h, arg);
	}
	return NL_MESSAGES;
}

bool nl_backlog(void)
{
	return !list_empty(&nl.backlog);
}

bool nl_dumping(void)
{
	return nl.dump_seq != 0;
}

enum nl_received nl_receive(nl_dump_t each, void *arg)
{
	struct nl_datagram *d;
	enum nl_received r;

	if (!list_empty(&nl.backlog)) {
		d = list_first(&nl.backlog, struct nl_datagram, node);
		list_del(&d->node);
	} else {
		d = datagram_read();
	}
	if (!d)
		return NL_NOTHING;
	r = d->kind;
	if (r == NL_DUMP_END)
		r = dump_part(d, each, arg);
	free(d);
	return r;
}

void nl_attrs(const struct nlmsghdr *msg, const struct nlattr **tb, uint16_t max)
{
	const struct nlattr *a;

	memset(tb, 0, (max + 1U) * sizeof(*tb));
	mnl_attr_for_each(a, msg, GENL_HDRLEN) {
		if (mnl_attr_get_type(a) <= max)
			tb[mnl_attr_get_type(a)] = a;
	}
}

void nl_nested(const struct nlattr *nest, const struct nlattr **tb, uint16_t max)
{
	const struct nlattr *a;

	memset(tb, 0, (max + 1U) * sizeof(*tb));
	mnl_attr_for_each_nested(a, nest) {
		if (mnl_attr_get_type(a) <= max)
			tb[mnl_attr_get_type(a)] = a;
	}
}

char *nl_parts(const struct nlmsghdr *msg, uint16_t type, size_t *len)
{
	const struct nlattr *a;
	char *data, *p;

	*len = 0;
	mnl_attr_for_each(a, msg, GENL_HDRLEN) {
		if (mnl_attr_get_type(a) == type)
			*len += mnl_attr_get_payload_len(a);
	}
	data = mem_zalloc(*len + 1);
	p = data;
	mnl_attr_for_each(a, msg, GENL_HDRLEN) {
		if (mnl_attr_get_type(a) == type)
			p = mempcpy(p, mnl_attr_get_payload(a),
				    mnl_attr_get_payload_len(a));
	}
	return data;
}

uint64_t nl_u64(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) >= 8 ? mnl_attr_get_u64(a) : 0;
}

uint32_t nl_u32(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : 0;
}

uint16_t nl_u16(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) >= 2 ? mnl_attr_get_u16(a) : 0;
}

uint8_t nl_u8(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) >= 1 ? mnl_attr_get_u8(a) : 0;
}

int nl_dump(uint8_t cmd, nl_dump_t each, void *arg)
{
	enum nl_received r;

	nl_dump_start(cmd);
	do {
		r = nl_receive(each, arg);
	} while (r == NL_MESSAGES || r == NL_READY);
	return r == NL_DUMP_END ? 0 : -ENOBUFS;
}
