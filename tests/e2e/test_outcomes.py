# SPDX-License-Identifier: MIT
"""The rarer ways in which a request ends, each with its status and its word in the log; and that no way is untested."""

import contextlib
import pathlib
import re
import time

from harness import ROOT, free_port, one_pool
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def end_of(site, outcome):
    """The access log's entry with this outcome: its status and reason."""
    entry = site.wait_access(1, outcome=outcome)[0]
    return entry['status'], entry['reason']


def test_every_outcome_is_expected_by_some_test():
    table = (ROOT / 'include' / 'diplex' / 'board' / 'outcomes.def').read_text()
    words = set(re.findall(r'^OUTCOME\(\w+, "(\w+)"', table, re.M))
    tests = ''.join(path.read_text() for path in pathlib.Path(__file__).parent.glob('test_*.py'))
    assert len(words) > 15
    assert {word for word in words if f"'{word}'" not in tests} == set()


def test_a_pool_without_a_server_that_is_up(diplex):
    health = {'path': '/', 'interval': '100ms', 'timeout': '100ms', 'retries': 1}
    site = diplex(one_pool('asgi', f'127.0.0.1:{free_port()}', pool={'health': health}))
    site.wait_event('pool_down')
    answer = site.get('/')
    assert answer.status == 503 and int(answer.get('retry-after')) >= 1
    assert end_of(site, 'pool_down') == (503, None)


def test_a_server_that_takes_no_more_of_the_request(diplex, scripted):
    def script(connection):
        connection.read_head()
        time.sleep(2)

    site = diplex(one_pool('asgi', scripted(script), pool={'timeouts': {'response': '400ms'}}))
    with site.client() as client:
        client.send(f'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {64 << 20}\r\n\r\n')
        client.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            for _ in range(64):  # no more than was said: after the 504 what still comes is read and dropped
                client.send(b'x' * (1 << 20))
        client.socket.settimeout(5)
        assert client.response('POST').status == 504
    assert end_of(site, 'send_timeout')[0] == 504


def test_nowhere_to_keep_a_body(diplex, scripted, directory):
    server = scripted(keep_answering)
    buffer = {'memory': '4KB', 'path': str(directory / 'nothing')}
    site = diplex(one_pool('wsgi', server, buffer=buffer))
    answer = site.ask('POST', '/', body=b'x' * 100_000)
    assert answer.status == 507 and str(directory) not in answer.body.decode(), 'what is wrong inside stays inside'
    status, reason = end_of(site, 'spool_failed')
    assert status == 507 and 'No such file' in reason
    assert site.ask('POST', '/', body=b'x' * 1000).status == 200, 'what fits into memory needs no file'
    assert len(server.requests) == 1


def test_out_of_descriptors(diplex, scripted):
    limits = {'connections': 1000, 'connections_per_client': 1000}
    config = one_pool('asgi', scripted(keep_answering), pool={'keepalive': 'off'}, workers=1, limits=limits)
    site = diplex(config, start=False)
    site.arguments = ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh', *site.arguments]
    site.start()
    with contextlib.ExitStack() as crowd:
        first = crowd.enter_context(site.client())
        first.send('GET / HTTP/1.1\r\n')
        for _ in range(90):  # none of them idle, so none makes room
            crowd.enter_context(site.client()).send('GET / HTTP/1.1\r\n')
        site.wait_event('limit_reached', 'what=descriptors')
        first.send('Host: a\r\n\r\n')
        assert first.response().status == 503
    assert end_of(site, 'no_memory') == (503, 'Too many open files')
    wait_until(lambda: site.get('/').status == 200, 5, 'service as before')


def test_what_still_runs_when_the_time_for_stopping_is_over(diplex, scripted):
    def script(connection):
        connection.read_request()
        connection.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntick\r\n')
        connection.wait_for_close(5)

    site = diplex(one_pool('asgi', scripted(script), shutdown_timeout='300ms'))
    with site.client() as client:
        client.request('GET', '/')
        client.head()
        assert next(client.pieces()) == b'tick'
        assert site.stop() == 0
        assert not client.read_until_close().endswith(b'0\r\n\r\n'), 'never made to look whole'
    assert end_of(site, 'cut_off') == (200, None)
