# SPDX-License-Identifier: MIT
"""One word stands for every secret there can be: in the configuration, the environment, requests, answers. After traffic,
faults, reloads and a death, at the log level debug, no output of diplex has it."""

import contextlib
import os
import signal

import pytest
from harness import has_ended, run_diplex
from wire import wait_until

WORD = 'hunter2-S3cr3t'


def telling(connection):
    """A server that says the word wherever a server may, in answers that are well-formed and others that are not."""
    while request := connection.read_request():
        target = request.target if isinstance(request.target, str) else request.target.decode()
        if 'malformed' in target:
            connection.send(f'HTTP/1.1 200 OK\r\nSet-Cookie: {WORD}\r\nContent-Length: {WORD}\r\n\r\n'.encode())
            return
        if 'cut' in target:
            connection.send(f'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{WORD}'.encode())
            return
        connection.send(
            f'HTTP/1.1 403 Forbidden\r\nSet-Cookie: session={WORD}; HttpOnly\r\nWWW-Authenticate: Bearer {WORD}\r\n'
            f'Location: /next?token={WORD}\r\nContent-Length: {len(WORD)}\r\n\r\n{WORD}'.encode()
        )


FIELDS = {
    'Authorization': f'Bearer {WORD}',
    'Proxy-Authorization': f'Basic {WORD}',
    'Cookie': f'sessionid={WORD}; csrftoken={WORD}; diplex_app={WORD}',
    'X-CSRFToken': WORD,
    'X-Api-Key': WORD,
    'Origin': f'https://{WORD}.example',
    'Referer': f'https://me:{WORD}@a.example/?access_token={WORD}',
}
TARGETS = [
    f'/?token={WORD}', f'/a?page=1&password={WORD}&b=2', f'/a?X-Amz-Signature={WORD}', f'/back?code={WORD}&state=1',
    f'/malformed?key={WORD}', f'/cut?api_key={WORD}', f'/none/?session={WORD}',
]  # fmt: skip
RAW = [
    f'GET http://me:{WORD}@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
    f'GET http://localhost?token={WORD} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    f'GET /?token={WORD} HTTP/1.1\r\nHost: localhost\r\nAuthorization : {WORD}\r\n\r\n',
    f'GET /?token={WORD} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {WORD}\r\n\r\n',
    f'GET /?token={WORD} HTTP/9.9\r\nHost: localhost\r\n\r\n',
    f'GET /?token={WORD}\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    f'GET /{"a" * 9000}?token={WORD} HTTP/1.1\r\nHost: localhost\r\n\r\n',
    f'POST /?token={WORD} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{WORD}\r\n',
    f'GET /?token={WORD} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n'
    f'Sec-WebSocket-Key: {WORD}\r\nSec-WebSocket-Version: 13\r\n\r\n',
    f'TRACE /?token={WORD} HTTP/1.1\r\nHost: localhost\r\nCookie: {WORD}\r\n\r\n',
    f'CONNECT me:{WORD}@localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n',
]


def config_of(site, server, directory, form: str, more: str = '') -> str:
    return f"""\
listen: {site.listen}
admin: {{socket: {directory}/admin.sock, listen: "127.0.0.1:0", token: {WORD}-{WORD}}}
log: {{access: {form}, level: debug, hints: 1s}}
x-secret: &secret {WORD}
pools:
  app:
    kind: asgi
    servers: ["{server.address}"]
    hold: off
    health: "/healthz?token={WORD}"
    sticky: {{by: cookie, secret: "{WORD}"}}
  web:
    kind: wsgi
    servers: ["{server.address}", "127.0.0.1:1"]
    hold: off
    sticky:
      by: client_ip
      secret: ${{WORD}}
routes: {{/back: web, /: app{more}}}
"""


