"""The healthy pair: one says something ten times a second, the other hears it. Runs as a process of its own, so that what the
attackers cost this machine's Python does not count as the server's latency; prints one line of JSON when its input ends. A line
of input begins a phase, which is reported for itself as well.

    probe.py URL TALKER LISTENER [SECONDS [REFUSAL ...]]

Every so many seconds something is said (0.1); a refusal by one of these names is an answer, and nobody has to hear what was
refused.

Latency is counted from the moment a message was due, for the acknowledgement and for the listener alike.
"""

import asyncio
import json
import sys
import time

from websockets.asyncio.client import connect

class Pair:
    def __init__(self, url, names, every=0.1, refusals=()):
        self.url, self.names, self.every, self.refusals = url, names, every, refusals
        self.due, self.acked, self.heard = {}, {}, {}
        self.refused, self.phase, self.phases = set(), None, {}
        self.order, self.errors = [], []

    async def run(self):
        talker = await connect(f"{self.url}?username={self.names[0]}", compression=None, ping_interval=None)
        listener = await connect(f"{self.url}?username={self.names[1]}", compression=None, ping_interval=None)
        await listener.recv()
        await talker.recv()
        print("ready", flush=True)
        tasks = [asyncio.create_task(one) for one in (self.read_acks(talker), self.listen(listener), self.talk(talker))]
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            self.phase = line.strip()
        tasks[2].cancel()
        # What is under way has the same second as everything else.
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        print(json.dumps(self.report()), flush=True)

    async def talk(self, talker):
        began, n = time.monotonic(), 0
        while True:
            n += 1
            due = began + n * self.every
            await asyncio.sleep(max(0, due - time.monotonic()))
            self.due[n] = due
            if self.phase is not None:
                self.phases.setdefault(self.phase, []).append(n)
            await talker.send(json.dumps({"id": n, "talk": {"text": f"probe {n}"}}))

    async def read_acks(self, talker):
        try:
            async for message in talker:
                frame = json.loads(message)
                if "talked" in frame:
                    self.acked[frame["id"]] = time.monotonic()
                elif frame.get("error", {}).get("name") in self.refusals:
                    self.acked[frame["id"]] = time.monotonic()
                    self.refused.add(frame["id"])
                elif "error" in frame:
                    self.errors.append(frame["error"]["name"])
        except Exception as error:  # noqa: BLE001 - whatever ended it is what the report is about
            self.errors.append(f"talker: {error}")

    async def listen(self, listener):
        try:
            async for message in listener:
                entry = json.loads(message).get("entry")
                text = entry["message"]["text"] if entry else ""
                if entry:
                    self.order.append(int(entry["seq"]))
                if text.startswith("probe ") and entry["from"] == self.names[0]:
                    self.heard[int(text[6:])] = time.monotonic()
        except Exception as error:  # noqa: BLE001
            self.errors.append(f"listener: {error}")

    def report(self):
        gaps = sum(b != a + 1 for a, b in zip(self.order, self.order[1:]))
        return {
            **self.figures(self.due), "refused": len(self.refused), "gaps": gaps, "errors": self.errors[:5],
            "phases": {name: self.figures(numbers) for name, numbers in self.phases.items()},
        }

    def figures(self, numbers):
        """How late these messages were, in milliseconds, for who said them and for who heard them."""
        never = float("inf")
        late = [self.acked.get(n, never) - self.due[n] for n in numbers]
        late += [self.heard.get(n, never) - self.due[n] for n in numbers if n not in self.refused]
        late = sorted(seconds * 1000 for seconds in late)
        known = [ms for ms in late if ms != never]
        at = lambda share: round(late[min(len(late) - 1, int(share * len(late)))], 1) if late else None
        return {
            "said": len(numbers), "lost": len(late) - len(known),
            "p50": at(0.5), "p99": at(0.99), "max": round(max(known, default=0), 1),
        }


if __name__ == "__main__":
    url, talker, listener, *more = sys.argv[1:]
    asyncio.run(Pair(url, (talker, listener), float((more or ["0.1"])[0]), more[1:]).run())
