/* SPDX-License-Identifier: MIT */
/*
 * Whole exchanges as a script of events. The input says who does what next: a client asks, sends a little,
 * sends anything, takes nothing, half-closes, leaves; a server accepts, refuses, answers in many ways, sends
 * anything, stops in the middle, closes, resets; time passes; the configuration is another one; a pool is
 * held and released. Then everybody falls silent, time passes until nothing is left, and exchange/verdict.h
 * looks at what was said.
 *
 *   byte 0: the configuration; byte 1: which request for memory, a socket or a pipe fails, 0: none. Then
 * events: one byte, (at once << 7 | actor << 5 | what), and one byte of detail.
 *
 * The same scripts are played again and again, until each of these requests has failed once
 * (allocations_main.c).
 */
#include "exchange/verdict.h"
#include "exchange/wrapped.h"

#include "exchange/script.h"
#include "fuzz_cuts.h"

#define EVENTS_MAX 160
#define TURNS_SOON 4
#define TURNS_REST 24
#define REST_MS    4000u
#define RESTS_MAX  15 /* for each request: all its time-outs together are shorter */

struct world world;
struct client_peer clients[CLIENTS_MAX];
struct conn_peer conns[CONNS_MAX];
struct ask asks[ASKS_MAX];
struct answer answers[ANSWERS_MAX];
unsigned clients_n, conns_n, asks_n, answers_n;
bool stray;

static int at_slot[SLOTS];
static bool doors_wait; /* connections are accepted only when the script says so */

struct script {
    const uint8_t *p;
    size_t n;
};

static uint8_t take(struct script *s)
{
    if (s->n == 0)
        return 0;
    s->n--;
    return *s->p++;
}

static struct dx_slice take_bytes(struct script *s, size_t n)
{
    struct dx_slice bytes = dx_slice_of((const char *)s->p, n < s->n ? n : s->n);
    s->p += bytes.n;
    s->n -= bytes.n;
    return bytes;
}

void on_logged(const struct exchange *x)
{
    for (unsigned i = clients_n; i-- > 0;) {
        struct client_peer *c = &clients[i];
        if (c->front != x->front)
            continue;
        DX_ASSERT(c->logs_n < LOGS_MAX);
        int ask = c->logs_n < c->asks_n ? c->asks[c->logs_n] : NOBODY;
        int seen = x->request.target.n > 0 ? ask_of_target(x->request.target) : NOBODY;
        DX_ASSERT(seen == NOBODY || seen == ask);
        c->logs[c->logs_n++] = (struct logged){.status = x->status,
                                               .outcome = x->outcome,
                                               .head = x->request.method_id == DX_METHOD_HEAD,
                                               .old = x->request.minor == 0};
        return;
    }
    DX_NEVER("a request of nobody");
}

/* --- events --- */

static struct client_peer *client_at(unsigned slot)
{
    return at_slot[slot] != NOBODY ? &clients[at_slot[slot]] : NULL;
}

/* The connections that are open, counted from the newest. */
static struct conn_peer *conn_at(unsigned slot)
{
    for (unsigned i = conns_n; i-- > 0;)
        if (conns[i].fd >= 0 && slot-- == 0)
            return &conns[i];
    return NULL;
}

static void look(void)
{
    for (size_t i = 0; i < DOORS && !doors_wait; i++)
        while (conn_open(i))
            ;
    for (unsigned i = 0; i < clients_n; i++)
        if (!clients[i].lazy && clients[i].fd >= 0)
            pull(clients[i].fd, &clients[i].got, &clients[i].ended, SIZE_MAX);
    for (unsigned i = 0; i < conns_n; i++) {
        if (conns[i].lazy || conns[i].fd < 0)
            continue;
        pull(conns[i].fd, &conns[i].in, &conns[i].ended, SIZE_MAX);
        conn_read(&conns[i]);
    }
}

static void turns(unsigned n)
{
    while (n-- > 0) {
        turn();
        look();
    }
}

static void soon(void) { turns(TURNS_SOON); }
static void once(void) { turns(1); }

static void open_slot(unsigned slot, uint8_t how)
{
    struct client_peer *c = client_at(slot);
    if (c == NULL || c->fd < 0 || c->ended)
        at_slot[slot] = client_open((how & 1) != 0, (how & 2) != 0);
}

