/* SPDX-License-Identifier: MIT */
/* Playing one script of fuzz_exchange.c from outside. */
#ifndef TESTS_FUZZ_EXCHANGE_SCRIPT_H
#define TESTS_FUZZ_EXCHANGE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `failing`: which request for memory, a socket or a pipe fails, counted from 1; 0: as the script says. True:
 * one did. */
bool play_script(const uint8_t *data, size_t size, unsigned failing);

#endif
