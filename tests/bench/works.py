# SPDX-License-Identifier: MIT
"""The kinds of work that are measured, each a table of its own. To add one: an entry in WORKS."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Work:
    """One kind of work. A path under /async/ goes to the asgi pool, any other to the wsgi pool."""

    name: str
    title: str
    path: str = '/async/'
    unit: str = 'req'  # what is counted
    load: str = 'wrk'  # or h2load, or what load.c can do: get, ws, sse
    connections: int | None = None  # the usual number where it says nothing
    unix: bool = False  # to the server
    close: bool = False  # a new client connection for each request
    server_closes: bool = False  # after each answer
    upload: int = 0  # bytes of each request's body
    fields: tuple[str, ...] = ()  # of the request, beyond Host
    idle: int = 0  # further connections that only wait
    workers: int | None = None  # on as many cores; the usual number where it says nothing
    paced: bool = False  # at half of the rate that the best peer had in `small`
    logged: bool = False  # with an access log, in JSON, to a file
    routes: int = 2
    than: str | None = None  # another work that is measured in the same turn, to be compared with

    def needs(self) -> set[str]:
        """What some peers cannot do."""
        return {name for name, needed in (('unix', self.unix), ('routes', self.routes > 2), ('log', self.logged))
                if needed}


# What a browser sends with a request of a page's script.
BROWSER = (
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'Accept: application/json',
    'Accept-Language: en-GB,en;q=0.5',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Referer: https://www.example.com/items/?page=2&order=-created',
    'Cookie: csrftoken=Zy8uRk2mQb3sVxW1nT4pLd6hJc9fGaE0; sessionid=7q2n8x4k1v9m3c6z5b0t8r2w4y6u1i3o; theme=dark',
    'Sec-Fetch-Dest: empty',
    'Sec-Fetch-Mode: cors',
    'Sec-Fetch-Site: same-origin',
    'Priority: u=4',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
)
MIB = 1024 * 1024
WORKS = {
    work.name: work
    for work in (
        Work('small', 'small keep-alive GET to the asgi pool, TCP to the server'),
        Work('small-unix', 'the same, Unix socket to the server', unix=True),
        Work('small-wsgi', 'small keep-alive GET to the wsgi pool, TCP to the server', '/'),
        Work('small-h2load', 'small keep-alive GET to the asgi pool, load from h2load', load='h2load'),
        Work('small-1', 'small keep-alive GET, one connection', load='get', connections=1),
        Work('small-1000', 'small keep-alive GET, 1,000 connections', load='get', connections=1000),
        Work('small-unix-1', 'small keep-alive GET, one connection, Unix socket to the server', load='get',
             connections=1, unix=True),
        Work('small-unix-1000', 'small keep-alive GET, 1,000 connections, Unix socket to the server', load='get',
             connections=1000, unix=True),
        Work('browser', 'small keep-alive GET with the fields of a browser, asgi pool', fields=BROWSER),
        Work('64k', 'answers of 64 KiB, asgi pool, TCP to the server', '/async/bytes/65536'),
        Work('1m', 'answers of 1 MiB, asgi pool, 16 connections', f'/async/bytes/{MIB}', connections=16),
        Work('upload', 'uploads of 1 MiB to the asgi pool, 16 connections', upload=MIB, connections=16),
        Work('upload-wsgi', 'uploads of 1 MiB to the wsgi pool, 16 connections', '/', upload=MIB, connections=16),
        Work('connect', 'a new client connection for each small GET, asgi pool, TCP to the server', close=True),
        Work('idle', 'small keep-alive GET on 64 connections while 4,936 others wait', connections=64, idle=4936),
        Work('paced', "small keep-alive GET at half of the best peer's rate", load='get', paced=True),
        Work('websocket', 'messages of 64 B there and back on 64 WebSockets', '/async/ws', 'message', load='ws'),
        Work('events', 'ten server-sent events a second to each of 1,000 clients', '/async/events', 'event',
             load='sse', connections=1000),
        Work('two-workers', 'small keep-alive GET, two workers on the two cores that the load is on too', workers=2),
        Work('log', 'small keep-alive GET with an access log, JSON to a file', logged=True, than='small'),
        Work('routes', 'small keep-alive GET with 10,000 routes', routes=10000, than='small'),
        Work('server-closes', 'small GET to a server that closes after each answer, wsgi pool', '/',
             server_closes=True),
    )
}
