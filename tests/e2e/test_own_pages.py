# SPDX-License-Identifier: MIT
"""Pages of one's own in place of diplex's words, told apart by status, class, form and route, read anew by a reload, and
faults of theirs told with their place; and maintenance: by hand and by the file, for everything, a pool or a route."""

import contextlib
import json
import os
import threading

import pytest

from harness import VALGRIND, one_pool, run_diplex
from wire import RawClient, wait_until

BROWSER = 'text/html,application/xhtml+xml,*/*;q=0.8'
AXIOS = 'application/json, text/plain, */*'


def answer_all(connection):
    while request := connection.read_request():
        if '/mine' in request.target:
            connection.reply(b'the application says no', '404 Not Found')
        else:
            connection.reply()


@pytest.fixture
def pages(directory):
    """pages(name, text): writes a page, and returns its path."""

    def write(name, text):
        path = directory / name
        path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
        return str(path)

    return write


def form_of(answer):
    return answer.status, answer.get('content-type'), answer.body.decode()


def test_pages_by_status_class_and_form(diplex, scripted, pages):
    config = one_pool(
        'wsgi', scripted(answer_all),
        routes={'/app/': 'app', '/shop/': {'pool': 'app', 'body': 10, 'error_pages': {'4xx': pages('shop.html', '<b>shop {status}</b>')}}},
        limits={'body': 10},
        error_pages={
            '404': [pages('404.html', '<i>{status} {reason} {request_id}</i> a{color:red} {unknown} {'),
                    pages('404.json', '{"id":"{request_id}","later":{retry_after}}')],
            '4XX': pages('4xx.html', '<p>{heading}</p>'),
        },
    )  # fmt: skip
    site = diplex(config)
    status, kind, text = form_of(site.get('/nowhere', {'Accept': BROWSER, 'X-Request-ID': 'x'}))
    identity = site.wait_access(1, path='/nowhere')[0]['id']
    assert (status, kind) == (404, 'text/html; charset=utf-8')
    assert text == f'<i>404 Not Found {identity}</i> a{{color:red}} {{unknown}} {{'
    answer = site.get('/nowhere', {'Accept': AXIOS})
    assert answer.get('content-type') == 'application/json' and answer.json()['later'] is None
    assert answer.get('content-security-policy') is None and answer.get('cache-control') == 'no-store'
    # who does not care gets a page of the site's own rather than words of diplex
    assert site.get('/nowhere', {'Accept': '*/*'}).get('content-type') == 'application/json'
    assert site.get('/nowhere', {'Accept': 'text/plain'}).body.startswith(b'404 Not Found\n')
    # by class, and by route before it
    assert form_of(site.ask('POST', '/app/', {'Accept': BROWSER}, b'x' * 11))[2] == '<p>This is too large</p>'
    assert form_of(site.ask('POST', '/shop/', {'Accept': BROWSER}, b'x' * 11))[2] == '<b>shop 413</b>'
    assert site.ask('POST', '/app/', {'Accept': AXIOS}, b'x' * 11).get('content-type') == 'application/problem+json'
    # what the application says is never replaced
    assert site.get('/app/mine', {'Accept': BROWSER}).body == b'the application says no'
    head = site.ask('HEAD', '/nowhere', {'Accept': BROWSER})
    assert head.body == b'' and int(head.get('content-length')) == len(text)


def test_a_large_page_is_whole(diplex, scripted, pages):
    text = '<p>' + 'x' * 200_000 + '{status}' + 'y' * 50_000 + '{status}{status}</p>'
    site = diplex(one_pool('wsgi', scripted(answer_all), routes={'/app/': 'app'}, error_pages={'404': pages('large.html', text)}))
    with site.client() as client:
        for _ in range(3):
            assert client.ask('GET', '/nowhere').body.decode() == text.replace('{status}', '404')
        assert client.ask('GET', '/app/').body == b'ok'


