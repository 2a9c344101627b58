# SPDX-License-Identifier: MIT
"""Trace Context and Server-Timing: what servers get, what clients get, and what the log says of it."""

import re

import pytest
from harness import one_pool, run_diplex, two_pools

ID = '4bf92f3577b34da6a3ce929d0e0e4736'
GOOD = f'00-{ID}-00f067aa0ba902b7-01'
MADE = re.compile(r'00-([0-9a-f]{32})-([0-9a-f]{16})-0[23]')
LATER = f'cc-{ID}-00f067aa0ba902b7-01-more'
WRONG = ['', 'nonsense', GOOD.upper(), f'00-{"0" * 32}-00f067aa0ba902b7-01', f'ff{GOOD[2:]}', GOOD + '-x']


def fields(request, name):
    return [value for field, value in request.headers if field.lower() == name]


def recorded(seen):
    def script(connection):
        while request := connection.read_request():
            seen.append((fields(request, 'traceparent'), fields(request, 'tracestate')))
            connection.reply()

    return script


def sent(site, seen, raw):
    """One request with these field lines: the fields that the server got, and its entry in the log."""
    before = len(seen)
    with site.client() as client:
        client.send(f'GET /{before} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{raw}\r\n'.encode())
        assert client.response().status == 200
    (entry,) = site.wait_access(1, path=f'/{before}')
    (got,) = seen[before:]
    return got, entry['trace_id']


@pytest.fixture
def tracing(diplex, scripted):
    def start(**settings):
        seen = []
        return diplex(one_pool('asgi', scripted(recorded(seen)), **settings)), seen

    return start


def test_by_itself_all_of_it_passes_as_it_came(tracing):
    site, seen = tracing()
    assert sent(site, seen, '') == (([], []), None)
    lines = f'traceparent: {GOOD}\r\ntracestate: a=1,b=2\r\nTraceState: c=3\r\n'
    assert sent(site, seen, lines) == (([GOOD], ['a=1,b=2', 'c=3']), ID)
    assert sent(site, seen, f'TraceParent: {LATER}\r\n') == (([LATER], []), ID)
    for value in WRONG[1:]:
        assert sent(site, seen, f'traceparent: {value}\r\n') == (([value], []), None)
    assert sent(site, seen, f'traceparent: {GOOD}\r\n' * 2)[1] is None


@pytest.mark.parametrize('trusted', [False, True])
def test_make_begins_a_trace_where_no_valid_one_came(tracing, trusted):
    site, seen = tracing(trace='make', trusted_proxies=['loopback'] if trusted else [])
    assert sent(site, seen, f'traceparent: {GOOD}\r\ntracestate: a=1\r\n') == (([GOOD], ['a=1']), ID)
    made = set()
    for value in [None, *WRONG]:
        lines = '' if value is None else f'traceparent: {value}\r\ntracestate: a=1\r\n'
        ((parent,), state), trace_id = sent(site, seen, lines)
        assert MADE.fullmatch(parent).group(1) == trace_id and parent.endswith('-03'), value
        assert state == [], 'the state of a trace that is not gone on with'
        made.add(parent)
    ((parent,), _), trace_id = sent(site, seen, f'traceparent: {GOOD}\r\n' * 2)
    assert MADE.fullmatch(parent) and trace_id != ID
    assert len(made) == len(WRONG) + 1, 'each its own'


def test_restart_believes_trusted_proxies_alone(tracing):
    site, seen = tracing(trace='restart')
    ((parent,), state), trace_id = sent(site, seen, f'traceparent: {GOOD}\r\ntracestate: a=1\r\n')
    assert MADE.fullmatch(parent).group(1) == trace_id != ID and state == []
    site, seen = tracing(trace={'mode': 'restart'}, trusted_proxies=['loopback'])
    assert sent(site, seen, f'traceparent: {GOOD}\r\ntracestate: a=1\r\n') == (([GOOD], ['a=1']), ID)


