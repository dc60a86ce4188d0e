/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arrays of known size.
 */
#ifndef MQTTD_ARRAY_H
#define MQTTD_ARRAY_H

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif /* MQTTD_ARRAY_H */
