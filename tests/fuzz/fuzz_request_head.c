/* SPDX-License-Identifier: MIT */
/*
 * Request heads: the answer is the same however the bytes come, a head that is accepted has nothing in it
 * that servers could read in two ways, and what it means is still the same when it is written out again and
 * read once more: as it came, and as src/forward writes it for a server, in the room that the exchange gives
 * it.
 */
#include "diplex/forward.h"
#include "fuzz_cuts.h"

#define HEAD_GROWTH 1024 /* as in src/proxy/exchange.c */

struct answer {
    enum dx_parse parse;
    struct dx_request r;
    struct dx_field at[FUZZ_FIELDS];
    size_t used;
    struct dx_http_error err;
};

static void parse(struct answer *a, const char *p, size_t n, size_t seen)
{
    a->r.fields = (struct dx_fields){a->at, 0, FUZZ_FIELDS};
    a->parse = dx_http1_request_head(p, n, seen, &fuzz_limits, &a->r, &a->used, &a->err);
}

static void check_same_meaning(const struct dx_request *a, const struct dx_request *b)
{
    DX_ASSERT(a->method_id == b->method_id && a->form == b->form && a->minor == b->minor);
    DX_ASSERT(dx_slice_eq(a->method, b->method) && dx_slice_eq(a->target, b->target));
    DX_ASSERT(dx_slice_eq(a->path, b->path) && dx_slice_eq(a->query, b->query) &&
              dx_slice_eq(a->host, b->host));
    DX_ASSERT(a->framing == b->framing && a->length == b->length && a->keep_alive == b->keep_alive);
    DX_ASSERT(a->expect_continue == b->expect_continue && a->upgrade == b->upgrade);
    DX_ASSERT(a->websocket == b->websocket && a->fields.n == b->fields.n);
    for (unsigned i = 0; i < a->fields.n; i++) {
        const struct dx_field *x = &a->fields.at[i], *y = &b->fields.at[i];
        DX_ASSERT(dx_slice_eq(x->name, y->name) && dx_slice_eq(x->value, y->value));
        DX_ASSERT(x->id == y->id && x->drop == y->drop);
    }
}

static void check_same(const struct answer *a, const struct answer *b)
{
    DX_ASSERT(a->parse == b->parse);
    if (a->parse == DX_PARSE_BAD)
        DX_ASSERT(fuzz_same_error(a->err, b->err));
    if (a->parse == DX_PARSE_DONE) {
        DX_ASSERT(a->used == b->used);
        check_same_meaning(&a->r, &b->r);
    }
}

static void check_done(const struct answer *a, const char *p)
{
    const struct dx_request *r = &a->r;
    char host[256];
    struct dx_slice name;
    uint16_t port;

    fuzz_check_head(p, a->used);
    fuzz_check_fields(&r->fields, p, a->used);
    DX_ASSERT(fuzz_inside(r->method, p, a->used) && fuzz_inside(r->target, p, a->used));
    DX_ASSERT(fuzz_inside(r->query, p, a->used) && fuzz_inside(r->host, p, a->used));
    DX_ASSERT(fuzz_inside(r->path, p, a->used) || (r->form == DX_TARGET_ABSOLUTE && r->path.n == 1));
    DX_ASSERT(r->path.n > 0 && (r->path.p[0] == '/' || dx_slice_eq(r->path, DX_SLICE("*"))));
    DX_ASSERT(r->query.n == 0 || r->query.p[0] == '?');
    DX_ASSERT(r->minor == 0 || r->host.n > 0);
    DX_ASSERT(r->host.n == 0 || dx_http_host_split(r->host, host, sizeof(host), &name, &port));
    DX_ASSERT(r->form != DX_TARGET_AUTHORITY && r->framing != DX_FRAMING_CLOSE);
    DX_ASSERT(r->framing == DX_FRAMING_LENGTH || r->length == 0);
    DX_ASSERT(!r->websocket || (r->upgrade && r->method_id == DX_METHOD_GET && r->length == 0));
}

/* What the log is told of a head that is refused or not whole: nothing that does not stand there. */
static void check_known(const struct answer *a, const char *p, size_t n)
{
    struct dx_field at[FUZZ_FIELDS];
    struct dx_request r = {.fields = {at, 0, FUZZ_FIELDS}};
    char host[256];
    struct dx_slice name;
    uint16_t port;
    enum dx_http1_known known = dx_http1_request_known(p, n, &fuzz_limits, &r);

    DX_ASSERT(r.method.n == 0 || fuzz_inside(r.method, p, n));
    DX_ASSERT(r.target.n == 0 || fuzz_inside(r.target, p, n));
    DX_ASSERT(r.target.n <= fuzz_limits.target_bytes && (known == DX_HTTP1_KNOWN || r.path.n == 0));
    DX_ASSERT(r.host.n == 0 || dx_http_host_split(r.host, host, sizeof(host), &name, &port));
    DX_ASSERT(r.fields.n <= fuzz_limits.fields);
    for (unsigned i = 0; i < r.fields.n; i++)
        DX_ASSERT(fuzz_inside(at[i].name, p, n) && fuzz_inside(at[i].value, p, n));
    if (a->parse != DX_PARSE_DONE)
        return;
    DX_ASSERT(known == DX_HTTP1_KNOWN && r.fields.n == a->r.fields.n && r.minor == a->r.minor);
    DX_ASSERT(dx_slice_eq(r.method, a->r.method) && dx_slice_eq(r.target, a->r.target));
    DX_ASSERT(a->r.form != DX_TARGET_ORIGIN || dx_slice_eq(r.path, a->r.path));
}

