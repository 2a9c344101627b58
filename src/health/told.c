/* SPDX-License-Identifier: MIT */
/* The log lines about servers and pools, once per change and with the reason; and the hints of what Django's
 * own rules make of probes. */
#include "health/watched.h"

#include <stdio.h>

#define REASON_BYTES 160

static void reason_of(const struct watched *w, char *buf, size_t n)
{
    const struct dx_pool_config *pool = w->pool->config;
    if (w->verdict.why == DX_WHY_PASSIVE)
        (void)snprintf(buf, n, "passive: %u connections failed within %llu ms", pool->eject.failures,
                       (unsigned long long)pool->eject.within);
    else
        (void)snprintf(buf, n, "%s: %s", dx_down_reason_word(w->verdict.why), w->last_error);
}

static void tell_down(const struct watched *w, const char *address)
{
    char reason[REASON_BYTES];
    reason_of(w, reason, sizeof reason);
    dx_log(DX_LOG_WARN, "server_down", DX_KS("pool", w->pool->config->name), DX_KS("server", w->server.name),
           DX_KS("address", address), DX_KS("reason", reason), DX_KI("failures", w->verdict.failures_in_row));
}

void health_tell_server(const struct watched *w)
{
    char address[DX_ADDRESS_TEXT];
    (void)dx_address_text(&w->server.address, address, sizeof address);
    if (w->shown_state == DX_SERVER_DOWN)
        tell_down(w, address);
    else if (w->shown_state == DX_SERVER_UP)
        dx_log(DX_LOG_INFO, "server_up", DX_KS("pool", w->pool->config->name),
               DX_KS("server", w->server.name), DX_KS("address", address),
               DX_KS("reason", w->pool->config->health.enabled ? "probe" : "ejection over"));
}

void health_tell_drained(const struct watched *w)
{
    char address[DX_ADDRESS_TEXT];
    (void)dx_address_text(&w->server.address, address, sizeof address);
    dx_log(DX_LOG_INFO, w->drained ? "server_drained" : "server_undrained",
           DX_KS("pool", w->pool->config->name), DX_KS("server", w->server.name), DX_KS("address", address));
}

void health_tell_pool(struct watched_pool *pool)
{
    size_t usable = 0;
    for (size_t i = 0; i < pool->n; i++)
        usable += pool->servers[i]->shown_state != DX_SERVER_DOWN;
    bool down = usable == 0 &&
                pool->ever_usable; /* a pool that waits for its first address is the resolver's to tell */
    pool->ever_usable |= usable > 0;
    if (down == pool->told_down)
        return;
    pool->told_down = down;
    if (down)
        dx_log(DX_LOG_ERROR, "pool_down", DX_KS("pool", pool->config->name), DX_KI("servers", pool->n));
    else
        dx_log(DX_LOG_INFO, "pool_up", DX_KS("pool", pool->config->name), DX_KI("usable", usable));
}

void health_tell_hint(struct watched *w)
{
    const struct dx_pool_config *pool = w->pool->config;
    const struct dx_hint_row *row = dx_hint_row(w->hint);
    struct dx_health *h = w->health;
    uint64_t times;

    if (!dx_hint_due(&w->pool->gates[w->hint], dx_loop_now_ms(h->loop), h->hint_every_ms, &times))
        return;
    dx_log(row->level, "hint", DX_KS("what", row->word), DX_KS("pool", pool->name),
           DX_KS("host", health_host(pool)), DX_KS("path", pool->health.path),
           DX_KI("status", w->last_status), DX_KS("server", w->server.name), DX_KI("times", times),
           DX_KS("seen", row->seen), DX_KS("change", row->change));
}
