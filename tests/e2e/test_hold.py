# SPDX-License-Identifier: MIT
"""Holds: while no server of a pool can take a request, requests wait, and go on in order when one can. Restarts of real
gunicorn and uvicorn under load become pauses."""

import concurrent.futures
import json
import signal
import threading
import time

import pytest
from harness import free_port, one_pool, run_diplex, two_pools, wait_until
from wire import RawClient

SOON = {'path': '/healthz/', 'interval': '200ms', 'timeout': '2s', 'retries': 1}


class Load:
    """Asks on and on from some threads until told to stop; remembers statuses and the longest wait."""

    def __init__(self, site, target, threads=6, method='GET', body=None):
        self.site, self.target, self.method, self.body = site, target, method, body
        self.stop = threading.Event()
        self.statuses, self.errors, self.longest = [], [], 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                status = self.site.ask(self.method, self.target, body=self.body).status
            except Exception as error:  # whatever a client may see
                status = None
                self.errors.append(repr(error))
            with self.lock:
                self.statuses.append(status)
                self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.005)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(40)

    def passed(self):
        """True when some more were answered."""
        seen = len(self.statuses)
        wait_until(lambda: len(self.statuses) > seen + 20, 20, 'requests to be answered again')


@pytest.mark.parametrize(
    ('worker_class', 'slots', 'health', 'unix'),
    [
        ('sync', 0, True, False),
        ('sync', 2, True, True),
        ('sync', 2, False, False),
        ('sync', 0, False, True),
        ('gthread', 4, True, False),
        ('gthread', 4, False, True),
        ('gthread', 0, True, True),
    ],
)
def test_a_full_restart_of_gunicorn_is_a_pause(diplex, gunicorn, worker_class, slots, health, unix):
    threads = 2 if worker_class == 'gthread' else 1
    server = gunicorn(fresh=True, worker_class=worker_class, workers=2, threads=threads, unix=unix)
    pool = {'hold': '20s', 'slots': slots, **({'health': SOON} if health else {})}
    site = diplex(one_pool('wsgi', server, pool=pool, workers=2))
    with Load(site, '/api/hello/') as load:
        load.passed()
        server.stop()
        time.sleep(0.5)
        server.start()
        load.passed()
    assert set(load.statuses) == {200}, load.errors
    assert load.longest < 15


def test_hup_of_gunicorn_loses_nothing(diplex, gunicorn):
    server = gunicorn(fresh=True, workers=2)
    site = diplex(one_pool('wsgi', server, pool={'hold': '20s', 'slots': 2, 'health': SOON}, workers=2))
    with Load(site, '/api/hello/') as load:
        for _ in range(3):
            load.passed()
            server.signal(signal.SIGHUP)
            time.sleep(0.7)
        load.passed()
    assert set(load.statuses) == {200}, load.errors


def test_a_killed_gunicorn_costs_no_get_an_error(diplex, gunicorn):
    server = gunicorn(fresh=True, workers=2)
    site = diplex(one_pool('wsgi', server, pool={'hold': '20s', 'slots': 2, 'health': SOON}))
    with Load(site, '/api/hello/') as load:
        load.passed()
        server.kill()
        time.sleep(0.5)
        server.start()
        load.passed()
    assert set(load.statuses) == {200}, load.errors


@pytest.mark.parametrize('health', [True, False])
def test_a_restart_of_uvicorn_is_a_pause(diplex, gunicorn, uvicorn, health):
    server = uvicorn(fresh=True)
    pool = {'hold': '20s', **({'health': {**SOON, 'path': '/async/healthz/'}} if health else {})}
    site = diplex(two_pools(gunicorn(workers=2), server, async_=pool, workers=2))
    with Load(site, '/async/hello/') as load:
        load.passed()
        server.stop()
        time.sleep(0.5)
        server.start()
        load.passed()
    assert set(load.statuses) == {200}, load.errors


def test_a_hold_begins_before_there_is_any_server(diplex, gunicorn):
    server = gunicorn(fresh=True, start=False)
    site = diplex(one_pool('wsgi', server, pool={'hold': '20s', 'health': SOON}))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(site.get, '/api/hello/') for _ in range(4)]
        time.sleep(0.5)
        assert not any(future.done() for future in waiting)
        server.start()
        assert {future.result().status for future in waiting} == {200}


def test_a_hold_ends(diplex):
    site = diplex(one_pool('wsgi', f'127.0.0.1:{free_port()}', pool={'hold': '600ms'}))
    began = time.monotonic()
    answer = site.get('/')
    assert answer.status == 503 and int(answer.get('retry-after')) > 0
    assert 0.5 < time.monotonic() - began < 5
    assert site.wait_access(1, outcome='hold_timeout')[0]['reason'] == 'Connection refused'


