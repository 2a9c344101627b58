# SPDX-License-Identifier: MIT
"""Makes the pictures of the page in docs/images: real diplex, gunicorn and uvicorn under load for two minutes, one of
the servers being restarted in between, in headless Chromium.

    DIPLEX_BIN=build/release/diplex build/venv/bin/python tests/e2e/screenshot.py
"""

import contextlib
import pathlib
import random
import re
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from browser import BROWSER, Browser  # noqa: E402
from harness import ROOT, Diplex, Gunicorn, Uvicorn  # noqa: E402

SECONDS = 110
QUICK = ('/api/hello/', '/api/items/3/', '/api/items/12/', '/api/echo/?q=1', '/api/slow/35/', '/api/slow/60/')
ODD = ('/api/status/404/', '/api/hello/', '/api/slow/300/', '/api/slow/900/')
SLOW = ('/api/slow/2600/', '/api/slow/6500/', '/api/slow/19000/')


class Load:
    """Asks on and on for one of the targets, with a pause in between, until told to stop."""

    def __init__(self, site):
        self.site, self.stop, self.threads = site, threading.Event(), []

    def add(self, count, targets, pause):
        for _ in range(count):
            self.threads.append(threading.Thread(target=self._run, args=(targets, pause), daemon=True))
            self.threads[-1].start()

    def _run(self, targets, pause):
        while not self.stop.wait(random.uniform(0.5, 1.5) * pause):
            with contextlib.suppress(Exception), self.site.client(patience=60) as client:
                client.ask('GET', random.choice(targets), {'Host': 'localhost'})

    def stream(self, count):
        self.streams = [self.site.client() for _ in range(count)]
        for client in self.streams:
            client.send('GET /async/events/?count=0&interval=500 HTTP/1.1\r\nHost: localhost\r\n\r\n')


def config_of(directory, web, live):
    health = {'interval': '2s', 'retries': 1}
    return {
        'pools': {
            'sync': {
                'kind': 'wsgi', 'slots': 8, 'health': {'path': '/healthz/', **health},
                'servers': [server.address for server in web],
            },
            'async': {'kind': 'asgi', 'servers': [live.address], 'health': {'path': '/async/healthz/', **health}},
        },
        'routes': {'/async/': 'async', '/api/items/': 'sync', '/api/slow/': 'sync', '/': 'sync'},
        'admin': {'socket': str(directory / 'admin.sock'), 'listen': '127.0.0.1:0', 'token': 'x' * 20, 'read': 'open'},
        'shutdown_timeout': '1s',
    }  # fmt: skip


def take(browser, url, images):
    for name, options in {
        'page-light': {'height': 1010},
        'page-dark': {'height': 1010, 'scheme': 'dark'},
        'page-phone': {'width': 360, 'height': 720, 'mobile': True},
    }.items():
        browser.open(url, **options)
        time.sleep(3)
        browser.screenshot(images / f'{name}.png', whole=False)
        print(images / f'{name}.png', (images / f'{name}.png').stat().st_size, 'bytes')


def main():
    assert BROWSER, 'no Chromium'
    images = ROOT / 'docs' / 'images'
    images.mkdir(exist_ok=True)
    with contextlib.ExitStack() as ends, tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)

        def start(program, *arguments, **more):
            path = directory / f'{program.__name__}{time.monotonic_ns()}'
            path.mkdir()
            made = program(path, *arguments, **more)
            ends.callback(made.end_group)
            return made.start()

        web = [start(Gunicorn, workers=8, host='127.0.0.11'), start(Gunicorn, workers=8, host='127.0.0.12')]
        site = start(Diplex, config_of(directory, web, start(Uvicorn, host='127.0.0.21')))
        port = re.search(r'admin_listen=127\.0\.0\.1:(\d+)', site.wait_event(' ready '))[1]
        load = Load(site)
        ends.callback(load.stop.set)
        load.add(12, QUICK, 0.35)
        load.add(2, ODD, 2)
        load.add(6, SLOW, 3)
        load.add(3, ('/async/hello/', '/async/slow/80/'), 0.3)
        load.stream(5)
        time.sleep(SECONDS * 0.45)
        web[1].signal(signal.SIGTERM)
        time.sleep(SECONDS * 0.1)
        web[1].end_group()
        web[1].start()
        site.reload()
        time.sleep(SECONDS * 0.45)
        load.add(14, ('/api/slow/1500/',), 0.5)
        time.sleep(4)
        take(start(Browser), f'http://127.0.0.1:{port}/', images)


if __name__ == '__main__':
    main()
