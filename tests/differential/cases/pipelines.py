# SPDX-License-Identifier: MIT
"""Several requests on one connection, whole, and with a broken one among them."""

from cases import chunked, cut, head, no, ok, post

A = head('GET /1 HTTP/1.1')
BAD = b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'

CASES = [
    ok('two', A + head('GET /2 HTTP/1.1'), 'GET /1', 'GET /2'),
    ok('ten', b''.join(head(f'GET /{i} HTTP/1.1') for i in range(10)), *(f'GET /{i}' for i in range(10))),
    ok(
        'bodies of all kinds',
        post(b'AAA', 'Content-Length: 3', target='/aaa')
        + head('PUT /bbb HTTP/1.1', 'Transfer-Encoding: chunked')
        + b'4\r\nBBBB\r\n0\r\n\r\n'
        + head('PATCH /ccc HTTP/1.1', 'Content-Length: 5')
        + b'CCCCC',
        ('POST /aaa', b'AAA'),
        ('PUT /bbb', b'BBBB'),
        ('PATCH /ccc', b'CCCCC'),
    ),
    ok(
        'empty lines between',
        A + b'\r\n' + head('GET /2 HTTP/1.1') + b'\r\n' + head('GET /3 HTTP/1.1'),
        'GET /1',
        'GET /2',
        'GET /3',
    ),
    ok('HEAD among them', A + head('HEAD /2 HTTP/1.1') + head('GET /3 HTTP/1.1'), 'GET /1', 'HEAD /2', 'GET /3'),
    ok(
        'OPTIONS * among them',
        A + head('OPTIONS * HTTP/1.1') + head('GET /3 HTTP/1.1'),
        'GET /1',
        'OPTIONS *',
        'GET /3',
    ),
    ok(
        'a body of 0 and a request',
        post(b'', 'Content-Length: 0', 'Connection: keep-alive')
        + post(b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n', 'Content-Length: 33', target='/2'),
        'POST /',
        ('POST /2', b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n'),
    ),
    no('a broken one behind a good one', A + BAD, 'GET /1'),
    no('a broken one behind a body', post(b'hello', 'Content-Length: 5') + BAD, ('POST /', b'hello')),
    no('a broken one behind chunks', chunked(b'5\r\nhello\r\n0\r\n\r\n') + BAD, ('POST /', b'hello')),
    no('a good one behind a broken one', A + BAD + head('GET /3 HTTP/1.1'), 'GET /1'),
    no('words behind a good one', A + b'Hot diggity dogg\r\n\r\n', 'GET /1'),
    no('two empty lines between', A + b'\r\n\r\n' + head('GET /2 HTTP/1.1'), 'GET /1'),
    no('an empty line of LF between', A + b'\n' + head('GET /2 HTTP/1.1'), 'GET /1'),
    no('spaces between', A + b'  ' + head('GET /2 HTTP/1.1'), 'GET /1'),
    no('a NUL between', A + b'\0' + head('GET /2 HTTP/1.1'), 'GET /1'),
    no('HTTP/2 behind a good one', A + b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'GET /1'),
]
CASES += [
    cut('half of one', A[:-2]),
]
