/* SPDX-License-Identifier: MIT */
/*
 * Where the two logs go. Control opens what has a name, for itself and for data, which can open nothing: the
 * access log is data's alone, the own log is written by both, each by a descriptor of its own for the same
 * file. A reload opens what is new and may still be undone; SIGUSR1 opens all files again, and what cannot be
 * opened goes on as it was.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "diplex/os/fd.h"
#include "supervise/control.h"

static const char *const words[LOGS] = {[LOG_ACCESS] = "access", [LOG_OWN] = "error"};

static const struct dx_log_target *target_of(const struct dx_config *c, unsigned which)
{
    return which == LOG_ACCESS ? &c->log.access : &c->log.error;
}

static bool same_target(const struct dx_config *a, const struct dx_config *b, unsigned which)
{
    return strcmp(target_of(a, which)->text, target_of(b, which)->text) == 0;
}

/* RFC 5424 6.2.1. */
static unsigned facility_number(enum dx_log_facility f)
{
    return f == DX_FACILITY_USER ? 1 : f == DX_FACILITY_DAEMON ? 3 : 16 + (unsigned)f - DX_FACILITY_LOCAL0;
}

static void describe(const struct dx_config *c, unsigned which, struct dx_journal_way *w)
{
    const struct dx_log_target *t = target_of(c, which);

    *w = (struct dx_journal_way){
        .fd = -1, .events = which == LOG_OWN, .facility = facility_number(c->log.facility)};
    w->form = t->to == DX_LOG_SYSLOG     ? DX_JOURNAL_SYSLOG
              : t->to == DX_LOG_JOURNALD ? DX_JOURNAL_NATIVE
                                         : DX_JOURNAL_PLAIN;
    (void)snprintf(w->tag, sizeof w->tag, "%s", c->log.tag);
    if (w->form != DX_JOURNAL_PLAIN)
        (void)snprintf(w->path, sizeof w->path, "%s", t->path);
}

static int duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); }

static bool open_way(const struct dx_config *c, unsigned which, struct dx_journal_way *w, struct dx_err *err)
{
    const struct dx_log_target *t = target_of(c, which);
    int standard = t->to == DX_LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
    bool reached = true;

    describe(c, which, w);
    if (t->to == DX_LOG_FILE) {
        w->fd = dx_journal_open_file(t->path, err);
    } else if (w->form != DX_JOURNAL_PLAIN) {
        w->fd = dx_journal_open_socket(w->path, &reached, err);
        if (w->fd >= 0 && !reached)
            dx_log(DX_LOG_WARN, "log_unreachable", DX_KS("log", words[which]), DX_KS("to", w->path),
                   DX_KS("effect", "it is looked for again; lines wait, then they are dropped and counted"));
    } else {
        w->fd = duplicate(standard);
        if (w->fd < 0)
            return dx_err_sys(err, "no descriptor for the log");
        if (w->events && dx_journal_is_read_by_systemd(w->fd))
            w->form = DX_JOURNAL_PREFIXED;
    }
    return w->fd >= 0;
}

/* What goes where it went before has the descriptor of before: so a reload for other reasons cannot fail by
 * it. */
static bool share(const struct plan *p, const struct plan *now, unsigned which, struct dx_journal_way *w)
{
    if (!now || !same_target(p->config, now->config, which))
        return false;
    enum dx_journal_form form = now->logs[which].form;
    describe(p->config, which, w);
    w->form = form;
    w->fd = duplicate(now->logs[which].fd);
    return w->fd >= 0;
}

bool logs_open(struct plan *p, const struct plan *now, struct dx_err *err)
{
    for (unsigned i = 0; i < LOGS; i++)
        if (!share(p, now, i, &p->logs[i]) && !open_way(p->config, i, &p->logs[i], err))
            return false;
    return true;
}

void logs_fall_back(struct plan *p)
{
    struct dx_err err = {{0}};

    for (unsigned i = 0; i < LOGS; i++) {
        if (p->logs[i].fd >= 0 || open_way(p->config, i, &p->logs[i], &err))
            continue;
        dx_log(DX_LOG_ERROR, "log_reopen_failed", DX_KS("log", words[i]), DX_KS("reason", err.text),
               DX_KS("effect", "it goes to the standard stream until it can be opened anew"));
        describe(p->config, i, &p->logs[i]);
        p->logs[i].form = DX_JOURNAL_PLAIN;
        p->logs[i].fd = duplicate(i == LOG_ACCESS ? STDOUT_FILENO : STDERR_FILENO);
    }
}

