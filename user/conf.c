// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading of configuration files, and the configuration in force.
 */
#include "conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "conf-table.h"
#include "mem.h"

#ifndef MQTTD_STATE
#define MQTTD_STATE	"/var/lib/mqttd"
#endif
#ifndef MQTTD_CONTROL
#define MQTTD_CONTROL	"/run/mqttd/control.sock"
#endif

#define DEFAULT_PORT	1883

static struct conf *conf_now;

/* ---- problems ----------------------------------------------------------- */

void conf_problem(struct conf_parser *p, const char *fmt, ...)
{
	va_list ap;

	if (p->line)
		fprintf(p->report, "%s:%u: ", p->path, p->line);
	else
		fprintf(p->report, "%s: ", p->path);
	va_start(ap, fmt);
	vfprintf(p->report, fmt, ap);
	va_end(ap);
	fputc('\n', p->report);
	p->problems++;
}

/* ---- values ------------------------------------------------------------- */

bool conf_number(const char *s, long long min, long long max, long long *out)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(s, &end, 10);
	if (end == s || *end || errno || n < min || n > max)
		return false;
	*out = n;
	return true;
}

static char *dup_string(const char *s)
{
	return s ? mem_strndup(s, strlen(s)) : NULL;
}

static void set_string(char **field, const char *value)
{
	free(*field);
	*field = dup_string(value);
}

void conf_bool(struct conf_parser *p, const struct conf_option *opt,
	       const char *value, bool *out)
{
	if (!strcmp(value, "true") || !strcmp(value, "1"))
		*out = true;
	else if (!strcmp(value, "false") || !strcmp(value, "0"))
		*out = false;
	else
		conf_problem(p, "%s is \"true\" or \"false\", not \"%s\"",
			     opt->name, value);
}

static void set_number(struct conf_parser *p, const struct conf_option *opt,
		       const char *value, void *field)
{
	long long n;

	if (!conf_number(value, opt->min, opt->max, &n)) {
		conf_problem(p, "%s is a number from %lld to %lld, not \"%s\"",
			     opt->name, opt->min, opt->max, value);
		return;
	}
	switch (opt->type) {
	case CONF_U8:
		*(uint8_t *)field = n;
		break;
	case CONF_U16:
		*(uint16_t *)field = n;
		break;
	case CONF_U32:
		*(uint32_t *)field = n;
		break;
	case CONF_U64:
		*(uint64_t *)field = n;
		break;
	default:
		*(int *)field = n;
		break;
	}
}

struct conf_security *conf_security_current(struct conf_parser *p)
{
	return p->conf->per_listener_settings ? &p->cur->security :
						&p->conf->security;
}

/* The field of @opt that the current line speaks of. */
static void *option_field(struct conf_parser *p, const struct conf_option *opt)
{
	void *base = p->conf;

	if (opt->scope == CONF_LISTENER)
		base = p->cur;
	else if (opt->scope == CONF_SECURITY)
		base = conf_security_current(p);
	return (char *)base + opt->offset;
}

/* Remember who speaks to a listener that may never come to be. */
static void note_fallback(struct conf_parser *p, const struct conf_option *opt)
{
	bool listener = opt->scope == CONF_LISTENER ||
			(opt->scope == CONF_SECURITY &&
			 p->conf->per_listener_settings);

	if (opt->scope == CONF_SECURITY)
		p->security_seen = true;
	if (!listener || p->cur != &p->fallback || p->fallback_line)
		return;
	p->fallback_line = p->line;
	p->fallback_option = opt->name;
	p->fallback_path = dup_string(p->path);
}

static void set_option(struct conf_parser *p, const struct conf_option *opt,
		       char *value)
{
	if (opt->type == CONF_UNSUPPORTED) {
		conf_problem(p, "option \"%s\" of Mosquitto is not supported; remove the line",
			     opt->name);
		return;
	}
	if (!*value) {
		conf_problem(p, "%s needs a value; see mqttd.conf(5)", opt->name);
		return;
	}
	note_fallback(p, opt);
	switch (opt->type) {
	case CONF_ONLY:
		if (strcmp(value, opt->only))
			conf_problem(p,
				     "%s %s is not supported (%s); use \"%s\", or remove the line",
				     opt->name, value, opt->why, opt->only);
		break;
	case CONF_PARSE:
		opt->parse(p, opt, value);
		break;
	case CONF_STRING:
		set_string(option_field(p, opt), value);
		break;
	case CONF_BOOL:
		conf_bool(p, opt, value, option_field(p, opt));
		break;
	default:
		set_number(p, opt, value, option_field(p, opt));
		break;
	}
}

/* ---- files -------------------------------------------------------------- */

/* Options whose names end in what a plugin makes of them. */
static bool plugin_option(const char *name)
{
	return !strncmp(name, "auth_opt_", 9) ||
	       !strncmp(name, "plugin_opt_", 11);
}

