#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which moves of the table of states the tests have made, and which they have not.

    tests/coverage/edges.py build/coverage [--all]

Reads the table in docs/life-of-a-request.md, which test_manual holds to the program's own, and the file `edges` in
the build directory, in which every process of a build with the preset `coverage` counts its moves (src/proxy/edges.c).
Fails when

- a move of the table was never made, or one was made that is not in it;
- a state that has a deadline was never left by it;
- a state that waits was never cut off by the end of a shutdown;
- no request ended with one of the outcomes, or with one of those that a deadline has beside its row's.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORD = struct.Struct('=Q72s')
# A deadline may be the client's fault where its row names the server's.
OTHER_DEADLINES = (('SEND', 'body_timeout'), ('AWAIT_HEAD', 'body_timeout'), ('RELAY', 'client_slow'))

State = collections.namedtuple('State', 'waits deadline next')
Move = collections.namedtuple('Move', 'state next by outcome')


def table(text: str, name: str) -> list[list[str]]:
    """The cells of a table that stands between two comments, without its head."""
    body = re.search(rf'<!-- {name} -->\n(.*?)<!-- /{name} -->', text, re.S)[1]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in body.splitlines()[2:]]


def read_manual(text: str) -> tuple[dict[str, State], list[str]]:
    states = {name: State(waits != 'nothing', deadline != '-', moves.split())
              for name, waits, deadline, _, moves in table(text, 'states')}
    return states, [word.strip('`') for word, *_ in table(text, 'outcomes')]


def read_counts(data: bytes) -> dict[Move, int]:
    usable = len(data) - len(data) % RECORD.size
    return {Move(*name.rstrip(b'\0').decode().split()): count
            for count, name in RECORD.iter_unpack(data[:usable]) if count}


def offences(states: dict[str, State], outcomes: list[str], counts: dict[Move, int]) -> list[str]:
    made = {(move.state, move.next) for move in counts if move.by != 'cut'}
    timed = {move.state for move in counts if move.by == 'deadline'}
    cut = {move.state for move in counts if move.by == 'cut'}
    ended = {move.outcome for move in counts if move.next == 'FINISH'}
    by_deadline = {(move.state, move.outcome) for move in counts if move.by == 'deadline'}
    allowed = {(name, following) for name, state in states.items() for following in state.next}
    return [
        *(f'never made: {name} -> {following}' for name, following in sorted(allowed - made)),
        *(f'not in the table: {name} -> {following}' for name, following in sorted(made - allowed)),
        *(f'never left by its deadline: {name}' for name, state in states.items() if state.deadline and name not in timed),
        *(f'never cut off: {name}' for name, state in states.items() if state.waits and name not in cut),
        *(f'no request ended with: {outcome}' for outcome in outcomes if outcome not in ended),
        *(f'its deadline never passed with {outcome}: {name}'
          for name, outcome in OTHER_DEADLINES if (name, outcome) not in by_deadline),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('build', type=pathlib.Path, help='the build directory whose tests have run')
    parser.add_argument('--all', action='store_true', help='print each move with how often it was made')
    options = parser.parse_args()
    states, outcomes = read_manual((ROOT / 'docs' / 'life-of-a-request.md').read_text())
    try:
        counts = read_counts((options.build / 'edges').read_bytes())
    except FileNotFoundError:
        print(f'{options.build / "edges"} is not there: run the tests of the preset coverage first')
        return 1
    if options.all:
        for move, count in counts.items():
            print(f'{count:9}  {move.state} -> {move.next} by {move.by}, {move.outcome}')
    found = offences(states, outcomes, counts)
    print('\n'.join(found))
    pairs = sum(len(state.next) for state in states.values())
    print(f'{pairs} moves between {len(states)} states, {len(outcomes)} outcomes, {sum(counts.values())} moves made: '
          + (f'{len(found)} missing' if found else 'each of them, by a test'))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
