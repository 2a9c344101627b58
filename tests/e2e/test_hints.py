# SPDX-License-Identifier: MIT
"""Hints: mistakes of configuration that real Django, gunicorn and uvicorn give away in passing traffic. Each is said in
diplex's own log with what to change, not more than once in a while, and what only looks like one is not."""

import json
import re
import time

import pytest
from harness import ROOT, one_pool, run_diplex

TRUSTED = {'trusted_proxies': ['127.0.0.1']}
OVER_TLS = {'X-Forwarded-Proto': 'https'}


def hints(site):
    """The words of the hints said so far, in order."""
    return [match[1] for line in site.events() if (match := re.search(r' hint from=\w+ what=(\w+) ', line))]


def mistaken(gunicorn, *extra, **more):
    """gunicorn with Django settings that know of no proxy."""
    return gunicorn(
        workers=2, extra=('--env', 'DJANGO_SETTINGS_MODULE=demo.settings_mistaken', *extra), **more
    )


@pytest.fixture
def redirecting(gunicorn):
    """It sends everybody to https, and does not believe who says that it is https already."""
    return mistaken(gunicorn, '--env', 'DJANGO_SECURE_SSL_REDIRECT=1', '--forwarded-allow-ips', '192.0.2.1')


def said(site, word, *words):
    line = site.wait_event(f' what={word} ', *words)
    assert ' hint from=' in line and 'seen="' in line and 'change="' in line
    assert len(line) < 2048
    return line


def test_every_hint_is_expected_by_some_test():
    table = (ROOT / 'include' / 'diplex' / 'hints.def').read_text()
    words = re.findall(r'HINT\(\w+, \w+, "(\w+)"', table)
    tests = (ROOT / 'tests' / 'e2e' / 'test_hints.py').read_text()
    assert len(words) > 15
    assert [word for word in words if f"'{word}'" not in tests] == []


def test_ordinary_traffic_gives_no_hint(site):
    with site.client() as client:
        for code in (200, 301, 302, 400, 403, 404, 414, 431, 500):
            client.ask('GET', f'/api/status/{code}/')
            client.ask('POST', f'/api/status/{code}/', {'Origin': 'http://localhost'}, b'x')
            client.ask('GET', f'/async/status/{code}/')
    site.get('/api/hello/', {'Host': 'not.allowed'})
    with site.client() as client:
        client.request('GET', '/async/events/', {'Accept': 'text/event-stream'})
        assert client.head().get('content-type').startswith('text/event-stream')
    site.wait_access(29)
    assert site.stop() == 0
    assert hints(site) == []


# ---- the wrong kind ------------------------------------------------------------------------------------------------


def test_events_from_a_wsgi_server(diplex, gunicorn):
    site = diplex(one_pool('wsgi', mistaken(gunicorn)))
    assert site.get('/events/?token=secret').status == 200
    line = said(site, 'stream_from_wsgi', 'pool=app', 'path=/events/ ')
    assert ' warn hint ' in line and 'asgi pool' in line and 'secret' not in line


def test_a_websocket_on_a_wsgi_pool(site):
    with site.client() as client:
        client.request('GET', '/ws/', handshake())
        assert client.response().status == 501
    assert 'Add a route for its path to an asgi pool' in said(site, 'upgrade_to_wsgi', 'path=/ws/')


