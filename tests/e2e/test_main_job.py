# SPDX-License-Identifier: MIT
"""The main job: one port, two Djangos. Every request reaches the half it is meant for, and answers come back whole."""

import concurrent.futures
import hashlib
import time

import pytest
from harness import free_port, one_pool, two_pools
from wire import RawClient

PATTERN = bytes(range(256)) * 256


def downloaded(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


# ---- every combination of servers ----------------------------------------------------------------------------------


def test_both_halves_answer(diplex, wsgi, asgi):
    site = diplex(two_pools(wsgi, asgi))
    assert site.get('/api/hello/').json()['process']['kind'] == 'wsgi'
    assert site.get('/async/hello/').json()['process']['kind'] == 'asgi'
    assert 'One port, two Djangos' in site.get('/').body.decode()
    entries = site.wait_access(3)
    assert [(entry['pool'], entry['route'], entry['server']) for entry in entries] == [
        ('sync', '/', wsgi.address),
        ('async', '/async/', asgi.address),
        ('sync', '/', wsgi.address),
    ]


def test_json_uploads_and_downloads(diplex, wsgi, asgi):
    site = diplex(two_pools(wsgi, asgi))
    with site.http() as client:
        for items, upload, download in (
            ('/api/items/', '/api/upload/', '/api/download/'),
            ('/async/items/', '/async/upload/', '/async/download/'),
        ):
            made = client.post(items, json={'name': 'pencil', 'price': 3})
            assert (made.status_code, made.json()['name'], made.json()['price']) == (201, 'pencil', 3)
            assert client.post(items, json={'price': 3}).status_code == 400

            content = downloaded(700_001)
            seen = client.post(upload, files={'file': ('photo.bin', content)}).json()
            assert (seen['size'], seen['filename']) == (len(content), 'photo.bin')
            assert seen['sha256'] == hashlib.sha256(content).hexdigest()

            chunked = client.get(f'{download}1000000/')
            assert chunked.content == downloaded(1_000_000) and 'content-length' not in chunked.headers
            sized = client.get(f'{download}1000000/?length=1')
            assert sized.content == downloaded(1_000_000) and sized.headers['content-length'] == '1000000'


def test_answers_without_a_body(diplex, wsgi, asgi):
    site = diplex(two_pools(wsgi, asgi))
    with site.client() as client:
        for prefix in ('/api/', '/async/'):
            for code in (204, 304):
                answer = client.ask('GET', f'{prefix}status/{code}/')
                assert (answer.status, answer.body) == (code, b'')
                assert answer.get('transfer-encoding') is None
            head = client.ask('HEAD', f'{prefix}download/5000/?length=1')
            assert (head.status, head.body, head.get('content-length')) == (200, b'', '5000')
            assert client.ask('HEAD', f'{prefix}download/5000/').body == b''
            assert client.ask('DELETE', '/api/items/3/').status == 204
            assert client.ask('GET', f'{prefix}echo/').status == 200, 'the connection is still in step'


def test_statuses_come_through(site):
    with site.client() as client:
        for prefix in ('/api/', '/async/'):
            for code in (200, 302, 308, 404, 418, 429, 500, 503):
                answer = client.ask('GET', f'{prefix}status/{code}/')
                assert (answer.status, answer.body) == (code, f'status {code}\n'.encode())
            assert client.ask('GET', f'{prefix}status/302/').get('location') == '/healthz/'


def test_conditional_get(site):
    with site.client() as client:
        tag = client.ask('GET', '/api/items/3/').get('etag')
        # Django's middleware answers from the tag of the body, which holds the worker's pid; ask until the same worker answers.
        assert any(client.ask('GET', '/api/items/3/', {'If-None-Match': tag}).status == 304 for _ in range(40))


@pytest.mark.parametrize('worker_class', ['sync', 'gthread'])
@pytest.mark.parametrize('http', ['httptools', 'h11'])
def test_servers_on_unix_sockets(diplex, gunicorn, uvicorn, worker_class, http):
    wsgi = gunicorn(worker_class=worker_class, workers=2, threads=1 if worker_class == 'sync' else 4, unix=True)
    asgi = uvicorn(http=http, unix=True)
    site = diplex(two_pools(wsgi, asgi))
    for path in ('/api/', '/async/'):
        assert site.get(f'{path}hello/').status == 200
        assert site.get(f'{path}download/300000/').body == downloaded(300_000)
    assert site.wait_access(4)[0]['server'] == wsgi.address


# ---- listeners -----------------------------------------------------------------------------------------------------


def test_the_three_line_form(diplex, gunicorn, uvicorn):
    site = diplex(
        'listen: "@LISTEN@"\nadmin: off\n'
        'routes:\n'
        f'  /async/: asgi://{uvicorn().address}\n'
        f'  /:       wsgi://{gunicorn(workers=2).address}\n'
    )
    assert site.get('/api/hello/').json()['process']['kind'] == 'wsgi'
    assert site.get('/async/hello/').json()['process']['kind'] == 'asgi'


def test_several_listeners(diplex, gunicorn, uvicorn, directory):
    v6, unix = free_port('::1'), str(directory / 'front.sock')
    config = two_pools(gunicorn(workers=2), uvicorn())
    site = diplex({**config, 'listen': ['@LISTEN@', f'[::1]:{v6}', f'unix:{unix}']})
    for address in (site.endpoint, ('::1', v6), unix):
        with RawClient(address) as client:
            assert client.ask('GET', '/api/hello/').status == 200
            assert client.ask('GET', '/async/hello/').status == 200


# ---- connections of clients ----------------------------------------------------------------------------------------


def test_one_connection_for_both_halves(site):
    with site.client() as client:
        for _ in range(5):
            assert client.ask('GET', '/api/hello/').json()['process']['kind'] == 'wsgi'
            assert client.ask('GET', '/async/hello/').json()['process']['kind'] == 'asgi'
            assert client.ask('POST', '/async/upload/', {'Content-Type': 'x/y'}, b'12345').json()['size'] == 5
    assert len(site.wait_access(15)) == 15


def test_pipelined_requests_are_answered_in_order(site):
    targets = [
        '/api/slow/200/',
        '/async/hello/',
        '/api/hello/',
        '/async/slow/50/',
        '/async/download/100000/',
        '/api/hello/',
    ]
    with site.client() as client:
        client.send(''.join(f'GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n' for target in targets))
        answers = [client.response() for _ in targets]
    assert [answer.status for answer in answers] == [200] * 6
    assert answers[0].json()['milliseconds'] == 200 and answers[3].json()['milliseconds'] == 50
    assert answers[4].body == downloaded(100_000)
    assert [entry['path'] for entry in site.wait_access(6)] == targets


def test_pipelined_requests_with_bodies(site):
    with site.client() as client:
        for size in (10, 0, 300):
            head = (
                f'POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: {size}\r\n\r\n'
            )
            client.send(head.encode() + b'x' * size)
        assert [client.response('POST').json()['size'] for _ in range(3)] == [10, 0, 300]


def test_a_request_may_come_byte_by_byte(site):
    request = b'POST /async/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: x/y\r\nContent-Length: 5\r\n\r\nhello'
    with site.client() as client:
        for byte in request:
            client.send(bytes([byte]))
        assert client.response('POST').json()['size'] == 5


def test_connection_close_is_obeyed(site):
    with site.client() as client:
        client.request('GET', '/api/hello/', {'Connection': 'close'})
        answer = client.response()
        assert (answer.status, answer.get('connection')) == (200, 'close')
        assert client.closed_within(8)


def test_http_1_0_clients(site):
    with site.client() as client:
        client.send('GET /api/download/100000/ HTTP/1.0\r\nHost: localhost\r\n\r\n')
        head, _, body = client.read_until_close().partition(b'\r\n\r\n')
    assert b'transfer-encoding' not in head.lower() and body == downloaded(100_000)
    with site.client() as client:
        client.send('GET /async/hello/ HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n')
        first = client.response()
        assert (first.status, first.get('connection')) == (200, 'keep-alive')
        client.send('GET /async/hello/ HTTP/1.0\r\nHost: localhost\r\n\r\n')
        assert client.read_until_close().startswith(b'HTTP/1.1 200')


def test_a_slow_reader_gets_everything(site):
    size = 20_000_000
    digest = hashlib.sha256()
    with site.client() as client:
        client.request('GET', f'/async/download/{size}/')
        client.head()
        time.sleep(0.5)
        for piece in client.pieces():
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(downloaded(size)).digest()


def test_many_clients_at_once(site):
    def visit(number: int) -> list[str]:
        with site.client() as client:
            return [
                client.ask('GET', '/api/hello/').json()['process']['kind'],
                client.ask('GET', f'/async/slow/{number % 7}/').json()['process']['kind'],
                str(len(client.ask('GET', f'/async/download/{number * 1000}/').body)),
            ]

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(visit, range(96)))
    assert answers == [['wsgi', 'asgi', str(number * 1000)] for number in range(96)]
    assert {entry['status'] for entry in site.wait_access(96 * 3)} == {200}


