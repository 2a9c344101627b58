# SPDX-License-Identifier: MIT
"""The Debian package, installed, run, upgraded, removed and purged in a fresh container. It takes a container engine, a
mirror of Debian and a minute, so it has to be asked for:

    scripts/build && (cd build/release && cpack -G DEB)
    DIPLEX_CONTAINERS=podman DIPLEX_DEB=build/release/diplex_0.1.0_amd64.deb \\
        build/venv/bin/python -m pytest -q -p no:cacheprovider tests/containers/test_package.py

DIPLEX_BASE is the image, debian:bookworm-slim without it. Without systemd as process 1 units are only installed and enabled.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

ENGINE = os.environ.get('DIPLEX_CONTAINERS')
PACKAGE = pathlib.Path(os.environ.get('DIPLEX_DEB', '')).absolute()
BASE = os.environ.get('DIPLEX_BASE', 'debian:bookworm-slim')

pytestmark = [
    pytest.mark.skipif(not ENGINE, reason='asked for by DIPLEX_CONTAINERS=podman or docker'),
    pytest.mark.skipif(bool(ENGINE) and not shutil.which(ENGINE or ''), reason=f'{ENGINE} is not installed'),
    pytest.mark.skipif(not PACKAGE.is_file(), reason='DIPLEX_DEB names the package'),
]

SCRIPT = r"""
set -eu
export DEBIAN_FRONTEND=noninteractive
say() { printf '== %s\n' "$*"; }
# Slim images leave documentation out of every package.
rm -f /etc/dpkg/dpkg.cfg.d/docker
apt-get update -qq >/dev/null
@PREPARE@

say install
apt-get install -y -qq --no-install-recommends /package.deb >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
getent passwd diplex
diplex check -q -c /etc/diplex/diplex.yaml
if [ -x /usr/bin/systemctl ]; then
    test -L /etc/systemd/system/multi-user.target.wants/diplex.service
    test ! -e /etc/systemd/system/sockets.target.wants/diplex.socket
fi

say run
setpriv --reuid=diplex --regid=diplex --clear-groups --inh-caps=-all env XDG_RUNTIME_DIR=/tmp diplex run >/tmp/out 2>/tmp/err &
pid=$!
for i in $(seq 100); do grep -q ' ready ' /tmp/err && break; sleep 0.1; done
setpriv --reuid=diplex --regid=diplex --clear-groups env XDG_RUNTIME_DIR=/tmp diplex healthcheck
kill -TERM $pid
wait $pid
grep -q ' stopped ' /tmp/err

say upgrade
echo '# mine' >>/etc/diplex/diplex.yaml
apt-get install -y -qq --reinstall /package.deb >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
tail -1 /etc/diplex/diplex.yaml

say remove
apt-get remove -y -qq diplex >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
test ! -e /usr/bin/diplex
tail -1 /etc/diplex/diplex.yaml

say purge
mkdir -p /var/log/diplex && touch /var/log/diplex/access.log
dpkg --purge diplex >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
test ! -e /etc/diplex && test ! -e /var/log/diplex
! find / -xdev -path /proc -prune -o -path /package.deb -prune -o -name '*diplex*' -print | grep -v -e ^/tmp/ -e ^/var/cache/ -e ^/var/log/apt

say done
"""


@pytest.mark.parametrize('with_systemd', [False, True], ids=['alone', 'with systemd'])
def test_a_whole_life(with_systemd):
    prepare = 'apt-get install -y -qq --no-install-recommends systemd >/dev/null 2>&1' if with_systemd else ''
    command = [ENGINE, 'run', '--rm', '--network', 'host', '-v', f'{PACKAGE}:/package.deb:ro', BASE, 'bash', '-c']
    done = subprocess.run(
        [*command, SCRIPT.replace('@PREPARE@', prepare)], capture_output=True, text=True, timeout=400, check=False
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0 and done.stdout.endswith('== done\n'), told
    user = next(line for line in done.stdout.splitlines() if line.startswith('diplex:'))
    assert user.split(':')[5:] == ['/nonexistent', '/usr/sbin/nologin']
    assert done.stdout.count('# mine') == 2, told


def test_lintian_finds_no_error():
    if not shutil.which('lintian'):
        pytest.skip('needs lintian')
    as_root = ['--allow-root'] if os.getuid() == 0 else []
    done = subprocess.run(
        ['lintian', '--fail-on', 'error,warning', '--tag-display-limit', '0', *as_root, PACKAGE],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
