# SPDX-License-Identifier: MIT
"""The demonstration itself: scripts/demo tries everything it shows, and leaves nothing behind."""

import os
import pathlib
import subprocess

from harness import DIPLEX, ROOT, free_port


def test_the_demo_works_and_cleans_up():
    port = free_port()
    before = set(pathlib.Path('/tmp').glob('diplex-demo.*'))
    environment = {**os.environ, 'DIPLEX_BIN': str(DIPLEX), 'TMPDIR': '/tmp'}
    shown = subprocess.run(
        [ROOT / 'scripts' / 'demo', '--once', '--port', str(port)],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert 'everything works' in shown.stdout
    assert set(pathlib.Path('/tmp').glob('diplex-demo.*')) <= before