# ---- what servers may send -----------------------------------------------------------------------------------------


def test_trailers_pass_to_clients_only(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.send(
                b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n'
                b'5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n'
            )

    server = scripted(script)
    site = diplex(one_pool('asgi', server))
    with site.client() as client:
        client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Own: 7\r\n\r\n')
        answer = client.response('POST')
    assert (answer.body, answer.trailers) == (b'hello world', [('x-sum', '42')])
    assert server.requests[0].body == b'abc'
    assert b'x-own' not in server.connections[0].received.lower()
    assert server.connections[0].received.endswith(b'\r\n3\r\nabc\r\n0\r\n\r\n')


def test_early_hints_pass_to_http_1_1_clients_only(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.send(b'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n')
            connection.reply()

    site = diplex(one_pool('asgi', scripted(script)))
    answer = site.get('/')
    assert answer.informational == [(103, [('link', '</style.css>; rel=preload')])]
    with site.client() as client:
        client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
        assert b' 103 ' not in client.read_until_close()


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_a_body_that_ends_with_the_connection(diplex, scripted, kind):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end')

    site = diplex(one_pool(kind, scripted(script)))
    with site.client() as client:
        assert client.ask('GET', '/').body == b'until the end'
        assert client.ask('GET', '/').body == b'until the end', 'the client keeps its connection'


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize(
    'answer',
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly this',
    ],
)
def test_an_answer_that_breaks_off_is_never_made_to_look_whole(diplex, scripted, kind, answer):
    def script(connection):
        connection.read_request()
        connection.send(answer)

    site = diplex(one_pool(kind, scripted(script)))
    with site.client() as client:
        client.request('GET', '/')
        raw = client.read_until_close()
    assert not raw.endswith(b'0\r\n\r\n')
    assert site.wait_access(1)[0]['outcome'] == 'answer_cut'


@pytest.mark.parametrize(
    'answer',
    [
        b'nonsense\r\n\r\n',
        b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
        b'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
        b'HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n',
        b'HTTP/1.1 20 OK\r\n\r\n',
        b'HTTP/2.0 200 OK\r\n\r\n',
        b'',
    ],
)
def test_a_malformed_answer_is_a_bad_gateway(diplex, scripted, answer):
    def script(connection):
        connection.read_request()
        connection.send(answer)

    site = diplex(one_pool('asgi', scripted(script)))
    assert site.get('/').status == 502
    entry = site.wait_access(1)[0]
    assert (entry['status'], entry['outcome']) == (502, 'bad_answer' if answer else 'server_closed')
