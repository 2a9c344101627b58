# SPDX-License-Identifier: MIT
"""The page that admin serves, in real headless Chromium: diplex under load in front of real gunicorn and uvicorn."""

import contextlib
import http.server
import json
import re
import socket
import threading
import time

import httpx
import pytest
from browser import BROWSER, Browser
from harness import free_port, one_pool, run_diplex, sanitized, two_pools
from wire import RawClient, wait_until

pytestmark = pytest.mark.skipif(not BROWSER, reason='no Chromium (Debian: chromium-headless-shell, or chromium)')
# What is about the page alone says nothing more of diplex under a sanitizer, and Chromium beside it takes long.
plain_build = pytest.mark.skipif(sanitized(), reason='about the page, not about the program')

SOON = 30  # seconds: Chromium, diplex, gunicorn and uvicorn may share one slow processor


class Carried:
    """A port of this machine that leads to the admin socket, as `ssh -L 9000:/run/diplex/admin.sock` makes one."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.create_server(('127.0.0.1', free_port()))
        self.url = f'http://localhost:{self.listener.getsockname()[1]}/'
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self.path)
                except OSError:
                    client.close()
                    continue
                self.open += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        for end in (self.listener, *self.open):
            end.close()


@pytest.fixture(scope='module')
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp('chromium'))
    try:
        yield browser.start()
    finally:
        browser.stop()


def leave(browser):
    """Before what the page asks is gone."""
    origin = browser.evaluate('location.origin')
    if origin != 'null':
        browser.origin = origin
    browser.command('Page.navigate', url='about:blank')
    browser.wait('location.href === "about:blank"', 'the page to be left')


@pytest.fixture
def browser(chromium):
    """With nothing remembered. At the end the page has complained of nothing, and asked nobody but its own address."""
    leave(chromium)
    chromium.events.clear()
    chromium.expected, chromium.origin = (), None
    yield chromium
    leave(chromium)
    origin = chromium.origin
    unexpected = [said for said in chromium.complaints() if not any(word in said for word in chromium.expected)]
    assert not unexpected
    foreign = [url for url in chromium.asked() if not url.startswith((origin + '/', 'data:', 'about:'))]
    assert not foreign
    chromium.command('Storage.clearDataForOrigin', origin=origin, storageTypes='all')


@pytest.fixture
def carried(request, directory, browser, diplex):
    """carried(config) -> the site, and the address under which a browser finds its admin socket."""

    def start(config):
        path = str(directory / 'admin.sock')
        site = diplex({**config, 'admin': path})
        door = Carried(path)
        request.addfinalizer(door.stop)
        request.addfinalizer(lambda: leave(browser))
        return site, door

    return start


@pytest.fixture
def asking():
    """asking(site, target, ...): requests whose answers nobody waits for. They are left at the end."""
    clients = []

    def start(site, *targets):
        for target in targets:
            clients.append(site.client())
            clients[-1].send(f'GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n')

    yield start
    for client in clients:
        client.close()


def tiles(browser, busy=True):
    """What the busy slots say, or the idle ones."""
    wanted = '[data-age]' if busy else ':not([data-age])'
    return browser.evaluate(f"[...document.querySelectorAll('[role=grid] .tile{wanted}')].map((tile) => tile.innerText)")


def shows(browser, selector, text):
    said = f'(document.querySelector({json.dumps(selector)})?.innerText ?? "")'
    browser.wait(f'{said}.includes({json.dumps(text)})', f'{text!r} in {selector}', SOON)


POINTS = """[...document.querySelectorAll('.pool:first-of-type .plot')].map((plot) =>
    [...plot.querySelectorAll('path')].map((path) => path.getTotalLength()).reduce((a, b) => a + b, 0))"""


def test_slots_queue_hold_and_plots_show_what_happens(browser, carried, gunicorn, uvicorn, asking):
    """The grid has the paths of what runs; who waits stands beside it, and why; plots get their points; a hold by hand is
    called one."""
    wsgi = gunicorn(workers=2, fresh=True)
    config = two_pools(wsgi, uvicorn(), sync={'slots': 2, 'hold': {'wait': '5m'}, 'queue': {'wait': '5m'}}, shutdown_timeout='1s')
    site, door = carried(config)
    browser.open(door.url)
    shows(browser, '#state', 'ready')
    shows(browser, '.pool', '0 of 2 slots busy')
    assert [text.strip() for text in tiles(browser, busy=False)] == ['idle', 'idle']
    for _ in range(5):
        assert site.get('/api/hello/').status == 200
    asking(site, '/api/slow/100000/?one', '/api/slow/100001/')
    wait_until(lambda: {'/api/slow/100000/?one', '/api/slow/100001/'} <= set(' '.join(tiles(browser)).split()), SOON, 'both in the grid')
    asking(site, '/api/slow/1/')
    shows(browser, '.waiting', '1 request waits: all slots are taken.')
    shows(browser, '.waiting .tile', '/api/slow/1/')
    shows(browser, '#longest', 'GET /api/slow/100001/')
    browser.wait(f'({POINTS}).every((length) => length > 0)', 'points in each plot of the first pool', SOON)
    shows(browser, '#routes', '/async/')
    assert run_diplex('hold', 'sync', '-a', door.path).returncode == 0
    shows(browser, '.pool-head', 'hold by hand')
    asking(site, '/api/hello/?held')
    shows(browser, '.waiting', 'held by hand')
    shows(browser, '#event-list', 'Held by hand: new requests wait.')
    assert run_diplex('release', 'sync', '-a', door.path).returncode == 0
    shows(browser, '.waiting', '2 requests wait: all slots are taken.')
    wsgi.kill()
    shows(browser, '.waiting', 'no server can take a request')


def test_streams_are_shown_with_their_server(browser, carried, gunicorn, uvicorn, asking):
    """They are no trouble however old they are."""
    site, door = carried(two_pools(gunicorn(), uvicorn()))
    browser.open(door.url)
    asking(site, '/async/events/?count=0&interval=100')
    shows(browser, '.pool:nth-of-type(2) .row', '1 stream')
    assert browser.evaluate("document.querySelector('[data-age=stream] .what').innerText").startswith('/async/events/')
    number = "[...document.querySelectorAll('#numbers div')].find((e) => e.innerText.includes('streams')).querySelector('dd').innerText"
    assert browser.evaluate(number).strip() == '1'


@plain_build
def test_a_slot_that_is_taken_is_never_called_idle(browser, pretending):
    """Whatever the workers did not tell of it; nor does the page say then that nothing runs."""
    server = pretending.status['pools'][0]['servers'][0]
    server['active'], server['requests'] = 2, []
    pretending.status['snapshot'] = {'taken': True, 'missing_workers': [1], 'left_out': 0}
    browser.open(pretending.url)
    shows(browser, '#banners', 'Workers that did not answer in time: 1.')
    assert [text.strip() for text in tiles(browser)] == ['busy', 'busy']
    assert [text.strip() for text in tiles(browser, busy=False)] == ['idle'] * 6
    assert browser.text('#longest') == 'The workers did not say what runs.'


# The least ratio between the letters and what is behind them, and which they are; of all that is to be read now.
CONTRAST = """(() => {
    const parts = (colour) => { const n = colour.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
    const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
    const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = (element) => {
        const above = []; let under = [255, 255, 255];
        for (let at = element; at; at = at.parentElement) above.unshift(parts(getComputedStyle(at).backgroundColor));
        for (const layer of above) under = over(layer, under);
        return under;
    };
    let worst = [99, ''];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement, box = element.getBoundingClientRect(), style = getComputedStyle(element);
        if (!walker.currentNode.data.trim() || !box.width || !box.height || element.closest('.unseen, dialog:not([open]), option, script, style') || style.visibility === 'hidden') continue;
        const under = behind(element), svg = element.namespaceURI.endsWith('svg');
        const a = light(over(parts(svg ? style.fill : style.color), under)), b = light(under);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
        if (ratio * (large ? 1.5 : 1) < worst[0]) worst = [ratio * (large ? 1.5 : 1), walker.currentNode.data.trim().slice(0, 60)];
    }
    return worst;
})()"""


def ages():
    """A request of each age that has a colour, a stream, one that waits, a server that is down."""
    request = {'worker': 0, 'method': 'GET', 'host': 'shop.example', 'route': '/', 'state': 'await_head', 'client': '192.0.2.1', 'streaming': False}
    running = [{**request, 'id': f'r{age}', 'path': f'/p{age}/', 'age_ms': age} for age in (500, 2000, 9000, 30000, 90000)]
    running.append({**request, 'id': 's', 'path': '/s/', 'age_ms': 999999, 'streaming': True})
    return running, [{**request, 'id': 'w', 'path': '/w/', 'age_ms': 100, 'why': 'slot'}]


class Pretending:
    """A server that gives out the real page, with its real fields, and says of diplex what a test wants it to say."""

    def __init__(self, page, status, history):
        outer = self
        self.status, self.history = status, history

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass

            def do_GET(self):
                path, _, query = self.path.partition('?')
                if path == '/':
                    return self.give(200, page.body, {name: value for name, value in page.headers if name.lower() not in ('content-length', 'date', 'connection')})
                known = {'/status': outer.status, '/history': outer.news(query)}
                return self.give(200 if path in known else 400, json.dumps(known.get(path)).encode(), {})

            def do_POST(self):
                self.give(422, b'<img src=x onerror=alert(5)>\n', {})

            def give(self, status, body, headers):
                self.send_response(status)
                for name, value in {**headers, 'Content-Length': str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}/'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def news(self, query):
        """All of it once, and nothing to those who have it."""
        if query != f'since={self.history["next"]}':
            return self.history
        none = [{name: [] if isinstance(values, list) else values for name, values in pool.items()} for pool in self.history['pools']]
        return {**self.history, 'at_ms': [], 'pools': none, 'events': []}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def pretending(request, browser, carried, gunicorn):
    """What a real diplex says, to be changed, and the page over it."""
    _, door = carried(one_pool('wsgi', gunicorn(), pool={'slots': 8}))
    with httpx.Client(base_url=door.url, trust_env=False) as client:
        page, status, history = client.get('/'), client.get('/status').json(), client.get('/history').json()
    assert page.status_code == 200

    class Page:
        body, headers = page.content, page.headers.multi_items()

    server = Pretending(Page, status, history)
    request.addfinalizer(server.stop)
    request.addfinalizer(lambda: leave(browser))
    return server


def pretend_ages(pretending):
    pool = pretending.status['pools'][0]
    pool['servers'][0]['requests'], pool['waiting'] = ages()
    pool['servers'][0]['active'], pool['queued'] = 6, 1
    pool['servers'].append({**pool['servers'][0], 'name': 'gone', 'state': 'down', 'why': 'probe', 'requests': [], 'active': 0})


@plain_build
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_light_and_dark_can_be_read_on_a_desk_and_on_a_phone(browser, pretending, scheme):
    """The contrast of all text is that of WCAG's level AA, and 360 px are wide enough."""
    pretend_ages(pretending)
    browser.open(pretending.url, scheme=scheme)
    browser.wait('document.querySelectorAll("[data-age]").length === 7', 'all ages', SOON)
    time.sleep(0.4)  # colours that change do so in 0.3 s
    ratio, text = browser.evaluate(CONTRAST)
    assert ratio >= 4.5, text
    ground = browser.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (ground > 200) == (scheme == 'light')
    browser.open(pretending.url, width=360, height=740, scheme=scheme, mobile=True)
    browser.wait('document.querySelectorAll("[data-age]").length === 7', 'all ages', SOON)
    assert browser.evaluate('document.documentElement.scrollWidth') == 360
    for opener in ('#ask-help', '[data-age]'):
        browser.click(opener)
        assert browser.evaluate('document.documentElement.scrollWidth') == 360
        assert browser.evaluate(CONTRAST)[0] >= 4.5
        browser.press('Escape')


