# SPDX-License-Identifier: MIT
"""Requests, whole: what reaches a server is what the case says, all eyes read it alike, and real servers behind diplex
see the very requests that diplex believes it has forwarded to them."""

import collections
import hashlib

import pytest
from cases import END, Case, head, request_cases
from conversation import Answer, answers, converse
from eyes import REQUEST_EYES, have_node, node_readings
from judge import as_forwarded, compare, forwarded
from seen import SERVERS

CASES = request_cases()
KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
TRAILER = 'x-only-in-a-trailer'
REFUSALS = {400, 405, 408, 411, 413, 414, 417, 421, 426, 431, 501, 505}
SAMPLE = 8  # disagreements that are printed


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


NOTHING = digest(b'')


def _complain(problems: list[str]) -> None:
    assert not problems, f'{len(problems)} disagreements:\n' + '\n'.join(problems[:SAMPLE])


def _judge(case: Case, said: bytes, seen: dict[str, tuple]) -> str | None:
    """Why one conversation is not as its case says; `seen` are the requests that reached the server, by id."""
    final = answers(said)
    own = [answer for answer in final if not answer.id]
    reached = [seen[answer.id][:3] for answer in final if answer.id in seen]
    if tuple(reached) != case.reaches:
        return f'{case.id}: {reached} reached the server instead of {case.reaches}; {case.sent!r} -> {said!r}'
    if case.end == 'no' and ([answer.status in REFUSALS for answer in own] != [True] or final[-1] is not own[0]):
        return f'{case.id}: was not refused: {case.sent!r} -> {said!r}'
    if case.end == 'ok' and own:
        return f'{case.id}: was refused: {case.sent!r} -> {said!r}'
    return None


def test_the_table_holds_every_category():
    count = collections.Counter((case.category, case.end) for case in CASES)
    assert all(count[category, 'no'] + count[category, 'ok'] >= 15 for category in {case.category for case in CASES})
    assert all(case.data and not case.data.endswith(END) for case in CASES)


def test_what_reaches_a_server_is_read_alike_by_all(recorded):
    """Bytes that diplex forwarded, connection by connection, before h11, httptools, gunicorn's parser and Node's."""
    said = converse(recorded.path, [([case.sent], case.end == 'cut') for case in CASES])
    record = recorded.record()
    assert not [line for line in record if 'crooked' in line]

    streams = forwarded(record)
    seen, problems = compare(streams)
    problems += filter(None, (_judge(case, one, seen) for case, one in zip(CASES, said, strict=True)))
    answered = {answer.id for one in said for answer in answers(one) if answer.id}
    problems += [f'{name} reached the server, and no client had an answer to it' for name in seen.keys() - answered]
    _complain(problems)


def test_from_outside_nobody_reads_other_requests():
    """The client's own bytes before all eyes: one may be stricter, but what it reads is what is forwarded."""
    problems = []
    readings = {name: [read(case.sent) for case in CASES] for name, read in REQUEST_EYES.items()}
    if have_node():
        readings['node'] = node_readings('requests', [(case.sent, []) for case in CASES])
    for name, all_of_them in readings.items():
        for case, reading in zip(CASES, all_of_them, strict=True):
            theirs = [as_forwarded(message) for message in reading.messages]
            both = min(len(theirs), len(case.reaches))
            if theirs[:both] != list(case.reaches[:both]):
                problems.append(f'{name}, {case.id}: reads {reading} where {case.reaches} are forwarded: {case.sent!r}')
    _complain(problems)


@pytest.mark.parametrize('name', SERVERS)
def test_a_real_server_sees_what_diplex_believes(behind, name):
    """The application behind a server writes down the requests it saw; diplex writes its access log."""
    server = behind(name)
    said = server.converse([(case.sent, case.end == 'cut') for case in CASES])
    believed = server.believed()
    seen, problems = {}, []
    for entry in server.seen():
        entry['target'] = _as_asgi_says(entry['target'])
        (one, *more) = entry['ids'] or ['']
        if more or one not in believed or one in seen:
            problems.append(f'saw a request that diplex did not forward: {entry}')
        elif entry['end'] != 'cut':
            seen[one] = (entry['method'], entry['target'], entry['length'], entry['body'])
            problems += _believed(entry, believed[one])
            if TRAILER in entry['names']:
                problems.append(f'saw a trailer in the head: {entry}')
    for case, one in zip(CASES, said, strict=True):
        problems += _saw(case, one, seen, name)
    seen_by_clients = {answer.id for one in said for answer in one if answer.id}
    problems += [f'no client had an answer to {seen[one]}, {believed[one]}' for one in seen.keys() - seen_by_clients]
    _complain(problems)


def _as_asgi_says(target: str) -> str:
    """ASGI has no word for a query that is there and empty."""
    return target.removesuffix('?')


def _believed(entry: dict, believed: dict) -> list[str]:
    """What the application saw beside diplex's access log."""
    length = believed['bytes_in'] if entry['end'] == 'whole' else entry['length']
    if (entry['method'], entry['target'], entry['length']) == (
        believed['method'],
        _as_asgi_says(believed['path']),
        length,
    ):
        return []
    return [f'saw {entry} where diplex believes {believed}']


def _saw(case: Case, final: list[Answer], seen: dict[str, tuple], name: str) -> list[str]:
    """One conversation with a server is as its case says; a refusal may be the server's own where that says so."""
    own = [answer for answer in final if not answer.id]
    reached = [seen.get(answer.id) for answer in final if answer.id]
    expected = [
        (method, _as_asgi_says(target), *((0, NOTHING) if target == '/early' else (len(body), digest(body))))
        for method, target, body in case.reaches
    ]
    if name.removesuffix('-gthread') in case.refused_by and len(own) == 1 and reached == expected[1:]:
        return []
    if reached == expected and len(own) == (case.end == 'no'):
        return []
    return [f'{case.id}: {reached} was seen instead of {expected}: {case.sent!r} -> {final}']


@pytest.mark.parametrize('name', [name for name in SERVERS if not name.startswith('gunicorn')])
def test_a_handshake_that_fails_opens_no_tunnel(behind, name):
    """A front that takes any answer to a handshake for its success lets a client speak with the server unseen."""
    server = behind(name)
    good = ('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', f'Sec-WebSocket-Key: {KEY}')
    handshakes = [
        good,
        (*good[:2], 'Sec-WebSocket-Version: 777', good[3]),
        good[:3],
        (*good[:2], good[3]),
        (*good[:3], 'Sec-WebSocket-Key: short'),
        (
            'Connection: Upgrade, HTTP2-Settings',
            'Upgrade: websocket',
            'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
            *good[2:],
        ),
        (*good, 'Content-Length: 0'),
    ]
    inside = head('GET /inside HTTP/1.1')
    said = server.converse([(head('GET /ws HTTP/1.1', *fields) + inside + END, False) for fields in handshakes])
    believed = server.believed()
    seen = [entry for entry in server.seen() if entry['target'] != '/ws']
    for final in said:
        assert final[0].status != 101 and [answer.status for answer in final[1:]] == [200] * (len(final) - 1)
    told = {answer.id for final in said for answer in final[1:]}
    assert {entry['ids'][0] for entry in seen} == told and told <= believed.keys()
    assert len(seen) == len(told) == 2 * len(handshakes), [[answer.status for answer in final] for final in said]
