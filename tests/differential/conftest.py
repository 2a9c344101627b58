# SPDX-License-Identifier: MIT
"""diplex in front of servers that say what they saw. Everything lives as long as the tests of one file.

`DIPLEX_DIFFERENTIAL=full` splits every case at every position for both kinds of pool, and makes as many random
conversations as `DIPLEX_DIFFERENTIAL_ROUNDS` says (20000); `DIPLEX_DIFFERENTIAL_SEED` repeats a run of those.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'e2e')]
FULL = os.environ.get('DIPLEX_DIFFERENTIAL') == 'full'

import harness  # noqa: E402
import wire  # noqa: E402
from eyes import have_node  # noqa: E402
from seen import Behind  # noqa: E402


def pytest_report_header():
    return f'diplex: {harness.DIPLEX}, node: {"yes" if have_node() else "no, so its eyes are closed"}'


@pytest.fixture(scope='session')
def run_directory():
    """Short enough for Unix sockets, and open to the user that a root diplex drops to."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix='diplex-eyes-'))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


class Recorded:
    """diplex on a Unix socket in front of the recorder, for one kind of pool."""

    def __init__(self, directory: pathlib.Path, kind: str) -> None:
        self.kind = kind
        self.path = str(directory / 'diplex.sock')
        self.record_path = directory / 'record'
        server = str(directory / 'recorder.sock')
        self.recorder = harness.Program(directory, [sys.executable, HERE / 'recorder.py', server, self.record_path])
        self.recorder.start_and_wait(server)
        self.diplex = harness.Diplex(
            directory,
            {
                **harness.one_pool(kind, f'unix:{server}'),
                'listen': f'unix:{self.path}',
                'admin': 'off',
                'timeouts': {'header': '60s', 'body': '60s'},
            },
        )
        self.diplex.spawn()
        self.diplex.wait_event(' ready ')
        self._read = 0

    def record(self) -> list[dict]:
        """What was recorded since this was asked last. Asked when no conversation is under way."""
        with self.record_path.open('rb') as record:
            record.seek(self._read)
            lines = record.read()
            self._read = record.tell()
        return [json.loads(line) for line in lines.splitlines()]

    def finish(self) -> None:
        try:
            self.diplex.finish()
        finally:
            self.recorder.end_group()


@pytest.fixture(scope='module', params=['wsgi', 'asgi'])
def recorded(request, run_directory):
    directory = pathlib.Path(tempfile.mkdtemp(dir=run_directory))
    directory.chmod(0o755)
    program = Recorded(directory, request.param)
    yield program
    program.finish()


@pytest.fixture(scope='module')
def both_recorded(run_directory):
    """One for each kind of pool."""
    programs = []
    try:
        for kind in ('wsgi', 'asgi'):
            directory = pathlib.Path(tempfile.mkdtemp(dir=run_directory))
            directory.chmod(0o755)
            programs.append(Recorded(directory, kind))
        yield programs
    finally:
        for program in programs:
            program.finish()


@pytest.fixture
def behind(run_directory):
    """behind(name): diplex in front of a real server, by its name in seen.SERVERS."""
    started = []

    def start(name: str) -> Behind:
        if name == 'node' and not have_node():
            pytest.skip('no node')
        directory = pathlib.Path(tempfile.mkdtemp(dir=run_directory))
        directory.chmod(0o755)
        started.append(Behind(directory, name))
        return started[-1].start()

    yield start
    for one in started:
        one.finish()


@pytest.fixture
def scripted(request, run_directory):
    """scripted(script): a server on a Unix socket that does what a Python function says."""

    def start(script) -> wire.ScriptedServer:
        path = pathlib.Path(tempfile.mkdtemp(dir=run_directory))
        path.chmod(0o755)
        server = wire.ScriptedServer(script, str(path / 's.sock'))
        os.chmod(path / 's.sock', 0o666)
        request.addfinalizer(server.stop)
        return server

    return start
