# SPDX-License-Identifier: MIT
"""Requests that must be refused, with the statuses that may be given; where a rule leaves a choice there are two.

A small part of what tests/e2e and tests/unit hold: here they are asked in the midst of everything else, and what counts is
that the connection ends with the one refusal and that nobody else is harmed.
"""

HEAD = b'Host: localhost\r\n'

CROOKED = [
    (b'GET / HTTP/1.1\r\n\r\n', {400}),
    (b'GET /api/hello/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', {400}),
    (b'GET /api/hello/ HTTP/1.1\nHost: localhost\n\n', {400}),
    (b'GET /api/hello/ HTTP/1.1\r\nHost : localhost\r\n\r\n', {400}),
    (b'GET /api/hello/ HTTP/1.1\r\n' + HEAD + b'X: a\r\n folded\r\n\r\n', {400}),
    (b'GET /api/hello/ HTTP/1.1\r\n' + HEAD + b'X: a\x00b\r\n\r\n', {400}),
    (b'GET /api/hello/ HTTP/1.1\r\n' + HEAD + b'X: a\rb\r\n\r\n', {400}),
    (b'GET /api/hello/ HTTP/1.1\r\n' + HEAD + b': empty\r\n\r\n', {400}),
    (b'GET  /api/hello/ HTTP/1.1\r\n' + HEAD + b'\r\n', {400}),
    (b'G(T /api/hello/ HTTP/1.1\r\n' + HEAD + b'\r\n', {400}),
    (b'GET hello HTTP/1.1\r\n' + HEAD + b'\r\n', {400}),
    (b'GET /%zz HTTP/1.1\r\n' + HEAD + b'\r\n', {400}),
    (b'POST /sync/soak/put HTTP/1.1\r\n' + HEAD + b'Content-Length: 1\r\nContent-Length: 2\r\n\r\nab', {400}),
    (b'POST /async/soak/put HTTP/1.1\r\n' + HEAD + b'Content-Length: +1\r\n\r\na', {400}),
    (b'POST /async/soak/put HTTP/1.1\r\n' + HEAD + b'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
     {400}),
    (b'POST /sync/soak/put HTTP/1.1\r\n' + HEAD + b'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n', {400, 501}),
    (b'POST /sync/soak/put HTTP/1.1\r\n' + HEAD + b'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', {400, 501}),
    (b'POST /sync/soak/put HTTP/1.0\r\n' + HEAD + b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', {400}),
    (b'POST /sync/soak/put HTTP/1.1\r\n' + HEAD + b'Transfer-Encoding: chunked\r\n\r\nzz\r\n', {400}),
    (b'POST /sync/soak/put HTTP/1.1\r\n' + HEAD + b'Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n', {400}),
    (b'POST /async/soak/put HTTP/1.1\r\n' + HEAD + b'Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n', {400}),
    (b'POST /sync/soak/put HTTP/1.1\r\n' + HEAD + b'Content-Length: 999999999999\r\n\r\n', {413}),
    (b'POST /sync/soak/put HTTP/1.1\r\n' + HEAD + b'Content-Length: 0\r\nExpect: miracles\r\n\r\n', {417}),
    (b'GET /' + b'a' * 5000 + b' HTTP/1.1\r\n' + HEAD + b'\r\n', {414}),
    (b'GET /api/hello/ HTTP/1.1\r\n' + HEAD + b'X: ' + b'a' * 20000 + b'\r\n\r\n', {431}),
    (b'GET /api/hello/ HTTP/1.1\r\n' + HEAD + b'X: a\r\n' * 300 + b'\r\n', {431}),
    (b'GET /api/hello/ HTTP/3.0\r\n' + HEAD + b'\r\n', {400, 505}),
    (b'CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n', {400, 405, 501}),
    (b'SSH-2.0-OpenSSH_9.2\r\n\r\n', {400}),
    (b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', {400}),
]
