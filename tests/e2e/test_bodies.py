# SPDX-License-Identifier: MIT
"""Request bodies: whole and with a length for a wsgi pool, as they come for an asgi pool."""

import hashlib
import os
import threading
import time

import pytest
from harness import one_pool, sanitized, two_pools
from wire import wait_until

RAW = {'Content-Type': 'application/octet-stream'}


def noise(size: int) -> bytes:
    return os.urandom(size)


def send_chunked(client, path, pieces, pause=0.0, headers=''):
    client.send(
        f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n'
        f'Transfer-Encoding: chunked\r\n{headers}\r\n'
    )
    for piece in pieces:
        client.send_chunk(piece)
        time.sleep(pause)
    client.send(b'0\r\n\r\n')


def test_a_chunked_upload_reaches_gunicorn_with_a_length(diplex, wsgi, uvicorn):
    site = diplex(two_pools(wsgi, uvicorn()))
    pieces = [noise(size) for size in (1, 10, 5000, 70_000, 3)]
    body = b''.join(pieces)
    with site.client() as client:
        for _ in range(2):
            send_chunked(client, '/api/upload/', pieces)
            seen = client.response('POST').json()
            assert (seen['size'], seen['sha256']) == (len(body), hashlib.sha256(body).hexdigest())
            assert (seen['content_length'], seen['transfer_encoding']) == (str(len(body)), None)


def test_an_empty_chunked_upload_has_length_zero(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    site = diplex(one_pool('wsgi', server))
    with site.client() as client:
        send_chunked(client, '/', [])
        assert client.response('POST').status == 200
    assert (server.requests[0].get('content-length'), server.requests[0].get('transfer-encoding')) == ('0', None)


@pytest.mark.parametrize('size', [0, 1, 4095, 4096, 4097, 64 * 1024, 3_000_000])
def test_bodies_around_the_size_of_the_memory_buffer(diplex, gunicorn, uvicorn, size):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), buffer={'memory': '4KB'}))
    body = noise(size)
    for path in ('/api/upload/', '/async/upload/'):
        seen = site.ask('POST', path, RAW, body).json()
        assert (seen['size'], seen['sha256']) == (size, hashlib.sha256(body).hexdigest())


def test_a_large_upload_goes_through_a_file_that_is_nowhere_to_be_seen(diplex, gunicorn, uvicorn, directory):
    spool = directory / 'spool'
    spool.mkdir()
    spool.chmod(0o777)
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), buffer={'memory': '64KB', 'path': str(spool)}))
    body = noise(1 << 20)
    with site.client() as client:
        client.send(
            f'POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: {len(body) * 8}\r\n\r\n'
        )
        for _ in range(7):
            client.send(body)
        time.sleep(0.2)
        assert list(spool.iterdir()) == [], 'the file has no name'
        client.send(body)
        answer = client.response('POST')
        assert answer.status == 200, answer.body
        seen = answer.json()
    assert (seen['size'], seen['sha256']) == (len(body) * 8, hashlib.sha256(body * 8).hexdigest())


