/* SPDX-License-Identifier: MIT */
/* A fast 64-bit hash that can be fed byte by byte, for tables whose keys are our own configuration, and a
 * small PRNG. */
#ifndef DIPLEX_BASE_HASH_H
#define DIPLEX_BASE_HASH_H

#include "diplex/base/slice.h"

#define DX_HASH_START 0xcbf29ce484222325ull
static inline uint64_t dx_hash_byte(uint64_t h, unsigned char c) { return (h ^ c) * 0x100000001b3ull; }
static inline uint64_t dx_hash_more(uint64_t h, struct dx_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        h = dx_hash_byte(h, (unsigned char)s.p[i]);
    return h;
}
/* Spreads the bits; call once before taking the low bits as an index. */
static inline uint64_t dx_hash_finish(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdull;
    return h ^ (h >> 29);
}

/* SipHash-2-4: without the key nobody can tell what was hashed, nor find two texts with the same value. */
uint64_t dx_siphash(const uint64_t key[2], struct dx_slice s);

/* splitmix64: for load balancing and request identifiers, never for secrets. */
struct dx_random {
    uint64_t state;
};
static inline uint64_t dx_random_next(struct dx_random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

#endif
