/* SPDX-License-Identifier: MIT */
/*
 * GET / and GET /history: the page, which holds no data and therefore is anybody's, and what its plots are
 * drawn from. The policy lets nothing run but the page's own style and script, and nothing be asked but this
 * address.
 */
#include "admin/page.h"

#include "admin/inside.h"

void answer_page(struct dx_admin *a, struct dx_admin_reply *r)
{
    (void)a;
    struct dx_slice known = reply_ask(r)->known, tag;
    bool has_it = false;
    while (!has_it && dx_slice_next_item(&known, &tag))
        has_it = dx_slice_eq(tag, dx_slice_str(page_tag));
    reply_field(r, "ETag", page_tag);
    reply_field(r, "Cache-Control", "no-cache");
    reply_field(r, "Content-Security-Policy", page_policy);
    reply_field(r, "Referrer-Policy", "no-referrer");
    reply_field(r, "X-Frame-Options", "DENY");
    reply_field(r, "Cross-Origin-Resource-Policy", "same-origin");
    reply_field(r, "Cross-Origin-Opener-Policy", "same-origin");
    if (has_it)
        reply_send(r, 304, "", dx_slice_of(NULL, 0));
    else
        reply_send(r, 200, "text/html; charset=utf-8", dx_slice_of(page_html, page_html_n));
}

void answer_history(struct dx_admin *a, struct dx_admin_reply *r)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    const char *since = reply_param(r, "since");
    uint64_t number = 0;
    struct dx_text text;
    if (since && !dx_slice_to_u64(dx_slice_str(since), &number)) {
        reply_send(r, 400, TYPE_TEXT, DX_SLICE("?since=N: a number\n"));
        return;
    }
    dx_text_init(&text);
    owner->history(owner->arg, number, &text);
    reply_send_made(r, 200, TYPE_JSON, &text);
    dx_text_fini(&text);
}
