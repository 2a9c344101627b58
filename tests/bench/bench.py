#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures what a proxied request costs, diplex beside other proxies and beside a relay that parses nothing.

Every kind of work is done by the proxies in turn, A B C A B C, over several rounds, each time by a fresh process that
is alone on its cores; the server behind it and the load generator have theirs. The figure to look at is processor time
per request: unlike requests per second it does not depend on which side was the slower one. docs/performance.md says
how to read the table. `tests/bench/run` installs what this needs and starts it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import http.client
import json
import math
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from peers import BASELINE, BUILD, FLOOR, HERE, PEERS, Peer, Site
from processes import Program, free_port

CONNECTIONS = 64
WARM_UP = 0.2
PATIENCE = 10.0


@dataclasses.dataclass(frozen=True)
class Work:
    """One kind of work. A path under /async/ goes to the asgi pool, any other to the wsgi pool."""

    name: str
    title: str
    path: str
    unix: bool = False  # to the server
    close: bool = False  # a new client connection for each request
    fields: tuple[str, ...] = ()  # of the request, beyond Host


# What a browser sends with a request of a page's script.
BROWSER = (
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'Accept: application/json',
    'Accept-Language: en-GB,en;q=0.5',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Referer: https://www.example.com/items/?page=2&order=-created',
    'Cookie: csrftoken=Zy8uRk2mQb3sVxW1nT4pLd6hJc9fGaE0; sessionid=7q2n8x4k1v9m3c6z5b0t8r2w4y6u1i3o; theme=dark',
    'Sec-Fetch-Dest: empty',
    'Sec-Fetch-Mode: cors',
    'Sec-Fetch-Site: same-origin',
    'Priority: u=4',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
)
WORKS = {
    work.name: work
    for work in (
        Work('small', 'small keep-alive GET to the asgi pool, TCP to the server', '/async/'),
        Work('small-unix', 'the same, Unix socket to the server', '/async/', unix=True),
        Work('small-wsgi', 'small keep-alive GET to the wsgi pool, TCP to the server', '/'),
        Work('browser', 'small keep-alive GET with the fields of a browser, asgi pool', '/async/', fields=BROWSER),
        Work('64k', 'answers of 64 KiB, asgi pool, TCP to the server', '/async/bytes/65536'),
        Work('connect', 'a new client connection for each small GET, asgi pool, TCP to the server', '/async/',
             close=True),
    )
}


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one proxy did in one round of one work."""

    requests: int
    seconds: float
    cpu_us: float  # per request, all threads and processes of the proxy
    user_share: float  # of the processor time
    busy: float  # of one core
    p50_us: int
    p99_us: int
    p999_us: int
    errors: int
    pss_kib: int | None


# The rows of the table: title, value of a sample, how to write it.
COLUMNS = (
    ('req/s', lambda s: s.requests / s.seconds, '{:.0f}'),
    ('CPU us/req', lambda s: s.cpu_us, '{:.2f}'),
    ('user', lambda s: 100 * s.user_share, '{:.0f}%'),
    ('busy', lambda s: 100 * s.busy, '{:.0f}%'),
    ('p50 us', lambda s: s.p50_us, '{:.0f}'),
    ('p99 us', lambda s: s.p99_us, '{:.0f}'),
    ('p99.9 us', lambda s: s.p999_us, '{:.0f}'),
    ('PSS MiB', lambda s: math.nan if s.pss_kib is None else s.pss_kib / 1024, '{:.1f}'),
)


class Trouble(Exception):
    """Something that was started did not do its part; said on one line or with its output."""


class Bench:
    def __init__(self, options: argparse.Namespace, directory: pathlib.Path):
        self.options = options
        self.directory = directory
        self.directory.chmod(0o755)  # a proxy started by root carries requests as somebody else
        self.starts = 0
        self.origins = {}

    def begin_origins(self, stack: contextlib.ExitStack, works: list[Work]) -> None:
        for unix in sorted({work.unix for work in works}):
            address = f'unix:{self.directory}/origin.sock' if unix else f'127.0.0.1:{free_port()}'
            name = 'origin-unix' if unix else 'origin-tcp'
            stack.enter_context(Program([str(BUILD / 'origin'), address], self.options.load_cores,
                                        self.directory / f'{name}.log'))
            self.origins[unix] = address

    @contextlib.contextmanager
    def started(self, peer: Peer, work: Work):
        """The proxy, once it answers for both pools, and its port."""
        self.starts += 1
        directory = self.directory / f'{self.starts}-{peer.name}'
        directory.mkdir()
        site = peer.prepare(Site(directory, free_port(), self.origins[work.unix], self.options.workers))
        with Program(peer.command(site), self.options.proxy_cores, directory / 'output') as proxy:
            for path in {work.path, '/', '/async/'}:
                wait_for_answer(proxy, peer, site.port, path)
            yield proxy, site.port
            if not proxy.running():
                raise Trouble(f'{peer.name} died:\n{proxy.output()}')

    def load(self, work: Work, port: int, seconds: float) -> dict:
        """What wrk saw. It takes whole seconds only, so it is interrupted when its time is over."""
        command = ['wrk', '-t', str(self.options.load_threads), '-c', str(self.options.connections),
                   '-d', str(math.ceil(seconds) + 5), '-s', str(HERE / 'wrk.lua')]
        fields = (*work.fields, *(('Connection: close',) if work.close else ()))
        command += [word for field in fields for word in ('-H', field)]
        with Program([*command, f'http://127.0.0.1:{port}{work.path}'], self.options.load_cores,
                     self.directory / 'wrk.log') as wrk:
            time.sleep(seconds)
            wrk.interrupt()
            wrk.wait(PATIENCE)
            for line in wrk.output().splitlines():
                if line.startswith('DONE '):
                    return json.loads(line[5:])
            raise Trouble(f'wrk failed:\n{wrk.output()}')

    def measure(self, peer: Peer, work: Work) -> Sample:
        with self.started(peer, work) as (proxy, port):
            self.load(work, port, WARM_UP)
            cpu, ticks, began = proxy.cpu_ns(), proxy.ticks(), time.monotonic()
            seen = self.load(work, port, self.options.seconds)
            cpu, passed = proxy.cpu_ns() - cpu, time.monotonic() - began
            user, system = (now - then for now, then in zip(proxy.ticks(), ticks))
            requests = max(seen['requests'], 1)
            return Sample(requests=seen['requests'], seconds=seen['duration_us'] / 1e6, cpu_us=cpu / requests / 1e3,
                          user_share=user / max(user + system, 1), busy=cpu / passed / 1e9, p50_us=seen['p50_us'],
                          p99_us=seen['p99_us'], p999_us=seen['p999_us'], errors=seen['errors'] + seen['refused'],
                          pss_kib=proxy.pss_kib())

    def calls(self, peer: Peer, work: Work) -> dict[str, float]:
        """System calls per request by name. Tracing slows everything, so nothing is timed here."""
        with self.started(peer, work) as (proxy, port):
            self.load(work, port, WARM_UP)
            counts = proxy.log.with_name('strace')
            trace = ['strace', '-f', '-c', '-U', 'calls,name', '-o', str(counts)]
            trace += [word for pid in proxy.tree() for word in ('-p', str(pid))]
            with Program(trace, self.options.load_cores, proxy.log.with_name('strace.log')) as strace:
                wait_until(lambda: 'attached' in strace.output(), 'strace attaches')
                seen = self.load(work, port, self.options.seconds)
                strace.interrupt()
                strace.wait(PATIENCE)
            pairs = [line.split() for line in counts.read_text().splitlines()]
            pairs = [(pair[1], int(pair[0])) for pair in pairs if len(pair) == 2 and pair[0].isdigit()]
            return {name: count / max(seen['requests'], 1) for name, count in pairs if name != 'total'}


def wait_until(ready, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise Trouble(f'gave up waiting until {what}')
        time.sleep(0.02)


def wait_for_answer(proxy: Program, peer: Peer, port: int, path: str) -> None:
    def ready() -> bool:
        if not proxy.running():
            raise Trouble(f'{peer.name} did not start:\n{proxy.output()}')
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=2)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request('GET', path, headers={'Connection': 'close'})
            answer = connection.getresponse()
            return answer.status == 200 and len(answer.read()) > 0
        return False

    wait_until(ready, f'{peer.name} answers {path}')


def build() -> None:
    """Compiles the origin and the relay where they are missing or older than what they are made of."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ('origin', 'relay'):
        program, sources = BUILD / name, [HERE / f'{name}.c', HERE / 'sockets.h']
        if program.exists() and all(program.stat().st_mtime > source.stat().st_mtime for source in sources):
            continue
        fresh = program.with_suffix(f'.{os.getpid()}')
        subprocess.run(['cc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-o', str(fresh),
                        str(sources[0])], check=True, timeout=120)
        fresh.replace(program)


