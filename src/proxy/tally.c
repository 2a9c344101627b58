/* SPDX-License-Identifier: MIT */
/*
 * What the board keeps for each route (board/routes.h): how long its requests waited and took, how they
 * ended. All times are the loop's, read for other reasons: nothing here looks at a clock.
 */
#include "proxy/internal.h"

void tally_wait(struct exchange *x, bool waits)
{
    struct waited *w = &x->waited;
    uint64_t now = dx_loop_now_us(x->proxy->loop);

    if (w->since_us != 0)
        *(w->for_server ? &w->held_us : &w->queued_us) += now - w->since_us;
    w->since_us = waits ? now : 0;
    if (!waits)
        return;
    w->for_server = dx_turn_held(&x->turn);
    w->was_held |= w->for_server;
    w->was_queued |= !w->for_server;
    w->any = true;
}

static void tally_waited(struct exchange *x, struct dx_board_route *r)
{
    if (x->waited.since_us != 0)
        tally_wait(x, false);
    if (x->waited.was_queued)
        dx_board_observe(&r->times[DX_TIME_QUEUED], x->waited.queued_us);
    if (x->waited.was_held)
        dx_board_observe(&r->times[DX_TIME_HELD], x->waited.held_us);
}

/* The pool's server heard of the request when the body was whole: until then its client held nobody. One that
 * left in between, too. */
static uint64_t saved_by_spool(const struct exchange *x, uint64_t now)
{
    return (x->queued_us != 0 ? x->queued_us : now) - x->spool_us;
}

void tally_exchange(struct exchange *x)
{
    struct dx_board_route *r = &x->proxy->routes[x->place];
    uint64_t now = dx_loop_now_us(x->proxy->loop);
    unsigned hundreds = x->status / 100;

    /* Codes beyond 599 count as those of the last class (RFC 9110 15). */
    dx_count_add(&r->statuses[hundreds < DX_BOARD_STATUSES ? hundreds : DX_BOARD_STATUSES - 1], 1);
    dx_count_add(&r->outcomes[x->outcome], 1);
    if (x->body_out != 0)
        dx_count_add(&r->bytes_out, x->body_out);
    if (x->first_byte_us != 0)
        dx_board_observe(&r->times[DX_TIME_FIRST_BYTE], x->first_byte_us - x->connected_us);
    if (!x->tunnel && !x->response.stream) /* these last as long as somebody wants them */
        dx_board_observe(&r->times[DX_TIME_TOTAL], now - x->start_us);
    if (!x->reused && x->connected_us > x->picked_us)
        dx_board_observe(&r->times[DX_TIME_CONNECT], x->connected_us - x->picked_us);
    if (x->body_in != 0)
        dx_count_add(&r->bytes_in, x->body_in);
    if (x->spool_us != 0)
        dx_count_add(&r->saved_request_us, saved_by_spool(x, now));
    if (x->repeats != 0)
        dx_count_add(&r->retries, x->repeats);
    if (x->waited.any)
        tally_waited(x, r);
}
