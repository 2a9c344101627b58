# SPDX-License-Identifier: MIT
"""Limits and time-outs: each has its status, its word in the log, and leaves the servers alone."""

import contextlib
import os
import signal
import socket
import threading
import time

import pytest
from harness import one_pool, two_pools
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


@pytest.fixture
def front(diplex, scripted):
    """front(kind='asgi', pool={...}, **settings) -> diplex before a server that answers everything, at `.server`."""

    def start(kind='asgi', script=keep_answering, **settings):
        server = scripted(script)
        site = diplex(one_pool(kind, server, **settings))
        site.server = server
        return site

    return start


def refused(site, raw: bytes) -> int:
    """The status of the answer to these bytes; the connection must then be closed."""
    with site.client() as client:
        client.send(raw)
        answer = client.response()
        assert client.closed_within(8), 'a refused connection is closed'
    return answer.status


# ---- sizes ---------------------------------------------------------------------------------------------------------


def test_the_url(front):
    site = front(limits={'url': '1KB'})
    assert site.get('/' + 'a' * 900).status == 200
    assert refused(site, b'GET /' + b'a' * 2000 + b' HTTP/1.1\r\nHost: a\r\n\r\n') == 414
    assert site.wait_access(1, status=414)
    assert len(site.server.requests) == 1


def test_the_head(front):
    site = front(limits={'header_size': '2KB'})
    assert site.get('/', {'X-Long': 'a' * 1500}).status == 200
    assert refused(site, b'GET / HTTP/1.1\r\nHost: a\r\nX-Long: ' + b'a' * 4000 + b'\r\n\r\n') == 431
    assert refused(site, b'GET / HTTP/1.1\r\nHost: a\r\n' + b'X-Some: field\r\n' * 200 + b'\r\n') == 431
    assert len(site.server.requests) == 1


def test_the_number_of_fields(front):
    site = front(limits={'header_count': 10})
    assert refused(site, b'GET / HTTP/1.1\r\nHost: a\r\n' + b'A: b\r\n' * 10 + b'\r\n') == 431
    with site.client() as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n' + b'A: b\r\n' * 9 + b'\r\n')
        assert client.response().status == 200


def test_the_defaults_let_through_what_the_servers_take(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(http='h11')))
    query = 'a' * 3500
    for path in ('/api/echo/', '/async/echo/'):
        assert site.get(f'{path}?{query}', {'Cookie': 'c' * 4000}).json()['query'] == query


def test_a_chunk_extension_cannot_be_used_to_send_without_end(front):
    site = front(limits={'body': '1KB'})
    with site.client() as client:
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=')
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                client.send(b'y' * 10_000)
        raw = client.read_until_close()
    assert raw == b'' or raw.split()[1] in (b'400', b'413')


# ---- malformed requests --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'raw',
    [
        b'GET / HTTP/1.1\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
        b'GET / HTTP/1.1\nHost: a\n\n',
        b'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n',
        b'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
        b'G(T / HTTP/1.1\r\nHost: a\r\n\r\n',
        b'GET noslash HTTP/1.1\r\nHost: a\r\n\r\n',
        b'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
        b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
        b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na',
        b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
        b'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
)
def test_malformed_heads_are_refused(front, raw):
    site = front()
    assert refused(site, raw) == 400
    assert site.server.requests == []
    entry = site.wait_access(1)[0]
    assert (entry['status'], entry['outcome']) == (400, 'bad_request')


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize(
    'body', [b'zz\r\n', b'-1\r\nab\r\n', b'2\r\nabc\r\n0\r\n\r\n', b'fffffffffffffffff\r\n', b'2\nab\n0\n\n']
)
def test_malformed_chunks_are_refused(front, kind, body):
    site = front(kind)
    with site.client() as client:
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' + body)
        raw = client.read_until_close()
    assert raw.split()[1] == b'400'
    assert all(request.body in (b'', b'ab') for request in site.server.requests)
    assert all(not c.received.endswith(b'0\r\n\r\n') for c in site.server.connections), 'never made to look whole'


