# SPDX-License-Identifier: MIT
"""A server that keeps the bytes it is sent: `recorder.py SOCKET RECORD`, where RECORD gets a line of JSON for each
whole request and one for what was left of each connection.

It knows only the one form in which diplex writes: whatever deviates from it is `crooked`. Each answer names the
request's id and the digest of what was seen, so that a client can compare without reading the record. The digest is of
the head and the body, without chunks and without what differs each time: diplex says Expect only where the body is not
there yet. Trailers of requests end at diplex, so a trailer is crooked.
"""

import base64
import hashlib
import json
import os
import re
import select
import socket
import sys

CHANGES = re.compile(rb'\r\n(X-Request-ID|X-Request-Start|Expect): [^\r]*')
FRAMING = re.compile(rb'\r\n(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)', re.I)
IDS = re.compile(rb'\r\nx[-_]request[-_]id[ \t]*:[ \t]*([^\r\n]*)', re.I)
LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-\x7e]+ HTTP/1\.1\r\nHost: [^\r\n]*\r\n")
SIZE = re.compile(rb'([1-9a-f][0-9a-f]*|0)\r\n')


class Crooked(Exception):
    pass


class Connection:
    def __init__(self, accepted: socket.socket, number: int) -> None:
        self.socket = accepted
        self.number = number
        self.data = bytearray()
        self.continued = False

    def take(self):
        """The next whole request as (raw bytes, id, digest), or None."""
        end = self.data.find(b'\r\n\r\n')
        if end < 0:
            return None
        head = bytes(self.data[: end + 2])
        ids = IDS.findall(head)
        framing = [(name.lower(), value) for name, value in FRAMING.findall(head)]
        if not LINE.match(head) or len(ids) != 1 or len(framing) > 1:
            raise Crooked(head)
        if b'\r\nExpect: 100-continue\r\n' in head and not self.continued:
            self.continued = True
            self.socket.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
        if framing and framing[0][0] == b'transfer-encoding':
            body = self.chunks(end + 4, framing[0][1])
        else:
            body = self.counted(end + 4, framing[0][1] if framing else b'0')
        if body is None:
            return None
        body, used = body
        raw = bytes(self.data[:used])
        del self.data[:used]
        self.continued = False
        digest = hashlib.sha256(CHANGES.sub(b'', head) + b'\0' + body).hexdigest()[:16]
        return raw, ids[0].decode('latin-1'), digest

    def counted(self, at: int, length: bytes):
        if not length.isdigit():
            raise Crooked(length)
        end = at + int(length)
        return (bytes(self.data[at:end]), end) if len(self.data) >= end else None

    def chunks(self, at: int, coding: bytes):
        if coding != b'chunked':
            raise Crooked(coding)
        body = b''
        while size := SIZE.match(self.data, at):
            count, at = int(size[1], 16), size.end()
            if count == 0:
                return self.last(body, at)
            if len(self.data) < at + count + 2:
                return None
            body += self.data[at : at + count]
            at += count + 2
            if self.data[at - 2 : at] != b'\r\n':
                raise Crooked(bytes(self.data[at - 2 : at]))
        if len(self.data) - at > 18 or b'\r\n' in self.data[at:]:
            raise Crooked(bytes(self.data[at:]))
        return None

    def last(self, body: bytes, at: int):
        if self.data[at : at + 2] == b'\r\n':
            return body, at + 2
        if len(self.data) - at >= 2:
            raise Crooked(bytes(self.data[at:]))
        return None


class Recorder:
    def __init__(self, path: str, record: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(1024)
        self.record = open(record, 'ab', buffering=0)  # noqa: SIM115  (until the process ends)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.connections: dict[int, Connection] = {}
        self.numbers = 0

    def write(self, **said) -> None:
        self.record.write(json.dumps(said).encode() + b'\n')

    def run(self) -> None:
        while True:
            for descriptor, _ in self.epoll.poll():
                if descriptor == self.listener.fileno():
                    self.accept()
                else:
                    self.read(self.connections[descriptor])

    def accept(self) -> None:
        accepted, _ = self.listener.accept()
        self.numbers += 1
        self.connections[accepted.fileno()] = Connection(accepted, self.numbers)
        self.epoll.register(accepted, select.EPOLLIN)

    def read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(1 << 18)
            connection.data += data
            while data and (request := connection.take()):
                raw, name, digest = request
                self.write(id=name, saw=digest, connection=connection.number, raw=base64.b64encode(raw).decode())
                head = f'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Eye-Id: {name}\r\nX-Eye-Saw: {digest}\r\n\r\n'
                connection.socket.sendall(head.encode())
        except Crooked as problem:
            self.write(crooked=repr(problem.args[0]), connection=connection.number)
            data = b''
        except OSError:
            data = b''
        if not data:
            if connection.data:
                raw = base64.b64encode(connection.data).decode()
                self.write(left=raw, connection=connection.number)
            del self.connections[connection.socket.fileno()]
            connection.socket.close()


if __name__ == '__main__':
    Recorder(sys.argv[1], sys.argv[2]).run()
