/* SPDX-License-Identifier: MIT */
/* Who is believed about the client: strangers never, trusted proxies as far as what they say is well-formed.
 */
#include "forwarded.h"

static struct head h;

#define TRUSTED_MAX 4
static struct dx_cidr trusted[TRUSTED_MAX];

/* A connection from a trusted proxy, 10.0.0.1; 10/8 and fd00::/8 are trusted. */
static struct dx_forward_request proxy(void)
{
    struct dx_forward_request c = stranger();

    ck_assert(dx_cidr_parse(DX_SLICE("10.0.0.0/8"), &trusted[0]));
    ck_assert(dx_cidr_parse(DX_SLICE("fd00::/8"), &trusted[1]));
    ck_assert(dx_cidr_parse(DX_SLICE("unix"), &trusted[2]));
    c.peer_ip = DX_SLICE("10.0.0.1");
    c.peer_trusted = true;
    c.trusted = trusted;
    c.trusted_n = 3;
    return c;
}

static const char *get(const struct dx_forward_request *c, const char *fields)
{
    char text[TEXT_MAX];

    snprintf(text, sizeof text, "GET / HTTP/1.1\nHost: a.example\n%s\n", fields);
    return forward_request(&h, c, text);
}

START_TEST(a_stranger_claims_everything)
{
    struct dx_forward_request c = stranger();

    c.trusted = proxy().trusted;
    c.trusted_n = 3;
    const char *out =
        get(&c, "X-Forwarded-For: 1.2.3.4, 10.0.0.9\nx-forwarded-for: 5.6.7.8\nX-Real-IP: 1.2.3.4\n"
                "X-Forwarded-Proto: https\nX-Forwarded-Host: evil.example\nX-Forwarded-Port: 443\n"
                "X-Request-ID: spoofed\nForwarded: for=1.2.3.4;proto=https\nX-Forwarded-Client-Cert: mine\n");

    LINE(out, "X-Forwarded-For: 203.0.113.9");
    LINE(out, "X-Real-IP: 203.0.113.9");
    LINE(out, "X-Forwarded-Proto: http");
    LINE(out, "X-Forwarded-Host: a.example");
    LINE(out, "X-Forwarded-Port: 80");
    LINE(out, "X-Request-ID: own-id");
    HAS_NOT(out, "1.2.3.4");
    HAS_NOT(out, "5.6.7.8");
    HAS_NOT(out, "evil");
    HAS_NOT(out, "mine");
    ck_assert_uint_eq(count_of(out, "orwarded-"), 4);
}
END_TEST

START_TEST(tls_is_https)
{
    struct dx_forward_request c = stranger();

    c.https = true;
    const char *out = get(&c, "X-Forwarded-Proto: http\n");
    LINE(out, "X-Forwarded-Proto: https");
    LINE(out, "X-Forwarded-Port: 443");
    ck_assert_uint_eq(count_of(out, "Proto"), 1);
}
END_TEST

START_TEST(a_trusted_proxy_is_believed)
{
    struct dx_forward_request c = proxy();
    const char *out =
        get(&c, "X-Forwarded-For: 198.51.100.7\nX-Real-IP: 9.9.9.9\nX-Forwarded-Proto: https\n"
                "X-Forwarded-Host: shop.example\nX-Forwarded-Port: 8443\nX-Request-ID: abc-123_/+=~.\n"
                "Forwarded: for=9.9.9.9\n");

    LINE(out, "X-Forwarded-For: 198.51.100.7, 10.0.0.1");
    LINE(out, "X-Real-IP: 198.51.100.7");
    LINE(out, "X-Forwarded-Proto: https");
    LINE(out, "X-Forwarded-Host: shop.example");
    LINE(out, "X-Forwarded-Port: 8443");
    LINE(out, "X-Request-ID: abc-123_/+=~.");
    LINE(out, "Host: a.example");
    HAS_NOT(out, "9.9.9.9");
}
END_TEST

