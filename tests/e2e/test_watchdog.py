# SPDX-License-Identifier: MIT
"""The watchdog: a service manager looks after control, control after the workers of data."""

import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import time

import pytest
from harness import VALGRIND, one_pool, run_diplex
from test_process import keep_answering
from wire import wait_until


class Manager:
    """The end of NOTIFY_SOCKET: what it was told so far."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.told = []

    def all(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told.append(self.socket.recv(4096).decode())
        return self.told

    def wait_for(self, what, count=1):
        wait_until(lambda: self.all().count(what) >= count, what=f'{count} of {what}')


@pytest.fixture
def manager(directory):
    end = Manager(directory / 'notify.sock')
    yield end
    end.socket.close()


PERIOD_US = 2_000_000  # a worker under a sanitizer on a busy machine turns within that


def watched(diplex, scripted, directory, **more):
    environment = {'NOTIFY_SOCKET': str(directory / 'notify.sock'), 'WATCHDOG_USEC': str(PERIOD_US), **more}
    config = one_pool('asgi', scripted(keep_answering), workers=2, admin=str(directory / 'admin.sock'))
    site = diplex(config, environment=environment)
    site.deaths_are_expected = True
    return site


def test_it_is_told_while_all_turn(diplex, scripted, directory, manager):
    site = watched(diplex, scripted, directory)
    manager.wait_for('WATCHDOG=1', 3)
    assert 'data_stuck' not in site.stderr and manager.told.count('READY=1') == 1


def test_nobody_is_told_who_asked_another_process(diplex, scripted, directory, manager):
    site = watched(diplex, scripted, directory, WATCHDOG_PID='1', WATCHDOG_USEC='100000')
    manager.wait_for('READY=1')
    assert site.stop() == 0
    assert 'STOPPING=1' in manager.all() and 'WATCHDOG=1' not in manager.told


PTRACE_ATTACH, WALL = 16, 0x40000000


def hold_the_last_worker(pid: int) -> int:
    """Stops one thread alone, as a debugger does. It stays so until its process dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    thread = int(list(pathlib.Path(f'/proc/{pid}/task').iterdir())[-1].name)  # in the order in which they were started
    if libc.ptrace(PTRACE_ATTACH, thread, None, None) != 0:
        pytest.skip('may not trace')
    os.waitpid(thread, WALL)
    return thread


def test_a_worker_that_turns_no_more(diplex, scripted, directory, manager):
    """Data alone is started again: control, its sockets and its counters stay, and the manager hears of no trouble."""
    if VALGRIND:
        pytest.skip('valgrind has the threads')
    site = watched(diplex, scripted, directory)
    (before,) = site.children()
    thread = hold_the_last_worker(before)
    site.wait_event('data_stuck', f'pid={before}', 'worker=1')
    wait_until(lambda: os.waitpid(thread, WALL | os.WNOHANG)[0] == thread, what='the end of the thread')
    site.wait_event('data_ready')
    (after,) = site.children()
    assert after != before and site.get('/').status == 200
    manager.wait_for('WATCHDOG=1', manager.all().count('WATCHDOG=1') + 5)
    assert 'STOPPING=1' not in manager.told
    assert site.stderr.count('data_stuck') == 1 and site.children() == [after], 'the new one was asked anew'


def test_after_an_upgrade_the_new_ones_are_asked(diplex, scripted, directory, manager):
    site = watched(diplex, scripted, directory)
    manager.wait_for('WATCHDOG=1', 2)
    done = run_diplex('upgrade', '-a', str(directory / 'admin.sock'))
    assert done.returncode == 0, done.stderr
    manager.wait_for('WATCHDOG=1', manager.all().count('WATCHDOG=1') + 4)
    assert 'data_stuck' not in site.stderr and site.get('/').status == 200


def test_a_control_that_stood_still_blames_nobody(diplex, scripted, directory, manager):
    site = watched(diplex, scripted, directory)
    manager.wait_for('WATCHDOG=1', 2)
    os.kill(site.pid, signal.SIGSTOP)
    time.sleep(PERIOD_US / 1e6 * 1.2)
    os.kill(site.pid, signal.SIGCONT)
    manager.wait_for('WATCHDOG=1', manager.all().count('WATCHDOG=1') + 3)
    assert 'data_stuck' not in site.stderr
