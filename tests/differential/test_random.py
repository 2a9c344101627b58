# SPDX-License-Identifier: MIT
"""Random requests, whole and cut somewhere: all eyes read what diplex forwarded alike, diplex answers as many requests
as reached the server, and a parser that reads the client's own bytes never finds other requests in them than diplex.

The seed is printed when it fails; DIPLEX_DIFFERENTIAL_SEED and DIPLEX_DIFFERENTIAL_ROUNDS repeat and lengthen it."""

import os
import random

import pytest
from conftest import FULL
from conversation import answers, converse, pieces_at
from eyes import REQUEST_EYES, have_node, node_readings
from generator import Generator
from judge import as_forwarded, compare, forwarded

ROUNDS = int(os.environ.get('DIPLEX_DIFFERENTIAL_ROUNDS', 20000 if FULL else 600))
SEED = int(os.environ.get('DIPLEX_DIFFERENTIAL_SEED', random.SystemRandom().randrange(1 << 32)))
AT_ONCE = 300


def _batch(recorded, conversations: list[bytes], cuts: random.Random) -> list[str]:
    whole = converse(recorded.path, [([data], False) for data in conversations])
    seen, problems = compare(forwarded(recorded.record()))
    reached = [[seen[answer.id] for answer in answers(said) if answer.id in seen] for said in whole]
    told = [[(answer.status, answer.saw) for answer in answers(said)] for said in whole]
    problems += _missed(seen, whole)
    problems += _from_outside(conversations, reached)

    pieces = [pieces_at(data, cuts.randrange(1, len(data))) for data in conversations]
    again = converse(recorded.path, [(each, False) for each in pieces])
    seen, more = compare(forwarded(recorded.record()))
    problems += more + _missed(seen, again)
    for each, said, before in zip(pieces, again, told, strict=True):
        after = [(answer.status, answer.saw) for answer in answers(said)]
        if after != before:
            problems.append(f'{each} came to {after}, whole to {before}')
    return problems


def _missed(seen: dict, said: list[bytes]) -> list[str]:
    told = {answer.id for one in said for answer in answers(one) if answer.id}
    return [f'no client had an answer to {seen[one]}' for one in seen.keys() - told]


def _from_outside(conversations: list[bytes], reached: list[list[tuple]]) -> list[str]:
    """A parser may refuse what diplex takes, and take what diplex refuses; what both take, they take for the same."""
    readings = {name: [read(data) for data in conversations] for name, read in REQUEST_EYES.items()}
    if have_node():
        readings['node'] = node_readings('requests', [(data, []) for data in conversations])
    problems = []
    for name, all_of_them in readings.items():
        for data, reading, mine in zip(conversations, all_of_them, reached, strict=True):
            theirs = [as_forwarded(message) for message in reading.messages]
            both = min(len(theirs), len(mine))
            if theirs[:both] != [one[:3] for one in mine[:both]]:
                problems.append(f'{name} reads {theirs} where {[one[:3] for one in mine]} reached the server: {data!r}')
    return problems


def _conversation(generator: Generator) -> bytes:
    """One that ends. A chunk whose size has grown by accident swallows all that follows, and whoever reads it has to
    wait for the rest: when others that are strict say so too, that is no hang of diplex."""
    while True:
        data = generator.conversation()
        if all(REQUEST_EYES[name](data).end != 'more' for name in ('h11', 'httptools')):
            return data


@pytest.mark.parametrize('kind', [0, 1], ids=['wsgi', 'asgi'])
def test_random_requests(both_recorded, kind):
    recorded = both_recorded[kind]
    seed = SEED + kind
    generator, cuts = Generator(seed), random.Random(seed)
    for start in range(0, ROUNDS, AT_ONCE):
        conversations = [_conversation(generator) for _ in range(min(AT_ONCE, ROUNDS - start))]
        problems = _batch(recorded, conversations, cuts)
        assert not problems, f'seed {SEED}: {len(problems)} disagreements:\n' + '\n'.join(problems[:6])
