/* SPDX-License-Identifier: MIT */
/* The panic: says where and what on standard error, lets the hook add what the program was doing, and aborts.
 */
#include "diplex/base/check.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/base/log.h"

static _Atomic(void (*)(void)) panic_hook;

void dx_panic_set_hook(void (*hook)(void)) { atomic_store(&panic_hook, hook); }

/* A pipe that nobody empties would keep the process from ending, and from being started again. */
static bool somebody_reads(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

_Noreturn void dx_panic(const char *file, int line, const char *what)
{
    char text[512];
    int n = snprintf(text, sizeof text, "diplex: panic: %s:%d: %s\n", file, line, what);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;

    /* When standard error is gone there is nobody left to tell. */
    if (!somebody_reads() || write(STDERR_FILENO, text, len) < 0)
        abort();
    dx_log_set_sink(NULL); /* a thread that writes lines later ends with the process, before it does */
    /* Taken out first, so that a hook that panics itself does not run again. */
    void (*hook)(void) = atomic_exchange(&panic_hook, NULL);
    if (hook && somebody_reads())
        hook();
    abort();
}
