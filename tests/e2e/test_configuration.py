# SPDX-License-Identifier: MIT
"""The file that users write, with the real program: short and long forms mean the same, and what YAML offers works."""

import pathlib

import pytest
from harness import ROOT, free_port, run_diplex
from wire import RawClient


@pytest.mark.parametrize('form', ['three lines', 'typical', 'long'])
def test_every_form_serves(diplex, gunicorn, uvicorn, form):
    wsgi, asgi = gunicorn(workers=2).address, uvicorn().address
    text = {
        'three lines': f"""
            routes:
              /async/: asgi://{asgi}
              /:       wsgi://{wsgi}
            """,
        'typical': f"""
            pools:
              sync: {{kind: wsgi, servers: ["{wsgi}"], health: /healthz/}}
              async: {{kind: asgi, servers: "{asgi}", health: /async/healthz/}}
            routes:
              /async/: async
              /: sync
            """,
        'long': f"""
            pools:
              sync:
                kind: wsgi
                servers: [{{address: "{wsgi}", weight: 2, backup: no}}]
                balance: least_conn
                health: {{path: /healthz/, host: localhost, interval: 1s, timeout: 1s, retries: 2, expect: [200, 204]}}
                keepalive: {{idle: 900ms, max: 4}}
                eject: {{failures: 5, within: 5s, for: 1s}}
                timeouts: {{connect: 1s, response: 1m, idle: 1m}}
                limits: {{body: 1MB}}
              async:
                kind: asgi
                servers: [{{address: "{asgi}"}}]
                timeouts: {{tunnel: 1h, idle: 0}}
            routes:
              - {{path: /async/, pool: async}}
              - {{path: /, pool: sync, body: 10MB}}
            """,
    }[form]
    site = diplex('listen: "@LISTEN@"\nadmin: off' + text.replace('\n            ', '\n'))
    assert site.get('/api/hello/').json()['process']['kind'] == 'wsgi'
    assert site.get('/async/hello/').json()['process']['kind'] == 'asgi'


def test_anchors_merges_and_x_keys(diplex, gunicorn, uvicorn):
    site = diplex(
        'listen: "@LISTEN@"\nadmin: off\n'
        'x-common: &common\n'
        '  balance: random\n'
        '  limits: {body: 1KB}\n'
        'pools:\n'
        f'  sync:  {{<<: *common, kind: wsgi, servers: ["{gunicorn(workers=2).address}"]}}\n'
        f'  async: {{<<: *common, kind: asgi, servers: ["{uvicorn().address}"], limits: {{body: 1MB}}, x-note: ours}}\n'
        'routes: {/async/: async, /: sync}\n'
    )
    body = b'x' * 2000
    assert site.ask('POST', '/api/upload/', {'Content-Type': 'x/y'}, body).status == 413
    assert site.ask('POST', '/async/upload/', {'Content-Type': 'x/y'}, body).status == 200


def test_variables_with_defaults_and_dollars(diplex, scripted):
    def script(connection):
        while request := connection.read_request():
            connection.reply(request.target.encode())

    server = scripted(script)
    text = (
        'listen: ${DIPLEX_TEST_LISTEN:-@LISTEN@}\nadmin: off\n'
        'pools:\n  app: {kind: "${DIPLEX_TEST_KIND:-asgi}", servers: ["127.0.0.1:${DIPLEX_TEST_PORT}"]}\n'
        'routes:\n  - {path: /$$x/, pool: app}\n'
    )
    site = diplex(text, environment={'DIPLEX_TEST_PORT': server.address.rpartition(':')[2]})
    assert site.get('/$x/y').body == b'/$x/y'
    assert site.get('/x/').status == 404


def test_the_mode_of_a_unix_listener(diplex, scripted, directory):
    path = directory / 'front.sock'
    server = scripted(lambda connection: connection.reply())
    site = diplex(
        {'listen': ['@LISTEN@', {'address': f'unix:{path}', 'mode': '0600'}], 'routes': {'/': f'asgi://{server.address}'}}
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert site.get('/').status == 200


def test_every_address_of_a_port_alone(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    port = free_port('::')
    site = diplex({'listen': f':{port}', 'routes': {'/': f'asgi://{server.address}'}}, start=False)
    site.start_and_wait(('127.0.0.1', port))
    for host in ('127.0.0.1', '::1'):
        with RawClient((host, port)) as client:
            assert client.ask('GET', '/').status == 200
    assert {entry['client'] for entry in site.wait_access(2)} == {'127.0.0.1', '::1'}, 'never ::ffff:127.0.0.1'


@pytest.mark.parametrize('name', sorted(path.name for path in (ROOT / 'config' / 'examples').glob('*.yaml')))
def test_the_examples_are_right(name):
    done = run_diplex('check', '-c', ROOT / 'config' / 'examples' / name)
    assert done.returncode == 0, done.stderr


def test_without_any_file(directory):
    if pathlib.Path('/etc/diplex/diplex.yaml').exists():
        pytest.skip('there is one')
    for url, server in (('/async/x', '127.0.0.1:8001'), ('/x', '127.0.0.1:8000')):
        done = run_diplex('explain', 'GET', url, cwd=directory)
        assert done.returncode == 0 and server in done.stdout


@pytest.mark.parametrize('key', ['tls', 'http2', 'strip', 'supervise', 'metrics'])
def test_what_does_not_exist_yet_is_an_unknown_key(directory, key):
    """Nothing is read and ignored."""
    path = directory / 'diplex.yaml'
    path.write_text(f'pools:\n  app: {{kind: wsgi, servers: [web:8000], {key}: 8}}\n')
    done = run_diplex('check', '-c', path)
    assert done.returncode == 2 and f"unknown key '{key}'" in done.stderr and ':2:42:' in done.stderr
