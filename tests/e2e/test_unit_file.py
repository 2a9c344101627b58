# SPDX-License-Identifier: MIT
"""The systemd unit: what it says is valid, and its list of system calls leaves room for the sandbox behind it. The filter
that systemd would make of it is made here with libseccomp, as systemd does, so that no systemd has to run."""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from harness import DIPLEX, ROOT, one_pool
from test_process import connects, keep_answering
from wire import wait_until

SYSTEMD = ROOT / 'config' / 'systemd'
UNIT = SYSTEMD / 'diplex.service'
ALLOW, ANSWER_EPERM = 0x7FFF0000, 0x00050001
EXPOSURE = 1.9  # of 10, as systemd 252 judges it


def analyze(*arguments) -> str:
    if not shutil.which('systemd-analyze'):
        pytest.skip('needs systemd-analyze')
    done = subprocess.run(['systemd-analyze', *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def unit(directory):
    """The units as they are installed, with the program under test in them."""
    for source in SYSTEMD.glob('diplex.s*'):
        text = source.read_text().replace('@CMAKE_INSTALL_FULL_BINDIR@', str(DIPLEX.parent))
        text = text.replace('@CMAKE_INSTALL_FULL_SYSCONFDIR@', '/etc')
        (directory / source.name).write_text(text.replace('@CMAKE_INSTALL_FULL_DOCDIR@', '/usr/share/doc/diplex'))
    assert '@' not in (directory / UNIT.name).read_text().replace('@system-service', '').replace('@privileged @resources', '')
    return directory / UNIT.name


def test_systemd_understands_them(unit):
    assert analyze('verify', '--man=no', unit, unit.with_suffix('.socket')) == ''


def test_its_user_can_be_made(unit, directory):
    if not shutil.which('systemd-sysusers') or os.getuid() != 0:
        pytest.skip('needs systemd-sysusers, and root')
    root = directory / 'root'
    for folder in ('etc', 'usr/lib/sysusers.d'):
        (root / folder).mkdir(parents=True)
    shutil.copy(unit.with_suffix('.sysusers'), root / 'usr/lib/sysusers.d/diplex.conf')
    subprocess.run(['systemd-sysusers', f'--root={root}'], check=True, capture_output=True, timeout=60)
    (line,) = [line for line in (root / 'etc/passwd').read_text().splitlines() if line.startswith('diplex:')]
    name, _, uid, gid, _, home, shell = line.split(':')
    assert int(uid) < 1000 and (home, shell) == ('/nonexistent', '/usr/sbin/nologin')
    settings = dict(re.findall(r'^(User|Group)=(.*)$', UNIT.read_text(), re.M))
    assert settings == {'User': name, 'Group': name}


def test_little_is_exposed(unit):
    judged = analyze('security', '--offline=true', unit)
    assert float(re.search(r'exposure level for diplex.service: ([0-9.]+)', judged)[1]) <= EXPOSURE, judged


def members(group: str) -> set[str]:
    """The system calls of a group, or the one that is called so."""
    if not group.startswith('@'):
        return {group}
    lines = [line.strip() for line in analyze('syscall-filter', group).splitlines()[1:]]
    return set().union(*(members(line) for line in lines if line and not line.startswith('#')))


def allowed_calls() -> set[str]:
    allowed: set[str] = set()
    for line in re.findall(r'^SystemCallFilter=(.*)$', UNIT.read_text(), re.M):
        named = set().union(*(members(word) for word in line.removeprefix('~').split()))
        allowed = allowed - named if line.startswith('~') else allowed | named
    return allowed | members('@default')


def library():
    try:
        seccomp = ctypes.CDLL('libseccomp.so.2')
    except OSError:
        pytest.skip('needs libseccomp')
    seccomp.seccomp_init.restype = ctypes.c_void_p
    return seccomp


def test_its_filter_leaves_room_for_the_sandbox(diplex, scripted):
    if os.getuid() != 0:
        pytest.skip('needs to become another user')
    seccomp = library()
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(ANSWER_EPERM)))
    for name in sorted(allowed_calls()):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else it is one of another architecture
            assert seccomp.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0) == 0, name

    def enter() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        if seccomp.seccomp_load(context) != 0:
            os._exit(99)

    site = diplex(one_pool('wsgi', scripted(keep_answering)), start=False)
    os.chmod(site.directory, 0o777)
    site.arguments[0] = shutil.copy2(DIPLEX, site.directory)
    environment = {**site.environment, 'LSAN_OPTIONS': 'detect_leaks=0'}  # that look traces, which the unit forbids
    with site.stdout_path.open('ab') as out, site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments, stdout=out, stderr=err, env=environment, start_new_session=True, preexec_fn=enter
        )
    wait_until(lambda: connects(site.endpoint), what='the listener')
    assert site.ask('POST', '/', body=b'x' * 300_000).status == 200
    told = site.wait_event(' sandbox ')
    assert 'seccomp, landlock ' in told or 'no landlock (Function not implemented)' in told or 'in this build' in told
    (data,) = site.children()
    (filters,) = re.findall(r'^Seccomp_filters:\t(\d+)', pathlib.Path(f'/proc/{data}/status').read_text(), re.M)
    assert int(filters) == (1 if 'in this build' in told else 3), "the unit's, control's, and data's own"
