/* SPDX-License-Identifier: MIT */
/* Names become servers: through a hosts file, and through a small name server on loopback that says what the
 * test wants. */
#include "diplex/resolve.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/base/log.h"
#include "diplex/os/clock.h"
#include "resolve/channel.h"
#include "resolve/lookup.h"

#define LIMIT_MS 20000u

/* --- the name server: A records 10.0.0.1 up to `addresses`, or an error; the same for AAAA, fd00::1 up to
 * `addresses6`, of which there are none at first --- */

enum mood { FOUND, NO_SUCH_NAME, SERVER_FAILURE, SILENT };

static struct {
    int fd, stop[2];
    uint16_t port;
    pthread_t thread;
    atomic_int mood, mood6;
    atomic_uint addresses, addresses6, first, asked;
} dns;

static size_t record_write(unsigned char *to, bool is_a, unsigned number)
{
    unsigned char head[] = {0xc0, 12, 0, is_a ? 1 : 28, 0, 1, 0, 0, 0, 1, 0, is_a ? 4 : 16};
    unsigned char v4[4] = {10, 0, 0, (unsigned char)number};
    unsigned char v6[16] = {0xfd, [15] = (unsigned char)number};
    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, is_a ? v4 : v6, is_a ? sizeof v4 : sizeof v6);
    return sizeof head + (is_a ? sizeof v4 : sizeof v6);
}

static size_t reply_make(unsigned char *buf, size_t n)
{
    size_t q = 12;
    while (q < n && buf[q])
        q += buf[q] + 1u;
    q += 5; /* root, type, class */
    if (q > n)
        return 0;
    bool is_a = buf[q - 3] == 1;
    int mood = atomic_load(is_a ? &dns.mood : &dns.mood6);
    if (mood == SILENT)
        return 0;
    unsigned count = mood == FOUND ? atomic_load(is_a ? &dns.addresses : &dns.addresses6) : 0,
             first = atomic_load(&dns.first);
    buf[2] = 0x81;
    buf[3] = (unsigned char)(0x80 | (mood == NO_SUCH_NAME ? 3 : mood == SERVER_FAILURE ? 2 : 0));
    memset(buf + 6, 0, 6);
    buf[7] = (unsigned char)count;
    for (unsigned i = 0; i < count; i++)
        q += record_write(buf + q, is_a, first + i);
    return q;
}

static void dns_says(int mood)
{
    atomic_store(&dns.mood, mood);
    atomic_store(&dns.mood6, mood);
}

static void *answer_on(void *arg)
{
    (void)arg;
    for (;;) {
        unsigned char buf[1024];
        struct sockaddr_in from;
        socklen_t from_n = sizeof from;
        struct pollfd p[2] = {{.fd = dns.fd, .events = POLLIN}, {.fd = dns.stop[0], .events = POLLIN}};
        if (poll(p, 2, -1) < 0 || p[1].revents)
            return NULL;
        ssize_t n = recvfrom(dns.fd, buf, 512, 0, (struct sockaddr *)&from, &from_n);
        if (n < 17)
            continue;
        atomic_fetch_add(&dns.asked, 1);
        size_t reply = reply_make(buf, (size_t)n);
        if (reply)
            (void)sendto(dns.fd, buf, reply, 0, (struct sockaddr *)&from, from_n);
    }
}

static void dns_start(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    dns.fd = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(dns.fd, (struct sockaddr *)&at, n), 0);
    ck_assert_int_eq(getsockname(dns.fd, (struct sockaddr *)&at, &n), 0);
    dns.port = ntohs(at.sin_port);
    ck_assert_int_eq(pipe(dns.stop), 0);
    dns_says(FOUND);
    atomic_store(&dns.addresses, 1);
    atomic_store(&dns.addresses6, 0);
    atomic_store(&dns.first, 1);
    atomic_store(&dns.asked, 0);
    ck_assert_int_eq(pthread_create(&dns.thread, NULL, answer_on, NULL), 0);
}

static void dns_stop(void)
{
    ck_assert_int_eq(write(dns.stop[1], "x", 1), 1);
    ck_assert_int_eq(pthread_join(dns.thread, NULL), 0);
    (void)close(dns.fd);
    (void)close(dns.stop[0]);
    (void)close(dns.stop[1]);
}

/* --- the house around it --- */

