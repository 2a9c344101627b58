# SPDX-License-Identifier: MIT
"""Trailers: what they say never becomes part of the head, and never of the next request."""

from cases import chunked, cut, no, ok


def _with(name: str, *lines: bytes):
    return ok(
        name,
        chunked(b'5\r\nhello\r\n0\r\n' + b''.join(line + b'\r\n' for line in lines) + b'\r\n'),
        ('POST /', b'hello'),
    )


def _without(name: str, *lines: bytes):
    return no(name, chunked(b'5\r\nhello\r\n0\r\n' + b''.join(line + b'\r\n' for line in lines) + b'\r\n'))


_NEVER = (
    b'Connection: close',
    b'Connection: keep-alive',
    b'Keep-Alive: 5',
    b'TE: trailers',
    b'Trailer: X',
    b'Upgrade: websocket',
    b'Expect: 100-continue',
    b'Authorization: Basic x',
    b'Cookie: a=b',
    b'Set-Cookie: a=b',
    b'Content-Type: a/b',
    b'Content-Encoding: gzip',
    b'Content-Range: bytes 0-1/2',
    b'Range: bytes=0-1',
    b'Cache-Control: no-store',
    b'Max-Forwards: 1',
    b'Forwarded: for=1.2.3.4',
    b'X-Forwarded-For: 1.2.3.4',
    b'X-Forwarded-Proto: https',
    b'X-Forwarded-Host: evil',
    b'X-Forwarded-Port: 1',
    b'X-Forwarded-Anything: x',
    b'X-Real-IP: 1.2.3.4',
    b'X-Request-ID: mine',
    b'X-Accel-Redirect: /x',
    b'X-Sendfile: /x',
    b'X-Sendfile-Other: /x',
    b'Proxy: x',
    b'Via: 1.1 x',
    b'SCRIPT_NAME: /x',
    b'REMOTE_USER: root',
    b'X_Forwarded_For: 1.2.3.4',
    b'HTTP_HOST: b',
)

CASES = [
    _with('one', b'X: a'),
    _with('one that a head might have had', b'X-Only-In-A-Trailer: a'),
    _with('two', b'Vary: *', b'X-Checksum: 1'),
    _with('without a value', b'X:'),
    _with('twice the same', b'X: a', b'X: b'),
    _with('like a request line', b'GET: / HTTP/1.1'),
    _with('eight bits', b'X: \xff'),
    _with('tabs', b'X:\ta\tb\t'),
    _with('thirty', *(b'X%d: a' % i for i in range(30))),
    *(_with(line.decode(), line) for line in _NEVER),
    _without('Content-Length', b'Content-Length: 50'),
    _without('content-length among others', b'X: a', b'content-length: 5', b'Y: b'),
    _without('Transfer-Encoding', b'Transfer-Encoding: chunked'),
    _without('Host', b'Host: b'),
    _without('no colon', b'X'),
    _without('no name', b': a'),
    _without('a request line', b'GET /inside HTTP/1.1'),
    _without('space before the colon', b'X : a'),
    _without('a fold', b'X: a', b' b'),
    _without('a fold first', b' b'),
    _without('LF', b'X: a\nY: b'),
    _without('CR', b'X: a\rY: b'),
    _without('NUL', b'X: a\0b'),
    _without('a control', b'X: a\x01b'),
    _without('LF for an end', b'X: a\n'),
    _without('a name with eight bits', b'\xff: a'),
    _without('Content-Length with space before the colon', b'Content-Length : 5'),
    _without('too many', *(b'X%d: a' % i for i in range(150))),
    _without('too large', b'X: ' + b'a' * 40000),
    _without('LF before a name', b'\nX: a'),
    no('LF for the empty line', chunked(b'0\r\nX: a\r\n\n')),
    no('CR and a byte for the empty line', chunked(b'0\r\nX: a\r\n\rZ')),
    ok(
        'announced',
        chunked(b'5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', 'Trailer: X-Sum', 'TE: trailers'),
        ('POST /', b'hello'),
    ),
    ok('announced and not sent', chunked(b'5\r\nhello\r\n0\r\n\r\n', 'Trailer: X-Sum'), ('POST /', b'hello')),
    no(
        'announced that frames',
        chunked(b'5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n', 'Trailer: Content-Length'),
    ),
    ok(
        'with a field of the head',
        chunked(b'5\r\nhello\r\n0\r\nX-User: root\r\n\r\n', 'X-User: nobody'),
        ('POST /', b'hello'),
    ),
    cut('half', chunked(b'5\r\nhello\r\n0\r\nX: a')),
    cut('without its empty line', chunked(b'5\r\nhello\r\n0\r\nX: a\r\n')),
]
