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
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from peers import BUILD, HERE, PEERS, Peer, Site
from processes import Program, free_port
from tables import Sample, best_rate, calls_table, show, table
from works import WORKS, Work

CONNECTIONS = 64
RATE = 4000.0  # of paced requests where no other proxy was measured before
WARM_UP = 0.2
PATIENCE = 30.0
PATIENCE_FOR_ROOM = 130.0
DESCRIPTORS = 20000


class Trouble(Exception):
    """Something that was started did not do its part; said on one line or with its output."""


class Generator:
    """What makes the load. An eager one begins at once, so that the making of its connections is measured too."""

    program: Program
    eager = True

    def begin(self) -> None:
        pass

    def end(self) -> None:
        self.program.interrupt()

    def seen(self) -> dict:
        """What it has to tell, once it has ended."""
        line = next((line for line in self.program.output().splitlines() if line.startswith('DONE ')), None)
        if line is None:
            raise Trouble(f'the load failed:\n{self.program.output()}')
        return json.loads(line[5:])


class Wrk(Generator):
    """Load from wrk. It takes whole seconds only, so it is interrupted when its time is over."""

    def __init__(self, bench: Bench, work: Work, port: int, seconds: float):
        connections = bench.connections(work)
        command = ['env', f'BENCH_UPLOAD={work.upload}', 'wrk', '-t', str(min(bench.options.load_threads, connections)),
                   '-c', str(connections), '-d', str(math.ceil(seconds) + 5), '-s', str(HERE / 'wrk.lua')]
        fields = (*work.fields, *(('Connection: close',) if work.close else ()))
        command += [word for field in fields for word in ('-H', field)]
        self.program = Program([*command, f'http://127.0.0.1:{port}{work.path}'], bench.options.load_cores,
                               bench.directory / 'wrk.log')


class H2load(Generator):
    """Load from h2load, over HTTP/1.1: a second opinion on wrk's. It ends by itself when its time is over."""

    def __init__(self, bench: Bench, work: Work, port: int, seconds: float):
        self.times = bench.directory / 'h2load.times'
        self.seconds = seconds
        connections = bench.connections(work)
        command = ['h2load', '--h1', '-t', str(min(bench.options.load_threads, connections)), '-c', str(connections),
                   '-D', f'{seconds * 1000:.0f}ms', f'--log-file={self.times}']
        self.program = Program([*command, f'http://127.0.0.1:{port}{work.path}'], bench.options.load_cores,
                               bench.directory / 'h2load.log')

    def end(self) -> None:
        pass

    def seen(self) -> dict:
        """Those that failed hold those without any answer; the others of them were refused."""
        found = re.search(r'^requests: (\d+) total, .* (\d+) failed, (\d+) errored', self.program.output(), re.M)
        times = sorted(int(line.split()[2]) for line in self.times.read_text().splitlines()) if found else []
        if not times:
            raise Trouble(f'h2load failed:\n{self.program.output()}')
        requests, failed, errors = (int(group) for group in found.groups())
        at = {f'{name}_us': times[int(share * (len(times) - 1))]
              for name, share in (('p50', 0.5), ('p99', 0.99), ('p999', 0.999))}
        return {'requests': requests, 'duration_us': self.seconds * 1e6, 'errors': errors, 'refused': failed - errors,
                **at}


class Load(Generator):
    """Load from load.c, whose connections are made and warm before it begins."""

    eager = False

    def __init__(self, bench: Bench, work: Work, port: int, mode: str, connections: int):
        command = [str(BUILD / 'load'), mode, f'127.0.0.1:{port}', work.path, str(connections)]
        command += [str(bench.rate)] if work.paced else []
        self.program = Program(command, bench.options.load_cores, bench.directory / f'load-{mode}.log')
        with contextlib.ExitStack() as stack:
            stack.callback(self.program.stop)
            wait_until(lambda: 'READY' in self.program.output() or not self.program.running(),
                       f'{connections} clients are connected to {bench.peer}')
            if not self.program.running():
                raise Trouble(f'load {mode} failed:\n{self.program.output()}')
            stack.pop_all()

    def begin(self) -> None:
        self.program.begin()


class Meter:
    """What a proxy used between two moments."""

    def __init__(self, proxy: Program):
        self.proxy = proxy
        self.cpu, self.ticks, self.began = proxy.cpu_ns(), proxy.ticks(), time.monotonic()

    def read(self) -> dict:
        cpu, passed = self.proxy.cpu_ns() - self.cpu, time.monotonic() - self.began
        user, system = (now - then for now, then in zip(self.proxy.ticks(), self.ticks))
        return {'cpu_ns': cpu, 'user_share': user / max(user + system, 1), 'busy': cpu / passed / 1e9}