def test_a_hold_takes_no_more_than_it_may(diplex):
    hold = {'wait': '1s', 'max': 2, 'bytes': '20KB'}
    site = diplex(one_pool('wsgi', f'127.0.0.1:{free_port()}', pool={'hold': hold}))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        large = [pool.submit(site.ask, 'POST', '/', {}, b'x' * 15000) for _ in range(2)]
        time.sleep(0.3)
        small = [pool.submit(site.get, '/') for _ in range(2)]
        assert [future.result().status for future in large + small] == [503] * 4
    assert len(site.wait_access(2, outcome='hold_full')) == 2


def test_a_post_is_held_and_sent_once(diplex, scripted):
    port = free_port()
    site = diplex(one_pool('wsgi', f'127.0.0.1:{port}', pool={'hold': '20s'}))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(site.ask, 'POST', '/', {}, b'once')
        time.sleep(0.4)

        def script(connection):
            while connection.read_request():
                connection.reply()

        server = scripted(script, port=port)
        assert waiting.result().status == 200
    assert [request.body for request in server.requests] == [b'once']


def test_what_is_held_is_released_in_order_and_without_a_herd(diplex, scripted):
    port = free_port()
    site = diplex(one_pool('asgi', f'127.0.0.1:{port}', pool={'hold': '20s'}, workers=2))
    order, lock = [], threading.Lock()
    now = most = 0

    def script(connection):
        nonlocal now, most
        while request := connection.read_request():
            with lock:
                now += 1
                most = max(most, now)
                order.append(int(request.target[1:]))
            time.sleep(0.02)
            with lock:
                now -= 1
            connection.reply()

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        waiting = []
        for i in range(100):
            waiting.append(pool.submit(site.get, f'/{i}'))
            time.sleep(0.004)
        scripted(script, port=port)
        assert {future.result().status for future in waiting} == {200}
    displaced = max(abs(place - i) for place, i in enumerate(order))
    assert most <= 60 and displaced <= most + 8, (most, order)


def test_an_event_stream_is_closed_without_an_answer(diplex, scripted):
    """A browser's EventSource comes back after that, and never after a 503."""
    site = diplex(one_pool('asgi', f'127.0.0.1:{free_port()}', pool={'hold': '300ms'}))
    with site.client() as client:
        client.send(b'GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/html, Text/Event-Stream;q=0.9\r\n\r\n')
        assert client.read_until_close() == b''
    entry = site.wait_access(1, outcome='events_later')[0]
    assert (entry['status'], entry['reason']) == (0, 'hold_timeout') or entry['status'] is None


def posts(site, count, stop):
    """Orders with numbers of their own, one after the other, from several threads; what became of each."""
    lock, results = threading.Lock(), {}

    def run(thread):
        for i in range(count):
            if stop.is_set():
                return
            number = f'{thread}-{i}'
            try:
                status = site.ask('POST', f'/count/{number}', {'Content-Type': 'text/plain'}, b'x' * 2000).status
            except Exception as error:  # whatever a client may see
                status = repr(error)
            with lock:
                results[number] = status
            time.sleep(0.002)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(6)]
    for thread in threads:
        thread.start()
    return threads, results


COUNTING_APP = """
import os
def application(environ, start_response):
    environ['wsgi.input'].read()
    with open(os.environ['COUNTED'], 'a') as file:
        file.write(environ['PATH_INFO'].rpartition('/')[2] + ' ')
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
"""


@pytest.mark.parametrize('how', ['restart', 'hup'])
@pytest.mark.parametrize(('worker_class', 'slots'), [('sync', 0), ('sync', 2), ('gthread', 4)])
def test_a_post_is_never_carried_out_twice_nor_lost(diplex, gunicorn, directory, how, worker_class, slots):
    """Each order is carried out exactly once, but for those that a worker was ended in the middle of (there are none here,
    where gunicorn may finish what it has begun)."""
    (directory / 'counting.py').write_text(COUNTING_APP)
    counted = directory / 'counted'
    counted.write_text('')
    server = gunicorn(
        fresh=True, start=False, workers=2, worker_class=worker_class, threads=2 if worker_class == 'gthread' else 1,
        extra=('--chdir', str(directory), '--env', f'COUNTED={counted}', 'counting:application'),
    )  # fmt: skip
    server.arguments.remove('demo.wsgi')
    server.start()
    site = diplex(one_pool('wsgi', server, pool={'hold': '20s', 'slots': slots}, workers=2))
    stop = threading.Event()
    threads, results = posts(site, 100_000, stop)
    for _ in range(3):
        time.sleep(0.4)
        if how == 'hup':
            server.signal(signal.SIGHUP)
        else:
            server.stop()
            server.start()
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(40)
    numbers = counted.read_text().split()
    answered = {number for number, status in results.items() if status == 200}
    assert len(results) > 100
    assert len(numbers) == len(set(numbers)), 'carried out twice'
    assert answered <= set(numbers), 'answered, but not carried out'
    assert set(results.values()) == {200}, [status for status in results.values() if status != 200]


# ---- by hand -------------------------------------------------------------------------------------------------------


