"""What the servers are measured at: each load, as the swarm's command line, and the figures it yields.

A load says the same to every server, but for the dialect: Kith is spoken to as Kith, the others
with opaque payloads of the same size. Knows no process.
"""

from dataclasses import dataclass

# So long may the last messages be on their way; a server that is slower loses them.
SETTLE_SECONDS = 10


@dataclass(frozen=True)
class Figure:
    """One row of the table. `of` takes (report, loop thread) to a number, or to None."""

    key: str
    title: str
    unit: str
    of: callable
    decimals: int = 2
    # Beside the figure stands its ratio to the floor's.
    with_ratio: bool = True
    # Of which server what is wanted: (least or most, of the ratio or of the figure itself).
    goals: tuple = ()


@dataclass(frozen=True)
class Goal:
    """What a server has to reach, by design."""

    server: str
    most: float = None
    least: float = None
    of_ratio: bool = False

    def reached(self, figure, ratio):
        value = ratio if self.of_ratio else figure
        if value is None:
            return None
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self):
        sign, number = ("≤", self.most) if self.least is None else ("≥", self.least)
        return f"{sign} {number:g}{' ×' if self.of_ratio else ''}"


@dataclass(frozen=True)
class Load:
    """One run of the swarm, or, for `kind` other than `swarm`, something around it."""

    key: str
    figures: tuple
    raw: tuple = ()
    kith: tuple = ()
    # The numbers in the full form and in the quick one.
    full: dict = None
    quick: dict = None
    kind: str = "swarm"
    # For `pair`: what goes on behind it.
    behind: "Load" = None

    def words(self, dialect, quick):
        """The command line, without the server's address."""
        numbers = self.quick if quick else self.full
        first, *rest = self.kith if dialect == "kith" else self.raw
        words = [first]
        for word in (*rest, "--settle", f"{SETTLE_SECONDS}s"):
            words.append(word.format(**numbers))
        return words

    def path(self, dialect):
        """Where on a server that is no Kith."""
        return "echo" if dialect == "raw" and "echo" in self.raw else ""

    def clients(self, quick):
        return (self.quick if quick else self.full)["n"]

    def seconds(self, quick):
        """How long it talks, the ending left out."""
        return (self.quick if quick else self.full)["seconds"]


# --- Figures of a report ----------------------------------------------------------------------


def within(report, *path):
    for name in path:
        report = (report or {}).get(name)
    return report


def cpu_per_delivery(report, _):
    return within(report, "server", "cpu_us_per_delivery")


def loop_cpu_per_delivery(report, loop):
    """Of the thread that runs the loop; of a server of one thread that is everything."""
    deliveries = within(report, "traffic", "deliveries")
    threads = within(report, "server", "threads")
    if not deliveries or not threads:
        return None
    own = [thread for thread in threads if thread["name"] == loop]
    return sum(thread["user_s"] + thread["kernel_s"] for thread in own) * 1e6 / deliveries


def p99(report, _):
    return within(report, "latency", "corrected", "p99")


def millions_per_second(report, _):
    rate = within(report, "traffic", "deliveries_per_second")
    return None if rate is None else rate / 1e6


def resident_per_client(report, _):
    return within(report, "server", "resident_per_client")


def cpu_per_handshake(report, _):
    return within(report, "server", "cpu_us_per_handshake")


def thousand_handshakes_per_second(report, _):
    rate = within(report, "traffic", "handshakes_per_second")
    return rate and rate / 1e3


def resident(report, _):
    return within(report, "resident") / (1 << 20)


# --- The loads --------------------------------------------------------------------------------

OPEN = ("-n", "{n}", "--rate", "{rate}", "--size", "{size}", "--duration", "{seconds}s")
FLOOD = ("-n", "{n}", "--flood", "--window", "{window}", "--size", "{size}", "--duration", "{seconds}s")
NEAR_THE_FLOOR = (Goal("kith-e", most=1.10, of_ratio=True),)

# Behind a pair; it counts only, so that the swarm's core is there for the pair.
CROWD = Load(
    "crowd",
    (),
    raw=("raw", "--talkers", "1", "--count", *OPEN),
    kith=("lobby", "--talkers", "1", "--count", *OPEN),
    full={"n": 10_000, "rate": 10, "size": 128, "seconds": 60},
    quick={"n": 200, "rate": 10, "size": 128, "seconds": 60},
)

