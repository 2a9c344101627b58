/* SPDX-License-Identifier: MIT */
/* The order in which things are given up, and the sentence about it: each step needs something that a later
 * one takes. */
#include "diplex/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "diplex/os/fd.h"
#include "diplex/os/process.h"
#include "sandbox/internal.h"

#define BIT(capability) (UINT64_C(1) << (capability))

/* Listening on ports below 1024 at a reload; starting data again as another user, without any capability, and
 * killing it; files, sockets and folders that belong to the servers' users. */
#define CONTROL_KEEPS                                                                                   \
    (BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_KILL) | \
     BIT(CAP_DAC_OVERRIDE))

static void add(struct dx_sandbox *s, const char *what)
{
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof s->text - n, "%s%s", n ? ", " : "", what);
}

/* The newest version is more than what is used of it, so it is named as the kernel does. */
static void describe(struct dx_sandbox *s, int filter_errno, int landlock_errno, enum dx_sandbox_mode mode)
{
    char text[DX_SANDBOX_TEXT / 2];
    add(s, "no-new-privileges");
    add(s, "no capabilities");
    if (mode == DX_SANDBOX_OFF) {
        add(s, "seccomp and landlock off");
        return;
    }
    if (!dx_sandbox_built_in()) {
        add(s, "no seccomp and no landlock in this build");
        return;
    }
    snprintf(text, sizeof text, s->filter ? "seccomp" : "no seccomp (%s)", strerror(filter_errno));
    add(s, text);
    if (s->landlock)
        snprintf(text, sizeof text, "landlock %u", s->landlock);
    else
        snprintf(text, sizeof text, "no landlock (%s)", strerror(landlock_errno));
    add(s, text);
}

static void enter_landlock(struct dx_sandbox *s, const char *path, int *why)
{
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    s->folder = folder >= 0;
    s->folder_errno = folder >= 0 ? 0 : errno;
    if (!landlock_enter(folder, &s->landlock))
        *why = errno;
    dx_fd_close(&folder);
}

bool dx_sandbox_enter(const struct dx_sandbox_wish *w, struct dx_sandbox *out, struct dx_err *err)
{
    struct dx_sandbox s = {0};
    int filter_errno = 0, landlock_errno = 0;
    bool wanted = w->mode != DX_SANDBOX_OFF && dx_sandbox_built_in();

    rights_bound(0); /* as long as there is a capability to do it with */
    if (!dx_process_drop_to(w->user, err))
        return false;
    if (!rights_keep(0))
        return dx_err_sys(err, "cannot give up capabilities");
    if (!dx_process_no_new_privileges())
        return dx_err_sys(err, "cannot give up new privileges");
    rights_core_dumps(w->core_dumps); /* a change of the user has taken them away */
    if (wanted) {
        enter_landlock(&s, w->folder, &landlock_errno);
        s.filter = filter_data(w->on_forbidden);
        filter_errno = s.filter ? 0 : errno;
    }
    describe(&s, filter_errno, landlock_errno, w->mode);
    if (w->mode == DX_SANDBOX_REQUIRE && (!s.filter || !s.landlock))
        return dx_err_set(err, "\"sandbox\" is \"require\", and all there can be is: %s", s.text);
    *out = s;
    return true;
}

void dx_sandbox_pass_on(void) { rights_pass_on(CONTROL_KEEPS); }

bool dx_sandbox_guard(const struct dx_sandbox_wish *w, struct dx_err *err)
{
    rights_bound(CONTROL_KEEPS);
    rights_core_dumps(w->core_dumps);
    if (!rights_keep(CONTROL_KEEPS))
        return dx_err_sys(err, "cannot give up capabilities");
    if (!dx_process_no_new_privileges())
        return dx_err_sys(err, "cannot give up new privileges");
    if (w->mode == DX_SANDBOX_OFF || w->guarded || !dx_sandbox_built_in() || filter_control() ||
        w->mode == DX_SANDBOX_ON)
        return true;
    return dx_err_sys(err, "\"sandbox\" is \"require\", and there can be no seccomp filter");
}
