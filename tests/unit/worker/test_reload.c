/* SPDX-License-Identifier: MIT */
/*
 * What a reload of many routes asks of the threads that have clients waiting, in counts. The linker puts the
 * functions below in front of the allocator's (tests/unit/CMakeLists.txt): whatever is allocated and freed by
 * another thread than the main ones of control (this test) and of data is counted.
 */
#include <check.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/base/text.h"
#include "diplex/board.h"
#include "diplex/ipc.h"
#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "diplex/worker.h"

#define WAIT_MS       5000
#define WORKERS       2
#define ROUTES        10000
#define POOLS         20
#define RELOADS       4
#define CALLS_OF_ONE  8    /* of the allocator, in one worker, for a reload: its view of the configuration */
#define BYTES_OF_ONE  4096 /* freed by them */
#define BYTES_OF_FILE (1024u * 1024) /* at least: what is freed with a configuration of so many routes */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static _Thread_local bool is_main, is_data;
static _Atomic uint64_t calls, bytes_freed, bytes_freed_by_data;

static void count_call(void) { calls += is_main ? 0 : 1; }

void *__wrap_malloc(size_t size)
{
    count_call();
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    count_call();
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    count_call();
    return __real_realloc(block, size);
}

void __wrap_free(void *block)
{
    uint64_t bytes = block != NULL ? malloc_usable_size(block) : 0;
    if (block != NULL)
        count_call();
    bytes_freed += is_main ? 0 : bytes;
    bytes_freed_by_data += is_data ? bytes : 0;
    __real_free(block);
}

static struct dx_err err;
static struct dx_board *board;
static int letters[2], door, server;
static char name[DX_ADDRESS_TEXT];
static pthread_t data;
static uint64_t generation;

static void *run_data(void *arg)
{
    is_main = is_data = true;
    (void)arg;
    ck_assert_int_eq(dx_data_run(letters[1]), 0);
    return NULL;
}

static int open_door(char text[DX_ADDRESS_TEXT], struct dx_address *bound)
{
    struct dx_address a;
    int fd = -1;
    ck_assert(dx_address_parse(DX_SLICE("127.0.0.1:0"), false, &a));
    ck_assert_msg(dx_listen_open(&a, false, 0, &fd, &err), "%s", err.text);
    bound->len = sizeof(bound->u);
    ck_assert_int_eq(getsockname(fd, &bound->u.sa, &bound->len), 0);
    (void)dx_address_text(bound, text, DX_ADDRESS_TEXT);
    return fd;
}

static void post(enum dx_letter_type type, int fd, uint64_t number, const char *text)
{
    struct dx_letter l = {.type = type, .worker = DX_LETTER_ANY, .number = number, .fd = fd};
    (void)snprintf(l.text, sizeof(l.text), "%s", text);
    ck_assert(dx_ipc_send(letters[0], &l));
}

/* Giving up root interrupts every thread of a process. */
static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&p, 1, WAIT_MS);
    while (ready < 0 && errno == EINTR);
    ck_assert_int_eq(ready, 1);
}

static struct dx_letter receive(enum dx_letter_type type)
{
    struct dx_letter l;
    do {
        wait_readable(letters[0]);
        ck_assert_int_eq(dx_ipc_receive(letters[0], &l), DX_IPC_LETTER);
    } while (l.type == DX_LETTER_SANDBOX);
    ck_assert_msg(l.type == type, "letter %d: %s", (int)l.type, l.text);
    return l;
}

/* The same pools, other routes. */
static void reload(void)
{
    struct dx_text yaml;
    dx_text_init(&yaml);
    dx_text_addf(&yaml, "listen: %s\nlog: off\nsandbox: off\npools:\n", name);
    for (int i = 0; i < POOLS; i++)
        dx_text_addf(&yaml, "  p%d: {kind: asgi, servers: \"127.0.0.1:1\"}\n", i);
    dx_text_adds(&yaml, "routes:\n  /: p0\n");
    for (int i = 0; i < ROUTES; i++)
        dx_text_addf(&yaml, "  /shop-%u-%d/: p%d\n", (unsigned)generation, i, i % POOLS);
    int fd = dx_fd_memory_file("config", dx_slice_of(yaml.p, yaml.n));
    ck_assert_int_ge(fd, 0);
    dx_text_fini(&yaml);
    post(DX_LETTER_CONFIG, fd, ++generation, "test.yaml");
    close(fd);
    ck_assert_uint_eq(receive(DX_LETTER_READY).number, generation);
}

