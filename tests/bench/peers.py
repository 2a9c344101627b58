# SPDX-License-Identifier: MIT
"""The proxies that are compared. To add one: its configuration file in peers/ and an entry in PEERS.

In a configuration file @DIRECTORY@, @PORT@, @SERVER@ and @WORKERS@ are filled in; @SERVER@ is written the way the
entry says. Each peer keeps connections to the servers, has its log off, routes /async/ and / to pools of their own,
sets the same forwarded fields, and checks the servers' health where it can.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / 'build' / 'bench'


@dataclasses.dataclass(frozen=True)
class Site:
    """Where one run of a proxy lives: its directory, its port, the server behind it as host:port or unix:/path."""

    directory: pathlib.Path
    port: int
    server: str
    workers: int
    config: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    program: str
    arguments: Callable[[Site], list[str]]
    config: str | None = None
    version: tuple[str, ...] = ('--version',)
    unix: str = 'unix:'  # how the configuration writes `unix:/path`

    def path(self) -> str | None:
        return shutil.which(self.program)

    def prepare(self, site: Site) -> Site:
        """Writes the configuration file, filled in."""
        if self.config is None:
            return site
        text = (HERE / 'peers' / self.config).read_text()
        server = site.server.replace('unix:', self.unix, 1)
        words = {'DIRECTORY': site.directory, 'PORT': site.port, 'SERVER': server, 'WORKERS': site.workers}
        for word, value in words.items():
            text = text.replace(f'@{word}@', str(value))
        path = site.directory / self.config
        path.write_text(text)
        return dataclasses.replace(site, config=path)

    def command(self, site: Site) -> list[str]:
        return [str(self.path()), *self.arguments(site)]

    def describe(self) -> str:
        """The first line of what the program says about its version."""
        if not self.version:
            return self.name
        run = subprocess.run([str(self.path()), *self.version], capture_output=True, text=True, timeout=10)
        return (run.stdout + run.stderr).strip().partition('\n')[0]


def _relay(site: Site) -> list[str]:
    return [f'127.0.0.1:{site.port}', site.server]


def _nginx(site: Site) -> list[str]:
    return ['-p', str(site.directory), '-c', str(site.config), '-e', str(site.directory / 'nginx.log')]


FLOOR = 'relay'
BASELINE = 'nginx'
PEERS = {
    peer.name: peer
    for peer in (
        Peer(FLOOR, str(BUILD / 'relay'), _relay, version=()),
        Peer('diplex', os.environ.get('DIPLEX_BIN', str(ROOT / 'build' / 'release' / 'diplex')),
             lambda site: ['run', '-c', str(site.config)], 'diplex.yaml', version=('version',)),
        Peer(BASELINE, 'nginx', _nginx, 'nginx.conf', version=('-v',)),
        Peer('haproxy', 'haproxy', lambda site: ['-db', '-f', str(site.config)], 'haproxy.cfg', version=('-v',),
             unix='unix@'),
    )
}
