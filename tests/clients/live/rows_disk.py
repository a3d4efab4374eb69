"""The disk under it: full, and failing. What was acknowledged is there, and what is not there was not acknowledged."""

import base64
import glob
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager

from checks import MIB, Oracle
from server import UNLIMITED, Server, injected
from wire import Ended, join

TEXT = "x" * 8000
# Seconds from the first free byte to the next acknowledgements.
AGAIN_WITHIN = 3


def disk_full(check, kith):
    """Row 33: the data folder's disk fills up, and is freed: errors, never a wrong acknowledgement; no restart is needed."""
    if os.geteuid() != 0:
        return check("a disk of its own can be made", False, "wants root")
    settings = (*UNLIMITED, "lobby.keep=0")
    # At which write it is full, in the log or in copying it into the database, depends on the size.
    for mib in check.size("disk full: MiB of each disk"):
        with small_disk(mib) as disk:
            ballast = os.path.join(disk, "ballast")
            with open(ballast, "wb") as file:
                file.write(bytes(mib * MIB // 3))
            server = Server(kith, settings, data=os.path.join(disk, "data"))
            with Oracle(check, server, refusals=("store_failed",)):
                fill(check, server, ballast)
            status = server.stop()
            check("it ends in order", status == 0, status)
            check("SQLite finds no fault with its file", integrity(server.data) == ["ok"], integrity(server.data))
    return None


def fill(check, server, ballast):
    """Four say 8 KiB at a time until nothing fits, for a while longer, and again when there is room."""
    ledger = Ledger(server.port, 4)
    ledger.run(30, until=lambda: ledger.refused)
    check("it fills up", bool(ledger.refused) and len(ledger.acked) > 10, f"{len(ledger.acked)} acknowledged before")
    full_from = time.monotonic()
    ledger.run(check.size("disk full: seconds full"), pause=0.02)
    names = {name for name, _ in ledger.refused.values()}
    check("who talks is told that it was not stored, for now", names == {"store_failed"} and all(
        temporary for _, temporary in ledger.refused.values()), f"{len(ledger.refused)} times, {names}")
    with join(server.port, "reader") as reader:
        answer = reader.ask(1, history={"limit": 10})
    check("who comes in now can read what is there", len(answer.get("page", {}).get("entries", [])) == 10,
          answer.get("error", ""))
    lines = [line for line in server.lines if "the store fails" in line]
    # Where the last page is used up, a short message may still fit where a long one did not.
    check("it is said loudly, but not of each", 1 <= len(lines) <= 5, f"{len(lines)} lines: {lines[:1]}")
    os.remove(ballast)
    freed, before = time.monotonic(), len(ledger.acked)
    ledger.run(AGAIN_WITHIN, until=lambda: len(ledger.acked) >= before + 8, pause=0.02)
    check(f"with room again it takes talk again within {AGAIN_WITHIN} s, without a restart", len(ledger.acked) >= before + 8,
          f"{(time.monotonic() - freed) * 1000:.0f} ms, after {freed - full_from:.1f} s")
    check("which is said as well", any("the store works again" in line for line in server.lines))
    ledger.close()
    check_stored(check, server.data, ledger.acked, ledger.refused)


class Ledger:
    """Some who talk, each waiting for its answer, and what they were told: text -> position, and text -> (error, for now?)."""

    def __init__(self, port, talkers, text=TEXT):
        self.acked, self.refused, self.text = {}, {}, text
        # Nobody knows what became of these: text -> what its sender needs to ask again.
        self.open, self.unknown = {}, 0
        self.wires = [join(port, f"writer{n}") for n in range(talkers)]

    def run(self, seconds, until=lambda: False, pause=0):
        end = time.monotonic() + seconds

        def talk(wire, number):
            count = 0
            try:
                while time.monotonic() < end and not until():
                    count += 1
                    self.say(wire, f"w{number}-{end:.3f}-{count} {self.text}", count)
                    time.sleep(pause)
            except (Ended, OSError):
                pass  # What it had asked stays open.

        threads = [threading.Thread(target=talk, args=(wire, n)) for n, wire in enumerate(self.wires)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def say(self, wire, text, number):
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.open[text] = wire.welcome, key
        answer = wire.ask(number, key=key, talk={"text": text})
        name = answer.get("error", {}).get("name")
        if "talked" in answer:
            self.acked[text] = int(answer["talked"]["seq"])
        elif name != "store_unknown":
            self.refused[text] = name, answer["error"].get("temporary", False)
        else:
            self.unknown += 1
            return
        del self.open[text]

    def close(self):
        for wire in self.wires:
            wire.close()


def check_stored(check, data, acked, refused):
    """The ledger against what is in the file."""
    (path,) = glob.glob(os.path.join(data, "*.db"))
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT body, seq FROM entry ORDER BY seq").fetchall()
    stored, seqs = dict(rows), [seq for _, seq in rows]
    lost = [text[:20] for text, seq in acked.items() if stored.get(text) != seq]
    wrong = [text[:20] for text in refused if text in stored]
    check("all that was acknowledged is on the disk, at its place, and nothing that was refused", not lost and not wrong,
          f"{len(acked)} acknowledged, {len(refused)} refused, lost {lost[:3]}, stored all the same {wrong[:3]}")
    texts = [text for text, _ in rows if text.startswith("w")]
    check("without a hole, and nothing twice", seqs == list(range(seqs[0], seqs[0] + len(seqs))) and len(texts) == len(set(texts)),
          f"{len(rows)} entries")


def integrity(data):
    (path,) = glob.glob(os.path.join(data, "*.db"))
    with sqlite3.connect(path) as database:
        return [row[0] for row in database.execute("PRAGMA integrity_check")]


@contextmanager
def small_disk(mib):
    """A folder on a disk of its own that holds so much."""
    folder = tempfile.mkdtemp(prefix="kith-live-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)
        os.rmdir(folder)


def fsync_fails(check, kith):
    """Row 35: flushing to the disk fails (EIO): no acknowledgement for it, loud, the process ends; the next start is whole."""
    for what, talkers in (("one who talks", 1), ("50 who talk at once", 50)):
        data = tempfile.mkdtemp(prefix="kith-live-")
        server = Server(kith, UNLIMITED, data=data)
        ledger = Ledger(server.port, talkers, "x" * 100)
        # The first commit flushes the head of the log as well.
        ledger.run(5, until=lambda: len(ledger.acked) >= 10)
        before = len(ledger.acked)
        with injected(server, "fdatasync,fsync", "EIO", "when=5"):
            ledger.run(30)
            status = server.wait(10)
        failed(check, what, server, status)
        after = len(ledger.acked) - before
        names = {name for name, _ in ledger.refused.values()}
        check(f"{what}: four flushes were acknowledged, the fifth was not", (after == 4 if talkers == 1 else after >= 4)
              and len(ledger.open) > 0, f"{after} acknowledged; {len(ledger.open)} open, {ledger.unknown} of them told so")
        check(f"{what}: what was not begun was refused as that", names <= {"store_failed", "stopping", "busy"}, names or "nobody")
        again = Server(kith, UNLIMITED, data=data)
        with Oracle(check, again):
            ask_again(check, again, ledger, what)
            time.sleep(1)
        again.stop()
        check(f"{what}: SQLite finds no fault with its file", integrity(data) == ["ok"], integrity(data))
        check_stored(check, data, ledger.acked, ledger.refused)
        ledger.close()
        shutil.rmtree(data, ignore_errors=True)


def failed(check, what, server, status):
    check(f"{what}: the process ends by itself, with 1", status == 1, status)
    loud = [line for line in server.lines if " ERROR " in line or line.startswith("error")]
    check(f"{what}: and says why, without a panic", bool(loud) and not server.panics(), loud[:2])


def ask_again(check, server, ledger, what):
    """Whoever does not know asks under the same key, and is told where it stands: once, whether it was there or not."""
    known = 0
    for text, (welcome, key) in list(ledger.open.items()):
        with join(server.port) as wire:
            wire.ask(1, hello={"name": welcome["name"], "guestId": welcome["guestId"], "resumeSecret": welcome["resumeSecret"]})
            talked = wire.ask(2, key=key, talk={"text": text}).get("talked")
            if talked:
                known += talked.get("duplicate", False)
                ledger.acked[text] = int(talked["seq"])
                del ledger.open[text]
    check(f"{what}: who asks again under the same key is told", not ledger.open, f"{known} were there already")


ROWS = {"disk_full": disk_full, "fsync_fails": fsync_fails}
