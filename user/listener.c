// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listeners: one or more sockets each, as many as its address has families.
 */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "client.h"
#include "log.h"

#define SOCKETS_MAX	(4 * CONF_LISTENERS_MAX)
#define BACKLOG		1024
#define ACCEPT_BATCH	64	/* per wake-up, so that others have their turn */
#define PAUSE_MS	200	/* when descriptors or memory run out */

/**
 * struct listening - one socket that listens
 * @fd: the socket
 * @listener: number of its struct conf_listener
 * @event: readable
 */
struct listening {
	int fd;
	unsigned int listener;
	struct event *event;
};

static struct listening sockets[SOCKETS_MAX];
static unsigned int n_sockets;

static struct event *resume;

/* It was said already that nothing can be accepted. */
static bool complained;

/* ---- accepting ---------------------------------------------------------- */

static void resume_accept(evutil_socket_t fd, short what, void *arg)
{
	unsigned int i;

	for (i = 0; i < n_sockets; i++)
		event_add(sockets[i].event, NULL);
}

/* The connections wait in the backlog meanwhile. */
static void pause_accept(int error)
{
	struct timeval tv = { .tv_usec = PAUSE_MS * 1000 };
	unsigned int i;

	if (!complained)
		log_warning("accept: %s; trying again every %d ms%s", strerror(error),
			    PAUSE_MS, error == EMFILE || error == ENFILE ?
			    "; raise the limit of open files" : "");
	complained = true;
	for (i = 0; i < n_sockets; i++)
		event_del(sockets[i].event);
	event_add(resume, &tv);
}

static bool listener_full(unsigned int listener)
{
	const struct conf_listener *lst = conf_listener_get(listener);

	return !lst || (lst->max_connections >= 0 &&
			client_count_listener(listener) >=
			(size_t)lst->max_connections);
}

static void take(int fd, unsigned int listener, const struct sockaddr *peer,
		 socklen_t len)
{
	int one = 1;

	if (listener_full(listener)) {
		log_notice("connection refused: the listener on port %u has its max_connections",
			   conf_listener_get(listener)->port);
		close(fd);
		return;
	}
	if (conf_get()->set_tcp_nodelay &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		log_debug("TCP_NODELAY: %s", strerror(errno));
	broker_attach(fd, listener, peer, len);
	close(fd);
}

/* Errors of the connection, not of the listening socket: accept(2). */
static bool accept_again(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:
		return true;
	}
	return false;
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	struct listening *l = arg;
	unsigned int i;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int conn = accept4(fd, (struct sockaddr *)&peer, &len,
				   SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (conn >= 0) {
			complained = false;
			take(conn, l->listener, (struct sockaddr *)&peer, len);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if (!accept_again(errno)) {
			pause_accept(errno);
			return;
		}
	}
}

/* ---- binding ------------------------------------------------------------ */

/*
 * Without the capability for @force the module will refuse us: let it, since
 * it says what is missing.
 */
static int set_buffer(int fd, int force, int plain, int size)
{
	if (!setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)))
		return 0;
	return errno == EPERM ? setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size)) : -1;
}

/*
 * Accepted sockets inherit these.  Buffers that tune themselves would hold
 * megabytes for each client that does not read.  The kernel counts overhead
 * too and doubles what it is told for that.
 */
static int set_buffers(int fd, const struct conf_listener *lst)
{
	int receive = lst->receive_buffer / 2, send = lst->send_buffer / 2;
	int unsent = lst->send_buffer / 4;

	return set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive) ||
	       set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send) ||
	       setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) ?
	       -1 : 0;
}

static int set_options(int fd, const struct conf_listener *lst, int family)
{
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		return -1;
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)))
		return -1;
	if (lst->bind_interface &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, lst->bind_interface,
		       strlen(lst->bind_interface)))
		return -1;
	return set_buffers(fd, lst);
}

/* Returns 0 or -errno. */
static int bind_one(const struct conf_listener *lst, unsigned int index,
		    const struct addrinfo *ai)
{
	int fd, error;

	if (n_sockets == SOCKETS_MAX)
		return -ENFILE;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (set_options(fd, lst, ai->ai_family) ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG)) {
		error = -errno;
		close(fd);
		return error;
	}
	sockets[n_sockets++] = (struct listening) {
		.fd = fd,
		.listener = index,
	};
	return 0;
}

