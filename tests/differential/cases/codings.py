# SPDX-License-Identifier: MIT
"""Transfer-Encoding in every disguise, alone and beside Content-Length."""

from cases import head, no, ok, post

HELLO = b'5\r\nhello\r\n0\r\n\r\n'
ZERO = b'0\r\n\r\n'


def _refused(value: bytes):
    return no(f'Transfer-Encoding {value[:40]!r} refused', post(HELLO, b'Transfer-Encoding:' + value))


def _accepted(value: bytes):
    return ok(f'Transfer-Encoding {value!r}', post(HELLO, b'Transfer-Encoding:' + value), ('POST /', b'hello'))


def _both(name: str, coding: bytes, length: bytes = b'Content-Length: 5'):
    """In both orders. The body is short for either reading, so that END would become part of it or come twice."""
    return (
        no(f'{name}, the length first', post(ZERO, length, coding)),
        no(f'{name}, the coding first', post(ZERO, coding, length)),
    )


_DISGUISES = (
    b'Transfer-Encoding: chunked',
    b'Transfer-Encoding:chunked',
    b'Transfer-Encoding:\tchunked',
    b'Transfer-Encoding: CHUNKED',
    b'transfer-encoding: Chunked',
    b'TRANSFER-ENCODING: chunked',
    b'Transfer-Encoding: xchunked',
    b'Transfer-Encoding: chunkedx',
    b'Transfer-Encoding: x',
    b'Transfer-Encoding: identity',
    b'Transfer-Encoding: gzip',
    b'Transfer-Encoding: gzip, chunked',
    b'Transfer-Encoding: chunked, identity',
    b'Transfer-Encoding: identity, chunked',
    b'Transfer-Encoding: ,chunked',
    b'Transfer-Encoding: chunked,',
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: 'chunked'",
    b'Transfer-Encoding:',
    b'Transfer-Encoding: ',
    b'Transfer-Encoding: \x0bchunked',
    b'Transfer-Encoding: \x0cchunked',
    b'Transfer-Encoding: chunked\x0b',
    b'Transfer-Encoding: chunked\0',
    b'Transfer-Encoding: \0chunked',
    b'Transfer-Encoding: \xa0chunked',
    b'Transfer-Encoding: chunked\xa0',
    b'Transfer-Encoding: \xffchunked\xff',
    b'Transfer-Encoding: chun\xc4\xb7ed',
    b'Transfer-Encoding: chunked;a=b',
    b'Transfer-Encoding: chunked a',
    b'Transfer-Encoding : chunked',
    b'Transfer-Encoding\t: chunked',
    b' Transfer-Encoding: chunked',
    b'\tTransfer-Encoding: chunked',
    b'Transfer-Encoding\0: chunked',
    b'\0Transfer-Encoding: chunked',
    b'Transfer-Encoding\xa0: chunked',
    b'Transfer-Encoding: chunked\r\n abc',
    b'Transfer-Encoding:\r\n chunked',
    b'X: y\nTransfer-Encoding: chunked',
    b'X: y\rTransfer-Encoding: chunked',
    b'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
    b'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
    b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    b'Transfer-Encoding: chunked\r\nTransfer-encoding: identity',
    b'Transfer-Encoding\r\n: chunked',
    b'Transfer-\r\nEncoding: chunked',
)
_NO_CODINGS = (
    b'Transfer_Encoding: chunked',
    b'X-Transfer-Encoding: chunked',
    b'Transfer-Encodings: chunked',
    b'Transfer.Encoding: chunked',
    b'Transfer--Encoding: chunked',
    b'TransferEncoding: chunked',
    b'Encoding: chunked',
    b'TE: chunked',
    b'Content-Transfer-Encoding: chunked',
    b'Transfer-Encoding~: chunked',
)

