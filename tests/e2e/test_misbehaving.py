# SPDX-License-Identifier: MIT
"""Servers that fail, come and go: ejection, drains, slow starts, and clients that stay with one server."""

import collections
import json
import os
import re
import signal
import threading
import time

import pytest
from harness import one_pool, run_diplex
from test_servers import Visitors
from test_streams import socket_to
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def keep_resetting(connection):
    connection.read_request()
    connection.reset()


def has_ended(connection):
    """The script of this connection has returned, which these do when the other side closes."""
    return connection.socket.fileno() == -1


@pytest.fixture
def operated(diplex, directory):
    """operated(config): diplex with an admin socket, and `.run(command, ...)` to speak with it."""

    def start(config, **more):
        site = diplex({**config, 'admin': str(directory / 'admin.sock')}, **more)
        site.config = config
        site.admin = str(directory / 'admin.sock')

        def run(*words, code=0):
            done = run_diplex(*words, '-a', site.admin)
            assert done.returncode == code, done
            return done.stdout + done.stderr

        def change(**pool):
            """A reload with other settings of the pool."""
            site.config = {**site.config, 'pools': {'app': {**site.config['pools']['app'], **pool}}}
            site.write_config({**site.config, 'admin': site.admin})
            assert run('reload') == 'reloaded\n'

        def servers():
            (pool,) = json.loads(run('status'))['pools']
            return {server['address']: server for server in pool['servers']}

        site.run, site.change, site.servers = run, change, servers
        return site

    return start


def places(site, times, **headers):
    """Which server answered how many of so many requests."""
    before = len(site.access())
    for _ in range(times):
        assert site.get('/', headers).status == 200
    return collections.Counter(entry['server'] for entry in site.wait_access(before + times)[before:])


# ---- eject ---------------------------------------------------------------------------------------------------------


def test_no_more_than_a_part_of_the_servers_is_ejected(diplex, scripted):
    bad = [scripted(keep_resetting) for _ in range(4)]
    site = diplex(one_pool('asgi', *bad, pool={'eject': {'failures': 2, 'for': '60s'}}, workers=1))
    for _ in range(40):
        assert site.ask('POST', '/', body=b'x').status == 502
    site.wait_event('server_down', 'passive', count=2)
    time.sleep(0.2)
    assert sum('server_down' in line for line in site.events()) == 2, 'half of four'


def test_the_part_may_be_all_but_the_last(diplex, scripted):
    bad = [scripted(keep_resetting) for _ in range(3)]
    site = diplex(one_pool('asgi', *bad, pool={'eject': {'failures': 1, 'for': '60s', 'max': '100%'}}, workers=1))
    for _ in range(12):
        site.ask('POST', '/', body=b'x')
    site.wait_event('server_down', 'passive', count=2)
    time.sleep(0.2)
    assert sum('server_down' in line for line in site.events()) == 2


def test_one_that_fails_again_is_left_out_longer(diplex, scripted):
    good, bad = scripted(keep_answering), scripted(keep_resetting)
    site = diplex(one_pool('asgi', good, bad, pool={'eject': {'failures': 1, 'for': '300ms'}}, workers=1))

    def away():
        """How long it is left out, from its next failure on."""
        number = len(bad.requests)
        wait_until(lambda: site.ask('POST', '/', body=b'x') and len(bad.requests) > number, what='a failure')
        left = time.monotonic()
        downs = sum('server_up' in line for line in site.events())
        site.wait_event('server_up', bad.address, count=downs + 1)
        return time.monotonic() - left

    first, second, third = away(), away(), away()
    assert 0.2 < first < second < third and third > 0.8


# ---- drain ---------------------------------------------------------------------------------------------------------


def test_a_drain_under_load_costs_no_request(operated, uvicorn):
    goes = uvicorn(fresh=True)
    site = operated(one_pool('asgi', uvicorn(), goes))
    with Visitors(site, ('GET', '/async/hello/', None), ('POST', '/async/upload/', b'abc')) as visitors:
        time.sleep(0.3)
        assert site.run('drain', goes.address, '--wait', '10s') == f'{goes.address}: drained, 0 running\n'
        goes.stop()
        time.sleep(0.3)
        goes.start()
        before = site.servers()[goes.address]['requests']
        site.run('undrain', goes.address)
        wait_until(lambda: site.servers()[goes.address]['requests'] > before + 5, what='requests after its return')
    assert set(visitors.statuses) == {200} and len(visitors.statuses) > 40


def test_a_drain_of_gunicorn_under_load_costs_no_request(operated, gunicorn):
    goes = gunicorn(fresh=True, workers=2)
    site = operated(one_pool('wsgi', gunicorn(workers=2), goes))
    with Visitors(site, ('GET', '/api/slow/20/', None), ('POST', '/api/upload/', b'abc')) as visitors:
        time.sleep(0.3)
        site.run('drain', goes.address, '-w', '10s')
        goes.stop()
        time.sleep(0.3)
    assert set(visitors.statuses) == {200}
    site.wait_event('server_drained', 'pool=app', f'server={goes.address}')


