/* SPDX-License-Identifier: MIT */
/*
 * Spools as one exchange uses them, with what all of them hold counted on the board: each worker counts its
 * own, and the sum is looked at before more is taken. So workers may overshoot the totals by a piece each,
 * and share no lock.
 */
#include <errno.h>

#include "proxy/internal.h"

struct held {
    size_t memory;
    uint64_t disk;
};

static struct held held(const struct dx_spool *s) { return (struct held){s->memory_cap, s->file_n}; }

static void account(struct exchange *x, const struct dx_spool *s, struct held before)
{
    struct held now = held(s);
    if (now.memory != before.memory)
        proxy_count(x->proxy, DX_COUNTER_SPOOL_MEMORY, (int64_t)now.memory - (int64_t)before.memory);
    if (now.disk != before.disk)
        proxy_count(x->proxy, DX_COUNTER_SPOOL_DISK, (int64_t)(now.disk - before.disk));
}

static bool over(const struct exchange *x, enum dx_counter what, uint64_t more, uint64_t most)
{
    return dx_board_counter_sum(x->proxy->board, what) + more > most;
}

static bool disk_has_room(struct exchange *x, uint64_t more)
{
    if (more == 0 || !over(x, DX_COUNTER_SPOOL_DISK, more, view_config(x->view)->buffer.total_disk))
        return true;
    room_said(x->proxy, LIMIT_SPOOL, x->client_ip);
    errno = SHELF_FULL;
    return false;
}

/* Where the memory of all is used up, this spool gets no more of it and goes on in its file. */
static void bound_memory(struct exchange *x, struct dx_spool *s, size_t more)
{
    size_t want = more < s->memory_max - s->memory_n ? s->memory_n + more : s->memory_max;

    if (s->fd < 0 && want > s->memory_cap &&
        over(x, DX_COUNTER_SPOOL_MEMORY, want - s->memory_cap, view_config(x->view)->buffer.total_memory))
        s->memory_max = s->memory_cap;
}

/* Its file could not be made for want of a descriptor, and somebody idle has made room: nothing of the bytes
 * is lost, and it may be tried again. */
static bool again(struct exchange *x, const struct dx_spool *s)
{
    int why = errno;
    bool may = s->fd < 0 && (why == EMFILE || why == ENFILE) && dx_proxy_make_room(x->proxy);

    if (!may && room_lacking(why))
        room_said(x->proxy, why == ENOMEM ? LIMIT_MEMORY : LIMIT_DESCRIPTORS, x->client_ip);
    errno = why;
    return may;
}

bool shelf_append(struct exchange *x, struct dx_spool *s, struct dx_slice bytes)
{
    struct held before = held(s);

    bound_memory(x, s, bytes.n);
    size_t room = s->fd < 0 ? s->memory_max - s->memory_n : 0;
    if (!disk_has_room(x, bytes.n > room ? bytes.n - room : 0))
        return false;
    bool ok = dx_spool_append(s, bytes) || (again(x, s) && dx_spool_append(s, bytes));
    account(x, s, before);
    return ok;
}

bool shelf_append_pipe(struct exchange *x, struct dx_spool *s, struct dx_pipe *pipe)
{
    struct held before = held(s);

    if (!disk_has_room(x, pipe->bytes))
        return false;
    bool ok = dx_spool_append_pipe(s, pipe) || (again(x, s) && dx_spool_append_pipe(s, pipe));
    account(x, s, before);
    return ok;
}

void shelf_cut(struct exchange *x, struct dx_spool *s, uint64_t bytes)
{
    struct held before = held(s);
    dx_spool_cut(s, bytes);
    account(x, s, before);
}

void shelf_clear(struct exchange *x, struct dx_spool *s)
{
    struct held before = held(s);
    dx_spool_fini(s);
    account(x, s, before);
}
