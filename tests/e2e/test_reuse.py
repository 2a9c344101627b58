# SPDX-License-Identifier: MIT
"""Connections to servers: which are used again, what happens when one has died, and what is never sent twice."""

import time

import pytest
from harness import free_port, one_pool, two_pools
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def dies_at_the_second(connection):
    """Answers once and keeps the connection; the next request on it is read and met with silence and a close."""
    connection.read_request()
    connection.reply()
    if connection.index == 0:
        connection.read_request()
    else:
        keep_answering(connection)


def reused(site, count):
    return [entry['reused'] for entry in site.wait_access(count)]


# ---- real servers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('unix', [False, True])
@pytest.mark.parametrize('http', ['httptools', 'h11'])
def test_uvicorn_connections_are_used_again(diplex, uvicorn, http, unix):
    site = diplex(one_pool('asgi', uvicorn(http=http, unix=unix), workers=1))
    for _ in range(5):
        assert site.get('/async/hello/').status == 200
    assert reused(site, 5) == [False, True, True, True, True]


def test_sync_workers_get_a_connection_for_each_request(diplex, gunicorn):
    site = diplex(one_pool('wsgi', gunicorn(workers=2), workers=1))
    for _ in range(4):
        assert site.get('/api/hello/').status == 200
    assert reused(site, 4) == [False] * 4


def test_threaded_workers_keep_connections(diplex, gunicorn):
    site = diplex(one_pool('wsgi', gunicorn(worker_class='gthread', workers=1, threads=4), workers=1))
    for _ in range(4):
        assert site.get('/api/hello/').status == 200
    assert reused(site, 4) == [False, True, True, True]


def test_an_idle_connection_outlives_neither_server(diplex, gunicorn, uvicorn):
    """gthread closes after 2 s, uvicorn after 5 s: no request may ever meet that."""
    site = diplex(two_pools(gunicorn(worker_class='gthread', workers=1, threads=4), uvicorn(), workers=1))
    for pause in (1.9, 2.1):
        site.ask('POST', '/api/upload/', {'Content-Type': 'x/y'}, b'abc')
        site.ask('POST', '/async/upload/', {'Content-Type': 'x/y'}, b'abc')
        time.sleep(pause)
    site.ask('POST', '/api/upload/', {'Content-Type': 'x/y'}, b'abc')
    time.sleep(1.0)
    site.ask('POST', '/async/upload/', {'Content-Type': 'x/y'}, b'abc')
    assert [entry['status'] for entry in site.wait_access(6)] == [200] * 6


def sequential_rate(ask, count: int) -> float:
    """Requests a second, one after the other, not counting the first: it meets a server that nobody has kept waiting."""
    ask()
    before = time.monotonic()
    for _ in range(count):
        ask()
    return count / (time.monotonic() - before)


def test_closing_at_once_is_what_makes_sync_workers_fast(diplex, gunicorn, record_property):
    """gunicorn's sync worker waits up to 2 s after each answer for its peer to close, and serves nobody meanwhile."""
    server = gunicorn(fresh=True, workers=1)
    left_open = []

    def late():
        client = server.client()
        assert client.ask('GET', '/api/hello/').status == 200
        left_open.append(client)

    def at_once():
        with server.client() as client:
            assert client.ask('GET', '/api/hello/').status == 200

    rates = {'a client that closes late': sequential_rate(late, 2)}
    for client in left_open:
        client.close()
    rates['a client that closes at once'] = sequential_rate(at_once, 100)
    site = diplex(one_pool('wsgi', server))
    with site.client() as client:
        rates['diplex'] = sequential_rate(lambda: client.ask('GET', '/api/hello/'), 100)
    for who, rate in rates.items():
        record_property(f'requests/s of one sync worker for {who}', round(rate, 2))
        print(f'one sync worker: {rate:.2f} requests/s for {who}')
    assert rates['diplex'] > 20 and rates['diplex'] > 10 * rates['a client that closes late']


# ---- dead connections ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize('method', ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])
def test_a_reused_connection_that_dies_is_replaced_for_safe_and_idempotent_methods(diplex, scripted, kind, method):
    server = scripted(dies_at_the_second)
    site = diplex(one_pool(kind, server, workers=1))
    assert site.get('/1').status == 200
    assert site.ask(method, '/2').status == 200
    assert [(request.method, request.target) for request in server.requests] == [
        ('GET', '/1'),
        (method, '/2'),
        (method, '/2'),
    ]


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize('method', ['POST', 'PATCH'])
def test_a_request_that_may_have_had_an_effect_is_not_sent_twice(diplex, scripted, kind, method):
    server = scripted(dies_at_the_second)
    site = diplex(one_pool(kind, server, workers=1))
    assert site.get('/1').status == 200
    assert site.ask(method, '/2', body=b'once').status == 502
    assert [request.target for request in server.requests] == ['/1', '/2']


