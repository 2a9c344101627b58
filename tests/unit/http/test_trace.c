/* SPDX-License-Identifier: MIT */
/* Which values of traceparent are valid, by the rules of W3C Trace Context 3.2, and that those made here are.
 */
#include <check.h>
#include <stdlib.h>

#include "diplex/http/trace.h"

#define ID     "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

START_TEST(what_is_valid)
{
    static const struct {
        const char *value;
        bool valid;
    } rows[] = {
        {"00-" ID "-" PARENT "-01", true},
        {"00-" ID "-" PARENT "-00", true},
        {"00-" ID "-" PARENT "-ff", true}, /* unknown flags */
        {"cc-" ID "-" PARENT "-01", true}, /* a version to come */
        {"cc-" ID "-" PARENT "-01-what-else", true},
        {"cc-" ID "-" PARENT "-01.what", false},
        {"cc-" ID "-" PARENT "-011", false},
        {"00-" ID "-" PARENT "-01-what", false},
        {"00-" ID "-" PARENT "-01-", false},
        {"ff-" ID "-" PARENT "-01", false},
        {"0-" ID "-" PARENT "-01", false},
        {"0G-" ID "-" PARENT "-01", false},
        {"00-" ID "-" PARENT, false},
        {"00-" ID "-" PARENT "-0", false},
        {"00-" ID "-" PARENT "-0x", false},
        {"00_" ID "-" PARENT "-01", false},
        {"00-" ID "_" PARENT "-01", false},
        {"00-" ID "-" PARENT "_01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", false},
        {"00-" ID "-00F067AA0BA902B7-01", false},
        {"00-00000000000000000000000000000000-" PARENT "-01", false},
        {"00-" ID "-0000000000000000-01", false},
        {"00-" ID "-" PARENT "-01, 00-" ID "-" PARENT "-01", false},
        {"", false},
        {"-", false},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_slice id = {NULL, 0};
        bool valid = dx_http_trace_id(dx_slice_str(rows[i].value), &id);
        ck_assert_msg(valid == rows[i].valid, "%s", rows[i].value);
        ck_assert(!valid || dx_slice_eq(id, DX_SLICE(ID)));
        ck_assert(valid || id.p == NULL);
    }
}
END_TEST

static struct dx_field field(enum dx_field_id id, const char *value)
{
    return (struct dx_field){.id = id, .value = dx_slice_str(value)};
}

START_TEST(exactly_one_counts)
{
    struct dx_field at[3] = {field(DX_FIELD_ACCEPT, "*"),
                             field(DX_FIELD_TRACEPARENT, "00-" ID "-" PARENT "-01"),
                             field(DX_FIELD_TRACEPARENT, "00-" ID "-" PARENT "-01")};
    struct dx_fields f = {at, 1, 3};
    struct dx_slice id;
    ck_assert_ptr_null(dx_http_trace_find(&f, &id));
    f.n = 2;
    ck_assert_ptr_eq(dx_http_trace_find(&f, &id), &at[1]);
    ck_assert(dx_slice_eq(id, DX_SLICE(ID)));
    f.n = 3;
    ck_assert_ptr_null(dx_http_trace_find(&f, &id));
    at[1].drop = true; /* named by Connection */
    ck_assert_ptr_eq(dx_http_trace_find(&f, &id), &at[2]);
    at[2].value = DX_SLICE("00-nonsense");
    ck_assert_ptr_null(dx_http_trace_find(&f, &id));
}
END_TEST

START_TEST(what_is_made_is_valid)
{
    static const uint64_t zeros[3] = {0, 0, 0};
    static const uint64_t some[3] = {0x0123456789abcdef, 0xfedcba9876543210, 0x00000000000000a0};
    char made[DX_TRACE_PARENT] = "";
    struct dx_slice id, whole = dx_slice_of(made, sizeof made);
    dx_http_trace_write(some, true, made);
    ck_assert(dx_slice_eq(whole, DX_SLICE("00-0123456789abcdeffedcba9876543210-00000000000000a0-03")));
    ck_assert(dx_http_trace_id(whole, &id));
    dx_http_trace_write(zeros, false, made);
    ck_assert(dx_slice_eq(whole, DX_SLICE("00-00000000000000010000000000000000-0000000000000001-02")));
    ck_assert(dx_http_trace_id(whole, &id));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace");
    TCase *c = tcase_create("trace");
    tcase_add_test(c, what_is_valid);
    tcase_add_test(c, exactly_one_counts);
    tcase_add_test(c, what_is_made_is_valid);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
