# SPDX-License-Identifier: MIT
"""What gunicorn and uvicorn do in their own lives: restarts, reloads, spent workers, IPv6, early hints."""

import signal
import threading
import time

import pytest
from harness import one_pool, two_pools
from test_streams import socket_to
from wire import wait_until

UPLOAD = {'Content-Type': 'application/octet-stream'}


class Visitors:
    """Threads that ask again and again until the block ends; `statuses` is what they were told."""

    def __init__(self, site, *requests, threads=3) -> None:
        self.statuses: list[int] = []
        self._site, self._requests, self._stop = site, requests, threading.Event()
        self._threads = [threading.Thread(target=self._visit) for _ in range(threads)]

    def _visit(self) -> None:
        while not self._stop.is_set():
            for method, path, body in self._requests:
                self.statuses.append(self._site.ask(method, path, UPLOAD if body else None, body).status)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)


def test_servers_by_ipv6_literal(diplex, gunicorn, uvicorn):
    wsgi, asgi = gunicorn(workers=1, host='::1'), uvicorn(host='::1')
    site = diplex(two_pools(wsgi, asgi, sync={'health': '/healthz/'}, async_={'health': '/async/healthz/'}))
    site.wait_event('server_up', wsgi.address)
    site.wait_event('server_up', asgi.address)
    assert site.get('/api/echo/').json()['headers']['Host'] == 'localhost'
    assert site.get('/async/hello/').status == 200
    assert [entry['server'] for entry in site.wait_access(2)] == [wsgi.address, asgi.address]


def test_websockets_over_unix_sockets(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(unix=True)))
    with socket_to(site) as socket:
        socket.send('through a file')
        assert socket.recv(5) == 'through a file'


def test_early_hints_of_a_wsgi_application_pass(diplex, wsgi):
    with diplex(one_pool('wsgi', wsgi)).client() as client:
        for _ in range(2):
            answer = client.ask('GET', '/api/hints/')
            assert answer.informational == [(103, [('link', '</style.css>; rel=preload; as=style')])]
            assert (answer.status, answer.body) == (200, b'after the hints\n')


@pytest.mark.parametrize('worker_class', ['sync', 'gthread'])
def test_spent_workers_cost_no_request(diplex, gunicorn, worker_class):
    """max_requests: a worker ends after so many answers, and its last one closes the connection."""
    server = gunicorn(
        fresh=True, worker_class=worker_class, workers=2, threads=1 if worker_class == 'sync' else 2,
        extra=('--max-requests', '7'),
    )  # fmt: skip
    site = diplex(one_pool('wsgi', server))
    pids = set()
    for _ in range(30):
        answer = site.get('/api/hello/')
        assert answer.status == 200
        pids.add(answer.json()['process']['pid'])
    assert len(pids) > 3, 'workers were replaced'


def test_a_reload_of_gunicorn_costs_no_request(diplex, gunicorn):
    """HUP: new workers, and the old ones end after what they are at."""
    server = gunicorn(fresh=True, workers=2)
    site = diplex(one_pool('wsgi', server))
    old = {site.get('/api/hello/').json()['process']['pid'] for _ in range(12)}
    with Visitors(site, ('GET', '/api/hello/', None), ('POST', '/api/upload/', b'abc')) as visitors:
        time.sleep(0.2)
        server.signal(signal.SIGHUP)
        wait_until(lambda: site.get('/api/hello/').json()['process']['pid'] not in old, what='a new worker')
        time.sleep(0.5)
    assert set(visitors.statuses) == {200} and len(visitors.statuses) > 20
    assert site.get('/api/hello/').json()['process']['pid'] not in old


def test_a_restart_of_one_of_two_uvicorns_costs_only_what_it_closes_on(diplex, uvicorn):
    """Its port is closed for a moment, and the other one serves. What it closes on without an answer may have been
    read, so a POST is not sent again; each visitor can have one such request at most."""
    stays, goes = uvicorn(), uvicorn(fresh=True)
    site = diplex(one_pool('asgi', stays, goes))
    for _ in range(4):
        assert site.get('/async/hello/').status == 200
    with Visitors(site, ('GET', '/async/hello/', None), ('POST', '/async/upload/', b'abc'), threads=2) as visitors:
        time.sleep(0.2)
        goes.stop()
        time.sleep(0.2)
        goes.start()
        time.sleep(0.3)
    entries = site.wait_access(4 + len(visitors.statuses))
    lost = [entry for entry in entries if entry['status'] != 200]
    assert len(entries) > 50 and len(lost) <= 2
    assert {(entry['status'], entry['outcome'], entry['server']) for entry in lost} <= {(502, 'server_closed', goes.address)}


def test_a_connection_that_a_restart_has_closed_is_not_used(diplex, uvicorn):
    server = uvicorn(fresh=True)
    site = diplex(one_pool('asgi', server, workers=1))
    assert site.ask('POST', '/async/upload/', UPLOAD, b'abc').status == 200
    server.stop()
    server.start()
    assert site.ask('POST', '/async/upload/', UPLOAD, b'abc').status == 200
    assert [entry['reused'] for entry in site.wait_access(2)] == [False, False]


def test_a_worker_that_hangs_is_killed_by_gunicorn_and_the_client_told(diplex, gunicorn):
    """gunicorn's own timeout: the arbiter kills the worker, its connection ends without an answer."""
    site = diplex(one_pool('wsgi', gunicorn(fresh=True, workers=1, extra=('--timeout', '1'))))
    answer = site.ask('POST', '/api/slow/20000/', UPLOAD, b'')
    assert answer.status in (500, 502), 'gunicorn may manage to say 500 itself'
    wait_until(lambda: site.get('/api/hello/').status == 200, what='the next worker')
    assert [entry['path'] for entry in site.wait_access(2)][0] == '/api/slow/20000/'
