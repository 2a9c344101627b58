/* SPDX-License-Identifier: MIT */
/*
 * `diplex top`: the running diplex, looked at each second. Rates are the differences of two looks. When
 * nothing answers, because it is being started again, that is said above the last picture, and the next look
 * may find it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/screen.h"
#include "cli/status.h"
#include "diplex/os/clock.h"

#define EVERY_MS       1000
#define ASK_TIMEOUT_MS 2000
#define ROUTES_MOST    5u
#define PAGE           10

struct look { /* one answer, and when it came; root NULL: none */
    struct dx_arena arena;
    char *body;
    const struct json *root;
    uint64_t at_us;
};

enum sort { SORT_AGE, SORT_WHERE, SORT_CLIENT, SORT_PATH, SORTS };

struct top {
    const struct cli_options *options;
    struct look now, before;
    struct dx_text failed; /* why there is no newer answer */
    enum sort sort;
    bool paused;
    int scroll;
};

/* ---- looking ---- */

static void look_drop(struct look *l)
{
    dx_arena_reset(&l->arena);
    free(l->body);
    *l = (struct look){.root = NULL};
    dx_arena_init(&l->arena, NULL, 0);
}

static bool look(struct top *t)
{
    struct dx_fetch_answer answer = {0};
    struct look l = {.root = NULL};
    dx_text_reset(&t->failed);
    if (!cli_try(t->options, "GET", "/status?config=no", ASK_TIMEOUT_MS, &answer, &t->failed))
        return false;
    dx_arena_init(&l.arena, NULL, 0);
    l.body = answer.body;
    l.at_us = dx_clock_us();
    if (answer.status == 200)
        l.root = json_read(&l.arena, dx_slice_of(answer.body, answer.body_n));
    if (!l.root) {
        look_drop(&l);
        dx_text_addf(&t->failed, "diplex: the answer is no status (%u)", answer.status);
        return false;
    }
    look_drop(&t->before);
    t->before = t->now;
    t->now = l;
    return true;
}

/* ---- rates ---- */

static double seconds(const struct top *t)
{
    return t->before.root ? (double)(t->now.at_us - t->before.at_us) / 1e6 : 0;
}

/* A second; below 0: nobody knows, because there is nothing to compare with, or it began anew. */
static double rate(const struct top *t, double now, double before)
{
    double s = seconds(t);
    return s <= 0 || now < before ? -1 : (now - before) / s;
}

static const struct json *same_route(const struct json *root, const struct json *route)
{
    for (const struct json *r = json_first(root, "routes"); r; r = r->next)
        if (dx_slice_eq(json_text(r, "prefix"), json_text(route, "prefix")) &&
            dx_slice_eq(json_text(r, "host"), json_text(route, "host")) &&
            dx_slice_eq(json_text(r, "pool"), json_text(route, "pool")))
            return r;
    return NULL;
}

/* What was done between the two looks, by one route, or by all of a pool, or by all. */
struct done {
    double requests, errors, timed, ms;
};

static void add_route(struct done *d, const struct json *route, double sign)
{
    const struct json *total = json_at(route, "total");
    d->requests += sign * json_number(route, "requests");
    d->errors += sign * json_number(route, "answers_5xx");
    d->timed += sign * json_number(total, "count");
    d->ms += sign * json_number(total, "sum_ms");
}

static struct done done_by(const struct top *t, const struct json *only, const struct dx_slice *pool)
{
    struct done d = {0};
    for (const struct json *r = json_first(t->now.root, "routes"); r; r = r->next) {
        if ((only && r != only) || (pool && !dx_slice_eq(json_text(r, "pool"), *pool)))
            continue;
        add_route(&d, r, 1);
        add_route(&d, same_route(t->before.root, r), -1);
    }
    return d;
}

static void put_rate(struct paint *p, enum paint_style style, unsigned width, double r)
{
    char buf[PAINT_SMALL];
    paint_right(p, style, width, r < 0 ? DX_SLICE("-") : paint_count(r, buf));
}

static void put_mean(struct paint *p, unsigned width, const struct done *d, double s)
{
    char buf[PAINT_SMALL];
    paint_right(p, PAINT_PLAIN, width,
                s > 0 && d->timed > 0 ? paint_time(d->ms / d->timed, buf) : DX_SLICE("-"));
}

