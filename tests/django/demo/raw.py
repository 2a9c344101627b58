# SPDX-License-Identifier: MIT
"""Endpoints in plain ASGI, for what Django does not do: WebSockets, and a body echoed while it still arrives."""

import json


async def lifespan(scope, receive, send):
    """Answer the server's start and stop; this application has nothing to open or close."""
    while True:
        message = await receive()
        await send({'type': message['type'] + '.complete'})
        if message['type'] == 'lifespan.shutdown':
            return


async def echo_websocket(scope, receive, send):
    """Send each message back. The text `close` ends with code 4000, `headers` answers with the handshake's fields."""
    await receive()
    offered = scope.get('subprotocols') or [None]
    await send({'type': 'websocket.accept', 'subprotocol': offered[0]})
    while True:
        message = await receive()
        if message['type'] == 'websocket.disconnect':
            return
        if message.get('text') == 'close':
            await send({'type': 'websocket.close', 'code': 4000, 'reason': 'as you asked'})
            return
        if message.get('text') == 'headers':
            fields = {name.decode('latin-1'): value.decode('latin-1') for name, value in scope['headers']}
            await send({'type': 'websocket.send', 'text': json.dumps(fields)})
        elif message.get('bytes') is not None:
            await send({'type': 'websocket.send', 'bytes': message['bytes']})
        else:
            await send({'type': 'websocket.send', 'text': message['text']})


async def refuse_websocket(scope, receive, send):
    """There is no WebSocket at this path: the server answers the handshake with 403."""
    await receive()
    await send({'type': 'websocket.close'})


async def echo_body(scope, receive, send):
    """Send each piece of the request's body back as it arrives, long before the request has ended."""
    await send(
        {
            'type': 'http.response.start',
            'status': 200,
            'headers': [(b'content-type', b'application/octet-stream')],
        }
    )
    more = True
    while more:
        message = await receive()
        if message['type'] == 'http.disconnect':
            return
        more = message.get('more_body', False)
        await send({'type': 'http.response.body', 'body': message.get('body', b''), 'more_body': more})


ENDPOINTS = {
    ('websocket', '/async/ws/echo'): echo_websocket,
    ('http', '/async/raw/echo'): echo_body,
}