LOADS = (
    Load(
        "fan-1k",
        (
            Figure(
                "fan-1k", "one talks, 1,000 listen: CPU per delivery", "µs", cpu_per_delivery,
                goals=NEAR_THE_FLOOR,
            ),
        ),
        raw=("raw", "--talkers", "1", *OPEN),
        kith=("lobby", "--talkers", "1", *OPEN),
        full={"n": 1000, "rate": 100, "size": 128, "seconds": 5},
        quick={"n": 50, "rate": 50, "size": 128, "seconds": 0.5},
    ),
    Load(
        "fan-10k",
        (
            Figure(
                "fan-10k", "one talks, 10,000 listen: CPU per delivery", "µs", cpu_per_delivery,
                goals=NEAR_THE_FLOOR,
            ),
        ),
        raw=("raw", "--talkers", "1", *OPEN),
        kith=("lobby", "--talkers", "1", *OPEN),
        full={"n": 10_000, "rate": 10, "size": 128, "seconds": 5},
        quick={"n": 200, "rate": 10, "size": 128, "seconds": 0.5},
    ),
    Load(
        "all-talk",
        (
            Figure(
                "all-talk-loop", "200 talk, 400,000 deliveries/s: loop thread's CPU per delivery",
                "µs", loop_cpu_per_delivery,
                goals=(*NEAR_THE_FLOOR, Goal("kith-d", most=1.10, of_ratio=True)),
            ),
            Figure("all-talk-cpu", "same: CPU of all threads per delivery", "µs", cpu_per_delivery),
            Figure(
                "all-talk-p99", "same: p99 from due to heard", "ms", p99, 1, with_ratio=False,
                goals=(Goal("kith-e", most=10), Goal("kith-d", most=25)),
            ),
        ),
        raw=("raw", "--talkers", "{n}", *OPEN),
        kith=("chatty", *OPEN),
        full={"n": 200, "rate": 2000, "size": 128, "seconds": 5},
        quick={"n": 20, "rate": 100, "size": 128, "seconds": 0.5},
    ),
    Load(
        "flood-one",
        (
            Figure(
                "flood-one", "most deliveries/s, one of 1,000 talks", "million", millions_per_second,
                goals=(Goal("kith-e", least=10),),
            ),
        ),
        raw=("raw", "--talkers", "1", "--count", *FLOOD),
        kith=("lobby", "--talkers", "1", "--count", *FLOOD),
        full={"n": 1000, "window": 256, "size": 128, "seconds": 4},
        quick={"n": 50, "window": 16, "size": 128, "seconds": 0.5},
    ),
    Load(
        "flood-all",
        (
            Figure(
                "flood-all", "most deliveries/s, 100 of 1,000 talk", "million", millions_per_second,
                goals=(Goal("kith-e", least=10),),
            ),
        ),
        raw=("raw", "--talkers", "{talkers}", "--count", *FLOOD),
        kith=("chatty", "--talkers", "{talkers}", "--count", *FLOOD),
        full={"n": 1000, "talkers": 100, "window": 16, "size": 128, "seconds": 4},
        quick={"n": 50, "talkers": 10, "window": 4, "size": 128, "seconds": 0.5},
    ),
    Load(
        "echo",
        (
            Figure(
                "echo", "a pipelined echo (Kith: ping and pong, decoded and encoded): CPU", "µs",
                cpu_per_delivery,
                # Its rate at least 0.7 of the floor's.
                goals=(Goal("kith-e", most=1.43, of_ratio=True),),
            ),
        ),
        raw=("raw", "--expect", "echo", "--talkers", "{n}", *FLOOD),
        kith=("ping", "-n", "{n}", "--flood", "--window", "{window}", "--duration", "{seconds}s"),
        full={"n": 16, "window": 64, "size": 128, "seconds": 4},
        quick={"n": 4, "window": 16, "size": 128, "seconds": 0.5},
    ),
    Load(
        "large",
        (
            Figure(
                "large", "64 KiB to 500 listeners: CPU per delivery", "µs", cpu_per_delivery,
                goals=(Goal("kith-e", most=1.15, of_ratio=True),),
            ),
        ),
        raw=("raw", "--talkers", "1", *OPEN),
        kith=("lobby", "--talkers", "1", *OPEN),
        full={"n": 500, "rate": 10, "size": 65_536, "seconds": 5},
        quick={"n": 20, "rate": 10, "size": 65_536, "seconds": 0.5},
    ),
    Load(
        "idle",
        (
            Figure(
                "idle-memory", "an idle connection, of 10,000: resident memory", "bytes",
                resident_per_client, 0, with_ratio=False, goals=(Goal("kith-e", most=1024),),
            ),
        ),
        raw=("raw", "--talkers", "0", *OPEN),
        kith=("idle", "-n", "{n}", "--duration", "{seconds}s"),
        full={"n": 10_000, "rate": 0, "size": 128, "seconds": 2},
        quick={"n": 200, "rate": 0, "size": 128, "seconds": 0.5},
    ),
    Load(
        "handshakes",
        (
            Figure(
                "handshakes", "8,000 come at once (Kith: each with a name): handshakes/s", "thousand",
                thousand_handshakes_per_second, 1, goals=(Goal("kith-e", least=0.9, of_ratio=True),),
            ),
            Figure("handshake-cpu", "same: CPU per handshake", "µs", cpu_per_handshake, 1),
        ),
        raw=("raw", "--talkers", "0", *OPEN, "--connect-rate", "0"),
        kith=("idle", "-n", "{n}", "--duration", "{seconds}s", "--connect-rate", "0"),
        full={"n": 8000, "rate": 0, "size": 128, "seconds": 0.1},
        quick={"n": 200, "rate": 0, "size": 128, "seconds": 0.1},
    ),
    Load(
        "pair",
        (
            Figure(
                "pair-p99", "a pair's p99 beside ten entries a second to 10,000", "ms", p99, 1,
                with_ratio=False, goals=(Goal("kith-e", most=20),),
            ),
        ),
        kind="pair",
        behind=CROWD,
        raw=("raw", "--expect", "echo", "--talkers", "{n}", *OPEN),
        kith=("ping", "-n", "{n}", "--rate", "{rate}", "--duration", "{seconds}s"),
        full={"n": 2, "rate": 50, "size": 128, "seconds": 5},
        quick={"n": 2, "rate": 50, "size": 128, "seconds": 0.5},
    ),
    Load(
        "process",
        (
            Figure(
                "process", "the process with nobody connected: resident memory", "MiB", resident, 1,
                with_ratio=False, goals=(Goal("kith-e", most=10), Goal("kith-d", most=10)),
            ),
        ),
        kind="process",
        full={"n": 0, "seconds": 0},
        quick={"n": 0, "seconds": 0},
    ),
)
