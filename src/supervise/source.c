/* SPDX-License-Identifier: MIT */
/* Where the configuration's text comes from: the file that was named, a default file, or the text built in.
 */
#include "diplex/supervise.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/config.h"
#include "diplex/os/fd.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

static const char *const default_files[] = {"diplex.yaml", "/etc/diplex/diplex.yaml"};

static bool finish(struct dx_control_source *s, char *text, size_t n, const char *name, struct dx_err *err)
{
    char *copy = dx_slice_dup(dx_slice_str(name));
    if (!text || !copy) {
        free(text);
        free(copy);
        return dx_err_set(err, "out of memory while reading %s", name);
    }
    *s = (struct dx_control_source){text, n, copy};
    return true;
}

bool dx_control_source_read(const char *file, struct dx_control_source *out, struct dx_err *err)
{
    char *text = NULL;
    size_t n = 0;
    /* One that is there and cannot be read is an error: silence would serve something else than it says. */
    for (size_t i = 0; !file && i < DX_COUNT(default_files); i++)
        if (access(default_files[i], F_OK) == 0)
            file = default_files[i];
    if (!file) {
        struct dx_slice builtin = dx_config_builtin_text();
        return finish(out, dx_slice_dup(builtin), builtin.n, "(built in)", err);
    }
    if (!dx_fd_read_file(file, FILE_BYTES_MAX, &text, &n))
        return dx_err_sys(err, "cannot read %s", file);
    return finish(out, text, n, file, err);
}

void dx_control_source_fini(struct dx_control_source *s)
{
    free(s->text);
    free(s->name);
    *s = (struct dx_control_source){NULL, 0, NULL};
}

const char *dx_control_env(const char *name, void *arg)
{
    (void)arg;
    return getenv(name);
}
