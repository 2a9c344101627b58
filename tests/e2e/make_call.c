/* SPDX-License-Identifier: MIT */
/* Stands for a data process that a stranger has taken over, or for a newer C library: preloaded, it makes the
 * system call whose number is in MAKE_CALL when the first client is accepted. Built and used by
 * test_sandbox.py alone. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int client = (int)syscall(SYS_accept4, fd, address, length, flags);
    const char *number = getenv("MAKE_CALL");
    if (client >= 0 && number)
        (void)syscall(atoi(number), 0, 0, 0, 0, 0, 0);
    return client;
}
