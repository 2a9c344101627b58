# SPDX-License-Identifier: MIT
"""The sync half: REST controllers of django-modern-rest, and plain Django views for bodies that are not JSON."""

import time
from http import HTTPStatus

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from dmr import Body, Controller, Path, modify
from dmr.plugins.msgspec import MsgspecSerializer
from dmr.throttling import Rate, SyncThrottle
from dmr.throttling.backends import SyncDjangoCache

from demo import plain
from demo.schemas import (
    Health,
    Hello,
    Item,
    ItemPath,
    Limited,
    MillisecondsPath,
    NewItem,
    Slept,
    this_process,
)

KIND = 'wsgi'


class HelloController(Controller[MsgspecSerializer]):
    def get(self) -> Hello:
        return Hello(message='hello from the sync half', process=this_process(KIND, self.request))


class ItemsController(Controller[MsgspecSerializer]):
    def post(self, parsed_body: Body[NewItem]) -> Item:
        return Item(id=1, name=parsed_body.name, price=parsed_body.price, process=this_process(KIND, self.request))


class ItemController(Controller[MsgspecSerializer]):
    def get(self, parsed_path: Path[ItemPath]) -> Item:
        number = parsed_path.item_id
        return Item(id=number, name=f'item {number}', price=number * 100, process=this_process(KIND, self.request))

    @modify(status_code=HTTPStatus.NO_CONTENT)
    def delete(self, parsed_path: Path[ItemPath]) -> None:
        return None


class SlowController(Controller[MsgspecSerializer]):
    def get(self, parsed_path: Path[MillisecondsPath]) -> Slept:
        time.sleep(parsed_path.milliseconds / 1000)
        return Slept(milliseconds=parsed_path.milliseconds, process=this_process(KIND, self.request))

    def post(self, parsed_path: Path[MillisecondsPath]) -> Slept:
        time.sleep(parsed_path.milliseconds / 1000)
        return Slept(milliseconds=parsed_path.milliseconds, process=this_process(KIND, self.request))


class HealthController(Controller[MsgspecSerializer]):
    def get(self) -> Health:
        return Health(status='ok', process=this_process(KIND, self.request))


class LimitedController(Controller[MsgspecSerializer]):
    """Three requests a minute for each REMOTE_ADDR. A real site shares the counts between processes, in Redis."""

    throttling = (SyncThrottle(3, Rate.minute, backend=SyncDjangoCache(allow_unsafe_cache=True)),)

    def get(self) -> Limited:
        return Limited(client=self.request.META.get('REMOTE_ADDR'), process=this_process(KIND, self.request))


def home(request: HttpRequest) -> HttpResponse:
    return render(request, 'demo/home.html', {'process': this_process(KIND, request)})


def echo(request: HttpRequest) -> HttpResponse:
    return JsonResponse(plain.echo(KIND, request))


def upload(request: HttpRequest) -> HttpResponse:
    return JsonResponse(msgspec.to_builtins(plain.received(KIND, request)))


def download(request: HttpRequest, size: int) -> HttpResponse:
    """Stream `size` bytes, with a Content-Length when the query says `length=1`, never ahead of its reader with `stream=1`."""
    response = StreamingHttpResponse(plain.blocks(size), content_type='application/octet-stream')
    if request.GET.get('length'):
        response['Content-Length'] = str(size)
    if request.GET.get('stream'):
        response['X-Accel-Buffering'] = 'no'
    return response


def status(request: HttpRequest, code: int) -> HttpResponse:
    return plain.status(code)


def hints(request: HttpRequest) -> HttpResponse:
    """Early hints: gunicorn sends them as a 103 before the answer."""
    request.META['wsgi.early_hints']([('Link', '</style.css>; rel=preload; as=style')])
    return HttpResponse('after the hints\n', content_type='text/plain')
