"""Holds a running Kith to its protocol: `check.py ws://127.0.0.1:9091/ws`.

Every scenario runs in both formats. One line per check; the exit status is 1 if one failed.
"""

import asyncio
import base64
import json
import secrets
import sys

from google.protobuf import json_format

from kith_client import ROOT, Connection, Json, Proto, pb


class Checks:
    """Counts and prints."""

    def __init__(self):
        self.passed = self.failed = 0
        self.prefix = ""

    def that(self, fine, what, *details):
        if fine:
            self.passed += 1
            print(f"ok    {self.prefix}{what}")
        else:
            self.failed += 1
            print(f"FAIL  {self.prefix}{what}", *map(repr, details))

    def equal(self, found, expected, what):
        self.that(found == expected, what, found, expected)


def fresh(word):
    """A name that nobody had before, so that runs do not disturb each other."""
    return f"{word}-py-{secrets.token_hex(4)}"


def vectors(file):
    return json.loads((ROOT / "tests/vectors" / file).read_text(encoding="utf-8"))


def error_of(answer):
    """What of an error is protocol: number, name and field."""
    error = answer.get("error", {})
    return error.get("code"), error.get("name"), error.get("field", "")


def lobby_of(welcome):
    return next(one for one in welcome["conversations"] if one["conversation"] == "lobby")


def cursor_of(welcome, entry):
    """Where a client stands that has read up to this entry (or `talked`)."""
    return {
        "conversation": "lobby",
        "epoch": lobby_of(welcome)["epoch"],
        "seq": entry["seq"],
        "tag": entry.get("tag", 0),
    }


async def signed_in(url, codec, word="guest"):
    """A connection with a name, and its welcome."""
    connection = await Connection.open(url, codec, username=fresh(word))
    return connection, await connection.push("welcome")


async def sign_in(url, codec, checks):
    name = fresh("小明")
    one = await Connection.open(url, codec, username=name)
    checks.equal(one.socket.subprotocol, codec.name, "the subprotocol is settled")
    welcome = await one.push("welcome")
    checks.equal(welcome["name"], name, "the username header signs in")
    checks.that(len(bytes.fromhex(welcome["guestId"])) == 16, "a guest id has 128 bits", welcome)
    checks.that(welcome.get("resumeSecret"), "a resume secret comes with it", welcome)
    checks.that(lobby_of(welcome).get("epoch"), "the lobby has an epoch", welcome)
    checks.that(welcome["limits"]["textBytes"] == 65536, "the limits are told", welcome)

    name = fresh("query")
    two = await Connection.open(url, codec, query=name)
    checks.equal((await two.push("welcome"))["name"], name, "?username= signs in")

    name = fresh("hello")
    three = await Connection.open(url, codec)
    refused = error_of(await three.call(talk={"text": "who am I?"}))
    checks.equal(refused, (200, "sign_in_first", ""), "without a name there is no talking")
    answer = await three.call(hello={"name": name})
    checks.equal(answer.get("welcome", {}).get("name"), name, "Hello signs in")
    for connection in (one, two, three):
        await connection.close()


async def names(url, codec, checks):
    alice, welcome = await signed_in(url, codec, "alice")
    name, guest = welcome["name"], welcome["guestId"]
    other = await Connection.open(url, codec)
    code, word, _ = error_of(await other.call(hello={"name": name}))
    checks.equal((code, word), (201, "name_taken"), "a name that is online is taken")
    code, word, _ = error_of(await other.call(hello={"name": name.upper()}))
    checks.equal((code, word), (201, "name_taken"), "in capitals as well")
    code, word, _ = error_of(await other.call(hello={"name": "a:b"}))
    checks.equal((code, word), (202, "bad_name"), "a name has no colon")
    claim = {"name": name, "guestId": guest, "resumeSecret": "wrong"}
    code, word, _ = error_of(await other.call(hello=claim))
    checks.equal((code, word), (203, "bad_resume"), "a wrong secret is refused")
    claim["resumeSecret"] = welcome["resumeSecret"]
    again = (await other.call(hello=claim)).get("welcome", {})
    checks.equal((again.get("name"), again.get("guestId")), (name, guest), "the right one resumes")

    said = await alice.talk("to my other device")
    heard = await other.push("entry", lambda entry: entry["seq"] == said["seq"])
    checks.equal(heard["message"]["text"], "to my other device", "all devices hear it")
    await alice.close()
    await other.close()