def test_a_reload_reads_pages_anew_and_a_fault_changes_nothing(diplex, scripted, pages, directory):
    def config(path):
        return one_pool('wsgi', server, routes={'/app/': 'app'}, error_pages={'404': path})

    server = scripted(answer_all)
    path = pages('404.html', 'first')
    site = diplex(config(path))
    assert site.get('/nowhere').body == b'first'
    pages('404.html', 'second')
    assert site.get('/nowhere').body == b'first', 'only a reload reads it'
    site.reload()
    site.wait_event(' reloaded ', count=1)
    wait_until(lambda: site.get('/nowhere').body == b'second', what='the second page')
    os.unlink(path)
    site.reload()
    event = site.wait_event('reload_failed', '404.html')
    assert 'diplex.yaml:' in event and 'No such file or directory' in event
    assert site.get('/nowhere').body == b'second'
    os.kill(site.children()[0], 9)  # a new data process gets what is in force, whatever has become of the files
    site.deaths_are_expected = True
    site.wait_event('data_ready')
    assert site.get('/nowhere').body == b'second'
    for name, content, why in (
        ('empty.html', '', 'is empty'),
        ('binary.html', b'\xff\xfe', 'is not UTF-8'),
        ('huge.html', 'x' * (256 * 1024 + 1), 'larger than 256KB'),
    ):
        site.write_config(config(pages(name, content)))
        checked = run_diplex('check', '-q', '-c', site.config_path)
        assert checked.returncode == 2 and why in checked.stderr and f'{name}' in checked.stderr
    os.mkfifo(directory / 'pipe.html')
    for path, why in ((directory / 'pipe.html', 'not an ordinary file'), (directory / 'none.html', 'No such file'), (directory, 'ends in .html')):
        site.write_config(config(str(path)))
        checked = run_diplex('check', '-q', '-c', site.config_path)
        assert checked.returncode == 2 and why in checked.stderr and ':1' in checked.stderr
    site.write_config(config(pages('large.html', 'x' * (256 * 1024))))
    assert run_diplex('check', '-c', site.config_path).returncode == 0


# --- maintenance ---


@pytest.fixture
def admin(directory):
    return str(directory / 'admin.sock')


def switch(site, *words, code=0):
    done = run_diplex('maintenance', *words, '-c', site.config_path)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def state(site):
    return json.loads(switch(site))


