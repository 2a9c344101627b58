/* SPDX-License-Identifier: MIT */
/*
 * What a control process leaves to the program that takes its place by exec: one file in memory with a line
 * for each thing, a word first, and the descriptors that the lines name, which stay open. Old words stay,
 * with their meaning; new ones may be added, and are not known to older programs. At the end stands the
 * configuration in force.
 *
 *     diplex-handover 1
 *     listen 1 12,13 :8080
 *     data 4711 0 9 123456 0,1
 *     ...
 *     text 312 diplex.yaml
 *     pools: ...
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "supervise/control.h"

#define VERSION      1u
#define VARIABLE     "DIPLEX_HANDOVER"
#define BYTES_MAX    ((size_t)80 << 20)
#define NUMBER_BYTES 24
#define FIRST_WORD   "diplex-handover"

/* ---- writing ---- */

struct writing {
    struct control *control;
    struct dx_text text;
    bool open; /* descriptors that are named stay open over exec, else they do not */
};

static int name_fd(struct writing *w, int fd)
{
    if (fd >= 0 && !dx_fd_set_cloexec(fd, !w->open))
        w->text.failed = true;
    return fd;
}

static void write_fds(struct writing *w, const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        dx_text_addf(&w->text, "%s%d", i ? "," : "", name_fd(w, fds[i]));
}

static void write_process(struct writing *w, const char *word, const struct process *p, uint64_t left_ms)
{
    dx_text_addf(&w->text, "%s %d %u %d %llu %llu ", word, (int)p->pid, p->crew.seat, name_fd(w, p->end),
                 (unsigned long long)p->started_us, (unsigned long long)left_ms);
    for (unsigned i = 0; i < p->crew.n; i++)
        dx_text_addf(&w->text, "%s%u", i ? "," : "", p->crew.parts[i]);
    dx_text_adds(&w->text, "\n");
}

static void write_processes(struct writing *w)
{
    const struct control *c = w->control;
    struct process p = {
        .pid = c->data, .end = c->letters.end, .crew = c->crew, .started_us = c->data_started_us};
    struct leaver *at = NULL;
    uint64_t left_ms;
    write_process(w, "data", &p, 0);
    while (leavers_each(c, &at, &p, &left_ms)) {
        write_process(w, "leaver", &p, left_ms);
        dx_text_addf(&w->text, "left %d %llu\n", (int)p.pid, (unsigned long long)p.left_us);
    }
}

static void write_sockets(struct writing *w)
{
    const struct control *c = w->control;
    for (size_t i = 0; i < c->now->listeners_n; i++) {
        const struct listener *l = c->now->listeners[i];
        if (l->given)
            continue;
        dx_text_addf(&w->text, "listen %d ", l->owns_file);
        write_fds(w, l->fds, l->fds_n);
        dx_text_addf(&w->text, " %s\n", l->text);
    }
    for (size_t i = 0; i < c->given.n; i++)
        dx_text_addf(&w->text, "given %d %s\n", name_fd(w, c->given.at[i].fd), c->given.at[i].name);
    for (unsigned i = 0; i < DOORS; i++)
        if (c->doors[i].text)
            dx_text_addf(&w->text, "door %u %d %s\n", i, name_fd(w, c->doors[i].fd), c->doors[i].text);
}

static void write_number(struct writing *w, const char *word, uint64_t n)
{
    dx_text_addf(&w->text, "%s %llu\n", word, (unsigned long long)n);
}

static void write_counters(struct writing *w)
{
    const struct dx_board *b = w->control->board;
    for (unsigned i = 0; i < DX_COUNTER_COUNT; i++)
        dx_text_addf(&w->text, "counter %llu %s\n",
                     (unsigned long long)dx_board_counter_sum(b, (enum dx_counter)i),
                     dx_counter_name((enum dx_counter)i));
}

static void write_order(void *arg, const char *name, const struct dx_address *address, bool drained)
{
    struct writing *w = arg;
    char text[DX_ADDRESS_TEXT] = "-";
    if (address)
        (void)dx_address_text(address, text, sizeof text);
    dx_text_addf(&w->text, "\t%d %s %s", drained, text, name);
}

