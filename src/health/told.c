/* SPDX-License-Identifier: MIT */
/* The log lines about servers and pools: once per change, with the reason, and with a hint where Django's own
 * rules are the likely cause. */
#include "health/watched.h"

#include <stdio.h>

#define REASON_BYTES 160
#define HINT_400     "Django answers 400 when health.host is not in ALLOWED_HOSTS"
#define HINT_30X                                                                                          \
    "Django redirects plain HTTP when SECURE_SSL_REDIRECT is on: see SECURE_REDIRECT_EXEMPT, or put 301 " \
    "into health.expect"

static void reason_of(const struct watched *w, char *buf, size_t n)
{
    const struct dx_pool_config *pool = w->pool->config;
    if (w->verdict.why == DX_WHY_PASSIVE)
        (void)snprintf(buf, n, "passive: %u connections failed within %llu ms", pool->eject.failures,
                       (unsigned long long)pool->eject.within);
    else
        (void)snprintf(buf, n, "%s: %s", dx_down_reason_word(w->verdict.why), w->last_error);
}

/* NULL when there is nothing to say. */
static const char *hint_of(const struct watched *w)
{
    if (w->verdict.why != DX_WHY_PROBE)
        return NULL;
    switch (w->last_status) {
    case 400:
        return HINT_400;
    case 301:
    case 302:
        return HINT_30X;
    default:
        return NULL;
    }
}

static void tell_down(const struct watched *w, const char *address)
{
    char reason[REASON_BYTES];
    const char *hint = hint_of(w);
    reason_of(w, reason, sizeof reason);
    struct dx_kv kv[] = {DX_KS("pool", w->pool->config->name),
                         DX_KS("server", w->server.name),
                         DX_KS("address", address),
                         DX_KS("reason", reason),
                         DX_KI("failures", w->verdict.failures_in_row),
                         hint ? DX_KS("hint", hint) : DX_LOG_END,
                         DX_LOG_END};
    dx_log_write(DX_LOG_WARN, "server_down", kv);
}

void health_tell_server(const struct watched *w)
{
    char address[DX_ADDRESS_TEXT];
    (void)dx_address_text(&w->server.address, address, sizeof address);
    if (w->verdict.state == DX_SERVER_DOWN)
        tell_down(w, address);
    else if (w->verdict.state == DX_SERVER_UP)
        dx_log(DX_LOG_INFO, "server_up", DX_KS("pool", w->pool->config->name),
               DX_KS("server", w->server.name), DX_KS("address", address),
               DX_KS("reason", w->pool->config->health.enabled ? "probe" : "ejection over"));
}

void health_tell_pool(struct watched_pool *pool)
{
    size_t usable = 0;
    for (size_t i = 0; i < pool->n; i++)
        usable += pool->servers[i]->verdict.state != DX_SERVER_DOWN;
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
