/* SPDX-License-Identifier: MIT */
/* The census: what workers write is what control reads, and what somebody else writes harms nobody. */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "diplex/census.h"

static struct dx_census *control, *data;

static void setup(void)
{
    struct dx_err err = {{0}};
    control = dx_census_new(&err);
    ck_assert_msg(control != NULL, "%s", err.text);
    data = dx_census_map(dx_census_fd(control), &err);
    ck_assert_msg(data != NULL, "%s", err.text);
}

static void teardown(void)
{
    dx_census_free(&data);
    dx_census_free(&control);
    dx_census_free(&control);
}

static struct dx_census_request request(uint32_t server, uint64_t age_us, const char *path)
{
    struct dx_census_request r = {
        .age_us = age_us, .pool = 3, .server = server, .flags = DX_CENSUS_STREAMING};
    r.words[DX_CENSUS_PATH] = dx_slice_str(path);
    r.words[DX_CENSUS_ID] = DX_SLICE("an-id");
    return r;
}

static void tell(unsigned part, uint64_t serial, const struct dx_census_request *at, size_t n,
                 uint32_t left_out)
{
    struct dx_census_writer w;
    dx_census_open(data, part, &w);
    for (size_t i = 0; i < n; i++)
        ck_assert(dx_census_add(&w, &at[i]));
    dx_census_close(&w, serial, left_out);
}

START_TEST(what_is_told_is_read)
{
    struct dx_census_list list = {.n = 0};
    struct dx_census_request first[] = {request(DX_CENSUS_NONE, 9, "/a"), request(2, 5, "/b")};
    struct dx_census_request second[] = {request(2, 7, "/c")};
    dx_census_begin(data, 1, 2);
    ck_assert_uint_eq(dx_census_missing(control, 1), 3);
    tell(0, 1, first, 2, 0);
    ck_assert_uint_eq(dx_census_missing(control, 1), 2);
    tell(1, 1, second, 1, 40);
    ck_assert_uint_eq(dx_census_missing(control, 1), 0);
    for (unsigned i = 0; i < 2; i++)
        ck_assert(dx_census_read(control, i, 1, i, &list));
    dx_census_list_sort(&list);
    ck_assert_uint_eq(list.n, 3);
    ck_assert_uint_eq(list.left_out, 40);
    ck_assert(dx_slice_eq(list.at[0].words[DX_CENSUS_PATH], DX_SLICE("/c")));
    ck_assert(dx_slice_eq(list.at[1].words[DX_CENSUS_PATH], DX_SLICE("/b")));
    ck_assert(dx_slice_eq(list.at[2].words[DX_CENSUS_ID], DX_SLICE("an-id")));
    ck_assert_uint_eq(list.at[0].worker, 1);
    ck_assert_uint_eq(list.at[0].pool, 3);
    ck_assert_uint_eq(list.at[0].flags, DX_CENSUS_STREAMING);
    dx_census_list_fini(&list);
}
END_TEST

START_TEST(who_is_late_is_named)
{
    struct dx_census_list list = {.n = 0};
    struct dx_census_request one = request(1, 1, "/");
    ck_assert_uint_eq(dx_census_missing(control, 1), UINT64_MAX);
    dx_census_begin(data, 1, 1);
    tell(0, 1, &one, 1, 0);
    dx_census_begin(data, 2, 2);
    ck_assert_uint_eq(dx_census_missing(control, 1), UINT64_MAX);
    tell(1, 2, &one, 1, 0);
    for (unsigned i = 0; i < 2; i++)
        ck_assert(dx_census_read(control, i, 2, i, &list));
    ck_assert_uint_eq(list.missing, 1);
    ck_assert_uint_eq(list.n, 1);
    dx_census_list_fini(&list);
}
END_TEST

START_TEST(a_part_has_room_for_so_many)
{
    struct dx_census_writer w;
    struct dx_census_list list = {.n = 0};
    char path[2000];
    memset(path, 'a', sizeof path);
    struct dx_census_request r = request(1, 1, "/");
    unsigned n = 0;
    dx_census_begin(data, 1, 1);
    dx_census_open(data, 0, &w);
    while (dx_census_add(&w, &r))
        n++;
    dx_census_close(&w, 1, 0);
    ck_assert_uint_eq(n, DX_CENSUS_REQUESTS);
    ck_assert(dx_census_read(control, 0, 1, 0, &list));
    ck_assert_uint_eq(list.n, DX_CENSUS_REQUESTS);
    dx_census_list_fini(&list);
    for (unsigned i = 0; i < DX_CENSUS_WORDS; i++)
        r.words[i] = dx_slice_of(path, sizeof path);
    dx_census_open(data, 0, &w);
    for (n = 0; dx_census_add(&w, &r);)
        n++;
    dx_census_close(&w, 2, 0);
    ck_assert_uint_gt(n, 50);
    ck_assert_uint_lt(n, DX_CENSUS_REQUESTS);
    ck_assert(dx_census_read(control, 0, 2, 0, &list));
    ck_assert_uint_eq(list.n, n);
    ck_assert_uint_lt(list.at[0].words[DX_CENSUS_PATH].n, sizeof path);
    ck_assert_uint_eq(list.broken, 0);
    dx_census_list_fini(&list);
}
END_TEST

/* A stranger in data's place writes what he likes, and says what he likes of it. */
START_TEST(lies_are_found_out)
{
    struct dx_census_request one = request(1, 1, "/path");
    size_t all = 64 + (size_t)DX_CENSUS_PARTS * DX_CENSUS_PART_BYTES;
    unsigned char *memory = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, dx_census_fd(control), 0);
    ck_assert(memory != MAP_FAILED);
    unsigned seen_broken = 0;
    for (unsigned byte = 8; byte < 256; byte++) {
        struct dx_census_list list = {.n = 0};
        dx_census_begin(data, byte, 1);
        tell(0, byte, &one, 1, 0);
        memory[64 + byte] = 0xff;
        ck_assert(dx_census_read(control, 0, byte, 0, &list));
        ck_assert_uint_le(list.n, DX_CENSUS_REQUESTS);
        seen_broken += list.broken != 0;
        dx_census_list_fini(&list);
    }
    ck_assert_uint_gt(seen_broken, 10);
    memory[8] = 0xff; /* how many parts there are */
    ck_assert_uint_le(dx_census_parts(control), DX_CENSUS_PARTS);
    munmap(memory, all);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("census");
    TCase *tc = tcase_create("census");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_is_told_is_read);
    tcase_add_test(tc, who_is_late_is_named);
    tcase_add_test(tc, a_part_has_room_for_so_many);
    tcase_add_test(tc, lies_are_found_out);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
