/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the user sees: the progress line, the result as text or as JSON. */
#ifndef MQTTBENCH_REPORT_H
#define MQTTBENCH_REPORT_H

#include <linux/types.h>

struct bench;

/* Once a second at most; returns when it wants to be called again. */
__u64 report_progress(const struct bench *b);
/* Ends the progress line. */
void report_progress_end(const struct bench *b);
void report_text(const struct bench *b);
void report_json(const struct bench *b);

#endif
