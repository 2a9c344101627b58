# SPDX-License-Identifier: MIT
"""Random conversations: requests after the grammar, with some of its rules broken. The same seed makes the same bytes."""

from __future__ import annotations

import random

from cases import END

# Behind END, so that a body that is longer than what was sent is filled and no conversation waits for a time-out.
TAIL = b'Z' * 600 + b'\r\n\r\n'

METHODS = ('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH')
TARGETS = ('/', '/a', '/a/b?c=d', '/%20', '/a//b', '/a/../b', 'http://a/b', 'http://a', '/inside')
BYTES = (
    b'\r',
    b'\n',
    b'\r\n',
    b'\0',
    b' ',
    b'\t',
    b':',
    b';',
    b',',
    b'\x0b',
    b'\x0c',
    b'\x7f',
    b'\x85',
    b'\xa0',
    b'\xff',
    b'0',
    b'"',
    b'\\',
    b'x',
)
FRAMINGS = (
    b'Content-Length: %d',
    b'Content-Length:%d',
    b'content-length:  %d ',
    b'Content-Length: 0%d',
    b'Content-Length: +%d',
    b'Content-Length: %d, %d',
    b'Content-Length: 0x%x',
    b'Content-Length : %d',
    b' Content-Length: %d',
    b'Content_Length: %d',
    b'Content-Length: %d\r\nContent-Length: %d',
    b'Content-Length:',
    b'Content-Length: -%d',
    b'Content-Length: %d\0',
    b'X: y\nContent-Length: %d',
)
CODINGS = (
    b'Transfer-Encoding: chunked',
    b'transfer-encoding:chunked',
    b'Transfer-Encoding: Chunked ',
    b'Transfer-Encoding: gzip, chunked',
    b'Transfer-Encoding: chunked, x',
    b'Transfer-Encoding: xchunked',
    b'Transfer-Encoding: ,chunked',
    b'Transfer-Encoding : chunked',
    b' Transfer-Encoding: chunked',
    b'Transfer-Encoding:\x0bchunked',
    b'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
    b'Transfer-Encoding: identity',
    b'Transfer_Encoding: chunked',
    b'Transfer-Encoding:\r\n chunked',
    b'TE: chunked',
    b'X: y\rTransfer-Encoding: chunked',
)
FIELDS = (
    b'X: y', b'Connection: keep-alive', b'Connection: x', b'Connection: close', b'Cookie: a=b', b'Expect: 100-continue', b'Upgrade: h2c\r\nConnection: Upgrade', b'X-Forwarded-For: 1.2.3.4', b'X-Request-ID: mine', b'X_Request_ID: mine', b'X: \xff', b'X:', b'Host: b',
    b'Trailer: X', b'Content-Type: a/b', b'X: y\r\n z', b'X: y\n', b'Via: 1.1 x', b'Connection: Content-Length', b'Accept-Encoding: chunked',
)  # fmt: skip
SIZES = (
    b'%x',
    b'%X',
    b'0%x',
    b'00%x',
    b'%x;a',
    b'%x;a=b',
    b'%x; a="b"',
    b'%x ',
    b' %x',
    b'0x%x',
    b'+%x',
    b'%x\t',
    b'%x;\n',
    b'%x;a\r',
    b'1%x',
    b'%x,',
)
CRLFS = (
    b'\r\n',
    b'\r\n',
    b'\r\n',
    b'\r\n',
    b'\r\n',
    b'\r\n',
    b'\r\n',
    b'\r\n',
    b'\n',
    b'\r',
    b'',
    b'\n\r',
    b'XX',
    b'\r\r\n',
)


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def often(self, share: float) -> bool:
        return self.random.random() < share

    def some(self, usual, odd, oddly: float = 0.15):
        return self.random.choice(odd) if self.often(oddly) else usual

    def conversation(self) -> bytes:
        """One to three requests, END, and TAIL."""
        data = b''.join(self.request() for _ in range(self.random.randint(1, 3)))
        if self.often(0.3):
            data = self.mutated(data)
        return data + END + TAIL

    def request(self) -> bytes:
        crlf = b'\r\n'
        line = [
            self.random.choice(METHODS).encode(),
            self.random.choice(TARGETS).encode(),
            self.some(b'HTTP/1.1', (b'HTTP/1.0', b'HTTP/1.2', b'HTTP/2.0', b'HTTP/1.1 '), 0.05),
        ]
        fields = [b'Host: a', *self.random.choices(FIELDS, k=self.random.choice((0, 0, 1, 2, 3)))]
        body = self.body()
        sent = body
        framing = self.random.random()
        if framing < 0.45:
            fields.append(self.length(len(body)))
        elif framing < 0.85:
            fields.append(self.some(CODINGS[0], CODINGS))
            sent = self.chunks(body)
        elif framing < 0.93:
            fields += [self.length(len(body)), self.some(CODINGS[0], CODINGS)]
            sent = self.some(body, (self.chunks(body), b'0\r\n\r\n'), 0.6)
        else:
            sent = b''
        if self.often(0.2):
            self.random.shuffle(fields)
        head = b' '.join(line) + crlf + b''.join(field + self.some(crlf, CRLFS, 0.01) for field in fields)
        return head + self.some(crlf, CRLFS, 0.01) + sent

    def length(self, length: int) -> bytes:
        form = self.some(FRAMINGS[0], FRAMINGS)
        said = max(0, length + self.some(0, (-1, 1, 2), 0.05))
        return form % ((said,) * form.count(b'%'))

    def body(self) -> bytes:
        return self.random.choice(
            (
                b'',
                b'x',
                b'hello',
                b'0\r\n\r\n',
                b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n',
                b'\r\n\r\n',
                bytes(range(64)),
            )
        )

    def chunks(self, body: bytes) -> bytes:
        data = b''
        while body:
            count = self.random.randint(1, len(body))
            data += self.some(SIZES[0], SIZES, 0.1) % count + self.some(b'\r\n', CRLFS, 0.04)
            data += body[:count] + self.some(b'\r\n', CRLFS, 0.04)
            body = body[count:]
        data += self.some(b'0', (b'00', b'', b'0;a', b'-0', b'0 '), 0.05) + self.some(b'\r\n', CRLFS, 0.03)
        data += self.some(b'', (b'X: y\r\n', b'Content-Length: 5\r\n', b'X : y\r\n'), 0.1)
        return data + self.some(b'\r\n', CRLFS, 0.03)

    def mutated(self, data: bytes) -> bytes:
        """A byte taken out, put in, changed or moved."""
        for _ in range(self.random.randint(1, 2)):
            at = self.random.randrange(len(data))
            until = min(len(data), at + self.random.choice((0, 1, 1, 1, 4)))
            data = data[:at] + self.some(b'', BYTES, 0.7) + data[until:]
        return data
