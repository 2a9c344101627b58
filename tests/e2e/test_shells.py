# SPDX-License-Identifier: MIT
"""What the program prints of its own tables: completion for shells, tried in the shells, and the manual pages, looked at by
those who show them."""

import json
import os
import re
import shutil
import subprocess

import pytest
from harness import DIPLEX, SANITIZER_OPTIONS, one_pool, run_diplex
from test_process import keep_answering


def complete(*words):
    done = run_diplex('complete', '--', *words)
    assert done.returncode == 0, done.stderr
    return [line.split('\t')[0] for line in done.stdout.splitlines()]


def listed():
    return re.findall(r'^  ([a-z]+) +\S', run_diplex('help').stdout, re.M)


def test_every_command_and_option_is_offered():
    assert complete('') == complete() == listed() and 'data' not in listed()
    assert complete('re') == [name for name in listed() if name.startswith('re')]
    for name in listed():
        rows = re.findall(r'^  (?:-.,|   ) (--[a-z-]+)', run_diplex('help', name).stdout, re.M)
        assert complete(name, '--') == [*rows, '--help'], name
    assert complete('help', 'dr') == ['drain']


def test_values_are_completed():
    assert complete('check', '-c', '') == complete('drain', '--admin', 'x') == [':files']
    assert complete('log', '') == ['level'] and complete('log', 'level', 'w') == ['warn']
    assert complete('explain', 'P') == ['POST', 'PUT', 'PATCH']
    assert complete('explain', 'GET', '') == complete('drain', '-w', '') == complete('nothing', '') == []
    assert complete('-c', '') == [':files'] and '--config' in complete('--c')


@pytest.fixture
def running(diplex, scripted, directory):
    one, two = scripted(keep_answering), scripted(keep_answering)
    config = one_pool('asgi', one, two, admin=str(directory / 'a.sock'))
    config['pools']['other-pool'] = {'kind': 'wsgi', 'servers': ['127.0.0.1:1']}
    site = diplex(config)
    site.servers = [one.address, two.address, '127.0.0.1:1']
    return site


def test_pools_and_servers_are_those_of_the_running_one(running):
    at = ('-a', json.loads(running.config_path.read_text())['admin'])
    assert sorted(complete('hold', *at, '')) == ['app', 'other-pool']
    assert complete('release', '-c', str(running.config_path), 'oth') == ['other-pool']
    assert sorted(complete('drain', *at, '')) == sorted(running.servers)
    assert complete('undrain', *at, running.servers[0]) == [running.servers[0]]
    assert complete('drain', *at, running.servers[0], '') == [], 'it takes one'
    assert complete('drain', '-a', '/nowhere', '') == []


def test_what_can_be_switched_to_maintenance(running):
    at = ('-a', json.loads(running.config_path.read_text())['admin'])
    assert complete('maintenance', '') == ['on', 'off'] and complete('maintenance', *at, 'of') == ['off']
    assert sorted(complete('maintenance', 'on', *at, '')) == ['/', 'app', 'other-pool']
    assert complete('maintenance', *at, 'on', 'ap') == ['app']
    assert complete('maintenance', 'off', *at, '') == complete('maintenance', 'on', '-a', '/nowhere', '') == []
    assert run_diplex('maintenance', 'on', 'app', *at).returncode == run_diplex('maintenance', 'on', *at).returncode == 0
    assert complete('maintenance', *at, 'off', '') == ['app'], 'everything needs no name'
    assert complete('maintenance', 'off', *at, 'app', '') == [], 'it takes one'


# ---- in the shells -------------------------------------------------------------------------------------------------


