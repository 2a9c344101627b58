# SPDX-License-Identifier: MIT
"""What uvicorn runs in the soak: as `soak_wsgi`, and everything else is the demo's, streams and WebSockets too."""

import hashlib
import json

from demo.asgi import application as demo
from soak_bytes import Pattern


async def application(scope, receive, send):
    parts = scope['path'].split('/') if scope['type'] == 'http' else []
    if len(parts) < 4 or parts[2] != 'soak':
        await demo(scope, receive, send)
        return
    number = next((value for name, value in scope['headers'] if name == b'x-soak-id'), b'')
    fields = [(b'x-soak-id', number), (b'content-type', b'application/octet-stream')]
    if parts[3] == 'get':
        await give(scope, send, fields, Pattern(parts[4], int(parts[5])), int(parts[5]))
    else:
        await take(receive, send, fields)


async def give(scope, send, fields, pattern, size):
    if b'length=0' not in scope['query_string']:
        fields = [*fields, (b'content-length', str(size).encode())]
    await send({'type': 'http.response.start', 'status': 200, 'headers': fields})
    if scope['method'] != 'HEAD':
        for piece in pattern.pieces(size):
            await send({'type': 'http.response.body', 'body': piece, 'more_body': True})
    await send({'type': 'http.response.body', 'body': b''})


async def take(receive, send, fields):
    found, size, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        if message['type'] == 'http.disconnect':
            return  # the client left: there is nobody to tell
        found.update(message.get('body', b''))
        size += len(message.get('body', b''))
        more = message.get('more_body', False)
    answer = json.dumps({'size': size, 'sha256': found.hexdigest()}).encode()
    await send({'type': 'http.response.start', 'status': 200,
                'headers': [*fields, (b'content-length', str(len(answer)).encode())]})
    await send({'type': 'http.response.body', 'body': answer})
