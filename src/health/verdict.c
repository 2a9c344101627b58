/* SPDX-License-Identifier: MIT */
/* The rules drawn in verdict.h. Pure: every fact is brought by the caller, time included. */
#include "health/verdict.h"

#define FAST_MS 1000u /* between probes of a server that is not UP */
#define SPREAD_PARTS                                                                                       \
    10u                  /* a delay varies by a tenth, so that probes of many servers do not march in step \
                          */
#define LONGER_MOST 10u  /* times `lasts` that a server is left out when it fails again and again */
#define EXPECT_FROM 200u /* what is healthy when nothing is said */
#define EXPECT_TO   399u

static void set_state(struct dx_verdict *v, enum dx_server_state state, enum dx_down_reason why)
{
    DX_ASSERT((state == DX_SERVER_DOWN) == (why != DX_WHY_NONE));
    v->state = state;
    v->why = why;
}

void verdict_init(struct dx_verdict *v, const struct dx_pool_config *pool, const struct verdict_cells *cells,
                  uint64_t now_ms)
{
    *v = (struct dx_verdict){.began_ms = now_ms, .seen = *cells};
    set_state(v, pool->health.enabled ? DX_SERVER_STARTING : DX_SERVER_UP, DX_WHY_NONE);
}

void verdict_believe(struct dx_verdict *v, enum dx_server_state state, enum dx_down_reason why,
                     uint64_t now_ms)
{
    bool down = state == DX_SERVER_DOWN;
    if (down && why != DX_WHY_PROBE && why != DX_WHY_PASSIVE)
        return;
    set_state(v, state, down ? why : DX_WHY_NONE);
    v->ever_succeeded = true;
    v->ejected_ms = why == DX_WHY_PASSIVE ? now_ms : 0;
    v->ejections = why == DX_WHY_PASSIVE;
}

void verdict_adapt(struct dx_verdict *v, const struct dx_pool_config *pool)
{
    bool by_probe_only = v->state == DX_SERVER_STARTING || v->why == DX_WHY_PROBE;
    if (pool->health.enabled)
        return;
    v->failures_in_row = v->successes_in_row = 0;
    if (by_probe_only)
        set_state(v, DX_SERVER_UP, DX_WHY_NONE);
}

/* --- coming back --- */

uint64_t verdict_away_ms(const struct dx_verdict *v, const struct dx_pool_config *pool)
{
    unsigned times = v->ejections < LONGER_MOST ? v->ejections : LONGER_MOST;
    return pool->eject.lasts * (pool->health.enabled && times ? times - 1 : times);
}

/* Ejected, and it is too early to try it again. With no other server up it is tried all the same. */
static bool is_held(const struct dx_verdict *v, const struct dx_pool_config *pool, uint64_t now_ms,
                    unsigned others_up)
{
    return v->why == DX_WHY_PASSIVE && others_up > 0 && now_ms - v->ejected_ms < verdict_away_ms(v, pool);
}

static void come_back(struct dx_verdict *v, uint64_t now_ms)
{
    v->samples_n = 0;
    v->returned_ms = now_ms;
    set_state(v, DX_SERVER_UP, DX_WHY_NONE);
}

/* --- probes --- */

/* Has the server answered a real request lately, this one and not one that had its place on the board before?
 */
static bool answers_are_fresh(const struct dx_verdict *v, const struct dx_health_config *h,
                              const struct verdict_cells *cells, uint64_t now_ms)
{
    uint64_t two_intervals = 2 * h->interval, one_and_timeout = h->interval + h->timeout;
    uint64_t window = two_intervals > one_and_timeout ? two_intervals : one_and_timeout;
    if (cells->last_answer_ms == 0 || cells->last_answer_ms < v->began_ms)
        return false;
    return now_ms < cells->last_answer_ms || now_ms - cells->last_answer_ms <= window;
}

bool verdict_skips_probe(struct dx_verdict *v, const struct dx_pool_config *pool,
                         const struct verdict_cells *cells, uint64_t now_ms)
{
    if (pool->kind != DX_KIND_WSGI || v->state != DX_SERVER_UP || cells->active == 0)
        return false;
    if (!answers_are_fresh(v, &pool->health, cells, now_ms))
        return false;
    v->failures_in_row = 0;
    return true;
}

/* A probe that got no answer in time while requests run: it waits behind them. All of a wsgi server's workers
 * may be held by long views, and that it says nothing then is what it was built for; an asgi server must show
 * that it still answers somebody. */
static bool is_merely_busy(const struct dx_verdict *v, const struct dx_pool_config *pool,
                           const struct verdict_cells *cells, uint64_t now_ms)
{
    if (cells->active == 0)
        return false;
    return pool->kind == DX_KIND_WSGI || answers_are_fresh(v, &pool->health, cells, now_ms);
}

static void probe_failed(struct dx_verdict *v, const struct dx_pool_config *pool, uint64_t now_ms)
{
    v->successes_in_row = 0;
    if (!v->ever_succeeded && now_ms - v->began_ms < pool->health.start_period)
        return;
    v->failures_in_row++;
    if (v->failures_in_row >= pool->health.retries)
        set_state(v, DX_SERVER_DOWN, DX_WHY_PROBE);
}

