# SPDX-License-Identifier: MIT
"""Field lines: names, colons, values, folding, line ends between them."""

from cases import head, no, ok, post


def _with(name: str, *lines: bytes):
    return ok(name, head('GET / HTTP/1.1', *lines), 'GET /')


def _without(name: str, *lines: bytes):
    return no(name, head('GET / HTTP/1.1', *lines))


_BAD_IN_NAMES = b'"(),/;<=>?@[\\]{}\x01\x07\x0b\x0c\x1f\x7f\x80\x85\xa0\xef\xff'
_BAD_IN_VALUES = b'\0\x01\x07\x08\x0b\x0c\x0e\x1b\x1f\x7f'

CASES = [
    *(_with(f'name with {chr(byte)}', b'X-' + bytes([byte]) + b'-Y: v') for byte in b"!#$%&'*+-.^_`|~09AZaz"),
    *(_without(f'name with byte {byte:#04x}', b'X-' + bytes([byte]) + b'Y: v') for byte in _BAD_IN_NAMES),
    *(
        _without(f'name that ends in byte {byte:#04x}', b'Content-Length' + bytes([byte]) + b': 5')
        for byte in b'\0\x01\x0b\x0c \t\x85\xa0\xff'
    ),
    *(
        _without(f'name that begins with byte {byte:#04x}', bytes([byte]) + b'Content-Length: 5')
        for byte in b'\0\x01\x0b\x0c \t\x85\xa0\xff'
    ),
    *(_without(f'value with byte {byte:#04x}', b'X: a' + bytes([byte]) + b'b') for byte in _BAD_IN_VALUES),
    *(_without(f'value that ends in byte {byte:#04x}', b'X: a' + bytes([byte])) for byte in _BAD_IN_VALUES),
    *(_without(f'value that begins with byte {byte:#04x}', b'X: ' + bytes([byte]) + b'a') for byte in _BAD_IN_VALUES),
    *(_with(f'value with byte {byte:#04x}', b'X: a' + bytes([byte]) + b'b') for byte in b'\t \x80\x85\xa0\xe4\xff'),
    *(_with(f'value that ends in byte {byte:#04x}', b'X: a' + bytes([byte])) for byte in b'\t \x80\x85\xa0\xff'),
    *(
        _with(f'value that begins with byte {byte:#04x}', b'X:' + bytes([byte]) + b'a')
        for byte in b'\t \x80\x85\xa0\xff'
    ),
    _with('no space after the colon', b'X:a'),
    _with('many spaces after the colon', b'X:    a'),
    _with('tabs round the value', b'X:\t\ta\t\t'),
    _with('no value', b'X:'),
    _with('a value of spaces', b'X:    '),
    _with('a colon in the value', b'X: a:b'),
    _with('a value that is a colon', b'X: :'),
    _with('a value like a field', b'X: Content-Length: 5'),
    _with('a value like a request line', b'X: GET /x HTTP/1.1'),
    _with('a value of 5000 bytes', b'X: ' + b'a' * 5000),
    _with('a name of 200 bytes', b'X' * 200 + b': a'),
    _with('the same name thrice', b'X: a', b'X: b', b'x: c'),
    _with('ninety fields', *(b'X%d: a' % i for i in range(80))),
    _with('Content-Length with another letter', b'Content-LengthX: 5'),
    _with('Content_Length', b'Content_Length: 5'),
    _with('Content-Length in a longer name', b'X-Content-Length: 5'),
    _with('Transfer_Encoding', b'Transfer_Encoding: chunked'),
    _with('Transfer-Encoding in a longer name', b'X-Transfer-Encoding: chunked'),
    _with('Transfer-Encodin', b'Transfer-Encodin: chunked'),
    _with('Transfer-Encoding with a mark', b'Transfer-Encoding!: chunked'),
    _with('Content-Length with a mark', b"Content-Length': 5"),
    _with('names in all cases', b'x-a: 1', b'X-A: 2', b'X-a: 3'),
    _with('SCRIPT_NAME and PATH_INFO', b'SCRIPT_NAME: /x', b'PATH_INFO: /y'),
    _with('HTTP_HOST', b'HTTP_HOST: b'),
    _with(
        'claims of a client',
        b'X-Forwarded-For: 1.2.3.4',
        b'X-Real-IP: 1.2.3.4',
        b'Forwarded: for=1.2.3.4',
        b'X-Request-ID: mine',
    ),
    _with(
        'the same in other letters',
        b'x-FORWARDED-for: 1.2.3.4',
        b'x_request_id: mine',
        b'X_REQUEST-ID: mine',
        b'x-request-id: mine',
    ),
    _with('letters that fold to ASCII in Unicode', b'X: \xc5\xbf', b'X: \xe2\x84\xaa'),
    _with('Proxy', b'Proxy: http://evil'),
    _with('two cookies', b'Cookie: a=b', b'Cookie: c=d'),
    _with('a cookie with eight bits', b'Cookie: a=\xff\xfe'),
    _with('Set-Cookie in a request', b'Set-Cookie: a=b'),
    _without('a name too long', b'X' * 300 + b': a'),
    _without('a hundred and fifty fields', *(b'X%d: a' % i for i in range(150))),
    _without('a head too large', *(b'X%d: ' % i + b'a' * 4000 for i in range(20))),
    _without('no colon', b'Fo'),
    _without('no colon, a space', b'Content-Length 5'),
    _without('no name', b': a'),
    _without('no name and no value', b':'),
    _without('only a colon first', b':', b'I: am cut'),
    _without('spaces only', b'   '),
    _without('a tab only', b'\t'),
    _without('two colons', b':: a'),
    _without('a quoted name', b'"X": a'),
    _without('space before the colon', b'X : a'),
    _without('tab before the colon', b'X\t: a'),
    _without('Transfer-Encoding with space before the colon', b'Transfer-Encoding : chunked'),
    _without('Transfer-Encoding with tab before the colon', b'Transfer-Encoding\t: chunked'),
    _without('Connection with space before the colon', b'Connection : close'),
    _without('two words for a name', b'en-US Content-Type: text/xml'),
    _without('folded with a space', b'X: a', b' b'),
    _without('folded with a tab', b'X: a', b'\tb'),
    _without('folded, an empty first', b'X:', b' b'),
    _without('folded, an empty second', b'X: a', b' '),
    _without('a colon in the next line', b'X', b' : a'),
    _without('folded Transfer-Encoding', b'Transfer-Encoding:', b' chunked'),
    _without('folded Transfer-Encoding with a tab', b'Transfer-Encoding:', b'\tchunked'),
    _without('Transfer-Encoding with a fold behind it', b'Transfer-Encoding: chunked', b'  abc'),
    _without('folded Content-Length', b'Content-Length:', b' 5'),
    _without('Content-Length in a fold', b'Foo: bar', b' Content-Length: 38'),
    _without('folded Host', b'X: a', b' Host: b'),
    _without('a name over two lines', b'Transfer-', b'Encoding: chunked'),
    no('the first line is a fold', b'GET / HTTP/1.1\r\n Host: a\r\n\r\n'),
    no('the first line is a fold by tab', b'GET / HTTP/1.1\r\n\tContent-Length: 1\r\nHost: a\r\n\r\nX'),
    no('the first line is empty but for a space', b'GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n'),
    _without('LF between fields', b'X: 1\nY: 2'),
    _without('CR between fields', b'X: 1\rY: 2'),
    _without('LF CR between fields', b'X: 1\n\rY: 2'),
    _without('CR CR LF between fields', b'X: 1\r', b'Y: 2'),
    _without('LF and Transfer-Encoding', b'x:x\nTransfer-Encoding: chunked'),
    _without('CR and Transfer-Encoding', b'x:\rTransfer-Encoding: chunked'),
    _without('LF after an empty value', b'x:\nTransfer-Encoding: chunked'),
    _without('LF and Content-Length', b'Dummy: x\nContent-Length: 23'),
    _without('LFs after a colon', b'Useless:\n\nGET /evil HTTP/1.1'),
    _without('NUL and LF', b'X: a\0\nY: b'),
    _without('NUL and CR', b'X: v\0\ralue'),
    _without('CR in a name', b'Content\rLength: 3'),
    _without('LF in a name', b'Te\nst: a'),
    _without('escape after CR in a name', b'Connection\r\x1b\x35\xd5eep-Alive'),
    _without('NUL at the end of a value', b'X: evil\0'),
    _without('NUL in Host', b'Host: b\0.c'),
    _without('a line that ends by NUL', b'X: a\0Y: b'),
    _without('a vertical tab for a line end', b'X: a\x0bY: b'),
    _without('LF that ends the head', b'X: a\n'),
    _without('two LFs in a value', b'X: a\n\nGET /evil HTTP/1.1\r\nHost: a'),
    _without('a request line among the fields', b'GET /evil HTTP/1.1'),
    _without('an answer among the fields', b'HTTP/1.1 200 OK'),
    _with('a request line with a colon among the fields', b'GET:/evil HTTP/1.1'),
    no('Content-Type twice', post(b'', 'Content-Type: a/b', 'Content-Type: c/d', 'Content-Length: 0')),
    ok('Content-Type once', post(b'abc', 'Content-Type: a/b; charset=x', 'Content-Length: 3'), ('POST /', b'abc')),
]
