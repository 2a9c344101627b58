# SPDX-License-Identifier: MIT
"""The program under valgrind: what has to be preloaded and said so that its data process runs under it too."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).parent
TOOLS = ('valgrind', 'cc', 'strip')


def missing(*more: str) -> list[str]:
    return [tool for tool in (*TOOLS, *more) if not shutil.which(tool)]


def do(*command) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f'{command[0]} failed:\n{done.stdout}{done.stderr}')


def preload(directory: pathlib.Path) -> pathlib.Path:
    """What puts valgrind in front of the data process, see valgrind.c."""
    library = directory / 'valgrind.so'
    do('cc', '-std=gnu11', '-O1', '-fPIC', '-shared', '-Wall', '-Wextra', '-o', library, HERE / 'valgrind.c')
    return library


def environment(library: pathlib.Path, program: pathlib.Path, *options) -> dict[str, str]:
    """For the control process, so that data is `valgrind options program ...`."""
    words = (shutil.which('valgrind'), '--vgdb=no', *options, '--', program)
    return {'LD_PRELOAD': str(library), 'VALGRIND_DATA': '\n'.join(map(str, words))}
