# SPDX-License-Identifier: MIT
"""Duties of an intermediary (RFC 9110, 9112, 6455) that no other file shows; docs/conformance.md names them all."""

import pytest
from harness import one_pool
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def saying(answer):
    def script(connection):
        while connection.read_request():
            connection.send(answer)

    return script


@pytest.fixture(params=['wsgi', 'asgi'])
def kind(request):
    return request.param


WEBSOCKET = {
    'Connection': 'Upgrade',
    'Upgrade': 'websocket',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
}


def test_fields_for_others_pass_untouched(diplex, scripted, kind):
    """What is for caches, for the application and for the user agent is none of a gateway's business."""
    asked = {
        'Cache-Control': 'no-cache, max-age=0',
        'Pragma': 'no-cache',
        'If-None-Match': 'W/"a", "b"',
        'If-Modified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT',
        'If-Range': '"x"',
        'Range': 'bytes=0-1,5-',
        'Authorization': 'Bearer a.b',
        'Cookie': 'a=b; c="d"',
        'Referer': 'http://localhost/x?y',
        'Origin': 'null',
        'Accept-Encoding': 'gzip;q=0.5, *;q=0',
        'User-Agent': 'a/1 (b) c/2',
        'X-Unknown': ' spaced  inside '.strip(),
        'Date': 'Sunday, 06-Nov-94 08:49:37 GMT',
    }
    said = {
        'Cache-Control': 'no-transform, private="x", max-age=60',
        'Age': '7',
        'Expires': '0',
        'ETag': 'W/"a"',
        'Vary': 'Accept-Encoding, Cookie',
        'Last-Modified': 'Sun, 06 Nov 1994 08:49:37 GMT',
        'Date': 'Sun, 06 Nov 1994 08:49:37 GMT',
        'Content-Location': '/x',
        'Content-Encoding': 'gzip',
        'Content-Range': 'bytes 0-1/2',
        'WWW-Authenticate': 'Basic realm="a"',
        'Allow': 'GET',
        'Location': 'http://elsewhere/x',
        'Server': 'other',
        'Via': '1.1 inside',
        'Strict-Transport-Security': 'max-age=1',
        'X-Unknown': '1',
    }
    fields = ''.join(f'{name}: {value}\r\n' for name, value in said.items())
    server = scripted(saying(f'HTTP/1.1 206 Partial Content\r\n{fields}Content-Length: 2\r\n\r\nok'.encode()))
    answer = diplex(one_pool(kind, server)).get('/', asked)
    assert {name: server.requests[0].get(name) for name in asked} == asked
    assert {name: answer.get(name) for name in said} == said
    assert (answer.status, answer.reason, answer.body) == (206, 'Partial Content', b'ok')


def test_fields_with_one_name_keep_their_order(diplex, scripted, kind):
    server = scripted(saying(b'HTTP/1.1 200 OK\r\nX: 1\r\nSet-Cookie: a=1\r\nx: 2\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n'))
    site = diplex(one_pool(kind, server))
    with site.client() as client:
        client.send('GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nAccept: a/b\r\nx: 2\r\nAccept: c/d\r\nX: 3\r\n\r\n')
        answer = client.response()
    assert (server.requests[0].all('x'), server.requests[0].all('accept')) == (['1', '2', '3'], ['a/b', 'c/d'])
    assert (answer.all('x'), answer.all('set-cookie')) == (['1', '2'], ['a=1', 'b=2'])


def test_answers_of_diplex_itself_are_dated_and_typed(diplex, scripted):
    site = diplex({**one_pool('asgi', scripted(keep_answering)), 'routes': {'/here/': 'app'}})
    answer = site.get('/elsewhere')
    assert answer.status == 404 and answer.get('date').endswith(' GMT')
    assert answer.get('content-type') == 'text/plain; charset=utf-8'
    assert b'HTTP/1' not in site.ask('HEAD', '/elsewhere').body


