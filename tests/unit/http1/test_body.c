/* SPDX-License-Identifier: MIT */
/* Bodies, read in pieces of every size, and chunks as they are written. */
#include "diplex/http1.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct result {
    enum dx_body_step step; /* the last one */
    char data[4096];
    size_t n, used;
    struct dx_http_error err;
};

/* Feeds s to b in pieces of `piece` bytes until the body ends or the input does. */
static void feed(struct result *r, struct dx_http1_body *b, struct dx_slice s, size_t piece)
{
    *r = (struct result){.step = DX_BODY_MORE};
    for (size_t end = piece < s.n ? piece : s.n;; end = end + piece < s.n ? end + piece : s.n) {
        do {
            size_t used = 0;
            struct dx_slice data = {NULL, 0};
            r->step = dx_http1_body_next(b, s.p + r->used, end - r->used, &used, &data, &r->err);
            if (r->step == DX_BODY_BAD)
                return;
            ck_assert(used <= end - r->used);
            if (r->step == DX_BODY_DATA) {
                ck_assert(data.n > 0 && data.p + data.n == s.p + r->used + used);
                ck_assert(r->n + data.n <= sizeof(r->data));
                memcpy(r->data + r->n, data.p, data.n);
                r->n += data.n;
            }
            r->used += used;
        } while (r->step == DX_BODY_DATA);
        if (r->step != DX_BODY_MORE || end == s.n)
            return;
        ck_assert_uint_eq(r->used, end); /* MORE: everything was used */
    }
}