static void read_line(struct conf_parser *p, char *line, size_t len)
{
	const struct conf_option *opt;
	char *value;

	if (strlen(line) != len) {
		conf_problem(p, "a NUL byte in the line; remove it");
		return;
	}
	while (len && strchr(" \t\r\n", line[len - 1]))
		line[--len] = '\0';
	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return;

	value = line + strcspn(line, " \t");
	if (*value)
		*value++ = '\0';
	value += strspn(value, " \t");

	opt = conf_option_find(line);
	if (opt)
		set_option(p, opt, value);
	else if (plugin_option(line))
		conf_problem(p, "option \"%s\" of Mosquitto is not supported; remove the line",
			     line);
	else
		conf_problem(p, "unknown option \"%s\"; see mqttd.conf(5)", line);
}

static void read_file(struct conf_parser *p, const char *path)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	FILE *f;

	p->path = path;
	p->line = 0;
	f = fopen(path, "re");
	if (!f) {
		conf_problem(p, "cannot open: %s", strerror(errno));
		return;
	}
	errno = 0;
	while ((len = getline(&line, &size, f)) >= 0) {
		p->line++;
		read_line(p, line, len);
		errno = 0;
	}
	if (ferror(f)) {
		p->line = 0;
		conf_problem(p, "cannot read: %s", strerror(errno));
	}
	free(line);
	fclose(f);
}

static int is_conf_file(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len > 5 && !strcmp(d->d_name + len - 5, ".conf");
}

/* 00 01 A a B b: the order of Mosquitto. */
static int conf_file_order(const struct dirent **a, const struct dirent **b)
{
	int order = strcasecmp((*a)->d_name, (*b)->d_name);

	return order ? order : strcmp((*a)->d_name, (*b)->d_name);
}

void conf_include_dir(struct conf_parser *p, const char *dir)
{
	unsigned int line = p->line;
	const char *path = p->path;
	struct dirent **names;
	int i, n;

	n = scandir(dir, &names, is_conf_file, conf_file_order);
	if (n < 0) {
		conf_problem(p, "cannot read the directory %s: %s", dir,
			     strerror(errno));
		return;
	}
	p->included = true;
	for (i = 0; i < n; i++) {
		char *file;

		if (asprintf(&file, "%s/%s", dir, names[i]->d_name) >= 0) {
			read_file(p, file);
			free(file);
		}
		free(names[i]);
	}
	free(names);
	p->included = false;
	p->path = path;
	p->line = line;
}

/* ---- defaults and completion -------------------------------------------- */

void conf_listener_init(struct conf_listener *lst, uint16_t port)
{
	*lst = (struct conf_listener) {
		.port = port,
		.socket_domain = AF_UNSPEC,
		.max_connections = -1,
		.max_qos = 2,
		.max_topic_alias = 10,
		.receive_buffer = 256 << 10,
		.send_buffer = 256 << 10,
		.security.allow_zero_length_clientid = true,
	};
}

static struct conf *conf_new(const char *path)
{
	struct conf *conf = mem_zalloc(sizeof(*conf));

	conf->path = dup_string(path);
	conf->security.allow_zero_length_clientid = true;
	conf->connection_messages = true;
	conf->retain_available = true;
	conf->set_tcp_nodelay = true;
	conf->max_inflight_messages = 20;
	conf->max_queued_messages = 1000;
	conf->retry_interval = 20;
	conf->max_keepalive = 65535;
	conf->sys_interval = 10;
	conf->log.facility = -1;
	conf->log.timestamp = true;
	conf->control_socket = dup_string(MQTTD_CONTROL);
	conf->persistence = true;
	conf->persistence_file = dup_string("mqttd.db");
	conf->persistence_location = dup_string(MQTTD_STATE);
	conf->persistence_sync_interval = 1;
	return conf;
}

static void security_free(struct conf_security *sec)
{
	free(sec->password_file);
	free(sec->auto_id_prefix);
}

static void security_copy(struct conf_security *to,
			  const struct conf_security *from)
{
	security_free(to);
	*to = *from;
	to->password_file = dup_string(from->password_file);
	to->auto_id_prefix = dup_string(from->auto_id_prefix);
}

static void listener_free(struct conf_listener *lst)
{
	free(lst->bind_address);
	free(lst->bind_interface);
	free(lst->mount_point);
	security_free(&lst->security);
}

/* Without any listener there is one on loopback. */
static void finish_fallback(struct conf_parser *p)
{
	struct conf *conf = p->conf;

	if (p->fallback_wanted && conf->n_listeners == CONF_LISTENERS_MAX) {
		p->line = p->fallback.line;
		conf_problem(p, "more than %d listeners; remove port and bind_address",
			     CONF_LISTENERS_MAX);
	} else if (p->fallback_wanted || !conf->n_listeners) {
		p->fallback.local_only = !p->fallback_wanted;
		conf->listeners[conf->n_listeners++] = p->fallback;
		return;
	} else if (p->fallback_line) {
		p->path = p->fallback_path;
		p->line = p->fallback_line;
		conf_problem(p,
			     "%s stands before the first listener and is of no use to any; move it below a listener line",
			     p->fallback_option);
	}
	listener_free(&p->fallback);
}

