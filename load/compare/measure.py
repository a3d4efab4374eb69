"""One server under one load: what the swarm says of it.

Knows how a run goes wrong, and calls none of it the end: a server that cannot take a load is a
result. Every wait has a bound.
"""

import contextlib
import json
import subprocess
import threading
import time
from dataclasses import dataclass

from loads import SETTLE_SECONDS
from servers import clean_environment, end, pinned, started

# Beyond what a load takes by itself: to fill the room, and for a swarm that is late.
SPARE_SECONDS = 60
# A pair is measured while the crowd behind it talks, which begins so much earlier, ...
LEAD_SECONDS = 1
# ... and on the same core makes way for it.
CROWD_NICENESS = 10
# What the kernel is given to bring a process that listens to rest.
REST_SECONDS = 0.5


class Unmeasured(Exception):
    """Why there is no report."""


@dataclass
class Measured:
    """What came of a run: a report, or the reason that there is none."""

    report: dict = None
    loop: str = ""
    why: str = ""

    def value(self, figure):
        return None if self.report is None else figure.of(self.report, self.loop)

    def lost(self):
        """The share of deliveries that never came."""
        if self.report is None or "verdict" not in self.report:
            return 0.0
        lost = self.report["verdict"]["lost"]["count"]
        return lost / max(1, lost + self.report["traffic"]["deliveries"])

    def swarm_was_slow(self):
        swarm = (self.report or {}).get("swarm") or {}
        return bool(swarm.get("is_bottleneck"))


def measure(load, server, binaries, cores, quick):
    """A fresh server, one run, and the server is gone again."""
    try:
        with started(server, binaries, cores) as running:
            kinds = {"swarm": alone, "pair": beside_a_crowd, "process": nobody}
            report = kinds[load.kind](load, running, binaries, cores, quick)
            ended = running.process.poll()
            if ended is not None:
                return Measured(why=f"the server ended ({ended})")
            return Measured(report, running.loop_thread)
    except (Unmeasured, RuntimeError, OSError) as error:
        return Measured(why=str(error))


def alone(load, running, binaries, cores, quick):
    with swarm(load, running, binaries, cores, quick) as run:
        return run.report(load.seconds(quick) + SETTLE_SECONDS + SPARE_SECONDS)


def nobody(_load, running, _binaries, _cores, _quick):
    time.sleep(REST_SECONDS)
    return {"resident": running.resident()}


def beside_a_crowd(load, running, binaries, cores, quick):
    """The crowd is in and talks before the pair comes, and until it is gone."""
    with swarm(load.behind, running, binaries, cores, quick, niceness=CROWD_NICENESS) as behind:
        wait_for_crowd(running, behind, load.behind.clients(quick))
        time.sleep(LEAD_SECONDS)
        with swarm(load, running, binaries, cores, quick) as pair:
            report = pair.report(load.behind.seconds(quick))
        if behind.process.poll() is not None:
            raise Unmeasured(f"the crowd ended early: {behind.last_words()}")
    return report


def wait_for_crowd(running, behind, clients):
    until = time.monotonic() + SPARE_SECONDS
    while running.files() < clients:
        if behind.process.poll() is not None or time.monotonic() > until:
            raise Unmeasured(f"the crowd did not get in: {behind.last_words()}")
        time.sleep(0.25)


# --- The swarm --------------------------------------------------------------------------------


class Swarm:
    """One that runs. Its output is read as it comes, so that it never waits for us."""

    def __init__(self, command, core, file):
        self.file = file
        self.lines = []
        self.process = subprocess.Popen(
            pinned(command, core),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=clean_environment(),
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def report(self, seconds):
        """What it wrote; that limits did not hold is the report's to say."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Unmeasured(f"not done after {seconds:.0f} s") from error
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self.file.read_text())
        raise Unmeasured(self.last_words())

    def last_words(self):
        """The error, if it named one."""
        self.reader.join(1)
        errors = [line for line in self.lines if line.startswith("error")]
        return (errors or self.lines or ["it said nothing"])[-1][:200]


@contextlib.contextmanager
def swarm(load, running, binaries, cores, quick, niceness=0):
    """The swarm at this server; ended, if it has not ended by itself."""
    file = running.home / f"{load.key}.json"
    dialect = running.server.dialect
    command = [binaries.swarm, *load.words(dialect, quick)]
    command += ["--url", running.url + load.path(dialect)]
    command += ["--pid", running.pid, "--json", file]
    if niceness:
        command = ["nice", "-n", niceness, *command]
    run = Swarm(command, cores.swarm, file)
    try:
        yield run
    finally:
        # It may be in the middle of a long run that nobody needs any more, without a verdict to wait for.
        if run.process.poll() is None:
            run.process.kill()
        end(run.process)
        run.reader.join(1)
        run.process.stdout.close()