START_TEST(chunked_bodies)
{
    static const struct {
        const char *text, *data;
        size_t rest; /* what lies behind: the trailer section */
    } rows[] = {
        {"0\r\n\r\n", "", 2},
        {"5\r\nhello\r\n0\r\n\r\n", "hello", 2},
        {"5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\nGET", "hello world", 11},
        {"a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n", "01234567890123456789", 2},
        {"00000000000000a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 2},
        {"0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", "x", 2},
        {"2;a=b;c=\"d e\"\r\n\r\n\r\n0;last\r\n\r\n", "\r\n", 2},
        {"1; a\t= b\r\nx\r\n0\r\n\r\n", "x", 2},
        {"1;a;b\t;c = d;e=\"\";f=\"\\\"\t\\\\\"\r\nx\r\n0\r\n\r\n", "x", 2},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_slice s = dx_slice_str(rows[i].text);
        for (size_t piece = 1; piece <= s.n; piece++) {
            struct dx_http1_body b;
            struct result r;
            dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
            feed(&r, &b, s, piece);
            ck_assert_msg(r.step == DX_BODY_TRAILERS, "%s in pieces of %zu", s.p, piece);
            ck_assert(dx_slice_eq(dx_slice_of(r.data, r.n), dx_slice_str(rows[i].data)));
            ck_assert_uint_eq(s.n - r.used, rows[i].rest);
            ck_assert_uint_eq(b.total, r.n);
            ck_assert_uint_eq(b.overhead, r.used - r.n);
            ck_assert(!dx_http1_body_is_done(&b));
            dx_http1_body_trailers_done(&b);
            ck_assert(dx_http1_body_is_done(&b));
            feed(&r, &b, DX_SLICE("x"), 1);
            ck_assert(r.step == DX_BODY_DONE && r.used == 0);
        }
    }
}
END_TEST

START_TEST(bad_chunks)
{
    static const char *rows[] = {
        "\r\n",
        "\n",
        "x",
        "g\r\n",
        " 5\r\n",
        "5 \r\n",
        "5 ;a\r\n",
        "+5\r\n",
        "-5\r\n",
        "0x5\r\n",
        "5\n",
        "5\rh",
        "5\r\r\n",
        ";a\r\n",
        "5,5\r\n",
        "5\r\nhello0\r\n",
        "5\r\nhello\n0\r\n",
        "5\r\nhello\r0\r\n",
        "5\r\nhello\r\r\n",
        "5\r\nhellohello\r\n",
        "5;a\nb\r\n",
        "5;a\rb\r\n",
        "5;\x01\r\n",
        "5;\x7f\r\n",
        "5;\xe9\r\n",
        "5;\r\n",
        "5;;a\r\n",
        "5;=b\r\n",
        "5;a=\r\n",
        "5;a=b=c\r\n",
        "5;a \r\n",
        "5;a=b \r\n",
        "5;a b\r\n",
        "5;a=b c\r\n",
        "5;a=\"b\r\n",
        "5;a=\"b\\\r\n",
        "5;a=\"b\"c\r\n",
        "5;a=\"\xe9\"\r\n",
        "5;a=b\"c\"\r\n",
        "1000000000000000\r\n", /* sixteen digits that count */
        "ffffffffffffffff\r\n",
        "10000000000000005\r\n", /* would be 5 in 64 bits */
        "00000000000000001\r\n", /* seventeen digits */
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_slice s = dx_slice_str(rows[i]);
        for (size_t piece = 1; piece <= s.n; piece++) {
            struct dx_http1_body b;
            struct result r;
            dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
            feed(&r, &b, s, piece);
            ck_assert_msg(r.step == DX_BODY_BAD, "%s in pieces of %zu", s.p, piece);
            ck_assert(r.err.status == 400 && r.err.reason);
            ck_assert(!dx_http1_body_is_done(&b));
        }
    }
}
END_TEST

START_TEST(nul_in_an_extension)
{
    struct dx_http1_body b;
    struct result r;

    dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
    feed(&r, &b, dx_slice_of("5;\0", 3), 3);
    ck_assert_int_eq(r.step, DX_BODY_BAD);
}
END_TEST

START_TEST(the_largest_chunk)
{
    struct dx_http1_body b;
    struct result r;

    dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
    feed(&r, &b, DX_SLICE("fffffffffffffff\r\nabc"), 99);
    ck_assert_int_eq(r.step, DX_BODY_MORE);
    ck_assert_uint_eq(r.n, 3);
    ck_assert_uint_eq(b.left, 0xfffffffffffffffull - 3);
}
END_TEST

START_TEST(extensions_end)
{
    for (unsigned letters = 250; letters <= 256; letters++) {
        char text[300] = "1;";
        struct dx_http1_body b;
        struct result r;
        memset(text + 2, 'e', letters);
        memcpy(text + 2 + letters, "\r\nx", 3);
        dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
        feed(&r, &b, dx_slice_of(text, letters + 5), 7);
        ck_assert_int_eq(r.step, letters + 4 <= 256 ? DX_BODY_MORE : DX_BODY_BAD);
    }
}
END_TEST

/* Feeds the same chunk of one byte again and again; the number of chunks taken before the refusal, or `most`.
 */
static unsigned chunks_taken(struct dx_slice chunk, unsigned most)
{
    struct dx_http1_body b;
    struct result r;

    dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
    for (unsigned i = 0; i < most; i++) {
        feed(&r, &b, chunk, chunk.n);
        if (r.step == DX_BODY_BAD)
            return i;
    }
    return most;
}

START_TEST(overhead_is_bounded)
{
    ck_assert_uint_eq(chunks_taken(DX_SLICE("1\r\nx\r\n"), 20000), 20000);
    ck_assert_uint_eq(chunks_taken(DX_SLICE("1;0123456789\r\nx\r\n"), 20000), 20000); /* sixteen to one */
    unsigned taken = chunks_taken(DX_SLICE("1;0123456789abcdefghij\r\nx\r\n"), 20000);
    ck_assert_msg(taken > 65536 / 27 && taken < 65536 / 24, "%u", taken);
}
END_TEST

START_TEST(lengths)
{
    for (size_t piece = 1; piece <= 12; piece++) {
        struct dx_http1_body b;
        struct result r;
        dx_http1_body_init(&b, DX_FRAMING_LENGTH, 7);
        feed(&r, &b, DX_SLICE("hello, world"), piece);
        ck_assert(r.step == DX_BODY_DONE && r.used == 7);
        ck_assert(dx_slice_eq(dx_slice_of(r.data, r.n), DX_SLICE("hello, ")));
        ck_assert(dx_http1_body_is_done(&b));
    }
}
END_TEST

START_TEST(simple_framings)
{
    struct dx_http1_body b;
    struct result r;

    dx_http1_body_init(&b, DX_FRAMING_LENGTH, 0);
    ck_assert(dx_http1_body_is_done(&b));
    feed(&r, &b, DX_SLICE("x"), 1);
    ck_assert(r.step == DX_BODY_DONE && r.used == 0);

    dx_http1_body_init(&b, DX_FRAMING_NONE, 0);
    ck_assert(dx_http1_body_is_done(&b));
    feed(&r, &b, DX_SLICE("x"), 1);
    ck_assert(r.step == DX_BODY_DONE && r.used == 0);

    dx_http1_body_init(&b, DX_FRAMING_CLOSE, 0);
    feed(&r, &b, DX_SLICE("all of it"), 4);
    ck_assert(r.step == DX_BODY_MORE && r.n == 9 && b.total == 9);
    ck_assert(!dx_http1_body_is_done(&b));

    dx_http1_body_init(&b, DX_FRAMING_LENGTH, 9);
    feed(&r, &b, DX_SLICE("cut"), 3);
    ck_assert(r.step == DX_BODY_MORE && r.n == 3 && !dx_http1_body_is_done(&b));
}
END_TEST

START_TEST(nothing_in_nothing_out)
{
    static const enum dx_framing rows[] = {DX_FRAMING_LENGTH, DX_FRAMING_CHUNKED, DX_FRAMING_CLOSE};

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_http1_body b;
        struct dx_slice data;
        struct dx_http_error err;
        size_t used = 7;
        dx_http1_body_init(&b, rows[i], 5);
        ck_assert_int_eq(dx_http1_body_next(&b, NULL, 0, &used, &data, &err), DX_BODY_MORE);
        ck_assert_uint_eq(used, 0);
    }
}
END_TEST