def test_nothing_is_read_behind_connection_close(diplex, scripted, kind):
    server = scripted(keep_answering)
    site = diplex(one_pool(kind, server))
    with site.client() as client:
        client.send('GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
        answer = client.response()
        assert answer.get('connection') == 'close' and client.closed_within(8)
    assert site.get('/3').status == 200
    assert [asked.target for asked in server.requests] == ['/1', '/3']


def test_long_targets_pass(diplex, scripted, kind):
    """8000 octets are what everybody is asked to take; the default is less, because gunicorn's is."""
    server = scripted(keep_answering)
    target = '/' + 'a' * 7980
    assert diplex(one_pool(kind, server, limits={'url': 8190})).get(target).status == 200
    assert server.requests[0].target == target


def test_an_upgrade_that_is_required_is_named(diplex, scripted):
    server = scripted(
        saying(
            b'HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
            b'Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n'
        )
    )
    answer = diplex(one_pool('asgi', server)).ask('GET', '/', {'Connection': 'keep-alive'})
    assert (answer.status, answer.get('upgrade'), answer.get('connection')) == (426, 'websocket', 'Upgrade')
    assert answer.get('sec-websocket-version') == '13'


@pytest.mark.parametrize('upgrade', ['h2c', 'websocket, h2c', ''])
def test_a_switch_to_what_was_not_asked_for(diplex, scripted, upgrade):
    script = saying(f'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\nsmuggled'.encode())
    site = diplex(one_pool('asgi', scripted(script)))
    assert site.ask('GET', '/', WEBSOCKET).status == 502
    assert site.wait_access(1)[0]['reason'] == '101 without a request for it'


@pytest.mark.parametrize('missing', ['Sec-WebSocket-Key', 'Sec-WebSocket-Version'])
def test_a_handshake_that_is_not_whole_is_the_servers_to_refuse(diplex, scripted, missing):
    """The fields of RFC 6455 pass as they came, and without a 101 there is no tunnel."""
    server = scripted(saying(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'))
    site = diplex(one_pool('asgi', server))
    fields = {name: value for name, value in WEBSOCKET.items() if name != missing}
    with site.client() as client:
        assert client.ask('GET', '/', fields).status == 400
        assert client.ask('GET', '/next').status == 400, 'the connection still speaks HTTP'
    first, _ = server.requests
    assert first.get(missing) is None and (first.get('connection'), first.get('upgrade')) == ('Upgrade', 'websocket')


def test_a_tunnel_delivers_what_is_on_its_way(diplex, scripted):
    """The last bytes of either side reach the other before the tunnel is closed (RFC 9110 9.3.6)."""
    much = bytes(range(256)) * 1024

    def script(connection):
        connection.read_head()
        connection.send(b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
        while connection.recv():  # until the client has said all
            if connection.received.endswith(b'over'):
                connection.send(much)
                return

    server = scripted(script)
    site = diplex(one_pool('asgi', server))
    with site.client() as client:
        client.request('GET', '/', WEBSOCKET)
        assert client.head(upgrade=True).status == 101
        client.send(much + b'over')
        assert client.read_until_close() == much
    assert bytes(server.connections[0].received).endswith(much + b'over')


def test_a_loop_ends(diplex):
    """A pool whose server is diplex itself: the request goes round until its Via is too long to be meant."""
    site = diplex(one_pool('asgi', '127.0.0.1:1'), start=False)
    site.write_config(one_pool('asgi', site.listen))
    site.start()
    assert site.get('/').status == 508
    wait_until(lambda: len(site.access()) > 1)
    rounds = [entry for entry in site.access() if entry['status'] == 508]
    assert 15 < len(rounds) < 30
    assert site.wait_access(1, reason='too many hops in Via')


def test_a_request_without_a_host_is_asked_as_a_check_is(diplex, scripted, kind):
    """HTTP/1.0 as load balancers speak it for their checks: the name that the site has, and not an empty one."""
    server = scripted(keep_answering)
    site = diplex({**one_pool(kind, server), 'routes': {'shop.example.com/': 'app', '/': 'app'}})
    with site.client() as client:
        client.send('OPTIONS / HTTP/1.0\r\n\r\n')
        assert client.response('OPTIONS').status == 200
    assert server.requests[0].get('host') == server.requests[0].get('x-forwarded-host') == 'shop.example.com'
    assert site.wait_access(1)[0]['host'] == 'shop.example.com'