START_TEST(a_trusted_proxy_that_says_nothing)
{
    struct dx_forward_request c = proxy();
    const char *out = get(&c, "");

    LINE(out, "X-Forwarded-For: 10.0.0.1");
    LINE(out, "X-Real-IP: 10.0.0.1");
    LINE(out, "X-Forwarded-Proto: http");
    LINE(out, "X-Forwarded-Host: a.example");
    LINE(out, "X-Request-ID: own-id");
}
END_TEST

/* From the right: trusted proxies are stepped over, the first other address is the client, the rest was its
 * own claim. */
START_TEST(the_client_is_found_from_the_right)
{
    struct dx_forward_request c = proxy();
    static const struct {
        const char *fields, *client, *line;
    } cases[] = {
        {"X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.3, 10.0.0.2\n", "198.51.100.7",
         "6.6.6.6, 198.51.100.7, 10.0.0.3, 10.0.0.2, 10.0.0.1"},
        {"X-Forwarded-For: 198.51.100.7\nA: 1\nX-Forwarded-For: 10.0.0.3\nx-forwarded-for: fd00::2\n",
         "198.51.100.7", "198.51.100.7, 10.0.0.3, fd00::2, 10.0.0.1"},
        {"X-Forwarded-For: 10.1.1.1 , 10.2.2.2\n", "10.1.1.1", "10.1.1.1, 10.2.2.2, 10.0.0.1"},
        {"X-Forwarded-For: ,, 198.51.100.7 ,\t,\nX-Forwarded-For:\n", "198.51.100.7",
         "198.51.100.7, 10.0.0.1"},
        {"X-Forwarded-For: 2001:db8::1\n", "2001:db8::1", "2001:db8::1, 10.0.0.1"},
        {"X-Forwarded-For: [2001:db8::1]\n", "2001:db8::1", "2001:db8::1, 10.0.0.1"},
        {"X-Forwarded-For: [2001:db8::1]:4711, 10.0.0.4:80\n", "2001:db8::1",
         "2001:db8::1, 10.0.0.4, 10.0.0.1"},
        {"X-Forwarded-For: 198.51.100.7:65535\n", "198.51.100.7", "198.51.100.7, 10.0.0.1"},
        {"X-Forwarded-For: ::ffff:10.0.0.7\n", "::ffff:10.0.0.7", "::ffff:10.0.0.7, 10.0.0.1"},
    };

    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        char line[256];
        const char *out = get(&c, cases[i].fields);
        snprintf(line, sizeof line, "\nX-Forwarded-For: %s\nX-Real-IP: %s\n", cases[i].line, cases[i].client);
        HAS(out, line);
        ck_assert_uint_eq(count_of(out, "orwarded-For"), 1);
    }
}
END_TEST

/* What is no address ends the list: nobody vouches for what stands left of it. */
START_TEST(garbage_in_the_list_of_a_trusted_proxy)
{
    struct dx_forward_request c = proxy();
    static const struct {
        const char *fields, *client, *line;
    } cases[] = {
        {"X-Forwarded-For: unknown\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6, <script>, 198.51.100.7\n", "198.51.100.7", "198.51.100.7, 10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6, evil, 10.0.0.5\n", "10.0.0.5", "10.0.0.5, 10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: \"7.7.7.7,8.8.8.8\"\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6, 198.51.100.256\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6 7.7.7.7\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6:0\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6:x\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6:\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: :80\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: []\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: [::1\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: [::1]x\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: fe80::1%eth0\n", "10.0.0.1", "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6, unix\n", "10.0.0.1", "10.0.0.1"},
    };

    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        char line[256];
        const char *out = get(&c, cases[i].fields);
        snprintf(line, sizeof line, "\nX-Forwarded-For: %s\nX-Real-IP: %s\n", cases[i].line, cases[i].client);
        HAS(out, line);
        HAS_NOT(out, "6.6.6.6");
    }
}
END_TEST

/* Behind a trusted proxy that passes Connection on, a client must not be able to hide and pass for the proxy.
 */
