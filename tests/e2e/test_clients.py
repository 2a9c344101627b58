# SPDX-License-Identifier: MIT
"""Clients that people use are served, however strict the rules: GET, POST with a length and chunked, HEAD, a connection
used again, Expect, by each client's own ways, before gunicorn and before uvicorn. Those in other languages are skipped
where the machine does not have them."""

import asyncio
import json
import os
import pathlib
import shutil
import subprocess

import aiohttp
import httpx
import pytest
import requests
from harness import run_diplex, two_pools

HERE = pathlib.Path(__file__).parent / 'clients'
PLACES = {'wsgi': '/api/echo/', 'asgi': '/async/echo/'}
SAID = {
    'get': '200 GET 0',
    'post': '200 POST 5',
    'chunked': '200 POST 11',
    'head': '200 - 0',
    'expect': '200 POST 100000',
    'again': '200 GET 0',
}
SECONDS = 120  # a compiler may have to be warmed up


@pytest.fixture
def site(diplex, gunicorn, uvicorn, directory):
    """diplex before both servers; `.connections()`: how many clients have come so far."""
    pools = two_pools(gunicorn(worker_class='gthread', workers=1, threads=4), uvicorn(), admin=str(directory / 'admin.sock'))
    site = diplex(pools)

    def connections() -> int:
        return json.loads(run_diplex('status', '--json', '-c', site.config_path).stdout)['counters']['client_connections_total']

    site.connections = connections
    return site


def pieces():
    yield b'hello '
    yield b'world'


def say(status: int, body: bytes) -> str:
    said = json.loads(body) if body else {'method': '-', 'body_size': 0}
    return f'{status} {said["method"]} {said["body_size"]}'


def by_requests(url):
    with requests.Session() as session:
        session.trust_env = False
        asked = {
            'get': session.get(url),
            'post': session.post(url, data=b'hello'),
            'chunked': session.post(url, data=pieces()),
            'head': session.head(url),
            'again': session.get(url),
        }
    return {name: say(answer.status_code, answer.content) for name, answer in asked.items()}


def by_httpx(url):
    with httpx.Client(trust_env=False, timeout=20) as client:
        asked = {
            'get': client.get(url),
            'post': client.post(url, content=b'hello'),
            'chunked': client.post(url, content=pieces()),
            'head': client.head(url),
            'again': client.get(url),
        }
    return {name: say(answer.status_code, answer.content) for name, answer in asked.items()}


def by_aiohttp(url):
    async def more():
        for piece in pieces():
            yield piece

    async def ask(session, method, **how):
        async with session.request(method, url, **how) as answer:
            return say(answer.status, await answer.read())

    async def all_of_them():
        async with aiohttp.ClientSession() as session:
            return {
                'get': await ask(session, 'GET'),
                'post': await ask(session, 'POST', data=b'hello'),
                'chunked': await ask(session, 'POST', data=more()),
                'head': await ask(session, 'HEAD'),
                'expect': await ask(session, 'POST', data=bytes(100_000), expect100=True),
                'again': await ask(session, 'GET'),
            }

    return asyncio.run(all_of_them())


def run(*command, **more) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=SECONDS, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def by_curl(url):
    """One run of curl with six transfers, which use one connection."""
    need('curl')
    ways = {
        'get': [],
        'post': ['-d', 'hello'],
        'chunked': ['-H', 'Transfer-Encoding: chunked', '-d', 'hello world'],
        'head': ['-I', '-o', '/dev/null'],
        'expect': ['-H', 'Expect: 100-continue', '--expect100-timeout', '10', '--data-binary', '@-'],
        'again': [],
    }
    command = ['curl', '-sS', '--no-progress-meter', '-m', '20', '--noproxy', '*']
    for name, options in ways.items():
        command += ['--next'] * (name != 'get') + [*options, '-w', '\n%{http_code} ' + name + '\n', url]
    lines = run(*command, input='x' * 100_000).splitlines()
    said = {}
    for index, line in enumerate(lines):
        status, _, name = line.partition(' ')
        if name in ways:
            said[name] = say(int(status), b'' if name == 'head' else lines[index - 1].encode())
    return said


def need(tool):
    if shutil.which(tool) is None:
        pytest.skip(f'{tool} is not on this machine')


def by_program(*command):
    def ask(url):
        need(command[0])
        return dict(line.split(' ', 1) for line in run(*command, url).splitlines())

    return ask


def by_go(url):
    need('go')
    if os.environ.get('DIPLEX_CLIENTS') != 'all' and 'false' not in run('go', 'list', '-f', '{{.Stale}}', 'net/http'):
        pytest.skip('go would have to compile its library, for a minute or more: DIPLEX_CLIENTS=all does')
    return by_program('go', 'run', HERE / 'client.go')(url)


CLIENTS = {
    'curl': by_curl,
    'requests': by_requests,
    'httpx': by_httpx,
    'aiohttp': by_aiohttp,
    'go': by_go,
    'java': by_program('java', HERE / 'Client.java'),
    'node': by_program('node', HERE / 'client.mjs'),
}


@pytest.mark.parametrize('name', CLIENTS)
def test_clients_that_people_use(site, name):
    for place in PLACES.values():
        before = site.connections()
        said = CLIENTS[name](f'http://{site.listen}{place}')
        assert said == {what: SAID[what] for what in said} and said.keys() >= SAID.keys() - {'expect'}, place
        assert site.connections() - before == 1, f'{place}: all on one connection'
