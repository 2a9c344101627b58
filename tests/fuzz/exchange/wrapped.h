/* SPDX-License-Identifier: MIT */
/* What the linker puts in front of the program's own functions; for the one file of a target. See world.h. */
#ifndef TESTS_FUZZ_EXCHANGE_WRAPPED_H
#define TESTS_FUZZ_EXCHANGE_WRAPPED_H

#include "exchange/world.h"

uint64_t __wrap_dx_clock_us(void);
uint64_t __wrap_dx_clock_wall_us(void);
void __wrap_loop_arm_tick(struct dx_loop *l, uint64_t ms);
bool __wrap_dx_journal_write(struct dx_journal *j, struct dx_slice lines);
uint64_t __wrap_dx_journal_lost(struct dx_journal *j);
void __wrap_access_write(struct exchange *x);
void __real_access_write(struct exchange *x);

uint64_t __wrap_dx_clock_us(void) { return world.now_us; }
uint64_t __wrap_dx_clock_wall_us(void) { return world.now_us + 1000000000000000; }

void __wrap_loop_arm_tick(struct dx_loop *l, uint64_t ms)
{
    (void)l;
    world.tick_us = world.now_us + ms * 1000;
}

bool __wrap_dx_journal_write(struct dx_journal *j, struct dx_slice lines)
{
    (void)j;
    return lines.n > 0 && lines.p[lines.n - 1] == '\n';
}

uint64_t __wrap_dx_journal_lost(struct dx_journal *j)
{
    (void)j;
    return 0;
}

void __wrap_access_write(struct exchange *x)
{
    on_logged(x);
    __real_access_write(x);
}

#endif
