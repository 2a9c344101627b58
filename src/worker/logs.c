/* SPDX-License-Identifier: MIT */
/* The two logs of the data process: a journal each, and the ways that control gives them. */
#include "worker/internal.h"

#include <unistd.h>

#include "diplex/os/fd.h"

#define BATCH_BYTES     (128u * 1024)
#define ACCESS_FLUSH_MS 50
#define EVENTS_FLUSH_MS 0
#define FORM_MASK       ((UINT64_C(1) << DX_LETTER_FACILITY_SHIFT) - 1)

static struct dx_journal *events; /* the log's sink has no argument */

static void to_events(struct dx_slice line) { (void)!dx_journal_write(events, line); }

static void on_again(void *word, uint64_t lines)
{
    dx_log(DX_LOG_WARN, "log_lines_dropped", DX_KS("log", word), DX_KI("lines", lines));
}

void logs_init(struct logs *l)
{
    dx_journal_learn_zone();
    l->ways[DX_LETTER_LOG_ACCESS] = dx_journal_stream(STDOUT_FILENO);
    l->ways[DX_LETTER_LOG_OWN] = dx_journal_stream(STDERR_FILENO);
}

static struct dx_journal *start(struct logs *l, unsigned which, unsigned flush_ms)
{
    static char words[DX_LETTER_LOGS][sizeof("access")] = {"access", "error"};
    struct dx_journal *j = dx_journal_new(&l->ways[which], BATCH_BYTES, flush_ms);

    if (j == NULL)
        return NULL;
    l->ways[which].owned = false; /* it is the journal's */
    dx_journal_on_again(j, on_again, words[which]);
    return j;
}

bool logs_start(struct logs *l, struct dx_err *err)
{
    if (events == NULL)
        events = start(l, DX_LETTER_LOG_OWN, EVENTS_FLUSH_MS);
    if (events == NULL)
        return dx_err_sys(err, "cannot start the log");
    dx_log_set_sink(to_events);
    l->access = start(l, DX_LETTER_LOG_ACCESS, ACCESS_FLUSH_MS);
    return l->access != NULL || dx_err_sys(err, "cannot start the access log");
}

static bool read_letter(const struct dx_letter *l, struct dx_journal_way *w)
{
    struct dx_slice tag = dx_slice_str(l->text), path;
    uint64_t form = l->number & FORM_MASK;
    size_t blank = dx_slice_find(tag, ' ');

    if (l->fd < 0 || l->worker >= DX_LETTER_LOGS || form > DX_JOURNAL_NATIVE || blank == tag.n)
        return false;
    path = dx_slice_of(tag.p + blank + 1, tag.n - blank - 1);
    tag.n = blank;
    *w = (struct dx_journal_way){.fd = l->fd,
                                 .owned = true,
                                 .events = l->worker == DX_LETTER_LOG_OWN,
                                 .form = (enum dx_journal_form)form,
                                 .facility = (unsigned)(l->number >> DX_LETTER_FACILITY_SHIFT)};
    if (tag.n >= sizeof w->tag || path.n >= sizeof w->path)
        return false;
    memcpy(w->tag, tag.p, tag.n);
    memcpy(w->path, path.p, path.n);
    return true;
}

void logs_on_letter(struct logs *l, struct dx_letter *letter)
{
    struct dx_journal_way w;

    if (!read_letter(letter, &w)) {
        dx_log(DX_LOG_ERROR, "log_refused", DX_KI("log", letter->worker));
        return; /* whoever opened the letter closes what is in it */
    }
    letter->fd = -1;
    struct dx_journal *j = letter->worker == DX_LETTER_LOG_OWN ? events : l->access;
    if (j != NULL) {
        dx_journal_turn(j, &w);
        return;
    }
    if (l->ways[letter->worker].owned)
        dx_fd_close(&l->ways[letter->worker].fd);
    l->ways[letter->worker] = w;
}

static void close_way(struct dx_journal_way *w)
{
    if (w->owned)
        dx_fd_close(&w->fd);
    w->owned = false;
}

void logs_end_access(struct logs *l)
{
    dx_journal_free(&l->access);
    close_way(&l->ways[DX_LETTER_LOG_ACCESS]);
}

void logs_end(struct logs *l)
{
    dx_log_set_sink(NULL);
    dx_journal_free(&events);
    close_way(&l->ways[DX_LETTER_LOG_OWN]);
}
