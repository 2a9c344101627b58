# SPDX-License-Identifier: MIT
"""A small name server for tests: UDP and TCP, A, AAAA and CNAME, EDNS, truncation, and answers that are wrong on purpose.

    python name_server.py ADDRESS PORT ZONE LOG

ZONE is JSON, read anew for each question, so that a test changes the world by writing a file:
    {"web": {"A": ["10.77.0.1"], "AAAA": ["fd77::1"]}, "www": {"CNAME": "web"},
     "bad": {"rcode": 2}, "half": {"A": ["10.77.0.1"], "silent": ["AAAA"]}}
What is not in it does not exist. With "*": {"edns": false} the server is one that has never heard of EDNS. LOG gets a
line of JSON for each question.
"""

import json
import pathlib
import selectors
import socket
import struct
import sys
import time

TYPES = {1: 'A', 28: 'AAAA'}
FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 1, 2, 3


def encode_name(name):
    labels = [label.encode() for label in name.split('.') if label]
    return b''.join(bytes([len(label)]) + label for label in labels) + b'\0'


def decode_question(message):
    at, labels = 12, []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode())
        at += 1 + length
    kind, _ = struct.unpack_from('!HH', message, at + 1)
    return '.'.join(labels).lower(), kind, message[12 : at + 5], at + 5


def udp_limit(message, end):
    """What the client says it can take: the size in an OPT record that follows the question, RFC 6891 6.1."""
    if struct.unpack_from('!H', message, 10)[0] and message[end] == 0:
        kind, size = struct.unpack_from('!HH', message, end + 1)
        if kind == 41:
            return max(512, size)
    return None


def record(name, kind, data):
    return encode_name(name) + struct.pack('!HHIH', kind, 1, 600, len(data)) + data


def records_of(zone, name, kind):
    """The chain of aliases and the addresses at its end; None when there is no such name."""
    found = []
    for _ in range(8):
        entry = zone.get(name)
        if entry is None:
            return None if not found else found
        if 'CNAME' not in entry:
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            texts = entry.get(TYPES.get(kind), [])
            return found + [record(name, kind, socket.inet_pton(family, text)) for text in texts]
        found.append(record(name, 5, encode_name(entry['CNAME'])))
        name = entry['CNAME']
    return found


def answer(zone, message, by_udp):
    name, kind, question, end = decode_question(message)
    limit = udp_limit(message, end)
    entry = zone.get(name) or {}
    knows_edns = zone.get('*', {}).get('edns', True)
    if kind in TYPES and TYPES[kind] in entry.get('silent', []):
        return None
    found = records_of(zone, name, kind)
    code = NO_SUCH_NAME if found is None else entry.get('rcode', 0)
    if kind in TYPES and TYPES[kind] in entry.get('failing', []):
        code = SERVER_FAILURE
    if limit and not knows_edns:
        code = FORMAT_ERROR
    found = found if found and code == 0 else []
    flags = 0x8180 | code
    extra = b'\0' + struct.pack('!HHIH', 41, 1232, 0, 0) if limit and knows_edns else b''

    def whole(flags, found):
        head = message[:2] + struct.pack('!HHHHH', flags, 1, len(found), 0, 1 if extra else 0)
        return head + question + b''.join(found) + extra

    reply = whole(flags, found)
    if by_udp and len(reply) > (limit if limit and knows_edns else 512):
        reply = whole(flags | 0x0200, [])
    return reply


class NameServer:
    def __init__(self, address, port, zone, log):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self.zone, self.log = pathlib.Path(zone), open(log, 'a', buffering=1)
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.tcp = socket.socket(family)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, port))
        self.tcp.listen()

    def reply_to(self, message, over):
        name, kind, _, _ = decode_question(message)
        line = {'time': time.monotonic(), 'name': name, 'type': TYPES.get(kind, kind), 'over': over}
        self.log.write(json.dumps(line) + '\n')
        return answer(json.loads(self.zone.read_text()), message, over == 'udp')

    def on_udp(self):
        message, client = self.udp.recvfrom(4096)
        if reply := self.reply_to(message, 'udp'):
            self.udp.sendto(reply, client)

    def on_tcp(self):
        """Whole conversations one after the other: the tests' client is quick."""
        connection, _ = self.tcp.accept()
        with connection:
            connection.settimeout(2)
            try:
                while len(head := connection.recv(2, socket.MSG_WAITALL)) == 2:
                    message = connection.recv(struct.unpack('!H', head)[0], socket.MSG_WAITALL)
                    if reply := self.reply_to(message, 'tcp'):
                        connection.sendall(struct.pack('!H', len(reply)) + reply)
            except OSError:
                pass

    def serve(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.udp, selectors.EVENT_READ, self.on_udp)
            selector.register(self.tcp, selectors.EVENT_READ, self.on_tcp)
            while True:
                for key, _ in selector.select():
                    key.data()


if __name__ == '__main__':
    NameServer(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]).serve()
