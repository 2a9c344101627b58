# SPDX-License-Identifier: MIT
"""The two processes: starting, failing to start, stopping in peace, stopping now, and surviving a death."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import DIPLEX, free_port, has_ended, one_pool, run_diplex, two_pools
from wire import PATIENCE, RawClient, wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def connects(address) -> bool:
    try:
        RawClient(address, patience=1).close()
    except OSError:
        return False
    return True


def in_background(work):
    """Run in a thread; calling the result waits and returns what came of it."""
    result = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()

    def wait():
        thread.join(15)
        return result[0]

    return wait


# ---- stopping ------------------------------------------------------------------------------------------------------


class Slow:
    """What a server does that answers /slow when it is told to, and all else at once."""

    def __init__(self):
        self.running = 0
        self.go_on = threading.Event()

    def __call__(self, connection):
        while request := connection.read_request():
            if request.target.endswith('/slow'):
                self.running += 1
                self.go_on.wait(30)
            connection.reply()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_running_requests_end(diplex, scripted, number):
    slow = [Slow(), Slow()]
    site = diplex(two_pools(*map(scripted, slow), shutdown_timeout='30s'))
    running = [in_background(lambda path=path: site.get(path).status) for path in ('/slow', '/async/slow')]
    wait_until(lambda: [each.running for each in slow] == [1, 1], what='both to run')
    site.signal(number)
    wait_until(lambda: not connects(site.endpoint), what='the listener to close')
    assert site.running() and site.access() == [], 'it waits for what runs'
    for each in slow:
        each.go_on.set()
    assert [wait() for wait in running] == [200, 200]
    assert site.wait() == 0
    assert [entry['status'] for entry in site.access()] == [200, 200], 'the log is complete'


def test_a_stop_lets_views_end(diplex, gunicorn, uvicorn, directory):
    admin = str(directory / 'admin.sock')
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), shutdown_timeout='30s', admin=admin))
    running = [
        in_background(lambda path=path: site.get(path).status) for path in ('/api/slow/2500/', '/async/slow/2500/')
    ]
    counters = lambda: json.loads(run_diplex('status', '--json', '-a', admin).stdout)['counters']  # noqa: E731
    wait_until(lambda: counters()['requests_running'] == 2, what='both to run')
    assert site.stop(20) == 0
    assert [wait() for wait in running] == [200, 200]


def test_a_stop_closes_idle_connections_and_says_so_to_busy_ones(diplex, scripted):
    slow = Slow()
    site = diplex(one_pool('asgi', scripted(slow), shutdown_timeout='30s'))
    with site.client() as idle, site.client() as busy:
        assert idle.ask('GET', '/').status == 200
        busy.request('GET', '/slow')
        wait_until(lambda: slow.running == 1, what='the request to run')
        site.signal(signal.SIGTERM)
        assert idle.closed_within(PATIENCE)
        slow.go_on.set()
        answer = busy.response()
        assert (answer.status, answer.get('connection')) == (200, 'close')
    assert site.wait() == 0


def test_a_stop_without_work_is_quick(site):
    assert site.get('/api/hello/').status == 200
    before = time.monotonic()
    assert site.stop() == 0
    assert time.monotonic() - before < 6, 'shutdown_timeout is 30 s'


def test_the_second_signal_means_now(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), shutdown_timeout='30s'))
    site.unclean_exit_is_expected = True
    with site.client() as client:
        client.request('GET', '/async/events/?count=0&interval=300')
        client.head()
        site.signal(signal.SIGTERM)
        time.sleep(0.5)
        assert site.running()
        site.signal(signal.SIGTERM)
        site.wait()


def test_the_time_for_stopping_is_bounded(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), shutdown_timeout='700ms'))
    with site.client() as client:
        client.request('GET', '/async/events/?count=0&interval=300')
        client.head()
        before = time.monotonic()
        assert site.stop() == 0
        assert 0.4 < time.monotonic() - before < 7


def test_nothing_of_it_is_left(diplex, scripted, directory):
    unix, admin = directory / 'front.sock', directory / 'admin.sock'
    site = diplex(
        {**one_pool('asgi', scripted(keep_answering)), 'listen': [f'unix:{unix}'], 'admin': str(admin)}, start=False
    )
    site.start_and_wait(str(unix))
    site.wait_event(' ready ')
    data = site.children()
    assert len(data) == 1
    assert site.stop() == 0
    assert not unix.exists() and not admin.exists()
    assert not pathlib.Path(f'/proc/{data[0]}').exists()


# ---- dying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSEGV])
def test_the_data_process_is_started_again(diplex, gunicorn, uvicorn, number):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn()))
    site.deaths_are_expected = True
    assert site.get('/api/hello/').status == 200
    for _ in range(2):
        (data,) = site.children()
        os.kill(data, number)
        wait_until(lambda: has_ended(data), what='its death')
        killed = time.monotonic()
        assert site.get('/api/hello/').status == 200, 'the listening sockets were open all the time'
        assert site.get('/async/hello/').status == 200
        assert time.monotonic() - killed < 4
        assert site.children() != [data]
    site.wait_event('data_exited', count=2)
    with site.client() as client:
        for _ in range(3):
            assert client.ask('GET', '/async/hello/').status == 200


def test_data_does_not_outlive_control(site):
    (data,) = site.children()
    site.unclean_exit_is_expected = True
    site.signal(signal.SIGKILL)
    site.wait()
    wait_until(lambda: has_ended(data), 3, 'data to follow')
    assert not connects(site.endpoint)


# ---- starting ------------------------------------------------------------------------------------------------------


def test_a_port_in_use(diplex, scripted):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        address = '127.0.0.1:%d' % taken.getsockname()[1]
        site = diplex({**one_pool('asgi', scripted(keep_answering)), 'listen': address}, start=False)
        site.spawn()
        assert site.wait() == 1
    assert address in site.stderr and 'in use' in site.stderr.lower()


def test_two_of_them_do_not_share_a_port_by_accident(diplex, scripted):
    """SO_REUSEPORT is for the workers of one diplex, not for two of them."""
    first = diplex(one_pool('asgi', scripted(keep_answering)))
    second = diplex({**one_pool('asgi', scripted(keep_answering)), 'listen': first.listen}, start=False)
    second.spawn()
    assert second.wait() == 1
    assert first.get('/').status == 200


def test_a_stale_unix_socket_is_replaced_and_a_file_is_not(diplex, scripted, directory):
    stale, file = directory / 'stale.sock', directory / 'precious'
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    file.write_text('data')
    config = one_pool('asgi', scripted(keep_answering))
    site = diplex({**config, 'listen': f'unix:{stale}'}, start=False)
    site.spawn()
    wait_until(lambda: connects(str(stale)), what='the listener')
    other = diplex({**config, 'listen': f'unix:{file}'}, start=False)
    other.spawn()
    assert other.wait() == 1
    assert file.read_text() == 'data'


def test_all_errors_of_a_file_at_once(diplex, directory):
    text = (
        'lisen: 127.0.0.1:0\n'
        'timeouts:\n'
        '  header: soon\n'
        'pools:\n'
        '  app: {kind: wsgy, servers: [127.0.0.1:1]}\n'
        'routes:\n'
        '  /: ap\n'
        '  /: app\n'
    )
    site = diplex(text, start=False)
    site.spawn()
    assert site.wait() == 2
    for place in (':1:1:', ':3:11:', ':5:15:', ':7:6:', ':8:3:'):
        assert f'diplex.yaml{place}' in site.stderr, (place, site.stderr)
    assert site.stderr.count('did you mean') >= 3
    assert 'listen' in site.stderr and '^' in site.stderr
    checked = run_diplex('check', '-c', site.config_path)
    assert checked.returncode == 2 and ':8:3:' in checked.stdout + checked.stderr


def test_a_missing_file(directory):
    done = run_diplex('run', '-c', directory / 'nothing.yaml')
    assert done.returncode == 2 and 'nothing.yaml' in done.stderr


def test_variables(diplex, scripted):
    server = scripted(keep_answering)
    text = 'listen: ${FRONT:?say where}\nadmin: off\nroutes:\n  /: ${KIND:-asgi}://${SERVER}\n'
    site = diplex(text, environment={'SERVER': server.address}, start=False)
    site.environment['FRONT'] = site.listen
    site.start()
    assert site.get('/').status == 200
    del site.environment['FRONT']
    done = run_diplex('check', '-c', site.config_path, env=site.environment)
    assert done.returncode == 2 and 'say where' in done.stdout + done.stderr


# ---- the other commands --------------------------------------------------------------------------------------------


def test_version_and_help():
    version = run_diplex('version')
    assert version.returncode == 0 and 'diplex' in version.stdout
    for arguments in (
        ['--help'],
        ['run', '--help'],
        ['check', '--help'],
        ['explain', '--help'],
        ['reload', '--help'],
        ['healthcheck', '--help'],
    ):
        shown = run_diplex(*arguments)
        assert shown.returncode == 0 and 'diplex' in shown.stdout, arguments


@pytest.mark.parametrize(
    'arguments', [['rnu'], ['run', '--nonsense'], ['explain'], ['explain', 'GET'], ['check', 'a', 'b', 'c']]
)
def test_usage_errors(arguments):
    done = run_diplex(*arguments)
    assert done.returncode == 2 and done.stderr


def test_check_shows_what_is_in_force(diplex, scripted):
    site = diplex(one_pool('wsgi', scripted(keep_answering)), start=False)
    done = run_diplex('check', '-c', site.config_path)
    assert done.returncode == 0
    for word in ('listen', 'pools', 'wsgi', 'routes', 'timeouts', '#'):
        assert word in done.stdout
    again = site.directory / 'again.yaml'
    again.write_text(done.stdout)
    assert run_diplex('check', '-c', again).returncode == 0, 'what check prints is a configuration'


def test_explain_says_where_a_request_would_go(diplex, gunicorn, uvicorn):
    config = two_pools(gunicorn(workers=2), uvicorn())
    site = diplex(config, start=False)
    done = run_diplex('explain', '-c', site.config_path, 'GET', 'http://localhost/async/hello/?a=1')
    assert done.returncode == 0
    for word in ('/async/', 'async', 'asgi', uvicorn().address, 'X-Forwarded-For', 'Host: localhost'):
        assert word in done.stdout, (word, done.stdout)


def test_healthcheck(diplex, scripted, directory):
    config = {**one_pool('asgi', scripted(keep_answering)), 'admin': str(directory / 'admin.sock')}
    site = diplex(config)
    assert run_diplex('healthcheck', '-c', site.config_path).returncode == 0
    assert site.stop() == 0
    assert run_diplex('healthcheck', '-c', site.config_path).returncode == 1


def test_bare_diplex_runs_the_file_of_its_directory(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    site.arguments = [str(DIPLEX)]
    site.start()
    assert site.get('/').status == 200


def test_it_runs_as_an_ordinary_user(diplex, scripted):
    if os.getuid() != 0:
        pytest.skip('the other tests show that already')
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    os.chmod(site.directory, 0o777)
    os.chmod(site.directory.parent, 0o755)
    site.arguments[0] = shutil.copy2(DIPLEX, site.directory)  # the build may lie in a home that is closed to others
    with site.stdout_path.open('ab') as out, site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments,
            stdout=out,
            stderr=err,
            cwd='/',
            start_new_session=True,
            user=65534,
            group=65534,
            extra_groups=[],
        )
    wait_until(lambda: connects(site.endpoint), what='the listener')
    assert site.get('/').status == 200


def test_started_as_root_it_drops_to_a_user(diplex, scripted):
    if os.getuid() != 0:
        pytest.skip('only root can drop')
    site = diplex({**one_pool('asgi', scripted(keep_answering)), 'user': 'nobody'})
    assert site.get('/').status == 200
    (data,) = site.children()
    status = pathlib.Path(f'/proc/{data}/status').read_text()
    uids = next(line.split()[1:] for line in status.splitlines() if line.startswith('Uid:'))
    assert set(uids) == {'65534'}


def test_as_process_1_of_a_container_it_stops_on_sigterm(diplex, scripted):
    """In a process namespace of its own, where signals without a handler are ignored and orphans arrive."""
    namespace = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
    if os.getuid() != 0 or subprocess.run([*namespace, 'true'], capture_output=True).returncode != 0:
        pytest.skip('needs a process namespace')
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    site.arguments = [*namespace, *site.arguments]
    site.start()
    assert site.get('/').status == 200
    (inner,) = site.children()
    os.kill(inner, signal.SIGTERM)
    assert site.wait() == 0


def test_file_descriptors_do_not_leak(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), workers=1))
    (data,) = site.children()

    def open_files() -> int:
        return len(os.listdir(f'/proc/{data}/fd'))

    for path in ('/api/hello/', '/async/hello/'):
        site.get(path)
    before = open_files()
    for _ in range(60):
        site.get('/api/hello/')
        site.get('/async/hello/')
        with site.client() as client:
            client.send(b'GET / HTTP')
        with site.client() as client:
            client.request('GET', '/async/events/?count=0')
            client.head()
    wait_until(lambda: open_files() <= before + 4, 4, f'no more than {before} open files')


def test_more_connections_than_descriptors(diplex, scripted):
    """Out of descriptors it goes on serving the clients it has, and the others when there is room again."""
    site = diplex(one_pool('asgi', scripted(keep_answering), workers=1), start=False)
    site.arguments = ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh', *site.arguments]
    site.start()
    with site.client() as first:
        assert first.ask('GET', '/').status == 200
        crowd = [site.client() for _ in range(90)]
        time.sleep(0.3)
        assert first.ask('GET', '/').status in (200, 502, 503)
        for client in crowd:
            client.close()
    wait_until(lambda: site.get('/').status == 200, 5, 'service as before')


def test_a_free_port_is_really_free():
    assert not connects(('127.0.0.1', free_port()))
