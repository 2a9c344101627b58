# SPDX-License-Identifier: MIT
"""Mixed traffic at full speed through both workers of diplex for minutes, while everything behind it is reloaded and
restarted; every byte is known beforehand. Ends with a table, and with status 1 when anything was not as it must be.

What is real: gunicorn with sync and with gthread workers, two uvicorn (httptools and h11), Django and django-modern-rest.
Beside them a fast server and fast clients in C (`origin.c`, `flood.c`) load both workers of diplex fully.

Memory is called flat when the median of the last third of the time is above that of the second third by no more than
`watch.GROWTH_KB` (`GROWTH_KB_SHORT` for runs below five minutes); the first third is for warming up. Sanitizers have memory of their own: with them it is only reported.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE / 'behind'), str(ROOT / 'tests' / 'e2e'), str(HERE)]


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='diplex under mixed load, reloads and restarts; every byte is checked.')
    parser.add_argument('--seconds', type=int, default=600, help='of traffic (%(default)s)')
    parser.add_argument('--seed', type=int, default=None, help='of everything that is random; printed, by chance if not given')
    parser.add_argument('--program', type=pathlib.Path, help='the diplex to put to the test, else DIPLEX_BIN')
    parser.add_argument('--flood', type=int, default=32, help='connections of the fast clients (%(default)s)')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='write the report there as well')
    options = parser.parse_args()
    if options.seconds < 20 or not 1 <= options.flood <= 1024:
        parser.error('at least 20 seconds, and 1 to 1024 connections')
    if options.program:
        os.environ['DIPLEX_BIN'] = str(options.program.resolve())
    options.seed = random.SystemRandom().getrandbits(31) if options.seed is None else options.seed
    return options


if __name__ == '__main__':
    OPTIONS = read_options()  # before the harness looks where the program is

import harness  # noqa: E402
from clients import EXCUSES, KINDS, Visit  # noqa: E402
from conversation import Connection, Expected  # noqa: E402
from watch import GROWTH_KB, GROWTH_KB_SHORT, LONG_SECONDS, AccessLog, Sample, Watch, ask_admin, grown, share_kb, status, thread_seconds, unrest  # noqa: E402

PATIENCE = 240.0 if harness.sanitized() else 120.0  # for one visit, however busy the machine
WIND_DOWN = PATIENCE + 30  # for the visits that run when the time is over
CALM = 30.0  # until the last connections to servers are closed
NICE = 3  # of everything in Python, so that diplex and the fast clients get as much as they can use
RELOAD_EVERY = (2.0, 4.0)
RESTART_EVERY = (2.0, 6.0)
UPGRADE_EVERY = 4  # every fourth reload is an upgrade, in the first half of the time: memory is looked at in the rest
LEAVING_MOST = 3  # data processes, else there is a reload instead: there is room for seven
FAULTS_KEPT = 40


class Diplex(harness.Diplex):
    """Its access log is read as it is written: minutes at full speed are gigabytes."""

    def spawn(self) -> None:
        with self.stderr_path.open('ab') as err:
            self.process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
                cwd=self.directory, env=self.environment, start_new_session=True,
            )  # fmt: skip
        self.log = AccessLog(self.process.stdout)

    @property
    def stdout(self) -> str:
        return ''


def compile_c() -> pathlib.Path:
    build = ROOT / 'build' / 'soak'
    build.mkdir(parents=True, exist_ok=True)
    for name in ('origin', 'flood'):
        fresh = build / f'{name}.{os.getpid()}'
        subprocess.run(['cc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-o', str(fresh), str(HERE / f'{name}.c')],
                       check=True, timeout=120)
        fresh.replace(build / name)
    return build


def queued(n: int, slots: tuple[int, ...]) -> dict:
    """Slots and a queue, where the n-th configuration has any."""
    count = slots[n % len(slots)]
    queue = {'max': 5000, 'wait': '100s', 'fair_by': ('none', 'client_ip')[n % 2]}
    return {'slots': count, 'queue': queue} if count else {}


class World:
    """Everything that runs, and everything that is counted."""

    def __init__(self, options: argparse.Namespace, directory: pathlib.Path) -> None:
        self.options, self.directory = options, directory
        self.rng = random.Random(f'{options.seed} world')
        self.stopping = False
        self.tally = collections.defaultdict(collections.Counter)
        self.allowed: collections.Counter = collections.Counter()
        self.faults: list[str] = []
        self.faults_in_all = 0
        self.told_to_come_later = 0
        self.restarts: collections.Counter = collections.Counter()
        self.reloads = self.upgrades = 0
        self.asking = asyncio.Lock()  # an upgrade ends connections to admin
        self.windows: dict[str, list[list[float]]] = collections.defaultdict(list)
        self.most_waiting = collections.Counter()
        self.make_servers()
        self.admin = directory / 'admin.sock'
        self.diplex = Diplex(self.place('diplex'), self.config(0))
        self.port = self.diplex.port

    def place(self, name: str) -> pathlib.Path:
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path

    def make_servers(self) -> None:
        patient = ('--graceful-timeout', '60', '--timeout', '300', '--log-level', 'warning')
        self.sync = harness.Gunicorn(self.place('sync'), 'sync', 3, extra=patient)
        self.threads = harness.Gunicorn(self.place('threads'), 'gthread', 2, 4, unix=True, extra=patient)
        for server in (self.sync, self.threads):
            server.arguments[server.arguments.index('demo.wsgi')] = 'soak_wsgi'
        self.uvicorns = [
            harness.Uvicorn(self.place('a'), 'httptools', extra=('--log-level', 'warning')),
            harness.Uvicorn(self.place('b'), 'h11', unix=True, extra=('--log-level', 'warning')),
        ]
        for server in self.uvicorns:
            server.arguments[server.arguments.index('demo.asgi:application')] = 'soak_asgi:application'
        self.servers = [self.sync, self.threads, *self.uvicorns]
        for server in self.servers:
            server.arguments[:0] = ['nice', '-n', str(NICE)]
            server.environment['PYTHONPATH'] = f'{harness.PROJECT}:{HERE / "behind"}'
        self.origin = f'127.0.0.1:{harness.free_port()}'

    # ---- configuration ----

    def config(self, n: int) -> dict:
        """The n-th: pools that stay with settings that change, and one pool and some routes that come and go."""
        patient = {'hold': {'wait': '90s'}, 'retry': 5, 'timeouts': {'response': '100s', 'connect': '10s'}}
        health = {'interval': '1s', 'timeout': '20s', 'retries': 2}
        a, b = (server.address for server in self.uvicorns)
        asgi = ([a, b], [{'address': a, 'weight': 3}, b], [b, a], [a])[n % 4]
        extra = {'kind': ('wsgi', 'asgi')[n % 2], 'servers': [(self.threads.address, a)[n % 2]], **patient}
        return {
            'workers': 2,
            'admin': str(self.admin),
            # The flood's connections are to last: it counts those that an upgrade ends.
            'limits': {'body': ('100MB', '90MB')[n % 2], 'connection_requests': 0},
            'pools': {
                'sync': {'kind': 'wsgi', 'servers': [self.sync.address], **patient, **queued(n, (3, 2, 0)),
                         'health': {'path': '/healthz/', **health}},
                'threads': {'kind': 'wsgi', 'servers': [self.threads.address], **patient, **queued(n, (8, 0))},
                'async': {'kind': 'asgi', 'servers': asgi, **patient, 'health': {'path': '/async/healthz/', **health},
                          'balance': ('round_robin', 'least_conn', 'random')[n % 3]},
                'narrow': {'kind': 'wsgi', 'servers': [self.threads.address], **patient, 'slots': 1,
                           'queue': {'max': 2, 'wait': '2s'}},
                'swift': {'kind': 'asgi', 'servers': [self.origin], 'hold': '30s'},
                f'extra-{n}': extra,
            },
            'routes': {
                '/api/': 'sync', '/healthz/': 'sync', '/sync/': 'sync', '/threads/': 'threads', '/narrow/': 'narrow',
                '/async/': 'async', '/swift/': 'swift', f'/extra-{n}/': f'extra-{n}',
                **{f'/comes-and-goes/{i}-{n}/': 'sync' for i in range(n % 40)},
            },
        }  # fmt: skip

    def probed_are_up(self) -> bool:
        pools = [pool for pool in status(self.admin)['pools'] if pool['name'] in ('sync', 'async')]
        return all(server['state'] == 'up' for pool in pools for server in pool['servers'])

    # ---- what is counted ----

    def restarted(self, pool: str, since: float) -> bool:
        return any(end >= since for _, end in self.windows[pool])

    def fault(self, what: str) -> None:
        self.faults_in_all += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(what)
            print(f'FAULT at {time.monotonic() - self.began:.1f} s: {what}', flush=True)

    @contextlib.contextmanager
    def window(self, pool: str):
        """While servers of this pool are restarted: until then, requests under way may be hit."""
        window = [time.monotonic(), float('inf')]
        self.windows[pool].append(window)
        try:
            yield
        finally:
            window[1] = time.monotonic()

    def judge(self, visit: Visit, error: BaseException) -> None:
        for name in visit.excuses:
            if EXCUSES[name].covers(error) and self.restarted(EXCUSES[name].pool, visit.began):
                self.allowed[name] += 1
                return
        self.fault(f'{visit.kind}, {visit.doing}: {type(error).__name__} {error}, '
                   f'{time.monotonic() - visit.began:.2f} s after its beginning')

    # ---- what runs ----

    async def visits(self, kind, number: int) -> None:
        rng = random.Random(f'{self.options.seed} {kind.__name__} {number}')
        while not self.stopping:
            visit = Visit(self, kind.__name__, rng)
            try:
                async with asyncio.timeout(PATIENCE):
                    await kind(visit)
            except Exception as error:  # whatever a client may see
                self.judge(visit, error)
                await asyncio.sleep(0.01)
            finally:
                if visit.connection is not None:
                    visit.connection.writer.transport.abort()

    async def pause(self, bounds: tuple[float, float]) -> None:
        until = time.monotonic() + self.rng.uniform(*bounds)
        while time.monotonic() < until and not self.stopping:
            await asyncio.sleep(0.1)

    async def restart(self, server) -> None:
        await asyncio.to_thread(server.stop, 90)
        await asyncio.to_thread(server.start_and_wait, server.endpoint, 90)

    async def hang_up(self, server) -> None:
        """gunicorn replaces its workers, and is given time to be done."""
        server.signal(signal.SIGHUP)
        await asyncio.sleep(2)

    async def restarting(self) -> None:
        a, b = self.uvicorns
        actions = [
            ('gunicorn sync, HUP', 'sync', lambda: self.hang_up(self.sync)),
            ('gunicorn sync, restart', 'sync', lambda: self.restart(self.sync)),
            ('gunicorn gthread, HUP', 'threads', lambda: self.hang_up(self.threads)),
            ('gunicorn gthread, restart', 'threads', lambda: self.restart(self.threads)),
            ('uvicorn httptools, restart', 'async', lambda: self.restart(a)),
            ('uvicorn h11, restart', 'async', lambda: self.restart(b)),
            ('both uvicorn, restart', 'async', lambda: asyncio.gather(self.restart(a), self.restart(b))),
        ]
        while not self.stopping:
            for name, pool, action in self.rng.sample(actions, len(actions)):
                await self.pause(RESTART_EVERY)
                if self.stopping:
                    return
                with self.window(pool):
                    await action()
                self.restarts[name] += 1

    async def extra_route(self, n: int) -> int:
        """The status of a route that generation n alone has; its bytes are checked too."""
        async with asyncio.timeout(PATIENCE):
            connection = await Connection.open(self.port)
            seed = f'{n}'
            await connection.send(connection.request('GET', f'/extra-{n}/soak/get/{seed}/1000', {'Connection': 'close'}))
            answer = await connection.answer(Expected(seed, 1000))
            await connection.close()
            return answer.status

    async def reload(self, n: int) -> bool:
        async with self.asking:
            code, said = await asyncio.to_thread(ask_admin, self.admin, 'POST', '/reload')
        if code != 200:
            self.fault(f'reload {n}: {code} {said[:300]!r}')
            return False
        self.reloads += 1
        return True

    async def may_upgrade(self, n: int) -> bool:
        if n % UPGRADE_EVERY or time.monotonic() - self.began > self.options.seconds / 2:
            return False
        async with self.asking:
            return len((await asyncio.to_thread(status, self.admin))['leaving']) <= LEAVING_MOST

    async def upgrade(self, n: int, watch: Watch) -> bool:
        """The same program again, with the file as it is now; by the log, since who asks on the socket may be cut off."""
        async with self.asking:
            self.diplex.signal(signal.SIGUSR2)
            until = time.monotonic() + PATIENCE
            while self.diplex.stderr.count(' upgraded ') == self.upgrades:
                if time.monotonic() > until or ' upgrade_failed ' in self.diplex.stderr:
                    self.fault(f'upgrade {n} failed, or did not end')
                    return False
                await asyncio.sleep(0.1)
            self.upgrades += 1
            watch.upgrade((await asyncio.to_thread(status, self.admin))['data_pid'])
        return True

    async def reloading(self, watch: Watch) -> None:
        n = 0
        while True:
            await self.pause(RELOAD_EVERY)
            if self.stopping:
                return
            n += 1
            self.diplex.write_config(self.config(n))
            if not await (self.upgrade(n, watch) if await self.may_upgrade(n) else self.reload(n)):
                continue
            since = time.monotonic()
            try:
                found = await self.extra_route(n), await self.extra_route(n - 1)
                if found == (500, 404) and self.restarted(EXCUSES['given_up'].pool, since):
                    self.allowed['given_up'] += 1
                elif found != (200, 404):
                    self.fault(f'after reload {n} its own route was answered {found[0]}, the last one\'s {found[1]}')
            except Exception as error:  # as any client
                self.fault(f'the route of reload {n}: {type(error).__name__} {error}')

    async def looking(self) -> None:
        """The status is asked for all the time too; the most that ever waited goes into the report."""
        while not self.stopping:
            async with self.asking:
                seen = await asyncio.to_thread(status, self.admin)
            for pool in seen['pools']:
                for key in ('queued', 'held'):
                    self.most_waiting[key] = max(self.most_waiting[key], pool[key])
            await asyncio.sleep(0.5)

    async def start_flood(self, build: pathlib.Path):
        return await asyncio.create_subprocess_exec(
            str(build / 'flood'), f'127.0.0.1:{self.port}', '/swift', str(self.options.flood), str(self.options.seconds),
            str(self.options.seed), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    async def flooding(self, process) -> dict:
        try:
            out, err = await asyncio.wait_for(process.communicate(), self.options.seconds + WIND_DOWN)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        for line in err.decode(errors='replace').splitlines():
            self.fault(line)
        if process.returncode and not err:
            self.fault(f'flood ended with {process.returncode}')
        return json.loads(out) if out else {}

    async def traffic(self, build: pathlib.Path, watch: Watch) -> dict:
        """All of it for the time that was asked for, and until the last client has left."""
        self.began = time.monotonic()
        flood = asyncio.create_task(self.flooding(await self.start_flood(build)))
        os.nice(NICE)  # this thread alone: not what was started before, nor the reader of the log
        watching = asyncio.create_task(watch.run())
        clients = [asyncio.create_task(self.visits(kind, n)) for kind, count in KINDS.items() for n in range(count)]
        others = [asyncio.create_task(work) for work in (self.restarting(), self.reloading(watch), self.looking())]
        try:
            await asyncio.sleep(self.options.seconds)
            watching.cancel()
            self.stopping = True
            done, late = await asyncio.wait([*clients, *others, flood], timeout=WIND_DOWN)
            for task in late:
                self.fault(f'a client never ended: {task.get_coro()}')
            for task in done:
                if task.exception():
                    self.fault(f'the soak itself: {task.exception()!r}')
            return flood.result() if flood in done and not flood.exception() else {}
        finally:
            for task in (watching, flood, *clients, *others):
                task.cancel()
            await asyncio.gather(watching, flood, *clients, *others, return_exceptions=True)


# ---- the verdict ----


def wait_for_calm(world: World) -> dict[str, int]:
    """Until nothing runs, waits or is open any more; what is left after that is a leak."""
    until = time.monotonic() + CALM
    while (left := unrest(status(world.admin))) and time.monotonic() < until:
        time.sleep(0.3)
    return left


def descriptors_in_the_end(watch: Watch, first: Sample) -> tuple[Sample, dict]:
    """A probe of a server's health may be under way: so it is looked more than once."""
    for _ in range(50):
        end = watch.look()
        more = {name: grown(first.descriptors[name], now) for name, now in end.descriptors.items()}
        if not any(more.values()):
            break
        time.sleep(0.2)
    return end, more


