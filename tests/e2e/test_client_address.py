# SPDX-License-Identifier: MIT
"""One client address in both pools: REMOTE_ADDR under gunicorn by the PROXY protocol and under uvicorn by X-Forwarded-For,
as django-modern-rest's throttle sees it; and load balancers in front that say by the PROXY protocol who the client is.

Clients come from addresses of their own out of 127.0.0.0/8, each used by one test, since a throttle remembers.
"""

import ipaddress
import itertools
import json
import shutil
import socket
import struct

import pytest
from harness import Program, free_port, one_pool, run_diplex, two_pools
from wire import RawClient

TOLD = {'client_ip': 'proxy-protocol'}
PATHS = ('/api/limited/', '/async/limited/')
SOON = {'interval': '100ms', 'timeout': '2s', 'start_period': '0s'}
SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
LOCAL = SIGNATURE + b'\x20\0\0\0'

_clients = itertools.count(int(ipaddress.ip_address('127.9.0.1')))


def fresh_address() -> str:
    return str(ipaddress.ip_address(next(_clients)))


def v1(client: str, port: int = 4711, to: str = '198.51.100.9') -> bytes:
    family = 'TCP6' if ':' in client else 'TCP4'
    return f'PROXY {family} {client} {to} {port} 443\r\n'.encode()


def v2(client: str, port: int = 4711, to: str = '198.51.100.9', fields: bytes = b'') -> bytes:
    six = ':' in client
    family = socket.AF_INET6 if six else socket.AF_INET
    block = socket.inet_pton(family, client) + socket.inet_pton(family, to) + struct.pack('>HH', port, 443) + fields
    return SIGNATURE + bytes([0x21, 0x21 if six else 0x11]) + struct.pack('>H', len(block)) + block


def ask_limited(ask, path: str) -> tuple[int, str | None]:
    answer = ask('GET', path)
    return answer.status, answer.json().get('client')


def each_has_a_limit_of_its_own(client_of) -> None:
    """Three requests of A, a fourth that is too many, and B is not hindered: in both pools."""
    a, b = fresh_address(), fresh_address()
    for path in PATHS:
        with client_of(a) as first, client_of(b) as second:
            assert [ask_limited(first.ask, path) for _ in range(3)] == [(200, a)] * 3, path
            assert first.ask('GET', path).status == 429, path
            assert ask_limited(second.ask, path) == (200, b), path
        with client_of(a) as again:
            assert again.ask('GET', path).status == 429, 'another connection, the same client'


# ---- what Django is told ---------------------------------------------------------------------------------------------


@pytest.fixture(params=['tcp', 'unix'])
def unix(request):
    return request.param == 'unix'


@pytest.mark.parametrize('mode', ['auto', 'v2'])
@pytest.mark.parametrize('worker_class', ['sync', 'gthread'])
def test_a_throttle_by_remote_addr_in_both_pools(diplex, gunicorn, uvicorn, worker_class, mode, unix):
    threads = 4 if worker_class == 'gthread' else 1
    wsgi = gunicorn(worker_class=worker_class, threads=threads, unix=unix, extra=('--proxy-protocol', mode))
    site = diplex(two_pools(wsgi, uvicorn(unix=unix), sync=TOLD))
    each_has_a_limit_of_its_own(lambda address: site.client(source=address))


def test_without_it_gunicorn_knows_the_proxy_alone(diplex, gunicorn):
    """What the setting is for: over TCP every client is the proxy, over a Unix socket nobody is anybody."""
    client = fresh_address()
    for unix, seen in ((False, '127.0.0.1'), (True, '')):
        site = diplex(one_pool('wsgi', gunicorn(unix=unix)))
        with site.client(source=client) as asked:
            echo = asked.ask('GET', '/api/echo/').json()
        assert (echo['remote_addr'], echo['headers']['X-Forwarded-For']) == (seen, client)


def test_bodies_and_claims_come_as_ever(diplex, gunicorn):
    """Small and spooled uploads, and X-Forwarded-*, beside the header."""
    site = diplex(one_pool('wsgi', gunicorn(extra=('--proxy-protocol', 'v2')), pool=TOLD))
    client = fresh_address()
    with site.client(source=client) as asked:
        for size in (0, 10, 700_000):
            answer = asked.ask('POST', '/api/upload/', {'Content-Type': 'a/b'}, bytes(size))
            assert (answer.status, answer.json()['size']) == (200, size)
        echo = asked.ask('GET', '/api/echo/').json()
    assert echo['remote_addr'] == echo['headers']['X-Forwarded-For'] == echo['headers']['X-Real-Ip'] == client
    assert not any(entry['reused'] for entry in site.wait_access(4))


