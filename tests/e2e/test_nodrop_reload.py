# SPDX-License-Identifier: MIT
"""No request is lost by a reload: routes, pools, addresses and workers change under load of every kind."""

import contextlib
import pathlib

import pytest
from harness import free_port, two_pools
from load import EVERYBODY, ROUNDS, Load, followers, keepers, last_ones, listeners, newcomers, talkers
from wire import PATIENCE, RawClient, wait_until


class Admin:
    def __init__(self, path):
        self.path = str(path)

    def ask(self, method, target):
        with RawClient(self.path, patience=8 * PATIENCE) as client:
            return client.ask(method, target, {'Connection': 'close'})

    def status(self):
        return self.ask('GET', '/status').json()

    def reload(self):
        answer = self.ask('POST', '/reload')
        assert answer.status == 200, answer.body
        return answer.json()


@pytest.fixture
def site_of(diplex, gunicorn, uvicorn, directory):
    """site_of(**settings): diplex before both servers, with an admin socket in site.admin."""

    def start(**settings):
        def config(**more):
            wsgi = gunicorn(workers=2, worker_class='gthread', threads=4)
            return two_pools(
                wsgi, uvicorn(), sync={'slots': 8, 'hold': '30s', 'queue': {'max': 200, 'wait': '30s'}},
                admin=str(directory / 'admin.sock'), **{**settings, **more},
            )  # fmt: skip

        site = diplex(config())
        site.config = config
        site.admin = Admin(directory / 'admin.sock')
        return site

    return start


def test_two_hundred_reloads(site_of, directory):
    """Each changes routes and pools; every tenth the address that some follow; every tenth the number of workers."""
    site = site_of(workers=2)
    moving = [str(directory / 'one.sock'), ('127.0.0.1', free_port()), ('127.0.0.1', free_port())]

    def shown(address):
        return f'unix:{address}' if isinstance(address, str) else '%s:%d' % address

    def config(number):
        extra = {f'extra{number % 3}': {'kind': 'asgi', 'servers': ['127.0.0.1:9']}}
        base = site.config(workers=(2, 4, 1, 3)[number // 10 % 4])
        base['listen'] = [site.listen, shown(moving[(number + 5) // 10 % 3])]
        base['pools'] |= extra
        base['pools']['async']['slow_start'] = f'{number % 5 + 1}s'
        base['routes'] |= {f'/only-{number}/': f'extra{number % 3}'}
        base['limits'] = {'body': f'{number % 9 + 1}MB'}
        return base

    site.write_config(config(0))
    site.admin.reload()
    with Load(site.endpoint) as load, Load(*moving) as moved:
        load.start(*EVERYBODY)
        load.start(newcomers)
        moved.start(followers, paths=('/async/hello/',))
        load.wait_for(1)
        for number in range(200 * ROUNDS):
            site.write_config(config(number))
            site.admin.reload()
        load.wait_for(2)
        assert site.admin.status()['workers'] == 3
    load.check(*(kind.__name__ for kind in EVERYBODY))
    moved.check('followers')
    assert load.counts['unannounced'] == 0, load.counts
    assert len(site.children()) == 1, 'no generation lingers'
    assert site.admin.status()['reloads'] == 200 * ROUNDS + 1


def workers_of(site):
    """The threads that carry traffic: each has a loop, and so an epoll descriptor, beside that of the main thread."""
    loops = -1
    for link in pathlib.Path(f'/proc/{site.children()[0]}/fd').iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            loops += 'eventpoll' in str(link.readlink())
    return loops


def test_a_worker_that_is_one_too_many_ends_with_its_last_connection(site_of):
    site = site_of(workers=4)
    data = site.children()
    with Load(site.endpoint) as load:
        load.start(listeners, talkers, keepers, copies=6)
        wait_until(lambda: sum(load.counts.values()) > 100)
        site.write_config(site.config(workers=1))
        site.admin.reload()
        assert site.admin.status()['workers'] == 1
        load.wait_for(10)
        assert workers_of(site) > 1, 'streams keep some'
    load.check('listeners', 'talkers', 'keepers')
    assert load.counts['unannounced'] == 0
    assert load.counts['announced'] > 0, 'those who keep a connection are told to make a new one'
    wait_until(lambda: workers_of(site) == 1, what='the others to end')
    status = site.admin.status()
    assert site.children() == data
    assert status['counters']['client_connections'] <= 1, 'but the one that asks'
    assert all(server['active'] == 0 for pool in status['pools'] for server in pool['servers'])
    before = status['counters']['requests_total']
    site.write_config(site.config(workers=3))
    site.admin.reload()
    assert [site.get('/async/hello/').status for _ in range(9)] == [200] * 9
    wait_until(lambda: site.admin.status()['counters']['requests_total'] >= before + 9, what='the counters to go on')
    assert workers_of(site) == 3


def test_a_reload_that_is_refused_changes_no_worker(site_of, directory):
    site = site_of(workers=2)
    for wanted in (1, 4):
        config = site.config(workers=wanted)
        config['listen'] = [site.listen, '192.0.2.1:80']
        site.write_config(config)
        assert site.admin.ask('POST', '/reload').status == 422
        assert workers_of(site) == 2
        with Load(site.endpoint) as load:
            load.start(newcomers, copies=3)
            load.wait_for(30)
        load.check('newcomers')


@pytest.mark.parametrize('kind', ['tcp', 'unix'])
def test_a_stop_loses_nobody_who_is_connected(site_of, directory, kind):
    site = site_of(workers=3)
    address = site.endpoint
    if kind == 'unix':
        address = str(directory / 'front.sock')
        site.write_config({**site.config(), 'listen': [site.listen, f'unix:{address}']})
        site.admin.reload()
    with Load(address) as load:
        load.start(last_ones, copies=6)
        wait_until(lambda: load.counts['last_ones'] > 100)
        assert site.stop() == 0
        wait_until(lambda: load.counts['refused'] == 6 or load.failures, what='all to be refused')
    load.check('last_ones', 'refused')