class Bench:
    def __init__(self, options: argparse.Namespace, directory: pathlib.Path):
        self.options = options
        self.directory = directory
        self.directory.chmod(0o755)  # a proxy started by root carries requests as somebody else
        self.starts = 0
        self.rate = options.rate or RATE
        self.peer = 'nothing'
        self.origins = {}

    def connections(self, work: Work) -> int:
        return work.connections or self.options.connections

    def begin_origins(self, stack: contextlib.ExitStack, works: list[Work]) -> None:
        for unix, closes in sorted({(work.unix, work.server_closes) for work in works} | {(False, False)}):
            name = f'origin-{"unix" if unix else "tcp"}{"-closes" if closes else ""}'
            address = f'unix:{self.directory}/{name}.sock' if unix else f'127.0.0.1:{free_port()}'
            stack.enter_context(Program([str(BUILD / 'origin'), *(['--close'] if closes else []), address],
                                        self.options.load_cores, self.directory / f'{name}.log'))
            self.origins[unix, closes] = address

    @contextlib.contextmanager
    def started(self, peer: Peer, work: Work):
        """The proxy, once it answers for both pools, and its port."""
        self.starts += 1
        self.peer = peer.name
        directory = self.directory / f'{self.starts}-{peer.name}'
        directory.mkdir()
        workers = work.workers or self.options.workers
        site = Site(directory, free_port(), self.origins[work.unix, work.server_closes], workers, work.logged,
                    work.routes)
        peer.prepare(site)
        cores = self.options.proxy_cores if work.workers is None else self.options.all_cores
        with Program(peer.command(site), cores, directory / 'output') as proxy:
            for path in ('/', '/async/'):
                wait_for_answer(proxy, peer, site.port, path)
            yield proxy, site.port
            if not proxy.running():
                raise Trouble(f'{peer.name} died:\n{proxy.output()}')
        shutil.rmtree(directory, ignore_errors=True)

    @contextlib.contextmanager
    def loading(self, work: Work, port: int, seconds: float):
        """The load generator; what it has seen is in the dictionary once it is over."""
        seen = {}
        others = {'wrk': Wrk, 'h2load': H2load}
        load = others[work.load](self, work, port, seconds) if work.load in others else \
            Load(self, work, port, work.load, self.connections(work))
        with load.program as program:
            yield load, seen
            load.end()
            program.wait(PATIENCE)
            seen.update(load.seen())

    def warm(self, work: Work, port: int) -> None:
        with self.loading(work, port, WARM_UP) as (load, _):
            load.begin()
            time.sleep(WARM_UP)

    @contextlib.contextmanager
    def waiting(self, work: Work, proxy: Program, port: int):
        """The connections that only wait, and how much memory each costs."""
        if not work.idle:
            yield None
            return
        before = proxy.pss_kib()
        load = Load(self, work, port, 'idle', work.idle)
        with load.program:
            after = proxy.pss_kib()
            yield None if before is None or after is None else (after - before) * 1024 / work.idle

    def measure(self, peer: Peer, work: Work) -> Sample:
        """One sample; with wrk and h2load it holds the making of their connections, with load.c it does not."""
        wait_for_room()
        than = self.measure(peer, WORKS[work.than]).cpu_us if work.than else None
        with self.started(peer, work) as (proxy, port):
            if work.load in ('wrk', 'h2load', 'get'):
                self.warm(work, port)
            with self.waiting(work, proxy, port) as idle_bytes:
                meter = Meter(proxy)
                with self.loading(work, port, self.options.seconds) as (load, seen):
                    if not load.eager:
                        meter = Meter(proxy)
                    load.begin()
                    time.sleep(self.options.seconds)
                    used = meter.read()
                if load.eager:
                    used = meter.read()
                pss = proxy.pss_kib()
        return Sample(requests=seen['requests'], seconds=max(seen['duration_us'], 1) / 1e6,
                      cpu_us=used['cpu_ns'] / max(seen['requests'], 1) / 1e3, user_share=used['user_share'],
                      busy=used['busy'], p50_us=seen['p50_us'], p99_us=seen['p99_us'], p999_us=seen['p999_us'],
                      errors=seen['errors'] + seen['refused'], pss_kib=pss, idle_bytes=idle_bytes, than_cpu_us=than)

    def calls(self, peer: Peer, work: Work) -> dict[str, float]:
        """System calls per request by name. Tracing slows everything, so nothing is timed here."""
        with self.started(peer, work) as (proxy, port):
            self.warm(work, port)
            counts = proxy.log.with_name('strace')
            trace = ['strace', '-f', '-c', '-U', 'calls,name', '-o', str(counts)]
            trace += [word for pid in proxy.tree() for word in ('-p', str(pid))]
            with Program(trace, self.options.load_cores, proxy.log.with_name('strace.log')) as strace:
                wait_until(lambda: 'attached' in strace.output(), 'strace attaches')
                with self.loading(work, port, self.options.seconds) as (load, seen):
                    load.begin()
                    time.sleep(self.options.seconds)
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


