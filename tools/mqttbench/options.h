/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command line says, checked and with every default filled in. */
#ifndef MQTTBENCH_OPTIONS_H
#define MQTTBENCH_OPTIONS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LIST_MAX	16

struct scenario;

enum mode { MODE_BURST, MODE_SINGLE, MODE_FLOOD, MODE_PACED };

/* Protocol levels that the clients of one side take in turn. */
struct levels {
	__u8 level[LIST_MAX];
	unsigned int n;
};

struct options {
	const struct scenario *scenario;
	const char *host;
	const char *port;
	const char *username;
	const char *password;
	const char *id;
	const char *prefix;
	struct levels pub_levels;
	struct levels sub_levels;
	unsigned int clients;
	unsigned int peers;
	unsigned int parallel;
	unsigned int keepalive;
	unsigned int size;
	unsigned int qos;
	unsigned int sub_qos;
	unsigned int inflight;
	unsigned int per_write;		/* 0: as many as fill a burst */
	unsigned int window;		/* 0: as the mode says */
	enum mode mode;
	__u64 count;			/* 0: until the duration is over */
	double duration;		/* seconds, 0: until count is reached */
	double rate;
	double timeout;
	double drain;
	pid_t pids[LIST_MAX];
	unsigned int npids;
	bool latency;
	bool json;
	bool progress;
};

/*
 * Returns 0, or 2 after an error that names the option was printed, or 1 if
 * the program is to end with success (--help).
 */
int options_parse(struct options *o, int argc, char **argv);
const char *options_mode_name(enum mode mode);

#endif
