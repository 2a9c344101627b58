# SPDX-License-Identifier: MIT
"""A server that says the answers of cases/answers.py: `answerer.py SOCKET`.

`/answer/N` gets case N whole, `/answer/N/AT` cut at AT, where the second piece is sent when diplex has read the first.
Anything else is END and gets its own answer, with what was seen of its request.
"""

import contextlib
import fcntl
import os
import re
import select
import socket
import struct
import sys
import termios
import time

from cases.answers import answer_cases

TARGET = re.compile(rb'[A-Z]+ /answer/(\d+)(?:/(\d+))? HTTP/1\.1\r\n')
END = b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Eye-Id: end\r\n\r\nend'
LINGER = 0.02  # what comes behind an answer may come a little later; then the connection is idle at diplex


class Answerer:
    def __init__(self, path: str) -> None:
        self.cases = answer_cases()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(1024)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.connections: dict[int, socket.socket] = {}
        self.data: dict[int, bytes] = {}
        self.waiting: list[tuple[socket.socket, bytes, bool, float]] = []

    def run(self) -> None:
        while True:
            for descriptor, _ in self.epoll.poll(0.0005 if self.waiting else -1):
                if descriptor == self.listener.fileno():
                    accepted, _ = self.listener.accept()
                    self.connections[accepted.fileno()] = accepted
                    self.data[accepted.fileno()] = b''
                    self.epoll.register(accepted, select.EPOLLIN)
                else:
                    self.read(self.connections[descriptor])
            self.go_on()

    def read(self, connection: socket.socket) -> None:
        number = connection.fileno()
        try:
            data = connection.recv(65536)
        except OSError:
            data = b''
        if not data:
            self.close(connection)
            return
        self.data[number] += data
        head, end, rest = self.data[number].partition(b'\r\n\r\n')
        if end:
            self.data[number] = rest
            self.answer(connection, head + end)

    def answer(self, connection: socket.socket, head: bytes) -> None:
        asked = TARGET.match(head)
        if asked is None:
            self.send(connection, END)
            return
        case = self.cases[int(asked[1])]
        at = int(asked[2] or 0)
        if at == 0:
            self.send(connection, case.data, case.closes)
            return
        self.send(connection, case.data[:at])
        self.waiting.append((connection, case.data[at:], case.closes, time.monotonic() + LINGER))

    def go_on(self) -> None:
        """Second pieces whose first ones have been read."""
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            connection, rest, closes, until = one
            if connection.fileno() < 0:
                continue
            unread = struct.unpack('i', fcntl.ioctl(connection, termios.TIOCOUTQ, b'\0\0\0\0'))[0]
            if unread and time.monotonic() < until:
                self.waiting.append(one)
            else:
                self.send(connection, rest, closes)

    def send(self, connection: socket.socket, data: bytes, closes: bool = False) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            if closes:
                connection.shutdown(socket.SHUT_WR)

    def close(self, connection: socket.socket) -> None:
        self.epoll.unregister(connection)
        del self.connections[connection.fileno()]
        connection.close()


if __name__ == '__main__':
    Answerer(sys.argv[1]).run()
