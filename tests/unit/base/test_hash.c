/* SPDX-License-Identifier: MIT */
/* The hash can be fed in pieces and spreads; the generator is reproducible and even. */
#include "diplex/base/hash.h"

#include <check.h>
#include <stdlib.h>

START_TEST(pieces_give_the_same_hash)
{
    uint64_t whole = dx_hash_more(DX_HASH_START, DX_SLICE("/api/items"));
    uint64_t parts = dx_hash_more(dx_hash_byte(DX_HASH_START, '/'), DX_SLICE("api/items"));
    ck_assert_uint_eq(whole, parts);
    ck_assert_uint_eq(dx_hash_more(DX_HASH_START, (struct dx_slice){NULL, 0}), DX_HASH_START);
    ck_assert_uint_eq(dx_hash_more(DX_HASH_START, DX_SLICE("a")),
                      0xaf63dc4c8601ec8cu); /* FNV-1a's own vector */
}
END_TEST

/* The vectors of its description: the key 00 01 .. 0f, texts 00, 00 01, .. of every length. */
START_TEST(siphash_is_what_it_is_called)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } vectors[] = {{0, 0x726fdb47dd0e0e31u},
                   {1, 0x74f839c593dc67fdu},
                   {8, 0x93f5f5799a932462u},
                   {15, 0xa129ca6149be45e5u}};
    const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u}, other[2] = {0, 1};
    char text[15];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)i;
    for (size_t i = 0; i < DX_COUNT(vectors); i++)
        ck_assert_uint_eq(dx_siphash(key, dx_slice_of(text, vectors[i].n)), vectors[i].hash);
    ck_assert_uint_ne(dx_siphash(other, DX_SLICE("")), dx_siphash(key, DX_SLICE("")));
}
END_TEST

START_TEST(low_bits_spread)
{
    unsigned buckets[64] = {0}, most = 0;
    for (unsigned i = 0; i < 6400; i++) {
        unsigned char bytes[2] = {(unsigned char)(i >> 8), (unsigned char)i};
        uint64_t h = dx_hash_byte(dx_hash_byte(DX_HASH_START, bytes[0]), bytes[1]);
        unsigned *bucket = &buckets[dx_hash_finish(h) % DX_COUNT(buckets)];
        if (++*bucket > most)
            most = *bucket;
    }
    ck_assert_uint_lt(most, 160);
}
END_TEST

START_TEST(generator_is_reproducible_and_even)
{
    struct dx_random a = {42}, b = {42}, c = {43};
    unsigned ones = 0, differ = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t v = dx_random_next(&a);
        ck_assert_uint_eq(v, dx_random_next(&b));
        differ += v != dx_random_next(&c);
        ones += (unsigned)__builtin_popcountll(v);
    }
    ck_assert_uint_eq(differ, 10000);
    ck_assert_uint_gt(ones, 315000);
    ck_assert_uint_lt(ones, 325000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/hash");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, pieces_give_the_same_hash);
    tcase_add_test(tests, siphash_is_what_it_is_called);
    tcase_add_test(tests, low_bits_spread);
    tcase_add_test(tests, generator_is_reproducible_and_even);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
