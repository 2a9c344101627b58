/* SPDX-License-Identifier: MIT */
/*
 * Letters to and from data. Control never waits for data: letters that the pipe does not take at once wait in
 * a queue, with descriptors of their own, and are tried again a moment later, in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "diplex/os/fd.h"
#include "supervise/control.h"

#define RETRY_MS    5
#define QUEUE_FIRST 16

static struct control *control_of(struct letters *l) { return DX_CONTAINER(l, struct control, letters); }

/* The pipe is full, or more descriptors are on their way than one user may have. Any other failure means that
 * data is ending: SIGCHLD tells the rest. */
static bool send_failed_for_now(const struct letters *l, const struct dx_letter *letter)
{
    return !dx_ipc_send(l->end, letter) &&
           (errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM);
}

/* The first n letters are done with. */
static void drop(struct letters *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dx_fd_close(&l->queue[i].fd);
    l->queue_n -= n;
    if (l->queue_n)
        memmove(l->queue, l->queue + n, l->queue_n * sizeof *l->queue);
}

static void on_flush(struct dx_timer *t)
{
    struct letters *l = DX_CONTAINER(t, struct letters, flush);
    size_t sent = 0;
    while (sent < l->queue_n && !send_failed_for_now(l, &l->queue[sent]))
        sent++;
    drop(l, sent);
    if (l->queue_n)
        dx_timer_set(control_of(l)->loop, t, RETRY_MS);
}

static void on_readable(struct dx_watch *w, unsigned what)
{
    (void)what;
    letters_receive(control_of(DX_CONTAINER(w, struct letters, watch)));
}

void letters_open(struct control *c, int end)
{
    struct letters *l = &c->letters;
    l->end = end;
    l->flush.on_due = on_flush;
    l->watch.on_event = on_readable;
    if (!dx_watch_start_level(c->loop, &l->watch, end))
        dx_log(DX_LOG_ERROR, "letters_failed", DX_KS("error", strerror(errno)));
}

int letters_detach(struct control *c)
{
    struct letters *l = &c->letters;
    int end = l->end;
    if (end < 0)
        return -1;
    dx_watch_stop(&l->watch);
    dx_timer_clear(&l->flush);
    drop(l, l->queue_n);
    free(l->queue);
    l->queue = NULL;
    l->queue_cap = 0;
    l->end = -1;
    return end;
}

void letters_close(struct control *c)
{
    int end = letters_detach(c);
    dx_fd_close(&end);
}

void letters_receive(struct control *c)
{
    struct dx_letter letter;
    enum dx_ipc got = DX_IPC_NOTHING;
    while (c->letters.end >= 0 && (got = dx_ipc_receive(c->letters.end, &letter)) == DX_IPC_LETTER) {
        dx_fd_close(&letter.fd); /* data sends none */
        switch (letter.type) {
        case DX_LETTER_SANDBOX:
            control_on_sandbox(c, letter.text);
            break;
        case DX_LETTER_FORBIDDEN:
            c->forbidden = (int)letter.number;
            break;
        case DX_LETTER_READY:
            control_on_ready(c, letter.number, letter.text);
            break;
        case DX_LETTER_REFUSED:
            control_on_refused(c, letter.number, letter.text);
            break;
        case DX_LETTER_STOPPED:
            dx_log(DX_LOG_INFO, "drained", DX_KI("cut_off", letter.number));
            break;
        case DX_LETTER_RETIRED:
            seats_on_retired(c, letter.worker);
            break;
        case DX_LETTER_BOARD:
        case DX_LETTER_NEWS:
        case DX_LETTER_LISTEN:
        case DX_LETTER_PAGES:
        case DX_LETTER_CONFIG:
        case DX_LETTER_DRAINS:
        case DX_LETTER_PING:
        case DX_LETTER_CENSUS:
        case DX_LETTER_LOOK:
        case DX_LETTER_LEVEL:
        case DX_LETTER_LOG:
        case DX_LETTER_STOP:
        case DX_LETTER_WORKERS:
        case DX_LETTER_LEAVE:
        case DX_LETTER_DROP:
        case DX_LETTER_DEAF:
        case DX_LETTER_TYPES:
            dx_log(DX_LOG_ERROR, "letter_unexpected", DX_KI("type", letter.type));
            break;
        }
    }
    if (got == DX_IPC_CLOSED || got == DX_IPC_ERROR)
        dx_watch_stop(&c->letters.watch); /* SIGCHLD follows; until then it would be readable for ever */
}

