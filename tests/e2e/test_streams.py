# SPDX-License-Identifier: MIT
"""Streams: each event at once, no time-out in silence, the server hears when a client leaves; WebSockets."""

import base64
import contextlib
import json
import os
import struct
import threading
import time

import pytest
import websockets
import websockets.sync.client
from harness import one_pool, two_pools
from wire import PATIENCE, wait_until

HANDSHAKE = (
    'GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n'
)


def handshake(path: str = '/async/ws/echo') -> bytes:
    return HANDSHAKE.format(path=path, key=base64.b64encode(os.urandom(16)).decode()).encode()


def text_frame(text: str) -> bytes:
    """A masked frame of a client, short enough for a one-byte length (RFC 6455 5.2)."""
    data, mask = text.encode(), os.urandom(4)
    assert len(data) < 126
    return struct.pack('!BB', 0x81, 0x80 | len(data)) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


def socket_to(site, path: str = '/async/ws/echo', **more):
    return websockets.sync.client.connect(
        f'ws://{site.listen}{path}', proxy=None, open_timeout=5, close_timeout=2, max_size=None, **more
    )


@pytest.fixture
def front(diplex, gunicorn, asgi):
    """diplex with each of uvicorn's parsers behind it."""
    site = diplex(two_pools(gunicorn(workers=2), asgi))
    site.asgi = asgi
    return site


# ---- Server-Sent Events and JSON lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(('path', 'media_type'), [('events', 'text/event-stream'), ('lines', 'application/jsonl')])
def test_events_arrive_one_by_one(front, path, media_type):
    with front.client() as client:
        client.request('GET', f'/async/{path}/?count=5&interval=200')
        head = client.head()
        assert head.get('content-type').startswith(media_type)
        assert head.get('cache-control') == 'no-cache'
        arrivals, text = [], b''
        for piece in client.pieces():
            arrivals.append(time.monotonic())
            text += piece
        assert client.ask('GET', '/async/hello/').status == 200, 'the connection goes on after the stream'
    assert len(arrivals) >= 5
    gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[1:])]
    assert sum(gap > 0.12 for gap in gaps) >= 4, f'events came in heaps: {gaps}'
    numbers = [json.loads(line.removeprefix(b'data: '))['number'] for line in text.splitlines() if b'"number"' in line]
    assert numbers == [0, 1, 2, 3, 4]


def test_silence_does_not_end_a_stream(diplex, gunicorn, uvicorn):
    config = two_pools(
        gunicorn(workers=2), uvicorn(),
        timeouts={'header': '500ms', 'body': '500ms', 'idle': '500ms', 'send': '500ms'},
        async_={'timeouts': {'response': '500ms'}},
    )  # fmt: skip
    site = diplex(config)
    for path in ('events', 'lines'):
        with site.client() as client:
            client.request('GET', f'/async/{path}/?count=2&interval=2500')
            client.head()
            text = b''.join(client.pieces())
        assert b'"number":1' in text.replace(b' ', b'')


def test_silence_ends_a_stream_when_asked_to(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), async_={'timeouts': {'idle': '500ms'}}))
    before = time.monotonic()
    with site.client() as client:
        client.request('GET', '/async/lines/?count=2&interval=6000')
        client.head()
        assert b'"number"' in next(client.pieces())
        client.read_until_close()
    assert 0.3 < time.monotonic() - before < 5.5
    assert site.wait_access(1)[0]['outcome'] == 'answer_timeout'


@pytest.mark.parametrize('path', ['events', 'lines'])
@pytest.mark.parametrize('rudely', [False, True])
def test_uvicorn_hears_at_once_when_a_client_leaves(front, path, rudely):
    before = front.asgi.streams()
    client = front.client()
    client.request('GET', f'/async/{path}/?count=0&interval=10000')
    client.head()
    next(client.pieces())
    assert front.asgi.streams()['running'] == before['running'] + 1
    left = time.monotonic()
    client.reset() if rudely else client.close()
    wait_until(lambda: front.asgi.streams()['cancelled'] == before['cancelled'] + 1, what='the stream to be cancelled')
    assert time.monotonic() - left < 5, 'the stream has 10 s to its next piece'
    entry = front.wait_access(1)[0]
    assert entry['outcome'] == 'client_left' and entry['pool'] == 'async'