static void client_end(struct client_peer *c, enum ending how)
{
    if (c->fd >= 0)
        pull(c->fd, &c->got, &c->ended, c->lazy ? 0 : SIZE_MAX);
    c->half |= how == ENDING_HALF;
    c->left |= how != ENDING_HALF && !c->ended;
    finish(&c->fd, how);
}

/* What is no request of ours; behind a request for a WebSocket these may be bytes of its tunnel. */
static void client_raw(struct client_peer *c, struct dx_slice bytes)
{
    c->wild |= !c->asked_upgrade;
    dx_text_add(&c->out, bytes);
    push(c->fd, &c->out, &c->sent, SIZE_MAX);
}

static void conn_raw(struct conn_peer *s, struct dx_slice bytes)
{
    push(s->fd, &s->out, &s->sent, SIZE_MAX);
    if (s->sent < s->out.n || bytes.n == 0)
        return;
    dx_text_add(&s->out, bytes);
    push(s->fd, &s->out, &s->sent, SIZE_MAX);
    if (s->tunnel)
        return;
    s->wild = true;
    s->asked = false;
    if (s->ask != NOBODY)
        asks[s->ask].wild = true;
    else
        stray = true;
}

/* Surplus in one piece with the end of its answer: the connection is finished. In two: what comes next on it
 * may get the rest. */
static void conn_send(struct conn_peer *s, size_t most)
{
    bool surplus =
        s->answer != NOBODY && answers[s->answer].sealed && s->out.n > answers[s->answer].end && !s->tunnel;
    size_t before = s->sent;

    push(s->fd, &s->out, &s->sent, most);
    if (!surplus || s->sent <= answers[s->answer].end)
        return;
    s->finished |= before < answers[s->answer].end;
    s->wild = true;
    if (s->ask != NOBODY && asks[s->ask].head)
        asks[s->ask].wild = true;
}

static size_t some(uint8_t detail) { return detail == 255 ? SIZE_MAX : 1 + (size_t)detail * detail / 4; }

static void client_event(unsigned what, unsigned slot, uint8_t detail, struct script *s)
{
    struct client_peer *c = client_at(slot);

    if (what == 0)
        open_slot(slot, detail);
    if (c == NULL || what == 0)
        return;
    switch (what) {
    case 1:
        client_ask(c, detail & 0x7f);
        if (detail & 0x80)
            push(c->fd, &c->out, &c->sent, SIZE_MAX);
        break;
    case 2:
        push(c->fd, &c->out, &c->sent, some(detail));
        break;
    case 3:
        client_raw(c, take_bytes(s, detail));
        break;
    case 4:
        client_end(c, (enum ending)(detail % ENDINGS));
        break;
    default:
        c->lazy = detail != 0;
        if (c->fd >= 0)
            pull(c->fd, &c->got, &c->ended, some(detail));
    }
}

static void conn_event(unsigned what, unsigned slot, uint8_t detail, struct script *s)
{
    struct conn_peer *p = conn_at(slot);

    if (p == NULL)
        return;
    switch (what) {
    case 6:
        conn_answer(p, detail & 0x7f);
        if (detail & 0x80)
            conn_send(p, SIZE_MAX);
        break;
    case 7:
        conn_send(p, some(detail));
        break;
    case 8:
        conn_raw(p, take_bytes(s, detail));
        break;
    case 9:
        p->said_all = true;
        finish(&p->fd, (enum ending)(detail % ENDINGS));
        break;
    default:
        p->lazy = detail != 0;
        pull(p->fd, &p->in, &p->ended, some(detail));
        conn_read(p);
    }
}

static void stop(struct dx_task *t)
{
    (void)t;
    dx_proxy_stop(world.proxy);
}

static void cut(struct dx_task *t)
{
    (void)t;
    (void)dx_proxy_cut(world.proxy);
}

