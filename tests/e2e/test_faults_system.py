# SPDX-License-Identifier: MIT
"""What breaks under diplex: logs that nobody reads or that have no room, closed standard streams, a full disk, a clock
that jumps, its own processes killed at any moment. Afterwards it is as it was, and nothing is left behind.
"""

import collections
import contextlib
import datetime
import email.utils
import fcntl
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import threading
import time

import h11
import harness
import pytest
import websockets
from footprint import converse, family, inject, read
from harness import has_ended, one_pool, sanitized, two_pools
from test_absorb import digest, full_folder, slow, streamed  # noqa: F401
from test_streams import socket_to
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def get(target):
    return f'GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode()


def answers(site, count=50):
    """So many requests at once, all of them answered with 200."""
    for heard in converse(site.endpoint, [get(f'/{number}') for number in range(count)]):
        assert read(heard).status == 200, heard


# ---- logs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def spawned(request, diplex):
    """spawned(config, stdout=, stderr=, shell=): diplex with those for its standard streams."""

    def start(config, stdout=None, stderr=None, shell=None):
        site = diplex(config, start=False)
        if shell is not None:
            site.arguments = ['sh', '-c', shell, 'sh', *site.arguments]
        with site.stdout_path.open('ab') as out, site.stderr_path.open('ab') as err:
            site.process = subprocess.Popen(
                site.arguments, stdin=subprocess.DEVNULL, start_new_session=True, env=site.environment,
                stdout=out if stdout is None else stdout, stderr=err if stderr is None else stderr,
            )  # fmt: skip
        wait_until(lambda: harness.answers(site.endpoint), what='the listener')
        return site

    return start


def fill(pipe):
    """Not another byte goes into it."""
    flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, b'\n' * size)
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags)


def empty(pipe, seconds=1.0):
    """What is in it, until nothing more has come for so long."""
    os.set_blocking(pipe, False)
    data, quiet = b'', time.monotonic() + seconds
    while time.monotonic() < quiet:
        with contextlib.suppress(BlockingIOError):
            data += os.read(pipe, 1 << 20)
            quiet = time.monotonic() + seconds
        time.sleep(0.02)
    return data


def test_data_is_started_again_although_nobody_reads_the_log(spawned, scripted):
    """Standard error is a full pipe. Control has something to say, and goes on without."""
    reader, writer = os.pipe()
    site = spawned(one_pool('asgi', scripted(keep_answering)), stderr=writer)
    site.unclean_exit_is_expected = True
    inject(3)
    answers(site)
    fill(writer)
    for _ in range(3):
        (data,) = site.children()
        os.kill(data, signal.SIGKILL)
        wait_until(lambda pid=data: has_ended(pid), what='its death')
        killed = time.monotonic()
        answers(site)
        assert time.monotonic() - killed < (20 if sanitized() else 4)
    began = time.monotonic()
    site.signal(signal.SIGTERM)
    site.wait(10)
    assert time.monotonic() - began < 8
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize('which', ['stdout', 'stderr'])
def test_a_log_whose_reader_is_gone(spawned, scripted, which):
    reader, writer = os.pipe()
    site = spawned(one_pool('asgi', scripted(keep_answering)), **{which: writer})
    os.close(writer)
    inject(2)
    answers(site)
    os.close(reader)
    answers(site, 200)
    (data,) = site.children()
    site.reload()
    answers(site, 200)
    assert site.children() == [data] and site.running()


def test_a_log_that_is_read_again_goes_on_with_whole_lines(spawned, scripted):
    reader, writer = os.pipe()
    site = spawned(one_pool('asgi', scripted(keep_answering)), stdout=writer)
    inject()
    with site.client() as client:
        for number in range(700):
            assert client.ask('GET', '/' + 'x' * 500 + str(number)).status == 200
    first = empty(reader)
    answers(site, 20)
    lines = (first + empty(reader)).split(b'\n')
    assert lines.pop() == b''
    assert len(lines) < 721, 'some were dropped'
    assert {json.loads(line)['path'] for line in lines[-20:]} == {f'/{number}' for number in range(20)}
    os.close(reader)
    os.close(writer)


