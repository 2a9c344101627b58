/* SPDX-License-Identifier: MIT */
/* SipHash-2-4, from its description (Aumasson and Bernstein, 2012): four words of state, two rounds for each
 * word of the text, four at the end. Not for the hot path. */
#include "diplex/base/hash.h"

struct state {
    uint64_t v[4];
};

static uint64_t left(uint64_t x, unsigned by) { return x << by | x >> (64 - by); }

static void rounds(struct state *s, unsigned n)
{
    uint64_t *v = s->v;
    while (n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = left(v[1], 13) ^ v[0];
        v[3] = left(v[3], 16) ^ v[2];
        v[0] = left(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = left(v[1], 17) ^ v[2];
        v[3] = left(v[3], 21) ^ v[0];
        v[2] = left(v[2], 32);
    }
}

static void take(struct state *s, uint64_t word)
{
    s->v[3] ^= word;
    rounds(s, 2);
    s->v[0] ^= word;
}

/* Up to eight bytes, the first one lowest. */
static uint64_t word_at(struct dx_slice s, size_t at)
{
    uint64_t word = 0;
    for (size_t i = at; i < s.n && i < at + 8; i++)
        word |= (uint64_t)(unsigned char)s.p[i] << 8 * (i - at);
    return word;
}

uint64_t dx_siphash(const uint64_t key[2], struct dx_slice s)
{
    struct state state = {{key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
                           key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull}};
    size_t whole = s.n - s.n % 8;

    for (size_t i = 0; i < whole; i += 8)
        take(&state, word_at(s, i));
    take(&state, (uint64_t)s.n << 56 | word_at(s, whole));
    state.v[2] ^= 0xff;
    rounds(&state, 4);
    return state.v[0] ^ state.v[1] ^ state.v[2] ^ state.v[3];
}
