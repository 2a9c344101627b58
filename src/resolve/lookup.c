/* SPDX-License-Identifier: MIT */
/*
 * A lookup asks two questions at a time, A and AAAA, for one name after the other of those the search domains
 * make. Answers may come from inside the asking, so all they do is to be noted; a task takes the next step.
 *
 *   hosts file -- knows it ----------------------------------------------------+
 *       |                                                                      v
 *       +--> ask A and AAAA --> both answered, or one found and the other late: found? --> tell
 *                 ^                                                            |
 *                 +------- the next name of the search list <------------------+ none left: tell
 *
 * A lookup that was told or cancelled stays until the channel has answered its last question.
 */
#include "resolve/lookup.h"

#include <stdlib.h>

#include "resolve/channel.h"

#define LOOKUPS_MAGIC 0x100c0001u
#define LATE_MS       1000u /* how long the addresses of one family wait for the other */
#define QUESTIONS     2u

struct lookups {
    uint32_t magic;
    struct dx_loop *loop;
    struct channel *channel;
    const char *hosts;
    struct dx_link running; /* struct lookup, those without owner too */
};

/* What one of the two questions has come to. */
struct asked {
    struct question question;
    struct lookup *lookup;
    bool pending, failed;
};

struct lookup {
    struct dx_link link;
    struct dx_task task;
    struct dx_timer late;
    struct lookups *lookups;
    char *host;
    uint16_t port;
    struct asked asked[QUESTIONS];
    unsigned candidate; /* which name of the search list is asked for */
    bool again;         /* from the beginning: resolv.conf has changed meanwhile */
    bool is_late;
    bool silence;           /* no name server answers */
    const char *failed_why; /* of any name so far: then nobody can say that there is no such name */
    const char *none_why;
    void (*on_done)(void *arg, const struct lookup_result *r); /* NULL: told or cancelled */
    void *arg;
    struct lookup_result result;
};

void lookup_result_add(struct lookup_result *r, const struct dx_address *a)
{
    for (size_t i = 0; i < r->n; i++) {
        if (dx_address_eq(&r->addresses[i], a))
            return;
    }
    r->cut |= r->n == LOOKUP_ADDRESSES;
    if (r->n < LOOKUP_ADDRESSES)
        r->addresses[r->n++] = *a;
}

static bool is_pending(const struct lookup *x) { return x->asked[0].pending || x->asked[1].pending; }

static void lookup_free(struct lookup *x)
{
    dx_task_cancel(&x->task);
    dx_timer_clear(&x->late);
    dx_list_remove(&x->link);
    free(x->host);
    free(x);
}

/* --- questions and answers --- */

static void note_none(struct lookup *x, enum answer how, struct asked *a, const char *why)
{
    switch (how) {
    case ANSWER_FOUND:
        break;
    case ANSWER_NO_NAME:
        if (!x->none_why)
            x->none_why = "no such name";
        break;
    case ANSWER_NO_ADDRESS:
        x->none_why = "no address behind the name";
        break;
    case ANSWER_SILENCE:
    case ANSWER_FAILED:
        x->silence |= how == ANSWER_SILENCE; /* nothing would be heard of another name either */
        a->failed = true;
        x->failed_why = why;
        break;
    case ANSWER_ASK_AGAIN:
        x->again = true;
        break;
    }
}

static void on_answer(struct question *q, enum answer how, const char *why,
                      const struct dx_address *addresses, size_t n)
{
    struct asked *a = DX_CONTAINER(q, struct asked, question);
    struct lookup *x = a->lookup;
    a->pending = false;
    if (!x->on_done) {
        if (!is_pending(x))
            lookup_free(x);
        return;
    }
    note_none(x, how, a, why);
    for (size_t i = 0; i < n; i++) {
        struct dx_address one = addresses[i];
        dx_address_set_port(&one, x->port);
        lookup_result_add(&x->result, &one);
    }
    dx_loop_again(x->lookups->loop, &x->task);
}

/* False: the search list has no further name. */
static bool ask(struct lookup *x)
{
    char name[CHANNEL_NAME];
    if (!channel_candidate(x->lookups->channel, x->host, x->candidate++, name))
        return false;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        x->asked[i].pending = true;
        x->asked[i].failed = false;
    }
    for (unsigned i = 0; i < QUESTIONS; i++)
        channel_ask(x->lookups->channel, name, &x->asked[i].question);
    return true;
}

static void begin(struct lookup *x)
{
    x->again = x->is_late = x->silence = false;
    dx_timer_clear(&x->late);
    x->candidate = 0;
    x->result.n = 0;
    x->result.cut = false;
    x->failed_why = x->none_why = NULL;
    if (!ask(x)) {
        x->none_why = "too long for a name";
        dx_loop_again(x->lookups->loop, &x->task);
    }
}

