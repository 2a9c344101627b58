/* SPDX-License-Identifier: MIT */
/* `diplex status`: the running diplex in one screen, or its document for programs. */
#include "cli/status.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

#define STATUS_TIMEOUT_MS 10000
#define OLDEST_SHOWN      10u
#define LABEL             8u

static void label(struct paint *p, const char *word)
{
    paint_cell(p, PAINT_FAINT, LABEL, dx_slice_str(word));
}

/* ---- the head ---- */

static void state_line(struct paint *p, const struct json *root)
{
    char up[PAINT_SMALL];
    bool ready = json_flag(root, "ready");
    label(p, "diplex");
    paint_text(p, PAINT_STRONG, json_text(root, "version"));
    paint_str(p, PAINT_PLAIN, "  ");
    paint_text(p, ready ? PAINT_GOOD : PAINT_BAD, json_text(root, "state"));
    paint_str(p, PAINT_PLAIN, "  up ");
    paint_text(p, PAINT_PLAIN, paint_time(json_number(root, "uptime_ms"), up));
    paint_f(p, PAINT_PLAIN, "  %.0f workers  control %.0f", json_number(root, "workers"),
            json_number(root, "control_pid"));
    if (json_is_null(root, "data_pid"))
        paint_str(p, PAINT_BAD, "  data: none runs");
    else
        paint_f(p, PAINT_PLAIN, "  data %.0f", json_number(root, "data_pid"));
    if (json_number(root, "data_deaths") > 0)
        paint_f(p, PAINT_WARN, " (died %.0f times)", json_number(root, "data_deaths"));
    paint_end(p);
}

static void leaving_lines(struct paint *p, const struct json *root)
{
    char ago[PAINT_SMALL];
    for (const struct json *at = json_first(root, "leaving"); at; at = at->next) {
        struct dx_slice since = paint_time(json_number(at, "for_ms"), ago);
        label(p, "leaving");
        paint_f(p, PAINT_WARN, "data %.0f for %.*s: ", json_number(at, "pid"), DX_SLICE_ARGS(since));
        if (json_is_null(at, "requests"))
            paint_str(p, PAINT_PLAIN, "of another version, what it still has is not known");
        else
            paint_f(p, PAINT_PLAIN, "%.0f requests, %.0f client connections", json_number(at, "requests"),
                    json_number(at, "connections"));
        paint_end(p);
    }
}

static void reload_line(struct paint *p, const struct json *root)
{
    const struct json *reload = json_at(root, "last_reload");
    char ago[PAINT_SMALL];
    bool any = reload && reload->kind == JSON_MAP, ok = json_flag(reload, "ok");
    struct dx_slice waits = json_text(reload, "after_restart"),
                    when = paint_time(json_number(reload, "ms_ago"), ago);
    label(p, "file");
    paint_text(p, PAINT_PLAIN, json_text(root, "file"));
    paint_f(p, PAINT_PLAIN, "  generation %.0f", json_number(root, "generation"));
    if (any && ok)
        paint_f(p, PAINT_PLAIN, ", reloaded %.*s ago", DX_SLICE_ARGS(when));
    if (waits.n)
        paint_f(p, PAINT_WARN, "; after an upgrade or a restart: %.*s", DX_SLICE_ARGS(waits));
    paint_end(p);
    if (!any || ok)
        return;
    label(p, "");
    paint_f(p, PAINT_BAD,
            "the reload %.*s ago failed, and the file is not what is in force:", DX_SLICE_ARGS(when));
    paint_end(p);
    label(p, "");
    paint_text(p, PAINT_BAD, json_text(reload, "error"));
    paint_end(p);
}

static void doors_line(struct paint *p, const struct json *root)
{
    const struct json *admin = json_at(root, "admin");
    struct dx_slice socket = json_text(admin, "socket"), tcp = json_text(admin, "listen"),
                    read = json_text(admin, "read");
    label(p, "listen");
    for (const struct json *at = json_first(root, "listen"); at; at = at->next) {
        paint_text(p, PAINT_PLAIN, at->text);
        paint_str(p, PAINT_PLAIN, " ");
    }
    paint_str(p, PAINT_FAINT, " admin ");
    paint_text(p, PAINT_PLAIN, socket);
    if (tcp.n)
        paint_f(p, PAINT_PLAIN, "%s%.*s (%s)", socket.n ? ", " : "", DX_SLICE_ARGS(tcp),
                dx_slice_eq(read, DX_SLICE("open")) ? "open to readers" : "with the token");
    if (!dx_slice_eq(json_text(root, "log_level"), DX_SLICE("info"))) {
        paint_str(p, PAINT_FAINT, "  log ");
        paint_text(p, PAINT_PLAIN, json_text(root, "log_level"));
    }
    paint_end(p);
}

