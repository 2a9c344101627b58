/* SPDX-License-Identifier: MIT */
/* Listening sockets over reloads: shared by the plans that name them, all or nothing, and no trace of the
 * last one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/os/fd.h"
#include "supervise/control.h"

#define WORKERS 3

static char directory[] = "/tmp/diplex-listen-XXXXXX";
static char socket_file[64];

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(socket_file, sizeof socket_file, "%s/front", directory);
}

static void teardown(void)
{
    ck_assert_int_eq(rmdir(directory), 0); /* fails when a socket file is left */
    memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
}

/* A plan of nothing but addresses. */
static struct plan *plan_of(const char *const *texts, unsigned n)
{
    struct plan *p = calloc(1, sizeof *p);
    ck_assert_ptr_nonnull(p);
    p->config = calloc(1, sizeof *p->config);
    ck_assert_ptr_nonnull(p->config);
    p->config->listen = calloc(n, sizeof *p->config->listen);
    ck_assert_ptr_nonnull(p->config->listen);
    p->config->listen_n = n;
    for (unsigned i = 0; i < n; i++) {
        struct dx_listen_config *l = &p->config->listen[i];
        *l = (struct dx_listen_config){.text = texts[i], .mode = 0640};
        ck_assert(dx_address_parse(dx_slice_str(texts[i]), true, &l->address));
    }
    return p;
}

static void end(struct plan *p)
{
    listeners_close(p);
    free(p->config->listen);
    free(p->config);
    free(p);
}

static void open_plan(struct plan *p, const struct plan *now)
{
    struct dx_err err = {{0}};
    ck_assert_msg(listeners_open(p, &(struct listeners_from){.now = now, .workers = WORKERS}, &err), "%s",
                  err.text);
}

static bool answers(const struct dx_address *a)
{
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    bool ok = connect(fd, &a->u.sa, a->len) == 0;
    close(fd);
    return ok;
}

START_TEST(each_worker_has_a_socket_on_the_port_that_the_kernel_chose)
{
    const char *const texts[] = {"127.0.0.1:0"};
    struct plan *p = plan_of(texts, 1);
    open_plan(p, NULL);
    const struct listener *l = p->listeners[0];
    ck_assert_uint_eq(l->fds_n, WORKERS);
    ck_assert_uint_ne(dx_address_port(&l->address), 0);
    for (unsigned i = 0; i < l->fds_n; i++) {
        struct dx_address mine = {.len = sizeof mine.u};
        ck_assert_int_eq(getsockname(l->fds[i], &mine.u.sa, &mine.len), 0);
        ck_assert(dx_address_eq(&mine, &l->address));
    }
    ck_assert_ptr_nonnull(strstr(l->shown, "127.0.0.1:"));
    ck_assert_str_ne(l->shown, "127.0.0.1:0");
    ck_assert(answers(&l->address));
    end(p);
}
END_TEST

START_TEST(two_programs_do_not_share_a_port)
{
    char taken_text[DX_ADDRESS_TEXT];
    const char *const any[] = {"127.0.0.1:0"};
    struct plan *first = plan_of(any, 1);
    open_plan(first, NULL);
    dx_address_text(&first->listeners[0]->address, taken_text, sizeof taken_text);
    const char *const taken[] = {taken_text};
    struct plan *second = plan_of(taken, 1);
    struct dx_err err = {{0}};
    ck_assert(!listeners_open(second, &(struct listeners_from){.workers = WORKERS}, &err));
    ck_assert_ptr_nonnull(strstr(err.text, taken_text));
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
    ck_assert_ptr_nonnull(strstr(err.text, "set \"listen\""));
    end(second);
    end(first);
}
END_TEST

START_TEST(a_reload_keeps_what_both_plans_name)
{
    char unix_text[80];
    snprintf(unix_text, sizeof unix_text, "unix:%s", socket_file);
    const char *const before[] = {"127.0.0.1:0", unix_text};
    const char *const after[] = {unix_text, "[::1]:0"};
    struct plan *now = plan_of(before, 2), *next = plan_of(after, 2);
    open_plan(now, NULL);
    struct listener *tcp = now->listeners[0], *file = now->listeners[1];
    struct dx_address tcp_address = tcp->address, file_address = file->address;
    ck_assert_uint_eq(file->fds_n, 1);
    open_plan(next, now);
    ck_assert_ptr_eq(next->listeners[0], file);
    ck_assert_uint_eq(file->refs, 2);
    ck_assert_uint_eq(next->listeners[1]->refs, 1);
    end(now);
    ck_assert(!answers(&tcp_address));
    ck_assert(answers(&file_address));
    end(next);
    ck_assert_int_ne(access(socket_file, F_OK), 0);
}
END_TEST

START_TEST(one_that_fails_undoes_the_others)
{
    char unix_text[80];
    snprintf(unix_text, sizeof unix_text, "unix:%s", socket_file);
    const char *const texts[] = {unix_text, "192.0.2.1:9"}; /* RFC 5737: nobody's */
    struct plan *p = plan_of(texts, 2);
    struct dx_err err = {{0}};
    ck_assert(!listeners_open(p, &(struct listeners_from){.workers = WORKERS}, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "192.0.2.1:9"));
    ck_assert_uint_eq(p->listeners_n, 0);
    ck_assert_int_ne(access(socket_file, F_OK), 0);
    end(p);
}
END_TEST

START_TEST(a_new_mode_needs_no_new_socket)
{
    struct stat st;
    char unix_text[80];
    snprintf(unix_text, sizeof unix_text, "unix:%s", socket_file);
    const char *const texts[] = {unix_text};
    struct plan *now = plan_of(texts, 1), *next = plan_of(texts, 1);
    open_plan(now, NULL);
    ck_assert_int_eq(stat(socket_file, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    next->config->listen[0].mode = 0666;
    open_plan(next, now);
    listeners_set_modes(next);
    ck_assert_int_eq(stat(socket_file, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0666);
    end(now);
    end(next);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listeners");
    TCase *tc = tcase_create("listeners");
    const TTest *const tests[] = {
        each_worker_has_a_socket_on_the_port_that_the_kernel_chose,
        two_programs_do_not_share_a_port,
        a_reload_keeps_what_both_plans_name,
        one_that_fails_undoes_the_others,
        a_new_mode_needs_no_new_socket,
    };
    tcase_add_checked_fixture(tc, setup, teardown);
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
