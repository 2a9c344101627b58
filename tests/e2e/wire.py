# SPDX-License-Identifier: MIT
"""Both ends of a conversation, byte by byte: a client that says exactly what a test wants, and a server that does.

`RawClient` sends any bytes and reads answers framed by h11, which refuses malformed ones. `ScriptedServer` runs a
Python function for each connection, for behaviour that real servers cannot be brought to show. Every wait is bounded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import h11

PATIENCE = 20.0


@dataclasses.dataclass
class Response:
    """One answer: its informational predecessors, head, body and trailers."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b''
    trailers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    informational: list[tuple[int, list[tuple[str, str]]]] = dataclasses.field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f'{name} came {len(values)} times: {values}'
        return values[0] if values else None

    def json(self) -> dict:
        return json.loads(self.body)


def _fields(headers) -> list[tuple[str, str]]:
    return [(name.decode('latin-1').lower(), value.decode('latin-1')) for name, value in headers]


class RawClient:
    """A client socket. `address` is (host, port) or the path of a Unix socket."""

    def __init__(self, address, patience: float = PATIENCE, source: str | None = None) -> None:
        """`source`: the address to come from; any of 127.0.0.0/8 is this machine's."""
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ':' in address[0] else socket.AF_INET
        )
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b''
        self._parser: h11.Connection | None = None

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode('latin-1') if isinstance(data, str) else data)

    def send_chunk(self, data: bytes) -> None:
        self.send(b'%x\r\n' % len(data) + data + b'\r\n')

    def request(self, method: str, target: str, headers: dict | None = None, body: bytes | None = None) -> None:
        """Send a request with `Host: localhost` unless the headers say otherwise, and a length for its body."""
        fields = {'Host': 'localhost', **(headers or {})}
        if body is not None:
            fields['Content-Length'] = str(len(body))
        lines = [f'{method} {target} HTTP/1.1', *(f'{name}: {value}' for name, value in fields.items())]
        self.send('\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + (body or b''))

    def ask(self, method: str, target: str, headers: dict | None = None, body: bytes | None = None) -> Response:
        self.request(method, target, headers, body)
        return self.response(method)

    def head(self, method: str = 'GET', upgrade: bool = False) -> Response:
        """Read up to the end of an answer's head; the body is then read by `pieces` or `rest_of_body`."""
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        fields = [('Host', 'localhost')] + ([('Connection', 'Upgrade'), ('Upgrade', 'websocket')] if upgrade else [])
        self._parser.send(h11.Request(method=method, target='/', headers=fields))
        self._parser.send(h11.EndOfMessage())
        if self._left:
            self._parser.receive_data(self._left)
            self._left = b''
        informational = []
        while True:
            event = self._event()
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                informational.append((event.status_code, _fields(event.headers)))
                continue
            assert isinstance(event, (h11.Response, h11.InformationalResponse)), f'expected a head, got {event!r}'
            if event.status_code == 101:
                self._left = self._parser.trailing_data[0]
            return Response(
                event.status_code, event.reason.decode('latin-1'), _fields(event.headers), informational=informational
            )

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives, without its framing."""
        while True:
            event = self._event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
                continue
            assert isinstance(event, h11.EndOfMessage), f'body broke off: {event!r}'
            self.trailers = _fields(event.headers)
            self._left = self._parser.trailing_data[0]
            return

    def response(self, method: str = 'GET') -> Response:
        answer = self.head(method)
        answer.body = b''.join(self.pieces())
        answer.trailers = self.trailers
        return answer

    def _event(self):
        while (event := self._parser.next_event()) is h11.NEED_DATA:
            data = self.socket.recv(65536)
            if not data and self._parser.their_state is h11.SEND_RESPONSE:
                raise ConnectionError('closed without an answer')
            self._parser.receive_data(data)
        return event

    def recv(self, size: int = 65536) -> bytes:
        """Raw bytes, first those read beyond the last answer; b'' when the other side has closed."""
        if self._left:
            data, self._left = self._left[:size], self._left[size:]
            return data
        return self.socket.recv(size)

    def read_exactly(self, size: int) -> bytes:
        data = b''
        while len(data) < size:
            piece = self.recv(size - len(data))
            assert piece, f'closed after {len(data)} of {size} bytes'
            data += piece
        return data

    def read_until_close(self) -> bytes:
        data = b''
        with contextlib.suppress(ConnectionResetError):
            while piece := self.recv():
                data += piece
        return data

    def closed_within(self, seconds: float) -> bool:
        """True when the other side closes without sending anything more."""
        if self._left:
            return False
        readable, _, _ = select.select([self.socket], [], [], seconds)
        if not readable:
            return False
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b''
        except ConnectionResetError:
            return True

    def is_silent_for(self, seconds: float) -> bool:
        return not self._left and not select.select([self.socket], [], [], seconds)[0]

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Leave rudely: the other side gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()


@dataclasses.dataclass
class Request:
    """A request as a scripted server received it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    raw_head: bytes
    body: bytes = b''

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f'{name} came {len(values)} times: {values}'
        return values[0] if values else None


class ServerConnection:
    """One connection of a scripted server, with everything it received so far."""

    def __init__(self, connection: socket.socket, index: int) -> None:
        self.socket = connection
        self.index = index
        self.received = bytearray()
        self.requests: list[Request] = []
        self._unread = b''

    def recv(self) -> bytes:
        """Whatever comes next; b'' when the peer has closed its side."""
        if self._unread:
            data, self._unread = self._unread, b''
            return data
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, TimeoutError):
            return b''
        self.received += data
        return data

    def read_head(self) -> Request | None:
        """Read a request's head, or None when the peer closed before it was complete."""
        data = b''
        while b'\r\n\r\n' not in data:
            piece = self.recv()
            if not piece:
                return None
            data += piece
        raw, _, self._unread = data.partition(b'\r\n\r\n')
        first, *lines = raw.decode('latin-1').split('\r\n')
        method, target, version = first.split(' ')
        assert version == 'HTTP/1.1', f'a server must be asked with HTTP/1.1, not {version}'
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(':') for line in lines)]
        request = Request(method, target, headers, raw + b'\r\n\r\n')
        self.requests.append(request)
        return request

    def read_request(self) -> Request | None:
        """Read a request with its body, or what came of it, whichever way it is framed."""
        request = self.read_head()
        if request is None:
            return None
        if request.get('transfer-encoding') is not None:
            parser = h11.Connection(h11.SERVER)
            parser.receive_data(request.raw_head)
            parser.next_event()
            while not isinstance(event := self._next(parser), h11.EndOfMessage):
                if event is None:
                    return request
                request.body += bytes(event.data)
            self._unread = parser.trailing_data[0]
            return request
        wanted = int(request.get('content-length') or 0)
        if wanted == 0:
            return request
        body = bytearray()
        while len(body) < wanted and (piece := self.recv()):
            body += piece
        request.body, self._unread = bytes(body[:wanted]), bytes(body[wanted:])
        return request

    def _next(self, parser: h11.Connection):
        while (event := parser.next_event()) is h11.NEED_DATA:
            data = self.recv()
            if not data:
                return None
            parser.receive_data(data)
        return event

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def reply(self, body: bytes = b'ok', status: str = '200 OK', headers: str = '') -> None:
        """Answer the last request; to HEAD with the head alone."""
        head_only = bool(self.requests) and self.requests[-1].method == 'HEAD'
        head = f'HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n'.encode()
        self.send(head if head_only else head + body)

    def wait_for_close(self, seconds: float = PATIENCE) -> float | None:
        """Seconds until the peer closed, or None when it did not in time."""
        started = time.monotonic()
        while (left := seconds - (time.monotonic() - started)) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                return None
            if not self.recv():
                return time.monotonic() - started
        return None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()


