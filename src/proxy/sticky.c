/* SPDX-License-Identifier: MIT */
/*
 * Sticky pools: what of a request says which server it wishes for (RFC 6265 for cookies), and the cookie that
 * makes the next one wish for the server that answered. The cookie holds the server's mark, a keyed hash, and
 * nothing else; one that was made up names nobody, or a server that the client may reach anyhow.
 */
#include "proxy/internal.h"

#define MARK_DIGITS  16u
#define COOKIE_EXTRA 96u /* beside the name: the mark and the attributes */

/* Never 0. */
static uint64_t key_of(struct dx_slice text)
{
    uint64_t key = dx_hash_finish(dx_hash_more(DX_HASH_START, text));
    return key != 0 ? key : 1;
}

static uint64_t parse_mark(struct dx_slice s)
{
    uint64_t mark = 0;

    if (s.n == 0 || s.n > MARK_DIGITS)
        return 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f'))
            return 0;
        mark = mark << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return mark;
}

/* The first cookie of that name whose value is a mark; 0: there is none. */
static uint64_t cookie_mark(struct dx_slice cookies, struct dx_slice name)
{
    while (cookies.n > 0) {
        size_t end = dx_slice_find(cookies, ';');
        struct dx_slice pair = dx_slice_trim(dx_slice_of(cookies.p, end));
        cookies = end < cookies.n ? dx_slice_of(cookies.p + end + 1, cookies.n - end - 1) : DX_SLICE("");
        if (pair.n <= name.n || !dx_slice_starts(pair, name) || pair.p[name.n] != '=')
            continue;
        uint64_t mark = parse_mark(dx_slice_of(pair.p + name.n + 1, pair.n - name.n - 1));
        if (mark != 0)
            return mark;
    }
    return 0;
}

/* A client may send more than one Cookie field. */
static uint64_t mark_wished(const struct dx_fields *f, struct dx_slice name)
{
    uint64_t mark = 0;

    for (unsigned i = 0; i < f->n && mark == 0; i++)
        if (f->at[i].id == DX_FIELD_COOKIE)
            mark = cookie_mark(f->at[i].value, name);
    return mark;
}

static uint64_t key_in_header(const struct dx_fields *f, struct dx_slice name)
{
    for (unsigned i = 0; i < f->n; i++)
        if (dx_slice_eq_nocase(f->at[i].name, name) && f->at[i].value.n > 0)
            return key_of(f->at[i].value);
    return 0;
}

void sticky_wish(struct exchange *x)
{
    const struct dx_fields *f = &x->request.fields;

    switch (x->pool->sticky.by) {
    case DX_STICKY_OFF:
        break;
    case DX_STICKY_COOKIE:
        x->wish.mark = mark_wished(f, dx_slice_str(x->pool->sticky.cookie));
        break;
    case DX_STICKY_CLIENT_IP:
        x->wish.key = x->client_ip.n > 0 ? key_of(x->client_ip) : 0;
        break;
    case DX_STICKY_HEADER:
        x->wish.key = key_in_header(f, dx_slice_str(x->pool->sticky.header));
        break;
    }
}

struct dx_slice sticky_cookie(struct exchange *x)
{
    const struct dx_server *s = dx_connection_server(x->connection);
    uint64_t mark = dx_server_mark(s), wished = x->wish.mark;
    struct dx_slice name = dx_slice_str(x->pool->sticky.cookie);

    /* The client stays at home when its server had no slot free this time, or could not be reached once. */
    if (mark == 0 || mark == wished || (wished != 0 && dx_server_has_beside(s, wished)))
        return DX_SLICE("");
    size_t cap = name.n + COOKIE_EXTRA;
    char *p = dx_arena_alloc(&x->arena, cap);
    if (p == NULL)
        return DX_SLICE(""); /* the answer is worth more than where the next one comes from */
    struct dx_out out = dx_out_of(p, cap);
    dx_out_add(&out, name);
    dx_out_byte(&out, '=');
    dx_out_hex(&out, mark);
    DX_OUT_LIT(&out, "; Path=/; HttpOnly; SameSite=Lax");
    if (dx_slice_eq(x->proto, DX_SLICE("https")))
        DX_OUT_LIT(&out, "; Secure");
    DX_ASSERT(!out.overflow);
    return dx_out_slice(&out);
}
