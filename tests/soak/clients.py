# SPDX-License-Identifier: MIT
"""The clients of the soak: one coroutine for each kind, called again and again. Each knows every byte it must get, and says
beforehand (`visit.excuses`) by which restart of which server its request may be hit, and how that may look."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
import time
import typing

from conversation import Connection, Cut, Expected, WebSocket, Wrong
from crooked import CROOKED
from soak_bytes import Pattern, digest

PREFIXES = {'sync': '/sync', 'threads': '/threads', 'async': '/async'}


class Status(Exception):
    """An answer with another status than the one that is right."""

    def __init__(self, status: int, body: bytes = b'') -> None:
        super().__init__(f'status {status} {body[:120]!r}')
        self.status = status


@dataclasses.dataclass(frozen=True)
class Excuse:
    """An error that a restart of `pool`'s servers explains, and only while one of them is under way."""

    pool: str
    sentence: str
    statuses: frozenset[int] = frozenset()
    cut_before: bool = False
    cut_within: bool = False

    def covers(self, error: Exception) -> bool:
        if isinstance(error, Cut):
            return self.cut_within if error.began else self.cut_before
        return isinstance(error, Status) and error.status in self.statuses


EXCUSES = {
    'upload_lost': Excuse('async', 'An upload was under way to a uvicorn that ended: 502, or its own 500.',
                          frozenset({500, 502})),
    'given_up': Excuse('async', 'A uvicorn gave up a request when its time to end was over: its own 500.', frozenset({500})),
    'answer_cut': Excuse('async', 'A uvicorn ended in the middle of a download: cut, never made to look whole.',
                         cut_within=True),
    'events_cut': Excuse('async', 'A uvicorn ended under an event stream: cut.', cut_within=True),
    'websocket_ended': Excuse('async', 'A uvicorn ended under a WebSocket.', cut_within=True),
}


class Visit:
    """What one call of a client does: what is counted of it, and what may happen to it."""

    def __init__(self, world, kind: str, rng: random.Random) -> None:
        self.world, self.kind, self.rng = world, kind, rng
        self.began = time.monotonic()
        self.excuses: tuple[str, ...] = ()
        self.doing = ''
        self.connection: Connection | None = None

    async def connect(self, receive_buffer: int = 0) -> Connection:
        self.connection = await Connection.open(self.world.port, receive_buffer)
        return self.connection

    def count(self, requests: int = 1, up: int = 0, down: int = 0) -> None:
        row = self.world.tally[self.kind]
        row['requests'] += requests
        row['up'] += up
        row['down'] += down

    def seed(self) -> str:
        return f'{self.rng.getrandbits(64):016x}'

    def size(self, least: int, most: int) -> int:
        """As many small ones as large ones, whatever the unit."""
        return int(math.exp(self.rng.uniform(math.log(least), math.log(most))))

    def pool(self) -> str:
        return self.rng.choices(('sync', 'threads', 'async'), (2, 2, 3))[0]


def check(answer, number: str) -> None:
    if answer.status != 200:
        raise Status(answer.status, answer.body)
    if answer.fields.get('x-soak-id') != number:
        raise Wrong(f'the answer of another request: {answer.fields.get("x-soak-id")!r}, not {number!r}')


async def get(visit: Visit, connection: Connection, pool: str, size: int, more: dict | None = None, *,
              version: str = '1.1', method: str = 'GET', length: bool = True) -> None:
    seed, number = visit.seed(), visit.seed()
    visit.doing = f'{method} of {size} bytes from {pool}'
    visit.excuses = ('answer_cut', 'given_up') if pool == 'async' else ()
    target = f'{PREFIXES[pool]}/soak/get/{seed}/{size}{"" if length else "?length=0"}'
    await connection.send(connection.request(method, target, {'X-Soak-Id': number, **(more or {})}, version))
    answer = await connection.answer(Expected(seed, size), method)
    check(answer, number)
    visit.count(down=answer.size)


# ---- small ones ----


