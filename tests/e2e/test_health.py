# SPDX-License-Identifier: MIT
"""Health: who is down and why, who comes back, and who is only busy."""

import threading
import time

import pytest
from harness import free_port, one_pool, two_pools
from wire import wait_until

SOON = {'interval': '200ms', 'timeout': '500ms', 'retries': 2, 'start_period': '0s'}
SYNC = {'health': {'path': '/healthz/', **SOON}}
ASYNC = {'health': {'path': '/async/healthz/', **SOON}}


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


@pytest.mark.parametrize('unix', [False, True])
def test_gunicorn_goes_down_and_comes_back(diplex, gunicorn, uvicorn, unix):
    server = gunicorn(fresh=True, workers=1, unix=unix)
    site = diplex(two_pools(server, uvicorn(unix=unix), sync=SYNC, async_=ASYNC))
    site.wait_event('server_up', server.address)
    assert site.get('/api/hello/').status == 200
    server.kill()
    site.wait_event('server_down', server.address)
    answer = site.get('/api/hello/')
    assert answer.status == 503 and int(answer.get('retry-after')) >= 1
    assert site.get('/async/hello/').status == 200, 'the other half does not notice'
    server.start()
    site.wait_event('server_up', server.address, count=2)
    assert site.get('/api/hello/').status == 200
    time.sleep(0.6)
    downs = [line for line in site.events() if 'server_down' in line and server.address in line]
    assert len(downs) == 1, 'a change is logged once'
    assert 'reason=' in downs[0]


def test_uvicorn_goes_down_and_comes_back(diplex, gunicorn, uvicorn):
    server = uvicorn(fresh=True)
    site = diplex(two_pools(gunicorn(workers=2), server, sync=SYNC, async_=ASYNC))
    site.wait_event('server_up', server.address)
    assert site.get('/async/hello/').status == 200
    server.kill()
    site.wait_event('server_down', server.address)
    assert site.get('/async/hello/').status == 503
    assert site.get('/api/hello/').status == 200
    server.start()
    site.wait_event('server_up', server.address, count=2)
    assert site.get('/async/hello/').status == 200


def test_a_server_that_starts_late(diplex, gunicorn):
    server = gunicorn(fresh=True, start=False, workers=1)
    site = diplex(one_pool('wsgi', server, pool=SYNC))
    assert site.get('/api/hello/').status in (502, 503)
    server.start()
    wait_until(lambda: site.get('/api/hello/').status == 200, 5, 'the server to be used')


def test_requests_move_to_the_server_that_is_left(diplex, gunicorn):
    stays, goes = gunicorn(workers=2), gunicorn(fresh=True, workers=1)
    site = diplex(one_pool('wsgi', stays, goes, pool=SYNC))
    seen = {site.get('/api/hello/').json()['process']['pid'] for _ in range(20)}
    assert len(seen) >= 2, 'both servers work'
    goes.kill()
    assert [site.get('/api/hello/').status for _ in range(40)] == [200] * 40
    assert [site.ask('POST', '/api/upload/', {'Content-Type': 'x/y'}, b'abc').status for _ in range(10)] == [200] * 10
    site.wait_event('server_down', goes.address)


def test_a_busy_server_is_not_dead(diplex, gunicorn):
    """One sync worker: a probe waits behind the running request, and that is no reason to give the server up."""
    server = gunicorn(fresh=True, workers=1)
    site = diplex(one_pool('wsgi', server, pool={'health': {'path': '/healthz/', **SOON, 'timeout': '300ms'}}))
    assert site.get('/api/hello/').status == 200
    statuses = []

    def visit(path):
        statuses.append(site.get(path).status)

    visitors = [
        threading.Thread(target=visit, args=(path,)) for path in ['/api/slow/1500/', '/api/slow/1500/', '/api/hello/']
    ]
    for visitor in visitors:
        visitor.start()
        time.sleep(0.1)
    for visitor in visitors:
        visitor.join(10)
    assert statuses == [200, 200, 200]
    assert not [line for line in site.events() if 'server_down' in line], site.stderr


def test_a_server_whose_health_page_fails_is_taken_out(diplex, scripted):
    healthy = threading.Event()

    def script(connection):
        while request := connection.read_request():
            if request.target == '/healthz/' and not healthy.is_set():
                connection.reply(b'no', '500 Internal Server Error')
            else:
                connection.reply()

    server = scripted(script)
    site = diplex(one_pool('asgi', server, pool={'health': {'path': '/healthz/', **SOON}}))
    site.wait_event('server_down', server.address)
    assert site.get('/').status == 503
    healthy.set()
    site.wait_event('server_up', server.address)
    assert site.get('/').status == 200