def flatness(watch: Watch, seconds: int) -> list[str]:
    found = []
    lived = min(seconds, time.monotonic() - watch.upgraded)
    for name, allowed in (GROWTH_KB if lived >= LONG_SECONDS else GROWTH_KB_SHORT).items():
        _, warm, end = watch.thirds(name)
        if end - warm > allowed:
            found.append(f'the memory of {name} grew from {warm:.0f} to {end:.0f} KB, by more than {allowed}')
    return found


def log_faults(world: World) -> list[str]:
    lines = world.diplex.stderr.splitlines()
    bad = [line for line in lines if harness.DISASTER.search(line) or harness.DEATH_OF_DATA.search(line)]
    bad += [line for line in lines if ' error ' in line and ' pool_down ' not in line and line not in bad]
    return [f'in the log: {line}' for line in bad[:20]]


def conclude(world: World, watch: Watch, first: Sample, flood: dict) -> dict:
    """Everything that is looked at after the last client has left; ends diplex."""
    faults = list(world.faults)
    if left := wait_for_calm(world):
        faults.append(f'still there {CALM:.0f} s after the last client: {left}')
    seen_at_end = status(world.admin)
    end, more = descriptors_in_the_end(watch, first)
    faults += [f'{name} has more descriptors than before: {what}' for name, what in more.items() if what]
    if not harness.sanitized():
        faults += flatness(watch, world.options.seconds)
    if seen_at_end['data_starts'] != 1 + world.upgrades:
        faults.append(f'data was started {seen_at_end["data_starts"]} times, with {world.upgrades} upgrades')
    if world.diplex.children() != [watch.pids['data']]:
        faults.append(f'children of control are {world.diplex.children()}, the newest data process is {watch.pids["data"]}')
    seconds = thread_seconds(watch.pids['data'])
    share = {name: share_kb(pid) for name, pid in watch.pids.items()}
    code = world.diplex.stop(60)
    world.diplex.log.join(20)
    if code != 0:
        faults.append(f'diplex ended with {code}')
    faults += log_faults(world)
    log, counters = world.diplex.log, seen_at_end['counters']
    faults += [f'in the access log: {line}' for line in log.odd]
    if log.lines + counters['log_lines_dropped_total'] != counters['requests_total']:
        faults.append(f'{counters["requests_total"]} requests ended, but {log.lines} are in the access log and '
                      f'{counters["log_lines_dropped_total"]} were dropped')
    return {
        'program': str(harness.DIPLEX), 'sanitized': harness.sanitized(), 'seed': world.options.seed,
        'seconds': world.options.seconds,
        'requests': {kind: dict(row) for kind, row in sorted(world.tally.items())}, 'flood': flood,
        'requests_in_all': counters['requests_total'], 'connections_in_all': counters['client_connections_total'],
        'bytes_in': counters['client_received_bytes_total'], 'bytes_out': counters['client_sent_bytes_total'],
        'retries': counters['retries_total'], 'outcomes': dict(log.outcomes.most_common()),
        'log_lines_dropped': counters['log_lines_dropped_total'],
        'told_to_come_later': world.told_to_come_later, 'allowed': dict(world.allowed),
        'reloads': world.reloads, 'upgrades': world.upgrades, 'restarts': dict(world.restarts), 'most_waiting': dict(world.most_waiting),
        'memory_kb': {name: {'start': first.anonymous_kb[name], 'thirds': watch.thirds(name),
                             'end': end.anonymous_kb[name], 'share_at_end': share[name],
                             'course': watch.course(name)} for name in watch.pids},
        'descriptors': {name: {'start': first.descriptors[name].total(), 'most': watch.most_descriptors(name),
                               'end': end.descriptors[name].total(), 'pipes_kept': end.descriptors[name]['pipe']}
                        for name in watch.pids},
        'data_thread_seconds': seconds,
        'faults_in_all': world.faults_in_all + len(faults) - len(world.faults), 'faults': faults,
    }  # fmt: skip


