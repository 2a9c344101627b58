# SPDX-License-Identifier: MIT
"""What was forwarded, before all eyes: they must agree on how many requests there are, where each ends, and what it is.

A parser may know methods only by a list of its own, and refuse others. That is its right and no disagreement on bounds;
it is then asked again from behind that request on.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import re

from eyes import REQUEST_EYES, Message, Reading, have_node, node_readings

EVERYBODY_KNOWS = {'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'}


@dataclasses.dataclass
class Stream:
    """One connection to a server: its whole requests with the ids diplex gave them, and what broke off."""

    ids: list[str]
    raw: list[bytes]
    rest: bytes = b''

    def since(self, number: int) -> bytes:
        return b''.join(self.raw[number:]) + self.rest


def forwarded(record: list[dict]) -> list[Stream]:
    """The recorder's record by connection."""
    assert not [line for line in record if 'crooked' in line], record
    streams: dict[int, Stream] = collections.defaultdict(lambda: Stream([], []))
    for line in record:
        stream = streams[line['connection']]
        if 'left' in line:
            stream.rest = base64.b64decode(line['left'])
        else:
            stream.ids.append(line['id'])
            stream.raw.append(base64.b64decode(line['raw']))
    return list(streams.values())


def _read(name: str, connections: list[bytes]) -> list[Reading]:
    if name == 'node':
        return node_readings('requests', [(data, []) for data in connections])
    return [REQUEST_EYES[name](data) for data in connections]


def _unknown_method(stream: Stream, number: int, reading: Reading) -> bool:
    if reading.end != 'refused' or number >= len(stream.raw) or 'ethod' not in reading.why:
        return False
    return stream.raw[number].split(b' ')[0].decode() not in EVERYBODY_KNOWS


def _look(name: str, streams: list[Stream], seen: dict[str, tuple], problems: list[str]) -> None:
    """One eye over all connections. What it finds is put into `seen`, and compared where another has been before."""
    pending = [(stream, 0) for stream in streams]
    while pending:
        again = []
        readings = _read(name, [stream.since(number) for stream, number in pending])
        for (stream, number), reading in zip(pending, readings, strict=True):
            end = number + len(reading.messages)
            found = [message.all('x-request-id') for message in reading.messages]
            if found != [[one] for one in stream.ids[number:end]]:
                problems.append(f'{name} reads {reading} where diplex forwarded {stream.since(number)!r}')
                continue
            for message in reading.messages:
                one, what = found.pop(0)[0], (message.method, message.target, message.body, message.fields)
                if seen.setdefault(one, what) != what:
                    problems.append(f'{name} reads {what} where another eye reads {seen[one]}')
            if _unknown_method(stream, end, reading):
                again.append((stream, end + 1))
            elif end < len(stream.ids):
                problems.append(f'{name} reads {reading} and misses {stream.raw[end]!r}')
            elif stream.rest and reading.end == 'end':
                problems.append(f'{name} sees nothing in {stream.rest!r}')
        pending = again


def compare(streams: list[Stream]) -> tuple[dict[str, tuple], list[str]]:
    """The requests by their ids as (method, target, body, fields of the head), and the disagreements."""
    seen: dict[str, tuple] = {}
    problems: list[str] = []
    for name in [*REQUEST_EYES, *(['node'] if have_node() else [])]:
        _look(name, streams, seen, problems)
    ids = [one for stream in streams for one in stream.ids]
    if len(set(ids)) != len(ids):
        problems.append('an id was given to two requests')
    return seen, problems


def as_forwarded(message: Message) -> tuple[str, str, bytes]:
    """A request as it was read from the client's bytes, in the form in which diplex forwards it."""
    target = message.target
    if target.lower().startswith('http://'):
        target = re.sub('^http://[^/?]*', '', target, flags=re.IGNORECASE)
        if not target and message.method == 'OPTIONS':
            target = '*'
        elif not target.startswith('/'):
            target = '/' + target
    return (message.method, target, message.body)
