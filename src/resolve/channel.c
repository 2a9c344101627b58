/* SPDX-License-Identifier: MIT */
/*
 * c-ares says which descriptors and which time it waits for; we tell it when they come. Large answers come by
 * EDNS (RFC 6891) or, when they are truncated, by TCP (RFC 7766), so a name may have as many addresses as it
 * likes.
 */
#include "resolve/channel.h"

#include <ares.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diplex/base/log.h"

#define CHANNEL_MAGIC 0xca4e5001u
#define TIMEOUT_MS                                                                          \
    1000 /* of the first try, then of the next name server; doubled when all had their turn \
          */
#define TRIES            2
#define EDNS_BYTES       1232 /* what passes every IPv6 link unfragmented */
#define ADDRESSES        256  /* of one answer */
#define SAID_FOR_NOTHING "no name server could be set up"

struct stamp {
    struct timespec changed;
    ino_t inode;
    off_t bytes;
};

struct channel {
    uint32_t magic;
    struct dx_loop *loop;
    const char *resolv_conf;
    uint16_t port;
    struct stamp stamp;
    ares_channel ares; /* NULL: could not be made, tried again with the next question */
    struct ares_options search;
    struct dx_timer timer;
    struct dx_link sockets; /* struct ares_socket */
};

/* One descriptor of c-ares, from its first wish until it is closed. */
struct ares_socket {
    struct dx_link link;
    struct dx_watch watch;
    struct dx_grave grave;
    struct channel *channel;
};

/* --- waiting --- */

