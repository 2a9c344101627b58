/* SPDX-License-Identifier: MIT */
/* The data process by its letters, as control sees it: ready, refused, reloaded, stopped, orphaned. */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diplex/board.h"
#include "diplex/ipc.h"
#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "diplex/worker.h"

#define WAIT_MS 5000
#define GENERAL "log: {access: json}\n"
#define ROUTES  "pools: {app: {kind: wsgi, servers: [\"127.0.0.1:1\"]}}\nroutes: {/app/: app}\n"

static struct dx_err err;
static struct dx_board *board;
static struct dx_board_server place;
static int letters[2], said[2], complained[2], door, server;
static char name[DX_ADDRESS_TEXT];
static pid_t data;

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

static void data_start(void)
{
    (void)fflush(NULL);
    data = fork();
    ck_assert_int_ge(data, 0);
    if (data > 0)
        return;
    close(letters[0]);
    if (dup2(said[1], STDOUT_FILENO) < 0 || dup2(complained[1], STDERR_FILENO) < 0)
        _exit(99);
    exit(dx_data_run(letters[1]));
}

static void setup(void)
{
    struct dx_address a;
    char text[DX_ADDRESS_TEXT];
    ck_assert(dx_ipc_pair(letters));
    ck_assert_int_eq(pipe(said), 0);
    ck_assert_int_eq(pipe(complained), 0);
    data_start();
    dx_fd_close(&letters[1]);
    dx_fd_close(&said[1]);
    dx_fd_close(&complained[1]);
    board = dx_board_new(2, &err);
    ck_assert_ptr_nonnull(board);
    door = open_door(name, &a);
    server = open_door(text, &a);
    place = (struct dx_board_server){.id = DX_BOARD_NONE, .weight = 1, .address = a};
    ck_assert(dx_board_pool_write(board, dx_board_pool_add(board, "app"), &place, 1));
}

static void teardown(void)
{
    if (data > 0) {
        (void)kill(data, SIGKILL);
        (void)waitpid(data, NULL, 0);
    }
    dx_board_free(&board);
    dx_fd_close(&door);
    dx_fd_close(&server);
    dx_fd_close(&letters[0]);
    dx_fd_close(&said[0]);
    dx_fd_close(&complained[0]);
}

static void post(enum dx_letter_type type, int fd, uint64_t number, const char *text)
{
    struct dx_letter l = {.type = type, .worker = DX_LETTER_ANY, .number = number, .fd = fd};
    (void)snprintf(l.text, sizeof(l.text), "%s", text);
    ck_assert(dx_ipc_send(letters[0], &l));
}

static void post_config(uint64_t number, const char *yaml)
{
    int fd = dx_fd_memory_file("config", dx_slice_str(yaml));
    ck_assert_int_ge(fd, 0);
    post(DX_LETTER_CONFIG, fd, number, "test.yaml");
    close(fd);
}

static struct dx_letter receive(enum dx_letter_type type)
{
    struct dx_letter l;
    struct pollfd p = {.fd = letters[0], .events = POLLIN};
    do {
        ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
        ck_assert_int_eq(dx_ipc_receive(letters[0], &l), DX_IPC_LETTER);
    } while (l.type == DX_LETTER_SANDBOX && type != DX_LETTER_SANDBOX);
    ck_assert_msg(l.type == type, "letter %d: %s", (int)l.type, l.text);
    return l;
}

static void post_config_at(uint64_t number, const char *more)
{
    char yaml[512];
    (void)snprintf(yaml, sizeof(yaml), "listen: %s\n%s" ROUTES, name, more);
    post_config(number, yaml);
}

static void make_ready(const char *more)
{
    post(DX_LETTER_BOARD, dx_board_fd(board), 0, "");
    post(DX_LETTER_LISTEN, door, 0, name);
    post_config_at(1, more);
    ck_assert_uint_eq(receive(DX_LETTER_READY).number, 1);
}

static int exit_code(void)
{
    int status = -1;
    for (int i = 0; i < WAIT_MS && waitpid(data, &status, WNOHANG) == 0; i++)
        usleep(1000);
    ck_assert_msg(WIFEXITED(status), "status %x", (unsigned)status);
    data = 0;
    return WEXITSTATUS(status);
}

