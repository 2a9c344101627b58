/* SPDX-License-Identifier: MIT */
/*
 * The access log: one line for each request that ended, as JSON or in the common format. Everything that came
 * from outside is escaped. Lines gather in the worker and go to the journal in batches, so that a request
 * costs no lock and no system call here.
 */
#include <stdlib.h>

#include "diplex/base/hide.h"
#include "proxy/front.h"
#include "proxy/internal.h"

/* No line is longer: what comes from outside is cut, and escaped takes six times as much. */
#define LINE_MAX          (24u * 1024)
#define LINES_BYTES       (48u * 1024)
#define PATH_MAX_LOGGED   2048u
#define HOST_MAX_LOGGED   256u
#define WORD_MAX_LOGGED   128u
#define METHOD_MAX_LOGGED 32u
#define FIELD_MAX_LOGGED  512u
#define MARK_BYTES        24u /* "[+12345]" */
#define JOINED_BYTES      ACCESS_TARGET_BYTES
#define FLUSH_MS          100
#define WHOLE             1000u /* of a request */

static void key(struct dx_out *o, const char *name)
{
    dx_out_byte(o, ',');
    dx_out_byte(o, '"');
    dx_out_add(o, dx_slice_str(name));
    DX_OUT_LIT(o, "\":");
}

static void text(struct dx_out *o, const char *name, struct dx_slice value)
{
    key(o, name);
    dx_out_json(o, value);
}

/* What is longer is cut, and ends in how much is left out: "/abc[+1234]". Made in `room`. */
static struct dx_slice shorten(struct dx_slice s, size_t max, char room[PATH_MAX_LOGGED + MARK_BYTES])
{
    if (DX_LIKELY(s.n <= max))
        return s;
    DX_ASSERT(max <= PATH_MAX_LOGGED);
    struct dx_out o = dx_out_of(room, PATH_MAX_LOGGED + MARK_BYTES);
    dx_out_add(&o, dx_slice_of(s.p, max));
    DX_OUT_LIT(&o, "[+");
    dx_out_u64(&o, s.n - max);
    dx_out_byte(&o, ']');
    return dx_out_slice(&o);
}

static void cut_text(struct dx_out *o, const char *name, struct dx_slice value, size_t max)
{
    char room[PATH_MAX_LOGGED + MARK_BYTES];
    text(o, name, shorten(value, max, room));
}

static void number(struct dx_out *o, const char *name, uint64_t value)
{
    key(o, name);
    dx_out_u64(o, value);
}

/* Milliseconds between two moments; null when one of them never was. */
static void span(struct dx_out *o, const char *name, uint64_t from, uint64_t to)
{
    key(o, name);
    if (from == 0 || to < from)
        DX_OUT_LIT(o, "null");
    else
        dx_out_ms(o, to - from);
}

/* The path and the query that were forwarded; joined in buf where they do not stand together (http://a?b): of
 * what is cut in any case, no more than that. */
static struct dx_slice target_path(const struct exchange *x, char buf[static JOINED_BYTES])
{
    const struct dx_request *r = &x->request;
    struct dx_out joined = dx_out_of(buf, JOINED_BYTES);

    if (r->path.n == 0 || r->query.n == 0)
        return r->path.n > 0 ? r->path : r->target;
    if (r->query.p == r->path.p + r->path.n)
        return dx_slice_of(r->path.p, r->path.n + r->query.n);
    dx_out_add(&joined, r->path);
    dx_out_add(&joined, r->query);
    DX_ASSERT(!joined.overflow);
    return dx_out_slice(&joined);
}

/* What may be shown of it, at most JOINED_BYTES: far more than is logged. */
static struct dx_slice shown(const struct exchange *x, struct dx_slice url, char buf[static JOINED_BYTES])
{
    struct dx_out o = dx_out_of(buf, JOINED_BYTES);
    enum dx_log_query query = view_config(x->view)->query;

    if (query == DX_QUERY_FULL)
        return url;
    if (query == DX_QUERY_OFF)
        url.n = dx_slice_find(url, '?');
    if (x->request.path.n > 0)
        dx_hide(&o, url);
    else
        dx_hide_line(&o, url); /* of CONNECT, which is refused: me:word@host */
    return dx_out_slice(&o);
}

/* Most requests have no query, and nothing is copied. */
static struct dx_slice shown_target(const struct exchange *x, char buf[static JOINED_BYTES])
{
    char joined[JOINED_BYTES];
    bool plain = x->request.path.n > 0 && x->request.query.n == 0;
    if (plain || view_config(x->view)->query == DX_QUERY_FULL)
        return target_path(x, buf);
    return shown(x, target_path(x, joined), buf);
}

