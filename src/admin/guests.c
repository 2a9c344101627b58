/* SPDX-License-Identifier: MIT */
/*
 * Connections to the admin endpoints. One request after another is read by the parser that clients of data
 * get; bodies, which no path has a use for, are read and dropped. Nothing here waits: an answer is made whole
 * in memory and leaves as fast as its reader takes it, and whoever is slow is closed in the end, so that a
 * stranger costs a bounded piece of memory for a bounded time.
 *
 *     READS -> BODY -> WAITS (for the one who answers) -> TAKES -> READS, or PARTS -> closed
 */
#include "admin/guests.h"

#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/clock.h"

#define IDLE_MS     60000 /* between requests */
#define ASK_MS      10000 /* for a head, and for a body: whole */
#define TAKE_MS     60000 /* for an answer: whole */
#define PART_MS     2000  /* for the last bytes of an answer to be read by who sends on */
#define BODY_MOST   8192
#define TARGET_MOST 2048
#define FIELDS_MOST 64
#define DROP_BYTES  4096
#define DROPS_MOST  16 /* pieces that are dropped in one turn */

static void bury(struct dx_grave *grave)
{
    struct guest *g = DX_CONTAINER(grave, struct guest, grave);
    DX_MAGIC_CLEAR(g);
    free(g->out);
    free(g);
}

void guest_end(struct guest *g)
{
    DX_MAGIC_OK(g, GUEST_MAGIC);
    if (!dx_list_linked(&g->link))
        return;
    dx_list_remove(&g->link);
    dx_transport_close(&g->transport);
    dx_deadline_clear(&g->deadline);
    dx_task_cancel(&g->again);
    if (g->door)
        g->door->guests_n--;
    if (g->reply && g->state == GUEST_WAITS)
        g->reply->guest = NULL;
    else
        reply_free(&g->reply);
    g->grave.bury = bury;
    dx_loop_bury(g->admin->loop, &g->grave);
}

static void on_due(struct dx_deadline *d) { guest_end(DX_CONTAINER(d, struct guest, deadline)); }

static void enter(struct guest *g, enum guest_state state, uint64_t ms)
{
    g->state = state;
    dx_deadline_set(g->admin->loop, &g->deadline, ms);
}

/* ---- each state; true: look at the next one, false: it waits, or has been closed ---- */

static void used(struct guest *g, size_t n)
{
    memmove(g->in, g->in + n, g->in_n - n);
    g->in_n -= n;
    g->in_seen = 0;
}

static bool out_of_memory(struct guest *g)
{
    guest_end(g);
    return false;
}

/* A head that breaks the rules: nobody can say where the next one begins. */
static bool refuse_head(struct guest *g, const struct dx_http_error *err)
{
    static const struct dx_request nothing = {.path = {"/", 1}};
    g->last = true;
    g->reply = reply_new(g, &nothing);
    if (!g->reply)
        return out_of_memory(g);
    reply_refuse(g->reply, err->status, err->reason);
    enter(g, GUEST_BODY, ASK_MS);
    return true;
}

static bool take_head(struct guest *g, const struct dx_request *r, size_t head_bytes)
{
    g->reply = reply_new(g, r);
    if (!g->reply)
        return out_of_memory(g);
    trust_look(g, r, g->reply);
    g->body_left = r->framing == DX_FRAMING_LENGTH ? r->length : 0;
    if (r->framing == DX_FRAMING_CHUNKED)
        reply_refuse(g->reply, 411, "a body needs its length here");
    else if (g->body_left > BODY_MOST)
        reply_refuse(g->reply, 413, "no path takes a body");
    g->last =
        !r->keep_alive || r->expect_continue || g->body_left > BODY_MOST || r->framing == DX_FRAMING_CHUNKED;
    if (g->last)
        g->body_left = 0;
    used(g, head_bytes);
    enter(g, GUEST_BODY, ASK_MS);
    return true;
}

static bool receive(struct guest *g)
{
    size_t got = 0;
    if (!dx_transport_may_read(&g->transport))
        return false;
    enum dx_io io = dx_transport_receive(&g->transport, g->in + g->in_n, sizeof g->in - g->in_n, &got);
    g->in_n += got;
    if (io == DX_IO_EOF || io == DX_IO_ERROR)
        guest_end(g);
    return io == DX_IO_OK;
}

static bool step_reads(struct guest *g)
{
    static const struct dx_http1_limits limits = {HEAD_BYTES, TARGET_MOST, FIELDS_MOST};
    struct dx_field storage[FIELDS_MOST];
    struct dx_request r = {.fields = {.at = storage, .max = FIELDS_MOST}};
    struct dx_http_error err = {0};
    size_t n = 0;
    switch (dx_http1_request_head(g->in, g->in_n, g->in_seen, &limits, &r, &n, &err)) {
    case DX_PARSE_DONE:
        g->begun = false;
        return take_head(g, &r, n);
    case DX_PARSE_BAD:
        return refuse_head(g, &err);
    case DX_PARSE_MORE:
        g->in_seen = g->in_n;
        break;
    }
    if (g->in_n && !g->begun) {
        g->begun = true;
        dx_deadline_set(g->admin->loop, &g->deadline, ASK_MS);
    }
    return receive(g);
}

