/* SPDX-License-Identifier: MIT */
/*
 * What was asked, and its answer. A reply lives from the head of a request to its answer, which may be long
 * after the one who asked has left; all that are open stand in a list, so that the end of the room can end
 * them.
 */
#include <stdlib.h>

#include "admin/guests.h"
#include "diplex/os/clock.h"

/* ---- what was asked ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place, terminated. False: a bad escape, or a NUL. */
static bool decode(char *s)
{
    char *to = s;
    for (; *s; s++) {
        int byte = *s == '+' ? ' ' : (unsigned char)*s;
        if (*s == '%') {
            int high = hex(s[1]), low = high < 0 ? -1 : hex(s[2]);
            if (low < 0 || high + low == 0)
                return false;
            byte = high * 16 + low;
            s += 2;
        }
        *to++ = (char)byte;
    }
    *to = '\0';
    return true;
}

/* name=value&name=value into r->params. */
static bool read_params(struct dx_admin_reply *r, char *query)
{
    for (char *rest = query, *word; (word = strsep(&rest, "&")) != NULL;) {
        if (!*word)
            continue;
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        if (r->params_n == PARAMS_MAX || !decode(word) || (value && !decode(value)))
            return false;
        r->params[r->params_n].name = word;
        r->params[r->params_n++].value = value ? value : "";
    }
    return true;
}

static char *put(struct dx_out *out, struct dx_slice s)
{
    char *at = out->p;
    dx_out_add(out, s);
    dx_out_byte(out, '\0');
    return at;
}

/* The path, the query as it came, and the query to be taken apart. */
static bool copy_ask(struct dx_admin_reply *r, const struct dx_request *request)
{
    struct dx_slice query = request->query;
    if (query.n) /* without its '?' */
        query = dx_slice_of(query.p + 1, query.n - 1);
    const struct dx_field *known = dx_http_find(&request->fields, DX_FIELD_IF_NONE_MATCH);
    struct dx_slice tags = known ? known->value : dx_slice_of(NULL, 0);
    const struct dx_field *wanted = dx_http_find(&request->fields, DX_FIELD_ACCEPT);
    struct dx_slice accept = wanted ? wanted->value : dx_slice_of(NULL, 0);
    size_t bytes = request->path.n + 2 * query.n + tags.n + accept.n + 5;
    r->bytes = malloc(bytes);
    if (!r->bytes)
        return false;
    struct dx_out out = dx_out_of(r->bytes, bytes);
    r->ask.path = dx_slice_of(put(&out, request->path), request->path.n);
    r->ask.query = dx_slice_of(put(&out, query), query.n);
    r->ask.known = dx_slice_of(put(&out, tags), tags.n);
    r->ask.accept = dx_slice_of(put(&out, accept), accept.n);
    char *params = put(&out, query);
    if (!read_params(r, params))
        reply_refuse(r, 400, "the query cannot be read");
    return true;
}

static void look_at_method(struct dx_admin_reply *r, const struct dx_request *request)
{
    bool get = request->method_id == DX_METHOD_GET || request->method_id == DX_METHOD_HEAD;
    r->head_only = request->method_id == DX_METHOD_HEAD;
    r->ask.post = request->method_id == DX_METHOD_POST;
    unsigned wanted = get ? GET : r->ask.post ? POST : 0;
    if (r->row->methods & wanted)
        return;
    reply_refuse(r, 405, "method not allowed");
    reply_field(r, "Allow",
                r->row->methods == GET    ? "GET, HEAD"
                : r->row->methods == POST ? "POST"
                                          : "GET, HEAD, POST");
}

struct dx_admin_reply *reply_new(struct guest *g, const struct dx_request *request)
{
    struct dx_admin_reply *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    DX_MAGIC_SET(r, REPLY_MAGIC);
    dx_text_init(&r->fields);
    r->admin = g->admin;
    r->guest = g;
    dx_list_push_tail(&g->admin->replies, &r->link);
    if (!copy_ask(r, request)) {
        reply_free(&r);
        return NULL;
    }
    r->row = path_find(r->ask.path);
    if (r->row)
        look_at_method(r, request);
    return r;
}

void reply_free(struct dx_admin_reply **rp)
{
    struct dx_admin_reply *r = *rp;
    if (!r)
        return;
    *rp = NULL;
    DX_MAGIC_OK(r, REPLY_MAGIC);
    dx_list_remove(&r->link);
    dx_text_fini(&r->fields);
    free(r->bytes);
    DX_MAGIC_CLEAR(r);
    free(r);
}

struct dx_admin *reply_admin(const struct dx_admin_reply *r)
{
    DX_MAGIC_OK(r, REPLY_MAGIC);
    return r->admin;
}

const struct ask *reply_ask(const struct dx_admin_reply *r) { return &r->ask; }

const char *reply_param(struct dx_admin_reply *r, const char *name)
{
    for (size_t i = 0; i < r->params_n; i++)
        if (strcmp(r->params[i].name, name) == 0)
            return r->params[i].value;
    return NULL;
}

void reply_refuse(struct dx_admin_reply *r, unsigned status, const char *why)
{
    if (r->refused) /* the first reason counts */
        return;
    r->refused = status;
    r->refusal = why;
}

/* ---- the answer ---- */

void reply_field(struct dx_admin_reply *r, const char *name, const char *value)
{
    DX_MAGIC_OK(r, REPLY_MAGIC);
    dx_text_addf(&r->fields, "%s: %s\r\n", name, value);
    r->own_caching |= strcmp(name, "Cache-Control") == 0;
}

static void write_head(struct dx_admin_reply *r, unsigned status, const char *type, size_t n,
                       struct dx_text *t)
{
    char date[DX_CLOCK_RFC3339];
    size_t date_n = dx_clock_http_date(dx_clock_wall_us(), date, sizeof date);
    dx_text_addf(t, "HTTP/1.1 %u %s\r\nDate: %.*s\r\n", status, dx_http_reason(status), (int)date_n, date);
    if (status != 304) /* RFC 9110 15.4.5: they would be those of a 200 */
        dx_text_addf(t, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, n);
    dx_text_adds(t, "X-Content-Type-Options: nosniff\r\n");
    if (!r->own_caching)
        dx_text_adds(t, "Cache-Control: no-store\r\n");
    if (r->guest->last || !r->guest->door)
        dx_text_adds(t, "Connection: close\r\n");
    dx_text_add(t, dx_slice_of(r->fields.p, r->fields.n));
    dx_text_adds(t, "\r\n");
    t->failed |= r->fields.failed;
}

void reply_send(struct dx_admin_reply *r, unsigned status, const char *type, struct dx_slice body)
{
    struct dx_text t;
    DX_MAGIC_OK(r, REPLY_MAGIC);
    struct guest *g = r->guest;
    if (!g) {
        reply_free(&r);
        return;
    }
    dx_text_init(&t);
    write_head(r, status, type, body.n, &t);
    if (!r->head_only)
        dx_text_add(&t, body);
    r->guest = NULL;
    if (t.failed) {
        g->reply = NULL;
        guest_end(g);
        dx_text_fini(&t);
    } else {
        guest_give(g, t.p, t.n);
    }
    reply_free(&r);
}

void reply_send_made(struct dx_admin_reply *r, unsigned status, const char *type, const struct dx_text *t)
{
    if (t->failed)
        reply_send(r, 500, TYPE_TEXT, DX_SLICE("out of memory for the answer; see `diplex status`\n"));
    else
        reply_send(r, status, type, dx_slice_of(t->p, t->n));
}
