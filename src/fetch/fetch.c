/* SPDX-License-Identifier: MIT */
/*
 * Probes: many transfers at once on one multi handle, driven by our loop. curl says which sockets and which
 * time it waits for; what ended is told from the loop's own callbacks, never from inside curl.
 */
#include "diplex/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "diplex/base/text.h"
#include "fetch/easy.h"

#define FETCHER_MAGIC 0xfe7c0001u
#define FETCH_MAGIC   0xfe7c0002u
#define BODY_ENOUGH   (1u << 20) /* a health page that goes on for ever has answered */
#define USER_AGENT    "diplex/" DIPLEX_VERSION " (health)"

struct dx_fetcher {
    uint32_t magic;
    bool stepping; /* curl's results are being told: not the time to be freed */
    struct dx_loop *loop;
    struct fetch_curl curl; /* once multi is there */
    CURLM *multi;           /* NULL: libcurl is not loaded */
    struct dx_timer timer;
    struct dx_link running; /* struct dx_fetch */
    struct dx_link sockets; /* struct curl_socket */
};

struct dx_fetch {
    uint32_t magic;
    struct dx_link link;
    struct dx_fetcher *fetcher;
    CURL *easy;
    struct curl_slist *fields;
    size_t body_n;
    char first[DX_FETCH_FIRST]; /* sent before the request */
    size_t first_n;
    int fd; /* curl's socket, of a request that has something to send first */
    bool is_unix;
    void (*on_done)(void *arg, const struct dx_fetch_result *r);
    void *arg;
};

/* One descriptor that curl waits for, from its first wish until it says REMOVE. */
struct curl_socket {
    struct dx_link link;
    struct dx_watch watch;
    struct dx_grave grave;
    struct dx_fetcher *fetcher;
};

static void fetch_free(struct dx_fetch *x)
{
    const struct fetch_curl *curl = &x->fetcher->curl;
    dx_list_remove(&x->link);
    if (x->easy)
        curl->easy_cleanup(x->easy);
    curl->slist_free_all(x->fields);
    DX_MAGIC_CLEAR(x);
    free(x);
}

/* --- what ended --- */

static struct dx_fetch_result result_of(const struct dx_fetch *x, CURLcode code)
{
    const struct fetch_curl *curl = &x->fetcher->curl;
    struct dx_fetch_result r = {0};
    long status = 0;
    curl_off_t us = 0;
    if (curl->easy_getinfo(x->easy, CURLINFO_TOTAL_TIME_T, &us) == CURLE_OK && us > 0)
        r.total_us = (uint64_t)us;
    r.unable = code == CURLE_OUT_OF_MEMORY;
    bool cut_by_us = code == CURLE_WRITE_ERROR && x->body_n > BODY_ENOUGH;
    if (code == CURLE_OK || cut_by_us) {
        if (curl->easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status > 0)
            r.status = (unsigned)status;
        r.error = r.status ? NULL : "no status";
        return r;
    }
    r.error = fetch_error_words(curl, x->easy, code, x->is_unix);
    r.timed_out = fetch_error_is_timeout(curl, x->easy, code, x->is_unix);
    r.refused = code == CURLE_COULDNT_CONNECT && !r.timed_out;
    return r;
}

static void finish(struct dx_fetcher *f, CURL *easy, CURLcode code)
{
    char *private = NULL;
    CURLcode got = f->curl.easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    DX_ASSERT(got == CURLE_OK && private != NULL);
    struct dx_fetch *x = (struct dx_fetch *)(void *)private;
    DX_MAGIC_OK(x, FETCH_MAGIC);
    struct dx_fetch_result r = result_of(x, code);
    void (*on_done)(void *, const struct dx_fetch_result *) = x->on_done;
    void *arg = x->arg;
    (void)f->curl.multi_remove_handle(f->multi, easy);
    fetch_free(x);
    on_done(arg, &r);
}

/* We could not watch a socket, and curl takes that for the end of all its transfers. It begins anew as soon
 * as it has none; what is asked for until then it refuses. */
static void give_up_all(struct dx_fetcher *f)
{
    struct dx_link given_up;
    dx_list_init(&given_up);
    DX_LIST_FOR_SAFE (link, &f->running) {
        dx_list_remove(link);
        dx_list_push_tail(&given_up, link);
    }
    while (!dx_list_empty(&given_up))
        finish(f, DX_CONTAINER(given_up.next, struct dx_fetch, link)->easy, CURLE_OUT_OF_MEMORY);
}

