# SPDX-License-Identifier: MIT
"""What people see of a running diplex: `diplex status`, `diplex top` on a terminal of its own, `diplex log level`, and all of
them over TCP."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from harness import DIPLEX, free_port, one_pool, run_diplex
from wire import PATIENCE, RawClient, wait_until

TOKEN = 'a-token-of-tests-0123456789'
CODES = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')


@pytest.fixture
def site(diplex, scripted, directory):
    """One wsgi server with two slots, which answers when `.gate` is set."""
    gate = threading.Event()

    def when_told(connection):
        while connection.read_request():
            gate.wait(60)
            connection.reply()

    config = one_pool('wsgi', scripted(when_told), pool={'slots': 2}, workers=1)
    config['admin'] = {'socket': str(directory / 'admin.sock'), 'listen': '127.0.0.1:0', 'token': TOKEN}
    site = diplex(config)
    site.config = config
    site.admin = config['admin']['socket']
    site.url = 'http://127.0.0.1:' + re.search(r'admin_listen=127\.0\.0\.1:(\d+)', site.wait_event(' ready '))[1]
    site.gate = gate
    return site


@contextlib.contextmanager
def busy(site, count: int):
    clients = [site.client() for _ in range(count)]
    try:
        for n, client in enumerate(clients):
            client.request('GET', f'/report/{n}?token=secret')

        def told() -> bool:
            with RawClient(site.admin) as client:
                return client.ask('GET', '/status').json()['counters']['requests_running'] == count

        wait_until(told, what='all requests to run or wait')
        yield
    finally:
        site.gate.set()
        for client in clients:
            client.close()


def whole(*arguments) -> subprocess.CompletedProcess:
    """The command, again and again until the worker has told in time what it has."""
    return wait_until(lambda: '/report/' in (done := run_diplex(*arguments)).stdout and done, what='the requests')


def test_status_for_people(site):
    with busy(site, 3):
        done = whole('status', '-a', site.admin)
    assert done.returncode == 0 and '\x1b' not in done.stdout, 'no colours where there is no terminal'
    text = done.stdout
    assert re.search(r'^diplex +\S+  ready  up ', text, re.M)
    assert re.search(r'^file +\S+diplex.yaml  generation 1$', text, re.M)
    assert site.listen in text and site.admin in text and 'with the token' in text
    assert re.search(r'^app  wsgi  1 of 1 up  1 wait for a slot$', text, re.M)
    assert re.search(r'\[##\] +2/2 running', text)
    assert re.search(r'no slot +127\.0\.0\.1 +GET +/report/\d\?token=\*\*\*', text) and 'secret' not in text
    assert len(re.findall(r'await_head', text)) == 2


def test_status_after_a_failed_reload(site):
    site.config_path.write_text('routes: {/: nowhere}\n')
    assert run_diplex('reload', '-a', site.admin).returncode == 2
    text = run_diplex('status', '-a', site.admin).stdout
    assert re.search(r'the reload .* ago failed, and the file is not what is in force', text)
    assert 'diplex.yaml:1' in text and 'nowhere' in text


def test_the_log_level(site):
    done = run_diplex('log', 'level', 'debug', '-a', site.admin)
    assert done.returncode == 0 and 'until the next reload' in done.stdout
    assert re.search(r'log debug$', run_diplex('status', '-a', site.admin).stdout, re.M)
    assert run_diplex('log', 'level', 'loud', '-a', site.admin).returncode == 2
    assert run_diplex('log', 'volume', 'debug', '-a', site.admin).returncode == 2


def test_over_tcp(site, directory):
    environment = {**os.environ, 'DIPLEX_ADMIN_TOKEN': TOKEN}
    file = directory / 'token'
    file.write_text(TOKEN + '\n')
    bare = {key: value for key, value in os.environ.items() if key != 'DIPLEX_ADMIN_TOKEN'}
    assert 'ready' in run_diplex('status', '-a', site.url, env=environment).stdout
    assert 'ready' in run_diplex('status', '-a', site.url + '/', '--token-file', file, env=bare).stdout
    assert run_diplex('reload', '-a', site.url, env=environment).stdout == 'reloaded\n'
    assert run_diplex('hold', 'app', '-a', site.url, env=environment).returncode == 0
    assert 'held by an operator' in run_diplex('status', '-a', site.admin).stdout
    assert run_diplex('release', 'app', '-a', site.url, env=environment).returncode == 0
    done = run_diplex('status', '-a', site.url, env=bare)
    assert done.returncode == 1 and 'DIPLEX_ADMIN_TOKEN' in done.stderr and done.stdout == ''
    done = run_diplex('status', '-a', site.url, env={**bare, 'DIPLEX_ADMIN_TOKEN': 'x' * 20})
    assert done.returncode == 1 and TOKEN not in done.stderr and 'x' * 20 not in done.stderr
    assert run_diplex('status', '-a', site.url, '--token-file', directory / 'none', env=bare).returncode == 2
    done = run_diplex('status', '-a', 'http://127.0.0.1:1', env=environment)
    assert done.returncode == 1 and 'no running diplex' in done.stderr


def test_what_the_file_says_is_enough(site):
    """Without a socket the commands take the address of the file, and its token."""
    listen = f'127.0.0.1:{free_port()}'
    site.write_config({**site.config, 'admin': {'socket': 'off', 'listen': listen, 'token': TOKEN}})
    assert run_diplex('reload', '-a', site.admin).returncode == 0
    bare = {key: value for key, value in os.environ.items() if key != 'DIPLEX_ADMIN_TOKEN'}
    done = run_diplex('status', '-c', site.config_path, env=bare)
    assert done.returncode == 0 and f'{listen} (with the token)' in done.stdout


@pytest.mark.parametrize(('query', 'path'), [('full', '/report/0?token=secret'), ('off', '/report/0')])
def test_queries_as_in_the_log(site, query, path):
    site.write_config({**site.config, 'log': {'query': query}})
    assert run_diplex('reload', '-a', site.admin).returncode == 0
    with busy(site, 1):
        assert re.search(rf'GET +{re.escape(path)}$', whole('status', '-a', site.admin).stdout, re.M)


def test_top_once(site):
    with busy(site, 3):
        done = whole('top', '--once', '-a', site.admin)
    assert done.returncode == 0 and '\x1b' not in done.stdout
    assert 'requests/s' in done.stdout and '2/2 busy' in done.stdout
    assert re.search(r'^app +1/1 ', done.stdout, re.M)
    assert re.search(r'await_head +127\.0\.0\.1 +GET +/report/', done.stdout)


def test_top_without_a_terminal_or_anything_to_look_at(site, directory):
    done = run_diplex('top', '-a', site.admin)
    assert done.returncode == 2 and '--once' in done.stderr
    done = run_diplex('top', '-a', str(directory / 'none.sock'))
    assert done.returncode == 1 and 'no running diplex' in done.stderr


class Terminal:
    """`diplex top` on a pseudo terminal, and what is on its screen."""

    def __init__(self, *arguments, rows: int = 30, columns: int = 100, environment: dict | None = None) -> None:
        self.main, self.other = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.other)
        self.all = ''
        self.process = subprocess.Popen(
            [str(DIPLEX), *map(str, arguments)], stdin=self.other, stdout=self.other, stderr=subprocess.PIPE,
            env={**os.environ, 'TERM': 'xterm', **(environment or {})}, start_new_session=True,
        )  # fmt: skip

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self, seconds: float = 0.05) -> None:
        deadline = time.monotonic() + seconds
        while select.select([self.main], [], [], max(0, deadline - time.monotonic()))[0]:
            self.all += os.read(self.main, 65536).decode(errors='replace')

    def frame(self) -> str:
        """The last frame that is whole, without its codes."""
        self.read()
        whole = self.all.rsplit('\x1b[J', 1)[0].rsplit('\x1b[H', 1)[-1]
        return CODES.sub('', whole)

    def wait(self, true, what: str) -> str:
        return wait_until(lambda: (f := self.frame()) and true(f) and f, 2 * PATIENCE, what)

    def key(self, text: str) -> None:
        os.write(self.main, text.encode())

    def ended(self) -> int:
        def over() -> bool:
            self.read(0.01)
            return self.process.poll() is not None

        wait_until(over, PATIENCE, 'the end of top')
        self.read()
        return self.process.returncode

    def restored(self) -> bool:
        return self.all.rstrip().endswith('\x1b[?1049l') and '\x1b[?25h' in self.all and \
            termios.tcgetattr(self.other)[:4] == self.before[:4]  # fmt: skip

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stderr.close()
        os.close(self.main)
        os.close(self.other)


@pytest.fixture
def terminal():
    made = []

    def start(*arguments, **more) -> Terminal:
        made.append(Terminal(*arguments, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_top_is_live(site, terminal):
    top = terminal('top', '-a', site.admin)
    top.wait(lambda f: 'requests/s' in f and '0 running' in f, 'a first picture')
    with busy(site, 3):
        top.wait(lambda f: '3 running' in f and '1 waiting' in f and '2/2 busy' in f and '/report/' in f, 'the requests')
        top.key('p')
        top.wait(lambda f: 'PAUSED' in f, 'the pause')
        for word in ('where', 'client', 'path', 'age'):
            top.key('s')
            top.wait(lambda f, word=word: f'sorted by {word}' in f, f'the order by {word}')
        top.key('p')
    top.wait(lambda f: '0 running' in f and 'PAUSED' not in f, 'the end of the requests')
    top.key('q')
    assert top.ended() == 0 and top.restored()


def test_top_is_as_large_as_its_terminal(site, terminal):
    top = terminal('top', '-a', site.admin, rows=20, columns=60)
    with busy(site, 40):
        frame = top.wait(lambda f: '40 running' in f, 'the requests')
        lines = frame.rstrip('\r\n').split('\r\n')
        assert len(lines) <= 20 and max(map(len, lines)) <= 60
        first = [line for line in lines if '/rep' in line or 'app' in line][-1]
        top.key('jjj\x1b[B')
        top.wait(lambda f: first not in f.rstrip('\r\n').split('\r\n')[-1:], 'the list to scroll')
        top.resize(50, 120)
        top.wait(lambda f: len(f.rstrip('\r\n').split('\r\n')) > 20, 'the larger screen')
    top.key('q')
    assert top.ended() == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_top_gives_the_terminal_back(site, terminal, number):
    top = terminal('top', '-a', site.admin)
    top.wait(lambda f: 'requests/s' in f, 'a first picture')
    top.process.send_signal(number)
    assert top.ended() == 0 and top.restored()


def test_top_stops_and_goes_on(site, terminal):
    """As Ctrl-Z and `fg` do: the terminal is the shell's meanwhile."""
    top = terminal('top', '-a', site.admin)
    top.wait(lambda f: 'requests/s' in f, 'a first picture')
    top.process.send_signal(signal.SIGTSTP)
    stat = pathlib.Path(f'/proc/{top.process.pid}/stat')
    wait_until(lambda: stat.read_text().rsplit(')', 1)[1].split()[0] == 'T', what='top to stand still')
    top.read()
    assert top.restored()
    top.all = ''
    top.process.send_signal(signal.SIGCONT)
    top.wait(lambda f: 'requests/s' in f, 'another picture')
    top.key('q')
    assert top.ended() == 0 and top.restored()


def test_top_goes_on_when_diplex_is_restarted(site, terminal, diplex):
    top = terminal('top', '-a', site.admin, environment={'NO_COLOR': '1'})
    top.wait(lambda f: 'requests/s' in f, 'a first picture')
    assert site.stop() == 0
    top.wait(lambda f: 'no running diplex answers' in f and 'requests/s' in f, 'the word that nothing answers')
    assert not re.search(r'\x1b\[3[0-9]m', top.all), 'no colours with NO_COLOR'
    again = diplex(site.config)
    top.wait(lambda f: 'no running diplex' not in f and '0 running' in f, 'the new one')
    assert again.stop() == 0
    top.key('q')
    assert top.ended() == 0 and top.restored()
