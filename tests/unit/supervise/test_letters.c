/* SPDX-License-Identifier: MIT */
/* Letters to a data process that does not read: none is lost, none overtakes another, control never waits. */
#include <check.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "diplex/os/fd.h"
#include "supervise/control.h"

#define LETTERS 2000 /* more than any pipe takes at once */

static struct control *c;
static int other;

static void setup(void)
{
    int ends[2];
    c = calloc(1, sizeof *c);
    ck_assert_ptr_nonnull(c);
    DX_MAGIC_SET(c, CONTROL_MAGIC);
    c->data = c->news = c->letters.end = -1;
    c->loop = dx_loop_new();
    ck_assert_ptr_nonnull(c->loop);
    ck_assert(dx_ipc_pair(ends));
    letters_open(c, ends[0]);
    other = ends[1];
}

static void teardown(void)
{
    letters_close(c);
    letters_close(c);
    dx_loop_free(&c->loop);
    free(c);
    close(other);
}

static void on_pause(struct dx_timer *t) { dx_loop_stop(t->loop); }

static void run_ms(uint64_t ms)
{
    struct dx_timer pause = {.on_due = on_pause};
    dx_timer_set(c->loop, &pause, ms);
    dx_loop_run(c->loop);
}

/* How many arrive now; each must be the next in order, and every tenth brings a descriptor that works. */
static uint64_t receive(uint64_t next)
{
    struct dx_letter l;
    while (dx_ipc_receive(other, &l) == DX_IPC_LETTER) {
        ck_assert_uint_eq(l.number, next);
        ck_assert_int_eq(l.fd >= 0, next % 10 == 0);
        if (l.fd >= 0)
            ck_assert_int_eq(eventfd_write(l.fd, 1), 0);
        dx_fd_close(&l.fd);
        next++;
    }
    return next;
}

static void send_all(int fd)
{
    for (uint64_t i = 0; i < LETTERS; i++) {
        struct dx_letter l = {.type = DX_LETTER_LISTEN, .number = i, .fd = i % 10 == 0 ? fd : -1};
        letters_send(c, &l);
    }
}

START_TEST(all_arrive_in_order)
{
    eventfd_t count = 0;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    send_all(fd);
    ck_assert_uint_gt(c->letters.queue_n, 0);
    uint64_t next = receive(0);
    ck_assert_uint_gt(next, 0);
    ck_assert_uint_lt(next, LETTERS);
    for (unsigned round = 0; round < 1000 && next < LETTERS; round++) {
        run_ms(6);
        next = receive(next);
    }
    ck_assert_uint_eq(next, LETTERS);
    ck_assert_uint_eq(c->letters.queue_n, 0);
    ck_assert_int_eq(eventfd_read(fd, &count), 0);
    ck_assert_uint_eq(count, LETTERS / 10);
    close(fd);
}
END_TEST

START_TEST(those_of_a_dead_process_are_dropped)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    send_all(fd);
    close(other);
    other = -1;
    run_ms(50);
    ck_assert_uint_eq(c->letters.queue_n, 0);
    letters_close(c);
    ck_assert_int_eq(c->letters.end, -1);
    letters_send(c, &(struct dx_letter){.type = DX_LETTER_STOP, .fd = -1});
    ck_assert_uint_eq(c->letters.queue_n, 0);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("letters");
    TCase *tc = tcase_create("letters");
    const TTest *const tests[] = {
        all_arrive_in_order,
        those_of_a_dead_process_are_dropped,
    };
    tcase_add_checked_fixture(tc, setup, teardown);
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
