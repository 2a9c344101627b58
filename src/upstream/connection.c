/* SPDX-License-Identifier: MIT */
/*
 * Connections to servers. One watch for a connection's whole life: while it is used its edges go to the user,
 * while it is idle the same edge says that the server has closed it. A server may free itself with its last
 * connection, so it is touched last.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "upstream/internal.h"

static void add32(_Atomic uint32_t *word, int by)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + (uint32_t)by,
                          memory_order_relaxed);
}

static void bury(struct dx_grave *g)
{
    struct dx_connection *c = DX_CONTAINER(g, struct dx_connection, grave);
    DX_MAGIC_CLEAR(c);
    free(c);
}

static void take_out_of_idle(struct dx_connection *c)
{
    dx_list_remove(&c->idle);
    dx_deadline_clear(&c->idle_end);
    if (!c->left)
        c->server->idle_n--;
}

static void request_over(struct dx_connection *c)
{
    if (c->asked)
        add32(&c->server->cell->active, -1);
    c->asked = false;
    dx_slot_give_back(&c->slot);
}

/* The one way in which a connection ends. */
static void end(struct dx_connection *c)
{
    struct dx_server *s = c->server;

    request_over(c);
    if (dx_list_linked(&c->idle))
        take_out_of_idle(c);
    dx_transport_close(&c->transport);
    c->server = NULL;
    c->user = NULL;
    dx_loop_bury(s->pool->upstream->loop, &c->grave);
    add32(&s->cell->connections, -1);
    s->open_n--;
    upstream_server_release(s);
}

static void on_event(struct dx_watch *w, unsigned what)
{
    struct dx_transport *t = DX_CONTAINER(w, struct dx_transport, watch);
    struct dx_connection *c = DX_CONTAINER(t, struct dx_connection, transport);

    DX_MAGIC_OK(c, CONNECTION_MAGIC);
    if (c->server == NULL)
        return; /* ended earlier in the same turn */
    dx_transport_ready(t, what);
    if (c->user != NULL)
        c->user->on_ready(c->user);
    else if (what & (DX_READ | DX_HUNG_UP))
        end(c); /* closed by the server, or it sent what nobody asked for */
}

static void on_idle_end(struct dx_deadline *d) { end(DX_CONTAINER(d, struct dx_connection, idle_end)); }

void upstream_server_begin(struct dx_server *s)
{
    dx_list_init(&s->idle);
    dx_list_init(&s->left);
}

void upstream_server_drop_idle(struct dx_server *s)
{
    while (!dx_list_empty(&s->idle))
        end(DX_CONTAINER(s->idle.next, struct dx_connection, idle));
    while (!dx_list_empty(&s->left))
        end(DX_CONTAINER(s->left.next, struct dx_connection, idle));
}

bool upstream_server_drop_one(struct dx_server *s)
{
    if (dx_list_empty(&s->idle))
        return false;
    end(DX_CONTAINER(s->idle.prev, struct dx_connection, idle)); /* the one that has waited longest */
    return true;
}

static void note_failure(struct dx_server *s, _Atomic uint64_t *word)
{
    struct dx_upstream *u = s->pool->upstream;
    uint64_t one = 1;

    dx_count_add(word, 1);
    atomic_store_explicit(&s->cell->last_failure_ms, dx_loop_now_ms(u->loop), memory_order_relaxed);
    /* A full eventfd has told control already. */
    if (u->news_fd >= 0 && write(u->news_fd, &one, sizeof(one)) < 0)
        return;
}

static void note_refusal(struct dx_server *s)
{
    struct dx_loop *l = s->pool->upstream->loop;

    note_failure(s, &s->cell->connect_failures);
    dx_gate_refused(s->pool->gate, s->of.facts.id, s->of.facts.generation, dx_loop_now_ms(l));
}

struct dx_connection *dx_server_reuse(struct dx_server *s, struct dx_connection_user *user)
{
    DX_MAGIC_OK(s, SERVER_MAGIC);
    if (dx_list_empty(&s->idle))
        return NULL;
    struct dx_connection *c = DX_CONTAINER(s->idle.next, struct dx_connection, idle);
    take_out_of_idle(c);
    c->user = user;
    c->reused = true;
    dx_count_add(&s->pool->upstream->counters[DX_COUNTER_SERVER_REUSES], 1);
    return c;
}

static struct dx_connection *connection_new(struct dx_server *s, int fd, bool connected)
{
    struct dx_connection *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    DX_MAGIC_SET(c, CONNECTION_MAGIC);
    c->transport.watch.on_event = on_event;
    c->idle_end.on_due = on_idle_end;
    c->grave.bury = bury;
    c->connecting = !connected;
    if (!dx_transport_open(&c->transport, s->pool->upstream->loop, fd, connected)) {
        free(c);
        return NULL;
    }
    return c;
}

struct dx_connection *dx_server_dial(struct dx_server *s, struct dx_connection_user *user)
{
    DX_MAGIC_OK(s, SERVER_MAGIC);
    bool connected = false;
    int fd = -1;

