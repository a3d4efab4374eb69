"""How big each attack is: in every run of the checks, and in full."""

# Where both are the same, the row is cheap enough, or less of it would show nothing.
SIZES = {
    "stops: rounds": (3, 20),
    "silent: connections of each kind": (5000, 5000),
    "slowhttptest: seconds": (40, 60),
    "smuggling: rounds": (2, 20),
    "floods: seconds of each kind": (3, 30),
    "chatterbox: seconds": (4, 20),
    "slow readers: clients": (500, 500),
    "slow readers: seconds of talk": (20, 60),
    # The others come back as well, and read a part: all of it would be 30 GB.
    "slow readers: who read everything at last": (25, 50),
    "files: connects": (2000, 2000),
    "files: seconds without": (4, 30),
    "clock: clients": (100, 500),
    "clock: messages a second": (200, 500),
    "clock: seconds of each time": (1.2, 5),
    "half open: clients": (1000, 1000),
    # Where much is said, the silence of those who take none of it is noticed before their pongs are missed.
    "half open: rooms, and how often somebody speaks there": (
        [("that talks", 0.1)], [("that talks", 0.1), ("that is almost silent", 5)]),
    "storm: clients": (5000, 5000),
    "storm: restarts": (2, 3),
    "disk full: MiB of each disk": ([16], [9, 12, 16, 23, 40]),
    "disk full: seconds full": (3, 15),
    "everybody: clients": (18_000, 18_000),
    "everybody: seconds of talk": (4, 20),
}


def of(what, full):
    """The size of this, as asked for."""
    return SIZES[what][1 if full else 0]
