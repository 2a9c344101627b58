/* SPDX-License-Identifier: MIT */
/*
 * How many connections each client has, over all workers of this process. A client is an IPv4 address or an
 * IPv6 /64. The table is of fixed size and has no locks, and its places are found by a hash with a key of its
 * own, so that nobody can choose addresses that meet in one. It lives in the process that it counts for: with
 * that one it is gone, and so are its counts.
 */
#ifndef DIPLEX_CROWD_H
#define DIPLEX_CROWD_H

#include "diplex/os/address.h"

struct dx_crowd;

/* Room for `clients` different ones, and some more. NULL: out of memory, or the kernel gives no random key.
 */
struct dx_crowd *dx_crowd_new(unsigned clients) DX_CHECKED;
void dx_crowd_free(struct dx_crowd **c);

enum dx_crowd_answer {
    DX_CROWD_IN,   /* counted; to be left again */
    DX_CROWD_OVER, /* it has `most` connections already */
    DX_CROWD_FREE, /* no address, or no place in the table: not counted */
};
#define DX_CROWD_MOST 65535u
enum dx_crowd_answer dx_crowd_enter(struct dx_crowd *c, const struct dx_address *a, unsigned most) DX_CHECKED;
/* After DX_CROWD_IN, once, with the same address. */
void dx_crowd_leave(struct dx_crowd *c, const struct dx_address *a);
unsigned dx_crowd_of(struct dx_crowd *c, const struct dx_address *a); /* counted now */

#endif
