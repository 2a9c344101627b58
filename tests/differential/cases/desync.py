# SPDX-License-Identifier: MIT
"""The published attacks, each as a whole conversation: a front and a server that disagree, and what hides in between.

Named as research names them: the first half is what a front takes for the length of a body, the second what the server
behind it takes (CL: Content-Length, TE: Transfer-Encoding, 0: none).
"""

from cases import chunked, cut, head, no, ok, post

INSIDE = b'GET /inside HTTP/1.1\r\nHost: a\r\n\r\n'
PREFIX = b'GET /inside HTTP/1.1\r\nX-Swallow: '


def _cl_te(name: str, *coding: bytes | str):
    body = b'0\r\n\r\n' + PREFIX
    return no(f'CL.TE {name}', post(body, f'Content-Length: {len(body)}', *coding))


def _te_cl(name: str, *coding: bytes | str):
    return no(f'TE.CL {name}', post(b'21\r\n' + INSIDE + b'\r\n0\r\n\r\n', 'Content-Length: 4', *coding))


_TE = 'Transfer-Encoding: chunked'
_TRICKS = {
    'plain': (_TE,),
    'space before the colon': ('Transfer-Encoding : chunked',),
    'space before the name': (' Transfer-Encoding: chunked',),
    'x': ('Transfer-Encoding: x',),
    'a tab': ('Transfer-Encoding:\tchunked',),
    'a vertical tab': ('Transfer-Encoding:\x0bchunked',),
    'twice': (_TE, 'Transfer-Encoding: x'),
    'twice, x first': ('Transfer-Encoding: x', _TE),
    'a list': ('Transfer-Encoding: x, chunked',),
    'a fold': ('Transfer-Encoding:', ' chunked'),
    'LF before it': ('X: y\nTransfer-Encoding: chunked',),
    'CR before it': ('X: y\rTransfer-Encoding: chunked',),
    'in a fold': ('X: y', ' Transfer-Encoding: chunked'),
    'quoted': ('Transfer-Encoding: "chunked"',),
    'NUL': ('Transfer-Encoding: chunked\0',),
    'a colon more': ('Transfer-Encoding:: chunked',),
    'eight bits': ('Transfer-Encoding: \xffchunked',),
    'in odd letters': ('tRANSFER-ENCODING: cHUNKED',),
    'identity too': ('Transfer-Encoding: identity', _TE),
    'named by Connection': (_TE, 'Connection: Transfer-Encoding'),
    'the length named by Connection': (_TE, 'Connection: Content-Length'),
    'CR LF in the name': (b'Transfer-Encoding\r\n : chunked',),
    'a comma': ('Transfer-Encoding: chunked,',),
    'a comma first': ('Transfer-Encoding: ,chunked',),
    'a parameter': ('Transfer-Encoding: chunked; x',),
}