def order(site, *words, code=0):
    done = run_diplex(*words, '-c', site.config_path)
    assert done.returncode == code, done
    return done


def told(site, name='app'):
    """What /status says of the pool, when it has the same numbers as /metrics."""

    def look():
        pool = next(pool for pool in json.loads(order(site, 'status', '--json').stdout)['pools'] if pool['name'] == name)
        with RawClient(json.loads(site.config_path.read_text())['admin']) as client:
            lines = client.ask('GET', '/metrics').body.decode().splitlines()
        values = {line.split('{')[0]: float(line.split()[-1]) for line in lines if line.startswith('diplex_pool_') and f'"{name}"' in line}
        same = values['diplex_pool_held'] == pool['held'] and values.get('diplex_pool_queued', 0) == pool['queued'] * (pool['slots'] > 0)
        return pool if same else None

    return wait_until(look, what='both to say the same')


def test_who_waits_is_held_or_queued(diplex, scripted, directory):
    """Held: nobody may serve them, by hand, or can, because servers are down. Queued: all slots are taken."""
    go_on = threading.Event()

    def script(connection):
        while connection.read_request():
            go_on.wait(60)
            connection.reply()

    server = scripted(script)
    site = diplex(one_pool('wsgi', server, pool={'slots': 1, 'hold': '1m', 'queue': {'wait': '1m'}}, admin=str(directory / 'admin.sock')))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(site.get, '/first')
        wait_until(lambda: told(site)['servers'][0]['active'] == 1, what='the slot to be taken')
        others = [pool.submit(site.get, '/r'), pool.submit(site.get, '/r'), pool.submit(site.ask, 'POST', '/w', {}, b'x')]

        def numbers():
            now = told(site)
            whys = sorted(waits['why'] for waits in now['waiting'])
            return now['queued'], now['held'], whys

        def become(*wanted):
            wait_until(lambda: numbers() == wanted, what=f'{wanted}')

        become(3, 0, ['slot'] * 3)
        order(site, 'hold', 'app')
        become(0, 3, ['hand'] * 3)
        order(site, 'hold', 'app', '--writes')
        become(2, 1, ['hand', 'slot', 'slot'])
        human = order(site, 'status').stdout
        assert '2 wait for a slot  1 held  held by an operator (unsafe)' in human
        order(site, 'release', 'app')
        become(3, 0, ['slot'] * 3)
        go_on.set()
        assert [future.result().status for future in (first, *others)] == [200] * 4
        become(0, 0, [])


def test_holding_and_releasing_by_hand(diplex, scripted, directory):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    config = one_pool('asgi', server, pool={'hold': '20s'}, admin=str(directory / 'admin.sock'))
    site = diplex(config)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert 'held' in order(site, 'hold', 'app').stdout
        read, write = pool.submit(site.get, '/r'), pool.submit(site.ask, 'POST', '/w', {}, b'x')
        wait_until(lambda: told(site)['held'] == 2, what='both to be held')
        status = told(site)
        assert (status['hold'], status['queued'], {waits['why'] for waits in status['waiting']}) == ('all', 0, {'hand'})
        assert not read.done() and not write.done()
        assert '2 held  held by an operator (all)' in order(site, 'status').stdout
        order(site, 'hold', 'app', '--writes')
        assert read.result().status == 200
        wait_until(lambda: told(site)['held'] == 1, what='the other one to be held still')
        assert not write.done() and told(site)['queued'] == 0
        site.reload({**config, 'limits': {'body': '1MB'}})
        time.sleep(0.2)
        assert not write.done(), 'a hold lasts over reloads'
        order(site, 'release', 'app')
        assert write.result().status == 200
    wrong = order(site, 'hold', 'apps', code=2)
    assert 'app' in wrong.stderr


def test_a_hold_by_hand_ends_where_the_pool_has_none(diplex, scripted, directory):
    config = one_pool('asgi', scripted(lambda connection: None), pool={'hold': '300ms'})
    site = diplex({**config, 'admin': str(directory / 'admin.sock')})
    order(site, 'hold', 'app')
    assert site.get('/').status == 503
    site.wait_access(1, outcome='hold_timeout')


def test_probes_are_fast_while_something_is_held(diplex, scripted):
    probes = []
    well = threading.Event()

    def script(connection):
        while request := connection.read_request():
            if request.target == '/healthz/':
                probes.append(time.monotonic())
                connection.reply(status='200 OK' if well.is_set() else '500 Broken')
            else:
                connection.reply()

    pool = {'hold': '20s', 'health': {'path': '/healthz/', 'interval': '1m', 'timeout': '1s', 'retries': 1}}
    site = diplex(one_pool('asgi', scripted(script), pool=pool))
    site.wait_event('pool_down')
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(site.get, '/')
        time.sleep(0.2)
        before = len(probes)
        wait_until(lambda: len(probes) >= before + 4, what='fast probes')
        well.set()
        began = time.monotonic()
        assert waiting.result().status == 200
        assert time.monotonic() - began < 6
