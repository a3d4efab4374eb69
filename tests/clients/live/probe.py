"""The healthy pair: one says something ten times a second, the other hears it. Runs as a process of its own, so that what the
attackers cost this machine's Python does not count as the server's latency; prints one line of JSON when its input ends.

Latency is counted from the moment a message was due, for the acknowledgement and for the listener alike.
"""

import asyncio
import json
import sys
import time

from websockets.asyncio.client import connect

EVERY = 0.1


class Pair:
    def __init__(self, url, names):
        self.url, self.names = url, names
        self.due, self.acked, self.heard = {}, {}, {}
        self.order, self.errors = [], []

    async def run(self):
        talker = await connect(f"{self.url}?username={self.names[0]}", compression=None, ping_interval=None)
        listener = await connect(f"{self.url}?username={self.names[1]}", compression=None, ping_interval=None)
        await listener.recv()
        await talker.recv()
        print("ready", flush=True)
        tasks = [asyncio.create_task(one) for one in (self.read_acks(talker), self.listen(listener), self.talk(talker))]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
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
            due = began + n * EVERY
            await asyncio.sleep(max(0, due - time.monotonic()))
            self.due[n] = due
            await talker.send(json.dumps({"id": n, "talk": {"text": f"probe {n}"}}))

    async def read_acks(self, talker):
        try:
            async for message in talker:
                frame = json.loads(message)
                if "talked" in frame:
                    self.acked[frame["id"]] = time.monotonic()
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
        late = [
            (table.get(n, float("inf")) - due) * 1000 for n, due in self.due.items() for table in (self.acked, self.heard)
        ]
        late.sort()
        at = lambda share: round(late[min(len(late) - 1, int(share * len(late)))], 1) if late else None
        lost = sum(n not in table for n in self.due for table in (self.acked, self.heard))
        gaps = sum(b != a + 1 for a, b in zip(self.order, self.order[1:]))
        known = [ms for ms in late if ms != float("inf")]
        return {
            "said": len(self.due), "lost": lost, "gaps": gaps, "errors": self.errors[:5],
            "p50": at(0.5), "p99": at(0.99), "max": round(max(known, default=0), 1),
        }


if __name__ == "__main__":
    asyncio.run(Pair(sys.argv[1], sys.argv[2:4]).run())
