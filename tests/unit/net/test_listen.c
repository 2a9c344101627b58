/* SPDX-License-Identifier: MIT */
/* Listening sockets: both families, and what may stand where a Unix socket is to be. */
#include <fcntl.h>
#include <netinet/tcp.h>

#include "support.h"

static struct dx_err err;

static bool refused(const struct dx_address *a, int why)
{
    int fd = -7;
    err.text[0] = '\0';
    if (dx_listen_open(a, false, 0600, &fd, &err))
        return false;
    ck_assert_int_eq(fd, -7);
    ck_assert_msg(strstr(err.text, "cannot listen on ") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, strerror(why)) != NULL, "%s", err.text);
    return true;
}

static int connect_to(const struct dx_address *a)
{
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_msg(connect(fd, &a->u.sa, a->len) == 0, "%s", strerror(errno));
    return fd;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t n = sizeof(value);
    ck_assert_int_eq(getsockopt(fd, level, name, &value, &n), 0);
    return value;
}

static bool has_ipv6(void)
{
    struct dx_address a = address_of("[::1]:0");
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, &a.u.sa, a.len) == 0;
    dx_fd_close(&fd);
    return ok;
}

START_TEST(who_opened_it_does_not_matter)
{
    struct dx_address a = address_of("127.0.0.1:0"), got;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, &a.u.sa, a.len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert(dx_listen_adopt(fd, &got, &err));
    struct dx_address where = bound_to(fd);
    ck_assert(dx_address_eq(&got, &where));
    ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_ne(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    dx_fd_close(&fd);
}
END_TEST

START_TEST(only_listening_streams_are_adopted)
{
    struct dx_address got = {.len = 77};
    int fds[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0),
                 socket(AF_UNIX, SOCK_STREAM, 0), open("/dev/null", O_RDWR), -1};
    for (size_t i = 0; i < DX_COUNT(fds); i++) {
        err.text[0] = '\0';
        ck_assert(!dx_listen_adopt(fds[i], &got, &err));
        ck_assert_msg(strstr(err.text, "descriptor ") != NULL, "%s", err.text);
        ck_assert_uint_eq(got.len, 77);
        ck_assert(fds[i] < 0 || !(fcntl(fds[i], F_GETFL) & O_NONBLOCK));
        dx_fd_close(&fds[i]);
    }
}
END_TEST

static void accepts_and_names(const char *text, const char *host)
{
    struct dx_address a = address_of(text), peer;
    char name[DX_ADDRESS_TEXT];
    int listener = listen_on(&a);
    struct dx_address where = bound_to(listener);

    ck_assert_int_eq(dx_listen_accept(listener, &peer), -1);
    ck_assert_int_eq(errno, EAGAIN);
    int client = connect_to(&where), fd = accept_soon(listener, &peer);
    (void)dx_address_host_text(&peer, name, sizeof(name));
    ck_assert_str_eq(name, host);
    struct dx_address from = bound_to(client);
    ck_assert(dx_address_eq(&peer, &from));
    ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    close(fd);
    close(client);
    close(listener);
}

START_TEST(ipv4) { accepts_and_names("127.0.0.1:0", "127.0.0.1"); }
END_TEST

START_TEST(ipv6)
{
    if (has_ipv6())
        accepts_and_names("[::1]:0", "::1");
}
END_TEST

/* The kernel finds out whether a silent client's host is there still, and soon: its own default is two hours.
 */
START_TEST(who_is_accepted_is_watched_over)
{
    struct dx_address a = address_of("127.0.0.1:0"), peer;
    int listener = listen_on(&a);
    struct dx_address where = bound_to(listener);
    int client = connect_to(&where), fd = accept_soon(listener, &peer);

    ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    dx_fd_close(&fd);
    dx_fd_close(&client);
    dx_fd_close(&listener);
}
END_TEST

START_TEST(the_wildcard_takes_both_families)
{
    struct dx_address a = address_of(":0"), peer;
    if (!has_ipv6())
        return;
    int listener = listen_on(&a);
    struct dx_address v4 = address_of("127.0.0.1:1"), v6 = address_of("[::1]:1");
    struct dx_address where = bound_to(listener);
    dx_address_set_port(&v4, dx_address_port(&where));
    dx_address_set_port(&v6, dx_address_port(&where));
    int one = connect_to(&v4), two = connect_to(&v6);
    int first = accept_soon(listener, &peer), second = accept_soon(listener, &peer);
    close(first), close(second), close(one), close(two), close(listener);
}
END_TEST

START_TEST(a_port_in_use_is_refused)
{
    struct dx_address a = address_of("127.0.0.1:0");
    int listener = listen_on(&a);
    struct dx_address taken = bound_to(listener);
    ck_assert(refused(&taken, EADDRINUSE));
    close(listener);
}
END_TEST

