/* SPDX-License-Identifier: MIT */
/*
 * Who the client is: what a load balancer says of it at the beginning of a connection, whose word is
 * believed, and what servers are told before a request. Both use the PROXY protocol (diplex/preamble.h).
 */
#include <errno.h>

#include "diplex/preamble.h"
#include "proxy/client.h"
#include "proxy/steps.h"

#define TELL_EVERY_US 10000000u /* refused connections: whoever makes them may make many */

bool proxy_trusts(const struct dx_config *c, const struct dx_address *a)
{
    for (unsigned i = 0; i < c->trusted_n; i++)
        if (dx_cidr_match(&c->trusted[i], a))
            return true;
    return false;
}

void proxy_refused(struct dx_proxy *p, struct dx_slice ip, const char *reason)
{
    uint64_t now = dx_loop_now_us(p->loop);

    proxy_count(p, DX_COUNTER_CLIENTS_REFUSED, 1);
    if (p->refused_told_us != 0 && now - p->refused_told_us < TELL_EVERY_US) {
        p->refused_untold++;
        return;
    }
    dx_log(DX_LOG_WARN, "client_refused", DX_KL("client", ip), DX_KS("reason", reason),
           DX_KI("untold", (int64_t)p->refused_untold));
    p->refused_told_us = now;
    p->refused_untold = 0;
}

/* --- a load balancer's header --- */

static void introduce(struct client *c, const struct dx_preamble *h)
{
    c->preamble = false;
    c->front.anonymous = !h->known;
    if (!h->known)
        return;
    char ip[INET6_ADDRSTRLEN + 1];
    size_t n = dx_address_host_text(&h->client, ip, sizeof(ip));
    DX_ASSERT(c->roomy && n <= INET6_ADDRSTRLEN);
    memcpy(c->ip, ip, n);
    c->front.ip.n = n;
    c->front.port = dx_address_port(&h->client);
}

enum front_io client_read_preamble(struct client *c, const char **reason)
{
    struct blocks b = client_blocks(c);
    struct dx_preamble h;
    size_t used = 0;

    for (;;) {
        struct dx_slice in = inlet_bytes(&c->in);
        enum dx_preamble_parse parse = dx_preamble_read(in.p, in.n, &h, &used, reason);
        if (parse == DX_PREAMBLE_BAD)
            return FRONT_BAD;
        if (parse == DX_PREAMBLE_DONE) {
            inlet_use(&c->in, used);
            introduce(c, &h);
            return FRONT_OK;
        }
        enum dx_io io = DX_IO_AGAIN;
        if (dx_transport_may_read(&c->transport))
            io = inlet_fill(&c->in, &c->transport, &b, false);
        if (io == DX_IO_OK)
            continue;
        if (io == DX_IO_AGAIN && !c->transport.hung_up) {
            if (inlet_empty(&c->in))
                inlet_release(&c->in, &b);
            return FRONT_WAIT;
        }
        if (in.n == 0)
            return FRONT_GONE; /* as load balancers do to see whether somebody listens */
        *reason = "closed in the middle of the PROXY header";
        return FRONT_END;
    }
}

/* --- trust --- */

/* The address is kept as text alone, which is what nearly every request needs of it. */
static bool is_trusted(const struct dx_config *c, struct dx_slice ip)
{
    struct dx_address a = {.len = sizeof(a.u.sa), .u.sa.sa_family = AF_UNIX};

    if (!dx_slice_eq(ip, DX_SLICE("unix")) && !dx_address_from_ip(ip, 0, &a))
        return false;
    return proxy_trusts(c, &a);
}

void exchange_peer(const struct exchange *x, const struct dx_config *c, struct dx_forward_request *how)
{
    *how = (struct dx_forward_request){
        .peer_ip = x->front->ip,
        .peer_trusted = c->trusted_n > 0 && !x->front->anonymous && is_trusted(c, x->front->ip),
        .trusted = c->trusted,
        .trusted_n = c->trusted_n,
        .https = x->front->https,
        .request_id = dx_slice_of(x->id_text, sizeof(x->id_text)),
        .start_us = x->start_wall_us,
    };
}

void exchange_identify(struct exchange *x, struct dx_forward_request *how)
{
    const struct dx_config *c = view_config(x->view);
    exchange_peer(x, c, how);
    x->client_ip = dx_forward_client_ip(&x->request.fields, how);
    x->request_id = dx_forward_request_id(&x->request.fields, how);
    x->proto = dx_forward_proto(&x->request.fields, how);
}

/* --- what servers are told --- */

/* The port is known of who is at the other end; X-Forwarded-For has none. */
void exchange_write_preamble(const struct exchange *x, struct dx_out *o)
{
    struct dx_address client, local;

    bool itself = x->client_ip.p == x->front->ip.p;
    bool known = dx_address_from_ip(x->client_ip, itself ? x->front->port : 0, &client);
    bool here = x->front->ops->local(x->front, &local);
    dx_preamble_write(known ? &client : NULL, here ? &local : NULL, o);
}
