# SPDX-License-Identifier: MIT
"""Fixtures that start what a test needs and end all of it afterwards.

Servers that nothing was changed on are shared by the whole run; `fresh=True` asks for one to stop, kill or exhaust.
"""

import itertools
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import footprint  # noqa: E402
import harness  # noqa: E402
import wire  # noqa: E402

_numbers = itertools.count()


def pytest_report_header():
    return f'diplex: {harness.DIPLEX}' + ('' if harness.DIPLEX.exists() else ' (not built: its tests will fail)')


def pytest_collection_modifyitems(items):
    """With DIPLEX_HALF every other test, so that two runs do the work of one: 0 those that are even, 1 the others."""
    if half := os.environ.get('DIPLEX_HALF'):
        items[:] = items[int(half)::2]


def pytest_terminal_summary(terminalreporter):
    for line in footprint.summary():
        terminalreporter.write_line(line)


@pytest.fixture(scope='session')
def run_directory():
    """A directory whose path is short enough for Unix sockets, and open to the user that a root diplex drops to."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix='diplex-e2e-'))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def directory(run_directory):
    """A directory for one test."""
    path = run_directory / str(next(_numbers))
    path.mkdir()
    return path


@pytest.fixture(scope='session')
def shared_servers(run_directory):
    """Servers by what they were asked to be, kept until the end of the run."""
    servers = {}

    def get(make, key):
        if key not in servers:
            path = run_directory / f's{next(_numbers)}'
            path.mkdir()
            servers[key] = make(path).start()
        return servers[key]

    yield get
    for server in servers.values():
        server.ask_to_end()
    for server in servers.values():
        server.stop()


def _factory(request, shared_servers, run_directory, cls):
    def get(fresh=False, start=True, **options):
        def make(path):
            return cls(path, **options)

        if not fresh:
            return shared_servers(make, (cls, repr(sorted(options.items()))))
        path = run_directory / f's{next(_numbers)}'
        path.mkdir()
        server = make(path)
        request.addfinalizer(server.stop)
        return server.start() if start else server

    return get


@pytest.fixture
def gunicorn(request, shared_servers, run_directory):
    """gunicorn(worker_class='sync', workers=1, threads=1, unix=False, host='127.0.0.1', extra=(), ...)"""
    return _factory(request, shared_servers, run_directory, harness.Gunicorn)


@pytest.fixture
def uvicorn(request, shared_servers, run_directory):
    """uvicorn(http='httptools', unix=False, host='127.0.0.1', extra=(), fresh=False, start=True)"""
    return _factory(request, shared_servers, run_directory, harness.Uvicorn)


@pytest.fixture
def scripted(request, directory):
    """scripted(script, unix=False, port=0): a server that does what a Python function says."""

    def start(script, unix=False, port=0):
        path = str(directory / f'scripted-{next(_numbers)}.sock') if unix else None
        server = wire.ScriptedServer(script, path, port)
        request.addfinalizer(server.stop)
        return server

    return start


@pytest.fixture
def diplex(request, run_directory):
    """diplex(config, arguments=(), environment=None, start=True): the program with this configuration."""

    def run(config, arguments=(), environment=None, start=True):
        path = run_directory / f'd{next(_numbers)}'
        path.mkdir()
        program = harness.Diplex(path, config, arguments, environment)
        request.addfinalizer(program.finish)
        return program.start() if start else program

    return run


@pytest.fixture
def steady(request, diplex, directory):
    """steady(config, ...): as diplex, and at the end of the test nothing may be left behind: no request, connection,
    slot, descriptor, process, and no memory to speak of. `site.leaves_nothing()` asks that at once."""

    def run(config, **more):
        admin = str(directory / f'{next(_numbers)}.sock')
        site = diplex(footprint.with_admin(config, admin), **more)
        site.footprint = footprint.Footprint(site, admin)
        site.leaves_nothing = site.footprint.check
        request.addfinalizer(site.leaves_nothing)
        return site

    return run


@pytest.fixture(params=['sync', 'gthread'])
def wsgi(request, gunicorn):
    """gunicorn, with each of the two kinds of worker."""
    return gunicorn(worker_class=request.param, workers=2, threads=1 if request.param == 'sync' else 4)


@pytest.fixture(params=['httptools', 'h11'])
def asgi(request, uvicorn):
    """uvicorn, with each of its two parsers."""
    return uvicorn(http=request.param)


@pytest.fixture
def site(diplex, gunicorn, uvicorn):
    """The usual arrangement on TCP, with one kind of each server."""
    return diplex(harness.two_pools(gunicorn(workers=2), uvicorn()))
