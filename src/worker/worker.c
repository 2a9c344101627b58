/* SPDX-License-Identifier: MIT */
/* A worker: one thread, one loop, one proxy. It takes orders from its mailbox and connections from its
 * listeners. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "worker/internal.h"

#define ACCEPTS_PER_TURN 16
#define ACCEPTS_LAST     4096 /* when a listener ends: the backlog */
#define PAUSE_MS         100  /* without descriptors: until some connection has ended */
#define HANDSHAKE_MS     250 /* a connection that is being made when its listener ends has this time to come */
#define LOOK_STOP_MS     20  /* has everybody gone? */
#define LOOK_LEAVE_MS    100
#define TELL_EVERY_US    60000000u

static void report(struct worker *w)
{
    uint64_t one = 1;
    if (write(w->report, &one, sizeof(one)) < 0)
        DX_ASSERT(errno == EAGAIN); /* the main thread has been told already */
}

/* --- listeners --- */

static bool out_of_descriptors(int why)
{
    return why == EMFILE || why == ENFILE || why == ENOMEM || why == ENOBUFS;
}

/* Out of descriptors, and nobody is idle: with the one that was kept for this a connection is taken and
 * closed, so that whoever made it is not left waiting. */
static bool turn_one_away(struct listener *l)
{
    struct worker *w = l->worker;
    struct dx_address peer;

    if (w->reserve < 0)
        return false;
    dx_fd_close(&w->reserve);
    int fd = dx_listen_accept(l->fd, &peer);
    bool taken = fd >= 0;
    dx_fd_close(&fd);
    w->reserve = dx_net_reserve();
    if (taken)
        dx_proxy_turned_away(w->proxy, &peer);
    return taken;
}

/* The kernel itself has nothing left: it is asked again later. */
static void pause_accepting(struct listener *l, int why)
{
    struct worker *w = l->worker;
    uint64_t now = dx_loop_now_us(w->loop);

    dx_watch_stop(&l->watch);
    dx_timer_set(w->loop, &l->pause, PAUSE_MS);
    w->paused_untold++;
    if (w->paused_told_us != 0 && now - w->paused_told_us < TELL_EVERY_US)
        return;
    dx_log(DX_LOG_WARN, "accept_paused", DX_KS("listen", l->text), DX_KS("reason", dx_err_text(why)),
           DX_KI("for_ms", PAUSE_MS), DX_KI("times", (int64_t)w->paused_untold));
    w->paused_told_us = now;
    w->paused_untold = 0;
}

static void accept_some(struct listener *l, unsigned most)
{
    struct dx_address peer;

    for (unsigned i = 0; i < most; i++) {
        int fd = dx_listen_accept(l->fd, &peer);
        if (fd >= 0) {
            if (DX_UNLIKELY(l->ending))
                dx_listen_refuse_no_more(fd);
            dx_proxy_accept(l->worker->proxy, fd, &peer, l->preamble);
            continue;
        }
        if (!out_of_descriptors(errno))
            return;
        int why = errno;
        if (dx_proxy_make_room(l->worker->proxy) || turn_one_away(l))
            continue;
        pause_accepting(l, why);
        return;
    }
}

static void on_connection(struct dx_watch *watch, unsigned what)
{
    (void)what;
    accept_some(DX_CONTAINER(watch, struct listener, watch), ACCEPTS_PER_TURN);
}

static void on_pause_end(struct dx_timer *t)
{
    struct listener *l = DX_CONTAINER(t, struct listener, pause);
    if (l->worker->reserve < 0)
        l->worker->reserve = dx_net_reserve();
    if (!dx_watch_start_level(l->worker->loop, &l->watch, l->fd))
        dx_timer_set(l->worker->loop, t, PAUSE_MS);
}

/* All orders are carried out once no listener is ending: then the main thread may close the sockets. */
static void report_done(struct worker *w)
{
    if (w->ending_n > 0)
        return;
    w->done = w->number;
    report(w);
}

static void let_go(struct listener *l)
{
    dx_watch_stop(&l->watch);
    dx_timer_clear(&l->pause);
    dx_timer_clear(&l->last);
    l->worker->ending_n -= l->ending;
    l->ending = false;
    l->text[0] = '\0';
}

/* Whoever has connected is served still. */
static void on_last(struct dx_timer *t)
{
    struct listener *l = DX_CONTAINER(t, struct listener, last);
    dx_listen_end(l->fd);
    accept_some(l, ACCEPTS_LAST);
    let_go(l);
    report_done(l->worker);
}

/* What waits in a socket when it is closed is reset, and so is a handshake under way: nobody new is let in,
 * and a moment later everybody who had begun has come. */
static void end_listening(struct listener *l)
{
    if (l->ending)
        return;
    if (l->lent) { /* the others who hold it let in who comes now */
        accept_some(l, l->worker->stopping ? 0 : ACCEPTS_LAST);
        let_go(l);
        return;
    }
    l->ending = true;
    l->worker->ending_n++;
    dx_listen_refuse(l->fd);
    l->last.on_due = on_last;
    dx_timer_set(l->worker->loop, &l->last, HANDSHAKE_MS);
}