static struct dx_err err;
static struct dx_loop *loop;
static struct dx_board *board;
static struct dx_resolver *resolver;
static struct lookup_sources sources;
static uint32_t pool;
static unsigned changes;
static char dir[64], hosts_path[96], resolv_path[96];
static char log_text[16384];
static size_t log_n;

static void sink(struct dx_slice line)
{
    if (log_n + line.n >= sizeof log_text)
        return;
    memcpy(log_text + log_n, line.p, line.n);
    log_n += line.n;
    log_text[log_n] = '\0';
}

static unsigned logged(const char *what)
{
    unsigned n = 0;
    for (const char *at = log_text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void file_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void on_change(void *arg, uint32_t board_pool)
{
    ck_assert_ptr_eq(arg, &changes);
    ck_assert_uint_eq(board_pool, pool);
    changes++;
}

static void resolver_start(const char *resolv, const char *hosts)
{
    sources = (struct lookup_sources){.resolv_conf = resolv, .hosts = hosts, .port = dns.port};
    resolver = resolver_new_with(loop, board, on_change, &changes, &sources);
    ck_assert_ptr_nonnull(resolver);
}

static void setup(void)
{
    changes = 0;
    log_n = 0;
    log_text[0] = '\0';
    dx_log_set_sink(sink);
    strcpy(dir, "/tmp/diplex-resolve-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(hosts_path, sizeof hosts_path, "%s/hosts", dir);
    (void)snprintf(resolv_path, sizeof resolv_path, "%s/resolv.conf", dir);
    dns_start();
    file_write(resolv_path, "nameserver 127.0.0.1\n");
    file_write(hosts_path, "127.0.0.1 localhost\n10.9.9.9 known known.example\n");
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    board = dx_board_new(1, &err);
    ck_assert_ptr_nonnull(board);
    pool = dx_board_pool_add(board, "sync");
    resolver_start(resolv_path, hosts_path);
}

static void teardown(void)
{
    dx_resolver_free(&resolver);
    dx_resolver_free(&resolver);
    dx_board_free(&board);
    dx_loop_free(&loop);
    dns_stop();
    (void)unlink(hosts_path);
    (void)unlink(resolv_path);
    (void)rmdir(dir);
    dx_log_set_sink(NULL);
}

static struct dx_server_config named(const char *text, const char *host)
{
    return (struct dx_server_config){.text = text, .host = host, .port = 8000, .weight = 1};
}

static struct dx_server_config numeric(const char *text)
{
    struct dx_server_config s = {.text = text, .weight = 3, .backup = true};
    ck_assert(dx_address_parse(dx_slice_str(text), false, &s.address));
    return s;
}

static struct dx_pool_config pool_of(struct dx_server_config *servers, unsigned n)
{
    return (struct dx_pool_config){.name = "sync", .servers = servers, .servers_n = n};
}

/* "name=address name=address", what the board says. */
static const char *on_board(void)
{
    static char text[4096];
    struct dx_board_server list[DX_BOARD_POOL_SERVERS];
    char address[DX_ADDRESS_TEXT];
    size_t n = dx_board_pool_read(board, pool, list, NULL), at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        (void)dx_address_text(&list[i].address, address, sizeof address);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s=%s", i ? " " : "", list[i].name, address);
    }
    return text;
}

struct wait {
    struct dx_timer timer;
    uint64_t until_us;
    const char *board, *log;
    unsigned asked;
    bool came;
};

static void on_wait(struct dx_timer *t)
{
    struct wait *w = DX_CONTAINER(t, struct wait, timer);
    w->came = (w->board || w->log || w->asked) && (!w->board || strcmp(on_board(), w->board) == 0) &&
              (!w->log || logged(w->log)) && atomic_load(&dns.asked) >= w->asked;
    if (w->came || dx_clock_us() > w->until_us)
        dx_loop_stop(loop);
    else
        dx_timer_set(loop, t, 2);
}

static bool turn(struct wait w, uint64_t ms)
{
    w.timer.on_due = on_wait;
    w.until_us = dx_clock_us() + ms * 1000;
    dx_timer_set(loop, &w.timer, 1);
    dx_loop_run(loop);
    return w.came;
}

#define ck_board_becomes(text) \
    ck_assert_msg(turn((struct wait){.board = (text)}, LIMIT_MS), "the board says: %s", on_board())
#define ck_log_gets(text) \
    ck_assert_msg(turn((struct wait){.log = (text)}, LIMIT_MS), "the log says: %s", log_text)
static void pass_lookups(unsigned n)
{
    ck_assert(turn((struct wait){.asked = atomic_load(&dns.asked) + 2 * n}, LIMIT_MS));
}

/* --- stories --- */

START_TEST(known_addresses_are_there_at_once)
{
    struct dx_server_config servers[] = {numeric("127.0.0.1:8000"), numeric("unix:/run/app.sock"),
                                         numeric("[::1]:8000")};
    struct dx_pool_config config = pool_of(servers, 3);
    struct dx_board_server list[DX_BOARD_POOL_SERVERS];
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    ck_assert_str_eq(
        on_board(),
        "127.0.0.1:8000=127.0.0.1:8000 unix:/run/app.sock=unix:/run/app.sock [::1]:8000=[::1]:8000");
    ck_assert_uint_eq(dx_board_pool_read(board, pool, list, NULL), 3);
    ck_assert_uint_eq(list[0].weight, 3);
    ck_assert(list[0].backup);
    (void)turn((struct wait){0}, 60);
    ck_assert_uint_eq(changes, 0); /* the caller knows */
    ck_assert_uint_eq(atomic_load(&dns.asked), 0);
}
END_TEST

START_TEST(the_hosts_file_knows)
{
    struct dx_server_config servers[] = {named("localhost:8000", "localhost"), named("known:8000", "known")};
    struct dx_pool_config config = pool_of(servers, 2);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    ck_assert_str_eq(on_board(), "");
    ck_board_becomes("localhost:8000=127.0.0.1:8000 known:8000=10.9.9.9:8000");
    ck_assert_uint_eq(changes, 2);
    ck_assert_uint_eq(logged("name_resolved pool=sync server=known:8000 addresses=10.9.9.9:8000"), 1);
    (void)turn((struct wait){0}, 100);
    ck_assert_uint_eq(changes, 2);
    ck_assert_uint_eq(logged("name_resolved"), 2);
    ck_assert_uint_eq(atomic_load(&dns.asked), 0);
}
END_TEST

START_TEST(a_changed_hosts_file_is_read_again)
{
    struct dx_server_config servers[] = {named("known:8000", "known")};
    struct dx_pool_config config = pool_of(servers, 1);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    ck_board_becomes("known:8000=10.9.9.9:8000");
    file_write(hosts_path, "10.7.7.7 known\n");
    ck_board_becomes("known:8000=10.7.7.7:8000");
}
END_TEST

START_TEST(every_address_is_a_server_and_keeps_its_place)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    struct dx_board_server before[DX_BOARD_POOL_SERVERS], after[DX_BOARD_POOL_SERVERS];
    atomic_store(&dns.addresses, 2);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    ck_board_becomes("web:8000=10.0.0.1:8000 web:8000=10.0.0.2:8000");
    ck_assert_uint_eq(dx_board_pool_read(board, pool, before, NULL), 2);
    dx_board_server_set(board, before[1].id, DX_SERVER_UP, DX_WHY_NONE);
    atomic_store(&dns.first, 2);
    ck_board_becomes("web:8000=10.0.0.2:8000 web:8000=10.0.0.3:8000");
    ck_assert_uint_eq(dx_board_pool_read(board, pool, after, NULL), 2);
    ck_assert_uint_eq(after[0].id, before[1].id);
    ck_assert_uint_eq(after[0].generation, before[1].generation);
    ck_assert_int_eq(dx_board_server_state(board, after[0].id), DX_SERVER_UP);
    ck_assert_int_eq(dx_board_server_state(board, after[1].id), DX_SERVER_STARTING);
    ck_assert_uint_eq(logged("name_resolved"), 2);
    ck_assert_uint_eq(logged("addresses=10.0.0.2:8000,10.0.0.3:8000"), 1);
    ck_assert_uint_eq(changes, 2);
}
END_TEST

START_TEST(no_such_name_is_believed_the_third_time)
{
    struct dx_server_config servers[] = {named("web:8000", "web"), numeric("127.0.0.1:9")};
    struct dx_pool_config config = pool_of(servers, 2);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 200));
    ck_board_becomes("web:8000=10.0.0.1:8000 127.0.0.1:9=127.0.0.1:9");
    dns_says(NO_SUCH_NAME);
    ck_log_gets("name_unresolved pool=sync server=web:8000 reason=\"no such name\" addresses_kept=1");
    ck_assert_str_eq(on_board(), "web:8000=10.0.0.1:8000 127.0.0.1:9=127.0.0.1:9");
    ck_log_gets("name_gone pool=sync server=web:8000");
    ck_assert_str_eq(on_board(), "127.0.0.1:9=127.0.0.1:9");
    pass_lookups(2);
    ck_assert_uint_eq(logged("name_gone"), 1);
    ck_assert_uint_eq(logged("name_unresolved"), 1);
    dns_says(FOUND);
    ck_board_becomes("web:8000=10.0.0.1:8000 127.0.0.1:9=127.0.0.1:9");
    ck_assert_uint_eq(logged("name_resolved"), 2);
}
END_TEST

