# SPDX-License-Identifier: MIT
"""What a small request on a kept connection costs, in counts, which unlike times are the same on every machine:
system calls by strace, allocations by a library that is loaded before the C library. docs/performance.md has the times.

The server and the load are the benchmark's own programs.
"""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import harness
import pytest
from wire import wait_until

sys.path.insert(0, str(harness.ROOT / 'tests' / 'bench'))

import bench  # noqa: E402
from peers import BUILD  # noqa: E402

CONNECTIONS = 64
COUNTER = pathlib.Path(__file__).parent / 'count_allocations.c'

pytestmark = [
    pytest.mark.skipif(harness.sanitized(), reason='a sanitizer makes calls and allocations of its own'),
    pytest.mark.skipif(shutil.which('cc') is None, reason='no C compiler (cc) for the server and the load'),
]


@contextlib.contextmanager
def program(*command, log):
    """A command that is ended with the block, its output in a file."""
    with log.open('wb') as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope='module', autouse=True)
def programs():
    bench.build()


@pytest.fixture(params=['wsgi', 'asgi'])
def config(request, directory):
    """One pool of either kind in front of the origin, which keeps connections. No log, no checks: requests alone."""
    address = f'127.0.0.1:{harness.free_port()}'
    with program(str(BUILD / 'origin'), address, log=directory / 'origin.log'):
        pool = {'kind': request.param, 'servers': address, 'keepalive': {'idle': '30s'}}
        yield {'pools': {'web': pool}, 'routes': {'/': 'web'}, 'workers': 1, 'log': 'off'}


@contextlib.contextmanager
def load(diplex, directory):
    """All connections made and each answered once; yields a function that loads for a while and returns the count."""
    log = directory / 'load.log'
    with program(str(BUILD / 'load'), 'get', diplex.listen, '/', str(CONNECTIONS), log=log) as process:
        wait_until(lambda: 'READY' in log.read_text(), 20)

        def run(seconds=1.0):
            process.send_signal(signal.SIGUSR1)
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            process.wait(10)
            seen = json.loads(log.read_text().partition('DONE ')[2])
            assert seen['errors'] == 0, seen
            assert seen['requests'] > 4 * CONNECTIONS, seen
            return seen['requests']

        yield run


def data_process(diplex):
    (pid,) = diplex.children()
    return pid


def attach_strace(pid, counts, log):
    """strace on a process, once it is attached; skips where the system does not let it."""
    if shutil.which('strace') is None:
        pytest.skip('strace is not installed (Debian: strace)')
    command = ['strace', '-f', '-c', '-U', 'calls,name', '-o', str(counts), '-p', str(pid)]
    with log.open('wb') as output:
        strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    wait_until(lambda: 'attached' in log.read_text() or strace.poll() is not None, 10)
    if strace.poll() is not None:
        if 'Operation not permitted' in log.read_text():
            pytest.skip(f'no ptrace here: {log.read_text().strip()}')
        raise AssertionError(f'strace failed: {log.read_text()}')
    return strace


def test_a_small_request_takes_four_system_calls(config, diplex, directory):
    """Two recv, two sends, and a share of an epoll_wait that tells of many connections at once."""
    site = diplex(config)
    counts = directory / 'counts'
    with load(site, directory) as run:
        strace = attach_strace(data_process(site), counts, directory / 'strace.log')
        try:
            requests = run(1.5)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(10)
    calls = {name: int(count) for count, name in re.findall(r'^\s*(\d+)\s+(\w+)$', counts.read_text(), re.M)}
    calls.pop('total', None)
    each = {name: round(count / requests, 3) for name, count in calls.items()}
    assert 3.9 < sum(calls.values()) / requests < 4.3, f'{requests} requests, calls for each: {each}'


@pytest.fixture(scope='session')
def counter(tmp_path_factory):
    """The library that counts allocations."""
    library = tmp_path_factory.mktemp('counter') / 'count_allocations.so'
    done = subprocess.run(['cc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-Wall', '-Wextra', '-o', str(library),
                           str(COUNTER)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return library


def test_a_small_request_allocates_nothing(config, diplex, directory, counter):
    if b'/ld-linux' not in harness.DIPLEX.read_bytes():
        pytest.skip("the counter stands in front of glibc's functions, and this program is not linked to glibc")
    files = directory / 'allocations'
    files.mkdir()
    site = diplex(config, environment={'LD_PRELOAD': str(counter), 'COUNT_ALLOCATIONS_IN': str(files)})
    of_data = files / str(data_process(site))
    assert of_data.exists(), 'the data process counts nothing'

    def count():
        return struct.unpack('Q', of_data.read_bytes())[0]

    assert count() > 10, 'starting allocates, so a counter that stays at nought counts nothing'
    with load(site, directory) as run:
        run(0.5)  # connections to the server are made, and stocks grow
    with load(site, directory) as run:
        before = count()
        requests = run()
        after = count()
    # Stocks may still grow by a few, when more happens at the same moment than ever before; hardly one a connection.
    assert after - before < CONNECTIONS, f'{after - before} allocations in {requests} requests'
