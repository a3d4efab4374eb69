"""What frames say: nasty strings, deep and mutated frames, numbers at the edge."""

import json
import random
import re
import socket
import time
import urllib.parse

import nasty
from checks import MIB, Oracle
from server import UNLIMITED, Server
from wire import BINARY, TEXT, Ended, Wire, frame, join, said

LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ +(TRACE|DEBUG|INFO|WARN|ERROR) +\[")


def strings(check, kith):
    """Row 21: nasty strings as texts and as names come back byte for byte, or not at all; the log stays one line a record."""
    server = Server(kith, [*UNLIMITED, "log.text=true", "log.level=debug"])
    with Oracle(check, server):
        texts = [text for group in nasty.TEXTS.values() for text in group]
        talker, listener = join(server.port, "talker"), join(server.port, "ear")
        refused = []
        for n, text in enumerate(texts):
            if "talked" not in talker.ask(n + 1, talk={"text": text}):
                refused.append(text[:20])
        heard = heard_of(listener, "talker", len(texts) - len(refused))
        check(f"{len(texts)} nasty texts come back byte for byte", heard == texts and not refused, refused or len(heard))
        stored, before = [], 0
        for _ in range(100):
            page = listener.ask(9, history={"limit": 100, **({"before": str(before)} if before else {})})["page"]
            entries = page.get("entries", [])
            if not entries:
                break
            before = int(entries[0]["seq"])
            stored = [one["message"]["text"] for one in entries if one["from"] == "talker"] + stored
        check("and out of the store as well", stored == texts, len(stored))
        names(check, server)
        talker.close()
        listener.close()
    bad = [line for line in server.lines if not LOG_LINE.match(line) or re.search(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u202e]", line)]
    check("each line of the log is one record, without a control character", not bad, bad[:2] or f"{len(server.lines)} lines")
    server.stop()


def heard_of(listener, who, count):
    heard = []
    for message in listener.messages():
        entry = message.get("entry") if isinstance(message, dict) else None
        if entry and entry["from"] == who:
            heard.append(entry["message"]["text"])
            if len(heard) == count:
                break
    return heard


def names(check, server):
    wrong = []
    for typed, expected in nasty.NAMES.items():
        for way in ("hello", "query"):
            got = name_by(server.port, typed, way)
            if got != expected:
                wrong.append((way, typed[:20], got))
    check(f"{len(nasty.NAMES)} names by hello and by query are taken, normalised or refused as they should", not wrong, wrong or "")
    wrong = []
    for one, other in nasty.SAME:
        with join(server.port) as first, join(server.port) as second:
            if "welcome" not in first.ask(1, hello={"name": one}):
                wrong.append((one, "refused"))
            answer = second.ask(1, hello={"name": other})
            if answer.get("error", {}).get("name") != "name_taken":
                wrong.append((one, other, answer))
            first.send(said({"exit": {}}))
            first.end(5)
    check("a second spelling of a name that is online is refused", not wrong, wrong or "")


def name_by(port, typed, way):
    if way == "query":
        wire = Wire(port)
        response = wire.upgrade(path="/ws?username=" + urllib.parse.quote(typed))
        if response.status != 101:
            return None
        answer = next(message for message in wire.messages() if "welcome" in message or "error" in message)
    else:
        wire = join(port)
        answer = wire.ask(1, hello={"name": typed})
    name = answer.get("welcome", {}).get("name")
    if name is not None:
        wire.send(said({"exit": {}}))
        wire.end(5)
    wire.close()
    return name


def depths(check, kith):
    """Row 26: JSON that is deep, doubled or huge; row 28: numbers at the edge. Each gets a named answer within 100 ms."""
    server = Server(kith, [*UNLIMITED])
    with Oracle(check, server):
        for what, text, expected in deep():
            with join(server.port, "deep") as wire:
                began = time.monotonic()
                wire.send(frame(TEXT, text.encode()))
                answer = first_answer(wire)
                ms = (time.monotonic() - began) * 1000
                name = answer.get("error", {}).get("name") if isinstance(answer, dict) else answer
                check(f"JSON: {what}", name in expected and ms <= 100, f"{name} after {ms:.1f} ms")
                wire.send(said({"exit": {}}))
                wire.end(5)
        wrong = []
        with join(server.port, "edges") as wire:
            for n in range(150):
                wire.ask(n + 1, talk={"text": f"entry {n}"})
            for n, command in enumerate(edges()):
                answer = wire.ask(1000 + n, **command)
                entries = answer.get("page", {}).get("entries", [])
                if "error" not in answer and "page" not in answer and "users" not in answer and "welcome" not in answer:
                    wrong.append((command, answer))
                if len(entries) > 100:
                    wrong.append((command, f"{len(entries)} entries"))
        check(f"{n + 1} commands with numbers at the edge: an error or at most a page", not wrong, wrong[:3] or "")
    server.stop()


def first_answer(wire):
    """The close code, or the next answer to a command."""
    for message in wire.messages():
        if isinstance(message, int) or not ("presence" in message or "entry" in message):
            return message
    return None


def deep():
    yield "79,000 opening brackets", "[" * 79_000, ("malformed",)
    yield "79,000 opening braces", '{"a":' * 15_800, ("malformed", "unknown_command", "unknown_field")
    yield "100,000 opening brackets are too big", "[" * 100_000, (1009,)
    yield "brackets within a command", '{"id":1,"talk":{"text":' + "[" * 79_000, ("malformed", "bad_request")
    yield "balanced, 30,000 deep", '{"id":1,"x":' + "[" * 30_000 + "]" * 30_000 + "}", ("malformed", "unknown_command", "unknown_field")
    yield "a member twice", '{"id":1,"id":2,"ping":{}}', ("malformed",)
    yield "a field twice", '{"id":1,"talk":{"text":"a","text":"b"}}', ("malformed", "bad_request")
    yield "two commands", '{"id":1,"ping":{},"exit":{}}', ("malformed", "bad_request")
    yield "a huge exponent", '{"id":1e999999,"ping":{}}', ("malformed", "bad_request")
    yield "an id with 70,000 digits", '{"id":' + "9" * 70_000 + ',"ping":{}}', ("malformed", "bad_request")
    yield "an id below 0", '{"id":-1,"ping":{}}', ("bad_request", "malformed")
    yield "an id of 2^32", '{"id":4294967296,"ping":{}}', ("bad_request", "malformed")
    yield "an id of 1.5", '{"id":1.5,"ping":{}}', ("bad_request", "malformed")
    yield "NaN", '{"id":NaN,"ping":{}}', ("malformed",)
    yield "a lone surrogate", '{"id":1,"talk":{"text":"\\ud800"}}', ("malformed", "bad_request")
    yield "nothing", "", ("malformed",)
    yield "null", "null", ("malformed",)
    yield "an array", "[]", ("malformed",)
    yield "something behind it", '{"id":1,"ping":{}} x', ("malformed",)
    yield "5,000 unknown members", "{" + ",".join(f'"k{n}":{n}' for n in range(5000)) + "}", ("unknown_command", "unknown_field")
    yield "10,000 cursors", '{"id":1,"hello":{"cursors":[' + ",".join(["{}"] * 10_000) + "]}}", ("too_many",)
    yield "10,000 watched names", '{"id":1,"watch":{"names":[' + ",".join(['"a"'] * 10_000) + "]}}", ("too_many",)
    yield "a byte order mark", '\ufeff{"id":1,"ping":{}}', ("malformed",)


def edges():
    numbers = (0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, "x", "", "1.0", 1.5, True, None)
    for number in numbers:
        for field in ("before", "after", "limit"):
            yield {"history": {field: number}}
            yield {"history": {field: str(number)}}
        yield {"userList": {"limit": number}}
        yield {"hello": {"cursors": [{"conversation": "lobby", "epoch": "0", "seq": number}]}}
        yield {"hello": {"cursors": [{"conversation": "lobby", "epoch": "0", "seq": "5", "tag": number}]}}
    for before in (0, 2**63 - 1, 100):
        for after in (0, 2**63 - 2, 50, 200):
            yield {"history": {"before": str(before), "after": str(after), "limit": 2**31}}


def mutations(check, kith):
    """Row 27: 20,000 mutations of good frames, text and binary, headers included; nothing dies, nothing grows."""
    server = Server(kith, [*UNLIMITED])
    chance = random.Random(20_26)
    with Oracle(check, server) as oracle:
        sent = opened = 0
        seeds = captured()
        while sent < 20_000:
            wire = join(server.port, f"mutant{opened % 50}x{opened}")
            wire.sock.settimeout(5)
            opened += 1
            batch = [mutated(chance, chance.choice(seeds)) for _ in range(20)]
            try:
                wire.send(b"".join(batch))
                sent += len(batch)
                # An end that is surely understood, so that nobody is left waiting for the rest of a frame.
                wire.sock.shutdown(socket.SHUT_WR)
                while True:
                    wire.fill()
            except (Ended, OSError):
                pass
            wire.close()
            if opened % 100 == 0:
                oracle.watch()
        check("20,000 mutated frames", server.alive() and not server.panics(), f"on {opened} connections")
        check("resident memory at most 32 MiB more", oracle.watch() <= 32 * MIB, f"+{oracle.watch() / MIB:.1f} MiB")
        with join(server.port, "after") as wire:
            check("and the server answers as before", "talked" in wire.ask(1, talk={"text": "still here"}))
    server.stop()


def captured():
    """Good frames: of each command one in JSON; in protobuf by hand (field, wire type, value)."""
    field = lambda number, data: bytes([number << 3 & 0x7F | 2 | (0x80 if number > 15 else 0)]) + (
        bytes([number >> 4]) if number > 15 else b"") + varint(len(data)) + data
    identified = b"\x08\x07"
    texts = [
        {"id": 1, "hello": {"name": "bob", "cursors": [{"conversation": "lobby", "epoch": "abc", "seq": "3", "tag": 5}]}},
        {"id": 2, "key": "AAAAAAAAAAAAAAAAAAAAAA==", "talk": {"to": "lobby", "text": "hällo 😀"}},
        {"id": 3, "userList": {"after": "a", "limit": 10}}, {"id": 4, "typing": {}}, {"id": 5, "history": {"before": "9", "limit": 3}},
        {"id": 6, "watch": {"names": ["a", "b"]}}, {"id": 7, "ping": {}},
    ]
    talk = identified + field(2, bytes(range(16))) + field(11, field(2, "hällo".encode()))
    binaries = [
        talk, identified + field(10, field(1, b"bob") + field(4, field(1, b"lobby") + b"\x18\x05")), identified + field(14, b"\x08\x09\x18\x03"),
        identified + field(15, field(1, b"a") * 5), identified + b"\x82\x01\x00", field(13, b""),
        # Declared lengths beyond the end, groups within groups, a field number of 0.
        identified + b"\x5a\xff\xff\xff\xff\x0f", b"\x0b" * 10_000, b"\x00\x00", b"\x52" * 200,
    ]
    frames = [frame(TEXT, json.dumps(one, ensure_ascii=False).encode()) for one in texts]
    return frames + [frame(BINARY, one) for one in binaries]


def varint(number):
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes(data + bytes([number]))


def mutated(chance, data):
    """One to eight changes: bits, bytes, pieces doubled, swapped or cut, edge numbers put in. Half leave the header alone."""
    data, keep = bytearray(data), chance.choice((0, 6))
    for _ in range(chance.randint(1, 8)):
        if len(data) <= keep:
            break
        at = chance.randrange(keep, len(data))
        kind = chance.randrange(7)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x7B, 0x5B))
        elif kind == 2:
            data[at:at] = data[at:at + chance.randint(1, 16)]
        elif kind == 3:
            del data[at:at + chance.randint(1, 16)]
        elif kind == 4:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
        elif kind == 5:
            data[at:at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"9999", b"-1e9"))
        else:
            data[at:at] = data[at:at + 64] * chance.randint(1, 20)
    return bytes(data)


ROWS = {"strings": strings, "depths": depths, "mutations": mutations}