static void arm(struct channel *c)
{
    struct timeval left;
    if (!c->ares || !ares_timeout(c->ares, NULL, &left))
        dx_timer_clear(&c->timer);
    else
        dx_timer_set(c->loop, &c->timer, (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1);
}

static void on_time(struct dx_timer *t)
{
    struct channel *c = DX_CONTAINER(t, struct channel, timer);
    ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(c);
}

static void on_socket(struct dx_watch *w, unsigned what)
{
    struct channel *c = DX_CONTAINER(w, struct ares_socket, watch)->channel;
    ares_process_fd(c->ares, (what & (DX_READ | DX_HUNG_UP)) ? w->fd : ARES_SOCKET_BAD,
                    (what & DX_WRITE) ? w->fd : ARES_SOCKET_BAD);
    arm(c);
}

static void socket_bury(struct dx_grave *g) { free(DX_CONTAINER(g, struct ares_socket, grave)); }

/* We may stand in this very watch's callback, so it is freed when the loop turns. */
static void socket_end(struct ares_socket *s)
{
    dx_watch_stop(&s->watch);
    dx_list_remove(&s->link);
    s->grave.bury = socket_bury;
    dx_loop_bury(s->channel->loop, &s->grave);
}

static struct ares_socket *socket_of(struct channel *c, int fd)
{
    DX_LIST_FOR_SAFE (link, &c->sockets) {
        struct ares_socket *s = DX_CONTAINER(link, struct ares_socket, link);
        if (s->watch.fd == fd)
            return s;
    }
    struct ares_socket *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->channel = c;
    s->watch.on_event = on_socket;
    s->watch.fd = fd;
    dx_list_push_tail(&c->sockets, &s->link);
    return s;
}

/* A descriptor that cannot be watched costs the question its time-out, no more. */
static void on_wish(void *arg, ares_socket_t fd, int read, int write)
{
    struct ares_socket *s = socket_of(arg, fd);
    if (!s)
        return;
    unsigned wish = (read ? (unsigned)DX_READ : 0) | (write ? (unsigned)DX_WRITE : 0);
    if (!wish || !dx_watch_start(s->channel->loop, &s->watch, fd, wish))
        socket_end(s);
}

/* --- resolv.conf --- */

static struct stamp stamp_of(const char *path)
{
    struct stat st;
    struct stamp none = {0};
    if (stat(path, &st) != 0)
        return none;
    return (struct stamp){.changed = st.st_mtim, .inode = st.st_ino, .bytes = st.st_size};
}

static bool stamp_moves(struct stamp *kept, const char *path)
{
    struct stamp now = stamp_of(path);
    bool same = now.inode == kept->inode && now.bytes == kept->bytes &&
                now.changed.tv_sec == kept->changed.tv_sec && now.changed.tv_nsec == kept->changed.tv_nsec;
    *kept = now;
    return !same;
}

static void channel_close(struct channel *c)
{
    if (!c->ares)
        return;
    ares_channel ares = c->ares;
    c->ares = NULL;
    ares_destroy_options(&c->search);
    memset(&c->search, 0, sizeof c->search);
    ares_destroy(ares);
    arm(c);
}

static void channel_open(struct channel *c)
{
    const int what = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
                     ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF |
                     (c->port ? ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT : 0);
    char *path = strdup(c->resolv_conf);
    struct ares_options o = {.flags = ARES_FLAG_EDNS,
                             .timeout = TIMEOUT_MS,
                             .tries = TRIES,
                             .ednspsz = EDNS_BYTES,
                             .udp_port = c->port,
                             .tcp_port = c->port,
                             .sock_state_cb = on_wish,
                             .sock_state_cb_data = c,
                             .resolvconf_path = path};
    int said = path ? ares_init_options(&c->ares, &o, what) : ARES_ENOMEM, known = 0;
    free(path);
    if (said == ARES_SUCCESS && (said = ares_save_options(c->ares, &c->search, &known)) != ARES_SUCCESS)
        ares_destroy(c->ares);
    if (said == ARES_SUCCESS)
        return;
    c->ares = NULL;
    dx_log(DX_LOG_WARN, "resolv_conf_unusable", DX_KS("file", c->resolv_conf),
           DX_KS("reason", ares_strerror(said)));
}

void channel_follow(struct channel *c)
{
    DX_MAGIC_OK(c, CHANNEL_MAGIC);
    if (!stamp_moves(&c->stamp, c->resolv_conf) && c->ares)
        return;
    channel_close(c);
    channel_open(c);
}

/* --- questions --- */

bool channel_candidate(const struct channel *c, const char *host, unsigned i, char name[CHANNEL_NAME])
{
    size_t n = strlen(host), dots = 0;
    bool whole = n > 0 && host[n - 1] == '.';
    unsigned domains = whole || !c->ares || c->search.ndomains < 0 ? 0 : (unsigned)c->search.ndomains;
    for (const char *at = host; *at; at++)
        dots += *at == '.';
    bool as_it_is_first = (int)dots >= c->search.ndots;
    if (i > domains || n >= CHANNEL_NAME)
        return false;
    if (i == (as_it_is_first ? 0 : domains)) {
        memcpy(name, host, n + 1);
        return true;
    }
    const char *domain = c->search.domains[as_it_is_first ? i - 1 : i];
    int length = snprintf(name, CHANNEL_NAME, "%s.%s", host, domain + (*domain == '.'));
    if (length < 0 || (size_t)length >= CHANNEL_NAME)
        memcpy(name, host, n + 1); /* no name of that length exists: ask for what does */
    return true;
}

static size_t take_v4(const unsigned char *bytes, int n, struct dx_address *out, int *said)
{
    struct ares_addrttl records[ADDRESSES];
    int count = ADDRESSES;
    *said = ares_parse_a_reply(bytes, n, NULL, records, &count);
    for (int i = 0; *said == ARES_SUCCESS && i < count; i++) {
        out[i] = (struct dx_address){.len = sizeof out[i].u.in4};
        out[i].u.in4.sin_family = AF_INET;
        memcpy(&out[i].u.in4.sin_addr, &records[i].ipaddr, sizeof out[i].u.in4.sin_addr);
    }
    return *said == ARES_SUCCESS ? (size_t)count : 0;
}

static size_t take_v6(const unsigned char *bytes, int n, struct dx_address *out, int *said)
{
    struct ares_addr6ttl records[ADDRESSES];
    int count = ADDRESSES;
    *said = ares_parse_aaaa_reply(bytes, n, NULL, records, &count);
    for (int i = 0; *said == ARES_SUCCESS && i < count; i++) {
        out[i] = (struct dx_address){.len = sizeof out[i].u.in6};
        out[i].u.in6.sin6_family = AF_INET6;
        memcpy(&out[i].u.in6.sin6_addr, &records[i].ip6addr, sizeof out[i].u.in6.sin6_addr);
    }
    return *said == ARES_SUCCESS ? (size_t)count : 0;
}

static enum answer meaning_of(int said)
{
    switch (said) {
    case ARES_SUCCESS:
        return ANSWER_FOUND;
    case ARES_ENOTFOUND:
        return ANSWER_NO_NAME;
    case ARES_ENODATA:
        return ANSWER_NO_ADDRESS;
    case ARES_EDESTRUCTION:
        return ANSWER_ASK_AGAIN;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
        return ANSWER_SILENCE;
    default:
        return ANSWER_FAILED;
    }
}

static void on_answer(void *arg, int said, int timeouts, unsigned char *bytes, int n)
{
    struct question *q = arg;
    struct dx_address addresses[ADDRESSES];
    size_t found = 0;
    (void)timeouts;
    if (said == ARES_SUCCESS)
        found =
            q->family == AF_INET ? take_v4(bytes, n, addresses, &said) : take_v6(bytes, n, addresses, &said);
    if (said == ARES_SUCCESS && found == 0)
        said = ARES_ENODATA;
    q->on_answer(q, meaning_of(said), ares_strerror(said), addresses, found);
}

void channel_ask(struct channel *c, const char *name, struct question *q)
{
    DX_MAGIC_OK(c, CHANNEL_MAGIC);
    if (!c->ares) {
        q->on_answer(q, ANSWER_SILENCE, SAID_FOR_NOTHING, NULL, 0);
        return;
    }
    /* The numbers of class and types, RFC 1035 3.2, RFC 3596 2.1. */
    ares_query(c->ares, name, 1, q->family == AF_INET ? 1 : 28, on_answer, q);
    arm(c);
}

/* --- life --- */

struct channel *channel_new(struct dx_loop *l, const char *resolv_conf, uint16_t port)
{
    struct channel *c = NULL;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return NULL;
    c = calloc(1, sizeof *c);
    if (!c) {
        ares_library_cleanup();
        return NULL;
    }
    DX_MAGIC_SET(c, CHANNEL_MAGIC);
    c->loop = l;
    c->resolv_conf = resolv_conf;
    c->port = port;
    c->timer.on_due = on_time;
    dx_list_init(&c->sockets);
    return c;
}

void channel_free(struct channel **cp)
{
    struct channel *c = *cp;
    if (!c)
        return;
    DX_MAGIC_OK(c, CHANNEL_MAGIC);
    *cp = NULL;
    channel_close(c);
    DX_ASSERT(dx_list_empty(&c->sockets));
    dx_timer_clear(&c->timer);
    ares_library_cleanup();
    DX_MAGIC_CLEAR(c);
    free(c);
}
