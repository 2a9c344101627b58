# SPDX-License-Identifier: MIT
"""Crooked answers of a server: a client is told what the case says, and all clients' parsers read that alike; what hangs
on an answer never becomes the answer to the next request."""

import collections
import re
import sys

import harness
import pytest
from cases import END
from cases.answers import AnswerCase, answer_cases
from conftest import FULL, HERE
from conversation import converse
from eyes import ANSWER_EYES, Reading, have_node, node_readings

CASES = answer_cases()
END_ANSWER = (200, b'end')
CHANGES = re.compile(rb'(Date: |request id: )[^\r\n]*')
SHARED = 3  # cases that are cut where they still begin alike
OWN = re.compile(rb'^\d{3} [^\n]*\n[^\n]*\nrequest id: [0-9a-f]+\n$')


@pytest.fixture(scope='module', params=['wsgi', 'asgi'])
def answering(request, run_directory):
    """The path of diplex in front of a server that says the cases, for one kind of pool."""
    directory = run_directory / f'answers-{request.param}'
    directory.mkdir()
    directory.chmod(0o755)
    server = str(directory / 'answerer.sock')
    answerer = harness.Program(directory, [sys.executable, HERE / 'answerer.py', server])
    answerer.start_and_wait(server)
    pool = {'eject': 'off'}
    path = str(directory / 'diplex.sock')
    diplex = harness.Diplex(
        directory, {**harness.one_pool(request.param, f'unix:{server}', pool=pool), 'listen': f'unix:{path}'}
    )
    diplex.spawn()
    diplex.wait_event(' ready ')
    yield path
    try:
        diplex.finish()
    finally:
        answerer.end_group()


def _asks(number: int, at: int = 0) -> bytes:
    target = f'/answer/{number}/{at}' if at else f'/answer/{number}'
    return f'{CASES[number].asked} {target} HTTP/1.1\r\nHost: a\r\n\r\n'.encode() + END


def _expected(case: AnswerCase) -> list[tuple[int, bytes]]:
    """What a client is to read. The body of diplex's own answers is not looked at word by word."""
    if case.end == 'broken':
        return []
    return [(case.status, case.body), END_ANSWER]


def _judge(case: AnswerCase, name: str, reading: Reading, said: bytes) -> str | None:
    found = [(message.status, message.body) for message in reading.messages]
    if (
        case.end in ('refused', 'lost')
        and found
        and found[0][0] == 502
        and (OWN.match(found[0][1]) or case.asked == 'HEAD')
    ):
        found[0] = (502, b'')
    if case.end == 'whole' or case.end == 'refused' or (case.end == 'lost' and found):
        as_expected = found == _expected(case)
    else:
        as_expected = not found and reading.end in ('more', 'refused')
    return None if as_expected else f'{name}, {case.name}: reads {reading} instead of {_expected(case)} in {said!r}'


def _readings(cases: list[AnswerCase], said: list[bytes]) -> dict[str, list[Reading]]:
    both = [(one, [case.asked, 'GET']) for case, one in zip(cases, said, strict=True)]
    readings = {name: [read(data, methods) for data, methods in both] for name, read in ANSWER_EYES.items()}
    if have_node():
        readings['node'] = node_readings('answers', both)
    return readings


def _check(cases: list[AnswerCase], said: list[bytes]) -> None:
    """What differs in nothing but dates and ids is looked at once."""
    different = {(case, CHANGES.sub(rb'\1', one)): one for case, one in zip(cases, said, strict=True)}
    cases, said = [case for case, _ in different], list(different.values())
    problems = []
    for name, readings in _readings(cases, said).items():
        for case, one, reading in zip(cases, said, readings, strict=True):
            if name != 'http.client' or not case.interim:
                problems.append(_judge(case, name, reading, one))
    problems = list(filter(None, problems))
    assert not problems, f'{len(problems)} disagreements:\n' + '\n'.join(problems[:8])


def test_a_client_reads_what_the_case_says(answering):
    _check(CASES, converse(answering, [([_asks(number)], False) for number in range(len(CASES))]))


def _cuts() -> list[tuple[int, int]]:
    begun: collections.Counter[tuple] = collections.Counter()
    cuts = []
    for number, case in enumerate(CASES):
        for at in range(1, case.cut_before, 1 if FULL else 1 + case.cut_before // 150):
            begin = (case.asked, case.data[:at])
            begun[begin] += 1
            if FULL or begun[begin] <= SHARED:
                cuts.append((number, at))
    return cuts


def test_cut_anywhere_it_reads_the_same(answering):
    """Each answer in two pieces, as in test_splits.py; what is long is cut at some positions."""
    cuts = _cuts()
    said = converse(answering, [([_asks(number, at)], False) for number, at in cuts])
    _check([CASES[number] for number, _ in cuts], said)
