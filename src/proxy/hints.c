/* SPDX-License-Identifier: MIT */
/*
 * Hints of passing traffic: counted each time, and said once in a while for each pool, over all workers. What
 * a hint is recognised by is the room `hint`'s business; which facts there are, and the line, are this
 * file's.
 */
#include <errno.h>
#include <stdlib.h>

#include "diplex/hint.h"
#include "proxy/front.h"
#include "proxy/internal.h"

#define NO_POOL        DX_BOARD_POOLS /* the request was refused before it had one */
#define PATH_SAID      128u           /* never the query: it may hold what is nobody's business */
#define HOST_SAID      128u
#define SPOOL_EVERY_MS 60000u

struct dx_proxy_hints {
    struct dx_hint_gate gates[DX_BOARD_POOLS + 1][DX_HINT_COUNT];
    struct dx_hint_gate spool, limits[LIMIT_COUNT];
};

static const enum dx_counter counters[DX_HINT_COUNT] = {
#define HINT(id, level, word, seen, change)       [DX_HINT_##id] = DX_COUNTER_HINT_##id,
#define PROBE_HINT(id, level, word, seen, change) /* not of passing traffic */
#include "diplex/hints.def"
};

struct dx_proxy_hints *dx_proxy_hints_new(void) { return calloc(1, sizeof(struct dx_proxy_hints)); }

void dx_proxy_hints_free(struct dx_proxy_hints **h)
{
    free(*h);
    *h = NULL;
}

struct dx_hint_gate *hints_limit_gate(struct dx_proxy *p, enum limit what)
{
    return p->hints != NULL ? &p->hints->limits[what] : NULL;
}

static struct dx_slice at_most(struct dx_slice s, size_t max)
{
    return dx_slice_of(s.p, s.n < max ? s.n : max);
}

static struct dx_slice request_field(const struct exchange *x, enum dx_field_id id)
{
    const struct dx_field *f = dx_http_find(&x->request.fields, id);
    return f ? at_most(f->value, HOST_SAID) : dx_slice_of(NULL, 0);
}

/* The one fact more that whoever is to change the setting wants to know. */
static struct dx_kv detail(const struct exchange *x, enum dx_hint h)
{
    if (h == DX_HINT_UNTRUSTED_PROXY)
        return DX_KL("peer", x->front->ip);
    if (h == DX_HINT_CSRF_SCHEME || h == DX_HINT_CSRF_HOST || h == DX_HINT_CSRF_ORIGIN)
        return DX_KL("origin", request_field(x, DX_FIELD_ORIGIN));
    return DX_KS("server", x->server);
}

static void say(const struct exchange *x, enum dx_hint h, uint64_t times)
{
    const struct dx_hint_row *row = dx_hint_row(h);
    struct dx_kv kv[] = {DX_KS("what", row->word),
                         DX_KS("pool", x->pool ? x->pool->name : "-"),
                         DX_KL("host", at_most(x->request.host, HOST_SAID)),
                         DX_KL("path", at_most(x->request.path, PATH_SAID)),
                         DX_KI("status", x->status),
                         detail(x, h),
                         DX_KI("times", times),
                         DX_KS("seen", row->seen),
                         DX_KS("change", row->change),
                         DX_LOG_END};
    dx_log_write(row->level, "hint", kv);
}

static void seen(struct exchange *x, enum dx_hint h)
{
    struct dx_proxy *p = x->proxy;
    uint64_t times;

    proxy_count(p, counters[h], 1);
    if (p->hints == NULL)
        return;
    uint32_t pool = x->pool ? x->view->snapshot->board_pools[x->route->pool] : NO_POOL;
    if (dx_hint_due(&p->hints->gates[pool][h], dx_loop_now_ms(p->loop), view_config(x->view)->hints, &times))
        say(x, h, times);
}

void hints_see_answer(struct exchange *x)
{
    struct dx_hint_facts f = {.request = &x->request,
                              .response = &x->response,
                              .sent = dx_slice_of(x->head.p + x->head_at, x->head.n - x->head_at),
                              .introduced = x->head_at > 0,
                              .health_path = x->pool->health.enabled ? x->pool->health.path : NULL,
                              .wsgi = x->pool->kind == DX_KIND_WSGI};
    enum dx_hint h = dx_hint_of_answer(&f);
    if (h != DX_HINT_NONE)
        seen(x, h);
}

void hints_see_end(struct exchange *x)
{
    enum dx_hint h = DX_HINT_NONE;

    if (x->outcome == OUTCOME_UPGRADE_REFUSED)
        h = DX_HINT_UPGRADE_TO_WSGI;
    else if (x->outcome == OUTCOME_BAD_REQUEST)
        h = dx_hint_of_refusal(x->status);
    else if (x->request.framing == DX_FRAMING_CHUNKED && x->spool_open && x->head.n > 0)
        h = DX_HINT_CHUNKED_TO_WSGI;
    if (h != DX_HINT_NONE)
        seen(x, h);
}

const char *hints_spool_failed(struct exchange *x, const char *what, const char *effect)
{
    struct dx_proxy *p = x->proxy;
    const char *why = dx_err_text(errno);
    uint64_t times;

    proxy_count(p, DX_COUNTER_SPOOL_FAILURES, 1);
    if (p->hints != NULL && dx_hint_due(&p->hints->spool, dx_loop_now_ms(p->loop), SPOOL_EVERY_MS, &times))
        dx_log(DX_LOG_WARN, "spool_failed", DX_KS("what", what),
               DX_KS("folder", view_config(x->view)->buffer.path), DX_KS("reason", why),
               DX_KS("effect", effect), DX_KI("times", times),
               DX_KS("change",
                     "make room there, or make it writable for the user that diplex runs as, or set "
                     "buffer.path to another directory"));
    return why;
}