/* ---- painting ---- */

static void paint_totals(struct paint *p, const struct top *t)
{
    const struct json *now = json_at(t->now.root, "counters"), *before = json_at(t->before.root, "counters");
    struct done d = done_by(t, NULL, NULL);
    double s = seconds(t), waiting = 0;
    for (const struct json *pool = json_first(t->now.root, "pools"); pool; pool = pool->next)
        waiting += json_number(pool, "queued") + json_number(pool, "held");
    paint_str(p, PAINT_FAINT, "requests/s ");
    put_rate(p, PAINT_STRONG, 7,
             rate(t, json_number(now, "requests_total"), json_number(before, "requests_total")));
    paint_str(p, PAINT_FAINT, " mean ");
    put_mean(p, 7, &d, s);
    paint_str(p, PAINT_FAINT, " 5xx/s ");
    put_rate(p, d.errors > 0 ? PAINT_BAD : PAINT_PLAIN, 5, s > 0 && d.errors >= 0 ? d.errors / s : -1);
    paint_f(p, PAINT_PLAIN, " %.0f running", json_number(now, "requests_running"));
    paint_f(p, waiting > 0 ? PAINT_WARN : PAINT_PLAIN, "  %.0f waiting", waiting);
    paint_f(p, PAINT_PLAIN, "  %zu streams  %.0f clients",
            json_count(t->now.root, "streams") + (size_t)json_number(t->now.root, "streams_left_out"),
            json_number(now, "client_connections"));
    paint_end(p);
}

static void paint_pools(struct paint *p, const struct top *t)
{
    double s = seconds(t);
    paint_cell(p, PAINT_FAINT, 16, DX_SLICE("POOL"));
    paint_cell(p, PAINT_FAINT, 5, DX_SLICE("UP"));
    paint_right(p, PAINT_FAINT, 7, DX_SLICE("REQ/S"));
    paint_right(p, PAINT_FAINT, 7, DX_SLICE("MEAN"));
    paint_right(p, PAINT_FAINT, 6, DX_SLICE("5XX/S"));
    paint_right(p, PAINT_FAINT, 6, DX_SLICE("QUEUE"));
    paint_right(p, PAINT_FAINT, 6, DX_SLICE("HELD"));
    paint_str(p, PAINT_FAINT, "SLOTS");
    paint_end(p);
    for (const struct json *pool = json_first(t->now.root, "pools"); pool; pool = pool->next) {
        struct dx_slice name = json_text(pool, "name");
        struct done d = done_by(t, NULL, &name);
        double up = 0, all = 0, slots = 0, active = 0;
        char buf[PAINT_SMALL * 2];
        for (const struct json *one = json_first(pool, "servers"); one; one = one->next, all++) {
            up += dx_slice_eq(json_text(one, "state"), DX_SLICE("up"));
            slots += json_number(one, "slots");
            active += json_number(one, "active");
        }
        (void)snprintf(buf, sizeof buf, "%.0f/%.0f", up, all);
        paint_cell(p, PAINT_STRONG, 16, name);
        paint_cell(p, up < all || all <= 0 ? PAINT_BAD : PAINT_GOOD, 5, dx_slice_str(buf));
        put_rate(p, PAINT_PLAIN, 7, s > 0 && d.requests >= 0 ? d.requests / s : -1);
        put_mean(p, 7, &d, s);
        put_rate(p, d.errors > 0 ? PAINT_BAD : PAINT_PLAIN, 6, s > 0 && d.errors >= 0 ? d.errors / s : -1);
        put_rate(p, json_number(pool, "queued") > 0 ? PAINT_WARN : PAINT_PLAIN, 6,
                 json_number(pool, "queued"));
        put_rate(p, json_number(pool, "held") > 0 ? PAINT_BAD : PAINT_PLAIN, 6, json_number(pool, "held"));
        if (slots > 0)
            paint_bar(p, 24, active, slots);
        paint_f(p, PAINT_PLAIN, slots > 0 ? "%.0f/%.0f busy" : "%.0f busy", active, slots);
        if (json_text(pool, "hold").n)
            paint_str(p, PAINT_WARN, "  held by an operator");
        paint_end(p);
    }
}

