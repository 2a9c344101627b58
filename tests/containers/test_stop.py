# SPDX-License-Identifier: MIT
"""`docker stop` of diplex: what runs may finish, streams and WebSockets have their time, the exit code is 0; and the
health that the engine sees while it serves and while it stops.
"""

import json
import threading
import time

import h11
import pytest
from stack import CONFIG, ENGINE, PATIENCE, Stack, asked_for, engine, inspect
from wire import RawClient, wait_until

pytestmark = asked_for

HANDSHAKE = {
    'Connection': 'Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
}  # fmt: skip


@pytest.fixture
def stack(tmp_path):
    with Stack(tmp_path, {**CONFIG, 'shutdown_timeout': '12s'}) as stack:
        stack.up()
        stack.up('web-async')
        wait_until(lambda: stack.answers() and stack.answers('/async/hello/'), PATIENCE)
        yield stack


def look_at_health(stack):
    """podman's checks are timed by systemd, which not every machine has: there it is told to look now."""
    if ENGINE == 'podman':
        engine('healthcheck', 'run', stack.edge, check=False)
    state = inspect(stack.edge)['State']
    return (state.get('Health') or state['Healthcheck'])['Status']


def stop(stack):
    """In the background, as an operator's other terminal does it."""
    thread = threading.Thread(target=engine, args=('stop', '-t', '35', stack.edge), daemon=True)
    thread.start()
    stack.wait_log(' stopping ')
    return thread


def exit_code(stack):
    wait_until(lambda: inspect(stack.edge)['State']['Status'] == 'exited', PATIENCE)
    return inspect(stack.edge)['State']['ExitCode']


def test_what_runs_finishes(stack):
    with (
        RawClient(stack.endpoint, patience=PATIENCE) as slow,
        RawClient(stack.endpoint, patience=PATIENCE) as upload,
        RawClient(stack.endpoint, patience=PATIENCE) as events,
    ):
        slow.request('GET', '/api/slow/4000/')
        upload.send('POST /api/upload/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n')
        upload.send(b'x' * 100000)
        events.request('GET', '/async/events/?count=9&interval=500')
        assert events.head().status == 200
        wait_until(lambda: sum(stack.servers(key='active').values()) == 1, PATIENCE)

        began = time.monotonic()
        thread = stop(stack)
        with pytest.raises(OSError), RawClient(stack.endpoint, patience=PATIENCE) as late:
            late.ask('GET', '/api/hello/')
        upload.send(b'x' * 100000)
        assert upload.response('POST').json()['size'] == 200000
        assert slow.response().json()['milliseconds'] == 4000
        ticks = b''.join(events.pieces()).count(b'event: tick')
        assert ticks == 9
        thread.join(PATIENCE)
    assert exit_code(stack) == 0
    assert time.monotonic() - began < 12, 'it ends when the last one has, and not at shutdown_timeout'
    stack.wait_log(' drained ', 'cut_off=0')
    assert ' stopped ' in stack.log().splitlines()[-1]


def test_streams_without_end_have_their_time(stack):
    with RawClient(stack.endpoint, patience=PATIENCE) as events, RawClient(stack.endpoint, patience=PATIENCE) as socket:
        events.request('GET', '/async/events/?count=0&interval=200')
        assert events.head().status == 200
        socket.request('GET', '/async/ws/echo', HANDSHAKE)
        assert socket.head(upgrade=True).status == 101
        began = time.monotonic()
        thread = stop(stack)
        time.sleep(2)
        socket.send(b'\x81\x85\0\0\0\0hello')  # a text, masked with zeros
        assert socket.read_exactly(7) == b'\x81\x05hello', 'a WebSocket works on while diplex stops'
        with pytest.raises((OSError, AssertionError, h11.RemoteProtocolError)):  # cut off, and not ended as if whole
            for _ in events.pieces():
                pass
        assert time.monotonic() - began > 10
        thread.join(PATIENCE)
    assert exit_code(stack) == 0, 'cut off in time, so not killed'
    stack.wait_log(' drained ', 'cut_off=2')


def test_health_as_the_engine_sees_it(stack):
    wait_until(lambda: look_at_health(stack) == 'healthy', PATIENCE)
    assert stack.run('diplex', 'healthcheck').strip() == 'ok'
    with RawClient(stack.endpoint, patience=PATIENCE) as slow:
        slow.request('GET', '/async/slow/8000/')
        wait_until(lambda: sum(stack.servers('async', 'active').values()) == 1, PATIENCE)
        engine('kill', '-s', 'TERM', stack.edge)  # podman looks into no container that it is stopping itself
        stack.wait_log(' stopping ')
        assert 'not ready' in stack.run('diplex', 'healthcheck', check=False)
        if ENGINE == 'podman':
            wait_until(lambda: look_at_health(stack) == 'unhealthy', 7.0)
        assert slow.response().status == 200
    assert exit_code(stack) == 0


def test_stop_under_load_breaks_nothing_off(stack):
    """Who has an answer under way gets it whole; who comes later is refused at once and asks somewhere else."""
    answers, refused = [], []

    def client():
        with RawClient(stack.endpoint, patience=PATIENCE) as connection:
            while True:
                try:
                    connection.request('GET', '/api/slow/100/')
                    answer = connection.response()
                except (ConnectionError, AssertionError) as error:
                    refused.append(repr(error))
                    return
                answers.append(answer.status)
                if answer.get('connection') == 'close':
                    return

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) > 20, PATIENCE)
    stop(stack).join(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert set(answers) == {200} and not refused, f'{answers} {refused}'
    assert exit_code(stack) == 0
    lines = [json.loads(line) for line in stack.output()[0].splitlines()]
    assert len([line for line in lines if line['path'] == '/api/slow/100/']) == len(answers)
