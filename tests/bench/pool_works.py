# SPDX-License-Identifier: MIT
"""What the proxies in front of gunicorn are made to do, one function for each kind of work.

Each is given a Stage: the proxy's port, gunicorn behind it, and how much of everything there is to be; it returns what
was seen as numbers by name. COLUMNS say what of it the table shows. Another kind of work is another function and
another entry in WORKS.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import json
import math
import random
import re
import statistics
import time
from collections.abc import Awaitable, Callable

from bench import Trouble
from peers import HERE
from pool_clients import Answer, Connection, SlowClient, paced
from pool_gunicorn import Gunicorn
from processes import Program

SETTLE = 0.5  # seconds between the beginning of a load and what is done to gunicorn under it
BETWEEN = 0.001  # seconds between two requests of a burst, so that there is an order to keep
PATIENCE = 20.0  # of a client, seconds


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much of everything."""

    slow_clients: int = 200
    slow_warm_up: float = 2.0
    slow_seconds: float = 6.0
    upload: int = 64 << 10
    download: int = 256 << 10
    pace: int = 2048  # bytes a second of a slow client
    burst: int = 500
    leavers: int = 160
    scraper: int = 200
    view_ms: int = 50
    reloads: int = 3
    reload_seconds: float = 4.0
    down: float = 2.0
    down_seconds: float = 5.0  # of load around it
    kill_seconds: float = 3.0
    rate: float = 100.0  # requests a second while gunicorn restarts, one of five a POST
    wrk_seconds: float = 2.0
    wrk_connections: int = 16


QUICK = Scale(slow_clients=40, slow_warm_up=0.5, slow_seconds=1.5, burst=80, leavers=40, scraper=40, reloads=1,
              reload_seconds=2.0, down=0.5, down_seconds=2.5, kill_seconds=2.0, rate=50.0, wrk_seconds=0.5)


@dataclasses.dataclass(frozen=True)
class Stage:
    port: int
    gunicorn: Gunicorn
    slots: int
    scale: Scale
    load_cores: str


Seen = dict[str, float]


def percentile(values: list[float], share: float) -> float:
    """Nothing is better than it looks: the value at the share, rounded up to one that was seen."""
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)] if values else math.nan


async def slow(stage: Stage) -> Seen:
    """Slow clients everywhere, and an honest one that asks twenty times a second."""
    scale, dice = stage.scale, random.Random(7)
    whole = scale.upload + scale.download
    clients = []
    for _ in range(scale.slow_clients):
        passed = dice.randrange(whole)  # the longer of the two is the one that it is more likely found in
        clients.append(SlowClient(stage.port, scale.upload, scale.download, scale.pace, min(passed, scale.upload),
                                  max(passed - scale.upload, 0)))
    tasks = [asyncio.create_task(client.run()) for client in clients]
    try:
        await asyncio.sleep(scale.slow_warm_up)
        requests, held, _ = stage.gunicorn.held()
        answers = await paced(0.05, scale.slow_seconds, lambda number, due: Connection(stage.port).ask(
            '/view?ms=10', patience=scale.slow_seconds, due=due))
        after = stage.gunicorn.held()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    times = [1000 * answer.seconds for answer in answers]
    return {'p50_ms': percentile(times, 0.5), 'p99_ms': percentile(times, 0.99), 'asked': len(answers),
            'errors': sum(not answer.good for answer in answers), 'cut': sum(client.cut for client in clients),
            'held_ms': 1000 * (after[1] - held) / max(after[0] - requests, 1),
            'slow_kib': sum(client.passed for client in clients) / 1024}


async def _sent(stage: Stage, sources: list[str], leaves: Callable[[int], float]) -> list[Answer]:
    """One request from each source, in order; each client has so much patience. All are connected before."""
    connections = [Connection(stage.port, source) for source in sources]
    for connection in connections:
        await connection.open()
    await asyncio.sleep(0.1)

    async def ask(number: int, due: float) -> Answer:
        return await connections[number].ask(f'/view?ms={stage.scale.view_ms}&id={number}', patience=leaves(number))

    return await paced(BETWEEN, BETWEEN * len(connections), ask)


async def burst(stage: Stage) -> Seen:
    """Far more requests at once than there are slots."""
    count = stage.scale.burst
    answers = await _sent(stage, ['127.0.0.1'] * count, lambda _: PATIENCE)
    ideal = math.ceil(count / stage.slots) * stage.scale.view_ms / 1000
    good = [number for number in range(count) if answers[number].good]
    order = sorted(good, key=lambda number: answers[number].ended)
    away = [abs(place - number) for place, number in enumerate(order)] or [0]
    return {'errors': count - len(good), 'mean_away': statistics.mean(away), 'max_away': max(away),
            'took_s': max(answer.ended for answer in answers) - answers[0].due, 'ideal_s': ideal,
            'over_ms': 1000 * (max(answer.ended for answer in answers) - answers[0].due - ideal)}


