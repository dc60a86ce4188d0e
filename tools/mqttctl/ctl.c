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

static int finish_output(void)
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

/* ---- JSON --------------------------------------------------------------- */

int ctl_print_json(cJSON *json)
{
	char *text = checked(cJSON_PrintUnformatted(json));

	puts(text);
	free(text);
	cJSON_Delete(json);
	return finish_output();
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

int ctl_print_table(struct ctl_table *t)
{
	int *widths = checked(calloc(t->n_cols, sizeof(*widths)));
	size_t i;

	for (i = 0; i < t->n_cells; i++) {
		int w = width(t->cells[i]);

		if (w > widths[i % t->n_cols])
			widths[i % t->n_cols] = w;
	}
	for (i = 0; i < t->n_cells; i++) {
		unsigned int col = i % t->n_cols;
		int pad = widths[col] - width(t->cells[i]);
		bool last = col == t->n_cols - 1;

		if (t->right & (1U << col))
			printf("%*s%s", pad, "", t->cells[i]);
		else
			printf("%s%*s", t->cells[i], last ? 0 : pad, "");
		fputs(last ? "\n" : "  ", stdout);
		free(t->cells[i]);
	}
	free(t->cells);
	free(widths);
	return finish_output();
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
