#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How much of the program the tests have run, room by room.

    tests/coverage/report.py build/coverage            # the table; fails below what was reached once
    tests/coverage/report.py build/coverage proxy      # the lines of a room that no test ran

Reads what the programs of a build with the preset `coverage` have counted since build/coverage/profile was emptied.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAST = 95.0  # percent of all lines below main: when it is more for good, more is written here
LEAST_IN_A_ROOM = 88.0
KINDS = ('lines', 'functions', 'branches')


def tool(name: str) -> str:
    """That of the newest version is plain; some systems have only numbered ones."""
    for candidate in (name, *(f'{name}-{version}' for version in range(30, 12, -1))):
        if shutil.which(candidate):
            return candidate
    raise SystemExit(f'{name} is not installed (Debian: llvm)')


def merge(build: pathlib.Path) -> pathlib.Path:
    profiles = sorted((build / 'profile').glob('*.profraw'))
    if not profiles:
        raise SystemExit(f'{build / "profile"} is empty: run the tests of the preset coverage first')
    merged = build / 'tests.profdata'
    subprocess.run([tool('llvm-profdata'), 'merge', '-sparse', '-o', merged, *profiles], check=True, timeout=300)
    return merged


def export(build: pathlib.Path, merged: pathlib.Path, *more: str) -> dict:
    done = subprocess.run([tool('llvm-cov'), 'export', f'-instr-profile={merged}', *more, build / 'diplex'],
                          check=True, timeout=300, stdout=subprocess.PIPE)
    return json.loads(done.stdout)['data'][0]


def room_of(name: str) -> str | None:
    """The room of src/<room>/... and of include/diplex/<room>...; nothing for other files and for main."""
    path = pathlib.Path(name)
    for top in ('src', 'include/diplex'):
        if path.is_relative_to(ROOT / top):
            room = path.relative_to(ROOT / top).parts[0].partition('.')[0]
            return None if room == 'main' else room
    return None


def by_room(files: list[dict]) -> dict[str, dict[str, list[int]]]:
    rooms = collections.defaultdict(lambda: {kind: [0, 0] for kind in KINDS})
    for file in files:
        if room := room_of(file['filename']):
            for kind in KINDS:
                rooms[room][kind][0] += file['summary'][kind]['covered']
                rooms[room][kind][1] += file['summary'][kind]['count']
    return dict(sorted(rooms.items()))


def share(pair: list[int]) -> float:
    return 100 * pair[0] / pair[1] if pair[1] else 100.0


def show(rooms: dict[str, dict[str, list[int]]]) -> bool:
    total = {kind: [sum(room[kind][i] for room in rooms.values()) for i in (0, 1)] for kind in KINDS}
    print(f'{"room":12}' + ''.join(f'{kind:>24}' for kind in KINDS))
    for name, room in [*rooms.items(), ('all', total)]:
        print(f'{name:12}' + ''.join(f'{room[kind][0]:8} of {room[kind][1]:5} {share(room[kind]):5.1f} %' for kind in KINDS))
    low = [f'the room {name}: {share(room["lines"]):.1f} % of its lines, less than {LEAST_IN_A_ROOM} %'
           for name, room in rooms.items() if share(room['lines']) < LEAST_IN_A_ROOM]
    if share(total['lines']) < LEAST:
        low.append(f'{share(total["lines"]):.1f} % of all lines, less than {LEAST} %')
    print('\n'.join(low))
    return not low


def show_lines(build: pathlib.Path, merged: pathlib.Path, room: str) -> None:
    """As `path:line: text`, from the segments (line, column, count, counted, is entry, is gap) of each file."""
    for file in export(build, merged)['files']:
        if room_of(file['filename']) != room:
            continue
        text = pathlib.Path(file['filename']).read_text().splitlines()
        segments, missed = file['segments'], set()
        for (line, column, count, counted, *_), (end, end_column, *_) in zip(segments, segments[1:]):
            last = end if end_column > 1 else end - 1
            for number in range(line, last + 1) if counted and count == 0 else ():
                piece = text[number - 1][column - 1 if number == line else 0:end_column - 1 if number == end else None]
                if piece.strip(' {};'):
                    missed.add(number)
        for number in sorted(missed):
            print(f'{pathlib.Path(file["filename"]).relative_to(ROOT)}:{number}: {text[number - 1].strip()}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('build', type=pathlib.Path, help='the build directory whose tests have run')
    parser.add_argument('room', nargs='?', help='list the lines of this room that did not run')
    options = parser.parse_args()
    merged = merge(options.build)
    if options.room:
        show_lines(options.build, merged, options.room)
        return 0
    return 0 if show(by_room(export(options.build, merged, '-summary-only')['files'])) else 1


if __name__ == '__main__':
    sys.exit(main())
