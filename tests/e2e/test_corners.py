# SPDX-License-Identifier: MIT
"""Conversations that are rare and right: early answers, half-closed clients, single bytes, floods of requests."""

import os
import select
import threading
import time

import pytest
from harness import one_pool

GET = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize('rudely', [False, True])
def test_an_answer_before_the_end_of_the_upload_reaches_the_client(diplex, scripted, kind, rudely):
    """A server that refuses a large body says so after its head and closes, or even resets."""

    def script(connection):
        connection.read_head()
        connection.reply(b'too much', '413 Content Too Large', 'Connection: close\r\n')
        if rudely:
            time.sleep(0.1)
            connection.reset()

    site = diplex(one_pool(kind, scripted(script)))
    with site.http() as client:
        answer = client.post('/', content=os.urandom(3_000_000))
    assert (answer.status_code, answer.text) == (413, 'too much')
    entry = site.wait_access(1)[0]
    assert (entry['status'], entry['outcome']) == (413, 'ok')


def test_an_answer_may_come_byte_by_byte(diplex, scripted):
    answer = (
        b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
        b'3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nSum: 1\r\n\r\n'
    )

    def script(connection):
        while connection.read_request():
            for byte in answer:
                connection.send(bytes([byte]))
                time.sleep(0.0005)

    site = diplex(one_pool('asgi', scripted(script), workers=1))
    with site.client() as client:
        for _ in range(2):
            seen = client.ask('GET', '/')
            assert (seen.body, seen.trailers) == (b'abc0123456789abcdef', [('sum', '1')])
            assert [status for status, _ in seen.informational] == [103]
    assert [entry['reused'] for entry in site.wait_access(2)] == [False, True]


def test_a_client_that_says_no_more_still_gets_its_answers_from_a_wsgi_pool(diplex, scripted):
    site = diplex(one_pool('wsgi', scripted(keep_answering)))
    with site.client() as client:
        client.send(GET * 3)
        client.half_close()
        assert client.read_until_close().count(b'HTTP/1.1 200 OK') == 3


def test_a_client_that_says_no_more_has_left_an_asgi_pool(diplex, scripted):
    """A half-closed connection cannot be told from one whose client is gone, and an asgi server must hear of that."""
    waited = []

    def script(connection):
        connection.read_request()
        waited.append(connection.wait_for_close(3))

    site = diplex(one_pool('asgi', scripted(script)))
    with site.client() as client:
        client.send(GET)
        time.sleep(0.1)
        client.half_close()
        assert client.read_until_close() == b''
    assert site.wait_access(1)[0]['outcome'] == 'client_left'
    assert waited and waited[0] is not None


def test_a_flood_of_pipelined_requests(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(keep_answering)))
    with site.client() as client:
        flood = threading.Thread(target=client.send, args=(GET * 1500,))
        flood.start()
        assert {client.response().status for _ in range(1500)} == {200}
        flood.join()
        assert client.is_silent_for(0.1)


def test_an_upload_after_another_through_files_while_the_file_is_read_anew(diplex, scripted):
    site = diplex(one_pool('wsgi', scripted(keep_answering), buffer={'memory': '4KB'}))
    upload = b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n' + b'x' * 9000
    with site.client() as client:
        flood = threading.Thread(target=client.send, args=(upload * 150,))
        flood.start()
        for _ in range(3):
            site.reload()
            time.sleep(0.02)
        assert {client.response('POST').status for _ in range(150)} == {200}
        flood.join()


@pytest.mark.parametrize(
    ('fields', 'reason'), [('X-Big: ' + 'a' * 20_000 + '\r\n', 'large'), ('Set-Cookie: a=b\r\n' * 120, 'fields')]
)
def test_an_answer_whose_head_is_over_the_limits(diplex, scripted, fields, reason):
    def script(connection):
        connection.read_request()
        connection.reply(headers=fields)

    site = diplex(one_pool('asgi', scripted(script)))
    assert site.get('/').status == 502
    entry = site.wait_access(1)[0]
    assert entry['outcome'] == 'bad_answer' and reason in entry['reason']


def test_an_http_1_0_request_without_a_host(diplex, scripted):
    server = scripted(keep_answering)
    site = diplex(one_pool('asgi', server))
    with site.client() as client:
        client.send(b'GET /x HTTP/1.0\r\n\r\n')
        assert client.read_until_close().startswith(b'HTTP/1.1 200 OK')
    assert (server.requests[0].get('host'), server.requests[0].get('x-forwarded-host')) == ('localhost', 'localhost')


def test_empty_lines_before_a_request(diplex, scripted):
    """RFC 9112 2.2: some old clients send one after a body."""
    site = diplex(one_pool('asgi', scripted(keep_answering)))
    with site.client() as client:
        client.send(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na\r\n' + GET)
        assert [client.response('POST').status, client.response().status] == [200, 200]


def test_a_server_that_closes_just_as_the_next_request_comes(diplex, scripted):
    """Whatever the moment, a GET is answered; a POST that may have been read is not sent twice, and that is said."""

    def script(connection):
        while connection.read_request():
            connection.reply()
            if not select.select([connection.socket], [], [], 0.01)[0]:
                return

    server = scripted(script)
    site = diplex(one_pool('asgi', server, workers=1))
    for number in range(120):
        time.sleep(0.008 + number % 5 / 1000)
        if number % 3:
            assert site.get(f'/{number}').status == 200
        elif site.ask('POST', f'/{number}', body=b'x').status != 200:
            entry = site.wait_access(1, path=f'/{number}')[0]
            assert (entry['status'], entry['outcome'], entry['reused']) == (502, 'server_closed', True)
    posts = [request.target for request in server.requests if request.method == 'POST']
    assert len(posts) == len(set(posts)), 'never sent twice'


# ---- a reset right behind the last bytes ----

RUDE = 60  # connections: for some of them both come in one look at the socket


@pytest.mark.parametrize('kind', ['wsgi', 'asgi'])
@pytest.mark.parametrize(
    'part', [b'GET / HTTP/1.1\r\nHo', b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n' + b'a' * 20000]
)
def test_a_client_that_resets_in_the_middle_is_noticed_at_once(diplex, scripted, kind, part):
    """Not when its time is over: until then it would hold memory, a descriptor, and a connection to its server."""
    site = diplex(one_pool(kind, scripted(lambda connection: connection.read_request())))
    for _ in range(RUDE):
        with site.client() as client:
            client.send(part)
            client.reset()
    assert {entry['outcome'] for entry in site.wait_access(RUDE)} == {'client_left'}


def test_a_server_that_resets_in_the_middle_is_noticed_at_once(diplex, scripted):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n' + b'a' * 1000)
        connection.reset()

    site = diplex(one_pool('asgi', scripted(script)))
    for _ in range(RUDE):
        with site.client() as client:
            client.request('GET', '/')
            assert client.read_until_close().count(b'a') < 50000
    assert {entry['outcome'] for entry in site.wait_access(RUDE)} <= {'answer_cut', 'server_closed', 'bad_answer'}


def test_a_websocket_whose_client_resets_behind_a_message_ends(diplex, scripted):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
        connection.wait_for_close(60)

    site = diplex(one_pool('asgi', scripted(script)))
    for _ in range(RUDE):
        with site.client() as client:
            client.send(
                b'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
            )
            assert client.head(upgrade=True).status == 101
            client.send(b'\x81\x80AAAA' * 100)
            client.reset()
    site.wait_access(RUDE, status=101)
