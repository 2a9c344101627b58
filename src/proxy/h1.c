/* SPDX-License-Identifier: MIT */
/*
 * The HTTP/1 front: what an exchange asks of its client, done on a connection of HTTP/1.0 or 1.1. The
 * request's head stays where it was received; only when more of the body has to be read than came with it
 * does the exchange keep that block and the client read on in another.
 */
#include <errno.h>

#include "proxy/client.h"

#define HEAD_EXTRA 512  /* what our own fields of a response head may take */
#define CUT_MAX    1024 /* of a method or target that is not whole, for the log */
#define INTERIMS_WAITING \
    3 /* for a client that does not read; the outlet has room for as many and an answer */

static struct dx_http1_limits limits_of(const struct exchange *x)
{
    const struct dx_config *c = view_config(x->view);
    return (struct dx_http1_limits){
        .head_bytes = c->limits.header_size, .target_bytes = c->limits.url, .fields = c->limits.header_count};
}

static enum front_io from_io(enum dx_io io)
{
    if (io == DX_IO_OK)
        return FRONT_OK;
    return io == DX_IO_AGAIN ? FRONT_WAIT : FRONT_GONE;
}

/* The trailers of a request; refused when others could take them for the framing or the host of the message.
 */
static enum dx_parse trailers_of(struct exchange *x, struct dx_slice in, const struct dx_http1_limits *limits,
                                 size_t *used, struct dx_http_error *err)
{
    enum dx_parse got = dx_http1_trailers(in.p, in.n, limits, &x->trailers, used, err);

    for (unsigned i = 0; got == DX_PARSE_DONE && i < x->trailers.n; i++) {
        enum dx_field_id id = x->trailers.at[i].id;
        if (id != DX_FIELD_HOST && id != DX_FIELD_CONTENT_LENGTH && id != DX_FIELD_TRANSFER_ENCODING)
            continue;
        *err = (struct dx_http_error){400, "a trailer that frames or routes the message"};
        return DX_PARSE_BAD;
    }
    return got;
}

/* A chunked body that is here already is looked through once for its faults: of one that is broken nothing
 * is to be forwarded. What comes later is seen when it comes. */
static bool body_so_far_is_sound(struct client *c, struct exchange *x, const struct dx_http1_limits *limits,
                                 struct dx_http_error *err)
{
    struct dx_http1_body body = x->client_body;
    struct dx_slice in = inlet_bytes(&c->in), data;
    size_t at = 0, used = 0;
    enum dx_body_step step = DX_BODY_DATA;

    while (step == DX_BODY_DATA) {
        step = dx_http1_body_next(&body, in.p + at, in.n - at, &used, &data, err);
        at += used;
    }
    if (step != DX_BODY_TRAILERS || at == in.n || !exchange_trailer_storage(x))
        return step != DX_BODY_BAD;
    return trailers_of(x, dx_slice_of(in.p + at, in.n - at), limits, &used, err) != DX_PARSE_BAD;
}

#define CUT_MARK "[?]"

/* What was not read to its end is marked so. */
static struct dx_slice marked(struct exchange *x, struct dx_slice s)
{
    size_t n = s.n < CUT_MAX ? s.n : CUT_MAX;
    char *p = dx_arena_alloc(&x->arena, n + sizeof(CUT_MARK));
    if (p == NULL)
        return dx_slice_of(NULL, 0);
    struct dx_out o = dx_out_of(p, n + sizeof(CUT_MARK));
    dx_out_add(&o, dx_slice_of(s.p, n));
    DX_OUT_LIT(&o, CUT_MARK);
    return dx_out_slice(&o);
}

static void known(struct front *f, struct exchange *x)
{
    struct dx_slice in = inlet_bytes(&client_of(f)->in);
    struct dx_http1_limits limits = limits_of(x);

    if (in.n == 0 || x->request_head_bytes > 0) /* it was whole: what is wrong comes behind it */
        return;
    switch (dx_http1_request_known(in.p, in.n, &limits, &x->request)) {
    case DX_HTTP1_KNOWN:
        break;
    case DX_HTTP1_METHOD_CUT:
        if (x->request.method.n > 0)
            x->request.method = marked(x, x->request.method);
        break;
    case DX_HTTP1_TARGET_CUT:
        x->request.target = marked(x, x->request.target);
        break;
    }
}

static enum front_io no_memory(struct dx_http_error *err)
{
    *err = (struct dx_http_error){503, "out of memory"};
    return FRONT_BAD;
}

/* What is not received for want of a block is not the client's fault, and it is told so. */
static enum front_io received(enum dx_io io, struct dx_http_error *err)
{
    return io == DX_IO_ERROR && errno == ENOMEM ? no_memory(err) : from_io(io);
}

