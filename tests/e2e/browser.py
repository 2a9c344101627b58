# SPDX-License-Identifier: MIT
"""Headless Chromium, driven by its own protocol over a WebSocket: one page, whatever it says and asks being kept.

It looks up no names and speaks to loopback only. `evaluate` runs JavaScript and returns its value; `wait` does so until
the value is true.
"""

import base64
import contextlib
import json
import shutil

from harness import Program
from websockets.sync.client import connect
from wire import PATIENCE, wait_until

NAMES = ('chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome')
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)

# What keyDown has to say besides its name, for keys that write nothing.
KEYS = {
    'Tab': 9, 'Enter': 13, 'Escape': 27, ' ': 32, 'PageUp': 33, 'PageDown': 34, 'End': 35, 'Home': 36,
    'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowRight': 39, 'ArrowDown': 40,
}  # fmt: skip


class Browser(Program):
    name = 'chromium'

    def __init__(self, directory):
        self.profile = directory / 'profile'
        super().__init__(
            directory,
            [
                BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
                '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server',
                '--disable-breakpad', '--hide-scrollbars',
                '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
                f'--user-data-dir={self.profile}', '--remote-debugging-port=0', 'about:blank',
            ],
            {'HOME': str(directory)},
        )  # fmt: skip
        self.events, self.number, self.socket, self.origin = [], 0, None, None
        self.ends = contextlib.ExitStack()

    def start(self):
        self.spawn()
        port_file = self.profile / 'DevToolsActivePort'

        def port():
            assert self.running(), self.stderr
            lines = port_file.read_text().split('\n') if port_file.exists() else []
            return lines if len(lines) > 1 and lines[1] else None

        port, path = wait_until(port, PATIENCE, 'the browser to be ready')[:2]
        self.socket = self.ends.enter_context(connect(f'ws://127.0.0.1:{port}{path}', max_size=None, compression=None))
        target = self.command('Target.createTarget', url='about:blank')['targetId']
        self.session = self.command('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log', 'Accessibility', 'DOM'):
            self.command(f'{domain}.enable')
        return self

    def stop(self):
        self.end_group()
        with contextlib.suppress(Exception):
            self.ends.close()

    def command(self, method, **parameters):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if hasattr(self, 'session'):
            message['sessionId'] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=PATIENCE))
            if answer.get('id') == self.number:
                assert 'error' not in answer, f'{method}: {answer["error"]}'
                return answer.get('result', {})
            self.events.append(answer)

    def open(self, url, width=1280, height=900, scheme='light', mobile=False):
        self.size(width, height, mobile)
        self.media(scheme)
        self.command('Page.navigate', url=url)
        self.wait('document.readyState === "complete"', 'the page to load')

    def size(self, width, height, mobile=False):
        self.command('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def media(self, scheme='light', motion='no-preference'):
        features = [{'name': 'prefers-color-scheme', 'value': scheme}, {'name': 'prefers-reduced-motion', 'value': motion}]
        self.command('Emulation.setEmulatedMedia', features=features)

    def evaluate(self, expression):
        answer = self.command('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in answer, f'{expression}: {answer["exceptionDetails"]}'
        return answer['result'].get('value')

    def wait(self, expression, what, seconds=PATIENCE):
        return wait_until(lambda: self.evaluate(expression), seconds, what)

    def text(self, selector):
        return self.evaluate(f'document.querySelector({json.dumps(selector)})?.innerText ?? null')

    def click(self, selector):
        self.evaluate(f'document.querySelector({json.dumps(selector)}).click()')

    def press(self, *keys, shift=False):
        """Real key presses, as from a keyboard."""
        for key in keys:
            press = {'key': key, 'code': key, 'modifiers': 8 if shift else 0}
            if key in KEYS:
                press['windowsVirtualKeyCode'] = KEYS[key]
                press['text'] = {'Enter': '\r', ' ': ' '}.get(key, '')
            else:
                press['text'] = key
            self.command('Input.dispatchKeyEvent', type='keyDown' if press['text'] else 'rawKeyDown', **press)
            self.command('Input.dispatchKeyEvent', type='keyUp', **{k: v for k, v in press.items() if k != 'text'})

    def point(self, x, y):
        self.command('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def screenshot(self, path, whole=True):
        """A PNG of the page; `whole`: all its height."""
        if whole:
            size = self.command('Page.getLayoutMetrics')['cssContentSize']
            clip = {'x': 0, 'y': 0, 'width': size['width'], 'height': size['height'], 'scale': 1}
            data = self.command('Page.captureScreenshot', format='png', clip=clip, captureBeyondViewport=True)['data']
        else:
            data = self.command('Page.captureScreenshot', format='png')['data']
        path.write_bytes(base64.b64decode(data))

    def happened(self, *methods):
        """The events of these kinds so far."""
        self.evaluate('0')  # what has come by now is read
        return [event['params'] for event in self.events if event.get('method') in methods]

    def complaints(self):
        """What the console says, and exceptions."""
        said = [f"{entry['type']}: {entry['args']}" for entry in self.happened('Runtime.consoleAPICalled')]
        said += [str(entry['exceptionDetails']) for entry in self.happened('Runtime.exceptionThrown')]
        return said + [entry['entry']['text'] for entry in self.happened('Log.entryAdded')]

    def asked(self):
        """The addresses of all requests."""
        return [entry['request']['url'] for entry in self.happened('Network.requestWillBeSent')]
