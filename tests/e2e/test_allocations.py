# SPDX-License-Identifier: MIT
"""The whole program when one request for memory fails, its own or one of a library (libyaml, libevent, libcurl, c-ares):
a start that is impossible says why and ends, and everything else goes on or recovers by itself. Which one fails is
spread evenly over all there are. tests/fuzz and tests/unit let each one of diplex's own fail in turn.
"""

import contextlib
import http.server
import json
import os
import pathlib
import struct
import subprocess
import threading
import time

import harness
import pytest
from wire import wait_until

LIBRARY = pathlib.Path(__file__).parent / 'fail_allocation.c'

pytestmark = pytest.mark.skipif(harness.sanitized() or harness.VALGRIND, reason="memory is not the C library's there")


@pytest.fixture(scope='session')
def library(tmp_path_factory):
    if b'/ld-linux' not in harness.DIPLEX.read_bytes():
        pytest.skip("the library stands in front of glibc's functions, and this program is not linked to glibc")
    built = tmp_path_factory.mktemp('failing') / 'fail_allocation.so'
    done = subprocess.run(['cc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-Wall', '-Wextra', '-o', str(built),
                           str(LIBRARY)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return built


class Counts:
    """The three numbers of each kind of process."""

    def __init__(self, library, directory):
        self.directory = directory
        self.environment = {'LD_PRELOAD': str(library), 'FAIL_ALLOCATION_IN': str(directory)}

    def fail(self, kind=None, at=0):
        for name in ('control', 'data'):
            (self.directory / name).write_bytes(struct.pack('QQQ', 0, at if name == kind else 0, 0))

    def asked(self, kind):
        return struct.unpack('QQQ', (self.directory / kind).read_bytes())[0]

    def failed(self, kind):
        return struct.unpack('QQQ', (self.directory / kind).read_bytes())[2] == 1


@pytest.fixture
def counts(library, directory):
    files = directory / 'counts'
    files.mkdir()
    made = Counts(library, files)
    made.fail()
    return made


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):  # noqa: N802
        self.send_response(200)
        self.send_header('Content-Length', '5')
        self.end_headers()
        self.wfile.write(b'hello')

    def log_message(self, *args):
        pass


@pytest.fixture
def origin():
    with http.server.ThreadingHTTPServer(('127.0.0.1', harness.free_port()), Hello) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def spread(count, most):
    """Numbers from 1 to count, evenly, with both ends."""
    return sorted({1 + (count - 1) * i // (most - 1) for i in range(most)})


def config_for(port):
    return {
        'pools': {'web': {
            'kind': 'wsgi', 'servers': [f'localhost:{port}'], 'slots': 2, 'balance': 'least_conn', 'sticky': 'cookie',
            'health': {'path': '/', 'interval': '50ms'},
        }},
        'routes': {'/': 'web', '/big/': {'pool': 'web', 'body': '1MB', 'share': '50%'}},
        'workers': 1, 'resolve': '200ms', 'shutdown_timeout': '2s',
    }  # fmt: skip


@pytest.mark.parametrize('command', ['check', 'explain'])
def test_a_command_says_why_it_fails(counts, directory, command):
    file = directory / 'diplex.yaml'
    file.write_text(json.dumps(config_for(8000)))
    more = ['GET', '/big/x'] if command == 'explain' else []
    arguments = [command, '-c', file, *more]
    environment = {**os.environ, **counts.environment}

    def run():
        return harness.run_diplex(*arguments, env=environment)

    whole = run()
    assert whole.returncode == 0, whole.stderr
    total = counts.asked('control')
    assert total > 50
    refused = 0
    for n in spread(total, 60):
        counts.fail('control', n)
        done = run()
        assert counts.failed('control')
        assert done.returncode in (0, 1, 2), (n, done.returncode, done.stderr)
        if done.returncode == 0:
            assert done.stdout == whole.stdout or command == 'explain', n  # which makes up an id
        else:
            assert done.stderr.strip(), (n, 'ended without a word')
            refused += 1
    assert refused > 4


def serves(site):
    with contextlib.suppress(OSError, AssertionError):
        answer = site.get('/x')
        return answer.status == 200 and answer.body == b'hello'
    return False


@pytest.fixture
def total(counts, directory, origin):
    """How many each process asks for, from its start over its first requests to some probes and look-ups."""
    site = harness.Diplex(directory, config_for(origin), environment=counts.environment)
    site.start()
    wait_until(lambda: serves(site), 10)
    time.sleep(0.5)
    asked = {kind: counts.asked(kind) for kind in ('control', 'data')}
    site.finish()
    return asked


@pytest.mark.parametrize('kind', ['control', 'data'])
def test_the_program_serves_or_says_why_it_cannot(counts, directory, origin, total, kind):
    ended = 0
    for n in spread(total[kind], 16):
        counts.fail(kind, n)
        site = harness.Diplex(directory, config_for(origin), environment=counts.environment)
        site.deaths_are_expected = True
        site.stderr_path.write_text('')
        site.spawn()
        try:
            wait_until(lambda: not site.running() or (serves(site) and counts.asked(kind) >= n), 15)
            if not site.running():
                assert site.wait() in (1, 2), (n, site.stderr)
                assert site.stderr.strip(), (n, 'ended without a word')
                assert ' ready ' not in site.stderr, (n, 'it had served already', site.stderr)
                ended += 1
                continue
            wait_until(lambda: serves(site), 10)
        finally:
            site.finish()
    assert 0 < ended < 12, 'some of a start cannot be done without, most of what follows can'
