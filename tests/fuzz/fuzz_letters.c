/* SPDX-License-Identifier: MIT */
/*
 * Letters between control and data, as a process would write them that a stranger has taken over: any bytes
 * in any number of packets, with any number of descriptors beside them, empty packets included. Whoever reads
 * them gets whole letters or an error, never waits, keeps no descriptor that it was not given as a letter's,
 * and what is read is sent and read again as it was.
 *
 *   One packet: a byte, how many descriptors (bits 0-2); two of length; its bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/ipc.h"
#include "diplex/os/fd.h"

#define FDS_MOST     7
#define PACKET_MOST  1400
#define PACKETS_MOST 12
#define FD_LOOKED_AT 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count_fds(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < FD_LOOKED_AT; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void send_packet(int end, const uint8_t *p, size_t n, unsigned fds)
{
    static int null = -1;
    int all[FDS_MOST];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof all)];
    } control = {.bytes = {0}};
    char copy[PACKET_MOST];

    if (null < 0)
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (n > 0)
        memcpy(copy, p, n);
    struct iovec part = {copy, n};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    for (unsigned i = 0; i < fds; i++)
        all[i] = null;
    if (fds > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds * sizeof(int));
        memcpy(CMSG_DATA(c), all, fds * sizeof(int));
    }
    DX_ASSERT(sendmsg(end, &m, MSG_NOSIGNAL) == (ssize_t)n);
}

static void check_letter(const struct dx_letter *l, unsigned fds)
{
    struct dx_letter again;
    int ends[2];

    DX_ASSERT(l->type >= DX_LETTER_BOARD && l->type < DX_LETTER_TYPES);
    DX_ASSERT(memchr(l->text, '\0', sizeof l->text) != NULL);
    DX_ASSERT(fds <= 1 && (l->fd >= 0) == (fds == 1));
    DX_ASSERT(l->fd < 0 || (fcntl(l->fd, F_GETFD) & FD_CLOEXEC) != 0);
    DX_ASSERT(dx_ipc_pair(ends) && dx_ipc_send(ends[0], l));
    DX_ASSERT(dx_ipc_receive(ends[1], &again) == DX_IPC_LETTER);
    DX_ASSERT(again.type == l->type && again.worker == l->worker && again.number == l->number);
    DX_ASSERT(strcmp(again.text, l->text) == 0 && (again.fd >= 0) == (l->fd >= 0));
    dx_fd_close(&again.fd);
    dx_fd_close(&ends[0]);
    dx_fd_close(&ends[1]);
}

static void receive(int end, size_t n, unsigned fds)
{
    struct dx_letter l;
    unsigned before = count_fds();

    errno = 0;
    enum dx_ipc got = dx_ipc_receive(end, &l);
    if (n == 0) /* nothing can tell an empty packet from the end */
        DX_ASSERT(got == DX_IPC_CLOSED || got == DX_IPC_ERROR);
    else
        DX_ASSERT(got == DX_IPC_LETTER || (got == DX_IPC_ERROR && errno == EBADMSG));
    if (got == DX_IPC_LETTER) {
        check_letter(&l, fds);
        dx_fd_close(&l.fd);
    }
    DX_ASSERT(count_fds() == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dx_letter l;
    int ends[2];

    DX_ASSERT(dx_ipc_pair(ends));
    for (unsigned i = 0; i < PACKETS_MOST && size >= 3; i++) {
        unsigned fds = data[0] & FDS_MOST;
        size_t n = (size_t)((data[1] & 7) << 8 | data[2]);
        data += 3;
        size -= 3;
        n = n < size ? n : size;
        n = n < PACKET_MOST ? n : PACKET_MOST;
        send_packet(ends[0], data, n, fds);
        receive(ends[1], n, fds);
        data += n;
        size -= n;
    }
    DX_ASSERT(dx_ipc_receive(ends[1], &l) == DX_IPC_NOTHING);
    dx_fd_close(&ends[0]);
    DX_ASSERT(dx_ipc_receive(ends[1], &l) == DX_IPC_CLOSED);
    dx_fd_close(&ends[1]);
    return 0;
}
