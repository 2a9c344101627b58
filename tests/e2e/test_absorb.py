# SPDX-License-Identifier: MIT
"""Slow readers of a wsgi pool's answers: they hold no worker, they get every byte, and where there is no room for
what they have not taken, nobody is told an error."""

import contextlib
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

import pytest
from harness import one_pool, run_diplex
from wire import RawClient, wait_until

MB = 1_000_000
SIZE = 8 * MB  # more than the kernel takes for a client
LITTLE = 16 * 1024
PATHS = ['/api/download/{}/', '/api/download/{}/?length=1']  # chunked, and through a pipe


@pytest.fixture
def slow(request):
    """slow(site, path): a client that has asked and has little room for the answer, which it does not read yet."""

    def ask(site, path, method='GET', version='1.1'):
        client = RawClient(site.endpoint, patience=20)
        request.addfinalizer(client.close)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)
        client.send(f'{method} {path} HTTP/{version}\r\nHost: localhost\r\n\r\n')
        return client

    return ask


def crawl(client, seconds: float) -> bytes:
    """What a reader at 2 KB/s has after that time."""
    data, until = b'', time.monotonic() + seconds
    while time.monotonic() < until:
        data += client.socket.recv(200)
        time.sleep(0.1)
    return data


def the_rest(client, data: bytes):
    """The answer, when its first bytes were read by hand."""
    client._left = data
    return client.response()