void logs_close(struct plan *p)
{
    for (unsigned i = 0; i < LOGS; i++)
        dx_fd_close(&p->logs[i].fd);
}

bool logs_way(const struct plan *p, unsigned which, struct dx_journal_way *out)
{
    *out = p->logs[which];
    out->fd = duplicate(p->logs[which].fd);
    out->owned = true;
    return out->fd >= 0;
}

/* ---- to data and to control's own ---- */

static struct dx_letter letter_of(const struct plan *p, unsigned which)
{
    const struct dx_journal_way *w = &p->logs[which];
    struct dx_letter l = {.type = DX_LETTER_LOG, .worker = which, .fd = w->fd};

    l.number = (uint64_t)w->form | (uint64_t)w->facility << DX_LETTER_FACILITY_SHIFT;
    (void)snprintf(l.text, sizeof l.text, "%s %s", w->tag, w->path);
    return l;
}

void logs_send(struct control *c, const struct plan *p)
{
    for (unsigned i = 0; i < LOGS; i++) {
        const struct dx_letter l = letter_of(p, i);
        letters_send(c, &l);
    }
}

/* Those on their way out write where the plan in force says, too; one that is to take over, where its own
 * does. */
static void use(struct control *c, unsigned which)
{
    const struct dx_letter now = letter_of(c->now, which);
    const struct dx_letter serves = letter_of(c->swapping && c->next ? c->next : c->now, which);
    struct dx_journal_way w;

    leavers_send(c, &now);
    letters_send(c, &serves);
    if (which == LOG_OWN && logs_way(c->now, which, &w))
        control_turn_log(&w);
}

static bool differ(const struct plan *a, const struct plan *b, unsigned which)
{
    return !same_target(a->config, b->config, which) || a->config->log.facility != b->config->log.facility ||
           strcmp(a->config->log.tag, b->config->log.tag) != 0;
}

void logs_follow(struct control *c, const struct plan *before)
{
    for (unsigned i = 0; i < LOGS; i++)
        if (differ(before, c->now, i))
            use(c, i);
}

/* ---- SIGUSR1 ---- */

static bool reopen(struct plan *p, unsigned which, struct dx_text *out)
{
    struct dx_err err = {{0}};
    struct dx_journal_way fresh;

    if (!open_way(p->config, which, &fresh, &err)) {
        dx_log(DX_LOG_ERROR, "log_reopen_failed", DX_KS("log", words[which]), DX_KS("reason", err.text),
               DX_KS("effect", "the old one goes on"));
        if (out)
            dx_text_addf(out, "%s\n", err.text);
        return false;
    }
    dx_fd_close(&p->logs[which].fd);
    p->logs[which] = fresh;
    return true;
}

/* A plan on its way would otherwise bring the old file back. */
static void reopen_next(struct control *c, unsigned which)
{
    struct dx_journal_way w;

    if (!c->next)
        return;
    if (!share(c->next, c->now, which, &w)) {
        (void)!reopen(c->next, which, NULL);
        return;
    }
    dx_fd_close(&c->next->logs[which].fd);
    c->next->logs[which] = w;
}

bool logs_reopen(struct control *c, struct dx_text *out)
{
    unsigned reopened = 0;
    bool all = true;

    for (unsigned i = 0; i < LOGS; i++) {
        enum dx_log_to to = target_of(c->now->config, i)->to;
        if (to == DX_LOG_STDOUT || to == DX_LOG_STDERR)
            continue;
        bool done = reopen(c->now, i, out);
        all &= done;
        reopened += done;
        reopen_next(c, i);
        if (done)
            use(c, i);
    }
    dx_log(DX_LOG_INFO, "logs_reopened", DX_KI("logs", reopened));
    if (all && out)
        dx_text_addf(out, "{\"result\":\"reopened\",\"logs\":%u}\n", reopened);
    return all;
}
