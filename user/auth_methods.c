// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Authentication Methods that clients may ask for: none yet.
 */
#include "auth.h"

const struct auth_method *const auth_methods[] = {
	NULL,
};