def wait_for_room() -> None:
    """Ended connections stay in the kernel's table for two minutes; when that is full, new ones hang."""
    table = pathlib.Path('/proc/sys/net/netfilter')
    with contextlib.suppress(OSError):
        room = int((table / 'nf_conntrack_max').read_text()) * 2 // 3
        deadline = time.monotonic() + PATIENCE_FOR_ROOM
        while int((table / 'nf_conntrack_count').read_text()) > room and time.monotonic() < deadline:
            time.sleep(0.5)


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
    """Compiles the origin, the relay and the load where they are missing or older than what they are made of."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ('origin', 'relay', 'load'):
        program, sources = BUILD / name, [HERE / f'{name}.c', HERE / 'sockets.h', HERE / 'frames.h']
        if program.exists() and all(program.stat().st_mtime > source.stat().st_mtime for source in sources):
            continue
        fresh = program.with_suffix(f'.{os.getpid()}')
        subprocess.run(['cc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-o', str(fresh),
                        str(sources[0])], check=True, timeout=120)
        fresh.replace(program)


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
    parser.add_argument('--peers', help=f'of {",".join(PEERS)}; those that are there by default')
    parser.add_argument('--rounds', type=int, default=3, help='%(default)s by default')
    parser.add_argument('--seconds', type=float, default=0.4, help='of load in each; %(default)s by default')
    parser.add_argument('--connections', type=int, default=CONNECTIONS, help='of the load; %(default)s by default')
    parser.add_argument('--rate', type=float, help="of paced requests; half of the best peer's by default")
    parser.add_argument('--load-threads', type=int, default=1, help='of wrk; %(default)s by default')
    parser.add_argument('--workers', type=int, default=1, help='threads or processes of a proxy; %(default)s by default')
    parser.add_argument('--proxy-cores', default=proxy_cores, help='as taskset -c takes them; %(default)s by default')
    parser.add_argument('--load-cores', default=load_cores, help='for origin and load; %(default)s by default')
    parser.add_argument('--calls', action='store_true', help='count system calls instead, with strace')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='write everything measured there')
    options = parser.parse_args()
    options.all_cores = f'{options.proxy_cores},{options.load_cores}'
    for chosen, known in (('works', WORKS), ('peers', PEERS)):
        names = (getattr(options, chosen) or ','.join(known)).split(',')
        if unknown := [name for name in names if name not in known]:
            parser.error(f'no such {chosen[:-1]}: {", ".join(unknown)}; there are {", ".join(known)}')
        optional = chosen == 'peers' and options.peers is None
        setattr(options, chosen, present(names) if optional else [known[name] for name in names])
    if options.rounds < 1 or options.seconds <= 0:
        parser.error('at least one round, and a time above nothing')
    return options


def present(names: list[str]) -> list[Peer]:
    """The peers that are installed; the others are told, and left out."""
    for name in names:
        if not PEERS[name].path() and not PEERS[name].program.startswith('/'):
            print(f'skipped: {name} is not installed (tests/bench/run installs it where it can be had)')
    return [PEERS[name] for name in names if PEERS[name].path() or PEERS[name].program.startswith('/')]


def missing(options: argparse.Namespace) -> list[str]:
    tools = ['wrk', 'taskset', 'cc', *(['strace'] if options.calls else [])]
    tools += ['h2load'] if any(work.load == 'h2load' for work in options.works) else []
    return [tool for tool in tools if not shutil.which(tool)] + [
        peer.program for peer in options.peers if not peer.path()]


def run(bench: Bench, report: dict) -> None:
    options = bench.options
    for work in options.works:
        peers = [peer for peer in options.peers if not work.needs() & set(peer.lacks)]
        title = f'{work.name}: {work.title}'
        if without := [peer.name for peer in options.peers if peer not in peers]:
            title += f' (not for {", ".join(without)})'
        if not peers:
            print(f'\n{title}')
            continue
        if options.calls:
            counts = {peer.name: bench.calls(peer, work) for peer in peers}
            show(title, calls_table(counts))
            report['works'][work.name] = counts
            continue
        rounds = [{peer.name: bench.measure(peer, work) for peer in peers} for _ in range(options.rounds)]
        if work.name == 'small' and not options.rate:
            bench.rate = (best_rate(rounds) or 2 * RATE) / 2
        show(f'{title} ({bench.rate:.0f} req/s)' if work.paced else title, table(rounds, work.unit, work.than))
        report['works'][work.name] = [{name: dataclasses.asdict(sample) for name, sample in of.items()}
                                      for of in rounds]


def main() -> int:
    options = read_options()
    build()
    if tools := missing(options):
        print(f'missing: {", ".join(tools)}', file=sys.stderr)
        return 2
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS if most < 0 else min(most, DESCRIPTORS), most))
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
