/* SPDX-License-Identifier: MIT */
/* Letters arrive whole, with their descriptor, and nothing that is no letter gets through. */
#include "diplex/ipc.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int ends[2];

static void setup(void) { ck_assert(dx_ipc_pair(ends)); }

static void teardown(void)
{
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static struct dx_letter letter(enum dx_letter_type type)
{
    return (struct dx_letter){.type = type, .fd = -1};
}

static void ask(struct dx_letter *got, enum dx_ipc wanted)
{
    memset(got, 0x55, sizeof *got);
    ck_assert_int_eq(dx_ipc_receive(ends[1], got), wanted);
}

START_TEST(a_letter_arrives_as_it_was_sent)
{
    struct dx_letter sent = letter(DX_LETTER_REFUSED), got;
    sent.worker = DX_LETTER_ANY;
    sent.number = 0x123456789abcdef0;
    strcpy(sent.text, "diplex.yaml:3:1: unknown key");
    ck_assert(dx_ipc_send(ends[0], &sent));
    ask(&got, DX_IPC_LETTER);
    ck_assert_int_eq(got.type, sent.type);
    ck_assert_uint_eq(got.worker, sent.worker);
    ck_assert_uint_eq(got.number, sent.number);
    ck_assert_str_eq(got.text, sent.text);
    ck_assert_int_eq(got.fd, -1);
    ask(&got, DX_IPC_NOTHING);
}
END_TEST

/* What came beside it would stay open for ever. */
START_TEST(an_empty_packet_leaves_no_descriptor)
{
    char none;
    struct iovec part = {&none, 0};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    struct dx_letter got;
    int sent = dup(ends[0]), next;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof sent);
    memcpy(CMSG_DATA(c), &sent, sizeof sent);
    ck_assert_int_eq(sendmsg(ends[0], &m, 0), 0);
    errno = 0;
    ask(&got, DX_IPC_ERROR);
    ck_assert_int_eq(errno, EBADMSG);
    next = dup(ends[0]);
    ck_assert_int_eq(next, sent + 1); /* the place behind the one that was sent is free again */
    (void)close(next);
    (void)close(sent);
}
END_TEST

START_TEST(letters_keep_their_order_and_borders)
{
    struct dx_letter sent = letter(DX_LETTER_LISTEN), got;
    for (uint64_t i = 0; i < 5; i++) {
        sent.number = i;
        memset(sent.text, 'a' + (int)i, (size_t)i);
        ck_assert(dx_ipc_send(ends[0], &sent));
    }
    for (uint64_t i = 0; i < 5; i++) {
        ask(&got, DX_IPC_LETTER);
        ck_assert_uint_eq(got.number, i);
        ck_assert_uint_eq(strlen(got.text), i);
    }
}
END_TEST

START_TEST(the_longest_text_passes_and_an_endless_one_is_cut)
{
    struct dx_letter sent = letter(DX_LETTER_READY), got;
    memset(sent.text, 'x', sizeof sent.text);
    ck_assert(dx_ipc_send(ends[0], &sent));
    ask(&got, DX_IPC_LETTER);
    ck_assert_uint_eq(strlen(got.text), DX_LETTER_TEXT - 1);
}
END_TEST

