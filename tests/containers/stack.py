# SPDX-License-Identifier: MIT
"""What the container tests share: the engine's command line, a network with diplex and Django in it, and clients that
ask without a pause. DIPLEX_CONTAINERS names the engine, podman or docker; DIPLEX_IMAGE and DJANGO_IMAGE name images other
than those that tests/containers/run builds. All that is started is removed.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'e2e'))

import network  # noqa: E402
from harness import free_port  # noqa: E402
from wire import RawClient, wait_until  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
ENGINE = os.environ.get('DIPLEX_CONTAINERS')
EDGE_IMAGE = os.environ.get('DIPLEX_IMAGE', 'diplex')
WEB_IMAGE = os.environ.get('DJANGO_IMAGE', 'diplex-django')
PATIENCE = 60.0

asked_for = [
    pytest.mark.skipif(not ENGINE, reason='asked for by DIPLEX_CONTAINERS=podman or docker'),
    pytest.mark.skipif(bool(ENGINE) and not shutil.which(ENGINE or ''), reason=f'{ENGINE} is not installed'),
]

# As compose.yaml says it. podman gives a read-only container some folders to write to of its own accord: not here.
GUARDED = [
    '--read-only', '--tmpfs', '/tmp:size=512m', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges',
    *(['--read-only-tmpfs=false'] if ENGINE == 'podman' else []),
]  # fmt: skip

COMMANDS = {
    'web': 'gunicorn demo.wsgi:application --bind 0.0.0.0:8000 --workers 1 --threads 4 --worker-tmp-dir /dev/shm '
    '--no-control-socket',
    'web-async': 'uvicorn demo.asgi:application --host 0.0.0.0 --port 8001 --timeout-graceful-shutdown 5',
}
SETTINGS = {'web': 'demo.settings_sync', 'web-async': 'demo.settings_async'}

CONFIG = {
    'listen': ':8080',
    'workers': 2,
    'resolve': '2s',
    'pools': {
        'sync': {
            'kind': 'wsgi',
            'servers': ['web:8000'],
            'slots': 4,
            'health': {'path': '/healthz/', 'interval': '1s', 'timeout': '1s'},
            'hold': '90s',
        },
        'async': {
            'kind': 'asgi',
            'servers': ['web-async:8001'],
            'health': {'path': '/async/healthz/', 'interval': '1s', 'timeout': '1s'},
            'hold': '90s',
        },
    },
    'routes': {'/async/': 'async', '/': 'sync'},
}


def engine(*words, check=True, seconds=PATIENCE):
    """What the engine says when it is asked for something; both its streams when that may fail."""
    done = subprocess.run([ENGINE, *map(str, words)], capture_output=True, text=True, timeout=seconds)
    assert not check or done.returncode == 0, f'{words}: {done.stdout}{done.stderr}'
    return done.stdout if check else done.stdout + done.stderr


def inspect(what, *kind):
    (found,) = json.loads(engine('inspect', *kind, what))
    return found


class Stack:
    """A network, diplex in it with a port on this machine, and containers that share the names of their services."""

    def __init__(self, directory, config=CONFIG, options=()):
        self.name, self.port = f'diplex-test-{os.getpid()}-{free_port()}', free_port()
        self.endpoint = ('127.0.0.1', self.port)
        self.edge = f'{self.name}-edge'
        self.options = options
        self.services = {}
        self.folder = directory / 'config'
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.number = 0
        self.write(config)

    def write(self, config):
        """As an editor does it: another file takes the old one's name."""
        new = self.folder / 'new'
        new.write_text(config if isinstance(config, str) else json.dumps(config))
        new.chmod(0o644)
        new.rename(self.folder / 'diplex.yaml')

    def __enter__(self):
        engine('network', 'create', self.name)
        try:
            engine(
                'run', '-d', '--name', self.edge, '--network', self.name, '-p', f'127.0.0.1:{self.port}:8080',
                '-v', f'{self.folder}:/etc/diplex:ro', *GUARDED, *self.options, EDGE_IMAGE,
            )  # fmt: skip
            pin_bridge(self.name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in [*self.services, self.edge]:
            engine('rm', '-f', '-t', '0', name, check=False)
        engine('network', 'rm', self.name, check=False)

    def up(self, service='web'):
        """One more container of the service."""
        self.number += 1
        name = f'{self.name}-{service}{self.number}'
        self.services[name] = service
        engine(
            'run', '-d', '--name', name, '--network', self.name, '--network-alias', service,
            '-e', f'DJANGO_SETTINGS_MODULE={SETTINGS[service]}', '-e', 'FORWARDED_ALLOW_IPS=*',
            '-e', 'DJANGO_ALLOWED_HOSTS=*', *GUARDED, WEB_IMAGE, *COMMANDS[service].split(),
        )  # fmt: skip
        return name

    def down(self, name):
        """As compose does it: it is told to stop, may finish, and is removed."""
        del self.services[name]
        engine('stop', '-t', '10', name, check=False)
        engine('rm', '-f', name)

    def ask(self, method, target, *more):
        with RawClient(self.endpoint, patience=PATIENCE) as client:
            return client.ask(method, target, *more)

    def answers(self, target='/api/hello/'):
        with contextlib.suppress(OSError, AssertionError):
            return self.ask('GET', target).status == 200
        return False

    def run(self, *words, check=True):
        """Something inside diplex's container."""
        return engine('exec', self.edge, *words, check=check)

    def status(self):
        return json.loads(self.run('diplex', 'status', '--json'))

    def output(self):
        """The access log, and diplex's own."""
        done = subprocess.run([ENGINE, 'logs', self.edge], capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout, done.stderr

    def log(self):
        return self.output()[1]

    def servers(self, pool='sync', key='state'):
        (found,) = [one for one in self.status()['pools'] if one['name'] == pool]
        return {server['address']: server[key] for server in found['servers']}

    def wait_up(self, count, pool='sync'):
        try:
            wait_until(lambda: list(self.servers(pool).values()) == ['up'] * count, PATIENCE)
        except AssertionError:
            raise AssertionError(f'{self.servers(pool)}\n{self.log()}') from None

    def wait_log(self, *words):
        try:
            wait_until(lambda: any(all(w in line for w in words) for line in self.log().splitlines()), PATIENCE)
        except AssertionError:
            raise AssertionError(f'no line with {words}:\n{self.log()}') from None


def pin_bridge(name):
    """Older podman lets the bridge take another link-layer address when a container comes or goes. The others then
    send to the old one, name server and all, until their neighbour tables have forgotten it: half a minute.
    """
    if ENGINE == 'podman' and os.geteuid() == 0 and shutil.which('ip'):
        (found,) = json.loads(engine('network', 'inspect', name))
        bridge = found['network_interface']
        address = pathlib.Path(f'/sys/class/net/{bridge}/address').read_text().strip()
        subprocess.run(['ip', 'link', 'set', 'dev', bridge, 'address', address], check=True, timeout=PATIENCE)


class Uploads(network.Load):
    """Clients that send more than diplex keeps in memory."""

    BODY = bytes(range(256)) * 1024

    def _ask(self, client):
        answer = client.ask('POST', self.target, {'Content-Type': 'application/octet-stream'}, self.BODY)
        if answer.status != 200:
            return answer.status, None
        told = answer.json()
        assert told['size'] == len(self.BODY), told
        return 200, told['process']['pid']


class Loads:
    """All kinds at once: reading and uploading, from both halves."""

    def __init__(self, stack):
        self.stack = stack
        self.all = [
            network.Load(stack, '/api/hello/'),
            network.Load(stack, '/async/hello/', 2),
            Uploads(stack, '/api/upload/', 2),
        ]

    def __enter__(self):
        for load in self.all:
            load.__enter__()
        return self

    def __exit__(self, *_):
        for load in self.all:
            load.__exit__()

    def count(self):
        return sum(len(load.answers) for load in self.all)

    def wait_more(self, count=200):
        """Until so many more requests are answered than now."""
        enough = self.count() + count
        wait_until(lambda: self.count() >= enough, PATIENCE)

    def nothing_was_lost(self):
        failures = [failure for load in self.all for failure in load.failures()]
        assert not failures, f'{len(failures)} of {self.count()}: {failures[:5]}\n{self.stack.log()}'
        print(f'{self.count()} requests, none failed, {max(load.longest() for load in self.all):.1f} s at most')
