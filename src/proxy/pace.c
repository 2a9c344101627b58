/* SPDX-License-Identifier: MIT */
/*
 * A client that sends or takes a byte now and then is never silent, and holds what it holds for ever. So
 * while it is waited for, its time is reckoned: it begins with the whole time-out (timeouts.body,
 * timeouts.send), waiting takes of it, and each byte gives some back, by limits.min_rate; never more than the
 * whole. Who has none left at a piece, or when the deadline comes, has been slower than that rate over that
 * time.
 *
 * Looked at where a deadline is set anew (run.c), so it costs no timer of its own, and nothing where no
 * client is waited for.
 */
#include "proxy/internal.h"

struct measure {
    int of;
    uint64_t rate, window_ms, bytes;
};

static struct measure measure(const struct exchange *x)
{
    const struct dx_config *c = view_config(x->view);

    switch ((unsigned)x->state) {
    case STATE_READ_BODY:
    case STATE_SEND:
    case STATE_AWAIT_HEAD:
        return (struct measure){PACE_BODY, c->limits.body_rate, c->timeouts.body, x->body_in};
    case STATE_RELAY:
    case STATE_DELIVER:
        return (struct measure){PACE_SEND, c->limits.send_rate, c->timeouts.send,
                                x->down.sent > x->armed_pending ? x->down.sent - x->armed_pending : 0};
    default:
        return (struct measure){.of = PACE_NONE};
    }
}

/* A client that was told to wait for "continue" waits for the server. */
static bool is_waited_for(const struct exchange *x, const struct measure *m)
{
    return x->blocked == BLOCKED_CLIENT && m->rate != 0 &&
           !(m->of == PACE_BODY && x->request.expect_continue);
}

/* In whole seconds first, so that no product overflows. */
static int64_t worth_us(uint64_t bytes, uint64_t rate)
{
    uint64_t seconds = bytes / rate;
    return seconds > 1000000 ? INT64_C(1000000000000)
                             : (int64_t)(seconds * 1000000 + bytes % rate * 1000000 / rate);
}

bool pace_reckon(struct exchange *x)
{
    struct pace *p = &x->pace;
    struct measure m = measure(x);
    uint64_t now = dx_loop_now_us(x->proxy->loop);

    if (m.of == PACE_NONE || m.rate == 0) {
        p->since_us = 0;
        return true;
    }
    int64_t whole = (int64_t)m.window_ms * 1000;
    if ((int)p->of != m.of)
        *p = (struct pace){.of = (unsigned)m.of, .seen = m.bytes, .credit_us = whole};
    if (p->since_us != 0)
        p->credit_us -= (int64_t)(now - p->since_us);
    if (m.bytes > p->seen) { /* fewer: the kernel holds what it had been given before */
        p->credit_us += worth_us(m.bytes - p->seen, m.rate);
        p->seen = m.bytes;
    }
    if (p->credit_us > whole)
        p->credit_us = whole;
    p->since_us = is_waited_for(x, &m) ? now : 0;
    return p->since_us == 0 || p->credit_us > 0;
}

const char *pace_reason(const struct exchange *x)
{
    return x->pace.of == PACE_BODY ? "slower than limits.min_rate.body" : "slower than limits.min_rate.send";
}
