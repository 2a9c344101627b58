/* SPDX-License-Identifier: MIT */
/* A process gives back what it does not need, and goes on as before. */
#include "diplex/os/memory.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS      512
#define BLOCK_BYTES ((size_t)16 << 10) /* too small for a mapping of its own */

static long resident_kb(void)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    ck_assert_ptr_nonnull(f);
    while (kb < 0 && fgets(line, sizeof line, f))
        (void)sscanf(line, "Rss: %ld", &kb);
    (void)fclose(f);
    ck_assert_int_gt(kb, 0);
    return kb;
}

START_TEST(pages_of_files_go_and_come_back)
{
    long before = resident_kb();
    dx_memory_settle();
    long after = resident_kb(); /* this very code came back for it */
    ck_assert_int_lt(after, before);
    for (unsigned i = 0; i < 3; i++)
        dx_memory_settle();
    char text[32];
    (void)snprintf(text, sizeof text, "%d and %s", 42, "words");
    ck_assert_str_eq(text, "42 and words");
}
END_TEST

START_TEST(what_was_written_stays)
{
    static char zeroed[BLOCK_BYTES], initialised[] = "initialised";
    char *heap = malloc(BLOCK_BYTES);
    ck_assert_ptr_nonnull(heap);
    memset(heap, 'h', BLOCK_BYTES);
    memset(zeroed, 'z', sizeof zeroed);
    initialised[0] = 'I';
    dx_memory_settle();
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        ck_assert(heap[i] == 'h' && zeroed[i] == 'z');
    ck_assert_str_eq(initialised, "Initialised");
    free(heap);
}
END_TEST

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
START_TEST(free_heap_goes)
{
    static char *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        ck_assert_ptr_nonnull(blocks[i]);
        memset(blocks[i], 'x', BLOCK_BYTES);
    }
    long before = resident_kb();
    for (unsigned i = 0; i < BLOCKS - 1; i++) /* the last one holds the end of the heap where it is */
        free(blocks[i]);
    dx_memory_settle();
    ck_assert_int_lt(resident_kb(), before - (long)(BLOCKS * BLOCK_BYTES / 1024 / 2));
    free(blocks[BLOCKS - 1]);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("os/memory");
    TCase *t = tcase_create("all");
    tcase_add_test(t, pages_of_files_go_and_come_back);
    tcase_add_test(t, what_was_written_stays);
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(t, free_heap_goes);
#endif
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
