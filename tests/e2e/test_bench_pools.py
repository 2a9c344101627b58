# SPDX-License-Identifier: MIT
"""The benchmark of pools runs and its tables are whole. How fast anything is, is not judged here."""

import json
import os
import shutil
import subprocess
import sys

import harness
import pytest

POOLS = harness.ROOT / 'tests' / 'bench' / 'pools.py'

pytestmark = pytest.mark.skipif(shutil.which('wrk') is None, reason="not installed: wrk, which makes some of the load")


def pools(*arguments):
    return subprocess.run([sys.executable, '-B', str(POOLS), '--quick', '--rounds', '1', *arguments],
                          env={**os.environ, 'DIPLEX_BIN': str(harness.DIPLEX)}, capture_output=True, text=True,
                          timeout=120)


def test_one_round_of_a_burst_a_restart_and_the_close_gives_whole_tables(directory):
    report = directory / 'report.json'
    done = pools('--peers', 'diplex', '--works', 'burst,restart,d', '--json', str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    works = json.loads(report.read_text())['works']
    assert list(works) == ['burst', 'restart', 'linger']
    burst, restart, linger = (works[name][0]['diplex'] for name in works)
    assert burst['errors'] == 0
    assert burst['took_s'] >= burst['ideal_s'] * 0.99, 'more at once than there are slots'
    assert restart['asked'] > 50
    assert restart['post_twice'] == 0
    assert restart['get_errors'] + restart['post_errors'] == restart['errors'] < restart['asked']
    assert linger['errors'] == 0
    assert linger['held_us'] > linger['close_us'] > 0
    assert linger['held_us'] > 1000, 'the view alone takes a millisecond'
    for name in works:
        assert f'\n{name}: ' in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith('  diplex  ')]
    assert len(rows) == len(works)


def test_slow_clients_and_an_honest_one_are_timed(directory):
    report = directory / 'report.json'
    done = pools('--peers', 'diplex', '--works', 'slow', '--json', str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(report.read_text())['works']['slow'][0]['diplex']
    assert seen['asked'] == 30
    assert seen['slow_kib'] > 0
    assert seen['p50_ms'] >= 10, 'the view alone takes ten milliseconds'


def test_a_work_it_does_not_know_is_refused():
    done = pools('--works', 'a,brust')
    assert done.returncode == 2
    assert 'no such work: brust' in done.stderr
