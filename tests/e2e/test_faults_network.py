# SPDX-License-Identifier: MIT
"""The network between clients, diplex and servers, which are three hosts here: packets are lost, late, repeated and out
of order, and cables are cut in the middle, for less and for more than the time-outs.

What comes whole is right to the last byte, what does not looks broken, each side is told in its time, and nothing is left
behind.
"""

import contextlib
import random
import threading
import time

import h11
import hosts
import network
import pytest
from footprint import Footprint, inject
from harness import one_pool, sanitized
from test_absorb import digest
from test_streams import handshake
from wire import wait_until

WHY_NOT = hosts.missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=f'needs hosts of its own: {WHY_NOT}')

SIZE = 300_000
NOISE = random.Random(31).randbytes(SIZE)
SLACK = 10.0 if sanitized() else 3.0


def script(connection):
    """/length and /chunked: a download; /upload: the digest of what came; /slow/seconds; /drip and /socket: a piece every
    now and then until the other side leaves."""
    while request := connection.read_head():
        if request.get('expect'):
            connection.send(b'HTTP/1.1 100 Continue\r\n\r\n')
        body = rest_of(connection, request)
        if body is None:
            return
        what, _, more = request.target[1:].partition('/')
        if what == 'length':
            connection.reply(NOISE)
        elif what == 'chunked':
            pieces = [NOISE[at : at + 7000] for at in range(0, SIZE, 7000)]
            connection.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
            connection.send(b''.join(b'%x\r\n%s\r\n' % (len(piece), piece) for piece in pieces) + b'0\r\n\r\n')
        elif what == 'slow':
            time.sleep(float(more))
            connection.reply(b'slow')
        elif what == 'drip':
            connection.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
            while connection.wait_for_close(0.1) is None and connection.socket.fileno() >= 0:
                connection.send(b'9\r\ndata: 1\n\n\r\n')
            return
        elif what == 'socket':
            connection.send(b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
            connection.wait_for_close(60)
            return
        else:
            connection.reply(digest(body).encode())


def rest_of(connection, request):
    """The body, or None when it did not come whole."""
    connection._unread, rest = b'', connection._unread
    if request.get('transfer-encoding'):
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(request.raw_head + rest)
        parser.next_event()
        body = b''
        while not isinstance(event := connection._next(parser), h11.EndOfMessage):
            if event is None:
                return None
            body += bytes(event.data)
        return body
    wanted, got = int(request.get('content-length') or 0), bytearray(rest)
    while len(got) < wanted and (piece := connection.recv()):
        got += piece
    return bytes(got) if len(got) == wanted else None


@pytest.fixture
def net():
    with hosts.Hosts() as net:
        yield net


@pytest.fixture
def edge(request, net, directory):
    """edge(kind, ...): diplex on its host, a server on its own; nothing may be left behind at the end."""

    def start(kind, pool=None, **settings):
        server = net.serve(script)
        request.addfinalizer(server.stop)
        path = directory / 'diplex'
        path.mkdir()
        site = hosts.Edge(net, path, one_pool(kind, server, pool={'eject': 'off', **(pool or {})}, **settings))
        request.addfinalizer(site.finish)
        site.start()
        site.server = server
        site.footprint = Footprint(site, site.admin)
        site.leaves_nothing = site.footprint.check
        return site

    return start


def upload(chunked=False):
    if not chunked:
        return b'POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s' % (SIZE, NOISE)
    chunks = b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in (NOISE[at : at + 9000] for at in range(0, SIZE, 9000)))
    return b'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n' % chunks


def get(target):
    return f'GET {target} HTTP/1.1\r\nHost: a\r\n\r\n'.encode()


WORK = {
    'length': (get('/length'), NOISE),
    'chunked': (get('/chunked'), NOISE),
    'upload': (upload(), digest(NOISE).encode()),
    'chunked upload': (upload(chunked=True), digest(NOISE).encode()),
}


class Work(threading.Thread):
    """One client: sends, and reads the answer; `result` is 'right', a status, or how it broke."""

    def __init__(self, net, site, name, patience=40.0) -> None:
        super().__init__()
        self.request, self.expected = WORK[name]
        self.client = net.connect(site, patience=patience)
        self.result, self.seconds = None, 0.0

    def run(self) -> None:
        began = time.monotonic()
        try:
            self.client.send(self.request)
            answer = self.client.response(self.request.partition(b' ')[0].decode())
            self.result = answer.status
            if answer.status == 200:
                self.result = 'right' if answer.body == self.expected else 'wrong'
        except (OSError, AssertionError, h11.RemoteProtocolError) as problem:
            self.result = f'broken: {problem!r}'
        self.seconds = time.monotonic() - began
        self.client.close()