CASES = [
    *map(_accepted, (b' chunked', b'chunked', b'  chunked  ', b'\tchunked\t', b' Chunked', b' CHUNKED', b' cHuNkEd')),
    *map(
        _refused,
        (
            b'',
            b' ',
            b' identity',
            b' identity, chunked',
            b' gzip',
            b' gzip, chunked',
            b' deflate, chunked',
            b' x, chunked',
            b' chunked, identity',
            b' chunked, gzip',
            b' chunked, deflate',
            b' chunked, chunked',
            b' chunked chunked',
            b' chunkedchunked',
            b' ,chunked',
            b' chunked,',
            b' , chunked',
            b' chunked ,',
            b' ,',
            b' ,,',
            b' xchunked',
            b' chunkedx',
            b' chunke',
            b' hunked',
            b' chunked;',
            b' chunked;a=b',
            b' chunked; q=1',
            b' chunked a',
            b' a chunked',
            b' "chunked"',
            b" 'chunked'",
            b' chunked"',
            b' chunked\x0b',
            b' \x0bchunked',
            b' \x0cchunked',
            b' chunked\x0c',
            b' chunked\0',
            b' \0chunked',
            b' chun\0ked',
            b' \xa0chunked',
            b' chunked\xa0',
            b' \x85chunked',
            b' \xffchunked\xff',
            b' \xef\xbb\xbfchunked',
            b' chun\xc4\xb7ed',
            b' \xe2\x84\xaachunked',
            b' chunk',
            b' pigeons',
            b' blegh',
            b' none',
            b' 1',
            b' chunked/1',
            b' chunked=1',
            b' =chunked',
            b' (chunked)',
            b' <chunked>',
            b' chunked\t, x',
            b' x,\tchunked\t,',
            b' trailers',
            b' c h u n k e d',
            b' chu-nked',
            b' chunked.',
            b' chunked:',
            b' :chunked',
            b' %63hunked',
            b' chun\\ked',
            b' cow, chunked',
            b' chunked, cow',
        ),
    ),
    no('twice', post(HELLO, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')),
    no('twice, gzip first', post(HELLO, 'Transfer-Encoding: gzip', 'Transfer-Encoding: chunked')),
    no('twice, gzip last', post(HELLO, 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip')),
    no('twice, identity first', post(HELLO, 'Transfer-Encoding: identity', 'Transfer-Encoding: chunked')),
    no('twice, an empty first', post(HELLO, 'Transfer-Encoding:', 'Transfer-Encoding: chunked')),
    no('twice, an empty last', post(HELLO, 'Transfer-Encoding: chunked', 'Transfer-Encoding:')),
    no('twice, in other letters', post(HELLO, 'Transfer-Encoding: chunked', 'transfer-encoding: chunked')),
    no(
        'thrice empty, and a length',
        post(
            b'2\r\nAA\r\n0\r\n\r\n',
            'Content-Length: 10',
            'Transfer-Encoding:',
            'Transfer-Encoding:',
            'Transfer-Encoding:',
        ),
    ),
    no('in HTTP/1.0', head('POST / HTTP/1.0', 'Transfer-Encoding: chunked') + HELLO),
    no(
        'in HTTP/1.0 and kept alive',
        head('POST / HTTP/1.0', 'Transfer-Encoding: chunked', 'Connection: keep-alive') + HELLO,
    ),
    no(
        'in HTTP/1.0 beside a length',
        head('POST / HTTP/1.0', 'Transfer-Encoding: chunked', 'Content-Length: 15', 'Connection: keep-alive') + HELLO,
    ),
    no('named by Connection', post(HELLO, 'Transfer-Encoding: chunked', 'Connection: Transfer-Encoding')),
    no(
        'named by Connection, beside a length',
        post(ZERO, 'Transfer-Encoding: chunked', 'Content-Length: 5', 'Connection: keep-alive, transfer-encoding'),
    ),
    ok('TE beside it', post(HELLO, 'Transfer-Encoding: chunked', 'TE: trailers, gzip'), ('POST /', b'hello')),
    ok('with a GET', head('GET / HTTP/1.1', 'Transfer-Encoding: chunked') + HELLO, ('GET /', b'hello')),
    ok('with a HEAD', head('HEAD / HTTP/1.1', 'Transfer-Encoding: chunked') + HELLO, ('HEAD /', b'hello')),
    ok('with OPTIONS', head('OPTIONS / HTTP/1.1', 'Transfer-Encoding: chunked') + HELLO, ('OPTIONS /', b'hello')),
    ok(
        'with Accept-Encoding and Content-Encoding',
        post(HELLO, 'Transfer-Encoding: chunked', 'Content-Encoding: gzip', 'Accept-Encoding: chunked'),
        ('POST /', b'hello'),
    ),
    *(case for disguise in _DISGUISES for case in _both(f'{disguise!r} beside a length', disguise)),
    *(
        ok(f'{name!r} is no coding', post(b'hello', 'Content-Length: 5', name), ('POST /', b'hello'))
        for name in _NO_CODINGS
    ),
    *(
        ok(f'{name!r} is no coding, first', post(b'hello', name, 'Content-Length: 5'), ('POST /', b'hello'))
        for name in _NO_CODINGS
    ),
]