static void add_pools(const struct dx_address *address)
{
    for (int i = 0; i < POOLS; i++) {
        struct dx_board_server place = {.id = DX_BOARD_NONE, .weight = 1, .address = *address};
        char pool[16];
        (void)snprintf(pool, sizeof(pool), "p%d", i);
        ck_assert(dx_board_pool_write(board, dx_board_pool_add(board, pool), &place, 1));
        dx_board_server_set(board, place.id, DX_SERVER_UP, DX_WHY_NONE);
    }
}

static void setup(void)
{
    struct dx_address a;
    char text[DX_ADDRESS_TEXT];
    is_main = true;
    generation = 0;
    ck_assert(dx_ipc_pair(letters));
    board = dx_board_new(WORKERS, &err);
    ck_assert_ptr_nonnull(board);
    door = open_door(name, &a);
    server = open_door(text, &a);
    add_pools(&a);
    ck_assert_int_eq(pthread_create(&data, NULL, run_data, NULL), 0);
    post(DX_LETTER_BOARD, dx_board_fd(board), 0, "");
    post(DX_LETTER_LISTEN, door, 0, name);
    reload();
    reload(); /* the first one makes the workers' pools */
}

static void teardown(void)
{
    post(DX_LETTER_STOP, -1, 1000, "");
    (void)receive(DX_LETTER_STOPPED);
    ck_assert_int_eq(pthread_join(data, NULL), 0);
    dx_board_free(&board);
    dx_fd_close(&door);
    dx_fd_close(&server);
    dx_fd_close(&letters[0]);
}

static void wait_for(const _Atomic uint64_t *word, uint64_t least)
{
    for (int i = 0; i < WAIT_MS && *word < least; i++)
        usleep(1000);
    ck_assert_uint_ge(*word, least);
}

static void check_workers(uint64_t calls_before, uint64_t bytes_before, unsigned reloads)
{
    uint64_t made = calls - calls_before, freed = bytes_freed - bytes_before;
    ck_assert_msg(made > 0, "the workers' calls are not counted");
    ck_assert_msg(made <= (uint64_t)WORKERS * CALLS_OF_ONE * reloads, "%u reloads: %u calls of the allocator",
                  reloads, (unsigned)made);
    ck_assert_msg(freed <= (uint64_t)WORKERS * BYTES_OF_ONE * reloads, "%u reloads: %u bytes freed", reloads,
                  (unsigned)freed);
}

START_TEST(no_worker_makes_or_frees_routes)
{
    uint64_t calls_before = calls, bytes_before = bytes_freed;
    for (int i = 0; i < RELOADS; i++)
        reload();
    check_workers(calls_before, bytes_before, RELOADS);
}
END_TEST

static int connected(const char *address)
{
    struct dx_address a;
    struct timeval patience = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(dx_address_parse(dx_slice_str(address), false, &a));
    ck_assert_int_eq(connect(fd, &a.u.sa, a.len), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* A request outlives its configuration: the worker that ends it lets go of it last, and does not free it. */
START_TEST(nor_does_the_last_request_on_old_ones)
{
    char got[1024] = "";
    struct dx_address peer;
    int client = connected(name);
    send_text(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_readable(server);
    int upstream = dx_listen_accept(server, &peer);
    ck_assert_int_ge(upstream, 0);
    reload();
    uint64_t calls_before = calls, bytes_before = bytes_freed, data_before = bytes_freed_by_data;
    send_text(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    ck_assert_int_gt(recv(client, got, sizeof(got) - 1, 0), 0);
    ck_assert_msg(strncmp(got, "HTTP/1.1 200 ", 13) == 0, "heard '%s'", got);
    wait_for(&bytes_freed_by_data, data_before + BYTES_OF_FILE);
    check_workers(calls_before, bytes_before, 1);
    close(client);
    close(upstream);
}
END_TEST

START_TEST(the_longest_turn_is_told_anew)
{
    static const uint64_t ages_us = (uint64_t)1 << 50;
    for (unsigned i = 0; i < WORKERS; i++)
        atomic_store(&dx_board_counters(board, i)[DX_COUNTER_TURN_LONGEST], ages_us);
    atomic_store(&dx_board_counters(board, 0)[DX_COUNTER_TAKEOVER], ages_us);
    reload();
    ck_assert_uint_lt(dx_board_counter_sum(board, DX_COUNTER_TURN_LONGEST), ages_us);
    ck_assert_uint_lt(dx_board_counter_sum(board, DX_COUNTER_TAKEOVER), ages_us);
    ck_assert_uint_gt(dx_board_counter_sum(board, DX_COUNTER_TAKEOVER), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reload");
    TCase *c = tcase_create("reload");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 20);
    tcase_add_test(c, no_worker_makes_or_frees_routes);
    tcase_add_test(c, nor_does_the_last_request_on_old_ones);
    tcase_add_test(c, the_longest_turn_is_told_anew);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
