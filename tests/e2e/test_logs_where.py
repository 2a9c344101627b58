# SPDX-License-Identifier: MIT
"""Where both logs go, and that it can change while requests run: files that logrotate moves, syslog, systemd's journal.

No systemd runs here: its journal is a socket of the test's that takes datagrams in the native protocol, and `journald:` is
pointed at it. The receiver of syslog is a socket too, and rsyslogd where it is installed (Debian: rsyslog).
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading

import harness
import pytest
from harness import one_pool, run_diplex
from wire import wait_until

SYSLOG = re.compile(r'^<(\d+)>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d (\S+)\[(\d+)\]: (.*)$', re.S)
LOGROTATE = shutil.which('logrotate', path=os.environ.get('PATH', '') + ':/usr/sbin')
RSYSLOGD = shutil.which('rsyslogd', path=os.environ.get('PATH', '') + ':/usr/sbin')


def keep_answering(connection):
    while connection.read_request():
        connection.reply()


class Receiver:
    """A socket of datagrams with everything that came to it."""

    def __init__(self, path):
        self.path = path
        self.heard = []
        self.open()

    def open(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        os.chmod(self.path, 0o666)
        self.socket.settimeout(0.05)

    def close(self):
        self.socket.close()

    def take(self):
        with contextlib.suppress(TimeoutError, BlockingIOError):
            while True:
                self.heard.append(self.socket.recv(1 << 20).decode())
        return self.heard

    def wait(self, *words, count=1):
        def found():
            lines = [line for line in self.take() if all(word in line for word in words)]
            return lines if len(lines) >= count else None

        return wait_until(found, what=f'{words} in {self.heard}')


@pytest.fixture
def receiver(request, directory):
    def make(name):
        receiver = Receiver(directory / name)
        request.addfinalizer(receiver.close)
        return receiver

    return make


def lines_of(*paths):
    """The access log's entries, oldest file first; a line that is not whole is no JSON and fails here."""
    entries = []
    for path in paths:
        text = pathlib.Path(path).read_text()
        assert text == '' or text.endswith('\n'), f'{path} ends in the middle of a line'
        entries += [json.loads(line) for line in text.splitlines()]
    return entries