def at_once(net, site, times=1, meanwhile=None, **more):
    """All kinds of work at the same time, and `meanwhile`, when it has begun."""
    work = [Work(net, site, name, **more) for name in WORK for _ in range(times)]
    for one in work:
        one.start()
    if meanwhile:
        time.sleep(0.05)
        meanwhile()
    for one in work:
        one.join(60)
    return work


# ---- packets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'cable',
    [
        {'loss': 0.03},
        {'loss': 0.01, 'twice': 0.05, 'delay': 0.01, 'jitter': 0.02},
    ],
    ids=['lost', 'late-repeated-disordered'],
)
@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_bad_network_costs_time_and_nothing_else(net, edge, kind, cable):
    site = edge(kind)
    net.set('client', 'edge', **cable)
    net.set('edge', 'server', **cable)
    work = at_once(net, site, times=2)
    assert [one.result for one in work] == ['right'] * len(work)
    assert net.lost, 'the network was bad'
    net.set('client', 'edge')
    net.set('edge', 'server')
    site.leaves_nothing()


# ---- a cut that heals in time --------------------------------------------------------------------------------------


@pytest.mark.parametrize('where', ['client', 'server'])
@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_cable_that_is_cut_for_a_moment(net, edge, kind, where):
    site = edge(kind)

    def cut():
        net.set('edge', where, cut=True)
        time.sleep(0.5)
        net.set('edge', where, delay=0.001)

    net.set('edge', where, delay=0.02)  # so that it is cut in the middle
    work = at_once(net, site, meanwhile=cut)
    assert [one.result for one in work] == ['right'] * len(work)
    assert net.lost
    site.leaves_nothing()


# ---- a cut that stays ----------------------------------------------------------------------------------------------