START_TEST(connection_does_not_hide_a_claim)
{
    struct dx_forward_request c = proxy();
    const char *out = get(&c, "X-Forwarded-For: 198.51.100.7\nConnection: X-Forwarded-For\n");

    LINE(out, "X-Forwarded-For: 198.51.100.7, 10.0.0.1");
    LINE(out, "X-Real-IP: 198.51.100.7");
}
END_TEST

START_TEST(the_scheme_is_one_of_two_words)
{
    static const struct {
        const char *fields, *plain, *tls;
    } cases[] = {
        {"", "http", "https"},
        {"X-Forwarded-Proto: https\n", "https", "https"},
        {"X-Forwarded-Proto: http\n", "http", "http"},
        {"X-Forwarded-Proto: HTTPS\n", "https", "https"},
        {"X-Forwarded-Proto: wss\n", "https", "https"},
        {"X-Forwarded-Proto: ws\n", "http", "http"},
        {"X-Forwarded-Proto: https, http\n", "http", "https"},
        {"X-Forwarded-Proto: https\nX-Forwarded-Proto: http\n", "http", "https"},
        {"X-Forwarded-Proto: https\nX-Forwarded-Proto: https\n", "http", "https"},
        {"X-Forwarded-Proto: gopher\n", "http", "https"},
        {"X-Forwarded-Proto:\n", "http", "https"},
        {"X-Forwarded-Proto: httpsx\n", "http", "https"},
    };

    for (size_t i = 0; i < DX_COUNT(cases); i++)
        for (int tls = 0; tls < 2; tls++) {
            struct dx_forward_request c = proxy();
            char line[64];
            c.https = tls != 0;
            const char *out = get(&c, cases[i].fields);
            snprintf(line, sizeof line, "\nX-Forwarded-Proto: %s\n", tls ? cases[i].tls : cases[i].plain);
            HAS(out, line);
            ck_assert_uint_eq(count_of(out, "-Proto"), 1);
        }
}
END_TEST

START_TEST(hosts_and_ports)
{
    static const struct {
        const char *fields, *host, *port;
    } cases[] = {
        {"", "a.example", "80"},
        {"X-Forwarded-Proto: https\n", "a.example", "443"},
        {"X-Forwarded-Host: b.example:8080\n", "b.example:8080", "8080"},
        {"X-Forwarded-Host: [2001:db8::1]:81\n", "[2001:db8::1]:81", "81"},
        {"X-Forwarded-Host: [2001:db8::1]\n", "[2001:db8::1]", "80"},
        {"X-Forwarded-Host: b.example:8080\nX-Forwarded-Port: 90\n", "b.example:8080", "90"},
        {"X-Forwarded-Host: evil.example/path\n", "a.example", "80"},
        {"X-Forwarded-Host: user@evil.example\n", "a.example", "80"},
        {"X-Forwarded-Host: evil.example, b.example\n", "a.example", "80"},
        {"X-Forwarded-Host: evil.example:99999\n", "a.example", "80"},
        {"X-Forwarded-Host: evil.example\nX-Forwarded-Host: evil.example\n", "a.example", "80"},
        {"X-Forwarded-Host:\n", "a.example", "80"},
        {"X-Forwarded-Port: 0\n", "a.example", "80"},
        {"X-Forwarded-Port: 65536\n", "a.example", "80"},
        {"X-Forwarded-Port: 443, 80\n", "a.example", "80"},
        {"X-Forwarded-Port: -1\n", "a.example", "80"},
        {"X-Forwarded-Port: 4 4 3\n", "a.example", "80"},
        {"X-Forwarded-Port: 443\nX-Forwarded-Port: 443\n", "a.example", "80"},
    };
    struct dx_forward_request c = proxy();

    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        char line[128];
        const char *out = get(&c, cases[i].fields);
        snprintf(line, sizeof line, "\nX-Forwarded-Host: %s\nX-Forwarded-Port: %s\n", cases[i].host,
                 cases[i].port);
        HAS(out, line);
        HAS_NOT(out, "evil");
    }
}
END_TEST

