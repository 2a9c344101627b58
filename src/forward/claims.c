/* SPDX-License-Identifier: MIT */
/*
 * What the other side says about the client, and how far it is believed. From a peer that is not trusted:
 * nothing. From a trusted one: what is well-formed; a claim that is garbled or comes twice counts as not
 * made, and the connection itself answers instead, which never gives more rights than the claim would have.
 *
 * A claim named by Connection is read all the same. It ends here in any case, and otherwise whoever is behind
 * a trusted proxy could have its address withheld by `Connection: X-Forwarded-For` and pass for that proxy.
 *
 * "unix" is no address: a Unix socket's peer adds nothing to X-Forwarded-For and gives no X-Real-IP; what it
 * claims is still passed when it is trusted.
 */
#include "forward/parts.h"

#define REQUEST_ID_BYTES 128
#define HOST_BYTES       256
#define PORT_DIGITS      5

static bool is_unix(struct dx_slice ip) { return ip.n == 0 || dx_slice_eq(ip, DX_SLICE("unix")); }

/* The value of a field that came exactly once. */
static bool claim(const struct dx_fields *f, enum dx_field_id id, struct dx_slice *out)
{
    const struct dx_field *found = NULL;

    for (unsigned i = 0; i < f->n; i++) {
        if (f->at[i].id != id)
            continue;
        if (found)
            return false;
        found = &f->at[i];
    }
    if (!found)
        return false;
    *out = found->value;
    return true;
}

static bool is_port(struct dx_slice s)
{
    uint64_t v;
    return s.n <= PORT_DIGITS && dx_slice_to_u64(s, &v) && v >= 1 && v <= UINT16_MAX;
}

/* The explicit port of a host, or an empty slice. */
static struct dx_slice port_of(struct dx_slice host)
{
    if (host.n == 0)
        return host;
    size_t at = host.p[0] == '[' ? dx_slice_find(host, ']') : 0;
    struct dx_slice rest = dx_slice_of(host.p + at, host.n - at);
    size_t colon = dx_slice_find(rest, ':');

    if (colon == rest.n)
        return dx_slice_of(NULL, 0);
    rest = dx_slice_of(rest.p + colon + 1, rest.n - colon - 1);
    return is_port(rest) ? rest : dx_slice_of(NULL, 0);
}

/* --- X-Forwarded-For
 * ---------------------------------------------------------------------------------------------- */

/* One list over all fields of the name, walked from its end: `left` is what remains of the field at index
 * `field`. */
struct walk {
    const struct dx_fields *f;
    unsigned field;
    struct dx_slice left;
};

static bool field_before(struct walk *w)
{
    while (w->field > 0) {
        const struct dx_field *f = &w->f->at[--w->field];
        if (f->id != DX_FIELD_X_FORWARDED_FOR)
            continue;
        w->left = f->value;
        return true;
    }
    return false;
}

static bool item_before(struct walk *w, struct dx_slice *item)
{
    do {
        while (w->left.n == 0)
            if (!field_before(w))
                return false;
        size_t start = w->left.n;
        while (start > 0 && w->left.p[start - 1] != ',')
            start--;
        *item = dx_slice_trim(dx_slice_of(w->left.p + start, w->left.n - start));
        w->left.n = start > 0 ? start - 1 : 0;
    } while (item->n == 0);
    return true;
}

/* "192.0.2.1", "2001:db8::1", and as some proxies write them: "192.0.2.1:1234", "[2001:db8::1]",
 * "[2001:db8::1]:1234". */
static bool item_ip(struct dx_slice item, struct dx_slice *ip, struct dx_address *address)
{
    struct dx_slice host = item, port = {NULL, 0};

    if (item.p[0] == '[') {
        size_t close = dx_slice_find(item, ']');
        if (close == item.n)
            return false;
        host = dx_slice_of(item.p + 1, close - 1);
        port = dx_slice_of(item.p + close + 1, item.n - close - 1);
    } else {
        size_t colon = dx_slice_find(item, ':');
        struct dx_slice rest = dx_slice_of(item.p + colon, item.n - colon);
        if (rest.n && !memchr(rest.p + 1, ':', rest.n - 1)) {
            host.n = colon;
            port = rest;
        }
    }
    if (port.n && (port.p[0] != ':' || !is_port(dx_slice_of(port.p + 1, port.n - 1))))
        return false;
    if (!dx_address_from_ip(host, 0, address))
        return false;
    *ip = host;
    return true;
}

static bool is_trusted(const struct dx_forward_request *c, const struct dx_address *a)
{
    for (size_t i = 0; i < c->trusted_n; i++)
        if (dx_cidr_match(&c->trusted[i], a))
            return true;
    return false;
}

struct dx_slice dx_forward_client_ip(const struct dx_fields *f, const struct dx_forward_request *c)
{
    struct walk w = {f, f->n, {NULL, 0}};
    struct dx_slice item, client = c->peer_ip;
    struct dx_address address;

