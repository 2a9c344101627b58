# SPDX-License-Identifier: MIT
"""Which requests are told: a sample of the ordinary ones, none of some routes, and the slow ones with where the time went."""

import json
import re
import time

import pytest
from harness import one_pool, two_pools
from wire import wait_until


def by_path(connection):
    """The status is in the path, as /500; /late/... is answered after 0.3 s."""
    while request := connection.read_request():
        words = request.target.split('?')[0].strip('/').split('/')
        if words[0] == 'late':
            time.sleep(0.3)
        connection.reply(status=next((int(word) for word in words if word.isdigit() and len(word) == 3), 200))


def ask(site, *targets):
    with site.client() as client:
        for target in targets:
            client.ask('GET', target)


def paths(site):
    return [entry['path'] for entry in site.access()]


# ---- sampling ------------------------------------------------------------------------------------------------------


def test_a_sample_says_how_many_requests_each_line_stands_for(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(by_path), log={'sample': '25%'}))
    ask(site, *['/ordinary'] * 2000, '/500', '/the/503/end', '/404')
    entries = site.wait_access(1, path='/the/503/end')
    assert site.stop() == 0
    entries = site.access()
    ordinary = [entry for entry in entries if entry['path'] == '/ordinary']
    # 500 are expected; 6 standard deviations are 116, which happens once in 500 million runs.
    assert 380 < len(ordinary) < 620
    assert {entry['sample'] for entry in ordinary} == {4}
    always = [entry for entry in entries if entry['status'] >= 500]
    assert [(entry['path'], entry['sample']) for entry in always] == [('/500', 1), ('/the/503/end', 1)]


def test_an_uneven_sample_is_told_in_thousandths(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(by_path), log={'sample': '30%'}))
    ask(site, *['/x'] * 200)
    assert {entry['sample'] for entry in site.wait_access(1)} == {3.333}


def test_what_went_wrong_and_what_was_slow_is_in_every_sample(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(by_path), log={'sample': '1%', 'slow': '200ms', 'access': 'json'}, limits={'url': '200'}))
    for number in range(3):
        ask(site, f'/late/{number}')
        assert site.get('/' + 'x' * 300).status == 414
    entries = site.wait_access(6)
    assert sum(entry['outcome'] == 'bad_request' for entry in entries) == 3
    assert {entry['path'] for entry in entries} >= {'/late/0', '/late/1', '/late/2'}
    assert {entry['sample'] for entry in entries} == {1}


@pytest.mark.parametrize('form', ['combined', 'common'])
def test_the_formats_of_others(diplex, scripted, form):
    site = diplex(one_pool('asgi', scripted(by_path), log=form))
    site.ask('GET', '/a?b=c', {'Referer': 'http://x/y', 'User-Agent': 'me/1.0'})
    wait_until(lambda: site.stdout.endswith('\n'))
    tail = r' "http://x/y" "me/1\.0"' if form == 'combined' else ''
    assert re.fullmatch(rf'127\.0\.0\.1 - - \[[^]]+\] "GET /a\?b=c HTTP/1\.1" 200 \d+{tail}\n', site.stdout), site.stdout


# ---- routes --------------------------------------------------------------------------------------------------------


def test_routes_that_are_not_logged(diplex, scripted):
    server = scripted(by_path)
    config = one_pool('asgi', server)
    config['routes'] = {
        '/static/': {'pool': 'app', 'log': 'off'},
        '/health/': {'pool': 'app', 'log': 'errors'},
        '/': 'app',
    }
    site = diplex(config)
    ask(site, '/static/1', '/static/500', '/health/1', '/health/500', '/health/404', '/page', '/end')
    site.wait_access(1, path='/end')
    assert paths(site) == ['/health/500', '/page', '/end']


# ---- slow requests -------------------------------------------------------------------------------------------------


def values(event):
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', event))