def test_uvicorn_hears_when_a_client_leaves_before_the_answer(front):
    """An answer nobody waits for: the connection to uvicorn is closed long before the view is done."""
    client = front.client()
    client.request('GET', '/async/slow/20000/')
    time.sleep(0.3)
    client.close()
    assert front.wait_access(1, seconds=2)[0]['outcome'] == 'client_left'


def test_last_event_id_passes(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    diplex(one_pool('asgi', server)).get('/', {'Last-Event-ID': '41', 'Accept': 'text/event-stream'})
    assert (server.requests[0].get('last-event-id'), server.requests[0].get('accept')) == ('41', 'text/event-stream')


def test_many_streams_at_once(front):
    clients = []
    for _ in range(40):
        client = front.client()
        client.request('GET', '/async/events/?count=3&interval=300')
        clients.append(client)
    for client in clients:
        client.head()
        assert b''.join(client.pieces()).count(b'event: tick') == 3
        client.close()
    assert {entry['outcome'] for entry in front.wait_access(40)} == {'ok'}


def test_a_stream_of_a_wsgi_server_is_not_held_back(diplex, scripted):
    """gunicorn is read at its own speed, and a client that reads gets each piece at once."""

    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        for _ in range(3):
            connection.send(b'4\r\ntick\r\n')
            assert taken.acquire(timeout=PATIENCE), 'the piece has not come'
        connection.send(b'0\r\n\r\n')

    taken = threading.Semaphore(0)
    site = diplex(one_pool('wsgi', scripted(script)))
    with site.client() as client:
        client.request('GET', '/')
        client.head()
        for piece in client.pieces():
            assert piece == b'tick', 'each one before the next is sent'
            taken.release()


# ---- WebSockets ----------------------------------------------------------------------------------------------------


def test_websocket_echo(front):
    with socket_to(front) as socket:
        for message in ('hello', '', 'ünïcödé', b'\x00\x01\x02', os.urandom(1 << 20), 'x' * 300_000):
            socket.send(message)
            assert socket.recv(5) == message
        assert socket.ping().wait(5), 'a ping is answered'


def test_websocket_handshake_fields(front):
    with socket_to(
        front, subprotocols=['chat'], origin='http://localhost', additional_headers={'Cookie': 'a=1'}
    ) as socket:
        assert socket.subprotocol == 'chat'
        socket.send('headers')
        fields = json.loads(socket.recv(5))
    assert (fields['origin'], fields['cookie'], fields['host']) == ('http://localhost', 'a=1', front.listen)
    assert (fields['upgrade'].lower(), fields['connection'].lower()) == ('websocket', 'upgrade')
    assert (fields['x-forwarded-for'], fields['x-real-ip']) == ('127.0.0.1', '127.0.0.1')


def test_websocket_close_code_passes(front):
    with socket_to(front) as socket:
        socket.send('close')
        with pytest.raises(websockets.ConnectionClosed):
            socket.recv(5)
        assert (socket.close_code, socket.close_reason) == (4000, 'as you asked')


def test_early_bytes_are_not_lost(front):
    """The first frames may come in one packet with the handshake, and the server's in one with its 101."""
    with front.client() as client:
        client.send(handshake() + text_frame('early') + text_frame('bird'))
        assert client.head(upgrade=True).status == 101
        assert client.read_exactly(7) == b'\x81\x05early'
        assert client.read_exactly(6) == b'\x81\x04bird'


def test_early_bytes_of_the_server_are_not_lost(diplex, scripted):
    def script(connection):
        connection.read_head()
        connection.send(
            b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
            b'Sec-WebSocket-Accept: x\r\n\r\n\x81\x05first'
        )
        while data := connection.recv():
            connection.send(data[::-1])

    site = diplex(one_pool('asgi', scripted(script)))
    with site.client() as client:
        client.send(handshake())
        answer = client.head(upgrade=True)
        assert (answer.status, answer.get('upgrade').lower(), answer.get('connection').lower()) == (
            101,
            'websocket',
            'upgrade',
        )
        assert client.read_exactly(7) == b'\x81\x05first'
        client.send(b'abc')
        assert client.read_exactly(3) == b'cba'


def test_a_refused_handshake_passes(front):
    with front.client() as client:
        client.send(handshake('/async/ws/nothing'))
        assert client.response().status == 403


def test_a_silent_websocket_lives_on(diplex, gunicorn, uvicorn):
    site = diplex(
        two_pools(gunicorn(workers=2), uvicorn(), timeouts={'header': '300ms', 'idle': '300ms', 'body': '300ms'})
    )
    with socket_to(site, ping_interval=None) as socket:
        time.sleep(1.5)
        socket.send('still here')
        assert socket.recv(5) == 'still here'


def test_a_silent_websocket_is_ended_when_asked_to(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), async_={'timeouts': {'tunnel': '500ms'}}))
    with site.client() as client:
        client.send(handshake())
        assert client.head(upgrade=True).status == 101
        assert client.closed_within(8)
    assert site.wait_access(1)[0]['outcome'] == 'tunnel_timeout'


