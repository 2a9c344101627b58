# SPDX-License-Identifier: MIT
"""Streams of ticks, and the process's own count of them, so that anyone can see whether a client's leaving was noticed."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from dmr.streaming import StreamingResponse

from demo.schemas import StreamQuery, Streams, Tick

counts = Streams(started=0, running=0, finished=0, cancelled=0)


class Ticks:
    """Counts upwards. `complete` tells a stream that came to its end from one that was left."""

    def __init__(self, query: StreamQuery) -> None:
        self._next = query.start
        self._end = query.start + query.count if query.count else None
        self._pause_seconds = query.interval / 1000
        self._first = True
        self._task: asyncio.Task[Any] | None = None
        self._make: Callable[[Tick], Any] = lambda tick: tick
        self.complete = False

    def each(self, make: Callable[[Tick], Any]) -> Self:
        """Say what each tick is to be sent as."""
        self._make = make
        return self

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self._task = asyncio.current_task()
        if self._next == self._end:
            self.complete = True
            raise StopAsyncIteration
        if not self._first:
            await asyncio.sleep(self._pause_seconds)
        self._first = False
        tick = Tick(number=self._next, pid=os.getpid())
        self._next += 1
        return self._make(tick)

    def stop(self) -> None:
        """End a wait that nobody will collect.

        Between pings django-modern-rest waits for the next event in a task of its own, and leaves that task behind
        when the client goes. Reading its exception keeps asyncio from complaining about it.
        """
        if self._task is not None and not self._task.done() and self._task is not asyncio.current_task():
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._task.cancel()


class CountedResponse(StreamingResponse):
    """A stream that is counted when it starts and, once, when it ends: Django closes it in either case."""

    def __init__(self, streaming_content: Ticks, *args: Any, **kwargs: Any) -> None:
        super().__init__(streaming_content, *args, **kwargs)
        self._ticks = streaming_content
        self._counted = False
        counts.started += 1
        counts.running += 1

    def close(self) -> None:
        super().close()
        if self._counted:
            return
        self._counted = True
        counts.running -= 1
        if self._ticks.complete:
            counts.finished += 1
        else:
            counts.cancelled += 1
            self._ticks.stop()
