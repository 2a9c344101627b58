# SPDX-License-Identifier: MIT
"""What /status says of the requests that run: each server's, who waits and why, streams, and what no server has."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import threading

import pytest

from wire import PATIENCE, RawClient, wait_until


@pytest.fixture
def front(diplex, scripted, directory):
    """front(pools, routes, **more): diplex with an admin socket, `.status()` and a `.gate` that its servers wait for."""

    def start(make, **more):
        gate = threading.Event()
        site = diplex({**make(lambda script: scripted(lambda c: script(c, gate)).address),
                       'admin': str(directory / 'admin.sock'), **more})  # fmt: skip
        site.gate = gate
        site.admin = str(directory / 'admin.sock')

        def status(query: str = '') -> dict:
            with RawClient(site.admin) as client:
                answer = client.ask('GET', '/status' + query)
                assert answer.status == 200
                return answer.json()

        site.status = status
        return site

    return start


def when_told(connection, gate):
    while connection.read_request():
        gate.wait(60)
        connection.reply()


def streaming(connection, gate):
    if connection.read_request():
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
        gate.wait(60)


def slots(address):
    return {
        'pools': {'web': {'kind': 'wsgi', 'slots': 1, 'servers': [address(when_told)], 'queue': {'max': 10}},
                  'live': {'kind': 'asgi', 'servers': [address(streaming)]},
                  'gone': {'kind': 'wsgi', 'servers': ['127.0.0.1:1'], 'hold': '60s'}},
        'routes': {'/live': 'live', '/gone': 'gone', '/': 'web'},
    }  # fmt: skip


def told(status: dict) -> dict:
    pools = {pool['name']: pool for pool in status['pools']}
    return {
        'running': [r for p in pools.values() for s in p['servers'] for r in s['requests']],
        'waiting': [(name, r) for name, pool in pools.items() for r in pool['waiting']],
        'streams': status['streams'],
        'elsewhere': status['elsewhere'],
    }


def test_each_request_where_it_is(front):
    site = front(slots, workers=2, log={'query': 'hidden'})
    clients = [site.client() for _ in range(4)]
    try:
        clients[0].request('GET', '/first?token=secret&x=1', {'Host': 'example.com', 'X-Request-ID': 'never-believed'})
        wait_until(lambda: len(told(site.status())['running']) == 1, what='the first to run')
        clients[1].request('POST', '/second', {'Connection': 'close'})
        clients[2].request('GET', '/gone/away')
        clients[3].request('GET', '/live/events')
        assert clients[3].head().status == 200
        seen = wait_until(lambda: (t := told(site.status())) and len(t['waiting']) == 2 and len(t['streams']) == 1 and t,
                          what='two to wait and one to stream')  # fmt: skip

        first = next(r for r in seen['running'] if r['path'].startswith('/first'))
        assert first['path'] == '/first?token=***&x=1' and first['host'] == 'example.com' and first['method'] == 'GET'
        assert (first['route'], first['state'], first['client'], first['streaming']) == ('/', 'await_head', '127.0.0.1', False)
        assert first['age_ms'] >= 0 and first['worker'] in (0, 1) and first['id'] and first['id'] != 'never-believed'

        waiting = {pool: r for pool, r in seen['waiting']}
        assert waiting['web']['why'] == 'slot' and waiting['web']['path'] == '/second' and waiting['web']['method'] == 'POST'
        assert waiting['gone']['why'] == 'server' and waiting['gone']['route'] == '/gone'

        (stream,) = seen['streams']
        assert stream['pool'] == 'live' and stream['path'] == '/live/events' and stream['server'].startswith('127.0.0.1:')
        assert stream['streaming'] and stream['bytes_out'] > 0 and stream['state'] == 'relay'
        assert stream['id'] in [r['id'] for r in seen['running']]

        status = site.status()
        web = next(pool for pool in status['pools'] if pool['name'] == 'web')
        assert web['servers'][0]['slots'] == 1 and web['servers'][0]['active'] == 1 and web['queued'] == 1
        whole = {'taken': True, 'missing_workers': [], 'left_out': 0}
        wait_until(lambda: site.status()['snapshot'] == whole, what='both workers to answer in time')

        cheap = site.status('?requests=no&config=no')
        assert 'config' not in cheap and cheap['snapshot']['taken'] is False and told(cheap)['running'] == []
    finally:
        site.gate.set()
        for client in clients:
            client.close()
    wait_until(lambda: not any(told(site.status())[key] for key in ('running', 'streams')), what='all to have gone')


def test_a_head_and_a_body_on_their_way(front):
    site = front(slots, workers=1)
    with site.client() as head, site.client() as body:
        head.send('GET /half HTTP/1.1\r\nHost')
        body.send('POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf')
        seen = wait_until(lambda: (t := told(site.status())['elsewhere']) and len(t) == 2 and t, what='both to be told of')
        assert sorted(r['state'] for r in seen) == ['read_body', 'read_head']
        assert next(r for r in seen if r['state'] == 'read_body')['path'] == '/upload'
        assert next(r for r in seen if r['state'] == 'read_head')['path'] == ''


def test_many_who_ask_share_the_answer(front):
    site = front(slots, workers=1)
    clients = [RawClient(site.admin) for _ in range(20)]

    def all_are_told() -> bool:
        for client in clients:
            client.request('GET', '/status')
        return all([client.response().json()['snapshot']['taken'] for client in clients])

    wait_until(all_are_told, what='data to answer in time')
    for client in clients:
        client.close()


def stands_still(pid: int) -> bool:
    tasks = pathlib.Path(f'/proc/{pid}/task').iterdir()
    return all((task / 'stat').read_text().rsplit(')', 1)[1].split()[0] == 'T' for task in tasks)


def test_a_worker_that_does_not_answer_is_named(front):
    """Data stands still: control goes on, and says within a moment whom it could not ask."""
    site = front(slots, workers=2)
    wait_until(lambda: site.status()['snapshot']['taken'], what='data to answer in time')
    (data,) = site.children()
    os.kill(data, signal.SIGSTOP)
    try:
        wait_until(lambda: stands_still(data), what='all of its threads to stand still')
        snapshot = site.status()['snapshot']
        assert snapshot['taken'] is False and site.status('?requests=no')['ready']
    finally:
        os.kill(data, signal.SIGCONT)
    wait_until(lambda: site.status()['snapshot']['taken'], what='data to answer again')


def test_more_than_there_is_room_for(front):
    site = front(lambda address: {'pools': {'web': {'kind': 'asgi', 'servers': [address(when_told)]}}, 'routes': {'/': 'web'}},
                 workers=1)  # fmt: skip
    clients = [site.client() for _ in range(600)]
    try:
        for n, client in enumerate(clients):
            client.request('GET', f'/{n}')
        wait_until(lambda: site.status('?requests=no')['counters']['requests_running'] == 600, 4 * PATIENCE, 'all to run')
        status = wait_until(lambda: (s := site.status())['snapshot']['left_out'] == 600 - 512 and s, what='the worker to answer')
        (server,) = status['pools'][0]['servers']
        assert len(server['requests']) == 256 and server['requests_left_out'] == 512 - 256
        ages = [r['age_ms'] for r in server['requests']]
        assert ages == sorted(ages, reverse=True), 'the oldest first'
    finally:
        site.gate.set()
        for client in clients:
            client.close()


def test_the_log_level(front):
    site = front(slots, workers=1)

    def level() -> str:
        return site.status('?requests=no&config=no')['log_level']

    assert level() == 'info'
    with RawClient(site.admin) as client:
        assert client.ask('POST', '/log?level=debug').json()['log_level'] == 'debug'
    assert level() == 'debug'
    site.write_config(json.loads(site.config_path.read_text()))
    site.signal(signal.SIGHUP)
    site.wait_event('reloaded')
    assert level() == 'info'
