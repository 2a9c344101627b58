# SPDX-License-Identifier: MIT
"""What the soak looks at from outside: memory, descriptors and processor time in /proc, the access log, the status."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import socket
import statistics
import threading
import time

# Outcomes that may be in the access log, by pool (None: no pool was chosen, '*': any). Anything else is a fault.
OUTCOMES = {
    '*': {'ok', 'client_left', 'bad_request', 'body_too_large'},
    None: {'no_route'},
    'narrow': {'queue_full', 'queue_timeout'},
    'async': {'server_closed', 'answer_cut'},
}
ENTRY = re.compile(rb'"outcome":"(\w+)".*?"pool":(?:"([^"]*)"|null)')
PIPES_KEPT = 2 * 4 * 2  # ends x stock of a worker (DX_PIPES_KEPT) x workers: they wait for the next large body
# Allowed from the middle third of the time to the last. Both processes keep what their busiest moment needed, and it takes
# minutes until none is busier than all before: so a short run can only show what grows fast.
LONG_SECONDS = 300
GROWTH_KB = {'data': 512, 'control': 256}
GROWTH_KB_SHORT = {'data': 2560, 'control': 512}
SAMPLE_SECONDS = 1.0


class AccessLog(threading.Thread):
    """Reads standard output of diplex and keeps nothing but counts and a few lines that must not be."""

    def __init__(self, stream) -> None:
        super().__init__(daemon=True)
        self.stream = stream
        self.lines = 0
        self.outcomes: collections.Counter = collections.Counter()
        self.odd: list[str] = []
        self.start()

    def run(self) -> None:
        rest = b''
        while block := self.stream.read1(1 << 18):
            whole, _, rest = (rest + block).rpartition(b'\n')
            for line in whole.split(b'\n') if whole else ():
                self._take(line)

    def _take(self, line: bytes) -> None:
        self.lines += 1
        found = ENTRY.search(line)
        outcome = found[1].decode() if found else 'unreadable'
        pool = found[2].decode() if found and found[2] is not None else None
        self.outcomes[outcome] += 1
        if outcome not in OUTCOMES['*'] and outcome not in OUTCOMES.get(pool, ()) and len(self.odd) < 20:
            self.odd.append(line.decode(errors='replace'))


def anonymous_kb(pid: int) -> int:
    """Memory of its own, without pages of files, whose share depends on who else maps them."""
    return int(re.search(r'^RssAnon:\s+(\d+) kB', pathlib.Path(f'/proc/{pid}/status').read_text(), re.M)[1])


def share_kb(pid: int) -> int:
    return int(re.search(r'^Pss:\s+(\d+) kB', pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text(), re.M)[1])


def descriptors(pid: int) -> collections.Counter:
    """How many of each sort: `socket`, `pipe`, `anon_inode:[eventpoll]`, paths ..."""
    found = collections.Counter()
    for name in os.listdir(f'/proc/{pid}/fd'):
        with contextlib.suppress(FileNotFoundError):
            found[os.readlink(f'/proc/{pid}/fd/{name}').split(':[')[0]] += 1
    return found


def thread_seconds(pid: int) -> dict[str, float]:
    """Processor time of each thread of a process, by name and id."""
    tick, seconds = os.sysconf('SC_CLK_TCK'), {}
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        name, _, rest = (task / 'stat').read_text().partition(' (')[2].rpartition(') ')
        fields = rest.split()
        seconds[f'{name} {task.name}'] = (int(fields[11]) + int(fields[12])) / tick
    return seconds


def ask_admin(path: pathlib.Path, method: str, target: str) -> tuple[int, bytes]:
    class Admin(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(path))

    admin = Admin('localhost', timeout=60)
    try:
        admin.request(method, target)
        answer = admin.getresponse()
        return answer.status, answer.read()
    finally:
        admin.close()


def status(path: pathlib.Path) -> dict:
    return json.loads(ask_admin(path, 'GET', '/status')[1])


def unrest(seen: dict) -> dict[str, int]:
    """What must be 0 when nobody is there any more, as far as it is not."""
    left = {name: seen['counters'][name] for name in ('requests_running', 'client_connections', 'tunnels')}
    left['data processes that leave'] = len(seen['leaving'])
    for pool in seen['pools']:
        for key in ('queued', 'held'):
            left[f'{pool["name"]} {key}'] = pool[key]
        for server in pool['servers']:
            for key in ('active', 'connections'):
                left[f'{pool["name"]} {server["address"]} {key}'] = server[key]
    return {name: value for name, value in left.items() if value}


def grown(before: collections.Counter, now: collections.Counter) -> dict[str, int]:
    """The sorts of which there are more descriptors than before; pipes count from what a stock may keep on."""
    more = now - before
    if more['pipe'] <= PIPES_KEPT:
        del more['pipe']
    return dict(more)


@dataclasses.dataclass
class Sample:
    at: float
    anonymous_kb: dict[str, int]
    descriptors: dict[str, collections.Counter]


class Watch:
    """Samples both processes until it is cancelled, and says whether their memory stayed flat since the last upgrade."""

    def __init__(self, pids: dict[str, int]) -> None:
        self.pids = pids
        self.samples: list[Sample] = []
        self.began = self.upgraded = time.monotonic()
        self.fresh = 0  # samples before are of other processes, or of another program

    def upgrade(self, data: int) -> None:
        self.pids['data'] = data
        self.fresh = len(self.samples)
        self.upgraded = time.monotonic()

    def look(self) -> Sample:
        return Sample(
            time.monotonic() - self.began,
            {name: anonymous_kb(pid) for name, pid in self.pids.items()},
            {name: descriptors(pid) for name, pid in self.pids.items()},
        )

    async def run(self) -> None:
        while True:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # replaced at this moment
                self.samples.append(self.look())
            await asyncio.sleep(SAMPLE_SECONDS)

    def thirds(self, name: str) -> tuple[float, float, float]:
        """The medians of the three thirds of the time since the last upgrade, in KB: the first is warming up."""
        values = [sample.anonymous_kb[name] for sample in self.samples[self.fresh :] or [self.look()]]
        third = max(1, len(values) // 3)
        return tuple(statistics.median(values[n * third : (n + 1) * third] or values[-1:]) for n in range(3))

    def most_descriptors(self, name: str) -> int:
        return max(sample.descriptors[name].total() for sample in self.samples)

    def course(self, name: str) -> list[tuple[int, int]]:
        """Seconds and KB, some thirty of them."""
        every = max(1, len(self.samples) // 30)
        return [(round(sample.at), sample.anonymous_kb[name]) for sample in self.samples[::every]]
