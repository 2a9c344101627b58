/* SPDX-License-Identifier: MIT */
/* Bodies that are kept: in memory, over the boundary at every offset, in the file, and what can go wrong
 * there. */
#include "diplex/spool.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY 64u /* small, so that every offset around the boundary can be tried */
#define ALL    (3 * MEMORY)

static char folder[64], bytes[ALL];

static void setup(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/diplex-spool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < ALL; i++)
        bytes[i] = (char)(i * 7 + 1);
}

/* Nothing with a name may be left: rmdir fails otherwise. */
static void teardown(void) { ck_assert_int_eq(rmdir(folder), 0); }

static void append(struct dx_spool *s, size_t from, size_t n)
{
    ck_assert_msg(dx_spool_append(s, dx_slice_of(bytes + from, n)), "%s", strerror(errno));
}

/* Reads from `at` on in pieces of at most cap bytes and compares with what was written. */
static struct dx_slice look(const struct dx_spool *s, size_t at, char *buf, size_t cap)
{
    struct dx_slice piece = dx_spool_in_memory(s, at);
    if (piece.n > 0 || s->fd < 0)
        return dx_slice_of(piece.p, piece.n < cap ? piece.n : cap);
    ssize_t n = pread(s->fd, buf, cap, (off_t)(at - s->memory_n));
    ck_assert_msg(n >= 0, "%s", strerror(errno));
    return dx_slice_of(buf, (size_t)n);
}

static void expect_from(const struct dx_spool *s, size_t at, size_t end, size_t cap)
{
    char buf[ALL];

    for (;;) {
        struct dx_slice piece = look(s, at, buf, cap);
        if (piece.n == 0)
            break;
        ck_assert_uint_le(at + piece.n, end);
        ck_assert_mem_eq(piece.p, bytes + at, piece.n);
        at += piece.n;
    }
    ck_assert_uint_eq(at, end);
}

START_TEST(an_empty_one_costs_nothing)
{
    struct dx_spool s;
    dx_spool_init(&s, MEMORY, folder);
    ck_assert_ptr_null(s.memory);
    ck_assert_uint_eq(dx_spool_bytes(&s), 0);
    ck_assert(dx_spool_append(&s, dx_slice_of(NULL, 0)));
    ck_assert_uint_eq(dx_spool_in_memory(&s, 0).n, 0);
    dx_spool_fini(&s);
    dx_spool_fini(&s);
}
END_TEST

START_TEST(a_small_body_stays_in_memory)
{
    struct dx_spool s;
    dx_spool_init(&s, MEMORY, "/nowhere at all");
    append(&s, 0, 1);
    append(&s, 1, MEMORY - 1);
    ck_assert(!dx_spool_in_file(&s));
    ck_assert_uint_eq(dx_spool_bytes(&s), MEMORY);
    expect_from(&s, 0, MEMORY, 1);
    expect_from(&s, MEMORY - 1, MEMORY, 1);
    dx_spool_fini(&s);
}
END_TEST

START_TEST(the_boundary_is_crossed_at_every_offset)
{
    for (size_t first = 0; first <= 2 * MEMORY; first++) {
        struct dx_spool s;
        dx_spool_init(&s, MEMORY, folder);
        append(&s, 0, first);
        append(&s, first, 2 * MEMORY - first);
        append(&s, 2 * MEMORY, MEMORY);
        ck_assert(dx_spool_in_file(&s));
        ck_assert_uint_eq(dx_spool_bytes(&s), ALL);
        expect_from(&s, 0, ALL, ALL);
        expect_from(&s, first, ALL, 5);
        dx_spool_fini(&s);
    }
}
END_TEST

START_TEST(it_is_read_from_everywhere_in_all_sizes)
{
    struct dx_spool s;
    dx_spool_init(&s, MEMORY, folder);
    for (size_t i = 0; i < ALL; i++)
        append(&s, i, 1);
    for (size_t at = 0; at <= ALL; at++)
        for (size_t cap = 1; cap <= ALL; cap += 13)
            expect_from(&s, at, ALL, cap);
    dx_spool_fini(&s);
}
END_TEST

START_TEST(without_memory_all_goes_to_the_file)
{
    struct dx_spool s;
    dx_spool_init(&s, 0, folder);
    append(&s, 0, ALL);
    ck_assert_uint_eq(s.file_n, ALL);
    expect_from(&s, 0, ALL, 50);
    dx_spool_fini(&s);
}
END_TEST

