# SPDX-License-Identifier: MIT
"""`diplex init`: from nothing, and from compose files as projects have them. Whatever it writes passes `diplex check`."""

import os
import random
import subprocess
import textwrap

import pytest
from harness import DIPLEX, SANITIZER_OPTIONS, run_diplex


def lay_out(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip('\n'))


def init(folder, *arguments, **environment):
    plain = {k: v for k, v in os.environ.items() if k not in ('PORT', 'WEB_CONCURRENCY')}
    return subprocess.run(
        [str(DIPLEX), 'init', *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**plain, **SANITIZER_OPTIONS, **environment}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def settings(text):
    """What is in force of it: the lines without their comments."""
    lines = [line.split('#')[0].rstrip() for line in text.splitlines()]
    return '\n'.join(line for line in lines if line)


def made(folder, files, *arguments, **environment):
    """(what is written, what is said) of a project, checked."""
    lay_out(folder, files)
    done = init(folder, '--stdout', *arguments, **environment)
    assert done.returncode == 0, done.stderr
    (folder / 'out.yaml').write_text(done.stdout)
    checked = run_diplex('check', '-q', '-c', folder / 'out.yaml')
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, ''), done.stdout
    return done.stdout, done.stderr


# ---- from nothing --------------------------------------------------------------------------------------------------


def test_from_nothing(directory):
    done = init(directory)
    assert (done.returncode, done.stdout) == (0, '') and done.stderr == 'wrote diplex.yaml\n'
    written = (directory / 'diplex.yaml').read_text()
    assert run_diplex('check', '-q', '-c', directory / 'diplex.yaml').returncode == 0
    assert settings(written).split('\n')[0] == 'listen: :8080' and written.count('#') > 8
    explained = run_diplex('explain', 'GET', '/async/x', '-c', directory / 'diplex.yaml').stdout
    assert '127.0.0.1:8001' in explained


def test_nothing_is_overwritten_unasked(directory):
    (directory / 'diplex.yaml').write_text('mine')
    refused = init(directory)
    assert refused.returncode == 1 and '--force' in refused.stderr
    assert (directory / 'diplex.yaml').read_text() == 'mine'
    shown = init(directory, '--stdout')
    assert shown.returncode == 0 and shown.stderr == '' and (directory / 'diplex.yaml').read_text() == 'mine'
    assert init(directory, '-o', 'other.yaml').returncode == 0
    assert (directory / 'other.yaml').read_text() == shown.stdout
    assert init(directory, '--force').returncode == 0
    assert (directory / 'diplex.yaml').read_text() == shown.stdout
    assert init(directory, '-o', 'no/such/folder.yaml').returncode == 1


def test_what_is_no_compose_file(directory):
    lay_out(directory, {'a/compose.yaml': 'services: {db: {image: postgres}}', 'bad.yaml': 'a: [', 'other.yaml': 'a: b'})
    assert init(directory, 'nowhere').returncode == 1
    assert 'bad.yaml:2:1: not YAML' in init(directory, 'bad.yaml').stderr
    assert 'no `services`' in init(directory, 'other.yaml').stderr
    named = init(directory, 'a')
    assert named.returncode == 1 and 'no service of compose.yaml runs gunicorn' in named.stderr
    (directory / 'empty').mkdir()
    assert init(directory, 'empty').returncode == 1
    found = init(directory / 'a')
    assert found.returncode == 0 and 'so it is the smallest file' in found.stderr, 'it was only found there'
    lay_out(directory, {'d.yaml': 'services: {web: {command: python manage.py runserver 0.0.0.0:8000}}'})
    assert 'd.yaml:1: service web runs manage.py runserver' in init(directory, 'd.yaml').stderr


# ---- from compose files --------------------------------------------------------------------------------------------