SHORT = {'connect': '500ms', 'response': '800ms', 'idle': '800ms', 'tunnel': '800ms'}


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_server_that_is_cut_off(net, edge, kind):
    """Before the connection, while its answer is waited for, and in the middle of answers and uploads: each client is told
    within the time-outs, or sees that its answer is not whole; and when the cable is whole, all is as before."""
    site = edge(kind, pool={'timeouts': SHORT, 'keepalive': {'idle': '300ms'}})
    net.set('edge', 'server', cut=True)
    with net.connect(site) as client:
        began = time.monotonic()
        answer = client.ask('GET', '/length')
        assert answer.status == 504 and time.monotonic() - began < 0.5 + SLACK, 'no connection'
    net.set('edge', 'server')

    with net.connect(site) as client:
        client.request('GET', '/slow/0.4')
        time.sleep(0.2)
        net.set('edge', 'server', cut=True)
        began = time.monotonic()
        assert client.response().status == 504 and time.monotonic() - began < 0.8 + SLACK, 'no answer'
    net.set('edge', 'server')

    def cut():
        wait_until(lambda: net.cables['server', 'edge'].carried_bytes > SIZE / 4, what='the middle of it')
        net.set('edge', 'server', cut=True)

    net.set('edge', 'server', delay=0.02)
    work = at_once(net, site, meanwhile=cut)
    for one in work:
        assert one.result in (502, 504) or 'broken' in str(one.result), one.result
        assert one.seconds < 2.5 + SLACK, (one.request[:20], one.seconds)
    assert any('broken' in str(one.result) for one in work), [one.result for one in work]
    net.set('edge', 'server')
    wait_until(lambda: not site.footprint.in_use(), 10, 'the end of all of them')
    work = at_once(net, site)
    assert [one.result for one in work] == ['right'] * len(work)
    site.leaves_nothing()
    assert len(site.children()) == 1
    inject(6)


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_slots_of_a_server_that_is_cut_off_come_back(net, edge, kind):
    site = edge(kind, pool={'slots': 2, 'timeouts': {'connect': '8s', 'response': '500ms'}, 'queue': {'wait': '10s'}})
    inject(3)
    for _ in range(3):
        with net.connect(site) as one, net.connect(site) as two, net.connect(site) as three:
            for client in (one, two):
                client.request('GET', '/slow/0.2')
            time.sleep(0.1)
            net.set('edge', 'server', cut=True)
            three.request('GET', '/slow/0')
            assert [client.response().status for client in (one, two)] == [504, 504]
            net.set('edge', 'server')
            assert three.response().status == 200
    site.leaves_nothing()


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_clients_that_are_cut_off(net, edge, kind):
    """In the middle of a head, of an upload, of a download, between requests: over within the time-outs, and the server is
    free. They hear nothing of it before their cable is whole, and then that it is over."""
    site = edge(kind, timeouts={'header': '800ms', 'body': '800ms', 'send': '800ms', 'idle': '800ms'})
    net.set('client', 'edge', delay=0.01)
    with contextlib.ExitStack() as stack:
        head, sending, reading, idle = (stack.enter_context(net.connect(site, patience=20)) for _ in range(4))
        head.send(b'GET / HTT')
        sending.send(upload()[: SIZE // 2])
        assert idle.ask('GET', '/slow/0').status == 200
        reading.send(get('/length') + get('/length') + get('/length'))
        reading.head()
        net.set('client', 'edge', cut=True)
        inject(4)
        wait_until(lambda: not site.footprint.in_use(), 2 + SLACK + 3, 'the end of all of them')
        outcomes = {entry['outcome'] for entry in site.wait_access(4)}
        assert {'header_timeout', 'body_timeout'} <= outcomes <= {
            'ok', 'header_timeout', 'body_timeout', 'client_slow', 'client_left'
        }
        assert outcomes & {'client_slow', 'client_left'}, outcomes
        net.set('client', 'edge')
        for client in (head, sending, idle):
            with contextlib.suppress(OSError):
                raw = client.read_until_close()
                assert raw == b'' or raw.startswith(b'HTTP/1.1 408 '), raw[:40]
        with pytest.raises((OSError, AssertionError, h11.RemoteProtocolError)):
            for _ in range(3):
                assert len(b''.join(reading.pieces())) == SIZE
                reading.head()
    site.leaves_nothing()


def test_streams_and_websockets_of_clients_and_servers_that_are_gone(net, edge):
    """A silent peer may be gone for ever, and no byte would ever tell: the kernel asks it from time to time. Those that
    are sent something are given up when they do not take it."""
    site = edge('asgi', timeouts={'send': '1s'})
    with net.connect(site) as events, net.connect(site) as tunnel:
        events.request('GET', '/drip')
        assert events.head().status == 200
        tunnel.send(handshake('/socket'))
        assert tunnel.head(upgrade=True).status == 101
        timers = net.connections(net.edge)
        asked = [line for line in timers if 'timer:(keepalive' in line]
        assert len([line for line in timers if 'ESTAB' in line or hosts.ADDRESSES['edge'] in line]) >= 4, timers
        assert {hosts.ADDRESSES['client'], hosts.ADDRESSES['server']} <= {
            address for line in asked for address in hosts.ADDRESSES.values() if address in line
        }, timers
        net.set('client', 'edge', cut=True)
        inject(2)
        time.sleep(0.5)
        net.set('client', 'edge')
        assert next(events.pieces()).startswith(b'data: 1')
    site.leaves_nothing()


# ---- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(network.missing() is not None, reason=f'needs a network of its own: {network.missing()}')
def test_a_name_server_that_is_gone_takes_nothing_away_and_leaves_nothing_behind(directory, request):
    """Gone, silent, and back, again and again under load: the servers stay what they were, every request is answered, and
    control holds no more descriptors than before."""
    with network.Network(directory) as inside:
        inside.start_name_server()
        path = directory / 'gunicorn'
        path.mkdir()
        server = network.Gunicorn(inside, path, network.ADDRESSES[0])
        request.addfinalizer(server.end_group)
        server.start()
        inside.web(network.ADDRESSES[0])
        path = directory / 'diplex'
        path.mkdir()
        config = {
            'pools': {'web': {'kind': 'wsgi', 'servers': [f'web:{network.PORT}'], 'keepalive': {'idle': '300ms'}}},
            'routes': {'/': 'web'},
            'resolve': '200ms',
            'workers': 1,
        }
        site = network.Diplex(inside, path, config)
        request.addfinalizer(site.finish)
        site.start()
        site.wait_servers(network.ADDRESSES[0])
        time.sleep(0.3)
        footprint = Footprint(site, site.admin)
        with network.Load(site, '/api/hello/') as load:
            for _ in range(3):
                inject()
                inside.stop_name_server()
                time.sleep(0.7)
                assert set(site.servers()) == {f'{network.ADDRESSES[0]}:{network.PORT}'}
                inside.start_name_server()
                time.sleep(0.3)
        assert not load.failures() and len(load.answers) > 20
        footprint.check()