START_TEST(a_failing_name_server_changes_nothing)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    ck_board_becomes("web:8000=10.0.0.1:8000");
    dns_says(SERVER_FAILURE);
    ck_log_gets("name_unresolved");
    dns_says(SILENT);
    (void)turn((struct wait){0}, 300);
    ck_assert_str_eq(on_board(), "web:8000=10.0.0.1:8000");
    ck_assert_uint_eq(logged("name_unresolved"), 1);
    ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(an_empty_answer_is_believed_the_third_time)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 200));
    ck_board_becomes("web:8000=10.0.0.1:8000");
    atomic_store(&dns.addresses, 0);
    ck_log_gets("name_unresolved pool=sync server=web:8000 reason=\"no address behind the name\"");
    ck_assert_str_eq(on_board(), "web:8000=10.0.0.1:8000");
    ck_board_becomes("");
    ck_assert_uint_eq(logged("name_gone"), 1);
}
END_TEST

START_TEST(a_doubted_name_is_asked_again_soon)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 60000));
    ck_board_becomes("web:8000=10.0.0.1:8000");
    dns_says(NO_SUCH_NAME);
    dx_resolver_hurry(resolver, pool);
    ck_board_becomes(""); /* three times, a second apart, and not a minute */
}
END_TEST

START_TEST(a_pool_that_is_down_is_asked_for_every_second)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    struct dx_board_server list[DX_BOARD_POOL_SERVERS];
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 60000));
    ck_board_becomes("web:8000=10.0.0.1:8000");
    ck_assert_uint_eq(dx_board_pool_read(board, pool, list, NULL), 1);
    dx_board_server_set(board, list[0].id, DX_SERVER_DOWN, DX_WHY_PROBE);
    atomic_store(&dns.first, 2);
    ck_board_becomes("web:8000=10.0.0.2:8000");
}
END_TEST