@plain_build
def test_the_theme_is_remembered(browser, pretending):
    browser.open(pretending.url, scheme='light')
    choose = "const s = document.getElementById('theme'); s.value = '{}'; s.dispatchEvent(new Event('change')); getComputedStyle(document.documentElement).backgroundColor"
    light = browser.evaluate('{' + choose.format('') + '}')
    dark = browser.evaluate('{' + choose.format('dark') + '}')
    assert dark != light
    browser.open(pretending.url, scheme='light')
    assert browser.evaluate('getComputedStyle(document.documentElement).backgroundColor') == dark
    assert browser.evaluate("document.getElementById('theme').value") == 'dark'


# Of a plot's line: whether any of it is drawn between two moments of the window, as parts of its width.
DRAWN_BETWEEN = """((plot, from, to) => {
    const path = plot.querySelector('path'), width = plot.clientWidth - 40;
    return [...path.getAttribute('d').matchAll(/M([\\d.]+) [\\d.]+|H([\\d.]+)/g)].some((step, i, all) => {
        if (step[1] !== undefined) return false;
        const begins = Number(all[i - 1][1] ?? all[i - 1][2]), ends = Number(step[2]);
        return ends > 40 + from * width + 1 && begins < 40 + to * width - 1;
    });
})"""


@plain_build
def test_plots_draw_nothing_where_nothing_is_known(browser, pretending):
    """Three minutes are missing, and in two others nothing ended: neither has a line, and both axes say what they are."""
    now = pretending.history['now_ms'] = 2_000_000
    times = [at for at in range(now - 897_000, now + 1, 3000) if not now - 600_000 < at <= now - 420_000]
    quiet = [now - 240_000 < at <= now - 120_000 for at in times]
    pool = pretending.history['pools'][0]
    pretending.history['at_ms'] = times
    for name, values in pool.items():
        if isinstance(values, list):
            pool[name] = [None if still and name.endswith('_us') else 0 if still else 40_000 for still in quiet]
    browser.open(pretending.url)
    plots = "document.querySelectorAll('.plot')"
    browser.wait(f'{plots}.length === 3 && {plots}[1].querySelector("path") !== null', 'the plots', SOON)
    within = lambda plot, early, late: browser.evaluate(f'{DRAWN_BETWEEN}({plots}[{plot}], {1 - early / 15}, {1 - late / 15})')  # noqa: E731
    for minutes, line in (((14, 11), True), ((9.9, 7.1), False), ((6.5, 4.5), True), ((3.9, 2.1), False), ((1.9, 0), True)):
        assert within(1, *minutes) == line, minutes
    texts = browser.evaluate(f"[...{plots}].map((plot) => [...plot.querySelectorAll('text')].map((text) => text.textContent))")
    axis = ['−15 min', '−10 min', '−5 min', 'now']
    assert texts == [
        ['0', '50\u202f000', '100\u202f000', *axis],
        ['0 ms', '20 ms', '40 ms', *axis],
        ['0', '100\u202f000', '200\u202f000', *axis],
    ]
    box = browser.evaluate(f'{plots}[1].scrollIntoView(), {plots}[1].getBoundingClientRect().toJSON()')
    browser.point(box['x'] + 40 + (box['width'] - 40) * (1 - 3 / 15), box['y'] + 30)
    browser.wait(f"{plots}[1].querySelector('.cursor') !== null", 'the cursor')
    assert 'half within unknown, 99 % within unknown' in browser.evaluate(f"{plots}[1].getAttribute('aria-valuetext')")
    browser.point(box['x'] + 40 + (box['width'] - 40) * (1 - 5 / 15), box['y'] + 30)
    browser.wait(f"{plots}[1].getAttribute('aria-valuetext').endsWith('half within 40 ms, 99 % within 40 ms')", 'the values')


