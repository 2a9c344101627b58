/* SPDX-License-Identifier: MIT */
/* A whole terminal for a program that paints frames and reads keys, and gives it back as it was, however it
 * ends. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include "diplex/base/slice.h"
#include "diplex/base/text.h"

/* False: there is no terminal on standard input and output. Once. */
bool screen_open(void) DX_CHECKED;
void screen_close(void); /* fine when it is not open */
void screen_paint(const struct dx_text *frame);

enum screen_event { SCREEN_TIME, SCREEN_KEY, SCREEN_RESIZED, SCREEN_END };
enum { SCREEN_UP = 256, SCREEN_DOWN, SCREEN_PAGE_UP, SCREEN_PAGE_DOWN };
/* Waits for one of them, `ms` at most. END: a signal, or the terminal has gone. */
enum screen_event screen_wait(uint64_t ms, int *key);

#endif
