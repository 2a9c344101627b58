# SPDX-License-Identifier: MIT
"""The tools of the other tests, and the application by itself, without diplex in between."""

import hashlib

import pytest
from wire import RawClient, ScriptedServer


def address_of(server):
    host, _, port = server.address.rpartition(':')
    return server.address[5:] if server.address.startswith('unix:') else (host, int(port))


@pytest.mark.parametrize('worker_class', ['sync', 'gthread'])
@pytest.mark.parametrize('unix', [False, True])
def test_gunicorn_serves_the_sync_half(gunicorn, worker_class, unix):
    server = gunicorn(worker_class=worker_class, workers=2, threads=1 if worker_class == 'sync' else 4, unix=unix)
    with server.client() as client:
        answer = client.ask('GET', '/api/echo/?a=1', {'X-Forwarded-Proto': 'https'})
    seen = answer.json()
    assert (seen['path'], seen['query'], seen['scheme'], seen['process']['kind']) == (
        '/api/echo/',
        'a=1',
        'https',
        'wsgi',
    )
    with server.client() as client:
        assert client.ask('GET', '/async/hello/').status == 404


@pytest.mark.parametrize('http', ['httptools', 'h11'])
@pytest.mark.parametrize('unix', [False, True])
def test_uvicorn_serves_the_async_half(uvicorn, http, unix):
    with uvicorn(http=http, unix=unix).client() as client:
        seen = client.ask('GET', '/async/echo/?a=1', {'X-Forwarded-For': '192.0.2.7'}).json()
        assert (seen['path'], seen['remote_addr'], seen['process']['kind']) == ('/async/echo/', '192.0.2.7', 'asgi')
        assert client.ask('GET', '/api/hello/').status == 404


def test_an_upload_is_measured_by_both_halves(gunicorn, uvicorn):
    body = bytes(range(256)) * 4096
    for server, path in ((gunicorn(workers=2), '/api/upload/'), (uvicorn(), '/async/upload/')):
        with server.client() as client:
            seen = client.ask('POST', path, {'Content-Type': 'application/octet-stream'}, body).json()
        assert (seen['size'], seen['sha256']) == (len(body), hashlib.sha256(body).hexdigest())


def test_gunicorn_alone_loses_a_chunked_body(gunicorn):
    """The reason why a wsgi pool gets every body with a length: Django reads nothing without one."""
    with gunicorn(workers=2).client() as client:
        client.request(
            'POST', '/api/upload/', {'Transfer-Encoding': 'chunked', 'Content-Type': 'application/octet-stream'}
        )
        client.send_chunk(b'hello')
        client.send(b'0\r\n\r\n')
        assert client.response('POST').json()['size'] == 0


def test_uvicorn_notices_a_client_that_leaves(uvicorn):
    server = uvicorn(fresh=True)
    client = server.client()
    client.request('GET', '/async/events/?count=0&interval=50')
    assert client.head().get('content-type') == 'text/event-stream'
    assert b'tick' in next(client.pieces())
    client.close()
    for _ in range(100):
        counts = server.streams()
        if counts['cancelled'] == 1:
            break
    assert counts == {'started': 1, 'running': 0, 'finished': 0, 'cancelled': 1}
    server.stop()
    assert 'never retrieved' not in server.stderr


def test_raw_client_reads_pipelined_answers_one_by_one(scripted):
    def script(connection):
        while connection.read_request():
            connection.send(b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
            connection.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nEnd: yes\r\n\r\n')

    server = scripted(script)
    with RawClient(address_of(server)) as client:
        client.send(b'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
        for _ in range(2):
            answer = client.response()
            assert (answer.status, answer.body, answer.trailers) == (200, b'abc', [('end', 'yes')])
            assert [status for status, _ in answer.informational] == [103]
    assert [request.target for request in server.requests] == ['/1', '/2']


@pytest.mark.parametrize('unix', [False, True])
def test_scripted_server_reads_bodies_either_way(scripted, unix):
    def script(connection):
        while request := connection.read_request():
            connection.reply(request.body.upper())

    with RawClient(address_of(scripted(script, unix=unix))) as client:
        assert client.ask('POST', '/', body=b'with a length').body == b'WITH A LENGTH'
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
        client.send_chunk(b'in ')
        client.send_chunk(b'pieces')
        client.send(b'0\r\n\r\n')
        assert client.response('POST').body == b'IN PIECES'


def test_a_failed_assertion_in_a_script_is_not_lost():
    def script(connection):
        raise AssertionError('seen')

    server = ScriptedServer(script)
    with RawClient(address_of(server)) as client:
        assert client.read_until_close() == b''
    with pytest.raises(AssertionError, match='seen'):
        server.stop()
