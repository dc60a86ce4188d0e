/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What opening the store takes.
 */
#ifndef MQTTD_STORE_FILE_H
#define MQTTD_STORE_FILE_H

#include "store_priv.h"

/*
 * Check that the tables are those of this version, or make them in an empty
 * file; read everything if it was not closed.  Returns SQLite's result, with a
 * @text where its own would not tell enough.
 */
int store_schema_open(struct sqlite3 *db, bool unclean, char *text);
/* Prepare all statements, and find what numbers messages are to have. */
int store_db_prepare(struct store_db *db);
/* @untouched: leave its files as an unclean end does. */
void store_db_disconnect(struct store_db *db, bool untouched);
/* Its next opening is to read everything. */
void store_db_suspect(const struct store_db *db);

#endif /* MQTTD_STORE_FILE_H */
