/* SPDX-License-Identifier: MIT */
/*
 * The endpoints. evhttp reads and answers; this file says what. A reload is answered when it is done: its
 * reply stays in a list until then, because libevent keeps the request alive for us even when its connection
 * is gone, and only dx_admin_free may end it earlier.
 */
#include "diplex/admin.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>

#include "diplex/base/list.h"
#include "diplex/os/fd.h"

#define ADMIN_MAGIC 0x41444d49u
#define REPLY_MAGIC 0x5245504cu

#define IDLE_SECONDS   30
#define MAX_HEAD_BYTES 8192
#define MAX_BODY_BYTES 8192

struct dx_admin {
    uint32_t magic;
    struct evhttp *http;
    struct dx_admin_owner owner;
    struct dx_link replies;
};

struct dx_admin_reply {
    uint32_t magic;
    struct dx_link link;
    struct evhttp_request *request;
};

static void send_text(struct evhttp_request *r, int status, const char *type, struct dx_slice body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(r);
    struct evbuffer *out = evhttp_request_get_output_buffer(r);
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evbuffer_add(out, body.p, body.n);
    evhttp_send_reply(r, status, NULL, NULL);
}

static bool method_is(struct evhttp_request *r, enum evhttp_cmd_type wanted, const char *allow)
{
    if (evhttp_request_get_command(r) == wanted)
        return true;
    evhttp_add_header(evhttp_request_get_output_headers(r), "Allow", allow);
    send_text(r, 405, "text/plain", DX_SLICE("method not allowed\n"));
    return false;
}

/* What was made of the answer, whole or not at all: what was asked for may have been done all the same. */
static void send_made(struct evhttp_request *r, int status, const char *type, const struct dx_text *t)
{
    if (t->failed)
        send_text(r, 500, "text/plain", DX_SLICE("out of memory for the answer; see `diplex status`\n"));
    else
        send_text(r, status, type, dx_slice_of(t->p, t->n));
}

static void on_healthz(struct evhttp_request *r, void *arg)
{
    struct dx_admin *a = arg;
    struct dx_admin_facts facts = {0};
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    if (!method_is(r, EVHTTP_REQ_GET, "GET"))
        return;
    a->owner.facts(a->owner.arg, &facts);
    if (facts.ready)
        send_text(r, 200, "text/plain", DX_SLICE("ok\n"));
    else
        send_text(r, 503, "text/plain", DX_SLICE("not ready\n"));
}

static void on_status(struct evhttp_request *r, void *arg)
{
    struct dx_admin *a = arg;
    struct dx_admin_facts facts = {0};
    struct dx_text text;
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    if (!method_is(r, EVHTTP_REQ_GET, "GET"))
        return;
    a->owner.facts(a->owner.arg, &facts);
    dx_text_init(&text);
    dx_admin_status_write(&facts, &text);
    send_made(r, 200, "application/json", &text);
    dx_text_fini(&text);
}

static void on_reload(struct evhttp_request *r, void *arg)
{
    struct dx_admin *a = arg;
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    if (!method_is(r, EVHTTP_REQ_POST, "POST"))
        return;
    struct dx_admin_reply *reply = calloc(1, sizeof *reply);
    if (!reply) {
        send_text(r, 503, "text/plain", DX_SLICE("out of memory\n"));
        return;
    }
    DX_MAGIC_SET(reply, REPLY_MAGIC);
    reply->request = r;
    dx_list_push_tail(&a->replies, &reply->link);
    a->owner.reload(a->owner.arg, reply);
}

/* GET and POST /drain?server=NAME, POST /undrain?server=NAME. */
static void on_drain(struct evhttp_request *r, void *arg)
{
    struct dx_admin *a = arg;
    struct evkeyvalq query = {0};
    struct dx_text text;
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    bool undrain = strcmp(evhttp_uri_get_path(evhttp_request_get_evhttp_uri(r)), "/undrain") == 0;
    enum dx_admin_drain what = undrain ? DX_ADMIN_UNDRAIN : DX_ADMIN_DRAIN;
    if (!undrain && evhttp_request_get_command(r) == EVHTTP_REQ_GET)
        what = DX_ADMIN_DRAIN_LOOK;
    else if (!method_is(r, EVHTTP_REQ_POST, undrain ? "POST" : "GET, POST"))
        return;
    const char *raw = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r));
    if (raw && evhttp_parse_query_str(raw, &query) != 0)
        raw = NULL;
    const char *server = raw ? evhttp_find_header(&query, "server") : NULL;
    dx_text_init(&text);
    if (!server)
        send_text(r, 400, "text/plain", DX_SLICE("say which one: ?server=NAME\n"));
    else if (a->owner.drain(a->owner.arg, what, dx_slice_str(server), &text))
        send_made(r, 200, "application/json", &text);
    else
        send_made(r, 404, "text/plain", &text);
    dx_text_fini(&text);
    evhttp_clear_headers(&query);
}

