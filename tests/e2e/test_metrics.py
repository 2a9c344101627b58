# SPDX-License-Identifier: MIT
"""GET /metrics: what Prometheus makes of it, that it agrees with the access log, that what happens to slots, queues and
servers shows, and that dashboard and alerts ask only for what there is."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest
from harness import ROOT, free_port, one_pool, run_diplex, sanitized, two_pools, wait_until
from wire import RawClient

prometheus_client = pytest.importorskip('prometheus_client', reason='not installed: see tests/requirements.txt')

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families as parse_plain  # noqa: E402

OPEN = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
RULES = ROOT / 'config' / 'prometheus' / 'diplex.rules.yml'
DASHBOARD = ROOT / 'config' / 'grafana' / 'diplex.json'
elsewhere = pytest.mark.skipif(sanitized(), reason='what Prometheus does is seen without a sanitizer as well')
needs_promtool = pytest.mark.skipif(not shutil.which('promtool'), reason='not installed: promtool (Debian: prometheus)')


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def ask(address, accept='', path='/metrics', method='GET'):
    with RawClient(address) as client:
        return client.ask(method, path, {'Host': '127.0.0.1', **({'Accept': accept} if accept else {})})


def reload(site, config):
    before = sum(' reloaded ' in event for event in site.events())
    site.reload(config)
    site.wait_event(' reloaded ', count=before + 1)


class Numbers:
    """What one answer says, by name and labels."""

    def __init__(self, text: str) -> None:
        self.values = {}
        self.types = {}
        for family in parse_plain(text):
            self.types[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in self.values, f'twice: {key}'
                self.values[key] = sample.value

    def sum(self, name: str, **labels) -> float:
        wanted = {(key, str(value)) for key, value in labels.items()}
        found = [value for (each, has), value in self.values.items() if each == name and wanted <= set(has)]
        assert found, f'no {name} {labels}'
        return sum(found)

    def get(self, name: str, **labels) -> float:
        try:
            return self.sum(name, **labels)
        except AssertionError:
            return 0


@pytest.fixture
def measured(diplex):
    """measured(config): diplex with an address for metrics; `.metrics` is that, `.numbers()` what it says."""

    def start(config, **more):
        config['metrics'] = f'127.0.0.1:{free_port()}'
        site = diplex(config, **more)
        site.metrics = ('127.0.0.1', int(config['metrics'].rpartition(':')[2]))
        site.numbers = lambda: Numbers(ask(site.metrics).body.decode())
        return site

    return start


@pytest.fixture
def busy(measured, gunicorn, uvicorn, directory):
    """Every kind of request behind it, and the access log that tells of them."""
    site = measured(two_pools(gunicorn(workers=2), uvicorn(), sync={'slots': 2, 'queue': {'max': 50}}, admin=str(directory / 'admin.sock'), workers=2))
    asked = [
        *['/api/hello/'] * 12, *['/async/hello/'] * 12, '/api/status/404/', '/api/status/503/', '/async/status/500/',
        '/api/slow/30/', '/async/slow/30/', '/api/download/200000/', '/nowhere/',
    ]  # fmt: skip
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(site.get, asked))
    site.wait_access(len(asked))
    with site.client() as client:
        client.send('POST /api/upload/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n' + 'x' * 100_000)
        wait_until(lambda: site.numbers().sum('diplex_requests_running') == 1, what='half of it to be there')
        client.send('x' * 200_000)
        client.response()
    with site.client() as client:
        client.send('GET /a b HTTP/1.1\r\n\r\n')
        client.read_until_close()
    site.wait_access(len(asked) + 2)
    return site


def test_numbers_agree_with_the_access_log(busy):
    numbers, lines = busy.numbers(), busy.access()
    assert numbers.sum('diplex_requests_total') == len(lines)
    for route, pool in ('/', 'sync'), ('/async/', 'async'), ('(none)', '(none)'):
        mine = [line for line in lines if (line['pool'] or '(none)') == pool]
        labels = {'route': route, 'pool': pool}
        assert mine, pool
        for code in 'none', '1xx', '2xx', '3xx', '4xx', '5xx':
            logged = [line for line in mine if (f'{line["status"] // 100}xx' if line['status'] else 'none') == code]
            assert numbers.sum('diplex_requests_total', code=code, **labels) == len(logged), (pool, code)
        for outcome in {line['outcome'] for line in lines}:
            logged = [line for line in mine if line['outcome'] == outcome]
            assert numbers.sum('diplex_outcomes_total', pool=pool, outcome=outcome) == len(logged), (pool, outcome)
        assert numbers.sum('diplex_client_received_bytes_total', **labels) == sum(line['bytes_in'] for line in mine)
        assert numbers.sum('diplex_client_sent_bytes_total', **labels) == sum(line['bytes_out'] for line in mine)
        for name, key in ('request_duration', 'total_ms'), ('server_first_byte', 'first_byte_ms'):
            logged = [line[key] for line in mine if line[key] is not None]
            assert numbers.get(f'diplex_{name}_seconds_count', **labels) == len(logged), (pool, name)
            assert numbers.get(f'diplex_{name}_seconds_sum', **labels) == pytest.approx(sum(logged) / 1000, abs=0.002)
            for bound in 0.01, 0.25, 10.0:
                within = sum(ms <= bound * 1000 for ms in logged)
                assert numbers.get(f'diplex_{name}_seconds_bucket', le=bound, **labels) == within
    fresh = [line for line in lines if line['server'] and not line['reused'] and line['first_byte_ms'] is not None]
    assert numbers.sum('diplex_server_connect_seconds_count') <= len(fresh)
    assert numbers.sum('diplex_worker_saved_seconds_total', by='request') > 0


def test_status_shows_the_same_of_routes(busy):
    status = json.loads(run_diplex('status', '--json', '-c', str(busy.config_path)).stdout)
    rows = {(row['prefix'], row['pool']): row for row in status['routes']}
    numbers = busy.numbers()
    for prefix, pool in ('/', 'sync'), ('/async/', 'async'):
        row = rows[prefix, pool]
        assert row['requests'] == numbers.sum('diplex_requests_total', pool=pool)
        assert row['total']['count'] == numbers.sum('diplex_request_duration_seconds_count', pool=pool)
        assert 0 < row['total']['p50_ms'] <= row['total']['p99_ms']
    assert rows[None, None]['requests'] == 1


def test_both_formats_are_what_they_say(busy):
    plain, opened = ask(busy.metrics), ask(busy.metrics, OPEN)
    assert plain.get('content-type') == 'text/plain; version=0.0.4; charset=utf-8'
    assert opened.get('content-type') == 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    families = {family.name: family for family in parse_plain(plain.body.decode())}
    others = {family.name: family for family in parse_open(opened.body.decode())}
    assert opened.body.endswith(b'\n# EOF\n') and len(families) == len(others) > 50
    for family in families.values():
        assert family.documentation and family.name.startswith('diplex_'), family
    secrets = re.compile(rb'hello|upload|nowhere|X-Request|127\.0\.0\.1:\d+[^"]*\?')
    assert not secrets.search(plain.body), 'a path of a request'
    assert ask(busy.metrics, method='HEAD').status == 200


@needs_promtool
def test_promtool_finds_nothing_to_say(busy):
    done = subprocess.run(['promtool', 'check', 'metrics'], input=ask(busy.metrics).body, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'')


@elsewhere
@needs_promtool
def test_the_rules_are_right():
    for arguments in ['check', 'rules', RULES], ['test', 'rules', ROOT / 'tests' / 'prometheus' / 'diplex.rules.test.yml']:
        done = subprocess.run(['promtool', *arguments], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def names_in(expression: str) -> set[str]:
    return set(re.findall(r'\bdiplex_\w+', re.sub(r'"[^"]*"', '', expression))) - {'diplex_top'}


def test_dashboard_and_alerts_ask_for_what_there_is(busy):
    """Histograms that need a wait, and gauges that need a setting, are in the manual's table all the same."""
    told = {name for name, _ in busy.numbers().values}
    manual = (ROOT / 'docs' / 'metrics.md').read_text()
    documented = set(re.findall(r'^\| `(diplex_\w+)` \| (?!histogram)', manual, re.M))
    histograms = re.findall(r'^\| `(diplex_\w+)` \| histogram', manual, re.M)
    documented |= {name + end for name in histograms for end in ('_bucket', '_sum', '_count')}
    assert told <= documented
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target['expr'] for panel in dashboard['panels'] for target in panel.get('targets', [])]
    queries += [each['query']['query'] for each in dashboard['templating']['list'] if each['type'] == 'query']
    rules = RULES.read_text()
    records = set(re.findall(r'record: (\S+)', rules))
    asked = set().union(*map(names_in, queries))
    for expression in re.findall(r'expr: (?:>-\n)?((?:.*\n)(?:          .*\n)*)', rules):
        if not any(record in expression for record in records):
            asked |= names_in(expression)
    assert len(queries) > 30 and len(asked) > 40
    assert asked <= documented
    often = {name for name in asked if not re.search(r'queue_duration|hold_duration|tunnels_limit', name)}
    assert often <= told
    alerts = re.findall(r'alert: (\w+)', rules)
    operations = (ROOT / 'docs' / 'operations.md').read_text()
    assert alerts and not [name for name in alerts if f'`{name}`' not in operations]
    assert rules.count('summary: ') == len(alerts)


