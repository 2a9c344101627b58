# SPDX-License-Identifier: MIT
"""What people see when diplex answers by itself: each status provoked for real, in each form, for browsers, programs and
persons at a command line; valid, self-contained, with the request's id, and with nothing about the inside."""

import base64
import contextlib
import hashlib
import json
import re
import time

import html5lib
import pytest

from harness import Diplex, free_port, one_pool
from wire import ScriptedServer

BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'
AXIOS = 'application/json, text/plain, */*'
FORMS = {
    None: 'text/plain; charset=utf-8',
    '*/*': 'text/plain; charset=utf-8',
    AXIOS: 'application/problem+json',
    BROWSER: 'text/html; charset=utf-8',
}


def behave(connection):
    """A server that answers, is silent, or says what is no HTTP, as the path asks."""
    while request := connection.read_request():
        if '/silent' in request.target:
            connection.wait_for_close(20)
            return
        if '/garbage' in request.target:
            connection.send(b'SSH-2.0-OpenSSH\r\n\r\n')
            return
        connection.reply()


PROVOKE = {
    400: 'GET /app/ HTTP/1.1\r\n@Host : a\r\n\r\n',
    404: 'GET /nowhere HTTP/1.1\r\nHost: a\r\n@\r\n',
    405: 'TRACE /app/ HTTP/1.1\r\nHost: a\r\n@\r\n',
    408: 'GET /app/ HTTP/1.1\r\nHost: a\r\n@',
    413: 'POST /app/ HTTP/1.1\r\nHost: a\r\n@Content-Length: 1000001\r\n\r\n',
    414: f'GET /app/{"a" * 5000} HTTP/1.1\r\nHost: a\r\n@\r\n',
    417: 'POST /app/ HTTP/1.1\r\nHost: a\r\n@Expect: money\r\nContent-Length: 1\r\n\r\n',
    421: 'GET https://a/app/ HTTP/1.1\r\nHost: a\r\n@\r\n',
    431: f'GET /app/ HTTP/1.1\r\nHost: a\r\n@Cookie: {"a" * 17000}\r\n\r\n',
    501: 'GET /app/ws HTTP/1.1\r\nHost: a\r\n@Connection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    502: 'GET /app/garbage HTTP/1.1\r\nHost: a\r\n@\r\n',
    503: 'GET /gone/ HTTP/1.1\r\nHost: a\r\n@\r\n',
    504: 'GET /app/silent HTTP/1.1\r\nHost: a\r\n@\r\n',
    505: 'GET /app/ HTTP/3.0\r\nHost: a\r\n@\r\n',
    507: f'POST /app/ HTTP/1.1\r\nHost: a\r\n@Content-Length: 100000\r\n\r\n{"x" * 100000}',
    508: f'GET /app/ HTTP/1.1\r\nHost: a\r\n@Via: {"1.1 x, " * 200}1.1 x\r\n\r\n',
}
# Refused before a field is read: nobody can know what the client would like to read.
FORMLESS = {414, 505}


@pytest.fixture(scope='module')
def site(run_directory):
    """diplex in front of a server that misbehaves on demand, for the whole file."""
    path = run_directory / 'error-pages'
    path.mkdir()
    server = ScriptedServer(behave, None, 0)
    config = {
        'pools': {
            'inside': {'kind': 'wsgi', 'servers': [server.address], 'hold': 'off'},
            'slow': {'kind': 'wsgi', 'servers': [server.address], 'hold': 'off', 'timeouts': {'response': '300ms'}},
            'nobody': {'kind': 'wsgi', 'servers': [f'127.0.0.1:{free_port()}'], 'hold': '300ms'},
        },
        'routes': {'/app/': 'inside', '/app/silent': 'slow', '/gone/': 'nobody'},
        'limits': {'body': 1000000},
        'timeouts': {'header': '2s'},
        'buffer': {'memory': '4KB', 'path': str(path / 'no-such-folder')},
    }
    program = Diplex(path, config)
    program.server = server
    program.start()
    yield program
    try:
        program.finish()
    finally:
        server.stop()


def provoke(site, status, accept, method=None):
    fields = '' if accept is None else f'Accept: {accept}\r\n'
    request = PROVOKE[status].replace('@', fields, 1)
    if method:
        request = request.replace('GET', method, 1)
    with site.client() as client:
        with contextlib.suppress(ConnectionError):  # it may be refused while it is still being sent
            client.send(request)
        return client.response(method or request.split()[0])