FOCUS = "(document.activeElement.getAttribute('aria-label') || document.activeElement.innerText || document.activeElement.id || '').slice(0, 60)"


def tab_to(browser, condition, what, most=60):
    for _ in range(most):
        browser.press('Tab')
        if browser.evaluate(condition):
            return
    raise AssertionError(f'Tab did not lead to {what}; it is at {browser.evaluate(FOCUS)}')


@plain_build
def test_everything_can_be_done_with_the_keyboard(browser, pretending):
    pretend_ages(pretending)
    pretending.history['at_ms'] = [pretending.history['now_ms'] - 9000 + 3000 * i for i in range(4)]
    pool = pretending.history['pools'][0]
    pool.update({name: [i for i in range(4)] for name, values in pool.items() if isinstance(values, list)})
    browser.open(pretending.url)
    browser.wait('document.querySelectorAll("[data-age]").length === 7', 'the grid', SOON)
    browser.press('Tab')
    assert 'Skip to the pools' in browser.evaluate(FOCUS)
    assert browser.evaluate("document.activeElement.getBoundingClientRect().left >= 0"), 'a skip link is seen when it has the focus'
    browser.press('Enter')
    assert browser.evaluate('document.activeElement.id') == 'pools'
    tab_to(browser, "document.activeElement.matches('.tile')", 'the grid', 4)
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == 'solid', 'what has the focus shows it'
    first = browser.evaluate(FOCUS)
    browser.press('ArrowRight', 'ArrowRight')
    assert 'slot 3' in browser.evaluate("document.activeElement.getAttribute('aria-label')")
    browser.press('End')
    assert 'slot 8 of gone' in browser.evaluate("document.activeElement.getAttribute('aria-label')")
    browser.press('Home')
    assert browser.evaluate(FOCUS) == first
    browser.press('ArrowDown')
    assert 'of gone' in browser.evaluate("document.activeElement.getAttribute('aria-label')") or 'slot' in browser.evaluate(FOCUS)
    browser.press('Home', 'Enter')
    browser.wait("document.getElementById('details').open", 'the details')
    assert '/p500/' in browser.text('#facts')
    browser.press('Escape')
    browser.wait("!document.getElementById('details').open", 'the details to close')
    assert browser.evaluate("document.activeElement.matches('.tile')"), 'the focus is where it was'
    tab_to(browser, "document.activeElement.matches('.plot')", 'a plot')
    now = browser.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    browser.press('ArrowLeft')
    assert browser.evaluate("document.activeElement.getAttribute('aria-valuetext')") != now
    browser.press('Escape')
    assert browser.evaluate("document.activeElement.getAttribute('aria-valuetext')").split(': ')[1:] == now.split(': ')[1:]
    tab_to(browser, "document.activeElement.matches('#longest th button')", 'a heading')
    assert browser.evaluate("document.querySelector('#longest th').ariaSort") == 'descending'
    browser.press('Enter')
    assert browser.evaluate("document.querySelector('#longest th').ariaSort") == 'ascending'
    assert '/p500/' in browser.text('#longest tbody tr')
    tab_to(browser, "document.activeElement.matches('#longest tr')", 'a row')
    browser.press('ArrowDown', 'Enter')
    browser.wait("document.getElementById('details').open", 'the details')
    assert '/p2000/' in browser.text('#facts')
    browser.press('Escape', '?')
    browser.wait("document.getElementById('help').open", 'the help')
    browser.press('Escape')
    time.sleep(1.2)  # a poll later
    assert browser.evaluate("document.activeElement.matches('#longest tr')"), 'the focus outlives what comes anew'