def test_slots_queue_and_hold_show(measured, scripted, directory):
    go_on, admin = threading.Event(), str(directory / 'admin.sock')

    def script(connection):
        while connection.read_request():
            go_on.wait(60)
            connection.reply()

    pool = {'slots': 2, 'queue': {'max': 9}, 'hold': {'wait': '60s', 'max': 7}}
    site = measured(one_pool('wsgi', scripted(script), pool=pool, admin=admin, workers=2))
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(site.get, '/') for _ in range(5)]
        wait_until(lambda: site.numbers().sum('diplex_pool_queued', pool='app') == 3, what='three to wait')
        numbers = site.numbers()
        assert numbers.sum('diplex_pool_slots') == numbers.sum('diplex_pool_slots_used') == 2
        assert numbers.sum('diplex_pool_queue_limit') == 9 and numbers.sum('diplex_pool_hold_limit') == 7
        assert numbers.sum('diplex_pool_held') == 0 == numbers.get('diplex_queue_duration_seconds_count')
        go_on.set()
        assert {each.result().status for each in waiting} == {200}
        wait_until(lambda: site.numbers().get('diplex_queue_duration_seconds_count', route='/') == 3)
        logged = sum(line['queue_ms'] for line in site.wait_access(5)) / 1000
        assert site.numbers().sum('diplex_queue_duration_seconds_sum') == pytest.approx(logged, abs=0.01)
        assert run_diplex('hold', 'app', '-a', admin).returncode == 0
        held = [threads.submit(site.get, '/') for _ in range(2)]
        wait_until(lambda: site.numbers().sum('diplex_pool_held', pool='app') == 2, what='two to be held')
        assert site.numbers().sum('diplex_pool_hold_ordered') == 1
        assert run_diplex('release', 'app', '-a', admin).returncode == 0
        assert {each.result().status for each in held} == {200}
    wait_until(lambda: site.numbers().get('diplex_hold_duration_seconds_count', route='/') == 2)
    assert site.numbers().sum('diplex_hold_duration_seconds_sum') > 0


