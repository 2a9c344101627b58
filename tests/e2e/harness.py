# SPDX-License-Identifier: MIT
"""Real programs for the tests: gunicorn, uvicorn and diplex, each in a process group of its own.

Everything listens on loopback or on a Unix socket in a short temporary directory, is waited for with a bound, and is
ended by its own process id. What diplex writes is kept in files: its access log (stdout) and its own log (stderr).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import httpx

from wire import PATIENCE, RawClient, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = ROOT / 'tests' / 'django'
DIPLEX = pathlib.Path(os.environ.get('DIPLEX_BIN', ROOT / 'build' / 'dev' / 'diplex')).absolute()

# Words in diplex's own log that no test may leave behind, whatever else it checks.
DISASTER = re.compile(r'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|(^|\s)(panic|assertion)', re.M)
DEATH_OF_DATA = re.compile(r'\berror (data_killed|data_exited|data_gives_up)\b')


# Sanitizers leave signals alone, so that a data process killed by one looks killed, and end what they complain of.
SANITIZER_OPTIONS = {
    f'{name}_OPTIONS': ':'.join(
        filter(None, [os.environ.get(f'{name}_OPTIONS'), 'handle_segv=0:handle_abort=0:handle_sigbus=0', more])
    )
    for name, more in (('ASAN', 'detect_leaks=1'), ('UBSAN', 'print_stacktrace=1'), ('TSAN', 'halt_on_error=0'))
}


def sanitized() -> bool:
    """Whether the program under test is a sanitizer build, whose use of memory and time says nothing."""
    return b'__asan_init' in DIPLEX.read_bytes() or b'__tsan_init' in DIPLEX.read_bytes()


# With DIPLEX_VALGRIND=1 both processes run under memcheck, and what it finds fails the test.
VALGRIND = os.environ.get('DIPLEX_VALGRIND') == '1'
VALGRIND_IS_CONTENT = re.compile(r'^==\d+== ERROR SUMMARY: 0 errors', re.M)
MEMCHECK = (
    '--tool=memcheck', '--leak-check=full', '--show-leak-kinds=definite,indirect',
    '--errors-for-leak-kinds=definite,indirect', '--error-exitcode=99', '--num-callers=24',
)  # fmt: skip


@functools.cache
def valgrind_preload() -> tuple:
    """The module that knows how, and the library that puts valgrind in front of the data process."""
    sys.path.insert(0, str(ROOT / 'tests' / 'bench'))
    import valgrind

    assert not valgrind.missing(), f'not installed: {valgrind.missing()} (Debian: valgrind)'
    directory = pathlib.Path(tempfile.mkdtemp(prefix='diplex-valgrind-'))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    return valgrind, valgrind.preload(directory)


_ports = iter(random.Random(os.getpid()).sample(range(20000, 32000), 4000))


def free_port(host: str = '127.0.0.1') -> int:
    """A port nobody listens on, outside the range from which the kernel picks ports for clients."""
    for port in _ports:
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                return port
    raise RuntimeError('no free port')


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to look."""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


def answers(address) -> bool:
    """Whether something accepts connections there."""
    with contextlib.suppress(OSError), RawClient(address, patience=1.0):
        return True
    return False


class Program:
    """A child process with its output in files."""

    name = 'program'

    def __init__(self, directory: pathlib.Path, arguments: list[str], environment: dict | None = None) -> None:
        self.directory = directory
        self.arguments = [str(argument) for argument in arguments]
        self.environment = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1', **(environment or {})}
        self.stdout_path = directory / f'{self.name}.out'
        self.stderr_path = directory / f'{self.name}.err'
        self.process: subprocess.Popen | None = None

    def spawn(self) -> None:
        with self.stdout_path.open('ab') as out, self.stderr_path.open('ab') as err:
            self.process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.working_directory(),
                env=self.environment,
                start_new_session=True,
            )

    def working_directory(self) -> pathlib.Path:
        return self.directory

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdout(self) -> str:
        return self.stdout_path.read_text(errors='replace')

    @property
    def stderr(self) -> str:
        if not self.stderr_path.exists():
            return ''  # it was never started
        return self.stderr_path.read_text(errors='replace')

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code; the test fails when the process does not end in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'{self.name} did not end within {seconds:g} s\n{self.stderr}') from None

    def end_group(self) -> None:
        """Nothing of the process group stays behind, whatever state it is in."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)

    def start_and_wait(self, address, seconds: float = 20.0) -> None:
        self.spawn()
        deadline = time.monotonic() + seconds
        while not answers(address):
            assert self.running(), f'{self.name} ended with {self.process.returncode}\n{self.stdout}{self.stderr}'
            assert time.monotonic() < deadline, f'{self.name} does not answer\n{self.stdout}{self.stderr}'
            time.sleep(0.03)


class Server(Program):
    """A Django server. `address` is what goes into diplex's configuration, `endpoint` what a socket connects to."""

    def __init__(self, directory: pathlib.Path, unix: bool, host: str = '127.0.0.1') -> None:
        if unix:
            path = str(directory / f'{self.name}.sock')
            self.endpoint, self.address = path, f'unix:{path}'
        else:
            self.port = free_port(host)
            self.endpoint = (host, self.port)
            self.address = f'[{host}]:{self.port}' if ':' in host else f'{host}:{self.port}'
        super().__init__(directory, [], {'FORWARDED_ALLOW_IPS': '*' if unix else host})

    def working_directory(self) -> pathlib.Path:
        return PROJECT

    def start(self) -> Server:
        self.start_and_wait(self.endpoint)
        return self

    def ask_to_end(self) -> None:
        if self.running():
            self.signal(signal.SIGTERM)

    def stop(self, seconds: float = PATIENCE) -> None:
        """Ask it to end, and insist when it does not."""
        if self.running():
            self.ask_to_end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        self.end_group()

    def kill(self) -> None:
        self.end_group()

    def client(self) -> RawClient:
        return RawClient(self.endpoint)