@plain_build
def test_assistive_technology_finds_names_and_landmarks(browser, pretending):
    """Everything that can be pressed has a name; there is one heading of the first level, one main, labels for all."""
    pretend_ages(pretending)
    browser.open(pretending.url)
    browser.wait('document.querySelectorAll("[data-age]").length === 7', 'the grid', SOON)
    nodes = browser.command('Accessibility.getFullAXTree')['nodes']
    roles = [(node['role']['value'], node.get('name', {}).get('value', '')) for node in nodes if not node.get('ignored')]
    nameless = [role for role, name in roles if role in ('button', 'link', 'checkbox', 'combobox', 'slider', 'grid', 'gridcell', 'table', 'region', 'dialog', 'textbox') and not name.strip()]
    assert not nameless
    counted = [role for role, _ in roles]
    assert counted.count('main') == counted.count('banner') == counted.count('contentinfo') == 1
    assert browser.evaluate("document.querySelectorAll('h1').length") == 1
    assert browser.evaluate("const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); ids.length === new Set(ids).size")
    levels = browser.evaluate("[...document.querySelectorAll('main h2, main h3')].map((h) => h.tagName)")
    assert levels[0] == 'H2', 'no level is left out'
    live = browser.evaluate("[...document.querySelectorAll('[role=status], [aria-live]')].map((e) => e.id)")
    assert set(live) == {'banners', 'said', 'ask-answer'}, 'what changes each second is not read out'


