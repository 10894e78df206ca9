"""Where the time of a run went: a fold of the times of its events, into rows that add up to the whole.

At each moment a run is in one row. From the first attempt at a test to its verdict the test is under way; that time is split
into what the attempts report of themselves and what lies around them, for all tests that are under way at a time alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Spent:
    """The seconds of a run, by what it did.

    Attributes:
        opening: before its first event: plan, history and leftovers were read.
        starting: until the first attempt at a test.
        under_way: at least one test was between its first attempt and its verdict.
        between: later, no test was under way, and some still had no verdict.
        servers: as `starting` and `between`, while a component started or recovered.
        closing: after the last verdict.
        executed: the seconds that attempts and repeats report of themselves, of all workers together.
        windows: the seconds in which tests were under way, of all workers together.
        time: of the event up to which they are counted.
    """

    opening: float = 0.0
    starting: float = 0.0
    under_way: float = 0.0
    between: float = 0.0
    servers: float = 0.0
    closing: float = 0.0
    executed: float = 0.0
    windows: float = 0.0
    time: str = ""
    _at: datetime | None = None

    def began(self, time: str, opening: float) -> None:
        """Begin a segment at an event; what lies between two segments is no time of the run."""
        self.time, self._at = time, datetime.fromisoformat(time)
        self.opening += opening

    def until(self, time: str, *, tests: int, started: bool, waiting: bool, servers: bool) -> None:
        """Take in the time up to an event.

        Args:
            time: of the event.
            tests: how many tests were under way before it.
            started: whether there was an attempt at a test in this segment.
            waiting: whether a test had no verdict.
            servers: whether a component was starting or recovering.
        """
        if self._at is None or time == self.time:
            return
        now = datetime.fromisoformat(time)
        seconds = max(0.0, (now - self._at).total_seconds())
        self.time, self._at = time, now
        if tests:
            self.under_way += seconds
            self.windows += seconds * tests
        elif not waiting:
            self.closing += seconds
        elif servers:
            self.servers += seconds
        elif started:
            self.between += seconds
        else:
            self.starting += seconds

    def rows(self) -> dict[str, float]:
        """Return the seconds by row; they add up to the time of all segments."""
        share = min(1.0, self.executed / self.windows) if self.windows else 0.0
        tests = self.under_way * share
        return {
            "opening": self.opening,
            "starting": self.starting,
            "tests": tests,
            "around": self.under_way - tests,
            "between": self.between,
            "servers": self.servers,
            "closing": self.closing,
        }