class Gunicorn(Server):
    name = 'gunicorn'
    kind = 'wsgi'

    def __init__(
        self, directory, worker_class='sync', workers=1, threads=1, unix=False, host='127.0.0.1', extra=()
    ) -> None:
        super().__init__(directory, unix, host)
        self.slots = workers * threads
        self.arguments = [
            sys.executable, '-m', 'gunicorn', 'demo.wsgi', '--bind', self.address, '--worker-class', worker_class,
            '--workers', str(workers), '--threads', str(threads), '--worker-tmp-dir', str(directory),
            '--graceful-timeout', '3', '--no-control-socket', *extra,
        ]  # fmt: skip


class Uvicorn(Server):
    name = 'uvicorn'
    kind = 'asgi'

    def __init__(self, directory, http='httptools', unix=False, host='127.0.0.1', extra=()) -> None:
        super().__init__(directory, unix, host)
        where = ['--uds', self.endpoint] if unix else ['--host', host, '--port', str(self.port)]
        self.arguments = [
            sys.executable, '-m', 'uvicorn', 'demo.asgi:application', *where, '--http', http,
            '--timeout-graceful-shutdown', '2', *extra,
        ]  # fmt: skip

    def streams(self) -> dict:
        """How the streams of this server have ended so far."""
        with self.client() as client:
            return client.ask('GET', '/async/streams/').json()


