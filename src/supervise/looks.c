/* SPDX-License-Identifier: MIT */
/*
 * Asking data what runs: a letter, then a look at the census now and then until all workers have told, or
 * their time is over. Control goes on meanwhile; all who ask for /status until then share the answer.
 */
#include <stdlib.h>

#include "diplex/os/clock.h"
#include "supervise/control.h"

#define TIME_MS       200 /* for the workers */
#define FIRST_WAIT_MS 1
#define WAIT_MOST_MS  16

static struct control *control_of(struct looks *l) { return DX_CONTAINER(l, struct control, looks); }

static void answer(struct looks *l, const struct dx_census_list *list)
{
    size_t n = l->waiting_n;
    l->waiting_n = 0;
    for (size_t i = 0; i < n; i++)
        dx_admin_status_send(l->waiting[i], list);
}

/* What has come by now. */
static void finish(struct looks *l)
{
    struct dx_census_list list = {.n = 0};
    uint64_t missing = dx_census_missing(l->census, l->serial);
    bool ok = missing != UINT64_MAX;
    unsigned parts = ok ? dx_census_parts(l->census) : 0;
    for (unsigned i = 0; ok && i < parts; i++)
        ok = dx_census_read(l->census, i, l->serial, i, &list);
    dx_census_list_sort(&list);
    if (list.broken)
        dx_log(DX_LOG_WARN, "census_broken", DX_KI("pid", control_of(l)->data),
               DX_KI("workers", list.broken));
    answer(l, ok ? &list : NULL);
    dx_census_list_fini(&list);
}

static void on_poll(struct dx_timer *t)
{
    struct looks *l = DX_CONTAINER(t, struct looks, poll);
    struct control *c = control_of(l);
    if (dx_census_missing(l->census, l->serial) == 0 || dx_clock_us() - l->asked_us >= TIME_MS * 1000) {
        finish(l);
        return;
    }
    l->wait_ms = l->wait_ms < WAIT_MOST_MS ? 2 * l->wait_ms : l->wait_ms;
    dx_timer_set(c->loop, t, l->wait_ms);
}

bool look_open(struct control *c, struct dx_err *err)
{
    c->looks.poll.on_due = on_poll;
    c->looks.census = dx_census_new(err);
    return c->looks.census != NULL;
}

void look_end(struct control *c)
{
    if (c->loop)
        dx_timer_clear(&c->looks.poll);
    answer(&c->looks, NULL);
    dx_census_free(&c->looks.census);
}

void look_ask(struct control *c, struct dx_admin_reply *reply)
{
    struct looks *l = &c->looks;
    if (!l->census || c->letters.end < 0 || !c->data_ready || l->waiting_n == LOOKERS) {
        dx_admin_status_send(reply, NULL);
        return;
    }
    l->waiting[l->waiting_n++] = reply;
    if (l->waiting_n > 1)
        return;
    l->serial++;
    l->asked_us = dx_clock_us();
    l->wait_ms = FIRST_WAIT_MS;
    letters_send(c, &(struct dx_letter){.type = DX_LETTER_LOOK, .number = l->serial, .fd = -1});
    dx_timer_set(c->loop, &l->poll, l->wait_ms);
}