def test_streams_of_a_drained_server_go_on(operated, uvicorn):
    server, other = uvicorn(fresh=True), uvicorn()
    site = operated(one_pool('asgi', server))
    with site.client() as client, socket_to(site) as socket:
        client.request('GET', '/async/events/?count=8&interval=100')
        client.head()
        site.change(servers=[server.address, other.address])
        assert site.run('drain', server.address) == f'{server.address}: drained, 2 running\n'
        for _ in range(4):
            assert site.get('/async/hello/').status == 200
        assert b''.join(client.pieces()).count(b'event: tick') == 8
        socket.send('still here')
        assert socket.recv(5) == 'still here'
        said = site.run('drain', server.address, '--wait', '300ms', code=1)
        assert said == f'{server.address}: drained, 1 running\n'
        status = site.servers()[server.address]
        assert (status['state'], status['why'], status['active']) == ('down', 'drained', 1)
    assert site.run('drain', server.address, '--wait', '5s') == f'{server.address}: drained, 0 running\n'
    assert {e['server'] for e in site.access() if e['path'] == '/async/hello/'} == {other.address}


def test_idle_connections_to_a_drained_server_are_closed(operated, scripted):
    first, second = scripted(keep_answering), scripted(keep_answering)
    site = operated(one_pool('asgi', first, second, pool={'keepalive': '1h'}))
    places(site, 8)
    connections = list(first.connections)
    assert connections and site.servers()[first.address]['connections'] > 0
    site.run('drain', first.address)
    wait_until(lambda: all(has_ended(connection) for connection in connections), what='the end of idle connections')
    assert wait_until(lambda: site.servers()[first.address]['connections'] == 0)
    assert site.servers()[second.address]['connections'] > 0


def test_a_connection_that_was_busy_at_the_drain_is_not_kept(operated, scripted):
    release = threading.Event()

    def script(connection):
        while connection.read_request():
            release.wait(5)
            connection.reply()

    server = scripted(script)
    site = operated(one_pool('asgi', server, pool={'keepalive': '1h'}))
    with site.client() as client:
        client.request('GET', '/')
        wait_until(lambda: server.requests)
        said = site.run('drain', server.address)
        assert said == f'{server.address}: drained, 1 running\nits pool has no other server that is up\n'
        release.set()
        assert client.response().status == 200
        wait_until(lambda: has_ended(server.connections[0]), what='the end of its connection')
    assert site.get('/').status == 503
    site.wait_event('pool_down')
    site.run('undrain', server.address)
    assert site.get('/').status == 200


def test_a_drain_outlives_reloads_and_data(operated, scripted):
    first, second = scripted(keep_answering), scripted(keep_answering)
    site = operated(one_pool('asgi', first, second))
    site.deaths_are_expected = True
    site.run('drain', f'app/{first.address}')
    assert places(site, 6) == {second.address: 6}
    site.change(balance='least_conn')
    assert places(site, 6) == {second.address: 6}
    (data,) = site.children()
    os.kill(data, signal.SIGKILL)
    site.wait_event('data_ready')
    assert places(site, 6) == {second.address: 6}
    site.change(servers=[second.address])
    site.change(servers=[first.address, second.address])
    assert set(places(site, 8)) == {first.address, second.address}, 'it left the file, and the order with it'


def test_a_server_may_be_called_by_its_name_or_its_address(operated, scripted):
    server = scripted(keep_answering)
    name = server.address.replace('127.0.0.1', 'localhost')
    site = operated(one_pool('asgi', name, scripted(keep_answering)))
    wait_until(lambda: server.address in site.servers())
    for called in (name, server.address, f'{name}@{server.address}', f'app/{name}', f'app/{server.address}'):
        site.run('drain', called)
        assert site.servers()[server.address]['why'] == 'drained', called
        site.run('undrain', called)
        assert site.servers()[server.address]['state'] == 'up', called
    said = site.run('drain', 'nobody', code=2)
    assert 'no server is called so; there are:' in said
    assert re.search(rf'^  app/{name} .*{server.address}', said, re.M)


def test_a_name_in_two_pools_needs_its_pool(operated, scripted):
    server = scripted(keep_answering)
    pools = {name: {'kind': 'asgi', 'servers': [server.address], 'hold': 'off'} for name in ('one', 'two')}
    site = operated({'pools': pools, 'routes': {'/': 'one', '/two/': 'two'}})
    said = site.run('drain', server.address, code=2)
    assert 'more than one' in said and f'one/{server.address}' in said and f'two/{server.address}' in said
    site.run('drain', f'two/{server.address}')
    assert (site.get('/').status, site.get('/two/').status) == (200, 503)
    assert run_diplex('drain', 'x', '-w', 'soon', '-a', site.admin).returncode == 2
