"""Frames that lie, frames without end, and more frames than anybody needs."""

import json
import selectors
import struct
import time

from checks import MIB, Oracle
from server import Server
from wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, Ended, Wire, frame, join, said

GIB = 1 << 30


def lengths(check, kith):
    """Row 9: declared lengths, 1,000 connections. Row 8 in small: frames that break a rule, and the code for each."""
    server = Server(kith)
    with Oracle(check, server) as oracle:
        for length in ((1 << 31), (1 << 63) - 1, (1 << 64) - 1, 80 * 1024 + 1):
            took, codes = [], set()
            for _ in range(20):
                with join(server.port) as wire:
                    wire.send(frame(BINARY, declare=length))
                    code, seconds = wire.end(5)
                    took.append(seconds * 1000)
                    codes.add(code)
            check(f"a declared length of {length} is closed with 1009 or 1002 within 100 ms",
                  codes <= {1009, 1002} and max(took) <= 100, f"{codes}, {max(took):.1f} ms at most")
        promises(check, server, "refused", lambda n: (1 << 31, (1 << 63) - 1, (1 << 64) - 1, 80 * 1024 + 1)[n % 4], 8)
        # As much as is allowed, so that nobody is closed: a context, of which 4 KiB are buffer, and no more.
        promises(check, server, "allowed", lambda n: (16 * 1024, 80 * 1024)[n % 2], 12)
        oracle.watch()
        rules(check, server)
    server.stop()


def promises(check, server, what, length, most):
    """1,000 connections that send a header only, all at once."""
    wires = [join(server.port) for _ in range(1000)]
    before, virtual = server.rss(), server.vm_size()
    for n, wire in enumerate(wires):
        wire.send(frame(BINARY, declare=length(n)))
    time.sleep(0.5)
    each, jump = (server.rss() - before) / len(wires), server.vm_size() - virtual
    check(f"1,000 declared lengths that are {what} cost at most {most} KiB each, and set aside no GiB",
          each <= most * 1024 and jump <= GIB, f"{each / 1024:.1f} KiB each, address space +{jump / MIB:.0f} MiB")
    for wire in wires:
        wire.close()


def rules(check, server):
    text = lambda data, **more: frame(TEXT, data, **more)
    for what, data, expected in (
        ("unmasked", frame(TEXT, b"{}", masked=False), {1002}),
        ("RSV2", frame(TEXT, b"{}", rsv=2), {1002}),
        ("reserved opcode 3", frame(3, b"{}"), {1002}),
        ("reserved opcode 11", frame(11, b"{}"), {1002}),
        ("a fragmented ping", frame(PING, b"x", fin=False), {1002}),
        ("a ping of 126 bytes", frame(PING, b"x" * 126), {1002}),
        ("a continuation of nothing", frame(CONT, b"x"), {1002}),
        ("a new message within another", text(b"{", fin=False) + text(b"{}"), {1002}),
        ("a close frame of 1 byte", frame(CLOSE, b"x"), {1002}),
        ("close code 1005", frame(CLOSE, struct.pack("!H", 1005)), {1002}),
        ("close code 1000", frame(CLOSE, struct.pack("!H", 1000)), {1000}),
        ("a close without a code", frame(CLOSE), {0, 1005, 1000}),
        ("a close reason that is no UTF-8", frame(CLOSE, b"\x03\xe8\xff"), {1007, 1002}),
        ("80 KiB and a byte", text(b"x" * (80 * 1024 + 1)), {1009}),
        ("the same in two fragments", text(b"x" * 50_000, fin=False) + frame(CONT, b"x" * 50_000), {1009}),
    ):
        with join(server.port) as wire:
            wire.send(data)
            code, _ = wire.end(5)
            check(f"frame: {what}", code in expected, code)
    for what, data in (("a lone byte 0xff", b"\xff"), ("a surrogate", b"\xed\xa0\x80"), ("overlong", b"\xc0\xaf"),
                       ("beyond Unicode", b"\xf4\x90\x80\x80"), ("cut off", b"abc\xe2\x82")):
        with join(server.port) as wire:
            wire.send(text(data))
            code, _ = wire.end(5)
            check(f"row 12, not UTF-8: {what}", code == 1007, code)
    with join(server.port, "split") as wire:
        euro = json.dumps({"id": 1, "talk": {"text": "€"}}, ensure_ascii=False).encode()
        wire.send(text(euro[:1], fin=False) + b"".join(frame(CONT, euro[n:n + 1], fin=False) for n in range(1, len(euro)))
                  + frame(PING, b"between") + frame(CONT))
        check("a character split between fragments is whole again", "talked" in wire.await_reply(1))


