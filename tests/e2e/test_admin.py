# SPDX-License-Identifier: MIT
"""The admin endpoints as a door to the network: the token, who may read, what strangers cost, what a reload changes."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time

import pytest

from harness import one_pool, run_diplex, wait_until
from wire import PATIENCE, RawClient

TOKEN = 'a-token-of-tests-0123456789'
OTHER = 'another-token-of-tests-9876'


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def bearer(token: str = TOKEN) -> dict:
    return {'Authorization': f'Bearer {token}'}


@pytest.fixture
def doors(diplex, scripted, directory):
    """doors(**admin): diplex with a socket and a TCP address for admin; `.tcp` is the latter."""

    def start(**admin):
        config = one_pool('asgi', scripted(keep_answering), workers=1)
        config['admin'] = {'socket': str(directory / 'a' / 'admin.sock'), 'listen': '127.0.0.1:0', 'token': '${TOKEN}', **admin}
        site = diplex(config, environment={'TOKEN': TOKEN, 'OTHER': OTHER})
        site.config = config
        site.socket = config['admin']['socket']
        port = re.search(r'admin_listen=127\.0\.0\.1:(\d+)', site.wait_event(' ready '))[1]
        site.tcp = ('127.0.0.1', int(port))
        return site

    return start


def ask(address, method: str, target: str, headers: dict | None = None, body: bytes | None = None):
    with RawClient(address) as client:
        return client.ask(method, target, {'Host': '127.0.0.1', **(headers or {})}, body)


def test_the_token_is_needed_for_all_but_health(doors):
    site = doors()
    assert ask(site.tcp, 'GET', '/healthz').status == 200
    for method, target in [('GET', '/status'), ('POST', '/reload'), ('POST', '/hold?pool=app'), ('GET', '/nothing')]:
        for headers in [{}, bearer(OTHER), bearer(TOKEN[:-1]), bearer(TOKEN + 'x'), {'Authorization': 'Basic ' + TOKEN},
                        {'Authorization': 'Bearer'}]:  # fmt: skip
            answer = ask(site.tcp, method, target, headers)
            assert answer.status == 401 and answer.get('WWW-Authenticate') == 'Bearer realm="diplex"', (target, headers)
            assert b'{' not in answer.body
    assert ask(site.tcp, 'GET', '/status', bearer()).json()['ready'] is True
    assert ask(site.tcp, 'GET', '/nothing', bearer()).status == 404
    assert ask(site.tcp, 'POST', '/hold?pool=app', bearer()).json()['hold'] == 'all'
    assert ask(site.tcp, 'POST', '/release?pool=app', bearer()).json()['hold'] == 'none'
    assert ask(site.tcp, 'POST', '/reload', bearer()).json()['result'] == 'reloaded'
    site.wait_event('reloaded', 'generation=2')
    assert 1 <= sum('admin_refused' in line for line in site.events()) <= 3, 'said now and then'


def test_two_tokens_are_none(doors):
    site = doors()
    with RawClient(site.tcp) as client:
        client.send(f'GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {OTHER}\r\n'
                    f'Authorization: Bearer {TOKEN}\r\n\r\n')  # fmt: skip
        assert client.response().status == 401


def test_open_to_readers(doors):
    site = doors(read='open', hosts=['Edge', 'ops.example.com'])
    for host in ('127.0.0.1', '[::1]:9000', 'localhost:1', 'x.localhost', 'edge:9000', 'OPS.example.com'):
        assert ask(site.tcp, 'GET', '/status', {'Host': host}).status == 200, host
    for host in ('evil.example', 'notlocalhost', 'edge.evil.example', '127.0.0.1.evil.example'):
        answer = ask(site.tcp, 'GET', '/status', {'Host': host})
        assert answer.status == 403 and b'ready' not in answer.body, host
        assert not [name for name, _ in answer.headers if name.startswith('access-control')]
    assert ask(site.tcp, 'POST', '/reload').status == 401
    assert ask(site.tcp, 'OPTIONS', '/status').status == 405
    answer = ask(site.tcp, 'GET', '/status', {'Origin': 'http://127.0.0.1:1'})
    assert not [name for name, _ in answer.headers if name.startswith('access-control')]


def test_the_socket_needs_no_token(doors):
    site = doors()
    assert ask(site.socket, 'GET', '/status').json()['ready'] is True
    assert site.socket in site.wait_event(' ready ')
    assert json.loads(run_diplex('status', '--json', '-a', site.socket).stdout)['ready'] is True


def test_a_head_alone(doors):
    site = doors()
    with RawClient(site.socket) as client:
        first = client.ask('HEAD', '/status')
        assert first.status == 200 and first.body == b'' and int(first.get('Content-Length')) > 100
        assert client.ask('GET', '/healthz').body == b'ok\n', 'the connection goes on'
        assert client.ask('POST', '/healthz').get('Allow') == 'GET, HEAD'


NONSENSE = [
    b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    b'GET\r\n\r\n',
    b'GET / HTTP/1.1\r\n\r\n',
    b'GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n',
    b'GET /healthz HTTP/1.1\nHost: x\n\n',
    b'GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    b'POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n',
    b'POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    b'GET /' + b'a' * 9000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: x\r\n' + b'X: y\r\n' * 3000 + b'\r\n',
    b'GET /hold?pool=%zz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
    b'GET /hold?pool=%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
]


def test_nonsense_is_refused_and_closed(doors):
    site = doors()
    for text in NONSENSE:
        with RawClient(site.tcp) as client:
            client.send(text)
            heard = client.read_until_close()
            assert re.match(rb'HTTP/1.1 4\d\d |HTTP/1.1 505 ', heard), (text[:60], heard[:200])
            assert TOKEN.encode() not in heard
    assert ask(site.tcp, 'GET', '/status', bearer()).json()['generation'] == 1


def test_strangers_do_not_keep_others_out(doors):
    """More connections than there may be, each with half a head: who asks is still answered, on both doors."""
    site = doors()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(RawClient(site.tcp))
            with contextlib.suppress(OSError):
                client.send('GET /status HTTP/1.1\r\nHost: x\r\n')
        assert ask(site.tcp, 'GET', '/status', bearer()).status == 200
        assert ask(site.socket, 'GET', '/healthz').status == 200


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(doors):
    """Its time is for the whole of it: to be never silent does not help."""
    site = doors()
    began = time.monotonic()
    with RawClient(site.tcp, patience=1) as client:
        client.send('GET /status HTTP/1.1\r\nX: ')

        def closed() -> bool:
            try:
                client.send('x')
                return client.socket.recv(1) == b''
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(closed, 8 * PATIENCE, 'the end of its patience')
    assert time.monotonic() - began > 5
    assert ask(site.tcp, 'GET', '/healthz').status == 200


def test_a_slow_reader_stops_nobody(doors):
    """Who asks again and again and reads nothing fills its own connection, and control answers everybody else."""
    site = doors()
    with RawClient(site.tcp) as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.socket.setblocking(False)
        request = f'GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n'.encode()
        with contextlib.suppress(BlockingIOError):
            for _ in range(100_000):
                slow.socket.send(request)
        for _ in range(20):
            assert ask(site.socket, 'GET', '/healthz').status == 200
        site.reload(site.config)
        site.wait_event('reloaded', 'generation=2')


def test_bodies_are_read_and_dropped(doors):
    site = doors()
    with RawClient(site.socket) as client:
        assert client.ask('POST', '/hold?pool=app', {}, b'x' * 8192).json()['hold'] == 'all'
        assert client.ask('GET', '/healthz', {}, b'y').status == 200
        client.send(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' * 3)
        assert [client.response().status for _ in range(3)] == [200] * 3


def test_a_port_that_is_taken(doors, diplex):
    site = doors()
    config = {**site.config, 'admin': {**site.config['admin'], 'socket': 'off', 'listen': '%s:%d' % site.tcp}}
    second = diplex({**config, 'listen': '127.0.0.1:0'}, environment={'TOKEN': TOKEN}, start=False)
    second.spawn()
    assert second.wait() == 1
    assert 'admin.listen' in second.stderr and f'{site.tcp[1]}' in second.stderr


def refused(address) -> bool:
    try:
        RawClient(address).close()
    except OSError:
        return True
    return False


def test_a_reload_changes_the_doors(doors, directory):
    site = doors()
    before = site.config['admin']

    # Another token and other readers, on the same socket; who asked is told by the door that goes.
    site.write_config({**site.config, 'admin': {**before, 'token': '${OTHER}', 'read': 'open'}})
    assert ask(site.tcp, 'POST', '/reload', bearer()).json() == {'result': 'reloaded', 'after_restart': ''}
    assert ask(site.tcp, 'POST', '/drain?server=x', bearer()).status == 401
    assert ask(site.tcp, 'POST', '/drain?server=x', bearer(OTHER)).status == 404
    assert ask(site.tcp, 'GET', '/status').status == 200

    # Another socket, and no TCP address.
    moved = str(directory / 'b' / 'admin.sock')
    site.write_config({**site.config, 'admin': moved})
    with RawClient(site.socket) as idle:
        assert idle.ask('GET', '/healthz').status == 200
        assert run_diplex('reload', '-a', site.socket).returncode == 0
        assert idle.read_until_close() == b''
    assert refused(site.tcp) and refused(site.socket)
    assert ask(moved, 'GET', '/status').json()['admin'] == {'socket': moved, 'listen': None, 'read': None}

    # One that cannot be opened refuses the reload, and nothing changes.
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        address = '127.0.0.1:%d' % taken.getsockname()[1]
        site.write_config({**site.config, 'admin': {**before, 'listen': address}})
        done = run_diplex('reload', '-a', moved)
    assert done.returncode == 2 and address in done.stderr and 'nothing has changed' in done.stderr
    assert refused(site.socket), 'what was opened for it is gone'
    assert ask(moved, 'GET', '/healthz').status == 200

    # Off, and on again by a signal.
    site.reload({**site.config, 'admin': 'off'})
    site.wait_event('reloaded', 'generation=5')
    assert refused(moved)
    site.reload(site.config)
    site.wait_event('reloaded', 'generation=6')
    wait_until(lambda: not refused(site.socket), what='the socket to be open again')
    assert ask(site.socket, 'GET', '/status').json()['admin']['read'] == 'token'