async def ask_demo(visit: Visit, connection: Connection) -> None:
    """The application itself: what Django and django-modern-rest answer."""
    half = visit.rng.choice(('/api', '/async'))
    if visit.rng.random() < 0.6:
        visit.doing, visit.excuses = f'GET {half}/hello/', ('given_up',) if half == '/async' else ()
        await connection.send(connection.request('GET', f'{half}/hello/'))
    else:
        visit.doing, visit.excuses = f'POST {half}/items/', ('upload_lost',) if half == '/async' else ()
        body = json.dumps({'name': visit.seed(), 'price': 7}).encode()
        fields = {'Content-Type': 'application/json', 'Content-Length': str(len(body))}
        await connection.send(connection.request('POST', f'{half}/items/', fields) + body)
    answer = await connection.answer()
    if answer.status not in (200, 201):
        raise Status(answer.status, answer.body)
    told = json.loads(answer.body)
    if 'message' in told:
        right = told['message'].startswith('hello from the ' + ('sync' if half == '/api' else 'async'))
    else:
        right = told['name'] == json.loads(body)['name'] and told['price'] == 7
    if not right:
        raise Wrong(f'{visit.doing} was answered with {answer.body!r}')
    visit.count(down=len(answer.body))


async def small(visit: Visit) -> None:
    """Many requests on one connection."""
    connection = await visit.connect()
    for _ in range(visit.rng.randint(2, 60)):
        if not connection.usable or visit.world.stopping:
            break
        which = visit.rng.random()
        if which < 0.3:
            await ask_demo(visit, connection)
        elif which < 0.4:
            await get(visit, connection, visit.pool(), visit.rng.randrange(3000), method='HEAD')
        elif which < 0.5:
            await upload_once(visit, connection, visit.pool(), visit.rng.randrange(1, 3000))
        else:
            await get(visit, connection, visit.pool(), visit.rng.randrange(4000))
    await connection.close()


async def small_new(visit: Visit) -> None:
    """One request, one connection."""
    connection = await visit.connect()
    await get(visit, connection, visit.pool(), visit.rng.randrange(4000), {'Connection': 'close'})
    if await connection.until_close():
        raise Wrong('bytes behind the last answer')
    await connection.close()


async def pipeline(visit: Visit) -> None:
    """Up to sixteen requests at once; the answers come in their order. One may say that it is the last, and is it."""
    connection = await visit.connect()
    asked = [(visit.pool(), visit.seed(), visit.rng.randrange(3000)) for _ in range(visit.rng.randint(2, 16))]
    visit.doing = f'{len(asked)} requests at once'
    visit.excuses = ('answer_cut', 'given_up') if any(pool == 'async' for pool, _, _ in asked) else ()
    await connection.send(b''.join(
        connection.request('GET', f'{PREFIXES[pool]}/soak/get/{seed}/{size}', {'X-Soak-Id': seed})
        for pool, seed, size in asked))
    for _, seed, size in asked:
        check(await connection.answer(Expected(seed, size)), seed)
        visit.count(down=size)
        if not connection.usable:
            if await connection.until_close():
                raise Wrong('bytes behind the answer that was the last')
            break
    await connection.close()


async def http10(visit: Visit) -> None:
    """Answers end with the connection, whether they have a length or not."""
    connection = await visit.connect()
    await get(visit, connection, visit.pool(), visit.size(1, 200_000), version='1.0', length=visit.rng.random() < 0.5)
    if await connection.until_close():
        raise Wrong('bytes behind the only answer')
    await connection.close()


async def narrow(visit: Visit) -> None:
    """A pool with one slot and a short queue: served, or told to come later."""
    connection = await visit.connect()
    visit.doing, number = 'GET of the narrow pool', visit.seed()
    size = visit.rng.randrange(2000)
    await connection.send(connection.request('GET', f'/narrow/soak/get/{number}/{size}', {'X-Soak-Id': number}))
    answer = await connection.answer(Expected(number, size))
    if answer.status == 503 and 'retry-after' in answer.fields:
        visit.world.told_to_come_later += 1
    else:
        check(answer, number)
    visit.count(down=answer.size)
    await connection.close()


async def crooked(visit: Visit) -> None:
    """What breaks the rules is refused, once, and the connection ends. In front of it there may be a right one."""
    raw, statuses = visit.rng.choice(CROOKED)
    connection = await visit.connect()
    if visit.rng.random() < 0.3:
        await get(visit, connection, visit.pool(), visit.rng.randrange(2000))
        if not connection.usable:
            await connection.close()
            connection = await visit.connect()
    visit.doing, visit.excuses = f'{raw[:60]!r}', ()
    if visit.rng.random() < 0.5:
        cut = visit.rng.randrange(len(raw))
        await connection.send(raw[:cut])
        await asyncio.sleep(visit.rng.random() * 0.05)
        await connection.send(raw[cut:])
    else:
        await connection.send(raw)
    answer = await connection.answer()
    if answer.status not in statuses:
        raise Status(answer.status, answer.body)
    connection.writer.write_eof()
    if await connection.until_close():
        raise Wrong('bytes behind a refusal')
    visit.count(down=answer.size)
    await connection.close()


