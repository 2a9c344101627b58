/* SPDX-License-Identifier: MIT */
/* Response heads, to GET and to HEAD, and trailer sections: the same answer however the bytes come, and
 * nothing ambiguous accepted. */
#include "diplex/forward.h"
#include "fuzz_cuts.h"

#define HEAD_EXTRA 512 /* as in src/proxy/h1.c */

struct answer {
    enum dx_parse parse;
    struct dx_response r;
    struct dx_field at[FUZZ_FIELDS];
    size_t used;
    struct dx_http_error err;
};

static void parse(struct answer *a, const char *p, size_t n, size_t seen, enum dx_method request)
{
    a->r.fields = (struct dx_fields){a->at, 0, FUZZ_FIELDS};
    a->parse = dx_http1_response_head(p, n, seen, &fuzz_limits, request, &a->r, &a->used, &a->err);
}

static void check_same(const struct answer *a, const struct answer *b)
{
    const struct dx_response *x = &a->r, *y = &b->r;

    DX_ASSERT(a->parse == b->parse);
    if (a->parse == DX_PARSE_BAD)
        DX_ASSERT(fuzz_same_error(a->err, b->err));
    if (a->parse != DX_PARSE_DONE)
        return;
    DX_ASSERT(a->used == b->used && x->status == y->status && x->minor == y->minor);
    DX_ASSERT(x->reason.p == y->reason.p && x->reason.n == y->reason.n);
    DX_ASSERT(x->framing == y->framing && x->length == y->length && x->keep_alive == y->keep_alive);
    DX_ASSERT(x->upgrade == y->upgrade && x->stream == y->stream && x->fields.n == y->fields.n);
}

static void check_done(const struct answer *a, const char *p, enum dx_method request)
{
    const struct dx_response *r = &a->r;
    bool empty = request == DX_METHOD_HEAD || r->status < 200 || r->status == 204 || r->status == 304;

    fuzz_check_head(p, a->used);
    fuzz_check_fields(&r->fields, p, a->used);
    DX_ASSERT(fuzz_inside(r->reason, p, a->used));
    DX_ASSERT(r->status >= 100 && r->status <= 999 && r->minor <= 1);
    DX_ASSERT((r->framing == DX_FRAMING_NONE) == empty);
    DX_ASSERT(r->framing != DX_FRAMING_CLOSE || !r->keep_alive);
    DX_ASSERT(!r->upgrade || r->status == 101);
}

/* As src/forward writes it for a client of this version, it is read as the same answer. */
static void check_forwarded(const struct dx_response *r, size_t head_bytes, enum dx_method request,
                            unsigned minor)
{
    static const struct dx_http1_limits wide = {.head_bytes = 16384, .fields = FUZZ_FORWARDED};
    static char head[16384];
    struct dx_field at[FUZZ_FORWARDED];
    struct dx_response again = {.fields = {at, 0, FUZZ_FORWARDED}};
    bool unknown = r->framing == DX_FRAMING_CHUNKED || r->framing == DX_FRAMING_CLOSE;
    struct dx_forward_response how = {.client_minor = minor,
                                      .framing = !unknown     ? r->framing
                                                 : minor == 0 ? DX_FRAMING_CLOSE
                                                              : DX_FRAMING_CHUNKED,
                                      .length = r->length,
                                      .keep_alive = minor == 1,
                                      .upgrade = r->status == 101,
                                      .date = DX_SLICE("Sun, 22 Nov 2026 17:00:00 GMT")};
    struct dx_out o = dx_out_of(head, head_bytes + HEAD_EXTRA);
    struct dx_http_error err;
    size_t used;

    if (r->status == 101 && !r->upgrade)
        return; /* it is refused */
    DX_ASSERT(dx_forward_write_response(r, &how, &o));
    struct dx_slice s = dx_out_slice(&o);
    DX_ASSERT(dx_http1_response_head(s.p, s.n, 0, &wide, request, &again, &used, &err) == DX_PARSE_DONE);
    DX_ASSERT(used == s.n && again.status == r->status && again.framing == how.framing);
    DX_ASSERT(again.framing != DX_FRAMING_LENGTH || again.length == r->length);
    fuzz_check_head(s.p, s.n);
}

static void check_head(const char *p, size_t n, enum dx_method request)
{
    struct answer whole, slow = {.parse = DX_PARSE_MORE};

    parse(&whole, p, n, 0, request);
    DX_ASSERT(whole.parse != DX_PARSE_MORE || n < fuzz_limits.head_bytes);
    DX_ASSERT(whole.parse != DX_PARSE_BAD || whole.err.status == 502);
    for (size_t at = 0; at < n; at = fuzz_next_cut(at, n)) {
        struct answer cut;
        parse(&cut, p, at, 0, request);
        if (cut.parse == DX_PARSE_MORE)
            parse(&cut, p, n, at, request);
        check_same(&whole, &cut);
    }
    for (size_t i = 1; i <= n && slow.parse == DX_PARSE_MORE; i++) {
        struct answer fresh;
        parse(&slow, p, i, i - 1, request);
        if (i % (1 + n / FUZZ_EVERY_CUT) == 0) {
            parse(&fresh, p, i, 0, request);
            check_same(&fresh, &slow);
        }
    }
    check_same(&whole, &slow);
    if (whole.parse != DX_PARSE_DONE)
        return;
    check_done(&whole, p, request);
    check_forwarded(&whole.r, whole.used, request, 0);
    check_forwarded(&whole.r, whole.used, request, 1);
}

static void check_trailers(const char *p, size_t n)
{
    struct dx_field at[FUZZ_FIELDS], prefix_at[FUZZ_FIELDS];
    struct dx_fields f = {at, 0, FUZZ_FIELDS}, prefix_f = {prefix_at, 0, FUZZ_FIELDS};
    struct dx_http_error err, prefix_err;
    size_t used, prefix_used;
    enum dx_parse whole = dx_http1_trailers(p, n, &fuzz_limits, &f, &used, &err);

    for (size_t i = 0; i < n;
         i = fuzz_next_cut(i, n)) { /* what is decided on the first bytes stays decided */
        enum dx_parse prefix = dx_http1_trailers(p, i, &fuzz_limits, &prefix_f, &prefix_used, &prefix_err);
        if (prefix == DX_PARSE_MORE)
            continue;
        DX_ASSERT(prefix == whole);
        DX_ASSERT(whole == DX_PARSE_DONE ? prefix_used == used : fuzz_same_error(prefix_err, err));
    }
    for (unsigned i = 0; whole == DX_PARSE_DONE && i < f.n; i++) {
        bool framing = dx_slice_eq_nocase(at[i].name, DX_SLICE("content-length")) ||
                       dx_slice_eq_nocase(at[i].name, DX_SLICE("transfer-encoding")) ||
                       dx_slice_eq_nocase(at[i].name, DX_SLICE("host"));
        DX_ASSERT(!framing || at[i].drop);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    const char *eol = size ? memchr(p, '\n', size) : NULL;

    check_head(p, size, DX_METHOD_GET);
    check_head(p, size, DX_METHOD_HEAD);
    if (eol)
        check_trailers(eol + 1, size - (size_t)(eol + 1 - p));
    return 0;
}
