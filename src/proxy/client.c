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
#define PIPELINE_TURNS 16  /* requests of one client before the others have their turn */
#define LOOKS_MOST     64  /* at clients, for one that is idle */
#define FRESH_MS       100 /* a new client's request may be on its way, or here and not read yet */

void client_combs_init(struct dx_proxy *p)
{
    dx_comb_init(&p->clients_short, CLIENT_BYTES(CLIENT_IP_SHORT));
    dx_comb_init(&p->clients_long, CLIENT_BYTES(INET6_ADDRSTRLEN));
}

static struct dx_comb *comb_for(struct dx_proxy *p, bool roomy)
{
    return roomy ? &p->clients_long : &p->clients_short;
}

static void bury(struct dx_grave *g)
{
    struct client *c = DX_CONTAINER(g, struct client, grave);
    struct dx_comb *comb = comb_for(c->proxy, c->roomy);
    DX_MAGIC_CLEAR(c);
    dx_comb_put(comb, c);
}

static void end_pause(struct client *c)
{
    dx_task_cancel(&c->again);
    c->pausing = false;
}

static void client_close(struct client *c)
{
    struct dx_proxy *p = c->proxy;
    struct blocks b = client_blocks(c);

    DX_ASSERT(c->exchange == NULL && dx_list_linked(&c->link)); /* closed once */
    dx_transport_close(&c->transport);
    if (c->pausing)
        end_pause(c);
    else
        dx_deadline_clear(&c->idle);
    inlet_release(&c->in, &b);
    if (c->counted)
        room_leave(p, c->front.ip);
    dx_list_remove(&c->link);
    p->clients_n--;
    proxy_count(p, DX_COUNTER_CLIENTS_OPEN, -1);
    c->grave = (struct dx_grave){.bury = bury};
    dx_loop_bury(p->loop, &c->grave);
}

/* How long a client may be silent before a request. While stopping, everybody has a moment left to ask: a new
 * one was promised an answer by being accepted, and others are about to send their next request, which would
 * be lost with a connection that is closed at this moment. Its answer tells them to go. */
static uint64_t patience(const struct client *c)
{
    const struct dx_config *config = view_config(c->proxy->view);
    uint64_t usual = c->served > 0 ? config->timeouts.idle : config->timeouts.header;
    return c->proxy->hurried && usual > LAST_MOMENT_MS ? LAST_MOMENT_MS : usual;
}

/* Whom a load balancer speaks for is known now. False: that one has too many connections. */
static bool client_is_let_in(struct client *c)
{
    struct dx_address a;
    bool counted = false, named = !c->front.anonymous && dx_address_from_ip(c->front.ip, 0, &a);
    bool in = !named || room_for_client(c->proxy, &a, c->front.ip, &counted);
    c->counted = counted;
    return in;
}

static void on_idle(struct dx_deadline *d)
{
    struct client *c = DX_CONTAINER(d, struct client, idle);
    if (c->preamble && !c->proxy->hurried)
        proxy_refused(c->proxy, c->front.ip, "no PROXY header within timeouts.header");
    client_close(c);
}

static void on_again(struct dx_task *t) { client_run(DX_CONTAINER(t, struct client, again)); }

/* The last of those that are idle: the first one makes room when there is none. */
static void wait_idle(struct client *c)
{
    dx_list_remove(&c->link);
    dx_list_push_tail(&c->proxy->clients, &c->link);
    c->idle.on_due = on_idle;
    dx_deadline_set(c->proxy->loop, &c->idle, patience(c));
}

/* Before the first request of a load balancer's connection. False: it has to send more first, or was closed.
 */
static bool client_introduced(struct client *c)
{
    const char *reason = NULL;
    enum front_io io = client_read_preamble(c, &reason);

    if (io == FRONT_OK && client_is_let_in(c))
        return true;
    if (io == FRONT_WAIT) { /* the time is for the whole header */
        if (c->proxy->hurried)
            wait_idle(c);
        return false;
    }
    if (reason != NULL)
        proxy_refused(c->proxy, c->front.ip, reason);
    client_close(c);
    return false;
}

/* It has asked so often, or for so long, that this is its last request. */
static bool worn_out(const struct client *c)
{
    const struct bounds *most = &c->proxy->view->most;
    return c->served >= most->requests ||
           dx_loop_now_us(c->proxy->loop) - (uint64_t)c->front.since_s * 1000000 >= most->age_us;
}