START_TEST(written_chunks)
{
    static const struct {
        size_t n;
        const char *head;
    } rows[] = {{1, "1\r\n"}, {10, "a\r\n"}, {4096, "1000\r\n"}, {SIZE_MAX, "ffffffffffffffff\r\n"}};

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char buf[DX_HTTP1_CHUNK_HEAD];
        size_t n = dx_http1_chunk_head(buf, rows[i].n);
        ck_assert(dx_slice_eq(dx_slice_of(buf, n), dx_slice_str(rows[i].head)));
    }
}
END_TEST

START_TEST(written_fields)
{
    char buf[16];
    struct dx_out o = dx_out_of(buf, sizeof(buf));

    dx_http1_write_field(&o, DX_SLICE("Name"), DX_SLICE("value"));
    ck_assert(!o.overflow && dx_slice_eq(dx_out_slice(&o), DX_SLICE("Name: value\r\n")));
    dx_http1_write_field(&o, DX_SLICE("N"), DX_SLICE("v"));
    ck_assert(o.overflow);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1/body");
    TCase *cases = tcase_create("body");

    tcase_add_test(cases, chunked_bodies);
    tcase_add_test(cases, bad_chunks);
    tcase_add_test(cases, nul_in_an_extension);
    tcase_add_test(cases, the_largest_chunk);
    tcase_add_test(cases, extensions_end);
    tcase_add_test(cases, overhead_is_bounded);
    tcase_add_test(cases, lengths);
    tcase_add_test(cases, simple_framings);
    tcase_add_test(cases, nothing_in_nothing_out);
    tcase_add_test(cases, written_chunks);
    tcase_add_test(cases, written_fields);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
