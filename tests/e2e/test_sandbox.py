# SPDX-License-Identifier: MIT
"""What the processes have given up, seen from outside: their rights, what is said of them, and what happens when data
tries more. That it does its work there, all other tests show: the sandbox is on in them."""

import contextlib
import ctypes
import json
import os
import pathlib
import platform
import shutil
import signal
import struct
import subprocess
import sysconfig

import pytest
from harness import DIPLEX, has_ended, one_pool, run_diplex, two_pools
from test_process import connects, keep_answering
from wire import wait_until

NO_FILTERS = 'no seccomp and no landlock in this build'
IN_FORCE = 'no-new-privileges, no capabilities, seccomp, landlock '
EXECVE = {'x86_64': 59, 'aarch64': 221}[platform.machine()]
PTRACE = {'x86_64': 101, 'aarch64': 117}[platform.machine()]
BIG = b'x' * 300_000  # more than buffer.memory


def status_of(pid: int, field: str) -> set[str]:
    """What all threads of a process say in a field of their status."""
    return {
        line.split(':', 1)[1].strip()
        for thread in pathlib.Path(f'/proc/{pid}/task').iterdir()
        for line in (thread / 'status').read_text().splitlines()
        if line.startswith(field + ':')
    }


def has_filters(site) -> bool:
    return NO_FILTERS not in site.wait_event(' sandbox ')


def in_force(site) -> dict:
    done = run_diplex('status', '--json', '-c', site.config_path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def with_admin(directory, config: dict) -> dict:
    return {**config, 'admin': str(directory / 'admin.sock')}


# ---- rights --------------------------------------------------------------------------------------------------------


def test_data_has_no_rights(diplex, scripted, directory):
    site = diplex(with_admin(directory, one_pool('asgi', scripted(keep_answering))))
    (data,) = site.children()
    assert site.get('/').status == 200
    assert status_of(data, 'NoNewPrivs') == {'1'}
    nothing = {'0' * 16}
    for field in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb', *(['CapBnd'] if os.getuid() == 0 else [])):
        assert status_of(data, field) == nothing, field
    told = in_force(site)['sandbox']
    assert told in site.wait_event(' info sandbox ')
    if not has_filters(site):
        assert status_of(data, 'Seccomp') == {'0'}
        return
    assert told.startswith(IN_FORCE), told
    assert status_of(data, 'Seccomp') == {'2'}, 'every thread is under the filter'
    assert len(status_of(data, 'Seccomp_filters')) == 1


def test_control_keeps_what_it_needs(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(keep_answering)))
    assert status_of(site.pid, 'NoNewPrivs') == {'1'}
    if os.getuid() == 0:
        kept = 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10  # DAC_OVERRIDE KILL SETGID SETUID SETPCAP NET_BIND_SERVICE
        for field in ('CapPrm', 'CapEff', 'CapBnd'):
            (found,) = status_of(site.pid, field)
            assert int(found, 16) & ~kept == 0, field
    if has_filters(site):
        assert status_of(site.pid, 'Seccomp') == {'2'}


def test_an_ordinary_user_has_the_same_sandbox(diplex, scripted, directory):
    if os.getuid() != 0:
        pytest.skip('the other tests show that already')
    site = diplex(one_pool('asgi', scripted(keep_answering)), start=False)
    os.chmod(site.directory, 0o777)
    site.arguments[0] = shutil.copy2(DIPLEX, site.directory)
    with site.stdout_path.open('ab') as out, site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments, stdout=out, stderr=err, cwd='/', start_new_session=True, user=65534, group=65534, extra_groups=[]
        )
    wait_until(lambda: connects(site.endpoint), what='the listener')
    assert site.get('/').status == 200
    (data,) = site.children()
    assert status_of(data, 'NoNewPrivs') == {'1'} and status_of(data, 'CapEff') == {'0' * 16}
    if has_filters(site):
        assert IN_FORCE in site.wait_event(' sandbox ')


def test_no_core_dumps_unless_asked(diplex, scripted):
    """What may not be dumped belongs to root in /proc, whoever runs it."""
    server = scripted(keep_answering)
    owners = {}
    for asked in ('no', 'yes'):
        site = diplex(one_pool('asgi', server, core_dumps=asked))
        (data,) = site.children()
        owners[asked] = os.stat(f'/proc/{data}/fd').st_uid
        site.stop()
        if not has_filters(site):
            return  # the leak sanitizer looks into its own process
    runs_as = os.getuid() or 65534
    assert owners == {'no': 0, 'yes': runs_as}