START_TEST(both_families_are_servers)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    atomic_store(&dns.addresses6, 2);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    ck_assert(turn((struct wait){.log = "name_resolved"}, LIMIT_MS));
    ck_assert_ptr_nonnull(strstr(on_board(), "web:8000=10.0.0.1:8000"));
    ck_assert_ptr_nonnull(strstr(on_board(), "web:8000=[fd00::1]:8000"));
    ck_assert_ptr_nonnull(strstr(on_board(), "web:8000=[fd00::2]:8000"));
    atomic_store(&dns.addresses, 0);
    ck_board_becomes("web:8000=[fd00::1]:8000 web:8000=[fd00::2]:8000");
}
END_TEST

START_TEST(a_family_that_fails_keeps_its_servers)
{
    const int troubles[] = {SERVER_FAILURE, SILENT};
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    atomic_store(&dns.addresses6, 1);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    ck_assert(turn((struct wait){.log = "name_resolved"}, LIMIT_MS));
    ck_assert_ptr_nonnull(strstr(on_board(), "fd00::1"));
    for (size_t i = 0; i < DX_COUNT(troubles); i++) {
        atomic_store(&dns.mood6, troubles[i]);
        atomic_store(&dns.first, 2 + (unsigned)i);
        ck_board_becomes(i == 0 ? "web:8000=[fd00::1]:8000 web:8000=10.0.0.2:8000"
                                : "web:8000=[fd00::1]:8000 web:8000=10.0.0.3:8000");
    }
    atomic_store(&dns.mood, NO_SUCH_NAME); /* of the other family nobody knows: so nobody knows */
    (void)turn((struct wait){.log = "name_unresolved"}, LIMIT_MS);
    ck_assert_str_eq(on_board(), "web:8000=[fd00::1]:8000 web:8000=10.0.0.3:8000");
    atomic_store(&dns.mood6, NO_SUCH_NAME);
    ck_board_becomes("");
}
END_TEST

