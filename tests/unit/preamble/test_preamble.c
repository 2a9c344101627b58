/* SPDX-License-Identifier: MIT */
/* Headers of the PROXY protocol: read whole and cut at every point, written, and read back. */
#include "diplex/preamble.h"

#include <check.h>
#include <stdlib.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal)               \
    {                                \
        literal, sizeof(literal) - 1 \
    }

struct answer {
    enum dx_preamble_parse parse;
    struct dx_preamble h;
    size_t used;
    const char *reason;
};

static struct answer read_once(const char *p, size_t n)
{
    struct answer a = {.used = 0, .reason = NULL};
    char *copy = malloc(n + (n == 0)); /* exactly as long, for the sanitizers */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, p, n);
    a.parse = dx_preamble_read(copy, n, &a.h, &a.used, &a.reason);
    free(copy);
    return a;
}

/* The answer to all of it. Every beginning gives the same answer or asks for more, and behind a header that
 * is there bytes of any kind change nothing. */
static struct answer read_all(struct dx_slice text)
{
    struct answer whole = read_once(text.p, text.n);
    for (size_t n = 0; n < text.n; n++) {
        struct answer a = read_once(text.p, n);
        if (a.parse == DX_PREAMBLE_MORE)
            continue;
        ck_assert_msg(a.parse == whole.parse, "cut at %zu", n);
        ck_assert(a.parse != DX_PREAMBLE_BAD || strcmp(a.reason, whole.reason) == 0);
        ck_assert(a.parse != DX_PREAMBLE_DONE || (a.used == whole.used && n >= whole.used));
    }
    return whole;
}

static void check_address(const struct dx_address *a, const char *text)
{
    char buf[DX_ADDRESS_TEXT];
    (void)dx_address_text(a, buf, sizeof(buf));
    ck_assert_str_eq(buf, text);
}

