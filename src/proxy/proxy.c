/* SPDX-License-Identifier: MIT */
/* A worker's proxy: its slabs, its clients, its view of the configuration in force. */
#include <stdlib.h>
#include <unistd.h>

#include "proxy/client.h"

/* How many returned blocks are kept for the next; beyond it memory goes back. */
#define KEEP_BLOCKS    256
#define KEEP_BULK      128
#define KEEP_EXCHANGES 128
#define PIPES_MOST     64 /* lent at once: of slow readers and slow servers of large bodies */

void view_unref(struct view **vp)
{
    struct view *v = *vp;
    if (v == NULL)
        return;
    *vp = NULL;
    if (--v->refs > 0)
        return;
    dx_snapshot_unref(&v->snapshot);
    free(v->pools);
    free(v);
}

static struct view *view_new(struct dx_proxy *p, struct dx_snapshot *s)
{
    struct view *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return NULL;
    v->refs = 1;
    room_bounds(p, s->config, &v->most);
    v->tells_slow = s->config->log.slow != 0;
    v->tells_timing = s->config->trace.server_timing;
    v->snapshot = dx_snapshot_ref(s);
    v->pools = calloc(s->config->pools_n, sizeof(*v->pools));
    for (unsigned i = 0; v->pools != NULL && i < s->config->pools_n; i++) {
        struct dx_pool *pool = dx_upstream_pool(p->upstream, s->board_pools[i], &s->config->pools[i]);
        if (pool == NULL) {
            view_unref(&v);
            return NULL;
        }
        v->pools[i] = (struct view_pool){
            .pool = pool, .epoch = dx_pool_epoch(pool), .gate = dx_queues_gate(p->queues, s->board_pools[i])};
    }
    if (v->pools == NULL)
        view_unref(&v);
    return v;
}

struct dx_proxy *dx_proxy_new(const struct dx_proxy_setup *s)
{
    struct dx_proxy *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    DX_MAGIC_SET(p, PROXY_MAGIC);
    dx_panic_set_hook(exchange_print_at_hand);
    p->loop = s->loop;
    p->board = s->board;
    p->worker = s->worker;
    p->access = s->access;
    p->hints = s->hints;
    p->crowd = s->crowd;
    p->descriptors = s->descriptors;
    p->counters = dx_board_counters(s->board, s->worker);
    p->routes = dx_board_routes(s->board, s->worker);
    p->random.state = dx_clock_wall_us() ^ ((uint64_t)getpid() << 32) ^ ((uint64_t)s->worker << 56);
    dx_list_init(&p->clients);
    dx_slab_init(&p->blocks, BLOCK_BYTES, KEEP_BLOCKS);
    dx_slab_init(&p->bulk, BULK_BYTES, KEEP_BULK);
    dx_slab_init(&p->exchanges, sizeof(struct exchange), KEEP_EXCHANGES);
    client_combs_init(p);
    dx_pipes_init(&p->pipes, PIPES_MOST);
    p->queues = s->queues;
    p->upstream = dx_upstream_new(s->loop, s->board, s->queues, s->worker, s->news_fd);
    p->desk = dx_desk_new(s->queues, s->loop);
    if (p->upstream != NULL && p->desk != NULL)
        return p;
    dx_upstream_free(&p->upstream);
    dx_desk_free(&p->desk);
    free(p);
    return NULL;
}

void dx_proxy_free(struct dx_proxy **pp)
{
    struct dx_proxy *p = *pp;
    if (p == NULL)
        return;
    *pp = NULL;
    DX_MAGIC_OK(p, PROXY_MAGIC);
    DX_ASSERT(p->clients_n == 0);
    dx_timer_clear(&p->lines_flush);
    access_flush(p);
    view_unref(&p->view);
    dx_upstream_free(&p->upstream);
    dx_desk_free(&p->desk);
    dx_slab_fini(&p->blocks);
    dx_slab_fini(&p->bulk);
    dx_slab_fini(&p->exchanges);
    dx_comb_fini(&p->clients_short);
    dx_comb_fini(&p->clients_long);
    dx_pipes_fini(&p->pipes);
    free(p->lines);
    DX_MAGIC_CLEAR(p);
    free(p);
}

/* A request that was sent behind the last one must not make a reset of its end. */
static void last_requests(struct dx_proxy *p) { p->view->most.requests = 0; }

bool dx_proxy_use(struct dx_proxy *p, struct dx_snapshot *s)
{
    DX_MAGIC_OK(p, PROXY_MAGIC);
    struct view *v = view_new(p, s), *old = p->view;
    if (v == NULL)
        return false;
    p->view = v;
    if (p->stopping)
        last_requests(p);
    for (unsigned i = 0; old != NULL && i < old->snapshot->config->pools_n; i++)
        if (!snapshot_has_pool(s, old->snapshot->board_pools[i]))
            dx_upstream_forget_pool(p->upstream, old->snapshot->board_pools[i]);
    view_unref(&old);
    return true;
}

/* The client's own limit first: who is over it takes no room from others. */
static bool may_come(struct dx_proxy *p, const struct dx_address *peer, struct dx_slice ip, bool preamble,
                     bool *counted)
{
    *counted = false;
    if (preamble && !proxy_trusts(view_config(p->view), peer)) {
        proxy_refused(p, ip, "not in trusted_proxies");
        return false;
    }
    if (!preamble && !room_for_client(p, peer, ip, counted))
        return false;
    if (room_for_connection(p, ip))
        return true;
    if (*counted)
        room_leave(p, ip);
    return false;
}

void dx_proxy_accept(struct dx_proxy *p, int fd, const struct dx_address *peer, bool preamble)
{
    char text[DX_ADDRESS_TEXT];
    struct dx_slice ip = dx_slice_of(text, dx_address_host_text(peer, text, sizeof(text)));
    bool counted;

    DX_MAGIC_OK(p, PROXY_MAGIC);
    DX_ASSERT(p->view != NULL);
    if (!may_come(p, peer, ip, preamble, &counted)) {
        close(fd);
        return;
    }
    if (client_start(p, fd, peer, preamble, counted))
        return;
    if (counted)
        room_leave(p, ip);
    room_turned_away(p, LIMIT_MEMORY, ip);
}

void dx_proxy_look_at_drains(struct dx_proxy *p)
{
    DX_MAGIC_OK(p, PROXY_MAGIC);
    dx_upstream_look_at_drains(p->upstream);
}

void dx_proxy_leave(struct dx_proxy *p)
{
    DX_MAGIC_OK(p, PROXY_MAGIC);
    p->stopping = true;
    if (p->view != NULL)
        last_requests(p);
}

void dx_proxy_stop(struct dx_proxy *p)
{
    DX_MAGIC_OK(p, PROXY_MAGIC);
    p->stopping = p->hurried = true;
    client_stop_all(p);
    dx_upstream_close_idle(p->upstream);
}

unsigned dx_proxy_clients(const struct dx_proxy *p) { return p->clients_n; }

unsigned dx_proxy_cut(struct dx_proxy *p)
{
    unsigned cut = client_cut_all(p);
    dx_upstream_close_idle(p->upstream);
    return cut;
}

struct dx_slice proxy_date(struct dx_proxy *p)
{
    uint64_t now_s = dx_loop_now_us(p->loop) / 1000000;
    if (now_s != p->date_s || p->date_n == 0) {
        p->date_s = now_s;
        p->date_n = dx_clock_http_date(dx_clock_wall_us(), p->date, sizeof(p->date));
    }
    return dx_slice_of(p->date, p->date_n);
}
