"""The check of one chain, fed event by event: hashed again, bound to the one before, numbered without a gap.

A chain alone cannot show that its last events were cut off, or that all of it was written anew: that takes signed
heads kept elsewhere (audit/heads.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from audit.canonical import GENESIS, NotCanonicalError
from audit.entry import Entry, UnreadableEntryError, entry_hash
from audit.signed_head import ChainHeads


@dataclass(frozen=True)
class Result:
    """What is known about a chain now."""

    ok: bool
    count: int  # good events, up to the first bad one
    head: str | None  # hash of the last good event
    first_bad: int | None  # number of the first event that is wrong or missing
    tail_proven: bool  # signed heads show: nothing was cut off or written anew, up to the newest of them
    why: str


@dataclass
class ChainCheck:
    """Feed it the events of one chain in order, then ask for the result."""

    heads: ChainHeads | None = None  # None: none were given
    head_row: tuple[int, str] = (0, GENESIS)  # number and hash that the database takes for the last
    count: int = 0
    head: str = GENESIS
    first_bad: int | None = None
    fault: str = ""
    _marks: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self._marks = self.heads.hashes if self.heads else {}

    def feed(self, entry: Entry) -> bool:
        """False from the first bad event on."""
        if self.first_bad is None:
            number = self.count + 1
            fault = self._fault_of(entry, number)
            if fault:
                seq = entry["seq"]
                self.stop(fault, at=min(number, seq) if isinstance(seq, int) else number)
            else:
                self.count, self.head = number, str(entry["hash"])
        return self.first_bad is None

    def stop(self, fault: str, *, at: int | None = None) -> None:
        """The chain is broken; by default where the next event was expected. The first fault stands."""
        if self.first_bad is None:
            self.first_bad, self.fault = self.count + 1 if at is None else at, fault

    def result(self) -> Result:
        """The verdict, once all events were fed."""
        expected = max(self.head_row[0], *self._marks, 0)
        if expected > self.count:
            self.stop(f"the chain had {expected} events: from here on they were removed")
        ok = self.first_bad is None
        proven = ok and self.heads is not None and self.heads.prove_something
        return Result(ok, self.count, self.head if self.count else None, self.first_bad, proven, self._why())

    def _fault_of(self, entry: Entry, number: int) -> str:
        seq = entry["seq"]
        if seq != number:
            later = isinstance(seq, int) and seq > number
            return "the event of this number is missing" if later else "its number comes out of order"
        if entry["previous_hash"] != self.head:
            return "it does not follow the event before it"
        try:
            right = entry_hash(entry)
        except (NotCanonicalError, UnreadableEntryError) as error:
            return f"its content was changed: {error}"
        if entry["hash"] != right:
            return "its content is not what was hashed when it was written"
        if self._marks.get(number, right) != right:
            return "a signed head names another hash here: the chain was written anew"
        if number == self.head_row[0] and self.head_row[1] != right:
            return "the chain's head row names another hash here"
        return ""

    def _why(self) -> str:
        if self.first_bad is not None:
            return self.fault
        if self.heads is None:
            return "tail not proven: no signed head was given"
        return self.heads.verdict(self.count)
