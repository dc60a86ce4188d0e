// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A thin layer over libmnl for the family kmqtt.
 */
#include "nl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "ctl.h"

#define REQUEST	65536
/* A connection alone may have a client id, user name and identity of 64 KB. */
#define ANSWER	(256 * 1024)
#define TIMEOUT_S 10	/* for an answer of the kernel */

/**
 * struct nl - a socket with the family looked up
 * @socket: netlink socket
 * @family: number of the family
 * @monitor: number of the multicast group
 * @seq: of the last request
 * @answer: the message that is being handled
 * @out: the request
 * @in: what was received
 */
struct nl {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t monitor;
	uint32_t seq;
	const struct nlmsghdr *answer;
	char out[REQUEST];
	char in[ANSWER];
};

/* ---- errors ------------------------------------------------------------- */

/* The kernel's own words, if it gave any. */
static const char *ext_ack(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*err);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - NLMSG_HDRLEN;
	mnl_attr_for_each(attr, nlh, skip)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			return mnl_attr_get_str(attr);
	return NULL;
}

static int refused(int error, const char *text)
{
	if (text)
		return ctl_fail(error == ENOENT ? CTL_NOT_FOUND : CTL_ERROR,
				"the kernel refuses: %s (%s)", text,
				strerror(error));
	if (error == EPERM || error == EACCES)
		return ctl_fail(CTL_MISSING,
				"needs CAP_NET_ADMIN in the initial user namespace: run as root");
	return ctl_fail(error == ENOENT ? CTL_NOT_FOUND : CTL_ERROR,
			"the kernel refuses: %s", strerror(error));
}

/* ---- requests ----------------------------------------------------------- */

static struct nlmsghdr *begin(struct nl *nl, uint16_t family, uint8_t version,
			      uint8_t cmd, bool dump)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->out);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	nlh->nlmsg_seq = ++nl->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

struct nlmsghdr *nl_request(struct nl *nl, uint8_t cmd, bool dump)
{
	return begin(nl, nl->family, KMQTT_GENL_VERSION, cmd, dump);
}

static int handle(struct nl *nl, const struct nlmsghdr *nlh, nl_answer_fn fn,
		  void *arg)
{
	struct nlattr *attrs[KMQTT_A_MAX + 1] = { NULL };
	const struct nlattr *attr;

	nl->answer = nlh;
	/* Of strings in parts the first, 65,531 bytes, is enough for people. */
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) <= KMQTT_A_MAX &&
		    !attrs[mnl_attr_get_type(attr)])
			attrs[mnl_attr_get_type(attr)] = (struct nlattr *)attr;
	return fn ? fn(attrs, arg) : CTL_OK;
}

/* One message of the answer; @done when it was the last. */
static int hear(struct nl *nl, const struct nlmsghdr *nlh, nl_answer_fn fn,
		void *arg, bool *done)
{
	const struct nlmsgerr *err;
	int error = 0;

	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		return ctl_fail(CTL_ERROR, "what was listed changed meanwhile; try again");
	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
		*done = true;
		err = mnl_nlmsg_get_payload(nlh);
		return err->error ? refused(-err->error, ext_ack(nlh)) : CTL_OK;
	case NLMSG_DONE:
		*done = true;
		if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
			memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
		return error ? refused(-error, NULL) : CTL_OK;
	case NLMSG_NOOP:
		return CTL_OK;
	}
	return handle(nl, nlh, fn, arg);
}

/* Receive one datagram and walk through its messages. */
static int receive(struct nl *nl, bool any_seq, nl_answer_fn fn, void *arg,
		   bool *done)
{
	const struct nlmsghdr *nlh = (struct nlmsghdr *)nl->in;
	int len, status = CTL_OK;

	len = mnl_socket_recvfrom(nl->socket, nl->in, sizeof(nl->in));
	if (len < 0 && errno == EAGAIN)
		return ctl_fail(CTL_ERROR, "the kernel did not answer within %d s",
				TIMEOUT_S);
	if (len < 0)
		return ctl_fail(CTL_ERROR, "netlink: %s", strerror(errno));
	while (!status && !*done && mnl_nlmsg_ok(nlh, len)) {
		if (any_seq || nlh->nlmsg_seq == nl->seq)
			status = hear(nl, nlh, fn, arg, done);
		nlh = mnl_nlmsg_next(nlh, &len);
	}
	return status;
}

int nl_run(struct nl *nl, nl_answer_fn fn, void *arg)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)nl->out;
	bool done = false;
	int status = CTL_OK;

	if (mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len) < 0)
		return ctl_fail(CTL_ERROR, "netlink: %s", strerror(errno));
	while (!done && !status)
		status = receive(nl, false, fn, arg, &done);
	return status;
}

int nl_monitor(struct nl *nl, nl_answer_fn fn, void *arg)
{
	struct timeval forever = { };
	bool done = false;
	int status;

	/* In a namespace of one's own the group is open, but nothing comes. */
	nl_request(nl, KMQTT_CMD_PARAM_GET, false);
	status = nl_run(nl, NULL, NULL);
	if (status)
		return status;
	if (mnl_socket_setsockopt(nl->socket, NETLINK_ADD_MEMBERSHIP,
				  &nl->monitor, sizeof(nl->monitor)))
		return refused(errno, NULL);
	if (setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVTIMEO,
		       &forever, sizeof(forever)))
		return ctl_fail(CTL_ERROR, "netlink: %s", strerror(errno));
	while (!status && !done)
		status = receive(nl, true, fn, arg, &done);
	return status;
}

