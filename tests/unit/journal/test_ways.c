/* SPDX-License-Identifier: MIT */
/*
 * The ways that lines take out of the process: files that are replaced under load, lines for syslog and for
 * systemd's journal on datagram sockets, whose readers are slow, gone and back again.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "diplex/journal.h"

#define BATCH ((size_t)64 * 1024)
#define EVENT "2026-11-22T17:00:00.123Z warn server_down from=control pool=sync reason=\"no answer\"\n"
#define LINE \
    "{\"time\":\"x\",\"id\":\"a\\\"b\",\"status\":502,\"pool\":\"sync\",\"reason\":null,\"reused\":false}\n"

static char folder[] = "/tmp/diplex-ways-XXXXXX", path[64];
static int reader = -1;

static int bound(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    memcpy(a.sun_path, path, strlen(path));
    (void)unlink(path);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void setup(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setenv("TZ", "UTC0", 1);
    dx_journal_learn_zone();
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/log", folder);
}

static void teardown(void)
{
    if (reader >= 0)
        close(reader);
    reader = -1;
    (void)unlink(path);
    (void)rmdir(folder);
}

static struct dx_journal_way way_of(enum dx_journal_form form, bool events)
{
    struct dx_err err = {{0}};
    bool reached = false;
    struct dx_journal_way w = {.owned = true, .events = events, .form = form, .facility = 3, .tag = "diplex"};
    (void)snprintf(w.path, sizeof w.path, "%s", path);
    w.fd = dx_journal_open_socket(path, &reached, &err);
    ck_assert_msg(w.fd >= 0, "%s", err.text);
    ck_assert_int_eq(reached, reader >= 0);
    return w;
}

static struct dx_journal *started(const struct dx_journal_way *w)
{
    struct dx_journal *j = dx_journal_new(w, BATCH, 0);
    ck_assert_ptr_nonnull(j);
    return j;
}

static const char *heard(void)
{
    static char got[4096];
    struct pollfd p = {.fd = reader, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, 5000), 1);
    ssize_t n = recv(reader, got, sizeof got - 1, 0);
    ck_assert_int_ge(n, 0);
    got[n] = '\0';
    return got;
}

static void says(const char *text)
{
    const char *got = heard();
    ck_assert_msg(strcmp(got, text) == 0, "heard '%s'", got);
}

START_TEST(a_line_for_syslog_is_as_the_c_library_writes_it)
{
    char stamp[32] = "", pid[32];
    unsigned priority = 0;
    reader = bound();
    const struct dx_journal_way w = way_of(DX_JOURNAL_SYSLOG, true);
    struct dx_journal *j = started(&w);
    ck_assert(dx_journal_write(j, DX_SLICE(EVENT)));
    const char *got = heard();
    ck_assert_msg(sscanf(got, "<%u>%15c", &priority, stamp) == 2, "heard '%s'", got);
    ck_assert_uint_eq(priority, 3 * 8 + 4);
    struct tm t = {0};
    const char *end = strptime(stamp, "%b %d %H:%M:%S", &t);
    ck_assert_msg(end != NULL && *end == '\0', "no time: '%s'", stamp);
    (void)snprintf(pid, sizeof pid, " diplex[%d]: ", getpid());
    got += strlen("<28>") + 15;
    ck_assert_msg(strncmp(got, pid, strlen(pid)) == 0, "heard '%s'", got);
    ck_assert_str_eq(got + strlen(pid), "server_down from=control pool=sync reason=\"no answer\"");
    dx_journal_free(&j);
}
END_TEST

START_TEST(an_event_for_the_journal_has_its_fields)
{
    reader = bound();
    const struct dx_journal_way w = way_of(DX_JOURNAL_NATIVE, true);
    struct dx_journal *j = started(&w);
    ck_assert(dx_journal_write(j, DX_SLICE(EVENT)));
    says("MESSAGE=server_down from=control pool=sync reason=\"no answer\"\nPRIORITY=4\nSYSLOG_FACILITY=3\n"
         "SYSLOG_IDENTIFIER=diplex\nDIPLEX_EVENT=server_down\nDIPLEX_FROM=control\nDIPLEX_POOL=sync\n"
         "DIPLEX_REASON=no answer\n");
    ck_assert(dx_journal_write(j, DX_SLICE("x error torn key=\"never ends\n")));
    says("MESSAGE=torn key=\"never "
         "ends\nPRIORITY=3\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=diplex\nDIPLEX_EVENT=torn\n"
         "DIPLEX_KEY=never ends\n");
    dx_journal_free(&j);
}
END_TEST

START_TEST(a_request_for_the_journal_has_what_one_looks_for)
{
    reader = bound();
    const struct dx_journal_way w = way_of(DX_JOURNAL_NATIVE, false);
    struct dx_journal *j = started(&w);
    ck_assert(dx_journal_write(j, DX_SLICE(LINE "1.2.3.4 - - \"GET /\"\n{\"broken\n{\"id\"\n")));
    says("MESSAGE={\"time\":\"x\",\"id\":\"a\\\"b\",\"status\":502,\"pool\":\"sync\",\"reason\":null,"
         "\"reused\":false}\n"
         "PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=diplex\nDIPLEX_EVENT=request\nDIPLEX_ID=a\\\"b\n"
         "DIPLEX_STATUS=502\nDIPLEX_POOL=sync\n");
    says("MESSAGE=1.2.3.4 - - \"GET /\"\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=diplex\n");
    says(
        "MESSAGE={\"broken\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=diplex\nDIPLEX_EVENT=request\n");
    says("MESSAGE={\"id\"\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=diplex\nDIPLEX_EVENT=request\n");
    dx_journal_free(&j);
}
END_TEST

START_TEST(a_reader_that_comes_late_or_again_gets_what_waited)
{
    struct dx_journal_way w = way_of(DX_JOURNAL_NATIVE, false);
    struct dx_journal *j = started(&w);
    ck_assert(dx_journal_write(j, DX_SLICE("first\n")));
    usleep(20000);
    reader = bound();
    says("MESSAGE=first\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=diplex\n");
    close(reader);
    ck_assert(dx_journal_write(j, DX_SLICE("second\n")));
    usleep(20000);
    reader = bound();
    says("MESSAGE=second\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=diplex\n");
    ck_assert_uint_eq(dx_journal_lost(j), 0);
    dx_journal_free(&j);
}
END_TEST

static _Atomic uint64_t told;
static void tell(void *arg, uint64_t lines)
{
    (void)arg;
    told += lines;
}

/* The socket's queue fills, then the batches, and then lines are dropped, at once; told when somebody reads
 * again. */
