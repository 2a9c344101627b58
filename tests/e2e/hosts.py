# SPDX-License-Identifier: MIT
"""Three hosts and the cables between them: network namespaces, each with one interface (TUN), and a thread that carries
every packet from one to the other, or loses it, holds it up, repeats it, or finds the cable cut. So it needs nothing of
the kernel but namespaces and TUN, and what is lost is counted.

diplex runs on `edge`; clients are sockets of `client`, servers are sockets of `server`, both in the test's own process.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

import footprint
import harness
from wire import RawClient, ScriptedServer

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
ADDRESSES = {'client': '10.78.0.1', 'edge': '10.78.0.2', 'server': '10.78.0.3'}
PORT = 8000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _in_thread(work):
    """A thread of its own, because a namespace is a thread's."""
    results = []

    def run() -> None:
        try:
            results.append((work(), None))
        except BaseException as problem:  # noqa: BLE001  (raised below)
            results.append((None, problem))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, problem = results[0]
    if problem is not None:
        raise problem
    return result


class Host:
    def __init__(self, name: str) -> None:
        self.name, self.address = name, ADDRESSES[name]
        self.namespace, self.tun = _in_thread(self._make)

    def _make(self) -> tuple[int, int]:
        _check(_libc.unshare(CLONE_NEWNET))
        tun = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack('16sH', b'net0', IFF_TUN | IFF_NO_PI))
        for words in ('link set lo up', f'address add {self.address}/24 dev net0', 'link set net0 up'):
            subprocess.run(['ip', *words.split()], check=True, timeout=10)
        return os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC), tun

    def run(self, work):
        """In this host's network: what sockets are made there stay there."""

        def inside():
            _check(_libc.setns(self.namespace, CLONE_NEWNET))
            return work()

        return _in_thread(inside)

    def enter(self) -> list[str]:
        """What makes a command run there."""
        return ['nsenter', f'--net=/proc/{os.getpid()}/fd/{self.namespace}', '--']

    def close(self) -> None:
        os.close(self.tun)
        os.close(self.namespace)


def missing() -> str | None:
    """Why there can be no hosts here."""
    if os.geteuid() != 0:
        return 'only root may make network namespaces'
    for tool in ('ip', 'nsenter', 'ss'):
        if not shutil.which(tool):
            return f'{tool} is not installed'
    try:
        Host('client').close()
    except (OSError, subprocess.CalledProcessError) as problem:
        return f'no namespaces or no TUN: {problem}'
    return None


@dataclasses.dataclass
class Cable:
    """One direction between two hosts."""

    loss: float = 0.0
    twice: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    cut: bool = False
    carried_bytes: int = 0


class Hosts:
    def __init__(self) -> None:
        self.client, self.edge, self.server = (Host(name) for name in ADDRESSES)
        self._by_address = {socket.inet_aton(host.address): host for host in (self.client, self.edge, self.server)}
        self._by_tun = {host.tun: host for host in self._by_address.values()}
        self.cables = {pair: Cable() for pair in itertools.permutations(ADDRESSES, 2)}
        self.lost = self.repeated = 0
        self._chance = random.Random(23)
        self._late: list[tuple[float, int, int, bytes]] = []
        self._numbers = itertools.count()
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Hosts:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wake)
        self._thread.join(10)
        os.close(self._stop)
        for host in self._by_tun.values():
            host.close()
        footprint.inject(self.lost + self.repeated)

    def set(self, one: str, other: str, **what) -> None:
        """Both directions between two hosts."""
        for pair in ((one, other), (other, one)):
            self.cables[pair] = Cable(**what)

    def _carry(self) -> None:
        ready = select.epoll()
        for fd in (*self._by_tun, self._stop):
            ready.register(fd, select.EPOLLIN)
        while True:
            wait = max(0.0, self._late[0][0] - time.monotonic()) if self._late else -1
            for fd, _ in ready.poll(wait):
                if fd == self._stop:
                    ready.close()
                    return
                self._take(fd)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, fd, packet = heapq.heappop(self._late)
                self._put(fd, packet)

    def _take(self, fd: int) -> None:
        for _ in range(64):
            try:
                packet = os.read(fd, 65536)
            except (BlockingIOError, OSError):
                return
            to = self._by_address.get(packet[16:20]) if packet[0] >> 4 == 4 else None
            if to is not None:
                self._pass(self._by_tun[fd], to, packet)

    def _pass(self, host: Host, to: Host, packet: bytes) -> None:
        cable = self.cables[host.name, to.name]
        if cable.cut or self._chance.random() < cable.loss:
            self.lost += 1
            return
        cable.carried_bytes += len(packet)
        copies = 1 + (self._chance.random() < cable.twice)
        self.repeated += copies - 1
        for _ in range(copies):
            late = cable.delay + self._chance.random() * cable.jitter
            if late:
                heapq.heappush(self._late, (time.monotonic() + late, next(self._numbers), to.tun, packet))
            else:
                self._put(to.tun, packet)

    @staticmethod
    def _put(fd: int, packet: bytes) -> None:
        try:
            os.write(fd, packet)
        except (BlockingIOError, OSError):
            pass  # its queue is full: lost, as on a real one

    # ---- who is there ----

    def serve(self, script, port: int = PORT) -> ScriptedServer:
        return self.server.run(lambda: ScriptedServer(script, port=port, host=self.server.address))

    def connect(self, site: Edge, **more) -> RawClient:
        return self.client.run(lambda: RawClient((self.edge.address, site.port), **more))

    def connections(self, host: Host) -> list[str]:
        """The TCP connections of a host, as `ss` tells them, with their timers."""
        listed = subprocess.run(
            [*host.enter(), 'ss', '-Htno', 'state', 'connected'], capture_output=True, text=True, check=True
        )
        return listed.stdout.splitlines()


class Edge(harness.Diplex):
    """diplex on its host: clients reach it there, and the test by a Unix socket, too."""

    def __init__(self, hosts: Hosts, directory, config: dict) -> None:
        self.hosts, self.front, self.admin = hosts, str(directory / 'front.sock'), str(directory / 'a.sock')
        config = footprint.with_admin(config, self.admin)
        super().__init__(directory, config)
        self.write_config({**config, 'listen': [f'{hosts.edge.address}:{self.port}', f'unix:{self.front}']})
        self.arguments = [*hosts.edge.enter(), *self.arguments]

    @property
    def endpoint(self) -> str:
        return self.front
