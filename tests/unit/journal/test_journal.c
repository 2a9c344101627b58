/* SPDX-License-Identifier: MIT */
/* Lines in batches: whole and in order, dropped and never waited for when nobody reads, ended in bounded
 * time. */
#include "diplex/journal.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/os/clock.h"

#define WAIT_MS 5000
#define BATCH   4096u

static int ends[2];

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the data process does */
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void close_end(int which)
{
    if (ends[which] >= 0)
        close(ends[which]);
    ends[which] = -1;
}

static void teardown(void)
{
    close_end(0);
    close_end(1);
}

static struct dx_journal *stream(int fd, size_t batch, unsigned flush_ms)
{
    const struct dx_journal_way way = dx_journal_stream(fd);
    return dx_journal_new(&way, batch, flush_ms);
}

static struct dx_journal *journal(unsigned flush_ms)
{
    struct dx_journal *j = stream(ends[1], BATCH, flush_ms);
    ck_assert_ptr_nonnull(j);
    return j;
}

/* What can be read until `n` bytes are there or nothing comes for a while. */
static size_t take(char *buf, size_t n)
{
    size_t got = 0;
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    while (got < n && poll(&p, 1, WAIT_MS) == 1) {
        ssize_t more = read(ends[0], buf + got, n - got);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    return got;
}

START_TEST(a_line_arrives_by_itself)
{
    char got[6];
    struct dx_journal *j = journal(10);
    ck_assert(dx_journal_write(j, DX_SLICE("line1\n")));
    ck_assert_uint_eq(take(got, 6), 6);
    ck_assert_mem_eq(got, "line1\n", 6);
    dx_journal_free(&j);
    ck_assert_ptr_null(j);
    dx_journal_free(&j);
}
END_TEST

START_TEST(a_half_full_batch_does_not_wait)
{
    static char half[BATCH / 2], got[BATCH / 2];
    struct dx_journal *j = journal(60000);
    memset(half, 'x', sizeof(half));
    ck_assert(dx_journal_write(j, dx_slice_of(half, sizeof(half))));
    ck_assert_uint_eq(take(got, sizeof(got)), sizeof(got));
    dx_journal_free(&j);
}
END_TEST

START_TEST(the_rest_is_written_at_the_end)
{
    char got[4];
    struct dx_journal *j = journal(60000);
    ck_assert(dx_journal_write(j, DX_SLICE("bye\n")));
    dx_journal_free(&j);
    ck_assert_uint_eq(take(got, 4), 4);
    ck_assert_mem_eq(got, "bye\n", 4);
}
END_TEST

START_TEST(more_than_a_batch_is_dropped_at_once)
{
    static char big[BATCH + 1];
    struct dx_journal *j = journal(10);
    ck_assert(!dx_journal_write(j, dx_slice_of(big, sizeof(big))));
    dx_journal_free(&j);
}
END_TEST

/* A reader that is there and never reads: lines fill the pipe and both batches, and are dropped then. */
static char line[512];

static unsigned write_until_dropped(struct dx_journal *j)
{
    unsigned written = 0;
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (unsigned dropped = 0; dropped < 20;) {
        if (dx_journal_write(j, dx_slice_of(line, sizeof(line)))) {
            written++;
            dropped = 0;
        } else {
            dropped++;
            usleep(1000); /* the writer may still be moving a batch */
        }
        ck_assert_uint_lt(written, 8192);
    }
    return written;
}

START_TEST(a_blocked_reader_stops_nobody)
{
    static char got[1024 * 1024];
    struct dx_journal *j = journal(1);
    size_t written = write_until_dropped(j) * 512u;
    uint64_t before = dx_clock_us();
    for (unsigned i = 0; i < 1000; i++)
        ck_assert(!dx_journal_write(j, dx_slice_of(line, sizeof(line))));
    ck_assert_uint_lt(dx_clock_us() - before, 1000000);
    ck_assert_uint_eq(take(got, written), written); /* the reader comes back: all that was taken is there */
    for (size_t i = 511; i < written; i += 512)
        ck_assert_int_eq(got[i], '\n');
    ck_assert(dx_journal_write(j, DX_SLICE("later\n")));
    ck_assert_uint_eq(take(got, 6), 6);
    dx_journal_free(&j);
}
END_TEST

/* Reads a little now and then, so that there is always some room. */
static void *read_slowly(void *arg)
{
    static char some[4096];
    while (read(*(int *)arg, some, sizeof(some)) > 0)
        usleep(50000);
    return NULL;
}

static void *free_it(void *arg)
{
    struct dx_journal *j = arg;
    uint64_t before = dx_clock_us();
    dx_journal_free(&j);
    uint64_t took_ms = (dx_clock_us() - before) / 1000;
    ck_assert_uint_ge(took_ms, 800);
    ck_assert_uint_lt(took_ms, 1900); /* one farewell for all that is left */
    return NULL;
}

START_TEST(it_ends_in_bounded_time_whatever_the_reader_does)
{
    int slow[2];
    pthread_t reader, other;
    ck_assert_int_eq(pipe2(slow, O_CLOEXEC), 0);
    struct dx_journal *blocked = journal(1), *trickling = stream(slow[1], 1024 * 1024, 1);
    ck_assert_ptr_nonnull(trickling);
    (void)write_until_dropped(blocked);
    (void)write_until_dropped(trickling);
    ck_assert_int_eq(pthread_create(&reader, NULL, read_slowly, &slow[0]), 0);
    ck_assert_int_eq(pthread_create(&other, NULL, free_it, blocked), 0);
    (void)free_it(trickling);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    close(slow[1]);
    ck_assert_int_eq(pthread_join(reader, NULL), 0);
    close(slow[0]);
}
END_TEST

START_TEST(a_reader_that_is_gone_costs_the_lines_only)
{
    struct dx_journal *j = journal(1);
    close_end(0);
    for (unsigned i = 0; i < 100; i++) {
        (void)!dx_journal_write(j, DX_SLICE("to nobody\n"));
        usleep(100);
    }
    uint64_t before = dx_clock_us();
    dx_journal_free(&j);
    ck_assert_uint_lt(dx_clock_us() - before, 900000);
}
END_TEST

START_TEST(a_file_gets_every_line)
{
    char name[] = "/tmp/diplex-journal-XXXXXX", got[64];
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    (void)unlink(name);
    struct dx_journal *j = stream(fd, BATCH, 0);
    ck_assert_ptr_nonnull(j);
    ck_assert(dx_journal_write(j, DX_SLICE("first\n")));
    ck_assert(dx_journal_write(j, DX_SLICE("second\n")));
    dx_journal_free(&j);
    ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 13);
    ck_assert_mem_eq(got, "first\nsecond\n", 13);
    close(fd);
}
END_TEST

