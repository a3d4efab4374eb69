"""Many clients in one loop, and streams that are read frame by frame, without a library's cost per message."""

import re
import selectors
import time

from wire import PONG, TEXT, frame, join, said

TALKED = re.compile(rb'\{"id":(\d+),"talked":\{"conversation":"lobby","seq":"(\d+)"')
SEQ = re.compile(rb'"entry":\{"conversation":"lobby","seq":"(\d+)"')
# Longer than what one frame's beginning takes, so that one that is cut by a read is found by the next.
KEPT = 400


class Stream:
    """A client whose frames are told to `hear(opcode, payload)`; asked to, it stops reading."""

    def __init__(self, wire, hear):
        self.wire, self.hear = wire, hear
        self.buffer = wire.buffer
        self.open = True
        wire.sock.setblocking(False)

    def readable(self):
        try:
            data = self.wire.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.open = False
            return
        self.buffer += data
        self.parse()

    def parse(self):
        buffer, at = self.buffer, 0
        while len(buffer) - at >= 2:
            length, head = buffer[at + 1] & 0x7F, 2
            if length > 125:
                head = 4 if length == 126 else 10
                if len(buffer) - at < head:
                    break
                length = int.from_bytes(buffer[at + 2:at + head], "big")
            if len(buffer) - at < head + length:
                break
            self.hear(buffer[at] & 0x0F, bytes(buffer[at + head:at + head + length]))
            at += head + length
        del buffer[:at]


class Listener:
    """Hears the lobby, and knows whether anything is missing, doubled or out of order."""

    def __init__(self, port, name, cursor=None, last=None, **more):
        if cursor is None:
            self.wire = join(port, name, **more)
        else:
            self.wire = join(port, **more)
            self.wire.send(said({"id": 1, "hello": {"name": name, "cursors": [cursor]}}))
        self.first, self.last, self.wrong, self.holes, self.code = None, last, 0, 0, None
        self.tag = 0
        self.stream = Stream(self.wire, self.hear)

    def hear(self, opcode, payload):
        if opcode == 8:
            self.code = int.from_bytes(payload[:2], "big")
        elif opcode == 9:
            self.wire.sock.send(frame(PONG, payload))
        elif opcode == TEXT:
            found = SEQ.search(payload[:120])
            if found:
                seq = int(found.group(1))
                self.wrong += self.last is not None and seq != self.last + 1
                self.first, self.last = self.first or seq, seq
                tag = re.search(rb'"tag":(\d+)', payload)
                self.tag = int(tag.group(1)) if tag else 0
            elif b'"hole"' in payload[:20] or b'"reset"' in payload[:20]:
                self.holes += 1


def pump(streams, seconds, each=None, until=None):
    """Reads what comes, for so long or until something is so; `each` is called at least every 10 ms."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            if stream.open:
                selector.register(stream.wire.sock, selectors.EVENT_READ, stream)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until and until()):
            if each:
                each()
            for key, _ in selector.select(0.01 if selector.get_map() else 0):
                key.data.readable()
                if not key.data.open:
                    selector.unregister(key.fileobj)
            if not selector.get_map():
                time.sleep(0.01)


class Member:
    """One of a crowd. What others say is thrown away unread, but for what answers itself."""

    def __init__(self, wire, tag):
        self.wire, self.tag = wire, tag
        self.tail = b""
        self.said, self.acked = 0, {}
        self.open = True
        wire.sock.setblocking(False)

    def talk(self):
        self.said += 1
        try:
            self.wire.sock.send(said({"id": self.said, "talk": {"text": f"{self.tag}-{self.said}"}}))
        except OSError:
            pass

    def readable(self):
        try:
            data = self.wire.sock.recv(1 << 19)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.open = False
            return
        data = self.tail + data
        if b'"talked"' in data:
            for found in TALKED.finditer(data):
                self.acked[int(found.group(1))] = int(found.group(2))
        self.tail = data[-KEPT:]
        if self.goodbye:
            # The answer that lets the server close at once.
            try:
                self.wire.sock.send(frame(8, b"\x03\xf4"))
            except OSError:
                pass

    @property
    def goodbye(self):
        """The `closing` event, and right behind it the close frame with 1012."""
        return b'"closing":{"code":1012' in self.tail and self.tail.endswith(b"\x88\x09\x03\xf4restart")


class Crowd:
    """So many clients, who together say so much a second, evenly and whatever the server does (open loop)."""

    def __init__(self, port, clients, per_second, name):
        self.members = [Member(join(port, f"{name}{n}"), f"{name}{n}") for n in range(clients)]
        self.every = 1 / per_second
        self.next, self.turn = None, 0
        self.selector = selectors.DefaultSelector()
        for member in self.members:
            self.selector.register(member.wire.sock, selectors.EVENT_READ, member)

    def run(self, seconds, until=None):
        self.next = self.next or time.monotonic()
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.selector.get_map() and not (until and until()):
            due = min(200, int((time.monotonic() - self.next) / self.every))
            for _ in range(due):
                member = self.members[self.turn % len(self.members)]
                self.turn += 1
                self.next += self.every
                if member.open:
                    member.talk()
            for key, _ in self.selector.select(0.005):
                key.data.readable()
                if not key.data.open:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()

    def said(self):
        return sum(member.said for member in self.members)

    def acked(self):
        """Every acknowledged text with its position."""
        return {f"{m.tag}-{id}": seq for m in self.members for id, seq in m.acked.items()}

    def close(self):
        for member in self.members:
            member.wire.close()
        self.selector.close()