START_TEST(a_port_is_shared_when_both_ask_for_it)
{
    struct dx_address a = address_of("127.0.0.1:0");
    int one = -1, two = -1;
    ck_assert(dx_listen_open(&a, true, 0, &one, &err));
    struct dx_address shared = bound_to(one);
    ck_assert(dx_listen_open(&shared, true, 0, &two, &err));
    ck_assert_int_ne(option(two, SOL_SOCKET, SO_REUSEPORT), 0);
    close(one), close(two);
}
END_TEST

/* --- Unix sockets --- */

static void remove_file(const struct dx_address *a) { (void)unlink(a->u.un.sun_path); }

START_TEST(a_unix_socket_gets_its_mode)
{
    struct dx_address a = unix_address("s"), peer;
    struct stat st;
    int listener = -1;
    char name[DX_ADDRESS_TEXT];
    ck_assert(dx_listen_open(&a, true, 0620, &listener, &err));
    ck_assert_int_eq(stat(a.u.un.sun_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0620);
    int client = connect_to(&a), fd = accept_soon(listener, &peer);
    ck_assert(dx_address_is_unix(&peer));
    (void)dx_address_host_text(&peer, name, sizeof(name));
    ck_assert_str_eq(name, "unix");
    close(fd), close(client), close(listener);
    remove_file(&a);
}
END_TEST

START_TEST(a_stale_socket_file_is_replaced)
{
    struct dx_address a = unix_address("s"), peer;
    int dead = listen_on(&a);
    close(dead); /* as after SIGKILL: the file stays, nobody answers */
    int listener = listen_on(&a), client = connect_to(&a);
    int fd = accept_soon(listener, &peer);
    close(fd), close(client), close(listener);
    remove_file(&a);
}
END_TEST

START_TEST(a_live_one_is_refused)
{
    struct dx_address a = unix_address("s"), peer;
    int listener = listen_on(&a);
    ck_assert(refused(&a, EADDRINUSE));
    int client = connect_to(&a); /* and is undisturbed */
    int probe = accept_soon(listener, &peer), fd = accept_soon(listener, &peer);
    close(probe), close(fd), close(client), close(listener);
    remove_file(&a);
}
END_TEST

START_TEST(a_live_one_with_a_full_backlog_is_refused_at_once)
{
    struct dx_address a = unix_address("s");
    int busy = socket(AF_UNIX, SOCK_STREAM, 0), waiting[8];
    ck_assert_int_eq(bind(busy, &a.u.sa, a.len), 0);
    ck_assert_int_eq(listen(busy, 0), 0);
    unsigned n = 0;
    for (; n < 8; n++) {
        waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(waiting[n], &a.u.sa, a.len) != 0)
            break;
    }
    ck_assert_uint_lt(n, 8);
    ck_assert(refused(&a, EADDRINUSE));
    for (unsigned i = 0; i <= n; i++)
        close(waiting[i]);
    close(busy);
    remove_file(&a);
}
END_TEST

START_TEST(another_file_is_not_removed)
{
    struct dx_address a = unix_address("s");
    struct stat st;
    int fd = open(a.u.un.sun_path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(fd, "precious", 8), 8);
    close(fd);
    ck_assert(refused(&a, EEXIST));
    ck_assert_int_eq(stat(a.u.un.sun_path, &st), 0);
    ck_assert_int_eq(st.st_size, 8);
    remove_file(&a);
}
END_TEST

START_TEST(a_missing_folder_is_told)
{
    struct dx_address a = unix_address("nowhere/s");
    ck_assert(refused(&a, ENOENT));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("listen");
    TCase *c = tcase_create("listen");
    tcase_add_checked_fixture(c, folder_make, folder_remove);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, ipv4);
    tcase_add_test(c, ipv6);
    tcase_add_test(c, who_opened_it_does_not_matter);
    tcase_add_test(c, only_listening_streams_are_adopted);
    tcase_add_test(c, who_is_accepted_is_watched_over);
    tcase_add_test(c, the_wildcard_takes_both_families);
    tcase_add_test(c, a_port_in_use_is_refused);
    tcase_add_test(c, a_port_is_shared_when_both_ask_for_it);
    tcase_add_test(c, a_unix_socket_gets_its_mode);
    tcase_add_test(c, a_stale_socket_file_is_replaced);
    tcase_add_test(c, a_live_one_is_refused);
    tcase_add_test(c, a_live_one_with_a_full_backlog_is_refused_at_once);
    tcase_add_test(c, another_file_is_not_removed);
    tcase_add_test(c, a_missing_folder_is_told);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