async def leavers(stage: Stage) -> Seen:
    """Every second client gives up while it waits; the others want to hear nothing of that."""
    count = stage.scale.leavers
    gone_after = 0.2
    answers = await _sent(stage, ['127.0.0.1'] * count, lambda number: gone_after if number % 2 else PATIENCE)
    began, stayed = answers[0].due, answers[::2]
    wanted = len(stayed) + sum(answer.good for answer in answers[1::2])
    ran = len(stage.gunicorn.executed())
    return {'errors': sum(not answer.good for answer in stayed), 'for_nobody': ran - wanted,
            'took_s': max(answer.ended for answer in stayed) - began,
            'p50_ms': percentile([1000 * answer.seconds for answer in stayed], 0.5)}


async def scraper(stage: Stage) -> Seen:
    """One client asks for everything at once, ten others for one thing each, a moment later."""
    count, others = stage.scale.scraper, 10
    sources = ['127.0.0.1'] * count + [f'127.0.1.{number + 1}' for number in range(others)]
    answers = await _sent(stage, sources, lambda _: PATIENCE)
    times = [1000 * answer.seconds for answer in answers[count:]]
    return {'errors': sum(not answer.good for answer in answers), 'p50_ms': percentile(times, 0.5),
            'max_ms': max(times), 'took_s': max(answer.ended for answer in answers) - answers[0].due}


async def _reload(gunicorn: Gunicorn, scale: Scale) -> None:
    for _ in range(scale.reloads):
        gunicorn.reload()
        await asyncio.sleep(1.0)


async def _restart(gunicorn: Gunicorn, scale: Scale) -> None:
    await asyncio.to_thread(gunicorn.finish)
    await asyncio.sleep(scale.down)
    gunicorn.start()


async def _kill(gunicorn: Gunicorn, scale: Scale) -> None:
    await asyncio.to_thread(gunicorn.kill)
    gunicorn.start()


def restarting(how: Callable[[Gunicorn, Scale], Awaitable[None]], seconds: Callable[[Scale], float]):
    async def restart(stage: Stage) -> Seen:
        """A steady load, half of what gunicorn can do, while it restarts."""
        posts = {}

        async def ask(number: int, due: float) -> Answer:
            post = number % 5 == 4
            answer = await Connection(stage.port).ask(f'/view?ms=20&id={number}', 'POST' if post else 'GET',
                                                      b'x' * 256 if post else None, PATIENCE, due)
            if post:
                posts[number] = answer
            return answer

        load = asyncio.create_task(paced(1 / stage.scale.rate, seconds(stage.scale), ask))
        await asyncio.sleep(SETTLE)
        await how(stage.gunicorn, stage.scale)
        answers = await load
        await asyncio.to_thread(stage.gunicorn.wait)
        ran = stage.gunicorn.executed()
        bad = [number for number, answer in posts.items() if not answer.good]
        statuses = collections.Counter(str(answer.status) for answer in answers if not answer.good)
        return {'asked': len(answers), 'get_errors': sum(not answer.good for answer in answers) - len(bad),
                'post_errors': len(bad), 'post_errors_ran': sum(ran[str(number)] > 0 for number in bad),
                'post_twice': sum(ran[str(number)] > 1 for number in posts),
                'errors': sum(not answer.good for answer in answers),
                'pause_s': max((answer.seconds for answer in answers if answer.good), default=math.nan),
                'p50_ms': percentile([1000 * answer.seconds for answer in answers if answer.good], 0.5),
                **{f'status_{status}': count for status, count in statuses.items()}}

    return restart


async def linger(stage: Stage) -> Seen:
    """As many requests as gunicorn can take, of a view of one millisecond."""
    scale = stage.scale
    command = ['wrk', '-t', '1', '-c', str(scale.wrk_connections), '-d', str(math.ceil(scale.wrk_seconds) + 5), '-s',
               str(HERE / 'wrk.lua'), f'http://127.0.0.1:{stage.port}/view?ms=1']
    log = stage.gunicorn.directory / 'wrk.log'
    with Program(command, stage.load_cores, log) as wrk:
        await asyncio.sleep(0.3)
        requests, held, closing = stage.gunicorn.held()
        cpu, began = stage.gunicorn.program.cpu_ns(), time.monotonic()
        await asyncio.sleep(scale.wrk_seconds)
        after, passed = stage.gunicorn.held(), time.monotonic() - began
        cpu = stage.gunicorn.program.cpu_ns() - cpu
        wrk.interrupt()
        await asyncio.to_thread(wrk.wait, PATIENCE)
        found = re.search(r'^DONE (.*)$', wrk.output(), re.M)
        if not found:
            raise Trouble(f'wrk failed:\n{wrk.output()}')
    seen, done = json.loads(found.group(1)), max(after[0] - requests, 1)
    return {'rate': done / passed, 'p50_ms': seen['p50_us'] / 1000, 'p99_ms': seen['p99_us'] / 1000,
            'errors': seen['errors'] + seen['refused'], 'held_us': 1e6 * (after[1] - held) / done,
            'close_us': 1e6 * (after[2] - closing) / done, 'gunicorn_us': cpu / done / 1000, 'requests': done}


