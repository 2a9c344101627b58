/* SPDX-License-Identifier: MIT */
/* The configuration that is written: every value with the place that it comes from, and what could not be
 * found out as a comment where it belongs. Whatever stood in a file of others is looked at before it becomes
 * part of ours. */
#include <inttypes.h>
#include <stdio.h>

#include "init/internal.h"

#define COMMENT_COLUMN 34
#define SHOWN_MAX      60u    /* bytes of an expression that was not understood */
#define SLOTS_MAX      65535u /* as settings.def has it */
#define AFTER_SERVER_S 5      /* diplex gives up just after gunicorn does */

struct writer {
    struct init *in;
    struct dx_text *out;
    size_t begun; /* where the line at hand begins */
};

static void begin(struct writer *w) { w->begun = w->out->n; }

/* The rest of a line: a comment in its column. */
static void comment(struct writer *w, struct dx_slice text)
{
    size_t n = w->out->n - w->begun;
    dx_text_addf(w->out, "%*s# ", n < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - n) : 1, "");
    dx_text_add(w->out, text);
    dx_text_adds(w->out, "\n");
}

static struct dx_slice shown_place(struct init *in, struct place at)
{
    return at.file ? init_printf(in, "%s:%u", at.file, at.line) : DX_SLICE("");
}

/* Without what would end a comment's line, and not too long. */
static struct dx_slice shown(struct init *in, struct dx_slice s)
{
    char clean[SHOWN_MAX];
    size_t n = s.n < sizeof clean ? s.n : sizeof clean;
    for (size_t i = 0; i < n; i++)
        clean[i] = (unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] > 0x7e ? ' ' : s.p[i];
    return init_keep(in, dx_slice_of(clean, n));
}

static struct dx_slice whence(struct init *in, const struct value *v)
{
    struct dx_slice at = shown_place(in, v->at);
    return init_printf(in, "%s (%.*s)", v->how, DX_SLICE_ARGS(at));
}

static void note(struct writer *w, const char *fmt, const struct service *s, struct dx_slice more)
{
    char line[512];
    (void)snprintf(line, sizeof line, "service %.*s: ", DX_SLICE_ARGS(s->name));
    dx_text_adds(w->in->notes, line);
    dx_text_addf(w->in->notes, "%s%.*s\n", fmt, DX_SLICE_ARGS(more));
}

/* ---- where it listens ---- */

struct address {
    struct dx_slice host, unix_path;
    uint64_t port;
    const struct value *from; /* NULL: the server's own default */
};

static void split_bind(struct dx_slice text, struct address *a)
{
    if (dx_slice_starts(text, DX_SLICE("unix:"))) {
        a->unix_path = dx_slice_of(text.p + 5, text.n - 5);
        return;
    }
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    size_t at = colon ? (size_t)(colon - text.p) : text.n;
    a->host = dx_slice_of(text.p, at);
    if (!colon || !dx_slice_to_u64(dx_slice_of(colon + 1, text.n - at - 1), &a->port))
        a->port = 0;
}

/* What each server does when nothing is said is 127.0.0.1:8000. */
static struct address address_of(const struct found *f)
{
    const struct value *v = f->values;
    struct address a = {.host = DX_SLICE("127.0.0.1"), .port = 8000};
    if (v[UDS].how) {
        a.unix_path = v[UDS].text;
        a.from = &v[UDS];
    } else if (v[BIND].how) {
        split_bind(v[BIND].text, &a);
        a.from = &v[BIND];
    } else if (v[PORT].how) {
        a.from = &v[PORT];
        if (!dx_slice_to_u64(v[PORT].text, &a.port))
            a.port = 0;
    }
    if (v[HOST].how && !v[BIND].how)
        a.host = v[HOST].text;
    else if (v[PORT].how && a.from == &v[PORT] && f->server == SERVER_GUNICORN)
        a.host = DX_SLICE("0.0.0.0");
    return a;
}

static bool is_path(struct dx_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] > 0x7e || strchr("\"'\\$#{}[],", s.p[i]))
            return false;
    return s.n > 1 && s.n < 100 && s.p[0] == '/';
}

