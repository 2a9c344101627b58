# SPDX-License-Identifier: MIT
"""A plain TCP load balancer, as stands in front of several replicas of diplex: connections in turn to those that are in,
each introduced by a header of the PROXY protocol; one that refuses is passed over.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import threading

from wire import PATIENCE


class Balancer:
    def __init__(self, *replicas: tuple[str, int]) -> None:
        self._in = list(replicas)
        self._turns = itertools.count()
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.settimeout(0.1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.endpoint = self._listener.getsockname()
        self.passed = {replica: 0 for replica in replicas}

    def __enter__(self) -> Balancer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        self._listener.close()

    def take_out(self, replica: tuple[str, int]) -> None:
        """No new connection for it; those that are open stay."""
        self._in = [one for one in self._in if one != replica]

    def put_in(self, replica: tuple[str, int]) -> None:
        self._in = [*self._in, replica]

    def _accept(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                client, peer = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client, peer), daemon=True).start()

    def _connect(self) -> socket.socket | None:
        replicas, first = self._in, next(self._turns)
        for i in range(len(replicas)):
            replica = replicas[(first + i) % len(replicas)]
            with contextlib.suppress(OSError):
                server = socket.create_connection(replica, PATIENCE)
                self.passed[replica] += 1
                return server
        return None

    def _pass_on(self, client: socket.socket, peer: tuple[str, int]) -> None:
        with client:
            server = self._connect()
            if server is None:
                return
            with server, contextlib.suppress(OSError):
                to = self.endpoint
                server.sendall(f'PROXY TCP4 {peer[0]} {to[0]} {peer[1]} {to[1]}\r\n'.encode())
                self._pump(client, server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        """Until either side has nothing more to say to the other and both have heard so."""
        open_ = {client: server, server: client}
        with selectors.DefaultSelector() as ready:
            for one in (client, server):
                one.settimeout(PATIENCE)
                ready.register(one, selectors.EVENT_READ)
            while open_ and not self._stop.is_set():
                for key, _ in ready.select(0.1):
                    one = key.fileobj
                    data = one.recv(65536)
                    if data:
                        open_[one].sendall(data)
                        continue
                    open_.pop(one).shutdown(socket.SHUT_WR)
                    ready.unregister(one)
                    if one is server:
                        return  # a server that has ended its answers takes no more questions
