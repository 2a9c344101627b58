/* SPDX-License-Identifier: MIT */
/*
 * How data locks itself in, and what of a later configuration is out of reach then. Landlock lets no process
 * back out: a folder for spools that was named after the start cannot be opened by this one, so it goes on
 * with the one it has, which costs nobody a connection, and the next data process takes the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/ipc.h"
#include "diplex/os/fd.h"
#include "worker/internal.h"

static int last_words = -1; /* a signal handler has no argument */

/* Nothing here but what a signal handler may do. */
static void on_forbidden(int call)
{
    struct dx_letter l = {.type = DX_LETTER_FORBIDDEN, .number = (uint64_t)call, .fd = -1};
    (void)!dx_ipc_send(last_words, &l);
}

bool confines_enter(struct confines *c, const struct dx_config *config, int letters, struct dx_err *err)
{
    DX_ASSERT(!c->entered);
    char *folder = dx_slice_dup(dx_slice_str(config->buffer.path));
    const struct dx_sandbox_wish wish = {.mode = config->sandbox,
                                         .core_dumps = config->core_dumps,
                                         .user = config->user,
                                         .folder = config->buffer.path,
                                         .on_forbidden = on_forbidden};
    if (folder == NULL)
        return dx_err_set(err, "out of memory");
    last_words = letters;
    if (!dx_sandbox_enter(&wish, &c->sandbox, err)) {
        free(folder);
        return false;
    }
    c->entered = true;
    c->folder = folder;
    if (c->sandbox.landlock && !c->sandbox.folder)
        dx_log(DX_LOG_WARN, "spool_folder_missing", DX_KS("folder", folder),
               DX_KS("reason", dx_err_text(c->sandbox.folder_errno)),
               DX_KS("fix", "make the directory, and start diplex again"));
    return true;
}

/* Any failure that Landlock has no part in is told when a body cannot be kept. */
static bool out_of_reach(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool refused = fd < 0 && errno == EACCES;
    dx_fd_close(&fd);
    return refused;
}

void confines_follow(struct confines *c, struct dx_snapshot *s)
{
    const char *wanted = dx_snapshot_config(s)->buffer.path;
    c->folder_waits =
        c->entered && c->sandbox.landlock && strcmp(wanted, c->folder) != 0 && out_of_reach(wanted);
    if (c->folder_waits)
        dx_snapshot_spool_in(s, c->folder);
}

const char *confines_unapplied(const struct confines *c) { return c->folder_waits ? "buffer.path" : ""; }

void confines_fini(struct confines *c)
{
    free(c->folder);
    c->folder = NULL;
}
