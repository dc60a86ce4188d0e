/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A database of SQLite's in a file that is known by its descriptor only.
 */
#ifndef MQTTD_STORE_FD_H
#define MQTTD_STORE_FD_H

struct sqlite3;

/*
 * Open what @fd has as @db, without journal and locks: for one that nobody else
 * uses.  One at a time; @fd remains the caller's and must stay open until
 * store_fd_close(), which has to follow whatever is returned: SQLite's result.
 */
int store_fd_open(int fd, struct sqlite3 **db);
void store_fd_close(struct sqlite3 *db);

#endif /* MQTTD_STORE_FD_H */