/*
 * Where an address has both families a machine may lack one of them: that is
 * no error while the other one works.
 */
static bool family_missing(int error)
{
	return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

/* What to call the listener in messages. */
static void describe(FILE *report, const struct conf *conf,
		     const struct conf_listener *lst)
{
	if (conf->path && lst->line)
		fprintf(report, "%s:%u: ", conf->path, lst->line);
	fprintf(report, "cannot listen on %s%sport %u: ",
		lst->bind_address ? lst->bind_address :
		lst->local_only ? "loopback" : "",
		lst->bind_address || lst->local_only ? " " : "", lst->port);
}

static int resolve(const char *name, const struct conf_listener *lst,
		   struct addrinfo **list)
{
	struct addrinfo hints = {
		.ai_family = lst->socket_domain,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	char port[8];

	snprintf(port, sizeof(port), "%u", lst->port);
	return getaddrinfo(name, port, &hints, list);
}

/* Bind all addresses of @name; returns 0 or -1, then reported. */
static int bind_name(const struct conf *conf, unsigned int index,
		     const char *name, bool *bound, int *missing, FILE *report)
{
	const struct conf_listener *lst = &conf->listeners[index];
	struct addrinfo *list, *ai;
	int error;

	error = resolve(name, lst, &list);
	if (error) {
		describe(report, conf, lst);
		fprintf(report, "%s\n", gai_strerror(error));
		return -1;
	}
	for (ai = list; ai; ai = ai->ai_next) {
		error = bind_one(lst, index, ai);
		if (!error) {
			*bound = true;
		} else if (family_missing(error)) {
			*missing = error;
		} else {
			describe(report, conf, lst);
			fprintf(report, "%s%s\n", strerror(-error),
				error == -EADDRINUSE ?
				"; end the other program, or choose another port" : "");
			break;
		}
	}
	freeaddrinfo(list);
	return ai ? -1 : 0;
}

static int bind_listener(const struct conf *conf, unsigned int index,
			 FILE *report)
{
	const struct conf_listener *lst = &conf->listeners[index];
	bool bound = false;
	int missing = 0, rc;

	if (lst->local_only) {
		rc = 0;
		if (lst->socket_domain != AF_INET6)
			rc = bind_name(conf, index, "127.0.0.1", &bound, &missing,
				       report);
		if (!rc && lst->socket_domain != AF_INET)
			rc = bind_name(conf, index, "::1", &bound, &missing,
				       report);
	} else {
		rc = bind_name(conf, index, lst->bind_address, &bound, &missing,
			       report);
	}
	if (rc || bound)
		return rc;
	describe(report, conf, lst);
	fprintf(report, "%s\n", strerror(-missing));
	return -1;
}

int listener_open(const struct conf *conf, FILE *report)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < conf->n_listeners; i++)
		if (bind_listener(conf, i, report))
			rc = -1;
	if (rc)
		listener_close();
	return rc;
}

static void log_listener(const struct conf_listener *lst)
{
	if (lst->local_only)
		log_info("listening on port %u of loopback only; a listener line in the configuration opens it to others",
			 lst->port);
	else
		log_info("listening on port %u%s%s", lst->port,
			 lst->bind_address ? " of " : "",
			 lst->bind_address ? lst->bind_address : "");
}

int listener_start(struct event_base *base)
{
	const struct conf_listener *lst;
	unsigned int i;

	resume = event_new(base, -1, 0, resume_accept, NULL);
	if (!resume)
		return -ENOMEM;
	for (i = 0; i < n_sockets; i++) {
		struct listening *l = &sockets[i];

		l->event = event_new(base, l->fd, EV_READ | EV_PERSIST, readable,
				     l);
		if (!l->event || event_add(l->event, NULL))
			return -ENOMEM;
	}
	for (i = 0; (lst = conf_listener_get(i)); i++)
		log_listener(lst);
	return 0;
}

void listener_close(void)
{
	while (n_sockets) {
		struct listening *l = &sockets[--n_sockets];

		if (l->event)
			event_free(l->event);
		close(l->fd);
	}
	if (resume)
		event_free(resume);
	resume = NULL;
}
