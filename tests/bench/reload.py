#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures how long a reload of many routes keeps a worker from its clients.

A light, steady load runs through diplex while its file is changed and reloaded again and again; then the same load for
as long without a reload. Each worker notes its longest turn of the loop on the board, from the moment it has something
to do until it waits again, counted from when a reload reaches the data process: what is printed is read from there.
docs/performance.md says how to read it.

A turn is long too when the scheduler gives the worker's core to somebody else in the middle of it. So the table also
has the processor time that taking over a configuration cost a worker: what reloading itself does to it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import socket
import statistics
import sys
import tempfile
import time

from bench import PATIENCE, Trouble, build, cores, machine, wait_until
from peers import BUILD, OURS, PEERS
from processes import Program, free_port

GAP = 0.15  # seconds from the end of a reload until the board is read and the next one begins
WARM_UP = 1.0
# What is read of `diplex status`; the second only grows.
LONGEST, LONG, TAKEOVER = 'worker_turn_longest_us', 'worker_turns_over_1ms_total', 'worker_takeover_cpu_us'
LOAD_LIFE = 110.0  # load.c ends by itself a little later


class Admin(http.client.HTTPConnection):
    """One conversation with the admin socket."""

    def __init__(self, path: pathlib.Path):
        super().__init__('localhost', timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(path: pathlib.Path, method: str, target: str) -> bytes:
    with contextlib.closing(Admin(path)) as admin:
        admin.request(method, target)
        answer = admin.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise Trouble(f'{method} {target}: {answer.status} {body.decode()}')
        return body


class Site:
    """diplex's file and admin socket. Two files take turns that have no route but / in common."""

    def __init__(self, options: argparse.Namespace, directory: pathlib.Path, server: str):
        self.port = free_port()
        self.file = directory / 'diplex.yaml'
        self.admin = directory / 'admin.sock'
        self.texts = [self._text(options, server, word) for word in ('shop', 'site')]
        self.turn = 0
        self.write()

    def _text(self, options: argparse.Namespace, server: str, word: str) -> str:
        pools = [f'  pool-{number}: {{kind: {("asgi", "wsgi")[number % 2]}, servers: "{server}", health: off}}\n'
                 for number in range(options.pools)]
        routes = [f'  /{word}-{number:05}/: pool-{number % options.pools}\n' for number in range(options.routes - 1)]
        return (f'listen: 127.0.0.1:{self.port}\nadmin: {self.admin}\nworkers: {options.workers}\nlog: off\n'
                f'shutdown_timeout: 1s\nlimits: {{connection_requests: 0}}\npools:\n{"".join(pools)}routes:\n{"".join(routes)}  /: pool-0\n')

    def write(self) -> None:
        self.file.write_text(self.texts[self.turn])
        self.turn = 1 - self.turn

    def reload(self) -> float:
        """In seconds, from asking until every worker has it."""
        self.write()
        began = time.monotonic()
        ask(self.admin, 'POST', '/reload')
        return time.monotonic() - began

    def counters(self) -> dict[str, int]:
        return json.loads(ask(self.admin, 'GET', '/status'))['counters']


@contextlib.contextmanager
def loading(options: argparse.Namespace, site: Site, directory: pathlib.Path):
    """The load while the block runs; what it has seen is in the dictionary afterwards."""
    seen = {}
    log = directory / 'load.log'
    command = [str(BUILD / 'load'), 'get', f'127.0.0.1:{site.port}', '/', str(options.connections), str(options.rate)]
    with Program(command, options.load_cores, log) as load:
        wait_until(lambda: 'READY' in load.output() or not load.running(), 'the clients are connected')
        load.begin()
        yield seen
        load.interrupt()
        load.wait(PATIENCE)
        line = next((line for line in load.output().splitlines() if line.startswith('DONE ')), None)
        if line is None:
            raise Trouble(f'the load failed:\n{load.output()}')
        seen.update(json.loads(line[5:]))


def measure_reloads(options: argparse.Namespace, site: Site, directory: pathlib.Path) -> dict:
    site.reload()
    long_before = site.counters()[LONG]
    after, took = [], []
    began = time.monotonic()
    with loading(options, site, directory) as seen:
        while len(took) < options.reloads and time.monotonic() - began < LOAD_LIFE:
            took.append(site.reload())
            time.sleep(GAP)
            after.append(site.counters())
        passed = time.monotonic() - began
    return {**seen, 'seconds': passed, 'longest_us': [counters[LONGEST] for counters in after],
            'takeover_us': [counters[TAKEOVER] for counters in after], 'long_turns': after[-1][LONG] - long_before,
            'reload_ms': [1000 * seconds for seconds in took]}


def measure_without(options: argparse.Namespace, site: Site, directory: pathlib.Path, seconds: float) -> dict:
    site.reload()
    time.sleep(GAP)
    long_before = site.counters()[LONG]
    with loading(options, site, directory) as seen:
        time.sleep(seconds)
    after = site.counters()
    return {**seen, 'seconds': seconds, 'longest_us': [after[LONGEST]], 'long_turns': after[LONG] - long_before}


def show(options: argparse.Namespace, report: dict) -> None:
    print(f'{options.reloads} reloads of {options.routes} routes and {options.pools} pools; {options.workers} workers, '
          f'{options.rate:.0f} req/s on {options.connections} connections')
    print(f'  {"":<10} {"req/s":>6} {"p50 us":>7} {"p99 us":>7} {"p99.9 us":>9} {"max us":>7} {"errors":>7}'
          f' {"turns > 1 ms":>13} {"longest turn us":>16}')
    for name in ('without', 'reloading'):
        row = report[name]
        print(f'  {name:<10} {row["requests"] / row["seconds"]:>6.0f} {row["p50_us"]:>7} {row["p99_us"]:>7}'
              f' {row["p999_us"]:>9} {row["max_us"]:>7} {row["errors"]:>7} {row["long_turns"]:>13}'
              f' {max(row["longest_us"]):>16}')
    print(f'  {"of a reload":<38} {"median":>7} {"worst":>7}')
    for title, key, form in (('longest turn of a worker, us', 'longest_us', '.0f'),
                             ('processor time of a worker for it, us', 'takeover_us', '.0f'),
                             ('until all workers have it, ms', 'reload_ms', '.1f')):
        values = report['reloading'][key]
        print(f'  {title:<38} {statistics.median(values):>7{form}} {max(values):>7{form}}')


def read_options() -> argparse.Namespace:
    everywhere = ','.join(cores())
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--reloads', type=int, default=50, help='%(default)s by default')
    parser.add_argument('--routes', type=int, default=10000, help='%(default)s by default')
    parser.add_argument('--pools', type=int, default=20, help='%(default)s by default')
    parser.add_argument('--workers', type=int, default=2, help='%(default)s by default')
    parser.add_argument('--connections', type=int, default=16, help='of the load; %(default)s by default')
    parser.add_argument('--rate', type=float, default=1000.0, help='requests a second; %(default)s by default')
    parser.add_argument('--proxy-cores', default=everywhere, help='as taskset -c takes them; %(default)s by default')
    parser.add_argument('--load-cores', default=everywhere, help='for origin and load; %(default)s by default')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='write everything measured there')
    options = parser.parse_args()
    if min(options.reloads, options.routes, options.pools, options.workers, options.connections, options.rate) < 1:
        parser.error('at least one of everything')
    return options


