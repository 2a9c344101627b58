/* SPDX-License-Identifier: MIT */
/* The board's life: made by control, mapped by data. */
#include "board/layout.h"

#include <stdlib.h>
#include <unistd.h>

#include "diplex/base/hash.h"
#include "diplex/base/text.h"
#include "diplex/os/fd.h"
#include "diplex/os/shm.h"

/* Changes with the layout, so that two builds of different layout never share a board. */
#define SHARED_MAGIC                                                                                        \
    (0x6469706c65780001ull ^ (uint64_t)sizeof(struct shared) << 20 ^ (uint64_t)sizeof(struct worker_part) ^ \
     (uint64_t)DX_BOARD_LAYOUT_SALT)

/* The tests make a program whose board seems to be laid out otherwise. */
#ifndef DX_BOARD_LAYOUT_SALT
#define DX_BOARD_LAYOUT_SALT 0
#endif

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

/* ---- from one control process to the next ---- */

#define SUMS        (DX_BOARD_PLACES + DX_BOARD_POOLS)
#define PIECE_BYTES 4096

/* The sizes, and what the words are called. */
uint64_t dx_board_layout(void)
{
    uint64_t h = DX_HASH_START;
    for (unsigned i = 0; i < DX_COUNTER_COUNT; i++)
        h = dx_hash_more(h, dx_slice_str(dx_counter_name((enum dx_counter)i)));
    return dx_hash_finish(h) ^ SHARED_MAGIC ^ (uint64_t)sizeof(struct own) << 40;
}

static struct dx_board_route_sum **sum_at(struct own *own, uint32_t i)
{
    return i < DX_BOARD_PLACES ? &own->bases[i] : &own->left[i - DX_BOARD_PLACES];
}

/* The struct as it is, then each sum that its pointers point at, with its number. */
int dx_board_save(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    struct dx_text t;
    dx_text_init(&t);
    dx_text_add(&t, dx_slice_of((const char *)b->own, sizeof *b->own));
    for (uint32_t i = 0; i < SUMS; i++) {
        const struct dx_board_route_sum *sum = *sum_at(b->own, i);
        if (!sum)
            continue;
        dx_text_add(&t, dx_slice_of((const char *)&i, sizeof i));
        dx_text_add(&t, dx_slice_of((const char *)sum, sizeof *sum));
    }
    int fd = t.failed ? -1 : dx_fd_memory_file("diplex-board-own", dx_slice_of(t.p, t.n));
    dx_text_fini(&t);
    return fd;
}

static void own_free(struct own *own)
{
    for (uint32_t i = 0; own && i < SUMS; i++)
        free(*sum_at(own, i));
    free(own);
}

/* Most of it is empty, and costs no memory until it is written to. */
static bool read_where_not_empty(int fd, char *to, size_t n)
{
    static const char empty[PIECE_BYTES];
    char piece[PIECE_BYTES];
    for (size_t at = 0; at < n; at += sizeof piece) {
        size_t some = n - at < sizeof piece ? n - at : sizeof piece;
        if (read(fd, piece, some) != (ssize_t)some)
            return false;
        if (memcmp(piece, empty, some) != 0)
            memcpy(to + at, piece, some);
    }
    return true;
}

static struct own *own_load(int fd)
{
    struct own *own = calloc(1, sizeof *own);
    uint32_t i;
    if (own && !read_where_not_empty(fd, (char *)own, sizeof *own)) {
        free(own);
        return NULL;
    }
    for (uint32_t k = 0; own && k < SUMS; k++)
        *sum_at(own, k) = NULL;
    while (own && read(fd, &i, sizeof i) == (ssize_t)sizeof i) {
        struct dx_board_route_sum *sum = i < SUMS ? calloc(1, sizeof *sum) : NULL;
        if (sum)
            *sum_at(own, i) = sum;
        if (!sum || read(fd, sum, sizeof *sum) != (ssize_t)sizeof *sum) {
            own_free(own);
            return NULL;
        }
    }
    return own;
}

struct dx_board *dx_board_resume(int fd, int saved, struct dx_err *err)
{
    struct dx_board *b = dx_board_map(fd, err);
    struct own *own = b && lseek(saved, 0, SEEK_SET) == 0 ? own_load(saved) : NULL;
    if (b && !own) {
        (void)dx_err_set(err, "what control knew of the board is not handed over whole");
        dx_board_free(&b);
    }
    if (!b)
        return NULL;
    b->own = own;
    b->fd = fd;
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