static void traffic_line(struct paint *p, const struct json *root)
{
    const struct json *counters = json_at(root, "counters");
    char a[PAINT_SMALL], b[PAINT_SMALL], c[PAINT_SMALL];
    label(p, "traffic");
    paint_count(json_number(counters, "requests_running"), a);
    paint_count(json_number(counters, "requests_total"), b);
    paint_count(json_number(counters, "client_connections"), c);
    paint_f(p, PAINT_PLAIN, "%s requests running, %s done, %s client connections, %zu streams", a, b, c,
            json_count(root, "streams") + (size_t)json_number(root, "streams_left_out"));
    paint_end(p);
}

static void maintenance_line(struct paint *p, const struct json *root, const char *key, const char *how)
{
    const struct json *name = json_first(json_at(root, "maintenance"), key);
    if (!name)
        return;
    label(p, "closed");
    for (const char *gap = "maintenance of "; name; name = name->next, gap = ", ") {
        paint_str(p, PAINT_WARN, gap);
        paint_text(p, PAINT_WARN,
                   dx_slice_eq(name->text, DX_SLICE("*")) ? DX_SLICE("everything") : name->text);
    }
    paint_str(p, PAINT_WARN, how);
    paint_end(p);
}

void status_head(struct paint *p, const struct json *root)
{
    state_line(p, root);
    leaving_lines(p, root);
    reload_line(p, root);
    doors_line(p, root);
    traffic_line(p, root);
    maintenance_line(p, root, "switched_on", ", by hand: `diplex maintenance off` ends it");
    maintenance_line(p, root, "on_by_file", ", by the file");
}

/* ---- pools ---- */

static unsigned widest(const struct json *list, const char *key, unsigned least, unsigned most)
{
    for (; list; list = list->next) {
        size_t n = paint_length(json_text(list, key));
        if (n > least)
            least = n < most ? (unsigned)n : most;
    }
    return least;
}

static void hold_words(struct paint *p, const struct json *pool)
{
    struct dx_slice hold = json_text(pool, "hold");
    double queued = json_number(pool, "queued"), held = json_number(pool, "held");
    if (queued > 0)
        paint_f(p, PAINT_WARN, "  %.0f wait for a slot", queued);
    if (held > 0)
        paint_f(p, PAINT_BAD, hold.n ? "  %.0f held" : "  %.0f wait for a server", held);
    if (hold.n)
        paint_f(p, PAINT_WARN, "  held by an operator (%.*s)", DX_SLICE_ARGS(hold));
}

/* Why it is as it is: the reason, and what the last probe saw. */
static void why_words(struct paint *p, const struct json *server)
{
    const struct json *probe = json_at(server, "probe");
    struct dx_slice why = json_text(server, "why"), error = json_text(probe, "error"),
                    hint = json_text(probe, "hint");
    bool failing = json_number(probe, "failures_in_row") > 0;
    if (failing && dx_slice_eq(why, DX_SLICE("probe"))) /* what it saw says more */
        why = dx_slice_of(NULL, 0);
    if (why.n)
        paint_text(p, PAINT_BAD, why);
    if (failing && error.n)
        paint_f(p, PAINT_WARN, "%sprobe: %.*s", why.n ? ", " : "", DX_SLICE_ARGS(error));
    else if (failing && json_number(probe, "status") > 0)
        paint_f(p, PAINT_WARN, "%sprobe: status %.0f", why.n ? ", " : "", json_number(probe, "status"));
    if (failing)
        paint_f(p, PAINT_WARN, ", %.0f in a row", json_number(probe, "failures_in_row"));
    if (hint.n) {
        paint_end(p);
        paint_str(p, PAINT_FAINT, "      ");
        paint_text(p, PAINT_FAINT, hint);
    }
}

static void server_line(struct paint *p, const struct json *server, unsigned name, unsigned address)
{
    struct dx_slice state = json_text(server, "state");
    double slots = json_number(server, "slots"), active = json_number(server, "active");
    char a[PAINT_SMALL], b[PAINT_SMALL];
    paint_str(p, PAINT_PLAIN, "  ");
    paint_cell(p, PAINT_PLAIN, name, json_text(server, "name"));
    if (address)
        paint_cell(p, PAINT_PLAIN, address, json_text(server, "address"));
    paint_cell(p,
               dx_slice_eq(state, DX_SLICE("up"))     ? PAINT_GOOD
               : dx_slice_eq(state, DX_SLICE("down")) ? PAINT_BAD
                                                      : PAINT_WARN,
               8, state);
    if (slots > 0)
        paint_bar(p, 16, active, slots);
    (void)snprintf(a, sizeof a, slots > 0 ? "%.0f/%.0f" : "%.0f", active, slots);
    paint_right(p, PAINT_PLAIN, 7, dx_slice_str(a));
    paint_str(p, PAINT_FAINT, "running ");
    paint_right(p, PAINT_PLAIN, 6, paint_count(json_number(server, "requests_total"), b));
    paint_str(p, PAINT_FAINT, "sent  ");
    if (json_flag(server, "backup"))
        paint_str(p, PAINT_FAINT, "backup ");
    why_words(p, server);
    paint_end(p);
}

