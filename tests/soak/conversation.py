# SPDX-License-Identifier: MIT
"""HTTP/1 and WebSockets as a client of the soak speaks them: just enough, and strict about what it is told.

Everything has a bound in time set by the caller (`asyncio.timeout`). Two ways to fail: `Cut` is a connection that ended
before the answer was whole, `Wrong` is anything that no server and no restart can excuse.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
import struct

from soak_bytes import Pattern

PIECE = 65536


class Cut(Exception):
    """The connection ended too early; `began` is whether a byte of the answer had come."""

    def __init__(self, began: bool, why: str = 'closed') -> None:
        super().__init__(f'{why}, {"in the middle of" if began else "before"} the answer')
        self.began = began


class Wrong(Exception):
    """A byte, a status or an order that must not be."""


class Answer:
    def __init__(self, version: str, status: int, fields: dict[str, str]) -> None:
        self.version, self.status, self.fields = version, status, fields
        self.body = b''
        self.size = 0


class Expected:
    """A body of which every byte is known: compared as it comes, so that what was cut is known to be right so far."""

    def __init__(self, seed: str, size: int) -> None:
        self.pattern, self.size, self.seen = Pattern(seed, size), size, 0

    def take(self, piece: bytes) -> None:
        for begin in range(0, len(piece), PIECE):
            part = memoryview(piece)[begin : begin + PIECE]
            if self.seen + len(part) > self.size or part != self.pattern.at(self.seen, len(part)):
                raise Wrong(f'wrong bytes behind byte {self.seen} of {self.size}')
            self.seen += len(part)

    def end(self) -> None:
        if self.seen != self.size:
            raise Wrong(f'an answer that looks whole has {self.seen} bytes of {self.size}')


class Connection:
    """One connection to diplex. `pause` is slept before each piece that is read: a slow reader."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.pause, self.piece = 0.0, PIECE
        self.usable = True  # for a next request

    @classmethod
    async def open(cls, port: int, receive_buffer: int = 0) -> Connection:
        plain = socket.socket(socket.AF_INET)
        plain.setblocking(False)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(plain, ('127.0.0.1', port))
            limit = receive_buffer or PIECE
            return cls(*await asyncio.open_connection(sock=plain, limit=limit))
        except BaseException:
            plain.close()
            raise

    async def send(self, data: bytes) -> None:
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (ConnectionError, OSError):
            self.usable = False  # the answer, or its absence, says what happened

    def request(self, method: str, target: str, fields: dict[str, str] | None = None, version: str = '1.1') -> bytes:
        lines = [f'{method} {target} HTTP/{version}', 'Host: localhost', *(f'{k}: {v}' for k, v in (fields or {}).items())]
        return '\r\n'.join([*lines, '', '']).encode()

    async def _head(self) -> Answer:
        try:
            raw = await self.reader.readuntil(b'\r\n\r\n')
        except asyncio.IncompleteReadError as error:
            raise Cut(bool(error.partial)) from None
        except (ConnectionError, OSError) as error:
            raise Cut(False, type(error).__name__) from None
        lines = raw.decode('latin-1').split('\r\n')
        version, status, _ = (lines[0] + '  ').split(' ', 2)
        fields = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(':')
            if name.lower() in fields and name.lower() in ('content-length', 'transfer-encoding', 'x-soak-id'):
                raise Wrong(f'{name} twice')
            fields[name.lower()] = value.strip()
        if not version.startswith('HTTP/1.') or not status.isdigit():
            raise Wrong(f'an answer that begins with {lines[0]!r}')
        return Answer(version, int(status), fields)

    async def head(self) -> Answer:
        """The head of the final answer; interim ones are passed over."""
        while True:
            answer = await self._head()
            if answer.status >= 200 or answer.status == 101:
                return answer

    async def _some(self, most: int) -> bytes:
        if self.pause:
            await asyncio.sleep(self.pause)
        try:
            return await self.reader.read(min(most, self.piece))
        except (ConnectionError, OSError) as error:
            raise Cut(True, type(error).__name__) from None

    async def _counted(self, size: int, take) -> None:
        while size > 0:
            piece = await self._some(size)
            if not piece:
                raise Cut(True)
            take(piece)
            size -= len(piece)

    async def _chunk_line(self) -> bytes:
        try:
            return await self.reader.readuntil(b'\r\n')
        except asyncio.IncompleteReadError:
            raise Cut(True) from None
        except (ConnectionError, OSError) as error:
            raise Cut(True, type(error).__name__) from None

    async def _chunks(self, take) -> None:
        while size := int(await self._chunk_line(), 16):
            await self._counted(size, take)
            if await self._chunk_line() != b'\r\n':
                raise Wrong('a chunk without its end')
        while await self._chunk_line() != b'\r\n':
            pass

    async def body(self, answer: Answer, take, method: str = 'GET') -> None:
        """Hand each piece of the body to `take`; Cut when it ends too early."""

        def count(piece: bytes) -> None:
            answer.size += len(piece)
            take(piece)

        fields = answer.fields
        self.usable = self.usable and fields.get('connection', '').lower() != 'close' and answer.version == 'HTTP/1.1'
        if method == 'HEAD' or answer.status in (204, 304):
            return
        if 'transfer-encoding' in fields:
            await self._chunks(count)
        elif 'content-length' in fields:
            await self._counted(int(fields['content-length']), count)
        else:
            self.usable = False
            while piece := await self._some(PIECE):
                count(piece)

    async def answer(self, expected: Expected | None = None, method: str = 'GET') -> Answer:
        """A whole answer; its body is compared or, where nothing is expected, kept."""
        answer = await self.head()
        kept = bytearray()
        as_expected = expected is not None and answer.status == 200
        await self.body(answer, expected.take if as_expected else kept.extend, method)
        if as_expected and method != 'HEAD':
            expected.end()
        answer.body = bytes(kept)
        return answer

    async def until_close(self) -> bytes:
        """What still comes until the other side ends the connection."""
        rest = bytearray()
        with contextlib.suppress(ConnectionError, OSError):
            while piece := await self.reader.read(PIECE):
                rest += piece
        return bytes(rest)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, OSError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Gone at once, and what was on its way with it."""
        plain = self.writer.get_extra_info('socket')
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.writer.transport.abort()


class WebSocket:
    """RFC 6455 from the client's side, with digests of what went and what came back."""

    TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

    def __init__(self, connection: Connection, rng: random.Random) -> None:
        self.connection, self.rng = connection, rng
        self.sent, self.got, self.bytes = hashlib.sha256(), hashlib.sha256(), 0

    async def begin(self, target: str) -> int:
        fields = {'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Version': '13',
                  'Sec-WebSocket-Key': 'c29hayBzb2FrIHNvYWsgcw=='}
        await self.connection.send(self.connection.request('GET', target, fields))
        answer = await self.connection.head()
        if answer.status == 101 and answer.fields.get('sec-websocket-accept') != '3SU2ozo3jKhTvJgzPiIQxb4JQow=':
            raise Wrong(f'the key was answered with {answer.fields.get("sec-websocket-accept")}')
        return answer.status

    def _frame(self, opcode: int, payload: bytes, last: bool = True) -> bytes:
        mask, n = self.rng.randbytes(4), len(payload)
        short = n if n < 126 else 126 if n < 65536 else 127
        length = b'' if n < 126 else struct.pack('>H' if n < 65536 else '>Q', n)
        times = (mask * (n // 4 + 1))[:n]
        masked = (int.from_bytes(payload, 'little') ^ int.from_bytes(times, 'little')).to_bytes(n, 'little')
        return bytes([(0x80 if last else 0) | opcode, 0x80 | short]) + length + mask + masked

    async def send(self, opcode: int, payload: bytes) -> None:
        cut = self.rng.randrange(len(payload) + 1)
        if opcode in (self.TEXT, self.BINARY):
            self.sent.update(payload)
            self.bytes += len(payload)
        if opcode in (self.TEXT, self.BINARY) and self.rng.random() < 0.3:
            await self.connection.send(self._frame(opcode, payload[:cut], last=False) + self._frame(0, payload[cut:]))
        else:
            await self.connection.send(self._frame(opcode, payload))

    async def receive(self) -> tuple[int, bytes]:
        """The next message that is no ping; a close frame is one."""
        kind, whole = 0, b''
        try:
            while True:
                first, second = await self.connection.reader.readexactly(2)
                n = second & 0x7F
                if n >= 126:
                    n = int.from_bytes(await self.connection.reader.readexactly(2 if n == 126 else 8), 'big')
                payload = await self.connection.reader.readexactly(n)
                opcode = first & 0x0F
                if opcode == self.PING:
                    await self.connection.send(self._frame(self.PONG, payload))
                    continue
                kind, whole = opcode or kind, whole + payload if opcode in (0, self.TEXT, self.BINARY) else payload
                if first & 0x80:
                    break
        except asyncio.IncompleteReadError:
            raise Cut(True) from None
        except (ConnectionError, OSError) as error:
            raise Cut(True, type(error).__name__) from None
        if kind in (self.TEXT, self.BINARY):
            self.got.update(whole)
        return kind, whole
