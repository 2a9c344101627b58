# SPDX-License-Identifier: MIT
"""Request lines: methods, spaces, versions, line ends."""

from cases import cut, head, no, ok

FIELDS = b'Host: a\r\n\r\n'


def _line(line: bytes) -> bytes:
    return line + b'\r\n' + FIELDS


# llhttp knows methods by name; what it does not know its servers refuse.
_KNOWN = [
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'REPORT',
    'PURGE',
    'SEARCH',
    'LINK',
    'UNLINK',
    'MKCOL',
    'PROPFIND',
    'M-SEARCH',
    'LOCK',
    'NOTIFY',
]
_UNKNOWN = ['FOO', 'MKCOLA', 'G3T', 'A' * 20, 'GET1', 'G']

CASES = [
    *(ok(f'method {method}', head(f'{method} / HTTP/1.1'), f'{method} /') for method in _KNOWN),
    *(
        ok(
            f'method nobody knows: {method}',
            head(f'{method} / HTTP/1.1'),
            f'{method} /',
            refused_by='uvicorn-httptools node httptools gunicorn',
        )
        for method in _UNKNOWN
    ),
    *(
        ok(
            f'method in odd letters: {method}',
            head(f'{method} / HTTP/1.1'),
            f'{method} /',
            refused_by='gunicorn uvicorn-httptools node httptools',
        )
        for method in ('get', 'Get', 'GEt', 'g-t')
    ),
    *(
        ok(
            f'method with a mark: {mark}',
            head(f'G{mark}T / HTTP/1.1'),
            f'G{mark}T /',
            refused_by='gunicorn uvicorn-httptools node httptools',
        )
        for mark in "!#$%&'*+.^_`|~"
    ),
    *(
        no(f'method with {byte!r}', b'G' + byte + b'T / HTTP/1.1\r\n' + FIELDS)
        for byte in (
            b'\0',
            b'\x01',
            b'\x7f',
            b'\x80',
            b'\xff',
            b'(',
            b')',
            b',',
            b'/',
            b':',
            b';',
            b'<',
            b'=',
            b'>',
            b'?',
            b'@',
            b'[',
            b'\\',
            b']',
            b'{',
            b'}',
            b'"',
        )
    ),
    no('method that is a quoted text', _line(b'G=":<>(e),[T];?" / HTTP/1.1')),
    no('method longer than any', _line(b'A' * 33 + b' / HTTP/1.1')),
    no('no method', _line(b' / HTTP/1.1')),
    no('space before the method', _line(b' GET / HTTP/1.1')),
    no('tab before the method', _line(b'\tGET / HTTP/1.1')),
    no('two spaces after the method', _line(b'GET  / HTTP/1.1')),
    no('tab after the method', _line(b'GET\t/ HTTP/1.1')),
    no('vertical tab after the method', _line(b'GET\x0b/ HTTP/1.1')),
    no('form feed after the method', _line(b'GET\x0c/ HTTP/1.1')),
    no('CR after the method', _line(b'GET\r/ HTTP/1.1')),
    no('two spaces before the version', _line(b'GET /  HTTP/1.1')),
    no('tab before the version', _line(b'GET /\tHTTP/1.1')),
    no('LF before the version', _line(b'GET /\nHTTP/1.1')),
    no('CR before the version', _line(b'GET /\rHTTP/1.1')),
    no('NUL before the version', _line(b'GET /\0HTTP/1.1')),
    no('space after the version', _line(b'GET / HTTP/1.1 ')),
    no('tab after the version', _line(b'GET / HTTP/1.1\t')),
    no('more after the version', _line(b'GET / HTTP/1.1 HTTP/1.1')),
    no('words after the version', _line(b'HEAD /foo HTTP/1.1 xxxxxx')),
    no('no version', b'GET /\r\n\r\n'),
    no('no version, with a space', b'GET / \r\n\r\n'),
    no('no version and fields', _line(b'GET /')),
    no('no target', _line(b'GET HTTP/1.1')),
    no('no target, two spaces', _line(b'GET  HTTP/1.1')),
    *(
        no(f'version {version}', _line(f'GET / {version}'.encode()))
        for version in (
            'HTTP/0.9',
            'HTTP/2.0',
            'HTTP/3.0',
            'HTTP/5.6',
            'HTTP/9.9',
            'HTTP/1',
            'HTTP/1.',
            'HTTP/.1',
            'HTTP/1.10',
            'HTTP/1.32',
            'HTTP/01.1',
            'HTTP/1.01',
            'HTTP/11.1',
            'HTTP/1,1',
            'HTTP/1 .1',
            'HTTP/+1.1',
            'HTTP/-1.1',
            'HTTP/1.-1',
            'HTTP/a.b',
            'HTTP/4294967297.1',
            'HTTP/4294967295.255',
            'HTTP/1.x',
            'http/1.1',
            'Http/1.1',
            'HTTP 1.1',
            'HTTP',
            'HTTPS/1.1',
            'HTP/1.1',
            'HTTPER/1.1',
            'ICE/1.0',
            'IHTTP/1.0',
            'RTSP/1.0',
            'SOURCE/1.1',
            'XTTP/1.1',
        )
    ),
    no('CRs in the version', b'GET / HTTP/\r\r1.1\r\n' + FIELDS),
    no('a preface of HTTP/2', b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    no('a preface of HTTP/2 in 1.1', b'PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n'),
    no('a request of HTTP/0.9 with more', b'GET /\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n'),
    no('a TLS hello', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(range(64)) + b'\r\n\r\n'),
    no('a header of the PROXY protocol', b'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n' + head()),
    no('a header of the PROXY protocol, version 2', b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c' + bytes(12) + head()),
    ok('an empty line before', b'\r\n' + head(), 'GET /'),
    no('two empty lines before', b'\r\n\r\n' + head()),
    no('an empty line of LF before', b'\n' + head()),
    no('a CR before', b'\r' + head()),
    no('a CR and a letter before', b'\rX' + head()),
    no('a NUL before', b'\0' + head()),
    no('a mark of byte order before', b'\xef\xbb\xbf' + head()),
    no('a line of spaces before', b'  \r\n' + head()),
    no('LF after the line', b'GET / HTTP/1.1\n' + FIELDS),
    no('LF everywhere', b'GET / HTTP/1.1\nHost: a\n\n'),
    no('CR after the line', b'GET / HTTP/1.1\r' + FIELDS),
    no('CR CR LF after the line', b'GET / HTTP/1.1\r\r\n' + FIELDS),
    no('LF CR after the line', b'GET / HTTP/1.1\n\r' + FIELDS),
    no('CR and a field in the same line', b'GET / HTTP/1.1\rLine: 1\r\nHost: a\r\n\r\n'),
    no('a field in the line of the version', _line(b'GET / HTTP/1.1Host: b')),
    no('NEL for a line end', b'GET / HTTP/1.1\x85' + FIELDS),
    no('LF that ends the head after a CRLF', b'GET / HTTP/1.1\r\nHost: a\r\n\n'),
    no('CR that ends the head after a CRLF', b'GET / HTTP/1.1\r\nHost: a\r\n\rX'),
    no(
        'CR and any byte for the end of the head',
        b'GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\rZGET /evil: HTTP/1.1\r\nHost: a\r\n\r\n',
    ),
    no('CR CR LF for the end of the head', b'GET / HTTP/1.1\r\nHost: a\r\n\r\r\n'),
    no('only LF and chunks', b'POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1\nA\n0\n\n'),
    no('a line without an end', b'GET /' + b'a' * 9000),
    ok('HTTP/1.0 with a Host', head('GET / HTTP/1.0', 'Connection: keep-alive'), 'GET /'),
    ok(
        'HTTP/1.0 with a body',
        head('POST / HTTP/1.0', 'Connection: keep-alive', 'Content-Length: 5') + b'HELLO',
        ('POST /', b'HELLO'),
    ),
    cut('half a method', b'GE'),
    cut('half a line', b'GET /half HTTP/1.'),
    cut('a line and no field', b'GET / HTTP/1.1\r\n'),
    cut('a head without its empty line', b'GET / HTTP/1.1\r\nHost: a\r\n'),
    cut('a head with half its empty line', b'GET / HTTP/1.1\r\nHost: a\r\n\r'),
    cut('an empty line only', b'\r\n'),
]
