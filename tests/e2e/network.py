# SPDX-License-Identifier: MIT
"""A network of its own for a test: a network and a mount namespace with addresses, resolv.conf, hosts file and a name
server that the test commands. diplex and its servers run inside; clients reach diplex by a Unix socket, which knows no
such borders. Everything goes with the process that holds the namespaces.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import harness
from wire import PATIENCE, RawClient, wait_until

ADDRESSES = [f'10.77.0.{i}' for i in range(1, 10)]
ADDRESSES6 = [f'fd77::{i}' for i in range(1, 4)]
NAME_SERVER, OTHER_NAME_SERVER = '10.77.0.53', '10.77.0.54'
DEAD_NAME_SERVER = '10.77.1.1'  # nobody answers, and nobody says that nobody is there: the network is, the host is not
PORT = 8000

HOLD = """
set -e
ip link set lo up
ip address add 10.77.0.254/24 dev lo
ip address add 10.77.1.254/24 dev lo
for a in {addresses}; do ip address add $a/24 dev lo; done
for a in {addresses6}; do ip -6 address add $a/128 dev lo nodad; done
mount --bind {resolv_conf} /etc/resolv.conf
mount --bind {hosts} /etc/hosts
echo here
exec sleep 600
"""


def missing() -> str | None:
    """Why there can be no network of one's own here."""
    if os.geteuid() != 0:
        return 'only root may make network namespaces'
    for tool in ('unshare', 'nsenter', 'ip', 'mount'):
        if not shutil.which(tool):
            return f'{tool} is not installed'
    trial = ['unshare', '--net', '--mount', 'sh', '-c', 'ip link set lo up && ip -6 address add fd77::1/128 dev lo']
    tried = subprocess.run(trial, capture_output=True, text=True, timeout=PATIENCE)
    return f'no namespaces: {tried.stderr.strip()}' if tried.returncode else None


