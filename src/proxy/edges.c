/* SPDX-License-Identifier: MIT */
/*
 * A file of records that all processes of a run of the tests map and count in together: one record for each
 * state, next state, mover and outcome. It is opened before main, while a root process still is one and may
 * open files, and what is counted is there whatever way the process ends. Not in what is shipped.
 */
#include "proxy/edges.h"

#ifdef DIPLEX_EDGES

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDS    ((size_t)STATE_COUNT * STATE_COUNT * MOVERS * OUTCOME_COUNT)
#define NAME_BYTES 72

/* What it is stands beside the count, so that nobody who reads the file has to know the numbers. */
struct record {
    _Atomic uint64_t count;
    char name[NAME_BYTES];
};

static const char *const states[STATE_COUNT] = {
#define NEXT(s)                                   0
#define STATE(id, waits, deadline, outcome, next) #id,
#include "proxy/states.def"
};
static const char *const movers[MOVERS] = {"step", "deadline", "cut"};

static struct record *records;

__attribute__((constructor)) static void map_records(void)
{
    int fd = open(DIPLEX_EDGES, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    if (ftruncate(fd, (off_t)(RECORDS * sizeof(struct record))) == 0) {
        void *at = mmap(NULL, RECORDS * sizeof(struct record), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        records = at == MAP_FAILED ? NULL : at;
    }
    close(fd);
}

void edges_count(const struct exchange *x, enum state next, enum mover by)
{
    if (records == NULL)
        return;
    size_t pair = (size_t)x->state * STATE_COUNT + next;
    struct record *r = &records[(pair * MOVERS + by) * OUTCOME_COUNT + x->outcome];
    if (atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed) == 0)
        snprintf(r->name, sizeof(r->name), "%s %s %s %s", states[x->state], states[next], movers[by],
                 outcome_row(x->outcome)->word);
}

#endif
