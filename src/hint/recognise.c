/* SPDX-License-Identifier: MIT */
/*
 * What gives a mistake away. Each question asks for facts that an answer without that mistake does not have:
 * a plain 403, a redirect from http to https, a 400 elsewhere say nothing.
 *
 * What the server was told is read from the head that was sent: whatever rules made it, that is what Django
 * saw.
 */
#include "diplex/hint.h"

#define GUNICORN_LINE       4094 /* limit_request_line */
#define GUNICORN_FIELDS     100  /* limit_request_fields */
#define GUNICORN_FIELD_SIZE 8190 /* limit_request_field_size */
#define H11_HEAD            (16u * 1024)

/* Takes the next line off a head, without its end. */
static bool next_line(struct dx_slice *rest, struct dx_slice *line)
{
    size_t n = dx_slice_find(*rest, '\n');
    if (n == rest->n)
        return false;
    *line = dx_slice_of(rest->p, n > 0 && rest->p[n - 1] == '\r' ? n - 1 : n);
    *rest = dx_slice_of(rest->p + n + 1, rest->n - n - 1);
    return line->n > 0;
}

/* The value of a field that diplex writes; `name` with its colon and blank. */
static struct dx_slice told(struct dx_slice sent, struct dx_slice name)
{
    struct dx_slice line;
    while (next_line(&sent, &line))
        if (dx_slice_starts(line, name))
            return dx_slice_of(line.p + name.n, line.n - name.n);
    return dx_slice_of(NULL, 0);
}

static struct dx_slice field(const struct dx_fields *f, enum dx_field_id id)
{
    const struct dx_field *found = dx_http_find(f, id);
    return found ? found->value : dx_slice_of(NULL, 0);
}

/* Takes `what` off the front, without regard to case. */
static bool take(struct dx_slice *s, struct dx_slice what)
{
    if (s->n < what.n || !dx_slice_eq_nocase(dx_slice_of(s->p, what.n), what))
        return false;
    *s = dx_slice_of(s->p + what.n, s->n - what.n);
    return true;
}

/* --- servers' limits --- */

static enum dx_hint over_wsgi_limits(struct dx_slice sent)
{
    struct dx_slice line;
    size_t fields = 0;

    if (!next_line(&sent, &line))
        return DX_HINT_NONE;
    if (line.n > GUNICORN_LINE)
        return DX_HINT_SERVER_LINE;
    for (; next_line(&sent, &line); fields++)
        if (line.n > GUNICORN_FIELD_SIZE)
            return DX_HINT_SERVER_FIELDS;
    return fields > GUNICORN_FIELDS ? DX_HINT_SERVER_FIELDS : DX_HINT_NONE;
}

static enum dx_hint over_limits(const struct dx_hint_facts *f)
{
    if (f->wsgi)
        return over_wsgi_limits(f->sent);
    return f->sent.n > H11_HEAD ? DX_HINT_SERVER_HEAD : DX_HINT_NONE;
}

/* 400: as gunicorn and h11 have always said it; newer ones say 414 and 431. */
static enum dx_hint of_bad_request(const struct dx_hint_facts *f)
{
    enum dx_hint limit = over_limits(f);
    if (limit != DX_HINT_NONE || f->response->status != 400 || f->health_path == NULL)
        return limit;
    return dx_slice_eq(f->request->path, dx_slice_str(f->health_path)) ? DX_HINT_CHECK_HOST : DX_HINT_NONE;
}

/* --- redirects to https --- */

/* What follows the host, with or without the port that is https's own; empty: it is another host. */
static struct dx_slice behind_host(struct dx_slice location, struct dx_slice host)
{
    if (host.n > 0 && take(&location, host)) {
        (void)take(&location, DX_SLICE(":443"));
        if (location.n > 0 && location.p[0] == '/')
            return location;
    }
    return dx_slice_of(NULL, 0);
}

static bool same_url_with_https(const struct dx_hint_facts *f, struct dx_slice forwarded_host)
{
    const struct dx_request *r = f->request;
    struct dx_slice location = field(&f->response->fields, DX_FIELD_LOCATION);

    if (!take(&location, DX_SLICE("https://")))
        return false;
    struct dx_slice rest = behind_host(location, r->host);
    if (rest.n == 0)
        rest = behind_host(location, forwarded_host);
    return rest.n > 0 && rest.n == r->path.n + r->query.n && dx_slice_starts(rest, r->path) &&
           dx_slice_eq(dx_slice_of(rest.p + r->path.n, r->query.n), r->query);
}