START_TEST(a_descriptor_travels)
{
    struct dx_letter sent = letter(DX_LETTER_CONFIG), got;
    struct stat mine, theirs;
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    sent.fd = fds[0];
    ck_assert(dx_ipc_send(ends[0], &sent));
    ask(&got, DX_IPC_LETTER);
    ck_assert_int_ge(got.fd, 0);
    ck_assert_int_ne(got.fd, fds[0]);
    ck_assert_int_eq(fstat(fds[0], &mine), 0); /* sending did not close it */
    ck_assert_int_eq(fstat(got.fd, &theirs), 0);
    ck_assert_uint_eq(mine.st_ino, theirs.st_ino);
    ck_assert_int_eq(fcntl(got.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    (void)close(got.fd);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
END_TEST

START_TEST(both_ends_are_nonblocking_and_close_on_exec)
{
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ne(fcntl(ends[i], F_GETFL) & O_NONBLOCK, 0);
        ck_assert_int_ne(fcntl(ends[i], F_GETFD) & FD_CLOEXEC, 0);
    }
}
END_TEST

START_TEST(a_full_box_says_so)
{
    struct dx_letter sent = letter(DX_LETTER_STOP), got;
    unsigned n = 0;
    while (n < 100000 && dx_ipc_send(ends[0], &sent))
        n++;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_uint_gt(n, 0);
    ask(&got, DX_IPC_LETTER);
    while (dx_ipc_receive(ends[1], &got) == DX_IPC_LETTER)
        n--;
    ck_assert(dx_ipc_send(ends[0], &sent));
}
END_TEST

START_TEST(a_closed_end_is_seen)
{
    struct dx_letter sent = letter(DX_LETTER_STOPPED), got;
    ck_assert(dx_ipc_send(ends[0], &sent));
    (void)close(ends[0]);
    ask(&got, DX_IPC_LETTER);
    ask(&got, DX_IPC_CLOSED);
    ck_assert(!dx_ipc_send(ends[1], &sent)); /* and no SIGPIPE */
    ck_assert_int_eq(errno, EPIPE);
    ends[0] = dup(ends[1]);
}
END_TEST

static void send_raw(const void *bytes, size_t n, const int *fds, size_t fds_n)
{
    struct iovec part = {.iov_len = n};
    memcpy(&part.iov_base, &bytes, sizeof bytes);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds_n) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(fds_n * sizeof(int));
        struct cmsghdr *c = (struct cmsghdr *)(void *)control;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds_n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fds_n * sizeof(int));
    }
    ck_assert_int_eq(sendmsg(ends[0], &msg, 0), (ssize_t)n);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

START_TEST(what_is_no_letter_is_refused)
{
    struct dx_letter got;
    uint32_t head[4] = {99, 0, 0, 0};
    char big[2048] = {DX_LETTER_STOP};
    struct {
        const void *bytes;
        size_t n;
    } cases[] = {{"x", 1}, {head, sizeof head}, {head, 12}, {big, sizeof big}, {big, 16 + DX_LETTER_TEXT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        send_raw(cases[i].bytes, cases[i].n, NULL, 0);
        ask(&got, DX_IPC_ERROR);
        ck_assert_int_eq(errno, EBADMSG);
    }
    head[0] = DX_LETTER_READY;
    send_raw(head, sizeof head, NULL, 0);
    ask(&got, DX_IPC_LETTER);
}
END_TEST

START_TEST(descriptors_beyond_the_first_are_not_kept)
{
    struct dx_letter got;
    uint32_t head[4] = {DX_LETTER_BOARD, 0, 0, 0}, bad[4] = {77, 0, 0, 0};
    int three[3] = {0, 1, 2};
    unsigned before = open_descriptors();
    send_raw(head, sizeof head, three, 3);
    ask(&got, DX_IPC_ERROR);
    ck_assert_uint_eq(open_descriptors(), before);
    send_raw(head, sizeof head, three, 2);
    ask(&got, DX_IPC_ERROR);
    ck_assert_uint_eq(open_descriptors(), before);
    send_raw(bad, sizeof bad, three, 1);
    ask(&got, DX_IPC_ERROR);
    ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ipc");
    TCase *c = tcase_create("ipc");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_letter_arrives_as_it_was_sent);
    tcase_add_test(c, an_empty_packet_leaves_no_descriptor);
    tcase_add_test(c, letters_keep_their_order_and_borders);
    tcase_add_test(c, the_longest_text_passes_and_an_endless_one_is_cut);
    tcase_add_test(c, a_descriptor_travels);
    tcase_add_test(c, both_ends_are_nonblocking_and_close_on_exec);
    tcase_add_test(c, a_full_box_says_so);
    tcase_add_test(c, a_closed_end_is_seen);
    tcase_add_test(c, what_is_no_letter_is_refused);
    tcase_add_test(c, descriptors_beyond_the_first_are_not_kept);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