    if (!dx_dial_start(&s->of.facts.address, &fd, &connected)) {
        int why = errno;
        /* Out of descriptors or memory is our own trouble and says nothing about the server. */
        if (why != EMFILE && why != ENFILE && why != ENOMEM && why != ENOBUFS)
            note_refusal(s);
        errno = why;
        return NULL;
    }
    struct dx_connection *c = connection_new(s, fd, connected);
    if (c == NULL) {
        close(fd);
        errno = ENOMEM;
        return NULL;
    }
    c->server = s;
    c->user = user;
    s->open_n++;
    add32(&s->cell->connections, 1);
    dx_count_add(&s->pool->upstream->counters[DX_COUNTER_SERVER_CONNECTS], 1);
    return c;
}

enum dx_dial dx_connection_state(struct dx_connection *c)
{
    DX_MAGIC_OK(c, CONNECTION_MAGIC);
    if (!c->connecting)
        return DX_DIAL_OPEN;
    if (!c->transport.writable && !c->transport.hung_up && !c->transport.readable)
        return DX_DIAL_WAIT;
    /* Writable and nothing else is what success looks like; a failure hangs up, and then the socket knows
     * why. */
    bool clean = c->transport.writable && !c->transport.hung_up && !c->transport.readable;
    int why = clean ? 0 : dx_dial_result(c->transport.watch.fd);
    if (why == EINPROGRESS) {
        c->transport.writable = false;
        return DX_DIAL_WAIT;
    }
    if (why == 0) {
        c->connecting = false;
        c->transport.writable = true;
        return DX_DIAL_OPEN;
    }
    note_refusal(c->server);
    errno = why;
    return DX_DIAL_FAILED;
}

struct dx_transport *dx_connection_transport(struct dx_connection *c) { return &c->transport; }
struct dx_server *dx_connection_server(struct dx_connection *c) { return c->server; }
bool dx_connection_reused(const struct dx_connection *c) { return c->reused; }

void dx_connection_take_slot(struct dx_connection *c, struct dx_slot *slot)
{
    DX_ASSERT(c->slot.gate == NULL);
    c->slot = *slot;
    slot->gate = NULL;
}

void dx_connection_asked(struct dx_connection *c)
{
    DX_ASSERT(!c->asked);
    if (c->slot.trial)
        dx_slot_tried(&c->slot);
    c->asked = true;
    add32(&c->server->cell->active, 1);
    dx_count_add(&c->server->cell->requests, 1);
}

void dx_connection_answered(struct dx_connection *c, unsigned status)
{
    struct dx_board_cell *cell = c->server->cell;
    if (!c->slot.counted)
        dx_slot_give_back(&c->slot);
    dx_count_add(&cell->responses, 1);
    if (status < 500)
        atomic_store_explicit(&cell->last_answer_ms, dx_loop_now_ms(c->server->pool->upstream->loop),
                              memory_order_relaxed);
}

void dx_connection_broke(struct dx_connection *c) { note_failure(c->server, &c->server->cell->resets); }
void dx_connection_timed_out(struct dx_connection *c) { note_refusal(c->server); }

void dx_connection_keep(struct dx_connection **cp)
{
    struct dx_connection *c = *cp;
    DX_MAGIC_OK(c, CONNECTION_MAGIC);
    struct dx_server *s = c->server;
    struct dx_pool *p = s->pool;

    *cp = NULL;
    request_over(c);
    if (c->transport.readable) /* the last piece filled its buffer: nobody knows yet whether more is there */
        dx_transport_look(&c->transport);
    if (s->gone || s->drained || p->idle_max == 0 || c->transport.hung_up || c->transport.readable) {
        end(c);
        return;
    }
    if (s->idle_n >= p->idle_max) /* the one that has waited longest makes room */
        end(DX_CONTAINER(s->idle.prev, struct dx_connection, idle));
    c->user = NULL;
    c->transport.unsure = false; /* nothing is read before the next request is written, and that will tell */
    dx_list_push_head(&s->idle, &c->idle);
    s->idle_n++;
    dx_deadline_set(p->upstream->loop, &c->idle_end, p->idle_ms);
}

void dx_connection_close(struct dx_connection **cp)
{
    struct dx_connection *c = *cp;
    if (c == NULL)
        return;
    DX_MAGIC_OK(c, CONNECTION_MAGIC);
    *cp = NULL;
    end(c);
}

void dx_connection_abandon(struct dx_connection **cp, uint64_t ms)
{
    struct dx_connection *c = *cp;
    DX_MAGIC_OK(c, CONNECTION_MAGIC);
    struct dx_server *s = c->server;

    *cp = NULL;
    if (s->gone || ms == 0 || c->transport.hung_up || c->transport.readable) {
        end(c);
        return;
    }
    c->user = NULL;
    c->left = true;
    dx_list_push_head(&s->left, &c->idle);
    dx_deadline_set(s->pool->upstream->loop, &c->idle_end, ms);
}
