# SPDX-License-Identifier: MIT
"""Servers that fail, come and go: ejection, drains, slow starts, and clients that stay with one server."""

import collections
import itertools
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


rounds = itertools.count()  # what tells the requests of one question from those of others in the log


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
            (pool,) = json.loads(run('status', '--json'))['pools']
            return {server['address']: server for server in pool['servers']}

        site.run, site.change, site.servers = run, change, servers
        return site

    return start


def places(site, times, **headers):
    """Which server answered how many of so many requests."""
    path = f'/{next(rounds)}'
    for _ in range(times):
        assert site.get(path, headers).status == 200
    return collections.Counter(entry['server'] for entry in site.wait_access(times, path=path))


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
        before = site.servers()[goes.address]['requests_total']
        site.run('undrain', goes.address)
        wait_until(lambda: site.servers()[goes.address]['requests_total'] > before + 5, what='requests after its return')
    assert set(visitors.statuses) == {200} and len(visitors.statuses) > 40


@pytest.mark.parametrize('slots', [None, 2])
def test_a_drain_of_gunicorn_under_load_costs_no_request(operated, gunicorn, slots):
    goes = gunicorn(fresh=True, workers=2)
    site = operated(one_pool('wsgi', gunicorn(workers=2), goes, pool={'slots': slots} if slots else {}))
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
    assert {entry['server'] for entry in site.wait_access(4, path='/async/hello/')} == {other.address}


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


def test_what_waits_for_a_drained_server_goes_on_when_it_is_taken_back(operated, scripted):
    site = operated(one_pool('asgi', scripted(keep_answering), pool={'hold': {'wait': '10s'}}))
    (address,) = site.servers()
    site.run('drain', address)
    with site.client() as client:
        client.request('GET', '/')
        assert client.is_silent_for(0.3)
        site.run('undrain', address)
        assert client.response().status == 200


# ---- slow start ----------------------------------------------------------------------------------------------------


def test_a_server_that_comes_back_starts_slowly(operated, scripted):
    first, second = scripted(keep_answering), scripted(keep_answering)
    site = operated(one_pool('asgi', first, second, pool={'slow_start': '5s'}, workers=1))
    assert places(site, 20) == {first.address: 10, second.address: 10}, 'they begin together'
    site.run('drain', first.address)
    site.run('undrain', first.address)
    back = time.monotonic()
    early = places(site, 44)
    if time.monotonic() - back < 1.5:
        assert 1 <= early[first.address] <= 12, 'a tenth beside a whole is an eleventh, and three tenths a fourth'
    time.sleep(max(0, back + 5.1 - time.monotonic()))
    late = places(site, 40)
    assert abs(late[first.address] - late[second.address]) <= 3


def test_a_server_that_is_new_starts_slowly(operated, scripted):
    first, second = scripted(keep_answering), scripted(keep_answering)
    site = operated(one_pool('asgi', first, pool={'slow_start': '3s', 'balance': 'random'}, workers=1))
    time.sleep(3.1)
    site.change(servers=[first.address, second.address])
    added = time.monotonic()
    early = places(site, 44)
    if time.monotonic() - added < 1:
        assert early[second.address] <= 20


# ---- sticky --------------------------------------------------------------------------------------------------------


def the_cookie(answer, name='diplex_app'):
    """The cookie that the answer sets, as a client sends it back, and its attributes; None when it sets none."""
    found = [value for value in answer.all('set-cookie') if value.startswith(f'{name}=')]
    assert len(found) <= 1
    if not found:
        return None
    pair, *attributes = found[0].split('; ')
    assert re.fullmatch(rf'{name}=[0-9a-f]{{1,16}}', pair), pair
    return pair, attributes


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_client_stays_with_its_server_by_cookie(operated, scripted, kind):
    servers = [scripted(keep_answering) for _ in range(3)]
    site = operated(one_pool(kind, *servers, pool={'sticky': 'cookie'}))
    homes = {}
    for _ in range(12):
        pair, attributes = the_cookie(site.get('/'))
        assert attributes == ['Path=/', 'HttpOnly', 'SameSite=Lax']
        homes[pair] = None
    assert len(homes) == 3, 'one cookie for each server'
    for pair in homes:
        for _ in range(5):
            answer = site.get(f'/{pair[-4:]}', {'Cookie': f'a=1; {pair}; diplex_ap=2'})
            assert the_cookie(answer) is None, 'it is known already'
        (homes[pair],) = {entry['server'] for entry in site.wait_access(5, path=f'/{pair[-4:]}')}
    assert set(homes.values()) == {server.address for server in servers}
    pair, home = next(iter(homes.items()))
    site.run('drain', home)
    new, _ = the_cookie(site.get('/', {'Cookie': pair}))
    assert new != pair and homes[new] != home
    site.run('undrain', home)
    assert set(places(site, 4, Cookie=new)) == {homes[new]}
    assert set(places(site, 4, Cookie=pair)) == {home}


def test_a_cookie_is_good_for_every_copy_with_the_same_secret(diplex, scripted):
    servers = [scripted(keep_answering) for _ in range(3)]

    def front(**sticky):
        return diplex(one_pool('asgi', *servers, pool={'sticky': {'cookie': 'where', **sticky}}))

    one, two, other = front(secret='s'), front(secret='s'), front(secret='t')
    pair, _ = the_cookie(one.get('/'), 'where')
    home = one.wait_access(1)[0]['server']
    for _ in range(4):
        assert the_cookie(two.get('/', {'Cookie': pair}), 'where') is None
    assert {entry['server'] for entry in two.wait_access(4)} == {home}
    assert the_cookie(other.get('/', {'Cookie': pair}), 'where') is not None, 'it names nobody there'


