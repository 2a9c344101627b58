/* SPDX-License-Identifier: MIT */
/*
 * What the origin and the load generator say to each other beyond HTTP: WebSocket messages that all have the
 * same size (RFC 6455 5.2), and events that carry the time at which they were written.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

/* The example of RFC 6455 1.3: a key and the answer to it. */
#define FRAMES_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define FRAMES_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum {
    FRAME_PAYLOAD_BYTES = 64,
    FRAME_UP_BYTES = 2 + 4 + FRAME_PAYLOAD_BYTES, /* clients mask */
    FRAME_DOWN_BYTES = 2 + FRAME_PAYLOAD_BYTES,
    EVENT_BYTES = 64, /* "data: ", nanoseconds of the monotonic clock, dots, an empty line */
    EVENT_PERIOD_MS = 100,
};

#endif