@pytest.mark.parametrize(('sample', 'flags'), [('0%', {'02'}), ('100%', {'03'}), ('50%', {'02', '03'})])
def test_so_many_new_traces_are_sampled(tracing, sample, flags):
    site, seen = tracing(trace={'mode': 'make', 'sample': sample})
    with site.client() as client:
        for _ in range(60):
            client.ask('GET', '/')
    assert {parent[-2:] for (parent,), _ in seen} == flags
    assert len({parent[3:35] for (parent,), _ in seen}) == 60


def test_another_try_belongs_to_the_same_trace(diplex, scripted):
    seen = []

    def breaks_first(connection):
        request = connection.read_request()
        seen.append(fields(request, 'traceparent'))
        if len(seen) > 1:
            connection.reply()

    site = diplex(one_pool('asgi', scripted(breaks_first), scripted(breaks_first), trace='make'))
    assert site.get('/').status == 200
    assert len(seen) == 2 and seen[0] == seen[1] and MADE.fullmatch(seen[0][0])


def test_both_kinds_of_application_get_it(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), trace='make'))
    for path in ('/api/echo/', '/async/echo/'):
        told = site.get(path).json()
        values = [value for name, value in told['headers'].items() if name.lower() == 'traceparent']
        (entry,) = site.wait_access(1, path=path)
        assert [MADE.fullmatch(value).group(1) for value in values] == [entry['trace_id']]


def test_explain_says_what_is_sent(directory):
    config = directory / 'diplex.yaml'
    config.write_text('routes: {/: "wsgi://web:8000"}\ntrace: restart\ntrusted_proxies: 10.0.0.1\n')
    ask = ['explain', 'GET', '/', '-c', config, '-H', f'traceparent: {GOOD}', '-H', 'tracestate: a=1']
    told = run_diplex(*ask, '-f', '10.0.0.1').stdout
    assert f'    traceparent: {GOOD}\n    tracestate: a=1\n' in told
    told = run_diplex(*ask, '-f', '192.0.2.1').stdout
    (made,) = re.findall(r'^    traceparent: (.*)$', told, re.M)
    assert MADE.fullmatch(made) and 'tracestate' not in told


# ---- Server-Timing -------------------------------------------------------------------------------------------------


def timings(answer):
    return [value for name, value in answer.headers if name.lower() == 'server-timing']


def metrics(value):
    return {name: float(number) for name, number in re.findall(r'(\w+);dur=(\d+\.\d{3})(?:, |$)', value)}


def test_nobody_is_told_the_times_unasked(site):
    assert timings(site.get('/api/hello/')) == []


def test_server_timing_says_where_the_time_went(diplex, gunicorn, uvicorn):
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), server_timing='yes'))
    with site.client() as client:
        (first,) = timings(client.ask('GET', '/async/slow/200/'))
        (second,) = timings(client.ask('GET', '/async/slow/1/'))
    assert list(metrics(first)) == ['queue', 'connect', 'upstream'] and metrics(first)['upstream'] >= 190
    assert set(metrics(second)) <= {'queue', 'connect', 'upstream'} and 'upstream' in metrics(second)


def test_server_timing_stands_beside_the_applications_own(diplex, scripted):
    def script(connection):
        while connection.read_request():
            connection.send(b'HTTP/1.1 200 OK\r\nServer-Timing: db;dur=5\r\nContent-Length: 2\r\n\r\nok')

    site = diplex(one_pool('asgi', scripted(script), server_timing='yes'))
    with site.client() as client:
        client.ask('GET', '/')
        own, ours = timings(client.ask('GET', '/'))
    assert own == 'db;dur=5' and list(metrics(ours)) == ['queue', 'upstream'], 'a connection that is kept is no new one'


def test_server_timing_of_diplexs_own_answers_has_what_is_known(diplex, directory):
    site = diplex(one_pool('asgi', f'unix:{directory}/nobody', server_timing='yes'))
    answer = site.get('/')
    assert answer.status == 502
    (ours,) = timings(answer)
    assert list(metrics(ours)) == ['queue']
    assert timings(site.get('/%zz')) == [], 'it never was to go anywhere'
