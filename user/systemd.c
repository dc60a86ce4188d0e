// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What mqttd tells systemd and asks it.
 */
#include "systemd.h"

#ifdef HAVE_SYSTEMD

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "log.h"

#define MANAGER		"org.freedesktop.systemd1"
/* The manager's own socket: there also where no bus daemon runs. */
#define MANAGER_ADDRESS	"unix:path=/run/systemd/private"
#define ASK_TIMEOUT_US	2000000

void systemd_ready(void)
{
	sd_notify(0, "READY=1");
}

void systemd_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000);
}

void systemd_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void systemd_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

uint64_t systemd_watchdog_usec(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? usec : 0;
}

/* The unit's job, as a type like "restart"; NULL if there is none. */
static char *unit_job(sd_bus *bus)
{
	sd_bus_message *reply = NULL;
	const char *path;
	char *type = NULL;
	unsigned int id;
	int rc;

	rc = sd_bus_call_method(bus, MANAGER, "/org/freedesktop/systemd1",
				MANAGER ".Manager", "GetUnitByPID", NULL, &reply,
				"u", (uint32_t)getpid());
	if (rc >= 0)
		rc = sd_bus_message_read(reply, "o", &path);
	if (rc >= 0) {
		sd_bus_message *job = NULL;

		rc = sd_bus_get_property(bus, MANAGER, path, MANAGER ".Unit",
					 "Job", NULL, &job, "(uo)");
		if (rc >= 0)
			rc = sd_bus_message_read(job, "(uo)", &id, &path);
		if (rc >= 0 && id)
			rc = sd_bus_get_property_string(bus, MANAGER, path,
							MANAGER ".Job", "JobType",
							NULL, &type);
		sd_bus_message_unref(job);
	}
	sd_bus_message_unref(reply);
	if (rc < 0)
		log_debug("systemd does not say why we are stopped: %s",
			  strerror(-rc));
	return rc < 0 ? NULL : type;
}

bool systemd_restarting(void)
{
	bool restart = false;
	sd_bus *bus = NULL;
	char *type;

	if (!getenv("INVOCATION_ID") || sd_bus_new(&bus) < 0)
		return false;
	if (sd_bus_set_address(bus, MANAGER_ADDRESS) >= 0 &&
	    sd_bus_set_method_call_timeout(bus, ASK_TIMEOUT_US) >= 0 &&
	    sd_bus_start(bus) >= 0) {
		type = unit_job(bus);
		restart = type && (!strcmp(type, "restart") ||
				   !strcmp(type, "try-restart"));
		free(type);
	}
	sd_bus_close_unref(bus);
	return restart;
}

#else /* !HAVE_SYSTEMD */

void systemd_ready(void)
{
}

void systemd_reloading(void)
{
}

void systemd_stopping(void)
{
}

void systemd_alive(void)
{
}

uint64_t systemd_watchdog_usec(void)
{
	return 0;
}

bool systemd_restarting(void)
{
	return false;
}

#endif /* HAVE_SYSTEMD */
