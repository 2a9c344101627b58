# SPDX-License-Identifier: MIT
"""Another program in the place of the running one: the same process, the same sockets, and nothing lost."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import threading
import time

import harness
import pytest
from harness import VALGRIND, free_port, has_ended, run_diplex
from load import EVERYBODY, ROUNDS, Line, Load, followers, get, keepers, listeners, newcomers, talkers
from test_nodrop_reload import site_of  # noqa: F401
from wire import PATIENCE, RawClient, wait_until

pytestmark = pytest.mark.skipif(VALGRIND, reason='the tool itself is not started again by an exec')


@pytest.fixture
def upgradable(site_of, directory, monkeypatch):  # noqa: F811
    """As site_of, but the program is a file of its own, site.program."""
    program = directory / 'diplex'
    shutil.copy(harness.DIPLEX, program)

    def start(**settings):
        with monkeypatch.context() as patch:
            patch.setattr(harness, 'DIPLEX', program)
            site = site_of(**settings)
        site.program = program
        return site

    return start


OTHER_LAYOUT = harness.DIPLEX.with_name('diplex_other_layout')
needs_other_layout = pytest.mark.skipif(not OTHER_LAYOUT.exists(), reason='made with the tests: diplex_other_layout')


def put_in_place(site, program):
    """Nobody ever sees half a file."""
    fresh = site.program.with_suffix('.new')
    shutil.copy(program, fresh)
    fresh.replace(site.program)


def open_stream(site):
    line = Line(site.endpoint)
    line.send(get('/async/events/?count=100000&interval=50'))
    assert line.head()[0] == 200
    return line


def descriptors(site):
    """Of control, once nothing is under way."""
    return min(len(os.listdir(f'/proc/{site.pid}/fd')) for _ in range(20))


def upgrade(site):
    answer = site.admin.ask('POST', '/upgrade')
    assert answer.status == 200, answer.body
    return answer.json()


def data_of(site):
    return site.admin.status()['data_pid']


def test_upgrades_under_load(upgradable, directory):
    """Streams and WebSockets of those that were replaced live on; addresses and workers change with each."""
    site = upgradable(workers=2)
    moving = [('127.0.0.1', free_port()), str(directory / 'moving.sock')]
    shown = [f'127.0.0.1:{moving[0][1]}', f'unix:{moving[1]}']
    site.write_config({**site.config(), 'listen': [site.listen, shown[0]]})
    site.admin.reload()
    with Load(site.endpoint) as load, Load(*moving) as moved:
        load.start(*EVERYBODY)
        load.start(newcomers)
        moved.start(followers, paths=('/async/hello/',))
        load.wait_for(1)
        pids = [data_of(site)]
        for number in range(1, 3 * ROUNDS + 1):
            site.write_config({**site.config(workers=(2, 3, 1)[number % 3]), 'listen': [site.listen, shown[number % 2]]})
            told = upgrade(site)
            assert told['result'] == 'upgraded' and told['data_pid'] not in pids
            pids.append(told['data_pid'])
            load.wait_for(3)
        assert not has_ended(pids[0]), 'it has streams'
        site.admin.reload()
        load.wait_for(2)
    load.check(*(kind.__name__ for kind in EVERYBODY))
    moved.check('followers')
    assert load.counts['unannounced'] == 0, load.counts
    wait_until(lambda: site.children() == [pids[-1]], what='those that were replaced to end')
    status = site.admin.status()
    assert status['control_pid'] == site.pid and status['data_starts'] == len(pids) and status['data_deaths'] == 0
    assert status['counters']['requests_total'] >= sum(load.counts[kind] for kind in ('newcomers', 'keepers', 'uploaders'))
    assert status['counters']['client_connections'] <= 1
    assert all(server['active'] == 0 for pool in status['pools'] for server in pool['servers'])
    assert os.readlink(f'/proc/{site.pid}/exe') == str(site.program)


def test_the_program_file_may_be_another_one_by_then(upgradable):
    site = upgradable()
    site.program.unlink()
    done = run_diplex('upgrade', '-c', site.config_path)
    assert done.returncode == 2 and 'No such file' in done.stderr and 'the old one goes on' in done.stderr
    assert os.readlink(f'/proc/{site.pid}/exe').endswith('(deleted)')
    assert site.get('/api/hello/').status == 200
    for strange in ('#!/bin/sh\necho not this one; exit 3\n', '#!/bin/sh\nkill -9 $$\n', 'rubbish'):
        site.program.write_text(strange)
        site.program.chmod(0o755)
        done = run_diplex('upgrade', '-c', site.config_path)
        assert done.returncode == 2, done
        assert site.get('/async/hello/').status == 200
    site.wait_event('upgrade_failed', 'not this one')
    site.program.unlink()
    shutil.copy(f'/proc/{site.pid}/exe', site.program)
    old = data_of(site)
    done = run_diplex('upgrade', '-c', site.config_path)
    assert done.returncode == 0 and f'data process {data_of(site)} serves' in done.stdout, done
    assert data_of(site) != old and os.readlink(f'/proc/{site.pid}/exe') == str(site.program)


def test_a_faulty_file_changes_nothing(upgradable):
    site = upgradable()
    old = data_of(site)
    good = site.config_path.read_text()
    site.config_path.write_text('routes: [')
    done = run_diplex('upgrade', '-a', site.admin.path)
    assert done.returncode == 2 and 'diplex.yaml:' in done.stderr, done
    site.wait_event('upgrade_failed', 'diplex.yaml')
    site.config_path.unlink()
    assert run_diplex('upgrade', '-a', site.admin.path).returncode == 2
    assert data_of(site) == old and site.get('/async/hello/').status == 200
    site.config_path.write_text(good)
    upgrade(site)


@pytest.mark.parametrize('program', [harness.DIPLEX, pytest.param(OTHER_LAYOUT, marks=needs_other_layout)], ids=lambda path: path.name)
def test_what_was_said_by_hand_goes_on(upgradable, program):
    site = upgradable()
    put_in_place(site, program)
    server = site.config()['pools']['async']['servers'][0]
    assert site.admin.ask('POST', f'/drain?server=async/{server}').status == 200
    assert site.admin.ask('POST', '/hold?pool=sync').status == 200
    for name in ('/', '*'):
        assert site.admin.ask('POST', f'/maintenance?on={name}').status == 200
    site.admin.reload()
    before = site.admin.status()
    upgrade(site)
    after = site.admin.status()
    assert after['maintenance'] == before['maintenance'] and site.get('/api/hello/').status == 503
    pools = {pool['name']: pool for pool in after['pools']}
    assert pools['sync']['hold'] == 'all' and pools['async']['servers'][0]['why'] == 'drained'
    assert after['reloads'] == before['reloads'] and after['uptime_ms'] >= before['uptime_ms']
    assert site.admin.ask('POST', f'/undrain?server=async/{server}').status == 200
    assert site.admin.ask('POST', '/release?pool=sync').status == 200
    for name in ('/', '*'):
        assert site.admin.ask('POST', f'/maintenance?off={name}').status == 200
    assert site.get('/async/hello/').status == site.get('/api/hello/').status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become somebody else')
def test_a_new_data_process_that_cannot_serve_is_given_up(upgradable):
    site = upgradable()
    site.deaths_are_expected = True
    old = data_of(site)
    with Load(site.endpoint) as load:
        load.start(listeners, talkers, newcomers)
        load.wait_for(1)
        site.write_config({**site.config(), 'user': 'nobody-of-this-name'})
        done = run_diplex('upgrade', '-a', site.admin.path)
        assert done.returncode == 2 and 'nobody-of-this-name' in done.stderr, done
        load.wait_for(5)
        assert data_of(site) == old
        wait_until(lambda: site.children() == [old], what='the one that was given up to end')
        site.write_config(site.config())
        assert upgrade(site)['data_pid'] != old
        load.wait_for(5)
    load.check('listeners', 'talkers', 'newcomers')


@needs_other_layout
def test_a_version_whose_board_is_laid_out_otherwise(upgradable):
    """There and back again: nothing fails, what is counted goes on, and of those that leave only pid and age are known."""
    site = upgradable(workers=2)
    pids = [data_of(site)]
    streams = [open_stream(site)]
    with Load(site.endpoint) as load:
        load.start(newcomers, keepers, talkers, listeners)
        load.wait_for(3)
        for program in (OTHER_LAYOUT, harness.DIPLEX):
            before = site.admin.status()
            put_in_place(site, program)
            pids.append(upgrade(site)['data_pid'])
            streams.append(open_stream(site))
            load.wait_for(3)
            after = site.admin.status()
            assert after['data_pid'] == pids[-1] and after['data_starts'] == len(pids)
            for name, value in before['counters'].items():
                assert not name.endswith('_total') or after['counters'][name] >= value, name
            assert after['counters']['requests_total'] > before['counters']['requests_total']
            (leaving,) = [one for one in after['leaving'] if one['pid'] == pids[-2]]
            assert leaving['requests'] is None and leaving['connections'] is None
        site.admin.reload()
        load.wait_for(2)
        assert f'data {pids[0]} for ' in run_diplex('status', '-c', site.config_path).stdout
    load.check('newcomers', 'keepers', 'talkers', 'listeners')
    assert load.counts['unannounced'] == 0, load.counts
    for line in streams:
        line.until(b'event: tick')
        line.close()
    assert site.stderr.count(' board_new ') == 2
    wait_until(lambda: site.children() == [pids[-1]], what='those that were replaced to end')
    status = site.admin.status()
    assert status['leaving'] == [] and status['counters']['client_connections'] <= 1
    assert all(server['active'] == 0 for pool in status['pools'] for server in pool['servers'])


@needs_other_layout
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become somebody else')
def test_a_reload_ends_an_upgrade_that_stopped_halfway(upgradable):
    """Control is of another layout, the data process of before goes on; the next file in force is served by a new one."""
    site = upgradable()
    site.deaths_are_expected = True
    old = data_of(site)
    with Load(site.endpoint) as load:
        load.start(listeners, talkers, newcomers)
        load.wait_for(1)
        put_in_place(site, OTHER_LAYOUT)
        site.write_config({**site.config(), 'user': 'nobody-of-this-name'})
        assert run_diplex('upgrade', '-a', site.admin.path).returncode == 2
        load.wait_for(3)
        assert data_of(site) == old
        site.write_config({**site.config(), 'workers': 3})
        reloads = site.admin.status()['reloads']
        site.admin.reload()
        load.wait_for(3)
        status = site.admin.status()
        assert status['data_pid'] != old and status['workers'] == 3 and status['reloads'] == reloads + 1
    load.check('listeners', 'talkers', 'newcomers')
    wait_until(lambda: site.children() == [data_of(site)], what='the one that was replaced to end')


def test_who_leaves_is_shown(upgradable):
    """Also by the program after the next, until it has ended. Nothing is left open, not by libraries either."""
    site = upgradable()
    config = site.config()
    config['pools']['async']['health'] = {'path': '/async/hello/', 'interval': '1h'}  # libcurl is loaded for it
    site.write_config(config)
    site.admin.reload()
    wait_until(lambda: [server['probe'] for pool in site.admin.status()['pools'] for server in pool['servers'] if server['probe']])
    before = descriptors(site)
    assert site.admin.status()['leaving'] == []
    line = open_stream(site)
    old = data_of(site)
    for_ms = 0
    for _ in range(2):
        upgrade(site)
        (leaving,) = [one for one in site.admin.status()['leaving'] if one['pid'] == old]
        assert leaving['requests'] == leaving['connections'] == 1 and leaving['for_ms'] >= for_ms
        for_ms = leaving['for_ms'] + 1
    assert f'data {old} for ' in run_diplex('status', '-c', site.config_path).stdout
    line.close()
    wait_until(lambda: site.admin.status()['leaving'] == [], what='it to end')
    wait_until(lambda: descriptors(site) <= before, what='what was open to be closed')


def test_no_more_than_the_slots_from_both_together(upgradable, gunicorn):
    """What the process that leaves has running counts, and what it has queued is served."""
    site = upgradable(workers=2)
    wsgi = gunicorn(workers=2, worker_class='gthread', threads=4)
    config = site.config()
    config['pools']['sync']['slots'] = 2
    site.write_config(config)
    site.admin.reload()
    statuses, most, stop = [], [0], threading.Event()

    def visit():
        statuses.append(site.get('/api/slow/400/').status)

    def watch():
        while not stop.is_set():
            (pool,) = [pool for pool in site.admin.status()['pools'] if pool['name'] == 'sync']
            most[0] = max(most[0], pool['servers'][0]['active'])
            time.sleep(0.005)

    assert wsgi.slots == 8
    threads = [threading.Thread(target=visit) for _ in range(12)]
    for thread in threads[:6]:
        thread.start()
    wait_until(lambda: [pool['queued'] for pool in site.admin.status()['pools'] if pool['name'] == 'sync'][0] == 4)
    old = data_of(site)
    upgrade(site)
    watcher = threading.Thread(target=watch)
    watcher.start()
    for thread in threads[6:]:
        thread.start()
    for thread in threads:
        thread.join(4 * PATIENCE)
    stop.set()
    watcher.join(PATIENCE)
    assert statuses == [200] * 12
    assert most[0] == 2
    wait_until(lambda: has_ended(old), what='the old one to end')


def test_one_that_leaves_may_be_killed(upgradable):
    """Only its connections are lost; what its requests held is free."""
    site = upgradable(upgrade_timeout='1h')
    old = data_of(site)
    line = Line(site.endpoint)
    line.send(get('/async/events/?count=100000&interval=50'))
    line.head()
    upgrade(site)
    with Load(site.endpoint) as load:
        load.start(newcomers, keepers)
        load.wait_for(3)
        line.until(b'event: tick')
        os.kill(old, signal.SIGKILL)
        with pytest.raises((Exception,)):
            while True:
                line.more()
        load.wait_for(5)
    load.check('newcomers', 'keepers')
    site.wait_event('data_left', f'pid={old}')
    status = site.admin.status()
    assert sum(server['active'] for pool in status['pools'] for server in pool['servers']) == 0
    assert status['counters']['tunnels_wanted'] == 0


@pytest.mark.parametrize('victim', ['old', 'new', 'both'])
def test_data_is_killed_in_the_middle_of_it(upgradable, victim):
    """Whichever it is, and whenever: somebody serves afterwards, and the next upgrade works."""
    site = upgradable()
    site.deaths_are_expected = True
    old = data_of(site)
    told = []
    asker = threading.Thread(target=lambda: told.append(site.admin.ask('POST', '/upgrade').status))
    asker.start()
    own = {old, *other_programs(site)}
    wait_until(lambda: set(site.children()) - own - other_programs(site), what='a new one')
    for pid in site.children():
        if victim == 'both' or (pid == old) == (victim == 'old'):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    asker.join(4 * PATIENCE)
    assert told and told[0] in (200, 422), told
    wait_until(lambda: site.admin.status()['ready'] and len(site.children()) == 1, what='one that serves')
    assert site.get('/async/hello/').status == 200
    before = data_of(site)
    assert upgrade(site)['data_pid'] != before
    assert site.get('/api/hello/').status == 200


def other_programs(site):
    """Children that are no data processes: the rehearsal."""
    found = set()
    for pid in site.children():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b'rehearse' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes():
                found.add(pid)
    return found


def test_control_is_killed_in_the_middle_of_it(upgradable):
    site = upgradable()
    site.unclean_exit_is_expected = site.deaths_are_expected = True
    old = data_of(site)
    site.signal(signal.SIGUSR2)
    wait_until(lambda: set(site.children()) - {old} - other_programs(site), what='a new one')
    pids = site.children()
    os.kill(site.pid, signal.SIGKILL)
    site.wait()
    wait_until(lambda: all(has_ended(pid) for pid in pids), what='all to end')
    with pytest.raises(ConnectionRefusedError):
        Line(site.endpoint)


def test_its_time_may_be_limited(upgradable):
    site = upgradable(upgrade_timeout='300ms')
    old = data_of(site)
    with RawClient(site.endpoint) as client:
        client.request('GET', '/async/events/?count=100000&interval=50')
        client.head()
        upgrade(site)
        wait_until(lambda: has_ended(old), what='the old one to end')
    site.wait_event('drained', 'cut_off=1')


def test_a_stop_stops_both(upgradable):
    site = upgradable(shutdown_timeout='300ms')
    line = Line(site.endpoint)
    line.send(get('/async/events/?count=100000&interval=50'))
    line.head()
    old = data_of(site)
    new = upgrade(site)['data_pid']
    assert not has_ended(old)
    assert site.stop() == 0
    assert has_ended(old) and has_ended(new)
    line.close()


def test_control_is_killed_after_an_upgrade(upgradable):
    """Documented: data ends with control. No orphan is left of either data process, and the port is free."""
    site = upgradable()
    site.unclean_exit_is_expected = True
    line = Line(site.endpoint)
    line.send(get('/async/events/?count=100000&interval=50'))
    line.head()
    old = data_of(site)
    new = upgrade(site)['data_pid']
    os.kill(site.pid, signal.SIGKILL)
    site.wait()
    wait_until(lambda: has_ended(old) and has_ended(new), what='both to end')
    with pytest.raises(ConnectionRefusedError):
        Line(site.endpoint)
    line.close()


def test_signals_that_come_meanwhile_wait(upgradable):
    """Reloads that are asked for during an upgrade are not lost; a stop ends all. By the log: who asks on the socket is cut off."""
    site = upgradable()
    site.signal(signal.SIGUSR2)
    for _ in range(3):
        site.signal(signal.SIGHUP)
        site.signal(signal.SIGUSR2)
    site.wait_event('upgraded')
    site.wait_event('reloaded')
    assert site.get('/async/hello/').status == 200
    site.signal(signal.SIGUSR2)
    assert site.stop() == 0


def test_an_ordinary_user_can_upgrade(upgradable, directory):
    """Without any rights; the rights that were given to it outlive the change."""
    if os.geteuid() != 0 or not shutil.which('setpriv'):
        pytest.skip('needs root, to be somebody else')
    site = upgradable()
    site.stop()
    for folder in (directory, site.directory):
        for path in (folder, *folder.iterdir()):
            os.chown(path, 65534, 65534)
    port = 81 if low_port_is_free() else None
    config = site.config()
    if port:
        config['listen'] = [site.listen, f'127.0.0.1:{port}']
    site.write_config(config)
    capability = ['--inh-caps', '+net_bind_service', '--ambient-caps', '+net_bind_service']
    site.arguments = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', *capability, *site.arguments]
    site.start()
    old = data_of(site)
    assert upgrade(site)['data_pid'] != old
    if port:  # it still may listen on a low port
        site.write_config({**config, 'listen': [site.listen]})
        site.admin.reload()
        site.write_config(config)
        site.admin.reload()
        with RawClient(('127.0.0.1', port)) as client:
            assert client.ask('GET', '/async/hello/').status == 200
    upgrade(site)
    assert site.get('/async/hello/').status == 200


def low_port_is_free():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', 81))
        except OSError:
            return False
    return True
