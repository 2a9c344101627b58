# SPDX-License-Identifier: MIT
"""One meaning: what is crooked is refused and not one byte of it goes on; what is odd but clear goes on in one form.

Tables of raw bytes, by category, through the real program to a server that records every byte. A refused request has
the status that the RFCs name, one answer, and a closed connection; after each category one plain request shows that the
server has received nothing else. An accepted one arrives in exactly the canonical bytes. Answers likewise, the other way.
"""

import re
import socket

import pytest
from harness import Diplex
from wire import ScriptedServer, wait_until

HOST = 'Host: a\r\n'
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'


def raw(text) -> bytes:
    return text if isinstance(text, bytes) else text.encode('latin-1')


def get(fields='', line='GET / HTTP/1.1'):
    """A request of this line, one Host and these fields."""
    return raw(f'{line}\r\n{HOST}') + raw(fields) + b'\r\n'


def post(fields, body=b'', version='1.1'):
    return raw(f'POST / HTTP/{version}\r\n{HOST}') + raw(fields) + b'\r\n' + raw(body)


def chunked(body):
    return post('Transfer-Encoding: chunked\r\n', body)


def to(target):
    return get(line=f'GET {target} HTTP/1.1')


class Sent:
    """What the server receives of an accepted request. `chunks`: its body, which a wsgi server gets in one piece."""

    def __init__(self, line, fields='', host='a', via='1.1', length=None, body=b'', chunks=None, hops=''):
        self.line, self.fields, self.host, self.via = line, fields, host, via
        self.length, self.body, self.chunks, self.hops = length, body, chunks, hops

    def bytes(self, kind) -> bytes:
        framing, body = '' if self.length is None else f'Content-Length: {self.length}\r\n', self.body
        if self.chunks is not None and kind == 'asgi':
            framing = 'Transfer-Encoding: chunked\r\n'
            body = b''.join(b'%x\r\n%s\r\n' % (len(chunk), chunk) for chunk in self.chunks)
            body += b'0\r\n\r\n'
        elif self.chunks is not None:
            body = b''.join(self.chunks)
            framing = f'Content-Length: {len(body)}\r\n'
        port = self.host.rpartition(':')[2] if ':' in self.host.rpartition(']')[2] else '80'
        return body_after(
            f'{self.line} HTTP/1.1\r\nHost: {self.host}\r\n{self.fields}{self.hops}Via: {self.via} diplex\r\n'
            'X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n'
            f'X-Forwarded-Host: {self.host}\r\nX-Forwarded-Port: {port}\r\nX-Request-ID: ID\r\n'
            f'X-Request-Start: t=NOW\r\n{framing}\r\n',
            body,
        )


def body_after(head, body):
    return raw(head) + body


PLAIN = Sent('GET /')  # what most of the accepted ones become
EMPTY_POST = Sent('POST /', length=0)
FIVE = Sent('POST /', length=5, body=b'hello')
CHUNKS = Sent('POST /', chunks=[b'hello'])