/* POST /hold?pool=NAME[&methods=unsafe], POST /release?pool=NAME. */
static void on_hold(struct evhttp_request *r, void *arg)
{
    struct dx_admin *a = arg;
    struct evkeyvalq query = {0};
    struct dx_text text;
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    if (!method_is(r, EVHTTP_REQ_POST, "POST"))
        return;
    bool release = strcmp(evhttp_uri_get_path(evhttp_request_get_evhttp_uri(r)), "/release") == 0;
    const char *raw = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r));
    if (raw && evhttp_parse_query_str(raw, &query) != 0)
        raw = NULL;
    const char *pool = raw ? evhttp_find_header(&query, "pool") : NULL;
    const char *methods = raw ? evhttp_find_header(&query, "methods") : NULL;
    enum dx_board_hold hold = release ? DX_HOLD_NONE : methods ? DX_HOLD_WRITES : DX_HOLD_ALL;
    dx_text_init(&text);
    if (!pool || (methods && (release || strcmp(methods, "unsafe") != 0)))
        send_text(r, 400, "text/plain",
                  DX_SLICE("say which one: ?pool=NAME, and for /hold perhaps &methods=unsafe\n"));
    else if (a->owner.hold(a->owner.arg, hold, dx_slice_str(pool), &text))
        send_made(r, 200, "application/json", &text);
    else
        send_made(r, 404, "text/plain", &text);
    dx_text_fini(&text);
    evhttp_clear_headers(&query);
}

static void on_other(struct evhttp_request *r, void *arg)
{
    DX_MAGIC_OK((struct dx_admin *)arg, ADMIN_MAGIC);
    send_text(
        r, 404, "text/plain",
        DX_SLICE("there are GET /healthz and /status, POST /reload, /drain, /undrain, /hold and /release\n"));
}

void dx_admin_reply_send(struct dx_admin_reply *reply, enum dx_admin_result result, struct dx_slice text)
{
    struct dx_text body;
    DX_MAGIC_OK(reply, REPLY_MAGIC);
    dx_text_init(&body);
    if (result == DX_ADMIN_RELOADED) {
        dx_text_adds(&body, "{\"result\":\"reloaded\",\"after_restart\":");
        dx_text_add_json(&body, text);
        dx_text_adds(&body, "}\n");
        send_made(reply->request, 200, "application/json", &body);
    } else {
        send_text(reply->request, result == DX_ADMIN_REFUSED ? 422 : 503, "text/plain", text);
    }
    dx_text_fini(&body);
    dx_list_remove(&reply->link);
    DX_MAGIC_CLEAR(reply);
    free(reply);
}

static bool prepare(struct dx_admin *a, int listener)
{
    evhttp_set_allowed_methods(a->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                            EVHTTP_REQ_DELETE);
    evhttp_set_max_headers_size(a->http, MAX_HEAD_BYTES);
    evhttp_set_max_body_size(a->http, MAX_BODY_BYTES);
    evhttp_set_timeout(a->http, IDLE_SECONDS);
    evhttp_set_gencb(a->http, on_other, a);
    return evhttp_set_cb(a->http, "/healthz", on_healthz, a) == 0 &&
           evhttp_set_cb(a->http, "/status", on_status, a) == 0 &&
           evhttp_set_cb(a->http, "/reload", on_reload, a) == 0 &&
           evhttp_set_cb(a->http, "/drain", on_drain, a) == 0 &&
           evhttp_set_cb(a->http, "/undrain", on_drain, a) == 0 &&
           evhttp_set_cb(a->http, "/hold", on_hold, a) == 0 &&
           evhttp_set_cb(a->http, "/release", on_hold, a) == 0 &&
           evhttp_accept_socket(a->http, listener) == 0;
}

struct dx_admin *dx_admin_new(struct dx_loop *l, int listener, const struct dx_admin_owner *owner,
                              struct dx_err *err)
{
    struct dx_admin *a = calloc(1, sizeof *a);
    if (a) {
        DX_MAGIC_SET(a, ADMIN_MAGIC);
        a->owner = *owner;
        dx_list_init(&a->replies);
        a->http = evhttp_new(dx_loop_base(l));
        if (a->http && prepare(a, listener))
            return a;
        dx_admin_free(&a);
    }
    dx_fd_close(&listener);
    dx_err_set(err, "cannot start the admin endpoints: out of memory");
    return NULL;
}

void dx_admin_free(struct dx_admin **admin)
{
    struct dx_admin *a = *admin;
    if (!a)
        return;
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    DX_LIST_FOR_SAFE (link, &a->replies) {
        struct dx_admin_reply *reply = DX_CONTAINER(link, struct dx_admin_reply, link);
        dx_admin_reply_send(reply, DX_ADMIN_UNABLE, DX_SLICE("diplex is stopping"));
    }
    if (a->http)
        evhttp_free(a->http);
    DX_MAGIC_CLEAR(a);
    free(a);
    *admin = NULL;
}
