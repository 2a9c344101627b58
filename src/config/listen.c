/* SPDX-License-Identifier: MIT */
/* Where clients come in and whom we believe: `listen` and `trusted_proxies`. */
#include "config/reader.h"

#include <stdlib.h>

void dx_config_read_listen_address(struct dx_config_reader *r, const struct dx_config_setting *s,
                                   struct dx_node *v, void *base)
{
    struct dx_listen_config *l = base;
    struct dx_slice text;
    struct dx_address address;
    uint64_t port = 0;
    char bare[8] = ":";
    if (!dx_config_text(r, v, s->key, &text))
        return;
    struct dx_slice full = text;
    if (text.n <= 5 && dx_slice_to_u64(text, &port)) {
        memcpy(bare + 1, text.p, text.n);
        full = dx_slice_of(bare, text.n + 1);
    }
    bool relative = dx_slice_starts(text, DX_SLICE("unix:")) && !dx_slice_starts(text, DX_SLICE("unix:/"));
    if (relative || !dx_address_parse(full, true, &address)) {
        dx_config_fault(
            r, v,
            "'%.*s' is no address to listen on: write :8080, 127.0.0.1:8080, [::1]:8080 or unix:/path (of "
            "at most 107 bytes); no names",
            DX_SLICE_ARGS(text));
        return;
    }
    l->text = dx_config_keep(r, text);
    l->address = address;
}

void dx_config_read_tcp_address(struct dx_config_reader *r, const struct dx_config_setting *s,
                                struct dx_node *v, void *base)
{
    struct dx_listen_config l = {.text = NULL};
    struct dx_slice text;
    if (!dx_config_text(r, v, s->key, &text))
        return;
    if (dx_slice_eq_nocase(text, DX_SLICE("off"))) {
        memcpy((char *)base + s->place, &l, sizeof l);
        return;
    }
    dx_config_read_listen_address(r, s, v, &l);
    if (!l.text)
        return;
    if (s->type == TYPE_TCP_ADDRESS && dx_address_is_unix(&l.address))
        dx_config_fault(r, v, "'%s' is an address of TCP here, such as 127.0.0.1:9000", s->key);
    else
        memcpy((char *)base + s->place, &l, sizeof l);
}

/* At the end, because the keys may come in any order. */
void dx_config_check_admin(struct dx_config_reader *r, const struct dx_node *root)
{
    const struct dx_config *c = &r->own->model;
    const struct dx_node *admin = dx_node_find(root, "admin");
    if (!admin || admin->kind != DX_NODE_MAP || r->faults->n > 0)
        return;
    static const char *const keys[] = {"token", "read", "hosts"};
    if (c->admin.listen.text && !c->admin.token)
        dx_config_fault(
            r, dx_node_find(admin, "listen"),
            "'listen' of 'admin' needs a 'token', or everybody who can connect could reload and drain: "
            "write token: ${DIPLEX_ADMIN_TOKEN}");
    for (size_t i = 0; i < DX_COUNT(keys) && !c->admin.listen.text; i++)
        if (dx_node_find(admin, keys[i]))
            dx_config_fault(r, dx_node_find(admin, keys[i]),
                            "'%s' is for 'listen' of 'admin', which is not set", keys[i]);
    if (c->admin.listen.text && c->admin.hosts.n && c->admin.read != DX_ADMIN_READ_OPEN)
        dx_config_fault(r, dx_node_find(admin, "hosts"), "'hosts' is for 'read: open'");
    for (unsigned i = 0; i < c->listen_n && c->admin.listen.text; i++)
        if (dx_address_eq(&c->admin.listen.address, &c->listen[i].address))
            dx_config_fault(r, dx_node_find(admin, "listen"), "'%s' is where clients come in already",
                            c->admin.listen.text);
}

void dx_config_check_metrics(struct dx_config_reader *r, const struct dx_node *root)
{
    const struct dx_config *c = &r->own->model;
    const struct dx_listen_config *m = &c->metrics.listen;
    const struct dx_node *metrics = dx_node_find(root, "metrics");
    if (!metrics || !m->text || r->faults->n > 0)
        return;
    bool taken = c->admin.listen.text && dx_address_eq(&m->address, &c->admin.listen.address);
    for (unsigned i = 0; i < c->listen_n; i++)
        taken |= dx_address_eq(&m->address, &c->listen[i].address);
    if (taken && dx_address_port(&m->address) != 0)
        dx_config_fault(r, metrics, "'%s' is taken already, by 'listen' or 'admin'", m->text);
}

static void read_one(struct dx_config_reader *r, struct dx_node *v, struct dx_listen_config *l)
{
    dx_config_read_defaults(r, SCOPE_LISTEN, DX_KIND_WSGI, l);
    dx_config_read_group(r, SCOPE_LISTEN, v, v, l);
    const struct dx_node *mode = dx_node_find(v, "mode");
    if (mode && l->address.len && !dx_address_is_unix(&l->address))
        dx_config_fault(r, mode, "'mode' is for Unix sockets: '%s' has no file", l->text);
}

