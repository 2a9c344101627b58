# SPDX-License-Identifier: MIT
"""gunicorn's own clock: how long its sync workers are held by a request, and how long of that by the close.

After each answer a sync worker half-closes the connection and waits, for two seconds at most, until the other side has
closed too. Each worker adds what it sees to its row of a shared file; pool_gunicorn.py reads it.
"""

import mmap
import os
import socket
import struct
import time

import gunicorn.util

ROW = struct.Struct('ddd')  # requests, seconds held, seconds of those in the close
ROWS = 256
MSS = int(os.environ.get('BENCH_MSS', '0'))


def when_ready(server):
    """Small segments, as on a network: on loopback the kernel's own buffers are large enough to hide a slow reader."""
    if MSS:
        for listener in server.LISTENERS:
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, MSS)


def post_worker_init(worker):
    with open(os.environ['BENCH_HELD'], 'r+b') as file:
        rows = mmap.mmap(file.fileno(), ROW.size * ROWS)
    at = ROW.size * (os.getpid() % ROWS)
    seen = list(ROW.unpack_from(rows, at))
    handle, close = worker.handle, gunicorn.util.close_graceful

    def timed_close(*args, **kwargs):
        began = time.perf_counter()
        try:
            close(*args, **kwargs)
        finally:
            seen[2] += time.perf_counter() - began

    def timed_handle(*args):
        began = time.perf_counter()
        try:
            handle(*args)
        finally:
            seen[0] += 1
            seen[1] += time.perf_counter() - began
            ROW.pack_into(rows, at, *seen)

    worker.handle, gunicorn.util.close_graceful = timed_handle, timed_close