def show(report: dict) -> None:
    print(f'\n{"requests":<28}{"number":>12}{"MB up":>10}{"MB down":>10}')
    rows = [(kind, row['requests'], row['up'], row['down']) for kind, row in report['requests'].items()]
    if flood := report['flood']:
        rows.append(('flood', flood['gets'] + flood['posts'], flood['bytes_up'], flood['bytes_down']))
    for kind, count, up, down in rows:
        print(f'  {kind:<26}{count:>12}{up / 1e6:>10.1f}{down / 1e6:>10.1f}')
    print(f'  {"in all, as diplex counts":<26}{report["requests_in_all"]:>12}{report["bytes_in"] / 1e6:>10.1f}'
          f'{report["bytes_out"] / 1e6:>10.1f}   on {report["connections_in_all"]} connections, '
          f'{report["requests_in_all"] / report["seconds"]:.0f} a second')
    print('outcomes: ' + ', '.join(f'{word} {count}' for word, count in report['outcomes'].items()))
    print(f'told to come later by the narrow pool: {report["told_to_come_later"]}; tried again: {report["retries"]}; '
          f'most at a time queued {report["most_waiting"].get("queued", 0)}, held {report["most_waiting"].get("held", 0)}')
    print('allowed, while a server of the pool was restarted:')
    for name, excuse in EXCUSES.items():
        print(f'  {name:<20}{report["allowed"].get(name, 0):>6}   {excuse.sentence}')
    if flood:
        print(f'connections of the flood that an upgrade ended: {flood["told_last"]}; asked behind their last answer: '
              f'{flood["unanswered"]}')
    print(f'reloads {report["reloads"]}, upgrades {report["upgrades"]}; restarts: ' + ', '.join(f'{k} {v}' for k, v in sorted(report['restarts'].items())))
    print(f'{"memory of its own, KB":<28}{"start":>10}{"1st third":>10}{"2nd":>10}{"3rd":>10}{"calm":>10}')
    for name, row in report['memory_kb'].items():
        print(f'  {name:<26}{row["start"]:>10}' + ''.join(f'{x:>10.0f}' for x in row['thirds']) + f'{row["end"]:>10}')
    for name, row in report['descriptors'].items():
        print(f'descriptors of {name}: {row["start"]} at the start, {row["most"]} at most, {row["end"]} in the end, '
              f'{row["pipes_kept"]} of them ends of pipes')
    busy = sorted(report['data_thread_seconds'].items(), key=lambda item: -item[1])[:4]
    print('processor seconds of data: ' + ', '.join(f'{name.split()[0]} {seconds:.0f}' for name, seconds in busy))
    for line in report['faults']:
        print(f'FAULT {line}')
    print(f'{report["faults_in_all"]} faults; seed {report["seed"]}')


