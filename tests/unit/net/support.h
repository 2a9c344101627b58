/* SPDX-License-Identifier: MIT */
/* What the tests of sockets share: a folder that goes away, listeners, and a loop run until something is so.
 */
#ifndef DIPLEX_TEST_NET_SUPPORT_H
#define DIPLEX_TEST_NET_SUPPORT_H

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/net.h"
#include "diplex/os/fd.h"

#define WAIT_MS 5000

static char folder[64];

static inline void folder_make(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/diplex-net-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void folder_remove(void) { (void)rmdir(folder); }

static inline struct dx_address address_of(const char *text)
{
    struct dx_address a;
    ck_assert_msg(dx_address_parse(dx_slice_str(text), true, &a), "%s", text);
    return a;
}

static inline struct dx_address unix_address(const char *name)
{
    char text[120];
    (void)snprintf(text, sizeof(text), "unix:%s/%s", folder, name);
    return address_of(text);
}

/* The address that the kernel gave a listener on port 0. */
static inline struct dx_address bound_to(int listener)
{
    struct dx_address a = {.len = sizeof(a.u)};
    ck_assert_int_eq(getsockname(listener, &a.u.sa, &a.len), 0);
    return a;
}

static inline int listen_on(const struct dx_address *a)
{
    struct dx_err err = {""};
    int fd = -1;
    ck_assert_msg(dx_listen_open(a, false, 0600, &fd, &err), "%s", err.text);
    return fd;
}

/* The next connection of a listener, whose accept does not wait. */
static inline int accept_soon(int listener, struct dx_address *peer)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    int fd = dx_listen_accept(listener, peer);
    ck_assert_int_ge(fd, 0);
    return fd;
}

#endif