def test_the_address_is_the_one_that_trust_finds(diplex, gunicorn, uvicorn):
    wsgi, asgi = gunicorn(extra=('--proxy-protocol', 'v2')), uvicorn()
    site = diplex(two_pools(wsgi, asgi, sync=TOLD, trusted_proxies=['127.0.0.1']))
    for source, chain, seen in (
        ('127.0.0.1', '203.0.113.9', '203.0.113.9'),
        ('127.0.0.1', '198.51.100.1, 203.0.113.9', '203.0.113.9'),
        ('127.0.0.1', '2001:db8::9', '2001:db8::9'),
        ('127.0.0.2', '203.0.113.9', '127.0.0.2'),
    ):
        with site.client(source=source) as client:
            for path in ('/api/echo/', '/async/echo/'):
                echo = client.ask('GET', path, {'X-Forwarded-For': chain}).json()
                assert echo['remote_addr'] == seen, (path, source, chain)


def test_why_no_connection_is_kept(gunicorn):
    """gunicorn's threads know the client of the first request on a connection, and take the proxy for that of the next."""
    server = gunicorn(worker_class='gthread', threads=4, extra=('--proxy-protocol', 'v2'))
    with server.client() as client:
        client.send(v2('192.0.2.7'))
        assert client.ask('GET', '/api/echo/').json()['remote_addr'] == '192.0.2.7'
        assert client.ask('GET', '/api/echo/').json()['remote_addr'] == '127.0.0.1'


def test_gunicorn_can_be_changed_first(diplex, gunicorn):
    """With the option it serves connections without a header too, so there is a safe order: gunicorn, then diplex."""
    site = diplex(one_pool('wsgi', gunicorn(extra=('--proxy-protocol', 'v2'))))
    client = fresh_address()
    for config, seen in ((None, '127.0.0.1'), (TOLD, client)):
        if config:
            site.reload(one_pool('wsgi', gunicorn(extra=('--proxy-protocol', 'v2')), pool=config))
            site.wait_event('reloaded')
        with site.client(source=client) as asked:
            assert asked.ask('GET', '/api/echo/').json()['remote_addr'] == seen


def test_explain_says_it(tmp_path):
    path = tmp_path / 'diplex.yaml'
    path.write_text(json.dumps(one_pool('wsgi', '127.0.0.1:1', pool=TOLD, trusted_proxies='loopback')))
    for more, said in (
        (('--from', '192.0.2.7'), 'version 2, for 192.0.2.7'),
        (('-H', 'X-Forwarded-For: 203.0.113.9'), 'version 2, for 203.0.113.9'),
        (('--from', 'unix'), 'version 2, LOCAL'),
    ):
        done = run_diplex('explain', '-c', path, *more, 'GET', '/')
        assert (done.returncode, done.stderr) == (0, '')
        assert said in done.stdout and 'Connection: close' in done.stdout


def test_a_client_on_a_unix_socket_has_no_address(diplex, gunicorn, directory):
    front = str(directory / 'front.sock')
    config = one_pool('wsgi', gunicorn(extra=('--proxy-protocol', 'v2')), pool=TOLD)
    site = diplex({**config, 'listen': ['@LISTEN@', f'unix:{front}']})
    with RawClient(front) as client:
        assert client.ask('GET', '/api/echo/').json()['remote_addr'] is None
    assert site.wait_access(1)[0]['client'] == 'unix'


def test_probes_begin_with_a_header_that_names_nobody(diplex, scripted, gunicorn, unix):
    seen = []

    def script(connection):
        data = b''
        while b'\r\n\r\n' not in data[len(LOCAL):]:
            piece = connection.recv()
            if not piece:
                return
            data += piece
        seen.append(data)
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')

    server = scripted(script, unix=unix)
    real = gunicorn(unix=unix, extra=('--proxy-protocol', 'v2', '--access-logfile', '-'))
    health = {'health': {'path': '/healthz/', 'host': 'localhost', **SOON}}
    site = diplex(one_pool('wsgi', server, real, pool={**TOLD, **health}))
    site.wait_event('server_up', server.address)
    site.wait_event('server_up', real.address)
    assert seen[0].startswith(LOCAL + b'GET /healthz/ HTTP/1.1\r\nHost: localhost\r\n')


def test_what_cannot_be_is_refused_by_check(tmp_path):
    def check(config):
        path = tmp_path / 'diplex.yaml'
        path.write_text(json.dumps(config, indent=1))
        done = run_diplex('check', '-c', path)
        assert done.returncode == 2, done.stdout
        return done.stdout + done.stderr

    said = check(one_pool('asgi', '127.0.0.1:1', pool=TOLD))
    assert 'uvicorn does not speak the PROXY protocol' in said and 'X-Forwarded-For' in said
    said = check(one_pool('wsgi', '127.0.0.1:1', pool={**TOLD, 'keepalive': '2s'}))
    assert "'keepalive' has no meaning with 'client_ip: proxy-protocol'" in said
    said = check(one_pool('wsgi', '127.0.0.1:1', listen={'address': ':80', 'proxy_protocol': True}))
    assert 'trusted_proxies: [private]' in said


