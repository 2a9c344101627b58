# SPDX-License-Identifier: MIT
"""Names become servers, in a network namespace with a name server that the test commands, and real servers behind the
name: scaled up and down, replaced, and gone for a while, under load; and everything a resolv.conf may hold.
"""

import subprocess
import time

import network
import pytest
from network import ADDRESSES, ADDRESSES6, DEAD_NAME_SERVER, NAME_SERVER, OTHER_NAME_SERVER, Load
from wire import wait_until

WHY_NOT = network.missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=f'needs a network of its own: {WHY_NOT}')

ONE, TWO, THREE, FOUR = ADDRESSES[:4]


@pytest.fixture
def net(directory):
    with network.Network(directory) as net:
        net.start_name_server()
        yield net


@pytest.fixture
def server(net, directory, request):
    """server(host, cls=network.Gunicorn): a Django server on that address."""

    def start(host, cls=network.Gunicorn):
        path = directory / f'{cls.name}-{host.replace(":", "-")}'
        path.mkdir(exist_ok=True)
        one = cls(net, path, host)
        request.addfinalizer(one.end_group)
        return one.start()

    return start


@pytest.fixture
def site(net, directory, request):
    """site(kind='wsgi', name='web', resolve='1s', pool={}, ...): diplex in front of one name."""

    def start(kind='wsgi', name='web', resolve='1s', pool=None, **settings):
        path = directory / 'diplex'
        path.mkdir()
        servers = [f'{name}:{network.PORT}']
        config = {
            'pools': {'web': {'kind': kind, 'servers': servers, **(pool or {})}},
            'routes': {'/': 'web'},
            'resolve': resolve,
            'workers': 2,
            **settings,
        }
        program = network.Diplex(net, path, config)
        request.addfinalizer(program.finish)
        return program.start()

    return start


# ---- servers come and go ----


def test_every_address_of_both_families_is_a_server(net, server, site):
    hosts = [ONE, TWO, ADDRESSES6[0]]
    for host in hosts:
        server(host)
    net.web(*hosts)
    edge = site()
    edge.wait_servers(*hosts)
    began = time.monotonic()
    with Load(edge, '/api/hello/') as load:
        load.wait_for(3, began)
    assert not load.failures()
    assert all(one['requests_total'] for one in edge.servers().values())


def test_scaled_up_and_down_under_load(net, server, site):
    """1 -> 3 -> 1 without a reload: the new ones get their share, those that leave finish what they have."""
    servers = [server(ONE)]
    net.web(ONE)
    edge = site()
    edge.wait_servers(ONE)
    with Load(edge, '/api/slow/20/') as load:
        load.wait_for(1, time.monotonic())
        servers += [server(TWO), server(THREE)]
        net.web(ONE, TWO, THREE)
        edge.wait_servers(ONE, TWO, THREE)
        load.wait_for(3, time.monotonic())
        net.web(ONE)
        edge.wait_servers(ONE)
        time.sleep(0.5)  # what ran has finished
        left = time.monotonic()
        for leaving in servers[1:]:
            leaving.stop()
        load.wait_for(1, left + 0.3)
    assert not load.failures()
    assert len({process for began, _, _, process in load.answers if began > left}) == 1
    assert edge.stderr.count(' reloaded ') == 0


def connections_to(net, host):
    """How many connections to that address are open inside."""
    asked = ['ss', '-Htn', 'state', 'established', f'dst {host}:{network.PORT}']
    listed = subprocess.run([*net.enter(net.directory), *asked], capture_output=True, text=True, check=True)
    return len(listed.stdout.splitlines())


def test_what_leaves_drains(net, server, site):
    """A running request finishes and a stream goes on at a server whose address has left; its idle connections are
    closed, and it gets no new request.
    """
    leaving = server(ONE, network.Uvicorn)
    net.web(ONE)
    edge = site('asgi', workers=1)
    edge.wait_servers(ONE)
    with edge.client() as stream, edge.client() as slow, edge.client() as idle:
        stream.request('GET', '/async/events/?count=0&interval=100')
        head = stream.head()
        assert head.status == 200
        pieces = stream.pieces()
        next(pieces)
        slow.request('GET', '/async/slow/4000/')
        wait_until(lambda: connections_to(net, ONE) == 2)
        old = idle.ask('GET', '/async/hello/').json()['process']['pid']
        assert connections_to(net, ONE) == 3
        server(TWO, network.Uvicorn)
        net.web(TWO)
        edge.wait_servers(TWO)
        for _ in range(10):
            assert idle.ask('GET', '/async/hello/').json()['process']['pid'] != old
        wait_until(lambda: connections_to(net, ONE) == 2)
        answer = slow.response()
        assert answer.status == 200
        assert answer.json()['process']['pid'] == old
        wait_until(lambda: connections_to(net, ONE) == 1)
        began = time.monotonic()
        while time.monotonic() < began + 1.0:
            assert next(pieces)
    wait_until(lambda: connections_to(net, ONE) == 0)
    leaving.stop()


