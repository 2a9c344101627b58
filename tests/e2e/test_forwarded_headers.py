# SPDX-License-Identifier: MIT
"""What the servers are told of the client, and what nobody may claim or smuggle."""

import re

import pytest
from harness import one_pool, two_pools

CLAIMS = {
    'X-Forwarded-For': '203.0.113.9',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'evil.example.org',
    'X-Forwarded-Port': '444',
    'X-Real-IP': '203.0.113.9',
    'X-Request-ID': 'chosen-by-the-client',
}


def keeping(server_script=None):
    def script(connection):
        while connection.read_request():
            connection.reply()

    return script


@pytest.fixture
def recorder(diplex, scripted):
    """diplex in front of a server that only takes notes: recorder(kind, **settings) -> (site, server)."""

    def start(kind='asgi', **settings):
        server = scripted(keeping())
        return diplex(one_pool(kind, server, **settings)), server

    return start


def test_django_sees_the_client_and_no_claims(diplex, wsgi, asgi):
    site = diplex(two_pools(wsgi, asgi))
    host = f'localhost:{site.port}'
    for path in ('/api/echo/', '/async/echo/'):
        seen = site.get(path, {'Host': host, **CLAIMS}).json()
        headers = {name.lower(): value for name, value in seen['headers'].items()}
        assert headers['x-forwarded-for'] == '127.0.0.1'
        assert headers['x-real-ip'] == '127.0.0.1'
        assert headers['x-forwarded-proto'] == 'http'
        assert headers['x-forwarded-host'] == host
        assert headers['x-forwarded-port'] == str(site.port)
        assert headers['host'] == host
        assert headers['x-request-id'] not in ('', 'chosen-by-the-client')
        assert re.fullmatch(r't=\d{16}', headers['x-request-start'])
        assert (seen['scheme'], seen['is_secure'], seen['host']) == ('http', False, host)
        assert seen['absolute_uri'] == f'http://{host}{path}'
        assert seen['remote_addr'] == '127.0.0.1'


def test_a_trusted_proxy_is_believed(diplex, wsgi, asgi):
    site = diplex(two_pools(wsgi, asgi, trusted_proxies=['127.0.0.1']))
    claims = {**CLAIMS, 'X-Forwarded-Host': 'localhost', 'X-Forwarded-For': '203.0.113.9'}
    for path in ('/api/echo/', '/async/echo/'):
        seen = site.get(path, claims).json()
        headers = {name.lower(): value for name, value in seen['headers'].items()}
        assert headers['x-forwarded-for'] == '203.0.113.9, 127.0.0.1'
        assert headers['x-real-ip'] == '203.0.113.9'
        assert headers['x-forwarded-proto'] == 'https'
        assert headers['x-forwarded-host'] == 'localhost'
        assert headers['x-forwarded-port'] == '444'
        assert headers['x-request-id'] == 'chosen-by-the-client'
        assert (seen['scheme'], seen['is_secure']) == ('https', True)
    entry = site.wait_access(2)[0]
    assert (entry['client'], entry['id']) == ('203.0.113.9', 'chosen-by-the-client')


def test_only_the_part_of_the_chain_that_is_trusted_is_believed(recorder):
    site, server = recorder(trusted_proxies=['127.0.0.0/8', '10.0.0.0/8'])
    site.get('/', {'X-Forwarded-For': '1.1.1.1, 203.0.113.9, 10.1.2.3'})
    assert server.requests[0].get('x-real-ip') == '203.0.113.9'
    assert site.wait_access(1)[0]['client'] == '203.0.113.9'


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize('trusted', [False, True])
def test_each_field_is_sent_exactly_once(recorder, kind, trusted):
    site, server = recorder(kind, **({'trusted_proxies': ['127.0.0.1']} if trusted else {}))
    with site.client() as client:
        client.send(
            'GET / HTTP/1.1\r\nHost: localhost\r\n'
            + ''.join(f'{name}: {value}\r\n' * 2 for name, value in CLAIMS.items())
            + '\r\n'
        )
        assert client.response().status == 200
    for name in ('Host', *CLAIMS, 'X-Request-Start', 'Via'):
        assert len(server.requests[0].all(name)) == 1, name