static bool enqueue(struct control *c, const struct dx_letter *letter)
{
    struct letters *l = &c->letters;
    if (l->queue_n == l->queue_cap) {
        size_t cap = l->queue_cap ? 2 * l->queue_cap : QUEUE_FIRST;
        struct dx_letter *queue = realloc(l->queue, cap * sizeof *queue);
        if (!queue)
            return false;
        l->queue = queue;
        l->queue_cap = cap;
    }
    int fd = letter->fd < 0 ? -1 : fcntl(letter->fd, F_DUPFD_CLOEXEC, 0);
    if (letter->fd >= 0 && fd < 0)
        return false;
    l->queue[l->queue_n] = *letter;
    l->queue[l->queue_n++].fd = fd;
    dx_timer_set(c->loop, &l->flush, RETRY_MS);
    return true;
}

void letters_send(struct control *c, const struct dx_letter *letter)
{
    if (c->letters.end < 0)
        return;
    bool waiting = c->letters.queue_n > 0;
    if (!waiting && !send_failed_for_now(&c->letters, letter))
        return;
    if (!enqueue(c, letter)) {
        /* Data without a letter would serve something else than control believes: it starts again with all of
         * them. */
        dx_log(DX_LOG_ERROR, "letter_lost", DX_KI("type", letter->type));
        child_kill(c);
    }
}

static void send_crew(struct control *c)
{
    struct dx_letter letter = {.type = DX_LETTER_WORKERS, .fd = -1};
    struct dx_out out = dx_out_of(letter.text, sizeof letter.text - 1);
    for (unsigned i = 0; i < c->crew.next_n; i++) {
        if (i)
            dx_out_byte(&out, ',');
        dx_out_u64(&out, c->crew.next[i]);
    }
    DX_ASSERT(!out.overflow);
    letters_send(c, &letter);
}

/* The pages that the plan names; most name none. */
static bool send_pages(struct control *c, const struct plan *p)
{
    struct dx_letter letter = {.type = DX_LETTER_PAGES, .fd = -1};
    struct dx_text pages;

    if (p->config->page_files_n == 0)
        return true;
    dx_text_init(&pages);
    dx_config_pages_write(p->config, &pages);
    if (!pages.failed)
        letter.fd = dx_fd_memory_file("diplex-pages", dx_slice_of(pages.p, pages.n));
    dx_text_fini(&pages);
    if (letter.fd < 0)
        return false;
    letters_send(c, &letter);
    dx_fd_close(&letter.fd);
    return true;
}

bool letters_send_plan(struct control *c, const struct plan *p, bool with_shared)
{
    struct dx_letter letter;
    for (size_t i = 0; i < p->listeners_n; i++) {
        const struct listener *l = p->listeners[i];
        for (unsigned k = with_shared ? 0 : l->settled_n; k < l->fds_n; k++) {
            letter = (struct dx_letter){.type = DX_LETTER_LISTEN, .number = l->given, .fd = l->fds[k]};
            letter.worker = dx_address_is_unix(&l->address) || l->given ? DX_LETTER_ANY : k;
            snprintf(letter.text, sizeof letter.text, "%s", l->text);
            letters_send(c, &letter);
        }
    }
    send_crew(c);
    if (!send_pages(c, p))
        return false;
    letter = (struct dx_letter){.type = DX_LETTER_CONFIG, .number = p->generation, .fd = -1};
    letter.fd = dx_fd_memory_file("diplex-config", dx_slice_of(p->source.text, p->source.n));
    if (letter.fd < 0)
        return false;
    snprintf(letter.text, sizeof letter.text, "%s", p->source.name);
    letters_send(c, &letter);
    dx_fd_close(&letter.fd);
    return true;
}
