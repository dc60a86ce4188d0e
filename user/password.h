/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Password files as mosquitto_passwd writes them: lines USER:HASH with
 * $6$SALT$HASH (SHA-512) or $7$ITERATIONS$SALT$HASH (PBKDF2-HMAC-SHA512).
 */
#ifndef MQTTD_PASSWORD_H
#define MQTTD_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf.h"

struct password_file;
struct password_job;

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
 * struct credentials - a user name and a password
 * @password: NULL if there is none, which fits only a user without password
 */
struct credentials {
	const void *user;
	size_t user_len;
	const void *password;
	size_t password_len;
};

/**
 * password_file_check - do this user and password belong together?
 *
 * Takes the time of a hash, which does not tell whether the user exists.
 */
bool password_file_check(const struct password_file *file,
			 const struct credentials *who);

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
 * enum password_answer - what password_ask() says
 * @PASSWORD_WRONG: no
 * @PASSWORD_RIGHT: yes
 * @PASSWORD_LATER: the password is being hashed, the answer comes later
 */
enum password_answer {
	PASSWORD_WRONG,
	PASSWORD_RIGHT,
	PASSWORD_LATER,
};

/**
 * struct password_ticket - a question that is being answered
 *
 * Stays where it is until the answer comes or is cancelled.
 *
 * @done: called once with the answer
 * @job: the password's being hashed, NULL if it is not
 */
struct password_ticket {
	void (*done)(struct password_ticket *ticket, bool right);
	struct password_job *job;
};

/**
 * password_ask - may this user with this password use this listener?
 * @ticket: what the later answer is for: @ticket->done() is called with it
 *	after PASSWORD_LATER, unless the pool is stopped before
 *
 * For clients that bring a user name.  Without a password file the answer is
 * that of allow_anonymous, as Mosquitto's.
 */
enum password_answer password_ask(unsigned int listener, const struct credentials *who,
				  struct password_ticket *ticket);
/* Nobody waits for the answer any more. */
void password_cancel(struct password_ticket *ticket);

#endif /* MQTTD_PASSWORD_H */
