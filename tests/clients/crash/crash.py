"""Kills a server again and again while people talk, and checks that nothing they were promised is
gone: `crash.py --server target/release/kith --kills 20`.

Every talk has a key. What was not acknowledged is sent again under the same key, by the same guest
on a new connection. Everybody reads everything, from where they stopped. The exit status is 1 if
anything acknowledged is lost, anything is there twice, anybody missed an entry, SQLite finds fault
with its file, or a start took two seconds.

So that something is at stake at every kill, half of the guests go deaf a moment before it, as if the
network had lost the server's answers, and then everybody says one more thing at once.
"""

import argparse
import asyncio
import base64
import json
import random
import secrets
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from ledger import Ledger, Position

READY_BOUND = 2.0
# A server answers 64 commands of a session at a time and leaves the rest unread; this is below.
IN_FLIGHT = 48
# How long a kill waits at most for what puts something at stake.
PATIENCE = 2.0
GONE = (OSError, WebSocketException, InvalidHandshake, EOFError, asyncio.TimeoutError)


class Server:
    """The process under test: started, killed, started on the same folder."""

    def __init__(self, program: Path, folder: Path):
        self.program = program
        self.folder = folder
        self.process = None
        self.address = None
        self.up = asyncio.Event()
        self.log = []

    async def spawn(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            self.program,
            "--listen=127.0.0.1:0",
            f"--data={self.folder / 'data'}",
            "--set=limits.talk_rate=0",
            "--set=limits.address_talk_rate=0",
            "--set=lobby.keep=0",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
        )

    async def ready(self) -> None:
        """Waits for the port in the log, then for 200 from /readyz."""
        async for line in self.process.stdout:
            self.log.append(line.decode())
            if b"listening on http://" in line:
                self.address = line.decode().split("listening on http://")[1].split("/")[0]
                break
        else:
            raise RuntimeError("the server ended: " + "".join(self.log[-5:]))
        self.reader = asyncio.create_task(self.read_log(self.process))
        while not await self.answers():
            if self.process.returncode is not None:
                raise RuntimeError("the server ended: " + "".join(self.log[-5:]))
        self.up.set()

    async def read_log(self, process) -> None:
        async for line in process.stdout:
            self.log.append(line.decode())
            del self.log[:-100]

    async def answers(self) -> bool:
        host, port = self.address.split(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
            request = f"GET /readyz HTTP/1.1\r\nHost: {self.address}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            status = await asyncio.wait_for(reader.readline(), 5)
            writer.close()
            return status.startswith(b"HTTP/1.1 200 ")
        except GONE:
            return False

    async def kill(self) -> None:
        self.up.clear()
        self.process.kill()
        await self.process.wait()


class Client:
    """One guest, over as many connections as it takes."""

    def __init__(self, number: int, server: Server, ledger: Ledger, rate: float):
        self.name = f"guest-{number}"
        self.server = server
        self.ledger = ledger
        self.rate = rate
        self.position = Position(self.name, ledger)
        self.guest = {}
        self.epoch = None
        self.talking = True
        # Takes no frame until the next connection, so that the server may know what this does not.
        self.deaf = False
        self.socket = None
        self.serial = 0
        # Not acknowledged yet: text -> key. Dictionaries keep the order in which it was said.
        self.open = {}
        # Of this connection: id of the frame -> text.
        self.asked = {}
        self.ids = 0
        self.welcomed = asyncio.Event()

    async def run(self) -> None:
        while True:
            await self.server.up.wait()
            try:
                url = f"ws://{self.server.address}/ws"
                async with connect(
                    url, subprotocols=["kith.v1.json"], compression=None, ping_interval=None
                ) as socket:
                    await self.attend(socket)
            except GONE:
                # The server is up for a moment longer than it lives.
                await asyncio.sleep(0.01)

    async def attend(self, socket) -> None:
        self.asked.clear()
        self.welcomed.clear()
        self.deaf, self.socket = False, socket
        hello = {"name": self.name, **self.guest}
        if self.epoch:
            hello["cursors"] = [
                {
                    "conversation": "lobby",
                    "epoch": self.epoch,
                    "seq": str(self.position.reached),
                    "tag": self.position.tag,
                }
            ]
        await socket.send(json.dumps({"id": 1, "hello": hello}))
        self.ids = 1
        talker = asyncio.create_task(self.talk(socket))
        try:
            async for frame in socket:
                if not self.deaf:
                    self.take(json.loads(frame))
        finally:
            talker.cancel()

    async def talk(self, socket) -> None:
        await self.welcomed.wait()
        for text, key in list(self.open.items()):
            self.ledger.sent_again += 1
            await self.say(socket, text, key)
        due = time.monotonic() + random.random() / self.rate
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += 1 / self.rate
            if self.talking and len(self.open) < IN_FLIGHT:
                await self.say_something(socket)

    async def say_something(self, socket) -> str:
        self.serial += 1
        size = random.choice((0, 20, 200, 2000))
        text = f"{self.name} {self.serial} {'x' * random.randint(0, size)}"
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.open[text] = key
        await self.say(socket, text, key)
        return text

    async def say(self, socket, text: str, key: str) -> None:
        self.ids += 1
        self.asked[self.ids] = text
        await socket.send(json.dumps({"id": self.ids, "key": key, "talk": {"text": text}}))

    def take(self, frame: dict) -> None:
        if "welcome" in frame:
            self.welcome(frame["welcome"])
        elif "entry" in frame:
            entry = frame["entry"]
            text = entry["message"]["text"]
            self.position.entry(int(entry["seq"]), entry.get("tag", 0), text)
        elif "talked" in frame:
            talked = frame["talked"]
            seq, text = int(talked["seq"]), self.asked.pop(frame["id"])
            duplicate = talked.get("duplicate", False)
            self.ledger.told(seq, text, duplicate)
            if not duplicate:
                self.position.talked(seq, talked.get("tag", 0))
            self.open.pop(text, None)
        elif "error" in frame:
            # A refusal that is not for good is what sending again is for, and that comes with the
            # next connection.
            if not frame["error"].get("temporary"):
                self.ledger.fault(f"refused: {self.name}: {frame}")
        elif "hole" in frame or "reset" in frame:
            self.ledger.fault(f"hole: {self.name} was told {frame}")

    def welcome(self, welcome: dict) -> None:
        lobby = next(c for c in welcome["conversations"] if c["conversation"] == "lobby")
        if self.epoch is None:
            self.position.reached = int(lobby.get("head", 0))
            self.position.tag = lobby.get("tag", 0)
        elif self.epoch != lobby["epoch"]:
            self.ledger.fault(f"lost: {self.name} found another epoch")
        self.epoch = lobby["epoch"]
        self.guest = {"guestId": welcome["guestId"], "resumeSecret": welcome["resumeSecret"]}
        self.welcomed.set()


async def read_log(server: Server) -> list[tuple[int, str]]:
    """The whole log, by somebody who was not there."""
    log = []
    url = f"ws://{server.address}/ws?username=historian"
    async with connect(url, subprotocols=["kith.v1.json"], compression=None) as socket:
        for number in range(1, 2**31):
            # Without a bound the newest come, and then what is before the oldest so far.
            ask = {"before": str(log[0][0])} if log else {}
            await socket.send(json.dumps({"id": number, "history": ask}))
            while (answer := json.loads(await socket.recv())).get("id") != number:
                pass
            entries = answer["page"].get("entries", [])
            log[:0] = [(int(entry["seq"]), entry["message"]["text"]) for entry in entries]
            if not entries or log[0][0] == 1:
                return log
            # The default allows a session 50 commands a second.
            await asyncio.sleep(0.02)


async def stake(clients: list[Client], ledger: Ledger, patient: bool) -> None:
    """Leaves talks behind that were not acknowledged. To be patient is to wait for as much as shows
    that the log has some of them: an answer to somebody who spoke after the deaf ones. Otherwise
    the kill may come at any point of their way there."""
    if patient:
        welcomes = [asyncio.ensure_future(client.welcomed.wait()) for client in clients]
        _, late = await asyncio.wait(welcomes, timeout=PATIENCE)
        for welcome in late:
            welcome.cancel()
    present = [client for client in clients if client.welcomed.is_set()]
    deaf = random.sample(present, len(present) // 2)
    for client in deaf:
        client.deaf = True
    said = []
    for client in deaf + [client for client in present if not client.deaf]:
        try:
            said.append(await client.say_something(client.socket))
        except GONE:
            continue
    deadline = time.monotonic() + PATIENCE
    while patient and time.monotonic() < deadline:
        if any(text in ledger.acknowledged for text in said):
            break
        await asyncio.sleep(0.001)
    await asyncio.sleep(random.uniform(0, 0.004))


async def run(args, folder: Path) -> tuple[Ledger, list[float], int, list[tuple[int, str]]]:
    server, ledger = Server(Path(args.server).resolve(), folder), Ledger()
    clients = [Client(n, server, ledger, args.rate / args.clients) for n in range(args.clients)]
    await server.spawn()
    await server.ready()
    tasks = [asyncio.create_task(client.run()) for client in clients]
    starts, early, caught = [], 0, 0
    for kill in range(args.kills):
        await asyncio.sleep(random.uniform(0.05, args.longest))
        await stake(clients, ledger, patient=kill % 2 == 0)
        caught += sum(len(client.open) for client in clients)
        await server.kill()
        # Now and then once more before it is ready, while it still repairs.
        while random.random() < 0.15:
            await server.spawn()
            await asyncio.sleep(random.uniform(0, 0.03))
            await server.kill()
            early += 1
        started = time.monotonic()
        await server.spawn()
        await server.ready()
        starts.append(time.monotonic() - started)
        if (kill + 1) % 10 == 0:
            print(f"{kill + 1} kills, {len(ledger.acknowledged)} talks acknowledged", flush=True)
    for client in clients:
        client.talking = False
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        head = max(ledger.text_at, default=0)
        if all(not c.open and c.position.reached == head for c in clients):
            break
        await asyncio.sleep(0.05)
    for client in clients:
        if client.open or client.position.reached != head:
            ledger.fault(
                f"hole: {client.name} stands at {client.position.reached} of {head}, "
                f"with {len(client.open)} talks unanswered"
            )
    log = await read_log(server)
    ledger.settle(log)
    for task in tasks:
        task.cancel()
    server.process.terminate()
    if await asyncio.wait_for(server.process.wait(), 15) != 0:
        ledger.fault("the last stop was not in order")
    print(f"{args.kills} kills when ready, {early} before, {caught} talks unanswered at a kill")
    return ledger, starts, caught, log


def integrity(folder: Path) -> str:
    """What SQLite thinks of its files."""
    verdicts = []
    for file in sorted((folder / "data").iterdir()):
        if file.is_file() and file.read_bytes()[:15] == b"SQLite format 3":
            with sqlite3.connect(file) as database:
                verdicts += [row[0] for row in database.execute("pragma integrity_check")]
    return ", ".join(verdicts) or "no database found"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", required=True, help="the program")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=500, help="talks per second, of all")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--longest", type=float, default=1.5, help="seconds between kills, at most")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kith-crash-"))
    began = time.monotonic()
    bound = 120 + args.kills * (args.longest + 2 * PATIENCE + 3 * READY_BOUND)
    ledger, starts, caught, log = asyncio.run(asyncio.wait_for(run(args, folder), bound))
    verdict = integrity(folder)
    slowest = max(starts)
    took = time.monotonic() - began
    print(f"acknowledged          {len(ledger.acknowledged)}, of {len(log)} in the log")
    print(f"sent again            {ledger.sent_again}, {ledger.duplicates} known to the server")
    for kind in ("lost", "doubled", "hole", "repeated", "changed", "refused"):
        print(f"{kind:21} {ledger.count(kind)}")
    print(f"integrity check       {verdict}")
    print(
        f"start to ready        median {statistics.median(starts) * 1000:.0f} ms, "
        f"most {slowest * 1000:.0f} ms; {READY_BOUND * 1000:.0f} ms allowed"
    )
    print(f"took                  {took:.0f} s")
    failures = list(ledger.wrong)
    if verdict != "ok":
        failures.append(f"integrity: {verdict}")
    if slowest > READY_BOUND:
        failures.append("a start took too long")
    # A run in which nothing was at stake proves nothing.
    if not caught or not ledger.duplicates or len(log) < 20 * args.kills:
        failures.append("too little was going on when the server was killed")
    for line in failures[:20]:
        print("FAIL", line[:150])
    if failures:
        print(f"{len(failures)} faults; the data is in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
