// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists of mqttd, page by page.
 */
#include "page.h"

#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "daemon.h"
#include "topic.h"

/* One page; @from is where it begins or NULL, and then where the next does. */
static int ask(const struct page_list *list, cJSON **from, cJSON **page)
{
	cJSON *question = cJSON_CreateObject();

	cJSON_AddStringToObject(question, "cmd", list->cmd);
	if (list->name)
		cJSON_AddStringToObject(question, list->name, list->value);
	if (*from)
		cJSON_AddItemToObject(question, "from", *from);
	*from = NULL;
	return daemon_ask_page(question, page, from);
}

int page_each(const struct page_list *list, int (*fn)(const cJSON *page, void *arg),
	      void *arg)
{
	cJSON *from = NULL, *page;
	int status;

	do {
		page = NULL;
		status = ask(list, &from, &page);
		if (!status)
			status = fn(page, arg);
		cJSON_Delete(page);
	} while (!status && from);
	cJSON_Delete(from);
	return status == DAEMON_AWAY ? daemon_away() : status;
}

/**
 * struct printer - what page_print() has printed
 * @list: the list
 * @table: its widths, and the rows of a page
 * @n: rows so far
 */
struct printer {
	const struct page_list *list;
	struct ctl_table table;
	size_t n;
};

static int print_rows(const cJSON *page, void *arg)
{
	struct printer *p = arg;
	const cJSON *row;

	if (!p->n++)
		ctl_heads(&p->table, p->list->heads);
	cJSON_ArrayForEach(row, page)
		p->list->row(&p->table, row);
	return ctl_flush_table(&p->table);
}

static int print_json(const cJSON *page, void *arg)
{
	struct printer *p = arg;
	const cJSON *row;
	int status = CTL_OK;

	cJSON_ArrayForEach(row, page) {
		fputs(p->n++ ? "," : "[", stdout);
		status = ctl_put_json(row);
		if (status)
			break;
	}
	return status;
}

int page_print(const struct page_list *list)
{
	struct printer p = {
		.list = list,
		.table = { .n_cols = list->n_cols, .right = list->right },
	};
	int status;

	if (!ctl_options.json) {
		status = page_each(list, print_rows, &p);
		ctl_free_table(&p.table);
		return status;
	}
	status = page_each(list, print_json, &p);
	if (status)
		return status;
	puts(p.n ? "]" : "[]");
	return ctl_flush();
}

int page_filter_check(const char *filter)
{
	if (!kmqtt_topic_filter_check((const __u8 *)filter, strlen(filter)))
		return CTL_OK;
	return ctl_fail(CTL_USAGE,
			"FILTER: \"%s\" is no topic filter: + and # stand for whole levels, # for the last",
			filter);
}
