"""A WebSocket client that does what it is told, also what is forbidden.

Blocking sockets and the standard library only: the healthy clients of this suite use a real library (`probe.py`), the
attackers need every bit of a frame in their own hands.
"""

import base64
import json
import os
import socket
import struct
import time

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", *, fin=True, rsv=0, masked=True, declare=None, mask=b"\x01\x02\x03\x04"):
    """One frame. `declare` puts another length into the header than the payload has."""
    length = len(payload) if declare is None else declare
    head = bytearray([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if length < 126:
        head.append(bit | length)
    elif length < 1 << 16:
        head += struct.pack("!BH", bit | 126, length)
    else:
        head += struct.pack("!BQ", bit | 127, length)
    if not masked:
        return bytes(head) + payload
    if payload:
        key = (mask * (len(payload) // 4 + 1))[: len(payload)]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
    return bytes(head) + mask + payload


def said(value):
    """A command as a text frame."""
    return frame(TEXT, json.dumps(value, ensure_ascii=False).encode())


class Ended(Exception):
    """The server has nothing more to say: FIN or reset."""


class Response:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def get(self, name):
        return next((value for key, value in self.fields if key == name.lower()), None)


class Wire:
    """One connection."""

    def __init__(self, port, timeout=15, source=None, receive_buffer=None, host="127.0.0.1"):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect((host, port))
        self.host, self.port = host, port
        self.buffer = bytearray()

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError as error:
            raise Ended(str(error)) from error
        if not data:
            raise Ended("FIN")
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def response(self, method="GET"):
        """The next HTTP response."""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        end = self.buffer.index(b"\r\n\r\n") + 4
        lines = self.take(end).decode("latin-1").split("\r\n")
        fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
        fields = [(key.lower(), value) for key, value in fields]
        status = int(lines[0].split()[1])
        length = dict(fields).get("content-length")
        body = b""
        if length and method != "HEAD" and status >= 200:
            body = self.take(int(length))
        return Response(status, fields, body)

    def upgrade_request(self, path="/ws", name=None, extra=()):
        fields = [
            f"GET {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version: 13",
        ]
        if name is not None:
            fields.append("username: " + name)
        fields += extra
        return ("\r\n".join(fields) + "\r\n\r\n").encode()

    def upgrade(self, name=None, **more):
        self.send(self.upgrade_request(name=name, **more))
        return self.response()

    def read_frame(self):
        """(opcode, payload) of the next frame; fragments are not put together."""
        first, second = self.take(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.take(8))
        return first & 0x0F, self.take(length)

    def messages(self):
        """What the server says, until it ends; pings are answered. A close frame comes out as its code."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == PING:
                self.send(frame(PONG, payload))
            elif opcode == CLOSE:
                yield struct.unpack("!H", payload[:2])[0] if payload else 0
                return
            elif opcode == TEXT:
                yield json.loads(payload)

    def await_reply(self, id, timeout=15):
        """The answer to this command; what is said meanwhile is dropped."""
        self.sock.settimeout(timeout)
        for message in self.messages():
            if isinstance(message, int):
                raise Ended(f"closed with {message}")
            if message.get("id") == id:
                return message
        raise Ended("no answer")

    def ask(self, id, **command):
        self.send(said({"id": id, **command}))
        return self.await_reply(id)

    def end(self, timeout=15):
        """Reads to the end: the close code (None without one), and the seconds until it came."""
        began, code = time.monotonic(), None
        self.sock.settimeout(timeout)
        try:
            for message in self.messages():
                if isinstance(message, int):
                    code = message
                    break
        except (Ended, TimeoutError) as error:
            code = "silence" if isinstance(error, TimeoutError) else None
        return code, time.monotonic() - began

    def reset(self):
        """Closes with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def join(port, name=None, **more):
    """A client that is signed in, or upgraded without a name. Fails if that is refused."""
    wire = Wire(port, **more)
    response = wire.upgrade(name)
    if response.status != 101:
        raise AssertionError(f"no upgrade: {response.status} {response.body!r}")
    if name is not None:
        for message in wire.messages():
            if "welcome" in message:
                wire.welcome = message["welcome"]
                return wire
            if "error" in message:
                raise AssertionError(f"not signed in: {message}")
    return wire