BOTH_HALVES = {
    'docker-compose.yml': """
        x-django: &django
          build: .
          environment: {FORWARDED_ALLOW_IPS: "*"}
          depends_on: [db]
        services:
          db:
            image: postgres:16
          web:
            <<: *django
            command: >
              gunicorn project.wsgi:application --bind 0.0.0.0:${PORT:-8000}
              --workers 3 --threads=4 --timeout 120 --keep-alive 5
            healthcheck:
              test: ["CMD", "curl", "-fsS", "-H", "Host: shop.example.com", "http://localhost:8000/healthz/"]
          web-async:
            <<: *django
            command: sh -c "python manage.py migrate && exec uvicorn project.asgi:application --host 0.0.0.0 --port 8001"
          worker:
            <<: *django
            command: celery -A project worker
        """,
}

BOTH_HALVES_WRITTEN = """\
listen: :8080
pools:
  web:
    kind: wsgi
    servers: web:8000
    slots: 12
    timeouts: {response: 125s}
    keepalive: 4s
    health: {path: /healthz/, host: shop.example.com}
  web-async:
    kind: asgi
    servers: web-async:8001
routes:
  /async/: web-async
  /: web"""


def test_both_halves(directory):
    written, said = made(directory, BOTH_HALVES)
    assert settings(written) == BOTH_HALVES_WRITTEN and said == ''
    assert '# 3 workers x 4 threads, --workers, --threads (docker-compose.yml:' in written
    assert 'web:8005' in made(directory, {}, PORT='8005')[0]
    assert 'web:8006' in made(directory, {'.env': 'PORT=8006\n'})[0]
    moved, _ = made(directory, {}, '../' + directory.name + '/docker-compose.yml')
    assert 'web:8006' in moved, 'the folder of the file counts'


START_SCRIPTS = {
    'docker-compose.production.yml': """
        services:
          django: &django
            build:
              context: .
              dockerfile: ./compose/production/django/Dockerfile
            image: site_production_django
            env_file:
              - ./.envs/.production/.django
              - path: ./.envs/.production/.more
            command: /start
          traefik:
            build: {context: ., dockerfile: ./compose/production/traefik/Dockerfile}
          celeryworker:
            <<: *django
            command: /start-celeryworker
        """,
    'compose/production/django/Dockerfile': """
        FROM python:3.12 AS build
        RUN pip install gunicorn uvicorn
        FROM python:3.12
        # scripts
        COPY --chown=django:django ./compose/production/django/entrypoint /entrypoint
        COPY --chown=django:django ./compose/production/django/start /start
        COPY --chown=django:django ./compose/production/django/worker /start-celeryworker
        COPY --from=build /usr/lib/python3 /usr/lib/python3
        COPY . /app
        ENTRYPOINT ["/entrypoint"]
        """,
    'compose/production/django/entrypoint': '#!/bin/bash\nset -e\n# waits, then gunicorn\nexec "$@"\n',
    'compose/production/django/worker': '#!/bin/bash\nexec celery -A config.celery_app worker -l INFO\n',
    'compose/production/django/start': """
        #!/bin/bash
        set -o errexit
        python /app/manage.py collectstatic --noinput
        exec /usr/local/bin/gunicorn config.wsgi --bind 0.0.0.0:5000 --chdir=/app \\
            --timeout "${GUNICORN_TIMEOUT:-90}"
        """,
    '.envs/.production/.django': "# General\nDJANGO_SETTINGS_MODULE='config.settings.production'\nWEB_CONCURRENCY=4\n",
    '.envs/.production/.more': 'export FORWARDED_ALLOW_IPS="*"\n',
}


def test_start_scripts_of_an_image(directory):
    written, said = made(directory, START_SCRIPTS, 'docker-compose.production.yml')
    assert settings(written).split('routes:')[0].split('pools:\n')[1] == (
        '  django:\n    kind: wsgi\n    servers: django:5000\n    slots: 4\n    timeouts: {response: 95s}\n'
    )
    assert '4 workers x 1 thread, WEB_CONCURRENCY (.envs/.production/.django:3)' in written and said == ''
    assert '# gunicorn (compose/production/django/start:4)' in written


