# SPDX-License-Identifier: MIT
"""The clients of `tests/bench/pools`: quick ones that time one request each, and slow ones that hold on to theirs.

All run on one asyncio loop: what is compared takes milliseconds and more, and a few hundred requests a second are the
most that is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import socket
import time

SLOW_RECEIVE_BYTES = 4096  # of kernel buffer: what is not read has to wait on the other side
SLOW_MSS = 1460  # as on a network; on loopback segments of 64 KiB make the sender's buffer megabytes large
SLOW_TICK = 0.25


@dataclasses.dataclass
class Answer:
    """One request: when it was due, when it was answered, and with what; no status where there was no whole answer."""

    due: float
    ended: float
    status: int | None

    @property
    def good(self) -> bool:
        return self.status == 200

    @property
    def seconds(self) -> float:
        return self.ended - self.due


def head(method: str, target: str, length: int | None = None, close: bool = True) -> bytes:
    fields = ['Host: bench.test', *(['Connection: close'] if close else []),
              *([f'Content-Length: {length}'] if length is not None else [])]
    return '\r\n'.join((f'{method} {target} HTTP/1.1', *fields, '', '')).encode()


async def _read(reader: asyncio.StreamReader) -> int | None:
    """The status, once the whole answer is there."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        first = (await reader.readuntil(b'\r\n\r\n')).decode('latin-1')
        length = re.search(r'^content-length: *(\d+)', first, re.I | re.M)
        if length:
            await reader.readexactly(int(length.group(1)))
        elif re.search(r'^transfer-encoding: *chunked', first, re.I | re.M):
            while size := int((await reader.readuntil(b'\r\n')), 16):
                await reader.readexactly(size + 2)
        else:
            await reader.read()
        return int(first.split(' ', 2)[1])
    return None


class Connection:
    """One request on a connection of its own. It may be made early, and the request sent when its time has come."""

    def __init__(self, port: int, source: str = '127.0.0.1'):
        self.port, self.source = port, source
        self.reader = self.writer = None

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection('127.0.0.1', self.port,
                                                                 local_addr=(self.source, 0))

    async def ask(self, target: str, method: str = 'GET', body: bytes | None = None, patience: float = 30.0,
                  due: float | None = None) -> Answer:
        due = time.monotonic() if due is None else due
        status = None
        try:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                async with asyncio.timeout(patience):
                    if self.writer is None:
                        await self.open()
                    self.writer.write(head(method, target, None if body is None else len(body)) + (body or b''))
                    status = await _read(self.reader)
        finally:
            if self.writer is not None:
                self.writer.close()
        return Answer(due, time.monotonic(), status)


async def paced(period: float, seconds: float, ask) -> list[Answer]:
    """Asks every `period`, whether or not those before are answered; `ask(number, due)` is a coroutine."""
    began = time.monotonic()
    tasks = []
    for number in range(round(seconds / period)):
        due = began + number * period
        await asyncio.sleep(due - time.monotonic())
        tasks.append(asyncio.create_task(ask(number, due)))
    return await asyncio.gather(*tasks)


class SlowClient:
    """Uploads and then reads at a few bytes a second, again and again.

    When the measurement begins it is somewhere on its way, as it would be on any site that has been up for a while: so
    much of its first request, and of the answer to it, passes at once.
    """

    def __init__(self, port: int, upload: int, download: int, pace: int, uploaded: int, read: int):
        self.port, self.pace = port, pace
        self.upload, self.download = upload, download
        self.uploaded, self.read = uploaded, read
        self.cut = 0  # requests that ended without a whole answer of status 200
        self.passed = 0  # bytes of answers

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._once()
            except OSError:
                self.cut += 1
                await asyncio.sleep(SLOW_TICK)
            self.uploaded = self.read = 0

    async def _once(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BYTES)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SLOW_MSS)
            await loop.sock_connect(client, ('127.0.0.1', self.port))
            target = f'/view?ms=10&bytes={self.download}'
            await loop.sock_sendall(client, head('POST', target, self.upload) + b'u' * self.uploaded)
            sent = self.uploaded
            while sent < self.upload:
                await asyncio.sleep(SLOW_TICK)
                piece = min(int(self.pace * SLOW_TICK), self.upload - sent)
                await loop.sock_sendall(client, b'u' * piece)
                sent += piece
            await self._take(client, loop)

    async def _take(self, client: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        got = 0
        while got < self.download:
            quick = got < self.read
            piece = await loop.sock_recv(client, 4096 if quick else max(int(self.pace * SLOW_TICK), 1))
            if not piece or (got == 0 and b' 200 ' not in piece[:16]):
                raise ConnectionError('cut')
            got += len(piece)
            self.passed += len(piece)
            if not quick:
                await asyncio.sleep(SLOW_TICK)