static void listen_on(struct listener *l)
{
    if (!l->ending)
        return;
    l->ending = false;
    l->worker->ending_n--;
    dx_timer_clear(&l->last);
    dx_listen_refuse_no_more(l->fd);
}

static void end_all_listening(struct worker *w, bool at_once)
{
    for (unsigned i = 0; i < PLACES_MAX; i++) {
        if (w->listeners[i].text[0] == '\0')
            continue;
        if (at_once)
            let_go(&w->listeners[i]);
        else
            end_listening(&w->listeners[i]);
    }
}

static struct listener *find_listener(struct worker *w, const char *text)
{
    for (unsigned i = 0; i < PLACES_MAX; i++)
        if (strcmp(w->listeners[i].text, text) == 0)
            return &w->listeners[i];
    return NULL;
}

static bool follow_listeners(struct worker *w, const struct orders *o)
{
    for (unsigned i = 0; i < PLACES_MAX; i++)
        w->listeners[i].wanted = false;
    for (unsigned i = 0; i < o->listen_n; i++) {
        struct listener *l = find_listener(w, o->listen[i].text);
        if (l != NULL)
            listen_on(l);
        if (l == NULL) {
            l = find_listener(w, ""); /* a free place: there are enough for two configurations */
            DX_ASSERT(l != NULL);
            l->worker = w;
            l->fd = o->listen[i].fd;
            l->lent = o->listen[i].lent;
            l->watch.on_event = on_connection;
            l->pause.on_due = on_pause_end;
            if (!dx_watch_start_level(w->loop, &l->watch, l->fd))
                return false;
            size_t n = strlen(o->listen[i].text);
            DX_ASSERT(n < sizeof(l->text));
            memcpy(l->text, o->listen[i].text, n + 1);
            l->preamble = o->listen[i].preamble;
        }
        if (l->preamble != o->listen[i].preamble) /* who connected before the change did so by the old rule */
            accept_some(l, ACCEPTS_LAST);
        l->preamble = o->listen[i].preamble;
        l->wanted = true;
    }
    for (unsigned i = 0; i < PLACES_MAX; i++)
        if (w->listeners[i].text[0] != '\0' && !w->listeners[i].wanted)
            end_listening(&w->listeners[i]);
    return true;
}

/* --- orders --- */

static void end(struct worker *w)
{
    end_all_listening(w, true);
    w->cut = dx_proxy_cut(w->proxy);
    dx_loop_stop(w->loop);
}

static void on_leave(struct dx_timer *t)
{
    struct worker *w = DX_CONTAINER(t, struct worker, leave);
    if (dx_proxy_clients(w->proxy) == 0 && w->ending_n == 0)
        end(w);
    else
        dx_timer_set(w->loop, t, w->stopping ? LOOK_STOP_MS : LOOK_LEAVE_MS);
}

static void look_for_the_end(struct worker *w)
{
    w->leave.on_due = on_leave;
    dx_timer_set(w->loop, &w->leave, 1);
}

static bool is_listed(const struct orders *o, int fd)
{
    for (unsigned i = 0; i < o->listen_n; i++)
        if (o->listen[i].fd == fd)
            return true;
    return false;
}

static void begin_leave(struct worker *w, const struct orders *o)
{
    for (unsigned i = 0; i < PLACES_MAX; i++) {
        struct listener *l = &w->listeners[i];
        if (l->text[0] == '\0')
            continue;
        if (o->shared && !is_listed(o, l->fd))
            let_go(l);
        else
            end_listening(l);
    }
    if (w->leaving || w->stopping)
        return;
    w->leaving = true;
    dx_proxy_leave(w->proxy);
    look_for_the_end(w);
}

static void begin_stop(struct worker *w)
{
    if (w->stopping)
        return;
    w->stopping = true;
    end_all_listening(w, false);
    dx_proxy_stop(w->proxy);
    look_for_the_end(w);
}

/* Timed by the thread's own clock, which stands still while somebody else has the core. */
static bool take_over(struct worker *w, struct orders *o)
{
    uint64_t began_us = dx_clock_thread_us();
    bool ok = dx_proxy_use(w->proxy, o->snapshot) && follow_listeners(w, o);
    dx_snapshot_unref(&o->snapshot);
    atomic_store_explicit(&w->counters[DX_COUNTER_TAKEOVER], dx_clock_thread_us() - began_us,
                          memory_order_relaxed);
    return ok;
}

static void carry_out(struct worker *w, struct orders *o)
{
    w->number = o->number;
    if (o->stop)
        begin_stop(w);
    if (o->cut)
        end(w);
    if (o->snapshot != NULL && !w->stopping)
        w->failed = !take_over(w, o);
    if (o->leave)
        begin_leave(w, o);
    dx_snapshot_unref(&o->snapshot);
    report_done(w);
}

