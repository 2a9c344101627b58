/* SPDX-License-Identifier: MIT */
/*
 * Who may ask what. A Unix socket is guarded by the mode of its file, so whoever speaks through it may do
 * everything. A TCP address is reached by strangers: there verbs need the token, and so does reading, unless
 * the door is open to readers. Then a browser may be made to read it for a page of somebody else, whose name
 * was made to lead here; so a request is answered only when its Host is no name that strangers could own. No
 * answer ever carries a field of CORS.
 *
 * The socket may be carried to a browser as well (ssh -L), which shows pages of strangers beside ours: there
 * a name with a dot in it is no name of ours, and what a page of another origin sends is refused.
 */
#include "admin/guests.h"
#include "diplex/base/log.h"

#define TELL_EVERY_US (10 * 1000000ull)

/* Takes as long for a wrong first byte as for a wrong last one; how long the right one is, it gives away. */
static bool same_secret(struct dx_slice said, const char *token)
{
    size_t n = strlen(token);
    volatile unsigned char differs = said.n != n;
    for (size_t i = 0; i < said.n; i++)
        differs = differs | (unsigned char)(said.p[i] ^ token[n ? i % n : 0]);
    return !differs;
}

static bool has_token(const struct dx_admin_door *door, const struct dx_request *request)
{
    const struct dx_field *found = NULL;
    for (unsigned i = 0; i < request->fields.n; i++) {
        if (request->fields.at[i].id != DX_FIELD_AUTHORIZATION)
            continue;
        if (found)
            return false;
        found = &request->fields.at[i];
    }
    if (!found || !door->token || found->value.n < 7 ||
        !dx_slice_eq_nocase(dx_slice_of(found->value.p, 7), DX_SLICE("bearer ")))
        return false;
    return same_secret(dx_slice_trim(dx_slice_of(found->value.p + 7, found->value.n - 7)), door->token);
}

/* RFC 6761 6.3: localhost and what ends in it are this machine. */
static bool is_local_name(struct dx_slice name)
{
    const struct dx_slice local = DX_SLICE("localhost");
    if (name.n < local.n || !dx_slice_eq_nocase(dx_slice_of(name.p + name.n - local.n, local.n), local))
        return false;
    return name.n == local.n || name.p[name.n - local.n - 1] == '.';
}

static bool is_own_host(const struct dx_admin_door *door, struct dx_slice name)
{
    struct dx_address ignored;
    if (name.n > 2 && name.p[0] == '[')
        name = dx_slice_of(name.p + 1, name.n - 2);
    if (name.n == 0 || dx_address_from_ip(name, 0, &ignored) ||
        is_local_name(name)) /* every browser sends one */
        return true;
    for (size_t i = 0; i < door->hosts_n; i++)
        if (dx_slice_eq_nocase(name, dx_slice_str(door->hosts[i])))
            return true;
    return false;
}

/* Strangers knock often, so it is said now and then, with how often it was. */
static void tell(struct guest *g, const char *why)
{
    struct dx_admin *a = g->admin;
    uint64_t now = dx_loop_now_us(a->loop);
    a->refused_untold++;
    if (a->refused_told_us && now - a->refused_told_us < TELL_EVERY_US)
        return;
    dx_log(DX_LOG_WARN, "admin_refused", DX_KS("client", g->ip), DX_KS("reason", why),
           DX_KI("times", a->refused_untold));
    a->refused_told_us = now;
    a->refused_untold = 0;
}

/* Browsers say with every POST which page it comes of; a page of ours has the Host at hand. */
static bool is_own_origin(const struct dx_request *request)
{
    const struct dx_slice scheme = DX_SLICE("http://");
    const struct dx_field *origin = dx_http_find(&request->fields, DX_FIELD_ORIGIN);
    if (!origin)
        return true;
    struct dx_slice said = origin->value;
    return dx_slice_starts(said, scheme) &&
           dx_slice_eq_nocase(dx_slice_of(said.p + scheme.n, said.n - scheme.n), request->host);
}

static void look_at_browser(struct guest *g, const struct dx_request *request, struct dx_admin_reply *r)
{
    bool public_name = dx_slice_find(request->host_name, '.') < request->host_name.n;
    if (public_name && !is_own_host(g->door, request->host_name))
        reply_refuse(r, 403, "call it localhost, or by an address");
    else if (!is_own_origin(request))
        reply_refuse(r, 403, "a page of another origin may not ask this");
}

void trust_look(struct guest *g, const struct dx_request *request, struct dx_admin_reply *r)
{
    const struct dx_admin_door *door = g->door;
    if (!door->is_tcp) {
        look_at_browser(g, request, r);
        return;
    }
    if (door->only && (!r->row || strcmp(r->row->path, door->only) != 0)) {
        reply_refuse(r, 404, "there is nothing else here");
        return;
    }
    if (door->only)
        return;
    if (door->read_open && !is_own_host(door, request->host_name)) {
        tell(g, "Host");
        reply_refuse(r, 403, "call it by its address, or name this host in admin.hosts");
        return;
    }
    enum who who = r->row ? r->row->who : READER;
    if (who == ANYONE || (who == READER && door->read_open) || has_token(door, request))
        return;
    tell(g, "token");
    reply_field(r, "WWW-Authenticate", "Bearer realm=\"diplex\"");
    reply_refuse(r, 401, "the token is missing or wrong: Authorization: Bearer TOKEN");
}
