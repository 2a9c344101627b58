# SPDX-License-Identifier: MIT
"""Many clients, greedy clients and slow ones: limits over all of them together, and what the others notice."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import time

import pytest
from harness import one_pool, run_diplex, sanitized
from wire import wait_until

UPGRADE = (
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
)


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


@pytest.fixture
def front(diplex, scripted, directory):
    """front(kind='asgi', **settings) -> diplex before a server that answers everything, with its admin socket."""

    def start(kind='asgi', script=keep_answering, start=True, **settings):
        config = one_pool(kind, scripted(script), **{'admin': str(directory / 'admin.sock'), **settings})
        site = diplex(config, start=start)
        site.config = config
        return alone(site) if start else site

    return start


def alone(site):
    """The connection with which its start was seen is gone, and counts no more."""
    wait_until(lambda: counters(site)['client_connections'] == 0)
    return site


def counters(site) -> dict:
    done = run_diplex('status', '--json', '-c', site.config_path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)['counters']


def crowd_of(stack, site, count, raw=None):
    """So many clients, each of which says this, as far as they are let."""
    clients = []
    for _ in range(count):
        client = stack.enter_context(site.client())
        clients.append(client)
        if raw is not None:
            with contextlib.suppress(OSError):
                client.send(raw)
    return clients


def serves(site) -> bool:
    """A connection that is closed without an answer is an answer too: not yet."""
    with contextlib.suppress(OSError):
        return site.get('/').status == 200
    return False


def still_open(clients):
    return [client for client in clients if not client.closed_within(0)]


# ---- connections -----------------------------------------------------------------------------------------------------


def test_idle_floods_make_room_for_who_asks(front):
    """Over both workers together; nobody who asks notices."""
    site = front(workers=2, limits={'connections': 20, 'connections_per_client': 1000})
    with contextlib.ExitStack() as stack:
        flood = crowd_of(stack, site, 60)
        time.sleep(0.3)  # a new connection is given a moment to ask
        assert len(still_open(flood)) <= 30  # a worker that came late has its share
        with contextlib.ExitStack() as honest:
            for _ in range(8):
                client = honest.enter_context(site.client())
                assert client.ask('GET', '/').status == 200
        seen = counters(site)
        assert seen['client_connections_idle_closed_total'] >= 1
        assert seen['client_connections_over_limit_total'] >= 25
        assert seen['client_connections'] <= 32
    assert len(site.wait_access(8, status=200)) == len(site.access())


def test_who_is_busy_is_not_closed(front):
    def slow(connection):
        while connection.read_request():
            time.sleep(0.8)
            connection.reply()

    site = front(script=slow, workers=1, limits={'connections': 8, 'connections_per_client': 1000})
    with contextlib.ExitStack() as stack:
        busy = crowd_of(stack, site, 8, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        wait_until(lambda: counters(site)['requests_running'] == 8)
        for client in crowd_of(stack, site, 3):
            assert client.closed_within(8), 'at once, and not when the others are done'
        assert [client.response().status for client in busy] == [200] * 8
    assert site.get('/').status == 200
    assert 'client=127.0.0.1' in site.wait_event('limit_reached', 'what=connections ')
    assert counters(site)['client_connections_over_limit_total'] == 3


def test_one_client_cannot_take_all(front):
    site = front(workers=2, limits={'connections_per_client': 5})
    with contextlib.ExitStack() as stack:
        flood = crowd_of(stack, site, 12, 'GET / HTTP/1.1\r\n')
        wait_until(lambda: len(still_open(flood)) == 5, what='five of the twelve')
        with socket.socket() as other:
            other.bind(('127.0.0.2', 0))
            other.connect(site.endpoint)
            other.sendall(b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
            assert other.recv(100).startswith(b'HTTP/1.1 200')
        assert len([line for line in site.events() if 'limit_reached' in line]) == 1, 'once a minute'
    wait_until(lambda: serves(site), what='as before')


def test_trusted_peers_have_no_such_limit(front):
    site = front(workers=1, limits={'connections_per_client': 2}, trusted_proxies='loopback')
    with contextlib.ExitStack() as stack:
        crowd_of(stack, site, 10)
        assert site.get('/').status == 200


def test_counts_outlive_a_reload_and_end_with_data(front):
    site = front(workers=2, limits={'connections_per_client': 3})
    site.deaths_are_expected = True
    with contextlib.ExitStack() as stack:
        three = crowd_of(stack, site, 3, 'GET / HTTP/1.1\r\n')
        wait_until(lambda: counters(site)['client_connections'] == 3)
        site.reload({**site.config, 'limits': {'connections_per_client': 4}})
        site.wait_event('reloaded')
        crowd_of(stack, site, 1, 'GET / HTTP/1.1\r\n')
        wait_until(lambda: counters(site)['client_connections'] == 4)
        (fifth,) = crowd_of(stack, site, 1)
        assert fifth.closed_within(8) and len(still_open(three)) == 3
        (data,) = site.children()
        os.kill(data, signal.SIGKILL)
        site.wait_event('data_exited')
        again = crowd_of(stack, site, 4, 'GET / HTTP/1.1\r\n')
        wait_until(lambda: counters(site)['client_connections'] == 4)
        assert len(still_open(again)) == 4


def test_a_connection_serves_so_many_requests(front):
    site = front(limits={'connection_requests': 2})
    with site.client() as client:
        assert client.ask('GET', '/').get('connection') != 'close'
        assert client.ask('GET', '/').get('connection') == 'close'
        assert client.closed_within(8)


# ---- WebSockets ------------------------------------------------------------------------------------------------------


def test_an_upgrade_flood_leaves_room_for_requests(front):
    def script(connection):
        while request := connection.read_request():
            if request.get('upgrade'):
                connection.send(b'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
                connection.wait_for_close(5)
                return
            connection.reply()

    site = front(script=script, workers=2, limits={'tunnels': 3})
    with contextlib.ExitStack() as stack:
        clients = crowd_of(stack, site, 3, UPGRADE)
        assert all(client.socket.recv(4096).startswith(b'HTTP/1.1 101') for client in clients)
        with site.client() as fourth:
            fourth.send(UPGRADE)
            answer = fourth.response()
            assert answer.status == 503 and int(answer.get('retry-after')) >= 1
        assert site.wait_access(1, outcome='tunnels_full')[0]['status'] == 503
        assert site.get('/').status == 200
        assert counters(site)['tunnels_wanted'] == 3
    wait_until(lambda: counters(site)['tunnels_wanted'] == 0)


# ---- slow ones -------------------------------------------------------------------------------------------------------


def test_slow_bodies_and_heads_are_ended_while_others_are_served(front):
    """A byte each 100 ms is never silent; they are ended by their rate, and the head by its whole time."""
    site = front('wsgi', workers=2, timeouts={'body': '700ms', 'header': '700ms'}, limits={'min_rate': {'body': 1000}})
    post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n'
    with contextlib.ExitStack() as stack:
        slow = crowd_of(stack, site, 10, post) + crowd_of(stack, site, 10, 'GET / HTTP/1.1\r\n')
        began = time.monotonic()
        while time.monotonic() - began < 5 and len([e for e in site.access() if e['status'] != 200]) < 20:
            for client in slow:
                with contextlib.suppress(OSError):
                    client.send(b'x')
            time.sleep(0.1)
            assert site.get('/').status == 200
    ends = [(entry['status'], entry['outcome']) for entry in site.access() if entry['status'] != 200]
    assert sorted(ends) == [(408, 'body_timeout')] * 10 + [(408, 'header_timeout')] * 10
    assert {entry['reason'] for entry in site.access() if entry['outcome'] == 'body_timeout'} == {
        'slower than limits.min_rate.body'
    }


def test_a_reader_that_sips_is_ended(front):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n' + b'x' * 50_000_000)

    site = front(script=script, timeouts={'send': '500ms'}, limits={'min_rate': {'send': '100MB'}})
    with site.client() as client:
        client.request('GET', '/')
        began = time.monotonic()
        while not site.access() and time.monotonic() - began < 8:
            with contextlib.suppress(OSError):
                client.socket.recv(100_000)  # some is always taken: up to 2 MB a second
            time.sleep(0.05)
        entry = site.wait_access(1, outcome='client_slow')[0]
    assert entry['reason'] == 'slower than limits.min_rate.send' and entry['bytes_out'] < 50_000_000


def test_a_stream_that_is_quiet_is_nobody_slow(front):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
        for _ in range(3):
            time.sleep(0.7)
            connection.send(b'4\r\ntick\r\n')
        connection.send(b'0\r\n\r\n')

    site = front(script=script, timeouts={'send': '300ms', 'body': '300ms'}, limits={'min_rate': {'send': '1MB', 'body': '1MB'}})
    assert site.get('/').body == b'tick' * 3


# ---- bodies that wait --------------------------------------------------------------------------------------------------


def test_files_of_all_bodies_have_a_total(front):
    site = front('wsgi', buffer={'memory': '4KB', 'total_disk': '300KB'})
    body = b'x' * 200_000
    head = f'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n'
    with site.client() as first:
        first.send(head.encode() + body[:-1])
        wait_until(lambda: counters(site)['spool_disk_bytes'] > 190_000)
        answer = site.ask('POST', '/', body=body)
        assert answer.status == 503 and int(answer.get('retry-after')) >= 1
        assert site.wait_access(1, outcome='spool_full')[0]['status'] == 503
        assert site.ask('POST', '/', body=b'x' * 4000).status == 200, 'what needs no file goes through'
        first.send(body[-1:])
        assert first.response('POST').status == 200
    wait_until(lambda: counters(site)['spool_disk_bytes'] == 0)  # another worker may be asked than the one that counts
    assert site.ask('POST', '/', body=body).status == 200, 'when there is room again'
    wait_until(lambda: counters(site)['spool_disk_bytes'] == counters(site)['spool_memory_bytes'] == 0)


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize('trailers', [b'X: y\r\n' * 20, b'X: ' + b'y' * 5000 + b'\r\n'])
def test_trailers_are_bounded_in_number_and_size(front, kind, trailers):
    site = front(kind, limits={'header_count': 10, 'header_size': '2KB'})
    with site.client() as client:
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n' + trailers + b'\r\n')
        assert client.response('POST').status == 431
        assert client.closed_within(8)
    assert site.get('/').status == 200


# ---- the log -----------------------------------------------------------------------------------------------------------


def test_what_a_stranger_makes_long_is_cut_with_a_mark(front):
    site = front(limits={'url': '8190'})
    with site.client() as client:
        client.send('GET /' + 'a' * 5000 + ' HTTP/1.1\r\nHost: ' + 'b' * 250 + '\r\n\r\n')
        assert client.response().status == 200
    path = site.wait_access(1)[0]['path']
    assert path == '/' + 'a' * 2047 + '[+2953]'


@pytest.mark.parametrize('log', ['json', 'combined'])
def test_no_request_is_too_long_for_its_line(front, log):
    """Bytes that each take six in the log hide no request."""
    site = front(limits={'url': '8190', 'header_size': '64KB'}, log=log)
    raw = b'GET /' + b'\x01' * 8000 + b' HTTP/1.1\r\nHost: a\r\nReferer: ' + b'"' * 4000 + b'\r\n\r\n'
    for _ in range(8):
        with site.client() as client, contextlib.suppress(OSError):
            client.send(raw)
            client.read_until_close()
    wait_until(lambda: site.stdout.count('\n') == 8, what='a line for each')


# ---- at the end of descriptors and memory ------------------------------------------------------------------------------


def few_descriptors(site, count):
    site.arguments = ['sh', '-c', f'ulimit -n {count}; exec "$@"', 'sh', *site.arguments]
    site.start()
    return alone(site)


def test_out_of_descriptors_new_ones_are_refused_and_running_ones_finish(front):
    def slow(connection):
        while connection.read_request():
            time.sleep(1)
            connection.reply()

    site = few_descriptors(
        front(script=slow, start=False, workers=1, limits={'connections': 1000, 'connections_per_client': 1000}), 80
    )
    with contextlib.ExitStack() as stack:
        running = crowd_of(stack, site, 5, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        wait_until(lambda: counters(site)['requests_running'] == 5)
        flood = crowd_of(stack, site, 100, 'GET / HTTP/1.1\r\n')
        wait_until(lambda: len(still_open(flood)) < 80, 3, 'closed at once and not left to wait')
        assert [client.response().status for client in running] == [200] * 5
        assert site.wait_event('limit_reached', 'what=descriptors', 'client=127.0.0.1')
    wait_until(lambda: serves(site), 5, 'service as before, without a restart')
    (data,) = site.children()
    wait_until(lambda: len(os.listdir(f'/proc/{data}/fd')) < 30, 5, 'nothing left')


def test_out_of_descriptors_idle_clients_make_room(front):
    site = few_descriptors(
        front(start=False, workers=1, limits={'connections': 1000, 'connections_per_client': 1000}), 80
    )
    with contextlib.ExitStack() as stack:
        crowd_of(stack, site, 120)
        time.sleep(0.3)
        for _ in range(5):
            client = stack.enter_context(site.client())
            assert client.ask('GET', '/').status == 200
    assert counters(site)['client_connections_idle_closed_total'] >= 5


@pytest.mark.skipif(sanitized(), reason='a sanitizer takes more addresses than it has memory')
def test_out_of_memory_new_ones_are_refused_and_it_recovers(front):
    """Half-sent heads fill what the process may have; whoever is served goes on being served, and so it is afterwards."""
    limits = {'connections': 4000, 'connections_per_client': 4000}
    site = front(start=False, workers=1, timeouts={'header': '20s'}, limits=limits)
    site.environment['MALLOC_ARENA_MAX'] = '1'
    site.start()
    assert site.get('/').status == 200
    (data,) = site.children()
    size = int(pathlib.Path(f'/proc/{data}/statm').read_text().split()[0]) * (os.sysconf('SC_PAGE_SIZE') // 1024)
    assert site.stop() == 0
    site.arguments = ['sh', '-c', f'ulimit -v {size + 8192}; exec "$@"', 'sh', *site.arguments]
    site.start()
    assert site.get('/').status == 200
    (data,) = site.children()
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(site.client())
        assert before.ask('GET', '/').status == 200
        flood = crowd_of(stack, site, 700, 'GET / HTTP/1.1\r\nX: y')
        wait_until(lambda: len(still_open(flood)) < 650, what='some are refused')
        site.wait_event('limit_reached', 'what=memory')
        for client in flood:
            client.close()
    wait_until(lambda: serves(site), 5, 'service as before, without a restart')
    assert site.children() == [data]
