#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions that diplex spends on a small request, outside the kernel, with valgrind's callgrind.

Unlike a time the figure is nearly the same each time and on every machine of one architecture, so a test can hold it:
tests/e2e/test_instructions.py. The data process alone runs under callgrind, one client asks one request after another
on one kept connection, and what is told is the difference between a long run and a short one: starting, connecting and
ending are in both. `tests/bench/run --instructions` builds what is shipped and starts this.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import socket
import subprocess
import sys
import tempfile

import valgrind
from bench import PATIENCE, Trouble, build, cores, wait_until
from peers import BUILD, OURS, PEERS
from processes import Program, free_port
from works import BROWSER

WARM_UP = 100  # requests of each kind, in every run
REQUESTS = 1000
KINDS = {  # what is asked, and with which fields beside Host
    'asgi': ('/async/', ()),
    'wsgi': ('/', ()),
    'browser': ('/async/', BROWSER),
}
CONFIG = """\
listen: 127.0.0.1:{port}
admin: off
sandbox: off
log: off
workers: 1
pools:
  sync: {{kind: wsgi, servers: "{server}", keepalive: {{idle: 30s}}}}
  async: {{kind: asgi, servers: "{server}", keepalive: {{idle: 30s}}}}
routes: {{/async/: async, /: sync}}
"""


def missing() -> list[str]:
    return valgrind.missing('callgrind_annotate', 'taskset')


class Counter:
    """One server, and runs of the program in front of it, each with a number of requests of each kind."""

    def __init__(self, stack: contextlib.ExitStack, program: pathlib.Path, directory: pathlib.Path):
        directory.chmod(0o755)  # a proxy started by root carries requests as somebody else
        build()
        self.directory = directory
        self.runs = 0
        self.preload = valgrind.preload(directory)
        # Without the notes for debuggers, which an older valgrind cannot read from every compiler. Names stay.
        self.program = directory / 'diplex'
        valgrind.do('strip', '--strip-debug', '-o', self.program, program)
        self.program.chmod(0o755)
        _, self.cores = cores()
        self.server = f'127.0.0.1:{free_port()}'
        stack.enter_context(Program([str(BUILD / 'origin'), self.server], self.cores, directory / 'origin.log'))

    def run(self, requests: dict[str, int]) -> pathlib.Path:
        """What callgrind wrote about a run with so many requests beyond the warm-up."""
        self.runs += 1
        port, config = free_port(), self.directory / f'{self.runs}.yaml'
        config.write_text(CONFIG.format(port=port, server=self.server))
        out, log = (self.directory / f'{self.runs}.{kind}' for kind in ('out', 'valgrind'))
        out.touch()
        out.chmod(0o666)
        environment = valgrind.environment(self.preload, self.program, '--tool=callgrind',
                                           f'--callgrind-out-file={out}', f'--log-file={log}')
        command = ['env', *(f'{name}={value}' for name, value in environment.items()), str(self.program), 'run', '-c',
                   str(config)]
        with Program(command, self.cores, self.directory / f'{self.runs}.log') as diplex:
            wait_until(lambda: ' ready ' in diplex.output() or not diplex.running(), 'diplex is ready under valgrind')
            if diplex.running():
                _ask(port, {kind: WARM_UP + requests.get(kind, 0) for kind in KINDS})
                diplex.interrupt()
                diplex.wait(PATIENCE)
            if not out.stat().st_size:
                raise Trouble(f'nothing was counted:\n{diplex.output()}{log.read_text() if log.exists() else ""}')
        return out

    def count(self) -> dict[str, float]:
        """Instructions for one request of each kind."""
        before = _total(self.run({}))
        return {kind: (_total(self.run({kind: REQUESTS})) - before) / REQUESTS for kind in KINDS}

    def functions(self, kind: str) -> dict[str, float]:
        """The same of one kind for each function."""
        short, long = (_functions(self.run({kind: count})) for count in (0, REQUESTS))
        return {name: (count - short.get(name, 0)) / REQUESTS for name, count in long.items()}