struct dx_slice access_target(const struct exchange *x, char buf[static ACCESS_TARGET_BYTES])
{
    return shown_target(x, buf);
}

/* null when there is none: every line has the same keys. */
static void maybe(struct dx_out *o, const char *name, const char *value)
{
    key(o, name);
    if (value == NULL)
        DX_OUT_LIT(o, "null");
    else
        dx_out_json(o, dx_slice_str(value));
}

static void route(struct dx_out *o, const struct exchange *x)
{
    char joined[1024];
    struct dx_out j = dx_out_of(joined, sizeof(joined) - 1);

    if (x->route == NULL || x->route->host[0] == '\0') {
        maybe(o, "route", x->route ? x->route->path : NULL);
        return;
    }
    dx_out_add(&j, dx_slice_str(x->route->host));
    dx_out_add(&j, dx_slice_str(x->route->path));
    *j.p = '\0';
    maybe(o, "route", joined);
}

static void trace(struct dx_out *o, const struct exchange *x)
{
    struct dx_slice id = trace_id(x);

    if (id.n > 0)
        text(o, "trace_id", id);
    else
        maybe(o, "trace_id", NULL);
}

/* How many requests, from thousandths. */
static void stands_for(struct dx_out *o, unsigned weight)
{
    key(o, "sample");
    if (weight % WHOLE == 0)
        dx_out_u64(o, weight / WHOLE);
    else
        dx_out_ms(o, weight);
}

static void write_json(const struct exchange *x, uint64_t now_us, unsigned weight, struct dx_out *o)
{
    char when[DX_CLOCK_RFC3339], target[JOINED_BYTES];
    size_t when_n = dx_clock_rfc3339(x->start_wall_us, when, sizeof(when));

    DX_OUT_LIT(o, "{\"time\":\"");
    dx_out_add(o, dx_slice_of(when, when_n));
    dx_out_byte(o, '"');
    text(o, "id", x->request_id);
    cut_text(o, "client", x->client_ip, WORD_MAX_LOGGED);
    cut_text(o, "method", x->request.method, METHOD_MAX_LOGGED);
    cut_text(o, "host", x->request.host, HOST_MAX_LOGGED);
    cut_text(o, "path", shown_target(x, target), PATH_MAX_LOGGED);
    number(o, "status", x->status);
    text(o, "outcome", dx_slice_str(outcome_row(x->outcome)->word));
    maybe(o, "reason", x->reason);
    route(o, x);
    maybe(o, "pool", x->pool ? x->pool->name : NULL);
    maybe(o, "server", x->server[0] ? x->server : NULL);
    number(o, "bytes_in", x->body_in);
    number(o, "bytes_out", x->body_out);
    span(o, "queue_ms", x->queued_us, x->picked_us);
    span(o, "connect_ms", x->picked_us, x->connected_us);
    span(o, "first_byte_ms", x->connected_us, x->first_byte_us);
    span(o, "deliver_ms", x->whole_us, now_us);
    span(o, "total_ms", x->start_us, now_us);
    key(o, "reused");
    dx_out_add(o, x->reused ? DX_SLICE("true") : DX_SLICE("false"));
    trace(o, x);
    stands_for(o, weight);
    DX_OUT_LIT(o, "}\n");
}

/* In the common format a quote or control inside a quoted part is written as \xNN, as other servers do. */
static void common_text(struct dx_out *o, struct dx_slice whole, size_t max)
{
    static const char hex[] = "0123456789abcdef";
    char room[PATH_MAX_LOGGED + MARK_BYTES];
    struct dx_slice s = shorten(whole, max, room);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            dx_out_byte(o, (char)c);
            continue;
        }
        DX_OUT_LIT(o, "\\x");
        dx_out_byte(o, hex[c >> 4]);
        dx_out_byte(o, hex[c & 15]);
    }
}

static struct dx_slice field_text(const struct exchange *x, struct dx_slice name)
{
    for (unsigned i = 0; i < x->request.fields.n; i++)
        if (dx_slice_eq_nocase(x->request.fields.at[i].name, name))
            return x->request.fields.at[i].value;
    return DX_SLICE("-");
}