START_TEST(the_file_has_no_name_and_no_readers)
{
    struct dx_spool s;
    struct stat st;
    dx_spool_init(&s, MEMORY, folder);
    append(&s, 0, ALL);
    ck_assert_int_eq(fstat(s.fd, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        ck_assert_msg(e->d_name[0] == '.', "%s", e->d_name);
    closedir(d);
    dx_spool_fini(&s);
    ck_assert_int_eq(s.fd, -1);
}
END_TEST

/* --- trouble --- */

START_TEST(a_missing_folder_is_told_when_it_is_needed)
{
    struct dx_spool s;
    dx_spool_init(&s, MEMORY, "/nowhere at all");
    append(&s, 0, MEMORY);
    errno = 0;
    ck_assert(!dx_spool_append(&s, dx_slice_of(bytes, 1)));
    ck_assert_int_eq(errno, ENOENT);
    dx_spool_fini(&s);
}
END_TEST

START_TEST(a_folder_that_is_none_is_told)
{
    struct dx_spool s;
    dx_spool_init(&s, MEMORY, "/dev/null");
    ck_assert(!dx_spool_append(&s, dx_slice_of(bytes, ALL)));
    ck_assert_int_eq(errno, ENOTDIR);
    dx_spool_fini(&s);
}
END_TEST

/* A limit of the file's size stands for a full disk: a write is short first and fails then. */
START_TEST(a_full_disk_is_told)
{
    struct dx_spool s;
    struct rlimit little = {100, 100};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    dx_spool_init(&s, MEMORY, folder);
    append(&s, 0, MEMORY + 90);
    ck_assert(!dx_spool_append(&s, dx_slice_of(bytes, 20)));
    ck_assert_int_eq(errno, EFBIG);
    dx_spool_fini(&s);
}
END_TEST

/* What could not be appended leaves no trace: what was there before is read, and more may follow. */
START_TEST(a_failure_takes_nothing_away)
{
    struct dx_spool s;
    struct rlimit little = {100, RLIM_INFINITY}, enough = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    for (size_t before = 0; before < MEMORY + 100; before += 9) {
        dx_spool_init(&s, MEMORY, folder);
        append(&s, 0, before);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
        ck_assert(!dx_spool_append(&s, dx_slice_of(bytes + before, ALL - before)));
        ck_assert_int_eq(errno, EFBIG);
        ck_assert_uint_eq(dx_spool_bytes(&s), before);
        expect_from(&s, 0, before, ALL);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &enough), 0);
        append(&s, before, ALL - before);
        expect_from(&s, 0, ALL, ALL);
        dx_spool_fini(&s);
    }
}
END_TEST

START_TEST(it_is_cut_anywhere)
{
    for (size_t at = 0; at <= ALL; at++) {
        struct dx_spool s;
        dx_spool_init(&s, MEMORY, folder);
        append(&s, 0, ALL);
        dx_spool_cut(&s, at);
        ck_assert_uint_eq(dx_spool_bytes(&s), at);
        ck_assert_int_eq(dx_spool_in_file(&s), at > MEMORY);
        expect_from(&s, 0, at, ALL);
        append(&s, at, ALL - at);
        expect_from(&s, 0, ALL, ALL);
        dx_spool_fini(&s);
    }
}
END_TEST

/* Bytes through a pipe land behind those that were appended, whatever the file system can do. */
START_TEST(a_pipe_goes_behind_the_rest)
{
    struct dx_spool s;
    struct dx_pipes stock;
    dx_pipes_init(&stock, 1);
    struct dx_pipe *p = dx_pipe_get(&stock);
    ck_assert_ptr_nonnull(p);
    dx_spool_init(&s, MEMORY, folder);
    append(&s, 0, MEMORY);
    ck_assert(dx_spool_memory_full(&s) && !dx_spool_in_file(&s));
    for (size_t at = MEMORY; at < ALL;) {
        size_t n = ALL - at < 60 ? ALL - at : 60;
        ck_assert_int_eq(write(p->in, bytes + at, n), (ssize_t)n);
        p->bytes = n;
        ck_assert_msg(dx_spool_append_pipe(&s, p), "%s", strerror(errno));
        ck_assert_uint_eq(p->bytes, 0);
        at += n;
    }
    ck_assert_uint_eq(dx_spool_bytes(&s), ALL);
    expect_from(&s, 0, ALL, ALL);
    dx_spool_fini(&s);
    /* A file that splice refuses (opened to append): copied instead. */
    dx_spool_init(&s, 0, folder);
    append(&s, 0, 100);
    ck_assert_int_eq(fcntl(s.fd, F_SETFL, O_APPEND), 0);
    ck_assert_int_eq(write(p->in, bytes + 100, 50), 50);
    p->bytes = 50;
    ck_assert_msg(dx_spool_append_pipe(&s, p), "%s", strerror(errno));
    ck_assert_uint_eq(dx_spool_bytes(&s), 150);
    expect_from(&s, 0, 150, ALL);
    dx_spool_fini(&s);
    dx_pipe_put(&stock, p);
    dx_pipes_fini(&stock);
}
END_TEST

START_TEST(a_full_disk_fails_a_pipe_too)
{
    struct dx_spool s;
    struct dx_pipes stock;
    dx_pipes_init(&stock, 1);
    struct dx_pipe *p = dx_pipe_get(&stock);
    ck_assert_ptr_nonnull(p);
    dx_spool_init(&s, 0, folder);
    append(&s, 0, 10);
    close(s.fd);
    s.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(s.fd, 0);
    ck_assert_int_eq(write(p->in, bytes, 50), 50);
    p->bytes = 50;
    ck_assert(!dx_spool_append_pipe(&s, p));
    ck_assert_int_eq(errno, ENOSPC);
    dx_spool_fini(&s);
    dx_pipe_put(&stock, p);
    dx_pipes_fini(&stock);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("spool");
    TCase *c = tcase_create("spool");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, an_empty_one_costs_nothing);
    tcase_add_test(c, a_small_body_stays_in_memory);
    tcase_add_test(c, the_boundary_is_crossed_at_every_offset);
    tcase_add_test(c, it_is_read_from_everywhere_in_all_sizes);
    tcase_add_test(c, without_memory_all_goes_to_the_file);
    tcase_add_test(c, the_file_has_no_name_and_no_readers);
    tcase_add_test(c, a_missing_folder_is_told_when_it_is_needed);
    tcase_add_test(c, a_folder_that_is_none_is_told);
    tcase_add_test(c, a_full_disk_is_told);
    tcase_add_test(c, a_failure_takes_nothing_away);
    tcase_add_test(c, it_is_cut_anywhere);
    tcase_add_test(c, a_pipe_goes_behind_the_rest);
    tcase_add_test(c, a_full_disk_fails_a_pipe_too);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
