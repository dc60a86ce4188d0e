// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Output that the subcommands of mqttctl share.
 */
#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

int ctl_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("mqttctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int ctl_flush(void)
{
	if (fflush(stdout) || ferror(stdout))
		return ctl_fail(CTL_ERROR, "cannot write: %s", strerror(errno));
	return CTL_OK;
}

static void *checked(void *p)
{
	if (!p)
		exit(ctl_fail(CTL_ERROR, "out of memory"));
	return p;
}

void *ctl_alloc(size_t size)
{
	return checked(malloc(size));
}

/* ---- JSON --------------------------------------------------------------- */

int ctl_put_json(const cJSON *json)
{
	char *text = checked(cJSON_PrintUnformatted(json));

	fputs(text, stdout);
	free(text);
	return ferror(stdout) ? ctl_flush() : CTL_OK;
}

int ctl_print_json(cJSON *json)
{
	ctl_put_json(json);
	putchar('\n');
	cJSON_Delete(json);
	return ctl_flush();
}

/* Length of the longest beginning of @s that is UTF-8 without NUL. */
static size_t utf8_prefix(const uint8_t *s, size_t len)
{
	size_t good = 0, n;

	while (good < len && s[good]) {
		for (n = 1; n <= 4 && good + n <= len; n++)
			if (kmqtt_utf8_valid(s + good, n))
				break;
		if (n > 4 || good + n > len)
			break;
		good += n;
	}
	return good;
}

cJSON *ctl_json_bytes(const void *s, size_t len)
{
	char *text = checked(malloc(len + 1));
	size_t i = 0, good;
	cJSON *json;

	memcpy(text, s, len);
	text[len] = '\0';
	while (i < len) {
		good = utf8_prefix((uint8_t *)text + i, len - i);
		i += good;
		if (i < len)
			text[i++] = '?';
	}
	json = checked(cJSON_CreateString(text));
	free(text);
	return json;
}

double ctl_number(const cJSON *obj, const char *name)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(obj, name);

	return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

const char *ctl_string(const cJSON *obj, const char *name)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));

	return s && *s ? s : "-";
}

/* ---- tables ------------------------------------------------------------- */

void ctl_cell(struct ctl_table *t, const char *fmt, ...)
{
	va_list ap;
	char *text, *p;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	for (p = checked(text); *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (t->n_cells == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cells = checked(realloc(t->cells,
					   t->room * sizeof(*t->cells)));
	}
	t->cells[t->n_cells++] = text;
}

void ctl_heads(struct ctl_table *t, const char * const *heads)
{
	unsigned int i;

	for (i = 0; i < t->n_cols; i++)
		ctl_cell(t, "%s", heads[i]);
}

/* Characters, not bytes. */
static int width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void measure(struct ctl_table *t)
{
	size_t i;

	if (!t->widths)
		t->widths = checked(calloc(t->n_cols, sizeof(*t->widths)));
	for (i = 0; i < t->n_cells; i++) {
		int w = width(t->cells[i]);

		if (w > t->widths[i % t->n_cols])
			t->widths[i % t->n_cols] = w;
	}
}

int ctl_flush_table(struct ctl_table *t)
{
	size_t i;

	measure(t);
	for (i = 0; i < t->n_cells; i++) {
		unsigned int col = i % t->n_cols;
		int pad = t->widths[col] - width(t->cells[i]);
		bool last = col == t->n_cols - 1;

		if (t->right & (1U << col))
			printf("%*s%s", pad, "", t->cells[i]);
		else
			printf("%s%*s", t->cells[i], last ? 0 : pad, "");
		fputs(last ? "\n" : "  ", stdout);
		free(t->cells[i]);
	}
	t->n_cells = 0;
	return ctl_flush();
}

void ctl_free_table(struct ctl_table *t)
{
	free(t->cells);
	free(t->widths);
}

int ctl_print_table(struct ctl_table *t)
{
	int status = ctl_flush_table(t);

	ctl_free_table(t);
	return status;
}

/* ---- objects ------------------------------------------------------------ */

/* Made fit for a terminal. */
static void put_text(const char *s)
{
	for (; *s; s++)
		putchar(((unsigned char)*s < ' ' && *s != '\n' && *s != '\t') || *s == 0x7f ?
			'?' : *s);
}

/* NAME: VALUE, one a line, what is nested with a dot. */
static void put_member(const cJSON *value, const char *prefix)
{
	const cJSON *item;
	char name[128];
	char *text;
	int i = 0;

	if (!cJSON_IsObject(value) &&
	    !(cJSON_IsArray(value) && cJSON_IsObject(value->child))) {
		text = cJSON_IsString(value) ? NULL : cJSON_PrintUnformatted(value);
		printf("%s: ", prefix);
		put_text(text ? text : value->valuestring);
		putchar('\n');
		cJSON_free(text);
		return;
	}
	cJSON_ArrayForEach(item, value) {
		if (item->string)
			snprintf(name, sizeof(name), "%s%s%s", prefix,
				 *prefix ? "." : "", item->string);
		else
			snprintf(name, sizeof(name), "%s.%d", prefix, i++);
		put_member(item, name);
	}
}

int ctl_print_object(cJSON *object)
{
	if (ctl_options.json)
		return ctl_print_json(object);
	put_member(object, "");
	cJSON_Delete(object);
	return ctl_flush();
}

int ctl_finish(int status, cJSON *list, int (*print)(const cJSON *list))
{
	if (!status && ctl_options.json)
		return ctl_print_json(list);
	if (!status)
		status = print(list);
	cJSON_Delete(list);
	return status;
}