def test_an_ejected_server_shows(measured, scripted):
    def break_off(connection):
        connection.read_head()
        connection.reset()

    good, bad = scripted(keep_answering), scripted(break_off)
    pool = {'eject': {'failures': 2, 'within': '60s', 'for': '60s'}, 'retry': 3}
    site = measured(one_pool('asgi', good, bad, pool=pool, workers=1))

    def ejected():
        assert site.get('/').status == 200
        return site.numbers().sum('diplex_server_ejections_total', server=bad.address) == 1

    wait_until(ejected, what='the server to be left out')
    numbers = site.numbers()
    assert numbers.sum('diplex_server_up', server=bad.address) == 0
    assert numbers.sum('diplex_server_up', server=good.address) == 1
    assert numbers.sum('diplex_server_down', server=bad.address, reason='passive') == 1
    assert numbers.sum('diplex_server_down', server=good.address) == 0
    assert numbers.sum('diplex_pool_servers', state='down') == 1
    assert numbers.sum('diplex_server_resets_total', server=bad.address) >= 2
    assert numbers.sum('diplex_retries_total', pool='app') >= 2


def test_counters_go_on_when_data_dies_and_when_routes_change(measured, scripted):
    config = one_pool('asgi', scripted(keep_answering), workers=2)
    config['routes'] = {'/': 'app', '/a/': 'app'}
    site = measured(config)
    for _ in range(3):
        assert site.get('/a/').status == site.get('/').status == 200
    site.wait_access(6)
    (data,) = site.children()
    site.deaths_are_expected = True
    os.kill(data, signal.SIGKILL)
    site.wait_event('data_ready')
    assert site.get('/a/').status == 200
    wait_until(lambda: site.numbers().sum('diplex_requests_total', route='/a/') == 4)
    assert site.numbers().sum('diplex_data_starts_total') == 2
    assert site.numbers().sum('diplex_data_deaths_total') == 1
    config['routes'] = {'/': 'app'}
    reload(site, config)
    numbers = site.numbers()
    assert numbers.get('diplex_requests_total', route='/a/') == 0
    assert numbers.sum('diplex_outcomes_total', pool='app', outcome='ok') == 7
    assert numbers.sum('diplex_reloads_total', result='ok') == 1
    config['routes'] = {'/': 'app', '/a/': 'app'}
    reload(site, config)
    assert site.numbers().sum('diplex_outcomes_total', pool='app', outcome='ok') == 7