def test_the_cookie_is_secure_when_the_client_came_by_https(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(keep_answering), pool={'sticky': 'cookie'}, trusted_proxies='loopback'))
    assert 'Secure' in the_cookie(site.get('/', {'X-Forwarded-Proto': 'https'}))[1]
    assert 'Secure' not in the_cookie(site.get('/', {'X-Forwarded-Proto': 'http'}))[1]


@pytest.mark.parametrize('broken', ['', 'x', '0', '00000000000000001', 'ABCDEF', '1 2', '"1"'])
def test_a_cookie_that_was_made_up_names_nobody(diplex, scripted, broken):
    site = diplex(one_pool('asgi', scripted(keep_answering), scripted(keep_answering), pool={'sticky': 'cookie'}))
    assert the_cookie(site.get('/', {'Cookie': f'diplex_app={broken}'})) is not None


def test_no_cookie_from_diplex_itself(diplex, scripted):
    pool = {'sticky': 'cookie', 'limits': {'body': 1}}
    site = diplex(one_pool('asgi', scripted(keep_resetting), pool=pool))
    refused, failed = site.ask('POST', '/', body=b'12'), site.ask('POST', '/', body=b'1')
    assert (refused.status, the_cookie(refused)) == (413, None) and (failed.status, the_cookie(failed)) == (502, None)


def test_websockets_and_streams_stay_with_their_server(diplex, uvicorn):
    servers = uvicorn(), uvicorn(http='h11')
    site = diplex(one_pool('asgi', *servers, pool={'sticky': 'cookie'}))
    with socket_to(site) as socket:
        (value,) = socket.response.headers.get_all('Set-Cookie')
        pair = value.partition(';')[0]
        socket.send('hello')
        assert socket.recv(5) == 'hello'
    for _ in range(3):
        with socket_to(site, additional_headers={'Cookie': pair}) as socket:
            assert 'Set-Cookie' not in socket.response.headers
        assert site.get('/async/hello/', {'Cookie': pair}).status == 200
    assert len({entry['server'] for entry in site.wait_access(7)}) == 1


def test_a_sticky_request_does_not_wait_for_its_own_server(diplex, scripted):
    release = threading.Event()

    def script(connection):
        while request := connection.read_request():
            if request.target == '/slow':
                release.wait(5)
            connection.reply()

    servers = [scripted(script) for _ in range(2)]
    site = diplex(one_pool('wsgi', *servers, pool={'sticky': 'cookie', 'slots': 1}, workers=1))
    pair, _ = the_cookie(site.get('/'))
    home = site.wait_access(1)[0]['server']
    with site.client() as client:
        client.request('GET', '/slow', {'Cookie': pair})
        wait_until(lambda: any(request.target == '/slow' for server in servers for request in server.requests))
        assert the_cookie(site.get('/', {'Cookie': pair})) is None, 'its home is as it was'
        assert site.wait_access(2)[1]['server'] != home
        release.set()
        assert client.response().status == 200
    site.wait_access(3)
    assert places(site, 3, Cookie=pair) == {home: 3}


def homes_by(site, keys, header):
    """Where each key leads to, asked twice."""
    host = f'{next(rounds)}.example'
    for key in keys:
        for _ in range(2):
            assert site.get(f'/{key}', {header: key, 'Host': host}).status == 200
    homes = collections.defaultdict(set)
    for entry in site.wait_access(2 * len(keys), host=host):
        homes[entry['path'][1:]].add(entry['server'])
    assert all(len(servers) == 1 for servers in homes.values()), 'the same key, the same server'
    return {key: servers.pop() for key, servers in homes.items()}


@pytest.mark.parametrize(
    ('sticky', 'header'), [({'header': 'X-Session'}, 'x-session'), ('client_ip', 'X-Forwarded-For')]
)
def test_a_server_more_takes_its_share_of_the_clients_and_no_other_moves(operated, scripted, sticky, header):
    servers = [scripted(keep_answering) for _ in range(4)]
    site = operated(one_pool('asgi', *servers[:3], pool={'sticky': sticky}, trusted_proxies='loopback'))
    keys = [f'192.0.2.{number}' for number in range(60)]
    three = homes_by(site, keys, header)
    assert min(collections.Counter(three.values()).values()) >= 8 and len(set(three.values())) == 3
    site.change(servers=[server.address for server in servers])
    four = homes_by(site, keys, header)
    moved = {key for key in keys if four[key] != three[key]}
    assert {four[key] for key in moved} == {servers[3].address} and 5 <= len(moved) <= 27, 'a fourth is 15'
    site.run('drain', servers[0].address)
    without = homes_by(site, keys, header)
    assert servers[0].address not in without.values()
    assert {key for key in keys if without[key] != four[key]} == {key for key in keys if four[key] == servers[0].address}
    site.run('undrain', servers[0].address)
    assert homes_by(site, keys, header) == four


def test_requests_without_the_header_go_in_turn(diplex, scripted):
    servers = [scripted(keep_answering) for _ in range(2)]
    site = diplex(one_pool('asgi', *servers, pool={'sticky': {'header': 'X-Session'}}, workers=1))
    assert places(site, 10) == {server.address: 5 for server in servers}
    assert len(places(site, 10, **{'X-Session': 'a'})) == 1
