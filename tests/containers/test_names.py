# SPDX-License-Identifier: MIT
"""Names in a container network: a service is scaled, replaced and gone for a while under load, as `docker compose up -d
--scale`, `--build`, `down` and `up` do it. It takes a container engine and a minute, so it has to be asked for:

    podman build -t diplex . && podman build -t diplex-django tests/django
    DIPLEX_CONTAINERS=podman build/venv/bin/python -m pytest -q -p no:cacheprovider tests/containers

DIPLEX_CONTAINERS may be docker, too. DIPLEX_IMAGE and DJANGO_IMAGE name other images. All that is started is removed.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'e2e'))

from harness import free_port  # noqa: E402
from network import Load  # noqa: E402
from wire import RawClient, wait_until  # noqa: E402

ENGINE = os.environ.get('DIPLEX_CONTAINERS')
EDGE_IMAGE = os.environ.get('DIPLEX_IMAGE', 'diplex')
WEB_IMAGE = os.environ.get('DJANGO_IMAGE', 'diplex-django')
PATIENCE = 60.0

pytestmark = [
    pytest.mark.skipif(not ENGINE, reason='asked for by DIPLEX_CONTAINERS=podman or docker'),
    pytest.mark.skipif(bool(ENGINE) and not shutil.which(ENGINE or ''), reason=f'{ENGINE} is not installed'),
]

CONFIG = {
    'listen': ':8080',
    'workers': 2,
    'resolve': '2s',
    'pools': {
        'web': {
            'kind': 'wsgi',
            'servers': ['web:8000'],
            'health': {'path': '/healthz/', 'interval': '1s', 'timeout': '1s'},
            'hold': '90s',
        }
    },
    'routes': {'/': 'web'},
}


def engine(*words, check=True):
    done = subprocess.run([ENGINE, *map(str, words)], capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, f'{words}: {done.stderr}'
    return done.stdout


class Stack:
    """A network, diplex in it with a port on this machine, and containers that share the name `web`."""

    def __init__(self, directory):
        self.name, self.port, self.webs = f'diplex-test-{os.getpid()}', free_port(), []
        self.endpoint = ('127.0.0.1', self.port)
        self.config = directory / 'diplex.yaml'
        self.config.write_text(json.dumps(CONFIG))
        self.config.chmod(0o644)
        self.number = 0

    def __enter__(self):
        engine('network', 'create', self.name)
        published = f'127.0.0.1:{self.port}:8080'
        engine(
            'run', '-d', '--name', f'{self.name}-edge', '--network', self.name, '-p', published,
            '-v', f'{self.config}:/etc/diplex/diplex.yaml:ro', EDGE_IMAGE,
        )  # fmt: skip
        self.pin_bridge()
        return self

    def pin_bridge(self):
        """Older podman lets the bridge take another link-layer address when a container comes or goes. The others then
        send to the old one, name server and all, until their neighbour tables have forgotten it: half a minute.
        """
        if ENGINE == 'podman' and os.geteuid() == 0 and shutil.which('ip'):
            (network,) = json.loads(engine('network', 'inspect', self.name))
            bridge = network['network_interface']
            address = pathlib.Path(f'/sys/class/net/{bridge}/address').read_text().strip()
            subprocess.run(['ip', 'link', 'set', 'dev', bridge, 'address', address], check=True, timeout=PATIENCE)

    def __exit__(self, *_):
        for name in [*self.webs, f'{self.name}-edge']:
            engine('rm', '-f', name, check=False)
        engine('network', 'rm', self.name, check=False)

    def up(self):
        """One more container of the service."""
        self.number += 1
        name = f'{self.name}-web{self.number}'
        self.webs.append(name)
        engine(
            'run', '-d', '--name', name, '--network', self.name, '--network-alias', 'web',
            '-e', 'DJANGO_SETTINGS_MODULE=demo.settings_sync', '-e', 'FORWARDED_ALLOW_IPS=*',
            '-e', 'DJANGO_ALLOWED_HOSTS=*', WEB_IMAGE, 'gunicorn', 'demo.wsgi:application',
            '--bind', '0.0.0.0:8000', '--workers', '1', '--threads', '4', '--no-control-socket',
        )  # fmt: skip
        return name

    def down(self, name):
        """As compose does it: it is told to stop, may finish, and is removed."""
        self.webs.remove(name)
        engine('stop', '-t', '5', name, check=False)
        engine('rm', '-f', name)

    def log(self):
        """diplex's own log."""
        done = subprocess.run(
            [ENGINE, 'logs', f'{self.name}-edge'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
        )
        return '\n'.join(line for line in done.stdout.splitlines() if not line.startswith('{'))

    def servers(self):
        status = json.loads(engine('exec', f'{self.name}-edge', 'diplex', 'status'))
        return {server['address']: server['state'] for server in status['pools'][0]['servers']}

    def wait_up(self, count):
        try:
            wait_until(lambda: list(self.servers().values()) == ['up'] * count, PATIENCE)
        except AssertionError:
            raise AssertionError(f'{self.servers()}\n{self.log()}') from None


@pytest.fixture
def stack(tmp_path):
    with Stack(tmp_path) as stack:
        yield stack


def nothing_was_lost(stack, load):
    assert not load.failures(), f'{load.failures()[:5]}\n{stack.log()}'
    print(f'{len(load.answers)} requests, none failed, {load.longest():.1f} s at most')


def answers(stack):
    with contextlib.suppress(OSError), RawClient(stack.endpoint) as client:
        return client.ask('GET', '/api/hello/').status == 200
    return False


def test_scaled_replaced_and_gone_under_load(stack):
    first = stack.up()
    wait_until(lambda: answers(stack), PATIENCE)
    stack.wait_up(1)

    with Load(stack, '/api/hello/') as load:
        more = [stack.up(), stack.up()]
        stack.wait_up(3)
        time.sleep(1)
    nothing_was_lost(stack, load)

    with Load(stack, '/api/hello/') as load:  # back to one: they are stopped first, and their addresses leave after that
        for name in more:
            stack.down(name)
        stack.wait_up(1)
        time.sleep(1)
    nothing_was_lost(stack, load)

    with Load(stack, '/api/hello/') as load:  # replaced: a while with nobody there, and then another address
        before = set(stack.servers())
        stack.down(first)
        second = stack.up()
        wait_until(lambda: set(stack.servers()) and not set(stack.servers()) & before, PATIENCE)
        stack.wait_up(1)
        time.sleep(1)
    nothing_was_lost(stack, load)

    with Load(stack, '/api/hello/') as load:  # gone for a while
        stack.down(second)
        wait_until(lambda: not stack.servers(), PATIENCE)
        assert 'name_gone' in stack.log()
        stack.up()
        stack.wait_up(1)
        load.wait_for(1, time.monotonic() + 0.5)
    nothing_was_lost(stack, load)