def test_a_log_on_a_full_disk_goes_on_when_there_is_room(spawned, scripted, full_folder):  # noqa: F811
    junk = full_folder / 'junk'
    with (full_folder / 'access.log').open('ab') as log:
        config = one_pool('asgi', scripted(keep_answering), admin=str(full_folder.parent / 'a.sock'))
        site = spawned(config, stdout=log)
    inject()
    answers(site, 20)
    wait_until(lambda: (full_folder / 'access.log').read_bytes().count(b'\n') == 20)
    with contextlib.suppress(OSError), junk.open('wb', buffering=0) as file:
        while True:
            file.write(b'x' * 512)
    answers(site, 300)
    junk.unlink()
    time.sleep(0.3)
    answers(site, 20)
    site.stop()
    torn, whole = 0, []
    for line in (full_folder / 'access.log').read_bytes().split(b'\n')[:-1]:
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn += 1
    assert torn <= 1 and 40 <= len(whole) < 340
    assert {entry['path'] for entry in whole[-20:]} == {f'/{number}' for number in range(20)}


def test_dropped_lines_are_counted_whatever_the_reason(steady, scripted, directory):
    """/dev/full never has room."""
    site = steady(one_pool('asgi', scripted(keep_answering)))
    site.stop()
    with open('/dev/full', 'wb') as full, site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments, stdin=subprocess.DEVNULL, start_new_session=True, stdout=full, stderr=err, env=site.environment
        )
    wait_until(lambda: harness.answers(site.endpoint), what='the listener')
    inject()
    answers(site, 100)
    lost = 'log_lines_dropped_total'
    wait_until(lambda: answers(site, 1) or site.footprint.status()['counters'][lost] >= 100, what='100 lines to be counted')
    site.footprint.data = site.footprint.data_pid()


@pytest.mark.parametrize('closed', ['<&-', '>&-', '2>&-', '<&- >&- 2>&-'])
def test_closed_standard_streams_are_nobody_elses(spawned, scripted, closed):
    """A socket that got the number of standard output would be written the log into."""
    site = spawned(one_pool('asgi', scripted(keep_answering)), shell=f'exec "$@" {closed}')
    inject()
    answers(site)
    for pid in (site.pid, *site.children()):
        for number in range(3):
            where = os.readlink(f'/proc/{pid}/fd/{number}')
            assert where == '/dev/null' or where.startswith(str(site.directory)), where


def test_a_limit_of_file_size_is_an_error_and_no_signal(spawned, scripted):
    """The log of control ends at the limit, and nothing else."""
    site = spawned(one_pool('asgi', scripted(keep_answering), workers=1), shell='ulimit -f 400000; exec "$@"')
    site.unclean_exit_is_expected = site.deaths_are_expected = True
    answers(site)
    with site.stderr_path.open('ab') as log:
        log.truncate(400000 * 512)
    inject()
    (data,) = site.children()
    os.kill(data, signal.SIGKILL)
    wait_until(lambda: has_ended(data), what='its death')
    answers(site)
    assert site.running() and site.children() != [data]
    os.truncate(site.stderr_path, 0)


# ---- a full disk ---------------------------------------------------------------------------------------------------


