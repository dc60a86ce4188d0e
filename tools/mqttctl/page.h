/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of mqttd that come page by page, and go out so: a million rows take no
 * more memory than a few hundred.
 */
#ifndef MQTTCTL_PAGE_H
#define MQTTCTL_PAGE_H

#include <stdint.h>

#include <cjson/cJSON.h>

struct ctl_table;

/**
 * struct page_list - how a list is printed
 * @cmd: what mqttd is asked
 * @name: an argument of the question, or NULL
 * @value: its value
 * @n_cols: columns of the table
 * @right: as in struct ctl_table
 * @heads: headings
 * @row: adds the cells of a row
 */
struct page_list {
	const char *cmd;
	const char *name;
	const char *value;
	unsigned int n_cols;
	uint32_t right;
	const char * const *heads;
	void (*row)(struct ctl_table *t, const cJSON *row);
};

/* Print all pages, as a table or as one JSON array; an exit status. */
int page_print(const struct page_list *list);

/**
 * page_each - ask for all pages
 * @list: @cmd, @name and @value are used
 * @fn: called for each page, an array; another return value than CTL_OK ends it
 * @arg: for @fn
 *
 * Returns an exit status.
 */
int page_each(const struct page_list *list, int (*fn)(const cJSON *page, void *arg),
	      void *arg);

/* CTL_OK, or CTL_USAGE after saying that @filter is no topic filter. */
int page_filter_check(const char *filter);

#endif /* MQTTCTL_PAGE_H */
