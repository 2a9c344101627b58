# SPDX-License-Identifier: MIT
"""What breaks under diplex: logs that nobody reads or that have no room, closed standard streams, a full disk, a clock
that jumps, its own processes killed at any moment. Afterwards it is as it was, and nothing is left behind.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time

import harness
import pytest
from footprint import converse, inject, read
from harness import has_ended, one_pool, sanitized
from test_absorb import full_folder  # noqa: F401
from wire import wait_until


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


def get(target):
    return f'GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode()


def answers(site, count=50):
    """So many requests at once, all of them answered with 200."""
    for heard in converse(site.endpoint, [get(f'/{number}') for number in range(count)]):
        assert read(heard).status == 200, heard


# ---- logs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def spawned(request, diplex):
    """spawned(config, stdout=, stderr=, shell=): diplex with those for its standard streams."""

    def start(config, stdout=None, stderr=None, shell=None):
        site = diplex(config, start=False)
        if shell is not None:
            site.arguments = ['sh', '-c', shell, 'sh', *site.arguments]
        with site.stdout_path.open('ab') as out, site.stderr_path.open('ab') as err:
            site.process = subprocess.Popen(
                site.arguments, stdin=subprocess.DEVNULL, start_new_session=True, env=site.environment,
                stdout=out if stdout is None else stdout, stderr=err if stderr is None else stderr,
            )  # fmt: skip
        wait_until(lambda: harness.answers(site.endpoint), what='the listener')
        return site

    return start


def fill(pipe):
    """Not another byte goes into it."""
    flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, b'\n' * size)
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags)


def empty(pipe, seconds=1.0):
    """What is in it, until nothing more has come for so long."""
    os.set_blocking(pipe, False)
    data, quiet = b'', time.monotonic() + seconds
    while time.monotonic() < quiet:
        with contextlib.suppress(BlockingIOError):
            data += os.read(pipe, 1 << 20)
            quiet = time.monotonic() + seconds
        time.sleep(0.02)
    return data


def test_data_is_started_again_although_nobody_reads_the_log(spawned, scripted):
    """Standard error is a full pipe. Control has something to say, and goes on without."""
    reader, writer = os.pipe()
    site = spawned(one_pool('asgi', scripted(keep_answering)), stderr=writer)
    site.unclean_exit_is_expected = True
    inject(3)
    answers(site)
    fill(writer)
    for _ in range(3):
        (data,) = site.children()
        os.kill(data, signal.SIGKILL)
        wait_until(lambda pid=data: has_ended(pid), what='its death')
        killed = time.monotonic()
        answers(site)
        assert time.monotonic() - killed < (20 if sanitized() else 4)
    began = time.monotonic()
    site.signal(signal.SIGTERM)
    site.wait(10)
    assert time.monotonic() - began < 8
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize('which', ['stdout', 'stderr'])
def test_a_log_whose_reader_is_gone(spawned, scripted, which):
    reader, writer = os.pipe()
    site = spawned(one_pool('asgi', scripted(keep_answering)), **{which: writer})
    os.close(writer)
    inject(2)
    answers(site)
    os.close(reader)
    answers(site, 200)
    (data,) = site.children()
    site.reload()
    answers(site, 200)
    assert site.children() == [data] and site.running()


def test_a_log_that_is_read_again_goes_on_with_whole_lines(spawned, scripted):
    reader, writer = os.pipe()
    site = spawned(one_pool('asgi', scripted(keep_answering)), stdout=writer)
    inject()
    with site.client() as client:
        for number in range(700):
            assert client.ask('GET', '/' + 'x' * 500 + str(number)).status == 200
    first = empty(reader)
    answers(site, 20)
    lines = (first + empty(reader)).split(b'\n')
    assert lines.pop() == b''
    assert len(lines) < 721, 'some were dropped'
    assert {json.loads(line)['path'] for line in lines[-20:]} == {f'/{number}' for number in range(20)}
    os.close(reader)
    os.close(writer)


def test_a_log_on_a_full_disk_goes_on_when_there_is_room(spawned, scripted, full_folder):  # noqa: F811
    junk = full_folder / 'junk'
    with (full_folder / 'access.log').open('ab') as log:
        config = one_pool('asgi', scripted(keep_answering), admin=str(full_folder.parent / 'a.sock'))
        site = spawned(config, stdout=log)
    inject()
    answers(site, 20)
    wait_until(lambda: (full_folder / 'access.log').read_bytes().count(b'\n') == 20)
    with contextlib.suppress(OSError), junk.open('wb', buffering=0) as file:
        while True:
            file.write(b'x' * 512)
    answers(site, 300)
    junk.unlink()
    time.sleep(0.3)
    answers(site, 20)
    site.stop()
    torn, whole = 0, []
    for line in (full_folder / 'access.log').read_bytes().split(b'\n')[:-1]:
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn += 1
    assert torn <= 1 and 40 <= len(whole) < 340
    assert {entry['path'] for entry in whole[-20:]} == {f'/{number}' for number in range(20)}


def test_dropped_lines_are_counted_whatever_the_reason(steady, scripted, directory):
    """/dev/full never has room."""
    site = steady(one_pool('asgi', scripted(keep_answering)))
    site.stop()
    with open('/dev/full', 'wb') as full, site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments, stdin=subprocess.DEVNULL, start_new_session=True, stdout=full, stderr=err, env=site.environment
        )
    wait_until(lambda: harness.answers(site.endpoint), what='the listener')
    inject()
    answers(site, 100)
    lost = 'log_lines_dropped_total'
    wait_until(lambda: answers(site, 1) or site.footprint.status()['counters'][lost] >= 100, what='100 lines to be counted')
    site.footprint.data = site.footprint.data_pid()


@pytest.mark.parametrize('closed', ['<&-', '>&-', '2>&-', '<&- >&- 2>&-'])
def test_closed_standard_streams_are_nobody_elses(spawned, scripted, closed):
    """A socket that got the number of standard output would be written the log into."""
    site = spawned(one_pool('asgi', scripted(keep_answering)), shell=f'exec "$@" {closed}')
    inject()
    answers(site)
    for pid in (site.pid, *site.children()):
        for number in range(3):
            where = os.readlink(f'/proc/{pid}/fd/{number}')
            assert where == '/dev/null' or where.startswith(str(site.directory)), where


def test_a_limit_of_file_size_is_an_error_and_no_signal(spawned, scripted):
    """The log of control ends at the limit, and nothing else."""
    site = spawned(one_pool('asgi', scripted(keep_answering), workers=1), shell='ulimit -f 400000; exec "$@"')
    site.unclean_exit_is_expected = site.deaths_are_expected = True
    answers(site)
    with site.stderr_path.open('ab') as log:
        log.truncate(400000 * 512)
    inject()
    (data,) = site.children()
    os.kill(data, signal.SIGKILL)
    wait_until(lambda: has_ended(data), what='its death')
    answers(site)
    assert site.running() and site.children() != [data]
    os.truncate(site.stderr_path, 0)