START_TEST(a_changed_resolv_conf_is_asked_at_once)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    dns_says(SILENT);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 20));
    (void)turn((struct wait){.asked = 2}, LIMIT_MS);
    dns_says(FOUND);
    file_write(resolv_path, "nameserver 127.0.0.1\n# changed\n");
    struct dx_pool_config other = pool_of(servers, 1);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &other, 20)); /* asks, and so looks at the file */
    ck_board_becomes("web:8000=10.0.0.1:8000");
}
END_TEST

/* --- the parts --- */

START_TEST(the_search_list)
{
    static const struct {
        const char *conf, *host, *names[4];
    } rows[] = {
        {"search .\n", "web", {"web.", "web"}}, /* as systemd-resolved writes it */
        {"search a.example b.example\n", "web", {"web.a.example", "web.b.example", "web"}},
        {"search a.example\n", "web.b", {"web.b", "web.b.a.example"}},
        {"search a.example\n", "web.", {"web."}},
        {"search a.example\noptions ndots:0\n", "web", {"web", "web.a.example"}},
        {"search a.example\noptions ndots:2\n", "web.b", {"web.b.a.example", "web.b"}},
        {"domain a.example\n", "web", {"web.a.example", "web"}},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char conf[128], name[CHANNEL_NAME];
        unsigned k = 0;
        (void)snprintf(conf, sizeof conf, "nameserver 127.0.0.1\n%s", rows[i].conf);
        file_write(resolv_path, conf);
        struct channel *c = channel_new(loop, resolv_path, 0);
        ck_assert_ptr_nonnull(c);
        channel_follow(c);
        for (; rows[i].names[k]; k++) {
            ck_assert(channel_candidate(c, rows[i].host, k, name));
            ck_assert_str_eq(name, rows[i].names[k]);
        }
        ck_assert(!channel_candidate(c, rows[i].host, k, name));
        channel_free(&c);
        channel_free(&c);
    }
}
END_TEST

START_TEST(the_hosts_file)
{
    static struct lookup_result r;
    const char *absent = "/nonexistent/hosts";
    file_write(hosts_path,
               "# 10.0.0.1 web\n10.0.0.2\tother  Web.Example WEB # web\n\nfd00::1 web\n10.0.0.2 web\n"
               "nonsense web\n10.0.0.3 webb #web\n10.0.0.4");
    hosts_find(hosts_path, "web", 80, &r);
    ck_assert_uint_eq(r.n, 2);
    char text[DX_ADDRESS_TEXT];
    (void)dx_address_text(&r.addresses[0], text, sizeof text);
    ck_assert_str_eq(text, "10.0.0.2:80");
    (void)dx_address_text(&r.addresses[1], text, sizeof text);
    ck_assert_str_eq(text, "[fd00::1]:80");
    r.n = 0;
    hosts_find(hosts_path, "10.0.0.4", 80, &r);
    hosts_find(absent, "web", 80, &r);
    ck_assert_uint_eq(r.n, 0);
}
END_TEST

START_TEST(a_result_holds_so_many_and_says_when_there_are_more)
{
    static struct lookup_result r;
    struct dx_address a;
    ck_assert(dx_address_from_ip(DX_SLICE("10.0.0.1"), 80, &a));
    for (unsigned i = 0; i < LOOKUP_ADDRESSES; i++) {
        dx_address_set_port(&a, (uint16_t)(1 + i));
        lookup_result_add(&r, &a);
    }
    ck_assert_uint_eq(r.n, LOOKUP_ADDRESSES);
    lookup_result_add(&r, &a); /* known */
    ck_assert(!r.cut);
    dx_address_set_port(&a, 9999);
    lookup_result_add(&r, &a);
    ck_assert(r.cut);
    ck_assert_uint_eq(r.n, LOOKUP_ADDRESSES);
}
END_TEST

START_TEST(a_name_may_come_later)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    dns_says(NO_SUCH_NAME);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 60000));
    ck_log_gets("addresses_kept=0");
    dns_says(FOUND);
    ck_board_becomes("web:8000=10.0.0.1:8000"); /* asked every second while it has none */
    ck_assert_uint_eq(logged("name_gone"), 0);
}
END_TEST

