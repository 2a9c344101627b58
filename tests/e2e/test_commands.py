# SPDX-License-Identifier: MIT
"""The subcommands in detail: what explain knows, what reload and status tell, and how mistakes are met."""

import json
import re
import signal

import pytest
from harness import ROOT, one_pool, run_diplex, two_pools
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


ROUTES = """\
trusted_proxies: [10.0.0.0/8]
pools:
  sync: {kind: wsgi, servers: [web:8000], limits: {body: 1KB}}
  async: {kind: asgi, servers: [live:8001, {address: spare:8001, backup: true, weight: 3}], sticky: cookie}
routes:
  /async/: async
  /async/forms/: sync
  /api/: sync
  "shop.example.com/api/": async
"""


@pytest.fixture
def explain(directory):
    path = directory / 'diplex.yaml'
    path.write_text(ROUTES)

    def run(method, url, *options, code=0):
        done = run_diplex('explain', method, url, '-c', path, *options)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def lines(text):
    """What follows each word at the start of a line."""
    return {line.split(' ', 1)[0]: line[11:] for line in text.splitlines() if line and line[0] != ' '}


@pytest.mark.parametrize(
    ('url', 'route', 'pool'),
    [
        ('/async/x', '/async/', 'async, kind asgi'),
        ('/async', '/async/', 'async, kind asgi'),
        ('/async/forms/1', '/async/forms/', 'sync, kind wsgi'),
        ('/async/%66orms/x', '/async/forms/', 'sync, kind wsgi'),
        ('/api/x/../y', '/api/', 'sync, kind wsgi'),
        ('http://shop.example.com/api/y', 'shop.example.com/api/', 'async, kind asgi'),
        ('http://SHOP.example.com:8443/api/y', 'shop.example.com/api/', 'async, kind asgi'),
    ],
)
def test_explain_finds_the_route(explain, url, route, pool):
    said = lines(explain('GET', url))
    assert said['route'].startswith(route + ' (') and ':' in said['route']
    assert said['pool'].startswith(pool)


def test_explain_says_why(explain):
    said = lines(explain('GET', '/async/forms/'))
    assert 'longest prefix' in said['why'] and said['why'].endswith('/async/')
    said = lines(explain('GET', 'http://shop.example.com/api/'))
    assert 'host' in said['why'] and said['why'].endswith('/api/')


def test_explain_lists_servers(explain):
    text = explain('GET', '/async/x')
    assert 'live:8001\n' in text and 'spare:8001, weight 3, backup\n' in text
    assert 'sticky     to the server that the cookie diplex_async names\n' in text


def test_explain_without_a_route(explain):
    said = lines(explain('GET', '/nothing', code=1))
    assert said['route'].startswith('none of 4') and said['answer'].startswith('404 Not Found')


def test_explain_tells_of_another_host(directory):
    path = directory / 'hosts.yaml'
    path.write_text('routes: {"shop.example.com/api/": "asgi://web:8000"}')
    done = run_diplex('explain', 'GET', 'http://elsewhere.example.com/api/', '-c', path)
    assert done.returncode == 1
    assert lines(done.stdout)['why'] == 'the path would match, were it for another host: shop.example.com/api/'


@pytest.mark.parametrize(('sticky', 'how'), [('client_ip', "by the client's address"), ('{header: X-Room}', 'by the field X-Room')])
def test_explain_tells_how_a_pool_is_sticky(directory, sticky, how):
    path = directory / 'sticky.yaml'
    path.write_text(f'pools: {{app: {{kind: asgi, servers: [web:8000], sticky: {sticky}}}}}\nroutes: {{/: app}}')
    done = run_diplex('explain', 'GET', '/', '-c', path)
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)['sticky'] == how


@pytest.mark.parametrize(
    ('command', 'page'), [('manual', 'docs/configuration.md'), ('schema', 'config/diplex.schema.json')]
)
def test_what_is_generated_is_what_the_program_prints(command, page):
    done = run_diplex(command)
    assert (done.returncode, done.stdout) == (0, (ROOT / page).read_text())