# ---- behind a load balancer ------------------------------------------------------------------------------------------


def balanced(config: dict, **more) -> dict:
    """The same behind load balancers on this machine."""
    return {'trusted_proxies': 'loopback', **config, 'listen': {'address': '@LISTEN@', 'proxy_protocol': True}, **more}


class Introduced(RawClient):
    """A client whose connection is made by a load balancer that says who it is."""

    def __init__(self, site, header: bytes, source: str | None = None) -> None:
        super().__init__(site.endpoint, source=source)
        self.send(header)


@pytest.mark.parametrize('header', [v1, v2], ids=['v1', 'v2'])
def test_the_client_of_a_load_balancer(diplex, gunicorn, uvicorn, header):
    wsgi = gunicorn(extra=('--proxy-protocol', 'v2'))
    site = diplex(balanced(two_pools(wsgi, uvicorn(), sync=TOLD), trusted_proxies='127.0.0.1'))
    each_has_a_limit_of_its_own(lambda address: Introduced(site, header(address)))
    with Introduced(site, header('2001:db8::7', to='2001:db8::1')) as client:
        for path in ('/api/echo/', '/async/echo/'):
            echo = client.ask('GET', path, {'X-Forwarded-For': '203.0.113.9'}).json()
            assert echo['remote_addr'] == echo['headers']['X-Forwarded-For'] == '2001:db8::7'
    assert len(site.wait_access(2, client='2001:db8::7')) == 2


def test_headers_in_any_piece_and_with_more_fields(diplex, gunicorn):
    site = diplex(balanced(one_pool('wsgi', gunicorn())))
    request = b'GET /api/echo/ HTTP/1.1\r\nHost: localhost\r\n\r\n'
    for header in (v1('192.0.2.7'), v2('192.0.2.7'), v2('192.0.2.7', fields=b'\x04\x0b\xb8' + bytes(3000))):
        with RawClient(site.endpoint) as client:
            client.send(header + request)
            assert client.response().json()['headers']['X-Forwarded-For'] == '192.0.2.7'
        with RawClient(site.endpoint) as client:
            for at in range(len(header[:120])):
                client.send(header[at : at + 1])
            client.send(header[120:])
            assert client.ask('GET', '/api/echo/').json()['headers']['X-Forwarded-For'] == '192.0.2.7'


def test_a_load_balancer_on_a_unix_socket(diplex, gunicorn, directory):
    front = str(directory / 'front.sock')
    config = one_pool('wsgi', gunicorn(), trusted_proxies='unix')
    site = diplex({**config, 'listen': ['@LISTEN@', {'address': f'unix:{front}', 'proxy_protocol': True}]})
    with RawClient(front) as client:
        client.send(v2('192.0.2.7'))
        assert client.ask('GET', '/api/echo/').json()['headers']['X-Forwarded-For'] == '192.0.2.7'
    with site.client() as client:
        assert client.ask('GET', '/api/echo/').status == 200, 'the other listener asks for no header'


def test_trust_of_ipv4_on_a_socket_of_both_families(diplex, gunicorn):
    """The kernel shows such clients as ::ffff:127.0.0.1; the file says 127.0.0.0/8."""
    port, both = free_port(), free_port()
    config = one_pool('wsgi', gunicorn(), trusted_proxies='127.0.0.0/8')
    listen = ['@LISTEN@', f':{port}', {'address': f':{both}', 'proxy_protocol': True}]
    site = diplex({**config, 'listen': listen})
    with RawClient(('127.0.0.1', port)) as client:
        echo = client.ask('GET', '/api/echo/', {'X-Forwarded-For': '192.0.2.7'}).json()
        assert echo['headers']['X-Real-Ip'] == '192.0.2.7'
    with RawClient(('127.0.0.1', both)) as client:
        client.send(v1('192.0.2.8'))
        assert client.ask('GET', '/api/echo/').json()['headers']['X-Forwarded-For'] == '192.0.2.8'
    assert site.wait_access(2)[1]['client'] == '192.0.2.8'


