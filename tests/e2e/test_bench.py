# SPDX-License-Identifier: MIT
"""The benchmark runs and its table is sane. How fast anything is, is not judged here: see docs/performance.md."""

import json
import os
import shutil
import subprocess
import sys

import harness
import pytest

WORKS = ['small', 'small-unix', 'small-wsgi', 'small-h2load', 'small-1', 'small-unix-1', 'browser', '64k', 'upload',
         'upload-wsgi', 'connect', 'server-closes', 'paced', 'websocket', 'events', 'log', 'routes']
NOT_FOR_THE_RELAY = {'log', 'routes'}
BENCH = harness.ROOT / 'tests' / 'bench' / 'bench.py'

MISSING = [tool for tool in ('wrk', 'h2load') if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f'not installed: {", ".join(MISSING)}, which make the '
                                                     "benchmark's load (Debian: wrk, nghttp2-client)")


def bench(*arguments):
    return subprocess.run([sys.executable, '-B', str(BENCH), '--rounds', '1', '--seconds', '0.3', *arguments],
                          env={**os.environ, 'DIPLEX_BIN': str(harness.DIPLEX)}, capture_output=True, text=True,
                          timeout=120)


def test_one_round_of_works_of_every_kind_gives_a_sane_table(directory):
    done = bench('--peers', 'relay,diplex', '--works', ','.join(WORKS), '--connections', '8', '--rate', '500',
                 '--json', str(directory / 'report.json'))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((directory / 'report.json').read_text())
    assert list(report['works']) == WORKS
    for work, rounds in report['works'].items():
        assert [list(of) for of in rounds] == [['diplex'] if work in NOT_FOR_THE_RELAY else ['relay', 'diplex']], work
        for peer, sample in rounds[0].items():
            told = f'{work} {peer}: {sample}'
            assert sample['requests'] > 8, told
            assert sample['errors'] == 0, told
            assert sample['cpu_us'] > 0, told
            assert 0 < sample['busy'] < 1.2, told
            assert 0 <= sample['user_share'] <= 1, told
            assert 0 < sample['p50_us'] <= sample['p99_us'] <= sample['p999_us'], told
            assert (sample['than_cpu_us'] is not None) == (work in {'log', 'routes'}), told
            assert sample['pss_kib'] is None or sample['pss_kib'] > 0, told
        assert f'{work}: ' in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith('  diplex')]
    assert len(rows) == len(report['works'])
    assert {row[-1] for row in rows} == {'-'}, 'nginx did not run, so there is no ratio to it'


def test_a_name_it_does_not_know_is_refused():
    done = bench('--peers', 'relay,ngnix')
    assert done.returncode == 2
    assert 'no such peer: ngnix' in done.stderr
