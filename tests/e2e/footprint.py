# SPDX-License-Identifier: MIT
"""What a running diplex holds, and the question whether a fault has left something behind: requests, connections,
slots, tunnels, descriptors of both processes, memory, processes. The fixture `steady` asks it at the end of a test, and
`site.leaves_nothing()` at any time before.

Also here, for the tests of faults: many conversations at once, and what a strict client makes of what came back.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import pathlib
import re
import selectors
import socket
import time

import h11
import harness
from wire import PATIENCE, RawClient, wait_until

GROWS_KB = 6 * 1024  # what data may keep of memory for the next ones after a storm of requests
PIPES_KEPT = 2 * 16  # ends of pipes that each worker keeps for large bodies
injected: collections.Counter = collections.Counter()  # faults by test file, for the last lines of a run


def descriptors(pid: int) -> collections.Counter:
    """What kinds of descriptors a process holds, and how many."""
    found = collections.Counter()
    for entry in os.scandir(f'/proc/{pid}/fd'):
        try:
            name = os.readlink(entry.path)
        except FileNotFoundError:
            continue
        kind = name.partition(':')[0] if ':' in name else 'a file'
        found['a file without a name' if name.endswith('(deleted)') and 'memfd' not in name else kind] += 1
    return found


def written_kb(pid: int) -> int:
    rollup = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(r'^Pss_Anon:\s+(\d+) kB', rollup, re.M)[1])


def family(site) -> list[int]:
    """Every process that diplex and its children are: they share a session, whoever is their parent now."""
    found = []
    for entry in os.scandir('/proc'):
        if entry.name.isdigit():
            try:
                fields = pathlib.Path(entry.path, 'stat').read_text().rpartition(')')[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == site.pid and fields[0] not in 'ZX':
                found.append(int(entry.name))
    return sorted(found)


def too_many(now: collections.Counter, before: collections.Counter, workers: int) -> dict[str, str]:
    allowed = before + collections.Counter({'pipe': PIPES_KEPT * workers})
    return {kind: f'{n}, {before[kind]} at first' for kind, n in now.items() if n > allowed[kind]}


class Footprint:
    """Of one diplex with an admin socket, from when it serves."""

    def __init__(self, site, admin: str) -> None:
        self.site, self.admin = site, admin
        self.data = self.data_pid()
        self.before = self.take()

    def data_pid(self) -> int:
        return self.status()['data_pid']

    def status(self) -> dict:
        with RawClient(self.admin) as client:
            return client.ask('GET', '/status').json()

    def take(self) -> dict:
        status = self.status()
        data = status['data_pid']
        return {
            'workers': status['workers'],
            'control': descriptors(status['control_pid']),
            'data': descriptors(data),
            'written_kb': written_kb(data),
        }

    def in_use(self) -> dict:
        """What the board says is running, by name; nothing of it is 0."""
        status = self.status()
        used = {name: status['counters'][name] for name in ('client_connections', 'requests_running', 'tunnels')}
        for pool in status['pools']:
            used |= {f'{pool["name"]} {what}': pool[what] for what in ('queued', 'held')}
            for server in pool['servers']:
                used |= {f'{server["address"]} {what}': server[what] for what in ('active', 'connections')}
        return {name: n for name, n in used.items() if n}

    def left(self) -> dict:
        """What is there and should not be."""
        now, before = self.take(), self.before
        found = self.in_use()
        for process in ('control', 'data'):
            found |= {
                f'{process}: {kind}': what
                for kind, what in too_many(now[process], before[process], before['workers']).items()
            }
        if len(family(self.site)) != 2:
            found['processes'] = family(self.site)
        return found

    def check(self, seconds: float = PATIENCE, grows_kb: int = GROWS_KB) -> None:
        site = self.site
        if not site.running():
            return  # a test that ends it looks at that itself
        left = {}

        def gone() -> bool:
            left.clear()
            left.update(self.left())
            return not left

        try:
            wait_until(gone, seconds)
        except AssertionError:
            raise AssertionError(f'left behind after {seconds:g} s: {left}\n{site.stderr}') from None
        if not site.deaths_are_expected:
            assert self.data_pid() == self.data, f'data died\n{site.stderr}'
        if not harness.sanitized() and b'__gcov' not in harness.DIPLEX.read_bytes():
            grown = self.take()['written_kb'] - self.before['written_kb']
            assert grown <= grows_kb, f'{grown} kB more than at first'


def inject(count: int = 1) -> None:
    """Counts faults for the report at the end of the run."""
    injected[os.environ.get('PYTEST_CURRENT_TEST', '?').partition('::')[0].rpartition('/')[2]] += count


# ---- many conversations at once ------------------------------------------------------------------------------------


@dataclasses.dataclass
class Heard:
    """All that a client got on one connection, and how that ended: 'closed', 'reset' or 'time'."""

    raw: bytes = b''
    end: str = 'time'
    seconds: float = 0.0
    ended: float = 0.0  # by the monotonic clock


def converse(address, requests: list[bytes], seconds: float = PATIENCE, at_once: int = 150) -> list[Heard]:
    """Sends each on a connection of its own and hears until the end of it, so many at the same time."""
    heard = [Heard() for _ in requests]
    for first in range(0, len(requests), at_once):
        _converse(address, requests[first : first + at_once], heard[first : first + at_once], seconds)
    return heard


def _converse(address, requests, heard, seconds) -> None:
    with selectors.DefaultSelector() as selector:
        began = time.monotonic()
        for request, one in zip(requests, heard, strict=True):
            connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            connection.connect(address)
            connection.setblocking(False)
            left = request[connection.send(request) :] if request else b''
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if left else 0)
            selector.register(connection, events, [one, memoryview(left)])
        while selector.get_map() and (patience := seconds - (time.monotonic() - began)) > 0:
            for key, events in selector.select(patience):
                _go_on(selector, key, events, began)
        for key in list(selector.get_map().values()):
            key.data[0].seconds = time.monotonic() - began
            key.fileobj.close()


def _go_on(selector, key, events, began) -> None:
    one, left = key.data
    try:
        if events & selectors.EVENT_WRITE:
            left = left[key.fileobj.send(left) :]
            key.data[1] = left
            if not left:
                selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
        if events & selectors.EVENT_READ:
            data = key.fileobj.recv(1 << 18)
            one.raw += data
            if data:
                return
            one.end = 'closed'
        else:
            return
    except BlockingIOError:
        return
    except (ConnectionResetError, BrokenPipeError):
        one.end = 'reset'
        if events & selectors.EVENT_WRITE:  # what came before may still be read
            selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            return
    one.ended = time.monotonic()
    one.seconds = one.ended - began
    selector.unregister(key.fileobj)
    key.fileobj.close()


# ---- what a strict client makes of it ------------------------------------------------------------------------------


@dataclasses.dataclass
class Read:
    """`whole`: framed to its end. Otherwise the client knows that something is missing."""

    whole: bool
    status: int | None = None
    body: bytes = b''
    trailers: list = dataclasses.field(default_factory=list)
    interims: list = dataclasses.field(default_factory=list)
    surplus: bytes = b''
    fields: dict = dataclasses.field(default_factory=dict)


def read(heard: Heard, method: str = 'GET') -> Read:
    """By h11, which refuses what is malformed. An answer that ends with its connection is whole when that was closed,
    and not when it was reset or left open.
    """
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    parser.send(h11.Request(method=method, target='/', headers=[('Host', 'a')]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(heard.raw)
    seen = Read(False)
    if heard.raw == b'':
        return seen
    if heard.end == 'closed':
        parser.receive_data(b'')
    try:
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return seen
            if isinstance(event, h11.InformationalResponse):
                seen.interims.append(event.status_code)
            elif isinstance(event, h11.Response):
                seen.status = event.status_code
                seen.fields = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                seen.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                seen.whole, seen.trailers = True, [(bytes(n), bytes(v)) for n, v in event.headers]
                seen.surplus = parser.trailing_data[0]
                return seen
            else:
                return seen
    except h11.RemoteProtocolError as error:
        assert 'incomplete' in str(error) or 'without' in str(error) or 'prematurely' in str(error), (
            f'malformed: {error}: {heard}'
        )
        return seen


def chosen(positions, every: int = 7) -> list[int]:
    """All of them; where a sanitizer makes each one dear, one in so many and the last."""
    positions = list(positions)
    return positions if not harness.sanitized() else sorted({*positions[::every], positions[-1]})


def summary() -> list[str]:
    return [f'{count} faults injected by {name}' for name, count in sorted(injected.items())]


def with_admin(config: dict, admin: str) -> dict:
    """The configuration with an admin socket, and with pools that let idle connections go soon."""
    pools = {name: {'keepalive': {'idle': '300ms'}, **pool} for name, pool in config['pools'].items()}
    return json.loads(json.dumps({**config, 'pools': pools, 'admin': admin}))
