# SPDX-License-Identifier: MIT
"""compose.yaml as it is: three services come up, lock themselves in, are scaled and replaced under load, and stop."""

import os
import shlex
import subprocess

import pytest
from stack import (
    EDGE_IMAGE, ENGINE, GUARDED, PATIENCE, ROOT, WEB_IMAGE, Loads, Stack, asked_for, engine, free_port, inspect, pin_bridge,
)  # fmt: skip
from wire import wait_until

# Debian 12's podman-compose takes `--scale` and does nothing about it, so with podman the tests add containers themselves.
DOCKER = ENGINE == 'docker'
COMPOSE = shlex.split(os.environ.get('DIPLEX_COMPOSE', 'docker compose' if DOCKER else 'podman-compose'))
SERVICES = {'edge': EDGE_IMAGE, 'web': WEB_IMAGE, 'web-async': WEB_IMAGE}

pytestmark = asked_for


class Compose(Stack):
    def __init__(self):
        self.project, self.port = f'diplextest{os.getpid()}', free_port()
        self.endpoint = ('127.0.0.1', self.port)
        self.separator = '-' if DOCKER else '_'
        self.edge = self.container('edge')
        self.services, self.number = {}, 1
        self.name, self.network = self.project, f'{self.project}_default'

    def container(self, service, number=1):
        return self.separator.join([self.project, service, str(number)])

    def compose(self, *words):
        done = subprocess.run(
            [*COMPOSE, '-p', self.project, *words],
            cwd=ROOT, env={**os.environ, 'DIPLEX_PORT': str(self.port)}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def __enter__(self):
        for service, image in SERVICES.items():
            engine('tag', image, f'{self.project}{self.separator}{service}')
        try:
            self.compose('up', '-d', '--no-build')
            pin_bridge(self.network)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.services:
            engine('rm', '-f', '-t', '0', name, check=False)
        for service in SERVICES:
            engine('rm', '-f', '-t', '0', self.container(service), check=False)
        engine('network', 'rm', '-f', self.network, check=False)
        for service in SERVICES:
            engine('rmi', f'{self.project}{self.separator}{service}', check=False)

    def scale(self, count):
        if DOCKER:
            self.compose('up', '-d', '--no-build', '--no-recreate', '--scale', f'web={count}')
            return
        while self.number < count:
            self.number += 1
            name = self.container('web', self.number)
            self.services[name] = 'web'
            first = inspect(self.container('web'))['Config']
            engine(
                'run', '-d', '--name', name, '--network', self.network, '--network-alias', 'web', *GUARDED,
                *[word for pair in first['Env'] if pair.startswith(('DJANGO_', 'FORWARDED_')) for word in ('-e', pair)],
                f'{self.project}_web', *first['Cmd'],
            )  # fmt: skip
        while self.number > count:
            self.down(self.container('web', self.number))
            self.number -= 1

    def replace(self, service):
        """What compose does with a service whose image is a new one: stop, remove, start anew."""
        if DOCKER:
            self.compose('up', '-d', '--no-build', '--no-deps', '--force-recreate', service)
            return
        engine('stop', '-t', '35', self.container(service))
        engine('rm', self.container(service))
        self.compose('up', '-d', '--no-build', '--no-deps', service)


@pytest.fixture(scope='module')
def stack():
    with Compose() as stack:
        wait_until(lambda: stack.answers() and stack.answers('/async/hello/'), PATIENCE)
        stack.wait_up(1)
        stack.wait_up(1, 'async')
        yield stack


def test_one_port_and_two_djangos(stack):
    assert stack.ask('GET', '/api/hello/').json()['process']['kind'] == 'wsgi'
    assert stack.ask('GET', '/async/hello/').json()['process']['kind'] == 'asgi'
    assert b'<html' in stack.ask('GET', '/').body.lower()
    echo = stack.ask('GET', '/api/echo/').json()
    assert echo['host'] == 'localhost' and echo['scheme'] == 'http'
    assert 'X-Forwarded-For' in echo['headers']


@pytest.mark.parametrize('service', SERVICES)
def test_each_service_is_locked_up(stack, service):
    name = stack.container(service)
    assert int(engine('exec', name, 'id', '-u')) > 10000
    assert 'Read-only file system' in engine('exec', name, 'touch', '/var/tmp/../lib/x', check=False)
    shown = engine('exec', name, 'cat', '/proc/1/status')
    assert 'CapBnd:\t0000000000000000' in shown and 'NoNewPrivs:\t1' in shown, shown
    config = inspect(name)
    assert config['HostConfig']['ReadonlyRootfs'] and config['HostConfig']['RestartPolicy']['Name'] == 'unless-stopped'


@pytest.mark.parametrize('service', SERVICES)
def test_each_service_has_a_health(stack, service):
    name = stack.container(service)

    def healthy():
        if not DOCKER:
            engine('healthcheck', 'run', name, check=False)
        state = inspect(name)['State']
        return (state.get('Health') or state['Healthcheck'])['Status'] == 'healthy'

    wait_until(healthy, PATIENCE)


def test_only_diplex_has_a_port(stack):
    published = {service: inspect(stack.container(service))['NetworkSettings']['Ports'] for service in SERVICES}
    assert [binding['HostIp'] for binding in published['edge']['8080/tcp']] == ['127.0.0.1']
    assert not any(published['web'].values()) and not any(published['web-async'].values())


def test_scaled_under_load(stack):
    with Loads(stack) as loads:
        stack.scale(3)
        stack.wait_up(3)
        wait_until(lambda: min(stack.servers(key='responses').values()) > 10, PATIENCE)
        stack.scale(1)
        stack.wait_up(1)
        loads.wait_more()
    loads.nothing_was_lost()


@pytest.mark.parametrize(('service', 'pool'), [('web', 'sync'), ('web-async', 'async')])
def test_replaced_under_load(stack, service, pool):
    with Loads(stack) as loads:
        before = inspect(stack.container(service))['Id']
        stack.replace(service)
        wait_until(lambda: inspect(stack.container(service))['Id'] != before, PATIENCE)
        loads.wait_more()
        stack.wait_up(1, pool)
    loads.nothing_was_lost()


def test_stop(stack):
    engine('stop', '-t', '35', stack.edge)
    assert inspect(stack.edge)['State']['ExitCode'] == 0
    assert ' drained ' in stack.log()
