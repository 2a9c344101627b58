/* SPDX-License-Identifier: MIT */
/*
 * How many connections there may be: in all, of one client, for tunnels; and what happens where the process
 * has no more descriptors. Each worker counts on the board what it has, and a limit is on the sum of all. Who
 * is over a limit is closed without a word: a browser, and a load balancer with a choice, come back after
 * that, and it costs nothing.
 */
#include <errno.h>

#include "diplex/board/seats.h"
#include "diplex/hint.h"
#include "proxy/front.h"
#include "proxy/internal.h"

#define SAY_EVERY_MS 60000u
#define OWN_EACH     8u  /* descriptors of a worker beside its connections: loop, clock, bell, listeners */
#define OWN_ALL      16u /* of the process beside its workers */
#define LEAST        8u
#define DIALS_MOST   3u

static const struct {
    const char *word, *effect, *change;
} rows[LIMIT_COUNT] = {
#define LIMIT(id, word, effect, change) {word, effect, change},
#include "proxy/limits.def"
};

/* --- bounds --- */

static unsigned at_least(unsigned n, unsigned least) { return n > least ? n : least; }

static unsigned connections_for(const struct dx_proxy *p)
{
    unsigned own = OWN_ALL + OWN_EACH * dx_board_workers(p->board);
    if (p->descriptors == 0)
        return UINT32_MAX;
    return at_least(p->descriptors > own ? (p->descriptors - own) / 2 : 0, LEAST);
}

void room_bounds(const struct dx_proxy *p, const struct dx_config *c, struct bounds *out)
{
    unsigned all = c->limits.connections ? c->limits.connections : connections_for(p);
    unsigned half = at_least(all / 2, 1);
    *out = (struct bounds){
        .connections = all,
        .per_client = c->limits.connections_per_client ? c->limits.connections_per_client : half,
        .requests = c->limits.connection_requests ? c->limits.connection_requests : UINT32_MAX,
        .age_us = c->limits.connection_time ? c->limits.connection_time * 1000 : UINT64_MAX,
        .tunnels = c->limits.tunnels ? c->limits.tunnels : at_least(all - all / 4, 1),
    };
}

/* --- what is said --- */

void room_said(struct dx_proxy *p, enum limit what, struct dx_slice client)
{
    struct dx_hint_gate *gate = hints_limit_gate(p, what);
    uint64_t times;

    if (gate != NULL && dx_hint_due(gate, dx_loop_now_ms(p->loop), SAY_EVERY_MS, &times))
        dx_log(DX_LOG_WARN, "limit_reached", DX_KS("what", rows[what].word), DX_KL("client", client),
               DX_KI("times", times), DX_KS("effect", rows[what].effect), DX_KS("change", rows[what].change));
}

void room_turned_away(struct dx_proxy *p, enum limit what, struct dx_slice client)
{
    proxy_count(p, DX_COUNTER_CLIENTS_TURNED_AWAY, 1);
    room_said(p, what, client);
}

/* --- clients --- */

bool room_for_client(struct dx_proxy *p, const struct dx_address *a, struct dx_slice ip, bool *counted)
{
    *counted = false;
    if (p->crowd == NULL || proxy_trusts(view_config(p->view), a))
        return true;
    enum dx_crowd_answer answer = dx_crowd_enter(p->crowd, a, p->view->most.per_client);
    *counted = answer == DX_CROWD_IN;
    if (answer != DX_CROWD_OVER)
        return true;
    room_turned_away(p, LIMIT_PER_CLIENT, ip);
    return false;
}

void room_leave(struct dx_proxy *p, struct dx_slice ip)
{
    struct dx_address a;
    if (!dx_address_from_ip(ip, 0, &a))
        DX_NEVER("a client was counted without an address");
    dx_crowd_leave(p->crowd, &a);
}

/* A worker can close its own clients only. So one that came late, when others had taken all there was, may
 * still have its share, or whoever the kernel sends to it would be refused as long as the others' idle ones
 * stay. */
bool room_for_connection(struct dx_proxy *p, struct dx_slice ip)
{
    unsigned most = p->view->most.connections, share = at_least(most / dx_board_workers(p->board), 1);

    if (dx_board_counter_sum(p->board, DX_COUNTER_CLIENTS_OPEN) < most || client_make_room(p))
        return true;
    if (p->clients_n < share)
        return true;
    room_turned_away(p, LIMIT_CONNECTIONS, ip);
    return false;
}

/* --- tunnels --- */

bool room_for_tunnel(struct exchange *x)
{
    struct dx_proxy *p = x->proxy;

    if (dx_board_counter_sum(p->board, DX_COUNTER_TUNNELS_WANTED) >= x->view->most.tunnels) {
        room_said(p, LIMIT_TUNNELS, x->client_ip);
        return false;
    }
    x->tunnel_wanted = true;
    proxy_count(p, DX_COUNTER_TUNNELS_WANTED, 1);
    return true;
}

/* --- out of descriptors --- */

bool room_lacking(int why) { return why == EMFILE || why == ENFILE || why == ENOMEM || why == ENOBUFS; }

/* An idle connection to a server costs nobody anything; an idle client has to connect again. */
bool dx_proxy_make_room(struct dx_proxy *p)
{
    DX_MAGIC_OK(p, PROXY_MAGIC);
    return dx_upstream_close_an_idle(p->upstream) || client_make_room(p);
}

struct dx_connection *room_dial(struct exchange *x, struct dx_server *s)
{
    for (unsigned i = 1;; i++) {
        struct dx_connection *c = dx_server_dial(s, &x->user);
        if (c != NULL || !room_lacking(errno))
            return c;
        int why = errno;
        bool again = i < DIALS_MOST && dx_proxy_make_room(x->proxy);
        if (!again)
            room_said(x->proxy, why == ENOMEM ? LIMIT_MEMORY : LIMIT_DESCRIPTORS, x->client_ip);
        errno = why;
        if (!again)
            return NULL;
    }
}

void dx_proxy_turned_away(struct dx_proxy *p, const struct dx_address *peer)
{
    char ip[DX_ADDRESS_TEXT];
    DX_MAGIC_OK(p, PROXY_MAGIC);
    room_turned_away(p, LIMIT_DESCRIPTORS, dx_slice_of(ip, dx_address_host_text(peer, ip, sizeof(ip))));
}
