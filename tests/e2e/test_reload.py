# SPDX-License-Identifier: MIT
"""Reload in place: a good file changes what it says and nothing else, a bad one changes nothing."""

import socket
import threading
import time

import pytest
from harness import free_port, one_pool, run_diplex, two_pools
from test_streams import socket_to
from wire import RawClient, wait_until


def say(word):
    def script(connection):
        while connection.read_request():
            connection.reply(word)

    return script


def test_routes_change_and_a_kept_connection_lives_on(diplex, scripted):
    old, new = scripted(say(b'old')), scripted(say(b'new'))
    site = diplex(one_pool('asgi', old))
    with site.client() as client:
        assert client.ask('GET', '/').body == b'old'
        site.reload(one_pool('asgi', new))
        site.wait_event('reloaded')
        assert client.ask('GET', '/').body == b'new'
    assert site.get('/').body == b'new'


def test_a_running_stream_lives_on(diplex, gunicorn, uvicorn):
    config = two_pools(gunicorn(workers=2), uvicorn())
    site = diplex(config)
    with site.client() as client:
        client.request('GET', '/async/events/?count=8&interval=200')
        client.head()
        pieces = client.pieces()
        next(pieces)
        for _ in range(3):
            site.reload({**config, 'routes': {'/': 'sync'}})
            site.wait_event(' reloaded ')
        assert site.get('/async/hello/').status == 404, 'new requests follow the new routes'
        assert b''.join(pieces).count(b'event: tick') == 7
        assert client.ask('GET', '/api/hello/').status == 200


def test_a_websocket_lives_on(diplex, gunicorn, uvicorn):
    config = two_pools(gunicorn(workers=2), uvicorn())
    site = diplex(config)
    with socket_to(site) as talk:
        site.reload({**config, 'routes': {'/': 'sync'}})
        site.wait_event('reloaded')
        talk.send('after')
        assert talk.recv(5) == 'after'


def test_a_running_upload_lives_on(diplex, gunicorn, uvicorn):
    config = two_pools(gunicorn(workers=2), uvicorn())
    site = diplex(config)
    with site.client() as client:
        client.send(
            b'POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: 6\r\n\r\nabc'
        )
        time.sleep(0.1)
        site.reload({**config, 'routes': {'/async/': 'async'}})
        site.wait_event('reloaded')
        client.send(b'def')
        assert client.response('POST').json()['size'] == 6


def test_a_request_of_a_pool_that_is_gone_never_goes_to_another(diplex, scripted):
    """Its body is still coming while two reloads take its pool away and give the pool's place to a new one."""
    servers = {name: scripted(say(name.encode())) for name in ('first', 'second', 'third')}

    def config(*names):
        pools = {name: {'kind': 'wsgi', 'servers': [servers[name].address]} for name in names}
        return {'pools': pools, 'routes': {'/': names[0]}}

    site = diplex(config('first'))
    with site.client() as client:
        client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
        time.sleep(0.1)
        site.reload(config('second'))
        site.wait_event('reloaded')
        site.reload(config('second', 'third'))
        site.wait_event('reloaded', count=2)
        client.send('def')
        assert client.response('POST').status == 503
    entry = site.wait_access(1)[0]
    assert (entry['outcome'], entry['pool'], entry['reason']) == (
        'pool_down', 'first', 'the pool has left the configuration',
    )  # fmt: skip
    assert [server.requests for server in servers.values()] == [[], [], []]
    assert site.get('/').body == b'second'