HOSTILE = [
    '<img src=x onerror=alert(1)>', '"><script>alert(2)</script>', "javascript:alert(3)", '\u202egnp.exe\u2066', '\u0000\u001b[2J\u0007',
    'x' * 5000, '👩‍👩‍👧‍👦' * 300, '\u0644\u0627' * 200, 'a\u0300' + '\u0300' * 400, '${7*7}{{7*7}}', '&lt;b&gt;', "__proto__", 'constructor',
]  # fmt: skip


def poison(value, words):
    """The same document with other strings, those excepted that come of a fixed set of words."""
    fixed = ('state', 'why', 'hold', 'kind', 'level', 'run', 'time', 'event', 'log_level')
    if isinstance(value, dict):
        return {key: value[key] if key in fixed else poison(value[key], words) for key in value}
    if isinstance(value, list):
        return [poison(one, words) for one in value]
    return next(words) if isinstance(value, str) else value


@plain_build
def test_a_strangers_bytes_are_text_and_nothing_else(browser, pretending):
    """In every string that can come from anywhere, in turn: nothing runs, nothing is wider than the page, and what
    would turn the text round or hide it is spelt out."""
    pretend_ages(pretending)
    pretending.history['events'] = [{**event, 'facts': {'server': 'x', 'reason': 'y'}} for event in pretending.history['events']] or []
    pretending.history['events'].append({'n': 1, 'at_ms': pretending.history['now_ms'], 'time': 'x', 'level': 'warn', 'event': 'server_down', 'text': 'x', 'facts': {'server': 'x', 'reason': 'y'}})
    pretending.status['last_reload'] = {'at': 'x', 'ms_ago': 5, 'ok': False, 'error': 'x', 'after_restart': ''}
    good = (pretending.status, pretending.history)
    browser.open('about:blank', width=360, height=740, mobile=True)
    for turn in range(0, len(HOSTILE), 4):
        words = iter(HOSTILE[turn:] + HOSTILE * 400)
        pretending.status, pretending.history = (poison(document, words) for document in good)
        pretending.history['run'] = f'run {turn}'
        if turn == 0:
            browser.open(pretending.url, width=360, height=740, mobile=True)
        seen = json.dumps(pretending.status['pools'][0]['name'])
        browser.wait(f'page.status && page.status.pools[0].name === {seen}', f'turn {turn}', SOON)
        assert browser.evaluate('document.querySelectorAll("main img, main script, main a, main b b, iframe").length') == 0
        assert browser.evaluate('document.documentElement.scrollWidth') == 360, HOSTILE[turn]
        text = browser.evaluate('document.documentElement.outerHTML')
        assert not re.search('[\u202a-\u202e\u2066-\u2069\x1b]', text)
        browser.click('[data-age]')
        assert browser.evaluate('document.documentElement.scrollWidth') == 360, HOSTILE[turn]
        browser.click('#details button')
    assert not browser.happened('Page.javascriptDialogOpening')
    assert '\\u202egnp.exe' in text