def median(samples: list[Sample], value) -> float:
    return statistics.median(value(sample) for sample in samples)


def ratio(rounds: list[dict[str, Sample]], peer: str, other: str) -> float | None:
    """The median over the rounds of how much more processor time a request costs than with the other."""
    if other not in rounds[0]:
        return None
    return statistics.median(of[peer].cpu_us / max(of[other].cpu_us, 1e-9) for of in rounds)


def spread(samples: list[Sample]) -> float:
    costs = [sample.cpu_us for sample in samples]
    return (max(costs) - min(costs)) / max(statistics.median(costs), 1e-9)


def table(rounds: list[dict[str, Sample]]) -> list[list[str]]:
    rows = [['', *(title for title, _, _ in COLUMNS), 'errors', 'spread', f'/{FLOOR}', f'/{BASELINE}']]
    for peer in rounds[0]:
        samples = [of[peer] for of in rounds]
        row = [peer, *(form.format(median(samples, value)) for _, value, form in COLUMNS)]
        row += [str(sum(sample.errors for sample in samples)), f'{100 * spread(samples):.0f}%']
        row += ['-' if (by := ratio(rounds, peer, other)) is None else f'{by:.2f}' for other in (FLOOR, BASELINE)]
        rows.append(row)
    return rows


def calls_table(counts: dict[str, dict[str, float]]) -> list[list[str]]:
    """Calls that happen in one request of a hundred or more; the others are in `others`."""
    names = sorted({name for of in counts.values() for name, count in of.items() if count >= 0.01},
                   key=lambda name: -max(of.get(name, 0.0) for of in counts.values()))
    rows = [['calls/req', 'all', *names, 'others']]
    for peer, of in counts.items():
        others = sum(count for name, count in of.items() if name not in names)
        rows.append([peer, *(f'{value:.2f}' for value in
                             (sum(of.values()), *(of.get(name, 0.0) for name in names), others))])
    return rows


