/* SPDX-License-Identifier: MIT */
/*
 * One letter is one packet: a fixed head, the text without its terminator, and at most one descriptor beside
 * it. What arrives is checked as if a stranger had sent it, for the data process is the one that talks to
 * strangers.
 */
#include "diplex/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/os/fd.h"

struct wire {
    uint32_t type, worker;
    uint64_t number;
    char text[DX_LETTER_TEXT];
};
#define HEAD_BYTES offsetof(struct wire, text)

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool dx_ipc_pair(int ends[2])
{
    int made[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, made) != 0)
        return false;
    ends[0] = made[0];
    ends[1] = made[1];
    return true;
}

static void control_put(struct msghdr *msg, union control *control, int fd)
{
    memset(control, 0, sizeof *control);
    msg->msg_control = control->bytes;
    msg->msg_controllen = sizeof control->bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    DX_ASSERT(c != NULL);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

bool dx_ipc_send(int end, const struct dx_letter *l)
{
    struct wire wire = {.type = (uint32_t)l->type, .worker = l->worker, .number = l->number};
    size_t n = strnlen(l->text, sizeof l->text - 1);
    memcpy(wire.text, l->text, n);
    struct iovec part = {&wire, HEAD_BYTES + n};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;
    if (l->fd >= 0)
        control_put(&msg, &control, l->fd);
    ssize_t sent;
    do {
        sent = sendmsg(end, &msg, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

/* The one descriptor of a letter, or -1. Any more are closed, so that nothing can fill our table. */
static int control_take(struct msghdr *msg, bool *surplus)
{
    int kept = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd = -1;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (kept < 0) {
                kept = fd;
                continue;
            }
            *surplus = true;
            dx_fd_close(&fd);
        }
    }
    return kept;
}

static bool wire_ok(const struct wire *wire, size_t n)
{
    if (n < HEAD_BYTES || n - HEAD_BYTES >= DX_LETTER_TEXT)
        return false;
    return wire->type >= DX_LETTER_BOARD && wire->type < DX_LETTER_TYPES;
}

static void letter_of(const struct wire *wire, size_t n, int fd, struct dx_letter *out)
{
    memset(out, 0, sizeof *out);
    out->type = (enum dx_letter_type)wire->type;
    out->worker = wire->worker;
    out->number = wire->number;
    out->fd = fd;
    memcpy(out->text, wire->text, n - HEAD_BYTES);
}

enum dx_ipc dx_ipc_receive(int end, struct dx_letter *out)
{
    struct wire wire = {0};
    union control control;
    struct iovec part = {&wire, sizeof wire};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    msg.msg_control = control.bytes;
    msg.msg_controllen = sizeof control.bytes;
    ssize_t got;
    do {
        got = recvmsg(end, &msg, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return DX_IPC_NOTHING;
    if (got < 0)
        return errno == ECONNRESET ? DX_IPC_CLOSED : DX_IPC_ERROR;
    bool surplus = false;
    int fd = control_take(&msg, &surplus);
    if (got == 0 && fd < 0) /* an empty packet says the same, so nobody may rely on it */
        return DX_IPC_CLOSED;
    if (surplus || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !wire_ok(&wire, (size_t)got)) {
        dx_fd_close(&fd);
        errno = EBADMSG;
        return DX_IPC_ERROR;
    }
    letter_of(&wire, (size_t)got, fd, out);
    return DX_IPC_LETTER;
}
