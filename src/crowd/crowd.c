/* SPDX-License-Identifier: MIT */
/*
 * The table is an array of words, each a client's mark (the upper bits of its hash) and its count; zero is
 * free. A client's words are looked for in a few cache lines that its hash names, and nowhere else.
 *
 *     | mark 48 bits | count 16 bits |  x 8 = one line; LINES_SEEN lines from the first on
 *
 * Two threads that bring the same new client at the same moment may give it two words. Its count is the sum
 * of all, whoever leaves takes from any, and an empty word is free again, so that heals by itself.
 */
#include "diplex/crowd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "diplex/base/hash.h"

#define CROWD_MAGIC 0x43524f57u
#define COUNT_BITS  16
#define COUNT_MASK  ((UINT64_C(1) << COUNT_BITS) - 1)
#define LINE_WORDS  8u
#define LINES_SEEN  4u
#define WORDS_LEAST 1024u
#define WORDS_MOST  (1u << 22) /* 32 MB, of which only what is used is ever touched */

struct dx_crowd {
    uint32_t magic;
    uint64_t key[2];
    size_t lines; /* a power of two */
    _Atomic uint64_t *words;
};

struct dx_crowd *dx_crowd_new(unsigned clients)
{
    struct dx_crowd *c = calloc(1, sizeof(*c));
    size_t words = WORDS_LEAST;

    if (c == NULL)
        return NULL;
    DX_MAGIC_SET(c, CROWD_MAGIC);
    while (words < WORDS_MOST && words / 2 < clients)
        words *= 2;
    c->lines = words / LINE_WORDS;
    c->words = calloc(words, sizeof(*c->words));
    ssize_t n;
    do
        n = getrandom(c->key, sizeof(c->key), 0);
    while (n < 0 && errno == EINTR);
    if (c->words == NULL || n != (ssize_t)sizeof(c->key))
        dx_crowd_free(&c);
    return c;
}

void dx_crowd_free(struct dx_crowd **cp)
{
    struct dx_crowd *c = *cp;
    if (c == NULL)
        return;
    *cp = NULL;
    DX_MAGIC_OK(c, CROWD_MAGIC);
    free(c->words);
    DX_MAGIC_CLEAR(c);
    free(c);
}

struct place {
    uint64_t mark; /* never zero */
    size_t line;
};

static bool place_of(const struct dx_crowd *c, const struct dx_address *a, struct place *out)
{
    unsigned char ip[16];

    DX_MAGIC_OK(c, CROWD_MAGIC);
    unsigned n = dx_address_ip(a, ip);
    if (n == 0)
        return false;
    uint64_t h = dx_siphash(c->key, dx_slice_of((const char *)ip, n == sizeof(ip) ? n / 2 : n));
    out->line = (size_t)h & (c->lines - 1);
    out->mark = h & ~COUNT_MASK;
    if (out->mark == 0)
        out->mark = COUNT_MASK + 1;
    return true;
}

static _Atomic uint64_t *word_at(struct dx_crowd *c, const struct place *p, unsigned i)
{
    size_t line = (p->line + i / LINE_WORDS) & (c->lines - 1);
    return &c->words[line * LINE_WORDS + i % LINE_WORDS];
}

static unsigned sum(struct dx_crowd *c, const struct place *p)
{
    unsigned all = 0;
    for (unsigned i = 0; i < LINES_SEEN * LINE_WORDS; i++) {
        uint64_t word = atomic_load_explicit(word_at(c, p, i), memory_order_relaxed);
        if ((word & ~COUNT_MASK) == p->mark)
            all += (unsigned)(word & COUNT_MASK);
    }
    return all;
}

/* One more in this word, if it is the client's and has room, or is free and may be taken. Two threads that
 * come at the same moment meet in the same word, so the bound holds for both. */
static bool add_to(_Atomic uint64_t *at, uint64_t mark, unsigned most, bool take)
{
    uint64_t word = atomic_load_explicit(at, memory_order_relaxed);
    for (;;) {
        bool own = (word & ~COUNT_MASK) == mark && (word & COUNT_MASK) < most;
        if (!own && !(take && word == 0))
            return false;
        if (atomic_compare_exchange_weak_explicit(at, &word, own ? word + 1 : (mark | 1),
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    }
}

static bool remove_from(_Atomic uint64_t *at, uint64_t mark)
{
    uint64_t word = atomic_load_explicit(at, memory_order_relaxed);
    while ((word & ~COUNT_MASK) == mark)
        if (atomic_compare_exchange_weak_explicit(at, &word, (word & COUNT_MASK) == 1 ? 0 : word - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

enum dx_crowd_answer dx_crowd_enter(struct dx_crowd *c, const struct dx_address *a, unsigned most)
{
    struct place p;

    if (!place_of(c, a, &p))
        return DX_CROWD_FREE;
    if (most > DX_CROWD_MOST)
        most = DX_CROWD_MOST;
    for (unsigned take = 0; take <= 1; take++) {
        if (sum(c, &p) >= most)
            return DX_CROWD_OVER;
        for (unsigned i = 0; i < LINES_SEEN * LINE_WORDS; i++)
            if (add_to(word_at(c, &p, i), p.mark, most, take == 1))
                return DX_CROWD_IN;
    }
    return DX_CROWD_FREE;
}

void dx_crowd_leave(struct dx_crowd *c, const struct dx_address *a)
{
    struct place p;
    bool known = place_of(c, a, &p), found = false;

    for (unsigned i = 0; known && !found && i < LINES_SEEN * LINE_WORDS; i++)
        found = remove_from(word_at(c, &p, i), p.mark);
    DX_ASSERT(found); /* or it had not entered */
}

unsigned dx_crowd_of(struct dx_crowd *c, const struct dx_address *a)
{
    struct place p;
    return place_of(c, a, &p) ? sum(c, &p) : 0;
}
