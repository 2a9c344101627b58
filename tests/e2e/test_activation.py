# SPDX-License-Identifier: MIT
"""Sockets that a service manager opened and keeps. No systemd runs here: a small program hands them over as systemd does, and
systemd-socket-activate does where it is installed."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest
from harness import DIPLEX, free_port, one_pool, run_diplex
from test_process import connects, keep_answering
from wire import RawClient, wait_until

# Becomes the program with the descriptors that it is told of from 3 on, and says so in the environment.
HAND_OVER = """
import fcntl, os, sys
count, first = int(sys.argv[1]), 3
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[2:2 + count]]
for at, fd in enumerate(high):
    os.dup2(fd, first + at)
os.environ.update(LISTEN_FDS=str(count))
os.environ.setdefault('LISTEN_PID', str(os.getpid()))
os.closerange(first + count, 200)
os.execvp(sys.argv[2 + count], sys.argv[2 + count:])
"""


@pytest.fixture
def opened():
    """Makes listening sockets as a manager holds them: they stay open until the end of the test."""
    with contextlib.ExitStack() as stack:

        def listen(address) -> socket.socket:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            listener = stack.enter_context(socket.socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(100)
            return listener

        yield listen


def hand_over(site, *sockets, names=None, **environment):
    """Starts the program with these sockets."""
    if '-c' not in site.arguments[:2]:
        program = site.arguments
        numbers = [str(given.fileno()) for given in sockets]
        site.arguments = [sys.executable, '-c', HAND_OVER, str(len(sockets)), *numbers, *program]
    if names:
        environment['LISTEN_FDNAMES'] = names
    site.environment |= environment
    with site.stdout_path.open('ab') as out, site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=site.directory, env=site.environment,
            start_new_session=True, pass_fds=[given.fileno() for given in sockets],
        )  # fmt: skip


def listening(pid: int) -> int:
    """How many listening sockets of TCP a process has."""
    seen = set()
    for entry in pathlib.Path(f'/proc/{pid}/fd').iterdir():
        with contextlib.suppress(OSError):
            seen.add(os.readlink(entry))
    tables = [pathlib.Path(f'/proc/{pid}/net/{name}').read_text().splitlines()[1:] for name in ('tcp', 'tcp6')]
    rows = [line.split() for table in tables for line in table]
    return sum(f'socket:[{row[9]}]' in seen for row in rows if row[3] == '0A')


def test_a_given_socket_is_used_by_all_workers(diplex, scripted, opened):
    site = diplex(one_pool('asgi', scripted(keep_answering), workers=3), start=False)
    hand_over(site, opened(site.endpoint), names='http')
    site.wait_event(' ready ')
    for _ in range(20):
        assert site.get('/').status == 200
    assert listening(site.pid) == 1, 'the one that was given, and none of its own'
    (data,) = site.children()
    environment = pathlib.Path(f'/proc/{data}/environ').read_bytes()
    assert b'LISTEN_' not in environment


def test_who_connects_between_two_diplexes_waits(diplex, scripted, opened):
    site = diplex(one_pool('asgi', scripted(keep_answering), workers=2), start=False)
    given = opened(site.endpoint)
    hand_over(site, given)
    site.wait_event(' ready ')
    assert site.get('/').status == 200
    assert site.stop() == 0
    with site.client() as client:
        client.request('GET', '/', {'Connection': 'close'})
        assert client.is_silent_for(0.1)
        hand_over(site, given)
        assert client.response().status == 200


def test_what_was_not_given_is_opened(diplex, scripted, opened, directory):
    path, port = str(directory / 'web.sock'), free_port()
    config = one_pool('asgi', scripted(keep_answering), listen=[f'unix:{path}', f'127.0.0.1:{port}'])
    site = diplex(config, start=False)
    hand_over(site, opened(path), names='local')
    site.wait_event(' ready ')
    for where in (path, ('127.0.0.1', port)):
        with RawClient(where) as client:
            assert client.ask('GET', '/').status == 200
    assert 'listen_unused' not in site.stderr
    assert site.stop() == 0
    assert pathlib.Path(path).is_socket(), 'its file is for the manager to remove'
    assert connects(path) and not connects(('127.0.0.1', port))


def test_every_address_finds_the_wildcard_of_ipv4(diplex, scripted, opened):
    port = free_port()
    site = diplex(one_pool('asgi', scripted(keep_answering), listen=str(port)), start=False)
    hand_over(site, opened(('0.0.0.0', port)))  # noqa: S104
    site.wait_event(' ready ')
    with RawClient(('127.0.0.1', port)) as client:
        assert client.ask('GET', '/').status == 200


def test_one_that_no_address_names_is_told(diplex, scripted, opened):
    other = ('127.0.0.1', free_port())
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    hand_over(site, opened(site.endpoint), opened(other), names='http:spare')
    site.wait_event(' ready ')
    told = site.wait_event('listen_unused', f'{other[0]}:{other[1]}', 'spare')
    assert ' warn ' in told and 'http' not in told.split('why=')[0]
    assert site.get('/').status == 200


def test_a_reload_drops_it_and_takes_it_again(diplex, scripted, opened):
    port = free_port()
    config = one_pool('asgi', scripted(keep_answering), workers=2)
    site = diplex(config, start=False)
    hand_over(site, opened(site.endpoint))
    site.wait_event(' ready ')
    site.reload({**config, 'listen': f'127.0.0.1:{port}'})
    site.wait_event('listen_unused', site.listen)
    with site.client() as early, RawClient(('127.0.0.1', port)) as client:
        assert client.ask('GET', '/').status == 200
        early.request('GET', '/')
        assert early.is_silent_for(0.1)
        site.reload({**config, 'listen': [f'127.0.0.1:{port}', site.listen]})
        assert early.response().status == 200
    assert site.get('/').status == 200


def test_an_upgrade_hands_it_on(diplex, scripted, opened, directory):
    config = one_pool('asgi', scripted(keep_answering), workers=2, admin=str(directory / 'admin.sock'))
    site = diplex(config, start=False)
    given, spare = opened(site.endpoint), opened(('127.0.0.1', free_port()))
    hand_over(site, given, spare, names='http:spare')
    site.wait_event(' ready ')
    done = run_diplex('upgrade', '-a', config['admin'])
    assert done.returncode == 0, done.stderr
    assert site.get('/').status == 200
    site.wait_event('listen_unused', 'spare', count=2)
    assert listening(site.pid) == 2, 'those that were given, and none of its own'
    assert site.stop() == 0
    assert connects(site.endpoint), 'the manager has it still'


def test_a_low_port_without_rights(diplex, scripted, opened):
    if os.getuid() != 0:
        pytest.skip('needs to become another user')
    for port in range(700, 1000):
        with contextlib.suppress(OSError):
            given = opened(('127.0.0.1', port))
            break
    site = diplex(one_pool('asgi', scripted(keep_answering), listen=f'127.0.0.1:{port}'), start=False)
    os.chmod(site.directory, 0o777)
    site.arguments[site.arguments.index(str(DIPLEX))] = shutil.copy2(DIPLEX, site.directory)
    user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--bounding-set=-all', '--']
    if not shutil.which('setpriv'):
        pytest.skip('needs setpriv')
    site.arguments = [*user, *site.arguments]
    site.environment['ASAN_OPTIONS'] = 'detect_leaks=0'  # that looks traces, which this user may not
    hand_over(site, given)
    site.wait_event(' ready ')
    with RawClient(('127.0.0.1', port)) as client:
        assert client.ask('GET', '/').status == 200


@pytest.mark.parametrize('kind', ['datagram', 'connection'])
def test_what_nobody_can_listen_on_is_refused(diplex, scripted, kind):
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    with socket.socket(type=socket.SOCK_DGRAM if kind == 'datagram' else socket.SOCK_STREAM) as given:
        given.bind(('127.0.0.1', 0))
        hand_over(site, given)
        site.unclean_exit_is_expected = True
        assert site.wait() == 1
    assert 'descriptor 3 is no listening stream socket' in site.stderr


def test_sockets_that_were_given_to_somebody_else(diplex, scripted, opened):
    other = opened(('127.0.0.1', free_port()))
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    hand_over(site, other, LISTEN_PID='1')
    site.wait_event(' ready ')
    assert site.get('/').status == 200 and 'listen_unused' not in site.stderr


def test_with_systemd_socket_activate(diplex, scripted):
    if not shutil.which('systemd-socket-activate'):
        pytest.skip('needs systemd-socket-activate')
    site = diplex(one_pool('asgi', scripted(keep_answering), workers=2), start=False)
    site.arguments = ['systemd-socket-activate', '-l', site.listen, '--fdname=http', *site.arguments]
    site.spawn()
    wait_until(lambda: connects(site.endpoint), what='the socket')
    site.wait_event(' ready ')
    assert site.get('/').status == 200
    assert listening(site.pid) == 1