def test_replaced_with_a_new_address_under_load(net, server, site):
    """As `docker compose up -d --build web` does it: the old one ends, then the new one comes with another address.
    Who comes in between is held, and no request is lost.
    """
    old = server(ONE)
    net.web(ONE)
    edge = site()
    edge.wait_servers(ONE)
    with Load(edge, '/api/hello/') as load:
        load.wait_for(1, time.monotonic())
        stopped = time.monotonic()
        old.stop()
        net.ip('address', 'delete', f'{ONE}/24', 'dev', 'lo')  # nobody refuses a connection there any more
        server(TWO)
        net.web(TWO)
        edge.wait_servers(TWO)
        changed = time.monotonic()
        load.wait_for(1, changed + 0.5)
    assert not load.failures(), load.failures()[:5]
    assert changed - stopped < 10
    assert load.longest() < changed - stopped + 2, 'who waited was let go when somebody was there'


def test_gone_for_a_while_and_back_under_load(net, server, site):
    """The name is taken away with the container, and comes back with another address."""
    old = server(ONE)
    net.web(ONE)
    edge = site(resolve='5s')
    edge.wait_servers(ONE)
    with Load(edge, '/api/hello/') as load:
        load.wait_for(1, time.monotonic())
        gone = time.monotonic()
        old.stop()
        net.web()
        edge.wait_event('name_gone', 'server=web:8000')
        assert edge.servers() == {}
        server(TWO)
        net.web(TWO)
        back = time.monotonic()
        edge.wait_servers(TWO, seconds=2.5)  # asked every second while there is none
        load.wait_for(1, time.monotonic() + 0.3)
    assert not load.failures(), load.failures()[:5]
    assert load.longest() < back - gone + 4, 'who waited was let go when somebody was there'


def test_starts_before_the_name_and_the_name_server_are_there(net, server, site):
    net.stop_name_server()
    edge = site(resolve='1h')
    edge.wait_event('name_unresolved', 'addresses_kept=0')
    server(ONE)
    net.web(ONE)
    net.start_name_server()
    edge.wait_servers(ONE, seconds=10)
    assert edge.get('/api/hello/').status == 200


# ---- when it is asked ----


def test_a_connect_failure_asks_at_once(net, server, site):
    """With an hour between lookups, a server that is found dead is replaced within a second or two."""
    old = server(ONE)
    net.web(ONE)
    edge = site(resolve='1h')
    edge.wait_servers(ONE)
    assert edge.get('/api/hello/').status == 200
    asked = len(net.questions())
    server(TWO)
    net.web(TWO)
    time.sleep(1.5)
    assert len(net.questions()) == asked  # nothing happened, nobody asks
    old.stop()
    edge.get('/api/hello/')
    edge.wait_servers(TWO, seconds=2.5)
    assert edge.get('/api/hello/').status == 200


def test_a_pool_without_a_usable_server_asks_every_second(net, server, site):
    """Found by probes alone: nobody sends a request."""
    probe = {'health': {'path': '/healthz/', 'interval': '200ms', 'timeout': '1s', 'retries': 1, 'start_period': '0s'}}
    old = server(ONE)
    net.web(ONE)
    edge = site(resolve='1h', pool=probe)
    edge.wait_event('server_up')
    old.stop()
    edge.wait_event('pool_down')
    server(TWO)
    net.web(TWO)
    edge.wait_servers(TWO, seconds=2.5)
    edge.wait_event('pool_up')
    asked = len(net.questions())
    time.sleep(2.2)
    assert len(net.questions()) == asked  # all is well again


def test_the_interval_counts_and_not_the_time_to_live(net, server, site):
    """The name server says 600 s; docker's does, of addresses that change at any moment."""
    server(ONE)
    net.web(ONE)
    edge = site(resolve='300ms')
    edge.wait_servers(ONE)
    before = len(net.questions(name='web', type='A'))
    time.sleep(1.5)
    assert 3 <= len(net.questions(name='web', type='A')) - before <= 6


# ---- answers that decide nothing ----


@pytest.mark.parametrize('trouble', [{'rcode': 2}, {'silent': ['A', 'AAAA']}], ids=['failing', 'silent'])
def test_a_failing_name_server_changes_nothing(net, server, site, trouble):
    server(ONE)
    net.web(ONE)
    edge = site()
    edge.wait_servers(ONE)
    with Load(edge, '/api/hello/') as load:
        net.publish(web=trouble)
        edge.wait_event('name_unresolved', 'addresses_kept=1', seconds=15)
        load.wait_for(1, time.monotonic() + 1)
    assert not load.failures()
    edge.wait_servers(ONE)