def show(title: str, rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f'\n{title}')
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        print('  ' + '  '.join(cells).rstrip(), flush=True)


def machine() -> dict:
    model = next((line.partition(':')[2].strip() for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines()
                  if line.startswith('model name')), platform.machine())
    return {'processor': model, 'cores': len(os.sched_getaffinity(0)), 'kernel': platform.release(),
            'date': datetime.date.today().isoformat(), 'load_average': os.getloadavg()[0]}


def cores() -> tuple[str, str]:
    """One core for the proxy and the next for everything else; the same one where there is no other."""
    allowed = sorted(os.sched_getaffinity(0))
    return str(allowed[0]), str(allowed[min(1, len(allowed) - 1)])


def read_options() -> argparse.Namespace:
    proxy_cores, load_cores = cores()
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--works', default=','.join(WORKS), help='of %(default)s')
    parser.add_argument('--peers', default=','.join(PEERS), help='of %(default)s')
    parser.add_argument('--rounds', type=int, default=5, help='%(default)s by default')
    parser.add_argument('--seconds', type=float, default=2.0, help='of load in each; %(default)s by default')
    parser.add_argument('--connections', type=int, default=CONNECTIONS, help='of wrk; %(default)s by default')
    parser.add_argument('--load-threads', type=int, default=1, help='of wrk; %(default)s by default')
    parser.add_argument('--workers', type=int, default=1, help='threads or processes of a proxy; %(default)s by default')
    parser.add_argument('--proxy-cores', default=proxy_cores, help='as taskset -c takes them; %(default)s by default')
    parser.add_argument('--load-cores', default=load_cores, help='for origin and wrk; %(default)s by default')
    parser.add_argument('--calls', action='store_true', help='count system calls instead, with strace')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='write everything measured there')
    options = parser.parse_args()
    for chosen, known in (('works', WORKS), ('peers', PEERS)):
        names = getattr(options, chosen).split(',')
        if unknown := [name for name in names if name not in known]:
            parser.error(f'no such {chosen[:-1]}: {", ".join(unknown)}; there are {", ".join(known)}')
        setattr(options, chosen, [known[name] for name in names])
    if options.rounds < 1 or options.seconds <= 0:
        parser.error('at least one round, and a time above nothing')
    return options


def missing(options: argparse.Namespace) -> list[str]:
    tools = ['wrk', 'taskset', 'cc', *(['strace'] if options.calls else [])]
    return [tool for tool in tools if not shutil.which(tool)] + [
        peer.program for peer in options.peers if not peer.path()]


def run(bench: Bench, report: dict) -> None:
    options = bench.options
    for work in options.works:
        if options.calls:
            counts = {peer.name: bench.calls(peer, work) for peer in options.peers}
            show(f'{work.name}: {work.title}', calls_table(counts))
            report['works'][work.name] = counts
            continue
        rounds = [{peer.name: bench.measure(peer, work) for peer in options.peers} for _ in range(options.rounds)]
        show(f'{work.name}: {work.title}', table(rounds))
        report['works'][work.name] = [{name: dataclasses.asdict(sample) for name, sample in of.items()}
                                      for of in rounds]


def main() -> int:
    options = read_options()
    build()
    if tools := missing(options):
        print(f'missing: {", ".join(tools)}', file=sys.stderr)
        return 2
    report = {'machine': machine(), 'peers': {peer.name: peer.describe() for peer in options.peers},
              'options': {'rounds': options.rounds, 'seconds': options.seconds, 'connections': options.connections,
                          'workers': options.workers, 'calls': options.calls}, 'works': {}}
    print(', '.join(f'{key} {value}' for key, value in report['machine'].items()))
    print('; '.join(report['peers'].values()))
    try:
        with tempfile.TemporaryDirectory(prefix='diplex-bench-') as directory, contextlib.ExitStack() as stack:
            bench = Bench(options, pathlib.Path(directory))
            bench.begin_origins(stack, options.works)
            run(bench, report)
    except Trouble as trouble:
        print(f'error: {trouble}', file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
