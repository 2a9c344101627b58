# SPDX-License-Identifier: MIT
"""URLs of `settings_mistaken`: a form that Django protects, and a stream of events where there should be none."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path


def page(request: HttpRequest, rest: str = '') -> HttpResponse:
    return HttpResponse('well\n', content_type='text/plain')


def events(request: HttpRequest) -> StreamingHttpResponse:
    """Holds the worker until its last event."""

    def three() -> Iterator[str]:
        for number in range(3):
            yield f'data: {number}\n\n'

    return StreamingHttpResponse(three(), content_type='text/event-stream')


urlpatterns = [
    path('', page),
    path('form/', page),
    path('form/<path:rest>', page),
    path('healthz/', page),
    path('api/upload/', page),
    path('events/', events),
]