def handshake():
    return {
        'Connection': 'Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }  # fmt: skip


def test_uvicorn_without_a_library_for_websockets(diplex, uvicorn):
    """`--ws none` is what uvicorn does without one, too."""
    site = diplex(one_pool('asgi', uvicorn(extra=('--ws', 'none'))))
    with site.client() as client:
        client.request('GET', '/async/ws/echo', handshake())
        assert client.response().status == 404
    assert 'uvicorn[standard]' in said(site, 'upgrade_ignored', 'status=404')


def test_django_is_handed_a_websocket(diplex, uvicorn):
    """What an `asgi.py` as Django's template makes it does."""
    server = uvicorn(fresh=True, start=False)
    server.arguments[server.arguments.index('demo.asgi:application')] = 'demo.asgi:django_application'
    site = diplex(one_pool('asgi', server.start()))
    with site.client() as client:
        client.request('GET', '/async/ws/echo', handshake())
        assert client.response().status == 500
    assert 'Channels' in said(site, 'upgrade_ignored', 'status=500')


def test_a_websocket_that_is_refused_or_taken_gives_no_hint(diplex, uvicorn):
    site = diplex(one_pool('asgi', uvicorn()))
    with site.client() as client:
        client.request('GET', '/async/ws/nowhere', handshake())
        assert client.response().status == 403
    with site.client() as client:
        client.request('GET', '/async/ws/echo', handshake())
        assert client.head(upgrade=True).status == 101
    site.wait_access(2)
    assert site.stop() == 0
    assert hints(site) == []


def test_a_chunked_upload(site):
    with site.client() as client:
        client.send('POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\n')
        client.send('Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
        assert client.response('POST').json()['size'] == 5
        client.send('POST /async/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\n')
        client.send('Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
        assert client.response('POST').json()['size'] == 5
    assert ' info hint ' in said(site, 'chunked_to_wsgi', 'path=/api/upload/')
    assert site.stop() == 0
    assert hints(site) == ['chunked_to_wsgi'], 'an asgi server takes it as it comes'


# ---- hosts and schemes ---------------------------------------------------------------------------------------------


def test_probes_with_a_host_that_django_refuses(diplex, gunicorn, directory):
    health = {'path': '/healthz/', 'host': 'web.internal', 'interval': '100ms', 'retries': 1}
    admin = str(directory / 'admin.sock')
    site = diplex(one_pool('wsgi', mistaken(gunicorn), pool={'health': health}, admin=admin))
    line = said(site, 'probe_host', 'host=web.internal', 'status=400')
    assert 'ALLOWED_HOSTS' in line and 'health.host' in line
    site.wait_event('server_down')
    time.sleep(0.5)
    status = json.loads(run_diplex('status', '--json', '-a', admin).stdout)
    assert status['pools'][0]['servers'][0]['probe']['hint'] == 'probe_host'
    assert hints(site) == ['probe_host']


@pytest.mark.parametrize('extra', [(), ('--proxy-protocol', 'v2', '--proxy-allow-from', '192.0.2.1')])
def test_a_gunicorn_that_expects_no_proxy_header(diplex, gunicorn, extra):
    health = {'path': '/healthz/', 'host': 'localhost', 'interval': '100ms', 'retries': 100, 'start_period': '1m'}
    pool = {'client_ip': 'proxy-protocol', 'health': health}
    site = diplex(one_pool('wsgi', gunicorn(extra=extra), pool=pool))
    assert '--proxy-protocol v2' in said(site, 'probe_proxy_protocol')
    assert site.get('/api/hello/').status == (403 if extra else 400)
    assert '--proxy-allow-from' in said(site, 'proxy_protocol_refused')
    assert site.stop() == 0
    assert set(hints(site)) == {'probe_proxy_protocol', 'proxy_protocol_refused'}


def test_hints_behind_a_proxy_header(diplex, gunicorn):
    """The head that was sent is still the one that is looked at."""
    server = mistaken(gunicorn, '--proxy-protocol', 'v2')
    site = diplex(one_pool('wsgi', server, pool={'client_ip': 'proxy-protocol'}, limits={'url': '8190'}))
    assert site.get('/api/echo/?' + 4200 * 'x').status in (400, 414)
    said(site, 'server_line')
    assert site.stop() == 0
    assert hints(site) == ['server_line']


def test_probes_that_are_redirected(diplex, redirecting):
    health = {'path': '/healthz/', 'host': 'localhost', 'interval': '100ms', 'retries': 1, 'expect': 200}
    site = diplex(one_pool('wsgi', redirecting, pool={'health': health}))
    assert 'SECURE_REDIRECT_EXEMPT' in said(site, 'probe_redirect', 'status=301')


def test_a_load_balancer_that_asks_for_the_health_path_by_address(diplex, gunicorn):
    health = {'path': '/healthz/', 'host': 'localhost'}
    site = diplex(one_pool('wsgi', mistaken(gunicorn), pool={'health': health}))
    assert site.get('/form/', {'Host': '10.0.0.7:8000'}).status == 400
    assert site.get('/healthz/').status == 200
    site.wait_access(2)
    assert hints(site) == [], 'a 400 elsewhere is the business of whoever asked'
    assert site.get('/healthz/', {'Host': '10.0.0.7:8000'}).status == 400
    assert 'ALLOWED_HOSTS' in said(site, 'check_host', 'host=10.0.0.7:8000')


def test_a_loop_of_redirects_to_https(diplex, redirecting):
    site = diplex(one_pool('wsgi', redirecting, **TRUSTED))
    answer = site.get('/form/?a=b', OVER_TLS)
    assert (answer.status, answer.get('location')) == (301, 'https://localhost/form/?a=b')
    line = said(site, 'redirect_loop', 'path=/form/ ')
    assert "SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')" in line
    assert 'forwarded_allow_ips' in line


def test_a_load_balancer_that_is_not_trusted(diplex, redirecting):
    site = diplex(one_pool('wsgi', redirecting))
    assert site.get('/form/', OVER_TLS).status == 301
    assert 'trusted_proxies' in said(site, 'untrusted_proxy', 'peer=127.0.0.1')


def test_a_redirect_from_http_to_https_is_no_loop(diplex, gunicorn, redirecting):
    site = diplex(one_pool('wsgi', redirecting, **TRUSTED))
    assert site.get('/form/').status == 301
    believing = mistaken(gunicorn, '--env', 'DJANGO_SECURE_SSL_REDIRECT=1')
    other = diplex(one_pool('wsgi', believing, **TRUSTED))
    assert other.get('/form/').status == 301
    assert other.get('/form/', OVER_TLS).status == 200, 'gunicorn believes whom it is told to'
    site.wait_access(1), other.wait_access(2)
    assert site.stop() == 0 and other.stop() == 0
    assert hints(site) == hints(other) == []


@pytest.mark.parametrize(
    ('word', 'headers', 'change'),
    [
        ('csrf_scheme', {'Origin': 'https://localhost'}, 'SECURE_PROXY_SSL_HEADER'),
        ('csrf_host', {'Origin': 'http://localhost:8080'}, 'USE_X_FORWARDED_HOST'),
        ('csrf_host', {'Origin': 'http://www.site', 'X-Forwarded-Host': 'www.site'}, 'pass Host as it came'),
        ('csrf_origin', {'Origin': 'http://www.site'}, 'CSRF_TRUSTED_ORIGINS'),
    ],
)
def test_an_origin_that_django_does_not_take(diplex, gunicorn, word, headers, change):
    site = diplex(one_pool('wsgi', mistaken(gunicorn), **TRUSTED))
    answer = site.ask('POST', '/form/', headers, b'a=b')
    assert answer.status == 403 and b'CSRF' in answer.body
    line = said(site, word, f'origin={headers["Origin"]} ')
    assert change in line and 'CSRF_TRUSTED_ORIGINS' in line


def test_a_form_without_its_token_gives_no_hint(diplex, gunicorn):
    site = diplex(one_pool('wsgi', mistaken(gunicorn)))
    for headers in ({}, {'Origin': 'http://localhost'}, {'Origin': 'null'}):
        assert site.ask('POST', '/form/', headers, b'a=b').status == 403
    site.wait_access(3)
    assert site.stop() == 0
    assert hints(site) == []


# ---- limits --------------------------------------------------------------------------------------------------------


def test_a_request_line_over_the_limit(site):
    assert site.get('/api/hello/?' + 'x' * 5000).status == 414
    line = said(site, 'url_limit', 'pool=-')
    assert 'limits.url' in line and '--limit-request-line' in line


def test_a_head_over_the_limit(site):
    assert site.get('/api/hello/', {f'X-{number}': 'y' for number in range(101)}).status == 431
    assert 'limit_request_fields' in said(site, 'header_limit')


def test_a_request_line_over_gunicorns_limit(diplex, gunicorn):
    site = diplex(one_pool('wsgi', gunicorn(workers=2), limits={'url': 8190}))
    assert site.get('/api/hello/?' + 'x' * 4000).status == 200
    assert site.get('/api/hello/?' + 'x' * 5000).status in (400, 414)
    assert 'limit_request_line' in said(site, 'server_line', 'path=/api/hello/ ')
    larger = diplex(one_pool('wsgi', gunicorn(workers=2, extra=('--limit-request-line', '8190')), limits={'url': 8190}))
    assert larger.get('/api/hello/?' + 'x' * 5000).status == 200


def test_fields_over_gunicorns_limit(diplex, gunicorn):
    """100 fields are allowed by both, but diplex adds some of its own."""
    site = diplex(one_pool('wsgi', gunicorn(workers=2)))
    assert site.get('/api/hello/', {f'X-{number}': 'y' for number in range(97)}).status in (400, 431)
    assert 'limit_request_fields' in said(site, 'server_fields')


def test_a_head_over_h11s_limit(diplex, scripted):
    """h11 counts what waits for more: whether uvicorn refuses a head depends on how it arrives, so this server is a
    script."""

    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')

    site = diplex(one_pool('asgi', scripted(script), limits={'header_size': '64KB'}))
    assert site.get('/small').status == 400
    assert site.get('/large', {f'X-{number}': 'y' * 1000 for number in range(20)}).status == 400
    assert '--h11-max-incomplete-event-size' in said(site, 'server_head', 'path=/large ')
    assert hints(site) == ['server_head']


# ---- how often -----------------------------------------------------------------------------------------------------


def test_a_hint_is_said_once_in_a_while_over_all_workers(diplex, gunicorn, directory):
    server, admin = mistaken(gunicorn), str(directory / 'admin.sock')
    site = diplex(one_pool('wsgi', server, workers=4, admin=admin, log={'hints': '3s'}))
    before = time.monotonic()
    for _ in range(100):
        assert site.ask('POST', '/form/', {'Origin': 'http://www.site'}, b'').status == 403
    assert site.ask('POST', '/form/', {'Origin': 'https://localhost'}, b'').status == 403
    if (took := time.monotonic() - before) > 2.5:
        pytest.skip(f'this machine is too slow to tell: {took:.1f} s')
    site.wait_access(101)
    assert sorted(hints(site)) == ['csrf_origin', 'csrf_scheme'], 'each for itself'
    assert ' times=1 ' in said(site, 'csrf_origin')
    time.sleep(3.2)
    site.ask('POST', '/form/', {'Origin': 'http://www.site'}, b'')
    assert ' times=100 ' in site.wait_event(' what=csrf_origin ', count=2), 'the 99 before it too'
    counters = json.loads(run_diplex('status', '--json', '-a', admin).stdout)['counters']
    assert (counters['hint_csrf_origin_total'], counters['hint_csrf_scheme_total']) == (101, 1)


def test_hints_can_be_off(diplex, gunicorn, directory):
    admin = str(directory / 'admin.sock')
    site = diplex(one_pool('wsgi', mistaken(gunicorn), admin=admin, log={'hints': 0}))
    assert site.get('/events/').status == 200
    site.wait_access(1)
    counters = json.loads(run_diplex('status', '--json', '-a', admin).stdout)['counters']
    assert counters['hint_stream_from_wsgi_total'] == 1, 'still counted'
    assert site.stop() == 0
    assert hints(site) == []


def test_nobody_forges_a_line(diplex, gunicorn):
    site = diplex(one_pool('wsgi', mistaken(gunicorn)))
    origin = 'http://x" error gone what=nothing \x9b31m=' + 'o' * 3000
    assert site.ask('POST', '/form/%22' + 'p' * 900 + '?secret', {'Origin': origin}, b'').status == 403
    line = said(site, 'csrf_origin')
    assert 'origin="http://x\\x22 error gone what=nothing \\x9b31m=' in line
    assert 'o' * 200 not in line and 'p' * 200 not in line and 'secret' not in line