/* What the combined format has beyond the common one. */
static void write_from_where(const struct exchange *x, struct dx_out *o)
{
    char target[JOINED_BYTES];

    DX_OUT_LIT(o, " \"");
    common_text(o, shown(x, field_text(x, DX_SLICE("referer")), target), FIELD_MAX_LOGGED);
    DX_OUT_LIT(o, "\" \"");
    common_text(o, field_text(x, DX_SLICE("user-agent")), FIELD_MAX_LOGGED);
    dx_out_byte(o, '"');
}

static void write_common(const struct exchange *x, bool combined, struct dx_out *o)
{
    char when[DX_CLOCK_RFC3339], target[JOINED_BYTES];
    size_t when_n = dx_clock_common(x->start_wall_us, when, sizeof(when));

    dx_out_add(o, x->client_ip);
    DX_OUT_LIT(o, " - - [");
    dx_out_add(o, dx_slice_of(when, when_n));
    DX_OUT_LIT(o, "] \"");
    common_text(o, x->request.method, METHOD_MAX_LOGGED);
    dx_out_byte(o, ' ');
    common_text(o, shown_target(x, target), PATH_MAX_LOGGED);
    DX_OUT_LIT(o, " HTTP/1.");
    dx_out_u64(o, x->request.minor);
    DX_OUT_LIT(o, "\" ");
    dx_out_u64(o, x->status);
    dx_out_byte(o, ' ');
    dx_out_u64(o, x->body_out);
    if (combined)
        write_from_where(x, o);
    dx_out_byte(o, '\n');
}

static void on_flush(struct dx_timer *t) { access_flush(DX_CONTAINER(t, struct dx_proxy, lines_flush)); }

void access_flush(struct dx_proxy *p)
{
    if (p->lines_n == 0)
        return;
    if (!dx_journal_write(p->access, dx_slice_of(p->lines, p->lines_n)))
        for (size_t i = 0; i < p->lines_n; i++)
            if (p->lines[i] == '\n')
                proxy_count(p, DX_COUNTER_LOG_DROPPED, 1);
    uint64_t lost = dx_journal_lost(p->access);
    if (lost > 0)
        proxy_count(p, DX_COUNTER_LOG_DROPPED, (int64_t)lost);
    p->lines_n = 0;
}

/* How many requests the line stands for, in thousandths; 0: there is none. Whether an ordinary one has a line
 * is decided by chance, so that no regular order of requests meets a regular choice. */
static unsigned weigh(struct exchange *x)
{
    unsigned sample = view_config(x->view)->log.sample;
    enum dx_route_log of_route = x->route != NULL ? x->route->log : DX_ROUTE_LOG_ON;

    if (of_route == DX_ROUTE_LOG_OFF)
        return 0;
    if (DX_LIKELY(of_route == DX_ROUTE_LOG_ON && sample == 100))
        return WHOLE;
    if (x->status >= 500 || x->outcome != OUTCOME_OK || slow_is(x))
        return WHOLE;
    if (of_route == DX_ROUTE_LOG_ERRORS)
        return 0;
    uint64_t draw = (dx_random_next(&x->proxy->random) >> 32) * 100 >> 32;
    return draw < sample ? 100 * WHOLE / sample : 0;
}

void access_write(struct exchange *x)
{
    struct dx_proxy *p = x->proxy;
    enum dx_access_format format = view_config(x->view)->access;

    if (format == DX_ACCESS_OFF || p->access == NULL)
        return;
    unsigned weight = weigh(x);
    if (weight == 0)
        return;
    if (p->lines == NULL && (p->lines = malloc(LINES_BYTES)) == NULL)
        return;
    if (LINES_BYTES - p->lines_n < LINE_MAX)
        access_flush(p);
    struct dx_out o = dx_out_of(p->lines + p->lines_n, LINES_BYTES - p->lines_n);
    if (format == DX_ACCESS_JSON)
        write_json(x, dx_loop_now_us(p->loop), weight, &o);
    else
        write_common(x, format == DX_ACCESS_COMBINED, &o);
    if (o.overflow) { /* a route's own name of kilobytes */
        proxy_count(p, DX_COUNTER_LOG_DROPPED, 1);
        return;
    }
    p->lines_n += dx_out_slice(&o).n;
    if (!p->lines_flush.set) {
        p->lines_flush.on_due = on_flush;
        dx_timer_set(p->loop, &p->lines_flush, FLUSH_MS);
    }
}

void dx_proxy_print_access(struct dx_text *out)
{
    dx_text_adds(out, "| key | meaning |\n|---|---|\n");
#define ACCESS(key, sentence) dx_text_adds(out, "| `" key "` | " sentence " |\n");
#include "proxy/access.def"
}