@plain_build
def test_maintenance_is_told_at_the_top(browser, carried, gunicorn):
    _, door = carried(
        one_pool('wsgi', gunicorn(), routes={'/': 'app', '/shop/': 'app', '/closed/': {'pool': 'app', 'maintenance': {'on': 'yes'}}})
    )
    browser.open(door.url)
    shows(browser, '#banners', 'Maintenance of /closed/, by the file')
    assert run_diplex('maintenance', 'on', '/shop/', '-a', door.path).returncode == 0
    shows(browser, '#banners', 'Maintenance of /shop/, switched on by hand')
    assert run_diplex('maintenance', 'on', '-a', door.path).returncode == 0
    shows(browser, '#banners', 'Maintenance of /shop/, everything, switched on by hand')
    for name in ('/shop/', '*'):
        assert run_diplex('maintenance', 'off', name, '-a', door.path).returncode == 0
    browser.wait("!document.querySelector('#banners').innerText.includes('by hand')", 'the banner to go', SOON)
    assert 'by the file' in browser.evaluate("document.querySelector('#banners').innerText")


def test_when_diplex_is_gone_the_page_says_so_and_finds_it_again(browser, carried, gunicorn):
    """What was shown stays, marked as old; and a new diplex's history does not mix with that of the old one."""
    browser.expected = ('Failed to load resource', 'ERR_')
    wsgi = gunicorn()
    site, door = carried(one_pool('wsgi', wsgi))
    browser.open(door.url)
    shows(browser, '#state', 'ready')
    run = browser.evaluate('past.run')
    site.stop()
    shows(browser, '#banners', 'diplex cannot be reached since')
    shows(browser, '#state', 'unreachable')
    assert browser.evaluate("document.body.classList.contains('old')")
    assert 'sync' in browser.text('#pools') or 'wsgi' in browser.text('#pools'), 'what was shown stays'
    site.spawn()
    shows(browser, '#state', 'ready')
    browser.wait("!document.body.classList.contains('old') && document.getElementById('banners').innerText === ''", 'all to be well', SOON)
    assert browser.evaluate('past.run') != run


