# SPDX-License-Identifier: MIT
"""The same bytes in two pieces, cut at every position, and one by one: what reaches the server is what reaches it when
they come whole, and so is what the client is told.

Two cases that begin alike are alike as long as they are cut within what they share, so each first piece is sent for
three cases only, and the two kinds of pool take turns; `DIPLEX_DIFFERENTIAL=full` leaves nothing out.
"""

import collections

from cases import Case, request_cases
from conftest import FULL
from conversation import answers, converse, pieces_at

CASES = [case for case in request_cases() if len(case.sent) < 1000]
SHARED = 3


def _cuts() -> list[tuple[Case, int]]:
    if FULL:
        return [(case, at) for case in CASES for at in range(1, len(case.sent))]
    begun: collections.Counter[bytes] = collections.Counter()
    cuts = []
    for case in CASES:
        for at in range(1, len(case.data) + 1):
            begun[case.sent[:at]] += 1
            if begun[case.sent[:at]] <= SHARED:
                cuts.append((case, at))
    return cuts


def _told(said: bytes) -> list[tuple]:
    """What one conversation came to: what the server saw, request by request, and the answers of diplex itself."""
    return [(answer.status, answer.saw or 'diplex') for answer in answers(said)]


def _run(recorded, conversations: list[tuple[Case, list[bytes]]], whole: dict[str, list]) -> list[str]:
    """What came out otherwise than whole."""
    said = converse(recorded.path, [(pieces, case.end == 'cut') for case, pieces in conversations])
    problems = []
    for (case, pieces), one in zip(conversations, said, strict=True):
        if case.end == 'cut':
            same = not [told for told in _told(one) if told[1] != 'diplex']
        else:
            same = _told(one) == whole[case.id]
        if not same:
            problems.append(f'{recorded.kind}, {case.id}: {pieces} -> {_told(one)} instead of {whole[case.id]}')
    return problems


def _whole(recorded) -> dict[str, list]:
    said = converse(recorded.path, [([case.sent], case.end == 'cut') for case in CASES])
    return {case.id: _told(one) for case, one in zip(CASES, said, strict=True)}


def _check_the_record(recorded) -> None:
    record = recorded.record()
    assert not [line for line in record if 'crooked' in line]
    ids = [line['id'] for line in record if 'id' in line]
    assert len(set(ids)) == len(ids)


def test_a_cut_anywhere_changes_nothing(both_recorded):
    cuts = _cuts()
    for number, recorded in enumerate(both_recorded):
        mine = cuts if FULL else cuts[number::2]
        problems = _run(recorded, [(case, pieces_at(case.sent, at)) for case, at in mine], _whole(recorded))
        assert not problems, f'{len(problems)} of {len(mine)}:\n' + '\n'.join(problems[:8])
        _check_the_record(recorded)


def test_byte_by_byte_changes_nothing(both_recorded):
    """Cases that begin unlike any other, so that each way through a head and a body is gone."""
    for number, recorded in enumerate(both_recorded):
        mine = CASES if FULL else CASES[number :: 2 * SHARED]
        pieces = [(case, [case.sent[i : i + 1] for i in range(len(case.sent))]) for case in mine]
        problems = _run(recorded, pieces, _whole(recorded))
        assert not problems, f'{len(problems)} of {len(mine)}:\n' + '\n'.join(problems[:8])
        _check_the_record(recorded)
