/* SPDX-License-Identifier: MIT */
/*
 * The client's side of an exchange. HTTP/1.x connections are its first implementation (client.c); a stream of
 * HTTP/2 is to be the second, so nothing here speaks of connections. Writing queues; flush sends. Slices
 * given to write_body stay in place until flush has said FRONT_OK.
 */
#ifndef PROXY_FRONT_H
#define PROXY_FRONT_H

#include "diplex/forward.h"

enum front_io {
    FRONT_OK,
    FRONT_WAIT, /* the client has to send or take something first */
    FRONT_END,  /* reading: the body is complete */
    FRONT_BAD,  /* what came breaks the rules: *err */
    FRONT_GONE, /* the client has left */
};

struct exchange;

struct front {
    const struct front_ops *ops;
    struct dx_slice ip; /* who is at the other end: "192.0.2.1", "2001:db8::1", "unix" */
    uint16_t port;      /* of that address; 0: it has none */
    bool https;
    bool anonymous; /* a load balancer that did not say for whom it speaks: what it claims is not believed */
    uint32_t since_s; /* when its connection was made, by the loop's clock */
};

struct front_ops {
    /* The request's head into x->request; its slices live as long as the exchange. */
    enum front_io (*read_head)(struct front *f, struct exchange *x, struct dx_http_error *err);
    /* What can be said of a head that was refused or is not whole, into x->request: for the log, and for the
     * form of the answer. */
    void (*known)(struct front *f, struct exchange *x);
    /* The body, when all of it is here already: it need not be read then. */
    bool (*whole_body)(struct front *f, struct exchange *x, struct dx_slice *body);
    /* A piece of the body, until the next call. FRONT_END: trailers have been read too, and dropped. */
    enum front_io (*read_body)(struct front *f, struct exchange *x, struct dx_slice *data,
                               struct dx_http_error *err);
    /* From here on bytes are carried as they are (a tunnel). */
    void (*go_raw)(struct front *f, struct exchange *x);

    bool (*write_interim)(struct front *f, struct exchange *x, const struct dx_response *r);
    /* Decides x->down_framing and x->keep_client. False: out of memory. */
    bool (*write_head)(struct front *f, struct exchange *x, const struct dx_response *r, size_t head_bytes);
    void (*write_body)(struct front *f, struct exchange *x, struct dx_slice data);
    bool (*write_end)(struct front *f, struct exchange *x, const struct dx_fields *trailers);
    enum front_io (*flush)(struct front *f, struct exchange *x); /* OK, WAIT, GONE */

    /* The socket that the rest of the body will come from as it is: none of it was received yet. NULL: ask
     * read_body. */
    struct dx_transport *(*source)(struct front *f);
    /* The socket that takes bytes of a body as they are. NULL: use write_body. */
    struct dx_transport *(*sink)(struct front *f);

    /* The address that the client connected to, as far as the socket knows. */
    bool (*local)(struct front *f, struct dx_address *out);

    bool (*gone)(struct front *f); /* the client has closed, as far as is known without reading */
    void (*break_off)(struct front *f,
                      struct exchange *x); /* so that the client sees that the answer is not whole */
    void (*say_no_more)(struct front *f);  /* no more bytes to the client; reading goes on */
    void (*wake)(struct front *f);         /* something outside happened: run the exchange */
};

#endif