static unsigned paint_routes(struct paint *p, const struct top *t)
{
    unsigned n = 0;
    double s = seconds(t);
    char buf[PAINT_SMALL];
    paint_cell(p, PAINT_FAINT, 30, DX_SLICE("ROUTE"));
    paint_right(p, PAINT_FAINT, 7, DX_SLICE("REQ/S"));
    paint_right(p, PAINT_FAINT, 7, DX_SLICE("MEAN"));
    paint_right(p, PAINT_FAINT, 7, DX_SLICE("P50"));
    paint_right(p, PAINT_FAINT, 7, DX_SLICE("P99"));
    paint_str(p, PAINT_FAINT, " (since it was started)");
    paint_end(p);
    for (const struct json *r = json_first(t->now.root, "routes"); r && n < ROUTES_MOST; r = r->next, n++) {
        struct done d = done_by(t, r, NULL);
        const struct json *total = json_at(r, "total");
        bool timed = json_number(total, "count") > 0;
        char name[PAINT_SMALL * 4];
        struct dx_slice prefix = json_text(r, "prefix");
        (void)snprintf(name, sizeof name, "%.*s%.*s", DX_SLICE_ARGS(json_text(r, "host")),
                       DX_SLICE_ARGS(prefix.n ? prefix : DX_SLICE("(no route)")));
        paint_cell(p, PAINT_PLAIN, 30, dx_slice_str(name));
        put_rate(p, PAINT_PLAIN, 7, s > 0 && d.requests >= 0 ? d.requests / s : -1);
        put_mean(p, 7, &d, s);
        paint_right(p, PAINT_PLAIN, 7, timed ? paint_time(json_number(total, "p50_ms"), buf) : DX_SLICE("-"));
        paint_right(p, PAINT_PLAIN, 7, timed ? paint_time(json_number(total, "p99_ms"), buf) : DX_SLICE("-"));
        paint_end(p);
    }
    return n;
}

/* ---- the list of requests ---- */

