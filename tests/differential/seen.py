# SPDX-License-Identifier: MIT
"""Real servers whose application writes down every request it saw, and diplex before each."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import harness
from conversation import Answer, answers

APPS = pathlib.Path(__file__).parent / 'apps'
SERVERS = ('gunicorn', 'gunicorn-gthread', 'uvicorn-httptools', 'uvicorn-h11', 'node')
TOGETHER = 6  # conversations at a time


class _Server(harness.Program):
    name = 'server'

    def __init__(self, directory: pathlib.Path, name: str) -> None:
        self.port = harness.free_port()
        self.seen_path = directory / 'seen'
        address = f'127.0.0.1:{self.port}'
        python = [sys.executable, '-m']
        gunicorn = [sys.executable, '-m', 'gunicorn', 'seen_apps:wsgi', '--bind', address, '--log-level', 'critical']
        gunicorn += ['--worker-tmp-dir', str(directory), '--no-control-socket']
        uvicorn = [sys.executable, '-m', 'uvicorn', 'seen_apps:asgi', '--port', str(self.port), '--lifespan', 'off']
        uvicorn += ['--log-level', 'critical']
        arguments = {
            'gunicorn': [*gunicorn, '--workers', '2'],
            'gunicorn-gthread': [*gunicorn, '--worker-class', 'gthread', '--threads', '4'],
            'uvicorn-httptools': [*uvicorn, '--http', 'httptools'],
            'uvicorn-h11': [*uvicorn, '--http', 'h11'],
            'node': ['node', APPS / 'seen_node.js', str(self.port)],
        }[name]
        super().__init__(directory, arguments, {'DIPLEX_SEEN': str(self.seen_path)})

    def working_directory(self) -> pathlib.Path:
        return APPS


class Behind:
    """One real server with diplex before it."""

    def __init__(self, directory: pathlib.Path, name: str) -> None:
        self.name = name
        self.server = _Server(directory, name)
        kind = 'wsgi' if name.startswith('gunicorn') else 'asgi'
        slots = {'gunicorn': 2, 'gunicorn-gthread': 4}.get(name)
        self.diplex = harness.Diplex(
            directory,
            {
                **harness.one_pool(kind, f'127.0.0.1:{self.server.port}', pool={'slots': slots} if slots else None),
                'timeouts': {'header': '60s', 'body': '60s'},
            },
        )

    def start(self) -> Behind:
        self.server.start_and_wait(('127.0.0.1', self.server.port))
        self.diplex.start()
        return self

    def finish(self) -> None:
        try:
            self.diplex.finish()
        finally:
            self.server.end_group()

    def converse(self, conversations: list[tuple[bytes, bool]]) -> list[list[Answer]]:
        """For each (bytes, whether the client leaves after them) diplex's answers."""
        with ThreadPoolExecutor(TOGETHER) as pool:
            return list(pool.map(self._one, conversations))

    def _one(self, conversation: tuple[bytes, bool]) -> list[Answer]:
        data, leave = conversation
        said = b''
        with socket.create_connection(self.diplex.endpoint, timeout=20) as client:
            with contextlib.suppress(OSError):
                client.sendall(data)
                if leave:
                    client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while piece := client.recv(1 << 18):
                    said += piece
        return answers(said)

    def believed(self) -> dict[str, dict]:
        """diplex's access log by request id. Ends diplex, so that nothing of it is still to be written."""
        assert self.diplex.stop() == 0
        return {entry['id']: entry for entry in self.diplex.access()}

    def seen(self) -> list[dict]:
        """What the application saw so far."""
        if not self.server.seen_path.exists():
            return []
        return [json.loads(line) for line in self.server.seen_path.read_text().splitlines()]