/* ---- the family --------------------------------------------------------- */

/* The number of the group "monitor" among those of the family. */
static uint32_t find_group(const struct nlattr *groups)
{
	const struct nlattr *group;

	mnl_attr_for_each_nested(group, groups) {
		struct nlattr *attrs[CTRL_ATTR_MCAST_GRP_MAX + 1];

		nl_nest(group, attrs, CTRL_ATTR_MCAST_GRP_MAX);
		if (attrs[CTRL_ATTR_MCAST_GRP_NAME] &&
		    !strcmp(mnl_attr_get_str(attrs[CTRL_ATTR_MCAST_GRP_NAME]),
			    KMQTT_MCGRP_MONITOR_NAME))
			return nl_u32(attrs[CTRL_ATTR_MCAST_GRP_ID]);
	}
	return 0;
}

static int take_family(struct nlattr **attrs, void *arg)
{
	struct nl *nl = arg;

	nl->family = nl_u16(attrs[CTRL_ATTR_FAMILY_ID]);
	if (attrs[CTRL_ATTR_MCAST_GROUPS])
		nl->monitor = find_group(attrs[CTRL_ATTR_MCAST_GROUPS]);
	return CTL_OK;
}

/* Without the module the kernel says ENOENT, which nobody would understand. */
static int find_family(struct nl *nl)
{
	struct nlmsghdr *nlh = begin(nl, GENL_ID_CTRL, 1, CTRL_CMD_GETFAMILY,
				     false);
	bool done = false;
	int len, status = CTL_OK;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, KMQTT_GENL_NAME);
	if (mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len) < 0)
		return ctl_fail(CTL_ERROR, "netlink: %s", strerror(errno));
	while (!done && !status) {
		const struct nlmsghdr *in = (struct nlmsghdr *)nl->in;
		const struct nlmsgerr *err = mnl_nlmsg_get_payload(in);

		len = mnl_socket_recvfrom(nl->socket, nl->in, sizeof(nl->in));
		if (len < 0 || !mnl_nlmsg_ok(in, len))
			return ctl_fail(CTL_ERROR, "netlink: %s",
					strerror(len < 0 ? errno : EPROTO));
		if (in->nlmsg_type == NLMSG_ERROR && err->error == -ENOENT)
			return ctl_fail(CTL_MISSING, "module kmqtt is not loaded: modprobe kmqtt");
		status = hear(nl, in, take_family, nl, &done);
	}
	return status;
}

struct nl *nl_open(int *status)
{
	struct timeval tv = { .tv_sec = TIMEOUT_S };
	struct nl *nl = calloc(1, sizeof(*nl));
	int on = 1;

	if (nl)
		nl->socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!nl || !nl->socket ||
	    mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID)) {
		*status = ctl_fail(CTL_ERROR, "netlink: %s", strerror(errno));
		nl_close(nl);
		return NULL;
	}
	nl->seq = time(NULL);
	/* Old kernels lack them; then there is no text, or more of the request. */
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(nl->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVTIMEO, &tv,
		   sizeof(tv));
	*status = find_family(nl);
	if (*status) {
		nl_close(nl);
		return NULL;
	}
	return nl;
}

void nl_close(struct nl *nl)
{
	if (!nl)
		return;
	if (nl->socket)
		mnl_socket_close(nl->socket);
	free(nl);
}

/* ---- attributes --------------------------------------------------------- */

void nl_nest(const struct nlattr *nest, struct nlattr **attrs, unsigned int max)
{
	const struct nlattr *attr;

	memset(attrs, 0, (max + 1) * sizeof(*attrs));
	if (!nest)
		return;
	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) <= max)
			attrs[mnl_attr_get_type(attr)] = (struct nlattr *)attr;
}

static void number(const struct nlattr *attr, void *out, size_t size)
{
	memset(out, 0, size);
	if (attr && mnl_attr_get_payload_len(attr) >= size)
		memcpy(out, mnl_attr_get_payload(attr), size);
}

uint8_t nl_u8(const struct nlattr *attr)
{
	uint8_t n;

	number(attr, &n, sizeof(n));
	return n;
}

uint16_t nl_u16(const struct nlattr *attr)
{
	uint16_t n;

	number(attr, &n, sizeof(n));
	return n;
}

uint32_t nl_u32(const struct nlattr *attr)
{
	uint32_t n;

	number(attr, &n, sizeof(n));
	return n;
}

uint64_t nl_u64(const struct nlattr *attr)
{
	uint64_t n;

	number(attr, &n, sizeof(n));
	return n;
}

int nl_each(struct nl *nl, uint16_t type,
	    int (*fn)(const struct nlattr *attr, void *arg), void *arg)
{
	const struct nlattr *attr;
	int status = CTL_OK;

	mnl_attr_for_each(attr, nl->answer, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == type)
			status = fn(attr, arg);
		if (status)
			break;
	}
	return status;
}