def test_help_of_one_command_and_of_none():
    done = run_diplex('help', 'drain')
    assert done.returncode == 0 and done.stdout.startswith('usage: diplex drain')
    wrong = run_diplex('help', 'drian')
    assert wrong.returncode == 2 and 'drain' in wrong.stderr


def test_explain_refuses_what_diplex_refuses(explain):
    assert 'answer     400' in explain('GET', '/a%zz', code=1)
    assert 'answer     400' in explain('GET', '/api/', '-H', 'no colon', code=1)
    assert 'answer     413' in explain('POST', '/api/', '-H', 'Content-Length: 1025', code=1)
    assert 'answer     431' in explain('GET', '/api/', '-H', 'X-Big: ' + 'x' * 20000, code=1)
    upgrade = ('-H', 'Connection: upgrade', '-H', 'Upgrade: websocket', '-H', 'Sec-WebSocket-Version: 13')
    assert 'answer     501' in explain('GET', '/api/', *upgrade, code=1)
    assert 'Upgrade: websocket\n' in explain('GET', '/async/', *upgrade)


def test_explain_shows_what_trust_does(explain):
    claim = ('-H', 'X-Forwarded-For: 192.0.2.7', '-H', 'Remote_User: root')
    stranger = explain('GET', '/api/', *claim, '--from', '198.51.100.1')
    assert '    X-Forwarded-For: 198.51.100.1\n' in stranger and '192.0.2.7' not in stranger
    friend = explain('GET', '/api/', *claim, '--from', '10.1.2.3')
    assert '    X-Forwarded-For: 192.0.2.7, 10.1.2.3\n' in friend
    assert 'Remote_User' not in stranger + friend
    assert 'no IP address' in explain('GET', '/api/', '--from', 'me', code=2)


def test_explain_measures_bodies_for_wsgi(explain):
    chunked = ('-H', 'Transfer-Encoding: chunked')
    assert '    Content-Length: ' in explain('POST', '/api/', *chunked)
    assert '    Transfer-Encoding: chunked\n' in explain('POST', '/async/', *chunked)


def test_what_explain_prints_is_what_is_sent(diplex, scripted):
    seen = []

    def keep_heads(connection):
        while request := connection.read_request():
            seen.append(request)
            connection.reply()

    site = diplex(one_pool('asgi', scripted(keep_heads)))
    site.get('/x%2fy?q=1', {'Host': 'example.com', 'X-Custom': 'yes', 'Proxy': 'no'})
    done = run_diplex(
        'explain', 'GET', 'http://example.com/x%2fy?q=1', '-c', site.config_path,
        '-H', 'X-Custom: yes', '-H', 'Proxy: no', '-H', 'Connection: close',
    )  # fmt: skip
    shown = [line[4:] for line in done.stdout.splitlines() if line.startswith('    ')]
    sent = seen[0].raw_head.decode().split('\r\n')[:-2]
    examples = re.compile(r'(X-Request-ID|X-Request-Start|X-Forwarded-Port): .*')
    assert [examples.sub(r'\1', line) for line in shown] == [examples.sub(r'\1', line) for line in sent]


# ---- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('word', 'meant'), [('rnu', 'run'), ('relaod', 'reload'), ('healtcheck', 'healthcheck')])
def test_did_you_mean(word, meant):
    done = run_diplex(word)
    assert done.returncode == 2 and f'did you mean "{meant}"' in done.stderr


def test_nothing_near_is_not_guessed():
    done = run_diplex('zzzzzzzz')
    assert done.returncode == 2 and 'did you mean' not in done.stderr and 'diplex help' in done.stderr


def test_an_option_of_another_command(directory):
    done = run_diplex('run', '--from', '::1')
    assert done.returncode == 2 and 'usage: diplex run' in done.stderr


def test_check_quietly(directory):
    path = directory / 'd.yaml'
    path.write_text(ROUTES)
    done = run_diplex('check', '-q', '-c', path)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    path.write_text('rutes: {}\n')
    done = run_diplex('check', '-q', '-c', path)
    assert done.returncode == 2 and 'd.yaml:1:1' in done.stderr