def measure(options: argparse.Namespace, directory: pathlib.Path) -> dict:
    directory.chmod(0o755)  # a proxy started by root carries requests as somebody else
    server = f'127.0.0.1:{free_port()}'
    with Program([str(BUILD / 'origin'), server], options.load_cores, directory / 'origin.log'):
        site = Site(options, directory, server)
        command = [str(PEERS[OURS].path()), 'run', '-c', str(site.file)]
        with Program(command, options.proxy_cores, directory / 'output') as proxy:
            wait_until(lambda: site.admin.exists() or not proxy.running(), 'diplex has started')
            if not proxy.running():
                raise Trouble(f'diplex did not start:\n{proxy.output()}')
            wait_until(lambda: json.loads(ask(site.admin, 'GET', '/status'))['ready'], 'diplex is ready')
            with loading(options, site, directory):
                time.sleep(WARM_UP)
            reloading = measure_reloads(options, site, directory)
            without = measure_without(options, site, directory, reloading['seconds'])
            return {'reloading': reloading, 'without': without}


def main() -> int:
    options = read_options()
    if not PEERS[OURS].path():
        print(f'no {PEERS[OURS].program}: scripts/build makes it, DIPLEX_BIN names another', file=sys.stderr)
        return 1
    build()
    where = machine()
    print(f'{where["processor"]}, {where["cores"]} cores, Linux {where["kernel"]}, {where["date"]}, '
          f'load average {where["load_average"]:.2f}')
    with tempfile.TemporaryDirectory(prefix='diplex-reload-') as name:
        try:
            report = measure(options, pathlib.Path(name))
        except Trouble as trouble:
            print(f'reload.py: {trouble}', file=sys.stderr)
            return 1
    show(options, report)
    if options.json:
        options.json.write_text(json.dumps({'machine': where, **report}, indent=1))
    return 0


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())
