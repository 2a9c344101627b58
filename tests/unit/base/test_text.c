/* SPDX-License-Identifier: MIT */
/* Both builders, the numbers, and above all the two escapings. */
#include "diplex/base/text.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What dx_out_json makes of the bytes; dx_text_add_json must make the same. */
static const char *json(struct dx_slice s)
{
    static char buf[8192];
    struct dx_out o = dx_out_of(buf, sizeof buf - 1);
    struct dx_text t;
    dx_out_json(&o, s);
    ck_assert(!o.overflow);
    *o.p = '\0';
    dx_text_init(&t);
    dx_text_add_json(&t, s);
    ck_assert(!t.failed);
    ck_assert_str_eq(t.p, buf);
    dx_text_fini(&t);
    return buf;
}

static const char *logvalue(struct dx_slice s)
{
    static char buf[8192];
    struct dx_out o = dx_out_of(buf, sizeof buf - 1);
    dx_out_logvalue(&o, s);
    ck_assert(!o.overflow);
    *o.p = '\0';
    return buf;
}

START_TEST(json_of_every_ascii_byte)
{
    static const char *const special[128] = {['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f",
                                             ['\n'] = "\\n", ['\r'] = "\\r",  ['\t'] = "\\t"};
    for (int c = 0; c < 128; c++) {
        char byte = (char)c, expected[16];
        if (special[c])
            snprintf(expected, sizeof expected, "\"%s\"", special[c]);
        else if (c < 0x20 || c == 0x7f)
            snprintf(expected, sizeof expected, "\"\\u%04x\"", (unsigned)c);
        else
            snprintf(expected, sizeof expected, "\"%c\"", c);
        ck_assert_str_eq(json(dx_slice_of(&byte, 1)), expected);
    }
}
END_TEST

static size_t encode(uint32_t c, char *p)
{
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        p[i] = (char)(0x80u | (c & 0x3fu));
    p[0] = (char)((0xf00u >> n & 0xf0u) | c);
    return n;
}

START_TEST(json_of_every_character)
{
    for (uint32_t c = 0x80; c <= 0x10ffff; c++) {
        char bytes[4], expected[24], got[64];
        size_t n = encode(c, bytes);
        struct dx_out o = dx_out_of(got, sizeof got - 1);
        dx_out_json(&o, dx_slice_of(bytes, n));
        *o.p = '\0';
        if (c < 0xa0 || c == 0x2028 || c == 0x2029)
            snprintf(expected, sizeof expected, "\"\\u%04x\"", (unsigned)c);
        else if (c >= 0xd800 && c <= 0xdfff)
            snprintf(expected, sizeof expected, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
        else
            snprintf(expected, sizeof expected, "\"%.*s\"", (int)n, bytes);
        if (strcmp(got, expected) != 0)
            ck_abort_msg("U+%04" PRIX32 ": %s", c, got);
    }
}
END_TEST

#define BAD "\xef\xbf\xbd"

START_TEST(json_replaces_what_is_not_utf8)
{
    ck_assert_str_eq(json(DX_SLICE("\xc0\x80")), "\"" BAD BAD "\"");
    ck_assert_str_eq(json(DX_SLICE("\xe0\x80\xaf")), "\"" BAD BAD BAD "\"");
    ck_assert_str_eq(json(DX_SLICE("\xf0\x80\x80\xaf")), "\"" BAD BAD BAD BAD "\"");
    ck_assert_str_eq(json(DX_SLICE("\xf4\x90\x80\x80")), "\"" BAD BAD BAD BAD "\"");
    ck_assert_str_eq(json(DX_SLICE("\xf5\xff\xfe")), "\"" BAD BAD BAD "\"");
    /* A character that breaks off is one replacement, and what follows is read again. */
    ck_assert_str_eq(json(DX_SLICE("\xe2\x82")), "\"" BAD "\"");
    ck_assert_str_eq(json(DX_SLICE("\xf0\x9f\x98\"")), "\"" BAD "\\\"\"");
    ck_assert_str_eq(json(DX_SLICE("\xe2\n")), "\"" BAD "\\n\"");
    ck_assert_str_eq(json(DX_SLICE("a\xf1\x80\x80\xe1\x80\xc2"
                                   "b\x80"
                                   "c\x80\xbf"
                                   "d")),
                     "\"a" BAD BAD BAD "b" BAD "c" BAD BAD "d\"");
}
END_TEST

START_TEST(json_of_mixed_text)
{
    ck_assert_str_eq(json((struct dx_slice){NULL, 0}), "\"\"");
    ck_assert_str_eq(json(DX_SLICE("/caf\xc3\xa9?q=\"x\"\\ \xf0\x9f\x98\x80")),
                     "\"/caf\xc3\xa9?q=\\\"x\\\"\\\\ \xf0\x9f\x98\x80\"");
}
END_TEST

/* Random bytes into every too-small buffer: never past the end, and the overflow is remembered. */
START_TEST(nothing_is_written_past_the_end)
{
    uint32_t state = 1;
    for (int round = 0; round < 200; round++) {
        char source[24], full[256], small[256];
        for (size_t i = 0; i < sizeof source; i++) {
            state = state * 1664525u + 1013904223u;
            source[i] = (char)(state >> 24);
        }
        struct dx_slice s = dx_slice_of(source, sizeof source);
        struct dx_out o = dx_out_of(full, sizeof full);
        dx_out_json(&o, s);
        dx_out_logvalue(&o, s);
        size_t whole = dx_out_slice(&o).n;
        for (size_t room = 0; room <= whole; room++) {
            memset(small, '#', sizeof small);
            struct dx_out part = dx_out_of(small, room);
            dx_out_json(&part, s);
            dx_out_logvalue(&part, s);
            bool kept = part.overflow == (room < whole) && dx_out_slice(&part).n <= room;
            for (size_t i = room; i < sizeof small; i++)
                kept = kept && small[i] == '#';
            if (!kept)
                ck_abort_msg("round %d, room %zu of %zu", round, room, whole);
        }
    }
}
END_TEST

START_TEST(logvalue_of_every_byte)
{
    for (int c = 0; c < 256; c++) {
        char byte = (char)c, expected[16];
        bool printable = c >= 0x20 && c < 0x7f;
        if (printable && !strchr(" \"\\=", c))
            snprintf(expected, sizeof expected, "%c", c);
        else if (c == ' ' || c == '=')
            snprintf(expected, sizeof expected, "\"%c\"", c);
        else
            snprintf(expected, sizeof expected, "\"\\x%02x\"", (unsigned)c);
        ck_assert_str_eq(logvalue(dx_slice_of(&byte, 1)), expected);
    }
    ck_assert_str_eq(logvalue((struct dx_slice){NULL, 0}), "\"\"");
    ck_assert_str_eq(logvalue(DX_SLICE("GET/a?b")), "GET/a?b");
    ck_assert_str_eq(logvalue(DX_SLICE("a b\x1b[1m")), "\"a b\\x1b[1m\"");
}
END_TEST

START_TEST(numbers)
{
    static const uint64_t values[] = {
        0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 65535, 4294967296u, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < DX_COUNT(values); i++) {
        char expected[128], got[128];
        struct dx_out o = dx_out_of(got, sizeof got - 1);
        uint64_t v = values[i];
        dx_out_u64(&o, v);
        DX_OUT_LIT(&o, " ");
        dx_out_hex(&o, v);
        dx_out_byte(&o, ' ');
        dx_out_ms(&o, v);
        *o.p = '\0';
        snprintf(expected, sizeof expected, "%" PRIu64 " %" PRIx64 " %" PRIu64 ".%03u", v, v, v / 1000,
                 (unsigned)(v % 1000));
        ck_assert_str_eq(got, expected);
    }
    for (uint64_t v = 0; v < 20000; v++) {
        char expected[32], got[32];
        struct dx_out o = dx_out_of(got, sizeof got - 1);
        dx_out_u64(&o, v);
        *o.p = '\0';
        snprintf(expected, sizeof expected, "%" PRIu64, v);
        ck_assert_str_eq(got, expected);
    }
}
END_TEST

START_TEST(text_grows_and_stays_terminated)
{
    struct dx_text t;
    dx_text_init(&t);
    for (int i = 0; i < 1000; i++) {
        dx_text_addf(&t, "%d,", i % 10);
        ck_assert_uint_eq(strlen(t.p), t.n);
    }
    ck_assert_uint_eq(t.n, 2000);
    dx_text_reset(&t);
    ck_assert_uint_eq(t.n, 0);
    ck_assert_str_eq(t.p, "");
    dx_text_adds(&t, "abc");
    dx_text_add(&t, (struct dx_slice){NULL, 0});
    dx_text_adds(&t, NULL);
    dx_text_addf(&t, "%s", "");
    ck_assert_str_eq(t.p, "abc");
    dx_text_fini(&t);
    ck_assert_ptr_null(t.p);
    dx_text_add(&t, DX_SLICE(""));
    ck_assert_str_eq(t.p, "");
    dx_text_fini(&t);
}
END_TEST

START_TEST(text_of_exactly_its_capacity)
{
    for (size_t n = 250; n < 260; n++) {
        struct dx_text t;
        dx_text_init(&t);
        dx_text_addf(&t, "%*s", (int)n, "x");
        ck_assert_uint_eq(t.n, n);
        ck_assert_uint_eq(strlen(t.p), n);
        dx_text_fini(&t);
    }
}
END_TEST

START_TEST(text_that_cannot_grow_says_so)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "abc");
    dx_text_add(&t, dx_slice_of("x", SIZE_MAX / 2));
    ck_assert(t.failed);
    dx_text_adds(&t, "def");
    ck_assert_str_eq(t.p, "abc");
    dx_text_reset(&t);
    dx_text_adds(&t, "def");
    ck_assert(!t.failed);
    ck_assert_str_eq(t.p, "def");
    dx_text_fini(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/text");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, json_of_every_ascii_byte);
    tcase_add_test(tests, json_of_every_character);
    tcase_add_test(tests, json_replaces_what_is_not_utf8);
    tcase_add_test(tests, json_of_mixed_text);
    tcase_add_test(tests, nothing_is_written_past_the_end);
    tcase_add_test(tests, logvalue_of_every_byte);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, text_grows_and_stays_terminated);
    tcase_add_test(tests, text_of_exactly_its_capacity);
    tcase_add_test(tests, text_that_cannot_grow_says_so);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