static void finish_security(struct conf_security *sec, bool local_only)
{
	if (!sec->allow_anonymous_set)
		sec->allow_anonymous = local_only;
	if (!sec->auto_id_prefix)
		sec->auto_id_prefix = dup_string("auto-");
}

/* Give every listener the settings that are in force there. */
static void finish_listeners(struct conf *conf)
{
	unsigned int i;

	finish_security(&conf->security, conf->listeners[0].local_only);
	for (i = 0; i < conf->n_listeners; i++) {
		struct conf_listener *lst = &conf->listeners[i];

		if (!conf->per_listener_settings)
			security_copy(&lst->security, &conf->security);
		finish_security(&lst->security, lst->local_only);
	}
}

struct conf *conf_load(const char *path, uint16_t port, FILE *report)
{
	struct conf *conf = conf_new(path);
	struct conf_parser p = { .conf = conf, .report = report };

	conf_listener_init(&p.fallback, port ? port : DEFAULT_PORT);
	p.cur = &p.fallback;
	if (path)
		read_file(&p, path);
	finish_fallback(&p);
	free(p.fallback_path);
	if (p.problems) {
		conf_free(conf);
		return NULL;
	}
	finish_listeners(conf);
	if (!conf->log.dest_set)
		conf->log.dest = MQTTD_LOG_TO_STDERR;
	if (!conf->log.types_set)
		conf->log.types = MQTTD_LOG_DEFAULT;
	return conf;
}

void conf_free(struct conf *conf)
{
	unsigned int i;

	if (!conf)
		return;
	for (i = 0; i < conf->n_listeners; i++)
		listener_free(&conf->listeners[i]);
	security_free(&conf->security);
	free(conf->path);
	free(conf->log.file);
	free(conf->log.timestamp_format);
	free(conf->pid_file);
	free(conf->control_socket);
	free(conf->persistence_file);
	free(conf->persistence_location);
	free(conf);
}

/* ---- the configuration in force ----------------------------------------- */

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_sockets(const struct conf *a, const struct conf *b)
{
	unsigned int i;

	if (a->n_listeners != b->n_listeners)
		return false;
	for (i = 0; i < a->n_listeners; i++) {
		const struct conf_listener *la = &a->listeners[i];
		const struct conf_listener *lb = &b->listeners[i];

		if (la->port != lb->port || la->local_only != lb->local_only ||
		    la->socket_domain != lb->socket_domain ||
		    !same_string(la->bind_address, lb->bind_address) ||
		    !same_string(la->bind_interface, lb->bind_interface))
			return false;
	}
	return true;
}

static void listener_copy(struct conf_listener *to,
			  const struct conf_listener *from)
{
	*to = *from;
	to->bind_address = dup_string(from->bind_address);
	to->bind_interface = dup_string(from->bind_interface);
	to->mount_point = dup_string(from->mount_point);
	to->security.password_file = dup_string(from->security.password_file);
	to->security.auto_id_prefix = dup_string(from->security.auto_id_prefix);
}

/*
 * The sockets that listen stay what they are, and so do their settings, but
 * for those that are global.
 */
static void keep_listeners(struct conf *next)
{
	unsigned int i;

	for (i = 0; i < next->n_listeners; i++)
		listener_free(&next->listeners[i]);
	next->n_listeners = conf_now->n_listeners;
	for (i = 0; i < next->n_listeners; i++) {
		struct conf_listener *lst = &next->listeners[i];

		listener_copy(lst, &conf_now->listeners[i]);
		if (!next->per_listener_settings)
			security_copy(&lst->security, &next->security);
	}
}

static void keep_string(const char *name, char **next, const char *former)
{
	if (same_string(*next, former))
		return;
	log_warning("%s: the change takes effect when mqttd is restarted", name);
	set_string(next, former);
}

void conf_keep_fixed(struct conf *next)
{
	if (!conf_now)
		return;
	keep_string("pid_file", &next->pid_file, conf_now->pid_file);
	keep_string("control_socket", &next->control_socket,
		    conf_now->control_socket);
	keep_string("persistence_file", &next->persistence_file,
		    conf_now->persistence_file);
	keep_string("persistence_location", &next->persistence_location,
		    conf_now->persistence_location);
	if (next->persistence != conf_now->persistence ||
	    next->persistence_sync != conf_now->persistence_sync ||
	    next->persistence_sync_interval != conf_now->persistence_sync_interval)
		log_warning("persistence: the change takes effect when mqttd is restarted");
	if (same_sockets(next, conf_now))
		return;
	log_warning("listener: changes of ports and addresses take effect when mqttd is restarted");
	keep_listeners(next);
}

void conf_use(struct conf *conf)
{
	conf_free(conf_now);
	conf_now = conf;
}

const struct conf *conf_get(void)
{
	return conf_now;
}

const struct conf_listener *conf_listener_get(unsigned int index)
{
	if (!conf_now || index >= conf_now->n_listeners)
		return NULL;
	return &conf_now->listeners[index];
}