def test_maintenance_of_everything_a_pool_or_a_route(diplex, scripted, pages, admin):
    server = scripted(answer_all)
    config = {
        'admin': admin,
        'pools': {name: {'kind': 'wsgi', 'servers': [server.address], 'hold': 'off'} for name in ('one', 'two')},
        'routes': {'/': 'one', '/shop/': 'one', '/two/': {'pool': 'two', 'maintenance': {'status': 500, 'retry_after': '0'}}},
        'maintenance': {'file': [pages('m.html', '<p>back in {retry_after} s</p>'), pages('m.txt', 'be patient\n')], 'retry_after': '90s'},
    }
    site = diplex(config)
    assert state(site) == {'switched_on': [], 'on_by_file': []}

    def status(target):
        return site.get(target).status

    assert [status(target) for target in ('/', '/shop/x', '/two/')] == [200, 200, 200]
    before = len(server.requests)
    switch(site, 'on')
    answer = site.get('/', {'Accept': BROWSER})
    assert form_of(answer) == (503, 'text/html; charset=utf-8', '<p>back in 90 s</p>') and answer.get('retry-after') == '90'
    assert form_of(site.get('/', {'Accept': 'text/plain'}))[2] == 'be patient\n'
    problem = site.get('/', {'Accept': AXIOS}).json()
    assert problem['retry_after'] == 90 and 'being worked on' not in problem['title'] and 'It will be back soon.' in problem['detail']
    answer = site.get('/two/')
    assert answer.status == 500 and answer.get('retry-after') is None
    with site.client() as client:  # no body is read, and nobody is told to send one
        client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n')
        answer = client.response('POST')
        assert answer.status == 503 and answer.informational == []
    with site.client() as client:  # an event stream comes back by itself when it is told nothing
        client.send('GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n')
        assert client.read_until_close() == b''
    assert site.wait_access(1, outcome='events_later')[0]['reason'] == 'maintenance'
    assert site.wait_access(1, outcome='maintenance', status=500)
    assert len(server.requests) == before
    switch(site, 'off')
    assert [status(target) for target in ('/', '/shop/x', '/two/')] == [200, 200, 200]
    switch(site, 'on', '/shop')  # as the route `/shop/`
    assert state(site)['switched_on'] == ['/shop/']
    assert [status(target) for target in ('/', '/shop/x', '/two/')] == [200, 503, 200]
    switch(site, 'on', 'two')
    assert [status(target) for target in ('/', '/shop/x', '/two/')] == [200, 503, 500]
    # over a reload and the death of data
    site.reload()
    site.wait_event(' reloaded ')
    assert [status(target) for target in ('/', '/shop/x', '/two/')] == [200, 503, 500]
    os.kill(site.children()[0], 9)
    site.deaths_are_expected = True
    site.wait_event('data_ready')
    assert [status(target) for target in ('/', '/shop/x', '/two/')] == [200, 503, 500]
    switch(site, 'off', '/shop/')
    switch(site, 'off', 'two')
    assert [status(target) for target in ('/', '/shop/x', '/two/')] == [200, 200, 200]
    assert '/shop/' in switch(site, 'on', '/nothing/', code=2), 'what there is'
    switch(site, 'perhaps', code=2)
    assert state(site) == {'switched_on': [], 'on_by_file': []}
    site.wait_event('maintenance_on', 'of=two')
    site.wait_event('maintenance_off', 'of=*')


def test_maintenance_by_the_file_and_who_passes(diplex, scripted, admin):
    def config(**routes):
        return one_pool(
            'asgi', server, admin=admin, trusted_proxies=['loopback'],
            routes={'/': {'pool': 'app', **routes}, '/open/': {'pool': 'app', 'maintenance': {'on': 'no'}}},
            maintenance={'on': 'yes', 'allow': ['192.0.2.0/24', '2001:db8::/32']},
        )  # fmt: skip

    server = scripted(answer_all)
    site = diplex(config())
    for client, status in (('192.0.2.77', 200), ('2001:db8::1', 200), ('198.51.100.1', 503), (None, 503)):
        assert site.get('/', {'X-Forwarded-For': client} if client else None).status == status
    assert site.get('/open/').status == 200
    assert state(site) == {'switched_on': [], 'on_by_file': ['/']}
    answer = site.get('/')
    assert answer.get('retry-after') == '120' and b'Please try again in 2 minutes.' in answer.body
    site.reload(config(maintenance={'on': 'no'}))
    site.wait_event(' reloaded ')
    wait_until(lambda: site.get('/').status == 200, what='the end of maintenance')