static enum front_io read_head(struct front *f, struct exchange *x, struct dx_http_error *err)
{
    struct client *c = client_of(f);
    struct dx_http1_limits limits = limits_of(x);
    struct blocks b = client_blocks(c);
    size_t used = 0;

    for (;;) {
        struct dx_slice in = inlet_bytes(&c->in);
        if (in.n > c->in.seen) {
            enum dx_parse parse =
                dx_http1_request_head(in.p, in.n, c->in.seen, &limits, &x->request, &used, err);
            if (parse == DX_PARSE_BAD)
                return FRONT_BAD;
            if (parse == DX_PARSE_DONE) {
                inlet_use(&c->in, used);
                exchange_settle_fields(x, &x->request.fields);
                x->request_head_bytes = used;
                dx_http1_body_init(&x->client_body, x->request.framing, x->request.length);
                if (x->request.framing == DX_FRAMING_CHUNKED && !body_so_far_is_sound(c, x, &limits, err))
                    return FRONT_BAD;
                return FRONT_OK;
            }
            c->in.seen = (uint32_t)in.n;
        }
        if (!dx_transport_may_read(&c->transport))
            return FRONT_WAIT;
        enum dx_io io = inlet_fill(&c->in, &c->transport, &b, false);
        if (io != DX_IO_OK)
            return received(io, err);
    }
}

static bool whole_body(struct front *f, struct exchange *x, struct dx_slice *body)
{
    struct client *c = client_of(f);
    if (x->request.framing != DX_FRAMING_LENGTH || x->request.length > inlet_bytes(&c->in).n)
        return false;
    *body = dx_slice_of(c->in.p + c->in.begin, (size_t)x->request.length);
    inlet_use(&c->in, body->n);
    x->client_body.left = 0;
    return true;
}

/* Receives more of the body. The first time, the block with the head in it is left to the exchange; after
 * that, a client that sends nothing holds none. */
static enum front_io fill_body(struct client *c, struct exchange *x, struct dx_http_error *err)
{
    struct blocks b = client_blocks(c);
    bool bulk = x->request.framing == DX_FRAMING_CHUNKED || x->client_body.left > BLOCK_BYTES;
    bool may = dx_transport_may_read(&c->transport);
    enum dx_io io = DX_IO_AGAIN;

    if (x->head_block == NULL) {
        if (!may)
            return FRONT_WAIT;
        if (!inlet_detach(&c->in, &b, bulk, &x->head_block, &x->head_block_bulk))
            return no_memory(err);
    }
    if (may)
        io = inlet_fill(&c->in, &c->transport, &b, bulk);
    if (io == DX_IO_AGAIN && inlet_empty(&c->in))
        inlet_release(&c->in, &b);
    return received(io, err);
}

/*
 * FRONT_WAIT: the section is not here whole. What it says is checked and goes no further (RFC 9112 7.1.2
 * allows it): no server has a way to hand it to its application, and some add it to the fields of the head.
 */
static enum front_io read_trailers(struct client *c, struct exchange *x, struct dx_http_error *err)
{
    struct dx_http1_limits limits = limits_of(x);
    struct dx_slice in = inlet_bytes(&c->in);
    size_t used = 0;

    if (!exchange_trailer_storage(x))
        return no_memory(err);
    enum dx_parse parse = trailers_of(x, in, &limits, &used, err);
    if (parse == DX_PARSE_MORE)
        return FRONT_WAIT;
    if (parse == DX_PARSE_BAD)
        return FRONT_BAD;
    inlet_use(&c->in, used);
    dx_http1_body_trailers_done(&x->client_body);
    return FRONT_END;
}

static enum front_io read_body(struct front *f, struct exchange *x, struct dx_slice *data,
                               struct dx_http_error *err)
{
    struct client *c = client_of(f);

    for (;;) {
        struct dx_slice in = inlet_bytes(&c->in);
        enum front_io io = FRONT_WAIT;
        size_t used = 0;
        enum dx_body_step step = dx_http1_body_next(&x->client_body, in.p, in.n, &used, data, err);
        inlet_use(&c->in, used);
        if (step == DX_BODY_DATA)
            return FRONT_OK;
        if (step == DX_BODY_DONE)
            return FRONT_END;
        if (step == DX_BODY_BAD)
            return FRONT_BAD;
        if (step == DX_BODY_TRAILERS)
            io = read_trailers(c, x, err);
        if (io != FRONT_WAIT)
            return io;
        io = fill_body(c, x, err);
        if (io != FRONT_OK)
            return io;
    }
}

static void go_raw(struct front *f, struct exchange *x)
{
    (void)f;
    dx_http1_body_init(&x->client_body, DX_FRAMING_CLOSE, 0);
}

/* --- writing --- */