START_TEST(hurry_asks_at_most_once_a_second)
{
    struct dx_server_config servers[] = {named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 1);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 60000));
    ck_board_becomes("web:8000=10.0.0.1:8000");
    unsigned asked = atomic_load(&dns.asked);
    atomic_store(&dns.addresses, 2);
    for (unsigned i = 0; i < 10; i++) {
        dx_resolver_hurry(resolver, pool);
        (void)turn((struct wait){0}, 10);
    }
    ck_assert_uint_eq(atomic_load(&dns.asked), asked);
    ck_board_becomes("web:8000=10.0.0.1:8000 web:8000=10.0.0.2:8000");
    ck_assert_uint_le(atomic_load(&dns.asked), asked + 2); /* A and AAAA, or A alone without IPv6 */
}
END_TEST

START_TEST(a_reload_keeps_what_is_known)
{
    struct dx_server_config old_servers[] = {named("web:8000", "web")};
    struct dx_server_config new_servers[] = {numeric("127.0.0.1:1"), named("web:8000", "web")};
    struct dx_pool_config before = pool_of(old_servers, 1), after = pool_of(new_servers, 2);
    struct dx_board_server list[DX_BOARD_POOL_SERVERS];
    ck_assert(dx_resolver_watch_pool(resolver, pool, &before, 60000));
    ck_board_becomes("web:8000=10.0.0.1:8000");
    ck_assert_uint_eq(dx_board_pool_read(board, pool, list, NULL), 1);
    uint32_t id = list[0].id;
    dns_says(SERVER_FAILURE);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &after, 60000));
    memset(old_servers, 0xee, sizeof old_servers);
    ck_assert_str_eq(on_board(), "127.0.0.1:1=127.0.0.1:1 web:8000=10.0.0.1:8000");
    ck_assert_uint_eq(dx_board_pool_read(board, pool, list, NULL), 2);
    ck_assert_uint_eq(list[1].id, id);
    ck_log_gets("name_unresolved");
    new_servers[1].weight = 9;
    ck_assert(dx_resolver_watch_pool(resolver, pool, &after, 60000));
    ck_assert_uint_eq(dx_board_pool_read(board, pool, list, NULL), 2);
    ck_assert_uint_eq(list[1].weight, 9);
    ck_assert_uint_eq(list[1].id, id);
}
END_TEST

START_TEST(twins_have_places_of_their_own)
{
    struct dx_server_config servers[] = {numeric("127.0.0.1:1"), numeric("127.0.0.1:1")};
    struct dx_pool_config config = pool_of(servers, 2);
    struct dx_board_server list[DX_BOARD_POOL_SERVERS], again[DX_BOARD_POOL_SERVERS];
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    ck_assert_uint_eq(dx_board_pool_read(board, pool, list, NULL), 2);
    ck_assert_uint_ne(list[0].id, list[1].id);
    servers[0].weight = 8;
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    ck_assert_uint_eq(dx_board_pool_read(board, pool, again, NULL), 2);
    ck_assert_uint_eq(again[0].id, list[0].id);
    ck_assert_uint_eq(again[1].id, list[1].id);
}
END_TEST

START_TEST(without_name_servers_or_files_it_starts)
{
    struct dx_server_config servers[] = {named("localhost:8000", "localhost"), named("web:8000", "web")};
    struct dx_pool_config config = pool_of(servers, 2);
    dx_resolver_free(&resolver);
    resolver_start("/nonexistent/resolv.conf", "/nonexistent/hosts");
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    (void)turn((struct wait){0}, 200);
    ck_assert_int_eq(strncmp(on_board(), "localhost:8000=127.0.0.1:8000", 29), 0);
    dx_resolver_free(&resolver);
    file_write(hosts_path, "10.1.1.1 other\n"); /* a hosts file without localhost, and a silent name server */
    dns_says(NO_SUCH_NAME);
    resolver_start(resolv_path, hosts_path);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    ck_board_becomes("localhost:8000=127.0.0.1:8000");
}
END_TEST

START_TEST(freeing_lets_go_of_what_runs)
{
    struct dx_server_config servers[] = {named("a:1", "a"), named("b:1", "b"), named("known:1", "known")};
    struct dx_pool_config config = pool_of(servers, 3);
    dns_says(SILENT);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000)); /* freed before the loop turned */
    dx_resolver_free(&resolver);
    resolver_start(resolv_path, hosts_path);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    (void)turn((struct wait){0}, 50);
    dx_resolver_forget_pool(resolver, pool); /* then freed while cancelled */
    (void)turn((struct wait){0}, 20);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    (void)turn((struct wait){0}, 50);
    ck_assert_str_eq(on_board(), "known:1=10.9.9.9:8000");
}
END_TEST