class Network:
    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.resolv_conf, self.hosts = directory / 'resolv.conf', directory / 'hosts'
        self.zone, self.log = directory / 'zone.json', directory / 'questions'
        self.resolv_conf.write_text(f'nameserver {NAME_SERVER}\n')
        self.hosts.write_text('127.0.0.1 localhost\n')
        self.log.write_text('')
        self.names: dict[str, dict] = {}
        self.publish()
        self.holder: subprocess.Popen | None = None
        self.name_servers: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Network:
        addresses = ' '.join([*ADDRESSES, NAME_SERVER, OTHER_NAME_SERVER])
        script = HOLD.format(
            addresses=addresses, addresses6=' '.join(ADDRESSES6), resolv_conf=self.resolv_conf, hosts=self.hosts
        )
        self.holder = subprocess.Popen(
            ['unshare', '--net', '--mount', '--propagation', 'private', 'sh', '-c', script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.holder.stdout.readline() == 'here\n', 'the namespaces could not be made'
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.name_servers.values(), self.holder]:
            process.kill()
            process.wait(PATIENCE)
        self.holder.stdout.close()

    def enter(self, directory: pathlib.Path) -> list[str]:
        """What makes a command run inside, and be the process that was started."""
        return ['nsenter', '--target', str(self.holder.pid), '--net', '--mount', f'--wd={directory}', '--']

    def ip(self, *words: str) -> None:
        subprocess.run([*self.enter(self.directory), 'ip', *words], check=True, timeout=PATIENCE)

    # ---- names ----

    def publish(self, **names: dict | None) -> None:
        """What the name servers say from now on; None takes a name away."""
        self.names.update(names)
        new = self.directory / 'zone.new'
        new.write_text(json.dumps({name: entry for name, entry in self.names.items() if entry is not None}))
        new.rename(self.zone)

    def web(self, *addresses: str) -> None:
        """The usual name and the addresses behind it; without any, it does not exist."""
        entry = {'A': [a for a in addresses if '.' in a], 'AAAA': [a for a in addresses if ':' in a]}
        self.publish(web=entry if addresses else None)

    def start_name_server(self, address: str = NAME_SERVER) -> None:
        script = pathlib.Path(__file__).with_name('name_server.py')
        self.name_servers[address] = subprocess.Popen(
            [*self.enter(self.directory), sys.executable, '-B', str(script), address, '53', self.zone, self.log],
            stdin=subprocess.DEVNULL,
        )
        bound = [*self.enter(self.directory), 'ss', '-Hlnu', f'src {address}:53']
        wait_until(lambda: subprocess.run(bound, capture_output=True, timeout=PATIENCE).stdout, PATIENCE)

    def stop_name_server(self, address: str = NAME_SERVER) -> None:
        process = self.name_servers.pop(address)
        process.kill()
        process.wait(PATIENCE)

    def questions(self, **expected) -> list[dict]:
        """What the name servers were asked so far."""
        asked = [json.loads(line) for line in self.log.read_text().split('\n')[:-1]]
        return [one for one in asked if all(one[key] == value for key, value in expected.items())]


class Inside(harness.Program):
    """A Django server on one of the network's addresses."""

    def __init__(self, network: Network, directory: pathlib.Path, host: str) -> None:
        super().__init__(directory, [], {'FORWARDED_ALLOW_IPS': '*'})
        shown = f'[{host}]' if ':' in host else host
        self.host, self.address = host, f'{shown}:{PORT}'
        self.arguments = [*network.enter(harness.PROJECT), sys.executable, '-B', *self.command()]

    def start(self) -> Inside:
        self.spawn()
        wait_until(lambda: self.ready in self.stderr or not self.running(), 20.0, f'{self.address} to be ready')
        assert self.running(), self.stderr
        return self

    def stop(self) -> None:
        """As an engine stops a container: politely, then not."""
        if self.running():
            self.signal(signal.SIGTERM)
            self.wait(PATIENCE)
        self.end_group()


class Gunicorn(Inside):
    name, kind, ready = 'gunicorn', 'wsgi', 'Booting worker'

    def command(self) -> list[str]:
        return [
            '-m', 'gunicorn', 'demo.wsgi', '--bind', self.address, '--worker-class', 'gthread', '--workers', '1',
            '--threads', '4', '--worker-tmp-dir', str(self.directory), '--no-control-socket',
        ]  # fmt: skip


class Uvicorn(Inside):
    name, kind, ready = 'uvicorn', 'asgi', 'Uvicorn running on'

    def command(self) -> list[str]:
        return ['-m', 'uvicorn', 'demo.asgi:application', '--host', self.host, '--port', str(PORT)]


class Diplex(harness.Diplex):
    """The program inside; clients and the operator reach it by Unix sockets."""

    def __init__(self, network: Network, directory: pathlib.Path, config: dict) -> None:
        self.path, self.admin = str(directory / 'edge.sock'), str(directory / 'admin' / 'admin.sock')
        super().__init__(directory, {'admin': self.admin, **config})
        self.arguments = [*network.enter(directory), *self.arguments]

    @property
    def listen(self) -> str:
        return f'unix:{self.path}'

    @property
    def endpoint(self) -> str:
        return self.path

    def servers(self, pool: str = 'web') -> dict[str, dict]:
        """The pool's servers by address, as `diplex status` shows them."""
        with RawClient(self.admin) as client:
            status = client.ask('GET', '/status').json()
        (found,) = [one for one in status['pools'] if one['name'] == pool]
        return {server['address']: server for server in found['servers']}

    def wait_servers(self, *hosts: str, seconds: float = PATIENCE) -> None:
        wanted = {f'[{host}]:{PORT}' if ':' in host else f'{host}:{PORT}' for host in hosts}
        try:
            wait_until(lambda: set(self.servers()) == wanted, seconds)
        except AssertionError:
            raise AssertionError(f'{set(self.servers())} and not {wanted}\n{self.stderr}') from None


class Load:
    """Clients that ask without a pause, and note what they got: (began, seconds, status or the error, process)."""

    def __init__(self, site: Diplex, target: str, clients: int = 4) -> None:
        self.site, self.target = site, target
        self.answers: list[tuple[float, float, int | str, int | None]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _ask(self, client: RawClient) -> tuple[int | str, int | None]:
        answer = client.ask('GET', self.target)
        return answer.status, answer.json()['process']['pid'] if answer.status == 200 else None

    def _run(self) -> None:
        client = None
        while not self._stop.wait(0.01):
            began = time.monotonic()
            try:
                client = client or RawClient(self.site.endpoint, patience=100.0)
                status, process = self._ask(client)
            except (OSError, AssertionError) as error:
                client, status, process = None, repr(error), None
            self.answers.append((began, time.monotonic() - began, status, process))
            if status != 200 and client is not None:
                client.close()
                client = None

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(110.0)

    def failures(self) -> list:
        return [answer for answer in self.answers if answer[2] != 200]

    def longest(self) -> float:
        return max(seconds for _, seconds, _, _ in self.answers)

    def wait_for(self, processes: int, since: float, seconds: float = PATIENCE) -> set[int]:
        """Until so many processes have answered requests that began since then."""

        def seen() -> set[int] | None:
            found = {process for began, _, _, process in list(self.answers) if began >= since and process}
            return found if len(found) >= processes else None

        return wait_until(seen, seconds, f'{processes} processes to answer')