static void step(struct dx_fetcher *f, curl_socket_t fd, int what)
{
    int running = 0, left = 0;
    CURLMsg *msg;
    CURLMcode stepped = f->curl.multi_socket_action(f->multi, fd, what, &running);
    bool dead = stepped == CURLM_ABORTED_BY_CALLBACK;
    DX_ASSERT(stepped == CURLM_OK || stepped == CURLM_OUT_OF_MEMORY || dead);
    f->stepping = true;
    if (dead)
        give_up_all(f);
    while ((msg = f->curl.multi_info_read(f->multi, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE)
            finish(f, msg->easy_handle, msg->data.result);
    }
    f->stepping = false;
}

/* --- curl's wishes --- */

static void on_socket(struct dx_watch *w, unsigned what)
{
    struct curl_socket *s = DX_CONTAINER(w, struct curl_socket, watch);
    int ready = 0;
    ready |= (what & DX_READ) ? CURL_CSELECT_IN : 0;
    ready |= (what & DX_WRITE) ? CURL_CSELECT_OUT : 0;
    ready |= (what & DX_HUNG_UP) ? CURL_CSELECT_ERR : 0;
    step(s->fetcher, w->fd, ready);
}

static void on_time(struct dx_timer *t)
{
    step(DX_CONTAINER(t, struct dx_fetcher, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void socket_bury(struct dx_grave *g) { free(DX_CONTAINER(g, struct curl_socket, grave)); }

/* We may stand in this very watch's callback, so it is freed when the loop turns. */
static void socket_end(struct curl_socket *s)
{
    dx_watch_stop(&s->watch);
    dx_list_remove(&s->link);
    s->grave.bury = socket_bury;
    dx_loop_bury(s->fetcher->loop, &s->grave);
}

static struct curl_socket *socket_new(struct dx_fetcher *f, curl_socket_t fd)
{
    struct curl_socket *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->fetcher = f;
    s->watch.on_event = on_socket;
    dx_list_push_tail(&f->sockets, &s->link);
    if (f->curl.multi_assign(f->multi, fd, s) != CURLM_OK) {
        socket_end(s);
        return NULL;
    }
    return s;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct dx_fetcher *f = arg;
    struct curl_socket *s = of_socket;
    unsigned wish = 0;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            socket_end(s);
        return 0;
    }
    if (!s && !(s = socket_new(f, fd)))
        return -1;
    wish |= (what == CURL_POLL_IN || what == CURL_POLL_INOUT) ? (unsigned)DX_READ : 0;
    wish |= (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) ? (unsigned)DX_WRITE : 0;
    return dx_watch_start(f->loop, &s->watch, fd, wish) ? 0 : -1;
}

static int on_curl_time(CURLM *multi, long ms, void *arg)
{
    struct dx_fetcher *f = arg;
    (void)multi;
    if (ms < 0)
        dx_timer_clear(&f->timer);
    else
        dx_timer_set(f->loop, &f->timer, (uint64_t)ms);
    return 0;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct dx_fetch *x = arg;
    (void)bytes;
    x->body_n += one * n;
    return x->body_n > BODY_ENOUGH ? 0 : one * n;
}

/* --- what the connection begins with --- */

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct dx_fetch *x = arg;
    (void)purpose;
    x->fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    return x->fd < 0 ? CURL_SOCKET_BAD : x->fd;
}

/* Connected, and curl is about to ask. The bytes are few and the first in an empty buffer, so they go whole
 * or not at all. */
static int on_connected(void *arg, char *their_ip, char *our_ip, int their_port, int our_port)
{
    struct dx_fetch *x = arg;
    (void)their_ip, (void)our_ip, (void)their_port, (void)our_port;
    bool sent = send(x->fd, x->first, x->first_n, MSG_NOSIGNAL) == (ssize_t)x->first_n;
    return sent ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static bool set_first(struct dx_fetch *x, struct dx_slice first)
{
    const struct fetch_curl *curl = &x->fetcher->curl;
    if (first.n == 0)
        return true;
    DX_ASSERT(first.n <= sizeof x->first);
    memcpy(x->first, first.p, first.n);
    x->first_n = first.n;
    return curl->easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
           curl->easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x) == CURLE_OK &&
           curl->easy_setopt(x->easy, CURLOPT_PREREQFUNCTION, on_connected) == CURLE_OK &&
           curl->easy_setopt(x->easy, CURLOPT_PREREQDATA, x) == CURLE_OK;
}

/* --- the face --- */

static bool multi_set(struct dx_fetcher *f)
{
    return f->curl.multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK &&
           f->curl.multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f) == CURLM_OK &&
           f->curl.multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_curl_time) == CURLM_OK &&
           f->curl.multi_setopt(f->multi, CURLMOPT_TIMERDATA, f) == CURLM_OK &&
           f->curl.multi_setopt(f->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK;
}

struct dx_fetcher *dx_fetcher_new(struct dx_loop *l)
{
    struct dx_fetcher *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    DX_MAGIC_SET(f, FETCHER_MAGIC);
    f->loop = l;
    f->timer.on_due = on_time;
    dx_list_init(&f->running);
    dx_list_init(&f->sockets);
    return f;
}

static void multi_free(struct dx_fetcher *f)
{
    (void)f->curl.multi_cleanup(f->multi);
    f->multi = NULL;
    fetch_curl_fini(&f->curl);
}

bool dx_fetcher_load(struct dx_fetcher *f, struct dx_err *err)
{
    DX_MAGIC_OK(f, FETCHER_MAGIC);
    if (f->multi)
        return true;
    if (!fetch_curl_init(&f->curl, err))
        return false;
    f->multi = f->curl.multi_init();
    if (f->multi && multi_set(f))
        return true;
    multi_free(f); /* curl takes NULL */
    return dx_err_set(err, "cannot start libcurl: out of memory");
}

void dx_fetcher_free(struct dx_fetcher **fp)
{
    struct dx_fetcher *f = *fp;
    if (!f)
        return;
    DX_MAGIC_OK(f, FETCHER_MAGIC);
    DX_ASSERT(!f->stepping);
    *fp = NULL;
    DX_LIST_FOR_SAFE (link, &f->running) {
        struct dx_fetch *x = DX_CONTAINER(link, struct dx_fetch, link);
        dx_fetch_cancel(&x);
    }
    if (f->multi)
        multi_free(f);
    DX_LIST_FOR_SAFE (link, &f->sockets)
        socket_end(DX_CONTAINER(link, struct curl_socket, link));
    dx_timer_clear(&f->timer);
    DX_MAGIC_CLEAR(f);
    free(f);
}

static bool add_field(struct dx_fetch *x, const char *line)
{
    struct curl_slist *longer = x->fetcher->curl.slist_append(x->fields, line);
    if (longer)
        x->fields = longer;
    return longer != NULL;
}

static bool fetch_set(struct dx_fetch *x, const struct dx_fetch_request *r)
{
    const struct fetch_curl *curl = &x->fetcher->curl;
    struct dx_text host;
    dx_text_init(&host);
    dx_text_addf(&host, "Host: %s", r->host);
    bool ok = !host.failed && add_field(x, host.p) && add_field(x, "Accept:"); /* "Accept:" alone: not sent */
    dx_text_fini(&host);
    return ok && fetch_easy_set(curl, x->easy, &r->address, r->path, r->timeout_ms) &&
           set_first(x, r->first) && fetch_set_str(curl, x->easy, CURLOPT_USERAGENT, USER_AGENT) &&
           curl->easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->fields) == CURLE_OK &&
           curl->easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl->easy_setopt(x->easy, CURLOPT_WRITEDATA, x) == CURLE_OK &&
           curl->easy_setopt(x->easy, CURLOPT_PRIVATE, x) == CURLE_OK;
}

struct dx_fetch *dx_fetch_start(struct dx_fetcher *f, const struct dx_fetch_request *r)
{
    DX_MAGIC_OK(f, FETCHER_MAGIC);
    DX_ASSERT(f->multi != NULL && r->on_done != NULL);
    DX_ASSERT(strpbrk(r->host, "\r\n") == NULL); /* the configuration was checked */
    struct dx_fetch *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    DX_MAGIC_SET(x, FETCH_MAGIC);
    x->fetcher = f;
    x->on_done = r->on_done;
    x->arg = r->arg;
    x->is_unix = dx_address_is_unix(&r->address);
    x->easy = f->curl.easy_init();
    if (!x->easy || !fetch_set(x, r) || f->curl.multi_add_handle(f->multi, x->easy) != CURLM_OK) {
        fetch_free(x);
        return NULL;
    }
    dx_list_push_tail(&f->running, &x->link);
    return x;
}

void dx_fetch_cancel(struct dx_fetch **xp)
{
    struct dx_fetch *x = *xp;
    if (!x)
        return;
    DX_MAGIC_OK(x, FETCH_MAGIC);
    *xp = NULL;
    (void)x->fetcher->curl.multi_remove_handle(x->fetcher->multi, x->easy);
    fetch_free(x);
}
