# SPDX-License-Identifier: MIT
"""What is in the image, and diplex in it as compose.yaml runs it: an ordinary user without rights, nothing to write to
but /tmp.
"""

import hashlib
import json
import time

import pytest
from stack import CONFIG, EDGE_IMAGE, GUARDED, PATIENCE, ROOT, Stack, asked_for, engine, inspect
from wire import wait_until

pytestmark = asked_for

MOST_BEYOND_BASE = 30_000_000
LOCKED_IN = 'no-new-privileges, no capabilities, seccomp, landlock '


@pytest.fixture(scope='module')
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp('stack')) as stack:
        stack.up()
        wait_until(stack.answers, PATIENCE)
        yield stack


def inside(*words):
    """A command in a container of its own."""
    return engine('run', '--rm', '--entrypoint', words[0], EDGE_IMAGE, *words[1:])


# ---- the image ----


def test_the_image_is_small_and_says_what_it_is():
    base = 'debian:bookworm-slim'
    image = inspect(EDGE_IMAGE, '--type', 'image')
    beyond = image['Size'] - inspect(base, '--type', 'image')['Size']
    print(f'{beyond / 1e6:.1f} MB beyond {base}')
    assert 1_000_000 < beyond < MOST_BEYOND_BASE
    config = image['Config']
    assert config['User'] == '10001:10001', 'a number, for Kubernetes'
    assert config['StopSignal'] in ('SIGTERM', '15')
    health = config.get('Healthcheck') or image['Healthcheck']
    assert health['Test'] == ['CMD', 'diplex', 'healthcheck']
    labels = {name.removeprefix('org.opencontainers.image.'): value for name, value in config['Labels'].items()}
    version = inside('diplex', 'version').split()[1]
    assert labels['title'] == 'diplex' and labels['licenses'] == 'MIT' and labels['version'] == version


def test_the_image_has_nothing_it_does_not_need():
    left = inside('sh', '-c', 'find /var/lib/apt/lists /var/log/apt /var/log/dpkg.log /var/cache/apt -type f -size +0 2>/dev/null; true')
    assert not left, left
    tools = inside('sh', '-c', 'command -v gcc cc cmake ninja python3 curl; true')
    assert not tools, tools
    libraries = inside('ldd', '/usr/bin/diplex')
    assert 'not found' not in libraries and 'libcurl' not in libraries, libraries
    assert 'libcurl.so.4' in inside('ldconfig', '-p'), 'it is loaded when it is first needed'


def test_its_own_file_and_the_example_are_good():
    assert 'pools:' in engine('run', '--rm', *GUARDED, EDGE_IMAGE, 'check')
    example = f'{ROOT}/config/examples/compose:/etc/diplex:ro'
    assert 'web-async:8001' in engine('run', '--rm', '-v', example, *GUARDED, EDGE_IMAGE, 'check')


# ---- locked up ----


def test_it_is_nobody_and_can_write_nothing(stack):
    assert stack.run('id', '-u').strip() == '10001'
    for folder in ('/', '/etc/diplex', '/usr/bin', '/var/spool/diplex', '/run'):
        refusal = stack.run('sh', '-c', f'touch {folder}/x', check=False)
        assert 'Read-only file system' in refusal or 'Permission denied' in refusal, f'{folder}: {refusal}'
    assert 'Read-only file system' in stack.run('touch', '/var/spool/diplex/x', check=False), 'everybody may write there'
    status = stack.status()
    assert status['sandbox'].startswith(LOCKED_IN), status['sandbox']
    for process in (status['control_pid'], status['data_pid']):
        shown = stack.run('cat', f'/proc/{process}/status')
        facts = dict(line.split(':\t', 1) for line in shown.splitlines() if ':\t' in line)
        assert facts['Uid'].split() == ['10001'] * 4, shown
        assert int(facts['CapEff'], 16) == int(facts['CapBnd'], 16) == 0, shown
        assert facts['NoNewPrivs'] == '1' and facts['Seccomp'] == '2', shown


def test_any_other_user_will_do(tmp_path):
    with Stack(tmp_path, options=['--user', '1234:1234']) as stack:
        wait_until(lambda: 'ready' in stack.log(), PATIENCE)
        assert stack.run('id', '-u').strip() == '1234'
        assert stack.run('diplex', 'healthcheck').strip() == 'ok'


def test_without_anything_to_write_to_it_says_so():
    """No tmpfs: there is no place for the admin socket, and no container that cannot be asked how it is."""
    options = [option for option in GUARDED if option not in ('--tmpfs', '/tmp:size=512m')]
    said = engine('run', '--rm', *options, EDGE_IMAGE, check=False)
    assert 'cannot open the admin socket' in said and 'Read-only file system' in said, said


def test_uploads_larger_than_memory(stack):
    body = bytes(range(256)) * 16384  # 4 MB
    before = stack.status()['counters']['spool_files_total']
    answer = stack.ask('POST', '/api/upload/', {'Content-Type': 'application/octet-stream'}, body)
    assert answer.status == 200 and answer.json()['sha256'] == hashlib.sha256(body).hexdigest()
    counters = stack.status()['counters']
    assert counters['spool_files_total'] == before + 1 and counters['spool_failures_total'] == 0


def test_bodies_on_a_volume(tmp_path):
    """A disk in place of memory: the image has a folder whose mode a new volume takes over."""
    volume = f'diplex-test-{time.monotonic_ns()}'
    config = {**CONFIG, 'buffer': {'path': '/var/spool/diplex'}}
    engine('volume', 'create', volume)
    try:
        with Stack(tmp_path, config, ['-v', f'{volume}:/var/spool/diplex']) as stack:
            stack.up()
            wait_until(stack.answers, PATIENCE)
            body = b'x' * 1_000_000
            assert stack.ask('POST', '/api/upload/', None, body).json()['size'] == len(body)
            counters = stack.status()['counters']
            assert counters['spool_files_total'] == 1 and counters['spool_failures_total'] == 0
    finally:
        engine('volume', 'rm', '-f', volume, check=False)


# ---- reload and logs ----


def test_reload_from_outside_and_from_inside(stack):
    stack.write({**CONFIG, 'routes': {**CONFIG['routes'], '/gone/': {'pool': 'async'}}})
    generation = stack.status()['generation']
    engine('kill', '-s', 'HUP', stack.edge)
    wait_until(lambda: stack.status()['generation'] == generation + 1, PATIENCE)
    stack.wait_log(' reloaded ', 'routes=3')

    stack.write(CONFIG)
    assert 'reloaded' in stack.run('diplex', 'reload')
    stack.wait_log(' reloaded ', 'routes=2')

    stack.write('listen: :8080\nrouts: {}\n')
    assert 'routs' in stack.run('diplex', 'reload', check=False)
    stack.wait_log(' reload_failed ')
    assert stack.answers() and stack.status()['generation'] == generation + 2
    stack.write(CONFIG)


def test_logs_go_where_the_engine_looks(stack):
    assert stack.ask('GET', '/api/hello/?who=log').status == 200

    def entry():
        lines = [json.loads(line) for line in stack.output()[0].splitlines()]
        return [line for line in lines if 'who=log' in line.get('path', '') + line.get('query', '')]

    (found,) = wait_until(entry, PATIENCE)
    assert found['status'] == 200 and found['pool'] == 'sync'
    assert ' ready ' in stack.log() and 'listen=:8080' in stack.log()
