# SPDX-License-Identifier: MIT
"""Server-sent events as a real browser takes them: headless Chromium with EventSource, through diplex, to uvicorn.

EventSource comes back by itself when its connection breaks or ends, and never after an answer that is not 200. The page
sends word of what it sees to a small server of its own, which diplex has in another pool.
"""

import shutil
import time

import pytest
from harness import Program
from wire import wait_until

BROWSERS = ('chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome')
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(not BROWSER, reason='no Chromium (Debian: chromium-headless-shell, or chromium)')

PAGE = """<!doctype html><title>events</title><script>
let last = Promise.resolve();
function tell(what) {
    last = last.then(() => fetch('/page/told', {method: 'POST', body: what}), () => {});
}
const source = new EventSource('@URL@');
source.onopen = () => tell('open');
source.onerror = () => tell(['connecting', 'open', 'closed'][source.readyState] + ' after an error');
source.addEventListener('tick', (event) => tell('tick ' + JSON.parse(event.data).pid));
fetch('@URL@').then((answer) => answer.text()).then(() => tell('fetch: whole'), () => tell('fetch: broken'));
</script>"""


class Page:
    """Gives the page out and keeps what it tells."""

    def __init__(self, scripted, url):
        self.told = []
        self.server = scripted(self._serve)
        self.url = url

    def _serve(self, connection):
        while request := connection.read_request():
            if request.method == 'POST':
                self.told.append(request.body.decode())
                connection.reply()
            else:
                connection.reply(PAGE.replace('@URL@', self.url).encode(), headers='Content-Type: text/html\r\n')

    def ticks(self):
        """The processes that sent the ticks that came so far."""
        return [word.split()[1] for word in self.told if word.startswith('tick ')]

    def changes(self):
        """What happened besides ticks, in order."""
        return [word for word in self.told if not word.startswith(('tick ', 'fetch'))]


class Browser(Program):
    """Chromium on one page. It looks up no names and speaks to loopback only."""

    name = 'chromium'

    def __init__(self, directory, url):
        super().__init__(
            directory,
            [
                BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
                '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server',
                '--disable-breakpad', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
                f'--user-data-dir={directory / "profile"}', '--remote-debugging-port=0', url,
            ],
            {'HOME': str(directory)},
        )  # fmt: skip


@pytest.fixture
def browse(request, directory):
    def start(site):
        browser = Browser(directory, f'http://{site.listen}/page/')
        request.addfinalizer(browser.end_group)
        browser.spawn()
        return browser

    return start


def arrangement(page, server, **pool):
    return {
        'pools': {
            'async': {'kind': 'asgi', 'servers': [server.address], **pool},
            'page': {'kind': 'asgi', 'servers': [page.server.address]},
        },
        'routes': {'/async/': 'async', '/page/': 'page'},
    }


def ticking(page, browser, pids):
    """Wait for ticks from so many processes, one after the other."""

    def enough():
        assert browser.running(), browser.stderr
        return len(set(page.ticks())) >= pids

    wait_until(enough, 30, f'ticks from {pids} processes; the page told {page.told[-5:]}')


def test_a_stream_cut_by_a_dying_server_goes_on_when_it_is_back(diplex, uvicorn, scripted, browse):
    """EventSource comes back by itself. And the cut does not look like an end: `fetch` does not take half for the
    whole."""
    server = uvicorn(fresh=True)
    page = Page(scripted, '/async/events/?count=0&interval=50&retry=4000')
    site = diplex(arrangement(page, server))
    browser = browse(site)
    ticking(page, browser, 1)
    server.kill()
    wait_until(lambda: 'connecting after an error' in page.told, 10, 'the browser to notice')
    wait_until(lambda: 'fetch: broken' in page.told, 10, 'fetch to notice')
    server.start()
    ticking(page, browser, 2)
    assert 'fetch: whole' not in page.told
    assert page.changes()[:3] == ['open', 'connecting after an error', 'open']
    assert site.wait_access(1, outcome='answer_cut')[0]['status'] == 200


HEALTH = {'path': '/async/healthz/', 'interval': '100ms', 'retries': 1}


def test_a_held_request_for_events_waits_for_the_server(diplex, uvicorn, scripted, browse):
    """All that the browser notices of a restart is one break."""
    server = uvicorn(fresh=True)
    page = Page(scripted, '/async/events/?count=0&interval=50&retry=200')
    site = diplex(arrangement(page, server, hold={'wait': '30s'}, health=HEALTH))
    browser = browse(site)
    ticking(page, browser, 1)
    server.kill()
    site.wait_event('server_down')
    wait_until(lambda: 'connecting after an error' in page.told, 10, 'the browser to notice')
    server.start()
    ticking(page, browser, 2)
    assert page.changes() == ['open', 'connecting after an error', 'open']


def test_a_request_for_events_whose_hold_ends_is_closed_and_comes_again(diplex, uvicorn, scripted, browse):
    """Until the server is back, however long that takes: it is never told 502 or 503."""
    server = uvicorn(fresh=True)
    page = Page(scripted, '/async/events/?count=0&interval=50&retry=200')
    site = diplex(arrangement(page, server, hold={'wait': '700ms'}, health=HEALTH))
    browser = browse(site)
    ticking(page, browser, 1)
    server.kill()
    site.wait_event('server_down')
    ended = site.wait_access(3, seconds=20, outcome='events_later')
    assert {(entry['status'], entry['reason']) for entry in ended} == {(0, 'hold_timeout')}
    assert site.get('/async/hello/').status == 503, 'others are told'
    server.start()
    ticking(page, browser, 2)
    changes = page.changes()
    assert changes[0] == changes[-1] == 'open' and set(changes[1:-1]) == {'connecting after an error'}
    assert len(changes) >= 5


def test_a_browser_never_comes_back_after_a_503(diplex, scripted, browse):
    """Why that is so, and after any answer that is not 200. A server says it here, diplex only passes it on."""
    answers = iter(
        [
            b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 100\nevent: tick\ndata: {"pid": 1}\n\n',
            b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
        ]
    )

    def script(connection):
        request = connection.read_request()
        if request.get('accept') == 'text/event-stream':
            connection.send(next(answers))

    server = scripted(script)
    page = Page(scripted, '/async/events/')
    browser = browse(diplex(arrangement(page, server)))
    ticking(page, browser, 1)
    wait_until(lambda: 'closed after an error' in page.told, 10, 'the browser to give up')
    asked = len(server.requests)
    time.sleep(2)
    assert len(server.requests) == asked
    assert page.changes() == ['open', 'connecting after an error', 'closed after an error']