def run(options: argparse.Namespace, directory: pathlib.Path) -> dict:
    build = compile_c()
    world = World(options, directory)
    origin = None
    try:
        life = options.seconds + int(WIND_DOWN) + 300
        with (directory / 'origin.err').open('wb') as err:
            origin = subprocess.Popen([str(build / 'origin'), world.origin, str(life)], stderr=err)
        for server in world.servers:
            server.start_and_wait(server.endpoint, 90)
        world.diplex.start()
        harness.wait_until(lambda: world.probed_are_up(), 60)
        watch = Watch({'control': world.diplex.pid, 'data': world.diplex.children()[0]})
        first = watch.look()
        flood = asyncio.run(world.traffic(build, watch))
        report = conclude(world, watch, first, flood)
        if said := (directory / 'origin.err').read_text():
            report['faults'].append(f'the origin: {said[:500]}')
            report['faults_in_all'] += 1
        return report
    finally:
        for program in (world.diplex, *world.servers):
            program.end_group()
        if origin is not None:
            origin.kill()
            origin.wait()


def main() -> int:
    options = OPTIONS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not harness.DIPLEX.exists():
        print(f'no {harness.DIPLEX}: tests/soak/run makes it, --program names another', file=sys.stderr)
        return 1
    print(f'{harness.DIPLEX}, {options.seconds} s, seed {options.seed}', flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix='diplex-soak-'))
    directory.chmod(0o755)  # a diplex started by root carries requests as somebody else
    report = None
    try:
        report = run(options, directory)
    finally:
        if report is None or report['faults']:
            print(f'logs are kept in {directory}', file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    return 1 if report['faults'] else 0


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())
