# SPDX-License-Identifier: MIT
"""What both halves answer in the same words: the echo of a request, and bytes that anyone can check."""

import hashlib
from collections.abc import Iterator

import msgspec
from django.http import HttpRequest, HttpResponse

from demo.schemas import Upload, this_process

_BLOCK = bytes(range(256)) * 256


def echo(kind: str, request: HttpRequest) -> dict:
    """Everything the application can know of a request, above all what a proxy told it."""
    return {
        'method': request.method,
        'path': request.path,
        'full_path': request.get_full_path(),
        'query': request.META.get('QUERY_STRING', ''),
        'headers': dict(request.headers),
        'remote_addr': request.META.get('REMOTE_ADDR'),
        'scheme': request.scheme,
        'is_secure': request.is_secure(),
        'host': request.get_host(),
        'absolute_uri': request.build_absolute_uri(),
        'server_protocol': request.META.get('SERVER_PROTOCOL'),
        'body_size': len(request.body),
        'process': msgspec.to_builtins(this_process(kind, request)),
    }


def received(kind: str, request: HttpRequest) -> Upload:
    """Measure an upload: the first file of a form, or else the raw body."""
    uploaded = next(iter(request.FILES.values()), None)
    digest, size = hashlib.sha256(), 0
    for piece in uploaded.chunks() if uploaded else iter(lambda: request.read(65536), b''):
        digest.update(piece)
        size += len(piece)
    return Upload(
        size=size,
        sha256=digest.hexdigest(),
        content_length=request.headers.get('Content-Length'),
        transfer_encoding=request.headers.get('Transfer-Encoding'),
        filename=uploaded.name if uploaded else None,
        process=this_process(kind, request),
    )


def blocks(size: int) -> Iterator[bytes]:
    """`size` bytes in pieces of 64 KiB: 0, 1, ... 255, 0, 1, ..."""
    while size > 0:
        yield _BLOCK[:size]
        size -= len(_BLOCK)


def status(code: int) -> HttpResponse:
    """An answer with the status that was asked for, empty where HTTP wants it empty."""
    if not 200 <= code <= 599:
        return HttpResponse('a status from 200 to 599, please\n', status=400, content_type='text/plain')
    if code in (204, 205, 304):
        return HttpResponse(status=code)
    response = HttpResponse(f'status {code}\n', status=code, content_type='text/plain')
    if code in (301, 302, 303, 307, 308):
        response['Location'] = '/healthz/'
    return response
