/* SPDX-License-Identifier: MIT */
/* What the files of this room share. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

void net_watch_over(int fd); /* SO_KEEPALIVE, with times that fit a proxy */

#endif
