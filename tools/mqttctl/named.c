// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists of named numbers: statistics and parameters.
 */
#include "named.h"

#include <string.h>

#include "ctl.h"

/**
 * struct wanted - what named_get() collects
 * @nl: the family
 * @attr: the attribute that repeats
 * @object: the result
 */
struct wanted {
	struct nl *nl;
	uint16_t attr;
	cJSON *object;
};

static int collect_one(const struct nlattr *nest, void *arg)
{
	struct nlattr *attrs[KMQTT_AN_MAX + 1];
	struct wanted *w = arg;
	const char *name;

	nl_nest(nest, attrs, KMQTT_AN_MAX);
	if (!attrs[KMQTT_AN_NAME] ||
	    mnl_attr_validate(attrs[KMQTT_AN_NAME], MNL_TYPE_NUL_STRING) < 0)
		return ctl_fail(CTL_ERROR,
				"the kernel sent a number without name; is the module's version ours?");
	name = mnl_attr_get_str(attrs[KMQTT_AN_NAME]);
	cJSON_AddNumberToObject(w->object, name,
				(int64_t)nl_u64(attrs[KMQTT_AN_VALUE]));
	return CTL_OK;
}

static int collect(struct nlattr **attrs, void *arg)
{
	struct wanted *w = arg;

	return nl_each(w->nl, w->attr, collect_one, w);
}

int named_get(struct cJSON *object, uint8_t cmd, uint16_t attr)
{
	struct wanted w = { .attr = attr, .object = object };
	int status;

	w.nl = nl_open(&status);
	if (!w.nl)
		return status;
	nl_request(w.nl, cmd, false);
	status = nl_run(w.nl, collect, &w);
	nl_close(w.nl);
	return status;
}

int named_print(cJSON *object)
{
	struct ctl_table t = { .n_cols = 2, .right = 2 };
	const cJSON *item;

	if (ctl_options.json)
		return ctl_print_json(object);
	cJSON_ArrayForEach(item, object) {
		ctl_cell(&t, "%s", item->string);
		ctl_cell(&t, "%.0f", item->valuedouble);
	}
	cJSON_Delete(object);
	return ctl_print_table(&t);
}
