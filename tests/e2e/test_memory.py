# SPDX-License-Identifier: MIT
"""Memory at start: libcurl, which brings some thirty libraries along, is loaded by control alone and only when there is
something to probe, and both processes together stay small. Memory of clients that wait: some hundred bytes each, which go
back when they have left. docs/performance.md has the figures.
"""

import contextlib
import pathlib
import re
import resource
import socket
import time

import harness
import pytest
from harness import DIPLEX, one_pool, two_pools

SOON = {'interval': '200ms', 'timeout': '2s', 'start_period': '0s'}
SYNC = {'health': {'path': '/healthz/', **SOON}}
ASYNC = {'health': {'path': '/async/healthz/', **SOON}}
AT_MOST_KB = 6 * 1024
SILENT = 4000
SILENT_BYTES = 380  # each, with libevent's share and the allocator's; 345 were measured
DESCRIPTORS = SILENT + 200


def maps(pid):
    return pathlib.Path(f'/proc/{pid}/maps').read_text()


def pss_kb(pid):
    """Its share of the memory that it has mapped: pages that n processes map count 1/n."""
    return int(re.search(r'^Pss:\s+(\d+) kB', pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text(), re.M)[1])


@pytest.fixture
def checked(diplex, gunicorn, uvicorn):
    """One pool of either kind, both servers found well by probes."""
    asked = two_pools(gunicorn(workers=2), uvicorn(), sync=SYNC, async_=ASYNC, workers=1)
    site = diplex(asked)
    site.wait_event('server_up', 'pool=sync')
    site.wait_event('server_up', 'pool=async')
    return site


def test_data_never_maps_libcurl(checked):
    (data,) = checked.children()
    assert checked.get('/api/hello/').status == checked.get('/async/hello/').status == 200
    assert '/libcurl' in maps(checked.pid), 'control probes with it'
    assert '/libcurl' not in maps(data)


def test_nobody_maps_libcurl_without_checks_until_a_reload_asks_for_them(diplex, gunicorn):
    server = gunicorn(workers=2)
    site = diplex(one_pool('wsgi', server))
    assert '/libcurl' not in maps(site.pid)
    site.reload(one_pool('wsgi', server, pool=SYNC))
    site.wait_event('reloaded')
    assert '/libcurl' in maps(site.pid)
    assert site.get('/api/hello/').status == 200


@pytest.mark.skipif(harness.sanitized(), reason='a sanitizer has memory of its own')
@pytest.mark.skipif(b'__gcov' in DIPLEX.read_bytes(), reason='so has counting what runs')
def test_both_processes_are_small_at_start(checked):
    (data,) = checked.children()
    control_kb, data_kb = pss_kb(checked.pid), pss_kb(data)
    assert control_kb + data_kb <= AT_MOST_KB, f'control {control_kb} kB, data {data_kb} kB'


# ---- clients that wait ----


def written_kb(pid):
    """Memory of its own, without the pages of files, whose share depends on who else maps them."""
    rollup = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(r'^Pss_Anon:\s+(\d+) kB', rollup, re.M)[1])


@pytest.fixture
def many_descriptors():
    """For this process; diplex raises its own limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f'no more than {hard} descriptors')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect_silently(site, stack):
    """They wait in one queue, so when the request behind them is answered they are all accepted."""
    for _ in range(SILENT):
        stack.enter_context(socket.create_connection(site.endpoint))
    assert site.get('/api/hello/').status == 200


def until_at_most(what, bound, seconds=harness.PATIENCE):
    end = time.monotonic() + seconds
    while (seen := what()) > bound and time.monotonic() < end:
        time.sleep(0.05)
    return seen


@pytest.mark.skipif(harness.sanitized(), reason='a sanitizer has memory of its own')
@pytest.mark.skipif(b'__gcov' in DIPLEX.read_bytes(), reason='so has counting what runs')
def test_a_silent_client_costs_little_and_leaves_nothing(diplex, gunicorn, many_descriptors):
    site = diplex(one_pool('wsgi', gunicorn(workers=2), workers=1, timeouts={'header': '60s'},
                          limits={'connections': 1000000, 'connections_per_client': 65535}))
    (data,) = site.children()
    assert site.get('/api/hello/').status == 200

    def written():
        return written_kb(site.pid) + written_kb(data)

    before = written()
    with contextlib.ExitStack() as stack:
        connect_silently(site, stack)
        each = (written() - before) * 1024 / SILENT
        assert each <= SILENT_BYTES, f'{each:.0f} bytes for each of {SILENT}'
    left = until_at_most(lambda: written() - before, SILENT * SILENT_BYTES / 1024 / 2)
    assert left * 1024 / SILENT <= SILENT_BYTES / 2, f'{left} kB of {each * SILENT / 1024:.0f} are kept'


# ---- a machine without it ----


@pytest.fixture
def no_libcurl(directory):
    """An environment in which libcurl is found and cannot be loaded: its file is empty."""
    name = re.search(rb'libcurl[-\w]*\.so[.\d]*', DIPLEX.read_bytes())[0].decode()
    (directory / name).touch()
    return {'LD_LIBRARY_PATH': str(directory)}


def test_checks_without_libcurl_are_told_at_the_start(diplex, gunicorn, no_libcurl):
    site = diplex(one_pool('wsgi', gunicorn(workers=2), pool=SYNC), environment=no_libcurl, start=False)
    site.unclean_exit_is_expected = True
    site.spawn()
    assert site.wait() == 1
    assert 'diplex: cannot load libcurl: ' in site.stderr


def test_without_checks_libcurl_is_not_missed(diplex, gunicorn, no_libcurl):
    server = gunicorn(workers=2)
    site = diplex(one_pool('wsgi', server), environment=no_libcurl)
    assert site.get('/api/hello/').status == 200
    site.reload(one_pool('wsgi', server, pool=SYNC))
    assert 'cannot load libcurl: ' in site.wait_event('reload_failed')
    assert site.get('/api/hello/').status == 200, 'the old configuration goes on'