def test_unknown_versions(front):
    site = front()
    assert refused(site, b'GET / HTTP/3.0\r\nHost: a\r\n\r\n') in (400, 505)
    with site.client() as client:
        client.send(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
        client.read_until_close()
    assert site.server.requests == []


def test_unknown_transfer_codings(front):
    site = front()
    assert refused(site, b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n') in (
        400,
        501,
    )
    assert site.server.requests == []


def test_connect_is_refused(front):
    site = front()
    assert refused(site, b'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n') in (400, 405, 501)
    assert site.server.requests == []


def test_an_unknown_expectation(front):
    site = front()
    with site.client() as client:
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: miracles\r\n\r\n')
        assert client.response().status == 417


def test_unknown_methods_and_options_pass(front):
    site = front()
    with site.client() as client:
        for method, target in (('PURGE', '/x'), ('PROPFIND', '/x'), ('OPTIONS', '*')):
            client.send(f'{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n')
            assert client.response().status == 200
    assert [(r.method, r.target) for r in site.server.requests] == [
        ('PURGE', '/x'),
        ('PROPFIND', '/x'),
        ('OPTIONS', '*'),
    ]


# ---- time-outs -----------------------------------------------------------------------------------------------------


def test_a_head_that_does_not_come(front):
    site = front(timeouts={'header': '500ms', 'idle': '5s'})
    with site.client() as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n')
        before = time.monotonic()
        assert client.response().status == 408
        assert 0.3 < time.monotonic() - before < 4.5
        assert client.closed_within(8)
    entry = site.wait_access(1)[0]
    assert (entry['status'], entry['outcome']) == (408, 'header_timeout')


def test_a_head_that_trickles(front):
    """The limit is for the whole head: a byte now and then does not buy more time."""
    site = front(timeouts={'header': '800ms'})
    with site.client() as client:
        before = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in b'GET / HTTP/1.1\r\nHost: a\r\nX: ' + b'y' * 100:
                client.send(bytes([byte]))
                time.sleep(0.05)
                if client.closed_within(0) or not client.is_silent_for(0):
                    break
        assert time.monotonic() - before < 3


def test_an_idle_connection_is_closed_without_a_word(front):
    site = front(timeouts={'idle': '500ms', 'header': '700ms'})
    with site.client() as client:
        assert client.ask('GET', '/').status == 200
        before = time.monotonic()
        assert client.closed_within(8)
        assert 0.3 < time.monotonic() - before
    with site.client() as client:
        assert client.closed_within(8), 'one that never said anything, too'
    time.sleep(0.2)
    assert len(site.access()) == 1, 'no request, no entry'


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_body_that_stops(front, kind):
    site = front(kind, timeouts={'body': '500ms'})
    with site.client() as client:
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc')
        assert client.response('POST').status == 408
    entry = site.wait_access(1)[0]
    assert (entry['status'], entry['outcome'], entry['bytes_in']) == (408, 'body_timeout', 3)


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_server_that_does_not_answer(front, kind):
    def script(connection):
        connection.read_request()
        connection.wait_for_close(5)

    site = front(kind, script, pool={'timeouts': {'response': '500ms'}})
    before = time.monotonic()
    assert site.get('/').status == 504
    assert 0.3 < time.monotonic() - before < 4.5
    assert site.wait_access(1)[0]['outcome'] == 'response_timeout'
    assert len(site.server.requests) == 1, 'never sent twice'


def test_a_server_that_does_not_accept(diplex):
    """A full backlog: connecting is neither refused nor done."""
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(0)
    address = listener.getsockname()
    fillers = []
    with contextlib.suppress(OSError):
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            fillers.append(filler)
            with contextlib.suppress(BlockingIOError):
                filler.connect(address)
    time.sleep(0.1)
    site = diplex(one_pool('asgi', f'127.0.0.1:{address[1]}', pool={'timeouts': {'connect': '500ms'}}))
    before = time.monotonic()
    assert site.get('/').status == 504
    assert time.monotonic() - before < 3
    assert site.wait_access(1)[0]['outcome'] == 'connect_timeout'
    for filler in [*fillers, listener]:
        filler.close()


def test_a_client_that_does_not_take_its_answer(front):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n' + b'x' * 100_000_000)

    site = front('asgi', script, timeouts={'send': '700ms'})
    with site.client() as client:
        client.request('GET', '/')
        entry = site.wait_access(1, seconds=6)[0]
    assert entry['outcome'] == 'client_slow' and entry['bytes_out'] < 100_000_000


def test_a_worker_killed_in_the_middle(diplex, gunicorn):
    """The kernel's out-of-memory killer ends a worker like this: the client is told, and nothing is sent twice."""
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1)))
    worker = site.get('/api/hello/').json()['process']['pid']
    killer = threading.Timer(0.5, os.kill, (worker, signal.SIGKILL))
    killer.start()
    assert site.get('/api/slow/20000/').status == 502
    assert len(site.wait_access(2)) == 2
    wait_until(lambda: site.get('/api/hello/').status == 200, what='the next worker')
