# SPDX-License-Identifier: MIT
"""Answers of a server: bytes, and what a client is to be told.

    whole(name, bytes, body, status=200)      the client gets this answer
    refused(name, bytes)                      the client gets 502 from diplex
    broken(name, bytes, status=200)           the client gets the head, and its connection breaks off in the body
    lost(name, bytes)                         either of the two

Behind each, the client asks for END on the same connection, and gets END's own answer, unless it was broken. `asked` is
the method, `closes` whether the server closes its connection behind the bytes. `surplus` is what hangs on the answer: it
comes in one piece with the last byte of the answer, since what comes after the next request has been sent could be the
answer to that.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class AnswerCase:
    name: str
    data: bytes
    end: str  # 'whole', 'refused', 'broken', 'lost'
    status: int
    body: bytes
    asked: str
    closes: bool
    interim: bool  # with interim answers that http.client takes for final ones
    cut_before: int  # what is behind it is surplus


def _case(name, data, end, status, body, asked='GET', closes=False, interim=False, surplus=b''):
    return AnswerCase(name, data + surplus, end, status, body, asked, closes, interim, len(data))


def whole(name, data, body=b'', status=200, **more):
    return _case(name, data, 'whole', status, body, **more)


def refused(name, data, **more):
    return _case(name, data, 'refused', 502, b'', **{'closes': True, **more})


def broken(name, data, status=200, **more):
    return _case(name, data, 'broken', status, b'', **{'closes': True, **more})


def lost(name, data, **more):
    return _case(name, data, 'lost', 502, b'', **{'closes': True, **more})


def head(*fields: bytes | str, line: bytes | str = b'HTTP/1.1 200 OK') -> bytes:
    lines = (each.encode('latin-1') if isinstance(each, str) else each for each in (line, *fields))
    return b''.join(each + b'\r\n' for each in lines) + b'\r\n'


OK = head('Content-Length: 2') + b'ok'
EVIL = head('Content-Length: 4') + b'evil'
CHUNKED = 'Transfer-Encoding: chunked'
HELLO = b'5\r\nhello\r\n0\r\n\r\n'


def _line(line: bytes):
    return refused(f'status line {line[:40]!r}', line + b'\r\nContent-Length: 2\r\n\r\nok')


def _field(*lines: bytes):
    return refused(f'field {lines[0][:40]!r} ({len(lines)})', head(b'Content-Length: 2', *lines) + b'ok')


def _size(size: bytes):
    return broken(f'chunk size {size[:20]!r}', head(CHUNKED) + b'5\r\nhello\r\n' + size + b'\r\nhello\r\n0\r\n\r\n')


def _length(value: bytes):
    return refused(f'Content-Length {value[:30]!r}', head(b'Content-Length:' + value) + b'ok')


def _coding(value: bytes):
    return refused(f'Transfer-Encoding {value[:30]!r}', head(b'Transfer-Encoding:' + value) + HELLO)


LINES = [
    *map(
        _line,
        (
            b'',
            b' ',
            b'HTTP/1.1',
            b'HTTP/1.1 ',
            b'HTTP/1.1 2',
            b'HTTP/1.1 20',
            b'HTTP/1.1 2000 OK',
            b'HTTP/1.1 20x OK',
            b'HTTP/1.1 -20 OK',
            b'HTTP/1.1 +20 OK',
            b'HTTP/1.1 099 OK',
            b'HTTP/1.1 600 OK',
            b'HTTP/1.1 999 OK',
            b'HTTP/1.1 000 OK',
            b'HTTP/1.1  200 OK',
            b'HTTP/1.1\t200 OK',
            b'HTTP/1.1 200\tOK',
            b'HTTP/1.1 200OK',
            b'HTTP/1.1 0200 OK',
            b'HTTP/1.1 0x1 OK',
            b'HTTP/1.1 OK 200',
            b'HTTP/1.1200 OK',
            b' HTTP/1.1 200 OK',
            b'\tHTTP/1.1 200 OK',
            b'\rHTTP/1.1 200 OK',
            b'HTTP/2.0 200 OK',
            b'HTTP/0.9 200 OK',
            b'HTTP/5.6 200 OK',
            b'HTTP/1 200 OK',
            b'HTTP/1. 200 OK',
            b'HTTP/01.1 200 OK',
            b'HTTP/1.01 200 OK',
            b'HTTP/11.1 200 OK',
            b'HTTP/1,1 200 OK',
            b'http/1.1 200 OK',
            b'HTP/1.1 200 OK',
            b'HTTPER/1.1 200 OK',
            b'RTSP/1.1 200 OK',
            b'ICE/1.1 200 OK',
            b'ICY 200 OK',
            b'GET / HTTP/1.1',
            b'HTTP/1.1 200 O\0K',
            b'HTTP/1.1 200 O\rK',
            b'HTTP/1.1 200 OK\r',
            b'HTTP/1.1 200 OK\r\r',
            b'HTTP/1.1 200 OK\n',
            b'HTTP/1.1 200 OK\nX: y',
            b'HTTP/1.1 200 O\x01K',
            b'HTTP/1.1 200 O\x7fK',
            b'\0HTTP/1.1 200 OK',
            b'ok',
            b'<html>',
            b'\x16\x03\x01',
        ),
    ),
    refused('nothing but words', b'hello world'),
    refused('LF everywhere', b'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
    refused('CR behind the line', b'HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok'),
    refused('an empty line before', b'\r\n' + OK),
    refused('half a head', b'HTTP/1.1 200 OK\r\nContent-Le'),
    refused('a line and no more', b'HTTP/1.1 200 OK\r\n'),
    whole('no reason', head('Content-Length: 2', line='HTTP/1.1 200') + b'ok', b'ok'),
    whole('an empty reason', head('Content-Length: 2', line='HTTP/1.1 200 ') + b'ok', b'ok'),
    whole('two spaces before the reason', head('Content-Length: 2', line='HTTP/1.1 200  OK') + b'ok', b'ok'),
    whole('a reason with eight bits', head('Content-Length: 2', line=b'HTTP/1.1 200 Ori\xc3\xabnt\xe9') + b'ok', b'ok'),
    whole('a reason with a tab', head('Content-Length: 2', line='HTTP/1.1 200 a\tb') + b'ok', b'ok'),
    whole('a reason like a field', head('Content-Length: 2', line='HTTP/1.1 200 Content-Length: 5') + b'ok', b'ok'),
    whole('HTTP/1.0', head('Content-Length: 2', line='HTTP/1.0 200 OK') + b'ok', b'ok', closes=True),
    whole(
        'HTTP/1.0 kept alive',
        head('Content-Length: 2', 'Connection: keep-alive', line='HTTP/1.0 200 OK') + b'ok',
        b'ok',
    ),
    *(
        whole(f'status {status}', head('Content-Length: 2', line=f'HTTP/1.1 {status} X') + b'ok', b'ok', status)
        for status in (
            201,
            202,
            203,
            205,
            206,
            226,
            299,
            300,
            301,
            302,
            399,
            400,
            401,
            404,
            408,
            413,
            418,
            426,
            499,
            500,
            501,
            503,
            505,
            599,
        )
    ),
]

FIELDS = [
    *map(
        _field,
        (
            b'X',
            b': a',
            b'X : a',
            b'X\t: a',
            b' X: a',
            b'\tX: a',
            b'X: a\rb',
            b'X: a\nb',
            b'X: a\0b',
            b'X: a\x01b',
            b'X: a\x7f',
            b'X\0: a',
            b'X\x80: a',
            b'"X": a',
            b'X Y: a',
            b'GET / HTTP/1.1',
            b'Content-Length : 5',
            b'X: a\r',
            b'X: a\n',
            b'\n',
        ),
    ),
    _field(b'X: a', b' b'),
    _field(b'X: a', b'\tb'),
    _field(b'Content-Length', b' : 5'),
    _field(b'Transfer-Encoding', b' : chunked'),
    _field(*(b'X%d: a' % i for i in range(150))),
    _field(*(b'X%d: ' % i + b'a' * 4000 for i in range(20))),
    whole(
        'names with underscores',
        head('Content-Length: 2', 'Content_Length: 5', 'Transfer_Encoding: chunked') + b'ok',
        b'ok',
    ),
    whole('a value with eight bits', head('Content-Length: 2', b'X: \xff\xfe') + b'ok', b'ok'),
    whole('an empty value', head('Content-Length: 2', 'X:') + b'ok', b'ok'),
    whole('line ends in other letters', head('Content-Length: 2', b'X: a\xc4\x8d\xc4\x8aSet-Cookie: b') + b'ok', b'ok'),
    whole('line ends encoded', head('Content-Length: 2', 'Location: /%0d%0aSet-Cookie:%20a=b') + b'ok', b'ok'),
    whole('two cookies', head('Content-Length: 2', 'Set-Cookie: a=b', 'Set-Cookie: c=d') + b'ok', b'ok'),
    whole(
        'hop-by-hop fields',
        head(
            'Content-Length: 2',
            'Keep-Alive: timeout=5',
            'Proxy-Connection: close',
            'Proxy-Authenticate: x',
            'Connection: X, keep-alive',
            'X: y',
        )
        + b'ok',
        b'ok',
    ),
    whole(
        'orders to a proxy', head('Content-Length: 2', 'X-Accel-Redirect: /x', 'X-Accel-Buffering: no') + b'ok', b'ok'
    ),
    refused('Connection names Content-Length', head('Content-Length: 2', 'Connection: Content-Length') + b'ok'),
    refused('Connection names Transfer-Encoding', head(CHUNKED, 'Connection: Transfer-Encoding') + HELLO),
    refused('Connection is no list', head('Content-Length: 2', 'Connection: a b') + b'ok'),
]

LENGTHS = [
    whole('a length', OK, b'ok'),
    whole('a length of 0', head('Content-Length: 0')),
    whole('a length with zeros', head('Content-Length: 002') + b'ok', b'ok'),
    whole('a length with tabs', head('Content-Length:\t2\t') + b'ok', b'ok'),
    *map(
        _length,
        (
            b'',
            b' ',
            b' +2',
            b' -2',
            b' 0x2',
            b' 2x',
            b' 2,2',
            b' 2, 2',
            b' 2 2',
            b' 2;',
            b' 2.0',
            b' 1e0',
            b' "2"',
            b' 2\xa0',
            b' 2_',
            b' two',
            b' 9223372036854775808',
            b' 18446744073709551618',
            b' ' + b'9' * 100,
            b' \xb2',
            b' -1',
            b' NaN',
        ),
    ),
    refused('twice, the same', head('Content-Length: 2', 'Content-Length: 2') + b'ok'),
    refused('twice, another', head('Content-Length: 2', 'Content-Length: 3') + b'ok'),
    refused('twice in other letters', head('Content-Length: 2', 'content-length: 2') + b'ok'),
    refused('beside a coding', head('Content-Length: 2', CHUNKED) + HELLO),
    refused('behind a coding', head(CHUNKED, 'Content-Length: 15') + HELLO),
    broken('shorter than it says', head('Content-Length: 5') + b'ok'),
    lost('nothing of it', head('Content-Length: 5')),
    broken('all but a byte', head('Content-Length: 5') + b'hell'),
    whole('another answer behind it', OK, b'ok', surplus=EVIL),
    whole('words behind it', OK, b'ok', surplus=b'evil'),
    whole('an empty line behind it', OK, b'ok', surplus=b'\r\n'),
    whole('another answer behind it, and the end', OK, b'ok', closes=True, surplus=EVIL),
    whole('another answer behind a close', head('Content-Length: 2', 'Connection: close') + b'ok', b'ok', surplus=EVIL),
    whole('another answer behind a length of 0', head('Content-Length: 0'), surplus=EVIL),
    whole('another answer within', head('Content-Length: %d' % len(EVIL)) + EVIL, EVIL),
    whole('another answer half within', head('Content-Length: 10') + EVIL[:10], EVIL[:10], surplus=EVIL[10:]),
    whole('an interim answer behind it', OK, b'ok', surplus=head(line='HTTP/1.1 100 Continue')),
    whole('a request behind it', OK, b'ok', surplus=b'GET /evil HTTP/1.1\r\nHost: a\r\n\r\n'),
]

CODINGS = [
    whole('chunks', head(CHUNKED) + HELLO, b'hello'),
    whole('chunks in odd letters', head('tRANSFER-eNCODING: ChUnKeD') + HELLO, b'hello'),
    *map(
        _coding,
        (
            b'',
            b' identity',
            b' gzip',
            b' gzip, chunked',
            b' chunked, gzip',
            b' chunked, identity',
            b' chunkedchunked',
            b' xchunked',
            b' ,chunked',
            b' chunked,',
            b' "chunked"',
            b' chunked\xa0',
            b' \xa0chunked',
            b' chunked;a=b',
            b' chunked chunked',
            b' chunk',
        ),
    ),
    refused('chunked twice', head(CHUNKED, CHUNKED) + HELLO),
    refused('chunked and identity', head(CHUNKED, 'Transfer-Encoding: identity') + HELLO),
    refused('chunked in HTTP/1.0', head(CHUNKED, line='HTTP/1.0 200 OK') + HELLO),
    whole('none but the last', head(CHUNKED) + b'0\r\n\r\n'),
    whole('two chunks', head(CHUNKED) + b'5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n', b'hello world'),
    whole('a chunk that is an answer', head(CHUNKED) + b'%x\r\n' % len(EVIL) + EVIL + b'\r\n0\r\n\r\n', EVIL),
    whole('a chunk that is chunks', head(CHUNKED) + b'f\r\n' + HELLO + b'\r\n0\r\n\r\n', HELLO),
    whole('an extension', head(CHUNKED) + b'5;a=b\r\nhello\r\n0;c\r\n\r\n', b'hello'),
    whole('trailers', head(CHUNKED, 'Trailer: X-Sum') + b'5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', b'hello'),
    whole(
        'trailers that frame',
        head(CHUNKED) + b'5\r\nhello\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\n',
        b'hello',
    ),
    whole('trailers that set a cookie', head(CHUNKED) + b'5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\n\r\n', b'hello'),
    *map(
        _size,
        (
            b'',
            b' ',
            b'5 ',
            b' 5',
            b'+5',
            b'-5',
            b'0x5',
            b'5x',
            b'g',
            b'5_0',
            b'\xb5',
            b'5\0',
            b'f' * 17,
            b'1' + b'0' * 16,
            b'-1',
            b'5\n',
            b'5\r',
            b'5;a\nb',
            b'5;\0',
            b'five',
            b'5 ;a',
        ),
    ),
    broken('a chunk longer than it says', head(CHUNKED) + b'5\r\nhelloo\r\n0\r\n\r\n'),
    broken('LF behind a chunk', head(CHUNKED) + b'5\r\nhello\n0\r\n\r\n'),
    broken('two bytes behind a chunk', head(CHUNKED) + b'5\r\nhelloXX0\r\n\r\n'),
    broken('LF behind a size', head(CHUNKED) + b'5\r\nhello\r\n5\nhello\r\n0\r\n\r\n'),
    broken('no last chunk', head(CHUNKED) + b'5\r\nhello\r\n'),
    broken('half a chunk', head(CHUNKED) + b'5\r\nhel'),
    broken('a last chunk without its empty line', head(CHUNKED) + b'5\r\nhello\r\n0\r\n'),
    broken('half a last chunk', head(CHUNKED) + b'5\r\nhello\r\n0'),
    broken('half a trailer', head(CHUNKED) + b'5\r\nhello\r\n0\r\nX: '),
    broken('a crooked trailer', head(CHUNKED) + b'5\r\nhello\r\n0\r\nX : a\r\n\r\n'),
    broken('a folded trailer', head(CHUNKED) + b'5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n'),
    broken('LF for the last empty line', head(CHUNKED) + b'5\r\nhello\r\n0\r\n\n'),
    broken('an answer where a size is due', head(CHUNKED) + b'5\r\nhello\r\n' + EVIL),
    whole('another answer behind chunks', head(CHUNKED) + HELLO, b'hello', surplus=EVIL),
    whole('an empty line behind chunks', head(CHUNKED) + HELLO, b'hello', surplus=b'\r\n'),
    whole(
        'another answer behind chunks and a close', head(CHUNKED, 'Connection: close') + HELLO, b'hello', surplus=EVIL
    ),
]

BODILESS = [
    *(
        case
        for status in (204, 304)
        for case in (
            whole(f'{status}', head(line=f'HTTP/1.1 {status} X'), status=status),
            whole(f'{status} with a length', head('Content-Length: 2', line=f'HTTP/1.1 {status} X'), status=status),
            whole(
                f'{status} with a length and a body',
                head('Content-Length: 2', line=f'HTTP/1.1 {status} X'),
                status=status,
                surplus=b'ok',
            ),
            whole(f'{status} with a coding', head(CHUNKED, line=f'HTTP/1.1 {status} X'), status=status),
            whole(f'{status} with chunks', head(CHUNKED, line=f'HTTP/1.1 {status} X'), status=status, surplus=HELLO),
            whole(f'{status} with words', head(line=f'HTTP/1.1 {status} X'), status=status, surplus=b'evil'),
            whole(f'{status} with another answer', head(line=f'HTTP/1.1 {status} X'), status=status, surplus=EVIL),
            whole(
                f'{status} with another answer as its body',
                head(f'Content-Length: {len(EVIL)}', line=f'HTTP/1.1 {status} X'),
                status=status,
                surplus=EVIL,
            ),
            whole(f'{status} and the end', head(line=f'HTTP/1.1 {status} X'), status=status, closes=True),
        )
    ),
    whole('HEAD', head('Content-Length: 2'), asked='HEAD'),
    whole('HEAD with a body', head('Content-Length: 2'), asked='HEAD', surplus=b'ok'),
    whole('HEAD with chunks', head(CHUNKED), asked='HEAD', surplus=HELLO),
    whole('HEAD with a coding', head(CHUNKED), asked='HEAD'),
    whole('HEAD without a length', head(), asked='HEAD'),
    whole('HEAD with another answer', head('Content-Length: 2'), asked='HEAD', surplus=EVIL),
    whole('HEAD with another answer as its body', head(f'Content-Length: {len(EVIL)}'), asked='HEAD', surplus=EVIL),
    whole('HEAD and the end', head('Content-Length: 2'), asked='HEAD', closes=True),
    whole('HEAD with a length without an end', head('Content-Length: 9000000000000000000'), asked='HEAD'),
    whole(
        'HEAD with an error',
        head('Content-Length: 9', line='HTTP/1.1 404 X'),
        status=404,
        asked='HEAD',
        surplus=b'not found',
    ),
    refused('HEAD with two lengths', head('Content-Length: 2', 'Content-Length: 3'), asked='HEAD'),
    refused('HEAD with both', head('Content-Length: 2', CHUNKED), asked='HEAD'),
    refused('204 with both', head('Content-Length: 2', CHUNKED, line='HTTP/1.1 204 X')),
    refused('304 with two lengths', head('Content-Length: 2', 'Content-Length: 3', line='HTTP/1.1 304 X')),
    whole('until the end', head() + b'ok', b'ok', closes=True),
    whole('until the end, another answer in it', head() + EVIL, EVIL, closes=True),
    whole('until the end, empty', head(), closes=True),
    whole('until the end, in 1.0', head(line='HTTP/1.0 200 OK') + b'ok', b'ok', closes=True),
    whole(
        'until the end, in 1.0 and kept alive',
        head('Connection: keep-alive', line='HTTP/1.0 200 OK') + EVIL,
        EVIL,
        closes=True,
    ),
    whole('until the end, with chunks in it', head('X: chunked') + HELLO, HELLO, closes=True),
    whole(
        'CONNECT is never asked, nor is its answer',
        head('Content-Length: 2', 'Upgrade: x', 'Connection: Upgrade') + b'ok',
        b'ok',
    ),
]


def _interim(*lines: str) -> bytes:
    return b''.join(head(line=line) for line in lines)


INTERIM = [
    whole('100 before', _interim('HTTP/1.1 100 Continue') + OK, b'ok'),
    whole('two 100 before', _interim('HTTP/1.1 100 Continue', 'HTTP/1.1 100 Continue') + OK, b'ok'),
    whole('103 before', head('Link: </a.css>; rel=preload', line='HTTP/1.1 103 Early Hints') + OK, b'ok', interim=True),
    whole(
        '102 and 103 before', _interim('HTTP/1.1 102 Processing', 'HTTP/1.1 103 Early Hints') + OK, b'ok', interim=True
    ),
    whole('199 before', _interim('HTTP/1.1 199 X') + OK, b'ok', interim=True),
    whole('103 before chunks', _interim('HTTP/1.1 103 X') + head(CHUNKED) + HELLO, b'hello', interim=True),
    whole('103 before a 304', _interim('HTTP/1.1 103 X') + head(line='HTTP/1.1 304 X'), status=304, interim=True),
    whole('103 with a length of 0', head('Content-Length: 0', line='HTTP/1.1 103 X') + OK, b'ok', interim=True),
    refused('103 with a length', head('Content-Length: 2', line='HTTP/1.1 103 X') + b'ok' + OK),
    refused('103 with a coding', head(CHUNKED, line='HTTP/1.1 103 X') + HELLO + OK),
    refused('a flood of 103', _interim(*['HTTP/1.1 103 X'] * 40) + OK, interim=True),
    refused('100 and no more', _interim('HTTP/1.1 100 Continue')),
    refused('103 and words', _interim('HTTP/1.1 103 X') + b'evil\r\n\r\n', interim=True),
    refused('103 and half a head', _interim('HTTP/1.1 103 X') + b'HTTP/1.1 200 OK\r\n', interim=True),
    refused(
        '101 that nobody asked for', head('Upgrade: websocket', 'Connection: Upgrade', line='HTTP/1.1 101 X') + b'evil'
    ),
    refused('101 to h2c', head('Upgrade: h2c', 'Connection: Upgrade', line='HTTP/1.1 101 X') + b'evil'),
    refused('101 with nothing', head(line='HTTP/1.1 101 X') + OK),
    refused(
        '101 with a length',
        head('Content-Length: 2', 'Upgrade: websocket', 'Connection: Upgrade', line='HTTP/1.1 101 X') + b'ok',
    ),
    refused('101 before an answer', head('Upgrade: x', 'Connection: Upgrade', line='HTTP/1.1 101 X') + OK, closes=True),
]

ANSWERS = {
    'lines': LINES,
    'fields': FIELDS,
    'lengths': LENGTHS,
    'codings': CODINGS,
    'bodiless': BODILESS,
    'interim': INTERIM,
}


def answer_cases() -> list[AnswerCase]:
    """All of them, under names with their category; no bytes twice."""
    cases = [
        dataclasses.replace(case, name=f'{category}: {case.name}')
        for category, some in ANSWERS.items()
        for case in some
    ]
    assert len({(case.data, case.asked, case.closes) for case in cases}) == len(cases)
    return cases