def test_connections_of_a_pool_that_did_not_change_are_kept(diplex, scripted):
    kept, other = scripted(say(b'kept')), scripted(say(b'other'))
    config = {
        'workers': 1,
        'pools': {
            'kept': {'kind': 'asgi', 'servers': [kept.address]},
            'other': {'kind': 'asgi', 'servers': [other.address]},
        },
        'routes': {'/': 'kept', '/other/': 'other'},
    }
    site = diplex(config)
    site.get('/')
    site.reload({**config, 'routes': {'/': 'kept', '/o/': 'other'}})
    site.wait_event('reloaded')
    for _ in range(3):
        assert site.get('/').body == b'kept'
    assert len(kept.connections) == 1
    assert [entry['reused'] for entry in site.wait_access(4)] == [False, True, True, True]


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('routes: [', 'diplex.yaml:'),
        ('routes:\n  /: nowhere\n', ':2:'),
        ('listen: "@LISTEN@"\npols: {}\nroutes:\n  /: asgi://127.0.0.1:1\n', 'pools'),
        ('listen: 17x\n', ':1:'),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(diplex, scripted, text, complaint):
    site = diplex(one_pool('asgi', scripted(say(b'still here'))))
    data = site.children()
    site.reload(text)
    site.wait_event(complaint)
    assert site.get('/').body == b'still here'
    assert site.children() == data and site.running()
    site.reload(one_pool('asgi', scripted(say(b'and on again'))))
    wait_until(lambda: site.get('/').body == b'and on again', what='the good file')


def test_a_missing_file_changes_nothing(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(say(b'still here'))))
    site.config_path.unlink()
    site.reload()
    site.wait_event('diplex.yaml')
    assert site.get('/').body == b'still here'


def test_listeners_come_and_go(diplex, scripted, directory):
    config = one_pool('asgi', scripted(say(b'ok')))
    site = diplex(config)
    port, unix = free_port(), str(directory / 'second.sock')
    with site.client() as kept:
        assert kept.ask('GET', '/').status == 200
        site.reload({**config, 'listen': [f'127.0.0.1:{port}', f'unix:{unix}']})
        site.wait_event('reloaded')
        for address in (('127.0.0.1', port), unix):
            with RawClient(address) as client:
                assert client.ask('GET', '/').status == 200

        def old_is_gone():
            try:
                RawClient(site.endpoint, patience=1).close()
            except OSError:
                return True
            return False

        wait_until(old_is_gone, 3, 'the old listener to close')
        assert kept.ask('GET', '/').status == 200, 'what was accepted there lives on'
    site.reload(config)
    wait_until(lambda: not old_is_gone(), 3, 'the old listener to be back')


def test_a_listener_that_is_taken_changes_nothing(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(say(b'still here'))))
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        address = '127.0.0.1:%d' % taken.getsockname()[1]
        site.reload({**one_pool('asgi', scripted(say(b'new'))), 'listen': [site.listen, address]})
        site.wait_event(address)
        assert site.get('/').body == b'still here'


def test_no_request_is_lost_while_reloading_again_and_again(diplex, gunicorn, uvicorn):
    config = two_pools(gunicorn(workers=2), uvicorn())
    site = diplex(config)
    statuses, stop = [], threading.Event()

    def visit():
        with site.client() as client:
            while not stop.is_set():
                statuses.append(client.ask('GET', '/api/hello/').status)
                statuses.append(site.get('/async/hello/').status)

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for number in range(12):
        site.reload({**config, 'limits': {'body': f'{number + 1}MB'}})
        time.sleep(0.1)
    stop.set()
    for visitor in visitors:
        visitor.join(10)
    assert set(statuses) == {200} and len(statuses) > 50
    assert len(site.children()) == 1, 'no generation lingers'


def test_the_reload_command(diplex, scripted, directory):
    admin = str(directory / 'admin.sock')
    config = {**one_pool('asgi', scripted(say(b'old'))), 'admin': admin}
    site = diplex(config)
    site.write_config({**one_pool('asgi', scripted(say(b'new'))), 'admin': admin})
    done = run_diplex('reload', '-c', site.config_path)
    assert done.returncode == 0, done.stderr
    assert site.get('/').body == b'new'
    site.config_path.write_text('routes: [')
    done = run_diplex('reload', '-c', site.config_path)
    assert done.returncode != 0 and 'diplex.yaml:' in done.stdout + done.stderr
    assert site.get('/').body == b'new'