async def talking(url, codec, checks):
    alice, _ = await signed_in(url, codec, "alice")
    # Listens in the other format: what one says in protobuf is heard in JSON.
    bob, _ = await signed_in(url, Proto if codec is Json else Json, "bob")
    name = (await alice.push("welcome"))["name"]
    for text in ("hello", "naïve 小明 😀 \0 \"quoted\" \\ \u2028 <b>", "x" * 65536):
        said = await alice.talk(text)
        heard = await bob.push("entry", lambda entry: entry["seq"] == said["seq"])
        checks.equal(heard["message"]["text"], text, f"{text[:20]!r} is heard byte for byte")
        checks.equal(heard["from"], name, "with its author")
        checks.equal(
            (heard["conversation"], heard.get("tag"), heard["at"]),
            ("lobby", said.get("tag"), said["at"]),
            "acknowledgement and entry agree",
        )
    seqs = [int(entry["seq"]) for entry in bob.entries()]
    checks.equal(seqs, list(range(seqs[0], seqs[0] + len(seqs))), "without a gap, in order")
    await alice.call(ping={})
    echoes = [one for one in alice.entries() if one["from"] == name]
    checks.equal(echoes, [], "who said it hears the acknowledgement only")

    checks.equal(await alice.call(typing={}), {"done": {}}, "typing is done")
    typed = await bob.push("typed", lambda typed: typed["from"] == name)
    checks.equal(typed["conversation"], "lobby", "and is told")
    checks.equal(await alice.call(ping={}), {"pong": {}}, "ping is answered by pong")
    await asyncio.wait_for(await alice.socket.ping(), 20)
    checks.that(True, "a WebSocket ping is answered as well")
    await alice.close()
    await bob.close()


async def people(url, codec, checks):
    alice, welcome = await signed_in(url, codec, "alice")
    checks.equal(await alice.call(watch={"names": []}), {"done": {}}, "watching nobody is done")
    bob, _ = await signed_in(url, codec, "bob")
    name = (await bob.push("welcome"))["name"]
    await alice.push("presence", lambda presence: name in presence.get("online", []))
    checks.that(True, "who comes is announced")
    users = (await alice.call(userList={}))["users"]
    checks.that({name, welcome["name"]} <= set(users["names"]), "the list has both", users)
    pages, after = [], ""
    while True:
        page = (await alice.call(userList={"after": after, "limit": 1}))["users"]
        pages += page.get("names", [])
        if not page.get("more"):
            break
        after = pages[-1]
    checks.that({name, welcome["name"]} <= set(pages), "so has the list in pages of one", pages)
    checks.equal(len(pages), len(set(pages)), "where nobody is listed twice")

    await bob.send({"exit": {}})
    checks.equal(await bob.closed(), 1000, "exit closes with 1000")
    users = (await alice.call(userList={}))["users"]
    checks.that(name not in users["names"], "and is off the list at once", users)
    await alice.push("presence", lambda presence: name in presence.get("offline", []))
    checks.that(True, "who goes is announced")
    await alice.close()