START_TEST(this_machine_knows_localhost)
{
    struct dx_server_config servers[] = {named("localhost:8000", "localhost")};
    struct dx_pool_config config = pool_of(servers, 1);
    dx_resolver_free(&resolver);
    resolver = dx_resolver_new(loop, board, on_change, &changes);
    ck_assert_ptr_nonnull(resolver);
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    ck_log_gets("name_resolved pool=sync server=localhost:8000");
    ck_assert_ptr_nonnull(strstr(on_board(), "localhost:8000=127.0.0.1:8000"));
}
END_TEST

START_TEST(more_servers_than_a_pool_holds_are_refused)
{
    static struct dx_server_config many[DX_BOARD_POOL_SERVERS + 1];
    struct dx_pool_config config = pool_of(many, DX_BOARD_POOL_SERVERS + 1);
    for (unsigned i = 0; i <= DX_BOARD_POOL_SERVERS; i++)
        many[i] = numeric("127.0.0.1:1");
    ck_assert(!dx_resolver_watch_pool(resolver, pool, &config, 1000));
    ck_assert_str_eq(on_board(), "");
}
END_TEST

START_TEST(a_full_board_refuses_and_leaves_all_as_it_was)
{
    static struct dx_server_config many[DX_BOARD_POOL_SERVERS];
    static char text[DX_BOARD_POOL_SERVERS][24];
    struct dx_pool_config config = pool_of(many, DX_BOARD_POOL_SERVERS), small = pool_of(many, 1);
    char name[8];
    for (unsigned i = 0; i < DX_BOARD_POOL_SERVERS; i++) {
        (void)snprintf(text[i], sizeof text[i], "127.0.0.1:%u", 1000 + i);
        many[i] = numeric(text[i]);
    }
    ck_assert(dx_resolver_watch_pool(resolver, pool, &small, 1000));
    for (unsigned i = 0; i < DX_BOARD_SERVERS / DX_BOARD_POOL_SERVERS - 1; i++) {
        (void)snprintf(name, sizeof name, "p%u", i);
        ck_assert(dx_resolver_watch_pool(resolver, dx_board_pool_add(board, name), &config, 1000));
    }
    ck_assert(dx_resolver_watch_pool(resolver, pool, &config, 1000));
    uint32_t last = dx_board_pool_add(board, "last");
    ck_assert(!dx_resolver_watch_pool(resolver, last, &small, 1000));
    dx_resolver_forget_pool(resolver, pool);
    dx_board_pool_remove(board, pool);
    ck_assert(dx_resolver_watch_pool(resolver, last, &small, 1000));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("resolve");
    TCase *c = tcase_create("resolve");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, known_addresses_are_there_at_once);
    tcase_add_test(c, the_hosts_file_knows);
    tcase_add_test(c, a_changed_hosts_file_is_read_again);
    tcase_add_test(c, every_address_is_a_server_and_keeps_its_place);
    tcase_add_test(c, no_such_name_is_believed_the_third_time);
    tcase_add_test(c, a_failing_name_server_changes_nothing);
    tcase_add_test(c, an_empty_answer_is_believed_the_third_time);
    tcase_add_test(c, a_doubted_name_is_asked_again_soon);
    tcase_add_test(c, a_pool_that_is_down_is_asked_for_every_second);
    tcase_add_test(c, both_families_are_servers);
    tcase_add_test(c, a_family_that_fails_keeps_its_servers);
    tcase_add_test(c, a_changed_resolv_conf_is_asked_at_once);
    tcase_add_test(c, the_search_list);
    tcase_add_test(c, the_hosts_file);
    tcase_add_test(c, a_result_holds_so_many_and_says_when_there_are_more);
    tcase_add_test(c, a_name_may_come_later);
    tcase_add_test(c, hurry_asks_at_most_once_a_second);
    tcase_add_test(c, a_reload_keeps_what_is_known);
    tcase_add_test(c, twins_have_places_of_their_own);
    tcase_add_test(c, without_name_servers_or_files_it_starts);
    tcase_add_test(c, freeing_lets_go_of_what_runs);
    tcase_add_test(c, this_machine_knows_localhost);
    tcase_add_test(c, more_servers_than_a_pool_holds_are_refused);
    tcase_add_test(c, a_full_board_refuses_and_leaves_all_as_it_was);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