static int compare_slices(struct dx_slice a, struct dx_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_where(const void *left, const void *right)
{
    char a[256], b[256];
    return compare_slices(status_where(left, a, sizeof a), status_where(right, b, sizeof b));
}

static int by_client(const void *left, const void *right)
{
    const struct status_request *a = left, *b = right;
    return compare_slices(json_text(a->of, "client"), json_text(b->of, "client"));
}

static int by_path(const void *left, const void *right)
{
    const struct status_request *a = left, *b = right;
    return compare_slices(json_text(a->of, "path"), json_text(b->of, "path"));
}

static void paint_requests(struct paint *p, struct top *t, unsigned rows)
{
    static int (*const orders[SORTS])(const void *, const void *) = {
        [SORT_WHERE] = by_where, [SORT_CLIENT] = by_client, [SORT_PATH] = by_path};
    size_t n = 0;
    struct status_request *all = status_requests(t->now.root, true, &t->now.arena, &n);
    if (orders[t->sort] && n)
        qsort(all, n, sizeof *all, orders[t->sort]);
    int last = (int)n - (int)rows;
    t->scroll = t->scroll > last ? last : t->scroll;
    t->scroll = t->scroll < 0 ? 0 : t->scroll;
    status_requests_title(p);
    for (size_t i = (size_t)t->scroll; i < n && i < (size_t)t->scroll + rows; i++)
        status_request_line(p, &all[i]);
}

/* ---- a frame ---- */

static void paint_title(struct paint *p, const struct top *t)
{
    static const char *const sorts[SORTS] = {"age", "where", "client", "path"};
    char up[PAINT_SMALL];
    paint_f(p, PAINT_TITLE, " diplex %.*s ", DX_SLICE_ARGS(json_text(t->now.root, "version")));
    paint_str(p, PAINT_PLAIN, " ");
    paint_text(p, json_flag(t->now.root, "ready") ? PAINT_GOOD : PAINT_BAD, json_text(t->now.root, "state"));
    paint_str(p, PAINT_PLAIN, "  up ");
    paint_text(p, PAINT_PLAIN, paint_time(json_number(t->now.root, "uptime_ms"), up));
    paint_f(p, PAINT_FAINT, "  sorted by %s%s", sorts[t->sort], t->paused ? "" : "  (q p s j k)");
    if (t->paused)
        paint_str(p, PAINT_WARN, "  PAUSED");
    const struct json *reload = json_at(t->now.root, "last_reload");
    if (reload && reload->kind == JSON_MAP && !json_flag(reload, "ok"))
        paint_str(p, PAINT_BAD, "  the last reload failed");
    paint_end(p);
    if (t->failed.n) {
        paint_text(p, PAINT_BAD, dx_slice_of(t->failed.p, strcspn(t->failed.p, "\n")));
        paint_end(p);
    }
}

static unsigned lines_of(const struct dx_text *text)
{
    unsigned n = 0;
    for (size_t i = 0; i < text->n; i++)
        n += text->p[i] == '\n';
    return n;
}

static void paint_all(struct top *t, struct paint *p, unsigned rows)
{
    paint_title(p, t);
    if (!t->now.root)
        return;
    paint_totals(p, t);
    paint_end(p);
    paint_pools(p, t);
    paint_end(p);
    if (rows == 0 || lines_of(p->out) + ROUTES_MOST + 6 < rows) {
        (void)paint_routes(p, t);
        paint_end(p);
    }
    unsigned used = lines_of(p->out) + 1;
    paint_requests(p, t, rows == 0 ? UINT32_MAX / 4 : rows > used + 1 ? rows - used - 1 : 1);
}

/* From the upper left corner on, each line's rest wiped: nothing flickers. */
static void show(struct top *t)
{
    struct dx_text frame;
    dx_text_init(&frame);
    struct paint p = paint_for_stdout(&frame);
    p.line_end = "\033[K\n";
    dx_text_adds(&frame, "\033[H");
    paint_all(t, &p, paint_rows());
    dx_text_adds(&frame, "\033[J");
    if (!frame.failed)
        screen_paint(&frame);
    dx_text_fini(&frame);
}

/* ---- keys ---- */

/* False: the end. */
static bool on_key(struct top *t, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case 'p':
    case ' ':
        t->paused = !t->paused;
        break;
    case 's':
        t->sort = (enum sort)((t->sort + 1) % SORTS);
        break;
    case 'j':
    case SCREEN_DOWN:
        t->scroll++;
        break;
    case 'k':
    case SCREEN_UP:
        t->scroll--;
        break;
    case SCREEN_PAGE_DOWN:
        t->scroll += PAGE;
        break;
    case SCREEN_PAGE_UP:
        t->scroll -= PAGE;
        break;
    default:
        break;
    }
    return true;
}

static void watch(struct top *t)
{
    uint64_t next_us = dx_clock_us() + EVERY_MS * 1000;
    int key = 0;
    for (bool on = true; on;) {
        show(t);
        uint64_t now_us = dx_clock_us();
        enum screen_event e = screen_wait(next_us > now_us ? (next_us - now_us) / 1000 + 1 : 0, &key);
        on = e != SCREEN_END && (e != SCREEN_KEY || on_key(t, key));
        if (!on || dx_clock_us() < next_us)
            continue;
        if (!t->paused)
            (void)look(t);
        next_us = dx_clock_us() + EVERY_MS * 1000;
    }
}

static int once(struct top *t)
{
    struct dx_text text;
    struct timespec pause = {.tv_sec = EVERY_MS / 1000};
    (void)nanosleep(&pause, NULL);
    (void)look(t);
    dx_text_init(&text);
    struct paint p = paint_for_stdout(&text);
    paint_all(t, &p, 0);
    return cli_print(&text);
}

int cli_top(const struct cli_options *o)
{
    struct top t = {.options = o};
    int exit_code = CLI_OK;
    dx_arena_init(&t.now.arena, NULL, 0);
    dx_arena_init(&t.before.arena, NULL, 0);
    dx_text_init(&t.failed);
    if (!look(&t)) {
        fputs(t.failed.p ? t.failed.p : "", stderr);
        exit_code = CLI_FAILED;
    } else if (o->once) {
        exit_code = once(&t);
    } else if (!screen_open()) {
        fputs("diplex top: this is no terminal; --once prints what there is now\n", stderr);
        exit_code = CLI_USAGE;
    } else {
        watch(&t);
        screen_close();
    }
    look_drop(&t.now);
    look_drop(&t.before);
    dx_text_fini(&t.failed);
    return exit_code;
}