async def history(url, codec, checks):
    alice, welcome = await signed_in(url, codec, "alice")
    checks.that(lobby_of(welcome).get("durable"), "the lobby keeps what was said", welcome)
    said = [await alice.talk(f"line {number}") for number in range(5)]
    page = (await alice.call(history={"limit": 3}))["page"]
    texts = [entry["message"]["text"] for entry in page["entries"]]
    checks.equal(texts, ["line 2", "line 3", "line 4"], "without bounds the newest come")
    bounds = {"conversation": "lobby", "before": said[2]["seq"], "limit": 2}
    page = (await alice.call(history=bounds))["page"]
    texts = [entry["message"]["text"] for entry in page["entries"]]
    checks.equal(texts, ["line 0", "line 1"], "before a position, the newest of those")
    page = (await alice.call(history={"after": said[1]["seq"], "limit": 2}))["page"]
    texts = [entry["message"]["text"] for entry in page["entries"]]
    checks.equal(texts, ["line 2", "line 3"], "after a position, the oldest of those")
    page = (await alice.call(history={"limit": 4294967295}))["page"]
    seqs = [int(entry["seq"]) for entry in page["entries"]]
    checks.that(len(seqs) <= 100, "a page has at most 100 entries", len(seqs))
    checks.equal(seqs, list(range(seqs[0], seqs[0] + len(seqs))), "ascending and without a gap")
    await alice.close()


async def resuming(url, codec, checks):
    alice, _ = await signed_in(url, codec, "alice")
    bob, welcome = await signed_in(url, codec, "bob")
    claim = {
        "name": welcome["name"],
        "guestId": welcome["guestId"],
        "resumeSecret": welcome["resumeSecret"],
    }
    last = await alice.talk("the last that bob hears")
    await bob.push("entry", lambda entry: entry["seq"] == last["seq"])
    cursor = cursor_of(welcome, last)
    await bob.lose()
    missed = [await alice.talk(f"missed {number}") for number in range(5)]

    bob = await Connection.open(url, codec)
    answer = await bob.call(hello={**claim, "cursors": [cursor]})
    checks.equal(answer.get("welcome", {}).get("name"), claim["name"], "bob is back")
    live = await alice.talk("live again")
    await bob.push("entry", lambda entry: entry["seq"] == live["seq"])
    expected = [one["seq"] for one in (*missed, live)]
    # Others may talk at the same time; what was missed must be there once each, in order.
    found = [entry["seq"] for entry in bob.entries()]
    checks.equal([seq for seq in found if seq in expected], expected, "nothing lost or doubled")
    numbers = [int(seq) for seq in found]
    first = int(cursor["seq"]) + 1
    checks.equal(numbers, list(range(first, first + len(numbers))), "from the cursor on, no gap")
    await bob.close()

    for what, change in {
        "the epoch of another log": {"epoch": "0123456789abcdef"},
        "an epoch that is no epoch": {"epoch": "yesterday"},
        "another tag": {"tag": cursor["tag"] ^ 1},
        "a position beyond the head": {"seq": "9223372036854775807"},
    }.items():
        bob = await Connection.open(url, codec)
        await bob.call(hello={**claim, "cursors": [{**cursor, **change}]})
        reset = await bob.push("reset")
        checks.equal(reset["standing"]["conversation"], "lobby", f"{what} is reset")
        await bob.close()
    await alice.close()


async def once(url, codec, checks):
    alice, _ = await signed_in(url, codec, "alice")
    bob, _ = await signed_in(url, codec, "bob")
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    first = await alice.talk("only once", key=key)
    checks.that(not first.get("duplicate"), "the first time is no duplicate", first)
    second = await alice.talk("only once", key=key)
    checks.equal(second, {**first, "duplicate": True}, "the second is, with the same answer")
    code, word, _ = error_of(await alice.call(key=key, talk={"text": "something else"}))
    checks.equal((code, word), (403, "key_reused"), "another command under the key is refused")
    after = await alice.talk("after")
    await bob.push("entry", lambda entry: entry["seq"] == after["seq"])
    heard = [one for one in bob.entries() if one["message"]["text"] == "only once"]
    checks.equal(len(heard), 1, "and everybody heard it once")
    await alice.close()
    await bob.close()