/* What was said by hand: a line for each pool, an order after each tab. */
static void write_pools(struct writing *w)
{
    const struct control *c = w->control;
    for (unsigned i = 0; i < c->now->config->pools_n; i++) {
        const struct watched *pool = &c->now->pools[i];
        dx_text_addf(&w->text, "pool %u %s", (unsigned)dx_board_pool_hold(c->board, pool->board),
                     pool->pool.name);
        dx_health_orders(c->health, pool->board, write_order, w);
        dx_text_adds(&w->text, "\n");
    }
}

/* The board knows the names only by what they are hashed to. */
static void write_maintained(struct writing *w)
{
    for (size_t i = 0; i < w->control->maintained_n; i++)
        dx_text_addf(&w->text, "maintained %s\n", w->control->maintained[i]);
}

static void write_all(struct writing *w, int own)
{
    const struct control *c = w->control;
    dx_text_addf(&w->text, FIRST_WORD " %u\nversion %s\nsandbox %s\n", VERSION, DIPLEX_VERSION,
                 c->sandbox_text);
    write_number(w, "layout", dx_board_layout());
    write_number(w, "guarded", c->sandbox != DX_SANDBOX_OFF);
    write_number(w, "started_us", c->started_us);
    write_number(w, "generations", c->generations);
    write_number(w, "generation", c->now->generation);
    write_number(w, "reloads", c->reloads);
    write_number(w, "upgrades", c->upgrade.done);
    write_number(w, "reload_queued", c->reload_queued);
    write_number(w, "data_deaths", c->deaths);
    write_number(w, "data_starts", dx_board_data_starts(c->board));
    dx_text_addf(&w->text, "board %d %d\n", name_fd(w, dx_board_fd(c->board)), name_fd(w, own));
    dx_text_addf(&w->text, "news %d\n", name_fd(w, c->news));
    write_processes(w);
    write_sockets(w);
    write_counters(w);
    write_pools(w);
    write_maintained(w);
    for (unsigned i = 0; i < c->upgrade.asked_n; i++)
        dx_text_addf(&w->text, "asked %d\n", name_fd(w, dx_admin_reply_fd(c->upgrade.asked[i])));
    dx_text_addf(&w->text, "text %zu %s\n", c->now->source.n, c->now->source.name);
    dx_text_add(&w->text, dx_slice_of(c->now->source.text, c->now->source.n));
}

int handover_write(struct control *c, bool open, struct dx_err *err)
{
    struct writing w = {.control = c, .open = open};
    int own = dx_board_save(c->board), fd = -1;
    dx_text_init(&w.text);
    if (own >= 0)
        write_all(&w, own);
    if (own >= 0 && !w.text.failed)
        fd = dx_fd_memory_file("diplex-handover", dx_slice_of(w.text.p, w.text.n));
    dx_text_fini(&w.text);
    if (fd < 0)
        dx_err_sys(err, "cannot write down what is to be handed over");
    if (fd < 0 || !open)
        dx_fd_close(&own);
    if (fd >= 0 && open) {
        char number[NUMBER_BYTES];
        snprintf(number, sizeof number, "%d", fd);
        if (!dx_fd_set_cloexec(fd, false) || setenv(VARIABLE, number, 1) != 0)
            dx_fd_close(&fd);
    }
    return fd;
}

void handover_take_back(struct control *c)
{
    struct dx_err err;
    unsetenv(VARIABLE);
    int fd = handover_write(c, false, &err); /* names all descriptors once more */
    dx_fd_close(&fd);
}

/* ---- reading ---- */

bool heritage_next(const struct heritage *h, const char *word, struct dx_slice *rest, struct dx_slice *out)
{
    size_t n = strlen(word);
    if (!rest->p)
        *rest = dx_slice_of(h->bytes, h->lines_n);
    while (rest->n) {
        size_t end = dx_slice_find(*rest, '\n');
        struct dx_slice line = dx_slice_of(rest->p, end);
        *rest = dx_slice_of(rest->p + end + 1, rest->n - end - 1);
        if (line.n <= n || memcmp(line.p, word, n) != 0 || line.p[n] != ' ')
            continue;
        *out = dx_slice_of(line.p + n + 1, line.n - n - 1);
        return true;
    }
    return false;
}