def test_uvicorns_workers_are_asgi(directory):
    start = 'exec gunicorn config.asgi -b 0.0.0.0:5000 -k uvicorn.workers.UvicornWorker --workers 8 --timeout 40\n'
    written, _ = made(directory, {**START_SCRIPTS, 'compose/production/django/start': start}, 'docker-compose.production.yml')
    assert settings(written).endswith('django:\n    kind: asgi\n    servers: django:5000\nroutes:\n  /: django')
    assert 'gunicorn with workers of uvicorn' in written


def test_the_dockerfile_and_gunicorns_file(directory):
    files = {
        'compose.yaml': """
            services:
              app:
                build: ./app
                environment:
                  - GUNICORN_CMD_ARGS=--threads 2
            """,
        'app/Dockerfile': """
            FROM python:3.12-slim
            WORKDIR /code
            ENV PYTHONUNBUFFERED=1 FORWARDED_ALLOW_IPS="*"
            COPY . /code/
            HEALTHCHECK --interval=5s \\
                CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/up?full=1')"
            CMD ["gunicorn", "-c", "conf/gunicorn.conf.py", \\
                 "site.wsgi"]
            """,
        'app/conf/gunicorn.conf.py': """
            import multiprocessing
            bind = "0.0.0.0:8080"  # all of them
            workers = 3
            threads = 8
            timeout = 0
            worker_class = 'gthread'
            keepalive = 10
            def on_starting(server):
                workers = 99
            """,
    }
    written, said = made(directory, files)
    assert settings(written).split('pools:\n')[1] == (
        '  app:\n    kind: wsgi\n    servers: app:8080\n    slots: 6\n    timeouts: {response: 0}\n    keepalive: 9s\n'
        '    health: "/up?full=1"\nroutes:\n  /: app'
    )
    assert 'bind (app/conf/gunicorn.conf.py:2)' in written and '(app/Dockerfile:5)' in written
    assert 'ALLOWED_HOSTS' in said


@pytest.mark.parametrize('expression', ['multiprocessing.cpu_count() * 2 + 1', 'int(os.environ.get("W", 3))', '"3" + "1"'])
def test_python_is_never_run(directory, expression):
    files = {'compose.yml': 'services: {web: {command: gunicorn a.wsgi}}', 'gunicorn.conf.py': f'workers = {expression}\n'}
    written, said = made(directory, files)
    assert 'slots' not in settings(written) and f'# ? workers is `{expression}` (gunicorn.conf.py:1)' in written
    assert 'could not be found out: ' + expression in said


@pytest.mark.parametrize(
    ('command', 'expected'),
    [
        ('python -m gunicorn a.wsgi -b :9000 -w2', ['kind: wsgi', 'servers: web:9000', 'slots: 2']),
        ('["poetry", "run", "gunicorn", "--bind=0.0.0.0:80", "a.wsgi"]', ['servers: web:80', 'slots: 1']),
        ('["/bin/bash", "-lc", "cd src; exec gunicorn -w $$((1+1)) -b 0.0.0.0:81 a.wsgi"]', ['servers: web:81']),
        ('./wait-for-it.sh db:5432 -- gunicorn a.wsgi --bind 0.0.0.0:82 --threads 4', ['servers: web:82', 'slots: 4']),
        ('newrelic-admin run-program gunicorn a.wsgi -b 0.0.0.0:83 -k gevent -w 4', ['servers: web:83']),
        ('bash -c "pip install gunicorn && mkdir -p /run/gunicorn && gunicorn -b 0.0.0.0:84 a.wsgi"', ['servers: web:84', 'slots: 1']),
        ('gunicorn a.wsgi --bind unix:/run/web/web.sock -w 2', ['servers: unix:/run/web/web.sock', 'slots: 2']),
        ('uvicorn a.asgi:application --uds /run/a.sock', ['kind: asgi', 'servers: unix:/run/a.sock']),
        ('python -m uvicorn a.asgi:app --host 0.0.0.0 --timeout-keep-alive 30', ['servers: web:8000', 'keepalive: 29s']),
        ('uvicorn a.asgi:app --port 8001 --timeout-keep-alive 1', ['servers: web:8001', 'keepalive: off']),
        ('daphne -b 0.0.0.0 -p 8001 a.asgi:application', ['kind: asgi', 'servers: web:8001']),
        ('hypercorn a.asgi:app --bind 0.0.0.0:8002 -w 2', ['kind: asgi', 'servers: web:8002']),
    ],
)  # fmt: skip
def test_commands(directory, command, expected):
    written, _ = made(directory, {'compose.yaml': f'services:\n  web:\n    command: {command}\n'})
    pool = settings(written).split('  web:\n')[1].split('routes:')[0]
    shown = [line.strip() for line in pool.splitlines()]
    assert shown == expected if expected[0].startswith('kind') else shown[1:] == expected


