/* SPDX-License-Identifier: MIT */
/*
 * A client's connection: accepted, idle, running one exchange after another, closed. It is the HTTP/1 front
 * of its exchanges (the operations are in h1.c). An idle client holds no block and no exchange.
 *
 *     accept -> idle <-> exchange (one at a time; pipelined requests wait in the inlet) -> close
 */
#include <stdlib.h>
#include <unistd.h>

#include "proxy/client.h"

#define LAST_MOMENT_MS 1000
#define PIPELINE_TURNS 16 /* requests of one client before the others have their turn */

static void bury(struct dx_grave *g)
{
    struct client *c = DX_CONTAINER(g, struct client, grave);
    struct dx_proxy *p = c->proxy;
    DX_MAGIC_CLEAR(c);
    dx_slab_put(&p->clients_slab, c);
}

static void client_close(struct client *c)
{
    struct dx_proxy *p = c->proxy;
    struct blocks b = client_blocks(c);

    DX_ASSERT(c->exchange == NULL && !c->closed);
    c->closed = true;
    dx_transport_close(&c->transport);
    dx_deadline_clear(&c->idle);
    dx_task_cancel(&c->again);
    inlet_release(&c->in, &b);
    dx_list_remove(&c->link);
    p->clients_n--;
    proxy_count(p, DX_COUNTER_CLIENTS_OPEN, -1);
    dx_loop_bury(p->loop, &c->grave);
}

/* How long a client may be silent before a request. A new one was promised an answer by being accepted: while
 * stopping, it has a moment left to ask. */
static uint64_t patience(const struct client *c)
{
    const struct dx_config *config = view_config(c->proxy->view);
    if (c->served)
        return config->timeouts.idle;
    return c->proxy->stopping ? LAST_MOMENT_MS : config->timeouts.header;
}

/* Between requests: are there bytes of another one? True: an exchange was begun. */
static bool client_next(struct client *c)
{
    struct blocks b = client_blocks(c);

    if (inlet_empty(&c->in)) {
        enum dx_io io = c->transport.readable ? inlet_fill(&c->in, &c->transport, &b, false) : DX_IO_AGAIN;
        bool over = (c->proxy->stopping && c->served) || c->transport.hung_up;
        if (io == DX_IO_AGAIN && !over) {
            inlet_release(&c->in, &b);
            dx_deadline_set(c->proxy->loop, &c->idle, patience(c));
            return false;
        }
        if (io != DX_IO_OK) {
            client_close(c);
            return false;
        }
    }
    dx_deadline_clear(&c->idle);
    c->seen = 0;
    c->served = true;
    c->exchange = exchange_new(c->proxy, &c->front);
    if (c->exchange == NULL)
        client_close(c);
    return c->exchange != NULL;
}

/* The one way in which an exchange of this client runs and ends. */
void client_run(struct client *c)
{
    for (unsigned turn = 0;; turn++) {
        DX_MAGIC_OK(c, CLIENT_MAGIC);
        if (c->exchange == NULL && !client_next(c))
            return;
        exchange_run(c->exchange);
        if (!exchange_finished(c->exchange))
            return;
        bool keep = c->exchange->keep_client;
        exchange_free(c->exchange);
        c->exchange = NULL;
        if (!keep) {
            client_close(c);
            return;
        }
        if (turn == PIPELINE_TURNS) {
            dx_loop_again(c->proxy->loop, &c->again);
            return;
        }
    }
}

static void on_event(struct dx_watch *w, unsigned what)
{
    struct dx_transport *t = DX_CONTAINER(w, struct dx_transport, watch);
    struct client *c = DX_CONTAINER(t, struct client, transport);

    DX_MAGIC_OK(c, CLIENT_MAGIC);
    if (c->closed)
        return; /* ended earlier in the same turn */
    dx_transport_ready(t, what);
    /* A reset looks like bytes to read; while nobody reads, only a look tells. */
    if (c->exchange != NULL && (what & DX_READ) && !t->hung_up && !exchange_reads_client(c->exchange))
        dx_transport_look(t);
    if (c->exchange != NULL || (what & (DX_READ | DX_HUNG_UP)))
        client_run(c);
}

static void on_idle(struct dx_deadline *d) { client_close(DX_CONTAINER(d, struct client, idle)); }

static void on_again(struct dx_task *t) { client_run(DX_CONTAINER(t, struct client, again)); }

bool client_start(struct dx_proxy *p, int fd, const struct dx_address *peer)
{
    struct client *c = dx_slab_get(&p->clients_slab);
    if (c == NULL) {
        close(fd);
        return false;
    }
    memset(c, 0, sizeof(*c));
    DX_MAGIC_SET(c, CLIENT_MAGIC);
    c->proxy = p;
    c->front.ops = &h1_front_ops;
    c->transport.watch.on_event = on_event;
    c->idle.on_due = on_idle;
    c->again.run = on_again;
    c->grave.bury = bury;
    c->front.ip = dx_slice_of(c->ip, dx_address_host_text(peer, c->ip, sizeof(c->ip)));
    if (!dx_transport_open(&c->transport, p->loop, fd, true)) {
        close(fd);
        dx_slab_put(&p->clients_slab, c);
        return false;
    }
    dx_list_push_tail(&p->clients, &c->link);
    p->clients_n++;
    proxy_count(p, DX_COUNTER_CLIENTS_ACCEPTED, 1);
    proxy_count(p, DX_COUNTER_CLIENTS_OPEN, 1);
    dx_deadline_set(p->loop, &c->idle, patience(c));
    return true;
}

/* A request may wait in the socket of a client that looks idle: it is looked for, and only who has sent
 * nothing is closed. */
void client_stop_all(struct dx_proxy *p)
{
    DX_LIST_FOR_SAFE (link, &p->clients) {
        struct client *c = DX_CONTAINER(link, struct client, link);
        c->transport.readable = true;
        if (c->exchange == NULL)
            client_run(c);
    }
}

unsigned client_cut_all(struct dx_proxy *p)
{
    unsigned cut = 0;
    DX_LIST_FOR_SAFE (link, &p->clients) {
        struct client *c = DX_CONTAINER(link, struct client, link);
        if (c->exchange != NULL) {
            cut++;
            exchange_cut(c->exchange, OUTCOME_CUT_OFF);
            exchange_free(c->exchange);
            c->exchange = NULL;
        }
        client_close(c);
    }
    return cut;
}
