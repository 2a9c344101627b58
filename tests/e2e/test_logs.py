# SPDX-License-Identifier: MIT
"""Both logs: what each line says, and that no client can forge one."""

import json
import os
import re
import subprocess
import time
from datetime import datetime, timedelta, timezone

import harness
import pytest
from harness import one_pool, two_pools
from wire import wait_until

KEYS = {
    'time', 'id', 'client', 'method', 'host', 'path', 'status', 'outcome', 'reason', 'route', 'pool', 'server',
    'bytes_in', 'bytes_out', 'queue_ms', 'connect_ms', 'first_byte_ms', 'deliver_ms', 'total_ms', 'reused', 'trace_id',
    'sample',
}  # fmt: skip


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def test_what_an_entry_says(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn()))
    site.ask('POST', '/api/upload/?a=b', {'Content-Type': 'x/y', 'Host': 'localhost:99'}, b'12345')
    (entry,) = site.wait_access(1)
    assert set(entry) == KEYS and entry['reason'] is None
    answer_size = entry['bytes_out']
    assert {key: entry[key] for key in ('client', 'method', 'host', 'status', 'outcome', 'route', 'pool', 'reused')} == {
        'client': '127.0.0.1', 'method': 'POST', 'host': 'localhost:99', 'status': 200, 'outcome': 'ok', 'route': '/',
        'pool': 'sync', 'reused': False,
    }  # fmt: skip
    assert entry['path'].startswith('/api/upload/') and entry['server'] == gunicorn(workers=2).address
    assert entry['bytes_in'] == 5 and answer_size > 100
    when = datetime.fromisoformat(entry['time'].replace('Z', '+00:00'))
    assert abs(datetime.now(timezone.utc) - when) < timedelta(seconds=20)


def test_the_manual_has_every_key_in_its_place(site):
    site.get('/api/hello/')
    (entry,) = site.wait_access(1)
    table = (harness.ROOT / 'docs/logs.md').read_text().partition('<!-- access -->')[2].partition('<!-- /access -->')[0]
    assert re.findall(r'^\| `(\w+)` \|', table, re.M) == list(entry)


def test_the_times_are_right(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn()))
    site.get('/async/slow/400/')
    (entry,) = site.wait_access(1)
    assert 390 <= entry['first_byte_ms'] <= entry['total_ms'] < 2000
    assert entry['deliver_ms'] is None, 'the client kept up'
    assert 0 <= entry['queue_ms'] < 100 and 0 <= entry['connect_ms'] < 100


def test_bytes_are_those_of_the_body(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn()))
    for path in ('/api/download/123456/', '/async/download/123456/?length=1'):
        site.get(path)
    assert [entry['bytes_out'] for entry in site.wait_access(2)] == [123456, 123456]


def test_every_request_is_logged_exactly_once(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn()))
    with site.client() as client:
        for number in range(20):
            client.ask('GET', f'/api/status/{200 + number % 5}/')
    with site.client() as client:
        client.send(b'nonsense\r\n\r\n')
        client.read_until_close()
    site.get('/async/nope/')
    site.wait_access(22)
    time.sleep(0.3)
    entries = site.access()
    assert len(entries) == 22 and len({entry['id'] for entry in entries}) == 22


FORGERIES = [
    b'GET /%0a{"status":200} HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /"},{"forged":"yes HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /\\u000a\\n HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a"b\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4", "x": "\r\nX-Request-ID: x", "forged": "yes\r\n\r\n',
    b'GET /\xff\xfe\x80 HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /\x1b[31mred HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n',
    b'FOO"BAR / HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /' + b'"' * 3000 + b' HTTP/1.1\r\nHost: a\r\n\r\n',
]