FAULTY = [
    lambda text: text.replace('{by: cookie,', '{by: cooky,'),
    lambda text: text.replace('secret: ${WORD}', f'secret: [{WORD}]'),
    lambda text: text.replace('"127.0.0.1:1"', f'"wsgi://me:{WORD}@127.0.0.1:1"'),
    lambda text: text.replace('"127.0.0.1:1"', f'"me:{WORD}@127.0.0.1"'),
    lambda text: text.replace('secret: ${WORD}', f'secret: "{WORD}'),
    lambda text: text.replace(f'{WORD}-{WORD}', WORD),
    lambda text: text.replace(f'{WORD}-{WORD}', f'"{WORD} {WORD}"'),
]


@pytest.mark.parametrize('form', ['json', 'combined'])
def test_no_output_has_a_secret(diplex, scripted, directory, form):
    server = scripted(telling)
    site = diplex('', environment={'WORD': WORD}, start=False)
    site.write_config(good := config_of(site, server, directory, form))
    site.start()
    heard = b''
    for target in TARGETS:
        for method in ('GET', 'POST'):
            with site.client() as client:
                fields = {**FIELDS, 'Host': 'localhost', 'Connection': 'close'}
                client.request(method, target, fields, WORD.encode() if method == 'POST' else None)
                heard += client.read_until_close()
    assert f'Set-Cookie: session={WORD}'.encode() in heard, 'clients are told all of it'
    for text in RAW:
        with site.client(patience=3) as client, contextlib.suppress(OSError):
            client.send(text.encode('latin-1'))
            client.half_close()
            client.read_until_close()

    outputs = []

    def run(*arguments):
        done = run_diplex(*arguments, '-c', site.config_path, env=site.environment)
        outputs.append(done.stdout + done.stderr)
        return done

    assert run('status').returncode == 0
    for spoil in FAULTY:
        assert spoil(good) != good
        site.write_config(spoil(good))
        assert run('reload', '-a', f'{directory}/admin.sock').returncode == 2 and run('check').returncode == 2
        assert run_diplex('run', '-c', site.config_path, env=site.environment).returncode == 2
    site.write_config(good)
    assert run('reload').returncode == 0
    site.deaths_are_expected = True
    (data,) = site.children()
    os.kill(data, signal.SIGABRT)
    wait_until(lambda: has_ended(data), what='its end')
    site.wait_event('data_ready')
    site.get(f'/?token={WORD}')
    run('status')
    run('status', '--json')
    run('status', '--json')
    assert site.stop() == 0
    assert 'token=***' in site.stdout, 'the log has the parameter, and not its value'
    for output in (site.stdout, site.stderr, *outputs):
        assert WORD not in output, next(line for line in output.splitlines() if WORD in line)


@pytest.mark.parametrize('faulty', range(len(FAULTY)))
def test_a_start_with_a_faulty_file_shows_no_secret(diplex, scripted, directory, faulty):
    site = diplex('', environment={'WORD': WORD}, start=False)
    site.write_config(FAULTY[faulty](config_of(site, scripted(telling), directory, 'json')))
    site.spawn()
    assert site.wait() == 2
    assert 'error' in site.stderr and WORD not in site.stderr + site.stdout


def test_check_shows_no_secret_of_the_file(diplex, scripted, directory):
    """What it prints is a configuration, so a path that is asked for is all there; secrets are not."""
    site = diplex('', environment={'WORD': WORD}, start=False)
    site.write_config(config_of(site, scripted(telling), directory, 'json').replace(f'?token={WORD}', ''))
    done = run_diplex('check', '-c', site.config_path, env=site.environment)
    assert done.returncode == 0 and '(not shown)' in done.stdout
    assert WORD not in done.stdout + done.stderr


@pytest.mark.parametrize(('query', 'expected'), [
    ('hidden', '/a?b=1&token=***&c=2'), ('full', f'/a?b=1&token={WORD}&c=2'), ('off', '/a'),
])  # fmt: skip
def test_how_much_of_a_query_is_logged(diplex, scripted, query, expected):
    site = diplex({
        'log': {'query': query},
        'pools': {'app': {'kind': 'asgi', 'servers': scripted(telling).address}},
        'routes': {'/': 'app'},
    })  # fmt: skip
    site.get(f'/a?b=1&token={WORD}&c=2')
    (entry,) = site.wait_access(1)
    assert entry['path'] == expected
