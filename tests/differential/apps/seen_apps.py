# SPDX-License-Identifier: MIT
"""The same application for WSGI and ASGI: it takes the whole request, writes down what it saw, and answers with the
request's id. /early answers before it takes the body. What it cannot take whole, it writes down as `cut`."""

import hashlib
import json
import os

RECORD = os.open(os.environ['DIPLEX_SEEN'], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def write(ids, method, target, body, names, end) -> None:
    """`end`: whole, cut, or early."""
    said = {
        'ids': ids, 'method': method, 'target': target, 'length': len(body),
        'body': hashlib.sha256(body).hexdigest()[:16], 'names': sorted(set(names)), 'end': end,
    }  # fmt: skip
    os.write(RECORD, json.dumps(said).encode() + b'\n')


def wsgi(environ, start_response):
    name = environ.get('HTTP_X_REQUEST_ID', '')
    fields = [('Content-Length', '5'), ('X-Eye-Id', name)]
    if environ['REQUEST_METHOD'] == 'HEAD':
        fields.append(('X-Eye-Head', 'yes'))
    body, end = b'', 'early'
    if environ['RAW_URI'] != '/early':
        body, end = environ['wsgi.input'].read(), 'whole'
        if len(body) != int(environ.get('CONTENT_LENGTH') or 0):
            end = 'cut'
    names = [key[5:].replace('_', '-').lower() for key in environ if key.startswith('HTTP_')]
    write([name], environ['REQUEST_METHOD'], environ['RAW_URI'], body, names, end)
    start_response('200 OK', fields)
    return [b'seen\n']


async def _answer(send, name, method) -> None:
    fields = [(b'content-length', b'5'), (b'x-eye-id', name.encode())]
    if method == 'HEAD':
        fields.append((b'x-eye-head', b'yes'))
    await send({'type': 'http.response.start', 'status': 200, 'headers': fields})
    await send({'type': 'http.response.body', 'body': b'seen\n'})


async def asgi(scope, receive, send) -> None:
    if scope['type'] != 'http':
        return
    ids = [value.decode('latin-1') for key, value in scope['headers'] if key == b'x-request-id']
    target = scope['raw_path'] + (b'?' + scope['query_string'] if scope['query_string'] else b'')
    if target == b'/early':
        write(ids, scope['method'], '/early', b'', [], 'early')
        await _answer(send, ids[0], scope['method'])
        return
    body, more, end = b'', True, 'whole'
    while more:
        event = await receive()
        body += event.get('body', b'')
        more = event.get('more_body', False)
        if event['type'] == 'http.disconnect':
            end = 'cut'
    names = [key.decode('latin-1') for key, _ in scope['headers']]
    write(ids, scope['method'], target.decode('latin-1'), body, names, end)
    if end == 'whole':
        await _answer(send, ','.join(ids), scope['method'])
