/* SPDX-License-Identifier: MIT */
/*
 * What must be true of a conversation when it is over: what each client heard is a stream of whole answers in
 * the order of its requests, each the one that a server gave to that very request, or diplex's own; whatever
 * is cut is seen to be cut; and the log says the same as the wire.
 */
#ifndef TESTS_FUZZ_EXCHANGE_VERDICT_H
#define TESTS_FUZZ_EXCHANGE_VERDICT_H

#include "exchange/peers.h"

#define DRAINED_MOST (64 * 1024u)

struct heard {
    struct message m;
    unsigned status;
    bool whole, bounded; /* bounded: its framing says where it ends */
    size_t body_n;
};

static inline unsigned status_of(const struct message *m)
{
    struct dx_slice l = m->first;
    uint64_t status = 0;
    DX_ASSERT(l.n >= 13 && dx_slice_starts(l, DX_SLICE("HTTP/1.1 ")) && l.p[12] == ' ');
    DX_ASSERT(dx_slice_to_u64(dx_slice_of(l.p + 9, 3), &status) && status >= 100);
    return (unsigned)status;
}

/* The body's bytes into `body` as long as the framing goes; returns how many bytes of the stream that were.
 */
static inline size_t hear_body(struct heard *h, const char *p, size_t n, bool none, struct dx_text *body)
{
    struct chunks c = {0};
    struct dx_slice data;
    size_t at = 0, used;

    dx_text_reset(body);
    h->bounded = true;
    if (none || h->status == 204 || h->status == 304) {
        h->whole = true;
        return 0;
    }
    if (!h->m.chunked) {
        size_t most = h->m.length < n ? (size_t)h->m.length : n;
        dx_text_add(body, dx_slice_of(p, most));
        h->whole = h->m.length == most;
        h->bounded = h->m.length != NO_LENGTH;
        return most;
    }
    while (read_chunk(&c, p + at, n - at, &used, &data)) {
        dx_text_add(body, data);
        at += used;
    }
    h->whole = c.in == CHUNK_DONE;
    return h->whole ? at : n;
}

static inline void check_answer(const struct heard *h, int ask, const struct dx_text *body)
{
    const struct answer *a = &answers[h->m.tag];
    const struct conn_peer *s = &conns[a->conn];

    DX_ASSERT((unsigned long)h->m.tag < answers_n && a->ask == ask && a->status == h->status);
    DX_ASSERT(body->n <= a->body_n);
    for (size_t i = 0; i < body->n; i++)
        DX_ASSERT(body->p[i] == answer_byte((int)h->m.tag, i));
    DX_ASSERT(s->sent > a->begin || body->n == 0);
    if (!h->whole || h->status == 101 || body->n == 0)
        return;
    if (a->by_close)
        DX_ASSERT(s->said_all && body->n == s->sent - a->begin);
    else
        DX_ASSERT(a->sealed && s->sent >= a->end && body->n == a->body_n);
}

/* What came behind the head of a switch is what the server said there, and the other way round. */
static inline void check_tunnel(const struct client_peer *c, size_t at, const struct answer *a)
{
    const struct conn_peer *s = &conns[a->conn];
    size_t down = c->got.n - at, up = s->in.n - s->at, from = asks[a->ask].end;

    DX_ASSERT(down <= s->sent - a->end && (down == 0 || memcmp(c->got.p + at, s->out.p + a->end, down) == 0));
    DX_ASSERT(up <= c->sent - from && (up == 0 || memcmp(s->in.p + s->at, c->out.p + from, up) == 0));
}

static inline bool is_own(const struct logged *l) { return outcome_row(l->outcome)->status != 0; }

static inline bool was_cut(const struct logged *l)
{
    return l->outcome == OUTCOME_ANSWER_CUT || l->outcome == OUTCOME_ANSWER_TIMEOUT;
}

