/* SPDX-License-Identifier: MIT */
/*
 * The memory that workers tell control of their requests in. A head, then parts of equal size; a part is a
 * head and the requests one after another, each a head and its words without terminators.
 */
#include "diplex/census.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "census/part.h"
#include "diplex/os/fd.h"
#include "diplex/os/shm.h"

#define MAGIC 0x43454e53u

struct head {
    _Atomic uint64_t serial;
    _Atomic uint32_t parts;
};

struct part {
    _Atomic uint64_t serial; /* of the question that it answers: written last */
    uint32_t requests, left_out, bytes;
    char at[];
};

#define HEAD_BYTES 64u
#define ALL_BYTES  (HEAD_BYTES + (size_t)DX_CENSUS_PARTS * DX_CENSUS_PART_BYTES)
#define ROOM       (DX_CENSUS_PART_BYTES - sizeof(struct part))

_Static_assert(sizeof(struct head) <= HEAD_BYTES, "the head has its own line");
_Static_assert(DX_CENSUS_PART_BYTES % HEAD_BYTES == 0, "parts are aligned");

struct dx_census {
    uint32_t magic;
    char *memory;
    int fd;
};

static struct head *head_of(const struct dx_census *c) { return (struct head *)(void *)c->memory; }
static struct part *part_of(const struct dx_census *c, unsigned i)
{
    return (struct part *)(void *)(c->memory + HEAD_BYTES + (size_t)i * DX_CENSUS_PART_BYTES);
}

static struct dx_census *make(char *memory, int fd, struct dx_err *err)
{
    struct dx_census *c = memory ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        dx_err_sys(err, "no shared memory for the census of requests");
        dx_shm_unmap(memory, ALL_BYTES);
        dx_fd_close(&fd);
        return NULL;
    }
    DX_MAGIC_SET(c, MAGIC);
    c->memory = memory;
    c->fd = fd;
    return c;
}

struct dx_census *dx_census_new(struct dx_err *err)
{
    int fd = -1;
    char *memory = dx_shm_create("diplex-census", ALL_BYTES, &fd);
    return make(memory, fd, err);
}

struct dx_census *dx_census_map(int fd, struct dx_err *err)
{
    return make(dx_shm_map(fd, ALL_BYTES), -1, err);
}

int dx_census_fd(const struct dx_census *c)
{
    DX_MAGIC_OK(c, MAGIC);
    return c->fd;
}

void dx_census_free(struct dx_census **cp)
{
    struct dx_census *c = *cp;
    if (!c)
        return;
    *cp = NULL;
    DX_MAGIC_OK(c, MAGIC);
    dx_shm_unmap(c->memory, ALL_BYTES);
    dx_fd_close(&c->fd);
    DX_MAGIC_CLEAR(c);
    free(c);
}

/* ---- data ---- */

void dx_census_begin(struct dx_census *c, uint64_t serial, unsigned parts)
{
    DX_MAGIC_OK(c, MAGIC);
    atomic_store_explicit(&head_of(c)->parts, parts < DX_CENSUS_PARTS ? parts : DX_CENSUS_PARTS,
                          memory_order_relaxed);
    atomic_store_explicit(&head_of(c)->serial, serial, memory_order_release);
}

void dx_census_open(struct dx_census *c, unsigned part, struct dx_census_writer *w)
{
    DX_MAGIC_OK(c, MAGIC);
    DX_ASSERT(part < DX_CENSUS_PARTS);
    char *at = part_of(c, part)->at;
    *w = (struct dx_census_writer){.census = c, .part = part, .at = at, .end = at + ROOM};
}

bool dx_census_add(struct dx_census_writer *w, const struct dx_census_request *r)
{
    struct dx_out out = dx_out_of(w->at, (size_t)(w->end - w->at));
    if (w->requests == DX_CENSUS_REQUESTS || !census_write(&out, r))
        return false;
    w->at = out.p;
    w->requests++;
    return true;
}

void dx_census_close(struct dx_census_writer *w, uint64_t serial, uint32_t left_out)
{
    struct part *p = part_of(w->census, w->part);
    p->requests = w->requests;
    p->left_out = left_out;
    p->bytes = (uint32_t)(w->at - p->at);
    atomic_store_explicit(&p->serial, serial, memory_order_release);
}

/* ---- control ---- */

unsigned dx_census_parts(const struct dx_census *c)
{
    uint32_t parts = atomic_load_explicit(&head_of(c)->parts, memory_order_relaxed);
    return parts < DX_CENSUS_PARTS ? parts : DX_CENSUS_PARTS;
}

uint64_t dx_census_missing(const struct dx_census *c, uint64_t serial)
{
    uint64_t missing = 0;
    DX_MAGIC_OK(c, MAGIC);
    if (atomic_load_explicit(&head_of(c)->serial, memory_order_acquire) != serial)
        return UINT64_MAX;
    unsigned parts = dx_census_parts(c);
    for (unsigned i = 0; i < parts; i++)
        if (atomic_load_explicit(&part_of(c, i)->serial, memory_order_acquire) != serial)
            missing |= UINT64_C(1) << i;
    return missing;
}

static bool list_add(struct dx_census_list *l, const struct dx_census_request *r)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : DX_CENSUS_REQUESTS;
        struct dx_census_request *at = realloc(l->at, cap * sizeof *at);
        if (!at)
            return false;
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = *r;
    return true;
}

static bool read_copy(struct dx_slice bytes, uint32_t worker, uint64_t bit, struct dx_census_list *out)
{
    struct dx_census_request r;
    bool broken = false;
    for (unsigned n = 0; n < DX_CENSUS_REQUESTS && dx_census_next(&bytes, &r, &broken); n++) {
        r.worker = worker;
        if (!list_add(out, &r))
            return false;
    }
    if (broken)
        out->broken |= bit;
    return true;
}

/* The numbers of the part are read once: what is checked must be what is used. */
bool dx_census_read(const struct dx_census *c, unsigned part, uint64_t serial, uint32_t worker,
                    struct dx_census_list *out)
{
    DX_ASSERT(part < DX_CENSUS_PARTS && !out->copies[part]);
    const struct part *p = part_of(c, part);
    uint64_t bit = UINT64_C(1) << part;
    if (atomic_load_explicit(&p->serial, memory_order_acquire) != serial) {
        out->missing |= bit;
        return true;
    }
    uint32_t bytes = *(const volatile uint32_t *)&p->bytes;
    uint32_t left_out = *(const volatile uint32_t *)&p->left_out;
    if (bytes > ROOM) {
        out->broken |= bit;
        return true;
    }
    char *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        return false;
    memcpy(copy, p->at, bytes);
    out->copies[part] = copy;
    out->left_out += left_out;
    return read_copy(dx_slice_of(copy, bytes), worker, bit, out);
}

void dx_census_list_fini(struct dx_census_list *l)
{
    for (unsigned i = 0; i < DX_CENSUS_PARTS; i++)
        free(l->copies[i]);
    free(l->at);
    *l = (struct dx_census_list){.n = 0};
}

static int compare(const void *left, const void *right)
{
    const struct dx_census_request *a = left, *b = right;
    if (a->server != b->server)
        return a->server < b->server ? -1 : 1;
    return a->age_us == b->age_us ? 0 : a->age_us > b->age_us ? -1 : 1;
}

void dx_census_list_sort(struct dx_census_list *l)
{
    if (l->n)
        qsort(l->at, l->n, sizeof *l->at, compare);
}