/* The number before the next blank or comma, which is taken too. */
uint64_t heritage_number(struct dx_slice *line)
{
    uint64_t value = 0;
    while (line->n && *line->p >= '0' && *line->p <= '9') {
        value = value * 10 + (uint64_t)(*line->p - '0');
        *line = dx_slice_of(line->p + 1, line->n - 1);
    }
    if (line->n)
        *line = dx_slice_of(line->p + 1, line->n - 1);
    return value;
}

int heritage_fd(struct dx_slice *line)
{
    bool none = line->n && *line->p == '-';
    if (none)
        *line = dx_slice_of(line->p + 1, line->n - 1);
    int fd = (int)heritage_number(line);
    return !none && dx_fd_set_cloexec(fd, true) ? fd : -1;
}

uint64_t heritage_value(const struct heritage *h, const char *word)
{
    struct dx_slice rest = {NULL, 0}, line;
    return heritage_next(h, word, &rest, &line) ? heritage_number(&line) : 0;
}

bool heritage_process(struct dx_slice line, struct process *out, uint64_t *left_ms)
{
    *out = (struct process){.pid = (pid_t)heritage_number(&line)};
    out->crew.seat = (uint32_t)heritage_number(&line);
    out->end = heritage_fd(&line);
    out->started_us = heritage_number(&line);
    *left_ms = heritage_number(&line);
    while (line.n && out->crew.n < DX_BOARD_WORKERS)
        out->crew.parts[out->crew.n++] = (uint32_t)heritage_number(&line);
    memcpy(out->crew.next, out->crew.parts, sizeof out->crew.next);
    out->crew.next_n = out->crew.n;
    return out->pid > 0 && out->end >= 0;
}

/* The configuration's text, as a source of its own. */
static bool find_text(struct heritage *h, struct dx_err *err)
{
    struct dx_slice rest = {NULL, 0}, line = {NULL, 0};
    static const char mark[] = "\ntext ";
    char *at = h->n ? strstr(h->bytes, mark) : NULL;
    if (!at)
        return dx_err_set(err, "nothing that this program understands is handed over");
    h->lines_n = (size_t)(strchr(at + 1, '\n') + 1 - h->bytes);
    if (!heritage_next(h, "text", &rest, &line))
        return dx_err_set(err, "no configuration is handed over");
    size_t n = heritage_number(&line);
    if (h->lines_n + n > h->n)
        return dx_err_set(err, "half a configuration is handed over");
    h->source.text = dx_slice_dup(dx_slice_of(h->bytes + h->lines_n, n));
    h->source.n = n;
    h->source.name = dx_slice_dup(line);
    return (h->source.text && h->source.name) || dx_err_set(err, "out of memory");
}

bool heritage_read(struct heritage *h, int fd, struct dx_err *err)
{
    if (!dx_fd_read_all(fd, BYTES_MAX, &h->bytes, &h->n))
        return dx_err_sys(err, "cannot read what is handed over");
    h->lines_n = h->n;
    if (heritage_value(h, FIRST_WORD) != VERSION)
        return dx_err_set(err,
                          "what is handed over is of another version: this program can only be started anew");
    return find_text(h, err);
}

bool heritage_take(struct heritage *h, struct dx_err *err)
{
    const char *number = getenv(VARIABLE);
    struct dx_slice text = dx_slice_str(number ? number : "");
    if (!number)
        return true;
    int fd = heritage_fd(&text);
    unsetenv(VARIABLE);
    bool ok = heritage_read(h, fd, err);
    dx_fd_close(&fd);
    return ok;
}

void heritage_fini(struct heritage *h)
{
    free(h->bytes);
    dx_control_source_fini(&h->source);
    *h = (struct heritage){.bytes = NULL};
}