def test_what_never_passes_to_a_server(recorder):
    site, server = recorder()
    refused = {
        'Forwarded': 'for=203.0.113.9;proto=https',
        'X-Forwarded-Ssl': 'on',
        'X-Forwarded-Protocol': 'ssl',
        'X_Forwarded_For': '203.0.113.9',
        'SCRIPT_NAME': '/admin',
        'PATH_INFO': '/admin',
        'REMOTE_USER': 'root',
        'Remote_User': 'root',
        'Proxy': 'http://evil.example.org/',
        'X-Accel-Redirect': '/secret',
        'X-Sendfile-Type': 'X-Accel-Redirect',
        'Keep-Alive': 'timeout=100',
        'TE': 'trailers',
        'Proxy-Connection': 'keep-alive',
        'X-Named': 'in Connection',
    }
    site.get('/', {**refused, 'Connection': 'close, X-Named', 'X-Kept': 'yes'})
    request = server.requests[0]
    names = {name for name, _ in request.headers}
    assert {name.lower() for name in refused} & names == set()
    assert not any('_' in name for name in names)
    assert request.get('x-kept') == 'yes'
    assert request.get('connection') in (None, 'keep-alive')


def test_connection_cannot_remove_what_diplex_itself_says(recorder):
    site, server = recorder()
    site.ask('POST', '/', {'Connection': 'close, X-Forwarded-For, X-Real-IP, X-Request-ID, Via'}, b'body')
    request = server.requests[0]
    assert (request.get('x-forwarded-for'), request.get('x-real-ip')) == ('127.0.0.1', '127.0.0.1')
    assert request.get('x-request-id') and request.get('via')
    assert (request.get('host'), request.body) == ('localhost', b'body')


@pytest.mark.parametrize('name', ['Host', 'Content-Length', 'Transfer-Encoding', 'host'])
def test_connection_may_not_name_what_a_message_depends_on(recorder, name):
    """Whoever obeyed it would read another message than we do: that is a smuggler's request."""
    site, server = recorder()
    assert site.ask('POST', '/', {'Connection': f'close, {name}'}, b'body').status == 400
    assert server.requests == []


def test_via_is_appended(recorder):
    site, server = recorder()
    site.get('/', {'Via': '1.0 inner'})
    via = server.requests[0].get('via')
    assert via.startswith('1.0 inner, 1.1 '), via


def test_request_ids_are_unique_and_logged(recorder):
    site, server = recorder()
    with site.client() as client:
        for _ in range(50):
            client.ask('GET', '/')
    sent = [request.get('x-request-id') for request in server.requests]
    assert len(set(sent)) == 50
    assert sorted(entry['id'] for entry in site.wait_access(50)) == sorted(sent)


def test_a_malformed_id_of_a_trusted_proxy_is_replaced(recorder):
    site, server = recorder(trusted_proxies=['127.0.0.1'])
    site.get('/', {'X-Request-ID': 'two words "quoted"'})
    assert ' ' not in server.requests[0].get('x-request-id')


def test_gunicorn_is_asked_to_close_and_uvicorn_is_not(recorder):
    for kind in ('wsgi', 'asgi'):
        site, server = recorder(kind)
        site.get('/')
        assert server.requests[0].get('connection') in (None, 'close' if kind == 'wsgi' else 'keep-alive')


def test_fields_of_answers(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.send(
                b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Named\r\nKeep-Alive: timeout=5\r\n'
                b'X-Named: no\r\nProxy-Authenticate: Basic\r\nX-Accel-Buffering: no\r\nX-Accel-Redirect: /secret\r\n'
                b'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Kept: yes\r\nServer: scripted\r\n\r\nok'
            )

    site = diplex(one_pool('asgi', scripted(script)))
    with site.client() as client:
        answer = client.ask('GET', '/')
    names = {name for name, _ in answer.headers}
    assert names & {'keep-alive', 'x-named', 'proxy-authenticate', 'x-accel-buffering', 'x-accel-redirect'} == set()
    assert answer.all('set-cookie') == ['a=1', 'b=2'], 'two cookies stay two fields, in order'
    assert (answer.get('x-kept'), answer.get('server')) == ('yes', 'scripted')
    assert answer.get('connection') in (None, 'keep-alive')
    assert answer.get('date'), 'added where the server sent none'


def test_the_host_goes_through_untouched(recorder):
    site, server = recorder(workers=1)
    for host in ('Example.ORG', 'example.org:8443', '[::1]:8080', 'xn--bcher-kva.example'):
        site.get('/', {'Host': host})
    assert [request.get('host') for request in server.requests] == [
        'Example.ORG', 'example.org:8443', '[::1]:8080', 'xn--bcher-kva.example',
    ]  # fmt: skip
