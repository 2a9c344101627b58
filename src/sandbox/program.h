/* SPDX-License-Identifier: MIT */
/*
 * Writing a filter in the language of seccomp(2), which is that of classic BPF: look at a word, jump forward,
 * say the verdict. While it is written the accumulator holds the number of the call; a block about one call
 * ends in a verdict, so that whatever it loads is forgotten with it.
 */
#ifndef SANDBOX_PROGRAM_H
#define SANDBOX_PROGRAM_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "diplex/base/check.h"

#define PROGRAM_MAX     1024u
#define VERDICT(number) (SECCOMP_RET_ERRNO | ((uint32_t)(number)&SECCOMP_RET_DATA))

struct program {
    struct sock_filter at[PROGRAM_MAX];
    unsigned short n;
};

/* Loads the number of the call; foreign architectures, and x32 on x86-64, end the process: their numbers mean
 * something else. */
void program_begin(struct program *p);
void program_answer(struct program *p, int call, uint32_t verdict);
void program_end(struct program *p, uint32_t verdict); /* of all that is left */

/* A block: begins with the call, goes through tests from top to bottom, and ends with a verdict. */
unsigned short block_begin(struct program *p, int call);
/* The lower half of an argument: what the kernel itself looks at where the argument is an int. */
void block_if(struct program *p, unsigned argument, uint32_t mask, uint32_t value, uint32_t verdict);
void block_unless(struct program *p, unsigned argument, uint32_t mask, uint32_t value, uint32_t verdict);
void block_unless_null(struct program *p, unsigned argument, uint32_t verdict); /* a pointer: both halves */
void block_end(struct program *p, unsigned short block, uint32_t verdict);

#endif
