/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A folder of its own for each test program that reads files, and what the
 * reader under test reports of them.
 */
#ifndef UNIT_FOLDER_H
#define UNIT_FOLDER_H

#include "unit.h"

/* Made by folder_setup(). */
static char folder[32];

/* What the last function between report_begin() and report_end() wrote. */
static char *report;
static size_t report_size;

static inline FILE *report_begin(void)
{
	FILE *f;

	free(report);
	report = NULL;
	f = open_memstream(&report, &report_size);
	assert_non_null(f);
	return f;
}

static inline void report_end(FILE *f)
{
	assert_int_equal(fclose(f), 0);
}

/* The report names @line of @path, with words that contain @what. */
static inline void report_has(const char *path, unsigned int line, const char *what,
			      const char *text)
{
	char begin[128];

	snprintf(begin, sizeof(begin), "%s:%u: ", path, line);
	if (!strstr(report, begin) || !strstr(report, what))
		fail_msg("\"%s\" gives \"%s\", not \"%s...%s\"", text, report,
			 begin, what);
}

static inline void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* Once for the program: make the folder, and the name of a file in it. */
static inline int folder_setup(char *path, size_t size, const char *name)
{
	strcpy(folder, "/tmp/kmqtt-unit-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, size, "%s/%s", folder, name);
	return 0;
}

static inline int folder_teardown(void **state)
{
	char command[64];

	free(report);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

#endif /* UNIT_FOLDER_H */
