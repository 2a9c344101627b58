/* SPDX-License-Identifier: MIT */
/*
 * evdns answers when it likes: at once from inside the call for a name in the hosts file, later from the
 * loop, and after a cancel once more. So a lookup belongs to evdns until its callback came, and is told from
 * a task of ours, unless its owner has gone.
 */
#include "resolve/lookup.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "diplex/base/log.h"

#define LOOKUPS_MAGIC    0x100c0001u
#define LETTING_GO_TURNS 16
#define RESOLV_PARTS     (DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC)

struct stamp {
    struct timespec changed;
    ino_t inode;
    off_t bytes;
};

struct lookups {
    uint32_t magic;
    struct dx_loop *loop;
    struct evdns_base *dns;
    const char *resolv_conf, *hosts;
    struct stamp resolv_stamp, hosts_stamp;
    struct dx_link running; /* struct lookup, those without owner too */
};

struct lookup {
    struct dx_link link;
    struct dx_task task;
    struct lookups *lookups;
    struct evdns_getaddrinfo_request *request; /* NULL once evdns called back */
    bool answered;
    bool is_localhost;
    uint16_t port;
    void (*on_done)(void *arg, const struct lookup_result *r); /* NULL: cancelled */
    void *arg;
    struct lookup_result result;
};

/* --- the machine's files --- */

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

/* A failure leaves evdns with its defaults (a name server on this machine, localhost): no reason not to
 * start. */
static void files_read(struct lookups *l)
{
    static const char *const options[][2] = {
        {"timeout:", "2"},
        {"attempts:", "2"},
        {"getaddrinfo-allow-skew:", "1"},
        {"randomize-case:", "0"}, /* name servers of container networks compare names as they come */
    };
    for (size_t i = 0; i < DX_COUNT(options); i++)
        (void)evdns_base_set_option(l->dns, options[i][0], options[i][1]);
    (void)evdns_base_load_hosts(l->dns, l->hosts);
    if (evdns_base_resolv_conf_parse(l->dns, RESOLV_PARTS, l->resolv_conf) != 0)
        dx_log(DX_LOG_DEBUG, "resolv_conf_defaults", DX_KS("file", l->resolv_conf));
}

static void files_follow(struct lookups *l)
{
    bool resolv = stamp_moves(&l->resolv_stamp, l->resolv_conf),
         hosts = stamp_moves(&l->hosts_stamp, l->hosts);
    if (!resolv && !hosts)
        return;
    (void)evdns_base_clear_nameservers_and_suspend(l->dns);
    evdns_base_search_clear(l->dns);
    evdns_base_clear_host_addresses(l->dns);
    files_read(l);
    (void)evdns_base_resume(l->dns);
}

/* --- one lookup --- */

static void lookup_free(struct lookup *x)
{
    dx_task_cancel(&x->task);
    dx_list_remove(&x->link);
    free(x);
}

static void address_add(struct lookup_result *r, const struct dx_address *a)
{
    for (size_t i = 0; i < r->n; i++) {
        if (dx_address_eq(&r->addresses[i], a))
            return;
    }
    if (r->n < LOOKUP_ADDRESSES)
        r->addresses[r->n++] = *a;
}

static void take_addresses(struct lookup *x, const struct evutil_addrinfo *list)
{
    for (const struct evutil_addrinfo *at = list; at; at = at->ai_next) {
        struct dx_address a = {.len = at->ai_addrlen};
        bool known = at->ai_family == AF_INET || at->ai_family == AF_INET6;
        if (!known || a.len == 0 || a.len > sizeof a.u)
            continue;
        memcpy(&a.u, at->ai_addr, a.len);
        dx_address_set_port(&a, x->port);
        address_add(&x->result, &a);
    }
}

/* RFC 6761 6.3: localhost is this machine, whatever a name server or the lack of one says. */
static void take_loopback(struct lookup *x)
{
    struct dx_address a;
    bool ok = dx_address_from_ip(DX_SLICE("127.0.0.1"), x->port, &a);
    DX_ASSERT(ok);
    address_add(&x->result, &a);
}

