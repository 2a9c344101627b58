# SPDX-License-Identifier: MIT
"""Programs pinned to cores, watched and ended: processor time and memory of a process and all that it started."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import time


_ports = iter(random.Random(os.getpid()).sample(range(20000, 32000), 4000))


def free_port() -> int:
    """A port nobody listens on, outside the range from which the kernel picks ports for clients."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(('127.0.0.1', port))
            return port
    raise RuntimeError('no free port')


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second may hold anything."""
    return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()


def kill(family: dict[int, str]) -> None:
    """Ends those of a family that still run; who has one of their numbers by now is somebody else."""
    for pid, born in family.items():
        with contextlib.suppress(OSError):
            if _stat(pid)[19] == born:
                os.kill(pid, signal.SIGKILL)


class Program:
    """A command on the cores named, its output in a file. It and its children are ended by their process ids."""

    def __init__(self, command: list[str], cores: str, log: pathlib.Path):
        self.log = log
        with log.open('wb') as output:
            self._process = subprocess.Popen(['taskset', '-c', cores, *command], stdin=subprocess.DEVNULL,
                                             stdout=output, stderr=subprocess.STDOUT)
        self.pid = self._process.pid

    def tree(self) -> list[int]:
        """The process ids of the program and of all below it."""
        parents = {}
        for entry in os.listdir('/proc'):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    parents[int(entry)] = int(_stat(int(entry))[1])
        found = [self.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu_ns(self) -> int:
        """Processor time so far of all threads of all its processes, as the scheduler counts it."""
        return sum(time.clock_gettime_ns(~pid << 3 | 2) for pid in self.tree())

    def ticks(self) -> tuple[int, int]:
        """The same, coarsely, outside and inside the kernel."""
        stats = [_stat(pid) for pid in self.tree()]
        return sum(int(stat[11]) for stat in stats), sum(int(stat[12]) for stat in stats)

    def pss_kib(self) -> int | None:
        """Memory of all its processes, what is shared counted in parts; None where the kernel does not tell."""
        total = 0
        for pid in self.tree():
            try:
                lines = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()
            except OSError:
                return None
            total += sum(int(line.split()[1]) for line in lines if line.startswith('Pss:'))
        return total

    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def begin(self) -> None:
        self.signal(signal.SIGUSR1)

    def interrupt(self) -> None:
        self.signal(signal.SIGINT)

    def wait(self, timeout: float) -> int:
        return self._process.wait(timeout)

    def output(self) -> str:
        return self.log.read_text(errors='replace')

    def family(self) -> dict[int, str]:
        """Its processes, each with the moment it was born: together they name a process once and for all."""
        born = {}
        for pid in self.tree():
            with contextlib.suppress(OSError):
                born[pid] = _stat(pid)[19]
        return born

    def stop(self) -> None:
        if not self.running():
            return
        family = self.family()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        family.pop(self.pid, None)
        kill(family)
        self._process.kill()
        self._process.wait(5)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_) -> None:
        self.stop()