# Each row: the bytes, and the status of the refusal or what the server receives.
REQUESTS = {
    'request line': [
        (get(line='GET  / HTTP/1.1'), 400),
        (get(line='GET /  HTTP/1.1'), 400),
        (get(line=' GET / HTTP/1.1'), 400),
        (get(line='GET\t/ HTTP/1.1'), 400),
        (get(line='GET / HTTP/1.1 '), 400),
        (get(line='GET /\x0bHTTP/1.1'), 400),
        (get(line='GET'), 400),
        (get(line='GET /'), 400),
        (get(line='/ HTTP/1.1'), 400),
        (get(line='G(T / HTTP/1.1'), 400),
        (get(line='G\xc9T / HTTP/1.1'), 400),
        (get(line='"GET" / HTTP/1.1'), 400),
        (get(line='GET:/ / HTTP/1.1'), 400),
        (b'\r\n\r\n' + get(), 400),
        (b' \r\n' + get(), 400),
        (b'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400),
        (b'GET / HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n', 400),
        (get(line='A' * 33 + ' / HTTP/1.1'), 501),
        (get(line='GET /' + 'a' * 9000 + ' HTTP/1.1'), 414),
        (get(line='CONNECT a:80 HTTP/1.1'), 501),
        (get(line='CONNECT / HTTP/1.1'), 501),
        (get(line='TRACE / HTTP/1.1'), 405),
        (get('Max-Forwards: 0\r\n', 'TRACE / HTTP/1.1'), 405),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 400),
        (b'\r\n' + get(), PLAIN),
        (get(line='get / HTTP/1.1'), Sent('get /')),
        (get(line='QUERY / HTTP/1.1'), Sent('QUERY /')),
        (get(line="!#$%&'*+-.^_`|~09 / HTTP/1.1"), Sent("!#$%&'*+-.^_`|~09 /")),
    ],
    'targets': [
        (to('a'), 400),
        (to('?a'), 400),
        (to('a/b'), 400),
        (to('*'), 400),
        (to('/*#f'), 400),
        (to('/a b'), 400),
        (to('/a\tb'), 400),
        (to('/\xe9'), 400),
        (to('/a\x7f'), 400),
        (get(line='OPTIONS ** HTTP/1.1'), 400),
        (get(line='OPTIONS */x HTTP/1.1'), 400),
        (to('a:80'), 400),  # authority-form
        (to('http:/a/'), 400),
        (to('http:a'), 400),
        (to('http://'), 400),
        (to('http:///x'), 400),
        (to('http://?x'), 400),
        (to('//'), Sent('GET //')),
        (to('ftp://a/'), 400),
        (to('file:///etc/passwd'), 400),
        (to('ws://a/'), 400),
        (to('http://u@a/'), 400),
        (to('http://u:p@a/'), 400),
        (to('http://a@b/'), 400),
        (to('http://a\\@b/'), 400),
        (to('http://a:x/'), 400),
        (to('http://a:/'), 400),
        (to('http://a:0/'), 400),
        (to('http://a:080/'), 400),
        (to('http://a:65536/'), 400),
        (to('http://%61/'), 400),
        (to('http://[::1/'), 400),
        (to('http://[v1.x]/'), 400),
        (to('https://a/'), 421),
        (to('HTTPS://a:443/x'), 421),
        (to('http://a/x?y'), Sent('GET /x?y')),
        (to('HTTP://A/x'), Sent('GET /x', host='A')),
        (to('http://a'), PLAIN),
        (to('http://a?q'), Sent('GET /?q')),
        (get(line='OPTIONS http://a HTTP/1.1'), Sent('OPTIONS *')),
        (get(line='OPTIONS http://a/ HTTP/1.1'), Sent('OPTIONS /')),
        (get(line='OPTIONS * HTTP/1.1'), Sent('OPTIONS *')),
        (to('/http://b/'), Sent('GET /http://b/')),
        (to('/?/../..#'.rstrip('#')), Sent('GET /?/../..')),
        (to('/a|b^c{d}"e<f>`'), Sent('GET /a|b^c{d}"e<f>`')),
    ],
    'versions': [
        (get(line='GET / HTTP/0.9'), 505),
        (get(line='GET / HTTP/2.0'), 505),
        (get(line='GET / HTTP/3.0'), 505),
        (get(line='GET / HTTP/9.9'), 505),
        (get(line='GET / HTTP/2'), 400),
        (get(line='GET / HTTP/1'), 400),
        (get(line='GET / HTTP/1.'), 400),
        (get(line='GET / HTTP/1.10'), 400),
        (get(line='GET / HTTP/01.1'), 400),
        (get(line='GET / HTTP/11'), 400),
        (get(line='GET / HTTP/1,1'), 400),
        (get(line='GET / HTTP/+1.1'), 400),
        (get(line='GET / http/1.1'), 400),
        (get(line='GET / Http/1.1'), 400),
        (get(line='GET / XTTP/1.1'), 400),
        (get(line='GET / HTTP /1.1'), 400),
        (get(line='GET / HTTP/1.x'), 400),
        (get(line='GET / HTTP/1.\xb9'), 400),
        (b'GET /\r\n', 400),  # HTTP/0.9 had no version
        (get(line='GET / HTTP/1.2'), PLAIN),
        (get(line='GET / HTTP/1.9'), PLAIN),
        (get(line='GET / HTTP/1.0'), Sent('GET /', via='1.0')),
        (b'GET / HTTP/1.0\r\n\r\n', Sent('GET /', host='localhost', via='1.0')),
        (b'POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello',
         Sent('POST /', host='localhost', via='1.0', length=5, body=b'hello')),
    ],
    'bare CR and LF': [
        (b'GET / HTTP/1.1\nHost: a\n\n', 400),
        (b'GET / HTTP/1.1\nHost: a\r\n\r\n', 400),
        (b'GET / HTTP/1.1\r\nHost: a\n\r\n', 400),
        (b'GET / HTTP/1.1\r\nHost: a\r\n\n', 400),
        (b'GET / HTTP/1.1\rHost: a\r\r', 400),
        (b'\n' + get(), 400),
        (b'\r' + get(), 400),
        (b'\r\r\n' + get(), 400),
        (get('X: a\rb\r\n'), 400),
        (get('X: a\nb\r\n'), 400),
        (get('X: a\r\r\n'), 400),
        (get('X: a\n\r\n'), 400),
        (get('\rX: a\r\n'), 400),
        (get('X\r: a\r\n'), 400),
        (get('X: a\nContent-Length: 5\r\n') + b'hello', 400),
        (get('X: a\rTransfer-Encoding: chunked\r\n'), 400),
        (get('X: a\r\n\rX: b\r\n'), 400),
        (to('/a\rb'), 400),
        (to('/a\nb'), 400),
        (get(line='GET / HTTP/1.1\r'), 400),
    ],
    'NUL and controls': [
        *((get(b'X: a%cb\r\n' % code), 400) for code in (0, 1, 7, 8, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F)),
        (get(b'X\x00: a\r\n'), 400),
        (get(b'\x00X: a\r\n'), 400),
        (b'GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n', 400),
        (b'GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n', 400),
        (b'GET / HTTP/1.1\x00\r\nHost: a\r\n\r\n', 400),
        (b'\x00' + get(), 400),
        (get() [:-2] + b'\x00\r\n', 400),
        (get(b'X: a\tb\x80\xff\r\n'), Sent('GET /', 'X: a\tb\x80\xff\r\n')),
        (get(b'X: \t \t\r\n'), Sent('GET /', 'X: \r\n')),
    ],
    'obs-fold': [
        (get('X: a\r\n b\r\n'), 400),
        (get('X: a\r\n\tb\r\n'), 400),
        (get('X:\r\n b\r\n'), 400),
        (get('X: a\r\n \r\n'), 400),
        (get('Transfer-Encoding:\r\n chunked\r\n'), 400),
        (get('Transfer-Encoding: chun\r\n ked\r\n'), 400),
        (get('Content-Length: 1\r\n 0\r\n'), 400),
        (b'GET / HTTP/1.1\r\nHost: a\r\n .b\r\n\r\n', 400),
    ],
    'space before the colon': [
        (b'GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400),
        (get('X : a\r\n'), 400),
        (get('X\t: a\r\n'), 400),
        (get('X y: a\r\n'), 400),
        (get('Content-Length : 5\r\n'), 400),
        (get('Transfer-Encoding : chunked\r\n'), 400),
        (get('Transfer-Encoding\x0b: chunked\r\n'), 400),
        (get('Transfer-Encoding\xa0: chunked\r\n'), 400),
        (get('X:a\r\n'), Sent('GET /', 'X: a\r\n')),
    ],
    'empty and over-long names': [
        (get(': a\r\n'), 400),
        (get(':\r\n'), 400),
        (get(':: a\r\n'), 400),
        (get('X\r\n'), 400),
        (get('X\r\nY: z\r\n'), 400),
        (get('X(: a\r\n'), 400),
        (get('"X": a\r\n'), 400),
        (get('X\xe9: a\r\n'), 400),
        (get('{X}: a\r\n'), 400),
        (get('X@: a\r\n'), 400),
        (get('X' * 257 + ': a\r\n'), 431),
        (get('X' * 5000 + ': a\r\n'), 431),
        (get('X: ' + 'a' * 70_000 + '\r\n'), 431),
        (get('A: b\r\n' * 200), 431),
        (get('X' * 256 + ': a\r\n'), Sent('GET /', 'X' * 256 + ': a\r\n')),
        (get('X::a\r\n'), Sent('GET /', 'X: :a\r\n')),
        (get('X:\r\n'), Sent('GET /', 'X: \r\n')),
    ],
    'Host': [
        (b'GET / HTTP/1.1\r\n\r\n', 400),
        (b'GET / HTTP/1.1\r\nX: y\r\n\r\n', 400),
        (b'GET http://a/ HTTP/1.1\r\n\r\n', 400),
        (get('Host: a\r\n'), 400),
        (get('Host: b\r\n'), 400),
        (get('hOST: b\r\n'), 400),
        (get('Host:\r\n'), 400),
        (b'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n', 400),
        *((f'GET / HTTP/1.1\r\nHost: {host}\r\n\r\n'.encode('latin-1'), 400)
          for host in ('', 'a b', 'a, b', 'a/', 'a?', 'u@a', 'a:', 'a:0', 'a:080', 'a:65536', 'a:80:80', 'a:8x', 'a:+80',
                       '.a', 'a..b', '.', ':80', 'a%2eb', '%61', '[::1', '[]', '[::1]x', '[fe80::1%25eth0]', 'a\xe9',
                       'http://a', 'a;b', 'a\\b', 'a"', "a'", '*', 'a#', '*.a')),
        (b'GET / HTTP/1.0\r\nHost:\r\n\r\n', 400),
        (b'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400),
        (b'GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n', 400),
        (b'GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n', 400),
        (b'GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n', 400),
        (b'GET http://a:80/ HTTP/1.1\r\nHost: A\r\n\r\n', Sent('GET /', host='a:80')),
        (b'GET / HTTP/1.1\r\nhost:A.example.\r\n\r\n', Sent('GET /', host='A.example.')),
        (b'GET / HTTP/1.1\r\nHOST: a_b:8080\r\n\r\n', Sent('GET /', host='a_b:8080')),
        (b'GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n', Sent('GET /', host='[::1]:81')),
        (b'GET http://b/x HTTP/1.0\r\n\r\n', Sent('GET /x', host='b', via='1.0')),
    ],
    'Content-Length': [
        *((post(b'Content-Length: %s\r\n' % length, 'hello'), 400)
          for length in (b'+5', b'-5', b'-0', b'0x5', b'5 5', b'5,5', b'5, 5', b'5,', b',5', b'5, 6', b'', b'5.0', b'5e0',
                         b'"5"', b'5;', b'5h', b'\xb2', b'\xd9\xa5', b'\xef\xbc\x95', b'5_0', b'05x', b'five', b'\x0b5',
                         b'9223372036854775808', b'18446744073709551616', b'18446744073709551621', b'0' * 20 + b'5',
                         b'9' * 40)),
        (post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello'), 400),
        (post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello'), 400),
        (post('Content-Length: 5\r\ncontent-length: 0\r\n', 'hello'), 400),
        (post('Content-Length: 5\r\nContent-Length:\r\n', 'hello'), 400),
        (post('Content-Length: 5\r\n', 'hello'), FIVE),
        (post('cONTENT-lENGTH:5 \t\r\n', 'hello'), FIVE),
        (post('Content-Length: 00005\r\n', 'hello'), FIVE),
        (post('Content-Length: 0\r\n'), EMPTY_POST),
        (post(''), EMPTY_POST),
        (get('Content-Length: 5\r\n') + b'hello', Sent('GET /', length=5, body=b'hello')),
        (get('Content-Length: 0\r\n'), Sent('GET /', length=0)),
    ],
    'Transfer-Encoding': [
        *((post(b'Transfer-Encoding: %s\r\n' % coding, '5\r\nhello\r\n0\r\n\r\n'), 400)
          for coding in (b'', b'xchunked', b'chunkedx', b'chunked, chunked', b'identity', b'chunked, identity', b'chunked;q=1',
                         b'chunked; q=1', b'chunked ;', b'\x0bchunked', b'\x0cchunked', b'chunked\x00', b'chunked,', b',chunked',
                         b', chunked', b'"chunked"', b"'chunked'", b'chunk ed', b'\xa0chunked', b'chunked\xa0', b'chunked\x1f',
                         b'gzip', b'chunked, gzip', b'compress', b'[chunked]', b'chunked\\', b'=chunked', b'chunked:', b'cow',
                         b'chunked chunked', b'chunked, x, chunked')),
        *((post(b'Transfer-Encoding: %s\r\n' % coding, '5\r\nhello\r\n0\r\n\r\n'), 501)
          for coding in (b'gzip, chunked', b'identity, chunked', b'x-gzip,chunked', b'cow, chunked', b'gzip;x=1, chunked')),
        (chunked('5\r\nhello\r\n0\r\n\r\n').replace(b'\r\n\r\n', b'\r\nTransfer-Encoding: chunked\r\n\r\n', 1), 400),
        (post('Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400),
        (post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', '0\r\n\r\n'), 400),
        (post('Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n', '0\r\n\r\n'), 400),
        (post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'), 400),
        (post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400),
        (post('Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400),
        (post('Content-Length: 5\r\nTransfer-Encoding: identity\r\n', 'hello'), 400),
        (post('Content-Length: 5\r\nTransfer-Encoding:\r\n', 'hello'), 400),
        (post('Transfer-Encoding: chunked\r\n', '0\r\n\r\n', version='1.0'), 400),
        (post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n', version='1.0'), 400),
        (post('Transfer-Encoding: identity\r\n', '', version='1.0'), 400),
        (post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n'), 400),
        (chunked('5\r\nhello\r\n0\r\n\r\n'), CHUNKS),
        (post('tRANSFER-eNCODING:\t cHUNKED \t\r\n', '5\r\nhello\r\n0\r\n\r\n'), CHUNKS),
        (post('Transfer_Encoding: chunked\r\n'), EMPTY_POST),
        (post('X-Transfer-Encoding: chunked\r\n'), Sent('POST /', 'X-Transfer-Encoding: chunked\r\n', length=0)),
    ],
    'chunks': [
        *((chunked(size + b'\r\nhello\r\n0\r\n\r\n'), 400)
          for size in (b'', b'x', b'0x5', b'+5', b'-5', b' 5', b'5 ', b'\t5', b'5 ;a=b', b'5_0', b'5,5', b'5.', b'5h', b'"5"', b'\x005',
                       b'\xb5', b'1000000000000000', b'ffffffffffffffff', b'10000000000000005', b'00000000000000005',
                       b'5;' + b'e' * 300, b'5;a\x01', b'5;a\x7f', b'5;a\xe9', b'5;a\rb', b'5;a\nb', b'5;\x00')),
        (chunked('5\nhello\r\n0\r\n\r\n'), 400),
        (chunked('5\rhello\r\n0\r\n\r\n'), 400),
        (chunked('5\r\r\nhello\r\n0\r\n\r\n'), 400),
        (chunked('5\n\nhello\r\n0\r\n\r\n'), 400),
        (chunked('5\r\nhello0\r\n\r\n'), 400),
        (chunked('5\r\nhello\n0\r\n\r\n'), 400),
        (chunked('5\r\nhello\r0\r\n\r\n'), 400),
        (chunked('5\r\nhelloo\r\n0\r\n\r\n'), 400),
        (chunked('4\r\nhello\r\n0\r\n\r\n'), 400),
        (chunked('5\r\nhello\r\n\r\n0\r\n\r\n'), 400),
        (chunked('5\r\nhello\r\n0\n\n'), 400),
        (chunked('5\r\nhello\r\n0\r\n\n'), 400),
        (chunked('5\r\nhello\r\n0\r\nX: y\n\r\n'), 400),
        (chunked('0\n\r\n'), 400),
        (chunked('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 400),
        (chunked('2\r\nhe\r\n003\r\nllo\r\n000\r\n\r\n'), Sent('POST /', chunks=[b'he', b'llo'])),
        (chunked('5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n'), CHUNKS),
        (chunked('A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n'), Sent('POST /', chunks=[b'0123456789'] * 2)),
        (chunked('0\r\n\r\n'), Sent('POST /', chunks=[])),
    ],
    'trailers': [
        (chunked('0\r\nX : y\r\n\r\n'), 400),
        (chunked('0\r\nX: y\r\n z\r\n\r\n'), 400),
        (chunked('0\r\n: y\r\n\r\n'), 400),
        (chunked('0\r\nX\r\n\r\n'), 400),
        (chunked(b'0\r\nX: \x00\r\n\r\n'), 400),
        (chunked('0\r\nX: y\rz\r\n\r\n'), 400),
        (chunked('0\r\nGET / HTTP/1.1\r\n\r\n'), 400),
        (chunked('0\r\n' + 'X: y\r\n' * 200 + '\r\n'), 431),
        (chunked('0\r\n' + 'X' * 300 + ': y\r\n\r\n'), 431),
        *((chunked(f'5\r\nhello\r\n0\r\nX: y\r\n{name}: 5\r\n\r\n'), 400)
          for name in ('Content-Length', 'Transfer-Encoding', 'Host', 'content-length', 'HOST')),
        (chunked('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'), Sent('POST /', chunks=[b'hello'])),
        *((chunked(f'5\r\nhello\r\n0\r\n{name}: 5\r\n\r\n'), CHUNKS)
          for name in ('Connection', 'Trailer', 'TE', 'Upgrade', 'Expect',
                       'Authorization', 'Cookie', 'Content-Type', 'Content-Encoding', 'X-Forwarded-For', 'X-Forwarded-User',
                       'X-Real-IP', 'Forwarded', 'Max-Forwards', 'Via', 'X_Sum', 'If-Match', 'X-CSRFToken', 'Proxy')),
    ],
    'Connection': [
        *((get(f'Connection: {option}\r\n'), 400)
          for option in ('host', 'Host', 'content-length', 'close, Transfer-Encoding', 'a b', '"close"', 'close;x', 'x:y', 'x/y',
                         ', '.join('x%d' % number for number in range(33)))),
        (get('Connection: close\r\nX: 1\r\nConnection: hoSt\r\n'), 400),
        (get('Connection: X-Hop, cookie\r\nX-Hop: 1\r\nCookie: a=b\r\nY: 2\r\nx-hop: 3\r\n'), Sent('GET /', 'Y: 2\r\n')),
        (get('Authorization: x\r\nConnection: authorization\r\n'), PLAIN),
        (get('Connection: X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Request-ID, Via\r\nX-Forwarded-For: 6.6.6.6\r\n'), PLAIN),
        (get('Connection: , keep-alive,\t,\r\nKeep-Alive: timeout=5\r\n'), PLAIN),
        (get('Connection: keep-alive, Keep-Alive\r\nProxy-Connection: keep-alive\r\n'), PLAIN),
        (get('Connection: TE\r\nTE: trailers, gzip;q=0.5\r\n'), PLAIN),
        (get('Connection: close\r\nProxy-Authorization: x\r\nProxy-Authenticate: x\r\n'), PLAIN),
    ],
    'upgrades': [
        (get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'), PLAIN),
        (get('Connection: upgrade\r\nUpgrade: TLS/1.3\r\n'), PLAIN),
        (get('Connection: upgrade\r\nUpgrade: websocket, h2c\r\n'), PLAIN),
        (get('Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n'), PLAIN),
        (get('Upgrade: websocket\r\n'), PLAIN),
        (get('Connection: upgrade\r\n'), PLAIN),
        (get('Connection: upgrade\r\nUpgrade: websocketx\r\n'), PLAIN),
        (get('Connection: upgrade\r\nUpgrade: h2c\r\n', 'GET / HTTP/1.0'), Sent('GET /', via='1.0')),
        (get('Connection: upgrade\r\nUpgrade: websocket\r\n', 'GET / HTTP/1.0'), Sent('GET /', via='1.0')),
        (post('Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n', 'hello'), FIVE),
        (post('Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n', 'hello'), FIVE),
    ],
    'other protocols': [
        (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505),
        (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00', 505),
        (bytes.fromhex('16030100c8010000c40303') + b'\x00' * 190, 400),  # TLS
        (bytes.fromhex('160301'), 400),
        (b'\x80\x2e\x01\x00\x02\r\n', 400),  # SSL 2
        (b'SSH-2.0-OpenSSH_9.2\r\n', 400),
        (b'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n' + get(), 400),
        (b'\r\n\r\n\x00\r\nQUIT\n', 400),
        (b'EHLO a\r\n', 400),
        (b'*1\r\n$4\r\nPING\r\n', 400),
        (b'\x05\x01\x00', 400),  # SOCKS
        (b'DESCRIBE rtsp://a/ RTSP/1.0\r\n\r\n', 400),
    ],
    'underscore names': [
        *((get(f'{name}: 1\r\n'), PLAIN)
          for name in ('X_Forwarded_For', 'Content_Length', 'Transfer_Encoding', 'Host_', '_', 'SCRIPT_NAME', 'PATH_INFO', 'REMOTE_USER',
                       'X-Real_IP', 'HTTP_HOST', 'wsgi_x')),
        (get('Proxy: http://b/\r\nX-Accel-Redirect: /x\r\nX-Sendfile: /x\r\nForwarded: for=1\r\nX-Forwarded-User: root\r\n'), PLAIN),
    ],
    'paths': [
        (to('/other/../x'), 400),
        (to('/other/..'), 400),
        (to('/other/%2e%2e/x'), 400),
        (to('/other/.%2E/x'), 400),
        (to('/other/..%2fx'), 400),
        (to('/other%2f..%2fx'), 400),
        (to('/x/../other/y'), 400),
        (to('/x/%2e%2e/other/y'), 400),
        (to('/./other/y'), 400),
        (to('/%2e/other/y'), 400),
        (to('/x/..%2fother%2fy'), 400),
        (to('http://a/x/../other/y'), 400),
        (to('/%00'), 400),
        (to('/other%00/../x'), 400),
        (to('/a%00b'), 400),
        (to('/%'), 400),
        (to('/%4'), 400),
        (to('/%zz'), 400),
        (to('/%u002e'), 400),
        (to('/a%2fb%2Fc'), Sent('GET /a%2fb%2Fc')),
        (to('/x/../y'), Sent('GET /x/../y')),
        (to('/%252e%252e/other/'), Sent('GET /%252e%252e/other/')),
        (to('/%2500'), Sent('GET /%2500')),
        (to('/x/..;/other/'), Sent('GET /x/..;/other/')),
        (to('/other;a=b/'), Sent('GET /other;a=b/')),
        (to('/x\\..\\other\\y'), Sent('GET /x\\..\\other\\y')),
        (to('/x%5c..%5cother'), Sent('GET /x%5c..%5cother')),
        (to('//other/y'), Sent('GET //other/y')),
        (to('/%2fother/y'), Sent('GET /%2fother/y')),
        (to('/OTHER/y'), Sent('GET /OTHER/y')),
        (to('/?%00%zz/../other/'), Sent('GET /?%00%zz/../other/')),
        (to('/\xc0\xae\xc0\xae/'.encode('latin-1').hex(' ').replace(' ', '%').join(['/%', '/'])), Sent('GET /%2f%c0%ae%c0%ae%2f/')),
    ],
    'Expect, Max-Forwards, Via': [
        (post('Expect: 200-ok\r\nContent-Length: 5\r\n'), 417),
        (post('Expect: 100-continue, x\r\nContent-Length: 5\r\n'), 417),
        (post('Expect: \r\nContent-Length: 5\r\n'), 417),
        (post('Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n'), 417),
        (get('Expect: 100-continue\r\n'), PLAIN),
        (post('Expect: x\r\nContent-Length: 5\r\n', 'hello', version='1.0'), Sent('POST /', via='1.0', length=5, body=b'hello')),
        (get('Max-Forwards: x\r\n', 'OPTIONS / HTTP/1.1'), 400),
        (get('Max-Forwards: -1\r\n', 'OPTIONS / HTTP/1.1'), 400),
        (get('Max-Forwards: 1, 2\r\n', 'OPTIONS / HTTP/1.1'), 400),
        (get('Max-Forwards: 1\r\nMax-Forwards: 1\r\n', 'OPTIONS / HTTP/1.1'), 400),
        (get('Max-Forwards: 10\r\n', 'OPTIONS / HTTP/1.1'), Sent('OPTIONS /', hops='Max-Forwards: 9\r\n')),
        (get('Max-Forwards: 1\r\n', 'OPTIONS * HTTP/1.1'), Sent('OPTIONS *', hops='Max-Forwards: 0\r\n')),
        (get('Max-Forwards: 0\r\n'), Sent('GET /', 'Max-Forwards: 0\r\n')),
        (get('Via: ' + '1.1 a, ' * 20 + '1.1 a\r\n'), 508),
        (get('Via: 1.0 x\r\nA: b\r\nVia: 1.1 y (z, w)\r\n'), Sent('GET /', 'A: b\r\n', via='1.0 x, 1.1 y (z, w), 1.1')),
        (post('Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 5\r\n', 'hello'), 400),
    ],
}  # fmt: skip


class Recorder:
    """A server that answers everything with `ok`, and what it has received since it was last asked."""

    def __init__(self) -> None:
        self.server = ScriptedServer(self._script)
        self._seen: dict[int, int] = {}

    @staticmethod
    def _script(connection) -> None:
        while connection.read_request():
            connection.reply(b'ok')

    def news(self) -> bytes:
        new = b''
        for connection in list(self.server.connections):
            received = bytes(connection.received)
            new += received[self._seen.get(connection.index, 0) :]
            self._seen[connection.index] = len(received)
        new = re.sub(rb'X-Request-ID: [0-9a-f]{32}\r\n', b'X-Request-ID: ID\r\n', new)
        return re.sub(rb'X-Request-Start: t=\d+\r\n', b'X-Request-Start: t=NOW\r\n', new)


@pytest.fixture(scope='module', params=['wsgi', 'asgi'])
def door(request, run_directory):
    """diplex in front of two recorders, `/other/` and the rest; `.news()`: what both have received."""
    directory = run_directory / f'crooked-{request.param}'
    directory.mkdir()
    recorders = [Recorder(), Recorder()]
    pool = {'kind': request.param, 'hold': 'off', 'retry': {'ask_first': 'no'}}
    pools = {name: {**pool, 'servers': [r.server.address]} for name, r in zip(('main', 'other'), recorders)}
    site = Diplex(directory, {'pools': pools, 'routes': {'/': 'main', '/other/': 'other'}, 'timeouts': {'body': '5s'}})
    site.kind = request.param
    site.news = lambda: b''.join(recorder.news() for recorder in recorders)
    try:
        site.start()
        yield site
    finally:
        site.finish()
        for recorder in recorders:
            recorder.server.stop()


def one_answer(data: bytes) -> tuple[int, bytes]:
    """Status and head of bytes that are exactly one answer with a length."""
    head, _, body = data.partition(b'\r\n\r\n')
    length = re.search(rb'\r\nContent-Length: (\d+)', head)
    assert length and int(length[1]) == len(body), f'not one whole answer: {data!r}'
    return int(head.split()[1]), head


def trouble_with_refusal(site, message: bytes, status: int) -> str | None:
    with site.client() as client:
        client.send(message)
        data = client.read_until_close()
    try:
        told, head = one_answer(data)
    except (AssertionError, IndexError, ValueError):
        return f'not one answer: {data!r}'
    if told != status:
        return f'{told}, not {status}'
    return None if b'\r\nConnection: close' in head else 'the connection is not said to close'


@pytest.mark.parametrize('category', REQUESTS)
def test_crooked_requests(door, category):
    """Refused, closed, and nothing of it forwarded; the plain request behind all of them is all that arrives."""
    door.news()
    troubles = []
    for message, status in REQUESTS[category]:
        if isinstance(status, Sent):
            continue
        if trouble := trouble_with_refusal(door, message, status):
            troubles.append(f'{message[:200]!r}: {trouble}')
    assert door.get('/').status == 200
    host = Sent('GET /', host='localhost').bytes(door.kind)
    if (arrived := door.news()) != host:
        troubles.append(f'arrived: {arrived[:2000]!r}')
    assert not troubles, '\n'.join(troubles)


@pytest.mark.parametrize('category', [name for name, rows in REQUESTS.items() if any(isinstance(row[1], Sent) for row in rows)])
def test_odd_requests_have_one_form(door, category):
    troubles = []
    door.news()
    for message, sent in REQUESTS[category]:
        if not isinstance(sent, Sent):
            continue
        with door.client() as client:
            client.send(message)
            status = client.response(message.lstrip().split(b' ')[0].decode()).status
        arrived, wanted = door.news(), sent.bytes(door.kind)
        if status != 200 or arrived != wanted:
            troubles.append(f'{message!r}: {status}\n  arrived {arrived!r}\n  not     {wanted!r}')
    assert not troubles, '\n'.join(troubles)


def test_nothing_behind_a_refused_request_is_looked_at(door):
    door.news()
    for message in (get('X : y\r\n'), post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), chunked('x\r\n')):
        assert trouble_with_refusal(door, message + get() * 3, 400) is None
    assert door.get('/').status == 200
    assert door.news() == Sent('GET /', host='localhost').bytes(door.kind)


def test_a_crooked_request_behind_a_good_one(door):
    """Pipelined: the good one is answered, the other refused, and no third one begins."""
    door.news()
    with door.client() as client:
        client.send(get() + get('X\r\n') + to('/third'))
        assert client.response().status == 200
        assert one_answer(client.read_until_close())[0] == 400
    assert door.news() == PLAIN.bytes(door.kind)


def test_options_that_may_not_be_forwarded(door):
    door.news()
    with door.client() as client:
        answer = client.ask('OPTIONS', '*', {'Max-Forwards': '0'})
        assert (answer.status, answer.get('server')) == (200, 'diplex') and 'OPTIONS' in answer.get('allow')
        assert client.ask('GET', '/').status == 200, 'the connection goes on'
    assert door.news() == Sent('GET /', host='localhost').bytes(door.kind)
    assert door.wait_access(1, outcome='answered')


def test_what_was_wrong_is_told_in_the_log(door):
    for message, reason in (
        (bytes.fromhex('1603010200010001fc0303'), 'TLS where plain HTTP is spoken'),
        (to('/other/../x'), 'with its dot segments the path is another route\'s than without'),
        (to('https://a/'), 'an https URL on a connection without TLS'),
        (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'not HTTP/1'),
    ):
        trouble_with_refusal(door, message, 0)
        assert door.wait_access(1, reason=reason)[0]['outcome'] == 'bad_request'


def test_a_refused_head_request_gets_no_content(door):
    with door.client() as client:
        client.send(b'HEAD / HTTP/1.1\r\n\r\n')
        data = client.read_until_close()
    assert data.startswith(b'HTTP/1.1 400 ') and data.endswith(b'\r\n\r\n')


def test_what_is_not_allowed_says_what_is(door):
    with door.client() as client:
        client.send(get(line='TRACE / HTTP/1.1'))
        answer = client.response()
    assert answer.status == 405 and 'GET' in answer.get('allow') and 'TRACE' not in answer.get('allow')


def test_a_chunked_body_that_turns_bad_is_never_made_to_look_whole(door):
    """What had gone on when the fault came cannot be called back: a wsgi server sees none of it, an asgi server no end."""
    door.news()
    with door.client() as client:
        client.send(chunked('5\r\nhello\r\n'))
        if door.kind == 'asgi':
            arrived = []
            wait_until(lambda: arrived.append(door.news()) or b''.join(arrived).endswith(b'5\r\nhello\r\n'), what='the first chunk')
        client.send('5\r\nworld!\r\n0\r\n\r\n')
        assert client.response('POST').status == 400
        assert client.closed_within(8)
    assert door.get('/').status == 200
    news = door.news()
    assert b'\r\n0\r\n\r\n' not in news
    assert door.kind == 'asgi' or news == Sent('GET /', host='localhost').bytes(door.kind)


# ---- answers -------------------------------------------------------------------------------------------------------

HEAD = 'HTTP/1.1 200 OK\r\n'


def answer(fields, body='ok', line='HTTP/1.1 200 OK'):
    return raw(f'{line}\r\n') + raw(fields) + b'\r\n' + raw(body)


def in_chunks(body):
    return answer('Transfer-Encoding: chunked\r\n', body)


class Got:
    """What the client receives of an answer that is passed on, without Date. `spoils`: more bytes are behind it."""

    def __init__(self, head, body=b'', method='GET', spoils=False):
        self.bytes, self.method, self.spoils = raw(head) + b'\r\n' + raw(body), method, spoils


BROKEN = 'broken'  # the client must be able to tell that it has not got all
LENGTH_2 = Got(HEAD + 'Content-Length: 2\r\n', 'ok')
TWO_AND_MORE = Got(HEAD + 'Content-Length: 2\r\n', 'ok', spoils=True)

# Each row: the server's bytes, and what becomes of them.
ANSWERS = {
    'both lengths': [
        (answer('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n'), 502),
        (answer('Transfer-Encoding: chunked\r\nContent-Length: 2\r\n', '2\r\nok\r\n0\r\n\r\n'), 502),
        (answer('Content-Length: 2\r\nContent-Length: 3\r\n'), 502),
        (answer('Content-Length: 2\r\nContent-Length: 2\r\n'), 502),
        (answer('Content-Length: 2\r\nTransfer-Encoding: identity\r\n'), 502),
    ],
    'Content-Length': [
        *((answer(b'Content-Length: %s\r\n' % length), 502)
          for length in (b'+2', b'-2', b'0x2', b'2 2', b'2,2', b'2, 2', b'2,', b'', b'2.0', b'"2"', b'\xb2', b'two',
                         b'9223372036854775808', b'18446744073709551618')),
        (answer('Content-Length: 002\r\n'), LENGTH_2),
    ],
    'Transfer-Encoding': [
        *((answer(b'Transfer-Encoding: %s\r\n' % coding, '2\r\nok\r\n0\r\n\r\n'), 502)
          for coding in (b'', b'gzip', b'gzip, chunked', b'chunked, chunked', b'identity', b'xchunked', b'chunked;q=1', b'\x0bchunked',
                         b'chunked,', b'"chunked"', b'chunked, identity')),
        (answer('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 502),
        (answer('Transfer-Encoding: chunked\r\n', '0\r\n\r\n', 'HTTP/1.0 200 OK'), 502),
        (answer('Transfer-Encoding: cHUNKED\r\n', '2\r\nok\r\n0\r\n\r\n'),
         Got(HEAD + 'Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n')),
    ],
    'status lines': [
        *((answer('Content-Length: 2\r\n', line=line), 502)
          for line in ('HTTP/1.1 99 x', 'HTTP/1.1 099 x', 'HTTP/1.1 1000 x', 'HTTP/1.1 000 x', 'HTTP/1.1 600 x', 'HTTP/1.1 999 x',
                       'HTTP/1.1 2x0 OK', 'HTTP/1.1 -200 OK', 'HTTP/1.1  200 OK', 'HTTP/1.1\t200 OK', 'HTTP/1.1 200\tOK',
                       'HTTP/1.1', 'HTTP/1.1 ', 'HTTP/2 200', 'HTTP/2.0 200 OK', 'HTTP/0.9 200 OK', 'http/1.1 200 OK', 'ICY 200 OK',
                       'HTTP/1.10 200 OK', ' HTTP/1.1 200 OK', '200 OK', 'hello', '<!doctype html>', 'GET / HTTP/1.1')),
        (b'\r\n' + answer('Content-Length: 2\r\n'), 502),
        (answer('Content-Length: 2\r\n', line='HTTP/1.1 200'), Got('HTTP/1.1 200 \r\nContent-Length: 2\r\n', 'ok')),
        (answer('Content-Length: 2\r\n', line='HTTP/1.1 200 '), Got('HTTP/1.1 200 \r\nContent-Length: 2\r\n', 'ok')),
        (answer('Content-Length: 2\r\n', line='HTTP/1.2 200 OK'), LENGTH_2),
        (answer('Content-Length: 2\r\n', line='HTTP/1.0 200 OK'), LENGTH_2),
        (answer('Content-Length: 2\r\n', line='HTTP/1.1 599 Odd'), Got('HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n', 'ok')),
    ],
    'header injection': [
        *((answer(b'Content-Length: 2\r\n' + field), 502)
          for field in (b'X: a\rSet-Cookie: b\r\n', b'X: a\nSet-Cookie: b\r\n', b'X: a\x00b\r\n', b'X: a\x0bb\r\n', b'X: a\x1bb\r\n',
                        b'X: a\x7f\r\n', b'X: a\r\n b\r\n', b'X: a\r\n\tb\r\n', b'X : a\r\n', b'X\t: a\r\n', b': a\r\n', b'X\r\n',
                        b'X y: a\r\n', b'\x00X: a\r\n', b'X\xe9: a\r\n', b'\rX: a\r\n', b'\nX: a\r\n')),
        (answer('Content-Length: 2\r\n', line='HTTP/1.1 200 a\rb'), 502),
        (answer('Content-Length: 2\r\n', line='HTTP/1.1 200 a\x00b'), 502),
        (b'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', 502),
        (answer('Connection: content-length\r\nContent-Length: 2\r\n'), 502),
        (answer('Connection: a b\r\nContent-Length: 2\r\n'), 502),
        (answer('X: ' + 'a' * 70_000 + '\r\n'), 502),
        (answer('Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nX-Accel-Redirect: /\r\nContent-Length: 2\r\n'), LENGTH_2),
    ],
    'no content': [
        (answer('', '', 'HTTP/1.1 204 No Content'), Got('HTTP/1.1 204 No Content\r\n')),
        (answer('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 204 No Content'), Got('HTTP/1.1 204 No Content\r\n', spoils=True)),
        (answer('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n', 'HTTP/1.1 204 x'), Got('HTTP/1.1 204 x\r\n', spoils=True)),
        (answer('Content-Length: 2\r\n', 'ok', 'HTTP/1.1 304 x'), Got('HTTP/1.1 304 x\r\nContent-Length: 2\r\n', spoils=True)),
        (answer('Transfer-Encoding: chunked\r\n', '0\r\n\r\n', 'HTTP/1.1 304 x'), Got('HTTP/1.1 304 x\r\n', spoils=True)),
        (answer('Content-Length: 2\r\n', 'ok'), Got(HEAD + 'Content-Length: 2\r\n', method='HEAD', spoils=True)),
        (answer('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n'), Got(HEAD, method='HEAD', spoils=True)),
    ],
    'interim answers': [
        (b'HTTP/1.1 103 x\r\n\r\n' * 17 + OK, 502),
        (b'HTTP/1.1 100 x\r\n\r\n' * 1000, 502),
        (b'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', 502),
        (b'HTTP/1.1 101 Switching Protocols\r\n\r\n' + OK, 502),
        (b'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n', 502),
        (b'HTTP/1.1 103 x\r\nContent-Length: 2\r\n\r\nok' + OK, 502),
        (b'HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + OK, 502),
        (b'HTTP/1.1 103 x\r\nX: a\rb\r\n\r\n' + OK, 502),
        (b'HTTP/1.1 103 Early\r\nLink: </a>\r\nConnection: x\r\nX: y\r\n\r\n' + OK,
         Got('HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n' + HEAD + 'Content-Length: 2\r\n', 'ok')),
        (b'HTTP/1.1 102 x\r\n\r\nHTTP/1.1 199 y\r\n\r\n' + OK,
         Got('HTTP/1.1 102 x\r\n\r\nHTTP/1.1 199 y\r\n\r\n' + HEAD + 'Content-Length: 2\r\n', 'ok')),
    ],
    'bytes after the end': [
        (OK + b'EXTRA', TWO_AND_MORE),
        (OK + OK, TWO_AND_MORE),
        (OK + b'\r\n', TWO_AND_MORE),
        (OK + b'HTTP/1.1 103 x\r\n\r\n', TWO_AND_MORE),
        (in_chunks('2\r\nok\r\n0\r\n\r\nEXTRA'), Got(HEAD + 'Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n', spoils=True)),
        (in_chunks('0\r\n\r\n') + OK, Got(HEAD + 'Transfer-Encoding: chunked\r\n', '0\r\n\r\n', spoils=True)),
        (answer('Content-Length: 0\r\n', 'x'), Got(HEAD + 'Content-Length: 0\r\n', spoils=True)),
    ],
    'cut bodies': [
        (answer('Content-Length: 10\r\n', 'abc'), BROKEN),
        (in_chunks('3\r\nabc\r\n'), BROKEN),
        (in_chunks('3\r\nabc\r\n0\r\n'), BROKEN),
        (in_chunks('3\r\nabc\r\n0\r\nX: y\r\n'), BROKEN),
        (in_chunks('5\r\nab'), BROKEN),
        (in_chunks('3\r\nabc\r'), BROKEN),
        (b'HTTP/1.1 200 OK\r\nContent-Le', 502),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n', 502),
        (b'HTTP/1.1 103 x\r\n\r\n', 502),
    ],
    'faults in chunks': [
        *((in_chunks(b'3\r\nabc\r\n' + fault), BROKEN)
          for fault in (b'x\r\n', b'0x1\r\na\r\n', b'+1\r\na\r\n', b' 1\r\na\r\n', b'1 \r\na\r\n', b'1\na\n', b'1\r\nab\r\n', b'1\r\na\n', b'\r\n',
                        b'ffffffffffffffff\r\n', b'10000000000000001\r\n', b'1;' + b'e' * 300 + b'\r\na\r\n', b'0\r\nX : y\r\n\r\n',
                        b'0\r\nX: y\n\r\n', b'0\r\nX: \x00\r\n\r\n', b'0\r\n' + b'X: y\r\n' * 300 + b'\r\n')),
        (in_chunks('2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n').replace(b'\r\n\r\n', b'\r\nConnection: X-Sum\r\n\r\n', 1),
         Got(HEAD + 'Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n')),
        (in_chunks('2;a=b\r\nok\r\n00\r\nX-Sum: 1\r\nSet-Cookie: a\r\nContent-Length: 5\r\nX-Accel-Limit-Rate: 1\r\n\r\n'),
         Got(HEAD + 'Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n')),
    ],
}  # fmt: skip

ALL_ANSWERS = [row for rows in ANSWERS.values() for row in rows]


@pytest.fixture(scope='module', params=['wsgi', 'asgi'])
def crooked(request, run_directory):
    """diplex in front of a server that answers /<number> with that row."""
    directory = run_directory / f'crooked-answers-{request.param}'
    directory.mkdir()

    def script(connection):
        while asked := connection.read_request():
            number = asked.target[1:]
            if not number.isdigit():
                connection.send(OK)
                continue
            said, becomes = ALL_ANSWERS[int(number)]
            connection.send(said)
            if not isinstance(becomes, Got):
                connection.socket.shutdown(socket.SHUT_WR)

    server = ScriptedServer(script)
    pool = {'kind': request.param, 'hold': 'off', 'servers': [server.address], 'eject': 'off', 'keepalive': '1h'}
    site = Diplex(directory, {'pools': {'app': pool}, 'routes': {'/': 'app'}, 'workers': 1})
    site.server = server
    try:
        site.start()
        yield site
    finally:
        site.finish()
        server.stop()


def spoils(becomes) -> bool:
    return not isinstance(becomes, Got) or becomes.spoils


def read_all(client) -> tuple[bytes, bool]:
    """All bytes until the connection ends, and whether it was reset."""
    data = b''
    try:
        while piece := client.recv():
            data += piece
    except ConnectionResetError:
        return data, True
    return data, False


def looks_whole(data: bytes, reset: bool) -> bool:
    head, _, body = data.partition(b'\r\n\r\n')
    if length := re.search(rb'(?i)\r\ncontent-length: (\d+)', head):
        return len(body) >= int(length[1])
    if b'chunked' in head.lower():
        return b'\r\n0\r\n' in b'\r\n' + body and body.endswith(b'\r\n\r\n')
    return not reset


def ask_row(site, number: int, becomes, version: str) -> tuple[bytes, bool]:
    method = becomes.method if isinstance(becomes, Got) else 'GET'
    with site.client() as client:
        client.send(f'{method} /{number} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n')
        return read_all(client)


def trouble_with_answer(site, number: int, becomes, version: str) -> str | None:
    data, reset = ask_row(site, number, becomes, version)
    if becomes is BROKEN:
        return f'looks whole: {data!r}' if looks_whole(data, reset) else None
    final = re.sub(rb'^(HTTP/1\.1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*\r\n)*', b'', data)
    if becomes == 502:
        return None if one_answer(final)[0] == 502 else f'{data!r}'
    if version == '1.0' and data != final:
        return f'an interim answer for an old client: {data!r}'
    if version == '1.0':
        wanted = becomes.bytes.rpartition(b'\r\n\r\n')[2] if b'chunked' not in becomes.bytes else b''
        return None if final.endswith(wanted) and b'chunked' not in final and not reset else f'{data!r}'
    data = re.sub(rb'Date: [^\r]*\r\n', b'', data).replace(b'Connection: close\r\n', b'', 1)
    return None if data == becomes.bytes and not reset else f'{data!r}\n  not {becomes.bytes!r}'


@pytest.mark.parametrize('category', ANSWERS)
def test_crooked_answers(crooked, category):
    """Replaced by 502, or broken off, or cut to what it may be; and no connection is used behind one of them."""
    troubles = []
    for said, becomes in ANSWERS[category]:
        number = ALL_ANSWERS.index((said, becomes))
        for version in ('1.1', '1.0'):
            if trouble := trouble_with_answer(crooked, number, becomes, version):
                troubles.append(f'HTTP/{version} {said[:200]!r}: {trouble}')
            if crooked.get('/plain').body != b'ok':
                troubles.append(f'the next request after {said[:200]!r}')
    for connection in list(crooked.server.connections):
        targets = [asked.target[1:] for asked in connection.requests]
        if any(target.isdigit() and spoils(ALL_ANSWERS[int(target)][1]) for target in targets[:-1]):
            troubles.append(f'a connection was used again after a crooked answer: {targets}')
    assert not troubles, '\n'.join(troubles)


def test_every_category_has_its_rows():
    """The tables are what the documentation counts: nothing may fall out of them unseen."""
    assert len(REQUESTS) >= 19 and len(ANSWERS) >= 10
    assert sum(map(len, REQUESTS.values())) > 330 and len(ALL_ANSWERS) > 120
