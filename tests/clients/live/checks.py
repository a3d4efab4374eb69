"""Checks, one line each, and the standard oracle that watches over every row."""

import json
import subprocess
import sys
import time
from pathlib import Path

import sizes
from starved import Starved

MIB = 1 << 20
# What the oracle allows.
P99_MS, MAX_MS = 250, 1000
# And no more than this on top, however busy the machine.
NOISE_MS = 1000
FDS = 5
RSS_SHARE, RSS_MORE = 0.10, 32 * MIB
SETTLE = 30


class Checks:
    """Counts and prints."""

    def __init__(self, full=False):
        self.passed = self.failed = 0
        self.full = full
        self.row = ""
        # What a healthy pair waits for on this machine when nobody attacks; `quiet` measures it.
        self.noise = 0

    def size(self, what):
        """How much of it, by the table in `sizes.py`."""
        return sizes.of(what, self.full)

    def __call__(self, what, fits, figure=""):
        if fits:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if fits else 'FAIL'}  {self.row:<12}  {what}{': ' if figure != '' else ''}{figure}", flush=True)
        return bool(fits)


class Oracle:
    """Oracle O: alive, no panic, a healthy pair within `P99_MS` and the machine's own noise all through, and afterwards
    everything given back. The noise is what `quiet` found, or how long the server and the pair had to wait for a processor in the
    worst second of this row. The pair says something `every` so many seconds; a refusal named in `refusals` is as good an answer
    as another."""

    def __init__(self, check, server, every=0.1, refusals=()):
        self.check, self.server = check, server
        self.every, self.refusals = every, refusals
        self.p99, self.max = P99_MS, MAX_MS
        self.report, self.noise = {}, 0

    def __enter__(self):
        # The pair comes before the count: a table that grew once is not what leaks.
        self.probe = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("probe.py")), self.server.url,
             "healthy-talker", "healthy-listener", str(self.every), *self.refusals],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.probe.stdout.readline() != "ready\n":
            raise AssertionError("the healthy pair could not sign in")
        time.sleep(0.5)
        self.starved = Starved(self.server.pid, self.probe.pid)
        self.fds, self.rss = self.server.fds(), self.server.rss()
        self.most = self.rss
        return self

    def phase(self, name):
        """What the pair says from now on is reported under this name as well, in `report["phases"]`."""
        self.probe.stdin.write(name + "\n")
        self.probe.stdin.flush()

    def watch(self):
        """Looks at the memory now; rows call it at their worst moment."""
        self.most = max(self.most, self.server.rss())
        return self.most - self.rss

    def __exit__(self, kind, error, _):
        check, server = self.check, self.server
        if kind is not None:
            check("the row ran to its end", False, repr(error))
        # Other work on a shared machine delays everybody, and says nothing about the server: what it cost before, or now.
        self.noise = round(max(check.noise, min(self.starved.stop(), NOISE_MS)))
        if not server.alive():
            self.probe.kill()
            check("alive", False, f"exit status {server.process.poll()}: {server.lines[-3:]}")
            return True
        self.watch()
        back = self.settle()
        report = self.report = self.finish_probe()
        check("alive, no panic", not server.panics(), server.panics()[:1] or "")
        p99, most = self.p99 + self.noise, self.max + self.noise
        within = report["p99"] is not None and report["p99"] <= p99 and report["max"] <= most and not (
            report["lost"] or report["gaps"] or report["errors"])
        told = {key: value for key, value in report.items() if key != "phases"}
        check(f"healthy pair: nothing lost, p99 <= {p99} ms, all <= {most} ms", within, json.dumps(told))
        check("files and memory are given back", back is not None, (
            f"in {back:.1f} s, " if back is not None else "NOT, ") +
            f"files {self.fds} -> {server.fds()}, resident {self.rss / MIB:.1f} -> {server.rss() / MIB:.1f} MiB"
            f" (at most {self.most / MIB:.1f})")
        return True

    def settle(self):
        """Seconds until files and memory are where they were; None if they do not come back."""
        began = time.monotonic()
        while time.monotonic() - began < SETTLE:
            files = abs(self.server.fds() - self.fds) <= FDS
            memory = self.server.rss() - self.rss <= max(RSS_SHARE * self.rss, RSS_MORE)
            if files and memory:
                return time.monotonic() - began
            time.sleep(0.2)
        return None

    def finish_probe(self):
        nothing = {"said": 0, "lost": 0, "gaps": 0, "errors": ["the pair did not report"], "p50": None, "p99": None,
                   "phases": {}}
        try:
            out, _ = self.probe.communicate("", timeout=20)
            return json.loads(out.strip().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            self.probe.kill()
            return nothing