def room(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@pytest.mark.parametrize('chunked', [False, True])
def test_uploads_for_which_there_is_no_room(steady, gunicorn, full_folder, chunked):  # noqa: F811
    """Ten of 400 KB at the same time and a disk of a megabyte: those that fit arrive, the others are told 507, and the
    room is there again for the next ones."""
    site = steady(one_pool('wsgi', gunicorn(workers=2), buffer={'path': str(full_folder)}))
    free, noise = room(full_folder), random.Random(3).randbytes(400_000)
    inject(20)
    told = collections.Counter()
    for _ in range(2):
        clients = [site.client() for _ in range(10)]
        framing = 'Transfer-Encoding: chunked' if chunked else f'Content-Length: {len(noise)}'
        head = f'POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\n{framing}\r\n\r\n'.encode()
        body = b'%x\r\n' % len(noise) + noise + b'\r\n0\r\n\r\n' if chunked else noise
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(head + body[:-1])
        time.sleep(0.2)
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(body[-1:])
            answer = client.response('POST')
            told[answer.status] += 1
            if answer.status == 200:
                assert answer.json()['sha256'] == digest(noise)
            client.close()
        wait_until(lambda: room(full_folder) == free, what='the room of all of them')
    assert set(told) == {200, 507} and told[200] >= 2, told
    assert site.ask('POST', '/api/upload/', {'Content-Type': 'x/y'}, noise).json()['sha256'] == digest(noise)


def test_answers_for_which_there_is_no_room(steady, gunicorn, full_folder, slow):  # noqa: F811
    """Three slow readers of 6 MB each: what the disk does not take waits with its server, and nobody gets a wrong byte."""
    size = 6_000_000
    server = gunicorn(worker_class='gthread', workers=1, threads=8)
    site = steady(one_pool('wsgi', server, buffer={'path': str(full_folder)}))
    free = room(full_folder)
    inject(3)
    readers = [slow(site, f'/api/download/{size}/{"?length=1" if number % 2 else ""}') for number in range(3)]
    wait_until(lambda: room(full_folder) < 100_000, what='the disk to be full')
    for reader in readers:
        assert digest(reader.response().body) == digest(streamed(size))
        reader.close()
    wait_until(lambda: room(full_folder) == free, what='the room of all of them')
    assert site.footprint.status()['counters']['spool_failures_total'] > 0


# ---- a clock that jumps --------------------------------------------------------------------------------------------


@pytest.fixture
def clock(directory):
    """clock.environment for a program, and clock.jump(seconds): its wall clock is off by so much from now on."""
    if sanitized() or shutil.which('cc') is None or b'/ld-linux' not in harness.DIPLEX.read_bytes():
        pytest.skip('needs a C compiler, and a program linked to glibc in which nothing else stands before it')
    library, offset = directory / 'jump_clock.so', directory / 'offset'
    source = pathlib.Path(__file__).with_name('jump_clock.c')
    subprocess.run(['cc', '-std=gnu11', '-D_GNU_SOURCE', '-fPIC', '-shared', '-o', library, source, '-ldl'], check=True)
    offset.write_bytes(struct.pack('q', 0))

    class Clock:
        environment = {'LD_PRELOAD': str(library), 'JUMP_CLOCK_BY': str(offset)}

        @staticmethod
        def jump(seconds):
            with offset.open('r+b') as file:
                file.write(struct.pack('q', int(seconds)))

    return Clock


def seconds_off(answer):
    return email.utils.parsedate_to_datetime(answer.get('date')).timestamp() - time.time()


YEAR = 365 * 86400


def test_a_clock_that_jumps_changes_dates_and_nothing_else(steady, scripted, clock):
    """Ten years ahead, back, and an hour behind, while requests run, wait for a slot, are held, and connections idle."""

    def script(connection):
        while request := connection.read_request():
            time.sleep(float(request.target[1:]))
            connection.reply()

    server = scripted(script)
    pool = {'slots': 2, 'keepalive': {'idle': '20s'}, 'timeouts': {'response': '5s'}, 'queue': {'wait': '20s'}, 'eject': 'off'}
    config = one_pool('wsgi', server, pool=pool, workers=1, timeouts={'header': '1s', 'body': '5s', 'idle': '20s'})
    site = steady(config, environment=clock.environment)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(site.client(patience=20)) for _ in range(4)]
        idle, uploading = stack.enter_context(site.client()), stack.enter_context(site.client())
        assert idle.ask('GET', '/0').status == 200
        uploading.send(b'POST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
        for client in clients:
            client.request('GET', '/0.6')  # two run, two wait for their slots
        for by in (10 * YEAR, -10 * YEAR, -3600, 86400, 0, 10 * YEAR):
            inject()
            clock.jump(by)
            time.sleep(0.1)
        for client in clients:
            assert client.response().status == 200
        uploading.send(b'def')
        assert uploading.response('POST').status == 200
        assert idle.ask('GET', '/0').status == 200
        for by in (10 * YEAR, -10 * YEAR):
            clock.jump(by)
            time.sleep(1.1)
            lines = site.stdout.count('\n')
            assert abs(seconds_off(idle.ask('GET', '/0')) - by) < 3
            wait_until(lambda: site.stdout.count('\n') > lines)
            logged = datetime.datetime.fromisoformat(site.stdout.splitlines()[-1].partition('"time":"')[2].partition('"')[0])
            assert abs(logged.timestamp() - time.time() - by) < 5
    clock.jump(-10 * YEAR)
    with site.client() as silent:
        silent.send(b'GET / HT')
        began = time.monotonic()
        assert silent.response().status == 408
        assert 0.8 < time.monotonic() - began < 5, 'the time-outs go on as before'
    site.wait_access(1, outcome='header_timeout')
    assert {entry['outcome'] for entry in site.access()} == {'ok', 'header_timeout'}
    assert not [line for line in site.events() if ' warn ' in line or ' error ' in line]
    clock.jump(10 * YEAR)
    began = time.monotonic()
    site.reload()
    site.wait_event('reloaded')
    assert time.monotonic() - began < 5


# ---- its own processes killed --------------------------------------------------------------------------------------


class Traffic:
    """Everything at once, for ever: small requests, downloads, uploads, events, WebSockets. What comes whole must be
    right to the last byte; what comes broken must look broken."""

    SIZE = 300_000
    NOISE = random.Random(9).randbytes(70_000)

    def __init__(self, site) -> None:
        self.site, self.seen, self.wrong = site, collections.Counter(), []
        self._stop = threading.Event()
        work = [self.small, self.download, self.upload, self.events, self.socket]
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in work for _ in range(2)]

    def small(self, side) -> None:
        with self.site.client() as client:
            for _ in range(5):
                self.check(client.ask('GET', f'/{side}/hello/'), lambda answer: answer.json()['process']['pid'])

    def download(self, side) -> None:
        with self.site.client() as client:
            for more in ('', '?length=1'):
                answer = client.ask('GET', f'/{side}/download/{self.SIZE}/{more}')
                self.check(answer, lambda answer: answer.body == streamed(self.SIZE))

    def upload(self, side) -> None:
        with self.site.client() as client:
            answer = client.ask('POST', f'/{side}/upload/', {'Content-Type': 'x/y'}, self.NOISE)
            self.check(answer, lambda answer: answer.json()['sha256'] == digest(self.NOISE))

    def events(self, side) -> None:
        del side
        with self.site.client() as client:
            answer = client.ask('GET', '/async/events/?count=6&interval=20')
            self.check(answer, lambda answer: answer.body.count(b'event: tick') == 6)

    def socket(self, side) -> None:
        del side
        try:
            with socket_to(self.site) as socket:
                for number in range(10):
                    socket.send(f'{number} and so on')
                    if (heard := socket.recv(5)) != f'{number} and so on':
                        self.wrong.append(heard)
                self.seen['right'] += 1
        except (websockets.WebSocketException, OSError):
            self.seen['broken'] += 1

    def check(self, answer, is_right) -> None:
        if answer.status in (502, 503, 504):
            self.seen['refused'] += 1
        elif answer.status == 200 and is_right(answer):
            self.seen['right'] += 1
        else:
            self.wrong.append(answer)

    def _run(self, work) -> None:
        for side in itertools.cycle(['api', 'async']):
            if self._stop.is_set():
                return
            try:
                work(side)
            except (OSError, h11.RemoteProtocolError):
                self.seen['broken'] += 1
                self._stop.wait(0.01)
            except AssertionError as problem:
                assert 'broke off' in str(problem) or 'expected a head' in str(problem), problem
                self.seen['broken'] += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self._threads), 'a client hangs'
        assert not self.wrong, self.wrong[:3]


