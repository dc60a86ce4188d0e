/* SPDX-License-Identifier: GPL-2.0 */
/* The function that the linker puts in place of the daemon's, and the real one. */
#ifndef ACL_RULES_H
#define ACL_RULES_H

#include "nl.h"

void __real_nl_begin(uint8_t cmd);
void __wrap_nl_begin(uint8_t cmd);

#endif