    if (!c->peer_trusted)
        return client;
    while (item_before(&w, &item)) {
        if (!item_ip(item, &item, &address))
            break;
        client = item;
        if (!is_trusted(c, &address))
            break;
    }
    return client;
}

/* Writes the addresses from the byte `from` of field `first` on, each without a port, joined by ", ". */
static bool write_addresses(const struct dx_fields *f, unsigned first, const char *from, struct dx_out *o)
{
    struct dx_address unused;
    bool any = false;

    for (unsigned i = first; i < f->n; i++) {
        if (f->at[i].id != DX_FIELD_X_FORWARDED_FOR)
            continue;
        struct dx_slice item, rest = f->at[i].value;
        if (i == first)
            rest = dx_slice_of(from, (size_t)(rest.p + rest.n - from));
        while (rest.n) {
            size_t comma = dx_slice_find(rest, ',');
            item = dx_slice_trim(dx_slice_of(rest.p, comma));
            size_t used = comma < rest.n ? comma + 1 : comma;
            rest = dx_slice_of(rest.p + used, rest.n - used);
            if (item.n == 0 || !item_ip(item, &item, &unused))
                continue;
            if (any)
                DX_OUT_LIT(o, ", ");
            dx_out_add(o, item);
            any = true;
        }
    }
    return any;
}

/* A trusted peer's list is passed from behind its last item that is no address: whatever stands left of that,
 * nobody vouches for. The peer itself comes last. */
void forward_write_for(const struct dx_fields *f, const struct dx_forward_request *c, struct dx_out *o)
{
    struct walk w = {f, f->n, {NULL, 0}};
    struct dx_slice item, ip;
    struct dx_address unused;
    const char *from = NULL;
    unsigned first = 0;

    while (c->peer_trusted && item_before(&w, &item) && item_ip(item, &ip, &unused)) {
        from = item.p;
        first = w.field;
    }
    if (!from && is_unix(c->peer_ip))
        return;

    DX_OUT_LIT(o, "X-Forwarded-For: ");
    bool any = from && write_addresses(f, first, from, o);
    if (!is_unix(c->peer_ip)) {
        if (any)
            DX_OUT_LIT(o, ", ");
        dx_out_add(o, c->peer_ip);
    }
    DX_OUT_LIT(o, "\r\n");
}

/* --- the others
 * --------------------------------------------------------------------------------------------------- */

static bool is_request_id(struct dx_slice s)
{
    if (s.n < 1 || s.n > REQUEST_ID_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool alnum = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
        if (!alnum && (ch == '\0' || !strchr("._~+/=-", ch)))
            return false;
    }
    return true;
}

struct dx_slice dx_forward_request_id(const struct dx_fields *f, const struct dx_forward_request *c)
{
    struct dx_slice id;

    if (c->peer_trusted && claim(f, DX_FIELD_X_REQUEST_ID, &id) && is_request_id(id))
        return id;
    return c->request_id;
}

/* Servers compare the word as it stands, and know only these two; some proxies say ws and wss of a WebSocket.
 */
struct dx_slice dx_forward_proto(const struct dx_fields *f, const struct dx_forward_request *c)
{
    struct dx_slice said;
    bool https = c->https;

    if (c->peer_trusted && claim(f, DX_FIELD_X_FORWARDED_PROTO, &said)) {
        if (dx_slice_eq_nocase(said, DX_SLICE("https")) || dx_slice_eq_nocase(said, DX_SLICE("wss")))
            https = true;
        else if (dx_slice_eq_nocase(said, DX_SLICE("http")) || dx_slice_eq_nocase(said, DX_SLICE("ws")))
            https = false;
    }
    return https ? DX_SLICE("https") : DX_SLICE("http");
}

static struct dx_slice host_in_force(const struct dx_request *r, const struct dx_forward_request *c)
{
    char buf[HOST_BYTES];
    struct dx_slice said, name;
    uint16_t port;

    if (c->peer_trusted && claim(&r->fields, DX_FIELD_X_FORWARDED_HOST, &said) &&
        dx_http_host_split(said, buf, sizeof buf, &name, &port) && name.n)
        return said;
    return r->host;
}

void forward_client_read(const struct dx_request *r, const struct dx_forward_request *c,
                         struct forward_client *out)
{
    struct dx_slice said, ip = dx_forward_client_ip(&r->fields, c);

    out->ip = is_unix(ip) ? dx_slice_of(NULL, 0) : ip;
    out->proto = dx_forward_proto(&r->fields, c);
    out->host = host_in_force(r, c);
    out->request_id = dx_forward_request_id(&r->fields, c);
    out->port = port_of(out->host);
    if (out->port.n == 0)
        out->port = out->proto.n == sizeof "https" - 1 ? DX_SLICE("443") : DX_SLICE("80");
    if (c->peer_trusted && claim(&r->fields, DX_FIELD_X_FORWARDED_PORT, &said) && is_port(said))
        out->port = said;
}