/* The answer to the client's request number i, which begins at `at`. Returns where it ends. */
static inline size_t check_one(const struct client_peer *c, unsigned i, size_t at, struct heard *h)
{
    static struct dx_text body;
    DX_ASSERT(i < c->logs_n);
    const struct logged *l = &c->logs[i];
    int ask = i < c->asks_n ? c->asks[i] : NOBODY;

    DX_ASSERT(h->status == l->status);
    /* A request that could not be read may have been a HEAD, but nobody may rely on it. */
    bool unread = l->outcome == OUTCOME_BAD_REQUEST || l->outcome == OUTCOME_HEADER_TIMEOUT;
    DX_ASSERT(unread || ask == NOBODY || (asks[ask].head == l->head && asks[ask].old == l->old));
    bool none = h->status == 101 || (l->head && !(unread && c->got.n > at));
    at += hear_body(h, c->got.p + at, c->got.n - at, none, &body);
    if (h->m.own) {
        DX_ASSERT(is_own(l) || l->outcome == OUTCOME_CLIENT_SLOW || l->outcome == OUTCOME_CUT_OFF ||
                  l->outcome == OUTCOME_CLIENT_LEFT || (ask != NOBODY && asks[ask].wild) || ask == NOBODY);
        DX_ASSERT(c->left || !is_own(l) || h->whole);
        return at;
    }
    DX_ASSERT(!is_own(l) || (h->status == 101 && l->outcome == OUTCOME_NO_MEMORY));
    DX_ASSERT(!(h->bounded && h->whole && was_cut(l)) || l->head);
    DX_ASSERT(c->left || l->outcome != OUTCOME_OK || h->whole || !h->bounded);
    if (ask != NOBODY ? asks[ask].wild : stray)
        return at;
    DX_ASSERT(h->m.tag >= 0 && (unsigned long)h->m.tag < answers_n);
    check_answer(h, ask, &body);
    if (l->outcome == OUTCOME_OK && !c->left && !l->head && h->status != 101 && !answers[h->m.tag].by_close)
        DX_ASSERT(body.n == answers[h->m.tag].body_n && answers[h->m.tag].sealed);
    return at;
}

/* Every request that was sent whole got an answer, unless the connection had come to its end before. */
static inline void check_all_answered(const struct client_peer *c, unsigned heard, const struct heard *last)
{
    unsigned whole = 0;
    bool silent = c->logs_n > heard; /* the last one ended without a word */

    DX_ASSERT(c->logs_n <= heard + 1);
    if (silent) {
        const struct logged *l = &c->logs[c->logs_n - 1];
        DX_ASSERT(l->outcome != OUTCOME_OK && (!is_own(l) || l->outcome == OUTCOME_NO_MEMORY));
    }
    for (unsigned i = 0; i < c->asks_n; i++)
        whole += asks[c->asks[i]].end <= c->sent;
    bool ends = heard > 0 && (last->m.close || !last->whole || !last->bounded || last->status == 101);
    /* An answer that came early leaves so much of its request unread that the connection is given up. */
    ends |= heard > 0 && heard <= c->asks_n && asks[c->asks[heard - 1]].body_n > DRAINED_MOST;
    /* Without memory for a request its connection is closed before it is one; so is one that makes room. */
    bool none = (failing_has_failed() || world.limited) && c->logs_n == heard;
    DX_ASSERT(silent || ends || none || c->half || c->wild || heard >= whole);
}

static inline void check_client(const struct client_peer *c)
{
    struct heard h = {.whole = true, .bounded = true}, next;
    unsigned heard = 0;
    size_t at = 0;

    while (at < c->got.n && read_message(c->got.p + at, c->got.n - at, &next.m)) {
        DX_ASSERT(h.whole && h.bounded && !(heard > 0 && h.m.close)); /* nothing comes after an end */
        next.status = status_of(&next.m);
        at += next.m.head_n;
        if (next.status < 200 && next.status != 101) {
            DX_ASSERT(next.m.length == NO_LENGTH && !next.m.chunked);
            continue;
        }
        h = next;
        at = check_one(c, heard, at, &h);
        int ask = heard < c->asks_n ? c->asks[heard] : NOBODY;
        heard++;
        if (h.status != 101)
            continue;
        if (ask != NOBODY && !asks[ask].wild)
            check_tunnel(c, at, &answers[h.m.tag]);
        at = c->got.n;
        break;
    }
    DX_ASSERT(at == c->got.n || memmem(c->got.p + at, c->got.n - at, "\r\n\r\n", 4) == NULL);
    DX_ASSERT(heard <= c->logs_n);
    if (!c->left && c->front != NULL)
        check_all_answered(c, heard, &h);
}

#endif
