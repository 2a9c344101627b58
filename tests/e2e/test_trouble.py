# SPDX-License-Identifier: MIT
"""What control does when its data process is stuck, dies at an awkward moment, or cannot be what it is told to be."""

import os
import signal
import socket
import subprocess
import time

import pytest
from harness import has_ended, one_pool, sanitized
from wire import PATIENCE, wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


class Stuck:
    """A diplex whose data process has been stopped."""

    def __init__(self, diplex, server, directory, **settings):
        self.server = server
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(directory / 'notify.sock'))
        self.notified.settimeout(PATIENCE)
        self.site = diplex(one_pool('asgi', server, **settings),
                           environment={'NOTIFY_SOCKET': str(directory / 'notify.sock')})
        assert self.site.get('/').status == 200
        (self.data,) = self.site.children()
        os.kill(self.data, signal.SIGSTOP)

    def reload(self, prefix):
        self.site.reload({**one_pool('asgi', self.server), 'routes': {prefix: 'app'}})

    def reload_has_begun(self):
        """Control says so to a service manager, and does the rest of it before it looks at anything else."""
        while b'RELOADING=1' not in self.notified.recv(1000):
            pass

    def end(self):
        if not has_ended(self.data):
            os.kill(self.data, signal.SIGCONT)
        self.notified.close()


@pytest.fixture
def stuck(request, diplex, scripted, directory):
    def make(**settings):
        made = Stuck(diplex, scripted(keep_answering), directory, **settings)
        request.addfinalizer(made.end)
        return made

    return make


def test_a_stuck_data_process_does_not_hold_up_a_stop(stuck):
    it = stuck(shutdown_timeout='200ms')
    it.site.unclean_exit_is_expected = True
    assert it.site.stop(20) == 1
    it.site.wait_event('stop_forced', 'did not stop in time')
    wait_until(lambda: has_ended(it.data), what='its end')


def test_a_data_process_that_dies_while_it_takes_a_configuration(stuck):
    """What was in force stays in force, for the next data process too, and the next reload is as good as any."""
    it = stuck()
    it.site.deaths_are_expected = True
    it.reload('/new/')
    it.reload_has_begun()
    os.kill(it.data, signal.SIGKILL)
    it.site.wait_event('reload_failed', 'ended while it took the new configuration')
    it.site.wait_event('data_ready')
    assert it.site.get('/old').status == 200
    it.site.reload()
    it.site.wait_event(' reloaded ')
    assert [it.site.get(path).status for path in ('/new/', '/old')] == [200, 404]


def test_reloads_that_are_asked_for_meanwhile_are_one(stuck):
    it = stuck()
    it.reload('/first/')
    it.reload_has_begun()
    it.reload('/second/')
    it.reload('/third/')
    time.sleep(0.2)  # control has heard of them, or will begin with them afterwards: the end is the same
    os.kill(it.data, signal.SIGCONT)

    def is_last():  # each worker takes a configuration in its own time, so the first that has it proves nothing
        return [it.site.get(path).status for path in ('/first/', '/second/', '/third/')] == [404, 404, 200]

    wait_until(is_last, what='the last configuration')
    assert sum(' reloaded ' in line for line in it.site.events()) <= 3


def test_a_user_that_is_not_there(diplex, scripted):
    if os.getuid() != 0:
        pytest.skip('only root becomes somebody else')
    site = diplex({**one_pool('asgi', scripted(keep_answering)), 'user': 'nobody-of-this-name'}, start=False)
    site.spawn()
    assert site.wait() == 1
    assert 'data_refused' in site.stderr and 'there is no user' in site.stderr
    assert 'nobody-of-this-name' in site.stderr


@pytest.mark.skipif(sanitized(), reason='a sanitizer cannot be without /proc either')
def test_a_data_process_that_cannot_be_started(diplex, scripted):
    """Where /proc is not what it should be, there is no way to run oneself again: said, and given up soon."""
    away = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh']
    if os.getuid() != 0 or subprocess.run([*away, 'true'], capture_output=True).returncode != 0:
        pytest.skip('needs a mount namespace')
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    site.arguments = [*away, *site.arguments]
    site.deaths_are_expected = True
    site.spawn()
    assert site.wait() == 1
    assert 'cannot start the program from /proc/self/exe' in site.stderr
    assert site.stderr.count('data_start_failed') == 3 and 'data_gives_up' in site.stderr


def test_an_admin_socket_in_the_directory_of_a_stranger(diplex, scripted, directory):
    """He could put a socket of his own there."""
    if os.getuid() != 0:
        pytest.skip('only root can give a directory away')
    folder = directory / 'his'
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    site = diplex({**one_pool('asgi', scripted(keep_answering)), 'admin': str(folder / 'admin.sock')}, start=False)
    site.spawn()
    assert site.wait() == 1
    assert f'the directory {folder} belongs to somebody else' in site.stderr
