"""The process around it: starts that cannot work, a log that nobody reads, a clock that jumps."""

import glob
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

from checks import NOISE_MS, Oracle
from crowd import Crowd
from server import UNLIMITED, Server, free_port
from wire import join, said


def quiet(check, kith):
    """No attack at all: what the healthy pair waits for on this machine as it is now. The other rows are allowed it on top."""
    server = Server(kith)
    check.noise = NOISE_MS
    with Oracle(check, server) as oracle:
        time.sleep(5)
    check.noise = min(NOISE_MS, oracle.report.get("p99") or NOISE_MS)
    server.stop()


def starts(check, kith):
    """Row 41: a start that cannot work ends within 2 s, with a status that is not 0 and one clear line."""
    server = Server(kith)
    folder = tempfile.mkdtemp(prefix="kith-live-")
    try:
        for what, words, status, said_so, run_as in impossible(server, folder):
            began = time.monotonic()
            try:
                done = subprocess.run([kith, *words], capture_output=True, text=True, timeout=10, cwd=folder, preexec_fn=run_as)
            except subprocess.TimeoutExpired:
                check(what, False, "goes on for 10 s")
                continue
            took = time.monotonic() - began
            lines = done.stderr.strip().splitlines()
            fits = done.returncode == status and took <= 2 and any(said_so in line for line in lines)
            clear = len(lines) == 1 or status == 2  # clap adds a line about the usage
            check(f"{what}: status {status} within 2 s, and says why", fits and clear and "panicked" not in done.stderr,
                  f"{done.returncode} after {took * 1000:.0f} ms: {lines[0] if lines else done.stdout[-200:]!r}"
                  + (f" (+{len(lines) - 1} lines)" if len(lines) > 1 else ""))
        with join(server.port, "unmoved") as wire:
            check("the server that was there is not disturbed", "talked" in wire.ask(1, talk={"text": "hello"}))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def impossible(server, folder):
    """(what, arguments, status, a word of the reason, what to do before it runs)"""
    def made(name, then):
        path = os.path.join(folder, name)
        then(path)
        return path

    def words(*more, data=None, port=None):
        return ["--listen", f"127.0.0.1:{port or free_port()}", "--data", data or os.path.join(folder, "fresh"), *more]

    def text_database(path):
        os.mkdir(path)
        with open(os.path.join(path, "kith.db"), "w") as file:
            file.write("this is not a database, but long enough to be taken for one\n" * 100)

    def foreign(path):
        os.mkdir(path)
        with sqlite3.connect(os.path.join(path, "kith.db")) as database:
            database.execute("CREATE TABLE somebody_elses (a)")

    def newer(path):
        other = Server(server.kith, data=path)
        other.stop()
        with sqlite3.connect(glob.glob(os.path.join(path, "*.db"))[0]) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version + 1}")
            tables = database.execute("SELECT name FROM sqlite_schema WHERE name = 'refinery_schema_history'").fetchall()
            if tables:
                database.execute("INSERT INTO refinery_schema_history (version, name, applied_on, checksum)"
                                 " VALUES (?, 'later', '2030-01-01T00:00:00Z', '1')", (version + 1,))

    def truncated(path):
        other = Server(server.kith, data=path)
        other.stop()
        with open(os.path.join(path, "kith.db"), "r+b") as file:
            file.truncate(5000)

    def config(name, text):
        return ["--config", made(name, lambda path: open(path, "w").write(text))]

    fresh = lambda name: os.path.join(folder, name)
    yield "port in use", words(port=server.port), 1, "in use", None
    yield "second server on the same folder", words(data=server.data), 1, server.data, None
    yield "the data folder is a file", words(data=made("file", lambda path: open(path, "w").close())), 1, "file", None
    yield "the data folder cannot be made", words(data="/proc/kith"), 1, "/proc/kith", None
    if os.getuid() == 0 and os.access(os.path.dirname(server.kith), os.X_OK):
        os.chmod(folder, 0o755)
        guarded = made("guarded", os.mkdir)
        yield "the data folder is not writable", words(data=guarded), 1, "guarded", lambda: os.setuid(65534)
    elif os.getuid() != 0:
        yield "the data folder is not writable", words(data=made("guarded", lambda path: os.mkdir(path, 0o500))), 1, "guarded", None
    yield "not a database", words(data=made("text", text_database)), 1, "kith.db", None
    yield "somebody else's database", words(data=made("foreign", foreign)), 1, "kith.db", None
    yield "a newer schema", words(data=made("newer", newer)), 1, "newer", None
    yield "a database cut short", words(data=made("short", truncated)), 1, "kith.db", None
    yield "an address that is not ours", ["--listen", "192.0.2.1:9091", "--data", fresh("a")], 1, "192.0.2.1", None
    yield "no address", ["--listen", "nonsense", "--data", fresh("b")], 1, "listen", None
    yield "a port beyond the range", ["--listen", "127.0.0.1:99999", "--data", fresh("c")], 1, "listen", None
    yield "an unknown flag", ["--lisen", "127.0.0.1:1"], 2, "--lisen", None
    yield "an unknown command", ["sreve"], 2, "sreve", None
    yield "an unknown setting", words("--set", "lobby.kep=5"), 1, "lobby.kep", None
    yield "a value of the wrong kind", words("--set", "lobby.keep=many"), 1, "lobby.keep", None
    yield "a value out of range", words("--set", "limits.connections=0"), 1, "limits.connections", None
    yield "a configuration that is not there", words("--config", fresh("nowhere.toml")), 1, "nowhere.toml", None
    yield "a configuration that is no TOML", words(*config("bad.toml", "listen = [\n")), 1, "bad.toml", None
    yield "an unknown key in the configuration", words(*config("key.toml", "[lobby]\nkep = 5\n")), 1, "kep", None
    yield "a bad value in the configuration", words(*config("value.toml", "[lobby]\nkeep = \"x\"\n")), 1, "lobby.keep", None


