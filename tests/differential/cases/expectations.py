# SPDX-License-Identifier: MIT
"""Expect, honest and not."""

from cases import cut, head, no, ok, post

CASES = [
    ok(
        '100-continue and the body with it',
        post(b'hello', 'Expect: 100-continue', 'Content-Length: 5'),
        ('POST /', b'hello'),
    ),
    ok('100-Continue', post(b'hello', 'Expect: 100-Continue', 'Content-Length: 5'), ('POST /', b'hello')),
    ok(
        '100-continue and chunks',
        post(b'5\r\nhello\r\n0\r\n\r\n', 'Expect: 100-continue', 'Transfer-Encoding: chunked'),
        ('POST /', b'hello'),
    ),
    ok('100-continue without a body', head('GET / HTTP/1.1', 'Expect: 100-continue'), 'GET /'),
    ok('100-continue and a length of 0', post(b'', 'Expect: 100-continue', 'Content-Length: 0'), 'POST /'),
    ok(
        '100-continue with a GET that has a body',
        head('GET / HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5') + b'hello',
        ('GET /', b'hello'),
    ),
    ok(
        '100-continue with a HEAD that has a body',
        head('HEAD / HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5') + b'hello',
        ('HEAD /', b'hello'),
    ),
    ok(
        '100-continue with OPTIONS and a body that is a request',
        head('OPTIONS / HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 33')
        + b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n',
        ('OPTIONS /', b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n'),
    ),
    ok(
        '100-continue in HTTP/1.0',
        head('POST / HTTP/1.0', 'Expect: 100-continue', 'Connection: keep-alive', 'Content-Length: 5') + b'hello',
        ('POST /', b'hello'),
    ),
    ok(
        'anything in HTTP/1.0',
        head('POST / HTTP/1.0', 'Expect: y', 'Connection: keep-alive', 'Content-Length: 5') + b'hello',
        ('POST /', b'hello'),
    ),
    ok(
        'named by Connection',
        post(b'hello', 'Expect: 100-continue', 'Connection: Expect', 'Content-Length: 5'),
        ('POST /', b'hello'),
    ),
    ok('X-Expect', post(b'hello', 'X-Expect: 100-continue', 'Content-Length: 5'), ('POST /', b'hello')),
    ok(
        'with a body that is a request',
        post(b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n', 'Expect: 100-continue', 'Content-Length: 33'),
        ('POST /', b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n'),
    ),
    *(
        no(f'{value!r}', post(b'hello', f'Expect: {value}', 'Content-Length: 5'))
        for value in (
            '',
            'y',
            'y 100-continue',
            '100-continue y',
            '100-continue, y',
            'y, 100-continue',
            '100-continue;a=b',
            '100-continue,',
            '100continue',
            '100',
            '200-ok',
            '"100-continue"',
            '100-continue=',
            'x=y',
            '100-continue\xa0',
            '100-contin\xfce',
            '101-continue',
        )
    ),
    no('with a fold', post(b'hello', 'Expect:', ' 100-continue', 'Content-Length: 5')),
    no('with space before the colon', post(b'hello', 'Expect : 100-continue', 'Content-Length: 5')),
    no('with LF', post(b'hello', 'Expect: \n100-continue', 'Content-Length: 5')),
    no('twice, the second another', post(b'hello', 'Expect: 100-continue', 'Expect: y', 'Content-Length: 5')),
    no(
        'unknown, beside both lengths',
        post(b'0\r\n\r\n', 'Expect: y', 'Content-Length: 5', 'Transfer-Encoding: chunked'),
    ),
    cut('100-continue and no body', post(b'', 'Expect: 100-continue', 'Content-Length: 5')),
    cut('100-continue and half a body', post(b'he', 'Expect: 100-continue', 'Content-Length: 5')),
]