def test_a_slow_request_is_told_with_where_the_time_went(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(by_path), log={'slow': '200ms', 'access': 'off'}))
    parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    site.ask('GET', '/quick?token=1')
    site.ask('GET', '/late/503?token=hidden', {'Host': 'shop.example', 'traceparent': parent})
    event = site.wait_event('slow_request', 'path=/late/503')
    told = values(event)
    assert ' warn slow_request from=data ' in event and 'hidden' not in event
    assert told['method'] == 'GET' and told['path'] == '/late/503' and told['host'] == 'shop.example'
    assert (told['route'], told['pool'], told['status'], told['outcome']) == ('/', 'app', '503', 'ok')
    assert told['trace_id'] == '4bf92f3577b34da6a3ce929d0e0e4736' and told['untold'] == '0' and told['id']
    parts = [int(told[name]) for name in ('read_ms', 'queue_ms', 'connect_ms', 'first_byte_ms')]
    assert 290 <= parts[-1] and sum(parts) <= int(told['total_ms'])
    site.stop()
    assert sum('path=/late/503' in line for line in site.events()) == 1


def test_a_queue_is_time_too(diplex, scripted):
    config = one_pool('asgi', scripted(by_path), pool={'slots': 1}, log={'slow': '400ms', 'access': 'off'})
    site = diplex(config)
    clients = [site.client() for _ in range(6)]
    for client in clients:
        client.request('GET', '/late/200')
    for client in clients:
        assert client.response().status == 200
        client.close()

    def queued():
        return any(int(values(line)['queue_ms']) >= 200 for line in site.events() if ' slow_request ' in line)

    wait_until(queued, what='a slow request that was queued')


def test_what_a_client_takes_its_time_for_is_not_slow(diplex, gunicorn, uvicorn):
    """Not its upload, nor a stream that it listens to."""
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), log={'slow': '400ms', 'access': 'json'}))
    with site.client() as client:
        client.send(b'POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12')
        time.sleep(0.6)
        client.send(b'345')
        assert client.response().status == 200
    (entry,) = site.wait_access(1)
    assert entry['total_ms'] > 590
    site.get('/async/slow/500/')
    site.wait_event('slow_request', 'path=/async/slow/500/')
    for event in [values(line) for line in site.events() if ' slow_request ' in line]:
        parts = [int(event[name]) for name in ('queue_ms', 'connect_ms', 'first_byte_ms')]
        assert sum(parts) >= 397, 'each is rounded down'


def test_a_request_that_hangs_is_told_while_it_does(diplex, scripted):
    def silent(connection):
        connection.read_request()
        connection.read_request()

    site = diplex(one_pool('asgi', scripted(silent), log={'slow': '30ms', 'access': 'off'}))
    with site.client() as client:
        client.request('GET', '/never')
        told = values(site.wait_event('request_hangs'))
        assert told['state'] == 'AWAIT_HEAD' and told['path'] == '/never' and int(told['total_ms']) >= 300
        assert 'slow_request' not in site.stderr, 'it has not ended'
    ended = values(site.wait_event('slow_request'))
    assert ended['outcome'] == 'client_left' and ended['id'] == told['id']


def test_so_many_slow_requests_are_told_and_the_rest_is_counted(diplex, scripted):
    def all_late(connection):
        while connection.read_request():
            time.sleep(0.05)
            connection.reply()

    site = diplex(one_pool('asgi', scripted(all_late), workers=1, log={'slow': '10ms', 'access': 'json'}))

    def some(count):
        clients = [site.client() for _ in range(count)]
        for client in clients:
            client.request('GET', '/')
        for client in clients:
            assert client.response().status == 200
            client.close()

    sent = 0

    def told():
        events = [values(line) for line in site.events() if ' slow_request ' in line]
        return len(events), sum(int(event['untold']) for event in events)

    def some_were_left_out():
        nonlocal sent
        some(40)
        sent += 40
        return told()[1] > 0

    wait_until(some_were_left_out, what='a second with more than ten')
    site.wait_access(sent)
    lines, untold = told()
    assert lines + untold <= sent and json.dumps(site.access())
