# SPDX-License-Identifier: MIT
"""What `cmake --install` and `cpack` make of a build: all in its place, a program that runs from there, and a Debian package with
what Debian asks of one. To install the package for real is for tests/containers."""

import gzip
import os
import re
import shutil
import stat
import subprocess

import pytest
from harness import DIPLEX, Diplex, one_pool, sanitized
from test_process import keep_answering

BUILD = DIPLEX.parent
pytestmark = pytest.mark.skipif(
    not (BUILD / 'cmake_install.cmake').exists() or not shutil.which('cmake'), reason='needs cmake and the folder it built in'
)


def run(*command, **environment) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=240, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def staged(run_directory):
    """Below DESTDIR, as packagers do it."""
    root = run_directory / 'destdir'
    run('cmake', '--install', BUILD, '--prefix', '/usr', DESTDIR=str(root))
    return root


def makes_pages() -> bool:
    return (BUILD / 'install' / 'diplex.1').exists()


def test_all_is_in_its_place(staged):
    there = {str(path.relative_to(staged)) for path in staged.rglob('*') if path.is_file()}
    expected = {
        'usr/bin/diplex', 'etc/diplex/diplex.yaml', 'usr/share/diplex/diplex.schema.json', 'usr/lib/sysusers.d/diplex.conf',
        'usr/lib/systemd/system/diplex.service', 'usr/lib/systemd/system/diplex.socket', 'usr/share/doc/diplex/LICENSE',
        'usr/share/doc/diplex/docs/operations.md', 'usr/share/doc/diplex/examples/smallest.yaml',
    }  # fmt: skip
    expected |= {'etc/logrotate.d/diplex', 'usr/share/diplex/grafana/diplex.json', 'usr/share/diplex/prometheus/diplex.rules.yml'}
    assert expected <= there
    if makes_pages():
        assert {'usr/share/bash-completion/completions/diplex', 'usr/share/zsh/site-functions/_diplex'} <= there
        page = next(path for path in there if path.startswith('usr/share/man/man1/diplex.1'))
        text = (staged / page).read_bytes()
        assert b'.SH COMMANDS' in (gzip.decompress(text) if page.endswith('.gz') else text)
    assert sanitized() or makes_pages() or b'__llvm_profile' in DIPLEX.read_bytes()


def test_each_file_names_the_places_of_the_others(staged):
    unit = (staged / 'usr/lib/systemd/system/diplex.service').read_text()
    assert 'ExecStart=/usr/bin/diplex run -c /etc/diplex/diplex.yaml\n' in unit and '@CMAKE' not in unit
    assert '$schema=/usr/share/diplex/diplex.schema.json' in (staged / 'etc/diplex/diplex.yaml').read_text()


def test_it_runs_from_there_and_keeps_what_is_the_administrators(directory, scripted):
    prefix = directory / 'prefix'
    run('cmake', '--install', BUILD, '--prefix', prefix)
    file = prefix / 'etc' / 'diplex' / 'diplex.yaml'
    assert run(prefix / 'bin' / 'diplex', 'check', '-q', '-c', file) == ''
    site = Diplex(directory, one_pool('asgi', scripted(keep_answering)))
    file.write_text(site.config_path.read_text())
    assert 'Kept: ' in run('cmake', '--install', BUILD, '--prefix', prefix)
    (command,) = re.findall(r'^ExecStart=(.*)$', (prefix / 'lib/systemd/system/diplex.service').read_text(), re.M)
    site.arguments = command.split()
    assert site.arguments[0].startswith(str(prefix)) and site.arguments[-1] == str(file)
    site.start()
    try:
        assert site.get('/').status == 200
    finally:
        site.finish()


@pytest.fixture(scope='module')
def package(run_directory):
    if not (shutil.which('cpack') and shutil.which('dpkg-deb') and shutil.which('dpkg-shlibdeps')):
        pytest.skip('needs cpack and dpkg-dev')
    if sanitized() or not makes_pages():
        pytest.skip('such a build is no package')
    folder = run_directory / 'package'
    run('cpack', '-G', 'DEB', '-B', folder, '--config', BUILD / 'CPackConfig.cmake')
    (deb,) = folder.glob('*.deb')
    return deb


def test_the_package_says_what_it_is(package):
    fields = dict(re.findall(r'^ ?([A-Z][A-Za-z-]*): (.*)$', run('dpkg-deb', '--info', package), re.M))
    assert fields['Package'] == 'diplex' and package.name == f'diplex_{fields["Version"]}_{fields["Architecture"]}.deb'
    for name in ('libc6', 'libevent', 'libyaml', 'libcurl4', 'adduser'):
        assert name in fields['Depends'], fields['Depends']


def test_the_package_has_what_debian_wants(package, directory):
    run('dpkg-deb', '--raw-extract', package, directory / 'all')
    control = directory / 'all' / 'DEBIAN'
    conffiles = (control / 'conffiles').read_text().split()
    etc = {f'/{path.relative_to(directory / "all")}' for path in (directory / 'all/etc').rglob('*') if path.is_file()}
    assert set(conffiles) == etc and '/etc/diplex/diplex.yaml' in etc, 'every file of /etc is the administrator\'s'
    for script in ('postinst', 'prerm', 'postrm'):
        run('sh', '-n', control / script)
        assert stat.S_IMODE((control / script).stat().st_mode) == 0o755
    documents = directory / 'all/usr/share/doc/diplex'
    version = run(DIPLEX, 'version').split()[1]
    assert gzip.decompress((documents / 'changelog.gz').read_bytes()).decode().startswith(f'diplex ({version}) ')
    assert 'License: Expat\n Permission is hereby granted' in (documents / 'copyright').read_text()
    assert (directory / 'all/usr/share/zsh/vendor-completions/_diplex').exists()
    assert not list((directory / 'all').rglob('*.la')) and not (documents / 'LICENSE').exists()