@plain_build
def test_actions_over_the_socket_are_asked_for_and_confirmed(browser, carried, gunicorn):
    """Nobody needs a token there, but no button stands about until it is wanted."""
    site, door = carried(one_pool('wsgi', gunicorn()))
    browser.open(door.url)
    shows(browser, '#servers', 'up')
    buttons = "[...document.querySelectorAll('.operator')].filter((e) => e.getClientRects().length).length"
    assert browser.evaluate(buttons) == 0
    browser.expected = ('400',)  # the question whether it may
    browser.click('#unlock')
    browser.wait(buttons + ' > 2', 'the buttons', SOON)
    browser.click('#servers .operator')
    assert 'Drain' in browser.text('#ask-title')
    browser.click('#ask-no')
    browser.wait("!document.getElementById('ask').open", 'the question to go')
    time.sleep(0.2)
    assert 'server_drained' not in site.stderr, 'what was not confirmed is not done'
    browser.click('#servers .operator')
    browser.click('#ask-yes')
    shows(browser, '#ask-answer', 'Done.')
    browser.click('#ask-no')
    shows(browser, '#servers', 'drained by hand')
    shows(browser, '#banners', 'No server of pool')
    browser.click('#servers .operator')
    browser.click('#ask-yes')
    shows(browser, '#ask-answer', 'Done.')
    site.wait_event('server_undrained')
    browser.click('#ask-no')
    browser.click('#reload')
    browser.click('#ask-yes')
    shows(browser, '#ask-answer', 'result: reloaded')
    browser.click('#ask-no')
    browser.click('.pool .operator')
    browser.click('#ask-writes')
    browser.click('#ask-yes')
    shows(browser, '#ask-answer', 'hold: unsafe')
    browser.click('#ask-no')
    shows(browser, '.pool-head', 'hold by hand: writes')
    browser.evaluate("document.getElementById('pools').focus()")
    tab_to(browser, "document.activeElement.matches('.pool .operator')", 'the button')
    assert browser.evaluate(FOCUS).startswith('Release')
    browser.press('Enter')
    assert browser.evaluate("document.activeElement.id") == 'ask-no', 'what changes nothing is what Enter would do'
    browser.press('Tab', 'Enter')
    shows(browser, '#ask-answer', 'hold: none')
    browser.press('Enter')
    browser.wait("!document.getElementById('ask').open", 'the answer to go')
    site.wait_event('pool_released')
    browser.click('#unlock')
    browser.wait(buttons + ' === 0', 'the buttons to go', SOON)


