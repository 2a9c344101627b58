/* SPDX-License-Identifier: MIT */
/* The board's life: made by control, mapped by data. */
#include "board/layout.h"

#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/fd.h"
#include "diplex/os/shm.h"

/* Changes with the layout, so that two builds of different layout never share a board. */
#define SHARED_MAGIC \
    (0x6469706c65780001ull ^ (uint64_t)sizeof(struct shared) << 20 ^ (uint64_t)sizeof(struct worker_part))

/* Room for every part there may be: pages that nobody touches cost nothing. */
#define BOARD_BYTES (sizeof(struct shared) + (size_t)DX_BOARD_PARTS * sizeof(struct worker_part))

static struct dx_board *board_of(void *memory, int fd)
{
    struct dx_board *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    DX_MAGIC_SET(b, BOARD_MAGIC);
    b->fd = fd;
    b->bytes = BOARD_BYTES;
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
    for (size_t i = 0; i < DX_BOARD_PARTS; i++)
        own->part_seat[i] = NOBODY;
    return own;
}

struct dx_board *dx_board_new(unsigned workers, struct dx_err *err)
{
    DX_ASSERT(workers >= 1 && workers <= DX_BOARD_WORKERS);
    int fd = -1;
    struct shared *memory = dx_shm_create("diplex-board", BOARD_BYTES, &fd);
    if (!memory) {
        (void)dx_err_sys(err, "cannot make the shared memory of %zu bytes", BOARD_BYTES);
        return NULL;
    }
    struct own *own = own_new();
    struct dx_board *b = own ? board_of(memory, fd) : NULL;
    if (!b) {
        free(own);
        dx_shm_unmap(memory, BOARD_BYTES);
        dx_fd_close(&fd);
        (void)dx_err_set(err, "out of memory");
        return NULL;
    }
    b->own = own;
    memory->head.magic = SHARED_MAGIC;
    memory->head.bytes = b->bytes;
    board_parts_reach(b, workers);
    dx_board_workers_set(b, 0, workers);
    return b;
}

/* A descriptor that came from elsewhere. */
static bool is_board(int fd)
{
    struct head head;
    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head)
        return false;
    return head.magic == SHARED_MAGIC && head.bytes == BOARD_BYTES;
}

struct dx_board *dx_board_map(int fd, struct dx_err *err)
{
    if (!is_board(fd)) {
        (void)dx_err_set(err, "the shared memory is not a board of this version");
        return NULL;
    }
    void *memory = dx_shm_map(fd, BOARD_BYTES);
    if (!memory) {
        (void)dx_err_sys(err, "cannot map the board");
        return NULL;
    }
    struct dx_board *b = board_of(memory, -1);
    if (!b) {
        dx_shm_unmap(memory, BOARD_BYTES);
        (void)dx_err_set(err, "out of memory");
    }
    return b;
}

int dx_board_fd(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    return b->fd;
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
