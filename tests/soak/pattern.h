/* SPDX-License-Identifier: MIT */
/*
 * The bytes that the fast half of the soak sends about: a stream of random words that anyone can make from
 * its seed, from any place on, so that each side knows every byte the other has to say; and the digest with
 * which an upload is answered (FNV-1a). All of it is for tests: nothing here keeps a secret.
 */
#ifndef SOAK_PATTERN_H
#define SOAK_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_START 0xcbf29ce484222325u

/* splitmix64: each place's word by itself. */
static inline uint64_t pattern_word(uint64_t seed, uint64_t place)
{
    uint64_t z = seed + (place + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void pattern_fill(unsigned char *out, uint64_t seed, uint64_t from, size_t n)
{
    uint64_t word = pattern_word(seed, from / 8);
    for (size_t i = 0; i < n; i++) {
        uint64_t at = from + i;
        if (at % 8 == 0)
            word = pattern_word(seed, at / 8);
        out[i] = (unsigned char)(word >> (8 * (at % 8)));
    }
}

static inline bool pattern_is(const unsigned char *bytes, uint64_t seed, uint64_t from, size_t n)
{
    uint64_t word = pattern_word(seed, from / 8);
    unsigned char wrong = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t at = from + i;
        if (at % 8 == 0)
            word = pattern_word(seed, at / 8);
        wrong |= (unsigned char)(bytes[i] ^ (unsigned char)(word >> (8 * (at % 8))));
    }
    return wrong == 0;
}

static inline uint64_t digest_more(uint64_t digest, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        digest = (digest ^ bytes[i]) * 0x100000001b3u;
    return digest;
}

#endif
