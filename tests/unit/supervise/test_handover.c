/* SPDX-License-Identifier: MIT */
/* What one program leaves to the next: lines are found by their first word, whatever others there are. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/fd.h"
#include "supervise/control.h"

static struct heritage h;
static struct dx_err err;

static bool leave(const char *text)
{
    int fd = dx_fd_memory_file("handover", dx_slice_str(text));
    ck_assert_int_ge(fd, 0);
    h = (struct heritage){.bytes = NULL};
    bool ok = heritage_read(&h, fd, &err);
    close(fd);
    return ok;
}

static void teardown(void) { heritage_fini(&h); }

START_TEST(lines_are_found_by_their_word)
{
    struct dx_slice rest = {NULL, 0}, line;
    ck_assert(leave("diplex-handover 1\nlisten 0 5,6 :80\nwhat is this\nlisten 1 7 unix:/a b\nreloads 12\n"
                    "text 9 some file.yaml\nlisten x\n"));
    ck_assert(heritage_next(&h, "listen", &rest, &line));
    ck_assert(dx_slice_eq(line, DX_SLICE("0 5,6 :80")));
    ck_assert(heritage_next(&h, "listen", &rest, &line));
    ck_assert(dx_slice_eq(line, DX_SLICE("1 7 unix:/a b")));
    ck_assert(!heritage_next(&h, "listen", &rest, &line)); /* the configuration's text is no line of ours */
    ck_assert_uint_eq(heritage_value(&h, "reloads"), 12);
    ck_assert_uint_eq(heritage_value(&h, "reload"), 0);
    ck_assert_str_eq(h.source.text, "listen x\n");
    ck_assert_str_eq(h.source.name, "some file.yaml");
}
END_TEST

START_TEST(another_version_is_refused)
{
    ck_assert(!leave("diplex-handover 2\ntext 0 a\n"));
    ck_assert_ptr_nonnull(strstr(err.text, "version"));
    heritage_fini(&h);
    ck_assert(!leave(""));
    heritage_fini(&h);
    ck_assert(!leave("diplex-handover 1\nreloads 3\n"));
    heritage_fini(&h);
    ck_assert(!leave("diplex-handover 1\ntext 100 a\nhalf of it\n"));
}
END_TEST

START_TEST(a_process_is_told_with_its_parts)
{
    struct process p;
    uint64_t left_ms;
    char text[64];
    int fd = open("/dev/null", O_RDONLY);
    snprintf(text, sizeof text, "4711 2 %d 123456 600 0,17,3", fd);
    ck_assert(heritage_process(dx_slice_str(text), &p, &left_ms));
    ck_assert_int_eq(p.pid, 4711);
    ck_assert_uint_eq(p.crew.seat, 2);
    ck_assert_int_eq(p.end, fd);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_uint_eq(p.started_us, 123456);
    ck_assert_uint_eq(left_ms, 600);
    ck_assert_uint_eq(p.crew.n, 3);
    ck_assert_uint_eq(p.crew.parts[1], 17);
    ck_assert_uint_eq(p.crew.next_n, 3);
    ck_assert(!heritage_process(DX_SLICE("4711 2 -1 123456 600 0"), &p, &left_ms));
    ck_assert(!heritage_process(DX_SLICE(""), &p, &left_ms));
    close(fd);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("handover");
    TCase *c = tcase_create("handover");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, lines_are_found_by_their_word);
    tcase_add_test(c, another_version_is_refused);
    tcase_add_test(c, a_process_is_told_with_its_parts);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