def test_what_counts_as_healthy_can_be_said(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply(b'', '401 Unauthorized')

    server = scripted(script)
    site = diplex(one_pool('asgi', server, pool={'health': {'path': '/x/', **SOON, 'expect': '200-401'}}))
    wait_until(lambda: len(server.requests) >= 4, what='some probes')
    assert site.get('/').status == 401
    assert not [line for line in site.events() if 'server_down' in line]


@pytest.mark.parametrize('unix', [False, True])
def test_the_host_of_a_probe_is_one_that_django_allows(diplex, scripted, unix):
    server = scripted(keep_answering, unix=unix)
    site = diplex(one_pool('wsgi', server, pool={'health': {'path': '/healthz/', **SOON}}))
    wait_until(lambda: server.requests, what='a probe')
    probe = server.requests[0]
    assert (probe.method, probe.target) == ('GET', '/healthz/')
    assert probe.get('host') == 'localhost', 'never the name of the server'
    site.write_config(one_pool('wsgi', server, pool={'health': {'path': '/h/', 'host': 'www.example.org', **SOON}}))
    site.reload()
    wait_until(
        lambda: [r for r in server.requests if (r.target, r.get('host')) == ('/h/', 'www.example.org')],
        what='the new probe',
    )


def test_probes_are_not_in_the_access_log(diplex, gunicorn):
    site = diplex(one_pool('wsgi', gunicorn(workers=2), pool=SYNC))
    time.sleep(0.8)
    site.get('/api/hello/')
    site.wait_access(1)
    assert [entry['path'] for entry in site.access()] == ['/api/hello/']


def test_the_last_server_is_never_taken_out_by_failures_of_requests_alone(diplex, gunicorn):
    server = gunicorn(fresh=True, workers=1)
    site = diplex(one_pool('wsgi', server))
    server.kill()
    assert {site.get('/api/hello/').status for _ in range(10)} == {502}, 'each request tries again'
    server.start()
    assert site.get('/api/hello/').status == 200, 'and the first one after its return succeeds'


def test_a_server_that_resets_connections_is_left_out_for_a_while(diplex, scripted):
    good = scripted(keep_answering)
    bad = scripted(lambda connection: (connection.read_request(), connection.reset()))
    site = diplex(one_pool('asgi', good, bad, pool={'eject': {'failures': 3, 'within': '10s', 'for': '10s'}}))
    statuses = [site.ask('POST', '/', body=b'x').status for _ in range(12)]
    assert 502 in statuses, 'a POST that was sent is not sent again'
    site.wait_event('server_down', bad.address)
    before = len(bad.requests)
    assert {site.ask('POST', '/', body=b'x').status for _ in range(20)} == {200}
    assert len(bad.requests) == before


def test_a_backup_is_used_only_when_the_others_are_down(diplex, gunicorn):
    first, spare = gunicorn(fresh=True, workers=1), gunicorn(workers=2)
    pool = {'servers': [first.address, {'address': spare.address, 'backup': True}], **SYNC}
    site = diplex(one_pool('wsgi', first, pool=pool))
    site.wait_event('server_up', first.address)
    pids = {site.get('/api/hello/').json()['process']['pid'] for _ in range(8)}
    assert len(pids) == 1
    first.kill()
    site.wait_event('server_down', first.address)
    after = {site.get('/api/hello/').json()['process']['pid'] for _ in range(8)}
    assert pids.isdisjoint(after)


@pytest.mark.parametrize('balance', ['round_robin', 'least_conn', 'random'])
def test_balance(diplex, scripted, balance):
    servers = [scripted(keep_answering) for _ in range(3)]
    site = diplex(one_pool('asgi', *servers, pool={'balance': balance}, workers=1))
    for _ in range(60):
        assert site.get('/').status == 200
    counts = [len(server.requests) for server in servers]
    assert sum(counts) == 60
    if balance == 'round_robin':
        assert counts == [20, 20, 20]
    if balance == 'random':
        assert min(counts) >= 5


def test_weights(diplex, scripted):
    heavy, light = scripted(keep_answering), scripted(keep_answering)
    pool = {'servers': [{'address': heavy.address, 'weight': 3}, light.address]}
    site = diplex(one_pool('asgi', heavy, pool=pool, workers=1))
    for _ in range(40):
        site.get('/')
    assert (len(heavy.requests), len(light.requests)) == (30, 10)


def test_nothing_listens(diplex):
    site = diplex(one_pool('asgi', f'127.0.0.1:{free_port()}', f'127.0.0.1:{free_port()}'))
    answer = site.get('/')
    assert answer.status == 502
    assert site.wait_access(1)[0]['outcome'] == 'connect_failed'


def test_names_are_resolved_and_may_be_missing(diplex, gunicorn):
    """diplex starts with a name that does not resolve, and serves what does."""
    server = gunicorn(workers=2)
    site = diplex(
        {
            'pools': {
                'here': {'kind': 'wsgi', 'servers': [f'localhost:{server.port}']},
                'nowhere': {'kind': 'asgi', 'servers': ['no-such-name.invalid:8000'], 'hold': 'off'},
            },
            'routes': {'/': 'here', '/async/': 'nowhere'},
        }
    )
    wait_until(lambda: site.get('/api/hello/').status == 200, 5, 'the name to be resolved')
    assert site.get('/async/').status in (502, 503)
