/* SPDX-License-Identifier: MIT */
/*
 * Which moves of the table of states the tests have made: tests/coverage/edges.py asks. Only builds that
 * count coverage count these (DIPLEX_EDGES names the file); in all others nothing of this is compiled.
 */
#ifndef PROXY_EDGES_H
#define PROXY_EDGES_H

#include "proxy/internal.h"

enum mover { MOVED_BY_STEP, MOVED_BY_DEADLINE, MOVED_BY_CUT, MOVERS };

#ifdef DIPLEX_EDGES
void edges_count(const struct exchange *x, enum state next, enum mover by);
#else
static inline void edges_count(const struct exchange *x, enum state next, enum mover by)
{
    (void)x, (void)next, (void)by;
}
#endif

#endif
