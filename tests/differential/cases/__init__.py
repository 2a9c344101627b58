# SPDX-License-Identifier: MIT
"""Cases: bytes of a client, and which whole requests are to reach a server.

Written anew after public material: the test vectors of llhttp, http-parser and h11, the faults listed by HTTP Garden,
and the published research on request smuggling. Every case is followed by one more request, END, on the same connection,
so that whatever is taken for its body, or is left over from it, shows. A case says

    ok(name, bytes, 'GET /', ('POST /', b'body'), ...)    these requests pass, and END after them
    no(name, bytes, ...)                                  these pass, then diplex refuses and closes: END is not seen
    cut(name, bytes)                                      the client leaves in the middle: no server gets it whole
"""

from __future__ import annotations

import dataclasses
import importlib

END = b'GET /end HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n'
END_MESSAGE = ('GET', '/end', b'')
CATEGORIES = (
    'lines',
    'targets',
    'fields',
    'hosts',
    'lengths',
    'codings',
    'chunks',
    'trailers',
    'connections',
    'expectations',
    'desync',
    'pipelines',
)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    messages: tuple[tuple[str, str, bytes], ...]
    end: str  # 'ok', 'no' or 'cut'
    refused_by: frozenset[str] = frozenset()
    category: str = ''

    @property
    def id(self) -> str:
        return f'{self.category}: {self.name}'

    @property
    def sent(self) -> bytes:
        return self.data if self.end == 'cut' else self.data + END

    @property
    def reaches(self) -> tuple[tuple[str, str, bytes], ...]:
        """The whole requests a server is to see."""
        return (*self.messages, END_MESSAGE) if self.end == 'ok' else self.messages


def _message(short) -> tuple[str, str, bytes]:
    line, body = short if isinstance(short, tuple) else (short, b'')
    method, target = line.split(' ')
    return (method, target, body)


def _case(end: str, name: str, data: bytes, messages, refused_by: str) -> Case:
    return Case(name, data, tuple(map(_message, messages)), end, frozenset(refused_by.split()))


def ok(name: str, data: bytes, *messages, refused_by: str = '') -> Case:
    """`refused_by`: servers that answer with an error what they understand as diplex does, such as a method unknown to
    them. That is theirs to say; where they see a message at all, they must see the same."""
    return _case('ok', name, data, messages, refused_by)


def no(name: str, data: bytes, *messages) -> Case:
    return _case('no', name, data, messages, '')


def cut(name: str, data: bytes) -> Case:
    return _case('cut', name, data, (), '')


def head(line: str = 'GET / HTTP/1.1', *fields: bytes | str, host: bytes = b'Host: a\r\n') -> bytes:
    """A request head with CRLF everywhere and a Host, and these field lines."""
    lines = b''.join((field.encode('latin-1') if isinstance(field, str) else field) + b'\r\n' for field in fields)
    return line.encode('latin-1') + b'\r\n' + host + lines + b'\r\n'


def post(body: bytes, *fields: bytes | str, target: str = '/') -> bytes:
    """A POST with these field lines, which are to frame the body."""
    return head(f'POST {target} HTTP/1.1', *fields) + body


def chunked(body: bytes, *fields: bytes | str) -> bytes:
    """A POST whose body is these bytes, sent as chunked."""
    return post(body, 'Transfer-Encoding: chunked', *fields)


def request_cases() -> list[Case]:
    """All of them: the same bytes once in each category, and no name twice."""
    found: dict[str, Case] = {}
    for category in CATEGORIES:
        seen: set[bytes] = set()
        for case in importlib.import_module(f'cases.{category}').CASES:
            assert case.data not in seen, f'{category}: {case.name} is there already'
            seen.add(case.data)
            case = dataclasses.replace(case, category=category)
            name, number = case.name, 1
            while case.id in found:
                number += 1
                case = dataclasses.replace(case, name=f'{name} ({number})')
            found[case.id] = case
    return list(found.values())
