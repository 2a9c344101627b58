# SPDX-License-Identifier: MIT
"""Which half a request goes to, by the longest prefix of its host and path, however many routes there are."""

import json
import time

import pytest
from harness import one_pool, run_diplex, two_pools
from wire import PATIENCE


def say(word):
    def script(connection):
        while connection.read_request():
            connection.reply(word)

    return script


@pytest.mark.parametrize(
    ('target', 'pool'),
    [
        ('/async/hello/', 'async'),
        ('/async/', 'async'),
        ('/async', 'async'),
        ('/async?x=1', 'async'),
        ('/asyncx', 'sync'),
        ('/asyncx/', 'sync'),
        ('/Async/', 'sync'),
        ('/%61sync/hello/', 'async'),
        ('/async/x/../hello/', 'async'),
        ('/api/./hello/../', 'sync'),
        ('/api/hello/?next=/async/', 'sync'),
        ('/', 'sync'),
    ],
)
def test_prefixes_match_whole_segments_of_the_decoded_path(diplex, scripted, target, pool):
    servers = {'sync': scripted(say(b'')), 'async': scripted(say(b''))}
    site = diplex(two_pools(servers['sync'], servers['async']))
    assert site.get(target).status == 200
    assert [request.target for request in servers[pool].requests] == [target], 'the target is forwarded as it came'
    other = servers['sync' if pool == 'async' else 'async']
    assert other.requests == []


@pytest.mark.parametrize('target', ['/api/../async/hello/', '/async/%2e%2e/api/hello/', '/./async/hello/'])
def test_a_path_that_could_mean_two_routes_is_refused(diplex, scripted, target):
    servers = [scripted(say(b'')), scripted(say(b''))]
    site = diplex(two_pools(*servers))
    assert site.get(target).status == 400
    assert [server.connections for server in servers] == [[], []]
    assert 'dot segments' in site.wait_access(1)[0]['reason']
    said = run_diplex('explain', 'GET', target, '-c', site.config_path)
    assert said.returncode == 1 and '400 Bad Request, from diplex itself' in said.stdout


def test_the_redirect_to_the_slash_works(site):
    answer = site.get('/async')
    assert (answer.status, answer.get('location')) == (301, '/async/')
    assert site.get('/async/').status == 200


def test_absolute_form_is_sent_on_as_origin_form(diplex, scripted):
    server = scripted(say(b'ok'))
    site = diplex(one_pool('asgi', server))
    with site.client() as client:
        client.send('GET http://example.org/a?b=c HTTP/1.1\r\nHost: example.org\r\n\r\n')
        assert client.response().status == 200
    assert (server.requests[0].target, server.requests[0].get('host')) == ('/a?b=c', 'example.org')


def test_no_route_is_told_by_diplex_itself(diplex, gunicorn):
    server = gunicorn(workers=2)
    site = diplex({'pools': {'app': {'kind': 'wsgi', 'servers': [server.address]}}, 'routes': {'/api/': 'app'}})
    assert site.get('/api/hello/').status == 200
    answer = site.get('/elsewhere/')
    assert answer.status == 404 and answer.get('server') != 'gunicorn'
    entry = site.wait_access(1, path='/elsewhere/')[0]
    assert (entry['status'], entry['pool'], entry['server']) == (404, None, None)
    assert entry['outcome'] == 'no_route'


def test_routes_may_name_a_host(diplex, scripted):
    servers = {'a': scripted(say(b'a')), 'b': scripted(say(b'b')), 'any': scripted(say(b'any'))}
    site = diplex(
        {
            'pools': {name: {'kind': 'asgi', 'servers': [server.address]} for name, server in servers.items()},
            'routes': [
                {'path': '/', 'pool': 'any'},
                {'host': 'a.example.org', 'path': '/', 'pool': 'a'},
                {'host': 'a.example.org', 'path': '/b/', 'pool': 'b'},
            ],
        }
    )
    for host, path, word in (
        ('a.example.org', '/', b'a'),
        ('A.Example.org:8080', '/x', b'a'),
        ('a.example.org', '/b/x', b'b'),
        ('other.example.org', '/b/x', b'any'),
        ('localhost', '/', b'any'),
    ):
        assert site.get(path, {'Host': host}).body == word, (host, path)


def test_a_wildcard_host_is_every_name_below_it(diplex, scripted):
    servers = {'below': scripted(say(b'below')), 'one': scripted(say(b'one')), 'any': scripted(say(b'any'))}
    site = diplex(
        {
            'pools': {name: {'kind': 'asgi', 'servers': [server.address]} for name, server in servers.items()},
            'routes': {'/': 'any', '*.example.org/': 'below', 'www.example.org/': 'one'},
        }
    )
    for host, word in (
        ('a.example.org', b'below'),
        ('a.b.example.org:80', b'below'),
        ('www.example.org', b'one'),
        ('example.org', b'any'),
        ('notexample.org', b'any'),
    ):
        assert site.get('/x', {'Host': host}).body == word, host


def test_ten_thousand_routes(diplex, gunicorn, uvicorn):
    """They load at once, each is found, and a request costs no more than with two."""
    wsgi, asgi = gunicorn(workers=2), uvicorn()
    few = two_pools(wsgi, asgi)
    tenants = {f'/tenant-{number}/': 'sync' if number % 2 else 'async' for number in range(9_990)}
    hosts = {f'host-{number}.example.org/async/': 'async' for number in range(8)}
    many = {**few, 'routes': {**few['routes'], **tenants, **hosts}}
    site = diplex(many)
    assert site.get('/api/hello/').json()['process']['kind'] == 'wsgi'
    assert site.get('/async/hello/').json()['process']['kind'] == 'asgi'
    with site.client() as client:
        for number in (0, 1, 4_998, 5_001, 9_988, 9_989):
            assert client.ask('GET', f'/tenant-{number}/x').status == 404, 'from Django, which knows no such page'
    entries = site.wait_access(8)[2:]
    assert [entry['route'] for entry in entries] == [f'/tenant-{n}/' for n in (0, 1, 4_998, 5_001, 9_988, 9_989)]
    assert [entry['pool'] for entry in entries] == ['async', 'sync'] * 3

    changed = {**many, 'routes': {**many['routes'], '/one-more/': 'async'}}
    site.reload(changed)
    site.wait_event('reloaded', seconds=4 * PATIENCE)
    site.get('/one-more/')
    assert site.wait_access(1, path='/one-more/')[0]['route'] == '/one-more/'
    done = run_diplex('explain', 'GET', '/tenant-77/a', '-c', site.config_path)
    assert '/tenant-77/' in done.stdout and json.loads(site.config_path.read_text())['routes']['/tenant-77/'] == 'sync'


def test_a_lookup_among_ten_thousand_costs_no_more_than_among_two(diplex, scripted):
    server = scripted(say(b'ok'))

    def seconds(site) -> float:
        best = 1e9
        with site.client() as client:
            for _ in range(5):
                before = time.perf_counter()
                for number in range(60):
                    assert client.ask('GET', f'/tenant-{number * 160}/x').status == 200
                best = min(best, time.perf_counter() - before)
        return best

    few = one_pool('asgi', server, workers=1)
    many = {**few, 'routes': {**few['routes'], **{f'/tenant-{number}/': 'app' for number in range(9_999)}}}
    assert seconds(diplex(many)) < 2 * seconds(diplex(few)) + 0.005
