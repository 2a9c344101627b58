/* SPDX-License-Identifier: MIT */
/*
 * Least privilege: what a process gives up for good once it has what it needs. Data keeps nothing but its
 * descriptors, connections to servers, and new files in the spool folder; control keeps a few capabilities
 * and loses the system calls that nobody needs. What the kernel cannot give is left out and told. See
 * docs/decisions/0019-least-privilege.md.
 */
#ifndef DIPLEX_SANDBOX_H
#define DIPLEX_SANDBOX_H

#include "diplex/base/err.h"
#include "diplex/config.h"

#define DX_SANDBOX_TEXT 256

struct dx_sandbox_wish {
    enum dx_sandbox_mode mode;
    bool core_dumps;    /* may leave one, and may be traced by its own user */
    const char *user;   /* data: whom to become when root */
    const char *folder; /* data: where spools are made; it has to exist */
    bool guarded;       /* control: its filter of system calls is in force already */
    void (*on_forbidden)(
        int call); /* data: told of the call before the process ends by SIGSYS. Async-signal-safe */
};

struct dx_sandbox {
    bool filter;       /* seccomp is in force */
    unsigned landlock; /* the version that is in force; 0: none */
    bool folder; /* Landlock lets spools be made in the folder; false with `folder_errno`: it could not be
                    opened */
    int folder_errno;
    char text[DX_SANDBOX_TEXT]; /* "no-new-privileges, no capabilities, seccomp, landlock 3", and what is
                                   missing and why */
};

/* Data, before any of its threads is made: drops the user, all capabilities, and the rest. False: it must not
 * serve. */
bool dx_sandbox_enter(const struct dx_sandbox_wish *w, struct dx_sandbox *out, struct dx_err *err) DX_CHECKED;

/* Control, while it has one thread. What it can do without is given up where the kernel lets it. False only
 * when the mode requires what cannot be had. */
bool dx_sandbox_guard(const struct dx_sandbox_wish *w, struct dx_err *err) DX_CHECKED;

/* Control, before it makes another program of itself: what it has kept is to outlive that. */
void dx_sandbox_pass_on(void);

/* Whether this build has filters at all: sanitizers need files and calls of their own. */
bool dx_sandbox_built_in(void);

#endif
