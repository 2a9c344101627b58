# SPDX-License-Identifier: MIT
"""Two replicas of diplex before the same servers, and a TCP balancer before them: what each counts for itself, what both
know without telling each other, and one that is taken away under load.
"""

import contextlib
import json
import select
import threading

import pytest
from balancer import Balancer
from harness import run_diplex, two_pools
from wire import PATIENCE, RawClient, wait_until

UPLOAD = bytes(range(256)) * 1024


class Replicas:
    def __init__(self, diplex, directory, config):
        self.admins = [str(directory / f'admin{i}.sock') for i in range(2)]
        self.sites = [diplex(config | {'admin': admin}, start=False) for admin in self.admins]
        for site in self.sites:
            listen = {'address': site.listen, 'proxy_protocol': True}
            site.write_config(json.loads(site.config_path.read_text()) | {'listen': [listen]})
            site.start()

    def status(self, i):
        return json.loads(run_diplex('status', '--json', '-a', self.admins[i]).stdout)

    def active(self, i):
        pool = self.status(i)['pools'][0]
        return sum(server['active'] for server in pool['servers']), pool['queued']


@pytest.fixture
def replicas(diplex, directory):
    def start(wsgi, asgi, **more):
        return Replicas(diplex, directory, two_pools(wsgi, asgi, trusted_proxies=['loopback'], **more))

    return start


class Visitors:
    """Clients as they are: connections kept and used again, unless an answer or the other side has said that it was the
    last."""

    def __init__(self, endpoint, asks, each=2):
        self.endpoint, self.asks = endpoint, asks
        self.answered, self.failures = 0, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=ask) for ask in asks for _ in range(each)]

    def _run(self, method, target, body):
        client = None
        while not self._stop.wait(0.005):
            if client is not None and select.select([client.socket], [], [], 0)[0]:
                client.close()
                client = None
            try:
                client = client or RawClient(self.endpoint, patience=60.0)
                answer = client.ask(method, target, None, body)
                assert answer.status == 200, answer
                assert body is None or answer.json()['size'] == len(body)
            except (OSError, AssertionError) as error:
                self.failures.append((method, target, repr(error)))
                client = None
                continue
            self.answered += 1
            if answer.get('connection') == 'close':
                client.close()
                client = None
        if client is not None:
            client.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(70.0)

    def wait_more(self, count=60):
        enough = self.answered + count
        wait_until(lambda: self.failures or self.answered >= enough, 60.0)
        assert not self.failures, self.failures[:5]


def test_one_of_two_is_taken_away_under_load(replicas, gunicorn, uvicorn):
    """As an orchestrator does it: out of the balancer first, then SIGTERM. Connections that are open are told to go."""
    pair = replicas(gunicorn(worker_class='gthread', threads=4), uvicorn(), sync={'slots': 2})
    one, other = pair.sites
    asks = [('GET', '/api/hello/', None), ('GET', '/async/hello/', None), ('POST', '/api/upload/', UPLOAD)]
    with Balancer(one.endpoint, other.endpoint) as balancer, Visitors(balancer.endpoint, asks) as visitors:
        visitors.wait_more()
        assert all(balancer.passed.values()), 'both have clients'
        balancer.take_out(one.endpoint)
        assert one.stop(30) == 0
        one.wait_event(' drained ', 'cut_off=0')
        visitors.wait_more()
        one.start()
        balancer.put_in(one.endpoint)
        before = balancer.passed[one.endpoint]
        balancer.take_out(other.endpoint)
        assert other.stop(30) == 0
        visitors.wait_more()
        assert balancer.passed[one.endpoint] > before
    assert not visitors.failures, visitors.failures[:5]


def test_slots_are_counted_by_each_alone(replicas, scripted):
    """So gunicorn's four threads are two slots in each of two replicas; what is more waits in diplex, and not there."""
    go_on = threading.Event()

    def busy(connection):
        while connection.read_request() is not None:
            go_on.wait(60.0)
            connection.reply()

    pair = replicas(scripted(busy), scripted(busy), sync={'slots': 2})
    with Balancer(*[site.endpoint for site in pair.sites]) as balancer, contextlib.ExitStack() as stack:
        stack.callback(go_on.set)
        clients = [stack.enter_context(RawClient(balancer.endpoint, patience=60.0)) for _ in range(8)]
        for client in clients:
            client.request('GET', '/')
        wait_until(lambda: [pair.active(i) for i in range(2)] == [(2, 2), (2, 2)], PATIENCE)
        go_on.set()
        assert [client.response().status for client in clients] == [200] * 8


def test_both_know_who_the_client_is(replicas, gunicorn, uvicorn):
    pair = replicas(gunicorn(), uvicorn())
    with Balancer(*[site.endpoint for site in pair.sites]) as balancer:
        for _ in range(4):
            with RawClient(balancer.endpoint, source='127.9.7.7') as client:
                assert client.ask('GET', '/async/echo/').json()['remote_addr'] == '127.9.7.7'
        assert list(balancer.passed.values()) == [2, 2]


def test_a_cookie_of_one_is_understood_by_the_other(replicas, gunicorn, uvicorn):
    """With the same secret: nothing is kept, so nothing has to be shared."""
    first, second = gunicorn(), gunicorn(threads=2, worker_class='gthread')
    sync = {'servers': [first.address, second.address], 'sticky': {'by': 'cookie', 'cookie': 'seat', 'secret': 'the same'}}
    pair = replicas(first, uvicorn(), sync=sync)
    with Balancer(*[site.endpoint for site in pair.sites]) as balancer:
        with RawClient(balancer.endpoint) as client:
            answer = client.ask('GET', '/api/hello/')
        cookie, process = answer.get('set-cookie').split(';')[0], answer.json()['process']['pid']
        for _ in range(8):
            with RawClient(balancer.endpoint) as client:
                again = client.ask('GET', '/api/hello/', {'Cookie': cookie})
                assert again.json()['process']['pid'] == process and not again.all('set-cookie')
        assert min(balancer.passed.values()) >= 4
