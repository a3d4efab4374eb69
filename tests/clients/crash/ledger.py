"""What the clients know to be true, and what is wrong with it.

Every text is said once in a run, so a text names its talk. Nothing here speaks to the server: it is
told what was seen, and counts what cannot be.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Ledger:
    """Shared by all clients of a run."""

    # seq -> text, from whoever saw it first; and the other way round.
    text_at: dict[int, str] = field(default_factory=dict)
    seq_of: dict[str, int] = field(default_factory=dict)
    # What the server said is on disk: text -> seq.
    acknowledged: dict[str, int] = field(default_factory=dict)
    sent_again: int = 0
    duplicates: int = 0
    # What is wrong, each fault once, in the order in which it was found.
    wrong: dict[str, None] = field(default_factory=dict)

    def fault(self, what: str) -> None:
        self.wrong[what] = None

    def seen(self, seq: int, text: str) -> None:
        """This text is at this place. It must be there for everybody, and nowhere else."""
        if self.text_at.setdefault(seq, text) != text:
            self.fault(f"changed: {seq} is {text!r} and was {self.text_at[seq]!r}")
        if self.seq_of.setdefault(text, seq) != seq:
            self.fault(f"doubled: {text!r} is at {self.seq_of[text]} and at {seq}")

    def told(self, seq: int, text: str, duplicate: bool) -> None:
        """The server acknowledged this talk."""
        self.seen(seq, text)
        self.acknowledged[text] = seq
        self.duplicates += duplicate

    def settle(self, log: list[tuple[int, str]]) -> None:
        """Compares with the log as the server has it in the end."""
        for place, (seq, text) in enumerate(log, start=1):
            if seq != place:
                self.fault(f"hole: place {place} of the log is {seq}")
                break
        for text, times in Counter(text for _, text in log).items():
            if times > 1:
                self.fault(f"doubled: {text!r} is in the log {times} times")
        stored = dict(log)
        for text, seq in self.acknowledged.items():
            if stored.get(seq) != text:
                self.fault(f"lost: {text!r} was acknowledged as {seq}, which is not it")
        for seq, text in self.text_at.items():
            if stored.get(seq) != text:
                self.fault(f"lost: {text!r} was delivered as {seq}, which is not it")

    def count(self, kind: str) -> int:
        return sum(line.startswith(kind) for line in self.wrong)


@dataclass
class Position:
    """How far one client has read, over all its connections."""

    name: str
    ledger: Ledger
    reached: int = 0
    tag: int = 0

    def entry(self, seq: int, tag: int, text: str) -> None:
        self.ledger.seen(seq, text)
        if seq <= self.reached:
            self.ledger.fault(f"repeated: {self.name} got {seq} with {self.reached} read")
        # Whatever lies between must have been told before.
        if seq > self.reached + 1:
            self.ledger.fault(f"hole: {self.name} got {seq} with {self.reached} read")
        if seq > self.reached:
            self.reached, self.tag = seq, tag

    def talked(self, seq: int, tag: int) -> None:
        """An own talk has a place that no other had. This stands for the entry if that is the next
        one; otherwise the entry comes in its place."""
        if seq <= self.reached:
            self.ledger.fault(f"repeated: {self.name} was told {seq} with {self.reached} read")
        elif seq == self.reached + 1:
            self.reached, self.tag = seq, tag