START_TEST(request_ids_are_well_formed_or_ours)
{
    struct dx_forward_request c = proxy();
    char fields[256], longest[129];
    static const char *const bad[] = {"a b", "a\"b", "<id>", "a;b", "", "\xc3\xa9", "a,b", "a:b", "{1}"};

    for (size_t i = 0; i < DX_COUNT(bad); i++) {
        snprintf(fields, sizeof fields, "X-Request-ID: %s\n", bad[i]);
        LINE(get(&c, fields), "X-Request-ID: own-id");
    }
    LINE(get(&c, "X-Request-ID: a\nX-Request-ID: b\n"), "X-Request-ID: own-id");

    memset(longest, 'x', 128);
    longest[128] = '\0';
    snprintf(fields, sizeof fields, "X-Request-ID: %s\n", longest);
    HAS(get(&c, fields), longest);
    snprintf(fields, sizeof fields, "X-Request-ID: %sx\n", longest);
    LINE(get(&c, fields), "X-Request-ID: own-id");
}
END_TEST

START_TEST(a_unix_socket_is_no_address)
{
    struct dx_forward_request c = stranger();
    const char *out;

    c.peer_ip = DX_SLICE("unix");
    out = get(&c, "X-Forwarded-For: 6.6.6.6\nX-Real-IP: 6.6.6.6\n");
    HAS_NOT(out, "X-Forwarded-For");
    HAS_NOT(out, "X-Real-IP");
    HAS_NOT(out, "unix");

    c = proxy();
    c.peer_ip = DX_SLICE("unix");
    out = get(&c, "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.2\n");
    LINE(out, "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.2");
    LINE(out, "X-Real-IP: 198.51.100.7");
    out = get(&c, "X-Forwarded-For: garbage\n");
    HAS_NOT(out, "X-Forwarded-For");
    HAS_NOT(out, "X-Real-IP");
}
END_TEST

/* What the log and the limits ask is what the server is told. */
START_TEST(the_questions_answer_alike)
{
    struct dx_forward_request c = proxy();
    struct dx_request r = parse_request(&h, "GET / HTTP/1.1\nHost: a.example\nX-Forwarded-For: 198.51.100.7\n"
                                            "X-Forwarded-Proto: https\nX-Request-ID: theirs\n\n");

    ck_assert(dx_slice_eq(dx_forward_client_ip(&r.fields, &c), DX_SLICE("198.51.100.7")));
    ck_assert(dx_slice_eq(dx_forward_proto(&r.fields, &c), DX_SLICE("https")));
    ck_assert(dx_slice_eq(dx_forward_request_id(&r.fields, &c), DX_SLICE("theirs")));
    c.peer_trusted = false;
    ck_assert(dx_slice_eq(dx_forward_client_ip(&r.fields, &c), DX_SLICE("10.0.0.1")));
    ck_assert(dx_slice_eq(dx_forward_proto(&r.fields, &c), DX_SLICE("http")));
    ck_assert(dx_slice_eq(dx_forward_request_id(&r.fields, &c), DX_SLICE("own-id")));
    c.peer_ip = DX_SLICE("unix");
    ck_assert(dx_slice_eq(dx_forward_client_ip(&r.fields, &c), DX_SLICE("unix")));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_stranger_claims_everything,
        tls_is_https,
        a_trusted_proxy_is_believed,
        a_trusted_proxy_that_says_nothing,
        the_client_is_found_from_the_right,
        garbage_in_the_list_of_a_trusted_proxy,
        connection_does_not_hide_a_claim,
        the_scheme_is_one_of_two_words,
        hosts_and_ports,
        request_ids_are_well_formed_or_ours,
        a_unix_socket_is_no_address,
        the_questions_answer_alike,
    };
    return run_tests("forward/claims", tests, DX_COUNT(tests));
}
