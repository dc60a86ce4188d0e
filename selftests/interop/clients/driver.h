/* SPDX-License-Identifier: GPL-2.0 */
/* What the drivers in C share: the reading of commands. */
#ifndef INTEROP_DRIVER_H
#define INTEROP_DRIVER_H

#include <stdbool.h>

#define KEEP_ALIVE	60	/* seconds */
#define SESSION_EXPIRY	3600	/* seconds */

struct message {
	int qos;
	bool retain;
	char *topic;
	char *payload;
};

/* Each library has these; what becomes of them is printed by its callbacks. */
void driver_connect(const char *id, bool clean, const struct message *will);
void driver_subscribe(const char *filter, int qos);
void driver_unsubscribe(const char *filter);
void driver_publish(const struct message *m);
void driver_disconnect(void);

/* Carry out the commands of standard input until its end. */
void driver_run(void);

#endif /* INTEROP_DRIVER_H */