class Diplex(Program):
    """The program under test, in front of some servers."""

    name = 'diplex'

    def __init__(self, directory, config: str | dict, arguments=(), environment=None) -> None:
        self.port = free_port()
        self.config_path = directory / 'diplex.yaml'
        self.unclean_exit_is_expected = False
        self.deaths_are_expected = False
        environment = {**SANITIZER_OPTIONS, **(environment or {})}
        command = [DIPLEX, 'run', '-c', self.config_path, *arguments]
        if VALGRIND:
            valgrind, library = valgrind_preload()
            options = [*MEMCHECK, f'--log-file={directory}/%p.valgrind']
            environment |= valgrind.environment(library, DIPLEX, *options)
            command = ['valgrind', *options, '--', *command]
        super().__init__(directory, command, environment)
        self.write_config(config)

    @property
    def listen(self) -> str:
        return f'127.0.0.1:{self.port}'

    @property
    def endpoint(self) -> tuple[str, int]:
        return ('127.0.0.1', self.port)

    def write_config(self, config: str | dict) -> None:
        """A mapping is written as JSON, which is YAML too, and listens on this program's own port unless it says so."""
        if isinstance(config, dict):
            standard = {'listen': self.listen, 'admin': 'off'}
            if VALGRIND:
                standard['sandbox'] = 'off'  # valgrind itself makes other system calls, in the same process
            if os.geteuid() != 0:
                standard['core_dumps'] = 'yes'  # or an ordinary user cannot look into /proc/PID/fd
            config = json.dumps({**standard, **config}, indent=2)
        whole = self.config_path.with_suffix('.new')  # a reload that is under way must not read half of it
        whole.write_text(config.replace('@LISTEN@', self.listen))
        whole.replace(self.config_path)

    def start(self) -> Diplex:
        """Until it serves: the port itself is open before, and what comes early waits in it."""
        self.start_and_wait(self.endpoint)
        self.wait_event(' ready ')
        return self

    def stop(self, seconds: float = PATIENCE) -> int:
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def finish(self) -> None:
        """Teardown: end it as an operator would and see that it left in peace."""
        try:
            if self.running():
                code = self.stop()
                if VALGRIND:
                    self.look_at_valgrind()
                assert self.unclean_exit_is_expected or code == 0, f'exit code {code}\n{self.stderr}'
        finally:
            self.end_group()
        found = DISASTER.search(self.stderr)
        if not found and not self.deaths_are_expected:
            found = DEATH_OF_DATA.search(self.stderr)
        assert not found, f'diplex reported {found.group(0).strip()!r}:\n{self.stderr}'

    def look_at_valgrind(self) -> None:
        logs = [path.read_text(errors='replace') for path in sorted(self.directory.glob('*.valgrind'))]
        killed = self.deaths_are_expected or self.unclean_exit_is_expected
        assert len(logs) >= 2 or ' ready ' not in self.stderr, 'control and data, each under valgrind'
        for log in logs:
            content = VALGRIND_IS_CONTENT.search(log) or (killed and 'ERROR SUMMARY' not in log)
            assert content and 'Invalid ' not in log, f'valgrind found something:\n{log}'

    def reload(self, config: str | dict | None = None) -> None:
        """Send SIGHUP, after writing a new configuration when there is one."""
        if config is not None:
            self.write_config(config)
        self.signal(signal.SIGHUP)

    def client(self, **more) -> RawClient:
        return RawClient(self.endpoint, **more)

    def ask(self, method: str, target: str, headers: dict | None = None, body: bytes | None = None):
        """One request on a connection of its own."""
        with self.client() as client:
            return client.ask(method, target, {'Connection': 'close', **(headers or {})}, body)

    def get(self, target: str, headers: dict | None = None):
        return self.ask('GET', target, headers)

    def http(self, **more) -> httpx.Client:
        """An ordinary client library, with a connection pool."""
        return httpx.Client(base_url=f'http://{self.listen}', timeout=PATIENCE, trust_env=False, **more)

    def access(self) -> list[dict]:
        """The access log so far, whole lines only, by when the requests began: each worker writes its own batches."""
        return sorted((json.loads(line) for line in self.stdout.split('\n')[:-1]), key=lambda entry: entry['time'])

    def wait_access(self, count: int = 1, seconds: float = PATIENCE, **expected) -> list[dict]:
        """Wait for so many access log entries whose fields are as expected, and return them."""

        def matching() -> list[dict] | None:
            found = [entry for entry in self.access() if all(entry.get(k) == v for k, v in expected.items())]
            return found if len(found) >= count else None

        try:
            return wait_until(matching, seconds)
        except AssertionError:
            raise AssertionError(f'no {count} entries with {expected} in the access log:\n{self.stdout}') from None

    def events(self) -> list[str]:
        return self.stderr.splitlines()

    def wait_event(self, *words: str, seconds: float = PATIENCE, count: int = 1) -> str:
        """Wait until so many lines of diplex's own log contain all the words, and return the last of them."""

        def matching() -> str | None:
            found = [line for line in self.events() if all(word in line for word in words)]
            return found[-1] if len(found) >= count else None

        try:
            return wait_until(matching, seconds)
        except AssertionError:
            raise AssertionError(f'no {count} lines with {words} in the log:\n{self.stderr}') from None

    def children(self) -> list[int]:
        """Process ids of its direct children: the data process."""
        text = pathlib.Path(f'/proc/{self.pid}/task/{self.pid}/children').read_text()
        return [int(word) for word in text.split()]


def run_diplex(*arguments, seconds: float = PATIENCE, **more) -> subprocess.CompletedProcess:
    """Run a subcommand that ends by itself."""
    return subprocess.run(
        [str(DIPLEX), *map(str, arguments)],
        capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, **more,
    )  # fmt: skip


def two_pools(wsgi, asgi, *, sync: dict | None = None, async_: dict | None = None, **settings) -> dict:
    """The typical configuration: /async/ to uvicorn, the rest to gunicorn. Without holds, so that a test sees at once
    what fails; those that are about holds say so."""
    return {
        'pools': {
            'sync': {'kind': 'wsgi', 'servers': [wsgi.address], 'hold': 'off', **(sync or {})},
            'async': {'kind': 'asgi', 'servers': [asgi.address], 'hold': 'off', **(async_ or {})},
        },
        'routes': {'/async/': 'async', '/': 'sync'},
        **settings,
    }


def one_pool(kind: str, *servers, pool: dict | None = None, **settings) -> dict:
    """Every request to one pool, without a hold."""
    addresses = [server if isinstance(server, str) else server.address for server in servers]
    return {'pools': {'app': {'kind': kind, 'servers': addresses, 'hold': 'off', **(pool or {})}}, 'routes': {'/': 'app'}, **settings}
