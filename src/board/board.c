/* SPDX-License-Identifier: MIT */
/* The board's life: made by control, mapped by data, and what is said about the data process as a whole. */
#include "board/layout.h"

#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/fd.h"
#include "diplex/os/shm.h"

/* Changes with the layout, so that two builds of different layout never share a board. */
#define SHARED_MAGIC \
    (0x6469706c65780001ull ^ (uint64_t)sizeof(struct shared) << 20 ^ (uint64_t)sizeof(struct worker_part))

static size_t board_bytes(unsigned workers)
{
    return sizeof(struct shared) + (size_t)workers * sizeof(struct worker_part);
}

static struct dx_board *board_of(void *memory, unsigned workers, int fd)
{
    struct dx_board *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    DX_MAGIC_SET(b, BOARD_MAGIC);
    b->workers = workers;
    b->fd = fd;
    b->bytes = board_bytes(workers);
    b->shared = memory;
    b->parts = (struct worker_part *)(void *)((char *)memory + sizeof(struct shared));
    return b;
}

static struct own *own_new(void)
{
    struct own *own = calloc(1, sizeof *own);
    if (!own)
        return NULL;
    for (size_t i = 0; i < DX_BOARD_SERVERS; i++)
        own->places[i].pool = DX_BOARD_NONE;
    return own;
}

struct dx_board *dx_board_new(unsigned workers, struct dx_err *err)
{
    DX_ASSERT(workers >= 1 && workers <= DX_BOARD_WORKERS);
    int fd = -1;
    struct shared *memory = dx_shm_create("diplex-board", board_bytes(workers), &fd);
    if (!memory) {
        (void)dx_err_sys(err, "cannot make the shared memory of %zu bytes", board_bytes(workers));
        return NULL;
    }
    struct own *own = own_new();
    struct dx_board *b = own ? board_of(memory, workers, fd) : NULL;
    if (!b) {
        free(own);
        dx_shm_unmap(memory, board_bytes(workers));
        dx_fd_close(&fd);
        (void)dx_err_set(err, "out of memory");
        return NULL;
    }
    b->own = own;
    memory->head.magic = SHARED_MAGIC;
    memory->head.bytes = b->bytes;
    memory->head.workers = workers;
    return b;
}

/* The head of a descriptor that came from elsewhere: 0 when it is no board of this layout. */
static unsigned workers_of(int fd)
{
    struct head head;
    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head)
        return 0;
    if (head.magic != SHARED_MAGIC || head.workers < 1 || head.workers > DX_BOARD_WORKERS)
        return 0;
    return head.bytes == board_bytes(head.workers) ? head.workers : 0;
}

struct dx_board *dx_board_map(int fd, struct dx_err *err)
{
    unsigned workers = workers_of(fd);
    if (workers == 0) {
        (void)dx_err_set(err, "the shared memory is not a board of this version");
        return NULL;
    }
    void *memory = dx_shm_map(fd, board_bytes(workers));
    if (!memory) {
        (void)dx_err_sys(err, "cannot map the board");
        return NULL;
    }
    struct dx_board *b = board_of(memory, workers, -1);
    if (!b) {
        dx_shm_unmap(memory, board_bytes(workers));
        (void)dx_err_set(err, "out of memory");
    }
    return b;
}

int dx_board_fd(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    return b->fd;
}

unsigned dx_board_workers(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    return b->workers;
}

void dx_board_free(struct dx_board **b)
{
    if (!*b)
        return;
    DX_MAGIC_OK(*b, BOARD_MAGIC);
    dx_shm_unmap((*b)->shared, (*b)->bytes);
    dx_fd_close(&(*b)->fd);
    for (size_t i = 0; (*b)->own && i < DX_BOARD_PLACES; i++)
        free((*b)->own->bases[i]);
    for (size_t i = 0; (*b)->own && i < DX_BOARD_POOLS; i++)
        free((*b)->own->left[i]);
    free((*b)->own);
    DX_MAGIC_CLEAR(*b);
    free(*b);
    *b = NULL;
}

/* --- the data process --- */

static bool is_gauge(enum dx_counter c)
{
    static const char suffix[] = "_total";
    const char *name = dx_counter_name(c);
    size_t n = strlen(name), tail = sizeof suffix - 1;
    return n < tail || strcmp(name + n - tail, suffix) != 0;
}

/* What a process that died had running is running no more. */
static void clear_gauges(struct dx_board *b, struct worker_part *part)
{
    for (size_t c = 0; c < DX_COUNTER_COUNT; c++) {
        if (is_gauge((enum dx_counter)c))
            atomic_store_explicit(&part->counters[c], 0, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < b->own->places_top; i++) {
        atomic_store_explicit(&part->cells[i].cell.active, 0, memory_order_relaxed);
        atomic_store_explicit(&part->cells[i].cell.connections, 0, memory_order_relaxed);
    }
}

void dx_board_data_started(struct dx_board *b, int pid)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    for (unsigned w = 0; w < b->workers; w++)
        clear_gauges(b, &b->parts[w]);
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++)
        dx_board_pool_waits_set(b, i, (struct dx_board_waits){0});
    atomic_store_explicit(&b->shared->head.data_pid, (uint32_t)pid, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->shared->head.data_starts, 1, memory_order_relaxed);
}

unsigned dx_board_data_starts(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    return atomic_load_explicit(&b->shared->head.data_starts, memory_order_relaxed);
}
