/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Password files as mosquitto_passwd writes them: lines USER:HASH with
 * $6$SALT$HASH (SHA-512) or $7$ITERATIONS$SALT$HASH (PBKDF2-HMAC-SHA512).
 */
#ifndef MQTTD_PASSWORD_H
#define MQTTD_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf.h"

struct password_file;

/**
 * password_file_load - read a password file
 * @path: the file
 * @report: each problem is written there as a line "FILE:LINE: TEXT"
 *
 * Returns the users, for password_file_free(), or NULL if there was any
 * problem.
 */
struct password_file *password_file_load(const char *path, FILE *report);

void password_file_free(struct password_file *file);

/**
 * password_file_check - do this user and password belong together?
 *
 * @password may be NULL, which fits only a user without password.  The time
 * taken does not tell whether the user exists.
 */
bool password_file_check(const struct password_file *file,
			 const char *user, size_t user_len,
			 const void *password, size_t password_len);

/**
 * password_setup - read the password files that @conf names
 * @report: as in password_file_load()
 *
 * Returns 0, or -1 if there was any problem; then the former ones stay.
 */
int password_setup(const struct conf *conf, FILE *report);

/* Forget all password files. */
void password_cleanup(void);

/**
 * password_check - may this user with this password use this listener?
 *
 * For clients that bring a user name.  Without a password file the answer is
 * that of allow_anonymous, as Mosquitto's.
 */
bool password_check(unsigned int listener, const char *user, size_t user_len,
		    const void *password, size_t password_len);

#endif /* MQTTD_PASSWORD_H */