class Traffic:
    """Requests /0, /1, ... on kept connections until told to stop; `sent` is how many were answered."""

    def __init__(self, site):
        self.site, self.stopped, self.sent, self.wrong = site, threading.Event(), 0, []
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            with self.site.client() as client:
                while not self.stopped.is_set():
                    answer = client.ask('GET', f'/{self.sent}')
                    assert answer.status == 200
                    self.sent += 1
        except Exception as error:
            self.wrong.append(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join(30)
        assert not self.wrong, self.wrong

    def goes_on(self, more=50):
        goal = self.sent + more
        wait_until(lambda: self.sent >= goal or self.wrong, what='requests')


def logs_to(directory, **more):
    # A folder that is open to all: which user an unprivileged test runs as does not matter.
    return {'access_log': str(directory / 'access.log'), 'error_log': str(directory / 'error.log'), **more}


def wait_text(path, *words):
    def found():
        text = path.read_text() if path.exists() else ''
        return text if all(word in text for word in words) else None

    return wait_until(found, what=f'{words} in {path}')


# ---- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def spawned(diplex):
    """diplex whose own log is not on its standard error, so that its first words are waited for elsewhere."""

    def start(config, ready):
        site = diplex(config, start=False)
        site.start_and_wait(site.endpoint)
        ready()
        return site

    return start


def test_both_logs_go_to_files_for_few(spawned, scripted, directory):
    config = one_pool('asgi', scripted(keep_answering), log=logs_to(directory))
    site = spawned(config, lambda: wait_text(directory / 'error.log', ' ready '))
    assert site.get('/here').status == 200
    wait_text(directory / 'access.log', '/here')
    site.stop()
    own = (directory / 'error.log').read_text()
    assert ' from=control ' in own and own.splitlines()[-1].split()[2] == 'stopped'
    assert [entry['path'] for entry in lines_of(directory / 'access.log')] == ['/here']
    assert site.stdout == '' and ' ready ' not in site.stderr
    for name in ('access.log', 'error.log'):
        assert (directory / name).stat().st_mode & 0o037 == 0, 'nobody else may write, and others not read'


@pytest.mark.parametrize('wrong', ['missing/access.log', 'link.log', ''])
def test_a_log_that_cannot_be_opened_is_told_at_the_start(diplex, scripted, directory, wrong):
    (directory / 'link.log').symlink_to(directory / 'elsewhere.log')
    path = str(directory / wrong) if wrong else str(directory)
    site = diplex(one_pool('asgi', scripted(keep_answering), log={'access_log': path}), start=False)
    site.spawn()
    assert site.wait() == 1
    assert path in site.stderr and not (directory / 'elsewhere.log').exists()


def test_logs_move_with_a_reload_and_stay_where_they_are_when_it_is_refused(diplex, scripted, directory):
    server = scripted(keep_answering)
    site = diplex(one_pool('asgi', server))
    site.get('/first')
    site.wait_access(1, path='/first')
    site.reload(one_pool('asgi', server, log=logs_to(directory / 'missing')))
    site.wait_event('reload_failed', 'missing/access.log')
    site.get('/second')
    site.wait_access(1, path='/second')
    site.reload(one_pool('asgi', server, log=logs_to(directory)))
    wait_text(directory / 'error.log', ' reloaded ')
    site.get('/third')
    wait_text(directory / 'access.log', '/third')
    site.reload(one_pool('asgi', server))
    site.wait_event(' reloaded ')
    site.get('/fourth')
    site.wait_access(1, path='/fourth')
    assert [entry['path'] for entry in lines_of(directory / 'access.log')] == ['/third']
    assert [entry['path'] for entry in site.access()] == ['/first', '/second', '/fourth']


def test_a_new_data_process_writes_to_the_same_files(diplex, scripted, directory):
    site = diplex(one_pool('asgi', scripted(keep_answering), log={'access_log': str(directory / 'access.log')}))
    site.deaths_are_expected = True
    site.get('/before')
    wait_text(directory / 'access.log', '/before')
    (data,) = site.children()
    os.kill(data, signal.SIGKILL)
    site.wait_event(' data_ready ')
    site.get('/after')
    wait_text(directory / 'access.log', '/before', '/after')


def open_files(pid):
    links = pathlib.Path(f'/proc/{pid}/fd')
    return {os.path.realpath(links / number) for number in os.listdir(links)}


def test_files_that_were_moved_are_opened_anew_and_no_line_is_lost(spawned, scripted, directory):
    config = one_pool('asgi', scripted(keep_answering), log=logs_to(directory))
    site = spawned(config, lambda: wait_text(directory / 'error.log', ' ready '))
    old = [directory / f'access.log.{number}' for number in range(5)]
    with Traffic(site) as traffic:
        for number, moved in enumerate(old):
            traffic.goes_on()
            wait_until(lambda: (directory / 'access.log').stat().st_size > 0, what='lines')
            (directory / 'access.log').rename(moved)
            (directory / 'error.log').rename(directory / f'error.log.{number}')
            site.signal(signal.SIGUSR1)
            wait_text(directory / 'error.log', ' logs_reopened ')
            for pid in (site.pid, *site.children()):
                wait_until(lambda: not {str(moved), str(directory / f'error.log.{number}')} & open_files(pid),
                           what='old files closed')
        traffic.goes_on()
    site.stop()
    entries = lines_of(*old, directory / 'access.log')
    assert [entry['path'] for entry in entries] == [f'/{number}' for number in range(traffic.sent)]
    assert all(lines_of(path) for path in old), 'there was traffic in between'


def test_a_file_that_cannot_be_opened_anew_goes_on(diplex, scripted, directory):
    folder = directory / 'logs'
    folder.mkdir()
    admin = str(directory / 'admin.sock')
    log = {'access_log': str(folder / 'access.log')}
    site = diplex(one_pool('asgi', scripted(keep_answering), log=log, admin=admin))
    site.get('/first')
    wait_text(folder / 'access.log', '/first')
    folder.rename(directory / 'moved')
    site.signal(signal.SIGUSR1)
    site.wait_event('log_reopen_failed', 'log=access', 'logs/access.log')
    done = run_diplex('reopen', '-a', admin)
    assert done.returncode == 1 and 'the old one goes on' in done.stderr and 'access.log' in done.stderr
    site.get('/second')
    wait_text(directory / 'moved' / 'access.log', '/second')
    folder.mkdir()
    done = run_diplex('reopen', '-a', admin)
    assert done.returncode == 0 and done.stdout == 'reopened\n'
    site.get('/third')
    wait_text(folder / 'access.log', '/third')


@pytest.mark.skipif(LOGROTATE is None, reason='logrotate is not installed (Debian: logrotate)')
@pytest.mark.parametrize('how', ['create', 'copytruncate'])
def test_logrotate_by_the_file_that_is_shipped(spawned, scripted, directory, how):
    """config/logrotate/diplex with this test's paths. `copytruncate` needs no reopening, and loses what is written between
    its copy and its cut, as logrotate(8) says: there it is enough that lines stay whole and the file does not grow a hole."""
    folder, admin = directory / 'logs', directory / 'admin.sock'
    folder.mkdir(mode=0o755)
    log = logs_to(folder)
    site = spawned(one_pool('asgi', scripted(keep_answering), log=log, admin=str(admin)),
                   lambda: wait_text(folder / 'error.log', ' ready '))  # fmt: skip
    text = (harness.ROOT / 'config/logrotate/diplex').read_text()
    assert '/var/log/diplex/*.log' in text and '    create 0640\n' in text
    text = text.replace('/var/log/diplex/', f'{folder}/').replace('create 0640', 'create 0640' if how == 'create' else how)
    text = text.replace('    compress\n', '').replace('    delaycompress\n', '')
    text = text.replace('diplex reopen -c /etc/diplex/diplex.yaml', f'{harness.DIPLEX} reopen -c {site.config_path}')
    (directory / 'logrotate.conf').write_text(text)
    (directory / 'logrotate.conf').chmod(0o644)
    with Traffic(site) as traffic:
        for _ in range(3):
            traffic.goes_on()
            wait_until(lambda: (folder / 'access.log').stat().st_size > 0, what='lines: empty files are not rotated')
            done = subprocess.run([LOGROTATE, '--force', '--state', directory / 'state', directory / 'logrotate.conf'],
                                  capture_output=True, text=True, timeout=30)  # fmt: skip
            assert done.returncode == 0 and not done.stderr, done.stderr
        traffic.goes_on()
    site.stop()
    entries = lines_of(*(folder / f'access.log.{n}' for n in (3, 2, 1)), folder / 'access.log')
    paths = [int(entry['path'][1:]) for entry in entries]
    if how == 'create':
        assert paths == list(range(traffic.sent)), 'each request once, in its order'
    else:
        assert paths == sorted(set(paths)) and paths[-1] == traffic.sent - 1
    assert '\0' not in (folder / 'access.log').read_text()
    assert (folder / 'error.log').exists() and (folder / 'error.log.1').exists()


def counter(admin, name):
    return json.loads(run_diplex('status', '-a', admin, '--json').stdout)['counters'][name]


def test_a_file_without_room_stops_no_traffic_and_is_told_of_when_there_is_some(diplex, scripted, directory):
    """/dev/full never has room; a reload names a file that does."""
    server, admin = scripted(keep_answering), str(directory / 'admin.sock')
    site = diplex(one_pool('asgi', server, log={'access_log': '/dev/full'}, admin=admin))
    for number in range(5):
        assert site.get(f'/{number}').status == 200
    wait_until(lambda: site.get('/more').status == 200 and counter(admin, 'log_lines_dropped_total') >= 5, what='lost lines')
    assert 'log_lines_dropped' not in site.stderr, 'it does not work yet'
    site.reload(one_pool('asgi', server, log={'access_log': str(directory / 'access.log')}, admin=admin))
    site.wait_event(' reloaded ')

    def goes_on():
        assert site.get('/again').status == 200
        return (directory / 'access.log').stat().st_size > 0

    wait_until(goes_on, what='lines in the file')
    told = site.wait_event('log_lines_dropped', 'log=access')
    assert int(told.rpartition('lines=')[2]) >= 5


@pytest.mark.skipif(harness.VALGRIND, reason='the tool itself is not started again by an exec')
def test_files_over_an_upgrade(diplex, scripted, directory):
    """A data process on its way out writes to the new file after a rotation, too; and where a file cannot be opened by
    the program that took over, it goes on serving."""
    goes_on = threading.Event()

    def script(connection):
        while request := connection.read_request():
            if request.target == '/long':
                goes_on.wait(30)
            connection.reply()

    folder, admin = directory / 'logs', str(directory / 'admin.sock')
    folder.mkdir()
    site = diplex(one_pool('asgi', scripted(script), log={'access_log': str(folder / 'access.log')}, admin=admin))
    with site.client() as client:
        client.request('GET', '/long')
        wait_until(lambda: counter(admin, 'requests_running') == 1, what='the request')
        done = run_diplex('upgrade', '-a', admin)
        assert done.returncode == 0, done.stderr
        (folder / 'access.log').rename(folder / 'access.log.1')
        assert run_diplex('reopen', '-a', admin).returncode == 0
        goes_on.set()
        assert client.response().status == 200
    wait_text(folder / 'access.log', '/long')
    folder.rename(directory / 'moved')
    done = run_diplex('upgrade', '-a', admin)
    assert done.returncode == 0, done.stderr
    site.wait_event('log_reopen_failed', 'log=access', 'standard stream')
    assert site.get('/after').status == 200
    site.wait_access(1, path='/after')
    folder.mkdir()
    assert run_diplex('reopen', '-a', admin).returncode == 0
    assert site.get('/again').status == 200
    wait_text(folder / 'access.log', '/again')


# ---- syslog --------------------------------------------------------------------------------------------------------


def test_both_logs_to_syslog(spawned, scripted, receiver):
    syslog = receiver('log')
    log = {'access_log': f'syslog:{syslog.path}', 'error_log': f'syslog:{syslog.path}', 'facility': 'local3', 'tag': 'edge'}
    site = spawned(one_pool('asgi', scripted(keep_answering), log=log), lambda: syslog.wait('ready from=control'))
    site.get('/here')
    (access,) = syslog.wait('"path":"/here"')
    site.stop()
    syslog.wait('stopped from=control code=0')
    (data,) = {SYSLOG.match(access).group(3)}
    priority, tag, pid, text = SYSLOG.match(access).groups()
    assert (int(priority), tag, pid) == (19 * 8 + 6, 'edge', data) and json.loads(text)['path'] == '/here'
    for line in syslog.heard:
        assert SYSLOG.match(line), line
    ready = SYSLOG.match(next(line for line in syslog.heard if 'ready from=control' in line))
    assert int(ready.group(1)) == 19 * 8 + 6 and ready.group(3) == str(site.pid)
    assert ready.group(4).startswith('ready from=control '), 'time and level are syslog\'s'


def test_syslog_that_was_away_gets_what_waited(diplex, scripted, receiver):
    syslog = receiver('log')
    site = diplex(one_pool('asgi', scripted(keep_answering), log={'access_log': f'syslog:{syslog.path}'}))
    site.get('/first')
    syslog.wait('/first')
    syslog.close()
    for number in range(20):
        assert site.get(f'/away/{number}').status == 200
    syslog.open()
    site.get('/last')
    syslog.wait('"path":"/last"')
    for number in range(20):
        syslog.wait(f'"path":"/away/{number}"')


def test_a_start_without_syslog_is_told_and_goes_on(diplex, scripted, receiver, directory):
    site = diplex(one_pool('asgi', scripted(keep_answering), log={'access_log': f'syslog:{directory}/log'}))
    site.wait_event('log_unreachable', 'log=access', f'to={directory}/log')
    assert site.get('/early').status == 200
    receiver('log').wait('"path":"/early"')


def test_a_syslog_that_does_not_read_stops_no_traffic_and_is_told_of_later(diplex, scripted, receiver, directory):
    syslog = receiver('log')
    admin = str(directory / 'admin.sock')
    log = {'access_log': f'syslog:{syslog.path}'}
    site = diplex(one_pool('asgi', scripted(keep_answering), log=log, admin=admin))
    with site.client() as client:
        for number in range(900):
            assert client.ask('GET', f'/{number}/' + 'x' * 1000).status == 200
    wait_until(lambda: counter(admin, 'log_lines_dropped_total') > 0, what='dropped lines')
    with site.client() as client:
        for _ in range(100):
            syslog.take()
            client.ask('GET', '/now')
            if 'log_lines_dropped' in site.stderr:
                break
    told = site.wait_event('log_lines_dropped', 'log=access')
    assert re.search(r' warn log_lines_dropped from=data log=access lines=\d+$', told)


@pytest.mark.skipif(RSYSLOGD is None, reason='rsyslogd is not installed (Debian: rsyslog)')
def test_rsyslogd_reads_what_is_sent(request, diplex, scripted, directory):
    (directory / 'rsyslog.conf').write_text(
        f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{directory}/log" CreatePath="on")\n'
        'template(name="t" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%programname%|%procid%|%msg%\\n")\n'
        f'*.* action(type="omfile" file="{directory}/syslog" template="t" fileCreateMode="0644")\n'
    )
    command = [RSYSLOGD, '-n', '-f', directory / 'rsyslog.conf', '-i', directory / 'pid']
    with (directory / 'rsyslogd.out').open('wb') as out:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    request.addfinalizer(lambda: (daemon.kill(), daemon.wait(10)))
    wait_until(lambda: (directory / 'log').exists() or daemon.poll() is not None, what='rsyslogd')
    if daemon.poll() is not None:
        pytest.skip(f'rsyslogd does not run here: {(directory / "rsyslogd.out").read_text()}')
    to = f'syslog:{directory}/log'
    site = diplex(one_pool('asgi', scripted(keep_answering), log={'access_log': to}))
    site.get('/here')
    text = wait_text(directory / 'syslog', '"path":"/here"')
    (line,) = [line for line in text.splitlines() if '/here' in line]
    facility, severity, program, pid, message = line.split('|', 4)
    assert (facility, severity, program) == ('daemon', 'info', 'diplex') and pid.isdigit()
    assert json.loads(message)['path'] == '/here'


# ---- systemd's journal ---------------------------------------------------------------------------------------------


def fields_of(datagram):
    """The native protocol: NAME=value on a line each. Values with line breaks have another form, which is not needed."""
    pairs = [line.split('=', 1) for line in datagram.removesuffix('\n').split('\n')]
    assert all(re.fullmatch(r'[A-Z][A-Z0-9_]*', name) for name, _ in pairs), datagram
    return dict(pairs)


def test_both_logs_to_journald(spawned, scripted, receiver):
    journal = receiver('journal')
    to = f'journald:{journal.path}'
    config = one_pool('asgi', scripted(keep_answering), log={'access_log': to, 'error_log': to})
    site = spawned(config, lambda: journal.wait('DIPLEX_EVENT=ready'))
    site.get('/here')
    (access,) = journal.wait('DIPLEX_EVENT=request')
    fields = fields_of(access)
    entry = json.loads(fields['MESSAGE'])
    assert entry['path'] == '/here' and fields['PRIORITY'] == '6' and fields['SYSLOG_IDENTIFIER'] == 'diplex'
    assert fields['DIPLEX_STATUS'] == '200' and fields['DIPLEX_POOL'] == 'app' and fields['DIPLEX_ID'] == entry['id']
    site.stop()
    journal.wait('DIPLEX_EVENT=stopped')
    for datagram in journal.heard:
        fields = fields_of(datagram)
        assert fields['DIPLEX_EVENT'] and not fields['MESSAGE'].startswith('20'), 'the time is the journal\'s'


def test_on_the_journals_own_stream_lines_carry_their_level(request, diplex, scripted):
    """systemd says by JOURNAL_STREAM that standard error is the journal's, which takes a line's level from `<N>`."""
    ours, theirs = socket.socketpair()
    request.addfinalizer(ours.close)
    status = os.fstat(theirs.fileno())
    stream = {'JOURNAL_STREAM': f'{status.st_dev}:{status.st_ino}'}
    site = diplex(one_pool('asgi', scripted(keep_answering)), environment=stream, start=False)
    with site.stdout_path.open('ab') as out:
        site.process = subprocess.Popen(site.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs.fileno(),
                                        env=site.environment, start_new_session=True)  # fmt: skip
    theirs.close()
    ours.settimeout(10)
    text = ''
    while '<6>ready from=control ' not in text:
        more = ours.recv(65536).decode()
        assert more, text
        text += more
    site.stop()
    while more := ours.recv(65536).decode():
        text += more
    assert all(re.match(r'<[3467]>[a-z_]+ from=(control|data) ', line) for line in text.splitlines()), text
