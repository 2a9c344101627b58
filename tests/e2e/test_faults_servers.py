# SPDX-License-Identifier: MIT
"""Servers that break at every byte: closed, reset or silent in the middle of an answer or of reading a request, too
early, twice, with more than they announced, and idle connections that end just as the next request comes.

In each case a client gets one clear answer or one clear end, never a wrong byte, and nothing is left behind.
"""

import collections
import hashlib
import itertools
import random
import re
import socket
import threading
import time

import pytest
from footprint import chosen, converse, inject, read
from harness import one_pool, sanitized
from test_streams import handshake

TEXT = b'abcdefghijklmnopqrstuvwxyz'
TRAILERS = [(b'x-checksum', b'71c480df')]
ANSWERS = {  # the head or heads, and the rest
    'length': (b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\nX-More: yes\r\n\r\n', TEXT),
    'chunked': (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
        b'5\r\nabcde\r\n10\r\nfghijklmnopqrstu\r\n5;a=b\r\nvwxyz\r\n0\r\n\r\n',
    ),
    'trailers': (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n',
        b'1a\r\n' + TEXT + b'\r\n0\r\nX-Checksum: 71c480df\r\n\r\n',
    ),
    'close': (b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n', TEXT),
    'old': (b'HTTP/1.0 200 OK\r\nX-Old: yes\r\n\r\n', TEXT),
    'early': (
        b'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n',
        TEXT,
    ),
    'empty': (b'HTTP/1.1 204 No Content\r\nX-More: yes\r\n\r\n', b''),
}
ENDS_WITH_CONNECTION = ('close', 'old')
KINDS = ['wsgi', 'asgi']


def positions(name):
    return range(sum(map(len, ANSWERS[name])) + 1)


def cut(connection):
    """/name/position/way: so much of that answer, and then that end."""
    while request := connection.read_head():
        _, name, position, way = request.target.split('/')
        connection.send(b''.join(ANSWERS[name])[: int(position)])
        if way == 'reset':
            return connection.reset()
        if way == 'silence':
            connection.wait_for_close()
        return None


def get(target, version='1.1', more=''):
    return f'GET {target} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n'.encode()


def body_of(name, position):
    """What of the body was in the first bytes of the answer."""
    head, rest = ANSWERS[name]
    rest = rest[: max(0, position - len(head))]
    if name not in ('chunked', 'trailers'):
        return rest
    found = b''
    while match := re.match(rb'([0-9a-f]+)(?:;[^\r]*)?\r\n', rest):
        size, rest = int(match[1], 16), rest[match.end() :]
        found, rest = found + rest[:size], rest[size + 2 :]
    return found


def judge(name, position, way, seen, heard):
    """One clear answer or one clear end, and no byte that the server did not say."""
    head, rest = ANSWERS[name]
    case = (name, position, way, seen, heard)
    whole = position == len(head) + len(rest)
    if name in ENDS_WITH_CONNECTION:
        whole = position >= len(head) and way == 'closed'
    assert heard.end != 'time', case
    assert not seen.surplus, case
    if whole:
        expected = 204 if name == 'empty' else 200
        assert (seen.whole, seen.status, seen.body) == (True, expected, body_of(name, position)), case
        assert seen.trailers == (TRAILERS if name == 'trailers' and b'chunked' in heard.raw else []), case
        return 'whole'
    if seen.whole:
        assert position <= len(head) and seen.status == (504 if way == 'silence' else 502), case
        assert TEXT[:5] not in seen.body.partition(b'request id')[0], case  # an id may have any letters up to f
        return 'refused'
    assert position >= len(head) and seen.status == 200, case
    assert body_of(name, position).startswith(seen.body), case
    return 'broken'


@pytest.mark.parametrize('unix', [False, True])
@pytest.mark.parametrize('kind', KINDS)
def test_an_answer_that_breaks_off_at_every_byte(steady, scripted, kind, unix):
    server = scripted(cut, unix=unix)
    site = steady(one_pool(kind, server, pool={'eject': 'off'}))
    cases = [
        (name, position, way, version)
        for name in ANSWERS
        for position in chosen(positions(name))
        for way, version in itertools.product(['closed', 'reset'], ['1.1', '1.0'])
        if not (unix and way == 'reset') and (version == '1.1' or position % 4 == 0)
    ]
    inject(len(cases))
    requests = [get(f'/{name}/{position}/{way}', version) for name, position, way, version in cases]
    results = collections.Counter()
    for (name, position, way, _), heard in zip(cases, converse(site.endpoint, requests, at_once=50), strict=True):
        results[judge(name, position, way, read(heard), heard)] += 1
    assert all(results[what] for what in ('whole', 'refused', 'broken')), results
    logged = collections.Counter(entry['outcome'] for entry in site.wait_access(len(cases)))
    assert logged == {
        'ok': results['whole'],
        'answer_cut': results['broken'],
        'bad_answer': logged['bad_answer'],
        'server_closed': results['refused'] - logged['bad_answer'],
    }


@pytest.mark.parametrize('kind', KINDS)
def test_an_answer_that_stops_at_every_byte(steady, scripted, kind):
    """Silence: over when its time is, and not earlier for what came."""
    spoke = {}  # when the server did, since a busy machine may let it come too late

    def script(connection):
        send = connection.send

        def note(data):
            send(data)
            spoke[connection.requests[-1].target] = time.monotonic()

        connection.send = note
        cut(connection)

    site = steady(one_pool(kind, scripted(script), pool={'timeouts': {'response': '1200ms', 'idle': '1200ms'}, 'eject': 'off'}))
    places = {name: positions(name)[KINDS.index(kind) :: 2] for name in ANSWERS}  # the kinds share the work
    cases = [(name, position) for name in ANSWERS for position in chosen(places[name], 14)]
    inject(len(cases))
    results = collections.Counter()
    requests = [get(f'/{name}/{position}/silence') for name, position in cases]
    said = converse(site.endpoint, requests)
    for (name, position), heard in zip(cases, said, strict=True):
        seen = read(heard)
        if seen.status == 504 and heard.ended < spoke.get(f'/{name}/{position}/silence', heard.ended) + 0.6:
            continue
        results[judge(name, position, 'silence', seen, heard)] += 1
        assert heard.seconds < (10 if sanitized() else 5)
    assert all(results[what] for what in ('whole', 'refused', 'broken')), results


@pytest.mark.parametrize('way', ['closed', 'reset'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_large_answer_that_breaks_off(steady, scripted, kind, way):
    """Through pipes, and for HTTP/1.0 clients and chunked answers through blocks."""
    size = 600_000
    noise = random.Random(5).randbytes(size)

    def script(connection):
        while request := connection.read_head():
            _, framing, position = request.target.split('/')
            head = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % size
            if framing == 'chunked':
                head = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n' % size
            connection.send(head + noise[: int(position)])
            return connection.reset() if way == 'reset' else None

    site = steady(one_pool(kind, scripted(script), pool={'eject': 'off'}))
    places = sorted({1, 4096, 16384, 65536, 262144, 262145, 300_000, 524_288, size - 1})
    cases = list(itertools.product(['length', 'chunked'], places, ['1.1', '1.0']))
    inject(len(cases))
    said = converse(site.endpoint, [get(f'/{framing}/{position}', version) for framing, position, version in cases])
    for (framing, position, version), heard in zip(cases, said, strict=True):
        seen = read(heard)
        case = (framing, position, version, heard.end, len(seen.body), seen.status)
        assert not seen.whole and heard.end != 'time', case
        assert noise[:position].startswith(seen.body), case
    assert {entry['outcome'] for entry in site.wait_access(len(cases))} == {'answer_cut'}


# ---- while it reads the request ------------------------------------------------------------------------------------


class Breaking:
    """Two servers that are one: whichever is asked first reads so many bytes of a request and breaks off, and the next
    one answers with a digest. /number/position/way says which; `done` counts the requests that were carried out, by number.
    """

    def __init__(self) -> None:
        self.seen, self.done = set(), collections.Counter()
        self._lock = threading.Lock()

    def __call__(self, connection) -> None:
        start = b''
        while b'\r\n' not in start:
            start = connection.socket.recv(65536, socket.MSG_PEEK)
            if not start:
                return
        _, number, position, way = start.split(b' ')[1].decode().split('/')
        with self._lock:
            first = number not in self.seen
            self.seen.add(number)
        if first:
            self.break_off(connection, int(position), way)
            return
        request = connection.read_head()
        if request is None:
            return
        if request.get('expect'):
            connection.send(b'HTTP/1.1 100 Continue\r\n\r\n')
        connection._unread, rest = b'', connection._unread
        body = self.body(connection, request, rest)
        if body is None:
            return
        with self._lock:
            self.done[number] += 1
        connection.reply(hashlib.sha256(body).hexdigest().encode(), headers='Connection: close\r\n')

    @staticmethod
    def body(connection, request, rest) -> bytes | None:
        """The body, or None when it did not come whole."""
        if request.get('transfer-encoding'):
            while b'0\r\n\r\n' not in rest and (piece := connection.recv()):
                rest += piece
            return b''.join(re.findall(rb'[0-9a-f]+\r\n(.*?)\r\n', rest)) if rest.endswith(b'0\r\n\r\n') else None
        wanted = int(request.get('content-length') or 0)
        while len(rest) < wanted and (piece := connection.recv()):
            rest += piece
        return rest if len(rest) == wanted else None

    @staticmethod
    def break_off(connection, position, way) -> None:
        got = b''
        connection.socket.settimeout(0.5)
        while len(got) < position:
            try:
                piece = connection.socket.recv(position - len(got))
            except (TimeoutError, ConnectionResetError):
                break
            if not piece:
                break
            got += piece
            if got.endswith(b'\r\n\r\n') and b'100-continue' in got:
                connection.send(b'HTTP/1.1 100 Continue\r\n\r\n')
        if way == 'reset':
            connection.reset()
        elif way == 'half':
            connection.socket.shutdown(socket.SHUT_WR)
            connection.wait_for_close()


@pytest.mark.parametrize(
    ('kind', 'method', 'framing', 'way', 'pool'),
    [
        ('wsgi', 'GET', None, 'reset', {}),
        ('wsgi', 'POST', 'length', 'reset', {}),
        ('wsgi', 'POST', 'chunked', 'half', {'retry': {'ask_first': 'no'}}),
        ('wsgi', 'PUT', 'length', 'closed', {}),
        ('asgi', 'GET', None, 'half', {}),
        ('asgi', 'POST', 'chunked', 'reset', {}),
        ('asgi', 'PUT', 'length', 'closed', {}),
    ],
)
def test_a_request_that_breaks_off_at_every_byte(steady, scripted, kind, method, framing, way, pool):
    server = Breaking()
    site = steady(one_pool(kind, scripted(server), scripted(server), pool={'eject': 'off', **pool}))
    body = TEXT if framing else b''
    cases = [(number, position) for number, position in enumerate(chosen(range(0, 420), 14))]
    inject(len(cases))

    def request(number, position):
        lines = [f'{method} /{number}/{position}/{way} HTTP/1.1', 'Host: localhost', 'Connection: close']
        if framing == 'length':
            return '\r\n'.join([*lines, f'Content-Length: {len(body)}', '', '']).encode() + body
        if framing == 'chunked':
            lines.append('Transfer-Encoding: chunked')
            return '\r\n'.join([*lines, '', '']).encode() + b'a\r\nabcdefghij\r\n10\r\nklmnopqrstuvwxyz\r\n0\r\n\r\n'
        return '\r\n'.join([*lines, '', '']).encode()

    said = converse(site.endpoint, [request(*case) for case in cases], at_once=60)
    statuses = collections.Counter()
    for (number, position), heard in zip(cases, said, strict=True):
        seen = read(heard, method)
        case = (number, position, heard)
        assert heard.end == 'closed' and seen.whole, case
        statuses[seen.status] += 1
        if seen.status == 200:
            assert seen.body == hashlib.sha256(body).hexdigest().encode(), case
        else:
            assert seen.status == 502 and method == 'POST', case
        assert server.done[str(number)] == (seen.status == 200), 'carried out once, and told so'
    assert statuses[200] or (method == 'POST' and (kind == 'asgi' or pool)), statuses
    site.wait_access(len(cases))


# ---- an answer before the request is whole -------------------------------------------------------------------------

EARLY = {
    '413': b'HTTP/1.1 413 Content Too Large\r\nContent-Length: 26\r\n\r\n' + TEXT,
    '200': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n' + TEXT + b'\r\n0\r\n\r\n',
}


def closing(answer):
    return answer.replace(b'\r\n', b'\r\nConnection: close\r\n', 1)


@pytest.mark.parametrize('then', ['reads', 'waits', 'closes', 'resets'])
@pytest.mark.parametrize('kind', KINDS)
def test_an_answer_at_every_byte_of_a_request(steady, scripted, kind, then):
    """After so many bytes of the body, which the client sends after that or not at all; then another request on the
    same connection, if it is still one. A reset may destroy an answer that was not read yet; then it is a 502.
    """
    size = 26

    def script(connection):
        while request := connection.read_head():
            if request.target == '/next':
                connection.reply(b'the next one')
                continue
            _, status, position = request.target.split('/')
            connection._unread, got = b'', connection._unread
            while len(got) < int(position) and (piece := connection.recv()):
                got += piece
            connection.send(EARLY[status] if then == 'reads' else closing(EARLY[status]))
            if then == 'reads':
                while len(got) < size and (piece := connection.recv()):
                    got += piece
                if len(got) < size:
                    return None
                continue
            if then == 'waits':
                connection.wait_for_close()
            return connection.reset() if then == 'resets' else None

    site = steady(one_pool(kind, scripted(script), pool={'eject': 'off', 'retry': {'ask_first': 'no'}}))
    cases = list(itertools.product(EARLY, chosen(range(size), 5), [True, False]))
    inject(len(cases))
    for status, position, goes_on in cases:
        with site.client() as client:
            early = position if kind == 'asgi' else size  # a wsgi server is asked when all is here
            head = f'POST /{status}/{position} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n'
            client.send(head.encode() + TEXT[:early])
            answer = client.response('POST')
            case = (status, position, goes_on, answer)
            if answer.status == 502:
                assert then in ('resets', 'closes') and TEXT not in answer.body, case
            else:
                assert (answer.status, answer.body) == (int(status), TEXT), case
            if not goes_on:
                continue
            try:
                client.send(TEXT[early:])
                next_one = client.ask('GET', '/next')
            except OSError:
                continue  # it was closed, which is clear enough
            assert (next_one.status, next_one.body) == (200, b'the next one'), case


@pytest.mark.parametrize('then', ['reads', 'waits', 'closes'])
@pytest.mark.parametrize('kind', KINDS)
def test_an_answer_in_the_middle_of_a_large_upload(steady, scripted, kind, then):
    size = 1_500_000

    def script(connection):
        request = connection.read_head()
        if request is None:
            return
        got = 0
        while got < int(request.target[1:]) and (piece := connection.recv()):
            got += len(piece)
        connection.send(closing(EARLY['413']))
        if then == 'reads':
            while connection.recv():
                pass
        elif then == 'waits':
            time.sleep(0.3)

    site = steady(one_pool(kind, scripted(script), pool={'eject': 'off', 'retry': {'ask_first': 'no'}}))
    cases = [0, 1, 1000, 16_384, 70_000, 300_000, 1_000_000]
    inject(2 * len(cases))
    requests = []
    for position in cases:
        head = f'POST /{position} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
        requests.append(f'{head}Content-Length: {size}\r\n\r\n'.encode() + b'x' * size)
        chunk = b'%x\r\n' % size + b'x' * size + b'\r\n0\r\n\r\n'
        requests.append(f'{head}Transfer-Encoding: chunked\r\n\r\n'.encode() + chunk)
    for request, heard in zip(requests, converse(site.endpoint, requests), strict=True):
        seen = read(heard, 'POST')
        case = (request[:20], seen, heard.end)
        assert seen.whole and heard.end != 'time', case
        assert (seen.status, seen.body) == (413, TEXT) or (seen.status == 502 and then == 'closes'), case


# ---- more than one answer ------------------------------------------------------------------------------------------

POISON = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'


@pytest.mark.parametrize('framing', ['length', 'chunked', 'empty'])
@pytest.mark.parametrize('kind', KINDS)
def test_what_a_server_says_too_much_reaches_nobody(steady, scripted, kind, framing):
    """A second answer, or any part of it, with the first one or a little later."""
    said = threading.Semaphore(0)

    def script(connection):
        while request := connection.read_head():
            mark, surplus = request.target.encode(), POISON[: int(request.target.split('/')[2])]
            if framing == 'length':
                answer = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(mark), mark)
            elif framing == 'chunked':
                answer = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n' % (len(mark), mark)
            else:
                answer = b'HTTP/1.1 204 No Content\r\n\r\n'
            if request.target.startswith('/together'):
                connection.send(answer + surplus)
            else:
                connection.send(answer)
                time.sleep(0.002)
                connection.send(surplus)
                said.release()

    server = scripted(script)
    site = steady(one_pool(kind, server, workers=1))
    sizes = chosen(range(1, len(POISON) + 1), 9)
    inject(2 * len(sizes))
    with site.client() as client:
        for when, size, turn in itertools.product(['together', 'later'], sizes, range(2)):
            target = f'/{when}/{size}/{turn}'
            answer = client.ask('GET', target)
            assert answer.body == (b'' if framing == 'empty' else target.encode()), (target, answer)
            if when == 'later':
                assert said.acquire(timeout=8)  # it has come while the connection was idle
                time.sleep(0.005)
    entries = site.wait_access(4 * len(sizes))
    assert {entry['outcome'] for entry in entries} == {'ok'}
    if not sanitized():
        assert not [entry['path'] for entry in entries if entry['reused']], 'such a connection is never used again'


def take(connection):
    """A whole request; one that asks first is told to go on."""
    request = connection.read_head()
    if request is None:
        return None
    if request.get('expect'):
        connection.send(b'HTTP/1.1 100 Continue\r\n\r\n')
    connection._unread, rest = b'', connection._unread
    request.body = Breaking.body(connection, request, rest)
    return None if request.body is None else request


# ---- idle connections ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('kind', 'method', 'way'),
    [('wsgi', 'GET', 'reset'), ('wsgi', 'POST', 'closed'), ('asgi', 'GET', 'closed'), ('asgi', 'POST', 'reset')],
)
def test_an_idle_connection_that_ends_as_the_next_request_comes(steady, scripted, kind, method, way):
    """Again and again, a little earlier and a little later. What may be repeated is answered, and so is a POST that
    asked first; a POST that may have been read is told 502, and is carried out once at most."""
    rounds = 40 if sanitized() else 200
    done, go = collections.Counter(), threading.Semaphore(0)
    pauses = random.Random(11)

    def script(connection):
        while request := take(connection):
            done[request.target] += 1
            connection.reply(hashlib.sha256(request.target.encode() + request.body).hexdigest().encode())
            if request.target.endswith('/first'):
                assert go.acquire(timeout=8)
                time.sleep(pauses.choice([0, 0, 0.0001, 0.0003, 0.0006]))
                return connection.reset() if way == 'reset' else None
        return None

    server = scripted(script)
    site = steady(one_pool(kind, server, pool={'eject': 'off', 'keepalive': {'idle': '5s'}}, workers=1))
    inject(rounds)
    statuses = collections.Counter()
    with site.client() as client:
        for number in range(rounds):
            assert client.ask('GET', f'/{number}/first').status == 200
            go.release()
            time.sleep(pauses.choice([0, 0, 0.0002, 0.0005]))
            target = f'/{number}/second'
            answer = client.ask(method, target, body=TEXT if method == 'POST' else None)
            statuses[answer.status] += 1
            if answer.status == 200:
                expected = hashlib.sha256(target.encode() + (TEXT if method == 'POST' else b'')).hexdigest()
                assert answer.body.decode() == expected
            assert done[target] <= 1 if method == 'POST' else True
            assert (done[target] >= 1) == (answer.status == 200)
    allowed = {200} if method == 'GET' or kind == 'wsgi' else {200, 502}
    assert set(statuses) <= allowed and statuses[200], statuses
    for connection in server.connections:
        connection.close()


# ---- clients and tunnels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', KINDS)
def test_clients_that_leave_at_every_byte_of_a_request(steady, scripted, kind):
    """By an end and by a reset, while diplex or the server has the rest of it still to come: nobody waits for them."""

    def script(connection):
        while request := take(connection):
            connection.reply(request.body)

    site = steady(one_pool(kind, scripted(script), pool={'eject': 'off'}))
    head = b'POST /left HTTP/1.1\r\nHost: localhost\r\n'
    requests = [
        head + b'Content-Length: 26\r\n\r\n' + TEXT,
        head + b'Transfer-Encoding: chunked\r\n\r\n1a\r\n' + TEXT + b'\r\n0\r\n\r\n',
    ]
    cases = [(request, at, way) for request in requests for at in chosen(range(1, len(request))) for way in range(2)]
    inject(len(cases))
    for request, at, way in cases:
        client = site.client()
        client.send(request[:at])
        if way:
            client.reset()
        else:
            client.close()
    entries = site.wait_access(len(cases))
    assert {entry['outcome'] for entry in entries} == {'client_left'}
    assert site.get('/there').status == 200


@pytest.mark.parametrize('who', ['server', 'client', 'both'])
def test_tunnels_that_break(steady, scripted, who):
    """With the last bytes and after them, by an end and by a reset, from either side and from both at once."""

    def script(connection):
        while request := connection.read_head():
            if request.target == '/there':
                connection.reply()
                continue
            connection.send(b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
            connection.send(connection.recv())  # an echo
            if who == 'client':
                connection.wait_for_close()
            elif request.target == '/reset':
                connection.reset()
            return

    site = steady(one_pool('asgi', scripted(script)))
    rounds = 20 if sanitized() else 60
    inject(rounds)
    for number in range(rounds):
        way = 'reset' if number % 2 else 'closed'
        with site.client() as client:
            client.send(handshake(f'/{way}'))
            assert client.head(upgrade=True).status == 101
            client.send(b'to and fro')
            if number % 3 and who != 'both':
                assert client.read_exactly(10) == b'to and fro'
            if who == 'server':
                assert b'to and fro'.startswith(client.read_until_close())
            elif way == 'reset':
                client.reset()
    assert site.get('/there').status == 200
    site.wait_access(rounds + 1)


# ---- nobody there --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', KINDS)
def test_servers_that_refuse(steady, kind):
    """Nobody listens: a port, and a socket file whose program is gone."""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))  # and never listens
        address = '127.0.0.1:%d' % taken.getsockname()[1]
        for servers in ([address], ['unix:/nowhere/at/all.sock'], [address, 'unix:/nowhere/at/all.sock']):
            site = steady(one_pool(kind, *servers))
            inject(100)
            said = converse(site.endpoint, [get(f'/{number}') for number in range(100)])
            for heard in said:
                seen = read(heard)
                assert seen.whole and seen.status in (502, 503), heard
            site.leaves_nothing()


@pytest.mark.parametrize('kind', KINDS)
def test_a_server_that_accepts_and_says_nothing(steady, scripted, kind):
    """100 at once: each is told 504 when the time is over, and the slots are free when the server lets go."""
    server = scripted(lambda connection: connection.wait_for_close())
    pool = {'timeouts': {'response': '400ms'}, 'eject': 'off', **({'slots': 100} if kind == 'wsgi' else {})}
    site = steady(one_pool(kind, server, pool=pool))
    requests = [get(f'/{number}') for number in range(50)]
    requests += [
        b'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello' for _ in range(50)
    ]
    inject(len(requests))
    said = converse(site.endpoint, requests)
    for heard in said:
        assert read(heard).status == 504 and heard.end == 'closed', heard
    assert max(heard.seconds for heard in said) < (10 if sanitized() else 3.5)


def test_memory_stays_flat_over_the_same_faults(steady, scripted):
    """Answers cut at their bytes, four times over: what is kept after the second time is what is kept after the last."""
    if sanitized():
        pytest.skip('a sanitizer has memory of its own')
    site = steady(one_pool('wsgi', scripted(cut), pool={'eject': 'off'}, workers=1))
    requests = [
        get(f'/{name}/{position}/{("reset", "closed")[position % 2]}')
        for name in ANSWERS
        for position in positions(name)[:: 2 if name == 'length' else 3]
    ]
    inject(4 * len(requests))
    kept = []
    for _ in range(4):
        converse(site.endpoint, requests, at_once=30)
        site.leaves_nothing()
        kept.append(site.footprint.take()['written_kb'])
    assert kept[-1] - kept[1] <= 256, f'{kept} kB after each time'