static void tell(struct worker *w, uint64_t serial)
{
    struct dx_census_writer writer;
    if (w->place >= DX_CENSUS_PARTS)
        return;
    dx_census_open(w->census, w->place, &writer);
    uint32_t left_out = dx_proxy_tell(w->proxy, &writer);
    dx_census_close(&writer, serial, left_out);
}

static void on_bell(struct dx_watch *watch, unsigned what)
{
    struct worker *w = DX_CONTAINER(watch, struct worker, bell_watch);
    uint64_t rings;
    struct orders o;
    bool fresh;

    (void)what;
    DX_MAGIC_OK(w, WORKER_MAGIC);
    if (read(w->bell, &rings, sizeof(rings)) < 0)
        return;
    dx_board_beat(w->board, w->index, w->ping);
    if (atomic_exchange(&w->time_anew, false))
        atomic_store_explicit(&w->counters[DX_COUNTER_TURN_LONGEST], 0, memory_order_relaxed);
    if (atomic_exchange(&w->drains, false))
        dx_proxy_look_at_drains(w->proxy);
    uint64_t serial = atomic_exchange(&w->asked, 0);
    if (serial != 0)
        tell(w, serial);
    pthread_mutex_lock(&w->lock);
    fresh = w->fresh;
    o = w->orders;
    w->fresh = false;
    w->orders.snapshot = NULL;
    pthread_mutex_unlock(&w->lock);
    if (fresh)
        carry_out(w, &o);
}

static void ring(struct worker *w)
{
    uint64_t one = 1;
    if (write(w->bell, &one, sizeof(one)) < 0)
        DX_ASSERT(errno == EAGAIN);
}

void worker_order(struct worker *w, const struct orders *o)
{
    pthread_mutex_lock(&w->lock);
    dx_snapshot_unref(&w->orders.snapshot); /* orders overtaken by newer ones */
    w->orders = *o;
    w->fresh = true;
    pthread_mutex_unlock(&w->lock);
    ring(w);
}

void worker_look_at_drains(struct worker *w)
{
    w->drains = true;
    ring(w);
}

void worker_ping(struct worker *w, uint64_t number)
{
    w->ping = number;
    ring(w);
}

void worker_tell(struct worker *w, struct dx_census *census, uint64_t serial)
{
    if (w->census == NULL) /* there is only one, and the worker reads it meanwhile */
        w->census = census;
    w->asked = serial;
    ring(w);
}

void worker_time_anew(struct worker *w)
{
    w->time_anew = true;
    ring(w);
}

/* --- life --- */

static void *run(void *arg)
{
    struct worker *w = arg;
    dx_loop_run(w->loop);
    dx_timer_clear(&w->leave);
    dx_watch_stop(&w->bell_watch);
    dx_proxy_free(&w->proxy);
    w->ended = true;
    report(w);
    return NULL;
}

struct worker *worker_new(const struct worker_setup *s)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    DX_MAGIC_SET(w, WORKER_MAGIC);
    w->index = s->index;
    w->place = s->place;
    w->report = s->report_fd;
    w->board = s->board;
    w->ping = s->ping;
    w->reserve = dx_net_reserve();
    pthread_mutex_init(&w->lock, NULL);
    w->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    w->bell_watch.on_event = on_bell;
    w->loop = dx_loop_new();
    if (w->loop != NULL) {
        struct dx_proxy_setup setup = {.loop = w->loop,
                                       .board = s->board,
                                       .queues = s->queues,
                                       .worker = s->index,
                                       .news_fd = s->news_fd,
                                       .access = s->access,
                                       .hints = s->hints,
                                       .crowd = s->crowd,
                                       .descriptors = s->descriptors};
        w->proxy = dx_proxy_new(&setup);
    }
    w->counters = dx_board_counters(s->board, s->index);
    if (w->loop != NULL)
        dx_loop_time_turns(w->loop,
                           &(struct dx_loop_turns){.longest_us = &w->counters[DX_COUNTER_TURN_LONGEST],
                                                   .long_n = &w->counters[DX_COUNTER_TURNS_LONG]});
    if (w->bell >= 0 && w->proxy != NULL && dx_watch_start_level(w->loop, &w->bell_watch, w->bell))
        return w;
    worker_free(&w);
    return NULL;
}

bool worker_start(struct worker *w) { return pthread_create(&w->thread, NULL, run, w) == 0; }

void worker_free(struct worker **wp)
{
    struct worker *w = *wp;
    if (w == NULL)
        return;
    *wp = NULL;
    DX_MAGIC_OK(w, WORKER_MAGIC);
    if (w->thread != 0)
        pthread_join(w->thread, NULL);
    dx_watch_stop(&w->bell_watch);
    dx_proxy_free(&w->proxy);
    dx_loop_free(&w->loop);
    dx_fd_close(&w->bell);
    dx_fd_close(&w->reserve);
    dx_snapshot_unref(&w->orders.snapshot);
    pthread_mutex_destroy(&w->lock);
    DX_MAGIC_CLEAR(w);
    free(w);
}
