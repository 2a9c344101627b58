#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures what a proxy does for the sync workers of a real gunicorn: diplex beside nginx and HAProxy.

Every kind of work is done by the proxies in turn, A B C A B C, over the rounds, each time by a fresh proxy in front of
a fresh gunicorn. docs/performance.md says how to read the tables. `tests/bench/pools` installs what this needs and
starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import resource
import shutil
import statistics
import sys
import tempfile

from bench import DESCRIPTORS, Meter, Trouble, machine, wait_for_answer, wait_for_room
from peers import OURS, PEERS, Peer, Site
from pool_gunicorn import Gunicorn
from pool_works import QUICK, VARIANTS, WORKS, Scale, Seen, Stage, Work
from processes import Program, free_port
from tables import show

PROXIES = {
    OURS: dataclasses.replace(PEERS[OURS], configs=('pools/diplex.yaml',)),
    'diplex-fair': dataclasses.replace(PEERS[OURS], name='diplex-fair', configs=('pools/diplex.yaml',)),
    'diplex-open': dataclasses.replace(PEERS[OURS], name='diplex-open', configs=('pools/diplex.yaml',)),
    'nginx': dataclasses.replace(PEERS['nginx'], configs=('pools/nginx.conf',)),
    'nginx-cap': dataclasses.replace(PEERS['nginx'], name='nginx-cap', configs=('pools/nginx.conf',)),
    'haproxy': dataclasses.replace(PEERS['haproxy'], configs=('pools/haproxy.cfg',)),
}
CAPPED = ('diplex', 'diplex-fair', 'nginx-cap')
Rounds = list[dict[str, Seen]]


@dataclasses.dataclass(frozen=True)
class PoolSite(Site):
    slots: int = 0
    capped: bool = False
    fair: bool = False

    def words(self) -> dict[str, str]:
        return {**super().words(), 'SLOTS': str(self.slots), 'CAPPED': self._only(self.capped),
                'LIMIT': f'max_conns={self.slots}' if self.capped else '', 'FAIR': self._only(self.fair)}


class Pools:
    def __init__(self, options: argparse.Namespace, directory: pathlib.Path):
        self.options, self.directory = options, directory
        self.directory.chmod(0o755)  # a proxy started by root carries requests as somebody else
        self.starts = 0

    def measure(self, peer: Peer, work: Work) -> Seen:
        """One turn of one proxy."""
        wait_for_room()
        options = self.options
        self.starts += 1
        directory = self.directory / f'{self.starts}-{peer.name}'
        directory.mkdir()
        directory.chmod(0o777)
        with Gunicorn(directory, options.slots, options.gunicorn_cores, work.mss) as gunicorn:
            site = PoolSite(directory, free_port(), gunicorn.address, options.workers, slots=options.slots,
                            capped=peer.name in CAPPED, fair=peer.name == 'diplex-fair')
            peer.prepare(site)
            with Program(peer.command(site), options.proxy_cores, directory / 'output') as proxy:
                wait_for_answer(proxy, peer, site.port, '/view')
                meter, before = Meter(proxy), gunicorn.held()[0]
                stage = Stage(site.port, gunicorn, options.slots, options.scale, options.load_cores)
                seen = asyncio.run(asyncio.wait_for(work.run(stage), 90))
                used, after = meter.read(), gunicorn.held()[0]
                seen['proxy_us'] = used['cpu_ns'] / max(after - before, 1) / 1000
                seen['pss_mib'] = (proxy.pss_kib() or math.nan) / 1024
                if not proxy.running():
                    raise Trouble(f'{peer.name} died:\n{proxy.output()}')
        shutil.rmtree(directory, ignore_errors=True)
        return seen


def middle(rounds: Rounds, peer: str, name: str) -> float:
    return statistics.median(of[peer][name] for of in rounds)


def errors(rounds: Rounds, peer: str) -> int:
    return sum(of[peer]['errors'] for of in rounds)


def table(work: Work, rounds: Rounds) -> list[list[str]]:
    """A row for each proxy: medians over the rounds, and of what went wrong the sum."""
    rows = [['', *(column.title for column in work.columns)]]
    for peer in rounds[0]:
        values = [sum(of[peer][column.name] for of in rounds) if column.total else middle(rounds, peer, column.name)
                  for column in work.columns]
        rows.append([peer, *(format(value, column.form) for value, column in zip(values, work.columns))])
    return rows