static int client(void)
{
    struct dx_address a;
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(dx_address_parse(dx_slice_str(name), false, &a));
    ck_assert_int_eq(connect(fd, &a.u.sa, a.len), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static void ask(int fd, const char *path, const char *answer)
{
    char request[512], got[1024] = "";
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    ck_assert_int_eq(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
    if (answer == NULL)
        return;
    ck_assert_int_gt(recv(fd, got, sizeof(got) - 1, 0), 0);
    ck_assert_msg(strncmp(got, answer, strlen(answer)) == 0, "heard '%s'", got);
}

/* All that the process wrote to one of its outputs; after its end. */
static const char *written(int fd)
{
    static char text[16 * 1024];
    size_t n = 0;
    for (ssize_t more = 1; more > 0; n += more > 0 ? (size_t)more : 0)
        more = read(fd, text + n, sizeof(text) - 1 - n);
    text[n] = '\0';
    return text;
}

START_TEST(it_serves_and_stops)
{
    make_ready(GENERAL);
    ck_assert_int_eq(waitpid(data, NULL, WNOHANG), 0);
    int c = client();
    ask(c, "/nowhere?x=1", "HTTP/1.1 404 ");
    close(c);
    post(DX_LETTER_STOP, -1, 5000, "");
    ck_assert_uint_eq(receive(DX_LETTER_STOPPED).number, 0);
    ck_assert_int_eq(exit_code(), 0);
    const char *lines = written(said[0]);
    ck_assert_msg(strstr(lines, "\"path\":\"/nowhere?x=1\"") != NULL, "%s", lines);
    ck_assert_msg(strstr(lines, "\"outcome\":\"no_route\"") != NULL, "%s", lines);
}
END_TEST

START_TEST(a_bad_file_changes_nothing)
{
    make_ready(GENERAL);
    post_config(2, "listen: nonsense\nkind of: [\n");
    struct dx_letter l = receive(DX_LETTER_REFUSED);
    ck_assert_uint_eq(l.number, 2);
    ck_assert_msg(strstr(l.text, "test.yaml:") != NULL, "%s", l.text);
    post_config(3, "listen: 127.0.0.1:1\n" ROUTES); /* for which there is no socket */
    l = receive(DX_LETTER_REFUSED);
    ck_assert_msg(strstr(l.text, "no socket for 127.0.0.1:1") != NULL, "%s", l.text);
    post_config(4, "listen: 127.0.0.1:1\npools: {other: {kind: asgi, servers: [\"a:1\"]}}\n");
    l = receive(DX_LETTER_REFUSED);
    ck_assert_msg(strstr(l.text, "not on the board") != NULL, "%s", l.text);
    int c = client();
    ask(c, "/nowhere", "HTTP/1.1 404 ");
    close(c);
}
END_TEST

START_TEST(a_reload_keeps_who_is_connected)
{
    make_ready(GENERAL);
    int c = client();
    ask(c, "/nowhere", "HTTP/1.1 404 ");
    post_config_at(2, "limits: {url: 100}\n");
    ck_assert_uint_eq(receive(DX_LETTER_READY).number, 2);
    char path[200] = "/";
    memset(path + 1, 'x', 150);
    ask(c, path, "HTTP/1.1 414 "); /* by the new rules */
    close(c);
}
END_TEST

START_TEST(what_still_runs_is_cut_in_time)
{
    make_ready(GENERAL);
    int c = client();
    dx_board_server_set(board, place.id, DX_SERVER_UP, DX_WHY_NONE);
    ask(c, "/app/", NULL);
    struct pollfd p = {.fd = server, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    post(DX_LETTER_STOP, -1, 50, "");
    post(DX_LETTER_STOP, -1, 60000, ""); /* said twice */
    ck_assert_uint_eq(receive(DX_LETTER_STOPPED).number, 1);
    ck_assert_int_eq(exit_code(), 0);
    ck_assert_ptr_nonnull(strstr(written(said[0]), "\"outcome\":\"cut_off\""));
    close(c);
}
END_TEST

START_TEST(stopped_before_it_began)
{
    post(DX_LETTER_STOP, -1, 1000, "");
    ck_assert_int_eq(exit_code(), 0);
}
END_TEST

START_TEST(it_does_not_outlive_control)
{
    make_ready("log: off\n");
    int c = client();
    ask(c, "/nowhere", "HTTP/1.1 404 ");
    dx_fd_close(&letters[0]);
    ck_assert_int_eq(exit_code(), 1);
    ck_assert_ptr_nonnull(strstr(written(complained[0]), "control_gone"));
    ck_assert_uint_eq(strlen(written(said[0])), 0);
    close(c);
}
END_TEST

START_TEST(what_is_no_board_is_refused)
{
    int fd = dx_fd_memory_file("no board", DX_SLICE("hello"));
    post(DX_LETTER_BOARD, fd, 0, "");
    close(fd);
    ck_assert_int_eq(exit_code(), 1);
    ck_assert_ptr_nonnull(strstr(written(complained[0]), "no_board"));
}
END_TEST

START_TEST(signals_are_controls_business)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};
    make_ready("log: off\n");
    for (size_t i = 0; i < DX_COUNT(all); i++)
        ck_assert_int_eq(kill(data, all[i]), 0);
    int c = client();
    ask(c, "/nowhere", "HTTP/1.1 404 ");
    close(c);
    post(DX_LETTER_STOP, -1, 5000, "");
    (void)receive(DX_LETTER_STOPPED);
    ck_assert_int_eq(exit_code(), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("data");
    TCase *c = tcase_create("data");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, it_serves_and_stops);
    tcase_add_test(c, a_bad_file_changes_nothing);
    tcase_add_test(c, a_reload_keeps_who_is_connected);
    tcase_add_test(c, what_still_runs_is_cut_in_time);
    tcase_add_test(c, stopped_before_it_began);
    tcase_add_test(c, it_does_not_outlive_control);
    tcase_add_test(c, what_is_no_board_is_refused);
    tcase_add_test(c, signals_are_controls_business);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