def pipes(check, kith):
    """`kith | head -1`: a log whose reader has gone, or stands still, does not stop the server."""
    folder = tempfile.mkdtemp(prefix="kith-live-")
    port = free_port()
    process = subprocess.Popen([kith, "--data", folder, "--listen", f"127.0.0.1:{port}", "--set", "limits.talk_rate=0",
                                "--set", "limits.address_talk_rate=0", "--set", "limits.command_rate=0"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = process.stdout.readline()
    while b"listening" not in line and line:
        line = process.stdout.readline()
    # Nobody reads: a pipe takes 64 KiB, then whoever writes to it waits.
    with join(port, "unheard") as wire:
        answers = talk_much(wire, 2000)
        check("nobody reads the log: 2,000 messages are acknowledged all the same", answers == 2000, answers)
        process.stdout.close()
        answers = talk_much(wire, 500)
        check("the reader of the log has gone: 500 more", answers == 500 and process.poll() is None, answers)
    process.stderr.close()
    with join(port, "unheard-too") as wire:
        check("standard error is gone too", talk_much(wire, 100) == 100)
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        code = None
    check("and SIGTERM ends it with 0", code == 0, code)
    shutil.rmtree(folder, ignore_errors=True)


def talk_much(wire, count):
    answers = 0
    for begin in range(0, count, 50):
        wire.send(b"".join(said({"id": begin + n + 1, "talk": {"text": f"message {begin + n}"}}) for n in range(50)))
        for message in wire.messages():
            answers += "talked" in message
            if message.get("id") == begin + 50:
                break
    return answers


def clock(check, kith):
    """Row 36: the wall clock jumps a day ahead, two days back, before 1970 and to 2100 while many talk (libfaketime)."""
    found = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))
    if not found:
        return check("libfaketime is installed", False, "apt-get install faketime")
    folder = tempfile.mkdtemp(prefix="kith-live-")
    path = os.path.join(folder, "time")
    set_to(path, "+0")
    server = Server(kith, UNLIMITED, env={"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": path, "FAKETIME_NO_CACHE": "1",
                                          "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"})
    with Oracle(check, server):
        crowd = Crowd(server.port, check.size("clock: clients"), check.size("clock: messages a second"), "crowd")
        with join(server.port, "traveller") as wire:
            travel(check, wire, crowd, path)
        crowd.run(2, until=lambda: len(crowd.acked()) == crowd.said())
        acked, there = crowd.acked(), sum(member.open for member in crowd.members)
        check("nobody was disconnected, whatever the year", there == len(crowd.members) and server.metric("cut_total") == 0,
              f"{there} of {len(crowd.members)} still there")
        check("whatever the crowd said was taken, each at a place of its own", len(acked) == crowd.said() > 0
              and len(set(acked.values())) == len(acked), f"{len(acked)} of {crowd.said()}")
        in_order = all([m.acked[id] for id in sorted(m.acked)] == sorted(m.acked.values()) for m in crowd.members)
        check("and in the order in which each said it", in_order)
        crowd.close()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
    return None


def travel(check, wire, crowd, path):
    """Says one thing in each year, while the crowd talks."""
    seqs, years = [], []
    for n, jump in enumerate(("+0", "+1d", "-1d", "+0", "-60y", "+74y", "+0")):
        set_to(path, jump)
        crowd.run(check.size("clock: seconds of each time"))
        talked = wire.ask(n + 1, talk={"text": jump})["talked"]
        seqs.append(int(talked["seq"]))
        years.append(talked["at"][:10])
    check("the clock jumped for the server", len(set(years)) >= 4, years)
    check("positions go on in order all the same", seqs == sorted(seqs) and len(set(seqs)) == len(seqs), seqs)
    page = wire.ask(100, history={"limit": 100, "before": str(seqs[-1] + 1)})["page"]["entries"]
    order = [int(one["seq"]) for one in page]
    check("history is in order of positions", order == list(range(order[0], seqs[-1] + 1)), f"{order[0]} to {order[-1]}")


def set_to(path, text):
    with open(path + "~", "w") as file:
        file.write(text + "\n")
    os.rename(path + "~", path)


ROWS = {"quiet": quiet, "starts": starts, "pipes": pipes, "clock": clock}