def test_gunicorn_is_not_touched_before_the_request_is_whole(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    site = diplex(one_pool('wsgi', server))
    with site.client() as client:
        client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
        time.sleep(0.4)
        assert server.connections == []
        client.send('def')
        assert client.response('POST').status == 200
    assert server.requests[0].body == b'abcdef'


def test_a_client_that_leaves_in_the_middle_of_its_body_never_reaches_gunicorn(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    site = diplex(one_pool('wsgi', server))
    with site.client() as client:
        client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
        time.sleep(0.1)
    entry = site.wait_access(1)[0]
    assert (entry['outcome'], entry['bytes_in']) == ('client_left', 3)
    assert server.connections == []


def test_one_worker_serves_others_while_a_slow_client_uploads(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(fresh=True, workers=1), uvicorn()))
    with site.client() as slow:
        slow.send('POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: 4\r\n\r\nab')
        before = time.monotonic()
        for _ in range(5):
            assert site.get('/api/hello/').status == 200
        assert time.monotonic() - before < 7
        slow.send('cd')
        assert slow.response('POST').json()['size'] == 4


def test_an_upload_streams_to_uvicorn_and_its_answer_back(diplex, asgi):
    """Both directions at once: each piece is echoed before the next one is sent."""
    site = diplex(one_pool('asgi', asgi))
    with site.client() as client:
        client.send('POST /async/raw/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
        client.send_chunk(b'first')
        assert client.head('POST').status == 200
        pieces = client.pieces()
        assert next(pieces) == b'first'
        for word in (b'second', b'third'):
            client.send_chunk(word)
            assert next(pieces) == word
        client.send(b'0\r\n\r\n')
        assert list(pieces) == []
        assert client.ask('GET', '/async/hello/').status == 200


def test_an_upload_to_uvicorn_keeps_its_framing(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    site = diplex(one_pool('asgi', server))
    with site.client() as client:
        client.ask('POST', '/length', body=b'12345')
        send_chunked(client, '/chunked', [b'abc', b'def'])
        client.response('POST')
    with_length, chunked = server.requests
    assert (with_length.get('content-length'), with_length.body) == ('5', b'12345')
    assert (chunked.get('transfer-encoding'), chunked.body) == ('chunked', b'abcdef')


def test_back_pressure_reaches_a_client_whose_server_does_not_read(diplex, scripted):
    go_on = threading.Event()

    def script(connection):
        connection.read_head()
        go_on.wait(8)
        total = 0
        while total < 64 << 20:
            data = connection.recv()
            assert data
            total += len(data)
        connection.reply(b'%d' % total)

    site = diplex(one_pool('asgi', scripted(script)))
    with site.client() as client:
        client.send(f'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {64 << 20}\r\n\r\n')
        client.socket.settimeout(0.7)
        sent, block = 0, b'x' * (1 << 20)
        with pytest.raises(TimeoutError):
            while sent < 64 << 20:
                sent += client.socket.send(block)
        assert sent < 40 << 20, 'diplex does not swallow what the server does not take'
        client.socket.settimeout(8)
        go_on.set()
        while sent < 64 << 20:
            sent += client.socket.send(block[: (64 << 20) - sent])
        assert int(client.response('POST').body) >= 64 << 20


# ---- Expect: 100-continue ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('path', ['/api/upload/', '/async/upload/'])
def test_expect_100_continue(site, path):
    with site.client() as client:
        client.send(
            f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: 5\r\n'
            'Expect: 100-continue\r\n\r\n'
        )
        assert client.read_exactly(25) == b'HTTP/1.1 100 Continue\r\n\r\n'
        client.send(b'hello')
        assert client.response('POST').json()['size'] == 5


def test_expect_is_answered_here_for_a_wsgi_pool(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply()

    server = scripted(script)
    site = diplex(one_pool('wsgi', server, pool={'retry': {'ask_first': 'no'}}))
    with site.client() as client:
        client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
        assert client.read_exactly(25) == b'HTTP/1.1 100 Continue\r\n\r\n'
        client.send(b'ok')
        assert client.response('POST').status == 200
    assert server.requests[0].get('expect') is None


def test_a_client_that_does_not_wait_for_100_is_served(site):
    for path in ('/api/upload/', '/async/upload/'):
        with site.client() as client:
            client.send(
                f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: 5\r\n'
                'Expect: 100-continue\r\n\r\nhello'
            )
            assert client.response('POST').json()['size'] == 5


def test_too_large_is_said_before_the_body_is_asked_for(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), limits={'body': '1KB'}))
    with site.client() as client:
        client.send(
            'POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n'
        )
        answer = client.response('POST')
        assert (answer.status, answer.informational) == (413, [])


# ---- the limit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('path', ['/api/upload/', '/async/upload/'])
@pytest.mark.parametrize('framing', ['length', 'chunked'])
def test_413(diplex, gunicorn, uvicorn, path, framing):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), limits={'body': '100KB'}))
    assert site.ask('POST', path, RAW, noise(100_000)).status == 200
    with site.client() as client:
        if framing == 'length':
            client.send(f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n')
        else:
            client.send(f'POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
            client.send_chunk(noise(150_000))
        assert client.response('POST').status == 413
    assert site.wait_access(1, status=413)[0]['outcome'] == 'body_too_large'


def test_the_limit_of_a_pool_goes_before_the_general_one(diplex, gunicorn, uvicorn):
    config = two_pools(gunicorn(workers=2), uvicorn(), limits={'body': '1KB'}, async_={'limits': {'body': '1MB'}})
    site = diplex(config)
    assert site.ask('POST', '/api/upload/', RAW, noise(2000)).status == 413
    assert site.ask('POST', '/async/upload/', RAW, noise(2000)).status == 200


def test_a_client_that_keeps_sending_still_reads_the_413(diplex, gunicorn, uvicorn):
    """Closing with unread bytes would reset the connection and take the answer with it."""
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), limits={'body': '1KB'}))
    with site.http() as client:
        assert client.post('/api/upload/', content=noise(2_000_000), headers=RAW).status_code == 413


def test_memory_stays_bounded_by_a_large_upload(diplex, gunicorn, uvicorn):
    if sanitized():
        pytest.skip('a sanitizer keeps freed memory')
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), buffer={'memory': '64KB'}, limits={'body': '200MB'}))
    data = site.children()[0]

    def resident_kib() -> int:
        with open(f'/proc/{data}/status') as status:
            return next(int(line.split()[1]) for line in status if line.startswith('VmRSS'))

    before = resident_kib()
    block, digest = noise(1 << 20), hashlib.sha256()
    for path in ('/api/upload/', '/async/upload/'):
        digest = hashlib.sha256()
        with site.client(patience=20) as client:
            client.send(
                f'POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: {100 << 20}\r\n\r\n'
            )
            for _ in range(100):
                client.send(block)
                digest.update(block)
            assert client.response('POST').json()['sha256'] == digest.hexdigest()
    assert wait_until(lambda: resident_kib() - before < 30_000, what='little more memory than before')