void verdict_probed(struct dx_verdict *v, const struct dx_pool_config *pool,
                    const struct verdict_cells *cells, uint64_t now_ms, struct verdict_probe probe,
                    unsigned others_up)
{
    if (!probe.ok) {
        if (!probe.timed_out || !is_merely_busy(v, pool, cells, now_ms))
            probe_failed(v, pool, now_ms);
        return;
    }
    v->failures_in_row = 0;
    v->successes_in_row++;
    v->ever_succeeded = true;
    if (v->state == DX_SERVER_UP || is_held(v, pool, now_ms, others_up))
        return;
    come_back(v, now_ms);
}

uint64_t verdict_probe_delay_ms(const struct dx_verdict *v, const struct dx_pool_config *pool,
                                uint64_t random)
{
    uint64_t delay = pool->health.interval;
    if (v->state != DX_SERVER_UP && delay > FAST_MS)
        delay = FAST_MS;
    uint64_t spread = delay / SPREAD_PARTS;
    return spread ? delay - spread / 2 + random % spread : delay;
}

bool verdict_expects(const struct dx_health_config *health, unsigned status)
{
    for (unsigned i = 0; i < health->expect_n; i++) {
        if (status >= health->expect[i].from && status <= health->expect[i].to)
            return true;
    }
    return health->expect_n == 0 && status >= EXPECT_FROM && status <= EXPECT_TO;
}

/* --- passive signs --- */

static void samples_forget(struct dx_verdict *v, uint64_t before_ms)
{
    unsigned old = 0;
    while (old < v->samples_n && v->samples[old].at_ms < before_ms)
        old++;
    v->samples_n -= old;
    for (unsigned i = 0; i < v->samples_n; i++)
        v->samples[i] = v->samples[i + old];
}

/* When there is no room, the youngest sample takes it in: it is forgotten a little early, which errs on the
 * server's side. */
static void samples_add(struct dx_verdict *v, uint64_t now_ms, uint64_t trouble)
{
    if (v->samples_n == VERDICT_SAMPLES) {
        v->samples[VERDICT_SAMPLES - 1].trouble += trouble;
        return;
    }
    v->samples[v->samples_n].at_ms = now_ms;
    v->samples[v->samples_n].trouble = trouble;
    v->samples_n++;
}

/* Notes how much trouble is new since the last look. After an answer we start again; of what happened between
 * two looks with an answer among it, only the newest failure is known to have come later. */
static void trouble_note(struct dx_verdict *v, const struct verdict_cells *cells, uint64_t now_ms)
{
    uint64_t grown = cells->trouble > v->seen.trouble ? cells->trouble - v->seen.trouble : 0;
    if (cells->responses != v->seen.responses) {
        v->samples_n = 0;
        grown = grown && cells->last_failure_ms > cells->last_answer_ms ? 1 : 0;
    }
    v->seen = *cells;
    if (grown)
        samples_add(v, now_ms, grown);
}

static uint64_t trouble_within(struct dx_verdict *v, uint64_t now_ms, uint64_t within)
{
    uint64_t sum = 0;
    samples_forget(v, now_ms > within ? now_ms - within : 0);
    for (unsigned i = 0; i < v->samples_n; i++)
        sum += v->samples[i].trouble;
    return sum;
}

/* One server may always go, unless it is the last. */
static bool may_eject(const struct dx_pool_config *pool, struct verdict_pool around)
{
    uint64_t most = (uint64_t)around.servers * pool->eject.max / 100;
    return around.others_up > 0 && (around.ejected == 0 || around.ejected < most);
}

/* A server that has stayed since its return for as long as it had been away starts again with the shortest
 * time. */
static void eject(struct dx_verdict *v, const struct dx_pool_config *pool, uint64_t now_ms)
{
    uint64_t away = v->ejections ? pool->eject.lasts * v->ejections : 0;
    bool again = v->ejections && now_ms - v->returned_ms < away;
    if (!again)
        v->ejections = 1;
    else if (v->ejections < LONGER_MOST)
        v->ejections++;
    v->ejected_ms = now_ms;
    v->samples_n = 0;
    set_state(v, DX_SERVER_DOWN, DX_WHY_PASSIVE);
}

void verdict_look(struct dx_verdict *v, const struct dx_pool_config *pool, const struct verdict_cells *cells,
                  uint64_t now_ms, struct verdict_pool around)
{
    trouble_note(v, cells, now_ms);
    if (v->why == DX_WHY_PASSIVE && !pool->health.enabled && !is_held(v, pool, now_ms, around.others_up)) {
        come_back(v, now_ms);
        return;
    }
    if (pool->eject.failures == 0 || v->state != DX_SERVER_UP || !may_eject(pool, around))
        return;
    if (trouble_within(v, now_ms, pool->eject.within) >= pool->eject.failures)
        eject(v, pool, now_ms);
}
