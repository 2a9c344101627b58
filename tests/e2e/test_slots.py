# SPDX-License-Identifier: MIT
"""Slots and the queue: a server is never given more requests than it has slots, by all workers together; who waits is
served in order, fairly, and not for ever."""

import concurrent.futures
import json
import threading
import time

import pytest
from harness import one_pool, run_diplex, wait_until

FAST = {'interval': '200ms', 'timeout': '1s', 'retries': 1}


class Counter:
    """Answers after a while, and remembers the order and how many were there at once."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.order = []

    def __call__(self, connection):
        while request := connection.read_request():
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
                self.order.append(request.target)
            time.sleep(self.seconds)
            with self.lock:
                self.now -= 1
            connection.reply()


def ask_all(site, targets, workers=64, headers=None, gap=0.0):
    """All at once, or in the order given with a gap between them."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = []
        for target in targets:
            futures.append(pool.submit(site.get, target, headers))
            time.sleep(gap)
        return [future.result() for future in futures]


def line_up(pool, site, admin, targets):
    """Each is sent when the one before it is seen to wait, or, the first, to run."""
    futures = []
    for place, target in enumerate(targets):
        futures.append(pool.submit(site.get, target))
        wait_until(lambda: waiting(admin) == (1, place), what=f'{target} to stand in the queue')
    return futures


def waiting(admin):
    status = json.loads(run_diplex('status', '--json', '-a', admin).stdout)
    (app,) = status['pools']
    return min(status['counters']['requests_running'], 1), app['queued']


@pytest.mark.parametrize('workers', [1, 4])
def test_slots_are_never_exceeded_by_all_workers_together(diplex, scripted, workers):
    counter = Counter(0.01)
    server = scripted(counter)
    site = diplex(one_pool('wsgi', server, pool={'slots': 3}, workers=workers))
    answers = ask_all(site, [f'/{i}' for i in range(200)])
    assert {answer.status for answer in answers} == {200}
    assert counter.most == 3
    assert len(counter.order) == 200