VARIANTS = ('nginx-cap', 'diplex-fair', 'diplex-open')


@dataclasses.dataclass(frozen=True)
class Column:
    title: str
    name: str  # of the number
    form: str = '.0f'
    total: bool = False  # over the rounds, not their median


@dataclasses.dataclass(frozen=True)
class Work:
    """One kind of work: `figure` is the column that diplex is compared in, `more` says whether more of it is better."""

    name: str
    part: str  # the letter that chooses it together with its like
    title: str  # with numbers of the scale
    run: Callable[[Stage], Awaitable[Seen]]
    columns: tuple[Column, ...]
    figure: str  # among those with the fewest errors
    says: str
    more: bool = False
    mss: int = 0  # of gunicorn's connections; 0: loopback's own
    also: str | None = None  # a variant of a proxy that takes part in this work alone


_ERRORS = Column('errors', 'errors', total=True)
_RESTART = (Column('GET errors', 'get_errors', total=True), Column('POST errors', 'post_errors', total=True),
            Column('of them ran', 'post_errors_ran', total=True), Column('ran twice', 'post_twice', total=True),
            Column('longest s', 'pause_s', '.2f'), Column('p50 ms', 'p50_ms'))
_RESTART_SAYS = 'what the clients notice: failed requests, and the longest that an answered one took'
WORKS = {
    work.name: work
    for work in (
        Work('slow', 'a', '{slow_clients} clients that upload 64 KiB and read 256 KiB at 2 KB/s, and an honest one', slow,
             (Column('p50 ms', 'p50_ms', '.1f'), Column('p99 ms', 'p99_ms', '.1f'), _ERRORS,
              Column('slow cut', 'cut', total=True), Column('worker held ms', 'held_ms', '.1f'),
              Column('PSS MiB', 'pss_mib', '.1f')), 'p99_ms',
             'what slow clients cost the others: a worker that one of them holds is a worker less', mss=1460),
        Work('burst', 'b', '{burst} requests at once on {slots} slots of {view_ms} ms', burst,
             (Column('all answered s', 'took_s', '.2f'), Column('over ideal ms', 'over_ms'), _ERRORS,
              Column('places away, mean', 'mean_away', '.1f'), Column('max', 'max_away')), 'took_s',
             'whether slots are kept busy, and whether who came first is served first', also='nginx-cap'),
        Work('leavers', 'b', '{leavers} requests at once, and every second client gives up after 0.2 s', leavers,
             (Column('the others s', 'took_s', '.2f'), Column('p50 ms', 'p50_ms'), _ERRORS,
              Column('ran for nobody', 'for_nobody')), 'took_s', 'whether views run for clients that have left'),
        Work('scraper', 'b', 'one client asks for {scraper} things at once, ten others for one each', scraper,
             (Column('others p50 ms', 'p50_ms'), Column('others max ms', 'max_ms'), _ERRORS,
              Column('all s', 'took_s', '.2f')), 'max_ms', 'whether one client can have all the slots for itself',
             also='diplex-fair'),
        Work('reload', 'c', 'kill -HUP, {reloads} times, under {rate:.0f} requests a second',
             restarting(_reload, lambda s: s.reload_seconds), _RESTART, 'pause_s', _RESTART_SAYS),
        Work('restart', 'c', 'stopped, down for {down:g} s, started, under {rate:.0f} requests a second',
             restarting(_restart, lambda s: s.down_seconds), _RESTART, 'pause_s', _RESTART_SAYS),
        Work('kill', 'c', 'kill -9 of master and workers, started at once, under {rate:.0f} requests a second',
             restarting(_kill, lambda s: s.kill_seconds), _RESTART, 'pause_s', _RESTART_SAYS),
        Work('linger', 'd', 'GET of a view of 1 ms, as many as {slots} sync workers take', linger,
             (Column('req/s', 'rate'), Column('p50 ms', 'p50_ms', '.2f'), Column('p99 ms', 'p99_ms', '.2f'),
              Column('worker held us', 'held_us'), Column('closing us', 'close_us'),
              Column('gunicorn CPU us', 'gunicorn_us'), Column('proxy CPU us', 'proxy_us'), _ERRORS), 'rate',
             'how soon a worker is free again: it waits in its close until the proxy has closed too', more=True,
             also='diplex-open'),
    )
}