CASES = [
    *(_cl_te(name, *coding) for name, coding in _TRICKS.items()),
    *(_te_cl(name, *coding) for name, coding in _TRICKS.items()),
    *(
        no(f'TE.TE {name}', post(b'21\r\n' + INSIDE + b'\r\n0\r\n\r\n', _TE, *coding))
        for name, coding in _TRICKS.items()
        if name != 'plain' and coding[0] != _TE
    ),
    ok('TE.0', head('OPTIONS / HTTP/1.1', _TE) + b'21\r\n' + INSIDE + b'\r\n0\r\n\r\n', ('OPTIONS /', INSIDE)),
    ok('TE.0 with GET', head('GET / HTTP/1.1', _TE) + b'21\r\n' + INSIDE + b'\r\n0\r\n\r\n', ('GET /', INSIDE)),
    ok(
        'TE.0 with a chunk like a request line',
        head('OPTIONS / HTTP/1.1', _TE) + b'5d\r\n' + b'x' * 60 + INSIDE + b'\r\n0\r\n\r\n',
        ('OPTIONS /', b'x' * 60 + INSIDE),
    ),
    ok('CL.0', post(INSIDE, 'Content-Length: 33'), ('POST /', INSIDE)),
    ok('CL.0 with a GET', head('GET /static.css HTTP/1.1', 'Content-Length: 33') + INSIDE, ('GET /static.css', INSIDE)),
    ok('CL.0 with a HEAD', head('HEAD / HTTP/1.1', 'Content-Length: 33') + INSIDE, ('HEAD /', INSIDE)),
    ok('CL.0 with OPTIONS *', head('OPTIONS * HTTP/1.1', 'Content-Length: 33') + INSIDE, ('OPTIONS *', INSIDE)),
    ok('CL.0 with Expect', post(INSIDE, 'Expect: 100-continue', 'Content-Length: 33'), ('POST /', INSIDE)),
    ok(
        'CL.0 to an address that answers early',
        post(INSIDE, 'Content-Length: 33', target='/early'),
        ('POST /early', INSIDE),
    ),
    ok(
        'CL.0 to an address that answers early, twice',
        post(INSIDE, 'Content-Length: 33', target='/early') + post(INSIDE, 'Content-Length: 33', target='/early'),
        ('POST /early', INSIDE),
        ('POST /early', INSIDE),
    ),
    ok(
        'TE.0 to an address that answers early',
        head('POST /early HTTP/1.1', _TE) + b'21\r\n' + INSIDE + b'\r\n0\r\n\r\n',
        ('POST /early', INSIDE),
    ),
    ok(
        'a GET with a body to an address that answers early',
        head('GET /early HTTP/1.1', 'Content-Length: 33') + INSIDE,
        ('GET /early', INSIDE),
    ),
    ok(
        'a HEAD with a body to an address that answers early',
        head('HEAD /early HTTP/1.1', 'Content-Length: 33') + INSIDE,
        ('HEAD /early', INSIDE),
    ),
    ok(
        'a large body to an address that answers early',
        post(INSIDE * 3000, 'Content-Length: 99000', target='/early'),
        ('POST /early', INSIDE * 3000),
    ),
    no('0.CL by a space before the name', head('GET / HTTP/1.1', ' Content-Length: 33') + INSIDE),
    no('0.CL by a space before the colon', head('GET / HTTP/1.1', 'Content-Length : 34') + INSIDE),
    no('0.CL by a tab before the colon', head('GET / HTTP/1.1', 'Content-Length\t: 34') + INSIDE),
    no('0.CL by a fold', head('GET / HTTP/1.1', 'Content-Length:', ' 33') + INSIDE),
    no('0.CL by a plus', head('GET / HTTP/1.1', 'Content-Length: +33') + INSIDE),
    no('0.CL by an empty one', head('GET / HTTP/1.1', 'Content-Length:', 'Content-Length: 33') + INSIDE),
    no('0.CL by LF', head('GET / HTTP/1.1', 'X: y\nContent-Length: 33') + INSIDE),
    no('0.CL by CR', head('GET / HTTP/1.1', 'X: y\rContent-Length: 33') + INSIDE),
    no('0.CL by NUL', head('GET / HTTP/1.1', 'Content-Length: 33\0') + INSIDE),
    no('0.CL by a hidden Expect', head('GET / HTTP/1.1', 'Expect: y 100-continue', 'Content-Length: 33') + INSIDE),
    ok('0.CL by an underscore', head('GET / HTTP/1.1', 'Content_Length: 34') + INSIDE, 'GET /', 'GET /inside'),
    ok('0.CL by a name of a device', head('GET /con HTTP/1.1', 'Content-Length: 33') + INSIDE, ('GET /con', INSIDE)),
    no('CL.CL', post(b'GET /inside HTTP/1.1\r\nX: ', 'Content-Length: 5', 'Content-Length: 25')),
    no('CL.CL as a list', post(b'GET /inside HTTP/1.1\r\nX: ', 'Content-Length: 5, 25')),
    no('TE in 1.0', head('POST / HTTP/1.0', _TE, 'Connection: keep-alive') + b'21\r\n' + INSIDE + b'\r\n0\r\n\r\n'),
    no(
        'both in 1.0',
        head('POST / HTTP/1.0', _TE, 'Content-Length: 5', 'Connection: keep-alive') + b'0\r\n\r\n' + INSIDE,
    ),
    no(
        'a front that takes LF in an extension',
        chunked(b'2;\nxx\r\n43\r\n' + b'A' * 26 + b'\r\n0\r\n\r\n' + INSIDE + b'\r\n0\r\n\r\n'),
    ),
    no('a server that takes LF in an extension', chunked(b'5;\nAAAAA\r\n0\r\n\r\n' + INSIDE)),
    no('a front that takes LF behind a chunk', chunked(b'5\r\nAAAAA\nX2\r\n45\r\n0\r\n\r\n' + INSIDE)),
    no('a front that takes any two bytes behind a chunk', chunked(b'5\r\nAAAAAXX2\r\n45\r\n0\r\n\r\n' + INSIDE)),
    no('a server that takes any two bytes behind a chunk', chunked(b'5\r\nAAAAAXX0\r\n\r\n' + INSIDE)),
    no('a front that reads 0x in a size', chunked(b'0x22\r\n' + INSIDE + b'\r\n0\r\n\r\n')),
    no('a front whose sizes overflow', chunked(b'10000000000000022\r\n' + INSIDE + b'\r\n0\r\n\r\n')),
    no('a front whose sizes overflow at 32 bits', chunked(b'7fff100000022\r\n' + INSIDE + b'\r\n0\r\n\r\n')),
    no('a front that takes the head for ended by LF LF', b'GET / HTTP/1.1\r\nHost: a\r\nX: y\n\n' + INSIDE),
    no('a front that takes the head for ended by CR CR', b'GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r' + INSIDE),
    no('two Hosts', head('GET / HTTP/1.1', 'Host: b') + INSIDE),
    no('Host and an absolute target', head('GET http://b/ HTTP/1.1') + INSIDE),
    no('Host hidden by a space', b'GET / HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n'),
    no('Host hidden by a tab before the colon', head('GET / HTTP/1.1', 'Host\t: b')),
    no('a request in the method', b'GET /inside HTTP/1.1\r\nHost:a\r\n\r\nX / HTTP/1.1\r\n\r\n', 'GET /inside'),
    no('a request in a CONNECT', head('CONNECT a:80 HTTP/1.1', 'Content-Length: 33') + INSIDE),
    ok(
        'an upgrade to h2c that is only asked for',
        head(
            'GET / HTTP/1.1',
            'Upgrade: h2c',
            'Connection: Upgrade, HTTP2-Settings',
            'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        )
        + INSIDE,
        'GET /',
        'GET /inside',
    ),
    no(
        'a preface of HTTP/2 behind an upgrade',
        head(
            'GET / HTTP/1.1',
            'Upgrade: h2c',
            'Connection: Upgrade, HTTP2-Settings',
            'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        )
        + b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        'GET /',
    ),
    no(
        'a WebSocket of a wrong version and a request behind it, in 1.0',
        head('GET / HTTP/1.0', 'Upgrade: websocket', 'Connection: Upgrade, Transfer-Encoding') + INSIDE,
    ),
    ok(
        'a bodiless GET with a claim to a coding',
        head('GET / HTTP/1.1', 'X-HTTP-Method-Override: POST', 'X-Transfer-Encoding: chunked') + INSIDE,
        'GET /',
        'GET /inside',
    ),
    ok(
        'line ends encoded in a target',
        head('GET /%20HTTP/1.1%0d%0aHost:%20b%0d%0a%0d%0a HTTP/1.1'),
        'GET /%20HTTP/1.1%0d%0aHost:%20b%0d%0a%0d%0a',
    ),
    ok('line ends encoded in a field', head('GET / HTTP/1.1', 'X: a%0d%0aContent-Length:%2034'), 'GET /'),
    ok(
        'letters whose low bytes are line ends',
        head('GET / HTTP/1.1', b'X: a\xc4\x8d\xc4\x8aContent-Length: 33'),
        'GET /',
    ),
    ok('a HEAD and a request', head('HEAD / HTTP/1.1') + INSIDE, 'HEAD /', 'GET /inside'),
]
