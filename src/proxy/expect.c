/* SPDX-License-Identifier: MIT */
/*
 * Asking before a body is sent (RFC 9110 10.1.1). A wsgi server that is being stopped still has a backlog:
 * what is sent there is lost with it, and of a POST nobody could say whether it was carried out. So the head
 * of a request that must not be repeated goes alone at first, with `Expect: 100-continue`. gunicorn says
 * "continue" when a worker has taken the request and before the application is called; while it has not, the
 * request can go to another server, or wait for one.
 */
#include "proxy/front.h"
#include "proxy/steps.h"

#define UNKNOWN_MS 1000 /* most servers that say it are quicker, and some never do */
/* A server that has said it before and is silent now is busy, or is being stopped and lets requests wait in
 * its backlog until its last worker has finished (gunicorn's --graceful-timeout is 30 s): to send the body
 * into that would be to lose it. */
#define KNOWN_MS   40000

bool expect_wanted(const struct exchange *x)
{
    const struct dx_server *s = dx_connection_server(x->connection);
    bool body = (x->source == SOURCE_SPOOL && dx_spool_bytes(&x->spool) > 0) || x->source == SOURCE_MEMORY;
    return body && x->pool->retry.ask_first && x->pool->kind == DX_KIND_WSGI &&
           dx_server_continue(s) != DX_CONTINUE_NEVER && !dx_http_method_idempotent(x->request.method_id);
}

enum pump expect_send(struct exchange *x)
{
    uint64_t before = x->up.sent;
    enum dx_io io = outlet_flush(&x->up, dx_connection_transport(x->connection));

    x->progress |= x->up.sent != before;
    if (io == DX_IO_AGAIN)
        return pump_wait(x, BLOCKED_SERVER);
    return io == DX_IO_OK ? PUMP_DONE : PUMP_SERVER_BROKE;
}

uint64_t expect_ms(const struct exchange *x)
{
    uint64_t answer_ms = x->pool->timeouts.response;

    if (dx_server_continue(dx_connection_server(x->connection)) != DX_CONTINUE_SAID)
        return UNKNOWN_MS;
    return answer_ms > 0 && answer_ms < KNOWN_MS ? answer_ms : KNOWN_MS;
}

void expect_continued(struct exchange *x)
{
    dx_server_set_continue(dx_connection_server(x->connection), DX_CONTINUE_SAID);
    x->asking = x->unheard = false;
}

void expect_answered(struct exchange *x)
{
    if (x->unheard) /* it has read all of the request, and never said so */
        dx_server_set_continue(dx_connection_server(x->connection), DX_CONTINUE_NEVER);
    if (x->asking)
        x->up_ended = x->up_broken = true; /* whatever it says: the body was not wanted */
    x->asking = x->unheard = false;
}

bool expect_gave_up(struct exchange *x)
{
    if (!x->asking || (x->state != STATE_SEND && x->state != STATE_AWAIT_HEAD))
        return false;
    dx_server_set_continue(dx_connection_server(x->connection), DX_CONTINUE_UNKNOWN);
    x->asking = false;
    x->unheard = true; /* a mute server, or one whose workers are all busy: its answer will tell */
    x->progress = true;
    return true;
}
