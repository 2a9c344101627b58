/* SPDX-License-Identifier: MIT */
/*
 * Sockets: listening, dialling, and the transport: what one connection reads, writes and knows of its
 * readiness. Plain TCP and Unix sockets today; TLS is to be a second set of operations behind the same face,
 * with bytes that may be pending inside it.
 */
#ifndef DIPLEX_NET_H
#define DIPLEX_NET_H

#include <sys/uio.h>

#include "diplex/base/err.h"
#include "diplex/loop.h"
#include "diplex/os/address.h"
#include "diplex/os/pipe.h"

/* A listening socket, non-blocking, close-on-exec. TCP: SO_REUSEADDR, and SO_REUSEPORT when asked. Unix: a
 * file that nobody answers on is replaced, the new one gets `mode`. */
bool dx_listen_open(const struct dx_address *a, bool reuse_port, unsigned mode, int *fd,
                    struct dx_err *err) DX_CHECKED;

/* Takes a listening socket over that somebody else opened: non-blocking, close-on-exec, with the options of
 * our own. False, and nothing was changed: it is no listening stream socket of TCP or Unix. */
bool dx_listen_adopt(int fd, struct dx_address *a, struct dx_err *err) DX_CHECKED;

/* Before a listening socket is closed. TCP: who begins a connection now is not answered by the kernel, who
 * has begun comes to be accepted; a moment later nobody is left out. Who was not answered asks again after a
 * second, and is refused. Unix: nothing; a connection is made in one step, and dx_listen_end comes before the
 * last accept. */
void dx_listen_refuse(int listener);
/* For the listener, and for what was accepted from it meanwhile. */
void dx_listen_refuse_no_more(int fd);
/* The last step: a Unix socket refuses from now on, and what waits in it can still be accepted. */
void dx_listen_end(int listener);
/* Of the sockets that share a port, in the order in which they were opened, only the first n get connections
 * from now on; 0: all of them. A kernel that cannot do it spreads them over all. */
void dx_listen_steer(int listener, unsigned n);

/* Accepts one connection, non-blocking, TCP_NODELAY inherited: the descriptor, or -1 with errno (EAGAIN: none
 * waits). A Unix peer has no name: its address is of family AF_UNIX and its text "unix". */
int dx_listen_accept(int listener, struct dx_address *peer);

/* A descriptor that is good for nothing but to be given up for another one. -1: there is none. */
int dx_net_reserve(void);

enum dx_io {
    DX_IO_OK,    /* some bytes moved */
    DX_IO_AGAIN, /* none could; an edge will tell */
    DX_IO_EOF,   /* reading: the other side has finished sending */
    DX_IO_ERROR, /* broken; errno says how */
};

struct dx_transport {
    struct dx_watch watch;   /* watch.fd is the socket; its on_event calls dx_transport_ready first */
    bool readable, writable; /* as far as known: cleared when the kernel said no, set by an edge */
    bool watched_over;       /* dx_transport_watch_over was called */
    bool hung_up; /* the other side closed or half-closed: an edge said so; bytes may still wait to be read */
    bool unsure;  /* the last read was short: a reset may stand behind it, of which no edge will tell */
};

/* Takes the descriptor over; watch.on_event must be set. `connected` false: a dial under way; the first edge
 * ends it (dx_dial_result). False: errno. */
bool dx_transport_open(struct dx_transport *t, struct dx_loop *l, int fd, bool connected) DX_CHECKED;
/* Notes what an edge said. */
static inline void dx_transport_ready(struct dx_transport *t, unsigned what)
{
    t->readable |= (what & (DX_READ | DX_HUNG_UP)) != 0;
    t->writable |= (what & DX_WRITE) != 0;
    t->hung_up |= (what & DX_HUNG_UP) != 0;
}
/* Whether to try to read. After a short read it says yes once more: where bytes and a reset came together,
 * one edge told of both, and it looked like bytes alone (libevent makes readiness of EPOLLERR). Asked only
 * where more is really wanted, since the try is a system call. */
static inline bool dx_transport_may_read(struct dx_transport *t)
{
    bool may = t->readable || t->unsure;
    t->unsure = false;
    return may;
}
/* At most cap bytes. A short read clears `readable`: the next edge sets it again. */
enum dx_io dx_transport_receive(struct dx_transport *t, char *buf, size_t cap, size_t *got);
/* Gathers; *sent may be less than all, then `writable` is clear. `more`: another piece follows at once
 * (MSG_MORE). */
enum dx_io dx_transport_send(struct dx_transport *t, const struct iovec *iov, int n, bool more, size_t *sent);
/* From the socket into an empty pipe, and from a pipe to the socket: as receive and send, and nothing is
 * copied. A pipe may be full before the socket is empty, so only DX_IO_AGAIN clears `readable`. */
enum dx_io dx_transport_take(struct dx_transport *t, struct dx_pipe *p, size_t most);
enum dx_io dx_transport_give(struct dx_transport *t, struct dx_pipe *p);
/* From `*at` of a file on, at most `most` bytes; *at is advanced. DX_IO_EOF: the file ends before `*at`. */
enum dx_io dx_transport_send_file(struct dx_transport *t, int file, int64_t *at, size_t most);
/* Bytes that were sent and that the other side has not acknowledged: they wait in the kernel or are on their
 * way. */
size_t dx_transport_pending(const struct dx_transport *t);
/* Looks, without taking a byte, whether the connection is broken or ended (hung_up) or has nothing to read
 * (readable is cleared). */
void dx_transport_look(struct dx_transport *t);
/* The kernel is to find out whether the other side, silent for minutes, is there still: for connections that
 * may be silent for long. Those that a listener accepts have it from there. Again has no effect. */
void dx_transport_watch_over(struct dx_transport *t);
void dx_transport_shutdown(struct dx_transport *t); /* no more bytes from us */
void dx_transport_close(struct dx_transport *t);    /* fine when not open */
void dx_transport_reset(struct dx_transport *t); /* closes with RST: what was sent is not a whole message */
/* The address of our end. */
bool dx_transport_local(const struct dx_transport *t, struct dx_address *out) DX_CHECKED;
static inline bool dx_transport_is_open(const struct dx_transport *t) { return t->watch.fd >= 0; }

/* Starts to connect: *fd and whether it is connected already (Unix). False: it failed at once; errno. EAGAIN:
 * the backlog of a Unix socket is full. */
bool dx_dial_start(const struct dx_address *a, int *fd, bool *connected) DX_CHECKED;
/* After the first edge: 0 when connected, else the errno. EINPROGRESS: not yet. */
int dx_dial_result(int fd);

#endif
