/* SPDX-License-Identifier: MIT */
/* What is under maintenance, by hand and by the file: told alone, in /status, and after each change. */
#include "admin/inside.h"

static void add_name(struct dx_text *out, bool first, const char *host, const char *path)
{
    struct dx_text name;

    dx_text_init(&name);
    dx_text_addf(&name, "%s%s", host, path);
    dx_text_adds(out, first ? "" : ",");
    dx_text_add_json(out, dx_slice_of(name.p, name.n));
    out->failed |= name.failed;
    dx_text_fini(&name);
}

void maintenance_write(const struct dx_admin_facts *f, struct dx_text *out)
{
    const struct dx_config *c = f->config;
    bool first = true;

    dx_text_adds(out, "{\"switched_on\":[");
    for (size_t i = 0; i < f->maintained_n; i++)
        add_name(out, i == 0, "", f->maintained[i][0] ? f->maintained[i] : "*");
    dx_text_adds(out, "],\"on_by_file\":[");
    for (unsigned i = 0; i < c->routes_n; i++) {
        if (!c->routes[i].maintenance.on)
            continue;
        add_name(out, first, c->routes[i].host, c->routes[i].path);
        first = false;
    }
    dx_text_adds(out, "]}");
}

static void tell(struct dx_admin *a, struct dx_admin_reply *r)
{
    struct dx_admin_facts facts;
    struct dx_text text;

    admin_facts(a, &facts);
    dx_text_init(&text);
    maintenance_write(&facts, &text);
    dx_text_adds(&text, "\n");
    reply_send_made(r, 200, TYPE_JSON, &text);
    dx_text_fini(&text);
}

/* GET; POST ?on or ?off, with the name of a pool or a route, or with nothing for everything. */
void answer_maintenance(struct dx_admin *a, struct dx_admin_reply *r)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    const char *on = reply_param(r, "on"), *off = reply_param(r, "off");
    struct dx_text text;

    if (!reply_ask(r)->post) {
        tell(a, r);
        return;
    }
    if (!on == !off) {
        reply_send(r, 400, TYPE_TEXT,
                   DX_SLICE("say what: ?on=NAME or ?off=NAME, a pool or a route; * is everything\n"));
        return;
    }
    dx_text_init(&text);
    if (owner->maintenance(owner->arg, on != NULL, dx_slice_str(on ? on : off), &text))
        tell(a, r);
    else
        reply_send_made(r, 404, TYPE_TEXT, &text);
    dx_text_fini(&text);
}