def shell(name, directory, script, **variables):
    if not shutil.which(name):
        pytest.skip(f'needs {name}')
    path = directory / 'completion'
    printed = run_diplex('completion', name)
    assert printed.returncode == 0
    path.write_text(printed.stdout)
    (directory / 'bin').mkdir(exist_ok=True)
    link = directory / 'bin' / 'diplex'
    if not link.exists():
        link.symlink_to(DIPLEX)
    environment = {**os.environ, **SANITIZER_OPTIONS, 'PATH': f'{directory}/bin:{os.environ["PATH"]}', 'HOME': str(directory)}
    options = {'bash': ['--norc', '--noprofile'], 'zsh': ['-f'], 'fish': ['--no-config']}[name]
    before = 'compdef() { registered=$*; }\n' if name == 'zsh' else ''
    done = subprocess.run(
        [name, *options, '-c', f'{before}source {path}\n{script}'], capture_output=True, text=True, timeout=60, check=False,
        cwd=directory, env={**environment, **variables}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == '', done.stdout + done.stderr
    return done.stdout.split('\n')[:-1]


def in_bash(directory, line):
    script = """
        COMP_LINE=$LINE_SO_FAR COMP_POINT=${#LINE_SO_FAR}
        compopt() { printf 'compopt %s\\n' "$*"; }
        [[ $(complete -p diplex) == 'complete -F _diplex diplex' ]] || exit 9
        _diplex diplex
        ((${#COMPREPLY[@]})) && printf '%s\\n' "${COMPREPLY[@]}"
        true"""
    return shell('bash', directory, script, LINE_SO_FAR=line)


def test_in_bash(directory, running):
    assert in_bash(directory, 'diplex re') == [name for name in listed() if name.startswith('re')]
    assert in_bash(directory, 'diplex ') == listed()
    assert in_bash(directory, 'diplex check -c ') == ['compopt -o default']
    assert in_bash(directory, f'diplex hold -c {running.config_path} o') == ['other-pool']
    host, port = running.servers[0].split(':')
    assert in_bash(directory, f'diplex drain -c {running.config_path} {host}:{port[:-1]}')[0].startswith(port[:-1])


def in_zsh(directory, line):
    script = """
        _files() { print files; }
        _describe() { print -rl -- "${(@P)2}"; }
        words=("${(@s: :)LINE_SO_FAR}") CURRENT=${#words}
        [[ $registered == '_diplex diplex' ]] && _diplex"""
    return shell('zsh', directory, script, LINE_SO_FAR=line)


def test_in_zsh(directory, running):
    assert [answer.split(':')[0] for answer in in_zsh(directory, 'diplex re')] == [
        name for name in listed() if name.startswith('re')
    ]
    assert in_zsh(directory, 'diplex check -c ') == ['files']
    assert in_zsh(directory, f'diplex hold -c {running.config_path} o') == ['other-pool:']
    host, port = running.servers[2].split(':')
    assert f'{host}\\:{port}:' in in_zsh(directory, f'diplex drain -c {running.config_path} ')


def in_fish(directory, line):
    return [answer.split('\t')[0] for answer in shell('fish', directory, 'complete -C "$LINE_SO_FAR"', LINE_SO_FAR=line)]


def test_in_fish(directory, running):
    assert sorted(in_fish(directory, 'diplex re')) == sorted(name for name in listed() if name.startswith('re'))
    assert 'completion' in in_fish(directory, 'diplex check -c compl')
    assert in_fish(directory, f'diplex hold -c {running.config_path} o') == ['other-pool']
    assert sorted(in_fish(directory, f'diplex drain -c {running.config_path} 127')) == sorted(running.servers)


# ---- manual pages --------------------------------------------------------------------------------------------------


@pytest.fixture(params=['diplex.1', 'diplex.yaml.5'])
def page(request, directory):
    path = directory / request.param
    printed = run_diplex('manual', request.param)
    assert printed.returncode == 0
    path.write_text(printed.stdout)
    return path


def test_groff_has_nothing_to_say(page):
    if not shutil.which('groff') or not shutil.which('preconv'):
        pytest.skip('needs groff')
    arguments = ['groff', '-K', 'utf8', '-man', '-Tutf8', '-ww', '-rLL=78n', '-z', str(page)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, '')


def test_mandoc_has_nothing_to_say(page):
    if not shutil.which('mandoc'):
        pytest.skip('needs mandoc')
    done = subprocess.run(['mandoc', '-Tlint', '-Wwarning', str(page)], capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in done.stdout.splitlines() if 'missing date' not in line]
    assert said == [], 'a page has the version and no date'


def test_all_is_in_the_pages():
    program, file = (run_diplex('manual', page).stdout.replace('\\-', '-') for page in ('diplex.1', 'diplex.yaml.5'))
    for name in listed():
        assert f'.SS diplex {name}' in program
    for option in re.findall(r'--[a-z-]+', ''.join(run_diplex('help', name).stdout for name in listed())):
        assert option in program
    assert '\\fBanswer_timeout\\fR\n' in program and '\\fBqueue_full\\fR (503)' in program
    for key in re.findall(r'^\| `([a-z_]+)` \|', run_diplex('manual').stdout, re.M):
        assert f'.TP\n\\fB{key}\\fR' in file, key
    wrong = run_diplex('manual', 'diplex.2')
    assert wrong.returncode == 2 and 'diplex.yaml.5' in wrong.stderr