def verdict(work: Work, rounds: Rounds) -> str:
    """diplex, and its variant if there is one, beside the best of the others: one of those with the fewest errors."""
    others = [peer for peer in rounds[0] if not peer.startswith(OURS)]
    sign = -1 if work.more else 1
    best = min(others, default=None,
               key=lambda peer: (errors(rounds, peer), sign * middle(rounds, peer, work.figure)))
    title = next(column.title for column in work.columns if column.name == work.figure)
    lines = []
    for ours in rounds[0] if others else ():
        if ours not in others:
            ratio = statistics.median(of[ours][work.figure] / (of[best][work.figure] or math.nan) for of in rounds)
            lines.append(f'  {ours} : {best} = {ratio:.2f} in {title} (ahead is {"above" if work.more else "below"} 1),'
                         f' errors {errors(rounds, ours)} : {errors(rounds, best)}')
    return '\n'.join([*lines, f'  shows {work.says}'])


def cores() -> str:
    return ','.join(map(str, sorted(os.sched_getaffinity(0))))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parts = sorted({work.part for work in WORKS.values()})
    parser.add_argument('--works', default=','.join(parts),
                        help=f'of {",".join(parts)}, which stand for several, and {",".join(WORKS)}; all by default')
    parser.add_argument('--peers', help=f'of {",".join(PROXIES)}; those that are installed by default')
    parser.add_argument('--rounds', type=int, default=2, help='%(default)s by default')
    parser.add_argument('--quick', action='store_true', help='little of everything: whether it works, not how fast')
    parser.add_argument('--slots', type=int, default=4, help="gunicorn's sync workers; %(default)s by default")
    parser.add_argument('--workers', type=int, default=2, help='threads or processes of a proxy; %(default)s by default')
    for name, whose in (('proxy', 'the proxies'), ('gunicorn', 'gunicorn'), ('load', 'wrk')):
        parser.add_argument(f'--{name}-cores', default=cores(), help=f'of {whose}, as taskset -c takes them; all')
    parser.add_argument('--down', type=float, default=Scale.down, help='seconds of `restart`; %(default)s by default')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='write everything measured there')
    options = parser.parse_args()
    wanted = options.works.split(',')
    if unknown := [name for name in wanted if name not in WORKS and name not in parts]:
        parser.error(f'no such work: {", ".join(unknown)}; there are {", ".join([*parts, *WORKS])}')
    options.works = [work for work in WORKS.values() if work.name in wanted or work.part in wanted]
    names = (options.peers or ','.join(PROXIES)).split(',')
    if unknown := [name for name in names if name not in PROXIES]:
        parser.error(f'no such peer: {", ".join(unknown)}; there are {", ".join(PROXIES)}')
    if OURS in names and not PROXIES[OURS].path():
        parser.error(f'no {PROXIES[OURS].program}: scripts/build makes it, DIPLEX_BIN names another')
    if absent := [name for name in names if not PROXIES[name].path()]:
        print(f'skipped: {", ".join(absent)} not installed (tests/bench/pools installs it where it can be had)')
    options.peers = [PROXIES[name] for name in names if name not in absent]
    if options.rounds < 1 or not 1 <= options.slots <= 64 or options.down < 0 or not options.peers:
        parser.error('at least one round, one peer and one slot')
    options.scale = dataclasses.replace(
        QUICK if options.quick else Scale(), **({} if options.quick else {
            'down': options.down, 'down_seconds': Scale.down_seconds + options.down - Scale.down}))
    return options


def run(pools: Pools, report: dict) -> None:
    for work in pools.options.works:
        peers = [peer for peer in pools.options.peers if peer.name == work.also or peer.name not in VARIANTS]
        if not peers:
            continue
        rounds = [{peer.name: pools.measure(peer, work) for peer in peers} for _ in range(pools.options.rounds)]
        report['works'][work.name] = rounds
        title = work.title.format(slots=pools.options.slots, **dataclasses.asdict(pools.options.scale))
        show(f'{work.name}: {title}', table(work, rounds))
        print(verdict(work, rounds), flush=True)


def main() -> int:
    options = read_options()
    absent = [tool for tool in ('taskset', 'wrk') if not shutil.which(tool)]
    if absent or not importlib.util.find_spec('gunicorn'):
        print(f'missing: {", ".join(absent or ["gunicorn"])}', file=sys.stderr)
        return 2
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS if most < 0 else min(most, DESCRIPTORS), most))
    import gunicorn
    report = {'machine': machine(), 'gunicorn': gunicorn.__version__, 'python': sys.version.split()[0],
              'peers': {peer.name: peer.describe() for peer in options.peers if peer.name not in VARIANTS},
              'options': {'rounds': options.rounds, 'slots': options.slots, 'workers': options.workers,
                          'scale': dataclasses.asdict(options.scale)}, 'works': {}}
    print(', '.join(f'{key} {value}' for key, value in report['machine'].items()))
    print('; '.join([*report['peers'].values(), f'gunicorn {gunicorn.__version__}']), flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix='diplex-pools-') as directory:
            run(Pools(options, pathlib.Path(directory)), report)
    except (Trouble, TimeoutError) as trouble:
        print(f'error: {trouble or "a work did not end"}', file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