START_TEST(headers_that_name_somebody)
{
    static const struct {
        struct dx_slice bytes;
        size_t used;
        const char *client, *local;
    } rows[] = {
        {BYTES("PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\n"), 45, "192.0.2.1:56324", "198.51.100.9:443"},
        {BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\nGET"), 44, "0.0.0.0:0",
         "255.255.255.255:65535"},
        {BYTES("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), 32, "[2001:db8::1]:1", "[::1]:2"},
        {BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "65535 "
               "65535\r\n"),
         104, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {BYTES(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), 28, "192.0.2.1:56324",
         "198.51.100.9:443"},
        {BYTES(SIGNATURE "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbbGET / HTTP/1.1\r\n"), 28,
         "192.0.2.1:56324", "198.51.100.9:443"},
        {BYTES(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"),
         52, "[2001:db8::1]:1", "[::1]:2"},
        {BYTES(SIGNATURE "\x21\x22\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"),
         52, "[2001:db8::1]:1", "[::1]:2"},
        /* an additional field (2.2), whatever is in it */
        {BYTES(SIGNATURE "\x21\x11\0\x11\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb\x04\0\2\0\0xyz"), 33,
         "192.0.2.1:56324", "198.51.100.9:443"},
    };
    struct answer a = read_all(rows[_i].bytes);
    ck_assert_int_eq(a.parse, DX_PREAMBLE_DONE);
    ck_assert_uint_eq(a.used, rows[_i].used);
    ck_assert(a.h.known);
    check_address(&a.h.client, rows[_i].client);
    check_address(&a.h.local, rows[_i].local);
}
END_TEST

START_TEST(headers_that_name_nobody)
{
    static const struct {
        struct dx_slice bytes;
        size_t used;
    } rows[] = {
        {BYTES("PROXY UNKNOWN\r\nGET"), 15},
        {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
               "65535\r\n"),
         107},
        {BYTES("PROXY UNKNOWN  \0 what\t ever \r\n"), 30},
        {BYTES(SIGNATURE "\x20\0\0\0GET"), 16},
        {BYTES(SIGNATURE "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), 28},
        {BYTES(SIGNATURE "\x20\x99\0\3abc"), 19}, /* LOCAL: the family is ignored */
        {BYTES(SIGNATURE "\x21\0\0\0"), 16},
        {BYTES(SIGNATURE "\x21\0\0\2ab"), 18},
    };
    struct answer a = read_all(rows[_i].bytes);
    ck_assert_int_eq(a.parse, DX_PREAMBLE_DONE);
    ck_assert_uint_eq(a.used, rows[_i].used);
    ck_assert(!a.h.known);
}
END_TEST

START_TEST(unix_addresses_name_nobody)
{
    char bytes[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/client.sock";
    struct answer a = read_all(dx_slice_of(bytes, sizeof(bytes)));
    ck_assert_int_eq(a.parse, DX_PREAMBLE_DONE);
    ck_assert(!a.h.known && a.used == sizeof(bytes));
    bytes[13] = 0x32;
    a = read_all(dx_slice_of(bytes, sizeof(bytes)));
    ck_assert(a.parse == DX_PREAMBLE_DONE && !a.h.known);
}
END_TEST

static const char none[] = "no PROXY header", malformed[] = "a malformed PROXY line",
                  bare[] = "a bare CR or LF in the PROXY line",
                  line_long[] = "a PROXY line of more than 107 bytes",
                  command[] = "an unknown version or command in the PROXY header",
                  family[] = "an unknown address family in the PROXY header",
                  cut[] = "a PROXY header that is too short for its addresses",
                  too_long[] = "a PROXY header of more than 4096 bytes";

START_TEST(what_is_refused)
{
    static const struct {
        struct dx_slice bytes;
        const char *reason;
    } rows[] = {
        {BYTES("GET / HTTP/1.1\r\n\r\n"), none},
        {BYTES("PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n"), none},
        {BYTES("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), none},
        {BYTES(" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), none},
        {BYTES("\r\nPROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), none},
        {BYTES("\r\n\r\n\0\r\nQUITE"), none},
        {BYTES("\0"), none},
        {BYTES("PROXY \r\n"), malformed},
        {BYTES("PROXY TCP4\r\n"), malformed},
        {BYTES("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY UNKNOWNS\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), malformed},
        {BYTES("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), malformed},
        {BYTES("PROXY TCP6 1.2.3.4 ::1 1 2\r\n"), malformed},
        {BYTES("PROXY TCP6 ::1::2 ::1 1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 +2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 localhost 5.6.7.8 1 2\r\n"), malformed},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), bare},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rGET"), bare},
        {BYTES("PROXY UNKNOWN\nGET / HTTP/1.1\r\n\r\n"), bare},
        {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
               "655350\r\n"),
         line_long},
        {BYTES(SIGNATURE "\x11\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), command},
        {BYTES(SIGNATURE "\x30\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), command},
        {BYTES(SIGNATURE "\x22\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), command},
        {BYTES(SIGNATURE "\x21\x10\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), family},
        {BYTES(SIGNATURE "\x21\x01\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), family},
        {BYTES(SIGNATURE "\x21\x13\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), family},
        {BYTES(SIGNATURE "\x21\x41\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), family},
        {BYTES(SIGNATURE "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), cut},
        {BYTES(SIGNATURE "\x21\x21\0\x23\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb"), cut},
        {BYTES(SIGNATURE "\x21\x31\0\xd7/run/x"), cut},
        {BYTES(SIGNATURE "\x21\x11\x0f\xf1\xc0\0\2\1"), too_long},
        {BYTES(SIGNATURE "\x20\x00\xff\xff"), too_long},
    };
    struct answer a = read_all(rows[_i].bytes);
    ck_assert_int_eq(a.parse, DX_PREAMBLE_BAD);
    ck_assert_str_eq(a.reason, rows[_i].reason);
}
END_TEST

START_TEST(more_is_asked_for_only_while_it_may_become_one)
{
    static const struct dx_slice rows[] = {
        BYTES(""),
        BYTES("P"),
        BYTES("PROXY "),
        BYTES("PROXY TCP4 1.2.3.4"),
        BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r"),
        BYTES("\r"),
        BYTES(SIGNATURE),
        BYTES(SIGNATURE "\x21\x11\0"),
        BYTES(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01"),
    };
    ck_assert_int_eq(read_all(rows[_i]).parse, DX_PREAMBLE_MORE);
}
END_TEST

START_TEST(the_longest_that_is_read)
{
    static char bytes[DX_PREAMBLE_BYTES_MAX + 1] =
        SIGNATURE "\x21\x11\x0f\xf0\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb";
    struct answer a = read_once(bytes, DX_PREAMBLE_BYTES_MAX - 1);
    ck_assert_int_eq(a.parse, DX_PREAMBLE_MORE);
    a = read_once(bytes, sizeof(bytes));
    ck_assert_int_eq(a.parse, DX_PREAMBLE_DONE);
    ck_assert_uint_eq(a.used, DX_PREAMBLE_BYTES_MAX);
    check_address(&a.h.client, "192.0.2.1:56324");
}
END_TEST

/* --- writing --- */

static struct dx_slice written(const char *client, const char *local, char buf[DX_PREAMBLE_WRITTEN])
{
    struct dx_address from, to;
    struct dx_out o = dx_out_of(buf, DX_PREAMBLE_WRITTEN);
    ck_assert(client == NULL || dx_address_parse(dx_slice_str(client), false, &from));
    ck_assert(local == NULL || dx_address_parse(dx_slice_str(local), false, &to));
    dx_preamble_write(client ? &from : NULL, local ? &to : NULL, &o);
    ck_assert(!o.overflow);
    return dx_out_slice(&o);
}

START_TEST(what_is_written)
{
    static const struct {
        const char *client, *local;
        size_t n;
        const char *read_client, *read_local; /* NULL: LOCAL */
    } rows[] = {
        {"192.0.2.1:56324", "198.51.100.9:443", 28, "192.0.2.1:56324", "198.51.100.9:443"},
        {"[2001:db8::1]:1", "[::1]:2", 52, "[2001:db8::1]:1", "[::1]:2"},
        {"[::ffff:192.0.2.1]:5", "[::ffff:127.0.0.1]:6", 28, "192.0.2.1:5", "127.0.0.1:6"},
        {"192.0.2.1:5", "[::ffff:127.0.0.1]:6", 28, "192.0.2.1:5", "127.0.0.1:6"},
        {"192.0.2.1:5", "[2001:db8::2]:443", 28, "192.0.2.1:5", "0.0.0.0:443"},
        {"[2001:db8::1]:5", "127.0.0.1:443", 52, "[2001:db8::1]:5", "[::]:443"},
        {"192.0.2.1:0", "unix:/run/diplex.sock", 28, "192.0.2.1:0", "0.0.0.0:0"},
        {"192.0.2.1:0", NULL, 28, "192.0.2.1:0", "0.0.0.0:0"},
        {"unix:/run/client.sock", "127.0.0.1:80", 16, NULL, NULL},
        {NULL, NULL, 16, NULL, NULL},
    };
    char buf[DX_PREAMBLE_WRITTEN];
    struct dx_slice bytes = written(rows[_i].client, rows[_i].local, buf);
    ck_assert_uint_eq(bytes.n, rows[_i].n);
    struct answer a = read_all(bytes);
    ck_assert_int_eq(a.parse, DX_PREAMBLE_DONE);
    ck_assert_uint_eq(a.used, bytes.n);
    ck_assert(a.h.known == (rows[_i].read_client != NULL));
    if (!a.h.known)
        return;
    check_address(&a.h.client, rows[_i].read_client);
    check_address(&a.h.local, rows[_i].read_local);
}
END_TEST

/* Not only what we read ourselves: the very bytes of 2.2. */
START_TEST(the_bytes)
{
    char buf[DX_PREAMBLE_WRITTEN];
    struct dx_slice tcp = written("192.0.2.1:56324", "198.51.100.9:443", buf);
    ck_assert(
        dx_slice_eq(tcp, DX_SLICE(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\x09\xdc\x04\x01\xbb")));
    ck_assert(dx_slice_eq(written(NULL, NULL, buf), DX_SLICE(SIGNATURE "\x20\0\0\0")));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("preamble");
    TCase *t = tcase_create("read");
    tcase_add_loop_test(t, headers_that_name_somebody, 0, 9);
    tcase_add_loop_test(t, headers_that_name_nobody, 0, 8);
    tcase_add_test(t, unix_addresses_name_nobody);
    tcase_add_loop_test(t, what_is_refused, 0, 45);
    tcase_add_loop_test(t, more_is_asked_for_only_while_it_may_become_one, 0, 9);
    tcase_add_test(t, the_longest_that_is_read);
    suite_add_tcase(s, t);
    t = tcase_create("write");
    tcase_add_loop_test(t, what_is_written, 0, 10);
    tcase_add_test(t, the_bytes);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