TOKEN = 'a-token-of-the-page-0123456789'


@pytest.fixture
def guarded(request, browser, diplex, gunicorn):
    """guarded(**admin): diplex whose admin listens on TCP too, and the address of its page."""

    def start(**admin):
        config = one_pool('wsgi', gunicorn(), pool={'slots': 2})
        site = diplex({**config, 'admin': {'socket': 'off', 'listen': '127.0.0.1:0', 'token': TOKEN, **admin}})
        request.addfinalizer(lambda: leave(browser))
        port = re.search(r'admin_listen=127\.0\.0\.1:(\d+)', site.wait_event(' ready '))[1]
        return site, f'http://127.0.0.1:{port}/'

    return start


@plain_build
def test_over_tcp_nothing_is_told_and_nothing_done_without_the_token(browser, guarded):
    """The page itself is anybody's. A wrong token is refused; the right one is kept in this tab and nowhere else."""
    site, url = guarded()
    browser.expected = ('401', '400')
    browser.open(url)
    shows(browser, '#banners', 'asks for the token')
    assert browser.text('#numbers') == ''
    browser.click('#banners button')
    browser.wait("document.getElementById('token-dialog').open", 'the question for the token')
    for token, answer in (('wrong', 'does not take this token'), ('wörng', 'printable'), (TOKEN, None)):
        browser.evaluate(f"document.getElementById('token').value = {json.dumps(token)}")
        browser.evaluate("document.getElementById('token').focus()")
        browser.press('Enter')
        if answer:
            shows(browser, '#token-error', answer)
    shows(browser, '.pool', '0 of 2 slots busy')
    assert browser.evaluate('[Object.values(localStorage), document.cookie, location.href].join()').count(TOKEN) == 0
    assert browser.evaluate('Object.values(sessionStorage)') == [TOKEN]
    assert browser.evaluate("document.getElementById('token').value") == ''
    browser.click('.pool .operator')
    browser.click('#ask-yes')
    shows(browser, '#ask-answer', 'hold: all')
    site.wait_event('pool_held')
    browser.click('#ask-no')
    browser.evaluate("{ const level = document.getElementById('level'); level.value = 'debug'; level.dispatchEvent(new Event('change')); }")
    browser.click('#ask-yes')
    shows(browser, '#ask-answer', 'Done.')
    browser.click('#ask-no')
    browser.click('#unlock')
    shows(browser, '#banners', 'asks for the token')
    assert browser.evaluate('Object.values(sessionStorage)') == []


@plain_build
def test_whoever_may_read_may_do_nothing_more(browser, guarded):
    site, url = guarded(read='open')
    browser.expected = ('401', '400')
    browser.open(url)
    shows(browser, '.pool', '0 of 2 slots busy')
    assert browser.evaluate("[...document.querySelectorAll('.operator')].every((e) => !e.getClientRects().length)")
    assert browser.evaluate("fetch('/hold?pool=app', {method: 'POST'}).then((answer) => answer.status)") == 401
    browser.click('#unlock')
    browser.wait("document.getElementById('token-dialog').open", 'the question for the token')
    assert 'pool_held' not in site.stderr


def test_a_door_that_a_reload_opens_has_the_history_too(diplex, gunicorn, directory):
    """Of the time when there was none."""
    config = one_pool('wsgi', gunicorn())
    site = diplex({**config, 'admin': 'off'})
    path = str(directory / 'admin.sock')
    site.reload({**config, 'admin': path})
    site.wait_event('reloaded')

    def history():
        with RawClient(path) as client:
            return client.ask('GET', '/history', {'Host': 'localhost'}).json()

    wait_until(lambda: len(history()['at_ms']) >= 2, SOON, 'two samples')
    assert [event['event'] for event in history()['events']][0] == 'ready'
