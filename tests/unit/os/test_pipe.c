/* SPDX-License-Identifier: MIT */
/* Pipes by reference: lent up to a most, taken back empty or closed, filled from and drained to descriptors.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/os/pipe.h"

static struct dx_pipes stock;

static void setup(void) { dx_pipes_init(&stock, 2); }
static void teardown(void) { dx_pipes_fini(&stock); }

START_TEST(a_stock_lends_so_many_and_no_more)
{
    struct dx_pipe *a = dx_pipe_get(&stock), *b = dx_pipe_get(&stock);
    ck_assert(a != NULL && b != NULL && a != b);
    ck_assert_ptr_null(dx_pipe_get(&stock));
    dx_pipe_put(&stock, a);
    ck_assert_ptr_eq(dx_pipe_get(&stock), a);
    dx_pipe_put(&stock, a);
    dx_pipe_put(&stock, b);
    dx_pipe_put(&stock, NULL);
    ck_assert_uint_eq(stock.out, 0);
}
END_TEST

START_TEST(bytes_left_inside_are_given_to_nobody)
{
    struct dx_pipe *a = dx_pipe_get(&stock);
    int pair[2];
    char buf[16];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ck_assert_int_eq(write(pair[0], "secret", 6), 6);
    ck_assert_int_eq(dx_pipe_fill(a, pair[1], 100), 6);
    ck_assert_uint_eq(a->bytes, 6);
    dx_pipe_put(&stock, a);
    struct dx_pipe *b = dx_pipe_get(&stock);
    ck_assert_uint_eq(b->bytes, 0);
    ck_assert_int_lt(read(b->out, buf, sizeof(buf)), 0);
    ck_assert_int_eq(errno, EAGAIN);
    dx_pipe_put(&stock, b);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(what_goes_in_comes_out)
{
    struct dx_pipe *p = dx_pipe_get(&stock);
    int from[2], to[2];
    char buf[64] = "";
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, from), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, to), 0);
    ck_assert_int_lt(dx_pipe_fill(p, from[1], 100), 0);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(write(from[0], "one two three", 13), 13);
    ck_assert_int_eq(dx_pipe_fill(p, from[1], 7), 7);
    ck_assert_int_eq(dx_pipe_drain(p, to[0], NULL), 7);
    ck_assert_uint_eq(p->bytes, 0);
    ck_assert_int_eq(dx_pipe_fill(p, from[1], 100), 6);
    ck_assert_int_eq(dx_pipe_drain(p, to[0], NULL), 6);
    ck_assert_int_eq(read(to[1], buf, sizeof(buf) - 1), 13);
    ck_assert_str_eq(buf, "one two three");
    close(from[0]);
    ck_assert_int_eq(dx_pipe_fill(p, from[1], 100), 0); /* the end */
    dx_pipe_put(&stock, p);
    close(from[1]);
    close(to[0]);
    close(to[1]);
}
END_TEST

START_TEST(a_file_is_written_at_its_place)
{
    struct dx_pipe *p = dx_pipe_get(&stock);
    char name[] = "/tmp/diplex-pipe-XXXXXX", buf[16] = "";
    int fd = mkstemp(name);
    int64_t at = 3;
    ck_assert_int_ge(fd, 0);
    unlink(name);
    ck_assert_int_eq(write(fd, "abc", 3), 3);
    ck_assert_int_eq(write(p->in, "def", 3), 3);
    p->bytes = 3;
    ck_assert_int_eq(dx_pipe_drain(p, fd, &at), 3);
    ck_assert_int_eq(at, 6);
    ck_assert_int_eq(pread(fd, buf, sizeof(buf) - 1, 0), 6);
    ck_assert_str_eq(buf, "abcdef");
    close(fd);
    dx_pipe_put(&stock, p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pipe");
    TCase *c = tcase_create("pipe");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_stock_lends_so_many_and_no_more);
    tcase_add_test(c, bytes_left_inside_are_given_to_nobody);
    tcase_add_test(c, what_goes_in_comes_out);
    tcase_add_test(c, a_file_is_written_at_its_place);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