START_TEST(a_socket_that_nobody_reads_stops_nobody)
{
    static char line[1024];
    uint64_t dropped = 0;
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    reader = bound();
    const struct dx_journal_way w = way_of(DX_JOURNAL_SYSLOG, false);
    struct dx_journal *j = started(&w);
    told = 0;
    dx_journal_on_again(j, tell, NULL);
    for (unsigned i = 0; i < 2000; i++)
        dropped += !dx_journal_write(j, dx_slice_of(line, sizeof line));
    ck_assert_uint_gt(dropped, 1000);
    ck_assert_uint_eq(told, 0);
    for (unsigned i = 0; i < 500 && told == 0; i++) {
        char got[2048];
        while (recv(reader, got, sizeof got, MSG_DONTWAIT) > 0)
            continue;
        usleep(10000);
    }
    ck_assert_uint_ge(told, dropped);
    dx_journal_free(&j);
}
END_TEST

START_TEST(its_end_does_not_wait_for_a_socket_that_is_gone)
{
    struct dx_journal_way w = way_of(DX_JOURNAL_SYSLOG, false);
    struct dx_journal *j = started(&w);
    struct timespec a, b;
    ck_assert(dx_journal_write(j, DX_SLICE("to nobody\n")));
    clock_gettime(CLOCK_MONOTONIC, &a);
    dx_journal_free(&j);
    clock_gettime(CLOCK_MONOTONIC, &b);
    ck_assert_int_lt(b.tv_sec - a.tv_sec, 4);
}
END_TEST

START_TEST(a_stream_of_the_journal_gets_priorities)
{
    char got[256] = "";
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    const struct dx_journal_way w = {
        .fd = ends[1], .owned = true, .events = true, .form = DX_JOURNAL_PREFIXED};
    struct dx_journal *j = started(&w);
    ck_assert(dx_journal_write(j, DX_SLICE(EVENT)));
    dx_journal_free(&j);
    ck_assert_int_gt(read(ends[0], got, sizeof got - 1), 0);
    ck_assert_str_eq(got, "<4>server_down from=control pool=sync reason=\"no answer\"\n");
    ck_assert_int_eq(read(ends[0], got, sizeof got), 0); /* it was closed */
    close(ends[0]);
}
END_TEST

/* --- files --- */

static struct dx_journal_way file(void)
{
    struct dx_err err = {{0}};
    struct dx_journal_way w = {.owned = true, .fd = dx_journal_open_file(path, &err)};
    ck_assert_msg(w.fd >= 0, "%s", err.text);
    return w;
}

#define FILES 5u
static _Atomic bool writing;
static unsigned written; /* by the thread, which has ended when it is read */

static void *write_numbers(void *arg)
{
    struct dx_journal *j = arg;
    char line[32];
    for (written = 0; writing; written++) {
        int n = snprintf(line, sizeof line, "line %u\n", written);
        while (!dx_journal_write(j, dx_slice_of(line, (size_t)n)))
            usleep(100);
    }
    return NULL;
}