@pytest.mark.parametrize('trusted', [False, True])
def test_nobody_forges_a_json_line(diplex, scripted, trusted):
    site = diplex(one_pool('asgi', scripted(keep_answering), **({'trusted_proxies': ['127.0.0.1']} if trusted else {})))
    for raw in FORGERIES:
        with site.client() as client:
            client.send(raw)
            client.response()
    entries = site.wait_access(len(FORGERIES))
    assert len(entries) == len(FORGERIES)
    for entry in entries:
        assert set(entry) == KEYS, 'no field more, no field less'
        assert isinstance(entry['status'], int) and 'forged' not in entry
    raw = site.stdout_path.read_bytes()
    assert raw.count(b'\n') == len(FORGERIES)
    assert not re.search(rb'[\x00-\x09\x0b-\x1f\x7f]', raw), 'no control character'
    raw.decode('utf-8')


@pytest.mark.parametrize('form', ['common', 'combined'])
def test_nobody_forges_a_common_line(diplex, scripted, form):
    site = diplex(one_pool('asgi', scripted(keep_answering), log=form))
    for raw in FORGERIES:
        with site.client() as client:
            client.send(raw)
            client.response()
    wait_until(lambda: site.stdout.count('\n') >= len(FORGERIES))
    lines = site.stdout_path.read_bytes().split(b'\n')[:-1]
    assert len(lines) == len(FORGERIES)
    shape = re.compile(
        rb'^\S+ - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "(?:[^"\\\x00-\x1f\x7f]|\\.)*" \d{3} (\d+|-)( .*)?$'
    )
    for line in lines:
        assert shape.match(line), line
        assert b'\x1b' not in line


def test_the_common_format(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(keep_answering), log={'access': 'common'}))
    site.get('/some/path?x=1', {'User-Agent': 'tester'})
    wait_until(lambda: site.stdout.endswith('\n'))
    assert re.match(r'^127\.0\.0\.1 - - \[[^]]+\] "GET /some/path\?x=1 HTTP/1\.1" 200 2', site.stdout)


@pytest.mark.parametrize('setting', ['off', {'access': 'off'}])
def test_the_access_log_can_be_off(diplex, scripted, setting):
    site = diplex(one_pool('asgi', scripted(keep_answering), log=setting))
    for _ in range(5):
        assert site.get('/').status == 200
    assert site.stop() == 0
    assert site.stdout == ''


def test_the_own_log_is_events_with_keys(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn()))
    site.get('/api/hello/')
    assert site.stop() == 0
    lines = site.events()
    assert lines
    shape = re.compile(r'^\S+ (debug|info|warn|error) [a-z][a-z0-9_]*( [a-z_]+=("([^"\\]|\\.)*"|[^\s"]*))*$')
    for line in lines:
        assert shape.match(line), line


def test_a_forged_value_in_the_own_log(diplex, scripted):
    """The name of a server that fails comes from the file; what a client sends must not get there unescaped either."""
    server = scripted(
        lambda connection: (connection.read_request(), connection.send(b'HTTP/1.1 \x1b[31m\r\nfoo: "\r\n\r\n'))
    )
    site = diplex(one_pool('asgi', server))
    assert site.get('/\x1b%0aforged=yes').status in (400, 502)
    assert site.stop() == 0
    assert '\x1b' not in site.stderr and '\x1b' not in site.stdout


def test_a_log_that_nobody_reads_stops_no_traffic(diplex, scripted):
    """Standard output is a pipe that is never emptied: lines are dropped, requests are not."""
    reader, writer = os.pipe()
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    with site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments, stdout=writer, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True
        )
    os.close(writer)
    try:
        wait_until(lambda: _connects(site), what='the listener')
        with site.client() as client:
            for number in range(600):
                assert client.ask('GET', '/' + 'x' * 500 + str(number)).status == 200
    finally:
        os.close(reader)


def _connects(site) -> bool:
    try:
        site.client().close()
    except OSError:
        return False
    return True


def test_a_log_can_be_read_by_other_tools(site):
    site.get('/api/hello/')
    site.wait_access(1)
    for line in site.stdout.splitlines():
        assert json.dumps(json.loads(line)), line