static bool queue_head(struct exchange *x, const struct dx_response *r, const struct dx_forward_response *how,
                       size_t head_bytes)
{
    size_t cap = head_bytes + HEAD_EXTRA;
    char *p = dx_arena_alloc(&x->arena, cap);
    if (p == NULL)
        return false;
    struct dx_out out = dx_out_of(p, cap);
    if (!dx_forward_write_response(r, how, &out))
        return false;
    outlet_add(&x->down, dx_out_slice(&out));
    return true;
}

static bool write_interim(struct front *f, struct exchange *x, const struct dx_response *r)
{
    struct dx_forward_response how = {
        .client_minor = x->request.minor, .framing = DX_FRAMING_NONE, .keep_alive = true};
    (void)f;
    if (x->request.minor == 0)
        return true; /* RFC 9110 15.2: never to an HTTP/1.0 client */
    if (!outlet_empty(&x->down) && x->down.n >= INTERIMS_WAITING)
        return true; /* hints that come too late are none */
    size_t bytes = 0;
    for (unsigned i = 0; i < r->fields.n; i++)
        bytes += r->fields.at[i].name.n + r->fields.at[i].value.n + 4;
    return queue_head(x, r, &how, bytes);
}

/* A body of known length goes as it came; one of unknown length is chunked, or ends with the connection for
 * HTTP/1.0. */
static void decide_framing(struct exchange *x, const struct dx_response *r)
{
    x->down_framing = r->framing;
    if (r->framing == DX_FRAMING_CHUNKED || r->framing == DX_FRAMING_CLOSE)
        x->down_framing = x->request.minor == 0 ? DX_FRAMING_CLOSE : DX_FRAMING_CHUNKED;
    x->keep_client =
        x->keep_client && x->request.keep_alive && !x->proxy->stopping && x->down_framing != DX_FRAMING_CLOSE;
}

static bool write_head(struct front *f, struct exchange *x, const struct dx_response *r, size_t head_bytes)
{
    (void)f;
    bool upgrade = r->status == 101;
    if (upgrade)
        x->down_framing = DX_FRAMING_NONE;
    else
        decide_framing(x, r);
    struct dx_forward_response how = {
        .client_minor = x->request.minor,
        .framing = x->down_framing,
        .length = r->length,
        .keep_alive = x->keep_client,
        .upgrade = upgrade,
        .date = proxy_date(x->proxy),
    };
    bool of_server = r == &x->response;
    if (of_server && x->pool->sticky.by == DX_STICKY_COOKIE)
        how.set_cookie = sticky_cookie(x);
    if (DX_UNLIKELY(x->view->tells_timing))
        how.server_timing = trace_timing(x);
    return queue_head(x, r, &how, head_bytes + how.set_cookie.n);
}

static void write_body(struct front *f, struct exchange *x, struct dx_slice data)
{
    (void)f;
    outlet_add_body(&x->down, x->down_framing, data);
}

static bool write_end(struct front *f, struct exchange *x, const struct dx_fields *trailers)
{
    (void)f;
    return exchange_queue_end(x, &x->down, x->down_framing, trailers);
}

static enum front_io flush(struct front *f, struct exchange *x)
{
    struct client *c = client_of(f);
    if (x->discard)
        outlet_clear(&x->down);
    return from_io(outlet_flush(&x->down, &c->transport));
}

static struct dx_transport *source(struct front *f)
{
    struct client *c = client_of(f);
    return inlet_empty(&c->in) ? &c->transport : NULL;
}

static struct dx_transport *sink(struct front *f) { return &client_of(f)->transport; }

static bool local(struct front *f, struct dx_address *out)
{
    return dx_transport_local(&client_of(f)->transport, out);
}

static bool gone(struct front *f) { return client_of(f)->transport.hung_up; }

/* What is on its way still arrives, and then the connection ends inside the message. Where the end of the
 * connection is the end of the message, only a reset tells that it is not whole. */
static void break_off(struct front *f, struct exchange *x)
{
    struct client *c = client_of(f);
    if (x->down_framing == DX_FRAMING_CLOSE)
        dx_transport_reset(&c->transport);
}

static void say_no_more(struct front *f) { dx_transport_shutdown(&client_of(f)->transport); }

static void wake(struct front *f) { client_run(client_of(f)); }

const struct front_ops h1_front_ops = {
    .read_head = read_head,
    .known = known,
    .whole_body = whole_body,
    .read_body = read_body,
    .go_raw = go_raw,
    .write_interim = write_interim,
    .write_head = write_head,
    .write_body = write_body,
    .write_end = write_end,
    .flush = flush,
    .source = source,
    .sink = sink,
    .local = local,
    .gone = gone,
    .break_off = break_off,
    .say_no_more = say_no_more,
    .wake = wake,
};
