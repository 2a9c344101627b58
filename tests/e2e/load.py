# SPDX-License-Identifier: MIT
"""Continuous load of every kind, in which nothing is tried again: what fails once is a failure.

A client that keeps its connection may meet its end between two requests. Where diplex has announced that (`Connection:
close` in the answer before), it makes a new one; an end that nobody announced is counted apart, as `unannounced`. A client
that follows an address which comes and goes counts refusals apart, as `refused`: nobody listens there, and it goes to the
next address.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
import socket
import threading
import time

import websockets
import websockets.sync.client
from wire import PATIENCE

ANSWER_WITHIN = 4 * PATIENCE
ROUNDS = int(os.environ.get('DIPLEX_NODROP_ROUNDS', '1'))  # more for a longer run by hand


class Lost(Exception):
    """An answer that did not come, or not whole."""


class Line:
    """One connection, read exactly."""

    def __init__(self, address) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(ANSWER_WITHIN)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.rest = b''

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise Lost('the connection ended')
        return data

    def until(self, end: bytes) -> bytes:
        while end not in self.rest:
            self.rest += self.more()
        piece, _, self.rest = self.rest.partition(end)
        return piece

    def exactly(self, count: int) -> bytes:
        while len(self.rest) < count:
            self.rest += self.more()
        piece, self.rest = self.rest[:count], self.rest[count:]
        return piece

    def head(self) -> tuple[int, dict]:
        lines = self.until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        fields = dict(line.lower().split(': ', 1) for line in lines[1:])
        return int(lines[0].split()[1]), fields

    def body(self, fields: dict) -> bytes:
        if 'content-length' in fields:
            return self.exactly(int(fields['content-length']))
        whole = b''
        while size := int(self.until(b'\r\n'), 16):
            whole += self.exactly(size)
            self.exactly(2)
        self.until(b'\r\n')
        return whole


def get(path: str, close: bool = False) -> bytes:
    return f'GET {path} HTTP/1.1\r\nHost: localhost\r\n{"Connection: close" if close else "X-Keep: 1"}\r\n\r\n'.encode()


class Load:
    """with Load(addresses) as load: ...; load.check() after it. `addresses` may be changed by whoever runs it."""

    def __init__(self, *addresses) -> None:
        self.addresses = list(addresses)
        self.counts = collections.Counter()
        self.failures: list[str] = []
        self.longest = 0.0
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []

    def start(self, *kinds, copies: int = 1, **options) -> Load:
        for kind in kinds:
            for _ in range(copies):
                thread = threading.Thread(target=self.run, args=(kind.__name__, kind, options), daemon=True)
                self.threads.append(thread)
                thread.start()
        return self

    def run(self, name: str, kind, options) -> None:
        try:
            kind(self, **options)
        except (OSError, Lost, ValueError, AssertionError, websockets.WebSocketException) as problem:
            if not self.stop.is_set():
                self.failures.append(f'{name}: {type(problem).__name__}: {problem}')

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(2 * ANSWER_WITHIN)

    def beat(self, kind: str) -> None:
        self.counts[kind] += 1

    def wait_for(self, count: int, seconds: float = ANSWER_WITHIN) -> None:
        """Until every kind that runs has been answered so many times more."""
        before = dict(self.counts)
        deadline = time.monotonic() + seconds
        while any(self.counts[kind] < had + count for kind, had in before.items() if kind not in ('refused', 'announced', 'unannounced')):
            assert not self.failures, self.failures
            assert time.monotonic() < deadline, (before, self.counts)
            time.sleep(0.02)

    def check(self, *kinds) -> None:
        assert not self.failures, f'{len(self.failures)} failed:\n' + '\n'.join(self.failures[:20]) + f'\n{self.counts}'
        assert all(self.counts[kind] > 0 for kind in kinds), self.counts


# ---- kinds of clients ----------------------------------------------------------------------------------------------

PATHS = ('/api/hello/', '/async/hello/')


def ask(load: Load, line: Line, path: str, close: bool = False) -> dict:
    began = time.monotonic()
    line.send(get(path, close))
    status, fields = line.head()
    body = line.body(fields)
    load.longest = max(load.longest, time.monotonic() - began)
    assert status == 200 and body, f'{path}: {status} {body[:200]!r}'
    return fields


def newcomers(load: Load, paths=PATHS) -> None:
    """A connection for each request."""
    for path in itertools.cycle(paths):
        if load.stop.is_set():
            return
        line = Line(load.addresses[0])
        try:
            ask(load, line, path, close=True)
        finally:
            line.close()
        load.beat('newcomers')
        time.sleep(0.002)


def keepers(load: Load, paths=PATHS, pause: float = 0.003) -> None:
    """One connection for as long as it is kept."""
    line = None
    answered = 0
    for path in itertools.cycle(paths):
        if load.stop.is_set():
            break
        if line is None:
            line, answered = Line(load.addresses[0]), 0
        try:
            fields = ask(load, line, path)
        except (Lost, ConnectionError, BrokenPipeError):
            if answered == 0 or line.rest:
                raise
            load.beat('unannounced')
            line.close()
            line = None
            continue
        answered += 1
        load.beat('keepers')
        if fields.get('connection') == 'close':
            load.beat('announced')
            line.close()
            line = None
        time.sleep(pause)
    if line is not None:
        line.close()


def uploaders(load: Load, path='/api/upload/', pieces: int = 4, size: int = 30000) -> None:
    """A body that comes slowly."""
    while not load.stop.is_set():
        line = Line(load.addresses[0])
        try:
            line.send(
                f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nConnection: close\r\n'
                f'Content-Length: {pieces * size}\r\n\r\n'.encode()
            )
            for _ in range(pieces):
                line.send(b'x' * size)
                time.sleep(0.01)
            status, fields = line.head()
            body = line.body(fields)
            assert status == 200 and json.loads(body)['size'] == pieces * size, (status, body[:200])
        finally:
            line.close()
        load.beat('uploaders')


def listeners(load: Load, path: str = '/async/events/?count=100000&interval=50') -> None:
    """One stream of events that never ends by itself."""
    line = Line(load.addresses[0])
    with contextlib.closing(line):
        line.send(get(path))
        status, fields = line.head()
        assert status == 200, status
        while not load.stop.is_set():
            size = int(line.until(b'\r\n'), 16)
            assert size > 0, 'the stream has ended'
            line.exactly(size + 2)
            load.beat('listeners')


def talkers(load: Load, path: str = '/async/ws/echo') -> None:
    """One WebSocket, from beginning to end."""
    address = load.addresses[0]
    line = Line(address)
    with websockets.sync.client.connect(
        f'ws://localhost{path}', sock=line.socket, proxy=None, open_timeout=ANSWER_WITHIN, close_timeout=2
    ) as talk:
        for number in itertools.count():
            if load.stop.is_set():
                return
            talk.send(str(number))
            assert talk.recv(ANSWER_WITHIN) == str(number)
            load.beat('talkers')
            time.sleep(0.02)


def followers(load: Load, paths=PATHS) -> None:
    """A connection for each request, to whichever of the addresses answers. Once connected, it is answered."""
    turn = itertools.count()
    for path in itertools.cycle(paths):
        if load.stop.is_set():
            return
        address = load.addresses[next(turn) % len(load.addresses)]
        try:
            line = Line(address)
        except (ConnectionRefusedError, FileNotFoundError):
            load.beat('refused')
            continue
        try:
            ask(load, line, path, close=True)
        except OSError as problem:
            raise Lost(f'{address}: {problem!r}') from None
        finally:
            line.close()
        load.beat('followers')
        time.sleep(0.002)


def last_ones(load: Load, path: str = '/async/hello/') -> None:
    """A connection for each request, until nobody listens any more. Once connected, it is answered."""
    while True:
        try:
            line = Line(load.addresses[0])
        except (ConnectionRefusedError, FileNotFoundError):
            load.beat('refused')
            return
        with contextlib.closing(line):
            ask(load, line, path, close=True)
        load.beat('last_ones')


EVERYBODY = (newcomers, keepers, uploaders, listeners, talkers)