def test_switching_under_load_fails_no_other_request(diplex, scripted, admin):
    """One route goes in and out of maintenance; the other one's requests, and those that run, do not notice."""
    server = scripted(answer_all)
    site = diplex(one_pool('wsgi', server, admin=admin, workers=2, routes={'/': 'app', '/shop/': 'app'}))
    done, strange = threading.Event(), []

    def keep_asking(target, allowed):
        with site.client() as client:
            while not done.is_set():
                status = client.ask('GET', target).status
                if status not in allowed:
                    strange.append((target, status))

    threads = [threading.Thread(target=keep_asking, args=args) for args in (('/', {200}), ('/', {200}), ('/shop/', {200, 503}))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            switch(site, 'on', '/shop/')
            assert site.get('/shop/').status == 503
            switch(site, 'off', '/shop/')
            assert site.get('/shop/').status == 200
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert strange == []


def test_a_request_that_runs_finishes(diplex, scripted, admin):
    go_on = threading.Event()

    def slow(connection):
        while connection.read_request():
            go_on.wait(20)
            connection.reply(b'done')

    site = diplex(one_pool('wsgi', scripted(slow), admin=admin))
    with site.client() as client:
        client.request('GET', '/slow')
        status = lambda: json.loads(run_diplex('status', '--json', '-c', site.config_path).stdout)  # noqa: E731
        wait_until(lambda: status()['pools'][0]['servers'][0]['active'] == 1, what='the request to run')
        switch(site, 'on')
        assert site.get('/').status == 503
        assert status()['maintenance'] == {'switched_on': ['*'], 'on_by_file': []}
        go_on.set()
        assert client.response().body == b'done'


def test_who_comes_through_a_unix_socket_may_pass(diplex, scripted, directory):
    front = str(directory / 'front.sock')
    config = one_pool('wsgi', scripted(answer_all), listen=['@LISTEN@', f'unix:{front}'], maintenance={'on': 'yes', 'allow': 'unix'})
    site = diplex(config)
    with RawClient(front) as client:
        assert client.ask('GET', '/').status == 200
    assert site.get('/').status == 503


def told(site):
    """What `diplex status` says of it to people."""
    done = run_diplex('status', '-c', site.config_path)
    assert done.returncode == 0, done.stderr
    return [line.removeprefix('closed').strip() for line in done.stdout.splitlines() if line.startswith('closed')]


def test_it_is_told_to_people(diplex, scripted, admin):
    site = diplex(
        one_pool(
            'wsgi', scripted(answer_all), admin=admin, maintenance={'status': 500, 'allow': '192.0.2.1'}, trusted_proxies='loopback',
            routes={'/': 'app', '/shop/': {'pool': 'app', 'maintenance': {'on': 'yes'}}},
        )
    )  # fmt: skip
    assert told(site) == ['maintenance of /shop/, by the file']
    switch(site, 'on', 'app')
    switch(site, 'on')
    byhand, byfile = told(site)
    assert byhand == 'maintenance of app, everything, by hand: `diplex maintenance off` ends it' and '/shop/' in byfile

    def explained(target, *options, code):
        done = run_diplex('explain', 'GET', target, '-c', site.config_path, *options)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    said = explained('/shop/x', code=1)
    assert 'maintenance: on' in said and '127.0.0.1, is not in `allow`' in said and '500 Internal Server Error, from diplex itself' in said
    for options in (('-f', '192.0.2.1'), ('-H', 'X-Forwarded-For: 192.0.2.1')):
        said = explained('/shop/x', *options, code=0)
        assert '192.0.2.1, is in `allow`, and passes' in said and 'sent to the server' in said
    assert 'maintenance' not in explained('/', code=0), 'what is on by hand is not in the file'


@pytest.mark.skipif(VALGRIND, reason='the tool itself is not started again by an exec')
def test_what_was_switched_by_hand_goes_on_after_an_upgrade(diplex, scripted, admin):
    site = diplex(one_pool('wsgi', scripted(answer_all), admin=admin, routes={'/': 'app', '/shop/': 'app', '/open/': 'app'}))
    switch(site, 'on', '/shop/')
    for _ in range(2):
        done = run_diplex('upgrade', '-c', site.config_path)
        assert done.returncode == 0, done.stderr
        assert state(site) == {'switched_on': ['/shop/'], 'on_by_file': []}
        assert (site.get('/shop/').status, site.get('/').status) == (503, 200)
    switch(site, 'off', '/shop/')
    assert state(site)['switched_on'] == [] and site.get('/shop/').status == 200
    switch(site, 'on')
    assert run_diplex('upgrade', '-c', site.config_path).returncode == 0
    assert state(site)['switched_on'] == ['*'] and site.get('/open/').status == 503
    switch(site, 'off')
    assert [site.get(target).status for target in ('/', '/shop/', '/open/')] == [200, 200, 200]
