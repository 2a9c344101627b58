/* SPDX-License-Identifier: MIT */
/* Where a log goes: a word, a file, or a word with the path of its socket. */
#include "config/reader.h"

#define SYSLOG_SOCKET   "/dev/log"
#define JOURNALD_SOCKET "/run/systemd/journal/socket"

/* "syslog:/path". False: it is not this word. *wrong: it is, and what is behind it cannot be. */
static bool socket_of(struct dx_slice text, struct dx_slice word, struct dx_slice *path, const char **wrong)
{
    if (!dx_slice_starts(text, word))
        return false;
    struct dx_slice rest = dx_slice_of(text.p + word.n, text.n - word.n);
    if (rest.n == 0)
        return true;
    if (rest.p[0] != ':')
        return false;
    *path = dx_slice_of(rest.p + 1, rest.n - 1);
    if (path->n == 0 || path->p[0] != '/')
        *wrong = "names a socket by its absolute path, as in syslog:/dev/log";
    else if (path->n >= sizeof((struct sockaddr_un){0}.sun_path))
        *wrong = "is too long: a Unix socket's path has at most 107 bytes";
    return true;
}

/* What docker images of nginx link their logs to. */
static bool is_standard(struct dx_slice text, struct dx_slice word)
{
    return dx_slice_eq(text, word) || (dx_slice_starts(text, DX_SLICE("/dev/")) &&
                                       dx_slice_eq(dx_slice_of(text.p + 5, text.n - 5), word));
}

/* NULL: fine. Otherwise how the sentence about the key goes on. */
static const char *target_of(struct dx_slice text, enum dx_log_to *to, struct dx_slice *path)
{
    const char *wrong = NULL;

    *path = dx_slice_of(NULL, 0);
    if (is_standard(text, DX_SLICE("stdout"))) {
        *to = DX_LOG_STDOUT;
    } else if (is_standard(text, DX_SLICE("stderr"))) {
        *to = DX_LOG_STDERR;
    } else if (socket_of(text, DX_SLICE("syslog"), path, &wrong)) {
        *to = DX_LOG_SYSLOG;
        *path = path->n ? *path : DX_SLICE(SYSLOG_SOCKET);
    } else if (socket_of(text, DX_SLICE("journald"), path, &wrong)) {
        *to = DX_LOG_JOURNALD;
        *path = path->n ? *path : DX_SLICE(JOURNALD_SOCKET);
    } else {
        *to = DX_LOG_FILE;
        *path = text;
        bool file = text.p[0] == '/' && text.p[text.n - 1] != '/';
        wrong = file ? NULL : "must be stdout, stderr, syslog, journald or a file's absolute path";
    }
    return wrong;
}

void dx_config_read_log_target(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base)
{
    struct dx_log_target target = {DX_LOG_STDOUT, NULL, NULL};
    struct dx_slice text, path;

    if (!dx_config_text(r, v, s->key, &text))
        return;
    const char *wrong = target_of(text, &target.to, &path);
    if (wrong) {
        dx_config_fault(r, v, "'%s' %s: '%.*s'", s->key, wrong, DX_SLICE_ARGS(text));
        return;
    }
    target.text = dx_config_keep(r, text);
    target.path = path.n ? dx_config_keep(r, path) : NULL;
    memcpy((char *)base + s->place, &target, sizeof target);
}