def is_answered_at_once(site, count: int = 3) -> None:
    before = time.monotonic()
    for _ in range(count):
        assert site.get('/api/hello/').status == 200
    assert time.monotonic() - before < 6, 'a reader at 2 KB/s takes minutes'


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def streamed(size: int) -> bytes:
    """What the view streams."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def counters(site) -> dict:
    return json.loads(run_diplex('status', '--json', '-c', site.config_path).stdout)['counters']


def with_status(directory, config: dict) -> dict:
    return {**config, 'admin': str(directory / 'a.sock')}


def open_spools(site) -> int:
    """Files without a name that data holds open."""
    found = 0
    for entry in pathlib.Path(f'/proc/{site.children()[0]}/fd').iterdir():
        with contextlib.suppress(OSError):
            name = os.readlink(entry)
            found += name.endswith('(deleted)') and '/memfd:' not in name
    return found


@pytest.mark.parametrize('path', PATHS)
def test_a_slow_reader_holds_no_worker(diplex, gunicorn, slow, directory, path):
    """One sync worker, a reader at 2 KB/s of 8 MB, and somebody who asks for something else."""
    site = diplex(with_status(directory, one_pool('wsgi', gunicorn(fresh=True, workers=1), pool={'slots': 1})))
    reader = slow(site, path.format(SIZE))
    data = crawl(reader, 1.5)
    is_answered_at_once(site)
    assert open_spools(site) == 1
    data += crawl(reader, 1.5)
    is_answered_at_once(site)
    assert len(site.access()) >= 3 and all(entry['path'] == '/api/hello/' for entry in site.access())
    answer = the_rest(reader, data)
    assert (len(answer.body), digest(answer.body)) == (SIZE, digest(streamed(SIZE)))
    entry = site.wait_access(1, path=path.format(SIZE))[0]
    assert (entry['outcome'], entry['bytes_out']) == ('ok', SIZE)
    assert 500 < entry['deliver_ms'] < entry['total_ms'], 'so much of the time was the reader alone'
    assert wait_until(lambda: open_spools(site) == 0)
    seen = counters(site)
    assert (seen['answers_absorbed_total'], seen['answer_files_total'], seen['spool_files_total']) == (1, 1, 0)
    assert seen['server_time_saved_us_total'] > 2_500_000


def test_many_slow_readers_hold_no_worker(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1)))
    readers = [slow(site, PATHS[i % 2].format(SIZE)) for i in range(6)]
    wait_until(lambda: open_spools(site) == 6, what='all answers absorbed')
    is_answered_at_once(site)
    assert {digest(reader.response().body) for reader in readers} == {digest(streamed(SIZE))}


def test_gthread_keeps_its_connection(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, worker_class='gthread'), workers=1))
    reader = slow(site, PATHS[1].format(SIZE))
    wait_until(lambda: open_spools(site) == 1)
    time.sleep(0.3)
    assert site.get('/api/hello/').status == 200
    assert site.wait_access(1, path='/api/hello/')[0]['reused'] is True, 'the answer was whole, and the client had it not'
    assert digest(reader.response().body) == digest(streamed(SIZE))


def test_what_waits_behind_a_slow_answer(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1)))
    reader = slow(site, PATHS[0].format(3 * MB))
    reader.request('HEAD', PATHS[1].format(3 * MB))
    reader.request('GET', '/api/status/204/')
    reader.request('GET', PATHS[1].format(3 * MB))
    time.sleep(0.5)
    assert digest(reader.response().body) == digest(streamed(3 * MB))
    assert reader.response('HEAD').status == 200
    assert reader.response().status == 204
    time.sleep(0.3)
    assert digest(reader.response().body) == digest(streamed(3 * MB))
    assert [entry['outcome'] for entry in site.wait_access(4)] == ['ok'] * 4


def test_an_old_client_that_is_slow(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1)))
    reader = slow(site, PATHS[0].format(SIZE), version='1.0')
    data = crawl(reader, 0.5)
    is_answered_at_once(site)
    data += reader.read_until_close()
    head, _, body = data.partition(b'\r\n\r\n')
    assert b'chunked' not in head and digest(body) == digest(streamed(SIZE))


def test_fifty_megabytes_by_fits_and_starts(diplex, scripted, slow):
    """Noise, so that nothing that is lost, doubled or out of order stays unseen; lagging and catching up again."""
    noise = os.urandom(50 * MB)
    done = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(noise))
        for at in range(0, len(noise), 10 * MB):
            connection.send(noise[at : at + 10 * MB])
            if at < 40 * MB:
                time.sleep(0.3)
        done.set()
        connection.wait_for_close()

    site = diplex(one_pool('wsgi', scripted(script)))
    reader = slow(site, '/')
    time.sleep(0.2)
    seen, pieces = hashlib.sha256(), 0
    reader.head()
    for piece in reader.pieces():
        seen.update(piece)
        pieces += 1
        if pieces % 200 == 0:
            time.sleep(0.02)
    assert seen.hexdigest() == digest(noise) and done.is_set()
    assert site.wait_access(1)[0]['bytes_out'] == 50 * MB


# ---- what is not absorbed ------------------------------------------------------------------------------------------


def test_a_stream_is_not_taken_ahead_of_its_reader(diplex, gunicorn, slow):
    """`X-Accel-Buffering: no`: the view feels its reader, so the one worker is with it."""
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1)))
    reader = slow(site, '/api/download/30000000/?stream=1')
    time.sleep(0.5)
    waiting = site.client()
    waiting.request('GET', '/api/hello/')
    assert waiting.is_silent_for(0.7)
    assert open_spools(site) == 0
    answer = reader.response()
    assert digest(answer.body) == digest(streamed(30 * MB)) and answer.get('x-accel-buffering') is None
    assert waiting.response().status == 200
    waiting.close()


def test_events_of_a_wsgi_view_come_one_by_one(diplex, scripted):
    go_on = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n')
        for number in range(3):
            connection.send(b'data: %d\n\n' % number)
            assert go_on.wait(8)
            go_on.clear()

    site = diplex(one_pool('wsgi', scripted(script)))
    with site.client() as client:
        client.request('GET', '/')
        client.head()
        pieces = client.pieces()
        for number in range(3):
            assert next(pieces) == b'data: %d\n\n' % number
            go_on.set()
        assert list(pieces) == []


# ---- ends in the middle --------------------------------------------------------------------------------------------


def test_a_server_that_breaks_off_behind_a_slow_reader(diplex, scripted, slow):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % SIZE + b'x' * (7 * MB))

    site = diplex(one_pool('wsgi', scripted(script)))
    reader = slow(site, '/')
    time.sleep(0.5)
    head, _, body = reader.read_until_close().partition(b'\r\n\r\n')
    assert b'200 OK' in head and len(body) == 7 * MB, 'what came, and it does not look whole'
    assert site.wait_access(1)[0]['outcome'] == 'answer_cut'


def test_a_slow_reader_that_leaves(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1)))
    reader = slow(site, PATHS[0].format(SIZE))
    wait_until(lambda: open_spools(site) == 1)
    reader.reset()
    entry = site.wait_access(1)[0]
    assert entry['outcome'] == 'client_left' and entry['bytes_out'] < SIZE, 'the kernel has some of it, and nobody the rest'
    assert open_spools(site) == 0
    is_answered_at_once(site)


def test_a_reader_that_takes_nothing(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1), timeouts={'send': '700ms'}))
    slow(site, PATHS[1].format(8 * MB))
    assert site.wait_access(1)[0]['outcome'] == 'client_slow'
    is_answered_at_once(site)


def test_a_stop_waits_for_a_slow_reader(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1), shutdown_timeout='10s'))
    reader = slow(site, PATHS[0].format(SIZE))
    wait_until(lambda: open_spools(site) == 1)
    site.process.terminate()
    data = crawl(reader, 0.5)
    assert digest(the_rest(reader, data).body) == digest(streamed(SIZE))
    assert site.wait() == 0


# ---- no room -------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed_folder(directory):
    """A directory that data cannot write to, whoever runs the tests."""
    folder = directory / 'closed'
    folder.mkdir(mode=0o555)
    return folder


@pytest.fixture
def full_folder(directory):
    """A file system of one megabyte."""
    folder = directory / 'full'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=0777', 'tmpfs', str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip('only where tmpfs can be mounted')
    yield folder
    for _ in range(50):
        if subprocess.run(['umount', str(folder)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(['umount', '-l', str(folder)], check=True)


@pytest.mark.parametrize('folder', ['closed_folder', 'full_folder'])
def test_without_room_a_large_upload_is_refused_and_nothing_else(diplex, gunicorn, slow, directory, request, folder):
    folder = request.getfixturevalue(folder)
    server = gunicorn(fresh=True, workers=2)
    site = diplex(with_status(directory, one_pool('wsgi', server, buffer={'path': str(folder)})))
    for _ in range(3):
        answer = site.ask('POST', '/api/upload/', {'Content-Type': 'x/y'}, b'x' * 3 * MB)
        assert answer.status == 507 and str(folder).encode() not in answer.body, 'nothing about the inside'
    assert site.ask('POST', '/api/upload/', {'Content-Type': 'x/y'}, b'x' * 50_000).json()['size'] == 50_000
    is_answered_at_once(site)
    refused = site.wait_access(3, outcome='spool_failed')
    assert {entry['status'] for entry in refused} == {507} and all(entry['reason'] for entry in refused)
    line = site.wait_event('spool_failed')
    assert all(word in line for word in (' warn ', 'what=request', f'folder={folder}', 'reason=', 'buffer.path'))
    assert len([event for event in site.events() if 'spool_failed' in event]) == 1, 'once a minute'
    assert counters(site)['spool_failures_total'] == 3


@pytest.mark.parametrize('path', PATHS)
@pytest.mark.parametrize('folder', ['closed_folder', 'full_folder'])
def test_without_room_a_slow_reader_gets_its_answer_all_the_same(
    diplex, gunicorn, slow, directory, request, folder, path
):
    folder = request.getfixturevalue(folder)
    server = gunicorn(fresh=True, workers=2)
    site = diplex(with_status(directory, one_pool('wsgi', server, buffer={'path': str(folder)})))
    reader = slow(site, path.format(20 * MB))
    time.sleep(0.5)
    is_answered_at_once(site)  # by the other worker: this one is held, as it would be without diplex
    assert digest(reader.response().body) == digest(streamed(20 * MB))
    assert site.wait_access(1, path=path.format(20 * MB))[0]['outcome'] == 'ok'
    assert 'what=answer' in site.wait_event('spool_failed')
    assert counters(site)['spool_failures_total'] >= 1


def test_the_limit_of_a_file_holds_the_server_back(diplex, gunicorn, slow):
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1), buffer={'response_size': '1MB'}))
    reader = slow(site, PATHS[0].format(20 * MB))
    time.sleep(0.5)
    waiting = site.client()
    waiting.request('GET', '/api/hello/')
    assert waiting.is_silent_for(0.5)
    assert digest(reader.response().body) == digest(streamed(20 * MB))
    assert waiting.response().status == 200
    waiting.close()
    assert not [event for event in site.events() if 'spool_failed' in event]