# ---- the admin socket ----------------------------------------------------------------------------------------------


@pytest.fixture
def admin(diplex, scripted, directory):
    config = {**one_pool('asgi', scripted(keep_answering)), 'admin': str(directory / 'a' / 'admin.sock'), 'workers': 1}
    site = diplex(config)
    site.wait_event(' ready ')
    site.config = config
    return site


def test_the_socket_is_for_its_owner_only(admin, directory):
    socket = directory / 'a' / 'admin.sock'
    assert socket.stat().st_mode & 0o777 == 0o600 and socket.parent.stat().st_mode & 0o777 == 0o700


def test_status(admin):
    assert admin.get('/').status == 200
    done = run_diplex('status', '--json', '-c', admin.config_path)
    status = json.loads(done.stdout)
    assert (status['state'], status['ready'], status['workers'], status['generation']) == ('ready', True, 1, 1)
    assert status['listen'] == [admin.listen]
    assert status['control_pid'] == admin.pid and [status['data_pid']] == admin.children()
    (pool,) = status['pools']
    (server,) = pool['servers']
    assert (pool['kind'], server['state'], server['requests_total'], server['responses']) == ('asgi', 'up', 1, 1)
    assert status['counters']['requests_total'] == 1


def test_a_reload_says_what_it_could_not_change(admin):
    admin.write_config({**admin.config, 'workers': 2, 'user': 'somebody-else'})
    done = run_diplex('reload', '-a', admin.config['admin'])
    assert done.returncode == 0 and 'user' in done.stdout and 'workers' not in done.stdout
    admin.wait_event('reload_partial', 'user')
    assert json.loads(run_diplex('status', '--json', '-a', admin.config['admin']).stdout)['workers'] == 2


def test_a_refused_reload_shows_every_fault(admin):
    admin.config_path.write_text('lisen: x\nroutes:\n  /: nowhere\n')
    done = run_diplex('reload', '-a', admin.config['admin'])
    assert done.returncode == 2
    assert 'diplex.yaml:1:1' in done.stderr and 'diplex.yaml:3:' in done.stderr and 'nothing has changed' in done.stderr
    admin.wait_event('reload_failed', 'diplex.yaml:1:1', 'more)')
    assert json.loads(run_diplex('status', '--json', '-a', admin.config['admin']).stdout)['generation'] == 1
    assert run_diplex('healthcheck', '-a', admin.config['admin']).returncode == 0


def test_a_second_one_on_the_same_socket(admin, diplex):
    second = diplex({**admin.config, 'listen': '127.0.0.1:0'}, start=False)
    second.spawn()
    assert second.wait() == 1
    assert 'another diplex' in second.stderr and '"admin"' in second.stderr
    assert run_diplex('healthcheck', '-c', admin.config_path).returncode == 0


def test_healthcheck_while_it_stops(diplex, gunicorn, uvicorn, directory):
    config = {**two_pools(gunicorn(workers=2), uvicorn()), 'admin': str(directory / 'admin.sock')}
    site = diplex(config)
    site.wait_event(' ready ')
    with site.client() as client:
        client.request('GET', '/async/slow/1000/')
        wait_until(lambda: json.loads(run_diplex('status', '--json', '-c', site.config_path).stdout)['counters']
                   ['requests_running'] == 1, 3, 'the request to run')  # fmt: skip
        site.signal(signal.SIGTERM)
        site.wait_event('stopping')
        done = run_diplex('healthcheck', '-c', site.config_path)
        assert done.returncode == 1 and 'not ready' in done.stderr
        assert client.response().status == 200
    assert site.wait() == 0


def test_the_reload_command_without_anything_running(directory):
    path = directory / 'd.yaml'
    path.write_text(ROUTES + f'admin: {directory}/none.sock\n')
    done = run_diplex('reload', '-c', path)
    assert done.returncode == 1 and 'no running diplex' in done.stderr
