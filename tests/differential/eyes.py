# SPDX-License-Identifier: MIT
"""Parsers of others, each on its own: bytes in, the messages they see out.

An eye reads the bytes of one connection from its beginning and says which whole messages it found, and how it ended:
`end` (nothing is left), `more` (it waits for the rest of a message), `refused` (it would answer with an error), or
`stop` (it has been asked to stop: the connection closes or changes its protocol). What it does after an error is of
no interest: a server closes.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import http.client
import io
import json
import pathlib
import shutil
import subprocess

import h11
import httptools
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

HERE = pathlib.Path(__file__).parent
LARGEST_HEAD = 1 << 20


@dataclasses.dataclass(frozen=True)
class Message:
    """A whole request or answer. A request has a method and a target, an answer a status."""

    body: bytes
    fields: tuple[tuple[str, str], ...]
    method: str = ''
    target: str = ''
    status: int = 0

    @property
    def bounds(self) -> tuple:
        """What all eyes must agree on, in few words."""
        return (self.method, self.target, self.status, len(self.body), hashlib.sha256(self.body).hexdigest()[:16])

    @property
    def key(self) -> tuple:
        """The bounds and the fields, in their order, without regard to the case of names."""
        return (*self.bounds, self.fields)

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name]


@dataclasses.dataclass
class Reading:
    messages: list[Message]
    end: str
    why: str = ''

    def __str__(self) -> str:
        said = ', '.join(str(message.bounds) for message in self.messages)
        return f'[{said}] then {self.end} {self.why}'.rstrip()


def _text(value: bytes) -> str:
    return value.decode('latin-1')


def _fields(pairs) -> tuple[tuple[str, str], ...]:
    return tuple((_text(bytes(name)).lower(), _text(bytes(value)).strip(' \t')) for name, value in pairs)


# --- requests ---------------------------------------------------------------------------------------------------------


def h11_requests(data: bytes) -> Reading:
    """Python's h11, as uvicorn uses it without httptools."""
    found: list[Message] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
    connection.receive_data(data)
    head, body = None, b''
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                left = head is not None or connection.trailing_data[0]
                return Reading(found, 'more' if left else 'end')
            if event is h11.PAUSED:
                if connection.their_state in (h11.MIGHT_SWITCH_PROTOCOL, h11.SWITCHED_PROTOCOL):
                    return Reading(found, 'stop', 'another protocol')
                connection.send(h11.Response(status_code=200, headers=[('Content-Length', '0')]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return Reading(found, 'stop', 'close')
                connection.start_next_cycle()
            elif isinstance(event, h11.Request):
                head, body = event, b''
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append(Message(body, _fields(head.headers), _text(head.method), _text(head.target)))
                head = None
            else:
                return Reading(found, 'end', repr(event))
    except h11.RemoteProtocolError as problem:
        return Reading(found, 'refused', str(problem))


class _Callbacks:
    """What httptools calls while it reads. One object for a connection."""

    def __init__(self) -> None:
        self.found: list[Message] = []
        self.parser = None
        self.begun = False

    def on_message_begin(self) -> None:
        self.begun = True
        self.target, self.body, self.fields = b'', b'', []
        self.fields_of_head: tuple = ()

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.fields_of_head = _fields(self.fields)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.begun = False
        self.found.append(self.message())


class _RequestCallbacks(_Callbacks):
    def message(self) -> Message:
        return Message(self.body, self.fields_of_head, _text(self.parser.get_method()), _text(self.target))


def httptools_requests(data: bytes) -> Reading:
    """llhttp as httptools brings it, as uvicorn uses it."""
    calls = _RequestCallbacks()
    calls.parser = httptools.HttpRequestParser(calls)
    try:
        calls.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        if calls.found and (calls.found[-1].all('content-length') or calls.found[-1].all('transfer-encoding')):
            calls.found.pop()  # it takes the body for bytes of the other protocol, and does not read it
        return Reading(calls.found, 'stop', 'another protocol')
    except (httptools.HttpParserError, httptools.HttpParserCallbackError) as problem:
        return Reading(calls.found, 'refused', str(problem))
    return Reading(calls.found, 'more' if calls.begun else 'end')


@functools.cache
def _gunicorn_config() -> Config:
    return Config()


def gunicorn_requests(data: bytes) -> Reading:
    """gunicorn's own parser in Python. It does not check that a body of a known length came whole; this does."""
    found: list[Message] = []
    parser = RequestParser(_gunicorn_config(), iter([data]), ('127.0.0.1', 1))
    try:
        for request in parser:
            body = request.body.read()
            fields = tuple((name.lower(), value) for name, value in request.headers)
            length = [value for name, value in fields if name == 'content-length']
            if length and not any(name == 'transfer-encoding' for name, _ in fields) and int(length[0]) > len(body):
                return Reading(found, 'more')
            found.append(Message(body, fields, request.method, request.uri))
    except StopIteration:
        return Reading(found, 'end')
    except Exception as problem:  # noqa: BLE001  (its errors have no common base, and each is a refusal)
        end = 'more' if type(problem).__name__ in ('NoMoreData', 'ChunkMissingTerminator') else 'refused'
        return Reading(found, end, f'{type(problem).__name__}: {problem}')
    return Reading(found, 'stop' if parser.mesg and parser.mesg.should_close() else 'end')


REQUEST_EYES = {'h11': h11_requests, 'httptools': httptools_requests, 'gunicorn': gunicorn_requests}


# --- answers ----------------------------------------------------------------------------------------------------------


def h11_answers(data: bytes, methods: list[str]) -> Reading:
    found: list[Message] = []
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
    connection.receive_data(data)
    connection.receive_data(b'')
    try:
        for method in methods:
            connection.send(h11.Request(method=method, target='/', headers=[('Host', 'a')]))
            connection.send(h11.EndOfMessage())
            head, body = None, b''
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.ConnectionClosed):
                    return Reading(found, 'end')
                if isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif event in (h11.NEED_DATA, h11.PAUSED):
                    return Reading(found, 'more')
            found.append(Message(body, _fields(head.headers), status=head.status_code))
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                left = connection.trailing_data[0]
                return Reading(found, 'refused' if left else 'stop', f'{len(left)} bytes too many' if left else '')
            connection.start_next_cycle()
    except h11.RemoteProtocolError as problem:
        closed = not data or 'without sending complete' in str(problem) or 'peer closed' in str(problem)
        return Reading(found, 'more' if closed else 'refused', str(problem))
    left = connection.trailing_data[0]
    return Reading(found, 'refused', f'{len(left)} bytes too many') if left else Reading(found, 'end')


class _Socket:
    """As much of a socket as http.client needs to read."""

    def __init__(self, stream) -> None:
        self.stream = stream

    def makefile(self, *_args):
        return self.stream


class _Unclosable(io.BufferedReader):
    def close(self) -> None:
        """http.client closes its reader after each answer; the next one reads on from the same."""


def http_client_answers(data: bytes, methods: list[str]) -> Reading:
    """Python's http.client, which requests and urllib3 stand on. It knows no interim answers but 100."""
    found: list[Message] = []
    stream = _Unclosable(io.BytesIO(data))
    for method in methods:
        answer = http.client.HTTPResponse(_Socket(stream), method=method)
        try:
            answer.begin()
            body = answer.read()
        except (http.client.RemoteDisconnected, http.client.IncompleteRead) as problem:
            return Reading(found, 'more' if stream.peek(1) or found or data else 'end', repr(problem))
        except (http.client.HTTPException, ValueError) as problem:
            return Reading(found, 'refused', repr(problem))
        fields = tuple((name.lower(), value.strip(' \t')) for name, value in answer.getheaders())
        found.append(Message(body, fields, status=answer.status))
        if answer.will_close:
            return Reading(found, 'stop')
    left = stream.read()
    return Reading(found, 'refused', f'{len(left)} bytes too many') if left else Reading(found, 'end')


ANSWER_EYES = {'h11': h11_answers, 'http.client': http_client_answers}


# --- Node -------------------------------------------------------------------------------------------------------------


def have_node() -> bool:
    return shutil.which('node') is not None


def node_readings(kind: str, connections: list[tuple[bytes, list[str]]]) -> list[Reading]:
    """Node's llhttp over many connections: `kind` is `requests` or `answers`, the methods are what was asked."""
    asked = [{'data': base64.b64encode(data).decode(), 'methods': methods} for data, methods in connections]
    done = subprocess.run(
        ['node', '--no-warnings', HERE / 'eye.js', kind],
        input=json.dumps(asked).encode(), capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    return [_reading(said) for said in json.loads(done.stdout)]


def _reading(said: dict) -> Reading:
    def decoded(text: str) -> bytes:
        return base64.b64decode(text)

    messages = []
    for one in said['messages']:
        raw = [decoded(part) for part in one['fields']]
        messages.append(
            Message(
                decoded(one['body']),
                _fields(zip(raw[::2], raw[1::2], strict=True)),
                one['method'],
                _text(decoded(one['target'])),
                one['status'],
            )  # fmt: skip
        )
    return Reading(messages, said['end'], said['why'])