/* The files in the order of their making hold the lines in the order of their writing, each once and whole.
 */
START_TEST(files_that_are_turned_under_load_lose_and_split_nothing)
{
    struct dx_journal_way w = file();
    struct dx_journal *j = started(&w);
    pthread_t thread;
    char name[96], line[64];
    unsigned next = 0;
    writing = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_numbers, j), 0);
    for (unsigned i = 0; i < FILES; i++) {
        struct stat st = {0};
        while (st.st_size == 0) /* or the test's time is up */
            ck_assert_int_eq(stat(path, &st), 0);
        (void)snprintf(name, sizeof name, "%s.%u", path, i);
        ck_assert_int_eq(rename(path, name), 0);
        w = file();
        dx_journal_turn(j, &w);
    }
    writing = false;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    dx_journal_free(&j);
    for (unsigned i = 0; i <= FILES; i++) {
        (void)snprintf(name, sizeof name, i < FILES ? "%s.%u" : "%s", path, i);
        FILE *f = fopen(name, "r");
        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof line, f)) {
            char wanted[32];
            (void)snprintf(wanted, sizeof wanted, "line %u\n", next++);
            ck_assert_str_eq(line, wanted);
        }
        (void)fclose(f);
        (void)unlink(name);
    }
    ck_assert_uint_eq(next, written);
}
END_TEST

/* Who is stuck at a pipe that nobody reads takes the next way all the same, and begins there with a whole
 * line. */
START_TEST(a_way_that_is_stuck_is_left_for_the_next)
{
    static char line[3000], got[4 * sizeof line];
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], line, 1) == 1)
        continue;
    const struct dx_journal_way stuck = dx_journal_stream(ends[1]);
    struct dx_journal *j = started(&stuck);
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (unsigned i = 0; i < 3; i++)
        ck_assert(dx_journal_write(j, dx_slice_of(line, sizeof line)));
    usleep(20000);
    const struct dx_journal_way w = file();
    dx_journal_turn(j, &w);
    struct stat st = {0};
    for (unsigned i = 0; i < 500 && st.st_size < (off_t)(3 * sizeof line); i++) {
        usleep(10000);
        ck_assert_int_eq(stat(path, &st), 0);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, got, sizeof got), (ssize_t)(3 * sizeof line));
    ck_assert_mem_eq(got, line, sizeof line);
    close(fd);
    dx_journal_free(&j);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_file_is_made_for_few_and_never_through_a_link)
{
    struct dx_err err = {{0}};
    struct stat st;
    char other[80];
    mode_t before = umask(0);
    struct dx_journal_way w = file();
    umask(before);
    ck_assert_int_eq(fstat(w.fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    ck_assert_int_ne(fcntl(w.fd, F_GETFL) & O_APPEND, 0);
    ck_assert_int_ne(fcntl(w.fd, F_GETFD) & FD_CLOEXEC, 0);
    close(w.fd);
    (void)snprintf(other, sizeof other, "%s.other", path);
    ck_assert_int_eq(rename(path, other), 0);
    ck_assert_int_eq(symlink(other, path), 0);
    ck_assert_int_eq(dx_journal_open_file(path, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
    (void)unlink(path);
    (void)unlink(other);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(dx_journal_open_file(path, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "nobody reads"));
    ck_assert_int_eq(dx_journal_open_file(folder, &err), -1);
}
END_TEST

START_TEST(systemd_says_which_stream_is_its_own)
{
    char stream[64];
    struct stat st;
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(fstat(ends[1], &st), 0);
    (void)unsetenv("JOURNAL_STREAM");
    ck_assert(!dx_journal_is_read_by_systemd(ends[1]));
    (void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    ck_assert(dx_journal_is_read_by_systemd(ends[1]));
    (void)setenv("JOURNAL_STREAM", "1:1", 1);
    ck_assert(!dx_journal_is_read_by_systemd(ends[1]));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ways");
    TCase *c = tcase_create("ways");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 20);
    tcase_add_test(c, a_line_for_syslog_is_as_the_c_library_writes_it);
    tcase_add_test(c, an_event_for_the_journal_has_its_fields);
    tcase_add_test(c, a_request_for_the_journal_has_what_one_looks_for);
    tcase_add_test(c, a_reader_that_comes_late_or_again_gets_what_waited);
    tcase_add_test(c, a_socket_that_nobody_reads_stops_nobody);
    tcase_add_test(c, its_end_does_not_wait_for_a_socket_that_is_gone);
    tcase_add_test(c, a_stream_of_the_journal_gets_priorities);
    tcase_add_test(c, files_that_are_turned_under_load_lose_and_split_nothing);
    tcase_add_test(c, a_way_that_is_stuck_is_left_for_the_next);
    tcase_add_test(c, a_file_is_made_for_few_and_never_through_a_link);
    tcase_add_test(c, systemd_says_which_stream_is_its_own);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