/* Between requests: are there bytes of another one? True: an exchange was begun. */
static bool client_next(struct client *c)
{
    struct blocks b = client_blocks(c);

    if (c->pausing)
        end_pause(c);
    if (DX_UNLIKELY(c->preamble) && !client_introduced(c))
        return false;
    if (inlet_empty(&c->in)) {
        enum dx_io io = c->transport.readable ? inlet_fill(&c->in, &c->transport, &b, false) : DX_IO_AGAIN;
        if (io == DX_IO_AGAIN && !c->transport.hung_up) {
            inlet_release(&c->in, &b);
            wait_idle(c);
            return false;
        }
        if (io != DX_IO_OK) {
            client_close(c);
            return false;
        }
    }
    dx_deadline_clear(&c->idle);
    c->in.seen = 0;
    c->served++;
    c->exchange = exchange_new(c->proxy, &c->front);
    if (c->exchange == NULL) {
        room_turned_away(c->proxy, LIMIT_MEMORY, c->front.ip);
        client_close(c);
        return false;
    }
    if (DX_UNLIKELY(worn_out(c))) {
        c->exchange->keep_client = false;
        c->exchange->linger = true; /* requests that were sent behind it must not make a reset of the end */
    }
    return true;
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
            c->pausing = true;
            c->again = (struct dx_task){.run = on_again};
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
    if (!dx_transport_is_open(t))
        return; /* ended earlier in the same turn */
    dx_transport_ready(t, what);
    /* A reset looks like bytes to read; while nobody reads, only a look tells. */
    if (c->exchange != NULL && (what & DX_READ) && !t->hung_up && !exchange_reads_client(c->exchange))
        dx_transport_look(t);
    if (c->exchange != NULL || (what & (DX_READ | DX_HUNG_UP)))
        client_run(c);
}

bool client_start(struct dx_proxy *p, int fd, const struct dx_address *peer, bool preamble, bool counted)
{
    char ip[INET6_ADDRSTRLEN + 1];
    size_t ip_n = dx_address_host_text(peer, ip, sizeof(ip));
    bool roomy = preamble || ip_n > CLIENT_IP_SHORT;
    struct client *c = dx_comb_get(comb_for(p, roomy));
    if (c == NULL) {
        close(fd);
        return false;
    }
    memset(c, 0, offsetof(struct client, ip));
    memcpy(c->ip, ip, ip_n);
    DX_MAGIC_SET(c, CLIENT_MAGIC);
    c->proxy = p;
    c->roomy = roomy;
    c->preamble = preamble;
    c->counted = counted;
    c->front = (struct front){.ops = &h1_front_ops,
                              .ip = dx_slice_of(c->ip, ip_n),
                              .port = dx_address_port(peer),
                              .since_s = (uint32_t)(dx_loop_now_us(p->loop) / 1000000)};
    c->transport.watch.on_event = on_event;
    if (!dx_transport_open(&c->transport, p->loop, fd, true)) {
        close(fd);
        dx_comb_put(comb_for(p, roomy), c);
        return false;
    }
    dx_list_push_tail(&p->clients, &c->link);
    p->clients_n++;
    proxy_count(p, DX_COUNTER_CLIENTS_ACCEPTED, 1);
    proxy_count(p, DX_COUNTER_CLIENTS_OPEN, 1);
    wait_idle(c);
    return true;
}

/* A request may wait in the socket of a client that looks idle: it is looked for, and who has sent nothing
 * has a last moment. */
void client_stop_all(struct dx_proxy *p)
{
    for (unsigned left = p->clients_n; left > 0 && !dx_list_empty(&p->clients); left--) {
        struct client *c = DX_CONTAINER(p->clients.next, struct client, link);
        dx_list_remove(&c->link);
        dx_list_push_tail(&p->clients, &c->link);
        c->transport.readable = true;
        if (c->exchange == NULL)
            client_run(c);
    }
}

static bool is_fresh(const struct client *c)
{
    return c->served == 0 && dx_loop_now_ms(c->proxy->loop) + patience(c) < c->idle.due_ms + FRESH_MS;
}

bool client_make_room(struct dx_proxy *p)
{
    struct dx_link *next = p->clients.next;

    for (unsigned i = 0; i < LOOKS_MOST && next != &p->clients; i++) {
        struct client *c = DX_CONTAINER(next, struct client, link);
        next = next->next;
        if (c->exchange != NULL || c->pausing) { /* last again when it is idle: out of the way until then */
            dx_list_remove(&c->link);
            dx_list_push_tail(&p->clients, &c->link);
        } else if (!is_fresh(c)) {
            proxy_count(p, DX_COUNTER_CLIENTS_MADE_ROOM, 1);
            client_close(c);
            return true;
        }
    }
    return false;
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
