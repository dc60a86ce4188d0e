// SPDX-License-Identifier: GPL-2.0
/* The commands of client-matrix, for the drivers in C. */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* QOS RETAIN TOPIC PAYLOAD; the payload may be empty and hold blanks. */
static bool read_message(char **rest, struct message *m)
{
	char *qos = strsep(rest, " ");
	char *retain = strsep(rest, " ");

	m->topic = strsep(rest, " ");
	m->payload = *rest ? *rest : "";
	if (!qos || !retain || !m->topic)
		return false;
	m->qos = atoi(qos);
	m->retain = atoi(retain);
	return true;
}

static bool connect_line(char *rest)
{
	char *id = strsep(&rest, " ");
	char *clean = strsep(&rest, " ");
	struct message will;

	if (!id || !clean)
		return false;
	if (rest && !read_message(&rest, &will))
		return false;
	driver_connect(id, atoi(clean), rest ? &will : NULL);
	return true;
}

static bool obey(const char *word, char *rest)
{
	struct message m;
	char *qos;

	if (!strcmp(word, "disconnect")) {
		driver_disconnect();
	} else if (!strcmp(word, "connect")) {
		return connect_line(rest);
	} else if (!strcmp(word, "unsubscribe") && rest) {
		driver_unsubscribe(rest);
	} else if (!strcmp(word, "subscribe")) {
		qos = strsep(&rest, " ");
		if (!rest)
			return false;
		driver_subscribe(rest, atoi(qos));
	} else if (!strcmp(word, "publish") && read_message(&rest, &m)) {
		driver_publish(&m);
	} else {
		return false;
	}
	return true;
}

void driver_run(void)
{
	char *line = NULL, *word, *rest;
	size_t size = 0;
	ssize_t len;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((len = getline(&line, &size, stdin)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		rest = line;
		word = strsep(&rest, " ");
		if (!obey(word, rest))
			puts("failed command");
	}
	free(line);
}
