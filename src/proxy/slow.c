/* SPDX-License-Identifier: MIT */
/*
 * Requests that took longer than `log.slow`: an event when they have ended, with where the time went, and one
 * before that when they go on for ten times as long. What counts is how long diplex and the server took until
 * the answer began: not how long the client took to send its request or to take the answer, nor how long a
 * stream lasts. A worker tells of so many in a second, because when a server is slow all requests are.
 */
#include "proxy/steps.h"

#define HANGS_AFTER   10u /* times `log.slow` */
#define TOLD_A_SECOND 10u
#define PATH_TOLD     256u
#define WORD_TOLD     128u

static uint64_t waited_us(const struct exchange *x)
{
    if (x->queued_us == 0)
        return 0;
    return (x->first_byte_us != 0 ? x->first_byte_us : dx_loop_now_us(x->proxy->loop)) - x->queued_us;
}

bool slow_is(const struct exchange *x)
{
    uint64_t limit_ms = view_config(x->view)->log.slow;
    return limit_ms != 0 && waited_us(x) >= limit_ms * 1000;
}

static int64_t ms(uint64_t from, uint64_t to)
{
    return from == 0 || to < from ? 0 : (int64_t)((to - from) / 1000);
}

static struct dx_slice cut(struct dx_slice s, size_t most)
{
    return dx_slice_of(s.p, s.n < most ? s.n : most);
}

/* True: it is told. Else it is counted. */
static bool may_tell(struct dx_proxy *p)
{
    uint64_t now_s = dx_loop_now_us(p->loop) / 1000000;

    if (p->slow.second != now_s) {
        p->slow.second = now_s;
        p->slow.told = 0;
    }
    if (p->slow.told++ < TOLD_A_SECOND)
        return true;
    p->slow.untold++;
    return false;
}

/* Never the query: it may hold what is nobody's business. */
static void tell(const struct exchange *x, const char *event, struct dx_kv how)
{
    struct dx_proxy *p = x->proxy;
    uint64_t now = dx_loop_now_us(p->loop), picked = x->picked_us != 0 ? x->picked_us : now;
    uint64_t answered = x->first_byte_us != 0 ? x->first_byte_us : now;
    struct dx_slice trace = trace_id(x);
    struct dx_kv kv[] = {DX_KL("id", cut(x->request_id, WORD_TOLD)),
                         DX_KL("method", cut(x->request.method, WORD_TOLD)),
                         DX_KL("host", cut(x->request.host, WORD_TOLD)),
                         DX_KL("path", cut(x->request.path, PATH_TOLD)),
                         DX_KS("route", x->route ? x->route->path : "-"),
                         DX_KS("pool", x->pool ? x->pool->name : "-"),
                         DX_KS("server", x->server[0] ? x->server : "-"),
                         how,
                         DX_KI("status", x->status),
                         DX_KI("read_ms", ms(x->start_us, x->queued_us)),
                         DX_KI("queue_ms", ms(x->queued_us, picked)),
                         DX_KI("connect_ms", ms(x->picked_us, x->connected_us)),
                         DX_KI("first_byte_ms", ms(x->connected_us, answered)),
                         DX_KI("total_ms", ms(x->start_us, now)),
                         DX_KI("untold", p->slow.untold),
                         trace.n ? DX_KL("trace_id", trace) : DX_LOG_END,
                         DX_LOG_END};
    dx_log_write(DX_LOG_WARN, event, kv);
    p->slow.untold = 0;
}

static void on_hang(struct dx_deadline *d)
{
    struct exchange *x = DX_CONTAINER(d, struct exchange, hang);
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    if (x->first_byte_us == 0 && !x->tunnel && may_tell(x->proxy))
        tell(x, "request_hangs", DX_KS("state", exchange_state_name(x)));
}

void slow_begin(struct exchange *x)
{
    x->hang.on_due = on_hang;
    dx_deadline_set(x->proxy->loop, &x->hang, view_config(x->view)->log.slow * HANGS_AFTER);
}

void slow_end(struct exchange *x)
{
    dx_deadline_clear(&x->hang);
    if (!x->tunnel && slow_is(x) && may_tell(x->proxy))
        tell(x, "slow_request", DX_KS("outcome", outcome_row(x->outcome)->word));
}