def test_variables_of_uvicorn_and_of_the_platform(directory):
    files = {
        'compose.yaml': """
            services:
              live:
                command: uvicorn a.asgi:app
                environment: {UVICORN_PORT: 8005, UVICORN_HOST: 0.0.0.0, FORWARDED_ALLOW_IPS: "*"}
              web:
                command: ["sh", "-c", "gunicorn a.wsgi"]
                environment: [PORT=8006, "FORWARDED_ALLOW_IPS=*"]
            """
    }
    written, said = made(directory, files)
    assert 'servers: live:8005' in written and 'servers: web:8006' in written and said == ''


def test_what_a_person_should_see_to(directory):
    files = {
        'compose.yaml': """
            services:
              web:
                command: gunicorn a.wsgi
                ports: ["8000:8000", {target: 9, published: "81"}]
              api.v2:
                extends: {service: web}
                command: gunicorn api.wsgi --bind 0.0.0.0:$API_PORT
              dev:
                command: python manage.py runserver
            """
    }
    written, said = made(directory, files)
    assert '# /api-v2/: api-v2' in written and '? its port could not be found out: 0.0.0.0:$API_PORT, --bind' in written
    for sentence in (
        'service web: it listens on 127.0.0.1 alone', "service web: take its `ports` away when diplex stands in front of it: 8000:8000 81",
        'service api.v2: its port could not be found out, 8000 is a guess', 'service api.v2: it has no route yet',
        'service dev: it runs manage.py runserver', 'FORWARDED_ALLOW_IPS',
    ):  # fmt: skip
        assert sentence in said, sentence


def test_this_projects_own(directory):
    """compose.yaml of this repository, as far as it is one with both halves."""
    from harness import ROOT

    done = init(directory, '--stdout', ROOT / 'compose.yaml')
    assert done.returncode == 0, done.stderr
    assert 'kind: wsgi' in done.stdout and 'kind: asgi' in done.stdout and '/async/: ' in done.stdout


def test_names_that_nobody_may_have(directory):
    """What stands in somebody's file does not become lines of ours."""
    text = '{"services": {"a\\n  b": {"command": "gunicorn x"}, "web": {"command": ["gunicorn", "-b", "0.0.0.0:1\\nlog: off"]}}}'
    written, _ = made(directory, {'compose.yaml': text})
    assert '\nlog' not in written and '  b' not in settings(written)


def test_any_bytes_do_no_harm(directory):
    """Files of others, changed at random: an answer of some kind, a file that is sound or none."""
    chance = random.Random(6)
    for number in range(40):
        folder = directory / str(number)
        source = {**START_SCRIPTS, 'compose.yaml': BOTH_HALVES['docker-compose.yml']} if number % 2 else {
            **START_SCRIPTS, 'compose.yaml': START_SCRIPTS['docker-compose.production.yml']}  # fmt: skip
        lay_out(folder, source)
        for name in source:
            data = bytearray((folder / name).read_bytes())
            for _ in range(chance.randrange(6)):
                at = chance.randrange(len(data))
                data[at : at + chance.randrange(4)] = bytes(chance.choices(b'"\'$`{}()\\\n -#:&|;\x00\xff', k=chance.randrange(4)))
            (folder / name).write_bytes(data)
        done = init(folder, '--stdout')
        assert done.returncode in (0, 1) and 'fault of diplex' not in done.stderr, done.stderr
