# SPDX-License-Identifier: MIT
"""Connection: options, what they take away, upgrades to anything."""

from cases import head, no, ok, post

INSIDE = b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n'


def _get(name: str, *fields: str):
    return ok(name, head('GET / HTTP/1.1', *fields), 'GET /')


def _last(name: str, *fields: str, line: str = 'GET / HTTP/1.1'):
    """The connection closes behind it, and END is not read."""
    return ok(name, head(line, *fields), 'GET /')


CASES = [
    _get('keep-alive', 'Connection: keep-alive'),
    _get('Keep-Alive', 'Connection: Keep-Alive', 'Keep-Alive: timeout=5'),
    _get('empty', 'Connection:'),
    _get('a comma', 'Connection: ,'),
    _get('commas', 'Connection: ,,keep-alive,,'),
    _get('unknown', 'Connection: foo', 'Foo: bar'),
    _get('unknown and keep-alive', 'Connection: foo, keep-alive', 'Foo: bar'),
    _get('twice', 'Connection: keep-alive', 'Connection: foo'),
    _get('closed is not close', 'Connection: closed'),
    _get('TE', 'Connection: TE', 'TE: trailers'),
    _get('close in another field', 'X-Connection: close'),
    _get('Proxy-Connection', 'Proxy-Connection: close'),
    _get('claims named', 'Connection: X-Forwarded-For, X-Real-IP, Forwarded', 'X-Forwarded-For: 1.2.3.4'),
    _get('X-Request-ID named', 'Connection: X-Request-ID'),
    _get('Cookie named', 'Connection: Cookie, Authorization', 'Cookie: a=b', 'Authorization: x'),
    _get('Via named', 'Connection: Via', 'Via: 1.0 x'),
    _get('Connection named', 'Connection: Connection'),
    _get('X-Forwarded-Proto named', 'Connection: X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port'),
    _get('Content-Type named', 'Connection: Content-Type', 'Content-Type: a/b'),
    _get('Accept-Encoding named', 'Connection: Accept-Encoding', 'Accept-Encoding: x'),
    _get('User-Agent named', 'Connection: User-Agent', 'User-Agent: x'),
    *(
        no(f'{option!r}', head('GET / HTTP/1.1', f'Connection: {option}'))
        for option in (
            'a b',
            'close keep-alive',
            '"close"',
            'close;',
            'close;a=b',
            'a/b',
            '(close)',
            '@',
            'keep=alive',
            'Host',
            'host',
            'CONTENT-LENGTH',
            'transfer-encoding',
            'close, Host',
            'x,y,Content-Length',
            '[',
            '{}',
            'a\xffb',
        )
    ),
    no('CR in it', head('GET / HTTP/1.1', 'Connection: keep\ralive')),
    no('a hundred options', head('GET / HTTP/1.1', 'Connection: ' + ', '.join(f'x{i}' for i in range(100)))),
    _get('Upgrade without Connection', 'Upgrade: websocket'),
    _get('Connection: upgrade without Upgrade', 'Connection: upgrade'),
    _get(
        'Upgrade to h2c',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
    ),
    _get(
        'Upgrade to h2c, HTTP2-Settings not named',
        'Connection: Upgrade',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
    ),
    _get('Upgrade to TLS', 'Connection: Upgrade', 'Upgrade: TLS/1.0'),
    _get('Upgrade to HTTP/2.0', 'Connection: Upgrade', 'Upgrade: HTTP/2.0'),
    _get('Upgrade to nothing', 'Connection: Upgrade', 'Upgrade:'),
    _get('Upgrade to several', 'Connection: Upgrade', 'Upgrade: h2c, TLS/1.0'),
    _get('Upgrade to ws', 'Connection: Upgrade', 'Upgrade: ws'),
    _get('Upgrade to two, one of them WebSocket', 'Connection: Upgrade', 'Upgrade: h2c', 'Upgrade: websocket'),
    ok(
        'Upgrade with a body',
        post(b'sweet post body', 'Connection: Upgrade', 'Upgrade: HTTP/2.0', 'Content-Length: 15'),
        ('POST /', b'sweet post body'),
    ),
    ok(
        'Upgrade of a PUT with half its body',
        head('PUT /url HTTP/1.1', 'Connection: upgrade', 'Content-Length: 4', 'Upgrade: ws') + b'abcd',
        ('PUT /url', b'abcd'),
    ),
    ok(
        'Upgrade to h2c and a request behind it',
        head('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c') + INSIDE,
        'GET /',
        'GET /inside',
    ),
    ok(
        'WebSocket by POST',
        post(b'abc', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 3'),
        ('POST /', b'abc'),
    ),
    ok('HTTP/1.0 with keep-alive', head('GET / HTTP/1.0', 'Connection: keep-alive'), 'GET /'),
]
