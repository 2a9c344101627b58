# SPDX-License-Identifier: MIT
"""Many conversations at once: each sends its pieces, one after the other has been read by diplex, then reads until
diplex closes. Over a Unix socket, where the kernel says how much of what was sent has not been read yet."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import re
import select
import socket
import struct
import termios
import time

BATCH = 160
PATIENCE = 20.0
CONSUMED_WITHIN = 0.25  # a side that has refused reads no more: no use in waiting for it


def pieces_at(data: bytes, *cuts: int) -> list[bytes]:
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:]) if b > a]


class _One:
    def __init__(self, path: str, pieces: list[bytes], leave: bool) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.setblocking(False)
        self.pieces = pieces
        self.leave = leave
        self.broken = False
        self.said = bytearray()

    def send(self, number: int) -> bool:
        """Whether there was such a piece, and somebody to send it to."""
        if self.broken or number >= len(self.pieces):
            return False
        try:
            self.socket.sendall(self.pieces[number])
        except OSError:
            self.broken = True
        return not self.broken

    def unread(self) -> bool:
        return struct.unpack('i', fcntl.ioctl(self.socket, termios.TIOCOUTQ, b'\0\0\0\0'))[0] > 0

    def receive(self) -> bool:
        """False at the end."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.said += data
        return bool(data)


def _wait_until_read(waiting: list[_One]) -> None:
    deadline = time.monotonic() + CONSUMED_WITHIN
    while (waiting := [one for one in waiting if one.unread()]) and time.monotonic() < deadline:
        time.sleep(0.0003)


def _read_answers(ones: list[_One]) -> None:
    by_descriptor = {one.socket.fileno(): one for one in ones}
    deadline = time.monotonic() + PATIENCE
    with contextlib.closing(select.epoll()) as epoll:
        for descriptor in by_descriptor:
            epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP)
        while by_descriptor:
            left = deadline - time.monotonic()
            if left <= 0:
                said = [(bytes(b''.join(one.pieces)), bytes(one.said)) for one in by_descriptor.values()]
                raise AssertionError(f'not closed within {PATIENCE:g} s: {said[:3]} and {len(said)} in all')
            for descriptor, _ in epoll.poll(left):
                if not by_descriptor[descriptor].receive():
                    epoll.unregister(descriptor)
                    del by_descriptor[descriptor]


def _converse(path: str, batch: list[tuple[list[bytes], bool]]) -> list[bytes]:
    ones = [_One(path, pieces, leave) for pieces, leave in batch]
    try:
        for number in range(max(len(one.pieces) for one in ones)):
            _wait_until_read([one for one in ones if one.send(number)])
        for one in ones:
            if one.leave and not one.broken:
                with contextlib.suppress(OSError):
                    one.socket.shutdown(socket.SHUT_WR)
        _read_answers(ones)
        return [bytes(one.said) for one in ones]
    finally:
        for one in ones:
            one.socket.close()


def converse(path: str, conversations: list[tuple[list[bytes], bool]]) -> list[bytes]:
    """For each (pieces, whether the client leaves after them) all that diplex said."""
    said = []
    for start in range(0, len(conversations), BATCH):
        said += _converse(path, conversations[start : start + BATCH])
    return said


@dataclasses.dataclass(frozen=True)
class Answer:
    """`eye` is what the server behind diplex said it saw: empty when the answer is diplex's own."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.fields.get('x-eye-id', '')

    @property
    def saw(self) -> str:
        return self.fields.get('x-eye-saw', '')


_HEAD = re.compile(rb'HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n')


def answers(said: bytes) -> list[Answer]:
    """diplex's answers one by one, in the form it writes them; the final ones only."""
    found, at = [], 0
    while at < len(said):
        head = _HEAD.match(said, at)
        assert head, f'no answer begins at byte {at} of {said!r}'
        status, at = int(head[1]), head.end()
        lines = [line.partition(':') for line in head[2].decode('latin-1').split('\r\n')[:-1]]
        fields = {name.lower(): value.strip() for name, _, value in lines}
        if status < 200:
            continue
        if 'x-eye-head' in fields or (at == len(said) and fields.get('server') == 'diplex'):
            length = 0  # the other one: HEAD was refused, and that has no content either
        elif fields.get('transfer-encoding') == 'chunked':
            assert said.startswith(b'0\r\n\r\n', at), f'the only chunked answer a server gives here is empty: {said!r}'
            at, length = at + 5, 0
        elif 'content-length' in fields:
            length = int(fields['content-length'])
        else:
            assert fields.get('connection') == 'close', f'an answer without an end: {said!r}'
            length = len(said) - at
        assert len(said) >= at + length, f'an answer that is cut: {said!r}'
        found.append(Answer(status, fields, said[at : at + length]))
        at += length
    return found