/* Written in one way, with a higher minor version read as 1. */
static void check_round_trip(const struct dx_request *r)
{
    static const struct dx_http1_limits wide = {.head_bytes = 8192, .target_bytes = 256, .fields = 16};
    char head[8192];
    struct dx_out o = dx_out_of(head, sizeof(head));
    struct answer again = {.r.fields = {again.at, 0, FUZZ_FIELDS}};

    dx_out_add(&o, r->method);
    DX_OUT_LIT(&o, " ");
    dx_out_add(&o, r->target);
    dx_out_add(&o, r->minor ? DX_SLICE(" HTTP/1.1\r\n") : DX_SLICE(" HTTP/1.0\r\n"));
    for (unsigned i = 0; i < r->fields.n; i++)
        dx_http1_write_field(&o, r->fields.at[i].name, r->fields.at[i].value);
    DX_OUT_LIT(&o, "\r\n");
    DX_ASSERT(!o.overflow);
    struct dx_slice s = dx_out_slice(&o);
    again.parse = dx_http1_request_head(s.p, s.n, 0, &wide, &again.r, &again.used, &again.err);
    DX_ASSERT(again.parse == DX_PARSE_DONE && again.used == s.n);
    check_same_meaning(r, &again.r);
}

/* Hop by hop fields end here, and nothing passes that a server could take for another field (gunicorn reads
 * '-' and '_' alike) or for what only we say. */
static void check_passed(const struct dx_fields *f)
{
    unsigned hosts = 0, claims = 0;
    for (unsigned i = 0; i < f->n; i++) {
        struct dx_slice name = f->at[i].name;
        DX_ASSERT(dx_slice_find(name, '_') == name.n);
        DX_ASSERT(f->at[i].id != DX_FIELD_TE && f->at[i].id != DX_FIELD_KEEP_ALIVE);
        hosts += f->at[i].id == DX_FIELD_HOST;
        claims += dx_slice_eq_nocase(name, DX_SLICE("X-Forwarded-For"));
    }
    DX_ASSERT(hosts == 1 && claims == 1);
}

static void check_forwarded(const struct dx_request *r, size_t head_bytes, bool trusted)
{
    static const struct dx_http1_limits wide = {
        .head_bytes = 16384, .target_bytes = 8192, .fields = FUZZ_FORWARDED};
    static char head[16384];
    struct dx_field at[FUZZ_FORWARDED];
    struct dx_request again = {.fields = {at, 0, FUZZ_FORWARDED}};
    struct dx_forward_request c = {.peer_ip = DX_SLICE("203.0.113.9"),
                                   .peer_trusted = trusted,
                                   .request_id = DX_SLICE("0123456789abcdef0123456789abcdef"),
                                   .start_us = UINT64_MAX,
                                   .framing = r->framing,
                                   .length = r->length,
                                   .expect_continue = r->expect_continue};
    struct dx_out o = dx_out_of(head, head_bytes + HEAD_GROWTH + 2 * r->host.n);
    struct dx_http_error err;
    size_t used;

    if (r->counted && r->max_forwards == 0)
        return; /* it goes nowhere */
    DX_ASSERT(dx_forward_write_request(r, &c, &o));
    struct dx_slice s = dx_out_slice(&o);
    if (r->host.n == 0)
        return; /* an old client's: the field is empty (RFC 9112 3.2), which diplex itself takes of nobody */
    DX_ASSERT(dx_http1_request_head(s.p, s.n, 0, &wide, &again, &used, &err) == DX_PARSE_DONE && used == s.n);
    fuzz_check_head(s.p, s.n);
    check_passed(&again.fields);
    DX_ASSERT(dx_slice_eq(r->method, again.method) && dx_slice_eq(r->query, again.query));
    DX_ASSERT(dx_slice_eq(r->path, again.path) || again.form == DX_TARGET_ASTERISK);
    DX_ASSERT(dx_slice_eq(r->host, again.host) && again.minor == 1 && r->websocket == again.websocket);
    DX_ASSERT(r->length == again.length &&
              (r->framing == DX_FRAMING_CHUNKED) == (again.framing == DX_FRAMING_CHUNKED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct answer whole, slow = {.parse = DX_PARSE_MORE};

    parse(&whole, p, size, 0);
    DX_ASSERT(whole.parse != DX_PARSE_MORE || size < fuzz_limits.head_bytes);
    for (size_t at = 0; at < size; at = fuzz_next_cut(at, size)) {
        struct answer cut;
        parse(&cut, p, at, 0);
        if (cut.parse == DX_PARSE_MORE)
            parse(&cut, p, size, at);
        check_same(&whole, &cut);
    }
    for (size_t n = 1; n <= size && slow.parse == DX_PARSE_MORE; n++) {
        struct answer fresh;
        parse(&slow, p, n, n - 1);
        if (n % (1 + size / FUZZ_EVERY_CUT) == 0) {
            parse(&fresh, p, n, 0);
            check_same(&fresh, &slow);
        }
    }
    check_same(&whole, &slow);
    check_known(&whole, p, size);
    if (whole.parse == DX_PARSE_DONE) {
        check_done(&whole, p);
        check_round_trip(&whole.r);
        check_forwarded(&whole.r, whole.used, false);
        check_forwarded(&whole.r, whole.used, true);
    }
    return 0;
}
