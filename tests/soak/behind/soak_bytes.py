# SPDX-License-Identifier: MIT
"""Bytes that both ends can make from a seed, so that a client knows each byte it must get and a server's answer names
what it got: used by the two applications beside this file and by the clients of the soak."""

import hashlib
from collections.abc import Iterator

PERIOD = 65537  # a prime: no block, page or piece of a pipe has this length, so nothing that is misplaced looks right
_TWICE = 2 * PERIOD


class Pattern:
    """The bytes of one seed, without end."""

    def __init__(self, seed: str, size: int = PERIOD) -> None:
        once = hashlib.shake_128(seed.encode()).digest(min(size, PERIOD))
        self._bytes = memoryview(once + once if size > PERIOD else once)

    def at(self, offset: int, size: int) -> memoryview:
        """`size` bytes (at most PERIOD) from `offset` on."""
        begin = offset % PERIOD
        return self._bytes[begin : begin + size]

    def pieces(self, size: int, piece: int = PERIOD) -> Iterator[bytes]:
        for offset in range(0, size, piece):
            yield bytes(self.at(offset, min(piece, size - offset)))


def digest(seed: str, size: int) -> str:
    found, pattern = hashlib.sha256(), Pattern(seed, size)
    for piece in pattern.pieces(size):
        found.update(piece)
    return found.hexdigest()