@pytest.mark.parametrize('trouble', ['failing', 'silent'])
def test_half_an_answer_takes_no_server_away(net, server, site, trouble):
    """A answered, AAAA did not: the IPv6 server stays, and an IPv4 server that left has left."""
    hosts = [ONE, TWO, ADDRESSES6[0]]
    for host in hosts:
        server(host)
    net.web(*hosts)
    edge = site()
    edge.wait_servers(*hosts)
    net.publish(web={'A': [TWO], 'AAAA': [ADDRESSES6[0]], trouble: ['AAAA']})
    edge.wait_servers(TWO, ADDRESSES6[0])
    time.sleep(3)
    edge.wait_servers(TWO, ADDRESSES6[0])
    assert edge.get('/api/hello/').status == 200
    assert 'name_unresolved' not in edge.stderr


def test_a_silent_family_does_not_delay_the_start(net, server, site):
    server(ONE)
    net.publish(web={'A': [ONE], 'silent': ['AAAA']})
    edge = site()
    edge.wait_servers(ONE, seconds=3)


def test_a_name_without_addresses_is_gone_the_third_time(net, server, site):
    server(ONE)
    net.web(ONE)
    edge = site()
    edge.wait_servers(ONE)
    net.publish(web={})
    edge.wait_event('name_unresolved', 'no address behind the name')
    assert edge.servers()
    edge.wait_event('name_gone')
    assert edge.servers() == {}


# ---- how names are looked up ----


def test_more_addresses_than_fit_into_a_datagram(net, server, site):
    """120 addresses: by EDNS as many as fit, and the whole answer over TCP."""
    many = [f'10.77.2.{i}' for i in range(1, 121)]
    net.publish(web={'A': many})
    edge = site(resolve='1h')
    edge.wait_servers(*many)
    assert net.questions(type='A', over='tcp')


def test_a_name_server_that_knows_no_edns(net, site):
    many = [f'10.77.2.{i}' for i in range(1, 61)]
    net.publish(web={'A': many}, **{'*': {'edns': False}})
    edge = site(resolve='1h')
    edge.wait_servers(*many)


def test_more_addresses_than_a_pool_holds_are_cut_and_said(net, site):
    many = [f'10.77.2.{i}' for i in range(1, 141)]
    net.publish(web={'A': many})
    edge = site(resolve='1h')
    edge.wait_event('name_cut', 'addresses_max=128')
    wait_until(lambda: len(edge.servers()) == 128)


def test_aliases_are_followed(net, server, site):
    net.publish(web={'CNAME': 'www.example'}, **{'www.example': {'CNAME': 'host.example'}, 'host.example': {'A': [ONE]}})
    site(resolve='1h').wait_servers(ONE)


def test_search_domains(net, site):
    """As in a podman or kubernetes network: a short name is completed."""
    net.resolv_conf.write_text(f'search nowhere.example here.example\nnameserver {NAME_SERVER}\noptions ndots:2\n')
    net.publish(**{'web.here.example': {'A': [ONE], 'AAAA': [ADDRESSES6[0]]}})
    site(resolve='1h').wait_servers(ONE, ADDRESSES6[0])
    assert [one['name'] for one in net.questions(type='A')] == ['web.nowhere.example', 'web.here.example']


def test_ndots_zero(net, site):
    """As in a docker network: the name as it is comes first, and is enough."""
    net.resolv_conf.write_text(f'search here.example\nnameserver {NAME_SERVER}\noptions ndots:0\n')
    net.publish(**{'web': {'A': [ONE]}, 'web.here.example': {'A': [TWO]}})
    site(resolve='1h').wait_servers(ONE)
    assert [one['name'] for one in net.questions(type='A')] == ['web']


def test_one_of_two_name_servers_is_dead(net, site):
    net.resolv_conf.write_text(f'nameserver {DEAD_NAME_SERVER}\nnameserver {NAME_SERVER}\n')
    net.web(ONE)
    edge = site()
    edge.wait_servers(ONE, seconds=4)
    net.web(TWO)
    edge.wait_servers(TWO, seconds=5)


def test_a_changed_resolv_conf_is_read_again(net, site):
    """Even while a question to the old name server is under way."""
    net.resolv_conf.write_text(f'nameserver {DEAD_NAME_SERVER}\n')
    net.web(ONE)
    edge = site()
    time.sleep(0.5)
    net.start_name_server(OTHER_NAME_SERVER)
    net.resolv_conf.write_text(f'nameserver {OTHER_NAME_SERVER}\n')
    edge.wait_servers(ONE)


def test_the_hosts_file_comes_first_and_its_changes_count(net, site):
    net.web(THREE)
    net.hosts.write_text(f'127.0.0.1 localhost\n{ONE}\tweb web.example # ours\n{ADDRESSES6[0]} WEB\n')
    edge = site()
    edge.wait_servers(ONE, ADDRESSES6[0])
    assert not net.questions()
    net.hosts.write_text(f'127.0.0.1 localhost\n{TWO} other web\n')
    edge.wait_servers(TWO)
    net.hosts.write_text('127.0.0.1 localhost\n')
    edge.wait_servers(THREE)