static void write_address(struct writer *w, const struct service *s)
{
    const struct address a = address_of(&s->found);
    struct dx_slice from = a.from ? whence(w->in, a.from) : DX_SLICE("where it listens when nothing is said");
    begin(w);
    if (a.unix_path.n && is_path(a.unix_path)) {
        dx_text_addf(w->out, "    servers: unix:%.*s", DX_SLICE_ARGS(a.unix_path));
        comment(w, from);
        note(w, "its socket has to be in a volume that diplex has too: ", s, a.unix_path);
        return;
    }
    bool known = a.unix_path.n == 0 && a.port > 0 && a.port < 65536;
    dx_text_addf(w->out, "    servers: %.*s:%" PRIu64, DX_SLICE_ARGS(s->name), known ? a.port : 8000);
    if (!known) {
        struct dx_slice text = a.from ? shown(w->in, a.from->text) : DX_SLICE("");
        comment(w, init_printf(w->in, "? its port could not be found out: %.*s, %.*s", DX_SLICE_ARGS(text),
                               DX_SLICE_ARGS(from)));
        note(w, "its port could not be found out, 8000 is a guess", s, DX_SLICE(""));
        return;
    }
    comment(w, from);
    if (dx_slice_starts(a.host, DX_SLICE("127.")) || dx_slice_eq(a.host, DX_SLICE("localhost")))
        note(w, "it listens on 127.0.0.1 alone, where other containers cannot reach it: make that 0.0.0.0", s,
             DX_SLICE(""));
}

/* ---- how much it can do ---- */

/* True: a number, which may be the default. */
static bool number(const struct value *v, uint64_t fallback, uint64_t *out)
{
    *out = fallback;
    return !v->how || dx_slice_to_u64(v->text, out);
}

static void unknown(struct writer *w, const char *key, const char *instead, const struct value *v)
{
    struct dx_slice text = shown(w->in, v->text), at = shown_place(w->in, v->at);
    begin(w);
    dx_text_addf(w->out, "    # %s: %s", key, instead);
    comment(w, init_printf(w->in, "? %s is `%.*s` (%.*s)", v->how, DX_SLICE_ARGS(text), DX_SLICE_ARGS(at)));
}

static bool is_evented(struct dx_slice class)
{
    return init_contains(class, "gevent") || init_contains(class, "eventlet") ||
           init_contains(class, "tornado");
}

static void write_slots(struct writer *w, const struct service *s)
{
    const struct value *v = s->found.values;
    uint64_t workers = 0, threads = 0;
    if (is_evented(v[WORKER_CLASS].text)) {
        unknown(w, "slots", "N", &v[WORKER_CLASS]);
        note(w, "its workers take many requests at a time, so slots are not set", s, DX_SLICE(""));
        return;
    }
    if (!number(&v[WORKERS], 1, &workers) || !number(&v[THREADS], 1, &threads)) {
        const struct value *bad = number(&v[WORKERS], 1, &workers) ? &v[THREADS] : &v[WORKERS];
        unknown(w, "slots", "N", bad);
        note(w, "slots have to be its workers x threads, which could not be found out: ", s,
             shown(w->in, bad->text));
        return;
    }
    if (workers == 0 || threads == 0 || workers > SLOTS_MAX || threads > SLOTS_MAX / workers)
        return;
    bool once = v[WORKERS].how && v[THREADS].how && v[WORKERS].at.file == v[THREADS].at.file &&
                v[WORKERS].at.line == v[THREADS].at.line;
    struct dx_slice a = v[WORKERS].how ? whence(w->in, &v[WORKERS]) : DX_SLICE("gunicorn's own number");
    struct dx_slice b = v[THREADS].how ? whence(w->in, &v[THREADS]) : DX_SLICE("");
    begin(w);
    dx_text_addf(w->out, "    slots: %" PRIu64, workers * threads);
    if (once && strcmp(v[WORKERS].how, v[THREADS].how) == 0)
        a = b;
    else if (once)
        a = init_printf(w->in, "%s, %.*s", v[WORKERS].how, DX_SLICE_ARGS(b));
    else if (b.n)
        a = init_printf(w->in, "%.*s, %.*s", DX_SLICE_ARGS(a), DX_SLICE_ARGS(b));
    comment(w, init_printf(w->in, "%" PRIu64 " worker%s x %" PRIu64 " thread%s, %.*s", workers,
                           workers == 1 ? "" : "s", threads, threads == 1 ? "" : "s", DX_SLICE_ARGS(a)));
}

/* ---- how long things take ---- */

static void write_timeout(struct writer *w, const struct service *s)
{
    const struct value *v = &s->found.values[TIMEOUT];
    uint64_t seconds = 0;
    if (!v->how)
        return;
    if (!dx_slice_to_u64(v->text, &seconds) || seconds > 86400 - AFTER_SERVER_S) {
        unknown(w, "timeouts", "{response: 60s}", v);
        return;
    }
    struct dx_slice from = whence(w->in, v);
    begin(w);
    dx_text_addf(w->out, "    timeouts: {response: %" PRIu64 "%s}", seconds ? seconds + AFTER_SERVER_S : 0,
                 seconds ? "s" : "");
    comment(w,
            seconds ? init_printf(w->in, "just after gunicorn gives up, %.*s", DX_SLICE_ARGS(from)) : from);
}

/* Below the server's own, or it closes a connection just as the next request comes. gunicorn's sync workers
 * keep none. */