/* Servers that are configured by their addresses. */
static bool say_nothing_new(const struct json *list)
{
    bool same = true;
    for (; list && same; list = list->next)
        same = dx_slice_eq(json_text(list, "name"), json_text(list, "address"));
    return same;
}

void status_pool(struct paint *p, const struct json *pool, bool servers)
{
    const struct json *list = json_first(pool, "servers");
    double up = 0, all = 0;
    for (const struct json *s = list; s; s = s->next, all++)
        up += dx_slice_eq(json_text(s, "state"), DX_SLICE("up"));
    paint_text(p, PAINT_STRONG, json_text(pool, "name"));
    paint_f(p, PAINT_PLAIN, "  %.*s  ", DX_SLICE_ARGS(json_text(pool, "kind")));
    paint_f(p,
            up == all && all > 0 ? PAINT_GOOD
            : up > 0             ? PAINT_WARN
                                 : PAINT_BAD,
            "%.0f of %.0f up", up, all);
    hold_words(p, pool);
    paint_end(p);
    unsigned name = widest(list, "name", 8, 40),
             address = say_nothing_new(list) ? 0 : widest(list, "address", 8, 40);
    for (; servers && list; list = list->next)
        server_line(p, list, name, address);
}

/* ---- all ---- */

static void hints(struct paint *p, const struct json *root)
{
    const struct json *counters = json_at(root, "counters");
    for (const struct json *c = counters && counters->kind == JSON_MAP ? counters->first : NULL; c;
         c = c->next) {
        if (!dx_slice_starts(c->key, DX_SLICE("hint_")) || c->number <= 0)
            continue;
        label(p, "hint");
        paint_f(p, PAINT_WARN, "%.*s: %.0f times (see hints in operations.md)", (int)(c->key.n - 11),
                c->key.p + 5, c->number);
        paint_end(p);
    }
}

static void oldest(struct paint *p, const struct json *root, struct dx_arena *a)
{
    size_t n = 0;
    const struct json *snapshot = json_at(root, "snapshot");
    struct status_request *all = status_requests(root, false, a, &n);
    if (json_count(snapshot, "missing_workers") || !json_flag(snapshot, "taken")) {
        paint_str(p, PAINT_WARN, "not every worker told what it has in flight");
        paint_end(p);
    }
    if (n == 0)
        return;
    status_requests_title(p);
    for (size_t i = 0; i < n && i < OLDEST_SHOWN; i++)
        status_request_line(p, &all[i]);
    if (n > OLDEST_SHOWN) {
        paint_f(p, PAINT_FAINT, "and %zu more", n - OLDEST_SHOWN);
        paint_end(p);
    }
}

static int print(struct dx_slice body)
{
    struct dx_arena arena;
    struct dx_text text;
    dx_arena_init(&arena, NULL, 0);
    dx_text_init(&text);
    const struct json *root = json_read(&arena, body);
    struct paint p = paint_for_stdout(&text);
    int exit_code = CLI_FAILED;
    if (root) {
        status_head(&p, root);
        hints(&p, root);
        for (const struct json *pool = json_first(root, "pools"); pool; pool = pool->next) {
            paint_end(&p);
            status_pool(&p, pool, true);
        }
        paint_end(&p);
        oldest(&p, root, &arena);
        exit_code = cli_print(&text);
    } else {
        fputs("diplex: what answered there is no diplex: no JSON\n", stderr);
    }
    dx_text_fini(&text);
    dx_arena_reset(&arena);
    return exit_code;
}

int cli_status(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    if (!cli_ask(o, "GET", o->json ? "/status" : "/status?config=no", STATUS_TIMEOUT_MS, &answer, &exit_code))
        return exit_code;
    bool ok = answer.status == 200;
    if (ok && !o->json)
        exit_code = print(dx_slice_of(answer.body, answer.body_n));
    else
        fputs(answer.body ? answer.body : "", ok ? stdout : stderr);
    free(answer.body);
    return ok ? exit_code : CLI_FAILED;
}