static enum dx_hint of_redirect(const struct dx_hint_facts *f)
{
    struct dx_slice proto = told(f->sent, DX_SLICE("X-Forwarded-Proto: "));
    struct dx_slice claim = field(&f->request->fields, DX_FIELD_X_FORWARDED_PROTO);
    bool secure = dx_slice_eq(proto, DX_SLICE("https"));

    if (!secure && !dx_slice_eq_nocase(claim, DX_SLICE("https")))
        return DX_HINT_NONE; /* from http to https, as it should be */
    if (!same_url_with_https(f, told(f->sent, DX_SLICE("X-Forwarded-Host: "))))
        return DX_HINT_NONE;
    return secure ? DX_HINT_REDIRECT_LOOP : DX_HINT_UNTRUSTED_PROXY;
}

/* --- CSRF --- */

static struct dx_slice without_port(struct dx_slice host)
{
    size_t n = host.n;
    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    return n > 0 && host.p[n - 1] == ':' ? dx_slice_of(host.p, n - 1) : host;
}

/* Django compares Origin with the scheme and the host of the request as texts. A request with Authorization
 * is an API's, which has other reasons for a 403. */
static enum dx_hint of_forbidden(const struct dx_hint_facts *f)
{
    const struct dx_request *r = f->request;
    struct dx_slice origin = field(&r->fields, DX_FIELD_ORIGIN);
    struct dx_slice proto = told(f->sent, DX_SLICE("X-Forwarded-Proto: "));

    if (dx_http_method_safe(r->method_id) || r->host.n == 0 ||
        dx_http_find(&r->fields, DX_FIELD_AUTHORIZATION))
        return DX_HINT_NONE;
    bool https = take(&origin, DX_SLICE("https://"));
    if (!https && !take(&origin, DX_SLICE("http://")))
        return DX_HINT_NONE; /* none, or `null` */
    if (dx_slice_eq_nocase(origin, r->host))
        return https == dx_slice_eq(proto, DX_SLICE("https")) ? DX_HINT_NONE : DX_HINT_CSRF_SCHEME;
    if (dx_slice_eq_nocase(origin, told(f->sent, DX_SLICE("X-Forwarded-Host: "))) ||
        dx_slice_eq_nocase(without_port(origin), without_port(r->host)))
        return DX_HINT_CSRF_HOST;
    return DX_HINT_CSRF_ORIGIN;
}

/* --- WebSockets --- */

/* An application that refuses a WebSocket says 401 or 403 or sends it elsewhere. These come from a server
 * that does not speak it, from a view of Django that knows nothing of it, or from Django when it is handed
 * the scope. */
static bool took_no_notice(unsigned status)
{
    return status < 300 || status == 400 || status == 404 || status == 405 || status == 426 ||
           status == 500 || status == 501;
}

/* What gunicorn says itself comes without a date; what an application says through it has one. */
static bool preamble_refused(const struct dx_hint_facts *f)
{
    const struct dx_response *r = f->response;
    return f->introduced && (r->status == 400 || r->status == 403) && over_limits(f) == DX_HINT_NONE &&
           !dx_http_find(&r->fields, DX_FIELD_DATE) && !dx_http_find(&r->fields, DX_FIELD_SERVER);
}

enum dx_hint dx_hint_of_answer(const struct dx_hint_facts *f)
{
    const struct dx_response *r = f->response;

    if (preamble_refused(f))
        return DX_HINT_PREAMBLE_REFUSED;
    if (f->request->websocket && took_no_notice(r->status))
        return DX_HINT_UPGRADE_IGNORED;
    switch (r->status) {
    case 200:
        return f->wsgi && r->stream && dx_http_is_stream_type(field(&r->fields, DX_FIELD_CONTENT_TYPE))
                   ? DX_HINT_STREAM_FROM_WSGI
                   : DX_HINT_NONE;
    case 301:
    case 302:
    case 307:
    case 308:
        return of_redirect(f);
    case 400:
    case 414:
    case 431:
        return of_bad_request(f);
    case 403:
        return of_forbidden(f);
    default:
        return DX_HINT_NONE;
    }
}

enum dx_hint dx_hint_of_refusal(unsigned status)
{
    switch (status) {
    case 414:
        return DX_HINT_URL_LIMIT;
    case 431:
        return DX_HINT_HEADER_LIMIT;
    default:
        return DX_HINT_NONE;
    }
}

enum dx_hint dx_hint_of_probe(unsigned status, bool introduced)
{
    if (introduced && (status == 400 || status == 403))
        return DX_HINT_PROBE_PREAMBLE;
    switch (status) {
    case 400:
        return DX_HINT_PROBE_HOST;
    case 301:
    case 302:
    case 307:
    case 308:
        return DX_HINT_PROBE_REDIRECT;
    default:
        return DX_HINT_NONE;
    }
}
