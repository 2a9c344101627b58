# SPDX-License-Identifier: MIT
"""The async half: REST controllers, Server-Sent Events and JSON lines of django-modern-rest."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from dmr import Body, Controller, Path, Query
from dmr.plugins.msgspec import MsgspecSerializer
from dmr.streaming.jsonl import JsonLinesController
from dmr.streaming.sse import SSEController, SSEvent
from dmr.throttling import AsyncThrottle, Rate
from dmr.throttling.backends import AsyncDjangoCache

from demo import plain, streams
from demo.schemas import (
    Health,
    Hello,
    Item,
    Limited,
    MillisecondsPath,
    NewItem,
    Slept,
    StreamQuery,
    Streams,
    Tick,
    this_process,
)

KIND = 'asgi'


class HelloController(Controller[MsgspecSerializer]):
    async def get(self) -> Hello:
        return Hello(message='hello from the async half', process=this_process(KIND, self.request))


class ItemsController(Controller[MsgspecSerializer]):
    async def post(self, parsed_body: Body[NewItem]) -> Item:
        return Item(id=1, name=parsed_body.name, price=parsed_body.price, process=this_process(KIND, self.request))


class SlowController(Controller[MsgspecSerializer]):
    async def get(self, parsed_path: Path[MillisecondsPath]) -> Slept:
        await asyncio.sleep(parsed_path.milliseconds / 1000)
        return Slept(milliseconds=parsed_path.milliseconds, process=this_process(KIND, self.request))


class HealthController(Controller[MsgspecSerializer]):
    async def get(self) -> Health:
        return Health(status='ok', process=this_process(KIND, self.request))


class LimitedController(Controller[MsgspecSerializer]):
    """Three requests a minute for each REMOTE_ADDR. A real site shares the counts between processes, in Redis."""

    throttling = (AsyncThrottle(3, Rate.minute, backend=AsyncDjangoCache(allow_unsafe_cache=True)),)

    async def get(self) -> Limited:
        return Limited(client=self.request.META.get('REMOTE_ADDR'), process=this_process(KIND, self.request))


class StreamsController(Controller[MsgspecSerializer]):
    async def get(self) -> Streams:
        return streams.counts


class EventsController(SSEController[MsgspecSerializer]):
    """Server-Sent Events: one tick each `interval` milliseconds, `count` of them or without end."""

    streaming_response_cls = streams.CountedResponse

    async def get(self, parsed_query: Query[StreamQuery]) -> AsyncIterator[SSEvent[Tick]]:
        ticks, retry = streams.Ticks(parsed_query), parsed_query.retry or None
        return ticks.each(lambda tick: SSEvent(tick, event='tick', id=tick.number, retry=retry))


class LinesController(JsonLinesController[MsgspecSerializer]):
    """The same ticks, one JSON object a line."""

    streaming_response_cls = streams.CountedResponse

    async def get(self, parsed_query: Query[StreamQuery]) -> AsyncIterator[Tick]:
        return streams.Ticks(parsed_query).each(lambda tick: tick)


class IndexController(Controller[MsgspecSerializer]):
    """The root of the async half, so that /async without its slash has somewhere to be redirected to."""

    async def get(self) -> list[str]:
        return ['hello/', 'items/', 'upload/', 'download/<size>/', 'echo/', 'slow/<ms>/', 'events/', 'lines/']


async def echo(request: HttpRequest) -> HttpResponse:
    return JsonResponse(plain.echo(KIND, request))


async def upload(request: HttpRequest) -> HttpResponse:
    return JsonResponse(msgspec.to_builtins(plain.received(KIND, request)))


async def download(request: HttpRequest, size: int) -> HttpResponse:
    """Stream `size` bytes, with a Content-Length when the query says `length=1`."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in plain.blocks(size):
            yield piece

    response = StreamingHttpResponse(pieces(), content_type='application/octet-stream')
    if request.GET.get('length'):
        response['Content-Length'] = str(size)
    return response


async def status(request: HttpRequest, code: int) -> HttpResponse:
    return plain.status(code)