def compiler(program: pathlib.Path) -> str:
    """What a program was compiled with, as compilers note it in what they make: `gcc 12.2.0`."""
    text = program.read_bytes()
    for name, words in (('clang', rb'clang version ([\d.]+)'), ('gcc', rb'GCC: \([^)]*\) ([\d.]+)')):
        if found := re.search(words, text):
            return f'{name} {found.group(1).decode()}'
    return 'an unknown compiler'


def _ask(port: int, requests: dict[str, int]) -> None:
    """One after another on one connection."""
    with socket.create_connection(('127.0.0.1', port), timeout=PATIENCE) as client, client.makefile('rb') as answers:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for kind, count in requests.items():
            path, fields = KINDS[kind]
            request = '\r\n'.join((f'GET {path} HTTP/1.1', 'Host: 127.0.0.1', *fields, '', '')).encode()
            for _ in range(count):
                client.sendall(request)
                _take_answer(answers)


def _take_answer(answers) -> None:
    head = [answers.readline()]
    while head[-1].strip():
        head.append(answers.readline())
    lengths = [int(line.split(b':')[1]) for line in head if line.lower().startswith(b'content-length:')]
    if b' 200 ' not in head[0] or len(lengths) != 1 or len(answers.read(lengths[0])) != lengths[0]:
        raise Trouble(f'a wrong answer: {b"".join(head)!r}')


def _total(out: pathlib.Path) -> int:
    return int(re.search(r'^totals: (\d+)$', out.read_text(), re.M).group(1))


def _functions(out: pathlib.Path) -> dict[str, int]:
    """Instructions in each function itself, by its name and where it is from."""
    done = subprocess.run(['callgrind_annotate', '--threshold=100', '--auto=no', '--show-percs=no', str(out)],
                          capture_output=True, text=True, timeout=60)
    found = {}
    for count, name, where in re.findall(r'^ *([\d,]+) +(?:\([^)]*\) +)?\S*:(\S+)(?: \[(.*)\])?$', done.stdout, re.M):
        name = f'{name} [{pathlib.Path(where).name}]' if where else name
        found[name] = found.get(name, 0) + int(count.replace(',', ''))
    if not found:
        raise Trouble(f'callgrind_annotate tells nothing:\n{done.stdout}{done.stderr}')
    return found


def show(kind: str, each: dict[str, float], rows: int) -> None:
    (path, fields), total = KINDS[kind], sum(each.values())
    print(f'\n{kind}: GET {path}, {len(fields)} fields beside Host, {total:.0f} instructions')
    for name, count in sorted(each.items(), key=lambda row: -row[1])[:rows]:
        print(f'  {count:7.0f}  {100 * count / total:5.1f}%  {name}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--kinds', default=','.join(KINDS), help='of %(default)s')
    parser.add_argument('--functions', type=int, default=30, help='how many to show; %(default)s by default')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='write the figures there, for the test')
    options = parser.parse_args()
    kinds = options.kinds.split(',')
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f'no such kind: {", ".join(unknown)}; there are {", ".join(KINDS)}')
    program = PEERS[OURS].path()
    if absent := [*missing(), *([] if program else [PEERS[OURS].program])]:
        print(f'missing: {", ".join(absent)}', file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix='diplex-count-') as directory, contextlib.ExitStack() as stack:
            counter = Counter(stack, pathlib.Path(program), pathlib.Path(directory))
            figures = {kind: counter.functions(kind) for kind in kinds}
    except Trouble as trouble:
        print(f'error: {trouble}', file=sys.stderr)
        return 1
    print(f'{program}, {compiler(pathlib.Path(program))}, {platform.machine()}')
    for kind, each in figures.items():
        show(kind, each, options.functions)
    if options.json:
        options.json.write_text(json.dumps({
            'machine': platform.machine(), 'compiler': compiler(pathlib.Path(program)),
            'instructions': {kind: round(sum(each.values())) for kind, each in figures.items()}}, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())