async def wrong_input(url, codec, checks):
    alice, _ = await signed_in(url, codec, "alice")
    for command, expected in (
        ({"talk": {}}, (401, "text_empty", "talk.text")),
        ({"talk": {"text": " \n\t"}}, (401, "text_empty", "talk.text")),
        ({"talk": {"text": "x" * 65537}}, (402, "text_too_long", "talk.text")),
        ({"talk": {"to": "g:nowhere", "text": "x"}}, (300, "not_found", None)),
        ({"history": {"conversation": "g:nowhere"}}, (300, "not_found", None)),
        ({"history": {"before": str(2**63)}}, (400, "bad_request", "history.before")),
        ({"hello": {"name": "somebody else"}}, (204, "already_signed_in", None)),
    ):
        code, name, field = error_of(await alice.call(**command))
        field = field if expected[2] is not None else None
        checks.equal((code, name, field), expected, f"{expected[1]}: {str(command)[:50]}")
    checks.equal(await alice.call(ping={}), {"pong": {}}, "the connection lives")

    kind = "text" if codec is Json else "protobuf"
    for row in vectors("client.json"):
        if "error" not in row or kind not in row:
            continue
        payload = row["text"] if codec is Json else bytes.fromhex(row["protobuf"])
        seen = len(alice.pushes)
        await alice.socket.send(payload)
        checks.equal(await alice.call(ping={}), {"pong": {}}, f"alive after {row['name']}")
        told = [frame for frame in alice.pushes[seen:] if "error" in frame]
        expected = row["error"]
        fields = (expected["code"], expected["name"], expected.get("field", ""))
        found = [(frame.get("id", 0), *error_of(frame)) for frame in told]
        checks.equal(found, [(expected["id"], *fields)], f"refused: {row['name']}")
    await alice.close()


async def endings(url, codec, checks):
    alice, _ = await signed_in(url, codec, "alice")
    await alice.socket.send("x" * (80 * 1024 + 1), text=codec is Json)
    checks.equal(await alice.closed(), 1009, "a message over 80 KiB closes with 1009")
    bob, _ = await signed_in(url, codec, "bob")
    await bob.socket.send(b'{"id":1,"talk":{"text":"\xff"}}', text=True)
    checks.equal(await bob.closed(), 1007, "text that is not UTF-8 closes with 1007")


async def formats(url, checks):
    """What does not depend on the format, or is about choosing it."""
    one = await Connection.open(url, Json, username=fresh("json"), negotiate=False)
    checks.equal(one.socket.subprotocol, None, "without an offer no subprotocol is named")
    await one.push("welcome")
    checks.equal(await one.call(ping={}), {"pong": {}}, "and JSON is spoken")
    one.codec = Proto
    checks.equal(await one.call(ping={}), {"pong": {}}, "until the first binary frame")
    await one.close()
    for row in vectors("client.json"):
        if "json" in row:
            frame = json_format.ParseDict(row["json"], pb.ClientFrame())
            same = frame.SerializeToString(deterministic=True).hex() == row["protobuf"]
            checks.that(same, f"vector {row['name']}")
    for row in vectors("server.json"):
        frame = pb.ServerFrame.FromString(bytes.fromhex(row["protobuf"]))
        checks.equal(json_format.MessageToDict(frame), row["json"], f"vector {row['name']}")


async def main(url):
    checks = Checks()
    scenarios = (sign_in, names, talking, people, history, resuming, once, wrong_input, endings)
    runs = [(f"{codec.name} {scenario.__name__}: ", scenario, (url, codec, checks))
            for codec in (Json, Proto) for scenario in scenarios]
    runs.append(("formats: ", formats, (url, checks)))
    for checks.prefix, scenario, arguments in runs:
        try:
            await scenario(*arguments)
        except Exception as error:  # a scenario that cannot go on is one failure
            checks.that(False, "it went on to its end", error)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1])))