# ---- more or less of it --------------------------------------------------------------------------------------------


def test_it_can_be_left_out(diplex, scripted):
    site = diplex(one_pool('asgi', scripted(keep_answering), sandbox='off'))
    assert site.get('/').status == 200
    (data,) = site.children()
    for pid in (data, site.pid):
        assert status_of(pid, 'Seccomp') == {'0'} and status_of(pid, 'NoNewPrivs') == {'1'}
    assert status_of(data, 'CapEff') == {'0' * 16}
    assert 'seccomp and landlock off' in site.wait_event(' sandbox ')


LANDLOCK, ENOSYS = 444, 38
SECCOMP, EPERM = {'x86_64': 317, 'aarch64': 277}[platform.machine()], 1


def refuse(call: int, error: int) -> None:
    """As a kernel without Landlock would, or a container that forbids seccomp: a filter that answers the call so."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = b''.join(
        struct.pack('HBBI', *instruction)
        for instruction in [(0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7FFF0000)]
    )
    memory = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(code) // 8, ctypes.addressof(memory)))
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program, 0, 0) != 0:
        os._exit(99)


def start_without(site, call: int, error: int) -> None:
    with site.stdout_path.open('ab') as out, site.stderr_path.open('ab') as err:
        site.process = subprocess.Popen(
            site.arguments, stdout=out, stderr=err, env=site.environment, start_new_session=True, preexec_fn=lambda: refuse(call, error)
        )


def test_a_kernel_without_landlock(diplex, scripted):
    site = diplex(one_pool('wsgi', scripted(keep_answering)), start=False)
    start_without(site, LANDLOCK, ENOSYS)
    wait_until(lambda: connects(site.endpoint), what='the listener')
    assert site.ask('POST', '/', body=BIG).status == 200, 'a body goes to its file all the same'
    if has_filters(site):
        assert 'seccomp, no landlock (Function not implemented)' in site.wait_event(' sandbox ')


def test_a_container_that_forbids_seccomp(diplex, scripted):
    site = diplex(one_pool('wsgi', scripted(keep_answering)), start=False)
    start_without(site, SECCOMP, EPERM)
    wait_until(lambda: connects(site.endpoint), what='the listener')
    assert site.ask('POST', '/', body=BIG).status == 200
    if has_filters(site):
        assert 'no seccomp (Operation not permitted)' in site.wait_event(' sandbox ')


@pytest.mark.parametrize(('missing', 'words'), [((LANDLOCK, ENOSYS), 'no landlock'), ((SECCOMP, EPERM), 'seccomp')])
def test_what_is_required_and_cannot_be_had(diplex, scripted, missing, words):
    site = diplex(one_pool('asgi', scripted(keep_answering), sandbox='require'), start=False)
    start_without(site, *missing)
    assert site.wait() == 1
    assert 'require' in site.stderr and words in site.stderr
    assert ' ready ' not in site.stderr


def test_what_is_required_and_can_be_had(diplex, scripted):
    probe = diplex(one_pool('asgi', scripted(keep_answering)))
    if IN_FORCE not in probe.wait_event(' sandbox '):
        pytest.skip('needs seccomp and Landlock')
    site = diplex(one_pool('asgi', scripted(keep_answering), sandbox='require'))
    assert site.get('/').status == 200


# ---- calls that are not its own ------------------------------------------------------------------------------------


@pytest.fixture(scope='session')
def make_call(tmp_path_factory):
    library = tmp_path_factory.mktemp('call') / 'make_call.so'
    library.parent.chmod(0o755)
    source = pathlib.Path(__file__).parent / 'make_call.c'
    compiler = shutil.which('cc') or shutil.which((sysconfig.get_config_var('CC') or 'gcc').split()[0])
    if not compiler:
        pytest.skip('needs a C compiler')
    subprocess.run([compiler, '-O1', '-shared', '-fPIC', '-o', library, source], check=True, timeout=60)
    return library


def preloaded(diplex, config, library, call: int):
    probe = diplex(config, start=False)
    if b'__asan_init' in DIPLEX.read_bytes() or b'__tsan_init' in DIPLEX.read_bytes():
        pytest.skip('a sanitizer has to be loaded first')
    probe.environment.update(LD_PRELOAD=str(library), MAKE_CALL=str(call))
    return probe


@pytest.mark.parametrize('call', [EXECVE, PTRACE])
def test_a_forbidden_call_ends_data_and_is_told(diplex, scripted, make_call, call):
    site = preloaded(diplex, one_pool('asgi', scripted(keep_answering), workers=1), make_call, call)
    site.deaths_are_expected = True
    site.spawn()
    site.wait_event(' ready ')
    if not has_filters(site):
        pytest.skip('no filter in this build')
    (data,) = site.children()
    with contextlib.suppress(OSError), site.client():
        wait_until(lambda: has_ended(data), what='its end')
    line = site.wait_event('data_exited', 'SIGSYS')
    assert f'call={call}' in line and 'seccomp' in line
    site.wait_event('data_ready')
    assert site.children() != [data], 'and another one serves'


def test_an_unknown_call_does_no_harm(diplex, scripted, make_call):
    """A C library of tomorrow tries a new call, is told that there is none, and goes the old way."""
    site = preloaded(diplex, one_pool('asgi', scripted(keep_answering)), make_call, 9999)
    site.start()
    assert site.get('/').status == 200
    assert 'data_exited' not in site.stderr


# ---- spools and reloads --------------------------------------------------------------------------------------------


def test_spools_of_a_root_data_are_made_in_the_folder(diplex, gunicorn, uvicorn, directory):
    folder = spool_folder(directory, 'spool')
    site = diplex(two_pools(gunicorn(workers=2), uvicorn(), buffer={'path': str(folder), 'memory': '4KB'}))
    assert spools_in(site) == folder


def spool_folder(directory, name: str) -> pathlib.Path:
    folder = directory / name
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def spools_in(site) -> pathlib.Path | None:
    """Where data keeps the beginning of a large body."""
    (data,) = site.children()

    def found() -> pathlib.Path | None:
        for descriptor in pathlib.Path(f'/proc/{data}/fd').iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(descriptor)
                if target.endswith('(deleted)') and 'memfd' not in target:
                    return pathlib.Path(target).parent
        return None

    with site.client() as client:
        client.send(b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n' % (2 * len(BIG)) + BIG)
        where = wait_until(found, what='a spool')
    wait_until(lambda: not found(), what='its end')
    return where


def test_a_reload_that_names_another_folder(diplex, scripted, directory):
    """Nobody is cut off for it: data goes on with the folder it can reach, says so, and the next data takes the new one."""
    old, new = spool_folder(directory, 'old'), spool_folder(directory, 'new')
    below = spool_folder(old, 'below')
    server = scripted(keep_answering)

    def config(folder):
        return with_admin(directory, one_pool('wsgi', server, buffer={'path': str(folder), 'memory': '4KB'}))

    site = diplex(config(old))
    confined = 'landlock' in site.wait_event(' sandbox ') and has_filters(site)
    assert spools_in(site) == old
    with site.client() as kept:
        assert kept.ask('GET', '/').status == 200
        site.write_config(config(new))
        told = run_diplex('reload', '-c', site.config_path)
        assert told.returncode == 0 and ('buffer.path' in told.stdout) == confined, told
        assert kept.ask('GET', '/').status == 200, 'the connection lives on'
    assert spools_in(site) == (old if confined else new)
    if confined:
        assert 'buffer.path' in site.wait_event('reload_partial')

    site.write_config(config(below))
    told = run_diplex('reload', '-c', site.config_path)
    assert told.returncode == 0 and 'buffer.path' not in told.stdout
    assert spools_in(site) == below

    site.write_config(config(new))
    assert run_diplex('reload', '-c', site.config_path).returncode == 0
    site.deaths_are_expected = True
    (data,) = site.children()
    os.kill(data, signal.SIGKILL)
    wait_until(lambda: has_ended(data), what='its end')
    site.wait_event('data_ready')
    assert spools_in(site) == new


def test_a_reload_that_changes_the_sandbox_says_that_it_has_to_wait(diplex, scripted, directory):
    server = scripted(keep_answering)
    site = diplex(with_admin(directory, one_pool('asgi', server)))
    site.write_config(with_admin(directory, one_pool('asgi', server, sandbox='off', core_dumps='yes')))
    told = run_diplex('reload', '-c', site.config_path)
    assert told.returncode == 0 and 'sandbox' in told.stdout and 'core_dumps' in told.stdout


def test_a_folder_that_is_not_there(diplex, scripted, directory):
    site = diplex(one_pool('wsgi', scripted(keep_answering), buffer={'path': str(directory / 'none'), 'memory': '4KB'}))
    if has_filters(site) and 'no landlock' not in site.wait_event(' sandbox '):
        assert str(directory / 'none') in site.wait_event('spool_folder_missing')
    assert site.ask('POST', '/', body=BIG).status == 507
    assert site.ask('POST', '/', body=b'small').status == 200
