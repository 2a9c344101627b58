# SPDX-License-Identifier: MIT
"""config/examples/kubernetes as far as it can be tried without a cluster: its numbers agree with each other, its objects
are what Kubernetes' own schemas say (pip install kubernetes-validate, kubectl for `kubectl kustomize`), and
`podman kube play` runs the Deployments in pods (Debian: catatonit).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml
from stack import EDGE_IMAGE, ENGINE, PATIENCE, ROOT, WEB_IMAGE, Loads, Stack, asked_for, engine, free_port, pin_bridge
from wire import RawClient, wait_until

EXAMPLE = ROOT / 'config' / 'examples' / 'kubernetes'
IMAGES = {'diplex:0.1.0': EDGE_IMAGE, 'diplex-django:0.1.0': WEB_IMAGE}


def objects():
    """What `kubectl kustomize` makes of the folder, names of the generated ConfigMap aside."""
    files = yaml.safe_load((EXAMPLE / 'kustomization.yaml').read_text())['resources']
    found = [one for file in files for one in yaml.safe_load_all((EXAMPLE / file).read_text())]
    data = {'diplex.yaml': (EXAMPLE / 'diplex.yaml').read_text()}
    return [*found, {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'edge'}, 'data': data}]


def deployment(name):
    return next(one for one in objects() if one['kind'] == 'Deployment' and one['metadata']['name'] == name)


def pod(name):
    return deployment(name)['spec']['template']['spec']


def pause(name):
    return int(pod(name)['containers'][0]['lifecycle']['preStop']['exec']['command'][1])


def option(name, word):
    command = pod(name)['containers'][0]['command']
    return int(command[command.index(word) + 1])


CONFIG = yaml.safe_load((EXAMPLE / 'diplex.yaml').read_text())


def test_the_numbers_agree():
    shutdown = int(re.fullmatch(r'(\d+)s', CONFIG['shutdown_timeout']).group(1))
    assert pause('edge') + shutdown < pod('edge')['terminationGracePeriodSeconds']
    for name, word in [('web', '--graceful-timeout'), ('web-async', '--timeout-graceful-shutdown')]:
        assert pause(name) + option(name, word) < pod(name)['terminationGracePeriodSeconds']
    threads = option('web', '--workers') * option('web', '--threads')
    assert CONFIG['pools']['sync']['slots'] * deployment('edge')['spec']['replicas'] == threads
    for pool, name in [('sync', 'web'), ('async', 'web-async')]:
        service = next(one for one in objects() if one['kind'] == 'Service' and one['metadata']['name'] == name)
        port = service['spec']['ports'][0]['port']
        assert CONFIG['pools'][pool]['servers'] == [f'{name}:{port}'] and service['spec']['clusterIP'] == 'None'
        labels = deployment(name)['spec']['template']['metadata']['labels']
        assert service['spec']['selector'].items() <= labels.items()
    (tmp,) = [volume for volume in pod('edge')['volumes'] if volume['name'] == 'tmp']
    assert tmp['emptyDir']['sizeLimit'] == '1Gi' and CONFIG['buffer']['total_disk'] == '900MB'


def test_schemas():
    validate = pytest.importorskip('kubernetes_validate', reason='pip install kubernetes-validate')
    for version in ('1.30', validate.latest_version()):
        for one in objects():
            validate.validate(one, version, strict=True)
    wrong = deployment('edge')
    wrong['spec']['template']['spec']['containers'][0]['readynessProbe'] = {}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, validate.latest_version(), strict=True)


@pytest.mark.skipif(not shutil.which('kubectl'), reason='kubectl is not installed')
def test_kustomize():
    done = subprocess.run(['kubectl', 'kustomize', EXAMPLE], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    assert sorted(one['kind'] for one in made) == sorted(one['kind'] for one in objects())
    (config,) = [one for one in made if one['kind'] == 'ConfigMap']
    (edge,) = [one for one in made if one['kind'] == 'Deployment' and one['metadata']['name'] == 'edge']
    assert edge['spec']['template']['spec']['volumes'][0]['configMap']['name'] == config['metadata']['name'] != 'edge'


class Pods(Stack):
    """Each Deployment in pods of its own; a headless Service is a name that all pods of a network share."""

    def __init__(self, directory: pathlib.Path):
        self.name, self.port, self.services = f'diplex-test-{os.getpid()}-{free_port()}', free_port(), {}
        self.endpoint, self.edge, self.directory = ('127.0.0.1', self.port), f'{self.pod("edge")}-diplex', directory

        self.metrics = free_port()

    def pod(self, name, number=0):
        return f'{self.name}-{name}-pod-{number}'

    def file(self, name):
        one = deployment(name)
        (container,) = one['spec']['template']['spec']['containers']
        image = IMAGES[container['image']]
        container['image'] = image if '/' in image else f'localhost/{image}'
        one['metadata']['name'] = f'{self.name}-{name}'
        container['ports'] = []  # podman would publish them on the machine
        if name == 'edge':
            one['spec']['replicas'] = 1
            published = {8080: self.port, 9100: self.metrics}
            container['ports'] = [
                {'containerPort': inside, 'hostPort': port, 'hostIP': '127.0.0.1'} for inside, port in published.items()
            ]
            config = next(one for one in objects() if one['kind'] == 'ConfigMap')
            config['metadata']['name'] = self.name
            one['spec']['template']['spec']['volumes'][0]['configMap']['name'] = self.name
        path = self.directory / f'{name}.yaml'
        path.write_text(yaml.safe_dump_all([config, one] if name == 'edge' else [one]))
        return path

    def __enter__(self):
        engine('network', 'create', self.name)
        try:
            for name in ('web', 'web-async', 'edge'):
                engine('kube', 'play', '--network', f'{self.name}:alias={name}', self.file(name), seconds=120)
            pin_bridge(self.name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for path in self.directory.glob('*.yaml'):
            engine('kube', 'play', '--down', path, check=False, seconds=120)
        engine('network', 'rm', '-f', self.name, check=False)
        engine('volume', 'rm', '-f', self.name, check=False)  # of the ConfigMap


@pytest.fixture(scope='module')
def pods(tmp_path_factory):
    if ENGINE != 'podman' or not shutil.which('catatonit'):
        pytest.skip('podman kube play wants podman and catatonit')
    with Pods(tmp_path_factory.mktemp('pods')) as pods:
        wait_until(lambda: pods.answers() and pods.answers('/async/hello/'), PATIENCE)
        yield pods


@pytest.mark.usefixtures('pods')
class TestPods:
    pytestmark = asked_for

    def test_every_pod_is_a_server(self, pods):
        pods.wait_up(deployment('web')['spec']['replicas'])
        pods.wait_up(deployment('web-async')['spec']['replicas'], 'async')

    def test_the_pod_is_restricted(self, pods):
        assert pods.run('id', '-u').strip() == '10001'
        assert 'Read-only file system' in pods.run('touch', '/var/spool/diplex/x', check=False)
        assert pods.status()['sandbox'].startswith('no-new-privileges, no capabilities, seccomp, landlock')

    def test_a_pod_goes_under_load(self, pods):
        with Loads(pods) as loads:
            loads.wait_more(50)
            # Containers first and the pod's network last, as a kubelet does it; `pod stop` ends both together.
            engine('stop', '-t', '45', f'{pods.pod("web", 1)}-django', seconds=100)
            engine('pod', 'rm', '-f', pods.pod('web', 1))
            pods.wait_up(2)
            loads.wait_more()
        loads.nothing_was_lost()

    def test_prometheus_finds_what_the_autoscaler_wants(self, pods):
        ports = {port['name']: port['containerPort'] for port in pod('edge')['containers'][0]['ports']}
        assert CONFIG['metrics'] == f':{ports["metrics"]}'
        with RawClient(('127.0.0.1', pods.metrics), patience=PATIENCE) as prometheus:
            told = prometheus.ask('GET', '/metrics').body.decode().splitlines()
        for name in ('diplex_pool_queued', 'diplex_pool_slots_used', 'diplex_pool_slots'):
            assert [line for line in told if line.startswith(name + '{pool="sync"} ')], name

    def test_the_probe_is_the_command(self, pods):
        (probe,) = {json.dumps(pod('edge')['containers'][0][name]['exec']) for name in ('readinessProbe', 'livenessProbe')}
        assert pods.run(*json.loads(probe)['command']).strip() == 'ok'