class ScriptedServer:
    """Listens on loopback or a Unix socket and runs `script(connection)` for each connection, in a thread of its own.

    A connection whose script returns is closed. An exception in a script is kept and raised by `stop`, so that a
    failed assertion in there fails the test.
    """

    def __init__(
        self, script: Callable[[ServerConnection], None], unix: str | None = None, port: int = 0, host: str = '127.0.0.1'
    ) -> None:
        self._script = script
        self._unix = unix
        self.connections: list[ServerConnection] = []
        self.problems: list[BaseException] = []
        self._listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
        if unix:
            self._listener.bind(unix)
            os.chmod(unix, 0o666)  # data is another user when the tests are run by root
        else:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
        self._listener.listen(128)
        self.address = f'unix:{unix}' if unix else '%s:%d' % self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def requests(self) -> list[Request]:
        """Every request of every connection, in the order of the connections."""
        return [request for connection in list(self.connections) for request in connection.requests]

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            accepted.settimeout(PATIENCE)
            connection = ServerConnection(accepted, len(self.connections))
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: ServerConnection) -> None:
        try:
            self._script(connection)
        except OSError:
            pass  # the peer left in the middle; what the test expects of that it looks at from outside
        except BaseException as problem:  # noqa: BLE001  (reported by stop)
            self.problems.append(problem)
        finally:
            connection.close()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        for connection in self.connections:
            connection.close()
        if self._unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._unix)
        if self.problems:
            raise self.problems[0]


def wait_until(true: Callable[[], object], seconds: float = PATIENCE, what: str = 'condition'):
    """Ask again and again until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := true():
            return answer
        assert time.monotonic() < deadline, f'waited {seconds:g} s in vain for: {what}'
        time.sleep(0.02)
