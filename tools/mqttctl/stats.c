// SPDX-License-Identifier: GPL-2.0-or-later
/* mqttctl stats: all figures of the module, as it names them */
#include "ctl.h"
#include "named.h"

int cmd_stats(char **args)
{
	cJSON *object = cJSON_CreateObject();
	int status = named_get(object, KMQTT_CMD_STATS_GET, KMQTT_A_STAT);

	if (!status)
		return named_print(object);
	cJSON_Delete(object);
	return status;
}