static void write_keepalive(struct writer *w, const struct service *s)
{
    const struct value *v = s->found.values;
    uint64_t seconds = 0, threads = 1;
    bool sync = !s->found.is_asgi && number(&v[THREADS], 1, &threads) && threads <= 1 &&
                !is_evented(v[WORKER_CLASS].text) && !dx_slice_eq(v[WORKER_CLASS].text, DX_SLICE("gthread"));
    if (!v[KEEPALIVE].how || sync)
        return;
    if (!dx_slice_to_u64(v[KEEPALIVE].text, &seconds) || seconds > 86400) {
        unknown(w, "keepalive", "1s", &v[KEEPALIVE]);
        return;
    }
    struct dx_slice from = whence(w->in, &v[KEEPALIVE]);
    begin(w);
    if (seconds < 2)
        dx_text_adds(w->out, "    keepalive: off");
    else
        dx_text_addf(w->out, "    keepalive: %" PRIu64 "s", seconds - 1);
    comment(w, init_printf(w->in, "below the server's own, %.*s", DX_SLICE_ARGS(from)));
}

/* ---- health ---- */

/* The path of the first URL of http in a text. */
static struct dx_slice path_in(struct dx_slice s)
{
    const char *at = s.n ? memmem(s.p, s.n, "://", 3) : NULL;
    if (!at)
        return DX_SLICE("");
    s = dx_slice_of(at + 3, s.n - (size_t)(at + 3 - s.p));
    size_t begin = 0;
    while (begin < s.n && !strchr("/ \t'\"|;)>", s.p[begin]))
        begin++;
    if (begin == s.n || s.p[begin] != '/')
        return DX_SLICE("/");
    size_t end = begin;
    while (end < s.n && (unsigned char)s.p[end] > 0x20 && (unsigned char)s.p[end] < 0x7f &&
           !strchr("'\"|;)>,\\#`$", s.p[end]))
        end++;
    return dx_slice_of(s.p + begin, end - begin);
}

/* Of -H 'Host: example.com'. */
static struct dx_slice host_in(struct dx_slice s)
{
    const char *at = s.n ? memmem(s.p, s.n, "Host:", 5) : NULL;
    if (!at)
        return DX_SLICE("");
    s = dx_slice_trim(dx_slice_of(at + 5, s.n - (size_t)(at + 5 - s.p)));
    size_t n = 0;
    while (n < s.n &&
           (strchr(".-", s.p[n]) || (s.p[n] >= '0' && s.p[n] <= '9') || (s.p[n] >= 'a' && s.p[n] <= 'z')))
        n++;
    return dx_slice_of(s.p, n);
}

/* In quotes where YAML would read something else. */
static struct dx_slice yaml(struct init *in, struct dx_slice path)
{
    for (size_t i = 0; i < path.n; i++)
        if (strchr("?&=%@*!:{}[], ", path.p[i]))
            return init_printf(in, "\"%.*s\"", DX_SLICE_ARGS(path));
    return path;
}

static void write_health(struct writer *w, const struct service *s)
{
    struct dx_slice path = path_in(s->health.text), host = host_in(s->health.text);
    struct dx_slice at = shown_place(w->in, s->health.at);
    begin(w);
    if (path.n == 0) {
        dx_text_adds(w->out, "    # health: /healthz/");
        comment(w, DX_SLICE("? a URL that answers 200 when all is well; then a restart is noticed at once"));
        return;
    }
    path = yaml(w->in, path);
    if (host.n)
        dx_text_addf(w->out, "    health: {path: %.*s, host: %.*s}", DX_SLICE_ARGS(path),
                     DX_SLICE_ARGS(host));
    else
        dx_text_addf(w->out, "    health: %.*s", DX_SLICE_ARGS(path));
    comment(w, init_printf(w->in, "as the container's own check (%.*s)", DX_SLICE_ARGS(at)));
    if (!host.n)
        note(w,
             "diplex checks its health as Host: localhost, which has to be in ALLOWED_HOSTS (or set "
             "health.host)",
             s, DX_SLICE(""));
}

/* ---- the whole ---- */

/* A service may have a dot in its name, a pool not. */
static struct dx_slice pool_name(struct init *in, const struct service *s)
{
    char name[64];
    size_t n = s->name.n < sizeof name - 1 ? s->name.n : sizeof name - 1;
    for (size_t i = 0; i < n; i++) {
        char c = s->name.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-';
        name[i] = fine ? c : '-';
    }
    return init_keep(in, dx_slice_of(name, n));
}