# ---- bodies ----


def chunked(visit: Visit, seed: str, size: int) -> typing.Iterator[bytes]:
    """A body in chunks of all sizes, some with an extension, some with a trailer behind the last."""
    pattern, at = Pattern(seed, size), 0
    while at < size:
        n = min(visit.size(1, 60_000), size - at)
        extension = b';a=b' if n > 1000 and visit.rng.random() < 0.1 else b''
        yield b'%x%s\r\n%s\r\n' % (n, extension, pattern.at(at, n))
        at += n
    yield b'0\r\nX-Soak-Trailer: 1\r\n\r\n' if visit.rng.random() < 0.2 else b'0\r\n\r\n'


async def upload_once(visit: Visit, connection: Connection, pool: str, size: int, pause: float = 0.0) -> None:
    seed, number = visit.seed(), visit.seed()
    with_length = visit.rng.random() < 0.5
    method = visit.rng.choice(('POST', 'PUT', 'PATCH'))
    visit.doing = f'{method} of {size} bytes to {pool}, {"counted" if with_length else "chunked"}'
    visit.excuses = ('upload_lost',) if pool == 'async' else ()
    fields = {'X-Soak-Id': number, **({'Content-Length': str(size)} if with_length else {'Transfer-Encoding': 'chunked'})}
    await connection.send(connection.request(method, f'{PREFIXES[pool]}/soak/put', fields))
    pieces = Pattern(seed, size).pieces(size, 20_000 if pause else 65_536) if with_length else chunked(visit, seed, size)
    answering = asyncio.create_task(connection.answer())  # it may come before the end of the upload
    try:
        for n, piece in enumerate(pieces):
            if answering.done() or not connection.usable:
                connection.usable = False
                break
            await connection.send(piece)
            if pause or n % 20 == 0:
                await asyncio.sleep(pause)
        answer = await answering
    finally:
        answering.cancel()
    check(answer, number)
    told = json.loads(answer.body)
    if told != {'size': size, 'sha256': digest(seed, size)}:
        raise Wrong(f'{size} bytes of seed {seed} were sent, {told} came to the server')
    visit.count(up=size, down=answer.size)


async def upload(visit: Visit) -> None:
    connection = await visit.connect()
    for _ in range(visit.rng.randint(1, 3)):
        if connection.usable:
            await upload_once(visit, connection, visit.pool(), visit.size(1, 4_000_000))
    await connection.close()


async def slow_upload(visit: Visit) -> None:
    connection = await visit.connect()
    await upload_once(visit, connection, visit.pool(), visit.size(100_000, 1_000_000), pause=0.08)
    await connection.close()


async def download(visit: Visit) -> None:
    connection = await visit.connect()
    await get(visit, connection, visit.pool(), visit.size(1_000, 10_000_000), length=visit.rng.random() < 0.7)
    await connection.close()


async def slow_reader(visit: Visit) -> None:
    """Some seconds for some megabytes: what wsgi servers say is taken from them meanwhile."""
    connection = await visit.connect(receive_buffer=131_072)  # much less than a segment of loopback stalls by itself
    connection.piece, connection.pause = 16_384, 0.02
    await get(visit, connection, visit.pool(), visit.size(500_000, 4_000_000), length=visit.rng.random() < 0.7)
    await connection.close()


# ---- streams ----