static void world_event(unsigned what, unsigned actor, uint8_t detail)
{
    static const unsigned ms[] = {1,    5,    20,   60,   210,  900,  1001,  410,
                                  3001, 4001, 5001, 6001, 8001, 9001, 10001, 701};
    static struct dx_task stopping = {.run = stop}, cutting = {.run = cut};
    size_t door = actor % DOORS;

    switch (what) {
    case 11:
        pass_ms(ms[detail % DX_COUNT(ms)], once);
        break;
    case 12:
        (void)world_use(detail);
        break;
    case 13:
        dx_board_pool_hold_set(world.board, world.pool, (enum dx_board_hold)(detail % 3));
        break;
    case 14:
        dx_board_server_set(world.board, world.places[door].id, (enum dx_server_state)(detail % 3),
                            detail % 3 != DX_SERVER_DOWN ? DX_WHY_NONE
                            : detail & 0x80              ? DX_WHY_DRAINED
                                                         : DX_WHY_PROBE);
        (void)dx_loop_refresh_us(world.loop);
        dx_proxy_look_at_drains(world.proxy);
        break;
    case 15:
        if (world.doors[door] >= 0)
            dx_fd_close(&world.doors[door]);
        else
            door_open(door);
        break;
    case 16:
        doors_wait = detail & 1;
        break;
    case 17:
        (void)conn_open(door);
        break;
    case 18:
        turns(detail % 8);
        break;
    case 19:
        call_from_loop(detail == 255 ? &cutting : &stopping);
        break;
    default:
        soon();
    }
}

/* --- the end --- */

static void forget_all(void)
{
    for (unsigned i = 0; i < clients_n; i++) {
        finish(&clients[i].fd, ENDING_RESET);
        dx_text_fini(&clients[i].out);
        dx_text_fini(&clients[i].got);
    }
    for (unsigned i = 0; i < conns_n; i++) {
        finish(&conns[i].fd, ENDING_RESET);
        dx_text_fini(&conns[i].in);
        dx_text_fini(&conns[i].out);
    }
    for (size_t i = 0; i < DOORS; i++) {
        door_open(i);
        for (int fd; (fd = accept(world.doors[i], NULL, NULL)) >= 0;)
            finish(&fd, ENDING_RESET);
    }
    clients_n = conns_n = asks_n = answers_n = 0;
}

static bool at_rest(void)
{
    uint32_t connections = 0;
    for (size_t i = 0; i < DOORS; i++) {
        struct dx_board_cell sum = dx_board_cell_sum(world.board, world.places[i].id);
        connections += sum.connections;
    }
    return dx_proxy_clients(world.proxy) == 0 && connections == 0;
}

/* Nobody says anything more, and everybody takes what comes. */
static void come_to_rest(void)
{
    doors_wait = false;
    for (unsigned i = 0; i < clients_n; i++)
        clients[i].lazy = false;
    for (unsigned i = 0; i < conns_n; i++)
        conns[i].lazy = false;
    dx_board_pool_hold_set(world.board, world.pool, DX_HOLD_NONE);
    turns(TURNS_REST);
    for (unsigned i = 0; i < RESTS_MAX * (asks_n + 2) && !at_rest(); i++) {
        pass_ms(REST_MS, once);
        turns(TURNS_SOON);
    }
    DX_ASSERT(at_rest());
    look();
}

/* Returns how many descriptors are open before. */
static unsigned begin(uint8_t variant)
{
    if (world.loop == NULL)
        world_init();
    unsigned fds = count_fds();
    for (unsigned i = 0; i < SLOTS; i++)
        at_slot[i] = NOBODY;
    doors_wait = stray = false;
    world_begin(variant);
    return fds;
}

bool play_script(const uint8_t *data, size_t size, unsigned failing)
{
    struct script s = {data, size};

    unsigned fds = begin(take(&s)), fails = take(&s);
    failing_at(failing > 0 ? failing : fails);
    for (unsigned i = 0; i < EVENTS_MAX && s.n > 0; i++) {
        uint8_t event = take(&s);
        unsigned what = event & 0x1f, actor = (event >> 5) & 3;
        if (what <= 5)
            client_event(what, actor, take(&s), &s);
        else if (what <= 10)
            conn_event(what, actor, take(&s), &s);
        else
            world_event(what, actor, take(&s));
        if ((event & 0x80) == 0)
            soon();
    }
    come_to_rest();
    for (unsigned i = 0; i < clients_n; i++)
        check_client(&clients[i]);
    forget_all();
    world_end();
    DX_ASSERT(count_fds() == fds);
    return failing_has_failed();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)play_script(data, size, 0);
    return 0;
}
