// SPDX-License-Identifier: GPL-2.0
/*
 * An mqttd that gives every client one rule set: the lines of the file that
 * MQTTD_ACL_FILE names, "topic [read|write|readwrite] FILTER" as in mosquitto's
 * acl_file.  The benchmark wants the module to check rules, and mqttd has no
 * option that installs any.
 *
 * Linked with --wrap for the function, so that the daemon is the one that ships.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl-rules.h"

#define RULE_SET	1
#define LINE_MAX_BYTES	1024

static void bad(const char *file, unsigned int line, const char *what)
{
	fprintf(stderr, "mqttd-acl: %s:%u: %s\n", file, line, what);
	exit(1);
}

/* The word at *@p, which then stands behind it and the blanks that follow. */
static char *word(char **p)
{
	char *s = *p;

	*p += strcspn(*p, " \t\n");
	if (**p)
		*(*p)++ = '\0';
	*p += strspn(*p, " \t");
	return s;
}

/* 0: @s is no access, so it belongs to the filter. */
static uint32_t access_of(const char *s)
{
	if (!strcmp(s, "read"))
		return KMQTT_ACL_READ;
	if (!strcmp(s, "write"))
		return KMQTT_ACL_WRITE;
	return strcmp(s, "readwrite") ? 0 : KMQTT_ACL_READ | KMQTT_ACL_WRITE;
}

static void put_rule(const char *filter, uint32_t access)
{
	nl_nest_begin(KMQTT_A_ACL_RULE);
	nl_put(KMQTT_AR_FILTER, filter, strlen(filter));
	nl_put_u32(KMQTT_AR_ACCESS, access);
	nl_nest_end();
}

static void put_line(const char *file, unsigned int number, char *p)
{
	char *filter;
	uint32_t access;

	if (*p == '#' || *p == '\n')
		return;
	if (strcmp(word(&p), "topic"))
		bad(file, number, "neither 'topic ...' nor a comment");
	filter = word(&p);
	access = access_of(filter);
	if (access)
		filter = word(&p);
	if (!*filter || *p)
		bad(file, number, "not one filter, without blanks");
	put_rule(filter, access ? access : KMQTT_ACL_READ | KMQTT_ACL_WRITE);
}

/* What no rule allows is forbidden, as with any acl_file. */
static void install(const char *file)
{
	char line[LINE_MAX_BYTES];
	unsigned int number = 0;
	FILE *f = fopen(file, "re");

	if (!f)
		bad(file, 0, "cannot be read");
	__real_nl_begin(KMQTT_CMD_ACL_SET);
	nl_put_u32(KMQTT_A_ACL, RULE_SET);
	nl_put_u32(KMQTT_A_ACL_DEFAULT, 0);
	while (fgets(line, sizeof(line), f))
		put_line(file, ++number, line);
	nl_end(NULL, NULL);
	fclose(f);
}

void __wrap_nl_begin(uint8_t cmd)
{
	const char *file = getenv("MQTTD_ACL_FILE");
	static bool installed;

	if (cmd != KMQTT_CMD_CONN_ACCEPT || !file) {
		__real_nl_begin(cmd);
		return;
	}
	if (!installed)
		install(file);
	installed = true;
	__real_nl_begin(cmd);
	nl_put_u32(KMQTT_A_ACL, RULE_SET);
}