def test_the_queue_is_served_in_order(diplex, scripted, directory):
    order, go_on, admin = [], threading.Event(), str(directory / 'admin.sock')

    def script(connection):
        while request := connection.read_request():
            order.append(request.target)
            go_on.wait(40)
            connection.reply()

    site = diplex(one_pool('wsgi', scripted(script), pool={'slots': 1}, workers=2, admin=admin))
    targets = [f'/{i}' for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
        futures = line_up(pool, site, admin, targets)
        time.sleep(0.1)
        go_on.set()
        assert {future.result().status for future in futures} == {200}
    assert order == targets
    waited = [entry['queue_ms'] for entry in site.wait_access(8)]
    assert max(waited) > 90


def test_each_of_several_servers_has_its_slots(diplex, scripted):
    counters = [Counter(0.02), Counter(0.02)]
    site = diplex(one_pool('wsgi', *(scripted(counter) for counter in counters), pool={'slots': 2}, workers=2))
    ask_all(site, [f'/{i}' for i in range(60)])
    assert [counter.most for counter in counters] == [2, 2]


def test_a_full_queue_and_a_long_wait_are_refused(diplex, scripted):
    site = diplex(one_pool('wsgi', scripted(Counter(1.0)), pool={'slots': 1, 'queue': {'max': 2, 'wait': '300ms'}}))
    answers = ask_all(site, ['/1', '/2', '/3', '/4'], gap=0.05)
    assert [answer.status for answer in answers] == [200, 503, 503, 503]
    assert all(int(answer.get('retry-after')) > 0 for answer in answers[1:])
    assert [entry['outcome'] for entry in site.wait_access(4)].count('queue_full') == 1
    assert len(site.wait_access(2, outcome='queue_timeout')) == 2
    assert site.wait_access(1, outcome='queue_full')[0]['server'] is None


def test_who_leaves_while_waiting_never_reaches_a_server(diplex, scripted):
    counter = Counter(0.5)
    site = diplex(one_pool('wsgi', scripted(counter), pool={'slots': 1}))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(site.get, '/first')
        wait_until(lambda: counter.now == 1, 5, 'the first to run')
        with site.client() as leaver:
            leaver.send(b'GET /leaver HTTP/1.1\r\nHost: localhost\r\n\r\n')
            time.sleep(0.1)
        last = pool.submit(site.get, '/last')
        assert first.result().status == last.result().status == 200
    assert counter.order == ['/first', '/last']
    site.wait_access(1, outcome='client_left')


def test_the_queue_survives_a_reload(diplex, scripted, directory):
    order, go_on, admin = [], threading.Event(), str(directory / 'admin.sock')

    def script(connection):
        while request := connection.read_request():
            order.append(request.target)
            go_on.wait(40)
            connection.reply()

    config = one_pool('wsgi', scripted(script), pool={'slots': 1}, workers=2, admin=admin)
    site = diplex(config)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = line_up(pool, site, admin, [f'/{i}' for i in range(8)])
        site.reload({**config, 'limits': {'body': '1MB'}})
        site.wait_event(' reloaded ')
        assert order == ['/0'], 'nobody is let go by it'
        go_on.set()
        assert {future.result().status for future in futures} == {200}
    assert order == [f'/{i}' for i in range(8)]


def test_a_pool_that_leaves_lets_go_of_who_waits(diplex, scripted):
    counter = Counter(0.5)
    server, other = scripted(counter), scripted(Counter(0))
    site = diplex(one_pool('wsgi', server, pool={'slots': 1}))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(site.get, '/1')
        wait_until(lambda: counter.now == 1, 5, 'the first to run')
        second = pool.submit(site.get, '/2')
        time.sleep(0.1)
        site.reload({'pools': {'new': {'kind': 'wsgi', 'servers': [other.address]}}, 'routes': {'/': 'new'}})
        assert second.result().status == 503
        assert first.result().status == 200
    assert counter.order == ['/1']


def test_clients_take_turns(diplex, scripted):
    counter = Counter(0.02)
    config = one_pool(
        'wsgi', scripted(counter), pool={'slots': 1, 'queue': {'fair_by': 'client_ip'}}, trusted_proxies=['127.0.0.1']
    )
    site = diplex(config)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        greedy = [pool.submit(site.get, f'/greedy/{i}', {'X-Forwarded-For': '192.0.2.1'}) for i in range(30)]
        wait_until(lambda: len(counter.order) >= 2, 5, 'the first to run')
        modest = [pool.submit(site.get, '/modest', {'X-Forwarded-For': '192.0.2.2'}) for _ in range(2)]
        assert {future.result().status for future in greedy + modest} == {200}
    places = [i for i, target in enumerate(counter.order) if target == '/modest']
    assert places[-1] < 12, counter.order


def test_a_route_has_its_share_and_leaves_the_rest(diplex, scripted):
    slow, most, go_on = [], [0], threading.Event()

    def script(connection):
        while request := connection.read_request():
            if not request.target.startswith('/slow'):
                connection.reply()
                continue
            slow.append(request.target)
            most[0] = max(most[0], len(slow))
            go_on.wait(40)
            slow.pop()
            connection.reply()

    config = one_pool('wsgi', scripted(script), pool={'slots': 4})
    config['routes'] = {'/slow/': {'pool': 'app', 'share': '50%'}, '/': 'app'}
    site = diplex(config)
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        many = [pool.submit(site.get, f'/slow/{i}') for i in range(8)]
        wait_until(lambda: len(slow) == 2, 5, 'two slow ones to run')
        assert {site.get(f'/{i}').status for i in range(10)} == {200}
        go_on.set()
        assert {future.result().status for future in many} == {200}
    assert most == [2], 'the slow ones have taken more than their share'


def test_a_worker_that_is_busy_still_keeps_its_slot(diplex, scripted):
    """The client was told 504, but gunicorn's worker runs the view: its slot is not free yet."""
    counter = Counter(0.8)
    site = diplex(one_pool('wsgi', scripted(counter), pool={'slots': 1, 'timeouts': {'response': '500ms'}}))
    began = time.monotonic()
    assert [answer.status for answer in ask_all(site, ['/1', '/2'], gap=0.1)] == [504, 504]
    assert time.monotonic() - began > 1.2
    wait_until(lambda: counter.now == 0, 5, 'both views to end')
    assert counter.most == 1


def test_streams_and_uploads_hold_their_slot_until_the_end(diplex, gunicorn):
    server = gunicorn(workers=2)
    site = diplex(one_pool('wsgi', server, pool={'slots': 2}, workers=2))
    with site.http() as client:
        for _ in range(3):
            assert client.post('/api/upload/', files={'file': ('x', b'x' * 300_000)}).status_code == 200
            assert len(client.get('/api/download/1000000/').content) == 1_000_000
    assert {answer.status for answer in ask_all(site, ['/api/slow/20/'] * 40, workers=20)} == {200}