static void write_pool(struct writer *w, const struct service *s)
{
    struct dx_slice name = pool_name(w->in, s), at = shown_place(w->in, s->found.at);
    const char *server = init_server_name(s->found.server);
    bool inside = s->found.server == SERVER_GUNICORN && s->found.is_asgi;
    begin(w);
    dx_text_addf(w->out, "  %.*s:", DX_SLICE_ARGS(name));
    comment(w, init_printf(w->in, "%s%s (%.*s)", server, inside ? " with workers of uvicorn" : "",
                           DX_SLICE_ARGS(at)));
    dx_text_addf(w->out, "    kind: %s\n", s->found.is_asgi ? "asgi" : "wsgi");
    write_address(w, s);
    if (!s->found.is_asgi) {
        write_slots(w, s);
        write_timeout(w, s);
    }
    write_keepalive(w, s);
    write_health(w, s);
    bool by_socket =
        s->found.server == SERVER_GUNICORN && address_of(&s->found).unix_path.n; /* trusted in any case */
    if (!s->trusts && !by_socket && s->found.server != SERVER_DAPHNE)
        note(w,
             "it believes X-Forwarded-* of 127.0.0.1 alone; set FORWARDED_ALLOW_IPS to '*' where only diplex "
             "reaches it",
             s, DX_SLICE(""));
    if (s->ports.text.n)
        note(w, "take its `ports` away when diplex stands in front of it: ", s, shown(w->in, s->ports.text));
}

static const struct service *first_of(const struct service *s, bool is_asgi)
{
    while (s && (s->found.server == SERVER_RUNSERVER || s->found.is_asgi != is_asgi))
        s = s->next;
    return s;
}

static void write_routes(struct writer *w, const struct service *services)
{
    const struct service *wsgi = first_of(services, false), *asgi = first_of(services, true);
    const struct service *rest = wsgi ? wsgi : asgi;
    dx_text_adds(w->out, "# The longest prefix wins, and the path goes on as it came.\nroutes:\n");
    if (wsgi && asgi) {
        struct dx_slice name = pool_name(w->in, asgi);
        begin(w);
        dx_text_addf(w->out, "  /async/: %.*s", DX_SLICE_ARGS(name));
        comment(w, DX_SLICE("? the paths of the async views: only your URLconf knows them"));
        dx_text_addf(w->out, "  # /ws/: %.*s\n", DX_SLICE_ARGS(name));
    }
    for (const struct service *s = services; s; s = s->next) {
        if (s->found.server == SERVER_RUNSERVER || s == wsgi || s == asgi)
            continue;
        struct dx_slice name = pool_name(w->in, s);
        begin(w);
        dx_text_addf(w->out, "  # /%.*s/: %.*s", DX_SLICE_ARGS(name), DX_SLICE_ARGS(name));
        comment(w, DX_SLICE("? which paths are its own"));
        note(w, "it has no route yet: which paths are its own?", s, DX_SLICE(""));
    }
    dx_text_addf(w->out, "  /: %.*s\n", DX_SLICE_ARGS(pool_name(w->in, rest)));
}

void init_write(struct init *in, const char *file, const struct service *services, struct dx_text *out)
{
    struct writer w = {.in = in, .out = out};
    dx_text_addf(out,
                 "# Made by `diplex init` of %s, for diplex as a service beside the others. Lines with a "
                 "question mark are\n"
                 "# what it could not find out. `diplex check` says what is in force.\n\n",
                 file);
    dx_text_adds(out, "listen: :8080\n\npools:\n");
    for (const struct service *s = services; s; s = s->next) {
        if (s->found.server == SERVER_RUNSERVER) {
            note(&w, "it runs manage.py runserver, which is for development, and was left out", s,
                 DX_SLICE(""));
            continue;
        }
        write_pool(&w, s);
    }
    dx_text_adds(out, "\n");
    write_routes(&w, services);
}

void dx_init_smallest(struct dx_text *out)
{
    dx_text_adds(
        out,
        "# The configuration of diplex. `diplex check` says what is in force, `man diplex.yaml` every key.\n"
        "\n"
        "# Where clients connect.\n"
        "listen: :8080\n"
        "\n"
        "pools:\n"
        "  # gunicorn: each request is taken whole first, so that a slow client holds no worker.\n"
        "  #     gunicorn --bind 127.0.0.1:8000 project.wsgi\n"
        "  sync:\n"
        "    kind: wsgi\n"
        "    servers: 127.0.0.1:8000\n"
        "    # slots: 4               # gunicorn's workers x threads: what is more waits here, in order\n"
        "    # health: /healthz/      # a URL that answers 200 when all is well\n"
        "\n"
        "  # uvicorn: requests and answers stream, WebSockets and server-sent events pass.\n"
        "  #     uvicorn --port 8001 project.asgi:application\n"
        "  async:\n"
        "    kind: asgi\n"
        "    servers: 127.0.0.1:8001\n"
        "\n"
        "# The longest prefix wins, and the path goes on as it came.\n"
        "routes:\n"
        "  /async/: async\n"
        "  /: sync\n");
}