def parsed(body):
    """The page, by a parser that takes no mistake of HTML."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(body)


def look_inside(site, text):
    """Nothing about the inside in what a client is told."""
    port = str(site.server.address).rpartition(':')[2]
    for word in ('inside', 'nobody', 'diplex', '127.0.0.1', port, '/tmp', 'no-such-folder', 'pool_', 'slots'):
        assert word not in text, f'{word!r} is in {text}'


@pytest.mark.parametrize('status', PROVOKE)
def test_every_status_in_every_form(site, status):
    for accept, form in list(FORMS.items())[2 if status == 408 else 0 :]:
        answer = provoke(site, status, accept)
        if status in FORMLESS:
            form = FORMS[None]
        assert answer.status == status
        assert answer.get('content-type') == form, (status, accept)
        assert int(answer.get('content-length')) == len(answer.body)
        assert answer.get('cache-control') == 'no-store' and answer.get('vary') == 'Accept'
        assert answer.get('x-content-type-options') == 'nosniff'
        assert (answer.get('retry-after') is None) == (status != 503)
        text = answer.body.decode()
        look_inside(site, text)
        identity = re.search(r'[0-9a-f]{32}', text).group()
        entry = site.wait_access(1, id=identity)[0]
        assert entry['status'] == status and entry['bytes_out'] == len(answer.body)
        check_form(form, status, answer, identity)


def check_form(form, status, answer, identity):
    text = answer.body.decode()
    if form.startswith('text/plain'):
        assert re.fullmatch(rf'{status} {answer.reason}\n[^\n]+\nrequest id: {identity}\n', text)
        assert status != 503 or 'Please try again in 5 seconds.' in text
    elif form == 'application/problem+json':
        problem = json.loads(text)
        assert problem['type'] == 'about:blank' and problem['title'] == answer.reason
        assert problem['status'] == status and problem['request_id'] == identity and len(problem['detail']) > 20
        assert problem['retry_after'] == (5 if status == 503 else None)
    else:
        page = parsed(answer.body)
        assert page.find('.//title').text == page.find('.//h1').text != ''
        assert page.find('.//code').text == identity
        assert page.find('.//meta[@name="viewport"]') is not None and page.find('.').get('lang') == 'en'
        assert not re.search(r'\b(src|href|action|url\()', text), 'it loads nothing and leads nowhere'
        assert 500 < len(answer.body) < 2048
        style = hashlib.sha256(page.find('.//style').text.encode()).digest()
        allowed = f"style-src 'sha256-{base64.b64encode(style).decode()}'"
        assert answer.get('content-security-policy') == f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize('status', [404, 431, 502, 503])
def test_head_has_the_same_fields_and_no_body(site, status):
    asked, told = (provoke(site, status, BROWSER, method) for method in ('GET', 'HEAD'))
    assert told.body == b'' and asked.body
    ignored = {'date'}
    assert [f for f in told.headers if f[0] not in ignored] == [f for f in asked.headers if f[0] not in ignored]


def test_old_clients(site):
    for fields, keeps in (('', False), ('Connection: keep-alive\r\n', True)):
        with site.client() as client:
            client.send(f'GET /nowhere HTTP/1.0\r\nHost: a\r\nAccept: {AXIOS}\r\n{fields}\r\n')
            answer = client.response()
            assert answer.status == 404 and answer.json()['status'] == 404
            assert answer.get('connection') == ('keep-alive' if keeps else 'close')
            if not keeps:
                assert client.closed_within(5)


def test_who_wants_events_or_a_websocket_gets_plain_words(site):
    assert provoke(site, 404, 'text/event-stream').get('content-type') == FORMS[None]
    assert provoke(site, 501, None).get('content-type') == FORMS[None]
    with site.client() as client:  # past hold.wait an event stream is closed without a word, and its client comes back
        client.send('GET /gone/ HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n')
        assert client.read_until_close() == b''


def test_ids_of_strangers_are_escaped_or_not_taken(diplex, scripted):
    site = diplex(one_pool('wsgi', scripted(behave), trusted_proxies=['loopback'], routes={'/app/': 'app'}))
    for identity, taken in (
        ('abc-123._~+/=', True),
        ('<script>alert(1)</script>', False),
        ('"},{"x":"', False),
        ("' onload='x", False),
        ('{request_id}{status}', False),
        ('\\u003c', False),
        ('\xe9', False),
        ('a' * 129, False),
    ):
        for accept in (BROWSER, AXIOS, '*/*'):
            answer = site.get('/nowhere', {'X-Request-ID': identity, 'Accept': accept})
            text = answer.body.decode()
            assert (identity in text) == taken
            if accept == BROWSER:
                shown = parsed(answer.body).find('.//code').text
                assert shown == identity if taken else re.fullmatch('[0-9a-f]{32}', shown)
            if accept == AXIOS:
                assert (json.loads(text)['request_id'] == identity) == taken


def test_the_connection_goes_on_after_an_answer_to_a_whole_request(site):
    with site.client() as client:
        for accept in (BROWSER, AXIOS, '*/*', BROWSER):
            assert client.ask('GET', '/nowhere', {'Accept': accept}).status == 404
        assert client.ask('GET', '/app/').body == b'ok'


def test_what_could_be_read_of_a_refused_head_is_in_the_log(site):
    mark = f'/app/refused-{time.monotonic_ns()}'
    for rest, said in (
        ('', {'status': 408, 'host': '', 'path': mark + '1'}),
        ('Host: shop.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', {'status': 501, 'host': 'shop.example', 'path': mark + '2'}),
        ('Host: shop.example\r\nA : b\r\n\r\n', {'status': 400, 'host': 'shop.example', 'path': mark + '3'}),
    ):
        with site.client() as client:
            client.send(f'PUT {said["path"]} HTTP/1.1\r\n{rest}')
            assert client.response('PUT').status == said['status']
        site.wait_access(1, method='PUT', **said)
    with site.client() as client:
        client.send(f'PUT {mark}4\x7f HTTP/1.1\r\nHost: a\r\n\r\n')
        assert client.response('PUT').status == 400
    site.wait_access(1, method='PUT', path=f'{mark}4[?]', status=400, outcome='bad_request')


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_chunk_over_the_limit_is_refused_when_its_size_is_read(diplex, scripted, kind):
    server = scripted(behave)
    site = diplex(one_pool(kind, server, limits={'body': 1000}))
    with site.client() as client:
        client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n')
        assert client.response('POST').status == 413
    with site.client() as client:
        client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n' + 'x' * 1000 + '\r\n0\r\n\r\n')
        assert client.response('POST').status == 200
