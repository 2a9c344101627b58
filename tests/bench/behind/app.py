# SPDX-License-Identifier: MIT
"""What gunicorn runs behind the proxies that `tests/bench/pools` compares: a view that sleeps as a database would.

`/view?ms=20&bytes=128&id=7` takes the request's body, sleeps, and answers. An id is appended to the file named by
BENCH_EXECUTED the moment the view runs, so that what ran twice, or for nobody, can be counted.
"""

import os
import time
import urllib.parse

EXECUTED = os.open(os.environ['BENCH_EXECUTED'], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
ANSWER = b'x' * (4 << 20)


def application(environ, start_response):
    asked = dict(urllib.parse.parse_qsl(environ['QUERY_STRING']))
    if 'id' in asked:
        os.write(EXECUTED, f'{asked["id"]}\n'.encode())
    left = int(environ.get('CONTENT_LENGTH') or 0)
    while left > 0 and (piece := environ['wsgi.input'].read(min(left, 65536))):
        left -= len(piece)
    if pause := float(asked.get('ms', 0)):
        time.sleep(pause / 1000)
    size = int(asked.get('bytes', 128))
    start_response('200 OK', [('Content-Type', 'application/octet-stream'), ('Content-Length', str(size))])
    return [ANSWER[:size]]