def test_data_killed_at_any_moment_under_load(steady, gunicorn, uvicorn, record_property):
    """Control starts it again, who comes next is served, and no answer that looks whole is wrong."""
    wsgi = gunicorn(worker_class='gthread', workers=1, threads=8)
    site = steady(two_pools(wsgi, uvicorn(), sync={'slots': 8}))
    site.deaths_are_expected = True
    moments, pauses = random.Random(17), []
    with Traffic(site) as traffic:
        for _ in range(5):
            time.sleep(moments.uniform(0.2, 0.8))
            (data,) = site.children()
            inject()
            os.kill(data, signal.SIGKILL)
            killed = time.monotonic()
            wait_until(lambda pid=data: has_ended(pid), what='its death')
            assert site.get('/api/hello/').status == 200
            pauses.append(time.monotonic() - killed)
            assert data not in site.children()
        time.sleep(0.3)
    assert max(pauses) < (20 if sanitized() else 4), pauses
    record_property('ms from the death of data to the next answer', [round(pause * 1000) for pause in pauses])
    print(f'from the death of data to the next answer: {[round(pause * 1000) for pause in pauses]} ms, {traffic.seen}')
    assert traffic.seen['right'] > 30 and traffic.seen['broken'], traffic.seen
    site.wait_event('data_exited', 'SIGKILL', count=5)
    assert site.footprint.status()['data_starts'] == 6


def test_control_killed_under_load(diplex, gunicorn, uvicorn, directory):
    """Data follows it: nobody would open sockets or start it again. What was cut looks cut, nothing is left that runs, and
    the next diplex takes over what lies about."""
    front = directory / 'front.sock'
    config = two_pools(gunicorn(worker_class='gthread', workers=1, threads=8), uvicorn(), admin=str(directory / 'a.sock'))
    site = diplex(config, start=False)
    site.write_config({**config, 'listen': [site.listen, f'unix:{front}']})
    site.start()
    site.unclean_exit_is_expected = True
    with Traffic(site) as traffic:
        time.sleep(0.7)
        inject()
        site.signal(signal.SIGKILL)
        site.wait()
        killed = time.monotonic()
        wait_until(lambda: not family(site), what='the end of data')
        assert time.monotonic() - killed < (20 if sanitized() else 3)
    assert traffic.seen['right'] and traffic.seen['broken'], traffic.seen
    assert 'control_gone' in site.stderr and front.exists()
    site.start()
    assert site.get('/api/hello/').status == 200
    with harness.RawClient(str(front)) as client:
        assert client.ask('GET', '/async/hello/').status == 200