/* A disk that is full and has room again, acted by the limit of a file's size. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void write_and_wait(struct dx_journal *j, const char *text, int fd, off_t size)
{
    struct stat st = {0};
    ck_assert(dx_journal_write(j, dx_slice_str(text)));
    for (int i = 0; i < 500 && st.st_size < size; i++) {
        usleep(10000);
        ck_assert_int_eq(fstat(fd, &st), 0);
    }
    ck_assert_int_eq(st.st_size, size);
}

START_TEST(a_line_that_found_no_room_does_not_run_into_the_next_one)
{
    char name[] = "/tmp/diplex-journal-XXXXXX", got[64];
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    (void)unlink(name);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct dx_journal *j = stream(fd, BATCH, 0);
    ck_assert_ptr_nonnull(j);
    limit_files(10);
    write_and_wait(j, "first\nsecond\nthird\n", fd, 10);
    ck_assert(dx_journal_write(j, DX_SLICE("fourth\n")));
    uint64_t lost = 0;
    for (int i = 0; i < 500 && lost < 3; i++) {
        usleep(10000);
        lost += dx_journal_lost(j);
    }
    ck_assert_uint_eq(lost, 3);
    limit_files(RLIM_INFINITY);
    write_and_wait(j, "fifth\n", fd, 17);
    write_and_wait(j, "sixth\n", fd, 23);
    ck_assert_uint_eq(dx_journal_lost(j), 0);
    dx_journal_free(&j);
    ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 23);
    ck_assert_mem_eq(got, "first\nseco\nfifth\nsixth\n", 23);
    close(fd);
}
END_TEST

/* Two processes see the last room of a pipe, and the one that comes later waits in write(2). */
START_TEST(one_that_is_stuck_in_a_write_is_left_behind)
{
    int stuck[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stuck), 0);
    static char all[1024 * 1024];
    struct dx_journal *j = stream(stuck[1], sizeof(all), 0);
    ck_assert_ptr_nonnull(j);
    /* A socket says that it is writable with less room than PIPE_BUF. */
    int small = 4608;
    (void)setsockopt(stuck[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    ck_assert(dx_journal_write(j, dx_slice_of(all, sizeof(all))));
    usleep(100000);
    uint64_t before = dx_clock_us();
    dx_journal_free(&j);
    ck_assert_uint_lt((dx_clock_us() - before) / 1000, 2500);
    close(stuck[0]); /* lets the thread go */
}
END_TEST

/* --- several threads --- */

#define THREADS 4
#define LINES   200

static void *write_lines(void *arg)
{
    struct dx_journal *j = arg;
    for (unsigned i = 0; i < LINES; i++)
        while (!dx_journal_write(j, DX_SLICE("a line of one thread among several\n")))
            usleep(100);
    return NULL;
}

START_TEST(lines_of_several_threads_stay_whole)
{
    static const char one[] = "a line of one thread among several\n";
    static char got[THREADS * LINES * (sizeof(one) - 1)];
    struct dx_journal *j = journal(1);
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, j), 0);
    ck_assert_uint_eq(take(got, sizeof(got)), sizeof(got));
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (size_t at = 0; at < sizeof(got); at += sizeof(one) - 1)
        ck_assert_mem_eq(got + at, one, sizeof(one) - 1);
    dx_journal_free(&j);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("journal");
    TCase *c = tcase_create("journal");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, a_line_arrives_by_itself);
    tcase_add_test(c, a_half_full_batch_does_not_wait);
    tcase_add_test(c, the_rest_is_written_at_the_end);
    tcase_add_test(c, more_than_a_batch_is_dropped_at_once);
    tcase_add_test(c, a_blocked_reader_stops_nobody);
    tcase_add_test(c, it_ends_in_bounded_time_whatever_the_reader_does);
    tcase_add_test(c, a_reader_that_is_gone_costs_the_lines_only);
    tcase_add_test(c, a_file_gets_every_line);
    tcase_add_test(c, a_line_that_found_no_room_does_not_run_into_the_next_one);
    tcase_add_test(c, one_that_is_stuck_in_a_write_is_left_behind);
    tcase_add_test(c, lines_of_several_threads_stay_whole);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
