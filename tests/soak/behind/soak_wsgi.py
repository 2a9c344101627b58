# SPDX-License-Identifier: MIT
"""What gunicorn runs in the soak: bytes by seed and digests of uploads below .../soak/, everything else is the demo's.

    GET  /POOL/soak/get/SEED/SIZE   SIZE bytes of the pattern; with ?length=0 without a Content-Length
    any  /POOL/soak/put             {"size": ..., "sha256": ...} of the request's body

Both give back the request's X-Soak-Id, so that a client sees that an answer is its own.
"""

import hashlib
import json

from demo.wsgi import application as demo
from soak_bytes import Pattern


def application(environ, start_response):
    parts = environ['PATH_INFO'].split('/')
    if len(parts) < 4 or parts[2] != 'soak':
        return demo(environ, start_response)
    fields = [('X-Soak-Id', environ.get('HTTP_X_SOAK_ID', '')), ('Content-Type', 'application/octet-stream')]
    if parts[3] == 'get':
        size = int(parts[5])
        if 'length=0' not in environ['QUERY_STRING']:
            fields.append(('Content-Length', str(size)))
        start_response('200 OK', fields)
        return [] if environ['REQUEST_METHOD'] == 'HEAD' else Pattern(parts[4], size).pieces(size)
    found, size = hashlib.sha256(), 0
    while piece := environ['wsgi.input'].read(65536):
        found.update(piece)
        size += len(piece)
    answer = json.dumps({'size': size, 'sha256': found.hexdigest()}).encode()
    start_response('200 OK', [*fields, ('Content-Length', str(len(answer)))])
    return [answer]