def test_a_connection_of_the_load_balancer_itself(diplex, gunicorn):
    """Its own address, and nobody believes what it says of others: it may have been made to say UNKNOWN of anybody."""
    site = diplex(balanced(one_pool('wsgi', gunicorn())))
    for header in (LOCAL, b'PROXY UNKNOWN\r\n', b'PROXY UNKNOWN 203.0.113.9 127.0.0.1 1 2\r\n'):
        with Introduced(site, header) as client:
            echo = client.ask('GET', '/api/echo/', {'X-Forwarded-For': '203.0.113.9'}).json()
            assert echo['headers']['X-Forwarded-For'] == '127.0.0.1'


@pytest.mark.parametrize(
    ('bytes_', 'reason'),
    [
        (b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'no PROXY header'),
        (b'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n', 'a malformed PROXY line'),
        (b'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n', 'a bare CR or LF'),
        (SIGNATURE + b'\x31\x11\0\x0c', 'an unknown version or command'),
        (SIGNATURE + b'\x21\x11\xff\xff', 'more than 4096 bytes'),
    ],
)
def test_who_does_not_say_so_gets_no_answer(diplex, gunicorn, bytes_, reason):
    site = diplex(balanced(one_pool('wsgi', gunicorn())))
    with Introduced(site, bytes_) as client:
        assert client.read_until_close() == b''
    assert reason in site.wait_event('client_refused', 'client=127.0.0.1')
    assert site.access() == []


def test_the_header_has_its_time(diplex, gunicorn):
    site = diplex(balanced(one_pool('wsgi', gunicorn()), timeouts={'header': '300ms'}))
    with Introduced(site, b'PROXY TCP4 ') as client:
        assert client.read_until_close() == b''
    assert 'no PROXY header within timeouts.header' in site.wait_event('client_refused')


def test_strangers_are_refused(diplex, gunicorn):
    site = diplex(balanced(one_pool('wsgi', gunicorn()), trusted_proxies='127.0.0.7'))
    with Introduced(site, v1('192.0.2.7'), source='127.0.0.8') as client:
        assert client.read_until_close() == b''
    # The harness, which asked from 127.0.0.1 whether the port is open, was the first.
    assert 'reason="not in trusted_proxies"' in site.wait_event('client_refused')
    with Introduced(site, v1('192.0.2.7'), source='127.0.0.7') as client:
        assert client.ask('GET', '/api/echo/').json()['headers']['X-Forwarded-For'] == '192.0.2.7'


def test_a_reload_changes_the_rule_of_a_socket_that_stays(diplex, gunicorn):
    plain = {**one_pool('wsgi', gunicorn()), 'listen': {'address': '@LISTEN@'}}
    site = diplex(plain)
    with site.client() as old:
        assert old.ask('GET', '/api/hello/').status == 200
        for generation in range(1, 5):
            on = generation % 2 == 1
            site.reload(balanced(plain) if on else plain)
            site.wait_event('reloaded', count=generation)
            for _ in range(4):  # both workers
                with Introduced(site, v1('192.0.2.7')) as client:
                    assert client.ask('GET', '/api/hello/').status == (200 if on else 400)
                with RawClient(site.endpoint) as client:
                    client.request('GET', '/api/hello/')
                    assert client.response().status == 200 if not on else client.read_until_close() == b''
        assert old.ask('GET', '/api/hello/').status == 200, 'who was there before goes on'


# ---- a real one ------------------------------------------------------------------------------------------------------


class Haproxy(Program):
    """A load balancer that passes connections on, and probes, both with a header."""

    name = 'haproxy'

    def __init__(self, directory, site, how: str) -> None:
        self.endpoint = ('127.0.0.1', free_port())
        path = directory / 'haproxy.cfg'
        path.write_text(
            'global\n  maxconn 64\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n'
            '  timeout server 20s\nlisten front\n'
            f'  bind 127.0.0.1:{self.endpoint[1]}\n  option httpchk GET /api/hello/\n  http-check send hdr Host localhost\n'
            f'  server diplex {site.listen} {how} check check-send-proxy inter 200ms\n'
        )
        super().__init__(directory, ['haproxy', '-db', '-f', str(path)])


@pytest.mark.skipif(shutil.which('haproxy') is None, reason='haproxy is not installed (Debian: haproxy)')
@pytest.mark.parametrize('how', ['send-proxy', 'send-proxy-v2'])
def test_haproxy_in_front(diplex, gunicorn, uvicorn, request, directory, how):
    wsgi = gunicorn(extra=('--proxy-protocol', 'v2'))
    site = diplex(balanced(two_pools(wsgi, uvicorn(), sync=TOLD)))
    front = Haproxy(directory, site, how)
    request.addfinalizer(front.end_group)
    front.start_and_wait(front.endpoint)
    each_has_a_limit_of_its_own(lambda address: RawClient(front.endpoint, source=address))
    assert site.wait_access(1, path='/api/hello/')[0]['client'] == '127.0.0.1', 'its probes'
    assert 'client_refused' not in site.stderr