def test_a_tunnel_ends_when_either_side_ends(diplex, scripted):
    ends = {}

    def script(connection):
        connection.read_head()
        connection.send(b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
        if connection.recv() == b'you first':
            ends['client'] = connection.wait_for_close(3)

    site = diplex(one_pool('asgi', scripted(script)))
    with site.client() as client:
        client.send(handshake())
        client.head(upgrade=True)
        client.send(b'you first')
        time.sleep(0.1)
    wait_until(lambda: 'client' in ends, 3)
    assert ends['client'] is not None and ends['client'] < 1
    with site.client() as client:
        client.send(handshake())
        client.head(upgrade=True)
        client.send(b'bye')
        assert client.closed_within(8)
    entries = site.wait_access(2)
    assert [entry['status'] for entry in entries] == [101, 101]


def test_many_websockets_at_once(front):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket_to(front)) for _ in range(30)]
        for number, socket in enumerate(sockets):
            socket.send(f'message {number}')
        for number, socket in enumerate(sockets):
            assert socket.recv(5) == f'message {number}'


def test_an_upgrade_sent_to_a_wsgi_pool_is_refused_clearly(diplex, scripted):
    server = scripted(lambda connection: connection.reply())
    site = diplex(one_pool('wsgi', server))
    with site.client() as client:
        client.send(handshake('/ws/'))
        answer = client.response()
    assert answer.status == 501 and b'websocket' in answer.body.lower()
    assert server.connections == [], 'no worker was bothered'
    entry = site.wait_access(1)[0]
    assert (entry['status'], entry['outcome']) == (501, 'upgrade_refused')


def test_other_upgrades_are_plain_requests(diplex, scripted):
    """RFC 9110 7.8: an upgrade that is not supported is ignored, and nothing of it passes."""

    def script(connection):
        while connection.read_request():
            connection.reply()

    for kind in ('wsgi', 'asgi'):
        server = scripted(script)
        site = diplex(one_pool(kind, server))
        answer = site.ask(
            'GET', '/', {'Connection': 'Upgrade, HTTP2-Settings', 'Upgrade': 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQ'}
        )
        assert answer.status == 200
        names = {name for name, _ in server.requests[0].headers}
        assert not names & {'upgrade', 'http2-settings'}