async def events(visit: Visit) -> None:
    """Server-sent events of django-modern-rest: each in its order, none missing, until the end or until one leaves."""
    connection = await visit.connect()
    count, interval = visit.rng.randint(1, 60), visit.rng.choice((1, 10, 50, 150))
    leave = visit.rng.randrange(count) if visit.rng.random() < 0.4 else None
    visit.doing, visit.excuses = f'{count} events', ('events_cut', 'given_up')
    await connection.send(connection.request('GET', f'/async/events/?count={count}&interval={interval}',
                                             {'Accept': 'text/event-stream'}))
    answer = await connection.head()
    if answer.status != 200:
        raise Status(answer.status)
    numbers, rest = [], bytearray()

    def take(piece: bytes) -> None:
        rest.extend(piece)
        while (end := rest.find(b'\n')) >= 0:
            line = bytes(rest[:end]).strip()
            del rest[: end + 1]
            if line.startswith(b'data:'):
                numbers.append(json.loads(line[5:])['number'])
                if leave is not None and len(numbers) > leave:
                    raise EOFError

    try:
        await connection.body(answer, take)
    except EOFError:
        pass
    visit.count(down=answer.size)
    if numbers != list(range(len(numbers))) or len(numbers) != (count if leave is None else leave + 1):
        raise Wrong(f'of {count} events came {numbers}')
    if leave is None:
        await connection.close()
    else:
        connection.reset() if visit.rng.random() < 0.5 else await connection.close()


async def websocket(visit: Visit) -> None:
    """Messages of all sizes come back as they were, by digest; then a goodbye, or none."""
    connection = await visit.connect()
    visit.doing, visit.excuses = 'a WebSocket', ('websocket_ended', 'given_up')
    socket = WebSocket(connection, visit.rng)
    if (status := await socket.begin('/async/ws/echo')) != 101:
        raise Status(status)
    rounds, pause = visit.rng.randint(1, 80), visit.rng.choice((0, 0, 0.01, 0.1))
    for _ in range(rounds):
        text, size = visit.rng.random() < 0.3, visit.size(1, 200_000)
        payload = visit.rng.randbytes(size // 2).hex().encode() if text else visit.rng.randbytes(size)
        await socket.send(socket.TEXT if text else socket.BINARY, payload)
        kind, echo = await socket.receive()
        if kind == socket.CLOSE:
            raise Cut(True, f'a close frame {echo[:2].hex()}')
        if echo != payload or kind != (socket.TEXT if text else socket.BINARY):
            raise Wrong(f'a message of {len(payload)} bytes came back as one of {len(echo)}')
        visit.count(requests=0, up=len(payload), down=len(echo))
        await asyncio.sleep(pause)
    if socket.sent.digest() != socket.got.digest():
        raise Wrong('the digests of both directions differ')
    visit.count()
    if visit.rng.random() < 0.3:
        connection.reset()
        return
    await socket.send(socket.CLOSE, b'\x03\xe8')
    kind, _ = await socket.receive()
    if kind != socket.CLOSE:
        raise Wrong('no goodbye')
    await connection.close()


# ---- those that leave ----


async def leave(visit: Visit) -> None:
    """Gone at a random place: in the head, in the body, before the answer or in the middle of it; by FIN or RST."""
    rng, pool = visit.rng, visit.pool()
    connection = await visit.connect()
    visit.doing = f'leaving {pool}'
    seed, size = visit.seed(), visit.size(1, 1_000_000)
    if rng.random() < 0.5:
        whole = connection.request('GET', f'{PREFIXES[pool]}/soak/get/{seed}/{size}')
    else:
        length = {'Content-Length': str(size)}
        whole = connection.request(rng.choice(('POST', 'PUT')), f'{PREFIXES[pool]}/soak/put', length)
        whole += b''.join(Pattern(seed, size).pieces(size))
    sends = len(whole) if rng.random() < 0.6 else rng.randrange(len(whole))
    await connection.send(whole[:sends])
    if rng.random() < 0.5:
        await asyncio.sleep(rng.random() * 0.1)
    if sends == len(whole) and whole.startswith(b'GET') and rng.random() < 0.6:
        await take_some(connection, Expected(seed, size), rng.randrange(size))
    visit.count(up=sends)
    if rng.random() < 0.5:
        connection.reset()
    else:
        await connection.close()


async def take_some(connection: Connection, expected: Expected, most: int) -> None:
    """A part of an answer, which is right as far as it goes; one that a restart has hit is of no interest here."""

    def take(piece: bytes) -> None:
        expected.take(piece)
        if expected.seen >= most:
            raise EOFError

    try:
        answer = await connection.head()
        if answer.status == 200:
            await connection.body(answer, take)
    except (Cut, EOFError):
        pass


KINDS = {  # how many of each there are at a time
    small: 10, small_new: 6, pipeline: 3, http10: 3, narrow: 6, crooked: 3, upload: 5, slow_upload: 4, download: 5,
    slow_reader: 8, events: 8, websocket: 8, leave: 8,
}  # fmt: skip
