"""Whether a server does what it is to be measured at: sends back on `/echo`, and elsewhere tells everybody.

A WebSocket client of the least kind, so that nothing has to be installed to ask. Knows a port, and
nothing of what listens there. Every wait has a bound.
"""

import base64
import contextlib
import os
import socket
import struct

SECONDS = 10
SMALL, LARGE = 128, 64 * 1024
BINARY, PING, PONG = 2, 9, 10


class NotAsItShould(Exception):
    """What the server did instead."""


def check(port):
    """Raises NotAsItShould, or OSError, if the server on this port is none to be measured."""
    echo(port)
    broadcast(port)


def echo(port):
    with Client(port, "/echo") as one, Client(port, "/echo") as other:
        for size in (SMALL, LARGE):
            payload = os.urandom(size)
            one.send(payload)
            one.expect(payload, "an echo")
        # Had the other got one of those, it would come before its own.
        payload = os.urandom(SMALL)
        other.send(payload)
        other.expect(payload, "an echo")


def broadcast(port):
    room = []
    with contextlib.ExitStack() as connections:
        for path in ("/", "/", "/any"):
            # Who hears themselves is in the room, though the upgrade may be answered before.
            room.append(connections.enter_context(Client(port, path)))
            tell(room[-1], room, SMALL)
        for member in room:
            for size in (SMALL, LARGE):
                tell(member, room, size)


def tell(member, room, size):
    payload = os.urandom(size)
    member.send(payload)
    for listener in room:
        listener.expect(payload, "a broadcast")


class Client:
    """A connection, upgraded."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.read = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        status = self.read.readline()
        if b" 101 " not in status:
            raise NotAsItShould(f"{path} is answered {status!r}")
        while self.read.readline().strip():
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.read.close()
        self.socket.close()

    def send(self, payload, opcode=BINARY):
        mask = os.urandom(4)
        length = len(payload)
        head = bytes([0x80 | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack(">H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", length)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(head + mask + masked)

    def frame(self):
        """The next frame: its opcode and payload."""
        head = self._exactly(2)
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._exactly(8))
        if head[0] & 0x80 == 0 or head[1] & 0x80:
            raise NotAsItShould(f"a frame that begins with {head.hex()}")
        return head[0] & 0x0F, self._exactly(length)

    def expect(self, payload, what):
        while True:
            opcode, got = self.frame()
            if opcode == PING:
                self.send(got, PONG)
                continue
            if opcode != BINARY or got != payload:
                raise NotAsItShould(f"{len(got)} other bytes, opcode {opcode}, instead of {what}")
            return

    def _exactly(self, count):
        data = self.read.read(count)
        if data is None or len(data) < count:
            raise NotAsItShould("the connection ended")
        return data
