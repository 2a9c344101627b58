/* SPDX-License-Identifier: MIT */
/*
 * Closing listening sockets without a loss. What waits in one when it is closed is reset, and so is whoever
 * is in the middle of the handshake; so first nobody new is let in, or is led to sockets that stay.
 */
#include <linux/filter.h>

#include "diplex/net.h"

/* Same on every architecture but a few that are history; older headers do not name some. */
#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73
#endif
#ifndef SO_ATTACH_REUSEPORT_CBPF
#define SO_ATTACH_REUSEPORT_CBPF 51
#endif
#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

#define HOPS_MOST 255

static int family_of(int fd)
{
    int family = AF_UNSPEC;
    socklen_t n = sizeof(family);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) == 0 ? family : AF_UNSPEC;
}

/* What has come over fewer than 256 - hops routers only. The socket that listens looks at it, and so do those
 * that are accepted; a handshake under way does not. So with the highest number nobody begins any more, but
 * for hosts beside us that send with the highest, too: those are let in for as long as anybody is. It needs
 * no privileges, as a filter on a TCP socket does on newer kernels. */
static void set_least_hops(int fd, int hops)
{
    int family = family_of(fd);
    if (family == AF_INET || family == AF_INET6) /* the latter may speak IPv4 */
        (void)setsockopt(fd, IPPROTO_IP, IP_MINTTL, &hops, sizeof(hops));
    if (family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &hops, sizeof(hops));
}

void dx_listen_refuse(int listener) { set_least_hops(listener, HOPS_MOST); }

void dx_listen_refuse_no_more(int fd) { set_least_hops(fd, 0); }

void dx_listen_end(int listener)
{
    if (family_of(listener) == AF_UNIX)
        (void)shutdown(listener, SHUT_RD);
}

void dx_listen_steer(int listener, unsigned n)
{
    struct sock_filter one_of_first[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    const struct sock_fprog program = {.len = DX_COUNT(one_of_first), .filter = one_of_first};
    if (n > 0)
        (void)setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
    else
        (void)setsockopt(listener, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &(int){0}, sizeof(int));
}