def test_the_address_says_nothing_else(measured, scripted):
    site = measured(one_pool('asgi', scripted(keep_answering)))
    for method, path in [('GET', '/status'), ('GET', '/'), ('POST', '/reload'), ('GET', '/metrics/'), ('GET', '/history')]:
        assert ask(site.metrics, path=path, method=method).status == 404, path
    assert ask(site.metrics, method='POST').status == 405


def test_a_reload_moves_the_address(measured, scripted, directory):
    config = one_pool('asgi', scripted(keep_answering))
    site = measured(config)
    old, path = site.metrics, str(directory / 'metrics.sock')
    config['metrics'] = {'listen': f'unix:{path}'}
    reload(site, config)
    assert ask(path).status == 200
    with pytest.raises(OSError):
        socket.create_connection(old, timeout=5).close()
    port = free_port('::1')
    config['metrics'] = f'[::1]:{port}'
    reload(site, config)
    assert ask(('::1', port)).status == 200 and not os.path.exists(path)
    config['metrics'] = 'off'
    reload(site, config)
    with pytest.raises(OSError):
        socket.create_connection(('::1', port), timeout=5).close()


def test_a_port_that_is_taken_is_said(diplex, scripted):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = diplex(one_pool('asgi', scripted(keep_answering), metrics=f'127.0.0.1:{port}'), start=False)
        site.spawn()
        assert site.wait() != 0
    assert f'cannot listen on 127.0.0.1:{port} for metrics' in site.stderr and 'metrics.listen' in site.stderr


@elsewhere
@pytest.mark.skipif(not shutil.which('prometheus'), reason='not installed: prometheus')
def test_a_real_prometheus_reads_it(busy, directory):
    port = free_port()
    config = {
        'scrape_configs': [
            {'job_name': 'diplex', 'scrape_interval': '1s', 'static_configs': [{'targets': ['%s:%d' % busy.metrics]}]}
        ],
        'rule_files': [str(RULES)],
    }
    (directory / 'prometheus.yml').write_text(json.dumps(config))
    with (directory / 'prometheus.log').open('wb') as log:
        server = subprocess.Popen(
            ['prometheus', f'--config.file={directory}/prometheus.yml', f'--storage.tsdb.path={directory}/data',
             f'--web.listen-address=127.0.0.1:{port}'], stdout=log, stderr=log)  # fmt: skip
    try:

        def requests():
            try:
                with RawClient(('127.0.0.1', port)) as client:
                    found = client.ask('GET', '/api/v1/query?query=sum(diplex_requests_total)', {'Host': 'a'}).json()
            except (OSError, ValueError):  # it is not there yet, or not ready
                return None
            return found['data']['result'] and float(found['data']['result'][0]['value'][1])

        wait_until(lambda: requests() == len(busy.access()), what='Prometheus to have read it')
    finally:
        server.terminate()
        server.wait(60)