@pytest.mark.parametrize(('retry', 'times'), [('off', 1), (2, 3)])
def test_a_fresh_connection_that_dies_is_tried_again_a_few_times(diplex, scripted, retry, times):
    server = scripted(lambda connection: connection.read_request())
    site = diplex(one_pool('asgi', server, pool={'retry': retry, 'hold': '1s'}))
    assert site.get('/').status == 502
    assert len(server.requests) == times


@pytest.mark.parametrize(('key', 'status'), [('yes', 200), ('no', 502)])
def test_an_idempotency_key_says_that_a_post_may_be_sent_again(diplex, scripted, key, status):
    server = scripted(dies_at_the_second)
    site = diplex(one_pool('wsgi', server, workers=1, pool={'retry': {'idempotency_key': key, 'ask_first': 'no'}}))
    assert site.get('/1').status == 200
    assert site.ask('POST', '/2', {'Idempotency-Key': '1'}, body=b'x').status == status
    assert len(server.requests) == (3 if key == 'yes' else 2)


def test_nothing_is_retried_after_a_byte_of_the_answer(diplex, scripted):
    def script(connection):
        connection.read_request()
        if connection.index == 0:
            connection.reply()
            connection.read_request()
            connection.send(b'HTTP/1.1 2')
        else:
            connection.reply()

    server = scripted(script)
    site = diplex(one_pool('asgi', server, workers=1))
    assert site.get('/1').status == 200
    assert site.get('/2').status == 502
    assert [request.target for request in server.requests] == ['/1', '/2']


def test_a_connection_closed_while_idle_is_not_used(diplex, scripted):
    """The server's close was seen before the next request came: a POST then goes out on a new connection."""

    def script(connection):
        connection.read_request()
        connection.reply()

    server = scripted(script)
    site = diplex(one_pool('asgi', server, workers=1))
    for _ in range(5):
        assert site.ask('POST', '/', body=b'x').status == 200
        time.sleep(0.05)
    assert len(server.connections) == 5


@pytest.mark.parametrize('method', ['GET', 'POST'])
def test_what_was_not_sent_at_all_goes_to_another_server(diplex, scripted, method):
    server = scripted(keep_answering)
    site = diplex(one_pool('asgi', f'127.0.0.1:{free_port()}', server, workers=1))
    assert [site.ask(method, '/', body=b'x').status for _ in range(6)] == [200] * 6
    assert len(server.requests) == 6


# ---- when a connection is kept -------------------------------------------------------------------------------------


def test_connection_close_of_the_server_is_obeyed(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.reply(headers='Connection: close\r\n')

    server = scripted(script)
    site = diplex(one_pool('asgi', server, workers=1))
    for _ in range(3):
        assert site.get('/').status == 200
    assert len(server.connections) == 3


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
def test_the_connection_is_closed_the_instant_the_answer_is_complete(diplex, scripted, kind):
    waited = []

    def script(connection):
        connection.read_request()
        connection.reply(headers='Connection: close\r\n')
        waited.append(connection.wait_for_close())

    site = diplex(one_pool(kind, scripted(script)))
    with site.client() as client:
        assert client.ask('GET', '/').status == 200
        wait_until(lambda: waited)
    assert waited[0] is not None and waited[0] < 1.5, 'gunicorn would wait 2 s for it'


def test_idle_time_and_number_can_be_set(diplex, scripted):
    waited = []

    def script(connection):
        while connection.read_request():
            connection.reply()
            if connection.index == 0:
                waited.append(connection.wait_for_close(4))

    site = diplex(one_pool('asgi', scripted(script), pool={'keepalive': {'idle': '700ms', 'max': 4}}, workers=1))
    site.get('/')
    wait_until(lambda: waited, 5)
    assert waited[0] is not None and 0.4 < waited[0] < 2.5


def test_keeping_can_be_turned_off(diplex, scripted):
    server = scripted(keep_answering)
    site = diplex(one_pool('asgi', server, pool={'keepalive': {'max': 0}}, workers=1))
    for _ in range(3):
        site.get('/')
    assert len(server.connections) == 3


def test_surplus_bytes_of_a_server_poison_its_connection(diplex, scripted):
    """What comes after a complete answer must never become the answer to somebody else's request."""

    def script(connection):
        while connection.read_request():
            connection.send(
                b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nyours!'
            )

    server = scripted(script)
    site = diplex(one_pool('asgi', server, workers=1))
    for _ in range(3):
        assert site.get('/').body == b'mine'
        time.sleep(0.05)
    assert len(server.connections) == 3


def test_no_connection_is_opened_early(diplex, scripted):
    server = scripted(keep_answering)
    site = diplex(one_pool('wsgi', server))
    with site.client() as client:
        client.send(b'GET / HTTP/1.1\r\nHost: a\r\n')
        time.sleep(0.3)
        assert server.connections == []
        client.send(b'\r\n')
        assert client.response().status == 200