/* What stands in such a header would otherwise be believed of everybody who can connect (proxy-protocol.txt 2
 * and 5). At the end, because trusted_proxies may come after listen. */
void dx_config_check_listens(struct dx_config_reader *r, const struct dx_node *root)
{
    const struct dx_config *c = &r->own->model;
    struct dx_node *v = dx_node_find(root, "listen");
    bool listed = v && v->kind == DX_NODE_LIST;
    size_t n = !v ? 0 : listed ? v->n : 1;
    for (size_t i = 0; i < n && i < c->listen_n && r->own->trusted_n == 0; i++) {
        const struct dx_node *entry = listed ? v->items[i] : v;
        if (c->listen[i].proxy_protocol)
            dx_config_fault(r, dx_node_find(entry, "proxy_protocol"),
                            "'proxy_protocol' needs 'trusted_proxies', the load balancers whose headers are "
                            "believed: write for instance trusted_proxies: [private]");
    }
}

static void check_twice(struct dx_config_reader *r, const struct dx_config *c, struct dx_node *const *items)
{
    for (unsigned i = 1; i < c->listen_n; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (c->listen[i].address.len && dx_address_eq(&c->listen[i].address, &c->listen[k].address)) {
                dx_config_fault(r, items[i], "'%s' is listened on already", c->listen[i].text);
                break;
            }
        }
    }
}

#define LISTEN_MAX 64u

void dx_config_read_listens(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                            void *base)
{
    struct dx_config *c = base;
    struct dx_node *only[1] = {v}, **items = v->kind == DX_NODE_LIST ? v->items : only;
    size_t n = v->kind == DX_NODE_LIST ? v->n : 1;
    unsigned *lines = r->lines;
    if (n == 0 || n > LISTEN_MAX) {
        dx_config_fault(r, v, "'%s' needs between 1 and %u addresses", s->key, LISTEN_MAX);
        return;
    }
    struct dx_listen_config *list = dx_config_take(r, &r->own->arena, n, sizeof *list);
    if (!list)
        return;
    r->lines = NULL;
    for (size_t i = 0; i < n; i++)
        read_one(r, items[i], &list[i]);
    r->lines = lines;
    c->listen = list;
    c->listen_n = (unsigned)n;
    check_twice(r, c, items);
}

static const struct word {
    const char *word;
    const char *networks; /* separated by spaces */
} words[] = {
    {"loopback", "127.0.0.0/8 ::1"},
    {"private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"},
    {"unix", "unix"},
};
#define NETWORKS_OF_A_WORD 4u

static void add_networks(struct dx_config_reader *r, struct dx_networks *into, struct dx_node *v,
                         struct dx_slice text)
{
    struct dx_slice networks = {NULL, 0}, one = text;
    for (size_t i = 0; i < DX_COUNT(words); i++) {
        if (dx_slice_eq(text, dx_slice_str(words[i].word)))
            networks = dx_slice_str(words[i].networks);
    }
    bool is_word = dx_config_next_word(&networks, &one);
    do {
        if (dx_cidr_parse(one, &into->at[into->n])) {
            into->n++;
            continue;
        }
        dx_config_fault(
            r, v,
            "'%.*s' is no network: write 10.0.0.0/8 (no bits behind the mask), 10.1.2.3, fd00::/8, loopback, "
            "private or unix",
            DX_SLICE_ARGS(text));
        return;
    } while (is_word && dx_config_next_word(&networks, &one));
}

static struct dx_networks networks_of(struct dx_config_reader *r, const char *key, struct dx_node *v)
{
    struct dx_node *only[1] = {v}, **items = v->kind == DX_NODE_LIST ? v->items : only;
    size_t n = v->kind == DX_NODE_LIST ? v->n : 1;
    struct dx_networks got = {.n = 0};
    struct dx_slice text;
    got.at = dx_config_take(r, &r->own->arena, n * NETWORKS_OF_A_WORD + 1, sizeof *got.at);
    got.words = dx_config_take(r, &r->own->arena, n + 1, sizeof(char *));
    for (size_t i = 0; got.at && got.words && i < n; i++) {
        if (!dx_config_text(r, items[i], key, &text))
            continue;
        got.words[got.words_n++] = dx_config_keep(r, text);
        add_networks(r, &got, items[i], text);
    }
    return got;
}

void dx_config_read_networks(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                             void *base)
{
    struct dx_networks got = networks_of(r, s->key, v);
    memcpy((char *)base + s->place, &got, sizeof got);
}

void dx_config_read_trusted(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                            void *base)
{
    struct dx_config *c = base;
    struct dx_networks got = networks_of(r, s->key, v);
    c->trusted = got.at;
    c->trusted_n = got.n;
    r->own->trusted = got.words;
    r->own->trusted_n = got.words_n;
}
