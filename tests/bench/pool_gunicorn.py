# SPDX-License-Identifier: MIT
"""The real gunicorn behind the proxies of `tests/bench/pools`: started, reloaded, stopped, killed, asked what it ran."""

from __future__ import annotations

import collections
import contextlib
import http.client
import pathlib
import signal
import struct
import sys
import time

from bench import Trouble, wait_until
from peers import HERE
from processes import Program, free_port, kill

BEHIND = HERE / 'behind'
ROW = struct.Struct('ddd')  # as in behind/gunicorn_conf.py
ROWS = 256
PATIENCE = 15.0


class Gunicorn:
    """One address, and one master of gunicorn after the other on it."""

    def __init__(self, directory: pathlib.Path, workers: int, cores: str, mss: int = 0):
        self.directory = directory
        self.address = f'127.0.0.1:{free_port()}'
        self.cores = cores
        self.starts = 0
        self.families = []
        self._held, self._executed = directory / 'held', directory / 'executed'
        self._held.write_bytes(bytes(ROW.size * ROWS))
        self._executed.touch()
        self.command = ['env', f'BENCH_HELD={self._held}', f'BENCH_EXECUTED={self._executed}', f'BENCH_MSS={mss}',
                        sys.executable, '-B', '-m', 'gunicorn', 'app', '--chdir', str(BEHIND), '--config',
                        str(BEHIND / 'gunicorn_conf.py'), '--bind', self.address, '--worker-class', 'sync',
                        '--workers', str(workers), '--worker-tmp-dir', str(directory), '--no-control-socket',
                        '--log-level', 'warning']
        self.program = None

    def start(self) -> None:
        """Starts a master; whether it answers already is for `wait` to say."""
        self.starts += 1
        self.program = Program(self.command, self.cores, self.directory / f'gunicorn-{self.starts}.log')

    def wait(self) -> None:
        host, _, port = self.address.rpartition(':')

        def answers() -> bool:
            if not self.program.running():
                raise Trouble(f'gunicorn did not start:\n{self.program.output()}')
            connection = http.client.HTTPConnection(host, int(port), timeout=2)
            with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
                connection.request('GET', '/healthz')
                return connection.getresponse().status == 200
            return False

        wait_until(answers, 'gunicorn answers')

    def reload(self) -> None:
        self._remember()
        self.program.signal(signal.SIGHUP)

    def finish(self) -> None:
        """A graceful stop, until it is over."""
        self._remember()
        self.program.signal(signal.SIGTERM)
        self.program.wait(PATIENCE)

    def kill(self) -> None:
        """No goodbye: the master first, so that it starts no new workers, then those that it had."""
        self._remember()
        self.program.signal(signal.SIGKILL)
        self.program.wait(PATIENCE)
        kill(self.families[-1])

    def _remember(self) -> None:
        self.families.append(self.program.family())

    def held(self) -> tuple[float, float, float]:
        """Requests so far, seconds in which they held a worker, and seconds of those in which it only closed."""
        rows = list(ROW.iter_unpack(self._held.read_bytes()))
        return tuple(map(sum, zip(*rows)))

    def executed(self) -> collections.Counter:
        """How often the view ran for each id."""
        return collections.Counter(self._executed.read_text().split())

    def __enter__(self) -> Gunicorn:
        self.start()
        try:
            self.wait()
        except BaseException:
            self.program.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._remember()
        self.program.stop()
        time.sleep(0.05)
        for family in self.families:
            kill(family)
