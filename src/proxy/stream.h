/* SPDX-License-Identifier: MIT */
/*
 * Bytes in and bytes out. An inlet is a block of what came and is not used yet; an outlet is a short list of
 * slices that wait to be sent with one system call. An outlet borrows: what it points to stays in place until
 * it is empty.
 */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

#include "diplex/base/slab.h"
#include "diplex/http1.h"
#include "diplex/net.h"

#define BLOCK_BYTES (16u * 1024) /* heads and small bodies */
#define BULK_BYTES                                                                                          \
    (80u * 1024) /* what servers say: a head and a page of 64 KiB in one piece; larger bodies; heads beyond \
                    a block */

struct inlet { /* each idle client has one, so it is small */
    char *p;   /* NULL: holds no block */
    uint32_t begin, end;
    uint32_t seen; /* bytes of an unfinished head that were looked at: the reader's own note */
    bool bulk;     /* the block is one of BULK_BYTES */
};

struct blocks {
    struct dx_slab *small, *bulk;
};

static inline struct dx_slice inlet_bytes(const struct inlet *in)
{
    return dx_slice_of(in->p ? in->p + in->begin : NULL, in->end - in->begin);
}
static inline bool inlet_empty(const struct inlet *in) { return in->begin == in->end; }
/* The first n bytes are used. */
static inline void inlet_use(struct inlet *in, size_t n) { in->begin += (uint32_t)n; }

/* Receives once behind what is there, getting a block, moving what is there to its front, or moving to a bulk
 * block where room is needed; so slices into it are dead afterwards. `bulk`: much is expected. errno ENOMEM
 * with DX_IO_ERROR when no block is to be had. */
enum dx_io inlet_fill(struct inlet *in, struct dx_transport *t, const struct blocks *b, bool bulk);
void inlet_release(struct inlet *in, const struct blocks *b); /* gives the block back, bytes and all */
void inlet_put_block(char *p, bool bulk, const struct blocks *b);
/* The block is given away (the caller puts it back); what is unused moves to a new one. False: out of memory.
 */
bool inlet_detach(struct inlet *in, const struct blocks *b, bool bulk, char **block,
                  bool *block_bulk) DX_CHECKED;

#define OUTLET_SLICES 8
struct outlet {
    struct iovec iov[OUTLET_SLICES];
    uint8_t n, at;
    char frame[DX_HTTP1_CHUNK_HEAD]; /* of the one chunk that may wait in it */
    uint64_t sent;                   /* bytes that left through it in all */
};

static inline bool outlet_empty(const struct outlet *o) { return o->at == o->n; }
static inline void outlet_clear(struct outlet *o) { o->n = o->at = 0; }
void outlet_add(struct outlet *o, struct dx_slice s);
/* Body bytes in the framing of the message: a chunk, or as they are. */
void outlet_add_body(struct outlet *o, enum dx_framing f, struct dx_slice data);
/* DX_IO_OK: empty now. DX_IO_AGAIN: not all could be sent. */
enum dx_io outlet_flush(struct outlet *o, struct dx_transport *t);

#endif
