# SPDX-License-Identifier: MIT
"""What requests and answers of both halves look like."""

import os
import sys
from typing import Any

import msgspec


class Process(msgspec.Struct):
    """Which of the two servers answered, and which of its processes."""

    kind: str
    server: str
    pid: int


class Hello(msgspec.Struct):
    message: str
    process: Process


class NewItem(msgspec.Struct):
    name: str
    price: int = 0


class Item(msgspec.Struct):
    id: int
    name: str
    price: int
    process: Process


class ItemPath(msgspec.Struct):
    item_id: int


class MillisecondsPath(msgspec.Struct):
    milliseconds: int


class Slept(msgspec.Struct):
    milliseconds: int
    process: Process


class Limited(msgspec.Struct):
    """Whom the throttle took the client for."""

    client: str | None
    process: Process


class Health(msgspec.Struct):
    status: str
    process: Process


class StreamQuery(msgspec.Struct):
    """How many events a stream sends (0 means: until the client leaves) and the pause between them.

    `retry` is how long a browser is told to wait before it comes back (0 means: nothing is said of it).
    """

    count: int = 10
    interval: int = 1000
    start: int = 0
    retry: int = 0


class Tick(msgspec.Struct):
    number: int
    pid: int


class Streams(msgspec.Struct):
    """How the streams of this process ended: by themselves, or because the client left."""

    started: int
    running: int
    finished: int
    cancelled: int


class Upload(msgspec.Struct):
    size: int
    sha256: str
    content_length: str | None
    transfer_encoding: str | None
    filename: str | None
    process: Process


def this_process(kind: str, request: Any) -> Process:
    """Describe the process that is answering."""
    default = 'uvicorn' if 'uvicorn' in sys.modules else 'unknown'
    return Process(kind=kind, server=request.META.get('SERVER_SOFTWARE', default), pid=os.getpid())