/* --- the result --- */

static void judge(struct lookup *x)
{
    struct lookup_result *r = &x->result;
    r->unknown4 = x->asked[0].pending || x->asked[0].failed;
    r->unknown6 = x->asked[1].pending || x->asked[1].failed;
    if (r->n > 0) {
        r->outcome = LOOKUP_FOUND;
        return;
    }
    r->outcome = x->failed_why ? LOOKUP_FAILED : LOOKUP_NO_SUCH_NAME;
    r->error = x->failed_why ? x->failed_why : x->none_why;
}

static void tell(struct lookup *x)
{
    void (*on_done)(void *, const struct lookup_result *) = x->on_done;
    judge(x);
    x->on_done = NULL;
    dx_timer_clear(&x->late);
    on_done(x->arg, &x->result);
    if (!is_pending(x))
        lookup_free(x);
}

static void step(struct dx_task *t)
{
    struct lookup *x = DX_CONTAINER(t, struct lookup, task);
    bool found = x->result.n > 0;
    if (is_pending(x) && !x->is_late) {
        if (found && !x->late.set)
            dx_timer_set(x->lookups->loop, &x->late, LATE_MS);
        return;
    }
    if (x->again)
        begin(x);
    else if (found || x->silence || !ask(x))
        tell(x);
}

static void on_late(struct dx_timer *t)
{
    struct lookup *x = DX_CONTAINER(t, struct lookup, late);
    x->is_late = true;
    dx_loop_again(x->lookups->loop, &x->task);
}

/* RFC 6761 6.3: localhost is this machine, whatever a name server or the lack of one says. */
static void take_loopback(struct lookup *x)
{
    struct dx_address a;
    bool ok = dx_address_from_ip(DX_SLICE("127.0.0.1"), x->port, &a);
    DX_ASSERT(ok);
    lookup_result_add(&x->result, &a);
}

/* --- the face --- */

static struct lookup *lookup_new(struct lookups *l, const char *host)
{
    struct lookup *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    dx_list_push_tail(&l->running, &x->link);
    x->lookups = l;
    x->task.run = step;
    x->late.on_due = on_late;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        x->asked[i].lookup = x;
        x->asked[i].question.family = i == 0 ? AF_INET : AF_INET6;
        x->asked[i].question.on_answer = on_answer;
    }
    x->host = dx_slice_dup(dx_slice_str(host));
    if (x->host)
        return x;
    lookup_free(x);
    return NULL;
}

void lookups_follow(struct lookups *l)
{
    DX_MAGIC_OK(l, LOOKUPS_MAGIC);
    channel_follow(l->channel);
}

struct lookup *lookup_start(struct lookups *l, const char *host, uint16_t port,
                            void (*on_done)(void *arg, const struct lookup_result *r), void *arg)
{
    DX_MAGIC_OK(l, LOOKUPS_MAGIC);
    struct lookup *x = lookup_new(l, host);
    if (!x)
        return NULL;
    x->port = port;
    x->on_done = on_done;
    x->arg = arg;
    hosts_find(l->hosts, host, port, &x->result);
    if (x->result.n == 0 && dx_slice_eq_nocase(dx_slice_str(host), DX_SLICE("localhost")))
        take_loopback(x);
    if (x->result.n > 0) {
        dx_loop_again(l->loop, &x->task);
        return x;
    }
    lookups_follow(l);
    begin(x);
    return x;
}

void lookup_cancel(struct lookup **xp)
{
    struct lookup *x = *xp;
    if (!x)
        return;
    *xp = NULL;
    x->on_done = NULL;
    dx_task_cancel(&x->task);
    dx_timer_clear(&x->late);
    if (!is_pending(x))
        lookup_free(x);
}

/* --- life --- */

struct lookups *lookups_new(struct dx_loop *loop, const struct lookup_sources *from)
{
    struct lookups *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    DX_MAGIC_SET(l, LOOKUPS_MAGIC);
    l->loop = loop;
    l->hosts = from->hosts;
    dx_list_init(&l->running);
    l->channel = channel_new(loop, from->resolv_conf, from->port);
    if (!l->channel)
        lookups_free(&l);
    return l;
}

void lookups_free(struct lookups **lp)
{
    struct lookups *l = *lp;
    if (!l)
        return;
    DX_MAGIC_OK(l, LOOKUPS_MAGIC);
    *lp = NULL;
    DX_LIST_FOR_SAFE (link, &l->running) {
        struct lookup *x = DX_CONTAINER(link, struct lookup, link);
        lookup_cancel(&x);
    }
    channel_free(&l->channel);
    DX_ASSERT(dx_list_empty(&l->running));
    DX_MAGIC_CLEAR(l);
    free(l);
}