static void judge(struct lookup *x, int code)
{
    struct lookup_result *r = &x->result;
    if (r->n == 0 && x->is_localhost)
        take_loopback(x);
    if (r->n > 0) {
        r->outcome = LOOKUP_FOUND;
        return;
    }
    r->outcome = code == EVUTIL_EAI_NONAME ? LOOKUP_NO_SUCH_NAME : LOOKUP_FAILED;
    r->error = r->outcome == LOOKUP_NO_SUCH_NAME ? "no such name" : "no usable answer from a name server";
}

static void on_answer(int code, struct evutil_addrinfo *list, void *arg)
{
    struct lookup *x = arg;
    x->request = NULL;
    x->answered = true;
    take_addresses(x, list);
    if (list)
        evutil_freeaddrinfo(list);
    if (!x->on_done) {
        lookup_free(x);
        return;
    }
    judge(x, code);
    dx_loop_again(x->lookups->loop, &x->task);
}

static void tell(struct dx_task *t)
{
    struct lookup *x = DX_CONTAINER(t, struct lookup, task);
    void (*on_done)(void *, const struct lookup_result *) = x->on_done;
    dx_list_remove(&x->link);
    on_done(x->arg, &x->result);
    free(x);
}

struct lookup *lookup_start(struct lookups *l, const char *host, uint16_t port,
                            void (*on_done)(void *arg, const struct lookup_result *r), void *arg)
{
    DX_MAGIC_OK(l, LOOKUPS_MAGIC);
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct lookup *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    files_follow(l);
    x->lookups = l;
    x->port = port;
    x->is_localhost = dx_slice_eq_nocase(dx_slice_str(host), DX_SLICE("localhost"));
    x->on_done = on_done;
    x->arg = arg;
    x->task.run = tell;
    dx_list_push_tail(&l->running, &x->link);
    struct evdns_getaddrinfo_request *request = evdns_getaddrinfo(l->dns, host, NULL, &hints, on_answer, x);
    if (!x->answered)
        x->request = request;
    return x;
}

/* While evdns holds the lookup it stays, without an owner, until the callback. */
void lookup_cancel(struct lookup **xp)
{
    struct lookup *x = *xp;
    if (!x)
        return;
    *xp = NULL;
    x->on_done = NULL;
    if (x->answered)
        lookup_free(x);
    else if (x->request)
        evdns_getaddrinfo_cancel(x->request);
}

/* --- life --- */

static void on_dns_log(int is_warning, const char *text)
{
    dx_log(is_warning ? DX_LOG_WARN : DX_LOG_DEBUG, "dns", DX_KS("text", text));
}

struct lookups *lookups_new(struct dx_loop *loop, const char *resolv_conf, const char *hosts)
{
    struct lookups *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    DX_MAGIC_SET(l, LOOKUPS_MAGIC);
    l->loop = loop;
    l->resolv_conf = resolv_conf;
    l->hosts = hosts;
    dx_list_init(&l->running);
    evdns_set_log_fn(on_dns_log);
    l->dns = evdns_base_new(dx_loop_base(loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!l->dns) {
        lookups_free(&l);
        return NULL;
    }
    l->resolv_stamp = stamp_of(resolv_conf);
    l->hosts_stamp = stamp_of(hosts);
    files_read(l);
    return l;
}

void lookups_free(struct lookups **lp)
{
    struct lookups *l = *lp;
    if (!l)
        return;
    DX_MAGIC_OK(l, LOOKUPS_MAGIC);
    *lp = NULL;
    DX_LIST_FOR_SAFE (link, &l->running) {
        struct lookup *x = DX_CONTAINER(link, struct lookup, link);
        lookup_cancel(&x);
    }
    for (int i = 0; i < LETTING_GO_TURNS && !dx_list_empty(&l->running); i++)
        (void)event_base_loop(dx_loop_base(l->loop), EVLOOP_NONBLOCK);
    if (l->dns)
        evdns_base_free(l->dns, 0);
    DX_ASSERT(dx_list_empty(&l->running));
    DX_MAGIC_CLEAR(l);
    free(l);
}