def fragments(check, kith):
    """Row 10: messages of 1-byte and 0-byte fragments, 200 connections."""
    server = Server(kith)
    with Oracle(check, server) as oracle:
        for size in (1, 0):
            wires = [join(server.port) for _ in range(200)]
            before, codes, most = server.rss(), set(), 0
            piece = frame(CONT, b"x" * size, fin=False)
            for wire in wires:
                wire.send(frame(TEXT, b"x" * size, fin=False) + piece * 1000)
            time.sleep(0.5)
            each = (server.rss() - before) / len(wires)
            check(f"1,001 fragments of {size} bytes hold at most 64 KiB", each <= 65536, f"{each / 1024:.1f} KiB each")
            for wire in wires:
                sent = send_until_refused(wire, piece * 1000, 130)
                most = max(most, sent * 1000)
                codes.add(wire.end(5)[0])
                wire.close()
            check(f"131,000 fragments of {size} bytes are closed with 1009", codes == {1009}, codes)
            check("no more than 16,384 fragments leave the client before", most <= 16_384, most)
            oracle.watch()
    server.stop()


def send_until_refused(wire, block, times):
    """Sends the block again and again, until something comes back; says how often."""
    with selectors.DefaultSelector() as selector:
        selector.register(wire.sock, selectors.EVENT_READ)
        for sent in range(times):
            if selector.select(0.002):
                return sent
            try:
                wire.send(block)
            except OSError:
                return sent
    return times


def floods(check, kith):
    """Row 13: pings, pongs and messages without end from 50 clients that never read."""
    server, seconds = Server(kith), check.size("floods: seconds of each kind")
    with Oracle(check, server) as oracle:
        for what, one, times in (
            ("pings", frame(PING, b"12345678"), 2000),
            ("pongs nobody asked for", frame(PONG, b"12345678"), 2000),
            ("empty messages", frame(TEXT), 4000),
            ("ping commands", said({"ping": {}}), 2000),
            ("refused commands", said({"id": 1, "talk": {"text": ""}}), 1000),
        ):
            sent, alive = flood(server.port, what, 50, one * times, seconds)
            each = oracle.watch() / 50
            check(f"50 clients flood with {what} and never read: at most 1.5 MiB each", each <= 1.5 * MIB and sent > 100_000,
                  f"{sent / len(one) / seconds:,.0f} a second taken, {each / 1024:.0f} KiB each, {alive} of 50 still open")
    server.stop()


def flood(port, what, clients, block, seconds):
    """Sends as fast as the server takes it, reading nothing: (bytes taken, clients still open)."""
    wires = [join(port, f"{what} {n}") for n in range(clients)]
    selector = selectors.DefaultSelector()
    rest = {}
    for wire in wires:
        wire.sock.setblocking(False)
        rest[wire.sock] = memoryview(block)
        selector.register(wire.sock, selectors.EVENT_WRITE)
    sent, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for key, _ in selector.select(0.05):
            one = key.fileobj
            try:
                count = one.send(rest[one])
            except BlockingIOError:
                continue
            except OSError:
                selector.unregister(one)
                continue
            sent += count
            rest[one] = rest[one][count:] or memoryview(block)
    alive = len(selector.get_map())
    for wire in wires:
        wire.close()
    selector.close()
    return sent, alive


def resets(check, kith):
    """20,000 connections that are reset at once (SO_LINGER 0): bare, in a head, after the upgrade, with a name."""
    server = Server(kith)
    with Oracle(check, server):
        for what, count in (("after connect", 10_000), ("in a head", 5_000), ("right behind the upgrade", 3_000),
                            ("with a name", 2_000)):
            began, lost = time.monotonic(), 0
            for n in range(count):
                try:
                    wire = Wire(server.port)
                    if what == "in a head":
                        wire.send(b"GET / HTTP/1.1\r\nHo")
                    elif what == "right behind the upgrade":
                        wire.send(wire.upgrade_request())
                    elif what == "with a name":
                        wire.upgrade(f"storm{n}")
                    wire.reset()
                except (OSError, Ended):
                    lost += 1
            check(f"{count:,} resets {what}", lost == 0, f"{count / (time.monotonic() - began):.0f}/s, {lost} not accepted")
        time.sleep(0.5)
        with Wire(server.port) as wire:
            open_now = server.metric("connections_open")
            check("nobody is left over", open_now <= 5, open_now)
    server.stop()


ROWS = {"lengths": lengths, "fragments": fragments, "floods": floods, "resets": resets}