static bool step_body(struct guest *g)
{
    size_t here = g->in_n < g->body_left ? g->in_n : (size_t)g->body_left;
    used(g, here);
    g->body_left -= here;
    if (g->body_left)
        return receive(g);
    enter(g, GUEST_WAITS, 0);
    path_answer(g->admin, g->reply);
    return true;
}

static bool step_takes(struct guest *g)
{
    while (g->out_at < g->out_n) {
        struct iovec part = {g->out + g->out_at, g->out_n - g->out_at};
        size_t sent = 0;
        enum dx_io io = dx_transport_send(&g->transport, &part, 1, false, &sent);
        g->out_at += sent;
        if (io == DX_IO_ERROR || io == DX_IO_EOF)
            guest_end(g);
        if (io != DX_IO_OK)
            return false;
    }
    free(g->out);
    g->out = NULL;
    if (g->last || !g->door) {
        dx_transport_shutdown(&g->transport);
        enter(g, GUEST_PARTS, PART_MS);
    } else {
        enter(g, GUEST_READS, IDLE_MS);
    }
    return true;
}

/* To close with unread bytes would reset the connection, and could destroy the answer (RFC 9112 9.6). */
static bool step_parts(struct guest *g)
{
    char dropped[DROP_BYTES];
    for (unsigned i = 0; i < DROPS_MOST; i++) {
        size_t got = 0;
        enum dx_io io = dx_transport_receive(&g->transport, dropped, sizeof dropped, &got);
        if (io == DX_IO_AGAIN)
            return false;
        if (io != DX_IO_OK)
            break;
    }
    guest_end(g);
    return false;
}

static void run(struct guest *g)
{
    bool on = true;
    DX_MAGIC_OK(g, GUEST_MAGIC);
    while (on && dx_list_linked(&g->link)) {
        switch (g->state) {
        case GUEST_READS:
            on = step_reads(g);
            break;
        case GUEST_BODY:
            on = step_body(g);
            break;
        case GUEST_WAITS:
            on = false;
            break;
        case GUEST_TAKES:
            on = step_takes(g);
            break;
        case GUEST_PARTS:
            on = step_parts(g);
            break;
        }
    }
}

static void on_again(struct dx_task *t) { run(DX_CONTAINER(t, struct guest, again)); }

void guest_give(struct guest *g, char *bytes, size_t n)
{
    DX_MAGIC_OK(g, GUEST_MAGIC);
    DX_ASSERT(g->state == GUEST_WAITS && !g->out);
    g->reply = NULL;
    g->out = bytes;
    g->out_n = n;
    g->out_at = 0;
    enter(g, GUEST_TAKES, TAKE_MS);
    dx_loop_again(g->admin->loop, &g->again); /* who answers may stand in the middle of something */
}

static void on_event(struct dx_watch *w, unsigned what)
{
    struct guest *g = DX_CONTAINER(DX_CONTAINER(w, struct dx_transport, watch), struct guest, transport);
    DX_MAGIC_OK(g, GUEST_MAGIC);
    if (!dx_transport_is_open(&g->transport))
        return;
    dx_transport_ready(&g->transport, what);
    run(g);
}

bool guest_make_room(struct dx_admin_door *door)
{
    DX_LIST_FOR (link, &door->admin->guests) {
        struct guest *g = DX_CONTAINER(link, struct guest, link);
        if (g->door != door || (g->state != GUEST_READS && g->state != GUEST_PARTS))
            continue;
        guest_end(g);
        return true;
    }
    return false;
}

void guest_start(struct dx_admin_door *door, int fd, const struct dx_address *peer)
{
    struct guest *g = calloc(1, sizeof *g);
    if (!g) {
        close(fd);
        return;
    }
    DX_MAGIC_SET(g, GUEST_MAGIC);
    g->admin = door->admin;
    g->door = door;
    g->deadline.on_due = on_due;
    g->again.run = on_again;
    g->transport.watch.on_event = on_event;
    (void)dx_address_host_text(peer, g->ip, sizeof g->ip);
    if (!dx_transport_open(&g->transport, door->admin->loop, fd, true)) {
        close(fd);
        free(g);
        return;
    }
    dx_list_push_tail(&door->admin->guests, &g->link);
    door->guests_n++;
    enter(g, GUEST_READS, ASK_MS);
    run(g);
}

int dx_admin_reply_fd(const struct dx_admin_reply *reply)
{
    DX_MAGIC_OK(reply, REPLY_MAGIC);
    return reply->guest ? reply->guest->transport.watch.fd : -1;
}
